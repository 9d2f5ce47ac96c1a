#include "context.h"

#include "binary_data.h"
#include "grant.h"
#include "record.h"
#include "wire/certificate.pb-c.h"

#include <assert.h>
#include <stdio.h>

#define TEXT_SIZE 512u       /* of a sentence: a name, an action, an id and words */
#define CARRIER_ISSUED_MS 1u /* as certificate.proto has it, so that anybody can name it */
#define CARRIER_NOT_AFTER_MS MUTE_LATEST_MS

_Static_assert(CONTEXT_LIFE_MAX_MS + DAY_MS <= REVOCATION_LIFE_MAX_MS,
               "a revocation outlives what it ends, whenever it is said");

const char *context_verdict_text(enum context_verdict verdict)
{
    switch (verdict) {
    case CONTEXT_OK:
        return "fine";
    case CONTEXT_BAD_ENVELOPE:
        return "the context's envelope does not hold";
    case CONTEXT_MALFORMED:
        return "the context has a field that is missing, too long or out of range";
    case CONTEXT_BAD_TIMES:
        return "the context ends before it begins, lives longer than 364 days, or is older than "
               "the certificate that issued it";
    case CONTEXT_KEY_REFUSED:
        return "the context's public key is not a point of prime order";
    case CONTEXT_OTHER_IDENTITY:
        return "the context is of another identity, or of no duckling";
    case CONTEXT_NOT_ISSUED:
        return "the context was issued under a certificate that its duckling does not have";
    case CONTEXT_BAD_SIGNATURE:
        return "the context's signature does not hold";
    case CONTEXT_REPLACED:
        return "the context was issued under a key that was replaced since";
    case CONTEXT_NO_ACTION:
        return "only actions are pecked under a context";
    case CONTEXT_NO_REVOKING:
        return "a grant is taken back by the main key, not under a context";
    case CONTEXT_COVERS_NOT:
        return "the context does not cover the action";
    case CONTEXT_NOT_YET:
        return "the context is not valid yet";
    case CONTEXT_ENDED:
        return "the context has ended";
    case CONTEXT_REVOKED:
        return "the context is revoked";
    }
    return "";
}

const char *context_refusal_text(enum context_verdict verdict, const struct context *context,
                                 const struct peck *peck, struct arena *arena)
{
    char *text = arena_take(arena, TEXT_SIZE), id[ID_TEXT_SIZE];
    const char *plain = context_verdict_text(verdict);

    if (!text)
        return plain;
    id_text(ID_CERTIFICATE, &context->id, id);
    if (verdict == CONTEXT_COVERS_NOT)
        snprintf(text, TEXT_SIZE, "its context %.*s (%s) does not cover %.*s",
                 (int)context->name.size, (const char *)context->name.data, id,
                 (int)peck->action.size, (const char *)peck->action.data);
    else
        snprintf(text, TEXT_SIZE, "its context %.*s (%s): %s", (int)context->name.size,
                 (const char *)context->name.data, id, plain);
    return text;
}

/* ---- the identity that ends it ---- */

static struct bytes carrier_body(const struct context *context, struct arena *arena)
{
    static const uint8_t no_key[HASH_SIZE];
    Duck__CertificateBody message = DUCK__CERTIFICATE_BODY__INIT;
    char duckling[ID_TEXT_SIZE];
    uint8_t *data;

    message.kind = IDENTITY_OPERATOR;
    message.public_key = lent(bytes_of(context->public_key.bytes, PUBLIC_KEY_SIZE));
    message.next_key_hash = lent(bytes_of(no_key, HASH_SIZE));
    message.display_name = lent(context->name);
    message.context = lent(bytes_of_text(id_text(ID_DUCKLING, &context->identity, duckling)));
    message.issued_ms = CARRIER_ISSUED_MS;
    message.not_after_ms = CARRIER_NOT_AFTER_MS;
    data = arena_take(arena, duck__certificate_body__get_packed_size(&message));
    return data ? bytes_of(data, duck__certificate_body__pack(&message, data)) : bytes_of(NULL, 0);
}

/* As long as there is something to end, whatever clocks say: who issues and revokes without end leaves no more than that. */
static uint64_t revocation_ends_ms(const struct context *context, uint64_t wall_ms)
{
    uint64_t ends_ms = context->not_after_ms + DAY_MS;

    if (ends_ms < wall_ms + REVOCATION_LIFE_MIN_MS)
        return wall_ms + REVOCATION_LIFE_MIN_MS;
    return ends_ms < wall_ms + REVOCATION_LIFE_MAX_MS ? ends_ms : wall_ms + REVOCATION_LIFE_MAX_MS;
}

