"""Can who measures tell an account that exists from one that does not, or a guess that is nearly right from another?

Requests of two kinds, one after the other in an order drawn by lot, on one connection; Welch's t of their times, and of the fastest nine
tenths, half and tenth of both alike, for a small difference hides behind the slow ones. A line of JSON for each pair: below 4.5 they cannot be told apart.

    timing.py [NAME…]    DUCK_TIMING_SAMPLES of both together (10000); the binaries are in $DUCK_BIN"""

import http.client
import json
import os
import random
import secrets
import socket
import sqlite3
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
from pond import Pond  # noqa: E402

T_MAX = 4.5
SAMPLES = int(os.environ.get("DUCK_TIMING_SAMPLES", "10000"))
PASSWORD, WRONG = "a long enough passphrase", "another long passphrase"
CODE_LIFE_MS = 15 * 60 * 1000
PARTS = (1.0, 0.9, 0.5, 0.1)


class Line:
    def __init__(self, port):
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def bytes_of(self, method, path, body=None, token=None):
        text = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}"]
        lines += [f"Authorization: Bearer {token}"] if token else []
        lines += ["Content-Type: application/json", f"Content-Length: {len(text)}"] if body is not None else []
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + text

    def ask(self, data):
        """Its time in ns, to the last byte, and its status."""
        began = time.perf_counter_ns()
        self.socket.sendall(data)
        answer = http.client.HTTPResponse(self.socket)
        answer.begin()
        answer.read()
        return time.perf_counter_ns() - began, answer.status


def welch(one, two):
    spread = statistics.variance(one) / len(one) + statistics.variance(two) / len(two)
    return (statistics.fmean(one) - statistics.fmean(two)) / spread ** 0.5 if spread else 0.0


def fastest(one, two, part):
    """What is below the same bound, in both."""
    bound = sorted(one + two)[int(part * (len(one) + len(two))) - 1]
    return [x for x in one if x <= bound], [x for x in two if x <= bound]


def ts(one, two):
    found = {}
    for part in PARTS:
        first, second = fastest(one, two, part)
        found[part] = round(welch(first, second), 2) if min(len(first), len(second)) > 30 else None
    return found


class Bench:
    def __init__(self, alice):
        self.alice = alice
        self.store = os.path.join(alice.state, "gateway", "gateway.db")
        self.dice = random.Random(int(os.environ.get("DUCK_TIMING_SEED", "1")))

    def run(self, name, make, status, samples=SAMPLES):
        """`make(kind, n)` writes the n-th request of kind 0 or 1."""
        line = Line(self.alice.gateway_port)
        kinds = [n % 2 for n in range(samples)]
        self.dice.shuffle(kinds)
        times = ([], [])
        for n in range(20):
            line.ask(line.bytes_of(*make(n % 2, f"warm{n}")))
        for n, kind in enumerate(kinds):
            took, got = line.ask(line.bytes_of(*make(kind, n)))
            assert got == status, (name, kind, got)
            times[kind].append(took)
        line.socket.close()
        found = ts(*times)
        worst = max(abs(t) for t in found.values() if t is not None)
        medians = [round(statistics.median(t) / 1000, 1) for t in times]
        print(json.dumps({"bench": f"timing_{name}", "value": worst, "unit": "|t|", "limit": T_MAX,
                          "ratio": round(T_MAX / max(worst, 0.01), 3), "samples": samples, "t_of_fastest": found, "median_us": medians}), flush=True)
        return worst < T_MAX

    # ---- what is there before ----

    def put(self, text, rows):
        base = sqlite3.connect(self.store, timeout=20)
        with base:
            base.executemany(text, rows)
        base.close()

    def known(self, start):
        """Addresses that are operators, as many as there will be requests; all have the password of the first."""
        hash_ = sqlite3.connect(self.store).execute("SELECT password_hash FROM operators LIMIT 1").fetchone()[0]
        names = [f"{start}{n}@known.example" for n in [*range(SAMPLES), *(f"warm{n}" for n in range(20))]]
        self.put("INSERT INTO operators (lookup, email, password_hash, created_ms) VALUES (?, ?, ?, 1)",
                 [(name, name, hash_) for name in names])

    def codes(self, start, purpose):
        """Codes that nobody was mailed, of addresses that are operators or not."""
        ends = int(time.time() * 1000) + CODE_LIFE_MS
        names = [f"{start}{n}@known.example" for n in [*range(SAMPLES), *(f"warm{n}" for n in range(20))]]
        if purpose == 1:
            self.put("INSERT INTO eggs (lookup, email, display_name, expires_ms) VALUES (?, ?, 'D', ?)", [(n, n, ends) for n in names])
        base = sqlite3.connect(self.store)
        eggs = dict(base.execute("SELECT lookup, egg FROM eggs")) if purpose == 1 else {}
        base.close()
        self.put("INSERT INTO codes (lookup, purpose, egg, hash, tries_left, expires_ms) VALUES (?, ?, ?, ?, 5, ?)",
                 [(n, purpose, eggs.get(n, 0), secrets.token_bytes(32), ends) for n in names])

    def address(self, start, kind, n):
        return f"{start}{n}@{('known', 'other')[kind]}.example"


