#include "envelope.h"

#include "binary_data.h"
#include "core/binary_data.h"
#include "limits.h"
#include "wire/envelope.pb-c.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#define PREFIX_MAX 64        /* "DUCKv1 16 duck/…/1 4294967295 " */
#define SMALL_BODY_MAX 1024u /* bytes: signed from the stack */

static const char *const type_names[] = {
    [ENVELOPE_CERTIFICATE] = "duck/certificate/1",
    [ENVELOPE_PECK] = "duck/peck/1",
    [ENVELOPE_RECEIPT] = "duck/receipt/1",
    [ENVELOPE_RECORD] = "duck/record/1",
    [ENVELOPE_ACCUSATION] = "duck/accusation/1",
    [ENVELOPE_AUDIT] = "duck/audit/1",
    [ENVELOPE_VOUCHER] = "duck/voucher/1",
    [ENVELOPE_WITHDRAWAL] = "duck/withdrawal/1",
    [ENVELOPE_GRANT] = "duck/grant/1",
    [ENVELOPE_CONTEXT] = "duck/context/1",
    [ENVELOPE_BATCH] = "duck/batch/1",
    [ENVELOPE_AUDIT_PAGE] = "duck/audit-page/1",
};

const char *envelope_type_name(enum envelope_type type)
{
    return type_names[type];
}

const char *envelope_verdict_text(enum envelope_verdict verdict)
{
    switch (verdict) {
    case ENVELOPE_TAKEN:
        return "taken";
    case ENVELOPE_TOO_LARGE:
        return "the envelope is larger than its type allows";
    case ENVELOPE_MALFORMED:
        return "not a well-formed envelope";
    case ENVELOPE_UNKNOWN_FIELDS:
        return "the envelope has fields that are not known";
    case ENVELOPE_WRONG_TYPE:
        return "signed as something else";
    case ENVELOPE_BAD_PATH:
        return "the batch path does not lead to a root";
    case ENVELOPE_BAD_SIGNATURE:
        return "the signature does not hold";
    }
    return "";
}

size_t envelope_size_max(enum envelope_type type)
{
    switch (type) {
    case ENVELOPE_CERTIFICATE:
        return CERTIFICATE_SIZE_MAX;
    case ENVELOPE_PECK:
        return PECK_BODY_MAX + ENVELOPE_OVERHEAD_MAX;
    case ENVELOPE_RECEIPT:
        return RECEIPT_BODY_MAX + ENVELOPE_OVERHEAD_MAX;
    case ENVELOPE_RECORD:
        return RECORD_SIZE_MAX;
    case ENVELOPE_ACCUSATION:
        return ACCUSATION_SIZE_MAX;
    case ENVELOPE_AUDIT:
        return AUDIT_CHECKPOINT_SIZE_MAX;
    case ENVELOPE_VOUCHER:
        return VOUCHER_SIZE_MAX;
    case ENVELOPE_WITHDRAWAL:
        return WITHDRAWAL_SIZE_MAX;
    case ENVELOPE_GRANT:
        return GRANT_BLOCK_SIZE_MAX;
    case ENVELOPE_CONTEXT:
        return CONTEXT_SIZE_MAX;
    case ENVELOPE_BATCH:
    case ENVELOPE_AUDIT_PAGE:
        return 0;
    }
    return 0;
}

/* ---- what is signed ---- */

static char *write_text(char *at, const char *text, size_t size)
{
    memcpy(at, text, size);
    return at + size;
}

/* And a space. By hand: printf costs as much as the hash of what follows. */
static char *write_number(char *at, size_t number)
{
    char digits[20];
    size_t count = 0;

    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    while (count > 0)
        *at++ = digits[--count];
    *at++ = ' ';
    return at;
}

/* "DUCKv1" SP len(type) SP type SP len(body) SP; the body follows. */
static size_t write_prefix(enum envelope_type type, size_t body_size, char prefix[PREFIX_MAX])
{
    const char *name = type_names[type];
    size_t name_size = strlen(name);
    char *at = write_text(prefix, "DUCKv1 ", 7);

    at = write_number(at, name_size);
    at = write_text(at, name, name_size);
    *at++ = ' ';
    at = write_number(at, body_size);
    assert(at <= prefix + PREFIX_MAX);
    return (size_t)(at - prefix);
}

struct hash envelope_hash(enum envelope_type type, struct bytes body)
{
    crypto_generichash_state state;
    char prefix[PREFIX_MAX];
    struct hash hash;

