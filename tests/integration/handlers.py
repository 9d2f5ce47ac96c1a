"""Handlers on a real node, asked from another: whatever a program does, its peck ends in the right
receipt, and neither the node nor another handler is harmed."""

import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import threading

from pond import BIN, Pond, run, until

PROGRAMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs")
HANDLER = os.path.join(PROGRAMS, "handler.py")


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Handled:
    """alice asks, bob's duckling is answered for by handlers. `kinds` names actions that are
    behaviours of handler.py; `keys` may hold more lines for one of them."""

    def __init__(self, *kinds, keys={}, more=""):
        self.pond = Pond("alice", "bob")
        self.kinds, self.keys, self.more = kinds, keys, more

    def __enter__(self):
        self.pond.__enter__()
        try:
            self.alice, self.bob = self.pond.alice, self.pond.bob
            self.folder = os.path.join(self.pond.folder, "handled")
            os.mkdir(self.folder)
            self.asker = self.alice.json("hatch", "Asker")["duckling_id"]
            self.oracle = self.bob.json("hatch", "Oracle")["duckling_id"]
            until("the oracle at alice", lambda: [
                e for e in self.alice.json("directory")["entries"] if e["duckling"] == self.oracle])
            asked = self.alice.json("peck", self.oracle, "--bond", "*", "--from", self.asker,
                                    "--wait", "0")
            until("the request at bob", lambda: self.bob.json("inbox", self.oracle)["pecks"])
            self.bob.command("approve", asked["peck_id"])
            until("the bond at alice", lambda: self.alice.json("bonds")["bonds"])
            self.bob.stop()
            self.bob.write_config(extra="".join(
                f"[handler {kind}]\nduckling = {self.oracle}\naction = {kind}\n"
                f"argv = {HANDLER} {kind} {self.folder}\n{self.keys.get(kind, '')}"
                for kind in self.kinds) + self.more.format(oracle=self.oracle, folder=self.folder))
            self.restart()
        except BaseException as error:
            self.pond.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(self, *error):
        self.pond.__exit__(*error)
        left = self.left_running()
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert not left, left

    def restart(self):
        self.bob.start()
        if self.kinds or self.more:
            self.bob.says("info handler: ready")
        self.pond.all_linked()

    def ask(self, action, payload="{}", wait="30"):
        return self.alice.json("peck", self.oracle, payload, "--from", self.asker, "--action",
                               action, "--wait", wait)

    def becomes(self, sent, *states, seconds=30):
        return until(f"{sent['action']} to become {states}", lambda: (
            lambda peck: peck if peck["state"] in states else None)(
            self.alice.json("pecks", sent["peck_id"])), seconds)

    def left(self):
        """Actions that wait in the oracle's inbox."""
        return [p for p in self.bob.json("inbox", self.oracle)["pecks"] if p["kind"] == 1]

    def fails(self, action, reason, payload="{}"):
        peck = self.ask(action, payload)
        assert peck["state"] == "failed" and reason in peck["problem"], peck
        assert [r["kind"] for r in peck["receipts"]] == ["taken", "done"], peck

    def handler(self, name):
        return next(h for h in self.bob.json("handlers")["handlers"] if h["name"] == name)

    def becomes_counted(self, name, **figures):
        until(f"{name}: {figures}", lambda: (lambda told: all(
            told[key] == value for key, value in figures.items()))(self.handler(name)))

    def read(self, name):
        try:
            with open(os.path.join(self.folder, name)) as file:
                return file.read().split()
        except OSError:
            return []

    def pids(self, count):
        """Those that the program noted; `count` of them."""
        return until(f"{count} processes", lambda: (
            lambda pids: pids if len(pids) >= count else None)([int(p) for p in self.read("pids")]))

    def left_running(self):
        """Processes that carry this test's folder in their arguments: every program does."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    if self.folder.encode() in file.read():
                        found.append(int(pid))
            except OSError:
                pass
        return found



def a_program_gets_the_peck_and_what_it_prints_is_the_answer():
    with Handled("echo", "deaf_to_input", "large") as pond:
        peck = pond.ask("echo", '{"city": "Lisbon", "n": [1, 2.5e3, "\\u00e9\\ud83e\\udd86"]}')
        assert peck["state"] == "answered", peck
        got = peck["result"]["peck"]
        assert got["payload"] == {"city": "Lisbon", "n": [1, 2500.0, "é🦆"]}, got
        assert (got["from"], got["to"]) == (pond.asker, pond.oracle), got
        assert (got["peck_id"], got["attempt"]) == (peck["peck_id"], 1), got
        assert pond.ask("deaf_to_input", json.dumps("x" * 100000))["result"] == "I read nothing"
        assert len(pond.ask("large")["result"]) == 256 * 1024 - 2
        pond.becomes_counted("echo", answered=1, failed=0, running=0, taken=1)
        pond.becomes_counted("large", answered=1)
        assert pond.ask("unknown", wait="0")["state"] in ("queued", "sent", "taken")
        left = until("what no handler answers", pond.left)
        assert [p["action"] for p in left] == ["unknown"], left
        metrics = pond.bob.json("metrics")["counters"]
        assert metrics['ducknode_handler_pecks_total{result="answered"}'] == 3, metrics


def a_program_has_nothing_of_the_node_and_no_more_than_its_limits():
    with Handled("limits", "memory",
                 keys={"limits": "memory_max_mib = 600\ncpu_max_s = 20\n",
                       "memory": "memory_max_mib = 300\n"}) as pond:
        os.environ["DUCK_SECRET"] = "of whoever started the node"
        told = pond.ask("limits")["result"]
        assert told["limits"] == {"core": 0, "files": 256, "memory": 600 << 20, "cpu": 20}, told
        assert set(told["files"]) <= {"0", "1", "2", "3"}, told  # 3: the folder that it lists
        assert told["folder"] == "/" and told["umask"] == 0o077 and told["group"], told
        assert told["no_new_privs"] == "1" and int(told["blocked"], 16) == 0, told
        assert set(told["environment"]) <= {
            "PATH", "LC_CTYPE", "DUCK_HANDLER", "DUCK_PECK_ID", "DUCK_ATTEMPT", "DUCK_FROM", "DUCK_TO",
            "DUCK_ACTION", "DUCK_THREAD"}, told["environment"]
        assert told["environment"]["DUCK_ACTION"] == "limits"
        pond.fails("memory", "status 1")


def each_way_to_fail_ends_in_a_failed_receipt_with_its_reason():
    small = "output_max_bytes = 1000\n"
    with Handled("crash", "fail", "explain", "garbage", "prose", "two", "deep", "nothing", "hang",
                 "deaf", "flood", "flood_words", "cut", "slow", "large", "complain", "echo",
                 keys={"flood_words": "timeout_ms = 500\n", "hang": "timeout_ms = 300\n", "deaf": "timeout_ms = 300\n",
                       "large": "output_max_bytes = 262143\n", "deep": "output_max_bytes = 2001\n",
                       "nothing": small}) as pond:
        pond.fails("crash", "ended by signal 11 (Segmentation fault)")
        pond.fails("fail", "ended with status 1")
        pond.fails("explain", "there is no such city")
        pond.fails("garbage", "not UTF-8")
        pond.fails("prose", "it is not JSON")
        pond.fails("two", "it is not JSON")
        pond.fails("deep", "nested deeper than 64")
        pond.fails("nothing", "printed nothing")
        pond.fails("hang", "did not answer within 300 ms")
        pond.fails("deaf", "did not answer within 300 ms")
        pond.fails("flood", "printed more than 262144 bytes")
        pond.fails("flood_words", "did not answer within 500 ms")
        pond.fails("cut", "it is not JSON")
        assert pond.ask("slow")["result"] == "slow but fine"
        pond.fails("large", "printed more than 262143 bytes")
        assert pond.ask("complain")["result"] == "I said it"
        pond.bob.says(r"complain\[\d+\]: it is all wrong")
        pond.bob.says(r"complain\[\d+\]: \d+ bytes more on standard error")
        assert sum("it is all wrong" in line for line in pond.bob.lines) < 200
        pond.becomes_counted("hang", timed_out=1, failed=0, running=0)
        pond.becomes_counted("flood", timed_out=0, failed=1, running=0)
        assert [pid for pid in pond.pids(2) if is_alive(pid)] == []
        until("everything to end", lambda: not pond.left_running())
        assert pond.ask("echo")["state"] == "answered"
        assert pond.bob.json("status")["inbox"] == 0


def daemons_that_a_program_leaves_behind_are_killed():
    with Handled("daemons", "daemons_and_hang",
                 keys={"daemons_and_hang": "timeout_ms = 2000\n"}) as pond:
        assert pond.ask("daemons")["result"] == "they live"
        pids = pond.pids(20)
        until("the daemons to end", lambda: not [pid for pid in pids if is_alive(pid)])
        pond.fails("daemons_and_hang", "did not answer within 2000 ms")
        pids = pond.pids(41)
        until("the daemons to end", lambda: not [pid for pid in pids if is_alive(pid)])


def a_fork_bomb_is_ended_and_harms_no_other():
    with Handled("bomb", "echo", "slow", keys={"bomb": "timeout_ms = 1500\n"}) as pond:
        bombed = pond.ask("bomb", wait="0")
        until("the bomb to go off", lambda: len(pond.left_running()) > 20)
        assert pond.ask("echo")["state"] == "answered"
        assert pond.ask("slow")["state"] == "answered"
        assert "did not answer within 1500 ms" in pond.becomes(bombed, "failed")["problem"]
        until("everything to end", lambda: not pond.left_running())
        assert pond.ask("echo")["state"] == "answered"


def a_url_is_called_and_what_is_no_answer_fails():
    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            peck = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answers = {"fine": (200, json.dumps(peck["payload"]).encode()), "moved": (302, b"{}"),
                       "prose": (200, b"It rains."), "large": (200, b"1" * 300000),
                       "empty": (200, b""), "down": (503, b"{}")}
            if peck["action"] == "hook.hang":
                self.rfile.read(1)  # until the caller is ended
                return
            status, body = answers[peck["action"].split(".")[1]]
            self.send_response(status)
            self.send_header("Content-Type", self.headers["Content-Type"])
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"127.0.0.1:{server.server_port}"
    more = "".join(f"[handler {name}]\nduckling = {{oracle}}\naction = {action}\nurl = {url}\n{keys}"
                   for name, action, url, keys in (
        ("hook", "hook.*", f"http://{address}/peck", ""),
        ("late", "hook.hang", f"http://{address}/peck", "timeout_ms = 1000\n"),
        ("nobody", "nobody", "http://127.0.0.1:1/", ""),
        ("private", "private", f"https://127.0.0.2:{server.server_port}/", "")))
    try:
        with Handled("echo", more=more + "[gateway]\ncall_allow = 127.0.0.1/32, hooks.internal\n") as pond:
            fine = pond.ask("hook.fine", '{"city": "Lisbon"}')
            assert fine["state"] == "answered" and fine["result"] == {"city": "Lisbon"}, fine
            pond.fails("hook.moved", "the handler's URL: the answer is 302, not 200")
            pond.fails("hook.down", "the answer is 503, not 200")
            pond.fails("hook.prose", "it is not JSON")
            pond.fails("hook.large", "larger than 262144 bytes")
            pond.fails("hook.empty", "it is empty")
            pond.fails("hook.hang", "did not answer within 1000 ms")
            pond.fails("nobody", "the handler's URL: ")
            pond.fails("private", "its address is not a public one")
            assert pond.ask("echo")["state"] == "answered"
            duckgate = [os.path.join(BIN, "duckgate"), "--config", pond.bob.config, "--check-config"]
            assert subprocess.run(duckgate, capture_output=True).returncode == 0
            for wrong, reason in (("call_allow = 1.2.3.4/33", "no address, prefix or host name"),
                                  ("call_alow = ::1", "has no key")):
                with open(pond.bob.config, "a") as file:
                    file.write(f"[gateway]\n{wrong}\n")
                refused = subprocess.run(duckgate, capture_output=True, text=True)
                assert refused.returncode == 2 and reason in refused.stderr, refused
                pond.bob.write_config()
    finally:
        server.shutdown()
        server.server_close()


def a_handler_is_refused_by_the_key_that_is_wrong():
    with Pond("alice") as pond:
        duck = pond.alice.json("hatch", "Duck")["duckling_id"]
        for text, reason in (
                ("[handler a]\ncolour = red\n", "a handler has no such key"),
                ("[handler A]\nargv = /bin/true\n", "a handler's name is"),
                ("[handlers]\nargv = /bin/true\n", "there is no section [handlers]"),
                (f"[handler a]\nduckling = {duck}\n", "it has neither argv nor url"),
                (f"[handler a]\nduckling = {duck}\nargv = /nowhere/x\n", "No such file")):
            pond.alice.write_config(extra=text)
            refused = pond.alice.command("run", "--check-config", check=False)
            assert refused.returncode != 0 and reason in refused.stderr, refused
        pond.alice.write_config(extra=f"[handler a]\nduckling = {duck}\nargv = /bin/true\n")
        assert pond.alice.json("handlers", "check") == {"handlers": 1}
        assert "argv = /bin/true" in pond.alice.command("run", "--check-config").stdout
        pond.alice.write_config(extra="")


def a_program_that_is_gone_is_a_failure_and_a_config_that_names_none_is_refused():
    with Handled("echo") as pond:
        gone = os.path.join(pond.folder, "gone")
        shutil.copy(HANDLER, gone)
        text = open(pond.bob.config).read()
        pond.bob.stop()
        with open(pond.bob.config, "w") as file:
            file.write(text + f"[handler gone]\nduckling = {pond.oracle}\naction = gone\nargv = {gone} echo .\n")
        pond.bob.extra += f"[handler gone]\nduckling = {pond.oracle}\naction = gone\nargv = {gone} echo .\n"
        assert "argv = " + gone in pond.bob.command("run", "--check-config").stdout
        pond.restart()
        os.unlink(gone)
        pond.fails("gone", "cannot be started: No such file or directory")
        assert pond.ask("echo")["state"] == "answered"
        refused = pond.bob.command("run", "--check-config", check=False)
        assert refused.returncode == 1 and "No such file" in refused.stderr, refused
        shutil.copy(HANDLER, gone)
        for mode, reason in ((0o644, "not executable"), (0o757, "everybody may change it")):
            os.chmod(gone, mode)
            refused = pond.bob.command("run", "--check-config", check=False)
            assert refused.returncode == 1 and reason in refused.stderr, refused


def a_slow_program_delays_no_other_and_what_waits_stays_in_the_inbox():
    with Handled("wait", "echo", keys={"wait": "at_once = 2\n"}) as pond:
        os.mkfifo(os.path.join(pond.folder, "gate"))
        slow = [pond.ask("wait", wait="0") for _ in range(3)]
        pond.becomes_counted("wait", running=2, taken=2)
        for _ in range(3):
            assert pond.ask("echo")["state"] == "answered"
        assert len(pond.read("begun")) == 2
        gate = os.open(os.path.join(pond.folder, "gate"), os.O_RDWR)
        os.write(gate, b"xxx")  # each goes through with one byte
        for peck in slow:
            assert pond.becomes(peck, "answered")["result"] == "the gate opened"
        assert len(pond.read("begun")) == 3
        os.close(gate)
        pond.becomes_counted("wait", running=0, answered=3)


def the_closest_handler_answers():
    name = "[handler {name}]\nduckling = {{oracle}}\naction = {action}\nargv = " + HANDLER + " echo {{folder}} {name}\n"
    more = "".join(name.format(name=name_, action=action) for name_, action in (
        ("every", "*"), ("data", "data.*"), ("read", "data.read")))
    more += "[handler web]\nduckling = {oracle}\naction = web.*\nurl = https://example.com/hook\n"
    with Handled(more=more) as pond:
        for action, expected in (("data.read", "read"), ("data.write", "data"), ("other", "every")):
            assert pond.ask(action)["result"]["words"] == [expected], action
        listed = {h["name"]: h for h in pond.bob.json("handlers")["handlers"]}
        assert sorted(listed["every"]["but_not"]) == ["data.*", "data.read", "web.*"], listed
        assert (listed["web"]["kind"], listed["web"]["target"]) == ("url", "https://example.com/hook")


def a_node_that_stops_ends_its_programs_and_their_pecks_are_handed_out_again():
    with Handled("again") as pond:
        os.mkfifo(os.path.join(pond.folder, "never"))
        sent = pond.ask("again", wait="0")
        pids = pond.pids(2)
        until("the program to begin", lambda: pond.read("begun") == ["1"])
        pond.bob.stop()
        assert [pid for pid in pids if is_alive(pid)] == []
        pond.restart()
        assert pond.becomes(sent, "answered", "failed")["result"] == {"attempt": 2}


def a_node_that_is_killed_takes_its_programs_along_and_their_pecks_are_handed_out_again():
    with Handled("again") as pond:
        os.mkfifo(os.path.join(pond.folder, "never"))
        sent = pond.ask("again", wait="0")
        pids = pond.pids(2)
        until("the program to begin", lambda: pond.read("begun") == ["1"])
        pond.bob.kill()
        until("the programs to end", lambda: not [pid for pid in pids if is_alive(pid)])
        pond.restart()
        assert pond.becomes(sent, "answered", "failed")["result"] == {"attempt": 2}
        assert len(pond.read("begun")) == 1


def a_runner_that_is_killed_is_started_again():
    with Handled("again", "echo") as pond:
        os.mkfifo(os.path.join(pond.folder, "never"))
        sent = pond.ask("again", wait="0")
        until("the program to begin", lambda: pond.read("begun") == ["1"])
        keeper = pond.bob.says(r"handler: started, pid (\d+)").group(1)
        with open(f"/proc/{keeper}/task/{keeper}/children") as file:
            os.kill(int(file.read()), signal.SIGKILL)
        until("all that it started to end", lambda: not pond.left_running())
        assert pond.ask("echo")["state"] == "answered"
        assert pond.becomes(sent, "answered", "failed")["result"] == {"attempt": 2}


def a_keeper_that_is_killed_is_started_again():
    with Handled("again", "echo") as pond:
        os.mkfifo(os.path.join(pond.folder, "never"))
        sent = pond.ask("again", wait="0")
        until("the program to begin", lambda: pond.read("begun") == ["1"])
        os.kill(int(pond.bob.says(r"handler: started, pid (\d+)").group(1)), signal.SIGKILL)
        until("all that it started to end", lambda: not pond.left_running())
        assert pond.ask("echo")["state"] == "answered"
        assert pond.becomes(sent, "answered", "failed")["result"] == {"attempt": 2}


def two_handlers_that_answer_each_other_for_ever_stop_at_the_rounds_of_their_bond():
    talker = os.path.join(PROGRAMS, "talker.py")
    with Handled() as pond:
        said = os.path.join(pond.folder, "said")
        until("the asker at bob", lambda: [
            e for e in pond.bob.json("directory")["entries"] if e["duckling"] == pond.asker])
        asked = pond.bob.json("peck", pond.asker, "--bond", "*", "--from", pond.oracle, "--wait", "0")
        until("the request at alice", lambda: pond.alice.json("inbox", pond.asker)["pecks"])
        pond.alice.command("approve", asked["peck_id"], "--rounds", "8")
        until("the bond at bob", lambda: len(pond.bob.json("bonds")["bonds"]) == 2)
        for node, duckling in ((pond.alice, pond.asker), (pond.bob, pond.oracle)):
            node.stop()
            node.write_config(extra=(
                f"[handler talk]\nduckling = {duckling}\naction = talk\n"
                f"argv = {talker} {os.path.abspath(BIN)}/ducknode {node.config} {said}\n"))
            node.start()
            node.says("info handler: ready")
        pond.pond.all_linked()
        pond.alice.command("peck", pond.oracle, '{"round": 1}', "--from", pond.asker,
                           "--action", "talk", "--thread", "t1", "--wait", "0")
        pond.bob.says("has had all its rounds")
        until("the last to fail", lambda: pond.bob.json("handlers")["handlers"][0]["failed"] == 1
              or pond.alice.json("handlers")["handlers"][0]["failed"] == 1)
        turns = pond.read("said")
        said = len(turns) // 2
        assert turns[1::2] == [str(i) for i in range(1, said + 1)], turns
        assert 8 <= said <= 16, turns
        until("both counts", lambda: said == sum(  # a runner reports now and then
            node.json("handlers")["handlers"][0]["taken"] for node in (pond.alice, pond.bob)))


run(a_program_gets_the_peck_and_what_it_prints_is_the_answer,
    a_program_has_nothing_of_the_node_and_no_more_than_its_limits,
    each_way_to_fail_ends_in_a_failed_receipt_with_its_reason,
    daemons_that_a_program_leaves_behind_are_killed,
    a_fork_bomb_is_ended_and_harms_no_other,
    a_url_is_called_and_what_is_no_answer_fails,
    a_handler_is_refused_by_the_key_that_is_wrong,
    a_program_that_is_gone_is_a_failure_and_a_config_that_names_none_is_refused,
    a_slow_program_delays_no_other_and_what_waits_stays_in_the_inbox,
    the_closest_handler_answers,
    a_node_that_stops_ends_its_programs_and_their_pecks_are_handed_out_again,
    a_node_that_is_killed_takes_its_programs_along_and_their_pecks_are_handed_out_again,
    a_runner_that_is_killed_is_started_again,
    a_keeper_that_is_killed_is_started_again,
    two_handlers_that_answer_each_other_for_ever_stop_at_the_rounds_of_their_bond)
