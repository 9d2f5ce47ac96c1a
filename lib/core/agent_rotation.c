/* Rotation: the key that the last certificate promised takes over. The identity, its bonds and what it
 * said stay; what is said from now on is signed by the new key and travels with the longer chain. */
#include "agent_parts.h"

#include <assert.h>
#include <stdio.h>

static bool refuse(struct order_refusal *refusal, enum refusal_code code, const char *message,
                   const char *field)
{
    *refusal = (struct order_refusal){.code = code, .message = message, .field = field};
    return false;
}

static struct public_key public_of(const uint8_t seed[SEED_SIZE])
{
    struct identity_key *key = identity_key_new(seed);
    struct public_key public = identity_key_public(key);

    identity_key_free(key);
    return public;
}

static const struct certificate *last_of(const struct chain *chain)
{
    return &chain->certificates[chain->count - 1];
}

static bool is_key(const struct public_key *one, const struct public_key *other)
{
    return memcmp(one->bytes, other->bytes, PUBLIC_KEY_SIZE) == 0;
}

/* A key that is known already would let its thief rotate; none at all would end the identity, for
 * which there is a revocation. */
static bool judge_promise(const struct chain *chain, const struct hash *promise,
                          struct order_refusal *refusal)
{
    static const struct hash none;
    struct hash used;

    if (hash_equal(promise, &none))
        return refuse(refusal, REFUSAL_MALFORMED, "a certificate promises a next key",
                      "next_key_hash");
    for (size_t i = 0; i < chain->count; i++) {
        used = identity_key_hash(&chain->certificates[i].public_key);
        if (hash_equal(promise, &used))
            return refuse(refusal, REFUSAL_MALFORMED, "the next key was in use before",
                          "next_key_hash");
    }
    used = chain->certificates[chain->count - 1].next_key_hash;
    if (hash_equal(promise, &used))
        return refuse(refusal, REFUSAL_MALFORMED, "the next key is the one that takes over",
                      "next_key_hash");
    return true;
}

static bool judge_key(const struct chain *chain, const struct public_key *key,
                      struct order_refusal *refusal)
{
    struct hash hash = identity_key_hash(key);

    if (!hash_equal(&hash, &last_of(chain)->next_key_hash))
        return refuse(refusal, REFUSAL_NOT_ALLOWED,
                      "this is not the key that its last certificate promised", "seed");
    return true;
}

static bool judge_identity(const struct agent *agent, const struct id *identity,
                           struct order_refusal *refusal)
{
    if (directory_revoked(agent->directory, identity))
        return refuse(refusal, REFUSAL_CONFLICT, "it is revoked, for good", "duckling");
    return true;
}

/* ---- of a duckling ---- */

/* Behind all that the key before it dated, also where the clock was put back since: or who hears of
 * the rotation first would refuse what others hold already. What the new key dates is not before it:
 * see agent_date_behind. */
static struct bytes lengthen(const struct agent *agent, const struct chain *chain,
                             const struct order *order, const struct moment *at,
                             struct arena *arena, struct order_refusal *refusal)
{
    struct identity_key *key = identity_key_new(order->seeds[0]);
    uint64_t said_ms = agent->last_version.ms;
    uint64_t issued_ms = at->wall_ms > said_ms ? at->wall_ms : said_ms + 1;
    struct bytes longer = chain_lengthen(chain, key, &order->next_key_hash, issued_ms, arena);

    identity_key_free(key);
    if (!longer.data)
        refuse(refusal, REFUSAL_CONFLICT, "its chain has as many certificates as there may be",
               "duckling");
    return longer;
}

struct rotating {
    struct agent *agent;
    struct duckling *duckling;
    const struct moment *at;
    struct effects *effects;
};

static void publish_bond(void *context, const struct bond *bond)
{
    const struct rotating *rotating = context;

    agent_publish_bonded(rotating->agent, rotating->duckling, bond, rotating->at,
                         rotating->effects);
}

/* All that others hold of it is said anew: what it signed before holds only as long as such a record
 * lives, and is checked against two older keys at most. */
static void say_anew(struct agent *agent, struct duckling *duckling, const struct moment *at,
                     struct effects *effects)
{
    struct rotating rotating = {agent, duckling, at, effects};

    agent_publish_duckling(agent, duckling, at, effects);
    agent_publish_vouchers(agent, duckling, at, effects);
    bonds_each_of(agent->bonds, &duckling->id, publish_bond, &rotating);
}

