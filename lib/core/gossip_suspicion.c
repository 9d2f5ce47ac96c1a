/* Suspicion: from the first accusation to a refutation or the end.
 *
 * Each node decides for itself from the accusations that it holds. The time that the accused has
 * to refute begins long and shrinks with each distinct accuser (Lifeguard, section IV-B):
 *
 *   max(min, max - (max - min) * log(n) / log(needed)),   n accusers of `needed`
 *
 * `needed` is GOSSIP_ACCUSERS, or as many as there can be. One who lies alone gives the accused all
 * of it, and the accused refutes with a newer record.
 *
 * An accusation may come before the record whose version it names. It is passed on, and counts once
 * that record is held: until then it convicts nobody, or a version that nobody ever published could
 * not be refuted. */
#include "gossip_parts.h"

#include <assert.h>

#define LOG_10_OF_2 30103ull /* times 100000 */

const char *gossip_verdict_text(enum gossip_verdict verdict)
{
    switch (verdict) {
    case GOSSIP_COUNTED:
        return "counted";
    case GOSSIP_ACCUSES_US:
        return "accuses this node";
    case GOSSIP_KNOWN:
        return "heard before";
    case GOSSIP_STALE:
        return "a newer record of the accused is held";
    case GOSSIP_ENOUGH:
        return "the accused has enough accusers, or is gone";
    case GOSSIP_STRANGER:
        return "the accuser is no live member";
    case GOSSIP_UNKNOWN:
        return "the accused is not known";
    case GOSSIP_TOO_MANY:
        return "the accuser has too many others under suspicion";
    }
    return "";
}

/* Binary logarithm of n (1 or more), times 2^16: sixteen squarings. */
static uint64_t log2_q16(uint64_t n)
{
    unsigned whole = 63u - (unsigned)__builtin_clzll(n);
    uint64_t x = whole > 31 ? n >> (whole - 31) : n << (31 - whole); /* in [1, 2), times 2^31 */
    uint64_t log = whole;

    for (int bit = 0; bit < 16; bit++) {
        x = (x * x) >> 31;
        log <<= 1;
        if (x >> 32) {
            log |= 1;
            x >>= 1;
        }
    }
    return log;
}

static uint64_t suspicion_min_ms(size_t nodes)
{
    uint64_t ms = (GOSSIP_SUSPICION_MIN_MS * log2_q16(nodes) * LOG_10_OF_2 / 100000) >> 16;

    return ms > GOSSIP_SUSPICION_MIN_MS ? ms : GOSSIP_SUSPICION_MIN_MS;
}

uint64_t gossip_suspicion_ms(size_t nodes, size_t accusers)
{
    uint64_t min_ms = suspicion_min_ms(nodes), most_ms = GOSSIP_SUSPICION_MAX_TIMES * min_ms;
    size_t needed = nodes - 1 < GOSSIP_ACCUSERS ? nodes - 1 : GOSSIP_ACCUSERS; /* all but itself */

    if (accusers >= needed)
        return min_ms;
    return most_ms - (most_ms - min_ms) * log2_q16(accusers) / log2_q16(needed);
}

/* ---- what is held of it ---- */

static bool convicts(const struct suspicion *suspicion, size_t i)
{
    return version_compare(suspicion->accusers[i].version, suspicion->held) <= 0;
}

static size_t count_convicting(const struct suspicion *suspicion)
{
    size_t count = 0;

    for (size_t i = 0; i < suspicion->count; i++)
        count += convicts(suspicion, i);
    return count;
}

bool gossip_is_accused_by(const struct peer *peer, const struct id *accuser)
{
    for (size_t i = 0; peer->suspicion && i < peer->suspicion->count; i++)
        if (id_equal(&peer->suspicion->accusers[i].node, accuser))
            return true;
    return false;
}

static void set_unsure(struct gossip *gossip, struct suspicion *suspicion, bool is_unsure)
{
    gossip->unsure_count -= suspicion->is_unsure;
    gossip->unsure_count += is_unsure;
    suspicion->is_unsure = is_unsure;
}

void gossip_clear_suspicion(struct gossip *gossip, struct peer *peer)
{
    if (!peer->suspicion)
        return;
    set_unsure(gossip, peer->suspicion, false);
    memory_give_back(peer->suspicion->owned);
    memory_give_back(peer->suspicion);
    peer->suspicion = NULL;
}

