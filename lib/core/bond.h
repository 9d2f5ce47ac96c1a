/* bond: approved trust relations between two ducklings.
 *
 * The requester may peck the approver within the scopes and the terms; made by approve, changed by
 * the approver, ended by either side. The bond's id is the id of the bond request's peck. Both are
 * ids of first certificates: a bond outlives every change of keys. */
#ifndef DUCK_CORE_BOND_H
#define DUCK_CORE_BOND_H

#include "bond_meter.h"
#include "limits.h"
#include "moment.h"
#include "peck.h"

struct bond {
    struct id id;
    struct id requester, approver;
    struct bytes scopes[PECK_SCOPES_MAX]; /* in bonds: owned by the table */
    size_t scope_count;
    uint64_t made_ms, not_after_ms;       /* wall */
    struct bond_terms terms;              /* its stop words as the scopes */
    uint64_t terms_ms;                    /* wall, of the approver: when it said these terms */
    struct bond_use use;
};

struct bonds;

struct bonds *bonds_new(size_t bonds_max);
void bonds_free(struct bonds *bonds); /* NULL is fine */
/* Copies. Replaces the same id, and what was used under it stays as it is. False: full. */
bool bonds_add(struct bonds *bonds, const struct bond *bond);
bool bonds_remove(struct bonds *bonds, const struct id *bond);
const struct bond *bonds_find(const struct bonds *bonds, const struct id *bond);
const struct bond *bonds_between(const struct bonds *bonds, const struct id *one, const struct id *other);
size_t bonds_count(const struct bonds *bonds);

/* Those whose end has come, at most `max`; the caller removes them. Looks at all bonds, but only when
 * bonds_next_end_ms has come. */
size_t bonds_over(struct bonds *bonds, uint64_t wall_ms, struct id *ids, size_t max);
uint64_t bonds_next_end_ms(const struct bonds *bonds); /* wall; none ends sooner; MOMENT_NEVER: none */

/* Calls `renew` for each bond that is due, and asks again when it says (steady; MOMENT_NEVER: not). A
 * bond that was just added is due. Looks at all bonds, but only when bonds_next_renewal_ms has come, and
 * that is up to BONDS_LOOK_MS late so that they come together. */
#define BONDS_LOOK_MS MINUTE_MS
void bonds_hurry(struct bonds *bonds); /* all are due */
void bonds_renew(struct bonds *bonds, uint64_t now_ms,
                 uint64_t (*renew)(void *context, const struct bond *bond), void *context);
uint64_t bonds_next_renewal_ms(const struct bonds *bonds); /* steady; MOMENT_NEVER: none */

/* The bond under which `from` may ask `to` for `action` at `wall_ms`, or NULL. By scopes alone. */
const struct bond *bonds_cover(const struct bonds *bonds, const struct id *from,
                               const struct id *to, struct bytes action, uint64_t wall_ms);

/* Those whose terms were changed after they were made. */
void bonds_each_changed(const struct bonds *bonds, void (*visit)(void *context, const struct bond *bond),
                        void *context);

/* Those with this end; NULL: all. Looks at all. */
void bonds_each_of(const struct bonds *bonds, const struct id *end,
                   void (*visit)(void *context, const struct bond *bond), void *context);

/* ---- limits ---- */

struct bond_action {
    const struct id *from, *to;
    struct bytes action, payload;
    struct bytes thread;     /* that it belongs to, whatever it says; empty: none */
};

/* Of all bonds that cover it the first that admits it, or else the first that does not. */
struct bond_decision {
    enum bond_verdict verdict;
    const struct bond *bond; /* until the next change; NULL: BOND_COVERS_NOT */
    uint64_t retry_after_ms; /* 0: no use, or not known */
};

/* At the approver's node. What is then taken is counted: bonds_count_action, bonds_count_round. */
struct bond_decision bonds_admit(struct bonds *bonds, const struct bond_action *action,
                                 const struct moment *at);
/* At the requester's node: the rounds alone. */
struct bond_decision bonds_admit_round(const struct bonds *bonds, const struct bond_action *action,
                                       const struct moment *at);

void bonds_count_action(struct bonds *bonds, const struct id *bond, uint64_t wall_ms);
/* To the first bond with a budget that covers the action. */
void bonds_charge(struct bonds *bonds, const struct bond_action *action, uint64_t units,
                  uint64_t wall_ms);

/* A peck between two, in either direction, counts in all their bonds. Ids of those in which it was
 * the thread's last round go to `last`, at most `max` of them; returns how many. */
size_t bonds_count_round(struct bonds *bonds, const struct id *from, const struct id *to,
                         struct bytes thread, uint64_t wall_ms, struct id *last, size_t max);

/* Is it worth telling that the bond refuses for this reason? Once in BOND_TELL_EVERY_MS. */
bool bonds_may_tell(struct bonds *bonds, const struct id *bond, enum bond_verdict verdict,
                    uint64_t now_ms);

/* What was counted since it was asked for last, a piece at a time; false: no more. */
struct bond_count {
    struct id bond;
    bool is_thread;
    struct bond_use use;
    size_t place;            /* of the thread, below BOND_THREADS_MAX */
    struct bond_thread thread;
};
bool bonds_poll_count(struct bonds *bonds, struct bond_count *count);
void bonds_restore_thread(struct bonds *bonds, const struct bond_count *count);

#endif
