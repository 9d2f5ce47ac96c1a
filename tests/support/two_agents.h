/* two_agents: two whole agents on one made-up clock: what one sends, the other's intake opens. No
 * disk, no socket; a table stands for each store. */
#ifndef DUCK_TESTS_TWO_AGENTS_H
#define DUCK_TESTS_TWO_AGENTS_H

#include "core/agent.h"
#include "core/intake.h"

#include <check.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define NETWORK "pond"
#ifndef PECKS_MAX
#define PECKS_MAX 64
#endif
#ifndef REPLIES_MAX
#define REPLIES_MAX 64
#endif
#define KEPT_PARTIALS_MAX 8

struct kept_peck {
    enum box box;
    struct id id, from, to;
    struct hash hash;
    enum peck_state state;
    struct bytes thread, wire, chain;
    struct bytes receipts[2], receipt_chains[2];
    struct bytes problem, refusal;
    uint64_t retry_after_ms;
    struct bytes partials[KEPT_PARTIALS_MAX], partial_chain; /* the wires of the first */
    size_t partial_count;
};

struct reply {
    uint64_t ticket;
    enum refusal_code code;
    char message[512]; /* when refused */
    struct id peck, duckling, bond, certificate;
    enum peck_state state;
    bool replayed;
    uint64_t retry_after_ms;
    uint32_t number;
    size_t taken_count;
    struct id taken[8];
    size_t lobster_count;
    struct lobster lobster; /* the first */
    struct id waits_for;
    size_t wanted_count;
    struct wanted wanted[4]; /* the first */
};

struct node {
    struct agent *agent;
    struct intake *intake;
    struct keyring *keyring;
    struct identity_key *key;
    struct id id;
    struct bytes chain;
    struct effects effects;
    struct arena memory; /* of everything that is kept */
    struct kept_peck pecks[PECKS_MAX];
    size_t peck_count;
    struct reply replies[REPLIES_MAX];
    size_t reply_count;
    struct offered_record records[PECKS_MAX];
    bool lobster_records[PECKS_MAX]; /* those of lobster binds among them */
    size_t record_count;
    size_t bonds_made, bonds_ended, ends_told, refused_frames;
    size_t terms_told, limits_told, counts_kept, grants_kept;
    struct grant_change last_grant;
    size_t contexts_kept, contexts_dropped;
    size_t profiles_kept;
    struct kept_context last_context;
    size_t warnings; /* that it logged */
    size_t pecks_sent, pecks_waited; /* of them such as must be kept first */
    enum bond_verdict last_limit;
    struct bond_count last_use, last_thread; /* as they were kept last */
    struct lobster last_lobster;             /* as it was kept last */
    size_t lobsters_dropped;
    struct bond last_bond;                   /* without what it points to */
    enum intake_verdict last_refusal;
    char last_reason[160];
};

#define POND_BEGINS_MS 1790000000000ull /* wall */

struct pond {
    struct node alice, bob;
    struct moment at;
    bool linked;
    int turn_a_bit; /* of the next frame of this kind, once */
    int lose;       /* the next frame of this kind, once */
    size_t carried[32]; /* frames, by kind */
    uint64_t ticket;
    uint64_t restored_ms;
};

static inline struct node *other(struct pond *pond, struct node *node)
{
    return node == &pond->alice ? &pond->bob : &pond->alice;
}

/* ---- a store of sorts ---- */

static inline struct kept_peck *find(struct node *node, enum box box, const struct id *id)
{
    for (size_t i = 0; i < node->peck_count; i++)
        if (node->pecks[i].box == box && id_equal(&node->pecks[i].id, id))
            return &node->pecks[i];
    return NULL;
}

