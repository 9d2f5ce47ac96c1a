/* A node: what stands around an agent, on made-up time. Its turns are those of node/loop.c. */
#include "pond_parts.h"

#include <sodium.h>

#define DISK_FULL_PAUSE_US (250 * MS_US)
#define IDLE_TURNS_MAX 200u /* in a millisecond, of which nothing comes: it spins */

static const char *const names[] = {"alice", "bob",   "carol", "dave", "erin",
                                    "frank", "grace", "heidi", "ivan", "judy"};

struct named {
    struct idtable_node by_id;
    uint32_t index;
};

struct pond_node *node_find(const struct pond *pond, const struct id *id)
{
    struct named *named = (struct named *)idtable_find(&pond->by_id, id);

    return named ? &pond->nodes[named->index] : NULL;
}

struct moment node_moment(const struct pond *pond, const struct pond_node *node)
{
    uint64_t ms = pond->now_us / MS_US;

    return (struct moment){.now_ms = ms + node->origin_ms,
                           .wall_ms = POND_BORN_MS + ms + (uint64_t)node->skew_ms};
}

/* ---- births ---- */

/* Everything about a node that looks like chance comes from the seed, its place, and what for. */
static void seed_of(const struct pond *pond, uint32_t index, uint32_t life, uint32_t what,
                    uint8_t seed[32])
{
    uint64_t words[4] = {pond->wish.seed, index, life, what};

    crypto_generichash(seed, 32, (const uint8_t *)words, sizeof words, NULL, 0);
}

static void make_identity(struct pond *pond, struct pond_node *node)
{
    struct certificate_wish wish = {.kind = IDENTITY_NODE,
                                    .display_name = bytes_of_text(node->name),
                                    .issued_ms = POND_BORN_MS - HOUR_MS,
                                    .not_after_ms = POND_BORN_MS + CERTIFICATE_LIFE_MS};
    uint8_t seed[SEED_SIZE];
    struct bytes certificate;
    struct named *named = memory_take(sizeof *named);
    struct arena arena;

    seed_of(pond, node->index, 0, 1, seed);
    node->key = identity_key_new(seed);
    seed_of(pond, node->index, 0, 2, wish.next_key_hash.bytes); /* nobody rotates in here */
    arena_init(&arena, MIB);
    certificate = certificate_make(&wish, node->key, &arena, &node->id);
    certificate = chain_pack(&certificate, 1, &arena);
    node->chain = bytes_of(memory_copy(certificate.data, certificate.size), certificate.size);
    arena_free(&arena);
    named->by_id.id = node->id;
    named->index = node->index;
    idtable_add(&pond->by_id, &named->by_id);
    records_add_owner(pond->records, &node->id, node->index, node->hostile != NULL);
}

static void choose_seeds(struct pond *pond, struct pond_node *node)
{
    size_t healthy = pond->wish.nodes;
    size_t count = pond->wish.seeds_known ? pond->wish.seeds_known : 2;

    if (healthy < 2)
        return;
    node->seeds[node->seed_count++] = node->index == 0 ? 1 : 0;
    for (size_t i = 1; i < count && node->seed_count < SEEDS_MAX; i++) {
        uint32_t other = (uint32_t)dice_below(&pond->life_dice, healthy);

        if (other != node->index)
            node->seeds[node->seed_count++] = other;
    }
}

void node_born(struct pond *pond, uint32_t index, bool hostile)
{
    struct pond_node *node = &pond->nodes[index];

    node->index = index;
    node->armed_us = node->wake_us = UINT64_MAX;
    node->inbox_end = &node->inbox;
    node->held_end = &node->held;
    node->origin_ms = between(&pond->life_dice, SECOND_MS, 30 * DAY_MS);
    if (hostile)
        snprintf(node->name, sizeof node->name, "fox%u", index - (uint32_t)pond->wish.nodes);
    else if (index < sizeof names / sizeof *names)
        snprintf(node->name, sizeof node->name, "%s", names[index]);
    else
        snprintf(node->name, sizeof node->name, "n%u", index);
    snprintf(node->address, sizeof node->address, "pond-%u:1", index);
    disk_open(&node->store, pond->wish.faults & FAULT_POWER);
    if (hostile)
        hostile_born(pond, node);
    node->opinions = memory_take(pond->count * sizeof *node->opinions);
    make_identity(pond, node);
    choose_seeds(pond, node);
}

