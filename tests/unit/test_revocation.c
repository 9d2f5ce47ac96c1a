/* A revocation, as somebody checks it who has only the certificates. */
#include "births.h"
#include "core/revocation.h"

#include <check.h>
#include <stdlib.h>

#define REVOKED_MS (BORN_MS + 2 * HOUR_MS)

static struct arena arena;
static struct id duck;
static struct chain chain;
static struct identity_key *live, *next;

static struct hash promise_of(const struct identity_key *key)
{
    struct public_key public = identity_key_public(key);

    return identity_key_hash(&public);
}

static void set_up(void)
{
    ck_assert(identity_self_test());
    arena_init(&arena, 64 * MIB);
    live = birth_key(10);
    next = birth_key(11);
    ck_assert_int_eq(
        chain_open(birth_chain(IDENTITY_DUCKLING, 10, 1, &arena, &duck), &arena, &chain),
        CERTIFICATE_TAKEN);
}

static void tear_down(void)
{
    identity_key_free(live);
    identity_key_free(next);
    arena_free(&arena);
}

static struct bytes say(const struct id *owner, const struct identity_key *key, uint64_t version_ms)
{
    struct revocation_content content = {
        .subject = *owner, .reason = bytes_of_text("stolen"), .revoked_at_ms = version_ms};
    struct record record = {.network = bytes_of_text("pond"),
                            .owner = *owner,
                            .kind = RECORD_REVOCATION,
                            .version = {version_ms, 0},
                            .not_after_ms = version_ms + REVOCATION_LIFE_MAX_MS};
    struct bytes body;

    record.content = revocation_content_pack(&content, &arena);
    ck_assert_int_eq(record_pack(&record, &arena, &body), RECORD_OK);
    return envelope_seal(ENVELOPE_RECORD, owner, key, body, &arena, NULL);
}

static enum revocation_verdict judge(struct bytes wire)
{
    struct revocation_content content;

    return revocation_open(wire, &chain, &arena, &content);
}

START_TEST(what_its_owner_signed_holds_and_says_since_when_and_why)
{
    struct revocation_content content = {0};

    ck_assert_int_eq(revocation_open(say(&duck, live, REVOKED_MS), &chain, &arena, &content),
                     REVOCATION_HOLDS);
    ck_assert_uint_eq(content.revoked_at_ms, REVOKED_MS);
    ck_assert(bytes_equal(content.reason, bytes_of_text("stolen")));
}
END_TEST

START_TEST(a_turned_bit_is_seen_wherever_it_is)
{
    struct bytes wire = say(&duck, live, REVOKED_MS);
    uint8_t *turned = arena_take(&arena, wire.size);

    for (size_t bit = 0; bit < 8 * wire.size; bit++) {
        memcpy(turned, wire.data, wire.size);
        turned[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        ck_assert_int_ne(judge(bytes_of(turned, wire.size)), REVOCATION_HOLDS);
    }
}
END_TEST

START_TEST(another_key_and_another_identity_revoke_nothing)
{
    struct id other = {{7}};

    ck_assert_int_eq(judge(say(&duck, next, REVOKED_MS)), REVOCATION_BAD_SIGNATURE);
    ck_assert_int_eq(judge(say(&other, live, REVOKED_MS)), REVOCATION_OTHER_IDENTITY);
    ck_assert_int_eq(judge(bytes_of_text("no record")), REVOCATION_MALFORMED);
}
END_TEST

START_TEST(a_key_that_was_rotated_cannot_date_one_back)
{
    struct identity_key *third = birth_key(120);
    struct hash promise = promise_of(third);
    struct bytes longer = chain_lengthen(&chain, next, &promise, BORN_MS + HOUR_MS, &arena);

    identity_key_free(third);
    ck_assert_int_eq(chain_open(longer, &arena, &chain), CERTIFICATE_TAKEN);
    ck_assert_int_eq(judge(say(&duck, live, REVOKED_MS)), REVOCATION_BAD_SIGNATURE);
    ck_assert_int_eq(judge(say(&duck, live, REVOKED_MS - HOUR_MS - 1)), REVOCATION_BAD_SIGNATURE);
    ck_assert_int_eq(judge(say(&duck, next, REVOKED_MS)), REVOCATION_HOLDS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("revocation");
    TCase *tests = tcase_create("offline");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, what_its_owner_signed_holds_and_says_since_when_and_why);
    tcase_add_test(tests, a_turned_bit_is_seen_wherever_it_is);
    tcase_add_test(tests, another_key_and_another_identity_revoke_nothing);
    tcase_add_test(tests, a_key_that_was_rotated_cannot_date_one_back);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
