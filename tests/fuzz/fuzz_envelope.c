/* Signed things and the bodies inside: parsers of hostile bytes, each under the budget of its size.
 * The first byte chooses the parser. */
#include "people.h"

#include "core/accusation.h"
#include "core/peck.h"
#include "core/receipt.h"
#include "core/record.h"

/* What parsed as an envelope is never believed to be signed by someone who did not sign it. */
static void open_envelope(struct bytes wire, enum envelope_type type, struct arena *arena)
{
    struct envelope envelope;

    if (envelope_parse(wire, type, arena, &envelope) != ENVELOPE_TAKEN)
        return;
    MUST(wire.size <= envelope_size_max(type));
    MUST(envelope.type == type);
    MUST(envelope.batch.length <= BATCH_PATH_MAX);
}

static void open_content(const struct record *record, struct arena *arena)
{
    struct attestation_content attestation;
    struct revocation_content revocation;
    struct duckling_content duckling;
    struct metrics_content metrics;
    struct node_content node;

    if (node_content_parse(record->content, arena, &node) == RECORD_OK)
        MUST(node.address_count <= NODE_ADDRESSES_MAX);
    if (duckling_content_parse(record->content, arena, &duckling) == RECORD_OK)
        MUST(duckling.capability_count <= DUCKLING_CAPABILITIES_MAX);
    if (revocation_content_parse(record->content, arena, &revocation) == RECORD_OK)
        MUST(revocation.reason.size <= REVOCATION_REASON_MAX);
    (void)metrics_content_parse(record->content, &metrics);
    (void)attestation_content_parse(record->content, arena, &attestation);
}

/* What was parsed can be packed again, and then says the same. */
static void open_peck(struct bytes body, struct arena *arena)
{
    struct peck peck, again;
    struct bytes packed;

    if (peck_parse(body, arena, &peck) != PECK_OK)
        return;
    MUST(peck.payload.size <= PECK_PAYLOAD_MAX && peck.scope_count <= PECK_SCOPES_MAX);
    MUST(peck_pack(&peck, arena, &packed) == PECK_OK);
    if (peck_parse(packed, arena, &again) != PECK_OK) {
        MUST(&memory_is_short && memory_is_short);
        return;
    }
    MUST(peck_same_content(&peck, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes body = bytes_of(size > 0 ? data + 1 : data, size > 0 ? size - 1 : 0);
    struct introduction introduction;
    struct receipt receipt;
    struct accusation accusation;
    struct record record;
    struct arena arena;
    struct chain chain;

    if (size == 0)
        return 0;
    arena_init(&arena, 4 * PARSE_BUDGET(size) + 64 * KIB);
    switch (data[0] % 10) {
    case 0:
        open_envelope(body, ENVELOPE_CERTIFICATE, &arena);
        break;
    case 1:
        open_envelope(body, ENVELOPE_PECK, &arena);
        break;
    case 2:
        open_envelope(body, ENVELOPE_RECEIPT, &arena);
        break;
    case 3:
        open_envelope(body, ENVELOPE_RECORD, &arena);
        break;
    case 4:
        open_peck(body, &arena);
        break;
    case 5:
        if (receipt_parse(body, &arena, &receipt) == RECEIPT_OK)
            MUST(receipt.result.size <= PECK_PAYLOAD_MAX);
        break;
    case 6:
        if (record_parse(body, &arena, &record) == RECORD_OK)
            open_content(&record, &arena);
        break;
    case 7:
        if (chain_open(body, &arena, &chain) == CERTIFICATE_TAKEN)
            MUST(chain.count > 0);
        break;
    case 8:
        (void)introduction_open(body, bytes_of_text(PEOPLE_NETWORK), PEOPLE_WALL_MS, &arena,
                                &introduction);
        break;
    case 9:
        if (accusation_parse(body, &arena, &accusation) == ACCUSATION_OK)
            MUST(!id_equal(&accusation.accuser, &accusation.accused));
        break;
    default:
        break;
    }
    arena_free(&arena);
    return 0;
}
