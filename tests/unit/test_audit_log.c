/* A log that is whole passes; whatever is changed, left out or added is found. */
#include "births.h"
#include "core/audit_log.h"

#include <check.h>
#include <stdlib.h>

#define PAGES 6
#define NOW_MS (BORN_MS + HOUR_MS)

static struct arena arena;
static struct id node;
static struct chain chain;
static struct identity_key *key;
static struct bytes bodies[PAGES];
static struct audit_checkpoint checkpoints[PAGES];
static struct bytes wires[PAGES]; /* a checkpoint of each page */

static struct audit_entry entry_of(uint64_t number)
{
    struct audit_entry entry = {
        .kind = AUDIT_PECK_RECEIVED,
        .at_ms = NOW_MS + number,
        .duckling = {{1}},
        .with = {{2}},
        .state = PECK_TAKEN,
        .signed_hash = {{3, 4}},
        .detail = bytes_of_text("data.read"),
        .attempt = 0,
    };

    memcpy(entry.subject.bytes, &number, sizeof number);
    return entry;
}

static struct bytes checkpoint_wire(const struct audit_checkpoint *checkpoint,
                                    const struct identity_key *signer)
{
    struct bytes body;

    ck_assert_int_eq(audit_checkpoint_pack(checkpoint, &arena, &body), AUDIT_OK);
    return envelope_seal(ENVELOPE_AUDIT, &checkpoint->node, signer, body, &arena, NULL);
}

/* Page n has n entries. */
static void make_log(void)
{
    struct hash previous = {{0}};
    uint64_t entries = 0;

    for (size_t i = 0; i < PAGES; i++) {
        struct audit_entry list[PAGES];
        struct audit_page page = {.node = node,
                                  .number = i + 1,
                                  .first = entries + 1,
                                  .previous = previous,
                                  .at_ms = NOW_MS + i,
                                  .entries = list,
                                  .count = i + 1};

        for (size_t j = 0; j <= i; j++)
            list[j] = entry_of(++entries);
        ck_assert_int_eq(audit_page_pack(&page, &arena, &bodies[i]), AUDIT_OK);
        previous = audit_page_hash(bodies[i]);
        checkpoints[i] = (struct audit_checkpoint){.network = bytes_of_text("pond"),
                                                   .node = node,
                                                   .page = i + 1,
                                                   .page_hash = previous,
                                                   .entries = entries,
                                                   .at_ms = NOW_MS + i};
        wires[i] = checkpoint_wire(&checkpoints[i], key);
    }
}

static void set_up(void)
{
    struct bytes packed;

    ck_assert(identity_self_test());
    arena_init(&arena, 64 * MIB);
    packed = birth_chain(IDENTITY_NODE, 10, 1, &arena, &node);
    ck_assert_int_eq(chain_open(packed, &arena, &chain), CERTIFICATE_TAKEN);
    key = birth_key(10);
    make_log();
}

static void tear_down(void)
{
    identity_key_free(key);
    arena_free(&arena);
}

/* Pages from `first` to `last`, with those checkpoints; what the first fault is. */
static enum audit_verdict read_pages(struct audit_reader *reader, size_t first, size_t last,
                                     const size_t *vouched, size_t vouched_count)
{
    static struct audit_checkpoint list[PAGES];
    struct audit_page page;

    for (size_t i = 0; i < vouched_count; i++)
        list[i] = checkpoints[vouched[i]];
    audit_reader_init(reader, &chain, list, vouched_count);
    for (size_t i = first; i <= last; i++) {
        enum audit_verdict verdict = audit_reader_take(reader, bodies[i], &arena, &page);

        if (verdict != AUDIT_OK)
            return verdict;
    }
    return audit_reader_end(reader);
}

START_TEST(a_page_comes_back_as_it_was_packed)
{
    struct audit_page page;
    struct audit_entry wanted = entry_of(2);

    ck_assert_int_eq(audit_page_parse(bodies[1], &arena, &page), AUDIT_OK);
    ck_assert_uint_eq(page.number, 2);
    ck_assert_uint_eq(page.first, 2);
    ck_assert_uint_eq(page.count, 2);
    ck_assert(id_equal(&page.node, &node));
    ck_assert_int_eq(page.entries[0].kind, AUDIT_PECK_RECEIVED);
    ck_assert_uint_eq(page.entries[0].at_ms, wanted.at_ms);
    ck_assert(id_equal(&page.entries[0].subject, &wanted.subject));
    ck_assert(id_equal(&page.entries[0].duckling, &wanted.duckling));
    ck_assert(id_equal(&page.entries[0].with, &wanted.with));
    ck_assert(hash_equal(&page.entries[0].signed_hash, &wanted.signed_hash));
    ck_assert(bytes_equal(page.entries[0].detail, wanted.detail));
    ck_assert_int_eq(page.entries[0].state, PECK_TAKEN);
}
END_TEST

