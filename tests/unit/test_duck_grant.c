/* What an agent in C does with grants, and no node: it makes, narrows and verifies them. */
#include "births.h"
#include "client/duck_grant.h"
#include "core/grant.h"
#include "folder.h"

#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

enum { ANN, BEA, CID, DAN, PEOPLE };

static struct arena arena;
static struct folder folder;
static struct duck_holder *people[PEOPLE];
static struct bytes chains[PEOPLE];
static uint64_t now_ms;

static void seed_of(uint32_t number, uint8_t seed[SEED_SIZE])
{
    memset(seed, 0, SEED_SIZE);
    memcpy(seed, &number, sizeof number);
}

/* Born an hour ago: these dates are those of the machine. */
static struct bytes hatch(enum identity_kind kind, uint32_t number)
{
    struct identity_key *key = birth_key(number);
    struct certificate_wish wish = {.kind = kind,
                                    .display_name = bytes_of_text("duck"),
                                    .issued_ms = now_ms - HOUR_MS,
                                    .not_after_ms = now_ms + CERTIFICATE_LIFE_MS - DAY_MS,
                                    .next_key_hash = birth_key_hash(number + 1000)};
    struct id identity;
    struct bytes certificate = certificate_make(&wish, key, &arena, &identity);

    identity_key_free(key);
    return chain_pack(&certificate, 1, &arena);
}

static void set_up(void)
{
    struct timespec now;
    uint8_t seed[SEED_SIZE];

    ck_assert(identity_self_test());
    clock_gettime(CLOCK_REALTIME, &now);
    now_ms = (uint64_t)now.tv_sec * 1000;
    folder = folder_make();
    arena_init(&arena, 16 * MIB);
    for (uint32_t i = 0; i < PEOPLE; i++) {
        seed_of(i + 1, seed);
        chains[i] = hatch(IDENTITY_DUCKLING, i + 1);
        people[i] = duck_holder_new(seed, chains[i].data, chains[i].size, NULL);
        ck_assert_ptr_nonnull(people[i]);
    }
}

static void tear_down(void)
{
    for (int i = 0; i < PEOPLE; i++)
        duck_holder_free(people[i]);
    arena_free(&arena);
    folder_remove(&folder);
}

static const char *name(int who)
{
    return duck_holder_id(people[who]);
}

static const char *const data_and_ask[] = {"data.*", "ask"};
static const char *const data_read[] = {"data.read"};

static struct duck_grant_wish wish_for(int holder)
{
    return (struct duck_grant_wish){.network = "pond",
                                    .holder = name(holder),
                                    .scopes = data_and_ask,
                                    .scope_count = 2,
                                    .uses = 5,
                                    .further = 2};
}

static struct duck_grant *make(const struct duck_grant_wish *wish)
{
    const char *problem = "";
    struct duck_grant *grant = duck_grant_make(people[ANN], wish, &problem);

    ck_assert_msg(grant != NULL, "%s", problem);
    return grant;
}

