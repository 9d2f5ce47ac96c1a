/* Handshake frames from a stranger: the first byte says who we are and what we know, then come
 * frames: type (1 byte), size (2 bytes, big-endian), body. */
#include "people.h"

/* Hatched once: their keys cost more than all the rest. */
static struct arena memory;
static struct person alice, bob;
static struct session_settings of_alice, of_bob;

static void hatch_both(void)
{
    if (alice.key)
        return;
    MUST(identity_self_test());
    arena_init(&memory, PEOPLE_MEMORY);
    alice = person_hatch(IDENTITY_NODE, 1, &memory);
    bob = person_hatch(IDENTITY_NODE, 2, &memory);
    of_alice = person_settings(&alice, &memory);
    of_bob = person_settings(&bob, &memory);
}

/* Bob is called, Alice calls. */
static struct session *begin(uint8_t choice)
{
    struct session_output first;
    uint8_t ephemeral[64];

    memset(ephemeral, PEOPLE_EPHEMERAL, sizeof ephemeral);
    if (choice & 1)
        return session_new_callee(&of_bob, ephemeral);
    return session_new_caller(&of_alice, choice & 2 ? &bob.id : NULL,
                              choice & 4 ? bob.pair.public : NULL, ephemeral, &first);
}

/* One frame; false: the session is of no more use. */
static bool hear(struct session *session, enum session_frame type, struct bytes body)
{
    struct session_output output;
    enum session_verdict verdict;

    if (type == SESSION_SEALED) {
        uint8_t *copy = malloc(body.size + 1);
        struct bytes inner;
        memcpy(copy, body.data, body.size);
        verdict = session_is_up(session) ? session_open(session, copy, body.size, &inner)
                                         : SESSION_OUT_OF_TURN;
        free(copy);
        return verdict == SESSION_TAKEN;
    }
    verdict = session_receive(session, type, body, PEOPLE_WALL_MS, &output);
    if (verdict == SESSION_TAKEN || verdict == SESSION_UP || verdict == SESSION_START_AGAIN)
        MUST(output.body.size <= SESSION_HANDSHAKE_MAX);
    MUST((verdict == SESSION_UP) <= session_is_up(session));
    return verdict == SESSION_TAKEN || verdict == SESSION_UP || verdict == SESSION_START_AGAIN;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct session *session;
    size_t at = 1;

    if (size == 0)
        return 0;
    hatch_both();
    session = begin(data[0]);
    while (size - at >= 3) {
        size_t length = (size_t)data[at + 1] << 8 | data[at + 2];
        size_t some = length < size - at - 3 ? length : size - at - 3;
        if (!hear(session, (enum session_frame)data[at], bytes_of(data + at + 3, some)))
            break;
        at += 3 + some;
    }
    session_free(session);
    return 0;
}
