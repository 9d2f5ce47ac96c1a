"""What bonds allow, on real nodes: limits over HTTP and from the command line, and two agents that
answer each other for ever."""

import json
import threading
import urllib.parse

from pond import Pond, Refused, run, until


def knows(node, duck):
    until(f"{duck.id} at {node.name}", lambda: node.http(
        "GET", "/beak/directory/" + duck.id, raw=True)[0] == 200)


def bond(asker, owner, **terms):
    asked = asker.post("/beak/peck", target_duckling_id=owner.id, peck_type="query", message="may I?")
    until("the bond request", lambda: [p for p in owner.get(
        "/beak/pecks", state="pending", box="in")["pecks"] if p["peck_id"] == asked["peck_id"]])
    made = owner.post("/beak/approve", peck_id=asked["peck_id"], **terms)
    asker.becomes(asked["peck_id"], "approved")
    return made["bond_id"]


def bond_of(duck, bond_id):
    return next(b for b in duck.get("/beak/bonds")["bonds"] if b["bond_id"] == bond_id)


def patch(duck, bond_id, **body):
    return duck.node.http("PATCH", "/beak/bonds/" + bond_id, body, token=duck.key)


def ask(asker, owner, **members):
    return asker.post("/beak/peck", **{"target": owner.id, "action": "query", "payload": {}, **members})


def refused(question, status, code, field=None):
    try:
        answer = question()
    except Refused as no:
        assert (no.status, no.body["error"]) == (status, code), no
        assert field is None or no.body["field"] == field, no
        return no
    raise AssertionError(f"not refused: {answer}")


class Chatterer(threading.Thread):
    """An agent as they are written: it answers what comes, and says something back."""

    def __init__(self, duck, friend, joins):
        super().__init__(daemon=True)
        self.duck, self.friend, self.joins = duck, friend, joins
        self.heard, self.stopped, self.ends = 0, None, False

    def run(self):
        while not self.ends:
            for peck in self.duck.get("/beak/inbox", wait=1)["pecks"]:
                self.heard += 1
                self.duck.post("/beak/answer", peck_id=peck["peck_id"], result={})
                try:
                    ask(self.duck, self.friend, payload={"n": self.heard}, **self.joins(peck))
                except Refused as no:
                    self.stopped = no


def two_that_answer_each_other_for_ever_stop_at_the_rounds():
    ways = {  # how agents say that a peck belongs to a conversation
        "by thread": (lambda peck: {"thread": peck["thread"]}, {"thread": "chat"}),
        "by reply": (lambda peck: {"reply_to": peck["peck_id"]}, {}),
    }
    with Pond("alice", "bob") as pond:
        for way, (joins, opening) in ways.items():
            one = pond.alice.hatch(f"one-{way[3:]}@example.com", "One")
            other = pond.bob.hatch(f"other-{way[3:]}@example.com", "Other")
            knows(pond.alice, other)
            knows(pond.bob, one)
            there = bond(one, other, limits={"rounds": 10})
            bond(other, one, limits={"rounds": 10})
            chatterers = [Chatterer(one, other, joins), Chatterer(other, one, joins)]
            for chatterer in chatterers:
                chatterer.start()
            ask(one, other, **opening)
            until(f"the end of it, {way}", lambda: any(c.stopped for c in chatterers))
            for chatterer in chatterers:
                chatterer.ends = True
                chatterer.join()
            stopped = next(c.stopped for c in chatterers if c.stopped)
            assert (stopped.status, stopped.body["error"]) == (429, "bond_rounds"), stopped
            # The first of a thread that is named by replies is no reply yet.
            assert sum(c.heard for c in chatterers) == (10 if opening else 11), way
            for node in (pond.alice, pond.bob):
                node.says(rf"{there}: this thread has had all its rounds")
            # Another conversation goes on.
            assert ask(one, other, thread="another")["peck_id"]


