/* people: the same few identities in every run, so that seeds stay good: what the generator signed
 * the targets can verify. */
#ifndef DUCK_FUZZ_PEOPLE_H
#define DUCK_FUZZ_PEOPLE_H

#include "core/introduction.h"
#include "core/session.h"

#include <assert.h>
#include <stdlib.h>

#define PEOPLE_NETWORK "pond"
#define PEOPLE_WALL_MS 1774051200000ull /* 21 March 2026 */
#define PEOPLE_MEMORY (64u * MIB)

/* Every target has this one function; libFuzzer, or replay.c, calls it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* replay.c refuses a piece of memory: what was parsed need not parse again. Never under libFuzzer. */
extern bool memory_is_short __attribute__((weak));

/* What must hold whatever came in. */
#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

struct person {
    struct identity_key *key;
    struct id id;
    struct noise_pair pair;
    struct bytes chain;
};

static inline struct identity_key *person_key(uint8_t number)
{
    uint8_t seed[SEED_SIZE];

    memset(seed, number, sizeof seed);
    return identity_key_new(seed);
}

static inline struct person person_hatch(enum identity_kind kind, uint8_t number,
                                         struct arena *arena)
{
    struct identity_key *next = person_key((uint8_t)(number + 100));
    struct public_key next_public = identity_key_public(next);
    struct certificate_wish wish = {.kind = kind,
                                    .display_name = bytes_of_text("duck"),
                                    .issued_ms = PEOPLE_WALL_MS - DAY_MS,
                                    .not_after_ms = PEOPLE_WALL_MS + CERTIFICATE_LIFE_MS,
                                    .next_key_hash = identity_key_hash(&next_public)};
    struct person person = {.key = person_key(number)};
    struct bytes certificate = certificate_make(&wish, person.key, arena, &person.id);
    uint8_t secret[NOISE_KEY_SIZE];

    memset(secret, number, sizeof secret);
    noise_pair_from_secret(&person.pair, secret);
    person.chain = chain_pack(&certificate, 1, arena);
    identity_key_free(next);
    return person;
}

static inline struct bytes person_introduction(const struct person *node, struct arena *arena)
{
    struct node_content content = {.addresses = {bytes_of_text("127.0.0.1:1")},
                                   .address_count = 1,
                                   .session_not_after_ms = PEOPLE_WALL_MS + DAY_MS,
                                   .software = bytes_of_text("fuzz"),
                                   .display_name = bytes_of_text("node")};
    struct record record = {.network = bytes_of_text(PEOPLE_NETWORK),
                            .owner = node->id,
                            .kind = RECORD_NODE,
                            .version = {.ms = PEOPLE_WALL_MS},
                            .not_after_ms = PEOPLE_WALL_MS + DAY_MS};
    struct bytes body = {0}, envelope;

    memcpy(content.session_key, node->pair.public, sizeof content.session_key);
    record.content = node_content_pack(&content, arena);
    MUST(record_pack(&record, arena, &body) == RECORD_OK);
    envelope = envelope_seal(ENVELOPE_RECORD, &node->id, node->key, body, arena, NULL);
    return introduction_pack(node->chain, envelope, arena);
}

static inline struct session_settings person_settings(const struct person *node,
                                                      struct arena *arena)
{
    return (struct session_settings){.network = bytes_of_text(PEOPLE_NETWORK),
                                     .self = node->id,
                                     .static_pair = node->pair,
                                     .introduction = person_introduction(node, arena)};
}

#define PEOPLE_EPHEMERAL 77 /* the byte that fills a fuzzed session's ephemeral keys */

#endif
