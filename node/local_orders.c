/* What programs ask, judged member by member before the loop hears of it: so a refusal costs the
 * loop nothing, and names the member at fault. What only the agent's tables can tell (is the
 * duckling hosted here, is the peck open) is left to it. */
#include "core/tier.h"
#include "local_parts.h"
#include "wire/local.pb-c.h"

#include <sodium.h>

#define PAGEVIEWS_MAX 1000000000ull /* of one order */
#define DISPLAY_NAME_RULE                                                                          \
    "a display name is 1 to 64 bytes of UTF-8, something visible among them, and nothing that "    \
    "hides or turns round"

static bool refuse(struct local_refusal *refusal, enum refusal_code code, const char *field,
                   const char *message)
{
    *refusal = (struct local_refusal){.code = code, .message = message, .field = field};
    return false;
}

static bool malformed(struct local_refusal *refusal, const char *field, const char *message)
{
    return refuse(refusal, REFUSAL_MALFORMED, field, message);
}

static struct bytes bytes_in(ProtobufCBinaryData bytes)
{
    return bytes_of(bytes.data, bytes.len);
}

/* ---- members ---- */

/* An empty one is zero, where `may_be_empty`. */
static bool read_id(enum id_kind kind, const char *text, bool may_be_empty, const char *field,
                    struct id *id, struct local_refusal *refusal)
{
    static const char *const shapes[] = {
        [ID_DUCKLING] = "a duckling's id is dkl_ and 32 characters",
        [ID_NODE] = "a node's id is nod_ and 32 characters",
        [ID_PECK] = "a peck's id is pck_ and 32 characters",
        [ID_CERTIFICATE] = "a certificate's id is crt_ and 32 characters",
        [ID_BOND] = "a bond's id is bnd_ and 32 characters",
        [ID_OPERATOR] = "an operator's id is opr_ and 32 characters",
        [ID_WANTED] = "what waits for a signature has an id of sig_ and 32 characters",
    };

    if (!*text && may_be_empty)
        return true;
    return id_parse(kind, bytes_of_text(text), id) || malformed(refusal, field, shapes[kind]);
}

static bool read_wait(uint32_t wait_for, uint64_t wait_ms, struct wish *wish,
                      struct local_refusal *refusal)
{
    if (wait_for > DUCK__WAIT_FOR__WAIT_DONE)
        return malformed(refusal, "wait_for", "wait_for is queued, taken or done");
    if (wait_ms > WAIT_MAX_MS)
        return malformed(refusal, "wait_ms", "a request waits at most 30000 ms");
    wish->wait_for = wait_for;
    wish->wait_ms = wait_ms;
    return true;
}

static bool judge_names(const ProtobufCBinaryData *names, size_t count, size_t count_max,
                        const char *field, const char *too_many, struct local_refusal *refusal)
{
    if (count > count_max)
        return malformed(refusal, field, too_many);
    for (size_t i = 0; i < count; i++)
        if (names[i].len == 0 || names[i].len > NAME_MAX_BYTES ||
            !bytes_are_name(bytes_in(names[i])))
            return malformed(refusal, field, "a capability is 1 to 64 of a-z, 0-9, '_', '.', '-'");
    return true;
}

static bool read_profile(struct order_profile *profile, ProtobufCBinaryData display_name,
                         ProtobufCBinaryData bio, const ProtobufCBinaryData *capabilities,
                         size_t capability_count, struct local_refusal *refusal)
{
    profile->display_name = bytes_in(display_name);
    profile->bio = bytes_in(bio);
    if (profile->set_display_name && (display_name.len == 0 || display_name.len > NAME_MAX_BYTES ||
                                      !bytes_are_display_name(profile->display_name)))
        return malformed(refusal, "display_name", DISPLAY_NAME_RULE);
    if (profile->set_bio && (bio.len > BIO_MAX || !bytes_are_text(profile->bio, true)))
        return malformed(refusal, "bio", "a bio is at most 1024 bytes of UTF-8");
    if (!judge_names(capabilities, capability_count, DUCKLING_CAPABILITIES_MAX, "capabilities",
                     "a duckling has at most 32 capabilities", refusal))
        return false;
    for (size_t i = 0; i < capability_count; i++)
        profile->capabilities[i] = bytes_in(capabilities[i]);
    profile->capability_count = capability_count;
    return true;
}

/* ---- identities ---- */

/* Whoever keeps its own key says in its certificate what it is called. */
static bool read_own_chain(const Duck__HatchOrder *asked, struct message *message,
                           ProtobufCBinaryData *name, struct local_refusal *refusal)
{
    enum certificate_verdict verdict;
    struct chain chain;
    struct arena arena;
    struct bytes copy;

    message->order.chain = bytes_in(asked->chain);
    if (asked->chain.len > CERTIFICATE_SIZE_MAX + ENVELOPE_OVERHEAD_MAX)
        return malformed(refusal, "chain", "who hatches has one certificate");
    arena_init(&arena, PARSE_BUDGET(asked->chain.len));
    verdict = chain_open(message->order.chain, &arena, &chain);
    if (verdict == CERTIFICATE_TAKEN && name->len == 0) {
        copy = arena_copy(&message->arena, chain.certificates[0].display_name);
        *name = (ProtobufCBinaryData){copy.size, (uint8_t *)copy.data};
    }
    arena_free(&arena);
    return verdict == CERTIFICATE_TAKEN ||
           malformed(refusal, "chain", certificate_verdict_text(verdict));
}

static bool read_hatch(const Duck__HatchOrder *asked, struct message *message,
                       struct local_refusal *refusal)
{
    struct order *order = &message->order;
    ProtobufCBinaryData name = asked->display_name;

    order->kind = ORDER_HATCH;
    order->profile.set_display_name = order->profile.set_bio = true;
    order->profile.set_capabilities = order->profile.set_accepts_pecks = true;
    order->profile.accepts_pecks = !asked->refuses_pecks;
    if (asked->chain.len > 0 && !read_own_chain(asked, message, &name, refusal))
        return false;
    if (!read_profile(&order->profile, name, asked->bio, asked->capabilities, asked->n_capabilities,
                      refusal))
        return false;
    if (order->chain.size > 0)
        return true;
    message->forget_seeds = true;
    randombytes_buf(order->seeds, sizeof order->seeds);
    return true;
}

