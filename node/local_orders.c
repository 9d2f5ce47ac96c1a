/* What programs ask, judged member by member before the loop hears of it: so a refusal costs the
 * loop nothing, and names the member at fault. What only the agent's tables can tell (is the
 * duckling hosted here, is the peck open) is left to it. */
#include "local_orders_parts.h"

#include "core/binary_data.h"
#include "wire/local.pb-c.h"

#define PAGEVIEWS_MAX 1000000000ull /* of one order */
#define DISPLAY_NAME_RULE                                                                          \
    "a display name is 1 to 64 bytes of UTF-8, something visible among them, and nothing that "    \
    "hides or turns round"

bool asked_refuse(struct local_refusal *refusal, enum refusal_code code, const char *field,
                  const char *message)
{
    *refusal = (struct local_refusal){.code = code, .message = message, .field = field};
    return false;
}

bool asked_malformed(struct local_refusal *refusal, const char *field, const char *message)
{
    return asked_refuse(refusal, REFUSAL_MALFORMED, field, message);
}

/* ---- members ---- */

/* An empty one is zero, where `may_be_empty`. */
bool asked_id(enum id_kind kind, const char *text, bool may_be_empty, const char *field,
              struct id *id, struct local_refusal *refusal)
{
    if (!*text && may_be_empty)
        return true;
    return id_parse(kind, bytes_of_text(text), id) ||
           asked_malformed(refusal, field, id_form(kind));
}

bool asked_wait(uint32_t wait_for, uint64_t wait_ms, struct wish *wish,
                struct local_refusal *refusal)
{
    if (wait_for > DUCK__WAIT_FOR__WAIT_DONE)
        return asked_malformed(refusal, "wait_for", "wait_for is queued, taken or done");
    if (wait_ms > WAIT_MAX_MS)
        return asked_malformed(refusal, "wait_ms", "a request waits at most 30000 ms");
    wish->wait_for = wait_for;
    wish->wait_ms = wait_ms;
    return true;
}

static bool judge_names(const ProtobufCBinaryData *names, size_t count, size_t count_max,
                        const char *field, const char *too_many, struct local_refusal *refusal)
{
    if (count > count_max)
        return asked_malformed(refusal, field, too_many);
    for (size_t i = 0; i < count; i++)
        if (names[i].len == 0 || names[i].len > NAME_MAX_BYTES ||
            !bytes_are_name(borrowed(names[i])))
            return asked_malformed(refusal, field,
                                   "a capability is 1 to 64 of a-z, 0-9, '_', '.', '-'");
    return true;
}

bool asked_profile(struct order_profile *profile, ProtobufCBinaryData display_name,
                   ProtobufCBinaryData bio, const ProtobufCBinaryData *capabilities,
                   size_t capability_count, struct local_refusal *refusal)
{
    profile->display_name = borrowed(display_name);
    profile->bio = borrowed(bio);
    if (profile->set_display_name && (display_name.len == 0 || display_name.len > NAME_MAX_BYTES ||
                                      !bytes_are_display_name(profile->display_name)))
        return asked_malformed(refusal, "display_name", DISPLAY_NAME_RULE);
    if (profile->set_bio && (bio.len > BIO_MAX || !bytes_are_text(profile->bio, true)))
        return asked_malformed(refusal, "bio", "a bio is at most 1024 bytes of UTF-8");
    if (!judge_names(capabilities, capability_count, DUCKLING_CAPABILITIES_MAX, "capabilities",
                     "a duckling has at most 32 capabilities", refusal))
        return false;
    for (size_t i = 0; i < capability_count; i++)
        profile->capabilities[i] = borrowed(capabilities[i]);
    profile->capability_count = capability_count;
    return true;
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
        return asked_malformed(refusal, "address", "before the @ stands a node's id");
    if (at)
        address = at + 1;
    colon = strrchr(address, ':');
    if (!colon || colon == address || !colon[1] || strlen(address) > ADDRESS_MAX ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1) || strlen(colon + 1) > 5 ||
        !asked_is_printable(bytes_of_text(address)) || strpbrk(address, " /"))
        return asked_malformed(refusal, "address", "an address is host:port or nod_...@host:port");
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
        return asked_malformed(refusal, "pageviews", "that many at once is a mistake");
    if (asked->eggs > INT32_MAX || asked->eggs < INT32_MIN)
        return asked_malformed(refusal, "eggs", "that many at once is a mistake");
    return true;
}

