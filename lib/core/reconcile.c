#include "reconcile.h"

#include "reconcile_message.h"

#include <assert.h>
#include <stdlib.h>

#define FRAME_SLACK                                                                                \
    200u /* bytes a message keeps free for the end of a list and the last fingerprint */
#define READ_AT_ONCE 64u /* stamps */

const struct reconcile_settings reconcile_defaults = {
    .pieces = RECONCILE_PIECES,
    .list_below = RECONCILE_LIST_BELOW,
    .frame_max = RECONCILE_FRAME_MAX,
    .take_max = RECONCILE_TAKE_MAX,
    .needs_max = RECONCILE_NEEDS_MAX,
    .haves_max = RECONCILE_HAVES_MAX,
    .rounds_max = RECONCILE_ROUNDS_MAX,
    .bytes_max = RECONCILE_SESSION_BYTES_MAX,
    .looks_max = RECONCILE_LOOKS_MAX,
};

struct findings {
    struct hash *hashes;
    size_t count, room;
    bool sorted, full; /* full: there was one more than may be kept */
};

struct reconcile {
    struct reconcile_settings settings;
    struct range_writer out;
    struct findings needs, haves;
    size_t rounds, bytes, looks;
    bool begun;
};

/* How far a message has been walked. */
struct walk {
    struct reconcile *side;
    const struct recordset *set;
    bool initiates;
    size_t index;       /* ours, of where the next range begins */
    struct bound bound; /* and the same place */
    bool skipping;      /* what lies before it is settled, but that is not written yet */
};

struct reconcile *reconcile_new(const struct reconcile_settings *settings)
{
    struct reconcile *side = memory_take(sizeof *side);

    assert(settings->pieces >= 2 && settings->pieces <= RECONCILE_PIECES_MAX);
    assert(settings->list_below >= 2 && settings->list_below <= RECONCILE_LIST_BELOW_MAX);
    assert(settings->frame_max == 0 || settings->frame_max >= RECONCILE_FRAME_MIN);
    assert(settings->from_s < STAMP_TIME_END);
    side->settings = *settings;
    return side;
}

void reconcile_free(struct reconcile *side)
{
    if (!side)
        return;
    range_writer_free(&side->out);
    memory_give_back(side->needs.hashes);
    memory_give_back(side->haves.hashes);
    memory_give_back(side);
}

void reconcile_rest(struct reconcile *side)
{
    range_writer_free(&side->out);
    side->out = (struct range_writer){0};
}

/* ---- findings ---- */

static int compare_hashes(const void *left, const void *right)
{
    return memcmp(left, right, HASH_SIZE);
}

/* Sorts, and leaves one of each; returns how many. */
static size_t sort_once(struct hash *hashes, size_t count)
{
    size_t kept = 0;

    if (count > 1)
        qsort(hashes, count, sizeof *hashes, compare_hashes);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || !hash_equal(&hashes[kept - 1], &hashes[i]))
            hashes[kept++] = hashes[i];
    return kept;
}

/* Leaves each once, and `max` at most. False: there were more. */
static bool settle(struct findings *findings, size_t max)
{
    if (!findings->sorted)
        findings->count = sort_once(findings->hashes, findings->count);
    findings->sorted = true;
    if (findings->count > max) {
        findings->count = max;
        findings->full = true;
    }
    return !findings->full;
}

/* False: there are more than `max`. With limited frames a hash may come twice; settling only at
 * twice the limit keeps a peer that repeats itself from making us sort for each. */
static bool add_finding(struct findings *findings, const struct hash *hash, size_t max)
{
    if (findings->count > 2 * max)
        settle(findings, max);
    if (findings->full)
        return false;
    if (findings->count == findings->room) {
        findings->room = findings->room ? 2 * findings->room : 64;
        findings->hashes = memory_resize(findings->hashes, findings->room * sizeof *hash);
    }
    findings->hashes[findings->count++] = *hash;
    findings->sorted = false;
    return true;
}

const struct hash *reconcile_needs(struct reconcile *side, size_t *count)
{
    settle(&side->needs, side->settings.needs_max);
    *count = side->needs.count;
    return side->needs.hashes;
}

const struct hash *reconcile_haves(struct reconcile *side, size_t *count)
{
    settle(&side->haves, side->settings.haves_max);
    *count = side->haves.count;
    return side->haves.hashes;
}

/* ---- what is written about a run of ours ---- */

static bool is_over(const struct reconcile *side, size_t size)
{
    return side->settings.frame_max > 0 && size > side->settings.frame_max - FRAME_SLACK;
}

static struct bound bound_at_index(const struct recordset *set, size_t index)
{
    struct stamp stamps[2];
    size_t count = recordset_read(set, index - 1, stamps, 2);

    assert(count == 2);
    return bound_between(&stamps[0], &stamps[1]);
}

static void put_print(struct walk *walk, size_t begin, size_t end, const struct bound *bound)
{
    uint8_t print[RECORDSET_PRINT_SIZE];

    recordset_fingerprint(walk->set, begin, end, print);
    range_put_fingerprint(&walk->side->out, bound, print);
}

