/* Away: perches hold sealed pecks for a node that is away, or that nobody can dial.
 *
 * Of our own pecks those whose target's node is dead, has said that it is away, or was tried
 * PERCH_AFTER_ATTEMPTS times go to its perches, sealed to its pre-key; the outbox tries it directly all
 * the while, and whichever way comes first counts. As owner this node names perches and publishes a
 * pre-key each day; what they hold is taken as if it had come over a link, but its receipts go to the
 * node of its sender. In a thread each peck names the one before it, and waits for that one: a perch
 * that drops or turns round can delay, not disorder. */
#include "agent_parts.h"

#define NOT_AFTER_STEP_MS MINUTE_MS /* a perch sees the end of a peck's time to the minute */
#define REFUSED_SEEN 4096u          /* a power of two */

void agent_init_perches(struct agent *agent)
{
    const struct agent_settings *settings = &agent->settings;

    agent->perch = perch_new(&settings->perch);
    agent->deposits = deposits_new(OUTBOX_MAX);
    agent->collecting = collecting_new();
    agent->prekeys = prekeys_new();
    agent->perched_refused = seen_new(REFUSED_SEEN);
    agent->choose_perches_ms = settings->choose_perches ? 0 : MOMENT_NEVER;
    agent->perch_count =
        settings->perch_count < NODE_PERCHES_MAX ? settings->perch_count : NODE_PERCHES_MAX;
    if (agent->perch_count > 0)
        memcpy(agent->perches, settings->perches, agent->perch_count * sizeof *agent->perches);
}

static bool uses_perches(const struct agent *agent)
{
    return agent->settings.choose_perches || agent->perch_count > 0;
}

/* ---- our pecks ---- */

static bool is_away(const struct agent *agent, const struct outbox_entry *entry,
                    const struct id *host)
{
    struct gossip_member member;

    if (entry->attempts >= PERCH_AFTER_ATTEMPTS)
        return true;
    return gossip_find(agent->gossip, host, &member) &&
           (member.state == GOSSIP_DEAD || member.state == GOSSIP_LEFT);
}

static void bring(struct agent *agent, const struct outbox_entry *entry, const struct id *owner,
                  const struct node_content *content, const struct id *perch,
                  struct effects *effects)
{
    struct deposit *deposit = arena_take(&effects->arena, sizeof *deposit);
    const struct outbox_entry *before = outbox_before(agent->outbox, &entry->peck);
    const struct pre_key *own = prekeys_newest(agent->prekeys);

    *deposit = (struct deposit){.network = agent->settings.network,
                                .perch = *perch,
                                .owner = *owner,
                                .name = deposit_name(&entry->hash, perch),
                                .peck = entry->peck};
    deposit->not_after_ms =
        (entry->expires_ms + NOT_AFTER_STEP_MS - 1) / NOT_AFTER_STEP_MS * NOT_AFTER_STEP_MS;
    if (before) {
        deposit->after = before->peck;
        deposit->after_until_ms = before->expires_ms;
    }
    memcpy(deposit->owner_key, content->pre_key, NOISE_KEY_SIZE);
    if (own)
        memcpy(deposit->sealer, own->pair.secret, NOISE_KEY_SIZE);
    else
        dice_fill(&agent->dice, deposit->sealer, NOISE_KEY_SIZE);
    dice_fill(&agent->dice, deposit->ephemeral, NOISE_KEY_SIZE);
    effects_add(effects, EFFECT_DEPOSIT)->deposit = deposit;
}

bool agent_deposit(struct agent *agent, const struct outbox_entry *entry, const struct id *host,
                   const struct moment *at, struct effects *effects)
{
    bool is_open = entry->state == PECK_QUEUED || entry->state == PECK_SENT;
    struct node_content content;
    bool is_brought = false;

    if (!is_open || entry->cancelling || !is_away(agent, entry, host) ||
        !agent_find_node(agent, host, &content) || !content.has_pre_key)
        return false;
    for (size_t i = 0; i < content.perch_count; i++) {
        const struct id *perch = &content.perches[i];

        if (id_equal(perch, host) || id_equal(perch, &agent->node))
            continue; /* held here: that is what the outbox does */
        gossip_want(agent->gossip, perch, at->now_ms);
        if (!gossip_is_linked(agent->gossip, perch) ||
            !deposits_bring(agent->deposits, &entry->hash, perch, at->now_ms))
            continue;
        bring(agent, entry, host, &content, perch, effects);
        agent->brought++;
        is_brought = true;
    }
    return is_brought;
}

