"""Events by webhook, from a real node through a real gateway to real receivers."""

import base64
import hashlib
import hmac
import json
import os
import signal
import socket
import subprocess
import time

from pond import BIN, Pond, Refused, refusal, run, until
from packages import verdicts
from receiver import Receiver
from stream import Stream

ALLOW = "webhook_allow = 127.0.0.1/32\n"


def verified_by_npm(deliveries):
    """What the official packages say of each."""
    return verdicts("webhook_verify", deliveries)


def ed25519_is_good(hook, headers, body):
    """v1a, by openssl: SubjectPublicKeyInfo of Ed25519 (RFC 8410) is a fixed head and the key."""
    signature = [s[4:] for s in headers["webhook-signature"].split() if s.startswith("v1a,")][0]
    key = bytes.fromhex("302a300506032b6570032100") + base64.b64decode(hook["public_key"][5:])
    folder = os.path.join(os.path.dirname(os.path.abspath(BIN)), "webhook_verify")
    os.makedirs(folder, exist_ok=True)
    files = {"key.der": key, "signature": base64.b64decode(signature),
             "text": f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()}
    for name, data in files.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)
    done = subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey",
                           "key.der", "-rawin", "-in", "text", "-sigfile", "signature"],
                          cwd=folder, capture_output=True, text=True, timeout=20)
    return "Verified Successfully" in done.stdout


def deliveries_are_signed_as_the_official_packages_want_it():
    with Pond("alice", extra=ALLOW) as pond, Receiver() as receiver:
        duck = pond.alice.hatch("owner@example.com", "Duck")
        hook = duck.post("/beak/webhooks", url=receiver.url("/hook"), events=["peck", "key_rotated"])
        assert hook["secret"].startswith("whsec_") and hook["public_key"].startswith("whpk_"), hook
        assert hook["filter"] == {"duckling_id": duck.id}, hook
        path = "/beak/webhooks/" + hook["webhook_id"]
        assert "secret" not in duck.get(path)
        sent = duck.post(path + "/test")
        assert sent["state"] == "waiting" and sent["event"] == "peck", sent
        [(_, first, body, event, _)] = receiver.wait(1)
        assert first["x-space-duck-event"] == "peck" and event["type"] == "peck", event
        assert event["id"] == first["webhook-id"] == sent["event_id"] and event["data"]["test"]
        assert first["x-space-duck-signature"] == "sha256=" + hmac.new(
            hook["secret"].encode(), body.encode(), hashlib.sha256).hexdigest()
        assert ed25519_is_good(hook, first, body)
        assert not ed25519_is_good(hook, first, body + " ")
        # Rotated: for a time both secrets sign, then the new one alone.
        rotated = duck.post(path + "/rotate-secret", overlap=60)
        assert rotated["secret"] != hook["secret"] and rotated["previous_secret_until"], rotated
        duck.post(path + "/test", event="key_rotated")
        second = receiver.wait(2)[1]
        at_once = duck.post(path + "/rotate-secret", overlap=0)
        assert "previous_secret_until" not in at_once, at_once
        duck.post(path + "/test")
        third = receiver.wait(3)[2]
        told = [{"secret": secret, "body": came[2], "headers": came[1]} for secret, came in (
            (hook["secret"], receiver.came[0]), (hook["secret"], second),
            (rotated["secret"], second), (at_once["secret"], third), (rotated["secret"], third))]
        good = {"takes": True, "refuses": True}
        verdicts = verified_by_npm(told)
        for verdict in verdicts[:4]:
            assert verdict == {"standardwebhooks": good, "svix": good}, verdicts
        assert not verdicts[4]["standardwebhooks"]["takes"], "the secret before has ended"
        # Nothing that is kept shows the secret.
        for name in os.listdir(os.path.join(pond.alice.state, "gateway")):
            place = os.path.join(pond.alice.state, "gateway", name)
            if os.path.isfile(place):
                kept = open(place, "rb").read()
                for secret in (hook["secret"], rotated["secret"], at_once["secret"]):
                    assert secret.encode() not in kept, name
                    assert base64.b64decode(secret[6:]) not in kept, name


