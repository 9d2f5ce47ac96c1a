#include "duck_grant.h"

#include "core/certificate.h"
#include "core/grant.h"
#include "holder.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define URLSAFE sodium_base64_VARIANT_URLSAFE_NO_PADDING
#define GRANT_MEMORY (4 * PARSE_BUDGET(GRANT_SIZE_MAX))

static_assert(DUCK_GRANT_TEXT_MAX >= (GRANT_SIZE_MAX + 2) / 3 * 4, "a grant as text");

static void *say(const char **problem, const char *sentence)
{
    if (problem)
        *problem = sentence;
    return NULL;
}

static uint64_t wall_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static const char *text_of(struct bytes bytes, struct arena *arena)
{
    char *text = arena_take(arena, bytes.size + 1);

    assert(text);
    if (bytes.size > 0)
        memcpy(text, bytes.data, bytes.size);
    text[bytes.size] = 0;
    return text;
}

static const char *id_of_kind(enum id_kind kind, const struct id *id, struct arena *arena)
{
    char text[ID_TEXT_SIZE];

    return text_of(bytes_of_text(id_text(kind, id, text)), arena);
}

/* ---- a grant ---- */

struct duck_grant {
    struct arena memory, words; /* the former bounds what hostile bytes can take */
    struct grant grant;
    struct duck_grant_part whole, parts[GRANT_BLOCKS_MAX];
    const char *network;
    char text[DUCK_GRANT_TEXT_MAX + 1];
};

static const char *const *texts_of(const struct bytes *list, size_t count, struct arena *arena)
{
    const char **texts = arena_take(arena, (count + 1) * sizeof *texts);

    assert(texts);
    for (size_t i = 0; i < count; i++)
        texts[i] = text_of(list[i], arena);
    texts[count] = NULL;
    return texts;
}

static void describe_block(struct duck_grant *grant, size_t number)
{
    const struct grant_block *block = &grant->grant.blocks[number];

    grant->parts[number] = (struct duck_grant_part){
        .id = id_of_kind(ID_GRANT, &block->id, &grant->words),
        .issuer = id_of_kind(ID_DUCKLING, &block->issuer, &grant->words),
        .holder = id_of_kind(ID_DUCKLING, &block->holder, &grant->words),
        .scopes = texts_of(block->scopes, block->scope_count, &grant->words),
        .scope_count = block->scope_count,
        .uses = block->uses,
        .further = block->further,
        .issued_ms = block->issued_ms,
        .not_after_ms = block->not_after_ms,
    };
}

static void describe(struct duck_grant *grant)
{
    size_t last = grant->grant.count - 1;
    struct grant_reach reach;

    for (size_t i = 0; i <= last; i++)
        describe_block(grant, i);
    grant_reach(&grant->grant, &reach);
    grant->network = text_of(grant->grant.blocks[0].network, &grant->words);
    grant->whole = grant->parts[last];
    grant->whole.issuer = grant->parts[0].issuer;
    grant->whole.scopes = texts_of(reach.scopes, reach.scope_count, &grant->words);
    grant->whole.scope_count = reach.scope_count;
    grant->whole.uses = reach.uses;
    grant->whole.further = reach.further;
    grant->whole.issued_ms = reach.not_before_ms;
    grant->whole.not_after_ms = reach.not_after_ms;
}

static struct duck_grant *grant_of(struct bytes wire, const char **problem)
{
    struct duck_grant *grant = memory_take(sizeof *grant);
    enum grant_verdict verdict;

    arena_init(&grant->memory, GRANT_MEMORY);
    arena_init(&grant->words, SIZE_MAX);
    wire = arena_copy(&grant->memory, wire);
    verdict = grant_open(wire, &grant->memory, &grant->grant, NULL);
    if (verdict != GRANT_OK) {
        duck_grant_free(grant);
        return say(problem, grant_verdict_text(verdict));
    }
    sodium_bin2base64(grant->text, sizeof grant->text, wire.data, wire.size, URLSAFE);
    describe(grant);
    return grant;
}

struct duck_grant *duck_grant_open(const char *text, const char **problem)
{
    static const char wrong[] = "a grant is at most 8192 characters of base64url";
    struct duck_grant *grant;
    size_t length, size = 0;
    uint8_t *data;

    if (!identity_self_test())
        return say(problem, "this libsodium judges signatures otherwise than the network");
    text += strspn(text, " \t\r\n");
    length = strcspn(text, " \t\r\n");
    if (length == 0 || length > DUCK_GRANT_TEXT_MAX ||
        text[length + strspn(text + length, " \t\r\n")] != 0)
        return say(problem, wrong);
    data = memory_take(length);
    if (sodium_base642bin(data, length, text, length, NULL, &size, NULL, URLSAFE) != 0)
        grant = say(problem, wrong);
    else
        grant = grant_of(bytes_of(data, size), problem);
    memory_give_back(data);
    return grant;
}

