#include "grant.h"

#include "binary_data.h"
#include "peck.h"
#include "wire/grant.pb-c.h"

#include <assert.h>

const char *grant_verdict_text(enum grant_verdict verdict)
{
    switch (verdict) {
    case GRANT_OK:
        return "fine";
    case GRANT_MALFORMED:
        return "the grant has a field that is missing, unknown or of a wrong length";
    case GRANT_TOO_LARGE:
        return "a grant is at most 6144 bytes";
    case GRANT_TOO_DEEP:
        return "the grant was handed on more often than one of its blocks lets it be";
    case GRANT_BAD_SCOPE:
        return "a block has 1 to 8 scopes, of a-z, 0-9, '_', '.', '-'; one may end in '*'";
    case GRANT_BAD_TIMES:
        return "a block of the grant ends before it begins, or lives longer than 365 days";
    case GRANT_NOT_LINKED:
        return "a block of the grant does not follow the one before";
    case GRANT_WRONG_SIGNER:
        return "a block of the grant is not signed by the holder of the one before";
    case GRANT_NO_ISSUER:
        return "an issuer in the grant is no duckling with certificates that hold";
    case GRANT_RETIRED_KEY:
        return "a block of the grant was signed with a key that its issuer has replaced";
    case GRANT_BAD_SIGNATURE:
        return "a block of the grant is not signed with its issuer's key";
    case GRANT_OTHER_NETWORK:
        return "the grant is made for another network";
    case GRANT_OTHER_TARGET:
        return "the grant is another duckling's, not the target's";
    case GRANT_OTHER_HOLDER:
        return "the grant's last holder is another duckling";
    case GRANT_COVERS_NOT:
        return "the grant does not cover this action";
    case GRANT_NOT_YET:
        return "a block of the grant is dated in the future";
    case GRANT_ENDED:
        return "the grant has ended";
    case GRANT_REVOKED:
        return "a block of the grant was revoked";
    case GRANT_SPENT:
        return "the grant has no uses left";
    case GRANT_NO_ROOM:
        return "the target's node keeps as many blocks of this grant as it can";
    case GRANT_BEFORE_RESTORE:
        return "the target's node was restored from a backup since the grant was made, and does "
               "not "
               "know whether it was revoked: ask for a new one";
    case GRANT_WIDER:
        return "a block can only take away: this one has a scope, uses, an end or a depth beyond "
               "the grant's";
    }
    return "";
}

const char *grant_verdict_name(enum grant_verdict verdict)
{
    static const char *const names[] = {
        [GRANT_OK] = "ok",
        [GRANT_MALFORMED] = "malformed",
        [GRANT_TOO_LARGE] = "too_large",
        [GRANT_TOO_DEEP] = "too_deep",
        [GRANT_BAD_SCOPE] = "bad_scope",
        [GRANT_BAD_TIMES] = "bad_times",
        [GRANT_NOT_LINKED] = "not_linked",
        [GRANT_WRONG_SIGNER] = "wrong_signer",
        [GRANT_NO_ISSUER] = "no_issuer",
        [GRANT_RETIRED_KEY] = "retired_key",
        [GRANT_BAD_SIGNATURE] = "bad_signature",
        [GRANT_OTHER_NETWORK] = "other_network",
        [GRANT_OTHER_TARGET] = "other_target",
        [GRANT_OTHER_HOLDER] = "other_holder",
        [GRANT_COVERS_NOT] = "covers_not",
        [GRANT_NOT_YET] = "not_yet",
        [GRANT_ENDED] = "ended",
        [GRANT_REVOKED] = "revoked",
        [GRANT_SPENT] = "spent",
        [GRANT_NO_ROOM] = "no_room",
        [GRANT_BEFORE_RESTORE] = "before_restore",
        [GRANT_WIDER] = "wider",
    };

    return names[verdict];
}

/* ---- one block ---- */

static const struct hash no_hash;

static enum grant_verdict judge(const struct grant_block *block)
{
    if (block->network.size == 0 || block->network.size > NETWORK_ID_MAX ||
        id_is_zero(&block->issuer) || id_is_zero(&block->holder) || block->issued_ms == 0)
        return GRANT_MALFORMED;
    if (block->further >= GRANT_BLOCKS_MAX)
        return GRANT_TOO_DEEP;
    if (block->scope_count == 0 || block->scope_count > GRANT_SCOPES_MAX)
        return GRANT_BAD_SCOPE;
    for (size_t i = 0; i < block->scope_count; i++)
        if (!peck_scope_is_valid(block->scopes[i]))
            return GRANT_BAD_SCOPE;
    if (block->not_after_ms <= block->issued_ms ||
        block->not_after_ms - block->issued_ms > GRANT_LIFE_MAX_MS)
        return GRANT_BAD_TIMES;
    return GRANT_OK;
}

