/* The directory: what this node publishes, what it takes from others, what it passes on. */
#include "agent_parts.h"
#include "keyring.h"

#include <stdio.h>

#define EXPIRE_AT_ONCE_MAX 256

/* Signed by a key that is here. */
static bool is_own(const struct agent *agent, const struct id *owner)
{
    const struct duckling *duckling = agent_hosted(agent, owner);

    return id_equal(owner, &agent->node) || (duckling && duckling->key);
}

static bool is_away(const struct record *record)
{
    struct node_content content = {0};
    struct arena arena;

    arena_init(&arena, PARSE_BUDGET(RECORD_SIZE_MAX));
    if (node_content_parse(record->content, &arena, &content) != RECORD_OK)
        content.away = false;
    arena_free(&arena);
    return content.away;
}

/* What a record means to the other machines. */
static void learn(struct agent *agent, const struct record *record)
{
    if ((record->kind != RECORD_NODE && record->kind != RECORD_REVOCATION) ||
        id_equal(&record->owner, &agent->node))
        return;
    if (record->kind == RECORD_REVOCATION) {
        gossip_forget(agent->gossip, &record->owner);
        if (!id_is_zero(&record->contradicted) && !id_equal(&record->contradicted, &agent->node))
            gossip_forget(agent->gossip, &record->contradicted);
    } else if (record->deleted || is_away(record))
        gossip_leave(agent->gossip, &record->owner, !record->deleted);
    else
        gossip_learn(agent->gossip, &record->owner, record->version);
}

static void note_drop(struct agent *agent, const struct directory_drop *dropped)
{
    agent_note_stamp(agent, dropped->kind, dropped->version, &dropped->hash, false);
}

/* The sets that are reconciled follow what is held. */
static void note_change(struct agent *agent, const struct record *record,
                        const struct directory_outcome *outcome)
{
    static const struct hash none;

    if (!hash_equal(&outcome->replaced.hash, &none))
        note_drop(agent, &outcome->replaced);
    for (size_t i = 0; i < outcome->dropped_count; i++) {
        note_drop(agent, &outcome->dropped[i]);
        if (outcome->dropped[i].kind == RECORD_NODE)
            gossip_forget(agent->gossip, &record->owner);
    }
    agent_note_stamp(agent, record->kind, record->version, &record->hash, true);
}

void agent_restore_record(struct agent *agent, const struct offered_record *offered,
                          const struct moment *at)
{
    struct directory_outcome outcome;

    directory_restore(agent->directory, &offered->record, at->wall_ms, &outcome);
    if (outcome.taken) {
        note_change(agent, &offered->record, &outcome);
        learn(agent, &offered->record);
    }
    if (is_own(agent, &offered->record.owner)) {
        if (version_compare(offered->record.version, agent->last_version) > 0)
            agent->last_version = offered->record.version;
    } else if (agent_hosted(agent, &offered->record.owner)) {
        agent_note_date(agent_hosted(agent, &offered->record.owner), offered->record.version);
    }
}

static void drop_record(const struct directory_drop *dropped, struct effects *effects)
{
    struct effect *effect = effects_add(effects, EFFECT_DROP_RECORD);

    effect->record.dropped = dropped->hash;
    effect->record.dropped_kind = dropped->kind;
    effect->record.mark_until_ms = dropped->mark_until_ms;
}

/* Before the record itself, which may take the place of the other one. */
static void keep_proof(const struct offered_record *offered, const struct hash *other,
                       const struct moment *at, struct effects *effects)
{
    struct effect *effect = effects_add(effects, EFFECT_KEEP_PROOF);

    effect->proof.wires[0] = offered->wire;
    effect->proof.other = *other;
    effect->proof.owner = offered->record.owner;
    effect->proof.quarantine_until_ms = at->wall_ms + QUARANTINE_MS;
    agent_log(effects, LOG_WARNING,
              "two %s records of one owner have the same version: it is left out for a day",
              record_kind_name(offered->record.kind));
}

bool agent_drop_record(struct agent *agent, const struct id *owner, enum record_kind kind,
                       const struct moment *at, struct effects *effects)
{
    struct directory_drop dropped;

    if (!directory_drop(agent->directory, owner, kind, at->wall_ms, &dropped))
        return false;
    note_drop(agent, &dropped);
    drop_record(&dropped, effects);
    return true;
}