void agent_date_behind(struct agent *agent, const struct chain *chain)
{
    uint64_t issued_ms = last_of(chain)->issued_ms;

    if (chain->count > 1 && agent->last_version.ms < issued_ms)
        agent->last_version = (struct version){issued_ms, 0};
}

/* `is_here`: so is its key. */
static void take_over_chain(struct agent *agent, struct bytes packed, bool is_here,
                            struct effects *effects)
{
    struct chain chain;
    struct arena arena;
    bool holds;

    arena_init(&arena, PARSE_BUDGET(CHAIN_SIZE_MAX));
    holds = chain_open(packed, &arena, &chain) == CERTIFICATE_TAKEN;
    assert(holds);
    if (is_here)
        agent_date_behind(agent, &chain);
    agent_void_older(agent, &chain, effects);
    arena_free(&arena);
}

/* NULL `order`: it keeps its own key. */
static void take_over(struct agent *agent, struct duckling *duckling, const struct order *order,
                      struct bytes chain, struct effects *effects)
{
    struct hosted *hosted = arena_take(&effects->arena, sizeof *hosted);

    assert(hosted);
    take_over_chain(agent, chain, order != NULL, effects);
    memset(hosted, 0, sizeof *hosted);
    hosted->id = duckling->id;
    hosted->chain = chain;
    hosted->own_key = !order;
    if (order) {
        memcpy(hosted->seed, order->seeds[0], SEED_SIZE);
        hosted->sealed_next = order->sealed_next;
        identity_key_free(duckling->key);
        duckling->key = identity_key_new(order->seeds[0]);
    } else if (!agent_speaks_by(duckling, chain))
        assert(!"it was opened");
    effects_add(effects, EFFECT_KEEP_KEY)->duckling = hosted;
    agent->key_is_new = true;
    agent_look_at_lobsters(agent);
    memory_give_back((void *)(uintptr_t)duckling->chain.data);
    duckling->chain = bytes_of(memory_copy(chain.data, chain.size), chain.size);
}

bool agent_take_over(struct agent *agent, const struct order *order, struct duckling *duckling,
                     const struct moment *at, struct effects *effects,
                     struct order_refusal *refusal)
{
    struct public_key key = public_of(order->seeds[0]);
    struct chain chain;
    struct arena arena;
    struct bytes longer;
    bool holds;

    arena_init(&arena, 2 * PARSE_BUDGET(CHAIN_SIZE_MAX));
    holds = chain_open(duckling->chain, &arena, &chain) == CERTIFICATE_TAKEN;
    assert(holds);
    holds = judge_identity(agent, &duckling->id, refusal) && judge_key(&chain, &key, refusal);
    if (holds) {
        longer = lengthen(agent, &chain, order, at, &effects->arena, refusal);
        holds = refusal->code == REFUSAL_NONE;
    }
    arena_free(&arena);
    if (holds)
        take_over(agent, duckling, order, longer, effects);
    return holds;
}

/* The same order again, after its answer was lost. */
static bool is_done(const struct chain *chain, const struct public_key *key,
                    const struct hash *promise)
{
    return chain->count > 1 && is_key(&last_of(chain)->public_key, key) &&
           hash_equal(&last_of(chain)->next_key_hash, promise);
}

static bool rotate_duckling(struct agent *agent, const struct order *order,
                            struct duckling *duckling, const struct moment *at,
                            struct effects *effects, struct order_refusal *refusal)
{
    struct public_key key = public_of(order->seeds[0]);
    struct chain chain;
    struct arena arena;
    bool holds;

    arena_init(&arena, PARSE_BUDGET(CHAIN_SIZE_MAX));
    holds = chain_open(duckling->chain, &arena, &chain) == CERTIFICATE_TAKEN;
    assert(holds);
    if (is_done(&chain, &key, &order->next_key_hash)) {
        arena_free(&arena);
        return true;
    }
    holds = judge_promise(&chain, &order->next_key_hash, refusal);
    arena_free(&arena);
    if (!holds || !agent_take_over(agent, order, duckling, at, effects, refusal))
        return false;
    agent_renew_contexts(agent, duckling, at, effects);
    say_anew(agent, duckling, at, effects);
    return true;
}

/* ---- of a duckling that keeps its own key ---- */

/* NULL: it is the chain that is held, and one certificate more, behind all that was said under it. */
static const char *judge_longer(const struct duckling *duckling, const struct chain *held,
                                const struct chain *longer, const struct moment *at,
                                struct arena *arena)
{
    const struct certificate *last = last_of(longer);
    char *text;

