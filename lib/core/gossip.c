/* Members stand in one array, a hash table of their indexes beside it. Who is merely alive is an id
 * and nothing else: ten thousand nodes of a simulation may each know the ten thousand others. */
#include "gossip_parts.h"

#include <assert.h>

_Static_assert(sizeof(struct member) == 24, "a member that is alive and no more");

#define MEMBERS_FIRST 64u
#define SLOTS_FIRST 128u
#define QUEUE_FIRST 16u

struct gossip *gossip_new(const struct gossip_settings *settings)
{
    struct gossip *gossip = memory_take(sizeof *gossip);

    assert(settings->nodes_max > 0 && settings->nodes_max < NOBODY && settings->contact);
    gossip->settings = *settings;
    gossip->free_peer = NOBODY;
    gossip->refute_ms = gossip->planned_ms = MOMENT_NEVER;
    gossip->dial_wake_ms = gossip->suspicion_wake_ms = MOMENT_NEVER;
    dice_init(&gossip->dice, settings->dice_seed);
    dice_fill(&gossip->dice, gossip->key, sizeof gossip->key);
    gossip->slot_count = SLOTS_FIRST;
    gossip->slots = memory_take(gossip->slot_count * sizeof *gossip->slots);
    return gossip;
}

void gossip_free(struct gossip *gossip)
{
    if (!gossip)
        return;
    for (uint32_t i = 0; i < gossip->peer_slots; i++)
        if (gossip->peers[i].member != NOBODY)
            gossip_clear_suspicion(gossip, &gossip->peers[i]);
    for (size_t i = 0; i < gossip->seed_count; i++)
        memory_give_back(gossip->seeds[i].address);
    for (size_t i = 0; i < gossip->queue_count; i++)
        memory_give_back(gossip->queue[gossip->queue_first + i].owned);
    memory_give_back(gossip->lent);
    memory_give_back(gossip->queue);
    memory_give_back(gossip->members);
    memory_give_back(gossip->slots);
    memory_give_back(gossip->peers);
    memory_give_back(gossip->links);
    memory_give_back(gossip->seeds);
    memory_give_back(gossip->seen);
    memory_give_back(gossip);
}

/* ---- the index ---- */

uint64_t gossip_hash(const struct gossip *gossip, struct bytes bytes)
{
    uint64_t hash;

    crypto_shorthash((uint8_t *)&hash, bytes.data, bytes.size, gossip->key);
    return hash;
}

static size_t home_slot(const struct gossip *gossip, const struct id *node)
{
    return gossip_hash(gossip, id_bytes(node)) & (gossip->slot_count - 1);
}

/* The slot where `node` is, or where it would go. */
static size_t slot_of(const struct gossip *gossip, const struct id *node)
{
    size_t slot = home_slot(gossip, node);

    while (gossip->slots[slot] != 0 &&
           !id_equal(&gossip->members[gossip->slots[slot] - 1].node, node))
        slot = (slot + 1) & (gossip->slot_count - 1);
    return slot;
}

/* Moves back what stood behind the gap, so that no search ends too early. */
static void clear_slot(struct gossip *gossip, size_t gap)
{
    size_t mask = gossip->slot_count - 1, slot = gap;

    for (;;) {
        size_t home;

        slot = (slot + 1) & mask;
        if (gossip->slots[slot] == 0)
            break;
        home = home_slot(gossip, &gossip->members[gossip->slots[slot] - 1].node);
        if (((slot - home) & mask) < ((slot - gap) & mask))
            continue;
        gossip->slots[gap] = gossip->slots[slot];
        gap = slot;
    }
    gossip->slots[gap] = 0;
}

static void widen(struct gossip *gossip)
{
    memory_give_back(gossip->slots);
    gossip->slot_count *= 2;
    gossip->slots = memory_take(gossip->slot_count * sizeof *gossip->slots);
    for (uint32_t i = 0; i < gossip->count; i++)
        gossip->slots[slot_of(gossip, &gossip->members[i].node)] = i + 1;
}

uint32_t gossip_member_index(const struct gossip *gossip, const struct id *node)
{
    uint32_t index = gossip->slots[slot_of(gossip, node)];

    return index ? index - 1 : NOBODY;
}

