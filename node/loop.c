/* One turn, top to bottom, is turn(): what decides is in agent_step and agent_settle; what may
 * block is in here. */
#include "loop_parts.h"

#include "clock.h"
#include "core/gossip.h"
#include "log.h"
#include "membership.h"
#include "syncer.h"
#include "tiers.h"

#include <assert.h>
#include <sodium.h>

#define ROSTER_EVERY_MS 100ull    /* while members are suspected */
#define ROSTER_GATHER_MS 50ull    /* between two updates: it is made anew, and many come at once */
#define DISK_FULL_PAUSE_MS 250ull /* between turns that cannot be kept */
#define UNDO_REST 4ull            /* times what undoing took: so long no other turn is tried… */
#define UNDO_REST_MAX_MS 1000ull  /* …and no longer, or others would take this node for dead */

#define PRUNE_EVERY_MS HOUR_MS
#define PRUNE_PAUSE_MS 100ull /* between turns that cut off a part each */

#define OVERLAP_MESSAGES_MIN 4 /* a turn of fewer syncs at once, for handing it over costs more… */
#define CROWD_TURNS 4          /* …unless one of those before it was larger */

/* ---- birth ---- */

static void step_restored(void *context, const struct event *event)
{
    struct loop *loop = context;

    agent_step(loop->agent, event, &loop->unheard);
    effects_clear(&loop->unheard);
}

static int restore_agent(struct loop *loop, struct event *begin)
{
    struct agent_settings settings = loop->settings.agent;

    settings.catching_up = store_is_catching_up(loop->settings.store);
    settings.restored_ms = store_restored_ms(loop->settings.store);
    randombytes_buf(settings.dice_seed, sizeof settings.dice_seed);
    loop->agent = agent_new(&settings);
    sodium_memzero(settings.dice_seed, sizeof settings.dice_seed);
    return store_restore(loop->settings.store, &begin->at, step_restored, loop,
                         &begin->start.counters, &begin->start.version_floor);
}

static void join_again(struct loop *loop, const struct moment *at)
{
    for (size_t i = 0; i < loop->joined_count; i++) {
        struct order order = {.kind = ORDER_JOIN,
                              .node = loop->joined[i].node,
                              .address = bytes_of_text(loop->joined[i].address)};
        struct event event = {.kind = EVENT_ORDER, .at = *at, .order = &order};

        agent_step(loop->agent, &event, &loop->unheard);
    }
}

/* An agent that holds what the store holds; `begin` is EVENT_START or EVENT_RESUME. A directory that
 * turns out to be damaged is made anew by the store, and then there is less to restore. */
static int bear_agent(struct loop *loop, struct event *begin)
{
    int fault = restore_agent(loop, begin);

    if (fault && !store_is_io_broken(loop->settings.store)) {
        agent_free(loop->agent);
        fault = restore_agent(loop, begin);
    }
    if (!fault)
        fault =
            membership_recall(loop->settings.agent.fleet, loop->settings.store, begin->at.wall_ms);
    if (!fault)
        fault = tiers_restore(loop->tiers);
    if (!fault)
        join_again(loop, &begin->at);
    return fault;
}

/* What was joined is nowhere in the store: it is what the operator says in this life. */
static void remember_join(struct loop *loop, const struct message *message)
{
    const struct order *order = message->order;
    struct joined *joined;

    if (message->event.kind != EVENT_ORDER || order->kind != ORDER_JOIN ||
        order->address.size > ADDRESS_MAX || loop->joined_count == GOSSIP_SEEDS_MAX)
        return;
    for (size_t i = 0; i < loop->joined_count; i++)
        if (id_equal(&loop->joined[i].node, &order->node) &&
            bytes_equal(bytes_of_text(loop->joined[i].address), order->address))
            return;
    joined = &loop->joined[loop->joined_count++];
    joined->node = order->node;
    memcpy(joined->address, order->address.data, order->address.size);
    joined->address[order->address.size] = 0;
}

