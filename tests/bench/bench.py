"""Runs the benchmarks and prints a JSON line for each: bench.py [NAME…]. Each line has the figure,
the physical limit taken in the same run, and the ratio (1.0: at the limit).

Needs the binaries in $DUCK_BIN and the benchmark programs in $DUCK_BENCH."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
from pond import Pond, until  # noqa: E402

BENCH = os.environ["DUCK_BENCH"]
SECONDS = os.environ.get("DUCK_BENCH_SECONDS", "4")


def emit(bench, value, unit, limit, ratio, **more):
    print(json.dumps({"bench": bench, "value": value, "unit": unit, "limit": limit,
                      "ratio": ratio, **more}), flush=True)


def link():
    subprocess.run([os.path.join(BENCH, "bench_link"), SECONDS], check=True)


def store():
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([os.path.join(BENCH, "bench_store"), folder], check=True)


def reconcile():
    subprocess.run([os.path.join(BENCH, "bench_reconcile")], check=True)


def directory():
    subprocess.run([os.path.join(BENCH, "bench_directory")], check=True)


def pecks(suffix="", outstanding=64, extra="", payload=()):
    """One node to one node: without gateways, whose webhooks and feeds read on what the nodes do."""
    with Pond("alice", "bob", extra=extra, gateways=False) as pond:
        subprocess.run([os.path.join(BENCH, "bench_pecks"),
                        os.path.join(pond.alice.state, "ducknode.sock"), str(pond.alice.process.pid),
                        os.path.join(pond.bob.state, "ducknode.sock"), str(pond.bob.process.pid),
                        pond.folder, SECONDS, str(outstanding), suffix, *payload], check=True)


def pecks_alone():
    pecks("_signed_alone", extra="[node]\nsign_alone = yes\n")


def pecks_many_alone():
    pecks("_1024_signed_alone", outstanding=1024, extra="[node]\nsign_alone = yes\n")


def pecks_many():
    pecks("_1024", outstanding=1024)


def pecks_large():
    pecks("_16_kib", payload=("16384",))


def overload():
    with Pond("alice", "bob") as pond:
        subprocess.run([os.path.join(BENCH, "bench_overload"),
                        os.path.join(pond.alice.state, "ducknode.sock"), str(pond.alice.process.pid),
                        os.path.join(pond.bob.state, "ducknode.sock"), str(pond.bob.process.pid),
                        os.environ.get("DUCK_OVERLOAD_SECONDS", "60")], check=True)


def milliseconds(text):
    number, unit = re.fullmatch(r"([0-9.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def wrk(url, pids=(), script=None):
    """64 connections that are kept, one answer awaited on each: rate, the 99th percentile, and the CPU of `pids` for each."""
    seconds = float(SECONDS)
    burned = sum(map(cpu_s, pids))
    text = subprocess.run(["wrk", "-t1", "-c64", f"-d{seconds:.0f}s", "--latency",
                           *(["-s", script] if script else []), url],
                          check=True, capture_output=True, text=True).stdout
    burned = sum(map(cpu_s, pids)) - burned
    count = int(re.search(r"(\d+) requests in", text).group(1))
    assert "Non-2xx" not in text and "Socket errors" not in text, text
    return {"count": count,
            "rate": float(re.search(r"Requests/sec: +([0-9.]+)", text).group(1)),
            "p99_ms": round(milliseconds(re.search(r" 99% +(\S+)", text).group(1)), 2),
            "cpu_us": round(burned / count * 1e6, 1)}


def bare(pond, body):
    """A bare libmicrohttpd with the same bytes."""
    answer = os.path.join(pond.folder, "answer")
    with open(answer, "wb") as file:
        file.write(body)
    program = subprocess.Popen([os.path.join(BENCH, "bench_http_limit"), answer],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    found = wrk(f"http://127.0.0.1:{program.stdout.readline().strip()}/", [program.pid])
    program.stdin.close()
    program.wait()
    return found


def processes(*nodes):
    gateways = [int(open(os.path.join(node.state, "gateway.pid")).read()) for node in nodes]
    return gateways + [node.process.pid for node in nodes]


def emit_http(name, pond, path, goal, script=None):
    """`script`: other paths are asked for, whose answers are as large as that of this one."""
    status, body, _ = pond.alice.http("GET", path, raw=True)
    assert status == 200, body
    limit = bare(pond, body)
    found = wrk(pond.alice.url + path, processes(pond.alice), script)
    emit(name, round(found["rate"]), "requests/s", round(limit["rate"]),
         round(found["rate"] / limit["rate"], 3), goal=goal, p99_ms=found["p99_ms"],
         cpu_us=found["cpu_us"], limit_cpu_us=limit["cpu_us"], bytes=len(body))


def http():
    with Pond("alice") as pond:
        emit_http("http_probe", pond, "/beak/", 0.7)
        emit_http("http_metrics", pond, "/beak/metrics", 0.7)


DIRECTORY_SCRIPT = """
local count = 0
request = function()
    count = count + 1
    return wrk.format("GET", "/beak/directory?capability=tool" .. count * 7 % 200)
