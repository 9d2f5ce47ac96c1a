#include "perch.h"

#include "pecktable.h"

#include <assert.h>

/* Everything of one depositor, or for one owner: a list in order of arrival. */
struct side {
    struct idtable_node by_id;
    struct slot *first, *last;
    size_t cost;
    size_t here;    /* of a depositor: what it has for the owner that is being looked at */
    bool is_marked; /* `here` counts */
};

enum { OWNER, FROM, SIDES };

struct slot {
    struct pecktable_node node; /* its id: of owner and name */
    struct perch_entry entry;
    struct side *sides[SIDES];
    struct slot *before[SIDES], *behind[SIDES];
    bool is_doomed;
};

struct perch {
    struct perch_settings settings;
    struct pecktable table;
    struct idtable sides[SIDES];
    size_t cost, bytes;
    uint64_t last_number;
};

const char *perch_verdict_code(enum perch_verdict verdict)
{
    switch (verdict) {
    case PERCH_HELD:
    case PERCH_KNOWN:
        return "";
    case PERCH_TOO_LARGE:
        return "too_large";
    case PERCH_EXPIRED:
        return "expired";
    case PERCH_FULL:
        return "full";
    }
    return "";
}

struct perch *perch_new(const struct perch_settings *settings)
{
    struct perch *perch = memory_take(sizeof *perch);

    perch->settings = *settings;
    if (perch->settings.bytes_max == 0)
        perch->settings.bytes_max = PERCH_BYTES_MAX;
    if (perch->settings.owner_bytes_max == 0)
        perch->settings.owner_bytes_max = PERCH_OWNER_BYTES_MAX;
    pecktable_init(&perch->table, SIZE_MAX); /* bounded by what each counts for */
    for (int i = 0; i < SIDES; i++)
        idtable_init(&perch->sides[i]);
    return perch;
}

void perch_free(struct perch *perch)
{
    if (!perch)
        return;
    pecktable_free(&perch->table);
    for (int i = 0; i < SIDES; i++)
        idtable_free(&perch->sides[i]);
    memory_give_back(perch);
}

static size_t cost_of(size_t size)
{
    return size < PERCH_ENTRY_BYTES_MIN ? PERCH_ENTRY_BYTES_MIN : size;
}

static struct id key_of(const struct id *owner, const struct id *name)
{
    struct id both[2] = {*owner, *name};
    struct hash hash = hash_of(bytes_of(both, sizeof both));

    return id_of(&hash);
}

/* ---- entries ---- */

static struct side *side_of(struct perch *perch, int which, const struct id *id)
{
    struct side *side = (struct side *)idtable_find(&perch->sides[which], id);

    if (side)
        return side;
    side = memory_take(sizeof *side);
    side->by_id.id = *id;
    idtable_add(&perch->sides[which], &side->by_id);
    return side;
}

static void join(struct perch *perch, int which, const struct id *id, struct slot *slot)
{
    struct side *side = side_of(perch, which, id);

    slot->sides[which] = side;
    slot->before[which] = side->last;
    if (side->last)
        side->last->behind[which] = slot;
    else
        side->first = slot;
    side->last = slot;
    side->cost += cost_of(slot->entry.size);
}

static void leave(struct perch *perch, int which, struct slot *slot)
{
    struct side *side = slot->sides[which];

    if (slot->before[which])
        slot->before[which]->behind[which] = slot->behind[which];
    else
        side->first = slot->behind[which];
    if (slot->behind[which])
        slot->behind[which]->before[which] = slot->before[which];
    else
        side->last = slot->before[which];
    side->cost -= cost_of(slot->entry.size);
    if (side->first)
        return;
    idtable_remove(&perch->sides[which], &side->by_id);
    memory_give_back(side);
}

static void add(struct perch *perch, const struct perch_entry *entry)
{
    struct id key = key_of(&entry->owner, &entry->name);
    struct slot *slot = memory_take(sizeof *slot);
    bool is_new = pecktable_add(&perch->table, &key, &slot->node);

    assert(is_new);
    (void)is_new;
    slot->entry = *entry;
    join(perch, OWNER, &entry->owner, slot);
    join(perch, FROM, &entry->from, slot);
    perch->cost += cost_of(entry->size);
    perch->bytes += entry->size;
    pecktable_set_expiry(&perch->table, &slot->node, entry->not_after_ms);
}

static void drop(struct perch *perch, struct slot *slot)
{
    perch->cost -= cost_of(slot->entry.size);
    perch->bytes -= slot->entry.size;
    for (int i = 0; i < SIDES; i++)
        leave(perch, i, slot);
    pecktable_remove(&perch->table, &slot->node);
}

/* ---- room ---- */

/* Those that make room are marked first; whether it is enough is known at the end. */
struct room {
    struct perch *perch;
    const struct perch_entry *wanted;
    struct side *owner; /* that the room is made in; NULL: in the whole */
    struct slot *doomed[PERCH_EVICTED_MAX];
    size_t count;
};

static size_t share_of(const struct room *room, const struct side *depositor)
{
    return room->owner ? (depositor->is_marked ? depositor->here : 0) : depositor->cost;
}

/* What each depositor has for that owner. */
static void measure(const struct room *room, bool begin)
{
    for (struct slot *slot = room->owner->first; slot; slot = slot->behind[OWNER]) {
        struct side *from = slot->sides[FROM];

        if (!begin || !from->is_marked)
            from->here = 0;
        from->is_marked = begin;
        if (begin && !slot->is_doomed)
            from->here += cost_of(slot->entry.size);
    }
}

static struct side *largest_in_owner(const struct room *room)
{
    struct side *largest = NULL;

