#include "revocation.h"

const char *revocation_verdict_text(enum revocation_verdict verdict)
{
    switch (verdict) {
    case REVOCATION_HOLDS:
        return "it holds";
    case REVOCATION_MALFORMED:
        return "it is no signed record that revokes";
    case REVOCATION_OTHER_IDENTITY:
        return "it revokes another identity";
    case REVOCATION_BAD_SIGNATURE:
        return "the last key of its certificates did not sign it";
    }
    return "";
}

enum revocation_verdict revocation_open(struct bytes wire, const struct chain *chain,
                                        struct arena *arena, struct revocation_content *content)
{
    struct revocation_content parsed;
    const struct certificate *last = &chain->certificates[chain->count - 1];
    struct envelope envelope;
    struct record record;

    if (envelope_parse(wire, ENVELOPE_RECORD, arena, &envelope) != ENVELOPE_TAKEN ||
        record_parse(envelope.body, arena, &record) != RECORD_OK ||
        record.kind != RECORD_REVOCATION ||
        revocation_content_parse(record.content, arena, &parsed) != RECORD_OK)
        return REVOCATION_MALFORMED;
    if (!id_equal(&record.owner, &chain->identity) || !id_equal(&envelope.signer, &chain->identity))
        return REVOCATION_OTHER_IDENTITY;
    if (record.version.ms < last->issued_ms ||
        envelope_verify(&envelope, &last->public_key, NULL) != ENVELOPE_TAKEN)
        return REVOCATION_BAD_SIGNATURE;
    *content = parsed;
    return REVOCATION_HOLDS;
}
