/* What is asked about identities, judged: hatching, profiles, keys, certificates, operators, lobster binds. */
#include "local_orders_parts.h"

#include "core/binary_data.h"
#include "wire/local.pb-c.h"

#include <sodium.h>

/* ---- identities ---- */

/* Whoever keeps its own key says in its certificate what it is called. */
static bool read_own_chain(const Duck__HatchOrder *asked, struct message *message,
                           ProtobufCBinaryData *name, struct local_refusal *refusal)
{
    enum certificate_verdict verdict;
    struct chain chain;
    struct arena arena;
    struct bytes copy;

    message->order->chain = borrowed(asked->chain);
    if (asked->chain.len > CERTIFICATE_SIZE_MAX + ENVELOPE_OVERHEAD_MAX)
        return asked_malformed(refusal, "chain", "who hatches has one certificate");
    arena_init(&arena, PARSE_BUDGET(asked->chain.len));
    verdict = chain_open(message->order->chain, &arena, &chain);
    if (verdict == CERTIFICATE_TAKEN && name->len == 0) {
        copy = arena_copy(&message->arena, chain.certificates[0].display_name);
        *name = (ProtobufCBinaryData){copy.size, (uint8_t *)copy.data};
    }
    arena_free(&arena);
    return verdict == CERTIFICATE_TAKEN ||
           asked_malformed(refusal, "chain", certificate_verdict_text(verdict));
}

bool asked_hatch(const Duck__HatchOrder *asked, struct message *message,
                 struct local_refusal *refusal)
{
    struct order *order = message->order;
    ProtobufCBinaryData name = asked->display_name;

    order->kind = ORDER_HATCH;
    order->profile.set_display_name = order->profile.set_bio = true;
    order->profile.set_capabilities = order->profile.set_accepts_pecks = true;
    order->profile.accepts_pecks = !asked->refuses_pecks;
    if (asked->chain.len > 0 && !read_own_chain(asked, message, &name, refusal))
        return false;
    if (!asked_profile(&order->profile, name, asked->bio, asked->capabilities,
                       asked->n_capabilities, refusal))
        return false;
    if (order->chain.size > 0)
        return true;
    message->forget_seeds = true;
    randombytes_buf(order->seeds, sizeof order->seeds);
    return true;
}

bool asked_profile_order(const Duck__ProfileOrder *asked, struct order *order,
                         struct local_refusal *refusal)
{
    order->kind = ORDER_PROFILE;
    order->unsaid = asked->unsaid;
    order->profile.set_display_name = asked->set_display_name;
    order->profile.set_bio = asked->set_bio;
    order->profile.set_capabilities = asked->set_capabilities;
    order->profile.set_accepts_pecks = asked->set_accepts_pecks;
    order->profile.accepts_pecks = asked->accepts_pecks;
    order->profile.set_least_tier = asked->set_least_tier;
    order->profile.least_tier = asked->least_tier;
    order->profile.set_open_actions = asked->set_open_actions;
    if (asked->least_tier > TIER_MAX)
        return asked_malformed(refusal, "least_tier", "tiers are 0 to 3");
    if (asked->n_open_actions > DUCKLING_OPEN_ACTIONS_MAX)
        return asked_malformed(refusal, "open_actions", "at most 16 actions are open");
    for (size_t i = 0; i < asked->n_open_actions; i++) {
        order->profile.open_actions[i] = borrowed(asked->open_actions[i]);
        if (!peck_scope_is_valid(order->profile.open_actions[i]))
            return asked_malformed(refusal, "open_actions",
                                   "an open action is a name like data.read, or data.*, or *");
    }
    order->profile.open_action_count = asked->n_open_actions;
    return asked_id(ID_DUCKLING, asked->duckling, false, "duckling", &order->duckling, refusal) &&
           asked_profile(&order->profile, asked->display_name, asked->bio, asked->capabilities,
                         asked->n_capabilities, refusal);
}

/* ---- operators ---- */

bool asked_vouch(const Duck__VouchOrder *asked, struct order *order, struct local_refusal *refusal)
{
    order->kind = ORDER_VOUCH;
    order->voucher = borrowed(asked->voucher);
    order->chain = borrowed(asked->chain);
    if (order->chain.size > CHAIN_SIZE_MAX)
        return asked_malformed(refusal, "chain", "certificates are at most 65536 bytes");
    return asked_id(ID_DUCKLING, asked->duckling, false, "duckling", &order->duckling, refusal);
}

