"""Contexts on two real nodes: a duckling's further keys, for less than it may do. What goes beyond one is refused at
once; they outlive restarts and rotations, end when they are revoked, and the keys are nowhere in clear."""

import json
import os
import sqlite3

from pond import Pond, run, until
from stream import Stream


def hatch(node, name):
    return node.json("hatch", name)["duckling_id"]


class Two:
    def __init__(self, pond):
        self.pond, self.a, self.b = pond, pond.alice, pond.bob
        self.ann, self.bea = hatch(self.a, "Ann"), hatch(self.b, "Bea")
        for node, other in ((self.a, self.bea), (self.b, self.ann)):
            until("the directory knows them", lambda: any(
                entry["duckling"] == other for entry in node.json("directory").get("entries", [])))
        asked = self.a.json("peck", self.bea, "--from", self.ann, "--bond", "*", "--wait", "0")["peck_id"]
        until("the bond request", lambda: self.look(self.b, asked))
        self.b.command("approve", asked)
        until("the bond", lambda: self.look(self.a, asked)["state"] == "approved")

    def look(self, node, peck):
        done = node.command("pecks", peck, "--json", check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def issue(self, name, scope="data.*", *flags):
        return self.a.json("certificate", "issue", self.ann, "--context", name, "--scope", scope, *flags)

    def contexts(self):
        return {each["certificate_id"]: each
                for each in self.a.json("certificate", "show", self.ann).get("contexts", [])}

    def peck(self, action, context=None):
        """Its state once the target's node has said something; or why it was not even sent."""
        sent = self.a.command("peck", self.bea, "{}", "--from", self.ann, "--action", action, "--wait", "0", "--json",
                              *(("--context", context) if context else ()), check=False)
        if sent.returncode:
            return "refused", sent.stderr
        peck = json.loads(sent.stdout)["peck_id"]

        def said():
            found = self.look(self.a, peck)
            return found if found["state"] not in ("queued", "sent") else None
        found = until("the target's node has said something", said)
        return found["state"], peck


def within_a_context_pecks_go_through_and_both_ends_see_it():
    with Pond("alice", "bob") as pond:
        two = Two(pond)
        issued = two.issue("deploys")
        crt = issued["certificate_id"]
        assert crt.startswith("crt_") and issued["scopes"] == ["data.*"] and issued["state"] == "valid", issued
        for name in ("deploys", crt):
            state, peck = two.peck("data.read", name)
            assert state == "taken", (state, peck)
            for node in (two.a, two.b):
                seen = two.look(node, peck)
                assert (seen["context"], seen["context_id"]) == ("deploys", crt), seen
        state, peck = two.peck("data.read")
        assert state == "taken" and not two.look(two.b, peck).get("context"), peck

        state, why = two.peck("logs.read", "deploys")
        assert state == "refused" and "context deploys" in why and "logs.read" in why, why
        state, why = two.peck("data.read", "backups")
        assert state == "refused" and "no context of this name" in why, why
        assert two.peck("logs.read")[0] == "taken"  # the duckling itself may

        kinds = [(entry["kind"], entry.get("detail", "")) for entry in two.a.json("audit", "list")]
        assert ("context_issued", "deploys\ndata.*") in kinds, kinds
        assert kinds.count(("context_shown", crt)) == 2, kinds
        kinds = [(entry["kind"], entry.get("detail", "")) for entry in two.b.json("audit", "list")]
        assert kinds.count(("context_shown", crt)) == 2, kinds
        for node in (two.a, two.b):
            node.command("audit", "verify")


def an_idempotency_key_is_of_one_context():
    with Pond("alice", "bob") as pond:
        two = Two(pond)
        crt = two.issue("deploys")["certificate_id"]
        two.issue("backups")

        def send(*under):
            done = two.a.command("peck", two.bea, "{}", "--from", two.ann, "--action", "data.read", "--wait", "0", "--json",
                                 "--key", "once", *under, check=False)
            return json.loads(done.stdout)["peck_id"] if done.returncode == 0 else done.stderr
        sent = send("--context", "deploys")
        assert sent.startswith("pck_"), sent
        for _ in range(2):
            assert send("--context", "deploys") == send("--context", crt) == sent
            for under in ((), ("--context", "backups")):
                assert "named another peck" in send(*under), under
            two.a.stop()
            two.a.start()


def what_is_no_context_is_refused():
    with Pond("alice") as pond:
        ann = hatch(pond.alice, "Ann")

        def refused(*words):
            done = pond.alice.command("certificate", "issue", ann, *words, check=False)
            assert done.returncode, done
            return done.stderr
        assert "--context" in refused("--scope", "a")
        assert "--scope" in refused("--context", "a")
        assert "named by 1 to 64" in refused("--context", "No Name", "--scope", "a")
        assert "data.*" in refused("--context", "a", "--scope", "a*")
        assert "364 days" in refused("--context", "a", "--scope", "a", "--until", "+40000000")
        assert "364 days" in refused("--context", "a", "--scope", "a", "--until", "2020-01-01T00:00:00Z")
        pond.alice.command("certificate", "issue", ann, "--context", "a", "--scope", "a", "--until", "+60")
        assert "of this name" in refused("--context", "a", "--scope", "a")
        shown = pond.alice.command("certificate", "show", ann).stdout
        assert "context a" in shown and "valid: a" in shown, shown


def a_revoked_context_ends_everywhere_and_nothing_else_does():
    with Pond("alice", "bob") as pond:
        two = Two(pond)
        crt = two.issue("deploys")["certificate_id"]
        other = two.issue("backups", "*")["certificate_id"]
        assert two.peck("data.read", "deploys")[0] == "taken"
        two.a.command("revoke", "certificate", crt, "--reason", "lost the laptop", "--for-good")
        state, why = two.peck("data.read", "deploys")
        assert state == "refused" and "revoked" in why, why
        assert two.contexts()[crt]["state"] == "revoked" and two.contexts()[other]["state"] == "valid"
        assert two.peck("data.read", "backups")[0] == "taken"
        assert two.peck("data.read")[0] == "taken"
        until("what it had open there has ended", lambda: not [
            peck for peck in two.b.json("pecks", "--box", "in", "--state", "taken").get("pecks", [])
            if peck.get("context") == "deploys"])
        ended = [entry for entry in two.a.json("audit", "list") if entry["kind"] == "context_revoked"]
        assert len(ended) == 1 and ended[0]["subject"] == crt, ended
        assert not [entry for entry in two.a.json("audit", "list") if entry["kind"] == "revoked"]
        for node in (two.a, two.b):  # neither end forgets
            node.stop()
            node.start()
        pond.all_linked()
        assert two.contexts()[crt]["state"] == "revoked"
        assert "revoked" in two.peck("data.read", "deploys")[1]
        two.issue("deploys", "data.read")  # the name is free again
        assert two.peck("data.read", "deploys")[0] == "taken"


def a_rotation_issues_it_anew_and_a_restart_keeps_it():
    with Pond("alice", "bob") as pond:
        two = Two(pond)
        before = two.issue("deploys")
        assert two.peck("data.read", "deploys")[0] == "taken"
        two.a.command("rotate", two.ann)
        after = list(two.contexts().values())
        assert len(after) == 1 and after[0]["certificate_id"] != before["certificate_id"], after
        assert after[0]["not_after"] == before["not_after"] and after[0]["scopes"] == before["scopes"], after
        assert two.peck("data.read", "deploys")[0] == "taken"
        assert two.peck("data.read", before["certificate_id"])[0] == "refused"
        two.a.kill()
        two.a.start()
        pond.all_linked()
        assert list(two.contexts()) == [after[0]["certificate_id"]]
        assert two.peck("data.read", "deploys")[0] == "taken"
        assert "context deploys" in two.peck("logs.read", "deploys")[1]


def what_was_pecked_while_the_other_node_was_away_arrives_under_its_context():
    with Pond("alice", "bob") as pond:
        two = Two(pond)
        crt = two.issue("deploys")["certificate_id"]
        two.b.stop()
        sent = two.a.json("peck", two.bea, "{}", "--from", two.ann, "--action", "data.read", "--wait", "0",
                          "--context", "deploys")["peck_id"]
        two.a.stop()
        two.a.start()
        two.b.start()
        until("it is taken", lambda: two.look(two.a, sent)["state"] == "taken")
        assert two.look(two.b, sent)["context_id"] == crt


def a_backup_carries_it_and_the_database_shows_no_key():
    with Pond("alice", "bob") as pond:
        two = Two(pond)
        crt = two.issue("deploys")["certificate_id"]
        file = os.path.join(pond.folder, "backup")
        secret = os.path.join(pond.folder, "secret")
        with open(secret, "w") as words:
            words.write("some words that nobody guesses\n")
        os.chmod(secret, 0o600)
        two.a.command("backup", file, "--passphrase-file", secret)
        two.a.stop()
        os.rename(two.a.state, two.a.state + ".lost")
        two.a.command("restore", file, "--passphrase-file", secret)
        two.a.start()
        pond.all_linked()
        assert list(two.contexts()) == [crt]
        until("the restored node speaks", lambda: two.peck("data.read", "deploys")[0] == "taken")
        two.a.command("revoke", crt, "--for-good", "--reason", "over")
        two.a.stop()
        rows = sqlite3.connect(os.path.join(two.a.state, "node.db")).execute(
            "SELECT seed, revoked_ms > 0 FROM context").fetchall()
        assert rows == [(None, 1)], rows
        two.a.start()


def over_http_its_owner_hears_of_it():
    with Pond("alice") as pond:
        duck = pond.alice.hatch("a@example.org", "Duck")
        stream = Stream(pond.alice, duck.key, query="?events=cert_issued")
        issued = duck.post("/beak/certificate", context="deploys", scopes=["deploy.*", "data.read"])
        assert stream.event()[2]["data"] == {"duckling_id": duck.id, "context": "deploys",
                                             "certificate_id": issued["certificate_id"]}
        duck.post("/beak/rotate", what="identity")
        anew = stream.event()[2]["data"]
        assert anew["context"] == "deploys" and anew["certificate_id"] != issued["certificate_id"], anew
        stream.close()
        own = duck.get("/beak/certificate")["contexts"]
        assert [each["certificate_id"] for each in own] == [anew["certificate_id"]], own
        entries = duck.get("/beak/audit", subject=anew["certificate_id"])["entries"]
        assert [entry["kind"] for entry in entries] == ["context_issued"], entries


run(within_a_context_pecks_go_through_and_both_ends_see_it, an_idempotency_key_is_of_one_context, what_is_no_context_is_refused,
    a_revoked_context_ends_everywhere_and_nothing_else_does,
    a_rotation_issues_it_anew_and_a_restart_keeps_it,
    what_was_pecked_while_the_other_node_was_away_arrives_under_its_context,
    a_backup_carries_it_and_the_database_shows_no_key, over_http_its_owner_hears_of_it)