static enum grant_verdict parse(struct bytes body, struct arena *arena, struct grant_block *block)
{
    Duck__GrantBody *message =
        duck__grant_body__unpack(arena_protobuf_allocator(arena), body.size, body.data);

    if (!message || message->base.n_unknown_fields > 0 ||
        !id_from_bytes(borrowed(message->issuer), &block->issuer) ||
        !id_from_bytes(borrowed(message->holder), &block->holder) ||
        (message->parent.len != 0 && message->parent.len != HASH_SIZE) ||
        message->nonce.len != sizeof block->nonce)
        return GRANT_MALFORMED;
    if (message->n_scopes > GRANT_SCOPES_MAX)
        return GRANT_BAD_SCOPE;
    if (message->parent.len == HASH_SIZE)
        memcpy(block->parent.bytes, message->parent.data, HASH_SIZE);
    memcpy(block->nonce, message->nonce.data, sizeof block->nonce);
    block->network = borrowed(message->network);
    block->scope_count = message->n_scopes;
    for (size_t i = 0; i < message->n_scopes; i++)
        block->scopes[i] = borrowed(message->scopes[i]);
    block->uses = message->uses;
    block->further = message->further;
    block->issued_ms = message->issued_ms;
    block->not_after_ms = message->not_after_ms;
    return judge(block);
}

/* The last key that the issuer's certificates name, and no other: what is signed with one that was
 * replaced might be its thief's, whatever date it bears. */
static enum grant_verdict verify(const struct grant_block *block, const struct envelope *envelope,
                                 struct bytes wire, struct arena *arena)
{
    struct chain chain;
    struct public_key key;

    if (!id_equal(&envelope->signer, &block->issuer))
        return GRANT_WRONG_SIGNER;
    if (chain_open(wire, arena, &chain) != CERTIFICATE_TAKEN || chain.kind != IDENTITY_DUCKLING ||
        !id_equal(&chain.identity, &block->issuer))
        return GRANT_NO_ISSUER;
    if (block->issued_ms < chain.certificates[chain.count - 1].issued_ms)
        return chain.count > 1 ? GRANT_RETIRED_KEY : GRANT_NO_ISSUER;
    if (chain_key_at(&chain, block->issued_ms, &key) != CERTIFICATE_TAKEN)
        return GRANT_NO_ISSUER;
    return envelope_verify(envelope, &key, NULL) == ENVELOPE_TAKEN ? GRANT_OK : GRANT_BAD_SIGNATURE;
}

/* ---- the whole ---- */

/* Does a block stand where it may? Of those before it all hold. */
static enum grant_verdict follow(const struct grant *grant, const struct grant_block *block)
{
    const struct grant_block *before;

    if (grant->count == 0)
        return hash_equal(&block->parent, &no_hash) ? GRANT_OK : GRANT_NOT_LINKED;
    before = &grant->blocks[grant->count - 1];
    if (!hash_equal(&block->parent, &before->hash) || !bytes_equal(block->network, before->network))
        return GRANT_NOT_LINKED;
    if (!id_equal(&block->issuer, &before->holder))
        return GRANT_WRONG_SIGNER;
    for (size_t i = 0; i < grant->count; i++)
        if (grant->count - i > grant->blocks[i].further)
            return GRANT_TOO_DEEP;
    return GRANT_OK;
}

static enum grant_verdict open_block(struct bytes wire, struct bytes chain, struct arena *arena,
                                     struct grant *grant)
{
    struct grant_block block = {0};
    struct envelope envelope;
    enum grant_verdict verdict;

    if (envelope_parse(wire, ENVELOPE_GRANT, arena, &envelope) != ENVELOPE_TAKEN)
        return GRANT_MALFORMED;
    verdict = parse(envelope.body, arena, &block);
    if (verdict != GRANT_OK)
        return verdict;
    block.hash = envelope.hash;
    block.id = id_of(&block.hash);
    verdict = follow(grant, &block);
    if (verdict == GRANT_OK)
        verdict = verify(&block, &envelope, chain, arena);
    if (verdict != GRANT_OK)
        return verdict;
    grant->blocks[grant->count] = block;
    grant->wires[grant->count] = wire;
    grant->chains[grant->count] = chain;
    grant->count++;
    return GRANT_OK;
}