def what_happens_is_told_to_both_ends_once_by_stream_and_by_webhook():
    with Pond("alice", "bob", extra=ALLOW) as pond, Receiver() as receiver:
        anna = pond.alice.hatch("anna@example.com", "Anna")
        bert = pond.bob.hatch("bert@example.com", "Bert")
        until("bert at alice", lambda: anna.get("/beak/directory", q="Bert")["directory"]
              if "directory" in anna.get("/beak/directory", q="Bert")
              else [e for e in pond.alice.json("directory")["entries"] if e["duckling"] == bert.id])
        names = ["peck", "peck_answered", "bond", "unpeck", "tier_change"]
        for duck in (anna, bert):
            duck.post("/beak/webhooks", url=receiver.url("/" + duck.id), events=names)
        stream = Stream(pond.bob, bert.key)
        assert stream.status == 200 and stream.headers["content-type"] == "text/event-stream"
        assert stream.block() == "retry: 3000"
        anna.bond_with(bert)
        asked = anna.post("/beak/peck", target=bert.id, action="query", payload={"n": 1})
        taken = bert.get("/beak/inbox", wait=20)["pecks"][0]
        bert.post("/beak/answer", peck_id=taken["peck_id"], result={"n": 2})
        anna.becomes(asked["peck_id"], "answered")
        seen = []
        while not any(name == "tier_change" for _, name, _ in seen):
            seen.append(stream.event())
        bond = anna.get("/beak/bonds")["bonds"][0]["bond_id"]
        anna.post("/beak/unpeck", bond_id=bond)

        while not any(name == "unpeck" for _, name, _ in seen):
            seen.append(stream.event())
        told = [(name, event["data"].get("state")) for _, name, event in seen
                if name != "tier_change"]
        assert told == [("peck", "pending"), ("bond", None), ("peck", "taken"), ("unpeck", None)], seen
        tiers = [event["data"] for _, name, event in seen if name == "tier_change"]
        assert tiers[0] == {"duckling_id": bert.id, "tier": "T1", "was": "T0"}, tiers
        peck = [event for _, name, event in seen if name == "peck"][1]
        assert peck["data"] == {"duckling_id": bert.id, "with": anna.id, "peck_id": asked["peck_id"],
                                "kind": "action", "action": "query", "state": "taken"}, peck
        # The same events, under the same ids, by webhook: each once.
        of_bert = receiver.wait(4, lambda came: came[0] == "/" + bert.id
                                and came[3]["type"] != "tier_change")
        assert sorted(came[3]["id"] for came in of_bert) == sorted(
            id for id, name, _ in seen if name != "tier_change")
        of_anna = receiver.wait(4, lambda came: came[0] == "/" + anna.id
                                and came[3]["type"] != "tier_change")
        kinds = sorted((came[3]["type"], came[3]["data"].get("state", "")) for came in of_anna)
        assert kinds == [("bond", ""), ("peck_answered", "answered"), ("peck_answered", "approved"),
                         ("unpeck", "")], kinds
        answered = [came[3]["data"] for came in of_anna if came[3]["data"].get("state") == "answered"]
        assert answered[0]["action"] == "query" and answered[0]["with"] == bert.id, answered
        # Who comes back with the last id gets what came after it; a foreign id is told so.
        again = Stream(pond.bob, bert.key, last_id=seen[0][0])
        assert again.event() == seen[1]
        lost = Stream(pond.bob, bert.key, last_id="evt_" + "a" * 26)
        assert lost.event()[1:] == ("reset", {"reason": "unknown_id"})
        assert lost.event()[1] == "hatch", "all that is kept follows"
        only = Stream(pond.bob, bert.key, query="?events=unpeck,bond&after=" + seen[0][0])
        assert only.event()[1] == "bond" and only.event()[1] == "unpeck"
        for line in (stream, again, lost, only):
            line.close()
        refusal(lambda: bert.get("/beak/events", events="quack"), 422, "bad_member", "events")
        refusal(lambda: bert.get("/beak/events", duckling_id=anna.id), 403, field="duckling_id")


