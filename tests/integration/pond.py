"""Three (or any number of) real nodes with real gateways on loopback, for the integration tests.

Every process that is started here is ended here, by pid. Nothing sleeps for a guessed time: what a
test waits for is a line that a process logs, a file that appears, or an answer."""

import base64
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

BIN = os.environ.get("DUCK_BIN", "build/release/bin")
NETWORK = "pond"


class Refused(Exception):
    """An HTTP answer that is not a success."""

    def __init__(self, status, body, headers):
        super().__init__(f"{status}: {body}")
        self.status, self.body, self.headers = status, body, headers


def until(what, question, seconds=20):
    """Asks `question` until it answers with something true. For states that only polling shows."""
    end = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain: {what}")
        threading.Event().wait(0.02)


def mail_code(folder, email):
    """The newest code that a gateway mailed to this address."""
    def look():
        for name in sorted(os.listdir(folder), reverse=True) if os.path.isdir(folder) else []:
            text = open(os.path.join(folder, name)).read()
            found = re.search(r"Your code: (\d{6})", text)
            if email in text and found:
                return found.group(1)
        return None

    return until(f"a mail to {email}", look)


class Node:
    def __init__(self, pond, name):
        self.pond, self.name = pond, name
        self.state = os.path.join(pond.folder, name)
        self.config = os.path.join(pond.folder, name + ".ini")
        self.process, self.lines, self.spoken = None, [], threading.Condition()
        self.port = self.gateway_port = 0
        self.join, self.extra = (), ""

    def command(self, *arguments, check=True, input=None):
        done = subprocess.run(
            [os.path.join(BIN, "ducknode"), *arguments, "--config", self.config],
            capture_output=True, text=True, timeout=60, input=input)
        if check and done.returncode != 0:
            raise AssertionError(f"ducknode {' '.join(arguments)}: {done.stderr}")
        return done

    def json(self, *arguments):
        return json.loads(self.command(*arguments, "--json").stdout)

    def write_config(self, join=None, extra=None):
        self.join = self.join if join is None else join
        self.extra = self.extra if extra is None else extra
        with open(self.config, "w") as file:
            file.write(
                f"[node]\nname = {self.name}\nnetwork = {NETWORK}\nstate_dir = {self.state}\n"
                f"listen = 127.0.0.1:{self.port}\n"
                + "".join(f"join = {address}\n" for address in self.join)
                + f"[log]\nformat = text\nlevel = info\n"
                f"[gateway]\nenabled = {'yes' if self.pond.gateways else 'no'}\n"
                f"listen = 127.0.0.1:{self.gateway_port}\n"
                f"program = {os.path.join(BIN, 'duckgate')}\n"
                f"limits = {self.pond.limits}\n{self.extra}")

    def init(self, join=(), extra=""):
        self.write_config(join, extra)
        self.id = self.json("init")["node_id"]

    def start(self, env=None):
        url_file = os.path.join(self.state, "gateway", "url")
        if os.path.exists(url_file):
            os.unlink(url_file)
        self.lines = []
        self.process = subprocess.Popen(
            [os.path.join(BIN, "ducknode"), "run", "--config", self.config],
            stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, errors="replace",
            env={**os.environ, **(env or {})})
        threading.Thread(target=self._listen, args=(self.process,), daemon=True).start()
        ready = self.says(r"ready: listening on 127\.0\.0\.1:(\d+)")
        self.port = int(ready.group(1))
        if self.pond.gateways:
            self._await_gateway(url_file)
        self.write_config()  # later lives keep the ports of the first
        return self

    def _await_gateway(self, url_file):
        until(f"{self.name}'s gateway", lambda: os.path.exists(url_file)
              and open(url_file).read().strip())
        self.url = open(url_file).read().strip().rstrip("/")
        self.gateway_port = urllib.parse.urlparse(self.url).port
        until(f"{self.name}'s gateway serving", self._serves)

    def _serves(self):
        try:
            return self.http("GET", "/readyz", raw=True)[0] == 200
        except OSError:
            return False

    def _listen(self, process):
        for line in process.stderr:
            with self.spoken:
                self.lines.append(line.rstrip("\n"))
                self.spoken.notify_all()

    def says(self, pattern, seconds=20):
        """Waits for a log line."""
        end = time.monotonic() + seconds
        with self.spoken:
            seen = 0
            while True:
                for line in self.lines[seen:]:
                    found = re.search(pattern, line)
                    if found:
                        return found
                seen = len(self.lines)
                left = end - time.monotonic()
                if left <= 0 or (self.process.poll() is not None and seen == len(self.lines)
                                 and not self.spoken.wait(0.5)):
                    raise AssertionError(
                        f"{self.name} never said /{pattern}/:\n" + "\n".join(self.lines[-30:]))
                self.spoken.wait(min(left, 1))

    def counter(self, name):
        """What /metrics says of a counter or gauge without labels."""
        text = self.http("GET", "/metrics", raw=True)[1].decode()
        return int(re.search(rf"^{name} (\d+)$", text, re.M).group(1))

    def kill(self):
        """kill -9 of the node; its gateway lives on until the next life replaces it."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"{self.name} did not stop:\n" + "\n".join(self.lines[-30:]))
        self._end_orphan()
        if self.process and self.process.returncode not in (0, -signal.SIGKILL):
            raise AssertionError(f"{self.name} ended with {self.process.returncode}:\n"
                                 + "\n".join(self.lines[-30:]))

    def _end_orphan(self):
        try:
            pid = int(open(os.path.join(self.state, "gateway.pid")).read())
            os.kill(pid, signal.SIGTERM)
        except (OSError, ValueError):
            pass

    # ---- HTTP ----

    def http(self, method, path, body=None, token=None, headers=None, raw=False, timeout=40):
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway_port, timeout=timeout)
        sent = {"Accept": "application/json", **(headers or {})}
        data = None
        if body is not None:
            data = body if isinstance(body, (bytes, str)) else json.dumps(body)
            sent.setdefault("Content-Type", "application/json")
        if token:
            sent["Authorization"] = "Bearer " + token
        try:
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            text = answer.read()
        except http.client.HTTPException as error:
            raise OSError(str(error))
        finally:
            connection.close()
        if raw:
            return answer.status, text, dict(answer.getheaders())
        parsed = json.loads(text) if text else None
        if answer.status >= 400:
            raise Refused(answer.status, parsed, dict(answer.getheaders()))
        return parsed

    def knows(self, duckling_id):
        """Does its directory?"""
        try:
            return self.http("GET", "/beak/directory/" + duckling_id)
        except Refused as refused:
            if refused.status != 404:
                raise
            return None

    def mail_code(self, email):
        return mail_code(os.path.join(self.state, "gateway", "mail"), email)

    def hatch(self, email, name, password="a long enough password", **profile):
        self.http("POST", "/beak/hatch",
                  {"email": email, "password": password, "display_name": name})
        hatched = self.http("POST", "/beak/verify",
                            {"email": email, "code": self.mail_code(email)})
        duck = Duck(self, hatched["duckling_id"], hatched["beak_key"])
        if profile:
            duck.post("/beak/profile", **profile)
        return duck


class Duck:
    def __init__(self, node, id, key):
        self.node, self.id, self.key = node, id, key

    def get(self, path, **query):
        if query:
            path += "?" + urllib.parse.urlencode(query)
        return self.node.http("GET", path, token=self.key)

    def post(self, path, headers=None, **body):
        return self.node.http("POST", path, body, token=self.key, headers=headers)

    def peck(self, peck_id):
        return self.get("/beak/pecks/" + peck_id)

    def becomes(self, peck_id, *states, seconds=20):
        def look():
            peck = self.peck(peck_id)
            return peck if peck["status"] in states else None

        return until(f"{peck_id} to become {' or '.join(states)}", look, seconds)

    def knows(self, friend):
        """When this returns, its node has heard of the other duckling."""
        until("news of a duckling", lambda: self.node.knows(friend.id))

    def bond_with(self, friend, scope="query"):
        self.knows(friend)
        asked = self.post("/beak/peck", target_duckling_id=friend.id, peck_type=scope,
                          message="may I?")
        until("the bond request", lambda: friend.get("/beak/pecks", state="pending",
                                                     box="in")["pecks"])
        friend.post("/beak/approve", peck_id=asked["peck_id"])
        self.becomes(asked["peck_id"], "approved")
        return asked["peck_id"]


class Pond:
    """with Pond("alice", "bob", "carol") as pond: … pond.alice …; each joins the first."""

    def __init__(self, *names, extra="", limits="all=off", gateways=True):
        """Tests call more often than anybody may: `limits` are words of core/rate_table.h."""
        self.limits, self.gateways = limits, gateways
        self.folder = tempfile.mkdtemp(prefix="duckpond-")
        self.nodes = [Node(self, name) for name in names]
        self.extra = extra
        for node in self.nodes:
            setattr(self, node.name, node)

    def __enter__(self):
        try:
            first = self.nodes[0]
            first.init(extra=self.extra)
            first.start()
            for node in self.nodes[1:]:
                node.init(join=[f"127.0.0.1:{first.port}"], extra=self.extra)
                node.start()
            self.all_linked()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def all_linked(self):
        for node in self.nodes:
            until(f"{node.name}'s links",
                  lambda node=node: node.json("status")["links"] == len(self.nodes) - 1)

    def __exit__(self, kind, error, trace):
        for node in self.nodes:
            if node.process and node.process.poll() is None:
                node.process.send_signal(signal.SIGTERM)
        faults = []
        for node in self.nodes:
            try:
                node.stop()
            except AssertionError as late:
                faults.append(str(late))
        if kind:
            for node in self.nodes:
                sys.stderr.write(f"---- {node.name}\n" + "\n".join(node.lines[-40:]) + "\n")
        shutil.rmtree(self.folder, ignore_errors=True)
        if faults and not kind:
            raise AssertionError("\n".join(faults))


SOURCE = os.environ.get("DUCK_SOURCE", os.path.join(os.path.dirname(__file__), "..", ".."))
SDKS = os.path.join(os.path.abspath(SOURCE), "gateway", "sdk")


def python(*arguments, **env):
    """A Python program with the SDK, not waited for."""
    return subprocess.Popen(
        ["/usr/bin/python3", "-u", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL, text=True,
        env={**os.environ, "PYTHONPATH": os.path.join(SDKS, "python"), **env})


def javascript(*arguments, **env):
    """The same in Node; `-e` code finds the SDK as SDK."""
    prelude = f"import * as SDK from {json.dumps(os.path.join(SDKS, 'js', 'src', 'index.js'))};\n"
    arguments = [prelude + each if i and arguments[i - 1] == "-e" else each
                 for i, each in enumerate(arguments)]
    return subprocess.Popen(
        ["node", "--input-type=module", *arguments] if "-e" in arguments else ["node", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
        env={**os.environ, **env})


def b64(text):
    return base64.b64decode(text)


def refusal(question, status, code=None, field=None):
    """What is refused, and how."""
    try:
        answer = question()
    except Refused as refused:
        assert refused.status == status, refused
        assert code is None or refused.body["error"] == code, refused
        assert field is None or refused.body.get("field") == field, refused
        return refused
    raise AssertionError(f"not refused: {answer}")


def run(*tests):
    """Runs test functions; their names are sentences."""
    failed = 0
    for test in tests:
        name = test.__name__.replace("_", " ")
        started = time.monotonic()
        try:
            test()
            print(f"ok    {name} ({time.monotonic() - started:.1f} s)", flush=True)
        except BaseException as error:
            failed += 1
            import traceback
            traceback.print_exc()
            print(f"FAILS {name}: {error}", flush=True)
    sys.exit(1 if failed else 0)
