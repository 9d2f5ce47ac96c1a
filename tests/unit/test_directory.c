#include "directory_bed.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- newer wins ---- */

START_TEST(a_record_is_held_until_a_newer_one_comes)
{
    struct record old = duckling(1, 0, 100), new = duckling(1, 1, 101);
    struct hash held;

    ck_assert_int_eq(offer_to(directory, &old), DIRECTORY_TAKEN);
    ck_assert(has_replaced_nothing());
    ck_assert_int_eq(offer_to(directory, &new), DIRECTORY_TAKEN);
    ck_assert(hash_equal(&outcome.replaced.hash, &old.hash));
    ck_assert(outcome.taken && !outcome.proven && outcome.dropped_count == 0);
    ck_assert_uint_eq(directory_count(directory), 1);
    ck_assert(!holds(&old) && holds(&new));
    held = directory_find(directory, &new.owner, RECORD_DUCKLING)->hash;
    ck_assert(hash_equal(&held, &new.hash));
}
END_TEST

START_TEST(an_entry_keeps_what_decides)
{
    struct record record = duckling(1, 5, 100);
    struct id host = owner_of(100);
    const struct directory_entry *entry;

    ck_assert_int_eq(offer(record), DIRECTORY_TAKEN);
    entry = directory_find(directory, &record.owner, RECORD_DUCKLING);
    ck_assert_ptr_nonnull(entry);
    ck_assert(hash_equal(&entry->hash, &record.hash));
    ck_assert(id_equal(&entry->owner, &record.owner));
    ck_assert(id_equal(&entry->host, &host));
    ck_assert_uint_eq(entry->kind, RECORD_DUCKLING);
    ck_assert_uint_eq(entry->version.ms, BORN_MS + 5);
    ck_assert_uint_eq(entry->not_after_ms, BORN_MS + DAY_MS);
    ck_assert(entry->accepts_pecks && !entry->deleted);
}
END_TEST

START_TEST(only_the_unnamed_record_of_its_kind_is_found)
{
    struct record record = skill(1, "singing", 0, 1000);

    ck_assert_ptr_null(directory_find(directory, &record.owner, RECORD_SKILL));
    ck_assert_int_eq(offer(record), DIRECTORY_TAKEN);
    ck_assert_ptr_null(directory_find(directory, &record.owner, RECORD_SKILL));
    ck_assert_int_eq(offer(skill(1, "", 0, 1000)), DIRECTORY_TAKEN);
    ck_assert_ptr_nonnull(directory_find(directory, &record.owner, RECORD_SKILL));
    ck_assert_ptr_null(directory_find(directory, &record.owner, RECORD_NODE));
    record.owner = owner_of(2);
    ck_assert_ptr_null(directory_find(directory, &record.owner, RECORD_SKILL));
}
END_TEST

START_TEST(what_is_held_already_is_the_same)
{
    struct record record = duckling(1, 0, 100);

    ck_assert_int_eq(offer_to(directory, &record), DIRECTORY_TAKEN);
    memset(&outcome, 0xEE, sizeof outcome);
    ck_assert_int_eq(offer_to(directory, &record), DIRECTORY_SAME);
    ck_assert(has_replaced_nothing());
    ck_assert_uint_eq(directory_count(directory), 1);
}
END_TEST

START_TEST(an_older_record_changes_nothing)
{
    struct record record = duckling(1, 10, 100);

    ck_assert_int_eq(offer(record), DIRECTORY_TAKEN);
    ck_assert_int_eq(offer(duckling(1, 9, 101)), DIRECTORY_OLDER);
    ck_assert(holds(&record));
    ck_assert_uint_eq(directory_count(directory), 1);
}
END_TEST

/* Two records of one version: whichever comes first, the same one stays. */
START_TEST(ties_are_decided_alike_everywhere)
{
    for (uint32_t owner = 0; owner < 20; owner++) {
        struct record one = duckling(owner, 0, 100), other = duckling(owner, 0, 101);
        struct directory *elsewhere = directory_of(10);
        struct hash hash, elsewhere_hash;

        ck_assert_int_eq(offer_to(elsewhere, &one), DIRECTORY_TAKEN);
        ck_assert_int_ne(offer_to(elsewhere, &other), DIRECTORY_SAME);
        ck_assert_int_eq(offer(other), DIRECTORY_TAKEN);
        ck_assert_int_ne(offer(one), DIRECTORY_SAME);
        hash = directory_find(directory, &one.owner, RECORD_DUCKLING)->hash;
        elsewhere_hash = directory_find(elsewhere, &one.owner, RECORD_DUCKLING)->hash;
        ck_assert(hash_equal(&hash, &elsewhere_hash));
        directory_free(elsewhere);
    }
}
END_TEST