static bool read_peck_query(const Duck__PeckQuery *asked, struct wish *wish,
                            struct local_refusal *refusal)
{
    return asked_id(ID_PECK, asked->peck_id, false, "peck_id", &wish->peck, refusal) &&
           asked_id(ID_DUCKLING, asked->duckling, true, "duckling", &wish->duckling, refusal) &&
           asked_wait(asked->wait_for, asked->wait_ms, wish, refusal);
}

static bool read_partials_query(const Duck__PartialsQuery *asked, struct wish *wish,
                                struct local_refusal *refusal)
{
    wish->after = asked->after;
    wish->limit = asked->limit ? asked->limit : LOCAL_PAGE;
    wish->with_envelopes = asked->envelopes;
    wish->box = (int)asked->box;
    if (wish->limit > LOCAL_PAGE_MAX)
        return asked_malformed(refusal, "limit", "a list has at most 200 items");
    if (asked->box > BOX_OUT)
        return asked_malformed(refusal, "box", "a box is 1 in, 2 out, or 0 for both");
    return asked_id(ID_PECK, asked->peck_id, false, "peck_id", &wish->peck, refusal) &&
           asked_id(ID_DUCKLING, asked->duckling, true, "duckling", &wish->duckling, refusal) &&
           asked_wait(DUCK__WAIT_FOR__WAIT_DONE, asked->wait_ms, wish, refusal);
}

static bool read_audit_news(const Duck__AuditNewsQuery *asked, struct wish *wish,
                            struct local_refusal *refusal)
{
    wish->after_entry = asked->after;
    wish->limit = asked->limit ? asked->limit : LOCAL_PAGE;
    if (wish->limit > LOCAL_PAGE_MAX)
        return asked_malformed(refusal, "limit", "a list has at most 200 items");
    return asked_wait(DUCK__WAIT_FOR__WAIT_DONE, asked->wait_ms, wish, refusal);
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
    struct order *order = message->order;

