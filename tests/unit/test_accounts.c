#include "account_erasure.h"
#include "account_newsletter.h"
#include "account_passkeys.h"
#include "account_sessions.h"
#include "accounts.h"
#include "folder.h"

#include "core/bytes.h"

#include <pthread.h>
#include <sys/stat.h>

#define START_MS 1774051200000ull /* 21 March 2026 */
#define EMAIL "agent@example.com"
#define PASSWORD "securepassword123"
#define MINUTE (60 * 1000ull)
#define HOUR (60 * MINUTE)

static struct folder folder;
static struct accounts *accounts;
static uint64_t wall_ms;
static pthread_mutex_t clock_lock = PTHREAD_MUTEX_INITIALIZER;

static uint64_t read_clock(void *context)
{
    uint64_t now_ms;

    (void)context;
    pthread_mutex_lock(&clock_lock);
    now_ms = wall_ms;
    pthread_mutex_unlock(&clock_lock);
    return now_ms;
}

static void pass(uint64_t ms)
{
    pthread_mutex_lock(&clock_lock);
    wall_ms += ms;
    pthread_mutex_unlock(&clock_lock);
}

static struct accounts_settings settings_of(const struct folder *of)
{
    return (struct accounts_settings){.store_path = folder_file(of, "gateway.db"),
                                      .key_path = folder_file(of, "gateway.key"),
                                      .mail.folder = folder_file(of, "mail"),
                                      .password_cost = PASSWORD_LEAST,
                                      .wall_ms = read_clock};
}

static void open_accounts(void)
{
    const struct accounts_settings settings = settings_of(&folder);

    ck_assert_int_eq(accounts_open(&accounts, &settings), 0);
}

static void setup(void)
{
    folder = folder_make();
    wall_ms = START_MS;
    open_accounts();
}

static void teardown(void)
{
    accounts_close(accounts);
    folder_remove(&folder);
}

/* ---- one answer ---- */

struct answer {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int calls;
    bool hold; /* keep the accounts' thread inside `done` */
    struct accounts_result result;
    char email[EMAIL_MAX + 1], name[DISPLAY_NAME_MAX + 1], key[HATCH_KEY_MAX + 1];
    char beak_key[BEARER_TEXT_SIZE], token[BEARER_TEXT_SIZE];
    struct id ducklings[8];
};

static void keep_text(char *kept, size_t size, const char *text)
{
    snprintf(kept, size, "%s", text ? text : "");
}

static void answered(void *context, const struct accounts_result *result)
{
    struct answer *answer = context;

    pthread_mutex_lock(&answer->lock);
    answer->result = *result;
    keep_text(answer->email, sizeof answer->email, result->email);
    keep_text(answer->name, sizeof answer->name, result->display_name);
    keep_text(answer->key, sizeof answer->key, result->public_key);
    keep_text(answer->beak_key, sizeof answer->beak_key, result->beak_key);
    keep_text(answer->token, sizeof answer->token, result->token);
    for (size_t i = 0; i < result->duckling_count && i < 8; i++)
        answer->ducklings[i] = result->ducklings[i];
    answer->calls++;
    pthread_cond_broadcast(&answer->changed);
    while (answer->hold)
        pthread_cond_wait(&answer->changed, &answer->lock);
    pthread_mutex_unlock(&answer->lock);
}

static void answer_init(struct answer *answer)
{
    memset(answer, 0, sizeof *answer);
    pthread_mutex_init(&answer->lock, NULL);
    pthread_cond_init(&answer->changed, NULL);
}

static void await(struct answer *answer, int calls)
{
    pthread_mutex_lock(&answer->lock);
    while (answer->calls < calls)
        pthread_cond_wait(&answer->changed, &answer->lock);
    pthread_mutex_unlock(&answer->lock);
}

/* ---- the orders, each awaited ---- */

static struct answer hatch_as(const char *email, const char *name, const char *password)
{
    const struct accounts_hatch hatch = {
        .email = email, .display_name = name, .password = password};
    struct answer answer;

    answer_init(&answer);
    ck_assert(accounts_hatch(accounts, &hatch, answered, &answer));
    await(&answer, 1);
    return answer;
}

static struct answer verify_as(const char *email, const char *code, const char *password)
{
    struct answer answer;

    answer_init(&answer);
    ck_assert(accounts_verify(accounts, email, code, password, answered, &answer));
    await(&answer, 1);
    return answer;
}

static struct answer auth_as(const char *email, const char *password)
{
    struct answer answer;

    answer_init(&answer);
    ck_assert(accounts_auth(accounts, email, password, answered, &answer));
    await(&answer, 1);
    return answer;
}

static struct answer hatched_as(uint64_t egg, uint8_t number)
{
    struct id duckling = {{number}}, certificate = {{number, 1}};
    struct answer answer;

    answer_init(&answer);
    ck_assert(accounts_hatched(accounts, egg, &duckling, &certificate, answered, &answer));
    await(&answer, 1);
    return answer;
}

static struct answer for_operator(uint64_t operator_id, const char *name)
{
    struct answer answer;

    answer_init(&answer);
    ck_assert(accounts_hatch_for_operator(accounts, operator_id, name, NULL, answered, &answer));
    await(&answer, 1);
    return answer;
}

static struct answer forgot_as(const char *email)
{
    struct answer answer;

    answer_init(&answer);
    ck_assert(accounts_forgot(accounts, email, NULL, answered, &answer));
    await(&answer, 1);
    return answer;
}

static struct answer reset_as(const char *email, const char *code, const char *password)
{
    struct answer answer;

    answer_init(&answer);
    ck_assert(accounts_reset(accounts, email, code, password, answered, &answer));
    await(&answer, 1);
    return answer;
}

static struct answer rotate_as(uint64_t operator_id, const struct id *duckling)
{
    struct answer answer;

    answer_init(&answer);
    ck_assert(accounts_rotate(accounts, operator_id, duckling, answered, &answer));
    await(&answer, 1);
    return answer;
}

static struct answer logout_with(const char *token)
{
    struct answer answer;

    answer_init(&answer);
    ck_assert(accounts_logout(accounts, token, answered, &answer));
    await(&answer, 1);
    return answer;
}

static struct answer egg_back(uint64_t egg)
{
    struct answer answer;

    answer_init(&answer);
    ck_assert(accounts_egg_back(accounts, egg, answered, &answer));
    await(&answer, 1);
    return answer;
}

/* Whatever was ordered before, a use to be noted included, is carried out when this returns. */
static void barrier(void)
{
    ck_assert_int_eq(logout_with("nonsense").result.verdict, ACCOUNTS_NOT_FOUND);
}

#define EXPECT(answer, expected) ck_assert_int_eq((answer).result.verdict, (expected))

/* ---- what the mailbox holds ---- */

static size_t letters(void)
{
    size_t count;

    free(newest_letter(folder_file(&folder, "mail"), &count));
    return count;
}

struct code {
    char text[CODE_DIGITS + 1];
};

static struct code newest_code(void)
{
    static const char start[] = "\nYour code: ";
    char *letter = newest_letter(folder_file(&folder, "mail"), NULL);
    const char *found = letter ? strstr(letter, start) : NULL;
    struct code code = {""};

    ck_assert_ptr_nonnull(found);
    memcpy(code.text, found + sizeof start - 1, CODE_DIGITS);
    ck_assert_int_eq(found[sizeof start - 1 + CODE_DIGITS], '\n');
    free(letter);
    return code;
}

static struct code wrong_code(void)
{
    struct code code = newest_code();

    code.text[0] = code.text[0] == '0' ? '1' : '0';
    return code;
}

static struct answer hatch_whole(const char *email, const char *password, uint8_t number)
{
    struct answer answer = hatch_as(email, "My First Duck", password);

    EXPECT(answer, ACCOUNTS_TAKEN);
    answer = verify_as(email, newest_code().text, NULL);
    EXPECT(answer, ACCOUNTS_TAKEN);
    answer = hatched_as(answer.result.egg, number);
    EXPECT(answer, ACCOUNTS_TAKEN);
    return answer;
}

static enum access_verdict find(const char *bearer, struct access *access)
{
    struct access unused;

    return access_find(accounts, bearer, access ? access : &unused);
}

/* ---- hatching ---- */

