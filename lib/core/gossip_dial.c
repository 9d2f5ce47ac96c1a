/* Whom to dial, where, and when: members, and the seeds that the operator named.
 *
 * Who is eagerly sought goes first, then seeds that have not answered, then those that the overlay
 * lacks; dead members last, few at once and no oftener than one a second, but for ever. */
#include "gossip_parts.h"

#include <assert.h>

#define CHOICE_TRIES 16u /* at random; then whoever comes next */

void gossip_plan_dial(struct gossip *gossip, struct peer *peer, uint64_t at_ms)
{
    peer->due_ms = at_ms;
    gossip->dial_wake_ms = 0;
}
static bool is_nameless(const struct seed *seed)
{
    return id_is_zero(&seed->node);
}
/* ---- where a member is reached ---- */

static bool has_address(const struct gossip_contact *contact, struct bytes address)
{
    for (size_t i = 0; i < contact->address_count; i++)
        if (bytes_equal(contact->addresses[i], address))
            return true;
    return false;
}

static void add_address(struct gossip_contact *contact, struct bytes address)
{
    if (contact->address_count < NODE_ADDRESSES_MAX && !has_address(contact, address))
        contact->addresses[contact->address_count++] = address;
}

static bool is_address(struct bytes address)
{
    return address.size > 0 && address.size <= ADDRESS_MAX &&
           !memchr(address.data, 0, address.size);
}

/* The operator's addresses, then those of its record. True: its session key is known. */
static bool find_contact(const struct gossip *gossip, const struct id *node,
                         struct gossip_contact *contact)
{
    struct gossip_contact recorded = {0};
    bool known = gossip->settings.contact(gossip->settings.context, node, &recorded);

    *contact = (struct gossip_contact){0};
    for (size_t i = 0; i < gossip->seed_count; i++)
        if (id_equal(&gossip->seeds[i].node, node))
            add_address(contact, bytes_of_text(gossip->seeds[i].address));
    for (size_t i = 0; known && i < recorded.address_count; i++)
        if (is_address(recorded.addresses[i]))
            add_address(contact, recorded.addresses[i]);
    memcpy(contact->session_key, recorded.session_key, sizeof contact->session_key);
    return known;
}

/* Since when a member is dead, or the link with a living one broken; MOMENT_NEVER: neither. */
static uint64_t away_since(const struct peer *peer, uint64_t now_ms)
{
    if (peer->state == GOSSIP_DEAD && peer->suspicion && now_ms >= peer->suspicion->ends_ms)
        return peer->suspicion->ends_ms;
    return gossip_is_live(peer) && peer->lost_ms > 0 ? peer->lost_ms : MOMENT_NEVER;
}

/* Who went away lately is dialled oftener than who is long gone: after a cut of a minute both sides
 * meet again within seconds. */
static uint64_t most_ms_of(const struct peer *peer, uint64_t now_ms)
{
    uint64_t since_ms = away_since(peer, now_ms);
    uint64_t most_ms;

    if (peer->wanted || peer->urgent)
        return DIAL_EAGER_MAX_MS;
    if (since_ms == MOMENT_NEVER)
        return DIAL_MAX_MS;
    most_ms = (now_ms - since_ms) / GOSSIP_AWAY_DIALS_PER_AGE;
    if (most_ms < GOSSIP_AWAY_EVERY_MS)
        return GOSSIP_AWAY_EVERY_MS;
    return most_ms < DIAL_MAX_MS ? most_ms : DIAL_MAX_MS;
}

/* The wait before the next try: doubles with every round through the addresses. */
static uint64_t back_off_ms(struct gossip *gossip, uint64_t attempts, size_t addresses,
                            uint64_t most_ms)
{
    uint64_t wait_ms = DIAL_FIRST_MS;
    uint64_t rounds = attempts > 0 ? (attempts - 1) / (addresses ? addresses : 1) : 0;

    for (uint64_t i = 0; i < rounds && wait_ms < most_ms; i++)
        wait_ms *= 2;
    return dice_jitter_ms(&gossip->dice, wait_ms < most_ms ? wait_ms : most_ms);
}

void gossip_plan_again(struct gossip *gossip, struct peer *peer, uint64_t now_ms)
{
    struct gossip_contact contact;

    find_contact(gossip, gossip_id(gossip, peer), &contact);
    gossip_plan_dial(gossip, peer,
                     now_ms + back_off_ms(gossip, peer->attempts, contact.address_count,
                                          most_ms_of(peer, now_ms)));
}

/* ---- tries ---- */