enum grant_verdict grant_open(struct bytes wire, struct arena *arena, struct grant *grant,
                              size_t *at)
{
    struct grant opened = {.wire = wire};
    Duck__Grant *message;

    if (at)
        *at = 0;
    if (wire.size > GRANT_SIZE_MAX)
        return GRANT_TOO_LARGE;
    message = duck__grant__unpack(arena_protobuf_allocator(arena), wire.size, wire.data);
    if (!message || message->base.n_unknown_fields > 0 || message->n_blocks == 0 ||
        message->n_blocks != message->n_chains)
        return GRANT_MALFORMED;
    if (message->n_blocks > GRANT_BLOCKS_MAX)
        return GRANT_TOO_DEEP;
    while (opened.count < message->n_blocks) {
        size_t next = opened.count;
        enum grant_verdict verdict = open_block(borrowed(message->blocks[next]),
                                                borrowed(message->chains[next]), arena, &opened);

        if (at)
            *at = next;
        if (verdict != GRANT_OK)
            return verdict;
    }
    *grant = opened;
    return GRANT_OK;
}

static bool covers(const struct grant_block *block, struct bytes action)
{
    for (size_t i = 0; i < block->scope_count; i++)
        if (peck_scope_covers(block->scopes[i], action))
            return true;
    return false;
}

static bool all_cover(const struct grant *grant, struct bytes action)
{
    for (size_t i = 0; i < grant->count; i++)
        if (!covers(&grant->blocks[i], action))
            return false;
    return true;
}

enum grant_verdict grant_allows(const struct grant *grant, const struct grant_use *use)
{
    if (!bytes_equal(grant->blocks[0].network, use->network))
        return GRANT_OTHER_NETWORK;
    if (!id_equal(&grant->blocks[0].issuer, &use->to))
        return GRANT_OTHER_TARGET;
    if (!id_equal(&grant->blocks[grant->count - 1].holder, &use->from))
        return GRANT_OTHER_HOLDER;
    for (size_t i = 0; i < grant->count; i++) {
        if (use->wall_ms + CLOCK_SKEW_MAX_MS < grant->blocks[i].issued_ms)
            return GRANT_NOT_YET;
        if (use->wall_ms >= grant->blocks[i].not_after_ms)
            return GRANT_ENDED;
    }
    return all_cover(grant, use->action) ? GRANT_OK : GRANT_COVERS_NOT;
}

/* ---- what is left of it ---- */

static void add_scope(struct grant_reach *reach, struct bytes scope)
{
    for (size_t i = 0; i < reach->scope_count; i++)
        if (bytes_equal(reach->scopes[i], scope))
            return;
    reach->scopes[reach->scope_count++] = scope;
}

/* A scope covers all of another or nothing that it does not cover too. So what all blocks allow is
 * told by those scopes that each block covers as a whole. */
void grant_reach(const struct grant *grant, struct grant_reach *reach)
{
    *reach = (struct grant_reach){.further = GRANT_BLOCKS_MAX - (uint32_t)grant->count,
                                  .not_after_ms = UINT64_MAX};
    for (size_t i = 0; i < grant->count; i++) {
        const struct grant_block *block = &grant->blocks[i];
        size_t after = grant->count - 1 - i;

        for (size_t j = 0; j < block->scope_count; j++)
            if (all_cover(grant, block->scopes[j]))
                add_scope(reach, block->scopes[j]);
        if (block->uses > 0 && (reach->uses == 0 || block->uses < reach->uses))
            reach->uses = block->uses;
        if (block->further < after + reach->further)
            reach->further = block->further > after ? block->further - (uint32_t)after : 0;
        if (block->issued_ms > reach->not_before_ms)
            reach->not_before_ms = block->issued_ms;
        if (block->not_after_ms < reach->not_after_ms)
            reach->not_after_ms = block->not_after_ms;
    }
}

/* ---- making ---- */

static struct bytes seal_block(const struct grant_wish *wish, const struct hash *parent,
                               struct arena *arena)
{
    Duck__GrantBody message = DUCK__GRANT_BODY__INIT;
    ProtobufCBinaryData scopes[GRANT_SCOPES_MAX];
    uint8_t *data;

