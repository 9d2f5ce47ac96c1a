#include "births.h"
#include "core/introduction.h"

#include <stdlib.h>

#define NETWORK "pond"
#define NOW_MS (BORN_MS + 10 * DAY_MS)
#define KEYS 100

static struct arena arena;

static void set_up(void)
{
    ck_assert(identity_self_test());
    arena_init(&arena, 16 * MIB);
}

static void tear_down(void)
{
    arena_free(&arena);
}

/* What an introduction is made of; each test changes one thing. */
struct draft {
    enum identity_kind kind;
    size_t certificates;
    uint32_t signing_key;
    const char *network;
    uint32_t record_kind;
    bool deleted, turned_signature, as_peck, other_owner, other_signer;
    uint64_t version_ms, not_after_ms, session_not_after_ms;
};

static struct draft good(void)
{
    return (struct draft){
        .kind = IDENTITY_NODE,
        .certificates = 2,
        .signing_key = KEYS + 1,
        .network = NETWORK,
        .record_kind = RECORD_NODE,
        .version_ms = NOW_MS,
        .not_after_ms = NOW_MS + RECORD_LIFE_MS,
        .session_not_after_ms = NOW_MS + DAY_MS,
    };
}

static struct bytes record_of(const struct draft *draft, const struct id *node)
{
    struct node_content content = {.addresses = {bytes_of_text("a.example:7000")},
                                   .address_count = 1,
                                   .session_key = {5},
                                   .session_not_after_ms = draft->session_not_after_ms,
                                   .display_name = bytes_of_text("a node")};
    struct record record = {.network = bytes_of_text(draft->network),
                            .owner = *node,
                            .kind = draft->record_kind,
                            .version = {draft->version_ms, 0},
                            .not_after_ms = draft->not_after_ms,
                            .deleted = draft->deleted,
                            .content = node_content_pack(&content, &arena)};
    struct identity_key *key = birth_key(draft->signing_key);
    struct id signer = *node;
    struct bytes body, wire;

    if (draft->other_owner)
        record.owner.bytes[0] ^= 1;
    if (draft->other_signer)
        signer.bytes[0] ^= 1;
    ck_assert_int_eq(record_pack(&record, &arena, &body), RECORD_OK);
    wire = envelope_seal(draft->as_peck ? ENVELOPE_PECK : ENVELOPE_RECORD, &signer, key, body,
                         &arena, NULL);
    if (draft->turned_signature)
        ((uint8_t *)(uintptr_t)wire.data)[wire.size - 1] ^= 1;
    identity_key_free(key);
    return wire;
}

static struct bytes wire_of(const struct draft *draft)
{
    struct id node;
    struct bytes chain = birth_chain(draft->kind, KEYS, draft->certificates, &arena, &node);

    return introduction_pack(chain, record_of(draft, &node), &arena);
}

static enum introduction_verdict open_wire(struct bytes wire, uint64_t wall_ms,
                                           struct introduction *introduction)
{
    static struct arena opened;

    arena_free(&opened);
    arena_init(&opened, PARSE_BUDGET(wire.size));
    return introduction_open(wire, bytes_of_text(NETWORK), wall_ms, &opened, introduction);
}

static enum introduction_verdict verdict_at(struct draft draft, uint64_t wall_ms)
{
    struct introduction introduction = {.wire = {NULL, 4711}};
    enum introduction_verdict verdict = open_wire(wire_of(&draft), wall_ms, &introduction);

    if (verdict != INTRODUCTION_TAKEN)
        ck_assert_uint_eq(introduction.wire.size, 4711); /* a refusal writes nothing */
    return verdict;
}

static enum introduction_verdict verdict_of(struct draft draft)
{
    return verdict_at(draft, NOW_MS);
}

