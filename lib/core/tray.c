#include "tray.h"

#include "pecktable.h"

#define SLOTS_MIN 16u

struct slot {
    struct pecktable_node node;
    struct tray_entry entry;
    uint64_t arrival;
    struct slot *older, *newer; /* among the ready ones of its duckling */
    struct party *target, *sender;
};

/* A duckling as a target or a sender of what is in the tray. Lives while something counts on it. */
struct party {
    struct party *next;
    struct id id;
    size_t as_target, as_sender, pending;
    struct slot *oldest_ready, *newest_ready;
};

struct tray {
    struct pecktable table;
    uint64_t arrivals;
    struct party **parties;
    size_t party_count, party_slots;
};

const char *tray_verdict_text(enum tray_verdict verdict)
{
    switch (verdict) {
    case TRAY_TAKEN:
        return "taken";
    case TRAY_FULL:
        return "this node holds as many open pecks as it can";
    case TRAY_SENDER_FULL:
        return "this sender has too many open pecks on this node";
    case TRAY_TOO_MANY_PENDING:
        return "this sender has too many pecks that wait for approval";
    }
    return "";
}

struct tray *tray_new(size_t pecks_max)
{
    struct tray *tray = memory_take(sizeof *tray);

    pecktable_init(&tray->table, pecks_max);
    tray->party_slots = SLOTS_MIN;
    tray->parties = memory_take(tray->party_slots * sizeof *tray->parties);
    return tray;
}

void tray_free(struct tray *tray)
{
    if (!tray)
        return;
    for (size_t i = 0; i < tray->party_slots; i++)
        for (struct party *party = tray->parties[i], *next; party; party = next) {
            next = party->next;
            memory_give_back(party);
        }
    memory_give_back(tray->parties);
    pecktable_free(&tray->table);
    memory_give_back(tray);
}

/* ---- parties ---- */

static struct party **bucket(const struct tray *tray, const struct id *id)
{
    uint64_t key;

    memcpy(&key, id->bytes, sizeof key);
    return &tray->parties[key & (tray->party_slots - 1)];
}

static struct party *find_party(const struct tray *tray, const struct id *id)
{
    struct party *party = *bucket(tray, id);

    while (party && !id_equal(&party->id, id))
        party = party->next;
    return party;
}

static void widen(struct tray *tray)
{
    struct party **old = tray->parties;
    size_t slots = tray->party_slots;

    tray->party_slots *= 2;
    tray->parties = memory_take(tray->party_slots * sizeof *tray->parties);
    for (size_t i = 0; i < slots; i++)
        for (struct party *party = old[i], *next; party; party = next) {
            struct party **head = bucket(tray, &party->id);

            next = party->next;
            party->next = *head;
            *head = party;
        }
    memory_give_back(old);
}

static struct party *meet(struct tray *tray, const struct id *id)
{
    struct party *party = find_party(tray, id), **head;

    if (party)
        return party;
    if (tray->party_count++ >= tray->party_slots)
        widen(tray);
    head = bucket(tray, id);
    party = memory_take(sizeof *party);
    party->id = *id;
    party->next = *head;
    *head = party;
    return party;
}

static void part(struct tray *tray, struct party *party)
{
    struct party **link;

    if (party->as_target > 0 || party->as_sender > 0)
        return;
    for (link = bucket(tray, &party->id); *link != party;)
        link = &(*link)->next;
    *link = party->next;
    tray->party_count--;
    memory_give_back(party);
}

/* ---- what is ready, in order of arrival ---- */

static void make_ready(struct slot *slot)
{
    struct party *target = slot->target;
    struct slot *before = target->newest_ready;

    /* What comes back from a lease is older than most: its place is near the front. */
    while (before && before->arrival > slot->arrival)
        before = before->older;
    slot->older = before;
    slot->newer = before ? before->newer : target->oldest_ready;
    if (slot->older)
        slot->older->newer = slot;
    else
        target->oldest_ready = slot;
    if (slot->newer)
        slot->newer->older = slot;
    else
        target->newest_ready = slot;
}

static void unready(struct slot *slot)
{
    if (slot->older)
        slot->older->newer = slot->newer;
    else
        slot->target->oldest_ready = slot->newer;
    if (slot->newer)
        slot->newer->older = slot->older;
    else
        slot->target->newest_ready = slot->older;
    slot->older = slot->newer = NULL;
}

/* ---- entries ---- */

static struct slot *find(const struct tray *tray, const struct id *peck)
{
    return (struct slot *)pecktable_find(&tray->table, peck);
}

static enum tray_verdict judge(const struct tray *tray, const struct tray_entry *entry)
{
    const struct party *sender = find_party(tray, &entry->from);

