#include "view.h"
#include "core/binary_data.h"
#include "core/jose.h"

#include "wire/local.pb-c.h"

#include "core/identity.h"
#include "core/peck.h"
#include "reply.h"

#include <sodium.h>
#include <stdio.h>

static void put_texts(json_t *object, const char *name, const ProtobufCBinaryData *texts,
                      size_t count)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++) {
        json_t *text = json_stringn((const char *)texts[i].data, texts[i].len);

        if (text)
            json_array_append_new(list, text);
    }
    json_object_set_new(object, name, list);
}

static void put_words(json_t *object, const char *name, char *const *words, size_t count)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_string(words[i]));
    json_object_set_new(object, name, list);
}

/* ---- pecks ---- */

static json_t *view_receipt(const Duck__ReceiptView *receipt, enum view_depth depth)
{
    json_t *object = json_object();

    reply_word(object, "kind", receipt->kind);
    reply_word(object, "state", receipt->state);
    reply_date(object, "at", receipt->at_ms);
    reply_word(object, "signer", receipt->signer);
    if (depth == VIEW_WHOLE) {
        reply_base64(object, "envelope", borrowed(receipt->envelope));
        reply_base64(object, "chain", borrowed(receipt->chain));
    }
    return object;
}

static void put_request(json_t *object, const Duck__PeckView *peck)
{
    if (peck->kind == PECK_BOND_REQUEST) {
        if (peck->n_scopes > 0)
            reply_text(object, "peck_type", borrowed(peck->scopes[0]));
        put_texts(object, "scopes", peck->scopes, peck->n_scopes);
        reply_text(object, "message", borrowed(peck->message));
        return;
    }
    reply_text(object, "action", borrowed(peck->action));
    reply_json(object, "payload", borrowed(peck->payload));
}

json_t *view_peck(const Duck__PeckView *peck, enum view_depth depth)
{
    json_t *object = json_object(), *receipts = json_array();

    reply_word(object, "peck_id", peck->peck_id);
    reply_word(object, "status", peck->state);
    if (peck->box)
        reply_word(object, "box", peck->box == 1 ? "in" : "out");
    reply_word(object, "from", peck->from);
    reply_word(object, "to", peck->to);
    if (peck->kind) { /* not in the answer to an order, which tells only what has become of it */
        reply_word(object, "kind", peck->kind == PECK_BOND_REQUEST ? "bond_request" : "action");
        put_request(object, peck);
    }
    reply_text(object, "context", borrowed(peck->context));
    reply_word(object, "context_id", peck->context_id);
    reply_text(object, "thread", borrowed(peck->thread));
    reply_word(object, "reply_to", peck->reply_to);
    reply_date(object, "created_at", peck->created_ms);
    reply_date(object, "expires_at", peck->expires_ms);
    reply_date(object, "changed_at", peck->changed_ms);
    reply_number(object, "attempt", peck->attempt);
    reply_date(object, "lease_until", peck->lease_until_ms);
    reply_json(object, "result", borrowed(peck->result));
    reply_text(object, "problem", borrowed(peck->problem));
    reply_word(object, "error", peck->refusal);
    if (peck->retry_after_ms)
        reply_number(object, "retry_after", reply_seconds(peck->retry_after_ms));
    if (peck->charged)
        reply_number(object, "charged", peck->charged);
    for (size_t i = 0; i < peck->n_held_by; i++) {
        if (i == 0)
            json_object_set_new(object, "held_by", json_array());
        json_array_append_new(json_object_get(object, "held_by"), json_string(peck->held_by[i]));
    }
    reply_text(object, "traceparent", borrowed(peck->trace));
    reply_word(object, "bond_id", peck->bond_id);
    reply_word(object, "waits_for", peck->waits_for);
    if (peck->replayed)
        json_object_set_new(object, "replayed", json_true());
    for (size_t i = 0; i < peck->n_receipts; i++)
        json_array_append_new(receipts, view_receipt(peck->receipts[i], depth));
    json_object_set_new(object, "receipts", receipts);
    if (depth == VIEW_WHOLE) {
        reply_base64(object, "envelope", borrowed(peck->envelope));
        reply_base64(object, "chain", borrowed(peck->chain));
        reply_base64url(object, "grant", borrowed(peck->grant));
    }
    return object;
}

