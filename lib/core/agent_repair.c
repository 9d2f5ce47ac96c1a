/* Repair: the sets of what is held, and both sides of a session over them. */
#include "agent_parts.h"

void agent_make_sets(struct agent *agent)
{
    uint8_t seed[DICE_SEED_SIZE];

    for (int i = 0; i < RECORD_SETS; i++) {
        dice_fill(&agent->dice, seed, sizeof seed);
        agent->sets[i] = recordset_new();
        agent->repairs[i] = repair_new(&agent->node, seed);
        agent->audits[i].turns = quota_new(NEIGHBOURS_MAX, 1, AUDIT_EACH_S);
    }
    agent->responder = reconcile_new(&reconcile_defaults);
}

void agent_free_sets(struct agent *agent)
{
    for (int i = 0; i < RECORD_SETS; i++) {
        recordset_free(agent->sets[i]);
        repair_free(agent->repairs[i]);
        audit_free(agent->audits[i].audit);
        quota_free(agent->audits[i].turns);
    }
    reconcile_free(agent->responder);
}

/* Versions count milliseconds, sets whole seconds. */
void agent_note_stamp(struct agent *agent, uint32_t kind, struct version version,
                      const struct hash *hash, bool is_held)
{
    struct stamp stamp = {.at_s = (uint32_t)(version.ms / 1000), .hash = *hash};
    struct recordset *set = agent->sets[record_set_of(kind) - 1];

    if (version.ms / 1000 >= STAMP_TIME_END)
        return;
    if (is_held)
        recordset_insert(set, &stamp);
    else
        recordset_erase(set, &stamp);
}

/* ---- do sets differ? ---- */

uint64_t agent_set_sum(const struct agent *agent, enum record_set set)
{
    uint8_t print[RECORDSET_PRINT_SIZE];
    uint64_t sum;

    recordset_fingerprint(agent->sets[set - 1], 0, recordset_count(agent->sets[set - 1]), print);
    memcpy(&sum, print, sizeof sum);
    return sum;
}

/* What is on its way makes sums differ for a moment; so a difference counts when ours has stayed for
 * a while. Where something is always on its way, it counts now and then all the same; oftener where
 * news do not bring all. */
void agent_compare_sums(struct agent *agent, const struct id *node,
                        const uint64_t sums[RECORD_SETS], const struct moment *at)
{
    uint64_t patience_ms =
        news_is_crowded(agent->news, at->now_ms) ? SUMS_CROWD_MS : SUMS_PATIENCE_MS;

    gossip_note_compared(agent->gossip, node, at->now_ms);
    for (int i = 0; i < RECORD_SETS; i++) {
        struct set_watch *watch = &agent->watches[i];
        uint64_t sum = agent_set_sum(agent, (enum record_set)(i + 1));

        if (sum != watch->sum) {
            watch->sum = sum;
            watch->since_ms = at->now_ms;
        }
        if (sums[i] == sum || (at->now_ms < watch->since_ms + SUMS_SETTLE_MS &&
                               at->now_ms < watch->suggested_ms + patience_ms))
            continue;
        if (repair_suggest(agent->repairs[i], node, true, at->now_ms))
            watch->suggested_ms = at->now_ms;
    }
}

void agent_check_sets(struct agent *agent, const struct id *node, const struct moment *at)
{
    gossip_note_compared(agent->gossip, node, at->now_ms);
    for (int i = 0; i < RECORD_SETS; i++)
        repair_suggest(agent->repairs[i], node, false, at->now_ms);
}

static void ask_sets(struct agent *agent, const struct moment *at)
{
    struct id node;

    if (at->now_ms < agent->ask_sets_ms)
        return;
    agent->ask_sets_ms = at->now_ms + SUMS_ASK_MS;
    if (gossip_uncompared(agent->gossip, at->now_ms, &node))
        agent_check_sets(agent, &node, at);
}

/* ---- as the responder ---- */

static struct served_audit *served_audit(struct agent *agent, const struct id *peer,
                                         enum record_set set, uint32_t session)
{
    struct served_audit *served = &agent->audits[set - 1];

    return served->audit && served->is_made && id_equal(&served->peer, peer) &&
                   served->session == session
               ? served
               : NULL;
}

static void send_reconcile(const struct id *node, const struct event *event,
                           struct effects *effects)
{
    agent_send(node, FRAME_RECONCILE, frame_pack_reconcile(event, &effects->arena), effects);
}