def filters_let_through_what_they_say():
    with Pond("alice", extra=ALLOW) as pond, Receiver() as receiver:
        anna = pond.alice.hatch("anna@example.com", "Anna")
        bert = pond.alice.hatch("bert@example.com", "Bert")
        session = pond.alice.http("POST", "/beak/auth", {"email": "bert@example.com",
                                                         "password": "a long enough password"})
        token = session["token"]

        def hook(path, **body):
            return pond.alice.http("POST", "/beak/webhooks", {"url": receiver.url(path), **body},
                                   token=token)

        hook("/all", events=["peck"])
        hook("/data", events=["peck"], filter={"action": "data.*"})
        hook("/query", events=["peck"], filter={"peck_type": "query"})
        hook("/high", events=["peck"], filter={"tier_min": 3})
        second = pond.alice.http("POST", "/beak/hatch", {"display_name": "Second"}, token=token)
        hook("/second", events=["peck"], filter={"duckling_id": second["duckling_id"]})
        anna.bond_with(bert, "*")
        for action in ("query", "data.read", "other"):
            anna.post("/beak/peck", target=bert.id, action=action, payload={})
        receiver.wait(4, lambda came: came[0] == "/all")
        receiver.wait(1, lambda came: came[0] == "/query")
        receiver.wait(1, lambda came: came[0] == "/data")
        # The last that is told: whatever else was to come before it did.
        pond.alice.http("POST", "/beak/webhooks/" + hook("/end", events=["peck"])["webhook_id"]
                        + "/test", {}, token=token)
        receiver.wait(1, lambda came: came[0] == "/end")
        actions = {}
        for path, _, _, event, _ in receiver.came:
            actions.setdefault(path, []).append(event["data"].get("action", "bond"))
        # A bond request has no action: a pattern for actions keeps it away.
        assert sorted(actions["/all"]) == ["bond", "data.read", "other", "query"], actions
        assert actions["/data"] == ["data.read"] and actions["/query"] == ["query"], actions
        assert "/high" not in actions and "/second" not in actions, actions
        # A beak key sees and makes webhooks of its own duckling alone.
        assert bert.get("/beak/webhooks")["webhooks"] == []
        assert len(pond.alice.http("GET", "/beak/webhooks", token=token)["webhooks"]) == 6
        mine = bert.post("/beak/webhooks", url=receiver.url("/mine"), events=["peck"])
        assert [h["webhook_id"] for h in bert.get("/beak/webhooks")["webhooks"]] == [mine["webhook_id"]]
        refusal(lambda: anna.get("/beak/webhooks/" + mine["webhook_id"]), 404, "not_found")


def a_receiver_that_fails_is_tried_again_and_one_that_is_gone_is_not():
    failing = {}

    def answer(path, headers, event):
        failing[path] = failing.get(path, 0) + 1
        if path == "/gone":
            return 410
        if path == "/moved":
            return 307, {"Location": "/elsewhere"}
        return 503 if failing[path] == 1 else 200

    with Pond("alice", extra=ALLOW) as pond, Receiver(answer) as receiver:
        duck = pond.alice.hatch("owner@example.com", "Duck")

        def hook(path):
            made = duck.post("/beak/webhooks", url=receiver.url(path), events=["peck"])
            duck.post(f"/beak/webhooks/{made['webhook_id']}/test")
            return "/beak/webhooks/" + made["webhook_id"]

        flaky, gone, moved = hook("/flaky"), hook("/gone"), hook("/moved")
        first, second = receiver.wait(2, lambda came: came[0] == "/flaky")
        assert first[1]["webhook-id"] == second[1]["webhook-id"]
        late = int(second[1]["webhook-timestamp"]) - int(first[1]["webhook-timestamp"])
        assert 4 <= late <= 8, late
        [delivery] = until("the end of it", lambda: duck.get(
            flaky + "/deliveries", state="delivered")["deliveries"])
        assert [a["status"] for a in delivery["log"]] == [200, 503], delivery
        assert delivery["attempts"] == 2 and "next_attempt_at" not in delivery
        # 410: the webhook is off, and says why; a redirect is a failure, and is not followed.
        until("the webhook to be gone", lambda: duck.get(gone)["state"] == "gone")
        [dead] = duck.get(gone + "/dead")["deliveries"]
        assert dead["state"] == "dead" and dead["log"][0]["status"] == 410, dead
        refusal(lambda: duck.post(gone + "/test"), 409, "webhook_off")
        [waiting] = duck.get(moved + "/deliveries")["deliveries"]
        until("the redirect to have failed", lambda: duck.get(
            moved + "/deliveries")["deliveries"][0]["log"])
        [waiting] = duck.get(moved + "/deliveries")["deliveries"]
        assert waiting["state"] == "waiting" and waiting["log"][-1]["status"] == 307, waiting
        assert not any(came[0] == "/elsewhere" for came in receiver.came)
        # Sent again by hand: under its id.
        resend = f"{gone}/deliveries/{dead['delivery_id']}/resend"
        refusal(lambda: duck.post(resend), 409, "webhook_off")
        on = pond.alice.http("PATCH", gone, {"enabled": True, "url": receiver.url("/back")},
                             token=duck.key)
        assert on["state"] == "on", on
        duck.post(resend)
        receiver.wait(2, lambda came: came[0] == "/back")
        back = [came for came in receiver.came if came[0] == "/back"]
        assert {came[1]["webhook-id"] for came in back} == {dead["event_id"]}
        refusal(lambda: duck.post(flaky + "/deliveries/dlv_999999/resend"), 404)
        refusal(lambda: duck.post(flaky + f"/deliveries/{dead['delivery_id']}/resend"), 404)
        assert pond.alice.http("DELETE", moved, token=duck.key) is None
        refusal(lambda: duck.get(moved), 404, "not_found")


