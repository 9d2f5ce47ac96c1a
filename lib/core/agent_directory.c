/* The directory: what this node publishes, what it takes from others, what it passes on. */
#include "agent_parts.h"

#include <stdio.h>

#define DIGEST_PAGES_MAX 16 /* of DIGEST_HASHES_PER_FRAME_MAX: covers DIRECTORY_MAX */
#define EXPIRE_AT_ONCE_MAX 256

static bool is_own(const struct agent *agent, const struct id *owner)
{
    return id_equal(owner, &agent->node) || agent_hosted(agent, owner);
}

/* What a record means to the other machines. */
static void learn(struct agent *agent, const struct record *record)
{
    if (record->kind != RECORD_NODE || id_equal(&record->owner, &agent->node))
        return;
    if (record->deleted)
        gossip_leave(agent->gossip, &record->owner);
    else
        gossip_learn(agent->gossip, &record->owner, record->version);
}

void agent_restore_record(struct agent *agent, const struct offered_record *offered)
{
    struct hash replaced;

    if (directory_offer(agent->directory, &offered->record, &replaced) == DIRECTORY_TAKEN) {
        agent_count_record(agent, &replaced, false);
        agent_count_record(agent, &offered->record.hash, true);
        learn(agent, &offered->record);
    }
    if (is_own(agent, &offered->record.owner) &&
        version_compare(offered->record.version, agent->last_version) > 0)
        agent->last_version = offered->record.version;
}

/* Takes a record that is known to be true, if it is newer; it then is kept and is news. */
static enum directory_verdict take(struct agent *agent, const struct offered_record *offered,
                                   const struct id *from, bool own, struct effects *effects)
{
    struct hash replaced = {0};
    enum directory_verdict verdict = directory_offer(agent->directory, &offered->record, &replaced);
    struct effect *effect;

    if (verdict != DIRECTORY_TAKEN)
        return verdict;
    agent_count_record(agent, &replaced, false);
    agent_count_record(agent, &offered->record.hash, true);
    learn(agent, &offered->record);
    effect = effects_add(effects, EFFECT_KEEP_RECORD);
    effect->record.item = *offered;
    effect->record.replaced = replaced;
    effect->record.own = own;
    effect = effects_add(effects, EFFECT_RECORD_CHANGED);
    effect->record_changed.owner = offered->record.owner;
    effect->record_changed.kind = offered->record.kind;
    agent->news =
        agent_grow(agent->news, agent->news_count, &agent->news_capacity, sizeof *agent->news);
    agent->news[agent->news_count++] =
        (struct news){.wire = offered->wire, .chain = offered->chain, .from = *from};
    return verdict;
}

/* A record of ours that comes back newer than anything we said: an earlier life of this node,
 * whose store is lost, or whose clock was ahead. We outbid it. */
static void outbid(struct agent *agent, const struct record *record, const struct moment *at,
                   struct effects *effects)
{
    struct duckling *duckling = agent_hosted(agent, &record->owner);
    const struct directory_entry *held =
        directory_find(agent->directory, &record->owner, record->kind);

    if (held && hash_equal(&held->hash, &record->hash))
        return;
    if (version_compare(record->version, agent->last_version) <= 0)
        return;
    agent->last_version = record->version;
    agent_log(effects, LOG_WARNING, "a %s record of ours came back newer than the last we signed",
              record_kind_name(record->kind));
    if (record->kind == RECORD_NODE)
        agent_publish_node(agent, at, effects);
    else if (record->kind == RECORD_METRICS)
        agent->metrics_changed = true;
    else if (record->kind == RECORD_DUCKLING && duckling)
        agent_publish_duckling(agent, duckling, at, effects);
}

