#include "core/dice.h"
#include "core/directory.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define BORN_MS 1790000000000ull
#define MANY 300

static struct directory *directory;
static struct arena arena;
static struct dice dice;

static void set_up(void)
{
    directory = directory_new(DIRECTORY_MAX);
    arena_init(&arena, 256 * MIB);
    dice_init_number(&dice, 1);
}

static void tear_down(void)
{
    directory_free(directory);
    arena_free(&arena);
}

/* ---- records ---- */

static struct id owner_of(uint32_t number)
{
    struct hash hash = hash_of(bytes_of(&number, sizeof number));

    return id_of(&hash);
}

static struct record packed(struct record record)
{
    struct bytes body;

    ck_assert_int_eq(record_pack(&record, &arena, &body), RECORD_OK);
    return record;
}

/* Version and end are counted from BORN_MS. */
static struct record skill(uint32_t owner, const char *key, uint64_t version_ms, uint64_t end_ms)
{
    return packed((struct record){
        .network = bytes_of_text("pond"),
        .owner = owner_of(owner),
        .kind = RECORD_SKILL,
        .key = arena_copy(&arena, bytes_of_text(key)),
        .version = {.ms = BORN_MS + version_ms},
        .not_after_ms = BORN_MS + end_ms,
    });
}

static struct record duckling(uint32_t owner, uint64_t version_ms, uint32_t host)
{
    struct duckling_content content = {
        .host = owner_of(host),
        .display_name = bytes_of_text("duck"),
        .accepts_pecks = true,
    };

    return packed((struct record){
        .network = bytes_of_text("pond"),
        .owner = owner_of(owner),
        .kind = RECORD_DUCKLING,
        .version = {.ms = BORN_MS + version_ms},
        .not_after_ms = BORN_MS + DAY_MS,
        .content = duckling_content_pack(&content, &arena),
    });
}

static struct record metrics(uint32_t owner, uint64_t version_ms, uint64_t pecks)
{
    struct metrics_content content = {1, 2, 3, 4, 5, pecks, 7};

    return packed((struct record){
        .network = bytes_of_text("pond"),
        .owner = owner_of(owner),
        .kind = RECORD_METRICS,
        .version = {.ms = BORN_MS + version_ms},
        .not_after_ms = BORN_MS + DAY_MS,
        .content = metrics_content_pack(&content, &arena),
    });
}

static struct record deleted(struct record record)
{
    record.version.ms++;
    record.deleted = true;
    record.content = bytes_of(NULL, 0);
    return packed(record);
}

static enum directory_verdict offer(struct record record)
{
    struct hash replaced;

    return directory_offer(directory, &record, &replaced);
}

static struct hash all_ones(void)
{
    struct hash hash;

    memset(hash.bytes, 0xFF, HASH_SIZE);
    return hash;
}

/* All hashes that are held: nothing is listed, so everything lacks. */
static size_t held_hashes(const struct directory *of, struct hash *hashes, size_t max)
{
    struct hash first = {{0}}, last = all_ones();

    return directory_lacking(of, &first, &last, NULL, 0, hashes, max);
}

static bool holds(const struct record *record)
{
    struct hash hash;

    return directory_lacking(directory, &record->hash, &record->hash, NULL, 0, &hash, 1) == 1;
}

/* ---- newer wins ---- */

