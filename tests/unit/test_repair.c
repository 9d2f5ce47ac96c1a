/* Sessions between one that repairs and one that answers, message by message. */
#include "core/repair.h"

#include <check.h>
#include <stdlib.h>

static const uint8_t seed[DICE_SEED_SIZE] = {3};
static const struct id self = {{1}}, peer = {{2}}, third = {{3}};

struct bed {
    struct moment at;
    struct repair *repair;
    struct recordset *ours, *theirs;
    struct reconcile *responder;
    struct audit *audit;
    struct dice dice;
    size_t compares, fetches, streams, asked;
    const char *ended;
    size_t fetched; /* of the session that ended */
};

static struct bed bed;

static void make(void)
{
    memset(&bed, 0, sizeof bed);
    bed.at = (struct moment){.now_ms = 5000, .wall_ms = 1790000000000};
    bed.repair = repair_new(&self, seed);
    bed.ours = recordset_new();
    bed.theirs = recordset_new();
    bed.responder = reconcile_new(&reconcile_defaults);
    dice_init_number(&bed.dice, 11);
}

static void unmake(void)
{
    repair_free(bed.repair);
    recordset_free(bed.ours);
    recordset_free(bed.theirs);
    reconcile_free(bed.responder);
    audit_free(bed.audit);
}

/* ---- the other side ---- */

static struct stamp stamp_at(uint32_t at_s)
{
    struct stamp stamp = {.at_s = at_s};

    dice_fill(&bed.dice, stamp.hash.bytes, HASH_SIZE);
    return stamp;
}

static void add(bool to_us, bool to_them, size_t count, uint32_t from_s, uint32_t span_s)
{
    for (size_t i = 0; i < count; i++) {
        struct stamp stamp = stamp_at(from_s + (uint32_t)dice_below(&bed.dice, span_s));

        if (to_us)
            recordset_insert(bed.ours, &stamp);
        if (to_them)
            recordset_insert(bed.theirs, &stamp);
    }
}

/* The stamp of a hash that they hold. */
static bool find_theirs(const struct hash *hash, struct stamp *found)
{
    for (size_t i = 0; recordset_read(bed.theirs, i, found, 1) == 1; i++)
        if (hash_equal(&found->hash, hash))
            return true;
    return false;
}

static size_t give(const struct hash *hash)
{
    struct stamp stamp;

    return find_theirs(hash, &stamp) && recordset_insert(bed.ours, &stamp);
}

static void answer_fetch(const struct repair_output *output)
{
    size_t useful = 0;
    struct hash original;

    for (size_t i = 0; i < output->count; i++)
        if (!output->keyed)
            useful += give(&output->hashes[i]);
        else if (audit_original(bed.audit, &output->hashes[i], &original))
            useful += give(&original);
    bed.fetches++;
    bed.asked += output->count;
    ck_assert(
        repair_fetched(bed.repair, &output->peer, output->session, useful, true, NULL, &bed.at));
}

static void answer_stream(const struct repair_output *output)
{
    struct stamp page[100];
    size_t first = recordset_seek(bed.theirs, &output->after), count, useful = 0;

    first += recordset_contains(bed.theirs, &output->after);
    count = recordset_read(bed.theirs, first, page, 100);
    for (size_t i = 0; i < count; i++)
        useful += recordset_insert(bed.ours, &page[i]);
    bed.streams++;
    ck_assert(repair_fetched(bed.repair, &output->peer, output->session, useful, true,
                             first + count < recordset_count(bed.theirs) ? &page[count - 1] : NULL,
                             &bed.at));
}

static void answer_audit(const struct repair_output *output)
{
    const uint8_t nonce[AUDIT_NONCE_SIZE] = {9};
    uint8_t key[AUDIT_KEY_SIZE];

    audit_key(&self, output->nonce, &output->peer, nonce, key);
    audit_free(bed.audit);
    bed.audit = audit_new(bed.theirs, key);
    repair_audit_opened(bed.repair, bed.ours, &output->peer, output->session, nonce, &bed.at);
}

static void answer_compare(const struct repair_output *output)
{
    const struct recordset *set = output->keyed ? audit_set(bed.audit) : bed.theirs;
    struct bytes answer;

    ck_assert_int_eq(reconcile_answer(bed.responder, set, output->message, &answer),
                     RECONCILE_TAKEN);
    bed.compares++;
    repair_answered(bed.repair, bed.ours, &output->peer, output->session, answer, &bed.at);
}