/* ---- peers ---- */

static uint32_t take_peer_slot(struct gossip *gossip)
{
    uint32_t slot = gossip->free_peer;

    if (slot != NOBODY) {
        gossip->free_peer = gossip->peers[slot].next_free;
        return slot;
    }
    if (gossip->peer_slots == gossip->peer_capacity) {
        gossip->peer_capacity += gossip->peer_capacity / 4 + 8;
        gossip->peers = memory_resize(gossip->peers, gossip->peer_capacity * sizeof *gossip->peers);
    }
    return gossip->peer_slots++;
}

struct peer *gossip_peer(struct gossip *gossip, uint32_t member)
{
    uint32_t slot;

    assert(member < gossip->count);
    if (gossip->members[member].peer)
        return &gossip->peers[gossip->members[member].peer - 1];
    slot = take_peer_slot(gossip);
    gossip->members[member].peer = slot + 1;
    gossip->peers[slot] = (struct peer){.member = member, .recorded = true, .due_ms = MOMENT_NEVER};
    return &gossip->peers[slot];
}

struct peer *gossip_peer_of(const struct gossip *gossip, const struct id *node)
{
    uint32_t member = gossip_member_index(gossip, node);

    if (member == NOBODY || !gossip->members[member].peer)
        return NULL;
    return &gossip->peers[gossip->members[member].peer - 1];
}

static void release_peer(struct gossip *gossip, struct peer *peer)
{
    gossip->members[peer->member].peer = 0;
    peer->member = NOBODY;
    peer->next_free = gossip->free_peer;
    gossip->free_peer = (uint32_t)(peer - gossip->peers);
}

void gossip_settle_peer(struct gossip *gossip, struct peer *peer)
{
    if (peer->linked || peer->dialling || peer->seed || peer->wanted || peer->urgent ||
        peer->attempts > 0 || peer->suspicion)
        return;
    if (!peer->recorded)
        gossip_drop(gossip, peer->member);
    else if (peer->state == GOSSIP_ALIVE && peer->due_ms == MOMENT_NEVER)
        release_peer(gossip, peer);
}

bool gossip_is_live(const struct peer *peer)
{
    return peer->recorded && (peer->state == GOSSIP_ALIVE || peer->state == GOSSIP_SUSPECT);
}

void gossip_set_recorded(struct gossip *gossip, struct peer *peer, bool recorded)
{
    gossip->not_live -= !gossip_is_live(peer);
    peer->recorded = recorded;
    gossip->not_live += !gossip_is_live(peer);
}

void gossip_set_state(struct gossip *gossip, struct peer *peer, enum gossip_state state)
{
    struct gossip_output *output;

    if (peer->state == state)
        return;
    gossip->not_live -= !gossip_is_live(peer);
    gossip->revived += peer->state == GOSSIP_DEAD && state == GOSSIP_ALIVE;
    peer->state = (uint8_t)state;
    gossip->not_live += !gossip_is_live(peer);
    gossip->dial_wake_ms = 0;
    output = gossip_say(gossip, GOSSIP_CHANGED, gossip_id(gossip, peer));
    output->state = state;
}

/* ---- members ---- */

void gossip_drop(struct gossip *gossip, uint32_t i)
{
    struct member *member = &gossip->members[i], *last = &gossip->members[gossip->count - 1];

    if (member->peer) {
        struct peer *peer = &gossip->peers[member->peer - 1];

        assert(!peer->linked);
        gossip_end_attempt(gossip, peer);
        gossip_clear_suspicion(gossip, peer);
        gossip->not_live -= !gossip_is_live(peer);
        release_peer(gossip, peer);
    }
    clear_slot(gossip, slot_of(gossip, &member->node));
    if (member != last) {
        gossip->slots[slot_of(gossip, &last->node)] = i + 1;
        *member = *last;
        if (member->peer)
            gossip->peers[member->peer - 1].member = i;
    }
    gossip->count--;
}