static void bear_agent(struct pond *pond, struct pond_node *node, struct event *begin)
{
    struct bytes address = bytes_of_text(node->address);
    struct agent_settings settings = {.network = bytes_of_text(POND_NETWORK),
                                      .node_key = node->key,
                                      .node_chain = node->chain,
                                      .display_name = bytes_of_text(node->name),
                                      .software = bytes_of_text("pond"),
                                      .addresses = &address,
                                      .address_count = 1,
                                      .session_not_after_ms = POND_BORN_MS + SESSION_KEY_LIFE_MS,
                                      .choose_perches = pond->wish.perches,
                                      .is_perch = pond->wish.perches,
                                      .record_pool = pond->record_pool};
    struct effects unheard;

    seed_of(pond, node->index, node->life, 3, settings.session_key);
    seed_of(pond, node->index, node->life, 4 + (uint32_t)node->turns, settings.dice_seed);
    node->agent = agent_new(&settings);
    membership_forget(pond, node);
    effects_init(&unheard);
    disk_restore(pond, node, &begin->at, &unheard);
    effects_free(&unheard);
    begin->start.counters = node->store.counters;
    begin->start.version_floor = node->store.floor;
}

void node_start(struct pond *pond, struct pond_node *node)
{
    struct message *start;

    if (node->up)
        return;
    node->life++;
    node->up = true;
    node->turn_planned = false;
    node->armed_us = node->wake_us = UINT64_MAX;
    membership_unwell(pond, node, pond->now_us);
    trace_line(pond, node, "starts");
    if (node->hostile)
        return;
    start = message_make();
    start->event.kind = EVENT_START;
    start->event.at = node_moment(pond, node);
    bear_agent(pond, node, &start->event);
    laws_at_restore(pond, node);
    node_take(pond, node, start);
    for (size_t i = 0; i < node->seed_count; i++) {
        struct message *join = message_make();
        static const struct id nobody;

        node_order(join, ORDER_JOIN, &nobody)->address =
            bytes_of_text(pond->nodes[node->seeds[i]].address);
        node_take(pond, node, join);
    }
    network_greet(pond, node);
}

static void free_messages(struct message *messages)
{
    while (messages) {
        struct message *next = messages->next;

        message_unmake(messages);
        messages = next;
    }
}

static void free_inbox(struct pond_node *node)
{
    free_messages(node->inbox);
    free_messages(node->held);
    node->inbox = node->held = NULL;
    node->inbox_end = &node->inbox;
    node->held_end = &node->held;
    node->held_count = 0;
}

/* The process ends. What was in its memory is gone, what it committed is not. */
void node_end(struct pond *pond, struct pond_node *node, bool power_cut)
{
    if (!node->up)
        return;
    trace_line(pond, node, power_cut ? "loses its power" : "ends");
    node->up = false;
    agent_free(node->agent);
    node->agent = NULL;
    free_inbox(node);
    node->wake_us = UINT64_MAX;
    node->paused_until_us = 0;
    network_forget(pond, node, power_cut);
    if (power_cut)
        disk_lose_power(pond, node);
}

void node_free(struct pond_node *node)
{
    agent_free(node->agent);
    hostile_free(node->hostile);
    free_inbox(node);
    identity_key_free(node->key);
    memory_give_back((void *)(uintptr_t)node->chain.data);
    memory_give_back((void *)(uintptr_t)node->introduction.data);
    memory_give_back(node->links);
    memory_give_back(node->opinions);
    disk_close(&node->store);
}

/* ---- messages ---- */

struct message *message_make(void)
{
    struct message *message = memory_take(sizeof *message);

    arena_init(&message->arena, MIB);
    return message;
}

void message_unmake(struct message *message)
{
    opened_drop(message->opened);
    arena_free(&message->arena);
    memory_give_back(message);
}

struct order *node_order(struct message *message, enum order_kind kind, const struct id *duckling)
{
    struct order *order = arena_take(&message->arena, sizeof *order);

    memset(order, 0, sizeof *order);
    order->kind = kind;
    order->duckling = *duckling;
    message->event.kind = EVENT_ORDER;
    message->event.order = order;
    return order;
}

static void plan_turn(struct pond *pond, struct pond_node *node, uint64_t in_us)
{
    node->turn_planned = true;
    plan(pond, in_us,
         (struct happening){.kind = HAPPENING_TURN, .node = node->index, .life = node->life});
}

