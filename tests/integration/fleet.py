"""What a user of several nodes sees: who is there and how they are, a death, a leave, the directory as
it changes, and the same figures from the command line and for Prometheus."""

import json
import os
import re
import shutil
import subprocess
import threading

from pond import BIN, Pond, run, until


def state_of(node, other):
    peers = node.json("peers", "--node", other.id)["peers"]
    return peers[0]["state"] if peers else None


def a_killed_node_is_suspect_then_dead_and_alive_again_when_it_comes_back():
    with Pond("alice", "bob", "carol") as pond:
        alice, bob, carol = pond.nodes
        until("both to be alive", lambda: [state_of(alice, n) for n in (bob, carol)] == ["alive"] * 2)
        before = alice.json("peers", "--node", carol.id)["peers"][0]
        assert before["link"] in ("here", "there") and before["incarnation_ms"] > 0, before
        assert before["software"].startswith("ducknode/"), before
        carol.kill()
        until("carol to be dead", lambda: state_of(alice, carol) == state_of(bob, carol) == "dead")
        alice.says(r"nod_\w+ is suspect")
        text = alice.command("peers", "--state", "dead").stdout
        assert re.search(carol.id + r" +dead +none", text) and bob.id not in text, text
        carol.start()
        until("carol to be back", lambda: state_of(alice, carol) == state_of(bob, carol) == "alive")
        after = alice.json("peers", "--node", carol.id)["peers"][0]
        assert after["incarnation_ms"] > before["incarnation_ms"], (before, after)


def a_node_that_leaves_is_shown_as_left_and_suspected_by_nobody():
    with Pond("alice", "bob", "carol") as pond:
        alice, bob, carol = pond.nodes
        until("both to be alive", lambda: [state_of(alice, n) for n in (bob, carol)] == ["alive"] * 2)
        assert carol.json("leave") == {"left": True}
        carol.process.wait(20)
        until("carol to have left", lambda: state_of(alice, carol) == state_of(bob, carol) == "left")
        for node in (alice, bob):
            counters = node.json("gossip")["counters"]
            assert counters['ducknode_gossip_members{state="left"}'] == 1, counters
            assert counters['ducknode_gossip_accusations_total{what="made"}'] == 0, counters


def a_node_that_is_stopped_is_missed_by_nobody_and_is_alive_when_it_is_back():
    with Pond("alice", "bob", "carol") as pond:
        alice, bob, carol = pond.nodes
        until("both to be alive", lambda: [state_of(alice, n) for n in (bob, carol)] == ["alive"] * 2)
        carol.stop()
        until("carol to be away", lambda: state_of(alice, carol) == state_of(bob, carol) == "left")
        carol.start()
        until("carol to be back", lambda: state_of(alice, carol) == state_of(bob, carol) == "alive")
        for node in (alice, bob):
            counters = node.json("gossip")["counters"]
            assert counters['ducknode_gossip_accusations_total{what="made"}'] == 0, counters


def another_node_at_a_pinned_address_is_refused_until_it_is_joined_again():
    with Pond("alice", "bob") as pond:
        alice, bob = pond.nodes
        address = f"127.0.0.1:{alice.port}"
        bob.says(f"{address} is pinned to {alice.id}")
        alice.stop()
        shutil.rmtree(alice.state)
        first = alice.id
        alice.init()
        alice.start()
        bob.says(f"{address} is pinned to {first}, but {alice.id} answers there: refused")
        bob.stop()
        bob.start()
        bob.says(f"{address} is pinned to {first}, but {alice.id} answers there: refused")
        assert bob.json("status")["links"] == 0
        bob.command("join", address)
        bob.says(f"{address} is pinned to {alice.id}")
        pond.all_linked()


def the_directory_is_followed_line_by_line():
    with Pond("alice", "bob") as pond:
        alice, bob = pond.nodes
        old = bob.json("hatch", "Old", "--capability", "weather.now")["duckling_id"]
        until("the old one at alice", lambda: alice.json("directory")["entries"])
        follower = subprocess.Popen(
            [os.path.join(BIN, "ducknode"), "directory", "--capability", "weather.*", "--follow",
             "--json", "--config", alice.config], stdout=subprocess.PIPE, text=True)
        lines, come = [], threading.Condition()

        def read():
            for line in follower.stdout:
                with come:
                    lines.append(json.loads(line))
                    come.notify_all()

        threading.Thread(target=read, daemon=True).start()

        def line(number):
            with come:
                assert come.wait_for(lambda: len(lines) > number, 20), lines
                return lines[number]

        try:
            assert line(0)["display_name"] == "Old"
            bob.json("hatch", "Baker", "--capability", "bread.bake")  # not asked for
            new = bob.json("hatch", "New", "--capability", "weather.forecast")["duckling_id"]
            assert line(1)["duckling"] == new
            bob.json("profile", old, "--bio", "changed")
            assert (line(2)["duckling"], line(2)["bio"]) == (old, "changed")
            bob.json("profile", old, "--capability", "bread.bake")
            assert line(3) == {"duckling": old, "gone": True}
        finally:
            follower.terminate()
            follower.wait()


def prometheus_and_the_command_line_say_the_same():
    with Pond("alice", "bob") as pond:
        status, body, _ = pond.alice.http("GET", "/metrics", raw=True)
        assert status == 200
        told = {}
        for line in body.decode().splitlines():
            assert re.match(r"(# HELP |# TYPE )?(ducknode|process)_", line), line
            if not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                assert name not in told, name
                told[name] = float(value)
        names = {name for name in told if name.startswith("ducknode_gossip_")}
        assert names == set(pond.alice.json("gossip")["counters"]), names
        assert told['ducknode_gossip_members{state="alive"}'] == 1
        text = pond.alice.command("gossip").stdout
        assert re.search(r"^members +alive 1$", text, re.MULTILINE), text
        until("the nodes to hold the same", lambda: pond.alice.json("gossip")["directory"]
              == pond.bob.json("gossip")["directory"])


run(a_killed_node_is_suspect_then_dead_and_alive_again_when_it_comes_back,
    a_node_that_leaves_is_shown_as_left_and_suspected_by_nobody,
    a_node_that_is_stopped_is_missed_by_nobody_and_is_alive_when_it_is_back,
    another_node_at_a_pinned_address_is_refused_until_it_is_joined_again,
    the_directory_is_followed_line_by_line,
    prometheus_and_the_command_line_say_the_same)