START_TEST(records_under_other_names_do_not_replace_each_other)
{
    static const char *const keys[] = {"", "a", "b", "ab", "aa", "ba"};

    for (uint32_t owner = 0; owner < 2; owner++)
        for (size_t i = 0; i < 6; i++)
            ck_assert_int_eq(offer(skill(owner, keys[i], 0, 1000)), DIRECTORY_TAKEN);
    ck_assert_int_eq(offer(duckling(0, 0, 100)), DIRECTORY_TAKEN);
    ck_assert_uint_eq(directory_count(directory), 13);
}
END_TEST

/* ---- deletions ---- */

START_TEST(a_deletion_is_held_until_it_ends)
{
    struct record record = duckling(1, 0, 100), deletion = deleted(record);
    struct directory_drop ended;

    ck_assert_int_eq(offer(record), DIRECTORY_TAKEN);
    ck_assert_int_eq(offer(deletion), DIRECTORY_TAKEN);
    ck_assert(directory_find(directory, &record.owner, RECORD_DUCKLING)->deleted);
    ck_assert_uint_eq(directory_count(directory), 1);
    ck_assert_uint_eq(directory_count_kind(directory, RECORD_DUCKLING), 0);
    ck_assert_int_eq(offer(record), DIRECTORY_OLDER); /* it does not come back */
    ck_assert_uint_eq(directory_expire(directory, BORN_MS + DAY_MS, &ended, 1), 1);
    ck_assert(hash_equal(&ended.hash, &deletion.hash));
    ck_assert_uint_eq(directory_count(directory), 0);
}
END_TEST

START_TEST(a_deleted_record_can_be_made_again)
{
    ck_assert_int_eq(offer(deleted(duckling(1, 0, 100))), DIRECTORY_TAKEN);
    ck_assert_int_eq(offer(duckling(1, 2, 100)), DIRECTORY_TAKEN);
    ck_assert_uint_eq(directory_count_kind(directory, RECORD_DUCKLING), 1);
}
END_TEST

/* ---- bounds ---- */

START_TEST(the_newest_of_an_owner_win)
{
    struct record oldest = skill(1, "0", 1, 1000), next = skill(1, "1", 2, 1000), same;
    char key[16];

    ck_assert_int_eq(offer(oldest), DIRECTORY_TAKEN);
    ck_assert_int_eq(offer(next), DIRECTORY_TAKEN);
    for (unsigned i = 2; i < RECORDS_PER_OWNER_MAX; i++) {
        snprintf(key, sizeof key, "%u", i);
        ck_assert_int_eq(offer(skill(1, key, 3, 1000)), DIRECTORY_TAKEN);
    }
    ck_assert_int_eq(offer(skill(1, "more", 0, 1000)), DIRECTORY_QUOTA);
    ck_assert(!outcome.taken && outcome.dropped_count == 0);
    ck_assert_int_eq(offer(skill(2, "more", 0, 1000)), DIRECTORY_TAKEN); /* of another */
    ck_assert_int_eq(offer(skill(1, "more", 4, 1000)), DIRECTORY_TAKEN);
    ck_assert_uint_eq(outcome.dropped_count, 1);
    ck_assert(hash_equal(&outcome.dropped[0].hash, &oldest.hash));
    ck_assert_uint_eq(outcome.dropped[0].version.ms, BORN_MS + 1);
    ck_assert_uint_eq(outcome.dropped[0].kind, RECORD_SKILL);
    ck_assert_uint_eq(outcome.dropped[0].mark_until_ms, 0);
    ck_assert(has_replaced_nothing());
    ck_assert_int_eq(offer(oldest), DIRECTORY_QUOTA);
    ck_assert_int_eq(offer(skill(1, "1", 5, 1000)), DIRECTORY_TAKEN); /* takes the place of one */
    ck_assert(hash_equal(&outcome.replaced.hash, &next.hash));
    ck_assert_uint_eq(outcome.replaced.version.ms, BORN_MS + 2);
    ck_assert_uint_eq(outcome.dropped_count, 0);
    same = skill(1, "x", 3, 1000); /* of one version the greater hashes stay */
    ck_assert_int_ne(offer(same), DIRECTORY_FULL);
    ck_assert_uint_eq(directory_count(directory), RECORDS_PER_OWNER_MAX + 1);
}
END_TEST