START_TEST(a_hatch_a_code_and_a_beak_key)
{
    struct answer answer = hatch_as(EMAIL, "My First Duck", PASSWORD);
    struct access access;

    EXPECT(answer, ACCOUNTS_TAKEN);
    ck_assert_uint_eq(answer.result.expires_ms, START_MS + 15 * MINUTE);
    ck_assert_uint_eq(accounts_count(accounts).eggs, 1);

    answer = verify_as("Agent@Example.COM", newest_code().text, NULL);
    EXPECT(answer, ACCOUNTS_TAKEN);
    ck_assert_str_eq(answer.email, EMAIL);
    ck_assert_str_eq(answer.name, "My First Duck");
    ck_assert_str_eq(answer.key, "");
    ck_assert_uint_ne(answer.result.egg, 0);

    answer = hatched_as(answer.result.egg, 7);
    EXPECT(answer, ACCOUNTS_TAKEN);
    ck_assert(answer.result.operator_is_new);
    ck_assert_uint_eq(strlen(answer.beak_key), 49);
    ck_assert_int_eq(strncmp(answer.beak_key, "sd_bk_", 6), 0);
    ck_assert_int_eq(find(answer.beak_key, &access), ACCESS_TAKEN);
    ck_assert_int_eq(access.kind, ACCESS_BEAK_KEY);
    ck_assert_uint_eq(access.operator_id, answer.result.operator_id);
    ck_assert_uint_eq(access.duckling.bytes[0], 7);
    ck_assert_uint_eq(access.expires_ms, UINT64_MAX);
    ck_assert_uint_eq(accounts_count(accounts).eggs, 0);
    ck_assert_uint_eq(accounts_count(accounts).operators, 1);
    ck_assert_uint_eq(accounts_count(accounts).ducklings, 1);
}
END_TEST

START_TEST(a_hatch_of_a_known_address_looks_the_same)
{
    struct answer first, stranger, known;

    first = hatch_whole(EMAIL, PASSWORD, 1);
    stranger = hatch_as("new@example.com", "A", PASSWORD);
    known = hatch_as(EMAIL, "B", "another password");
    ck_assert_int_eq(known.result.verdict, stranger.result.verdict);
    ck_assert_uint_eq(known.result.expires_ms, stranger.result.expires_ms);
    ck_assert_uint_eq(known.result.operator_id, stranger.result.operator_id);
    ck_assert_uint_eq(letters(), 3);

    /* It is a further duckling of the same operator, and its password changes nothing. */
    known = verify_as(EMAIL, newest_code().text, "a third password");
    EXPECT(known, ACCOUNTS_TAKEN);
    known = hatched_as(known.result.egg, 2);
    EXPECT(known, ACCOUNTS_TAKEN);
    ck_assert(!known.result.operator_is_new);
    ck_assert_uint_eq(known.result.operator_id, first.result.operator_id);
    EXPECT(auth_as(EMAIL, "a third password"), ACCOUNTS_BAD_CREDENTIALS);
    EXPECT(auth_as(EMAIL, "another password"), ACCOUNTS_BAD_CREDENTIALS);
    EXPECT(auth_as(EMAIL, PASSWORD), ACCOUNTS_TAKEN);
}
END_TEST

START_TEST(the_letter_carries_no_words_of_who_asks)
{
    char *letter;

    EXPECT(hatch_as(EMAIL, "Buy at http://example.net", PASSWORD), ACCOUNTS_TAKEN);
    letter = newest_letter(folder_file(&folder, "mail"), NULL);
    ck_assert_ptr_null(strstr(letter, "Buy at"));
    ck_assert_ptr_null(strstr(letter, PASSWORD));
    free(letter);
}
END_TEST

START_TEST(what_cannot_be_hatched_is_refused)
{
    char name[DISPLAY_NAME_MAX + 2], email[EMAIL_MAX + 2];
    struct accounts_hatch hatch = {.email = EMAIL, .display_name = "D", .public_key = "a b"};
    struct answer answer;

    memset(name, 'n', sizeof name);
    name[DISPLAY_NAME_MAX + 1] = '\0';
    EXPECT(hatch_as(EMAIL, name, NULL), ACCOUNTS_BAD_NAME);
    EXPECT(hatch_as(EMAIL, "", NULL), ACCOUNTS_BAD_NAME);
    EXPECT(hatch_as(EMAIL, "two\nlines", NULL), ACCOUNTS_BAD_NAME);
    EXPECT(hatch_as(EMAIL, "D", "eleven char"), ACCOUNTS_PASSWORD_TOO_SHORT);
    EXPECT(hatch_as("nobody", "D", NULL), ACCOUNTS_BAD_EMAIL);
    memset(email, 'e', sizeof email);
    memcpy(email, "a@", 2);
    email[EMAIL_MAX + 1] = '\0';
    EXPECT(hatch_as(email, "D", NULL), ACCOUNTS_BAD_EMAIL);
    answer_init(&answer);
    ck_assert(accounts_hatch(accounts, &hatch, answered, &answer));
    await(&answer, 1);
    EXPECT(answer, ACCOUNTS_BAD_KEY);
    ck_assert_uint_eq(letters(), 0);
    name[DISPLAY_NAME_MAX] = '\0';
    EXPECT(hatch_as(EMAIL, name, NULL), ACCOUNTS_TAKEN);
}
END_TEST

START_TEST(a_password_over_1024_bytes_is_refused)
{
    char password[PASSWORD_MAX + 100];

    memset(password, 'p', sizeof password);
    password[sizeof password - 1] = '\0';
    EXPECT(hatch_as(EMAIL, "D", password), ACCOUNTS_PASSWORD_TOO_LONG);
    EXPECT(auth_as(EMAIL, password), ACCOUNTS_PASSWORD_TOO_LONG);
    password[PASSWORD_MAX] = '\0';
    EXPECT(hatch_as(EMAIL, "D", password), ACCOUNTS_TAKEN);
}
END_TEST

