"""Keys and certificates in the forms of others' tools, checked by means that know nothing of this project."""

import base64
import json
import os

import nacl.exceptions
import nacl.signing

from pond import Pond, run, until

DIGITS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def url_safe(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def key_of_did(did):
    """The did:key method: multibase z (base58btc), multicodec 0xed 0x01, 32 bytes."""
    number = 0
    assert did.startswith("did:key:z6Mk"), did
    for digit in did[len("did:key:z"):]:
        number = number * 58 + DIGITS.index(digit)
    data = number.to_bytes(34, "big")
    assert data[:2] == b"\xed\x01", data
    return data[2:]


def export(node, identity, form):
    return node.json("certificate", "export", identity, "--format", form)["text"]


def check_jws(jws, key):
    """RFC 7515: header, payload, signature; RFC 8037: EdDSA."""
    header, payload, signature = jws.split(".")
    nacl.signing.VerifyKey(key).verify(f"{header}.{payload}".encode(), url_safe(signature))
    return json.loads(url_safe(header)), json.loads(url_safe(payload))


def keys_and_certificates_hold_elsewhere():
    with Pond("alice", "bob") as pond:
        alice, bob = pond.alice, pond.bob
        duck = alice.hatch("a@example.org", 'Duck "the" first\\')
        for identity in (duck.id, alice.id):
            jwk = json.loads(export(alice, identity, "jwk"))
            key = url_safe(jwk["x"])
            assert (jwk["kty"], jwk["crv"], jwk["alg"]) == ("OKP", "Ed25519", "EdDSA"), jwk
            assert key_of_did(export(alice, identity, "did")) == key
            jws = export(alice, identity, "jws")
            header, payload = check_jws(jws, key)
            assert header["alg"] == "EdDSA" and header["kid"] == jwk["kid"] == payload["jti"]
            assert payload["sub"] == identity and payload["cnf"]["jwk"]["x"] == jwk["x"]
            assert payload["nbf"] < payload["exp"]
            assert payload["chain"] == export(alice, identity, "raw")
            assert export(alice, identity, "jws") == jws, "one certificate has one JWS"

        # Offline, from the file alone; not with a turned letter.
        path = os.path.join(pond.folder, "duck.jws")
        jws = alice.command("certificate", "export", duck.id).stdout
        with open(path, "w") as file:
            file.write(jws)
        assert duck.id in bob.command("certificate", "verify", path).stdout
        at = len(jws) // 2
        with open(path, "w") as file:
            file.write(jws[:at] + ("A" if jws[at] != "A" else "B") + jws[at + 1:])
        assert bob.command("certificate", "verify", path, check=False).returncode == 1

        # A name is told as it is, and the key by whoever knows it; a JWS only by its own node.
        _, payload = check_jws(jws.strip(), url_safe(json.loads(export(alice, duck.id, "jwk"))["x"]))
        assert payload["name"] == 'Duck "the" first\\', payload
        until("bob knows the duck", lambda: bob.knows(duck.id))
        assert export(bob, duck.id, "did") == export(alice, duck.id, "did")
        refused = bob.command("certificate", "export", duck.id, check=False)
        assert refused.returncode == 1 and "does not live on this node" in refused.stderr, refused
        refused = bob.command("certificate", "export", duck.id, "--format", "pem", check=False)
        assert refused.returncode == 2, refused

        # After a rotation it is the new key that speaks.
        before = export(alice, duck.id, "did")
        alice.command("rotate", duck.id)
        after = export(alice, duck.id, "did")
        assert before != after
        _, payload = check_jws(export(alice, duck.id, "jws"), key_of_did(after))
        assert payload["sequence"] == 1 and payload["iss"] == after, payload
        # And none of who is revoked.
        alice.command("revoke", duck.id, "--for-good")
        refused = alice.command("certificate", "export", duck.id, check=False)
        assert refused.returncode == 1 and "revoked" in refused.stderr, refused


if __name__ == "__main__":
    run(keys_and_certificates_hold_elsewhere)