static void tell_links(struct loop *loop)
{
    struct transport_link_info *links = memory_take(sizeof *links * ACTIVE_LINKS_MAX);
    struct event event = {.kind = EVENT_LINK_UP, .at = clock_read()};
    size_t count = transport_links(loop->settings.transport, links, ACTIVE_LINKS_MAX);

    for (size_t i = 0; i < count; i++) {
        event.node = links[i].node;
        event.link.dialled_here = links[i].dialled_here;
        agent_step(loop->agent, &event, &loop->unheard);
    }
    memory_give_back(links);
}

/* The agent is born later, in another thread, and may be born again. */
static void copy_addresses(struct loop *loop)
{
    struct agent_settings *agent = &loop->settings.agent;

    assert(agent->address_count <= NODE_ADDRESSES_MAX);
    arena_init(&loop->kept, NODE_ADDRESSES_MAX * (ADDRESS_MAX + 16));
    for (size_t i = 0; i < agent->address_count; i++)
        loop->addresses[i] = arena_copy(&loop->kept, agent->addresses[i]);
    agent->addresses = loop->addresses;
    assert(agent->perch_count <= NODE_PERCHES_MAX);
    if (agent->perch_count > 0)
        memcpy(loop->perches, agent->perches, agent->perch_count * sizeof *agent->perches);
    agent->perches = loop->perches;
}

int loop_new(struct loop **made, const struct loop_settings *settings)
{
    struct loop *loop = memory_take(sizeof *loop);

    loop->settings = *settings;
    copy_addresses(loop);
    pthread_mutex_init(&loop->lock, NULL);
    for (int i = 0; i < 2; i++)
        effects_init(&loop->turns[i].effects);
    effects_init(&loop->unheard);
    arena_init(&loop->scratch, PARSE_BUDGET(PECK_BODY_MAX));
    performer_init(&loop->performer);
    loop->prune_wall_ms = settings->audit_life_ms ? 0 : MOMENT_NEVER;
    loop->current = &loop->turns[0];
    loop->small_turns = CROWD_TURNS;
    loop->syncer = syncer_new(store_sync, settings->store, settings->inbox);
    loop->carrier = syncer_new(store_carry, settings->store, settings->inbox);
    loop->tiers = tiers_new(settings->store);
    loop->performer.store = settings->store;
    loop->performer.inbox = settings->inbox;
    loop->performer.transport = settings->transport;
    loop->performer.node = settings->node;
    loop->performer.stop = settings->stop;
    loop->performer.outgrown = settings->outgrown;
    loop->performer.context = settings->context;
    loop->start = message_new(KIB);
    loop->start->event.kind = EVENT_START;
    loop->figures.restoring = true;
    *made = loop;
    return 0;
}

static void free_messages(struct message *messages)
{
    while (messages) {
        struct message *next = messages->next;

        message_free(messages);
        messages = next;
    }
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    message_free(loop->start);
    agent_free(loop->agent);
    syncer_free(loop->syncer);
    syncer_free(loop->carrier);
    tiers_free(loop->tiers);
    for (int i = 0; i < 2; i++) {
        free_messages(loop->turns[i].messages);
        effects_free(&loop->turns[i].effects);
    }
    free_messages(loop->held_back.first);
    effects_free(&loop->unheard);
    arena_free(&loop->scratch);
    arena_free(&loop->kept);
    performer_free(&loop->performer);
    memory_give_back((void *)(uintptr_t)loop->node_chain.data);
    pthread_mutex_destroy(&loop->lock);
    memory_give_back(loop);
}

void loop_attach(struct loop *loop, struct local_api *api)
{
    loop->performer.api = api;
}

void loop_figures(struct loop *loop, struct agent_figures *figures)
{
    pthread_mutex_lock(&loop->lock);
    *figures = loop->figures;
    pthread_mutex_unlock(&loop->lock);
}

