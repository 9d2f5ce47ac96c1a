"""Operators and what is theirs: sessions, the newsletter, what is kept of them, and their end."""

import json
import os
import subprocess

from pond import BIN, Pond, Refused, run, until

PASSWORD = "securepassword123"


def refusal(question, status, code, field=None):
    try:
        answer = question()
    except Refused as refused:
        assert refused.status == status and refused.body["error"] == code, refused
        assert not field or refused.body["field"] == field, refused
        return refused
    raise AssertionError(f"not refused: {answer}")


def session(node, email, password=PASSWORD):
    return node.http("POST", "/beak/auth", {"email": email, "password": password})["token"]


def kept_bytes(node):
    """Everything in the gateway's folder, and its mail."""
    folder, found = os.path.join(node.state, "gateway"), {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            with open(path, "rb") as file:
                found[path] = file.read()
    return found


def where(node, *needles):
    return [(path, needle) for path, data in kept_bytes(node).items() for needle in needles
            if needle.encode().lower() in data.lower()]


def a_session_is_listed_and_ended():
    with Pond("alice") as pond:
        node = pond.alice
        duck = node.hatch("a@example.com", "A", PASSWORD)
        first, second = session(node, "a@example.com"), session(node, "a@example.com")
        listed = node.http("GET", "/beak/sessions", token=second)["sessions"]
        assert len(listed) == 2 and [s["current"] for s in listed] == [True, False], listed
        assert all(s["began_by"] == "password" and s["session_id"].startswith("ses_")
                   for s in listed), listed
        refusal(lambda: node.http("GET", "/beak/sessions", token=duck.key), 403, "session_needed")
        for name in ("ses_0000000000000000", "ses_x", "psk_0000000000000000"):
            refusal(lambda: node.http("DELETE", "/beak/sessions/" + name, token=second), 404,
                    "not_found")
        other = node.hatch("b@example.com", "B", PASSWORD)
        stranger = session(node, "b@example.com")
        refusal(lambda: node.http("DELETE", "/beak/sessions/" + listed[1]["session_id"],
                                  token=stranger), 404, "not_found")
        status, text, _ = node.http("DELETE", "/beak/sessions/" + listed[1]["session_id"],
                                    token=second, raw=True)
        assert status == 204 and text == b"", text
        refusal(lambda: node.http("GET", "/beak/sessions", token=first), 401, "unknown_bearer")
        third = session(node, "a@example.com")
        node.http("DELETE", "/beak/sessions", token=third, raw=True)
        refusal(lambda: node.http("GET", "/beak/sessions", token=second), 401, "unknown_bearer")
        assert len(node.http("GET", "/beak/sessions", token=third)["sessions"]) == 1
        assert node.http("GET", "/beak/sessions", token=stranger)["sessions"]
        assert duck.get("/beak/spaceducks") and other.get("/beak/spaceducks")


def what_is_wrong_with_a_key_of_ones_own_is_refused_by_name():
    with Pond("alice") as pond:
        node = pond.alice
        lay = {"email": "a@example.com", "display_name": "A"}
        refusal(lambda: node.http("POST", "/beak/hatch", {**lay, "public_key": "MCowBQ"}), 422,
                "bad_member", "public_key")
        refusal(lambda: node.http("POST", "/beak/hatch", {**lay, "proof": "x"}), 422,
                "bad_member", "proof")
        refusal(lambda: node.http("POST", "/beak/hatch", {**lay, "email": "ä@example.com"}), 422,
                "email_not_ascii", "email")


def the_newsletter_goes_to_whoever_confirmed_it():
    with Pond("alice") as pond:
        node = pond.alice

        def newsletter():
            done = subprocess.run([os.path.join(BIN, "duckgate"), "--newsletter", "--state-dir",
                                   os.path.join(node.state, "gateway")],
                                  capture_output=True, text=True, timeout=20)
            assert done.returncode == 0, done.stderr
            return done.stdout.splitlines()

        def post(path, **body):
            return node.http("POST", "/beak/newsletter/" + path, body)

        asked = post("subscribe", email="Reader@example.com")
        assert asked["status"] == "verify" and asked["expires_at"], asked
        assert newsletter() == ["email,confirmed_at,unsubscribe_token"]
        code = node.mail_code("Reader@example.com")
        wrong = "000000" if code != "000000" else "000001"
        refusal(lambda: post("confirm", email="reader@example.com", code=wrong), 401, "bad_code",
                "code")
        refusal(lambda: post("confirm", email="stranger@example.com", code=code), 401, "bad_code",
                "code")
        made = post("confirm", email="reader@example.com", code=code)
        assert made["status"] == "subscribed", made
        lines = newsletter()
        assert len(lines) == 2, lines
        email, date, token = lines[1].split(",")
        assert email == "Reader@example.com" and date.endswith("Z"), lines
        assert token == made["unsubscribe_token"], lines
        # Whoever has it already is answered alike.
        again = post("subscribe", email="reader@example.com")
        assert {**again, "expires_at": ""} == {**asked, "expires_at": ""}, again
        refusal(lambda: post("unsubscribe", email="reader@example.com", token="x"), 401,
                "bad_token", "token")
        refusal(lambda: post("unsubscribe", email="other@example.com", token=token), 401,
                "bad_token", "token")
        node.http("POST", "/beak/newsletter/unsubscribe",
                  {"email": "READER@example.com", "token": token}, raw=True)
        assert len(newsletter()) == 1
        assert not where(node, token)


def everything_is_told_and_nothing_is_left():
    with Pond("alice", "bob") as pond:
        node = pond.alice
        duck = node.hatch("gone@example.com", "Going Duck", PASSWORD, bio="a life story")
        friend = pond.bob.hatch("friend@example.com", "Friend", PASSWORD)
        until("the friend's directory", lambda: [
            e for e in pond.alice.http("GET", "/beak/directory")["ducklings"]
            if e["duckling_id"] == friend.id])
        until("bob's directory", lambda: [
            e for e in pond.bob.http("GET", "/beak/directory")["ducklings"]
            if e["duckling_id"] == duck.id])
        duck.bond_with(friend)
        token = session(node, "gone@example.com")
        node.http("POST", "/beak/newsletter/subscribe", {"email": "gone@example.com"})
        node.http("POST", "/beak/newsletter/confirm",
                  {"email": "gone@example.com", "code": node.mail_code("gone@example.com")})
        node.http("POST", "/beak/hatch", {"email": "gone@example.com", "display_name": "Egg"})

        refusal(lambda: duck.get("/beak/export"), 403, "session_needed")
        told = node.http("GET", "/beak/export", token=token)
        assert told["operator"]["email"] == "gone@example.com", told["operator"]
        assert told["operator"]["password_set"] and told["operator"]["newsletter_since"], told
        assert told["operator"]["eggs"] == 1 and told["operator"]["codes"] == 1, told["operator"]
        assert len(told["sessions"]) == 1 and told["passkeys"] == [], told
        (one,) = told["ducklings"]
        assert one["duckling_id"] == duck.id and one["directory"]["bio"] == "a life story", one
        assert [b["with"] for b in one["bonds"]] == [friend.id], one["bonds"]
        assert one["pecks_are_all"] and one["pecks"][0]["message"] == "may I?", one["pecks"]
        assert duck.key not in json.dumps(told) and PASSWORD not in json.dumps(told)

        assert where(node, "gone@example.com")
        refusal(lambda: node.http("DELETE", "/beak/account", token=duck.key), 403,
                "session_needed")
        status, text, _ = node.http("DELETE", "/beak/account", token=token, raw=True)
        assert status == 204 and text == b"", (status, text)

        left = where(node, "gone@example.com", "gone@", "Going Duck")
        assert not left, left
        refusal(lambda: node.http("GET", "/beak/sessions", token=token), 401, "unknown_bearer")
        refusal(lambda: duck.get("/beak/spaceducks"), 401, "unknown_bearer")
        refusal(lambda: session(node, "gone@example.com"), 401, "bad_credentials")
        until("the bond's end at the other side",
              lambda: not friend.get("/beak/bonds")["bonds"])
        entry = until("the emptied profile", lambda: (
            lambda e: e if e["display_name"] == "erased" else None)(
                pond.bob.http("GET", "/beak/directory/" + duck.id)))
        assert not entry.get("bio") and entry["accepts_pecks"] is False, entry
        # The address is anybody's again.
        node.hatch("gone@example.com", "Back", PASSWORD)


def one_whose_duckling_can_say_nothing_any_more_is_erased_like_any_other():
    with Pond("alice") as pond:
        node = pond.alice
        duck = node.hatch("gone@example.com", "Gone Duck", PASSWORD, bio="a life story")
        token = session(node, "gone@example.com")
        duck.post("/beak/certificate/revoke", reason="lost")
        refusal(lambda: duck.post("/beak/profile", bio="another life"), 409, "conflict")
        status, text, _ = node.http("DELETE", "/beak/account", token=token, raw=True)
        assert status == 204 and text == b"", (status, text)
        left = where(node, "gone@example.com", "Gone Duck")
        assert not left, left
        refusal(lambda: node.http("GET", "/beak/sessions", token=token), 401, "unknown_bearer")


def nothing_is_erased_while_the_node_is_away():
    with Pond("alice") as pond:
        node = pond.alice
        node.hatch("a@example.com", "A", PASSWORD)
        token = session(node, "a@example.com")
        node.kill()
        refusal(lambda: node.http("DELETE", "/beak/account", token=token), 503, "unreachable")
        node.start()
        assert node.http("GET", "/beak/sessions", token=token)["sessions"]
        node.http("DELETE", "/beak/account", token=token, raw=True)
        refusal(lambda: node.http("GET", "/beak/sessions", token=token), 401, "unknown_bearer")


run(a_session_is_listed_and_ended,
    what_is_wrong_with_a_key_of_ones_own_is_refused_by_name,
    the_newsletter_goes_to_whoever_confirmed_it,
    everything_is_told_and_nothing_is_left,
    one_whose_duckling_can_say_nothing_any_more_is_erased_like_any_other,
    nothing_is_erased_while_the_node_is_away)