/* Answers all that is asked until nothing is. */
static void run(void)
{
    struct repair_output output;

    while (repair_poll(bed.repair, bed.ours, &bed.at, &output)) {
        switch (output.kind) {
        case REPAIR_COMPARE:
            answer_compare(&output);
            break;
        case REPAIR_AUDIT:
            answer_audit(&output);
            break;
        case REPAIR_FETCH:
            answer_fetch(&output);
            break;
        case REPAIR_STREAM:
            answer_stream(&output);
            break;
        case REPAIR_ENDED:
            bed.ended = output.how;
            bed.fetched = output.fetched;
            break;
        }
    }
}

static bool holds_all_of_theirs(void)
{
    struct stamp stamp;

    for (size_t i = 0; recordset_read(bed.theirs, i, &stamp, 1) == 1; i++)
        if (!recordset_contains(bed.ours, &stamp))
            return false;
    return true;
}

static void pass(uint64_t ms)
{
    bed.at.now_ms += ms;
    bed.at.wall_ms += ms;
}

/* One good session, so that what follows is no first fill. */
static void begin_equal(size_t count)
{
    add(true, true, count, 1000000, 1000000);
    repair_suggest(bed.repair, &peer, false, bed.at.now_ms);
    run();
    ck_assert_str_eq(bed.ended, "equal");
    bed.compares = bed.fetches = bed.streams = bed.asked = 0;
    pass(MINUTE_MS);
}

/* ---- sessions that go well ---- */

START_TEST(equal_sets_cost_one_probe)
{
    begin_equal(1000);
    repair_suggest(bed.repair, &peer, false, bed.at.now_ms);
    run();
    ck_assert_str_eq(bed.ended, "equal");
    ck_assert_uint_eq(bed.compares, 1);
    ck_assert_uint_eq(bed.fetches, 0);
}
END_TEST

/* Then the answer to a probe is the list of them. */
START_TEST(a_probe_finds_what_differs_between_sets_of_two)
{
    struct stamp stamp;

    begin_equal(20);
    while (recordset_count(bed.ours) > 2) {
        recordset_read(bed.ours, 0, &stamp, 1);
        recordset_erase(bed.ours, &stamp);
        recordset_erase(bed.theirs, &stamp);
    }
    recordset_read(bed.theirs, 1, &stamp, 1);
    recordset_erase(bed.theirs, &stamp); /* its owner said it anew: */
    add(false, true, 1, 1000000, 1000000);
    repair_suggest(bed.repair, &peer, false, bed.at.now_ms);
    run();
    ck_assert_str_eq(bed.ended, "repaired");
    ck_assert(holds_all_of_theirs());
    ck_assert_uint_eq(bed.fetched, 1);
}
END_TEST

START_TEST(an_empty_node_lets_a_neighbour_stream_its_set)
{
    add(false, true, 950, 1000000, 1000000);
    repair_suggest(bed.repair, &peer, false, bed.at.now_ms);
    run();
    ck_assert_str_eq(bed.ended, "repaired");
    ck_assert_uint_eq(bed.streams, 10);
    ck_assert_uint_eq(bed.fetches, 0);
    ck_assert_uint_eq(bed.compares, 1); /* whether that was all */
    ck_assert(holds_all_of_theirs());
    ck_assert_uint_eq(bed.fetched, 950);
}
END_TEST

START_TEST(a_scattered_difference_is_fetched_whole)
{
    begin_equal(3000);
    add(false, true, 700, 1000000, 1000000); /* old ones that never came */
    add(true, false, 300, 1000000, 1000000);
    repair_suggest(bed.repair, &peer, true, bed.at.now_ms);
    run();
    ck_assert_str_eq(bed.ended, "repaired");
    ck_assert(holds_all_of_theirs());
    ck_assert_uint_eq(bed.fetched, 700);
    ck_assert_uint_eq(bed.asked, 700);
    ck_assert_uint_eq(bed.fetches, 2); /* in portions of REPAIR_FETCH_MAX */
}
END_TEST

START_TEST(what_was_issued_since_the_last_session_comes_without_looking_at_the_rest)
{
    begin_equal(3000);
    add(false, true, 100, (uint32_t)(bed.at.wall_ms / 1000), 1);
    repair_suggest(bed.repair, &peer, true, bed.at.now_ms);
    run();
    ck_assert_str_eq(bed.ended, "repaired");
    ck_assert(holds_all_of_theirs());
    ck_assert_uint_eq(bed.compares, 2); /* the newest part; whether that was all */
}
END_TEST

