/* News: what changed is told to neighbours, a round at a time. */
#include "agent_parts.h"

void agent_add_news(struct agent *agent, const struct offered_record *offered,
                    const struct id *from, const struct moment *at)
{
    size_t budget = id_is_zero(from)
                        ? gossip_links(agent->gossip)
                        : news_budget(directory_count_kind(agent->directory, RECORD_NODE));

    if (agent->filling && offered->record.version.ms + NEWS_OLD_MS < at->wall_ms)
        return; /* nobody else begins as empty as we do */
    if (!agent->started || !news_add(agent->news, &offered->record, from, budget, at->now_ms))
        return;
    agent->fresh =
        agent_grow(agent->fresh, agent->fresh_count, &agent->fresh_capacity, sizeof *agent->fresh);
    agent->fresh[agent->fresh_count++] = (struct fresh){
        .hash = offered->record.hash, .wire = offered->wire, .chain = offered->chain};
}

static const struct fresh *find_fresh(const struct agent *agent, const struct hash *hash)
{
    for (size_t i = agent->fresh_count; i-- > 0;)
        if (hash_equal(&agent->fresh[i].hash, hash))
            return &agent->fresh[i];
    return NULL;
}

/* What came in this turn goes out with the bytes at hand; a later ride reads the store. */
static void tell(const struct agent *agent, const struct id *node, const struct hash *hashes,
                 size_t count, struct effects *effects)
{
    struct bytes chains[NEWS_PER_FRAME_MAX], records[NEWS_PER_FRAME_MAX];
    struct hash *later = arena_take(&effects->arena, count * sizeof *later);
    size_t now_count = 0, later_count = 0;
    struct effect *effect;

    for (size_t i = 0; i < count && later; i++) {
        const struct fresh *fresh = find_fresh(agent, &hashes[i]);

        if (fresh) {
            chains[now_count] = fresh->chain;
            records[now_count++] = fresh->wire;
        } else {
            later[later_count++] = hashes[i];
        }
    }
    if (now_count > 0)
        agent_send(node, FRAME_RECORDS,
                   frame_pack_records(chains, records, now_count, &effects->arena), effects);
    if (later_count == 0)
        return;
    effect = effects_add(effects, EFFECT_SEND_RECORDS);
    effect->send_records.node = *node;
    effect->send_records.hashes = later;
    effect->send_records.count = later_count;
}

static void shuffle(struct dice *dice, struct id *nodes, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t other = dice_below(dice, i);
        struct id moved = nodes[i - 1];

        nodes[i - 1] = nodes[other];
        nodes[other] = moved;
    }
}

void agent_spread_news(struct agent *agent, const struct moment *at, struct effects *effects)
{
    struct id *nodes;
    size_t count;

    if (news_begin(agent->news, at->now_ms)) {
        nodes = arena_take(&effects->arena, (gossip_links(agent->gossip) + 1) * sizeof *nodes);
        count = nodes ? gossip_linked(agent->gossip, nodes, gossip_links(agent->gossip)) : 0;
        shuffle(&agent->dice, nodes, count);
        for (size_t i = 0; i < count && news_has_more(agent->news); i++) {
            struct hash hashes[NEWS_PER_FRAME_MAX];
            size_t told = news_poll(agent->news, &nodes[i], hashes, NEWS_PER_FRAME_MAX);

            if (told > 0)
                tell(agent, &nodes[i], hashes, told, effects);
        }
        news_end(agent->news, at->now_ms);
    }
    agent->fresh_count = 0;
}
