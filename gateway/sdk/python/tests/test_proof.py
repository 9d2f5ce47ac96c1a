"""What is signed, against forgeries: things made here, by another Ed25519 than the node's."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from nacl.signing import SigningKey
import pytest

from spaceduck import VerificationError, proof

KEYS = [SigningKey(bytes([n]) * 32) for n in range(1, 5)]
AT = 1_700_000_000_000


def varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out, number = out + bytes([number & 0x7F | 0x80]), number >> 7
    return out + bytes([number])


def message(**fields: int | bytes) -> bytes:
    out = b""
    for name, value in fields.items():
        number = int(name[1:].split("_")[0])
        if isinstance(value, bytes):
            out += varint(number << 3 | 2) + varint(len(value)) + value
        else:
            out += varint(number << 3) + varint(value)
    return out


def digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=32).digest()


def to_sign(type: str, body: bytes) -> bytes:
    return f"DUCKv1 {len(type)} {type} {len(body)} ".encode() + body


def envelope(type: str, body: bytes, signer: bytes, key: SigningKey, **more: int | bytes) -> bytes:
    signature = key.sign(to_sign(type, body)).signature
    return message(f1=signer, f2=type.encode(), f3=body, f4=signature, **more)


def certificates(count: int = 1, kind: int = 2, **changes: int | bytes) -> tuple[bytes, bytes]:
    """A chain of that many, and whose it is; `changes` go into the last one's body."""
    chain, identity, previous = b"", b"", b""
    for n in range(count):
        fields: dict[str, int | bytes] = {
            "f1": kind, "f3": bytes(KEYS[n].verify_key),
            "f4": digest(bytes(KEYS[n + 1].verify_key)), "f5": b"Duck", "f8": AT + n,
            "f9": AT + 1000, "f10": n}
        if n > 0:
            fields.update(f2=identity, f11=previous)
        body = message(**{**fields, **(changes if n == count - 1 else {})})
        previous = digest(to_sign("duck/certificate/1", body))
        identity = identity or previous[:20]
        chain += message(f1=envelope("duck/certificate/1", body, identity, KEYS[n]))
    return chain, identity


def receipt(signer: bytes, **changes: int | bytes) -> bytes:
    fields: dict[str, int | bytes] = {
        "f1": b"pond", "f2": b"p" * 32, "f3": b"f" * 20, "f4": signer, "f5": 2, "f6": 7,
        "f7": b'{"n":1}', "f9": AT + 10}
    return message(**{**fields, **changes})


def as_json(envelope_wire: bytes, chain: bytes) -> dict[str, Any]:
    return {"envelope": base64.b64encode(envelope_wire).decode(),
            "chain": base64.b64encode(chain).decode()}


def sealed(chain: bytes, signer: bytes, key: SigningKey = KEYS[0], **changes: int | bytes) -> Any:
    return as_json(envelope("duck/receipt/1", receipt(signer, **changes), signer, key), chain)


def refused(what: dict[str, Any], why: str) -> None:
    with pytest.raises(VerificationError, match=why):
        proof.verify_receipt(what)


def test_what_is_made_by_the_rules_holds() -> None:
    chain, who = certificates()
    said = proof.verify_receipt(sealed(chain, who))
    assert said["state"] == "answered" and said["result"] == {"n": 1}
    assert said["signer"] == said["to"] == "dkl_" + base64.b32encode(who).decode().lower()


def test_each_byte_of_a_receipt_and_its_chain_counts() -> None:
    chain, who = certificates(2)
    good = sealed(chain, who, KEYS[1])
    proof.verify_receipt(good)
    for name in ("envelope", "chain"):
        wire = base64.b64decode(good[name])
        for at in range(len(wire)):
            bad = wire[:at] + bytes([wire[at] ^ 1]) + wire[at + 1:]
            with pytest.raises(VerificationError):
                proof.verify_receipt({**good, name: base64.b64encode(bad).decode()})
            with pytest.raises(VerificationError):
                proof.verify_receipt({**good, name: base64.b64encode(wire[:at]).decode()})


def test_the_key_that_signs_is_the_one_of_that_time() -> None:
    chain, who = certificates(2)  # the second speaks from AT + 1 on
    assert proof.verify_receipt(sealed(chain, who, KEYS[1]))
    refused(sealed(chain, who, KEYS[0]), "signature")
    assert proof.verify_receipt(sealed(chain, who, KEYS[0], f9=AT))
    refused(sealed(chain, who, KEYS[1], f9=AT - 1), "not valid yet")
    refused(sealed(chain, who, KEYS[1], f9=AT + 1001), "expired")


