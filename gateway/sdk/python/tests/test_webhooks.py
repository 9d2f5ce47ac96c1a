"""Webhooks, by the examples of the specification and each of its refusals."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

from nacl.signing import SigningKey
import pytest

from spaceduck import DuckError, VerificationError, _ed25519, webhooks

NOW = 1614265330.0
# The example of the Standard Webhooks specification's libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
HEADERS = {"Webhook-Id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
           "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}
KEY = SigningKey(bytes(range(32)))
PUBLIC = "whpk_" + base64.b64encode(bytes(KEY.verify_key)).decode()


def verify(body: bytes = BODY, key: Any = SECRET, now: float = NOW, **headers: str) -> Any:
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    return webhooks.verify(body, {**HEADERS, **changed}, key, now=now)


def signed_by_key(body: bytes = BODY) -> str:
    signed = b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330." + body
    return "v1a," + base64.b64encode(KEY.sign(signed).signature).decode()


def test_the_specifications_example_holds() -> None:
    assert verify() == {"test": 2432232314}


def test_a_turned_byte_is_refused_wherever_it_is() -> None:
    for change in ({"body": BODY + b" "}, {"webhook_id": "msg_2"},
                   {"webhook_timestamp": "1614265331"}, {"key": "whsec_" + "A" * 32},
                   {"webhook_signature": HEADERS["webhook-signature"].replace("g0", "g1")},
                   {"webhook_signature": "v1,"}, {"webhook_signature": "v1,%%%"},
                   {"webhook_signature": HEADERS["webhook-signature"].replace("v1,", "v2,")}):
        with pytest.raises(VerificationError, match="no signature fits"):
            verify(**change)  # type: ignore[arg-type]


def test_one_signature_of_several_is_enough_while_a_secret_is_replaced() -> None:
    old = HEADERS["webhook-signature"]
    assert verify(webhook_signature=f"v1,AAAA {signed_by_key()} {old}")
    assert verify(key=["whsec_" + "A" * 32, SECRET])


def test_both_ends_of_the_tolerance() -> None:
    assert verify(now=NOW + 300) and verify(now=NOW - 300)
    with pytest.raises(VerificationError, match="too old"):
        verify(now=NOW + 301)
    with pytest.raises(VerificationError, match="in the future"):
        verify(now=NOW - 301)
    for stamp in ("soon", "", "-5", "1e9", "9" * 40):
        with pytest.raises(VerificationError, match="not a number"):
            verify(webhook_timestamp=stamp)


def test_a_public_key_checks_v1a_alone() -> None:
    assert verify(key=PUBLIC, webhook_signature=f"v1,AAAA {signed_by_key()}")
    for signature in (HEADERS["webhook-signature"], signed_by_key(b"other"), "v1a,AAAA"):
        with pytest.raises(VerificationError, match="no signature fits"):
            verify(key=PUBLIC, webhook_signature=signature)


def test_a_missing_header_is_named() -> None:
    with pytest.raises(VerificationError, match="webhook-id"):
        webhooks.verify(BODY, {}, SECRET)


def test_a_body_that_is_no_event_is_refused() -> None:
    mac = hmac.new(base64.b64decode(SECRET[6:]),
                   b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.[]", hashlib.sha256).digest()
    with pytest.raises(VerificationError, match="not a JSON object"):
        verify(b"[]", webhook_signature="v1," + base64.b64encode(mac).decode())


def test_a_key_that_is_none_is_the_callers_fault() -> None:
    with pytest.raises(ValueError):
        verify(key="whsec_%")


def test_without_pynacl_it_is_said_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "nacl", None)
    with pytest.raises(DuckError, match="PyNaCl"):
        _ed25519.verifies(b"", b"", b"")
    assert verify()  # v1 needs nothing