START_TEST(leave_is_handed_on_narrower_and_verified_by_whoever_has_its_text)
{
    struct duck_grant_wish wish = wish_for(BEA), next = {.holder = name(CID),
                                                         .scopes = data_read,
                                                         .scope_count = 1,
                                                         .uses = 2};
    struct duck_grant *grant = make(&wish), *narrower, *opened;
    struct duck_grant_part part;
    const char *problem = "";

    narrower = duck_grant_narrow(people[BEA], duck_grant_text(grant), &next, &problem);
    ck_assert_msg(narrower != NULL, "%s", problem);
    opened = duck_grant_open(duck_grant_text(narrower), NULL);
    ck_assert_ptr_nonnull(opened);
    ck_assert_str_eq(duck_grant_text(opened), duck_grant_text(narrower));
    ck_assert_str_eq(duck_grant_network(opened), "pond");
    ck_assert(duck_grant_allows(opened, name(CID), name(ANN), "data.read", 0, NULL));
    ck_assert(!duck_grant_allows(opened, name(CID), name(ANN), "ask", 0, &problem));
    ck_assert_str_eq(problem, grant_verdict_text(GRANT_COVERS_NOT));
    ck_assert(!duck_grant_allows(opened, name(BEA), name(ANN), "data.read", 0, &problem));
    ck_assert_str_eq(problem, grant_verdict_text(GRANT_OTHER_HOLDER));
    ck_assert(!duck_grant_allows(opened, name(CID), name(ANN), "data.read", now_ms + 2 * DAY_MS,
                                 &problem));
    ck_assert_str_eq(problem, grant_verdict_text(GRANT_ENDED));
    ck_assert(!duck_grant_allows(opened, "cid", name(ANN), "data.read", 0, NULL));
    duck_grant_whole(opened, &part);
    ck_assert_str_eq(part.issuer, name(ANN));
    ck_assert_str_eq(part.holder, name(CID));
    ck_assert_uint_eq(part.scope_count, 1);
    ck_assert_str_eq(part.scopes[0], "data.read");
    ck_assert_uint_eq(part.uses, 2);
    ck_assert_uint_eq(part.further, 0);
    ck_assert(duck_grant_block(opened, 0, &part));
    ck_assert_str_eq(part.holder, name(BEA));
    ck_assert_str_eq(part.scopes[1], "ask");
    ck_assert_uint_eq(part.uses, 5);
    ck_assert_int_eq(strncmp(part.id, "grt_", 4), 0);
    ck_assert(duck_grant_block(opened, 1, &part));
    ck_assert(!duck_grant_block(opened, 2, &part));
    duck_grant_free(grant);
    duck_grant_free(narrower);
    duck_grant_free(opened);
}
END_TEST

START_TEST(what_is_not_said_is_as_the_grant_has_it)
{
    struct duck_grant_wish wish = wish_for(BEA), next = {.holder = name(CID)};
    struct duck_grant *grant, *narrower;
    struct duck_grant_part before, after;

    wish.not_after_ms = now_ms + 3 * DAY_MS;
    grant = make(&wish);
    narrower = duck_grant_narrow(people[BEA], duck_grant_text(grant), &next, NULL);
    ck_assert_ptr_nonnull(narrower);
    duck_grant_whole(grant, &before);
    duck_grant_whole(narrower, &after);
    ck_assert_uint_eq(after.scope_count, 2);
    ck_assert_str_eq(after.scopes[0], before.scopes[0]);
    ck_assert_str_eq(after.scopes[1], before.scopes[1]);
    ck_assert_uint_eq(after.uses, 5);
    ck_assert_uint_eq(after.not_after_ms, now_ms + 3 * DAY_MS);
    ck_assert_uint_eq(after.further, 0);
    ck_assert_str_eq(duck_grant_network(narrower), "pond");
    duck_grant_free(grant);
    duck_grant_free(narrower);
}
END_TEST

START_TEST(a_grant_lives_for_a_day_in_this_network_unless_it_is_said)
{
    struct duck_grant_wish wish = {.holder = name(BEA), .scopes = data_read, .scope_count = 1};
    struct duck_grant *grant = make(&wish);
    struct duck_grant_part part;

    duck_grant_whole(grant, &part);
    ck_assert_str_eq(duck_grant_network(grant), "duck");
    ck_assert_uint_eq(part.not_after_ms, part.issued_ms + DAY_MS);
    ck_assert_uint_ge(part.issued_ms, now_ms);
    duck_grant_free(grant);
}
END_TEST

