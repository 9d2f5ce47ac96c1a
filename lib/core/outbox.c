#include "outbox.h"

#include "pecktable.h"

struct slot {
    struct pecktable_node node;
    struct outbox_entry entry;
};

struct outbox {
    struct pecktable table;
    struct dice dice;
};

struct outbox *outbox_new(size_t pecks_max, const uint8_t dice_seed[32])
{
    struct outbox *outbox = memory_take(sizeof *outbox);

    pecktable_init(&outbox->table, pecks_max);
    dice_init(&outbox->dice, dice_seed);
    return outbox;
}

void outbox_free(struct outbox *outbox)
{
    if (!outbox)
        return;
    pecktable_free(&outbox->table);
    memory_give_back(outbox);
}

static struct slot *find(struct outbox *outbox, const struct id *peck)
{
    return (struct slot *)pecktable_find(&outbox->table, peck);
}

static void set_next_send(struct outbox *outbox, struct slot *slot, uint64_t next_send_ms)
{
    slot->entry.next_send_ms = next_send_ms;
    pecktable_set_due(&outbox->table, &slot->node, PECKTABLE_STEADY, next_send_ms);
}

bool outbox_add(struct outbox *outbox, const struct outbox_entry *entry)
{
    struct slot *slot = memory_take(sizeof *slot);

    slot->entry = *entry;
    slot->node.peck = entry->peck;
    if (!pecktable_add(&outbox->table, &slot->node)) {
        memory_give_back(slot);
        return false;
    }
    set_next_send(outbox, slot, entry->next_send_ms);
    pecktable_set_due(&outbox->table, &slot->node, PECKTABLE_WALL, entry->expires_ms);
    return true;
}

struct outbox_entry *outbox_find(struct outbox *outbox, const struct id *peck)
{
    struct slot *slot = find(outbox, peck);

    return slot ? &slot->entry : NULL;
}

void outbox_remove(struct outbox *outbox, const struct id *peck)
{
    struct slot *slot = find(outbox, peck);

    if (slot)
        pecktable_remove(&outbox->table, &slot->node);
}

size_t outbox_count(const struct outbox *outbox)
{
    return outbox->table.count;
}

static bool awaits_taken(const struct outbox_entry *entry)
{
    return entry->state == PECK_QUEUED || entry->state == PECK_SENT;
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
    set_next_send(outbox, slot, awaits_taken(&slot->entry) ? now_ms + pause_ms : MOMENT_NEVER);
}

void outbox_set_state(struct outbox *outbox, const struct id *peck, enum peck_state state)
{
    struct slot *slot = find(outbox, peck);

    if (!slot)
        return;
    slot->entry.state = state;
    if (!awaits_taken(&slot->entry))
        set_next_send(outbox, slot, MOMENT_NEVER);
}

void outbox_hurry(struct outbox *outbox, bool (*hosted_there)(void *context, const struct id *to),
                  void *context, uint64_t now_ms)
{
    for (size_t i = 0; i < outbox->table.slots; i++)
        for (struct pecktable_node *node = outbox->table.buckets[i]; node; node = node->next) {
            struct slot *slot = (struct slot *)node;

            /* Those that were taken too: their answer may have been lost with the link, and a
             * repeated peck brings it. */
            if (hosted_there(context, &slot->entry.to))
                set_next_send(outbox, slot, now_ms);
        }
}

const struct outbox_entry *outbox_poll_due(struct outbox *outbox, uint64_t now_ms)
{
    struct slot *slot = (struct slot *)pecktable_first(&outbox->table, PECKTABLE_STEADY);

    return slot && slot->entry.next_send_ms <= now_ms ? &slot->entry : NULL;
}

const struct outbox_entry *outbox_poll_expired(struct outbox *outbox, uint64_t wall_ms)
{
    struct slot *slot = (struct slot *)pecktable_first(&outbox->table, PECKTABLE_WALL);

    return slot && slot->entry.expires_ms + OUTBOX_GRACE_MS <= wall_ms ? &slot->entry : NULL;
}

uint64_t outbox_wake_at_ms(const struct outbox *outbox, const struct moment *at)
{
    struct moment graced = *at;

    graced.wall_ms -= OUTBOX_GRACE_MS;
    return pecktable_wake_at_ms(&outbox->table, &graced);
}
