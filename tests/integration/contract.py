"""The gateway is held to its reference (gateway/openapi.yaml), both ways: every route is described
and every description is a route; each operation is called until each documented status has been
seen; each answer is held against its schema, and what is not documented fails.

Who adds an operation adds a story, or a line to one: `world.call` sends one request, judges the
answer, and notes that this status of this operation was seen. What every operation shares (a
foreign Host, a body that is no JSON, no bearer, …) is provoked for all of them at once."""

import concurrent.futures
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time
import zlib

from fake_node import FakeNode, SILENCE, WRONG, problem
from authenticator import Key, assertion, registration
from pond import BIN, Duck, Pond, mail_code, run, until
from production import becomes, take_back, vouch
from receiver import Receiver
from reference import DOCS, Reference

PASSWORD = "a long enough passphrase"
NOBODY = {"duckling": "dkl_" + "b" * 32, "peck": "pck_" + "b" * 32, "bond": "bnd_" + "b" * 32,
          "certificate": "crt_" + "b" * 32}
LARGE = str(600 * 1024)

REFERENCE = Reference()

# Codes that no test can provoke without hours, or a broken disk; each with its unit test.
NOT_PROVOKED = {
    "too_many_ducklings": "1000 ducklings of one operator: test_accounts.c",
    "session_expired": "an hour of rest: test_accounts.c",
}


class World:
    """Whom a call goes to, and what was seen so far of every operation."""

    def __init__(self):
        self.seen = set()    # (operation, status)
        self.codes = set()   # (response, code)
        self.port = None

    def send(self, operation, *, path=None, query=None, body=None, token=None, headers=None,
             raw=None, target=None, method=None):
        sent = dict(headers or {})
        data_ = raw
        if body is not None:
            data_ = json.dumps(body).encode()
        if data_ is not None:
            sent.setdefault("Content-Type", "application/json")
        if token:
            sent["Authorization"] = "Bearer " + token
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method or operation.method,
                               target or operation.target(path, query), data_, sent)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        if headers.get("content-encoding") == "gzip":
            text = zlib.decompress(text, 31)
        return answer.status, headers, text

    def judge(self, operation, status, headers, text, what):
        faults = REFERENCE.judge(operation, status, headers, text)
        assert not faults, f"{what}: {status} {faults}\n{text[:600]}"
        self.seen.add((operation.name, status))
        return json.loads(text) if text and "json" in headers["content-type"] else text

    def call(self, name, status, error=None, field=None, **request):
        """One request; the answer, when all of it is as documented and as expected."""
        operation = REFERENCE.operations[name]
        got, headers, text = self.send(operation, **request)
        what = f"{name} {request}"
        assert got == status, f"{what}: {got}, not {status}: {text[:600]}"
        answer = self.judge(operation, got, headers, text, what)
        if status >= 400:
            assert answer["status"] == status, what
            assert error in (None, answer["error"]), f"{what}: {answer}"
            assert field in (None, answer.get("field")), f"{what}: {answer}"
            self.codes.add((name, status, answer["error"]))
        elif request.get("body") is not None:
            faults = REFERENCE.faults(operation.body_schema, request["body"])
            assert not faults, f"{what} is taken, but not documented: {faults}"
        return answer


# ---- stories: what a good node is asked, by tag ----

def status_stories(world):
    for name in ("probe", "probeWithoutSlash", "health", "readiness", "prometheus",
                 "systemStatus", "networkMetrics"):
        world.call(name, 200)
    world.call("countPageview", 204, body={"page": "/", "referrer": None})
    served = world.call("reference", 200)
    assert served == REFERENCE.document, "what is served is not the reference"
    _, headers, _ = world.send(REFERENCE.operations["reference"])
    world.call("reference", 304, headers={"If-None-Match": headers["etag"]})
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    _, headers, _ = world.send(REFERENCE.operations["health"], headers={"traceparent": trace})
    assert headers["traceparent"] == trace


def account_stories(world):
    lay = {"email": "fleet@example.com", "display_name": "First", "password": PASSWORD}
    world.call("hatch", 202, body=lay)
    world.call("hatch", 422, "bad_email", "email", body={**lay, "email": "nobody"})
    world.call("hatch", 422, "bad_display_name", "display_name", body={**lay, "display_name": " "})
    world.call("hatch", 422, "password_too_short", "password", body={**lay, "password": "short"})
    world.call("hatch", 422, "password_too_long", "password",
               body={**lay, "password": "x" * 1025})
    world.call("hatch", 422, "missing_member", "display_name", body={"email": "a@example.com"})
    keyed = {"Idempotency-Key": "one"}
    world.call("hatch", 202, body={**lay, "email": "k@example.com"}, headers=keyed)
    world.call("hatch", 202, body={**lay, "email": "k@example.com"}, headers=keyed)
    world.call("hatch", 422, "idempotency_key_reused", "Idempotency-Key", body=lay, headers=keyed)
    code = world.alice.mail_code(lay["email"])
    world.call("verify", 401, "bad_code", "code",
               body={"email": lay["email"], "code": "000000" if code != "000000" else "000001"})
    world.call("verify", 422, "missing_member", "code", body={"email": lay["email"]})
    first = world.call("verify", 200, body={"email": lay["email"], "code": code})
    world.first = Duck(world.alice, first["duckling_id"], first["beak_key"])
    login = {"email": lay["email"], "password": PASSWORD}
    world.call("authenticate", 401, "bad_credentials", body={**login, "password": PASSWORD + "!"})
    world.call("authenticate", 422, "missing_member", "password", body={"email": lay["email"]})
    world.token = world.call("authenticate", 200, body=login)["token"]
    second = world.call("hatch", 201, body={"display_name": "Second"}, token=world.token)
    world.second = Duck(world.alice, second["duckling_id"], second["beak_key"])
    world.call("hatch", 403, "session_needed", body={"display_name": "No"}, token=first["beak_key"])
    world.call("hatch", 401, "unknown_bearer", body={"display_name": "No"},
               token="sd_st_" + "a" * 43)
    page = world.call("listSpaceducks", 200, token=world.token, query={"limit": 1})
    assert page["next_cursor"], page
    world.call("listSpaceducks", 200, token=world.token, query={"cursor": page["next_cursor"]})
    world.call("rotate", 422, "bad_member", "what", token=world.token, body={"what": "egg"})
    turned = world.call("rotate", 200, token=world.second.key, body={"what": "identity"})
    assert turned["duckling_id"] == world.second.id and turned["chain"], turned
    assert turned["certificate_id"] != "crt_" + world.second.id[4:], turned
    world.second.key = world.call("rotate", 200, token=world.token,
                                  body={"duckling_id": world.second.id})["beak_key"]
    world.call("forgotPassword", 202, body={"email": "stranger@example.com"})
    world.call("forgotPassword", 202, body={"email": lay["email"]})
    world.call("resetPassword", 401, "bad_code", "code",
               body={"email": lay["email"], "code": "000000", "password": PASSWORD})
    world.call("resetPassword", 422, "password_too_short", "password",
               body={"email": lay["email"], "code": "000000", "password": "short"})
    world.call("resetPassword", 204, body={
        "email": lay["email"], "code": world.alice.mail_code(lay["email"]), "password": PASSWORD})
    world.token = world.call("authenticate", 200, body=login)["token"]
    other = world.call("authenticate", 200, body=login)["token"]
    session_stories(world)
    passkey_stories(world)
    newsletter_stories(world)
    privacy_stories(world)
    world.call("hatch", 422, "own_key_not_taken", "public_key", body={**lay, "public_key": "x"})
    world.call("hatch", 422, "email_not_ascii", "email", body={**lay, "email": "ä@example.com"})
    world.call("logout", 403, "session_needed", token=first["beak_key"])
    world.call("logout", 204, token=other, body={})
    world.stranger = world.alice.hatch("stranger@example.com", "Stranger", PASSWORD)


