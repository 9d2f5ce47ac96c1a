"""What the gateway serves, on one page; gateway/openapi.yaml is the reference.

A test holds this table, the parameters of the methods of Duck and that reference against each other."""

from __future__ import annotations

from typing import NamedTuple


class Operation(NamedTuple):
    method: str
    path: str
    has_key: bool = False    # POST that knows an Idempotency-Key, so it may be repeated
    is_acting: bool = False  # `duckling_id` in the query says for which duckling a session acts


OPERATIONS: dict[str, Operation] = {
    "probe": Operation("GET", "/beak/"),
    "reference": Operation("GET", "/openapi.json"),
    "healthz": Operation("GET", "/healthz"),
    "readyz": Operation("GET", "/readyz"),
    "prometheus": Operation("GET", "/metrics"),
    "system_status": Operation("GET", "/beak/system/status"),
    "metrics": Operation("GET", "/beak/metrics"),
    "pageview": Operation("POST", "/beak/pageview"),

    "hatch": Operation("POST", "/beak/hatch", has_key=True),
    "verify": Operation("POST", "/beak/verify", has_key=True),
    "auth": Operation("POST", "/beak/auth"),
    "logout": Operation("POST", "/beak/logout"),
    "forgot": Operation("POST", "/beak/forgot"),
    "reset": Operation("POST", "/beak/reset"),
    "captcha": Operation("GET", "/beak/captcha"),
    "sessions": Operation("GET", "/beak/sessions"),
    "end_session": Operation("DELETE", "/beak/sessions/{id}"),
    "end_other_sessions": Operation("DELETE", "/beak/sessions"),
    "passkey_challenge": Operation("POST", "/beak/passkeys/challenge"),
    "passkeys": Operation("GET", "/beak/passkeys"),
    "add_passkey": Operation("POST", "/beak/passkeys", has_key=True),
    "drop_passkey": Operation("DELETE", "/beak/passkeys/{id}"),
    "subscribe": Operation("POST", "/beak/newsletter/subscribe"),
    "confirm_subscription": Operation("POST", "/beak/newsletter/confirm"),
    "unsubscribe": Operation("POST", "/beak/newsletter/unsubscribe"),
    "export": Operation("GET", "/beak/export"),
    "erase_account": Operation("DELETE", "/beak/account"),
    "rotate": Operation("POST", "/beak/rotate", has_key=True, is_acting=True),
    "spaceducks": Operation("GET", "/beak/spaceducks"),

    "peck": Operation("POST", "/beak/peck", has_key=True, is_acting=True),
    "pecks": Operation("GET", "/beak/pecks", is_acting=True),
    "get_peck": Operation("GET", "/beak/pecks/{id}", is_acting=True),
    "partials": Operation("GET", "/beak/partials/{id}", is_acting=True),
    "take": Operation("GET", "/beak/inbox"),
    "ack": Operation("POST", "/beak/inbox/ack"),
    "answer": Operation("POST", "/beak/answer", is_acting=True),
    "cancel": Operation("POST", "/beak/cancel", is_acting=True),
    "approve": Operation("POST", "/beak/approve", has_key=True, is_acting=True),
    "deny": Operation("POST", "/beak/deny", is_acting=True),
    "unpeck": Operation("POST", "/beak/unpeck", is_acting=True),
    "bonds": Operation("GET", "/beak/bonds", is_acting=True),
    "change_bond": Operation("PATCH", "/beak/bonds/{id}", is_acting=True),

    "grants": Operation("GET", "/beak/grants", is_acting=True),
    "make_grant": Operation("POST", "/beak/grant", has_key=True, is_acting=True),
    "narrow_grant": Operation("POST", "/beak/grant/narrow", has_key=True, is_acting=True),
    "verify_grant": Operation("POST", "/beak/grant/verify"),
    "revoke_grant": Operation("POST", "/beak/grant/revoke", is_acting=True),

    "signatures": Operation("GET", "/beak/signatures", is_acting=True),
    "sign": Operation("POST", "/beak/signatures", is_acting=True),

    "lobsters": Operation("GET", "/beak/lobster", is_acting=True),
    "lobster": Operation("GET", "/beak/lobster/{id}", is_acting=True),
    "begin_lobster": Operation("POST", "/beak/lobster/begin", has_key=True, is_acting=True),
    "confirm_lobster": Operation("POST", "/beak/lobster/confirm", is_acting=True),
    "break_lobster": Operation("POST", "/beak/lobster/break", is_acting=True),

    "directory": Operation("GET", "/beak/directory"),
    "duckling": Operation("GET", "/beak/directory/{id}"),
    "profile": Operation("POST", "/beak/profile", is_acting=True),
    "pulse": Operation("POST", "/beak/pulse", is_acting=True),
    "certificate": Operation("GET", "/beak/certificate", is_acting=True),
    "issue_certificate": Operation("POST", "/beak/certificate", has_key=True, is_acting=True),
    "verify_chain": Operation("POST", "/beak/certificate/verify"),
    "revoke": Operation("POST", "/beak/certificate/revoke", is_acting=True),
    "certificate_of": Operation("GET", "/beak/certificate/{id}"),
    "key_set": Operation("GET", "/.well-known/jwks.json"),

    "events": Operation("GET", "/beak/events", is_acting=True),
    "webhooks": Operation("GET", "/beak/webhooks"),
    "add_webhook": Operation("POST", "/beak/webhooks", has_key=True),
    "webhook": Operation("GET", "/beak/webhooks/{id}"),
    "change_webhook": Operation("PATCH", "/beak/webhooks/{id}"),
    "drop_webhook": Operation("DELETE", "/beak/webhooks/{id}"),
    "test_webhook": Operation("POST", "/beak/webhooks/{id}/test", has_key=True),
    "rotate_webhook_secret": Operation("POST", "/beak/webhooks/{id}/rotate-secret", has_key=True),
    "deliveries": Operation("GET", "/beak/webhooks/{id}/deliveries"),
    "dead_letters": Operation("GET", "/beak/webhooks/{id}/dead"),
    "resend": Operation("POST", "/beak/webhooks/{id}/deliveries/{delivery_id}/resend"),
    "audit": Operation("GET", "/beak/audit", is_acting=True),
}
