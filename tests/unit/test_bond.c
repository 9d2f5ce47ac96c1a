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
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
