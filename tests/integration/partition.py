"""Three nodes, each in a network namespace of its own that this test makes. One is cut off, records
change on both sides, and when the cut heals all three hold the same directory within 5 s.

Needs root, ip (iproute2) and nft (nftables); where that is not given it says so and is skipped.
DUCK_CUT_SECONDS is how long the cut lasts (60)."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

from pond import BIN, NETWORK, run, until

CUT_SECONDS = float(os.environ.get("DUCK_CUT_SECONDS", "60"))
HEALED_WITHIN_S = 5
SKIPPED = 77  # SKIP_RETURN_CODE


def sh(*words, check=True):
    done = subprocess.run(words, capture_output=True, text=True, timeout=20)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(words)}: {done.stderr}")
    return done


def what_is_missing():
    if os.geteuid() != 0:
        return "it needs root, to make network namespaces"
    for program in ("ip", "nft"):
        if not shutil.which(program):
            return f"it needs {program}"
    probe = f"duck{os.getpid()}p"
    if sh("ip", "netns", "add", probe, check=False).returncode != 0:
        return "network namespaces are not permitted here"
    ruled = sh("ip", "netns", "exec", probe, "nft", "add", "table", "inet", "probe", check=False)
    sh("ip", "netns", "del", probe)
    return None if ruled.returncode == 0 else "nftables are not permitted here"


class Host:
    """A namespace with one node in it, on a switch that is a namespace as well."""

    def __init__(self, net, number):
        self.net, self.name = net, f"{net.prefix}h{number}"
        self.address = f"10.77.0.{number + 1}"
        self.state = os.path.join(net.folder, f"n{number}")
        self.config = self.state + ".ini"
        self.process = None
        sh("ip", "netns", "add", self.name)
        net.made.append(self.name)
        sh("ip", "-n", net.switch, "link", "add", f"p{number}", "type", "veth", "peer", "name",
           "eth0", "netns", self.name)
        sh("ip", "-n", net.switch, "link", "set", f"p{number}", "master", "bridge", "up")
        for words in (("addr", "add", self.address + "/24", "dev", "eth0"),
                      ("link", "set", "eth0", "up"), ("link", "set", "lo", "up")):
            sh("ip", "-n", self.name, *words)

    def start(self, join=()):
        with open(self.config, "w") as file:
            file.write(f"[node]\nname = {self.name}\nnetwork = {NETWORK}\nstate_dir = {self.state}\n"
                       f"listen = {self.address}:7117\n"
                       + "".join(f"join = {other.address}:7117\n" for other in join)
                       + "[gateway]\nenabled = no\n[log]\nformat = text\nlevel = info\n")
        self.id = self.json("init")["node_id"]
        with open(self.state + ".log", "w") as log:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", self.name, os.path.join(BIN, "ducknode"), "run", "--config",
                 self.config], stderr=log, stdin=subprocess.DEVNULL)
        until(f"{self.name} to answer", lambda: self.command("status").returncode == 0)

    def command(self, *words):
        """Over the Unix socket, which no cut touches."""
        return subprocess.run([os.path.join(BIN, "ducknode"), *words, "--config", self.config],
                              capture_output=True, text=True, timeout=60)

    def json(self, *words):
        done = self.command(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def holds(self):
        """Which records, as one value that others can be compared with."""
        directory = self.json("gossip")["directory"]
        return directory["records"], directory["fingerprint"]

    def hatch(self, name):
        return self.json("hatch", name)["duckling_id"]

    def names(self):
        return sorted(entry["display_name"] for entry in self.json("directory")["entries"])

    def state_of(self, other):
        peers = self.json("peers", "--node", other.id)["peers"]
        return peers[0]["state"] if peers else None

    def cut_off(self):
        script = ("table inet cut { chain in { type filter hook input priority 0; iifname eth0 drop; }\n"
                  "chain out { type filter hook output priority 0; oifname eth0 drop; }\n}\n")
        done = subprocess.run(["ip", "netns", "exec", self.name, "nft", "-f", "-"], input=script,
                              capture_output=True, text=True, timeout=20)
        assert done.returncode == 0, done.stderr

    def heal(self):
        sh("ip", "netns", "exec", self.name, "nft", "delete", "table", "inet", "cut")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)


class Net:
    def __init__(self):
        self.prefix = f"duck{os.getpid()}"
        self.switch = self.prefix + "s"
        self.made = []

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="ducknet-")
        try:
            sh("ip", "netns", "add", self.switch)
            self.made.append(self.switch)
            sh("ip", "-n", self.switch, "link", "add", "bridge", "type", "bridge")
            sh("ip", "-n", self.switch, "link", "set", "bridge", "up")
            self.hosts = [Host(self, number) for number in range(3)]
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, error, trace):
        for host in getattr(self, "hosts", []):
            host.stop()
            if kind and os.path.exists(host.state + ".log"):
                with open(host.state + ".log") as log:
                    sys.stderr.write(f"---- {host.name}\n" + "".join(log.readlines()[-40:]))
        for name in reversed(self.made):
            sh("ip", "netns", "del", name, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def all_same(hosts):
    held = {host.holds() for host in hosts}
    return len(held) == 1 and held.pop()


def what_changed_on_both_sides_of_a_cut_is_the_same_everywhere_5_s_after_it_healed():
    with Net() as net:
        alice, bob, carol = net.hosts
        alice.start()
        bob.start([alice])
        carol.start([alice, bob])
        old = alice.hatch("old")
        for host in net.hosts:
            until("all to hold one directory", lambda host=host: host.names() == ["old"])
        until("the same everywhere", lambda: all_same(net.hosts))
        carol.cut_off()
        began = time.monotonic()
        alice.json("profile", old, "--bio", "changed while one was away")
        bob.hatch("of the many")
        carol.hatch("of the one")
        until("the change at bob", lambda: alice.holds() == bob.holds())
        assert alice.names() == ["of the many", "old"], alice.names()
        assert carol.names() == ["of the one", "old"], carol.names()
        if CUT_SECONDS > 20:
            until("carol to be dead to the others", lambda: alice.state_of(carol) == "dead"
                  and bob.state_of(carol) == "dead", CUT_SECONDS)
        threading.Event().wait(max(0, CUT_SECONDS - (time.monotonic() - began)))
        assert alice.holds() != carol.holds()
        carol.heal()
        healed = time.monotonic()
        records, _ = until("the same directory everywhere", lambda: all_same(net.hosts), 120)
        took = time.monotonic() - healed
        print(f"      after a cut of {CUT_SECONDS:g} s all three hold the same {records} records "
              f"{took:.2f} s after it healed", flush=True)
        for host in net.hosts:
            assert host.names() == ["of the many", "of the one", "old"], (host.name, host.names())
            entry = [e for e in host.json("directory")["entries"] if e["duckling"] == old][0]
            assert entry["bio"] == "changed while one was away", entry
        assert took <= HEALED_WITHIN_S, f"it took {took:.2f} s"
        for host in net.hosts:
            for other in net.hosts:
                if host is not other:
                    until("all to be alive to all", lambda: host.state_of(other) == "alive")


missing = what_is_missing()
if missing:
    print(f"skipped: {missing}")
    sys.exit(SKIPPED)
run(what_changed_on_both_sides_of_a_cut_is_the_same_everywhere_5_s_after_it_healed)