START_TEST(a_page_is_full_at_its_limit_and_refused_above_it)
{
    static struct audit_entry list[AUDIT_PAGE_ENTRIES_MAX + 1];
    static const uint8_t detail[AUDIT_DETAIL_MAX + 1];
    struct audit_page page = {
        .node = node, .number = 1, .first = 1, .at_ms = NOW_MS, .entries = list};
    struct bytes body;

    for (size_t i = 0; i <= AUDIT_PAGE_ENTRIES_MAX; i++) {
        list[i] = entry_of(UINT64_MAX - i);
        list[i].detail = bytes_of(detail, AUDIT_DETAIL_MAX);
        list[i].attempt = UINT32_MAX;
        list[i].at_ms = UINT64_MAX;
    }
    page.count = AUDIT_PAGE_ENTRIES_MAX;
    ck_assert_int_eq(audit_page_pack(&page, &arena, &body), AUDIT_OK);
    ck_assert_uint_le(body.size, AUDIT_PAGE_SIZE_MAX);
    ck_assert_int_eq(audit_page_parse(body, &arena, &page), AUDIT_OK);
    page.entries = list;
    page.count = AUDIT_PAGE_ENTRIES_MAX + 1;
    ck_assert_int_eq(audit_page_pack(&page, &arena, &body), AUDIT_MALFORMED);
    page.count = 0;
    ck_assert_int_eq(audit_page_pack(&page, &arena, &body), AUDIT_MALFORMED);
    page.count = 1;
    list[0].detail.size++;
    ck_assert_int_eq(audit_page_pack(&page, &arena, &body), AUDIT_MALFORMED);
}
END_TEST

START_TEST(what_says_nothing_or_of_nobody_is_refused)
{
    struct audit_entry entry = entry_of(1);
    struct audit_page page = {
        .node = node, .number = 1, .first = 1, .at_ms = NOW_MS, .entries = &entry, .count = 1};
    struct bytes body;

    entry.kind = 0;
    ck_assert_int_eq(audit_page_pack(&page, &arena, &body), AUDIT_MALFORMED);
    entry.kind = AUDIT_KINDS;
    ck_assert_int_eq(audit_page_pack(&page, &arena, &body), AUDIT_MALFORMED);
    entry = entry_of(1);
    entry.state = PECK_CANCELLED + 1;
    ck_assert_int_eq(audit_page_pack(&page, &arena, &body), AUDIT_MALFORMED);
    entry = entry_of(1);
    entry.subject = (struct id){{0}};
    ck_assert_int_eq(audit_page_pack(&page, &arena, &body), AUDIT_MALFORMED);
    entry = entry_of(1);
    page.node = (struct id){{0}};
    ck_assert_int_eq(audit_page_pack(&page, &arena, &body), AUDIT_MALFORMED);
    page.node = node;
    page.number = 0;
    ck_assert_int_eq(audit_page_pack(&page, &arena, &body), AUDIT_MALFORMED);
    page.number = 2; /* which must follow from another */
    page.first = 2;
    ck_assert_int_eq(audit_page_pack(&page, &arena, &body), AUDIT_MALFORMED);
    page.previous = (struct hash){{1}};
    ck_assert_int_eq(audit_page_pack(&page, &arena, &body), AUDIT_OK);
}
END_TEST

START_TEST(every_kind_has_a_name)
{
    for (int kind = 1; kind < AUDIT_KINDS; kind++)
        ck_assert_str_ne(audit_kind_name((enum audit_kind)kind), "");
    ck_assert_str_eq(audit_kind_name(0), "");
    ck_assert_str_eq(audit_kind_name(AUDIT_KINDS), "");
}
END_TEST

START_TEST(bytes_that_are_no_page_are_refused)
{
    struct audit_page page;
    uint8_t *large = arena_take(&arena, AUDIT_PAGE_SIZE_MAX + 1);

    memset(large, 0, AUDIT_PAGE_SIZE_MAX + 1);
    ck_assert_int_eq(audit_page_parse(bytes_of("\xff\xff", 2), &arena, &page), AUDIT_MALFORMED);
    ck_assert_int_eq(audit_page_parse(bytes_of(NULL, 0), &arena, &page), AUDIT_MALFORMED);
    ck_assert_int_eq(audit_page_parse(bytes_of(large, AUDIT_PAGE_SIZE_MAX + 1), &arena, &page),
                     AUDIT_TOO_LARGE);
}
END_TEST

