/* directory_bed: a directory, and records for it that nobody signed. Tests include it once. */
#ifndef TESTS_SUPPORT_DIRECTORY_BED_H
#define TESTS_SUPPORT_DIRECTORY_BED_H

#include "core/dice.h"
#include "core/directory.h"

#include <check.h>

#ifndef BORN_MS /* as in births.h */
#define BORN_MS 1790000000000ull
#endif
#define MANY 300

static struct record_pool *pool;
static struct directory *directory;
static struct directory_outcome outcome; /* of the last offer */
static struct arena arena;
static struct dice dice;

static inline struct directory *directory_of(size_t records_max)
{
    struct directory_settings settings = {
        .records_max = records_max, .pool = pool, .seed = {(uint8_t)records_max}};

    return directory_new(&settings);
}

static inline void set_up(void)
{
    pool = record_pool_new((const uint8_t[RECORD_POOL_SEED_SIZE]){7});
    directory = directory_of(0);
    arena_init(&arena, 256 * MIB);
    dice_init_number(&dice, 1);
}

static inline void tear_down(void)
{
    directory_free(directory);
    ck_assert_uint_eq(record_pool_count(pool), 0); /* all was given back */
    record_pool_free(pool);
    arena_free(&arena);
}

/* ---- records ---- */

static inline struct id owner_of(uint32_t number)
{
    struct hash hash = hash_of(bytes_of(&number, sizeof number));

    return id_of(&hash);
}

static inline struct record packed(struct record record)
{
    struct bytes body;

    ck_assert_int_eq(record_pack(&record, &arena, &body), RECORD_OK);
    return record;
}

/* Version and end are counted from BORN_MS. */
static inline struct record skill(uint32_t owner, const char *key, uint64_t version_ms, uint64_t end_ms)
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

static inline struct record duckling(uint32_t owner, uint64_t version_ms, uint32_t host)
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

static inline struct record metrics(uint32_t owner, uint64_t version_ms, uint64_t pecks)
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

static inline struct record node(uint32_t owner, uint64_t version_ms)
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

static inline struct record revocation(uint32_t owner, uint64_t version_ms, uint64_t life_ms)
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
static inline struct record twin(struct record record, const char *content)
{
    record.content = arena_copy(&arena, bytes_of_text(content));
    return packed(record);
}

static inline bool is_greater(const struct record *record, const struct record *than)
{
    return memcmp(record->hash.bytes, than->hash.bytes, HASH_SIZE) > 0;
}

static inline struct record deleted(struct record record)
{
    record.version.ms++;
    record.deleted = true;
    record.content = bytes_of(NULL, 0);
    return packed(record);
}

/* Before any of them ends. */
static inline enum directory_verdict offer_to(struct directory *to, const struct record *record)
{
    return directory_offer(to, record, BORN_MS, &outcome);
}

static inline enum directory_verdict offer(struct record record)
{
    return offer_to(directory, &record);
}

static inline bool has_replaced_nothing(void)
{
    static const struct hash zero;

    return hash_equal(&outcome.replaced.hash, &zero);
}

/* All hashes that are held. */
static inline size_t held_hashes(const struct directory *of, struct hash *hashes, size_t max)
{
    size_t count = directory_count(of) < max ? directory_count(of) : max;

    for (size_t i = 0; i < count; i++)
        hashes[i] = directory_at(of, i)->hash;
    return count;
}

static inline bool holds(const struct record *record)
{
    for (size_t i = 0; i < directory_count(directory); i++)
        if (hash_equal(&directory_at(directory, i)->hash, &record->hash))
            return true;
    return false;
}

#endif
