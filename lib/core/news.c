/* Slots stand in one list for each class, newest first, and in a keyed hash table by name. A slot
 * remembers who holds its record by the first eight bytes of ids: who grinds an id that shares
 * eight with another's is told a little less, or more. */
#include "news.h"

#include <assert.h>
#include <sodium.h>

_Static_assert(DICE_SEED_SIZE >= crypto_shorthash_KEYBYTES, "a key for the table");

struct slot {
    struct slot *newer, *older; /* in its class */
    struct slot *next;          /* in its bucket */
    uint64_t name;              /* a keyed hash of owner, kind, key */
    struct hash hash;
    enum news_class class;
    uint8_t holders, told, allowed, budget, step, clipped;
    uint64_t holder[NEWS_HOLDERS_MAX];
    uint64_t due_ms;
};

struct list {
    struct slot *newest, *oldest;
    size_t count;
    uint64_t came, came_ms; /* thousandths of records of others, as of then: see may_pass */
};

struct news {
    struct list lists[NEWS_CLASSES];
    struct slot **buckets;
    size_t mask, count, max;
    uint8_t key[crypto_shorthash_KEYBYTES];
    struct dice dice;
    uint64_t now_ms, wake_ms;
    uint64_t round_ms; /* the next round is not before */
    size_t due;        /* the round: how often something may still be told */
    bool is_clipped;   /* the round: somebody could not be told all at once */
    uint64_t crowd_ms; /* when something was left to repair last */
    bool was_crowded;
    uint64_t added, told, replaced, crowded_out;
};

struct news *news_new(size_t slots_max, const uint8_t dice_seed[DICE_SEED_SIZE])
{
    struct news *news = memory_take(sizeof *news);
    size_t buckets = 16;

    assert(slots_max > 0);
    while (buckets < slots_max / 4)
        buckets *= 2;
    news->max = slots_max;
    news->mask = buckets - 1;
    news->wake_ms = MOMENT_NEVER;
    dice_init(&news->dice, dice_seed);
    dice_fill(&news->dice, news->key, sizeof news->key);
    return news;
}

void news_free(struct news *news)
{
    if (!news)
        return;
    for (int class = 0; class < NEWS_CLASSES; class ++)
        for (struct slot *slot = news->lists[class].newest, *older; slot; slot = older) {
            older = slot->older;
            memory_give_back(slot);
        }
    memory_give_back(news->buckets);
    memory_give_back(news);
}

size_t news_budget(size_t nodes)
{
    size_t copies = 1;

    /* ceil(1.5 ln(n + 1)), without floating point: e^(2/3) is 1.9477, so each copy nearly doubles
     * whom it serves. */
    for (uint64_t served = 1000000;
         served < (uint64_t)(nodes + 1) * 1000000 && copies < NEWS_HOLDERS_MAX;
         served = served * 19477 / 10000)
        copies++;
    return copies - (copies > 1);
}

/* ---- slots ---- */

static enum news_class class_of(uint32_t kind)
{
    if (kind == RECORD_REVOCATION)
        return NEWS_REVOCATIONS;
    if (kind == RECORD_NODE)
        return NEWS_MEMBERS;
    return kind == RECORD_METRICS ? NEWS_METRICS : NEWS_USERS;
}

static uint64_t name_of(const struct news *news, const struct record *record)
{
    uint8_t name[ID_SIZE + 4 + RECORD_KEY_MAX];
    uint64_t hash;

    assert(record->key.size <= RECORD_KEY_MAX);
    memcpy(name, record->owner.bytes, ID_SIZE);
    for (size_t i = 0; i < 4; i++)
        name[ID_SIZE + i] = (uint8_t)(record->kind >> (8 * i));
    if (record->key.size > 0)
        memcpy(name + ID_SIZE + 4, record->key.data, record->key.size);
    crypto_shorthash((uint8_t *)&hash, name, ID_SIZE + 4 + record->key.size, news->key);
    return hash;
}

static uint64_t short_id(const struct id *id)
{
    uint64_t number;

    memcpy(&number, id->bytes, sizeof number);
    return number;
}

