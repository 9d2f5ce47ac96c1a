#include "births.h"
#include "core/context.h"
#include "core/grant.h"
#include "core/record.h"
#include "wire/certificate.pb-c.h"

#include <sodium.h>
#include <stdlib.h>

#define KEYS 500     /* of the duckling: certificate n is signed by birth_key(KEYS + n) */
#define OWN_KEY 900u /* of the context */

static struct arena arena;
static struct bytes chain_wire;
static struct chain chain; /* of two certificates */
static struct id duckling;
static struct bytes scopes[CERTIFICATE_SCOPES_MAX + 1];

static void set_up(void)
{
    ck_assert(identity_self_test());
    arena_init(&arena, 64 * MIB);
    chain_wire = birth_chain(IDENTITY_DUCKLING, KEYS, 2, &arena, &duckling);
    ck_assert_int_eq(chain_open(chain_wire, &arena, &chain), CERTIFICATE_TAKEN);
    for (size_t i = 0; i <= CERTIFICATE_SCOPES_MAX; i++)
        scopes[i] = bytes_of_text(i == 0 ? "data.read" : "deploy.*");
}

static void tear_down(void)
{
    arena_free(&arena);
}

/* Under the chain's last certificate. */
static struct context_wish wish_of(size_t scope_count)
{
    return (struct context_wish){.identity = duckling,
                                 .name = bytes_of_text("deploys"),
                                 .public_key = birth_public_key(OWN_KEY),
                                 .scopes = scopes,
                                 .scope_count = scope_count,
                                 .issued_ms = BORN_MS + 2 * ROTATED_EVERY_MS,
                                 .not_after_ms = BORN_MS + 3 * ROTATED_EVERY_MS,
                                 .certificate = chain.certificates[1].hash};
}

static enum context_verdict make(const struct context_wish *wish, uint32_t by, struct bytes *wire)
{
    struct identity_key *key = birth_key(by);
    enum context_verdict verdict = context_make(wish, key, &arena, wire);

    identity_key_free(key);
    return verdict;
}

static struct bytes made(const struct context_wish *wish)
{
    struct bytes wire;

    ck_assert_int_eq(make(wish, KEYS + 1, &wire), CONTEXT_OK);
    return wire;
}

static struct context context_of(const struct context_wish *wish)
{
    struct context context;

    ck_assert_int_eq(context_open(made(wish), &chain, &arena, &context, NULL), CONTEXT_OK);
    return context;
}

static enum context_verdict refused(struct bytes wire)
{
    struct context context;

    return context_open(wire, &chain, &arena, &context, NULL);
}

static struct peck peck_of(const char *action)
{
    struct context_wish wish = wish_of(1);

    return (struct peck){.from = duckling,
                         .kind = PECK_ACTION,
                         .action = bytes_of_text(action),
                         .created_ms = wish.issued_ms};
}

/* ---- what holds ---- */

START_TEST(a_context_says_what_it_was_made_for)
{
    struct context_wish wish = wish_of(2);
    const struct certificate *issuer;
    struct context context;
    struct id id;

    ck_assert_int_eq(context_open(made(&wish), &chain, &arena, &context, &issuer), CONTEXT_OK);
    ck_assert_ptr_eq(issuer, &chain.certificates[1]);
    ck_assert(id_equal(&context.identity, &duckling));
    ck_assert(bytes_equal(context.name, bytes_of_text("deploys")));
    ck_assert_mem_eq(context.public_key.bytes, wish.public_key.bytes, PUBLIC_KEY_SIZE);
    ck_assert_uint_eq(context.scope_count, 2);
    ck_assert(bytes_equal(context.scopes[1], bytes_of_text("deploy.*")));
    ck_assert_uint_eq(context.issued_ms, wish.issued_ms);
    ck_assert_uint_eq(context.not_after_ms, wish.not_after_ms);
    id = id_of(&context.hash);
    ck_assert(id_equal(&context.id, &id));
}
END_TEST