void agent_void_older(struct agent *agent, const struct chain *chain, struct effects *effects)
{
    struct directory_drop drops[RECORDS_PER_OWNER_MAX];
    size_t count;

    if (chain->count <= KEYRING_RETIRED_MAX + 1)
        return;
    count = directory_void(agent->directory, &chain->identity,
                           chain->certificates[chain->count - 1 - KEYRING_RETIRED_MAX].issued_ms,
                           drops);
    for (size_t i = 0; i < count; i++) {
        note_drop(agent, &drops[i]);
        drop_record(&drops[i], effects);
    }
}

static void heed_rotations(struct agent *agent, struct bytes packed, struct effects *effects)
{
    struct arena arena;
    struct chain chain;

    if (chain_count(packed) <= KEYRING_RETIRED_MAX + 1)
        return;
    arena_init(&arena, PARSE_BUDGET(CHAIN_SIZE_MAX));
    if (chain_open(packed, &arena, &chain) == CERTIFICATE_TAKEN)
        agent_void_older(agent, &chain, effects);
    arena_free(&arena);
}

/* Takes a record that is known to be true, if it is newer; it then is kept and is news. */
static enum directory_verdict take(struct agent *agent, const struct offered_record *offered,
                                   const struct id *from, bool own, const struct moment *at,
                                   struct effects *effects)
{
    struct directory_outcome outcome;
    enum directory_verdict verdict =
        directory_offer(agent->directory, &offered->record, at->wall_ms, &outcome);
    struct effect *effect;

    if (outcome.proven)
        keep_proof(offered, &outcome.other, at, effects);
    if (!outcome.taken)
        return verdict;
    note_change(agent, &offered->record, &outcome);
    learn(agent, &offered->record);
    if (offered->record.kind == RECORD_NODE)
        agent_end_outgrown(agent, &offered->record.owner, offered->chain, effects);
    heed_rotations(agent, offered->chain, effects);
    for (size_t i = 0; i < outcome.dropped_count; i++)
        drop_record(&outcome.dropped[i], effects);
    effect = effects_add(effects, EFFECT_KEEP_RECORD);
    effect->record.item = *offered;
    effect->record.replaced = outcome.replaced.hash;
    effect->record.own = own;
    effect->record.dated_here = own && is_own(agent, &offered->record.owner);
    effect->record.puts_out = outcome.dropped_count > 0;
    effect = effects_add(effects, EFFECT_RECORD_CHANGED);
    effect->record_changed.owner = offered->record.owner;
    effect->record_changed.kind = offered->record.kind;
    agent_add_news(agent, offered, from, at);
    if (!own)
        agent_hear_of_bond(agent, &offered->record, effects);
    if (offered->record.kind == RECORD_REVOCATION)
        agent_heed_revocation(agent, &offered->record.owner, at, effects);
    if (!id_is_zero(&offered->record.contradicted))
        agent_heed_contradiction(agent, &offered->record.contradicted, at, effects);
    agent_heed_withdrawal(agent, &offered->withdrawn, at, effects);
    if (offered->record.kind == RECORD_NODE) /* it was judged before that was taken back */
        agent_part_with(agent, &offered->record.owner, at, effects);
    agent_hear_of_lobster(agent, offered, at, effects);
    return verdict;
}

enum directory_verdict agent_take_own(struct agent *agent, const struct offered_record *offered,
                                      const struct moment *at, struct effects *effects)
{
    static const struct id nobody;

    return take(agent, offered, &nobody, true, at, effects);
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
    agent_adopt(agent, record, effects);
    if (version_compare(record->version, agent->last_version) <= 0)
        return;
    agent->last_version = record->version;
    agent_log(effects, LOG_WARNING, "a %s record of ours came back newer than the last we signed",
              record_kind_name(record->kind));
    if (record->kind == RECORD_NODE)
        agent_publish_node(agent, at, effects);
    else if (record->kind == RECORD_METRICS)
        agent->metrics_changed = true;
    else if (record->kind == RECORD_DUCKLING && duckling && !agent->catching_up)
        agent_publish_duckling(agent, duckling, at, effects);
}

/* What we publish again and again. Other records of ours that an earlier life made are taken like
 * anybody's; a revocation was said elsewhere with our key, and stands. */
