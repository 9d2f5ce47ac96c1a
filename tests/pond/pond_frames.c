/* Frames in flight. Whoever sends the same bytes to many shares one body, and whoever opens it at
 * about the same date shares one result: ten thousand nodes parse a record once. Small frames hold
 * no signature; each receiver opens its own. Stored records travel as a list of what the pool holds:
 * each is opened once, in a frame of its own, and a list is what came of its records. */
#include "pond_parts.h"

#include <sodium.h>
#include <stdlib.h>

#define SHARED_BYTES_MIN 112u         /* nothing signed is smaller */
#define RECENT_MAX 16384u             /* shared frames that are kept though nobody carries them */
#define RECENT_BYTES_MAX (128u * MIB) /* with what was made of them */
#define SAME_DATE_MS 2000u /* a date so near judges alike, or as if the clock were so wrong */

struct frames {
    struct pond *pond;
    struct intake *intake;
    struct keyring *keyring;
    struct frame **buckets;
    size_t bucket_count, count;
    struct frame *recent[RECENT_MAX];
    size_t recent_next, recent_bytes;
};

struct frames *frames_new(struct pond *pond)
{
    struct frames *frames = memory_take(sizeof *frames);
    struct intake_settings settings = {.network = bytes_of_text(POND_NETWORK)};

    frames->pond = pond;
    frames->keyring = keyring_new(KEYRING_MAX);
    settings.keyring = frames->keyring;
    frames->intake = intake_new(&settings);
    frames->bucket_count = 65536;
    frames->buckets = memory_take(frames->bucket_count * sizeof(struct frame *));
    return frames;
}

struct intake *frames_intake(struct frames *frames)
{
    return frames->intake;
}

void opened_drop(struct opened *opened)
{
    if (!opened || --opened->refs > 0)
        return;
    for (size_t i = 0; i < opened->part_count; i++)
        opened_drop(opened->parts[i]);
    memory_give_back(opened->parts);
    arena_free(&opened->arena);
    memory_give_back(opened);
}

void frame_drop(struct frame *frame)
{
    if (!frame || --frame->refs > 0)
        return;
    assert(!frame->shared); /* the list of recent ones holds those */
    opened_drop(frame->opened);
    memory_give_back(frame->listing);
    memory_give_back(frame);
}

/* What opening it takes is counted before, and by the largest that is usual. */
static size_t weight(const struct frame *frame)
{
    return sizeof *frame + sizeof(struct opened) + 4 * KIB + 5 * frame->size;
}

static void unshare(struct frames *frames, struct frame *frame)
{
    struct frame **at = &frames->buckets[frame->name & (frames->bucket_count - 1)];

    while (*at != frame)
        at = &(*at)->next;
    *at = frame->next;
    frame->shared = false;
    frames->recent_bytes -= weight(frame);
    frame_drop(frame);
}

/* The oldest goes; while it is the only one that is too much, so does what comes after it. */
static void share(struct frames *frames, struct frame *frame)
{
    struct frame **bucket = &frames->buckets[frame->name & (frames->bucket_count - 1)];

    frame->shared = true;
    frame->refs++;
    frame->next = *bucket;
    *bucket = frame;
    frames->recent_bytes += weight(frame);
    if (frames->recent[frames->recent_next])
        unshare(frames, frames->recent[frames->recent_next]);
    frames->recent[frames->recent_next] = frame;
    frames->recent_next = (frames->recent_next + 1) % RECENT_MAX;
    for (size_t i = frames->recent_next;
         frames->recent_bytes > RECENT_BYTES_MAX && frames->recent[i] != frame;
         i = (i + 1) % RECENT_MAX)
        if (frames->recent[i]) {
            unshare(frames, frames->recent[i]);
            frames->recent[i] = NULL;
        }
}

void frames_free(struct frames *frames)
{
    for (size_t i = 0; i < RECENT_MAX; i++)
        if (frames->recent[i])
            unshare(frames, frames->recent[i]);
    intake_free(frames->intake);
    keyring_free(frames->keyring);
    memory_give_back(frames->buckets);
    memory_give_back(frames);
}

static uint64_t name_of(uint8_t kind, struct bytes body)
{
    uint8_t key[crypto_shorthash_KEYBYTES] = {kind};
    uint64_t name;

    crypto_shorthash((uint8_t *)&name, body.data, body.size, key);
    return name;
}

static struct frame *make(uint8_t kind, struct bytes body)
{
    struct frame *frame = malloc(sizeof *frame + body.size);

    if (!frame)
        memory_ran_out();
    *frame = (struct frame){.kind = kind, .size = body.size, .refs = 1};
    if (body.size)
        memcpy(frame->body, body.data, body.size);
    return frame;
}

struct frame *frame_hold(struct frames *frames, uint8_t kind, struct bytes body)
{
    struct frame *frame;
    uint64_t name;

    if (body.size < SHARED_BYTES_MIN)
        return make(kind, body);
    name = name_of(kind, body);
    for (frame = frames->buckets[name & (frames->bucket_count - 1)]; frame; frame = frame->next)
        if (frame->name == name && frame->kind == kind && frame->size == body.size &&
            memcmp(frame->body, body.data, body.size) == 0) {
            frame->refs++;
            return frame;
        }
    frame = make(kind, body);
    frame->name = name;
    share(frames, frame);
    return frame;
}

