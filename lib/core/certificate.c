#include "certificate.h"

#include "binary_data.h"
#include "peck.h"
#include "wire/certificate.pb-c.h"

#include <assert.h>

#define TAG_CERTIFICATE 0x0Au /* field 1 of a Chain, length-delimited… */
#define TAG_CONTEXT 0x12u     /* …and field 2 */
#define LENGTH_BYTES_MAX 4    /* of a length below 2^28 */

_Static_assert(CERTIFICATE_SCOPES_MAX <= 16, "as certificate.proto says");

const char *certificate_verdict_text(enum certificate_verdict verdict)
{
    switch (verdict) {
    case CERTIFICATE_TAKEN:
        return "taken";
    case CERTIFICATE_BAD_ENVELOPE:
        return "a certificate's envelope or signature does not hold";
    case CERTIFICATE_MALFORMED:
        return "a certificate has a field that is missing, too long or out of range";
    case CERTIFICATE_KEY_REFUSED:
        return "a certificate's public key is not a point of prime order";
    case CERTIFICATE_EMPTY:
        return "there is no certificate";
    case CERTIFICATE_TOO_LONG:
        return "there are more certificates than a chain may have";
    case CERTIFICATE_OUT_OF_SEQUENCE:
        return "the certificates are not in sequence";
    case CERTIFICATE_NOT_LINKED:
        return "a certificate does not name the one before it";
    case CERTIFICATE_KEY_NOT_PROMISED:
        return "a certificate's key is not the one that was committed to";
    case CERTIFICATE_OTHER_IDENTITY:
        return "a certificate is of another identity";
    case CERTIFICATE_WRONG_SIGNER:
        return "a certificate's envelope names another signer";
    case CERTIFICATE_BACK_IN_TIME:
        return "a certificate ends before it begins, or begins before the one before it";
    case CERTIFICATE_NOT_YET:
        return "its first certificate is not valid yet";
    case CERTIFICATE_EXPIRED:
        return "its certificate has expired";
    case CERTIFICATE_UNDER_CONTEXT:
        return "only pecks of an action are signed under a context";
    }
    return "";
}

/* ---- what travels with a chain ---- */

/* Of a length-delimited field at `at`: its content, and `*at` behind it. */
static bool read_field(struct bytes wire, size_t *at, struct bytes *content)
{
    size_t size = 0, i = *at + 1;
    unsigned shift = 0;

    for (;; shift += 7) {
        if (i >= wire.size || shift >= 7 * LENGTH_BYTES_MAX)
            return false;
        size |= (size_t)(wire.data[i] & 0x7F) << shift;
        if ((wire.data[i++] & 0x80) == 0)
            break;
    }
    if (size > wire.size - i)
        return false;
    *content = bytes_of(wire.data + i, size);
    *at = i + size;
    return true;
}

/* Behind its certificates, which are first. */
static bool skip_certificates(struct bytes wire, size_t *at)
{
    struct bytes certificate;

    while (*at < wire.size && wire.data[*at] == TAG_CERTIFICATE)
        if (!read_field(wire, at, &certificate))
            return false;
    return true;
}

void chain_split(struct bytes wire, struct bytes *chain, struct bytes *context)
{
    struct bytes content;
    size_t at = 0, end;

    *chain = wire;
    *context = bytes_of(NULL, 0);
    if (!skip_certificates(wire, &at))
        return;
    end = at;
    if (at == 0 || at >= wire.size || wire.data[at] != TAG_CONTEXT ||
        !read_field(wire, &at, &content) || at != wire.size || content.size == 0)
        return;
    *chain = bytes_of(wire.data, end);
    *context = content;
}

struct bytes chain_with_context(struct bytes chain, struct bytes context, struct arena *arena)
{
    size_t size = context.size, at = chain.size;
    uint8_t *data;

    if (context.size == 0)
        return chain;
    data = arena_take(arena, chain.size + 1 + LENGTH_BYTES_MAX + context.size);
    if (!data)
        return bytes_of(NULL, 0);
    memcpy(data, chain.data, chain.size);
    data[at++] = TAG_CONTEXT;
    for (; size >= 0x80; size >>= 7)
        data[at++] = (uint8_t)(size | 0x80);
    data[at++] = (uint8_t)size;
    memcpy(data + at, context.data, context.size);
    return bytes_of(data, at + context.size);
}

/* ---- reading ---- */

static bool read_hash(ProtobufCBinaryData data, struct hash *hash)
{
    if (data.len != HASH_SIZE)
        return false;
    memcpy(hash->bytes, data.data, HASH_SIZE);
    return true;
}

