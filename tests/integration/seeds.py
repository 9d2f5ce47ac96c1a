"""The calls that the developer pages print, in curl, Python and JavaScript. Their texts are in printed/,
byte for byte: blog_* is the release post, hub_* the developer hub. What is put in their place is the host,
the captcha token and the key; and then, because a printed id, code or "..." stands for the reader's own,
those too: first it is shown that what is printed is understood and refused for nothing but that value."""

import json
import os
import re
import subprocess

from pond import Pond, Refused, javascript, python, run, until

PRINTED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "printed")
PASSWORD = "securepassword123"
LIMITS = "all=600"  # as ./duck demo has it


def printed(name):
    with open(os.path.join(PRINTED, name)) as file:
        return file.read()


def curl_steps(node):
    text = printed("blog_curl.sh").replace("https://YOUR_API_DOMAIN", node.url).replace(
        "YOUR_TURNSTILE_TOKEN", "a token")
    return [step for step in re.split(r"^# Step.*\n", text, flags=re.M) if step.strip()]


def curl(command):
    done = subprocess.run(["bash", "-c", command.rstrip() + " -sS"], capture_output=True, text=True,
                          timeout=30)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def hub_steps():
    """[("POST", "/beak/hatch", '{ … }'), …]; of GET the names that its answer has."""
    return [tuple(step.replace("\n", " ", 1).split(" ", 2))
            for step in printed("hub_steps.txt").strip().split("\n\n")]


# ---- three ways to send a body as it is printed ----

def by_curl(node, method, path, body, token=None):
    command = ["curl", "-sS", "-X", method, node.url + path, "-w", "\n%{http_code}"]
    if body is not None:
        command += ["-H", "Content-Type: application/json", "-d", body]
    if token:
        command += ["-H", "Authorization: Bearer " + token]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    text, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(text)


def by_program(start, code, node, path, body, token):
    program = start(code[0], code[1], BODY=body or "{}", NAME=path.rpartition("/")[2], URL=node.url,
                    TOKEN=token or "")
    said, error = program.communicate(timeout=30)
    assert program.returncode == 0, error
    status, answer = said.split(" ", 1)
    return int(status), json.loads(answer)


IN_PYTHON = """
import json, os, spaceduck
duck = spaceduck.Duck(token=os.environ["TOKEN"] or None, api_base=os.environ["URL"])
try:
    print(200, json.dumps(getattr(duck, os.environ["NAME"])(**json.loads(os.environ["BODY"]))))
except spaceduck.Problem as problem:
    print(problem.status, json.dumps(problem.members))
"""
IN_JAVASCRIPT = """
const {BODY, NAME, TOKEN, URL: apiBase} = process.env;
const duck = new SDK.Duck({token: TOKEN || undefined, apiBase});
await duck[NAME](JSON.parse(BODY)).then(
  (answer) => console.log(200, JSON.stringify(answer)),
  (problem) => console.log(problem.status, JSON.stringify(problem.members)));
"""


def by_python(node, method, path, body, token=None):
    return by_program(python, ("-c", IN_PYTHON), node, path, body, token)


def by_javascript(node, method, path, body, token=None):
    return by_program(javascript, ("-e", IN_JAVASCRIPT), node, path, body, token)


# ---- the blog ----

def the_blogs_curl_calls_work_as_printed():
    with Pond("alice", limits=LIMITS) as pond:
        hatch, verify = curl_steps(pond.alice)
        assert curl(hatch)["status"] == "verify"
        code = pond.alice.mail_code("agent@example.com")
        if code != "123456":  # as printed: understood, and the wrong code
            refused = curl(verify)
            assert refused["error"] == "bad_code" and refused["field"] == "code", refused
        hatched = curl(verify.replace("123456", code))
        assert hatched["beak_key"].startswith("sd_bk_"), hatched
        assert hatched["duckling_id"].startswith("dkl_"), hatched


