#include "routes.h"

#include <stdio.h>

static const struct route routes[] = {
    /* method, path, who, class, handler, members of the body, of the query, trait */
    {"GET", "/beak/", ROUTE_ALL, ROUTE_UNCOUNTED, route_probe, NULL, NULL, ROUTE_QUIET},
    {"GET", "/beak", ROUTE_ALL, ROUTE_UNCOUNTED, route_probe, NULL, NULL, ROUTE_QUIET},
    {"GET", "/healthz", ROUTE_ALL, ROUTE_UNCOUNTED, route_healthz, NULL, NULL, ROUTE_QUIET},
    {"GET", "/readyz", ROUTE_ALL, ROUTE_UNCOUNTED, route_readyz, NULL, NULL, ROUTE_QUIET},
    {"GET", "/metrics", ROUTE_ALL, ROUTE_UNCOUNTED, route_prometheus, NULL, NULL, ROUTE_QUIET},
    {"GET", "/beak/system/status", ROUTE_ALL, ROUTE_UNCOUNTED, route_system_status, NULL, NULL,
     ROUTE_QUIET},
    {"GET", "/openapi.json", ROUTE_ALL, ROUTE_UNCOUNTED, route_page, NULL, NULL, ROUTE_PLAIN},
#if DUCK_DOCS
    {"GET", "/docs", ROUTE_ALL, ROUTE_UNCOUNTED, route_page, NULL, NULL, ROUTE_PLAIN},
    {"GET", "/docs/rapidoc.js", ROUTE_ALL, ROUTE_UNCOUNTED, route_page, NULL, NULL, ROUTE_PLAIN},
    {"GET", "/docs/licences", ROUTE_ALL, ROUTE_UNCOUNTED, route_page, NULL, NULL, ROUTE_PLAIN},
#endif
    {"GET", "/passkeys", ROUTE_ALL, ROUTE_UNCOUNTED, route_page, NULL, NULL, ROUTE_PLAIN},
    {"GET", "/passkeys.js", ROUTE_ALL, ROUTE_UNCOUNTED, route_page, NULL, NULL, ROUTE_PLAIN},
    {"GET", "/passkeys_page.js", ROUTE_ALL, ROUTE_UNCOUNTED, route_page, NULL, NULL, ROUTE_PLAIN},
    {"GET", "/pow.js", ROUTE_ALL, ROUTE_UNCOUNTED, route_page, NULL, NULL, ROUTE_PLAIN},
    {"GET", "/beak/metrics", ROUTE_ALL, ROUTE_AUDIT, route_metrics, NULL, NULL, ROUTE_QUIET},
    {"POST", "/beak/pageview", ROUTE_ALL, ROUTE_AUDIT, route_pageview, "page referrer", NULL,
     ROUTE_PLAIN},

    {"POST", "/beak/hatch", ROUTE_EITHER, ROUTE_AUTH, route_hatch,
     "email display_name password captcha_token public_key proof", NULL, ROUTE_CREATES},
    {"POST", "/beak/verify", ROUTE_ALL, ROUTE_AUTH, route_verify, "email code password", NULL,
     ROUTE_CREATES},
    {"POST", "/beak/auth", ROUTE_ALL, ROUTE_AUTH, route_auth,
     "email password captcha_token passkey", NULL, ROUTE_PLAIN},
    {"POST", "/beak/logout", ROUTE_BEARER, ROUTE_UNCOUNTED, route_logout, "", NULL, ROUTE_PLAIN},
    {"POST", "/beak/forgot", ROUTE_ALL, ROUTE_AUTH, route_forgot, "email captcha_token", NULL,
     ROUTE_PLAIN},
    {"POST", "/beak/reset", ROUTE_ALL, ROUTE_AUTH, route_reset, "email code password", NULL,
     ROUTE_PLAIN},
    {"GET", "/beak/captcha", ROUTE_ALL, ROUTE_UNCOUNTED, route_captcha, NULL, NULL, ROUTE_PLAIN},
    {"GET", "/beak/sessions", ROUTE_BEARER, ROUTE_UNCOUNTED, route_sessions, NULL, NULL,
     ROUTE_PLAIN},
    {"DELETE", "/beak/sessions", ROUTE_BEARER, ROUTE_UNCOUNTED, route_sessions_end, NULL, NULL,
     ROUTE_PLAIN},
    {"DELETE", "/beak/sessions/{id}", ROUTE_BEARER, ROUTE_UNCOUNTED, route_session_end, NULL, NULL,
     ROUTE_PLAIN},
    {"POST", "/beak/passkeys/challenge", ROUTE_EITHER, ROUTE_UNCOUNTED, route_passkey_challenge, "",
     NULL, ROUTE_PLAIN},
    {"GET", "/beak/passkeys", ROUTE_BEARER, ROUTE_UNCOUNTED, route_passkeys, NULL, NULL,
     ROUTE_PLAIN},
    {"POST", "/beak/passkeys", ROUTE_BEARER, ROUTE_AUTH, route_passkey_add, "name passkey", NULL,
     ROUTE_CREATES},
    {"DELETE", "/beak/passkeys/{id}", ROUTE_BEARER, ROUTE_UNCOUNTED, route_passkey_drop, NULL, NULL,
     ROUTE_PLAIN},
    {"POST", "/beak/newsletter/subscribe", ROUTE_ALL, ROUTE_AUTH, route_subscribe,
     "email captcha_token", NULL, ROUTE_PLAIN},
    {"POST", "/beak/newsletter/confirm", ROUTE_ALL, ROUTE_AUTH, route_confirm, "email code", NULL,
     ROUTE_PLAIN},
    {"POST", "/beak/newsletter/unsubscribe", ROUTE_ALL, ROUTE_AUTH, route_unsubscribe,
     "email token", NULL, ROUTE_PLAIN},
    {"GET", "/beak/export", ROUTE_BEARER, ROUTE_AUDIT, route_export, NULL, NULL, ROUTE_PLAIN},
    {"DELETE", "/beak/account", ROUTE_BEARER, ROUTE_UNCOUNTED, route_erase, NULL, NULL,
     ROUTE_PLAIN},
    {"POST", "/beak/rotate", ROUTE_BEARER, ROUTE_CERT, route_rotate, "what chain duckling_id",
     "duckling_id", ROUTE_CREATES},
    {"GET", "/beak/spaceducks", ROUTE_BEARER, ROUTE_DIRECTORY, route_spaceducks, NULL,
     "limit cursor", ROUTE_PLAIN},

    {"POST", "/beak/peck", ROUTE_BEARER, ROUTE_PECK, route_peck,
     "target action payload target_duckling_id peck_type scopes message thread reply_to "
     "expires_in wait duckling_id grant context signed",
     "duckling_id", ROUTE_NODE_CREATES},
    {"GET", "/beak/pecks", ROUTE_BEARER, ROUTE_UNCOUNTED, route_pecks, NULL,
     "box state with thread after limit cursor duckling_id", ROUTE_PLAIN},
    {"GET", "/beak/pecks/{id}", ROUTE_BEARER, ROUTE_UNCOUNTED, route_peck_get, NULL,
     "wait duckling_id", ROUTE_PLAIN},
    {"GET", "/beak/partials/{id}", ROUTE_BEARER, ROUTE_UNCOUNTED, route_partials, NULL,
     "after limit wait duckling_id", ROUTE_PLAIN},
    {"GET", "/beak/inbox", ROUTE_BEAK_KEY, ROUTE_UNCOUNTED, route_inbox, NULL, "wait limit lease",
     ROUTE_NO_HEAD},
    {"POST", "/beak/inbox/ack", ROUTE_BEAK_KEY, ROUTE_UNCOUNTED, route_ack, "peck_id peck_ids",
     NULL, ROUTE_PLAIN},
    {"POST", "/beak/answer", ROUTE_BEARER, ROUTE_UNCOUNTED, route_answer,
     "peck_id result partial number problem charge duckling_id", "duckling_id", ROUTE_PLAIN},
    {"POST", "/beak/cancel", ROUTE_BEARER, ROUTE_PECK, route_cancel, "peck_id duckling_id",
     "duckling_id", ROUTE_PLAIN},
    {"POST", "/beak/approve", ROUTE_BEARER, ROUTE_PECK, route_approve,
     "peck_id scopes limits not_after duckling_id", "duckling_id", ROUTE_CREATES},
    {"POST", "/beak/deny", ROUTE_BEARER, ROUTE_PECK, route_deny, "peck_id reason duckling_id",
     "duckling_id", ROUTE_PLAIN},
    /* Here `duckling_id` in the body is the other end; a session names its own in the query. */
    {"POST", "/beak/unpeck", ROUTE_BEARER, ROUTE_PECK, route_unpeck, "bond_id duckling_id peck_id",
     "duckling_id", ROUTE_PLAIN},
    {"GET", "/beak/bonds", ROUTE_BEARER, ROUTE_UNCOUNTED, route_bonds, NULL, "duckling_id",
     ROUTE_PLAIN},

    {"PATCH", "/beak/bonds/{id}", ROUTE_BEARER, ROUTE_PECK, route_bond_patch,
     "limits scopes not_after muted muted_until duckling_id", "duckling_id", ROUTE_PLAIN},

    {"GET", "/beak/grants", ROUTE_BEARER, ROUTE_UNCOUNTED, route_grants, NULL,
     "duckling_id limit cursor", ROUTE_PLAIN},
    {"POST", "/beak/grant", ROUTE_BEARER, ROUTE_PECK, route_grant_make,
     "holder scopes uses further not_after duckling_id", "duckling_id", ROUTE_CREATES},
    {"POST", "/beak/grant/narrow", ROUTE_BEARER, ROUTE_PECK, route_grant_narrow,
     "grant holder scopes uses further not_after duckling_id", "duckling_id", ROUTE_CREATES},
    {"POST", "/beak/grant/verify", ROUTE_ALL, ROUTE_CERT, route_grant_verify,
     "grant from to action at", NULL, ROUTE_PLAIN},
    {"POST", "/beak/grant/revoke", ROUTE_BEARER, ROUTE_PECK, route_grant_revoke,
     "grant block_id duckling_id", "duckling_id", ROUTE_PLAIN},

    {"GET", "/beak/signatures", ROUTE_BEARER, ROUTE_UNCOUNTED, route_signatures, NULL,
     "after wait duckling_id", ROUTE_PLAIN},
    {"POST", "/beak/signatures", ROUTE_BEARER, ROUTE_UNCOUNTED, route_sign,
     "id signature duckling_id", "duckling_id", ROUTE_PLAIN},

    {"GET", "/beak/lobster", ROUTE_BEARER, ROUTE_UNCOUNTED, route_lobsters, NULL, "duckling_id",
     ROUTE_PLAIN},
    {"POST", "/beak/lobster/begin", ROUTE_BEARER, ROUTE_PECK, route_lobster_begin,
     "with lease duckling_id", "duckling_id", ROUTE_CREATES},
    {"POST", "/beak/lobster/confirm", ROUTE_BEARER, ROUTE_PECK, route_lobster_confirm,
     "with string duckling_id", "duckling_id", ROUTE_PLAIN},
    {"POST", "/beak/lobster/break", ROUTE_BEARER, ROUTE_PECK, route_lobster_break,
     "with duckling_id", "duckling_id", ROUTE_PLAIN},
    {"GET", "/beak/lobster/{id}", ROUTE_BEARER, ROUTE_UNCOUNTED, route_lobster_get, NULL,
     "duckling_id", ROUTE_PLAIN},

    {"GET", "/beak/events", ROUTE_BEARER, ROUTE_UNCOUNTED, route_events, NULL,
     "events after duckling_id", ROUTE_NO_HEAD},
    {"GET", "/beak/webhooks", ROUTE_BEARER, ROUTE_UNCOUNTED, route_webhooks, NULL, NULL,
     ROUTE_PLAIN},
    {"POST", "/beak/webhooks", ROUTE_BEARER, ROUTE_UNCOUNTED, route_webhook_add,
     "url events filter enabled", NULL, ROUTE_CREATES},
    {"GET", "/beak/webhooks/{id}", ROUTE_BEARER, ROUTE_UNCOUNTED, route_webhook_get, NULL, NULL,
     ROUTE_PLAIN},
    {"PATCH", "/beak/webhooks/{id}", ROUTE_BEARER, ROUTE_UNCOUNTED, route_webhook_patch,
     "url events filter enabled", NULL, ROUTE_PLAIN},
    {"DELETE", "/beak/webhooks/{id}", ROUTE_BEARER, ROUTE_UNCOUNTED, route_webhook_drop, NULL, NULL,
     ROUTE_PLAIN},
    {"POST", "/beak/webhooks/{id}/test", ROUTE_BEARER, ROUTE_UNCOUNTED, route_webhook_test, "event",
     NULL, ROUTE_CREATES},
    {"POST", "/beak/webhooks/{id}/rotate-secret", ROUTE_BEARER, ROUTE_UNCOUNTED,
     route_webhook_rotate, "overlap", NULL, ROUTE_CREATES},
    {"GET", "/beak/webhooks/{id}/deliveries", ROUTE_BEARER, ROUTE_UNCOUNTED, route_deliveries, NULL,
     "state limit cursor", ROUTE_PLAIN},
    {"GET", "/beak/webhooks/{id}/dead", ROUTE_BEARER, ROUTE_UNCOUNTED, route_dead, NULL,
     "limit cursor", ROUTE_PLAIN},
    {"POST", "/beak/webhooks/{id}/deliveries/{delivery_id}/resend", ROUTE_BEARER, ROUTE_UNCOUNTED,
     route_delivery_resend, "", NULL, ROUTE_PLAIN},
    {"GET", "/beak/audit", ROUTE_BEARER, ROUTE_AUDIT, route_audit, NULL,
     "kind subject since until format limit cursor duckling_id", ROUTE_PLAIN},

    {"GET", "/beak/directory", ROUTE_ALL, ROUTE_DIRECTORY, route_directory, NULL,
     "capability q tier_min alive_within host limit cursor", ROUTE_PLAIN},
    {"GET", "/beak/directory/{id}", ROUTE_ALL, ROUTE_DIRECTORY, route_directory_get, NULL, NULL,
     ROUTE_PLAIN},
    {"POST", "/beak/profile", ROUTE_BEARER, ROUTE_UNCOUNTED, route_profile,
     "display_name bio capabilities accepts_pecks duckling_id", "duckling_id", ROUTE_PLAIN},
    {"POST", "/beak/pulse", ROUTE_BEARER, ROUTE_UNCOUNTED, route_pulse, "duckling_id",
     "duckling_id", ROUTE_PLAIN},
    {"GET", "/beak/certificate", ROUTE_BEARER, ROUTE_CERT, route_certificate, NULL,
     "format duckling_id", ROUTE_PLAIN},
    {"POST", "/beak/certificate", ROUTE_BEARER, ROUTE_CERT, route_certificate_issue,
     "context scopes not_after duckling_id", "duckling_id", ROUTE_CREATES},
    {"POST", "/beak/certificate/verify", ROUTE_ALL, ROUTE_CERT, route_certificate_verify,
     "chain jws id revocation at did", NULL, ROUTE_PLAIN},
    {"POST", "/beak/certificate/revoke", ROUTE_BEARER, ROUTE_CERT, route_certificate_revoke,
     "reason certificate_id duckling_id", "duckling_id", ROUTE_PLAIN},
    {"GET", "/beak/certificate/{id}", ROUTE_ALL, ROUTE_CERT, route_certificate_get, NULL, "format",
     ROUTE_PLAIN},
    {"GET", "/.well-known/jwks.json", ROUTE_ALL, ROUTE_CERT, route_key_set, NULL, NULL,
     ROUTE_PLAIN},
};

