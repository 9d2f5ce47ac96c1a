"""Ed25519 by PyNaCl: Python's standard library has none."""

from __future__ import annotations

from types import ModuleType

from .errors import DuckError


def _sodium() -> ModuleType:
    try:
        from nacl import bindings
    except ImportError:
        raise DuckError("Ed25519 needs PyNaCl: pip install 'spaceduck[proof]', "
                        "or Debian's python3-nacl") from None
    return bindings


def is_prime_order(point: bytes) -> bool:
    """As the network asks of keys and of R, so that all who check agree (lib/core/identity.h)."""
    return len(point) == 32 and bool(_sodium().crypto_core_ed25519_is_valid_point(point))


def verifies(public_key: bytes, signature: bytes, message: bytes) -> bool:
    sodium = _sodium()
    from nacl.exceptions import BadSignatureError

    if len(public_key) != 32 or len(signature) != 64:
        return False
    try:
        sodium.crypto_sign_open(signature + message, public_key)
    except BadSignatureError:
        return False
    return True


def public_of(seed: bytes) -> bytes:
    return bytes(_sodium().crypto_sign_seed_keypair(seed)[0])


def sign(seed: bytes, message: bytes) -> bytes:
    sodium = _sodium()
    return bytes(sodium.crypto_sign(message, sodium.crypto_sign_seed_keypair(seed)[1])[:64])
