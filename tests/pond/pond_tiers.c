/* Operators vouch for ducklings and take their vouchers back, by whichever node is there; and the laws of what
 * nodes make of it. Bonds and trust are each node's own, so a voucher here counts, or it does not. */
#include "pond_parts.h"

#include "core/voucher.h"
#include "core/withdrawal.h"

#define OPERATORS 2u
#define WITHDRAW_ONE_IN 3u

/* What operators said: nobody else can say it. */
struct said {
    size_t operator_number;
    struct id subject;
    uint64_t at_ms; /* wall: issued, or void until */
    bool takes_back;
};

struct operators {
    struct operator_identity {
        struct identity_key *key;
        struct id id;
        struct bytes chain;
    } list[OPERATORS];
    struct arena memory;
    struct said *said;
    size_t said_count, said_capacity;
};

struct operators *operators_new(uint64_t seed)
{
    struct operators *operators = memory_take(sizeof *operators);

    arena_init(&operators->memory, MIB);
    for (size_t i = 0; i < OPERATORS; i++) {
        struct operator_identity *made = &operators->list[i];
        struct certificate_wish wish = {.kind = IDENTITY_OPERATOR,
                                        .display_name = bytes_of_text("operator"),
                                        .issued_ms = POND_BORN_MS - HOUR_MS,
                                        .not_after_ms = POND_BORN_MS + CERTIFICATE_LIFE_MS};
        uint8_t bytes[SEED_SIZE] = {(uint8_t)i, 0xfe};
        struct bytes certificate;

        memcpy(bytes + 8, &seed, sizeof seed);
        made->key = identity_key_new(bytes);
        certificate = certificate_make(&wish, made->key, &operators->memory, &made->id);
        made->chain = chain_pack(&certificate, 1, &operators->memory);
    }
    return operators;
}

void operators_free(struct operators *operators)
{
    for (size_t i = 0; i < OPERATORS; i++)
        identity_key_free(operators->list[i].key);
    arena_free(&operators->memory);
    memory_give_back(operators->said);
    memory_give_back(operators);
}

/* Their clocks are right; each thing is said in a millisecond of its own. */
static uint64_t say(struct pond *pond, size_t number, const struct id *subject, bool takes_back)
{
    struct operators *operators = pond->operators;
    uint64_t at_ms = POND_BORN_MS + pond_now_ms(pond);

    if (operators->said_count > 0 && operators->said[operators->said_count - 1].at_ms >= at_ms)
        at_ms = operators->said[operators->said_count - 1].at_ms + 1;
    if (operators->said_count == operators->said_capacity) {
        operators->said_capacity = operators->said_capacity ? 2 * operators->said_capacity : 16;
        operators->said =
            memory_resize(operators->said, operators->said_capacity * sizeof *operators->said);
    }
    operators->said[operators->said_count++] = (struct said){number, *subject, at_ms, takes_back};
    return at_ms;
}

void operators_vouch(struct pond *pond, struct pond_node *node, size_t number,
                     const struct id *duckling)
{
    const struct operator_identity *by = &pond->operators->list[number];
    struct message *message = message_make();
    struct order *order = node_order(message, ORDER_VOUCH, duckling);
    uint64_t at_ms = say(pond, number, duckling, false);
    struct voucher voucher = {.network = bytes_of_text(POND_NETWORK),
                              .operator_id = by->id,
                              .subject = *duckling,
                              .issued_ms = at_ms,
                              .not_after_ms = at_ms + VOUCHER_LIFE_MS};
    struct bytes body;

    if (voucher_pack(&voucher, &message->arena, &body) != VOUCHER_OK)
        assert(!"what it says holds");
    order->voucher = envelope_seal(ENVELOPE_VOUCHER, &by->id, by->key, body, &message->arena, NULL);
    order->chain = arena_copy(&message->arena, by->chain);
    node_take(pond, node, message);
}