def login_as(world, email):
    return world.call("authenticate", 200, body={"email": email, "password": PASSWORD})["token"]


def session_stories(world):
    world.alice.hatch("sessions@example.com", "S", PASSWORD)
    one, two, three = (login_as(world, "sessions@example.com") for _ in range(3))
    listed = world.call("listSessions", 200, token=one)["sessions"]
    ended = next(s["session_id"] for s in listed if not s["current"])
    world.call("endSession", 204, token=one, path={"id": ended})
    world.call("endSession", 404, "not_found", token=one, path={"id": ended})
    world.call("endOtherSessions", 204, token=one)
    for name in ("listSessions", "endOtherSessions"):
        world.call(name, 403, "session_needed", token=world.first.key)
    world.call("endSession", 403, "session_needed", token=world.first.key, path={"id": ended})


def passkey_stories(world):
    place = {"rp": "localhost", "origin": f"http://localhost:{world.port}"}
    pages = ("passkeyPage", "passkeyScript", "passkeyPageScript", "powScript")
    docs = ("docsPage", "docsScript", "docsLicences") if DOCS else ()
    for name in pages + docs:
        world.call(name, 200)
        _, headers, _ = world.send(REFERENCE.operations[name])
        world.call(name, 304, headers={"If-None-Match": headers["etag"]})
    world.call("challengePasskey", 401, "unknown_bearer", token="sd_st_" + "a" * 43, body={})
    world.call("challengePasskey", 403, "session_needed", token=world.first.key, body={})

    def challenge(token=None):
        return world.call("challengePasskey", 200, token=token, body={})["challenge"]

    def add(status, error=None, field=None, key=None, name="laptop", **more):
        said = registration(key or Key(), challenge(world.token), **{**place, **more})
        return world.call("addPasskey", status, error, field, token=world.token,
                          body={"name": name, "passkey": said})

    key = Key()
    add(201, key=key)
    add(409, "passkey_known", "passkey", key=key)
    add(401, "bad_passkey", "passkey", origin="http://evil.example")
    add(422, "bad_member", "name", name="\u202e")
    world.call("addPasskey", 422, "bad_member", "passkey", token=world.token,
               body={"passkey": {}})
    world.call("addPasskey", 403, "session_needed", token=world.first.key,
               body={"passkey": registration(Key(), challenge(world.token), **place)})
    for _ in range(19):
        add(201)
    add(409, "too_many_passkeys")
    world.call("authenticate", 200, body={"passkey": assertion(key, challenge(), **place)})
    world.call("authenticate", 401, "bad_passkey", "passkey",
               body={"passkey": assertion(Key(), challenge(), **place)})
    listed = world.call("listPasskeys", 200, token=world.token)["passkeys"]
    id_ = {"id": listed[0]["passkey_id"]}
    world.call("listPasskeys", 403, "session_needed", token=world.first.key)
    world.call("removePasskey", 403, "session_needed", token=world.first.key, path=id_)
    world.call("removePasskey", 204, token=world.token, path=id_)
    world.call("removePasskey", 404, "not_found", token=world.token, path=id_)


def newsletter_stories(world):
    who = {"email": "reader@example.com"}
    world.call("subscribe", 202, body=who)
    world.call("subscribe", 422, "bad_email", "email", body={"email": "reader"})
    world.call("confirmNewsletter", 401, "bad_code", "code", body={**who, "code": "x"})
    done = world.call("confirmNewsletter", 200,
                      body={**who, "code": world.alice.mail_code(who["email"])})
    world.call("unsubscribe", 401, "bad_token", "token", body={**who, "token": "x"})
    world.call("unsubscribe", 204, body={**who, "token": done["unsubscribe_token"]})


def privacy_stories(world):
    world.alice.hatch("gone@example.com", "Gone", PASSWORD)
    token = login_as(world, "gone@example.com")
    told = world.call("export", 200, token=token)
    assert told["operator"]["email"] == "gone@example.com", told
    for name in ("export", "eraseAccount"):
        world.call(name, 403, "session_needed", token=world.first.key)
    world.call("eraseAccount", 204, token=token)
    world.call("export", 401, "unknown_bearer", token=token)


def captchas_that_are_asked_for(world, fake):
    asked = world.call("askCaptcha", 200)
    assert asked["provider"] == "pow", asked
    for name, more in (("hatch", {"display_name": "D"}), ("forgotPassword", {}), ("subscribe", {})):
        body = {"email": "c@example.com", **more}
        world.call(name, 422, "captcha_needed", "captcha_token", body=body)
        world.call(name, 422, "captcha_refused", "captcha_token",
                   body={**body, "captcha_token": asked["challenge"] + ".x"})


def captchas_that_nobody_verifies(world, fake):
    assert world.call("askCaptcha", 200)["provider"] == "turnstile"
    world.call("hatch", 503, "captcha_unavailable", body={
        "email": "c@example.com", "display_name": "D", "captcha_token": "t"})


def sessions_that_are_not_fresh(world, fake):
    base = sqlite3.connect(os.path.join(fake.state, "gateway.db"))
    with base:
        base.execute("UPDATE bearers SET created_ms = created_ms - 600000")
    base.close()
    world.call("eraseAccount", 403, "fresh_session_needed", token=world.token)
    world.call("addPasskey", 403, "fresh_session_needed",
               **filling(world, REFERENCE.operations["addPasskey"]))


def too_many_stories(world):
    """More passwords at once than there is room for."""
    address = "many@example.com"
    wrong = {"email": address, "password": "not the right one"}
    world.call("hatch", 202, body={"email": address, "display_name": "Many"})
    world.call("forgotPassword", 202, body={"email": "fleet@example.com"})
    bodies = {"authenticate": wrong,
              "hatch": {**wrong, "display_name": "Many"},
              "verify": {**wrong, "code": world.alice.mail_code(address)},
              "resetPassword": {"email": "fleet@example.com", "password": PASSWORD,
                                "code": world.alice.mail_code("fleet@example.com")}}
    with load_of_passwords(world, wrong):
        for name, body in bodies.items():
            operation = REFERENCE.operations[name]

            def is_refused():
                status, headers, text = world.send(operation, body=body)
                answer = world.judge(operation, status, headers, text, name)
                if status == 429:
                    world.codes.add((name, status, answer["error"]))
                return status == 429

            until(f"a 429 of {name}", is_refused)


@contextlib.contextmanager
def load_of_passwords(world, wrong):
    over = threading.Event()

    def ask():
        while not over.is_set():
            world.send(REFERENCE.operations["authenticate"], body=wrong)

    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        try:
            asking = [pool.submit(ask) for _ in range(24)]
            yield
        finally:
            over.set()
        for one in asking:
            one.result()


