/* The proof that an identity has two certificates of one number, and what it does in a directory. */
#include "core/contradiction.h"
#include "core/directory.h"
#include "core/intake.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define BORN_MS 1790000000000ull
#define DAYS(n) (BORN_MS + (n)*DAY_MS)

static struct arena memory;
static struct chain one, other; /* alike up to their last certificate */
static uint8_t carrier_seed[SEED_SIZE];

static struct identity_key *key_of(uint8_t byte)
{
    uint8_t seed[SEED_SIZE];

    memset(seed, byte, SEED_SIZE);
    return identity_key_new(seed);
}

static struct hash promise_of(uint8_t byte)
{
    struct identity_key *key = key_of(byte);
    struct public_key public = identity_key_public(key);

    identity_key_free(key);
    return identity_key_hash(&public);
}

static struct chain born(uint8_t byte)
{
    struct certificate_wish birth = {.kind = IDENTITY_DUCKLING,
                                     .display_name = bytes_of_text("Duck"),
                                     .issued_ms = BORN_MS,
                                     .not_after_ms = BORN_MS + CERTIFICATE_LIFE_MS,
                                     .next_key_hash = promise_of((uint8_t)(byte + 1))};
    struct identity_key *key = key_of(byte);
    struct bytes certificate;
    struct chain chain;
    struct id identity;

    certificate = certificate_make(&birth, key, &memory, &identity);
    identity_key_free(key);
    ck_assert_int_eq(chain_open(chain_pack(&certificate, 1, &memory), &memory, &chain),
                     CERTIFICATE_TAKEN);
    return chain;
}

/* By the key that was promised; what it promises tells two rotations apart. */
static struct chain rotated(const struct chain *chain, uint8_t byte, uint8_t promise)
{
    struct hash hash = promise_of(promise);
    struct identity_key *key = key_of(byte);
    struct chain longer;

    ck_assert_int_eq(
        chain_open(chain_lengthen(chain, key, &hash, DAYS(1), &memory), &memory, &longer),
        CERTIFICATE_TAKEN);
    identity_key_free(key);
    return longer;
}

static void set_up(void)
{
    struct chain first;

    ck_assert(identity_self_test());
    arena_init(&memory, 64 * MIB);
    first = born(1);
    one = rotated(&first, 2, 3);
    other = rotated(&first, 2, 4);
    memset(carrier_seed, 50, SEED_SIZE);
}

static void tear_down(void)
{
    arena_free(&memory);
}

static enum contradiction_verdict make(const struct chain *left, const struct chain *right,
                                       struct record *record)
{
    struct contradiction_wish wish = {.network = bytes_of_text("pond"),
                                      .one = left,
                                      .other = right,
                                      .now_ms = DAYS(2),
                                      .seed = carrier_seed};
    struct bytes wire, chain;
    struct envelope envelope;
    enum contradiction_verdict verdict = contradiction_make(&wish, &memory, &wire, &chain);

    if (verdict != CONTRADICTION_PROVEN) {
        ck_assert_uint_eq(wire.size, 0);
        return verdict;
    }
    ck_assert_uint_le(wire.size, RECORD_SIZE_MAX);
    ck_assert_int_eq(envelope_parse(wire, ENVELOPE_RECORD, &memory, &envelope), ENVELOPE_TAKEN);
    ck_assert_int_eq(record_parse(envelope.body, &memory, record), RECORD_OK);
    ck_assert(contradiction_carries(chain));
    carrier_seed[0]++; /* the next one has another carrier */
    return verdict;
}

static struct record proof(void)
{
    struct record record;

    ck_assert_int_eq(make(&one, &other, &record), CONTRADICTION_PROVEN);
    ck_assert_int_eq(contradiction_read(&record, &memory, &record.contradicted),
                     CONTRADICTION_PROVEN);
    return record;
}

START_TEST(two_certificates_of_one_number_are_proven)
{
    struct record record = proof();

    ck_assert(id_equal(&record.contradicted, &one.identity));
    ck_assert(!id_equal(&record.owner, &one.identity));
    ck_assert_uint_eq(record.not_after_ms - record.version.ms, REVOCATION_LIFE_MAX_MS);
}
END_TEST

START_TEST(what_came_behind_them_is_left_out)
{
    struct chain longer = rotated(&one, 3, 9);
    struct record record;
    struct id contradicted;

    ck_assert_int_eq(make(&other, &longer, &record), CONTRADICTION_PROVEN);
    ck_assert_int_eq(contradiction_read(&record, &memory, &contradicted), CONTRADICTION_PROVEN);
    ck_assert(id_equal(&contradicted, &one.identity));
}
END_TEST