static void absolve(struct gossip *gossip, struct peer *peer)
{
    if (peer->state == GOSSIP_SUSPECT && gossip_is_accused_by(peer, &gossip->settings.self))
        gossip->figures.false_alarms++;
    gossip_clear_suspicion(gossip, peer);
    if (peer->state == GOSSIP_SUSPECT || peer->state == GOSSIP_DEAD)
        gossip_set_state(gossip, peer, GOSSIP_ALIVE);
}

static void wake_by(struct gossip *gossip, uint64_t at_ms)
{
    if (at_ms < gossip->suspicion_wake_ms)
        gossip->suspicion_wake_ms = at_ms;
}

static void plan_end(struct gossip *gossip, struct suspicion *suspicion)
{
    size_t accusers = count_convicting(suspicion);

    suspicion->ends_ms =
        suspicion->began_ms + gossip_suspicion_ms(gossip_live(gossip) + 1, accusers ? accusers : 1);
    wake_by(gossip, suspicion->ends_ms);
}

void gossip_suspicion_learn(struct gossip *gossip, struct peer *peer, struct version version)
{
    struct suspicion *suspicion = peer->suspicion;
    size_t kept = 0;

    if (peer->state == GOSSIP_DEAD && !suspicion) {
        gossip_set_state(gossip, peer, GOSSIP_ALIVE);
        return;
    }
    for (size_t i = 0; suspicion && i < suspicion->count; i++)
        if (version_compare(suspicion->accusers[i].version, version) >= 0)
            suspicion->accusers[kept++] = suspicion->accusers[i];
    if (!suspicion)
        return;
    if (kept == 0) {
        absolve(gossip, peer);
        return;
    }
    suspicion->count = kept; /* fewer accusers: more time */
    suspicion->held = version;
    if (peer->state == GOSSIP_DEAD && count_convicting(suspicion) == 0) {
        absolve(gossip, peer);
    } else if (peer->state == GOSSIP_DEAD) {
        /* It lives, but was accused of this version before it published it, which is easy to guess.
         * It can refute that when it hears of it, and that it heard of nothing speaks for itself. */
        suspicion->doubts = 0;
        suspicion->doubt_ms = 0;
        wake_by(gossip, 0);
    } else if (peer->state == GOSSIP_SUSPECT) {
        plan_end(gossip, suspicion);
    }
}

/* It is told of the accusation, so that it refutes for everybody. */
void gossip_proof_of_life(struct gossip *gossip, struct peer *peer)
{
    struct suspicion *suspicion = peer->suspicion;

    if (suspicion && suspicion->owned) {
        struct gossip_output *output =
            gossip_say(gossip, GOSSIP_SEND_ACCUSED, gossip_id(gossip, peer));
        struct queued *queued = (struct queued *)output; /* its first member */

        output->wire = bytes_of(suspicion->owned, suspicion->wire_size);
        output->chain = bytes_of(suspicion->owned + suspicion->wire_size, suspicion->chain_size);
        queued->owned = suspicion->owned;
        suspicion->owned = NULL;
    }
    absolve(gossip, peer);
}

/* ---- accusations ---- */

static bool was_seen(const struct gossip *gossip, uint64_t hash)
{
    for (size_t i = 0; gossip->seen && i < GOSSIP_ACCUSATIONS_SEEN; i++)
        if (gossip->seen[i] == hash)
            return true;
    return false;
}

static void note_seen(struct gossip *gossip, uint64_t hash)
{
    if (!gossip->seen)
        gossip->seen = memory_take(GOSSIP_ACCUSATIONS_SEEN * sizeof *gossip->seen);
    gossip->seen[gossip->seen_next] = hash;
    gossip->seen_next = (gossip->seen_next + 1) % GOSSIP_ACCUSATIONS_SEEN;
}

static bool may_accuse(const struct gossip *gossip, const struct id *accuser)
{
    const struct peer *peer;

    if (id_equal(accuser, &gossip->settings.self))
        return true;
    if (gossip_member_index(gossip, accuser) == NOBODY)
        return false;
    peer = gossip_peer_of(gossip, accuser);
    return !peer || gossip_is_live(peer);
}

static size_t count_accused_by(const struct gossip *gossip, const struct id *accuser)
{
    size_t count = 0;

    for (uint32_t i = 0; i < gossip->peer_slots; i++)
        if (gossip->peers[i].member != NOBODY && gossip->peers[i].state == GOSSIP_SUSPECT)
            count += gossip_is_accused_by(&gossip->peers[i], accuser);
    return count;
}