START_TEST(each_wrong_wish_is_refused_with_the_reason)
{
    struct duck_grant_wish first = wish_for(BEA);
    struct duck_grant *grant = make(&first);
    static const char *const everything[] = {"*", "*", "*", "*", "*", "*", "*", "*", "*"};
    struct {
        enum grant_verdict verdict;
        int signer;
        struct duck_grant_wish wish;
    } wrongs[] = {
        {GRANT_WIDER, BEA, {.holder = name(CID), .scopes = everything, .scope_count = 1}},
        {GRANT_WIDER, BEA, {.holder = name(CID), .uses = 6}},
        {GRANT_WIDER, BEA, {.holder = name(CID), .further = 2}},
        {GRANT_WIDER, BEA, {.holder = name(CID), .not_after_ms = now_ms + 9 * DAY_MS}},
        {GRANT_OTHER_HOLDER, DAN, {.holder = name(CID)}},
        {GRANT_BAD_SCOPE, BEA, {.holder = name(CID), .scopes = everything, .scope_count = 9}},
        {GRANT_TOO_DEEP, BEA, {.holder = name(CID), .further = 8}},
        {GRANT_BAD_TIMES, BEA, {.holder = name(CID), .not_after_ms = 1}},
    };
    const char *problem = "";

    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        ck_assert_ptr_null(duck_grant_narrow(people[wrongs[i].signer], duck_grant_text(grant),
                                             &wrongs[i].wish, &problem));
        ck_assert_str_eq(problem, grant_verdict_text(wrongs[i].verdict));
    }
    first.holder = "bea";
    ck_assert_ptr_null(duck_grant_make(people[ANN], &first, &problem));
    ck_assert_ptr_nonnull(strstr(problem, "dkl_"));
    first.holder = NULL;
    ck_assert_ptr_null(duck_grant_make(people[ANN], &first, NULL));
    first = wish_for(BEA);
    first.scope_count = 0; /* nothing to take them from */
    ck_assert_ptr_null(duck_grant_make(people[ANN], &first, &problem));
    ck_assert_str_eq(problem, grant_verdict_text(GRANT_BAD_SCOPE));
    duck_grant_free(grant);
}
END_TEST

START_TEST(text_that_is_no_grant_is_refused_and_blanks_are_passed_over)
{
    struct duck_grant_wish wish = wish_for(BEA);
    struct duck_grant *grant = make(&wish), *opened;
    char text[DUCK_GRANT_TEXT_MAX + 8], *letter;
    const char *problem = "";

    snprintf(text, sizeof text, " \n%s\r\n", duck_grant_text(grant));
    opened = duck_grant_open(text, &problem);
    ck_assert_msg(opened != NULL, "%s", problem);
    duck_grant_free(opened);
    letter = text + strlen(text) / 2;
    *letter = *letter == 'A' ? 'B' : 'A';
    ck_assert_ptr_null(duck_grant_open(text, &problem));
    *letter = ' ';
    ck_assert_ptr_null(duck_grant_open(text, &problem));
    *letter = '!';
    ck_assert_ptr_null(duck_grant_open(text, &problem));
    ck_assert_ptr_null(duck_grant_open("", &problem));
    ck_assert_ptr_null(duck_grant_open("AAAA", &problem));
    memset(text, 'A', DUCK_GRANT_TEXT_MAX + 1);
    text[DUCK_GRANT_TEXT_MAX + 1] = 0;
    ck_assert_ptr_null(duck_grant_open(text, &problem));
    text[DUCK_GRANT_TEXT_MAX] =
        0; /* 8192 characters are 6144 bytes: of that size, and still none */
    ck_assert_ptr_null(duck_grant_open(text, &problem));
    ck_assert_str_eq(problem, grant_verdict_text(GRANT_MALFORMED));
    duck_grant_free(grant);
}
END_TEST

START_TEST(a_key_comes_back_from_its_file_and_signs)
{
    const char *path = folder_file(&folder, "bea.key"), *problem = "";
    struct duck_grant_wish wish = wish_for(BEA), next = {.holder = name(CID)};
    struct duck_grant *grant = make(&wish), *narrower;
    struct duck_holder *back;
    struct stat status;

    ck_assert_int_eq(duck_holder_save(people[BEA], path, NULL), 0);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0600);
    ck_assert_int_eq(duck_holder_save(people[CID], path, &problem), -1); /* it stays as it is */
    ck_assert_ptr_nonnull(strstr(problem, "already"));
    back = duck_holder_open(path, &problem);
    ck_assert_msg(back != NULL, "%s", problem);
    ck_assert_str_eq(duck_holder_id(back), name(BEA));
    narrower = duck_grant_narrow(back, duck_grant_text(grant), &next, NULL);
    ck_assert_ptr_nonnull(narrower);
    duck_grant_free(narrower);
    duck_grant_free(grant);
    duck_holder_free(back);
}
END_TEST

