#include "roster.h"

#include <check.h>
#include <stdlib.h>

#define MEMBERS 1000u

static struct agent_member member_of(unsigned number, enum gossip_state state)
{
    struct agent_member member = {.state = state, .version = {.ms = 1000 + number}};

    member.node.bytes[0] = (uint8_t)(number * 37); /* not in order */
    member.node.bytes[1] = (uint8_t)(number >> 8);
    member.node.bytes[2] = (uint8_t)number;
    return member;
}

START_TEST(what_is_there_at_the_beginning_is_no_change)
{
    struct roster *roster = roster_new();
    struct agent_member members[] = {member_of(1, GOSSIP_ALIVE), member_of(2, GOSSIP_DEAD)};
    struct roster_entry entry;

    roster_update(roster, members, 2, 5000);
    members[0] = member_of(1, GOSSIP_ALIVE);
    ck_assert(roster_find(roster, &members[0].node, &entry));
    ck_assert_uint_eq(entry.changed_ms, 0);
    roster_free(roster);
}
END_TEST

START_TEST(the_time_of_a_state_is_that_of_its_change)
{
    struct roster *roster = roster_new();
    struct agent_member members[2] = {member_of(1, GOSSIP_ALIVE)};
    struct id first = members[0].node, second = member_of(2, GOSSIP_ALIVE).node;
    struct roster_entry entry;

    roster_update(roster, members, 1, 5000);
    members[0] = member_of(1, GOSSIP_ALIVE);
    members[1] = member_of(2, GOSSIP_ALIVE);
    roster_update(roster, members, 2, 6000); /* a new one */
    ck_assert(roster_find(roster, &second, &entry));
    ck_assert_uint_eq(entry.changed_ms, 6000);
    members[0] = member_of(1, GOSSIP_SUSPECT);
    members[1] = member_of(2, GOSSIP_ALIVE);
    roster_update(roster, members, 2, 7000);
    members[0] = member_of(1, GOSSIP_SUSPECT);
    members[1] = member_of(2, GOSSIP_ALIVE);
    members[0].accusers = 3;
    roster_update(roster, members, 2, 8000); /* the same state, otherwise */
    ck_assert(roster_find(roster, &first, &entry));
    ck_assert_uint_eq(entry.changed_ms, 7000);
    ck_assert_uint_eq(entry.member.accusers, 3);
    ck_assert(roster_find(roster, &second, &entry));
    ck_assert_uint_eq(entry.changed_ms, 6000);
    roster_free(roster);
}
END_TEST

START_TEST(every_member_is_found_and_counted_and_no_other)
{
    struct roster *roster = roster_new();
    struct agent_member *members = calloc(MEMBERS, sizeof *members);
    struct roster_entry *entries = calloc(MEMBERS, sizeof *entries), entry;
    size_t counts[GOSSIP_STATES];

    for (unsigned i = 0; i < MEMBERS; i++)
        members[i] = member_of(i, (enum gossip_state)(i % GOSSIP_STATES));
    roster_update(roster, members, MEMBERS, 5000);
    for (unsigned i = 0; i < MEMBERS; i++) {
        struct agent_member wanted = member_of(i, GOSSIP_ALIVE);

        ck_assert(roster_find(roster, &wanted.node, &entry));
        ck_assert_uint_eq(entry.member.version.ms, 1000 + i);
    }
    members[0] = member_of(MEMBERS, GOSSIP_ALIVE);
    ck_assert(!roster_find(roster, &members[0].node, &entry));
    roster_counts(roster, counts);
    for (size_t i = 0; i < GOSSIP_STATES; i++)
        ck_assert_uint_eq(counts[i], MEMBERS / GOSSIP_STATES);
    ck_assert_uint_eq(roster_count(roster), MEMBERS);
    ck_assert_uint_eq(roster_copy(roster, entries, 10), 10);
    ck_assert_uint_eq(roster_copy(roster, entries, MEMBERS), MEMBERS);
    for (size_t i = 1; i < MEMBERS; i++)
        ck_assert_int_lt(memcmp(entries[i - 1].member.node.bytes, entries[i].member.node.bytes,
                                sizeof entries[i].member.node.bytes),
                         0);
    roster_update(roster, members, 0, 6000);
    ck_assert_uint_eq(roster_count(roster), 0);
    free(members);
    free(entries);
    roster_free(roster);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("roster");
    TCase *tests = tcase_create("roster");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tests, what_is_there_at_the_beginning_is_no_change);
    tcase_add_test(tests, the_time_of_a_state_is_that_of_its_change);
    tcase_add_test(tests, every_member_is_found_and_counted_and_no_other);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
