"""Events as they happen, over streams, and the audit log over REST."""

import concurrent.futures
import contextlib
import os
import re
import resource
import socket

from pond import Pond, refusal, run, until
from stream import Stream


def memory_kib(node):
    gateway = int(open(os.path.join(node.state, "gateway.pid")).read())
    [line] = [line for line in open(f"/proc/{gateway}/status") if line.startswith("VmRSS:")]
    return int(line.split()[1])


def together(*tests):
    """At the same time: most of each is waiting for a time that the gateway has."""
    with concurrent.futures.ThreadPoolExecutor(len(tests)) as pool:
        for done in [pool.submit(test) for test in tests]:
            done.result()


def a_stream_ends_with_its_key_and_with_the_gateway():
    with Pond("alice") as pond:
        duck = pond.alice.hatch("owner@example.com", "Duck")
        stream = Stream(pond.alice, duck.key)
        stream.block()
        pond.alice.stop()
        stream.ends()
        stream.close()
        pond.alice.start()
        stream = Stream(pond.alice, duck.key, query="?after=evt_" + "a" * 26)
        names = [stream.event()[1] for _ in range(3)]
        assert names == ["reset", "hatch", "cert_issued"], names
        rotated = pond.alice.http("POST", "/beak/rotate", {}, token=duck.key)
        assert rotated["beak_key"] != duck.key
        assert stream.event()[1] == "key_rotated", "what came with its end it still hears"
        stream.ends()  # a heartbeat later
        stream.close()


def a_listener_that_does_not_read_is_cut_and_misses_nothing_when_it_is_back():
    with Pond("alice") as pond:
        node = pond.alice
        anna, bert = node.hatch("anna@example.com", "Anna"), node.hatch("bert@example.com", "Bert")
        anna.bond_with(bert, "*")
        action = "x" * 60
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        slow.settimeout(50)
        slow.connect(("127.0.0.1", node.gateway_port))
        slow.sendall((f"GET /beak/events?events=peck&after=evt_{'a' * 26} HTTP/1.1\r\nHost: localhost"
                      f"\r\nAuthorization: Bearer {bert.key}\r\n\r\n").encode())
        for _ in range(400):  # over what the sockets hold
            anna.post("/beak/peck", target=bert.id, action=action, payload={})
        live = Stream(node, bert.key, query=f"?events=peck&after=evt_{'a' * 26}")
        told = [live.event() for _ in range(402)][1:]  # the reset, the request for a bond
        live.close()
        until("the cut", lambda: "/beak/events 200" in "\n".join(node.lines[-200:]) and any(
            "/beak/events" in line and re.search(r" in (\d+)\.", line)
            and int(re.search(r" in (\d+)\.", line).group(1)) >= 29000
            for line in node.lines), 60)
        # What lies here is all it gets: what the server's side of the connection still holds comes
        # when this side's small window opens, by probes that are minutes apart in the end.
        slow.setblocking(False)
        text = b""
        with contextlib.suppress(BlockingIOError):
            while (part := slow.recv(65536)):
                text += part
        slow.close()
        had = re.findall(rb"id: (evt_[a-z2-7]+)\nevent: peck\ndata: .*\n\n", text)
        assert 0 < len(had) < 401, len(had)
        back = Stream(node, bert.key, query="?events=peck", last_id=had[-1].decode())
        rest = [back.event() for _ in range(401 - len(had))]
        assert [id.decode() for id in had] + [id for id, _, _ in rest] == [id for id, _, _ in told]
        back.close()


