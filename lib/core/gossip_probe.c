/* Probes: SWIM's round robin over the links, with Lifeguard's own health.
 *
 *   DIRECT     a probe over the link, said once more at half of the timeout (one lost frame is no
 *              reason to make three others dial); no ack within it leads to
 *   INDIRECT   three others are asked to probe it, and we try once more; no ack by the end of the
 *              period: we accuse it
 *   DIALLING   its link broke, so it is dialled; if that fails: INDIRECT, at once
 *
 * All waits are times 1 + own health: a node that hears nothing from anybody doubts itself first. */
#include "gossip_parts.h"

#include <assert.h>

void gossip_worsen(struct gossip *gossip, uint32_t by)
{
    gossip->figures.health += by;
    if (gossip->figures.health > GOSSIP_HEALTH_MAX)
        gossip->figures.health = GOSSIP_HEALTH_MAX;
}

static uint64_t stretched_ms(const struct gossip *gossip, uint64_t ms)
{
    return ms * (1 + gossip->figures.health);
}

static void say_nonce(struct gossip *gossip, enum gossip_output_kind kind, const struct id *node,
                      uint32_t nonce)
{
    gossip_say(gossip, kind, node)->nonce = nonce;
}

/* What others make us answer is bounded between two polls. */
static void answer(struct gossip *gossip, enum gossip_output_kind kind, const struct id *node,
                   uint32_t nonce)
{
    if (gossip->answers == GOSSIP_ANSWERS_MAX) {
        gossip->figures.answers_dropped++;
        return;
    }
    gossip->answers++;
    say_nonce(gossip, kind, node, nonce);
}

static bool is_helper(const struct peer *peer, const struct id *target, const struct id *node)
{
    return peer->linked && !peer->hanging && gossip_is_live(peer) && !id_equal(node, target);
}

/* ---- urgent links ---- */

static bool is_waited_for(const struct gossip *gossip, const struct id *node)
{
    for (size_t i = 0; i < GOSSIP_PROBES_MAX; i++)
        if (gossip->probes[i].stage != PROBE_FREE && id_equal(&gossip->probes[i].target, node))
            return true;
    for (size_t i = 0; i < GOSSIP_RELAYS_MAX; i++)
        if (gossip->relays[i].used && id_equal(&gossip->relays[i].target, node))
            return true;
    return false;
}

static void hurry(struct gossip *gossip, struct peer *peer)
{
    if (peer->linked || peer->urgent)
        return;
    peer->urgent = true;
    gossip->dial_wake_ms = 0;
}

static void rest(struct gossip *gossip, const struct id *node)
{
    struct peer *peer = gossip_peer_of(gossip, node);

    if (!peer || !peer->urgent || is_waited_for(gossip, node))
        return;
    peer->urgent = false;
    gossip_settle_peer(gossip, peer);
}

/* ---- own probes ---- */

static struct probe *find_probe(struct gossip *gossip, const struct id *target)
{
    for (size_t i = 0; i < GOSSIP_PROBES_MAX; i++)
        if (gossip->probes[i].stage != PROBE_FREE && id_equal(&gossip->probes[i].target, target))
            return &gossip->probes[i];
    return NULL;
}

static void send_probe(struct gossip *gossip, const struct id *target, uint32_t nonce)
{
    gossip->figures.probes_sent++;
    say_nonce(gossip, GOSSIP_SEND_PROBE, target, nonce);
}

/* Three of the linked others, by chance (reservoir sampling). */
static void choose_helpers(struct gossip *gossip, struct probe *probe)
{
    uint64_t met = 0;

    probe->helper_count = 0;
    for (size_t i = 0; i < gossip->link_count; i++) {
        const struct peer *peer = &gossip->peers[gossip->links[i]];
        uint64_t place;

        if (!is_helper(peer, &probe->target, gossip_id(gossip, peer)))
            continue;
        place = met < GOSSIP_HELPERS ? met : dice_below(&gossip->dice, met + 1);
        met++;
        if (place >= GOSSIP_HELPERS)
            continue;
        probe->helpers[place] = *gossip_id(gossip, peer);
        if (probe->helper_count < GOSSIP_HELPERS)
            probe->helper_count++;
    }
}

