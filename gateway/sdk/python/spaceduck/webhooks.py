"""Is a webhook from one's own gateway, and fresh? Standard Webhooks 1.0, `v1` and `v1a`.

    event = spaceduck.webhooks.verify(body, headers, "whsec_…")

A receiver also remembers ids (`webhook-id`): a delivery whose answer was lost comes again under the
same one."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
import hashlib
import hmac
import json
import time
from typing import Any

from . import _ed25519
from .errors import VerificationError

TOLERANCE_S = 300.0  # of the timestamp, both ways

SECRET_PREFIX = "whsec_"      # v1: HMAC-SHA256
PUBLIC_KEY_PREFIX = "whpk_"   # v1a: Ed25519; needs PyNaCl


def verify(body: bytes, headers: Mapping[str, str], key: str | Iterable[str], *,
           tolerance: float = TOLERANCE_S, now: float | None = None) -> dict[str, Any]:
    """The event, or VerificationError. `body`: the bytes as they came. `key`: what the registration
    showed, or several, while a secret is being replaced: one that fits is enough."""
    found = {name.lower(): value for name, value in headers.items()}
    try:
        id, stamp, signatures = (found["webhook-" + name]
                                 for name in ("id", "timestamp", "signature"))
    except KeyError as missing:
        raise VerificationError(f"there is no header {missing.args[0]}") from None
    _check_time(stamp, tolerance, time.time() if now is None else now)
    signed = f"{id}.{stamp}.".encode() + body
    keys = [key] if isinstance(key, str) else list(key)
    if not any([_holds(each, signed, signatures) for each in keys]):
        raise VerificationError("no signature fits")
    try:
        event = json.loads(body)
    except ValueError:
        event = None
    if not isinstance(event, dict):
        raise VerificationError("the body is not a JSON object")
    return event


def _check_time(stamp: str, tolerance: float, now: float) -> None:
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        raise VerificationError("webhook-timestamp is not a number of seconds")
    if abs(now - int(stamp)) > tolerance:
        raise VerificationError("webhook-timestamp is too old" if int(stamp) < now
                                else "webhook-timestamp is in the future")


def _holds(key: str, signed: bytes, signatures: str) -> bool:
    version, check = _checker(key, signed)
    sent = [_bytes_of(text) for name, _, text in
            (each.partition(",") for each in signatures.split(" ")) if name == version]
    return any([check(each) for each in sent])


def _checker(key: str, signed: bytes) -> tuple[str, Callable[[bytes], bool]]:
    if key.startswith(PUBLIC_KEY_PREFIX):
        public = _bytes_of(key.removeprefix(PUBLIC_KEY_PREFIX))
        return "v1a", lambda signature: _ed25519.verifies(public, signature, signed)
    secret = _bytes_of(key.removeprefix(SECRET_PREFIX))
    if not secret:
        raise ValueError("a key is like whsec_… or whpk_…")
    wanted = hmac.new(secret, signed, hashlib.sha256).digest()
    return "v1", lambda signature: hmac.compare_digest(signature, wanted)


def _bytes_of(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
