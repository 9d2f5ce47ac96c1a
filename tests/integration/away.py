"""A node that is away: its perches hold what others send, cannot read it, and give it back."""

import base64
import os

from pond import Pond, run, until

MARKER = "a-marker-that-nobody-else-may-read"
THREAD = "a-thread-that-nobody-else-may-know"
ACTION = "an.action.that.nobody.else.may.know"


def held_by(duck, peck_id, count):
    def look():
        peck = duck.peck(peck_id)
        return peck if len(peck.get("held_by", [])) == count else None

    return until(f"{peck_id} to be held by {count}", look)


def bytes_under(folder):
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    yield path, file.read()


def as_kept(identity):
    """The bytes that an id is the text of."""
    text = identity.partition("_")[2].upper()
    return base64.b32decode(text + "=" * (-len(text) % 8))


def tells_nobody(perch, secrets):
    """Who pecked whom, what and in which thread is nowhere on its disk; the directory, which names all ducklings, aside."""
    for path, data in bytes_under(perch.state):
        if os.path.basename(path).startswith("directory.db"):
            continue
        for secret in secrets:
            assert secret not in data, (path, secret)


def who_is_away_gets_what_a_perch_held_though_its_sender_is_gone():
    with Pond("alice", "bob", "carol") as pond:
        alice, bob, carol = pond.nodes
        sender, target = alice.hatch("a@example.org", "Sender"), bob.hatch("b@example.org", "Target")
        until("bob's perches", lambda: len(bob.json("status").get("perches", [])) == 2)
        until("alice knows the target", lambda: alice.http("GET", f"/beak/directory/{target.id}",
                                                           raw=True)[0] == 200)
        sender.bond_with(target, ACTION)
        until("alice knows bob's perches", lambda: bob.json("status")["records"]
              == alice.json("status")["records"])

        bob.stop()
        pecks = [sender.post("/beak/peck", target_duckling_id=target.id, action=ACTION,
                             payload={"text": MARKER, "number": number}, thread=THREAD)["peck_id"]
                 for number in range(5)]
        for peck_id in pecks:  # alice is a perch of bob's, too, but holds them anyway
            held = held_by(sender, peck_id, 1)
            assert held["held_by"] == [carol.id] and held["status"] == "sent", held
        shown = alice.command("pecks", pecks[0]).stdout
        assert f"held by   {carol.id}" in shown, shown
        assert carol.json("status")["perched"] == "5" or carol.json("status")["perched"] == 5
        assert carol.counter("ducknode_perched_pecks") == 5

        # What carol has on its disk, while it runs and when it has stopped, tells nobody.
        secrets = [text.encode() for text in (MARKER, THREAD, ACTION, sender.id, target.id, *pecks)]
        secrets += [as_kept(each) for each in (sender.id, target.id, *pecks)]
        kept = b"".join(data for _, data in bytes_under(alice.state))
        assert all(secret in kept for secret in secrets[:3] + secrets[-7:]), "the search finds nothing"
        tells_nobody(carol, secrets)
        carol.stop()
        tells_nobody(carol, secrets)
        alice.kill()
        carol.start()
        assert carol.counter("ducknode_perched_pecks") == 5

        bob.start()
        until("bob has them", lambda: len(target.get("/beak/pecks", box="in")["pecks"]) == 6)
        until("carol holds nothing", lambda: carol.counter("ducknode_perched_pecks") == 0)
        taken = target.get("/beak/inbox")
        numbers = [peck["payload"]["number"] for peck in taken["pecks"]]
        assert numbers == sorted(numbers) and set(numbers) == set(range(5)), numbers

        # The sender comes back, and hears of it.
        alice.start()
        for peck_id in pecks:
            peck = sender.becomes(peck_id, "taken")
            assert "held_by" not in peck, peck
        assert len(target.get("/beak/pecks", box="in")["pecks"]) == 6
        target.post("/beak/answer", peck_id=pecks[0], result={"heard": True})
        sender.becomes(pecks[0], "answered")


def who_holds_nothing_for_others_says_so():
    with Pond("alice", "bob", extra="[node]\nperch = no\n") as pond:
        alice, bob = pond.nodes
        assert "perches" not in alice.json("status") or alice.json("status")["perches"] == []
        for line, why in (("perches = nod_x", "it is auto, none, or ids of nodes"),
                          ("perches = auto none", "stands alone"),
                          ("perch = maybe", "it is yes or no"),
                          ("perch_mib = 0", "it is 1 to 4096"),
                          ("perch_mib = 4097", "it is 1 to 4096")):
            bob.stop()
            bob.write_config(extra=f"[node]\n{line}\n")
            done = bob.command("run", check=False)
            assert done.returncode != 0 and why in done.stderr, (line, done)
        bob.write_config(extra=f"[node]\nperches = {alice.id}\nperch_mib = 4096\n")
        bob.start()
        assert bob.json("status")["perches"] == [alice.id]


run(who_is_away_gets_what_a_perch_held_though_its_sender_is_gone,
    who_holds_nothing_for_others_says_so)
