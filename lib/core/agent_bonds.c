/* How bonds end: by either end, by word of the other end's node, by their time.
 *
 * Each end has an attestation in the directory that it is bonded with the other (agent_directory.c
 * publishes it). Who ends its last bond with another deletes that record, and the deletion is the
 * word: it is signed, gossiped, and lives long enough for a node that is away for days. */
#include "agent_parts.h"

#include <assert.h>
#include <stdio.h>

#define ENDED_AT_ONCE_MAX 256   /* of those whose time is over, in one turn */
#define RENEWED_AT_ONCE_MAX 256 /* attestations, in one turn: each costs a signature */
#define RENEW_LOOK_MS SECOND_MS /* until the next turn that renews, when there are more */

static void tell_end(const struct bond *bond, const struct id *duckling, struct effects *effects)
{
    struct effect *effect = effects_add(effects, EFFECT_BOND_CHANGED);

    effect->bond_changed.change = BOND_ENDED;
    effect->bond_changed.bond = bond->id;
    effect->bond_changed.duckling = *duckling;
    effect->bond_changed.with =
        id_equal(&bond->requester, duckling) ? bond->approver : bond->requester;
}

/* Who lives here is told; `duckling` does, and last. It is not of the bond: that goes. */
static void end_bond(struct agent *agent, const struct bond *bond, const struct id *duckling,
                     struct effects *effects)
{
    struct bond *copy = arena_take(&effects->arena, sizeof *copy);
    const struct id *other;

    assert(copy);
    *copy = *bond;
    copy->scope_count = copy->terms.stop_word_count = 0; /* the table forgets them now */
    bonds_remove(agent->bonds, &copy->id);
    agent_look_at_lobsters(agent);
    effects_add(effects, EFFECT_DROP_BOND)->bond = copy;
    other = id_equal(&copy->requester, duckling) ? &copy->approver : &copy->requester;
    if (agent_hosted(agent, other))
        tell_end(copy, other, effects);
    tell_end(copy, duckling, effects);
}

/* ---- told to others ---- */

static struct bytes key_of(const struct id *other, char key[RECORD_KEY_MAX])
{
    char text[ID_TEXT_SIZE];

    snprintf(key, RECORD_KEY_MAX, "bonded:%s", id_text(ID_DUCKLING, other, text));
    return bytes_of_text(key);
}

/* The deletion names the bond as the attestation did: times of two nodes need not agree. */
static void tell_ended(struct agent *agent, const struct duckling *duckling, const struct id *other,
                       const struct id *bond, const struct moment *at, struct effects *effects)
{
    struct attestation_content content = {
        .subject = *other, .claim = bytes_of_text("bonded"), .proof = id_bytes(bond)};
    char key[RECORD_KEY_MAX];
    struct statement statement = {
        .by = duckling,
        .kind = RECORD_ATTESTATION,
        .key = arena_copy(&effects->arena, key_of(other, key)),
        .content = attestation_content_pack(&content, &effects->arena),
        .deleted = true,
        .life_ms = RECORD_LIFE_MAX_MS,
    };

    agent_publish(agent, &statement, at, effects, NULL);
}

/* ---- ended here ---- */

static bool is_end(const struct bond *bond, const struct id *duckling)
{
    return id_equal(&bond->requester, duckling) || id_equal(&bond->approver, duckling);
}

/* By its id one bond ends; by the other duckling's id all that there are with it. While another
 * bond between the two is left, the attestation stays, and the end of this one is not told. */
bool agent_unpeck(struct agent *agent, const struct order *order, const struct moment *at,
                  struct effects *effects, struct id *ended)
{
    struct duckling *duckling = agent_hosted(agent, &order->duckling);
    bool by_id = !id_is_zero(&order->bond);
    const struct bond *bond = by_id ? bonds_find(agent->bonds, &order->bond)
                                    : bonds_between(agent->bonds, &duckling->id, &order->with);
    struct id other;