START_TEST(a_deletion_counts_for_its_owner)
{
    char key[16];

    for (unsigned i = 0; i < RECORDS_PER_OWNER_MAX; i++) {
        snprintf(key, sizeof key, "%u", i);
        ck_assert_int_eq(offer(deleted(skill(1, key, 1, 1000))), DIRECTORY_TAKEN);
    }
    ck_assert_int_eq(offer(skill(1, "more", 0, 1000)), DIRECTORY_QUOTA);
}
END_TEST

START_TEST(what_the_quota_put_out_returns_when_there_is_room)
{
    struct record oldest = skill(1, "0", 1, 2000);
    struct directory_drop ended[RECORDS_PER_OWNER_MAX];
    char key[16];

    ck_assert_int_eq(offer(oldest), DIRECTORY_TAKEN);
    for (unsigned i = 1; i <= RECORDS_PER_OWNER_MAX; i++) {
        snprintf(key, sizeof key, "%u", i);
        ck_assert_int_eq(offer(skill(1, key, 3, 1000)), DIRECTORY_TAKEN);
    }
    ck_assert_int_eq(offer(oldest), DIRECTORY_QUOTA);
    ck_assert_uint_eq(directory_expire(directory, BORN_MS + 1000, ended, RECORDS_PER_OWNER_MAX),
                      RECORDS_PER_OWNER_MAX);
    ck_assert_int_eq(offer(oldest), DIRECTORY_TAKEN);
}
END_TEST

START_TEST(a_full_directory_takes_only_what_replaces)
{
    struct directory *small = directory_of(3);
    struct record fourth = skill(4, "", 0, 1000), newer = skill(1, "", 1, 1000);
    struct directory_drop ended;

    for (uint32_t owner = 1; owner <= 3; owner++) {
        struct record record = skill(owner, "", 0, 900 + owner);

        ck_assert_int_eq(offer_to(small, &record), DIRECTORY_TAKEN);
    }
    ck_assert_int_eq(offer_to(small, &fourth), DIRECTORY_FULL);
    ck_assert_int_eq(offer_to(small, &newer), DIRECTORY_TAKEN);
    ck_assert_uint_eq(directory_count(small), 3);
    ck_assert_uint_eq(directory_expire(small, BORN_MS + 902, &ended, 1), 1);
    ck_assert_int_eq(offer_to(small, &fourth), DIRECTORY_TAKEN);
    directory_free(small);
}
END_TEST

/* 10 places: 9 for anybody, the last one for nodes and the ducklings at them. */
START_TEST(the_last_tenth_is_not_for_strangers)
{
    struct directory *small = directory_of(10);
    struct record at_home = duckling(51, 0, 50), elsewhere = duckling(52, 0, 60), more, node_again;
    struct record home = node(50, 0), bare = skill(60, "", 0, 1000), gone = deleted(node(60, 0));

    ck_assert_int_eq(offer_to(small, &home), DIRECTORY_TAKEN);
    for (uint32_t owner = 1; owner <= 8; owner++) {
        struct record record = skill(owner, "", 0, 1000);

        ck_assert_int_eq(offer_to(small, &record), DIRECTORY_TAKEN);
    }
    ck_assert_int_eq(offer_to(small, &bare), DIRECTORY_FULL);
    ck_assert_int_eq(offer_to(small, &elsewhere), DIRECTORY_FULL);
    more = node(60, 1);
    ck_assert_int_eq(offer_to(small, &more), DIRECTORY_FULL); /* a stranger yet */
    ck_assert_int_eq(offer_to(small, &gone), DIRECTORY_FULL);
    more = deleted(at_home);
    ck_assert_int_eq(offer_to(small, &more), DIRECTORY_FULL);
    ck_assert_int_eq(offer_to(small, &at_home), DIRECTORY_TAKEN);
    ck_assert_uint_eq(directory_count(small), 10);
    more = skill(50, "", 0, 1000);
    ck_assert_int_eq(offer_to(small, &more), DIRECTORY_FULL); /* 10 are 10 */
    node_again = node(50, 1);
    ck_assert_int_eq(offer_to(small, &node_again), DIRECTORY_TAKEN);
    ck_assert_uint_eq(directory_count(small), 10);
    directory_free(small);
}
END_TEST