/* One neighbour at a time: an audit takes as much memory as the set. */
static void open_audit(struct agent *agent, const struct event *event)
{
    struct served_audit *served = &agent->audits[event->reconcile.set - 1];
    uint8_t key[AUDIT_KEY_SIZE];

    if (served->audit || !quota_take(served->turns, &event->node, AUDIT_EACH_S, event->at.now_ms))
        return; /* the asker gives up, and asks somebody else */
    dice_fill(&agent->dice, served->nonce, AUDIT_NONCE_SIZE);
    audit_key(&event->node, event->reconcile.nonce, &agent->node, served->nonce, key);
    served->audit = audit_begin(agent->sets[event->reconcile.set - 1], key);
    served->is_made = false;
    served->peer = event->node;
    served->session = event->reconcile.session;
    served->until_ms = event->at.now_ms + AUDIT_SERVED_MS;
}

/* A slice a turn; then the neighbour may begin. */
static void make_audit(struct agent *agent, enum record_set set, struct effects *effects)
{
    struct served_audit *served = &agent->audits[set - 1];
    struct event answer = {0};

    if (!served->audit || served->is_made ||
        !audit_go_on(served->audit, agent->sets[set - 1], AUDIT_SLICE))
        return;
    served->is_made = true;
    answer.reconcile.set = set;
    answer.reconcile.session = served->session;
    answer.reconcile.is_answer = true;
    answer.reconcile.has_nonce = true;
    memcpy(answer.reconcile.nonce, served->nonce, AUDIT_NONCE_SIZE);
    send_reconcile(&served->peer, &answer, effects);
}

static void answer_reconcile(struct agent *agent, const struct event *event,
                             struct effects *effects)
{
    const struct recordset *set = agent->sets[event->reconcile.set - 1];
    struct event answer = *event;

    if (event->reconcile.keyed) {
        const struct served_audit *served =
            served_audit(agent, &event->node, event->reconcile.set, event->reconcile.session);

        if (!served)
            return;
        set = audit_set(served->audit);
    }
    if (reconcile_answer(agent->responder, set, event->reconcile.message,
                         &answer.reconcile.message) != RECONCILE_TAKEN) {
        agent->records_refused++;
        return;
    }
    answer.reconcile.is_answer = true;
    send_reconcile(&event->node, &answer, effects);
    reconcile_rest(agent->responder);
}

void agent_take_reconcile(struct agent *agent, const struct event *event, struct effects *effects)
{
    enum record_set set = event->reconcile.set;

    if (!event->reconcile.is_answer && event->reconcile.has_nonce)
        open_audit(agent, event);
    else if (!event->reconcile.is_answer)
        answer_reconcile(agent, event, effects);
    else if (event->reconcile.has_nonce)
        repair_audit_opened(agent->repairs[set - 1], agent->sets[set - 1], &event->node,
                            event->reconcile.session, event->reconcile.nonce, &event->at);
    else
        repair_answered(agent->repairs[set - 1], agent->sets[set - 1], &event->node,
                        event->reconcile.session, event->reconcile.message, &event->at);
}

static size_t map_back(struct agent *agent, const struct event *event, struct hash *hashes)
{
    const struct served_audit *served =
        served_audit(agent, &event->node, event->fetch.set, event->fetch.session);
    size_t count = 0;

    for (size_t i = 0; served && i < event->fetch.count; i++)
        count += audit_original(served->audit, &event->fetch.hashes[i], &hashes[count]);
    return count;
}

/* The next ones in the order of time. */
static size_t read_on(struct agent *agent, const struct event *event, struct hash *hashes,
                      struct fetch_answer *answer)
{
    const struct recordset *set = agent->sets[event->fetch.set - 1];
    struct stamp stamps[FETCH_HASHES_PER_FRAME_MAX];
    size_t first = recordset_seek(set, &event->fetch.after), count;

    if (recordset_contains(set, &event->fetch.after))
        first++;
    count = recordset_read(set, first, stamps, FETCH_HASHES_PER_FRAME_MAX);
    for (size_t i = 0; i < count; i++)
        hashes[i] = stamps[i].hash;
    answer->has_next = first + count < recordset_count(set);
    if (answer->has_next)
        answer->next = stamps[count - 1];
    return count;
}

void agent_take_fetch(struct agent *agent, const struct event *event, struct effects *effects)
{
    struct hash *hashes = arena_take(&effects->arena, FETCH_HASHES_PER_FRAME_MAX * sizeof *hashes);
    struct fetch_answer answer = {
        .session = event->fetch.session, .set = event->fetch.set, .is_last = true};
    struct effect *effect;
    size_t count;

    if (!hashes || event->fetch.session == 0)
        return;
    if (event->fetch.stream) {
        count = read_on(agent, event, hashes, &answer);
    } else if (event->fetch.keyed) {
        count = map_back(agent, event, hashes);
    } else {
        count = event->fetch.count;
        memcpy(hashes, event->fetch.hashes, count * sizeof *hashes);
    }
    effect = effects_add(effects, EFFECT_SEND_RECORDS);
    effect->send_records.node = event->node;
    effect->send_records.hashes = hashes;
    effect->send_records.count = count;
    effect->send_records.answer = answer;
}

