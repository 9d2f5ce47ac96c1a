/* Lobster binds of ducklings that live here: what their operators order, what the other end's node says, and what both
 * ends publish of it. See lobster.h.
 *
 * What is live is read from two attestations in the directory, each signed by one end, each for a lease; so whoever
 * reads needs nothing else, and both ends agree as soon as they have both. Each step is kept before it is said. */
#include "agent_parts.h"
#include "tier.h"

#include <stdio.h>

struct held_lobster {
    struct lobster lobster;
    uint64_t say_at_ms; /* steady: the offer or answer is said again; MOMENT_NEVER */
};

struct lobsters {
    struct held_lobster *list[LOBSTERS_MAX];
    size_t count;
    bool
        is_ground_new; /* a bond ended, a key was rotated: what they rest on is looked at in this turn */
};

static struct lobsters *table(struct agent *agent)
{
    if (!agent->lobsters)
        agent->lobsters = memory_take(sizeof *agent->lobsters);
    return agent->lobsters;
}

void agent_free_lobsters(struct agent *agent)
{
    for (size_t i = 0; agent->lobsters && i < agent->lobsters->count; i++)
        memory_give_back(agent->lobsters->list[i]);
    memory_give_back(agent->lobsters);
}

static struct held_lobster *find(const struct agent *agent, const struct id *here,
                                 const struct id *there)
{
    for (size_t i = 0; agent->lobsters && i < agent->lobsters->count; i++) {
        struct held_lobster *held = agent->lobsters->list[i];

        if (id_equal(&held->lobster.here, here) && id_equal(&held->lobster.there, there))
            return held;
    }
    return NULL;
}

/* NULL: there are as many as there may be. */
static struct held_lobster *add(struct agent *agent, const struct lobster *lobster)
{
    struct lobsters *lobsters = table(agent);
    struct held_lobster *held;

    if (lobsters->count == LOBSTERS_MAX)
        return NULL;
    held = memory_take(sizeof *held);
    held->lobster = *lobster;
    held->say_at_ms = MOMENT_NEVER;
    lobsters->list[lobsters->count++] = held;
    return held;
}

static void remove_held(struct agent *agent, struct held_lobster *held)
{
    struct lobsters *lobsters = agent->lobsters;

    for (size_t i = 0; i < lobsters->count; i++)
        if (lobsters->list[i] == held)
            lobsters->list[i] = lobsters->list[--lobsters->count];
    memory_give_back(held);
}

/* What was said last may have been lost with the process. */
void agent_restore_lobster(struct agent *agent, const struct lobster *lobster)
{
    struct held_lobster *held = add(agent, lobster);

    if (held && (lobster->state == LOBSTER_OFFERED || lobster->state == LOBSTER_ANSWERED))
        held->say_at_ms = 0;
}

/* ---- kept ---- */

static struct lobster *copy_of(const struct lobster *lobster, struct arena *arena)
{
    return (struct lobster *)(uintptr_t)arena_copy(arena, bytes_of(lobster, sizeof *lobster)).data;
}

static void keep(const struct held_lobster *held, const char *why, struct effects *effects)
{
    struct effect *effect = effects_add(effects, EFFECT_KEEP_LOBSTER);

    effect->lobster.lobster = copy_of(&held->lobster, &effects->arena);
    effect->lobster.why = why;
}

/* ---- said to the other end's node ---- */

static const struct duckling *hosted_end(const struct agent *agent, const struct lobster *lobster)
{
    return agent_hosted(agent, &lobster->here);
}

static void say_word(struct agent *agent, const struct id *node, const struct lobster_word *word,
                     struct bytes chain, const struct moment *at, struct effects *effects)
{
    struct event event = {.kind = EVENT_LOBSTER, .at = *at, .node = agent->node};

    if (!id_equal(node, &agent->node)) {
        agent_send(node, FRAME_LOBSTER, frame_pack_lobster(word, chain, &effects->arena), effects);
        return;
    }
    event.word = *word;
    event.word.certificate = chain_last(chain);
    agent_take_lobster(agent, &event, effects);
}

