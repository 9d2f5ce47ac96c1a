#include "core/batch.h"
#include "core/dice.h"

#include <check.h>
#include <stdlib.h>

#define SMALL_MAX 40 /* up to this size every possibility is tried */

static struct hash things[BATCH_ITEMS_MAX + 1];
static struct batch_path paths[BATCH_ITEMS_MAX];
static struct dice dice;

static void set_up(void)
{
    ck_assert(identity_self_test());
    dice_init_number(&dice, 1);
    dice_fill(&dice, things, sizeof things);
}

static void tear_down(void)
{
}

static struct hash join(uint8_t mark, const struct hash *left, const struct hash *right)
{
    uint8_t bytes[1 + 2 * HASH_SIZE] = {mark};

    memcpy(bytes + 1, left->bytes, HASH_SIZE);
    if (right)
        memcpy(bytes + 1 + HASH_SIZE, right->bytes, HASH_SIZE);
    return hash_of(bytes_of(bytes, right ? sizeof bytes : 1 + HASH_SIZE));
}

/* The same tree, level by level: pairs are joined, a lone last one moves up as it is. */
static struct hash root_by_levels(size_t count)
{
    struct hash level[BATCH_ITEMS_MAX];

    for (size_t i = 0; i < count; i++)
        level[i] = join(0x00, &things[i], NULL);
    for (; count > 1; count = (count + 1) / 2)
        for (size_t i = 0; i < count; i += 2)
            level[i / 2] = i + 1 < count ? join(0x01, &level[i], &level[i + 1]) : level[i];
    return level[0];
}

static bool leads_to(const struct hash *thing, const struct batch_path *path,
                     const struct hash *root)
{
    struct hash reached;

    return batch_climb(thing, path, NULL, &reached) && hash_equal(&reached, root);
}

START_TEST(the_tree_is_that_of_rfc_6962)
{
    for (size_t count = 1; count <= BATCH_ITEMS_MAX; count++) {
        struct hash root = batch_root(things, count), expected = root_by_levels(count);

        ck_assert_msg(hash_equal(&root, &expected), "%zu leaves", count);
    }
}
END_TEST

START_TEST(every_path_of_every_size_leads_to_the_root)
{
    for (uint32_t count = 1; count <= BATCH_ITEMS_MAX; count++) {
        struct hash root = batch_build(things, count, paths), expected = root_by_levels(count);

        ck_assert_msg(hash_equal(&root, &expected), "%u leaves", count);
        for (uint32_t i = 0; i < count; i++) {
            ck_assert_uint_eq(paths[i].size, count);
            ck_assert_uint_eq(paths[i].index, i);
            ck_assert_uint_le(paths[i].length, BATCH_PATH_MAX);
            if (count > 1)
                ck_assert_msg(leads_to(&things[i], &paths[i], &root), "%u of %u", i, count);
        }
    }
}
END_TEST

START_TEST(a_batch_of_one_is_no_batch)
{
    struct hash root = batch_build(things, 1, paths), leaf = join(0x00, &things[0], NULL);

    ck_assert(hash_equal(&root, &leaf));
    ck_assert(!batch_climb(&things[0], &paths[0], NULL, &root));
}
END_TEST

START_TEST(a_wrong_index_does_not_lead_to_the_root)
{
    for (uint32_t count = 2; count <= BATCH_ITEMS_MAX; count += count < SMALL_MAX ? 1 : 27) {
        struct hash root = batch_build(things, count, paths);

        for (uint32_t i = 0; i < count; i++)
            for (uint32_t wrong = 0; wrong < count; wrong++) {
                struct batch_path path = paths[i];

                path.index = wrong;
                if (wrong != i)
                    ck_assert_msg(!leads_to(&things[i], &path, &root), "%u as %u of %u", i,
                                  wrong, count);
                if (count > SMALL_MAX)
                    wrong += (uint32_t)dice_below(&dice, 20);
            }
    }
}
END_TEST

START_TEST(another_thing_does_not_lead_to_the_root)
{
    struct hash root = batch_build(things, 100, paths);

    for (size_t i = 0; i < 100; i++)
        for (size_t other = 0; other <= 100; other++)
            if (other != i)
                ck_assert(!leads_to(&things[other], &paths[i], &root));
}
END_TEST

START_TEST(a_turned_bit_does_not_lead_to_the_root)
{
    for (uint32_t count = 2; count <= SMALL_MAX; count++) {
        struct hash root = batch_build(things, count, paths);

        for (uint32_t i = 0; i < count; i++)
            for (size_t bit = 0; bit < paths[i].length * HASH_SIZE * 8; bit += 13) {
                struct batch_path path = paths[i];

                path.path[bit / 8 / HASH_SIZE].bytes[bit / 8 % HASH_SIZE] ^=
                    (uint8_t)(1u << bit % 8);
                ck_assert(!leads_to(&things[i], &path, &root));
            }
    }
}
END_TEST

