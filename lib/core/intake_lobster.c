/* The words of a lobster bind. */
#include "intake_parts.h"

#include "binary_data.h"
#include "wire/gossip.pb-c.h"

static bool copy_sized(ProtobufCBinaryData data, size_t size, uint8_t *copy)
{
    if (data.len != size)
        return false;
    if (size > 0)
        memcpy(copy, data.data, size);
    return true;
}

static bool read_word(const Duck__LobsterFrame *frame, struct lobster_word *word)
{
    bool is_offer = frame->step == LOBSTER_OFFER;
    bool has_nonce = frame->step == LOBSTER_ANSWER || frame->step == LOBSTER_REVEAL;

    word->step = (enum lobster_step)frame->step;
    word->lease_ms = frame->lease_ms;
    word->code = borrowed(frame->code);
    return frame->step >= LOBSTER_OFFER && frame->step <= LOBSTER_NO &&
           id_from_bytes(borrowed(frame->from), &word->from) &&
           id_from_bytes(borrowed(frame->to), &word->to) &&
           copy_sized(frame->session, LOBSTER_SESSION_SIZE, word->session) &&
           copy_sized(frame->commitment, is_offer ? HASH_SIZE : 0, word->commitment.bytes) &&
           copy_sized(frame->nonce, has_nonce ? LOBSTER_NONCE_SIZE : 0, word->nonce) &&
           (is_offer
                ? frame->lease_ms >= LOBSTER_LEASE_MIN_MS && frame->lease_ms <= LOBSTER_LEASE_MAX_MS
                : frame->lease_ms == 0) &&
           word->code.size <= NAME_MAX_BYTES && bytes_are_name(word->code);
}

/* The certificates are what the string is made of: they hold, or nothing is said. */
enum intake_verdict intake_open_lobster(struct intake *intake, struct bytes body, uint64_t wall_ms,
                                        struct arena *arena, struct event *event,
                                        char reason[REASON_SIZE])
{
    Duck__LobsterFrame *frame = intake_unpack(&duck__lobster_frame__descriptor, body, arena);
    enum certificate_verdict why;
    enum intake_verdict verdict;
    struct signer from;
    bool has_chain;

    if (!frame || !read_word(frame, &event->word))
        return INTAKE_MALFORMED;
    has_chain = event->word.step == LOBSTER_OFFER || event->word.step == LOBSTER_ANSWER;
    if ((frame->chain.len > 0) != has_chain)
        return INTAKE_MALFORMED;
    event->kind = EVENT_LOBSTER;
    if (!has_chain)
        return INTAKE_TAKEN;
    verdict = intake_find_signer(intake, borrowed(frame->chain), wall_ms, arena, &from, &why);
    if (verdict != INTAKE_TAKEN) {
        intake_say(reason, "%s", certificate_verdict_text(why));
        return verdict;
    }
    if (from.kind != IDENTITY_DUCKLING || !id_equal(&from.id, &event->word.from))
        return INTAKE_WRONG_SIGNER;
    event->word.certificate = chain_last(borrowed(frame->chain));
    return INTAKE_TAKEN;
}
