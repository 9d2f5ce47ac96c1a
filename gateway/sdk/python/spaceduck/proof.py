"""Receipts and certificates prove themselves: no gateway, no node, no key. Needs PyNaCl.

    receipt = spaceduck.proof.verify_receipt(duck.get_peck(peck_id)["receipts"][-1])
    receipt["state"], receipt["signer"], receipt["peck_id"]

What is signed, and how things hang together, is said in proto/envelope.proto, certificate.proto and
receipt.proto of ducknode."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
import hashlib
import json
from typing import Any, NamedTuple

from . import _ed25519
from .errors import VerificationError

KINDS = {1: "node", 2: "duckling", 3: "operator"}
RECEIPT_KINDS = {1: "taken", 2: "done", 3: "partial"}
STATES = {3: "taken", 4: "pending", 5: "approved", 6: "denied", 7: "answered", 8: "failed",
          9: "expired", 10: "cancelled"}
PREFIXES = {"node": "nod_", "duckling": "dkl_", "operator": "opr_"}
CHAIN_MAX, ENVELOPE_MAX, BATCH_MAX = 64 * 1024, 266 * 1024, 256


def verify_receipt(receipt: Mapping[str, Any], *, peck_id: str | None = None) -> dict[str, Any]:
    """What a receipt says (kind, state, peck_id, from, to, signer, at_ms, result or problem), or
    VerificationError. `receipt`: an item of `receipts`. With `peck_id` it must be that peck's."""
    chain = Chain(_decoded(receipt, "chain"))
    envelope = Envelope(_decoded(receipt, "envelope"), "duck/receipt/1")
    body = _fields(envelope.body)
    kind = RECEIPT_KINDS.get(_number(body, 5), "")
    said: dict[str, Any] = {
        "kind": kind, "state": STATES.get(_number(body, 6), ""),
        "peck_id": _id("pck_", _bytes(body, 2, 32)[:20]), "from": _id("dkl_", _bytes(body, 3, 20)),
        "to": _id("dkl_", _bytes(body, 4, 20)), "signer": chain.id, "at_ms": _number(body, 9),
    }
    _must(bool(kind) and bool(said["state"]), "the receipt says a state that its kind cannot say")
    chain.check(envelope, said["at_ms"])
    if kind == "taken":
        _must(chain.kind == "node", "a taken receipt that no node signed")
    else:
        _must(chain.id == said["to"], "a receipt for an answer that the target did not sign")
    _must(peck_id in (None, said["peck_id"]), "the receipt is of another peck")
    if 7 in body:
        said["result"] = _json(_bytes(body, 7))
    if 8 in body:
        said["problem"] = _bytes(body, 8).decode("utf-8", "replace")
    return said


def verify_certificate(answer: Mapping[str, Any], *, at_ms: int) -> dict[str, Any]:
    """Whose chain it is (id, kind, display_name) and which key speaks for it at that time (Unix
    milliseconds), or VerificationError. `answer`: of `certificate`, or anything with `chain`."""
    chain = Chain(_decoded(answer, "chain"))
    certificate = chain.at(at_ms)
    return {"id": chain.id, "kind": chain.kind, "display_name": certificate.display_name,
            "public_key": certificate.public_key, "certificates": len(chain.certificates)}


class Certificate(NamedTuple):
    hash: bytes
    kind: str
    public_key: bytes
    next_key_hash: bytes
    display_name: str
    context: bytes
    issued_ms: int
    not_after_ms: int


class Envelope:
    """The outer form of what is signed; proto/envelope.proto."""

    def __init__(self, wire: bytes, type: str) -> None:
        _must(len(wire) <= ENVELOPE_MAX, "the envelope is too large")
        fields = _fields(wire)
        _must(fields.keys() <= {1, 2, 3, 4, 5}, "the envelope has fields that are not known")
        _must(_bytes(fields, 2) == type.encode(), "signed as something else")
        self.signer, self.body = _bytes(fields, 1, 20), _bytes(fields, 3)
        self.signature, self.hash = _bytes(fields, 4, 64), _hash(_to_sign(type, self.body))
        self.signed = _to_sign(type, self.body)
        if 5 in fields:
            self.signed = _to_sign("duck/batch/1", _batch_body(_bytes(fields, 5), self.hash))

    def is_signed_by(self, key: bytes) -> bool:
        return (_ed25519.is_prime_order(self.signature[:32])
                and _ed25519.verifies(key, self.signature, self.signed))