def test_who_may_say_what() -> None:
    chain, who = certificates()
    refused(sealed(chain, who, f4=b"x" * 20), "target did not sign")
    refused(sealed(chain, who, f5=1, f6=3), "no node signed")
    refused(sealed(chain, who, f5=9), "cannot say")
    refused(sealed(chain, who, f6=2), "cannot say")
    node, its = certificates(kind=1)
    taken = proof.verify_receipt(sealed(node, its, f5=1, f6=3, f4=b"x" * 20))
    assert taken["kind"] == "taken" and taken["signer"].startswith("nod_")


def test_a_chain_that_does_not_hang_together_is_refused() -> None:
    for why, changes in {
            "another identity": {"f1": 1}, "in sequence": {"f10": 5}, "goes back": {"f8": AT - 1},
            "ends before": {"f9": AT}, "one before it": {"f11": b"x" * 32},
            "wrong length": {"f4": b"x"}, "committed to": {"f3": bytes(KEYS[3].verify_key)},
            "of no kind": {"f1": 7}}.items():
        chain, who = certificates(2, **changes)  # type: ignore[arg-type]
        refused(sealed(chain, who, KEYS[1]), why)
    refused(sealed(b"", b"x" * 20), "no certificate")
    refused(sealed(certificates(f2=b"x" * 20)[0], b"x" * 20), "names one before it")


def test_something_signed_as_something_else_is_no_receipt() -> None:
    chain, who = certificates()
    refused(as_json(envelope("duck/peck/1", receipt(who), who, KEYS[0]), chain), "something else")
    refused(as_json(envelope("duck/receipt/1", receipt(who), who, KEYS[0], f9=1), chain),
            "not known")
    refused({**sealed(chain, who), "envelope": "!"}, "base64")
    refused({"chain": "AAAA"}, "well-formed|certificate")


def tree(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return digest(b"\0" + leaves[0])
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    return digest(b"\1" + tree(leaves[:middle]) + tree(leaves[middle:]))


def path(leaves: list[bytes], index: int) -> list[bytes]:
    if len(leaves) == 1:
        return []
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    if index < middle:
        return path(leaves[:middle], index) + [tree(leaves[middle:])]
    return path(leaves[middle:], index - middle) + [tree(leaves[:middle])]


def in_batch(chain: bytes, who: bytes, size: int, index: int, **spoilt: Any) -> dict[str, Any]:
    body = receipt(who)
    leaves = [digest(b"%d" % n) for n in range(size)]
    leaves[index] = digest(to_sign("duck/receipt/1", body))
    signed = to_sign("duck/batch/1", size.to_bytes(4, "big") + tree(leaves))
    siblings = spoilt.get("siblings", path(leaves, index))
    batch = message(f1=spoilt.get("as_size", size), f2=spoilt.get("as_index", index)) + b"".join(
        message(f3=each) for each in siblings)
    return as_json(message(f1=who, f2=b"duck/receipt/1", f3=body,
                           f4=KEYS[0].sign(signed).signature, f5=batch), chain)


def test_each_place_of_batches_of_all_shapes_leads_to_the_root() -> None:
    chain, who = certificates()
    for size in (2, 3, 5, 7, 8, 13):
        for index in range(size):
            assert proof.verify_receipt(in_batch(chain, who, size, index))


def test_a_path_that_leads_elsewhere_is_refused() -> None:
    chain, who = certificates()
    refused(in_batch(chain, who, 5, 4, as_index=3), "root")
    refused(in_batch(chain, who, 5, 4, as_index=5), "root")
    refused(in_batch(chain, who, 8, 4, as_index=5), "signature")
    refused(in_batch(chain, who, 8, 4, as_size=7), "signature|root")
    refused(in_batch(chain, who, 8, 4, as_size=257), "root")
    refused(in_batch(chain, who, 8, 4, siblings=[b"x" * 32] * 3), "signature")
    refused(in_batch(chain, who, 8, 4, siblings=[b"x" * 32] * 4), "longer")
    refused(in_batch(chain, who, 8, 4, siblings=[b"x" * 31] * 3), "root")
    refused(in_batch(chain, who, 8, 4, siblings=[]), "root")
