"""An authenticator of W3C Web Authentication in software, which also says what none would."""

import base64
import hashlib
import json
import os
import struct

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def text(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def untext(data):
    return base64.urlsafe_b64decode(data + "=" * (-len(data) % 4))


def sha256(data):
    return hashlib.sha256(data).digest()


def cbor(value):
    """As much of RFC 8949 as authenticators need."""
    def head(major, number):
        if number < 24:
            return bytes([major << 5 | number])
        for code, size in ((24, 1), (25, 2), (26, 4)):
            if number < 1 << 8 * size:
                return bytes([major << 5 | code]) + number.to_bytes(size, "big")
        raise ValueError(number)

    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    return head(5, len(value)) + b"".join(cbor(k) + cbor(v) for k, v in value.items())


class Key:
    """One credential; `kind` is its number in COSE."""

    def __init__(self, kind=-7):
        self.kind, self.id, self.counter, self.handle = kind, os.urandom(32), 1, b""
        if kind == -7:
            self.private = ec.generate_private_key(ec.SECP256R1())
        elif kind == -8:
            self.private = ed25519.Ed25519PrivateKey.generate()
        else:
            self.private = rsa.generate_private_key(65537, 2048)

    def cose(self):
        public = self.private.public_key()
        if self.kind == -7:
            numbers = public.public_numbers()
            return {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"),
                    -3: numbers.y.to_bytes(32, "big")}
        if self.kind == -8:
            return {1: 1, 3: -8, -1: 6,
                    -2: public.public_bytes(Encoding.Raw, PublicFormat.Raw)}
        numbers = public.public_numbers()
        return {1: 3, 3: -257, -1: numbers.n.to_bytes(256, "big"), -2: b"\1\0\1"}

    def sign(self, data):
        if self.kind == -7:
            return self.private.sign(data, ec.ECDSA(hashes.SHA256()))
        if self.kind == -8:
            return self.private.sign(data)
        return self.private.sign(data, padding.PKCS1v15(), hashes.SHA256())


def client(challenge, kind, origin, **more):
    return json.dumps({"type": "webauthn." + kind, "challenge": challenge, "origin": origin,
                       "crossOrigin": False, **more}).encode()


def registration(key, challenge, rp, flags=PRESENT | VERIFIED | ATTESTED, kind="create",
                 attest="none", spoil=lambda said: said, **more):
    data = client(challenge, kind, **more)
    auth = (sha256(rp.encode()) + bytes([flags]) + struct.pack(">I", key.counter) + bytes(16)
            + struct.pack(">H", len(key.id)) + key.id + cbor(key.cose()))
    statement = {}
    if attest.startswith("packed"):
        signed = auth + sha256(data if attest == "packed" else b"another")
        statement = {"alg": key.kind, "sig": key.sign(signed)}
        attest = "packed"
    said = spoil({"fmt": attest, "attStmt": statement, "authData": auth})
    return {"id": text(key.id), "rawId": text(key.id), "type": "public-key",
            "response": {"clientDataJSON": text(data), "attestationObject":
                         text(said if isinstance(said, bytes) else cbor(said))}}


def assertion(key, challenge, rp, flags=PRESENT | VERIFIED, kind="get", counts=1, signed=None,
              handle=None, **more):
    data = client(challenge, kind, **more)
    key.counter += counts
    auth = sha256(rp.encode()) + bytes([flags]) + struct.pack(">I", key.counter)
    response = {"clientDataJSON": text(data), "authenticatorData": text(auth),
                "signature": text(key.sign(signed or auth + sha256(data)))}
    handle = key.handle if handle is None else handle
    if handle:
        response["userHandle"] = text(handle)
    return {"id": text(key.id), "type": "public-key", "response": response}