static bool is_outbid(uint32_t kind)
{
    return kind == RECORD_NODE || kind == RECORD_METRICS || kind == RECORD_DUCKLING;
}

bool agent_offer_record(struct agent *agent, const struct offered_record *offered,
                        const struct id *from, const struct moment *at, struct effects *effects)
{
    const struct record *record = &offered->record;
    enum directory_verdict verdict;

    if (offered
            ->only_seen) { /* its signature was not looked at: it may say who holds it, no more */
        news_heard(agent->news, record, from);
        return false;
    }
    if (is_own(agent, &record->owner) && !agent_heed_newer_key(agent, offered, effects) &&
        is_outbid(record->kind)) {
        outbid(agent, record, at, effects);
        return false;
    }
    if (agent_hosted(agent, &record->owner)) /* of one that keeps its own key */
        agent_hear_of_own_key(agent, offered, at, effects);
    verdict = take(agent, offered, from, false, at, effects);
    agent->records_by_verdict[verdict]++;
    if (verdict == DIRECTORY_TAKEN)
        return true;
    if (verdict == DIRECTORY_SAME) {
        news_heard(agent->news, record, from);
        return false;
    }
    repair_refuse(agent->repairs[record_set_of(record->kind) - 1], &record->hash);
    if (verdict == DIRECTORY_OLDER || verdict == DIRECTORY_BEHIND)
        return false;
    agent->records_refused++;
    agent_log(effects, LOG_DEBUG, "a %s record is refused: %s", record_kind_name(record->kind),
              directory_verdict_text(verdict));
    return false;
}

/* ---- publishing ---- */

/* Behind all that was said with the same key. One that keeps its own may have said something newer at another node. */
static struct version date(struct agent *agent, const struct statement *statement,
                           const struct moment *at)
{
    struct duckling *own =
        statement->by && !statement->by->key ? agent_hosted(agent, &statement->by->id) : NULL;
    struct version *last = own ? &own->dated : &agent->last_version;
    const struct directory_entry *held =
        own ? directory_find_key(agent->directory, &own->id, statement->kind, statement->key)
            : NULL;

    if (held)
        agent_note_date(own, held->version);
    *last = version_next(*last, at->wall_ms);
    return *last;
}

void agent_publish(struct agent *agent, const struct statement *statement, const struct moment *at,
                   struct effects *effects, struct bytes *wire)
{
    static const struct id nobody;
    const struct duckling *by = statement->by;
    struct offered_record offered = {0};
    struct record *record = &offered.record;
    enum directory_verdict taken;
    enum record_verdict form;
    struct bytes body;

    if (statement->kind != RECORD_REVOCATION &&
        agent_is_revoked(agent, by ? &by->id : &agent->node))
        return; /* nobody would take it */
    if (by ? by->outgrown : agent->outgrown)
        return;
    record->network = agent->settings.network;
    record->owner = by ? by->id : agent->node;
    record->kind = statement->kind;
    record->key = statement->key;
    record->version = date(agent, statement, at);
    record->not_after_ms =
        record->version.ms + (statement->life_ms ? statement->life_ms : RECORD_LIFE_MS);
    record->deleted = statement->deleted;
    record->content = statement->content;
    form = record_pack(record, &effects->arena, &body);
    if (form != RECORD_OK) {
        agent_log(effects, LOG_ERROR, "cannot publish a %s record: %s",
                  record_kind_name(statement->kind), record_verdict_text(form));
        return;
    }
    if (by && !by->key) { /* it says so itself, when it has signed */
        agent_want_record(agent, agent_hosted(agent, &by->id), record, body, at, effects);
        return;
    }
    offered.wire =
        envelope_seal(ENVELOPE_RECORD, &record->owner, by ? by->key : agent->settings.node_key,
                      body, &effects->arena, NULL);
    offered.chain = arena_copy(&effects->arena, by ? by->chain : agent->settings.node_chain);
    taken = take(agent, &offered, &nobody, true, at, effects);
    if (taken != DIRECTORY_TAKEN)
        agent_log(effects, LOG_WARNING, "our own %s record is not held: %s",
                  record_kind_name(statement->kind), directory_verdict_text(taken));
    if (wire)
        *wire = offered.wire;
}

