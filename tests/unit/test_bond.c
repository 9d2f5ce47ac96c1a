#include "core/bond.h"
#include "core/dice.h"

#include <check.h>
#include <stdlib.h>

#define NOW_MS 1790000000000ull

static struct bonds *bonds;

static void set_up(void)
{
    bonds = bonds_new(BONDS_MAX);
}

static void tear_down(void)
{
    bonds_free(bonds);
}

static struct id id_of_number(uint64_t number)
{
    struct hash hash = hash_of(bytes_of(&number, sizeof number));

    return id_of(&hash);
}

static struct bond bond_of(uint64_t number, uint64_t requester, uint64_t approver,
                           const char *scope)
{
    return (struct bond){
        .id = id_of_number(1000000 + number),
        .requester = id_of_number(requester),
        .approver = id_of_number(approver),
        .scopes = {bytes_of_text(scope)},
        .scope_count = 1,
        .made_ms = NOW_MS,
        .not_after_ms = NOW_MS + BOND_LIFE_MS,
    };
}

static bool add(uint64_t number, uint64_t requester, uint64_t approver, const char *scope)
{
    struct bond bond = bond_of(number, requester, approver, scope);

    return bonds_add(bonds, &bond);
}

static const struct bond *cover(uint64_t from, uint64_t to, const char *action, uint64_t wall_ms)
{
    struct id from_id = id_of_number(from), to_id = id_of_number(to);

    return bonds_cover(bonds, &from_id, &to_id, bytes_of_text(action), wall_ms);
}

static const struct bond *between(uint64_t one, uint64_t other)
{
    struct id one_id = id_of_number(one), other_id = id_of_number(other);

    return bonds_between(bonds, &one_id, &other_id);
}

START_TEST(a_bond_lets_its_requester_ask_its_approver_and_not_the_other_way)
{
    ck_assert(add(1, 1, 2, "data.*"));
    ck_assert_ptr_nonnull(cover(1, 2, "data.read", NOW_MS));
    ck_assert_ptr_null(cover(2, 1, "data.read", NOW_MS));
    ck_assert_ptr_null(cover(1, 3, "data.read", NOW_MS));
    ck_assert_ptr_null(cover(3, 2, "data.read", NOW_MS));
    ck_assert_ptr_null(cover(1, 2, "other", NOW_MS));
    ck_assert_ptr_null(cover(1, 2, "data", NOW_MS));
}
END_TEST

START_TEST(a_bond_ends_when_it_says)
{
    ck_assert(add(1, 1, 2, "*"));
    ck_assert_ptr_nonnull(cover(1, 2, "a", NOW_MS + BOND_LIFE_MS - 1));
    ck_assert_ptr_null(cover(1, 2, "a", NOW_MS + BOND_LIFE_MS));
}
END_TEST

static bool add_until(uint64_t number, uint64_t not_after_ms)
{
    struct bond bond = bond_of(number, number, 99, "*");

    bond.not_after_ms = not_after_ms;
    return bonds_add(bonds, &bond);
}

START_TEST(those_whose_end_has_come_are_found_and_no_others)
{
    struct id ended[2];

    ck_assert_uint_eq(bonds_next_end_ms(bonds), MOMENT_NEVER);
    for (uint64_t i = 1; i <= 3; i++)
        ck_assert(add_until(i, NOW_MS + 5));
    ck_assert(add_until(4, NOW_MS + 9));
    ck_assert_uint_eq(bonds_next_end_ms(bonds), NOW_MS + 5);
    ck_assert_uint_eq(bonds_over(bonds, NOW_MS + 4, ended, 2), 0);
    ck_assert_uint_eq(bonds_over(bonds, NOW_MS + 5, ended, 2), 2);
    for (size_t i = 0; i < 2; i++)
        ck_assert(bonds_remove(bonds, &ended[i]));
    ck_assert_uint_eq(bonds_next_end_ms(bonds), NOW_MS + 5); /* one did not fit in */
    ck_assert_uint_eq(bonds_over(bonds, NOW_MS + 5, ended, 2), 1);
    ck_assert(bonds_remove(bonds, &ended[0]));
    ck_assert_uint_eq(bonds_next_end_ms(bonds), NOW_MS + 9);
    ck_assert_uint_eq(bonds_over(bonds, NOW_MS + 9, ended, 2), 1);
    ck_assert(bonds_remove(bonds, &ended[0]));
    ck_assert_uint_eq(bonds_next_end_ms(bonds), MOMENT_NEVER);
}
END_TEST