static bool is_stranger(const struct gossip *gossip, const struct member *member)
{
    const struct peer *peer;

    if (!member->peer)
        return true;
    peer = &gossip->peers[member->peer - 1];
    return !peer->linked && !peer->dialling && !peer->seed && !peer->wanted && !peer->urgent;
}

/* Whom the operator names and who is linked has a place before one that was only heard of. */
static void make_room(struct gossip *gossip)
{
    uint32_t start = (uint32_t)dice_below(&gossip->dice, gossip->count);

    for (uint32_t step = 0; step < gossip->count; step++) {
        uint32_t i = (start + step) % gossip->count;

        if (!is_stranger(gossip, &gossip->members[i]))
            continue;
        gossip_drop(gossip, i);
        return;
    }
}

uint32_t gossip_add(struct gossip *gossip, const struct id *node, bool before_strangers)
{
    if (gossip->count == gossip->settings.nodes_max && before_strangers)
        make_room(gossip);
    if (gossip->count == gossip->settings.nodes_max)
        return NOBODY;
    if (gossip->count == gossip->capacity) {
        size_t capacity = gossip->capacity + gossip->capacity / 8 + MEMBERS_FIRST;

        if (capacity > gossip->settings.nodes_max)
            capacity = gossip->settings.nodes_max;
        gossip->members = memory_resize(gossip->members, capacity * sizeof *gossip->members);
        gossip->capacity = (uint32_t)capacity;
    }
    if ((size_t)(gossip->count + 1) * 4 > gossip->slot_count * 3)
        widen(gossip);
    gossip->slots[slot_of(gossip, node)] = gossip->count + 1;
    gossip->members[gossip->count] = (struct member){.node = *node};
    return gossip->count++;
}

/* ---- records ---- */

static void learn_again(struct gossip *gossip, struct peer *peer, struct version version)
{
    uint64_t soonest_ms = peer->dialled_ms ? peer->dialled_ms + GOSSIP_REDIAL_MS : 0;

    gossip_set_recorded(gossip, peer, true);
    if (peer->state == GOSSIP_LEFT)
        gossip_set_state(gossip, peer, GOSSIP_ALIVE);
    gossip_suspicion_learn(gossip, peer, version);
    gossip_void_probe(gossip, gossip_id(gossip, peer));
    /* It may be reached where it was not; but no record makes us dial oftener than this. */
    if (!peer->linked && !peer->dialling && peer->attempts > 0 && peer->due_ms > soonest_ms)
        gossip_plan_dial(gossip, peer, soonest_ms);
    gossip_settle_peer(gossip, peer);
}

bool gossip_learn(struct gossip *gossip, const struct id *node, struct version version)
{
    uint32_t i = gossip_member_index(gossip, node);
    struct gossip_output *output;

    if (id_equal(node, &gossip->settings.self))
        return true;
    gossip->dial_wake_ms = 0;
    if (i != NOBODY && gossip->members[i].peer) {
        learn_again(gossip, &gossip->peers[gossip->members[i].peer - 1], version);
        return true;
    }
    if (i != NOBODY)
        return true;
    i = gossip_add(gossip, node, false);
    if (i == NOBODY)
        return false;
    output = gossip_say(gossip, GOSSIP_CHANGED, node);
    output->state = GOSSIP_ALIVE;
    return true;
}

bool gossip_leave(struct gossip *gossip, const struct id *node, bool comes_back)
{
    uint32_t i = gossip_member_index(gossip, node);
    struct peer *peer;

    if (id_equal(node, &gossip->settings.self))
        return true;
    if (i == NOBODY)
        i = gossip_add(gossip, node, false);
    if (i == NOBODY)
        return false;
    peer = gossip_peer(gossip, i);
    gossip_clear_suspicion(gossip, peer);
    gossip_set_recorded(gossip, peer, true);
    gossip_set_state(gossip, peer, GOSSIP_LEFT);
    peer->comes_back = comes_back;
    peer->wanted = false;
    peer->attempts = 0;
    if (!peer->dialling)
        peer->due_ms = MOMENT_NEVER;
    return true;
}

