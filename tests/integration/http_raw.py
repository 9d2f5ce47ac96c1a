"""What duckgate answers to bytes that no client library would send, without any node behind it."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from pond import BIN, run, until

BODY_MAX = 512 * 1024
CRLF = b"\r\n"


class Gate:
    def __init__(self, *flags):
        self.folder = tempfile.mkdtemp(prefix="duckgate-")
        self.flags = flags

    def __enter__(self):
        url = os.path.join(self.folder, "url")
        self.process = subprocess.Popen(
            [os.path.join(BIN, "duckgate"), "--listen", "127.0.0.1:0", "--state-dir",
             os.path.join(self.folder, "state"), "--socket", os.path.join(self.folder, "none"),
             "--url-file", url, "--log-level", "debug", "--limits", "all=off", *self.flags],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
        self.log = []
        self.reader = threading.Thread(target=lambda: self.log.extend(self.process.stderr))
        self.reader.start()
        until("the gateway's URL", lambda: os.path.exists(url))
        self.url_file = url
        self.port = int(open(url).read().rsplit(":", 1)[1])
        self.host = b"127.0.0.1:%d" % self.port
        return self

    def __exit__(self, kind, error, trace):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(20)
        self.reader.join()
        shutil.rmtree(self.folder, ignore_errors=True)
        if kind is None:
            assert code == 0, f"ended with {code}:\n" + "".join(self.log[-20:])

    def connect(self):
        return Line(socket.create_connection(("127.0.0.1", self.port), timeout=20))

    def ask(self, data, answers=1):
        """Sends `data`; the first answer, and whether the gateway then ended the connection."""
        with contextlib.closing(self.connect()) as line:
            line.send(data)
            answer = line.answer(head=data.startswith(b"HEAD"))
            return answer

    def get(self, path=b"/beak/", *headers, method=b"GET"):
        return self.ask(request(method, path, self.host, *headers))

    def post(self, path, body, *headers, type=b"application/json"):
        more = (b"Content-Type: " + type,) if type else ()
        return self.ask(request(b"POST", path, self.host, *more, *headers,
                                b"Content-Length: %d" % len(body)) + body)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:300]}"


class Line:
    """One connection, and what came over it."""

    def __init__(self, socket_):
        self.socket, self.data = socket_, b""

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before all was sent: the answer is what counts

    def more(self):
        try:
            part = self.socket.recv(65536)
        except ConnectionResetError:
            part = b""
        self.data += part
        return bool(part)

    def answer(self, head=False):
        """The next answer, or None when the connection ends without one."""
        while b"\r\n\r\n" not in self.data:
            if not self.more():
                return None
        top, self.data = self.data.split(b"\r\n\r\n", 1)
        lines = top.decode("latin-1").split("\r\n")
        status = int(lines[0].split()[1])
        headers = {name.lower(): value.strip() for name, value in
                   (line.split(":", 1) for line in lines[1:] if ":" in line)}
        size = 0 if head or status < 200 or status == 204 else int(headers["content-length"])
        while len(self.data) < size:
            if not self.more():
                break
        body, self.data = self.data[:size], self.data[size:]
        return Answer(status, headers, body)

    def ends(self):
        """Does the gateway end the connection, with nothing more said?"""
        while self.more():
            pass
        return self.data == b""

    def close(self):
        self.socket.close()


def request(method, path, host, *headers):
    return CRLF.join([method + b" " + path + b" HTTP/1.1", b"Host: " + host, *headers, b"", b""])


def refused(answer, status, code=None, field=None):
    assert answer is not None, "no answer"
    assert answer.status == status, answer
    if code is None:
        return
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json", answer
    for member in ("type", "title", "status", "detail", "instance", "error", "message"):
        assert member in problem, (member, problem)
    assert problem["error"] == code and problem["status"] == status, problem
    assert problem["message"] == problem["detail"], problem
    if field:
        assert problem["field"] == field, problem


def what_two_parsers_could_read_as_two_requests_is_refused_and_ends_the_connection():
    inner = b"GET /beak/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
    five = b"Content-Length: 5"
    cases = {
        "two different lengths": [five, b"Content-Length: 6"],
        "the same length twice": [five, five],
        "length and chunked": [five, b"Transfer-Encoding: chunked"],
        "chunked and length": [b"Transfer-Encoding: chunked", five],
        "an unknown coding": [b"Transfer-Encoding: gzip"],
        "chunked and another coding": [b"Transfer-Encoding: gzip, chunked"],
        "chunked twice": [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
        "chunked with a tail": [b"Transfer-Encoding: chunked, identity"],
        "a blank before the colon": [b"Content-Length : 5"],
        "a blank in a name": [b"X Y: 5"],
        "a name that is no token": [b"Fo(o): 5"],
        "two hosts": [b"Host: localhost"],
        "a control character": [b"X-Thing: a\x01b"],
        "a delete character": [b"X-Thing: a\x7fb"],
        "a bare CR": [b"X-Thing: a\rTransfer-Encoding: chunked"],
        "two authorizations": [b"Authorization: Bearer a", b"Authorization: Bearer b"],
        "two origins": [b"Origin: http://a", b"Origin: http://b"],
        "two types": [b"Content-Type: application/json", b"Content-Type: text/plain"],
        "two idempotency keys": [b"Idempotency-Key: a", b"Idempotency-Key: b"],
    }
    with Gate() as gate:
        for name, headers in cases.items():
            with contextlib.closing(gate.connect()) as line:
                line.send(request(b"POST", b"/beak/pageview", gate.host, *headers) + inner + inner)
                answer = line.answer()
                assert answer is not None and answer.status == 400, (name, answer)
                assert line.ends(), (name, line.data)
        assert gate.get().status == 200


def a_length_that_is_no_number_is_refused():
    with Gate() as gate:
        for length in (b"abc", b"-1", b"+5", b"5 5", b"0x5", b"99999999999999999999999"):
            with contextlib.closing(gate.connect()) as line:
                line.send(request(b"POST", b"/beak/pageview", gate.host,
                                  b"Content-Length: " + length) + b"{}")
                while line.more():  # the library's own answer here holds its header twice
                    pass
                status = int(line.data.split()[1])
                assert status in (400, 413), (length, line.data[:200])


def what_is_too_large_is_refused_before_it_is_held():
    with Gate() as gate:
        refused(gate.get(b"/beak/" + b"a" * 40960), 414)
        refused(gate.get(b"/beak/", b"X-Thing: " + b"a" * 40960), 431)
        refused(gate.get(b"/beak/", *[b"X-%d: y" % n for n in range(4000)]), 431)
        refused(gate.ask(request(b"POST", b"/beak/pageview", gate.host,
                                 b"Transfer-Encoding: chunked")
                         + b"FFFFFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\n"), 413)
        assert gate.get().status == 200


def a_body_at_the_limit_is_read_and_one_byte_more_is_refused():
    def chunked(body):
        return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in
                        (body[at:at + 60000] for at in range(0, len(body), 60000))) + b"0\r\n\r\n"

    body = b'{"page":"' + b"x" * (BODY_MAX - 11) + b'"}'
    assert len(body) == BODY_MAX
    head = (b"POST", b"/beak/pageview")
    with Gate() as gate:
        # Read whole: only then is the page found to be too long.
        refused(gate.post(b"/beak/pageview", body), 422, "bad_member", "page")
        refused(gate.ask(request(*head, gate.host, b"Transfer-Encoding: chunked") + chunked(body)),
                422, "bad_member", "page")
        with contextlib.closing(gate.connect()) as line:
            line.send(request(*head, gate.host, b"Content-Length: %d" % (BODY_MAX + 1)))
            refused(line.answer(), 413, "too_large")
            assert line.ends()
        with contextlib.closing(gate.connect()) as line:
            line.send(request(*head, gate.host, b"Transfer-Encoding: chunked")
                      + chunked(body + b" "))
            refused(line.answer(), 413, "too_large")
            assert line.ends()
        with contextlib.closing(gate.connect()) as line:  # without end: cut off, not drained
            line.send(request(*head, gate.host, b"Transfer-Encoding: chunked"))
            for _ in range(100):
                line.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            assert line.answer() is None
        assert gate.get().status == 200


def a_length_that_is_too_large_is_refused_before_the_body_is_asked_for():
    with Gate() as gate, contextlib.closing(gate.connect()) as line:
        line.send(request(b"POST", b"/beak/pageview", gate.host, b"Expect: 100-continue",
                          b"Content-Length: %d" % (BODY_MAX + 1)))
        refused(line.answer(), 413, "too_large")
    with Gate() as gate, contextlib.closing(gate.connect()) as line:
        line.send(request(b"POST", b"/beak/pageview", gate.host, b"Expect: 100-continue",
                          b"Content-Length: 2"))
        assert line.answer().status == 100
        line.send(b"{}")
        assert line.answer().status == 204


def who_is_slow_is_cut_off():
    def drip(line, byte, every=0.25):
        """Sends a byte now and then until the other side ends; the seconds that took."""
        began = time.monotonic()
        line.socket.settimeout(every)
        while True:
            try:
                line.socket.sendall(byte)
                if not line.socket.recv(4096):
                    break
            except socket.timeout:
                pass
            except OSError:
                break
            assert time.monotonic() - began < 20, "never cut off"
        return time.monotonic() - began

    with Gate() as gate:
        took = {}

        def idle():
            line = gate.connect()
            began = time.monotonic()
            line.ends()
            took["idle"] = time.monotonic() - began

        def slow_header():
            line = gate.connect()
            line.send(b"GET /beak/ HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
            took["header"] = drip(line, b"a")

        def slow_body():
            line = gate.connect()
            line.send(request(b"POST", b"/beak/pageview", gate.host, b"Content-Length: 1000"))
            took["body"] = drip(line, b" ")

        threads = [threading.Thread(target=each) for each in (idle, slow_header, slow_body)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 2.5 < took["idle"] < 5, took
        assert 2.5 < took["header"] < 5, took
        assert 9 < took["body"] < 13, took


def a_hundred_requests_in_one_write_get_a_hundred_answers_in_order():
    paths = [b"/beak/" if n % 2 else b"/nowhere%d" % n for n in range(100)]
    with Gate() as gate, contextlib.closing(gate.connect()) as line:
        line.send(b"".join(request(b"GET", path, gate.host) for path in paths))
        for n, path in enumerate(paths):
            answer = line.answer()
            assert answer.status == (200 if n % 2 else 404), (n, answer)
            if not n % 2:
                assert answer.json()["instance"].startswith(path.decode() + "#"), answer


def a_connection_is_kept_over_refusals_and_bodies():
    with Gate() as gate, contextlib.closing(gate.connect()) as line:
        for body, status in ((b"{}", 204), (b"nonsense", 400), (b'{"x":1}', 422), (b"{}", 204)):
            for path, expected in ((b"/beak/pageview", status), (b"/nowhere", 404),
                                   (b"/beak/peck", 401), (b"/beak/metrics", 405)):
                line.send(request(b"POST", path, gate.host, b"Content-Length: %d" % len(body))
                          + body)
                answer = line.answer()
                assert answer.status == expected, (path, body, answer)


def methods_and_paths_are_on_one_list():
    with Gate() as gate:
        head = gate.get(method=b"HEAD")
        assert head.status == 200 and int(head.headers["content-length"]) > 0, head
        refused(gate.get(b"/beak/inbox", method=b"HEAD"), 405)
        options = gate.get(b"/beak/peck", method=b"OPTIONS")
        assert options.status == 204 and options.headers["allow"] == "POST, OPTIONS", options
        assert gate.get(b"*", method=b"OPTIONS").status == 204
        for method in (b"FOO", b"get", b"TRACE", b"PUT", b"DELETE", b"CONNECT"):
            answer = gate.get(method=method)
            refused(answer, 405, "method_not_allowed")
            assert answer.headers["allow"] == "GET, HEAD, OPTIONS", answer
        for path in (b"/", b"/nowhere", b"/beak/../beak/", b"/beak//", b"/beak/%2e",
                     b"/BEAK/", b"/beak/peck/", b"/beak/pecks/", b"/beak/pecks/a/b",
                     b"/beak/pecks/A", b"/beak/pecks/%61"):
            refused(gate.get(path), 404, "no_such_path")
        for path in (b"/beak/%00", b"/beak/pecks/pck_a%00", b"http://localhost/beak/",
                     b"beak", b"/beak/\xc3\xa9"):
            refused(gate.get(path), 400, "malformed")
        refused(gate.get(b"/beak/", b"Content-Length: 2\r\n\r\n{}"), 400, "malformed")
        refused(gate.ask(b"GET /beak/ HTTP/1.1\r\n\r\n"), 400)
        assert gate.ask(b"GET /beak/ HTTP/1.0\r\n\r\n").status == 200


def a_page_of_a_foreign_site_gets_nothing():
    with Gate("--allow-host", "duck.example", "--allow-origin", "https://app.example:8443",
              "--public-url", "https://public.example/duck") as gate:
        for host in (b"localhost", b"127.0.0.1", b"127.0.0.1:1", b"[::1]:7118", b"duck.example",
                     b"DUCK.example:80", b"duck.example.", b"public.example", b"10.1.2.3",
                     b"ui.localhost:7118"):
            assert gate.ask(request(b"GET", b"/beak/", host)).status == 200, host
        for host in (b"evil.example", b"127.0.0.1.evil.example", b"localhost.evil.example",
                     b"evil-localhost", b"", b"[::1", b"[evil]", b"duck.example:evil",
                     b"duck.example@evil.example", b"2130706433"):
            refused(gate.ask(request(b"GET", b"/beak/", host)), 421, "foreign_host")
        for origin in (b"http://" + gate.host, b"https://" + gate.host):
            assert gate.get(b"/beak/", b"Origin: " + origin).status == 200, origin
        for origin in (b"http://evil.example", b"null", b"http://localhost", b"",
                       b"http://" + gate.host + b".evil.example", b"https://app.example"):
            refused(gate.get(b"/beak/", b"Origin: " + origin), 403, "foreign_origin")
        listed = gate.get(b"/healthz", b"Origin: https://app.example:8443")
        assert listed.headers["access-control-allow-origin"] == "https://app.example:8443"
        asked = gate.get(b"/beak/peck", b"Origin: https://app.example:8443", method=b"OPTIONS")
        assert "Authorization" in asked.headers["access-control-allow-headers"], asked
        own = gate.get(b"/healthz", b"Origin: http://" + gate.host)
        assert "access-control-allow-origin" not in own.headers, own


def json_is_read_without_forgiveness():
    malformed = {
        "a member twice": b'{"page":"a","page":"b"}',
        "a member twice by an escape": b'{"page":"a","p\\u0061ge":"b"}',
        "a member twice inside": b'{"page":{"a":1,"a":2}}',
        "bad UTF-8": b'{"page":"\xff"}',
        "UTF-8 that is too long": b'{"page":"\xc0\xaf"}',
        "half a surrogate": b'{"page":"\\ud800"}',
        "a NUL": b'{"page":"a\\u0000b"}',
        "a raw NUL": b'{"page":"a\x00b"}',
        "a raw control character": b'{"page":"a\nb"}',
        "a byte order mark": b'\xef\xbb\xbf{}',
        "something after the end": b"{} {}",
        "a comma too many": b'{"page":"a",}',
        "depth of 3000": b'{"page":' + b"[" * 3000 + b"]" * 3000 + b"}",
        "depth of 65": b'{"page":' + b"[" * 64 + b"]" * 64 + b"}",
        "NaN": b'{"page":NaN}',
        "Infinity": b'{"page":-Infinity}',
        "2^63": b'{"page":9223372036854775808}',
        "1e999": b'{"page":1e999}',
        "a leading zero": b'{"page":01}',
        "a hexadecimal": b'{"page":0x1}',
        "single quotes": b"{'page':'a'}",
        "a comment": b'{"page":"a"/**/}',
        "a list": b"[]",
        "a text": b'"page"',
        "half of it": b'{"page":"a"',
        "nothing but blanks": b"   ",
    }
    with Gate() as gate:
        for name, body in malformed.items():
            answer = gate.post(b"/beak/pageview", body)
            assert answer is not None and answer.status == 400, (name, answer)
            refused(answer, 400, "malformed")
        # As deep as may be: then the page is found to be no text.
        refused(gate.post(b"/beak/pageview", b'{"page":' + b"[" * 63 + b"]" * 63 + b"}"),
                422, "bad_member", "page")
        refused(gate.post(b"/beak/pageview", b'{"page":9223372036854775807}'), 422, "bad_member",
                "page")
        refused(gate.post(b"/beak/pageview", b'{"page":"/", "colour":"red"}'), 422,
                "unknown_member", "colour")
        refused(gate.post(b"/beak/hatch", b'{"email":"a@example.com"}'), 422, "missing_member",
                "display_name")
        refused(gate.post(b"/beak/verify", b'{"email":"a@example.com","code":123456}'), 422,
                "bad_member", "code")
        refused(gate.post(b"/beak/pageview", b'{"page":"' + b"a" * 2049 + b'"}'), 422,
                "bad_member", "page")
        for body in (b"{}", b"", b'{"page":"/","referrer":null}', b' {"page":"\\u00e9"}\n'):
            assert gate.post(b"/beak/pageview", body).status == 204, body


def only_json_is_taken():
    with Gate() as gate:
        for type_ in (b"text/plain", b"application/x-www-form-urlencoded", b"application/jsonp",
                      b"application/json; charset=latin1", b"multipart/form-data; boundary=x"):
            refused(gate.post(b"/beak/pageview", b"{}", type=type_), 415, "not_json")
        for type_ in (b"application/json", b"application/json; charset=utf-8",
                      b"APPLICATION/JSON;charset=UTF-8", None):
            assert gate.post(b"/beak/pageview", b"{}", type=type_).status == 204, type_


def a_query_is_read_as_strictly():
    with Gate() as gate:
        refused(gate.get(b"/beak/directory?colour=red"), 422, "unknown_member", "colour")
        refused(gate.get(b"/beak/directory?q=a&q=b"), 400, "malformed", "q")
        for query in (b"q=%00", b"q=%zz", b"q=%4", b"q=%", b"q=%ff", b"q=%0a", b"%71=a&q=b"):
            refused(gate.get(b"/beak/directory?" + query), 400, "malformed")
        for query in (b"limit=0", b"limit=201", b"limit=-1", b"limit=1.5", b"limit=", b"limit=0x1",
                      b"limit=99999999999999999999"):
            refused(gate.get(b"/beak/directory?" + query), 422, "bad_member", "limit")
        refused(gate.get(b"/beak/directory?tier_min=T4"), 422, "bad_member", "tier_min")
        refused(gate.get(b"/beak/directory?host=nowhere"), 422, "bad_member", "host")
        for query in (b"q=a+b%20c", b"limit=200&tier_min=T1", b"%71=a", b"q=%C3%A9"):
            refused(gate.get(b"/beak/directory?" + query), 503, "unreachable")
        refused(gate.get(b"/beak/?q=a"), 422, "unknown_member", "q")


def a_bearer_is_asked_for_where_one_is_needed():
    with Gate() as gate:
        for headers in ((), (b"Authorization: Basic YTpi",), (b"Authorization: Bearer x",),
                        (b"Authorization: Bearer sd_bk_" + b"a" * 43,),
                        (b"Authorization: Bearer sd_st_" + b"a" * 43,),
                        (b"Authorization: Bearer " + b"a" * 4000,), (b"Authorization: ",)):
            answer = gate.get(b"/beak/pecks", *headers)
            refused(answer, 401)
            assert answer.headers["www-authenticate"].startswith("Bearer"), answer
            assert gate.get(b"/beak/", *headers).status == 200
        assert not any("sd_bk_" in line or "sd_st_" in line for line in gate.log)


def without_a_node_everybody_is_told_so():
    with Gate() as gate:
        probe = gate.get().json()
        assert probe["service"] == "duckgate" and probe["status"] == "outage", probe
        assert gate.get(b"/healthz").status == 200
        for path in (b"/readyz", b"/beak/metrics", b"/beak/directory",
                     b"/beak/certificate/dkl_" + b"b" * 32):
            answer = gate.get(path)
            refused(answer, 503, "unreachable")
            assert int(answer.headers["retry-after"]) >= 1, answer
        status = gate.get(b"/beak/system/status").json()
        assert status["status"] == "outage", status
        assert status["parts"][0]["name"] == "node", status


def a_trace_is_echoed_when_it_is_one():
    trace = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with Gate() as gate:
        assert gate.get(b"/healthz", b"traceparent: " + trace).headers["traceparent"] == \
            trace.decode()
        for bad in (trace[:-1], trace + b"0", trace.upper(), trace.replace(b"-", b"_"),
                    trace.replace(b"4", b"g")):
            assert "traceparent" not in gate.get(b"/healthz", b"traceparent: " + bad).headers, bad


def one_address_gets_its_share_of_connections():
    with Gate("--connections-per-loopback", "4") as gate:
        lines = [gate.connect() for _ in range(4)]
        for line in lines:
            line.send(request(b"GET", b"/beak/", gate.host))
            assert line.answer().status == 200
        fifth = gate.connect()
        fifth.send(request(b"GET", b"/beak/", gate.host))
        assert fifth.answer() is None
        lines.pop().close()
        until("room for one more", lambda: gate.get() is not None)
        for line in lines:
            line.close()


def a_client_that_goes_away_leaves_nothing_behind():
    with Gate() as gate:
        for n in range(50):
            line = gate.connect()
            line.send(request(b"POST", b"/beak/pageview", gate.host, b"Content-Length: 100")
                      + b"{" * n)
            line.close()
            line = gate.connect()
            line.send(request(b"POST", b"/beak/hatch", gate.host, b"Content-Length: 2") + b"{}")
            line.close()
        assert gate.get().status == 200


def it_stops_when_told_and_takes_its_url_along():
    with Gate() as gate:
        idle = gate.connect()
        idle.send(request(b"GET", b"/beak/", gate.host))
        assert idle.answer().status == 200
        began = time.monotonic()
        gate.process.send_signal(signal.SIGTERM)
        assert gate.process.wait(10) == 0
        assert time.monotonic() - began < 5
        assert not os.path.exists(gate.url_file)
        assert idle.ends()


def a_setting_that_is_not_known_is_named():
    def check(*flags):
        done = subprocess.run([os.path.join(BIN, "duckgate"), "--check-config", *flags],
                              capture_output=True, text=True, timeout=10)
        return done.returncode, done.stdout + done.stderr

    folder = tempfile.mkdtemp(prefix="duckgate-")
    try:
        config = os.path.join(folder, "duck.ini")

        def with_config(text):
            with open(config, "w") as file:
                file.write(text)
            return check("--config", config)

        assert check("--listen", "127.0.0.1:0")[0] == 0
        code, said = with_config("[node]\nname = alice\n[gateway]\nenabled = yes\n"
                                 "listen = 127.0.0.1:7000\nallow_host = a.example, b.example\n"
                                 "[log]\nformat = json\n")
        assert code == 0 and "127.0.0.1:7000" in said, said
        for text, word in (("[gateway]\ncolour = red\n", "colour"), ("[gate]\nlisten = x\n", "gate"),
                           ("[log]\nlevel = loud\n", "loud"), ("[gateway]\nthreads = 99\n",
                                                                "threads"),
                           ("[gateway\n", "line 1")):
            code, said = with_config(text)
            assert code == 2 and word in said, (text, said)
        for flags, word in ((("--colour",), "colour"), (("--listen",), "listen"),
                            (("--threads", "many"), "threads"), (("extra",), "extra"),
                            (("--config", folder + "/none"), "none")):
            code, said = check(*flags)
            assert code == 2 and word in said, (flags, said)
    finally:
        shutil.rmtree(folder)


def every_request_leaves_one_line_in_the_log():
    with Gate("--log-format", "json") as gate:
        gate.get(b"/nowhere?secret=1")
        gate.post(b"/beak/hatch", b'{"email":"a@example.com","display_name":"A",'
                                  b'"password":"a very secret passphrase"}')
        until("both lines", lambda: sum('"path"' in line for line in gate.log) == 2)
        lines = [json.loads(line) for line in gate.log]
        first, second = [line for line in lines if "path" in line]
        assert first["path"] == "/nowhere" and first["status"] == 404, first
        assert second["method"] == "POST" and second["status"] == 202, second
        assert re.fullmatch(r"req_[0-9a-f]{15}", second["request"]), second
        assert not any("secret" in line or "example.com" in line for line in gate.log), gate.log


if __name__ == "__main__":
    run(what_two_parsers_could_read_as_two_requests_is_refused_and_ends_the_connection,
        a_length_that_is_no_number_is_refused,
        what_is_too_large_is_refused_before_it_is_held,
        a_body_at_the_limit_is_read_and_one_byte_more_is_refused,
        a_length_that_is_too_large_is_refused_before_the_body_is_asked_for,
        who_is_slow_is_cut_off,
        a_hundred_requests_in_one_write_get_a_hundred_answers_in_order,
        a_connection_is_kept_over_refusals_and_bodies,
        methods_and_paths_are_on_one_list,
        a_page_of_a_foreign_site_gets_nothing,
        json_is_read_without_forgiveness,
        only_json_is_taken,
        a_query_is_read_as_strictly,
        a_bearer_is_asked_for_where_one_is_needed,
        without_a_node_everybody_is_told_so,
        a_trace_is_echoed_when_it_is_one,
        one_address_gets_its_share_of_connections,
        a_client_that_goes_away_leaves_nothing_behind,
        it_stops_when_told_and_takes_its_url_along,
        a_setting_that_is_not_known_is_named,
        every_request_leaves_one_line_in_the_log)