void operators_withdraw(struct pond *pond, struct pond_node *node, size_t number,
                        const struct id *duckling)
{
    const struct operator_identity *by = &pond->operators->list[number];
    uint8_t seeds[2][SEED_SIZE] = {{0}, {1}};
    struct message *message = message_make();
    static const struct id nobody;
    struct order *order = node_order(message, ORDER_WITHDRAW, &nobody);
    struct withdrawal_wish wish = {.network = bytes_of_text(POND_NETWORK),
                                   .operator_id = by->id,
                                   .operator_key = by->key,
                                   .operator_chain = by->chain,
                                   .subject = *duckling,
                                   .until_ms = say(pond, number, duckling, true),
                                   .seeds = (const uint8_t(*)[SEED_SIZE])seeds};

    memcpy(seeds[0] + 1, &pond->operators->said_count, sizeof pond->operators->said_count);
    memcpy(seeds[0] + 16, &pond->wish.seed, sizeof pond->wish.seed);
    if (withdrawal_make(&wish, &message->arena, &order->voucher, &order->chain) != WITHDRAWAL_OK)
        assert(!"it fits a record");
    node_take(pond, node, message);
}

/* By any node that is up it is taken back; published it can be where the duckling lives. */
void operators_step(struct pond *pond, struct pond_node *any, const struct id *duckling,
                    struct pond_node *home)
{
    size_t number = dice_below(&pond->life_dice, OPERATORS);

    if (dice_below(&pond->life_dice, WITHDRAW_ONE_IN) > 0)
        operators_vouch(pond, home, number, duckling);
    else if (any)
        operators_withdraw(pond, any, number, duckling);
}

/* ---- what a node makes of it ---- */

static size_t operator_of(const struct pond *pond, const struct id *id)
{
    size_t number = 0;

    while (number < OPERATORS && !id_equal(&pond->operators->list[number].id, id))
        number++;
    return number;
}

/* As its store has them: what came with each record from intake. */
static uint64_t void_until(const struct pond *pond, const struct pond_node *node,
                           const struct id *operator_id, const struct id *subject)
{
    const struct held_set *set = &node->store.records;
    uint64_t until_ms = 0;

    for (size_t i = 0; i < set->slot_count; i++) {
        const struct pooled *record =
            set->slots[i] ? records_at(pond->records, set->slots[i] - 1) : NULL;

        if (record && record->withdrawn.until_ms > until_ms &&
            id_equal(&record->withdrawn.operator_id, operator_id) &&
            id_equal(&record->withdrawn.subject, subject))
            until_ms = record->withdrawn.until_ms;
    }
    return until_ms;
}

/* The voucher in a record, read from its bytes. */
static bool read_voucher(struct pond *pond, struct pooled *record, struct arena *arena,
                         struct voucher *voucher)
{
    struct attestation_content content;
    const struct record *parsed;

    if (record->kind != RECORD_ATTESTATION)
        return false;
    parsed = records_parse(pond->records, record);
    return !parsed->deleted &&
           attestation_content_parse(parsed->content, arena, &content) == RECORD_OK &&
           bytes_equal(content.claim, bytes_of_text(CLAIM_OPERATOR_VERIFIED)) &&
           voucher_open(content.proof, content.chain, arena, voucher) == VOUCHER_OK;
}

/* What operators said that at least one healthy node has to this day; 0: nothing voids it. */
static uint64_t said_void_until(const struct pond *pond, size_t number, const struct id *subject)
{
    const struct operators *operators = pond->operators;
    uint64_t until_ms = 0;

    for (size_t i = 0; i < operators->said_count; i++) {
        const struct said *said = &operators->said[i];
        bool is_held = false;

        if (!said->takes_back || said->operator_number != number ||
            !id_equal(&said->subject, subject) || said->at_ms <= until_ms)
            continue;
        for (size_t node = 0; node < pond->wish.nodes && !is_held; node++)
            is_held = void_until(pond, &pond->nodes[node], &operators->list[number].id, subject) >=
                      said->at_ms;
        if (is_held)
            until_ms = said->at_ms;
    }
    return until_ms;
}