START_TEST(an_audit_follows_after_its_time)
{
    begin_equal(500);
    pass(2 * REPAIR_AUDIT_MS);
    add(false, true, 1, 1000000, 1000000);
    repair_suggest(bed.repair, &peer, false, bed.at.now_ms);
    run();
    ck_assert_str_eq(bed.ended, "audited");
    ck_assert(holds_all_of_theirs());
    pass(REPAIR_REST_MS);
    repair_suggest(bed.repair, &peer, false, bed.at.now_ms);
    run();
    ck_assert_str_eq(bed.ended, "equal"); /* the next audit is an hour away */
}
END_TEST

START_TEST(an_audit_of_a_large_set_is_made_over_several_turns)
{
    struct repair_output output;
    size_t turns = 0;

    begin_equal(3 * AUDIT_SLICE);
    pass(2 * REPAIR_AUDIT_MS);
    repair_suggest(bed.repair, &peer, false, bed.at.now_ms);
    ck_assert(repair_poll(bed.repair, bed.ours, &bed.at, &output));
    ck_assert_int_eq(output.kind, REPAIR_AUDIT);
    answer_audit(&output);
    for (; !repair_poll(bed.repair, bed.ours, &bed.at, &output); turns++)
        ck_assert_uint_eq(repair_wake_at_ms(bed.repair), 0); /* at once, after what else there is */
    ck_assert_int_ge((int)turns, 2);
    ck_assert_int_eq(output.kind, REPAIR_COMPARE);
    answer_compare(&output);
    run();
    ck_assert_str_eq(bed.ended, "audited");
}
END_TEST

/* ---- neighbours that do not do their part ---- */

static void pass_until_asked_again(struct repair_output *output)
{
    ck_assert_uint_eq(repair_wake_at_ms(bed.repair), bed.at.now_ms + REPAIR_AGAIN_MS);
    pass(REPAIR_AGAIN_MS);
    ck_assert(repair_poll(bed.repair, bed.ours, &bed.at, output));
    ck_assert_int_ne(output->kind, REPAIR_ENDED);
    ck_assert(!repair_poll(bed.repair, bed.ours, &bed.at, &(struct repair_output){0}));
}

START_TEST(a_question_whose_answer_was_lost_is_put_once_more)
{
    struct repair_output first, again;
    struct bytes late;

    begin_equal(100);
    repair_suggest(bed.repair, &peer, false, bed.at.now_ms);
    ck_assert(repair_poll(bed.repair, bed.ours, &bed.at, &first));
    ck_assert_int_eq(reconcile_answer(bed.responder, bed.theirs, first.message, &late),
                     RECONCILE_TAKEN);
    ck_assert(!repair_poll(bed.repair, bed.ours, &bed.at, &again));
    pass_until_asked_again(&again);
    ck_assert(id_equal(&again.peer, &peer));
    ck_assert_int_eq(again.kind, REPAIR_COMPARE);
    ck_assert(bytes_equal(again.message, first.message));
    /* Of two answers one counts, or the second would be taken for that of the next question. */
    repair_answered(bed.repair, bed.ours, &peer, first.session, late, &bed.at);
    ck_assert_uint_eq(repair_wake_at_ms(bed.repair), bed.at.now_ms + REPAIR_STEP_MS);
    answer_compare(&again);
    run();
    ck_assert_str_eq(bed.ended, "equal");
}
END_TEST

START_TEST(an_audit_is_asked_for_once)
{
    struct repair_output output;

    begin_equal(100);
    pass(2 * REPAIR_AUDIT_MS);
    repair_suggest(bed.repair, &peer, false, bed.at.now_ms);
    ck_assert(repair_poll(bed.repair, bed.ours, &bed.at, &output));
    ck_assert_int_eq(output.kind, REPAIR_AUDIT);
    ck_assert(!repair_poll(bed.repair, bed.ours, &bed.at, &output));
    ck_assert_uint_eq(repair_wake_at_ms(bed.repair), bed.at.now_ms + REPAIR_STEP_MS);
}
END_TEST