    if (!id_equal(&longer->identity, &held->identity))
        return "these are certificates of another duckling";
    if (longer->count != held->count + 1 || chain_contradicts(held, longer))
        return "this is not the chain that is known here and one certificate more";
    if (last->issued_ms > at->wall_ms + CLOCK_SKEW_MAX_MS)
        return "its last certificate is of the future: the clock that dated it is wrong";
    if (last->not_after_ms <= at->wall_ms)
        return "its last certificate has ended";
    if (last->issued_ms > duckling->dated.ms)
        return NULL;
    text = arena_take(arena, 128);
    if (text)
        snprintf(text, 128, "its key before has dated things up to %llu: issue it after that",
                 (unsigned long long)duckling->dated.ms);
    return text ? text : "its key before has dated later things";
}

static bool hand_in(struct agent *agent, const struct order *order, struct duckling *duckling,
                    const struct moment *at, struct effects *effects, struct order_refusal *refusal)
{
    enum certificate_verdict verdict;
    const char *wrong = NULL;
    struct chain held, longer;
    struct arena arena;

    if (bytes_equal(order->chain, duckling->chain))
        return true; /* the same order again, after its answer was lost */
    arena_init(&arena, 2 * PARSE_BUDGET(CHAIN_SIZE_MAX));
    verdict = chain_open(order->chain, &arena, &longer);
    if (verdict != CERTIFICATE_TAKEN)
        wrong = certificate_verdict_text(verdict);
    else if (chain_open(duckling->chain, &arena, &held) != CERTIFICATE_TAKEN)
        assert(!"it was opened when it came here");
    else
        wrong = judge_longer(duckling, &held, &longer, at, &effects->arena);
    arena_free(&arena);
    if (wrong)
        return refuse(refusal, REFUSAL_MALFORMED, wrong, "chain");
    if (!judge_identity(agent, &duckling->id, refusal))
        return false;
    take_over(agent, duckling, NULL, arena_copy(&effects->arena, order->chain), effects);
    agent_want_anew(agent, duckling, at, effects);
    say_anew(agent, duckling, at, effects);
    return true;
}

/* Its key was rotated where this node had no part in it, as after a restore: the longer chain is all that it
 * needs. What it adopts of the profile is for a node that was restored. */
void agent_hear_of_own_key(struct agent *agent, const struct offered_record *offered,
                           const struct moment *at, struct effects *effects)
{
    struct duckling *duckling = agent_hosted(agent, &offered->record.owner);
    size_t count = chain_count(duckling->chain);
    struct chain held, longer;
    struct arena arena;
    bool is_newer = false;

    if (duckling->key)
        return;
    agent_note_date(duckling, offered->record.version);
    if (chain_count(offered->chain) > count) {
        arena_init(&arena, 2 * PARSE_BUDGET(CHAIN_SIZE_MAX));
        is_newer = chain_open(offered->chain, &arena, &longer) == CERTIFICATE_TAKEN &&
                   chain_open(duckling->chain, &arena, &held) == CERTIFICATE_TAKEN &&
                   id_equal(&longer.identity, &held.identity) && !chain_contradicts(&held, &longer);
        arena_free(&arena);
    }
    if (is_newer) {
        take_over(agent, duckling, NULL, arena_copy(&effects->arena, offered->chain), effects);
        agent_want_anew(agent, duckling, at, effects);
    }
    agent_adopt(agent, &offered->record, effects);
}

/* ---- of the node ---- */

bool agent_lengthen_node_chain(const struct agent *agent, const struct order *order,
                               const struct moment *at, struct arena *arena, struct bytes *longer,
                               struct order_refusal *refusal)
{
    struct public_key key = public_of(order->seeds[0]);
    struct arena scratch;
    struct chain chain;
    bool holds;

    *refusal = (struct order_refusal){.message = "", .field = ""};
    arena_init(&scratch, 2 * PARSE_BUDGET(CHAIN_SIZE_MAX));
    holds = chain_open(agent->settings.node_chain, &scratch, &chain) == CERTIFICATE_TAKEN;
    assert(holds);
    holds = judge_identity(agent, &agent->node, refusal) && judge_key(&chain, &key, refusal) &&
            judge_promise(&chain, &order->next_key_hash, refusal);
    if (holds) {
        *longer = lengthen(agent, &chain, order, at, arena, refusal);
        holds = refusal->code == REFUSAL_NONE;
    }
    arena_free(&scratch);
    return holds;
}

