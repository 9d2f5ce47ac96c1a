"""A duckling that keeps its own key: its node relays, stores and tells, and cannot say a word for it. Needs PyNaCl.

    key = own.OwnKey.new("Vault")
    key.save("vault.key", "/mnt/stick/vault.next")        # the second belongs elsewhere
    hatched = operator.hatch(proof=key.proof, public_key=key.public_key)
    duck = spaceduck.Duck(hatched["beak_key"])
    own.sign_all(duck, key)                               # its entry in the directory
    duck.peck(signed=key.peck("dkl_…", "query", {"q": "weather"}), wait=10)

What only the key can say (entries, answers, denials, bonds) waits at the node until it is signed; see `sign_all`. The
files are those of `ducknode key new`. What is signed is said in proto/envelope.proto, certificate.proto,
peck.proto, record.proto and receipt.proto of ducknode."""

from __future__ import annotations

import base64
import json
import os
import secrets
import stat
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import _ed25519, proof
from .errors import Conflict, DuckError, NotFound

if TYPE_CHECKING:
    from .duck import Duck

HOLDER_HEAD, NEXT_HEAD = "duck-holder 1\n", "duck-next-key 1\n"
CERTIFICATE_LIFE_MS = 3650 * 24 * 3600 * 1000
PECK_LIFE_S = 24 * 3600
CONFLICTS_MAX = 8


class OwnKey:
    """The key and the certificates of a duckling; `next_seed`: of the key that follows it, where that is at hand."""

    def __init__(self, seed: bytes, chain: bytes, next_seed: bytes | None = None) -> None:
        self._seed, self._next_seed, self._chain = seed, next_seed, chain
        opened = proof.Chain(chain)
        self.id, self._identity = opened.id, opened.identity
        if opened.certificates[-1].public_key != _ed25519.public_of(seed):
            raise DuckError("the key is not the one that the certificates name last")

    def __repr__(self) -> str:
        return f"OwnKey({self.id})"  # never the key

    @classmethod
    def new(cls, display_name: str) -> OwnKey:
        """Made here; no node is asked."""
        seed, next_seed = secrets.token_bytes(32), secrets.token_bytes(32)
        body = _certificate(seed, _promise(next_seed), display_name.encode(), _now_ms())
        certificate = _envelope(proof._hash(proof._to_sign("duck/certificate/1", body))[:20],
                                "duck/certificate/1", body, seed)
        return cls(seed, _bytes(1, certificate), next_seed)

    # ---- files ----

    @classmethod
    def open(cls, path: str | os.PathLike[str], next_path: str | os.PathLike[str] | None = None) -> OwnKey:
        seed, chain = _read(path, HOLDER_HEAD, 2)
        return cls(seed, chain, _read(next_path, NEXT_HEAD, 1)[0] if next_path else None)

    def save(self, path: str | os.PathLike[str], next_path: str | os.PathLike[str]) -> None:
        """Two new files that nobody else may read. Whoever has the first is this duckling."""
        if self._next_seed is None:
            raise DuckError("the next key is not at hand")
        _write(next_path, NEXT_HEAD, self._next_seed)
        try:
            _write(path, HOLDER_HEAD, self._seed, self._chain)
        except OSError:
            os.unlink(next_path)
            raise

    # ---- what it is ----

    @property
    def chain(self) -> str:
        """Its certificates, in base64: `chain` of a rotation. Public."""
        return base64.b64encode(self._chain).decode()

    @property
    def proof(self) -> str:
        """The first of them, in base64: `proof` of a hatch, wherever and whenever it hatches. Public."""
        return base64.b64encode(_bytes(1, proof._values(self._chain, 1)[0])).decode()

    @property
    def public_key(self) -> str:
        return base64.b64encode(_ed25519.public_of(self._seed)).decode()

    def rotate(self) -> OwnKey:
        """The next key takes over, and another one is promised: save it, then
        `duck.rotate("identity", chain=key.chain)`, and let go of the old files."""
        if self._next_seed is None:
            raise DuckError("the next key is not at hand")
        last, next_seed = proof.Chain(self._chain).certificates[-1], secrets.token_bytes(32)
        issued_ms = max(_now_ms(), last.issued_ms + 1)
        body = _certificate(self._next_seed, _promise(next_seed), last.display_name.encode(), issued_ms,
                            identity=self._identity, previous=last.hash,
                            sequence=len(proof._values(self._chain, 1)))
        longer = self._chain + _bytes(1, _envelope(self._identity, "duck/certificate/1", body,
                                                   self._next_seed))
        return OwnKey(self._next_seed, longer, next_seed)

    # ---- what it signs ----

    def sign(self, wanted: Mapping[str, Any]) -> str:
        """The signature of an item of `duck.signatures()`, if that is a record or a receipt in this duckling's name: a
        node may ask for anything. DuckError: it is not signed."""
        type, body = str(wanted["type"]), base64.b64decode(str(wanted["body"]), validate=True)
        fields = proof._fields(body)
        ours = {"duck/record/1": 2, "duck/receipt/1": 4}.get(type)
        if (ours is None or fields.get(ours) != self._identity
                or (type == "duck/receipt/1" and fields.get(5) not in (2, 3))):
            raise DuckError("this is no record or receipt in the duckling's own name: it is not signed")
        return base64.b64encode(_ed25519.sign(self._seed, proof._to_sign(type, body))).decode()

    def peck(self, target: str, action: str | None = None, payload: Any = None, *,
             scopes: list[str] | None = None, message: str | None = None, thread: str | None = None,
             reply_to: str | None = None, expires_in: int = PECK_LIFE_S,
             idempotency_key: str | None = None, grant: str | None = None,
             network: str = "duck") -> str:
        """A whole peck, made and signed now: `signed` of `duck.peck`. An action, or with `scopes` a request for a
        bond. Send the same again as often as you like: it is one peck."""
        created_ms = _now_ms()
        body = _bytes(1, network.encode()) + _bytes(2, self._identity) + _bytes(3, _id_bytes(target))
        if scopes is None:
            text = json.dumps({} if payload is None else payload, ensure_ascii=False,
                              separators=(",", ":"))
            body += _number(4, 1) + _bytes(5, (action or "").encode()) + _bytes(6, text.encode())
        else:
            body += _number(4, 2) + b"".join(_bytes(7, scope.encode()) for scope in scopes)
            body += _bytes(8, (message or "").encode())
        body += _bytes(9, (thread or "").encode()) + _bytes(10, _id_bytes(reply_to) if reply_to else b"")
        body += _number(11, created_ms) + _number(12, created_ms + expires_in * 1000)
        body += _bytes(13, (idempotency_key or "").encode()) + _bytes(14, secrets.token_bytes(8))
        body += _bytes(16, _unpadded(grant) if grant else b"")
        return base64.b64encode(_envelope(self._identity, "duck/peck/1", body, self._seed)).decode()


