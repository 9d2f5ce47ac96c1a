/* What foxes do with pecks. Each has one duckling of its own, which owners now and then bond with,
 * for a few seconds, so that its pecks come before a bond, under one, beyond its scopes, and after
 * its end. */
#include "hostile_parts.h"

#define PARTIALS_MAX_OF_FOX 8u

static const char *const actions[] = {"query",  "query",  "query.more",  "quer",
                                      "queryx", "delete", "grant.revoke"};

static struct bytes seal(struct pond *pond, const struct author *author, struct peck *peck,
                         struct arena *arena)
{
    struct bytes body;

    peck->network = bytes_of_text(POND_NETWORK);
    if (peck->created_ms == 0)
        peck->created_ms = fox_wall_ms(pond);
    peck->expires_ms = peck->created_ms + HOUR_MS;
    dice_fill(&pond->hostile_dice, peck->nonce, sizeof peck->nonce);
    if (peck_pack(peck, arena, &body) != PECK_OK)
        assert(!"a fox makes pecks whose form holds");
    return envelope_seal(ENVELOPE_PECK, &author->id, author->key, body, arena, NULL);
}

/* Of partial answers that it holds, it says. */
static uint32_t any_count(struct pond *pond)
{
    uint64_t below = dice_below(&pond->hostile_dice, 2) ? 4 : UINT32_MAX;

    return (uint32_t)dice_below(&pond->hostile_dice, below);
}

static void send(struct pond *pond, struct pond_node *node, uint32_t to, struct bytes chain,
                 struct bytes wire, struct arena *arena)
{
    if (network_link(pond, node->index, to, false))
        fox_send(pond, node, &pond->nodes[to].id, FRAME_PECK,
                 frame_pack_peck_again(chain, wire, any_count(pond),
                                       dice_below(&pond->hostile_dice, 4) == 0, arena));
    else
        network_dial_to(pond, node, to);
}

static void ask(struct pond *pond, struct pond_node *node, const struct author *author,
                const struct id *from, const struct id *to, uint32_t host, struct arena *arena)
{
    struct hostile *hostile = node->hostile;
    struct peck peck = {.from = *from, .to = *to, .kind = PECK_ACTION};
    struct bytes wire;

    peck.action =
        bytes_of_text(actions[dice_below(&pond->hostile_dice, sizeof actions / sizeof *actions)]);
    peck.payload = bytes_of_text("{}");
    if (dice_below(&pond->hostile_dice, 3) == 0) /* whoever holds it */
        peck.grant = grants_any_wire(pond, &pond->hostile_dice);
    wire = seal(pond, author, &peck, arena);
    send(pond, node, host, author->chain, wire, arena);
    if (author->key == hostile->duck.key)
        hostile->pecks[hostile->peck_next++ % PECKS_MAX] = arena_copy(&hostile->own, wire);
}

static void ask_for_a_bond(struct pond *pond, struct pond_node *node, const struct id *to,
                           uint32_t host, struct arena *arena)
{
    struct peck peck = {
        .from = node->hostile->duck.id, .to = *to, .kind = PECK_BOND_REQUEST, .scope_count = 1};

    node->hostile->friend = *to;
    node->hostile->friend_host = host;
    peck.scopes[0] = bytes_of_text(dice_below(&pond->hostile_dice, 2) ? "*" : "query");
    peck.message = bytes_of_text("surely you agree");
    send(pond, node, host, node->hostile->duck.chain,
         seal(pond, &node->hostile->duck, &peck, arena), arena);
}

static void ask_again(struct pond *pond, struct pond_node *node, uint32_t host, struct arena *arena)
{
    struct bytes wire = node->hostile->pecks[dice_below(&pond->hostile_dice, PECKS_MAX)];

    if (wire.size > 0)
        send(pond, node, host, node->hostile->duck.chain, wire, arena);
}

/* As its node let it out: of a turn that was undone nobody heard. */
static struct bytes chain_of(const struct pond *pond, uint32_t host, const struct id *duck)
{
    const struct pond_store *store = &pond->nodes[host].store;