void agent_take_deposited(struct agent *agent, const struct event *event, struct effects *effects)
{
    bool is_held = event->deposited.code.size == 0;
    char text[ID_TEXT_SIZE], perch[ID_TEXT_SIZE];
    struct effect *effect;
    struct id peck;

    if (!deposits_answer(agent->deposits, &event->deposited.name, &event->node, is_held,
                         event->at.now_ms, &peck))
        return;
    if (!is_held) {
        agent_log(effects, LOG_INFO, "%s does not hold %s: %.*s",
                  id_text(ID_NODE, &event->node, perch), id_text(ID_PECK, &peck, text),
                  (int)event->deposited.code.size, (const char *)event->deposited.code.data);
        return;
    }
    agent_log(effects, LOG_INFO, "%s is held by %s", id_text(ID_PECK, &peck, text),
              id_text(ID_NODE, &event->node, perch));
    effect = effects_add(effects, EFFECT_KEEP_DEPOSIT);
    effect->kept_deposit.peck = peck;
    effect->kept_deposit.perch = event->node;
    effect->kept_deposit.at_ms = event->at.wall_ms;
}

/* ---- what perches hold for us ---- */

void agent_open_held(struct agent *agent, struct intake *intake, struct event *event,
                     struct arena *arena)
{
    const struct sealed_ends ends = {.network = agent->settings.network, .owner = agent->node};
    struct perched *perched = arena_take(arena, sizeof *perched);
    struct sealed_peck content;
    enum sealed_verdict sealed;
    enum intake_verdict verdict;
    struct event opened;
    char reason[160];
    size_t refused;
    struct id peck;

    if (event->held.sealed.size == 0)
        return;
    event->held.wrong = "its parsing takes too much memory";
    if (!perched)
        return;
    memset(perched, 0, sizeof *perched);
    sealed =
        sealed_open(&ends, event->held.sealed, agent->prekeys, arena, &content, perched->sealer);
    event->held.wrong = sealed_verdict_text(sealed);
    if (sealed != SEALED_OPENED)
        return;
    verdict = intake_open(intake, FRAME_PECK, content.frame, event->at.wall_ms, arena, &opened,
                          &peck, &refused, reason);
    event->held.wrong = intake_verdict_text(verdict);
    if (verdict != INTAKE_TAKEN)
        return;
    perched->name = event->held.name;
    perched->number = event->held.number;
    perched->is_last = event->held.is_last;
    perched->has_more = event->held.has_more;
    perched->after = content.after;
    perched->after_until_ms = content.after_until_ms;
    opened.at = event->at;
    opened.node = event->node;
    opened.peck.perched = perched;
    *event = opened;
}

static void settle(const struct id *perch, const struct id *name, struct effects *effects)
{
    agent_send(perch, FRAME_SETTLED, frame_pack_settled(name, 1, &effects->arena), effects);
}

static struct hash refused_name(const struct id *peck)
{
    struct hash hash = {{0}};

    memcpy(hash.bytes, peck->bytes, ID_SIZE);
    return hash;
}

/* Its thread goes on with it when the one before it is here, was refused, or can come no more. */
static bool is_its_turn(const struct agent *agent, const struct event *event)
{
    const struct perched *perched = event->peck.perched;
    struct hash after = refused_name(&perched->after);

    return event->peck.known || id_is_zero(&perched->after) || perched->after_known ||
           perched->after_until_ms <= event->at.wall_ms || seen_has(agent->perched_refused, &after);
}

/* The pre-key that sealed it is the one that the sender's node publishes. */
static bool is_sealed_by(const struct agent *agent, const struct id *host,
                         const struct perched *perched)
{
    struct node_content content;

    return agent_find_node(agent, host, &content) && content.has_pre_key &&
           memcmp(content.pre_key, perched->sealer, sizeof content.pre_key) == 0;
}