    if (tray->table.count >= tray->table.max)
        return TRAY_FULL;
    if (sender && sender->as_sender >= TRAY_PER_SENDER_MAX)
        return TRAY_SENDER_FULL;
    if (sender && entry->place == TRAY_WAITING && sender->pending >= PENDING_PER_SENDER_MAX)
        return TRAY_TOO_MANY_PENDING;
    return TRAY_TAKEN;
}

enum tray_verdict tray_add(struct tray *tray, const struct tray_entry *entry)
{
    enum tray_verdict verdict = judge(tray, entry);
    struct slot *slot;

    if (verdict != TRAY_TAKEN)
        return verdict;
    slot = memory_take(sizeof *slot);
    slot->entry = *entry;
    slot->node.peck = entry->peck;
    slot->arrival = tray->arrivals++;
    if (!pecktable_add(&tray->table, &slot->node)) {
        memory_give_back(slot);
        return TRAY_FULL; /* there already: the caller looks first */
    }
    slot->target = meet(tray, &entry->to);
    slot->sender = meet(tray, &entry->from);
    slot->target->as_target++;
    slot->sender->as_sender++;
    if (entry->place == TRAY_WAITING)
        slot->sender->pending++;
    else if (entry->place == TRAY_READY)
        make_ready(slot);
    else if (entry->place == TRAY_LEASED)
        pecktable_set_due(&tray->table, &slot->node, PECKTABLE_STEADY, entry->lease_until_ms);
    pecktable_set_due(&tray->table, &slot->node, PECKTABLE_WALL, entry->expires_ms);
    return TRAY_TAKEN;
}

const struct tray_entry *tray_find(const struct tray *tray, const struct id *peck)
{
    const struct slot *slot = find(tray, peck);

    return slot ? &slot->entry : NULL;
}

void tray_remove(struct tray *tray, const struct id *peck)
{
    struct slot *slot = find(tray, peck);
    struct party *target, *sender;

    if (!slot)
        return;
    target = slot->target;
    sender = slot->sender;
    if (slot->entry.place == TRAY_READY)
        unready(slot);
    if (slot->entry.place == TRAY_WAITING)
        sender->pending--;
    target->as_target--;
    sender->as_sender--;
    pecktable_remove(&tray->table, &slot->node);
    part(tray, target);
    if (sender != target)
        part(tray, sender);
}

size_t tray_count(const struct tray *tray)
{
    return tray->table.count;
}

void tray_approve(struct tray *tray, const struct id *peck)
{
    struct slot *slot = find(tray, peck);

    if (!slot || slot->entry.place != TRAY_WAITING)
        return;
    slot->sender->pending--;
    slot->entry.state = PECK_APPROVED;
    slot->entry.place = TRAY_READY;
    make_ready(slot);
}

const struct tray_entry *tray_take(struct tray *tray, const struct id *duckling,
                                   uint64_t lease_until_ms)
{
    struct party *target = find_party(tray, duckling);
    struct slot *slot = target ? target->oldest_ready : NULL;

    if (!slot)
        return NULL;
    unready(slot);
    slot->entry.place = TRAY_LEASED;
    slot->entry.attempt++;
    slot->entry.lease_until_ms = lease_until_ms;
    pecktable_set_due(&tray->table, &slot->node, PECKTABLE_STEADY, lease_until_ms);
    return &slot->entry;
}

bool tray_acknowledge(struct tray *tray, const struct id *peck)
{
    struct slot *slot = find(tray, peck);

    if (!slot || slot->entry.place != TRAY_LEASED)
        return false;
    slot->entry.place = TRAY_WITH_AGENT;
    pecktable_set_due(&tray->table, &slot->node, PECKTABLE_STEADY, MOMENT_NEVER);
    return true;
}

const struct tray_entry *tray_poll_lease_over(struct tray *tray, uint64_t now_ms)
{
    struct slot *slot = (struct slot *)pecktable_first(&tray->table, PECKTABLE_STEADY);

    if (!slot || slot->entry.lease_until_ms > now_ms)
        return NULL;
    pecktable_set_due(&tray->table, &slot->node, PECKTABLE_STEADY, MOMENT_NEVER);
    slot->entry.place = TRAY_READY;
    make_ready(slot);
    return &slot->entry;
}

const struct tray_entry *tray_poll_expired(struct tray *tray, uint64_t wall_ms)
{
    struct slot *slot = (struct slot *)pecktable_first(&tray->table, PECKTABLE_WALL);

    return slot && slot->entry.expires_ms <= wall_ms ? &slot->entry : NULL;
}

uint64_t tray_wake_at_ms(const struct tray *tray, const struct moment *at)
{
    return pecktable_wake_at_ms(&tray->table, at);
}