    for (size_t i = 0; i < store->duckling_count; i++)
        if (id_equal(&store->ducklings[i].id, duck))
            return store->ducklings[i].chain;
    return bytes_of(NULL, 0);
}

/* By a context's key: of its own, that a duckling lost, or that nobody issued; for whatever it likes, and as of
 * any time. */
static void ask_under(struct pond *pond, struct pond_node *node, const struct id *to, uint32_t host,
                      struct arena *arena)
{
    static const char *const wanted[] = {"query", "query", "other", "grant.revoke"};
    struct author under = node->hostile->duck;
    struct stolen_context stolen;
    struct bytes context, wire;
    struct peck peck = {.to = *to, .kind = PECK_ACTION, .payload = bytes_of_text("{}")};
    uint8_t seed[SEED_SIZE];
    uint32_t other;

    if (dice_below(&pond->hostile_dice, 4) > 0 &&
        contexts_any_stolen(pond, &pond->hostile_dice, &stolen)) {
        under.id = stolen.duck;
        under.chain = chain_of(pond, stolen.node, &stolen.duck);
        context = stolen.wire;
        memcpy(seed, stolen.seed, sizeof seed);
        if (dice_below(&pond->hostile_dice, 3) == 0)
            peck.created_ms = stolen.issued_ms; /* as if it had been in time */
    } else if (dice_below(&pond->hostile_dice, 3) == 0 &&
               life_any_duck(pond, &pond->hostile_dice, &under.id, &other)) {
        under.chain = chain_of(pond, other, &under.id);
        context = contexts_make(pond, under.chain, &under.id, under.key, false, seed, arena);
    } else {
        context = contexts_make(pond, under.chain, &under.id, under.key, true, seed, arena);
    }
    if (context.size == 0 || under.chain.size == 0 || id_equal(&under.id, to))
        return;
    peck.from = under.id;
    peck.action = bytes_of_text(wanted[dice_below(&pond->hostile_dice, 4)]);
    if (dice_below(&pond->hostile_dice, 4) == 0)
        peck.grant = grants_any_wire(pond, &pond->hostile_dice);
    under.key = identity_key_new(seed);
    wire = seal(pond, &under, &peck, arena);
    identity_key_free(under.key);
    send(pond, node, host, chain_with_context(under.chain, context, arena), wire, arena);
}

void fox_peck(struct pond *pond, struct pond_node *node, struct arena *arena)
{
    const struct hostile *hostile = node->hostile;
    struct author liar = hostile->duck;
    uint32_t host, other;
    struct id to, from;

    if (!life_any_duck(pond, &pond->hostile_dice, &to, &host))
        return;
    if (!id_is_zero(&hostile->friend) && dice_below(&pond->hostile_dice, 4)) {
        to = hostile->friend;
        host = hostile->friend_host;
    }
    switch (dice_below(&pond->hostile_dice, 10)) {
    case 8:
    case 9:
        ask_under(pond, node, &to, host, arena);
        break;
    case 0: /* in the name of one that may be bonded */
        if (life_any_duck(pond, &pond->hostile_dice, &from, &other) && !id_equal(&from, &to))
            ask(pond, node, &liar, &from, &to, host, arena);
        break;
    case 1: /* and with its certificates */
        if (life_any_duck(pond, &pond->hostile_dice, &from, &other) && !id_equal(&from, &to)) {
            liar.id = from;
            liar.chain = chain_of(pond, other, &from);
            ask(pond, node, &liar, &from, &to, host, arena);
        }
        break;
    case 2:
        ask_for_a_bond(pond, node, &to, host, arena);
        ask(pond, node, &liar, &liar.id, &to, host, arena); /* nobody waits for the owner */
        break;
    case 3:
        ask_again(pond, node, host, arena);
        break;
    case 4:
        fox_send_record(pond, node, &pond->nodes[host].id, liar.chain,
                        fox_duckling_record(pond, node, &liar, arena), arena);
        fox_send_record(pond, node, &pond->nodes[host].id, liar.chain,
                        fox_attestation(pond, &liar, &to, arena), arena);
        break;
    default:
        ask(pond, node, &liar, &liar.id, &to, host, arena);
        break;
    }
}

