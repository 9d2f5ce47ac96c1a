/* Faults. A seed draws which of the wished ones happen, and how often each (swarm testing): a pond
 * with all of them at once hides what a few would show. */
#include "pond_parts.h"

#define STEP_US (250 * MS_US)

static bool draws(struct pond *pond, enum fault fault)
{
    return (pond->wish.faults & fault) && (pond->wish.steady || dice_below(&pond->fault_dice, 2));
}

/* Bounds after TigerBeetle's simulator, as far as it has the same fault. */
void faults_draw(struct pond *pond)
{
    struct dice *dice = &pond->fault_dice;
    struct rates *rates = &pond->rates;

    if (draws(pond, FAULT_LOSS))
        rates->loss_ppm = (uint32_t)between(dice, 1000, 300000);
    if (draws(pond, FAULT_DELAY))
        rates->slow_us = (uint32_t)between(dice, 20000, 200000);
    if (draws(pond, FAULT_DUPLICATE))
        rates->duplicate_ppm = (uint32_t)between(dice, 1000, 500000);
    if (draws(pond, FAULT_PARTITION))
        rates->partition_ms = (uint32_t)between(dice, 5000, 60000);
    if (draws(pond, FAULT_CLOG))
        rates->clog_ms = (uint32_t)between(dice, 2000, 30000);
    if (draws(pond, FAULT_PAUSE))
        rates->pause_ms = (uint32_t)between(dice, 2000, 30000);
    if (draws(pond, FAULT_CRASH))
        rates->crash_ms = (uint32_t)between(dice, 3000, 30000);
    if (draws(pond, FAULT_POWER))
        rates->power_ms = (uint32_t)between(dice, 3000, 60000);
    if (draws(pond, FAULT_CLOCK)) {
        rates->jump_ms = (uint32_t)between(dice, 3000, 60000);
        rates->skew_ms = (uint32_t)between(dice, 100, 2 * MINUTE_MS);
    }
    if (draws(pond, FAULT_DISK))
        rates->disk_ms = (uint32_t)between(dice, 3000, 60000);
    if (draws(pond, FAULT_SLOW))
        rates->turn_us = (uint32_t)between(dice, 100, 20000);
}

/* ---- cuts ---- */

static struct cuts copy_cuts(const struct pond *pond)
{
    struct cuts copy = pond->cuts;

    copy.side = memory_copy(pond->cuts.side, pond->count);
    return copy;
}

static void split(struct pond *pond)
{
    struct cuts cuts = copy_cuts(pond);
    struct dice *dice = &pond->fault_dice;
    bool alone = dice_below(dice, 3) == 0;
    size_t who = dice_below(dice, pond->count);
    uint32_t ppm = (uint32_t)between(dice, 100000, 900000);

    cuts.split = true;
    cuts.one_way = dice_below(dice, 3) == 0;
    for (size_t i = 0; i < pond->count; i++) {
        cuts.side[i] &= (uint8_t)~CUT_SIDE;
        if (alone ? i == who : one_in(dice, ppm))
            cuts.side[i] |= CUT_SIDE;
    }
    pond->split_until_us = pond->now_us + between(dice, 500, 40000) * MS_US;
    pond->sums.partitions++;
    trace_line(pond, NULL, "%s%s is cut off", alone ? pond->nodes[who].name : "a group",
               cuts.one_way ? " that is still heard" : "");
    network_set_cuts(pond, &cuts);
}

void pond_heal(struct pond *pond)
{
    struct cuts cuts = {.side = memory_take(pond->count)};

    trace_line(pond, NULL, "all paths are whole");
    network_set_cuts(pond, &cuts);
}

void pond_split(struct pond *pond, const size_t *side, size_t count, bool one_way)
{
    struct cuts cuts = {.split = true, .one_way = one_way, .side = memory_take(pond->count)};

    for (size_t i = 0; i < count; i++)
        cuts.side[side[i]] = CUT_SIDE;
    pond->split_until_us = UINT64_MAX;
    trace_line(pond, NULL, "%zu of %zu are cut off", count, pond->count);
    network_set_cuts(pond, &cuts);
}

void pond_cut_off(struct pond *pond, size_t node, const size_t *from, size_t count)
{
    struct cuts cuts = {.side = memory_take(pond->count)};

    cuts.side[node] = CUT_ONE;
    for (size_t i = 0; i < count; i++)
        cuts.side[from[i]] = CUT_SOME;
    network_set_cuts(pond, &cuts);
}

/* ---- single nodes ---- */

/* Each kind comes once in `every_ms` on the average, to one node of all. */
static struct pond_node *struck(struct pond *pond, uint32_t every_ms)
{
    struct pond_node *node;

