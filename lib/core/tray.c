#include "tray.h"

#include "tray_lines.h"

struct tray {
    struct pecktable table;
    struct idtable parties;
    size_t pending; /* that wait for owners */
    uint64_t looks;
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
    case TRAY_PENDING_FULL:
        return "this node holds as many pecks that wait for approval as it can";
    }
    return "";
}

struct tray *tray_new(size_t pecks_max)
{
    struct tray *tray = memory_take(sizeof *tray);

    pecktable_init(&tray->table, pecks_max);
    idtable_init(&tray->parties);
    return tray;
}

void tray_free(struct tray *tray)
{
    struct idtable_node *node = NULL;

    if (!tray)
        return;
    while ((node = idtable_next(&tray->parties, node)))
        party_clear((struct party *)node);
    idtable_free(&tray->parties);
    pecktable_free(&tray->table);
    memory_give_back(tray);
}

/* ---- parties ---- */

static struct party *find_party(const struct tray *tray, const struct id *id)
{
    return (struct party *)idtable_find(&tray->parties, id);
}

static struct party *meet(struct tray *tray, const struct id *id)
{
    struct party *party = find_party(tray, id);

    if (party)
        return party;
    party = memory_take(sizeof *party);
    party->by_id.id = *id;
    party_init(party);
    idtable_add(&tray->parties, &party->by_id);
    return party;
}

static void part(struct tray *tray, struct party *party)
{
    if (party->as_target > 0 || party->as_sender > 0 || party->as_context > 0)
        return;
    idtable_remove(&tray->parties, &party->by_id);
    party_clear(party);
    memory_give_back(party);
}

void tray_each_of(const struct tray *tray, const struct id *party,
                  void (*visit)(void *context, const struct tray_entry *entry), void *context)
{
    const struct idtable_node *node = NULL;

    if (party && !find_party(tray, party))
        return;
    while ((node = idtable_next(&tray->table.by_id, node))) {
        const struct tray_entry *entry = &((const struct slot *)node)->entry;

        if (!party || id_equal(&entry->from, party) || id_equal(&entry->to, party) ||
            id_equal(&entry->context, party))
            visit(context, entry);
    }
}

/* ---- places ---- */

/* The one place where an entry changes its place: counts, queues and deadlines follow it. */
static void enter(struct tray *tray, struct slot *slot, enum tray_place place)
{
    slot->entry.place = place;
    if (place == TRAY_WAITING) {
        slot->sender->pending++;
        tray->pending++;
    } else if (place == TRAY_READY)
        slot_become_ready(slot);
    else if (place == TRAY_LEASED)
        pecktable_set_due(&tray->table, &slot->node, slot->entry.lease_until_ms);
}

static void leave(struct tray *tray, struct slot *slot)
{
    if (slot->entry.place == TRAY_WAITING) {
        slot->sender->pending--;
        tray->pending--;
    } else if (slot->entry.place == TRAY_READY)
        slot_be_ready_no_more(slot);
    else if (slot->entry.place == TRAY_LEASED)
        pecktable_set_due(&tray->table, &slot->node, MOMENT_NEVER);
}

static void move(struct tray *tray, struct slot *slot, enum tray_place place)
{
    leave(tray, slot);
    enter(tray, slot, place);
}

/* ---- entries ---- */

static struct slot *find(const struct tray *tray, const struct id *peck)
{
    return (struct slot *)pecktable_find(&tray->table, peck);
}

static enum tray_verdict judge(const struct tray *tray, const struct tray_entry *entry)
{
    const struct party *sender = find_party(tray, &entry->from);

    if (pecktable_count(&tray->table) >= tray->table.max)
        return TRAY_FULL;
    if (sender && sender->as_sender >= TRAY_PER_SENDER_MAX)
        return TRAY_SENDER_FULL;
    if (sender && entry->place == TRAY_WAITING && sender->pending >= PENDING_PER_SENDER_MAX)
        return TRAY_TOO_MANY_PENDING;
    if (entry->place == TRAY_WAITING && tray->pending >= TRAY_PENDING_MAX(tray->table.max))
        return TRAY_PENDING_FULL;
    return TRAY_TAKEN;
}

bool tray_restore(struct tray *tray, const struct tray_entry *entry)
{
    struct slot *slot;

    if (pecktable_count(&tray->table) >= tray->table.max)
        return false;
    slot = memory_take(sizeof *slot + entry->action.size);
    if (!pecktable_add(&tray->table, &entry->peck, &slot->node)) {
        memory_give_back(slot);
        return false;
    }
    slot->entry = *entry;
    slot->entry.action.data = slot->action;
    if (entry->action.size > 0)
        memcpy(slot->action, entry->action.data, entry->action.size);
    slot->kind = kind_of(entry->action);
    slot->target = meet(tray, &entry->to);
    slot->sender = meet(tray, &entry->from);
    slot->target->as_target++;
    slot->sender->as_sender++;
    if (!id_is_zero(&entry->context)) {
        slot->context = meet(tray, &entry->context);
        slot->context->as_context++;
    }
    slot_stand_in_line(slot);
    enter(tray, slot, entry->place);
    pecktable_set_expiry(&tray->table, &slot->node, entry->expires_ms);
    return true;
}