START_TEST(any_scope_of_any_bond_of_a_pair_will_do)
{
    struct bond many = bond_of(2, 1, 2, "x");

    many.scopes[1] = bytes_of_text("y");
    many.scopes[2] = bytes_of_text("z.*");
    many.scope_count = 3;
    ck_assert(add(1, 1, 2, "a"));
    ck_assert(bonds_add(bonds, &many));
    ck_assert(id_equal(&cover(1, 2, "z.z", NOW_MS)->id, &many.id));
    ck_assert(id_equal(&cover(1, 2, "y", NOW_MS)->id, &many.id));
    ck_assert(!id_equal(&cover(1, 2, "a", NOW_MS)->id, &many.id));
    ck_assert_ptr_null(cover(1, 2, "b", NOW_MS));
}
END_TEST

START_TEST(what_is_added_is_copied)
{
    char scope[] = "data.read";
    struct bond bond = bond_of(1, 1, 2, scope);
    const struct bond *held;

    bonds_add(bonds, &bond);
    memset(scope, 'x', sizeof scope - 1);
    held = bonds_find(bonds, &bond.id);
    ck_assert_ptr_nonnull(held);
    ck_assert(bytes_equal(held->scopes[0], bytes_of_text("data.read")));
    ck_assert(id_equal(&held->requester, &bond.requester));
    ck_assert(id_equal(&held->approver, &bond.approver));
    ck_assert_uint_eq(held->made_ms, NOW_MS);
    ck_assert_uint_eq(held->not_after_ms, NOW_MS + BOND_LIFE_MS);
}
END_TEST

START_TEST(a_pair_is_found_from_either_end)
{
    ck_assert_ptr_null(between(1, 2));
    ck_assert(add(1, 1, 2, "*"));
    ck_assert_ptr_nonnull(between(1, 2));
    ck_assert_ptr_eq(between(1, 2), between(2, 1));
    ck_assert_ptr_null(between(1, 1));
    ck_assert_ptr_null(between(1, 3));
}
END_TEST

START_TEST(a_removed_bond_lets_nobody_do_anything)
{
    struct bond bond = bond_of(1, 1, 2, "*");

    ck_assert(!bonds_remove(bonds, &bond.id));
    ck_assert(bonds_add(bonds, &bond));
    ck_assert(bonds_remove(bonds, &bond.id));
    ck_assert(!bonds_remove(bonds, &bond.id));
    ck_assert_ptr_null(bonds_find(bonds, &bond.id));
    ck_assert_ptr_null(between(1, 2));
    ck_assert_ptr_null(cover(1, 2, "a", NOW_MS));
    ck_assert_uint_eq(bonds_count(bonds), 0);
}
END_TEST

START_TEST(the_same_id_replaces)
{
    struct bond other = bond_of(1, 1, 3, "b");

    add(1, 1, 2, "a");
    ck_assert(bonds_add(bonds, &other));
    ck_assert_uint_eq(bonds_count(bonds), 1);
    ck_assert_ptr_null(cover(1, 2, "a", NOW_MS));
    ck_assert_ptr_nonnull(cover(1, 3, "b", NOW_MS));
    ck_assert(bonds_add(bonds, bonds_find(bonds, &other.id))); /* by itself, even */
    ck_assert_ptr_nonnull(cover(1, 3, "b", NOW_MS));
}
END_TEST