def peck_stories(world):
    one, two = world.first, world.stranger
    send = {"target": two.id, "action": "query"}
    waits = world.call("sendPeck", 202, token=one.key, body={**send, "payload": {"q": 1}})
    two.becomes(waits["peck_id"], "pending")
    world.call("sendPeck", 422, "missing_member", "action", token=one.key, body={"target": two.id})
    world.call("sendPeck", 404, "unknown_target", "target", token=one.key,
               body={**send, "target": NOBODY["duckling"]})
    world.call("sendPeck", 413, "too_large", "payload", token=one.key,
               body={**send, "payload": "x" * 262145})
    world.call("sendPeck", 400, "malformed", "action", token=one.key,
               body={**send, "action": "Not A Name"})
    two.post("/beak/profile", accepts_pecks=False)
    world.call("sendPeck", 403, "pecks_refused", token=one.key, body=send)
    two.post("/beak/profile", accepts_pecks=True)
    grant = two.node.command("grant", "make", "--from", two.id, "--to", one.id, "--scope",
                             "granted").stdout.strip()
    world.call("sendPeck", 403, "grant_refused", "grant", token=one.key, body={**send, "grant": grant})
    world.call("sendPeck", 422, "bad_member", "grant", token=one.key, body={**send, "grant": "none"})
    granted = world.call("sendPeck", 202, token=one.key,
                         body={**send, "action": "granted", "grant": grant})
    two.becomes(granted["peck_id"], "taken")
    for end in (one, two):
        assert world.call("getPeck", 200, token=end.key, path={"id": granted["peck_id"]})["grant"] == grant
    one.post("/beak/cancel", peck_id=granted["peck_id"])
    two.becomes(granted["peck_id"], "cancelled")
    keyed = {"Idempotency-Key": "two"}
    world.call("sendPeck", 202, token=one.key, body=send, headers=keyed)
    again = world.call("sendPeck", 202, token=one.key, body=send, headers=keyed)
    assert again["replayed"] is True, again
    world.call("sendPeck", 422, "idempotency_key_reused", "Idempotency-Key", token=one.key,
               body={**send, "payload": 2}, headers=keyed)
    page = world.call("listPecks", 200, token=one.key, query={"box": "out", "limit": 1})
    world.call("listPecks", 200, token=one.key,
               query={"cursor": page["next_cursor"], "state": "pending,queued"})
    newest = page["pecks"][0]["peck_id"]
    assert world.call("listPecks", 200, token=one.key, query={"box": "out", "after": newest})["pecks"] == []
    before = world.call("listPecks", 200, token=one.key, query={"box": "out", "limit": 2})["pecks"][1]["peck_id"]
    later = world.call("listPecks", 200, token=one.key, query={"box": "out", "after": before})["pecks"]
    assert [peck["peck_id"] for peck in later] == [newest], later
    world.call("listPecks", 404, "not_found", "after", token=one.key, query={"box": "in", "after": newest})
    world.call("listPecks", 422, "bad_member", "after", token=one.key, query={"after": "pck_up"})
    world.call("listPecks", 422, "bad_member", "box", token=one.key, query={"box": "up"})
    world.call("listPecks", 400, "malformed", "cursor", token=one.key, query={"cursor": "up"})
    world.call("getPeck", 200, token=two.key, path={"id": waits["peck_id"]})
    world.call("getPeck", 404, "not_found", token=one.key, path={"id": NOBODY["peck"]})
    world.call("getPeck", 404, "no_such_path", token=one.key, path={"id": "UP"})
    world.call("getPartials", 404, "not_found", token=one.key, path={"id": NOBODY["peck"]})

    # Under a bond: taken, answered in parts, and as a whole.
    one.bond_with(two, "query")
    sent = world.call("sendPeck", 202, token=one.key, body={**send, "thread": "t"})["peck_id"]
    two.becomes(sent, "taken")
    world.call("acknowledge", 409, "conflict", "peck_ids", token=two.key, body={"peck_id": sent})
    taken = world.call("takeInbox", 200, token=two.key, query={"wait": 5, "lease": 60})["pecks"]
    assert [p["peck_id"] for p in taken] == [sent], taken
    world.call("takeInbox", 422, "bad_member", "lease", token=two.key, query={"lease": 0})
    world.call("takeInbox", 403, "beak_key_needed", token=world.token)
    world.call("acknowledge", 403, "beak_key_needed", token=world.token, body={"peck_id": sent})
    world.call("acknowledge", 422, "missing_member", "peck_ids", token=two.key, body={})
    world.call("acknowledge", 404, "not_found", token=two.key, body={"peck_id": NOBODY["peck"]})
    world.call("acknowledge", 200, token=two.key, body={"peck_ids": [sent]})
    said = world.call("answerPeck", 200, token=two.key, body={"peck_id": sent, "partial": "a"})
    assert said["number"] == 1, said
    parts = world.call("getPartials", 200, token=one.key, path={"id": sent}, query={"wait": 5})
    assert parts["partials"][0]["partial"] == "a", parts
    world.call("answerPeck", 422, "missing_member", "result", token=two.key, body={"peck_id": sent})
    world.call("answerPeck", 413, "too_large", "result", token=two.key,
               body={"peck_id": sent, "result": "x" * 262145})
    world.call("answerPeck", 404, "not_found", "peck_id", token=one.key,
               body={"peck_id": sent, "result": 1})
    world.call("answerPeck", 200, token=two.key, body={"peck_id": sent, "result": None, "charge": 0})
    world.call("answerPeck", 409, "conflict", "peck_id", token=two.key,
               body={"peck_id": sent, "result": 1})
    one.becomes(sent, "answered")
    failed = world.call("sendPeck", 202, token=one.key, body=send)["peck_id"]
    two.becomes(failed, "taken")
    world.call("answerPeck", 200, token=two.key, body={"peck_id": failed, "problem": "no"})
    done = world.call("sendPeck", 200, token=one.key, headers={"Idempotency-Key": "three"},
                      body={**send, "target": world.second.id, "expires_in": 1, "wait": 5})
    assert done["status"] == "expired", done

    # Cancelled: what nobody has taken, and what somebody works on.
    world.call("cancelPeck", 422, "missing_member", "peck_id", token=one.key, body={})
    world.call("cancelPeck", 404, "not_found", "peck_id", token=one.key,
               body={"peck_id": NOBODY["peck"]})
    world.call("cancelPeck", 409, "conflict", "peck_id", token=one.key, body={"peck_id": sent})
    working = world.call("sendPeck", 202, token=one.key, body=send)["peck_id"]
    two.becomes(working, "taken")
    world.call("cancelPeck", 202, token=one.key, body={"peck_id": working})
    far = world.bob.hatch("far@example.com", "Far", PASSWORD)
    until("the far one", lambda: far.id in [d["duckling_id"] for d in world.alice.http(
        "GET", "/beak/directory")["ducklings"]])
    world.bob.kill()
    until("its node noticed as gone", lambda: world.alice.json(
        "peers", "--node", world.bob.id)["peers"][0]["link"] == "none")
    gone = world.call("sendPeck", 202, token=one.key, body={**send, "target": far.id})["peck_id"]
    world.call("cancelPeck", 200, token=one.key, body={"peck_id": gone})


def bond_stories(world):
    one, two = world.first, world.stranger

    def ask(scope="data.read"):
        wish = world.call("sendPeck", 202, token=one.key, body={
            "target_duckling_id": two.id, "peck_type": scope, "message": "may I?"})["peck_id"]
        two.becomes(wish, "pending")
        return wish

    for name in ("approvePeck", "denyPeck"):
        world.call(name, 404, "not_found", "peck_id", token=one.key, body={"peck_id": NOBODY["peck"]})
        world.call(name, 422, "bad_member", "peck_id", token=one.key, body={"peck_id": "x"})
    wish = ask()
    world.call("denyPeck", 200, token=two.key, body={"peck_id": wish, "reason": "not today"})
    world.call("denyPeck", 409, "conflict", "peck_id", token=two.key, body={"peck_id": wish})
    world.call("approvePeck", 409, "conflict", "peck_id", token=two.key, body={"peck_id": wish})
    one.becomes(wish, "denied")
    wish = ask()
    world.call("approvePeck", 422, "unknown_member", "limits", token=two.key,
               body={"peck_id": wish, "limits": {"colour": 1}})
    made = world.call("approvePeck", 200, token=two.key, body={
        "peck_id": wish, "scopes": ["data.*"], "not_after": "2099-01-01T00:00:00Z",
        "limits": {"rounds": 1, "cool_down": 3600, "per_day": 10, "stop_words": ["no"]}})
    one.becomes(wish, "approved")
    for duck in (one, two):
        bonds = world.call("listBonds", 200, token=duck.key)["bonds"]
        assert made["bond_id"] in [bond["bond_id"] for bond in bonds], bonds
    talk = {"target": two.id, "action": "data.read", "thread": "rounds"}
    world.call("sendPeck", 202, token=one.key, body=talk)
    world.call("sendPeck", 429, "bond_cooling_down", token=one.key, body=talk)
    id_ = {"id": made["bond_id"]}
    world.call("changeBond", 200, token=two.key, path=id_,
               body={"limits": {"cool_down": 0}, "muted": False})
    until("the terms to be told", lambda: next(
        b for b in one.get("/beak/bonds")["bonds"] if b["bond_id"] == made["bond_id"])[
            "limits"].get("cool_down") is None)
    world.call("sendPeck", 429, "bond_rounds", token=one.key, body=talk)
    world.call("changeBond", 422, "missing_member", token=two.key, path=id_, body={})
    world.call("changeBond", 404, "not_found", token=two.key, path={"id": NOBODY["bond"]},
               body={"muted": True})
    world.call("changeBond", 403, "not_allowed", token=one.key, path=id_, body={"muted": True})
    world.call("endBond", 422, "missing_member", "bond_id", token=one.key, body={})
    world.call("endBond", 404, "not_found", token=one.key, body={"bond_id": NOBODY["bond"]})
    world.call("endBond", 200, token=one.key, body={"bond_id": made["bond_id"]})


