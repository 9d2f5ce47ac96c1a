"""Our Noise_XK_25519_ChaChaPoly_SHA256 shakes hands with another's: Debian's python3-dissononce.

Both roles, random keys each time; then transport messages both ways, and a turned bit is refused
by either side. The program under test is noise_line, noise.h on a line protocol."""

import logging
import os
import secrets
import subprocess

from dissononce.cipher.chachapoly import ChaChaPolyCipher
from dissononce.dh.x25519.public import PublicKey
from dissononce.dh.x25519.x25519 import X25519DH
from dissononce.hash.sha256 import SHA256Hash
from dissononce.processing.handshakepatterns.interactive.XK import XKHandshakePattern
from dissononce.processing.impl.cipherstate import CipherState
from dissononce.processing.impl.handshakestate import HandshakeState
from dissononce.processing.impl.symmetricstate import SymmetricState

ROUNDS = 16
LENGTHS = (0, 1, 16, 1000, 32769, 65519)
BAD_TAG = 3  # enum noise_verdict


class Refused(Exception):
    pass


class Ours:
    """A side that is noise_line; its transport half has dissononce's names."""

    def __init__(self):
        program = os.path.join(os.environ["DUCK_BIN"], "tests", "noise_line")
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, bufsize=1)

    def ask(self, *words):
        line = " ".join(w if isinstance(w, str) else w.hex() or "-" for w in words)
        self.process.stdin.write(line + "\n")
        answer = self.process.stdout.readline().strip()
        if answer.startswith("refused"):
            raise Refused(int(answer.split()[1]))
        assert answer, f"no answer to {line[:60]}"
        return b"" if answer == "-" else bytes.fromhex(answer)

    def begin(self, is_caller, prologue, static, callee_public):
        role = ("caller",) if is_caller else ("callee",)
        known = (callee_public,) if is_caller else ()
        self.ask("begin", *role, prologue, static, secrets.token_bytes(32), *known)

    def write(self, payload):
        return self.ask("write", payload)

    def read(self, message):
        return self.ask("read", message)

    def split(self):
        return self.ask("split")

    def seal(self, plain):
        return self.ask("seal", plain)

    def open(self, sealed):
        return self.ask("open", sealed)

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(timeout=10) == 0


class Theirs:
    """The same, by dissononce."""

    def __init__(self):
        self.ciphers = None

    def begin(self, is_caller, prologue, static, callee_public):
        self.is_caller = is_caller
        self.handshake = HandshakeState(
            SymmetricState(CipherState(ChaChaPolyCipher()), SHA256Hash()), X25519DH())
        self.handshake.initialize(XKHandshakePattern(), is_caller, prologue, s=static,
                                  rs=PublicKey(callee_public) if is_caller else None)

    def write(self, payload):
        message = bytearray()
        self.ciphers = self.handshake.write_message(payload, message) or self.ciphers
        return bytes(message)

    def read(self, message):
        payload = bytearray()
        self.ciphers = self.handshake.read_message(message, payload) or self.ciphers
        return bytes(payload)

    def split(self):
        first, second = self.ciphers
        self.sending, self.receiving = (first, second) if self.is_caller else (second, first)
        return self.handshake.symmetricstate.get_handshake_hash()

    def seal(self, plain):
        return self.sending.encrypt_with_ad(b"", plain)

    def open(self, sealed):
        return self.receiving.decrypt_with_ad(b"", sealed)


def converse(caller, callee):
    for length in LENGTHS:
        for sender, receiver in ((caller, callee), (callee, caller), (callee, caller)):
            text = secrets.token_bytes(length)
            assert receiver.open(sender.seal(text)) == text, length


def shake(ours, we_call):
    theirs = Theirs()
    caller, callee = (ours, theirs) if we_call else (theirs, ours)
    dh = X25519DH()
    our_pair, their_pair = dh.generate_keypair(), dh.generate_keypair()
    callee_public = (their_pair if we_call else our_pair).public.data
    prologue = secrets.token_bytes(secrets.randbelow(64))

    ours.begin(we_call, prologue, our_pair.private.data, callee_public)
    theirs.begin(not we_call, prologue, their_pair, callee_public)
    for writer, reader in ((caller, callee), (callee, caller), (caller, callee)):
        payload = secrets.token_bytes(secrets.randbelow(2000))
        assert reader.read(writer.write(payload)) == payload
    if not we_call:
        assert theirs.handshake.rs.data == our_pair.public.data
    assert caller.split() == callee.split(), "one handshake, one hash"
    converse(caller, callee)

    sealed = bytearray(theirs.seal(b"duck"))
    sealed[secrets.randbelow(len(sealed))] ^= 1
    try:
        ours.open(bytes(sealed))
    except Refused as refused:
        assert refused.args == (BAD_TAG,)
    else:
        raise AssertionError("a turned bit was taken")


def main():
    logging.disable(logging.CRITICAL)  # dissononce tells of every step
    ours = Ours()
    for number in range(ROUNDS):
        shake(ours, we_call=number % 2 == 0)
    ours.close()
    print(f"{ROUNDS} handshakes, both roles")


if __name__ == "__main__":
    main()