START_TEST(what_a_duckling_at_a_node_says_is_no_strangers_word)
{
    struct directory *small = directory_of(20);
    struct record home = node(50, 0), at_home = duckling(51, 0, 50);
    struct record of_node = skill(50, "", 0, 1000), of_duckling = skill(51, "", 0, 1000);

    ck_assert_int_eq(offer_to(small, &home), DIRECTORY_TAKEN);
    ck_assert_int_eq(offer_to(small, &at_home), DIRECTORY_TAKEN);
    for (uint32_t owner = 1; owner <= 16; owner++) {
        struct record record = skill(owner, "", 0, 1000);

        ck_assert_int_eq(offer_to(small, &record), DIRECTORY_TAKEN);
    }
    ck_assert_int_eq(offer_to(small, &of_node), DIRECTORY_TAKEN);
    ck_assert_int_eq(offer_to(small, &of_duckling), DIRECTORY_TAKEN);
    directory_free(small);
}
END_TEST

START_TEST(what_the_store_kept_has_its_place_again)
{
    struct directory *small = directory_of(10);
    struct record record;

    for (uint32_t owner = 1; owner <= 10; owner++) {
        record = skill(owner, "", 0, 1000);
        ck_assert_int_eq(directory_restore(small, &record, BORN_MS, &outcome), DIRECTORY_TAKEN);
        ck_assert(outcome.taken);
    }
    record = skill(11, "", 0, 1000);
    ck_assert_int_eq(directory_restore(small, &record, BORN_MS, &outcome), DIRECTORY_FULL);
    directory_free(small);
}
END_TEST

START_TEST(a_directory_holds_as_many_as_it_says)
{
    struct record record = {
        .kind = RECORD_SKILL, .version = {.ms = BORN_MS}, .not_after_ms = BORN_MS + 1000};
    const uint32_t strangers = DIRECTORY_MAX - DIRECTORY_RESERVE(DIRECTORY_MAX);
    struct record home = node(DIRECTORY_MAX + 1, 0);
    struct bytes content = duckling(0, 0, DIRECTORY_MAX + 1).content;
    static struct directory_drop ended[64];
    size_t expired = 0, count;

    ck_assert_int_eq(offer(home), DIRECTORY_TAKEN);
    for (uint32_t i = 1; i <= DIRECTORY_MAX; i++) {
        bool is_last = i == DIRECTORY_MAX;

        record.owner = owner_of(i);
        record.hash = hash_of(id_bytes(&record.owner));
        record.not_after_ms = BORN_MS + 1000 + dice_below(&dice, 1000);
        if (i == strangers) {
            ck_assert_int_eq(offer(record), DIRECTORY_FULL);
            record.kind = RECORD_DUCKLING;
            record.content = content;
        }
        ck_assert_int_eq(offer(record), is_last ? DIRECTORY_FULL : DIRECTORY_TAKEN);
    }
    ck_assert_uint_eq(directory_count(directory), DIRECTORY_MAX);
    while ((count = directory_expire(directory, BORN_MS + 2000, ended, 64)) > 0)
        expired += count;
    ck_assert_uint_eq(expired, DIRECTORY_MAX - 1);
    ck_assert_uint_eq(directory_count(directory), 1);
    ck_assert_uint_eq(directory_mark_count(directory), MARKS_MAX);
}
END_TEST