/* No record outlives the voucher in it. One that is over makes no difference any more. */
static uint64_t node_life_ms(const struct agent *agent, const struct moment *at)
{
    uint64_t until_ms = agent->settings.voucher_not_after_ms, from_ms = at->wall_ms;

    if (agent->last_version.ms >= from_ms)
        from_ms = agent->last_version.ms + 1;
    if (agent->settings.voucher.size == 0 || until_ms <= from_ms ||
        until_ms - from_ms >= RECORD_LIFE_MS)
        return RECORD_LIFE_MS;
    return until_ms - from_ms;
}

void agent_publish_node(struct agent *agent, const struct moment *at, struct effects *effects)
{
    struct node_content content = {
        .address_count = agent->settings.address_count,
        .session_not_after_ms = agent->settings.session_not_after_ms,
        .software = agent->settings.software,
        .display_name = agent->settings.display_name,
        .away = agent->stopping,
        .is_perch = agent->settings.is_perch,
        .voucher = agent->settings.voucher,
        .voucher_chain = agent->settings.voucher_chain,
    };
    const struct pre_key *pre_key = prekeys_newest(agent->prekeys);
    struct statement statement = {.kind = RECORD_NODE, .life_ms = node_life_ms(agent, at)};
    struct bytes wire = {0};
    struct effect *effect;

    for (size_t i = 0; i < content.address_count; i++)
        content.addresses[i] = agent->settings.addresses[i];
    memcpy(content.session_key, agent->settings.session_key, sizeof content.session_key);
    if (pre_key) {
        content.has_pre_key = true;
        memcpy(content.pre_key, pre_key->pair.public, sizeof content.pre_key);
        content.perch_count = agent->perch_count;
        memcpy(content.perches, agent->perches, sizeof content.perches);
    }
    statement.deleted = agent->leaving;
    if (!agent->leaving)
        statement.content = node_content_pack(&content, &effects->arena);
    agent_publish(agent, &statement, at, effects, &wire);
    agent->node_refresh_at_ms =
        at->now_ms + RECORD_REFRESH_MS - dice_jitter_ms(&agent->dice, HOUR_MS);
    if (wire.size == 0 || agent->leaving || agent->stopping)
        return;
    effect = effects_add(effects, EFFECT_INTRODUCE);
    effect->introduce.introduction =
        introduction_pack(agent->settings.node_chain, wire, &effects->arena);
}

void agent_publish_duckling(struct agent *agent, struct duckling *duckling, const struct moment *at,
                            struct effects *effects)
{
    struct duckling_content content = {
        .host = agent->node,
        .display_name = duckling->profile.display_name,
        .bio = duckling->profile.bio,
        .capability_count = duckling->profile.capability_count,
        .accepts_pecks = duckling->profile.accepts_pecks,
        .least_tier = duckling->profile.least_tier,
        .open_action_count = duckling->profile.open_action_count,
    };
    struct statement statement = {.by = duckling, .kind = RECORD_DUCKLING};

    for (size_t i = 0; i < content.capability_count; i++)
        content.capabilities[i] = duckling->profile.capabilities[i];
    for (size_t i = 0; i < content.open_action_count; i++)
        content.open_actions[i] = duckling->profile.open_actions[i];
    statement.content = duckling_content_pack(&content, &effects->arena);
    agent_publish(agent, &statement, at, effects, NULL);
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
    struct attestation_content content = {
        .subject = *other, .claim = bytes_of_text("bonded"), .proof = id_bytes(&bond->id)};
    struct statement statement = {.by = duckling, .kind = RECORD_ATTESTATION};
    char text[ID_TEXT_SIZE], key[RECORD_KEY_MAX];

    snprintf(key, sizeof key, "bonded:%s", id_text(ID_DUCKLING, other, text));
    statement.key = arena_copy(&effects->arena, bytes_of_text(key));
    statement.content = attestation_content_pack(&content, &effects->arena);
    agent_publish(agent, &statement, at, effects, NULL);
}

static uint64_t count_alive(const struct agent *agent, const struct moment *at)
{
    uint64_t alive = 0;

    for (size_t i = 0; i < agent->hosted_slots; i++)
        if (agent->hosted[i] && agent->hosted[i]->pulse_ms + ALIVE_WITHIN_MS > at->wall_ms)
            alive++;
    return alive;
}

/* A node that has nothing to count, and never had, says nothing. What it said before is corrected,
 * also when it is all that is left of an earlier life. */