START_TEST(sixteen_long_scopes_fit)
{
    struct bond bond = bond_of(1, 1, 2, "*");
    char scopes[PECK_SCOPES_MAX][PECK_ACTION_MAX];

    for (size_t i = 0; i < PECK_SCOPES_MAX; i++) {
        memset(scopes[i], 'a' + (int)i, PECK_ACTION_MAX);
        bond.scopes[i] = bytes_of(scopes[i], PECK_ACTION_MAX);
    }
    bond.scope_count = PECK_SCOPES_MAX;
    ck_assert(bonds_add(bonds, &bond));
    for (size_t i = 0; i < PECK_SCOPES_MAX; i++)
        ck_assert(bytes_equal(bonds_find(bonds, &bond.id)->scopes[i], bond.scopes[i]));
}
END_TEST

START_TEST(it_holds_what_it_is_told_and_refuses_one_beyond)
{
    struct bond bond;

    for (uint64_t i = 0; i < BONDS_MAX; i++)
        ck_assert(add(i, i, i + 1, "*"));
    ck_assert_uint_eq(bonds_count(bonds), BONDS_MAX);
    ck_assert(!add(BONDS_MAX, 1, 2, "*"));
    ck_assert(add(7, 7, 9, "*")); /* to replace one is not one more */
    ck_assert_uint_eq(bonds_count(bonds), BONDS_MAX);
    ck_assert_ptr_null(between(7, 8));
    ck_assert_ptr_nonnull(between(7, 9));
    for (uint64_t i = 10; i < BONDS_MAX; i += 997)
        ck_assert_ptr_nonnull(cover(i, i + 1, "a", NOW_MS));
    bond = bond_of(7, 7, 9, "*");
    ck_assert(bonds_remove(bonds, &bond.id));
    ck_assert(add(BONDS_MAX, 1, 2, "*"));
}
END_TEST

/* Against a list that is looked through from end to end. */
START_TEST(it_agrees_with_a_list)
{
    struct {
        bool held;
        uint64_t requester, approver;
    } list[200] = {0};
    struct dice dice;
    size_t count = 0;

    dice_init_number(&dice, 7);
    for (int turn = 0; turn < 20000; turn++) {
        uint64_t number = dice_below(&dice, 200), from, to;
        bool covered = false, bonded = false;

        if (dice_below(&dice, 2) == 0) {
            struct bond bond = bond_of(number, 0, 0, "*");

            ck_assert_int_eq(bonds_remove(bonds, &bond.id), list[number].held);
            count -= list[number].held;
            list[number].held = false;
        } else {
            count += !list[number].held;
            list[number].held = true;
            list[number].requester = dice_below(&dice, 12);
            list[number].approver = dice_below(&dice, 12);
            add(number, list[number].requester, list[number].approver, "*");
        }
        from = dice_below(&dice, 12);
        to = dice_below(&dice, 12);
        for (size_t i = 0; i < 200; i++) {
            bool there = list[i].held && list[i].requester == from && list[i].approver == to;
            bool back = list[i].held && list[i].requester == to && list[i].approver == from;

            covered = covered || there;
            bonded = bonded || there || back;
        }
        ck_assert_int_eq(cover(from, to, "a", NOW_MS) != NULL, covered);
        ck_assert_int_eq(between(from, to) != NULL, bonded);
        ck_assert_uint_eq(bonds_count(bonds), count);
    }
}
END_TEST

/* ---- limits ---- */

static struct bond_decision admit(uint64_t from, uint64_t to, const char *thread, uint64_t wall_ms)
{
    struct id from_id = id_of_number(from), to_id = id_of_number(to);
    struct bond_action action = {.from = &from_id,
                                 .to = &to_id,
                                 .action = bytes_of_text("query"),
                                 .payload = bytes_of_text("{}"),
                                 .thread = bytes_of_text(thread)};
    struct moment at = {.now_ms = 1000, .wall_ms = wall_ms};

    return bonds_admit(bonds, &action, &at);
}