/* ---- turns ---- */

static bool is_kept(enum effect_kind kind)
{
    return kind <= EFFECT_KEEP_COUNTERS;
}

/* What another node says again when it is asked needs no sync of its own: whoever heard of it
 * heard the truth, and after a power cut the outbox or the gossip brings it back. */
static bool can_be_said_again(const struct effect *effect)
{
    enum peck_state state = effect->state.state;

    if (effect->kind == EFFECT_KEEP_RECEIPT)
        return effect->receipt.box == BOX_OUT;
    if (effect->kind == EFFECT_KEEP_PARTIAL)
        return effect->partial.box == BOX_OUT;
    if (effect->kind == EFFECT_KEEP_STATE)
        return effect->state.box == BOX_OUT && !effect->state.cancelling &&
               state != PECK_CANCELLED && state != PECK_EXPIRED && state != PECK_FAILED;
    if (effect->kind == EFFECT_KEEP_RECORD)
        return !effect->record.own;
    return effect->kind == EFFECT_DROP_RECORD || effect->kind == EFFECT_KEEP_PROOF ||
           effect->kind == EFFECT_DROP_PERCHED || effect->kind == EFFECT_KEEP_DEPOSIT ||
           effect->kind == EFFECT_KEEP_COUNT || /* beside the pecks that it counts */
           effect->kind == EFFECT_DROP_GRANT || effect->kind == EFFECT_KEEP_PIN ||
           effect->kind == EFFECT_KEEP_COUNTERS;
}

/* Keeps what was decided so far, so that the next event's look-ups see it. */
static void keep(struct loop *loop, struct turn *turn)
{
    for (; turn->kept < turn->effects.count && !turn->fault; turn->kept++) {
        const struct effect *effect = &turn->effects.list[turn->kept];

        if (!is_kept(effect->kind))
            continue;
        if (!turn->open) {
            turn->fault = store_begin(loop->settings.store);
            turn->open = !turn->fault;
        }
        if (!turn->fault)
            turn->fault = store_keep(loop->settings.store, effect);
        tiers_note(loop->tiers, effect);
        turn->promises |= !can_be_said_again(effect);
    }
}

/* What undoing costs follows what the store holds, the directory above all. So it takes a fifth of
 * the time at most; where that would be a rest of over a second, more. What comes meanwhile is
 * decided in one turn. */
static void rest(struct loop *loop, uint64_t began_ms)
{
    uint64_t now_ms = clock_read().now_ms, took_ms = now_ms - began_ms;
    uint64_t rest_ms =
        UNDO_REST * took_ms < UNDO_REST_MAX_MS ? UNDO_REST * took_ms : UNDO_REST_MAX_MS;

    loop->rest_until_ms = now_ms + rest_ms;
    loop->turns_undone++;
    loop->undoing_ms += took_ms;
}

/* The turn never happened: memory is made anew from what the disk holds, and whoever ordered
 * something is told. Pecks from other nodes got no receipt, so they come again. */