json_t *view_pecks(const Duck__PeckList *pecks)
{
    json_t *object = json_object(), *list = json_array();

    for (size_t i = 0; i < pecks->n_pecks; i++)
        json_array_append_new(list, view_peck(pecks->pecks[i], VIEW_BRIEF));
    json_object_set_new(object, "pecks", list);
    reply_word(object, "next_cursor", pecks->next_cursor);
    return object;
}

bool view_peck_is_done(const Duck__PeckView *peck)
{
    enum peck_kind kind = peck->kind == PECK_BOND_REQUEST ? PECK_BOND_REQUEST : PECK_ACTION;
    enum peck_state state;

    return peck_state_parse(bytes_of_text(peck->state), &state) && peck_state_is_done(state, kind);
}

/* 0 is no limit, and left out. */
static void put_limit(json_t *object, const char *name, uint64_t number)
{
    if (number)
        reply_number(object, name, number);
}

static json_t *limits_of(const Duck__BondTerms *terms)
{
    json_t *object = json_object();

    put_limit(object, "per_minute", terms->per_minute);
    put_limit(object, "per_day", terms->per_day);
    put_limit(object, "budget", terms->budget);
    put_limit(object, "rounds", terms->rounds);
    put_limit(object, "cool_down", terms->cool_down_ms / 1000);
    if (terms->n_stop_words > 0)
        put_texts(object, "stop_words", terms->stop_words, terms->n_stop_words);
    return object;
}

/* What was used is known where the bond was approved. */
static json_t *health_of(const Duck__BondView *bond)
{
    json_t *object = json_object();

    reply_word(object, "state", bond->health);
    if (!bond->requested_here && bond->terms->per_day)
        reply_number(object, "used_today", bond->used_today);
    if (!bond->requested_here && bond->terms->budget)
        reply_number(object, "spent", bond->spent);
    reply_date(object, "muted_until", bond->terms->muted_until_ms);
    return object;
}

json_t *view_bond(const Duck__BondView *bond)
{
    json_t *object = json_object();

    reply_word(object, "bond_id", bond->bond_id);
    reply_word(object, "waits_for", bond->waits_for);
    reply_word(object, "duckling_id", bond->duckling);
    reply_word(object, "with", bond->with);
    reply_date(object, "made_at", bond->made_ms);
    reply_date(object, "not_after", bond->not_after_ms);
    if (bond->terms) { /* not of one that has just ended */
        put_texts(object, "scopes", bond->scopes, bond->n_scopes);
        /* The scopes let whoever asked for the bond peck whoever approved it. */
        reply_word(object, "direction", bond->requested_here ? "out" : "in");
        json_object_set_new(object, "limits", limits_of(bond->terms));
        json_object_set_new(object, "health", health_of(bond));
        reply_date(object, "changed_at", bond->terms_ms);
    }
    return object;
}

/* ---- the directory ---- */

/* Left out where there is none: what an operator that is not trusted here took back is not known. */
static void put_taken_back(json_t *object, const Duck__DirectoryEntry *entry)
{
    json_t *list = json_array();

    for (size_t i = 0; i < entry->n_taken_back; i++) {
        json_t *taken_back = json_object();

        reply_word(taken_back, "operator_id", entry->taken_back[i]->operator_);
        reply_date(taken_back, "at", entry->taken_back[i]->at_ms);
        json_array_append_new(list, taken_back);
    }
    if (entry->n_taken_back > 0)
        json_object_set_new(object, "taken_back", list);
    else
        json_decref(list);
}

json_t *view_entry(const Duck__DirectoryEntry *entry)
{
    json_t *object = json_object(), *proof = json_object();

    reply_word(object, "duckling_id", entry->duckling);
    reply_text(object, "display_name", borrowed(entry->display_name));
    put_texts(object, "capabilities", entry->capabilities, entry->n_capabilities);
    reply_text(object, "bio", borrowed(entry->bio));
    json_object_set_new(object, "accepts_pecks", json_boolean(entry->accepts_pecks));
    reply_word(object, "host", entry->host);
    json_object_set_new(object, "tier", reply_tier(entry->tier));
    put_words(object, "tier_evidence", entry->tier_evidence, entry->n_tier_evidence);
    put_words(object, "tier_missing", entry->tier_missing, entry->n_tier_missing);
    put_taken_back(object, entry);
    reply_date(object, "seen_at", entry->seen_ms);
    json_object_set_new(object, "host_linked", json_boolean(entry->host_linked));
    reply_word(object, "certificate_id", entry->certificate_id);
    reply_base64(proof, "record", borrowed(entry->record));
    reply_base64(proof, "chain", borrowed(entry->chain));
    json_object_set_new(object, "proof", proof);
    return object;
}