void context_revoke(const struct context *context, const struct identity_key *key,
                    struct bytes network, struct bytes reason, uint64_t wall_ms,
                    struct arena *arena, struct bytes *wire, struct bytes *chain)
{
    struct record record = {.network = network,
                            .owner = context->carrier,
                            .kind = RECORD_REVOCATION,
                            .version = {wall_ms, 0},
                            .not_after_ms = revocation_ends_ms(context, wall_ms)};
    struct revocation_content content = {
        .subject = context->carrier, .reason = reason, .revoked_at_ms = wall_ms};
    struct bytes certificate = envelope_seal(ENVELOPE_CERTIFICATE, &context->carrier, key,
                                             carrier_body(context, arena), arena, NULL);
    struct bytes body;

    *wire = bytes_of(NULL, 0);
    *chain = chain_pack(&certificate, 1, arena);
    record.content = revocation_content_pack(&content, arena);
    if (record_pack(&record, arena, &body) == RECORD_OK)
        *wire = envelope_seal(ENVELOPE_RECORD, &record.owner, key, body, arena, NULL);
}

/* ---- reading ---- */

static bool read_scopes(const Duck__ContextBody *body, struct context *context)
{
    if (body->n_scopes == 0 || body->n_scopes > CERTIFICATE_SCOPES_MAX)
        return false;
    context->scope_count = body->n_scopes;
    for (size_t i = 0; i < body->n_scopes; i++) {
        context->scopes[i] = borrowed(body->scopes[i]);
        if (!peck_scope_is_valid(context->scopes[i]))
            return false;
    }
    return true;
}

static enum context_verdict read_body(const Duck__ContextBody *body, struct context *context)
{
    if (body->base.n_unknown_fields > 0 ||
        !id_from_bytes(borrowed(body->identity), &context->identity) ||
        body->public_key.len != PUBLIC_KEY_SIZE || body->certificate.len != HASH_SIZE)
        return CONTEXT_MALFORMED;
    context->name = borrowed(body->context);
    memcpy(context->public_key.bytes, body->public_key.data, PUBLIC_KEY_SIZE);
    memcpy(context->certificate.bytes, body->certificate.data, HASH_SIZE);
    context->issued_ms = body->issued_ms;
    context->not_after_ms = body->not_after_ms;
    if (context->name.size == 0 || context->name.size > NAME_MAX_BYTES ||
        !bytes_are_name(context->name) || !read_scopes(body, context))
        return CONTEXT_MALFORMED;
    if (context->issued_ms == 0 || context->not_after_ms <= context->issued_ms ||
        context->not_after_ms - context->issued_ms > CONTEXT_LIFE_MAX_MS)
        return CONTEXT_BAD_TIMES;
    return CONTEXT_OK;
}

static enum context_verdict read_envelope(struct bytes wire, struct arena *arena,
                                          struct envelope *envelope, struct context *context)
{
    struct context read = {.wire = wire};
    enum context_verdict verdict;
    Duck__ContextBody *body;
    struct bytes carrier;
    struct hash hash;

    if (envelope_parse(wire, ENVELOPE_CONTEXT, arena, envelope) != ENVELOPE_TAKEN ||
        envelope->batch.size > 0)
        return CONTEXT_BAD_ENVELOPE;
    body = duck__context_body__unpack(arena_protobuf_allocator(arena), envelope->body.size,
                                      envelope->body.data);
    verdict = body ? read_body(body, &read) : CONTEXT_MALFORMED;
    if (verdict != CONTEXT_OK)
        return verdict;
    if (!id_equal(&envelope->signer, &read.identity))
        return CONTEXT_OTHER_IDENTITY;
    carrier = carrier_body(&read, arena);
    if (!carrier.data)
        return CONTEXT_MALFORMED;
    hash = envelope_hash(ENVELOPE_CERTIFICATE, carrier);
    read.carrier = id_of(&hash);
    read.hash = envelope->hash;
    read.id = id_of(&envelope->hash);
    *context = read;
    return CONTEXT_OK;
}

enum context_verdict context_read(struct bytes wire, struct arena *arena, struct context *context)
{
    struct envelope envelope;

    return read_envelope(wire, arena, &envelope, context);
}