    if (!bond || !is_end(bond, &duckling->id))
        return false;
    *ended = bond->id;
    other = id_equal(&bond->requester, &duckling->id) ? bond->approver : bond->requester;
    do {
        end_bond(agent, bond, &duckling->id, effects);
        bond = by_id ? NULL : bonds_between(agent->bonds, &duckling->id, &other);
    } while (bond);
    if (!bonds_between(agent->bonds, &duckling->id, &other))
        tell_ended(agent, duckling, &other, ended, at, effects);
    return true;
}

/* ---- ended by who runs the node, or because an end is revoked ---- */

static bool speaks_here(const struct agent *agent, const struct id *end)
{
    return agent_hosted(agent, end) && !agent_is_revoked(agent, end);
}

bool agent_revoke_bond(struct agent *agent, const struct id *bond, struct bytes reason,
                       const struct moment *at, struct effects *effects)
{
    const struct bond *held = bonds_find(agent->bonds, bond);
    size_t first = effects->count;
    struct id here, other, id;

    if (!held)
        return false;
    id = held->id;
    here = speaks_here(agent, &held->approver) ? held->approver : held->requester;
    if (!agent_hosted(agent, &here)) /* the one that is revoked alone lives here */
        here = held->approver;
    other = id_equal(&here, &held->approver) ? held->requester : held->approver;
    end_bond(agent, held, &here, effects);
    effects->list[first].bond_reason = reason;
    if (speaks_here(agent, &here) && !bonds_between(agent->bonds, &here, &other))
        tell_ended(agent, agent_hosted(agent, &here), &other, &id, at, effects);
    return true;
}

/* ---- ended by the other end ---- */

/* The record was taken: it is newer than what its owner said before. A bond that was made after it
 * lives on, as when two ducklings bond anew and an old word comes round late. An owner who lives here said
 * so in an earlier life of this node, whose store is lost. */
void agent_hear_of_bond(struct agent *agent, const struct record *record, struct effects *effects)
{
    static const char claim[] = "bonded:";
    struct attestation_content content = {0};
    const struct bond *bond;
    struct bytes proof;
    struct arena arena;
    struct id other, here;

    if (record->kind != RECORD_ATTESTATION || !record->deleted ||
        record->key.size <= sizeof claim - 1 ||
        memcmp(record->key.data, claim, sizeof claim - 1) != 0 ||
        !id_parse(
            ID_DUCKLING,
            bytes_of(record->key.data + sizeof claim - 1, record->key.size + 1 - sizeof claim),
            &other) ||
        (!agent_hosted(agent, &other) && !agent_hosted(agent, &record->owner)))
        return;
    here = agent_hosted(agent, &other) ? other : record->owner;
    arena_init(&arena, PARSE_BUDGET(RECORD_SIZE_MAX));
    if (attestation_content_parse(record->content, &arena, &content) != RECORD_OK)
        content.proof = bytes_of(NULL, 0);
    proof = content.proof;
    while ((bond = bonds_between(agent->bonds, &record->owner, &other)) &&
           (bond->made_ms <= record->version.ms || bytes_equal(proof, id_bytes(&bond->id))))
        end_bond(agent, bond, &here, effects);
    arena_free(&arena);
}

/* Who was away for longer than the deletion lives hears of the end by its next peck: the other
 * end's node says, signed, that the peck waits for its owner, which a bond would have spared it. The
 * bond was held here when the peck was made, so there it was held before. */
void agent_miss_bond(struct agent *agent, const struct id *bond, const struct id *duckling,
                     struct effects *effects)
{
    const struct bond *held = bonds_find(agent->bonds, bond);
    char text[ID_TEXT_SIZE];

    if (!held)
        return;
    agent_log(effects, LOG_WARNING, "the other end has the bond %s no more: it ends here, too",
              id_text(ID_BOND, bond, text));
    end_bond(agent, held, duckling, effects);
}

/* ---- renewed ---- */

