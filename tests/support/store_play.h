/* store_play: turns of a node as its loop keeps them, and a checker of what a store holds.
 *
 * A script is made from a seed before it is played, so that a process that saw none of it knows what must be
 * there: bob, hosted here, gets pecks of alice; his agent takes, acknowledges and answers them; he sends some
 * under idempotency keys, to which receipts come; bonds are made and end; records of this node and of others are
 * kept; sealed pecks are held for others, under pre-keys that come and go; blocks of his grants are used and revoked; bob is vouched for, his operator is trusted and takes back, his tier is told. Between turns come
 * checkpoints and restarts. Each turn keeps its number among the counters.
 *
 * As in node/loop.c what a turn promises is told after store_sync, and a turn of which all is said again when
 * asked is not synced for its own sake. */
#ifndef DUCK_TESTS_STORE_PLAY_H
#define DUCK_TESTS_STORE_PLAY_H

#include "store_things.h"

#define PLAY_TURNS_MAX 64
#define PLAY_PECKS_MAX 128
#define PLAY_EFFECTS_MAX 12 /* of a turn */
#define PLAY_RECORDS_MAX 15 /* of alice */

struct played_effect {
    struct effect effect;
    size_t subject; /* the peck that it is about */
};

struct played_turn {
    struct played_effect effects[PLAY_EFFECTS_MAX];
    size_t count;
    bool promises;
    bool checkpoints; /* begins with one of each database that it keeps something in */
    bool carries;     /* and most of the log is carried over beside it */
    bool restarts;    /* the store is closed and opened before it */
    size_t records;   /* of alice, with it */
};

#define PLAY_ROTATES_AT 4u /* the turn in which bob's next key takes over */

/* What others know; may be memory that outlives the process. */
struct play_told {
    size_t turn;    /* the last one that was told */
    size_t records; /* of alice, that were there at the last restart */
};

struct play {
    struct arena arena;
    struct author alice, bob, node, carol; /* bob and the node live here */
    struct author operator_key;
    uint8_t storage_key[32];
    struct hosted hosted, rotated; /* bob, before and after PLAY_ROTATES_AT */
    struct played_turn turns[PLAY_TURNS_MAX + 1]; /* from 1 */
    size_t turn_count, peck_count, bond_count;
    struct effect pecks[PLAY_PECKS_MAX]; /* as they are kept first */
    struct bond bonds[PLAY_TURNS_MAX + 1];
    struct store *store;
    bool lies;    /* tells each turn before its sync: to see that it is noticed */
    bool was_cut; /* the power, or a call failed, and turns were played since: of the directory some may be missing */
    struct play_told *told;
};

struct play *play_new(uint64_t seed, size_t turns);
void play_free(struct play *play); /* closes */

int play_open(struct play *play, const char *folder); /* its node.db; a fault: none is open */
void play_close(struct play *play);

/* Turns `from` to `to`. At the first fault it ends, that turn is rolled back, and is `*turn`. */
int play_turns(struct play *play, const char *folder, size_t from, size_t to, size_t *turn);

/* The open store must hold what one turn left, all of it and nothing else: the last one that was told, or one
 * after it; that is `*turn`. NULL, or what is wrong. */
const char *play_check(struct play *play, size_t *turn);

#endif