    for (struct slot *slot = room->owner->first; slot; slot = slot->behind[OWNER])
        if (!largest || slot->sides[FROM]->here > largest->here)
            largest = slot->sides[FROM];
    return largest;
}

static struct side *largest_depositor(const struct room *room)
{
    struct side *largest = NULL;

    if (room->owner)
        return largest_in_owner(room);
    for (struct idtable_node *node = NULL; (node = idtable_next(&room->perch->sides[FROM], node));)
        if (!largest || ((struct side *)node)->cost > largest->cost)
            largest = (struct side *)node;
    return largest;
}

static struct slot *newest_of(const struct room *room, const struct side *depositor)
{
    struct slot *slot = depositor->last;

    while (slot && (slot->is_doomed || (room->owner && slot->sides[OWNER] != room->owner)))
        slot = slot->before[FROM];
    return slot;
}

static void doom(struct room *room, struct slot *slot, bool is_doomed)
{
    size_t cost = cost_of(slot->entry.size);
    struct side *from = slot->sides[FROM];

    slot->is_doomed = is_doomed;
    if (is_doomed) {
        room->perch->cost -= cost;
        slot->sides[OWNER]->cost -= cost;
        from->cost -= cost;
        from->here -= from->is_marked ? cost : 0;
    } else {
        room->perch->cost += cost;
        slot->sides[OWNER]->cost += cost;
        from->cost += cost;
    }
}

/* Marks until `*used` and what is wanted fit. */
static bool make_room(struct room *room, const size_t *used, size_t max)
{
    const struct side *newcomer =
        (struct side *)idtable_find(&room->perch->sides[FROM], &room->wanted->from);
    size_t wanted = cost_of(room->wanted->size);

    if (*used + wanted <= max)
        return true;
    if (room->owner)
        measure(room, true);
    while (*used + wanted > max && room->count < PERCH_EVICTED_MAX) {
        struct side *largest = largest_depositor(room);
        size_t has = newcomer ? share_of(room, newcomer) : 0;
        struct slot *newest;

        if (!largest || largest == newcomer || share_of(room, largest) <= has + wanted)
            break;
        newest = newest_of(room, largest);
        assert(newest);
        doom(room, newest, true);
        room->doomed[room->count++] = newest;
    }
    if (room->owner)
        measure(room, false);
    return *used + wanted <= max;
}

static bool find_room(struct room *room)
{
    struct perch *perch = room->perch;
    static const size_t nothing = 0;
    bool fits;

    room->owner = (struct side *)idtable_find(&perch->sides[OWNER], &room->wanted->owner);
    fits = make_room(room, room->owner ? &room->owner->cost : &nothing,
                     perch->settings.owner_bytes_max);
    room->owner = NULL;
    fits = fits && make_room(room, &perch->cost, perch->settings.bytes_max);
    for (size_t i = room->count; i-- > 0;)
        doom(room, room->doomed[i], false);
    return fits;
}

enum perch_verdict perch_offer(struct perch *perch, struct perch_entry *entry, uint64_t wall_ms,
                               uint64_t *evicted, size_t *evicted_count)
{
    struct room room = {.perch = perch, .wanted = entry};
    struct id key = key_of(&entry->owner, &entry->name);

    *evicted_count = 0;
    if (entry->size == 0 || entry->size > PERCH_SEALED_MAX)
        return PERCH_TOO_LARGE;
    if (entry->not_after_ms <= wall_ms ||
        entry->not_after_ms > wall_ms + PECK_LIFE_MAX_MS + CLOCK_SKEW_MAX_MS)
        return PERCH_EXPIRED;
    if (pecktable_find(&perch->table, &key))
        return PERCH_KNOWN;
    if (!find_room(&room))
        return PERCH_FULL;
    for (size_t i = 0; i < room.count; i++) {
        evicted[(*evicted_count)++] = room.doomed[i]->entry.number;
        drop(perch, room.doomed[i]);
    }
    entry->number = ++perch->last_number;
    add(perch, entry);
    return PERCH_HELD;
}

void perch_restore(struct perch *perch, const struct perch_entry *entry)
{
    struct id key = key_of(&entry->owner, &entry->name);

    if (pecktable_find(&perch->table, &key))
        return;
    if (entry->number > perch->last_number)
        perch->last_number = entry->number;
    add(perch, entry);
}

/* ---- going ---- */

bool perch_next(const struct perch *perch, const struct id *owner, uint64_t after,
                struct perch_entry *entry)
{
    const struct side *side = (struct side *)idtable_find(&perch->sides[OWNER], owner);
    const struct slot *slot = side ? side->first : NULL;

    while (slot && slot->entry.number <= after)
        slot = slot->behind[OWNER];
    if (!slot)
        return false;
    *entry = slot->entry;
    return true;
}

bool perch_settle(struct perch *perch, const struct id *owner, const struct id *name,
                  uint64_t *number)
{
    struct id key = key_of(owner, name);
    struct slot *slot = (struct slot *)pecktable_find(&perch->table, &key);

    if (!slot)
        return false;
    *number = slot->entry.number;
    drop(perch, slot);
    return true;
}

bool perch_poll_expired(struct perch *perch, uint64_t wall_ms, uint64_t *number)
{
    struct slot *slot = (struct slot *)pecktable_expired(&perch->table, wall_ms);

    if (!slot)
        return false;
    *number = slot->entry.number;
    drop(perch, slot);
    return true;
}

uint64_t perch_wake_at_ms(const struct perch *perch, const struct moment *at)
{
    return pecktable_wake_at_ms(&perch->table, at);
}

size_t perch_count(const struct perch *perch)
{
    return pecktable_count(&perch->table);
}

size_t perch_bytes(const struct perch *perch)
{
    return perch->bytes;
}

size_t perch_owners(const struct perch *perch)
{
    return perch->sides[OWNER].count;
}
