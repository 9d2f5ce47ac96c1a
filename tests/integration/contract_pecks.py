"""Stories of pecks, their answers, and bonds."""

from contract_world import NOBODY, PASSWORD
from pond import until


def peck_stories(world):
    one, two = world.first, world.stranger
    send = {"target": two.id, "action": "query"}
    waits = world.call("sendPeck", 202, token=one.key, body={**send, "payload": {"q": 1}})
    two.becomes(waits["peck_id"], "pending")
    world.call("sendPeck", 422, "missing_member", "action", token=one.key, body={"target": two.id})
    world.call("sendPeck", 404, "unknown_target", "target", token=one.key,
               body={**send, "target": NOBODY["duckling"]})
    world.call("sendPeck", 413, "too_large", "payload", token=one.key,
               body={**send, "payload": "x" * 262145})
    world.call("sendPeck", 400, "malformed", "action", token=one.key,
               body={**send, "action": "Not A Name"})
    two.post("/beak/profile", accepts_pecks=False)
    world.call("sendPeck", 403, "pecks_refused", token=one.key, body=send)
    two.post("/beak/profile", accepts_pecks=True)
    grant = two.node.command("grant", "make", "--from", two.id, "--to", one.id, "--scope",
                             "granted").stdout.strip()
    world.call("sendPeck", 403, "grant_refused", "grant", token=one.key, body={**send, "grant": grant})
    world.call("sendPeck", 422, "bad_member", "grant", token=one.key, body={**send, "grant": "none"})
    granted = world.call("sendPeck", 202, token=one.key,
                         body={**send, "action": "granted", "grant": grant})
    two.becomes(granted["peck_id"], "taken")
    for end in (one, two):
        assert world.call("getPeck", 200, token=end.key, path={"id": granted["peck_id"]})["grant"] == grant
    one.post("/beak/cancel", peck_id=granted["peck_id"])
    two.becomes(granted["peck_id"], "cancelled")
    keyed = {"Idempotency-Key": "two"}
    world.call("sendPeck", 202, token=one.key, body=send, headers=keyed)
    again = world.call("sendPeck", 202, token=one.key, body=send, headers=keyed)
    assert again["replayed"] is True, again
    world.call("sendPeck", 422, "idempotency_key_reused", "Idempotency-Key", token=one.key,
               body={**send, "payload": 2}, headers=keyed)
    page = world.call("listPecks", 200, token=one.key, query={"box": "out", "limit": 1})
    world.call("listPecks", 200, token=one.key,
               query={"cursor": page["next_cursor"], "state": "pending,queued"})
    newest = page["pecks"][0]["peck_id"]
    assert world.call("listPecks", 200, token=one.key, query={"box": "out", "after": newest})["pecks"] == []
    before = world.call("listPecks", 200, token=one.key, query={"box": "out", "limit": 2})["pecks"][1]["peck_id"]
    later = world.call("listPecks", 200, token=one.key, query={"box": "out", "after": before})["pecks"]
    assert [peck["peck_id"] for peck in later] == [newest], later
    world.call("listPecks", 404, "not_found", "after", token=one.key, query={"box": "in", "after": newest})
    world.call("listPecks", 422, "bad_member", "after", token=one.key, query={"after": "pck_up"})
    world.call("listPecks", 422, "bad_member", "box", token=one.key, query={"box": "up"})
    world.call("listPecks", 400, "malformed", "cursor", token=one.key, query={"cursor": "up"})
    world.call("getPeck", 200, token=two.key, path={"id": waits["peck_id"]})
    world.call("getPeck", 404, "not_found", token=one.key, path={"id": NOBODY["peck"]})
    world.call("getPeck", 404, "no_such_path", token=one.key, path={"id": "UP"})
    world.call("getPartials", 404, "not_found", token=one.key, path={"id": NOBODY["peck"]})

    # Under a bond: taken, answered in parts, and as a whole.
    one.bond_with(two, "query")
    sent = world.call("sendPeck", 202, token=one.key, body={**send, "thread": "t"})["peck_id"]
    two.becomes(sent, "taken")
    world.call("acknowledge", 409, "conflict", "peck_ids", token=two.key, body={"peck_id": sent})
    taken = world.call("takeInbox", 200, token=two.key, query={"wait": 5, "lease": 60})["pecks"]
    assert [p["peck_id"] for p in taken] == [sent], taken
    world.call("takeInbox", 422, "bad_member", "lease", token=two.key, query={"lease": 0})
    world.call("takeInbox", 403, "beak_key_needed", token=world.token)
    world.call("acknowledge", 403, "beak_key_needed", token=world.token, body={"peck_id": sent})
    world.call("acknowledge", 422, "missing_member", "peck_ids", token=two.key, body={})
    world.call("acknowledge", 404, "not_found", token=two.key, body={"peck_id": NOBODY["peck"]})
    world.call("acknowledge", 200, token=two.key, body={"peck_ids": [sent]})
    said = world.call("answerPeck", 200, token=two.key, body={"peck_id": sent, "partial": "a"})
    assert said["number"] == 1, said
    parts = world.call("getPartials", 200, token=one.key, path={"id": sent}, query={"wait": 5})
    assert parts["partials"][0]["partial"] == "a", parts
    world.call("answerPeck", 422, "missing_member", "result", token=two.key, body={"peck_id": sent})
    world.call("answerPeck", 413, "too_large", "result", token=two.key,
               body={"peck_id": sent, "result": "x" * 262145})
    world.call("answerPeck", 404, "not_found", "peck_id", token=one.key,
               body={"peck_id": sent, "result": 1})
    world.call("answerPeck", 200, token=two.key, body={"peck_id": sent, "result": None, "charge": 0})
    world.call("answerPeck", 409, "conflict", "peck_id", token=two.key,
               body={"peck_id": sent, "result": 1})
    one.becomes(sent, "answered")
    failed = world.call("sendPeck", 202, token=one.key, body=send)["peck_id"]
    two.becomes(failed, "taken")
    world.call("answerPeck", 200, token=two.key, body={"peck_id": failed, "problem": "no"})
    done = world.call("sendPeck", 200, token=one.key, headers={"Idempotency-Key": "three"},
                      body={**send, "target": world.second.id, "expires_in": 1, "wait": 5})
    assert done["status"] == "expired", done

    # Cancelled: what nobody has taken, and what somebody works on.
    world.call("cancelPeck", 422, "missing_member", "peck_id", token=one.key, body={})
    world.call("cancelPeck", 404, "not_found", "peck_id", token=one.key,
               body={"peck_id": NOBODY["peck"]})
    world.call("cancelPeck", 409, "conflict", "peck_id", token=one.key, body={"peck_id": sent})
    working = world.call("sendPeck", 202, token=one.key, body=send)["peck_id"]
    two.becomes(working, "taken")
    world.call("cancelPeck", 202, token=one.key, body={"peck_id": working})
    far = world.bob.hatch("far@example.com", "Far", PASSWORD)
    until("the far one", lambda: far.id in [d["duckling_id"] for d in world.alice.http(
        "GET", "/beak/directory")["ducklings"]])
    world.bob.kill()
    until("its node noticed as gone", lambda: world.alice.json(
        "peers", "--node", world.bob.id)["peers"][0]["link"] == "none")
    gone = world.call("sendPeck", 202, token=one.key, body={**send, "target": far.id})["peck_id"]
    world.call("cancelPeck", 200, token=one.key, body={"peck_id": gone})