struct renewal {
    struct agent *agent;
    const struct moment *at;
    struct effects *effects;
    size_t published;
};

/* What the owner's quota put out is not said again until there is room: it would put out others. */
static bool has_place(const struct agent *agent, const struct id *duckling,
                      const struct directory_entry *held)
{
    return held || directory_count_of(agent->directory, duckling) < RECORDS_PER_OWNER_MAX;
}

static uint64_t renew_end(struct renewal *renewal, const struct bond *bond, const struct id *end,
                          const struct id *other)
{
    struct agent *agent = renewal->agent;
    struct duckling *duckling = agent_hosted(agent, end);
    uint64_t jitter_ms = dice_jitter_ms(&agent->dice, HOUR_MS), age_ms = RECORD_REFRESH_MS;
    const struct directory_entry *held;
    char key[RECORD_KEY_MAX];

    if (!duckling)
        return MOMENT_NEVER;
    if (!duckling->key && !agent_lives_here(agent, end))
        return renewal->at->now_ms + RECORD_REFRESH_MS;
    held = directory_find_key(agent->directory, end, RECORD_ATTESTATION, key_of(other, key));
    if (held && !held->deleted)
        age_ms =
            renewal->at->wall_ms > held->version.ms ? renewal->at->wall_ms - held->version.ms : 0;
    if (age_ms + HOUR_MS < RECORD_REFRESH_MS)
        return renewal->at->now_ms + RECORD_REFRESH_MS - jitter_ms - age_ms;
    if (renewal->published == RENEWED_AT_ONCE_MAX)
        return renewal->at->now_ms + RENEW_LOOK_MS;
    if (has_place(agent, end, held)) {
        agent_publish_bonded(agent, duckling, bond, renewal->at, renewal->effects);
        renewal->published++;
    }
    return renewal->at->now_ms + RECORD_REFRESH_MS - jitter_ms;
}

/* Of a bond between two ducklings of this node either end says it. */
static uint64_t renew(void *context, const struct bond *bond)
{
    uint64_t one_ms = renew_end(context, bond, &bond->requester, &bond->approver);
    uint64_t other_ms = renew_end(context, bond, &bond->approver, &bond->requester);

    return one_ms < other_ms ? one_ms : other_ms;
}

void agent_renew_bonded(struct agent *agent, const struct moment *at, struct effects *effects)
{
    struct renewal renewal = {.agent = agent, .at = at, .effects = effects};

    if (agent->catching_up)
        return; /* or it would say anew what was ended since */
    bonds_renew(agent->bonds, at->now_ms, renew, &renewal);
}

/* ---- ended by time ---- */

static void end_bonds_over(struct agent *agent, const struct moment *at, struct effects *effects)
{
    struct id ended[ENDED_AT_ONCE_MAX];
    size_t count = bonds_over(agent->bonds, at->wall_ms, ended, ENDED_AT_ONCE_MAX);

    for (size_t i = 0; i < count; i++) {
        const struct bond *bond = bonds_find(agent->bonds, &ended[i]);
        struct id here = agent_hosted(agent, &bond->requester) ? bond->requester : bond->approver;

        end_bond(agent, bond, &here, effects);
    }
}

void agent_end_bonds_over(struct agent *agent, const struct moment *at, struct effects *effects)
{
    if (bonds_next_end_ms(agent->bonds) <= at->wall_ms)
        end_bonds_over(agent, at, effects);
}

uint64_t agent_bonds_wake_at_ms(const struct agent *agent, const struct moment *at)
{
    uint64_t end_ms = bonds_next_end_ms(agent->bonds);
    uint64_t renewal_ms = agent->catching_up ? MOMENT_NEVER : bonds_next_renewal_ms(agent->bonds);

    if (end_ms == MOMENT_NEVER)
        return renewal_ms;
    end_ms = at->now_ms + (end_ms > at->wall_ms ? end_ms - at->wall_ms : 0);
    return end_ms < renewal_ms ? end_ms : renewal_ms;
}