class Chain:
    """All certificates of one identity; each is signed by the key that it names, and names the hash
    of the next one's key. proto/certificate.proto."""

    def __init__(self, wire: bytes) -> None:
        _must(len(wire) <= CHAIN_MAX, "there are more certificates than a chain may have")
        items = _values(wire, 1)
        _must(len(items) > 0, "there is no certificate")
        self.certificates: list[Certificate] = []
        self.identity = b""
        for sequence, item in enumerate(items):
            self._append(Envelope(item, "duck/certificate/1"), sequence)
        self.kind = self.certificates[0].kind
        self.id = _id(PREFIXES[self.kind], self.identity)

    def _append(self, envelope: Envelope, sequence: int) -> None:
        body = _fields(envelope.body)
        certificate = Certificate(
            envelope.hash, KINDS.get(_number(body, 1), ""), _bytes(body, 3, 32),
            _bytes(body, 4, 32), _bytes(body, 5).decode("utf-8", "replace"), _bytes(body, 6),
            _number(body, 8), _number(body, 9))
        _must(bool(certificate.kind), "a certificate is of no kind that is known")
        _must(_number(body, 10) == sequence, "the certificates are not in sequence")
        _must(0 < certificate.issued_ms < certificate.not_after_ms,
              "a certificate ends before it begins")
        if sequence == 0:
            _must(2 not in body and 11 not in body, "the first certificate names one before it")
            self.identity = envelope.hash[:20]
        else:
            before, first = self.certificates[-1], self.certificates[0]
            _must((certificate.kind, certificate.context, _bytes(body, 2))
                  == (first.kind, first.context, self.identity),
                  "a certificate is of another identity")
            _must(_bytes(body, 11) == before.hash, "a certificate does not name the one before it")
            _must(_hash(certificate.public_key) == before.next_key_hash,
                  "a certificate's key is not the one that was committed to")
            _must(certificate.issued_ms >= before.issued_ms, "a certificate goes back in time")
        _must(envelope.signer == self.identity, "a certificate's envelope names another signer")
        _must(_ed25519.is_prime_order(certificate.public_key)
              and envelope.is_signed_by(certificate.public_key),
              "a certificate's signature does not hold")
        self.certificates.append(certificate)

    def at(self, at_ms: int) -> Certificate:
        """The certificate that spoke at that time."""
        begun = [each for each in self.certificates if each.issued_ms <= at_ms]
        _must(len(begun) > 0, "its first certificate is not valid yet")
        _must(at_ms <= begun[-1].not_after_ms, "its certificate has expired")
        return begun[-1]

    def check(self, envelope: Envelope, at_ms: int) -> None:
        _must(envelope.signer == self.identity,
              "the envelope names another signer than its certificates")
        _must(envelope.is_signed_by(self.at(at_ms).public_key), "the signature does not hold")


# ---- bytes ----

def _must(holds: bool, why: str) -> None:
    if not holds:
        raise VerificationError(why)


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        raise VerificationError("the result is not JSON") from None


def _decoded(document: Mapping[str, Any], member: str) -> bytes:
    try:
        return base64.b64decode(document[member], validate=True)
    except (KeyError, TypeError, binascii.Error, ValueError):
        raise VerificationError(f"it needs the member {member}, in base64") from None


def _hash(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=32).digest()


def _id(prefix: str, identity: bytes) -> str:
    return prefix + base64.b32encode(identity).decode().lower()


def _to_sign(type: str, body: bytes) -> bytes:
    return b"DUCKv1 %d %s %d %s" % (len(type), type.encode(), len(body), body)


def _batch_body(path: bytes, thing: bytes) -> bytes:
    """Up the Merkle tree (RFC 9162, section 2.1.3.2) to what the batch's signature is over."""
    fields = _fields(path)
    size, index, siblings = _number(fields, 1), _number(fields, 2), _values(path, 3)
    _must(2 <= size <= BATCH_MAX and index < size and fields.keys() <= {1, 2, 3}
          and all(len(sibling) == 32 for sibling in siblings),
          "the batch path does not lead to a root")
    here, last = _hash(b"\0" + thing), size - 1
    for sibling in siblings:
        _must(last > 0, "the batch path is longer than its tree is high")
        if index % 2 == 1 or index == last:
            here = _hash(b"\1" + sibling + here)
            while index % 2 == 0 and index != 0:
                index, last = index // 2, last // 2
        else:
            here = _hash(b"\1" + here + sibling)
        index, last = index // 2, last // 2
    _must(last == 0, "the batch path does not lead to a root")
    return size.to_bytes(4, "big") + here


# ---- protobuf: varints and lengths are all that is used here ----

def _items(wire: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(wire):
        tag, at = _varint(wire, at)
        value, at = _varint(wire, at)
        if tag & 7 == 2:
            _must(at + value <= len(wire), "not a well-formed protobuf")
            yield tag >> 3, wire[at:at + value]
            at += value
        else:
            _must(tag & 7 == 0, "not a well-formed protobuf")
            yield tag >> 3, value


def _varint(wire: bytes, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        _must(at < len(wire), "not a well-formed protobuf")
        number |= (wire[at] & 0x7F) << shift
        at += 1
        if wire[at - 1] < 0x80:
            return number & (1 << 64) - 1, at
    raise VerificationError("not a well-formed protobuf")


def _fields(wire: bytes) -> dict[int, int | bytes]:
    return dict(_items(wire))  # of a field that is there twice the last counts, as protobuf has it


def _values(wire: bytes, field: int) -> list[bytes]:
    return [value for number, value in _items(wire) if number == field and isinstance(value, bytes)]


def _bytes(fields: Mapping[int, int | bytes], field: int, size: int | None = None) -> bytes:
    value = fields.get(field, b"")
    _must(isinstance(value, bytes) and size in (None, len(value)),
          "a field is missing or of a wrong length")
    assert isinstance(value, bytes)
    return value


def _number(fields: Mapping[int, int | bytes], field: int) -> int:
    value = fields.get(field, 0)
    return value if isinstance(value, int) else 0