void node_take(struct pond *pond, struct pond_node *node, struct message *message)
{
    if (!node->up) {
        message_unmake(message);
        return;
    }
    if (node->hostile) {
        hostile_hear(pond, node, &message->event, NULL);
        message_unmake(message);
        return;
    }
    *node->inbox_end = message;
    node->inbox_end = &message->next;
    if (node->turn_planned)
        return;
    plan_turn(pond, node,
              pond->faults_on && pond->rates.turn_us
                  ? dice_below(&pond->network_dice, pond->rates.turn_us)
                  : 0);
}

void node_pause(struct pond *pond, struct pond_node *node, uint64_t us)
{
    trace_line(pond, node, "stands still for %llu ms", (unsigned long long)(us / MS_US));
    node->paused_until_us = pond->now_us + us;
    membership_unwell(pond, node, node->paused_until_us);
}

/* ---- turns ---- */

/* As store_find_thread of node/store_pecks.c. */
static struct bytes thread_of(struct pond_node *node, const struct peck *peck, struct arena *arena)
{
    struct kept_peck *found = disk_peck(&node->store, BOX_IN, &peck->reply_to);
    char text[ID_TEXT_SIZE];

    if (!found)
        found = disk_peck(&node->store, BOX_OUT, &peck->reply_to);
    if (!found || !((id_equal(&found->from, &peck->from) && id_equal(&found->to, &peck->to)) ||
                    (id_equal(&found->from, &peck->to) && id_equal(&found->to, &peck->from))))
        return bytes_of(NULL, 0);
    return arena_copy(arena, found->thread.size
                                 ? found->thread
                                 : bytes_of_text(id_text(ID_PECK, &peck->reply_to, text)));
}

static void look_up(struct pond *pond, struct pond_node *node, struct message *message)
{
    struct event *event = &message->event;
    struct kept_peck *peck;
    struct order *order;

    if (event->kind == EVENT_HELD)
        agent_open_held(node->agent, frames_intake(pond->frames), event, &message->arena);
    pond->sums.collected += event->kind == EVENT_PECK && event->peck.perched;
    if (event->kind == EVENT_PECK) {
        peck = disk_peck(&node->store, BOX_IN, &event->peck.peck.id);
        event->peck.known = peck != NULL;
        if (peck)
            event->peck.known_state = peck->state;
        if (event->peck.perched)
            event->peck.perched->after_known =
                disk_peck(&node->store, BOX_IN, &event->peck.perched->after) != NULL;
        event->peck.thread = thread_of(node, &event->peck.peck, &message->arena);
    }
    if (event->kind != EVENT_ORDER)
        return;
    order = (struct order *)(uintptr_t)event->order;
    if (order->send.grant.size > 0)
        intake_open_grant(frames_intake(pond->frames), order->send.grant, &message->arena,
                          &order->grant);
    if (order->kind == ORDER_HATCH && order->chain.size > 0)
        order->held.chain =
            intake_known_chain(frames_intake(pond->frames), order->chain, &message->arena);
    if (order->kind == ORDER_SEND) {
        order->held.thread = thread_of(node, &order->send, &message->arena);
        order_join_thread(order);
    }
    if (order->kind != ORDER_APPROVE && order->kind != ORDER_ANSWER && order->kind != ORDER_DENY &&
        order->kind != ORDER_PARTIAL && order->kind != ORDER_CANCEL)
        return;
    peck = disk_peck(&node->store, order->kind == ORDER_CANCEL ? BOX_OUT : BOX_IN, &order->peck);
    order->held.found = peck != NULL;
    if (peck) {
        order->held.state = peck->state;
        order->held.expires_ms = peck->expires_ms;
    }
}

struct turn {
    struct pond_node *node;
    struct moment at;
    size_t kept;
    bool keeps, promises, doomed; /* doomed: nothing of it reaches the disk */
};

static void keep(struct pond *pond, struct turn *turn, const struct message *message)
{
    static const struct id nobody;

    for (; turn->kept < pond->effects.count; turn->kept++) {
        const struct effect *effect = &pond->effects.list[turn->kept];

        if (!disk_keeps(effect->kind))
            continue;
        turn->keeps = true;
        turn->promises |= !disk_can_be_said_again(effect);
        laws_before_keep(pond, turn->node, effect, !turn->doomed);
        if (turn->doomed)
            continue;
        disk_keep(pond, turn->node, effect);
        if (effect->kind != EFFECT_KEEP_RECORD)
            continue;
        if (effect->record.own && message && message->tracked &&
            effect->record.item.record.kind == RECORD_DUCKLING)
            spread_begin(pond, turn->node,
                         records_find(pond->records, &effect->record.item.record.hash));
        spread_held(pond, turn->node, records_find(pond->records, &effect->record.item.record.hash),
                    message ? &message->event.node : &nobody);
    }
}

