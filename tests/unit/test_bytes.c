#include "core/bytes.h"
#include "core/limits.h"

#include <check.h>
#include <protobuf-c/protobuf-c.h>
#include <signal.h>
#include <stdlib.h>

static struct arena arena;

static void set_up(void)
{
    arena_init(&arena, 64 * KIB);
}

static void tear_down(void)
{
    arena_free(&arena);
}

#define TEXT(literal) bytes_of(literal, sizeof literal - 1)

/* ---- slices ---- */

START_TEST(equal_bytes_have_one_size_and_one_content)
{
    ck_assert(bytes_equal(TEXT("duck"), TEXT("duck")));
    ck_assert(!bytes_equal(TEXT("duck"), TEXT("duc")));
    ck_assert(!bytes_equal(TEXT("duck"), TEXT("dusk")));
    ck_assert(!bytes_equal(TEXT("a\0b"), TEXT("a\0c")));
    ck_assert(bytes_equal(bytes_of(NULL, 0), TEXT("")));
}
END_TEST

START_TEST(text_is_utf8)
{
    ck_assert(bytes_are_text(TEXT(""), false));
    ck_assert(bytes_are_text(TEXT("a duck"), false));
    ck_assert(bytes_are_text(TEXT("\xC2\xA0"), false)); /* U+00A0, the first past controls */
    ck_assert(bytes_are_text(TEXT("\xDF\xBF\xE0\xA0\x80"), false));
    ck_assert(bytes_are_text(TEXT("\xED\x9F\xBF\xEE\x80\x80"), false)); /* around surrogates */
    ck_assert(bytes_are_text(TEXT("\xEF\xBF\xBF\xF0\x90\x80\x80"), false));
    ck_assert(bytes_are_text(TEXT("\xF4\x8F\xBF\xBF"), false)); /* U+10FFFF, the last */
}
END_TEST

START_TEST(text_is_cut_between_characters)
{
    struct bytes text = TEXT("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\xA6\x86"); /* of 1, 2, 3 and 4 bytes */
    static const size_t sizes[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};

    for (size_t max = 0; max < sizeof sizes / sizeof *sizes; max++) {
        struct bytes cut = bytes_cut(text, max);

        ck_assert_uint_eq(cut.size, sizes[max]);
        ck_assert_ptr_eq(cut.data, text.data);
        ck_assert(bytes_are_text(cut, false));
    }
    ck_assert_uint_eq(bytes_cut(bytes_of(NULL, 0), 5).size, 0);
}
END_TEST

START_TEST(what_is_not_utf8_is_no_text)
{
    const struct bytes refused[] = {
        TEXT("\x80"),             /* continues nothing */
        TEXT("\xC0\x80"),         /* NUL, too long */
        TEXT("\xC1\xBF"),         /* U+007F, too long */
        TEXT("\xE0\x9F\xBF"),     /* U+07FF, too long */
        TEXT("\xF0\x8F\xBF\xBF"), /* U+FFFF, too long */
        TEXT("\xED\xA0\x80"),     /* U+D800, a surrogate */
        TEXT("\xED\xBF\xBF"),     /* U+DFFF, the last of them */
        TEXT("\xF4\x90\x80\x80"), /* U+110000 */
        TEXT("\xF5\x80\x80\x80"),
        TEXT("\xFF"),
        TEXT("a\xC3"), /* cut off */
        TEXT("\xE2\x82"),
        TEXT("\xF0\x9F\xA6"),
        TEXT("\xC3"
             "a"), /* not continued */
        TEXT("\xE2\x82"
             "a"),
        TEXT("\xF0\x9F\xA6"
             "a"),
    };

    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        ck_assert_msg(!bytes_are_text(refused[i], true), "case %zu", i);
        ck_assert_msg(!bytes_may_be_json(refused[i]), "case %zu", i);
    }
}
END_TEST

START_TEST(controls_are_no_text_but_lines_may_break)
{
    for (uint8_t c = 0; c < 0x20; c++)
        ck_assert_int_eq(bytes_are_text(bytes_of(&c, 1), true), c == '\n' || c == '\t');
    for (uint8_t c = 0; c < 0x20; c++)
        ck_assert(!bytes_are_text(bytes_of(&c, 1), false));
    ck_assert(bytes_are_text(TEXT(" ~"), false));
    ck_assert(!bytes_are_text(TEXT("\x7F"), true));
    ck_assert(!bytes_are_text(TEXT("\xC2\x80"), true)); /* U+0080 */
    ck_assert(!bytes_are_text(TEXT("\xC2\x9F"), true)); /* U+009F */
}
END_TEST