static bool read_profile_order(const Duck__ProfileOrder *asked, struct order *order,
                               struct local_refusal *refusal)
{
    order->kind = ORDER_PROFILE;
    order->profile.set_display_name = asked->set_display_name;
    order->profile.set_bio = asked->set_bio;
    order->profile.set_capabilities = asked->set_capabilities;
    order->profile.set_accepts_pecks = asked->set_accepts_pecks;
    order->profile.accepts_pecks = asked->accepts_pecks;
    order->profile.set_least_tier = asked->set_least_tier;
    order->profile.least_tier = asked->least_tier;
    order->profile.set_open_actions = asked->set_open_actions;
    if (asked->least_tier > TIER_MAX)
        return malformed(refusal, "least_tier", "tiers are 0 to 3");
    if (asked->n_open_actions > DUCKLING_OPEN_ACTIONS_MAX)
        return malformed(refusal, "open_actions", "at most 16 actions are open");
    for (size_t i = 0; i < asked->n_open_actions; i++) {
        order->profile.open_actions[i] = bytes_in(asked->open_actions[i]);
        if (!peck_scope_is_valid(order->profile.open_actions[i]))
            return malformed(refusal, "open_actions",
                             "an open action is a name like data.read, or data.*, or *");
    }
    order->profile.open_action_count = asked->n_open_actions;
    return read_id(ID_DUCKLING, asked->duckling, false, "duckling", &order->duckling, refusal) &&
           read_profile(&order->profile, asked->display_name, asked->bio, asked->capabilities,
                        asked->n_capabilities, refusal);
}

/* ---- operators ---- */

static bool read_vouch(const Duck__VouchOrder *asked, struct order *order,
                       struct local_refusal *refusal)
{
    order->kind = ORDER_VOUCH;
    order->voucher = bytes_in(asked->voucher);
    order->chain = bytes_in(asked->chain);
    if (order->chain.size > CHAIN_SIZE_MAX)
        return malformed(refusal, "chain", "certificates are at most 65536 bytes");
    return read_id(ID_DUCKLING, asked->duckling, false, "duckling", &order->duckling, refusal);
}

static bool read_export(const Duck__ExportOrder *asked, struct order *order,
                        struct local_refusal *refusal)
{
    bool is_node = strncmp(asked->identity, "nod_", 4) == 0;

    order->kind = ORDER_EXPORT;
    return read_id(is_node ? ID_NODE : ID_DUCKLING, asked->identity, false, "identity",
                   &order->duckling, refusal);
}

/* Of the node or a duckling: its seed may be left out where the node can open it. */
static bool read_rotate(const Duck__RotateOrder *asked, struct message *message,
                        struct local_refusal *refusal)
{
    struct order *order = &message->order;
    bool is_node = strncmp(asked->identity, "nod_", 4) == 0;

    order->kind = ORDER_ROTATE;
    message->forget_seeds = true;
    order->by_node = asked->by_node;
    if (asked->by_node &&
        (is_node || asked->seed.len || asked->next_key_hash.len || asked->sealed_next.len))
        return malformed(refusal, "by_node", "the node opens and makes a duckling's keys itself");
    if (asked->by_node)
        return read_id(ID_DUCKLING, asked->identity, false, "identity", &order->duckling, refusal);
    if (asked->chain.len > 0) {
        order->chain = bytes_in(asked->chain);
        if (asked->chain.len > CHAIN_SIZE_MAX)
            return malformed(refusal, "chain", "certificates are at most 65536 bytes");
        if (asked->seed.len || asked->next_key_hash.len || asked->sealed_next.len)
            return malformed(refusal, "chain", "whoever hands in a chain keeps its own keys");
        return read_id(ID_DUCKLING, asked->identity, false, "identity", &order->duckling, refusal);
    }
    if (asked->seed.len != SEED_SIZE && (asked->seed.len != 0 || is_node))
        return malformed(refusal, "seed", "the seed of the key that takes over is 32 bytes");
    if (asked->seed.len)
        memcpy(order->seeds[0], asked->seed.data, SEED_SIZE);
    sodium_memzero(asked->seed.data, asked->seed.len);
    if (asked->next_key_hash.len != HASH_SIZE)
        return malformed(refusal, "next_key_hash", "the hash of the next key is 32 bytes");
    memcpy(order->next_key_hash.bytes, asked->next_key_hash.data, HASH_SIZE);
    order->sealed_next = bytes_in(asked->sealed_next);
    if (order->sealed_next.size != (is_node ? 0 : LOCAL_SEALED_NEXT_SIZE))
        return malformed(refusal, "sealed_next",
                         "of a duckling the next seed, sealed, is 80 bytes");
    return read_id(is_node ? ID_NODE : ID_DUCKLING, asked->identity, false, "identity",
                   &order->duckling, refusal);
}

static bool read_revoke(const Duck__RevokeOrder *asked, struct message *message,
                        struct local_refusal *refusal)
{
    struct order *order = &message->order;
    bool is_certificate = strncmp(asked->identity, "crt_", 4) == 0;
    bool is_bond = strncmp(asked->identity, "bnd_", 4) == 0;
    bool is_node = strncmp(asked->identity, "nod_", 4) == 0;

    order->kind = ORDER_REVOKE;
    order->reason = bytes_of_text(asked->reason);
    order->by_next_key = asked->by_next_key;
    message->forget_seeds = true;
    if (asked->seed.len != 0 && (asked->seed.len != SEED_SIZE || !asked->by_next_key))
        return malformed(refusal, "seed", "the seed of the next key is 32 bytes");
    if (asked->seed.len)
        memcpy(order->seeds[0], asked->seed.data, SEED_SIZE);
    sodium_memzero(asked->seed.data, asked->seed.len);
    if (asked->by_next_key && (is_certificate || is_bond))
        return malformed(refusal, "identity", "the next key is a duckling's: name that");
    if (*asked->context_of && !is_certificate)
        return malformed(refusal, "context_of", "of a context, which is named by its crt_ id");
    if (is_certificate)
        return read_id(ID_DUCKLING, asked->context_of, true, "context_of", &order->duckling,
                       refusal) &&
               read_id(ID_CERTIFICATE, asked->identity, false, "identity", &order->certificate,
                       refusal);
    if (is_bond)
        return read_id(ID_BOND, asked->identity, false, "identity", &order->bond, refusal);
    return read_id(is_node ? ID_NODE : ID_DUCKLING, asked->identity, false, "identity",
                   &order->duckling, refusal);
}