static size_t play(uint64_t from, uint64_t to, const char *thread, struct id *last, size_t max)
{
    struct id from_id = id_of_number(from), to_id = id_of_number(to);

    return bonds_count_round(bonds, &from_id, &to_id, bytes_of_text(thread), NOW_MS, last, max);
}

START_TEST(a_bond_that_covers_and_does_not_admit_refuses)
{
    struct bond bond = bond_of(1, 1, 2, "query");

    ck_assert_int_eq(admit(1, 2, "", NOW_MS).verdict, BOND_COVERS_NOT);
    ck_assert_ptr_null(admit(1, 2, "", NOW_MS).bond);
    bond.terms.muted_until_ms = NOW_MS + 5;
    bonds_add(bonds, &bond);
    ck_assert_int_eq(admit(1, 2, "", NOW_MS).verdict, BOND_MUTED);
    ck_assert_uint_eq(admit(1, 2, "", NOW_MS).retry_after_ms, 5);
    ck_assert(id_equal(&admit(1, 2, "", NOW_MS).bond->id, &bond.id));
    ck_assert_int_eq(admit(2, 1, "", NOW_MS).verdict, BOND_COVERS_NOT);
    ck_assert_int_eq(admit(1, 2, "", NOW_MS + 5).verdict, BOND_ADMITS);
    ck_assert_int_eq(admit(1, 2, "", bond.not_after_ms).verdict, BOND_COVERS_NOT);
}
END_TEST

START_TEST(of_several_bonds_one_that_admits_is_enough)
{
    struct bond muted = bond_of(1, 1, 2, "*"), open = bond_of(2, 1, 2, "query");

    muted.terms.muted_until_ms = NOW_MS + 5;
    bonds_add(bonds, &open);
    bonds_add(bonds, &muted); /* is asked first */
    ck_assert_int_eq(admit(1, 2, "", NOW_MS).verdict, BOND_ADMITS);
    ck_assert(id_equal(&admit(1, 2, "", NOW_MS).bond->id, &open.id));
    bonds_remove(bonds, &open.id);
    ck_assert_int_eq(admit(1, 2, "", NOW_MS).verdict, BOND_MUTED);
}
END_TEST

START_TEST(rounds_count_in_all_bonds_of_a_pair_whoever_plays)
{
    struct bond there = bond_of(1, 1, 2, "query"), back = bond_of(2, 2, 1, "query");
    struct id last[2];

    there.terms.rounds = 2;
    back.terms.rounds = 3;
    bonds_add(bonds, &there);
    bonds_add(bonds, &back);
    ck_assert_uint_eq(play(1, 2, "t", last, 2), 0);
    ck_assert_uint_eq(play(2, 1, "t", last, 2), 1);
    ck_assert(id_equal(&last[0], &there.id));
    ck_assert_int_eq(admit(1, 2, "t", NOW_MS).verdict, BOND_ROUNDS);
    ck_assert_int_eq(admit(2, 1, "t", NOW_MS).verdict, BOND_ADMITS);
    ck_assert_uint_eq(play(2, 1, "t", last, 2), 1);
    ck_assert(id_equal(&last[0], &back.id));
    ck_assert_int_eq(admit(2, 1, "t", NOW_MS).verdict, BOND_ROUNDS);
    ck_assert_uint_eq(play(1, 3, "t", last, 2), 0);
    ck_assert_uint_eq(play(1, 2, "", last, 2), 0);
}
END_TEST

START_TEST(new_terms_leave_what_was_used)
{
    struct bond bond = bond_of(1, 1, 2, "query");
    struct id last;

    bond.terms.budget = 10;
    bond.terms.rounds = 1;
    bonds_add(bonds, &bond);
    bonds_count_action(bonds, &bond.id, NOW_MS);
    play(1, 2, "t", &last, 1);
    bond.terms.budget = 1;
    bonds_add(bonds, &bond);
    ck_assert_uint_eq(bonds_find(bonds, &bond.id)->use.spent, 1);
    ck_assert_int_eq(admit(1, 2, "", NOW_MS).verdict, BOND_BUDGET);
    bond.terms.budget = 2;
    bonds_add(bonds, &bond);
    ck_assert_int_eq(admit(1, 2, "", NOW_MS).verdict, BOND_ADMITS);
    ck_assert_int_eq(admit(1, 2, "t", NOW_MS).verdict, BOND_ROUNDS);
}
END_TEST

