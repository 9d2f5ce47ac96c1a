/* What is asked about pecks, bonds and grants, judged. */
#include "local_orders_parts.h"

#include "core/binary_data.h"
#include "wire/local.pb-c.h"

/* ---- grants ---- */

static bool read_grant(ProtobufCBinaryData asked, struct peck *peck, struct local_refusal *refusal)
{
    peck->grant = borrowed(asked);
    if (peck->grant.size > GRANT_SIZE_MAX)
        return asked_refuse(refusal, REFUSAL_TOO_LARGE, "grant", "a grant is at most 6144 bytes");
    return true;
}

bool asked_grant_revocation(const Duck__GrantRevokeOrder *asked, struct order *order,
                            struct local_refusal *refusal)
{
    order->kind = ORDER_REVOKE_GRANT;
    if (!read_grant(asked->grant, &order->send, refusal))
        return false;
    if (order->send.grant.size == 0)
        return asked_malformed(refusal, "grant", "which grant?");
    return asked_id(ID_DUCKLING, asked->duckling, false, "duckling", &order->duckling, refusal);
}

/* ---- pecks out ---- */

static bool read_action(const Duck__SendOrder *asked, struct peck *peck,
                        struct local_refusal *refusal)
{
    peck->action = borrowed(asked->action);
    peck->payload = borrowed(asked->payload);
    if (peck->action.size == 0 || peck->action.size > PECK_ACTION_MAX ||
        !bytes_are_name(peck->action))
        return asked_malformed(refusal, "action",
                               "an action is 1 to 128 of a-z, 0-9, '_', '.', '-'");
    if (peck->payload.size > PECK_PAYLOAD_MAX)
        return asked_refuse(refusal, REFUSAL_TOO_LARGE, "payload",
                            "a payload is at most 262144 bytes");
    if (asked->n_scopes > 0)
        return asked_malformed(refusal, "scopes", "an action has no scopes: a bond request has");
    if (asked->message.len > 0)
        return asked_malformed(refusal, "message", "an action has no message: a bond request has");
    return read_grant(asked->grant, peck, refusal);
}

static bool read_scopes(const ProtobufCBinaryData *scopes, size_t count, struct bytes *list,
                        struct local_refusal *refusal)
{
    if (count > PECK_SCOPES_MAX)
        return asked_malformed(refusal, "scopes", "a bond has 1 to 16 scopes");
    for (size_t i = 0; i < count; i++) {
        list[i] = borrowed(scopes[i]);
        if (!peck_scope_is_valid(list[i]))
            return asked_malformed(refusal, "scopes",
                                   "a scope is a name like data.read, or data.*, or *");
    }
    return true;
}

static bool read_bond_request(const Duck__SendOrder *asked, struct peck *peck,
                              struct local_refusal *refusal)
{
    peck->message = borrowed(asked->message);
    peck->scope_count = asked->n_scopes;
    if (asked->n_scopes == 0)
        return asked_malformed(refusal, "scopes", "a bond has 1 to 16 scopes");
    if (!read_scopes(asked->scopes, asked->n_scopes, peck->scopes, refusal))
        return false;
    if (peck->message.size > PECK_MESSAGE_MAX || !bytes_are_text(peck->message, true))
        return asked_malformed(refusal, "message", "a message is at most 1024 bytes of UTF-8");
    if (asked->action.len > 0)
        return asked_malformed(refusal, "action", "a bond request has no action, it has scopes");
    if (asked->payload.len > 0)
        return asked_malformed(refusal, "payload", "a bond request has no payload");
    if (asked->grant.len > 0)
        return asked_malformed(refusal, "grant",
                               "a grant is for an action, not for a bond request");
    return true;
}