static inline void keep(struct node *node, const struct effect *effect)
{
    struct kept_peck *peck;

    switch ((int)effect->kind) {
    case EFFECT_KEEP_PECK:
        ck_assert_uint_lt(node->peck_count, PECKS_MAX);
        ck_assert_ptr_null(find(node, effect->peck.box, &effect->peck.id));
        node->pecks[node->peck_count++] =
            (struct kept_peck){.box = effect->peck.box,
                               .id = effect->peck.id,
                               .from = effect->peck.from,
                               .to = effect->peck.to,
                               .hash = effect->peck.hash,
                               .thread = arena_copy(&node->memory, effect->peck.thread),
                               .state = effect->peck.state,
                               .wire = arena_copy(&node->memory, effect->peck.wire),
                               .chain = chain_with_context(
                                   arena_copy(&node->memory, effect->peck.chain),
                                   effect->peck.context ? effect->peck.context->wire
                                                        : bytes_of(NULL, 0),
                                   &node->memory)};
        break;
    case EFFECT_KEEP_STATE:
        peck = find(node, effect->state.box, &effect->state.peck);
        ck_assert_ptr_nonnull(peck);
        peck->state = effect->state.state;
        peck->problem = arena_copy(&node->memory, effect->state.problem);
        peck->refusal = arena_copy(&node->memory, effect->state.refusal);
        peck->retry_after_ms = effect->state.retry_after_ms;
        break;
    case EFFECT_KEEP_RECEIPT:
        peck = find(node, effect->receipt.box, &effect->receipt.peck);
        ck_assert_ptr_nonnull(peck);
        peck->receipts[effect->receipt.kind - 1] = arena_copy(&node->memory, effect->receipt.wire);
        peck->receipt_chains[effect->receipt.kind - 1] =
            arena_copy(&node->memory, effect->receipt.chain);
        break;
    case EFFECT_KEEP_PARTIAL:
        peck = find(node, effect->partial.box, &effect->partial.peck);
        ck_assert_ptr_nonnull(peck);
        ck_assert_uint_eq(effect->partial.partials.count, ++peck->partial_count); /* no gap, none twice */
        if (peck->partial_count > KEPT_PARTIALS_MAX)
            break;
        peck->partials[peck->partial_count - 1] = arena_copy(&node->memory, effect->partial.wire);
        peck->partial_chain = arena_copy(&node->memory, effect->partial.chain);
        break;
    case EFFECT_KEEP_RECORD:
        ck_assert_uint_lt(node->record_count, PECKS_MAX);
        node->records[node->record_count] = effect->record.item;
        node->lobster_records[node->record_count] =
            effect->record.item.record.key.size > 8 &&
            memcmp(effect->record.item.record.key.data, "lobster-", 8) == 0;
        node->records[node->record_count].wire =
            arena_copy(&node->memory, effect->record.item.wire);
        node->records[node->record_count++].chain =
            arena_copy(&node->memory, effect->record.item.chain);
        break;
    case EFFECT_KEEP_LOBSTER:
        node->last_lobster = *effect->lobster.lobster;
        break;
    case EFFECT_DROP_LOBSTER:
        node->lobsters_dropped++;
        break;
    case EFFECT_KEEP_BOND:
        node->bonds_made++;
        node->last_bond = *effect->bond;
        break;
    case EFFECT_DROP_BOND:
        node->bonds_ended++;
        break;
    case EFFECT_BOND_CHANGED:
        node->ends_told += effect->bond_changed.change == BOND_ENDED;
        node->terms_told += effect->bond_changed.change == BOND_TERMS_CHANGED;
        if (effect->bond_changed.change == BOND_LIMITED) {
            node->limits_told++;
            node->last_limit = effect->bond_changed.limit;
        }
        break;
    case EFFECT_KEEP_COUNT:
        node->counts_kept++;
        *(effect->count.is_thread ? &node->last_thread : &node->last_use) = effect->count;
        break;
    case EFFECT_KEEP_CONTEXT:
        node->last_context = *effect->context;
        node->last_context.wire = arena_copy(&node->memory, effect->context->wire);
        node->contexts_kept++;
        break;
    case EFFECT_DROP_CONTEXT:
        node->contexts_dropped++;
        break;
    case EFFECT_KEEP_PROFILE:
        node->profiles_kept++;
        break;
    case EFFECT_KEEP_GRANT:
        node->grants_kept++;
        node->last_grant = *effect->grant;
        break;
    default:
        break;
    }
}