START_TEST(a_node_introduces_itself)
{
    struct draft draft = good();
    struct bytes wire = wire_of(&draft), copy = arena_copy(&arena, wire);
    struct introduction introduction;
    struct arena opened;

    arena_init(&opened, PARSE_BUDGET(wire.size));
    ck_assert_int_eq(
        introduction_open(copy, bytes_of_text(NETWORK), NOW_MS, &opened, &introduction),
        INTRODUCTION_TAKEN);
    memset((void *)(uintptr_t)copy.data, 0, copy.size); /* nothing borrows from what came in */
    ck_assert(bytes_equal(introduction.wire, wire));
    ck_assert(id_equal(&introduction.node, &introduction.chain.identity));
    ck_assert(id_equal(&introduction.node, &introduction.record.owner));
    ck_assert_uint_eq(introduction.chain.count, 2);
    ck_assert_int_eq(introduction.record.kind, RECORD_NODE);
    ck_assert_uint_eq(introduction.content.address_count, 1);
    ck_assert(bytes_equal(introduction.content.addresses[0], bytes_of_text("a.example:7000")));
    ck_assert_uint_eq(introduction.content.session_key[0], 5);
    ck_assert(bytes_equal(introduction.content.display_name, bytes_of_text("a node")));
    ck_assert_uint_gt(introduction.record_wire.size, 0);
    wire = introduction_pack(introduction.chain.wire, introduction.record_wire, &arena);
    ck_assert(bytes_equal(introduction.wire, wire));
    arena_free(&opened);
}
END_TEST

START_TEST(what_is_no_introduction_is_refused)
{
    static uint8_t huge[INTRODUCTION_SIZE_MAX + 1];
    struct draft draft = good();
    struct bytes wire = wire_of(&draft);
    struct introduction introduction;
    uint8_t *longer = arena_take(&arena, wire.size + 2);

    ck_assert_int_eq(open_wire(bytes_of(huge, sizeof huge), NOW_MS, &introduction),
                     INTRODUCTION_MALFORMED);
    ck_assert_int_eq(open_wire(bytes_of("\xFF", 1), NOW_MS, &introduction), INTRODUCTION_MALFORMED);
    memcpy(longer, wire.data, wire.size);
    memcpy(longer + wire.size, "\x1A", 2); /* field 3, empty: not known */
    ck_assert_int_eq(open_wire(bytes_of(longer, wire.size + 2), NOW_MS, &introduction),
                     INTRODUCTION_MALFORMED);
    ck_assert_int_eq(open_wire(bytes_of(NULL, 0), NOW_MS, &introduction), INTRODUCTION_BAD_CHAIN);
    for (size_t size = 0; size < wire.size; size++)
        ck_assert_int_ne(open_wire(bytes_of(wire.data, size), NOW_MS, &introduction),
                         INTRODUCTION_TAKEN);
}
END_TEST

START_TEST(the_largest_introduction_is_opened)
{
    struct id node;
    struct draft draft = good();
    struct bytes chain, record, wire;
    struct introduction introduction;

    draft.certificates = 200;
    draft.signing_key = KEYS + 199;
    chain = birth_chain(IDENTITY_NODE, KEYS, 200, &arena, &node);
    draft.version_ms = BORN_MS + 200 * DAY_MS;
    draft.not_after_ms = draft.version_ms + RECORD_LIFE_MS;
    draft.session_not_after_ms = draft.not_after_ms;
    record = record_of(&draft, &node);
    wire = introduction_pack(chain, record, &arena);
    ck_assert_uint_gt(chain.size, CHAIN_SIZE_MAX * 3 / 4);
    ck_assert_int_eq(open_wire(wire, draft.version_ms, &introduction), INTRODUCTION_TAKEN);
}
END_TEST

START_TEST(a_duckling_is_no_node)
{
    struct draft draft = good();

    draft.kind = IDENTITY_DUCKLING;
    ck_assert_int_eq(verdict_of(draft), INTRODUCTION_NOT_A_NODE);
}
END_TEST

START_TEST(a_chain_that_does_not_hold_is_refused)
{
    struct draft draft = good();
    struct bytes wire = wire_of(&draft);
    struct introduction introduction;

    ((uint8_t *)(uintptr_t)wire.data)[150] ^= 1; /* within certificate 0 */
    ck_assert_int_eq(open_wire(wire, NOW_MS, &introduction), INTRODUCTION_BAD_CHAIN);
}
END_TEST

