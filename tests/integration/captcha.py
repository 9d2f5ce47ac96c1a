"""Who wants a letter sent shows first that he is no machine, or has worked for it."""

import hashlib
import http.server
import json
import os
import subprocess
import tempfile
import threading

from pond import Pond, Refused, run

SECRET = "0x4AAAAAAAsecret"


def refusal(question, status, code, field=None):
    try:
        answer = question()
    except Refused as refused:
        assert refused.status == status and refused.body["error"] == code, refused
        assert refused.body.get("field") == field, refused
        return refused
    raise AssertionError(f"not refused: {answer}")


def hatch(node, email="a@example.com", **more):
    return node.http("POST", "/beak/hatch", {"email": email, "display_name": "D", **more})


def zero_bits(token):
    return 256 - int(hashlib.sha256(token.encode()).hexdigest(), 16).bit_length()


def solve(challenge, bits, good=True):
    number = 0
    while (zero_bits(f"{challenge}.{number}") >= bits) != good:
        number += 1
    return f"{challenge}.{number}"


# What stands between who asks for a letter and the letter.
LETTERS = (("/beak/hatch", {"display_name": "D"}), ("/beak/forgot", {}),
           ("/beak/newsletter/subscribe", {}))


def a_proof_of_work_is_asked_for_and_taken_once():
    with Pond("alice", extra="captcha = pow\ncaptcha_bits = 10\n") as pond:
        node = pond.alice

        def ask():
            asked = node.http("GET", "/beak/captcha")
            assert asked["provider"] == "pow" and asked["bits"] == 10, asked
            assert asked["algorithm"] == "sha-256" and asked["expires_at"].endswith("Z"), asked
            return asked["challenge"]

        for path, more in LETTERS:
            def call(token=None, path=path, more=more):
                body = {"email": "a@example.com", **more}
                if token is not None:
                    body["captcha_token"] = token
                return node.http("POST", path, body)

            refusal(call, 422, "captcha_needed", "captcha_token")
            refusal(lambda: call(""), 422, "captcha_needed", "captcha_token")
            challenge = ask()
            token = solve(challenge, 10)
            for wrong in (solve(challenge, 10, good=False), challenge, challenge + ".",
                          challenge + ".x", token + "0" * 20, "A" * 75 + ".1",
                          solve("A" * 75, 10), "x" * 4000, "é." + "1"):
                refusal(lambda: call(wrong), 422, "captcha_refused", "captcha_token")
            # Another's work is not this one's: the challenge is marked.
            turned = ("B" if challenge[0] == "A" else "A") + challenge[1:]
            refusal(lambda: call(solve(turned, 10)), 422, "captcha_refused", "captcha_token")
            assert call(token)["status"] == "verify"
            refusal(lambda: call(token), 422, "captcha_refused", "captcha_token")
            # The same challenge, worked for again, is spent as well.
            other = next(t for t in (f"{challenge}.{n}" for n in range(10 ** 6))
                         if zero_bits(t) >= 10 and t != token)
            refusal(lambda: call(other), 422, "captcha_refused", "captcha_token")
        # Where no letter goes out, none is asked for.
        refusal(lambda: node.http("POST", "/beak/auth", {
            "email": "a@example.com", "password": "securepassword123"}), 401, "bad_credentials")


def the_script_for_browsers_solves_it():
    with Pond("alice", extra="captcha = pow\ncaptcha_bits = 12\n") as pond:
        node = pond.alice
        status, script, headers = node.http("GET", "/pow.js", raw=True)
        assert status == 200 and headers["Content-Type"].startswith("text/javascript"), headers
        with tempfile.TemporaryDirectory(prefix="duckpow-") as folder:
            with open(os.path.join(folder, "pow.mjs"), "wb") as file:
                file.write(script)
            with open(os.path.join(folder, "use.mjs"), "w", encoding="utf-8") as file:
                file.write('import {captchaToken, sha256} from "./pow.mjs";\n'
                           'const hex = (s) => [...s].map((x) => (x >>> 0).toString(16)'
                           '.padStart(8, "0")).join("");\n'
                           'const texts = ["", "abc", ..."x".repeat(200).split("").map('
                           '(_, i) => "ä".repeat(i))];\n'
                           'console.log(JSON.stringify({token: await captchaToken(process.argv[2]),'
                           ' hashes: texts.map((t) => [t, hex(sha256(t))])}));\n')
            done = subprocess.run(["node", os.path.join(folder, "use.mjs"), node.url],
                                  capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        assert len(said["hashes"]) == 202
        for text, found in said["hashes"]:
            assert found == hashlib.sha256(text.encode()).hexdigest(), text
        assert hatch(node, captcha_token=said["token"])["status"] == "verify"


class Verifier:
    """A siteverify of our own. `answer` is what the next question gets: a dict, bytes, a status, or
    an Event that it waits for."""

    def __init__(self):
        self.answer, self.asked = {"success": True}, []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.asked.append((self.path, self.headers["Content-Type"], json.loads(body)))
                answer = outer.answer
                if isinstance(answer, threading.Event):
                    answer.wait(30)
                    answer = {"success": True}
                status = answer if isinstance(answer, int) else 200
                text = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text)
                except OSError:
                    pass  # it waited no longer

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def settings(folder, port, allow="127.0.0.0/8", **more):
    path = os.path.join(folder, "secret")
    with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
        file.write(SECRET + "\n")
    lines = {"captcha": "turnstile", "captcha_secret_file": path, "captcha_site_key": "0x4AAAsite",
             "captcha_verify_url": f"http://127.0.0.1:{port}/turnstile/v0/siteverify", **more}
    if allow:
        lines["captcha_allow"] = allow
    return "".join(f"{name} = {value}\n" for name, value in lines.items())