/* ---- a wire of sorts ---- */

/* As store_find_thread has it. */
static inline struct bytes thread_of(struct node *node, const struct peck *peck)
{
    struct kept_peck *kept = find(node, BOX_IN, &peck->reply_to);
    char text[ID_TEXT_SIZE];

    if (!kept)
        kept = find(node, BOX_OUT, &peck->reply_to);
    if (!kept || !((id_equal(&kept->from, &peck->from) && id_equal(&kept->to, &peck->to)) ||
                   (id_equal(&kept->from, &peck->to) && id_equal(&kept->to, &peck->from))))
        return bytes_of(NULL, 0);
    if (kept->thread.size > 0)
        return kept->thread;
    return arena_copy(&node->memory, bytes_of_text(id_text(ID_PECK, &kept->id, text)));
}

static inline void turn(struct pond *pond, struct node *node, struct event *event);

static inline void carry(struct pond *pond, struct node *from, enum frame_kind kind, struct bytes body)
{
    struct node *to = other(pond, from);
    struct event event, met = {0};
    struct arena arena;
    struct id peck;
    size_t refused;
    enum intake_verdict verdict;
    uint8_t *copy;

    if (!pond->linked)
        return;
    if (pond->lose == (int)kind) {
        pond->lose = 0;
        return;
    }
    pond->carried[kind % 32]++;
    copy = malloc(body.size);
    memcpy(copy, body.data, body.size);
    if (pond->turn_a_bit == (int)kind) {
        copy[body.size - 20] ^= 1;
        pond->turn_a_bit = 0;
    }
    arena_init(&arena, PARSE_BUDGET(body.size));
    verdict = intake_open(to->intake, kind, bytes_of(copy, body.size), pond->at.wall_ms, &arena,
                          &event, &peck, &refused, to->last_reason);
    if (intake_contradiction(to->intake, &met.contradiction.one, &met.contradiction.other)) {
        met.kind = EVENT_CONTRADICTION;
        met.node = from->id;
        turn(pond, to, &met);
    }
    if (verdict == INTAKE_TAKEN) {
        event.node = from->id;
        if (event.kind == EVENT_PECK)
            event.peck.known = find(to, BOX_IN, &event.peck.peck.id) != NULL;
        if (event.kind == EVENT_PECK)
            event.peck.thread = thread_of(to, &event.peck.peck);
        turn(pond, to, &event);
    } else {
        to->refused_frames++;
        to->last_refusal = verdict;
    }
    arena_free(&arena);
    free(copy);
}

static inline void carry_stored(struct pond *pond, struct node *node, const struct effect *effect)
{
    struct arena arena;

    arena_init(&arena, MIB);
    if (effect->kind == EFFECT_SEND_PECK) {
        struct kept_peck *peck = find(node, BOX_OUT, &effect->send_stored.peck);

        carry(pond, node, FRAME_PECK,
              frame_pack_peck_again(peck->chain, peck->wire, effect->send_stored.partials,
                                    effect->send_stored.cancelled, &arena));
    } else {
        struct kept_peck *peck = find(node, BOX_IN, &effect->send_stored.peck);

        for (size_t i = effect->send_stored.partials; i < peck->partial_count; i++)
            carry(pond, node, FRAME_PARTIAL,
                  frame_pack_partial(peck->partial_chain, peck->partials[i], &arena));
        for (int i = 0; i < 2; i++)
            if (peck->receipts[i].size > 0)
                carry(pond, node, FRAME_RECEIPT,
                      frame_pack_receipt(peck->receipt_chains[i], peck->receipts[i], &arena));
    }
    arena_free(&arena);
}

