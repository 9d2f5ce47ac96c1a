/* routes: what is served, on one page.
 *
 * Before a handler runs, all of this holds: the request is one (guard), the caller is whom the
 * route serves, the body is a JSON object (or there is none), and neither it nor the query has a
 * member that the row does not name. */
#ifndef DUCK_GATE_ROUTES_H
#define DUCK_GATE_ROUTES_H

#include "core/bytes.h"

struct exchange;

enum route_who {
    ROUTE_ALL,      /* a bearer is not even looked at */
    ROUTE_EITHER,   /* all; a bearer changes what happens */
    ROUTE_BEARER,   /* a session token or a beak key */
    ROUTE_BEAK_KEY, /* a duckling itself */
};

/* How calls are counted and limited together. */
enum route_class {
    ROUTE_UNCOUNTED,
    ROUTE_AUTH,
    ROUTE_PECK,
    ROUTE_CERT,
    ROUTE_AUDIT,
    ROUTE_DIRECTORY,
};

enum route_trait {
    ROUTE_PLAIN,
    ROUTE_QUIET,   /* asked by machines all day: logged at debug level while all is well */
    ROUTE_NO_HEAD, /* GET changes something, so HEAD must not run it */
    ROUTE_CREATES, /* its answer is kept under the Idempotency-Key of the request, if it has one */
    ROUTE_NODE_CREATES, /* the same, but it is the node that knows the key again: for days, on disk */
};

struct route {
    const char *method;
    const char *path; /* a part of "{…}", at most two, stands for any [a-z0-9_]+ */
    enum route_who who;
    enum route_class class;
    void (*handle)(struct exchange *exchange);
    const char *members; /* of the body, separated by blanks; NULL: takes no body */
    const char *query;   /* the same, of the query; NULL: takes none */
    enum route_trait trait;
};

enum route_verdict {
    ROUTE_FOUND,
    ROUTE_NO_SUCH_PATH,
    ROUTE_OTHER_METHOD, /* see `allow` */
    ROUTE_OPTIONS,      /* OPTIONS of a path that is served, or of "*" */
};

struct route_match {
    const struct route *route;
    struct bytes id; /* what "{id}" stands for */
    struct bytes second_id; /* the same, where a path has two */
    char allow[64];  /* "GET, HEAD, OPTIONS" */
};

/* `path` without its query. */
enum route_verdict routes_find(const char *method, const char *path, struct route_match *match);

/* All rows, for whoever describes them. */
const struct route *routes_all(size_t *count);

/* Is `name` one of the words in `names` (NULL: none)? */
bool route_names(const char *names, struct bytes name);

/* ---- handlers, by file ---- */
void route_probe(struct exchange *exchange); /* route_status.c */
void route_metrics(struct exchange *exchange);
void route_prometheus(struct exchange *exchange);
void route_pageview(struct exchange *exchange);
void route_system_status(struct exchange *exchange);
void route_healthz(struct exchange *exchange);
void route_readyz(struct exchange *exchange);
void route_page(struct exchange *exchange);

void route_hatch(struct exchange *exchange); /* route_hatch.c */
void route_verify(struct exchange *exchange);
void route_auth(struct exchange *exchange); /* route_sessions.c */
void route_logout(struct exchange *exchange);
void route_forgot(struct exchange *exchange);
void route_reset(struct exchange *exchange);
void route_sessions(struct exchange *exchange);
void route_sessions_end(struct exchange *exchange);
void route_session_end(struct exchange *exchange);
void route_passkey_challenge(struct exchange *exchange); /* route_passkeys.c */
void route_passkeys(struct exchange *exchange);
void route_passkey_add(struct exchange *exchange);
void route_passkey_drop(struct exchange *exchange);
void route_subscribe(struct exchange *exchange); /* route_newsletter.c */
void route_confirm(struct exchange *exchange);
void route_unsubscribe(struct exchange *exchange);
void route_captcha(struct exchange *exchange);
void route_export(struct exchange *exchange); /* route_privacy.c */
void route_erase(struct exchange *exchange);
void route_rotate(struct exchange *exchange); /* route_accounts.c */
void route_spaceducks(struct exchange *exchange);

void route_peck(struct exchange *exchange); /* route_pecks.c */
void route_pecks(struct exchange *exchange);
void route_peck_get(struct exchange *exchange);
void route_inbox(struct exchange *exchange);
void route_ack(struct exchange *exchange);
void route_answer(struct exchange *exchange);
void route_partials(struct exchange *exchange); /* route_partials.c */
void route_cancel(struct exchange *exchange);

void route_approve(struct exchange *exchange); /* route_bonds.c */
void route_deny(struct exchange *exchange);
void route_unpeck(struct exchange *exchange);
void route_bonds(struct exchange *exchange);
void route_bond_patch(struct exchange *exchange); /* route_terms.c */

void route_grants(struct exchange *exchange); /* route_grants.c */
void route_grant_make(struct exchange *exchange);
void route_grant_narrow(struct exchange *exchange);
void route_grant_verify(struct exchange *exchange);
void route_grant_revoke(struct exchange *exchange);

void route_signatures(struct exchange *exchange); /* route_signatures.c */
void route_sign(struct exchange *exchange);

void route_lobsters(struct exchange *exchange); /* route_lobster.c */
void route_lobster_get(struct exchange *exchange);
void route_lobster_begin(struct exchange *exchange);
void route_lobster_confirm(struct exchange *exchange);
void route_lobster_break(struct exchange *exchange);

void route_events(struct exchange *exchange); /* route_events.c */

void route_webhooks(struct exchange *exchange); /* route_webhooks.c */
void route_webhook_add(struct exchange *exchange);
void route_webhook_get(struct exchange *exchange);
void route_webhook_patch(struct exchange *exchange);
void route_webhook_drop(struct exchange *exchange);
void route_webhook_test(struct exchange *exchange);
void route_webhook_rotate(struct exchange *exchange);

void route_deliveries(struct exchange *exchange); /* route_deliveries.c */
void route_dead(struct exchange *exchange);
void route_delivery_resend(struct exchange *exchange);

void route_audit(struct exchange *exchange); /* route_audit.c */

void route_directory(struct exchange *exchange); /* route_directory.c */
void route_directory_get(struct exchange *exchange);
void route_profile(struct exchange *exchange);
void route_pulse(struct exchange *exchange);
void route_certificate(struct exchange *exchange);
void route_key_set(struct exchange *exchange); /* exports.c */
void route_certificate_verify(struct exchange *exchange); /* route_certificates.c */
void route_certificate_issue(struct exchange *exchange);
void route_certificate_revoke(struct exchange *exchange);
void route_certificate_get(struct exchange *exchange);

#endif
