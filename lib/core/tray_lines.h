/* tray_lines: in which order what is ready is handed out. A part of the tray; nobody else includes it.
 *
 * For each target its senders stand in lines that take turns. What a sender has ready lies in piles, one for each action,
 * and all piles of one action are a kind: who takes with a filter looks at each kind once, and at no peck. */
#ifndef DUCK_CORE_TRAY_LINES_H
#define DUCK_CORE_TRAY_LINES_H

#include "pecktable.h"
#include "tray.h"

struct pile;

/* What one sender has here for one target. Its node stands in the target's queue while something of
 * it is ready. */
struct line {
    struct pecktable_node by_sender;
    size_t count;
    uint64_t turn;               /* the lower, the sooner it is its turn */
    struct idtable piles;        /* by action; none is empty */
    struct pecktable_heap ready; /* piles, by the arrival of their first */
};

/* A duckling as a target or a sender of what is in the tray, or a context that something came under. Lives while something counts on it. */
struct party {
    struct idtable_node by_id;
    size_t as_target, as_sender, as_context, pending;
    struct idtable lines;        /* to it, by sender */
    struct idtable kinds;        /* of what is ready for it, by action */
    uint64_t turns;              /* that were given out */
    struct pecktable_heap ready; /* lines, by their turn */
};

struct slot {
    struct pecktable_node node;
    struct tray_entry entry;
    struct party *target, *sender, *context; /* context: NULL: none */
    struct line *line;
    struct id kind;    /* stands for the action */
    struct pile *pile; /* while it is ready */
    uint64_t turn;     /* of its line, when it was handed out */
    uint8_t action[];  /* what entry.action points to */
};

void party_init(struct party *party);
void party_clear(struct party *party); /* frees what it holds, not itself */
struct id kind_of(struct bytes action);

void slot_stand_in_line(struct slot *slot); /* its target, sender and kind are set */
void slot_leave_line(struct slot *slot);
void slot_become_ready(struct slot *slot);
void slot_be_ready_no_more(struct slot *slot);

/* Gives the line another turn; the queue follows. */
void line_move(struct line *line, struct party *target, uint64_t turn);

/* What is handed out next to somebody who wants what the filter fits, or NULL. `*looks` counts what that cost. */
struct slot *party_next(struct party *target, const struct tray_filter *filter, uint64_t *looks);

#endif