static const struct certificate *find_issuer(const struct chain *chain, const struct hash *hash)
{
    for (size_t i = chain->count; i-- > 0;)
        if (hash_equal(&chain->certificates[i].hash, hash))
            return &chain->certificates[i];
    return NULL;
}

enum context_verdict context_open(struct bytes wire, const struct chain *chain, struct arena *arena,
                                  struct context *context, const struct certificate **issuer)
{
    const struct certificate *by;
    struct envelope envelope;
    struct context read;
    enum context_verdict verdict = read_envelope(wire, arena, &envelope, &read);

    if (verdict != CONTEXT_OK)
        return verdict;
    if (!id_equal(&read.identity, &chain->identity) || chain->kind != IDENTITY_DUCKLING)
        return CONTEXT_OTHER_IDENTITY;
    by = find_issuer(chain, &read.certificate);
    if (!by)
        return CONTEXT_NOT_ISSUED;
    if (read.issued_ms < by->issued_ms)
        return CONTEXT_BAD_TIMES;
    if (envelope_verify(&envelope, &by->public_key, NULL) != ENVELOPE_TAKEN)
        return CONTEXT_BAD_SIGNATURE;
    if (!identity_admit(&read.public_key))
        return CONTEXT_KEY_REFUSED;
    *context = read;
    if (issuer)
        *issuer = by;
    return CONTEXT_OK;
}

/* ---- judging ---- */

static bool covers(const struct context *context, struct bytes action)
{
    for (size_t i = 0; i < context->scope_count; i++)
        if (peck_scope_covers(context->scopes[i], action))
            return true;
    return false;
}

/* It ends by the clock of who judges, not only by the peck's own date: a thief of its key can date
 * back. Its beginning has the skew of clocks, because a rotation may be dated ahead of them. */
enum context_verdict context_judge(const struct context *context, const struct peck *peck,
                                   uint64_t wall_ms)
{
    if (peck->kind != PECK_ACTION)
        return CONTEXT_NO_ACTION;
    if (peck->grant.size > 0 && bytes_equal(peck->action, bytes_of_text(GRANT_REVOKE_ACTION)))
        return CONTEXT_NO_REVOKING;
    if (wall_ms > context->not_after_ms || peck->created_ms > context->not_after_ms)
        return CONTEXT_ENDED;
    if (peck->created_ms + CLOCK_SKEW_MAX_MS < context->issued_ms)
        return CONTEXT_NOT_YET;
    return covers(context, peck->action) ? CONTEXT_OK : CONTEXT_COVERS_NOT;
}

bool context_is_meant(const struct context *context, struct bytes said)
{
    struct id id;

    if (!context || said.size == 0)
        return !context && said.size == 0;
    return bytes_equal(context->name, said) ||
           (id_parse(ID_CERTIFICATE, said, &id) && id_equal(&id, &context->id));
}

/* ---- making ---- */

enum context_verdict context_make(const struct context_wish *wish,
                                  const struct identity_key *main_key, struct arena *arena,
                                  struct bytes *wire)
{
    Duck__ContextBody message = DUCK__CONTEXT_BODY__INIT;
    ProtobufCBinaryData scopes[CERTIFICATE_SCOPES_MAX];
    enum context_verdict verdict;
    struct context made;
    struct bytes sealed;
    uint8_t *data;

    *wire = bytes_of(NULL, 0);
    if (wish->scope_count > CERTIFICATE_SCOPES_MAX)
        return CONTEXT_MALFORMED;
    message.identity = lent(id_bytes(&wish->identity));
    message.context = lent(wish->name);
    message.public_key = lent(bytes_of(wish->public_key.bytes, PUBLIC_KEY_SIZE));
    for (size_t i = 0; i < wish->scope_count; i++)
        scopes[i] = lent(wish->scopes[i]);
    message.n_scopes = wish->scope_count;
    message.scopes = scopes;
    message.issued_ms = wish->issued_ms;
    message.not_after_ms = wish->not_after_ms;
    message.certificate = lent(bytes_of(wish->certificate.bytes, HASH_SIZE));
    data = arena_take(arena, duck__context_body__get_packed_size(&message));
    if (!data)
        return CONTEXT_MALFORMED;
    sealed = envelope_seal(ENVELOPE_CONTEXT, &wish->identity, main_key,
                           bytes_of(data, duck__context_body__pack(&message, data)), arena, NULL);
    verdict = context_read(sealed, arena, &made);
    if (verdict == CONTEXT_OK)
        *wire = sealed;
    return verdict;
}