/* Whoever grinds ids until they begin alike gains nothing: they are told apart. */
START_TEST(owners_that_begin_alike_are_told_apart)
{
    struct record record = {
        .kind = RECORD_SKILL, .version = {.ms = BORN_MS}, .not_after_ms = BORN_MS + 1000};

    for (uint8_t i = 0; i < 200; i++) {
        record.owner = (struct id){{0}};
        record.owner.bytes[ID_SIZE - 1] = i;
        record.hash = hash_of(id_bytes(&record.owner));
        ck_assert_int_eq(offer(record), DIRECTORY_TAKEN);
    }
    for (uint8_t i = 0; i < 200; i++) {
        const struct directory_entry *entry;

        record.owner.bytes[ID_SIZE - 1] = i;
        entry = directory_find(directory, &record.owner, RECORD_SKILL);
        ck_assert_ptr_nonnull(entry);
        ck_assert(id_equal(&entry->owner, &record.owner));
    }
}
END_TEST

/* ---- ends ---- */

START_TEST(what_ended_goes_in_the_order_of_its_end)
{
    struct directory_drop ended[MANY];
    struct record records[MANY];
    size_t order[MANY];

    for (size_t i = 0; i < MANY; i++)
        order[i] = i;
    for (size_t i = MANY - 1; i > 0; i--) { /* shuffled */
        size_t j = dice_below(&dice, i + 1), kept = order[i];

        order[i] = order[j];
        order[j] = kept;
    }
    for (size_t i = 0; i < MANY; i++) {
        records[order[i]] = skill((uint32_t)order[i], "", 0, 1000 + order[i]);
        ck_assert_int_eq(offer(records[order[i]]), DIRECTORY_TAKEN);
    }
    for (size_t i = 0; i < MANY; i++) {
        ck_assert_uint_eq(directory_next_expiry_ms(directory), BORN_MS + 1000 + i);
        ck_assert_uint_eq(directory_expire(directory, BORN_MS + 999 + i, ended, MANY), 0);
        ck_assert_uint_eq(directory_expire(directory, BORN_MS + 1000 + i, ended, MANY), 1);
        ck_assert(hash_equal(&ended[0].hash, &records[i].hash));
        ck_assert(!holds(&records[i]));
    }
    ck_assert_uint_eq(directory_next_expiry_ms(directory), MOMENT_NEVER);
}
END_TEST

START_TEST(no_more_ends_at_once_than_asked_for)
{
    struct directory_drop ended[MANY];

    for (uint32_t i = 0; i < 10; i++)
        ck_assert_int_eq(offer(skill(i, "", 0, 1000)), DIRECTORY_TAKEN);
    ck_assert_uint_eq(directory_expire(directory, BORN_MS + 1000, ended, 0), 0);
    ck_assert_uint_eq(directory_expire(directory, BORN_MS + 1000, ended, 4), 4);
    ck_assert_uint_eq(directory_expire(directory, BORN_MS + 1000, ended, MANY), 6);
    ck_assert_uint_eq(directory_expire(directory, MOMENT_NEVER, ended, MANY), 0);
}
END_TEST

START_TEST(a_refreshed_record_ends_later)
{
    struct directory_drop ended;

    ck_assert_int_eq(offer(skill(1, "", 0, 1000)), DIRECTORY_TAKEN);
    ck_assert_int_eq(offer(skill(1, "", 1, 2000)), DIRECTORY_TAKEN);
    ck_assert_uint_eq(directory_next_expiry_ms(directory), BORN_MS + 2000);
    ck_assert_uint_eq(directory_expire(directory, BORN_MS + 1999, &ended, 1), 0);
}
END_TEST

/* ---- nodes ---- */

START_TEST(live_nodes_have_numbers)
{
    bool seen[MANY] = {false};

    for (uint32_t i = 0; i < MANY; i++) {
        ck_assert_int_eq(offer(node(i, 0)), DIRECTORY_TAKEN);
        ck_assert_int_eq(offer(skill(i, "", 0, 1000)), DIRECTORY_TAKEN);
    }
    for (uint32_t i = 0; i < MANY; i += 3)
        ck_assert_int_eq(offer(deleted(node(i, 0))), DIRECTORY_TAKEN);
    for (uint32_t i = 0; i < MANY; i += 9)
        ck_assert_int_eq(offer(node(i, 2)), DIRECTORY_TAKEN);
    for (size_t n = 0; n < directory_node_count(directory); n++) {
        const struct directory_entry *entry = directory_node_at(directory, n);

        ck_assert(entry->kind == RECORD_NODE && !entry->deleted);
        for (uint32_t i = 0; i < MANY; i++) {
            struct id id = owner_of(i);

            if (!id_equal(&id, &entry->owner))
                continue;
            ck_assert(!seen[i]);
            seen[i] = true;
            ck_assert_uint_eq(entry->version.ms, BORN_MS + (i % 9 == 0 ? 2 : 0));
        }
    }
    for (uint32_t i = 0; i < MANY; i++)
        ck_assert(seen[i] == (i % 3 != 0 || i % 9 == 0));
    ck_assert_uint_eq(directory_count_kind(directory, RECORD_NODE),
                      directory_node_count(directory));
}
END_TEST

