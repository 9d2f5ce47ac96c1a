"""The calls that the developer pages print, as printed: host, captcha token, code and ids aside."""

import json
import subprocess

from pond import Pond, run, until


def curl(node, text):
    """Runs a printed command with this node's gateway in the place of the host."""
    command = text.replace("https://YOUR_API_DOMAIN", node.url).replace(
        "YOUR_TURNSTILE_TOKEN", "a token")
    done = subprocess.run(["bash", "-c", command + " -sS"], capture_output=True, text=True,
                          timeout=30)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


HATCH = """curl -X POST https://YOUR_API_DOMAIN/beak/hatch \\
  -H "Content-Type: application/json" \\
  -d '{
    "email": "agent@example.com",
    "password": "securepassword123",
    "display_name": "My First Duck",
    "captcha_token": "YOUR_TURNSTILE_TOKEN"
  }'"""

VERIFY = """curl -X POST https://YOUR_API_DOMAIN/beak/verify \\
  -H "Content-Type: application/json" \\
  -d '{
    "email": "agent@example.com",
    "code": "123456"
  }'"""


def the_blogs_curl_calls_work_as_printed():
    with Pond("alice") as pond:
        assert curl(pond.alice, HATCH)["status"] == "verify"
        code = pond.alice.mail_code("agent@example.com")
        hatched = curl(pond.alice, VERIFY.replace("123456", code))
        assert hatched["beak_key"].startswith("sd_bk_"), hatched
        assert hatched["duckling_id"].startswith("dkl_"), hatched


def the_hubs_four_steps_work_as_printed():
    with Pond("alice", "bob") as pond:
        alice = pond.alice
        friend = pond.bob.hatch("friend@example.com", "Friend")
        # 1: hatch, without a password
        alice.http("POST", "/beak/hatch",
                   '{ "email": "you@example.com", "display_name": "My Agent" }')
        alice.http("POST", "/beak/verify",
                   {"email": "you@example.com", "code": alice.mail_code("you@example.com"),
                    "password": "securepassword123"})
        # 2: credentials for a session token
        session = alice.http("POST", "/beak/auth",
                             '{ "email": "you@example.com", "password": "securepassword123" }')
        assert session["token_type"] == "Bearer", session
        # 3: a peck
        until("the friend at alice", lambda: alice.http("GET", "/beak/directory")["ducklings"])
        until("the friend at alice", lambda: friend.id in [
            d["duckling_id"] for d in alice.http("GET", "/beak/directory")["ducklings"]])
        sent = alice.http("POST", "/beak/peck",
                          '{ "target": "target-duckling-id", "action": "query", "payload": {} }'
                          .replace("target-duckling-id", friend.id), token=session["token"])
        assert sent["peck_id"].startswith("pck_") and sent["status"], sent
        # 4: metrics
        metrics = alice.http("GET", "/beak/metrics")
        for name in ("ducklings", "birth_certificates", "connections", "total_ducklings",
                     "certs_issued"):
            assert isinstance(metrics[name], int), metrics


def the_quickstarts_calls_work_by_their_shapes():
    with Pond("alice", "bob") as pond:
        duck = pond.alice.hatch("a@example.com", "Duck")
        friend = pond.bob.hatch("b@example.com", "Friend")
        until("the friend at alice", lambda: friend.id in [
            d["duckling_id"] for d in pond.alice.http("GET", "/beak/directory")["ducklings"]])
        result = duck.post("/beak/peck", target_duckling_id=friend.id, peck_type="data.read",
                           message="Hello from my agent")
        assert result["status"], result
        until("the request", lambda: friend.get("/beak/pecks", box="in")["pecks"])
        approved = friend.post("/beak/approve", peck_id=result["peck_id"])
        assert approved["status"] == "approved", approved
        mine = duck.get("/beak/spaceducks")
        assert duck.id in json.dumps(mine), mine
        probe = pond.alice.http("GET", "/beak/")
        assert probe["node_id"] == pond.alice.id, probe


run(the_blogs_curl_calls_work_as_printed,
    the_hubs_four_steps_work_as_printed,
    the_quickstarts_calls_work_by_their_shapes)