static void plan_refutation(struct gossip *gossip, struct version version, uint64_t now_ms)
{
    if (gossip->refute_ms == MOMENT_NEVER) {
        gossip->refute_ms = now_ms;
        if (gossip->refuted_ms && now_ms < gossip->refuted_ms + GOSSIP_REFUTE_EVERY_MS)
            gossip->refute_ms = gossip->refuted_ms + GOSSIP_REFUTE_EVERY_MS;
        gossip->refute_version = version;
    }
    if (version_compare(version, gossip->refute_version) > 0)
        gossip->refute_version = version;
}

/* Who convicts takes the place of one who does not. */
static bool has_room(const struct suspicion *suspicion, const struct gossip_accusation *accusation,
                     struct version held)
{
    return !suspicion || suspicion->count < GOSSIP_ACCUSERS ||
           (version_compare(accusation->version, held) <= 0 &&
            count_convicting(suspicion) < GOSSIP_ACCUSERS);
}

static enum gossip_verdict judge(struct gossip *gossip, const struct gossip_accusation *accusation,
                                 uint64_t hash, struct version held)
{
    uint32_t i = gossip_member_index(gossip, &accusation->accused);
    const struct peer *peer;

    if (!may_accuse(gossip, &accusation->accuser))
        return GOSSIP_STRANGER;
    if (i == NOBODY)
        return GOSSIP_UNKNOWN;
    if (version_compare(accusation->version, held) < 0)
        return GOSSIP_STALE;
    if (was_seen(gossip, hash))
        return GOSSIP_KNOWN;
    if (count_accused_by(gossip, &accusation->accuser) >= GOSSIP_ACCUSED_PER_MEMBER_MAX)
        return GOSSIP_TOO_MANY;
    if (!gossip->members[i].peer)
        return GOSSIP_COUNTED;
    peer = &gossip->peers[gossip->members[i].peer - 1];
    if (!peer->recorded)
        return GOSSIP_UNKNOWN;
    if (!gossip_is_live(peer) || !has_room(peer->suspicion, accusation, held))
        return GOSSIP_ENOUGH;
    return gossip_is_accused_by(peer, &accusation->accuser) ? GOSSIP_KNOWN : GOSSIP_COUNTED;
}

static void keep_wire(struct suspicion *suspicion, const struct gossip_accusation *accusation)
{
    if (suspicion->owned && version_compare(accusation->version, suspicion->version) <= 0)
        return;
    memory_give_back(suspicion->owned);
    suspicion->version = accusation->version;
    suspicion->wire_size = accusation->wire.size;
    suspicion->chain_size = accusation->chain.size;
    suspicion->owned = memory_take(accusation->wire.size + accusation->chain.size + 1);
    if (accusation->wire.size > 0)
        memcpy(suspicion->owned, accusation->wire.data, accusation->wire.size);
    if (accusation->chain.size > 0)
        memcpy(suspicion->owned + accusation->wire.size, accusation->chain.data,
               accusation->chain.size);
}

static struct accuser *place_for_accuser(struct suspicion *suspicion)
{
    size_t i = 0;

    if (suspicion->count < GOSSIP_ACCUSERS)
        return &suspicion->accusers[suspicion->count++];
    while (convicts(suspicion, i))
        i++;
    assert(i < GOSSIP_ACCUSERS); /* has_room */
    return &suspicion->accusers[i];
}

static void count(struct gossip *gossip, const struct gossip_accusation *accusation,
                  struct version held, uint64_t now_ms)
{
    struct peer *peer = gossip_peer(gossip, gossip_member_index(gossip, &accusation->accused));
    struct suspicion *suspicion = peer->suspicion;

    if (!suspicion) {
        suspicion = peer->suspicion = memory_take(sizeof *suspicion);
        suspicion->began_ms = now_ms;
        suspicion->doubt_ms = MOMENT_NEVER;
    }
    suspicion->held = held;
    *place_for_accuser(suspicion) =
        (struct accuser){.node = accusation->accuser, .version = accusation->version};
    keep_wire(suspicion, accusation);
    gossip_set_state(gossip, peer, GOSSIP_SUSPECT);
    plan_end(gossip, suspicion);
    /* Whoever is linked with the accused looks for itself, at once. */
    if (peer->linked && !peer->hanging && !id_equal(&accusation->accuser, &gossip->settings.self))
        gossip_probe(gossip, peer, PROBE_DIRECT, now_ms);
}