START_TEST(a_display_name_is_seen_as_it_is)
{
    const struct bytes taken[] = {
        TEXT("My First Duck"),
        TEXT("\xC3\x84nte"),
        TEXT("\xD8\xA8\xD8\xB7\xD8\xA9"), /* of a script from right to left */
        TEXT("\xF0\x9F\xA6\x86"),         /* U+1F986 */
        TEXT("\xE2\x9D\xA4\xEF\xB8\x8F"), /* U+2764 U+FE0F: a red heart */
        TEXT("a\xC2\xA0"
             "b"),
        TEXT("\xE2\x80\x90\xE2\x80\xAF\xE2\x81\x9F"), /* U+2010 and blanks */
    };
    const struct bytes refused[] = {
        TEXT(""),
        TEXT(" "),
        TEXT("\xC2\xA0\xE3\x80\x80 "), /* blanks alone */
        TEXT("\xE2\xA0\x80"),          /* U+2800: a blank by its look */
        TEXT("\xEF\xB8\x8F"),          /* U+FE0F beside nothing */
        TEXT("a\nb"),
        TEXT("\xFF"),
        TEXT("kcud\xE2\x80\xAE"), /* U+202E */
        TEXT("a\xE2\x80\xAA"
             "b"), /* U+202A */
        TEXT("a\xE2\x81\xA6"
             "b"), /* U+2066 */
        TEXT("a\xE2\x81\xA9"
             "b"), /* U+2069 */
        TEXT("a\xE2\x80\x8B"
             "b"), /* U+200B */
        TEXT("a\xE2\x80\x8D"
             "b"), /* U+200D */
        TEXT("a\xE2\x80\x8E"
             "b"), /* U+200E */
        TEXT("a\xE2\x80\xA8"
             "b"), /* U+2028 */
        TEXT("a\xD8\x9C"
             "b"), /* U+061C */
        TEXT("a\xC2\xAD"
             "b"), /* U+00AD */
        TEXT("a\xE2\x81\xA0"
             "b"), /* U+2060 */
        TEXT("a\xEF\xBB\xBF"
             "b"),            /* U+FEFF */
        TEXT("\xE3\x85\xA4"), /* U+3164 */
        TEXT("a\xF3\xA0\x81\x81"
             "b"), /* U+E0041 */
    };

    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        ck_assert_msg(bytes_are_display_name(taken[i]), "case %zu", i);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        ck_assert_msg(!bytes_are_display_name(refused[i]), "case %zu", i);
}
END_TEST

START_TEST(json_has_no_controls_but_white_space)
{
    ck_assert(bytes_may_be_json(TEXT("{\"rows\":\t[1,\r\n2]}")));
    ck_assert(bytes_may_be_json(TEXT("\"\x7F\xC2\x80\""))); /* RFC 8259 allows these */
    ck_assert(!bytes_may_be_json(TEXT("")));
    ck_assert(!bytes_may_be_json(TEXT("{\"a\":\"\0\"}")));
}
END_TEST

/* Eight bytes are judged at once; the judgement is that of one at a time, wherever a byte stands. */
START_TEST(json_is_judged_alike_at_every_place)
{
    for (unsigned c = 0; c < 256; c++)
        for (size_t place = 0; place < 24; place++) {
            uint8_t text[24];
            bool taken = c < 0x80 && (c >= 0x20 || c == '\t' || c == '\n' || c == '\r');

            memset(text, 'a', sizeof text);
            text[place] = (uint8_t)c;
            ck_assert_msg(bytes_may_be_json(bytes_of(text, sizeof text)) == taken, "byte %u at %zu",
                          c, place);
        }
}
END_TEST

START_TEST(a_name_is_of_its_alphabet)
{
    for (unsigned c = 0; c < 256; c++) {
        uint8_t byte = (uint8_t)c;
        bool taken = c != 0 && strchr("abcdefghijklmnopqrstuvwxyz0123456789_.-", (int)c);

        ck_assert_msg(bytes_are_name(bytes_of(&byte, 1)) == taken, "byte %u", c);
    }
    ck_assert(!bytes_are_name(TEXT("data.Read")));
}
END_TEST

/* ---- arena ---- */