def a_dead_receiver_does_not_hold_up_the_others():
    with Pond("alice", extra=ALLOW) as pond, Receiver() as receiver, socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(64)  # takes connections, and never answers
        duck = pond.alice.hatch("owner@example.com", "Duck")
        hooks = [duck.post("/beak/webhooks", events=["peck"], url=url) for url in (
            f"http://127.0.0.1:{deaf.getsockname()[1]}/", receiver.url("/"))]
        for _ in range(20):
            duck.post(f"/beak/webhooks/{hooks[0]['webhook_id']}/test")
        started = time.monotonic()
        for _ in range(20):
            duck.post(f"/beak/webhooks/{hooks[1]['webhook_id']}/test")
        receiver.wait(20, seconds=10)
        assert time.monotonic() - started < 10


def where_no_webhook_may_go():
    with Pond("alice", extra="webhook_allow = 127.0.0.1/32\n") as pond, Receiver() as receiver:
        duck = pond.alice.hatch("owner@example.com", "Duck")

        def add(url):
            return duck.post("/beak/webhooks", url=url, events=["peck"])

        for url in ("https://10.0.0.1/", "https://[::1]/", "https://169.254.169.254/latest",
                    "https://[::ffff:10.0.0.1]/", "https://0x0a.1/", "https://167772161/",
                    "https://[64:ff9b::a00:1]/", "http://93.184.216.34/", "https://93.184.216.34:22/",
                    "ftp://example.com/", "https://user:secret@example.com/", "https://example.com/#a",
                    "/relative", "https://", "https://ex ample.com/", "https://example.com/" + "a" * 2048,
                    "javascript:alert(1)", "file:///etc/passwd", "https://user@127.0.0.1:1@10.0.0.1/"):
            refusal(lambda: add(url), 422, "bad_member", "url")
        # What a name turns out to be is judged when it is called. `localhost` is ::1, too, here or
        # there; the allow list has 127.0.0.1 alone.
        name = add(f"http://localhost:{receiver.port}/")
        path = "/beak/webhooks/" + name["webhook_id"]
        duck.post(path + "/test")
        log = until("an attempt", lambda: duck.get(path + "/deliveries")["deliveries"][0]["log"])
        assert log[0].get("status") == 204 or "not a public" in log[0]["error"], log


