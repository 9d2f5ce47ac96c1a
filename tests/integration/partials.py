"""Answers that come in parts, and pecks that are taken back, between real nodes: in order, each once,
whoever is killed meanwhile."""

import json
import os
import subprocess
import threading
import urllib.parse

from pond import BIN, Pond, Refused, run, until


def pair(pond):
    asker = pond.alice.hatch("asker@example.com", "Asker")
    oracle = pond.bob.hatch("oracle@example.com", "Oracle")
    until("the oracle at alice", lambda: pond.alice.http(
        "GET", "/beak/directory?" + urllib.parse.urlencode({"q": "Oracle"}))["ducklings"])
    asker.bond_with(oracle, "query")
    return asker, oracle


def ask(asker, oracle):
    peck = asker.post("/beak/peck", target=oracle.id, action="query", payload={})["peck_id"]
    assert [p["peck_id"] for p in oracle.get("/beak/inbox", wait=10)["pecks"]] == [peck]
    return peck


def refused(status, question, field=None):
    try:
        answer = question()
    except Refused as refusal:
        assert refusal.status == status and refusal.body.get("field") == field, refusal
        return refusal
    raise AssertionError(f"not refused: {answer}")


def parts_are_read_as_they_are_said():
    with Pond("alice", "bob") as pond:
        asker, oracle = pair(pond)
        peck = ask(asker, oracle)
        before = asker.get("/beak/partials/" + peck)
        assert before == {"partials": [], "held": 0, "done": False,
                          "status": before["status"]}, before
        said = oracle.post("/beak/answer", peck_id=peck, partial={"n": 1})
        assert said == {"peck_id": peck, "number": 1}, said
        first = asker.get("/beak/partials/" + peck, wait=20)
        assert [(p["number"], p["partial"]) for p in first["partials"]] == [(1, {"n": 1})], first

        def later():
            oracle.post("/beak/answer", peck_id=peck, partial="two", number=2)

        speaker = threading.Timer(0.3, later)  # while the next question waits
        speaker.start()
        second = asker.get("/beak/partials/" + peck, after=1, wait=20)
        speaker.join()
        assert [(p["number"], p["partial"]) for p in second["partials"]] == [(2, "two")], second
        assert not second["done"]
        oracle.post("/beak/answer", peck_id=peck, result=3)
        end = asker.get("/beak/partials/" + peck, after=2, wait=20)
        assert end["done"] and end["held"] == 2 and end["status"] == "answered", end
        assert [p["number"] for p in oracle.get("/beak/partials/" + peck)["partials"]] == [1, 2]
        assert asker.peck(peck)["result"] == 3


def what_may_not_be_said_is_refused():
    with Pond("alice") as pond:
        asker = pond.alice.hatch("asker@example.com", "Asker")
        oracle = pond.alice.hatch("oracle@example.com", "Oracle")
        other = pond.alice.hatch("other@example.com", "Other")
        asker.bond_with(oracle, "query")
        peck = ask(asker, oracle)
        say = lambda by=oracle, **members: by.post("/beak/answer", peck_id=peck, **members)
        limit = 32 * 1024
        refused(413, lambda: say(partial="x" * (limit - 1)), "partial")
        assert say(partial="x" * (limit - 2))["number"] == 1  # and two quotes
        refused(409, lambda: say(partial=1, number=1), "number")
        refused(409, lambda: say(partial=1, number=3), "number")
        refused(422, lambda: say(partial=1, result=1), "result")
        refused(422, lambda: say(result=1, number=2), "number")
        refused(404, lambda: say(other, partial=1), "peck_id")
        refused(404, lambda: other.get("/beak/partials/" + peck), "peck_id")
        refused(404, lambda: asker.get("/beak/partials/pck_nothing"))
        say(result=1)
        refused(409, lambda: say(partial=1), "peck_id")
        assert asker.get("/beak/partials/" + peck)["held"] == 1


def the_command_line_prints_parts_as_they_come():
    with Pond("alice", "bob") as pond:
        asker, oracle = pair(pond)
        stream = subprocess.Popen(
            [os.path.join(BIN, "ducknode"), "peck", oracle.id, "{}", "--from", asker.id,
             "--stream", "--config", pond.alice.config], stdout=subprocess.PIPE, text=True)
        peck = stream.stdout.readline().strip()
        until("the peck at bob", lambda: pond.bob.json("inbox", oracle.id, "--take")["pecks"])
        for n in (1, 2):
            pond.bob.command("answer", peck, json.dumps({"n": n}), "--partial")
            assert stream.stdout.readline() == '%d\t{"n": %d}\n' % (n, n)
        wrong = pond.bob.command("answer", peck, "1", "--partial", "--number", "2", check=False)
        assert wrong.returncode != 0 and "number 3" in wrong.stderr, wrong.stderr
        pond.bob.command("answer", peck, '"done"')
        rest = stream.communicate(timeout=20)[0]
        assert stream.returncode == 0 and '"done"' in rest, rest
        again = pond.alice.command("pecks", peck, "--stream", "--after", "1").stdout
        assert again.startswith('2\t{"n": 2}\n'), again