static void send_partials(struct pond *pond, struct pond_node *node, const struct kept_peck *peck,
                          const struct effect *effect)
{
    struct partials all = disk_partials(peck);
    struct arena arena;

    for (uint32_t i = effect->send_stored.partials; i < all.count; i++) {
        const struct kept_partial *kept = disk_partial(peck, i + 1);

        arena_init(&arena, MIB);
        network_send(pond, node, &effect->send_stored.node, FRAME_PARTIAL,
                     frame_pack_partial(kept->chain, kept->wire, &arena));
        arena_free(&arena);
    }
}

static const struct context *read_context(struct bytes wire, struct arena *arena)
{
    struct context *context = wire.size > 0 ? arena_take(arena, sizeof *context) : NULL;

    if (context && context_read(wire, arena, context) != CONTEXT_OK)
        assert(!"a stored context can be read");
    return context;
}

static void send_stored(struct pond *pond, struct pond_node *node, const struct effect *effect)
{
    bool is_peck = effect->kind == EFFECT_SEND_PECK;
    const struct kept_peck *peck =
        disk_peck(&node->store, is_peck ? BOX_OUT : BOX_IN, &effect->send_stored.peck);
    const struct id *to = &effect->send_stored.node;
    struct bytes chain;
    struct arena arena;

    if (!peck)
        return;
    arena_init(&arena, 4 * MIB);
    chain = chain_with_context(peck->chain, peck->context, &arena);
    if (is_peck && id_equal(to, &node->id)) {
        struct message *message = message_make();
        struct envelope envelope;

        message->event.kind = EVENT_PECK;
        message->event.node = node->id;
        message->event.peck.wire = peck->wire;
        message->event.peck.chain = peck->chain;
        message->event.peck.context = read_context(peck->context, &message->arena);
        message->event.peck.cancelled = effect->send_stored.cancelled;
        if (envelope_parse(peck->wire, ENVELOPE_PECK, &message->arena, &envelope) !=
                ENVELOPE_TAKEN ||
            peck_parse(envelope.body, &message->arena, &message->event.peck.peck) != PECK_OK)
            assert(!"a stored peck parses");
        node_take(pond, node, message);
    } else if (is_peck) {
        network_send(pond, node, to, FRAME_PECK,
                     frame_pack_peck_again(chain, peck->wire, effect->send_stored.partials,
                                           effect->send_stored.cancelled, &arena));
    } else {
        send_partials(pond, node, peck, effect);
        for (int i = 0; i < 2; i++)
            if (peck->receipts[i].size > 0)
                network_send(
                    pond, node, to, FRAME_RECEIPT,
                    frame_pack_receipt(peck->receipt_chains[i], peck->receipts[i], &arena));
    }
    arena_free(&arena);
}

#define RECORDS_FRAME_BYTES (128u * KIB) /* as in node/perform.c */

/* As node/perform.c does it. */
static void send_records(struct pond *pond, struct pond_node *node, const struct effect *effect)
{
    struct pooled *records[FETCH_HASHES_PER_FRAME_MAX];
    struct fetch_answer answer = effect->send_records.answer;
    bool is_asked = answer.session != 0, is_last = answer.is_last;
    size_t found = 0, first = 0, bytes = 0;

    for (size_t i = 0; i < effect->send_records.count; i++) {
        struct pooled *record = records_find(pond->records, &effect->send_records.hashes[i]);

        if (record && held_set_has(&node->store.records, record))
            records[found++] = record;
    }
    for (size_t i = 0; i < found || (i == 0 && is_asked); i++) {
        size_t end = i < found ? i + 1 : i;

        bytes += i < found ? records[i]->wire.size + records[i]->chain.size : 0;
        if (bytes < RECORDS_FRAME_BYTES && end < found && end - first < RECORDS_PER_FRAME_MAX)
            continue;
        answer.is_last = is_last && end == found;
        network_send_listed(pond, node, &effect->send_records.node,
                            is_asked ? FRAME_FETCHED : FRAME_RECORDS, &answer, records + first,
                            end - first);
        first = end;
        bytes = 0;
    }
}

