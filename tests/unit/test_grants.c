/* What the node of a root knows of blocks: uses, revocations, and the bounds of both. */
#include "core/grants.h"
#include "core/moment.h"

#include <check.h>
#include <stdlib.h>

#define END_MS 1000000u
#define ROWS_MAX 80u
#define PER_GRANT_MAX 64u /* 48 for uses; two less to revoke with each block further down */

static const struct grants_limits limits = {
    .rows = ROWS_MAX, .rows_per_root = 64 * ROWS_MAX, .rows_per_grant = PER_GRANT_MAX};
static struct grants *grants;

static void set_up(void)
{
    grants = grants_new(&limits);
}

static void tear_down(void)
{
    grants_free(grants);
}

/* Block n of grant g; one with another tail when `tail` differs. */
static struct grant grant_of(uint8_t g, size_t count, uint8_t tail, uint64_t uses)
{
    struct grant grant = {.count = count};

    for (size_t i = 0; i < count; i++)
        grant.blocks[i] = (struct grant_block){.id = {.bytes = {g, (uint8_t)i, i > 0 ? tail : 0}},
                                               .issuer = {.bytes = {1, (uint8_t)i}},
                                               .holder = {.bytes = {1, (uint8_t)(i + 1)}},
                                               .uses = uses,
                                               .not_after_ms = END_MS};
    return grant;
}

static struct grant_change use(const struct grant *grant)
{
    struct grant_change change = {0};

    ck_assert_int_eq(grants_judge(grants, grant), GRANT_OK);
    grants_use(grants, grant, &change);
    return change;
}

START_TEST(a_use_counts_in_each_block_that_limits_it)
{
    struct grant grant = grant_of(1, 3, 1, 2), sibling = grant_of(1, 3, 2, 0);
    struct grant_change change;

    grant.blocks[1].uses = 0;
    sibling.blocks[0].uses = 2;
    change = use(&grant);
    ck_assert_uint_eq(change.row_count, 2);
    ck_assert(id_equal(&change.rows[1].block, &grant.blocks[2].id));
    ck_assert_uint_eq(change.rows[0].used, 1);
    ck_assert_ptr_null(grants_find(grants, &grant.blocks[1].id));
    change = use(&sibling); /* of the same first block */
    ck_assert_uint_eq(change.row_count, 1);
    ck_assert_uint_eq(change.rows[0].used, 2);
    ck_assert_int_eq(grants_judge(grants, &grant), GRANT_SPENT);
    ck_assert_int_eq(grants_judge(grants, &sibling), GRANT_SPENT);
    ck_assert_uint_eq(grants_find(grants, &grant.blocks[2].id)->used, 1);
}
END_TEST

START_TEST(what_limits_nothing_costs_nothing)
{
    struct grant grant = grant_of(1, 8, 1, 0);

    for (int i = 0; i < 100; i++)
        ck_assert_uint_eq(use(&grant).row_count, 0);
    ck_assert_uint_eq(grants_count(grants), 0);
}
END_TEST

START_TEST(a_revoked_block_ends_all_that_was_made_of_it)
{
    struct grant shorter = grant_of(1, 1, 0, 0), longer = grant_of(1, 3, 1, 0);
    struct grant sibling = grant_of(1, 3, 2, 0);
    struct grant_change change;

    ck_assert_int_eq(grants_revoke(grants, &longer, 1, false, 77, &change), GRANT_OK);
    ck_assert_uint_eq(change.row_count, 1);
    ck_assert_uint_eq(change.rows[0].revoked_ms, 77);
    ck_assert_int_eq(grants_judge(grants, &longer), GRANT_REVOKED);
    ck_assert_int_eq(grants_judge(grants, &shorter), GRANT_OK);
    ck_assert_int_eq(grants_judge(grants, &sibling), GRANT_OK);
    ck_assert_int_eq(grants_revoke(grants, &longer, 1, false, 99, &change), GRANT_OK);
    ck_assert_uint_eq(change.row_count, 0); /* it was */
    ck_assert_int_eq(grants_revoke(grants, &shorter, 0, true, 0, &change), GRANT_OK);
    ck_assert_int_eq(grants_judge(grants, &sibling), GRANT_REVOKED);
}
END_TEST

