"""Letters over SMTP, to a real server (aiosmtpd): with TLS and a password, and when it refuses, is
slow, asks for another try, or is away."""

import asyncio
import os
import re
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import urllib.parse

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from pond import Pond, Refused, run, until

USER, SECRET = "duckpost", "quack-quack-quack"


class Box:
    """What the server does with recipients and letters."""

    def __init__(self, refuse_for_good=(), refuse_first=0, slow_s=0):
        self.letters, self.refuse_for_good = [], refuse_for_good
        self.refuse_first, self.slow_s, self.tries = refuse_first, slow_s, 0
        self.changed = threading.Condition()

    async def handle_RCPT(self, server, session, envelope, address, options):
        with self.changed:
            self.tries += 1
            self.changed.notify_all()
        if address in self.refuse_for_good:
            return "550 no such box"
        if self.tries <= self.refuse_first:
            return "451 greylisted, come again"
        envelope.rcpt_tos.append(address)
        return "250 fine"

    async def handle_DATA(self, server, session, envelope):
        if self.slow_s:
            await asyncio.sleep(self.slow_s)
        with self.changed:
            self.letters.append((envelope.rcpt_tos, envelope.content.decode(), session))
            self.changed.notify_all()
        return "250 taken"

    def letter_to(self, address, seconds=30):
        def look():
            return next((text for to, text, _ in self.letters if to == [address]), None)
        with self.changed:
            assert self.changed.wait_for(look, seconds), f"no letter to {address}"
        return look()


def code_in(text):
    return re.search(r"Your code: (\d{6})", text).group(1)


def certificate(folder):
    cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-keyout", key, "-out", cert], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return cert, context


def free_port():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        return holder.getsockname()[1]


class Server:
    """with Server(box) as server: … on 127.0.0.1; ended with it."""

    def __init__(self, box, port=0, sealed=False, **options):
        self.port = port or free_port()
        arguments = {"server_hostname": "pond", **options}
        if sealed:
            arguments["ssl_context"] = sealed
        self.controller = Controller(box, hostname="127.0.0.1", port=self.port, **arguments)

    def __enter__(self):
        self.controller.start()
        return self

    def __exit__(self, *_):
        self.controller.stop()


def one_password(server, session, envelope, mechanism, data):
    fits = data.login == USER.encode() and data.password == SECRET.encode()
    return AuthResult(success=fits)


def settings(port, scheme="smtp", **more):
    lines = {"smtp_url": f"{scheme}://127.0.0.1:{port}", "mail_from": "pond@example.com", **more}
    return "".join(f"{name} = {value}\n" for name, value in lines.items())


def lay(node, email, **more):
    return node.http("POST", "/beak/hatch", {"email": email, "display_name": "D", **more})


