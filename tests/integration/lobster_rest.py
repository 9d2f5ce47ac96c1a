"""Two operators bind their ducklings over HTTP alone, each at the gateway of its own node."""

from pond import Pond, Refused, run, until
from production import production
from receiver import Receiver
from stream import Stream

PASSWORD = "a long enough password"  # Node.hatch's


class Operator:
    """With a session at its own gateway, for its one duckling."""

    def __init__(self, duck):
        self.duck, self.node = duck, duck.node
        self.token = self.node.http("POST", "/beak/auth", {
            "email": f"{self.node.name}@example.org", "password": PASSWORD})["token"]

    def get(self, path):
        return self.node.http("GET", path, token=self.token)

    def post(self, path, **body):
        return self.node.http("POST", path, body, token=self.token)

    def bind(self, other):
        """How it stands; None: there is none."""
        try:
            return self.get("/beak/lobster/" + other.duck.id)
        except Refused as refused:
            assert refused.status == 404 and refused.body["error"] == "not_found", refused.body
            return None

    def becomes(self, other, status, seconds=20):
        def look():
            bind = self.bind(other)
            return bind if (bind or {"status": None})["status"] == status else None

        return until(f"{self.node.name}'s end to be {status}", look, seconds)

    def is_over(self, other, seconds=20):
        until(f"{self.node.name}'s end to be over", lambda: self.bind(other) is None, seconds)

    def confirms(self, other):
        """What the other one reads out."""
        return self.post("/beak/lobster/confirm", **{"with": other.duck.id},
                         string=other.bind(self)["string"])


def tier_over_http(node, duck, wanted, seconds=20):
    until(f"{duck.id} to be {wanted} at {node.name}", lambda: node.http(
        "GET", "/beak/directory/" + duck.id)["tier"] == wanted, seconds)


def binds(one, other, lease):
    begun = one.post("/beak/lobster/begin", **{"with": other.duck.id}, lease=lease)
    assert begun["began_here"] and begun["lease"] == lease, begun
    for here, there in ((one, other), (other, one)):
        here.becomes(there, "shown")
    assert one.bind(other)["string"] == other.bind(one)["string"]
    assert one.confirms(other)["status"] == "confirmed"
    other.confirms(one)
    for here, there in ((one, other), (other, one)):
        assert here.becomes(there, "live")["missing"] == []


def asks(duck, gate, wanted):
    asked = duck.post("/beak/peck", target_duckling_id=gate.id, action="door.open")
    assert duck.becomes(asked["peck_id"], "taken", "failed")["status"] == wanted


def hears(stream, *wanted):
    """All of them, in whatever order."""
    missing = set(wanted)
    while missing:
        _, kind, event = stream.event()
        missing.discard((kind, event["data"].get("step") or event["data"]["tier"]))


def two_operators_bind_over_http_and_one_breaks_it():
    with Pond("alice", "bob", "carol", extra="webhook_allow = 127.0.0.1/32\n") as pond, \
            Receiver() as receiver:
        ducks = production(pond, (pond.alice, pond.bob))
        alice, bob = Operator(ducks[pond.alice]), Operator(ducks[pond.bob])
        gate = ducks[pond.carol]
        pond.carol.command("profile", gate.id, "--least-tier", "3", "--open-action", "door.open")
        alice.post("/beak/webhooks", url=receiver.url("/hook"), events=["lobster"])
        stream = Stream(pond.bob, bob.token, query="?events=lobster,tier_change")
        asks(alice.duck, gate, "failed")
        binds(alice, bob, 900)
        for duck in (alice.duck, bob.duck):
            for node in pond.nodes:
                tier_over_http(node, duck, "T3")
        asks(alice.duck, gate, "taken")
        hears(stream, ("lobster", "confirmed"), ("lobster", "live"), ("tier_change", "T3"))
        bob.post("/beak/lobster/break", **{"with": alice.duck.id})
        for duck in (alice.duck, bob.duck):
            tier_over_http(pond.carol, duck, "T2")
        alice.is_over(bob)
        asks(alice.duck, gate, "failed")

        def of_hook():
            return [came[3]["data"] for came in receiver.came if came[3]["type"] == "lobster"]

        until("what the webhook is told", lambda: len(of_hook()) == 3)
        told = sorted((data["step"], data.get("reason", "")) for data in of_hook())
        assert told == [("confirmed", ""), ("ended", "broken by the other end"), ("live", "")], told
        assert {(data["duckling_id"], data["with"]) for data in of_hook()} == {
            (alice.duck.id, bob.duck.id)}
        hears(stream, ("lobster", "ended"), ("tier_change", "T2"))
        stream.close()


def a_lease_that_lapses_is_told_over_http():
    with Pond("alice", "bob") as pond:
        ducks = production(pond, (pond.alice, pond.bob))
        alice, bob = Operator(ducks[pond.alice]), Operator(ducks[pond.bob])
        binds(alice, bob, 6)
        tier_over_http(pond.alice, alice.duck, "T3")
        stream = Stream(pond.alice, alice.token, query="?events=lobster")
        pond.bob.kill()
        tier_over_http(pond.alice, alice.duck, "T2", seconds=30)
        alice.is_over(bob)
        event = None
        while event is None or event["data"]["step"] != "ended":
            _, _, event = stream.event()
        stream.close()
        assert event["data"]["reason"] == "the other end did not renew it", event
        pond.bob.start()
        bob.is_over(alice)


def another_string_ends_it_at_both_ends():
    with Pond("alice", "bob") as pond:
        ducks = production(pond, (pond.alice, pond.bob))
        alice, bob = Operator(ducks[pond.alice]), Operator(ducks[pond.bob])
        alice.post("/beak/lobster/begin", **{"with": bob.duck.id})
        string = bob.becomes(alice, "shown")["string"]
        wrong = string[:-1] + str((int(string[-1]) + 1) % 10)
        try:
            bob.post("/beak/lobster/confirm", **{"with": alice.duck.id}, string=wrong)
            raise AssertionError("another string was taken")
        except Refused as refused:
            assert (refused.status, refused.body["error"]) == (409, "string_differs"), refused.body
        bob.is_over(alice)
        alice.is_over(bob)


run(two_operators_bind_over_http_and_one_breaks_it,
    a_lease_that_lapses_is_told_over_http,
    another_string_ends_it_at_both_ends)