START_TEST(the_content_of_a_node_is_at_hand)
{
    struct record record = node(1, 0);
    struct id other = owner_of(2);

    ck_assert_ptr_null(directory_node_content(directory, &record.owner).data);
    offer(record);
    ck_assert(bytes_equal(directory_node_content(directory, &record.owner), record.content));
    ck_assert_ptr_null(directory_node_content(directory, &other).data);
    offer(deleted(record));
    ck_assert_ptr_null(directory_node_content(directory, &record.owner).data);
}
END_TEST

START_TEST(directories_share_what_they_know_of_a_record)
{
    struct directory *other = directory_of(100);
    struct record record = node(1, 0), next = node(1, 1);
    size_t before;

    offer(record);
    before = record_pool_memory(pool);
    offer_to(other, &record);
    ck_assert_ptr_eq(directory_at(directory, 0), directory_at(other, 0));
    ck_assert_uint_eq(record_pool_memory(pool), before);
    ck_assert_uint_eq(record_pool_count(pool), 1);
    offer(next);
    ck_assert_uint_eq(record_pool_count(pool), 2);
    offer_to(other, &next);
    ck_assert_uint_eq(record_pool_count(pool), 1);
    directory_free(other);
    ck_assert_uint_eq(record_pool_count(pool), 1);
}
END_TEST

START_TEST(an_entry_costs_less_than_40_bytes_a_directory)
{
    size_t before = directory_memory(directory);
    struct record record = {
        .kind = RECORD_SKILL, .version = {.ms = BORN_MS}, .not_after_ms = BORN_MS + 1000};

    for (uint32_t i = 0; i < 10000; i++) {
        record.owner = owner_of(i);
        record.hash = hash_of(id_bytes(&record.owner));
        offer(record);
    }
    ck_assert_uint_le(directory_memory(directory) - before, 40 * 10000);
    ck_assert_uint_le(record_pool_memory(pool), 140 * 10000);
}
END_TEST

/* ---- sums ---- */

static uint64_t total_pecks(size_t *nodes)
{
    struct metrics_content total;

    directory_metrics(directory, &total, nodes);
    ck_assert_uint_eq(total.ducklings, *nodes);
    ck_assert_uint_eq(total.birth_certificates, 2 * *nodes);
    ck_assert_uint_eq(total.connections, 3 * *nodes);
    ck_assert_uint_eq(total.eggs, 4 * *nodes);
    ck_assert_uint_eq(total.space_ducks, 5 * *nodes);
    ck_assert_uint_eq(total.pageviews, 7 * *nodes);
    return total.pecks;
}

START_TEST(totals_are_sums_over_the_nodes)
{
    struct directory_drop ended[4];
    size_t nodes;

    ck_assert_uint_eq(total_pecks(&nodes), 0);
    ck_assert_uint_eq(nodes, 0);
    ck_assert_int_eq(offer(metrics(1, 0, 10)), DIRECTORY_TAKEN);
    ck_assert_int_eq(offer(metrics(2, 0, 20)), DIRECTORY_TAKEN);
    ck_assert_uint_eq(total_pecks(&nodes), 30);
    ck_assert_int_eq(offer(metrics(1, 1, 11)), DIRECTORY_TAKEN);
    ck_assert_int_eq(offer(metrics(2, 0, 20)), DIRECTORY_SAME);
    ck_assert_uint_eq(total_pecks(&nodes), 31);
    ck_assert_uint_eq(nodes, 2);
    ck_assert_int_eq(offer(deleted(metrics(2, 0, 20))), DIRECTORY_TAKEN);
    ck_assert_uint_eq(total_pecks(&nodes), 11);
    ck_assert_uint_eq(nodes, 1);
    ck_assert_uint_eq(directory_expire(directory, BORN_MS + DAY_MS, ended, 4), 2);
    ck_assert_uint_eq(total_pecks(&nodes), 0);
    ck_assert_uint_eq(nodes, 0);
}
END_TEST