void view_tier(json_t *object, const Duck__DirectoryEntry *entry)
{
    json_object_set_new(object, "tier", reply_tier(entry->tier));
    put_words(object, "evidence", entry->tier_evidence, entry->n_tier_evidence);
    put_words(object, "missing", entry->tier_missing, entry->n_tier_missing);
}

/* ---- certificates ---- */

json_t *view_jwk(const struct public_key *key)
{
    char text[JOSE_JWK_SIZE];

    return json_loads(jose_jwk(key, NULL, text), 0, NULL);
}

static json_t *view_one_certificate(const Duck__CertificateView *certificate)
{
    json_t *object = json_object();
    char did[JOSE_DID_SIZE];
    struct public_key key;

    reply_word(object, "certificate_id", certificate->certificate_id);
    reply_word(object, "kind", certificate->kind);
    reply_number(object, "sequence", certificate->sequence);
    reply_text(object, "display_name", borrowed(certificate->display_name));
    reply_date(object, "issued_at", certificate->issued_ms);
    reply_date(object, "not_after", certificate->not_after_ms);
    if (certificate->public_key.len == sizeof key.bytes) {
        memcpy(key.bytes, certificate->public_key.data, sizeof key.bytes);
        json_object_set_new(object, "jwk", view_jwk(&key));
        reply_word(object, "did", jose_did(&key, did));
    }
    reply_base64(object, "next_key_hash", borrowed(certificate->next_key_hash));
    reply_base64(object, "envelope", borrowed(certificate->envelope));
    return object;
}

json_t *view_context(const Duck__ContextView *context)
{
    json_t *object = json_object();
    char did[JOSE_DID_SIZE];
    struct public_key key;

    reply_word(object, "certificate_id", context->certificate_id);
    reply_word(object, "duckling_id", context->duckling);
    reply_text(object, "context", borrowed(context->context));
    put_texts(object, "scopes", context->scopes, context->n_scopes);
    reply_date(object, "issued_at", context->issued_ms);
    reply_date(object, "not_after", context->not_after_ms);
    reply_date(object, "revoked_at", context->revoked_ms);
    if (context->public_key.len == sizeof key.bytes) {
        memcpy(key.bytes, context->public_key.data, sizeof key.bytes);
        json_object_set_new(object, "jwk", view_jwk(&key));
        reply_word(object, "did", jose_did(&key, did));
    }
    reply_base64(object, "envelope", borrowed(context->envelope));
    return object;
}

json_t *view_own_certificate(const Duck__CertificateAnswer *answer)
{
    json_t *object = view_certificate(answer), *list = json_array();

    for (size_t i = 0; i < answer->n_contexts; i++)
        json_array_append_new(list, view_context(answer->contexts[i]));
    json_object_set_new(object, "contexts", list);
    return object;
}

json_t *view_certificate(const Duck__CertificateAnswer *answer)
{
    json_t *object = json_object(), *list = json_array();
    bool is_duckling = !strncmp(answer->identity, "dkl_", 4);
    const Duck__CertificateView *last =
        answer->n_certificates ? answer->certificates[answer->n_certificates - 1] : NULL;

    reply_word(object, is_duckling ? "duckling_id" : "node_id", answer->identity);
    if (last)
        reply_word(object, "certificate_id", last->certificate_id);
    json_object_set_new(object, "valid", json_boolean(answer->valid));
    reply_word(object, "reason", answer->reason);
    for (size_t i = 0; i < answer->n_certificates; i++)
        json_array_append_new(list, view_one_certificate(answer->certificates[i]));
    json_object_set_new(object, "certificates", list);
    reply_base64(object, "chain", borrowed(answer->chain));
    if (answer->revocation.len > 0) {
        reply_date(object, "revoked_at", answer->revoked_at_ms);
        reply_text(object, "revocation_reason", borrowed(answer->revocation_reason));
        reply_base64(object, "revocation", borrowed(answer->revocation));
    }
    return object;
}