static void write_text(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
    ck_assert_int_eq(chmod(path, mode), 0);
}

START_TEST(a_key_file_that_others_can_read_or_that_is_none_is_refused)
{
    static const char *const wrongs[] = {
        "",
        "duck-holder 1\n",
        "duck-holder 2\nAAAA\nAAAA\n",
        "duck-holder 1\nAAAA\nAAAA\n",
        "duck-holder 1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
        "duck-holder 1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\nAAAA\n"};
    const char *path = folder_file(&folder, "a.key"), *other = folder_file(&folder, "link.key");
    const char *problem = "";
    char *text;

    ck_assert_ptr_null(duck_holder_open(path, &problem));
    ck_assert_int_eq(duck_holder_save(people[BEA], path, NULL), 0);
    text = file_read(path, NULL);
    ck_assert_int_eq(chmod(path, 0640), 0);
    ck_assert_ptr_null(duck_holder_open(path, &problem));
    ck_assert_ptr_nonnull(strstr(problem, "0600"));
    ck_assert_int_eq(chmod(path, 0600), 0);
    ck_assert_int_eq(symlink(path, other), 0);
    ck_assert_ptr_null(duck_holder_open(other, NULL));
    ck_assert_ptr_null(duck_holder_open(folder.path, NULL));
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        write_text(path, wrongs[i], 0600);
        ck_assert_ptr_null(duck_holder_open(path, &problem));
    }
    text[strlen("duck-holder 1\n") + 3] = 'B'; /* another key: not that of the certificates */
    write_text(path, text, 0600);
    ck_assert_ptr_null(duck_holder_open(path, &problem));
    ck_assert_ptr_nonnull(strstr(problem, "certificates name last"));
    ck_assert_int_eq(duck_holder_save(people[BEA], "/nowhere/at/all", NULL), -1);
    free(text);
}
END_TEST

START_TEST(a_holder_is_a_duckling_with_the_key_of_its_certificates)
{
    uint8_t seed[SEED_SIZE];
    struct bytes node = hatch(IDENTITY_NODE, 1);
    const char *problem = "";

    seed_of(1, seed);
    ck_assert_ptr_null(duck_holder_new(seed, node.data, node.size, &problem));
    ck_assert_ptr_null(duck_holder_new(seed, chains[BEA].data, chains[BEA].size, &problem));
    ck_assert_ptr_nonnull(strstr(problem, "name last"));
    ck_assert_ptr_null(duck_holder_new(seed, "none", 4, NULL));
    ck_assert_ptr_null(duck_holder_new(seed, NULL, 0, NULL));
    ck_assert_ptr_null(duck_holder_new(seed, NULL, CHAIN_SIZE_MAX + 1, NULL));
}
END_TEST

START_TEST(nothing_is_freed_by_freeing_nothing)
{
    duck_holder_free(NULL);
    duck_grant_free(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("duck_grant");
    TCase *tests = tcase_create("duck_grant");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, leave_is_handed_on_narrower_and_verified_by_whoever_has_its_text);
    tcase_add_test(tests, what_is_not_said_is_as_the_grant_has_it);
    tcase_add_test(tests, a_grant_lives_for_a_day_in_this_network_unless_it_is_said);
    tcase_add_test(tests, each_wrong_wish_is_refused_with_the_reason);
    tcase_add_test(tests, text_that_is_no_grant_is_refused_and_blanks_are_passed_over);
    tcase_add_test(tests, a_key_comes_back_from_its_file_and_signs);
    tcase_add_test(tests, a_key_file_that_others_can_read_or_that_is_none_is_refused);
    tcase_add_test(tests, a_holder_is_a_duckling_with_the_key_of_its_certificates);
    tcase_add_test(tests, nothing_is_freed_by_freeing_nothing);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