START_TEST(a_record_is_held_until_a_newer_one_comes)
{
    struct record old = duckling(1, 0, 100), new = duckling(1, 1, 101);
    struct hash replaced, held;

    ck_assert_int_eq(directory_offer(directory, &old, &replaced), DIRECTORY_TAKEN);
    ck_assert_int_eq(replaced.bytes[0] | replaced.bytes[HASH_SIZE - 1], 0);
    ck_assert_int_eq(directory_offer(directory, &new, &replaced), DIRECTORY_TAKEN);
    ck_assert(hash_equal(&replaced, &old.hash));
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
    struct hash replaced;

    ck_assert_int_eq(directory_offer(directory, &record, &replaced), DIRECTORY_TAKEN);
    memset(&replaced, 0xEE, sizeof replaced);
    ck_assert_int_eq(directory_offer(directory, &record, &replaced), DIRECTORY_SAME);
    ck_assert_int_eq(replaced.bytes[0] | replaced.bytes[HASH_SIZE - 1], 0);
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
        struct directory *elsewhere = directory_new(10);
        struct hash hash, ignored, elsewhere_hash;

        ck_assert_int_eq(directory_offer(elsewhere, &one, &ignored), DIRECTORY_TAKEN);
        ck_assert_int_ne(directory_offer(elsewhere, &other, &ignored), DIRECTORY_SAME);
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
    struct hash ended;

    ck_assert_int_eq(offer(record), DIRECTORY_TAKEN);
    ck_assert_int_eq(offer(deletion), DIRECTORY_TAKEN);
    ck_assert(directory_find(directory, &record.owner, RECORD_DUCKLING)->deleted);
    ck_assert_uint_eq(directory_count(directory), 1);
    ck_assert_uint_eq(directory_count_kind(directory, RECORD_DUCKLING), 0);
    ck_assert_int_eq(offer(record), DIRECTORY_OLDER); /* it does not come back */
    ck_assert_uint_eq(directory_expire(directory, BORN_MS + DAY_MS, &ended, 1), 1);
    ck_assert(hash_equal(&ended, &deletion.hash));
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

START_TEST(an_owner_has_a_quota)
{
    char key[16];
    struct hash ended[RECORDS_PER_OWNER_MAX];

    for (unsigned i = 0; i < RECORDS_PER_OWNER_MAX; i++) {
        snprintf(key, sizeof key, "%u", i);
        ck_assert_int_eq(offer(skill(1, key, 0, 1000)), DIRECTORY_TAKEN);
    }
    ck_assert_int_eq(offer(skill(1, "more", 0, 1000)), DIRECTORY_QUOTA);
    ck_assert_int_eq(offer(duckling(1, 0, 100)), DIRECTORY_QUOTA);
    ck_assert_int_eq(offer(skill(1, "3", 1, 1000)), DIRECTORY_TAKEN); /* takes the place of one */
    ck_assert_int_eq(offer(skill(1, "3", 0, 1000)), DIRECTORY_OLDER);
    ck_assert_int_eq(offer(deleted(skill(1, "4", 1, 1000))), DIRECTORY_TAKEN);
    ck_assert_int_eq(offer(skill(1, "more", 0, 1000)), DIRECTORY_QUOTA); /* a deletion counts */
    ck_assert_int_eq(offer(skill(2, "more", 0, 1000)), DIRECTORY_TAKEN);
    ck_assert_uint_eq(directory_count(directory), RECORDS_PER_OWNER_MAX + 1);
    ck_assert_uint_eq(directory_expire(directory, BORN_MS + 1000, ended, RECORDS_PER_OWNER_MAX),
                      RECORDS_PER_OWNER_MAX);
    ck_assert_int_eq(offer(skill(1, "more", 0, 1000)), DIRECTORY_TAKEN);
}
END_TEST

START_TEST(a_full_directory_takes_only_what_replaces)
{
    struct directory *small = directory_new(3);
    struct record fourth = skill(4, "", 0, 1000), newer = skill(1, "", 1, 1000);
    struct hash replaced, ended;

    for (uint32_t owner = 1; owner <= 3; owner++) {
        struct record record = skill(owner, "", 0, 900 + owner);

        ck_assert_int_eq(directory_offer(small, &record, &replaced), DIRECTORY_TAKEN);
    }
    ck_assert_int_eq(directory_offer(small, &fourth, &replaced), DIRECTORY_FULL);
    ck_assert_int_eq(directory_offer(small, &newer, &replaced), DIRECTORY_TAKEN);
    ck_assert_uint_eq(directory_count(small), 3);
    ck_assert_uint_eq(directory_expire(small, BORN_MS + 902, &ended, 1), 1);
    ck_assert_int_eq(directory_offer(small, &fourth, &replaced), DIRECTORY_TAKEN);
    directory_free(small);
}
END_TEST

START_TEST(a_directory_holds_as_many_as_it_says)
{
    struct record record = {
        .kind = RECORD_SKILL, .version = {.ms = BORN_MS}, .not_after_ms = BORN_MS + 1000};
    struct hash replaced, ended[64];
    size_t expired = 0, count;

    for (uint32_t i = 0; i <= DIRECTORY_MAX; i++) {
        record.owner = owner_of(i);
        record.hash = hash_of(id_bytes(&record.owner));
        record.not_after_ms = BORN_MS + 1000 + dice_below(&dice, 1000);
        ck_assert_int_eq(directory_offer(directory, &record, &replaced),
                         i < DIRECTORY_MAX ? DIRECTORY_TAKEN : DIRECTORY_FULL);
    }
    while ((count = directory_expire(directory, BORN_MS + 2000, ended, 64)) > 0)
        expired += count;
    ck_assert_uint_eq(expired, DIRECTORY_MAX);
    ck_assert_uint_eq(directory_count(directory), 0);
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
    struct hash ended[MANY];
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
        ck_assert(hash_equal(&ended[0], &records[i].hash));
        ck_assert(!holds(&records[i]));
    }
    ck_assert_uint_eq(directory_next_expiry_ms(directory), MOMENT_NEVER);
}
END_TEST

