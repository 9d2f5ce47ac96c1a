/* Links: with whom, and on whom to hang up.
 *
 * Who dialled a link looks after it: what it neither chose nor uses it closes after a while. Who
 * accepted it closes it only above ACTIVE_LINKS_MAX. So two ends do not pull at one link, and at
 * least LINKS_CHOSEN links of each node lead where its own dice led (nobody can surround it). */
#include "gossip_parts.h"

bool gossip_is_mesh(const struct gossip *gossip)
{
    return gossip_live(gossip) <= FULL_MESH_NODES_MAX;
}
/* ---- links that were chosen ---- */

static size_t count_chosen(const struct gossip *gossip)
{
    size_t count = 0;

    for (size_t i = 0; i < gossip->link_count; i++)
        count += gossip->peers[gossip->links[i]].chosen;
    return count;
}

bool gossip_is_short_of_chosen(const struct gossip *gossip)
{
    size_t count = count_chosen(gossip);

    for (size_t i = 0; i < GOSSIP_DIALS_MAX; i++)
        count += gossip->attempts[i].used && gossip->attempts[i].for_choice;
    return count < LINKS_CHOSEN + gossip->trading;
}

/* The link of the last seed that is linked stays: it is the way back. */
static bool is_last_seed(const struct gossip *gossip, const struct peer *peer)
{
    for (size_t i = 0; peer->seed && i < gossip->link_count; i++) {
        const struct peer *other = &gossip->peers[gossip->links[i]];

        if (other != peer && other->seed && !other->hanging)
            return false;
    }
    return peer->seed;
}

static bool is_wanted(const struct peer *peer, uint64_t now_ms)
{
    return peer->urgent || peer->wanted_until_ms > now_ms;
}

/* Make before break: one more than LINKS_CHOSEN is up, so the oldest of them is spare now. */
static void end_trade(struct gossip *gossip, const struct peer *fresh)
{
    struct peer *oldest = NULL;

    for (size_t i = 0; i < gossip->link_count; i++) {
        struct peer *peer = &gossip->peers[gossip->links[i]];

        if (peer->chosen && peer != fresh && (!oldest || peer->up_ms < oldest->up_ms))
            oldest = peer;
    }
    if (oldest)
        oldest->chosen = false;
    gossip->trading = false;
}

static void choose(struct gossip *gossip, struct peer *peer)
{
    size_t count = count_chosen(gossip);

    if (!peer->dialled_here || peer->chosen || count >= LINKS_CHOSEN + gossip->trading)
        return;
    peer->chosen = true;
    if (count + 1 > LINKS_CHOSEN)
        end_trade(gossip, peer);
}

/* A spare link that we dialled serves as well as a new one. */
static bool choose_spare(struct gossip *gossip)
{
    for (size_t i = 0; i < gossip->link_count; i++) {
        struct peer *peer = &gossip->peers[gossip->links[i]];

        if (!peer->dialled_here || peer->chosen || peer->hanging || !gossip_is_live(peer))
            continue;
        peer->chosen = true;
        return true;
    }
    return false;
}

/* ---- up and down ---- */

static void list_link(struct gossip *gossip, struct peer *peer)
{
    if (gossip->link_count == gossip->link_capacity) {
        gossip->link_capacity += gossip->link_capacity / 2 + 8;
        gossip->links = memory_resize(gossip->links, gossip->link_capacity * sizeof *gossip->links);
    }
    gossip->links[gossip->link_count++] = (uint32_t)(peer - gossip->peers);
}

static void unlist_link(struct gossip *gossip, const struct peer *peer)
{
    uint32_t slot = (uint32_t)(peer - gossip->peers);
    size_t i = 0;

    while (gossip->links[i] != slot)
        i++;
    gossip->links[i] = gossip->links[--gossip->link_count];
}

void gossip_link_up(struct gossip *gossip, const struct id *node, bool dialled_here,
                    uint64_t now_ms)
{
    struct peer *peer;

    gossip_notice_pause(gossip, now_ms);
    if (id_equal(node, &gossip->settings.self))
        return;
    peer = gossip_peer_for(gossip, node);
    if (!peer)
        return;
    gossip_end_attempt(gossip, peer);
    gossip->dial_wake_ms = 0;
    if (peer->linked) {
        peer->hanging = false;
        return;
    }
    list_link(gossip, peer);
    peer->linked = peer->met = true;
    peer->dialled_here = dialled_here;
    peer->probed = peer->wanted = peer->sought = peer->passing = false;
    peer->up_ms = peer->used_ms = now_ms;
    peer->due_ms = MOMENT_NEVER;
    peer->lost_ms = 0;
    choose(gossip, peer);
    gossip_proof_of_life(gossip, peer);
    gossip_probe_linked(gossip, node);
}

/* Who takes a link only to close it is dialled ever more seldom, like who does not answer. */
static void judge_link(struct peer *peer, uint64_t now_ms)
{
    if (now_ms - peer->up_ms >= GOSSIP_SETTLED_MS)
        peer->attempts = 0;
    else if (peer->attempts < UINT32_MAX)
        peer->attempts++;
}

static void lose_link(struct gossip *gossip, struct peer *peer, uint64_t now_ms)
{
    gossip_plan_again(gossip, peer, now_ms);
    if (peer->attempts > 1) {
        gossip_probe(gossip, peer, PROBE_INDIRECT, now_ms);
        return;
    }
    gossip_plan_dial(gossip, peer, now_ms + dice_below(&gossip->dice, GOSSIP_LOST_JITTER_MS + 1));
    gossip_probe(gossip, peer, PROBE_DIALLING, now_ms);
}

