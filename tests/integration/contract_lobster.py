"""Stories of production fleets: lobster binds, and vouchers that are taken back."""

from contract_world import NOBODY, login_as
from pond import until
from production import becomes, take_back, vouch


def lobster_stories(world):
    one, two, token = world.first, world.stranger, world.token
    other = login_as(world, "stranger@example.com")
    acts = {"with": two.id, "duckling_id": one.id}

    def shown():
        return until("both to know the string", lambda: two.get("/beak/lobster")["lobsters"]
                     and two.get("/beak/lobster/" + one.id).get("string"))

    assert world.call("listLobsters", 200, token=one.key)["lobsters"] == []
    world.call("getLobster", 404, "not_found", token=one.key, path={"id": two.id})
    for name, more in (("beginLobster", {}), ("confirmLobster", {"string": "1234-5678"}),
                       ("breakLobster", {})):
        world.call(name, 403, "session_needed", token=one.key, body={"with": two.id, **more})
        world.call(name, 422, "missing_member", "with", token=token, body={**more})
        world.call(name, 422, "bad_member", "with", token=token, body={"with": "x", **more})
    for name, more in (("confirmLobster", {"string": "1234-5678"}), ("breakLobster", {})):
        world.call(name, 404, "not_found", "with", token=token, body={**acts, **more})
    world.call("confirmLobster", 422, "missing_member", "string", token=token, body=acts)
    world.call("beginLobster", 404, "unknown_target", "with", token=token,
               body={**acts, "with": NOBODY["duckling"]})
    for lease in (4, 3601, "long"):
        world.call("beginLobster", 422, "bad_member", "lease", token=token, body={**acts, "lease": lease})
    world.call("beginLobster", 403, "not_allowed", "with", token=token,
               body={**acts, "with": world.second.id})
    one.bond_with(two)
    world.call("beginLobster", 403, "not_allowed", "duckling_id", token=token, body=acts)
    operator = vouch(world.pond, (one, two), [world.alice])
    for duck in (one, two):
        becomes([world.alice], duck, 2)
    keyed = {"Idempotency-Key": "lobster"}
    begun = world.call("beginLobster", 201, token=token, body={**acts, "lease": 60}, headers=keyed)
    assert begun["began_here"] and begun["lease"] == 60 and begun["with"] == two.id, begun
    assert world.call("beginLobster", 201, token=token, body={**acts, "lease": 60}, headers=keyed) == begun
    world.call("beginLobster", 409, "conflict", "with", token=token, body=acts)
    string = shown()
    wrong = f"{string[:8]}{(int(string[8]) + 1) % 10}"
    world.call("confirmLobster", 409, "string_differs", "string", token=token,
               body={**acts, "string": wrong})
    until("the other end to be over as well", lambda: not two.get("/beak/lobster")["lobsters"])
    world.call("beginLobster", 201, token=token, body=acts)
    string = shown()
    here = world.call("getLobster", 200, token=one.key, path={"id": two.id})
    assert here["string"] == string, here
    assert here["missing"] == ["own_confirmation", "other_confirmation"], here
    done = world.call("confirmLobster", 200, token=token, body={**acts, "string": string})
    assert (done["status"], done["missing"]) == ("confirmed", ["other_confirmation"]), done
    there = world.call("getLobster", 200, token=other, path={"id": one.id})
    assert (there["status"], there["missing"]) == ("shown", ["own_confirmation"]), there
    world.call("confirmLobster", 409, "conflict", "with", token=token, body={**acts, "string": string})
    live = world.call("confirmLobster", 200, token=other,
                      body={"with": one.id, "string": string.replace("-", " ")})
    assert (live["status"], live["missing"]) == ("live", []), live
    assert len(world.call("listLobsters", 200, token=token, query={"duckling_id": one.id})["lobsters"]) == 1
    ended = world.call("breakLobster", 200, token=token, body=acts)
    assert ended == {"duckling_id": one.id, "with": two.id, "status": "ended"}, ended
    world.call("breakLobster", 404, "not_found", "with", token=token, body=acts)
    vouchers_that_are_taken_back(world, operator, one, two)


def vouchers_that_are_taken_back(world, operator, one, two):
    """Whoever searches sees it, of the one and not of the other."""
    take_back(world.pond, two, world.alice)
    becomes([world.alice], two, 1)
    entry = world.call("getDirectoryEntry", 200, path={"id": two.id})
    [taken_back] = entry["taken_back"]
    assert taken_back["operator_id"] == operator and entry["tier"] == "T1", entry
    assert "operator-verified" in entry["tier_missing"], entry
    entries = {e["duckling_id"]: e for e in world.call("searchDirectory", 200)["ducklings"]}
    assert entries[two.id]["taken_back"] == [taken_back], entries[two.id]
    assert "taken_back" not in entries[one.id] and entries[one.id]["tier"] == "T2", entries[one.id]