START_TEST(a_whole_log_passes_and_says_how_far_it_is_signed)
{
    static const size_t vouched[] = {4, 1}; /* in any order */
    struct audit_reader reader;

    ck_assert_int_eq(read_pages(&reader, 0, PAGES - 1, vouched, 2), AUDIT_OK);
    ck_assert_uint_eq(reader.entries, 21);
    ck_assert_uint_eq(reader.first_entry, 1);
    ck_assert_uint_eq(reader.vouched_entries, 15);
    ck_assert_uint_eq(reader.vouched_ms, NOW_MS + 4);
}
END_TEST

START_TEST(one_bit_turned_in_any_page_is_found)
{
    for (size_t i = 0; i < PAGES; i++) {
        struct bytes kept = bodies[i];
        uint8_t *turned = arena_take(&arena, kept.size);

        for (size_t bit = 0; bit < 8 * kept.size; bit += 7) {
            static const size_t vouched[] = {PAGES - 1};
            struct audit_reader reader;

            memcpy(turned, kept.data, kept.size);
            turned[bit / 8] ^= (uint8_t)(1u << bit % 8);
            bodies[i] = bytes_of(turned, kept.size);
            ck_assert_int_ne(read_pages(&reader, 0, PAGES - 1, vouched, 1), AUDIT_OK);
        }
        bodies[i] = kept;
    }
}
END_TEST

START_TEST(a_page_that_is_missing_or_stands_twice_is_found)
{
    struct audit_reader reader;
    struct audit_page page;

    audit_reader_init(&reader, &chain, NULL, 0);
    ck_assert_int_eq(audit_reader_take(&reader, bodies[0], &arena, &page), AUDIT_OK);
    ck_assert_int_eq(audit_reader_take(&reader, bodies[2], &arena, &page), AUDIT_OUT_OF_ORDER);
    ck_assert_int_eq(audit_reader_take(&reader, bodies[0], &arena, &page), AUDIT_OUT_OF_ORDER);
    ck_assert_int_eq(audit_reader_take(&reader, bodies[1], &arena, &page), AUDIT_OK);
}
END_TEST

START_TEST(a_page_that_was_written_anew_breaks_the_chain)
{
    struct audit_reader reader;
    struct audit_entry entries[2] = {entry_of(2), entry_of(3)};
    struct audit_page forged = {.node = node,
                                .number = 2,
                                .first = 2,
                                .previous = audit_page_hash(bodies[0]),
                                .at_ms = NOW_MS,
                                .entries = entries,
                                .count = 2};

    entries[1].state = PECK_DENIED;
    ck_assert_int_eq(audit_page_pack(&forged, &arena, &bodies[1]), AUDIT_OK);
    ck_assert_int_eq(read_pages(&reader, 0, PAGES - 1, NULL, 0), AUDIT_BROKEN);
}
END_TEST

START_TEST(a_chain_that_was_written_anew_is_not_what_was_signed)
{
    static const size_t vouched[] = {3};
    struct audit_checkpoint kept = checkpoints[3];
    struct audit_reader reader;
    uint8_t at = kept.page_hash.bytes[0];

    checkpoints[3].page_hash.bytes[0] = (uint8_t)(at + 1);
    ck_assert_int_eq(read_pages(&reader, 0, PAGES - 1, vouched, 1), AUDIT_BAD_CHECKPOINT);
    checkpoints[3] = kept;
    checkpoints[3].entries++;
    ck_assert_int_eq(read_pages(&reader, 0, PAGES - 1, vouched, 1), AUDIT_BAD_CHECKPOINT);
}
END_TEST

START_TEST(an_end_that_was_cut_off_is_found_when_it_was_signed)
{
    static const size_t vouched[] = {2, 5};
    struct audit_reader reader;

    ck_assert_int_eq(read_pages(&reader, 0, 4, vouched, 2), AUDIT_OUT_OF_ORDER);
    ck_assert_int_eq(read_pages(&reader, 0, 4, vouched, 1), AUDIT_OK);
}
END_TEST

START_TEST(a_beginning_may_be_cut_off_where_an_anchor_stands_for_it)
{
    static const size_t vouched[] = {1, 3, 5};
    struct audit_reader reader;

    /* A checkpoint alone is not enough: the node must say that it cut off what was before. */
    ck_assert_int_eq(read_pages(&reader, 2, PAGES - 1, vouched, 3), AUDIT_NO_ANCHOR);
    checkpoints[1].is_anchor = true;
    ck_assert_int_eq(read_pages(&reader, 2, PAGES - 1, vouched, 3), AUDIT_OK);
    ck_assert_uint_eq(reader.first_entry, 4);
    ck_assert_uint_eq(reader.vouched_entries, 21);
    ck_assert_int_eq(read_pages(&reader, 3, PAGES - 1, vouched, 3), AUDIT_NO_ANCHOR);
    ck_assert_int_eq(read_pages(&reader, 2, PAGES - 1, NULL, 0), AUDIT_NO_ANCHOR);
    checkpoints[1].page_hash.bytes[0] ^= 1; /* it stands for another beginning */
    ck_assert_int_eq(read_pages(&reader, 2, PAGES - 1, vouched, 3), AUDIT_BROKEN);
}
END_TEST