bool asked_is_printable(struct bytes text)
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

    peck->thread = borrowed(asked->thread);
    peck->idempotency_key = borrowed(asked->idempotency_key);
    peck->trace = borrowed(asked->trace);
    order->expires_in_ms = asked->expires_in_ms;
    if (peck->thread.size > PECK_THREAD_MAX || !asked_is_printable(peck->thread))
        return asked_malformed(refusal, "thread",
                               "a thread is at most 64 bytes of printable ASCII");
    if (peck->idempotency_key.size > PECK_IDEMPOTENCY_KEY_MAX ||
        !asked_is_printable(peck->idempotency_key))
        return asked_malformed(refusal, "idempotency_key",
                               "an idempotency key is at most 64 bytes of printable ASCII");
    if (peck->trace.size != 0 &&
        (peck->trace.size != PECK_TRACE_SIZE || !asked_is_printable(peck->trace)))
        return asked_malformed(refusal, "trace", "a trace is the 55 characters of a traceparent");
    if (order->expires_in_ms > PECK_LIFE_MAX_MS)
        return asked_malformed(refusal, "expires_in", "a peck lives at most 7 days");
    return asked_id(ID_PECK, asked->reply_to, true, "reply_to", &peck->reply_to, refusal);
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
    struct order *order = message->order;
    struct envelope *made = arena_take(&message->arena, sizeof *made);
    enum envelope_verdict verdict;
    enum peck_verdict form;

    if (!made || !is_empty_beside_made(asked))
        return asked_malformed(refusal, "signed",
                               "what is signed says all of the peck: name nothing else");
    verdict = envelope_parse(borrowed(asked->made), ENVELOPE_PECK, &message->arena, made);
    if (verdict != ENVELOPE_TAKEN)
        return asked_malformed(refusal, "signed", envelope_verdict_text(verdict));
    if (made->batch.size > 0)
        return asked_malformed(refusal, "signed", "a peck that comes from outside is signed alone");
    form = peck_parse_named(made->body, &made->hash, &message->arena, &order->send);
    if (form != PECK_OK)
        return asked_malformed(refusal, "signed", peck_verdict_text(form));
    if (!id_equal(&made->signer, &order->send.from))
        return asked_malformed(refusal, "signed", "its signer is another one than its sender");
    if (!id_equal(&order->duckling, &order->send.from))
        return asked_malformed(refusal, "from", "another duckling made this peck");
    order->expires_in_ms = order->send.expires_ms - order->send.created_ms;
    order->made = made;
    return true;
}

bool asked_send(const Duck__SendOrder *asked, struct message *message, struct wish *wish,
                struct local_refusal *refusal)
{
    struct order *order = message->order;
    struct peck *peck = &order->send;

    order->kind = ORDER_SEND;
    if (asked->made.len > 0)
        return asked_id(ID_DUCKLING, asked->from, false, "from", &order->duckling, refusal) &&
               read_made(asked, message, refusal) &&
               asked_wait(asked->wait_for, asked->wait_ms, wish, refusal);
    if (!asked_id(ID_DUCKLING, asked->from, false, "from", &peck->from, refusal) ||
        !asked_id(ID_DUCKLING, asked->to, false, "to", &peck->to, refusal))
        return false;
    order->duckling = peck->from;
    order->context = borrowed(asked->context);
    if (order->context.size > NAME_MAX_BYTES)
        return asked_malformed(refusal, "context", "a context is named by at most 64 bytes");
    if (order->context.size > 0 && asked->kind == PECK_BOND_REQUEST)
        return asked_malformed(refusal, "context", "only actions are pecked under a context");
    if (id_equal(&peck->from, &peck->to))
        return asked_malformed(refusal, "to", "a duckling cannot peck itself");
    if (asked->kind != PECK_ACTION && asked->kind != PECK_BOND_REQUEST)
        return asked_malformed(refusal, "kind", "a peck is an action (1) or a bond request (2)");
    peck->kind = (enum peck_kind)asked->kind;
    if (peck->kind == PECK_ACTION ? !read_action(asked, peck, refusal)
                                  : !read_bond_request(asked, peck, refusal))
        return false;
    return read_context(asked, order, refusal) &&
           asked_wait(asked->wait_for, asked->wait_ms, wish, refusal);
}