def quickstart(pond, ids):
    """The program for a duckling at alice that has somebody to peck and a peck to approve."""
    duck = pond.alice.hatch("quick@example.com", "Quick")
    friend = pond.bob.hatch("friend@example.com", "Friend")
    for node, other in ((pond.alice, friend), (pond.bob, duck)):
        until("each other's records", lambda node=node, other=other: other.id in [
            d["duckling_id"] for d in node.http("GET", "/beak/directory")["ducklings"]])
    incoming = friend.post("/beak/peck", target=duck.id, action="data.read", payload={})["peck_id"]
    until("a peck to approve", lambda: duck.get("/beak/pecks", box="in")["pecks"])
    if not ids:
        return duck, friend, incoming, lambda text: text
    return duck, friend, incoming, lambda text: text.replace("dkl_abc123", friend.id).replace(
        "pck_xyz789", incoming)


def python_quickstart(node, duck):
    text = printed("blog_quickstart.py").replace("sd_bk_your_key_here", duck.key)
    assert duck.key in text
    base = "https://your-api-gateway-url.execute-api.us-east-1.amazonaws.com/prod"
    assert base in text
    return text.replace(base, node.url)


LINES = r"Ducklings: \d+\nCerts issued: \d+\n"


def the_blogs_quickstart_runs_as_printed_up_to_ids_that_nobody_has():
    with Pond("alice", "bob", limits=LIMITS) as pond:
        duck = quickstart(pond, ids=False)[0]
        said, error = python("-c", python_quickstart(pond.alice, duck)).communicate(timeout=30)
        assert re.fullmatch(LINES, said), said
        assert re.search(r"spaceduck\S*Unprocessable: 422 .*field target_duckling_id", error), error


def the_blogs_quickstart_runs_to_its_end_with_ones_own_ids():
    with Pond("alice", "bob", limits=LIMITS) as pond:
        duck, friend, incoming, own = quickstart(pond, ids=True)
        program = python("-c", own(python_quickstart(pond.alice, duck)))
        said, error = program.communicate(timeout=30)
        assert program.returncode == 0, error
        assert re.fullmatch(LINES + r"Peck status: \w+\n", said), said
        assert duck.peck(incoming)["status"] in ("approved", "taken"), duck.peck(incoming)
        asked = until("the request", lambda: friend.get("/beak/pecks", box="in")["pecks"])
        assert [(p["peck_type"], p["message"]) for p in asked] == [
            ("data.read", "Hello from my agent")], asked


def the_same_quickstart_runs_in_javascript_and_curl():
    """Line by line, with the members as they are printed."""
    with Pond("alice", "bob", limits=LIMITS) as pond:
        duck, friend, incoming, own = quickstart(pond, ids=True)
        code = own("""
            const duck = new SDK.Duck({beakKey: process.env.KEY, apiBase: process.env.URL});
            const metrics = await duck.metrics();
            console.log(`Ducklings: ${metrics['total_ducklings']}`);
            console.log(`Certs issued: ${metrics['certs_issued']}`);
            const result = await duck.peck({
              target_duckling_id: "dkl_abc123",
              peck_type: "data.read",
              message: "Hello from my agent"
            });
            console.log(`Peck status: ${result['status']}`);
            await duck.approve({peck_id: "pck_xyz789"});
        """)
        program = javascript("-e", code, KEY=duck.key, URL=pond.alice.url)
        said, error = program.communicate(timeout=30)
        assert program.returncode == 0, error
        assert re.fullmatch(LINES + r"Peck status: \w+\n", said), said
        assert duck.peck(incoming)["status"] in ("approved", "taken")
        members = {"target_duckling_id": friend.id, "peck_type": "data.read",
                   "message": "Hello from my agent"}
        status, sent = by_curl(pond.alice, "POST", "/beak/peck", json.dumps(members), duck.key)
        assert status in (200, 202) and sent["status"], sent


# ---- the hub ----