/* Never one fingerprint alone: two sides that both did that would never end. */
static void put_split(struct walk *walk, size_t begin, size_t end, const struct bound *bound)
{
    const struct reconcile_settings *settings = &walk->side->settings;
    size_t count = end - begin, pieces = count < settings->pieces ? count : settings->pieces;

    if (count < settings->list_below) {
        range_put_list(&walk->side->out, bound, walk->set, begin, end);
        return;
    }
    for (size_t i = 0; i < pieces; i++) {
        size_t piece_end = begin + count / pieces + (i < count % pieces ? 1 : 0);
        struct bound inner = piece_end == end ? *bound : bound_at_index(walk->set, piece_end);
        put_print(walk, begin, piece_end, &inner);
        begin = piece_end;
    }
}

static void put_skip(struct walk *walk)
{
    if (walk->skipping)
        range_put_skip(&walk->side->out, &walk->bound);
    walk->skipping = false;
}

static struct walk walk_of(struct reconcile *side, const struct recordset *set, bool initiates)
{
    struct walk walk = {.side = side, .set = set, .initiates = initiates};

    range_writer_begin(&side->out);
    if (side->settings.from_s > 0) {
        walk.bound = bound_at(side->settings.from_s);
        walk.index = bound_seek(&walk.bound, set);
        walk.skipping = true;
    }
    return walk;
}

/* ---- what is done about a range of theirs ---- */

/* The message is full: one fingerprint stands for all the rest, from where it was written to. */
static bool cut(struct walk *walk, size_t from)
{
    const struct bound infinity = bound_infinity();

    put_print(walk, from, recordset_count(walk->set), &infinity);
    return false;
}

/* False: that was the last. Upstream drops the Skip with the split that does not fit, and counts
 * the rest from the end of what it dropped: the peer hears of another run than is meant, and a
 * tail that only one side has can get lost. */
static bool meet_print(struct walk *walk, const struct range *range, size_t end)
{
    struct range_writer *out = &walk->side->out;
    bool as_reference = walk->side->settings.cuts_like_reference;
    uint8_t print[RECORDSET_PRINT_SIZE];
    size_t kept = out->size;

    recordset_fingerprint(walk->set, walk->index, end, print);
    if (memcmp(print, range->payload.data, sizeof print) == 0) {
        walk->skipping = true;
        return true;
    }
    put_skip(walk);
    if (!as_reference)
        kept = out->size;
    put_split(walk, walk->index, end, &range->end);
    if (!is_over(walk->side, out->size))
        return true;
    out->size = kept;
    return cut(walk, as_reference ? end : walk->index);
}

/* The responder answers a list with all it has there, or as much as fits. */
static bool answer_list(struct walk *walk, const struct range *range, size_t end)
{
    struct reconcile *side = walk->side;
    struct bound bound = range->end;
    size_t room = SIZE_MAX, size = side->out.size; /* before the Skip, as upstream counts */
    struct stamp next;

    if (side->settings.frame_max > 0) /* ids, each begun while the message is not over */
        room = (side->settings.frame_max - FRAME_SLACK - size) / HASH_SIZE + 1;
    put_skip(walk);
    if (end - walk->index > room) {
        end = walk->index + room;
        recordset_read(walk->set, end, &next, 1);
        bound = bound_before(&next);
    }
    range_put_list(&side->out, &bound, walk->set, walk->index, end);
    return !is_over(side, side->out.size) || cut(walk, end);
}

/* What of ours stands in the list is marked in `seen`, the rest is a finding. */
static enum reconcile_verdict look_through(struct walk *walk, size_t end, const struct hash *listed,
                                           size_t count, bool *seen)
{
    struct reconcile *side = walk->side;
    struct stamp stamps[READ_AT_ONCE];

    for (size_t at = walk->index, got; at < end; at += got) {
        got = recordset_read(walk->set, at, stamps,
                             end - at < READ_AT_ONCE ? end - at : READ_AT_ONCE);
        if (got > side->settings.looks_max - side->looks)
            return RECONCILE_TOO_MUCH;
        side->looks += got;
        for (size_t i = 0; i < got; i++) {
            const struct hash *found =
                bsearch(&stamps[i].hash, listed, count, sizeof *listed, compare_hashes);
            if (found)
                seen[found - listed] = true;
            else
                add_finding(&side->haves, &stamps[i].hash, side->settings.haves_max);
        }
    }
    return RECONCILE_TAKEN;
}

static enum reconcile_verdict learn_from_list(struct walk *walk, const struct range *range,
                                              size_t end)
{
    struct reconcile *side = walk->side;
    struct hash *listed = memory_copy(range->payload.data, range->payload.size);
    size_t count = sort_once(listed, range->payload.size / HASH_SIZE);
    bool *seen = memory_take(count * sizeof *seen);
    enum reconcile_verdict verdict = look_through(walk, end, listed, count, seen);

    for (size_t i = 0; i < count && verdict == RECONCILE_TAKEN; i++)
        if (!seen[i] && !add_finding(&side->needs, &listed[i], side->settings.needs_max))
            verdict = RECONCILE_ENOUGH;
    memory_give_back(seen);
    memory_give_back(listed);
    walk->skipping = true;
    return verdict;
}

