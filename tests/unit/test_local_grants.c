/* What the local API tells of grants. */
#include "local_rig.h"

#define GRANTS_IN_ANSWER 1000

static void keep_blocks(void)
{
    static struct grant_change changes[GRANTS_IN_ANSWER];
    static struct effect effects[GRANTS_IN_ANSWER];

    for (size_t i = 0; i < GRANTS_IN_ANSWER; i++) {
        struct grant_row row = {.root = rig.bed.bob.id,
                                .issuer = rig.bed.alice.id,
                                .holder = rig.bed.node.id,
                                .used = i + 1,
                                .not_after_ms = THINGS_WALL_MS + i / 7};

        memcpy(row.block.bytes, &i, sizeof i);
        row.block.bytes[ID_SIZE - 1] = 1;
        changes[i] = (struct grant_change){
            .root = row.root, .block = row.block, .peck = row.block, .row_count = 1};
        changes[i].rows[0] = row;
        effects[i] = (struct effect){.kind = EFFECT_KEEP_GRANT, .grant = &changes[i]};
    }
    for (size_t i = 0; i < GRANTS_IN_ANSWER; i += 100)
        bed_keep(&rig.bed, &effects[i], 100);
}

static Duck__Reply *ask_grants(uint32_t limit, const char *cursor)
{
    Duck__GrantsQuery query = DUCK__GRANTS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    query.duckling = bob;
    query.limit = limit;
    query.cursor = (char *)(uintptr_t)cursor;
    request.order_case = DUCK__REQUEST__ORDER_GRANTS;
    request.grants = &query;
    return duck_call_wait(rig.duck, &request, 0);
}

START_TEST(a_list_of_grants_that_is_not_all_says_so)
{
    Duck__Reply *first, *second;

    keep_blocks();
    start(NULL);
    first = ask_grants(0, "");
    ck_assert_uint_eq(first->grants->n_blocks, GRANTS_IN_ANSWER);
    ck_assert_str_eq(first->grants->next_cursor, "");
    duck_reply_free(first);
    first = ask_grants(GRANTS_IN_ANSWER - 1, "");
    ck_assert_uint_eq(first->grants->n_blocks, GRANTS_IN_ANSWER - 1);
    second = ask_grants(0, first->grants->next_cursor);
    ck_assert_uint_eq(second->grants->n_blocks, 1);
    ck_assert_str_eq(second->grants->next_cursor, "");
    for (size_t i = 0; i < first->grants->n_blocks; i++)
        ck_assert_str_ne(first->grants->blocks[i]->block_id, second->grants->blocks[0]->block_id);
    duck_reply_free(first);
    duck_reply_free(second);
}
END_TEST

static void expect_grants_refused(uint32_t limit, const char *cursor, const char *field)
{
    Duck__Reply *reply = ask_grants(limit, cursor);

    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_PROBLEM);
    ck_assert_str_eq(reply->problem->code, "malformed");
    ck_assert_str_eq(reply->problem->field, field);
    duck_reply_free(reply);
}

START_TEST(a_list_of_grants_that_is_asked_for_wrongly_is_refused_by_member)
{
    start(NULL);
    expect_grants_refused(GRANTS_IN_ANSWER + 1, "", "limit");
    expect_grants_refused(0, "x", "cursor");
    expect_grants_refused(0, "17", "cursor");
    expect_grants_refused(0, "17.grt_", "cursor");
    expect_grants_refused(0, "-1.grt_rwmulzp5ck2icx4djzdgu75hcfuyxooa", "cursor");
    expect_grants_refused(0, "99999999999999999999.grt_rwmulzp5ck2icx4djzdgu75hcfuyxooa", "cursor");
    expect_grants_refused(0, "17.dkl_rwmulzp5ck2icx4djzdgu75hcfuyxooa", "cursor");
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, a_list_of_grants_that_is_not_all_says_so);
    tcase_add_test(tests, a_list_of_grants_that_is_asked_for_wrongly_is_refused_by_member);
}

int main(void)
{
    return run_with_rig("local_grants", add_tests);
}
