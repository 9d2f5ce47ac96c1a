#include "captcha.h"
#include "challenge.h"
#include "folder.h"
#include "gate_fault.h"

#include <sodium.h>
#include <sys/stat.h>

#define START_MS 1774051200000ull

static uint64_t wall_ms;

static uint64_t read_clock(void *context)
{
    (void)context;
    return wall_ms;
}

static struct captcha *open_pow(unsigned bits)
{
    const struct captcha_settings settings = {
        .kind = CAPTCHA_POW, .bits = bits, .wall_ms = read_clock};
    struct captcha *captcha = NULL;

    wall_ms = START_MS;
    ck_assert_int_ge(sodium_init(), 0);
    ck_assert_int_eq(captcha_open(&captcha, &settings), 0);
    return captcha;
}

static void judged(void *context, enum captcha_verdict verdict)
{
    *(enum captcha_verdict *)context = verdict;
}

static enum captcha_verdict judge(struct captcha *captcha, const char *token)
{
    enum captcha_verdict verdict = (enum captcha_verdict) - 1;

    captcha_judge(captcha, token, judged, &verdict);
    return verdict;
}

static unsigned zero_bits(const char *token)
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    unsigned bits = 0;

    crypto_hash_sha256(hash, (const uint8_t *)token, strlen(token));
    while (bits < 256 && !(hash[bits / 8] & (0x80u >> bits % 8)))
        bits++;
    return bits;
}

struct token {
    char text[CAPTCHA_CHALLENGE_SIZE + 24];
};

/* With exactly so many zero bits. */
static struct token work(const char *challenge, unsigned bits)
{
    struct token token;

    for (unsigned number = 0;; number++) {
        snprintf(token.text, sizeof token.text, "%s.%u", challenge, number);
        if (zero_bits(token.text) == bits)
            return token;
    }
}

START_TEST(work_counts_from_its_last_bit_on)
{
    struct captcha *captcha = open_pow(11);
    struct captcha_question question;

    captcha_ask(captcha, &question);
    ck_assert_uint_eq(question.bits, 11);
    ck_assert_uint_eq(question.ends_ms, START_MS + CHALLENGE_LIFE_MS);
    ck_assert_int_eq(judge(captcha, work(question.challenge, 10).text), CAPTCHA_REFUSED);
    ck_assert_int_eq(judge(captcha, work(question.challenge, 11).text), CAPTCHA_TAKEN);
    ck_assert_int_eq(judge(captcha, work(question.challenge, 12).text),
                     CAPTCHA_REFUSED); /* spent */
    captcha_ask(captcha, &question);
    ck_assert_int_eq(judge(captcha, work(question.challenge, 12).text), CAPTCHA_TAKEN);
    captcha_close(captcha);
}
END_TEST

START_TEST(work_that_comes_too_late_is_refused)
{
    struct captcha *captcha = open_pow(8);
    struct captcha_question question;

    captcha_ask(captcha, &question);
    wall_ms += CHALLENGE_LIFE_MS;
    ck_assert_int_eq(judge(captcha, work(question.challenge, 9).text), CAPTCHA_REFUSED);
    wall_ms--;
    ck_assert_int_eq(judge(captcha, work(question.challenge, 9).text), CAPTCHA_TAKEN);
    captcha_close(captcha);
}
END_TEST

/* Else one could ask while little is asked, and answer when it is more. */
START_TEST(work_for_fewer_bits_does_not_count_when_more_are_asked)
{
    struct captcha *easy = open_pow(8), *hard = open_pow(9);
    struct captcha_question question;

    captcha_ask(easy, &question);
    ck_assert_int_eq(judge(hard, work(question.challenge, 12).text), CAPTCHA_REFUSED);
    captcha_close(easy);
    captcha_close(hard);
}
END_TEST

START_TEST(what_is_no_token_is_refused_and_none_is_missing)
{
    static const char *const tokens[] = {".", ".1", "x", "x.", "x.1", "A.1x", "A.-1", "A. 1"};
    char padded[CAPTCHA_CHALLENGE_SIZE + 40];
    struct captcha *captcha = open_pow(8);
    struct captcha_question question;

    ck_assert_int_eq(judge(captcha, NULL), CAPTCHA_MISSING);
    ck_assert_int_eq(judge(captcha, ""), CAPTCHA_MISSING);
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++)
        ck_assert_int_eq(judge(captcha, tokens[i]), CAPTCHA_REFUSED);
    captcha_ask(captcha, &question);
    snprintf(padded, sizeof padded, "%s.%020d", question.challenge, 1);
    ck_assert_int_eq(judge(captcha, padded), CAPTCHA_REFUSED);
    captcha_close(captcha);
}
END_TEST

START_TEST(nothing_is_asked_by_none)
{
    const struct captcha_settings settings = {.kind = CAPTCHA_NONE};
    struct captcha *captcha = NULL;

    ck_assert_int_eq(captcha_open(&captcha, &settings), 0);
    ck_assert_int_eq(judge(captcha, NULL), CAPTCHA_TAKEN);
    ck_assert_int_eq(judge(captcha, "YOUR_TURNSTILE_TOKEN"), CAPTCHA_TAKEN);
    captcha_close(captcha);
}
END_TEST

START_TEST(settings_that_make_no_sense_are_refused)
{
    struct folder folder = folder_make();
    const char *path = folder_file(&folder, "secret");
    struct captcha_settings settings = {.kind = CAPTCHA_POW, .bits = CAPTCHA_BITS_MAX + 1};
    struct captcha *captcha = NULL;
    FILE *file;

    ck_assert_int_eq(captcha_open(&captcha, &settings), GATE_FAULT_CONFIG);
    settings.bits = CAPTCHA_BITS_MIN - 1;
    ck_assert_int_eq(captcha_open(&captcha, &settings), GATE_FAULT_CONFIG);
    settings = (struct captcha_settings){.kind = CAPTCHA_TURNSTILE};
    ck_assert_int_eq(captcha_open(&captcha, &settings), GATE_FAULT_CONFIG);
    settings.secret_path = path;
    ck_assert_int_eq(captcha_open(&captcha, &settings), GATE_FAULT_FILE);
    file = fopen(path, "w");
    ck_assert_int_eq(fchmod(fileno(file), 0600), 0);
    fputs("\n", file);
    fflush(file);
    ck_assert_int_eq(captcha_open(&captcha, &settings), GATE_FAULT_CONFIG);
    ck_assert_int_eq(fchmod(fileno(file), 0640), 0);
    ck_assert_int_eq(captcha_open(&captcha, &settings), GATE_FAULT_PERMISSIONS);
    fclose(file);
    folder_remove(&folder);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("captcha");
    Suite *suite = suite_create("captcha");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, work_counts_from_its_last_bit_on);
    tcase_add_test(tests, work_that_comes_too_late_is_refused);
    tcase_add_test(tests, work_for_fewer_bits_does_not_count_when_more_are_asked);
    tcase_add_test(tests, what_is_no_token_is_refused_and_none_is_missing);
    tcase_add_test(tests, nothing_is_asked_by_none);
    tcase_add_test(tests, settings_that_make_no_sense_are_refused);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
