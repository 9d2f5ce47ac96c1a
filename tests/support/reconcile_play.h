/* A whole session between two sets in one process. */
#ifndef DUCK_TEST_RECONCILE_PLAY_H
#define DUCK_TEST_RECONCILE_PLAY_H

#include "core/reconcile.h"

#include <assert.h>

struct play {
    const struct reconcile_settings *of_initiator, *of_responder;
    struct recordset *initiator, *responder; /* the sets */
    bool probes;
    void (*between)(struct play *play);      /* called after each round, if set */
    /* What came of it: */
    enum reconcile_verdict verdict;
    size_t rounds, bytes, largest;
    struct hash *needs, *haves;              /* the player gives them back: play_end */
    size_t need_count, have_count;
};

static inline void play_count(struct play *play, struct bytes message, size_t frame_max)
{
    assert(frame_max == 0 || message.size <= frame_max);
    play->bytes += message.size;
    if (message.size > play->largest)
        play->largest = message.size;
}

static inline void play_session(struct play *play)
{
    struct reconcile *initiator = reconcile_new(play->of_initiator);
    struct reconcile *responder = reconcile_new(play->of_responder);
    struct bytes message, answer;
    const struct hash *found;

    play->rounds = play->bytes = play->largest = 0;
    if (play->probes)
        reconcile_begin_probe(initiator, play->initiator, &message);
    else
        reconcile_begin(initiator, play->initiator, &message);
    do {
        play->rounds++;
        play_count(play, message, play->of_initiator->frame_max);
        play->verdict = reconcile_answer(responder, play->responder, message, &answer);
        if (play->verdict != RECONCILE_TAKEN)
            break;
        play_count(play, answer, play->of_responder->frame_max);
        if (play->between)
            play->between(play);
        play->verdict = reconcile_take(initiator, play->initiator, answer, &message);
    } while (play->verdict == RECONCILE_TAKEN);
    found = reconcile_needs(initiator, &play->need_count);
    play->needs = memory_copy(found, play->need_count * sizeof *found);
    found = reconcile_haves(initiator, &play->have_count);
    play->haves = memory_copy(found, play->have_count * sizeof *found);
    reconcile_free(initiator);
    reconcile_free(responder);
}

static inline void play_end(struct play *play)
{
    memory_give_back(play->needs);
    memory_give_back(play->haves);
}

#endif
