/* What operators say about the ducklings that live here, and which operators this node trusts.
 *
 * A voucher is carried by a record of its duckling and is published again with it, as long as it
 * lives. Trust is this node's own: it is kept, and goes nowhere. */
#include "agent_parts.h"
#include "voucher.h"
#include "withdrawal.h"

#include <assert.h>
#include <stdio.h>

/* ---- held ---- */

static void free_voucher(struct held_voucher *held)
{
    memory_give_back((void *)(uintptr_t)held->wire.data);
    memory_give_back((void *)(uintptr_t)held->chain.data);
}

void agent_free_vouchers(struct duckling *duckling)
{
    for (size_t i = 0; i < duckling->voucher_count; i++)
        free_voucher(&duckling->vouchers[i]);
    duckling->voucher_count = 0;
}

/* The place of this operator's, or a new one; NULL: there is no room. */
static struct held_voucher *place_of(struct duckling *duckling, const struct id *operator_id)
{
    for (size_t i = 0; i < duckling->voucher_count; i++)
        if (id_equal(&duckling->vouchers[i].operator_id, operator_id))
            return &duckling->vouchers[i];
    if (duckling->voucher_count == DUCKLING_VOUCHERS_MAX)
        return NULL;
    return &duckling->vouchers[duckling->voucher_count++];
}

static bool hold(struct duckling *duckling, const struct kept_voucher *kept)
{
    struct held_voucher *held = place_of(duckling, &kept->operator_id);

    if (!held)
        return false;
    free_voucher(held);
    held->operator_id = kept->operator_id;
    held->not_after_ms = kept->not_after_ms;
    held->wire = bytes_of(memory_copy(kept->wire.data, kept->wire.size), kept->wire.size);
    held->chain = bytes_of(memory_copy(kept->chain.data, kept->chain.size), kept->chain.size);
    return true;
}

void agent_restore_voucher(struct agent *agent, const struct kept_voucher *kept)
{
    struct duckling *duckling = agent_hosted(agent, &kept->duckling);

    if (duckling)
        hold(duckling, kept);
}

/* ---- published ---- */

static void publish(struct agent *agent, const struct duckling *duckling,
                    const struct held_voucher *held, const struct moment *at,
                    struct effects *effects)
{
    struct attestation_content content = {
        .subject = held->operator_id,
        .claim = bytes_of_text(CLAIM_OPERATOR_VERIFIED),
        .proof = held->wire,
        .chain = held->chain,
    };
    uint64_t left_ms = held->not_after_ms - at->wall_ms;
    char text[ID_TEXT_SIZE], key[RECORD_KEY_MAX];
    struct statement statement = {
        .by = duckling,
        .kind = RECORD_ATTESTATION,
        .life_ms = left_ms < RECORD_LIFE_MS ? left_ms : RECORD_LIFE_MS,
    };

    snprintf(key, sizeof key, CLAIM_OPERATOR_VERIFIED ":%s",
             id_text(ID_OPERATOR, &held->operator_id, text));
    statement.key = arena_copy(&effects->arena, bytes_of_text(key));
    statement.content = attestation_content_pack(&content, &effects->arena);
    agent_publish(agent, &statement, at, effects, NULL);
}

/* What has ended is forgotten: its record has ended with it. */
void agent_publish_vouchers(struct agent *agent, struct duckling *duckling, const struct moment *at,
                            struct effects *effects)
{
    size_t kept = 0;

    for (size_t i = 0; i < duckling->voucher_count; i++) {
        if (duckling->vouchers[i].not_after_ms <= at->wall_ms) {
            free_voucher(&duckling->vouchers[i]);
            continue;
        }
        duckling->vouchers[kept++] = duckling->vouchers[i];
        publish(agent, duckling, &duckling->vouchers[kept - 1], at, effects);
    }
    memset(duckling->vouchers + kept, 0,
           (DUCKLING_VOUCHERS_MAX - kept) * sizeof *duckling->vouchers);
    duckling->voucher_count = kept;
}

/* ---- orders ---- */

static enum refusal_code refuse(enum refusal_code code, const char *message, const char *field,
                                const char **why, const char **where)
{
    *why = message;
    *where = field;
    return code;
}

static enum refusal_code open_voucher(const struct agent *agent, const struct order *order,
                                      const struct moment *at, struct arena *arena,
                                      struct voucher *voucher, const char **message,
                                      const char **field)
{
    enum voucher_verdict verdict = voucher_open(order->voucher, order->chain, arena, voucher);

    if (verdict != VOUCHER_OK)
        return refuse(REFUSAL_MALFORMED, voucher_verdict_text(verdict), "voucher", message, field);
    if (!bytes_equal(voucher->network, agent->settings.network))
        return refuse(REFUSAL_MALFORMED, "the voucher is for another network", "voucher", message,
                      field);
    if (voucher->issued_ms > at->wall_ms + CLOCK_SKEW_MAX_MS)
        return refuse(REFUSAL_MALFORMED, "the voucher is from the future", "voucher", message,
                      field);
    if (voucher->not_after_ms <= at->wall_ms)
        return refuse(REFUSAL_EXPIRED, "the voucher has ended", "voucher", message, field);
    return REFUSAL_NONE;
}

/* Would it fit into a record, whatever else is in there? */
static bool fits(const struct order *order)
{
    return order->voucher.size + order->chain.size + RECORD_ENVELOPE_OVERHEAD +
               VOUCHER_RECORD_REST_MAX <=
           RECORD_SIZE_MAX;
}