bool asked_export(const Duck__ExportOrder *asked, struct order *order,
                  struct local_refusal *refusal)
{
    bool is_node = strncmp(asked->identity, "nod_", 4) == 0;

    order->kind = ORDER_EXPORT;
    return asked_id(is_node ? ID_NODE : ID_DUCKLING, asked->identity, false, "identity",
                    &order->duckling, refusal);
}

/* Of the node or a duckling: its seed may be left out where the node can open it. */
bool asked_rotate(const Duck__RotateOrder *asked, struct message *message,
                  struct local_refusal *refusal)
{
    struct order *order = message->order;
    bool is_node = strncmp(asked->identity, "nod_", 4) == 0;

    order->kind = ORDER_ROTATE;
    message->forget_seeds = true;
    order->by_node = asked->by_node;
    if (asked->by_node &&
        (is_node || asked->seed.len || asked->next_key_hash.len || asked->sealed_next.len))
        return asked_malformed(refusal, "by_node",
                               "the node opens and makes a duckling's keys itself");
    if (asked->by_node)
        return asked_id(ID_DUCKLING, asked->identity, false, "identity", &order->duckling, refusal);
    if (asked->chain.len > 0) {
        order->chain = borrowed(asked->chain);
        if (asked->chain.len > CHAIN_SIZE_MAX)
            return asked_malformed(refusal, "chain", "certificates are at most 65536 bytes");
        if (asked->seed.len || asked->next_key_hash.len || asked->sealed_next.len)
            return asked_malformed(refusal, "chain", "whoever hands in a chain keeps its own keys");
        return asked_id(ID_DUCKLING, asked->identity, false, "identity", &order->duckling, refusal);
    }
    if (asked->seed.len != SEED_SIZE && (asked->seed.len != 0 || is_node))
        return asked_malformed(refusal, "seed", "the seed of the key that takes over is 32 bytes");
    if (asked->seed.len)
        memcpy(order->seeds[0], asked->seed.data, SEED_SIZE);
    sodium_memzero(asked->seed.data, asked->seed.len);
    if (asked->next_key_hash.len != HASH_SIZE)
        return asked_malformed(refusal, "next_key_hash", "the hash of the next key is 32 bytes");
    memcpy(order->next_key_hash.bytes, asked->next_key_hash.data, HASH_SIZE);
    order->sealed_next = borrowed(asked->sealed_next);
    if (order->sealed_next.size != (is_node ? 0 : LOCAL_SEALED_NEXT_SIZE))
        return asked_malformed(refusal, "sealed_next",
                               "of a duckling the next seed, sealed, is 80 bytes");
    return asked_id(is_node ? ID_NODE : ID_DUCKLING, asked->identity, false, "identity",
                    &order->duckling, refusal);
}

bool asked_revoke(const Duck__RevokeOrder *asked, struct message *message,
                  struct local_refusal *refusal)
{
    struct order *order = message->order;
    bool is_certificate = strncmp(asked->identity, "crt_", 4) == 0;
    bool is_bond = strncmp(asked->identity, "bnd_", 4) == 0;
    bool is_node = strncmp(asked->identity, "nod_", 4) == 0;

    order->kind = ORDER_REVOKE;
    order->reason = bytes_of_text(asked->reason);
    order->by_next_key = asked->by_next_key;
    message->forget_seeds = true;
    if (asked->seed.len != 0 && (asked->seed.len != SEED_SIZE || !asked->by_next_key))
        return asked_malformed(refusal, "seed", "the seed of the next key is 32 bytes");
    if (asked->seed.len)
        memcpy(order->seeds[0], asked->seed.data, SEED_SIZE);
    sodium_memzero(asked->seed.data, asked->seed.len);
    if (asked->by_next_key && (is_certificate || is_bond))
        return asked_malformed(refusal, "identity", "the next key is a duckling's: name that");
    if (*asked->context_of && !is_certificate)
        return asked_malformed(refusal, "context_of",
                               "of a context, which is named by its crt_ id");
    if (is_certificate)
        return asked_id(ID_DUCKLING, asked->context_of, true, "context_of", &order->duckling,
                        refusal) &&
               asked_id(ID_CERTIFICATE, asked->identity, false, "identity", &order->certificate,
                        refusal);
    if (is_bond)
        return asked_id(ID_BOND, asked->identity, false, "identity", &order->bond, refusal);
    return asked_id(is_node ? ID_NODE : ID_DUCKLING, asked->identity, false, "identity",
                    &order->duckling, refusal);
}