static void judge_voucher(struct pond *pond, const struct pond_node *node,
                          const struct voucher *voucher)
{
    size_t number = operator_of(pond, &voucher->operator_id);
    uint64_t here_ms, said_ms;

    if (number == OPERATORS)
        return; /* of a fox */
    here_ms = void_until(pond, node, &voucher->operator_id, &voucher->subject);
    said_ms = said_void_until(pond, number, &voucher->subject);
    if (voucher->issued_ms <= said_ms && voucher->issued_ms > here_ms)
        law_broken(pond, "a voucher that was taken back counts nowhere",
                   "%s counts one of %llu that is void until %llu", node->name,
                   (unsigned long long)voucher->issued_ms, (unsigned long long)said_ms);
    if (voucher->issued_ms > said_ms && voucher->issued_ms <= here_ms)
        law_broken(pond, "only its operator takes a voucher back",
                   "%s takes one of %llu for void until %llu, which nobody said", node->name,
                   (unsigned long long)voucher->issued_ms, (unsigned long long)here_ms);
    pond->sums.vouchers += node->index == 0;
    pond->sums.vouchers_void += node->index == 0 && voucher->issued_ms <= here_ms;
}

/* When all hold the same: the evidence, and what each makes of it. */
void laws_judge_tiers(struct pond *pond)
{
    for (size_t n = 0; n < pond->wish.nodes; n++) {
        const struct held_set *set = &pond->nodes[n].store.records;

        for (size_t i = 0; i < set->slot_count; i++) {
            struct voucher voucher;
            struct arena arena;

            if (!set->slots[i])
                continue;
            arena_init(&arena, MIB);
            if (read_voucher(pond, records_at(pond->records, set->slots[i] - 1), &arena, &voucher))
                judge_voucher(pond, &pond->nodes[n], &voucher);
            arena_free(&arena);
        }
    }
}

/* What a node is about to keep of a record is what the record's bytes say, looked at again. */
void laws_judge_withdrawn(struct pond *pond, const struct pond_node *node,
                          const struct offered_record *item)
{
    struct withdrawal withdrawal = {0};
    struct record record;
    struct arena arena;
    bool holds;

    if (item->record.kind != RECORD_REVOCATION)
        return;
    arena_init(&arena, MIB);
    holds = withdrawal_open(item->wire, item->chain, &arena, &record, &withdrawal) == WITHDRAWAL_OK;
    if (holds != (item->withdrawn.until_ms > 0) ||
        (holds && (item->withdrawn.until_ms != withdrawal.until_ms ||
                   !id_equal(&item->withdrawn.operator_id, &withdrawal.operator_id) ||
                   !id_equal(&item->withdrawn.subject, &withdrawal.subject))))
        law_broken(pond, "what is taken back is what the record proves", "%s keeps something else",
                   node->name);
    arena_free(&arena);
}

/* ---- for stories ---- */

void pond_vouch(struct pond *pond, size_t node)
{
    operators_vouch(pond, &pond->nodes[node], 0, &pond->nodes[node].store.ducklings[0].id);
}

void pond_withdraw(struct pond *pond, size_t node, size_t owner)
{
    operators_withdraw(pond, &pond->nodes[node], 0, &pond->nodes[owner].store.ducklings[0].id);
}

size_t pond_vouched(struct pond *pond, size_t node)
{
    const struct held_set *set = &pond->nodes[node].store.records;
    size_t count = 0;

    for (size_t i = 0; i < set->slot_count; i++) {
        struct voucher voucher;
        struct arena arena;

        if (!set->slots[i])
            continue;
        arena_init(&arena, MIB);
        count +=
            read_voucher(pond, records_at(pond->records, set->slots[i] - 1), &arena, &voucher) &&
            voucher.issued_ms >
                void_until(pond, &pond->nodes[node], &voucher.operator_id, &voucher.subject);
        arena_free(&arena);
    }
    return count;
}