START_TEST(stop_words_are_copied_with_the_bond)
{
    char word[] = "secret";
    struct bond bond = bond_of(1, 1, 2, "query");

    bond.terms.stop_words[0] = bytes_of(word, 6);
    bond.terms.stop_word_count = 1;
    bonds_add(bonds, &bond);
    memset(word, 'x', 6);
    ck_assert(
        bytes_equal(bonds_find(bonds, &bond.id)->terms.stop_words[0], bytes_of_text("secret")));
}
END_TEST

START_TEST(what_was_counted_is_told_once_and_comes_back)
{
    struct bond bond = bond_of(1, 1, 2, "query"), free_bond = bond_of(2, 1, 3, "query");
    struct bond_count count, use = {0}, thread = {0};
    struct id last;

    bond.terms.budget = 10;
    bond.terms.rounds = 1;
    bonds_add(bonds, &bond);
    bonds_add(bonds, &free_bond);
    ck_assert(!bonds_poll_count(bonds, &count));
    bonds_count_action(bonds, &bond.id, NOW_MS);
    bonds_count_action(bonds, &bond.id, NOW_MS);
    bonds_count_action(bonds, &free_bond.id, NOW_MS); /* has no limits: is not counted */
    play(1, 2, "t", &last, 1);
    ck_assert(bonds_poll_count(bonds, &use));
    ck_assert(!use.is_thread && id_equal(&use.bond, &bond.id));
    ck_assert_uint_eq(use.use.spent, 2);
    ck_assert(bonds_poll_count(bonds, &thread));
    ck_assert(thread.is_thread && id_equal(&thread.bond, &bond.id));
    ck_assert(!bonds_poll_count(bonds, &count));

    bonds_remove(bonds, &bond.id);
    bond.use = use.use;
    bonds_add(bonds, &bond);
    bonds_restore_thread(bonds, &thread);
    ck_assert_int_eq(admit(1, 2, "t", NOW_MS).verdict, BOND_ROUNDS);
    ck_assert_uint_eq(bonds_find(bonds, &bond.id)->use.spent, 2);
    ck_assert(!bonds_poll_count(bonds, &count)); /* what came from the disk is on it */
}
END_TEST

START_TEST(of_a_bond_that_went_nothing_is_to_be_kept)
{
    struct bond one = bond_of(1, 1, 2, "query"), other = bond_of(2, 1, 3, "query");
    struct bond_count count;

    one.terms.budget = other.terms.budget = 10;
    bonds_add(bonds, &one);
    bonds_add(bonds, &other);
    bonds_count_action(bonds, &one.id, NOW_MS);
    bonds_count_action(bonds, &other.id, NOW_MS);
    bonds_remove(bonds, &one.id);
    ck_assert(bonds_poll_count(bonds, &count));
    ck_assert(id_equal(&count.bond, &other.id));
    ck_assert(!bonds_poll_count(bonds, &count));
    bonds_count_action(bonds, &one.id, NOW_MS); /* there is no such bond */
    ck_assert(!bonds_poll_count(bonds, &count));
}
END_TEST

static void charge(const char *action, uint64_t units)
{
    struct id from = id_of_number(1), to = id_of_number(2);
    struct bond_action asked = {.from = &from, .to = &to, .action = bytes_of_text(action)};

    bonds_charge(bonds, &asked, units, NOW_MS);
}