/* Where there is a link, or else it is made; what is not heard is said again. */
static void say(struct agent *agent, struct held_lobster *held, enum lobster_step step,
                const char *code, const struct moment *at, struct effects *effects)
{
    const struct lobster *lobster = &held->lobster;
    struct lobster_word word = {.step = step,
                                .from = lobster->here,
                                .to = lobster->there,
                                .commitment = lobster->commitment,
                                .lease_ms = lobster->lease_ms,
                                .code = bytes_of_text(code)};
    const struct duckling *from = hosted_end(agent, lobster);
    struct id node;

    held->say_at_ms = step == LOBSTER_OFFER || step == LOBSTER_ANSWER
                          ? at->now_ms + LOBSTER_SAY_AGAIN_MS
                          : MOMENT_NEVER;
    if (!from || !agent_find_host(agent, &lobster->there, &node))
        return;
    memcpy(word.session, lobster->session, LOBSTER_SESSION_SIZE);
    if (step == LOBSTER_ANSWER || step == LOBSTER_REVEAL)
        memcpy(word.nonce, lobster->nonce, LOBSTER_NONCE_SIZE);
    if (!id_equal(&node, &agent->node) && !gossip_is_linked(agent->gossip, &node)) {
        gossip_want(agent->gossip, &node, at->now_ms);
        return;
    }
    say_word(agent, &node, &word, from->chain, at, effects);
}

static void say_no(struct agent *agent, const struct event *event, const char *code,
                   struct effects *effects)
{
    struct lobster_word word = {.step = LOBSTER_NO,
                                .from = event->word.to,
                                .to = event->word.from,
                                .code = bytes_of_text(code)};

    memcpy(word.session, event->word.session, LOBSTER_SESSION_SIZE);
    say_word(agent, &event->node, &word, bytes_of(NULL, 0), &event->at, effects);
}

/* ---- published ---- */

static void publish(struct agent *agent, const struct lobster *lobster, bool deleted,
                    const struct moment *at, struct effects *effects)
{
    struct attestation_content content = {.subject = lobster->there,
                                          .claim = bytes_of_text(CLAIM_LOBSTER),
                                          .proof = id_bytes(&lobster->id)};
    struct statement statement = {.by = hosted_end(agent, lobster),
                                  .kind = RECORD_ATTESTATION,
                                  .deleted = deleted,
                                  .life_ms = lobster->lease_ms + (deleted ? HOUR_MS : 0)};
    char text[ID_TEXT_SIZE], key[RECORD_KEY_MAX];

    snprintf(key, sizeof key, CLAIM_LOBSTER ":%s", id_text(ID_DUCKLING, &lobster->there, text));
    statement.key = arena_copy(&effects->arena, bytes_of_text(key));
    statement.content = attestation_content_pack(&content, &effects->arena);
    agent_publish(agent, &statement, at, effects, NULL);
}

/* Its own end is over, whatever the other says. `held` goes. */
static void end(struct agent *agent, struct held_lobster *held, const char *why,
                const struct moment *at, struct effects *effects)
{
    struct effect *effect = effects_add(effects, EFFECT_DROP_LOBSTER);
    struct lobster *ended = copy_of(&held->lobster, &effects->arena);
    char here[ID_TEXT_SIZE], there[ID_TEXT_SIZE];

    effect->lobster.lobster = ended;
    effect->lobster.why = why;
    remove_held(agent, held);
    agent_log(effects, ended->state >= LOBSTER_CONFIRMED ? LOG_WARNING : LOG_INFO,
              "the lobster bind of %s with %s is over: %s",
              id_text(ID_DUCKLING, &ended->here, here), id_text(ID_DUCKLING, &ended->there, there),
              why);
    if (ended->state >= LOBSTER_SHOWN && hosted_end(agent, ended))
        publish(agent, ended, true, at, effects);
}

/* At both ends. Where both live here, what the other one is told may have ended this one already. */
static void give_up(struct agent *agent, struct held_lobster *held, const char *why,
                    const struct moment *at, struct effects *effects)
{
    struct id here = held->lobster.here, there = held->lobster.there;

    if (held->lobster.state <= LOBSTER_SHOWN)
        say(agent, held, LOBSTER_NO, "broken", at, effects);
    held = find(agent, &here, &there);
    if (held)
        end(agent, held, why, at, effects);
}

/* NULL: what was published ended it, where both ends live here. */
static struct held_lobster *say_bound(struct agent *agent, struct held_lobster *held,
                                      const char *why, const struct moment *at,
                                      struct effects *effects)
{
    struct id here = held->lobster.here, there = held->lobster.there;