/* Walks a sound message and writes what is to be said to it. */
static enum reconcile_verdict walk_message(struct walk *walk, struct bytes message)
{
    enum reconcile_verdict verdict = RECONCILE_TAKEN;
    struct range_reader reader = range_reader_of(message);
    struct range range;
    bool goes_on = true;

    while (goes_on && verdict == RECONCILE_TAKEN && range_next(&reader, &range)) {
        size_t end = bound_seek(&range.end, walk->set);

        if (bound_compare(&range.end, &walk->bound) < 0)
            continue; /* before from_s */
        if (range.mode == RANGE_SKIP)
            walk->skipping = true;
        else if (range.mode == RANGE_FINGERPRINT)
            goes_on = meet_print(walk, &range, end);
        else if (walk->initiates)
            verdict = learn_from_list(walk, &range, end);
        else
            goes_on = answer_list(walk, &range, end);
        walk->index = end;
        walk->bound = range.end;
    }
    return verdict;
}

static bool is_sound(struct bytes message)
{
    struct range_reader reader = range_reader_of(message);
    struct range range;

    while (range_next(&reader, &range))
        ;
    return !reader.malformed;
}

static enum reconcile_verdict judge(const struct reconcile *side, struct bytes message)
{
    if (message.size > side->settings.take_max)
        return RECONCILE_OVERSIZED;
    if (message.size == 0 || message.data[0] < RECONCILE_VERSION_FIRST ||
        message.data[0] > RECONCILE_VERSION_LAST)
        return RECONCILE_MALFORMED;
    if (message.data[0] != RECONCILE_VERSION)
        return RECONCILE_OTHER_VERSION;
    return is_sound(message) ? RECONCILE_TAKEN : RECONCILE_MALFORMED;
}

static struct bytes written(const struct reconcile *side)
{
    return bytes_of(side->out.data, side->out.size);
}

/* ---- the responder ---- */

enum reconcile_verdict reconcile_answer(struct reconcile *side, const struct recordset *set,
                                        struct bytes message, struct bytes *answer)
{
    enum reconcile_verdict verdict = judge(side, message);
    struct walk walk = walk_of(side, set, false);

    *answer = bytes_of(NULL, 0);
    if (verdict == RECONCILE_TAKEN)
        verdict = walk_message(&walk, message);
    else if (verdict == RECONCILE_OTHER_VERSION) /* the version byte alone says which we speak */
        verdict = RECONCILE_TAKEN;
    if (verdict == RECONCILE_TAKEN)
        *answer = written(side);
    return verdict;
}

/* ---- the initiator ---- */

static struct walk begin_session(struct reconcile *side, const struct recordset *set)
{
    struct walk walk = walk_of(side, set, true);

    side->needs.count = side->haves.count = 0;
    side->needs.full = side->haves.full = false;
    side->rounds = side->bytes = side->looks = 0;
    side->begun = true;
    put_skip(&walk);
    return walk;
}

static struct bytes sent(struct reconcile *side)
{
    side->rounds++;
    side->bytes += side->out.size;
    return written(side);
}

void reconcile_begin(struct reconcile *side, const struct recordset *set, struct bytes *message)
{
    const struct bound infinity = bound_infinity();
    struct walk walk = begin_session(side, set);

    put_split(&walk, walk.index, recordset_count(set), &infinity);
    *message = sent(side);
}

void reconcile_begin_probe(struct reconcile *side, const struct recordset *set,
                           struct bytes *message)
{
    const struct bound infinity = bound_infinity();
    struct walk walk = begin_session(side, set);

    put_print(&walk, walk.index, recordset_count(set), &infinity);
    *message = sent(side);
}

static enum reconcile_verdict end(struct reconcile *side, enum reconcile_verdict verdict)
{
    side->begun = false;
    return verdict;
}

enum reconcile_verdict reconcile_take(struct reconcile *side, const struct recordset *set,
                                      struct bytes answer, struct bytes *message)
{
    enum reconcile_verdict verdict = judge(side, answer);
    struct walk walk;

    assert(side->begun);
    *message = bytes_of(NULL, 0);
    if (verdict != RECONCILE_TAKEN)
        return end(side, verdict);
    side->bytes += answer.size;
    if (side->bytes > side->settings.bytes_max)
        return end(side, RECONCILE_TOO_MUCH);
    walk = walk_of(side, set, true);
    verdict = walk_message(&walk, answer);
    if (!settle(&side->needs, side->settings.needs_max))
        verdict = RECONCILE_ENOUGH;
    if (verdict != RECONCILE_TAKEN)
        return end(side, verdict);
    if (side->out.size == 1)
        return end(side, RECONCILE_DONE);
    if (side->rounds >= side->settings.rounds_max)
        return end(side, RECONCILE_TOO_LONG);
    *message = sent(side);
    return RECONCILE_TAKEN;
}
