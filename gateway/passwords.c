#include "passwords.h"

#include "core/bytes.h"
#include "gate_fault.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>

#define NOBODY_SALT_SIZE 16 /* as libsodium has them */
#define NOBODY_HASH_SIZE 32
#define BASE64 sodium_base64_VARIANT_ORIGINAL_NO_PADDING

struct task {
    char *password;                /* ours; wiped */
    char hash[PASSWORD_HASH_SIZE]; /* to judge against */
    passwords_hashed *hashed;      /* one of the two */
    passwords_judged *judged;
    void *context;
};

struct passwords {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct task queue[PASSWORD_QUEUE_MAX]; /* a ring */
    size_t first, count;
    bool closing;
    unsigned long long steps;
    size_t memory;
    char nobody[PASSWORD_HASH_SIZE]; /* a hash of a password that nobody knows */
};

static size_t characters_of(const char *text)
{
    size_t characters = 0;

    for (; *text; text++)
        characters += ((unsigned char)*text & 0xc0) != 0x80; /* UTF-8: not a continuation */
    return characters;
}

enum password_verdict password_check(const char *password)
{
    if (strlen(password) > PASSWORD_MAX)
        return PASSWORD_TOO_LONG;
    return characters_of(password) < PASSWORD_MIN ? PASSWORD_TOO_SHORT : PASSWORD_TAKEN;
}

static bool hash_password(const struct passwords *passwords, const char *password,
                          char hash[PASSWORD_HASH_SIZE])
{
    return crypto_pwhash_str_alg(hash, password, strlen(password), passwords->steps,
                                 passwords->memory, crypto_pwhash_ALG_ARGON2ID13) == 0;
}

static void carry_out(struct passwords *passwords, struct task *task)
{
    char hash[PASSWORD_HASH_SIZE] = "";

    if (task->hashed) {
        bool made = hash_password(passwords, task->password, hash);
        task->hashed(task->context, made ? hash : NULL);
    } else {
        const char *against = task->hash[0] ? task->hash : passwords->nobody;
        bool matches =
            crypto_pwhash_str_verify(against, task->password, strlen(task->password)) == 0;
        task->judged(task->context, matches && task->hash[0]);
    }
    sodium_memzero(task->password, strlen(task->password));
    memory_give_back(task->password);
    sodium_memzero(task, sizeof *task);
}

static void *run(void *argument)
{
    struct passwords *passwords = argument;

    pthread_mutex_lock(&passwords->lock);
    for (;;) {
        struct task task;

        while (passwords->count == 0 && !passwords->closing)
            pthread_cond_wait(&passwords->changed, &passwords->lock);
        if (passwords->count == 0)
            break;
        task = passwords->queue[passwords->first];
        sodium_memzero(&passwords->queue[passwords->first], sizeof task);
        pthread_mutex_unlock(&passwords->lock);
        carry_out(passwords, &task);
        pthread_mutex_lock(&passwords->lock);
        /* Only now: the one being hashed counts among the eight. */
        passwords->first = (passwords->first + 1) % PASSWORD_QUEUE_MAX;
        passwords->count--;
    }
    pthread_mutex_unlock(&passwords->lock);
    return NULL;
}

/* In the text form of argon2id, but of no password: chance, that costs as much to judge as one. So a start need
 * not wait for a hash. */
static bool make_nobody(struct passwords *passwords)
{
    uint8_t chance[NOBODY_SALT_SIZE + NOBODY_HASH_SIZE];
    char salt[sodium_base64_ENCODED_LEN(NOBODY_SALT_SIZE, BASE64)];
    char hash[sodium_base64_ENCODED_LEN(NOBODY_HASH_SIZE, BASE64)];

    randombytes_buf(chance, sizeof chance);
    sodium_bin2base64(salt, sizeof salt, chance, NOBODY_SALT_SIZE, BASE64);
    sodium_bin2base64(hash, sizeof hash, chance + NOBODY_SALT_SIZE, NOBODY_HASH_SIZE, BASE64);
    snprintf(passwords->nobody, sizeof passwords->nobody, "$argon2id$v=19$m=%zu,t=%llu,p=1$%s$%s",
             passwords->memory / 1024, passwords->steps, salt, hash);
    return crypto_pwhash_str_needs_rehash(passwords->nobody, passwords->steps, passwords->memory) ==
           0;
}

static int prepare(struct passwords *passwords, enum password_cost cost)
{
    passwords->steps =
        cost == PASSWORD_LEAST ? crypto_pwhash_OPSLIMIT_MIN : crypto_pwhash_OPSLIMIT_INTERACTIVE;
    passwords->memory =
        cost == PASSWORD_LEAST ? crypto_pwhash_MEMLIMIT_MIN : crypto_pwhash_MEMLIMIT_INTERACTIVE;
    return make_nobody(passwords) ? 0 : GATE_FAULT_THREAD;
}

int passwords_open(struct passwords **opened, enum password_cost cost)
{
    struct passwords *passwords;
    int fault;

    _Static_assert(PASSWORD_HASH_SIZE == crypto_pwhash_STRBYTES, "libsodium's text form");
    if (sodium_init() < 0)
        return GATE_FAULT_THREAD;
    passwords = memory_take(sizeof *passwords);
    pthread_mutex_init(&passwords->lock, NULL);
    pthread_cond_init(&passwords->changed, NULL);
    fault = prepare(passwords, cost);
    if (!fault && pthread_create(&passwords->thread, NULL, run, passwords) != 0)
        fault = GATE_FAULT_THREAD;
    if (fault) {
        memory_give_back(passwords);
        return fault;
    }
    *opened = passwords;
    return 0;
}

void passwords_close(struct passwords *passwords)
{
    if (!passwords)
        return;
    pthread_mutex_lock(&passwords->lock);
    passwords->closing = true;
    pthread_cond_signal(&passwords->changed);
    pthread_mutex_unlock(&passwords->lock);
    pthread_join(passwords->thread, NULL);
    pthread_cond_destroy(&passwords->changed);
    pthread_mutex_destroy(&passwords->lock);
    memory_give_back(passwords);
}

static bool give(struct passwords *passwords, const char *password, const struct task *task)
{
    bool taken = false;

    pthread_mutex_lock(&passwords->lock);
    if (passwords->count < PASSWORD_QUEUE_MAX && !passwords->closing) {
        size_t last = (passwords->first + passwords->count) % PASSWORD_QUEUE_MAX;
        passwords->queue[last] = *task;
        passwords->queue[last].password = memory_copy(password, strlen(password) + 1);
        passwords->count++;
        pthread_cond_signal(&passwords->changed);
        taken = true;
    }
    pthread_mutex_unlock(&passwords->lock);
    return taken;
}

bool passwords_hash(struct passwords *passwords, const char *password, passwords_hashed *done,
                    void *context)
{
    const struct task task = {.hashed = done, .context = context};

    return give(passwords, password, &task);
}

bool passwords_verify(struct passwords *passwords, const char *password, const char *hash,
                      passwords_judged *done, void *context)
{
    struct task task = {.judged = done, .context = context};

    if (hash)
        strncpy(task.hash, hash, sizeof task.hash - 1);
    return give(passwords, password, &task);
}
