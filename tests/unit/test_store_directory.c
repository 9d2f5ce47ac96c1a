/* directory.db: what it keeps beside node.db, what is left out of searches, how it is lost and made
 * anew. */
#include "clock.h"
#include "core/contradiction.h"
#include "store_bed.h"
#include "store_internal.h"

#include <sys/stat.h>

static struct bed bed;
static struct store_reader *reader;
static const struct moment later = {.now_ms = 5000, .wall_ms = THINGS_WALL_MS + MINUTE_MS};

static void make(void)
{
    bed_make(&bed);
    ck_assert_int_eq(store_reader_open(&reader, bed.path), 0);
}

static void unmake(void)
{
    store_reader_close(reader);
    bed_free(&bed);
}

/* ---- ducklings that cost no signature ---- */

struct crowd {
    struct effect *effects;
    size_t count;
};

/* `count` ducklings with ids of their own, as if alice's chain were theirs. */
static struct crowd make_crowd(size_t count, const char *capability, const char *bio)
{
    static uint32_t number;
    struct crowd crowd = {memory_take(count * sizeof *crowd.effects), count};

    for (size_t i = 0; i < count; i++) {
        char name[32], able[NAME_MAX_BYTES + 1];
        const char *capabilities[] = {able, NULL};
        struct author author = bed.alice;

        number++;
        crypto_generichash(author.id.bytes, ID_SIZE, (const uint8_t *)&number, sizeof number, NULL,
                           0);
        snprintf(name, sizeof name, "Duck %u", number);
        snprintf(able, sizeof able, "%s%zu", capability, i);
        crowd.effects[i] = make_duckling_record(&author, &bed.node.id, name, bio, capabilities,
                                                THINGS_WALL_MS, &bed.arena);
    }
    return crowd;
}

static void keep_crowd(const struct crowd *crowd)
{
    bed_keep(&bed, crowd->effects, crowd->count);
}

static size_t count_pages(struct directory_filter filter, size_t *pages)
{
    static struct stored_duckling found[256];
    struct arena arena;
    size_t count = 0;
    uint64_t next;

    arena_init(&arena, 4 * MIB);
    filter.wall_ms = THINGS_WALL_MS + 10;
    filter.limit = 256;
    *pages = 0;
    do {
        arena_reset(&arena);
        count += store_view_directory(reader, &filter, &arena, found, &next);
        ck_assert(next == 0 || next > filter.after);
        filter.after = next;
        ++*pages;
    } while (next > 0);
    arena_free(&arena);
    return count;
}

static size_t count_found(struct directory_filter filter)
{
    size_t pages;

    return count_pages(filter, &pages);
}

/* ---- many ---- */

START_TEST(filed_identities_are_found_like_fresh_ones)
{
    struct crowd crowd = make_crowd(STORE_FRESH_MAX + 10 * STORE_FILED_AT_ONCE, "task", "");
    struct effect drop = {.kind = EFFECT_DROP_RECORD};
    int64_t filed = 0, fresh = 0;

    keep_crowd(&crowd);
    keep_crowd(&(struct crowd){crowd.effects, 1}); /* the next turn files */
    store_read_number(&bed.store->directory, "SELECT count(*) FROM identity_filed", &filed);
    store_read_number(&bed.store->directory, "SELECT count(*) FROM identity_fresh", &fresh);
    ck_assert_int_eq(filed + fresh, (int64_t)crowd.count);
    ck_assert_int_gt(filed, 0);
    ck_assert_int_le(fresh, STORE_FRESH_MAX);
    ck_assert_int_eq(fresh, bed.store->fresh);
    for (size_t i = 0; i < crowd.count; i += 97) {
        const struct record *record = &crowd.effects[i].record.item.record;

        ck_assert_uint_eq(count_found((struct directory_filter){.duckling = record->owner}), 1);
        ck_assert_ptr_nonnull(store_view_chain(reader, &record->owner, &bed.arena).data);
        drop.record.dropped = record->hash;
        bed_keep(&bed, &drop, 1);
        ck_assert_uint_eq(count_found((struct directory_filter){.duckling = record->owner}), 0);
    }
    memory_give_back(crowd.effects);
}
END_TEST

START_TEST(a_turn_that_filed_and_is_taken_back_filed_no_identity)
{
    struct crowd crowd = make_crowd(STORE_FRESH_MAX + 1, "task", "");
    int64_t filed = 1;

    keep_crowd(&crowd);
    ck_assert_int_eq(store_begin(bed.store), 0);
    ck_assert_int_eq(store_keep(bed.store, &crowd.effects[0]), 0);
    store_roll_back(bed.store);
    ck_assert_int_eq(bed.store->fresh, STORE_FRESH_MAX + 1);
    store_read_number(&bed.store->directory, "SELECT count(*) FROM identity_filed", &filed);
    ck_assert_int_eq(filed, 0);
    memory_give_back(crowd.effects);
}
END_TEST

START_TEST(a_beginning_that_many_capabilities_share_finds_all)
{
    const char *const beginnings[] = {"task*", "task1*", "ta*", "*"};
    struct crowd some = make_crowd(SEARCH_ENDINGS_MAX + 20, "task", "");
    struct crowd others = make_crowd(30, "other", "");
    size_t found[] = {some.count, 1 + 10, some.count, some.count + others.count};

    keep_crowd(&some);
    keep_crowd(&others);
    ck_assert_uint_eq(
        count_found((struct directory_filter){.capability = bytes_of_text(beginnings[_i])}),
        found[_i]);
    memory_give_back(some.effects);
    memory_give_back(others.effects);
}
END_TEST

