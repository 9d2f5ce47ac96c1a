#include "outbox.h"

#include "pecktable.h"

/* A duckling that pecks in here are for: when its node links up, they are found without looking
 * at all others. */
struct target {
    struct idtable_node by_id;
    struct slot *first;
};

/* A thread of one sender with one target: what comes later waits for what is before it. */
struct conversation {
    struct idtable_node by_id;
    struct slot *last;
};

struct slot {
    struct pecktable_node node;
    struct outbox_entry entry;
    struct target *target;
    struct slot *before, *after;       /* of the same target */
    struct conversation *conversation; /* NULL: none */
    struct slot *earlier, *later;      /* in it */
};

struct outbox {
    struct pecktable table;
    struct idtable targets, conversations;
    struct dice dice;
};

struct outbox *outbox_new(size_t pecks_max, const uint8_t dice_seed[32])
{
    struct outbox *outbox = memory_take(sizeof *outbox);

    pecktable_init(&outbox->table, pecks_max);
    idtable_init(&outbox->targets);
    idtable_init(&outbox->conversations);
    dice_init(&outbox->dice, dice_seed);
    return outbox;
}

void outbox_free(struct outbox *outbox)
{
    if (!outbox)
        return;
    pecktable_free(&outbox->table);
    idtable_free(&outbox->targets);
    idtable_free(&outbox->conversations);
    memory_give_back(outbox);
}

/* ---- targets ---- */

static void join_target(struct outbox *outbox, struct slot *slot)
{
    struct target *target = (struct target *)idtable_find(&outbox->targets, &slot->entry.to);

    if (!target) {
        target = memory_take(sizeof *target);
        target->by_id.id = slot->entry.to;
        idtable_add(&outbox->targets, &target->by_id);
    }
    slot->target = target;
    slot->after = target->first;
    if (slot->after)
        slot->after->before = slot;
    target->first = slot;
}

static void leave_target(struct outbox *outbox, struct slot *slot)
{
    struct target *target = slot->target;

    if (slot->after)
        slot->after->before = slot->before;
    if (slot->before)
        slot->before->after = slot->after;
    else
        target->first = slot->after;
    if (target->first)
        return;
    idtable_remove(&outbox->targets, &target->by_id);
    memory_give_back(target);
}

/* ---- conversations ---- */

struct id outbox_conversation(const struct id *from, const struct id *to, struct bytes thread)
{
    uint8_t all[2 * ID_SIZE + PECK_THREAD_MAX];
    struct hash hash;

    if (thread.size == 0 || thread.size > PECK_THREAD_MAX)
        return (struct id){0};
    memcpy(all, from->bytes, ID_SIZE);
    memcpy(all + ID_SIZE, to->bytes, ID_SIZE);
    memcpy(all + 2 * ID_SIZE, thread.data, thread.size);
    hash = hash_of(bytes_of(all, 2 * ID_SIZE + thread.size));
    return id_of(&hash);
}

static void join_conversation(struct outbox *outbox, struct slot *slot)
{
    const struct id *id = &slot->entry.conversation;
    struct conversation *conversation;

    if (id_is_zero(id))
        return;
    conversation = (struct conversation *)idtable_find(&outbox->conversations, id);
    if (!conversation) {
        conversation = memory_take(sizeof *conversation);
        conversation->by_id.id = *id;
        idtable_add(&outbox->conversations, &conversation->by_id);
    }
    slot->conversation = conversation;
    slot->earlier = conversation->last;
    if (slot->earlier)
        slot->earlier->later = slot;
    conversation->last = slot;
}

static void leave_conversation(struct outbox *outbox, struct slot *slot)
{
    struct conversation *conversation = slot->conversation;

    if (!conversation)
        return;
    if (slot->earlier)
        slot->earlier->later = slot->later;
    if (slot->later)
        slot->later->earlier = slot->earlier;
    else
        conversation->last = slot->earlier;
    if (conversation->last)
        return;
    idtable_remove(&outbox->conversations, &conversation->by_id);
    memory_give_back(conversation);
}

/* ---- entries ---- */

static struct slot *find(struct outbox *outbox, const struct id *peck)
{
    return (struct slot *)pecktable_find(&outbox->table, peck);
}

static void set_next_send(struct outbox *outbox, struct slot *slot, uint64_t next_send_ms)
{
    slot->entry.next_send_ms = next_send_ms;
    pecktable_set_due(&outbox->table, &slot->node, next_send_ms);
}

bool outbox_add(struct outbox *outbox, const struct outbox_entry *entry)
{
    struct slot *slot = memory_take(sizeof *slot);

    if (!pecktable_add(&outbox->table, &entry->peck, &slot->node)) {
        memory_give_back(slot);
        return false;
    }
    slot->entry = *entry;
    join_target(outbox, slot);
    join_conversation(outbox, slot);
    set_next_send(outbox, slot, entry->next_send_ms);
    pecktable_set_expiry(&outbox->table, &slot->node, entry->expires_ms + OUTBOX_GRACE_MS);
    return true;
}

struct outbox_entry *outbox_find(struct outbox *outbox, const struct id *peck)
{
    struct slot *slot = find(outbox, peck);

    return slot ? &slot->entry : NULL;
}