/* The size is signed with the root, so it matters only that a path fits the size it names. */
START_TEST(a_path_that_does_not_fit_is_refused)
{
    struct hash root;

    for (uint32_t count = 2; count <= BATCH_ITEMS_MAX; count++) {
        batch_build(things, count, paths);
        for (uint32_t i = 0; i < count; i++) {
            struct batch_path path = paths[i];

            path.length = paths[i].length - 1;
            ck_assert_msg(!batch_climb(&things[i], &path, NULL, &root), "short: %u of %u", i,
                          count);
            path.length = paths[i].length + 1;
            ck_assert_msg(!batch_climb(&things[i], &path, NULL, &root), "long: %u of %u", i, count);
        }
    }
}
END_TEST

START_TEST(sizes_and_indexes_out_of_range_are_refused)
{
    static const struct {
        uint32_t size, index;
    } refused[] = {
        {0, 0},
        {1, 0},
        {2, 2},
        {4, UINT32_MAX},
        {BATCH_ITEMS_MAX + 1, 0},
        {UINT32_MAX, 0},
        {BATCH_ITEMS_MAX + 1, BATCH_ITEMS_MAX}, /* the lone last one: its path is short */
    };
    struct hash root = {{7}};

    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        for (size_t length = 0; length <= BATCH_PATH_MAX + 1; length++) {
            struct batch_path path = {
                .size = refused[i].size, .index = refused[i].index, .length = length};

            ck_assert_msg(!batch_climb(&things[0], &path, NULL, &root), "case %zu", i);
        }
    ck_assert_uint_eq(root.bytes[0], 7);
}
END_TEST

START_TEST(an_inner_node_is_never_taken_for_a_thing)
{
    struct hash root = batch_build(things, 4, paths);
    struct hash leaves[2] = {join(0x00, &things[0], NULL), join(0x00, &things[1], NULL)};
    struct hash inner = join(0x01, &leaves[0], &leaves[1]);
    struct batch_path path = {.size = 2, .index = 0, .length = 1, .path = {paths[0].path[1]}};

    ck_assert(leads_to(&things[0], &paths[0], &root));
    ck_assert(!leads_to(&inner, &path, &root));
}
END_TEST

/* Both ways say the same, whatever went up before. */
static void climb_both(const struct hash *thing, const struct batch_path *path,
                       struct batch_climb *last, const char *what)
{
    struct hash alone = {{1}}, after = {{1}};
    bool holds = batch_climb(thing, path, NULL, &alone);

    ck_assert_msg(batch_climb(thing, path, last, &after) == holds && hash_equal(&alone, &after),
                  "%s: %u of %u", what, path->index, path->size);
}

static void climb_after(uint32_t index, struct batch_climb *last)
{
    struct batch_path wrong = paths[index];

    climb_both(&things[index], &paths[index], last, "right");
    if (dice_below(&dice, 4) > 0)
        return;
    wrong.path[dice_below(&dice, wrong.length)].bytes[0] ^= 1;
    climb_both(&things[index], &wrong, last, "another sibling");
    climb_both(&things[(index + 1) % wrong.size], &paths[index], last, "another thing");
    wrong = paths[index];
    wrong.length--;
    climb_both(&things[index], &wrong, last, "shorter");
    wrong = paths[index];
    wrong.index ^= 1u << dice_below(&dice, 8);
    climb_both(&things[index], &wrong, last, "elsewhere");
    wrong = paths[index];
    wrong.size = 2 + (uint32_t)dice_below(&dice, BATCH_ITEMS_MAX - 1);
    climb_both(&things[index], &wrong, last, "in another tree");
}

START_TEST(what_climbed_before_changes_no_answer)
{
    struct batch_climb last = {.path = {.size = 0}};

    for (uint32_t count = 2; count <= BATCH_ITEMS_MAX; count++) {
        batch_build(things, count, paths);
        for (uint32_t i = 0; i < count; i++)
            climb_after(i, &last);
        for (uint32_t i = 0; i < 20; i++)
            climb_after((uint32_t)dice_below(&dice, count), &last);
    }
}
END_TEST

/* So nothing above the first ways is hashed again: a thing is known by its sibling's path alone. */
START_TEST(the_next_thing_of_a_batch_meets_the_way_of_the_one_before)
{
    struct batch_climb last = {.path = {.size = 0}};
    struct hash root, forged = {{9}};

    batch_build(things, 64, paths);
    ck_assert(batch_climb(&things[0], &paths[0], &last, &root));
    last.nodes[last.path.length] = forged; /* whoever comes up there anew does not see it */
    ck_assert(batch_climb(&things[1], &paths[1], &last, &root));
    ck_assert(hash_equal(&root, &forged));
}
END_TEST