    if (!every_ms || dice_below(&pond->fault_dice, every_ms) >= STEP_US / MS_US)
        return NULL;
    node = &pond->nodes[dice_below(&pond->fault_dice, pond->wish.nodes)];
    return node->up ? node : NULL;
}

static void start_later(struct pond *pond, struct pond_node *node)
{
    plan(pond, between(&pond->fault_dice, 100, 20000) * MS_US,
         (struct happening){.kind = HAPPENING_START, .node = node->index});
}

static void strike_processes(struct pond *pond)
{
    struct pond_node *node = struck(pond, pond->rates.crash_ms);

    if (node) {
        pond->sums.crashes++;
        if (dice_below(&pond->fault_dice, 2)) {
            node_end(pond, node, false);
            start_later(pond, node);
        } else {
            pond->torn_node = node->index; /* in its next turn */
        }
    }
    node = struck(pond, pond->rates.power_ms);
    if (node) {
        pond->sums.power_cuts++;
        node_end(pond, node, true);
        start_later(pond, node);
    }
    node = struck(pond, pond->rates.pause_ms);
    if (node) {
        pond->sums.pauses++;
        node_pause(pond, node, between(&pond->fault_dice, 1000, 30000) * MS_US);
    }
}

static void strike_machines(struct pond *pond)
{
    struct dice *dice = &pond->fault_dice;
    struct pond_node *node = struck(pond, pond->rates.clog_ms);

    if (node) {
        pond->sums.clogs++;
        node->clogged_until_us = pond->now_us + between(dice, 500, 10000) * MS_US;
        membership_unwell(pond, node, node->clogged_until_us);
        trace_line(pond, node, "is hard to reach");
    }
    node = struck(pond, pond->rates.jump_ms);
    if (node) {
        pond->sums.jumps++;
        node->skew_ms = (int64_t)dice_below(dice, 2ull * pond->rates.skew_ms + 1) -
                        (int64_t)pond->rates.skew_ms;
        trace_line(pond, node, "has a clock that is wrong by %lld ms", (long long)node->skew_ms);
    }
    node = struck(pond, pond->rates.disk_ms);
    if (node) {
        pond->sums.disks_full++;
        node->disk_full_until_us = pond->now_us + between(dice, 100, 8000) * MS_US;
        membership_unwell(pond, node, node->disk_full_until_us);
        trace_line(pond, node, "has a full disk");
    }
}

bool faults_tear(struct pond *pond, struct pond_node *node)
{
    if (!pond->faults_on || pond->torn_node != node->index)
        return false;
    pond->torn_node = NOBODY;
    return true;
}

void faults_step(struct pond *pond)
{
    if (!pond->faults_on)
        return;
    if (pond->cuts.split && pond->split_until_us <= pond->now_us)
        pond_heal(pond);
    else if (!pond->cuts.split && pond->count > 1 && struck(pond, pond->rates.partition_ms))
        split(pond);
    strike_processes(pond);
    strike_machines(pond);
    plan(pond, STEP_US, (struct happening){.kind = HAPPENING_FAULTS});
}

void pond_begin_faults(struct pond *pond)
{
    pond->faults_on = true;
    for (size_t i = 0; i < pond->wish.nodes && pond->rates.skew_ms; i++)
        pond->nodes[i].skew_ms =
            (int64_t)dice_below(&pond->fault_dice, 2ull * pond->rates.skew_ms + 1) -
            (int64_t)pond->rates.skew_ms;
    plan(pond, STEP_US, (struct happening){.kind = HAPPENING_FAULTS});
    trace_line(pond, NULL, "faults begin");
}

void pond_end_faults(struct pond *pond)
{
    trace_line(pond, NULL, "faults end");
    pond->faults_on = false;
    pond->life_rest = true;
    pond_heal(pond);
    for (size_t i = 0; i < pond->wish.nodes; i++) {
        struct pond_node *node = &pond->nodes[i];

        node->skew_ms = 0;
        node->well_since_us = pond->now_us;
        node->clogged_until_us = node->disk_full_until_us = 0;
        if (node->paused_until_us > pond->now_us) {
            node->paused_until_us = 0;
            plan(pond, 0,
                 (struct happening){
                     .kind = HAPPENING_TURN, .node = node->index, .life = node->life});
        }
        node_start(pond, node);
    }
}

/* ---- for stories ---- */

void pond_stop(struct pond *pond, size_t node, bool power_cut)
{
    node_end(pond, &pond->nodes[node], power_cut);
}

void pond_start(struct pond *pond, size_t node)
{
    node_start(pond, &pond->nodes[node]);
}

void pond_pause(struct pond *pond, size_t node, uint64_t ms)
{
    node_pause(pond, &pond->nodes[node], ms * MS_US);
}
