"""What the stories of contract.py share: whom a call goes to, what was seen of every operation, and a gateway whose node
says what it is told to."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import tempfile
import zlib

from fake_node import FakeNode
from pond import BIN, until
from reference import Reference

PASSWORD = "a long enough passphrase"
NOBODY = {"duckling": "dkl_" + "b" * 32, "peck": "pck_" + "b" * 32, "bond": "bnd_" + "b" * 32,
          "certificate": "crt_" + "b" * 32}
LARGE = str(600 * 1024)

REFERENCE = Reference()


class World:
    """Whom a call goes to, and what was seen so far of every operation."""

    def __init__(self):
        self.seen = set()    # (operation, status)
        self.codes = set()   # (response, code)
        self.port = None

    def send(self, operation, *, path=None, query=None, body=None, token=None, headers=None,
             raw=None, target=None, method=None):
        sent = dict(headers or {})
        data_ = raw
        if body is not None:
            data_ = json.dumps(body).encode()
        if data_ is not None:
            sent.setdefault("Content-Type", "application/json")
        if token:
            sent["Authorization"] = "Bearer " + token
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method or operation.method,
                               target or operation.target(path, query), data_, sent)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        if headers.get("content-encoding") == "gzip":
            text = zlib.decompress(text, 31)
        return answer.status, headers, text

    def judge(self, operation, status, headers, text, what):
        faults = REFERENCE.judge(operation, status, headers, text)
        assert not faults, f"{what}: {status} {faults}\n{text[:600]}"
        self.seen.add((operation.name, status))
        return json.loads(text) if text and "json" in headers["content-type"] else text

    def call(self, name, status, error=None, field=None, **request):
        """One request; the answer, when all of it is as documented and as expected."""
        operation = REFERENCE.operations[name]
        got, headers, text = self.send(operation, **request)
        what = f"{name} {request}"
        assert got == status, f"{what}: {got}, not {status}: {text[:600]}"
        answer = self.judge(operation, got, headers, text, what)
        if status >= 400:
            assert answer["status"] == status, what
            assert error in (None, answer["error"]), f"{what}: {answer}"
            assert field in (None, answer.get("field")), f"{what}: {answer}"
            self.codes.add((name, status, answer["error"]))
        elif request.get("body") is not None:
            faults = REFERENCE.faults(operation.body_schema, request["body"])
            assert not faults, f"{what} is taken, but not documented: {faults}"
        return answer


def login_as(world, email):
    return world.call("authenticate", 200, body={"email": email, "password": PASSWORD})["token"]


def known(world, name, **request):
    """Whoever has it is told so, by the tag of the form that it has."""
    tags = []
    for coding in ("identity", "gzip"):
        _, headers, _ = world.send(REFERENCE.operations[name], headers={"Accept-Encoding": coding}, **request)
        tags.append(headers["etag"])
        assert headers.get("content-encoding", "identity") in ("identity", coding), headers
        world.call(name, 304, headers={"If-None-Match": tags[-1]}, **request)
    world.call(name, 200, headers={"If-None-Match": '"another"'}, **request)
    return tags


def filling(world, operation):
    """A request that gets as far as the handler: path, bearer and a body of the right shape."""
    token = None
    if "beakKey" in operation.bearers:
        token = world.first.key
    elif "session" in operation.bearers and None not in operation.bearers:
        token = world.token
    ids = {"/beak/pecks/{id}": NOBODY["peck"], "/beak/partials/{id}": NOBODY["peck"],
           "/beak/bonds/{id}": NOBODY["bond"], "/beak/certificate/{id}": NOBODY["certificate"]}
    request = {"token": token}
    if operation.path.startswith("/beak/webhooks/"):
        request["path"] = {"id": "whk_" + "b" * 16, "delivery_id": "dlv_1"}
    elif "{id}" in operation.path:
        request["path"] = {"id": ids.get(operation.path, NOBODY["duckling"])}
    if operation.body:
        content = next(iter(operation.body["content"].values()))
        request["body"] = content["example"] if "example" in content else \
            next(iter(content["examples"].values()))["value"]
        if "grant" in request["body"]:  # a reference cannot show one that holds
            request["body"] = {**request["body"], "grant": world.grant}
    return request


class FakeNodeWorld:
    """The accounts of alice's gateway, behind which there is a node that says what it is told to."""

    def __init__(self, world, limits="all=off", more=()):
        self.world, self.limits, self.more = world, limits, more

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="duckgate-")
        state = os.path.join(self.folder, "state")
        shutil.copytree(os.path.join(self.world.alice.state, "gateway"), state)
        url = os.path.join(self.folder, "url")
        self.node = FakeNode(self.folder).__enter__()
        self.process = subprocess.Popen(
            [os.path.join(BIN, "duckgate"), "--listen", "127.0.0.1:0", "--state-dir", state,
             "--socket", self.node.path, "--url-file", url, "--limits", self.limits, *self.more],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until("the gateway's URL", lambda: os.path.exists(url) and open(url).read())
        self.state = state
        self.port, self.world.port = self.world.port, int(open(url).read().rsplit(":", 1)[1])
        until("the node", lambda: self.world.send(REFERENCE.operations["readiness"])[0] == 200)
        return self

    def __exit__(self, *_):
        self.world.port = self.port
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(40)
        self.node.__exit__()
        shutil.rmtree(self.folder, ignore_errors=True)
