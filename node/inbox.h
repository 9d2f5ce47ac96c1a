/* inbox: the one bounded way into the loop.
 *
 * Any thread gives; the loop takes all there is, up to a turn's worth. What the network and the node itself give is one
 * line, in order. Each local program has a share, a line of its own: while both are there, half of a turn is the network's,
 * and of the other half shares get one message each in turn. So neither a program that floods nor the network keeps anybody
 * out. A message owns the memory that its event borrows: an arena that is freed with it. */
#ifndef DUCK_NODE_INBOX_H
#define DUCK_NODE_INBOX_H

#include "core/event.h"
#include "fault.h"

#define INBOX_MESSAGES_MAX 4096u       /* of the network and the node itself */
#define INBOX_BYTES_MAX (64u * MIB)
#define INBOX_SHARES_MESSAGES 8192u    /* of all shares, in which each may hold as much as is free: one alone */
#define INBOX_SHARES_BYTES (64u * MIB) /* half, and among n that flood there is one part in n + 1 for the next */
#define TURN_MESSAGES_MAX 512u
#define INBOX_COMPANY_US 300u /* a message that was left waits no longer for others */

struct message {
    struct message *next;
    struct arena arena;      /* what `event` borrows from */
    size_t size;             /* what it counts for in INBOX_BYTES_MAX */
    struct event event;      /* `at` is set by the loop */
    struct order *order;     /* of message_new_order; when event.kind is EVENT_ORDER, event.order points there, too */
    bool forget_seeds;       /* wipe on free */
};

struct inbox;
struct inbox_share;

/* `budget` bounds the arena. What a frame of `frame_size` bytes is parsed into mostly lies in the message itself: one piece
 * of memory, which is no larger than it has to be, because a thousand of them go from core to core. Never NULL. */
struct message *message_new(size_t budget);
struct message *message_new_frame(size_t frame_size);
struct message *message_new_order(size_t budget, size_t frame_size);
void message_free(struct message *message); /* NULL is fine */

struct inbox *inbox_new(void);
void inbox_free(struct inbox *inbox); /* frees what is in it */

/* Before the inbox is freed, all shares are. What is still in a share when it is freed is taken all the same, though of
 * programs that left no more waits than of one that is there; what exceeds that is freed with it. */
struct inbox_share *inbox_share_new(struct inbox *inbox);
void inbox_share_free(struct inbox_share *share); /* NULL is fine */

/* Keeps `message` whatever happens. inbox_give waits for room (workers: their link is then not
 * read on); inbox_try_give and inbox_share_give do not and say FAULT_BUSY, after which the message is freed. An empty
 * share has room for one, always. All: FAULT_CLOSED once the inbox is closed. */
int inbox_give(struct inbox *inbox, struct message *message);
int inbox_try_give(struct inbox *inbox, struct message *message);
int inbox_share_give(struct inbox_share *share, struct message *message);

/* The same, for what comes many at a time: who takes sleeps on, up to INBOX_COMPANY_US, so that a turn answers them all.
 * inbox_wake follows the last. */
int inbox_leave(struct inbox *inbox, struct message *message);
int inbox_share_leave(struct inbox_share *share, struct message *message);
void inbox_wake(struct inbox *inbox);

/* Waits until something is there, `wake_at_ms` (steady) has come, or the inbox is closed; returns a chain of at most
 * TURN_MESSAGES_MAX messages, or NULL. `*closed` tells when nothing will come any more. */
struct message *inbox_take(struct inbox *inbox, uint64_t wake_at_ms, bool *closed);

/* Waits until `until_ms` (steady) has come, or the inbox is closed, whatever is in it. */
void inbox_rest(struct inbox *inbox, uint64_t until_ms);

void inbox_poke(struct inbox *inbox); /* ends one wait, now or the next, without a message */
void inbox_close(struct inbox *inbox);
void inbox_figures(struct inbox *inbox, size_t *messages, size_t *bytes);

#endif
