"""Keys and certificates in the forms of others' tools, checked by means that know nothing of this project."""

import base64
import http.client
import json
import os

import nacl.exceptions
import nacl.signing

from packages import verdicts
from pond import Pond, run, until

DIGITS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def url_safe(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def base58(text, size):
    number = 0
    for digit in text:
        number = number * 58 + DIGITS.index(digit)
    return number.to_bytes(size, "big")


def key_of_did(did):
    """The did:key method: multibase z (base58btc), multicodec 0xed 0x01, 32 bytes."""
    assert did.startswith("did:key:z6Mk"), did
    data = base58(did[len("did:key:z"):], 34)
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


def told(node, path):
    """The type and the text of what the gateway answers to anybody."""
    connection = http.client.HTTPConnection("127.0.0.1", node.gateway_port, timeout=20)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    assert answer.status == 200, (path, answer.status, text)
    return answer.getheader("Content-Type"), text


def packages_of_npm_take_what_the_gateway_exports():
    with Pond("alice") as pond:
        alice = pond.alice
        duck = alice.hatch("a@example.org", "Duck")
        documents = []
        for identity in (duck.id, alice.id):
            path = f"/beak/certificate/{identity}?format="
            document = {}
            for form, type_ in (("jwk", "application/jwk+json"), ("did", "text/plain; charset=utf-8"),
                                ("jws", "application/jose")):
                got, text = told(alice, path + form)
                assert got == type_, got
                assert text.decode() == export(alice, identity, form), "REST and the command line say the same"
                document[form] = json.loads(text) if form == "jwk" else text.decode()
            got, raw = told(alice, path + "raw")
            assert got == "application/octet-stream" and raw == base64.b64decode(export(alice, identity, "raw"))
            documents.append(document)
        got, text = told(alice, "/.well-known/jwks.json")
        assert got == "application/jwk-set+json", got
        assert json.loads(text)["keys"] == [documents[1]["jwk"]]
        documents[1]["jwks"] = json.loads(text)

        for document, verdict, identity in zip(documents, verdicts("export_verify", documents), (duck.id, alice.id)):
            assert verdict["payload"]["sub"] == identity and verdict["payload"]["iss"] == document["did"], verdict
            assert verdict["header"]["kid"] == document["jwk"]["kid"] and verdict["refuses"], verdict
            method = verdict["method"]
            assert base58(method["publicKeyBase58"], 32) == url_safe(document["jwk"]["x"]), verdict

        before = documents[0]["jwk"]
        alice.command("rotate", duck.id)
        _, text = told(alice, f"/beak/certificate/{duck.id}?format=jwk")
        assert json.loads(text)["kid"] != before["kid"], "the new key speaks for the duckling"
        _, text = told(alice, f"/beak/certificate/{before['kid']}?format=jwk")
        assert json.loads(text) == before, "an old certificate has the old key"


if __name__ == "__main__":
    run(keys_and_certificates_hold_elsewhere, packages_of_npm_take_what_the_gateway_exports)