bool asked_cancel(const Duck__CancelOrder *asked, struct order *order,
                  struct local_refusal *refusal)
{
    order->kind = ORDER_CANCEL;
    return asked_id(ID_DUCKLING, asked->duckling, true, "duckling", &order->duckling, refusal) &&
           asked_id(ID_PECK, asked->peck_id, false, "peck_id", &order->peck, refusal);
}

/* ---- pecks in ---- */

static bool read_filter_scopes(const ProtobufCBinaryData *scopes, size_t count, const char *field,
                               struct message *message, const struct bytes **kept,
                               size_t *kept_count, struct local_refusal *refusal)
{
    struct bytes *list;

    if (count > LOCAL_FILTER_MAX)
        return asked_malformed(refusal, field, "a take names at most 64 actions");
    list = arena_take(&message->arena, (count + 1) * sizeof *list);
    if (!list)
        return asked_malformed(refusal, field, "this request is too large");
    for (size_t i = 0; i < count; i++) {
        list[i] = borrowed(scopes[i]);
        if (!peck_scope_is_valid(list[i]))
            return asked_malformed(refusal, field,
                                   "an action is a name like data.read, or data.*, or *");
    }
    *kept = list;
    *kept_count = count;
    return true;
}

bool asked_take(const Duck__TakeOrder *asked, struct message *message, struct wish *wish,
                struct local_refusal *refusal)
{
    struct order *order = message->order;

    order->kind = ORDER_TAKE;
    order->limit = asked->limit ? asked->limit : LOCAL_TAKE;
    order->lease_ms = asked->lease_ms ? asked->lease_ms : LEASE_MS;
    if (order->limit > LOCAL_TAKE_MAX)
        return asked_malformed(refusal, "limit", "a take is of at most 200 pecks");
    if (order->lease_ms < LEASE_MIN_MS || order->lease_ms > LEASE_MAX_MS)
        return asked_malformed(refusal, "lease_ms", "a lease is 1 s to 1 h");
    return asked_wait(0, asked->wait_ms, wish, refusal) &&
           read_filter_scopes(asked->actions, asked->n_actions, "actions", message,
                              &order->filter.actions, &order->filter.action_count, refusal) &&
           read_filter_scopes(asked->but_not, asked->n_but_not, "but_not", message,
                              &order->filter.but_not, &order->filter.but_not_count, refusal) &&
           asked_id(ID_DUCKLING, asked->duckling, false, "duckling", &order->duckling, refusal);
}

static bool read_pecks(char *const *texts, size_t count, struct message *message,
                       struct local_refusal *refusal)
{
    struct id *pecks;

    if (count == 0 || count > LOCAL_ACK_MAX)
        return asked_malformed(refusal, "peck_ids", "name 1 to 200 pecks");
    pecks = arena_take(&message->arena, count * sizeof *pecks);
    if (!pecks)
        return asked_malformed(refusal, "peck_ids", "this request is too large");
    for (size_t i = 0; i < count; i++)
        if (!asked_id(ID_PECK, texts[i], false, "peck_ids", &pecks[i], refusal))
            return false;
    message->order->pecks = pecks;
    message->order->peck_count = count;
    return true;
}

bool asked_acknowledgement(const Duck__AckOrder *asked, struct message *message,
                           struct local_refusal *refusal)
{
    struct order *order = message->order;

    order->kind = ORDER_ACK;
    return read_pecks(asked->peck_ids, asked->n_peck_ids, message, refusal) &&
           asked_id(ID_DUCKLING, asked->duckling, true, "duckling", &order->duckling, refusal);
}

bool asked_give_back(const Duck__GiveBackOrder *asked, struct message *message,
                     struct local_refusal *refusal)
{
    struct order *order = message->order;