enum gossip_verdict gossip_take_accusation(struct gossip *gossip,
                                           const struct gossip_accusation *accusation,
                                           struct version held, uint64_t now_ms)
{
    uint64_t hash = gossip_hash(gossip, bytes_of(accusation->hash.bytes, HASH_SIZE));
    bool is_ours = id_equal(&accusation->accuser, &gossip->settings.self);
    enum gossip_verdict verdict;

    if (id_equal(&accusation->accused, &gossip->settings.self)) {
        if (version_compare(accusation->version, held) < 0)
            return GOSSIP_STALE;
        plan_refutation(gossip, held, now_ms);
        return GOSSIP_ACCUSES_US;
    }
    verdict = judge(gossip, accusation, hash, held);
    if (verdict != GOSSIP_COUNTED) {
        gossip->figures.accusations_refused +=
            verdict == GOSSIP_STRANGER || verdict == GOSSIP_UNKNOWN || verdict == GOSSIP_TOO_MANY;
        return verdict;
    }
    note_seen(gossip, hash);
    if (is_ours)
        gossip->figures.accusations_made++;
    else
        gossip->figures.accusations_heard++;
    count(gossip, accusation, held, now_ms);
    return verdict;
}

size_t gossip_pass_on(struct gossip *gossip, const struct gossip_accusation *accusation,
                      const struct id *from, size_t budget, struct id *nodes, size_t max)
{
    bool is_ours = id_equal(&accusation->accuser, &gossip->settings.self);
    size_t count = 0, first;
    uint64_t met = 0;

    if (max > 0 && gossip_is_linked(gossip, &accusation->accused))
        nodes[count++] = accusation->accused;
    first = count;
    if (is_ours || budget > max - first)
        budget = max - first;
    for (size_t i = 0; i < gossip->link_count; i++) {
        const struct peer *peer = &gossip->peers[gossip->links[i]];
        const struct id *node = gossip_id(gossip, peer);
        uint64_t place;

        if (peer->hanging || id_equal(node, &accusation->accused) || id_equal(node, from) ||
            id_equal(node, &accusation->accuser))
            continue;
        place = met < budget ? met : dice_below(&gossip->dice, met + 1);
        met++;
        if (place >= budget)
            continue;
        nodes[first + place] = *node;
        if (count <= first + place)
            count = first + place + 1;
    }
    return count;
}

/* ---- time ---- */

void gossip_suspicion_wait(struct gossip *gossip, uint64_t now_ms)
{
    uint64_t least_ms = now_ms + suspicion_min_ms(gossip_live(gossip) + 1);

    for (uint32_t i = 0; i < gossip->peer_slots; i++) {
        const struct peer *peer = &gossip->peers[i];

        if (peer->member != NOBODY && peer->state == GOSSIP_SUSPECT && peer->suspicion &&
            peer->suspicion->ends_ms < least_ms)
            peer->suspicion->ends_ms = least_ms;
    }
}

/* Where many accuse, the accused hears of it from many. Whom few hold dead may not know it: they may
 * have been cut off when they said so. So they say it again, until it is refuted, or for a while. Nor is
 * a node that is not well itself sure of many: they may all have been cut off with it. But in a cut that
 * parts a large network everybody is unwell and holds half of it dead: so only of a few at a time. */
static void plan_doubt(struct gossip *gossip, struct suspicion *suspicion, uint64_t now_ms)
{
    size_t live = gossip_live(gossip) + 1; /* with this node */
    size_t needed = live < GOSSIP_ACCUSERS ? live : GOSSIP_ACCUSERS;
    bool is_over = suspicion->doubts == GOSSIP_DOUBTS_MAX;
    bool of_many = count_convicting(suspicion) >= needed;

    set_unsure(gossip, suspicion, false);
    if (of_many && !is_over && gossip->figures.health > 0)
        set_unsure(gossip, suspicion, gossip->unsure_count < GOSSIP_UNSURE_MAX);
    suspicion->doubt_ms = is_over || (of_many && !suspicion->is_unsure)
                              ? MOMENT_NEVER
                              : now_ms + (GOSSIP_DOUBT_FIRST_MS << suspicion->doubts);
}

static bool is_doubted(const struct peer *peer)
{
    return peer->state == GOSSIP_DEAD && peer->suspicion &&
           peer->suspicion->doubt_ms != MOMENT_NEVER;
}