static int undo(struct loop *loop, struct turn *turn)
{
    struct event resume = {.kind = EVENT_RESUME, .at = turn->at};
    uint64_t began_ms = clock_read().now_ms;
    struct effects told;
    int fault;

    if (turn->open)
        store_roll_back(loop->settings.store);
    if (store_is_io_broken(loop->settings.store)) {
        log_write(LOG_ERROR, "store", "the disk failed: stopping, nothing unkept was acknowledged");
        return FAULT_STORE;
    }
    if (!loop->disk_full && turn->fault == FAULT_DISK_FULL)
        log_write(LOG_ERROR, "store", "%s: nothing is taken until there is room",
                  fault_text(turn->fault));
    if (turn->fault != FAULT_DISK_FULL)
        log_write(LOG_ERROR, "store", "%s: the turn is undone", fault_text(turn->fault));
    loop->disk_full = true;
    effects_init(&told);
    for (struct message *message = turn->messages; message; message = message->next) {
        struct effect *effect;

        if (message->event.kind != EVENT_ORDER)
            continue;
        effect = effects_add(&told, EFFECT_REPLY);
        effect->reply.ticket = message->order->ticket;
        effect->reply.code = REFUSAL_STORE;
        effect->reply.message =
            turn->fault == FAULT_DISK_FULL
                ? "the node's disk is full: nothing of this is kept, though a peck may have left"
                : "nothing of this is kept, though a peck may have left: order it again";
        effect->reply.field = "";
    }
    effects_free(&turn->effects);
    turn->effects = told;
    agent_free(loop->agent);
    loop->agent = NULL;
    fault = bear_agent(loop, &resume);
    if (!fault) {
        agent_step(loop->agent, &resume, &loop->unheard);
        tell_links(loop);
        effects_clear(&loop->unheard);
    }
    turn->promises = false; /* only tells, and what it tells is not on the disk */
    rest(loop, began_ms);
    return fault;
}

static void rotate_session_key(struct loop *loop, struct turn *turn)
{
    const struct moment *at = &turn->at;
    struct noise_pair pair;
    uint8_t secret[NOISE_KEY_SIZE];

    if (at->wall_ms < loop->settings.session_rotate_wall_ms)
        return;
    randombytes_buf(secret, sizeof secret);
    noise_pair_from_secret(&pair, secret);
    sodium_memzero(secret, sizeof secret);
    loop->settings.session_rotate_wall_ms = at->wall_ms + SESSION_KEY_LIFE_MS / 2;
    agent_set_session_key(loop->agent, pair.public, at->wall_ms + SESSION_KEY_LIFE_MS, at,
                          &turn->effects);
    for (size_t i = 0; i < turn->effects.count; i++)
        if (turn->effects.list[i].kind == EFFECT_INTRODUCE)
            transport_set_static(loop->settings.transport, &pair,
                                 turn->effects.list[i].introduce.introduction);
    memcpy(loop->settings.agent.session_key, pair.public, sizeof pair.public);
    loop->settings.agent.session_not_after_ms = at->wall_ms + SESSION_KEY_LIFE_MS;
    sodium_memzero(&pair, sizeof pair);
}

/* The last pages of the audit log wait for their signature, or the first for their end. */
static void keep_audit(struct loop *loop, struct turn *turn)
{
    struct store *store = loop->settings.store;
    uint64_t wall_ms = turn->at.wall_ms;
    bool is_due = store_audit_due_ms(store) <= wall_ms, prunes = loop->prune_wall_ms <= wall_ms;
    bool is_done;

    if (turn->fault || loop->disk_full || (!is_due && !prunes))
        return;
    if (!turn->open)
        turn->fault = store_begin(store);
    turn->open = !turn->fault;
    if (!turn->fault && is_due)
        turn->fault = store_keep_checkpoint(store, wall_ms);
    if (turn->fault || !prunes)
        return;
    turn->fault = store_prune_audit(store, wall_ms - loop->settings.audit_life_ms, &is_done);
    loop->prune_wall_ms = wall_ms + (is_done ? PRUNE_EVERY_MS : PRUNE_PAUSE_MS);
}

/* Parts of answers whose pecks are long done. */
static void prune_partials(struct loop *loop, struct turn *turn)
{
    uint64_t wall_ms = turn->at.wall_ms;
    bool is_done;

    if (turn->fault || loop->disk_full || loop->partials_wall_ms > wall_ms)
        return;
    if (!turn->open)
        turn->fault = store_begin(loop->settings.store);
    turn->open = !turn->fault;
    if (turn->fault)
        return;
    turn->fault = store_prune_partials(loop->settings.store, wall_ms - PARTIALS_KEEP_MS,
                                       &loop->partials_place, &is_done);
    loop->partials_wall_ms = wall_ms + (is_done ? PRUNE_EVERY_MS : PRUNE_PAUSE_MS);
}