static void go_indirect(struct gossip *gossip, struct probe *probe, uint64_t now_ms)
{
    uint64_t least_ms = now_ms + stretched_ms(gossip, GOSSIP_PROBE_TIMEOUT_MS);

    probe->stage = PROBE_INDIRECT;
    probe->due_ms = probe->began_ms + stretched_ms(gossip, GOSSIP_PROBE_EVERY_MS);
    if (probe->due_ms < least_ms)
        probe->due_ms = least_ms;
    choose_helpers(gossip, probe);
    for (size_t i = 0; i < probe->helper_count; i++) {
        struct gossip_output *output = gossip_say(gossip, GOSSIP_SEND_REQUEST, &probe->helpers[i]);

        probe->nacked[i] = false;
        output->nonce = probe->nonce;
        output->target = probe->target;
    }
    if (gossip_is_linked(gossip, &probe->target))
        send_probe(gossip, &probe->target, probe->nonce);
}

void gossip_probe(struct gossip *gossip, const struct peer *peer, enum probe_stage stage,
                  uint64_t now_ms)
{
    struct probe *probe = gossip->probes;

    if (find_probe(gossip, gossip_id(gossip, peer)))
        return;
    while (probe < gossip->probes + GOSSIP_PROBES_MAX && probe->stage != PROBE_FREE)
        probe++;
    if (probe == gossip->probes + GOSSIP_PROBES_MAX)
        return; /* the round comes by again */
    *probe = (struct probe){.stage = stage, .target = *gossip_id(gossip, peer)};
    dice_fill(&gossip->dice, &probe->nonce, sizeof probe->nonce);
    probe->began_ms = now_ms;
    probe->due_ms = now_ms + stretched_ms(gossip, stage == PROBE_DIRECT ? GOSSIP_PROBE_AGAIN_MS
                                                                        : GOSSIP_PROBE_TIMEOUT_MS);
    if (stage == PROBE_DIRECT)
        send_probe(gossip, &probe->target, probe->nonce);
    else
        hurry(gossip, &gossip->peers[peer - gossip->peers]);
    if (stage == PROBE_INDIRECT)
        go_indirect(gossip, probe, now_ms);
}

static void succeed(struct gossip *gossip, struct probe *probe)
{
    probe->stage = PROBE_FREE;
    gossip->figures.probes_acked++;
    if (gossip->figures.health > 0)
        gossip->figures.health--;
    rest(gossip, &probe->target);
}

/* Nacks show that the helpers hear us and we them: then it is not us. */
static bool lacks_nacks(const struct probe *probe)
{
    for (size_t i = 0; i < probe->helper_count; i++)
        if (!probe->nacked[i])
            return true;
    return probe->helper_count == 0;
}

static void fail(struct gossip *gossip, struct probe *probe)
{
    struct peer *peer = gossip_peer_of(gossip, &probe->target);
    struct id target = probe->target;

    probe->stage = PROBE_FREE;
    if (peer && peer->suspicion)
        peer->suspicion->acked_ms = 0; /* that was before */
    if (peer && gossip_is_live(peer) && !gossip_is_accused_by(peer, &gossip->settings.self)) {
        gossip->figures.probes_failed++;
        if (lacks_nacks(probe))
            gossip_worsen(gossip, 1);
        gossip_say(gossip, GOSSIP_ACCUSE, &target);
    }
    rest(gossip, &target);
}

/* A dial failed: there is no need to wait for the timeout. */
static void nack_unreached(struct gossip *gossip, const struct id *node)
{
    for (size_t i = 0; i < GOSSIP_RELAYS_MAX; i++) {
        struct relay *relay = &gossip->relays[i];

        if (!relay->used || !id_equal(&relay->target, node))
            continue;
        if (!relay->nacked)
            answer(gossip, GOSSIP_SEND_NACK, &relay->from, relay->nonce);
        relay->nacked = true;
    }
}

void gossip_probe_unreached(struct gossip *gossip, const struct peer *peer, uint64_t now_ms)
{
    struct probe *probe = find_probe(gossip, gossip_id(gossip, peer));

    nack_unreached(gossip, gossip_id(gossip, peer));
    if (probe && probe->stage == PROBE_DIALLING)
        go_indirect(gossip, probe, now_ms);
    else if (!probe && gossip_is_live(peer) && !gossip_is_accused_by(peer, &gossip->settings.self))
        gossip_probe(gossip, peer, PROBE_INDIRECT, now_ms);
}

void gossip_probe_linked(struct gossip *gossip, const struct id *node)
{
    struct probe *probe = find_probe(gossip, node);
    struct peer *peer = gossip_peer_of(gossip, node);

    if (probe)
        succeed(gossip, probe); /* the handshake answered */
    for (size_t i = 0; i < GOSSIP_RELAYS_MAX; i++) {
        struct relay *relay = &gossip->relays[i];

        if (!relay->used || !id_equal(&relay->target, node))
            continue;
        answer(gossip, GOSSIP_SEND_ACK, &relay->from, relay->nonce);
        relay->used = false;
        peer->passing = peer->dialled_here && !peer->chosen;
    }
    rest(gossip, node);
}