START_TEST(a_record_that_does_not_hold_is_refused)
{
    struct draft draft = good();

    draft.turned_signature = true;
    ck_assert_int_eq(verdict_of(draft), INTRODUCTION_BAD_RECORD);
    draft = good();
    draft.as_peck = true;
    ck_assert_int_eq(verdict_of(draft), INTRODUCTION_BAD_RECORD);
    draft = good();
    draft.signing_key = KEYS; /* its key before the rotation: who stole it introduces nobody */
    ck_assert_int_eq(verdict_of(draft), INTRODUCTION_BAD_RECORD);
    draft = good();
    draft.other_owner = true;
    ck_assert_int_eq(verdict_of(draft), INTRODUCTION_BAD_RECORD);
    draft = good();
    draft.other_signer = true;
    ck_assert_int_eq(verdict_of(draft), INTRODUCTION_BAD_RECORD);
    draft = good();
    draft.record_kind = RECORD_SKILL;
    ck_assert_int_eq(verdict_of(draft), INTRODUCTION_BAD_RECORD);
    draft = good();
    draft.deleted = true;
    ck_assert_int_eq(verdict_of(draft), INTRODUCTION_BAD_RECORD);
}
END_TEST

START_TEST(another_network_is_another_network)
{
    struct draft draft = good();

    draft.network = "lake";
    ck_assert_int_eq(verdict_of(draft), INTRODUCTION_OTHER_NETWORK);
    draft.network = NETWORK "s";
    ck_assert_int_eq(verdict_of(draft), INTRODUCTION_OTHER_NETWORK);
}
END_TEST

START_TEST(record_session_key_and_certificate_have_their_times)
{
    struct draft draft = good();

    ck_assert_int_eq(verdict_at(draft, draft.session_not_after_ms - 1), INTRODUCTION_TAKEN);
    ck_assert_int_eq(verdict_at(draft, draft.session_not_after_ms), INTRODUCTION_EXPIRED);
    draft.session_not_after_ms = draft.not_after_ms + DAY_MS;
    ck_assert_int_eq(verdict_at(draft, draft.not_after_ms - 1), INTRODUCTION_TAKEN);
    ck_assert_int_eq(verdict_at(draft, draft.not_after_ms), INTRODUCTION_EXPIRED);
    ck_assert_int_eq(verdict_at(draft, draft.version_ms - CLOCK_SKEW_MAX_MS), INTRODUCTION_TAKEN);
    ck_assert_int_eq(verdict_at(draft, draft.version_ms - CLOCK_SKEW_MAX_MS - 1),
                     INTRODUCTION_EXPIRED);
    draft.version_ms = BORN_MS + ROTATED_EVERY_MS + CERTIFICATE_LIFE_MS;
    draft.not_after_ms = draft.version_ms + DAY_MS;
    draft.session_not_after_ms = draft.not_after_ms;
    ck_assert_int_eq(verdict_at(draft, draft.version_ms - CLOCK_SKEW_MAX_MS), INTRODUCTION_TAKEN);
    ck_assert_int_eq(verdict_at(draft, draft.version_ms + 1), INTRODUCTION_EXPIRED);
}
END_TEST

START_TEST(every_verdict_has_its_words)
{
    for (int i = INTRODUCTION_TAKEN; i <= INTRODUCTION_EXPIRED; i++)
        ck_assert_uint_gt(strlen(introduction_verdict_text((enum introduction_verdict)i)), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("introduction");
    TCase *tests = tcase_create("introduction");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_node_introduces_itself);
    tcase_add_test(tests, what_is_no_introduction_is_refused);
    tcase_add_test(tests, the_largest_introduction_is_opened);
    tcase_add_test(tests, a_duckling_is_no_node);
    tcase_add_test(tests, a_chain_that_does_not_hold_is_refused);
    tcase_add_test(tests, a_record_that_does_not_hold_is_refused);
    tcase_add_test(tests, another_network_is_another_network);
    tcase_add_test(tests, record_session_key_and_certificate_have_their_times);
    tcase_add_test(tests, every_verdict_has_its_words);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