/* One in three thousand is looked for, behind so many that one page does not look at them all. */
START_TEST(a_page_looks_at_so_many_and_the_next_goes_on)
{
    struct crowd others = make_crowd(3 * SEARCH_LOOKED_AT_MAX / 2, "other", "");
    struct crowd some = make_crowd(1, "task", "");
    struct directory_filter filter = {.bonded = true};
    size_t pages;

    keep_crowd(&others);
    keep_crowd(&some);
    ck_assert_uint_eq(count_pages(filter, &pages), 0);
    ck_assert_uint_eq(pages, 2);
    memory_give_back(some.effects);
    memory_give_back(others.effects);
}
END_TEST

/* ---- hashes ---- */

START_TEST(a_number_is_found_by_its_hash_until_it_is_dropped)
{
    struct record_numbers numbers = {0};
    struct hash hash = {{0}};
    size_t at;

    for (int64_t i = 1; i <= 5000; i++) {
        memcpy(hash.bytes, &i, sizeof i);
        record_numbers_add(&numbers, &hash, i << 5);
    }
    for (int64_t i = 1; i <= 5000; i += 2) {
        memcpy(hash.bytes, &i, sizeof i);
        record_numbers_drop(&numbers, &hash, i << 5);
    }
    ck_assert_uint_eq(numbers.count, 2500);
    for (int64_t i = 1; i <= 5001; i++) {
        int64_t number, found = 0;

        at = 0;
        memcpy(hash.bytes, &i, sizeof i);
        while ((number = record_numbers_next(&numbers, &hash, &at)) > 0)
            found += number == i << 5;
        ck_assert_int_eq(found, i % 2 == 0);
    }
    record_numbers_drop(&numbers, &hash, 1);
    ck_assert_uint_eq(numbers.count, 2500);
    record_numbers_free(&numbers);
    at = 0;
    ck_assert_int_eq(record_numbers_next(&numbers, &hash, &at), 0);
}
END_TEST

START_TEST(records_are_found_by_hash_before_anything_is_restored)
{
    struct effect keep =
        make_duckling_record(&bed.bob, &bed.node.id, "Bob", "", NULL, THINGS_WALL_MS, &bed.arena);
    struct bytes wire, chain;
    size_t found;

    bed_keep(&bed, &keep, 1);
    bed_close(&bed);
    bed_open(&bed);
    ck_assert_int_eq(store_read_records(bed.store, &keep.record.item.record.hash, 1, &bed.arena,
                                        &wire, &chain, &found),
                     0);
    ck_assert_uint_eq(found, 1);
    ck_assert(bytes_equal(wire, keep.record.item.wire));
}
END_TEST

static const char *directory_path(void)
{
    static char path[96];

    snprintf(path, sizeof path, "%s/directory.db", bed.directory);
    return path;
}

static void spoil_wire(struct bytes wire)
{
    uint8_t *spoiled = memory_copy(wire.data, wire.size);
    sqlite3_stmt *statement;
    sqlite3 *database;

    spoiled[wire.size / 2] ^= 1;
    ck_assert_int_eq(sqlite3_open(directory_path(), &database), SQLITE_OK);
    ck_assert_int_eq(
        sqlite3_prepare_v2(database, "UPDATE record_wire SET wire = ?1", -1, &statement, NULL),
        SQLITE_OK);
    sqlite3_bind_blob(statement, 1, spoiled, (int)wire.size, SQLITE_STATIC);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_DONE);
    sqlite3_finalize(statement);
    sqlite3_close(database);
    memory_give_back(spoiled);
}

/* Whoever sent such a record would be taken for a forger. */
START_TEST(a_record_that_the_disk_changed_is_not_read_and_the_file_is_made_anew)
{
    struct effect keep =
        make_duckling_record(&bed.bob, &bed.node.id, "Bob", "", NULL, THINGS_WALL_MS, &bed.arena);
    struct bytes wire, chain;
    size_t found;

    bed_keep(&bed, &keep, 1);
    bed_close(&bed);
    spoil_wire(keep.record.item.wire);
    bed_open(&bed);
    ck_assert_int_eq(store_read_records(bed.store, &keep.record.item.record.hash, 1, &bed.arena,
                                        &wire, &chain, &found),
                     0);
    ck_assert_uint_eq(found, 0);
    ck_assert_int_eq(store_begin(bed.store), 0);
    ck_assert_int_ne(store_keep(bed.store, &keep),
                     0); /* this turn is undone, and the file remade */
    store_roll_back(bed.store);
    bed_keep(&bed, &keep, 1);
    ck_assert_int_eq(store_read_records(bed.store, &keep.record.item.record.hash, 1, &bed.arena,
                                        &wire, &chain, &found),
                     0);
    ck_assert_uint_eq(found, 1);
}
END_TEST

START_TEST(a_turn_that_is_taken_back_leaves_no_record)
{
    struct effect keep =
        make_duckling_record(&bed.bob, &bed.node.id, "Bob", "", NULL, THINGS_WALL_MS, &bed.arena);
    struct bytes wire, chain;
    size_t found;

    ck_assert_int_eq(store_begin(bed.store), 0);
    ck_assert_int_eq(store_keep(bed.store, &keep), 0);
    store_roll_back(bed.store);
    ck_assert_int_eq(store_read_records(bed.store, &keep.record.item.record.hash, 1, &bed.arena,
                                        &wire, &chain, &found),
                     0);
    ck_assert_uint_eq(found, 0);
    ck_assert_uint_eq(count_found((struct directory_filter){0}), 0);
}
END_TEST

/* ---- owners ---- */

