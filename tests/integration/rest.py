"""The REST surface as its users write it: the published examples, operators with sessions, agents
with beak keys; on one node where one is enough."""

import datetime
import http.client
import json
import os
import signal
import socket
import subprocess
import time
import urllib.parse

from pond import Pond, Refused, b64, run, until

PASSWORD = "securepassword123"


def refusal(question, status, code=None, field=None):
    try:
        answer = question()
    except Refused as refused:
        assert refused.status in (status if isinstance(status, tuple) else (status,)), refused
        if code:
            assert refused.body["error"] == code, refused
        if field:
            assert refused.body["field"] == field, refused
        return refused
    raise AssertionError(f"not refused: {answer}")


def curl(node, path, body, *flags):
    done = subprocess.run(
        ["curl", "-sS", "-X", "POST", node.url + path, "-H", "Content-Type: application/json",
         "-d", body, *flags], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def raw(node, method, path, body=b"", token=None):
    """Sends a request and does not read the answer."""
    line = socket.create_connection(("127.0.0.1", node.gateway_port), timeout=20)
    line.sendall(method + b" " + path + b" HTTP/1.1\r\nHost: localhost\r\n"
                 + (b"Authorization: Bearer " + token.encode() + b"\r\n" if token else b"")
                 + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    return line


def waits(node):
    """How many requests wait at the node for something to happen: long polls, above all."""
    return node.counter("ducknode_local_waits")


def session(node, email, password=PASSWORD):
    return node.http("POST", "/beak/auth", {"email": email, "password": password})


def the_published_examples_work_as_printed():
    with Pond("alice") as pond:
        node = pond.alice
        # Developer blog, "Calling the API with curl".
        laid = curl(node, "/beak/hatch", """{
            "email": "agent@example.com",
            "password": "securepassword123",
            "display_name": "My First Duck",
            "captcha_token": "YOUR_TURNSTILE_TOKEN"
          }""")
        assert laid["status"] == "verify" and laid["expires_at"].endswith("Z"), laid
        hatched = curl(node, "/beak/verify", """{
            "email": "agent@example.com",
            "code": "%s"
          }""" % node.mail_code("agent@example.com"))
        assert hatched["beak_key"].startswith("sd_bk_"), hatched
        assert hatched["duckling_id"].startswith("dkl_"), hatched
        assert hatched["certificate_id"].startswith("crt_") and hatched["tier"] == "T0", hatched
        # Developer hub, 1 to 4.
        assert curl(node, "/beak/hatch",
                    '{ "email": "you@example.com", "display_name": "My Agent" }')["status"] == "verify"
        other = curl(node, "/beak/verify", json.dumps(
            {"email": "you@example.com", "code": node.mail_code("you@example.com")}))
        opened = curl(node, "/beak/auth",
                      '{ "email": "agent@example.com", "password": "securepassword123" }')
        assert opened["token"].startswith("sd_st_") and opened["token_type"] == "Bearer", opened
        assert opened["access_token"] == opened["token"], opened
        assert [d["duckling_id"] for d in opened["ducklings"]] == [hatched["duckling_id"]], opened
        for bearer in (opened["token"], hatched["beak_key"]):
            sent = curl(node, "/beak/peck",
                        '{ "target": "%s", "action": "query", "payload": {} }' % other["duckling_id"],
                        "-H", "Authorization: Bearer " + bearer)
            assert sent["peck_id"].startswith("pck_") and sent["status"], sent
        metrics = until("the counters", lambda: (
            lambda m: m if m["ducklings"] == 2 else None)(node.http("GET", "/beak/metrics")))
        for member in ("ducklings", "birth_certificates", "connections", "eggs", "space_ducks",
                       "nodes", "pecks", "total_ducklings", "certs_issued", "this_node"):
            assert member in metrics, metrics
        assert metrics["nodes"] == 1 and metrics["this_node"]["birth_certificates"] == 2, metrics


def a_code_is_good_once_and_wrong_ones_say_nothing():
    with Pond("alice") as pond:
        node = pond.alice
        lay = {"email": "a@example.com", "display_name": "A", "password": PASSWORD}
        node.http("POST", "/beak/hatch", lay)
        code = node.mail_code("a@example.com")
        wrong = "000000" if code != "000000" else "000001"

        def verify(email, code):
            return node.http("POST", "/beak/verify", {"email": email, "code": code})

        one = refusal(lambda: verify("a@example.com", wrong), 401, "bad_code", "code")
        two = refusal(lambda: verify("stranger@example.com", code), 401, "bad_code", "code")
        assert one.body["detail"] == two.body["detail"]
        verify("a@example.com", code)
        refusal(lambda: verify("a@example.com", code), 401, "bad_code")
        refusal(lambda: session(node, "a@example.com", "another passphrase"), 401,
                "bad_credentials")
        refusal(lambda: session(node, "stranger@example.com"), 401, "bad_credentials")
        refusal(lambda: node.http("POST", "/beak/hatch", {**lay, "email": "nobody"}), 422,
                field="email")
        refusal(lambda: node.http("POST", "/beak/hatch", {**lay, "password": "short"}), 422,
                field="password")
        for name in ("", " ", "kcud\u202e", "a\u200bb"):
            refusal(lambda: node.http("POST", "/beak/hatch", {**lay, "display_name": name}), 422,
                    field="display_name")
        # Told port 0, and says which it became.
        assert node.json("status")["gateway_url"] == node.url


def an_operator_hatches_lists_and_acts_for_all_its_ducklings():
    with Pond("alice") as pond:
        node = pond.alice
        first = node.hatch("fleet@example.com", "First", PASSWORD)
        stranger = node.hatch("stranger@example.com", "Stranger", PASSWORD)
        token = session(node, "fleet@example.com")["token"]

        def post(path, query="", **body):
            return node.http("POST", path + query, body, token=token)

        def get(path, **query):
            return node.http("GET", path + "?" + urllib.parse.urlencode(query), token=token)

        status, text, _ = node.http("POST", "/beak/hatch", {"display_name": "Second"}, token=token,
                                    raw=True)
        second = json.loads(text)
        assert status == 201 and second["beak_key"].startswith("sd_bk_"), text
        assert b64(second["certificate"]["chain"]), second
        refusal(lambda: node.http("POST", "/beak/hatch", {"display_name": "No"}, token=first.key),
                403, "session_needed")

        ducks = get("/beak/spaceducks")["spaceducks"]
        assert [d["duckling_id"] for d in ducks] == [first.id, second["duckling_id"]], ducks
        assert all(d["tier"] == "T0" and d["bonds"] == 0 for d in ducks), ducks
        assert all("…" in d["beak_key"] and d["created_at"] for d in ducks), ducks
        page = get("/beak/spaceducks", limit=1)
        assert len(page["spaceducks"]) == 1, page
        rest = get("/beak/spaceducks", limit=1, cursor=page["next_cursor"])
        assert rest["spaceducks"][0]["duckling_id"] == second["duckling_id"], rest
        assert "next_cursor" not in rest, rest

        # Acts for the first unless told otherwise; never for one of somebody else's.
        asked = post("/beak/peck", "?duckling_id=" + second["duckling_id"],
                     target=stranger.id, action="query")
        asked = get("/beak/pecks/" + asked["peck_id"])
        assert asked["from"] == second["duckling_id"] and asked["payload"] == {}, asked
        other = post("/beak/peck", target=stranger.id, action="query")
        assert get("/beak/pecks/" + other["peck_id"])["from"] == first.id
        refusal(lambda: post("/beak/peck", target=first.id, action="query",
                             duckling_id=stranger.id), 404, "not_found", "duckling_id")
        refusal(lambda: stranger.post("/beak/peck", target=first.id, action="query",
                                      duckling_id=first.id), 403, "not_allowed")

        # The peck's id is enough to decide about it.
        wish = stranger.post("/beak/peck", target_duckling_id=second["duckling_id"],
                             peck_type="data.read", message="may I?")
        until("the request", lambda: get("/beak/pecks", state="pending", box="in",
                                         duckling_id=second["duckling_id"])["pecks"])
        assert get("/beak/pecks/" + wish["peck_id"])["message"] == "may I?"
        made = post("/beak/approve", peck_id=wish["peck_id"])
        assert made["status"] == "approved" and made["bond_id"].startswith("bnd_"), made
        stranger.becomes(wish["peck_id"], "approved")
        bonds = get("/beak/bonds", duckling_id=second["duckling_id"])["bonds"]
        assert [b["with"] for b in bonds] == [stranger.id], bonds
        assert bonds[0]["direction"] == "in" and bonds[0]["scopes"] == ["data.read"], bonds
        assert [d["bonds"] for d in get("/beak/spaceducks")["spaceducks"]] == [0, 1]
        ended = post("/beak/unpeck", bond_id=made["bond_id"])
        assert ended["status"] == "ended", ended
        until("the end of the bond at the other end", lambda: not stranger.get("/beak/bonds")["bonds"])
        refusal(lambda: post("/beak/unpeck", bond_id=made["bond_id"]), 404)
        refusal(lambda: stranger.get("/beak/pecks/" + asked["peck_id"][:-1] + "?"), 404)

        node.http("POST", "/beak/logout", {}, token=token, raw=True)
        refusal(lambda: get("/beak/spaceducks"), 401, "unknown_bearer")
        assert first.get("/beak/spaceducks")["spaceducks"]


def a_stranger_sees_neither_pecks_nor_inboxes():
    with Pond("alice") as pond:
        node = pond.alice
        one = node.hatch("one@example.com", "One", PASSWORD)
        two = node.hatch("two@example.com", "Two", PASSWORD)
        third = node.hatch("third@example.com", "Third", PASSWORD)
        token = session(node, "third@example.com")["token"]
        sent = one.post("/beak/peck", target=two.id, action="query", payload={"secret": 1})
        refusal(lambda: third.peck(sent["peck_id"]), 404, "not_found")
        refusal(lambda: node.http("GET", "/beak/pecks/" + sent["peck_id"], token=token), 404)
        two.becomes(sent["peck_id"], "pending")
        for path in ("/beak/approve", "/beak/deny", "/beak/cancel"):
            refused = refusal(lambda: third.post(path, peck_id=sent["peck_id"]), 404)
            refusal(lambda: node.http("POST", path, {"peck_id": sent["peck_id"]}, token=token),
                    404)
            assert "secret" not in json.dumps(refused.body)
        refusal(lambda: third.post("/beak/answer", peck_id=sent["peck_id"], result=1), 404)
        refusal(lambda: one.post("/beak/approve", peck_id=sent["peck_id"]), 404)
        refusal(lambda: node.http("GET", "/beak/inbox", token=token), 403, "beak_key_needed")
        assert third.get("/beak/pecks")["pecks"] == []


def a_strangers_peck_is_answered_like_one_that_is_not():
    with Pond("alice") as pond:
        node = pond.alice
        one = node.hatch("one@example.com", "One", PASSWORD)
        two = node.hatch("two@example.com", "Two", PASSWORD)
        third = node.hatch("third@example.com", "Third", PASSWORD)
        token = session(node, "third@example.com", PASSWORD)["token"]
        none = "pck_" + "b" * 32
        waits = one.post("/beak/peck", target=two.id, action="query")["peck_id"]
        done = one.post("/beak/peck", target=two.id, action="query")["peck_id"]
        two.becomes(waits, "pending")
        two.becomes(done, "pending")
        two.post("/beak/deny", peck_id=done)
        one.becomes(done, "denied")

        def look(path, peck, bearer):
            body = {"peck_ids": [peck]} if path == "/beak/inbox/ack" else {"peck_id": peck}
            if path == "/beak/answer":
                body["result"] = 1
            refused = refusal(lambda: node.http("POST", path, body, token=bearer), (403, 404))
            return refused.status, {n: v for n, v in refused.body.items() if n != "instance"}

        for path in ("/beak/approve", "/beak/deny", "/beak/cancel", "/beak/answer", "/beak/unpeck",
                     "/beak/inbox/ack"):
            for bearer in (third.key, token):
                assert look(path, waits, bearer) == look(path, none, bearer) \
                    == look(path, done, bearer), path
        # Its own ends hear what it is in the way of.
        refusal(lambda: two.post("/beak/approve", peck_id=done), 409, "conflict")
        refusal(lambda: one.post("/beak/cancel", peck_id=done), 409, "conflict")


def members_of_a_peck_are_read_strictly():
    with Pond("alice") as pond:
        one = pond.alice.hatch("one@example.com", "One", PASSWORD)
        two = pond.alice.hatch("two@example.com", "Two", PASSWORD)

        def no(status, field, headers=None, **body):
            refusal(lambda: one.post("/beak/peck", headers, **body), status, field=field)

        no(422, "target", action="query")
        no(422, "target", target=two.id, target_duckling_id=two.id, action="query")
        no(422, "target", target="target-duckling-id", action="query")
        no(422, "action", target=two.id)
        no(422, "peck_type", target=two.id, action="query", peck_type="query")
        no(422, "payload", target=two.id, peck_type="query", payload={})
        no(422, "message", target=two.id, action="query", message="hello")
        no(422, "wait", target=two.id, action="query", wait=31)
        no(422, "wait", target=two.id, action="query", wait=-1)
        no(422, "wait", target=two.id, action="query", wait="1")
        no(422, "expires_in", target=two.id, action="query", expires_in=0)
        no(422, "expires_in", target=two.id, action="query", expires_in=7 * 86400 + 1)
        no(422, "thread", target=two.id, action="query", thread="t" * 65)
        no(422, "reply_to", target=two.id, action="query", reply_to="pck_x")
        no(422, "colour", target=two.id, action="query", colour="red")
        no(422, "Idempotency-Key", {"Idempotency-Key": "k" * 65}, target=two.id, action="query")
        no(422, "Idempotency-Key", {"Idempotency-Key": "\xe4"}, target=two.id, action="query")
        no(400, "action", target=two.id, action="Not A Name")
        no(400, None, target=one.id, action="query")
        refusal(lambda: one.post("/beak/peck", target="dkl_" + "b" * 32, action="query"), 404,
                "unknown_target")
        # What the agent wrote is what is signed, and what the other reads: to the byte.
        written = '{"n": 1.10, "big": 12345678901234567, "é": "\\u00e9"}'
        body = '{"target": "%s", "action": "query", "payload": %s}' % (two.id, written)
        sent = pond.alice.http("POST", "/beak/peck", body.encode(), token=one.key)
        assert written.encode() in b64(one.peck(sent["peck_id"])["envelope"])
        trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        traced = one.post("/beak/peck", {"traceparent": trace}, target=two.id, action="query",
                          thread="t-1", reply_to=sent["peck_id"], expires_in=60)
        assert two.becomes(traced["peck_id"], "pending")["traceparent"] == trace
        assert one.get("/beak/pecks", thread="t-1")["pecks"][0]["reply_to"] == sent["peck_id"]


def an_inbox_hands_out_takes_back_and_forgets():
    with Pond("alice") as pond:
        one = pond.alice.hatch("one@example.com", "One", PASSWORD)
        two = pond.alice.hatch("two@example.com", "Two", PASSWORD)
        one.bond_with(two, "query")
        sent = [one.post("/beak/peck", target=two.id, action="query", payload=n)["peck_id"]
                for n in range(3)]
        for peck in sent:
            two.becomes(peck, "taken")
        first = two.get("/beak/inbox", limit=2, lease=1)["pecks"]
        assert [p["peck_id"] for p in first] == sent[:2], first
        assert first[0]["attempt"] == 1 and first[0]["lease_until"], first
        two.post("/beak/inbox/ack", peck_ids=[sent[0]])
        again = until("the lease to end", lambda: [
            p for p in two.get("/beak/inbox", wait=1)["pecks"] if p["attempt"] == 2])
        assert [p["peck_id"] for p in again] == [sent[1]], again
        refusal(lambda: two.post("/beak/inbox/ack", peck_ids=[]), 422, field="peck_ids")
        refusal(lambda: two.post("/beak/inbox/ack", peck_ids=["x"]), 422, field="peck_ids")
        refusal(lambda: two.post("/beak/answer", peck_id=sent[1]), 422, field="result")
        refusal(lambda: two.post("/beak/answer", peck_id=sent[1], result=1, problem="x"), 422,
                field="problem")
        answered = two.post("/beak/answer", peck_id=sent[1], result=None)
        assert answered == two.peck(sent[1]), answered
        assert answered["action"] == "query" and answered["payload"] == 1, answered
        assert answered["created_at"] and answered["expires_at"], answered
        assert one.becomes(sent[1], "answered")["result"] is None
        refusal(lambda: two.post("/beak/answer", peck_id=sent[1], result=2), 409, "conflict")
        cancelled = one.post("/beak/peck", target=two.id, action="other")
        two.becomes(cancelled["peck_id"], "pending")
        refusal(lambda: two.get("/beak/inbox", wait=31), 422, field="wait")


def a_duckling_says_of_itself_what_others_find():
    with Pond("alice") as pond:
        duck = pond.alice.hatch("a@example.com", "Duck", PASSWORD)
        said = duck.post("/beak/profile", bio="Knows things.", capabilities=["a.b", "c"],
                         accepts_pecks=False, display_name="Düsentrieb")
        assert said["display_name"] == "Düsentrieb" and said["capabilities"] == ["a.b", "c"], said
        assert said["accepts_pecks"] is False and said["tier"] == "T0", said
        kept = duck.post("/beak/profile", accepts_pecks=True)
        assert kept["bio"] == "Knows things." and kept["accepts_pecks"] is True, kept
        assert duck.post("/beak/profile", capabilities=[])["capabilities"] == []
        assert duck.post("/beak/pulse")["status"] == "alive"
        found = pond.alice.http("GET", "/beak/directory/" + duck.id)
        assert found["duckling_id"] == duck.id and b64(found["proof"]["record"]), found
        refusal(lambda: pond.alice.http("GET", "/beak/directory/dkl_" + "b" * 32), 404)
        refusal(lambda: pond.alice.http("GET", "/beak/directory/dkl_" + "a" * 32), 404)
        refusal(lambda: pond.alice.http("GET", "/beak/directory/" + pond.alice.id), 404)
        refusal(lambda: duck.post("/beak/profile", bio="x" * 1025), 422, field="bio")
        refusal(lambda: duck.post("/beak/profile", capabilities=["x"] * 33), 422,
                field="capabilities")
        refusal(lambda: duck.post("/beak/profile", capabilities=[1]), 422, field="capabilities")
        refusal(lambda: duck.post("/beak/profile", accepts_pecks="yes"), 422,
                field="accepts_pecks")

        mine = duck.get("/beak/certificate")
        assert mine["duckling_id"] == duck.id and mine["valid"] is True, mine
        certificate = mine["certificates"][0]
        assert certificate["jwk"]["kty"] == "OKP" and certificate["did"].startswith("did:key:z6Mk")
        for id_ in (duck.id, certificate["certificate_id"]):
            assert pond.alice.http("GET", "/beak/certificate/" + id_)["chain"] == mine["chain"]
        assert pond.alice.http("GET", "/beak/certificate/" + pond.alice.id)["node_id"] == \
            pond.alice.id
        refusal(lambda: pond.alice.http("GET", "/beak/certificate/crt_" + "b" * 32), 404)


def a_poll_that_is_given_up_leaves_its_peck_to_the_next():
    with Pond("alice") as pond:
        node = pond.alice
        one = node.hatch("one@example.com", "One", PASSWORD)
        two = node.hatch("two@example.com", "Two", PASSWORD)
        one.bond_with(two, "query")

        def send_and_take(what):
            sent = one.post("/beak/peck", target=two.id, action="query", payload=what)["peck_id"]
            began = time.monotonic()
            got = until("the peck", lambda: two.get("/beak/inbox", wait=1)["pecks"], 10)
            assert [p["peck_id"] for p in got] == [sent], got
            assert got[0]["attempt"] == 1, got
            assert time.monotonic() - began < 5
            two.post("/beak/inbox/ack", peck_ids=[sent])

        # Three polls whose callers hung up, waiting in line before the one that lives.
        for _ in range(3):
            raw(node, b"GET", b"/beak/inbox?wait=30", token=two.key).close()
        until("three polls that wait", lambda: waits(node) == 3)
        send_and_take("hung up")

        # One whose key ends while it waits: it hears so when its turn comes, or at the end of its wait.
        left = waits(node)  # of those that hung up, as many as were not asked
        late = raw(node, b"GET", b"/beak/inbox?wait=5", token=two.key)
        until("a poll that waits", lambda: waits(node) == left + 1)
        two.key = two.post("/beak/rotate")["beak_key"]
        send_and_take("rotated")
        late.settimeout(10)
        assert late.recv(4096).startswith(b"HTTP/1.1 401"), "an ended key was served"
        late.close()


def the_end_of_a_bond_is_known_at_both_ends():
    with Pond("alice", "bob") as pond:
        one = pond.alice.hatch("one@example.com", "One", PASSWORD)
        two = pond.bob.hatch("two@example.com", "Two", PASSWORD)
        until("the friend at alice", lambda: two.id in [
            d["duckling_id"] for d in pond.alice.http("GET", "/beak/directory")["ducklings"]])
        for ender, other in ((two, one), (one, two)):
            one.bond_with(two, "query")
            assert len(other.get("/beak/bonds")["bonds"]) == 1
            ender.post("/beak/unpeck", duckling_id=other.id)
            until("the end of the bond at the other end",
                  lambda: not other.get("/beak/bonds")["bonds"])
            sent = one.post("/beak/peck", target=two.id, action="query")
            one.becomes(sent["peck_id"], "pending")
        # One that was made for two seconds.
        wish = one.post("/beak/peck", target_duckling_id=two.id, peck_type="query")["peck_id"]
        one.becomes(wish, "pending")
        end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)
        two.post("/beak/approve", peck_id=wish, not_after=end.isoformat(timespec="milliseconds")
                 .replace("+00:00", "Z"))
        one.becomes(wish, "approved")
        for duck in (one, two):
            until("the end of the bond", lambda: not duck.get("/beak/bonds")["bonds"], 10)


def a_node_names_the_key_file_that_is_wrong():
    with Pond("alice") as pond:
        node = pond.alice
        node.stop()

        def does_not_start(name):
            said = node.command("run", check=False)
            assert said.returncode != 0 and name + ":" in said.stderr.replace(
                " cannot be read", ""), said.stderr

        os.chmod(os.path.join(node.state, "node.next.key"), 0o644)
        does_not_start("node.next.key")
        os.chmod(os.path.join(node.state, "node.next.key"), 0o600)
        os.rename(os.path.join(node.state, "node.key"), os.path.join(node.state, "elsewhere"))
        does_not_start("node.key")
        os.rename(os.path.join(node.state, "elsewhere"), os.path.join(node.state, "node.key"))


def a_repeated_key_creates_nothing_twice():
    with Pond("alice") as pond:
        node = pond.alice

        def post(path, key, token=None, **body):
            status, text, headers = node.http("POST", path, body, token=token, raw=True,
                                              headers={"Idempotency-Key": key})
            return status, json.loads(text), headers.get("Idempotent-Replayed")

        lay = {"email": "a@example.com", "display_name": "A", "password": PASSWORD}
        first = post("/beak/hatch", "k", **lay)
        assert first[0] == 202 and not first[2], first
        assert post("/beak/hatch", "k", **lay) == (202, first[1], "true")
        status, other, _ = post("/beak/hatch", "k", **{**lay, "display_name": "B"})
        assert (status, other["error"], other["field"]) == (
            422, "idempotency_key_reused", "Idempotency-Key"), other
        code = node.mail_code("a@example.com")
        assert len(os.listdir(os.path.join(node.state, "gateway", "mail"))) == 1
        # The same key at another path is another one. What failed may be tried again.
        assert post("/beak/verify", "k", email="a@example.com", code="x")[0] == 401
        hatched = post("/beak/verify", "k", email="a@example.com", code=code)
        assert hatched[0] == 200 and hatched[1]["password_set"] is True, hatched
        again = post("/beak/verify", "k", email="a@example.com", code=code)
        assert again == (200, hatched[1], "true"), again
        token = session(node, "a@example.com")["token"]
        second = post("/beak/hatch", "k", token, display_name="Second")
        assert second[0] == 201 and not second[2], second
        assert post("/beak/hatch", "k", token, display_name="Second") == (201, second[1], "true")
        assert len(node.http("GET", "/beak/spaceducks", token=token)["spaceducks"]) == 2
        for key in ("", "k" * 65, "\xe4"):
            status, refused, _ = post("/beak/hatch", key, token, display_name="Third")
            assert (status, refused["field"]) == (422, "Idempotency-Key"), refused


def a_rotated_beak_key_ends_the_one_before():
    with Pond("alice") as pond:
        duck = pond.alice.hatch("a@example.com", "Duck", PASSWORD)
        fresh = duck.post("/beak/rotate")
        assert fresh["duckling_id"] == duck.id, fresh
        refusal(lambda: duck.get("/beak/pecks"), 401, "unknown_bearer")
        duck.key = fresh["beak_key"]
        assert duck.get("/beak/pecks")["pecks"] == []
        refusal(lambda: duck.post("/beak/rotate", what="egg"), 422, field="what")
        refusal(lambda: duck.post("/beak/logout"), 403, "session_needed")


def a_password_that_was_forgotten_is_set_anew():
    with Pond("alice") as pond:
        node = pond.alice
        node.hatch("a@example.com", "Duck", PASSWORD)
        token = session(node, "a@example.com")["token"]
        assert node.http("POST", "/beak/forgot", {"email": "a@example.com"})["status"] == "verify"
        assert node.http("POST", "/beak/forgot", {"email": "b@example.com"})["status"] == "verify"
        body = {"email": "a@example.com", "code": node.mail_code("a@example.com"),
                "password": "quite another passphrase"}
        status, _, _ = node.http("POST", "/beak/reset", body, raw=True)
        assert status == 204
        refusal(lambda: session(node, "a@example.com"), 401)
        refusal(lambda: node.http("GET", "/beak/spaceducks", token=token), 401)
        assert session(node, "a@example.com", "quite another passphrase")["token"]


def a_client_that_goes_away_while_it_hatches_leaves_a_whole_duckling():
    with Pond("alice") as pond:
        node = pond.alice
        node.http("POST", "/beak/hatch", {"email": "a@example.com", "display_name": "A",
                                          "password": PASSWORD})
        body = json.dumps({"email": "a@example.com",
                           "code": node.mail_code("a@example.com")}).encode()
        line = raw(node, b"POST", b"/beak/verify", body)
        line.close()

        def opened():
            try:
                return session(node, "a@example.com")
            except Refused:
                return None

        found = until("the operator to be one", opened)
        assert len(found["ducklings"]) == 1, found


def who_waits_is_answered_when_the_gateway_stops():
    with Pond("alice") as pond:
        node = pond.alice
        duck = node.hatch("a@example.com", "Duck", PASSWORD)
        pid = int(open(os.path.join(node.state, "gateway.pid")).read())
        waiting = [raw(node, b"GET", b"/beak/inbox?wait=30", token=duck.key) for _ in range(5)]
        for _ in range(2):  # answered after those were read: one thread serves all
            node.http("GET", "/beak/")
        began = time.monotonic()
        os.kill(pid, signal.SIGTERM)
        for line in waiting:
            answer = http.client.HTTPResponse(line)
            answer.begin()
            assert answer.status == 503 and answer.headers["Connection"] == "close", answer.status
            assert json.loads(answer.read())["error"] == "unreachable"
        assert time.monotonic() - began < 6
        node.says(r"gateway.* ended")


def eggs_and_page_views_are_counted_by_the_node():
    with Pond("alice") as pond:
        node = pond.alice
        node.http("POST", "/beak/hatch", {"email": "a@example.com", "display_name": "A"})
        for _ in range(3):
            node.http("POST", "/beak/pageview", {"page": "/", "referrer": "https://example.com"})
        until("the counters at the node", lambda: (
            lambda m: m["this_node"]["eggs"] == 1 and m["this_node"]["pageviews"] == 3)(
            node.http("GET", "/beak/metrics")))
        node.http("POST", "/beak/verify", {"email": "a@example.com",
                                           "code": node.mail_code("a@example.com")})
        until("no egg", lambda: node.http("GET", "/beak/metrics")["this_node"]["eggs"] == 0)


def a_node_that_dies_is_told_of_and_missed_until_it_is_back():
    with Pond("alice") as pond:
        node = pond.alice
        duck = node.hatch("a@example.com", "Duck", PASSWORD)
        assert node.http("GET", "/beak/")["status"] == "operational"
        assert node.http("GET", "/beak/")["node_id"] == node.id
        node.kill()
        answer = refusal(lambda: duck.get("/beak/pecks"), 503, "unreachable")
        assert int(answer.headers["Retry-After"]) >= 1
        until("the probe to know", lambda: node.http("GET", "/beak/")["status"] == "outage")
        refusal(lambda: node.http("GET", "/readyz"), 503)
        node.start()
        assert duck.get("/beak/pecks")["pecks"] == []


run(the_published_examples_work_as_printed,
    a_code_is_good_once_and_wrong_ones_say_nothing,
    an_operator_hatches_lists_and_acts_for_all_its_ducklings,
    a_stranger_sees_neither_pecks_nor_inboxes,
    a_strangers_peck_is_answered_like_one_that_is_not,
    members_of_a_peck_are_read_strictly,
    an_inbox_hands_out_takes_back_and_forgets,
    a_duckling_says_of_itself_what_others_find,
    a_poll_that_is_given_up_leaves_its_peck_to_the_next,
    the_end_of_a_bond_is_known_at_both_ends,
    a_node_names_the_key_file_that_is_wrong,
    a_repeated_key_creates_nothing_twice,
    a_rotated_beak_key_ends_the_one_before,
    a_password_that_was_forgotten_is_set_anew,
    a_client_that_goes_away_while_it_hatches_leaves_a_whole_duckling,
    who_waits_is_answered_when_the_gateway_stops,
    eggs_and_page_views_are_counted_by_the_node,
    a_node_that_dies_is_told_of_and_missed_until_it_is_back)
