"""Stories of what is known to all: status, the directory, certificates."""

from contract_world import NOBODY, REFERENCE, known


def status_stories(world):
    for name in ("probe", "probeWithoutSlash", "health", "readiness", "prometheus",
                 "systemStatus", "networkMetrics"):
        world.call(name, 200)
    world.call("countPageview", 204, body={"page": "/", "referrer": None})
    served = world.call("reference", 200)
    assert served == REFERENCE.document, "what is served is not the reference"
    _, headers, _ = world.send(REFERENCE.operations["reference"])
    world.call("reference", 304, headers={"If-None-Match": headers["etag"]})
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    _, headers, _ = world.send(REFERENCE.operations["health"], headers={"traceparent": trace})
    assert headers["traceparent"] == trace


def directory_stories(world):
    page = world.call("searchDirectory", 200, query={"limit": 1, "tier_min": "T0"})
    if "next_cursor" in page:
        world.call("searchDirectory", 200, query={"cursor": page["next_cursor"]})
    world.call("searchDirectory", 422, "bad_member", "tier_min", query={"tier_min": "T9"})
    world.call("getDirectoryEntry", 200, path={"id": world.first.id})
    known(world, "getDirectoryEntry", path={"id": world.first.id})
    world.call("getDirectoryEntry", 404, "not_found", path={"id": NOBODY["duckling"]})
    world.call("setProfile", 200, token=world.first.key,
               body={"bio": "Knows the sky.", "capabilities": ["weather.now"]})
    world.call("setProfile", 422, "bad_member", "bio", token=world.first.key,
               body={"bio": "x" * 1025})
    world.call("pulse", 200, token=world.first.key, body={})
    own = {"duckling_id": world.second.id}
    told = world.call("pulse", 200, token=world.token, body=own, query=own)
    assert told["duckling_id"] == world.second.id, told


def verify_story(world, own):
    """Whatever is shown, the same is said; and of a duckling that is known here, its tier."""
    entry = world.call("getDirectoryEntry", 200, path={"id": own["duckling_id"]})
    said = world.call("verifyCertificate", 200, body={"chain": own["chain"]})
    assert (said["tier"], said["evidence"], said["missing"]) == (
        entry["tier"], entry["tier_evidence"], entry["tier_missing"]), (said, entry)
    jws = world.call("getCertificate", 200, path={"id": own["duckling_id"]}, query={"format": "jws"}).decode()
    for body in ({"jws": jws}, {"id": own["duckling_id"]}, {"id": own["certificate_id"]}):
        assert {**world.call("verifyCertificate", 200, body=body), "at": said["at"]} == said, body
    node = world.call("verifyCertificate", 200, body={"id": entry["host"]})
    assert node["valid"] and node["node_id"] == entry["host"] and "tier" not in node, node
    forged = world.call("verifyCertificate", 200, body={"jws": jws[:-8] + "AAAAAAAA"})
    assert not forged["valid"] and "tier" not in forged, forged
    world.call("verifyCertificate", 404, "not_found", body={"id": NOBODY["certificate"]})
    world.call("verifyCertificate", 422, "bad_member", "id", body={"id": NOBODY["peck"]})
    world.call("verifyCertificate", 422, "bad_member", "id", body={"jws": jws, "id": own["duckling_id"]})
    world.call("verifyCertificate", 422, "bad_member", "revocation",
               body={"id": own["duckling_id"], "revocation": "AAAA"})


def context_story(world):
    one, two = world.first, world.stranger
    wish = {"context": "deploys", "scopes": ["deploy.*"]}
    keyed = {"Idempotency-Key": "context"}
    issued = world.call("issueCertificate", 201, token=one.key, body=wish, headers=keyed)
    assert world.call("issueCertificate", 201, token=one.key, body=wish, headers=keyed) == issued
    world.call("issueCertificate", 409, "conflict", "context", token=one.key, body=wish)
    for member in ("context", "scopes"):
        world.call("issueCertificate", 422, "missing_member", member, token=one.key,
                   body={each: value for each, value in wish.items() if each != member})
    for member, wrong in (("context", "A b"), ("context", issued["certificate_id"]), ("context", ""), ("scopes", []),
                          ("scopes", ["a"] * 17), ("scopes", ["A b"]), ("not_after", "soon")):
        world.call("issueCertificate", 422, "bad_member", member, token=one.key, body={**wish, member: wrong})
    world.call("issueCertificate", 400, "malformed", "not_after", token=one.key,
               body={"context": "late", "scopes": ["a"], "not_after": "2001-01-01T00:00:00.000Z"})
    send = {"target": two.id, "action": "deploy.web", "context": "deploys"}
    sent = world.call("sendPeck", 202, token=one.key, body=send)["peck_id"]
    two.becomes(sent, "pending")
    for end in (one, two):
        peck = world.call("getPeck", 200, token=end.key, path={"id": sent})
        assert (peck["context"], peck["context_id"]) == ("deploys", issued["certificate_id"]), peck
    world.call("sendPeck", 403, "context_refused", "context", token=one.key, body={**send, "action": "query"})
    world.call("sendPeck", 404, "not_found", "context", token=one.key, body={**send, "context": "backups"})
    world.call("sendPeck", 422, "bad_member", "context", token=one.key,
               body={"target": two.id, "peck_type": "query", "context": "deploys"})
    own = world.call("getOwnCertificate", 200, token=one.key)
    assert [each["certificate_id"] for each in own["contexts"]] == [issued["certificate_id"]], own
    assert "contexts" not in world.call("getCertificate", 200, path={"id": one.id})
    revoke = {"certificate_id": issued["certificate_id"], "reason": "over"}
    world.call("revokeCertificate", 404, "not_found", token=two.key, body=revoke)
    world.call("revokeCertificate", 404, "not_found", token=one.key,
               body={"certificate_id": own["certificate_id"]})  # the duckling is not meant by that
    world.call("revokeCertificate", 422, "bad_member", "certificate_id", token=one.key, body={"certificate_id": "x"})
    ended = world.call("revokeCertificate", 200, token=one.key, body=revoke)
    assert ended["valid"] and ended["contexts"][0]["revoked_at"], ended
    one.becomes(sent, "failed")
    world.call("sendPeck", 403, "context_refused", "context", token=one.key, body=send)