static bool read_trust(const Duck__TrustOrder *asked, struct order *order,
                       struct local_refusal *refusal)
{
    order->kind = ORDER_TRUST;
    order->voucher = bytes_in(asked->voucher);
    order->chain = bytes_in(asked->chain);
    order->domain = bytes_of_text(asked->domain);
    order->not_after_ms = asked->not_after_ms;
    order->forget = asked->forget;
    if (order->chain.size > CHAIN_SIZE_MAX)
        return malformed(refusal, "chain", "certificates are at most 65536 bytes");
    if (!*asked->operator_ == (order->domain.size == 0))
        return malformed(refusal, "operator", "name an operator, or the domain of one");
    if (order->forget && order->domain.size > 0)
        return malformed(refusal, "domain", "who is not to be trusted is named by its id");
    return read_id(ID_OPERATOR, asked->operator_, true, "operator", &order->operator_id, refusal);
}

static bool read_withdraw(const Duck__WithdrawOrder *asked, struct order *order,
                          struct local_refusal *refusal)
{
    order->kind = ORDER_WITHDRAW;
    order->voucher = bytes_in(asked->record);
    order->chain = bytes_in(asked->chain);
    if (order->chain.size > CHAIN_SIZE_MAX)
        return malformed(refusal, "chain", "certificates are at most 65536 bytes");
    return true;
}

/* ---- grants ---- */

static bool read_grant(ProtobufCBinaryData asked, struct peck *peck, struct local_refusal *refusal)
{
    peck->grant = bytes_in(asked);
    if (peck->grant.size > GRANT_SIZE_MAX)
        return refuse(refusal, REFUSAL_TOO_LARGE, "grant", "a grant is at most 6144 bytes");
    return true;
}

static bool read_grant_revocation(const Duck__GrantRevokeOrder *asked, struct order *order,
                                  struct local_refusal *refusal)
{
    order->kind = ORDER_REVOKE_GRANT;
    if (!read_grant(asked->grant, &order->send, refusal))
        return false;
    if (order->send.grant.size == 0)
        return malformed(refusal, "grant", "which grant?");
    return read_id(ID_DUCKLING, asked->duckling, false, "duckling", &order->duckling, refusal);
}

/* ---- pecks out ---- */

static bool read_action(const Duck__SendOrder *asked, struct peck *peck,
                        struct local_refusal *refusal)
{
    peck->action = bytes_in(asked->action);
    peck->payload = bytes_in(asked->payload);
    if (peck->action.size == 0 || peck->action.size > PECK_ACTION_MAX ||
        !bytes_are_name(peck->action))
        return malformed(refusal, "action", "an action is 1 to 128 of a-z, 0-9, '_', '.', '-'");
    if (peck->payload.size > PECK_PAYLOAD_MAX)
        return refuse(refusal, REFUSAL_TOO_LARGE, "payload", "a payload is at most 262144 bytes");
    if (asked->n_scopes > 0)
        return malformed(refusal, "scopes", "an action has no scopes: a bond request has");
    if (asked->message.len > 0)
        return malformed(refusal, "message", "an action has no message: a bond request has");
    return read_grant(asked->grant, peck, refusal);
}

static bool read_scopes(const ProtobufCBinaryData *scopes, size_t count, struct bytes *list,
                        struct local_refusal *refusal)
{
    if (count > PECK_SCOPES_MAX)
        return malformed(refusal, "scopes", "a bond has 1 to 16 scopes");
    for (size_t i = 0; i < count; i++) {
        list[i] = bytes_in(scopes[i]);
        if (!peck_scope_is_valid(list[i]))
            return malformed(refusal, "scopes",
                             "a scope is a name like data.read, or data.*, or *");
    }
    return true;
}

static bool read_bond_request(const Duck__SendOrder *asked, struct peck *peck,
                              struct local_refusal *refusal)
{
    peck->message = bytes_in(asked->message);
    peck->scope_count = asked->n_scopes;
    if (asked->n_scopes == 0)
        return malformed(refusal, "scopes", "a bond has 1 to 16 scopes");
    if (!read_scopes(asked->scopes, asked->n_scopes, peck->scopes, refusal))
        return false;
    if (peck->message.size > PECK_MESSAGE_MAX || !bytes_are_text(peck->message, true))
        return malformed(refusal, "message", "a message is at most 1024 bytes of UTF-8");
    if (asked->action.len > 0)
        return malformed(refusal, "action", "a bond request has no action, it has scopes");
    if (asked->payload.len > 0)
        return malformed(refusal, "payload", "a bond request has no payload");
    if (asked->grant.len > 0)
        return malformed(refusal, "grant", "a grant is for an action, not for a bond request");
    return true;
}

static bool is_printable(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < 0x20 || text.data[i] > 0x7e)
            return false;
    return true;
}

static bool read_context(const Duck__SendOrder *asked, struct order *order,
                         struct local_refusal *refusal)
{
    struct peck *peck = &order->send;

    peck->thread = bytes_in(asked->thread);
    peck->idempotency_key = bytes_in(asked->idempotency_key);
    peck->trace = bytes_in(asked->trace);
    order->expires_in_ms = asked->expires_in_ms;
    if (peck->thread.size > PECK_THREAD_MAX || !is_printable(peck->thread))
        return malformed(refusal, "thread", "a thread is at most 64 bytes of printable ASCII");
    if (peck->idempotency_key.size > PECK_IDEMPOTENCY_KEY_MAX ||
        !is_printable(peck->idempotency_key))
        return malformed(refusal, "idempotency_key",
                         "an idempotency key is at most 64 bytes of printable ASCII");
    if (peck->trace.size != 0 &&
        (peck->trace.size != PECK_TRACE_SIZE || !is_printable(peck->trace)))
        return malformed(refusal, "trace", "a trace is the 55 characters of a traceparent");
    if (order->expires_in_ms > PECK_LIFE_MAX_MS)
        return malformed(refusal, "expires_in", "a peck lives at most 7 days");
    return read_id(ID_PECK, asked->reply_to, true, "reply_to", &peck->reply_to, refusal);
}