    order->kind = ORDER_GIVE_BACK;
    return read_pecks(asked->peck_ids, asked->n_peck_ids, message, refusal) &&
           asked_id(ID_DUCKLING, asked->duckling, false, "duckling", &order->duckling, refusal);
}

bool asked_renewal(const Duck__RenewOrder *asked, struct message *message,
                   struct local_refusal *refusal)
{
    struct order *order = message->order;

    order->kind = ORDER_RENEW;
    order->lease_ms = asked->lease_ms ? asked->lease_ms : LEASE_MS;
    if (order->lease_ms < LEASE_MIN_MS || order->lease_ms > LEASE_MAX_MS)
        return asked_malformed(refusal, "lease_ms", "a lease is 1 s to 1 h");
    return read_pecks(asked->peck_ids, asked->n_peck_ids, message, refusal) &&
           asked_id(ID_DUCKLING, asked->duckling, false, "duckling", &order->duckling, refusal);
}

bool asked_answer(const Duck__AnswerOrder *asked, struct order *order,
                  struct local_refusal *refusal)
{
    order->kind = ORDER_ANSWER;
    order->failed = asked->failed;
    order->charge = asked->charge;
    order->result = borrowed(asked->result);
    order->problem = borrowed(asked->problem);
    if (order->result.size > PECK_PAYLOAD_MAX)
        return asked_refuse(refusal, REFUSAL_TOO_LARGE, "result",
                            "a result is at most 262144 bytes");
    if (order->failed && order->result.size > 0)
        return asked_malformed(refusal, "result", "what failed has a problem and no result");
    if (order->charge > 0 && (order->failed || order->charge > ANSWER_CHARGE_MAX))
        return asked_malformed(refusal, "charge",
                               "an answer costs at most 1000000000 units, what failed costs none");
    if (!order->failed && order->problem.size > 0)
        return asked_malformed(refusal, "problem", "what was answered has a result and no problem");
    if (order->problem.size > RECEIPT_PROBLEM_MAX || !bytes_are_text(order->problem, true))
        return asked_malformed(refusal, "problem", "a problem is at most 1024 bytes of UTF-8");
    return asked_id(ID_DUCKLING, asked->duckling, true, "duckling", &order->duckling, refusal) &&
           asked_id(ID_PECK, asked->peck_id, false, "peck_id", &order->peck, refusal);
}

bool asked_partial(const Duck__PartialOrder *asked, struct order *order,
                   struct local_refusal *refusal)
{
    order->kind = ORDER_PARTIAL;
    order->result = borrowed(asked->result);
    order->number = asked->number;
    if (order->number > PARTIALS_MAX)
        return asked_malformed(refusal, "number", "a peck has at most 4096 partial answers");
    return asked_id(ID_DUCKLING, asked->duckling, true, "duckling", &order->duckling, refusal) &&
           asked_id(ID_PECK, asked->peck_id, false, "peck_id", &order->peck, refusal);
}

/* Of a bond: 1 to 16, or none. */
bool asked_bond_scopes(const ProtobufCBinaryData *asked, size_t count, struct message *message,
                       struct local_refusal *refusal)
{
    struct order *order = message->order;
    struct bytes *scopes = arena_take(&message->arena, PECK_SCOPES_MAX * sizeof *scopes);

    if (!scopes)
        return asked_malformed(refusal, "scopes", "this request is too large");
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
        return asked_malformed(refusal, "terms_named", "there is no such term of a bond");
    order->terms_set = named;
    if (!asked)
        return true;
    if (asked->n_stop_words > BOND_STOP_WORDS_MAX)
        return asked_malformed(refusal, "stop_words", "a bond has at most 8 stop words");
    terms->per_minute = asked->per_minute;
    terms->per_day = asked->per_day;
    terms->budget = asked->budget;
    terms->rounds = asked->rounds;
    terms->cool_down_ms = asked->cool_down_ms;
    terms->muted_until_ms = asked->muted_until_ms;
    terms->stop_word_count = asked->n_stop_words;
    for (size_t i = 0; i < asked->n_stop_words; i++)
        terms->stop_words[i] = borrowed(asked->stop_words[i]);
    wrong = bond_terms_judge(terms, &field);
    return !wrong || asked_malformed(refusal, field, wrong);
}

