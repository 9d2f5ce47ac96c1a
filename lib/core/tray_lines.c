#include "tray_lines.h"

/* All that is ready for one target of one action. */
struct kind {
    struct idtable_node by_action;
    struct pecktable_heap piles; /* by the turn that their line had when they were put there */
    struct bytes action;
    uint8_t copy[]; /* what `action` points to */
};

/* What one line has ready of one action. */
struct pile {
    struct pecktable_node in_line, in_kind;
    struct line *line;
    struct kind *kind;
    struct pecktable_heap ready; /* slots, in order of arrival */
};

/* A pile from the node by which its kind holds it. */
static struct pile *pile_of(struct pecktable_node *in_kind)
{
    return (struct pile *)((char *)in_kind - offsetof(struct pile, in_kind));
}

struct id kind_of(struct bytes action)
{
    struct hash hash = hash_of(action);

    return id_of(&hash);
}

/* ---- parties ---- */

void party_init(struct party *party)
{
    idtable_init(&party->lines);
    idtable_init(&party->kinds);
    pecktable_queue_init(&party->ready);
}

static void line_clear(struct line *line)
{
    struct idtable_node *node = NULL;

    while ((node = idtable_next(&line->piles, node)))
        pecktable_queue_free(&((struct pile *)node)->ready);
    idtable_free(&line->piles);
    pecktable_queue_free(&line->ready);
}

void party_clear(struct party *party)
{
    struct idtable_node *node = NULL;

    while ((node = idtable_next(&party->lines, node)))
        line_clear((struct line *)node);
    idtable_free(&party->lines);
    while ((node = idtable_next(&party->kinds, node)))
        pecktable_queue_free(&((struct kind *)node)->piles);
    idtable_free(&party->kinds);
    pecktable_queue_free(&party->ready);
}

/* ---- lines ---- */

/* Piles know of a later turn when somebody looks at them (first_pile); of an earlier one at once. */
static void move_piles(struct line *line, uint64_t turn)
{
    for (size_t i = 1; i <= line->ready.count; i++) {
        struct pile *pile = (struct pile *)line->ready.nodes[i];

        pecktable_queue_leave(&pile->kind->piles, &pile->in_kind);
        pecktable_queue_join(&pile->kind->piles, &pile->in_kind, turn);
    }
}

/* Round robin, by who was served least lately (Nagle, RFC 970): a sender is served, and stands behind
 * all others; who is new does too. What it has sent, and what others take, moves nobody's place. */
void line_move(struct line *line, struct party *target, uint64_t turn)
{
    bool is_ready = pecktable_queue_first(&line->ready) != NULL;

    if (is_ready)
        pecktable_queue_leave(&target->ready, &line->by_sender);
    if (turn < line->turn)
        move_piles(line, turn);
    line->turn = turn;
    if (is_ready)
        pecktable_queue_join(&target->ready, &line->by_sender, turn);
}

void slot_stand_in_line(struct slot *slot)
{
    struct party *target = slot->target;
    struct line *line = (struct line *)idtable_find(&target->lines, &slot->sender->by_id.id);

    if (!line) {
        line = memory_take(sizeof *line);
        line->by_sender.by_id.id = slot->sender->by_id.id;
        line->turn = ++target->turns;
        idtable_init(&line->piles);
        pecktable_queue_init(&line->ready);
        idtable_add(&target->lines, &line->by_sender.by_id);
    }
    line->count++;
    slot->line = line;
}

void slot_leave_line(struct slot *slot)
{
    if (--slot->line->count > 0)
        return;
    idtable_remove(&slot->target->lines, &slot->line->by_sender.by_id);
    line_clear(slot->line);
    memory_give_back(slot->line);
}

/* ---- piles ---- */

static struct kind *meet_kind(const struct slot *slot)
{
    struct idtable *kinds = &slot->target->kinds;
    struct kind *kind = (struct kind *)idtable_find(kinds, &slot->kind);
    struct bytes action = slot->entry.action;

    if (kind)
        return kind;
    kind = memory_take(sizeof *kind + action.size);
    kind->by_action.id = slot->kind;
    kind->action = bytes_of(kind->copy, action.size);
    if (action.size > 0)
        memcpy(kind->copy, action.data, action.size);
    pecktable_queue_init(&kind->piles);
    idtable_add(kinds, &kind->by_action);
    return kind;
}