def a_thousand_listen_at_once_and_no_operator_takes_every_place():
    """All of one operator, so one event is for all; each costs little while nothing happens."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    with Pond("alice") as pond:
        node = pond.alice
        duck, other = node.hatch("owner@example.com", "Duck"), node.hatch("b@example.com", "Other")
        streams = [Stream(node, duck.key)]
        before = memory_kib(node)
        streams += [Stream(node, duck.key) for _ in range(1000)]
        assert all(stream.block() == "retry: 3000" for stream in streams)
        grown = memory_kib(node) - before
        assert grown < 32 * 1024, f"{grown} KiB of 1,000 listeners"
        streams += [Stream(node, duck.key) for _ in range(1024 - len(streams))]
        refused = Stream(node, duck.key)
        assert refused.status == 503 and refused.headers["retry-after"] == "5", refused.headers
        streams += [Stream(node, other.key), refused]
        assert streams[-2].status == 200
        node.http("POST", "/beak/rotate", {}, token=duck.key)
        for stream in streams[:1024]:
            assert stream.event()[1] == "key_rotated"
        for stream in streams:
            stream.close()


def the_audit_log_is_told_to_its_own():
    with Pond("alice") as pond:
        node = pond.alice
        anna, bert = node.hatch("anna@example.com", "Anna"), node.hatch("bert@example.com", "Bert")
        anna.bond_with(bert, "*")
        asked = anna.post("/beak/peck", target=bert.id, action="query", payload={})["peck_id"]
        bert.post("/beak/answer", peck_id=bert.get("/beak/inbox", wait=20)["pecks"][0]["peck_id"],
                  result={})
        anna.becomes(asked, "answered")
        whole = anna.get("/beak/audit", limit=200)
        assert "next_cursor" not in whole and whole["entries"], whole
        numbers = [entry["number"] for entry in whole["entries"]]
        assert numbers == sorted(numbers, reverse=True)
        assert {e["duckling_id"] for e in whole["entries"] if e["kind"] != "bond_made"} == {anna.id}
        assert {"hatched", "peck_sent", "receipt_came", "bond_made"} <= {
            entry["kind"] for entry in whole["entries"]}, whole
        of_bert = bert.get("/beak/audit", subject=asked)["entries"]
        assert {entry["kind"] for entry in of_bert} >= {"peck_received", "handed_out", "receipt_made"}
        assert all(entry["subject"] == asked for entry in of_bert)
        # Page by page the same.
        paged, cursor = [], None
        while True:
            page = anna.get("/beak/audit", limit=2, **({"cursor": cursor} if cursor else {}))
            paged += page["entries"]
            cursor = page.get("next_cursor")
            if not cursor:
                break
        assert paged == whole["entries"]
        [sent] = anna.get("/beak/audit", kind="peck_sent", subject=asked)["entries"]
        assert sent["detail"] == "query", sent
        assert anna.get("/beak/audit", since="2100-01-01T00:00:00Z")["entries"] == []
        assert anna.get("/beak/audit", until="2000-01-01T00:00:00Z")["entries"] == []
        # CSV, by name or by Accept; the cursor is in Link.
        status, text, headers = node.http("GET", "/beak/audit?format=csv&limit=2", token=anna.key,
                                          raw=True)
        lines = text.decode().split("\r\n")
        assert status == 200 and headers["Content-Type"].startswith("text/csv"), headers
        assert lines[0] == "number,at,kind,duckling_id,with,subject,state,detail,attempt,signed_hash"
        assert len(lines) == 4 and lines[1].startswith(f"{numbers[0]},"), lines
        link = headers["Link"].split(">")[0][1:]
        status, text, headers = node.http("GET", link, token=anna.key, raw=True)
        assert status == 200 and text.decode().split("\r\n")[1].startswith(f"{numbers[2]},"), text
        status, _, headers = node.http("GET", "/beak/audit", token=anna.key, raw=True,
                                       headers={"Accept": "text/csv"})
        assert headers["Content-Type"].startswith("text/csv"), headers
        for query, field in (("kind=x", "kind"), ("subject=x", "subject"), ("since=x", "since"),
                             ("until=x", "until"), ("format=xml", "format"), ("cursor=x", "cursor"),
                             ("limit=0", "limit"), ("limit=201", "limit")):
            refusal(lambda: node.http("GET", "/beak/audit?" + query, token=anna.key), 422,
                    "bad_member", field)
        refusal(lambda: node.http("GET", "/beak/audit"), 401)


def what_happens_is_heard():
    together(a_stream_ends_with_its_key_and_with_the_gateway,
             a_listener_that_does_not_read_is_cut_and_misses_nothing_when_it_is_back,
             the_audit_log_is_told_to_its_own)


if __name__ == "__main__":
    run(a_thousand_listen_at_once_and_no_operator_takes_every_place, what_happens_is_heard)
