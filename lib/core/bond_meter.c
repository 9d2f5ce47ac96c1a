#include "bond_meter.h"

#include "id.h"

#include <assert.h>

static_assert(BOND_THREADS_MAX <= 32, "threads_changed has a bit for each");

const char *bond_verdict_code(enum bond_verdict verdict)
{
    switch (verdict) {
    case BOND_MUTED:
        return "bond_muted";
    case BOND_RATE:
        return "bond_rate";
    case BOND_DAILY:
        return "bond_daily";
    case BOND_BUDGET:
        return "bond_budget";
    case BOND_ROUNDS:
        return "bond_rounds";
    case BOND_COOLING_DOWN:
        return "bond_cooling_down";
    case BOND_STOP_WORD:
        return "bond_stop_word";
    case BOND_ADMITS:
    case BOND_COVERS_NOT:
    case BOND_VERDICTS:
        break;
    }
    return "";
}

const char *bond_verdict_text(enum bond_verdict verdict)
{
    switch (verdict) {
    case BOND_MUTED:
        return "the bond is muted";
    case BOND_RATE:
        return "that is more a minute than the bond allows";
    case BOND_DAILY:
        return "that is more a day than the bond allows";
    case BOND_BUDGET:
        return "the bond's budget is spent";
    case BOND_ROUNDS:
        return "this thread has had all its rounds";
    case BOND_COOLING_DOWN:
        return "this thread has had all its rounds and rests";
    case BOND_STOP_WORD:
        return "the payload holds a stop word of the bond";
    case BOND_COVERS_NOT:
        return "no bond covers this action";
    case BOND_ADMITS:
    case BOND_VERDICTS:
        break;
    }
    return "";
}

void bond_meter_end(struct bond_meter *meter)
{
    memory_give_back(meter->threads);
    *meter = (struct bond_meter){0};
}

/* ---- rate: the generic cell rate algorithm (ITU-T I.371, annex A) ---- */

/* `per_minute` at once, then one every minute / per_minute. */
static bool take_rate(struct bond_meter *meter, uint32_t per_minute, uint64_t now_ms,
                      uint64_t *retry_after_ms)
{
    uint64_t each_us = MINUTE_MS * 1000 / per_minute, now_us = now_ms * 1000, ahead_us;

    if (meter->rate_due_us < now_us)
        meter->rate_due_us = now_us;
    ahead_us = meter->rate_due_us - now_us;
    if (ahead_us > each_us * (per_minute - 1)) {
        *retry_after_ms = (ahead_us - each_us * (per_minute - 1) + 999) / 1000;
        return false;
    }
    meter->rate_due_us += each_us;
    return true;
}

/* ---- days and units ---- */

/* A clock that was put back begins a day anew, as one that went on. */
static uint64_t used_today(const struct bond_meter *meter, uint64_t wall_ms)
{
    return meter->use.day == wall_ms / DAY_MS ? meter->use.used_today : 0;
}

void bond_meter_charge(struct bond_meter *meter, const struct bond_terms *terms, uint64_t units)
{
    if (!terms->budget || units == 0)
        return;
    meter->use.spent = units < INT64_MAX - meter->use.spent ? meter->use.spent + units : INT64_MAX;
    meter->use_changed = true;
}

void bond_meter_count_action(struct bond_meter *meter, const struct bond_terms *terms,
                             uint64_t wall_ms)
{
    bond_meter_charge(meter, terms, 1);
    if (!terms->per_day)
        return;
    meter->use.used_today = used_today(meter, wall_ms) + 1;
    meter->use.day = wall_ms / DAY_MS;
    meter->use_changed = true;
}

/* ---- rounds ---- */

static void name_of(struct bytes thread, uint8_t name[BOND_THREAD_NAME_SIZE])
{
    struct hash hash = hash_of(thread);

    memcpy(name, hash.bytes, BOND_THREAD_NAME_SIZE);
}

static struct bond_thread *find_thread(const struct bond_meter *meter,
                                       const uint8_t name[BOND_THREAD_NAME_SIZE])
{
    for (size_t i = 0; i < meter->thread_count; i++)
        if (memcmp(meter->threads[i].name, name, BOND_THREAD_NAME_SIZE) == 0)
            return &meter->threads[i];
    return NULL;
}

static bool is_over(const struct bond_thread *thread, const struct bond_terms *terms)
{
    return thread->rounds >= terms->rounds;
}

/* 0: it has rested. What is counted at a date far ahead was counted by a clock that was wrong. */
static uint64_t rest_ms(const struct bond_thread *thread, const struct bond_terms *terms,
                        uint64_t wall_ms)
{
    uint64_t until_ms = thread->used_ms + terms->cool_down_ms;

    if (until_ms <= wall_ms || thread->used_ms > wall_ms + CLOCK_SKEW_MAX_MS)
        return 0;
    return until_ms - wall_ms;
}