START_TEST(an_owner_has_as_many_records_as_it_may)
{
    struct effect keep, drop = {.kind = EFFECT_DROP_RECORD};
    struct restored restored;
    char key[8];

    for (int i = 0; i < (int)RECORDS_PER_OWNER_MAX; i++) {
        snprintf(key, sizeof key, "%d", i);
        keep = make_record(&bed.bob, RECORD_SKILL, key, THINGS_WALL_MS, bytes_of_text("x"), false,
                           &bed.arena);
        bed_keep(&bed, &keep, 1);
        if (i == 3)
            drop.record.dropped = keep.record.item.record.hash;
    }
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.records, RECORDS_PER_OWNER_MAX);
    bed_keep(&bed, &drop, 1);
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.records, RECORDS_PER_OWNER_MAX - 1);
    keep = make_record(&bed.bob, RECORD_SKILL, "new", THINGS_WALL_MS, bytes_of_text("x"), false,
                       &bed.arena);
    bed_keep(&bed, &keep, 1); /* in the place that is free */
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.records, RECORDS_PER_OWNER_MAX);
}
END_TEST

START_TEST(of_two_chains_the_longer_is_shown_wherever_it_is)
{
    struct id certificate;
    struct bytes rotated = author_rotated_chain(&bed.alice, &bed.arena, &certificate);
    struct effect keep =
        make_duckling_record(&bed.alice, &bed.node.id, "Al", "", NULL, THINGS_WALL_MS, &bed.arena);

    bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0}); /* with the short one, in node.db */
    bed_keep(&bed, &keep, 1);
    ck_assert(bytes_equal(store_view_chain(reader, &bed.alice.id, &bed.arena), bed.alice.chain));
    keep.record.item.chain = rotated;
    bed_keep(&bed, &keep, 1);
    ck_assert(bytes_equal(store_view_chain(reader, &bed.alice.id, &bed.arena), rotated));
    ck_assert(
        bytes_equal(store_view_chain_of_certificate(reader, &certificate, &bed.arena), rotated));
}
END_TEST

/* ---- what a start needs ---- */

START_TEST(what_memory_needs_of_a_record_is_restored)
{
    struct metrics_content counted = {.pecks = 7}, counters;
    struct effect keep;
    struct restored restored;
    struct duckling_content duckling;

    keep = make_duckling_record(&bed.bob, &bed.node.id, "Bob", "a bio", NULL, THINGS_WALL_MS,
                                &bed.arena);
    bed_keep(&bed, &keep, 1);
    bed_restore(&bed, &later, &restored);
    ck_assert_int_eq(duckling_content_parse(restored.record.content, &bed.arena, &duckling),
                     RECORD_OK);
    ck_assert(id_equal(&duckling.host, &bed.node.id));
    ck_assert(duckling.accepts_pecks);
    ck_assert(id_equal(&restored.record.owner, &bed.bob.id));
    ck_assert_uint_eq(restored.record.not_after_ms, THINGS_WALL_MS + RECORD_LIFE_MS);
    keep.record.dropped = keep.record.item.record.hash;
    keep.kind = EFFECT_DROP_RECORD;
    bed_keep(&bed, &keep, 1);
    keep = make_record(&bed.node, RECORD_METRICS, "", THINGS_WALL_MS,
                       metrics_content_pack(&counted, &bed.arena), false, &bed.arena);
    bed_keep(&bed, &keep, 1);
    bed_restore(&bed, &later, &restored);
    ck_assert_int_eq(metrics_content_parse(restored.record.content, &counters), RECORD_OK);
    ck_assert_uint_eq(counters.pecks, 7);
}
END_TEST

/* Proven by the record's own bytes, after a restart too; and shown, until the proof goes. */
START_TEST(whom_a_record_proves_contradicted_is_restored_and_shown)
{
    struct hash promises[2] = {{.bytes = {1}}, {.bytes = {2}}};
    uint8_t seeds[2][SEED_SIZE] = {{1}, {2}}, next_seed[SEED_SIZE] = {9};
    struct identity_key *key = identity_key_new(seeds[0]), *next = identity_key_new(next_seed);
    struct public_key next_public = identity_key_public(next);
    struct certificate_wish birth = {.kind = IDENTITY_DUCKLING,
                                     .display_name = bytes_of_text("Duck"),
                                     .issued_ms = THINGS_WALL_MS - DAY_MS,
                                     .not_after_ms = THINGS_WALL_MS + CERTIFICATE_LIFE_MS,
                                     .next_key_hash = identity_key_hash(&next_public)};
    struct effect keep = {.kind = EFFECT_KEEP_RECORD};
    struct offered_record *item = &keep.record.item;
    struct chain born, chains[2];
    struct contradiction_wish wish = {.network = bytes_of_text(THINGS_NETWORK),
                                      .one = &chains[0],
                                      .other = &chains[1],
                                      .now_ms = THINGS_WALL_MS,
                                      .seed = seeds[1]};
    struct envelope envelope;
    struct restored restored;
    struct bytes certificate;
    struct id duck, found[2];

    certificate = certificate_make(&birth, key, &bed.arena, &duck);
    ck_assert_int_eq(chain_open(chain_pack(&certificate, 1, &bed.arena), &bed.arena, &born),
                     CERTIFICATE_TAKEN);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(
            chain_open(chain_lengthen(&born, next, &promises[i], THINGS_WALL_MS, &bed.arena),
                       &bed.arena, &chains[i]),
            CERTIFICATE_TAKEN);
    identity_key_free(key);
    identity_key_free(next);
    ck_assert_int_eq(contradiction_make(&wish, &bed.arena, &item->wire, &item->chain),
                     CONTRADICTION_PROVEN);
    ck_assert_int_eq(envelope_parse(item->wire, ENVELOPE_RECORD, &bed.arena, &envelope),
                     ENVELOPE_TAKEN);
    ck_assert_int_eq(record_parse(envelope.body, &bed.arena, &item->record), RECORD_OK);
    item->record.contradicted = duck;
    bed_keep(&bed, &keep, 1);
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.records, 1);
    ck_assert(id_equal(&restored.record.contradicted, &duck));
    ck_assert_uint_eq(store_view_contradicted(reader, found, 2), 1);
    ck_assert(id_equal(&found[0], &duck));
    ck_assert(store_view_is_contradicted(reader, &duck));
    ck_assert(!store_view_is_contradicted(reader, &bed.bob.id));
    keep.record.dropped = item->record.hash;
    keep.kind = EFFECT_DROP_RECORD;
    bed_keep(&bed, &keep, 1);
    ck_assert_uint_eq(store_view_contradicted(reader, found, 2), 0);
}
END_TEST