static void after_link(struct gossip *gossip, struct peer *peer, bool on_purpose, uint64_t now_ms)
{
    if (!peer->recorded && !peer->seed) {
        gossip_drop(gossip, peer->member); /* it was here as long as its link */
        return;
    }
    judge_link(peer, now_ms);
    peer->due_ms = MOMENT_NEVER;
    peer->lost_ms = on_purpose ? 0 : now_ms;
    if (!peer->recorded) {
        peer->sought = true;
        gossip_plan_again(gossip, peer, now_ms);
    } else if (peer->state == GOSSIP_LEFT) {
        peer->attempts = 0;
    } else if (peer->state == GOSSIP_DEAD || on_purpose) {
        if (peer->state == GOSSIP_DEAD || peer->attempts > 0 || gossip_is_mesh(gossip))
            gossip_plan_again(gossip, peer, now_ms);
    } else {
        lose_link(gossip, peer, now_ms);
    }
    gossip_settle_peer(gossip, peer);
}

void gossip_link_down(struct gossip *gossip, const struct id *node, bool goodbye, uint64_t now_ms)
{
    struct peer *peer = gossip_peer_of(gossip, node);
    bool on_purpose;

    gossip_notice_pause(gossip, now_ms);
    if (!peer || !peer->linked)
        return;
    on_purpose = goodbye || peer->hanging;
    unlist_link(gossip, peer);
    peer->linked = peer->chosen = peer->hanging = false;
    gossip->dial_wake_ms = 0;
    after_link(gossip, peer, on_purpose, now_ms);
    if (gossip->link_count == 0)
        gossip_try_seeds_again(gossip, now_ms);
}

void gossip_want(struct gossip *gossip, const struct id *node, uint64_t now_ms)
{
    uint32_t i = gossip_member_index(gossip, node);
    struct peer *peer;

    if (i == NOBODY)
        return;
    peer = gossip_peer(gossip, i);
    peer->used_ms = peer->hanging ? peer->used_ms : now_ms;
    peer->passing = false;
    peer->wanted_until_ms = now_ms + GOSSIP_WANTED_MS;
    if (peer->linked || peer->wanted || (peer->state == GOSSIP_LEFT && !peer->comes_back)) {
        gossip_settle_peer(gossip, peer);
        return;
    }
    peer->wanted = true;
    gossip->dial_wake_ms = 0;
    if (!peer->dialling && peer->due_ms > now_ms)
        gossip_plan_dial(gossip, peer, now_ms);
}

/* ---- hanging up ---- */

void gossip_hang_up(struct gossip *gossip, struct peer *peer, const char *reason, uint64_t now_ms)
{
    peer->hanging = true;
    peer->chosen = false;
    peer->used_ms = now_ms;
    gossip_say(gossip, GOSSIP_HANG_UP, gossip_id(gossip, peer))->reason = reason;
}

static bool may_close(const struct gossip *gossip, const struct peer *peer, uint64_t now_ms)
{
    return !peer->hanging && !peer->chosen && !is_wanted(peer, now_ms) &&
           !is_last_seed(gossip, peer);
}

/* The least recently useful link that may close; `spare`: that we dialled and have no use for. NULL:
 * none. */
static struct peer *least_useful(const struct gossip *gossip, bool spare, uint64_t now_ms)
{
    struct peer *least = NULL;

    for (size_t i = 0; i < gossip->link_count; i++) {
        struct peer *peer = &gossip->peers[gossip->links[i]];
        uint64_t idle_ms = spare && !peer->passing ? GOSSIP_SPARE_MS : GOSSIP_YOUNG_MS;

        if ((spare && !peer->dialled_here) || peer->used_ms + idle_ms > now_ms ||
            !may_close(gossip, peer, now_ms))
            continue;
        if (!least || peer->used_ms < least->used_ms)
            least = peer;
    }
    return least;
}

static size_t count_lasting(struct gossip *gossip, uint64_t now_ms)
{
    size_t count = 0;

    for (size_t i = 0; i < gossip->link_count; i++) {
        struct peer *peer = &gossip->peers[gossip->links[i]];

        if (peer->hanging && peer->used_ms + GOSSIP_HANG_UP_WITHIN_MS <= now_ms)
            peer->hanging = false; /* it was dialled anew meanwhile */
        count += !peer->hanging;
    }
    return count;
}

static void begin_trade(struct gossip *gossip, uint64_t now_ms)
{
    if (gossip->trade_ms == 0 || gossip_is_mesh(gossip)) {
        gossip->trading = false;
        gossip->trade_ms = now_ms + dice_jitter_ms(&gossip->dice, GOSSIP_TRADE_MS);
        return;
    }
    if (now_ms < gossip->trade_ms)
        return;
    gossip->trade_ms = now_ms + dice_jitter_ms(&gossip->dice, GOSSIP_TRADE_MS);
    gossip->trading = true;
    gossip->dial_wake_ms = 0;
}

void gossip_tidy_links(struct gossip *gossip, uint64_t now_ms)
{
    size_t lasting = count_lasting(gossip, now_ms);
    struct peer *peer;

    begin_trade(gossip, now_ms);
    if (!gossip_is_mesh(gossip) && count_chosen(gossip) < LINKS_CHOSEN && choose_spare(gossip))
        gossip->dial_wake_ms = 0;
    while (lasting > ACTIVE_LINKS_MAX && (peer = least_useful(gossip, false, now_ms))) {
        gossip_hang_up(gossip, peer, "more links than this node keeps", now_ms);
        lasting--;
    }
    if (gossip_is_mesh(gossip) || lasting <= LINKS_CHOSEN)
        return;
    peer = least_useful(gossip, true, now_ms);
    if (peer)
        gossip_hang_up(gossip, peer, "not needed any more", now_ms);
}