void agent_offer_record(struct agent *agent, const struct offered_record *offered,
                        const struct id *from, const struct moment *at, struct effects *effects)
{
    enum directory_verdict verdict;

    if (is_own(agent, &offered->record.owner)) {
        outbid(agent, &offered->record, at, effects);
        return;
    }
    verdict = take(agent, offered, from, false, effects);
    switch (verdict) {
    case DIRECTORY_TAKEN:
    case DIRECTORY_SAME:
    case DIRECTORY_OLDER:
        break;
    case DIRECTORY_QUOTA:
    case DIRECTORY_FULL:
        agent->records_refused++;
        agent_log(effects, LOG_DEBUG, "a %s record is refused: %s",
                  record_kind_name(offered->record.kind), directory_verdict_text(verdict));
        break;
    }
}

/* ---- publishing ---- */

struct author {
    const struct id *id;
    const struct identity_key *key;
    struct bytes chain;
};

static struct author node_author(const struct agent *agent)
{
    return (struct author){
        .id = &agent->node, .key = agent->settings.node_key, .chain = agent->settings.node_chain};
}

static void publish(struct agent *agent, const struct author *author, enum record_kind kind,
                    struct bytes key, struct bytes content, const struct moment *at,
                    struct effects *effects, struct bytes *wire)
{
    static const struct id nobody;
    struct offered_record offered = {0};
    struct record *record = &offered.record;
    enum directory_verdict taken;
    enum record_verdict form;
    struct bytes body;

    agent->last_version = version_next(agent->last_version, at->wall_ms);
    record->network = agent->settings.network;
    record->owner = *author->id;
    record->kind = kind;
    record->key = key;
    record->version = agent->last_version;
    record->not_after_ms = at->wall_ms + RECORD_LIFE_MS;
    record->deleted = agent->leaving && kind == RECORD_NODE;
    record->content = record->deleted ? bytes_of(NULL, 0) : content;
    form = record_pack(record, &effects->arena, &body);
    if (form != RECORD_OK) {
        agent_log(effects, LOG_ERROR, "cannot publish a %s record: %s", record_kind_name(kind),
                  record_verdict_text(form));
        return;
    }
    offered.wire =
        envelope_seal(ENVELOPE_RECORD, author->id, author->key, body, &effects->arena, NULL);
    offered.chain = author->chain;
    taken = take(agent, &offered, &nobody, true, effects);
    if (taken != DIRECTORY_TAKEN)
        agent_log(effects, LOG_WARNING, "our own %s record is not held: %s", record_kind_name(kind),
                  directory_verdict_text(taken));
    if (wire)
        *wire = offered.wire;
}

void agent_publish_node(struct agent *agent, const struct moment *at, struct effects *effects)
{
    struct author author = node_author(agent);
    struct node_content content = {
        .address_count = agent->settings.address_count,
        .session_not_after_ms = agent->settings.session_not_after_ms,
        .software = agent->settings.software,
        .display_name = agent->settings.display_name,
    };
    struct bytes wire = {0};
    struct effect *effect;

    for (size_t i = 0; i < content.address_count; i++)
        content.addresses[i] = agent->settings.addresses[i];
    memcpy(content.session_key, agent->settings.session_key, sizeof content.session_key);
    publish(agent, &author, RECORD_NODE, bytes_of(NULL, 0),
            node_content_pack(&content, &effects->arena), at, effects, &wire);
    agent->node_refresh_at_ms =
        at->now_ms + RECORD_REFRESH_MS - dice_jitter_ms(&agent->dice, HOUR_MS);
    if (wire.size == 0 || agent->leaving)
        return;
    effect = effects_add(effects, EFFECT_INTRODUCE);
    effect->introduce.introduction = introduction_pack(author.chain, wire, &effects->arena);
}

void agent_publish_duckling(struct agent *agent, struct duckling *duckling, const struct moment *at,
                            struct effects *effects)
{
    struct author author = {.id = &duckling->id, .key = duckling->key, .chain = duckling->chain};
    struct duckling_content content = {
        .host = agent->node,
        .display_name = duckling->profile.display_name,
        .bio = duckling->profile.bio,
        .capability_count = duckling->profile.capability_count,
        .accepts_pecks = duckling->profile.accepts_pecks,
    };

