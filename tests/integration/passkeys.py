"""Passkeys: made and used in a browser (Debian's Chromium with a virtual authenticator, driven over
WebDriver), and by hand, to say what no browser would."""

import os
import re
import tempfile

from authenticator import ATTESTED, PRESENT, VERIFIED, Key, cbor, text, untext
import authenticator
from browser import Driver
from pond import Pond, Refused, run, until

PASSWORD = "securepassword123"
RP, ORIGIN = "duck.example", "https://duck.example"
SETTINGS = f"passkey_rp_id = {RP}\npasskey_origin = {ORIGIN}\n"


def registration(key, challenge, rp=RP, origin=ORIGIN, **more):
    return authenticator.registration(key, challenge, rp, origin=origin, **more)


def assertion(key, challenge, rp=RP, origin=ORIGIN, **more):
    return authenticator.assertion(key, challenge, rp, origin=origin, **more)


def refusal(question, status, code, field=None, says=None):
    try:
        answer = question()
    except Refused as refused:
        assert refused.status == status and refused.body["error"] == code, refused
        assert not field or refused.body["field"] == field, refused
        assert not says or says in refused.body["detail"], refused
        return refused
    raise AssertionError(f"not refused: {answer}")


class Operator:
    def __init__(self, node, email):
        self.node, self.email = node, email
        self.duck = node.hatch(email, "Duck", PASSWORD)
        self.token = node.http("POST", "/beak/auth",
                               {"email": email, "password": PASSWORD})["token"]

    def options(self):
        return self.node.http("POST", "/beak/passkeys/challenge", {}, token=self.token)

    def add(self, passkey, name="key"):
        return self.node.http("POST", "/beak/passkeys", {"name": name, "passkey": passkey},
                              token=self.token)

    def listed(self):
        return self.node.http("GET", "/beak/passkeys", token=self.token)["passkeys"]

    def add_key(self, key):
        options = self.options()
        key.handle = untext(options["user"]["id"])
        return self.add(registration(key, options["challenge"]))


def challenge_of(node):
    return node.http("POST", "/beak/passkeys/challenge", {})["challenge"]


def sign_in(node, passkey):
    return node.http("POST", "/beak/auth", {"passkey": passkey})


def every_kind_of_key_is_added_and_opens_a_session():
    with Pond("alice", extra=SETTINGS) as pond:
        node = pond.alice
        operator = Operator(node, "a@example.com")
        options = operator.options()
        assert options["rp"]["id"] == RP and options["user"]["name"] == "a@example.com", options
        assert "a@example" not in untext(options["user"]["id"]).decode("latin-1"), options
        assert options["authenticatorSelection"]["userVerification"] == "required", options
        for kind in (-7, -8, -257):
            key = Key(kind)
            made = operator.add_key(key)
            assert made["passkey_id"].startswith("psk_") and made["name"] == "key", made
            opened = sign_in(node, assertion(key, challenge_of(node)))
            assert opened["token"].startswith("sd_st_"), opened
            assert [d["duckling_id"] for d in opened["ducklings"]] == [operator.duck.id], opened
            sessions = node.http("GET", "/beak/sessions", token=opened["token"])["sessions"]
            assert [s["began_by"] for s in sessions if s["current"]] == ["passkey"], sessions
        folder = os.path.join(node.state, "gateway", "mail")
        told = [open(os.path.join(folder, n)).read() for n in os.listdir(folder)]
        assert sum("A passkey was added" in t for t in told) == 3, told
        assert len(operator.listed()) == 3 and all(p["last_used_at"] for p in operator.listed())
        asked = operator.options()["excludeCredentials"]
        assert len(asked) == 3, asked
        # And an attestation that proves what it says.
        key, options = Key(), operator.options()
        assert operator.add(registration(key, options["challenge"], attest="packed"))
        node.http("DELETE", "/beak/passkeys/" + operator.listed()[0]["passkey_id"],
                  token=operator.token, raw=True)
        assert len(operator.listed()) == 3


