/* Exports: what only the holder of a key can make for others' tools. */
#include "agent_parts.h"
#include "jose.h"

#include <assert.h>

static bool refuse(struct order_refusal *refusal, enum refusal_code code, const char *message)
{
    *refusal = (struct order_refusal){.code = code, .message = message, .field = "identity"};
    return false;
}

bool agent_export(const struct agent *agent, const struct order *order, struct effects *effects,
                  struct order_refusal *refusal, struct bytes *jws, struct id *certificate)
{
    const struct duckling *duckling = agent_hosted(agent, &order->duckling);
    bool is_node = id_equal(&order->duckling, &agent->node), holds;
    struct bytes wire, made;
    struct chain chain;
    struct arena arena;

    if (!duckling && !is_node)
        return refuse(refusal, REFUSAL_NOT_HOSTED, "this duckling does not live on this node");
    if (duckling && !duckling->key)
        return refuse(refusal, REFUSAL_OWN_KEY,
                      "this duckling keeps its own key: what it signs is made where that is");
    if (directory_revoked(agent->directory, &order->duckling))
        return refuse(refusal, REFUSAL_CONFLICT, "it is revoked, for good");
    wire = is_node ? agent->settings.node_chain : duckling->chain;
    arena_init(&arena, PARSE_BUDGET(CHAIN_SIZE_MAX) + 3 * (size_t)JOSE_JWS_MAX);
    holds = chain_read(wire, &order->duckling, &arena, &chain) == CERTIFICATE_TAKEN;
    assert(holds); /* it was opened when it came here */
    made = jose_jws(&chain, is_node ? agent->settings.node_key : duckling->key, &arena);
    assert(made.data);
    *jws = arena_copy(&effects->arena, bytes_of(made.data, made.size + 1));
    *certificate = id_of(&chain.certificates[chain.count - 1].hash);
    arena_free(&arena);
    return jws->data || refuse(refusal, REFUSAL_BUSY, "too much is said in this turn already");
}
