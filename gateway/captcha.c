#include "captcha.h"

#include "challenge.h"
#include "core/bytes.h"
#include "fetch.h"
#include "gate_fault.h"
#include "strict_json.h"

#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SECRET_MAX 256
#define COUNTER_DIGITS_MAX 19

static const char *const words[] = {
    [CAPTCHA_NONE] = "none", [CAPTCHA_POW] = "pow", [CAPTCHA_TURNSTILE] = "turnstile"};

struct question {
    struct question *next;
    captcha_done *done;
    void *context;
    char token[CAPTCHA_TOKEN_MAX + 1];
};

struct captcha {
    struct captcha_settings settings; /* texts are ours */
    char secret[SECRET_MAX];
    struct challenges *challenges;

    pthread_t threads[CAPTCHA_AT_ONCE];
    size_t thread_count;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    struct question *first, **last;
    size_t count; /* queued */
    bool closing;
};

bool captcha_kind_of(const char *word, enum captcha_kind *kind)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(word, words[i]) == 0) {
            *kind = (enum captcha_kind)i;
            return true;
        }
    return false;
}

const char *captcha_kind_word(enum captcha_kind kind)
{
    return words[kind];
}

const char *captcha_verdict_text(enum captcha_verdict verdict)
{
    switch (verdict) {
    case CAPTCHA_TAKEN:
        return "taken";
    case CAPTCHA_MISSING:
        return "captcha_token is missing: GET /beak/captcha says what is asked";
    case CAPTCHA_REFUSED:
        return "captcha_token is wrong, over, or was used before: take a fresh one";
    case CAPTCHA_UNAVAILABLE:
        return "the verifier of captcha_token does not answer as it should; try again";
    case CAPTCHA_BUSY:
        return "too many tokens are being verified at once; try again";
    }
    return "unknown verdict";
}

const char *captcha_verdict_code(enum captcha_verdict verdict)
{
    switch (verdict) {
    case CAPTCHA_TAKEN:
        return "taken";
    case CAPTCHA_MISSING:
        return "captcha_needed";
    case CAPTCHA_REFUSED:
        return "captcha_refused";
    case CAPTCHA_UNAVAILABLE:
        return "captcha_unavailable";
    case CAPTCHA_BUSY:
        return "busy";
    }
    return "unknown";
}