/* Or its holder could fill the rows of a grant that is over. */
START_TEST(to_revoke_what_is_dead_already_costs_no_row)
{
    struct grant grant = grant_of(1, 3, 1, 0), late = grant_of(1, 3, 2, 0);
    uint64_t end_ms = late.blocks[0].not_after_ms, over_ms = end_ms + GRANT_KEPT_MS;
    struct grant_change change;

    late.blocks[2].not_after_ms = end_ms + DAY_MS; /* it says so; the first block ends before */
    ck_assert_int_eq(grants_revoke(grants, &late, 2, false, over_ms, &change), GRANT_OK);
    ck_assert_uint_eq(change.row_count, 0);
    ck_assert_int_eq(grants_revoke(grants, &late, 2, false, over_ms - 1, &change), GRANT_OK);
    ck_assert_uint_eq(change.row_count, 1); /* the clock may be set back to when it lived */
    ck_assert_uint_eq(change.rows[0].not_after_ms, end_ms); /* and is kept no longer */
    ck_assert_int_eq(grants_revoke(grants, &grant, 1, false, 1, &change), GRANT_OK);
    ck_assert_uint_eq(change.row_count, 1);
    ck_assert_int_eq(grants_revoke(grants, &grant, 2, false, 2, &change), GRANT_OK);
    ck_assert_uint_eq(change.row_count, 0);
    ck_assert_uint_eq(grants_count(grants), 2);
}
END_TEST

START_TEST(one_grant_has_so_many_rows_and_no_other_suffers)
{
    struct grant other = grant_of(2, 1, 0, 5);
    struct grant grant;
    struct grant_change change;

    for (uint8_t tail = 1; tail < 48; tail++) {
        grant = grant_of(1, 2, tail, 5);
        grant.blocks[0].uses = 500;
        use(&grant);
    }
    ck_assert_uint_eq(grants_count(grants), 48);
    use(&grant); /* has its rows */
    grant = grant_of(1, 2, 48, 5);
    ck_assert_int_eq(grants_judge(grants, &grant), GRANT_NO_ROOM);
    ck_assert_int_eq(grants_revoke(grants, &grant, 1, false, 1, &change), GRANT_OK);
    use(&other);
}
END_TEST

/* Block `number` under the first block 1, on a branch of its own. */
static enum grant_verdict revoke_branch(size_t number, uint8_t tail, bool by_root)
{
    struct grant grant = grant_of(1, number + 1, tail, 0);
    struct grant_change change;

    return grants_revoke(grants, &grant, number, by_root, 1, &change);
}

START_TEST(whoever_fills_the_rows_of_a_grant_leaves_room_to_revoke_for_those_before)
{
    uint8_t tail = 1;

    for (size_t number = GRANT_BLOCKS_MAX - 1; number > 0; number--) {
        size_t most = PER_GRANT_MAX - 2 * number;

        while (grants_count(grants) < most)
            ck_assert_int_eq(revoke_branch(number, tail++, false), GRANT_OK);
        ck_assert_int_eq(revoke_branch(number, tail, false), GRANT_NO_ROOM);
        for (size_t further = number + 1; further < GRANT_BLOCKS_MAX; further++)
            ck_assert_int_eq(revoke_branch(further, tail, false), GRANT_NO_ROOM);
    }
    ck_assert_uint_eq(grants_count(grants), PER_GRANT_MAX - 2);
    ck_assert_int_eq(revoke_branch(1, tail, true), GRANT_OK);
    ck_assert_int_eq(revoke_branch(0, tail, true), GRANT_OK);
    /* As it is: uses leave the deepest holder something, and each before it more. */
    ck_assert_uint_eq(GRANT_ROWS_FOR_USES(GRANT_ROWS_PER_GRANT_MAX), 768);
    ck_assert_uint_eq(GRANT_ROWS_TO_REVOKE(GRANT_ROWS_PER_GRANT_MAX, GRANT_BLOCKS_MAX - 1), 800);
    ck_assert_uint_eq(GRANT_ROWS_TO_REVOKE(GRANT_ROWS_PER_GRANT_MAX, 0), 1024);
}
END_TEST

START_TEST(roots_can_revoke_when_there_is_no_room_to_use)
{
    struct grant_change change;
    struct grant grant;
    uint8_t g = 1;

    for (; g <= ROWS_MAX - ROWS_MAX / 10; g++) {
        grant = grant_of(g, 1, 0, 5);
        use(&grant);
    }
    grant = grant_of(g, 1, 0, 5);
    ck_assert_int_eq(grants_judge(grants, &grant), GRANT_NO_ROOM);
    for (; g <= ROWS_MAX; g++) {
        grant = grant_of(g, 1, 0, 5);
        ck_assert_int_eq(grants_revoke(grants, &grant, 0, true, 1, &change), GRANT_OK);
    }
    grant = grant_of(g, 1, 0, 5);
    ck_assert_int_eq(grants_revoke(grants, &grant, 0, true, 1, &change), GRANT_NO_ROOM);
    ck_assert_uint_eq(grants_count(grants), ROWS_MAX);
}
END_TEST

/* The grant of root r. */
static struct grant grant_of_root(uint8_t r, uint8_t g, uint64_t uses)
{
    struct grant grant = grant_of(g, 1, 0, uses);