/* As if the sender's node had said it itself; a perch only carries. False: it may be taken later. */
static bool receive(struct agent *agent, const struct event *event, struct effects *effects)
{
    const struct peck *peck = &event->peck.peck;
    struct event direct = *event;
    bool is_over = true;

    direct.peck.perched = NULL;
    direct.peck.cancelled = false; /* only a link can say so */
    direct.node = (struct id){0};
    agent_find_host(agent, &peck->from, &direct.node);
    if (!event->peck.known && event->peck.retired &&
        !is_sealed_by(agent, &direct.node, event->peck.perched)) {
        agent->pecks_refused++;
        agent_log(effects, LOG_INFO,
                  "a peck from a perch is refused: its sender's key was retired");
        return true;
    }
    if (!event->peck.known)
        is_over = agent_receive_peck(agent, &direct, effects);
    else if (!id_is_zero(&direct.node))
        agent_receive_again(agent, &direct, effects);
    if (!id_is_zero(&direct.node) && !id_equal(&direct.node, &agent->node))
        gossip_want(agent->gossip, &direct.node, event->at.now_ms); /* for the receipts */
    return is_over;
}

void agent_take_perched(struct agent *agent, const struct event *event, struct effects *effects)
{
    const struct perched *perched = event->peck.perched;
    const struct id *peck = &event->peck.peck.id;
    struct hash name = refused_name(peck);
    bool is_over = is_its_turn(agent, event);

    if (is_over) {
        agent->perched_opened++;
        is_over = receive(agent, event, effects);
        if (is_over && !event->peck.known && !tray_find(agent->tray, peck))
            seen_note(agent->perched_refused, &name);
    }
    if (is_over)
        settle(&event->node, &perched->name, effects);
    else
        collecting_leave(agent->collecting, &event->node, event->at.now_ms);
    collecting_hear(agent->collecting, &event->node, perched->number, perched->is_last,
                    perched->has_more, event->at.now_ms);
}

void agent_take_held(struct agent *agent, const struct event *event, struct effects *effects)
{
    char text[ID_TEXT_SIZE];

    if (event->held.sealed.size > 0 && event->held.wrong) {
        agent->perched_junk++;
        agent_log(effects, LOG_INFO, "what %s held for this node is of no use: %s",
                  id_text(ID_NODE, &event->node, text), event->held.wrong);
        settle(&event->node, &event->held.name, effects);
        collecting_note_junk(agent->collecting, &event->node);
    }
    collecting_hear(agent->collecting, &event->node, event->held.number, event->held.is_last,
                    event->held.has_more, event->at.now_ms);
}

/* Whether it is one of ours now or was one before: what it offers is enough. */
void agent_perches_link_up(struct agent *agent, const struct id *node, const struct moment *at)
{
    struct node_content content;

    if (uses_perches(agent) && agent_find_node(agent, node, &content) && content.is_perch)
        collecting_link_up(agent->collecting, node, at->now_ms);
}

/* ---- which they are ---- */

void agent_recall_perches(struct agent *agent)
{
    struct node_content content;

    if (!agent->settings.choose_perches || !agent_find_node(agent, &agent->node, &content))
        return;
    agent->perch_count = content.perch_count;
    memcpy(agent->perches, content.perches, sizeof agent->perches);
}

static bool names(const struct agent *agent, const struct id *node)
{
    for (size_t i = 0; i < agent->perch_count; i++)
        if (id_equal(&agent->perches[i], node))
            return true;
    return false;
}

static bool is_gone(const struct agent *agent, const struct id *perch)
{
    struct gossip_member member;
    struct node_content content;

    return !agent_find_node(agent, perch, &content) || !content.is_perch ||
           !gossip_find(agent->gossip, perch, &member) || member.state == GOSSIP_DEAD ||
           member.state == GOSSIP_LEFT;
}

static size_t find_candidates(const struct agent *agent, struct id candidates[ACTIVE_LINKS_MAX])
{
    struct id linked[ACTIVE_LINKS_MAX];
    size_t count = gossip_linked(agent->gossip, linked, ACTIVE_LINKS_MAX), found = 0;
    struct node_content content;

    for (size_t i = 0; i < count; i++)
        if (!names(agent, &linked[i]) && agent_find_node(agent, &linked[i], &content) &&
            content.is_perch)
            candidates[found++] = linked[i];
    return found;
}

