"""Rate limits, on a real node: the published table, what the headers say, who is counted with whom, and
`ducknode limits`, which a running gateway follows."""

import json
import os
import re
import signal
import time

from pond import BIN, Pond, Refused, run, until
from http_raw import Gate, request

PUBLISHED = "auth=5/20/60 peck=10/60/300 cert=3/10/30 audit=30/100/500 directory=10/30/120"
HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "RateLimit",
           "RateLimit-Policy")


def says(headers, name, limit, remaining):
    """The two families of headers, which must tell the same."""
    assert headers["X-RateLimit-Limit"] == str(limit), headers
    assert headers["X-RateLimit-Remaining"] == str(remaining), headers
    reset = int(headers["X-RateLimit-Reset"]) - time.time()
    assert 0 <= reset <= 62, (reset, headers)
    assert headers["RateLimit-Policy"] == f'"{name}";q={limit};w=60', headers
    said = re.fullmatch(rf'"{name}";r={remaining};t=(\d+)', headers["RateLimit"])
    assert said and abs(int(said.group(1)) - reset) < 3, headers


def use_up(node, path, limit, **call):
    """Calls until refused; the refusal."""
    for left in reversed(range(limit)):
        status, body, headers = node.http("GET", path, raw=True, **call)
        assert status != 429, (left, body)
        says(headers, json.loads(body).get("class", headers["RateLimit"].split('"')[1]), limit, left)
    try:
        node.http("GET", path, **call)
    except Refused as refused:
        assert refused.status == 429, refused
        return refused
    raise AssertionError(f"{path} was answered {limit + 1} times")


def strangers_get_the_published_table():
    with Pond("alice", limits=PUBLISHED) as pond:
        alice = pond.alice
        for path, name, limit in (("/beak/directory", "directory", 10),
                                  ("/beak/metrics", "audit", 30),
                                  ("/beak/certificate/crt_" + "a" * 32, "cert", 3)):
            refused = use_up(alice, path, limit)
            problem = refused.body
            assert problem["error"] == "rate_limited" and problem["class"] == name, problem
            assert problem["limit"] == limit and problem["tier"] == "T0", problem
            assert problem["tier_needed"] == "T2", problem
            assert problem["retry_after"] == int(refused.headers["Retry-After"]), refused.headers
            assert 1 <= problem["retry_after"] <= 60 / limit + 1, problem
            says(refused.headers, name, limit, 0)
            # The class is one quota, whatever the path, the method, and the answer.
            if name == "directory":
                assert alice.http("HEAD", path, raw=True)[0] == 429
                assert alice.http("GET", "/beak/directory/nothing", raw=True)[0] == 429
                assert alice.http("GET", "/beak/spaceducks", raw=True)[0] == 429
        # Refusals are counted too, or guessing were free.
        for left in (4, 3):
            status, _, headers = alice.http("POST", "/beak/auth", b"not json", raw=True)
            assert status == 400, status
            says(headers, "auth", 5, left)
        status, _, headers = alice.http("POST", "/beak/auth", "{}", raw=True,
                                        headers={"Content-Type": "text/plain"})
        assert status == 415, status
        says(headers, "auth", 5, 2)
        status, _, headers = alice.http("GET", "/beak/directory", raw=True, token="sd_bk_x")
        assert status == 429, "an unknown bearer is a stranger"


def what_has_no_class_is_not_counted():
    with Pond("alice", limits=PUBLISHED) as pond:
        alice = pond.alice
        duck = alice.hatch("a@example.com", "Duck")
        for path, token in (("/beak/", None), ("/healthz", None), ("/readyz", None),
                            ("/beak/system/status", None), ("/nowhere", None),
                            ("/beak/inbox", duck.key), ("/beak/pecks", duck.key)):
            for _ in range(40):
                status, _, headers = alice.http("GET", path, raw=True, token=token)
                assert status in (200, 404), (path, status)
                assert not any(name in headers for name in HEADERS), (path, headers)


def a_bearer_has_a_quota_of_its_own_and_answers_cost_nothing():
    with Pond("alice", limits=PUBLISHED, extra="[node]\nbond_own = yes\n") as pond:
        alice = pond.alice
        asker = alice.hatch("a@example.com", "Asker")
        oracle = alice.hatch("b@example.com", "Oracle")
        use_up(alice, "/beak/directory", 10)
        use_up(alice, "/beak/directory", 10, token=asker.key)  # another than the stranger's
        use_up(alice, "/beak/directory", 10, token=oracle.key)
        for n in range(10):
            asker.post("/beak/peck", target=oracle.id, action="query", payload={"n": n})
        try:
            asker.post("/beak/peck", target=oracle.id, action="query", payload={})
            raise AssertionError("not refused")
        except Refused as refused:
            assert refused.status == 429 and refused.body["class"] == "peck", refused
            assert refused.body["tier"] in ("T0", "T1"), refused
        seen = []
        while len(seen) < 10:
            for peck in oracle.get("/beak/inbox", wait=5)["pecks"]:
                oracle.post("/beak/answer", peck_id=peck["peck_id"], result=peck["payload"])
                seen.append(peck["peck_id"])