enum refusal_code agent_vouch(struct agent *agent, const struct order *order,
                              struct duckling *duckling, const struct moment *at,
                              struct effects *effects, const char **message, const char **field)
{
    struct kept_voucher *kept = arena_take(&effects->arena, sizeof *kept);
    struct voucher voucher;
    struct arena arena;
    enum refusal_code code;

    assert(kept);
    arena_init(&arena, PARSE_BUDGET(CHAIN_SIZE_MAX));
    code = open_voucher(agent, order, at, &arena, &voucher, message, field);
    if (code == REFUSAL_NONE && !id_equal(&voucher.subject, &duckling->id))
        code = refuse(REFUSAL_MALFORMED, "the voucher is not for this duckling", "voucher", message,
                      field);
    if (code == REFUSAL_NONE && !fits(order))
        code = refuse(REFUSAL_TOO_LARGE, "the operator's certificates are too many for a record",
                      "chain", message, field);
    if (code == REFUSAL_NONE) {
        *kept = (struct kept_voucher){.duckling = duckling->id,
                                      .operator_id = voucher.operator_id,
                                      .not_after_ms = voucher.not_after_ms,
                                      .wire = order->voucher,
                                      .chain = order->chain};
        if (!hold(duckling, kept))
            code = refuse(REFUSAL_BUSY, "four operators vouch for this duckling already", "voucher",
                          message, field);
    }
    arena_free(&arena);
    if (code != REFUSAL_NONE)
        return code;
    effects_add(effects, EFFECT_KEEP_VOUCHER)->voucher = kept;
    publish(agent, duckling, place_of(duckling, &kept->operator_id), at, effects);
    return REFUSAL_NONE;
}

/* By a voucher for a domain, which whoever orders it has fetched from there; or by word of the
 * node's owner, who names the operator. */
enum refusal_code agent_trust(const struct agent *agent, const struct order *order,
                              const struct moment *at, struct effects *effects,
                              const char **message, const char **field)
{
    struct kept_trust *kept = arena_take(&effects->arena, sizeof *kept);
    enum refusal_code code = REFUSAL_NONE;
    struct voucher voucher;
    struct arena arena;

    assert(kept);
    *kept =
        (struct kept_trust){.operator_id = order->operator_id,
                            .until_ms = order->not_after_ms ? order->not_after_ms : MOMENT_NEVER};
    if (order->forget) {
        effects_add(effects, EFFECT_DROP_TRUST)->trust = kept;
        return REFUSAL_NONE;
    }
    if (order->not_after_ms && order->not_after_ms <= at->wall_ms)
        return refuse(REFUSAL_MALFORMED, "the trust would have ended already", "not_after", message,
                      field);
    arena_init(&arena, PARSE_BUDGET(CHAIN_SIZE_MAX));
    if (order->domain.size > 0) {
        code = open_voucher(agent, order, at, &arena, &voucher, message, field);
        if (code == REFUSAL_NONE && !bytes_equal(voucher.domain, order->domain))
            code = refuse(REFUSAL_MALFORMED, "the operator's word is about another domain",
                          "domain", message, field);
        if (code == REFUSAL_NONE) {
            kept->operator_id = voucher.operator_id;
            kept->domain = arena_copy(&effects->arena, voucher.domain);
            if (voucher.not_after_ms < kept->until_ms)
                kept->until_ms = voucher.not_after_ms;
        }
    }
    arena_free(&arena);
    if (code == REFUSAL_NONE)
        effects_add(effects, EFFECT_KEEP_TRUST)->trust = kept;
    return code;
}

/* It is a record like another's, and goes the way of all; it only came from here. */
static enum refusal_code open_withdrawal(const struct agent *agent, const struct order *order,
                                         const struct moment *at, struct arena *arena,
                                         struct offered_record *offered, const char **message,
                                         const char **field)
{
    enum withdrawal_verdict verdict;
    struct withdrawal withdrawal;
    enum record_verdict dates;

    verdict = withdrawal_open(order->voucher, order->chain, arena, &offered->record, &withdrawal);
    if (verdict != WITHDRAWAL_OK)
        return refuse(REFUSAL_MALFORMED, withdrawal_verdict_text(verdict), "withdrawal", message,
                      field);
    if (!bytes_equal(withdrawal.network, agent->settings.network))
        return refuse(REFUSAL_MALFORMED, "the withdrawal is for another network", "withdrawal",
                      message, field);
    dates = record_judge_dates(&offered->record, at->wall_ms);
    if (dates != RECORD_OK)
        return refuse(dates == RECORD_EXPIRED ? REFUSAL_EXPIRED : REFUSAL_MALFORMED,
                      record_verdict_text(dates), "withdrawal", message, field);
    offered->wire = order->voucher;
    offered->chain = order->chain;
    offered->withdrawn =
        (struct withdrawn){withdrawal.operator_id, withdrawal.subject, withdrawal.until_ms};
    return REFUSAL_NONE;
}

enum refusal_code agent_withdraw(struct agent *agent, const struct order *order,
                                 const struct moment *at, struct effects *effects,
                                 const char **message, const char **field)
{
    static const struct id nobody;
    struct offered_record offered = {0};
    enum refusal_code code =
        open_withdrawal(agent, order, at, &effects->arena, &offered, message, field);

    if (code != REFUSAL_NONE)
        return code;
    agent_offer_record(agent, &offered, &nobody, at, effects);
    if (!directory_revoked(agent->directory, &offered.record.owner))
        return refuse(REFUSAL_BUSY, "the directory holds as many revocations as it may",
                      "withdrawal", message, field);
    return REFUSAL_NONE;
}