START_TEST(no_more_ends_at_once_than_asked_for)
{
    struct hash ended[MANY];

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
    struct hash ended;

    ck_assert_int_eq(offer(skill(1, "", 0, 1000)), DIRECTORY_TAKEN);
    ck_assert_int_eq(offer(skill(1, "", 1, 2000)), DIRECTORY_TAKEN);
    ck_assert_uint_eq(directory_next_expiry_ms(directory), BORN_MS + 2000);
    ck_assert_uint_eq(directory_expire(directory, BORN_MS + 1999, &ended, 1), 0);
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
    struct hash ended[4];
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

/* ---- digests ---- */

static bool next_hash(struct hash *hash)
{
    for (size_t i = HASH_SIZE; i-- > 0;)
        if (++hash->bytes[i] != 0)
            return true;
    return false;
}

START_TEST(the_digest_of_nothing_is_one_empty_page)
{
    struct hash first = {{0}}, last, ones = all_ones();
    uint8_t prefixes[1][8];

    ck_assert_uint_eq(directory_digest(directory, &first, &last, prefixes, 1), 0);
    ck_assert(hash_equal(&last, &ones));
}
END_TEST

START_TEST(pages_cover_everything_once_and_in_order)
{
    static struct hash all[MANY];

    for (uint32_t i = 0; i < MANY; i++)
        ck_assert_int_eq(offer(skill(i, "", 0, 1000)), DIRECTORY_TAKEN);
    ck_assert_uint_eq(held_hashes(directory, all, MANY), MANY);
    for (size_t page = 1; page <= MANY + 1; page += 1 + page / 2) {
        struct hash first = {{0}}, last, ones = all_ones();
        uint8_t prefixes[MANY + 1][8];
        size_t seen = 0;

        do {
            size_t count = directory_digest(directory, &first, &last, prefixes, page);

            ck_assert_uint_le(count, page);
            for (size_t i = 0; i < count; i++)
                ck_assert_mem_eq(prefixes[i], all[seen++].bytes, 8);
            first = last;
        } while (next_hash(&first));
        ck_assert(hash_equal(&last, &ones));
        ck_assert_uint_eq(seen, MANY);
    }
    for (size_t i = 1; i < MANY; i++)
        ck_assert_int_lt(memcmp(all[i - 1].bytes, all[i].bytes, HASH_SIZE), 0);
}
END_TEST

START_TEST(what_is_not_listed_lacks)
{
    static struct hash all[MANY], lacking[MANY];
    uint8_t listed[MANY][8];
    struct hash first = {{0}}, last = all_ones();
    size_t count = 0, missing = 0, found;

    for (uint32_t i = 0; i < MANY; i++)
        ck_assert_int_eq(offer(skill(i, "", 0, 1000)), DIRECTORY_TAKEN);
    held_hashes(directory, all, MANY);
    for (size_t i = 0; i < MANY; i++)
        if (i % 7 != 3)
            memcpy(listed[count++], all[i].bytes, 8);
    found = directory_lacking(directory, &first, &last, (const uint8_t(*)[8])listed, count, lacking,
                              MANY);
    ck_assert_uint_eq(found, MANY - count);
    for (size_t i = 3; i < MANY; i += 7)
        ck_assert(hash_equal(&lacking[missing++], &all[i]));
    ck_assert_uint_eq(
        directory_lacking(directory, &first, &last, (const uint8_t(*)[8])listed, count, lacking, 5),
        5);
}
END_TEST

START_TEST(a_range_includes_both_its_ends)
{
    static struct hash all[MANY], lacking[MANY];

    for (uint32_t i = 0; i < MANY; i++)
        ck_assert_int_eq(offer(skill(i, "", 0, 1000)), DIRECTORY_TAKEN);
    held_hashes(directory, all, MANY);
    ck_assert_uint_eq(directory_lacking(directory, &all[10], &all[20], NULL, 0, lacking, MANY), 11);
    ck_assert(hash_equal(&lacking[0], &all[10]));
    ck_assert(hash_equal(&lacking[10], &all[20]));
    ck_assert_uint_eq(directory_lacking(directory, &all[20], &all[10], NULL, 0, lacking, MANY), 0);
}
END_TEST

/* ---- laws ---- */

/* Two directories that tell each other what the other lacks become equal. */
START_TEST(an_exchange_of_digests_makes_both_alike)
{
    static struct record records[MANY];
    static struct hash one[MANY], other[MANY];
    struct directory *elsewhere = directory_new(DIRECTORY_MAX), *pair[] = {directory, elsewhere};
    struct hash replaced;

    for (uint32_t i = 0; i < MANY; i++) {
        records[i] = skill(i / 3, "", i % 3, 1000); /* three versions of each */
        directory_offer(pair[dice_below(&dice, 2)], &records[i], &replaced);
    }
    for (size_t from = 0; from < 2; from++) {
        struct hash first = {{0}}, last, lacking[MANY];
        uint8_t prefixes[MANY][8];
        size_t count = directory_digest(pair[1 - from], &first, &last, prefixes, MANY);

        count = directory_lacking(pair[from], &first, &last, (const uint8_t(*)[8])prefixes, count,
                                  lacking, MANY);
        for (size_t i = 0; i < count; i++)
            for (size_t j = 0; j < MANY; j++)
                if (hash_equal(&lacking[i], &records[j].hash))
                    directory_offer(pair[1 - from], &records[j], &replaced);
    }
    ck_assert_uint_eq(held_hashes(directory, one, MANY), MANY / 3);
    ck_assert_uint_eq(held_hashes(elsewhere, other, MANY), MANY / 3);
    ck_assert_mem_eq(one, other, MANY / 3 * sizeof *one);
    directory_free(elsewhere);
}
END_TEST

/* The same by the plainest means: a list that is searched from end to end. */
#define MODEL_MAX 60
#define MODEL_STEPS 5000

struct model {
    struct record held[MODEL_MAX];
    size_t count;
};

static void forget(struct model *model, size_t at)
{
    model->held[at] = model->held[--model->count];
}

static enum directory_verdict model_offer(struct model *model, const struct record *record)
{
    size_t of_owner = 0;

    for (size_t i = 0; i < model->count; i++) {
        const struct record *held = &model->held[i];

        if (!id_equal(&held->owner, &record->owner))
            continue;
        of_owner++;
        if (held->kind != record->kind || !bytes_equal(held->key, record->key))
            continue;
        if (hash_equal(&held->hash, &record->hash))
            return DIRECTORY_SAME;
        if (!record_is_newer(record->version, &record->hash, held->version, &held->hash))
            return DIRECTORY_OLDER;
        model->held[i] = *record;
        return DIRECTORY_TAKEN;
    }
    if (of_owner >= RECORDS_PER_OWNER_MAX)
        return DIRECTORY_QUOTA;
    if (model->count == MODEL_MAX)
        return DIRECTORY_FULL;
    model->held[model->count++] = *record;
    return DIRECTORY_TAKEN;
}

static size_t model_expire(struct model *model, uint64_t wall_ms)
{
    size_t count = 0;

    for (size_t i = model->count; i-- > 0;)
        if (model->held[i].not_after_ms <= wall_ms) {
            forget(model, i);
            count++;
        }
    return count;
}

static struct record random_record(uint64_t now_ms)
{
    static const uint32_t kinds[] = {RECORD_SKILL, RECORD_METRICS, RECORD_DUCKLING, 99};
    static const char keys[] = "abcdefghi";
    uint32_t kind = kinds[dice_below(&dice, 4)];
    struct metrics_content counters = {.pecks = dice_below(&dice, 1000)};
    struct record record = {
        .owner = owner_of((uint32_t)dice_below(&dice, 5)),
        .kind = kind,
        .version = {.ms = BORN_MS + now_ms + dice_below(&dice, 3)},
        .not_after_ms = BORN_MS + now_ms + 10 + dice_below(&dice, 60),
        .deleted = dice_below(&dice, 8) == 0,
    };
    uint64_t nonce = dice_below(&dice, 4);

    if (kind == RECORD_SKILL || kind == 99)
        record.key = bytes_of(keys + dice_below(&dice, 8), dice_below(&dice, 3));
    if (kind == RECORD_METRICS && !record.deleted)
        record.content = metrics_content_pack(&counters, &arena);
    record.hash = hash_of(bytes_of(&nonce, sizeof nonce));
    for (size_t i = 0; i < ID_SIZE; i++) /* one hash, one name */
        record.hash.bytes[i] ^= record.owner.bytes[i];
    record.hash.bytes[30] ^= (uint8_t)kind;
    record.hash.bytes[31] ^= (uint8_t)record.key.size;
    for (size_t i = 0; i < record.key.size; i++)
        record.hash.bytes[28 + i] ^= record.key.data[i];
    record.hash.bytes[27] ^= (uint8_t)record.version.ms;
    record.hash.bytes[26] ^= (uint8_t)(record.version.ms >> 8);
    return record;
}

static void compare(struct directory *with, const struct model *model)
{
    static struct hash hashes[MODEL_MAX + 1];
    struct metrics_content total;
    uint64_t pecks = 0, next_ms = MOMENT_NEVER;
    size_t nodes, kinds = 0;

    ck_assert_uint_eq(directory_count(with), model->count);
    ck_assert_uint_eq(held_hashes(with, hashes, MODEL_MAX + 1), model->count);
    for (size_t i = 0; i < model->count; i++) {
        const struct record *held = &model->held[i];
        const struct directory_entry *entry = directory_find(with, &held->owner, held->kind);
        struct metrics_content counters = {0};
        bool is_found = false;

        for (size_t j = 0; j < model->count; j++)
            is_found |= hash_equal(&hashes[j], &held->hash);
        ck_assert(is_found);
        if (held->key.size == 0)
            ck_assert(entry && hash_equal(&entry->hash, &held->hash));
        if (held->not_after_ms < next_ms)
            next_ms = held->not_after_ms;
        if (held->kind == RECORD_METRICS && !held->deleted) {
            metrics_content_parse(held->content, &counters);
            pecks += counters.pecks;
            kinds++;
        }
    }
    directory_metrics(with, &total, &nodes);
    ck_assert_uint_eq(total.pecks, pecks);
    ck_assert_uint_eq(nodes, kinds);
    ck_assert_uint_eq(directory_next_expiry_ms(with), next_ms);
}

START_TEST(a_directory_does_what_a_plain_list_does)
{
    struct directory *small = directory_new(MODEL_MAX);
    struct model model = {.count = 0};
    unsigned seen[DIRECTORY_FULL + 1] = {0};

    for (uint64_t step = 0; step < MODEL_STEPS; step++) {
        struct record record = random_record(step / 20);
        enum directory_verdict verdict = model_offer(&model, &record);
        struct hash hashes[MODEL_MAX];

        ck_assert_int_eq(directory_offer(small, &record, &hashes[0]), verdict);
        seen[verdict]++;
        if (step % 50 == 0)
            ck_assert_uint_eq(directory_expire(small, BORN_MS + step / 20, hashes, MODEL_MAX),
                              model_expire(&model, BORN_MS + step / 20));
        if (step % 7 == 0)
            compare(small, &model);
    }
    for (size_t verdict = 0; verdict <= DIRECTORY_FULL; verdict++)
        ck_assert_msg(seen[verdict] > 0, "%s",
                      directory_verdict_text((enum directory_verdict)verdict));
    directory_free(small);
    directory_free(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("directory");
    TCase *tcase = tcase_create("directory");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_record_is_held_until_a_newer_one_comes);
    tcase_add_test(tcase, an_entry_keeps_what_decides);
    tcase_add_test(tcase, only_the_unnamed_record_of_its_kind_is_found);
    tcase_add_test(tcase, what_is_held_already_is_the_same);
    tcase_add_test(tcase, an_older_record_changes_nothing);
    tcase_add_test(tcase, ties_are_decided_alike_everywhere);
    tcase_add_test(tcase, records_under_other_names_do_not_replace_each_other);
    tcase_add_test(tcase, a_deletion_is_held_until_it_ends);
    tcase_add_test(tcase, a_deleted_record_can_be_made_again);
    tcase_add_test(tcase, an_owner_has_a_quota);
    tcase_add_test(tcase, a_full_directory_takes_only_what_replaces);
    tcase_add_test(tcase, a_directory_holds_as_many_as_it_says);
    tcase_add_test(tcase, owners_that_begin_alike_are_told_apart);
    tcase_add_test(tcase, what_ended_goes_in_the_order_of_its_end);
    tcase_add_test(tcase, no_more_ends_at_once_than_asked_for);
    tcase_add_test(tcase, a_refreshed_record_ends_later);
    tcase_add_test(tcase, totals_are_sums_over_the_nodes);
    tcase_add_test(tcase, a_node_that_boasts_is_forgotten_whole);
    tcase_add_test(tcase, kinds_are_counted_and_strange_ones_are_not);
    tcase_add_test(tcase, the_digest_of_nothing_is_one_empty_page);
    tcase_add_test(tcase, pages_cover_everything_once_and_in_order);
    tcase_add_test(tcase, what_is_not_listed_lacks);
    tcase_add_test(tcase, a_range_includes_both_its_ends);
    tcase_add_test(tcase, an_exchange_of_digests_makes_both_alike);
    tcase_add_test(tcase, a_directory_does_what_a_plain_list_does);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