START_TEST(a_charge_goes_to_a_bond_that_covers_the_action_and_has_a_budget)
{
    struct bond bond = bond_of(1, 1, 2, "query"), other = bond_of(2, 1, 2, "other");

    bond.terms.budget = 100;
    bonds_add(bonds, &bond);
    bonds_add(bonds, &other);
    charge("query", 7);
    charge("other", 7);
    charge("third", 7);
    ck_assert_uint_eq(bonds_find(bonds, &bond.id)->use.spent, 7);
    ck_assert_uint_eq(bonds_find(bonds, &other.id)->use.spent, 0);
}
END_TEST

START_TEST(a_limit_is_told_once_a_minute)
{
    struct bond bond = bond_of(1, 1, 2, "query");

    bonds_add(bonds, &bond);
    ck_assert(bonds_may_tell(bonds, &bond.id, BOND_RATE, 1000));
    ck_assert(!bonds_may_tell(bonds, &bond.id, BOND_RATE, 1000 + BOND_TELL_EVERY_MS - 1));
    ck_assert(bonds_may_tell(bonds, &bond.id, BOND_DAILY, 1001));
    ck_assert(bonds_may_tell(bonds, &bond.id, BOND_RATE, 1000 + BOND_TELL_EVERY_MS));
    ck_assert(!bonds_may_tell(bonds, &bond.requester, BOND_RATE, 1000));
}
END_TEST

static void count_visit(void *context, const struct bond *bond)
{
    size_t *count = context;

    ck_assert_uint_gt(bond->terms_ms, bond->made_ms);
    ++*count;
}

START_TEST(those_whose_terms_were_changed_are_found)
{
    struct bond bond = bond_of(7, 1, 2, "query");
    size_t count = 0;

    for (uint64_t i = 0; i < 100; i++) {
        struct bond plain = bond_of(i, 1, i, "query");

        plain.terms_ms = plain.made_ms;
        bonds_add(bonds, &plain);
    }
    bonds_each_changed(bonds, count_visit, &count);
    ck_assert_uint_eq(count, 0);
    bond.terms_ms = bond.made_ms + 1;
    bonds_add(bonds, &bond);
    bonds_add(bonds, &bond);
    bonds_each_changed(bonds, count_visit, &count);
    ck_assert_uint_eq(count, 1);
    bonds_remove(bonds, &bond.id);
    bonds_each_changed(bonds, count_visit, &count);
    ck_assert_uint_eq(count, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bond");
    TCase *tests = tcase_create("bond");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_bond_lets_its_requester_ask_its_approver_and_not_the_other_way);
    tcase_add_test(tests, a_bond_ends_when_it_says);
    tcase_add_test(tests, those_whose_end_has_come_are_found_and_no_others);
    tcase_add_test(tests, any_scope_of_any_bond_of_a_pair_will_do);
    tcase_add_test(tests, what_is_added_is_copied);
    tcase_add_test(tests, a_pair_is_found_from_either_end);
    tcase_add_test(tests, a_removed_bond_lets_nobody_do_anything);
    tcase_add_test(tests, the_same_id_replaces);
    tcase_add_test(tests, sixteen_long_scopes_fit);
    tcase_add_test(tests, it_holds_what_it_is_told_and_refuses_one_beyond);
    tcase_add_test(tests, it_agrees_with_a_list);
    tcase_add_test(tests, a_bond_that_covers_and_does_not_admit_refuses);
    tcase_add_test(tests, of_several_bonds_one_that_admits_is_enough);
    tcase_add_test(tests, rounds_count_in_all_bonds_of_a_pair_whoever_plays);
    tcase_add_test(tests, new_terms_leave_what_was_used);
    tcase_add_test(tests, stop_words_are_copied_with_the_bond);
    tcase_add_test(tests, what_was_counted_is_told_once_and_comes_back);
    tcase_add_test(tests, of_a_bond_that_went_nothing_is_to_be_kept);
    tcase_add_test(tests, a_charge_goes_to_a_bond_that_covers_the_action_and_has_a_budget);
    tcase_add_test(tests, a_limit_is_told_once_a_minute);
    tcase_add_test(tests, those_whose_terms_were_changed_are_found);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