START_TEST(a_dropped_record_leaves_the_mark_that_is_asked_for)
{
    uint64_t until_ms = clock_wall_ms() + DAY_MS;
    struct effect keep = make_duckling_record(&bed.bob, &bed.node.id, "Bob", "", NULL,
                                              THINGS_WALL_MS + 5, &bed.arena);
    struct effect drop = {.kind = EFFECT_DROP_RECORD};
    struct restored restored;

    drop.record.dropped = keep.record.item.record.hash;
    bed_keep(&bed, &keep, 1);
    bed_keep(&bed, &drop, 1); /* 0: none */
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.marks, 0);
    drop.record.mark_until_ms = until_ms;
    bed_keep(&bed, &keep, 1);
    bed_keep(&bed, &drop, 1);
    bed_keep(&bed, &drop, 1); /* it is gone: nothing happens */
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.marks, 1);
    ck_assert_uint_eq(restored.mark_kind, RECORD_DUCKLING);
    ck_assert_uint_eq(restored.mark_version.ms, THINGS_WALL_MS + 5);
    ck_assert_uint_eq(restored.mark_until_ms, until_ms);
    bed_restore(&bed, &(struct moment){.wall_ms = until_ms}, &restored);
    ck_assert_uint_eq(restored.marks, 0); /* its time is over */
}
END_TEST

START_TEST(a_mark_is_never_lowered_and_goes_when_its_time_is_over)
{
    struct effect drop = {.kind = EFFECT_DROP_RECORD,
                          .record = {.mark_until_ms = clock_wall_ms() + DAY_MS}};
    struct effect newer = make_duckling_record(&bed.bob, &bed.node.id, "Bob", "", NULL,
                                               THINGS_WALL_MS + 5, &bed.arena);
    struct effect older =
        make_duckling_record(&bed.bob, &bed.node.id, "Bob", "", NULL, THINGS_WALL_MS, &bed.arena);
    struct restored restored;
    int64_t marks = 0;

    drop.record.dropped = newer.record.item.record.hash;
    bed_keep(&bed, &newer, 1);
    bed_keep(&bed, &drop, 1);
    drop.record.dropped = older.record.item.record.hash;
    bed_keep(&bed, &older, 1);
    bed_keep(&bed, &drop, 1);
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.mark_version.ms, THINGS_WALL_MS + 5);
    drop.record.mark_until_ms = 1;
    drop.record.dropped = newer.record.item.record.hash;
    newer.record.item.record.kind = RECORD_SKILL; /* another name */
    bed_keep(&bed, &newer, 1);
    bed_keep(&bed, &drop, 1);
    store_read_number(&bed.store->directory, "SELECT count(*) FROM mark", &marks);
    ck_assert_int_eq(marks, 1);
}
END_TEST

/* ---- proofs ---- */

static struct effect prove(const char *one, const char *other, struct effect *held)
{
    struct effect proof = {.kind = EFFECT_KEEP_PROOF};
    struct effect said =
        make_duckling_record(&bed.bob, &bed.node.id, other, "", NULL, THINGS_WALL_MS, &bed.arena);

    *held = make_duckling_record(&bed.bob, &bed.node.id, one, "", NULL, THINGS_WALL_MS, &bed.arena);
    proof.proof.owner = bed.bob.id;
    proof.proof.wires[0] = said.record.item.wire;
    proof.proof.other = held->record.item.record.hash;
    proof.proof.quarantine_until_ms = clock_wall_ms() + DAY_MS;
    return proof;
}

START_TEST(a_proof_comes_back_with_both_hashes)
{
    struct effect held, proof = prove("Bob", "Rob", &held);
    struct restored restored;

    bed_keep(&bed, &held, 1);
    bed_keep(&bed, &proof, 1);
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.proofs, 1);
    ck_assert(id_equal(&restored.proof.owner, &bed.bob.id));
    ck_assert_uint_eq(restored.proof.kind, RECORD_DUCKLING);
    ck_assert_uint_eq(restored.proof.version.ms, THINGS_WALL_MS);
    ck_assert_uint_eq(restored.proof.until_ms, proof.proof.quarantine_until_ms);
    ck_assert_int_lt(memcmp(restored.proof.lesser.bytes, restored.proof.greater.bytes, HASH_SIZE),
                     0);
    ck_assert(hash_equal(&restored.proof.lesser, &held.record.item.record.hash) ||
              hash_equal(&restored.proof.greater, &held.record.item.record.hash));
}
END_TEST

START_TEST(a_proof_of_what_is_not_held_quarantines_and_is_no_proof)
{
    struct effect held, proof = prove("Bob", "Rob", &held);
    struct restored restored;

    bed_keep(&bed, &proof, 1);
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.proofs, 0);
}
END_TEST

START_TEST(so_many_proofs_are_kept_and_the_oldest_go)
{
    struct effect held, proof = prove("Bob", "Rob", &held);
    struct effect *proofs = memory_take((PROOFS_MAX + 1) * sizeof *proofs);
    int64_t count = 0, oldest = 0;

    proof.proof.wires[1] = held.record.item.wire;
    for (uint32_t i = 0; i <= PROOFS_MAX; i++) {
        proofs[i] = proof;
        memcpy(proofs[i].proof.owner.bytes, &i, sizeof i);
    }
    bed_keep(&bed, proofs, PROOFS_MAX + 1);
    store_read_number(&bed.store->directory, "SELECT count(*) FROM proof", &count);
    store_read_number(&bed.store->directory, "SELECT min(number) FROM proof", &oldest);
    ck_assert_int_eq(count, PROOFS_MAX);
    ck_assert_int_eq(oldest, 2);
    memory_give_back(proofs);
}
END_TEST