void duck_grant_free(struct duck_grant *grant)
{
    if (!grant)
        return;
    arena_free(&grant->memory);
    arena_free(&grant->words);
    memory_give_back(grant);
}

const char *duck_grant_text(const struct duck_grant *grant)
{
    return grant->text;
}

const void *duck_grant_bytes(const struct duck_grant *grant, size_t *size)
{
    *size = grant->grant.wire.size;
    return grant->grant.wire.data;
}

const char *duck_grant_network(const struct duck_grant *grant)
{
    return grant->network;
}

bool duck_grant_block(const struct duck_grant *grant, size_t number, struct duck_grant_part *part)
{
    if (number >= grant->grant.count)
        return false;
    *part = grant->parts[number];
    return true;
}

void duck_grant_whole(const struct duck_grant *grant, struct duck_grant_part *part)
{
    *part = grant->whole;
}

bool duck_grant_allows(const struct duck_grant *grant, const char *from, const char *to,
                       const char *action, uint64_t wall_ms, const char **problem)
{
    struct grant_use use = {.network = grant->grant.blocks[0].network,
                            .action = bytes_of_text(action),
                            .wall_ms = wall_ms ? wall_ms : wall_now_ms()};
    enum grant_verdict verdict;

    if (!id_parse(ID_DUCKLING, bytes_of_text(from), &use.from) ||
        !id_parse(ID_DUCKLING, bytes_of_text(to), &use.to)) {
        say(problem, id_form(ID_DUCKLING));
        return false;
    }
    verdict = grant_allows(&grant->grant, &use);
    if (verdict != GRANT_OK)
        say(problem, grant_verdict_text(verdict));
    return verdict == GRANT_OK;
}

/* ---- making ---- */

/* What the caller's wish says for itself; the rest is for whoever makes or narrows. */
static const char *read_wish(const struct duck_holder *issuer, const struct duck_grant_wish *wish,
                             struct grant_wish *made)
{
    if (!wish->holder || !id_parse(ID_DUCKLING, bytes_of_text(wish->holder), &made->holder))
        return "who may use it? a duckling's id is dkl_ and 32 characters";
    if (wish->scope_count > GRANT_SCOPES_MAX)
        return grant_verdict_text(GRANT_BAD_SCOPE);
    for (size_t i = 0; i < wish->scope_count; i++)
        made->scopes[i] = bytes_of_text(wish->scopes[i]);
    made->scope_count = wish->scope_count;
    made->issuer = issuer->id;
    made->key = issuer->key;
    made->chain = issuer->chain;
    made->uses = wish->uses;
    made->further = wish->further;
    made->issued_ms = wall_now_ms();
    made->not_after_ms = wish->not_after_ms;
    randombytes_buf(made->nonce, sizeof made->nonce);
    return NULL;
}

static struct duck_grant *made_of(enum grant_verdict verdict, struct bytes wire,
                                  const char **problem)
{
    if (verdict != GRANT_OK)
        return say(problem, grant_verdict_text(verdict));
    return grant_of(wire, problem);
}

struct duck_grant *duck_grant_make(const struct duck_holder *issuer,
                                   const struct duck_grant_wish *wish, const char **problem)
{
    struct grant_wish made = {0};
    const char *wrong = read_wish(issuer, wish, &made);
    struct duck_grant *grant;
    enum grant_verdict verdict;
    struct arena arena;
    struct bytes wire;

    if (wrong)
        return say(problem, wrong);
    made.network = bytes_of_text(wish->network ? wish->network : "duck");
    if (made.not_after_ms == 0)
        made.not_after_ms = made.issued_ms + DAY_MS;
    arena_init(&arena, GRANT_MEMORY);
    verdict = grant_make(&made, &arena, &wire);
    grant = made_of(verdict, wire, problem);
    arena_free(&arena);
    return grant;
}

struct duck_grant *duck_grant_narrow(const struct duck_holder *holder, const char *text,
                                     const struct duck_grant_wish *wish, const char **problem)
{
    struct grant_wish made = {0};
    struct duck_grant *before = duck_grant_open(text, problem), *grant = NULL;
    enum grant_verdict verdict;
    const char *wrong;
    struct bytes wire;

    if (!before)
        return NULL;
    wrong = read_wish(holder, wish, &made);
    if (!wrong && wish->scope_count == 0 && before->whole.scope_count > GRANT_SCOPES_MAX)
        wrong = "the grant has more scopes than a block takes: name those that are handed on";
    if (wrong) {
        say(problem, wrong);
    } else {
        if (wish->scope_count == 0) {
            made.scope_count = before->whole.scope_count;
            for (size_t i = 0; i < made.scope_count; i++)
                made.scopes[i] = bytes_of_text(before->whole.scopes[i]);
        }
        made.network = before->grant.blocks[0].network;
        if (made.not_after_ms == 0)
            made.not_after_ms = before->whole.not_after_ms;
        verdict = grant_narrow(before->grant.wire, &made, &before->memory, &wire);
        grant = made_of(verdict, wire, problem);
    }
    duck_grant_free(before);
    return grant;
}