void gossip_forget(struct gossip *gossip, const struct id *node)
{
    uint32_t i = gossip_member_index(gossip, node);
    struct peer *peer;

    if (i == NOBODY)
        return;
    peer = gossip_peer(gossip, i);
    if (!peer->seed && !peer->linked) {
        gossip_drop(gossip, i);
        return;
    }
    gossip_clear_suspicion(gossip, peer);
    gossip_set_state(gossip, peer, GOSSIP_ALIVE);
    gossip_set_recorded(gossip, peer, false);
    peer->sought = peer->seed && !peer->linked;
    if (peer->sought && !peer->dialling && peer->due_ms == MOMENT_NEVER)
        gossip_plan_dial(gossip, peer, 0);
}

/* ---- what is said ---- */

struct gossip_output *gossip_say(struct gossip *gossip, enum gossip_output_kind kind,
                                 const struct id *node)
{
    struct queued *queued;

    if (gossip->queue_count == 0)
        gossip->queue_first = 0;
    if (gossip->queue_first + gossip->queue_count == gossip->queue_capacity) {
        gossip->queue_capacity += gossip->queue_capacity + QUEUE_FIRST;
        gossip->queue =
            memory_resize(gossip->queue, gossip->queue_capacity * sizeof *gossip->queue);
    }
    queued = &gossip->queue[gossip->queue_first + gossip->queue_count++];
    *queued = (struct queued){.output = {.kind = kind, .node = *node}};
    return &queued->output;
}

static uint64_t sooner(uint64_t left, uint64_t right)
{
    return left < right ? left : right;
}

/* A wake that was planned and missed by so much: this node was paused, or starved. What did not
 * come meanwhile says nothing about others. */
void gossip_notice_pause(struct gossip *gossip, uint64_t now_ms)
{
    uint64_t planned_ms = gossip->planned_ms;

    if (planned_ms == MOMENT_NEVER || now_ms <= planned_ms + GOSSIP_PAUSED_MS)
        return;
    gossip->planned_ms = MOMENT_NEVER;
    gossip->figures.pauses++;
    gossip_void_probes(gossip);
    gossip_worsen(gossip, 2);
    gossip_suspicion_wait(gossip, now_ms);
    gossip_extend_dials(gossip, now_ms - planned_ms);
}

bool gossip_poll(struct gossip *gossip, uint64_t now_ms, struct gossip_output *output)
{
    struct queued *queued;

    memory_give_back(gossip->lent);
    gossip->lent = NULL;
    gossip_notice_pause(gossip, now_ms);
    gossip->planned_ms = MOMENT_NEVER;
    gossip_suspicion_turn(gossip, now_ms);
    gossip_probe_turn(gossip, now_ms);
    if (gossip->queue_count == 0) {
        gossip->answers = 0;
        gossip->planned_ms = sooner(gossip->suspicion_wake_ms, gossip_probe_wake_ms(gossip));
        return false;
    }
    queued = &gossip->queue[gossip->queue_first++];
    gossip->queue_count--;
    *output = queued->output;
    gossip->lent = queued->owned;
    return true;
}

uint64_t gossip_wake_at_ms(const struct gossip *gossip)
{
    if (gossip->queue_count > 0)
        return 0;
    return sooner(sooner(gossip->dial_wake_ms, gossip->refute_ms),
                  sooner(gossip->suspicion_wake_ms, gossip_probe_wake_ms(gossip)));
}

/* ---- questions ---- */

const char *gossip_state_name(enum gossip_state state)
{
    switch (state) {
    case GOSSIP_ALIVE:
        return "alive";
    case GOSSIP_SUSPECT:
        return "suspect";
    case GOSSIP_DEAD:
        return "dead";
    case GOSSIP_LEFT:
        return "left";
    }
    return "";
}

bool gossip_is_linked(const struct gossip *gossip, const struct id *node)
{
    const struct peer *peer = gossip_peer_of(gossip, node);

    return peer && peer->linked && !peer->hanging;
}

size_t gossip_links(const struct gossip *gossip)
{
    return gossip->link_count;
}

size_t gossip_linked(const struct gossip *gossip, struct id *nodes, size_t max)
{
    size_t count = 0;

    for (size_t i = 0; i < gossip->link_count && count < max; i++)
        if (!gossip->peers[gossip->links[i]].hanging)
            nodes[count++] = *gossip_id(gossip, &gossip->peers[gossip->links[i]]);
    return count;
}