const struct outbox_entry *outbox_before(struct outbox *outbox, const struct id *peck)
{
    const struct slot *slot = find(outbox, peck);

    for (slot = slot ? slot->earlier : NULL; slot; slot = slot->earlier)
        if (slot->entry.state == PECK_QUEUED || slot->entry.state == PECK_SENT)
            return &slot->entry;
    return NULL;
}

void outbox_remove(struct outbox *outbox, const struct id *peck)
{
    struct slot *slot = find(outbox, peck);

    if (!slot)
        return;
    leave_target(outbox, slot);
    leave_conversation(outbox, slot);
    pecktable_remove(&outbox->table, &slot->node);
}

size_t outbox_count(const struct outbox *outbox)
{
    return pecktable_count(&outbox->table);
}

/* ---- when to send ---- */

static bool is_to_be_sent(const struct outbox_entry *entry)
{
    return entry->state == PECK_QUEUED || entry->state == PECK_SENT || entry->cancelling ||
           entry->lacks_partials;
}

void outbox_sent(struct outbox *outbox, const struct id *peck, uint64_t now_ms)
{
    struct slot *slot = find(outbox, peck);
    uint64_t pause_ms = RESEND_FIRST_MS;

    if (!slot)
        return;
    for (uint32_t i = 0; i < slot->entry.attempts && pause_ms < RESEND_MAX_MS; i++)
        pause_ms *= 2;
    if (pause_ms > RESEND_MAX_MS)
        pause_ms = RESEND_MAX_MS;
    slot->entry.attempts++;
    /* The first wait is whole, so that a slow answer does not meet a second sending. */
    if (slot->entry.attempts > 1)
        pause_ms = dice_jitter_ms(&outbox->dice, pause_ms);
    set_next_send(outbox, slot, is_to_be_sent(&slot->entry) ? now_ms + pause_ms : MOMENT_NEVER);
}

void outbox_set_state(struct outbox *outbox, const struct id *peck, enum peck_state state)
{
    struct slot *slot = find(outbox, peck);

    if (!slot)
        return;
    slot->entry.state = state;
    if (!is_to_be_sent(&slot->entry))
        set_next_send(outbox, slot, MOMENT_NEVER);
}

void outbox_add_partial(struct outbox *outbox, const struct id *peck, struct bytes payload)
{
    struct slot *slot = find(outbox, peck);

    if (!slot)
        return;
    partials_add(&slot->entry.partials, payload);
    slot->entry.lacks_partials = false; /* they come */
    if (!is_to_be_sent(&slot->entry))
        set_next_send(outbox, slot, MOMENT_NEVER);
}

void outbox_miss_partials(struct outbox *outbox, const struct id *peck, uint64_t now_ms)
{
    struct slot *slot = find(outbox, peck);

    if (!slot || slot->entry.lacks_partials)
        return; /* asked for already */
    slot->entry.lacks_partials = true;
    if (slot->entry.next_send_ms == MOMENT_NEVER)
        set_next_send(outbox, slot, now_ms + PARTIALS_ASK_MS);
}

void outbox_cancel(struct outbox *outbox, const struct id *peck, uint64_t now_ms)
{
    struct slot *slot = find(outbox, peck);

    if (!slot)
        return;
    slot->entry.cancelling = true;
    set_next_send(outbox, slot, now_ms);
}

void outbox_each(const struct outbox *outbox,
                 void (*visit)(void *context, const struct outbox_entry *entry), void *context)
{
    const struct idtable_node *node = NULL;

    while ((node = idtable_next(&outbox->table.by_id, node)))
        visit(context, &((const struct slot *)node)->entry);
}

void outbox_each_to(const struct outbox *outbox, const struct id *to,
                    void (*visit)(void *context, const struct outbox_entry *entry), void *context)
{
    const struct target *target = (const struct target *)idtable_find(&outbox->targets, to);

    for (const struct slot *slot = target ? target->first : NULL; slot; slot = slot->after)
        visit(context, &slot->entry);
}

void outbox_hurry(struct outbox *outbox, bool (*hosted_there)(void *context, const struct id *to),
                  void *context, uint64_t now_ms)
{
    struct idtable_node *node = NULL;

    while ((node = idtable_next(&outbox->targets, node))) {
        if (!hosted_there(context, &node->id))
            continue;
        for (struct slot *slot = ((struct target *)node)->first; slot; slot = slot->after) {
            /* Not what this very turn made: its end sends it. But what was taken too: its answer
             * may have been lost with the link, and a repeated peck brings it. */
            if (slot->entry.state != PECK_QUEUED || slot->entry.next_send_ms != MOMENT_NEVER)
                set_next_send(outbox, slot, now_ms);
        }
    }
}

const struct outbox_entry *outbox_poll_due(struct outbox *outbox, uint64_t now_ms)
{
    struct slot *slot = (struct slot *)pecktable_due(&outbox->table, now_ms);

    return slot ? &slot->entry : NULL;
}

const struct outbox_entry *outbox_poll_expired(struct outbox *outbox, uint64_t wall_ms)
{
    struct slot *slot = (struct slot *)pecktable_expired(&outbox->table, wall_ms);

    return slot ? &slot->entry : NULL;
}

uint64_t outbox_wake_at_ms(const struct outbox *outbox, const struct moment *at)
{
    return pecktable_wake_at_ms(&outbox->table, at);
}