/* ---- who is left out ---- */

START_TEST(whoever_is_in_quarantine_is_not_shown_until_it_is_over)
{
    struct directory_filter filter = {.wall_ms = THINGS_WALL_MS + 10, .limit = 1};
    struct effect held, proof = prove("Bob", "Rob", &held);
    struct stored_duckling found;
    uint64_t next;

    held.record.item.record.not_after_ms = proof.proof.quarantine_until_ms + DAY_MS;
    bed_keep(&bed, &held, 1);
    ck_assert_uint_eq(store_view_directory(reader, &filter, &bed.arena, &found, &next), 1);
    bed_keep(&bed, &proof, 1);
    ck_assert_uint_eq(store_view_directory(reader, &filter, &bed.arena, &found, &next), 0);
    filter.wall_ms = proof.proof.quarantine_until_ms;
    ck_assert_uint_eq(store_view_directory(reader, &filter, &bed.arena, &found, &next), 1);
}
END_TEST

START_TEST(whoever_is_revoked_is_not_shown)
{
    struct effect keep[2];

    keep[0] =
        make_duckling_record(&bed.bob, &bed.node.id, "Bob", "", NULL, THINGS_WALL_MS, &bed.arena);
    keep[1] = keep[0];
    keep[1].record.item.record.kind = RECORD_REVOCATION; /* the store looks at no more of it */
    keep[1].record.item.record.hash.bytes[0] ^= 1;
    bed_keep(&bed, keep, 1);
    ck_assert_uint_eq(count_found((struct directory_filter){0}), 1);
    bed_keep(&bed, &keep[1], 1);
    ck_assert_uint_eq(count_found((struct directory_filter){0}), 0);
}
END_TEST

START_TEST(those_on_dead_hosts_are_left_out)
{
    struct id dead[3] = {{{1}}, {{2}}, {{0}}};
    struct effect keep[2];

    keep[0] =
        make_duckling_record(&bed.bob, &bed.node.id, "Bob", "", NULL, THINGS_WALL_MS, &bed.arena);
    keep[1] =
        make_duckling_record(&bed.alice, &bed.bob.id, "Al", "", NULL, THINGS_WALL_MS, &bed.arena);
    bed_keep(&bed, keep, 2);
    ck_assert_uint_eq(
        count_found((struct directory_filter){.dead_hosts = dead, .dead_host_count = 2}), 2);
    dead[2] = bed.node.id;
    if (id_compare(&dead[1], &dead[2]) > 0) { /* in their order */
        dead[2] = dead[1];
        dead[1] = bed.node.id;
    }
    if (id_compare(&dead[0], &dead[1]) > 0) {
        struct id first = dead[0];

        dead[0] = dead[1];
        dead[1] = first;
    }
    ck_assert_uint_eq(
        count_found((struct directory_filter){.dead_hosts = dead, .dead_host_count = 3}), 1);
}
END_TEST

/* ---- a file that is lost ---- */

static void write_over(const char *path, long at, const char *bytes)
{
    FILE *file = fopen(path, "r+b");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fseek(file, at, SEEK_SET), 0);
    ck_assert_uint_eq(fwrite(bytes, 1, strlen(bytes), file), strlen(bytes));
    ck_assert_int_eq(fclose(file), 0);
}

static struct effect keep_bob(void)
{
    struct effect keep =
        make_duckling_record(&bed.bob, &bed.node.id, "Bob", "", NULL, THINGS_WALL_MS, &bed.arena);

    keep.record.own = keep.record.dated_here = true;
    bed_keep(&bed, &keep, 1);
    return keep;
}

static void spoil_nothing(void)
{
}

static void spoil_by_loss(void)
{
    ck_assert_int_eq(unlink(directory_path()), 0);
}

static void spoil_head(void)
{
    write_over(directory_path(), 0, "this is not a database");
}

static size_t find_bob(void)
{
    struct directory_filter filter = {
        .duckling = bed.bob.id, .wall_ms = THINGS_WALL_MS, .limit = 2};
    struct stored_duckling ducklings[2];
    uint64_t next;

    return store_view_directory(reader, &filter, &bed.arena, ducklings, &next);
}

static void put_wire(struct bytes wire)
{
    sqlite3_stmt *statement;
    sqlite3 *database;

    ck_assert_int_eq(sqlite3_open(directory_path(), &database), SQLITE_OK);
    ck_assert_int_eq(
        sqlite3_prepare_v2(database, "UPDATE record_wire SET wire = ?1", -1, &statement, NULL),
        SQLITE_OK);
    sqlite3_bind_blob(statement, 1, wire.data, (int)wire.size, SQLITE_STATIC);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_DONE);
    sqlite3_finalize(statement);
    sqlite3_close(database);
}