static void doubt(struct gossip *gossip, struct peer *peer, uint64_t now_ms)
{
    gossip_say(gossip, GOSSIP_ACCUSE_AGAIN, gossip_id(gossip, peer));
    peer->suspicion->doubts++;
    plan_doubt(gossip, peer->suspicion, now_ms);
}

static void end_suspicion(struct gossip *gossip, struct peer *peer, uint64_t now_ms)
{
    if (peer->linked && peer->suspicion->acked_ms) {
        gossip_proof_of_life(gossip, peer); /* we know better; and it hears of it once more */
        return;
    }
    if (count_convicting(peer->suspicion) == 0) {
        absolve(gossip, peer);
        return;
    }
    gossip_set_state(gossip, peer, GOSSIP_DEAD);
    plan_doubt(gossip, peer->suspicion, now_ms);
    peer->chosen = false;
    if (!peer->linked && !peer->dialling && peer->due_ms == MOMENT_NEVER)
        gossip_plan_dial(gossip, peer, now_ms + dice_jitter_ms(&gossip->dice, DIAL_FIRST_MS));
}

/* After a short cut the link itself comes back. After a longer one its ends wait long before they
 * send again what was lost (TCP doubles that wait); a new handshake does not. */
static bool waits_to_hang_up(const struct peer *peer)
{
    return peer->state == GOSSIP_DEAD && peer->linked && !peer->hanging && peer->suspicion;
}

static uint64_t hang_up_ms(const struct peer *peer)
{
    return peer->suspicion->ends_ms + GOSSIP_DEAD_LINK_MS;
}

static void refute_turn(struct gossip *gossip, uint64_t now_ms)
{
    if (gossip->refute_ms > now_ms)
        return;
    gossip->refute_ms = MOMENT_NEVER;
    gossip->refuted_ms = now_ms;
    gossip->figures.refutations++;
    gossip_worsen(gossip, 1);
    gossip_say(gossip, GOSSIP_REFUTE, &gossip->settings.self)->version = gossip->refute_version;
}

/* Accusations are told once and live for a minute. Whoever was cut off with some others and finds an
 * eighth of the network alive again was dead for it, and may still be, where none of its links leads. */
static void heal_turn(struct gossip *gossip, uint64_t now_ms)
{
    size_t enough = gossip_live(gossip) / GOSSIP_HEAL_SHARE;

    if (gossip->revived == 0)
        return;
    if (gossip->heal_count == 0 || now_ms >= gossip->heal_began_ms + GOSSIP_HEAL_WITHIN_MS) {
        gossip->heal_began_ms = now_ms;
        gossip->heal_count = 0;
    }
    gossip->heal_count += gossip->revived;
    gossip->revived = 0;
    if (gossip->heal_count < GOSSIP_HEAL_MIN || gossip->heal_count < enough)
        return;
    gossip->heal_count = 0;
    if ((gossip->healed_ms && now_ms < gossip->healed_ms + GOSSIP_HEAL_EVERY_MS) ||
        (gossip->refuted_ms && now_ms < gossip->refuted_ms + GOSSIP_HEAL_WITHIN_MS))
        return; /* it was said lately */
    gossip->healed_ms = now_ms;
    gossip_say(gossip, GOSSIP_HEALED, &gossip->settings.self);
}

void gossip_suspicion_turn(struct gossip *gossip, uint64_t now_ms)
{
    refute_turn(gossip, now_ms);
    heal_turn(gossip, now_ms);
    if (gossip->suspicion_wake_ms > now_ms)
        return;
    gossip->suspicion_wake_ms = MOMENT_NEVER;
    for (uint32_t i = 0; i < gossip->peer_slots; i++) {
        struct peer *peer = &gossip->peers[i];

        if (peer->member == NOBODY)
            continue;
        if (peer->state == GOSSIP_SUSPECT && peer->suspicion->ends_ms <= now_ms)
            end_suspicion(gossip, peer, now_ms);
        if (is_doubted(peer) && peer->suspicion->doubt_ms <= now_ms)
            doubt(gossip, peer, now_ms);
        if (waits_to_hang_up(peer) && hang_up_ms(peer) <= now_ms)
            gossip_hang_up(gossip, peer, "it does not answer", now_ms);
        if (peer->state == GOSSIP_SUSPECT)
            wake_by(gossip, peer->suspicion->ends_ms);
        else if (waits_to_hang_up(peer))
            wake_by(gossip, hang_up_ms(peer));
        if (is_doubted(peer))
            wake_by(gossip, peer->suspicion->doubt_ms);
    }
}