def a_peck_that_is_taken_back_ends_at_the_agent_that_has_it():
    with Pond("alice", "bob") as pond:
        asker, oracle = pair(pond)
        peck = ask(asker, oracle)
        oracle.post("/beak/answer", peck_id=peck, partial="begun")
        asker.becomes(peck, "taken")
        asked = asker.post("/beak/cancel", peck_id=peck)
        assert asked["peck_id"] == peck and asked["status"] in ("taken", "cancelled"), asked
        done = asker.becomes(peck, "cancelled")
        assert done["receipts"][-1]["state"] == "cancelled", done
        oracle.becomes(peck, "cancelled")
        refused(409, lambda: oracle.post("/beak/answer", peck_id=peck, result=1), "peck_id")
        assert asker.get("/beak/partials/" + peck)["held"] == 1
        # While bob is away, across a death of alice.
        peck = ask(asker, oracle)
        asker.becomes(peck, "taken")
        pond.bob.stop()
        until("the link to go", lambda: pond.alice.json("status")["links"] == 0)
        asker.post("/beak/cancel", peck_id=peck)
        pond.alice.kill()
        pond.alice.start()
        pond.bob.start()
        asker.becomes(peck, "cancelled", seconds=30)
        oracle.becomes(peck, "cancelled")
        refused(409, lambda: asker.post("/beak/cancel", peck_id=peck), "peck_id")
        # Between ducklings of one node.
        friend = pond.alice.hatch("friend@example.com", "Friend")
        asker.bond_with(friend, "query")
        peck = ask(asker, friend)
        assert "asked to end it" in pond.alice.command("cancel", peck).stdout
        asker.becomes(peck, "cancelled")


def a_deadline_goes_along_to_the_agent_and_ends_what_it_has_not_answered():
    with Pond("alice", "bob") as pond:
        asker, oracle = pair(pond)
        sent = asker.post("/beak/peck", target=oracle.id, action="query", payload={}, expires_in=2)
        work = oracle.get("/beak/inbox", wait=10)["pecks"][0]
        assert work["expires_at"] == asker.peck(sent["peck_id"])["expires_at"], work
        oracle.post("/beak/answer", peck_id=sent["peck_id"], partial="begun")
        done = asker.becomes(sent["peck_id"], "expired")
        assert done["receipts"][-1]["state"] == "expired", done  # its target says so
        assert asker.get("/beak/partials/" + sent["peck_id"])["held"] == 1
        refused(409, lambda: oracle.post("/beak/answer", peck_id=sent["peck_id"], result=1),
                "peck_id")


def as_much_as_a_peck_may_have_comes_through_a_link_at_once():
    with Pond("alice", "bob") as pond:
        asker, oracle = pair(pond)
        pecks = [ask(asker, oracle) for _ in range(8)]
        for peck in pecks:
            asker.becomes(peck, "taken")
        pond.alice.stop()
        part = "x" * (32 * 1024 - 2)  # and two quotes
        for peck in pecks:
            for number in range(1, 33):
                oracle.post("/beak/answer", peck_id=peck, partial=part, number=number)
            refused(413, lambda peck=peck: oracle.post("/beak/answer", peck_id=peck, partial=1),
                    "result")
            oracle.post("/beak/answer", peck_id=peck, result=1)
        pond.alice.start()
        for peck in pecks:
            asker.becomes(peck, "answered", seconds=60)
            page = asker.get("/beak/partials/" + peck, limit=200)
            assert [p["number"] for p in page["partials"]] == list(range(1, 33))
            assert all(p["partial"] == part for p in page["partials"])


PARTS = 60


def speak(oracle, peck):
    """An agent that goes on whatever happens to its node: it says which number it means, so that one
    which was taken just before the node died is not said twice."""
    for n in range(1, PARTS + 1):
        def said(n=n):
            try:
                return oracle.post("/beak/answer", peck_id=peck, partial={"n": n}, number=n)
            except OSError:
                return None  # no gateway
            except Refused as refusal:
                if refusal.status == 503:
                    return None  # no node
                assert refusal.status == 409 and refusal.body["field"] == "number", refusal
                return True
        until(f"part {n} to be taken", said, 60)
    until("the answer to be taken", lambda: ended(oracle, peck), 60)


def ended(oracle, peck):
    try:
        return oracle.post("/beak/answer", peck_id=peck, result="all")
    except OSError:
        return None
    except Refused as refusal:
        return refusal.status == 409


def while_one_is_killed(which):
    with Pond("alice", "bob") as pond:
        asker, oracle = pair(pond)
        peck, node = ask(asker, oracle), getattr(pond, which)
        speaker = threading.Thread(target=speak, args=(oracle, peck))
        speaker.start()
        for wanted in (PARTS // 4, PARTS // 2):
            until("half of the parts", lambda wanted=wanted: asker.get(
                "/beak/partials/" + peck)["held"] >= wanted, 60)
            node.kill()
            node.start()
        speaker.join(120)
        assert not speaker.is_alive()
        done = asker.becomes(peck, "answered", seconds=60)
        assert done["result"] == "all"
        had = []
        while len(had) < PARTS:
            page = asker.get("/beak/partials/" + peck, after=len(had), limit=25)
            assert page["done"] and page["held"] == PARTS and page["partials"], page
            had += page["partials"]
        assert [p["number"] for p in had] == list(range(1, PARTS + 1))
        assert [p["partial"]["n"] for p in had] == list(range(1, PARTS + 1))
        assert pond.alice.command("audit", "verify").returncode == 0


def all_parts_arrive_once_and_in_order_though_the_answering_node_is_killed():
    while_one_is_killed("bob")


def all_parts_arrive_once_and_in_order_though_the_asking_node_is_killed():
    while_one_is_killed("alice")


run(parts_are_read_as_they_are_said,
    what_may_not_be_said_is_refused,
    the_command_line_prints_parts_as_they_come,
    a_deadline_goes_along_to_the_agent_and_ends_what_it_has_not_answered,
    as_much_as_a_peck_may_have_comes_through_a_link_at_once,
    a_peck_that_is_taken_back_ends_at_the_agent_that_has_it,
    all_parts_arrive_once_and_in_order_though_the_answering_node_is_killed,
    all_parts_arrive_once_and_in_order_though_the_asking_node_is_killed)