static bool is_followed(void *context, const struct id *duckling)
{
    struct local_api *api = context;

    return api && local_api_is_followed(api, duckling);
}

static uint64_t follows_begun(const struct loop *loop)
{
    return loop->performer.api ? local_api_follows_begun(loop->performer.api) : 0;
}

/* What was kept may have moved the tier of a duckling, as may the time. */
static void settle_tiers(struct loop *loop, struct turn *turn)
{
    struct tiers_turn settled = {.at = &turn->at,
                                 .is_followed = is_followed,
                                 .context = loop->performer.api,
                                 .effects = &turn->effects};
    uint64_t begun = follows_begun(loop);

    if (turn->fault)
        return;
    if (begun != loop->follows_begun)
        tiers_may_be_heard(loop->tiers);
    loop->follows_begun = begun;
    turn->fault = tiers_settle(loop->tiers, &settled);
    keep(loop, turn);
}

static void begin_turn(struct loop *loop, struct turn *turn)
{
    turn->at = clock_read();
    store_audit_at(loop->settings.store, turn->at.wall_ms);
    turn->kept = turn->early = turn->message_count = 0;
    turn->open = turn->promises = false;
    turn->begun = true;
    turn->fault = 0;
}

static void append(struct turn *turn, struct message *messages)
{
    if (turn->messages)
        turn->last->next = messages;
    else
        turn->messages = messages;
    for (; messages; messages = messages->next) {
        turn->last = messages;
        turn->message_count++;
    }
}

static void perform_now(struct loop *loop, struct turn *turn)
{
    if (turn->open && !turn->fault && !loop->disk_full)
        perform_early(&loop->performer, &turn->effects, &turn->early);
}

/* Decides what the messages ask for, as far as it does not take the whole turn. */
static void decide(struct loop *loop, struct turn *turn, struct message *messages)
{
    if (!turn->begun)
        begin_turn(loop, turn);
    append(turn, messages);
    turn->at = clock_read();
    for (; messages && !turn->fault; messages = messages->next) {
        messages->event.at = turn->at;
        remember_join(loop, messages);
        loop_look_up(loop, messages);
        agent_step(loop->agent, &messages->event, &turn->effects);
        keep(loop, turn);
    }
    if (turn->fault || !loop->settings.agent.sign_alone)
        return;
    agent_sign(loop->agent, &turn->at, &turn->effects);
    keep(loop, turn);
    perform_now(loop, turn);
}

/* Decides the rest, and commits what must be kept. */
static int close_turn(struct loop *loop, struct turn *turn)
{
    if (!turn->begun)
        begin_turn(loop, turn);
    turn->at = clock_read();
    if (!turn->fault) {
        rotate_session_key(loop, turn);
        agent_settle(loop->agent, &turn->at, &turn->effects);
        keep(loop, turn);
        settle_tiers(loop, turn);
        keep_audit(loop, turn);
        prune_partials(loop, turn);
    }
    perform_now(loop, turn);
    if (turn->open && !turn->fault)
        turn->fault = store_commit(loop->settings.store);
    turn->begun = false;
    if (turn->fault)
        return undo(loop, turn);
    if (syncer_is_done(loop->carrier) && store_begin_carrying(loop->settings.store))
        syncer_begin(loop->carrier);
    if (turn->open && loop->disk_full) {
        loop->disk_full = false;
        log_write(LOG_INFO, "store", "what comes is kept again");
    }
    return 0;
}

/* Called for what a turn lets out. */
static void note_members(struct loop *loop, const struct effects *effects)
{
    for (size_t i = 0; i < effects->count; i++)
        loop->members_changed |= effects->list[i].kind == EFFECT_MEMBER_CHANGED ||
                                 (effects->list[i].kind == EFFECT_RECORD_CHANGED &&
                                  effects->list[i].record_changed.kind == RECORD_NODE);
}

