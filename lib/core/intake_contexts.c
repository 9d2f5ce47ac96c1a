/* Pecks that are signed under a context: by its key, which the main key issued. */
#include "intake_parts.h"

#include "context.h"

static struct remembered_context *place_of(struct intake *intake, const struct hash *hash)
{
    uint32_t number;

    memcpy(&number, hash->bytes, sizeof number);
    return &intake->contexts[number & (CONTEXTS_REMEMBERED - 1)];
}

/* Verified now, or before: then its form alone is read again. */
static enum context_verdict open_context(struct intake *intake, struct bytes wire,
                                         struct bytes chain, const struct id *identity,
                                         struct arena *arena, struct context *context,
                                         struct public_key *issuer)
{
    const struct hash hash = hash_of(wire);
    struct remembered_context *place = place_of(intake, &hash);
    const struct certificate *by;
    enum context_verdict verdict;
    struct chain opened;

    if (place->is_taken && hash_equal(&place->hash, &hash)) {
        *issuer = place->issuer;
        verdict = context_read(wire, arena, context);
        return verdict == CONTEXT_OK && !id_equal(&context->identity, identity)
                   ? CONTEXT_OTHER_IDENTITY
                   : verdict;
    }
    /* The chain was verified just now, or is known by its hash. */
    if (chain_read(chain, identity, arena, &opened) != CERTIFICATE_TAKEN)
        return CONTEXT_NOT_ISSUED;
    intake->alone++;
    verdict = context_open(wire, &opened, arena, context, &by);
    if (verdict != CONTEXT_OK)
        return verdict;
    *issuer = by->public_key;
    *place = (struct remembered_context){.is_taken = true, .hash = hash, .issuer = *issuer};
    return CONTEXT_OK;
}

/* Issued by the key that speaks now; or by one that was retired lately: what was signed under it in that
 * one's time is judged like what that one signed itself. */
static bool find_period(struct intake *intake, const struct signer *signer,
                        const struct public_key *issuer, uint64_t wall_ms, struct period *period)
{
    struct retired_key keys[KEYRING_RETIRED_MAX];
    uint64_t older_until_ms;
    size_t count;

    *period = intake_always;
    if (memcmp(issuer->bytes, signer->key.bytes, PUBLIC_KEY_SIZE) == 0)
        return true;
    intake_enter(intake);
    count = keyring_retired(intake->settings.keyring, &signer->id, keys, &older_until_ms);
    intake_leave(intake);
    for (size_t i = 0; i < count; i++)
        if (memcmp(issuer->bytes, keys[i].key.bytes, PUBLIC_KEY_SIZE) == 0 &&
            keys[i].until_ms + RECORD_LIFE_MAX_MS > wall_ms) {
            *period = (struct period){true, keys[i].from_ms, keys[i].until_ms};
            return true;
        }
    return false;
}

enum intake_verdict intake_check_under(struct intake *intake, const struct envelope *envelope,
                                       struct bytes chain, struct bytes wire, uint64_t wall_ms,
                                       struct arena *arena, struct signer *signer,
                                       struct period *period, const struct context **under,
                                       char reason[REASON_SIZE])
{
    struct context *context = arena_take(arena, sizeof *context);
    enum intake_verdict verdict =
        context ? intake_name_signer(intake, envelope, chain, wall_ms, arena, signer, reason)
                : INTAKE_MALFORMED;
    enum context_verdict opened;
    struct public_key issuer;

    if (verdict != INTAKE_TAKEN)
        return verdict;
    opened = open_context(intake, wire, chain, &signer->id, arena, context, &issuer);
    if (opened != CONTEXT_OK) {
        intake_say(reason, "%s", context_verdict_text(opened));
        return INTAKE_BAD_CHAIN;
    }
    if (!find_period(intake, signer, &issuer, wall_ms, period) ||
        !intake_within(period, context->issued_ms)) {
        intake_say(reason, "%.*s: %s", (int)context->name.size, (const char *)context->name.data,
                   context_verdict_text(CONTEXT_REPLACED));
        return INTAKE_RETIRED_KEY;
    }
    *under = context;
    return intake_verify(intake, envelope, &context->public_key, reason);
}
