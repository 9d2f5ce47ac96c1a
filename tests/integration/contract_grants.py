"""Stories of grants."""

import os
import subprocess

from pond import BIN


def grant_of_another_network(one, two):
    """By a key of its own, where there is no node that would know its network."""
    folder = os.path.join(one.node.state, "lake")
    key, config = folder + ".key", folder + ".ini"
    one.node.command("grant", "key", one.id, "--out", key)
    with open(config, "w", encoding="utf-8") as file:
        file.write("[node]\nnetwork = lake\n")
    done = subprocess.run([os.path.join(BIN, "ducknode"), "grant", "make", "--to", two.id, "--scope", "granted.read", "--further",
                           "1", "--key", key, "--config", config, "--state-dir", folder], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def grant_stories(world):
    """One lets two peck it, two hands that on to a third, who is another one's."""
    one, two, third = world.first, world.stranger, world.second
    wish = {"holder": two.id, "scopes": ["granted.*"], "uses": 3, "further": 1}
    world.call("makeGrant", 422, "missing_member", "holder", token=one.key, body={"scopes": ["a"]})
    world.call("makeGrant", 422, "missing_member", "scopes", token=one.key, body={"holder": two.id})
    for member, wrong in (("holder", "x"), ("scopes", []), ("scopes", ["a"] * 9), ("scopes", ["A b"]),
                          ("uses", 0), ("uses", 10 ** 9 + 1), ("further", 8), ("not_after", "soon")):
        world.call("makeGrant", 422, "bad_member", member, token=one.key, body={**wish, member: wrong})
    world.call("makeGrant", 403, "grant_refused", "grant", token=one.key,
               body={**wish, "not_after": "2001-01-01T00:00:00.000Z"})
    keyed = {"Idempotency-Key": "grant"}
    made = world.call("makeGrant", 201, token=one.key, body=wish, headers=keyed)
    assert world.call("makeGrant", 201, token=one.key, body=wish, headers=keyed) == made
    world.call("makeGrant", 422, "idempotency_key_reused", "Idempotency-Key", token=one.key,
               body={**wish, "uses": 4}, headers=keyed)
    assert (made["target"], made["holder"], made["scopes"], made["uses"]) == (
        one.id, two.id, ["granted.*"], 3), made
    world.grant = grant = made["grant"]
    hand_on = {"grant": grant, "holder": third.id, "scopes": ["granted.read"], "uses": 1}
    world.call("narrowGrant", 403, "grant_refused", "grant", token=one.key, body=hand_on)
    world.call("narrowGrant", 403, "grant_refused", "grant", token=two.key, body={**hand_on, "uses": 9})
    world.call("narrowGrant", 422, "bad_member", "grant", token=two.key, body={**hand_on, "grant": "none"})
    narrow = world.call("narrowGrant", 201, token=two.key, body=hand_on)
    assert [block["issuer"] for block in narrow["blocks"]] == [one.id, two.id], narrow
    assert (narrow["uses"], narrow["scopes"]) == (1, ["granted.read"]), narrow

    def verify(reason=None, **more):
        told = world.call("verifyGrant", 200, body={"grant": narrow["grant"], **more})
        assert (told["valid"], told.get("reason")) == (reason is None, reason), told

    verify()
    verify(grant=narrow["grant"] + "\n")
    verify(action="granted.read", to=one.id)
    lake = grant_of_another_network(one, two)
    verify("other_network", grant=lake)
    world.call("narrowGrant", 403, "grant_refused", "grant", token=two.key, body={**hand_on, "grant": lake})
    verify("covers_not", action="granted.write")
    verify("other_holder", **{"from": two.id})
    verify("other_target", to=two.id)
    verify("ended", at="2099-01-01T00:00:00.000Z")
    verify("not_yet", at="2001-01-01T00:00:00.000Z")
    verify("malformed", grant="AAAA")
    world.call("verifyGrant", 422, "bad_member", "grant", body={"grant": "?"})
    sent = world.call("sendPeck", 202, token=third.key, body={
        "target": one.id, "action": "granted.read", "grant": narrow["grant"]})
    one.becomes(sent["peck_id"], "taken")
    known = world.call("listGrants", 200, token=one.key)["blocks"]
    assert {(b["block_id"], b["used"]) for b in known} >= {
        (block["block_id"], 1) for block in narrow["blocks"]}, known
    pages, page = [], world.call("listGrants", 200, token=one.key, query={"limit": 1})
    while "next_cursor" in page:
        pages += page["blocks"]
        page = world.call("listGrants", 200, token=one.key, query={"limit": 1, "cursor": page["next_cursor"]})
    assert pages + page["blocks"] == known, (pages, page, known)
    world.call("listGrants", 400, "malformed", "cursor", token=one.key, query={"cursor": "1.up"})
    world.call("listGrants", 422, "bad_member", "limit", token=one.key, query={"limit": 201})
    first, last = (block["block_id"] for block in narrow["blocks"])
    world.call("revokeGrant", 403, "not_allowed", "grant", token=third.key, body={"grant": narrow["grant"]})
    world.call("revokeGrant", 403, "not_allowed", "block_id", token=two.key,
               body={"grant": narrow["grant"], "block_id": first})
    world.call("revokeGrant", 404, "not_found", "block_id", token=one.key,
               body={"grant": narrow["grant"], "block_id": "grt_" + "b" * 32})
    told = world.call("revokeGrant", 202, token=two.key, body={"grant": narrow["grant"]})
    assert told["block_id"] == last and told["status"] == "sent", told
    two.becomes(told["peck_id"], "answered")
    told = world.call("revokeGrant", 200, token=one.key, body={"grant": narrow["grant"], "block_id": first})
    assert told == {"block_id": first, "status": "revoked"}, told
    revoked = {b["block_id"] for b in world.call("listGrants", 200, token=one.key)["blocks"]
               if "revoked_at" in b}
    assert revoked >= {first, last}, revoked
    world.call("sendPeck", 403, "grant_refused", "grant", token=two.key, body={
        "target": one.id, "action": "granted.read", "grant": grant})