    held->lobster.here_until_ms = at->wall_ms + held->lobster.lease_ms;
    keep(held, why, effects);
    publish(agent, &held->lobster, false, at, effects);
    return find(agent, &here, &there);
}

/* Both ends have said it. */
static bool is_confirmed_there(const struct lobster *lobster, const struct moment *at)
{
    return lobster->there_until_ms > at->wall_ms;
}

static void become_live(struct held_lobster *held, struct effects *effects)
{
    held->lobster.state = LOBSTER_LIVE;
    keep(held, "live", effects);
}

/* ---- room ---- */

static bool is_begun(const struct held_lobster *held, const struct id *here)
{
    return held->lobster.state < LOBSTER_CONFIRMED && id_equal(&held->lobster.here, here);
}

static size_t count_begun(const struct lobsters *lobsters, const struct id *here)
{
    size_t count = 0;

    for (size_t i = 0; i < lobsters->count; i++)
        count += is_begun(lobsters->list[i], here);
    return count;
}

/* To begin one costs nothing, and those that begin may be many of one: so of what nobody has confirmed yet the newest of
 * whoever has most makes room for who has less. False: all are confirmed, or it is as many as they. */
static bool make_room(struct agent *agent, const struct id *here, const struct moment *at,
                      struct effects *effects)
{
    struct lobsters *lobsters = table(agent);
    struct held_lobster *newest = NULL;
    size_t most = count_begun(lobsters, here) + 1;

    if (lobsters->count < LOBSTERS_MAX)
        return true;
    for (size_t i = 0; i < lobsters->count; i++) {
        const struct id *other = &lobsters->list[i]->lobster.here;
        size_t count =
            lobsters->list[i]->lobster.state < LOBSTER_CONFIRMED ? count_begun(lobsters, other) : 0;

        if (count > most || (newest && count == most && id_equal(other, &newest->lobster.here))) {
            most = count;
            newest = lobsters->list[i];
        }
    }
    if (newest)
        give_up(agent, newest, "another duckling needs its place", at, effects);
    return lobsters->count < LOBSTERS_MAX;
}

/* ---- orders ---- */

static bool refuse(struct order_refusal *refusal, enum refusal_code code, const char *message,
                   const char *field)
{
    *refusal = (struct order_refusal){.code = code, .message = message, .field = field};
    return false;
}

static bool judge_ranks(const struct order *order, struct order_refusal *refusal)
{
    if (!order->own_rank.missing || order->own_rank.tier < 2)
        return refuse(refusal, REFUSAL_NOT_ALLOWED,
                      "a lobster bind is for T2: this duckling is below it, as this node sees it",
                      "duckling");
    if (!order->rank.missing || order->rank.tier < 2)
        return refuse(refusal, REFUSAL_NOT_ALLOWED,
                      "a lobster bind is for T2: the other end is below it, as this node sees it",
                      "with");
    return true;
}

static bool begin(struct agent *agent, const struct order *order, const struct duckling *duckling,
                  const struct moment *at, struct effects *effects, struct order_refusal *refusal)
{
    struct lobster lobster = {.here = duckling->id,
                              .there = order->with,
                              .certificate_here = chain_last(duckling->chain),
                              .lease_ms = order->lease_ms ? order->lease_ms : LOBSTER_LEASE_MS,
                              .until_ms = at->wall_ms + LOBSTER_CONFIRM_MS};
    struct held_lobster *held;
    struct id node;

    if (lobster.lease_ms < LOBSTER_LEASE_MIN_MS || lobster.lease_ms > LOBSTER_LEASE_MAX_MS)
        return refuse(refusal, REFUSAL_MALFORMED, "a lease is 5 s to 1 h", "lease_ms");
    if (id_equal(&order->with, &duckling->id))
        return refuse(refusal, REFUSAL_MALFORMED, "a duckling is not bound to itself", "with");
    if (!agent_find_host(agent, &order->with, &node))
        return refuse(refusal, REFUSAL_UNKNOWN_TARGET, "the directory knows no duckling of this id",
                      "with");
    if (!bonds_between(agent->bonds, &duckling->id, &order->with))
        return refuse(refusal, REFUSAL_NOT_ALLOWED, "there is no bond between the two", "with");
    if (!judge_ranks(order, refusal))
        return false;
    if (find(agent, &duckling->id, &order->with))
        return refuse(refusal, REFUSAL_CONFLICT,
                      "there is one with this duckling already: confirm it, or break it", "with");
    dice_fill(&agent->dice, lobster.session, sizeof lobster.session);
    dice_fill(&agent->dice, lobster.nonce, sizeof lobster.nonce);
    lobster_offer(&lobster, agent->settings.network);
    held = make_room(agent, &duckling->id, at, effects) ? add(agent, &lobster) : NULL;
    if (!held)
        return refuse(refusal, REFUSAL_BUSY, "this node has as many lobster binds as it can", "");
    keep(held, NULL, effects);
    say(agent, held, LOBSTER_OFFER, "", at, effects);
    return true;
}