/* ---- frames ---- */

/* Whoever sends us anything over its link lives. */
static void hear(struct gossip *gossip, const struct id *from)
{
    struct peer *peer = gossip_peer_of(gossip, from);

    if (peer && peer->linked && peer->state == GOSSIP_DEAD)
        gossip_proof_of_life(gossip, peer);
}

void gossip_take_probe(struct gossip *gossip, const struct id *from, uint32_t nonce,
                       uint64_t now_ms)
{
    gossip_notice_pause(gossip, now_ms);
    hear(gossip, from);
    answer(gossip, GOSSIP_SEND_ACK, from, nonce);
}

static bool was_asked(const struct probe *probe, const struct id *node, size_t *helper)
{
    for (*helper = 0; *helper < probe->helper_count; ++*helper)
        if (id_equal(&probe->helpers[*helper], node))
            return true;
    return false;
}

static void pass_ack(struct gossip *gossip, const struct id *from, uint32_t nonce)
{
    for (size_t i = 0; i < GOSSIP_RELAYS_MAX; i++) {
        struct relay *relay = &gossip->relays[i];

        if (!relay->used || relay->own_nonce != nonce || !id_equal(&relay->target, from))
            continue;
        answer(gossip, GOSSIP_SEND_ACK, &relay->from, relay->nonce);
        relay->used = false;
        return;
    }
}

void gossip_take_ack(struct gossip *gossip, const struct id *from, uint32_t nonce, uint64_t now_ms)
{
    struct peer *peer = gossip_peer_of(gossip, from);
    size_t helper;

    gossip_notice_pause(gossip, now_ms);
    hear(gossip, from);
    for (size_t i = 0; i < GOSSIP_PROBES_MAX; i++) {
        struct probe *probe = &gossip->probes[i];
        bool direct = id_equal(&probe->target, from);

        if (probe->stage == PROBE_FREE || probe->nonce != nonce ||
            (!direct && !was_asked(probe, from, &helper)))
            continue;
        if (direct && peer && peer->suspicion)
            peer->suspicion->acked_ms = now_ms;
        succeed(gossip, probe);
        return;
    }
    pass_ack(gossip, from, nonce);
}

void gossip_take_nack(struct gossip *gossip, const struct id *from, uint32_t nonce)
{
    size_t helper;

    for (size_t i = 0; i < GOSSIP_PROBES_MAX; i++) {
        struct probe *probe = &gossip->probes[i];

        if (probe->stage == PROBE_INDIRECT && probe->nonce == nonce &&
            was_asked(probe, from, &helper))
            probe->nacked[helper] = true;
    }
}

/* ---- probes for others ---- */

static struct relay *take_relay(struct gossip *gossip, const struct id *from)
{
    struct relay *found = NULL;
    size_t of_this = 0;

    for (size_t i = 0; i < GOSSIP_RELAYS_MAX; i++) {
        if (!gossip->relays[i].used)
            found = &gossip->relays[i];
        else
            of_this += id_equal(&gossip->relays[i].from, from);
    }
    return of_this < GOSSIP_RELAYS_PER_MEMBER_MAX ? found : NULL;
}

void gossip_take_request(struct gossip *gossip, const struct id *from, uint32_t nonce,
                         const struct id *target, uint64_t now_ms)
{
    uint32_t i = gossip_member_index(gossip, target);
    struct relay *relay;
    struct peer *peer;

    gossip_notice_pause(gossip, now_ms);
    hear(gossip, from);
    if (id_equal(target, &gossip->settings.self)) {
        answer(gossip, GOSSIP_SEND_ACK, from, nonce);
        return;
    }
    relay = i == NOBODY ? NULL : take_relay(gossip, from);
    peer = relay ? gossip_peer(gossip, i) : NULL;
    if (!relay || (!peer->linked && !gossip_is_live(peer))) {
        answer(gossip, GOSSIP_SEND_NACK, from, nonce);
        return;
    }
    *relay = (struct relay){.used = true,
                            .from = *from,
                            .target = *target,
                            .nonce = nonce,
                            .nack_ms = now_ms + GOSSIP_NACK_MS,
                            .end_ms = now_ms + 2 * GOSSIP_PROBE_EVERY_MS};
    dice_fill(&gossip->dice, &relay->own_nonce, sizeof relay->own_nonce);
    if (peer->linked)
        send_probe(gossip, target, relay->own_nonce);
    else
        hurry(gossip, peer);
}