static struct pile *meet_pile(const struct slot *slot)
{
    struct line *line = slot->line;
    struct pile *pile = (struct pile *)idtable_find(&line->piles, &slot->kind);

    if (pile)
        return pile;
    pile = memory_take(sizeof *pile);
    pile->in_line.by_id.id = slot->kind;
    pile->line = line;
    pile->kind = meet_kind(slot);
    pecktable_queue_init(&pile->ready);
    idtable_add(&line->piles, &pile->in_line.by_id);
    pecktable_queue_join(&pile->kind->piles, &pile->in_kind, line->turn);
    return pile;
}

static void drop_pile(struct pile *pile, struct party *target)
{
    struct kind *kind = pile->kind;

    idtable_remove(&pile->line->piles, &pile->in_line.by_id);
    pecktable_queue_leave(&kind->piles, &pile->in_kind);
    pecktable_queue_free(&pile->ready);
    memory_give_back(pile);
    if (pecktable_queue_first(&kind->piles))
        return;
    idtable_remove(&target->kinds, &kind->by_action);
    pecktable_queue_free(&kind->piles);
    memory_give_back(kind);
}

/* What comes back from a lease was owed its turn. */
void slot_become_ready(struct slot *slot)
{
    struct line *line = slot->line;
    struct pile *pile;

    if (!pecktable_queue_first(&line->ready))
        pecktable_queue_join(&slot->target->ready, &line->by_sender, line->turn);
    slot->pile = pile = meet_pile(slot);
    pecktable_queue_leave(&line->ready, &pile->in_line);
    pecktable_queue_join(&pile->ready, &slot->node, slot->node.arrival);
    pecktable_queue_join(&line->ready, &pile->in_line,
                         pecktable_queue_first(&pile->ready)->arrival);
    if (slot->turn > 0 && slot->turn < line->turn)
        line_move(line, slot->target, slot->turn);
}

void slot_be_ready_no_more(struct slot *slot)
{
    struct line *line = slot->line;
    struct pile *pile = slot->pile;
    const struct pecktable_node *first;

    slot->pile = NULL;
    pecktable_queue_leave(&line->ready, &pile->in_line);
    pecktable_queue_leave(&pile->ready, &slot->node);
    first = pecktable_queue_first(&pile->ready);
    if (first)
        pecktable_queue_join(&line->ready, &pile->in_line, first->arrival);
    else
        drop_pile(pile, slot->target);
    if (!pecktable_queue_first(&line->ready))
        pecktable_queue_leave(&slot->target->ready, &line->by_sender);
}

/* ---- whose turn it is ---- */

static struct slot *first_of(const struct pile *pile)
{
    return (struct slot *)pecktable_queue_first(&pile->ready);
}

/* The pile whose line is next. One whose line was served since it was put there is put behind first: once for each
 * time that it was served, and so on its account. */
static struct pile *first_pile(struct kind *kind)
{
    for (;;) {
        struct pile *pile = pile_of(pecktable_queue_first(&kind->piles));

        if (pile->in_kind.key[PECKTABLE_QUEUE] == pile->line->turn)
            return pile;
        pecktable_queue_leave(&kind->piles, &pile->in_kind);
        pecktable_queue_join(&kind->piles, &pile->in_kind, pile->line->turn);
    }
}

static bool is_before(const struct slot *left, const struct slot *right)
{
    if (left->line != right->line)
        return left->line->turn < right->line->turn;
    return left->node.arrival < right->node.arrival;
}

struct slot *party_next(struct party *target, const struct tray_filter *filter, uint64_t *looks)
{
    const struct line *line = (struct line *)pecktable_queue_first(&target->ready);
    struct idtable_node *node = NULL;
    struct slot *next = NULL;

    if (!line)
        return NULL;
    if (filter->action_count == 0 && filter->but_not_count == 0)
        return first_of((struct pile *)pecktable_queue_first(&line->ready));
    while ((node = idtable_next(&target->kinds, node))) {
        struct kind *kind = (struct kind *)node;
        struct slot *slot;

        ++*looks;
        if (!tray_filter_fits(filter, kind->action))
            continue;
        slot = first_of(first_pile(kind));
        if (!next || is_before(slot, next))
            next = slot;
    }
    return next;
}