def what_was_not_made_for_this_is_not_added():
    with Pond("alice", extra=SETTINGS) as pond:
        node = pond.alice
        operator, other = Operator(node, "a@example.com"), Operator(node, "b@example.com")

        def no(says, code="bad_passkey", status=401, **more):
            challenge = more.pop("challenge", None) or operator.options()["challenge"]
            key = more.pop("by", None) or Key()
            refusal(lambda: operator.add(registration(key, challenge, **more)), status, code,
                    "passkey", says)

        no("another origin", origin="https://duck.example.evil.test")
        no("another origin", origin="https://duck.example:444")
        no("another origin", origin="http://duck.example")
        no("another origin", crossOrigin=True)
        no("another use", kind="get")
        no("relying party", rp="evil.test")
        no("verified", flags=PRESENT | ATTESTED)
        no("verified", flags=VERIFIED | ATTESTED)
        no("challenge", challenge=text(os.urandom(56)))
        no("challenge", challenge=other.options()["challenge"])
        no("challenge", challenge=challenge_of(node))
        no("attestation", attest="packed-wrong")
        no("kind", attest="tpm")
        no("authenticator", spoil=lambda said: cbor(said)[:-1])
        no("authenticator", spoil=lambda said: cbor(said) + b"\0")
        no("authenticator", spoil=lambda said: b"\xbb" + b"\xff" * 8)
        no("authenticator", spoil=lambda said: b"\x9b" + b"\x7f" * 8)
        no("authenticator", spoil=lambda said: b"\x81" * 9000)
        no("authenticator", spoil=lambda said: {**said, "authData": said["authData"][:36]})
        no("authenticator", spoil=lambda said: {**said, "authData": "text"})
        no("authenticator", spoil=lambda said: {**said, "attStmt": {"x": 1}})
        no("authenticator", spoil=lambda said: {**said, "authData": said["authData"][:-40]})
        other_kind = Key()
        other_kind.cose = lambda: {1: 2, 3: -35, -1: 2, -2: bytes(48), -3: bytes(48)}  # P-384
        no("kind", by=other_kind)
        for passkey in (None, 1, {}, {"id": "AA", "response": {}},
                        {"id": "!", "response": {"clientDataJSON": "AA"}},
                        {"id": "AA", "response": {"clientDataJSON": "AA",
                                                  "attestationObject": "A" * 30000}}):
            refusal(lambda: operator.add(passkey), 422, "bad_member", "passkey")
        refusal(lambda: operator.add(registration(Key(), operator.options()["challenge"]), "a\u202e"),
                422, "bad_member", "name")
        assert operator.listed() == []

        # One is added once, with one challenge, by one operator.
        key, challenge = Key(), operator.options()["challenge"]
        operator.add(registration(key, challenge))
        refusal(lambda: operator.add(registration(Key(), challenge)), 401, "bad_passkey", "passkey",
                "challenge")
        refusal(lambda: operator.add(registration(key, operator.options()["challenge"])), 409,
                "passkey_known", "passkey")
        refusal(lambda: other.add(registration(key, other.options()["challenge"])), 409,
                "passkey_known", "passkey")
        refusal(lambda: node.http("DELETE", "/beak/passkeys/" + operator.listed()[0]["passkey_id"],
                                  token=other.token), 404, "not_found")
        for _ in range(19):
            operator.add(registration(Key(), operator.options()["challenge"]))
        refusal(lambda: operator.add(registration(Key(), operator.options()["challenge"])), 409,
                "too_many_passkeys")
        # An agent's key is no operator.
        refusal(lambda: node.http("GET", "/beak/passkeys", token=operator.duck.key), 403,
                "session_needed")
        refusal(lambda: node.http("POST", "/beak/passkeys/challenge", {}, token=operator.duck.key),
                403, "session_needed")


