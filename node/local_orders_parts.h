/* local_orders_parts: what the files share that judge what is asked. Nobody else includes it. All return false after
 * `*refusal` was filled. */
#ifndef DUCK_NODE_LOCAL_ORDERS_PARTS_H
#define DUCK_NODE_LOCAL_ORDERS_PARTS_H

#include "core/tier.h"
#include "local_parts.h"

#include <protobuf-c/protobuf-c.h>

struct Duck__AckOrder;
struct Duck__AnswerOrder;
struct Duck__ApproveOrder;
struct Duck__BondOrder;
struct Duck__CancelOrder;
struct Duck__DenyOrder;
struct Duck__ExportOrder;
struct Duck__GiveBackOrder;
struct Duck__GrantOrder;
struct Duck__GrantRevokeOrder;
struct Duck__HatchOrder;
struct Duck__IssueOrder;
struct Duck__LobsterOrder;
struct Duck__PartialOrder;
struct Duck__ProfileOrder;
struct Duck__RenewOrder;
struct Duck__RevokeOrder;
struct Duck__RotateOrder;
struct Duck__SendOrder;
struct Duck__SignOrder;
struct Duck__TakeOrder;
struct Duck__TrustOrder;
struct Duck__UnpeckOrder;
struct Duck__VouchOrder;
struct Duck__WantedQuery;
struct Duck__WithdrawOrder;

/* ---- local_orders.c: members ---- */

bool asked_refuse(struct local_refusal *refusal, enum refusal_code code, const char *field, const char *message);
bool asked_malformed(struct local_refusal *refusal, const char *field, const char *message);
bool asked_id(enum id_kind kind, const char *text, bool may_be_empty, const char *field, struct id *id,
    struct local_refusal *refusal);
bool asked_wait(uint32_t wait_for, uint64_t wait_ms, struct wish *wish, struct local_refusal *refusal);
bool asked_profile(struct order_profile *profile, ProtobufCBinaryData display_name, ProtobufCBinaryData bio,
    const ProtobufCBinaryData *capabilities, size_t capability_count, struct local_refusal *refusal);

/* ---- local_orders_identities.c ---- */

bool asked_hatch(const struct Duck__HatchOrder *asked, struct message *message, struct local_refusal *refusal);
bool asked_profile_order(const struct Duck__ProfileOrder *asked, struct order *order, struct local_refusal *refusal);
bool asked_vouch(const struct Duck__VouchOrder *asked, struct order *order, struct local_refusal *refusal);
bool asked_export(const struct Duck__ExportOrder *asked, struct order *order, struct local_refusal *refusal);
bool asked_rotate(const struct Duck__RotateOrder *asked, struct message *message, struct local_refusal *refusal);
bool asked_revoke(const struct Duck__RevokeOrder *asked, struct message *message, struct local_refusal *refusal);
bool asked_trust(const struct Duck__TrustOrder *asked, struct order *order, struct local_refusal *refusal);
bool asked_withdraw(const struct Duck__WithdrawOrder *asked, struct order *order, struct local_refusal *refusal);
bool asked_wanted(const struct Duck__WantedQuery *asked, struct order *order, struct wish *wish,
    struct local_refusal *refusal);
bool asked_signature(const struct Duck__SignOrder *asked, struct order *order, struct local_refusal *refusal);
bool asked_issue(const struct Duck__IssueOrder *asked, struct message *message, struct local_refusal *refusal);
bool asked_lobster(const struct Duck__LobsterOrder *asked, struct order *order, struct local_refusal *refusal);

/* ---- local_orders_pecks.c ---- */

bool asked_grant_revocation(const struct Duck__GrantRevokeOrder *asked, struct order *order,
    struct local_refusal *refusal);
bool asked_is_printable(struct bytes text);
bool asked_send(const struct Duck__SendOrder *asked, struct message *message, struct wish *wish,
    struct local_refusal *refusal);
bool asked_cancel(const struct Duck__CancelOrder *asked, struct order *order, struct local_refusal *refusal);
bool asked_take(const struct Duck__TakeOrder *asked, struct message *message, struct wish *wish,
    struct local_refusal *refusal);
bool asked_acknowledgement(const struct Duck__AckOrder *asked, struct message *message, struct local_refusal *refusal);
bool asked_give_back(const struct Duck__GiveBackOrder *asked, struct message *message, struct local_refusal *refusal);
bool asked_renewal(const struct Duck__RenewOrder *asked, struct message *message, struct local_refusal *refusal);
bool asked_answer(const struct Duck__AnswerOrder *asked, struct order *order, struct local_refusal *refusal);
bool asked_partial(const struct Duck__PartialOrder *asked, struct order *order, struct local_refusal *refusal);
bool asked_bond_scopes(const ProtobufCBinaryData *asked, size_t count, struct message *message,
    struct local_refusal *refusal);
bool asked_bond(const struct Duck__BondOrder *asked, struct message *message, struct local_refusal *refusal);
bool asked_approval(const struct Duck__ApproveOrder *asked, struct message *message, struct local_refusal *refusal);
bool asked_denial(const struct Duck__DenyOrder *asked, struct order *order, struct local_refusal *refusal);
bool asked_unpeck(const struct Duck__UnpeckOrder *asked, struct order *order, struct local_refusal *refusal);
bool asked_grant_order(const struct Duck__GrantOrder *asked, struct message *message, struct local_refusal *refusal);

#endif
