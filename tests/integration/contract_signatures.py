"""Stories of a duckling that keeps its own key."""

import os
import sys

from pond import SDKS, Duck

sys.path.insert(0, os.path.join(SDKS, "python"))
from spaceduck import own  # noqa: E402


def signature_stories(world):
    """A duckling that keeps its own key; another one pecks it, and it signs what it says."""
    key, asker = own.OwnKey.new("Own"), world.stranger
    hatched = world.call("hatch", 201, token=world.token, body={
        "proof": key.chain, "public_key": key.public_key, "display_name": "Own"})
    assert hatched["certificate"]["chain"] == key.chain, hatched
    world.call("hatch", 409, "conflict", token=world.token, body={"proof": key.chain})
    world.call("hatch", 422, "bad_member", "display_name", token=world.token,
               body={"proof": key.chain, "display_name": "Other"})
    duck = Duck(world.alice, hatched["duckling_id"], hatched["beak_key"])

    def waits():
        return world.call("listSignatures", 200, token=duck.key, query={"wait": 5})["signatures"]

    def sign(wanted, status=200, error=None, field=None, **more):
        return world.call("sign", status, error, field, token=duck.key, body={
            "id": wanted["id"], "signature": key.sign(wanted), **more})

    def sign_all():
        while wanted := world.call("listSignatures", 200, token=duck.key)["signatures"]:
            sign(wanted[0])

    entry = waits()[0]
    assert world.call("listSignatures", 200, token=world.token, query={
        "duckling_id": duck.id, "after": entry["number"]}) == {"signatures": []}
    world.call("listSignatures", 422, "bad_member", "wait", token=duck.key, query={"wait": 31})
    sign(entry, 422, "bad_member", "signature", signature="A" * 86 + "=")
    sign(entry, 400, "malformed", "signature", signature="A" * 86 + "==")
    sign(entry, 422, "bad_member", "id", id="sig_1")
    world.call("sign", 422, "missing_member", "id", token=duck.key, body={"signature": key.sign(entry)})
    assert sign(entry) == {"status": "signed"}
    sign(entry, 404, "not_found", "id")
    asker.knows(duck)

    changed = world.call("setProfile", 202, token=duck.key, body={"bio": "keeps its key"})
    assert changed == {"duckling_id": duck.id, "status": "to_sign", "waits_for": waits()[0]["id"]}, changed
    sign_all()
    assert world.call("getDirectoryEntry", 200, path={"id": duck.id})["bio"] == "keeps its key"

    # Asked: an approval, a denial, an answer and a part of one wait.
    def asked(**body):
        sent = asker.post("/beak/peck", **body)["peck_id"]
        duck.becomes(sent, "pending")
        return {"peck_id": sent}

    bond = asked(target_duckling_id=duck.id, peck_type="own", message="may I?")
    assert world.call("approvePeck", 202, token=duck.key, body=bond)["waits_for"].startswith("sig_")
    sign_all()
    duck.becomes(bond["peck_id"], "approved")
    bond_id = "bnd_" + bond["peck_id"][4:]
    world.call("changeBond", 202, token=duck.key, path={"id": bond_id}, body={"limits": {"per_day": 9}})
    sign_all()
    no = asked(target=duck.id, action="other")
    world.call("denyPeck", 202, token=duck.key, body=no)
    sign_all()
    duck.becomes(no["peck_id"], "denied")
    sent = {"peck_id": asker.post("/beak/peck", target=duck.id, action="own")["peck_id"]}
    duck.becomes(sent["peck_id"], "taken")
    assert "waits_for" in world.call("answerPeck", 202, token=duck.key, body={**sent, "partial": 1})
    world.call("answerPeck", 409, "conflict", "peck_id", token=duck.key, body={**sent, "result": 2})
    sign_all()
    answered = world.call("answerPeck", 202, token=duck.key, body={**sent, "result": 2})
    wanted = waits()[0]
    assert wanted["id"] == answered["waits_for"] and wanted["peck_id"] == sent["peck_id"], wanted
    assert sign(wanted) == {"status": "signed", "peck_status": "answered"}

    # It asks.
    world.call("sendPeck", 409, "own_key", "signed", token=duck.key,
               body={"target": asker.id, "action": "query"})
    peck = {"signed": key.peck(asker.id, "query", {}, network="pond", idempotency_key="mine")}
    keyed = {"Idempotency-Key": "mine"}
    first = world.call("sendPeck", 202, token=duck.key, body=peck, headers=keyed)
    assert world.call("sendPeck", 202, token=duck.key, body=peck)["peck_id"] == first["peck_id"]
    world.call("sendPeck", 422, "bad_member", "signed", token=duck.key, body=peck,
               headers={"Idempotency-Key": "other"})
    world.call("sendPeck", 422, "bad_member", "action", token=duck.key, body={**peck, "action": "a"})
    world.call("sendPeck", 422, "bad_member", "signed", token=duck.key, body={"signed": "AAAA"})
    world.call("sendPeck", 422, "bad_member", "signed", token=world.first.key, body=peck)
    world.call("sendPeck", 400, "malformed", "signed", token=duck.key, body={
        "signed": key.peck(asker.id, "query", {}, network="elsewhere")})
    world.call("sendPeck", 400, "malformed", "signed", token=duck.key, body={
        "signed": own_peck_that_is_over(key, asker.id)})

    # A new key.
    world.call("rotate", 409, "own_key", "chain", token=duck.key, body={"what": "identity"})
    world.call("rotate", 422, "bad_member", "chain", token=duck.key, body={"chain": key.chain})
    world.call("rotate", 400, "malformed", "chain", token=duck.key,
               body={"what": "identity", "chain": own.OwnKey.new("Own").rotate().chain})
    key = key.rotate()
    turned = world.call("rotate", 200, token=duck.key, body={"what": "identity", "chain": key.chain})
    assert turned["chain"] == key.chain, turned
    sign_all()

    # Its end, which only it can say.
    ended = world.call("revokeCertificate", 202, token=duck.key, body={"reason": "lost"})
    assert ended["status"] == "to_sign", ended
    assert world.call("getCertificate", 200, path={"id": duck.id})["valid"]
    sign(next(w for w in waits() if w["id"] == ended["waits_for"]))
    assert not world.call("getCertificate", 200, path={"id": duck.id})["valid"]


def own_peck_that_is_over(key, target):
    made = own._now_ms
    own._now_ms = lambda: made() - 10_000
    try:
        return key.peck(target, "query", {}, network="pond", expires_in=1)
    finally:
        own._now_ms = made
