/* late_receipts: receipts that a full link could not take, or its quota of what is said again, until it can.
 *
 * Each node has a list of its own, in order: one that does not read holds back what is for itself, and nothing
 * else. A list may hold as much as is free of LATE_RECEIPTS_MAX, so there is room for the next; what finds none
 * is forgotten, and its sender asks again when its link comes up anew. Not thread-safe. */
#ifndef DUCK_NODE_LATE_RECEIPTS_H
#define DUCK_NODE_LATE_RECEIPTS_H

#include "core/id.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LATE_RECEIPTS_MAX 20000u /* of all nodes; of one alone, half */
#define LATE_NO_PARTIALS UINT32_MAX /* of a receipt: no parts are sent before it */

struct late_receipt {
    struct id node, peck;
    uint32_t partials; /* and the parts of the answer after so many */
    bool is_again;     /* it was said before, and asked for */
};

struct late_receipts;

struct late_receipts *late_receipts_new(void);
void late_receipts_free(struct late_receipts *late); /* NULL is fine */

/* False: there is no room. Of a peck that is remembered with its parts all that follows goes out together. */
bool late_receipts_remember(struct late_receipts *late, const struct late_receipt *receipt);
size_t late_receipts_count(const struct late_receipts *late);
bool late_receipts_has(const struct late_receipts *late, const struct id *node); /* any for it */

/* Hands each to `send`, which may change how many parts are left, and forgets it; until `send` says false, which
 * ends the list of that node only. */
void late_receipts_send(struct late_receipts *late, bool (*send)(void *context, struct late_receipt *receipt),
                        void *context);

#endif