static void unlink_slot(struct news *news, struct slot *slot)
{
    struct list *list = &news->lists[slot->class];
    struct slot **place = &news->buckets[slot->name & news->mask];

    while (*place != slot)
        place = &(*place)->next;
    *place = slot->next;
    *(slot->newer ? &slot->newer->older : &list->newest) = slot->older;
    *(slot->older ? &slot->older->newer : &list->oldest) = slot->newer;
    list->count--;
    news->count--;
    memory_give_back(slot);
}

static struct slot *find(const struct news *news, uint64_t name)
{
    struct slot *slot = news->buckets ? news->buckets[name & news->mask] : NULL;

    while (slot && slot->name != name)
        slot = slot->next;
    return slot;
}

/* The oldest of the largest class: it was told most, and the class was given most. */
static void make_room(struct news *news)
{
    struct list *largest = &news->lists[0];

    for (int class = 1; class < NEWS_CLASSES; class ++)
        if (news->lists[class].count > largest->count)
            largest = &news->lists[class];
    unlink_slot(news, largest->oldest);
    news->crowded_out++;
}

static bool holds(const struct slot *slot, const struct id *node)
{
    for (size_t i = 0; i < slot->holders; i++)
        if (slot->holder[i] == short_id(node))
            return true;
    return false;
}

static void note_holder(struct slot *slot, const struct id *node)
{
    if (!holds(slot, node) && slot->holders < NEWS_HOLDERS_MAX)
        slot->holder[slot->holders++] = short_id(node);
}

/* How many came lately: each counts one, and NEWS_PASSED_PER_S go each second. All of a crowd count,
 * so that none of it is passed on until it is over. */
static bool may_pass(struct news *news, enum news_class class, uint64_t now_ms)
{
    struct list *list = &news->lists[class];
    uint64_t most = 1000ull * (NEWS_PASSED_BURST + NEWS_PASSED_PER_S);
    uint64_t gone = now_ms > list->came_ms ? (now_ms - list->came_ms) * NEWS_PASSED_PER_S : 0;

    list->came = list->came > gone ? list->came - gone : 0;
    list->came_ms = now_ms;
    list->came = list->came + 1000 < most ? list->came + 1000 : most;
    if (list->came <= 1000ull * NEWS_PASSED_BURST)
        return true;
    news->crowded_out++;
    news->crowd_ms = now_ms;
    news->was_crowded = true;
    return false;
}

bool news_is_crowded(const struct news *news, uint64_t now_ms)
{
    return news->was_crowded && now_ms < news->crowd_ms + NEWS_CROWD_MS;
}

bool news_add(struct news *news, const struct record *record, const struct id *from, size_t budget,
              uint64_t now_ms)
{
    uint64_t name = name_of(news, record);
    struct slot *slot = find(news, name);
    struct list *list;

    if (slot) {
        unlink_slot(news, slot);
        news->replaced++;
    }
    if (!id_is_zero(from) && !may_pass(news, class_of(record->kind), now_ms))
        return false;
    if (news->count == news->max)
        make_room(news);
    if (!news->buckets)
        news->buckets = memory_take((news->mask + 1) * sizeof(struct slot *));
    slot = memory_take(sizeof *slot);
    slot->name = name;
    slot->hash = record->hash;
    slot->class = class_of(record->kind);
    slot->budget = (uint8_t)(budget < NEWS_HOLDERS_MAX ? budget : NEWS_HOLDERS_MAX);
    slot->step = (uint8_t)(id_is_zero(from) ? slot->budget : (slot->budget + 1) / 2);
    slot->allowed = slot->step;
    slot->due_ms = id_is_zero(from) || now_ms > news->round_ms ? now_ms : news->round_ms;
    if (!id_is_zero(from))
        note_holder(slot, from);
    list = &news->lists[slot->class];
    slot->older = list->newest;
    *(list->newest ? &list->newest->newer : &list->oldest) = slot;
    list->newest = slot;
    list->count++;
    slot->next = news->buckets[name & news->mask];
    news->buckets[name & news->mask] = slot;
    news->count++;
    news->added++;
    if (slot->due_ms < news->wake_ms)
        news->wake_ms = slot->due_ms;
    return true;
}