/* A bit that turned is found by the hash; one of another owner's, though it holds, by its own. */
START_TEST(a_record_that_is_not_what_was_kept_is_not_shown)
{
    struct effect keep =
        make_duckling_record(&bed.bob, &bed.node.id, "Bob", "", NULL, THINGS_WALL_MS, &bed.arena);
    struct effect other =
        make_duckling_record(&bed.alice, &bed.node.id, "Bob", "", NULL, THINGS_WALL_MS, &bed.arena);
    struct bytes wire = keep.record.item.wire;
    uint8_t *turned = memory_copy(wire.data, wire.size);
    size_t shown = 0;

    bed_keep(&bed, &keep, 1);
    ck_assert_uint_eq(find_bob(), 1);
    for (size_t i = 0; i < wire.size; i++) {
        turned[i] ^= 1;
        put_wire(bytes_of(turned, wire.size));
        shown += find_bob();
        turned[i] ^= 1;
    }
    ck_assert_uint_eq(shown, SIGNATURE_SIZE); /* whoever checks that finds out */
    put_wire(other.record.item.wire);
    ck_assert_uint_eq(find_bob(), 0);
    put_wire(bytes_of(wire.data, wire.size - 1));
    ck_assert_uint_eq(find_bob(), 0);
    put_wire(wire);
    ck_assert_uint_eq(find_bob(), 1);
    memory_give_back(turned);
}
END_TEST

START_TEST(a_certificate_is_had_by_the_owner_whose_chain_it_is_in)
{
    struct id certificate;
    struct bytes rotated = author_rotated_chain(&bed.alice, &bed.arena, &certificate);
    struct effect keep =
        make_duckling_record(&bed.alice, &bed.node.id, "Al", "", NULL, THINGS_WALL_MS, &bed.arena);

    keep.record.item.chain = rotated;
    ck_assert(!store_view_has_certificate(reader, &bed.alice.id, &certificate));
    bed_keep(&bed, &keep, 1);
    ck_assert(store_view_has_certificate(reader, &bed.alice.id, &certificate));
    ck_assert(!store_view_has_certificate(reader, &bed.bob.id, &certificate));
    ck_assert(!store_view_has_certificate(reader, &bed.alice.id, &bed.bob.id));
}
END_TEST

static void spoil_schema(void)
{
    write_over(directory_path(), 100, "\xff\xff\xff\xff\xff\xff");
}

static void spoil_by_sql(const char *sql)
{
    sqlite3 *database;

    ck_assert_int_eq(sqlite3_open(directory_path(), &database), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(database), SQLITE_OK);
}

static void spoil_version(void)
{
    spoil_by_sql("PRAGMA user_version = 1");
}

static void spoil_application(void)
{
    spoil_by_sql("PRAGMA application_id = 1");
}

static void spoil_origin(void)
{
    spoil_by_sql("UPDATE origin SET node = zeroblob(20)");
}

static void spoil_mode(void)
{
    ck_assert_int_eq(chmod(directory_path(), 0644), 0);
}

static void spoil_by_link(void)
{
    ck_assert_int_eq(unlink(directory_path()), 0);
    ck_assert_int_eq(symlink(bed.path, directory_path()), 0);
}

START_TEST(a_lost_directory_is_made_anew_and_the_rest_stands)
{
    static void (*const spoilers[])(void) = {spoil_nothing, spoil_by_loss, spoil_head,
                                             spoil_schema,  spoil_version, spoil_application,
                                             spoil_origin,  spoil_mode,    spoil_by_link};
    struct effect peck = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    struct restored restored;
    struct stat status;

    keep_bob();
    bed_close(&bed);
    spoilers[_i]();
    bed_open(&bed);
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.records, _i == 0);
    ck_assert_uint_eq(restored.received, 1);
    ck_assert_uint_eq(restored.floor.ms, THINGS_WALL_MS);
    ck_assert(id_equal(&restored.received_entries[0].peck, &peck.peck.id));
    keep_bob();
    ck_assert_uint_eq(count_found((struct directory_filter){0}), 1);
    ck_assert_int_eq(lstat(directory_path(), &status), 0);
    ck_assert(S_ISREG(status.st_mode) && (status.st_mode & 0777) == 0600);
}
END_TEST

/* Every page but the first, behind the back of a store whose cache is empty. */
static void spoil_all_pages(void)
{
    struct stat status;
    FILE *file = fopen(directory_path(), "r+b");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(stat(directory_path(), &status), 0);
    ck_assert_int_eq(fseek(file, 4096, SEEK_SET), 0);
    for (long i = 4096; i < status.st_size; i++)
        ck_assert_int_ne(fputc(0xA5, file), EOF);
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(a_directory_that_breaks_while_the_node_runs_is_made_anew)
{
    struct effect keep = keep_bob(), peck;
    struct restored restored;

    bed_close(&bed);
    bed_open(&bed);
    sqlite3_db_release_memory(bed.store->directory.database);
    spoil_all_pages();
    peck =
        make_peck(&bed.alice, &bed.bob.id, BOX_IN, PECK_TAKEN, &(struct peck_wish){0}, &bed.arena);
    ck_assert_int_eq(store_begin(bed.store), 0);
    ck_assert_int_eq(store_keep(bed.store, &peck), 0);
    ck_assert_int_eq(store_keep(bed.store, &keep), FAULT_CORRUPT); /* of the turn nothing stays */
    ck_assert_int_eq(store_commit(bed.store), FAULT_CORRUPT);
    ck_assert(!store_is_io_broken(bed.store));
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.records, 0);
    ck_assert_uint_eq(restored.received, 0);
    bed_keep(&bed, &peck, 1);
    bed_keep(&bed, &keep, 1);
    ck_assert_uint_eq(count_found((struct directory_filter){0}), 1); /* the reader follows */
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.records, 1);
}
END_TEST

START_TEST(a_directory_that_cannot_be_read_at_the_start_leaves_the_rest)
{
    struct metrics_content counters;
    struct restored restored = {.bed = &bed};
    struct version floor;

    keep_bob();
    bed_close(&bed);
    bed_open(&bed);
    sqlite3_db_release_memory(bed.store->directory.database);
    spoil_all_pages();
    ck_assert_int_ne(store_restore(bed.store, &later, restored_take, &restored, &counters, &floor),
                     0);
    ck_assert(!store_is_io_broken(bed.store));
    bed_restore(&bed, &later, &restored); /* so the loop tries again */
    ck_assert_uint_eq(restored.records, 0);
    ck_assert_uint_eq(restored.floor.ms, THINGS_WALL_MS);
}
END_TEST