def rounds_are_counted_on_after_a_crash():
    with Pond("alice", "bob") as pond:
        one = pond.alice.hatch("one@example.com", "One")
        other = pond.bob.hatch("other@example.com", "Other")
        knows(pond.alice, other)
        bond(one, other, limits={"rounds": 3, "per_day": 50, "budget": 50})
        for _ in range(2):
            one.becomes(ask(one, other, thread="chat")["peck_id"], "taken")
        for node in (pond.alice, pond.bob):
            node.kill()
            node.start()
        pond.all_linked()
        made = other.get("/beak/bonds")["bonds"][0]
        assert made["health"] == {"state": "active", "used_today": 2, "spent": 2}, made
        one.becomes(ask(one, other, thread="chat")["peck_id"], "taken")
        refused(lambda: ask(one, other, thread="chat"), 429, "bond_rounds", "thread")


def limits_are_set_with_the_approval_and_changed_later():
    with Pond("alice", "bob") as pond:
        one = pond.alice.hatch("one@example.com", "One")
        other = pond.bob.hatch("other@example.com", "Other")
        knows(pond.alice, other)
        made = bond(one, other, not_after="2999-01-01T00:00:00.000Z", limits={
            "per_minute": 2, "per_day": 100, "budget": 20, "stop_words": ["password"]})
        limits = {"per_minute": 2, "per_day": 100, "budget": 20, "rounds": 64,
                  "stop_words": ["password"]}
        for duck in (one, other):  # both know them
            seen = bond_of(duck, made)
            assert seen["limits"] == limits and seen["health"]["state"] == "active", seen
            assert seen["not_after"].startswith("2999"), seen

        one.becomes(ask(one, other)["peck_id"], "taken")
        no = one.becomes(ask(one, other, payload={"say": "my PASSWORD"})["peck_id"], "failed")
        assert no["error"] == "bond_stop_word" and "retry_after" not in no, no
        no = one.becomes(ask(one, other)["peck_id"], "failed")
        assert no["error"] == "bond_rate" and 1 <= no["retry_after"] <= 30, no
        assert "try again in" in no["problem"], no

        work = other.get("/beak/inbox", wait=5)["pecks"]
        other.post("/beak/answer", peck_id=work[0]["peck_id"], result={}, charge=19)
        assert one.becomes(work[0]["peck_id"], "answered")["charged"] == 19
        assert bond_of(other, made)["health"] == {
            "state": "budget_spent", "used_today": 1, "spent": 20}, bond_of(other, made)
        assert bond_of(one, made)["health"]["state"] == "active"  # it is not told
        patch(other, made, limits={"per_minute": 0})
        no = one.becomes(ask(one, other)["peck_id"], "failed")
        assert no["error"] == "bond_budget", no

        changed = patch(other, made, limits={"budget": 0, "stop_words": []}, muted=True)
        assert changed["health"]["state"] == "muted", changed
        assert changed["limits"] == {"per_day": 100, "rounds": 64}, changed
        no = one.becomes(ask(one, other)["peck_id"], "failed")
        assert no["error"] == "bond_muted" and no["retry_after"] > 1000, no
        until("the new terms at the other end",
              lambda: bond_of(one, made)["health"]["state"] == "muted")
        patch(other, made, muted=False, scopes=["query", "data.*"])
        one.becomes(ask(one, other, action="data.read")["peck_id"], "taken")

        refused(lambda: patch(one, made, muted=True), 403, "not_allowed")
        refused(lambda: patch(other, made), 422, "missing_member")
        refused(lambda: patch(other, made, limits={"per_hour": 1}), 422, "unknown_member", "limits")
        refused(lambda: patch(other, made, limits={"rounds": -1}), 422, "bad_member", "limits")
        refused(lambda: patch(other, made, limits={"rounds": 1000001}), 422, "bad_member", "limits")
        refused(lambda: patch(other, made, limits={"stop_words": ["x"] * 9}), 422, "bad_member")
        refused(lambda: patch(other, made, limits=[]), 422, "bad_member", "limits")
        refused(lambda: patch(other, made, muted=False, muted_until="2999-01-01T00:00:00Z"), 422,
                "bad_member", "muted_until")
        refused(lambda: patch(other, made, not_after="1999-01-01T00:00:00Z"), 400, "malformed",
                "not_after")
        refused(lambda: patch(other, "bnd_" + "a" * 32, muted=True), 404, "not_found")
        stranger = pond.bob.hatch("stranger@example.com", "Stranger")
        refused(lambda: patch(stranger, made, muted=True), 404, "not_found")
        token = pond.bob.http("POST", "/beak/auth", {
            "email": "other@example.com", "password": "a long enough password"})["token"]
        assert pond.bob.http("PATCH", "/beak/bonds/" + made, {"limits": {"per_day": 7}},
                             token=token)["limits"]["per_day"] == 7