void news_heard(struct news *news, const struct record *record, const struct id *from)
{
    struct slot *slot = find(news, name_of(news, record));

    if (slot && hash_equal(&slot->hash, &record->hash))
        note_holder(slot, from);
}

/* ---- rounds ---- */

static bool is_due(const struct news *news, const struct slot *slot)
{
    return slot->due_ms <= news->now_ms && slot->told < slot->allowed;
}

bool news_begin(struct news *news, uint64_t now_ms)
{
    news->now_ms = now_ms;
    news->is_clipped = false;
    news->due = 0;
    if (now_ms < news->wake_ms)
        return false;
    for (int class = 0; class < NEWS_CLASSES; class ++)
        for (const struct slot *slot = news->lists[class].newest; slot; slot = slot->older)
            if (is_due(news, slot))
                news->due += slot->allowed - slot->told;
    return true;
}

bool news_has_more(const struct news *news)
{
    return news->due > 0;
}

static size_t poll_class(struct news *news, enum news_class class, const struct id *node,
                         struct hash *hashes, size_t max)
{
    size_t count = 0;

    for (struct slot *slot = news->lists[class].newest; slot && count < max; slot = slot->older) {
        if (!is_due(news, slot) || holds(slot, node))
            continue;
        hashes[count++] = slot->hash;
        note_holder(slot, node);
        slot->told++;
    }
    return count;
}

/* First each class has its share, then who has more to say fills what is left. */
size_t news_poll(struct news *news, const struct id *node, struct hash *hashes, size_t max)
{
    size_t count = 0;

    assert(max >= NEWS_CLASSES);
    for (int class = 0; class < NEWS_CLASSES; class ++)
        count +=
            poll_class(news, (enum news_class) class, node, hashes + count, max / NEWS_CLASSES);
    for (int class = 0; class < NEWS_CLASSES && count < max; class ++)
        count += poll_class(news, (enum news_class) class, node, hashes + count, max - count);
    news->told += count;
    news->due -= count;
    news->is_clipped |= count == max;
    return count;
}

/* False: this was its last ride. */
static bool plan_ride(const struct news *news, struct slot *slot, uint64_t ride_ms)
{
    slot->due_ms = ride_ms;
    if (slot->told < slot->allowed && news->is_clipped && slot->clipped < NEWS_CLIPPED_MAX) {
        slot->clipped++; /* its turn did not come */
        return true;
    }
    if (slot->allowed >= slot->budget)
        return false;
    slot->allowed = (uint8_t)(slot->allowed + slot->step < slot->budget ? slot->allowed + slot->step
                                                                        : slot->budget);
    return true;
}

void news_end(struct news *news, uint64_t now_ms)
{
    uint64_t ride_ms = now_ms + NEWS_RIDE_MS + dice_below(&news->dice, NEWS_RIDE_MS);

    news->round_ms = now_ms + NEWS_GATHER_MS;
    news->wake_ms = MOMENT_NEVER;
    for (int class = 0; class < NEWS_CLASSES; class ++)
        for (struct slot *slot = news->lists[class].newest, *older; slot; slot = older) {
            older = slot->older;
            if (slot->due_ms <= now_ms && !plan_ride(news, slot, ride_ms))
                unlink_slot(news, slot);
            else if (slot->due_ms < news->wake_ms)
                news->wake_ms = slot->due_ms;
        }
}

uint64_t news_wake_at_ms(const struct news *news)
{
    return news->wake_ms;
}

void news_figures(const struct news *news, struct news_figures *figures)
{
    *figures = (struct news_figures){.added = news->added,
                                     .told = news->told,
                                     .replaced = news->replaced,
                                     .crowded_out = news->crowded_out};
    for (int class = 0; class < NEWS_CLASSES; class ++)
        figures->waiting[class] = news->lists[class].count;
}