def what_does_not_prove_the_key_lets_nobody_in():
    with Pond("alice", extra=SETTINGS) as pond:
        node = pond.alice
        operator, other = Operator(node, "a@example.com"), Operator(node, "b@example.com")
        key, foreign = Key(), Key()
        operator.add_key(key)
        other.add_key(foreign)

        def no(says, **more):
            challenge = more.pop("challenge", None) or challenge_of(node)
            by = more.pop("by", key)
            refusal(lambda: sign_in(node, assertion(by, challenge, **more)), 401, "bad_passkey",
                    "passkey", says)

        no("another origin", origin="https://evil.test")
        no("another use", kind="create")
        no("relying party", rp="evil.test")
        no("verified", flags=PRESENT)
        no("verified", flags=VERIFIED)
        no("challenge", challenge=text(os.urandom(56)))
        no("challenge", challenge=operator.options()["challenge"])
        no("signature", signed=b"something else")
        no("not known here", by=Key())
        no("signature", handle=foreign.handle)
        stolen = Key()
        stolen.id = key.id
        no("signature", by=stolen)

        # A repeated answer, and a second one to the same challenge.
        challenge = challenge_of(node)
        said = assertion(key, challenge)
        assert sign_in(node, said)["token"]
        refusal(lambda: sign_in(node, said), 401, "bad_passkey", "passkey", "challenge")
        no("challenge", challenge=challenge)
        key.counter -= 1  # of the one that was refused
        # A counter that stands still, or goes back: a copy.
        no("counted back", counts=0)
        no("counted back", counts=-1)
        key.counter += 10
        assert sign_in(node, assertion(key, challenge_of(node)))["token"]
        # What is asked along must not contradict.
        refusal(lambda: node.http("POST", "/beak/auth", {
            "email": "a@example.com", "passkey": assertion(key, challenge_of(node))}), 422,
            "bad_member", "email")
        # Once removed it opens nothing.
        node.http("DELETE", "/beak/passkeys/" + operator.listed()[0]["passkey_id"],
                  token=operator.token, raw=True)
        no("not known here")
        # A restart ends every challenge.
        challenge = challenge_of(node)
        node.stop()
        node.start()
        no("challenge", by=foreign, challenge=challenge)
        assert sign_in(node, assertion(foreign, challenge_of(node)))["token"]


def a_browser_adds_a_passkey_and_signs_in_with_it():
    with Pond("alice") as pond, tempfile.TemporaryDirectory(
            prefix="duckweb-", ignore_cleanup_errors=True) as folder, Driver(folder) as driver:
        node = pond.alice
        operator = Operator(node, "a@example.com")
        page = f"http://localhost:{node.gateway_port}/passkeys"
        driver("POST", "/webauthn/authenticator", {
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": True,
            "hasUserVerification": True, "isUserVerified": True})
        driver("POST", "/url", {"url": page})
        # The page, as a person uses it.
        driver.script("""const form = document.querySelector("#add");
            form.email.value = "a@example.com"; form.password.value = arguments[0];
            form.elements.name.value = "my laptop"; form.requestSubmit();""", PASSWORD)

        def said(pattern):
            shown = driver.script('return document.querySelector("output").textContent')
            assert not shown.startswith("No:"), shown
            return re.search(pattern, shown)

        until("the page to have added it", lambda: said("Added my laptop"))
        assert [p["name"] for p in operator.listed()] == ["my laptop"], operator.listed()
        driver.script('document.querySelector("#sign-in").requestSubmit()')
        until("the page to have signed in", lambda: said("Signed in: 1 ducklings"))
        # The functions, as another page uses them; and twice, so that the counter goes on.
        for _ in range(2):
            token = driver.await_script("""const done = arguments[arguments.length - 1];
                import("/passkeys.js").then((m) => m.signIn())
                    .then((s) => done(s.token), (e) => done("No: " + e.message));""")
            assert token.startswith("sd_st_"), token
        again = driver.await_script("""const done = arguments[arguments.length - 1];
            import("/passkeys.js").then((m) => m.addPasskey(arguments[0], "twice"))
                .then(() => done("added"), (e) => done(e.name));""", operator.token)
        assert again == "InvalidStateError", again  # the browser knows the key by excludeCredentials
        logged = [e for e in driver("POST", "/se/log", {"type": "browser"})
                  if e["level"] == "SEVERE" and "favicon" not in e["message"]]
        assert not logged, logged


run(every_kind_of_key_is_added_and_opens_a_session,
    what_was_not_made_for_this_is_not_added,
    what_does_not_prove_the_key_lets_nobody_in,
    a_browser_adds_a_passkey_and_signs_in_with_it)