/* Another string means that the other operator compares with somebody else: then it is over, on both sides. */
static bool confirm(struct agent *agent, const struct order *order, struct held_lobster *held,
                    const struct moment *at, struct effects *effects, struct order_refusal *refusal)
{
    if (held->lobster.state < LOBSTER_SHOWN)
        return refuse(refusal, REFUSAL_CONFLICT,
                      "the string is not known yet: the other end has to "
                      "answer",
                      "with");
    if (held->lobster.state > LOBSTER_SHOWN)
        return refuse(refusal, REFUSAL_CONFLICT, "it is confirmed already", "with");
    if (!judge_ranks(order, refusal))
        return false;
    if (!lobster_matches(&held->lobster, agent->settings.network, order->string)) {
        give_up(agent, held, "another string was compared", at, effects);
        return refuse(
            refusal, REFUSAL_CONFLICT,
            "this is not the string of this end: somebody may stand in between, or it was "
            "misheard. The bind is given up; begin anew",
            "string");
    }
    held->lobster.state = LOBSTER_CONFIRMED;
    held = say_bound(agent, held, "confirmed", at, effects);
    if (held && is_confirmed_there(&held->lobster, at))
        become_live(held, effects);
    return true;
}

bool agent_lobster(struct agent *agent, const struct order *order, const struct duckling *duckling,
                   const struct moment *at, struct effects *effects, struct order_refusal *refusal)
{
    struct held_lobster *held;

    if (order->lobster == LOBSTERS_LIST)
        return true;
    if (!duckling)
        return refuse(refusal, REFUSAL_NOT_HOSTED, "this duckling does not live on this node",
                      "duckling");
    if (order->lobster == LOBSTER_BEGIN)
        return begin(agent, order, duckling, at, effects, refusal);
    held = find(agent, &duckling->id, &order->with);
    if (!held)
        return refuse(refusal, REFUSAL_NOT_FOUND, "there is no lobster bind between the two",
                      "with");
    if (order->lobster == LOBSTER_CONFIRM)
        return confirm(agent, order, held, at, effects, refusal);
    give_up(agent, held, "broken here", at, effects);
    return true;
}

const struct lobster *agent_list_lobsters(const struct agent *agent, const struct order *order,
                                          struct arena *arena, size_t *count)
{
    struct lobster *listed = arena_take(arena, (LOBSTERS_MAX + 1) * sizeof *listed);

    *count = 0;
    for (size_t i = 0; listed && agent->lobsters && i < agent->lobsters->count; i++) {
        const struct lobster *lobster = &agent->lobsters->list[i]->lobster;

        if ((id_is_zero(&order->duckling) || id_equal(&order->duckling, &lobster->here)) &&
            (id_is_zero(&order->with) || id_equal(&order->with, &lobster->there)))
            listed[(*count)++] = *lobster;
    }
    return listed;
}

/* ---- what the other end's node says ---- */

/* Of two offers that cross, the one of the lower id stands: both ends see it so. */
static bool gives_way(const struct lobster *lobster)
{
    return lobster->state != LOBSTER_OFFERED || id_compare(&lobster->there, &lobster->here) < 0;
}

