/* An identity with two certificates of one number: who meets the second tells all others, with the proof. */
#include "agent_parts.h"
#include "contradiction.h"

#include <sodium.h>

/* What one who makes identities for it alone can have us look at, log and sign. */
static bool may_look(struct agent *agent, const struct moment *at)
{
    if (at->now_ms >= agent->contradictions_from_ms + MINUTE_MS) {
        agent->contradictions_from_ms = at->now_ms;
        agent->contradictions_told = 0;
    }
    return agent->contradictions_told++ < CONTRADICTIONS_PER_MINUTE;
}

static void tell(struct agent *agent, const struct contradiction_wish *wish,
                 const struct moment *at, struct effects *effects)
{
    static const struct id nobody;
    struct offered_record offered = {0};
    enum contradiction_verdict verdict =
        contradiction_make(wish, &effects->arena, &offered.wire, &offered.chain);
    struct envelope envelope;
    char text[ID_TEXT_SIZE];

    id_text(wish->one->kind == IDENTITY_NODE ? ID_NODE : ID_DUCKLING, &wish->one->identity, text);
    if (verdict != CONTRADICTION_PROVEN) {
        agent_log(effects, LOG_WARNING,
                  "%s has two certificates of one number, and the network cannot be told: %s", text,
                  contradiction_verdict_text(verdict));
        return;
    }
    if (envelope_parse(offered.wire, ENVELOPE_RECORD, &effects->arena, &envelope) !=
            ENVELOPE_TAKEN ||
        record_parse(envelope.body, &effects->arena, &offered.record) != RECORD_OK)
        return;
    offered.record.contradicted = wish->one->identity;
    agent_offer_record(agent, &offered, &nobody, at, effects);
}

void agent_take_contradiction(struct agent *agent, const struct event *event,
                              struct effects *effects)
{
    uint8_t seed[SEED_SIZE];
    struct chain one, other;
    struct contradiction_wish wish = {.network = agent->settings.network,
                                      .one = &one,
                                      .other = &other,
                                      .now_ms = event->at.wall_ms,
                                      .seed = seed};
    struct arena arena;

    arena_init(&arena, 2 * PARSE_BUDGET(CHAIN_SIZE_MAX));
    if (chain_open(event->contradiction.one, &arena, &one) == CERTIFICATE_TAKEN &&
        !directory_contradicted(agent->directory, &one.identity) && may_look(agent, &event->at) &&
        chain_open(event->contradiction.other, &arena, &other) == CERTIFICATE_TAKEN) {
        dice_fill(&agent->dice, seed, sizeof seed);
        tell(agent, &wish, &event->at, effects);
        sodium_memzero(seed, sizeof seed);
    }
    arena_free(&arena);
}