static inline void carry_records(struct pond *pond, struct node *node, const struct effect *effect)
{
    struct bytes chains[PECKS_MAX], wires[PECKS_MAX];
    size_t count = 0;
    struct arena arena;

    arena_init(&arena, MIB);
    for (size_t i = 0; i < effect->send_records.count; i++)
        for (size_t j = 0; j < node->record_count; j++)
            if (hash_equal(&node->records[j].record.hash, &effect->send_records.hashes[i])) {
                chains[count] = node->records[j].chain;
                wires[count++] = node->records[j].wire;
            }
    if (effect->send_records.answer.session != 0)
        carry(pond, node, FRAME_FETCHED,
              frame_pack_fetched(&effect->send_records.answer, chains, wires, count, &arena));
    else if (count > 0)
        carry(pond, node, FRAME_RECORDS, frame_pack_records(chains, wires, count, &arena));
    arena_free(&arena);
}

static inline void note_reply(struct node *node, const struct effect *effect)
{
    struct reply *reply;

    ck_assert_uint_lt(node->reply_count, REPLIES_MAX);
    reply = &node->replies[node->reply_count++];
    *reply = (struct reply){.ticket = effect->reply.ticket,
                            .code = effect->reply.code,
                            .peck = effect->reply.peck,
                            .duckling = effect->reply.duckling,
                            .bond = effect->reply.bond,
                            .certificate = effect->reply.certificate,
                            .state = effect->reply.state,
                            .replayed = effect->reply.replayed,
                            .retry_after_ms = effect->reply.retry_after_ms,
                            .number = effect->reply.number,
                            .taken_count = effect->reply.taken_count,
                            .waits_for = effect->reply.waits_for,
                            .wanted_count = effect->reply.wanted_count};
    for (size_t i = 0; i < effect->reply.wanted_count && i < 4; i++) {
        reply->wanted[i] = effect->reply.wanted[i];
        reply->wanted[i].body = arena_copy(&node->memory, effect->reply.wanted[i].body);
    }
    if (reply->code != REFUSAL_NONE)
        snprintf(reply->message, sizeof reply->message, "%s", effect->reply.message);
    reply->lobster_count = effect->reply.lobster_count;
    if (reply->lobster_count > 0)
        reply->lobster = effect->reply.lobsters[0];
    for (size_t i = 0; i < effect->reply.taken_count && i < 8; i++)
        reply->taken[i] = effect->reply.taken[i];
}

/* A turn's effects are taken out of the node first: carrying them out leads to further turns. */
static inline void turn(struct pond *pond, struct node *node, struct event *event)
{
    struct effects effects;

    effects_init(&effects);
    event->at = pond->at;
    agent_step(node->agent, event, &effects);
    agent_settle(node->agent, &pond->at, &effects);
    for (size_t i = 0; i < effects.count; i++)
        keep(node, &effects.list[i]);
    for (size_t i = 0; i < effects.count; i++) {
        const struct effect *effect = &effects.list[i];

        if (effect->kind == EFFECT_SEND && effect->send.kind == FRAME_PECK) {
            node->pecks_sent++;
            node->pecks_waited += effect->send.waits;
        }
        node->warnings += effect->kind == EFFECT_LOG && effect->log.level == LOG_WARNING;
        if (effect->kind == EFFECT_SEND)
            carry(pond, node, effect->send.kind, effect->send.body);
        else if (effect->kind == EFFECT_SEND_PECK || effect->kind == EFFECT_SEND_RECEIPTS)
            carry_stored(pond, node, effect);
        else if (effect->kind == EFFECT_SEND_RECORDS)
            carry_records(pond, node, effect);
        else if (effect->kind == EFFECT_REPLY)
            note_reply(node, effect);
    }
    effects_free(&effects);
}

