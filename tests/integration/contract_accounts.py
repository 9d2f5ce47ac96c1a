"""Stories of accounts: hatching, sessions, passkeys, the newsletter, erasure, captchas."""

import concurrent.futures
import contextlib
import os
import sqlite3
import threading

from authenticator import Key, assertion, registration
from contract_world import PASSWORD, REFERENCE, filling, login_as
from pond import Duck, until
from reference import DOCS


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
    world.call("hatch", 422, "bad_member", "public_key", body={**lay, "public_key": "x"})
    world.call("hatch", 422, "missing_member", "proof", body={**lay, "public_key": "A" * 43 + "="})
    world.call("hatch", 422, "bad_member", "proof", body={**lay, "proof": "AAAA"})
    world.call("hatch", 422, "email_not_ascii", "email", body={**lay, "email": "ä@example.com"})
    world.call("logout", 403, "session_needed", token=first["beak_key"])
    world.call("logout", 204, token=other, body={})
    world.stranger = world.alice.hatch("stranger@example.com", "Stranger", PASSWORD)


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
