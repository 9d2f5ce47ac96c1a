/* bond: approved trust relations between two ducklings.
 *
 * First form: scopes and an end. The requester may peck the approver within the scopes; made by
 * approve, ended by either side. The bond's id is the id of the bond request's peck. */
#ifndef DUCK_CORE_BOND_H
#define DUCK_CORE_BOND_H

#include "limits.h"
#include "moment.h"
#include "peck.h"

struct bond {
    struct id id;
    struct id requester, approver;
    struct bytes scopes[PECK_SCOPES_MAX]; /* in bonds: owned by the table */
    size_t scope_count;
    uint64_t made_ms, not_after_ms;       /* wall */
};

struct bonds;

struct bonds *bonds_new(size_t bonds_max);
void bonds_free(struct bonds *bonds); /* NULL is fine */
bool bonds_add(struct bonds *bonds, const struct bond *bond); /* copies; replaces the same id; false: full */
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
void bonds_renew(struct bonds *bonds, uint64_t now_ms,
                 uint64_t (*renew)(void *context, const struct bond *bond), void *context);
uint64_t bonds_next_renewal_ms(const struct bonds *bonds); /* steady; MOMENT_NEVER: none */

/* The bond under which `from` may ask `to` for `action` at `wall_ms`, or NULL. */
const struct bond *bonds_cover(const struct bonds *bonds, const struct id *from,
                               const struct id *to, struct bytes action, uint64_t wall_ms);

#endif