def grant_of_another_network(one, two):
    """By a key of its own, where there is no node that would know its network."""
    folder = os.path.join(one.node.state, "lake")
    key, config = folder + ".key", folder + ".ini"
    one.node.command("grant", "key", one.id, "--out", key)
    with open(config, "w", encoding="utf-8") as file:
        file.write("[node]\nnetwork = lake\n")
    done = subprocess.run([os.path.join(BIN, "ducknode"), "grant", "make", "--to", two.id, "--scope", "granted.read", "--further",
                           "1", "--key", key, "--config", config, "--state-dir", folder], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def known(world, name, **request):
    """Whoever has it is told so, by the tag of the form that it has."""
    tags = []
    for coding in ("identity", "gzip"):
        _, headers, _ = world.send(REFERENCE.operations[name], headers={"Accept-Encoding": coding}, **request)
        tags.append(headers["etag"])
        assert headers.get("content-encoding", "identity") in ("identity", coding), headers
        world.call(name, 304, headers={"If-None-Match": tags[-1]}, **request)
    world.call(name, 200, headers={"If-None-Match": '"another"'}, **request)
    return tags


def grant_stories(world):
    """One lets two peck it, two hands that on to a third, who is another one's."""
    one, two, third = world.first, world.stranger, world.second
    wish = {"holder": two.id, "scopes": ["granted.*"], "uses": 3, "further": 1}
    world.call("makeGrant", 422, "missing_member", "holder", token=one.key, body={"scopes": ["a"]})
    world.call("makeGrant", 422, "missing_member", "scopes", token=one.key, body={"holder": two.id})
    for member, wrong in (("holder", "x"), ("scopes", []), ("scopes", ["a"] * 9), ("scopes", ["A b"]),
                          ("uses", 0), ("uses", 10 ** 9 + 1), ("further", 8), ("not_after", "soon")):
        world.call("makeGrant", 422, "bad_member", member, token=one.key, body={**wish, member: wrong})
    world.call("makeGrant", 403, "grant_refused", "grant", token=one.key,
               body={**wish, "not_after": "2001-01-01T00:00:00.000Z"})
    keyed = {"Idempotency-Key": "grant"}
    made = world.call("makeGrant", 201, token=one.key, body=wish, headers=keyed)
    assert world.call("makeGrant", 201, token=one.key, body=wish, headers=keyed) == made
    world.call("makeGrant", 422, "idempotency_key_reused", "Idempotency-Key", token=one.key,
               body={**wish, "uses": 4}, headers=keyed)
    assert (made["target"], made["holder"], made["scopes"], made["uses"]) == (
        one.id, two.id, ["granted.*"], 3), made
    world.grant = grant = made["grant"]
    hand_on = {"grant": grant, "holder": third.id, "scopes": ["granted.read"], "uses": 1}
    world.call("narrowGrant", 403, "grant_refused", "grant", token=one.key, body=hand_on)
    world.call("narrowGrant", 403, "grant_refused", "grant", token=two.key, body={**hand_on, "uses": 9})
    world.call("narrowGrant", 422, "bad_member", "grant", token=two.key, body={**hand_on, "grant": "none"})
    narrow = world.call("narrowGrant", 201, token=two.key, body=hand_on)
    assert [block["issuer"] for block in narrow["blocks"]] == [one.id, two.id], narrow
    assert (narrow["uses"], narrow["scopes"]) == (1, ["granted.read"]), narrow

    def verify(reason=None, **more):
        told = world.call("verifyGrant", 200, body={"grant": narrow["grant"], **more})
        assert (told["valid"], told.get("reason")) == (reason is None, reason), told

    verify()
    verify(grant=narrow["grant"] + "\n")
    verify(action="granted.read", to=one.id)
    lake = grant_of_another_network(one, two)
    verify("other_network", grant=lake)
    world.call("narrowGrant", 403, "grant_refused", "grant", token=two.key, body={**hand_on, "grant": lake})
    verify("covers_not", action="granted.write")
    verify("other_holder", **{"from": two.id})
    verify("other_target", to=two.id)
    verify("ended", at="2099-01-01T00:00:00.000Z")
    verify("not_yet", at="2001-01-01T00:00:00.000Z")
    verify("malformed", grant="AAAA")
    world.call("verifyGrant", 422, "bad_member", "grant", body={"grant": "?"})
    sent = world.call("sendPeck", 202, token=third.key, body={
        "target": one.id, "action": "granted.read", "grant": narrow["grant"]})
    one.becomes(sent["peck_id"], "taken")
    known = world.call("listGrants", 200, token=one.key)["blocks"]
    assert {(b["block_id"], b["used"]) for b in known} >= {
        (block["block_id"], 1) for block in narrow["blocks"]}, known
    pages, page = [], world.call("listGrants", 200, token=one.key, query={"limit": 1})
    while "next_cursor" in page:
        pages += page["blocks"]
        page = world.call("listGrants", 200, token=one.key, query={"limit": 1, "cursor": page["next_cursor"]})
    assert pages + page["blocks"] == known, (pages, page, known)
    world.call("listGrants", 400, "malformed", "cursor", token=one.key, query={"cursor": "1.up"})
    world.call("listGrants", 422, "bad_member", "limit", token=one.key, query={"limit": 201})
    first, last = (block["block_id"] for block in narrow["blocks"])
    world.call("revokeGrant", 403, "not_allowed", "grant", token=third.key, body={"grant": narrow["grant"]})
    world.call("revokeGrant", 403, "not_allowed", "block_id", token=two.key,
               body={"grant": narrow["grant"], "block_id": first})
    world.call("revokeGrant", 404, "not_found", "block_id", token=one.key,
               body={"grant": narrow["grant"], "block_id": "grt_" + "b" * 32})
    told = world.call("revokeGrant", 202, token=two.key, body={"grant": narrow["grant"]})
    assert told["block_id"] == last and told["status"] == "sent", told
    two.becomes(told["peck_id"], "answered")
    told = world.call("revokeGrant", 200, token=one.key, body={"grant": narrow["grant"], "block_id": first})
    assert told == {"block_id": first, "status": "revoked"}, told
    revoked = {b["block_id"] for b in world.call("listGrants", 200, token=one.key)["blocks"]
               if "revoked_at" in b}
    assert revoked >= {first, last}, revoked
    world.call("sendPeck", 403, "grant_refused", "grant", token=two.key, body={
        "target": one.id, "action": "granted.read", "grant": grant})


def lobster_stories(world):
    one, two, token = world.first, world.stranger, world.token
    other = login_as(world, "stranger@example.com")
    acts = {"with": two.id, "duckling_id": one.id}

    def shown():
        return until("both to know the string", lambda: two.get("/beak/lobster")["lobsters"]
                     and two.get("/beak/lobster/" + one.id).get("string"))

    assert world.call("listLobsters", 200, token=one.key)["lobsters"] == []
    world.call("getLobster", 404, "not_found", token=one.key, path={"id": two.id})
    for name, more in (("beginLobster", {}), ("confirmLobster", {"string": "1234-5678"}),
                       ("breakLobster", {})):
        world.call(name, 403, "session_needed", token=one.key, body={"with": two.id, **more})
        world.call(name, 422, "missing_member", "with", token=token, body={**more})
        world.call(name, 422, "bad_member", "with", token=token, body={"with": "x", **more})
    for name, more in (("confirmLobster", {"string": "1234-5678"}), ("breakLobster", {})):
        world.call(name, 404, "not_found", "with", token=token, body={**acts, **more})
    world.call("confirmLobster", 422, "missing_member", "string", token=token, body=acts)
    world.call("beginLobster", 404, "unknown_target", "with", token=token,
               body={**acts, "with": NOBODY["duckling"]})
    for lease in (4, 3601, "long"):
        world.call("beginLobster", 422, "bad_member", "lease", token=token, body={**acts, "lease": lease})
    world.call("beginLobster", 403, "not_allowed", "with", token=token,
               body={**acts, "with": world.second.id})
    one.bond_with(two)
    world.call("beginLobster", 403, "not_allowed", "duckling_id", token=token, body=acts)
    operator = vouch(world.pond, (one, two), [world.alice])
    for duck in (one, two):
        becomes([world.alice], duck, 2)
    keyed = {"Idempotency-Key": "lobster"}
    begun = world.call("beginLobster", 201, token=token, body={**acts, "lease": 60}, headers=keyed)
    assert begun["began_here"] and begun["lease"] == 60 and begun["with"] == two.id, begun
    assert world.call("beginLobster", 201, token=token, body={**acts, "lease": 60}, headers=keyed) == begun
    world.call("beginLobster", 409, "conflict", "with", token=token, body=acts)
    string = shown()
    wrong = f"{string[:8]}{(int(string[8]) + 1) % 10}"
    world.call("confirmLobster", 409, "string_differs", "string", token=token,
               body={**acts, "string": wrong})
    until("the other end to be over as well", lambda: not two.get("/beak/lobster")["lobsters"])
    world.call("beginLobster", 201, token=token, body=acts)
    string = shown()
    here = world.call("getLobster", 200, token=one.key, path={"id": two.id})
    assert here["string"] == string, here
    assert here["missing"] == ["own_confirmation", "other_confirmation"], here
    done = world.call("confirmLobster", 200, token=token, body={**acts, "string": string})
    assert (done["status"], done["missing"]) == ("confirmed", ["other_confirmation"]), done
    there = world.call("getLobster", 200, token=other, path={"id": one.id})
    assert (there["status"], there["missing"]) == ("shown", ["own_confirmation"]), there
    world.call("confirmLobster", 409, "conflict", "with", token=token, body={**acts, "string": string})
    live = world.call("confirmLobster", 200, token=other,
                      body={"with": one.id, "string": string.replace("-", " ")})
    assert (live["status"], live["missing"]) == ("live", []), live
    assert len(world.call("listLobsters", 200, token=token, query={"duckling_id": one.id})["lobsters"]) == 1
    ended = world.call("breakLobster", 200, token=token, body=acts)
    assert ended == {"duckling_id": one.id, "with": two.id, "status": "ended"}, ended
    world.call("breakLobster", 404, "not_found", "with", token=token, body=acts)
    vouchers_that_are_taken_back(world, operator, one, two)


def vouchers_that_are_taken_back(world, operator, one, two):
    """Whoever searches sees it, of the one and not of the other."""
    take_back(world.pond, two, world.alice)
    becomes([world.alice], two, 1)
    entry = world.call("getDirectoryEntry", 200, path={"id": two.id})
    [taken_back] = entry["taken_back"]
    assert taken_back["operator_id"] == operator and entry["tier"] == "T1", entry
    assert "operator-verified" in entry["tier_missing"], entry
    entries = {e["duckling_id"]: e for e in world.call("searchDirectory", 200)["ducklings"]}
    assert entries[two.id]["taken_back"] == [taken_back], entries[two.id]
    assert "taken_back" not in entries[one.id] and entries[one.id]["tier"] == "T2", entries[one.id]


def directory_stories(world):
    page = world.call("searchDirectory", 200, query={"limit": 1, "tier_min": "T0"})
    if "next_cursor" in page:
        world.call("searchDirectory", 200, query={"cursor": page["next_cursor"]})
    world.call("searchDirectory", 422, "bad_member", "tier_min", query={"tier_min": "T9"})
    world.call("getDirectoryEntry", 200, path={"id": world.first.id})
    known(world, "getDirectoryEntry", path={"id": world.first.id})
    world.call("getDirectoryEntry", 404, "not_found", path={"id": NOBODY["duckling"]})
    world.call("setProfile", 200, token=world.first.key,
               body={"bio": "Knows the sky.", "capabilities": ["weather.now"]})
    world.call("setProfile", 422, "bad_member", "bio", token=world.first.key,
               body={"bio": "x" * 1025})
    world.call("pulse", 200, token=world.first.key, body={})
    own = {"duckling_id": world.second.id}
    told = world.call("pulse", 200, token=world.token, body=own, query=own)
    assert told["duckling_id"] == world.second.id, told


def certificate_stories(world):
    own = world.call("getOwnCertificate", 200, token=world.first.key)
    for id_ in (own["duckling_id"], own["certificate_id"], world.alice.id):
        world.call("getCertificate", 200, path={"id": id_})
    world.call("getCertificate", 404, "not_found", path={"id": NOBODY["certificate"]})
    tags = known(world, "getCertificate", path={"id": own["duckling_id"]})
    assert len(set(tags)) == 2, "each coding is a form of its own"
    known(world, "getOwnCertificate", token=world.first.key)
    for form in ("json", "jwk", "did", "raw", "jws"):
        world.call("getOwnCertificate", 200, token=world.first.key, query={"format": form})
        world.call("getCertificate", 200, path={"id": own["duckling_id"]}, query={"format": form})
    world.call("getCertificate", 422, "bad_member", "format", path={"id": own["duckling_id"]}, query={"format": "pem"})
    world.call("getCertificate", 422, "bad_member", "format", path={"id": own["certificate_id"]}, query={"format": "jws"})
    world.call("getCertificate", 404, "not_hosted_here", path={"id": NOBODY["duckling"]}, query={"format": "jws"})
    known(world, "getKeySet")
    chain = own["chain"]
    judged = world.call("verifyCertificate", 200, body={"chain": chain})
    assert judged["valid"] and judged["certificate_id"] == own["certificate_id"], judged
    did = own["certificates"][-1]["did"]
    assert world.call("verifyCertificate", 200, body={"chain": chain, "did": did})["valid"]
    other = did[:-1] + ("2" if did[-1] != "2" else "3")
    for body in ({"chain": chain, "did": other}, {"chain": chain, "at": "2000-01-01T00:00:00Z"},
                 {"chain": chain[:-8] + "AAAAAAA="}):
        judged = world.call("verifyCertificate", 200, body=body)
        assert not judged["valid"] and judged["reason"], judged
    world.call("verifyCertificate", 422, "bad_member", "chain", body={"chain": "?"})
    world.call("verifyCertificate", 422, "missing_member", "chain", body={})
    third = world.call("hatch", 201, body={"display_name": "Third"}, token=world.token)
    body = {"duckling_id": third["duckling_id"], "reason": "its key was stolen"}
    world.call("revokeCertificate", 422, "bad_member", "reason", token=world.token,
               body={**body, "reason": "x" * 257})
    ended = world.call("revokeCertificate", 200, token=world.token, body=body)
    assert not ended["valid"] and ended["revocation_reason"] == body["reason"], ended
    shown = {"chain": ended["chain"], "revocation": ended["revocation"]}
    judged = world.call("verifyCertificate", 200, body=shown)
    assert not judged["valid"] and judged["reason"] == "it is revoked", judged
    before = {**shown, "at": ended["certificates"][-1]["issued_at"]}
    assert world.call("verifyCertificate", 200, body=before)["valid"]
    world.call("verifyCertificate", 200, body={**shown, "revocation": "AAAA"})
    again = world.call("revokeCertificate", 200, token=world.token, body=body)
    assert again == ended, again
    world.call("pulse", 409, "conflict", token=third["beak_key"], body={})
    world.call("endBond", 409, "conflict", token=third["beak_key"],
               body={"bond_id": NOBODY["bond"]})
    world.call("changeBond", 409, "conflict", token=third["beak_key"],
               path={"id": NOBODY["bond"]}, body={"muted": True})
    world.call("revokeCertificate", 404, "not_found", token=world.token,
               body={"duckling_id": NOBODY["duckling"]})


def webhook_stories(world):
    one, receiver = world.first, world.receiver
    hook = {"url": receiver.url("/hook"), "events": ["peck", "key_rotated"]}
    made = world.call("addWebhook", 201, token=one.key, body={
        **hook, "filter": {"action": "data.*", "tier_min": 0}, "enabled": True})
    for field, value in (("url", "ftp://example.com/"), ("events", ["quack"]), ("filter", {"tier_min": 9})):
        world.call("addWebhook", 422, "bad_member", field, token=one.key, body={**hook, field: value})
    world.call("addWebhook", 422, "missing_member", "url", token=one.key, body={"events": ["peck"]})
    for _ in range(14):
        world.call("addWebhook", 201, token=world.token, body=hook)
    last = {"id": world.call("addWebhook", 201, token=world.token, body=hook)["webhook_id"]}
    world.call("addWebhook", 409, "too_many_webhooks", token=world.token, body=hook)
    id_ = {"id": made["webhook_id"]}
    none = {"id": "whk_" + "b" * 16}
    world.call("dropWebhook", 204, token=world.token, path=last)
    for name in ("getWebhook", "dropWebhook", "listDeliveries", "listDeadLetters"):
        world.call(name, 404, "not_found", token=world.token, path=none)
    for name, body in (("changeWebhook", {"enabled": True}), ("testWebhook", {}),
                       ("rotateWebhookSecret", {})):
        world.call(name, 404, "not_found", token=world.token, path=none, body=body)
    assert len(world.call("listWebhooks", 200, token=world.token)["webhooks"]) == 15
    world.call("getWebhook", 200, token=one.key, path=id_)
    world.call("changeWebhook", 422, "missing_member", token=one.key, path=id_, body={})
    world.call("rotateWebhookSecret", 422, "bad_member", "overlap", token=one.key, path=id_,
               body={"overlap": 604801})
    world.call("rotateWebhookSecret", 200, token=one.key, path=id_, body={"overlap": 60})
    sent = world.call("testWebhook", 202, token=one.key, path=id_, body={"event": "peck"})
    told = receiver.wait(1)[0][3]
    assert not REFERENCE.faults({"$ref": "#/components/schemas/Event"}, told), told
    done = until("the delivery", lambda: world.call(
        "listDeliveries", 200, token=one.key, path=id_, query={"state": "delivered"})["deliveries"])
    assert done[0]["event_id"] == sent["event_id"], done
    world.call("listDeliveries", 422, "bad_member", "state", token=one.key, path=id_,
               query={"state": "lost"})
    world.call("listDeadLetters", 200, token=one.key, path=id_)
    one_of = {**id_, "delivery_id": done[0]["delivery_id"]}
    world.call("resendDelivery", 202, token=one.key, path=one_of, body={})
    world.call("resendDelivery", 404, "not_found", token=one.key, body={},
               path={**id_, "delivery_id": "dlv_999999"})
    world.call("changeWebhook", 200, token=one.key, path=id_, body={"enabled": False})
    world.call("resendDelivery", 409, "webhook_off", token=one.key, path=one_of, body={})
    world.call("testWebhook", 409, "webhook_off", token=one.key, path=id_, body={})
    failing = world.call("addWebhook", 201, token=one.key,
                         body={**hook, "url": receiver.url("/fails")})["webhook_id"]
    world.call("testWebhook", 202, token=one.key, path={"id": failing}, body={})
    waits = until("an attempt", lambda: [d for d in world.call(
        "listDeliveries", 200, token=one.key, path={"id": failing})["deliveries"] if d["log"]])
    world.call("resendDelivery", 409, "conflict", token=one.key, body={},
               path={"id": failing, "delivery_id": waits[0]["delivery_id"]})


def event_stories(world):
    """A stream does not end: its head and its first events are looked at."""
    operation = REFERENCE.operations["streamEvents"]
    line = http.client.HTTPConnection("127.0.0.1", world.port, timeout=20)
    line.request("GET", operation.target(query={"after": "evt_" + "a" * 26, "events": "hatch"}),
                 headers={"Authorization": "Bearer " + world.first.key})
    answer = line.getresponse()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    headers.pop("transfer-encoding")
    world.judge(operation, answer.status, headers, b"", "a stream")
    text = b""
    while text.count(b"\n\n") < 3:
        text += answer.read1(4096)
    blocks = text.decode().split("\n\n")
    assert blocks[0] == "retry: 3000" and blocks[1].startswith("event: reset\n"), blocks
    event = json.loads(blocks[2].split("data: ", 1)[1])
    assert not REFERENCE.faults({"$ref": "#/components/schemas/Event"}, event), event
    answer.close()
    line.close()
    world.call("streamEvents", 422, "bad_member", "events", token=world.first.key,
               query={"events": "quack"})


def audit_stories(world):
    page = world.call("listAudit", 200, token=world.first.key, query={"limit": 2})
    world.call("listAudit", 200, token=world.first.key, query={"cursor": page["next_cursor"]})
    world.call("listAudit", 200, token=world.token, query={"format": "csv", "limit": 2})
    world.call("listAudit", 422, "bad_member", "kind", token=world.token, query={"kind": "quack"})


STORIES = (status_stories, account_stories, too_many_stories, peck_stories, bond_stories,
           grant_stories, lobster_stories, directory_stories, certificate_stories, webhook_stories, event_stories, audit_stories)


# ---- what all operations share ----

def filling(world, operation):
    """A request that gets as far as the handler: path, bearer and a body of the right shape."""
    token = None
    if "beakKey" in operation.bearers:
        token = world.first.key
    elif "session" in operation.bearers and None not in operation.bearers:
        token = world.token
    ids = {"/beak/pecks/{id}": NOBODY["peck"], "/beak/partials/{id}": NOBODY["peck"],
           "/beak/bonds/{id}": NOBODY["bond"], "/beak/certificate/{id}": NOBODY["certificate"]}
    request = {"token": token}
    if operation.path.startswith("/beak/webhooks/"):
        request["path"] = {"id": "whk_" + "b" * 16, "delivery_id": "dlv_1"}
    elif "{id}" in operation.path:
        request["path"] = {"id": ids.get(operation.path, NOBODY["duckling"])}
    if operation.body:
        content = next(iter(operation.body["content"].values()))
        request["body"] = content["example"] if "example" in content else \
            next(iter(content["examples"].values()))["value"]
        if "grant" in request["body"]:  # a reference cannot show one that holds
            request["body"] = {**request["body"], "grant": world.grant}
    return request


def refuse_what_is_refused_everywhere(world):
    for operation in REFERENCE.operations.values():
        good = filling(world, operation)
        name = operation.name
        bare = {key: value for key, value in good.items() if key != "body"}
        world.call(name, 400, "malformed", target=operation.target(good.get("path")) + "?a=%zz",
                   token=good["token"], raw=b"{}" if operation.body else None)
        world.call(name, 403, "foreign_origin", **good,
                   headers={"Origin": "http://evil.example"})
        world.call(name, 421, "foreign_host", **good, headers={"Host": "evil.example"})
        world.call(name, 413, "too_large", **bare, raw=b"", headers={"Content-Length": LARGE})
        world.call(name, 422, "unknown_member", "colour", **good, query={"colour": "red"})
        if operation.body:
            world.call(name, 400, "malformed", **bare, raw=b"{")
            world.call(name, 415, "not_json", **bare, raw=b"{}",
                       headers={"Content-Type": "text/plain"})
            world.call(name, 422, "unknown_member", "colour", **bare, body={"colour": "red"})
        elif 415 not in operation.answers:
            world.call(name, 400, "malformed", **bare, raw=b"{}")
        refuse_bearers(world, operation, good)
        refuse_ducklings(world, operation, good)


def refuse_bearers(world, operation, good):
    if None in operation.bearers:
        return
    rest = {key: value for key, value in good.items() if key != "token"}
    world.call(operation.name, 401, "no_bearer", **rest)
    world.call(operation.name, 401, "bad_bearer", **rest, token="x")
    world.call(operation.name, 401, "unknown_bearer", **rest, token="sd_bk_" + "a" * 43)


def refuse_ducklings(world, operation, good):
    """Whoever may name a duckling names one that is not its own."""
    if "duckling_id" not in operation.names("query"):
        return
    rest = {key: value for key, value in good.items() if key not in ("token", "body")}
    # `duckling_id` of an example's body is not what is meant here.
    body = {k: v for k, v in good["body"].items() if k != "duckling_id"} if "body" in good else None
    other = {"duckling_id": world.stranger.id}
    if "beakKey" in operation.bearers:
        world.call(operation.name, 403, "not_allowed", "duckling_id", **rest, body=body, query=other,
                   token=world.first.key)
    world.call(operation.name, 404, "not_found", "duckling_id", **rest, body=body, query=other,
               token=world.token)
    world.call(operation.name, 422, "bad_member", "duckling_id", **rest, body=body,
               query={"duckling_id": "x"}, token=world.token)
    if "duckling_id" in (operation.members or ()) and operation.name != "endBond":
        for told in (world.second.id, 7):
            world.call(operation.name, 400, "malformed", "duckling_id", **rest, token=world.token,
                       body={**body, "duckling_id": told}, query={"duckling_id": world.first.id})


class FakeNodeWorld:
    """The accounts of alice's gateway, behind which there is a node that says what it is told to."""

    def __init__(self, world, limits="all=off", more=()):
        self.world, self.limits, self.more = world, limits, more

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="duckgate-")
        state = os.path.join(self.folder, "state")
        shutil.copytree(os.path.join(self.world.alice.state, "gateway"), state)
        url = os.path.join(self.folder, "url")
        self.node = FakeNode(self.folder).__enter__()
        self.process = subprocess.Popen(
            [os.path.join(BIN, "duckgate"), "--listen", "127.0.0.1:0", "--state-dir", state,
             "--socket", self.node.path, "--url-file", url, "--limits", self.limits, *self.more],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until("the gateway's URL", lambda: os.path.exists(url) and open(url).read())
        self.state = state
        self.port, self.world.port = self.world.port, int(open(url).read().rsplit(":", 1)[1])
        until("the node", lambda: self.world.send(REFERENCE.operations["readiness"])[0] == 200)
        return self

    def __exit__(self, *_):
        self.world.port = self.port
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(40)
        self.node.__exit__()
        shutil.rmtree(self.folder, ignore_errors=True)


def asks_the_node(operation):
    return 504 in operation.answers


def nodes_that_say_something_else(world, fake):
    """What a node's no, or no answer, becomes: for every operation that asks it."""
    asking = [o for o in REFERENCE.operations.values() if asks_the_node(o)]

    def fill(operation):
        # Who hatches with a session has no code to spend.
        good = filling(world, operation)
        if operation.name == "hatch":
            good = {"token": world.token, "body": {"display_name": "Third"}}
        if operation.name == "rotate":  # the beak key is the gateway's own affair
            good["body"] = {"what": "identity"}
        if operation.name == "verify":
            email = f"v{time.monotonic_ns()}@example.com"
            world.send(REFERENCE.operations["hatch"],
                       body={"email": email, "display_name": "V", "password": PASSWORD})
            good["body"] = {"email": email, "code": mail_code(os.path.join(fake.state, "mail"), email)}
        return good

    for answer, status, code in ((WRONG, 502, "protocol"), (problem("news"), 502, "protocol"),
                                 (problem("busy"), 503, "busy"),
                                 (problem("store_failed"), 503, "store_failed")):
        fake.node.says = answer
        for operation in asking:
            world.call(operation.name, status, code, **fill(operation))
    for code in ("not_hosted_here",):
        fake.node.says = problem(code, field="duckling")
        for operation in asking:
            if code in operation.codes(404) if 404 in operation.answers else False:
                world.call(operation.name, 404, **fill(operation))
    fake.node.says = SILENCE
    with concurrent.futures.ThreadPoolExecutor(len(asking)) as pool:
        list(pool.map(lambda o: world.call(o.name, 504, "timeout", **fill(o)), asking))


def operators_without_a_duckling(world, fake):
    """Such as one whose ducklings were all taken away."""
    base = sqlite3.connect(os.path.join(fake.state, "gateway.db"))
    with base:
        base.execute("DELETE FROM ducklings")
    base.close()
    fake.node.says = problem("busy")  # for those that would ask it
    for operation in REFERENCE.operations.values():
        if 409 in operation.answers and "duckling_id" in operation.names("query"):
            good = filling(world, operation)
            status, headers, text = world.send(operation, **{**good, "token": world.token})
            if status == 409:
                world.call(operation.name, 409, "no_duckling", **{**good, "token": world.token})


def orders_under_way(world, fake):
    """A key, or a code, whose first request is not answered yet."""
    fake.node.says = SILENCE
    keyed = {"Idempotency-Key": "under way"}
    hatch = {"token": world.token, "body": {"display_name": "Slow"}, "headers": keyed}
    email = "slow@example.com"
    world.send(REFERENCE.operations["hatch"],
               body={"email": email, "display_name": "V", "password": PASSWORD})
    verify = {"body": {"email": email, "code": mail_code(os.path.join(fake.state, "mail"), email)}}
    waiting = []
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for name, request in (("hatch", hatch), ("verify", verify)):
            fake.node.asked.clear()
            first = pool.submit(world.send, REFERENCE.operations[name], **request)
            assert fake.node.asked.wait(10)
            world.call(name, 409, "conflict", **request)
            waiting.append(first)
        for first in waiting:
            first.result()


def gateways_that_stop(world, fake):
    """Each operation, on a connection that was there before: 503, and it ends."""
    fake.node.says = SILENCE

    def health(line):
        line.request("GET", "/healthz")
        answer = line.getresponse()
        answer.read()
        return 503 if answer.will_close else answer.status  # it began to stop while it answered

    def connect():
        line = http.client.HTTPConnection("127.0.0.1", world.port, timeout=60)
        assert health(line) == 200
        return line

    lines = {operation.name: connect() for operation in REFERENCE.operations.values()}
    goods = {name: filling(world, REFERENCE.operations[name]) for name in lines}
    watch = connect()

    def ask(name):
        operation, good = REFERENCE.operations[name], goods[name]
        headers = {"Authorization": "Bearer " + good["token"]} if good["token"] else {}
        body = json.dumps(good["body"]) if "body" in good else None
        lines[name].request(operation.method, operation.target(good.get("path")), body, headers)

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        fake.node.asked.clear()
        waiting = pool.submit(world.send, REFERENCE.operations["networkMetrics"])
        assert fake.node.asked.wait(10)
        fake.process.send_signal(signal.SIGTERM)
        until("the gateway to stop", lambda: health(watch) == 503)
        watch.close()
        for name in lines:  # all at once: it ends soon
            ask(name)
        for name, line in lines.items():
            answer = line.getresponse()
            text = answer.read()
            got = {key.lower(): value for key, value in answer.getheaders()}
            assert answer.status == 503, (name, answer.status, text)
            refused = world.judge(REFERENCE.operations[name], 503, got, text, name)
            world.codes.add((name, 503, refused["error"]))
            line.close()
        status, _, text = waiting.result()
        assert status == 503, (status, text)
        waiting.result()


# ---- the tests ----

def the_table_of_routes_and_the_reference_say_the_same():
    table = subprocess.run([os.path.join(BIN, "tests", "route_table")], capture_output=True,
                           check=True)
    routes = {(r["method"], r["path"]): r for r in json.loads(table.stdout)}
    operations = {(o.method, o.path): o for o in REFERENCE.operations.values()}
    assert routes.keys() == operations.keys(), (
        f"not described: {sorted(routes.keys() - operations.keys())}; "
        f"not served: {sorted(operations.keys() - routes.keys())}")
    bearers = {"all": {None}, "either": {None, "session"}, "bearer": {"session", "beakKey"},
               "beak_key": {"beakKey"}}
    for key, route in routes.items():
        operation = operations[key]
        members = None if route["members"] is None else sorted(route["members"].split())
        described = operation.members
        assert members == (None if described is None else sorted(described)), (key, described)
        assert sorted((route["query"] or "").split()) == sorted(operation.names("query")), key
        assert ("Idempotency-Key" in operation.names("header")) == route["creates"], key
        who = operation.bearers
        assert who == bearers[route["who"]] or (route["who"] == "bearer" and who == {"session"}), \
            (key, who)
        assert operation.spec["tags"][0] in [t["name"] for t in REFERENCE.document["tags"]], key


def every_object_says_all_of_its_members():
    open_ones = []

    def look(schema, where):
        if isinstance(schema, dict):
            if schema.get("type") == "object" and "properties" in schema and \
                    schema.get("additionalProperties") is not False:
                open_ones.append(where)
            for name, part in schema.items():
                look(part, f"{where}/{name}")
        if isinstance(schema, list):
            for part in schema:
                look(part, where)

    look(REFERENCE.document["components"]["schemas"], "schemas")
    assert not open_ones, open_ones
    for operation in REFERENCE.operations.values():
        for status, answer in operation.answers.items():
            for type_, media in answer.get("content", {}).items():
                assert "example" in media or "examples" in media, (operation.name, status)
                example = json.loads(json.dumps(media.get("example")))
                faults = REFERENCE.faults(media["schema"], example)
                assert not faults, (operation.name, status, faults)


def what_can_fail_does():
    """The judge itself: an answer with one thing wrong is found out."""
    operation = REFERENCE.operations["health"]
    good = ({"content-type": "application/json", "x-request-id": "req_" + "0" * 15},
            b'{"status":"ok"}')
    assert not REFERENCE.judge(operation, 200, *good)
    assert REFERENCE.judge(operation, 200, good[0], b'{"status":"ok","colour":"red"}')
    assert REFERENCE.judge(operation, 200, good[0], b'{}')
    assert REFERENCE.judge(operation, 200, {**good[0], "x-colour": "red"}, good[1])
    assert REFERENCE.judge(operation, 200, {"content-type": "application/json"}, good[1])
    assert REFERENCE.judge(operation, 200, {**good[0], "content-type": "text/html"}, good[1])
    assert REFERENCE.judge(operation, 418, *good)


def who_calls_too_often_is_told_when_to_come_again(world):
    for operation in REFERENCE.operations.values():
        if 429 in operation.answers and "rate_limited" in operation.codes(429):
            stranger = {**filling(world, operation), "token": None}
            world.send(operation, **stranger)
            world.call(operation.name, 429, "rate_limited", **stranger)


def every_operation_answers_as_the_reference_says():
    world = World()
    with Pond("alice", "bob", limits="all=6000", extra="webhook_allow = 127.0.0.1/32\n") as pond, \
            Receiver(lambda path, headers, event: 500 if path == "/fails" else 204) as receiver:
        world.receiver = receiver
        world.pond = pond
        world.alice, world.bob, world.port = pond.alice, pond.bob, pond.alice.gateway_port
        for story in STORIES:
            story(world)
        refuse_what_is_refused_everywhere(world)
        with FakeNodeWorld(world) as fake:
            nodes_that_say_something_else(world, fake)
            orders_under_way(world, fake)
            gateways_that_stop(world, fake)
        with FakeNodeWorld(world) as fake:
            operators_without_a_duckling(world, fake)
        with FakeNodeWorld(world, more=("--captcha", "pow")) as fake:
            captchas_that_are_asked_for(world, fake)
            sessions_that_are_not_fresh(world, fake)
        secret = os.path.join(pond.folder, "secret")
        with open(os.open(secret, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
            file.write("s")
        with FakeNodeWorld(world, more=(
                "--captcha", "turnstile", "--captcha-secret-file", secret,
                "--captcha-verify-url", "http://127.0.0.1:1/")) as fake:
            captchas_that_nobody_verifies(world, fake)
        with FakeNodeWorld(world, limits="all=1"):
            who_calls_too_often_is_told_when_to_come_again(world)
    documented = {(o.name, status) for o in REFERENCE.operations.values() for status in o.answers}
    assert world.seen == documented, \
        f"documented, and never seen: {sorted(documented - world.seen)}"
    said = {code for _, _, code in world.codes}
    codes = {code for o in REFERENCE.operations.values() for s in o.answers for code in o.codes(s)}
    missing = codes - said - NOT_PROVOKED.keys()
    assert not missing, f"documented, and never said: {sorted(missing)}"
    print(f"      {len(REFERENCE.operations)} operations, {len(documented)} statuses, "
          f"{len(said)} codes", flush=True)


def every_path_takes_its_methods_and_no_others():
    methods = ("GET", "POST", "PUT", "PATCH", "DELETE", "TRACE")
    with Pond("alice") as pond:
        world = World()
        world.port = pond.alice.gateway_port
        problem_ = REFERENCE.document["components"]["schemas"]["Problem"]
        for path in REFERENCE.document["paths"]:
            taken = {o.method for o in REFERENCE.operations.values() if o.path == path}
            target = re.sub(r"\{[a-z_]+\}", "x", path)
            some = next(o for o in REFERENCE.operations.values() if o.path == path)
            for method in methods:
                if method in taken:
                    continue
                status, headers, text = world.send(some, method=method, target=target)
                assert status == 405, (method, path, status)
                assert taken <= set(headers["allow"].split(", ")), (path, headers)
                assert "OPTIONS" in headers["allow"], headers
                assert not REFERENCE.faults(problem_, json.loads(text)), text
            status, headers, _ = world.send(some, method="OPTIONS", target=target)
            assert status == 204 and taken <= set(headers["allow"].split(", ")), (path, headers)
            if "HEAD" in headers["allow"] and None in some.bearers and "{" not in path:
                whole = world.send(some)[1]
                status, head, text = world.send(some, method="HEAD")
                assert status == 200 and not text, path
                assert head["content-type"] == whole["content-type"], path
                assert head["content-length"], path


if __name__ == "__main__":
    run(the_table_of_routes_and_the_reference_say_the_same,
        every_object_says_all_of_its_members,
        what_can_fail_does,
        every_operation_answers_as_the_reference_says,
        every_path_takes_its_methods_and_no_others)