static bool is_empty_beside_made(const Duck__SendOrder *asked)
{
    return !*asked->to && !*asked->reply_to && !asked->kind && !asked->action.len &&
           !asked->payload.len && !asked->n_scopes && !asked->message.len && !asked->thread.len &&
           !asked->expires_in_ms && !asked->idempotency_key.len && !asked->trace.len &&
           !asked->grant.len && !asked->context.len;
}

/* A whole peck that was made and signed elsewhere. Whether it is signed by who should have, the loop knows. */
static bool read_made(const Duck__SendOrder *asked, struct message *message,
                      struct local_refusal *refusal)
{
    struct order *order = &message->order;
    struct envelope *made = arena_take(&message->arena, sizeof *made);
    enum envelope_verdict verdict;
    enum peck_verdict form;

    if (!made || !is_empty_beside_made(asked))
        return malformed(refusal, "signed",
                         "what is signed says all of the peck: name nothing else");
    verdict = envelope_parse(bytes_in(asked->made), ENVELOPE_PECK, &message->arena, made);
    if (verdict != ENVELOPE_TAKEN)
        return malformed(refusal, "signed", envelope_verdict_text(verdict));
    if (made->batch.size > 0)
        return malformed(refusal, "signed", "a peck that comes from outside is signed alone");
    form = peck_parse_named(made->body, &made->hash, &message->arena, &order->send);
    if (form != PECK_OK)
        return malformed(refusal, "signed", peck_verdict_text(form));
    if (!id_equal(&made->signer, &order->send.from))
        return malformed(refusal, "signed", "its signer is another one than its sender");
    if (!id_equal(&order->duckling, &order->send.from))
        return malformed(refusal, "from", "another duckling made this peck");
    order->expires_in_ms = order->send.expires_ms - order->send.created_ms;
    order->made = made;
    return true;
}

static bool read_send(const Duck__SendOrder *asked, struct message *message, struct wish *wish,
                      struct local_refusal *refusal)
{
    struct order *order = &message->order;
    struct peck *peck = &order->send;

    order->kind = ORDER_SEND;
    if (asked->made.len > 0)
        return read_id(ID_DUCKLING, asked->from, false, "from", &order->duckling, refusal) &&
               read_made(asked, message, refusal) &&
               read_wait(asked->wait_for, asked->wait_ms, wish, refusal);
    if (!read_id(ID_DUCKLING, asked->from, false, "from", &peck->from, refusal) ||
        !read_id(ID_DUCKLING, asked->to, false, "to", &peck->to, refusal))
        return false;
    order->duckling = peck->from;
    order->context = bytes_in(asked->context);
    if (order->context.size > NAME_MAX_BYTES)
        return malformed(refusal, "context", "a context is named by at most 64 bytes");
    if (order->context.size > 0 && asked->kind == PECK_BOND_REQUEST)
        return malformed(refusal, "context", "only actions are pecked under a context");
    if (id_equal(&peck->from, &peck->to))
        return malformed(refusal, "to", "a duckling cannot peck itself");
    if (asked->kind != PECK_ACTION && asked->kind != PECK_BOND_REQUEST)
        return malformed(refusal, "kind", "a peck is an action (1) or a bond request (2)");
    peck->kind = (enum peck_kind)asked->kind;
    if (peck->kind == PECK_ACTION ? !read_action(asked, peck, refusal)
                                  : !read_bond_request(asked, peck, refusal))
        return false;
    return read_context(asked, order, refusal) &&
           read_wait(asked->wait_for, asked->wait_ms, wish, refusal);
}

static bool read_cancel(const Duck__CancelOrder *asked, struct order *order,
                        struct local_refusal *refusal)
{
    order->kind = ORDER_CANCEL;
    return read_id(ID_DUCKLING, asked->duckling, true, "duckling", &order->duckling, refusal) &&
           read_id(ID_PECK, asked->peck_id, false, "peck_id", &order->peck, refusal);
}

/* ---- pecks in ---- */

static bool read_filter_scopes(const ProtobufCBinaryData *scopes, size_t count, const char *field,
                               struct message *message, const struct bytes **kept,
                               size_t *kept_count, struct local_refusal *refusal)
{
    struct bytes *list;

    if (count > LOCAL_FILTER_MAX)
        return malformed(refusal, field, "a take names at most 64 actions");
    list = arena_take(&message->arena, (count + 1) * sizeof *list);
    if (!list)
        return malformed(refusal, field, "this request is too large");
    for (size_t i = 0; i < count; i++) {
        list[i] = bytes_in(scopes[i]);
        if (!peck_scope_is_valid(list[i]))
            return malformed(refusal, field, "an action is a name like data.read, or data.*, or *");
    }
    *kept = list;
    *kept_count = count;
    return true;
}

static bool read_take(const Duck__TakeOrder *asked, struct message *message, struct wish *wish,
                      struct local_refusal *refusal)
{
    struct order *order = &message->order;

    order->kind = ORDER_TAKE;
    order->limit = asked->limit ? asked->limit : LOCAL_TAKE;
    order->lease_ms = asked->lease_ms ? asked->lease_ms : LEASE_MS;
    if (order->limit > LOCAL_TAKE_MAX)
        return malformed(refusal, "limit", "a take is of at most 200 pecks");
    if (order->lease_ms < LEASE_MIN_MS || order->lease_ms > LEASE_MAX_MS)
        return malformed(refusal, "lease_ms", "a lease is 1 s to 1 h");
    return read_wait(0, asked->wait_ms, wish, refusal) &&
           read_filter_scopes(asked->actions, asked->n_actions, "actions", message,
                              &order->filter.actions, &order->filter.action_count, refusal) &&
           read_filter_scopes(asked->but_not, asked->n_but_not, "but_not", message,
                              &order->filter.but_not, &order->filter.but_not_count, refusal) &&
           read_id(ID_DUCKLING, asked->duckling, false, "duckling", &order->duckling, refusal);
}

static bool read_pecks(char *const *texts, size_t count, struct message *message,
                       struct local_refusal *refusal)
{
    struct id *pecks;

    if (count == 0 || count > LOCAL_ACK_MAX)
        return malformed(refusal, "peck_ids", "name 1 to 200 pecks");
    pecks = arena_take(&message->arena, count * sizeof *pecks);
    if (!pecks)
        return malformed(refusal, "peck_ids", "this request is too large");
    for (size_t i = 0; i < count; i++)
        if (!read_id(ID_PECK, texts[i], false, "peck_ids", &pecks[i], refusal))
            return false;
    message->order.pecks = pecks;
    message->order.peck_count = count;
    return true;
}