def the_hubs_steps_work_as_printed(send):
    with Pond("alice", "bob", limits=LIMITS) as pond:
        alice, friend = pond.alice, pond.bob.hatch("friend@example.com", "Friend")
        (_, _, hatch), (_, _, auth), (_, _, peck), (_, _, metrics) = steps = hub_steps()
        assert [step[:2] for step in steps] == [
            ("POST", "/beak/hatch"), ("POST", "/beak/auth"), ("POST", "/beak/peck"),
            ("GET", "/beak/metrics")], steps
        # 1: hatch, without a password; the code that comes takes one
        status, answer = send(alice, "POST", "/beak/hatch", hatch)
        assert status in (200, 202) and answer["status"] == "verify", answer
        alice.http("POST", "/beak/verify", {"email": "you@example.com", "password": PASSWORD,
                                            "code": alice.mail_code("you@example.com")})
        # 2: credentials for a session token
        status, refused = send(alice, "POST", "/beak/auth", auth)
        assert status == 401 and refused["error"] == "bad_credentials", refused
        status, session = send(alice, "POST", "/beak/auth", auth.replace("...", PASSWORD))
        assert status == 200 and session["token_type"] == "Bearer", session
        # 3: a peck
        status, refused = send(alice, "POST", "/beak/peck", peck, session["token"])
        assert status == 422 and refused["field"] == "target", refused
        until("the friend at alice", lambda: friend.id in [
            d["duckling_id"] for d in alice.http("GET", "/beak/directory")["ducklings"]])
        status, sent = send(alice, "POST", "/beak/peck",
                            peck.replace("target-duckling-id", friend.id), session["token"])
        assert status in (200, 202) and sent["peck_id"].startswith("pck_"), sent
        # 4: metrics, with the names that are printed
        status, counted = send(alice, "GET", "/beak/metrics", None)
        for name in re.findall(r"\w+", metrics):
            assert isinstance(counted[name], int), counted


def the_hubs_four_steps_work_as_printed_in_curl():
    the_hubs_steps_work_as_printed(by_curl)


def the_hubs_four_steps_work_as_printed_in_python():
    the_hubs_steps_work_as_printed(by_python)


def the_hubs_four_steps_work_as_printed_in_javascript():
    the_hubs_steps_work_as_printed(by_javascript)


# ---- both ----

def every_endpoint_that_is_named_is_served():
    with Pond("alice", limits=LIMITS) as pond:
        duck = pond.alice.hatch("a@example.com", "Duck")
        named = dict.fromkeys(re.findall(r"/beak/\w+", printed("hub_endpoints.txt")))
        posts = set(re.findall(r"POST (/beak/\w+)", printed("blog_endpoints.txt")))
        posts |= {path for method, path, _ in hub_steps() if method == "POST"}
        posts |= {"/beak/unpeck", "/beak/rotate", "/beak/pageview"}
        gets = set(re.findall(r"GET (/beak/\w+)", printed("blog_endpoints.txt"))) | {"/beak/"}
        gets |= set(named) - posts
        for path in sorted(gets):
            assert isinstance(duck.get(path), dict), path
        for path in sorted(posts - {"/beak/rotate"}):
            try:
                duck.post(path)
            except Refused as refusal:  # for a member, or for whom a session is needed
                assert refusal.status in (403, 422), (path, refusal)
        assert duck.post("/beak/rotate")["beak_key"].startswith("sd_bk_")
        probe = pond.alice.http("GET", "/beak/")
        assert probe["node_id"] == pond.alice.id, probe


run(the_blogs_curl_calls_work_as_printed,
    the_blogs_quickstart_runs_as_printed_up_to_ids_that_nobody_has,
    the_blogs_quickstart_runs_to_its_end_with_ones_own_ids,
    the_same_quickstart_runs_in_javascript_and_curl,
    the_hubs_four_steps_work_as_printed_in_curl,
    the_hubs_four_steps_work_as_printed_in_python,
    the_hubs_four_steps_work_as_printed_in_javascript,
    every_endpoint_that_is_named_is_served)