START_TEST(a_longer_chain_contradicts_nobody)
{
    struct chain longer = rotated(&one, 3, 9), stranger = born(80);
    struct record record;

    ck_assert_int_eq(make(&one, &longer, &record), CONTRADICTION_AGREES);
    ck_assert_int_eq(make(&one, &one, &record), CONTRADICTION_AGREES);
    ck_assert_int_eq(make(&one, &stranger, &record), CONTRADICTION_AGREES);
}
END_TEST

/* As many as fit are proven, and one more is said to be too many. */
START_TEST(a_record_has_room_for_so_many_certificates)
{
    struct chain trunk = born(1), left, right;
    enum contradiction_verdict verdict = CONTRADICTION_PROVEN;
    struct record record;
    size_t count;

    for (count = 2; verdict == CONTRADICTION_PROVEN; count++) {
        left = rotated(&trunk, (uint8_t)count, (uint8_t)(count + 1));
        right = rotated(&trunk, (uint8_t)count, 200);
        verdict = make(&left, &right, &record);
        trunk = left;
    }
    ck_assert_int_eq(verdict, CONTRADICTION_TOO_LARGE);
    ck_assert_uint_ge(count, 9); /* eight rotations can be proven */
    ck_assert_uint_le(count, CONTRADICTION_CERTIFICATES_MAX + 2);
}
END_TEST

static enum contradiction_verdict read_changed(struct revocation_content *content)
{
    struct record record = proof();
    struct id contradicted;

    content->subject = record.owner;
    content->revoked_at_ms = DAYS(2);
    record.content = revocation_content_pack(content, &memory);
    return contradiction_read(&record, &memory, &contradicted);
}

START_TEST(what_does_not_hold_proves_nothing)
{
    struct bytes wires[2] = {one.certificates[0].wire, one.certificates[1].wire};
    struct revocation_content content = {.has_contradicted = true,
                                         .contradicted = one.identity,
                                         .trunk = chain_pack(wires, 2, &memory),
                                         .branch = other.certificates[1].wire};
    struct revocation_content good = content;
    struct chain stranger = born(80);
    uint8_t turned[1024];

    ck_assert_int_eq(read_changed(&good), CONTRADICTION_PROVEN);
    content.has_contradicted = false;
    ck_assert_int_eq(read_changed(&content), CONTRADICTION_NONE);
    content = good;
    content.branch = one.certificates[1].wire;
    ck_assert_int_eq(read_changed(&content), CONTRADICTION_AGREES);
    content.branch = stranger.certificates[0].wire;
    ck_assert_int_eq(read_changed(&content), CONTRADICTION_MALFORMED);
    content = good;
    content.contradicted = stranger.identity; /* somebody is to be put away */
    ck_assert_int_eq(read_changed(&content), CONTRADICTION_MALFORMED);
    content = good;
    memcpy(turned, good.branch.data, good.branch.size);
    turned[good.branch.size - 1] ^= 1;
    content.branch = bytes_of(turned, good.branch.size);
    ck_assert_int_eq(read_changed(&content), CONTRADICTION_MALFORMED);
    content.branch = bytes_of(NULL, 0);
    ck_assert_int_eq(read_changed(&content), CONTRADICTION_MALFORMED);
    for (int i = CONTRADICTION_PROVEN; i <= CONTRADICTION_TOO_LARGE; i++)
        ck_assert_uint_gt(strlen(contradiction_verdict_text((enum contradiction_verdict)i)), 0);
}
END_TEST

/* Two that have next keys could prove each other contradicted: whoever comes first would put the other out. */
START_TEST(who_promised_a_key_or_was_rotated_carries_no_proof)
{
    struct keyring *ring = keyring_new(8);
    struct intake *intake =
        intake_new(&(struct intake_settings){.network = bytes_of_text("pond"), .keyring = ring});
    struct bytes wires[2] = {one.certificates[0].wire, one.certificates[1].wire};
    struct chain carrier = born(90);
    struct identity_key *key = key_of(90);
    struct revocation_content content = {.subject = carrier.identity,
                                         .revoked_at_ms = DAYS(2),
                                         .has_contradicted = true,
                                         .contradicted = one.identity,
                                         .trunk = chain_pack(wires, 2, &memory),
                                         .branch = other.certificates[1].wire};
    struct record record = {.network = bytes_of_text("pond"),
                            .owner = carrier.identity,
                            .kind = RECORD_REVOCATION,
                            .version = {DAYS(2), 0},
                            .not_after_ms = DAYS(2) + REVOCATION_LIFE_MAX_MS,
                            .content = revocation_content_pack(&content, &memory)};
    struct bytes body, wire;
    struct event event;
    struct id peck;
    char reason[160];
    size_t refused;

    ck_assert(!contradiction_carries(carrier.wire));
    ck_assert(!contradiction_carries(one.wire));
    ck_assert(!contradiction_carries(bytes_of(NULL, 0)));
    ck_assert_int_eq(record_pack(&record, &memory, &body), RECORD_OK);
    wire = envelope_seal(ENVELOPE_RECORD, &carrier.identity, key, body, &memory, NULL);
    ck_assert_int_eq(intake_open(intake, FRAME_RECORDS,
                                 frame_pack_records(&carrier.wire, &wire, 1, &memory), DAYS(2),
                                 &memory, &event, &peck, &refused, reason),
                     INTAKE_TAKEN);
    ck_assert_uint_eq(event.records.count, 1); /* it revokes its own owner, and no more */
    ck_assert(id_is_zero(&event.records.items[0].record.contradicted));
    identity_key_free(key);
    intake_free(intake);
    keyring_free(ring);
}
END_TEST