static enum certificate_verdict read_body(const Duck__CertificateBody *body, bool is_known,
                                          struct certificate *certificate)
{
    if (body->kind != IDENTITY_NODE && body->kind != IDENTITY_DUCKLING &&
        body->kind != IDENTITY_OPERATOR)
        return CERTIFICATE_MALFORMED;
    certificate->kind = (enum identity_kind)body->kind;
    if (body->public_key.len != PUBLIC_KEY_SIZE ||
        !read_hash(body->next_key_hash, &certificate->next_key_hash))
        return CERTIFICATE_MALFORMED;
    memcpy(certificate->public_key.bytes, body->public_key.data, PUBLIC_KEY_SIZE);
    certificate->display_name = borrowed(body->display_name);
    certificate->context = borrowed(body->context);
    if (certificate->display_name.size == 0 || certificate->display_name.size > NAME_MAX_BYTES ||
        !bytes_are_text(certificate->display_name, false) ||
        certificate->context.size > NAME_MAX_BYTES ||
        !bytes_are_text(certificate->context, false) || body->n_scopes > CERTIFICATE_SCOPES_MAX)
        return CERTIFICATE_MALFORMED;
    certificate->scope_count = body->n_scopes;
    for (size_t i = 0; i < body->n_scopes; i++) {
        certificate->scopes[i] = borrowed(body->scopes[i]);
        if (!peck_scope_is_valid(certificate->scopes[i]))
            return CERTIFICATE_MALFORMED;
    }
    certificate->issued_ms = body->issued_ms;
    certificate->not_after_ms = body->not_after_ms;
    certificate->sequence = body->sequence;
    if (certificate->issued_ms == 0 || certificate->not_after_ms <= certificate->issued_ms)
        return CERTIFICATE_BACK_IN_TIME;
    return is_known || identity_admit(&certificate->public_key) ? CERTIFICATE_TAKEN
                                                                : CERTIFICATE_KEY_REFUSED;
}

/* Certificate 0 names neither itself nor one before it; every other names both. */
static enum certificate_verdict read_links(const Duck__CertificateBody *body,
                                           struct certificate *certificate)
{
    if (certificate->sequence == 0) {
        if (body->identity.len != 0 || body->previous.len != 0)
            return CERTIFICATE_MALFORMED;
        certificate->identity = id_of(&certificate->hash);
        return CERTIFICATE_TAKEN;
    }
    if (!id_from_bytes(borrowed(body->identity), &certificate->identity) ||
        !read_hash(body->previous, &certificate->previous))
        return CERTIFICATE_MALFORMED;
    return CERTIFICATE_TAKEN;
}

static enum certificate_verdict open_one(struct bytes wire, bool is_known, struct arena *arena,
                                         struct certificate *certificate)
{
    Duck__CertificateBody *body;
    struct envelope envelope;
    enum certificate_verdict verdict;

    memset(certificate, 0, sizeof *certificate);
    if (envelope_parse(wire, ENVELOPE_CERTIFICATE, arena, &envelope) != ENVELOPE_TAKEN)
        return CERTIFICATE_BAD_ENVELOPE;
    body = duck__certificate_body__unpack(arena_protobuf_allocator(arena), envelope.body.size,
                                          envelope.body.data);
    if (!body)
        return CERTIFICATE_MALFORMED;
    certificate->hash = envelope.hash;
    certificate->wire = wire;
    verdict = read_body(body, is_known, certificate);
    if (verdict == CERTIFICATE_TAKEN)
        verdict = read_links(body, certificate);
    if (verdict != CERTIFICATE_TAKEN)
        return verdict;
    if (!id_equal(&envelope.signer, &certificate->identity))
        return CERTIFICATE_WRONG_SIGNER;
    /* The key that signs is inside what it signs, so here alone the body is read first. */
    if (!is_known && envelope_verify(&envelope, &certificate->public_key, NULL) != ENVELOPE_TAKEN)
        return CERTIFICATE_BAD_ENVELOPE;
    return CERTIFICATE_TAKEN;
}

static bool is_promised(const struct public_key *key, const struct certificate *before)
{
    struct hash hash = identity_key_hash(key);

    return hash_equal(&hash, &before->next_key_hash);
}

static enum certificate_verdict follows(const struct certificate *certificate,
                                        const struct certificate *before,
                                        const struct certificate *first)
{
    if (!id_equal(&certificate->identity, &first->identity) || certificate->kind != first->kind ||
        !bytes_equal(certificate->context, first->context))
        return CERTIFICATE_OTHER_IDENTITY;
    if (certificate->sequence != before->sequence + 1)
        return CERTIFICATE_OUT_OF_SEQUENCE;
    if (!hash_equal(&certificate->previous, &before->hash))
        return CERTIFICATE_NOT_LINKED;
    if (!is_promised(&certificate->public_key, before))
        return CERTIFICATE_KEY_NOT_PROMISED;
    if (certificate->issued_ms < before->issued_ms)
        return CERTIFICATE_BACK_IN_TIME;
    return CERTIFICATE_TAKEN;
}