def bodies_are_judged_member_by_member():
    with Pond("alice", extra=ALLOW) as pond:
        duck = pond.alice.hatch("owner@example.com", "Duck")
        good = {"url": "https://example.com/", "events": ["peck"]}

        def add(**changes):
            body = {key: value for key, value in {**good, **changes}.items() if value != "gone"}
            return lambda: duck.post("/beak/webhooks", **body)

        refusal(add(url="gone"), 422, "missing_member", "url")
        refusal(add(events="gone"), 422, "missing_member", "events")
        refusal(add(events=[]), 422, "bad_member", "events")
        refusal(add(events=["quack"]), 422, "bad_member", "events")
        refusal(add(events="peck"), 422, "bad_member", "events")
        refusal(add(url=7), 422, "bad_member", "url")
        refusal(add(filter=[]), 422, "bad_member", "filter")
        refusal(add(filter={"other": 1}), 422, "unknown_member", "filter")
        refusal(add(filter={"action": "Data"}), 422, "bad_member", "filter")
        refusal(add(filter={"action": "data*"}), 422, "bad_member", "filter")
        refusal(add(filter={"action": "a", "peck_type": "a"}), 422, "bad_member", "filter")
        refusal(add(filter={"tier_min": 4}), 422, "bad_member", "filter")
        refusal(add(filter={"duckling_id": "dkl_" + "a" * 32}), 422, "bad_member", "filter")
        refusal(add(enabled="yes"), 422, "bad_member", "enabled")
        for number in range(16):
            hook = add()()
        refusal(add(), 409, "too_many_webhooks")
        path = "/beak/webhooks/" + hook["webhook_id"]
        refusal(lambda: duck.post(path + "/rotate-secret", overlap=604801), 422, field="overlap")
        refusal(lambda: duck.post(path + "/test", event="quack"), 422, field="event")
        refusal(lambda: pond.alice.http("PATCH", path, {}, token=duck.key), 422, "missing_member")
        refusal(lambda: duck.get(path + "/deliveries", state="lost"), 422, field="state")
        refusal(lambda: duck.get(path + "/deliveries", cursor="x"), 422, field="cursor")
        refusal(lambda: duck.get("/beak/webhooks/whk_none"), 404, "not_found")
        refusal(lambda: duck.post("/beak/webhooks/whk_none/test"), 404, "not_found")
        refusal(lambda: pond.alice.http("GET", "/beak/webhooks"), 401)
        off = pond.alice.http("PATCH", path, {"enabled": False, "events": ["bond"]}, token=duck.key)
        assert off["state"] == "off" and off["events"] == ["bond"] and not off["enabled"], off


def nothing_is_lost_or_told_under_another_id_when_either_is_killed():
    """kill -9 of the gateway and of the node while pecks come: every peck is one event, one id."""
    with Pond("alice", extra=ALLOW) as pond, Receiver() as receiver:
        node = pond.alice
        node.stop()
        node.start()  # from here on its gateway's port is the same in each life
        anna, bert = node.hatch("anna@example.com", "Anna"), node.hatch("bert@example.com", "Bert")
        anna.bond_with(bert, "*")
        bert.post("/beak/webhooks", url=receiver.url("/"), events=["peck"])
        sent = set()
        for number in range(60):
            if number in (20, 40):
                gateway = int(open(os.path.join(node.state, "gateway.pid")).read())
                os.kill(gateway, signal.SIGKILL)
            if number == 30:
                node.kill()
                node.start()
            def give():
                try:
                    return anna.post("/beak/peck", headers={"Idempotency-Key": f"n{number}"},
                                     target=bert.id, action="count", payload={"n": number})
                except (OSError, Refused):
                    return None
            sent.add(until("the peck to be taken", give)["peck_id"])
        def told():
            return {came[3]["data"]["peck_id"] for came in receiver.came} >= sent
        until("every peck to be told", told, 40)
        ids = {}
        for _, headers, _, event, _ in receiver.came:
            ids.setdefault(event["data"]["peck_id"], set()).add(headers["webhook-id"])
        assert all(len(of_one) == 1 for of_one in ids.values()), ids


if __name__ == "__main__":
    run(deliveries_are_signed_as_the_official_packages_want_it,
        what_happens_is_told_to_both_ends_once_by_stream_and_by_webhook,
        filters_let_through_what_they_say,
        a_receiver_that_fails_is_tried_again_and_one_that_is_gone_is_not,
        a_dead_receiver_does_not_hold_up_the_others,
        where_no_webhook_may_go,
        bodies_are_judged_member_by_member,
        nothing_is_lost_or_told_under_another_id_when_either_is_killed)