START_TEST(a_node_that_boasts_is_forgotten_whole)
{
    size_t nodes;

    ck_assert_int_eq(offer(metrics(1, 0, 10)), DIRECTORY_TAKEN);
    ck_assert_int_eq(offer(metrics(2, 0, UINT64_MAX)), DIRECTORY_TAKEN);
    ck_assert_int_eq(offer(metrics(2, 1, 1)), DIRECTORY_TAKEN);
    ck_assert_uint_eq(total_pecks(&nodes), 11);
}
END_TEST

START_TEST(kinds_are_counted_and_strange_ones_are_not)
{
    struct record strange = skill(1, "", 0, 1000);

    ck_assert_int_eq(offer(strange), DIRECTORY_TAKEN);
    strange.kind = 77;
    ck_assert_int_eq(offer(packed(strange)), DIRECTORY_TAKEN);
    ck_assert_int_eq(offer(duckling(1, 0, 100)), DIRECTORY_TAKEN);
    ck_assert_uint_eq(directory_count_kind(directory, RECORD_SKILL), 1);
    ck_assert_uint_eq(directory_count_kind(directory, RECORD_DUCKLING), 1);
    ck_assert_uint_eq(directory_count_kind(directory, RECORD_NODE), 0);
    ck_assert_uint_eq(directory_count_kind(directory, 77), 0);
    ck_assert_uint_eq(directory_count_kind(directory, UINT32_MAX), 0);
    ck_assert_uint_eq(directory_count(directory), 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("directory");
    TCase *tcase = tcase_create("directory");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 100);
    tcase_add_test(tcase, a_record_is_held_until_a_newer_one_comes);
    tcase_add_test(tcase, an_entry_keeps_what_decides);
    tcase_add_test(tcase, only_the_unnamed_record_of_its_kind_is_found);
    tcase_add_test(tcase, what_is_held_already_is_the_same);
    tcase_add_test(tcase, an_older_record_changes_nothing);
    tcase_add_test(tcase, ties_are_decided_alike_everywhere);
    tcase_add_test(tcase, records_under_other_names_do_not_replace_each_other);
    tcase_add_test(tcase, a_deletion_is_held_until_it_ends);
    tcase_add_test(tcase, a_deleted_record_can_be_made_again);
    tcase_add_test(tcase, the_newest_of_an_owner_win);
    tcase_add_test(tcase, a_deletion_counts_for_its_owner);
    tcase_add_test(tcase, what_the_quota_put_out_returns_when_there_is_room);
    tcase_add_test(tcase, a_full_directory_takes_only_what_replaces);
    tcase_add_test(tcase, the_last_tenth_is_not_for_strangers);
    tcase_add_test(tcase, what_a_duckling_at_a_node_says_is_no_strangers_word);
    tcase_add_test(tcase, what_the_store_kept_has_its_place_again);
    tcase_add_test(tcase, a_directory_holds_as_many_as_it_says);
    tcase_add_test(tcase, owners_that_begin_alike_are_told_apart);
    tcase_add_test(tcase, what_ended_goes_in_the_order_of_its_end);
    tcase_add_test(tcase, no_more_ends_at_once_than_asked_for);
    tcase_add_test(tcase, a_refreshed_record_ends_later);
    tcase_add_test(tcase, live_nodes_have_numbers);
    tcase_add_test(tcase, the_content_of_a_node_is_at_hand);
    tcase_add_test(tcase, directories_share_what_they_know_of_a_record);
    tcase_add_test(tcase, an_entry_costs_less_than_40_bytes_a_directory);
    tcase_add_test(tcase, totals_are_sums_over_the_nodes);
    tcase_add_test(tcase, a_node_that_boasts_is_forgotten_whole);
    tcase_add_test(tcase, kinds_are_counted_and_strange_ones_are_not);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