START_TEST(it_may_be_issued_by_a_key_that_was_rotated_and_says_by_which)
{
    struct context_wish wish = wish_of(1);
    const struct certificate *issuer;
    struct context context;
    struct bytes wire;

    wish.certificate = chain.certificates[0].hash;
    wish.issued_ms = BORN_MS;
    ck_assert_int_eq(make(&wish, KEYS, &wire), CONTEXT_OK);
    ck_assert_int_eq(context_open(wire, &chain, &arena, &context, &issuer), CONTEXT_OK);
    ck_assert_ptr_eq(issuer, &chain.certificates[0]);
}
END_TEST

START_TEST(the_largest_context_is_as_large_as_one_may_be)
{
    char name[NAME_MAX_BYTES + 1], action[PECK_ACTION_MAX + 1];
    struct context_wish wish = wish_of(CERTIFICATE_SCOPES_MAX);
    struct bytes wire;

    memset(name, 'n', sizeof name);
    memset(action, 'a', sizeof action);
    wish.name = bytes_of(name, NAME_MAX_BYTES);
    for (size_t i = 0; i < CERTIFICATE_SCOPES_MAX; i++)
        scopes[i] = bytes_of(action, PECK_ACTION_MAX);
    wish.not_after_ms = wish.issued_ms + CONTEXT_LIFE_MAX_MS;
    wire = made(&wish);
    ck_assert_uint_le(wire.size, CONTEXT_SIZE_MAX);
    ck_assert_int_eq(refused(wire), CONTEXT_OK);
}
END_TEST

START_TEST(beyond_a_limit_none_is_made)
{
    char name[NAME_MAX_BYTES + 1], action[PECK_ACTION_MAX + 1];
    struct context_wish wish = wish_of(CERTIFICATE_SCOPES_MAX + 1);
    struct bytes wire;

    memset(name, 'n', sizeof name);
    memset(action, 'a', sizeof action);
    ck_assert_int_eq(make(&wish, KEYS + 1, &wire), CONTEXT_MALFORMED);
    ck_assert_ptr_null(wire.data);
    wish = wish_of(0);
    ck_assert_int_eq(make(&wish, KEYS + 1, &wire), CONTEXT_MALFORMED);
    wish = wish_of(1);
    wish.name = bytes_of(name, sizeof name);
    ck_assert_int_eq(make(&wish, KEYS + 1, &wire), CONTEXT_MALFORMED);
    wish.name = bytes_of_text("");
    ck_assert_int_eq(make(&wish, KEYS + 1, &wire), CONTEXT_MALFORMED);
    wish.name = bytes_of_text("Deploys");
    ck_assert_int_eq(make(&wish, KEYS + 1, &wire), CONTEXT_MALFORMED);
    wish = wish_of(1);
    scopes[0] = bytes_of(action, sizeof action);
    ck_assert_int_eq(make(&wish, KEYS + 1, &wire), CONTEXT_MALFORMED);
    scopes[0] = bytes_of_text("da*");
    ck_assert_int_eq(make(&wish, KEYS + 1, &wire), CONTEXT_MALFORMED);
    scopes[0] = bytes_of_text("data.read");
    wish.not_after_ms = wish.issued_ms + CONTEXT_LIFE_MAX_MS + 1;
    ck_assert_int_eq(make(&wish, KEYS + 1, &wire), CONTEXT_BAD_TIMES);
    wish.not_after_ms = wish.issued_ms;
    ck_assert_int_eq(make(&wish, KEYS + 1, &wire), CONTEXT_BAD_TIMES);
    wish.issued_ms = 0;
    ck_assert_int_eq(make(&wish, KEYS + 1, &wire), CONTEXT_BAD_TIMES);
}
END_TEST

/* ---- what does not hold ---- */

START_TEST(each_bit_counts)
{
    struct context_wish wish = wish_of(1);
    struct bytes wire = made(&wish);
    uint8_t *turned = memory_copy(wire.data, wire.size);

    for (size_t i = 0; i < wire.size; i++) {
        turned[i] ^= 1;
        ck_assert_int_ne(refused(bytes_of(turned, wire.size)), CONTEXT_OK);
        turned[i] ^= 1;
    }
    ck_assert_int_eq(refused(bytes_of(turned, wire.size)), CONTEXT_OK);
    memory_give_back(turned);
    for (size_t size = 0; size < wire.size; size++)
        ck_assert_int_ne(refused(bytes_of(wire.data, size)), CONTEXT_OK);
}
END_TEST

