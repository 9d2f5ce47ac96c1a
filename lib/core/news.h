/* news: which changed records have still to be told to which neighbours.
 *
 * Rumour mongering with a counter (Demers et al., "Epidemic algorithms for replicated database
 * maintenance", 1987): a change is told at once to half of the neighbours that its budget allows,
 * and then, each NEWS_RIDE_MS or so, to more of those that have not shown to hold it, until the
 * budget is used up. What is lost on the way repair finds. What others said waits until the last
 * round is NEWS_GATHER_MS ago: so a lone change is told at once, and of a crowd many share a frame.
 *
 * Records that come in crowds (a large network forms, a long cut heals), more of a class than
 * NEWS_PASSED_PER_S beyond the first NEWS_PASSED_BURST, are not passed on: told one by one each would
 * reach a node as often as it has neighbours; fetched by repair, once. What the node itself says is
 * always told.
 *
 * There is one slot for each (owner, kind, key): a newer version takes the place of one that still
 * waits. Newest first; each class of records has its share of what goes to a neighbour at once, so
 * that no class can starve another. Holds names and hashes, not bytes. */
#ifndef DUCK_CORE_NEWS_H
#define DUCK_CORE_NEWS_H

#include "dice.h"
#include "limits.h"
#include "record.h"

struct news;

enum news_class {
    NEWS_REVOCATIONS,
    NEWS_MEMBERS,  /* node records */
    NEWS_USERS,    /* ducklings, attestations, skills, kinds of later releases */
    NEWS_METRICS,
    NEWS_CLASSES,
};

struct news *news_new(size_t slots_max, const uint8_t dice_seed[DICE_SEED_SIZE]);
void news_free(struct news *news); /* NULL is fine */

/* How many neighbours of a node that knows `nodes` live ones are told of a change by those who pass
 * it on. */
size_t news_budget(size_t nodes);

/* A record was taken. `from` told us, or zero: it is ours. False: it comes in a crowd, and is left to
 * repair. At NEWS_SLOTS_MAX the slot that was told most makes room, and is counted. */
bool news_add(struct news *news, const struct record *record, const struct id *from, size_t budget,
              uint64_t now_ms);

/* A neighbour showed that it holds this version. */
void news_heard(struct news *news, const struct record *record, const struct id *from);

/* Was something left to repair within the last NEWS_CROWD_MS? */
bool news_is_crowded(const struct news *news, uint64_t now_ms);

/* Begins a round: what may be told of now, to each of the neighbours that news_poll names after.
 * False: nothing is due. */
bool news_begin(struct news *news, uint64_t now_ms);
bool news_has_more(const struct news *news); /* in this round, for neighbours not named yet */

/* The hashes to tell `node` of now, at most `max` (at least NEWS_CLASSES) of them; they then count
 * as told. In the order of the neighbours that this is called for the budget is given out. */
size_t news_poll(struct news *news, const struct id *node, struct hash *hashes, size_t max);

/* Ends the round: plans the next ride of what is left, and frees what is told. */
void news_end(struct news *news, uint64_t now_ms);

uint64_t news_wake_at_ms(const struct news *news); /* steady; MOMENT_NEVER: nothing waits */

struct news_figures {
    size_t waiting[NEWS_CLASSES];
    uint64_t added, told, replaced, crowded_out; /* crowded_out: left to repair */
};
void news_figures(const struct news *news, struct news_figures *figures);

#endif
