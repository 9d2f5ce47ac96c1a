/* A name stands here as its SipHash-2-4 of 128 bits under a secret key: nobody can choose two that
 * meet, and by chance it does not happen. */
#include "marks.h"

#include "deadlines.h"

#include <assert.h>

#define NONE UINT32_MAX

_Static_assert(crypto_shorthash_siphashx24_KEYBYTES == BUCKETS_KEY_SIZE, "one key for both");
_Static_assert(crypto_shorthash_siphashx24_BYTES == 16, "two halves");

struct name {
    uint64_t half[2];
};

struct mark {
    struct name name;
    uint64_t version_ms;
    uint32_t version_count;
    uint32_t next;  /* in its bucket; of a free one: the next free one */
    uint32_t place; /* among the deadlines */
};

struct marks {
    uint8_t key[BUCKETS_KEY_SIZE];
    size_t max;
    struct mark *list;
    uint32_t *buckets;
    size_t used, capacity; /* of the list */
    size_t bucket_count, bucket_capacity;
    uint32_t free;
    struct deadlines deadlines;
};

static struct version version_of(const struct mark *mark)
{
    return (struct version){mark->version_ms, mark->version_count};
}

static bool ends_earlier(const void *owner, uint32_t left, uint32_t right)
{
    const struct marks *marks = owner;

    return version_compare(version_of(&marks->list[left]), version_of(&marks->list[right])) < 0;
}

static void stands(void *owner, uint32_t number, uint32_t place)
{
    ((struct marks *)owner)->list[number].place = place;
}

struct marks *marks_new(size_t marks_max, const uint8_t key[BUCKETS_KEY_SIZE])
{
    struct marks *marks = memory_take(sizeof *marks);

    assert(marks_max > 0 && marks_max < NONE);
    memcpy(marks->key, key, sizeof marks->key);
    marks->max = marks_max;
    marks->free = NONE;
    marks->deadlines.owner = marks;
    marks->deadlines.ends_earlier = ends_earlier;
    marks->deadlines.stands = stands;
    return marks;
}

void marks_free(struct marks *marks)
{
    if (!marks)
        return;
    deadlines_free(&marks->deadlines);
    memory_give_back(marks->list);
    memory_give_back(marks->buckets);
    memory_give_back(marks);
}

size_t marks_count(const struct marks *marks)
{
    return marks->deadlines.count;
}

size_t marks_memory(const struct marks *marks)
{
    return sizeof *marks + marks->capacity * sizeof *marks->list +
           marks->bucket_capacity * sizeof *marks->buckets +
           marks->deadlines.capacity * sizeof *marks->deadlines.numbers;
}

uint64_t mark_until_ms(struct version version)
{
    return version.ms < MOMENT_NEVER - RECORD_LIFE_MAX_MS ? version.ms + RECORD_LIFE_MAX_MS
                                                          : MOMENT_NEVER;
}

/* ---- by name ---- */

static struct name name_of(const struct marks *marks, const struct id *owner, uint32_t kind,
                           struct bytes key)
{
    uint8_t text[ID_SIZE + sizeof kind + RECORD_KEY_MAX];
    struct name name;

    assert(key.size <= RECORD_KEY_MAX);
    memcpy(text, owner->bytes, ID_SIZE);
    memcpy(text + ID_SIZE, &kind, sizeof kind);
    if (key.size > 0)
        memcpy(text + ID_SIZE + sizeof kind, key.data, key.size);
    crypto_shorthash_siphashx24((uint8_t *)&name, text, ID_SIZE + sizeof kind + key.size,
                                marks->key);
    return name;
}

static uint32_t *bucket_of(const struct marks *marks, const struct name *name)
{
    return &marks->buckets[buckets_at(name->half[0], marks->bucket_count)];
}

static void add_bucket(struct marks *marks)
{
    size_t added = marks->bucket_count;
    uint32_t *link;

    if (added == marks->bucket_capacity) {
        marks->bucket_capacity = buckets_more(added);
        marks->buckets =
            memory_resize(marks->buckets, marks->bucket_capacity * sizeof *marks->buckets);
    }
    marks->buckets[added] = NONE;
    marks->bucket_count++;
    if (added == 0)
        return;
    link = &marks->buckets[buckets_split(added)];
    while (*link != NONE) {
        uint32_t number = *link;
        struct mark *mark = &marks->list[number];

        if (bucket_of(marks, &mark->name) != &marks->buckets[added]) {
            link = &mark->next;
            continue;
        }
        *link = mark->next;
        mark->next = marks->buckets[added];
        marks->buckets[added] = number;
    }
}

static struct mark *find(const struct marks *marks, const struct name *name)
{
    uint32_t number = marks->bucket_count > 0 ? *bucket_of(marks, name) : NONE;

    while (number != NONE) {
        struct mark *mark = &marks->list[number];

        if (mark->name.half[0] == name->half[0] && mark->name.half[1] == name->half[1])
            return mark;
        number = mark->next;
    }
    return NULL;
}

/* ---- in and out ---- */

static void drop_soonest(struct marks *marks)
{
    uint32_t number = marks->deadlines.numbers[0];
    struct mark *mark = &marks->list[number];
    uint32_t *link = bucket_of(marks, &mark->name);

    while (*link != number)
        link = &marks->list[*link].next;
    *link = mark->next;
    deadlines_remove(&marks->deadlines, 0);
    mark->next = marks->free;
    marks->free = number;
}

static uint32_t take_free(struct marks *marks)
{
    uint32_t number = marks->free;

    if (number != NONE) {
        marks->free = marks->list[number].next;
        return number;
    }
    if (marks->used == marks->capacity) {
        marks->capacity = buckets_more(marks->capacity);
        marks->list = memory_resize(marks->list, marks->capacity * sizeof *marks->list);
    }
    return (uint32_t)marks->used++;
}

static void make(struct marks *marks, const struct name *name, struct version version)
{
    uint32_t number, *bucket;

    if (marks->deadlines.count == marks->max) {
        if (version_compare(version, version_of(&marks->list[marks->deadlines.numbers[0]])) <= 0)
            return;
        drop_soonest(marks);
    }
    if (marks->bucket_count <= marks->deadlines.count)
        add_bucket(marks);
    number = take_free(marks);
    bucket = bucket_of(marks, name);
    marks->list[number] = (struct mark){
        .name = *name, .version_ms = version.ms, .version_count = version.count, .next = *bucket};
    *bucket = number;
    deadlines_add(&marks->deadlines, number);
}

void marks_raise(struct marks *marks, const struct id *owner, uint32_t kind, struct bytes key,
                 struct version version)
{
    struct name name = name_of(marks, owner, kind, key);
    struct mark *mark = find(marks, &name);

    if (!mark) {
        make(marks, &name, version);
        return;
    }
    if (version_compare(version, version_of(mark)) <= 0)
        return;
    mark->version_ms = version.ms;
    mark->version_count = version.count;
    deadlines_settle(&marks->deadlines, mark->place);
}

bool marks_stop(const struct marks *marks, const struct id *owner, uint32_t kind, struct bytes key,
                struct version version)
{
    struct name name;
    const struct mark *mark;

    if (marks->deadlines.count == 0)
        return false;
    name = name_of(marks, owner, kind, key);
    mark = find(marks, &name);
    return mark && version_compare(version, version_of(mark)) <= 0;
}

void marks_expire(struct marks *marks, uint64_t wall_ms)
{
    while (marks->deadlines.count > 0 &&
           mark_until_ms(version_of(&marks->list[marks->deadlines.numbers[0]])) <= wall_ms)
        drop_soonest(marks);
}