static uint64_t wall_ms(const struct captcha *captcha)
{
    struct timespec now;

    if (captcha->settings.wall_ms)
        return captcha->settings.wall_ms(captcha->settings.context);
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void complain(const struct captcha *captcha, const char *what)
{
    char text[FETCH_PROBLEM_SIZE + 64];

    if (!captcha->settings.trouble)
        return;
    snprintf(text, sizeof text, "captcha: the verifier: %s", what);
    captcha->settings.trouble(captcha->settings.context, text);
}

/* ---- proof of work ---- */

static const char *purpose_of(const struct captcha *captcha, char purpose[16])
{
    snprintf(purpose, 16, "pow %u", captcha->settings.bits);
    return purpose;
}

static bool has_zero_bits(const uint8_t *hash, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    for (unsigned i = 0; i < whole; i++)
        if (hash[i])
            return false;
    return rest == 0 || hash[whole] >> (8 - rest) == 0;
}

static enum captcha_verdict judge_work(struct captcha *captcha, const char *token)
{
    const char *dot = strchr(token, '.');
    size_t digits = dot ? strspn(dot + 1, "0123456789") : 0, size;
    uint8_t hash[crypto_hash_sha256_BYTES], challenge[CHALLENGE_SIZE];
    char purpose[16];

    if (digits == 0 || digits > COUNTER_DIGITS_MAX || dot[1 + digits])
        return CAPTCHA_REFUSED;
    if (sodium_base642bin(challenge, sizeof challenge, token, (size_t)(dot - token), NULL, &size,
                          NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
        return CAPTCHA_REFUSED;
    crypto_hash_sha256(hash, (const uint8_t *)token, strlen(token));
    if (!has_zero_bits(hash, captcha->settings.bits))
        return CAPTCHA_REFUSED;
    switch (challenges_spend(captcha->challenges, purpose_of(captcha, purpose),
                             bytes_of(challenge, size), wall_ms(captcha))) {
    case CHALLENGE_TAKEN:
        return CAPTCHA_TAKEN;
    case CHALLENGE_FULL:
        return CAPTCHA_BUSY;
    case CHALLENGE_FOREIGN:
    case CHALLENGE_OVER:
    case CHALLENGE_SPENT:
        break;
    }
    return CAPTCHA_REFUSED;
}

void captcha_ask(struct captcha *captcha, struct captcha_question *question)
{
    uint64_t now_ms = wall_ms(captcha);
    uint8_t challenge[CHALLENGE_SIZE];
    char purpose[16];

    *question = (struct captcha_question){.kind = captcha->settings.kind,
                                          .site_key = captcha->settings.site_key,
                                          .bits = captcha->settings.bits,
                                          .ends_ms = now_ms + CHALLENGE_LIFE_MS};
    if (captcha->settings.kind != CAPTCHA_POW)
        return;
    challenges_make(captcha->challenges, purpose_of(captcha, purpose), now_ms, challenge);
    sodium_bin2base64(question->challenge, sizeof question->challenge, challenge, sizeof challenge,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

/* ---- siteverify ---- */

/* What went wrong with us, not with the token: the client cannot help it. */
static bool is_ours(const char *code)
{
    static const char *const codes[] = {"missing-input-secret", "invalid-input-secret",
                                        "bad-request", "internal-error"};

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(code, codes[i]) == 0)
            return true;
    return false;
}

static enum captcha_verdict judge_no(const struct captcha *captcha, const json_t *answer)
{
    const json_t *codes = json_object_get(answer, "error-codes");
    const json_t *code;
    size_t i;

    json_array_foreach(codes, i, code)
    {
        const char *text = json_string_value(code);
        if (text && is_ours(text)) {
            complain(captcha, text);
            return CAPTCHA_UNAVAILABLE;
        }
    }
    return CAPTCHA_REFUSED;
}

static enum captcha_verdict judge_answer(const struct captcha *captcha, const json_t *answer)
{
    const char *wanted = captcha->settings.hostname;
    const char *hostname = json_string_value(json_object_get(answer, "hostname"));
    const json_t *success = json_object_get(answer, "success");

    if (!json_is_boolean(success)) {
        complain(captcha, "its answer is not one of siteverify");
        return CAPTCHA_UNAVAILABLE;
    }
    if (json_is_false(success))
        return judge_no(captcha, answer);
    /* A token of another site is no token of ours. */
    if (wanted && (!hostname || strcmp(hostname, wanted) != 0))
        return CAPTCHA_REFUSED;
    return CAPTCHA_TAKEN;
}

static enum captcha_verdict ask_verifier(struct captcha *captcha, const char *token)
{
    json_t *question = json_pack("{ssss}", "secret", captcha->secret, "response", token);
    char *text = question ? json_dumps(question, JSON_COMPACT) : NULL;
    struct fetch_settings settings = {.ca_file = captcha->settings.ca_file,
                                      .allowed = &captcha->settings.allowed,
                                      .json = text,
                                      .json_size = text ? strlen(text) : 0,
                                      .within_s = CAPTCHA_WITHIN_S};
    char problem[FETCH_PROBLEM_SIZE], why[STRICT_JSON_PROBLEM_SIZE];
    enum captcha_verdict verdict = CAPTCHA_REFUSED; /* a token that is no text */
    char *body = NULL;
    size_t size = 0;

    json_decref(question);
    if (text)
        body = fetch(captcha->settings.verify_url, &settings, &size, problem);
    if (body) {
        json_t *answer = strict_json_read(bytes_of(body, size), why);
        verdict = judge_answer(captcha, answer);
        json_decref(answer);
    } else if (text) {
        complain(captcha, problem);
        verdict = CAPTCHA_UNAVAILABLE;
    }
    free(body);
    strict_json_forget(text);
    return verdict;
}

static struct question *next_question(struct captcha *captcha)
{
    struct question *question;

    while (!captcha->first && !captcha->closing)
        pthread_cond_wait(&captcha->changed, &captcha->lock);
    question = captcha->first;
    if (!question)
        return NULL;
    captcha->first = question->next;
    if (!captcha->first)
        captcha->last = &captcha->first;
    captcha->count--;
    return question;
}

static void *run(void *argument)
{
    struct captcha *captcha = argument;
    struct question *question;

    pthread_mutex_lock(&captcha->lock);
    while ((question = next_question(captcha))) {
        bool closing = captcha->closing;
        pthread_mutex_unlock(&captcha->lock);
        question->done(question->context,
                       closing ? CAPTCHA_UNAVAILABLE : ask_verifier(captcha, question->token));
        memory_give_back(question);
        pthread_mutex_lock(&captcha->lock);
    }
    pthread_mutex_unlock(&captcha->lock);
    return NULL;
}

static bool give(struct captcha *captcha, const char *token, captcha_done *done, void *context)
{
    struct question *question = memory_take(sizeof *question);
    bool taken;

    question->done = done;
    question->context = context;
    memcpy(question->token, token, strlen(token));
    pthread_mutex_lock(&captcha->lock);
    taken = captcha->count < CAPTCHA_QUEUE_MAX && !captcha->closing;
    if (taken) {
        *captcha->last = question;
        captcha->last = &question->next;
        captcha->count++;
        pthread_cond_signal(&captcha->changed);
    }
    pthread_mutex_unlock(&captcha->lock);
    if (!taken)
        memory_give_back(question);
    return taken;
}

void captcha_judge(struct captcha *captcha, const char *token, captcha_done *done, void *context)
{
    bool is_given = token && token[0];

    if (captcha->settings.kind == CAPTCHA_NONE)
        done(context, CAPTCHA_TAKEN); /* whatever a client was told elsewhere to send along */
    else if (!is_given)
        done(context, CAPTCHA_MISSING);
    else if (strlen(token) > CAPTCHA_TOKEN_MAX)
        done(context, CAPTCHA_REFUSED);
    else if (captcha->settings.kind == CAPTCHA_POW)
        done(context, judge_work(captcha, token));
    else if (!give(captcha, token, done, context))
        done(context, CAPTCHA_BUSY);
}

/* ---- opening ---- */

static int read_secret(struct captcha *captcha, const char *path)
{
    int file = path ? open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
    struct stat status;
    ssize_t size;

    if (file < 0)
        return path ? GATE_FAULT_FILE : GATE_FAULT_CONFIG;
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode) || (status.st_mode & 077) != 0) {
        close(file);
        return GATE_FAULT_PERMISSIONS;
    }
    size = read(file, captcha->secret, sizeof captcha->secret - 1);
    close(file);
    if (size < 0)
        return GATE_FAULT_FILE;
    captcha->secret[strcspn(captcha->secret, "\r\n")] = '\0';
    return captcha->secret[0] ? 0 : GATE_FAULT_CONFIG;
}

static const char *copy_of(const char *text)
{
    return text && text[0] ? memory_copy(text, strlen(text) + 1) : NULL;
}

static void keep(struct captcha *captcha, const struct captcha_settings *settings)
{
    captcha->settings = *settings;
    captcha->settings.secret_path = NULL;
    captcha->settings.site_key = copy_of(settings->site_key);
    captcha->settings.hostname = copy_of(settings->hostname);
    captcha->settings.ca_file = copy_of(settings->ca_file);
    captcha->settings.verify_url = copy_of(settings->verify_url ? settings->verify_url : "");
    if (!captcha->settings.verify_url)
        captcha->settings.verify_url = copy_of(CAPTCHA_VERIFY_URL);
    if (!captcha->settings.bits)
        captcha->settings.bits = CAPTCHA_BITS;
}

static int start_threads(struct captcha *captcha)
{
    while (captcha->thread_count < CAPTCHA_AT_ONCE) {
        if (pthread_create(&captcha->threads[captcha->thread_count], NULL, run, captcha) != 0)
            return GATE_FAULT_THREAD;
        captcha->thread_count++;
    }
    return 0;
}

int captcha_open(struct captcha **opened, const struct captcha_settings *settings)
{
    struct captcha *captcha = memory_take(sizeof *captcha);
    int fault = 0;

    _Static_assert(
        CAPTCHA_CHALLENGE_SIZE ==
            sodium_base64_ENCODED_LEN(CHALLENGE_SIZE, sodium_base64_VARIANT_URLSAFE_NO_PADDING),
        "a challenge as text");
    keep(captcha, settings);
    captcha->challenges = challenges_new();
    captcha->last = &captcha->first;
    pthread_mutex_init(&captcha->lock, NULL);
    pthread_cond_init(&captcha->changed, NULL);
    if (captcha->settings.bits < CAPTCHA_BITS_MIN || captcha->settings.bits > CAPTCHA_BITS_MAX)
        fault = GATE_FAULT_CONFIG;
    if (!fault && settings->kind == CAPTCHA_TURNSTILE)
        fault = read_secret(captcha, settings->secret_path);
    if (!fault && settings->kind == CAPTCHA_TURNSTILE)
        fault = start_threads(captcha);
    if (fault) {
        captcha_close(captcha);
        return fault;
    }
    *opened = captcha;
    return 0;
}

void captcha_close(struct captcha *captcha)
{
    if (!captcha)
        return;
    pthread_mutex_lock(&captcha->lock);
    captcha->closing = true;
    pthread_cond_broadcast(&captcha->changed);
    pthread_mutex_unlock(&captcha->lock);
    for (size_t i = 0; i < captcha->thread_count; i++)
        pthread_join(captcha->threads[i], NULL);
    challenges_free(captcha->challenges);
    memory_give_back((char *)(uintptr_t)captcha->settings.site_key);
    memory_give_back((char *)(uintptr_t)captcha->settings.hostname);
    memory_give_back((char *)(uintptr_t)captcha->settings.ca_file);
    memory_give_back((char *)(uintptr_t)captcha->settings.verify_url);
    pthread_cond_destroy(&captcha->changed);
    pthread_mutex_destroy(&captcha->lock);
    sodium_memzero(captcha, sizeof *captcha);
    memory_give_back(captcha);
}