START_TEST(who_does_not_answer_is_left_for_the_next)
{
    struct repair_output output;

    begin_equal(100);
    repair_suggest(bed.repair, &peer, false, bed.at.now_ms);
    repair_suggest(bed.repair, &third, false, bed.at.now_ms);
    ck_assert(repair_poll(bed.repair, bed.ours, &bed.at, &output));
    ck_assert(id_equal(&output.peer, &peer));
    ck_assert(!repair_poll(bed.repair, bed.ours, &bed.at, &output));
    pass_until_asked_again(&output);
    ck_assert_uint_eq(repair_wake_at_ms(bed.repair), bed.at.now_ms + REPAIR_STEP_MS);
    pass(REPAIR_STEP_MS);
    ck_assert(repair_poll(bed.repair, bed.ours, &bed.at, &output));
    ck_assert_int_eq(output.kind, REPAIR_ENDED);
    ck_assert_str_eq(output.how, "no answer in time");
    ck_assert(repair_poll(bed.repair, bed.ours, &bed.at, &output));
    ck_assert(id_equal(&output.peer, &third));
}
END_TEST

START_TEST(answers_of_another_session_or_neighbour_change_nothing)
{
    struct repair_output output;
    struct bytes answer;

    begin_equal(100);
    repair_suggest(bed.repair, &peer, false, bed.at.now_ms);
    ck_assert(repair_poll(bed.repair, bed.ours, &bed.at, &output));
    ck_assert_int_eq(reconcile_answer(bed.responder, bed.theirs, output.message, &answer),
                     RECONCILE_TAKEN);
    repair_answered(bed.repair, bed.ours, &peer, output.session + 1, answer, &bed.at);
    repair_answered(bed.repair, bed.ours, &third, output.session, answer, &bed.at);
    ck_assert(!repair_fetched(bed.repair, &peer, output.session, 1, true, NULL, &bed.at));
    ck_assert(!repair_poll(bed.repair, bed.ours, &bed.at, &output));
    repair_answered(bed.repair, bed.ours, &peer, output.session, answer, &bed.at);
}
END_TEST

START_TEST(a_malformed_answer_ends_the_session)
{
    struct repair_output output;

    begin_equal(100);
    repair_suggest(bed.repair, &peer, false, bed.at.now_ms);
    ck_assert(repair_poll(bed.repair, bed.ours, &bed.at, &output));
    repair_answered(bed.repair, bed.ours, &peer, output.session, bytes_of_text("nonsense"),
                    &bed.at);
    ck_assert(repair_poll(bed.repair, bed.ours, &bed.at, &output));
    ck_assert_str_eq(output.how, "the answer does not hold together");
}
END_TEST

START_TEST(a_link_that_goes_down_ends_the_session_and_what_waits_for_it)
{
    struct repair_output output;

    begin_equal(100);
    repair_suggest(bed.repair, &peer, false, bed.at.now_ms);
    ck_assert(repair_poll(bed.repair, bed.ours, &bed.at, &output));
    repair_suggest(bed.repair, &peer, true, bed.at.now_ms);
    repair_link_down(bed.repair, &peer, bed.at.now_ms);
    ck_assert(repair_poll(bed.repair, bed.ours, &bed.at, &output));
    ck_assert_str_eq(output.how, "the link went down");
    ck_assert(!repair_poll(bed.repair, bed.ours, &bed.at, &output));
    ck_assert_uint_eq(repair_wake_at_ms(bed.repair), MOMENT_NEVER);
}
END_TEST

START_TEST(who_claims_a_difference_that_brings_nothing_has_to_wait)
{
    struct repair_figures figures;

    begin_equal(500);
    add(true, false, 1, 1000000, 1000000); /* they lack one; we lack nothing */
    repair_suggest(bed.repair, &peer, true, bed.at.now_ms);
    run();
    ck_assert_uint_eq(bed.fetched, 0);
    repair_suggest(bed.repair, &peer, true, bed.at.now_ms);
    ck_assert_uint_eq(repair_wake_at_ms(bed.repair), bed.at.now_ms + REPAIR_FRUITLESS_REST_MIN_MS);
    run();
    repair_figures(bed.repair, &figures);
    ck_assert_uint_eq(figures.sessions, 2);
    pass(REPAIR_FRUITLESS_REST_MIN_MS);
    run();
    repair_figures(bed.repair, &figures);
    ck_assert_uint_eq(figures.sessions, 3);
}
END_TEST