    wish->kind = REQUEST_DONE;
    switch (asked->order_case) {
    case DUCK__REQUEST__ORDER_HATCH:
        wish->kind = REQUEST_HATCH;
        return asked_hatch(asked->hatch, message, refusal);
    case DUCK__REQUEST__ORDER_PROFILE:
        return asked_profile_order(asked->profile, order, refusal);
    case DUCK__REQUEST__ORDER_SEND:
        wish->kind = REQUEST_SEND;
        return asked_send(asked->send, message, wish, refusal);
    case DUCK__REQUEST__ORDER_TAKE:
        wish->kind = REQUEST_TAKE;
        return asked_take(asked->take, message, wish, refusal);
    case DUCK__REQUEST__ORDER_ACK:
        return asked_acknowledgement(asked->ack, message, refusal);
    case DUCK__REQUEST__ORDER_GIVE_BACK:
        return asked_give_back(asked->give_back, message, refusal);
    case DUCK__REQUEST__ORDER_RENEW:
        return asked_renewal(asked->renew, message, refusal);
    case DUCK__REQUEST__ORDER_ANSWER:
        wish->kind = REQUEST_ANSWER;
        return asked_answer(asked->answer, order, refusal);
    case DUCK__REQUEST__ORDER_PARTIAL:
        wish->kind = REQUEST_PARTIAL;
        return asked_partial(asked->partial, order, refusal);
    case DUCK__REQUEST__ORDER_APPROVE:
        wish->kind = REQUEST_DECIDE;
        return asked_approval(asked->approve, message, refusal);
    case DUCK__REQUEST__ORDER_DENY:
        wish->kind = REQUEST_DECIDE;
        return asked_denial(asked->deny, order, refusal);
    case DUCK__REQUEST__ORDER_CANCEL:
        return asked_cancel(asked->cancel, order, refusal);
    case DUCK__REQUEST__ORDER_UNPECK:
        wish->kind = REQUEST_UNPECK;
        return asked_unpeck(asked->unpeck, order, refusal);
    case DUCK__REQUEST__ORDER_BOND:
        wish->kind = REQUEST_BOND;
        return asked_bond(asked->bond, message, refusal);
    case DUCK__REQUEST__ORDER_JOIN:
        return read_join(asked->join, order, refusal);
    case DUCK__REQUEST__ORDER_COUNT:
        return read_count(asked->count, order, refusal);
    case DUCK__REQUEST__ORDER_PULSE:
        order->kind = ORDER_PULSE;
        return asked_id(ID_DUCKLING, asked->pulse->duckling, false, "duckling", &order->duckling,
                        refusal);
    case DUCK__REQUEST__ORDER_VOUCH:
        return asked_vouch(asked->vouch, order, refusal);
    case DUCK__REQUEST__ORDER_TRUST:
        return asked_trust(asked->trust, order, refusal);
    case DUCK__REQUEST__ORDER_WITHDRAW:
        return asked_withdraw(asked->withdraw, order, refusal);
    case DUCK__REQUEST__ORDER_REVOKE_GRANT:
        return asked_grant_revocation(asked->revoke_grant, order, refusal);
    case DUCK__REQUEST__ORDER_REVOKE:
        return asked_revoke(asked->revoke, message, refusal);
    case DUCK__REQUEST__ORDER_ROTATE:
        wish->kind = REQUEST_ROTATE;
        return asked_rotate(asked->rotate, message, refusal);
    case DUCK__REQUEST__ORDER_EXPORT:
        wish->kind = REQUEST_EXPORT;
        return asked_export(asked->export, order, refusal);
    case DUCK__REQUEST__ORDER_MAKE_GRANT:
        wish->kind = REQUEST_GRANT;
        return asked_grant_order(asked->make_grant, message, refusal);
    case DUCK__REQUEST__ORDER_WANTED:
        wish->kind = REQUEST_WANTED;
        return asked_wanted(asked->wanted, order, wish, refusal);
    case DUCK__REQUEST__ORDER_SIGN:
        return asked_signature(asked->sign, order, refusal);
    case DUCK__REQUEST__ORDER_ISSUE:
        wish->kind = REQUEST_ISSUE;
        return asked_issue(asked->issue, message, refusal);
    case DUCK__REQUEST__ORDER_LOBSTER:
        wish->kind = REQUEST_LOBSTER;
        return asked_lobster(asked->lobster, order, refusal);
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
        return asked_id(ID_DUCKLING, asked->follow->duckling, true, "duckling", &wish->duckling,
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
    return asked_malformed(refusal, "", "this node does not know this order");
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
        message->event.order = message->order;
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
    struct message *message = message_new_order(
        KIB + 2 * LOCAL_FILTER_MAX * (sizeof(struct bytes) + PECK_ACTION_MAX + 2 * sizeof(void *)),
        0);

    message->event.kind = EVENT_ORDER;
    message->event.order = message->order;
    message->order->kind = ORDER_TAKE;
    message->order->ticket = request->ticket;
    message->order->duckling = request->duckling;
    message->order->limit = request->limit;
    message->order->lease_ms = request->lease_ms;
    message->order->filter = request->filter;
    message->order->filter.actions =
        copy_scopes(message, request->filter.actions, request->filter.action_count);
    message->order->filter.but_not =
        copy_scopes(message, request->filter.but_not, request->filter.but_not_count);
    return message;
}

struct message *local_wanted_again(const struct request *request)
{
    struct message *message = message_new_order(KIB, 0);

    message->event.kind = EVENT_ORDER;
    message->event.order = message->order;
    message->order->kind = ORDER_WANTED;
    message->order->ticket = request->ticket;
    message->order->duckling = request->duckling;
    message->order->after = request->after_entry;
    return message;
}

struct message *local_give_back(const struct id *duckling, const struct id *pecks, size_t count)
{
    struct message *message = message_new_order(KIB + count * sizeof *pecks, 0);

    message->event.kind = EVENT_ORDER;
    message->event.order = message->order;
    message->order->kind = ORDER_GIVE_BACK;
    message->order->duckling = *duckling;
    message->order->pecks = (const struct id *)(const void *)arena_copy(
                                &message->arena, bytes_of(pecks, count * sizeof *pecks))
                                .data;
    message->order->peck_count = count;
    return message;
}