def letters_go_out_sealed_and_with_a_password():
    folder = tempfile.mkdtemp(prefix="duckpost-")
    cert, context = certificate(folder)
    credentials = os.path.join(folder, "credentials")
    with open(os.open(credentials, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
        file.write(f"{USER}\n{SECRET}\n")
    for scheme, options in (("smtp", {"tls_context": context, "require_starttls": True}),
                            ("smtps", {"sealed": context, "auth_require_tls": False})):
        box = Box()
        with Server(box, authenticator=one_password, auth_required=True, **options) as server, \
                Pond("alice", extra=settings(server.port, scheme, smtp_ca_file=cert,
                                             smtp_credentials_file=credentials)) as pond:
            node = pond.alice
            lay(node, "a@example.com")
            text = box.letter_to("a@example.com")
            assert "\r\nTo: a@example.com\r\n" in text and "From: pond@example.com\r\n" in text
            assert node.http("POST", "/beak/verify", {
                "email": "a@example.com", "code": code_in(text)})["beak_key"]
            # The password is in the file, and nowhere else that others can look.
            pid = int(open(os.path.join(node.state, "gateway.pid")).read())
            assert SECRET.encode() not in open(f"/proc/{pid}/cmdline", "rb").read()
            assert SECRET not in "\n".join(node.lines) and USER not in "\n".join(node.lines)
            assert not os.path.isdir(os.path.join(node.state, "gateway", "mail"))
    for name in os.listdir(folder):
        os.unlink(os.path.join(folder, name))
    os.rmdir(folder)


def nothing_is_said_to_a_server_that_is_not_who_it_should_be():
    folder = tempfile.mkdtemp(prefix="duckpost-")
    _, context = certificate(folder)
    clear, foreign = Box(), Box()
    with Server(clear) as server, Pond("alice", extra=settings(server.port)) as pond:
        lay(pond.alice, "a@example.com")
        pond.alice.says(r"mail: the server cannot be used: .*SSL")  # it offers no STARTTLS
    with Server(foreign, tls_context=context) as server, \
            Pond("alice", extra=settings(server.port)) as pond:
        lay(pond.alice, "a@example.com")
        pond.alice.says(r"mail: the server cannot be used: .*(certificate|peer)")
    assert not clear.letters and not foreign.letters and not clear.tries and not foreign.tries
    for name in os.listdir(folder):
        os.unlink(os.path.join(folder, name))
    os.rmdir(folder)


def a_recipient_that_is_refused_is_given_up_and_others_are_not():
    box = Box(refuse_for_good={"nobody@example.com"})
    with Server(box) as server, \
            Pond("alice", extra=settings(server.port, smtp_in_clear="yes")) as pond:
        assert lay(pond.alice, "nobody@example.com")["status"] == "verify"
        lay(pond.alice, "a@example.com")
        box.letter_to("a@example.com")
        said = pond.alice.says(r"mail: a letter was given up: .*").group(0)
        assert "550" in said and "nobody@" not in said, said
        assert box.tries == 2, box.tries


def a_letter_comes_when_the_server_lets_it():
    box = Box(refuse_first=2)
    with Server(box) as server, \
            Pond("alice", extra=settings(server.port, smtp_in_clear="yes")) as pond:
        lay(pond.alice, "a@example.com")
        text = box.letter_to("a@example.com")
        assert box.tries == 3, box.tries
        pond.alice.says(r"mail: a letter goes later: .*451")
        assert pond.alice.http("POST", "/beak/verify", {
            "email": "a@example.com", "code": code_in(text)})["beak_key"]


def a_slow_server_keeps_nobody_waiting():
    box = Box(slow_s=3)
    with Server(box) as server, \
            Pond("alice", extra=settings(server.port, smtp_in_clear="yes")) as pond:
        lay(pond.alice, "a@example.com")
        lay(pond.alice, "b@example.com")
        assert not box.letters  # both were answered before the first was taken
        box.letter_to("a@example.com")
        box.letter_to("b@example.com")


def a_letter_outlives_a_server_that_is_away_and_a_gateway_that_is_killed():
    port, box = free_port(), Box()
    with Pond("alice", extra=settings(port, smtp_in_clear="yes")) as pond:
        node = pond.alice
        lay(node, "a@example.com")
        node.says(r"mail: the server cannot be used")
        pid_file = os.path.join(node.state, "gateway.pid")
        pid = int(open(pid_file).read())
        url_file = os.path.join(node.state, "gateway", "url")
        os.unlink(url_file)  # the next one writes its own
        os.kill(pid, signal.SIGKILL)
        with Server(box, port=port):
            text = box.letter_to("a@example.com")
            until("another gateway", lambda: os.path.exists(url_file) and open(url_file).read())
            node.gateway_port = urllib.parse.urlparse(open(url_file).read().strip()).port
            until("it to serve", node._serves)
            assert node.http("POST", "/beak/verify", {
                "email": "a@example.com", "code": code_in(text)})["beak_key"]
        assert len(box.letters) == 1, box.letters


def no_member_of_a_request_becomes_a_line_of_a_letter():
    box = Box()
    with Server(box) as server, \
            Pond("alice", extra=settings(server.port, smtp_in_clear="yes")) as pond:
        for email in ("a@example.com\r\nRCPT TO:<b@example.com>", "a@example.com\nBcc: b@x.com",
                      "a@example.com>", "<a@example.com", "a@example.com,b@example.com",
                      "a b@example.com", "a@example.com\x00", "\"a\"@example.com", "a@[127.0.0.1]",
                      "ente@müller.example", "ente\u0301@example.com"):
            for path in ("/beak/hatch", "/beak/forgot", "/beak/newsletter/subscribe"):
                body = {"email": email}
                if path == "/beak/hatch":
                    body["display_name"] = "D"
                try:
                    raise AssertionError(f"taken: {pond.alice.http('POST', path, body)} {email!r}")
                except Refused as refused:
                    assert refused.status in (400, 422), (email, refused)
                    assert refused.status == 400 or refused.body["field"] == "email", refused
        lay(pond.alice, "a@example.com", display_name="Buy\u00a0now: http://example.net")
        text = box.letter_to("a@example.com")
        assert len(box.letters) == 1 and "example.net" not in text, text


def the_operators_own_templates_are_used():
    folder = tempfile.mkdtemp(prefix="duckpost-")
    path = os.path.join(folder, "hatch.txt")
    with open(path, "w", encoding="utf-8") as file:
        file.write("Subject: {code} from the pond\n\nGrüße. Your code: {code}\n{minutes} min, {url}\n")
    box = Box()
    with Server(box) as server, \
            Pond("alice", extra=settings(server.port, smtp_in_clear="yes",
                                         mail_templates=folder)) as pond:
        lay(pond.alice, "a@example.com")
        text = box.letter_to("a@example.com")
        assert re.search(r"Subject: \d{6} from the pond\r\n", text), text
        assert "Grüße. Your code: " in text and "15 min" in text, text
        # One that would send no code is not served with.
        with open(path, "w", encoding="utf-8") as file:
            file.write("Subject: hello\n\nno code here\n")
        done = subprocess.run([os.path.join(os.environ.get("DUCK_BIN", "build/release/bin"),
                                            "duckgate"), "--check-config", "--mail-templates",
                               folder], capture_output=True, text=True, timeout=20)
        assert done.returncode == 2 and "hatch.txt" in done.stderr, done
    os.unlink(path)
    os.rmdir(folder)


run(letters_go_out_sealed_and_with_a_password,
    nothing_is_said_to_a_server_that_is_not_who_it_should_be,
    a_recipient_that_is_refused_is_given_up_and_others_are_not,
    a_letter_comes_when_the_server_lets_it,
    a_slow_server_keeps_nobody_waiting,
    a_letter_outlives_a_server_that_is_away_and_a_gateway_that_is_killed,
    no_member_of_a_request_becomes_a_line_of_a_letter,
    the_operators_own_templates_are_used)
