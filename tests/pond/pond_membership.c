/* Who holds whom for alive, and who is wrong. A node is well while it runs, does not stand still,
 * can write to its disk, is not clogged, and is on the side of the majority; its wall clock is wrong
 * by no more than clocks may be (faults_draw). Of two that are well, neither may hold the other dead
 * for long. */
#include "pond_parts.h"

/* Accusing takes a probe and a suspicion; a verdict that fell sooner is about what was before. */
#define VERDICT_US (15000 * MS_US)

/* The worst of 20,000 seeds is a third of it: see HACKING.md. Most of it is waiting for dials to
 * dead members, which come no oftener than one a second and are lost like other frames. */
#define HELD_DEAD_MAX_MS (30 * SECOND_MS)

void membership_unwell(struct pond *pond, struct pond_node *node, uint64_t until_us)
{
    if (until_us < pond->now_us)
        until_us = pond->now_us;
    if (node->well_since_us < until_us)
        node->well_since_us = until_us;
}

/* Of two sides the larger one is the pond; one that is not heard is none. */
static bool is_cut_off(const struct pond *pond, uint32_t node, size_t other_sides[2])
{
    uint8_t side = pond->cuts.side[node];

    if (side & (CUT_IN | CUT_OUT))
        return true;
    return pond->cuts.split &&
           (pond->cuts.one_way || 2 * other_sides[side & CUT_SIDE] <= pond->wish.nodes);
}

void membership_paths_changed(struct pond *pond)
{
    size_t sides[2] = {0};

    for (uint32_t i = 0; i < pond->wish.nodes; i++)
        sides[pond->cuts.side[i] & CUT_SIDE]++;
    for (uint32_t i = 0; i < pond->wish.nodes; i++) {
        struct pond_node *node = &pond->nodes[i];
        bool was = node->cut_off;

        node->cut_off = is_cut_off(pond, i, sides);
        if (was || node->cut_off)
            membership_unwell(pond, node, pond->now_us);
    }
}

static bool is_well(const struct pond *pond, const struct pond_node *node, uint64_t for_us)
{
    return is_healthy(node) && node->up && !node->cut_off &&
           node->well_since_us + for_us <= pond->now_us;
}

/* ---- what agents say ---- */

static void end_false(struct pond *pond, struct opinion *opinion)
{
    if (opinion->is_false)
        pond->sums.false_ms += (pond->now_us - opinion->since_us) / MS_US;
    opinion->is_false = false;
}

static void form(const struct pond *pond, struct opinion *opinion, enum gossip_state state)
{
    opinion->since_us = pond->now_us & ((1ull << 56) - 1);
    opinion->state = (unsigned)state & 0x7Fu;
    opinion->is_false = false;
}

void membership_said(struct pond *pond, struct pond_node *node, const struct effect *effect)
{
    struct pond_node *about = node_find(pond, &effect->member_changed.node);
    enum gossip_state state = effect->member_changed.state;
    struct opinion *opinion;

    if (!about)
        return; /* an identity that a fox made up */
    opinion = &node->opinions[about->index];
    end_false(pond, opinion);
    form(pond, opinion, state);
    if (!is_well(pond, node, VERDICT_US) || !is_well(pond, about, VERDICT_US))
        return;
    pond->sums.suspected += state == GOSSIP_SUSPECT;
    pond->sums.false_deaths += state == GOSSIP_DEAD;
    opinion->is_false = state == GOSSIP_DEAD;
}

/* The agent is born anew, and knows nothing but what the disk holds. */
void membership_forget(struct pond *pond, struct pond_node *node)
{
    for (size_t i = 0; i < pond->count; i++) {
        end_false(pond, &node->opinions[i]);
        form(pond, &node->opinions[i], GOSSIP_ALIVE);
    }
}

/* ---- the laws ---- */

static uint64_t later(uint64_t left, uint64_t right)
{
    return left > right ? left : right;
}

static void judge_pair(struct pond *pond, const struct pond_node *node,
                       const struct pond_node *about)
{
    const struct opinion *opinion = &node->opinions[about->index];
    uint64_t since_us, held_ms;

    if (opinion->state != GOSSIP_DEAD || !is_well(pond, about, 0))
        return;
    since_us = later(opinion->since_us, later(node->well_since_us, about->well_since_us));
    held_ms = (pond->now_us - since_us) / MS_US;
    if (held_ms > pond->sums.held_dead_ms)
        pond->sums.held_dead_ms = held_ms;
    if (held_ms > HELD_DEAD_MAX_MS)
        law_broken(pond, "no healthy node is held dead for longer than half a minute",
                   "%s has held %s dead for %llu ms, while both were well", node->name, about->name,
                   (unsigned long long)held_ms);
}

void membership_look(struct pond *pond)
{
    for (size_t i = 0; i < pond->wish.nodes; i++) {
        const struct pond_node *node = &pond->nodes[i];

        if (!is_well(pond, node, 0))
            continue;
        for (size_t other = 0; other < pond->wish.nodes; other++)
            if (other != i)
                judge_pair(pond, node, &pond->nodes[other]);
    }
}

/* What the agent itself says, whatever it told before. */
static bool sees_all(struct pond *pond, const struct pond_node *node, char why[256])
{
    struct moment at = node_moment(pond, node);
    size_t count = agent_members(node->agent, &at, pond->members, NODES_MAX), alive = 0;

    for (size_t i = 0; i < count; i++) {
        const struct pond_node *other = node_find(pond, &pond->members[i].node);

        if (!other || !is_healthy(other))
            continue;
        if (pond->members[i].state != GOSSIP_ALIVE) {
            snprintf(why, 256, "%s says that %s is %s", node->name, other->name,
                     gossip_state_name(pond->members[i].state));
            return false;
        }
        alive++;
    }
    if (alive + 1 < pond->wish.nodes)
        snprintf(why, 256, "%s knows %zu of %zu others", node->name, alive, pond->wish.nodes - 1);
    return alive + 1 >= pond->wish.nodes;
}

bool pond_sees_all(struct pond *pond, char why[256])
{
    why[0] = 0;
    if (!pond->members)
        pond->members = memory_take(NODES_MAX * sizeof *pond->members);
    for (size_t i = 0; i < pond->wish.nodes; i++)
        if (pond->nodes[i].up && !sees_all(pond, &pond->nodes[i], why))
            return false;
    return true;
}