bool agent_has_metrics(const struct agent *agent)
{
    static const struct metrics_content nothing;

    return agent->hosted_count > 0 || memcmp(&agent->counters, &nothing, sizeof nothing) != 0 ||
           directory_find(agent->directory, &agent->node, RECORD_METRICS);
}

void agent_publish_metrics(struct agent *agent, const struct moment *at, struct effects *effects)
{
    struct metrics_content *metrics = &agent->counters;
    struct statement statement = {.kind = RECORD_METRICS};

    metrics->ducklings = agent->hosted_count;
    metrics->space_ducks = count_alive(agent, at);
    statement.content = metrics_content_pack(metrics, &effects->arena);
    agent_publish(agent, &statement, at, effects, NULL);
    agent->metrics_changed = false;
    agent->metrics_at_ms = at->now_ms + METRICS_REFRESH_MS;
}

/* It keeps its own key, and has moved: this node asks for nothing of its own accord. */
static bool lives_elsewhere(const struct agent *agent, const struct duckling *duckling)
{
    struct id host;

    return !duckling->key && agent_find_host(agent, &duckling->id, &host) &&
           !id_equal(&host, &agent->node);
}

static void refresh_ducklings(struct agent *agent, const struct moment *at, struct effects *effects)
{
    agent->ducklings_refresh_at_ms = MOMENT_NEVER;
    for (size_t i = 0; i < agent->hosted_slots; i++) {
        struct duckling *duckling = agent->hosted[i];

        if (!duckling)
            continue;
        if (duckling->refresh_at_ms <= at->now_ms && lives_elsewhere(agent, duckling)) {
            duckling->refresh_at_ms = at->now_ms + RECORD_REFRESH_MS;
        } else if (duckling->refresh_at_ms <= at->now_ms) {
            agent_publish_duckling(agent, duckling, at, effects);
            agent_publish_vouchers(agent, duckling, at, effects);
        }
        if (duckling->refresh_at_ms < agent->ducklings_refresh_at_ms)
            agent->ducklings_refresh_at_ms = duckling->refresh_at_ms;
    }
}

static void expire_records(struct agent *agent, const struct moment *at, struct effects *effects)
{
    struct directory_drop ended[EXPIRE_AT_ONCE_MAX];
    size_t count = directory_expire(agent->directory, at->wall_ms, ended, EXPIRE_AT_ONCE_MAX);
    size_t nodes = 0;

    for (size_t i = 0; i < count; i++) {
        note_drop(agent, &ended[i]);
        drop_record(&ended[i], effects);
        nodes += ended[i].kind == RECORD_NODE;
    }
    if (nodes > 0)
        agent_forget_expired(agent);
}

void agent_refresh_records(struct agent *agent, const struct moment *at, struct effects *effects)
{
    agent_say_lost_revocations(agent, at, effects);
    if (agent->node_refresh_at_ms <= at->now_ms) {
        agent_publish_node(agent, at, effects);
        agent->metrics_changed = agent->metrics_changed || agent_has_metrics(agent);
    }
    if (agent->ducklings_refresh_at_ms <= at->now_ms && !agent->catching_up)
        refresh_ducklings(agent, at, effects);
    if (agent->metrics_changed && !agent->catching_up && agent->metrics_at_ms <= at->now_ms)
        agent_publish_metrics(agent, at, effects);
    if (directory_next_expiry_ms(agent->directory) < at->wall_ms)
        expire_records(agent, at, effects);
}

uint64_t agent_directory_wake_at_ms(const struct agent *agent, const struct moment *at)
{
    uint64_t wake_ms = agent->node_refresh_at_ms;
    uint64_t expiry_ms = directory_next_expiry_ms(agent->directory);

    if (agent->ducklings_refresh_at_ms < wake_ms && !agent->catching_up)
        wake_ms = agent->ducklings_refresh_at_ms;
    if (agent->metrics_changed && !agent->catching_up && agent->metrics_at_ms < wake_ms)
        wake_ms = agent->metrics_at_ms;
    if (expiry_ms != MOMENT_NEVER) {
        uint64_t in_ms = expiry_ms > at->wall_ms ? expiry_ms - at->wall_ms : 0;

        if (at->now_ms + in_ms + 1 < wake_ms)
            wake_ms = at->now_ms + in_ms + 1;
    }
    return wake_ms;
}