static bool read_acknowledgement(const Duck__AckOrder *asked, struct message *message,
                                 struct local_refusal *refusal)
{
    struct order *order = &message->order;

    order->kind = ORDER_ACK;
    return read_pecks(asked->peck_ids, asked->n_peck_ids, message, refusal) &&
           read_id(ID_DUCKLING, asked->duckling, true, "duckling", &order->duckling, refusal);
}

static bool read_give_back(const Duck__GiveBackOrder *asked, struct message *message,
                           struct local_refusal *refusal)
{
    struct order *order = &message->order;

    order->kind = ORDER_GIVE_BACK;
    return read_pecks(asked->peck_ids, asked->n_peck_ids, message, refusal) &&
           read_id(ID_DUCKLING, asked->duckling, false, "duckling", &order->duckling, refusal);
}

static bool read_renewal(const Duck__RenewOrder *asked, struct message *message,
                         struct local_refusal *refusal)
{
    struct order *order = &message->order;

    order->kind = ORDER_RENEW;
    order->lease_ms = asked->lease_ms ? asked->lease_ms : LEASE_MS;
    if (order->lease_ms < LEASE_MIN_MS || order->lease_ms > LEASE_MAX_MS)
        return malformed(refusal, "lease_ms", "a lease is 1 s to 1 h");
    return read_pecks(asked->peck_ids, asked->n_peck_ids, message, refusal) &&
           read_id(ID_DUCKLING, asked->duckling, false, "duckling", &order->duckling, refusal);
}

static bool read_answer(const Duck__AnswerOrder *asked, struct order *order,
                        struct local_refusal *refusal)
{
    order->kind = ORDER_ANSWER;
    order->failed = asked->failed;
    order->charge = asked->charge;
    order->result = bytes_in(asked->result);
    order->problem = bytes_in(asked->problem);
    if (order->result.size > PECK_PAYLOAD_MAX)
        return refuse(refusal, REFUSAL_TOO_LARGE, "result", "a result is at most 262144 bytes");
    if (order->failed && order->result.size > 0)
        return malformed(refusal, "result", "what failed has a problem and no result");
    if (order->charge > 0 && (order->failed || order->charge > ANSWER_CHARGE_MAX))
        return malformed(refusal, "charge",
                         "an answer costs at most 1000000000 units, what failed costs none");
    if (!order->failed && order->problem.size > 0)
        return malformed(refusal, "problem", "what was answered has a result and no problem");
    if (order->problem.size > RECEIPT_PROBLEM_MAX || !bytes_are_text(order->problem, true))
        return malformed(refusal, "problem", "a problem is at most 1024 bytes of UTF-8");
    return read_id(ID_DUCKLING, asked->duckling, true, "duckling", &order->duckling, refusal) &&
           read_id(ID_PECK, asked->peck_id, false, "peck_id", &order->peck, refusal);
}

static bool read_partial(const Duck__PartialOrder *asked, struct order *order,
                         struct local_refusal *refusal)
{
    order->kind = ORDER_PARTIAL;
    order->result = bytes_in(asked->result);
    order->number = asked->number;
    if (order->number > PARTIALS_MAX)
        return malformed(refusal, "number", "a peck has at most 4096 partial answers");
    return read_id(ID_DUCKLING, asked->duckling, true, "duckling", &order->duckling, refusal) &&
           read_id(ID_PECK, asked->peck_id, false, "peck_id", &order->peck, refusal);
}

/* Of a bond: 1 to 16, or none. */
static bool read_bond_scopes(const ProtobufCBinaryData *asked, size_t count,
                             struct message *message, struct local_refusal *refusal)
{
    struct order *order = &message->order;
    struct bytes *scopes = arena_take(&message->arena, PECK_SCOPES_MAX * sizeof *scopes);

    if (!scopes)
        return malformed(refusal, "scopes", "this request is too large");
    order->scope_count = count;
    order->scopes = scopes;
    return read_scopes(asked, count, scopes, refusal);
}

static bool read_terms(const Duck__BondTerms *asked, uint32_t named, struct order *order,
                       struct local_refusal *refusal)
{
    struct bond_terms *terms = &order->terms;
    const char *wrong, *field;

    if (named >= BOND_TERM_STOP_WORDS << 1)
        return malformed(refusal, "terms_named", "there is no such term of a bond");
    order->terms_set = named;
    if (!asked)
        return true;
    if (asked->n_stop_words > BOND_STOP_WORDS_MAX)
        return malformed(refusal, "stop_words", "a bond has at most 8 stop words");
    terms->per_minute = asked->per_minute;
    terms->per_day = asked->per_day;
    terms->budget = asked->budget;
    terms->rounds = asked->rounds;
    terms->cool_down_ms = asked->cool_down_ms;
    terms->muted_until_ms = asked->muted_until_ms;
    terms->stop_word_count = asked->n_stop_words;
    for (size_t i = 0; i < asked->n_stop_words; i++)
        terms->stop_words[i] = bytes_in(asked->stop_words[i]);
    wrong = bond_terms_judge(terms, &field);
    return !wrong || malformed(refusal, field, wrong);
}

static bool read_bond(const Duck__BondOrder *asked, struct message *message,
                      struct local_refusal *refusal)
{
    struct order *order = &message->order;

    order->kind = ORDER_BOND;
    order->not_after_ms = asked->not_after_ms;
    return read_bond_scopes(asked->scopes, asked->n_scopes, message, refusal) &&
           read_terms(asked->terms, asked->terms_named, order, refusal) &&
           read_id(ID_DUCKLING, asked->duckling, true, "duckling", &order->duckling, refusal) &&
           read_id(ID_BOND, asked->bond_id, false, "bond_id", &order->bond, refusal);
}

static bool read_approval(const Duck__ApproveOrder *asked, struct message *message,
                          struct local_refusal *refusal)
{
    struct order *order = &message->order;