START_TEST(addresses_that_mail_cannot_go_to_are_refused)
{
    const char *good[] = {"a@b", "you@example.com", "first.last+tag@sub.example.co"};
    const char *bad[] = {"",       "a",     "@b",          "a@",      "a@b@c",      "a b@c",
                         "<a@b>",  "a@b>",  "a@b\r\nRCPT", "a\001@b", ".a@b",       "a.@b",
                         "a..b@c", "a@.b",  "a@b.",        "a@b..c",  "\"a\"@b",    "a,b@c",
                         "a;b@c",  "a@b_c", "\xc3\xa4@b",  "a@b\x7f", "a@[1.2.3.4]"};
    char local[80];

    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        ck_assert_msg(accounts_email_is_valid(good[i]), "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!accounts_email_is_valid(bad[i]), "%s", bad[i]);
    memset(local, 'l', sizeof local);
    strcpy(local + 64, "@b");
    ck_assert(accounts_email_is_valid(local));
    strcpy(local + 64, "l@b");
    ck_assert(!accounts_email_is_valid(local));
}
END_TEST

START_TEST(a_public_key_goes_with_the_egg)
{
    const struct accounts_hatch hatch = {
        .email = EMAIL, .display_name = "D", .public_key = "did:key:z6Mk"};
    struct answer answer;

    answer_init(&answer);
    ck_assert(accounts_hatch(accounts, &hatch, answered, &answer));
    await(&answer, 1);
    answer = verify_as(EMAIL, newest_code().text, NULL);
    EXPECT(answer, ACCOUNTS_TAKEN);
    ck_assert_str_eq(answer.key, "did:key:z6Mk");
}
END_TEST

/* ---- codes ---- */

START_TEST(a_code_ends_after_fifteen_minutes)
{
    EXPECT(hatch_as(EMAIL, "D", PASSWORD), ACCOUNTS_TAKEN);
    pass(CODE_LIFE_MS);
    ck_assert_uint_eq(accounts_count(accounts).eggs, 0);
    EXPECT(verify_as(EMAIL, newest_code().text, NULL), ACCOUNTS_BAD_CODE);

    EXPECT(hatch_as(EMAIL, "D", PASSWORD), ACCOUNTS_TAKEN);
    pass(CODE_LIFE_MS - 1);
    EXPECT(verify_as(EMAIL, newest_code().text, NULL), ACCOUNTS_TAKEN);
}
END_TEST

START_TEST(the_fifth_wrong_try_ends_a_code)
{
    EXPECT(hatch_as(EMAIL, "D", PASSWORD), ACCOUNTS_TAKEN);
    for (int i = 0; i < CODE_TRIES_MAX; i++)
        EXPECT(verify_as(EMAIL, wrong_code().text, NULL), ACCOUNTS_BAD_CODE);
    EXPECT(verify_as(EMAIL, newest_code().text, NULL), ACCOUNTS_BAD_CODE);
    ck_assert_uint_eq(accounts_count(accounts).eggs, 0);
}
END_TEST

START_TEST(four_wrong_tries_leave_one)
{
    EXPECT(hatch_as(EMAIL, "D", PASSWORD), ACCOUNTS_TAKEN);
    EXPECT(verify_as(EMAIL, "12345", NULL), ACCOUNTS_BAD_CODE); /* five digits count as well */
    for (int i = 1; i < CODE_TRIES_MAX - 1; i++)
        EXPECT(verify_as(EMAIL, wrong_code().text, NULL), ACCOUNTS_BAD_CODE);
    EXPECT(verify_as(EMAIL, newest_code().text, NULL), ACCOUNTS_TAKEN);
}
END_TEST

START_TEST(a_code_is_good_for_its_own_address_and_once)
{
    struct answer answer;
    struct code code;

    EXPECT(hatch_as("other@example.com", "D", PASSWORD), ACCOUNTS_TAKEN);
    EXPECT(hatch_as(EMAIL, "D", PASSWORD), ACCOUNTS_TAKEN);
    code = newest_code();
    EXPECT(verify_as("other@example.com", code.text, NULL), ACCOUNTS_BAD_CODE);
    EXPECT(verify_as("stranger@example.com", code.text, NULL), ACCOUNTS_BAD_CODE);
    answer = verify_as(EMAIL, code.text, NULL);
    EXPECT(answer, ACCOUNTS_TAKEN);
    EXPECT(hatched_as(answer.result.egg, 1), ACCOUNTS_TAKEN);
    EXPECT(verify_as(EMAIL, code.text, NULL), ACCOUNTS_BAD_CODE);
    EXPECT(hatched_as(answer.result.egg, 2), ACCOUNTS_NOT_FOUND);
}
END_TEST

START_TEST(each_hatch_is_an_egg_with_a_code_of_its_own)
{
    struct answer first, second;
    struct code code;

    EXPECT(hatch_as(EMAIL, "First", PASSWORD), ACCOUNTS_TAKEN);
    code = newest_code();
    EXPECT(hatch_as(EMAIL, "Second", PASSWORD), ACCOUNTS_TAKEN);
    ck_assert_uint_eq(accounts_count(accounts).eggs, 2);
    ck_assert_str_ne(code.text, newest_code().text);
    second = verify_as(EMAIL, newest_code().text, NULL);
    EXPECT(second, ACCOUNTS_TAKEN);
    ck_assert_str_eq(second.name, "Second");
    EXPECT(hatched_as(second.result.egg, 2), ACCOUNTS_TAKEN);
    first = verify_as(EMAIL, code.text, NULL);
    EXPECT(first, ACCOUNTS_TAKEN);
    ck_assert_str_eq(first.name, "First");
}
END_TEST

/* Whose letter is the newest is chance: neither code may bring a stranger's password. */
START_TEST(who_hatches_the_same_address_does_not_choose_its_password)
{
    static const char *const attack = "a password of mine";

    for (int late = 0; late < 2; late++)
        for (int newest = 0; newest < 2; newest++) {
            struct code codes[2];
            struct answer answer;
            char email[32];

            snprintf(email, sizeof email, "duck%d%d@example.com", late, newest);
            EXPECT(hatch_as(email, "D", late ? PASSWORD : attack), ACCOUNTS_TAKEN);
            codes[0] = newest_code();
            EXPECT(hatch_as(email, "D", late ? attack : PASSWORD), ACCOUNTS_TAKEN);
            codes[1] = newest_code();
            answer = verify_as(email, codes[newest].text, NULL);
            EXPECT(answer, ACCOUNTS_TAKEN);
            answer = hatched_as(answer.result.egg, (uint8_t)(10 + 2 * late + newest));
            EXPECT(answer, ACCOUNTS_TAKEN);
            ck_assert(!answer.result.has_password);
            EXPECT(auth_as(email, attack), ACCOUNTS_BAD_CREDENTIALS);

            EXPECT(forgot_as(email), ACCOUNTS_TAKEN);
            EXPECT(reset_as(email, newest_code().text, PASSWORD), ACCOUNTS_TAKEN);
            EXPECT(auth_as(email, PASSWORD), ACCOUNTS_TAKEN);
        }
}
END_TEST

START_TEST(a_password_that_comes_with_a_code_counts_whoever_hatched)
{
    struct answer answer;

    EXPECT(hatch_as(EMAIL, "D", "a password of mine"), ACCOUNTS_TAKEN);
    EXPECT(hatch_as(EMAIL, "D", PASSWORD), ACCOUNTS_TAKEN);
    answer = verify_as(EMAIL, newest_code().text, PASSWORD);
    EXPECT(answer, ACCOUNTS_TAKEN);
    EXPECT(hatch_as(EMAIL, "D", "a password of mine"), ACCOUNTS_TAKEN); /* in between */
    answer = hatched_as(answer.result.egg, 1);
    EXPECT(answer, ACCOUNTS_TAKEN);
    ck_assert(answer.result.has_password);
    EXPECT(auth_as(EMAIL, PASSWORD), ACCOUNTS_TAKEN);
}
END_TEST

START_TEST(a_hatch_after_the_code_of_the_one_before_is_over_has_no_rival)
{
    struct answer answer;

    EXPECT(hatch_as(EMAIL, "D", "a password of mine"), ACCOUNTS_TAKEN);
    pass(CODE_LIFE_MS);
    EXPECT(hatch_as(EMAIL, "D", PASSWORD), ACCOUNTS_TAKEN);
    answer = verify_as(EMAIL, newest_code().text, NULL);
    EXPECT(answer, ACCOUNTS_TAKEN);
    EXPECT(hatched_as(answer.result.egg, 1), ACCOUNTS_TAKEN);
    EXPECT(auth_as(EMAIL, PASSWORD), ACCOUNTS_TAKEN);
}
END_TEST

/* Else an address with five codes could be guessed at five times as often. */
START_TEST(a_wrong_try_counts_at_every_code_of_the_address)
{
    struct code first;

    EXPECT(hatch_as(EMAIL, "D", NULL), ACCOUNTS_TAKEN);
    first = newest_code();
    EXPECT(hatch_as(EMAIL, "D", NULL), ACCOUNTS_TAKEN);
    for (int i = 0; i < CODE_TRIES_MAX; i++)
        EXPECT(verify_as(EMAIL, "none", NULL), ACCOUNTS_BAD_CODE);
    EXPECT(verify_as(EMAIL, first.text, NULL), ACCOUNTS_BAD_CODE);
    EXPECT(verify_as(EMAIL, newest_code().text, NULL), ACCOUNTS_BAD_CODE);
    ck_assert_uint_eq(accounts_count(accounts).eggs, 0);
}
END_TEST

START_TEST(an_address_gets_five_codes_an_hour_and_ten_a_day)
{
    for (int i = 0; i < CODES_PER_HOUR_MAX + 1; i++)
        EXPECT(hatch_as(EMAIL, "D", NULL), ACCOUNTS_TAKEN); /* the answer stays the same */
    ck_assert_uint_eq(letters(), CODES_PER_HOUR_MAX);
    pass(HOUR);
    for (int i = 0; i < CODES_PER_HOUR_MAX + 1; i++)
        EXPECT(hatch_as(EMAIL, "D", NULL), ACCOUNTS_TAKEN);
    ck_assert_uint_eq(letters(), CODES_PER_DAY_MAX);
    pass(2 * HOUR);
    EXPECT(hatch_as(EMAIL, "D", NULL), ACCOUNTS_TAKEN);
    ck_assert_uint_eq(letters(), CODES_PER_DAY_MAX);
    EXPECT(hatch_as("other@example.com", "D", NULL), ACCOUNTS_TAKEN);
    ck_assert_uint_eq(letters(), CODES_PER_DAY_MAX + 1);
    pass(24 * HOUR);
    EXPECT(hatch_as(EMAIL, "D", NULL), ACCOUNTS_TAKEN);
    ck_assert_uint_eq(letters(), CODES_PER_DAY_MAX + 2);
}
END_TEST

/* ---- shares ---- */

static struct answer hatch_from(const char *source)
{
    const struct accounts_hatch hatch = {.email = EMAIL, .display_name = "D", .source = source};
    struct answer answer;

    answer_init(&answer);
    ck_assert(accounts_hatch(accounts, &hatch, answered, &answer));
    await(&answer, 1);
    return answer;
}

START_TEST(who_hatches_from_one_network_leaves_codes_to_others)
{
    struct code code;

    for (int i = 0; i < CODES_PER_SOURCE_MAX + 4; i++)
        EXPECT(hatch_from("192.0.2.1"), ACCOUNTS_TAKEN);
    ck_assert_uint_eq(letters(), CODES_PER_SOURCE_MAX);
    EXPECT(hatch_from("192.0.2.2"), ACCOUNTS_TAKEN);
    ck_assert_uint_eq(letters(), CODES_PER_SOURCE_MAX + 1);
    code = newest_code();
    EXPECT(verify_as(EMAIL, code.text, NULL), ACCOUNTS_TAKEN);
    pass(HOUR);
    EXPECT(hatch_from("192.0.2.1"), ACCOUNTS_TAKEN);
    ck_assert_uint_eq(letters(), CODES_PER_SOURCE_MAX + 2);
}
END_TEST

START_TEST(addresses_of_one_ipv6_network_are_one_source)
{
    for (int i = 0; i < CODES_PER_SOURCE_MAX + 1; i++) {
        char source[32];
        snprintf(source, sizeof source, "2001:db8:1:2::%d", i + 1);
        EXPECT(hatch_from(source), ACCOUNTS_TAKEN);
    }
    ck_assert_uint_eq(letters(), CODES_PER_SOURCE_MAX);
    EXPECT(hatch_from("2001:db8:1:3::1"), ACCOUNTS_TAKEN);
    ck_assert_uint_eq(letters(), CODES_PER_SOURCE_MAX + 1);
}
END_TEST

START_TEST(codes_to_hatch_and_to_reset_have_shares_of_their_own)
{
    hatch_whole(EMAIL, PASSWORD, 1);
    for (int i = 0; i < CODES_PER_HOUR_MAX; i++)
        EXPECT(hatch_as(EMAIL, "D", NULL), ACCOUNTS_TAKEN);
    ck_assert_uint_eq(letters(), CODES_PER_HOUR_MAX);
    EXPECT(forgot_as(EMAIL), ACCOUNTS_TAKEN);
    ck_assert_uint_eq(letters(), CODES_PER_HOUR_MAX + 1);
    EXPECT(reset_as(EMAIL, newest_code().text, "a fresh passphrase"), ACCOUNTS_TAKEN);
}
END_TEST

START_TEST(an_address_beyond_ascii_is_refused_by_what_to_write)
{
    struct answer answer = hatch_as("ente@m\xc3\xbcller.example", "D", NULL);

    EXPECT(answer, ACCOUNTS_EMAIL_NOT_ASCII);
    ck_assert_ptr_nonnull(strstr(accounts_verdict_text(answer.result.verdict), "xn--"));
    EXPECT(hatch_as("ente@xn--mller-kva.example", "D", NULL), ACCOUNTS_TAKEN);
}
END_TEST

START_TEST(one_code_makes_one_duckling)
{
    struct answer answer;

    EXPECT(hatch_as(EMAIL, "D", PASSWORD), ACCOUNTS_TAKEN);
    answer = verify_as(EMAIL, newest_code().text, NULL);
    EXPECT(answer, ACCOUNTS_TAKEN);
    EXPECT(verify_as(EMAIL, newest_code().text, NULL), ACCOUNTS_CLAIMED);
    EXPECT(egg_back(answer.result.egg), ACCOUNTS_TAKEN); /* the node was away */
    answer = verify_as(EMAIL, newest_code().text, NULL);
    EXPECT(answer, ACCOUNTS_TAKEN);
    pass(EGG_CLAIM_MS); /* the caller was never heard of again */
    answer = verify_as(EMAIL, newest_code().text, NULL);
    EXPECT(answer, ACCOUNTS_TAKEN);
    EXPECT(hatched_as(answer.result.egg, 1), ACCOUNTS_TAKEN);
    EXPECT(egg_back(answer.result.egg), ACCOUNTS_NOT_FOUND);
}
END_TEST

/* ---- passwords and sessions ---- */

START_TEST(credentials_are_exchanged_for_a_session)
{
    struct answer hatched = hatch_whole(EMAIL, PASSWORD, 5), answer;
    struct access access;

    answer = auth_as("AGENT@example.com", PASSWORD);
    EXPECT(answer, ACCOUNTS_TAKEN);
    ck_assert_int_eq(strncmp(answer.token, "sd_st_", 6), 0);
    ck_assert_uint_eq(strlen(answer.token), 49);
    ck_assert_uint_eq(answer.result.expires_ms, START_MS + SESSION_IDLE_MS);
    ck_assert_uint_eq(answer.result.duckling_count, 1);
    ck_assert_uint_eq(answer.ducklings[0].bytes[0], 5);
    ck_assert_int_eq(find(answer.token, &access), ACCESS_TAKEN);
    ck_assert_int_eq(access.kind, ACCESS_SESSION);
    ck_assert_uint_eq(access.operator_id, hatched.result.operator_id);
    ck_assert_uint_eq(access.duckling.bytes[0], 5);
    ck_assert_uint_eq(accounts_count(accounts).sessions, 1);
}
END_TEST

START_TEST(wrong_credentials_say_no_more_than_that)
{
    hatch_whole(EMAIL, PASSWORD, 1);
    hatch_whole("hub@example.com", NULL, 2);
    EXPECT(hatch_as("egg@example.com", "D", PASSWORD), ACCOUNTS_TAKEN);
    EXPECT(auth_as(EMAIL, "securepassword124"), ACCOUNTS_BAD_CREDENTIALS);
    EXPECT(auth_as(EMAIL, ""), ACCOUNTS_BAD_CREDENTIALS);
    EXPECT(auth_as("stranger@example.com", PASSWORD), ACCOUNTS_BAD_CREDENTIALS);
    EXPECT(auth_as("egg@example.com", PASSWORD), ACCOUNTS_BAD_CREDENTIALS);
    EXPECT(auth_as("hub@example.com", PASSWORD), ACCOUNTS_BAD_CREDENTIALS);
    EXPECT(auth_as("hub@example.com", ""), ACCOUNTS_BAD_CREDENTIALS);
}
END_TEST

START_TEST(a_password_may_come_with_the_code)
{
    struct answer answer;

    EXPECT(hatch_as("hub@example.com", "My Agent", NULL), ACCOUNTS_TAKEN);
    answer = verify_as("hub@example.com", newest_code().text, PASSWORD);
    EXPECT(answer, ACCOUNTS_TAKEN);
    EXPECT(hatched_as(answer.result.egg, 1), ACCOUNTS_TAKEN);
    EXPECT(auth_as("hub@example.com", PASSWORD), ACCOUNTS_TAKEN);
}
END_TEST

START_TEST(a_password_may_come_later)
{
    hatch_whole("hub@example.com", NULL, 1);
    EXPECT(forgot_as("hub@example.com"), ACCOUNTS_TAKEN);
    EXPECT(reset_as("hub@example.com", newest_code().text, PASSWORD), ACCOUNTS_TAKEN);
    EXPECT(auth_as("hub@example.com", PASSWORD), ACCOUNTS_TAKEN);
}
END_TEST

START_TEST(a_session_ends_an_hour_after_its_last_use)
{
    struct answer answer;
    struct access access;

    hatch_whole(EMAIL, PASSWORD, 1);
    answer = auth_as(EMAIL, PASSWORD);
    for (int i = 0; i < 5; i++) {
        pass(SESSION_IDLE_MS - 1);
        ck_assert_int_eq(find(answer.token, &access), ACCESS_TAKEN);
        ck_assert_uint_eq(access.expires_ms, read_clock(NULL) + SESSION_IDLE_MS);
        barrier();
    }
    pass(SESSION_IDLE_MS);
    ck_assert_int_eq(find(answer.token, NULL), ACCESS_EXPIRED);
}
END_TEST

START_TEST(a_session_ends_after_thirty_days_however_it_is_used)
{
    uint64_t ends_ms;
    struct answer answer;
    struct access access = {0};

    hatch_whole(EMAIL, PASSWORD, 1);
    answer = auth_as(EMAIL, PASSWORD);
    ends_ms = read_clock(NULL) + SESSION_LIFE_MAX_MS;
    while (read_clock(NULL) + SESSION_IDLE_MS / 2 < ends_ms) {
        pass(SESSION_IDLE_MS / 2);
        ck_assert_int_eq(find(answer.token, &access), ACCESS_TAKEN);
        barrier();
    }
    ck_assert_uint_eq(access.expires_ms, ends_ms);
    pass(ends_ms - read_clock(NULL));
    ck_assert_int_eq(find(answer.token, NULL), ACCESS_EXPIRED);
}
END_TEST

START_TEST(logging_out_ends_this_session_alone)
{
    struct answer first, second, key;

    key = hatch_whole(EMAIL, PASSWORD, 1);
    first = auth_as(EMAIL, PASSWORD);
    second = auth_as(EMAIL, PASSWORD);
    EXPECT(logout_with(first.token), ACCOUNTS_TAKEN);
    ck_assert_int_eq(find(first.token, NULL), ACCESS_UNKNOWN);
    ck_assert_int_eq(find(second.token, NULL), ACCESS_TAKEN);
    EXPECT(logout_with(first.token), ACCOUNTS_NOT_FOUND);
    EXPECT(logout_with("nonsense"), ACCOUNTS_NOT_FOUND);
    EXPECT(logout_with(key.beak_key), ACCOUNTS_NOT_FOUND);
    ck_assert_int_eq(find(key.beak_key, NULL), ACCESS_TAKEN);
}
END_TEST

START_TEST(the_thirty_third_session_ends_the_least_used)
{
    struct answer first, second, last;

    hatch_whole(EMAIL, PASSWORD, 1);
    first = auth_as(EMAIL, PASSWORD);
    second = auth_as(EMAIL, PASSWORD);
    for (int i = 2; i < SESSIONS_PER_OPERATOR_MAX; i++)
        auth_as(EMAIL, PASSWORD);
    ck_assert_uint_eq(accounts_count(accounts).sessions, SESSIONS_PER_OPERATOR_MAX);
    pass(2 * MINUTE);
    ck_assert_int_eq(find(first.token, NULL), ACCESS_TAKEN); /* the oldest, but used just now */
    last = auth_as(EMAIL, PASSWORD);
    ck_assert_uint_eq(accounts_count(accounts).sessions, SESSIONS_PER_OPERATOR_MAX);
    ck_assert_int_eq(find(first.token, NULL), ACCESS_TAKEN);
    ck_assert_int_eq(find(second.token, NULL), ACCESS_UNKNOWN);
    ck_assert_int_eq(find(last.token, NULL), ACCESS_TAKEN);
}
END_TEST

/* ---- what is open ---- */

static size_t list_sessions(uint64_t operator_id, struct accounts_session *sessions)
{
    return accounts_sessions(accounts, operator_id, sessions, SESSIONS_PER_OPERATOR_MAX);
}

static struct answer end_session(uint64_t operator_id, uint64_t session)
{
    struct answer answer;

    answer_init(&answer);
    ck_assert(accounts_end_session(accounts, operator_id, session, answered, &answer));
    await(&answer, 1);
    return answer;
}

START_TEST(sessions_are_listed_and_one_is_ended)
{
    struct accounts_session sessions[SESSIONS_PER_OPERATOR_MAX];
    struct answer first, second, other;
    struct access access;

    hatch_whole(EMAIL, PASSWORD, 1);
    hatch_whole("other@example.com", PASSWORD, 2);
    first = auth_as(EMAIL, PASSWORD);
    pass(MINUTE);
    second = auth_as(EMAIL, PASSWORD);
    other = auth_as("other@example.com", PASSWORD);
    ck_assert_uint_eq(list_sessions(first.result.operator_id, sessions), 2);
    ck_assert_int_eq(find(second.token, &access), ACCESS_TAKEN);
    ck_assert_uint_eq(sessions[0].session, access.session);
    ck_assert_uint_eq(sessions[0].began_ms, access.began_ms);
    ck_assert_uint_eq(sessions[1].began_ms, START_MS);
    ck_assert_uint_eq(sessions[1].ends_ms, START_MS + SESSION_IDLE_MS);
    ck_assert_int_eq(sessions[0].way, ACCESS_BY_PASSWORD);

    /* Nobody ends another's. */
    EXPECT(end_session(other.result.operator_id, sessions[1].session), ACCOUNTS_NOT_FOUND);
    EXPECT(end_session(first.result.operator_id, sessions[1].session), ACCOUNTS_TAKEN);
    EXPECT(end_session(first.result.operator_id, sessions[1].session), ACCOUNTS_NOT_FOUND);
    ck_assert_int_eq(find(first.token, NULL), ACCESS_UNKNOWN);
    ck_assert_int_eq(find(second.token, NULL), ACCESS_TAKEN);
}
END_TEST

START_TEST(all_other_sessions_are_ended_and_beak_keys_stay)
{
    struct accounts_session sessions[SESSIONS_PER_OPERATOR_MAX];
    struct answer duckling = hatch_whole(EMAIL, PASSWORD, 1), ended, tokens[3];
    struct access access;

    for (int i = 0; i < 3; i++)
        tokens[i] = auth_as(EMAIL, PASSWORD);
    ck_assert_int_eq(find(tokens[1].token, &access), ACCESS_TAKEN);
    answer_init(&ended);
    ck_assert(accounts_end_others(accounts, access.operator_id, access.session, answered, &ended));
    await(&ended, 1);
    EXPECT(ended, ACCOUNTS_TAKEN);
    ck_assert_uint_eq(list_sessions(access.operator_id, sessions), 1);
    ck_assert_int_eq(find(tokens[0].token, NULL), ACCESS_UNKNOWN);
    ck_assert_int_eq(find(tokens[1].token, NULL), ACCESS_TAKEN);
    ck_assert_int_eq(find(tokens[2].token, NULL), ACCESS_UNKNOWN);
    ck_assert_int_eq(find(duckling.beak_key, NULL), ACCESS_TAKEN);
}
END_TEST

START_TEST(a_session_that_is_over_is_not_listed)
{
    struct accounts_session sessions[SESSIONS_PER_OPERATOR_MAX];
    struct answer token;

    hatch_whole(EMAIL, PASSWORD, 1);
    token = auth_as(EMAIL, PASSWORD);
    pass(SESSION_IDLE_MS);
    ck_assert_uint_eq(list_sessions(token.result.operator_id, sessions), 0);
}
END_TEST

START_TEST(a_hundred_failures_in_a_row_lock_until_reset)
{
    struct answer session;
    size_t before;

    hatch_whole(EMAIL, PASSWORD, 1);
    for (int i = 0; i < FAILURES_MAX - 1; i++)
        EXPECT(auth_as(EMAIL, "not this password"), ACCOUNTS_BAD_CREDENTIALS);
    session = auth_as(EMAIL, PASSWORD); /* ends the row */
    EXPECT(session, ACCOUNTS_TAKEN);
    before = letters();
    for (int i = 0; i < FAILURES_MAX; i++)
        EXPECT(auth_as(EMAIL, "not this password"), ACCOUNTS_BAD_CREDENTIALS);
    ck_assert_uint_eq(letters(), before + 1); /* the operator is told, once */
    EXPECT(auth_as(EMAIL, PASSWORD), ACCOUNTS_BAD_CREDENTIALS);
    ck_assert_uint_eq(letters(), before + 1);
    EXPECT(hatch_as(EMAIL, "D", NULL), ACCOUNTS_TAKEN);
    EXPECT(verify_as(EMAIL, newest_code().text, NULL), ACCOUNTS_BAD_CODE);
    ck_assert_int_eq(find(session.token, NULL), ACCESS_TAKEN);
    EXPECT(forgot_as(EMAIL), ACCOUNTS_TAKEN);
    EXPECT(reset_as(EMAIL, newest_code().text, "a brand new password"), ACCOUNTS_TAKEN);
    EXPECT(auth_as(EMAIL, "a brand new password"), ACCOUNTS_TAKEN);
}
END_TEST

START_TEST(a_reset_changes_the_password_and_ends_all_sessions)
{
    struct answer first, key;
    struct code code;

    key = hatch_whole(EMAIL, PASSWORD, 1);
    first = auth_as(EMAIL, PASSWORD);
    EXPECT(forgot_as(EMAIL), ACCOUNTS_TAKEN);
    code = newest_code();
    EXPECT(reset_as(EMAIL, wrong_code().text, "a brand new password"), ACCOUNTS_BAD_CODE);
    EXPECT(reset_as(EMAIL, code.text, NULL), ACCOUNTS_PASSWORD_MISSING);
    EXPECT(reset_as(EMAIL, code.text, "short"), ACCOUNTS_PASSWORD_TOO_SHORT);
    EXPECT(reset_as(EMAIL, code.text, "a brand new password"), ACCOUNTS_TAKEN);
    EXPECT(reset_as(EMAIL, code.text, "a brand new password"), ACCOUNTS_BAD_CODE); /* once */
    ck_assert_int_eq(find(first.token, NULL), ACCESS_UNKNOWN);
    ck_assert_int_eq(find(key.beak_key, NULL), ACCESS_TAKEN);
    EXPECT(auth_as(EMAIL, PASSWORD), ACCOUNTS_BAD_CREDENTIALS);
    EXPECT(auth_as(EMAIL, "a brand new password"), ACCOUNTS_TAKEN);
}
END_TEST

START_TEST(a_code_for_a_hatch_does_not_reset)
{
    hatch_whole(EMAIL, PASSWORD, 1);
    EXPECT(hatch_as(EMAIL, "D", NULL), ACCOUNTS_TAKEN);
    EXPECT(reset_as(EMAIL, newest_code().text, "a brand new password"), ACCOUNTS_BAD_CODE);
}
END_TEST

START_TEST(a_stranger_who_forgot_gets_the_same_answer_and_a_letter_without_a_code)
{
    struct answer known, stranger;
    char *letter;

    hatch_whole(EMAIL, PASSWORD, 1);
    known = forgot_as(EMAIL);
    stranger = forgot_as("stranger@example.com");
    ck_assert_int_eq(known.result.verdict, stranger.result.verdict);
    ck_assert_uint_eq(known.result.expires_ms, stranger.result.expires_ms);
    letter = newest_letter(folder_file(&folder, "mail"), NULL);
    ck_assert_ptr_nonnull(strstr(letter, "To: stranger@example.com"));
    ck_assert_ptr_null(strstr(letter, "Your code"));
    free(letter);
    EXPECT(reset_as("stranger@example.com", "123456", PASSWORD), ACCOUNTS_BAD_CODE);
}
END_TEST

START_TEST(an_unknown_address_costs_as_much_as_a_wrong_password)
{
    struct accounts_settings settings = settings_of(&folder);
    struct timespec from, to;
    double known_ms, stranger_ms;

    hatch_whole(EMAIL, PASSWORD, 1);
    accounts_close(accounts);
    accounts = NULL;
    settings.password_cost = PASSWORD_INTERACTIVE;
    ck_assert_int_eq(accounts_open(&accounts, &settings), 0);
    EXPECT(forgot_as(EMAIL), ACCOUNTS_TAKEN);
    EXPECT(reset_as(EMAIL, newest_code().text, PASSWORD), ACCOUNTS_TAKEN); /* at full cost */
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    EXPECT(auth_as(EMAIL, "not this password"), ACCOUNTS_BAD_CREDENTIALS);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    known_ms = (double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    EXPECT(auth_as("stranger@example.com", "not this password"), ACCOUNTS_BAD_CREDENTIALS);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    stranger_ms =
        (double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6;
    ck_assert_double_gt(stranger_ms, known_ms / 4); /* without argon2id it would be a hundredth */
    ck_assert_double_gt(known_ms, stranger_ms / 4);
}
END_TEST

/* ---- ducklings and beak keys ---- */

START_TEST(an_operator_hatches_without_a_code)
{
    struct answer first = hatch_whole(EMAIL, PASSWORD, 1), answer;
    size_t before = letters();

    answer = for_operator(first.result.operator_id, "Second");
    EXPECT(answer, ACCOUNTS_TAKEN);
    ck_assert_str_eq(answer.name, "Second");
    answer = hatched_as(answer.result.egg, 2);
    EXPECT(answer, ACCOUNTS_TAKEN);
    ck_assert(!answer.result.operator_is_new);
    ck_assert_int_eq(find(answer.beak_key, NULL), ACCESS_TAKEN);
    ck_assert_uint_eq(letters(), before);
    answer = auth_as(EMAIL, PASSWORD);
    ck_assert_uint_eq(answer.result.duckling_count, 2);
    ck_assert_uint_eq(answer.ducklings[1].bytes[0], 2);
    EXPECT(for_operator(999, "Third"), ACCOUNTS_NOT_FOUND);
    EXPECT(for_operator(first.result.operator_id, ""), ACCOUNTS_BAD_NAME);
}
END_TEST

START_TEST(an_operator_has_at_most_a_thousand_ducklings)
{
    struct answer first = hatch_whole(EMAIL, PASSWORD, 1), answer;
    struct id duckling = {{0}}, certificate = {{0}};

    for (int i = 1; i < DUCKLINGS_PER_OPERATOR_MAX; i++) {
        answer = for_operator(first.result.operator_id, "More");
        EXPECT(answer, ACCOUNTS_TAKEN);
        duckling.bytes[1] = (uint8_t)(i >> 8);
        duckling.bytes[2] = (uint8_t)i;
        duckling.bytes[3] = 1;
        answer_init(&first);
        ck_assert(accounts_hatched(accounts, answer.result.egg, &duckling, &certificate, answered,
                                   &first));
        await(&first, 1);
        EXPECT(first, ACCOUNTS_TAKEN);
    }
    EXPECT(for_operator(first.result.operator_id, "One more"), ACCOUNTS_FULL);
    EXPECT(hatch_as(EMAIL, "One more", NULL), ACCOUNTS_TAKEN);
    EXPECT(verify_as(EMAIL, newest_code().text, NULL), ACCOUNTS_FULL);
}
END_TEST

START_TEST(the_list_shows_masked_keys_and_when_they_were_used)
{
    struct answer answer = hatch_whole(EMAIL, PASSWORD, 3);
    struct accounts_duckling list[4];
    char masked[32];

    ck_assert_uint_eq(accounts_ducklings(accounts, answer.result.operator_id, list, 4), 1);
    ck_assert_str_eq(list[0].display_name, "My First Duck");
    ck_assert_uint_eq(list[0].created_ms, START_MS);
    ck_assert_uint_eq(list[0].seen_ms, 0);
    snprintf(masked, sizeof masked, "sd_bk_%.2s…%.2s", answer.beak_key + 6, answer.beak_key + 47);
    ck_assert_str_eq(list[0].beak_key_masked, masked);
    pass(5 * MINUTE);
    ck_assert_int_eq(find(answer.beak_key, NULL), ACCESS_TAKEN);
    barrier();
    ck_assert_uint_eq(accounts_ducklings(accounts, answer.result.operator_id, list, 4), 1);
    ck_assert_uint_eq(list[0].seen_ms, START_MS + 5 * MINUTE);
    ck_assert_uint_eq(accounts_ducklings(accounts, answer.result.operator_id + 1, list, 4), 0);
    ck_assert(accounts_owns(accounts, answer.result.operator_id, &list[0].duckling));
    ck_assert(!accounts_owns(accounts, answer.result.operator_id + 1, &list[0].duckling));
}
END_TEST

START_TEST(rotation_ends_the_old_beak_key_at_once)
{
    struct answer first = hatch_whole(EMAIL, PASSWORD, 1);
    struct answer other = hatch_whole("other@example.com", PASSWORD, 2), answer;
    struct id duckling = {{1}}, nobody = {{99}};

    EXPECT(rotate_as(other.result.operator_id, &duckling), ACCOUNTS_NOT_FOUND);
    EXPECT(rotate_as(first.result.operator_id, &nobody), ACCOUNTS_NOT_FOUND);
    ck_assert_int_eq(find(first.beak_key, NULL), ACCESS_TAKEN);
    answer = rotate_as(first.result.operator_id, &duckling);
    EXPECT(answer, ACCOUNTS_TAKEN);
    ck_assert_str_ne(answer.beak_key, first.beak_key);
    ck_assert_int_eq(find(first.beak_key, NULL), ACCESS_UNKNOWN);
    ck_assert_int_eq(find(answer.beak_key, NULL), ACCESS_TAKEN);
    ck_assert_int_eq(find(other.beak_key, NULL), ACCESS_TAKEN);
}
END_TEST

START_TEST(what_is_no_bearer_is_told_so)
{
    struct answer answer = hatch_whole(EMAIL, PASSWORD, 1);
    char changed[64];

    ck_assert_int_eq(find("", NULL), ACCESS_MALFORMED);
    ck_assert_int_eq(find("sd_bk_your_key_here", NULL), ACCESS_MALFORMED);
    strcpy(changed, answer.beak_key);
    strcat(changed, "x");
    ck_assert_int_eq(find(changed, NULL), ACCESS_MALFORMED);
    strcpy(changed, answer.beak_key);
    changed[20] = '!';
    ck_assert_int_eq(find(changed, NULL), ACCESS_MALFORMED);
    strcpy(changed, answer.beak_key);
    changed[20] = changed[20] == 'A' ? 'B' : 'A';
    ck_assert_int_eq(find(changed, NULL), ACCESS_UNKNOWN);
    memcpy(changed, "sd_st_", 6); /* a beak key's secret is no session's */
    ck_assert_int_eq(find(changed, NULL), ACCESS_UNKNOWN);
}
END_TEST

/* ---- the house ---- */

START_TEST(accounts_survive_a_restart)
{
    struct answer key = hatch_whole(EMAIL, PASSWORD, 1), session = auth_as(EMAIL, PASSWORD);

    EXPECT(hatch_as("egg@example.com", "D", NULL), ACCOUNTS_TAKEN);
    accounts_close(accounts);
    open_accounts();
    ck_assert_int_eq(find(key.beak_key, NULL), ACCESS_TAKEN);
    ck_assert_int_eq(find(session.token, NULL), ACCESS_TAKEN);
    EXPECT(auth_as(EMAIL, PASSWORD), ACCOUNTS_TAKEN);
    EXPECT(verify_as("egg@example.com", newest_code().text, NULL), ACCOUNTS_TAKEN);
}
END_TEST

START_TEST(without_its_key_the_database_lets_nobody_in)
{
    struct answer key = hatch_whole(EMAIL, PASSWORD, 1);

    accounts_close(accounts);
    ck_assert_int_eq(unlink(folder_file(&folder, "gateway.key")), 0);
    open_accounts();
    ck_assert_int_eq(find(key.beak_key, NULL), ACCESS_UNKNOWN);
}
END_TEST

static void expect_absent(const char *name, const char *secret)
{
    size_t size, length = strlen(secret);
    char *text = file_read(folder_file(&folder, name), &size);

    if (!text)
        return;
    ck_assert_msg(memmem(text, size, secret, length) == NULL, "%s is in %s", secret, name);
    free(text);
}

START_TEST(no_secret_is_in_clear_on_disk)
{
    static const char *const files[] = {"gateway.db", "gateway.db-wal", "gateway.db-shm"};
    struct answer key = hatch_whole(EMAIL, PASSWORD, 1), session = auth_as(EMAIL, PASSWORD);
    struct code code;
    size_t size;
    char *text;

    EXPECT(hatch_as(EMAIL, "D", PASSWORD), ACCOUNTS_TAKEN);
    code = newest_code();
    for (size_t i = 0; i < 3; i++) {
        expect_absent(files[i], key.beak_key + 8); /* its first two characters are shown */
        expect_absent(files[i], session.token + 8);
        expect_absent(files[i], PASSWORD);
        expect_absent(files[i], code.text);
    }
    /* The search finds what is there. */
    text = file_read(folder_file(&folder, "gateway.db-wal"), &size);
    ck_assert_ptr_nonnull(memmem(text, size, EMAIL, strlen(EMAIL)));
    free(text);
}
END_TEST

/* ---- the newsletter ---- */

static struct answer subscribe(const char *email)
{
    struct answer answer;

    answer_init(&answer);
    ck_assert(accounts_subscribe(accounts, email, NULL, answered, &answer));
    await(&answer, 1);
    return answer;
}

static struct answer confirm(const char *email, const char *code)
{
    struct answer answer;

    answer_init(&answer);
    ck_assert(accounts_confirm(accounts, email, code, answered, &answer));
    await(&answer, 1);
    return answer;
}

static void count_subscriber(void *context, const char *email, uint64_t confirmed_ms,
                             const char token[UNSUBSCRIBE_TEXT_SIZE])
{
    ck_assert_ptr_nonnull(strchr(email, '@'));
    ck_assert_uint_ge(confirmed_ms, START_MS);
    ck_assert_uint_eq(strlen(token), UNSUBSCRIBE_TEXT_SIZE - 1);
    (*(size_t *)context)++;
}

static size_t subscribers(void)
{
    size_t count = 0;

    ck_assert_int_eq(newsletter_list(folder_file(&folder, "gateway.db"),
                                     folder_file(&folder, "gateway.key"), count_subscriber, &count),
                     0);
    return count;
}

START_TEST(a_newsletter_comes_when_its_code_did)
{
    struct answer answer = subscribe(EMAIL);

    EXPECT(answer, ACCOUNTS_TAKEN);
    ck_assert_uint_eq(answer.result.expires_ms, START_MS + CODE_LIFE_MS);
    ck_assert_uint_eq(subscribers(), 0);
    EXPECT(confirm(EMAIL, wrong_code().text), ACCOUNTS_BAD_CODE);
    answer = confirm("AGENT@example.com", newest_code().text);
    EXPECT(answer, ACCOUNTS_TAKEN);
    ck_assert_uint_eq(strlen(answer.token), UNSUBSCRIBE_TEXT_SIZE - 1);
    ck_assert_uint_eq(subscribers(), 1);
    EXPECT(confirm(EMAIL, newest_code().text), ACCOUNTS_BAD_CODE); /* used */
}
END_TEST

START_TEST(who_has_the_newsletter_is_asked_like_who_has_not)
{
    struct answer first = subscribe(EMAIL), again;

    EXPECT(confirm(EMAIL, newest_code().text), ACCOUNTS_TAKEN);
    ck_assert_uint_eq(letters(), 1);
    again = subscribe(EMAIL);
    ck_assert_int_eq(again.result.verdict, first.result.verdict);
    ck_assert_uint_eq(again.result.expires_ms, first.result.expires_ms);
    ck_assert_uint_eq(letters(), 2);
    ck_assert_uint_eq(subscribers(), 1);
    EXPECT(confirm(EMAIL, newest_code().text), ACCOUNTS_TAKEN);
    ck_assert_uint_eq(subscribers(), 1);
}
END_TEST

START_TEST(a_code_for_the_newsletter_neither_hatches_nor_resets)
{
    hatch_whole(EMAIL, PASSWORD, 1);
    EXPECT(subscribe(EMAIL), ACCOUNTS_TAKEN);
    EXPECT(verify_as(EMAIL, newest_code().text, NULL), ACCOUNTS_BAD_CODE);
    EXPECT(reset_as(EMAIL, newest_code().text, "a fresh passphrase"), ACCOUNTS_BAD_CODE);
    EXPECT(confirm(EMAIL, newest_code().text), ACCOUNTS_TAKEN);
}
END_TEST

START_TEST(a_newsletter_that_nobody_confirms_is_forgotten)
{
    struct code code;

    EXPECT(subscribe(EMAIL), ACCOUNTS_TAKEN);
    code = newest_code();
    pass(CODE_LIFE_MS);
    EXPECT(confirm(EMAIL, code.text), ACCOUNTS_BAD_CODE);
    ck_assert_uint_eq(subscribers(), 0);
}
END_TEST

/* ---- erasure ---- */

static struct answer erase(uint64_t operator_id, uint64_t ducklings)
{
    struct answer answer;

    answer_init(&answer);
    ck_assert(accounts_erase(accounts, operator_id, ducklings, answered, &answer));
    await(&answer, 1);
    return answer;
}

static bool is_anywhere(const char *needle)
{
    static const char *const names[] = {"gateway.db", "gateway.db-wal"};
    bool is_found = false;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t size = 0;
        char *bytes = file_read(folder_file(&folder, names[i]), &size);
        is_found = is_found || (bytes && memmem(bytes, size, needle, strlen(needle)));
        free(bytes);
    }
    return is_found;
}

START_TEST(nothing_of_an_erased_operator_is_left_in_the_bytes)
{
    struct answer gone = hatch_whole(EMAIL, PASSWORD, 1);
    struct answer kept = hatch_whole("kept@elsewhere.org", PASSWORD, 2), token;
    struct accounts_operator about;

    token = auth_as(EMAIL, PASSWORD);
    EXPECT(subscribe(EMAIL), ACCOUNTS_TAKEN);
    EXPECT(confirm(EMAIL, newest_code().text), ACCOUNTS_TAKEN);
    EXPECT(forgot_as(EMAIL), ACCOUNTS_TAKEN);
    EXPECT(hatch_as("Agent@EXAMPLE.com", "An Egg", PASSWORD), ACCOUNTS_TAKEN);
    ck_assert(accounts_about(accounts, gone.result.operator_id, &about));
    ck_assert_str_eq(about.email, EMAIL);
    ck_assert(about.has_password);
    ck_assert_uint_eq(about.eggs, 1);
    ck_assert_uint_eq(about.codes, 2);
    ck_assert_uint_ne(about.newsletter_ms, 0);
    ck_assert(is_anywhere(EMAIL));

    EXPECT(erase(gone.result.operator_id, 0), ACCOUNTS_FAULT); /* one is not seen to */
    EXPECT(erase(gone.result.operator_id, 2), ACCOUNTS_FAULT);
    ck_assert(is_anywhere(EMAIL));
    EXPECT(erase(gone.result.operator_id, 1), ACCOUNTS_TAKEN);
    ck_assert(!is_anywhere(EMAIL));
    ck_assert(!is_anywhere("Agent@EXAMPLE.com"));
    ck_assert(!is_anywhere("An Egg"));
    ck_assert(is_anywhere("kept@elsewhere.org"));
    ck_assert_uint_eq(letters(), 1); /* the other's */
    ck_assert_int_eq(find(token.token, NULL), ACCESS_UNKNOWN);
    ck_assert_int_eq(find(gone.beak_key, NULL), ACCESS_UNKNOWN);
    ck_assert_int_eq(find(kept.beak_key, NULL), ACCESS_TAKEN);
    ck_assert(!accounts_about(accounts, gone.result.operator_id, &about));
    EXPECT(erase(gone.result.operator_id, 1), ACCOUNTS_NOT_FOUND);
    ck_assert_uint_eq(subscribers(), 0);
}
END_TEST

START_TEST(the_257th_order_in_flight_is_refused)
{
    struct answer slow, rest;

    answer_init(&slow);
    answer_init(&rest);
    slow.hold = true;
    ck_assert(accounts_logout(accounts, "nonsense", answered, &slow));
    await(&slow, 1);
    for (int i = 1; i < ORDERS_MAX; i++)
        ck_assert(accounts_logout(accounts, "nonsense", answered, &rest));
    ck_assert(!accounts_logout(accounts, "nonsense", answered, &rest));
    pthread_mutex_lock(&slow.lock);
    slow.hold = false;
    pthread_cond_broadcast(&slow.changed);
    pthread_mutex_unlock(&slow.lock);
    await(&rest, ORDERS_MAX - 1);
    EXPECT(logout_with("nonsense"), ACCOUNTS_NOT_FOUND);
    ck_assert_int_eq(rest.calls, ORDERS_MAX - 1);
}
END_TEST

START_TEST(more_passwords_than_the_queue_holds_are_told_busy)
{
    struct answer answers[40];
    int busy = 0, refused = 0;

    for (int i = 0; i < 40; i++) {
        answer_init(&answers[i]);
        ck_assert(accounts_auth(accounts, EMAIL, PASSWORD, answered, &answers[i]));
    }
    for (int i = 0; i < 40; i++) {
        await(&answers[i], 1);
        busy += answers[i].result.verdict == ACCOUNTS_BUSY && answers[i].result.retry_after_s > 0;
        refused += answers[i].result.verdict == ACCOUNTS_BAD_CREDENTIALS;
    }
    ck_assert_int_eq(busy + refused, 40);
    ck_assert_int_ge(refused, PASSWORD_QUEUE_MAX);
}
END_TEST

START_TEST(closing_carries_out_what_was_ordered)
{
    const struct accounts_hatch hatch = {.email = EMAIL, .display_name = "D", .password = PASSWORD};
    struct answer answer;

    answer_init(&answer);
    ck_assert(accounts_hatch(accounts, &hatch, answered, &answer));
    accounts_close(accounts);
    ck_assert_int_eq(answer.calls, 1);
    EXPECT(answer, ACCOUNTS_TAKEN);
    open_accounts();
    EXPECT(verify_as(EMAIL, newest_code().text, NULL), ACCOUNTS_TAKEN);
}
END_TEST

static void *look_up_often(void *argument)
{
    for (int i = 0; i < 500; i++)
        ck_assert_int_eq(find(argument, NULL), ACCESS_TAKEN);
    return NULL;
}

START_TEST(bearers_are_found_from_many_threads_while_others_write)
{
    struct answer key = hatch_whole(EMAIL, PASSWORD, 1);
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, look_up_often, key.beak_key), 0);
    for (int i = 0; i < 20; i++) {
        EXPECT(auth_as(EMAIL, PASSWORD), ACCOUNTS_TAKEN);
        pass(MINUTE);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}
END_TEST

static TCase *tests_of(Suite *suite, const char *name)
{
    TCase *tests = tcase_create(name);

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    suite_add_tcase(suite, tests);
    return tests;
}

int main(void)
{
    Suite *suite = suite_create("accounts");
    TCase *hatching = tests_of(suite, "hatching"), *codes = tests_of(suite, "codes");
    TCase *sessions = tests_of(suite, "sessions"), *ducklings = tests_of(suite, "ducklings");
    TCase *house = tests_of(suite, "house");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(hatching, a_hatch_a_code_and_a_beak_key);
    tcase_add_test(hatching, a_hatch_of_a_known_address_looks_the_same);
    tcase_add_test(hatching, the_letter_carries_no_words_of_who_asks);
    tcase_add_test(hatching, what_cannot_be_hatched_is_refused);
    tcase_add_test(hatching, a_password_over_1024_bytes_is_refused);
    tcase_add_test(hatching, addresses_that_mail_cannot_go_to_are_refused);
    tcase_add_test(hatching, a_public_key_goes_with_the_egg);
    tcase_add_test(codes, a_code_ends_after_fifteen_minutes);
    tcase_add_test(codes, the_fifth_wrong_try_ends_a_code);
    tcase_add_test(codes, four_wrong_tries_leave_one);
    tcase_add_test(codes, a_code_is_good_for_its_own_address_and_once);
    tcase_add_test(codes, each_hatch_is_an_egg_with_a_code_of_its_own);
    tcase_add_test(codes, who_hatches_the_same_address_does_not_choose_its_password);
    tcase_add_test(codes, a_password_that_comes_with_a_code_counts_whoever_hatched);
    tcase_add_test(codes, a_hatch_after_the_code_of_the_one_before_is_over_has_no_rival);
    tcase_add_test(codes, a_wrong_try_counts_at_every_code_of_the_address);
    tcase_add_test(codes, an_address_gets_five_codes_an_hour_and_ten_a_day);
    tcase_add_test(codes, who_hatches_from_one_network_leaves_codes_to_others);
    tcase_add_test(codes, addresses_of_one_ipv6_network_are_one_source);
    tcase_add_test(codes, codes_to_hatch_and_to_reset_have_shares_of_their_own);
    tcase_add_test(codes, an_address_beyond_ascii_is_refused_by_what_to_write);
    tcase_add_test(codes, one_code_makes_one_duckling);
    tcase_add_test(sessions, credentials_are_exchanged_for_a_session);
    tcase_add_test(sessions, wrong_credentials_say_no_more_than_that);
    tcase_add_test(sessions, a_password_may_come_with_the_code);
    tcase_add_test(sessions, a_password_may_come_later);
    tcase_add_test(sessions, a_session_ends_an_hour_after_its_last_use);
    tcase_add_test(sessions, a_session_ends_after_thirty_days_however_it_is_used);
    tcase_add_test(sessions, logging_out_ends_this_session_alone);
    tcase_add_test(sessions, the_thirty_third_session_ends_the_least_used);
    tcase_add_test(sessions, sessions_are_listed_and_one_is_ended);
    tcase_add_test(sessions, all_other_sessions_are_ended_and_beak_keys_stay);
    tcase_add_test(sessions, a_session_that_is_over_is_not_listed);
    tcase_add_test(sessions, a_hundred_failures_in_a_row_lock_until_reset);
    tcase_add_test(sessions, a_reset_changes_the_password_and_ends_all_sessions);
    tcase_add_test(sessions, a_code_for_a_hatch_does_not_reset);
    tcase_add_test(sessions,
                   a_stranger_who_forgot_gets_the_same_answer_and_a_letter_without_a_code);
    tcase_add_test(sessions, an_unknown_address_costs_as_much_as_a_wrong_password);
    tcase_add_test(ducklings, an_operator_hatches_without_a_code);
    tcase_add_test(ducklings, an_operator_has_at_most_a_thousand_ducklings);
    tcase_add_test(ducklings, the_list_shows_masked_keys_and_when_they_were_used);
    tcase_add_test(ducklings, rotation_ends_the_old_beak_key_at_once);
    tcase_add_test(ducklings, what_is_no_bearer_is_told_so);
    tcase_add_test(house, accounts_survive_a_restart);
    tcase_add_test(house, without_its_key_the_database_lets_nobody_in);
    tcase_add_test(house, no_secret_is_in_clear_on_disk);
    tcase_add_test(house, a_newsletter_comes_when_its_code_did);
    tcase_add_test(house, who_has_the_newsletter_is_asked_like_who_has_not);
    tcase_add_test(house, a_code_for_the_newsletter_neither_hatches_nor_resets);
    tcase_add_test(house, a_newsletter_that_nobody_confirms_is_forgotten);
    tcase_add_test(house, nothing_of_an_erased_operator_is_left_in_the_bytes);
    tcase_add_test(house, the_257th_order_in_flight_is_refused);
    tcase_add_test(house, more_passwords_than_the_queue_holds_are_told_busy);
    tcase_add_test(house, closing_carries_out_what_was_ordered);
    tcase_add_test(house, bearers_are_found_from_many_threads_while_others_write);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
