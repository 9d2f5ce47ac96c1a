#include "lobster.h"

#include <sodium.h>
#include <stdio.h>

#define COMMIT "duck/lobster-commitment/1"
#define STRING "duck/lobster-string/1"
#define BIND "duck/lobster/1"
#define DIGITS 8

const char *lobster_state_name(enum lobster_state state)
{
    static const char *const names[] = {
        [LOBSTER_OFFERED] = "offered", [LOBSTER_ANSWERED] = "answered",
        [LOBSTER_SHOWN] = "shown",     [LOBSTER_CONFIRMED] = "confirmed",
        [LOBSTER_LIVE] = "live",
    };

    return (size_t)state < sizeof names / sizeof *names && names[state] ? names[state] : "";
}

/* ---- hashes: every part has a fixed size, or its size before it ---- */

static void add(crypto_generichash_state *hash, const void *data, size_t size)
{
    crypto_generichash_update(hash, data, size);
}

static void add_number(crypto_generichash_state *hash, uint64_t number)
{
    uint8_t bytes[8];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(number >> (56 - 8 * i));
    add(hash, bytes, sizeof bytes);
}

static void begin(crypto_generichash_state *hash, const char *use, struct bytes network)
{
    crypto_generichash_init(hash, NULL, 0, HASH_SIZE);
    add_number(hash, strlen(use));
    add(hash, use, strlen(use));
    add_number(hash, network.size);
    add(hash, network.data, network.size);
}

/* Both ends see the same: who began stands first. */
static void add_offer(crypto_generichash_state *hash, const struct lobster *lobster)
{
    const struct id *first = lobster->began_here ? &lobster->here : &lobster->there;
    const struct id *second = lobster->began_here ? &lobster->there : &lobster->here;

    add(hash, lobster->session, LOBSTER_SESSION_SIZE);
    add(hash, first->bytes, ID_SIZE);
    add(hash, second->bytes, ID_SIZE);
    add_number(hash, lobster->lease_ms);
    add(hash,
        lobster->began_here ? lobster->certificate_here.bytes : lobster->certificate_there.bytes,
        ID_SIZE);
}

static struct hash commit(const struct lobster *lobster, struct bytes network)
{
    crypto_generichash_state hash;
    struct hash commitment;

    begin(&hash, COMMIT, network);
    add_offer(&hash, lobster);
    add(&hash, lobster->began_here ? lobster->nonce : lobster->other_nonce, LOBSTER_NONCE_SIZE);
    crypto_generichash_final(&hash, commitment.bytes, HASH_SIZE);
    return commitment;
}

static struct hash all_of(const struct lobster *lobster, struct bytes network, const char *use)
{
    bool began = lobster->began_here;
    crypto_generichash_state hash;
    struct hash all;

    begin(&hash, use, network);
    add_offer(&hash, lobster);
    add(&hash, began ? lobster->certificate_there.bytes : lobster->certificate_here.bytes, ID_SIZE);
    add(&hash, lobster->commitment.bytes, HASH_SIZE);
    add(&hash, began ? lobster->nonce : lobster->other_nonce, LOBSTER_NONCE_SIZE);
    add(&hash, began ? lobster->other_nonce : lobster->nonce, LOBSTER_NONCE_SIZE);
    crypto_generichash_final(&hash, all.bytes, HASH_SIZE);
    return all;
}

/* ---- steps ---- */

void lobster_offer(struct lobster *lobster, struct bytes network)
{
    lobster->began_here = true;
    lobster->state = LOBSTER_OFFERED;
    lobster->commitment = commit(lobster, network);
}

void lobster_answer(struct lobster *lobster, const struct lobster_word *offer)
{
    lobster->there = offer->from;
    lobster->began_here = false;
    lobster->state = LOBSTER_ANSWERED;
    memcpy(lobster->session, offer->session, LOBSTER_SESSION_SIZE);
    lobster->commitment = offer->commitment;
    lobster->certificate_there = offer->certificate;
    lobster->lease_ms = offer->lease_ms;
}