    grant.blocks[0].id.bytes[3] = r;
    grant.blocks[0].issuer.bytes[2] = r;
    return grant;
}

START_TEST(a_root_that_fills_its_share_takes_no_room_of_others)
{
    static const struct grants_limits narrow = {
        .rows = 4096, .rows_per_root = 128, .rows_per_grant = 4096};
    struct grant_change change;
    struct grant grant;
    uint8_t g = 0;

    grants_free(grants);
    grants = grants_new(&narrow);
    for (; g < 96; g++) { /* whoever holds its grants leaves it a quarter to revoke them */
        grant = grant_of_root(1, g, 5);
        use(&grant);
    }
    grant = grant_of_root(1, g, 5);
    ck_assert_int_eq(grants_judge(grants, &grant), GRANT_NO_ROOM);
    ck_assert_int_eq(grants_revoke(grants, &grant, 0, false, 1, &change), GRANT_NO_ROOM);
    for (; g < 128; g++) {
        grant = grant_of_root(1, g, 5);
        ck_assert_int_eq(grants_revoke(grants, &grant, 0, true, 1, &change), GRANT_OK);
    }
    grant = grant_of_root(1, g, 5);
    ck_assert_int_eq(grants_revoke(grants, &grant, 0, true, 1, &change), GRANT_NO_ROOM);
    grant = grant_of_root(2, 1, 5);
    use(&grant);
    ck_assert_int_eq(grants_revoke(grants, &grant, 0, true, 1, &change), GRANT_OK);
    ck_assert_uint_eq(grants_over(grants, END_MS + GRANT_KEPT_MS, &(struct id){0}, 1), 1);
}
END_TEST

START_TEST(in_the_reserve_there_is_room_for_roots_with_few_rows)
{
    static const struct grants_limits narrow = {
        .rows = 80, .rows_per_root = 128, .rows_per_grant = 4096}; /* few: fewer than 2 */
    struct grant_change change;
    struct grant grant;

    grants_free(grants);
    grants = grants_new(&narrow);
    for (uint8_t g = 0; g < 72; g++) {
        grant = grant_of_root(1, g, 5);
        ck_assert_int_eq(grants_revoke(grants, &grant, 0, true, 1, &change), GRANT_OK);
    }
    grant = grant_of_root(1, 72, 5);
    ck_assert_int_eq(grants_revoke(grants, &grant, 0, true, 1, &change), GRANT_NO_ROOM);
    for (uint8_t g = 0; g < 3; g++) {
        grant = grant_of_root(2, g, 5);
        ck_assert_int_eq(grants_revoke(grants, &grant, 0, true, 1, &change),
                         g < 2 ? GRANT_OK : GRANT_NO_ROOM);
    }
}
END_TEST

START_TEST(rows_come_back_and_go_when_their_time_is_over)
{
    struct grant grant = grant_of(1, 2, 1, 3);
    struct grant_change change = use(&grant);
    struct id over[4];

    grants_free(grants);
    grants = grants_new(&limits);
    for (size_t i = 0; i < change.row_count; i++)
        ck_assert(grants_restore(grants, &change.rows[i]));
    ck_assert(!grants_restore(grants, &change.rows[0])); /* once */
    use(&grant);
    use(&grant);
    ck_assert_int_eq(grants_judge(grants, &grant), GRANT_SPENT);
    ck_assert_uint_eq(grants_over(grants, END_MS + GRANT_KEPT_MS - 1, over, 4), 0);
    ck_assert_uint_eq(grants_over(grants, END_MS + GRANT_KEPT_MS, over, 1), 1);
    ck_assert_uint_eq(grants_over(grants, END_MS + GRANT_KEPT_MS, over, 4), 1);
    ck_assert_uint_eq(grants_over(grants, END_MS + GRANT_KEPT_MS, over, 4), 0);
    ck_assert_uint_eq(grants_count(grants), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("grants");
    TCase *tests = tcase_create("grants");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_use_counts_in_each_block_that_limits_it);
    tcase_add_test(tests, what_limits_nothing_costs_nothing);
    tcase_add_test(tests, a_revoked_block_ends_all_that_was_made_of_it);
    tcase_add_test(tests, to_revoke_what_is_dead_already_costs_no_row);
    tcase_add_test(tests, one_grant_has_so_many_rows_and_no_other_suffers);
    tcase_add_test(tests, whoever_fills_the_rows_of_a_grant_leaves_room_to_revoke_for_those_before);
    tcase_add_test(tests, roots_can_revoke_when_there_is_no_room_to_use);
    tcase_add_test(tests, a_root_that_fills_its_share_takes_no_room_of_others);
    tcase_add_test(tests, in_the_reserve_there_is_room_for_roots_with_few_rows);
    tcase_add_test(tests, rows_come_back_and_go_when_their_time_is_over);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