def the_command_line_sets_shows_and_mutes():
    with Pond("alice", "bob", extra="enabled = yes\n") as pond:
        one = pond.alice.json("hatch", "One")["duckling_id"]
        other = pond.bob.json("hatch", "Other")["duckling_id"]
        until("the other at alice", lambda: pond.alice.json("directory", other)["entries"])
        asked = pond.alice.json("peck", other, "--bond", "query", "--from", one, "--wait", "0")["peck_id"]
        until("the request", lambda: pond.bob.json("inbox", other)["pecks"])
        pond.bob.command("approve", asked, "--rate", "60", "--daily", "5", "--budget", "9",
                         "--rounds", "2", "--cool-down", "3600", "--stop-word", "secret",
                         "--until", "2999-01-01T00:00:00Z")
        made = pond.bob.json("bonds")["bonds"][0]
        assert made["terms"] == {"per_minute": 60, "per_day": 5, "budget": 9, "rounds": 2,
                                 "cool_down_ms": 3600000, "muted_until_ms": 0,
                                 "stop_words": ["secret"]}, made
        text = pond.bob.command("bonds").stdout
        for line in ("rate       60 a minute", "daily      0 of 5 used today",
                     "budget     0 of 9 units spent", "rounds     2 in a thread",
                     "cool-down  3600 s after them", "stop word  secret"):
            assert line in text, text

        def peck(*flags, check=True):
            return pond.alice.command("peck", other, "{}", "--from", one, "--wait", "0", *flags,
                                      check=check)

        until("the bond at alice", lambda: pond.alice.json("bonds")["bonds"])
        for _ in range(2):
            peck("--thread", "chat")
        no = peck("--thread", "chat", check=False)
        assert no.returncode == 1 and "rests" in no.stderr, no.stderr
        until("two used", lambda: "2 of 5 used today" in pond.bob.command("bonds").stdout)

        bond_id = made["bond_id"]
        muted = pond.bob.json("bond", "mute", bond_id, "--until", "+3600")
        assert muted["health"] == "muted", muted
        failed = pond.alice.json("peck", other, "{}", "--from", one, "--wait", "10")
        assert failed["refusal"] == "bond_muted", failed
        assert 3590000 < failed["retry_after_ms"] <= 3600000, failed
        again = pond.alice.json("pecks", failed["peck_id"])  # the store knows it, too
        assert again["refusal"] == "bond_muted" and again["problem"] == failed["problem"], again
        assert pond.bob.json("bond", "unmute", bond_id)["health"] == "active"
        changed = pond.bob.json("bond", "set", bond_id, "--rounds", "0", "--no-stop-words")
        assert changed["terms"]["rounds"] == 0 and changed["terms"]["stop_words"] == [], changed
        assert changed["terms"]["per_day"] == 5, changed
        until("more rounds at alice", lambda: pond.alice.json("bonds")["bonds"][0]["terms"]["rounds"] == 0)
        peck("--thread", "chat")

        assert pond.bob.command("bond", "set", bond_id, check=False).returncode == 2
        assert pond.bob.command("bond", "break", bond_id, check=False).returncode == 2
        no = pond.alice.command("bond", "mute", bond_id, check=False)
        assert no.returncode == 1 and "approved" in no.stderr, no.stderr
        for flags in (("--rate", "60001"), ("--until", "tomorrow"), ("--budget", "x"),
                      ("--stop-word", "")):
            assert pond.bob.command("bond", "set", bond_id, *flags, check=False).returncode != 0, flags


run(two_that_answer_each_other_for_ever_stop_at_the_rounds, rounds_are_counted_on_after_a_crash,
    limits_are_set_with_the_approval_and_changed_later, the_command_line_sets_shows_and_mutes)
