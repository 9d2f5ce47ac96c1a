#include "happening.h"

#include "core/id.h"
#include "reply.h"

#include <stdio.h>

static const char *const names[HAPPENINGS] = {
    [HAPPENED_HATCH] = "hatch",
    [HAPPENED_CERTIFICATE] = "cert_issued",
    [HAPPENED_PECK] = "peck",
    [HAPPENED_PECK_ANSWERED] = "peck_answered",
    [HAPPENED_BOND] = "bond",
    [HAPPENED_UNPECK] = "unpeck",
    [HAPPENED_TIER_CHANGE] = "tier_change",
    [HAPPENED_KEY_ROTATED] = "key_rotated",
    [HAPPENED_REVOKED] = "revoked",
    [HAPPENED_LOBSTER] = "lobster",
};

const char *happening_name(enum happening happening)
{
    return happening > 0 && happening < HAPPENINGS ? names[happening] : "";
}

bool happening_find(struct bytes name, enum happening *happening)
{
    for (unsigned i = 1; i < HAPPENINGS; i++)
        if (bytes_equal(name, bytes_of_text(names[i]))) {
            *happening = (enum happening)i;
            return true;
        }
    return false;
}

bool happening_has_other_end(enum happening happening)
{
    return happening == HAPPENED_PECK || happening == HAPPENED_PECK_ANSWERED ||
           happening == HAPPENED_BOND || happening == HAPPENED_UNPECK ||
           happening == HAPPENED_LOBSTER;
}

bool happening_has_action(enum happening happening)
{
    return happening == HAPPENED_PECK || happening == HAPPENED_PECK_ANSWERED;
}

const char *event_id_text(const uint8_t name[EVENT_NAME_SIZE], uint64_t number,
                          char text[EVENT_ID_SIZE])
{
    uint8_t bytes[2 * EVENT_NAME_SIZE];

    memcpy(bytes, name, EVENT_NAME_SIZE);
    for (size_t i = 0; i < EVENT_NAME_SIZE; i++)
        bytes[EVENT_NAME_SIZE + i] = (uint8_t)(number >> (8 * (7 - i)));
    memcpy(text, "evt_", 4);
    base32_encode(bytes_of(bytes, sizeof bytes), text + 4);
    return text;
}

bool event_id_parse(const uint8_t name[EVENT_NAME_SIZE], struct bytes text, uint64_t *number)
{
    uint8_t bytes[2 * EVENT_NAME_SIZE];
    size_t size;

    if (text.size != EVENT_ID_SIZE - 1 || memcmp(text.data, "evt_", 4) != 0 ||
        !base32_decode(bytes_of(text.data + 4, text.size - 4), bytes, sizeof bytes, &size) ||
        size != sizeof bytes || memcmp(bytes, name, EVENT_NAME_SIZE) != 0)
        return false;
    *number = 0;
    for (size_t i = 0; i < EVENT_NAME_SIZE; i++)
        *number = *number << 8 | bytes[EVENT_NAME_SIZE + i];
    return true;
}

char *event_body(const char *id, enum happening happening, uint64_t at_ms, const char *data)
{
    json_t *event = json_object();
    char time[REPLY_TIME_SIZE], *text;

    reply_word(event, "id", id);
    reply_word(event, "type", happening_name(happening));
    reply_word(event, "timestamp", reply_time(at_ms, time));
    json_object_set_new(event, "data", json_loads(data, 0, NULL));
    text = json_dumps(event, JSON_COMPACT);
    json_decref(event);
    return text;
}

static void put_sample(json_t *data, enum happening happening, const char *duckling_id)
{
    static const uint8_t nothing[ID_SIZE];
    struct id id;
    char text[ID_TEXT_SIZE];

    memcpy(id.bytes, nothing, sizeof nothing);
    id.bytes[0] = 1; /* nobody's: ids are hashes */
    reply_word(data, "duckling_id", duckling_id);
    if (happening_has_other_end(happening))
        reply_word(data, "with", id_text(ID_DUCKLING, &id, text));
    if (happening_has_action(happening)) {
        reply_word(data, "peck_id", id_text(ID_PECK, &id, text));
        reply_word(data, "action", "query");
        reply_word(data, "state", happening == HAPPENED_PECK ? "taken" : "answered");
    } else if (happening_has_other_end(happening)) {
        reply_word(data, "bond_id", id_text(ID_BOND, &id, text));
        if (happening == HAPPENED_LOBSTER)
            reply_word(data, "step", "live");
    } else if (happening == HAPPENED_TIER_CHANGE) {
        reply_word(data, "tier", "T1");
        reply_word(data, "was", "T0");
    } else if (happening == HAPPENED_KEY_ROTATED) {
        reply_word(data, "what", "beak_key");
    } else if (happening == HAPPENED_REVOKED) {
        reply_word(data, "reason", "its key was stolen");
    } else {
        reply_word(data, "certificate_id", id_text(ID_CERTIFICATE, &id, text));
    }
}

char *happening_sample(enum happening happening, const char *duckling_id)
{
    json_t *data = json_object();
    char *text;

    put_sample(data, happening, duckling_id);
    json_object_set_new(data, "test", json_true());
    text = json_dumps(data, JSON_COMPACT);
    json_decref(data);
    return text;
}
