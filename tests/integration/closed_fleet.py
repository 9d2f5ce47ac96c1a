"""A closed fleet: nodes that its operator vouches for link with one another, and with nobody else."""

import json
import os

from pond import Pond, run, until


def operator(pond, name):
    folder = os.path.join(pond.folder, name)
    return folder, pond.alice.json("operator", "init", "--name", name, "--dir", folder)["operator_id"]


def sign(pond, folder, node, *flags):
    path = os.path.join(pond.folder, f"{node.name}-{os.path.basename(folder)}.json")
    pond.alice.command("operator", "sign", node.id, "--dir", folder, "--out", path, *flags)
    return path


def belong(node, operator_id, path=None):
    node.stop()
    node.write_config(extra=f"[node]\nmembers_of = {operator_id}\n"
                      + (f"membership_file = {path}\n" if path else ""))


def who_is_vouched_for_is_linked_and_nobody_else():
    with Pond("alice", "bob", "mallory") as pond:
        alice, bob, mallory = pond.nodes
        folder, ours = operator(pond, "ours")
        other_folder, other = operator(pond, "other")
        document = json.load(open(sign(pond, folder, bob)))
        assert document["node"] == bob.id and document["operator"] == ours, document
        for node in (alice, bob):
            belong(node, ours, sign(pond, folder, node))
        for node in (alice, bob):  # they know the third one, and where it is, from when the network was open
            node.start()
        a, b = alice.hatch("a@example.org", "Ada"), bob.hatch("b@example.org", "Bea")
        until("the members to link", lambda: alice.json("status")["links"] == 1 and bob.json("status")["links"] == 1)
        b.knows(a)
        sent = b.post("/beak/peck", target=a.id, action="query", payload={})["peck_id"]
        b.becomes(sent, "pending")
        for node in (alice, bob):
            node.says("the network is closed, and no operator vouches for the node")
        assert [node.json("status")["links"] for node in pond.nodes] == [1, 1, 0]

        # Nor by the word of another operator.
        belong(mallory, other, sign(pond, other_folder, mallory))
        mallory.start()
        alice.says("who vouches for the node is no operator of this fleet|the network is closed")
        assert mallory.json("status")["links"] == 0

        # As soon as ours vouches for it, it is one of them.
        belong(mallory, ours, sign(pond, folder, mallory))
        mallory.start()
        until("all to be linked", lambda: all(node.json("status")["links"] == 2 for node in pond.nodes))


def who_is_no_member_of_its_own_fleet_does_not_start():
    with Pond("alice", "bob") as pond:
        alice, bob = pond.nodes
        folder, ours = operator(pond, "ours")
        theirs = sign(pond, folder, bob)
        broken = os.path.join(pond.folder, "broken.json")
        with open(broken, "w") as file:
            file.write('{"voucher": "AAAA", "chain": "AAAA"}')

        def refused(why, operator_id, path=None):
            belong(alice, operator_id, path)
            done = alice.command("run", "--no-gateway", check=False)
            assert done.returncode == 1 and why in done.stderr, (why, done)

        refused("no operator vouches", ours)
        refused("another node", ours, theirs)
        refused("broken.json", ours, broken)
        soon = sign(pond, folder, alice, "--days", "1")
        done = alice.command("run", "--check-config", check=False)
        assert done.returncode == 1 and "broken.json" in done.stderr, done
        belong(alice, "opr_x")
        done = alice.command("run", "--check-config", check=False)
        assert done.returncode != 0 and "it is ids of operators" in done.stderr, done
        belong(alice, ours, soon)
        alice.start()
        alice.says("have an operator sign anew")


def whose_voucher_is_taken_back_is_let_go_of():
    with Pond("alice", "bob", "carol") as pond:
        alice, bob, carol = pond.nodes
        folder, ours = operator(pond, "ours")
        for node in pond.nodes:
            belong(node, ours, sign(pond, folder, node))
        for node in pond.nodes:
            node.start()
        until("all to be linked", lambda: all(node.json("status")["links"] == 2 for node in pond.nodes))

        # By a file, as whose keys are elsewhere does it.
        path = os.path.join(pond.folder, "taken-back.json")
        alice.command("operator", "revoke", carol.id, "--dir", folder, "--out", path)
        assert json.load(open(path))["node"] == carol.id
        alice.command("operator", "publish", path)
        until("the others to hang up", lambda: [node.json("status")["links"] for node in pond.nodes] == [1, 1, 0])
        for node in (alice, bob):
            node.says("is no member any more")
            assert not [peer for peer in node.json("peers")["peers"] if peer["node_id"] == carol.id and peer["link"] != "none"]

        # Nor after a restart, of whoever heard of it or of itself.
        for node in (alice, carol):
            node.stop()
            node.start()
        until("the members to be linked", lambda: alice.json("status")["links"] == 1)
        for node in (alice, bob):  # it dials both, in vain
            carol.says(f"{node.id}: closed by the other end")
        assert [node.json("status")["links"] for node in (alice, bob)] == [1, 1]

        # A newer word counts again.
        belong(carol, ours, sign(pond, folder, carol))
        carol.start()
        until("all to be linked again", lambda: all(node.json("status")["links"] == 2 for node in pond.nodes))


run(who_is_vouched_for_is_linked_and_nobody_else,
    whose_voucher_is_taken_back_is_let_go_of,
    who_is_no_member_of_its_own_fleet_does_not_start)
