#include "accusation.h"

#include "binary_data.h"
#include "wire/gossip.pb-c.h"

const char *accusation_verdict_text(enum accusation_verdict verdict)
{
    switch (verdict) {
    case ACCUSATION_OK:
        return "fine";
    case ACCUSATION_MALFORMED:
        return "the accusation has a field that is missing or of a wrong length";
    case ACCUSATION_TOO_LARGE:
        return "an accusation is at most 512 bytes";
    case ACCUSATION_OF_ITSELF:
        return "nobody accuses itself";
    case ACCUSATION_BAD_TIMES:
        return "the accusation ends before it begins, or lives longer than 60 s";
    case ACCUSATION_EXPIRED:
        return "the accusation has expired";
    case ACCUSATION_FROM_FUTURE:
        return "the accusation is more than 5 minutes ahead of this node's clock";
    }
    return "";
}

static enum accusation_verdict judge(const struct accusation *accusation)
{
    if (accusation->network.size == 0 || accusation->network.size > NETWORK_ID_MAX ||
        id_is_zero(&accusation->accuser) || id_is_zero(&accusation->accused) ||
        accusation->version.ms == 0 || accusation->made_ms == 0)
        return ACCUSATION_MALFORMED;
    if (id_equal(&accusation->accuser, &accusation->accused))
        return ACCUSATION_OF_ITSELF;
    if (accusation->not_after_ms <= accusation->made_ms ||
        accusation->not_after_ms - accusation->made_ms > ACCUSATION_LIFE_MS)
        return ACCUSATION_BAD_TIMES;
    return ACCUSATION_OK;
}

enum accusation_verdict accusation_parse(struct bytes body, struct arena *arena,
                                         struct accusation *accusation)
{
    struct accusation parsed = {0};
    Duck__AccusationBody *message;
    enum accusation_verdict verdict;

    if (body.size > ACCUSATION_SIZE_MAX)
        return ACCUSATION_TOO_LARGE;
    message = duck__accusation_body__unpack(arena_protobuf_allocator(arena), body.size, body.data);
    if (!message || !id_from_bytes(borrowed(message->accuser), &parsed.accuser) ||
        !id_from_bytes(borrowed(message->accused), &parsed.accused))
        return ACCUSATION_MALFORMED;
    parsed.network = borrowed(message->network);
    parsed.version = (struct version){message->version_ms, message->version_count};
    parsed.made_ms = message->made_ms;
    parsed.not_after_ms = message->not_after_ms;
    verdict = judge(&parsed);
    if (verdict == ACCUSATION_OK)
        *accusation = parsed;
    return verdict;
}

enum accusation_verdict accusation_pack(const struct accusation *accusation, struct arena *arena,
                                        struct bytes *body)
{
    Duck__AccusationBody message = DUCK__ACCUSATION_BODY__INIT;
    enum accusation_verdict verdict = judge(accusation);
    uint8_t *data;

    *body = bytes_of(NULL, 0);
    if (verdict != ACCUSATION_OK)
        return verdict;
    message.network = lent(accusation->network);
    message.accuser = lent(id_bytes(&accusation->accuser));
    message.accused = lent(id_bytes(&accusation->accused));
    message.version_ms = accusation->version.ms;
    message.version_count = accusation->version.count;
    message.made_ms = accusation->made_ms;
    message.not_after_ms = accusation->not_after_ms;
    data = arena_take(arena, duck__accusation_body__get_packed_size(&message));
    if (!data)
        return ACCUSATION_TOO_LARGE;
    *body = bytes_of(data, duck__accusation_body__pack(&message, data));
    return ACCUSATION_OK;
}

enum accusation_verdict accusation_judge_dates(const struct accusation *accusation,
                                               uint64_t wall_ms)
{
    if (accusation->made_ms > wall_ms + CLOCK_SKEW_MAX_MS ||
        accusation->version.ms > wall_ms + CLOCK_SKEW_MAX_MS)
        return ACCUSATION_FROM_FUTURE;
    return accusation->not_after_ms + CLOCK_SKEW_MAX_MS < wall_ms ? ACCUSATION_EXPIRED
                                                                  : ACCUSATION_OK;
}