    crypto_generichash_init(&state, NULL, 0, HASH_SIZE);
    crypto_generichash_update(&state, (const uint8_t *)prefix,
                              write_prefix(type, body.size, prefix));
    crypto_generichash_update(&state, body.data, body.size);
    crypto_generichash_final(&state, hash.bytes, HASH_SIZE);
    return hash;
}

/* Ed25519 reads its message twice, so it wants it in one piece. */
struct to_sign {
    uint8_t small[PREFIX_MAX + SMALL_BODY_MAX];
    uint8_t *large;
    struct bytes bytes;
};

static void to_sign_open(struct to_sign *to_sign, enum envelope_type type, struct bytes body)
{
    char prefix[PREFIX_MAX];
    size_t size = write_prefix(type, body.size, prefix);
    uint8_t *data = to_sign->small;

    to_sign->large = NULL;
    if (body.size > SMALL_BODY_MAX)
        data = to_sign->large = memory_take(size + body.size);
    memcpy(data, prefix, size);
    if (body.size > 0)
        memcpy(data + size, body.data, body.size);
    to_sign->bytes = bytes_of(data, size + body.size);
}

static void to_sign_close(struct to_sign *to_sign)
{
    memory_give_back(to_sign->large);
}

static struct signature sign(enum envelope_type type, struct bytes body,
                             const struct identity_key *key)
{
    struct to_sign to_sign;
    struct signature signature;

    to_sign_open(&to_sign, type, body);
    signature = identity_sign(key, to_sign.bytes);
    to_sign_close(&to_sign);
    return signature;
}

static bool verify(enum envelope_type type, struct bytes body, const struct signature *signature,
                   const struct public_key *key)
{
    struct to_sign to_sign;
    bool holds;

    to_sign_open(&to_sign, type, body);
    holds = identity_verify(key, signature, to_sign.bytes);
    to_sign_close(&to_sign);
    return holds;
}

/* ---- in ---- */

static enum envelope_verdict read_path(const Duck__BatchPath *wire, struct batch_path *path)
{
    path->size = 0;
    if (!wire)
        return ENVELOPE_TAKEN;
    if (wire->base.n_unknown_fields > 0)
        return ENVELOPE_UNKNOWN_FIELDS;
    if (wire->size < 2 || wire->size > BATCH_ITEMS_MAX || wire->index >= wire->size ||
        wire->n_path > BATCH_PATH_MAX)
        return ENVELOPE_BAD_PATH;
    path->size = wire->size;
    path->index = wire->index;
    path->length = wire->n_path;
    for (size_t i = 0; i < wire->n_path; i++) {
        if (wire->path[i].len != HASH_SIZE)
            return ENVELOPE_BAD_PATH;
        memcpy(path->path[i].bytes, wire->path[i].data, HASH_SIZE);
    }
    return ENVELOPE_TAKEN;
}

enum envelope_verdict envelope_parse(struct bytes wire, enum envelope_type expected,
                                     struct arena *arena, struct envelope *envelope)
{
    const char *name = type_names[expected];
    enum envelope_verdict verdict;
    struct envelope parsed = {.type = expected};
    Duck__Envelope *message;

    if (wire.size > envelope_size_max(expected))
        return ENVELOPE_TOO_LARGE;
    message = duck__envelope__unpack(arena_protobuf_allocator(arena), wire.size, wire.data);
    if (!message)
        return ENVELOPE_MALFORMED;
    if (message->base.n_unknown_fields > 0)
        return ENVELOPE_UNKNOWN_FIELDS;
    if (message->signature.len != SIGNATURE_SIZE ||
        !id_from_bytes(borrowed(message->signer), &parsed.signer))
        return ENVELOPE_MALFORMED;
    if (!bytes_equal(borrowed(message->type), bytes_of_text(name)))
        return ENVELOPE_WRONG_TYPE;
    verdict = read_path(message->batch, &parsed.batch);
    if (verdict != ENVELOPE_TAKEN)
        return verdict;
    memcpy(parsed.signature.bytes, message->signature.data, SIGNATURE_SIZE);
    parsed.body = borrowed(message->body);
    parsed.hash = envelope_hash(expected, parsed.body);
    *envelope = parsed;
    return ENVELOPE_TAKEN;
}

/* Names one verified root: whose, of what size, and by which signature. */
static void write_root(const struct public_key *key, const uint8_t body[BATCH_BODY_SIZE],
                       const struct signature *signature, uint8_t root[BATCH_ROOT_SIZE])
{
    memcpy(root, key->bytes, PUBLIC_KEY_SIZE);
    memcpy(root + PUBLIC_KEY_SIZE, body, BATCH_BODY_SIZE);
    memcpy(root + PUBLIC_KEY_SIZE + BATCH_BODY_SIZE, signature->bytes, SIGNATURE_SIZE);
}

