"""Leave to peck on three nodes: Ann grants Bea, Bea narrows it for Cid while her node does not run, Cid
pecks. What goes beyond it is refused with the reason; uses are counted and outlive restarts; who signed a
block takes it back."""

import json
import os

from pond import Pond, Refused, run, until


def hatch(node, name):
    return node.json("hatch", name)["duckling_id"]


class Three:
    def __init__(self, pond):
        self.pond, self.a, self.b, self.c = pond, pond.alice, pond.bob, pond.carol
        self.ann, self.bea = hatch(self.a, "Ann"), hatch(self.b, "Bea")
        self.cid = hatch(self.c, "Cid")
        for node, other in ((self.b, self.ann), (self.c, self.ann), (self.c, self.bea),
                            (self.a, self.cid)):
            until("the directory knows them", lambda: any(
                entry["duckling"] == other for entry in node.json("directory").get("entries", [])))
        self.first, self.second = self.file("first"), self.file("second")

    def file(self, name):
        return os.path.join(self.pond.folder, name)

    def grant(self, *flags):
        self.a.command("grant", "make", "--from", self.ann, "--to", self.bea, "--out", self.first,
                       "--scope", "data.*", "--further", "1", *flags)

    def narrow(self, *flags):
        self.b.command("grant", "narrow", self.first, "--to", self.cid, "--out", self.second, *flags)

    def peck(self, node, sender, action, grant):
        """Its state in the end, as far as nobody answers."""
        sent = node.command("peck", self.ann, "{}", "--from", sender, "--action", action, "--wait",
                            "0", "--grant", grant, "--json", check=False)
        if sent.returncode:
            return "refused", sent.stderr
        peck = json.loads(sent.stdout)["peck_id"]

        def look():
            found = node.json("pecks", peck)
            return found if found["state"] not in ("queued", "sent") else None
        found = until("the target's node has said something", look)
        return found["state"], found.get("problem", "")

    def blocks(self):
        return {block["holder"]: block for block in self.a.json("grant", "list").get("blocks", [])}


def what_is_granted_is_done_and_nothing_more():
    with Pond("alice", "bob", "carol") as pond:
        three = Three(pond)
        three.grant("--uses", "5")
        three.b.stop()
        three.narrow("--scope", "data.read", "--uses", "2")  # no node of hers runs
        assert three.peck(three.c, three.cid, "data.read", three.second)[0] == "taken"
        blocks = three.blocks()
        assert blocks[three.bea]["used"] == blocks[three.cid]["used"] == 1, blocks
        audit = three.a.json("audit", "list")
        used = [entry for entry in audit if entry["kind"] == "grant_used"]
        assert len(used) == 1 and used[0]["with"] == three.cid, audit
        assert used[0]["detail"] == blocks[three.cid]["block_id"], (used, blocks)

        state, why = three.peck(three.c, three.cid, "data.write", three.second)
        assert state == "refused" and "does not cover" in why, (state, why)
        state, why = three.peck(three.c, three.cid, "data.read", three.first)
        assert state == "refused" and "last holder is another" in why, (state, why)

        three.a.kill()  # what was used is on the disk
        three.a.start()
        assert three.peck(three.c, three.cid, "data.read", three.second)[0] == "taken"
        state, why = three.peck(three.c, three.cid, "data.read", three.second)
        assert state == "failed" and "no uses left" in why, (state, why)
        three.b.start()
        assert three.peck(three.b, three.bea, "data.write", three.first)[0] == "taken"
        assert three.blocks()[three.bea]["used"] == 3, three.blocks()
        three.a.command("audit", "verify")


def who_signed_a_block_takes_it_back():
    with Pond("alice", "bob", "carol") as pond:
        three = Three(pond)
        three.grant()
        three.narrow()
        assert three.peck(three.c, three.cid, "data.read", three.second)[0] == "taken"

        done = three.c.command("grant", "revoke", three.second, "--from", three.cid, check=False)
        assert done.returncode == 1 and "no such block" in done.stderr, done
        said = three.b.json("grant", "revoke", three.second)
        assert said["revoked"], said
        assert three.blocks()[three.cid]["revoked_ms"], three.blocks()
        state, why = three.peck(three.c, three.cid, "data.read", three.second)
        assert state == "failed" and "was revoked" in why, (state, why)
        assert three.peck(three.b, three.bea, "data.read", three.first)[0] == "taken"

        three.a.stop()
        three.a.start()
        state, why = three.peck(three.c, three.cid, "data.read", three.second)
        assert state == "failed" and "was revoked" in why, (state, why)
        assert three.a.json("grant", "revoke", three.first)["revoked"]
        state, why = three.peck(three.b, three.bea, "data.read", three.first)
        assert state == "failed" and "was revoked" in why, (state, why)
        kinds = [entry["kind"] for entry in three.a.json("audit", "list")]
        assert kinds.count("grant_revoked") == 2, kinds


def refused(holder, status, code, **members):
    try:
        answer = holder.post("/beak/peck", **members)
    except Refused as no:
        assert (no.status, no.body["error"], no.body["field"]) == (status, code, "grant"), no
        return no.body["detail"]
    raise AssertionError(f"not refused: {answer}")


def over_http_a_peck_carries_its_grant():
    with Pond("alice", "bob") as pond:
        ann, bea = pond.alice.hatch("ann@example.com", "Ann"), pond.bob.hatch("bea@example.com", "Bea")
        until("the directory knows them", lambda: any(
            entry["duckling"] == ann.id
            for entry in pond.bob.json("directory").get("entries", [])))
        path = os.path.join(pond.folder, "grant")
        pond.alice.command("grant", "make", "--from", ann.id, "--to", bea.id, "--out", path,
                           "--scope", "query", "--uses", "1")
        text = open(path).read().strip()
        peck = {"target": ann.id, "action": "query", "payload": {}, "grant": text}
        why = refused(bea, 403, "grant_refused", **{**peck, "action": "delete"})
        assert "does not cover" in why, why
        refused(bea, 422, "bad_member", **{**peck, "grant": text[:-4]})
        refused(bea, 422, "bad_member", target=ann.id, peck_type="query", grant=text)
        bea.becomes(bea.post("/beak/peck", **peck)["peck_id"], "taken")
        spent = bea.post("/beak/peck", **peck)["peck_id"]
        bea.becomes(spent, "failed")
        assert "no uses left" in json.dumps(bea.get("/beak/pecks/" + spent))


run(what_is_granted_is_done_and_nothing_more, who_signed_a_block_takes_it_back,
    over_http_a_peck_carries_its_grant)
