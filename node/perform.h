/* perform: one function for each effect that leaves the node after the commit. */
#ifndef DUCK_NODE_PERFORM_H
#define DUCK_NODE_PERFORM_H

#include "inbox.h"
#include "late_receipts.h"
#include "local_api.h"
#include "store.h"
#include "transport.h"

#define LATE_RETRY_MS 100ull /* of what a full link could not take, or its quota … */
#define LATE_GOES_MS 10ull   /* … and so soon while some of it goes */

struct quota;

struct performer {
    struct store *store;
    struct inbox *inbox;
    struct transport *transport;
    struct local_api *api; /* may be NULL */
    struct id node;
    void (*stop)(void *context); /* may be NULL */
    void (*outgrown)(void *context, struct bytes chain); /* may be NULL */
    void *context;
    struct arena scratch;
    struct late_receipts *late;
    struct quota *again;   /* what each neighbour may have said again */
    uint64_t now_ms;       /* steady, of the turn that is performed */
    uint64_t late_at_ms;   /* steady; MOMENT_NEVER: none */
};

void performer_init(struct performer *performer);
void performer_free(struct performer *performer);

/* Before the commit: lets the turn's new pecks go, so that their way and our sync overlap; but not
 * those that wait to be kept. Begins with the effect `*from`, and moves it on. */
void perform_early(struct performer *performer, struct effects *effects, size_t *from);

/* Carries out everything in `effects` but what is kept: that is done and committed. */
void perform(struct performer *performer, const struct effects *effects, const struct moment *at);

/* Tries again what a full link could not take. */
void perform_late(struct performer *performer, const struct moment *at);

#endif
