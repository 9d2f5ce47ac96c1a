"""Keys of ducklings and of a node are replaced while they work together, and while they do not run; the
next keys lie elsewhere."""

import os
import shutil

from pond import Pond, Refused, run, until
from receiver import Receiver
from stream import Stream

NEXT_KEYS = ("node.next.key", "ducklings.next.key")


def certificates(node):
    return node.json("id")["certificates"]


def speaks_of(node, identity):
    """How many certificates another node knows of it."""
    try:
        found = node.http("GET", f"/beak/certificate/{identity}")
    except Refused as refused:
        assert refused.status == 404, refused
        return 0
    return len(found["certificates"])


def put_away(node):
    """The next keys go where the node does not look."""
    stick = node.state + ".stick"
    os.mkdir(stick, 0o700)
    for name in NEXT_KEYS:
        shutil.move(os.path.join(node.state, name), stick)
    return stick


def a_duckling_and_its_node_go_on_under_new_keys():
    with Pond("alice", "bob") as pond:
        alice, bob = pond.alice, pond.bob
        duck = alice.hatch("a@example.org", "Duck")
        until("bob knows the duck", lambda: speaks_of(bob, duck.id) == 1)
        stick = put_away(alice)

        done = alice.command("rotate", duck.id, check=False)
        assert done.returncode == 1 and "ducklings.next.key" in done.stderr, done
        try:
            duck.post("/beak/rotate", what="identity")
            raise AssertionError("the node opened what it has not")
        except Refused as problem:
            assert (problem.status, problem.body["error"]) == (403, "not_allowed"), problem.body
        for count in (2, 3, 4):
            assert alice.json("rotate", duck.id, "--next-key-dir", stick)["identity"] == duck.id
            until("bob hears of it", lambda: speaks_of(bob, duck.id) == count)
            alice.command("rotate", "--next-key-dir", stick)
            assert certificates(alice) == count
            until("bob hears of alice's", lambda: speaks_of(bob, alice.id) == count)

        alice.stop()
        alice.command("rotate", "--next-key-dir", stick)
        assert certificates(alice) == 5
        alice.start()
        until("bob hears of it again", lambda: speaks_of(bob, alice.id) == 5)
        assert alice.id == alice.json("status")["node_id"]
        assert sorted(os.listdir(stick)) == sorted(NEXT_KEYS), os.listdir(stick)
        alice.command("rotate", duck.id, "--next-key-dir", stick)
        until("bob hears of the duck again", lambda: speaks_of(bob, duck.id) == 5)


def a_rotation_that_was_cut_off_is_finished_by_the_next_start():
    with Pond("alice") as pond:
        alice = pond.alice
        key, chain = (os.path.join(alice.state, name) for name in ("node.key", "node.chain"))
        shutil.copy2(key, key + ".old")
        alice.command("rotate")
        alice.stop()
        # As if the power had gone after the chain took its place, and before the key did.
        os.rename(key, key + ".new")
        os.rename(key + ".old", key)
        alice.start()
        alice.says("the rotation that was cut off is finished")
        assert not os.path.exists(key + ".new")
        assert certificates(alice) == 2
        alice.command("rotate")
        assert certificates(alice) == 3

        # As if it had gone before anything counted.
        alice.stop()
        shutil.copy2(key, key + ".new")
        alice.start()
        assert certificates(alice) == 3
        assert os.path.exists(chain)
        alice.command("rotate")
        assert certificates(alice) == 4


def a_chain_says_offline_which_key_spoke_when():
    with Pond("alice") as pond:
        alice = pond.alice
        chain = os.path.join(alice.state, "node.chain")
        born = alice.json("id")["issued_at"]
        verify = ("certificate", "verify", chain)
        first = alice.json(*verify, "--at", born)
        assert first["valid"] and first["identity"] == alice.id and first["sequence"] == 0, first
        alice.command("rotate")
        now = alice.json(*verify)
        assert now["sequence"] == 1 and now["public_key"] != first["public_key"], now
        assert alice.json(*verify, "--at", born, "--key", first["public_key"]) == first
        for flags, why in ((("--key", first["public_key"]), "another key of this chain"),
                           (("--at", born, "--key", now["public_key"]), "another key of this chain"),
                           (("--key", "00" * 32), "does not know this key"),
                           (("--key", "0"), "64 hexadecimal digits"),
                           (("--at", "2020-01-01T00:00:00Z"), "not valid yet")):
            done = alice.command(*verify, *flags, check=False)
            assert done.returncode == 1 and why in done.stderr, (flags, done)
        data = bytearray(open(chain, "rb").read())
        data[-1] ^= 1
        turned = os.path.join(pond.folder, "turned")
        open(turned, "wb").write(data)
        done = alice.command("certificate", "verify", turned, check=False)
        assert done.returncode == 1 and "does not hold" in done.stderr, done


def over_rest_the_node_rotates_what_was_left_to_it():
    with Pond("alice", "bob", extra="webhook_allow = 127.0.0.1/32\n") as pond, Receiver() as receiver:
        duck, friend = pond.alice.hatch("a@example.org", "Duck"), pond.bob.hatch("b@example.org", "Friend")
        duck.post("/beak/webhooks", url=receiver.url("/hook"), events=["key_rotated"])
        stream = Stream(pond.alice, duck.key, query="?events=key_rotated")
        until("bob knows the duck", lambda: speaks_of(pond.bob, duck.id) == 1)
        duck.bond_with(friend, "query")
        for count in (2, 3):
            turned = duck.post("/beak/rotate", what="identity")
            assert turned["duckling_id"] == duck.id and "beak_key" not in turned, turned
            until("bob hears of it", lambda: speaks_of(pond.bob, duck.id) == count)
            said = {"what": "identity", "duckling_id": duck.id, "certificate_id": turned["certificate_id"]}
            assert stream.event()[2]["data"] == said
            until("the webhook", lambda: said in [came[3]["data"] for came in receiver.came])
        stream.close()
        sent = duck.post("/beak/peck", target=friend.id, action="query", payload={})["peck_id"]
        duck.becomes(sent, "taken")
        pond.alice.command("rotate", duck.id)  # the command goes on from there
        until("bob hears of it", lambda: speaks_of(pond.bob, duck.id) == 4)


run(over_rest_the_node_rotates_what_was_left_to_it,
    a_duckling_and_its_node_go_on_under_new_keys,
    a_rotation_that_was_cut_off_is_finished_by_the_next_start,
    a_chain_says_offline_which_key_spoke_when)