def a_token_is_shown_to_the_verifier():
    with tempfile.TemporaryDirectory(prefix="duckcap-") as folder, Verifier() as verifier, \
            Pond("alice", extra=settings(folder, verifier.port,
                                         captcha_hostname="duck.example")) as pond:
        node = pond.alice
        assert node.http("GET", "/beak/captcha") == {"provider": "turnstile",
                                                     "site_key": "0x4AAAsite"}
        refusal(lambda: hatch(node), 422, "captcha_needed", "captcha_token")
        refusal(lambda: hatch(node, captcha_token="t" * 2049), 422, "captcha_refused",
                "captcha_token")
        assert not verifier.asked
        verifier.answer = {"success": True, "hostname": "duck.example", "error-codes": []}
        assert hatch(node, captcha_token="XXXX.DUMMY")["status"] == "verify"
        assert verifier.asked == [("/turnstile/v0/siteverify", "application/json",
                                   {"secret": SECRET, "response": "XXXX.DUMMY"})], verifier.asked

        # What is the token's fault, and what is not.
        for answer in ({"success": False, "error-codes": ["invalid-input-response"]},
                       {"success": False, "error-codes": ["timeout-or-duplicate"]},
                       {"success": False}, {"success": True, "hostname": "other.example"},
                       {"success": True}):
            verifier.answer = answer
            refusal(lambda: hatch(node, captcha_token="t"), 422, "captcha_refused",
                    "captcha_token")
        for answer in ({"success": False, "error-codes": ["invalid-input-secret"]},
                       {"success": False, "error-codes": ["internal-error"]},
                       {"success": "yes"}, b"<html>", b'{"success":true', b"", 500, 302):
            verifier.answer = answer
            refused = refusal(lambda: hatch(node, captcha_token="t"), 503, "captcha_unavailable")
            assert int(refused.headers["Retry-After"]) >= 1
        assert SECRET not in "\n".join(node.lines)
        node.says(r"captcha: the verifier: invalid-input-secret")


def a_verifier_that_does_not_answer_is_not_waited_for():
    with tempfile.TemporaryDirectory(prefix="duckcap-") as folder, Verifier() as verifier, \
            Pond("alice", extra=settings(folder, verifier.port)) as pond:
        verifier.answer = threading.Event()
        refusal(lambda: hatch(pond.alice, captcha_token="t"), 503, "captcha_unavailable")
        verifier.answer.set()
        verifier.answer = {"success": True}
        assert hatch(pond.alice, captcha_token="t")["status"] == "verify"


def a_verifier_at_a_private_address_must_be_allowed():
    with tempfile.TemporaryDirectory(prefix="duckcap-") as folder, Verifier() as verifier, \
            Pond("alice", extra=settings(folder, verifier.port, allow=None)) as pond:
        refusal(lambda: hatch(pond.alice, captcha_token="t"), 503, "captcha_unavailable")
        pond.alice.says(r"captcha: the verifier: .*(not a public one|without TLS)")
        assert not verifier.asked


def nothing_is_asked_where_nothing_is_set():
    with Pond("alice") as pond:
        assert pond.alice.http("GET", "/beak/captcha") == {"provider": "none"}
        assert hatch(pond.alice, captcha_token="YOUR_TURNSTILE_TOKEN")["status"] == "verify"
        assert hatch(pond.alice, "b@example.com")["status"] == "verify"


run(a_proof_of_work_is_asked_for_and_taken_once,
    the_script_for_browsers_solves_it,
    a_token_is_shown_to_the_verifier,
    a_verifier_that_does_not_answer_is_not_waited_for,
    a_verifier_at_a_private_address_must_be_allowed,
    nothing_is_asked_where_nothing_is_set)
