"""Requests that are wrong in one way each, made from the reference: every operation, every member of its body, its query, its
path, its bearer, its method, its length. None may be answered by an undocumented status, fell the gateway or grow it; and
whoever sent a wrong member is told which.

    bad_requests.py --count 100000 --seed 2      # with the binaries in $DUCK_BIN; some minutes"""

import argparse
import base64
import collections
import http.client
import json
import os
import random
import socket
import threading
import time

from contract_world import NOBODY, PASSWORD, REFERENCE, World, filling
from pond import Pond, run

BODY_MAX = 512 * 1024
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "FOO")
WORKERS = 4
BEFORE_ANY_ROUTE = {400, 413, 414, 431, 505}  # by the server, which knows no operation yet
HOLES = ["\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe2\x82"]  # bytes, as Latin-1
WRONG = {"string": [7, 1.5, True, [], {}, [""], {"a": 1}],
         "integer": ["1", "x", 1.5, -1, 2 ** 62, True, [], {}],
         "number": ["1", True, [], {}], "boolean": ["true", 0, 1, [], {}],
         "array": ["x", 1, {}, True, [1], [None], [[]]], "object": ["x", 1, [], True, [{}]]}

Request = collections.namedtuple("Request", "data method kind field must_refuse alone")


class Maker:
    """Makes bad requests, by chance from a seed."""

    def __init__(self, world, seed, port):
        self.world, self.dice, self.host = world, random.Random(seed), f"127.0.0.1:{port}"
        self.operations = list(REFERENCE.operations.values())

    # ---- what a good one would be ----

    def good(self, operation):
        good = filling(self.world, operation)
        # A beak key ends no session, and a session that turns a beak key round goes on.
        if operation.name in ("logout", "endOtherSessions", "eraseAccount"):
            good["token"] = self.world.first.key
        if operation.name == "rotate":
            good["token"] = self.world.spare_token
        if operation.name == "revokeCertificate":  # somebody whom nothing else needs
            good["token"] = self.world.ended.key
        return good

    def write(self, operation, good, *, body=None, method=None, target=None, headers=(), length=None, token=""):
        token = good["token"] if token == "" else token
        lines = [f"{method or operation.method} {target or operation.target(good.get('path'))} HTTP/1.1",
                 f"Host: {self.host}"]
        names = {line.split(":")[0].lower() for line in headers}
        if token:
            lines.append(f"Authorization: Bearer {token}")
        if body is not None and "content-type" not in names:
            lines.append("Content-Type: application/json")
        if length is not None or body is not None:
            lines.append(f"Content-Length: {len(body or b'') if length is None else length}")
        return ("\r\n".join([*lines, *headers]) + "\r\n\r\n").encode("latin-1") + (body or b"")

    def request(self, operation, good, kind, *, field=None, must_refuse=True, alone=False, **parts):
        return Request(self.write(operation, good, **parts), parts.get("method", operation.method), kind, field, must_refuse, alone)

    def next(self):
        operation = self.dice.choice(self.operations)
        ways = [self.bad_token, self.bad_method, self.bad_length, self.bad_query, self.bad_path]
        if operation.body:
            ways = [self.bad_member] * 10 + [self.bad_text] * 3 + ways
        made = self.dice.choice(ways)(operation, self.good(operation))
        return operation, made or self.bad_query(operation, self.good(operation))

    # ---- the body ----

    def bad_member(self, operation, good):
        schema = REFERENCE.resolved(operation.body_schema)
        members = schema.get("properties", {})
        if not members:
            return None
        name = self.dice.choice(list(members))
        body = json.loads(json.dumps(good["body"]))
        way = self.dice.choice([self.missing, self.null, self.wrong_type, self.long, self.bad_bytes, self.twice, self.deep, self.odd_text])
        return way(operation, good, name, REFERENCE.resolved(members[name]), body)

    def is_needed(self, operation, name):
        return name in REFERENCE.resolved(operation.body_schema).get("required", ())

    def with_body(self, operation, good, kind, name, body):
        """Who sends what the reference does not allow must be told the member."""
        faults = REFERENCE.faults(operation.body_schema, body)
        data = json.dumps(body).encode()
        return self.request(operation, good, kind, field=name, body=data,
                            must_refuse=bool(faults) and kind != "null")

    def missing(self, operation, good, name, schema, body):
        body.pop(name, None)
        needed = self.is_needed(operation, name)
        return self.request(operation, good, "missing", field=name, body=json.dumps(body).encode(), must_refuse=needed)

    def null(self, operation, good, name, schema, body):
        body[name] = None
        return self.request(operation, good, "null", field=name, body=json.dumps(body).encode(),
                            must_refuse=self.is_needed(operation, name))

    def types_of(self, schema):
        types = schema.get("type", [])
        return [types] if isinstance(types, str) else list(types)

    def wrong_type(self, operation, good, name, schema, body):
        types = self.types_of(schema)
        wrong = WRONG.get(next((t for t in types if t != "null"), None))
        if wrong is None:
            return None
        body[name] = self.dice.choice(wrong)
        return self.with_body(operation, good, "wrong type", name, body)

    def long(self, operation, good, name, schema, body):
        size = self.dice.choice([65, 129, 255, 1025, 5000, 70000, 300000, BODY_MAX + 1])
        if "array" in self.types_of(schema):
            body[name] = ["a" * 10] * (size // 13)
        elif "integer" in self.types_of(schema):
            data = json.dumps({**body, name: 0}).replace(f'"{name}": 0', f'"{name}": ' + "9" * size).encode()
            return self.request(operation, good, "long", body=data, alone=True,
                                field=name if len(data) <= BODY_MAX else None)
        else:
            body[name] = "a" * size
        made = self.with_body(operation, good, "long", name, body)
        return made._replace(field=None, alone=True) if size > BODY_MAX else made

    def raw(self, body, name, value):
        """The body as bytes, with `value`, as it stands, for the member."""
        rest = {key: member for key, member in body.items() if key != name}
        parts = [json.dumps({key: member})[1:-1].encode() for key, member in rest.items()]
        self.dice.shuffle(parts)
        parts.insert(self.dice.randint(0, len(parts)), json.dumps(name).encode() + b":" + value)
        return b"{" + b",".join(parts) + b"}"

    def bad_bytes(self, operation, good, name, schema, body):
        value = b'"a' + self.dice.choice(HOLES).encode("latin-1") + b'b"'
        return self.request(operation, good, "bad UTF-8", field=name, body=self.raw(body, name, value))

    def twice(self, operation, good, name, schema, body):
        body.setdefault(name, "x")
        data = json.dumps(body).encode()
        again = json.dumps({name: self.dice.choice([body[name], None, 1, "x"])})[1:].encode()
        return self.request(operation, good, "twice", field=name, body=data[:-1] + b"," + again)

    def deep(self, operation, good, name, schema, body):
        depth = self.dice.choice([64, 65, 500, 100000])
        one = self.dice.choice([(b"[", b"]"), (b'{"a":', b"}")])
        value = one[0] * depth + b"1" + (one[1] * depth if self.dice.random() < 0.7 else b"")
        data = self.raw(body, name, value)
        large = len(data) > BODY_MAX
        return self.request(operation, good, "deep", field=None if large else name, body=data, alone=large)

    def odd_text(self, operation, good, name, schema, body):
        value = self.dice.choice([b'"\\ud800"', b'"\\u0000"', b'"a\x00b"', b'"a\x01b"', b'"\\x"', b'"a\nb"', b"'a'", b"NaN", b"1e999",
                                  b"-", b"01", b"tru", b"", b"undefined"])
        return self.request(operation, good, "odd text", field=name, body=self.raw(body, name, value))

    def bad_text(self, operation, good):
        good_text = json.dumps(good["body"]).encode()
        cut = self.dice.randrange(1, max(2, len(good_text) - 1))
        ways = [("cut", good_text[:cut]), ("more", good_text + b"x"), ("two", good_text + good_text),
                ("BOM", b"\xef\xbb\xbf" + good_text), ("list", b"[" + good_text + b"]"), ("scalar", b"7"), ("null", b"null"),
                ("noise", bytes(self.dice.randrange(256) for _ in range(self.dice.randrange(1, 200)))),
                ("UTF-16", good_text.decode().encode("utf-16"))]
        kind, data = self.dice.choice(ways)
        if self.dice.random() < 0.15:
            type_ = self.dice.choice(["text/plain", "application/xml", "application/jsonx", "multipart/form-data; boundary=a", "",
                                      "application/json; charset=latin1"])
            return self.request(operation, good, "content type", body=good_text, headers=[f"Content-Type: {type_}"], must_refuse=bool(type_))
        if self.dice.random() < 0.15:
            unknown = {**good["body"], self.dice.choice(["colour", "__proto__", "é", "a" * 300, ""]): 1}
            return self.request(operation, good, "unknown member", body=json.dumps(unknown).encode())
        return self.request(operation, good, kind, body=data)

    # ---- around the body ----

    def body_of(self, good):
        return json.dumps(good["body"]).encode() if "body" in good else None

    def bad_token(self, operation, good):
        chars = "".join(self.dice.choice("abcXYZ019-_") for _ in range(43))
        key = good["token"] or self.world.first.key
        token = self.dice.choice(["x", "sd_bk_" + chars, "sd_st_" + chars, "sd_bk_" + chars[:42], key + "a", key[:-1], key.upper(),
                                  "a" * 2000, key[:-1] + chr(233), "sd_bk_" + "=" * 43, " " + chars])
        return self.request(operation, good, "token", body=self.body_of(good), token=token,
                            must_refuse=operation.name not in OPEN)

    def bad_method(self, operation, good):
        taken = {o.method for o in self.operations if o.path == operation.path} | {"HEAD", "OPTIONS"}
        method = self.dice.choice([m for m in METHODS if m not in taken])
        return self.request(operation, good, "method", method=method, body=self.body_of(good))

    def bad_length(self, operation, good):
        body = self.body_of(good) or b"{}"
        length = self.dice.choice(["-1", "x", "", "1,1", "0x10", "+2", "99999999999999999999", "1 1", "2\r\nContent-Length: 3",
                                   str(BODY_MAX + 1), "4\r\nTransfer-Encoding: chunked", "2\r\nTransfer-Encoding: gzip"])
        return self.request(operation, good, "length", body=body, length=length, alone=True)

    def bad_query(self, operation, good):
        target = operation.target(good.get("path"))
        known = operation.names("query")
        query = self.dice.choice(["colour=red", "a=%zz", "a=%00", "%ff=1", "=", "a", "x" * 3000 + "=1", "a=%"])
        field = None
        if known and self.dice.random() < 0.7:
            name = self.dice.choice(known)
            value = self.dice.choice(["-1", "x", "1e3", "%ff", "%00", "a" * 3000, "999999999999999999999", "1.5"])
            if name == "wait" or self.dice.random() < 0.5:
                query = f"{name}={value}&{name}={value}"
            else:
                query = f"{name}={value}"
                return self.request(operation, good, "query", target=target + "?" + query, body=self.body_of(good), must_refuse=False)
        return self.request(operation, good, "query", target=target + "?" + query, body=self.body_of(good), field=field)

    def bad_path(self, operation, good):
        if "{id}" not in operation.path:
            return None
        id_ = self.dice.choice(["x", "%00", "%2e%2e", "a" * 3000, "dkl_" + "B" * 32, "pck_", "%ff", "'", *NOBODY.values()])
        target = operation.path.replace("{id}", id_).replace("{delivery_id}", id_)
        return self.request(operation, good, "path", target=target, body=self.body_of(good),
                            must_refuse=id_ not in NOBODY.values() and not id_.startswith("dkl_"))


# What does not ask who calls does not look at the bearer.
OPEN = {o.name for o in REFERENCE.operations.values() if o.bearers == {None}}


class Line:
    """A connection that is kept as long as the gateway keeps it."""

    def __init__(self, port):
        self.port, self.socket = port, None

    def close(self):
        if self.socket:
            self.socket.close()
        self.socket = None

    def ask(self, request):
        for attempt in (0, 1):
            fresh = self.socket is None
            if fresh:
                self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=60)
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                return self.exchange(request)
            except (http.client.BadStatusLine, ConnectionError):
                self.close()
                if fresh:
                    raise
        raise AssertionError("not reached")

    def exchange(self, request):
        try:
            self.socket.sendall(request.data)
        except ConnectionError:
            pass  # it may have answered before it had read all of it
        answer = http.client.HTTPResponse(self.socket, method=request.method)
        answer.begin()
        headers = {name.lower(): value for name, value in answer.getheaders() if name != "Transfer-Encoding"}
        goes_on = headers.get("content-type") == "text/event-stream"
        text = answer.readline() if goes_on else answer.read()
        if request.alone or goes_on or answer.will_close:
            self.close()
        return answer.status, headers, text