/* One that is gone stays as long as nobody can take its place. */
static bool choose(struct agent *agent)
{
    struct id candidates[ACTIVE_LINKS_MAX];
    size_t count = find_candidates(agent, candidates);
    bool has_changed = false;

    for (size_t place = 0; place < PERCHES_CHOSEN && count > 0; place++) {
        size_t drawn;

        if (place < agent->perch_count && !is_gone(agent, &agent->perches[place]))
            continue;
        drawn = (size_t)dice_below(&agent->dice, count);
        agent->perches[place] = candidates[drawn];
        candidates[drawn] = candidates[--count];
        if (place == agent->perch_count)
            agent->perch_count++;
        has_changed = true;
    }
    return has_changed;
}

static bool choose_now_and_then(struct agent *agent, const struct moment *at)
{
    bool has_changed;

    if (agent->choose_perches_ms > at->now_ms)
        return false;
    has_changed = choose(agent);
    agent->choose_perches_ms =
        at->now_ms +
        (agent->perch_count < PERCHES_CHOSEN ? PERCH_CHOOSE_FIRST_MS : PERCH_CHOOSE_MS);
    return has_changed;
}

static bool renew_pre_key(struct agent *agent, const struct moment *at, struct effects *effects)
{
    uint8_t secret[NOISE_KEY_SIZE];
    struct effect *effect;

    if (!uses_perches(agent) || !prekeys_are_due(agent->prekeys, at->wall_ms))
        return false;
    dice_fill(&agent->dice, secret, sizeof secret);
    prekeys_add(agent->prekeys, secret, at->wall_ms);
    effect = effects_add(effects, EFFECT_KEEP_PRE_KEY);
    memcpy(effect->pre_key.secret, secret, sizeof secret);
    memcpy(effect->pre_key.public, prekeys_newest(agent->prekeys)->pair.public, sizeof secret);
    effect->pre_key.made_ms = at->wall_ms;
    noise_wipe(secret, sizeof secret);
    return true;
}

static void forget_pre_keys(struct agent *agent, const struct moment *at, struct effects *effects)
{
    uint8_t public[NOISE_KEY_SIZE];

    while (prekeys_forget_next(agent->prekeys, at->wall_ms, public))
        memcpy(effects_add(effects, EFFECT_DROP_PRE_KEY)->pre_key.public, public, sizeof public);
}

void agent_settle_perches(struct agent *agent, const struct moment *at, struct effects *effects)
{
    bool has_changed;
    struct id perch;
    uint64_t after;

    forget_pre_keys(agent, at, effects);
    if (agent->stopping || agent->leaving)
        return;
    has_changed = renew_pre_key(agent, at, effects);
    has_changed |= choose_now_and_then(agent, at);
    if (has_changed)
        agent_publish_node(agent, at, effects);
    while (collecting_poll(agent->collecting, at->now_ms, &perch, &after))
        agent_send(&perch, FRAME_COLLECT, frame_pack_collect(after, &effects->arena), effects);
}

static uint64_t steady_of(uint64_t wall_ms, const struct moment *at)
{
    if (wall_ms == MOMENT_NEVER)
        return MOMENT_NEVER;
    return at->now_ms + (wall_ms > at->wall_ms ? wall_ms - at->wall_ms : 0);
}

static uint64_t sooner(uint64_t left, uint64_t right)
{
    return left < right ? left : right;
}

uint64_t agent_perches_wake_at_ms(const struct agent *agent, const struct moment *at)
{
    uint64_t wake_ms = perch_wake_at_ms(agent->perch, at);

    if (agent->stopping || agent->leaving)
        return wake_ms;
    wake_ms = sooner(wake_ms, agent->choose_perches_ms);
    wake_ms = sooner(wake_ms, collecting_wake_at_ms(agent->collecting));
    return sooner(wake_ms, steady_of(prekeys_next_ms(agent->prekeys), at));
}