/* Nothing but certificates: who could append something would have a chain that is as good, and longer. */
static bool is_plain(struct bytes wire)
{
    size_t at = 0;

    return skip_certificates(wire, &at) && at == wire.size;
}

static enum certificate_verdict open_all(struct bytes wire, bool is_known, struct arena *arena,
                                         struct chain *chain)
{
    struct chain opened = {0};
    Duck__Chain *message;

    if (wire.size > CHAIN_SIZE_MAX)
        return CERTIFICATE_TOO_LONG;
    opened.wire = arena_copy(arena, wire);
    message = duck__chain__unpack(arena_protobuf_allocator(arena), wire.size, wire.data);
    if (!message || !opened.wire.data || message->base.n_unknown_fields > 0)
        return CERTIFICATE_MALFORMED;
    if (message->context.len > 0)
        return CERTIFICATE_UNDER_CONTEXT;
    if (!is_plain(wire))
        return CERTIFICATE_MALFORMED;
    if (message->n_certificates == 0)
        return CERTIFICATE_EMPTY;
    opened.count = message->n_certificates;
    opened.certificates = arena_take(arena, opened.count * sizeof *opened.certificates);
    if (!opened.certificates)
        return CERTIFICATE_TOO_LONG;
    for (size_t i = 0; i < opened.count; i++) {
        struct certificate *certificate = &opened.certificates[i];
        enum certificate_verdict verdict =
            open_one(borrowed(message->certificates[i]), is_known, arena, certificate);

        if (verdict == CERTIFICATE_TAKEN && i == 0 && certificate->sequence != 0)
            verdict = CERTIFICATE_OUT_OF_SEQUENCE;
        if (verdict == CERTIFICATE_TAKEN && i > 0)
            verdict = follows(certificate, certificate - 1, &opened.certificates[0]);
        if (verdict != CERTIFICATE_TAKEN)
            return verdict;
    }
    opened.identity = opened.certificates[0].identity;
    opened.kind = opened.certificates[0].kind;
    *chain = opened;
    return CERTIFICATE_TAKEN;
}

enum certificate_verdict chain_open(struct bytes wire, struct arena *arena, struct chain *chain)
{
    return open_all(wire, false, arena, chain);
}

enum certificate_verdict chain_read(struct bytes wire, const struct id *identity,
                                    struct arena *arena, struct chain *chain)
{
    struct chain read;
    enum certificate_verdict verdict = open_all(wire, true, arena, &read);

    if (verdict == CERTIFICATE_TAKEN && !id_equal(&read.identity, identity))
        verdict = CERTIFICATE_OTHER_IDENTITY;
    if (verdict == CERTIFICATE_TAKEN)
        *chain = read;
    return verdict;
}

static size_t count_certificates(struct bytes wire, struct id *last)
{
    Duck__Chain *message;
    struct envelope envelope;
    struct arena arena;
    size_t count = 0;

    arena_init(&arena, PARSE_BUDGET(wire.size));
    message = duck__chain__unpack(arena_protobuf_allocator(&arena), wire.size, wire.data);
    if (message && message->context.len == 0)
        count = message->n_certificates;
    if (count > 0 && last &&
        envelope_parse(borrowed(message->certificates[count - 1]), ENVELOPE_CERTIFICATE, &arena,
                       &envelope) == ENVELOPE_TAKEN)
        *last = id_of(&envelope.hash);
    arena_free(&arena);
    return count;
}

size_t chain_count(struct bytes wire)
{
    return count_certificates(wire, NULL);
}

struct id chain_last(struct bytes wire)
{
    struct id last = {0};

    count_certificates(wire, &last);
    return last;
}

enum certificate_verdict chain_key_at(const struct chain *chain, uint64_t wall_ms,
                                      struct public_key *key)
{
    size_t i = chain->count;

    assert(chain->count > 0);
    while (i > 0 && chain->certificates[i - 1].issued_ms > wall_ms)
        i--;
    if (i == 0)
        return CERTIFICATE_NOT_YET;
    if (chain->certificates[i - 1].not_after_ms < wall_ms)
        return CERTIFICATE_EXPIRED;
    *key = chain->certificates[i - 1].public_key;
    return CERTIFICATE_TAKEN;
}