bool gossip_draw_link(struct gossip *gossip, const struct id *except, struct id *node)
{
    uint64_t met = 0;

    for (size_t i = 0; i < gossip->link_count; i++) {
        const struct peer *peer = &gossip->peers[gossip->links[i]];

        if (!peer->hanging && !id_equal(gossip_id(gossip, peer), except) &&
            dice_below(&gossip->dice, ++met) == 0)
            *node = *gossip_id(gossip, peer);
    }
    return met > 0;
}

void gossip_note_compared(struct gossip *gossip, const struct id *node, uint64_t now_ms)
{
    struct peer *peer = gossip_peer_of(gossip, node);

    if (peer)
        peer->compared_ms = now_ms;
}

bool gossip_uncompared(const struct gossip *gossip, uint64_t now_ms, struct id *node)
{
    const struct peer *longest = NULL;

    for (size_t i = 0; i < gossip->link_count; i++) {
        const struct peer *peer = &gossip->peers[gossip->links[i]];

        if (!peer->hanging && peer->compared_ms + SUMS_LINK_MS <= now_ms &&
            (!longest || peer->compared_ms < longest->compared_ms))
            longest = peer;
    }
    if (longest)
        *node = *gossip_id(gossip, longest);
    return longest;
}

size_t gossip_count(const struct gossip *gossip)
{
    return gossip->count;
}

size_t gossip_live(const struct gossip *gossip)
{
    return gossip->count - gossip->not_live;
}

void gossip_at(const struct gossip *gossip, size_t index, struct gossip_member *member)
{
    const struct peer *peer;

    assert(index < gossip->count);
    *member = (struct gossip_member){
        .node = gossip->members[index].node, .recorded = true, .next_dial_ms = MOMENT_NEVER};
    if (!gossip->members[index].peer)
        return;
    peer = &gossip->peers[gossip->members[index].peer - 1];
    member->state = (enum gossip_state)peer->state;
    member->recorded = peer->recorded;
    member->linked = peer->linked;
    member->dialled_here = peer->linked && peer->dialled_here;
    member->dialling = peer->dialling;
    member->seed = peer->seed;
    member->wanted = peer->wanted;
    member->chosen = peer->linked && peer->chosen;
    member->attempts = peer->attempts;
    if (!peer->linked && !peer->dialling)
        member->next_dial_ms = peer->due_ms;
    if (!peer->suspicion)
        return;
    member->accusers = (uint32_t)peer->suspicion->count;
    if (peer->state == GOSSIP_SUSPECT)
        member->suspicion_ends_ms = peer->suspicion->ends_ms;
}

bool gossip_find(const struct gossip *gossip, const struct id *node, struct gossip_member *member)
{
    uint32_t i = gossip_member_index(gossip, node);

    if (i == NOBODY)
        return false;
    gossip_at(gossip, i, member);
    return true;
}

void gossip_figures(const struct gossip *gossip, struct gossip_figures *figures)
{
    *figures = gossip->figures;
}

size_t gossip_memory_bytes(const struct gossip *gossip)
{
    size_t bytes = sizeof *gossip + gossip->capacity * sizeof *gossip->members +
                   gossip->slot_count * sizeof *gossip->slots +
                   gossip->peer_capacity * sizeof *gossip->peers +
                   gossip->link_capacity * sizeof *gossip->links +
                   gossip->queue_capacity * sizeof *gossip->queue;

    if (gossip->seen)
        bytes += GOSSIP_ACCUSATIONS_SEEN * sizeof *gossip->seen;
    if (gossip->seeds)
        bytes += GOSSIP_SEEDS_MAX * sizeof *gossip->seeds;
    for (uint32_t i = 0; i < gossip->peer_slots; i++) {
        const struct peer *peer = &gossip->peers[i];

        if (peer->member != NOBODY && peer->suspicion)
            bytes +=
                sizeof *peer->suspicion + peer->suspicion->wire_size + peer->suspicion->chain_size;
    }
    return bytes;
}