static void end(struct gossip *gossip, struct attempt *attempt)
{
    if (attempt->peer != NOBODY)
        gossip->peers[attempt->peer].dialling = false;
    else
        gossip->seeds[attempt->seed].dialling = false;
    attempt->used = false;
    gossip->dials--;
    gossip->dial_wake_ms = 0; /* there is room: who waited for it may be due */
}

void gossip_end_attempt(struct gossip *gossip, struct peer *peer)
{
    uint32_t slot = (uint32_t)(peer - gossip->peers);

    for (size_t i = 0; peer->dialling && i < GOSSIP_DIALS_MAX; i++)
        if (gossip->attempts[i].used && gossip->attempts[i].peer == slot)
            end(gossip, &gossip->attempts[i]);
}

void gossip_extend_dials(struct gossip *gossip, uint64_t by_ms)
{
    for (size_t i = 0; i < GOSSIP_DIALS_MAX; i++)
        gossip->attempts[i].until_ms += by_ms;
}

static struct attempt *begin(struct gossip *gossip, uint32_t peer, uint32_t seed,
                             struct bytes address, uint64_t now_ms)
{
    struct attempt *attempt = gossip->attempts;

    while (attempt->used)
        attempt++;
    assert(attempt < gossip->attempts + GOSSIP_DIALS_MAX);
    *attempt = (struct attempt){.used = true,
                                .peer = peer,
                                .seed = seed,
                                .address = gossip_hash(gossip, address),
                                .until_ms = now_ms + GOSSIP_ANSWER_WITHIN_MS};
    gossip->dials++;
    return attempt;
}

static void fail_seed(struct gossip *gossip, struct seed *seed, uint64_t now_ms)
{
    if (seed->attempts < UINT32_MAX)
        seed->attempts++;
    seed->due_ms = now_ms + back_off_ms(gossip, seed->attempts, 1, DIAL_MAX_MS);
}

static void fail_peer(struct gossip *gossip, struct peer *peer, uint64_t now_ms)
{
    if (peer->attempts < UINT32_MAX)
        peer->attempts++;
    if (peer->wanted && peer->wanted_until_ms <= now_ms)
        peer->wanted = false;
    gossip_plan_again(gossip, peer, now_ms);
    gossip_probe_unreached(gossip, peer, now_ms);
}

static void fail(struct gossip *gossip, struct attempt *attempt, uint64_t now_ms)
{
    end(gossip, attempt);
    if (attempt->peer != NOBODY)
        fail_peer(gossip, &gossip->peers[attempt->peer], now_ms);
    else
        fail_seed(gossip, &gossip->seeds[attempt->seed], now_ms);
}

void gossip_dial_failed(struct gossip *gossip, const struct id *node, struct bytes address,
                        uint64_t now_ms)
{
    uint64_t hash = gossip_hash(gossip, address);

    gossip_notice_pause(gossip, now_ms);
    for (size_t i = 0; i < GOSSIP_DIALS_MAX; i++) {
        struct attempt *attempt = &gossip->attempts[i];

        if (!attempt->used || attempt->address != hash)
            continue;
        if (attempt->peer == NOBODY
                ? !id_is_zero(node)
                : !id_equal(gossip_id(gossip, &gossip->peers[attempt->peer]), node))
            continue;
        fail(gossip, attempt, now_ms);
        return;
    }
}

/* ---- seeds ---- */

static struct seed *find_seed(struct gossip *gossip, struct bytes address, const struct id *node)
{
    static const struct id nobody;

    for (size_t i = 0; i < gossip->seed_count; i++)
        if (id_equal(&gossip->seeds[i].node, node ? node : &nobody) &&
            bytes_equal(bytes_of_text(gossip->seeds[i].address), address))
            return &gossip->seeds[i];
    return NULL;
}

struct peer *gossip_peer_for(struct gossip *gossip, const struct id *node)
{
    uint32_t i = gossip_member_index(gossip, node);
    struct peer *peer;

    if (i != NOBODY)
        return gossip_peer(gossip, i);
    i = gossip_add(gossip, node, true);
    if (i == NOBODY)
        return NULL;
    peer = gossip_peer(gossip, i);
    gossip_set_recorded(gossip, peer, false);
    return peer;
}

static struct seed *add_seed(struct gossip *gossip, struct bytes address)
{
    struct seed *seed;

    if (gossip->seed_count == GOSSIP_SEEDS_MAX)
        return NULL;
    if (!gossip->seeds)
        gossip->seeds = memory_take(GOSSIP_SEEDS_MAX * sizeof *gossip->seeds);
    seed = &gossip->seeds[gossip->seed_count++];
    *seed = (struct seed){.address = memory_take(address.size + 1)};
    memcpy(seed->address, address.data, address.size);
    gossip->dial_wake_ms = 0;
    return seed;
}