static inline void tick(struct pond *pond, uint64_t ms)
{
    struct event event = {.kind = EVENT_TICK};

    pond->at.now_ms += ms;
    pond->at.wall_ms += ms;
    turn(pond, &pond->alice, &event);
    turn(pond, &pond->bob, &event);
}

static inline void link_both(struct pond *pond, bool up)
{
    struct event event = {.kind = up ? EVENT_LINK_UP : EVENT_LINK_DOWN};

    pond->linked = up;
    event.node = pond->bob.id;
    turn(pond, &pond->alice, &event);
    event.node = pond->alice.id;
    turn(pond, &pond->bob, &event);
}

/* ---- births ---- */

static inline void node_init(struct pond *pond, struct node *node, uint8_t seed)
{
    uint8_t seeds[2][SEED_SIZE];
    struct identity_key *next;
    struct public_key next_public;
    struct certificate_wish wish = {.kind = IDENTITY_NODE,
                                    .display_name = bytes_of_text("node"),
                                    .issued_ms = pond->at.wall_ms,
                                    .not_after_ms = pond->at.wall_ms + CERTIFICATE_LIFE_MS};
    struct bytes address = bytes_of_text("127.0.0.1:1");
    struct agent_settings settings = {.network = bytes_of_text(NETWORK),
                                      .display_name = bytes_of_text("node"),
                                      .software = bytes_of_text("test"),
                                      .addresses = &address,
                                      .address_count = 1,
                                      .session_not_after_ms = pond->at.wall_ms + DAY_MS,
                                      .restored_ms = pond->restored_ms};
    struct intake_settings intake = {.network = bytes_of_text(NETWORK)};
    struct event event = {.kind = EVENT_START};
    struct bytes certificate;

    memset(seeds[0], seed, SEED_SIZE);
    memset(seeds[1], seed + 100, SEED_SIZE);
    arena_init(&node->memory, 16 * MIB);
    node->key = identity_key_new(seeds[0]);
    next = identity_key_new(seeds[1]);
    next_public = identity_key_public(next);
    wish.next_key_hash = identity_key_hash(&next_public);
    identity_key_free(next);
    certificate = certificate_make(&wish, node->key, &node->memory, &node->id);
    node->chain = chain_pack(&certificate, 1, &node->memory);
    settings.node_key = node->key;
    settings.node_chain = node->chain;
    memset(settings.session_key, seed, sizeof settings.session_key);
    memset(settings.dice_seed, seed, sizeof settings.dice_seed);
    node->keyring = keyring_new(64);
    intake.keyring = node->keyring;
    node->intake = intake_new(&intake);
    node->agent = agent_new(&settings);
    turn(pond, node, &event);
}

static inline void node_end(struct node *node)
{
    agent_free(node->agent);
    intake_free(node->intake);
    keyring_free(node->keyring);
    identity_key_free(node->key);
    arena_free(&node->memory);
}

/* Both nodes were restored from a backup then; 0: they were not. */
static inline struct pond *pond_new_restored(uint64_t restored_ms)
{
    struct pond *pond = calloc(1, sizeof *pond);

    ck_assert(identity_self_test());
    pond->at = (struct moment){.now_ms = 1000, .wall_ms = POND_BEGINS_MS};
    pond->restored_ms = restored_ms;
    node_init(pond, &pond->alice, 1);
    node_init(pond, &pond->bob, 2);
    link_both(pond, true);
    return pond;
}

static inline struct pond *pond_new(void)
{
    return pond_new_restored(0);
}

static inline void pond_free(struct pond *pond)
{
    node_end(&pond->alice);
    node_end(&pond->bob);
    free(pond);
}

