/* Ducklings that keep their own keys: their owners sign what their nodes ask for, sooner or later or not at all. The
 * keys are beside the ducklings on the pond's disk, from where no agent gets them. */
#include "pond_parts.h"

#define UNSIGNED 8u /* of what is asked for one in so many is never signed */

static struct hosted *find(const struct pond_node *node, const struct id *duckling)
{
    for (size_t i = 0; i < node->store.duckling_count; i++)
        if (id_equal(&node->store.ducklings[i].id, duckling))
            return &node->store.ducklings[i];
    return NULL;
}

bool own_is(const struct pond_node *node, const struct id *duckling)
{
    const struct hosted *hosted = find(node, duckling);

    return hosted && hosted->own_key;
}

/* Its certificate comes with the order. */
void own_hatch(const struct pond *pond, const struct pond_node *node, struct message *message,
               struct order *order)
{
    struct identity_key *key = identity_key_new(order->seeds[0]);
    struct identity_key *next = identity_key_new(order->seeds[1]);
    struct public_key promised = identity_key_public(next);
    struct moment at = node_moment(pond, node);
    struct certificate_wish wish = {.kind = IDENTITY_DUCKLING,
                                    .display_name = order->profile.display_name,
                                    .issued_ms = at.wall_ms,
                                    .not_after_ms = at.wall_ms + CERTIFICATE_LIFE_MS,
                                    .next_key_hash = identity_key_hash(&promised)};
    struct bytes certificate;
    struct id identity;

    certificate = certificate_make(&wish, key, &message->arena, &identity);
    order->chain = chain_pack(&certificate, 1, &message->arena);
    identity_key_free(key);
    identity_key_free(next);
}

/* False: what follows was lost with its node, or was never known. */
bool own_rotate(const struct pond *pond, const struct pond_node *node, struct message *message,
                struct order *order, const uint8_t next[SEED_SIZE])
{
    const struct hosted *hosted = find(node, &order->duckling);
    struct identity_key *key = identity_key_new(hosted->next_seed), *after = identity_key_new(next);
    struct public_key public = identity_key_public(key), promised = identity_key_public(after);
    struct hash ours = identity_key_hash(&public), promise = identity_key_hash(&promised);
    struct chain chain;
    bool holds = chain_open(hosted->chain, &message->arena, &chain) == CERTIFICATE_TAKEN &&
                 hash_equal(&ours, &chain.certificates[chain.count - 1].next_key_hash);

    if (holds)
        order->chain = chain_lengthen(&chain, key, &promise, node_moment(pond, node).wall_ms + 1,
                                      &message->arena);
    memcpy(order->seeds[0], hosted->next_seed, SEED_SIZE);
    memcpy(order->seeds[1], next, SEED_SIZE);
    identity_key_free(key);
    identity_key_free(after);
    return holds;
}

void own_keep(struct pond_node *node, const struct id *duckling, const uint8_t seeds[2][SEED_SIZE])
{
    struct hosted *hosted = find(node, duckling);

    if (!hosted || !hosted->own_key)
        return;
    memcpy(hosted->seed, seeds[0], SEED_SIZE);
    memcpy(hosted->next_seed, seeds[1], SEED_SIZE);
}

/* What is sent is made and signed here. */
void own_make(const struct pond *pond, const struct pond_node *node, struct message *message,
              struct order *order)
{
    const struct hosted *hosted = find(node, &order->send.from);
    struct identity_key *key = identity_key_new(hosted->seed);
    struct envelope *made = arena_take(&message->arena, sizeof *made);
    struct bytes body, wire;

    order->send.network = bytes_of_text(POND_NETWORK);
    order->send.created_ms = node_moment(pond, node).wall_ms;
    order->send.expires_ms = order->send.created_ms + PECK_LIFE_MS;
    memcpy(order->send.nonce, &order->ticket, sizeof order->send.nonce);
    if (peck_pack(&order->send, &message->arena, &body) != PECK_OK)
        assert(!"what the pond sends holds");
    wire = envelope_seal(ENVELOPE_PECK, &order->send.from, key, body, &message->arena, NULL);
    if (envelope_parse(wire, ENVELOPE_PECK, &message->arena, made) != ENVELOPE_TAKEN)
        assert(!"what was packed parses");
    order->expires_in_ms = PECK_LIFE_MS;
    order->made = made;
    identity_key_free(key);
}

/* ---- what is asked for ---- */

void own_wanted(struct pond *pond, struct pond_node *node, const struct effect *effect)
{
    struct message *message;

    if (dice_below(&pond->life_dice, UNSIGNED) == 0)
        return;
    message = message_make();
    life_ask(pond, message, ORDER_WANTED, &effect->wanted.duckling)->after =
        effect->wanted.number - 1;
    node_take(pond, node, message);
}

void own_sign(struct pond *pond, struct pond_node *node, const struct effect *reply)
{
    const struct hosted *hosted = find(node, &reply->reply.duckling);

    for (size_t i = 0; hosted && i < reply->reply.wanted_count; i++) {
        const struct wanted *wanted = &reply->reply.wanted[i];
        struct identity_key *key = identity_key_new(hosted->seed);
        struct message *message = message_make();
        struct order *order = life_ask(pond, message, ORDER_SIGN, &wanted->duckling);
        struct arena arena;

        arena_init(&arena, wanted->body.size + KIB);
        order->wanted = wanted->id;
        order->signature = identity_sign(key, envelope_to_sign(wanted->type, wanted->body, &arena));
        arena_free(&arena);
        identity_key_free(key);
        node_take(pond, node, message);
    }
}