static void introduce(struct pond_node *node, struct bytes introduction)
{
    memory_give_back((void *)(uintptr_t)node->introduction.data);
    node->introduction =
        bytes_of(memory_copy(introduction.data, introduction.size), introduction.size);
}

static void tell_record(struct pond *pond, struct pond_node *node, const struct effect *effect)
{
    const struct owner *owner = records_owner(pond->records, &effect->record_changed.owner);

    if (pond->wish.story && owner && owner->node != node->index)
        trace_line(pond, node, "learns %s's %s record", pond->nodes[owner->node].name,
                   record_kind_name(effect->record_changed.kind));
}

static void perform(struct pond *pond, struct pond_node *node, const struct effect *effect)
{
    switch ((int)effect->kind) {
    case EFFECT_SEND:
        network_send(pond, node, &effect->send.node, (uint8_t)effect->send.kind, effect->send.body);
        break;
    case EFFECT_SEND_PECK:
    case EFFECT_SEND_RECEIPTS:
        send_stored(pond, node, effect);
        break;
    case EFFECT_SEND_RECORDS:
        send_records(pond, node, effect);
        break;
    case EFFECT_DEPOSIT:
        perform_deposit(pond, node, effect);
        break;
    case EFFECT_SEND_PERCHED:
        perform_perched(pond, node, effect);
        break;
    case EFFECT_HANG_UP:
        network_hang_up(pond, node, &effect->hang_up.node);
        break;
    case EFFECT_DIAL:
        network_dial(pond, node, effect);
        break;
    case EFFECT_INTRODUCE:
        introduce(node, effect->introduce.introduction);
        break;
    case EFFECT_REPLY:
        life_hear(pond, node, effect);
        break;
    case EFFECT_WANTED:
        own_wanted(pond, node, effect);
        break;
    case EFFECT_RECORD_CHANGED:
        tell_record(pond, node, effect);
        break;
    case EFFECT_MEMBER_CHANGED:
        membership_said(pond, node, effect);
        break;
    case EFFECT_LOG:
        if (effect->log.level <= LOG_INFO)
            trace_line(pond, node, "%s", effect->log.text);
        break;
    default:
        break;
    }
}

/* The turn never happened, as undo() of node/loop.c has it. */
static void undo(struct pond *pond, struct turn *turn, const struct message *messages)
{
    struct pond_node *node = turn->node;
    struct event event = {.kind = EVENT_RESUME, .at = turn->at};
    struct effects unheard;

    agent_free(node->agent);
    bear_agent(pond, node, &event);
    effects_init(&unheard);
    agent_step(node->agent, &event, &unheard);
    for (size_t i = 0; i < node->link_count; i++) {
        const struct link *link = node->links[i];
        unsigned end = link->nodes[1] == node->index;
        struct event up = {.kind = EVENT_LINK_UP, .at = turn->at};

        up.node = pond->nodes[link->nodes[!end]].id;
        up.link.dialled_here = link->dialled[end];
        agent_step(node->agent, &up, &unheard);
    }
    effects_free(&unheard);
    for (const struct message *at = messages; at; at = at->next) {
        struct effect reply = {.kind = EFFECT_REPLY};

        if (at->event.kind != EVENT_ORDER)
            continue;
        reply.reply.ticket = at->event.order->ticket;
        reply.reply.code = REFUSAL_STORE;
        life_hear(pond, node, &reply);
    }
}

void node_arm(struct pond *pond, struct pond_node *node)
{
    struct moment at = node_moment(pond, node);
    uint64_t wake_ms = agent_wake_at_ms(node->agent, &at), us;

    node->wake_us = UINT64_MAX;
    if (wake_ms == MOMENT_NEVER)
        return;
    us = wake_ms > node->origin_ms ? (wake_ms - node->origin_ms) * MS_US : 0;
    if (us < pond->now_us)
        us = pond->now_us;
    if (node->disk_full_until_us > pond->now_us && us < pond->now_us + DISK_FULL_PAUSE_US)
        us = pond->now_us + DISK_FULL_PAUSE_US;
    node->wake_us = us;
    if (us >= node->armed_us)
        return;
    node->armed_us = us;
    plan(pond, us - pond->now_us,
         (struct happening){.kind = HAPPENING_WAKE, .node = node->index, .life = node->life});
}