START_TEST(the_budget_is_the_most_that_is_given)
{
    arena_init(&arena, 64);
    ck_assert_ptr_nonnull(arena_take(&arena, 32));
    ck_assert_ptr_null(arena_take(&arena, 33));
    ck_assert_ptr_nonnull(arena_take(&arena, 32));
    ck_assert_ptr_null(arena_take(&arena, 1));
    ck_assert_uint_eq(arena.taken, 64);
}
END_TEST

START_TEST(an_arena_begins_in_memory_that_is_lent_to_it)
{
    _Alignas(16) uint8_t lent[256];
    uint8_t *first, *beyond;

    arena_init_in(&arena, 64 * KIB, lent, sizeof lent);
    first = arena_take(&arena, 100);
    ck_assert(first > lent && first + 100 <= lent + sizeof lent);
    ck_assert_uint_eq(arena.taken, 112);
    beyond = arena_take(&arena, 1000);
    ck_assert_ptr_nonnull(beyond);
    ck_assert(beyond < lent || beyond >= lent + sizeof lent);
    memset(first, 1, 100);
    memset(beyond, 2, 1000);
    ck_assert_uint_eq(first[99], 1);
    ck_assert_ptr_null(arena_take(&arena, 64 * KIB));
    arena_wipe(&arena);
    ck_assert_uint_eq(first[0], 0);
    ck_assert_ptr_nonnull(arena_take(&arena, 1000));
    arena_free(&arena);
    arena_init_in(&arena, 64, lent, 8); /* too little to be of use */
    ck_assert_ptr_nonnull(arena_take(&arena, 64));
}
END_TEST

START_TEST(a_size_that_overflows_is_refused)
{
    ck_assert_ptr_null(arena_take(&arena, SIZE_MAX));
    ck_assert_ptr_null(arena_take(&arena, SIZE_MAX - 15));
    arena_init(&arena, SIZE_MAX);
    ck_assert_ptr_null(arena_take(&arena, SIZE_MAX));
}
END_TEST

START_TEST(pieces_are_aligned_and_apart)
{
    uint8_t *pieces[200];

    for (size_t i = 0; i < 200; i++) {
        pieces[i] = arena_take(&arena, i);
        ck_assert_ptr_nonnull(pieces[i]);
        ck_assert_uint_eq((uintptr_t)pieces[i] % 16, 0);
        memset(pieces[i], (int)i, i);
    }
    for (size_t i = 0; i < 200; i++)
        for (size_t j = 0; j < i; j++)
            ck_assert_uint_eq(pieces[i][j], i);
}
END_TEST

START_TEST(a_copy_is_its_own_and_never_without_an_address)
{
    char text[] = "duck";
    struct bytes copy = arena_copy(&arena, bytes_of_text(text));

    text[0] = 'l';
    ck_assert(bytes_equal(copy, TEXT("duck")));
    copy = arena_copy(&arena, bytes_of(NULL, 0));
    ck_assert_ptr_nonnull(copy.data);
    ck_assert_uint_eq(copy.size, 0);
    arena_free(&arena);
    arena_init(&arena, 15);
    ck_assert_ptr_null(arena_copy(&arena, TEXT("duck")).data);
}
END_TEST

START_TEST(a_reset_arena_has_its_budget_again)
{
    for (int turn = 0; turn < 100; turn++) {
        ck_assert_ptr_nonnull(arena_take(&arena, 40 * KIB));
        ck_assert_ptr_null(arena_take(&arena, 40 * KIB));
        for (int i = 0; i < 10; i++)
            ck_assert_ptr_nonnull(arena_take(&arena, 2 * KIB));
        arena_reset(&arena);
        ck_assert_uint_eq(arena.taken, 0);
    }
}
END_TEST

/* The memory that is kept is the memory that was wiped, so a look back shows zeros. */
START_TEST(a_wiped_arena_forgets_what_it_held)
{
    uint8_t *secret = arena_take(&arena, 64), *again;

    memset(secret, 0xAA, 64);
    arena_wipe(&arena);
    again = arena_take(&arena, 64);
    ck_assert_ptr_eq(again, secret);
    for (size_t i = 0; i < 64; i++)
        ck_assert_uint_eq(again[i], 0);
}
END_TEST

