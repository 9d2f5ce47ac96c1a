"""Two production ducklings are bound: their operators compare a string, both are T3 while it is live, it opens by
itself, and a kill at any step leaves both ends of one mind."""

from pond import Pond, run, until
from production import becomes, production, tier


def held(duck, other):
    found = duck.node.json("lobster", "list", duck.id, other.id)["lobsters"]
    return found[0] if found else {"state": "none"}


def states(one, other):
    return held(one, other)["state"], held(other, one)["state"]


def are(one, other, *wanted, seconds=20):
    until(f"the ends to be {wanted}", lambda: states(one, other) == wanted, seconds)


def confirm(duck, other, check=True):
    """With what the other operator reads out."""
    return duck.node.command("lobster", "confirm", duck.id, other.id, held(other, duck)["string"],
                             check=check)


def begin(duck, other, lease=900):
    duck.node.command("lobster", "begin", duck.id, other.id, "--lease", str(lease))
    are(duck, other, "shown", "shown")


def bind(duck, other, lease=900):
    begin(duck, other, lease)
    assert held(duck, other)["string"] == held(other, duck)["string"]
    confirm(duck, other)
    confirm(other, duck)
    are(duck, other, "live", "live")


def audit(node, duck):
    entries = node.json("audit", "list", "--duckling", duck.id)
    return [(each["kind"], each.get("detail", "")) for each in reversed(entries)
            if each["kind"].startswith("lobster_")]


def both_are_t3_while_it_is_live_and_either_operator_breaks_it():
    with Pond("alice", "bob", "carol") as pond:
        ducks = production(pond, (pond.alice, pond.bob))
        alice, bob = ducks[pond.alice], ducks[pond.bob]
        begin(alice, bob)
        shown = pond.bob.command("lobster", "list").stdout
        assert held(alice, bob)["string"] in shown and "read this to the other operator" in shown, shown
        confirm(alice, bob)
        are(alice, bob, "confirmed", "shown")
        assert tier(pond.carol, alice) == 2  # one end alone binds nobody
        confirm(bob, alice)
        for duck in (alice, bob):
            becomes(pond.nodes, duck, 3)
        found = pond.carol.json("directory", "--tier", "3")["entries"]
        assert {entry["duckling"] for entry in found} == {alice.id, bob.id}, found
        pond.bob.command("lobster", "break", bob.id, alice.id)
        for duck in (alice, bob):
            becomes(pond.nodes, duck, 2)
        are(alice, bob, "none", "none")
        until("alice's log", lambda: audit(pond.alice, alice) == [
            ("lobster_confirmed", ""), ("lobster_live", ""),
            ("lobster_ended", "broken by the other end")])
        assert audit(pond.bob, bob)[-1] == ("lobster_ended", "broken here")
        refused = pond.carol.command("lobster", "begin", alice.id, bob.id, check=False)
        assert refused.returncode == 1 and "does not live on this node" in refused.stderr, refused


def a_man_in_the_middle_is_shown_another_string():
    with Pond("alice", "mallory", "bob") as pond:
        ducks = production(pond, (pond.alice, pond.mallory), (pond.mallory, pond.bob))
        alice, mallory, bob = (ducks[node] for node in pond.nodes)
        refused = pond.alice.command("lobster", "begin", alice.id, bob.id, check=False)
        assert refused.returncode == 1 and "no bond between the two" in refused.stderr, refused
        # Alice's operator takes mallory's duckling for bob's, and bob's for alice's.
        begin(alice, mallory)
        begin(mallory, bob)
        string = held(bob, mallory)["string"]
        assert held(alice, mallory)["string"] != string
        done = pond.alice.command("lobster", "confirm", alice.id, mallory.id, string, check=False)
        assert done.returncode == 1 and "somebody may stand in between" in done.stderr, done
        are(alice, mallory, "none", "none")
        assert tier(pond.bob, alice) == 2


def a_lease_that_lapses_takes_t3_and_what_it_allowed():
    with Pond("alice", "bob", "carol") as pond:
        ducks = production(pond, (pond.alice, pond.bob))
        alice, bob, gate = (ducks[node] for node in pond.nodes)
        pond.carol.command("profile", gate.id, "--least-tier", "3", "--open-action", "door.open")

        def ask():
            asked = alice.post("/beak/peck", target_duckling_id=gate.id, action="door.open")
            return alice.becomes(asked["peck_id"], "taken", "failed")["status"]

        assert ask() == "failed"
        bind(alice, bob, lease=6)
        becomes([pond.alice, pond.carol], alice, 3)
        assert ask() == "taken"
        for _ in range(2):  # longer than a lease: both renew it
            until("a renewal", lambda before=held(alice, bob)["until_ms"]:
                  held(alice, bob)["until_ms"] > before)
        assert states(alice, bob) == ("live", "live")
        pond.bob.kill()
        becomes([pond.alice, pond.carol], alice, 2)
        assert ask() == "failed"
        until("it to be over", lambda: held(alice, bob)["state"] == "none")
        assert audit(pond.alice, alice)[-1] == ("lobster_ended", "the other end did not renew it")
        pond.bob.start()
        until("bob to see it too", lambda: held(bob, alice)["state"] == "none")


def a_kill_at_any_step_leaves_both_ends_of_one_mind():
    with Pond("alice", "bob") as pond:
        ducks = production(pond, (pond.alice, pond.bob))
        alice, bob = ducks[pond.alice], ducks[pond.bob]

        def die(*nodes):
            for node in nodes:
                node.kill()
            for node in nodes:
                node.start()

        # Offered, and nobody there who could answer; then the one who offered dies as well.
        pond.bob.kill()
        pond.alice.command("lobster", "begin", alice.id, bob.id)
        assert held(alice, bob)["state"] == "offered"
        pond.alice.kill()
        pond.alice.start()
        pond.bob.start()
        are(alice, bob, "shown", "shown", seconds=40)
        string = held(alice, bob)["string"]
        die(pond.alice, pond.bob)
        assert states(alice, bob) == ("shown", "shown")
        assert held(alice, bob)["string"] == held(bob, alice)["string"] == string
        confirm(alice, bob)
        die(pond.alice)
        assert states(alice, bob) == ("confirmed", "shown")
        confirm(bob, alice)
        die(pond.bob)
        are(alice, bob, "live", "live", seconds=40)
        die(pond.bob, pond.alice)
        are(alice, bob, "live", "live")
        becomes(pond.nodes, alice, 3, seconds=40)
        pond.alice.command("lobster", "break", alice.id, bob.id)
        die(pond.alice)
        are(alice, bob, "none", "none", seconds=40)
        becomes(pond.nodes, bob, 2)


run(both_are_t3_while_it_is_live_and_either_operator_breaks_it,
    a_man_in_the_middle_is_shown_another_string,
    a_lease_that_lapses_takes_t3_and_what_it_allowed,
    a_kill_at_any_step_leaves_both_ends_of_one_mind)