START_TEST(who_brings_nothing_again_waits_twice_as_long_and_who_brings_something_begins_anew)
{
    uint64_t rest_ms = REPAIR_FRUITLESS_REST_MIN_MS;

    begin_equal(500);
    add(true, false, 1, 1000000, 1000000);
    for (int i = 0; i < 6; i++) {
        repair_suggest(bed.repair, &peer, true, bed.at.now_ms);
        run();
        ck_assert_uint_eq(bed.fetched, 0);
        repair_suggest(bed.repair, &peer, true, bed.at.now_ms);
        ck_assert_uint_eq(repair_wake_at_ms(bed.repair), bed.at.now_ms + rest_ms);
        pass(rest_ms);
        rest_ms = 2 * rest_ms < REPAIR_FRUITLESS_REST_MS ? 2 * rest_ms : REPAIR_FRUITLESS_REST_MS;
    }
    add(false, true, 1, 1000000, 1000000);
    repair_suggest(bed.repair, &peer, true, bed.at.now_ms);
    run();
    ck_assert_uint_eq(bed.fetched, 1);
    repair_suggest(bed.repair, &peer, true, bed.at.now_ms);
    ck_assert_uint_eq(repair_wake_at_ms(bed.repair), bed.at.now_ms + REPAIR_REST_MS);
}
END_TEST

START_TEST(where_nothing_of_ours_is_older_than_the_newest_part_all_is_compared_at_once)
{
    add(true, true, 500, (uint32_t)(bed.at.wall_ms / 1000), 1); /* a network that just formed */
    add(false, true, 100, (uint32_t)(bed.at.wall_ms / 1000), 1);
    add(false, true, 10, 1000000, 1);
    repair_suggest(bed.repair, &peer, true, bed.at.now_ms);
    run();
    ck_assert_str_eq(bed.ended, "repaired");
    ck_assert(holds_all_of_theirs());
    ck_assert_uint_eq(bed.fetched, 110);
    ck_assert_uint_eq(bed.fetches, 1);
}
END_TEST

START_TEST(what_is_of_no_use_is_not_fetched_again)
{
    struct stamp useless;

    begin_equal(500);
    useless = stamp_at(1500000);
    recordset_insert(bed.theirs, &useless);
    repair_refuse(bed.repair, &useless.hash);
    repair_suggest(bed.repair, &peer, true, bed.at.now_ms);
    run();
    ck_assert_uint_eq(bed.asked, 0);
}
END_TEST

START_TEST(a_stream_that_leads_in_circles_ends)
{
    struct repair_output output;
    struct stamp there = stamp_at(1500), back = stamp_at(1400);

    repair_suggest(bed.repair, &peer, false, bed.at.now_ms);
    ck_assert(repair_poll(bed.repair, bed.ours, &bed.at, &output));
    ck_assert_int_eq(output.kind, REPAIR_STREAM);
    repair_fetched(bed.repair, &peer, output.session, 1, true, &there, &bed.at);
    ck_assert(repair_poll(bed.repair, bed.ours, &bed.at, &output));
    ck_assert_int_eq(output.kind, REPAIR_STREAM);
    ck_assert_int_eq(stamp_compare(&output.after, &there), 0);
    repair_fetched(bed.repair, &peer, output.session, 1, true, &back, &bed.at);
    ck_assert(repair_poll(bed.repair, bed.ours, &bed.at, &output));
    ck_assert_int_eq(output.kind, REPAIR_COMPARE);
}
END_TEST

/* Begins a session in which something is to be fetched. */
static void begin_fetch(struct repair_output *output)
{
    begin_equal(500);
    add(false, true, 1, (uint32_t)(bed.at.wall_ms / 1000), 1);
    repair_suggest(bed.repair, &peer, true, bed.at.now_ms);
    while (repair_poll(bed.repair, bed.ours, &bed.at, output) && output->kind == REPAIR_COMPARE)
        answer_compare(output);
    ck_assert_int_eq(output->kind, REPAIR_FETCH);
    repair_suggest(bed.repair, &third, false, bed.at.now_ms);
}

START_TEST(what_is_on_its_way_is_not_asked_for_again)
{
    struct repair_output output, next;

    begin_fetch(&output);
    ck_assert(!repair_poll(bed.repair, bed.ours, &bed.at, &next));
    pass(REPAIR_AGAIN_MS - 1);
    ck_assert(repair_fetched(bed.repair, &peer, output.session, 1, false, NULL, &bed.at));
    ck_assert(!repair_poll(bed.repair, bed.ours, &bed.at, &next));
    ck_assert_uint_eq(repair_wake_at_ms(bed.repair), bed.at.now_ms + REPAIR_STEP_MS);
}
END_TEST