/* While somebody is suspected accusers come, and no state changes. */
static bool roster_is_old(struct loop *loop, const struct moment *at)
{
    size_t counts[GOSSIP_STATES];

    if (loop->members_changed)
        return at->now_ms >= loop->roster_ms + ROSTER_GATHER_MS;
    if (at->now_ms < loop->roster_ms + ROSTER_EVERY_MS)
        return false;
    roster_counts(loop->settings.roster, counts);
    return counts[GOSSIP_SUSPECT] > 0;
}

static void update_roster(struct loop *loop)
{
    struct moment at = clock_read();
    struct agent_member *members;
    size_t count;

    if (!loop->settings.roster || !roster_is_old(loop, &at))
        return;
    loop->members_changed = false;
    loop->roster_ms = at.now_ms;
    count = agent_member_count(loop->agent);
    members = memory_take(count * sizeof *members);
    count = agent_members(loop->agent, &at, members, count);
    roster_update(loop->settings.roster, members, count, at.wall_ms);
    memory_give_back(members);
}

/* A key that was rotated here must not speak again: neither for who stole it, nor in what was said under it and that
 * somebody who was away brings back. Nobody else has told the intake of the new one yet. */
static void learn_keys(struct loop *loop, const struct turn *turn)
{
    for (size_t i = 0; loop->settings.intake && i < turn->effects.count; i++) {
        const struct effect *effect = &turn->effects.list[i];
        enum identity_kind kind;
        struct public_key key;
        struct id id;

        if (effect->kind != EFFECT_KEEP_KEY)
            continue;
        arena_reset(&loop->scratch);
        intake_signer(loop->settings.intake, effect->duckling->chain, turn->at.wall_ms,
                      &loop->scratch, &id, &kind, &key);
    }
}

/* Lets a turn out: all that it promises is on the disk. */
static void let_out(struct loop *loop, struct turn *turn)
{
    note_members(loop, &turn->effects);
    learn_keys(loop, turn);
    perform_late(&loop->performer, &turn->at); /* first: what is new goes behind it */
    perform(&loop->performer, &turn->effects, &turn->at);
    effects_clear(&turn->effects);
    free_messages(turn->messages);
    turn->messages = NULL;
    transport_flush(loop->settings.transport);
    if (loop->performer.api)
        local_api_flush(loop->performer.api);
}

static int finish_sync(struct loop *loop)
{
    int fault;

    if (!loop->syncing)
        return 0;
    fault = syncer_wait(loop->syncer);
    if (fault)
        return fault;
    let_out(loop, loop->syncing);
    loop->syncing = NULL;
    return 0;
}

/* In a crowd a small turn may hold the first of many, which would wait for its sync. */
static bool is_handed_over(struct loop *loop, const struct turn *turn)
{
    if (turn->message_count >= OVERLAP_MESSAGES_MIN)
        loop->small_turns = 0;
    else if (loop->small_turns < CROWD_TURNS)
        loop->small_turns++;
    return turn->promises && loop->small_turns < CROWD_TURNS;
}

/* A large turn is put on the disk by the syncer, while the next one is decided; a small one right
 * here. Turns are let out in their order. */
static int end_turn(struct loop *loop)
{
    struct turn *turn = loop->current;
    int fault = 0;

    if (syncer_is_done(loop->syncer)) /* whoever waits for that turn came first */
        fault = finish_sync(loop);
    if (!fault)
        fault = close_turn(loop, turn);
    if (!fault)
        fault = finish_sync(loop);
    if (!fault && is_handed_over(loop, turn)) {
        loop->syncing = turn;
        loop->current = &loop->turns[turn == &loop->turns[0]];
        syncer_begin(loop->syncer);
        return 0;
    }
    if (!fault && turn->promises)
        fault = store_sync(loop->settings.store);
    if (!fault)
        let_out(loop, turn);
    return fault;
}