START_TEST(it_is_signed_by_the_key_of_the_certificate_that_it_names)
{
    struct context_wish wish = wish_of(1);
    struct bytes wire;

    ck_assert_int_eq(make(&wish, KEYS, &wire), CONTEXT_OK); /* the key before */
    ck_assert_int_eq(refused(wire), CONTEXT_BAD_SIGNATURE);
    ck_assert_int_eq(make(&wish, OWN_KEY, &wire), CONTEXT_OK);
    ck_assert_int_eq(refused(wire), CONTEXT_BAD_SIGNATURE);
    memset(wish.certificate.bytes, 1, HASH_SIZE);
    ck_assert_int_eq(refused(made(&wish)), CONTEXT_NOT_ISSUED);
    wish = wish_of(1);
    wish.issued_ms = chain.certificates[1].issued_ms - 1;
    ck_assert_int_eq(refused(made(&wish)), CONTEXT_BAD_TIMES);
    wish.issued_ms++;
    ck_assert_int_eq(refused(made(&wish)), CONTEXT_OK);
}
END_TEST

START_TEST(it_is_of_the_duckling_whose_chain_it_comes_with)
{
    struct context_wish wish = wish_of(1);
    struct bytes wire = made(&wish), packed;
    struct context context;
    struct chain others;
    struct id id;

    packed = birth_chain(IDENTITY_DUCKLING, KEYS + 50, 1, &arena, &id);
    ck_assert_int_eq(chain_open(packed, &arena, &others), CERTIFICATE_TAKEN);
    ck_assert_int_eq(context_open(wire, &others, &arena, &context, NULL), CONTEXT_OTHER_IDENTITY);
    packed = birth_chain(IDENTITY_NODE, KEYS, 2, &arena, &wish.identity);
    ck_assert_int_eq(chain_open(packed, &arena, &others), CERTIFICATE_TAKEN);
    wish.certificate = others.certificates[1].hash;
    ck_assert_int_eq(context_open(made(&wish), &others, &arena, &context, NULL),
                     CONTEXT_OTHER_IDENTITY);
}
END_TEST

START_TEST(a_key_that_is_no_point_of_prime_order_is_refused)
{
    struct context_wish wish = wish_of(1);

    memset(wish.public_key.bytes, 0, PUBLIC_KEY_SIZE);
    ck_assert_int_eq(refused(made(&wish)), CONTEXT_KEY_REFUSED);
}
END_TEST

START_TEST(a_field_that_is_not_known_is_refused_though_it_is_signed)
{
    struct context_wish wish = wish_of(1);
    struct identity_key *key = birth_key(KEYS + 1);
    struct envelope envelope;
    uint8_t body[512];
    struct bytes wire;

    ck_assert_int_eq(envelope_parse(made(&wish), ENVELOPE_CONTEXT, &arena, &envelope),
                     ENVELOPE_TAKEN);
    ck_assert_uint_lt(envelope.body.size, sizeof body - 2);
    memcpy(body, envelope.body.data, envelope.body.size);
    memcpy(body + envelope.body.size, "\x78\x01", 2); /* field 15 */
    wire = envelope_seal(ENVELOPE_CONTEXT, &duckling, key, bytes_of(body, envelope.body.size + 2),
                         &arena, NULL);
    identity_key_free(key);
    ck_assert_int_eq(refused(wire), CONTEXT_MALFORMED);
}
END_TEST

START_TEST(another_signed_thing_is_no_context)
{
    ck_assert_int_eq(refused(chain.certificates[1].wire), CONTEXT_BAD_ENVELOPE);
    ck_assert_int_eq(refused(bytes_of(NULL, 0)), CONTEXT_BAD_ENVELOPE);
}
END_TEST

/* ---- with a chain ---- */

START_TEST(a_chain_and_its_context_come_apart_as_they_were_put_together)
{
    struct context_wish wish = wish_of(CERTIFICATE_SCOPES_MAX);
    struct bytes context = made(&wish), joined, apart, under;

    joined = chain_with_context(chain_wire, context, &arena);
    ck_assert_uint_gt(joined.size, chain_wire.size + context.size);
    chain_split(joined, &apart, &under);
    ck_assert(bytes_equal(apart, chain_wire) && bytes_equal(under, context));
    joined = chain_with_context(chain_wire, bytes_of(NULL, 0), &arena);
    ck_assert(bytes_equal(joined, chain_wire));
    chain_split(joined, &apart, &under);
    ck_assert(bytes_equal(apart, chain_wire) && under.size == 0);
}
END_TEST

