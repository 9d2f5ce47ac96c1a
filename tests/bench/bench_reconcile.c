/* Two sets of a million stamps find their difference, in one process. A figure's limit is the most it
 * may be; "cpu_ms" is the time in the calls of initiator and responder.
 *
 *     bench_reconcile [STAMPS] */
#include "core/audit.h"
#include "core/dice.h"
#include "core/reconcile.h"
#include "limits.h"

#include <assert.h>
#include <malloc.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define STAMPS 1000000u
#define BEGIN_S 1770000000u
#define PERIOD_S (30u * 24 * 3600)
#define DIFFERENT 1000u
#define REISSUED 10000u

static struct dice dice;
static size_t stamp_count;
static struct stamp *stamps; /* in order */
static struct recordset *ours, *theirs;

static double cpu_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct stamp roll(uint32_t from_s, uint32_t seconds)
{
    struct stamp stamp = {.at_s = from_s + (uint32_t)dice_below(&dice, seconds)};

    dice_fill(&dice, &stamp.hash, sizeof stamp.hash);
    return stamp;
}

/* ---- the set ---- */

static void put_us(const char *name, double begin_s, size_t count, double limit_us)
{
    bench_print(name, (cpu_s() - begin_s) / (double)count * 1e6, "us", limit_us, 0, "");
}

static void measure_set(void)
{
    size_t before = mallinfo2().uordblks, changes = stamp_count / 4;
    double begin_s = cpu_s();
    char more[64];

    ours = recordset_new();
    for (size_t i = 0; i < stamp_count; i++)
        recordset_insert(ours, &stamps[i]);
    put_us("reconcile_insert_random", begin_s, stamp_count, 3);
    snprintf(more, sizeof more, ",\"of_malloc\":%.1f",
             (double)(mallinfo2().uordblks - before) / (double)stamp_count);
    bench_print("reconcile_memory", (double)recordset_memory(ours) / (double)stamp_count,
                "bytes/stamp", 80.0 * MIB / 1e6, 0, more);
    begin_s = cpu_s();
    for (size_t i = 0; i < changes; i++)
        assert(recordset_erase(ours, &stamps[i]));
    put_us("reconcile_erase_random", begin_s, changes, 3);
    for (size_t i = 0; i < changes; i++)
        recordset_insert(ours, &stamps[i]);
    begin_s = cpu_s();
    theirs = recordset_new();
    recordset_load(theirs, stamps, stamp_count); /* from here on they are in order */
    bench_print("reconcile_load", cpu_s() - begin_s, "s", 1, 0, "");
}

static void measure_appends(void)
{
    struct recordset *set = recordset_new();
    double begin_s = cpu_s();

    for (size_t i = 0; i < stamp_count; i++)
        recordset_insert(set, &stamps[i]);
    put_us("reconcile_insert_in_order", begin_s, stamp_count, 3);
    begin_s = cpu_s();
    for (size_t i = 0; i < stamp_count; i++)
        recordset_erase(set, &stamps[i]);
    put_us("reconcile_erase_in_order", begin_s, stamp_count, 3);
    recordset_free(set);
}

static void measure_fingerprints(void)
{
    const size_t count = 100000;
    uint8_t print[RECORDSET_PRINT_SIZE];
    double begin_s = cpu_s();

    for (size_t i = 0; i < count; i++) {
        size_t from = dice_below(&dice, stamp_count), to = dice_below(&dice, stamp_count);
        recordset_fingerprint(ours, from < to ? from : to, from < to ? to : from, print);
    }
    put_us("reconcile_fingerprint", begin_s, count, 5);
}

/* ---- sessions ---- */

struct session {
    size_t rounds, bytes, largest, need_count, have_count;
    double initiator_s, responder_s;
    struct hash *needs;
};

static void count_message(struct session *session, struct bytes message)
{
    session->bytes += message.size;
    if (message.size > session->largest)
        session->largest = message.size;
}

static struct session run(uint32_t from_s, size_t frame_max)
{
    struct reconcile_settings settings = reconcile_defaults;
    struct session session = {0};
    struct reconcile *one, *other;
    struct bytes message, answer;
    enum reconcile_verdict verdict;
    const struct hash *needs;
    double begin_s;

    settings.from_s = from_s;
    settings.frame_max = frame_max;
    one = reconcile_new(&settings);
    other = reconcile_new(&settings);
    begin_s = cpu_s();
    reconcile_begin(one, ours, &message);
    session.initiator_s += cpu_s() - begin_s;
    do {
        session.rounds++;
        begin_s = cpu_s();
        verdict = reconcile_answer(other, theirs, message, &answer);
        session.responder_s += cpu_s() - begin_s;
        assert(verdict == RECONCILE_TAKEN);
        count_message(&session, message);
        count_message(&session, answer);
        begin_s = cpu_s();
        verdict = reconcile_take(one, ours, answer, &message);
        session.initiator_s += cpu_s() - begin_s;
    } while (verdict == RECONCILE_TAKEN);
    assert(verdict == RECONCILE_DONE);
    needs = reconcile_needs(one, &session.need_count);
    session.needs = memory_copy(needs, session.need_count * sizeof *needs);
    reconcile_haves(one, &session.have_count);
    reconcile_free(one);
    reconcile_free(other);
    return session;
}

