/* A directory does what plain lists do, and the order of offers does not matter. */
#include "directory_bed.h"

#include <stdio.h>
#include <stdlib.h>

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
    Suite *suite = suite_create("directory laws");
    TCase *tcase = tcase_create("directory");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 100);
    tcase_add_test(tcase, a_directory_does_what_plain_lists_do);
    tcase_add_test(tcase, the_order_of_offers_does_not_matter);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