bool asked_bond(const Duck__BondOrder *asked, struct message *message,
                struct local_refusal *refusal)
{
    struct order *order = message->order;

    order->kind = ORDER_BOND;
    order->not_after_ms = asked->not_after_ms;
    return asked_bond_scopes(asked->scopes, asked->n_scopes, message, refusal) &&
           read_terms(asked->terms, asked->terms_named, order, refusal) &&
           asked_id(ID_DUCKLING, asked->duckling, true, "duckling", &order->duckling, refusal) &&
           asked_id(ID_BOND, asked->bond_id, false, "bond_id", &order->bond, refusal);
}

bool asked_approval(const Duck__ApproveOrder *asked, struct message *message,
                    struct local_refusal *refusal)
{
    struct order *order = message->order;

    order->kind = ORDER_APPROVE;
    order->not_after_ms = asked->not_after_ms;
    return asked_bond_scopes(asked->scopes, asked->n_scopes, message, refusal) &&
           read_terms(asked->terms, asked->terms_named, order, refusal) &&
           asked_id(ID_DUCKLING, asked->duckling, true, "duckling", &order->duckling, refusal) &&
           asked_id(ID_PECK, asked->peck_id, false, "peck_id", &order->peck, refusal);
}

bool asked_denial(const Duck__DenyOrder *asked, struct order *order, struct local_refusal *refusal)
{
    order->kind = ORDER_DENY;
    order->problem = borrowed(asked->reason);
    if (order->problem.size > RECEIPT_PROBLEM_MAX || !bytes_are_text(order->problem, true))
        return asked_malformed(refusal, "reason", "a reason is at most 1024 bytes of UTF-8");
    return asked_id(ID_DUCKLING, asked->duckling, true, "duckling", &order->duckling, refusal) &&
           asked_id(ID_PECK, asked->peck_id, false, "peck_id", &order->peck, refusal);
}

bool asked_unpeck(const Duck__UnpeckOrder *asked, struct order *order,
                  struct local_refusal *refusal)
{
    order->kind = ORDER_UNPECK;
    if (!*asked->bond_id == !*asked->with)
        return asked_malformed(refusal, "bond_id", "name the bond, or the other duckling");
    return asked_id(ID_DUCKLING, asked->duckling, false, "duckling", &order->duckling, refusal) &&
           asked_id(ID_BOND, asked->bond_id, true, "bond_id", &order->bond, refusal) &&
           asked_id(ID_DUCKLING, asked->with, true, "with", &order->with, refusal);
}

/* ---- grants that are made here ---- */

bool asked_grant_order(const Duck__GrantOrder *asked, struct message *message,
                       struct local_refusal *refusal)
{
    struct order *order = message->order;

    order->kind = ORDER_MAKE_GRANT;
    order->uses = asked->uses;
    order->further = asked->further;
    order->not_after_ms = asked->not_after_ms;
    if (asked->n_scopes > GRANT_SCOPES_MAX || (asked->n_scopes == 0 && asked->grant.len == 0))
        return asked_malformed(refusal, "scopes", "a block of a grant has 1 to 8 scopes");
    if (asked->further >= GRANT_BLOCKS_MAX)
        return asked_malformed(refusal, "further", "a grant is handed on at most 7 times");
    return read_grant(asked->grant, &order->send, refusal) &&
           asked_bond_scopes(asked->scopes, asked->n_scopes, message, refusal) &&
           asked_id(ID_DUCKLING, asked->duckling, false, "duckling", &order->duckling, refusal) &&
           asked_id(ID_DUCKLING, asked->holder, false, "holder", &order->with, refusal);
}
