/* tray: received pecks that are not done: waiting for their owner, ready for their agent, or with
 * it under a lease.
 *
 * Holds what decides; the pecks' bytes are in the store. Bounded in all and for each sender; and what
 * waits for owners has half of the room, because anybody may send that, under any number of names. */
#ifndef DUCK_CORE_TRAY_H
#define DUCK_CORE_TRAY_H

#include "limits.h"
#include "moment.h"
#include "partials.h"
#include "peck.h"

struct tray;

enum tray_place {
    TRAY_WAITING,  /* for the owner */
    TRAY_READY,    /* for the agent */
    TRAY_LEASED,   /* handed out, not acknowledged */
    TRAY_WITH_AGENT, /* acknowledged; awaits the answer */
};

struct tray_entry {
    struct id peck;
    struct hash hash;
    struct id from, to;
    struct id context;         /* that it was signed under, by its carrier (context.h); zero: none */
    enum peck_kind kind;
    enum peck_state state;     /* taken, pending, approved */
    enum tray_place place;
    uint64_t expires_ms;       /* wall */
    uint64_t lease_until_ms;   /* steady; when leased */
    uint32_t attempt;          /* how often handed out */
    struct partials partials;  /* that were answered */
    struct bytes action;       /* of an action; the tray keeps a copy as long as the entry */
};

/* What a taker wants: actions that one of the scopes `actions` covers and none of `but_not` does.
 * All zero: everything. */
struct tray_filter {
    const struct bytes *actions, *but_not;
    size_t action_count, but_not_count;
};
bool tray_filter_fits(const struct tray_filter *filter, struct bytes action);

enum tray_verdict { TRAY_TAKEN, TRAY_FULL, TRAY_SENDER_FULL, TRAY_TOO_MANY_PENDING, TRAY_PENDING_FULL };

struct tray *tray_new(size_t pecks_max);
void tray_free(struct tray *tray); /* NULL is fine */
const char *tray_verdict_text(enum tray_verdict verdict);

enum tray_verdict tray_add(struct tray *tray, const struct tray_entry *entry); /* copies; in order of arrival */
/* The same of what was taken in an earlier life, whatever limits it was taken under: only `pecks_max`
 * holds. False: full, or in here already. */
bool tray_restore(struct tray *tray, const struct tray_entry *entry);
const struct tray_entry *tray_find(const struct tray *tray, const struct id *peck); /* until the next change */
void tray_remove(struct tray *tray, const struct id *peck);
size_t tray_count(const struct tray *tray);
/* Those of which this one is sender or target, or which came under this context; NULL: all. Looks at all, unless
 * it has none. */
void tray_each_of(const struct tray *tray, const struct id *party,
                  void (*visit)(void *context, const struct tray_entry *entry), void *context);
uint64_t tray_looks(const struct tray *tray); /* what takes with a filter cost so far: actions that were held against it */

void tray_approve(struct tray *tray, const struct id *peck); /* waiting -> ready */

/* Hands out a ready peck of a duckling that the filter fits, under a lease; NULL: none. Senders take turns, of each the
 * oldest that fits goes first. What comes back gets its old place, and its sender the turn that it had. Costs a look at
 * each action of which something is ready, however much of it there is; without a filter, at none. */
const struct tray_entry *tray_take(struct tray *tray, const struct id *duckling,
                                   const struct tray_filter *filter, uint64_t lease_until_ms);
bool tray_renew(struct tray *tray, const struct id *peck, uint64_t lease_until_ms); /* false: not leased */
bool tray_acknowledge(struct tray *tray, const struct id *peck); /* false: not leased */
/* A part of its answer. Who says one is alive: a lease is then at least as long as this. */
void tray_add_partial(struct tray *tray, const struct id *peck, struct bytes payload,
                      uint64_t lease_until_ms);
/* Nobody saw what was handed out: it is ready again, and this was no attempt. False: not leased. */
bool tray_give_back(struct tray *tray, const struct id *peck);

/* The next whose lease ended (it is ready again) or whose time is over (the caller removes it). */
const struct tray_entry *tray_poll_lease_over(struct tray *tray, uint64_t now_ms);
const struct tray_entry *tray_poll_expired(struct tray *tray, uint64_t wall_ms);
uint64_t tray_wake_at_ms(const struct tray *tray, const struct moment *at); /* steady */

#endif