static inline const struct reply *order(struct pond *pond, struct node *node, struct order *order)
{
    struct event event = {.kind = EVENT_ORDER};
    const struct kept_peck *request = find(node, BOX_IN, &order->bond);

    if (order->kind == ORDER_SEND) {
        order->held.thread = thread_of(node, &order->send);
        order_join_thread(order);
    }
    if (order->kind == ORDER_HATCH && order->chain.size > 0)
        order->held.chain = intake_known_chain(node->intake, order->chain, &node->memory);
    if (order->send.grant.size > 0)
        intake_open_grant(node->intake, order->send.grant, &node->memory, &order->grant);
    if (order->kind == ORDER_BOND && request) {
        order->held.found = true;
        order->held.hash = request->hash;
    }
    order->ticket = ++pond->ticket;
    event.order = order;
    turn(pond, node, &event);
    for (size_t i = 0; i < node->reply_count; i++)
        if (node->replies[i].ticket == order->ticket)
            return &node->replies[i];
    ck_abort_msg("an order was not answered");
    return NULL;
}

static inline struct id hatch(struct pond *pond, struct node *node, uint8_t seed)
{
    struct order hatch = {.kind = ORDER_HATCH};
    const struct reply *reply;

    memset(hatch.seeds[0], seed, SEED_SIZE);
    memset(hatch.seeds[1], seed + 100, SEED_SIZE);
    hatch.profile.set_display_name = true;
    hatch.profile.display_name = bytes_of_text("Duck");
    hatch.profile.accepts_pecks = true;
    reply = order(pond, node, &hatch);
    ck_assert_int_eq(reply->code, REFUSAL_NONE);
    return reply->duckling;
}

/* A certificate 0 of a duckling that keeps its own key. */
static inline struct bytes own_chain(const struct pond *pond, struct identity_key *key,
                                     const uint8_t next[SEED_SIZE], const char *name,
                                     struct arena *arena)
{
    struct identity_key *promised = identity_key_new(next);
    struct public_key next_public = identity_key_public(promised);
    struct certificate_wish wish = {.kind = IDENTITY_DUCKLING,
                                    .display_name = bytes_of_text(name),
                                    .issued_ms = pond->at.wall_ms,
                                    .not_after_ms = pond->at.wall_ms + CERTIFICATE_LIFE_MS,
                                    .next_key_hash = identity_key_hash(&next_public)};
    struct bytes certificate;
    struct id identity;

    identity_key_free(promised);
    certificate = certificate_make(&wish, key, arena, &identity);
    return chain_pack(&certificate, 1, arena);
}

static inline struct order action(const struct id *from, const struct id *to)
{
    struct order order = {.kind = ORDER_SEND, .duckling = *from};

    order.send.from = *from;
    order.send.to = *to;
    order.send.kind = PECK_ACTION;
    order.send.action = bytes_of_text("query");
    order.send.payload = bytes_of_text("{}");
    return order;
}

/* Of one of alice's with one of `home`'s. */
static inline struct id bond_at(struct pond *pond, struct node *home, const struct id *asker,
                                const struct id *owner)
{
    struct order ask = {.kind = ORDER_SEND, .duckling = *asker};
    struct order approve = {.kind = ORDER_APPROVE, .duckling = *owner};
    struct bytes scope = bytes_of_text("query");
    const struct reply *reply;

    ask.send.from = *asker;
    ask.send.to = *owner;
    ask.send.kind = PECK_BOND_REQUEST;
    ask.send.scopes[0] = scope;
    ask.send.scope_count = 1;
    ask.send.message = bytes_of_text("hello");
    reply = order(pond, &pond->alice, &ask);
    ck_assert_int_eq(reply->code, REFUSAL_NONE);
    approve.peck = reply->peck;
    approve.scopes = &scope;
    approve.scope_count = 1;
    reply = order(pond, home, &approve);
    ck_assert_int_eq(reply->code, REFUSAL_NONE);
    return reply->bond;
}

static inline struct id bond(struct pond *pond, const struct id *asker, const struct id *owner)
{
    return bond_at(pond, &pond->bob, asker, owner);
}

#endif