    order->kind = ORDER_APPROVE;
    order->not_after_ms = asked->not_after_ms;
    return read_bond_scopes(asked->scopes, asked->n_scopes, message, refusal) &&
           read_terms(asked->terms, asked->terms_named, order, refusal) &&
           read_id(ID_DUCKLING, asked->duckling, true, "duckling", &order->duckling, refusal) &&
           read_id(ID_PECK, asked->peck_id, false, "peck_id", &order->peck, refusal);
}

static bool read_denial(const Duck__DenyOrder *asked, struct order *order,
                        struct local_refusal *refusal)
{
    order->kind = ORDER_DENY;
    order->problem = bytes_in(asked->reason);
    if (order->problem.size > RECEIPT_PROBLEM_MAX || !bytes_are_text(order->problem, true))
        return malformed(refusal, "reason", "a reason is at most 1024 bytes of UTF-8");
    return read_id(ID_DUCKLING, asked->duckling, true, "duckling", &order->duckling, refusal) &&
           read_id(ID_PECK, asked->peck_id, false, "peck_id", &order->peck, refusal);
}

static bool read_unpeck(const Duck__UnpeckOrder *asked, struct order *order,
                        struct local_refusal *refusal)
{
    order->kind = ORDER_UNPECK;
    if (!*asked->bond_id == !*asked->with)
        return malformed(refusal, "bond_id", "name the bond, or the other duckling");
    return read_id(ID_DUCKLING, asked->duckling, false, "duckling", &order->duckling, refusal) &&
           read_id(ID_BOND, asked->bond_id, true, "bond_id", &order->bond, refusal) &&
           read_id(ID_DUCKLING, asked->with, true, "with", &order->with, refusal);
}

/* ---- the rest ---- */

/* "host:port", or "nod_…@host:port": then only that node is believed. */
static bool read_join(const Duck__JoinOrder *asked, struct order *order,
                      struct local_refusal *refusal)
{
    const char *address = asked->address, *at = strchr(address, '@'), *colon;

    order->kind = ORDER_JOIN;
    order->anew = true;
    if (at && !id_parse(ID_NODE, bytes_of(address, (size_t)(at - address)), &order->node))
        return malformed(refusal, "address", "before the @ stands a node's id");
    if (at)
        address = at + 1;
    colon = strrchr(address, ':');
    if (!colon || colon == address || !colon[1] || strlen(address) > ADDRESS_MAX ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1) || strlen(colon + 1) > 5 ||
        !is_printable(bytes_of_text(address)) || strpbrk(address, " /"))
        return malformed(refusal, "address", "an address is host:port or nod_...@host:port");
    order->address = bytes_of_text(address);
    return true;
}

static bool read_count(const Duck__CountOrder *asked, struct order *order,
                       struct local_refusal *refusal)
{
    order->kind = ORDER_COUNT;
    order->eggs = asked->eggs;
    order->pageviews = asked->pageviews;
    if (asked->pageviews > PAGEVIEWS_MAX)
        return malformed(refusal, "pageviews", "that many at once is a mistake");
    if (asked->eggs > INT32_MAX || asked->eggs < INT32_MIN)
        return malformed(refusal, "eggs", "that many at once is a mistake");
    return true;
}

static bool read_peck_query(const Duck__PeckQuery *asked, struct wish *wish,
                            struct local_refusal *refusal)
{
    return read_id(ID_PECK, asked->peck_id, false, "peck_id", &wish->peck, refusal) &&
           read_id(ID_DUCKLING, asked->duckling, true, "duckling", &wish->duckling, refusal) &&
           read_wait(asked->wait_for, asked->wait_ms, wish, refusal);
}

static bool read_partials_query(const Duck__PartialsQuery *asked, struct wish *wish,
                                struct local_refusal *refusal)
{
    wish->after = asked->after;
    wish->limit = asked->limit ? asked->limit : LOCAL_PAGE;
    wish->with_envelopes = asked->envelopes;
    wish->box = (int)asked->box;
    if (wish->limit > LOCAL_PAGE_MAX)
        return malformed(refusal, "limit", "a list has at most 200 items");
    if (asked->box > BOX_OUT)
        return malformed(refusal, "box", "a box is 1 in, 2 out, or 0 for both");
    return read_id(ID_PECK, asked->peck_id, false, "peck_id", &wish->peck, refusal) &&
           read_id(ID_DUCKLING, asked->duckling, true, "duckling", &wish->duckling, refusal) &&
           read_wait(DUCK__WAIT_FOR__WAIT_DONE, asked->wait_ms, wish, refusal);
}

static bool read_audit_news(const Duck__AuditNewsQuery *asked, struct wish *wish,
                            struct local_refusal *refusal)
{
    wish->after_entry = asked->after;
    wish->limit = asked->limit ? asked->limit : LOCAL_PAGE;
    if (wish->limit > LOCAL_PAGE_MAX)
        return malformed(refusal, "limit", "a list has at most 200 items");
    return read_wait(DUCK__WAIT_FOR__WAIT_DONE, asked->wait_ms, wish, refusal);
}

/* ---- grants that are made here ---- */

static bool read_grant_order(const Duck__GrantOrder *asked, struct message *message,
                             struct local_refusal *refusal)
{
    struct order *order = &message->order;

    order->kind = ORDER_MAKE_GRANT;
    order->uses = asked->uses;
    order->further = asked->further;
    order->not_after_ms = asked->not_after_ms;
    if (asked->n_scopes > GRANT_SCOPES_MAX || (asked->n_scopes == 0 && asked->grant.len == 0))
        return malformed(refusal, "scopes", "a block of a grant has 1 to 8 scopes");
    if (asked->further >= GRANT_BLOCKS_MAX)
        return malformed(refusal, "further", "a grant is handed on at most 7 times");
    return read_grant(asked->grant, &order->send, refusal) &&
           read_bond_scopes(asked->scopes, asked->n_scopes, message, refusal) &&
           read_id(ID_DUCKLING, asked->duckling, false, "duckling", &order->duckling, refusal) &&
           read_id(ID_DUCKLING, asked->holder, false, "holder", &order->with, refusal);
}

/* ---- ducklings that keep their own keys ---- */

static bool read_wanted(const Duck__WantedQuery *asked, struct order *order, struct wish *wish,
                        struct local_refusal *refusal)
{
    order->kind = ORDER_WANTED;
    order->after = asked->after;
    return read_wait(0, asked->wait_ms, wish, refusal) &&
           read_id(ID_DUCKLING, asked->duckling, false, "duckling", &order->duckling, refusal);
}