START_TEST(a_chain_with_a_context_is_nobodys_chain)
{
    struct context_wish wish = wish_of(1);
    struct bytes joined = chain_with_context(chain_wire, made(&wish), &arena);
    struct chain opened;
    struct id last;

    ck_assert_int_eq(chain_open(joined, &arena, &opened), CERTIFICATE_UNDER_CONTEXT);
    ck_assert_int_eq(chain_read(joined, &duckling, &arena, &opened), CERTIFICATE_UNDER_CONTEXT);
    ck_assert_uint_eq(chain_count(joined), 0);
    last = chain_last(joined);
    ck_assert(id_is_zero(&last));
}
END_TEST

static struct bytes with(struct bytes before, const char *bytes, size_t size)
{
    uint8_t *data = arena_take(&arena, before.size + size);

    if (before.size > 0)
        memcpy(data, before.data, before.size);
    memcpy(data + before.size, bytes, size);
    return bytes_of(data, before.size + size);
}

START_TEST(whatever_else_is_appended_stays_with_the_chain_and_makes_it_none)
{
    struct context_wish wish = wish_of(1);
    struct bytes joined = chain_with_context(chain_wire, made(&wish), &arena);
    const struct bytes wrong[] = {
        with(chain_wire, "\x12\x00", 2),          /* an empty context */
        with(chain_wire, "\x12\x01z\x12\x00", 5), /* one that an empty one takes back */
        with(chain_wire, "\x12\x05z", 3),         /* cut off */
        with(chain_wire, "\x12", 1),
        with(chain_wire, "\x12\x81\x80\x80\x80\x00z", 7), /* a length of five bytes */
        with(joined, "\x12\x01z", 3),                     /* a second one */
        with(joined, "\x1a\x01z", 3),                     /* something else behind it */
        with(bytes_of(NULL, 0), "\x12\x01z", 3),          /* without certificates */
    };
    struct bytes apart, under;
    struct chain opened;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        chain_split(wrong[i], &apart, &under);
        ck_assert(bytes_equal(apart, wrong[i]) && under.size == 0);
        ck_assert_int_ne(chain_open(wrong[i], &arena, &opened), CERTIFICATE_TAKEN);
    }
}
END_TEST

/* ---- what it allows ---- */

START_TEST(a_peck_within_its_scopes_is_allowed_and_no_other)
{
    struct context_wish wish = wish_of(2);
    struct context context = context_of(&wish);
    struct peck peck = peck_of("data.read");

    ck_assert_int_eq(context_judge(&context, &peck, wish.issued_ms), CONTEXT_OK);
    peck.action = bytes_of_text("deploy.web");
    ck_assert_int_eq(context_judge(&context, &peck, wish.issued_ms), CONTEXT_OK);
    peck.action = bytes_of_text("data.write");
    ck_assert_int_eq(context_judge(&context, &peck, wish.issued_ms), CONTEXT_COVERS_NOT);
    peck.action = bytes_of_text("deploy");
    ck_assert_int_eq(context_judge(&context, &peck, wish.issued_ms), CONTEXT_COVERS_NOT);
}
END_TEST

START_TEST(it_begins_and_ends_at_its_dates)
{
    struct context_wish wish = wish_of(1);
    struct context context = context_of(&wish);
    struct peck peck = peck_of("data.read");

    ck_assert_int_eq(context_judge(&context, &peck, wish.not_after_ms), CONTEXT_OK);
    /* …however long ago the peck says that it was made: */
    ck_assert_int_eq(context_judge(&context, &peck, wish.not_after_ms + 1), CONTEXT_ENDED);
    peck.created_ms = wish.not_after_ms + 1;
    ck_assert_int_eq(context_judge(&context, &peck, wish.not_after_ms), CONTEXT_ENDED);
    peck.created_ms = wish.issued_ms - CLOCK_SKEW_MAX_MS;
    ck_assert_int_eq(context_judge(&context, &peck, wish.issued_ms), CONTEXT_OK);
    peck.created_ms--;
    ck_assert_int_eq(context_judge(&context, &peck, wish.issued_ms), CONTEXT_NOT_YET);
}
END_TEST