/* Bytes and round trips against their limits, and the CPU time of the side that spent more. */
static void put_session(const char *name, const struct session *session, size_t frame_max,
                        double bytes_max, double rounds_max, double cpu_ms_max)
{
    double slower_s =
        session->initiator_s > session->responder_s ? session->initiator_s : session->responder_s;
    char full[80], more[200];

    snprintf(more, sizeof more,
             ",\"frame\":%zu,\"largest\":%zu,\"needs\":%zu,\"haves\":%zu"
             ",\"cpu_ms\":[%.3f,%.3f]",
             frame_max, session->largest, session->need_count, session->have_count,
             session->initiator_s * 1e3, session->responder_s * 1e3);
    bench_print(name, (double)session->bytes, "bytes", bytes_max, 0, more);
    snprintf(more, sizeof more, ",\"frame\":%zu", frame_max);
    snprintf(full, sizeof full, "%s_rounds", name);
    bench_print(full, (double)session->rounds, "round trips", rounds_max, 0, more);
    snprintf(full, sizeof full, "%s_cpu", name);
    bench_print(full, slower_s * 1e3, "ms a side", cpu_ms_max, 0, more);
}

static void measure(const char *name, size_t frame_max, double bytes_max, double rounds_max,
                    double cpu_ms_max)
{
    struct session session = run(0, frame_max);

    put_session(name, &session, frame_max, bytes_max, rounds_max, cpu_ms_max);
    memory_give_back(session.needs);
}

/* The stamps from `first` on, every `step`th: half are only ours, half only theirs. */
static void measure_difference(const char *name, size_t first, size_t step, double bytes_max,
                               double cpu_ms_max)
{
    for (size_t i = 0; i < DIFFERENT; i++)
        assert(recordset_erase(i % 2 ? ours : theirs, &stamps[first + i * step]));
    measure(name, RECONCILE_FRAME_MAX, bytes_max, 3, cpu_ms_max);
    measure(name, 4 * RECONCILE_FRAME_MAX, bytes_max, 3, cpu_ms_max);
    measure(name, RECONCILE_TAKE_MAX, bytes_max, 3, cpu_ms_max);
    for (size_t i = 0; i < DIFFERENT; i++)
        recordset_insert(i % 2 ? ours : theirs, &stamps[first + i * step]);
}

/* ---- records issued anew ---- */

static struct stamp reissued[REISSUED];

/* Their owners issued them anew, and only the other side heard of it. */
static void reissue(void)
{
    for (size_t i = 0; i < REISSUED; i++) {
        reissued[i] = roll(BEGIN_S + PERIOD_S, 3600);
        assert(recordset_erase(theirs, &stamps[i * (stamp_count / REISSUED)]));
        recordset_insert(theirs, &reissued[i]);
    }
}

/* What we fetched replaces what we had. */
static void apply(void)
{
    for (size_t i = 0; i < REISSUED; i++) {
        assert(recordset_erase(ours, &stamps[i * (stamp_count / REISSUED)]));
        recordset_insert(ours, &reissued[i]);
    }
}

static void measure_reissued(void)
{
    struct session newest, full;

    reissue();
    newest = run(BEGIN_S + PERIOD_S, RECONCILE_FRAME_MAX);
    assert(newest.need_count == REISSUED);
    put_session("reconcile_reissued_newest", &newest, RECONCILE_FRAME_MAX, 0.4e6, 16, 500);
    apply();
    full = run(0, RECONCILE_FRAME_MAX);
    assert(full.need_count + full.have_count == 0);
    full.bytes += newest.bytes;
    full.rounds += newest.rounds;
    put_session("reconcile_reissued", &full, RECONCILE_FRAME_MAX, 0.4e6, 16, 500);
    memory_give_back(newest.needs);
    memory_give_back(full.needs);
}

static void measure_audit(void)
{
    const uint8_t key[AUDIT_KEY_SIZE] = {1};
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    double begin_s = cpu_s();
    struct audit *audit = audit_new(ours, key);
    char more[64];

    snprintf(more, sizeof more, ",\"bytes_a_stamp\":%.1f",
             (double)(mallinfo2().uordblks + mallinfo2().hblkhd - before) / (double)stamp_count);
    bench_print("reconcile_audit", cpu_s() - begin_s, "s", 1, 0, more);
    audit_free(audit);
}

int main(int count, char **arguments)
{
    stamp_count = count > 1 ? (size_t)atol(arguments[1]) : STAMPS;
    if (sodium_init() < 0 || stamp_count < 2 * REISSUED)
        return EXIT_FAILURE;
    dice_init_number(&dice, 1);
    stamps = memory_take(stamp_count * sizeof *stamps);
    for (size_t i = 0; i < stamp_count; i++)
        stamps[i] = roll(BEGIN_S, PERIOD_S);
    measure_set();
    measure_appends();
    measure_fingerprints();
    measure("reconcile_equal", RECONCILE_FRAME_MAX, 400, 1, 5);
    measure_difference("reconcile_newest", stamp_count - DIFFERENT, 1, 40e3, 500);
    measure_difference("reconcile_scattered", 7, stamp_count / DIFFERENT - 1, 0.8e6, 500);
    measure_audit();
    measure_reissued();
    recordset_free(ours);
    recordset_free(theirs);
    memory_give_back(stamps);
    return EXIT_SUCCESS;
}