#define ROUTE_COUNT (sizeof routes / sizeof routes[0])

const struct route *routes_all(size_t *count)
{
    *count = ROUTE_COUNT;
    return routes;
}

static size_t id_size(const char *text)
{
    const char *at = text;

    while ((*at >= 'a' && *at <= 'z') || (*at >= '0' && *at <= '9') || *at == '_')
        at++;
    return (size_t)(at - text);
}

/* Part by part: a hole takes an id, all else stands for itself. */
static bool path_matches(const char *pattern, const char *path, struct route_match *match)
{
    struct bytes ids[2] = {{NULL, 0}, {NULL, 0}};
    size_t count = 0;

    while (*pattern) {
        const char *hole = strchr(pattern, '{');
        size_t size = hole ? (size_t)(hole - pattern) : strlen(pattern);

        if (strncmp(pattern, path, size))
            return false;
        pattern += size;
        path += size;
        if (!hole)
            break;
        ids[count] = bytes_of(path, id_size(path));
        if (ids[count].size == 0)
            return false;
        path += ids[count++].size;
        pattern = strchr(pattern, '}') + 1;
    }
    if (*path)
        return false;
    match->id = ids[0];
    match->second_id = ids[1];
    return true;
}

static bool method_matches(const struct route *route, const char *method)
{
    return !strcmp(route->method, method) ||
           (!strcmp(method, "HEAD") && !strcmp(route->method, "GET") &&
            route->trait != ROUTE_NO_HEAD);
}