START_TEST(frames_that_bring_nothing_keep_no_session_alive)
{
    struct repair_output output, next;

    begin_fetch(&output);
    ck_assert(!repair_poll(bed.repair, bed.ours, &bed.at, &next));
    pass_until_asked_again(&output);
    for (int i = 0; i < 2; i++) {
        pass(REPAIR_STEP_MS / 2 - 1);
        ck_assert(repair_fetched(bed.repair, &peer, output.session, 0, false, NULL, &bed.at));
        ck_assert(!repair_poll(bed.repair, bed.ours, &bed.at, &next));
    }
    pass(2);
    ck_assert(repair_poll(bed.repair, bed.ours, &bed.at, &next));
    ck_assert_str_eq(next.how, "no answer in time");
    ck_assert(repair_poll(bed.repair, bed.ours, &bed.at, &next));
    ck_assert(id_equal(&next.peer, &third));
}
END_TEST

START_TEST(a_session_that_brings_nothing_is_over_however_many_steps_it_takes)
{
    struct repair_output output;
    uint64_t began_ms;

    begin_equal(2000);
    began_ms = bed.at.now_ms;
    repair_suggest(bed.repair, &peer, true, bed.at.now_ms);
    while (repair_poll(bed.repair, bed.ours, &bed.at, &output) && output.kind == REPAIR_COMPARE) {
        uint8_t differs[20] = {0x61, 0, 0, 1};

        dice_fill(&bed.dice, differs + 4, 16);
        pass(REPAIR_STEP_MS - 1);
        repair_answered(bed.repair, bed.ours, &peer, output.session, bytes_of(differs, 20),
                        &bed.at);
    }
    ck_assert_int_eq(output.kind, REPAIR_ENDED);
    ck_assert_uint_le(bed.at.now_ms, began_ms + REPAIR_STILL_MS + REPAIR_STEP_MS);
}
END_TEST

START_TEST(whoever_fails_again_waits_twice_as_long)
{
    struct repair_output output;
    uint64_t rest_ms = 0;

    begin_equal(100);
    for (int failure = 0; failure < 6; failure++) {
        repair_suggest(bed.repair, &peer, false, bed.at.now_ms);
        ck_assert_uint_eq(repair_wake_at_ms(bed.repair), bed.at.now_ms + rest_ms);
        pass(rest_ms);
        ck_assert(repair_poll(bed.repair, bed.ours, &bed.at, &output));
        ck_assert_int_eq(output.kind, REPAIR_COMPARE);
        if (failure % 2 == 0)
            pass(REPAIR_STEP_MS);
        else
            repair_link_down(bed.repair, &peer, bed.at.now_ms); /* no way around it */
        ck_assert(repair_poll(bed.repair, bed.ours, &bed.at, &output));
        ck_assert_int_eq(output.kind, REPAIR_ENDED);
        rest_ms = failure == 0 ? 0 : REPAIR_FAILED_REST_MS << (failure - 1);
        if (failure > (int)REPAIR_FAILURES_MAX)
            rest_ms = REPAIR_FAILED_REST_MS << (REPAIR_FAILURES_MAX - 1);
    }
    ck_assert_uint_eq(rest_ms, 8 * SECOND_MS);
    repair_suggest(bed.repair, &peer, false, bed.at.now_ms);
    pass(rest_ms);
    run(); /* it answers: all is forgiven */
    ck_assert_str_eq(bed.ended, "equal");
    pass(REPAIR_REST_MS);
    repair_suggest(bed.repair, &peer, false, bed.at.now_ms);
    ck_assert_uint_eq(repair_wake_at_ms(bed.repair), bed.at.now_ms);
}
END_TEST

