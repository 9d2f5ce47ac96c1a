/* After a restore from a backup: what this node holds may be old, so it hears another node before it says anything
 * for its ducklings. What the network shows of them then is what is published on; bonds that one of the two ends has
 * ended meanwhile end here, too (agent_bonds.c).
 *
 * Whatever shows a longer chain of an identity that lives here than the one that is held says that its key was rotated
 * elsewhere: by an earlier life of this node, after the backup, or by whoever stole a next key. The key that is here
 * speaks for nobody then. */
#include "agent_parts.h"

#include <assert.h>

static const char *const outgrown_text = "its key was rotated after the backup that this node was "
                                         "restored from: what it says counts nowhere";

/* ---- catching up ---- */

static bool adopt_profile(struct duckling *duckling, const struct record *record)
{
    struct order_profile profile = {0};
    struct duckling_content content;
    struct arena arena;
    bool is_read;

    if (record->deleted || version_compare(record->version, duckling->adopted) <= 0)
        return false;
    arena_init(&arena, PARSE_BUDGET(RECORD_SIZE_MAX));
    is_read = duckling_content_parse(record->content, &arena, &content) == RECORD_OK;
    if (is_read) {
        profile.set_display_name = profile.set_bio = profile.set_capabilities = true;
        profile.set_accepts_pecks = profile.set_least_tier = profile.set_open_actions = true;
        profile.display_name = content.display_name;
        profile.bio = content.bio;
        profile.accepts_pecks = content.accepts_pecks;
        profile.least_tier = content.least_tier;
        profile.capability_count = content.capability_count;
        memcpy(profile.capabilities, content.capabilities, sizeof profile.capabilities);
        profile.open_action_count = content.open_action_count;
        memcpy(profile.open_actions, content.open_actions, sizeof profile.open_actions);
        agent_keep_profile(duckling, &profile);
        duckling->adopted = record->version;
    }
    arena_free(&arena);
    return is_read;
}

static void raise(uint64_t *counter, uint64_t seen, bool *is_raised)
{
    *is_raised |= seen > *counter;
    if (seen > *counter)
        *counter = seen;
}

/* What only ever grows. */
static void adopt_counters(struct agent *agent, const struct record *record)
{
    struct metrics_content seen;
    bool is_raised = false;

    if (record->deleted || metrics_content_parse(record->content, &seen) != RECORD_OK)
        return;
    raise(&agent->counters.birth_certificates, seen.birth_certificates, &is_raised);
    raise(&agent->counters.connections, seen.connections, &is_raised);
    raise(&agent->counters.pecks, seen.pecks, &is_raised);
    raise(&agent->counters.pageviews, seen.pageviews, &is_raised);
    agent->counters_changed |= is_raised;
    agent->metrics_changed |= is_raised;
}

void agent_adopt(struct agent *agent, const struct record *record, struct effects *effects)
{
    struct duckling *duckling = agent_hosted(agent, &record->owner);

    if (record->kind == RECORD_METRICS)
        adopt_counters(agent, record);
    else if (agent->catching_up && record->kind == RECORD_DUCKLING && duckling &&
             adopt_profile(duckling, record))
        agent_store_profile(duckling, effects);
}

static bool is_any(void *context, const struct id *to)
{
    (void)context;
    (void)to;
    return true;
}

/* Whoever had pecks here that were taken before says them once a link, so there has to be another one. */
static void begin_links_anew(struct agent *agent, struct effects *effects)
{
    struct id linked[ACTIVE_LINKS_MAX];
    size_t count = gossip_linked(agent->gossip, linked, ACTIVE_LINKS_MAX);

    for (size_t i = 0; i < count; i++)
        agent_hang_up(&linked[i], "this node was restored, and hears now", effects);
}

/* A session that ended well: all that the other one holds of this set is here. When links came up nobody knew
 * who lives where, so what awaits its end is asked for now. */
void agent_note_heard(struct agent *agent, enum record_set set, const struct moment *at,
                      struct effects *effects)
{
    static const unsigned all = (1u << RECORD_SETS) - 1;

    if (!agent->catching_up || !agent->started)
        return;
    agent->heard_sets |= 1u << (set - 1);
    if (agent->heard_sets != all)
        return;
    agent->catching_up = false;
    effects_add(effects, EFFECT_KEEP_CAUGHT_UP);
    outbox_hurry(agent->outbox, is_any, NULL, at->now_ms);
    if (agent->turned_away)
        begin_links_anew(agent, effects);
    agent_log(effects, LOG_INFO, "another node was heard: what was restored is up to date");
}

/* ---- outgrown ---- */