const struct certificate *chain_certificate_of(const struct chain *chain,
                                               const struct public_key *key)
{
    for (size_t i = chain->count; i-- > 0;)
        if (memcmp(chain->certificates[i].public_key.bytes, key->bytes, PUBLIC_KEY_SIZE) == 0)
            return &chain->certificates[i];
    return NULL;
}

bool chain_contradicts(const struct chain *left, const struct chain *right)
{
    size_t shared = left->count < right->count ? left->count : right->count;

    for (size_t i = 0; i < shared; i++)
        if (!hash_equal(&left->certificates[i].hash, &right->certificates[i].hash))
            return true;
    return false;
}

/* ---- making ---- */

struct bytes certificate_make(const struct certificate_wish *wish, const struct identity_key *key,
                              struct arena *arena, struct id *identity)
{
    Duck__CertificateBody message = DUCK__CERTIFICATE_BODY__INIT;
    struct public_key public = identity_key_public(key);
    ProtobufCBinaryData scopes[CERTIFICATE_SCOPES_MAX];
    struct hash hash;
    struct bytes body;
    uint8_t *data;

    assert(wish->scope_count <= CERTIFICATE_SCOPES_MAX);
    assert(!wish->previous || is_promised(&public, wish->previous));
    message.kind = (uint32_t)wish->kind;
    message.public_key = lent(bytes_of(public.bytes, PUBLIC_KEY_SIZE));
    message.next_key_hash = lent(bytes_of(wish->next_key_hash.bytes, HASH_SIZE));
    message.display_name = lent(wish->display_name);
    message.context = lent(wish->context);
    for (size_t i = 0; i < wish->scope_count; i++)
        scopes[i] = lent(wish->scopes[i]);
    message.n_scopes = wish->scope_count;
    message.scopes = scopes;
    message.issued_ms = wish->issued_ms;
    message.not_after_ms = wish->not_after_ms;
    if (wish->previous) {
        message.identity = lent(bytes_of(wish->previous->identity.bytes, ID_SIZE));
        message.sequence = wish->previous->sequence + 1;
        message.previous = lent(bytes_of(wish->previous->hash.bytes, HASH_SIZE));
    }
    data = arena_take(arena, duck__certificate_body__get_packed_size(&message));
    if (!data)
        return bytes_of(NULL, 0);
    body = bytes_of(data, duck__certificate_body__pack(&message, data));
    hash = envelope_hash(ENVELOPE_CERTIFICATE, body);
    *identity = wish->previous ? wish->previous->identity : id_of(&hash);
    return envelope_seal(ENVELOPE_CERTIFICATE, identity, key, body, arena, NULL);
}

struct bytes chain_pack(const struct bytes *certificates, size_t count, struct arena *arena)
{
    Duck__Chain message = DUCK__CHAIN__INIT;
    ProtobufCBinaryData *items = arena_take(arena, count * sizeof *items + 1);
    uint8_t *data;

    if (!items)
        return bytes_of(NULL, 0);
    for (size_t i = 0; i < count; i++)
        items[i] = lent(certificates[i]);
    message.n_certificates = count;
    message.certificates = items;
    data = arena_take(arena, duck__chain__get_packed_size(&message) + 1);
    if (!data)
        return bytes_of(NULL, 0);
    return bytes_of(data, duck__chain__pack(&message, data));
}

struct bytes chain_lengthen(const struct chain *chain, const struct identity_key *key,
                            const struct hash *promise, uint64_t wall_ms, struct arena *arena)
{
    const struct certificate *last = &chain->certificates[chain->count - 1];
    uint64_t issued_ms = wall_ms > last->issued_ms ? wall_ms : last->issued_ms + 1;
    struct certificate_wish wish = {
        .kind = chain->kind,
        .display_name = last->display_name,
        .context = last->context,
        .scopes = last->scopes,
        .scope_count = last->scope_count,
        .issued_ms = issued_ms,
        .not_after_ms = issued_ms + CERTIFICATE_LIFE_MS,
        .next_key_hash = *promise,
        .previous = last,
    };
    struct bytes *wires = arena_take(arena, (chain->count + 1) * sizeof *wires), longer;
    struct id identity;

    if (!wires)
        return bytes_of(NULL, 0);
    for (size_t i = 0; i < chain->count; i++)
        wires[i] = chain->certificates[i].wire;
    wires[chain->count] = certificate_make(&wish, key, arena, &identity);
    longer = chain_pack(wires, chain->count + 1, arena);
    return longer.size <= CHAIN_SIZE_MAX ? longer : bytes_of(NULL, 0);
}