bool gossip_add_seed(struct gossip *gossip, struct bytes address, const struct id *node)
{
    struct seed *seed, *nameless;
    struct peer *peer = NULL;

    if (!is_address(address))
        return false;
    if (node && id_equal(node, &gossip->settings.self))
        return true;
    seed = find_seed(gossip, address, node);
    nameless = find_seed(gossip, address, NULL);
    if (node && !(peer = gossip_peer_for(gossip, node)))
        return false;
    if (!seed && nameless && !nameless->dialling)
        seed = nameless; /* it has a name now */
    if (!seed)
        seed = add_seed(gossip, address);
    if (!seed)
        return false;
    if (!peer) {
        if (!seed->dialling)
            seed->due_ms = 0;
        gossip->dial_wake_ms = 0;
        return true;
    }
    seed->node = *node;
    peer->seed = true;
    peer->sought = !peer->linked;
    if (!peer->linked && !peer->dialling)
        gossip_plan_dial(gossip, peer, 0);
    return true;
}

bool gossip_answered(struct gossip *gossip, struct bytes address, const struct id *node)
{
    struct seed *seed = find_seed(gossip, address, NULL);

    if (!seed)
        return false;
    for (size_t i = 0; seed->dialling && i < GOSSIP_DIALS_MAX; i++) {
        struct attempt *attempt = &gossip->attempts[i];

        if (attempt->used && attempt->peer == NOBODY && &gossip->seeds[attempt->seed] == seed)
            end(gossip, attempt);
    }
    return gossip_add_seed(gossip, address, node);
}

static bool is_named(const struct gossip *gossip, const struct id *node)
{
    for (size_t i = 0; i < gossip->seed_count; i++)
        if (id_equal(&gossip->seeds[i].node, node))
            return true;
    return false;
}

void gossip_unname_seed(struct gossip *gossip, struct bytes address, const struct id *node)
{
    struct seed *seed = find_seed(gossip, address, node);
    struct peer *peer = gossip_peer_of(gossip, node);

    assert(node);
    if (!seed)
        return;
    seed->node = (struct id){0};
    seed->attempts = 0;
    seed->due_ms = 0;
    gossip->dial_wake_ms = 0;
    if (!peer || is_named(gossip, node))
        return;
    peer->seed = peer->sought = false;
    gossip_settle_peer(gossip, peer);
}

/* The last link went down: whoever has not answered yet may do so now. */
void gossip_try_seeds_again(struct gossip *gossip, uint64_t now_ms)
{
    for (size_t i = 0; i < gossip->seed_count; i++) {
        struct seed *seed = &gossip->seeds[i];

        if (!is_nameless(seed) || seed->dialling || seed->due_ms <= now_ms + DIAL_FIRST_MS)
            continue;
        seed->due_ms = now_ms + dice_jitter_ms(&gossip->dice, DIAL_FIRST_MS);
        gossip->dial_wake_ms = 0;
    }
}

/* ---- whom to dial ---- */

/* From the least urgent. */
enum wish { WISH_NONE, WISH_AWAY, WISH_LIVE, WISH_SEED, WISH_EAGER };

static enum wish wish_for(const struct peer *peer, bool few, bool short_of_chosen)
{
    if (peer->linked || peer->dialling || (peer->state == GOSSIP_LEFT && !peer->comes_back))
        return WISH_NONE;
    if (peer->wanted || peer->urgent)
        return WISH_EAGER;
    if (peer->sought)
        return WISH_SEED;
    if ((peer->state == GOSSIP_DEAD || peer->state == GOSSIP_LEFT) && peer->recorded)
        return WISH_AWAY;
    if (gossip_is_live(peer) &&
        (few || (short_of_chosen && peer->attempts > 0 && peer->state == GOSSIP_ALIVE)))
        return WISH_LIVE;
    if (gossip_is_live(peer) && peer->lost_ms > 0)
        return WISH_AWAY; /* others reach it, or say so: who surrounds us does, too */
    return WISH_NONE;
}

/* Nodes that somebody made up, and that were never linked, leave room for those that were. */
static bool has_room_for_away(const struct gossip *gossip, bool met)
{
    size_t away = 0, strangers = 0;

    for (size_t i = 0; i < GOSSIP_DIALS_MAX; i++) {
        away += gossip->attempts[i].used && gossip->attempts[i].away;
        strangers +=
            gossip->attempts[i].used && gossip->attempts[i].away && !gossip->attempts[i].met;
    }
    return away < GOSSIP_AWAY_DIALS_MAX && (met || strangers < GOSSIP_AWAY_STRANGERS_MAX);
}