static bool read_signature(const Duck__SignOrder *asked, struct order *order,
                           struct local_refusal *refusal)
{
    order->kind = ORDER_SIGN;
    if (asked->signature.len != SIGNATURE_SIZE)
        return malformed(refusal, "signature", "a signature is 64 bytes");
    memcpy(order->signature.bytes, asked->signature.data, SIGNATURE_SIZE);
    return read_id(ID_DUCKLING, asked->duckling, false, "duckling", &order->duckling, refusal) &&
           read_id(ID_WANTED, asked->id, false, "id", &order->wanted, refusal);
}

/* ---- contexts ---- */

static bool read_issue(const Duck__IssueOrder *asked, struct message *message,
                       struct local_refusal *refusal)
{
    struct order *order = &message->order;

    order->kind = ORDER_ISSUE;
    order->context = bytes_in(asked->context);
    order->not_after_ms = asked->not_after_ms;
    if (asked->n_scopes == 0 || asked->n_scopes > CERTIFICATE_SCOPES_MAX)
        return malformed(refusal, "scopes", "a context has 1 to 16 scopes");
    message->forget_seeds = true;
    randombytes_buf(order->seeds, sizeof order->seeds);
    return read_bond_scopes(asked->scopes, asked->n_scopes, message, refusal) &&
           read_id(ID_DUCKLING, asked->duckling, false, "duckling", &order->duckling, refusal);
}

/* ---- lobster binds ---- */

static bool read_lobster(const Duck__LobsterOrder *asked, struct order *order,
                         struct local_refusal *refusal)
{
    bool is_list = asked->wish == DUCK__LOBSTER_WISH__LOBSTERS_LIST;

    if (asked->wish > DUCK__LOBSTER_WISH__LOBSTER_BREAK)
        return malformed(refusal, "wish", "a lobster bind is listed, begun, confirmed or broken");
    order->kind = ORDER_LOBSTER;
    order->lobster = (enum lobster_wish)asked->wish;
    order->lease_ms = asked->lease_ms;
    order->string = bytes_of_text(asked->string);
    if (order->string.size > NAME_MAX_BYTES)
        return malformed(refusal, "string", "the string is 8 digits");
    if (asked->lease_ms &&
        (asked->lease_ms < LOBSTER_LEASE_MIN_MS || asked->lease_ms > LOBSTER_LEASE_MAX_MS))
        return malformed(refusal, "lease_ms", "a lease is 5 s to 1 h");
    return read_id(ID_DUCKLING, asked->duckling, is_list, "duckling", &order->duckling, refusal) &&
           read_id(ID_DUCKLING, asked->with, is_list, "with", &order->with, refusal);
}

/* ---- all ---- */

static bool is_order(const Duck__Request *asked, enum request_kind kind)
{
    return kind != REQUEST_QUESTION && kind != REQUEST_PECK && kind != REQUEST_PARTIALS &&
           kind != REQUEST_AUDIT_NEWS && kind != REQUEST_FOLLOW &&
           asked->order_case != DUCK__REQUEST__ORDER_CANCEL_FOLLOW &&
           asked->order_case != DUCK__REQUEST__ORDER_STOP &&
           asked->order_case != DUCK__REQUEST__ORDER_HANDLERS_REPORT;
}

static bool read_members(const Duck__Request *asked, struct message *message, struct wish *wish,
                         struct local_refusal *refusal)
{
    struct order *order = &message->order;

