#include "core/dice.h"
#include "core/directory.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define BORN_MS 1790000000000ull
#define MANY 300

static struct record_pool *pool;
static struct directory *directory;
static struct directory_outcome outcome; /* of the last offer */
static struct arena arena;
static struct dice dice;

static struct directory *directory_of(size_t records_max)
{
    struct directory_settings settings = {
        .records_max = records_max, .pool = pool, .seed = {(uint8_t)records_max}};

    return directory_new(&settings);
}

static void set_up(void)
{
    pool = record_pool_new((const uint8_t[RECORD_POOL_SEED_SIZE]){7});
    directory = directory_of(0);
    arena_init(&arena, 256 * MIB);
    dice_init_number(&dice, 1);
}

static void tear_down(void)
{
    directory_free(directory);
    ck_assert_uint_eq(record_pool_count(pool), 0); /* all was given back */
    record_pool_free(pool);
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

static struct record node(uint32_t owner, uint64_t version_ms)
{
    struct node_content content = {.display_name = bytes_of_text("node")};

    return packed((struct record){
        .network = bytes_of_text("pond"),
        .owner = owner_of(owner),
        .kind = RECORD_NODE,
        .version = {.ms = BORN_MS + version_ms},
        .not_after_ms = BORN_MS + DAY_MS,
        .content = node_content_pack(&content, &arena),
    });
}

static struct record revocation(uint32_t owner, uint64_t version_ms, uint64_t life_ms)
{
    struct revocation_content content = {.subject = owner_of(owner),
                                         .reason = bytes_of_text("stolen")};

    return packed((struct record){
        .network = bytes_of_text("pond"),
        .owner = owner_of(owner),
        .kind = RECORD_REVOCATION,
        .version = {.ms = BORN_MS + version_ms},
        .not_after_ms = BORN_MS + version_ms + life_ms,
        .content = revocation_content_pack(&content, &arena),
    });
}

/* The same version once more, and another content. */
static struct record twin(struct record record, const char *content)
{
    record.content = arena_copy(&arena, bytes_of_text(content));
    return packed(record);
}

static bool is_greater(const struct record *record, const struct record *than)
{
    return memcmp(record->hash.bytes, than->hash.bytes, HASH_SIZE) > 0;
}

static struct record deleted(struct record record)
{
    record.version.ms++;
    record.deleted = true;
    record.content = bytes_of(NULL, 0);
    return packed(record);
}

/* Before any of them ends. */
static enum directory_verdict offer_to(struct directory *to, const struct record *record)
{
    return directory_offer(to, record, BORN_MS, &outcome);
}

static enum directory_verdict offer(struct record record)
{
    return offer_to(directory, &record);
}

static bool has_replaced_nothing(void)
{
    static const struct hash zero;

    return hash_equal(&outcome.replaced.hash, &zero);
}

static bool holds(const struct record *record)
{
    for (size_t i = 0; i < directory_count(directory); i++)
        if (hash_equal(&directory_at(directory, i)->hash, &record->hash))
            return true;
    return false;
}

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

/* ---- high-water marks ---- */

START_TEST(what_ended_does_not_come_back)
{
    struct record old = skill(1, "a", 0, 5000), new = skill(1, "a", 1, 1000);
    struct directory_drop ended;

    ck_assert_int_eq(offer(new), DIRECTORY_TAKEN);
    ck_assert_uint_eq(directory_expire(directory, BORN_MS + 1000, &ended, 1), 1);
    ck_assert(hash_equal(&ended.hash, &new.hash));
    ck_assert_uint_eq(ended.version.ms, BORN_MS + 1);
    ck_assert_uint_eq(ended.kind, RECORD_SKILL);
    ck_assert_uint_eq(ended.mark_until_ms, BORN_MS + 1 + RECORD_LIFE_MAX_MS);
    ck_assert_uint_eq(directory_mark_count(directory), 1);
    ck_assert_int_eq(offer(old), DIRECTORY_BEHIND); /* it would live on */
    ck_assert(!outcome.taken);
    ck_assert_int_eq(offer(skill(1, "a", 1, 5000)), DIRECTORY_BEHIND); /* the same version */
    ck_assert_int_eq(offer(skill(1, "b", 0, 5000)), DIRECTORY_TAKEN);  /* other names: */
    ck_assert_int_eq(offer(skill(1, "", 0, 5000)), DIRECTORY_TAKEN);
    ck_assert_int_eq(offer(skill(2, "a", 0, 5000)), DIRECTORY_TAKEN);
    ck_assert_int_eq(offer(skill(1, "a", 2, 5000)), DIRECTORY_TAKEN);
}
END_TEST

START_TEST(a_mark_rises_and_never_falls)
{
    struct id owner = owner_of(1);
    struct directory_drop ended;

    ck_assert_int_eq(offer(skill(1, "a", 5, 1000)), DIRECTORY_TAKEN);
    ck_assert_uint_eq(directory_expire(directory, BORN_MS + 1000, &ended, 1), 1);
    ck_assert_int_eq(offer(skill(1, "a", 6, 2000)), DIRECTORY_TAKEN);
    ck_assert_uint_eq(directory_expire(directory, BORN_MS + 2000, &ended, 1), 1);
    ck_assert_uint_eq(directory_mark_count(directory), 1);
    ck_assert_int_eq(offer(skill(1, "a", 6, 9000)), DIRECTORY_BEHIND);
    directory_restore_mark(directory, &owner, RECORD_SKILL, bytes_of_text("a"),
                           (struct version){.ms = BORN_MS + 3});
    ck_assert_int_eq(offer(skill(1, "a", 6, 9000)), DIRECTORY_BEHIND);
    ck_assert_int_eq(offer(skill(1, "a", 7, 9000)), DIRECTORY_TAKEN);
}
END_TEST

START_TEST(a_mark_ends_when_no_older_record_can_be_alive)
{
    uint64_t end_ms = BORN_MS + 1 + RECORD_LIFE_MAX_MS;
    struct record old = skill(1, "a", 0, RECORD_LIFE_MAX_MS);
    struct directory_drop ended;

    ck_assert_int_eq(offer(skill(1, "a", 1, 1000)), DIRECTORY_TAKEN);
    ck_assert_uint_eq(directory_expire(directory, BORN_MS + 1000, &ended, 1), 1);
    ck_assert_uint_eq(directory_expire(directory, end_ms - 1, &ended, 1), 0);
    ck_assert_int_eq(offer(old), DIRECTORY_BEHIND);
    directory_expire(directory, end_ms, &ended, 1);
    ck_assert_uint_eq(directory_mark_count(directory), 0);
    ck_assert_int_eq(record_judge_dates(&old, end_ms), RECORD_EXPIRED);
}
END_TEST

START_TEST(what_ended_long_ago_leaves_no_mark)
{
    struct directory_drop ended;

    ck_assert_int_eq(offer(skill(1, "a", 0, 1000)), DIRECTORY_TAKEN);
    ck_assert_uint_eq(directory_expire(directory, BORN_MS + RECORD_LIFE_MAX_MS, &ended, 1), 1);
    ck_assert_uint_eq(ended.mark_until_ms, 0);
    ck_assert_uint_eq(directory_mark_count(directory), 0);
}
END_TEST

START_TEST(a_mark_outlives_a_restart)
{
    struct record old = skill(1, "a", 0, 5000);

    directory_restore_mark(directory, &old.owner, RECORD_SKILL, old.key,
                           (struct version){BORN_MS, 1});
    ck_assert_int_eq(offer(old), DIRECTORY_BEHIND);
    old.version.count = 2;
    ck_assert_int_eq(offer(packed(old)), DIRECTORY_TAKEN);
}
END_TEST

START_TEST(too_many_marks_lose_those_that_end_first)
{
    struct directory_settings settings = {.marks_max = 10, .pool = pool};
    struct directory *small = directory_new(&settings);
    struct id owner = owner_of(1);

    for (uint8_t i = 0; i < 100; i++) {
        uint8_t key = (uint8_t)((i * 37) % 100);

        directory_restore_mark(small, &owner, RECORD_SKILL, bytes_of(&key, 1),
                               (struct version){BORN_MS + key, 0});
        ck_assert_uint_le(directory_mark_count(small), 10);
    }
    for (uint8_t key = 0; key < 100; key++) {
        struct record record = {.owner = owner,
                                .kind = RECORD_SKILL,
                                .key = bytes_of(&key, 1),
                                .version = {BORN_MS, 0},
                                .not_after_ms = BORN_MS + 1};

        record.hash = hash_of(record.key);
        ck_assert_int_eq(offer_to(small, &record) == DIRECTORY_BEHIND, key >= 90);
    }
    directory_free(small);
}
END_TEST

/* ---- equivocation ---- */

START_TEST(two_records_of_one_version_are_a_proof)
{
    struct record one = skill(1, "a", 0, 1000), other = twin(one, "other");
    const struct record *lesser = is_greater(&one, &other) ? &other : &one;
    const struct record *greater = lesser == &one ? &other : &one;
    const struct directory_proof *proof;

    ck_assert_int_eq(offer(*lesser), DIRECTORY_TAKEN);
    ck_assert(!directory_quarantined(directory, &one.owner, BORN_MS));
    ck_assert_int_eq(offer(*greater), DIRECTORY_EQUIVOCATION);
    ck_assert(outcome.taken && outcome.proven && holds(greater));
    ck_assert(hash_equal(&outcome.other, &lesser->hash));
    ck_assert(hash_equal(&outcome.replaced.hash, &lesser->hash));
    ck_assert_int_eq(offer(*lesser), DIRECTORY_EQUIVOCATION);
    ck_assert(!outcome.taken && !outcome.proven && has_replaced_nothing());
    ck_assert(hash_equal(&outcome.other, &greater->hash));
    ck_assert_uint_eq(directory_proof_count(directory), 1);
    proof = directory_proof_at(directory, 0);
    ck_assert(id_equal(&proof->owner, &one.owner) && proof->kind == RECORD_SKILL);
    ck_assert(hash_equal(&proof->lesser, &lesser->hash));
    ck_assert(hash_equal(&proof->greater, &greater->hash));
    ck_assert_uint_eq(proof->version.ms, BORN_MS);
}
END_TEST

START_TEST(a_quarantine_lasts_a_day_and_repeating_does_not_prolong_it)
{
    struct record one = skill(1, "a", 0, 1000), other = twin(one, "other"), third;
    struct id stranger = owner_of(2);

    offer(one);
    offer(other);
    ck_assert(directory_quarantined(directory, &one.owner, BORN_MS + QUARANTINE_MS - 1));
    ck_assert(!directory_quarantined(directory, &one.owner, BORN_MS + QUARANTINE_MS));
    ck_assert(!directory_quarantined(directory, &stranger, BORN_MS));
    for (size_t i = 0; i < 2; i++)
        directory_offer(directory, i ? &one : &other, BORN_MS + HOUR_MS, &outcome);
    ck_assert(!directory_quarantined(directory, &one.owner, BORN_MS + QUARANTINE_MS));
    third = twin(one, "third");
    ck_assert_int_eq(directory_offer(directory, &third, BORN_MS + HOUR_MS, &outcome),
                     DIRECTORY_EQUIVOCATION);
    ck_assert(outcome.proven);
    ck_assert(directory_quarantined(directory, &one.owner, BORN_MS + QUARANTINE_MS));
    ck_assert_uint_eq(directory_proof_count(directory), 1); /* one an owner */
}
END_TEST

START_TEST(who_is_quarantined_may_say_newer_things)
{
    struct record one = skill(1, "a", 0, 1000);

    offer(one);
    ck_assert_int_eq(offer(twin(one, "other")), DIRECTORY_EQUIVOCATION);
    ck_assert_int_eq(offer(skill(1, "a", 1, 1000)), DIRECTORY_TAKEN);
    ck_assert_int_eq(offer(skill(1, "b", 1, 1000)), DIRECTORY_TAKEN);
    ck_assert_int_eq(offer(one), DIRECTORY_OLDER);
}
END_TEST

START_TEST(too_many_proofs_lose_the_oldest)
{
    struct directory_settings settings = {.proofs_max = 5, .pool = pool};
    struct directory *small = directory_new(&settings);

    for (uint32_t owner = 0; owner < 12; owner++) {
        struct record one = skill(owner, "a", 0, 1000), other = twin(one, "other");

        offer_to(small, &one);
        ck_assert_int_eq(offer_to(small, &other), DIRECTORY_EQUIVOCATION);
    }
    ck_assert_uint_eq(directory_proof_count(small), 5);
    for (uint32_t owner = 0; owner < 12; owner++) {
        struct id id = owner_of(owner);

        ck_assert(directory_quarantined(small, &id, BORN_MS) == (owner >= 7));
    }
    directory_free(small);
}
END_TEST

START_TEST(a_proof_outlives_a_restart)
{
    struct directory_proof proof = {
        .owner = owner_of(1), .lesser = {{1}}, .greater = {{2}}, .until_ms = BORN_MS + 5};

    directory_restore_proof(directory, &proof);
    ck_assert(directory_quarantined(directory, &proof.owner, BORN_MS + 4));
    ck_assert(!directory_quarantined(directory, &proof.owner, BORN_MS + 5));
}
END_TEST

/* ---- revocation ---- */

START_TEST(a_revocation_drops_all_and_refuses_all)
{
    struct record first = revocation(1, 0, REVOCATION_LIFE_MAX_MS);
    char key[16];

    for (unsigned i = 0; i < RECORDS_PER_OWNER_MAX; i++) {
        snprintf(key, sizeof key, "%u", i);
        ck_assert_int_eq(offer(skill(1, key, 10, 1000)), DIRECTORY_TAKEN);
    }
    ck_assert_int_eq(offer(skill(2, "", 0, 1000)), DIRECTORY_TAKEN);
    ck_assert(!directory_revoked(directory, &first.owner));
    ck_assert_int_eq(offer(first), DIRECTORY_TAKEN); /* older than what it drops */
    ck_assert_uint_eq(outcome.dropped_count, RECORDS_PER_OWNER_MAX);
    ck_assert_uint_eq(outcome.dropped[0].version.ms, BORN_MS + 10);
    ck_assert(directory_revoked(directory, &first.owner));
    ck_assert_uint_eq(directory_count(directory), 2);
    ck_assert_int_eq(offer(skill(1, "0", 11, 1000)), DIRECTORY_REVOKED);
    ck_assert_int_eq(offer(node(1, 100)), DIRECTORY_REVOKED);
    ck_assert(!outcome.taken);
    ck_assert_int_eq(offer(skill(2, "", 1, 1000)), DIRECTORY_TAKEN);
}
END_TEST

/* A thief, who has the key, would end it by a newer and shorter one. */
START_TEST(the_revocation_that_ends_later_is_held)
{
    struct record year = revocation(1, 0, REVOCATION_LIFE_MAX_MS);
    struct record week = revocation(1, 1, REVOCATION_LIFE_MIN_MS);
    struct record longer = revocation(1, 1, REVOCATION_LIFE_MAX_MS);

    ck_assert_int_eq(offer(week), DIRECTORY_TAKEN);
    ck_assert_int_eq(offer(year), DIRECTORY_TAKEN);
    ck_assert(hash_equal(&outcome.replaced.hash, &week.hash));
    ck_assert_int_eq(offer(year), DIRECTORY_SAME);
    ck_assert_int_eq(offer(week), DIRECTORY_OLDER);
    ck_assert_int_eq(offer(longer), DIRECTORY_TAKEN);
    ck_assert(hash_equal(&outcome.replaced.hash, &year.hash));
    ck_assert_uint_eq(directory_proof_count(directory), 0);
    ck_assert_uint_eq(directory_count(directory), 1);
}
END_TEST

START_TEST(what_was_said_before_a_revocation_does_not_outlive_it)
{
    struct record said = skill(1, "a", 0, RECORD_LIFE_MAX_MS);
    struct record revoked = revocation(1, 0, REVOCATION_LIFE_MIN_MS);
    struct directory_drop ended;

    ck_assert_int_eq(offer(revoked), DIRECTORY_TAKEN);
    ck_assert_int_eq(offer(said), DIRECTORY_REVOKED);
    ck_assert_uint_eq(directory_expire(directory, revoked.not_after_ms, &ended, 1), 1);
    ck_assert_uint_eq(ended.mark_until_ms, 0);
    ck_assert(!directory_revoked(directory, &said.owner));
    ck_assert_int_eq(record_judge_dates(&said, revoked.not_after_ms), RECORD_EXPIRED);
}
END_TEST

START_TEST(strangers_cannot_fill_a_directory_with_revocations)
{
    struct directory *small = directory_of(30);
    struct record known = skill(50, "", 0, 1000), revoked, again;

    ck_assert_int_eq(offer_to(small, &known), DIRECTORY_TAKEN);
    for (uint32_t owner = 1; owner <= 4; owner++) {
        revoked = revocation(owner, 0, REVOCATION_LIFE_MAX_MS);
        ck_assert_int_eq(offer_to(small, &revoked), owner < 4 ? DIRECTORY_TAKEN : DIRECTORY_FULL);
    }
    revoked = revocation(50, 0, REVOCATION_LIFE_MAX_MS); /* of whom something is held */
    ck_assert_int_eq(offer_to(small, &revoked), DIRECTORY_TAKEN);
    again = revocation(3, 1, REVOCATION_LIFE_MAX_MS);
    ck_assert_int_eq(offer_to(small, &again), DIRECTORY_TAKEN);
    again = revocation(4, 0, REVOCATION_LIFE_MAX_MS);
    ck_assert_int_eq(directory_restore(small, &again, BORN_MS, &outcome), DIRECTORY_TAKEN);
    directory_free(small);
}
END_TEST

START_TEST(a_full_directory_takes_the_revocation_of_whom_it_holds)
{
    struct directory *small = directory_of(2);
    struct record one = skill(1, "a", 0, 1000), two = skill(1, "b", 0, 1000);
    struct record revoked = revocation(1, 0, REVOCATION_LIFE_MAX_MS);
    struct record stranger = revocation(2, 0, REVOCATION_LIFE_MAX_MS);

    offer_to(small, &one);
    offer_to(small, &two);
    ck_assert_int_eq(offer_to(small, &stranger), DIRECTORY_FULL);
    ck_assert_int_eq(offer_to(small, &revoked), DIRECTORY_TAKEN);
    ck_assert_uint_eq(directory_count(small), 1);
    directory_free(small);
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

/* ---- laws: random records of few owners and names ---- */

#define OWNERS 6

static void hash_fields(struct record *record, uint64_t variant)
{
    uint8_t text[512] = {0};
    size_t size = 0;
    const uint64_t numbers[] = {
        record->kind,         record->version.ms, record->version.count,
        record->not_after_ms, record->deleted,    variant,
    };

    memcpy(text, record->owner.bytes, ID_SIZE);
    size += ID_SIZE;
    memcpy(text + size, numbers, sizeof numbers);
    size += sizeof numbers;
    if (record->key.size > 0)
        memcpy(text + size, record->key.data, record->key.size);
    size += 8;
    ck_assert_uint_le(size + record->content.size, sizeof text);
    if (record->content.size > 0)
        memcpy(text + size, record->content.data, record->content.size);
    record->hash = hash_of(bytes_of(text, sizeof text));
}

static struct bytes random_content(uint32_t kind)
{
    struct duckling_content duck = {.host = owner_of((uint32_t)dice_below(&dice, OWNERS)),
                                    .display_name = bytes_of_text("duck")};
    struct metrics_content counters = {.pecks = dice_below(&dice, 1000)};
    struct node_content home = {.display_name = bytes_of_text("home")};

    if (kind == RECORD_NODE)
        return node_content_pack(&home, &arena);
    if (kind == RECORD_DUCKLING)
        return duckling_content_pack(&duck, &arena);
    return kind == RECORD_METRICS ? metrics_content_pack(&counters, &arena) : bytes_of(NULL, 0);
}

/* Lives are short here: whether they may be is judged elsewhere. */
static struct record random_record(uint64_t now_ms, uint64_t one_revocation_in)
{
    static const uint32_t kinds[] = {
        RECORD_NODE, RECORD_DUCKLING, RECORD_METRICS, RECORD_SKILL, RECORD_SKILL, RECORD_SKILL, 99};
    static const char keys[] = "abcdefghi";
    uint32_t kind =
        dice_below(&dice, one_revocation_in) == 0 ? RECORD_REVOCATION : kinds[dice_below(&dice, 7)];
    uint64_t late_ms = dice_below(&dice, dice_below(&dice, 4) == 0 ? 30 : 3);
    struct record record = {
        .owner = owner_of((uint32_t)dice_below(&dice, OWNERS)),
        .kind = kind,
        .version = {BORN_MS + now_ms + 2 - late_ms, (uint32_t)dice_below(&dice, 2)},
        .not_after_ms = BORN_MS + now_ms + 10 + dice_below(&dice, 60),
        .deleted = kind != RECORD_REVOCATION && dice_below(&dice, 8) == 0,
    };

    if (kind == RECORD_SKILL || kind == 99)
        record.key = bytes_of(keys + dice_below(&dice, 8), dice_below(&dice, 3));
    if (!record.deleted)
        record.content = random_content(kind);
    hash_fields(&record, dice_below(&dice, 2));
    return record;
}

static bool same_name(const struct record *left, const struct record *right)
{
    return id_equal(&left->owner, &right->owner) && left->kind == right->kind &&
           bytes_equal(left->key, right->key);
}

/* Which of two records of one name is held, wherever both are known? */
static bool wins(const struct record *record, const struct record *over)
{
    if (record->kind == RECORD_REVOCATION && record->not_after_ms != over->not_after_ms)
        return record->not_after_ms > over->not_after_ms;
    return record_is_newer(record->version, &record->hash, over->version, &over->hash);
}

/* ---- the same by the plainest means: lists that are searched from end to end ---- */

#define MODEL_MAX 50
#define MODEL_STEPS 40000
#define MODEL_MARKS_MAX 2000

struct model {
    struct record held[MODEL_MAX];
    size_t count;
    struct record marks[MODEL_MARKS_MAX]; /* the newest that ended of each name */
    size_t mark_count;
    struct directory_proof proofs[OWNERS];
};

static void forget(struct model *model, size_t at)
{
    model->held[at] = model->held[--model->count];
}

static struct record *model_find(struct model *model, const struct id *owner, uint32_t kind)
{
    for (size_t i = 0; i < model->count; i++)
        if (id_equal(&model->held[i].owner, owner) && model->held[i].kind == kind)
            return &model->held[i];
    return NULL;
}

static bool model_knows_node(struct model *model, const struct id *id)
{
    const struct record *held = model_find(model, id, RECORD_NODE);

    return held && !held->deleted;
}

static bool model_is_duckling_at_home(struct model *model, const struct record *record)
{
    struct duckling_content content;

    if (!record || record->kind != RECORD_DUCKLING || record->deleted)
        return false;
    ck_assert_int_eq(duckling_content_parse(record->content, &arena, &content), RECORD_OK);
    return model_knows_node(model, &content.host);
}

static bool model_has_place(struct model *model, const struct record *record)
{
    size_t reserve =
        model_knows_node(model, &record->owner) || model_is_duckling_at_home(model, record) ||
                model_is_duckling_at_home(model, model_find(model, &record->owner, RECORD_DUCKLING))
            ? 0
            : DIRECTORY_RESERVE(MODEL_MAX);

    return model->count + reserve < MODEL_MAX;
}

static enum directory_verdict model_add(struct model *model, const struct record *record)
{
    model->held[model->count++] = *record;
    return DIRECTORY_TAKEN;
}

static enum directory_verdict model_revoke(struct model *model, const struct record *record)
{
    size_t revocations = 0, of_owner = 0;

    for (size_t i = 0; i < model->count; i++) {
        revocations += model->held[i].kind == RECORD_REVOCATION;
        of_owner += id_equal(&model->held[i].owner, &record->owner);
    }
    if (of_owner == 0 &&
        (revocations >= REVOCATIONS_HELD_MAX(MODEL_MAX) || !model_has_place(model, record)))
        return DIRECTORY_FULL;
    for (size_t i = model->count; i-- > 0;)
        if (id_equal(&model->held[i].owner, &record->owner))
            forget(model, i);
    return model_add(model, record);
}

static enum directory_verdict model_newcomer(struct model *model, const struct record *record)
{
    size_t of_owner = 0, oldest = 0;

    if (record->kind == RECORD_REVOCATION)
        return model_revoke(model, record);
    for (size_t i = 0; i < model->mark_count; i++)
        if (same_name(&model->marks[i], record) &&
            version_compare(record->version, model->marks[i].version) <= 0)
            return DIRECTORY_BEHIND;
    for (size_t i = 0; i < model->count; i++)
        if (id_equal(&model->held[i].owner, &record->owner)) {
            const struct record *least = &model->held[oldest], *held = &model->held[i];

            if (of_owner++ == 0 ||
                record_is_newer(least->version, &least->hash, held->version, &held->hash))
                oldest = i;
        }
    if (of_owner < RECORDS_PER_OWNER_MAX)
        return model_has_place(model, record) ? model_add(model, record) : DIRECTORY_FULL;
    if (!record_is_newer(record->version, &record->hash, model->held[oldest].version,
                         &model->held[oldest].hash))
        return DIRECTORY_QUOTA;
    forget(model, oldest);
    return model_add(model, record);
}

static void model_prove(struct model *model, const struct record *one, const struct record *other,
                        uint64_t wall_ms)
{
    bool greater = is_greater(one, other);
    const struct hash *least = greater ? &other->hash : &one->hash;
    const struct hash *most = greater ? &one->hash : &other->hash;

    for (uint32_t i = 0; i < OWNERS; i++) {
        struct directory_proof *proof = &model->proofs[i];
        struct id owner = owner_of(i);

        if (!id_equal(&owner, &one->owner) ||
            (hash_equal(&proof->lesser, least) && hash_equal(&proof->greater, most)))
            continue;
        *proof = (struct directory_proof){
            .lesser = *least, .greater = *most, .until_ms = wall_ms + QUARANTINE_MS};
    }
}

static enum directory_verdict model_offer(struct model *model, const struct record *record,
                                          uint64_t wall_ms)
{
    if (record->kind != RECORD_REVOCATION && model_find(model, &record->owner, RECORD_REVOCATION))
        return DIRECTORY_REVOKED;
    for (size_t i = 0; i < model->count; i++) {
        struct record held = model->held[i];

        if (!same_name(&held, record))
            continue;
        if (hash_equal(&held.hash, &record->hash))
            return DIRECTORY_SAME;
        if (wins(record, &held))
            model->held[i] = *record;
        if (record->kind != RECORD_REVOCATION &&
            version_compare(record->version, held.version) == 0) {
            model_prove(model, record, &held, wall_ms);
            return DIRECTORY_EQUIVOCATION;
        }
        return wins(record, &held) ? DIRECTORY_TAKEN : DIRECTORY_OLDER;
    }
    return model_newcomer(model, record);
}

static void model_mark(struct model *model, const struct record *record)
{
    if (record->kind == RECORD_REVOCATION)
        return;
    for (size_t i = 0; i < model->mark_count; i++)
        if (same_name(&model->marks[i], record)) {
            if (version_compare(record->version, model->marks[i].version) > 0)
                model->marks[i] = *record;
            return;
        }
    ck_assert_uint_lt(model->mark_count, MODEL_MARKS_MAX);
    model->marks[model->mark_count++] = *record;
}

static size_t model_expire(struct model *model, uint64_t wall_ms)
{
    size_t count = 0;

    for (size_t i = model->count; i-- > 0;)
        if (model->held[i].not_after_ms <= wall_ms) {
            model_mark(model, &model->held[i]);
            forget(model, i);
            count++;
        }
    return count;
}

static bool is_held(const struct directory *in, const struct hash *hash)
{
    for (size_t i = 0; i < directory_count(in); i++)
        if (hash_equal(&directory_at(in, i)->hash, hash))
            return true;
    return false;
}

static void compare(const struct directory *with, const struct model *model, uint64_t wall_ms)
{
    struct metrics_content total;
    uint64_t pecks = 0, next_ms = MOMENT_NEVER;
    size_t nodes, counted = 0, live_nodes = 0;

    ck_assert_uint_eq(directory_count(with), model->count);
    for (size_t i = 0; i < model->count; i++) {
        const struct record *held = &model->held[i];
        const struct directory_entry *entry = directory_find(with, &held->owner, held->kind);
        struct metrics_content counters = {0};

        ck_assert(is_held(with, &held->hash));
        if (held->key.size == 0)
            ck_assert(entry && hash_equal(&entry->hash, &held->hash));
        if (held->not_after_ms < next_ms)
            next_ms = held->not_after_ms;
        live_nodes += held->kind == RECORD_NODE && !held->deleted;
        if (held->kind == RECORD_METRICS && !held->deleted) {
            metrics_content_parse(held->content, &counters);
            pecks += counters.pecks;
            counted++;
        }
    }
    directory_metrics(with, &total, &nodes);
    ck_assert_uint_eq(total.pecks, pecks);
    ck_assert_uint_eq(nodes, counted);
    ck_assert_uint_eq(directory_node_count(with), live_nodes);
    ck_assert_uint_eq(directory_next_expiry_ms(with), next_ms);
    ck_assert_uint_eq(directory_mark_count(with), model->mark_count);
    for (uint32_t i = 0; i < OWNERS; i++) {
        struct id owner = owner_of(i);

        ck_assert(directory_quarantined(with, &owner, wall_ms) ==
                  (model->proofs[i].until_ms > wall_ms));
    }
}

START_TEST(a_directory_does_what_plain_lists_do)
{
    static struct model model;
    struct directory *small = directory_of(MODEL_MAX);
    unsigned seen[DIRECTORY_VERDICTS] = {0};

    for (uint64_t step = 0; step < MODEL_STEPS; step++) {
        uint64_t now_ms =
            step / 40 + step / 4 * (step >= MODEL_STEPS / 2); /* a crowd, then a few */
        uint64_t wall_ms = BORN_MS + now_ms;
        struct record record = step % 5 == 4 && model.count > 0
                                   ? model.held[dice_below(&dice, model.count)]
                                   : random_record(now_ms, 60);
        enum directory_verdict verdict = model_offer(&model, &record, wall_ms);
        struct directory_drop ended[MODEL_MAX];

        ck_assert_int_eq(directory_offer(small, &record, wall_ms, &outcome), verdict);
        ck_assert(outcome.taken == is_held(small, &record.hash) || verdict == DIRECTORY_SAME);
        seen[verdict]++;
        if (step % 50 == 0)
            ck_assert_uint_eq(directory_expire(small, wall_ms, ended, MODEL_MAX),
                              model_expire(&model, wall_ms));
        if (step % 7 == 0)
            compare(small, &model, wall_ms);
    }
    for (int verdict = 0; verdict < DIRECTORY_VERDICTS; verdict++) {
        ck_assert_msg(seen[verdict] > 0, "%s", directory_verdict_name(verdict));
        ck_assert_uint_gt(strlen(directory_verdict_text(verdict)), 0);
    }
    directory_free(small);
    directory_free(NULL);
}
END_TEST

/* ---- the order does not matter ---- */

#define OFFERS 600
#define ORDERS 5
#define ROUNDS 60

static void shuffle(struct record *records, size_t count)
{
    for (size_t i = count - 1; i > 0; i--) {
        size_t j = dice_below(&dice, i + 1);
        struct record kept = records[i];

        records[i] = records[j];
        records[j] = kept;
    }
}

/* By the definition: is this record one of those that are held once all were offered? */
static bool should_be_held(const struct record *records, size_t count, const struct record *record)
{
    struct record newer[OFFERS]; /* of other names of its owner */
    size_t newer_count = 0;

    for (size_t i = 0; i < count; i++) {
        const struct record *other = &records[i];
        size_t known = 0;

        if (!id_equal(&other->owner, &record->owner))
            continue;
        if (other->kind == RECORD_REVOCATION && record->kind != RECORD_REVOCATION)
            return false;
        if (same_name(other, record)) {
            if (wins(other, record))
                return false;
            continue;
        }
        if (!record_is_newer(other->version, &other->hash, record->version, &record->hash))
            continue;
        while (known < newer_count && !same_name(&newer[known], other))
            known++;
        if (known == newer_count)
            newer[newer_count++] = *other;
    }
    return record->kind == RECORD_REVOCATION || newer_count < RECORDS_PER_OWNER_MAX;
}

static void offer_all(struct directory *to, struct record *records, uint64_t wall_ms,
                      unsigned seen[DIRECTORY_VERDICTS])
{
    shuffle(records, OFFERS);
    for (size_t i = 0; i < OFFERS; i++)
        if (records[i].not_after_ms > wall_ms)
            seen[directory_offer(to, &records[i], wall_ms, &outcome)]++;
}

static void compare_directories(struct directory *const *list)
{
    for (size_t n = 1; n < ORDERS; n++) {
        ck_assert_uint_eq(directory_count(list[n]), directory_count(list[0]));
        ck_assert_uint_eq(directory_mark_count(list[n]), directory_mark_count(list[0]));
        for (size_t i = 0; i < directory_count(list[n]); i++)
            ck_assert(is_held(list[0], &directory_at(list[n], i)->hash));
    }
}

/* Once whole; then some have ended, and all come again in other orders. */
START_TEST(the_order_of_offers_does_not_matter)
{
    static struct record records[OFFERS];
    struct directory *list[ORDERS];
    unsigned seen[DIRECTORY_VERDICTS] = {0};
    struct directory_drop ended[OFFERS];

    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < OFFERS; i++)
            records[i] = i % 5 == 4 ? records[dice_below(&dice, i)] /* said twice */
                                    : random_record(dice_below(&dice, 8), 300);
        for (size_t n = 0; n < ORDERS; n++) {
            list[n] = directory_of(1000 + n);
            offer_all(list[n], records, BORN_MS, seen);
            for (size_t i = 0; i < OFFERS; i++)
                ck_assert(is_held(list[n], &records[i].hash) ==
                          should_be_held(records, OFFERS, &records[i]));
        }
        compare_directories(list);
        for (size_t n = 0; n < ORDERS; n++) {
            directory_expire(list[n], BORN_MS + 30, ended, OFFERS);
            offer_all(list[n], records, BORN_MS + 30, seen);
        }
        compare_directories(list);
        for (size_t n = 0; n < ORDERS; n++)
            directory_free(list[n]);
    }
    for (int verdict = 0; verdict < DIRECTORY_VERDICTS; verdict++)
        ck_assert_msg((seen[verdict] > 0) == (verdict != DIRECTORY_FULL), "%s",
                      directory_verdict_name(verdict));
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
    tcase_add_test(tcase, what_ended_does_not_come_back);
    tcase_add_test(tcase, a_mark_rises_and_never_falls);
    tcase_add_test(tcase, a_mark_ends_when_no_older_record_can_be_alive);
    tcase_add_test(tcase, what_ended_long_ago_leaves_no_mark);
    tcase_add_test(tcase, a_mark_outlives_a_restart);
    tcase_add_test(tcase, too_many_marks_lose_those_that_end_first);
    tcase_add_test(tcase, two_records_of_one_version_are_a_proof);
    tcase_add_test(tcase, a_quarantine_lasts_a_day_and_repeating_does_not_prolong_it);
    tcase_add_test(tcase, who_is_quarantined_may_say_newer_things);
    tcase_add_test(tcase, too_many_proofs_lose_the_oldest);
    tcase_add_test(tcase, a_proof_outlives_a_restart);
    tcase_add_test(tcase, a_revocation_drops_all_and_refuses_all);
    tcase_add_test(tcase, the_revocation_that_ends_later_is_held);
    tcase_add_test(tcase, what_was_said_before_a_revocation_does_not_outlive_it);
    tcase_add_test(tcase, strangers_cannot_fill_a_directory_with_revocations);
    tcase_add_test(tcase, a_full_directory_takes_the_revocation_of_whom_it_holds);
    tcase_add_test(tcase, live_nodes_have_numbers);
    tcase_add_test(tcase, the_content_of_a_node_is_at_hand);
    tcase_add_test(tcase, directories_share_what_they_know_of_a_record);
    tcase_add_test(tcase, an_entry_costs_less_than_40_bytes_a_directory);
    tcase_add_test(tcase, totals_are_sums_over_the_nodes);
    tcase_add_test(tcase, a_node_that_boasts_is_forgotten_whole);
    tcase_add_test(tcase, kinds_are_counted_and_strange_ones_are_not);
    tcase_add_test(tcase, a_directory_does_what_plain_lists_do);
    tcase_add_test(tcase, the_order_of_offers_does_not_matter);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
