"""What does not hold is refused with its reason, told to its sender where one can be told, logged,
and never served to anybody. And garbage leaves the node serving."""

import os
import re
import socket
import subprocess
import urllib.parse

from pond import BIN, NETWORK, Pond, run, until


class Hostile:
    def __init__(self, node):
        self.process = subprocess.Popen(
            [os.path.join(BIN, "tests", "hostile"), f"127.0.0.1:{node.port}", NETWORK],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(20)


def a_peck_with_one_bit_turned_is_refused_with_its_reason_and_logged():
    with Pond("alice") as pond:
        duck = pond.alice.hatch("a@example.com", "Duck")
        with Hostile(pond.alice) as hostile:
            assert hostile(f"peck {duck.id} GOOD") == "taken"
            for where, code in (("BODY", "bad_signature"), ("SIGNATURE", "bad_signature"),
                                ("CHAIN", "bad_certificate")):
                answer = hostile(f"peck {duck.id} {where}")
                assert answer.startswith(f"refused {code} "), (where, answer)
            pond.alice.says(r"a frame of kind 1 from nod_\w+ is refused: .*signature")
            pond.alice.says(r"a frame of kind 1 from nod_\w+ is refused: .*certificate")
        assert len(duck.get("/beak/pecks", box="in")["pecks"]) == 1


def a_record_with_one_bit_turned_is_refused_and_served_to_nobody():
    with Pond("alice", "bob") as pond:
        with Hostile(pond.alice) as hostile:
            for where in ("BODY", "SIGNATURE", "CHAIN", "GOOD"):
                assert hostile(f"record {where}") == "sent"
            pond.alice.says(r"a frame of kind 5 from nod_\w+ is refused: .*signature")

            def names(node):
                return [duck["display_name"] for duck in node.http(
                    "GET", "/beak/directory")["ducklings"]]

            until("the good record at bob", lambda: names(pond.bob) == ["GOOD"])
            assert names(pond.alice) == ["GOOD"]


def what_no_node_may_serve_is_served_by_none_of_three_and_shown_with_its_reason():
    with Pond("alice", "bob", "carol") as pond:
        def names(node):
            return sorted(entry["display_name"] for entry in node.json("directory")["entries"])

        def counted(name, label):
            return pond.alice.json("gossip")["counters"][f"ducknode_gossip_{name}_total{{{label}}}"]

        with Hostile(pond.alice) as hostile:
            assert hostile("record FIRST") == "sent"
            for node in pond.nodes:
                until("the good record", lambda node=node: names(node) == ["FIRST"])
            for what, name, label, log in (
                    ("FORGED", "refused", 'reason="bad_signature"', r"is refused: .*signature"),
                    ("EXPIRED", "refused", 'reason="expired"', r"is refused: .*(ended|expired)"),
                    ("OLDER", "records", 'verdict="older"', None),
                    ("TWIN", "records", 'verdict="equivocation"',
                     r"two \w+ records of one owner have the same version")):
                before = counted(name, label)
                assert hostile(f"record {what}") == "sent"
                until(f"{what} to be counted", lambda: counted(name, label) > before)
                if log:
                    pond.alice.says(log)
            assert hostile("record GOOD") == "sent"  # in order: what came before it was judged
            for node in pond.nodes:
                until("the last record", lambda node=node: "GOOD" in names(node))
            for node in pond.nodes:
                served = names(node)
                assert not {"FORGED", "EXPIRED", "OLDER"} & set(served), (node.name, served)
            text = pond.alice.command("gossip").stdout
            assert re.search(r"^refused +.*bad_signature 1.*expired 1$", text, re.MULTILINE), text
            assert re.search(r"^equivocators +1$", text, re.MULTILINE), text
            # Prometheus says the same.
            status, body, headers = pond.alice.http("GET", "/metrics", raw=True)
            assert status == 200 and headers["Content-Type"].startswith("text/plain"), headers
            assert b'ducknode_gossip_refused_total{reason="expired"} 1\n' in body, body
            assert body.count(b"# TYPE ducknode_gossip_refused_total counter\n") == 1, body


def a_receipt_by_a_node_that_is_not_the_targets_is_refused():
    with Pond("alice", "bob", "carol") as pond:  # without any link alice would hear another node first
        asker = pond.alice.hatch("a@example.com", "Asker")
        oracle = pond.bob.hatch("b@example.com", "Oracle")
        until("the oracle at alice", lambda: pond.alice.http(
            "GET", "/beak/directory?" + urllib.parse.urlencode({"q": "Oracle"}))["ducklings"])
        pond.bob.stop()
        until("the link to go", lambda: pond.alice.json("status")["links"] == 1)
        sent = asker.post("/beak/peck", target=oracle.id, action="query", payload={})
        peck = asker.peck(sent["peck_id"])
        import base64
        import hashlib
        envelope = base64.b64decode(peck["envelope"])
        body = _body_of(envelope)
        to_sign = b"DUCKv1 11 duck/peck/1 %d " % len(body) + body
        name = hashlib.blake2b(to_sign, digest_size=32).hexdigest()
        with Hostile(pond.alice) as hostile:
            assert hostile(f"receipt {name} {asker.id} {oracle.id}") == "sent"
            pond.alice.says(r"a receipt for pck_\w+ is refused: its signer is not the target's node")
        assert asker.peck(sent["peck_id"])["status"] == "queued"
        pond.bob.start()


def _body_of(envelope):
    """Field 3 of the packed Envelope."""
    at = 0
    while at < len(envelope):
        field, at = envelope[at] >> 3, at + 1
        size = shift = 0
        while True:
            byte = envelope[at]
            at += 1
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        if field == 3:
            return envelope[at:at + size]
        at += size
    raise AssertionError("an envelope without a body")


def who_was_away_takes_nothing_before_it_has_heard_another_node():
    """The hostile one compares nothing with anybody, and is the only one there."""
    with Pond("alice", "bob") as pond:
        alice, bob = pond.nodes
        duck = bob.hatch("b@example.com", "Duck")

        def taken():
            return [peck["from"] for peck in duck.get("/beak/pecks", box="in")["pecks"]]

        with Hostile(alice) as hostile:
            assert hostile("record GOOD") == "sent"
            until("its duckling at bob", lambda: [found["display_name"] for found in bob.json("directory")["entries"]
                                                  if found["host"] != bob.id] == ["GOOD"])
            bob.kill()
            assert hostile("record ROTATED") == "sent"
            until("the rotation at alice", lambda: "ROTATED" in [
                found["display_name"] for found in alice.json("directory")["entries"]])
            alice.stop()
            bob.start()
            assert hostile(f"at 127.0.0.1:{bob.port}") == "sent"
            assert hostile(f"peck {duck.id} RETIRED") == "silence"
            assert hostile(f"peck {duck.id} SECOND") == "silence"
            assert taken() == []
            alice.start()
            until("what is honest to be taken", taken)
            bob.says(r"what nod_\w+ said before another node was heard is refused: the signature does not hold")
            assert len(taken()) == 1
            assert hostile(f"peck {duck.id} SECOND") == "taken"


def ten_thousand_garbage_connections_leave_the_node_serving():
    with Pond("alice", "bob") as pond:
        for n in range(10000):
            try:
                garbage = socket.create_connection(("127.0.0.1", pond.alice.port), timeout=5)
                garbage.sendall((os.urandom(64), b"\xff\xff\xff\xff" * 8, b"", b"GET / HTTP/1.1\r\n\r\n")[n % 4])
                if n % 3 == 0:
                    garbage.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                garbage.close()
            except OSError:
                pass  # refused, reset: all the same
        pond.bob.stop()
        pond.bob.start()
        until("a good link", lambda: pond.bob.json("status")["links"] == 1, 30)
        assert pond.alice.process.poll() is None
        until("alice to be well", lambda: pond.alice.http(
            "GET", "/beak/system/status")["status"] == "operational")


run(a_peck_with_one_bit_turned_is_refused_with_its_reason_and_logged,
    a_record_with_one_bit_turned_is_refused_and_served_to_nobody,
    what_no_node_may_serve_is_served_by_none_of_three_and_shown_with_its_reason,
    a_receipt_by_a_node_that_is_not_the_targets_is_refused,
    who_was_away_takes_nothing_before_it_has_heard_another_node,
    ten_thousand_garbage_connections_leave_the_node_serving)