START_TEST(only_actions_are_pecked_under_it_and_no_grant_is_revoked)
{
    struct context_wish wish = wish_of(1);
    struct context context;
    struct peck peck = peck_of(GRANT_REVOKE_ACTION);

    scopes[0] = bytes_of_text("*");
    context = context_of(&wish);
    ck_assert_int_eq(context_judge(&context, &peck, wish.issued_ms),
                     CONTEXT_OK); /* a name, no more */
    peck.grant = bytes_of_text("a grant");
    ck_assert_int_eq(context_judge(&context, &peck, wish.issued_ms), CONTEXT_NO_REVOKING);
    peck.kind = PECK_BOND_REQUEST;
    ck_assert_int_eq(context_judge(&context, &peck, wish.issued_ms), CONTEXT_NO_ACTION);
}
END_TEST

START_TEST(a_refusal_names_the_context_and_the_action)
{
    struct context_wish wish = wish_of(1);
    struct context context = context_of(&wish);
    struct peck peck = peck_of("data.write");
    char id[ID_TEXT_SIZE];
    const char *text;

    id_text(ID_CERTIFICATE, &context.id, id);
    text = context_refusal_text(CONTEXT_COVERS_NOT, &context, &peck, &arena);
    ck_assert_ptr_nonnull(strstr(text, "deploys"));
    ck_assert_ptr_nonnull(strstr(text, id));
    ck_assert_ptr_nonnull(strstr(text, "data.write"));
    for (int verdict = CONTEXT_OK; verdict <= CONTEXT_REVOKED; verdict++) {
        ck_assert_uint_gt(strlen(context_verdict_text((enum context_verdict)verdict)), 0);
        text = context_refusal_text((enum context_verdict)verdict, &context, &peck, &arena);
        ck_assert_ptr_nonnull(strstr(text, "deploys"));
        ck_assert_uint_le(strlen(text), RECEIPT_PROBLEM_MAX);
    }
}
END_TEST

START_TEST(it_is_meant_by_its_name_and_by_its_id)
{
    struct context_wish wish = wish_of(1);
    struct context context = context_of(&wish);
    char id[ID_TEXT_SIZE];

    id_text(ID_CERTIFICATE, &context.id, id);
    ck_assert(context_is_meant(&context, bytes_of_text("deploys")));
    ck_assert(context_is_meant(&context, bytes_of_text(id)));
    ck_assert(!context_is_meant(&context, bytes_of_text("deploy")));
    ck_assert(!context_is_meant(&context, bytes_of_text("")));
    id_text(ID_CERTIFICATE, &context.identity, id);
    ck_assert(!context_is_meant(&context, bytes_of_text(id)));
    id_text(ID_DUCKLING, &context.id, id);
    ck_assert(!context_is_meant(&context, bytes_of_text(id)));
    ck_assert(context_is_meant(NULL, bytes_of_text("")));
    ck_assert(!context_is_meant(NULL, bytes_of_text("deploys")));
}
END_TEST

/* ---- its end ---- */