def who_guesses_passwords_is_counted_by_address_whatever_keys_it_has():
    with Pond("alice", limits=PUBLISHED) as pond:
        alice = pond.alice
        duck = alice.hatch("a@example.com", "Duck")  # two calls of the class
        guess = {"email": "b@example.com", "password": "a wrong password"}
        answers = [alice.http("POST", "/beak/auth", guess, raw=True, token=token)[0]
                   for token in (None, duck.key, duck.key, None, duck.key)]
        assert answers == [401, 401, 401, 429, 429], answers


def a_higher_tier_has_more():
    with Pond("alice", limits=PUBLISHED) as pond:
        alice = pond.alice
        duck = alice.hatch("a@example.com", "Duck", capabilities=["data.read"])
        says(alice.http("GET", "/beak/directory", raw=True, token=duck.key)[2], "directory", 10, 9)
        alice.command("operator", "init", "--name", "Ann")
        voucher = os.path.join(pond.folder, "voucher.json")
        alice.command("operator", "sign", duck.id, "--out", voucher)
        alice.command("operator", "publish", voucher)
        operator = json.load(open(voucher))["operator"]
        alice.command("operator", "trust", operator)
        tier = alice.http("GET", "/beak/directory/" + duck.id)["tier"]
        if tier != "T2":
            duck.bond_with(alice.hatch("b@example.com", "Friend"))
            tier = until("T2", lambda: alice.http("GET", "/beak/directory/" + duck.id)["tier"])
        assert tier == "T2", tier
        alice.stop()  # what is remembered of its tier may be 30 s old: a new life asks anew
        alice.start()
        says(alice.http("GET", "/beak/directory", raw=True, token=duck.key)[2], "directory", 30, 29)


def limits_are_shown_set_and_reset_under_way():
    with Pond("alice", limits=PUBLISHED.replace("cert=3", "cert=4")) as pond:
        alice = pond.alice

        def limit_of(path):
            return alice.http("GET", path, raw=True)[2].get("X-RateLimit-Limit")

        shown = alice.json("limits")
        assert shown["peck"] == {"source": "published", "T1": 10, "T2": 60, "T3": 300}, shown
        assert shown["cert"] == {"source": "configured", "T1": 4, "T2": 10, "T3": 30}, shown
        pid = open(os.path.join(alice.state, "gateway.pid")).read()
        alice.command("limits", "set", "directory.T1=2", "audit=off")
        until("the new limit", lambda: limit_of("/beak/directory") == "2", 3)
        assert limit_of("/beak/metrics") is None
        shown = alice.json("limits", "show")
        assert shown["directory"] == {"source": "set", "T1": 2, "T2": 30, "T3": 120}, shown
        assert shown["audit"] == {"source": "set", "T1": None, "T2": None, "T3": None}, shown
        for words in (("set",), ("set", "peck=many"), ("set", "ducks=5"), ("reset", "ducks"),
                      ("turn",)):
            assert alice.command("limits", *words, check=False).returncode != 0, words
        alice.command("limits", "reset", "audit")
        until("the old limit", lambda: limit_of("/beak/metrics") == "30", 3)
        alice.stop()
        alice.start()
        assert limit_of("/beak/directory") == "2", "what was set outlives the gateway"
        assert pid != open(os.path.join(alice.state, "gateway.pid")).read()
        alice.command("limits", "reset")
        until("the published limit", lambda: limit_of("/beak/directory") == "10", 3)
        assert "published" in alice.command("limits").stdout


def limits_are_set_by_the_user_whose_node_it_is():
    with Pond("alice", limits=PUBLISHED) as pond:
        alice = pond.alice
        if os.geteuid() != 0:
            return  # only root can give a folder away
        os.chown(alice.state, 65534, -1)
        refused = alice.command("limits", "set", "peck=5", check=False)
        os.chown(alice.state, 0, -1)
        assert refused.returncode == 1 and "another user's" in refused.stderr, refused
        assert alice.json("limits")["peck"]["source"] == "published"


def a_hangup_of_the_node_reaches_the_gateway():
    with Pond("alice") as pond:
        pond.alice.process.send_signal(signal.SIGHUP)
        pond.alice.says(r"looked at again")
        assert pond.alice.http("GET", "/readyz", raw=True)[0] == 200


def what_the_gateway_would_refuse_the_node_refuses_when_it_is_asked():
    with Pond("alice") as pond:
        alice = pond.alice
        assert alice.command("run", "--check-config").returncode == 0
        for line in ("trust_proxy = nonsense", "proxy_header = X-Real-IP",
                     "metrics_allow = 10.0.0.0/99", "tls_key_file = " + alice.config):
            alice.write_config(extra=line + "\n")
            refused = alice.command("run", "--check-config", check=False)
            assert refused.returncode == 1 and line.split(" ")[0] in refused.stderr, refused
        alice.write_config(extra="")