class Judge:
    """What came back, counted; what should not have come, kept."""

    def __init__(self):
        self.lock = threading.Lock()
        self.statuses, self.kinds, self.faults = collections.Counter(), collections.Counter(), []
        self.problem = REFERENCE.document["components"]["schemas"]["Problem"]

    def look(self, operation, request, status, headers, text):
        faults = self.faults_of(operation, request, status, headers, text)
        with self.lock:
            self.statuses[status] += 1
            self.kinds[request.kind] += 1
            if status == 401 and request.kind != "token" and b"bearer" in text:
                faults = [*faults, "its bearer was good"]
            self.faults += [f"{operation.name}, {request.kind} of {request.field}: {fault}\n    {request.data[-300:]!r}\n"
                            f"    {status} {text[:400]!r}" for fault in faults]

    def faults_of(self, operation, request, status, headers, text):
        if "content-type" not in headers and headers.get("connection") == "close" and status in BEFORE_ANY_ROUTE:
            return []  # of the HTTP library: where such a request ends is not known
        if status == 405 or (status in BEFORE_ANY_ROUTE - {413} and status not in operation.answers):
            problem = json.loads(text)
            return REFERENCE.faults(self.problem, problem) + ([] if status != 405 or "allow" in headers else ["no Allow"])
        if status == 404 and request.kind == "path" and 404 not in operation.answers:
            return []  # such a path is in no table
        found = REFERENCE.judge(operation, status, headers, text)
        if request.must_refuse and status < 400:
            return found + ["it was taken"]
        if request.must_refuse and request.field and status in (400, 413, 422):
            told = json.loads(text).get("field")
            if told != request.field:
                found.append(f"the field is {told}")
        return found