START_TEST(its_revocation_is_the_record_of_an_identity_that_its_bytes_name)
{
    struct context_wish wish = wish_of(1);
    struct context context = context_of(&wish);
    struct identity_key *key = birth_key(OWN_KEY);
    struct revocation_content content;
    struct envelope envelope;
    struct record record;
    struct bytes wire, packed;
    struct chain carrier;

    context.not_after_ms = wish.issued_ms + 30 * DAY_MS;
    context_revoke(&context, key, bytes_of_text("pond"), bytes_of_text("lost"), wish.issued_ms,
                   &arena, &wire, &packed);
    ck_assert_int_eq(chain_open(packed, &arena, &carrier), CERTIFICATE_TAKEN);
    ck_assert(id_equal(&carrier.identity, &context.carrier));
    ck_assert(!id_equal(&carrier.identity, &context.id) && !id_equal(&carrier.identity, &duckling));
    ck_assert_int_eq(envelope_parse(wire, ENVELOPE_RECORD, &arena, &envelope), ENVELOPE_TAKEN);
    ck_assert_int_eq(envelope_verify(&envelope, &carrier.certificates[0].public_key, NULL),
                     ENVELOPE_TAKEN);
    ck_assert_int_eq(record_parse(envelope.body, &arena, &record), RECORD_OK);
    ck_assert_int_eq(record_judge_dates(&record, wish.issued_ms), RECORD_OK);
    ck_assert(id_equal(&record.owner, &context.carrier));
    ck_assert_int_eq(record.kind, RECORD_REVOCATION);
    ck_assert_uint_eq(record.not_after_ms, context.not_after_ms + DAY_MS);
    ck_assert_int_eq(revocation_content_parse(record.content, &arena, &content), RECORD_OK);
    ck_assert(bytes_equal(content.reason, bytes_of_text("lost")));
    context.not_after_ms = wish.issued_ms + HOUR_MS; /* no revocation lives for less than a week */
    context_revoke(&context, key, bytes_of_text("pond"), bytes_of_text("lost"), wish.issued_ms,
                   &arena, &wire, &packed);
    ck_assert_int_eq(envelope_parse(wire, ENVELOPE_RECORD, &arena, &envelope), ENVELOPE_TAKEN);
    ck_assert_int_eq(record_parse(envelope.body, &arena, &record), RECORD_OK);
    ck_assert_uint_eq(record.not_after_ms, wish.issued_ms + REVOCATION_LIFE_MIN_MS);
    ck_assert_int_eq(record_judge_dates(&record, wish.issued_ms), RECORD_OK);
    identity_key_free(key);
}
END_TEST

START_TEST(what_ends_it_ends_it_also_when_it_was_issued_anew)
{
    struct context_wish wish = wish_of(1);
    struct context first = context_of(&wish), second;

    wish.issued_ms += HOUR_MS;
    wish.scope_count = 2;
    second = context_of(&wish);
    ck_assert(!id_equal(&first.id, &second.id));
    ck_assert(id_equal(&first.carrier, &second.carrier));
    wish.public_key = birth_public_key(OWN_KEY + 1);
    second = context_of(&wish);
    ck_assert(!id_equal(&first.carrier, &second.carrier));
    wish = wish_of(1);
    wish.name = bytes_of_text("backups");
    second = context_of(&wish);
    ck_assert(!id_equal(&first.carrier, &second.carrier));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("context");
    TCase *cases = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, a_context_says_what_it_was_made_for);
    tcase_add_test(cases, it_may_be_issued_by_a_key_that_was_rotated_and_says_by_which);
    tcase_add_test(cases, the_largest_context_is_as_large_as_one_may_be);
    tcase_add_test(cases, beyond_a_limit_none_is_made);
    tcase_add_test(cases, each_bit_counts);
    tcase_add_test(cases, it_is_signed_by_the_key_of_the_certificate_that_it_names);
    tcase_add_test(cases, it_is_of_the_duckling_whose_chain_it_comes_with);
    tcase_add_test(cases, a_key_that_is_no_point_of_prime_order_is_refused);
    tcase_add_test(cases, a_field_that_is_not_known_is_refused_though_it_is_signed);
    tcase_add_test(cases, another_signed_thing_is_no_context);
    tcase_add_test(cases, a_chain_and_its_context_come_apart_as_they_were_put_together);
    tcase_add_test(cases, a_chain_with_a_context_is_nobodys_chain);
    tcase_add_test(cases, whatever_else_is_appended_stays_with_the_chain_and_makes_it_none);
    tcase_add_test(cases, a_peck_within_its_scopes_is_allowed_and_no_other);
    tcase_add_test(cases, it_begins_and_ends_at_its_dates);
    tcase_add_test(cases, only_actions_are_pecked_under_it_and_no_grant_is_revoked);
    tcase_add_test(cases, a_refusal_names_the_context_and_the_action);
    tcase_add_test(cases, it_is_meant_by_its_name_and_by_its_id);
    tcase_add_test(cases, its_revocation_is_the_record_of_an_identity_that_its_bytes_name);
    tcase_add_test(cases, what_ends_it_ends_it_also_when_it_was_issued_anew);
    suite_add_tcase(suite, cases);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