enum bond_verdict bond_meter_judge_rounds(const struct bond_meter *meter,
                                          const struct bond_terms *terms, struct bytes thread,
                                          uint64_t wall_ms, uint64_t *retry_after_ms)
{
    uint8_t name[BOND_THREAD_NAME_SIZE];
    const struct bond_thread *found;

    *retry_after_ms = 0;
    if (!terms->rounds || thread.size == 0 || meter->thread_count == 0)
        return BOND_ADMITS;
    name_of(thread, name);
    found = find_thread(meter, name);
    if (!found || !is_over(found, terms))
        return BOND_ADMITS;
    if (!terms->cool_down_ms)
        return BOND_ROUNDS;
    *retry_after_ms = rest_ms(found, terms, wall_ms);
    return *retry_after_ms ? BOND_COOLING_DOWN : BOND_ADMITS;
}

static bool makes_room_before(const struct bond_thread *left, const struct bond_thread *right,
                              const struct bond_terms *terms)
{
    if (is_over(left, terms) != is_over(right, terms))
        return is_over(right, terms);
    return left->used_ms < right->used_ms;
}

static struct bond_thread *make_room(struct bond_meter *meter, const struct bond_terms *terms)
{
    struct bond_thread *least;

    if (meter->thread_count < BOND_THREADS_MAX) {
        meter->threads =
            memory_resize(meter->threads, (meter->thread_count + 1) * sizeof *meter->threads);
        return &meter->threads[meter->thread_count++];
    }
    least = meter->threads;
    for (size_t i = 1; i < meter->thread_count; i++)
        if (makes_room_before(&meter->threads[i], least, terms))
            least = &meter->threads[i];
    return least;
}

bool bond_meter_count_round(struct bond_meter *meter, const struct bond_terms *terms,
                            struct bytes thread, uint64_t wall_ms)
{
    uint8_t name[BOND_THREAD_NAME_SIZE];
    struct bond_thread *counted;
    bool was_over;

    if (!terms->rounds || thread.size == 0)
        return false;
    name_of(thread, name);
    counted = find_thread(meter, name);
    if (!counted) {
        counted = make_room(meter, terms);
        memset(counted, 0, sizeof *counted);
        memcpy(counted->name, name, sizeof counted->name);
    } else if (is_over(counted, terms) && terms->cool_down_ms &&
               !rest_ms(counted, terms, wall_ms)) {
        counted->rounds = 0;
    }
    was_over = is_over(counted, terms);
    if (counted->rounds < BOND_ROUNDS_MAX)
        counted->rounds++;
    counted->used_ms = wall_ms;
    meter->threads_changed |= 1u << (counted - meter->threads);
    return !was_over && is_over(counted, terms);
}

void bond_meter_restore_thread(struct bond_meter *meter, size_t place,
                               const struct bond_thread *thread)
{
    if (place >= BOND_THREADS_MAX)
        return;
    while (meter->thread_count <= place) {
        meter->threads =
            memory_resize(meter->threads, (meter->thread_count + 1) * sizeof *meter->threads);
        memset(&meter->threads[meter->thread_count++], 0, sizeof *meter->threads);
    }
    meter->threads[place] = *thread;
}

/* ---- all ---- */

static bool has_stop_word(const struct bond_terms *terms, struct bytes payload)
{
    for (size_t i = 0; i < terms->stop_word_count; i++)
        if (bond_stop_word_occurs(terms->stop_words[i], payload))
            return true;
    return false;
}

/* The cheap before the costly. */
enum bond_verdict bond_meter_judge(struct bond_meter *meter, const struct bond_terms *terms,
                                   struct bytes payload, struct bytes thread,
                                   const struct moment *at, uint64_t *retry_after_ms)
{
    enum bond_verdict verdict;

    *retry_after_ms = 0;
    if (terms->muted_until_ms > at->wall_ms) {
        *retry_after_ms = terms->muted_until_ms - at->wall_ms;
        return BOND_MUTED;
    }
    if (terms->per_minute && !take_rate(meter, terms->per_minute, at->now_ms, retry_after_ms))
        return BOND_RATE;
    if (terms->per_day && used_today(meter, at->wall_ms) >= terms->per_day) {
        *retry_after_ms = DAY_MS - at->wall_ms % DAY_MS;
        return BOND_DAILY;
    }
    if (terms->budget && meter->use.spent >= terms->budget)
        return BOND_BUDGET;
    verdict = bond_meter_judge_rounds(meter, terms, thread, at->wall_ms, retry_after_ms);
    if (verdict != BOND_ADMITS)
        return verdict;
    return has_stop_word(terms, payload) ? BOND_STOP_WORD : BOND_ADMITS;
}