START_TEST(a_reader_without_a_directory_finds_nobody_and_then_somebody)
{
    struct store_reader *early;
    struct directory_filter filter = {.wall_ms = THINGS_WALL_MS + 10, .limit = 1};
    struct stored_duckling found;
    char hidden[128];
    uint64_t next;

    keep_bob();
    bed_close(&bed);
    snprintf(hidden, sizeof hidden, "%s.hidden", directory_path());
    ck_assert_int_eq(rename(directory_path(), hidden), 0);
    ck_assert_int_eq(store_reader_open(&early, bed.path), 0);
    ck_assert_uint_eq(store_view_directory(early, &filter, &bed.arena, &found, &next), 0);
    ck_assert_ptr_null(store_view_node_record(early, &bed.node.id, &bed.arena).data);
    ck_assert_int_eq(rename(hidden, directory_path()), 0);
    bed_open(&bed);
    ck_assert_uint_eq(store_view_directory(early, &filter, &bed.arena, &found, &next), 1);
    store_reader_close(early);
}
END_TEST

START_TEST(a_directory_without_room_undoes_the_turn_and_goes_on)
{
    struct crowd crowd = make_crowd(200, "task", "some words in a bio");
    struct effect peck =
        make_peck(&bed.alice, &bed.bob.id, BOX_IN, PECK_TAKEN, &(struct peck_wish){0}, &bed.arena);
    enum peck_state state;
    size_t kept = 0;

    sqlite3_exec(bed.store->directory.database, "PRAGMA max_page_count = 40", NULL, NULL, NULL);
    ck_assert_int_eq(store_begin(bed.store), 0);
    ck_assert_int_eq(store_keep(bed.store, &peck), 0);
    while (kept < crowd.count && store_keep(bed.store, &crowd.effects[kept]) == 0)
        kept++;
    ck_assert_uint_lt(kept, crowd.count);
    ck_assert_int_eq(store_commit(bed.store), FAULT_DISK_FULL);
    ck_assert(!store_is_io_broken(bed.store));
    ck_assert(!store_knows_peck(bed.store, &peck.peck.id, &state));
    ck_assert_uint_eq(count_found((struct directory_filter){0}), 0);
    sqlite3_exec(bed.store->directory.database, "PRAGMA max_page_count = 100000", NULL, NULL, NULL);
    bed_keep(&bed, &peck, 1);
    keep_crowd(&crowd);
    ck_assert_uint_eq(count_found((struct directory_filter){0}), crowd.count);
    memory_give_back(crowd.effects);
}
END_TEST

/* ---- from version 1 ---- */

/* What changed since then, the other way round; the records' tables as they were. */
static const char back_to_version_1[] =
    "DROP TABLE bond_thread; DROP TABLE ending; DROP TABLE partial;"
    "ALTER TABLE peck DROP COLUMN cancelling;"
    "ALTER TABLE bond DROP COLUMN per_minute; ALTER TABLE bond DROP COLUMN per_day;"
    "ALTER TABLE bond DROP COLUMN budget; ALTER TABLE bond DROP COLUMN rounds;"
    "ALTER TABLE bond DROP COLUMN cool_down_ms; ALTER TABLE bond DROP COLUMN muted_until_ms;"
    "ALTER TABLE bond DROP COLUMN stop_words; ALTER TABLE bond DROP COLUMN terms_ms;"
    "ALTER TABLE bond DROP COLUMN day; ALTER TABLE bond DROP COLUMN used_today;"
    "ALTER TABLE bond DROP COLUMN spent;"
    "ALTER TABLE identity ADD COLUMN pinned INTEGER NOT NULL DEFAULT 1;"
    "CREATE TABLE record (number INTEGER PRIMARY KEY, name INTEGER NOT NULL, hash BLOB NOT NULL, "
    "owner BLOB NOT NULL, kind INTEGER NOT NULL, key BLOB NOT NULL, version_ms INTEGER NOT NULL, "
    "version_count INTEGER NOT NULL, not_after_ms INTEGER NOT NULL, deleted INTEGER NOT NULL, "
    "host BLOB, wire BLOB NOT NULL) STRICT;"
    "CREATE TABLE capability (name TEXT NOT NULL, owner BLOB NOT NULL, record INTEGER NOT NULL "
    "REFERENCES record (number) ON DELETE CASCADE, PRIMARY KEY (name, owner)) STRICT, WITHOUT "
    "ROWID;"
    "CREATE TABLE bonded (owner BLOB NOT NULL, subject BLOB NOT NULL, not_after_ms INTEGER NOT "
    "NULL, record INTEGER NOT NULL UNIQUE REFERENCES record (number) ON DELETE CASCADE, "
    "PRIMARY KEY (owner, subject)) STRICT, WITHOUT ROWID;"
    "CREATE VIRTUAL TABLE duckling_text USING fts5 (display_name, bio, capabilities);"
    "INSERT INTO identity (id, chain, pinned) VALUES (zeroblob(20), x'00', 0);"
    "INSERT INTO certificate SELECT zeroblob(20), number FROM identity WHERE pinned = 0;"
    "INSERT INTO record VALUES (1, 1, zeroblob(32), zeroblob(20), 2, x'', 1, 0, 2, 0, NULL, x'');"
    "INSERT INTO capability VALUES ('web', zeroblob(20), 1);"
    "ALTER TABLE hosted DROP COLUMN told_tier; ALTER TABLE hosted DROP COLUMN told_pieces;"
    "DROP TABLE pin; DROP TABLE audit_page; DROP TABLE audit_checkpoint; DROP TABLE audit_signer;"
    "DROP TABLE voucher; DROP TABLE trust; ALTER TABLE hosted DROP COLUMN least_tier;"
    "ALTER TABLE hosted DROP COLUMN open_actions;"
    "ALTER TABLE peck DROP COLUMN conversation;"
    "DROP TABLE grant_block; DROP TABLE revocation; DROP TABLE pre_key; DROP TABLE perched; DROP "
    "TABLE deposit;"
    "DROP TABLE lobster; DROP TABLE context; DROP TABLE peck_context; DROP TABLE shown_context;"
    "ALTER TABLE node DROP COLUMN restored_ms; ALTER TABLE node DROP COLUMN catching_up;"
    "ALTER TABLE hosted DROP COLUMN outgrown;"
    "ALTER TABLE peck_wire DROP COLUMN count; DROP TABLE receipt_wires;"
    "ALTER TABLE taken_receipt DROP COLUMN wires; ALTER TABLE taken_receipt DROP COLUMN place;"
    "ALTER TABLE done_receipt DROP COLUMN wires; ALTER TABLE done_receipt DROP COLUMN place;"
    "PRAGMA user_version = 1";

