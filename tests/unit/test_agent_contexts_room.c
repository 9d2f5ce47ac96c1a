/* How many contexts the ducklings of a node have, and who keeps whom out. */
#define PECKS_MAX 2048
#include "two_agents.h"

static struct pond *pond;
static uint64_t issued;

static void set_up(void)
{
    pond = pond_new();
    issued = 0;
}

static void tear_down(void)
{
    pond_free(pond);
}

static struct id hatch_one(uint64_t number)
{
    struct order hatch = {.kind = ORDER_HATCH};

    memcpy(hatch.seeds[0], &number, sizeof number);
    hatch.seeds[1][0] = 1;
    hatch.profile.set_display_name = true;
    hatch.profile.display_name = bytes_of_text("Duck");
    pond->alice.reply_count = 0;
    return order(pond, &pond->alice, &hatch)->duckling;
}

static enum refusal_code issue(const struct id *duckling)
{
    struct bytes scope = bytes_of_text("query");
    struct order asked = {
        .kind = ORDER_ISSUE, .duckling = *duckling, .scopes = &scope, .scope_count = 1};
    char name[32];

    snprintf(name, sizeof name, "c%llu", (unsigned long long)++issued);
    asked.context = bytes_of_text(name);
    memcpy(asked.seeds[0], &issued, sizeof issued);
    asked.seeds[0][31] = 1;
    pond->alice.reply_count = 0;
    return order(pond, &pond->alice, &asked)->code;
}

START_TEST(who_has_many_ducklings_leaves_a_context_to_each_other_one)
{
    size_t shared = CONTEXTS_MAX - CONTEXTS_RESERVE(CONTEXTS_MAX);
    struct id late = hatch_one(1), duckling = late;

    for (size_t i = 0; i < shared; i++) {
        if (i % CONTEXTS_PER_DUCKLING_MAX == 0)
            duckling = hatch_one(2 + i);
        ck_assert_int_eq(issue(&duckling), REFUSAL_NONE);
    }
    duckling = hatch_one(2 + shared);
    ck_assert_int_eq(issue(&duckling), REFUSAL_NONE);
    ck_assert_int_eq(issue(&duckling), REFUSAL_BUSY); /* it has one */
    for (size_t i = shared + 1; i < CONTEXTS_MAX - 1; i++) {
        duckling = hatch_one(2 + i);
        ck_assert_int_eq(issue(&duckling), REFUSAL_NONE);
    }
    ck_assert_int_eq(issue(&late), REFUSAL_NONE); /* which had none all the while */
    duckling = hatch_one(2 + CONTEXTS_MAX);
    ck_assert_int_eq(issue(&duckling), REFUSAL_BUSY);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent_contexts_room");
    TCase *tests = tcase_create("room");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 300);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, who_has_many_ducklings_leaves_a_context_to_each_other_one);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