static void allow(struct route_match *match, const struct route *route)
{
    size_t size = strlen(match->allow);
    bool has_head = !strcmp(route->method, "GET") && route->trait != ROUTE_NO_HEAD;

    snprintf(match->allow + size, sizeof match->allow - size, "%s, %s", route->method,
             has_head ? "HEAD, " : "");
}

/* A path that stands in the table is not also the id in another: /beak/passkeys/challenge. */
static bool is_exact(const char *path)
{
    for (size_t i = 0; i < ROUTE_COUNT; i++)
        if (!strcmp(routes[i].path, path))
            return true;
    return false;
}

enum route_verdict routes_find(const char *method, const char *path, struct route_match *match)
{
    bool is_known = !strcmp(path, "*"), exactly = is_exact(path);
    size_t size;

    *match = (struct route_match){.allow = ""};
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        if (exactly ? strcmp(routes[i].path, path) != 0
                    : !path_matches(routes[i].path, path, match))
            continue;
        if (method_matches(&routes[i], method)) {
            match->route = &routes[i];
            return ROUTE_FOUND;
        }
        is_known = true;
        allow(match, &routes[i]);
    }
    if (!is_known)
        return ROUTE_NO_SUCH_PATH;
    size = strlen(match->allow);
    snprintf(match->allow + size, sizeof match->allow - size, "%s",
             size ? "OPTIONS" : "GET, HEAD, POST, PATCH, DELETE, OPTIONS");
    return !strcmp(method, "OPTIONS") ? ROUTE_OPTIONS : ROUTE_OTHER_METHOD;
}

bool route_names(const char *names, struct bytes name)
{
    const char *at = names ? names : "";

    while (*at) {
        size_t size = strcspn(at, " ");

        if (bytes_equal(bytes_of(at, size), name))
            return true;
        at += size;
        at += strspn(at, " ");
    }
    return false;
}
