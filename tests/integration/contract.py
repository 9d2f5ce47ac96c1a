"""The gateway is held to its reference (gateway/openapi.yaml), both ways: every route is described
and every description is a route; each operation is called until each documented status has been
seen; each answer is held against its schema, and what is not documented fails.

Who adds an operation adds a story, or a line to one, in the file of its group (contract_accounts.py,
contract_pecks.py, …): `world.call` sends one request, judges the answer, and notes that this status of
this operation was seen. What every operation shares (a foreign Host, a body that is no JSON, no bearer,
…) is provoked for all of them at once: contract_refusals.py."""

import json
import os
import re
import subprocess

from contract_accounts import (account_stories, captchas_that_are_asked_for, captchas_that_nobody_verifies,
    sessions_that_are_not_fresh, too_many_stories)
from contract_directory import certificate_stories, directory_stories, status_stories
from contract_events import audit_stories, event_stories, webhook_stories
from contract_grants import grant_stories
from contract_lobster import lobster_stories
from contract_pecks import bond_stories, peck_stories
from contract_refusals import (gateways_that_stop, nodes_that_say_something_else,
    operators_without_a_duckling, orders_under_way, refuse_what_is_refused_everywhere,
    who_calls_too_often_is_told_when_to_come_again)
from contract_signatures import signature_stories
from contract_world import FakeNodeWorld, REFERENCE, World
from pond import BIN, Pond, run
from receiver import Receiver

# Codes that no test can provoke without hours, or a broken disk; each with its unit test.
NOT_PROVOKED = {
    "too_many_ducklings": "1000 ducklings of one operator: test_accounts.c",
    "session_expired": "an hour of rest: test_accounts.c",
}

STORIES = (status_stories, account_stories, too_many_stories, peck_stories, bond_stories,
           grant_stories, signature_stories, lobster_stories, directory_stories, certificate_stories,
           webhook_stories, event_stories, audit_stories)


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