    for (size_t i = 0; i < content.capability_count; i++)
        content.capabilities[i] = duckling->profile.capabilities[i];
    publish(agent, &author, RECORD_DUCKLING, bytes_of(NULL, 0),
            duckling_content_pack(&content, &effects->arena), at, effects, NULL);
    duckling->refresh_at_ms =
        at->now_ms + RECORD_REFRESH_MS - dice_jitter_ms(&agent->dice, HOUR_MS);
    if (duckling->refresh_at_ms < agent->ducklings_refresh_at_ms)
        agent->ducklings_refresh_at_ms = duckling->refresh_at_ms;
}

/* Each end says it of the other; who reads both believes the bond. */
void agent_publish_bonded(struct agent *agent, struct duckling *duckling, const struct bond *bond,
                          const struct moment *at, struct effects *effects)
{
    const struct id *other =
        id_equal(&bond->requester, &duckling->id) ? &bond->approver : &bond->requester;
    struct author author = {.id = &duckling->id, .key = duckling->key, .chain = duckling->chain};
    struct attestation_content content = {
        .subject = *other, .claim = bytes_of_text("bonded"), .proof = id_bytes(&bond->id)};
    char text[ID_TEXT_SIZE], key[RECORD_KEY_MAX];

    snprintf(key, sizeof key, "bonded:%s", id_text(ID_DUCKLING, other, text));
    publish(agent, &author, RECORD_ATTESTATION, arena_copy(&effects->arena, bytes_of_text(key)),
            attestation_content_pack(&content, &effects->arena), at, effects, NULL);
}

static uint64_t count_alive(const struct agent *agent, const struct moment *at)
{
    uint64_t alive = 0;

    for (size_t i = 0; i < agent->hosted_slots; i++)
        if (agent->hosted[i] && agent->hosted[i]->pulse_ms + ALIVE_WITHIN_MS > at->wall_ms)
            alive++;
    return alive;
}

void agent_publish_metrics(struct agent *agent, const struct moment *at, struct effects *effects)
{
    struct author author = node_author(agent);
    struct metrics_content *metrics = &agent->counters;

    metrics->ducklings = agent->hosted_count;
    metrics->space_ducks = count_alive(agent, at);
    publish(agent, &author, RECORD_METRICS, bytes_of(NULL, 0),
            metrics_content_pack(metrics, &effects->arena), at, effects, NULL);
    agent->metrics_changed = false;
    agent->metrics_at_ms = at->now_ms + METRICS_REFRESH_MS;
}

static void refresh_ducklings(struct agent *agent, const struct moment *at, struct effects *effects)
{
    agent->ducklings_refresh_at_ms = MOMENT_NEVER;
    for (size_t i = 0; i < agent->hosted_slots; i++) {
        struct duckling *duckling = agent->hosted[i];

        if (!duckling)
            continue;
        if (duckling->refresh_at_ms <= at->now_ms)
            agent_publish_duckling(agent, duckling, at, effects);
        if (duckling->refresh_at_ms < agent->ducklings_refresh_at_ms)
            agent->ducklings_refresh_at_ms = duckling->refresh_at_ms;
    }
}

void agent_refresh_records(struct agent *agent, const struct moment *at, struct effects *effects)
{
    struct hash ended[EXPIRE_AT_ONCE_MAX];
    size_t count;

    if (agent->node_refresh_at_ms <= at->now_ms) {
        agent_publish_node(agent, at, effects);
        agent->metrics_changed = true;
    }
    if (agent->ducklings_refresh_at_ms <= at->now_ms)
        refresh_ducklings(agent, at, effects);
    if (agent->metrics_changed && agent->metrics_at_ms <= at->now_ms)
        agent_publish_metrics(agent, at, effects);
    if (directory_next_expiry_ms(agent->directory) >= at->wall_ms)
        return;
    count = directory_expire(agent->directory, at->wall_ms, ended, EXPIRE_AT_ONCE_MAX);
    for (size_t i = 0; i < count; i++) {
        agent_count_record(agent, &ended[i], false);
        effects_add(effects, EFFECT_DROP_RECORD)->record.dropped = ended[i];
    }
    if (count > 0)
        agent_forget_expired(agent);
}