/* ---- as the initiator ---- */

void agent_take_fetched(struct agent *agent, const struct event *event, struct effects *effects)
{
    struct repair *repair = agent->repairs[event->fetched.set - 1];
    size_t useful = 0;

    if (!repair_is_asked(repair, &event->node, event->fetched.session)) {
        agent->records_refused += event->fetched.count;
        return;
    }
    agent->filling = repair_is_filling(repair);
    for (size_t i = 0; i < event->fetched.count; i++)
        useful +=
            agent_offer_record(agent, &event->fetched.items[i], &event->node, &event->at, effects);
    agent->filling = false;
    repair_fetched(repair, &event->node, event->fetched.session, useful, event->fetched.is_last,
                   event->fetched.has_next ? &event->fetched.next : NULL, &event->at);
}

static void ask(enum record_set set, const struct repair_output *output, struct effects *effects)
{
    struct event event = {0};

    if (output->kind == REPAIR_COMPARE || output->kind == REPAIR_AUDIT) {
        event.reconcile.set = set;
        event.reconcile.session = output->session;
        event.reconcile.keyed = output->keyed;
        event.reconcile.message = output->message;
        event.reconcile.has_nonce = output->kind == REPAIR_AUDIT;
        memcpy(event.reconcile.nonce, output->nonce, AUDIT_NONCE_SIZE);
        send_reconcile(&output->peer, &event, effects);
        return;
    }
    event.fetch.set = set;
    event.fetch.session = output->session;
    event.fetch.keyed = output->keyed;
    event.fetch.stream = output->kind == REPAIR_STREAM;
    event.fetch.hashes = output->hashes;
    event.fetch.count = output->count;
    event.fetch.after = output->after;
    agent_send(&output->peer, FRAME_FETCH, frame_pack_fetch(&event, &effects->arena), effects);
}

/* Who lacked something may lack more: on to another neighbour, until one brings nothing. In a crowd one
 * that fails stands for nobody. */
static void note_end(struct agent *agent, enum record_set set, const struct repair_output *output,
                     const struct moment *at, struct effects *effects)
{
    bool crowded = news_is_crowded(agent->news, at->now_ms);
    char text[ID_TEXT_SIZE];
    struct id next;

    if (!output->failed) {
        agent_note_heard(agent, set, at, effects);
        agent_hear(agent, set, &output->peer, at);
    }
    if (output->fetched > 0)
        agent_log(effects, LOG_DEBUG, "%zu records of %s came by repair (%s)", output->fetched,
                  id_text(ID_NODE, &output->peer, text), output->how);
    if ((output->fetched > 0 || (output->failed && crowded)) &&
        gossip_draw_link(agent->gossip, &output->peer, &next))
        repair_suggest(agent->repairs[set - 1], &next, crowded, at->now_ms);
}

void agent_repair(struct agent *agent, const struct moment *at, struct effects *effects)
{
    struct repair_output output;

    ask_sets(agent, at);
    for (int i = 0; i < RECORD_SETS; i++) {
        while (repair_poll(agent->repairs[i], agent->sets[i], at, &output)) {
            if (output.kind != REPAIR_ENDED)
                ask((enum record_set)(i + 1), &output, effects);
            else
                note_end(agent, (enum record_set)(i + 1), &output, at, effects);
        }
        make_audit(agent, (enum record_set)(i + 1), effects);
        if (agent->audits[i].audit && agent->audits[i].until_ms <= at->now_ms) {
            audit_free(agent->audits[i].audit);
            agent->audits[i].audit = NULL;
        }
    }
}

uint64_t agent_repair_wake_at_ms(const struct agent *agent)
{
    uint64_t wake_ms = gossip_links(agent->gossip) > 0 ? agent->ask_sets_ms : MOMENT_NEVER;

    for (int i = 0; i < RECORD_SETS; i++) {
        uint64_t repair_ms = repair_wake_at_ms(agent->repairs[i]);

        if (repair_ms < wake_ms)
            wake_ms = repair_ms;
        if (agent->audits[i].audit && !agent->audits[i].is_made)
            return 0;
        if (agent->audits[i].audit && agent->audits[i].until_ms < wake_ms)
            wake_ms = agent->audits[i].until_ms;
    }
    return wake_ms;
}
