#include "introduction.h"

#include "core/binary_data.h"
#include "wire/session.pb-c.h"

const char *introduction_verdict_text(enum introduction_verdict verdict)
{
    switch (verdict) {
    case INTRODUCTION_TAKEN:
        return "taken";
    case INTRODUCTION_MALFORMED:
        return "not a well-formed introduction";
    case INTRODUCTION_BAD_CHAIN:
        return "the node's certificates do not hold";
    case INTRODUCTION_NOT_A_NODE:
        return "introduces something that is no node";
    case INTRODUCTION_BAD_RECORD:
        return "the node's record does not hold";
    case INTRODUCTION_OTHER_NETWORK:
        return "the node belongs to another network";
    case INTRODUCTION_EXPIRED:
        return "the node's certificate, record or session key has expired, or is not valid yet";
    }
    return "";
}

struct bytes introduction_pack(struct bytes chain, struct bytes record, struct arena *arena)
{
    Duck__Introduction message = DUCK__INTRODUCTION__INIT;
    uint8_t *data;

    message.chain.data = (uint8_t *)(uintptr_t)chain.data;
    message.chain.len = chain.size;
    message.record.data = (uint8_t *)(uintptr_t)record.data;
    message.record.len = record.size;
    data = arena_take(arena, duck__introduction__get_packed_size(&message) + 1);
    if (!data)
        return bytes_of(NULL, 0);
    return bytes_of(data, duck__introduction__pack(&message, data));
}

static enum introduction_verdict open_record(struct introduction *introduction,
                                             struct bytes network, uint64_t wall_ms,
                                             struct arena *arena)
{
    struct record *record = &introduction->record;
    struct envelope envelope;
    struct public_key key;
    enum record_verdict dates;

    if (chain_key_at(&introduction->chain, wall_ms + CLOCK_SKEW_MAX_MS, &key) != CERTIFICATE_TAKEN)
        return INTRODUCTION_EXPIRED;
    if (envelope_parse(introduction->record_wire, ENVELOPE_RECORD, arena, &envelope) !=
            ENVELOPE_TAKEN ||
        envelope_verify(&envelope, &key, NULL) != ENVELOPE_TAKEN ||
        record_parse(envelope.body, arena, record) != RECORD_OK)
        return INTRODUCTION_BAD_RECORD;
    if (record->kind != RECORD_NODE || record->deleted ||
        !id_equal(&record->owner, &introduction->node) ||
        !id_equal(&envelope.signer, &introduction->node))
        return INTRODUCTION_BAD_RECORD;
    if (!bytes_equal(record->network, network))
        return INTRODUCTION_OTHER_NETWORK;
    dates = record_judge_dates(record, wall_ms);
    if (dates != RECORD_OK)
        return INTRODUCTION_EXPIRED;
    if (node_content_parse(record->content, arena, &introduction->content) != RECORD_OK)
        return INTRODUCTION_BAD_RECORD;
    return introduction->content.session_not_after_ms > wall_ms ? INTRODUCTION_TAKEN
                                                                : INTRODUCTION_EXPIRED;
}

enum introduction_verdict introduction_open(struct bytes wire, struct bytes network,
                                            uint64_t wall_ms, struct arena *arena,
                                            struct introduction *introduction)
{
    struct introduction opened = {0};
    enum introduction_verdict verdict;
    Duck__Introduction *message;

    if (wire.size > INTRODUCTION_SIZE_MAX)
        return INTRODUCTION_MALFORMED;
    opened.wire = arena_copy(arena, wire);
    message = duck__introduction__unpack(arena_protobuf_allocator(arena), wire.size, wire.data);
    if (!message || !opened.wire.data || message->base.n_unknown_fields > 0)
        return INTRODUCTION_MALFORMED;
    if (chain_open(borrowed(message->chain), arena, &opened.chain) != CERTIFICATE_TAKEN)
        return INTRODUCTION_BAD_CHAIN;
    if (opened.chain.kind != IDENTITY_NODE)
        return INTRODUCTION_NOT_A_NODE;
    opened.node = opened.chain.identity;
    opened.record_wire = borrowed(message->record);
    verdict = open_record(&opened, network, wall_ms, arena);
    if (verdict == INTRODUCTION_TAKEN)
        *introduction = opened;
    return verdict;
}