end
"""


def http_directory():
    """By capability, over DUCK_BENCH_RECORDS (100,000) records that are signed and verified: a page of 50. Once all
    ask the same, as agents that look for one skill do, and once for 200 capabilities by turns."""
    records = os.environ.get("DUCK_BENCH_RECORDS", "100000")
    with Pond("alice") as pond:
        pond.alice.stop()
        subprocess.run([os.path.join(BENCH, "bench_cache"), "sow", pond.alice.state, records],
                       check=True, stdout=subprocess.DEVNULL)
        pond.alice.start()
        restored(pond.alice)
        emit_http("http_directory", pond, "/beak/directory?capability=data.read", 0.25)
        script = os.path.join(pond.folder, "directory.lua")
        with open(script, "w") as file:
            file.write(DIRECTORY_SCRIPT)
        emit_http("http_directory_by_turns", pond, "/beak/directory?capability=tool7", None,
                  script)


ASKERS = 8  # a node holds 10,000 open pecks of one sender at most, and nobody answers
PECK_SCRIPT = """
local keys, count = {%s}, 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"target":"%s","action":"query","payload":{"city":"Lisbon","when":"tomorrow","units":"metric"}}'
request = function()
    count = count + 1
    wrk.headers["Authorization"] = "Bearer " .. keys[count %% #keys + 1]
    return wrk.format()
end
"""


def http_peck():
    """A peck that is signed and stored when it is answered; the limit is what the same nodes do for a client without
    HTTP. That one waits until the other node has taken each: so here the time counts until it has taken them all."""
    with Pond("alice", "bob") as pond:
        oracle = pond.bob.hatch("oracle@example.com", "Oracle")
        askers = [pond.alice.hatch(f"asker{i}@example.com", "Asker") for i in range(ASKERS)]
        for asker in askers:
            until("the oracle", lambda: asker.get("/beak/directory", q="Oracle")["ducklings"])
            asker.bond_with(oracle, "*")
        script = os.path.join(pond.folder, "peck.lua")
        with open(script, "w") as file:
            file.write(PECK_SCRIPT % (",".join(f'"{asker.key}"' for asker in askers), oracle.id))
        held = pond.bob.counter("ducknode_tray_pecks")
        found = wrk(pond.alice.url + "/beak/peck", processes(pond.alice, pond.bob), script)
        answered = time.monotonic()
        until("all to be taken",
              lambda: pond.bob.counter("ducknode_tray_pecks") - held >= found["count"], 60)
        rest = time.monotonic() - answered
        rate = found["count"] / (found["count"] / found["rate"] + rest)
    with Pond("alice", "bob") as pond:
        text = subprocess.run([os.path.join(BENCH, "bench_pecks"),
                               os.path.join(pond.alice.state, "ducknode.sock"),
                               str(pond.alice.process.pid),
                               os.path.join(pond.bob.state, "ducknode.sock"),
                               str(pond.bob.process.pid), pond.folder, SECONDS, "64", "_plain"],
                              check=True, capture_output=True, text=True).stdout
    [limit] = [figure for figure in map(json.loads, text.splitlines())
               if figure["bench"] == "peck_throughput_plain"]
    emit("http_peck", round(rate), "requests/s", round(limit["value"]),
         round(rate / limit["value"], 3), goal=0.6, p99_ms=found["p99_ms"], cpu_us=found["cpu_us"],
         limit_cpu_us=round(limit["sender_cpu_us"] + limit["receiver_cpu_us"], 1),
         taken_late_ms=round(rest * 1000))


class SlowClients(threading.Thread):
    """400 connections that send a byte a second: half of them a header that does not end, half a body. Who is cut comes back."""

    def __init__(self, port, count=400):
        super().__init__(daemon=True)
        self.port, self.count, self.cut, self.ends = port, count, 0, threading.Event()

    def connect(self, number):
        line = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        line.sendall(b"GET /beak/ HTTP/1.1\r\nHost: localhost\r\nX-Slow: " if number % 2 else
                     b"POST /beak/pageview HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                     b"Content-Length: 1000\r\n\r\n{")
        line.setblocking(False)
        return line

    def run(self):
        lines = [self.connect(number) for number in range(self.count)]
        while not self.ends.wait(1):
            for number, line in enumerate(lines):
                try:
                    line.send(b" ")
                    gone = line.recv(1000) is not None
                except BlockingIOError:
                    gone = False
                except OSError:
                    gone = True
                if gone:
                    line.close()
                    self.cut += 1
                    lines[number] = self.connect(number)
        for line in lines:
            line.close()


def slow_clients():
    """What 400 slow clients cost an honest one: its 99th percentile beside them, and at the same time that of another one
    at a gateway that has none, so that whatever else the machine does is in both. DUCK_SLOW_SECONDS: 60."""
    seconds = int(os.environ.get("DUCK_SLOW_SECONDS", "60"))

    def honest(node):
        return subprocess.Popen(["wrk", "-t1", "-c1", f"-d{seconds}s", "--latency",
                                 node.url + "/beak/directory"], stdout=subprocess.PIPE, text=True)

    def p99(client):
        text = client.communicate()[0]
        assert client.returncode == 0 and "Socket errors" not in text, text
        return milliseconds(re.search(r" 99% +(\S+)", text).group(1))

    with Pond("alice") as beset, Pond("bob") as quiet:
        slow = SlowClients(beset.alice.gateway_port)
        slow.start()
        clients = honest(beset.alice), honest(quiet.bob)
        beside, alone = map(p99, clients)
        slow.ends.set()
        slow.join()
        emit("slow_clients", round(beside, 3), "ms, p99 of an honest one", round(alone, 3),
             round(alone / beside, 3), goal=0.5, clients=slow.count, cut=slow.cut, seconds=seconds)


def status_kib(pid, field):
    with open(f"/proc/{pid}/status") as file:
        for line in file:
            if line.startswith(field + ":"):
                return int(line.split()[1])
    return 0


def cpu_s(pid):
    """Of all threads, to the nanosecond: a node that idles uses less in a minute than a few of the ticks of /proc/PID/stat."""
    spent = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
            spent += int(file.read().split()[0])
    return spent / 1e9


def idle():
    with Pond("alice", "bob", "carol") as pond:
        pid = pond.alice.process.pid
        time.sleep(3)  # what it is like when nothing happens needs nothing to happen
        began, spent = time.monotonic(), cpu_s(pid)
        time.sleep(20)
        minute = (cpu_s(pid) - spent) / (time.monotonic() - began) * 60
        rss = status_kib(pid, "VmRSS") / 1024
        emit("rss_idle", round(rss, 2), "MiB", 12, round(12 / rss, 3))
        emit("cpu_idle", round(minute, 3), "s/min", 0.1, round(0.1 / max(minute, 0.001), 3))
        pond.alice.stop()
        began = time.monotonic()
        process = subprocess.Popen([os.path.join(os.environ["DUCK_BIN"], "ducknode"), "run",
                                    "--config", pond.alice.config], stderr=subprocess.PIPE,
                                   text=True)
        for line in process.stderr:
            if "ready:" in line:
                break
        ms = (time.monotonic() - began) * 1000
        process.terminate()
        process.stderr.read()
        process.wait()
        pond.alice._end_orphan()
        emit("start", round(ms, 1), "ms", 200, round(200 / ms, 3))


def sse_idle():
    """1,000 listeners on one gateway: memory that they take, CPU while nothing happens, and how long
    until the last of them has heard what does. All of one operator, so one event is for all."""
    import resource
    import selectors

    count = 1000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    with Pond("alice") as pond:
        node = pond.alice
        duck = node.hatch("owner@example.com", "Duck")
        gateway = int(open(os.path.join(node.state, "gateway.pid")).read())
        asked = (f"GET /beak/events HTTP/1.1\r\nHost: localhost\r\n"
                 f"Authorization: Bearer {duck.key}\r\n\r\n").encode()

        def listen():
            line = socket.create_connection(("127.0.0.1", node.gateway_port), timeout=30)
            line.sendall(asked)
            text = b""
            while b"retry:" not in text:
                text += line.recv(4096)
            return line

        first = listen()
        before = status_kib(gateway, "VmRSS")
        lines = [listen() for _ in range(count)]
        opened = status_kib(gateway, "VmRSS")
        started, burned = time.monotonic(), cpu_s(gateway)
        while time.monotonic() - started < 20:  # over one heartbeat of all of them
            time.sleep(1)
        after = status_kib(gateway, "VmRSS")
        idle_cpu = (cpu_s(gateway) - burned) / (time.monotonic() - started)
        ready = selectors.DefaultSelector()
        for line in lines:
            line.setblocking(False)
            ready.register(line, selectors.EVENT_READ, bytearray())
        burned, started = cpu_s(gateway), time.monotonic()
        node.http("POST", "/beak/rotate", {}, token=duck.key)
        heard = 0
        while heard < count and time.monotonic() - started < 20:
            for key, _ in ready.select(1):
                key.data.extend(key.fileobj.recv(65536))
                if b"key_rotated" in key.data:
                    ready.unregister(key.fileobj)
                    heard += 1
        took = time.monotonic() - started
        assert heard == count, f"{heard} of {count} heard"
        mib = (max(opened, after) - before) / 1024
        emit("sse_idle", round(mib, 2), "MiB of 1,000 listeners", 32, round(32 / mib, 3),
             kib_each=round(mib * 1024 / count, 2), idle_cpu=round(idle_cpu, 4),
             heard_by_all_ms=round(took * 1000, 1),
             cpu_each_us=round((cpu_s(gateway) - burned) / count * 1e6, 1))
        for line in [first, *lines]:
            line.close()


def restored(alice):
    """Until the node has read its directory."""
    while True:
        parts = {part["name"]: part for part in alice.json("status")["parts"]}
        if parts["store"]["status"] == "operational":
            return
        time.sleep(0.02)


def cache():
    """A node with many records in directory.db: DUCK_BENCH_RECORDS, as many as it may hold."""
    records = os.environ.get("DUCK_BENCH_RECORDS", "999990")
    program = os.path.join(BENCH, "bench_cache")
    with Pond("alice") as pond:
        alice = pond.alice
        alice.stop()
        for what in (["fill", alice.state, records], ["read", alice.state],
                     ["search", alice.state]):
            subprocess.run([program, *what], check=True)
        began = time.monotonic()
        process = subprocess.Popen([os.path.join(os.environ["DUCK_BIN"], "ducknode"), "run",
                                    "--config", alice.config], stderr=subprocess.DEVNULL)
        try:
            # The command's own start is in it.
            while True:
                asked = alice.command("directory", "--capability", "data.read", "--limit", "1",
                                      check=False)
                if asked.returncode == 0 and "data.read" in asked.stdout:
                    break
            ms = (time.monotonic() - began) * 1000
            emit("cache_first_answer", round(ms, 1), "ms", 1000, round(1000 / ms, 3))
            restored(alice)
            seconds = time.monotonic() - began
            emit("cache_all_read", round(seconds, 2), "s", 2, round(2 / seconds, 3))
            subprocess.run([program, "ask", os.path.join(alice.state, "ducknode.sock")], check=True)
            rss = status_kib(process.pid, "VmRSS") / 1024
            emit("cache_rss", round(rss, 1), "MiB", None, None, records=int(records))
        finally:
            process.terminate()
            process.wait()
            alice._end_orphan()


def timing():
    """Minutes: 10,000 passwords are judged. timing.py NAME… for single pairs."""
    subprocess.run([sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "timing.py")], check=True)


def verify_share():
    """The part of the receiver's CPU that its signature checks are: checks times what one costs."""
    with Pond("alice", "bob") as pond:
        line = subprocess.run([os.path.join(BENCH, "bench_pecks"),
                               os.path.join(pond.alice.state, "ducknode.sock"),
                               str(pond.alice.process.pid),
                               os.path.join(pond.bob.state, "ducknode.sock"),
                               str(pond.bob.process.pid), pond.folder, SECONDS, "64", "_for_share"],
                              check=True, capture_output=True, text=True).stdout
        figure = json.loads(line.splitlines()[-1])
        counters = pond.bob.json("metrics")["counters"]
        checks = counters["ducknode_signature_checks_total"]
        share = checks * figure["verify_us"] / (figure["count"] * figure["receiver_cpu_us"])
        emit("verify_share", round(share, 4), "of receiver CPU", 1, round(share, 4),
             checks_per_peck=round(checks / figure["count"], 4))


BENCHES = {"link": link, "store": store, "directory": directory, "reconcile": reconcile,
           "pecks": pecks, "pecks_alone": pecks_alone, "pecks_many": pecks_many, "pecks_many_alone": pecks_many_alone,
           "pecks_large": pecks_large, "overload": overload,
           "verify_share": verify_share, "http": http, "http_directory": http_directory,
           "http_peck": http_peck, "slow_clients": slow_clients, "idle": idle, "cache": cache,
           "sse_idle": sse_idle, "timing": timing}
OF = {"link_throughput": "link", "link_round_trip": "link", "peck_round_trip": "pecks",
      "peck_throughput": "pecks", "peck_throughput_signed_alone": "pecks_alone",
      "peck_throughput_1024": "pecks_many",
      "peck_throughput_1024_signed_alone": "pecks_many_alone", "peck_throughput_16_kib": "pecks_large",
      "http_probe": "http", "http_metrics": "http", "http_directory_by_turns": "http_directory", "rss_idle": "idle", "cpu_idle": "idle",
      "start": "idle", "store_turn": "store"}
OF.update({f"reconcile_{part}": "reconcile" for part in (
    "memory", "insert_random", "erase_random", "insert_in_order", "erase_in_order", "load",
    "fingerprint", "equal", "newest", "scattered", "reissued", "audit")})

# Those that are asked for by name only, for they take long.
LONG = ("timing",)

names = [OF.get(name, name) for name in sys.argv[1:]] or [name for name in BENCHES if name not in LONG]
for name in dict.fromkeys(names):
    if name not in BENCHES:
        sys.exit(f"no benchmark {name}; there are: {' '.join(list(BENCHES) + list(OF))}")
    BENCHES[name]()
