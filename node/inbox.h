/* inbox: the one bounded queue into the loop.
 *
 * Any thread gives; the loop takes all there is, up to a turn's worth, in order. A message owns
 * the memory that its event borrows: an arena that is freed with it. */
#ifndef DUCK_NODE_INBOX_H
#define DUCK_NODE_INBOX_H

#include "core/event.h"
#include "fault.h"

#define INBOX_MESSAGES_MAX 4096u
#define INBOX_BYTES_MAX (64u * MIB)
#define TURN_MESSAGES_MAX 512u
#define INBOX_COMPANY_US 300u /* a message that was left waits no longer for others */

struct message {
    struct message *next;
    struct arena arena;      /* what `event` borrows from */
    size_t size;             /* what it counts for in INBOX_BYTES_MAX */
    struct event event;      /* `at` is set by the loop */
    struct order order;      /* when event.kind is EVENT_ORDER, event.order points here */
    bool forget_seeds;       /* wipe on free */
};

struct inbox;

struct message *message_new(size_t budget); /* never NULL */
void message_free(struct message *message); /* NULL is fine */

struct inbox *inbox_new(void);
void inbox_free(struct inbox *inbox); /* frees what is in it */

/* Keeps `message` whatever happens. inbox_give waits for room (workers: their link is then not
 * read on); inbox_try_give does not and says FAULT_BUSY (the local API: the caller is told), after
 * which the message is freed. Both: FAULT_CLOSED once the inbox is closed. */
int inbox_give(struct inbox *inbox, struct message *message);
int inbox_try_give(struct inbox *inbox, struct message *message);

/* The same, for what comes many at a time: who takes sleeps on, up to INBOX_COMPANY_US, so that a turn answers them all.
 * inbox_wake follows the last. */
int inbox_leave(struct inbox *inbox, struct message *message);
int inbox_try_leave(struct inbox *inbox, struct message *message);
void inbox_wake(struct inbox *inbox);

/* Waits until something is there, `wake_at_ms` (steady) has come, or the inbox is closed; returns a chain of at most
 * TURN_MESSAGES_MAX messages, or NULL. `*closed` tells when nothing will come any more. */
struct message *inbox_take(struct inbox *inbox, uint64_t wake_at_ms, bool *closed);

/* Waits until `until_ms` (steady) has come, or the inbox is closed, whatever is in it. */
void inbox_rest(struct inbox *inbox, uint64_t until_ms);

/* The same, but sleeps until `least` messages are there, or no more have room. */
struct message *inbox_take_many(struct inbox *inbox, size_t least, uint64_t wake_at_ms, bool *closed);
void inbox_poke(struct inbox *inbox); /* ends one wait, now or the next, without a message */
void inbox_close(struct inbox *inbox);
void inbox_figures(struct inbox *inbox, size_t *messages, size_t *bytes);

#endif