    message.network = lent(wish->network);
    if (parent)
        message.parent = lent(bytes_of(parent->bytes, HASH_SIZE));
    message.issuer = lent(id_bytes(&wish->issuer));
    message.holder = lent(id_bytes(&wish->holder));
    for (size_t i = 0; i < wish->scope_count; i++)
        scopes[i] = lent(wish->scopes[i]);
    message.n_scopes = wish->scope_count;
    message.scopes = scopes;
    message.uses = wish->uses;
    message.further = wish->further;
    message.issued_ms = wish->issued_ms;
    message.not_after_ms = wish->not_after_ms;
    message.nonce = lent(bytes_of(wish->nonce, sizeof wish->nonce));
    data = arena_take(arena, duck__grant_body__get_packed_size(&message));
    if (!data)
        return bytes_of(NULL, 0);
    return envelope_seal(ENVELOPE_GRANT, &wish->issuer, wish->key,
                         bytes_of(data, duck__grant_body__pack(&message, data)), arena, NULL);
}

struct bytes grant_cut(const struct grant *grant, size_t count, struct arena *arena)
{
    ProtobufCBinaryData blocks[GRANT_BLOCKS_MAX], chains[GRANT_BLOCKS_MAX];
    Duck__Grant message = DUCK__GRANT__INIT;
    uint8_t *data;

    assert(count > 0 && count <= grant->count);
    for (size_t i = 0; i < count; i++) {
        blocks[i] = lent(grant->wires[i]);
        chains[i] = lent(grant->chains[i]);
    }
    message.n_blocks = message.n_chains = count;
    message.blocks = blocks;
    message.chains = chains;
    data = arena_take(arena, duck__grant__get_packed_size(&message));
    return data ? bytes_of(data, duck__grant__pack(&message, data)) : bytes_of(NULL, 0);
}

static enum grant_verdict pack(const struct grant *before, const struct grant_wish *wish,
                               struct arena *arena, struct bytes *wire)
{
    size_t count = before ? before->count : 0;
    ProtobufCBinaryData blocks[GRANT_BLOCKS_MAX], chains[GRANT_BLOCKS_MAX];
    Duck__Grant message = DUCK__GRANT__INIT;
    enum grant_verdict verdict;
    struct grant made;
    struct bytes block;
    uint8_t *data;

    if (count == GRANT_BLOCKS_MAX)
        return GRANT_TOO_DEEP;
    if (wish->scope_count > GRANT_SCOPES_MAX)
        return GRANT_BAD_SCOPE;
    block = seal_block(wish, count > 0 ? &before->blocks[count - 1].hash : NULL, arena);
    for (size_t i = 0; i < count; i++) {
        blocks[i] = lent(before->wires[i]);
        chains[i] = lent(before->chains[i]);
    }
    blocks[count] = lent(block);
    chains[count] = lent(wish->chain);
    message.n_blocks = message.n_chains = count + 1;
    message.blocks = blocks;
    message.chains = chains;
    data = block.data ? arena_take(arena, duck__grant__get_packed_size(&message)) : NULL;
    if (!data)
        return GRANT_TOO_LARGE;
    block = bytes_of(data, duck__grant__pack(&message, data));
    verdict = grant_open(block, arena, &made, NULL);
    if (verdict == GRANT_OK)
        *wire = block;
    return verdict;
}

enum grant_verdict grant_make(const struct grant_wish *wish, struct arena *arena,
                              struct bytes *wire)
{
    *wire = bytes_of(NULL, 0);
    return pack(NULL, wish, arena, wire);
}

static bool is_narrower(const struct grant *grant, const struct grant_wish *wish)
{
    struct grant_reach reach;

    grant_reach(grant, &reach);
    if (wish->not_after_ms > reach.not_after_ms || wish->further + 1 > reach.further)
        return false;
    if (reach.uses > 0 && wish->uses > reach.uses)
        return false;
    for (size_t i = 0; i < wish->scope_count; i++)
        if (!all_cover(grant, wish->scopes[i]))
            return false;
    return true;
}

enum grant_verdict grant_narrow(struct bytes wire, const struct grant_wish *wish,
                                struct arena *arena, struct bytes *narrowed)
{
    struct grant grant;
    struct grant_reach reach;
    enum grant_verdict verdict = grant_open(wire, arena, &grant, NULL);

    *narrowed = bytes_of(NULL, 0);
    if (verdict != GRANT_OK)
        return verdict;
    if (!id_equal(&grant.blocks[grant.count - 1].holder, &wish->issuer))
        return GRANT_OTHER_HOLDER;
    grant_reach(&grant, &reach);
    if (reach.further == 0 || wish->further >= GRANT_BLOCKS_MAX)
        return GRANT_TOO_DEEP;
    if (wish->scope_count <= GRANT_SCOPES_MAX && !is_narrower(&grant, wish))
        return GRANT_WIDER;
    return pack(&grant, wish, arena, narrowed);
}