bool asked_trust(const Duck__TrustOrder *asked, struct order *order, struct local_refusal *refusal)
{
    order->kind = ORDER_TRUST;
    order->voucher = borrowed(asked->voucher);
    order->chain = borrowed(asked->chain);
    order->domain = bytes_of_text(asked->domain);
    order->not_after_ms = asked->not_after_ms;
    order->forget = asked->forget;
    if (order->chain.size > CHAIN_SIZE_MAX)
        return asked_malformed(refusal, "chain", "certificates are at most 65536 bytes");
    if (!*asked->operator_ == (order->domain.size == 0))
        return asked_malformed(refusal, "operator", "name an operator, or the domain of one");
    if (order->forget && order->domain.size > 0)
        return asked_malformed(refusal, "domain", "who is not to be trusted is named by its id");
    return asked_id(ID_OPERATOR, asked->operator_, true, "operator", &order->operator_id, refusal);
}

bool asked_withdraw(const Duck__WithdrawOrder *asked, struct order *order,
                    struct local_refusal *refusal)
{
    order->kind = ORDER_WITHDRAW;
    order->voucher = borrowed(asked->record);
    order->chain = borrowed(asked->chain);
    if (order->chain.size > CHAIN_SIZE_MAX)
        return asked_malformed(refusal, "chain", "certificates are at most 65536 bytes");
    return true;
}

/* ---- ducklings that keep their own keys ---- */

bool asked_wanted(const Duck__WantedQuery *asked, struct order *order, struct wish *wish,
                  struct local_refusal *refusal)
{
    order->kind = ORDER_WANTED;
    order->after = asked->after;
    return asked_wait(0, asked->wait_ms, wish, refusal) &&
           asked_id(ID_DUCKLING, asked->duckling, false, "duckling", &order->duckling, refusal);
}

bool asked_signature(const Duck__SignOrder *asked, struct order *order,
                     struct local_refusal *refusal)
{
    order->kind = ORDER_SIGN;
    if (asked->signature.len != SIGNATURE_SIZE)
        return asked_malformed(refusal, "signature", "a signature is 64 bytes");
    memcpy(order->signature.bytes, asked->signature.data, SIGNATURE_SIZE);
    return asked_id(ID_DUCKLING, asked->duckling, false, "duckling", &order->duckling, refusal) &&
           asked_id(ID_WANTED, asked->id, false, "id", &order->wanted, refusal);
}

/* ---- contexts ---- */

bool asked_issue(const Duck__IssueOrder *asked, struct message *message,
                 struct local_refusal *refusal)
{
    struct order *order = message->order;

    order->kind = ORDER_ISSUE;
    order->context = borrowed(asked->context);
    order->not_after_ms = asked->not_after_ms;
    if (asked->n_scopes == 0 || asked->n_scopes > CERTIFICATE_SCOPES_MAX)
        return asked_malformed(refusal, "scopes", "a context has 1 to 16 scopes");
    message->forget_seeds = true;
    randombytes_buf(order->seeds, sizeof order->seeds);
    return asked_bond_scopes(asked->scopes, asked->n_scopes, message, refusal) &&
           asked_id(ID_DUCKLING, asked->duckling, false, "duckling", &order->duckling, refusal);
}

/* ---- lobster binds ---- */

bool asked_lobster(const Duck__LobsterOrder *asked, struct order *order,
                   struct local_refusal *refusal)
{
    bool is_list = asked->wish == DUCK__LOBSTER_WISH__LOBSTERS_LIST;

    if (asked->wish > DUCK__LOBSTER_WISH__LOBSTER_BREAK)
        return asked_malformed(refusal, "wish",
                               "a lobster bind is listed, begun, confirmed or broken");
    order->kind = ORDER_LOBSTER;
    order->lobster = (enum lobster_wish)asked->wish;
    order->lease_ms = asked->lease_ms;
    order->string = bytes_of_text(asked->string);
    if (order->string.size > NAME_MAX_BYTES)
        return asked_malformed(refusal, "string", "the string is 8 digits");
    if (asked->lease_ms &&
        (asked->lease_ms < LOBSTER_LEASE_MIN_MS || asked->lease_ms > LOBSTER_LEASE_MAX_MS))
        return asked_malformed(refusal, "lease_ms", "a lease is 5 s to 1 h");
    return asked_id(ID_DUCKLING, asked->duckling, is_list, "duckling", &order->duckling, refusal) &&
           asked_id(ID_DUCKLING, asked->with, is_list, "with", &order->with, refusal);
}