START_TEST(the_signed_body_is_size_and_root)
{
    uint8_t body[BATCH_BODY_SIZE];

    batch_body(0x01020304, &things[0], body);
    ck_assert_mem_eq(body, "\x01\x02\x03\x04", 4);
    ck_assert_mem_eq(body + 4, things[0].bytes, HASH_SIZE);
}
END_TEST

/* ---- roots ---- */

START_TEST(a_root_is_known_once_it_is_added)
{
    struct batch_roots *roots = batch_roots_new(4);

    ck_assert(!batch_roots_has(roots, &things[0]));
    ck_assert_uint_eq(batch_roots_added(roots), 0);
    batch_roots_add(roots, &things[0]);
    ck_assert(batch_roots_has(roots, &things[0]));
    ck_assert(!batch_roots_has(roots, &things[1]));
    ck_assert_uint_eq(batch_roots_added(roots), 1);
    batch_roots_free(roots);
    batch_roots_free(NULL);
}
END_TEST

START_TEST(the_oldest_root_is_forgotten_first)
{
    struct batch_roots *roots = batch_roots_new(100);

    for (size_t i = 0; i < 250; i++) {
        batch_roots_add(roots, &things[i]);
        for (size_t j = 0; j <= i; j++)
            ck_assert_msg(batch_roots_has(roots, &things[j]) == (j + 100 > i), "%zu after %zu", j,
                          i);
    }
    ck_assert_uint_eq(batch_roots_added(roots), 250);
    batch_roots_free(roots);
}
END_TEST

START_TEST(one_root_can_be_remembered)
{
    struct batch_roots *roots = batch_roots_new(1);

    batch_roots_add(roots, &things[0]);
    batch_roots_add(roots, &things[1]);
    ck_assert(!batch_roots_has(roots, &things[0]));
    ck_assert(batch_roots_has(roots, &things[1]));
    batch_roots_free(roots);
}
END_TEST

START_TEST(the_last_root_is_known_by_all_of_its_bytes)
{
    struct batch_roots *roots = batch_roots_new(1);
    uint8_t root[BATCH_ROOT_SIZE] = {0};

    ck_assert(!batch_roots_is_last(roots, root)); /* none was set, not even zeros */
    batch_roots_set_last(roots, root);
    ck_assert(batch_roots_is_last(roots, root));
    for (size_t i = 0; i < BATCH_ROOT_SIZE; i++) {
        root[i] ^= 1;
        ck_assert(!batch_roots_is_last(roots, root));
        root[i] ^= 1;
    }
    batch_roots_free(roots);
}
END_TEST

START_TEST(roots_that_meet_in_a_bucket_are_kept_apart)
{
    struct batch_roots *roots = batch_roots_new(8);
    struct hash alike[20];

    for (uint8_t i = 0; i < 20; i++) {
        alike[i] = (struct hash){{0}};
        alike[i].bytes[HASH_SIZE - 1] = i;
        batch_roots_add(roots, &alike[i]);
        for (uint8_t j = 0; j <= i; j++)
            ck_assert_int_eq(batch_roots_has(roots, &alike[j]), j + 8 > i);
    }
    batch_roots_free(roots);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("batch");
    TCase *tcase = tcase_create("batch");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, the_tree_is_that_of_rfc_6962);
    tcase_add_test(tcase, every_path_of_every_size_leads_to_the_root);
    tcase_add_test(tcase, a_batch_of_one_is_no_batch);
    tcase_add_test(tcase, a_wrong_index_does_not_lead_to_the_root);
    tcase_add_test(tcase, another_thing_does_not_lead_to_the_root);
    tcase_add_test(tcase, a_turned_bit_does_not_lead_to_the_root);
    tcase_add_test(tcase, a_path_that_does_not_fit_is_refused);
    tcase_add_test(tcase, sizes_and_indexes_out_of_range_are_refused);
    tcase_add_test(tcase, an_inner_node_is_never_taken_for_a_thing);
    tcase_add_test(tcase, what_climbed_before_changes_no_answer);
    tcase_add_test(tcase, the_next_thing_of_a_batch_meets_the_way_of_the_one_before);
    tcase_add_test(tcase, the_signed_body_is_size_and_root);
    tcase_add_test(tcase, a_root_is_known_once_it_is_added);
    tcase_add_test(tcase, the_oldest_root_is_forgotten_first);
    tcase_add_test(tcase, one_root_can_be_remembered);
    tcase_add_test(tcase, the_last_root_is_known_by_all_of_its_bytes);
    tcase_add_test(tcase, roots_that_meet_in_a_bucket_are_kept_apart);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
