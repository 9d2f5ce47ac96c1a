/* outbox: pecks that left, or should, and have no final receipt.
 *
 * Holds what decides when to send again; the pecks' bytes are in the store. A peck is sent at
 * once, again after RESEND_FIRST_MS doubling to RESEND_MAX_MS until it is taken, and at once when
 * the target's node links up. A `taken` receipt stops the sending; `done` or expiry removes it.
 * Partial answers that are missing start it again: a repeated peck says how many are held here. */
#ifndef DUCK_CORE_OUTBOX_H
#define DUCK_CORE_OUTBOX_H

#include "dice.h"
#include "limits.h"
#include "moment.h"
#include "partials.h"
#include "peck.h"

struct outbox;

struct outbox_entry {
    struct id peck;
    struct hash hash;
    struct id from, to;
    enum peck_kind kind;
    enum peck_state state;
    struct id bond;        /* that covers it as this end sees it; zero: none, or not known after a restart */
    uint64_t expires_ms;   /* wall */
    uint32_t attempts;
    uint64_t next_send_ms; /* steady; MOMENT_NEVER once taken, unless… */
    bool cancelling;       /* …its sender takes it back, or… */
    bool lacks_partials;   /* …some of these were skipped */
    struct partials partials; /* of its answer, that are held here */
    struct id conversation; /* see outbox_conversation; zero: it belongs to no thread */
    struct id context;      /* that it was signed under, by its carrier (context.h); zero: none */
};

/* Pecks of one sender to one target in one thread have the same; none without a thread. */
struct id outbox_conversation(const struct id *from, const struct id *to, struct bytes thread);

struct outbox *outbox_new(size_t pecks_max, const uint8_t dice_seed[32]);
void outbox_free(struct outbox *outbox); /* NULL is fine */

bool outbox_add(struct outbox *outbox, const struct outbox_entry *entry); /* false: full */
struct outbox_entry *outbox_find(struct outbox *outbox, const struct id *peck); /* until the next add or remove */
/* The one before it in its conversation that the target's node has not taken; NULL: none. */
const struct outbox_entry *outbox_before(struct outbox *outbox, const struct id *peck);
void outbox_remove(struct outbox *outbox, const struct id *peck);
size_t outbox_count(const struct outbox *outbox);

/* All of them; or, at the cost of those alone, what is for one target. */
void outbox_each(const struct outbox *outbox,
                 void (*visit)(void *context, const struct outbox_entry *entry), void *context);
void outbox_each_to(const struct outbox *outbox, const struct id *to,
                    void (*visit)(void *context, const struct outbox_entry *entry), void *context);

/* It was sent, or could not be (no link): when to try next. */
void outbox_sent(struct outbox *outbox, const struct id *peck, uint64_t now_ms);
void outbox_set_state(struct outbox *outbox, const struct id *peck, enum peck_state state);

/* The next partial answer is held here; or one further on, or the end of the answer, shows that some
 * are missing: then the peck is due in PARTIALS_ASK_MS, and again until they come. */
void outbox_add_partial(struct outbox *outbox, const struct id *peck, struct bytes payload);
void outbox_miss_partials(struct outbox *outbox, const struct id *peck, uint64_t now_ms);

/* Its target's node is asked to end it: due now, and again until the end comes. */
void outbox_cancel(struct outbox *outbox, const struct id *peck, uint64_t now_ms);

/* Makes everything for these targets due now: their node has linked up. `hosted_there` decides. */
void outbox_hurry(struct outbox *outbox, bool (*hosted_there)(void *context, const struct id *to),
                  void *context, uint64_t now_ms);

/* The next peck that is due, or expired; NULL: none. Borrowed until the next change. */
const struct outbox_entry *outbox_poll_due(struct outbox *outbox, uint64_t now_ms);
const struct outbox_entry *outbox_poll_expired(struct outbox *outbox, uint64_t wall_ms);
uint64_t outbox_wake_at_ms(const struct outbox *outbox, const struct moment *at); /* steady */

#endif