static void take_offer(struct agent *agent, const struct event *event, struct held_lobster *held,
                       const struct duckling *duckling, struct effects *effects)
{
    struct lobster lobster = {.here = duckling->id,
                              .certificate_here = chain_last(duckling->chain),
                              .until_ms = event->at.wall_ms + LOBSTER_CONFIRM_MS};

    if (held && memcmp(held->lobster.session, event->word.session, LOBSTER_SESSION_SIZE) == 0) {
        if (held->lobster.state == LOBSTER_ANSWERED)
            say(agent, held, LOBSTER_ANSWER, "", &event->at, effects);
        return;
    }
    if (held && (held->lobster.state >= LOBSTER_CONFIRMED || !gives_way(&held->lobster))) {
        if (held->lobster.state >= LOBSTER_CONFIRMED)
            say_no(agent, event, "busy", effects);
        return;
    }
    if (!bonds_between(agent->bonds, &duckling->id, &event->word.from)) {
        say_no(agent, event, "no_bond", effects);
        return;
    }
    dice_fill(&agent->dice, lobster.nonce, sizeof lobster.nonce);
    lobster_answer(&lobster, &event->word);
    if (held)
        held->lobster = lobster;
    else if (make_room(agent, &duckling->id, &event->at, effects))
        held = add(agent, &lobster);
    if (!held) {
        say_no(agent, event, "busy", effects);
        return;
    }
    keep(held, NULL, effects);
    say(agent, held, LOBSTER_ANSWER, "", &event->at, effects);
}

static void take_no(struct agent *agent, const struct event *event, struct held_lobster *held,
                    struct effects *effects)
{
    bool is_broken = bytes_equal(event->word.code, bytes_of_text("broken"));

    if (memcmp(held->lobster.session, event->word.session, LOBSTER_SESSION_SIZE) != 0 ||
        held->lobster.state > LOBSTER_SHOWN)
        return; /* from then on the directory says it, signed */
    end(agent, held, is_broken ? "broken by the other end" : "refused by the other end's node",
        &event->at, effects);
}

static void take_step(struct agent *agent, const struct event *event, struct held_lobster *held,
                      struct effects *effects)
{
    bool is_answer = event->word.step == LOBSTER_ANSWER;
    struct bytes network = agent->settings.network;
    enum lobster_verdict verdict = is_answer
                                       ? lobster_take_answer(&held->lobster, network, &event->word)
                                       : lobster_take_reveal(&held->lobster, network, &event->word);

    switch (verdict) {
    case LOBSTER_TAKEN:
        held->say_at_ms = MOMENT_NEVER;
        keep(held, NULL, effects);
        if (is_answer)
            say(agent, held, LOBSTER_REVEAL, "", &event->at, effects);
        break;
    case LOBSTER_AGAIN:
        if (is_answer)
            say(agent, held, LOBSTER_REVEAL, "", &event->at, effects);
        break;
    case LOBSTER_FORGED:
        say_no(agent, event, "forged", effects);
        end(agent, held, "the other end revealed another nonce than it committed to", &event->at,
            effects);
        break;
    case LOBSTER_UNFIT:
        break;
    }
}

void agent_take_lobster(struct agent *agent, const struct event *event, struct effects *effects)
{
    const struct duckling *duckling = agent_hosted(agent, &event->word.to);
    struct held_lobster *held = find(agent, &event->word.to, &event->word.from);
    struct id host;

    if (!agent_find_host(agent, &event->word.from, &host) || !id_equal(&host, &event->node))
        return; /* it does not live there: whoever says so has no word in it */
    if (event->word.step == LOBSTER_NO) {
        if (held)
            take_no(agent, event, held, effects);
    } else if (!duckling) {
        say_no(agent, event, "not_hosted_here", effects);
    } else if (event->word.step == LOBSTER_OFFER) {
        take_offer(agent, event, held, duckling, effects);
    } else if (held) {
        take_step(agent, event, held, effects);
    } else {
        say_no(agent, event, "unknown", effects);
    }
}

/* ---- what the directory says ---- */

static void hear_bound(struct agent *agent, struct held_lobster *held,
                       const struct offered_record *offered, const struct moment *at,
                       struct effects *effects)
{
    struct lobster *lobster = &held->lobster;
    struct id certificate = chain_last(offered->chain);
    uint64_t most_ms = at->wall_ms + lobster->lease_ms; /* by our own clock */

    if (!id_equal(&certificate, &lobster->certificate_there)) {
        end(agent, held, "the other end's key was rotated", at, effects);
        return;
    }
    lobster->there_until_ms =
        offered->record.not_after_ms < most_ms ? offered->record.not_after_ms : most_ms;
    if (lobster->state == LOBSTER_CONFIRMED && is_confirmed_there(lobster, at))
        become_live(held, effects);
    else
        keep(held, NULL, effects);
}