/* By now the new key is on the disk, and in the place of the old one: the node has no other. */
static void rotate_node(struct agent *agent, const struct order *order, const struct moment *at,
                        struct effects *effects)
{
    struct hosted *hosted;

    memory_give_back((void *)(uintptr_t)agent->settings.node_chain.data);
    agent->settings.node_chain =
        bytes_of(memory_copy(order->chain.data, order->chain.size), order->chain.size);
    take_over_chain(agent, order->chain, true, effects);
    hosted = arena_take(&effects->arena, sizeof *hosted);
    assert(hosted);
    memset(hosted, 0, sizeof *hosted);
    hosted->id = agent->node;
    hosted->chain = arena_copy(&effects->arena, order->chain);
    effects_add(effects, EFFECT_KEEP_KEY)->duckling = hosted;
    agent_publish_node(agent, at, effects);
    agent->metrics_changed = agent->metrics_changed || agent_has_metrics(agent);
}

bool agent_rotate(struct agent *agent, const struct order *order, const struct moment *at,
                  struct effects *effects, struct order_refusal *refusal, struct bytes *chain)
{
    struct duckling *duckling = agent_hosted(agent, &order->duckling);

    if (!id_equal(&order->duckling, &agent->node)) {
        if (!duckling)
            return refuse(refusal, REFUSAL_NOT_HOSTED, "this duckling does not live on this node",
                          "duckling");
        if (!duckling->key && order->chain.size == 0)
            return refuse(refusal, REFUSAL_OWN_KEY,
                          "this duckling keeps its own key: hand in its chain with one "
                          "certificate more",
                          "chain");
        if (duckling->key && order->chain.size > 0)
            return refuse(refusal, REFUSAL_NOT_ALLOWED,
                          "this duckling's key is the node's, which makes its certificates",
                          "chain");
        if (!duckling->key) {
            *chain = order->chain;
            return hand_in(agent, order, duckling, at, effects, refusal);
        }
        if (order->by_node && !order->is_opened)
            return refuse(
                refusal, REFUSAL_NOT_ALLOWED,
                "its next key lies where this node cannot open it, as it should: ducknode "
                "rotate, with --next-key-dir",
                "what");
        if (!rotate_duckling(agent, order, duckling, at, effects, refusal))
            return false;
        *chain = arena_copy(&effects->arena, duckling->chain);
        return true;
    }
    if (!order->is_kept) {
        struct bytes longer;

        return agent_lengthen_node_chain(agent, order, at, &effects->arena, &longer, refusal) &&
               refuse(refusal, REFUSAL_STORE, "the new key could not be kept", "");
    }
    rotate_node(agent, order, at, effects);
    *chain = arena_copy(&effects->arena, agent->settings.node_chain);
    return true;
}

/* ---- links ---- */

bool agent_still_says(const struct agent *agent, const struct id *signer, enum identity_kind kind,
                      const struct id *link)
{
    struct id node = *signer;

    return (kind == IDENTITY_NODE || agent_find_host(agent, signer, &node)) &&
           id_equal(&node, link);
}

static const char key_is_old[] = "its key was rotated";

/* Of a link that was introduced under a shorter chain nobody knows whether the owner is there, or who
 * took its key. The owner dials, or is dialled, at once. */
void agent_end_outgrown(struct agent *agent, const struct id *node, struct bytes chain,
                        struct effects *effects)
{
    struct linked_under *under = (struct linked_under *)idtable_find(&agent->linked, node);
    size_t count = under ? chain_count(chain) : 0;

    if (!under || count <= under->certificates)
        return;
    under->certificates = count; /* hung up once */
    agent_hang_up(node, key_is_old, effects);
}

bool agent_note_link(struct agent *agent, const struct event *event, size_t certificates,
                     struct effects *effects)
{
    struct linked_under *under;

    if (event->link.is_outgrown) {
        agent_tell_outgrown(agent, &event->node, effects);
        agent_hang_up(&event->node, key_is_old, effects);
        return false;
    }
    agent_forget_link(agent, &event->node);
    under = memory_take(sizeof *under);
    under->node.id = event->node;
    under->certificates = certificates;
    idtable_add(&agent->linked, &under->node);
    return true;
}

void agent_forget_link(struct agent *agent, const struct id *node)
{
    struct idtable_node *under = idtable_find(&agent->linked, node);

    if (!under)
        return;
    idtable_remove(&agent->linked, under);
    memory_give_back(under);
}