START_TEST(a_database_of_the_first_release_is_brought_along)
{
    struct hosted hosted = {.id = bed.bob.id, .chain = bed.bob.chain};
    struct effect effect = {.kind = EFFECT_KEEP_DUCKLING, .duckling = &hosted};
    struct effect peck = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    struct restored restored;
    int64_t left = 1, version = 0;
    sqlite3 *database;

    hosted.profile.display_name = bytes_of_text("Bob");
    memset(hosted.seed, 4, sizeof hosted.seed);
    bed_keep(&bed, &effect, 1);
    keep_bob();
    bed_close(&bed);
    ck_assert_int_eq(unlink(directory_path()), 0);
    ck_assert_int_eq(sqlite3_open(bed.path, &database), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(database, back_to_version_1, NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(database), SQLITE_OK);

    bed_open(&bed);
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.floor.ms, THINGS_WALL_MS);
    ck_assert_uint_eq(restored.ducklings, 1);
    ck_assert_mem_eq(restored.duckling.seed, hosted.seed, SEED_SIZE);
    ck_assert_uint_eq(restored.received, 1);
    ck_assert(id_equal(&restored.received_entries[0].peck, &peck.peck.id));
    ck_assert(bytes_equal(store_view_chain(reader, &bed.alice.id, &bed.arena), bed.alice.chain));
    store_read_number(&bed.store->connection, "PRAGMA user_version", &version);
    ck_assert_int_eq(version, STORE_VERSION);
    store_read_number(&bed.store->connection,
                      "SELECT count(*) FROM identity WHERE id = zeroblob(20)", &left);
    ck_assert_int_eq(left, 0);
    store_read_number(&bed.store->connection,
                      "SELECT count(*) FROM sqlite_schema WHERE name = 'record'", &left);
    ck_assert_int_eq(left, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store directory");
    TCase *cases = tcase_create("directory");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(cases, make, unmake);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, a_record_that_is_not_what_was_kept_is_not_shown);
    tcase_add_test(cases, a_certificate_is_had_by_the_owner_whose_chain_it_is_in);
    tcase_add_test(cases, filed_identities_are_found_like_fresh_ones);
    tcase_add_test(cases, a_turn_that_filed_and_is_taken_back_filed_no_identity);
    tcase_add_loop_test(cases, a_beginning_that_many_capabilities_share_finds_all, 0, 4);
    tcase_add_test(cases, a_page_looks_at_so_many_and_the_next_goes_on);
    tcase_add_test(cases, a_number_is_found_by_its_hash_until_it_is_dropped);
    tcase_add_test(cases, records_are_found_by_hash_before_anything_is_restored);
    tcase_add_test(cases, a_record_that_the_disk_changed_is_not_read_and_the_file_is_made_anew);
    tcase_add_test(cases, a_turn_that_is_taken_back_leaves_no_record);
    tcase_add_test(cases, an_owner_has_as_many_records_as_it_may);
    tcase_add_test(cases, of_two_chains_the_longer_is_shown_wherever_it_is);
    tcase_add_test(cases, what_memory_needs_of_a_record_is_restored);
    tcase_add_test(cases, whom_a_record_proves_contradicted_is_restored_and_shown);
    tcase_add_test(cases, a_dropped_record_leaves_the_mark_that_is_asked_for);
    tcase_add_test(cases, a_mark_is_never_lowered_and_goes_when_its_time_is_over);
    tcase_add_test(cases, a_proof_comes_back_with_both_hashes);
    tcase_add_test(cases, a_proof_of_what_is_not_held_quarantines_and_is_no_proof);
    tcase_add_test(cases, so_many_proofs_are_kept_and_the_oldest_go);
    tcase_add_test(cases, whoever_is_in_quarantine_is_not_shown_until_it_is_over);
    tcase_add_test(cases, whoever_is_revoked_is_not_shown);
    tcase_add_test(cases, those_on_dead_hosts_are_left_out);
    tcase_add_loop_test(cases, a_lost_directory_is_made_anew_and_the_rest_stands, 0, 9);
    tcase_add_test(cases, a_directory_that_breaks_while_the_node_runs_is_made_anew);
    tcase_add_test(cases, a_directory_that_cannot_be_read_at_the_start_leaves_the_rest);
    tcase_add_test(cases, a_reader_without_a_directory_finds_nobody_and_then_somebody);
    tcase_add_test(cases, a_directory_without_room_undoes_the_turn_and_goes_on);
    tcase_add_test(cases, a_database_of_the_first_release_is_brought_along);
    suite_add_tcase(suite, cases);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