/* ---- in a directory ---- */

static struct record said_by(const struct id *owner, enum record_kind kind)
{
    struct record record = {
        .owner = *owner, .kind = kind, .version = {DAYS(1), 0}, .not_after_ms = DAYS(3)};

    if (kind == RECORD_REVOCATION)
        record.not_after_ms = DAYS(1) + REVOCATION_LIFE_MAX_MS;
    record.hash = hash_of(bytes_of(&record, sizeof record));
    return record;
}

#define OFFERS 4u

/* All orders of a record, a revocation, and two proofs that two nodes made: the same is held at the end. */
START_TEST(whatever_comes_first_the_same_is_held)
{
    struct record offers[OFFERS] = {said_by(&one.identity, RECORD_SKILL),
                                    said_by(&one.identity, RECORD_REVOCATION), proof(), proof()};
    uint8_t seed[RECORD_POOL_SEED_SIZE] = {1};
    unsigned orders = 0;

    for (unsigned code = 0; code < OFFERS * OFFERS * OFFERS * OFFERS; code++) {
        unsigned at[OFFERS] = {code % 4, code / 4 % 4, code / 16 % 4, code / 64};
        struct record_pool *pool;
        struct directory_settings settings = {0};
        struct directory_outcome outcome;
        struct directory *directory;

        if ((1u << at[0] | 1u << at[1] | 1u << at[2] | 1u << at[3]) != 15)
            continue;
        orders++;
        pool = settings.pool = record_pool_new(seed);
        directory = directory_new(&settings);
        for (unsigned i = 0; i < OFFERS; i++)
            directory_offer(directory, &offers[at[i]], DAYS(2), &outcome);
        ck_assert_uint_eq(directory_count(directory), 2);
        ck_assert_uint_eq(directory_count_of(directory, &one.identity), 0);
        ck_assert(directory_contradicted(directory, &one.identity));
        ck_assert(directory_revoked(directory, &one.identity));
        ck_assert_uint_eq(directory_contradicted_count(directory), 1);
        directory_free(directory);
        record_pool_free(pool);
    }
    ck_assert_uint_eq(orders, 24);
}
END_TEST

START_TEST(a_proof_that_ends_ends_the_quarantine)
{
    uint8_t seed[RECORD_POOL_SEED_SIZE] = {1};
    struct record record = proof(), late = said_by(&one.identity, RECORD_SKILL);
    struct directory_settings settings = {.pool = record_pool_new(seed)};
    struct directory *directory = directory_new(&settings);
    struct directory_drop drops[2];
    struct directory_outcome outcome;

    ck_assert_int_eq(directory_offer(directory, &record, DAYS(2), &outcome), DIRECTORY_TAKEN);
    ck_assert_int_eq(directory_offer(directory, &late, DAYS(2), &outcome), DIRECTORY_REVOKED);
    ck_assert_uint_eq(directory_expire(directory, record.not_after_ms + 1, drops, 2), 1);
    ck_assert(!directory_contradicted(directory, &one.identity));
    ck_assert_uint_eq(directory_contradicted_count(directory), 0);
    directory_free(directory);
    record_pool_free(settings.pool);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("contradiction");
    TCase *tests = tcase_create("proofs");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, two_certificates_of_one_number_are_proven);
    tcase_add_test(tests, what_came_behind_them_is_left_out);
    tcase_add_test(tests, a_longer_chain_contradicts_nobody);
    tcase_add_test(tests, a_record_has_room_for_so_many_certificates);
    tcase_add_test(tests, what_does_not_hold_proves_nothing);
    tcase_add_test(tests, who_promised_a_key_or_was_rotated_carries_no_proof);
    tcase_add_test(tests, whatever_comes_first_the_same_is_held);
    tcase_add_test(tests, a_proof_that_ends_ends_the_quarantine);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