def certificate_stories(world):
    own = world.call("getOwnCertificate", 200, token=world.first.key)
    for id_ in (own["duckling_id"], own["certificate_id"], world.alice.id):
        world.call("getCertificate", 200, path={"id": id_})
    world.call("getCertificate", 404, "not_found", path={"id": NOBODY["certificate"]})
    tags = known(world, "getCertificate", path={"id": own["duckling_id"]})
    assert len(set(tags)) == 2, "each coding is a form of its own"
    known(world, "getOwnCertificate", token=world.first.key)
    for form in ("json", "jwk", "did", "raw", "jws"):
        world.call("getOwnCertificate", 200, token=world.first.key, query={"format": form})
        world.call("getCertificate", 200, path={"id": own["duckling_id"]}, query={"format": form})
    world.call("getCertificate", 422, "bad_member", "format", path={"id": own["duckling_id"]}, query={"format": "pem"})
    world.call("getCertificate", 422, "bad_member", "format", path={"id": own["certificate_id"]}, query={"format": "jws"})
    world.call("getCertificate", 404, "not_hosted_here", path={"id": NOBODY["duckling"]}, query={"format": "jws"})
    known(world, "getKeySet")
    chain = own["chain"]
    judged = world.call("verifyCertificate", 200, body={"chain": chain})
    assert judged["valid"] and judged["certificate_id"] == own["certificate_id"], judged
    did = own["certificates"][-1]["did"]
    assert world.call("verifyCertificate", 200, body={"chain": chain, "did": did})["valid"]
    other = did[:-1] + ("2" if did[-1] != "2" else "3")
    for body in ({"chain": chain, "did": other}, {"chain": chain, "at": "2000-01-01T00:00:00Z"},
                 {"chain": chain[:-8] + "AAAAAAA="}):
        judged = world.call("verifyCertificate", 200, body=body)
        assert not judged["valid"] and judged["reason"], judged
    world.call("verifyCertificate", 422, "bad_member", "chain", body={"chain": "?"})
    world.call("verifyCertificate", 422, "missing_member", "chain", body={})
    verify_story(world, own)
    context_story(world)
    third = world.call("hatch", 201, body={"display_name": "Third"}, token=world.token)
    body = {"duckling_id": third["duckling_id"], "reason": "its key was stolen"}
    world.call("revokeCertificate", 422, "bad_member", "reason", token=world.token,
               body={**body, "reason": "x" * 257})
    ended = world.call("revokeCertificate", 200, token=world.token, body=body)
    assert not ended["valid"] and ended["revocation_reason"] == body["reason"], ended
    shown = {"chain": ended["chain"], "revocation": ended["revocation"]}
    judged = world.call("verifyCertificate", 200, body=shown)
    assert not judged["valid"] and judged["reason"] == "it is revoked", judged
    before = {**shown, "at": ended["certificates"][-1]["issued_at"]}
    assert world.call("verifyCertificate", 200, body=before)["valid"]
    world.call("verifyCertificate", 200, body={**shown, "revocation": "AAAA"})
    by_id = world.call("verifyCertificate", 200, body={"id": ended["duckling_id"]})
    assert not by_id["valid"] and by_id["reason"] == "it is revoked" and "tier" not in by_id, by_id
    again = world.call("revokeCertificate", 200, token=world.token, body=body)
    assert again == ended, again
    world.call("pulse", 409, "conflict", token=third["beak_key"], body={})
    world.call("endBond", 409, "conflict", token=third["beak_key"],
               body={"bond_id": NOBODY["bond"]})
    world.call("changeBond", 409, "conflict", token=third["beak_key"],
               path={"id": NOBODY["bond"]}, body={"muted": True})
    world.call("revokeCertificate", 404, "not_found", token=world.token,
               body={"duckling_id": NOBODY["duckling"]})