static void retire_duckling(struct duckling *duckling, struct effects *effects)
{
    char text[ID_TEXT_SIZE];

    if (duckling->outgrown)
        return;
    duckling->outgrown = true;
    effects_add(effects, EFFECT_KEEP_OUTGROWN)->outgrown.duckling = duckling->id;
    agent_log(effects, LOG_ERROR, "%s: %s", id_text(ID_DUCKLING, &duckling->id, text),
              outgrown_text);
}

static void retire_node(struct agent *agent, struct bytes chain, struct effects *effects)
{
    if (agent->outgrown)
        return;
    agent->outgrown = true;
    effects_add(effects, EFFECT_OUTGROWN)->outgrown.chain = arena_copy(&effects->arena, chain);
    agent_log(effects, LOG_ERROR, "this node: %s", outgrown_text);
}

bool agent_heed_newer_key(struct agent *agent, const struct offered_record *offered,
                          struct effects *effects)
{
    const struct id *owner = &offered->record.owner;
    struct duckling *duckling = agent_hosted(agent, owner);

    if (duckling) {
        if (chain_count(offered->chain) <= chain_count(duckling->chain))
            return false;
        retire_duckling(duckling, effects);
        return true;
    }
    if (!id_equal(owner, &agent->node) ||
        chain_count(offered->chain) <= chain_count(agent->settings.node_chain))
        return false;
    retire_node(agent, offered->chain, effects);
    return true;
}

/* Whoever was restored and linked under a key that was rotated since learns it from this: the record, and with
 * it the longer chain. */
void agent_tell_outgrown(struct agent *agent, const struct id *node, struct effects *effects)
{
    const struct directory_entry *held = directory_find(agent->directory, node, RECORD_NODE);
    struct hash *hash = held ? arena_take(&effects->arena, sizeof *hash) : NULL;
    struct effect *effect;

    if (!hash)
        return;
    *hash = held->hash;
    effect = effects_add(effects, EFFECT_SEND_RECORDS);
    effect->send_records.node = *node;
    effect->send_records.hashes = hash;
    effect->send_records.count = 1;
}

/* ---- orders ---- */

/* What it would sign. */
static bool speaks(enum order_kind kind)
{
    switch (kind) {
    case ORDER_PROFILE:
    case ORDER_SEND:
    case ORDER_ANSWER:
    case ORDER_PARTIAL:
    case ORDER_APPROVE:
    case ORDER_DENY:
    case ORDER_UNPECK:
    case ORDER_BOND:
    case ORDER_VOUCH:
    case ORDER_ROTATE:
    case ORDER_EXPORT:
    case ORDER_ISSUE:
    case ORDER_MAKE_GRANT:
    case ORDER_LOBSTER:
    case ORDER_SIGN:
        return true;
    case ORDER_HATCH:
    case ORDER_TAKE:
    case ORDER_ACK:
    case ORDER_GIVE_BACK:
    case ORDER_RENEW:
    case ORDER_CANCEL:
    case ORDER_JOIN:
    case ORDER_COUNT:
    case ORDER_PULSE:
    case ORDER_LEAVE:
    case ORDER_STOP:
    case ORDER_TRUST:
    case ORDER_WITHDRAW:
    case ORDER_MEMBERS:
    case ORDER_REVOKE:
    case ORDER_REVOKE_GRANT:
    case ORDER_WANTED:
        return false;
    }
    return false;
}

static const struct duckling *speaker(const struct agent *agent, const struct order *order)
{
    const struct tray_entry *entry = tray_find(agent->tray, &order->peck);
    const struct bond *bond = bonds_find(agent->bonds, &order->bond);
    const struct duckling *duckling = agent_hosted(agent, &order->duckling);

    if (!duckling && order->kind == ORDER_SEND)
        duckling = agent_hosted(agent, &order->send.from);
    if (!duckling && entry)
        duckling = agent_hosted(agent, &entry->to);
    if (!duckling && bond)
        duckling = agent_hosted(agent, &bond->approver);
    return duckling;
}

bool agent_may_speak(const struct agent *agent, const struct order *order,
                     struct order_refusal *refusal)
{
    const struct duckling *duckling;

    if (!speaks(order->kind) || order->unsaid)
        return true;
    if (agent->catching_up) {
        *refusal = (struct order_refusal){
            .code = REFUSAL_BUSY,
            .message =
                "this node was restored from a backup, and waits until it has heard another node",
            .field = ""};
        return false;
    }
    duckling = speaker(agent, order);
    if (!duckling || !duckling->outgrown)
        return true;
    *refusal =
        (struct order_refusal){.code = REFUSAL_CONFLICT, .message = outgrown_text, .field = ""};
    return false;
}