static bool has_room(const struct gossip *gossip, enum wish wish, bool met)
{
    if (gossip->dials >= GOSSIP_DIALS_MAX)
        return false;
    if (wish == WISH_EAGER)
        return true;
    return gossip->link_count + gossip->dials < ACTIVE_LINKS_MAX &&
           (wish != WISH_AWAY || has_room_for_away(gossip, met));
}

struct choice {
    enum wish wish;
    uint32_t member, seed; /* one of them, or NOBODY both */
    bool met;              /* of one that is away: it was linked */
    uint32_t attempts;     /* of one that is away, so far */
    uint64_t met_so_far;   /* how many there are that are as good */
    uint64_t wake_ms;      /* when the next is due */
};

/* More urgent: 1, less: -1. Of those that are away, who was linked, then who was tried least: a verdict may be
 * wrong, and made-up nodes must not stand in the way of who would answer. */
static int compare(const struct choice *choice, enum wish wish, bool met, uint32_t attempts)
{
    if (wish != choice->wish)
        return wish > choice->wish ? 1 : -1;
    if (met != choice->met)
        return met ? 1 : -1;
    return (attempts < choice->attempts) - (attempts > choice->attempts);
}

/* One of those that are due, by chance: who all know the same nodes shall not all link the same. */
static void consider(struct gossip *gossip, struct choice *choice, enum wish wish, uint32_t member,
                     uint32_t seed, uint64_t due_ms, uint64_t now_ms)
{
    const struct peer *away =
        wish == WISH_AWAY ? &gossip->peers[gossip->members[member].peer - 1] : NULL;
    bool met = away && away->met;
    uint32_t attempts = away ? away->attempts : 0;
    int order = compare(choice, wish, met, attempts);

    if (away && due_ms < gossip->away_dial_ms[met])
        due_ms = gossip->away_dial_ms[met];
    if (!has_room(gossip, wish, met))
        return;
    if (due_ms > now_ms) {
        if (due_ms < choice->wake_ms)
            choice->wake_ms = due_ms;
        return;
    }
    if (order < 0)
        return;
    choice->met_so_far = order > 0 ? 1 : choice->met_so_far + 1;
    choice->wish = wish;
    choice->met = met;
    choice->attempts = attempts;
    if (dice_below(&gossip->dice, choice->met_so_far) > 0)
        return;
    choice->member = member;
    choice->seed = seed;
}

static void consider_peers(struct gossip *gossip, struct choice *choice, bool few,
                           bool short_of_chosen, uint64_t now_ms)
{
    for (uint32_t i = 0; i < gossip->peer_slots; i++) {
        const struct peer *peer = &gossip->peers[i];
        enum wish wish = peer->member == NOBODY ? WISH_NONE : wish_for(peer, few, short_of_chosen);

        if (wish != WISH_NONE)
            consider(gossip, choice, wish, peer->member, NOBODY,
                     peer->due_ms == MOMENT_NEVER ? 0 : peer->due_ms, now_ms);
    }
}

static void consider_seeds(struct gossip *gossip, struct choice *choice, uint64_t now_ms)
{
    for (uint32_t i = 0; i < gossip->seed_count; i++) {
        const struct seed *seed = &gossip->seeds[i];

        if (is_nameless(seed) && !seed->dialling)
            consider(gossip, choice, WISH_SEED, NOBODY, i, seed->due_ms, now_ms);
    }
}

static bool is_unmarked(const struct gossip *gossip, uint32_t i)
{
    return gossip->members[i].peer == 0;
}

/* A member that is alive and no more, by chance. NOBODY: none is left. */
static uint32_t pick(struct gossip *gossip)
{
    uint32_t i = 0;

    for (size_t tries = 0; gossip->count > 0 && tries < CHOICE_TRIES; tries++) {
        i = (uint32_t)dice_below(&gossip->dice, gossip->count);
        if (is_unmarked(gossip, i))
            return i;
    }
    for (uint32_t step = 0; step < gossip->count; step++)
        if (is_unmarked(gossip, (i + step) % gossip->count))
            return (i + step) % gossip->count;
    return NOBODY;
}

static void consider_unmarked(struct gossip *gossip, struct choice *choice, bool few,
                              bool short_of_chosen, uint64_t now_ms)
{
    uint32_t i;

    if (choice->wish > WISH_LIVE || (!few && !short_of_chosen))
        return;
    i = pick(gossip);
    if (i != NOBODY)
        consider(gossip, choice, WISH_LIVE, i, NOBODY, 0, now_ms);
}