    wish->kind = REQUEST_DONE;
    switch (asked->order_case) {
    case DUCK__REQUEST__ORDER_HATCH:
        wish->kind = REQUEST_HATCH;
        return read_hatch(asked->hatch, message, refusal);
    case DUCK__REQUEST__ORDER_PROFILE:
        return read_profile_order(asked->profile, order, refusal);
    case DUCK__REQUEST__ORDER_SEND:
        wish->kind = REQUEST_SEND;
        return read_send(asked->send, message, wish, refusal);
    case DUCK__REQUEST__ORDER_TAKE:
        wish->kind = REQUEST_TAKE;
        return read_take(asked->take, message, wish, refusal);
    case DUCK__REQUEST__ORDER_ACK:
        return read_acknowledgement(asked->ack, message, refusal);
    case DUCK__REQUEST__ORDER_GIVE_BACK:
        return read_give_back(asked->give_back, message, refusal);
    case DUCK__REQUEST__ORDER_RENEW:
        return read_renewal(asked->renew, message, refusal);
    case DUCK__REQUEST__ORDER_ANSWER:
        wish->kind = REQUEST_ANSWER;
        return read_answer(asked->answer, order, refusal);
    case DUCK__REQUEST__ORDER_PARTIAL:
        wish->kind = REQUEST_PARTIAL;
        return read_partial(asked->partial, order, refusal);
    case DUCK__REQUEST__ORDER_APPROVE:
        wish->kind = REQUEST_DECIDE;
        return read_approval(asked->approve, message, refusal);
    case DUCK__REQUEST__ORDER_DENY:
        wish->kind = REQUEST_DECIDE;
        return read_denial(asked->deny, order, refusal);
    case DUCK__REQUEST__ORDER_CANCEL:
        return read_cancel(asked->cancel, order, refusal);
    case DUCK__REQUEST__ORDER_UNPECK:
        wish->kind = REQUEST_UNPECK;
        return read_unpeck(asked->unpeck, order, refusal);
    case DUCK__REQUEST__ORDER_BOND:
        wish->kind = REQUEST_BOND;
        return read_bond(asked->bond, message, refusal);
    case DUCK__REQUEST__ORDER_JOIN:
        return read_join(asked->join, order, refusal);
    case DUCK__REQUEST__ORDER_COUNT:
        return read_count(asked->count, order, refusal);
    case DUCK__REQUEST__ORDER_PULSE:
        order->kind = ORDER_PULSE;
        return read_id(ID_DUCKLING, asked->pulse->duckling, false, "duckling", &order->duckling,
                       refusal);
    case DUCK__REQUEST__ORDER_VOUCH:
        return read_vouch(asked->vouch, order, refusal);
    case DUCK__REQUEST__ORDER_TRUST:
        return read_trust(asked->trust, order, refusal);
    case DUCK__REQUEST__ORDER_WITHDRAW:
        return read_withdraw(asked->withdraw, order, refusal);
    case DUCK__REQUEST__ORDER_REVOKE_GRANT:
        return read_grant_revocation(asked->revoke_grant, order, refusal);
    case DUCK__REQUEST__ORDER_REVOKE:
        return read_revoke(asked->revoke, message, refusal);
    case DUCK__REQUEST__ORDER_ROTATE:
        wish->kind = REQUEST_ROTATE;
        return read_rotate(asked->rotate, message, refusal);
    case DUCK__REQUEST__ORDER_EXPORT:
        wish->kind = REQUEST_EXPORT;
        return read_export(asked->export, order, refusal);
    case DUCK__REQUEST__ORDER_MAKE_GRANT:
        wish->kind = REQUEST_GRANT;
        return read_grant_order(asked->make_grant, message, refusal);
    case DUCK__REQUEST__ORDER_WANTED:
        wish->kind = REQUEST_WANTED;
        return read_wanted(asked->wanted, order, wish, refusal);
    case DUCK__REQUEST__ORDER_SIGN:
        return read_signature(asked->sign, order, refusal);
    case DUCK__REQUEST__ORDER_ISSUE:
        wish->kind = REQUEST_ISSUE;
        return read_issue(asked->issue, message, refusal);
    case DUCK__REQUEST__ORDER_LOBSTER:
        wish->kind = REQUEST_LOBSTER;
        return read_lobster(asked->lobster, order, refusal);
    case DUCK__REQUEST__ORDER_LEAVE:
        order->kind = ORDER_LEAVE;
        return true;
    case DUCK__REQUEST__ORDER_PECK:
        wish->kind = REQUEST_PECK;
        return read_peck_query(asked->peck, wish, refusal);
    case DUCK__REQUEST__ORDER_PARTIALS:
        wish->kind = REQUEST_PARTIALS;
        return read_partials_query(asked->partials, wish, refusal);
    case DUCK__REQUEST__ORDER_AUDIT_NEWS:
        wish->kind = REQUEST_AUDIT_NEWS;
        return read_audit_news(asked->audit_news, wish, refusal);
    case DUCK__REQUEST__ORDER_FOLLOW:
        wish->kind = REQUEST_FOLLOW;
        return read_id(ID_DUCKLING, asked->follow->duckling, true, "duckling", &wish->duckling,
                       refusal);
    case DUCK__REQUEST__ORDER_STATUS:
    case DUCK__REQUEST__ORDER_PECKS:
    case DUCK__REQUEST__ORDER_BONDS:
    case DUCK__REQUEST__ORDER_GRANTS:
    case DUCK__REQUEST__ORDER_CONTEXTS:
    case DUCK__REQUEST__ORDER_DIRECTORY:
    case DUCK__REQUEST__ORDER_CERTIFICATE:
    case DUCK__REQUEST__ORDER_PEERS:
    case DUCK__REQUEST__ORDER_METRICS:
    case DUCK__REQUEST__ORDER_GOSSIP:
    case DUCK__REQUEST__ORDER_HANDLERS:
    case DUCK__REQUEST__ORDER_TRUSTED:
    case DUCK__REQUEST__ORDER_NEXT_KEY:
    case DUCK__REQUEST__ORDER_AUDIT:
    case DUCK__REQUEST__ORDER_AUDIT_LOG:
        wish->kind = REQUEST_QUESTION;
        return true;
    case DUCK__REQUEST__ORDER_CANCEL_FOLLOW:
    case DUCK__REQUEST__ORDER_STOP:
    case DUCK__REQUEST__ORDER_HANDLERS_REPORT:
        return true;
    case DUCK__REQUEST__ORDER__NOT_SET:
    case _DUCK__REQUEST__ORDER__CASE_IS_INT_SIZE:
        break;
    }
    return malformed(refusal, "", "this node does not know this order");
}

bool local_read_request(const void *asked, struct message *message, struct wish *wish,
                        struct local_refusal *refusal)
{
    const Duck__Request *request = asked;

    *wish = (struct wish){0};
    if (!read_members(request, message, wish, refusal))
        return false;
    if (is_order(request, wish->kind)) {
        message->event.kind = EVENT_ORDER;
        message->event.order = &message->order;
    }
    return true;
}

/* The request may be gone before the loop reads the order. */
static const struct bytes *copy_scopes(struct message *message, const struct bytes *scopes,
                                       size_t count)
{
    struct bytes *copies = arena_take(&message->arena, (count + 1) * sizeof *copies);

    for (size_t i = 0; i < count; i++)
        copies[i] = arena_copy(&message->arena, scopes[i]);
    return copies;
}

struct message *local_take_again(const struct request *request)
{
    struct message *message = message_new(
        KIB + 2 * LOCAL_FILTER_MAX * (sizeof(struct bytes) + PECK_ACTION_MAX + 2 * sizeof(void *)));

    message->event.kind = EVENT_ORDER;
    message->event.order = &message->order;
    message->order.kind = ORDER_TAKE;
    message->order.ticket = request->ticket;
    message->order.duckling = request->duckling;
    message->order.limit = request->limit;
    message->order.lease_ms = request->lease_ms;
    message->order.filter = request->filter;
    message->order.filter.actions =
        copy_scopes(message, request->filter.actions, request->filter.action_count);
    message->order.filter.but_not =
        copy_scopes(message, request->filter.but_not, request->filter.but_not_count);
    return message;
}

struct message *local_wanted_again(const struct request *request)
{
    struct message *message = message_new(KIB);

    message->event.kind = EVENT_ORDER;
    message->event.order = &message->order;
    message->order.kind = ORDER_WANTED;
    message->order.ticket = request->ticket;
    message->order.duckling = request->duckling;
    message->order.after = request->after_entry;
    return message;
}

struct message *local_give_back(const struct id *duckling, const struct id *pecks, size_t count)
{
    struct message *message = message_new(KIB + count * sizeof *pecks);

    message->event.kind = EVENT_ORDER;
    message->event.order = &message->order;
    message->order.kind = ORDER_GIVE_BACK;
    message->order.duckling = *duckling;
    message->order.pecks = (const struct id *)(const void *)arena_copy(
                               &message->arena, bytes_of(pecks, count * sizeof *pecks))
                               .data;
    message->order.peck_count = count;
    return message;
}