START_TEST(pages_of_another_node_are_refused)
{
    struct audit_entry entry = entry_of(1);
    struct audit_page foreign = {
        .node = {{9}}, .number = 1, .first = 1, .at_ms = NOW_MS, .entries = &entry, .count = 1};
    struct audit_reader reader;

    ck_assert_int_eq(audit_page_pack(&foreign, &arena, &bodies[0]), AUDIT_OK);
    ck_assert_int_eq(read_pages(&reader, 0, 0, NULL, 0), AUDIT_OTHER_NODE);
}
END_TEST

START_TEST(a_checkpoint_holds_only_under_the_key_of_its_date)
{
    struct audit_checkpoint checkpoint = checkpoints[2], read = {0};
    struct identity_key *other = birth_key(99);

    ck_assert_int_eq(audit_checkpoint_open(wires[2], &chain, &arena, &read), AUDIT_OK);
    ck_assert_uint_eq(read.page, 3);
    ck_assert_uint_eq(read.entries, 6);
    ck_assert_int_eq(
        audit_checkpoint_open(checkpoint_wire(&checkpoint, other), &chain, &arena, &read),
        AUDIT_BAD_CHECKPOINT);
    checkpoint.at_ms = BORN_MS - 1; /* before there was a key */
    ck_assert_int_eq(
        audit_checkpoint_open(checkpoint_wire(&checkpoint, key), &chain, &arena, &read),
        AUDIT_BAD_CHECKPOINT);
    checkpoint = checkpoints[2];
    checkpoint.node = (struct id){{9}};
    ck_assert_int_eq(
        audit_checkpoint_open(checkpoint_wire(&checkpoint, key), &chain, &arena, &read),
        AUDIT_OTHER_NODE);
    ck_assert_int_eq(audit_checkpoint_open(bodies[0], &chain, &arena, &read), AUDIT_MALFORMED);
    identity_key_free(other);
}
END_TEST

START_TEST(a_checkpoint_of_nothing_is_refused)
{
    struct audit_checkpoint checkpoint = checkpoints[0];
    struct bytes body;

    checkpoint.page = 0;
    ck_assert_int_eq(audit_checkpoint_pack(&checkpoint, &arena, &body), AUDIT_MALFORMED);
    checkpoint = checkpoints[0];
    checkpoint.entries = 0;
    ck_assert_int_eq(audit_checkpoint_pack(&checkpoint, &arena, &body), AUDIT_MALFORMED);
    checkpoint = checkpoints[0];
    checkpoint.network.size = 0;
    ck_assert_int_eq(audit_checkpoint_pack(&checkpoint, &arena, &body), AUDIT_MALFORMED);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("audit_log");
    TCase *pages = tcase_create("pages"), *logs = tcase_create("logs");

    tcase_add_checked_fixture(pages, set_up, tear_down);
    tcase_add_test(pages, a_page_comes_back_as_it_was_packed);
    tcase_add_test(pages, a_page_is_full_at_its_limit_and_refused_above_it);
    tcase_add_test(pages, what_says_nothing_or_of_nobody_is_refused);
    tcase_add_test(pages, every_kind_has_a_name);
    tcase_add_test(pages, bytes_that_are_no_page_are_refused);
    suite_add_tcase(suite, pages);
    tcase_add_checked_fixture(logs, set_up, tear_down);
    tcase_add_test(logs, a_whole_log_passes_and_says_how_far_it_is_signed);
    tcase_add_test(logs, one_bit_turned_in_any_page_is_found);
    tcase_add_test(logs, a_page_that_is_missing_or_stands_twice_is_found);
    tcase_add_test(logs, a_page_that_was_written_anew_breaks_the_chain);
    tcase_add_test(logs, a_chain_that_was_written_anew_is_not_what_was_signed);
    tcase_add_test(logs, an_end_that_was_cut_off_is_found_when_it_was_signed);
    tcase_add_test(logs, a_beginning_may_be_cut_off_where_an_anchor_stands_for_it);
    tcase_add_test(logs, pages_of_another_node_are_refused);
    tcase_add_test(logs, a_checkpoint_holds_only_under_the_key_of_its_date);
    tcase_add_test(logs, a_checkpoint_of_nothing_is_refused);
    suite_add_tcase(suite, logs);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(make_suite());
    int failed;

    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