static void judge_idleness(struct pond *pond, struct pond_node *node)
{
    uint64_t ms = pond->now_us / MS_US;

    if (node->inbox || node->idle_at_ms != ms)
        node->idle_turns = 0;
    node->idle_at_ms = ms;
    if (++node->idle_turns == IDLE_TURNS_MAX)
        law_broken(pond, "an agent sleeps when there is nothing to do",
                   "%s wakes again and again within one millisecond", node->name);
}

static void decide(struct pond *pond, struct turn *turn, struct message *messages)
{
    for (struct message *at = messages; at; at = at->next) {
        at->event.at = turn->at;
        look_up(pond, turn->node, at);
        agent_step(turn->node->agent, &at->event, &pond->effects);
        keep(pond, turn, at);
    }
    agent_settle(turn->node->agent, &turn->at, &pond->effects);
    keep(pond, turn, messages && !messages->next ? messages : NULL);
}

static void let_out(struct pond *pond, struct turn *turn)
{
    struct pond_node *node = turn->node;

    disk_end_turn(&node->store, turn->promises);
    laws_at_let_out(pond, node, &pond->effects);
    for (size_t i = 0; i < pond->effects.count; i++)
        perform(pond, node, &pond->effects.list[i]);
    node_arm(pond, node);
}

/* The process ends in the middle: pecks may have left, and the disk has all of the turn or nothing. */
static void tear(struct pond *pond, struct turn *turn)
{
    struct pond_node *node = turn->node;

    for (size_t i = 0; i < pond->effects.count; i++)
        if (pond->effects.list[i].kind == EFFECT_SEND &&
            pond->effects.list[i].send.kind == FRAME_PECK && !pond->effects.list[i].send.waits &&
            !turn->doomed)
            perform(pond, node, &pond->effects.list[i]);
    if (!turn->doomed)
        disk_end_turn(&node->store, turn->promises);
    node_end(pond, node, dice_below(&pond->fault_dice, 2) && (pond->wish.faults & FAULT_POWER));
    plan(pond, between(&pond->fault_dice, 100 * MS_US, 10000 * MS_US),
         (struct happening){.kind = HAPPENING_START, .node = node->index});
}

/* As node/loop_held_back.c, but that what a frame says is not opened anew: all nodes have one keyring here. */
static void hold_back(struct pond_node *node, struct message *message)
{
    if (node->held_count == HELD_BACK_MAX) {
        agent_note_lost(node->agent);
        message_unmake(message);
        return;
    }
    message->next = NULL;
    *node->held_end = message;
    node->held_end = &message->next;
    node->held_count++;
}

static struct message *without_held(struct pond_node *node, struct message *messages)
{
    struct message *rest = NULL, **end = &rest;

    while (messages) {
        struct message *next = messages->next;

        if (agent_hears_first(node->agent, &messages->event)) {
            hold_back(node, messages);
        } else {
            *end = messages;
            end = &messages->next;
        }
        messages = next;
    }
    *end = NULL;
    return rest;
}

static void let_go(struct pond *pond, struct pond_node *node)
{
    struct message *messages = node->held;

    node->held = NULL;
    node->held_end = &node->held;
    node->held_count = 0;
    messages = without_held(node, messages);
    while (messages) {
        struct message *next = messages->next;

        messages->next = NULL;
        node_take(pond, node, messages);
        messages = next;
    }
}

void node_turn(struct pond *pond, struct pond_node *node)
{
    struct message *messages;
    struct turn turn = {.node = node, .at = node_moment(pond, node)};
    bool torn, is_full = node->disk_full_until_us > pond->now_us;

    if (node->paused_until_us > pond->now_us) {
        plan_turn(pond, node, node->paused_until_us - pond->now_us);
        return;
    }
    node->turn_planned = false;
    judge_idleness(pond, node);
    messages = without_held(node, node->inbox);
    node->inbox = NULL;
    node->inbox_end = &node->inbox;
    node->turns++;
    pond->sums.turns++;
    torn = faults_tear(pond, node);
    turn.doomed = is_full || (torn && dice_below(&pond->fault_dice, 2));
    decide(pond, &turn, messages);
    if (torn) {
        tear(pond, &turn);
    } else if (is_full && turn.keeps) {
        undo(pond, &turn, messages);
        node_arm(pond, node);
    } else {
        let_out(pond, &turn);
    }
    effects_clear(&pond->effects);
    free_messages(messages);
    if (node->up && node->held)
        let_go(pond, node);
}
