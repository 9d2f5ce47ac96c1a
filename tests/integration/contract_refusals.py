"""What every operation refuses alike, and what becomes of all of them when the node, or the gateway, does not do its part."""

import concurrent.futures
import http.client
import json
import os
import signal
import sqlite3
import time

from contract_world import LARGE, PASSWORD, REFERENCE, filling
from fake_node import SILENCE, WRONG, problem
from pond import mail_code, until


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
        if operation.name == "verifyCertificate":  # of a chain that is shown nobody is asked
            good["body"] = {"id": world.first.id}
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


def who_calls_too_often_is_told_when_to_come_again(world):
    for operation in REFERENCE.operations.values():
        if 429 in operation.answers and "rate_limited" in operation.codes(429):
            stranger = {**filling(world, operation), "token": None}
            world.send(operation, **stranger)
            world.call(operation.name, 429, "rate_limited", **stranger)