enum tray_verdict tray_add(struct tray *tray, const struct tray_entry *entry)
{
    enum tray_verdict verdict = judge(tray, entry);

    if (verdict != TRAY_TAKEN)
        return verdict;
    /* It may be in here: whoever sent it twice in a turn may ask again. */
    return tray_restore(tray, entry) ? TRAY_TAKEN : TRAY_FULL;
}

const struct tray_entry *tray_find(const struct tray *tray, const struct id *peck)
{
    const struct slot *slot = find(tray, peck);

    return slot ? &slot->entry : NULL;
}

void tray_remove(struct tray *tray, const struct id *peck)
{
    struct slot *slot = find(tray, peck);
    struct party *target, *sender, *context;

    if (!slot)
        return;
    context = slot->context;
    target = slot->target;
    sender = slot->sender;
    leave(tray, slot);
    slot_leave_line(slot);
    target->as_target--;
    sender->as_sender--;
    if (context)
        context->as_context--;
    pecktable_remove(&tray->table, &slot->node);
    part(tray, target);
    if (sender != target)
        part(tray, sender);
    if (context && context != sender && context != target)
        part(tray, context);
}

size_t tray_count(const struct tray *tray)
{
    return pecktable_count(&tray->table);
}

uint64_t tray_looks(const struct tray *tray)
{
    return tray->looks;
}

void tray_approve(struct tray *tray, const struct id *peck)
{
    struct slot *slot = find(tray, peck);

    if (!slot || slot->entry.place != TRAY_WAITING)
        return;
    slot->entry.state = PECK_APPROVED;
    move(tray, slot, TRAY_READY);
}

/* ---- handing out ---- */

static bool covers_any(const struct bytes *scopes, size_t count, struct bytes action)
{
    for (size_t i = 0; i < count; i++)
        if (peck_scope_covers(scopes[i], action))
            return true;
    return false;
}

bool tray_filter_fits(const struct tray_filter *filter, struct bytes action)
{
    return (filter->action_count == 0 ||
            covers_any(filter->actions, filter->action_count, action)) &&
           !covers_any(filter->but_not, filter->but_not_count, action);
}

const struct tray_entry *tray_take(struct tray *tray, const struct id *duckling,
                                   const struct tray_filter *filter, uint64_t lease_until_ms)
{
    struct party *target = find_party(tray, duckling);
    struct slot *slot = target ? party_next(target, filter, &tray->looks) : NULL;

    if (!slot)
        return NULL;
    slot->turn = slot->line->turn;
    slot->entry.attempt++;
    slot->entry.lease_until_ms = lease_until_ms;
    move(tray, slot, TRAY_LEASED);
    line_move(slot->line, target, ++target->turns);
    return &slot->entry;
}

bool tray_renew(struct tray *tray, const struct id *peck, uint64_t lease_until_ms)
{
    struct slot *slot = find(tray, peck);

    if (!slot || slot->entry.place != TRAY_LEASED)
        return false;
    slot->entry.lease_until_ms = lease_until_ms;
    move(tray, slot, TRAY_LEASED);
    return true;
}

bool tray_acknowledge(struct tray *tray, const struct id *peck)
{
    struct slot *slot = find(tray, peck);

    if (!slot || slot->entry.place != TRAY_LEASED)
        return false;
    move(tray, slot, TRAY_WITH_AGENT);
    return true;
}

void tray_add_partial(struct tray *tray, const struct id *peck, struct bytes payload,
                      uint64_t lease_until_ms)
{
    struct slot *slot = find(tray, peck);

    if (!slot)
        return;
    partials_add(&slot->entry.partials, payload);
    if (slot->entry.place != TRAY_LEASED || slot->entry.lease_until_ms >= lease_until_ms)
        return;
    slot->entry.lease_until_ms = lease_until_ms;
    pecktable_set_due(&tray->table, &slot->node, lease_until_ms);
}

bool tray_give_back(struct tray *tray, const struct id *peck)
{
    struct slot *slot = find(tray, peck);

    if (!slot || slot->entry.place != TRAY_LEASED)
        return false;
    slot->entry.attempt--;
    move(tray, slot, TRAY_READY);
    return true;
}

const struct tray_entry *tray_poll_lease_over(struct tray *tray, uint64_t now_ms)
{
    struct slot *slot = (struct slot *)pecktable_due(&tray->table, now_ms);

    if (!slot)
        return NULL;
    move(tray, slot, TRAY_READY);
    return &slot->entry;
}

const struct tray_entry *tray_poll_expired(struct tray *tray, uint64_t wall_ms)
{
    struct slot *slot = (struct slot *)pecktable_expired(&tray->table, wall_ms);

    return slot ? &slot->entry : NULL;
}

uint64_t tray_wake_at_ms(const struct tray *tray, const struct moment *at)
{
    return pecktable_wake_at_ms(&tray->table, at);
}