enum envelope_verdict envelope_verify(const struct envelope *envelope, const struct public_key *key,
                                      struct batch_roots *roots)
{
    uint8_t body[BATCH_BODY_SIZE], whole[BATCH_ROOT_SIZE];
    struct hash root, entry;

    if (envelope->batch.size == 0)
        return verify(envelope->type, envelope->body, &envelope->signature, key)
                   ? ENVELOPE_TAKEN
                   : ENVELOPE_BAD_SIGNATURE;
    if (!batch_climb(&envelope->hash, &envelope->batch, roots ? batch_roots_climb(roots) : NULL,
                     &root))
        return ENVELOPE_BAD_PATH;
    batch_body(envelope->batch.size, &root, body);
    write_root(key, body, &envelope->signature, whole);
    if (roots && batch_roots_is_last(roots, whole))
        return ENVELOPE_TAKEN;
    entry = hash_of(bytes_of(whole, sizeof whole));
    if (!roots || !batch_roots_has(roots, &entry)) {
        if (!verify(ENVELOPE_BATCH, bytes_of(body, sizeof body), &envelope->signature, key))
            return ENVELOPE_BAD_SIGNATURE;
        if (roots)
            batch_roots_add(roots, &entry);
    }
    if (roots)
        batch_roots_set_last(roots, whole);
    return ENVELOPE_TAKEN;
}

/* ---- out ---- */

static struct bytes pack(enum envelope_type type, const struct id *signer, struct bytes body,
                         const struct signature *signature, const struct batch_path *path,
                         struct arena *arena)
{
    Duck__Envelope message = DUCK__ENVELOPE__INIT;
    Duck__BatchPath batch = DUCK__BATCH_PATH__INIT;
    ProtobufCBinaryData hashes[BATCH_PATH_MAX];
    uint8_t *data;
    size_t size;

    message.signer = lent(bytes_of(signer->bytes, ID_SIZE));
    message.type = lent(bytes_of(type_names[type], strlen(type_names[type])));
    message.body = lent(body);
    message.signature = lent(bytes_of(signature->bytes, SIGNATURE_SIZE));
    if (path) {
        batch.size = path->size;
        batch.index = path->index;
        batch.n_path = path->length;
        batch.path = hashes;
        for (size_t i = 0; i < path->length; i++)
            hashes[i] = lent(bytes_of(path->path[i].bytes, HASH_SIZE));
        message.batch = &batch;
    }
    size = duck__envelope__get_packed_size(&message);
    data = arena_take(arena, size);
    if (!data)
        return bytes_of(NULL, 0);
    duck__envelope__pack(&message, data);
    return bytes_of(data, size);
}

struct bytes envelope_seal(enum envelope_type type, const struct id *signer,
                           const struct identity_key *key, struct bytes body, struct arena *arena,
                           struct hash *hash)
{
    struct signature signature = sign(type, body, key);

    if (hash)
        *hash = envelope_hash(type, body);
    return pack(type, signer, body, &signature, NULL, arena);
}

struct bytes envelope_to_sign(enum envelope_type type, struct bytes body, struct arena *arena)
{
    struct to_sign to_sign;
    struct bytes copy;

    to_sign_open(&to_sign, type, body);
    copy = arena_copy(arena, to_sign.bytes);
    to_sign_close(&to_sign);
    return copy;
}

struct bytes envelope_pack_signed(enum envelope_type type, const struct id *signer,
                                  struct bytes body, const struct signature *signature,
                                  struct arena *arena)
{
    return pack(type, signer, body, signature, NULL, arena);
}

void envelope_seal_batch(enum envelope_type type, const struct id *signer,
                         const struct identity_key *key, const struct bytes *bodies,
                         const struct hash *hashes, size_t count, struct arena *arena,
                         struct bytes *wires)
{
    struct hash root;
    struct batch_path *paths;
    uint8_t body[BATCH_BODY_SIZE];
    struct signature signature;

    assert(count > 0 && count <= BATCH_ITEMS_MAX);
    if (count == 1) {
        wires[0] = envelope_seal(type, signer, key, bodies[0], arena, NULL);
        return;
    }
    paths = arena_take(arena, count * sizeof *paths);
    root = batch_build(hashes, count, paths);
    batch_body((uint32_t)count, &root, body);
    signature = sign(ENVELOPE_BATCH, bytes_of(body, sizeof body), key);
    for (size_t i = 0; i < count; i++)
        wires[i] = pack(type, signer, bodies[i], &signature, &paths[i], arena);
}