uint64_t agent_directory_wake_at_ms(const struct agent *agent, const struct moment *at)
{
    uint64_t wake_ms = agent->node_refresh_at_ms;
    uint64_t expiry_ms = directory_next_expiry_ms(agent->directory);

    if (agent->ducklings_refresh_at_ms < wake_ms)
        wake_ms = agent->ducklings_refresh_at_ms;
    if (agent->metrics_changed && agent->metrics_at_ms < wake_ms)
        wake_ms = agent->metrics_at_ms;
    if (expiry_ms != MOMENT_NEVER) {
        uint64_t in_ms = expiry_ms > at->wall_ms ? expiry_ms - at->wall_ms : 0;

        if (at->now_ms + in_ms + 1 < wake_ms)
            wake_ms = at->now_ms + in_ms + 1;
    }
    return wake_ms;
}

/* ---- exchange ---- */

void agent_send_digest(struct agent *agent, const struct id *node, struct effects *effects)
{
    struct hash first = {0}, last;
    uint8_t(*prefixes)[8] =
        arena_take(&effects->arena, DIGEST_HASHES_PER_FRAME_MAX * sizeof *prefixes);

    for (int page = 0; page < DIGEST_PAGES_MAX && prefixes; page++) {
        size_t count = directory_digest(agent->directory, &first, &last, prefixes,
                                        DIGEST_HASHES_PER_FRAME_MAX);
        size_t i = HASH_SIZE;

        agent_send(
            node, FRAME_DIGEST,
            frame_pack_digest(&first, &last, (const uint8_t(*)[8])prefixes, count, &effects->arena),
            effects);
        /* The next page begins one above where this one ended; past all ones it is the end. */
        first = last;
        while (i > 0 && ++first.bytes[i - 1] == 0)
            i--;
        if (i == 0)
            break;
    }
}

void agent_take_digest(struct agent *agent, const struct event *event, struct effects *effects)
{
    struct hash *hashes = arena_take(&effects->arena, DIGEST_HASHES_PER_FRAME_MAX * sizeof *hashes);
    size_t count;

    if (!hashes)
        return;
    count = directory_lacking(agent->directory, &event->digest.first, &event->digest.last,
                              event->digest.prefixes, event->digest.count, hashes,
                              DIGEST_HASHES_PER_FRAME_MAX);
    for (size_t i = 0; i < count; i += RECORDS_PER_FRAME_MAX) {
        struct effect *effect = effects_add(effects, EFFECT_SEND_RECORDS);

        effect->send_records.node = event->node;
        effect->send_records.hashes = hashes + i;
        effect->send_records.count =
            count - i < RECORDS_PER_FRAME_MAX ? count - i : RECORDS_PER_FRAME_MAX;
    }
}

static void tell_news(const struct agent *agent, const struct id *node, struct effects *effects)
{
    struct bytes chains[RECORDS_PER_FRAME_MAX], records[RECORDS_PER_FRAME_MAX];
    size_t count = 0;

    for (size_t i = 0; i < agent->news_count; i++) {
        if (!id_equal(&agent->news[i].from, node)) {
            chains[count] = agent->news[i].chain;
            records[count++] = agent->news[i].wire;
        }
        if (count == RECORDS_PER_FRAME_MAX || (count > 0 && i + 1 == agent->news_count)) {
            agent_send(node, FRAME_RECORDS,
                       frame_pack_records(chains, records, count, &effects->arena), effects);
            count = 0;
        }
    }
}

void agent_spread_news(struct agent *agent, struct effects *effects)
{
    struct id *nodes;
    size_t count;

    if (agent->news_count == 0)
        return;
    nodes = arena_take(&effects->arena, (gossip_links(agent->gossip) + 1) * sizeof *nodes);
    count = nodes ? gossip_linked(agent->gossip, nodes, gossip_links(agent->gossip)) : 0;
    for (size_t i = 0; i < count; i++)
        tell_news(agent, &nodes[i], effects);
    agent->news_count = 0;
}