def rss_kb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def ask_all(world, judge, count, seed, port):
    """Some threads, each with dice of its own and a line of its own."""
    left = iter(range(count))
    lock = threading.Lock()
    broken = []

    def work(number):
        maker, line = Maker(world, f"{seed}/{number}", port), Line(port)
        try:
            while not broken:
                with lock:
                    if next(left, None) is None:
                        return
                operation, request = maker.next()
                try:
                    answer = line.ask(request)
                except (OSError, http.client.HTTPException) as error:
                    broken.append(f"{operation.name}, {request.kind}: {error!r} to {request.data[:600]!r}")
                    return
                judge.look(operation, request, *answer)
        except BaseException as error:
            broken.append(repr(error))
            raise
        finally:
            line.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not broken, broken[0]


def open_world(alice):
    world = World()
    world.alice, world.port = alice, alice.gateway_port
    world.first = alice.hatch("first@example.com", "First", PASSWORD)
    world.stranger = alice.hatch("stranger@example.com", "Stranger", PASSWORD)
    alice.hatch("spare@example.com", "Spare", PASSWORD)
    world.ended = alice.hatch("ended@example.com", "Ended", PASSWORD)
    world.first.bond_with(world.stranger)
    world.grant = world.first.post("/beak/grant", holder=world.stranger.id, scopes=["granted.*"])["grant"]
    world.token, world.spare_token = (
        alice.http("POST", "/beak/auth", {"email": email, "password": PASSWORD})["token"]
        for email in ("first@example.com", "spare@example.com"))
    return world