def sign_all(duck: Duck, key: OwnKey, *, after: int = 0, wait: int = 0) -> int:
    """Signs all that waits for the duckling; with `wait` it waits so many seconds for the first. How many that were."""
    count, conflicts = 0, 0
    while True:
        try:
            found = duck.signatures(after=after, wait=wait)["signatures"]
        except Conflict:
            if count == 0:
                raise
            return count  # its end was among them
        for wanted in found:
            after = wanted["number"]
            try:
                duck.sign(wanted["id"], key.sign(wanted))
                count += 1
            except NotFound:
                pass  # its time is over, or something newer took its place
            except Conflict:
                conflicts += 1
                if conflicts > CONFLICTS_MAX:
                    raise
        if not found:
            return count
        wait = 0


# ---- bytes ----

def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7f:
        out.append(number & 0x7f | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value) if value else b""


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value if value else b""


def _promise(seed: bytes) -> bytes:
    return proof._hash(_ed25519.public_of(seed))


def _certificate(seed: bytes, promise: bytes, display_name: bytes, issued_ms: int, *,
                 identity: bytes = b"", previous: bytes = b"", sequence: int = 0) -> bytes:
    return (_number(1, 2) + _bytes(2, identity) + _bytes(3, _ed25519.public_of(seed)) + _bytes(4, promise)
            + _bytes(5, display_name) + _number(8, issued_ms)
            + _number(9, issued_ms + CERTIFICATE_LIFE_MS) + _number(10, sequence) + _bytes(11, previous))


def _envelope(signer: bytes, type: str, body: bytes, seed: bytes) -> bytes:
    return (_bytes(1, signer) + _bytes(2, type.encode()) + _bytes(3, body)
            + _bytes(4, _ed25519.sign(seed, proof._to_sign(type, body))))


def _id_bytes(text: str) -> bytes:
    try:
        return base64.b32decode(text[4:].upper())
    except ValueError:
        raise DuckError(f"{text!r} is no id") from None


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


# ---- files ----

def _read(path: str | os.PathLike[str], head: str, count: int) -> list[bytes]:
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), encoding="ascii") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o077:
            raise DuckError("the key's file is not a file of yours that nobody else may read (0600)")
        text = file.read()
    lines = text[len(head):].split("\n")
    if not text.startswith(head) or len(lines) != count + 1 or lines[-1]:
        raise DuckError("the file is not one with such a key")
    return [_unpadded(line) for line in lines[:-1]]


def _write(path: str | os.PathLike[str], head: str, *items: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o600), "w", encoding="ascii") as file:
        file.write(head + "".join(
            base64.urlsafe_b64encode(item).decode().rstrip("=") + "\n" for item in items))
        file.flush()
        os.fsync(file.fileno())