def a_limit_that_is_not_understood_stops_the_node_with_its_name():
    with Pond("alice") as pond:
        pond.alice.stop()
        pond.limits = "peck=lots"
        pond.alice.write_config()
        done = pond.alice.command("run", check=False)
        assert done.returncode == 1 and "peck=lots" in done.stderr, done
        pond.limits = "all=off"
        pond.alice.write_config()
        pond.alice.start()


def only_a_trusted_proxy_tells_who_calls():
    def remaining(gate, *headers):
        answer = gate.get(b"/beak/metrics", *headers)
        return int(answer.headers["x-ratelimit-remaining"])

    limits = ("--limits", "audit=30")
    with Gate(*limits) as gate:  # none is trusted: all are 127.0.0.0/24
        assert remaining(gate) == 29
        assert remaining(gate, b"X-Forwarded-For: 192.0.2.1") == 28
        assert remaining(gate, b"Forwarded: for=192.0.2.1") == 27
    with Gate(*limits, "--trust-proxy", "127.0.0.1/32") as gate:
        assert remaining(gate, b"X-Forwarded-For: 192.0.2.1") == 29
        assert remaining(gate, b"X-Forwarded-For: 192.0.2.200") == 28  # its neighbour
        assert remaining(gate, b"X-Forwarded-For: 192.0.3.1") == 29
        assert remaining(gate, b"X-Forwarded-For: 10.9.9.9, 192.0.2.1") == 27  # made up, then true
        assert remaining(gate, b"X-Forwarded-For: 10.9.9.9", b"X-Forwarded-For: 192.0.2.1") == 26
        assert remaining(gate, b"X-Forwarded-For: [2001:db8::1]:4711") == 29
        assert remaining(gate, b"X-Forwarded-For: 2001:db8:0:ff::9") == 28
        assert remaining(gate, b"Forwarded: for=192.0.2.1") == 29  # not what this proxy sets
        assert remaining(gate, b"X-Forwarded-For: nobody") == 28
        until("the log", lambda: any("from 192.0.2.200" in line for line in gate.log))
    with Gate(*limits, "--trust-proxy", "127.0.0.1", "--proxy-header", "Forwarded") as gate:
        assert remaining(gate, b'Forwarded: for="[2001:db8::1]";proto=https') == 29
        assert remaining(gate, b"Forwarded: for=10.1.1.1, for=192.0.2.1;by=10.0.0.1") == 29
        assert remaining(gate, b"X-Forwarded-For: 192.0.2.1", b"Forwarded: for=192.0.2.9") == 28
        assert remaining(gate, b"X-Forwarded-For: 192.0.2.1") == 29  # the proxy itself
    with Gate(*limits, "--trust-proxy", "10.0.0.0/8") as gate:  # trusted, but not this one
        assert remaining(gate, b"X-Forwarded-For: 192.0.2.1") == 29
        assert remaining(gate, b"X-Forwarded-For: 192.0.9.1") == 28


def counters_are_shown_on_loopback_and_to_those_who_are_named():
    def status(gate, caller):
        return gate.get(b"/metrics", *([b"X-Forwarded-For: " + caller] if caller else [])).status

    shown = 503  # there is no node: but it was asked for
    with Gate("--trust-proxy", "127.0.0.1", "--metrics-allow", "192.0.2.0/24") as gate:
        assert status(gate, None) == shown and status(gate, b"::1") == shown
        assert status(gate, b"192.0.2.7") == shown
        assert status(gate, b"192.0.3.7") == 403 and status(gate, b"2001:db8::1") == 403
    with Gate("--trust-proxy", "127.0.0.1") as gate:
        assert status(gate, b"192.0.2.7") == 403


def a_limit_holds_before_a_body_is_understood():
    with Gate("--limits", "audit=3") as gate:
        for _ in range(3):
            assert gate.post(b"/beak/pageview", b"{}").status == 204
        answer = gate.post(b"/beak/pageview", b'{"page":' + b"[" * 3000)
        assert answer.status == 429 and answer.json()["class"] == "audit", answer
        line = gate.connect()
        line.send(request(b"POST", b"/beak/pageview", gate.host, b"Content-Length: 99999999"))
        answer = line.answer()
        assert answer.status == 429 and line.ends(), answer
        line.close()


if __name__ == "__main__":
    assert os.path.exists(os.path.join(BIN, "duckgate"))
    run(strangers_get_the_published_table,
        what_has_no_class_is_not_counted,
        a_bearer_has_a_quota_of_its_own_and_answers_cost_nothing,
        who_guesses_passwords_is_counted_by_address_whatever_keys_it_has,
        a_higher_tier_has_more,
        limits_are_shown_set_and_reset_under_way,
        limits_are_set_by_the_user_whose_node_it_is,
        a_hangup_of_the_node_reaches_the_gateway,
        what_the_gateway_would_refuse_the_node_refuses_when_it_is_asked,
        a_limit_that_is_not_understood_stops_the_node_with_its_name,
        only_a_trusted_proxy_tells_who_calls,
        counters_are_shown_on_loopback_and_to_those_who_are_named,
        a_limit_holds_before_a_body_is_understood)