static void relay_turn(struct gossip *gossip, struct relay *relay, uint64_t now_ms)
{
    struct id target = relay->target;

    if (!relay->nacked && relay->nack_ms <= now_ms) {
        relay->nacked = true;
        answer(gossip, GOSSIP_SEND_NACK, &relay->from, relay->nonce);
    }
    if (relay->end_ms > now_ms)
        return;
    relay->used = false;
    rest(gossip, &target);
}

/* ---- time ---- */

static struct peer *next_in_round(struct gossip *gossip)
{
    struct peer *next = NULL;
    uint64_t met = 0;

    for (size_t i = 0; i < gossip->link_count; i++) {
        struct peer *peer = &gossip->peers[gossip->links[i]];

        if (!peer->probed && !peer->hanging && dice_below(&gossip->dice, ++met) == 0)
            next = peer;
    }
    return next;
}

static void begin_round(struct gossip *gossip)
{
    for (size_t i = 0; i < gossip->link_count; i++)
        gossip->peers[gossip->links[i]].probed = false;
}

static void tick(struct gossip *gossip, uint64_t now_ms)
{
    struct peer *peer;

    gossip->tick_ms = now_ms + stretched_ms(gossip, GOSSIP_PROBE_EVERY_MS);
    gossip_tidy_links(gossip, now_ms);
    peer = next_in_round(gossip);
    if (!peer) {
        begin_round(gossip);
        peer = next_in_round(gossip);
    }
    if (!peer)
        return;
    peer->probed = true;
    gossip_probe(gossip, peer, PROBE_DIRECT, now_ms);
}

static void probe_turn(struct gossip *gossip, struct probe *probe, uint64_t now_ms)
{
    if (probe->stage == PROBE_FREE || probe->due_ms > now_ms)
        return;
    if (probe->stage == PROBE_INDIRECT) {
        fail(gossip, probe);
    } else if (probe->stage == PROBE_DIRECT && !probe->again) {
        probe->again = true;
        probe->due_ms = probe->began_ms + stretched_ms(gossip, GOSSIP_PROBE_TIMEOUT_MS);
        send_probe(gossip, &probe->target, probe->nonce);
    } else {
        go_indirect(gossip, probe, now_ms);
    }
}

void gossip_probe_turn(struct gossip *gossip, uint64_t now_ms)
{
    for (size_t i = 0; i < GOSSIP_PROBES_MAX; i++)
        probe_turn(gossip, &gossip->probes[i], now_ms);
    for (size_t i = 0; i < GOSSIP_RELAYS_MAX; i++)
        if (gossip->relays[i].used)
            relay_turn(gossip, &gossip->relays[i], now_ms);
    if (gossip->link_count > 0 && gossip->tick_ms <= now_ms)
        tick(gossip, now_ms);
}

uint64_t gossip_probe_wake_ms(const struct gossip *gossip)
{
    uint64_t wake_ms = gossip->link_count > 0 ? gossip->tick_ms : MOMENT_NEVER;

    for (size_t i = 0; i < GOSSIP_PROBES_MAX; i++)
        if (gossip->probes[i].stage != PROBE_FREE && gossip->probes[i].due_ms < wake_ms)
            wake_ms = gossip->probes[i].due_ms;
    for (size_t i = 0; i < GOSSIP_RELAYS_MAX; i++) {
        const struct relay *relay = &gossip->relays[i];
        uint64_t due_ms = relay->nacked ? relay->end_ms : relay->nack_ms;

        if (relay->used && due_ms < wake_ms)
            wake_ms = due_ms;
    }
    return wake_ms;
}

/* It spoke: what it did not answer before must not be held against its new record. */
void gossip_void_probe(struct gossip *gossip, const struct id *target)
{
    struct probe *probe = find_probe(gossip, target);
    struct peer *peer = gossip_peer_of(gossip, target);

    if (probe)
        probe->stage = PROBE_FREE;
    if (peer && peer->urgent && !is_waited_for(gossip, target))
        peer->urgent = false;
}

void gossip_void_probes(struct gossip *gossip)
{
    for (size_t i = 0; i < GOSSIP_PROBES_MAX; i++) {
        gossip->probes[i].stage = PROBE_FREE;
        rest(gossip, &gossip->probes[i].target);
    }
    for (size_t i = 0; i < GOSSIP_RELAYS_MAX; i++) {
        gossip->relays[i].used = false;
        rest(gossip, &gossip->relays[i].target);
    }
}
