"""A duckling is revoked on its node: others take nothing of it any more, whoever has its key, and what it
signed before stays provable, offline too."""

import json
import os
import shutil
import time

from pond import Pond, run, until


def is_revoked(node, identity):
    shown = node.command("certificate", "show", identity, "--json", check=False)
    return shown.returncode == 0 and bool(json.loads(shown.stdout).get("revoked_at"))


def moment(seconds=0.0):
    at = time.time() + seconds
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at % 1 * 1000):03d}Z"


def a_revoked_duckling_ends_everywhere_and_what_it_said_before_stays_provable():
    with Pond("alice", "bob", "carol") as pond:
        alice, bob, carol = pond.alice, pond.bob, pond.carol
        duck = alice.hatch("a@example.org", "Duck")
        friend = bob.hatch("b@example.org", "Friend")
        duck.bond_with(friend, "query")
        friend.knows(duck)
        sent = duck.post("/beak/peck", target=friend.id, action="query", payload={})["peck_id"]
        duck.becomes(sent, "taken")
        before = moment()
        until("time goes on", lambda: moment() > before)

        # Not by accident, not for others, and with a reason that is text.
        assert alice.command("revoke", duck.id, check=False).returncode == 2
        refused = bob.command("revoke", duck.id, "--for-good", check=False)
        assert refused.returncode == 1 and "does not live on this node" in refused.stderr, refused
        refused = alice.command("revoke", duck.id, "--for-good", "--reason", "x" * 257, check=False)
        assert refused.returncode == 1 and "256" in refused.stderr, refused
        assert not is_revoked(alice, duck.id)

        assert alice.json("revoke", duck.id, "--for-good", "--reason", "its key was stolen") == {
            "identity": duck.id, "revoked": True}
        alice.command("revoke", duck.id, "--for-good")  # again: nothing more
        for node in (alice, bob, carol):
            until(f"{node.name} knows", lambda: is_revoked(node, duck.id))

        # Nothing of it is open or found any more, at either end.
        until("the peck ended", lambda: bob.json("pecks", "--box", "in")["pecks"][0]["state"] == "failed")
        assert bob.json("bonds").get("bonds", []) == [], bob.json("bonds")
        assert all(found["duckling"] != duck.id
                   for found in carol.json("directory").get("entries", []))
        refused = alice.command("peck", friend.id, "--from", duck.id, check=False)
        assert refused.returncode == 1 and "revoked" in refused.stderr, refused
        refused = bob.command("peck", duck.id, "--from", friend.id, check=False)
        assert refused.returncode == 1 and "revoked" in refused.stderr, refused
        [entry] = [entry for entry in alice.json("audit", "list")
                   if entry["kind"] == "revoked"]
        assert entry["subject"] == duck.id and entry["detail"] == "its key was stolen", entry

        # A restart changes nothing; nor does a power cut's end of the process.
        for node in (alice, bob):
            node.kill()
            node.start()
            assert is_revoked(node, duck.id)
        refused = alice.command("peck", friend.id, "--from", duck.id, check=False)
        assert refused.returncode == 1 and "revoked" in refused.stderr, refused

        # Nor does the loss of the directory, though nobody is there from whom it could be fetched.
        bob.stop()
        carol.stop()
        alice.kill()
        for name in os.listdir(alice.state):
            if name.startswith("directory.db"):
                os.unlink(os.path.join(alice.state, name))
        alice.start()
        assert is_revoked(alice, duck.id)
        refused = alice.command("peck", friend.id, "--from", duck.id, check=False)
        assert refused.returncode == 1 and "revoked" in refused.stderr, refused
        carol.start()

        # Offline, by somebody else, from a file: valid until then.
        path = os.path.join(pond.folder, "duck.json")
        with open(path, "w") as file:
            json.dump(carol.json("certificate", "show", duck.id), file)
        alone = carol.command("certificate", "verify", path, check=False)
        assert alone.returncode == 1 and "revoked since" in alone.stderr, alone
        assert "its key was stolen" in alone.stderr, alone
        assert "valid" in carol.command("certificate", "verify", path, "--at", before).stdout
        # One that was tampered with proves nothing, also not that it is valid.
        shown = json.load(open(path))
        shown["revocation"] = shown["revocation"][:-8] + "AAAAAAAA"
        json.dump(shown, open(path, "w"))
        broken = carol.command("certificate", "verify", path, "--at", before, check=False)
        assert broken.returncode == 1 and "does not hold" in broken.stderr, broken


def put_away(node):
    """The next keys go where the node does not look."""
    stick = node.state + ".stick"
    os.mkdir(stick, 0o700)
    for name in ("node.next.key", "ducklings.next.key"):
        shutil.move(os.path.join(node.state, name), stick)
    return stick


def the_next_key_revokes_where_the_live_one_was_stolen():
    with Pond("alice", "bob") as pond:
        duck = pond.alice.hatch("a@example.org", "Duck")
        stick = put_away(pond.alice)
        wish = ("revoke", "duckling", duck.id, "--for-good", "--by-next-key")
        done = pond.alice.command(*wish, check=False)
        assert done.returncode == 1 and "ducklings.next.key" in done.stderr, done
        assert not is_revoked(pond.alice, duck.id)
        pond.alice.command(*wish, "--next-key-dir", stick)
        until("bob knows", lambda: is_revoked(pond.bob, duck.id))
        assert len(pond.bob.http("GET", "/beak/certificate/" + duck.id)["certificates"]) == 2
        over = pond.alice.command("rotate", duck.id, "--next-key-dir", stick, check=False)
        assert over.returncode == 1, over
        pond.alice.kill()
        pond.alice.start()
        assert is_revoked(pond.alice, duck.id)


def a_bond_and_a_certificate_are_revoked_by_their_ids():
    with Pond("alice", "bob") as pond:
        alice, bob = pond.alice, pond.bob
        duck, friend = alice.hatch("a@example.org", "Duck"), bob.hatch("b@example.org", "Friend")
        duck.bond_with(friend, "query")
        [bond] = [view["bond_id"] for view in bob.json("bonds")["bonds"]]
        bob.command("revoke", "bond", bond, "--reason", "no more", "--for-good")
        until("alice hears", lambda: alice.json("bonds").get("bonds", []) == [])
        [entry] = [entry for entry in bob.json("audit", "list") if entry["kind"] == "bond_ended"]
        assert entry["detail"] == "no more", entry
        for words, status, why in ((("bond", duck.id), 2, "is no bond"), (("egg", duck.id), 2, "is no egg"),
                                   ((bond,), 1, "nobody who lives here"),
                                   ((duck.id, "--by-next-key"), 1, "does not live on this node"),
                                   (("crt_" + duck.id[4:],), 1, "nobody who lives here")):
            done = bob.command("revoke", *words, "--for-good", check=False)
            assert done.returncode == status and why in done.stderr, (words, done)
        alice.command("revoke", "certificate", "crt_" + duck.id[4:], "--for-good")
        until("bob knows", lambda: is_revoked(bob, duck.id))


if __name__ == "__main__":
    run(the_next_key_revokes_where_the_live_one_was_stolen,
        a_bond_and_a_certificate_are_revoked_by_their_ids,
        a_revoked_duckling_ends_everywhere_and_what_it_said_before_stays_provable)