def bad_requests_are_refused_as_documented():
    judge = Judge()
    with Pond("alice") as pond:
        alice = pond.alice
        world = open_world(alice)
        pid = int(open(os.path.join(alice.state, "gateway.pid"), encoding="ascii").read())
        started = time.monotonic()
        ask_all(world, judge, OPTIONS.count // 10, f"{OPTIONS.seed}/warm", alice.gateway_port)
        before = rss_kb(pid)
        ask_all(world, judge, OPTIONS.count - OPTIONS.count // 10, OPTIONS.seed, alice.gateway_port)
        after, took = rss_kb(pid), time.monotonic() - started
        assert pid == int(open(os.path.join(alice.state, "gateway.pid"), encoding="ascii").read()), "it was started anew"
        assert alice.http("GET", "/healthz", raw=True)[0] == 200
        alice.stop()
        said = [line for line in alice.lines if "Sanitizer" in line or "runtime error" in line]
    print(json.dumps({"bad_requests": OPTIONS.count, "seed": OPTIONS.seed, "seconds": round(took, 1), "rss_kb_before": before,
                      "rss_kb_after": after, "statuses": dict(sorted(judge.statuses.items())), "kinds": dict(judge.kinds),
                      "faults": len(judge.faults)}))
    assert not said, said[:20]
    assert not judge.faults, f"{len(judge.faults)} faults, such as\n" + "\n".join(judge.faults[:OPTIONS.show])
    assert after - before < OPTIONS.growth_max_kb, f"grew by {after - before} KiB"
    assert len(judge.kinds) >= 15, judge.kinds


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", default="1")
    # Of the gateway, from a tenth of the requests to their end. AddressSanitizer keeps what is freed: 400000 there.
    parser.add_argument("--growth-max-kb", type=int, default=32 * 1024)
    parser.add_argument("--show", type=int, default=10)
    OPTIONS = parser.parse_args()
    run(bad_requests_are_refused_as_documented)