void agent_hear_of_lobster(struct agent *agent, const struct offered_record *offered,
                           const struct moment *at, struct effects *effects)
{
    static const char claim[] = CLAIM_LOBSTER ":";
    const struct record *record = &offered->record;
    struct attestation_content content;
    struct held_lobster *held;
    struct arena arena;
    struct id here;

    if (record->kind != RECORD_ATTESTATION || record->key.size <= sizeof claim - 1 ||
        memcmp(record->key.data, claim, sizeof claim - 1) != 0 ||
        !id_parse(
            ID_DUCKLING,
            bytes_of(record->key.data + sizeof claim - 1, record->key.size + 1 - sizeof claim),
            &here))
        return;
    held = find(agent, &here, &record->owner);
    if (!held || held->lobster.state < LOBSTER_SHOWN)
        return;
    arena_init(&arena, PARSE_BUDGET(RECORD_SIZE_MAX));
    if (attestation_content_parse(record->content, &arena, &content) == RECORD_OK &&
        bytes_equal(content.proof, id_bytes(&held->lobster.id))) {
        if (record->deleted)
            end(agent, held, "broken by the other end", at, effects);
        else
            hear_bound(agent, held, offered, at, effects);
    }
    arena_free(&arena);
}

/* ---- time ---- */

void agent_look_at_lobsters(struct agent *agent)
{
    if (agent->lobsters)
        agent->lobsters->is_ground_new = true;
}

/* Why it cannot stand any more; NULL: it can. */
static const char *why_groundless(const struct agent *agent, const struct lobster *lobster)
{
    const struct duckling *duckling = hosted_end(agent, lobster);
    struct id certificate = duckling ? chain_last(duckling->chain) : (struct id){0};

    if (!id_equal(&certificate, &lobster->certificate_here))
        return "its own key was rotated";
    if (!bonds_between(agent->bonds, &lobster->here, &lobster->there))
        return "the two have no bond any more";
    return NULL;
}

static const char *why_over(const struct lobster *lobster, const struct moment *at)
{
    if (lobster_end_ms(lobster) > at->wall_ms)
        return NULL;
    return lobster->state == LOBSTER_LIVE ? "the other end did not renew it"
                                          : "it was not confirmed in time";
}

static void settle(struct agent *agent, struct held_lobster *held, const struct moment *at,
                   struct effects *effects)
{
    const char *why = why_over(&held->lobster, at);
    uint64_t renew_ms = lobster_renew_ms(&held->lobster);

    if (!why && agent->lobsters->is_ground_new)
        why = why_groundless(agent, &held->lobster);
    if (why) {
        end(agent, held, why, at, effects);
        return;
    }
    /* Here the clock was ahead when the other end said it: what it said was over, and is not any more. */
    if (held->lobster.state == LOBSTER_CONFIRMED && is_confirmed_there(&held->lobster, at))
        become_live(held, effects);
    if (renew_ms > 0 && renew_ms <= at->wall_ms)
        held = say_bound(agent, held, NULL, at, effects);
    if (held && held->say_at_ms <= at->now_ms)
        say(agent, held, held->lobster.state == LOBSTER_OFFERED ? LOBSTER_OFFER : LOBSTER_ANSWER,
            "", at, effects);
}

/* From the last on: one that ends makes room by the last. */
void agent_settle_lobsters(struct agent *agent, const struct moment *at, struct effects *effects)
{
    for (size_t i = agent->lobsters ? agent->lobsters->count : 0; i-- > 0;)
        if (i < agent->lobsters->count)
            settle(agent, agent->lobsters->list[i], at, effects);
    if (agent->lobsters)
        agent->lobsters->is_ground_new = false;
}

static uint64_t sooner(uint64_t left, uint64_t right)
{
    return left < right ? left : right;
}

uint64_t agent_lobsters_wake_at_ms(const struct agent *agent, const struct moment *at)
{
    uint64_t wake_ms = MOMENT_NEVER;

    for (size_t i = 0; agent->lobsters && i < agent->lobsters->count; i++) {
        const struct held_lobster *held = agent->lobsters->list[i];
        uint64_t renew_ms = lobster_renew_ms(&held->lobster);
        uint64_t wall_ms = lobster_end_ms(&held->lobster);

        if (renew_ms > 0)
            wall_ms = sooner(wall_ms, renew_ms);
        wake_ms = sooner(wake_ms, held->say_at_ms);
        wake_ms = sooner(wake_ms, at->now_ms + (wall_ms > at->wall_ms ? wall_ms - at->wall_ms : 0));
    }
    return wake_ms;
}