START_TEST(a_parser_gets_no_more_than_the_budget)
{
    ProtobufCAllocator *allocator = arena_protobuf_allocator(&arena);
    size_t left = arena.budget - arena.taken;

    ck_assert_ptr_null(allocator->alloc(allocator->allocator_data, left + 1));
    ck_assert_ptr_nonnull(allocator->alloc(allocator->allocator_data, left));
    ck_assert_ptr_null(allocator->alloc(allocator->allocator_data, 1));
    /* Even the allocator itself comes out of the budget; without one it refuses everything. */
    allocator = arena_protobuf_allocator(&arena);
    ck_assert_ptr_null(allocator->alloc(allocator->allocator_data, 1));
}
END_TEST

/* ---- memory ---- */

START_TEST(memory_is_zeroed_and_keeps_its_contents)
{
    uint8_t *memory = memory_take(100);

    for (size_t i = 0; i < 100; i++)
        ck_assert_uint_eq(memory[i], 0);
    memory[99] = 7;
    memory = memory_resize(memory, 100000);
    ck_assert_uint_eq(memory[99], 7);
    memory_give_back(memory);
    memory = memory_copy("duck", 5);
    ck_assert_str_eq((char *)memory, "duck");
    memory_give_back(memory);
    memory_give_back(NULL);
    memory = memory_copy(NULL, 0);
    ck_assert_ptr_nonnull(memory);
    memory_give_back(memory);
}
END_TEST

START_TEST(without_memory_the_process_ends)
{
    memory_ran_out();
}
END_TEST

static size_t plain(const char *text, size_t *size, uint32_t *point)
{
    return bytes_plain(bytes_of_text(text), size, point);
}

START_TEST(what_a_terminal_does_not_show_as_it_is_is_found)
{
    static const struct {
        const char *text;
        uint32_t point;
    } others[] = {{"ab\x1b[2J", 0x1B},
                  {"ab\nc", '\n'},
                  {"ab\x7f", 0x7F},
                  {"ab\xc2\x9b"
                   "2J",
                   0x9B},
                  {"ab\xd8\x9c", 0x61C},
                  {"ab\xe2\x80\x8e", 0x200E},
                  {"ab\xe2\x80\xa8", 0x2028},
                  {"ab\xe2\x80\xae", 0x202E},
                  {"ab\xe2\x81\xa6", 0x2066},
                  {"ab\xe2\x81\xa9", 0x2069},
                  {"ab\xff", 0xFF},
                  {"ab\xe2\x80", 0xE2}};
    uint32_t point;
    size_t size;

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        ck_assert_uint_eq(plain(others[i].text, &size, &point), 2);
        ck_assert_uint_gt(size, 0);
        ck_assert_uint_eq(point, others[i].point);
    }
    ck_assert_uint_eq(plain("Zo\xc3\xab, \xd7\x90\xd7\x91 and \xf0\x9f\xa6\x86", &size, &point),
                      19);
    ck_assert_uint_eq(size, 0);
    ck_assert_uint_eq(plain("", &size, &point), 0);
    ck_assert_uint_eq(size, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bytes");
    TCase *tcase = tcase_create("bytes");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, equal_bytes_have_one_size_and_one_content);
    tcase_add_test(tcase, text_is_utf8);
    tcase_add_test(tcase, text_is_cut_between_characters);
    tcase_add_test(tcase, what_is_not_utf8_is_no_text);
    tcase_add_test(tcase, controls_are_no_text_but_lines_may_break);
    tcase_add_test(tcase, a_display_name_is_seen_as_it_is);
    tcase_add_test(tcase, json_has_no_controls_but_white_space);
    tcase_add_test(tcase, json_is_judged_alike_at_every_place);
    tcase_add_test(tcase, a_name_is_of_its_alphabet);
    tcase_add_test(tcase, the_budget_is_the_most_that_is_given);
    tcase_add_test(tcase, an_arena_begins_in_memory_that_is_lent_to_it);
    tcase_add_test(tcase, a_size_that_overflows_is_refused);
    tcase_add_test(tcase, pieces_are_aligned_and_apart);
    tcase_add_test(tcase, a_copy_is_its_own_and_never_without_an_address);
    tcase_add_test(tcase, a_reset_arena_has_its_budget_again);
    tcase_add_test(tcase, a_wiped_arena_forgets_what_it_held);
    tcase_add_test(tcase, a_parser_gets_no_more_than_the_budget);
    tcase_add_test(tcase, what_a_terminal_does_not_show_as_it_is_is_found);
    tcase_add_test(tcase, memory_is_zeroed_and_keeps_its_contents);
    tcase_add_test_raise_signal(tcase, without_memory_the_process_ends, SIGABRT);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
