/* How changes spread: when how many nodes hold one, over how many hops it came, how often each node
 * got it. And the rest of the figures. */
#include "pond_parts.h"

#define CHANGES_MAX 4096u

void spread_begin(struct pond *pond, struct pond_node *node, struct pooled *record)
{
    struct change *change;

    if (record->change || pond->change_count == CHANGES_MAX)
        return;
    if (pond->change_count == pond->change_capacity) {
        pond->change_capacity = pond->change_capacity ? pond->change_capacity * 2 : 16;
        pond->changes = memory_resize(pond->changes, pond->change_capacity * sizeof *pond->changes);
    }
    change = &pond->changes[pond->change_count++];
    *change = (struct change){.at_ms = pond->now_us / MS_US,
                              .half_ms = MOMENT_NEVER,
                              .most_ms = MOMENT_NEVER,
                              .all_ms = MOMENT_NEVER,
                              .origin = node->index,
                              .hops = memory_take(pond->count)};
    record->change = (uint32_t)pond->change_count;
}

void spread_arrived(struct pond *pond, struct pond_node *node, const struct event *event)
{
    (void)node;
    if (event->kind != EVENT_RECORDS || pond->change_count == 0)
        return;
    for (size_t i = 0; i < event->records.count; i++) {
        const struct pooled *record =
            records_find(pond->records, &event->records.items[i].record.hash);

        if (record && record->change)
            pond->changes[record->change - 1].copies++;
    }
}

void spread_held(struct pond *pond, struct pond_node *node, struct pooled *record,
                 const struct id *from)
{
    struct change *change;
    const struct pond_node *teller;
    size_t healthy = pond->wish.nodes;
    uint64_t after_ms;

    if (!record->change)
        return;
    change = &pond->changes[record->change - 1];
    if (change->hops[node->index])
        return;
    teller = node_find(pond, from);
    after_ms = pond->now_us / MS_US - change->at_ms;
    change->hops[node->index] = teller && change->hops[teller->index] < UINT8_MAX
                                    ? (uint8_t)(change->hops[teller->index] + 1)
                                    : 1;
    change->holders++;
    if (change->half_ms == MOMENT_NEVER && 2 * change->holders >= healthy)
        change->half_ms = after_ms;
    if (change->most_ms == MOMENT_NEVER && 1000 * change->holders >= 999 * healthy)
        change->most_ms = after_ms;
    if (change->holders == healthy)
        change->all_ms = after_ms;
}

/* ---- agreement ---- */

static void tell_difference(const struct pond *pond, const struct pond_node *one,
                            const struct pond_node *other, char why[256])
{
    const struct held_set *set = &one->store.records;

    for (size_t i = 0; i < set->slot_count; i++) {
        const struct pooled *record =
            set->slots[i] ? records_at(pond->records, set->slots[i] - 1) : NULL;
        const struct owner *owner;

        if (!record || record->fleeting || held_set_has(&other->store.records, record))
            continue;
        owner = records_owner(pond->records, &record->owner);
        snprintf(why, 256,
                 "%s holds %zu records and %s %zu; only the first holds a %s record of %s, version "
                 "%llu.%u",
                 one->name, set->count, other->name, other->store.records.count,
                 record_kind_name(record->kind), owner ? pond->nodes[owner->node].name : "nobody",
                 (unsigned long long)record->version.ms, record->version.count);
        return;
    }
}

bool pond_agrees(struct pond *pond, char why[256])
{
    const struct pond_node *first = NULL;

    why[0] = 0;
    for (size_t i = 0; i < pond->wish.nodes; i++) {
        const struct pond_node *node = &pond->nodes[i];
        const struct held_set *set = &node->store.records;

        if (!node->up)
            continue;
        if (!first)
            first = node;
        if (set->lasting == first->store.records.lasting &&
            memcmp(set->sums, first->store.records.sums, sizeof set->sums) == 0)
            continue;
        tell_difference(pond, node, first, why);
        if (!why[0])
            tell_difference(pond, first, node, why);
        return false;
    }
    return true;
}

/* ---- figures ---- */

static void sum_spread(const struct pond *pond, struct pond_figures *figures)
{
    double copies = 0;
    size_t half = 0, most = 0;

    figures->changes = pond->change_count;
    for (size_t i = 0; i < pond->change_count; i++) {
        const struct change *change = &pond->changes[i];

        copies += (double)change->copies / (double)pond->wish.nodes;
        for (size_t node = 0; node < pond->wish.nodes; node++)
            if (change->hops[node] > figures->hops_max + 1)
                figures->hops_max = change->hops[node] - 1u;
        if (change->half_ms != MOMENT_NEVER) {
            half++;
            figures->half_ms_mean += (double)change->half_ms;
            if (change->half_ms > figures->half_ms)
                figures->half_ms = change->half_ms;
        }
        if (change->most_ms != MOMENT_NEVER) {
            most++;
            figures->most_ms_mean += (double)change->most_ms;
            if (change->most_ms > figures->most_ms)
                figures->most_ms = change->most_ms;
        }
        if (change->all_ms == MOMENT_NEVER)
            continue;
        figures->changes_whole++;
        figures->all_ms_mean += (double)change->all_ms;
        if (change->all_ms > figures->all_ms)
            figures->all_ms = change->all_ms;
    }
    figures->half_ms_mean /= half ? (double)half : 1;
    figures->most_ms_mean /= most ? (double)most : 1;
    figures->all_ms_mean /= figures->changes_whole ? (double)figures->changes_whole : 1;
    figures->copies_mean = pond->change_count ? copies / (double)pond->change_count : 0;
}

static void sum_nodes(const struct pond *pond, struct pond_figures *figures)
{
    double seconds = (double)(pond->now_us - pond->figures_from_us) / 1e6, links = 0, rates = 0;

    figures->records_min = figures->degree_min = SIZE_MAX;
    for (size_t i = 0; i < pond->wish.nodes; i++) {
        const struct pond_node *node = &pond->nodes[i];
        size_t records = node->store.records.count;
        double rate = seconds > 0 ? (double)(node->bytes_out - node->bytes_mark) / seconds : 0;

        figures->healthy += node->up;
        if (records < figures->records_min)
            figures->records_min = records;
        if (records > figures->records_max)
            figures->records_max = records;
        if (node->link_count < figures->degree_min)
            figures->degree_min = node->link_count;
        if (node->link_count > figures->degree_max)
            figures->degree_max = node->link_count;
        links += (double)node->link_count;
        rates += rate;
        if (rate > figures->bytes_per_node_s_max)
            figures->bytes_per_node_s_max = rate;
    }
    figures->degree_mean = links / (double)pond->wish.nodes;
    figures->bytes_per_node_s_mean = rates / (double)pond->wish.nodes;
}

static uint64_t contradicted_at(const struct pond_node *node)
{
    struct agent_figures figures = {0};

    if (node->up)
        agent_figures(node->agent, &figures);
    return figures.contradicted;
}

void pond_figures(struct pond *pond, struct pond_figures *figures)
{
    *figures = pond->sums;
    sum_spread(pond, figures);
    sum_nodes(pond, figures);
    figures->contradicted = contradicted_at(&pond->nodes[0]);
}

void pond_figures_begin(struct pond *pond)
{
    pond->figures_from_us = pond->now_us;
    for (size_t i = 0; i < pond->count; i++)
        pond->nodes[i].bytes_mark = pond->nodes[i].bytes_out;
}