def same(bench):
    """The measure itself: two kinds that are one."""
    return bench.run("nothing", lambda kind, n: ("POST", "/beak/verify", {"email": f"n{n}@other.example", "code": "000000"}), 401)


def auth(bench):
    bench.known("a")
    samples = int(os.environ.get("DUCK_TIMING_PASSWORDS", SAMPLES))
    return bench.run("auth_of_unknown", lambda kind, n: ("POST", "/beak/auth", {"email": bench.address("a", kind, n), "password": WRONG}), 401, samples)


def forgot(bench):
    bench.known("f")
    return bench.run("forgot_of_unknown", lambda kind, n: ("POST", "/beak/forgot", {"email": bench.address("f", kind, n)}), 202)


def hatch(bench):
    bench.known("h")
    return bench.run("hatch_of_unknown", lambda kind, n: ("POST", "/beak/hatch", {"email": bench.address("h", kind, n), "display_name": "D"}), 202)


def verify(bench):
    bench.codes("v", 1)
    return bench.run("verify_without_egg", lambda kind, n: ("POST", "/beak/verify", {"email": bench.address("v", kind, n), "code": "000000"}), 401)


def verify_operator(bench):
    bench.known("w")
    return bench.run("verify_of_unknown", lambda kind, n: ("POST", "/beak/verify", {"email": bench.address("w", kind, n), "code": "000000"}), 401)


def reset(bench):
    bench.known("r")
    bench.codes("r", 2)
    return bench.run("reset_of_unknown", lambda kind, n: ("POST", "/beak/reset", {
        "email": bench.address("r", kind, n), "code": "000000", "password": PASSWORD}), 401)


def reset_without_code(bench):
    bench.known("s")
    return bench.run("reset_without_code", lambda kind, n: ("POST", "/beak/reset", {
        "email": bench.address("s", kind, n), "code": "000000", "password": PASSWORD}), 401)


def subscribe(bench):
    names = [f"l{n}@known.example" for n in [*range(SAMPLES), *(f"warm{n}" for n in range(20))]]
    bench.put("INSERT INTO newsletter (lookup, email, asked_ms, confirmed_ms) VALUES (?, ?, 1, 1)", [(n, n) for n in names])
    return bench.run("subscribe_again", lambda kind, n: ("POST", "/beak/newsletter/subscribe", {"email": bench.address("l", kind, n)}), 202)


def code_of_another(bench):
    """A code that is right for somebody else is a wrong one like any other."""
    bench.alice.http("POST", "/beak/hatch", {"email": "code@example.com", "display_name": "C"})
    right = bench.alice.mail_code("code@example.com")
    wrong = "111111" if right != "111111" else "222222"
    return bench.run("code_of_another", lambda kind, n: ("POST", "/beak/verify", {"email": f"c{n}@other.example", "code": (right, wrong)[kind]}), 401)


def token(bench):
    """The first 40 of its 43 characters are right, or none."""
    right = bench.alice.http("POST", "/beak/auth", {"email": "real@example.com", "password": PASSWORD})["token"]
    end = "AAA" if right[-3:] != "AAA" else "BBB"
    wrong = "sd_st_" + secrets.token_urlsafe(32)
    return bench.run("token_nearly_right", lambda kind, n: ("GET", "/beak/spaceducks", None, (right[:-3] + end, wrong)[kind]), 401)


def unsubscribe(bench):
    email = "reader@example.com"
    bench.alice.http("POST", "/beak/newsletter/subscribe", {"email": email})
    right = bench.alice.http("POST", "/beak/newsletter/confirm", {"email": email, "code": bench.alice.mail_code(email)})["unsubscribe_token"]
    end = "AAA" if right[-3:] != "AAA" else "BBB"
    wrong = secrets.token_urlsafe(32)
    return bench.run("unsubscribe_nearly_right", lambda kind, n: ("POST", "/beak/newsletter/unsubscribe", {
        "email": email, "token": (right[:-3] + end, wrong)[kind]}), 401)


PAIRS = {f.__name__: f for f in (same, forgot, hatch, verify, verify_operator, reset, reset_without_code, subscribe, code_of_another,
                                 token, unsubscribe, auth)}


def timing(names=()):
    """True: none of the pairs can be told apart."""
    with Pond("alice") as pond:
        pond.alice.hatch("real@example.com", "Real", PASSWORD)
        bench = Bench(pond.alice)
        return all([PAIRS[name](bench) for name in names or PAIRS])


if __name__ == "__main__":
    sys.exit(0 if timing(sys.argv[1:]) else 1)
