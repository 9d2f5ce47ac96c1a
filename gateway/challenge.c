#include "challenge.h"

#include <pthread.h>
#include <sodium.h>

#define CHANCE_SIZE 16
#define MARKED_SIZE (CHANCE_SIZE + 8) /* chance and end */
#define SLOTS 32768u                  /* of one generation; a power of two */

/* What was spent in one CHALLENGE_LIFE_MS. Chance is never 0 in practice, so 0 is an empty slot. */
struct generation {
    uint64_t began_ms;
    size_t count;
    uint64_t slots[SLOTS];
};

struct challenges {
    uint8_t key[crypto_generichash_KEYBYTES];
    pthread_mutex_t lock; /* of what follows */
    struct generation *current, *before;
};

struct challenges *challenges_new(void)
{
    struct challenges *challenges = memory_take(sizeof *challenges);

    randombytes_buf(challenges->key, sizeof challenges->key);
    pthread_mutex_init(&challenges->lock, NULL);
    challenges->current = memory_take(sizeof *challenges->current);
    challenges->before = memory_take(sizeof *challenges->before);
    return challenges;
}

void challenges_free(struct challenges *challenges)
{
    if (!challenges)
        return;
    pthread_mutex_destroy(&challenges->lock);
    memory_give_back(challenges->current);
    memory_give_back(challenges->before);
    sodium_memzero(challenges, sizeof *challenges);
    memory_give_back(challenges);
}

static void mark(const struct challenges *challenges, const char *purpose,
                 const uint8_t marked[MARKED_SIZE], uint8_t mac[crypto_generichash_BYTES])
{
    crypto_generichash_state state;

    crypto_generichash_init(&state, challenges->key, sizeof challenges->key,
                            crypto_generichash_BYTES);
    crypto_generichash_update(&state, marked, MARKED_SIZE);
    crypto_generichash_update(&state, (const uint8_t *)purpose, strlen(purpose));
    crypto_generichash_final(&state, mac, crypto_generichash_BYTES);
}

static uint64_t read_number(const uint8_t bytes[8])
{
    uint64_t number = 0;

    for (size_t i = 0; i < 8; i++)
        number = number << 8 | bytes[i];
    return number;
}

void challenges_make(const struct challenges *challenges, const char *purpose, uint64_t now_ms,
                     uint8_t challenge[CHALLENGE_SIZE])
{
    uint64_t ends_ms = now_ms + CHALLENGE_LIFE_MS;

    _Static_assert(MARKED_SIZE + crypto_generichash_BYTES == CHALLENGE_SIZE, "its parts");
    randombytes_buf(challenge, CHANCE_SIZE);
    for (size_t i = 0; i < 8; i++)
        challenge[CHANCE_SIZE + i] = (uint8_t)(ends_ms >> (56 - 8 * i));
    mark(challenges, purpose, challenge, challenge + MARKED_SIZE);
}

static uint64_t *slot_of(struct generation *generation, uint64_t number)
{
    size_t at = (size_t)number & (SLOTS - 1);

    while (generation->slots[at] && generation->slots[at] != number)
        at = (at + 1) & (SLOTS - 1);
    return &generation->slots[at];
}

/* Who lived a whole generation ago is over, so two of them remember all that could still be taken. */
static void turn(struct challenges *challenges, uint64_t now_ms)
{
    struct generation *oldest = challenges->before;

    if (now_ms < challenges->current->began_ms + CHALLENGE_LIFE_MS)
        return;
    challenges->before = challenges->current;
    challenges->current = oldest;
    memset(oldest, 0, sizeof *oldest);
    oldest->began_ms = now_ms;
}

/* With the lock held. */
static enum challenge_verdict judge(struct challenges *challenges, const char *purpose,
                                    struct bytes challenge, uint64_t now_ms)
{
    uint8_t mac[crypto_generichash_BYTES];
    uint64_t number;

    if (challenge.size != CHALLENGE_SIZE)
        return CHALLENGE_FOREIGN;
    mark(challenges, purpose, challenge.data, mac);
    if (sodium_memcmp(mac, challenge.data + MARKED_SIZE, sizeof mac) != 0)
        return CHALLENGE_FOREIGN;
    if (now_ms >= read_number(challenge.data + CHANCE_SIZE))
        return CHALLENGE_OVER;
    turn(challenges, now_ms);
    number = read_number(challenge.data);
    return *slot_of(challenges->current, number) || *slot_of(challenges->before, number)
               ? CHALLENGE_SPENT
               : CHALLENGE_TAKEN;
}

enum challenge_verdict challenges_judge(struct challenges *challenges, const char *purpose,
                                        struct bytes challenge, uint64_t now_ms)
{
    enum challenge_verdict verdict;

    pthread_mutex_lock(&challenges->lock);
    verdict = judge(challenges, purpose, challenge, now_ms);
    pthread_mutex_unlock(&challenges->lock);
    return verdict;
}

enum challenge_verdict challenges_spend(struct challenges *challenges, const char *purpose,
                                        struct bytes challenge, uint64_t now_ms)
{
    enum challenge_verdict verdict;

    pthread_mutex_lock(&challenges->lock);
    verdict = judge(challenges, purpose, challenge, now_ms);
    if (verdict == CHALLENGE_TAKEN && challenges->current->count >= CHALLENGES_SPENT_MAX)
        verdict = CHALLENGE_FULL;
    if (verdict == CHALLENGE_TAKEN) {
        uint64_t number = read_number(challenge.data);
        *slot_of(challenges->current, number) = number;
        challenges->current->count++;
    }
    pthread_mutex_unlock(&challenges->lock);
    return verdict;
}