static bool is_of_try(const struct lobster *lobster, const struct lobster_word *word)
{
    return id_equal(&lobster->here, &word->to) && id_equal(&lobster->there, &word->from) &&
           sodium_memcmp(lobster->session, word->session, LOBSTER_SESSION_SIZE) == 0;
}

static void show(struct lobster *lobster, struct bytes network)
{
    struct hash all = all_of(lobster, network, BIND);

    lobster->id = id_of(&all);
    lobster->state = LOBSTER_SHOWN;
}

enum lobster_verdict lobster_take_answer(struct lobster *lobster, struct bytes network,
                                         const struct lobster_word *answer)
{
    if (!is_of_try(lobster, answer) || !lobster->began_here)
        return LOBSTER_UNFIT;
    if (lobster->state != LOBSTER_OFFERED)
        return sodium_memcmp(lobster->other_nonce, answer->nonce, LOBSTER_NONCE_SIZE) == 0
                   ? LOBSTER_AGAIN
                   : LOBSTER_UNFIT; /* the first one stands: our nonce is out */
    memcpy(lobster->other_nonce, answer->nonce, LOBSTER_NONCE_SIZE);
    lobster->certificate_there = answer->certificate;
    show(lobster, network);
    return LOBSTER_TAKEN;
}

enum lobster_verdict lobster_take_reveal(struct lobster *lobster, struct bytes network,
                                         const struct lobster_word *reveal)
{
    struct lobster revealed = *lobster;
    struct hash commitment;

    if (!is_of_try(lobster, reveal) || lobster->began_here)
        return LOBSTER_UNFIT;
    if (lobster->state != LOBSTER_ANSWERED)
        return LOBSTER_AGAIN;
    memcpy(revealed.other_nonce, reveal->nonce, LOBSTER_NONCE_SIZE);
    commitment = commit(&revealed, network);
    if (!hash_equal(&commitment, &lobster->commitment))
        return LOBSTER_FORGED;
    *lobster = revealed;
    show(lobster, network);
    return LOBSTER_TAKEN;
}

/* ---- the string ---- */

/* Of 64 bits, so no digit is likelier than another by more than one in 10^11. */
const char *lobster_string(const struct lobster *lobster, struct bytes network,
                           char text[LOBSTER_STRING_SIZE])
{
    struct hash all = all_of(lobster, network, STRING);
    uint64_t number = 0;

    for (size_t i = 0; i < 8; i++)
        number = number << 8 | all.bytes[i];
    number %= 100000000;
    snprintf(text, LOBSTER_STRING_SIZE, "%04u-%04u", (unsigned)(number / 10000),
             (unsigned)(number % 10000));
    return text;
}

bool lobster_matches(const struct lobster *lobster, struct bytes network, struct bytes text)
{
    char string[LOBSTER_STRING_SIZE];
    uint8_t said[DIGITS], ours[DIGITS];
    size_t count = 0;

    lobster_string(lobster, network, string);
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '-' || text.data[i] == ' ')
            continue;
        if (count == DIGITS)
            return false;
        said[count++] = text.data[i];
    }
    memcpy(ours, string, DIGITS / 2);
    memcpy(ours + DIGITS / 2, string + DIGITS / 2 + 1, DIGITS / 2);
    return count == DIGITS && sodium_memcmp(said, ours, DIGITS) == 0;
}

/* ---- time ---- */

uint64_t lobster_renew_ms(const struct lobster *lobster)
{
    uint64_t left_ms = lobster->lease_ms - lobster->lease_ms / 3;

    return lobster->here_until_ms > left_ms ? lobster->here_until_ms - left_ms : 0;
}

uint64_t lobster_end_ms(const struct lobster *lobster)
{
    return lobster->state == LOBSTER_LIVE ? lobster->there_until_ms : lobster->until_ms;
}
