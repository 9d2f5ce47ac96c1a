#include "late_receipts.h"

#include <check.h>

static struct late_receipts *late;

static void set_up(void)
{
    late = late_receipts_new();
}

static void tear_down(void)
{
    late_receipts_free(late);
    late_receipts_free(NULL);
}

static struct late_receipt receipt_of(uint8_t node, uint16_t peck, uint32_t partials)
{
    return (struct late_receipt){
        .node = {{node}}, .peck = {{(uint8_t)(peck >> 8), (uint8_t)peck}}, .partials = partials};
}

static bool remember(uint8_t node, uint16_t peck)
{
    struct late_receipt receipt = receipt_of(node, peck, LATE_NO_PARTIALS);

    return late_receipts_remember(late, &receipt);
}

/* Links that take so many more each; by node. */
static size_t room[256], sent[256];
static uint16_t last_sent[256];

static bool send(void *context, struct late_receipt *receipt)
{
    uint8_t node = receipt->node.bytes[0];

    (void)context;
    if (room[node] == 0)
        return false;
    room[node]--;
    sent[node]++;
    last_sent[node] = (uint16_t)(receipt->peck.bytes[0] << 8 | receipt->peck.bytes[1]);
    return true;
}

START_TEST(a_full_link_holds_back_its_own_receipts_and_no_others)
{
    for (uint16_t peck = 1; peck <= 10; peck++)
        for (uint8_t node = 1; node <= 3; node++)
            ck_assert(remember(node, peck));
    room[1] = 0; /* came first, and reads nothing */
    room[2] = 4;
    room[3] = 100;
    late_receipts_send(late, send, NULL);
    ck_assert_uint_eq(sent[1], 0);
    ck_assert_uint_eq(sent[2], 4);
    ck_assert_uint_eq(last_sent[2], 4);
    ck_assert_uint_eq(sent[3], 10);
    ck_assert_uint_eq(late_receipts_count(late), 16);
    ck_assert(late_receipts_has(late, &(struct id){{1}}));
    ck_assert(!late_receipts_has(late, &(struct id){{3}}));

    room[1] = room[2] = 100; /* in their order, each once */
    late_receipts_send(late, send, NULL);
    ck_assert_uint_eq(sent[1], 10);
    ck_assert_uint_eq(sent[2], 10);
    ck_assert_uint_eq(last_sent[1], 10);
    ck_assert_uint_eq(late_receipts_count(late), 0);
}
END_TEST

START_TEST(one_node_alone_has_half_of_the_room_and_the_next_finds_some)
{
    size_t count = 0;

    while (remember(1, (uint16_t)count))
        count++;
    ck_assert_uint_eq(count, LATE_RECEIPTS_MAX / 2);
    while (remember(2, (uint16_t)count))
        count++;
    ck_assert_uint_eq(count, LATE_RECEIPTS_MAX / 4 * 3);
    ck_assert(!remember(1, 0));
    ck_assert(remember(3, 0));
    room[1] = 1;
    late_receipts_send(late, send, NULL);
    ck_assert_uint_eq(late_receipts_count(late), count);
}
END_TEST

START_TEST(parts_of_one_answer_are_remembered_once)
{
    struct late_receipt after_five = receipt_of(1, 7, 5), after_six = receipt_of(1, 7, 6),
                        after_four = receipt_of(1, 7, 4), of_another = receipt_of(2, 7, 6);

    ck_assert(late_receipts_remember(late, &after_five));
    ck_assert(late_receipts_remember(late, &after_six)); /* goes out with those after five */
    ck_assert_uint_eq(late_receipts_count(late), 1);
    ck_assert(late_receipts_remember(late, &after_four));
    ck_assert(late_receipts_remember(late, &of_another));
    ck_assert(remember(1, 7)); /* a receipt itself */
    ck_assert_uint_eq(late_receipts_count(late), 4);
}
END_TEST

/* A part leaves, and the link is full: those after it are left. */
static bool send_a_part(void *context, struct late_receipt *receipt)
{
    uint32_t *seen = context;

    *seen = receipt->partials++;
    return false;
}

START_TEST(what_left_of_an_answer_is_not_sent_again)
{
    struct late_receipt receipt = receipt_of(1, 7, 5);
    uint32_t seen = 0;

    ck_assert(late_receipts_remember(late, &receipt));
    late_receipts_send(late, send_a_part, &seen);
    late_receipts_send(late, send_a_part, &seen);
    ck_assert_uint_eq(seen, 6);
    ck_assert_uint_eq(late_receipts_count(late), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("late_receipts");
    TCase *tests = tcase_create("late_receipts");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_full_link_holds_back_its_own_receipts_and_no_others);
    tcase_add_test(tests, one_node_alone_has_half_of_the_room_and_the_next_finds_some);
    tcase_add_test(tests, parts_of_one_answer_are_remembered_once);
    tcase_add_test(tests, what_left_of_an_answer_is_not_sent_again);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