static void expire_attempts(struct gossip *gossip, struct choice *choice, uint64_t now_ms)
{
    for (size_t i = 0; i < GOSSIP_DIALS_MAX; i++) {
        struct attempt *attempt = &gossip->attempts[i];

        if (attempt->used && attempt->until_ms <= now_ms)
            fail(gossip, attempt, now_ms); /* the news of it was lost */
        else if (attempt->used && attempt->until_ms < choice->wake_ms)
            choice->wake_ms = attempt->until_ms;
    }
}

static bool dial_seed(struct gossip *gossip, uint32_t i, uint64_t now_ms, struct gossip_dial *dial)
{
    struct seed *seed = &gossip->seeds[i];

    *dial = (struct gossip_dial){.session_key_known = false};
    memcpy(dial->address, seed->address, strlen(seed->address) + 1);
    seed->dialling = true;
    begin(gossip, NOBODY, i, bytes_of_text(seed->address), now_ms);
    return true;
}

/* False: it names no address. */
static bool dial_peer(struct gossip *gossip, struct peer *peer, enum wish wish, bool for_choice,
                      uint64_t now_ms, struct gossip_dial *dial)
{
    const struct id *node = gossip_id(gossip, peer);
    struct gossip_contact contact;
    struct attempt *attempt;
    struct bytes address;

    *dial = (struct gossip_dial){.node = *node};
    dial->session_key_known = find_contact(gossip, node, &contact);
    if (contact.address_count == 0) { /* a record that names one is heeded at once */
        peer->attempts += peer->attempts < UINT32_MAX;
        gossip_plan_dial(gossip, peer, now_ms + DIAL_MAX_MS);
        gossip_probe_unreached(gossip, peer, now_ms);
        return false;
    }
    peer->dialled_ms = now_ms;
    address = contact.addresses[peer->attempts % contact.address_count];
    assert(is_address(address)); /* find_contact takes no others */
    memcpy(dial->address, address.data, address.size);
    memcpy(dial->session_key, contact.session_key, sizeof dial->session_key);
    attempt = begin(gossip, (uint32_t)(peer - gossip->peers), NOBODY, address, now_ms);
    attempt->for_choice = for_choice;
    attempt->away = wish == WISH_AWAY;
    attempt->met = peer->met;
    if (attempt->away)
        gossip->away_dial_ms[peer->met] = now_ms + GOSSIP_AWAY_EVERY_MS;
    peer->dialling = true;
    return true;
}

/* While a group forms its members come in one after the other, and each looks like one of few. So a
 * mesh is made whole when nobody new has come for a while; until then the chosen links do. */
static bool is_settled_mesh(struct gossip *gossip, struct choice *choice, uint64_t now_ms)
{
    uint64_t settled_ms;

    if (gossip->count > gossip->counted)
        gossip->grew_ms = now_ms;
    gossip->counted = gossip->count;
    settled_ms = gossip->grew_ms + GOSSIP_MESH_AFTER_MS;
    if (!gossip_is_mesh(gossip) || gossip_live(gossip) <= LINKS_CHOSEN || now_ms >= settled_ms)
        return gossip_is_mesh(gossip);
    choice->wake_ms = settled_ms;
    return false;
}

bool gossip_poll_dial(struct gossip *gossip, uint64_t now_ms, struct gossip_dial *dial)
{
    while (now_ms >= gossip->dial_wake_ms) {
        struct choice choice = {.member = NOBODY, .seed = NOBODY, .wake_ms = MOMENT_NEVER};
        bool few = is_settled_mesh(gossip, &choice, now_ms),
             short_of_chosen = !few && gossip_is_short_of_chosen(gossip);

        expire_attempts(gossip, &choice, now_ms);
        consider_peers(gossip, &choice, few, short_of_chosen, now_ms);
        consider_seeds(gossip, &choice, now_ms);
        consider_unmarked(gossip, &choice, few, short_of_chosen, now_ms);
        gossip->dial_wake_ms = choice.wake_ms;
        if (choice.wish == WISH_NONE)
            return false;
        gossip->dial_wake_ms = 0; /* there may be more */
        if (choice.seed != NOBODY)
            return dial_seed(gossip, choice.seed, now_ms, dial);
        if (dial_peer(gossip, gossip_peer(gossip, choice.member), choice.wish,
                      short_of_chosen && choice.wish == WISH_LIVE, now_ms, dial))
            return true;
    }
    return false;
}
