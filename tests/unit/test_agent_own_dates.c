/* Two whole agents: what the owner of a duckling that keeps its own key dates ahead of all clocks moves nobody else's dates. */
#include "own_play.h"

#define AHEAD_MS (4 * MINUTE_MS)

static const struct record *newest_of(const struct play *play, const struct id *owner)
{
    const struct node *alice = &play->pond->alice;

    for (size_t i = alice->record_count; i-- > 0;)
        if (id_equal(&alice->records[i].record.owner, owner) &&
            alice->records[i].record.kind == RECORD_DUCKLING)
            return &alice->records[i].record;
    ck_abort_msg("alice keeps no entry of it");
    return NULL;
}

static void change_bio(struct play *play, const struct id *duckling, const char *bio)
{
    struct order change = {.kind = ORDER_PROFILE, .duckling = *duckling};

    change.profile.set_bio = true;
    change.profile.bio = bytes_of_text(bio);
    ck_assert_int_eq(order(play->pond, &play->pond->alice, &change)->code, REFUSAL_NONE);
}

static void expect_now(const struct play *play, const struct id *duckling)
{
    ck_assert_uint_le(newest_of(play, duckling)->version.ms, play->pond->at.wall_ms + 1);
}

START_TEST(a_certificate_that_is_dated_ahead_moves_no_dates_of_others)
{
    struct play play = play_new();
    struct id local = hatch(play.pond, &play.pond->alice, 10);
    uint64_t ahead_ms = play.pond->at.wall_ms + AHEAD_MS;

    ck_assert_int_eq(hand_in(&play, lengthened(&play, play.next, ahead_ms))->code, REFUSAL_NONE);
    identity_key_free(play.key);
    play.key = identity_key_new(play.next);
    sign_all(&play); /* its own entry is behind its certificate */
    ck_assert_uint_ge(newest_of(&play, &play.own)->version.ms, ahead_ms);
    change_bio(&play, &local, "still here");
    expect_now(&play, &local);
    play_end(&play);
}
END_TEST

/* As another node of its owner's would bring it. */
static void bring_entry(struct play *play, uint64_t version_ms)
{
    struct arena *memory = &play->memory;
    struct duckling_content content = {.host = play->pond->alice.id,
                                       .display_name = bytes_of_text("Own")};
    struct record record = {.network = bytes_of_text(NETWORK),
                            .owner = play->own,
                            .kind = RECORD_DUCKLING,
                            .version = {version_ms, 0},
                            .not_after_ms = version_ms + RECORD_LIFE_MS,
                            .content = duckling_content_pack(&content, memory)};
    struct bytes body, wire;

    ck_assert_int_eq(record_pack(&record, memory, &body), RECORD_OK);
    wire = envelope_seal(ENVELOPE_RECORD, &play->own, play->key, body, memory, NULL);
    carry(play->pond, &play->pond->bob, FRAME_RECORDS,
          frame_pack_records(&play->chain, &wire, 1, memory));
}

START_TEST(an_entry_that_is_dated_ahead_moves_no_dates_of_others_and_what_follows_is_behind_it)
{
    struct play play = play_new();
    struct id local = hatch(play.pond, &play.pond->alice, 10);
    uint64_t ahead_ms = play.pond->at.wall_ms + AHEAD_MS;

    bring_entry(&play, ahead_ms);
    ck_assert_uint_eq(newest_of(&play, &play.own)->version.ms, ahead_ms);
    change_bio(&play, &play.own, "said after it");
    change_bio(&play, &local, "still here");
    expect_now(&play, &local);
    sign_all(&play);
    ck_assert_uint_ge(newest_of(&play, &play.own)->version.ms, ahead_ms);
    ck_assert_int_eq(hand_in(&play, lengthened(&play, play.next, ahead_ms))->code,
                     REFUSAL_MALFORMED); /* its key has dated something then */
    ck_assert_int_eq(hand_in(&play, lengthened(&play, play.next, ahead_ms + 2))->code,
                     REFUSAL_NONE);
    change_bio(&play, &local, "and here");
    expect_now(&play, &local);
    play_end(&play);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent_own_dates");
    TCase *tests = tcase_create("stories");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, a_certificate_that_is_dated_ahead_moves_no_dates_of_others);
    tcase_add_test(
        tests, an_entry_that_is_dated_ahead_moves_no_dates_of_others_and_what_follows_is_behind_it);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
