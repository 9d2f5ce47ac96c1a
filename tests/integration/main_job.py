"""The main job on three real nodes with real gateways: hatch, find, bond, peck, answer."""

import json
import threading

from pond import Pond, Refused, b64, run, until


def found(node, **query):
    import urllib.parse
    return node.http("GET", "/beak/directory?" + urllib.parse.urlencode(query))["ducklings"]


def a_duckling_on_one_node_pecks_one_on_another_that_it_found_through_a_third():
    with Pond("alice", "bob", "carol") as pond:
        asker = pond.alice.hatch("asker@example.com", "Asker")
        oracle = pond.bob.hatch("oracle@example.com", "Oracle",
                                capabilities=["weather.forecast"], bio="knows the sky")
        entry = until("the directory on carol", lambda: found(
            pond.carol, capability="weather.forecast"))[0]
        assert entry["duckling_id"] == oracle.id, entry
        assert entry["host"] == pond.bob.id, entry
        until("the oracle at alice", lambda: found(pond.alice, capability="weather.forecast"))

        bond = asker.bond_with(oracle, "query")
        until("both ends know the bond", lambda: asker.get("/beak/bonds")["bonds"]
              and oracle.get("/beak/bonds")["bonds"])
        assert [r["kind"] for r in asker.peck(bond)["receipts"]] == ["taken", "done"]

        sent = asker.post("/beak/peck", target=oracle.id, action="query",
                          payload={"city": "Lisbon"}, wait=0)
        work = oracle.get("/beak/inbox", wait=10)["pecks"]
        assert [p["peck_id"] for p in work] == [sent["peck_id"]], work
        assert work[0]["payload"] == {"city": "Lisbon"}
        oracle.post("/beak/answer", peck_id=sent["peck_id"], result={"sky": "clear"})
        done = asker.becomes(sent["peck_id"], "answered")
        assert done["result"] == {"sky": "clear"}, done
        assert {r["kind"] for r in done["receipts"]} == {"taken", "done"}
        assert all(len(b64(r["envelope"])) > 64 for r in done["receipts"])

        metrics = until("the counters to be gossiped", lambda: (
            lambda m: m if m["ducklings"] == 2 and m["pecks"] >= 2 else None)(
            pond.carol.http("GET", "/beak/metrics")))
        assert metrics["total_ducklings"] == 2 and metrics["certs_issued"] == 2, metrics
        assert metrics["connections"] == 1, metrics


def a_request_with_wait_gets_its_answer_in_one_call():
    with Pond("alice", "bob") as pond:
        asker = pond.alice.hatch("asker@example.com", "Asker")
        oracle = pond.bob.hatch("oracle@example.com", "Oracle")
        until("the oracle at alice", lambda: found(pond.alice, q="Oracle"))
        asker.bond_with(oracle, "query")

        def agent():
            for peck in oracle.get("/beak/inbox", wait=20)["pecks"]:
                oracle.post("/beak/answer", peck_id=peck["peck_id"], result=peck["payload"])

        worker = threading.Thread(target=agent)
        worker.start()
        answer = asker.post("/beak/peck", target=oracle.id, action="query", payload=[1, 2],
                            wait=20)
        worker.join()
        assert answer["status"] == "answered" and answer["result"] == [1, 2], answer


def what_no_bond_covers_waits_for_the_owner_and_can_be_denied():
    with Pond("alice", "bob") as pond:
        asker = pond.alice.hatch("asker@example.com", "Asker")
        oracle = pond.bob.hatch("oracle@example.com", "Oracle")
        until("the oracle at alice", lambda: found(pond.alice, q="Oracle"))
        first = asker.post("/beak/peck", target=oracle.id, action="wipe", payload={})
        asker.becomes(first["peck_id"], "pending")
        assert oracle.get("/beak/inbox")["pecks"] == []
        oracle.post("/beak/deny", peck_id=first["peck_id"], reason="never")
        denied = asker.becomes(first["peck_id"], "denied")
        assert "never" in json.dumps(denied), denied
        second = asker.post("/beak/peck", target=oracle.id, action="wipe", payload={})
        asker.becomes(second["peck_id"], "pending")
        oracle.post("/beak/approve", peck_id=second["peck_id"])
        assert [p["peck_id"] for p in oracle.get("/beak/inbox", wait=10)["pecks"]] == [
            second["peck_id"]]
        oracle.post("/beak/answer", peck_id=second["peck_id"], problem="cannot")
        failed = asker.becomes(second["peck_id"], "failed")
        assert "cannot" in json.dumps(failed), failed


def a_payload_of_256_KiB_passes_and_one_byte_more_is_refused():
    with Pond("alice", "bob") as pond:
        asker = pond.alice.hatch("asker@example.com", "Asker")
        oracle = pond.bob.hatch("oracle@example.com", "Oracle")
        until("the oracle at alice", lambda: found(pond.alice, q="Oracle"))
        asker.bond_with(oracle, "query")
        limit = 256 * 1024
        whole = "x" * (limit - 2)  # and two quotes
        sent = asker.post("/beak/peck", target=oracle.id, action="query", payload=whole)
        work = oracle.get("/beak/inbox", wait=10)["pecks"]
        assert work[0]["payload"] == whole
        asker.becomes(sent["peck_id"], "taken")
        try:
            asker.post("/beak/peck", target=oracle.id, action="query", payload=whole + "x")
            raise AssertionError("one byte more passed")
        except Refused as refused:
            assert refused.status == 413, refused


def a_key_used_twice_makes_one_peck_and_other_bytes_are_refused():
    with Pond("alice", "bob") as pond:
        asker = pond.alice.hatch("asker@example.com", "Asker")
        oracle = pond.bob.hatch("oracle@example.com", "Oracle")
        until("the oracle at alice", lambda: found(pond.alice, q="Oracle"))
        once = {"Idempotency-Key": "k1"}
        one = asker.post("/beak/peck", once, target=oracle.id, action="query", payload={"n": 1})
        two = asker.post("/beak/peck", once, target=oracle.id, action="query", payload={"n": 1})
        assert one["peck_id"] == two["peck_id"]
        try:
            asker.post("/beak/peck", once, target=oracle.id, action="query", payload={"n": 2})
            raise AssertionError("the key was taken for other bytes")
        except Refused as refused:
            assert refused.status == 422, refused


def a_key_that_ends_while_its_poll_waits_gets_nothing_more():
    with Pond("alice") as pond:
        asker = pond.alice.hatch("asker@example.com", "Asker")
        oracle = pond.alice.hatch("oracle@example.com", "Oracle")
        asker.bond_with(oracle, "query")
        said = []

        def poll():
            try:
                said.append(oracle.get("/beak/inbox", wait=20))
            except Refused as refused:
                said.append(refused.status)

        waiting = threading.Thread(target=poll)
        waiting.start()
        pond.alice.http("POST", "/beak/rotate", {}, token=oracle.key)
        asker.post("/beak/peck", target=oracle.id, action="query", payload={})
        waiting.join()
        assert said == [401], said


run(a_key_that_ends_while_its_poll_waits_gets_nothing_more,
    a_duckling_on_one_node_pecks_one_on_another_that_it_found_through_a_third,
    a_request_with_wait_gets_its_answer_in_one_call,
    what_no_bond_covers_waits_for_the_owner_and_can_be_denied,
    a_payload_of_256_KiB_passes_and_one_byte_more_is_refused,
    a_key_used_twice_makes_one_peck_and_other_bytes_are_refused)