static size_t field_size(size_t size)
{
    return size + (size < 128 ? 2 : 3); /* tag, length */
}

struct frame *frame_list(uint8_t kind, const struct fetch_answer *answer,
                         struct pooled *const *records, size_t count)
{
    struct frame *frame = make(kind, bytes_of(NULL, 0));
    struct listing *listing = memory_take(sizeof *listing + count * sizeof(struct pooled *));

    *listing = (struct listing){.answer = *answer, .count = count};
    frame->listing = listing;
    if (kind == FRAME_FETCHED)
        frame->size = 10 + (answer->has_next ? field_size(HASH_SIZE) + 6 : 0);
    for (size_t i = 0; i < count; i++) {
        listing->records[i] = records[i];
        frame->size +=
            field_size(field_size(records[i]->wire.size) + field_size(records[i]->chain.size));
    }
    return frame;
}

static bool is_near(uint64_t left_ms, uint64_t right_ms)
{
    return left_ms < right_ms + SAME_DATE_MS && right_ms < left_ms + SAME_DATE_MS;
}

/* ---- opening ---- */

static struct opened *open_body(struct frames *frames, enum frame_kind kind, struct bytes body,
                                uint64_t wall_ms)
{
    struct opened *opened = memory_take(sizeof *opened);
    struct bytes one, other;

    opened->refs = 1;
    opened->wall_ms = wall_ms;
    arena_init(&opened->arena, PARSE_BUDGET(body.size + CHAIN_SIZE_MAX));
    opened->verdict =
        intake_open(frames->intake, kind, arena_copy(&opened->arena, body), wall_ms, &opened->arena,
                    &opened->event, &opened->peck, &opened->refused, opened->reason);
    if (intake_contradiction(frames->intake, &one, &other)) {
        opened->one = arena_copy(&opened->arena, one);
        opened->other = arena_copy(&opened->arena, other);
    }
    frames->pond->sums.opened++;
    return opened;
}

static struct opened *open_pooled(struct frames *frames, struct pooled *record, uint64_t wall_ms)
{
    struct arena arena;

    if (!record->opened || !is_near(record->opened->wall_ms, wall_ms)) {
        opened_drop(record->opened);
        arena_init(&arena, 2 * RECORD_SIZE_MAX + CHAIN_SIZE_MAX);
        record->opened =
            open_body(frames, FRAME_RECORDS,
                      frame_pack_records(&record->chain, &record->wire, 1, &arena), wall_ms);
        arena_free(&arena);
    } else {
        frames->pond->sums.opened_again++;
    }
    record->opened->refs++;
    return record->opened;
}

/* As intake would, had the list been made of bytes. */
static struct opened *open_listing(struct frames *frames, enum frame_kind kind,
                                   const struct listing *listing, uint64_t wall_ms)
{
    struct opened *opened = memory_take(sizeof *opened);
    struct offered_record *items;
    enum intake_verdict first = INTAKE_MALFORMED;
    size_t count = 0;

    opened->refs = 1;
    opened->wall_ms = wall_ms;
    arena_init(&opened->arena, PARSE_BUDGET(listing->count * sizeof *items));
    items = arena_take(&opened->arena, (listing->count + 1) * sizeof *items);
    opened->parts = memory_take((listing->count + 1) * sizeof(struct opened *));
    for (size_t i = 0; i < listing->count; i++) {
        struct opened *part = open_pooled(frames, listing->records[i], wall_ms);

        opened->parts[opened->part_count++] = part;
        if (opened->one.size == 0) {
            opened->one = part->one;
            opened->other = part->other;
        }
        if (part->verdict == INTAKE_TAKEN)
            items[count++] = part->event.records.items[0];
        else if (opened->refused++ == 0)
            first = part->verdict;
    }
    opened->event.kind = kind == FRAME_FETCHED ? EVENT_FETCHED : EVENT_RECORDS;
    if (kind == FRAME_RECORDS) {
        opened->event.records.items = items;
        opened->event.records.count = count;
        opened->verdict = count ? INTAKE_TAKEN : first;
        return opened;
    }
    opened->event.fetched.set = listing->answer.set;
    opened->event.fetched.session = listing->answer.session;
    opened->event.fetched.items = items;
    opened->event.fetched.count = count;
    opened->event.fetched.is_last = listing->answer.is_last;
    opened->event.fetched.has_next = listing->answer.has_next;
    opened->event.fetched.offends = opened->refused > 0 && intake_verdict_offends(first);
    opened->event.fetched.next = listing->answer.next;
    opened->verdict = INTAKE_TAKEN;
    return opened;
}

struct opened *frame_open(struct frames *frames, struct frame *frame, uint64_t wall_ms)
{
    struct opened *opened = frame->opened;

    if (frame->listing)
        return open_listing(frames, (enum frame_kind)frame->kind, frame->listing, wall_ms);

    if (opened && is_near(opened->wall_ms, wall_ms)) {
        frames->pond->sums.opened_again++;
        opened->refs++;
        return opened;
    }
    opened = open_body(frames, (enum frame_kind)frame->kind, bytes_of(frame->body, frame->size),
                       wall_ms);
    if (frame->shared) {
        opened_drop(frame->opened);
        frame->opened = opened;
        opened->refs++;
    }
    return opened;
}