/* Who stalls would else take the time of those who do not. */
START_TEST(whoever_failed_less_often_goes_first)
{
    static const struct id other = {{77}};
    struct repair_output output;

    begin_equal(100);
    repair_suggest(bed.repair, &peer, false, bed.at.now_ms);
    ck_assert(repair_poll(bed.repair, bed.ours, &bed.at, &output));
    pass(REPAIR_STEP_MS);
    ck_assert(repair_poll(bed.repair, bed.ours, &bed.at, &output));
    ck_assert(output.failed);
    repair_suggest(bed.repair, &peer, true, bed.at.now_ms);
    repair_suggest(bed.repair, &other, false, bed.at.now_ms);
    ck_assert(repair_poll(bed.repair, bed.ours, &bed.at, &output));
    ck_assert(id_equal(&output.peer, &other));
    pass(REPAIR_STEP_MS);
    ck_assert(repair_poll(bed.repair, bed.ours, &bed.at, &output));
    ck_assert(output.failed);
    ck_assert(
        repair_poll(bed.repair, bed.ours, &bed.at, &output)); /* as often: who waited longer */
    ck_assert(id_equal(&output.peer, &peer));
}
END_TEST

START_TEST(who_is_hurried_goes_before_all_others_also_where_the_table_is_full)
{
    static const struct id known = {{77}}, prepared = {{78}};
    struct repair_output output;

    begin_equal(100);
    repair_suggest(bed.repair, &peer, true, bed.at.now_ms);
    ck_assert(repair_poll(bed.repair, bed.ours, &bed.at, &output));
    ck_assert(id_equal(&output.peer, &peer)); /* and does not answer */
    for (uint8_t i = 0; i < 64; i++)
        repair_suggest(bed.repair, &(struct id){{100, i}}, true, bed.at.now_ms);
    repair_hurry(bed.repair, &known, bed.at.now_ms);
    ck_assert(repair_poll(bed.repair, bed.ours, &bed.at, &output));
    ck_assert(output.kind == REPAIR_ENDED && output.failed && id_equal(&output.peer, &peer));
    ck_assert(repair_poll(bed.repair, bed.ours, &bed.at, &output));
    ck_assert(id_equal(&output.peer, &known));
    repair_hurry(bed.repair, &prepared, bed.at.now_ms); /* ends nothing that is hurried itself */
    ck_assert(!repair_poll(bed.repair, bed.ours, &bed.at, &output));
    pass(REPAIR_STEP_MS);
    ck_assert(repair_poll(bed.repair, bed.ours, &bed.at, &output));
    ck_assert(output.failed && id_equal(&output.peer, &known));
    ck_assert(repair_poll(bed.repair, bed.ours, &bed.at, &output));
    ck_assert(id_equal(&output.peer, &prepared));
}
END_TEST

static uint32_t begin_stream(void)
{
    struct repair_output output;

    repair_suggest(bed.repair, &peer, true, bed.at.now_ms);
    ck_assert(repair_poll(bed.repair, bed.ours, &bed.at, &output));
    ck_assert_int_eq(output.kind, REPAIR_STREAM);
    return output.session;
}

static bool brings_one_after(uint64_t ms, uint32_t session)
{
    struct repair_output output;

    pass(ms);
    if (repair_poll(bed.repair, bed.ours, &bed.at, &output))
        return false;
    ck_assert(repair_fetched(bed.repair, &peer, session, 1, false, NULL, &bed.at));
    return true;
}

START_TEST(who_brings_a_record_now_and_then_goes_on_only_while_nobody_waits)
{
    uint32_t session = begin_stream();
    struct repair_output output;

    ck_assert(brings_one_after(1, session)); /* or the question is put once more */
    for (int i = 1; i < 20; i++)
        ck_assert(brings_one_after(REPAIR_STEP_MS - 1, session));
    repair_suggest(bed.repair, &third, false, bed.at.now_ms);
    ck_assert(repair_poll(bed.repair, bed.ours, &bed.at, &output));
    ck_assert(output.kind == REPAIR_ENDED && output.failed && id_equal(&output.peer, &peer));
    ck_assert_uint_eq(output.fetched, 20);
    ck_assert(repair_poll(bed.repair, bed.ours, &bed.at, &output));
    ck_assert(id_equal(&output.peer, &third));
}
END_TEST

START_TEST(who_brings_enough_goes_on_though_others_wait)
{
    uint32_t session = begin_stream();
    uint64_t ends_ms = bed.at.now_ms + 3 * REPAIR_STILL_MS;

    repair_suggest(bed.repair, &third, false, bed.at.now_ms);
    while (bed.at.now_ms < ends_ms)
        ck_assert(brings_one_after(REPAIR_RECORD_MS, session));
}
END_TEST