def bond_stories(world):
    one, two = world.first, world.stranger

    def ask(scope="data.read"):
        wish = world.call("sendPeck", 202, token=one.key, body={
            "target_duckling_id": two.id, "peck_type": scope, "message": "may I?"})["peck_id"]
        two.becomes(wish, "pending")
        return wish

    for name in ("approvePeck", "denyPeck"):
        world.call(name, 404, "not_found", "peck_id", token=one.key, body={"peck_id": NOBODY["peck"]})
        world.call(name, 422, "bad_member", "peck_id", token=one.key, body={"peck_id": "x"})
    wish = ask()
    world.call("denyPeck", 200, token=two.key, body={"peck_id": wish, "reason": "not today"})
    world.call("denyPeck", 409, "conflict", "peck_id", token=two.key, body={"peck_id": wish})
    world.call("approvePeck", 409, "conflict", "peck_id", token=two.key, body={"peck_id": wish})
    one.becomes(wish, "denied")
    wish = ask()
    world.call("approvePeck", 422, "unknown_member", "limits", token=two.key,
               body={"peck_id": wish, "limits": {"colour": 1}})
    made = world.call("approvePeck", 200, token=two.key, body={
        "peck_id": wish, "scopes": ["data.*"], "not_after": "2099-01-01T00:00:00Z",
        "limits": {"rounds": 1, "cool_down": 3600, "per_day": 10, "stop_words": ["no"]}})
    one.becomes(wish, "approved")
    for duck in (one, two):
        bonds = world.call("listBonds", 200, token=duck.key)["bonds"]
        assert made["bond_id"] in [bond["bond_id"] for bond in bonds], bonds
    talk = {"target": two.id, "action": "data.read", "thread": "rounds"}
    world.call("sendPeck", 202, token=one.key, body=talk)
    world.call("sendPeck", 429, "bond_cooling_down", token=one.key, body=talk)
    id_ = {"id": made["bond_id"]}
    world.call("changeBond", 200, token=two.key, path=id_,
               body={"limits": {"cool_down": 0}, "muted": False})
    until("the terms to be told", lambda: next(
        b for b in one.get("/beak/bonds")["bonds"] if b["bond_id"] == made["bond_id"])[
            "limits"].get("cool_down") is None)
    world.call("sendPeck", 429, "bond_rounds", token=one.key, body=talk)
    world.call("changeBond", 422, "missing_member", token=two.key, path=id_, body={})
    world.call("changeBond", 404, "not_found", token=two.key, path={"id": NOBODY["bond"]},
               body={"muted": True})
    world.call("changeBond", 403, "not_allowed", token=one.key, path=id_, body={"muted": True})
    world.call("endBond", 422, "missing_member", "bond_id", token=one.key, body={})
    world.call("endBond", 404, "not_found", token=one.key, body={"bond_id": NOBODY["bond"]})
    world.call("endBond", 200, token=one.key, body={"bond_id": made["bond_id"]})
