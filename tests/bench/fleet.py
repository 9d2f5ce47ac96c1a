"""ducknode as a system under test of a membership and directory benchmark that lives outside of this
project: a program that takes --driver-file and is named by $DUCK_CLUSTER_BENCH, or lies in
../shared/bench/ beside the project. It starts N agents, joins, tags, kills and pauses them; this
file says how that is done with ducknode.

    fleet.py [N,N,…]     runs serf, if it is installed, and ducknode, and prints both side by side

Every node is a process with its own state folder and no gateway, on its own loopback address. A
"tag" is the bio of the node's duckling, changed through the local API. What the nodes think is
read by fleet_watch, which follows their events: asking it costs the nodes nothing.

Needs the binaries in $DUCK_BIN and the benchmark programs in $DUCK_BENCH."""

import glob
import json
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
BIN = os.environ.get("DUCK_BIN", os.path.join(HERE, "..", "..", "build", "release", "bin"))
BENCH = os.environ.get("DUCK_BENCH", os.path.join(BIN, "..", "tests", "bench"))
PORT = 7117
STATE_WORDS = {"dead": "failed", "-": None}


def drivers(Driver):
    return {"ducknode": make_class(Driver)}


def make_class(Driver):
    class Ducknode(Driver):
        name = "ducknode"

        def __init__(self, workdir, n, opts):
            super().__init__(workdir, n, opts)
            self.watch = subprocess.Popen([os.path.join(BENCH, "fleet_watch")], text=True,
                                          stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self.opened, self.ids, self.ducklings, self.deaths = set(), {}, {}, {}
            for i in range(n):
                self.configure(i)

        # ---- the nodes' folders ----

        def address(self, i):
            return f"127.77.{i // 250}.{i % 250 + 1}:{PORT}"

        def state(self, i):
            return os.path.join(self.workdir, f"n{i}")

        def configure(self, i):
            config = self.state(i) + ".ini"
            with open(config, "w") as file:
                file.write(f"[node]\nname = n{i:04d}\nnetwork = fleet\nstate_dir = {self.state(i)}\n"
                           f"listen = {self.address(i)}\n[gateway]\nenabled = no\n"
                           f"[log]\nformat = text\nlevel = {os.environ.get('DUCK_FLEET_LOG', 'warning')}\n")
            made = subprocess.run([os.path.join(BIN, "ducknode"), "init", "--json", "--config", config],
                                  capture_output=True, text=True, check=True)
            self.ids[i] = json.loads(made.stdout)["node_id"]

        def forget_everything(self, i):
            """The node begins anew under its old key."""
            for name in ("node.db*", "directory.db*"):
                for path in glob.glob(os.path.join(self.state(i), name)):
                    os.unlink(path)
            self.ducklings.pop(i, None)

        def version(self):
            done = subprocess.run([os.path.join(BIN, "ducknode"), "version"], capture_output=True,
                                  text=True, check=True)
            return done.stdout.strip()

        def argv(self, i, seeds):
            if not seeds:
                self.forget_everything(i)
            line = [os.path.join(BIN, "ducknode"), "run", "--config", self.state(i) + ".ini",
                    *self.opts.agent_args.split()]
            for seed in seeds:
                line += ["--join", self.address(seed)]
            return line

        # ---- asking ----

        def say(self, *words):
            self.watch.stdin.write(" ".join(str(word) for word in words) + "\n")
            self.watch.stdin.flush()
            return self.watch.stdout.readline().strip()

        def table(self, *words):
            return {int(i): value for i, _, value in
                    (part.partition(":") for part in self.say(*words).split())}

        def ready(self, i):
            if i in self.opened:
                return True
            socket = os.path.join(self.state(i), "ducknode.sock")
            if not os.path.exists(socket) or not self.say("open", i, socket).startswith("ok"):
                return False
            self.opened.add(i)
            return True

        def join(self, i, seed):
            self.say("join", i, self.address(seed))

        def alive_counts(self, idx):
            seen = self.table("alive")
            return {i: int(seen[i]) for i in idx if i in seen}

        def member_states(self, idx, j):
            seen = self.table("states", self.ids[j])
            return {i: STATE_WORDS.get(seen[i], seen[i]) for i in idx if i in seen}

        def settle(self):
            """Once the fleet is whole every node gets its duckling, before anything is measured."""
            if len(self.opened) < self.n:
                return
            for i in range(self.n):
                if i not in self.ducklings:
                    self.hatch(i)

        def hatch(self, i):
            answer = self.say("hatch", i).split()
            if answer[0] != "ok":
                raise RuntimeError(f"node {i} hatches nothing")
            self.ducklings[i] = answer[1]

        def set_tag(self, i, key, value):
            if i not in self.ducklings:
                self.hatch(i)
            self.say("tag", i, value)

        def tags_seen(self, idx, j, key):
            seen = self.table("tags", self.ducklings[j])
            return {i: None if seen[i] == "-" else seen[i] for i in idx if i in seen}

        def forget(self, i):
            self.deaths[i] = self.failure_events(i)  # kept over the node's lives
            self.say("close", i)
            self.opened.discard(i)

        def failure_events(self, i):
            numbers = {node: number for number, node in self.ids.items()}
            return [numbers[node] for node in self.say("failed", i).split() if node in numbers]

        def limits(self):
            return {"counters_of_agent_0": json.loads(self.say("counters", 0))}

        def close(self):
            self.watch.stdin.close()
            try:
                self.watch.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.watch.kill()
                self.watch.wait()

    return Ducknode


# ---- both, side by side ----

def find_bench():
    named = os.environ.get("DUCK_CLUSTER_BENCH")
    if named:
        return named if os.path.exists(named) else None
    beside = os.path.join(HERE, "..", "..", "..", "shared", "bench", "cluster_bench.py")
    return beside if os.path.exists(beside) else None


ROWS = (
    ("whole after, p50 s", "join", "converge_all_s", "p50"),
    ("whole after, worst s", "join", "converge_all_s", "max"),
    ("typical agent, p50 s", "join", "converge_agent_p50_s", "p50"),
    ("idle, CPU s/min", "idle", "cpu_s_per_agent_min", "mean"),
    ("idle, bytes/s", "idle", "net_bytes_per_agent_s"),
    ("resident, KiB", "idle", "rss_kib_p50"),
    ("private, KiB", "idle", "anon_kib_p50"),
    ("false failures, idle", "idle", "false_failures"),
    ("change at all, p50 s", "tag", "to_all_s", "p50"),
    ("change at all, worst s", "tag", "to_all_s", "max"),
    ("change at one, p50 s", "tag", "to_one_s", "p50"),
    ("bytes/agent a change", "update", "bytes_per_agent_per_update"),
    ("death first seen, p50 s", "fail", "first_s", "p50"),
    ("death at all, p50 s", "fail", "all_s", "p50"),
    ("death at all, worst s", "fail", "all_s", "max"),
    ("back at all, p50 s", "rejoin", "alive_at_all_others_s", "p50"),
    ("back lists all, p50 s", "rejoin", "lists_all_itself_s", "p50"),
    ("healthy ever failed", "pause", "healthy_members_ever_failed"),
    ("verdicts on paused", "pause", "verdicts_on_paused"),
    ("whole after pauses, s", "pause", "whole_again_s"),
)


def pick(result, path):
    for key in path:
        result = result.get(key) if isinstance(result, dict) else None
    return "-" if result is None else str(result)


def print_table(results):
    columns = [(name, n) for n in sorted({n for _, n in results}) for name in ("serf", "ducknode")
               if (name, n) in results]
    print(f"{'':24}" + "".join(f"{name + ' ' + str(n):>14}" for name, n in columns))
    for label, *path in ROWS:
        print(f"{label:24}" + "".join(f"{pick(results[column], path):>14}" for column in columns))
    for name, n in columns:
        for error in results[(name, n)].get("errors", []):
            print(f"{name} {n}: {error}")


def measure(bench, system, counts, more):
    line = [sys.executable, bench, "--system", system, "--n", counts, "--driver-file",
            os.path.abspath(__file__), *more]
    output = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True).stdout
    print(output, end="", flush=True)
    return {(system, result["n"]): result for result in map(json.loads, output.splitlines())}


def main():
    bench = find_bench()
    if not bench:
        print("fleet: skipped: the cluster benchmark is not here (name it in DUCK_CLUSTER_BENCH)")
        return
    counts = os.environ.get("DUCK_FLEET_N", "16,32,64,100")
    more = sys.argv[1:]
    results = {}
    if shutil.which("serf"):
        results.update(measure(bench, "serf", counts, more))
    results.update(measure(bench, "ducknode", counts, more))
    print_table(results)


if __name__ == "__main__":
    main()