START_TEST(what_was_of_no_use_is_asked_for_again_after_a_while)
{
    struct stamp useless;

    begin_equal(500);
    useless = stamp_at(1500000);
    recordset_insert(bed.theirs, &useless);
    repair_refuse(bed.repair, &useless.hash);
    pass(REPAIR_REFUSED_MS);
    repair_suggest(bed.repair, &peer, true, bed.at.now_ms);
    run();
    ck_assert_uint_eq(bed.asked, 1);
}
END_TEST

/* A responder that names hashes of nothing, as many as a message holds, for ever. */
START_TEST(a_neighbour_that_names_hashes_without_end_costs_a_bounded_session)
{
    struct repair_output output;
    uint8_t *lie = malloc(512 * KIB);
    size_t sent = 0, asked = 0;

    begin_equal(500);
    repair_suggest(bed.repair, &peer, true, bed.at.now_ms);
    while (repair_poll(bed.repair, bed.ours, &bed.at, &output) && output.kind != REPAIR_ENDED) {
        if (output.kind == REPAIR_FETCH) {
            asked += output.count;
            repair_fetched(bed.repair, &peer, output.session, 0, true, NULL, &bed.at);
            continue;
        }
        /* 61, up to infinity, a list of 16,000 (fd 00) */
        memcpy(lie, "\x61\x00\x00\x02\xfd\x00", 6);
        dice_fill(&bed.dice, lie + 6, 16000u * HASH_SIZE);
        repair_answered(bed.repair, bed.ours, &peer, output.session,
                        bytes_of(lie, 6 + 16000u * HASH_SIZE), &bed.at);
        sent++;
    }
    ck_assert_uint_eq(asked, (REPAIR_FRUITLESS_MAX + 1) * REPAIR_FETCH_MAX);
    ck_assert_uint_eq(sent, 1);
    ck_assert_str_eq(output.how, "it does not bring what it names");
    free(lie);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("repair");
    TCase *tests = tcase_create("repair");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, make, unmake);
    tcase_add_test(tests, equal_sets_cost_one_probe);
    tcase_add_test(tests, a_probe_finds_what_differs_between_sets_of_two);
    tcase_add_test(tests, an_empty_node_lets_a_neighbour_stream_its_set);
    tcase_add_test(tests, a_scattered_difference_is_fetched_whole);
    tcase_add_test(tests, what_was_issued_since_the_last_session_comes_without_looking_at_the_rest);
    tcase_add_test(tests, an_audit_follows_after_its_time);
    tcase_add_test(tests, an_audit_of_a_large_set_is_made_over_several_turns);
    tcase_add_test(tests, a_question_whose_answer_was_lost_is_put_once_more);
    tcase_add_test(tests, an_audit_is_asked_for_once);
    tcase_add_test(tests, what_is_on_its_way_is_not_asked_for_again);
    tcase_add_test(tests, who_does_not_answer_is_left_for_the_next);
    tcase_add_test(tests, answers_of_another_session_or_neighbour_change_nothing);
    tcase_add_test(tests, a_malformed_answer_ends_the_session);
    tcase_add_test(tests, a_link_that_goes_down_ends_the_session_and_what_waits_for_it);
    tcase_add_test(tests, who_claims_a_difference_that_brings_nothing_has_to_wait);
    tcase_add_test(
        tests, who_brings_nothing_again_waits_twice_as_long_and_who_brings_something_begins_anew);
    tcase_add_test(tests,
                   where_nothing_of_ours_is_older_than_the_newest_part_all_is_compared_at_once);
    tcase_add_test(tests, what_is_of_no_use_is_not_fetched_again);
    tcase_add_test(tests, a_stream_that_leads_in_circles_ends);
    tcase_add_test(tests, frames_that_bring_nothing_keep_no_session_alive);
    tcase_add_test(tests, a_session_that_brings_nothing_is_over_however_many_steps_it_takes);
    tcase_add_test(tests, whoever_fails_again_waits_twice_as_long);
    tcase_add_test(tests, whoever_failed_less_often_goes_first);
    tcase_add_test(tests, who_is_hurried_goes_before_all_others_also_where_the_table_is_full);
    tcase_add_test(tests, who_brings_a_record_now_and_then_goes_on_only_while_nobody_waits);
    tcase_add_test(tests, who_brings_enough_goes_on_though_others_wait);
    tcase_add_test(tests, what_was_of_no_use_is_asked_for_again_after_a_while);
    tcase_add_test(tests, a_neighbour_that_names_hashes_without_end_costs_a_bounded_session);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