static void note_figures(struct loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    agent_figures(loop->agent, &loop->figures);
    loop->figures.turns_undone = loop->turns_undone;
    loop->figures.undone = loop->disk_full;
    loop->figures.held_back = loop->held_back.count;
    loop->figures.undoing_ms = loop->undoing_ms;
    pthread_mutex_unlock(&loop->lock);
}

/* Wall to steady. */
static uint64_t steady_of(uint64_t wall_ms, const struct moment *at)
{
    if (wall_ms == MOMENT_NEVER)
        return MOMENT_NEVER;
    return at->now_ms + (wall_ms > at->wall_ms ? wall_ms - at->wall_ms : 0);
}

static uint64_t earlier(uint64_t one, uint64_t other)
{
    return one < other ? one : other;
}

static uint64_t wake_at_ms(const struct loop *loop)
{
    struct moment at = clock_read();
    uint64_t wake_ms = agent_wake_at_ms(loop->agent, &at);

    wake_ms = earlier(wake_ms, loop->performer.late_at_ms);
    wake_ms = earlier(wake_ms, steady_of(store_audit_due_ms(loop->settings.store), &at));
    wake_ms = earlier(wake_ms, steady_of(loop->prune_wall_ms, &at));
    wake_ms = earlier(wake_ms, steady_of(loop->partials_wall_ms, &at));
    wake_ms = earlier(wake_ms, tiers_wake_at_ms(loop->tiers, &at));
    if (tiers_some_are_unheard(loop->tiers) && follows_begun(loop) != loop->follows_begun)
        wake_ms = at.now_ms;
    if (loop->members_changed && loop->settings.roster)
        wake_ms = earlier(wake_ms, loop->roster_ms + ROSTER_GATHER_MS);
    /* Nothing can be kept: what is due waits a moment, or it would be tried without end. */
    if (loop->disk_full && wake_ms < at.now_ms + DISK_FULL_PAUSE_MS)
        wake_ms = at.now_ms + DISK_FULL_PAUSE_MS;
    return wake_ms;
}

/* What is open goes on taking while the turn before it is synced, and has nothing to wait for else. */
static bool must_end(const struct loop *loop, bool closed)
{
    const struct turn *turn = loop->current;

    if (turn->begun && (closed || turn->fault || turn->message_count >= TURN_MESSAGES_MAX ||
                        !loop->syncing || syncer_is_done(loop->syncer)))
        return true;
    return !closed && wake_at_ms(loop) <= clock_read().now_ms;
}

int loop_run(struct loop *loop)
{
    struct message *messages = loop->start;
    bool closed = false;
    int fault;

    messages->event.at = clock_read();
    fault = bear_agent(loop, &messages->event);
    if (fault) {
        log_write(LOG_ERROR, "store", "cannot read what is stored: %s", fault_text(fault));
        return fault;
    }
    tiers_rest(loop->tiers, messages->event.at.now_ms + TIERS_AT_START_MS);
    loop->start = NULL;
    loop->members_changed = true;
    decide(loop, loop->current, messages);
    fault = end_turn(loop);
    while (!fault) {
        note_figures(loop);
        update_roster(loop);
        if (loop->disk_full)
            inbox_rest(loop->settings.inbox, loop->rest_until_ms);
        messages = loop_let_go(loop);
        if (!messages)
            messages =
                loop_hold_back(loop, inbox_take(loop->settings.inbox, wake_at_ms(loop), &closed));
        if (messages)
            decide(loop, loop->current, messages);
        if (must_end(loop, closed))
            fault = end_turn(loop);
        else if (syncer_is_done(loop->syncer)) /* it has poked */
            fault = finish_sync(loop);
        if (closed && !messages)
            return fault ? fault : finish_sync(loop);
    }
    return fault;
}