/* ---- receipts ---- */

static void send_receipt(struct pond *pond, struct pond_node *node, const struct author *author,
                         struct receipt *receipt, const struct id *to, struct arena *arena)
{
    struct bytes body, wire;

    receipt->network = bytes_of_text(POND_NETWORK);
    receipt->at_ms = fox_wall_ms(pond);
    if (receipt_pack(receipt, arena, &body) != RECEIPT_OK)
        return;
    wire = envelope_seal(ENVELOPE_RECEIPT, &author->id, author->key, body, arena, NULL);
    if (receipt->kind == RECEIPT_PARTIAL)
        fox_send(pond, node, to, FRAME_PARTIAL, frame_pack_partial(author->chain, wire, arena));
    else
        fox_send(pond, node, to, FRAME_RECEIPT, frame_pack_receipt(author->chain, wire, arena));
}

/* Of some order, some twice, some never, by its duckling or by its node, and an end that counts what
 * it likes. */
static void answer_in_parts(struct pond *pond, struct pond_node *node, const struct event *event,
                            struct arena *arena)
{
    static const char *const texts[] = {"1", "2", "\"three\""};
    const struct peck *peck = &event->peck.peck;
    struct author self = fox_author(node);
    struct receipt receipt = {.peck = peck->hash, .from = peck->from, .to = peck->to};

    for (uint64_t left = dice_below(&pond->hostile_dice, PARTIALS_MAX_OF_FOX); left > 0; left--) {
        bool is_forged = dice_below(&pond->hostile_dice, 8) == 0;

        receipt.kind = RECEIPT_PARTIAL;
        receipt.state = PECK_TAKEN;
        receipt.number = (uint32_t)(1 + dice_below(&pond->hostile_dice, 4));
        receipt.result = bytes_of_text(texts[dice_below(&pond->hostile_dice, 3)]);
        send_receipt(pond, node, is_forged ? &self : &node->hostile->duck, &receipt, &event->node,
                     arena);
    }
    if (dice_below(&pond->hostile_dice, 2) == 0)
        return;
    receipt.kind = RECEIPT_DONE;
    receipt.state = PECK_ANSWERED;
    receipt.number = 0;
    receipt.partials = (uint32_t)dice_below(&pond->hostile_dice, 4);
    dice_fill(&pond->hostile_dice, receipt.partials_hash.bytes, HASH_SIZE);
    send_receipt(pond, node, &node->hostile->duck, &receipt, &event->node, arena);
}

/* A bond is granted, with all there is; whether it was asked for or not. */
void fox_hear_peck(struct pond *pond, struct pond_node *node, const struct event *event)
{
    const struct peck *peck = &event->peck.peck;
    struct author self = fox_author(node);
    struct receipt receipt = {.peck = peck->hash,
                              .from = peck->from,
                              .to = peck->to,
                              .kind = RECEIPT_TAKEN,
                              .state = PECK_TAKEN};
    struct arena arena;

    if (!(node->hostile->habits & HABIT_PECK))
        return;
    arena_init(&arena, MIB);
    send_receipt(pond, node, &self, &receipt, &event->node, &arena);
    if (dice_below(&pond->hostile_dice, 2) == 0)
        answer_in_parts(pond, node, event, &arena);
    receipt.kind = RECEIPT_DONE;
    receipt.state = PECK_APPROVED;
    receipt.scopes[0] = bytes_of_text("*");
    receipt.scope_count = 1;
    receipt.bond_not_after_ms = fox_wall_ms(pond) + DAY_MS;
    send_receipt(pond, node, &node->hostile->duck, &receipt, &event->node, &arena);
    receipt.from = peck->to; /* and the other way round */
    receipt.to = peck->from;
    send_receipt(pond, node, &node->hostile->duck, &receipt, &event->node, &arena);
    arena_free(&arena);
}
