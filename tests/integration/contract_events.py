"""Stories of what happened: webhooks, events, the audit log."""

import http.client
import json

from contract_world import REFERENCE
from pond import until


def webhook_stories(world):
    one, receiver = world.first, world.receiver
    hook = {"url": receiver.url("/hook"), "events": ["peck", "key_rotated"]}
    made = world.call("addWebhook", 201, token=one.key, body={
        **hook, "filter": {"action": "data.*", "tier_min": 0}, "enabled": True})
    for field, value in (("url", "ftp://example.com/"), ("events", ["quack"]), ("filter", {"tier_min": 9})):
        world.call("addWebhook", 422, "bad_member", field, token=one.key, body={**hook, field: value})
    world.call("addWebhook", 422, "missing_member", "url", token=one.key, body={"events": ["peck"]})
    for _ in range(14):
        world.call("addWebhook", 201, token=world.token, body=hook)
    last = {"id": world.call("addWebhook", 201, token=world.token, body=hook)["webhook_id"]}
    world.call("addWebhook", 409, "too_many_webhooks", token=world.token, body=hook)
    id_ = {"id": made["webhook_id"]}
    none = {"id": "whk_" + "b" * 16}
    world.call("dropWebhook", 204, token=world.token, path=last)
    for name in ("getWebhook", "dropWebhook", "listDeliveries", "listDeadLetters"):
        world.call(name, 404, "not_found", token=world.token, path=none)
    for name, body in (("changeWebhook", {"enabled": True}), ("testWebhook", {}),
                       ("rotateWebhookSecret", {})):
        world.call(name, 404, "not_found", token=world.token, path=none, body=body)
    assert len(world.call("listWebhooks", 200, token=world.token)["webhooks"]) == 15
    world.call("getWebhook", 200, token=one.key, path=id_)
    world.call("changeWebhook", 422, "missing_member", token=one.key, path=id_, body={})
    world.call("rotateWebhookSecret", 422, "bad_member", "overlap", token=one.key, path=id_,
               body={"overlap": 604801})
    world.call("rotateWebhookSecret", 200, token=one.key, path=id_, body={"overlap": 60})
    sent = world.call("testWebhook", 202, token=one.key, path=id_, body={"event": "peck"})
    told = receiver.wait(1)[0][3]
    assert not REFERENCE.faults({"$ref": "#/components/schemas/Event"}, told), told
    done = until("the delivery", lambda: world.call(
        "listDeliveries", 200, token=one.key, path=id_, query={"state": "delivered"})["deliveries"])
    assert done[0]["event_id"] == sent["event_id"], done
    world.call("listDeliveries", 422, "bad_member", "state", token=one.key, path=id_,
               query={"state": "lost"})
    world.call("listDeadLetters", 200, token=one.key, path=id_)
    one_of = {**id_, "delivery_id": done[0]["delivery_id"]}
    world.call("resendDelivery", 202, token=one.key, path=one_of, body={})
    world.call("resendDelivery", 404, "not_found", token=one.key, body={},
               path={**id_, "delivery_id": "dlv_999999"})
    world.call("changeWebhook", 200, token=one.key, path=id_, body={"enabled": False})
    world.call("resendDelivery", 409, "webhook_off", token=one.key, path=one_of, body={})
    world.call("testWebhook", 409, "webhook_off", token=one.key, path=id_, body={})
    failing = world.call("addWebhook", 201, token=one.key,
                         body={**hook, "url": receiver.url("/fails")})["webhook_id"]
    world.call("testWebhook", 202, token=one.key, path={"id": failing}, body={})
    waits = until("an attempt", lambda: [d for d in world.call(
        "listDeliveries", 200, token=one.key, path={"id": failing})["deliveries"] if d["log"]])
    world.call("resendDelivery", 409, "conflict", token=one.key, body={},
               path={"id": failing, "delivery_id": waits[0]["delivery_id"]})


def event_stories(world):
    """A stream does not end: its head and its first events are looked at."""
    operation = REFERENCE.operations["streamEvents"]
    line = http.client.HTTPConnection("127.0.0.1", world.port, timeout=20)
    line.request("GET", operation.target(query={"after": "evt_" + "a" * 26, "events": "hatch"}),
                 headers={"Authorization": "Bearer " + world.first.key})
    answer = line.getresponse()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    headers.pop("transfer-encoding")
    world.judge(operation, answer.status, headers, b"", "a stream")
    text = b""
    while text.count(b"\n\n") < 3:
        text += answer.read1(4096)
    blocks = text.decode().split("\n\n")
    assert blocks[0] == "retry: 3000" and blocks[1].startswith("event: reset\n"), blocks
    event = json.loads(blocks[2].split("data: ", 1)[1])
    assert not REFERENCE.faults({"$ref": "#/components/schemas/Event"}, event), event
    answer.close()
    line.close()
    world.call("streamEvents", 422, "bad_member", "events", token=world.first.key,
               query={"events": "quack"})


def audit_stories(world):
    page = world.call("listAudit", 200, token=world.first.key, query={"limit": 2})
    world.call("listAudit", 200, token=world.first.key, query={"cursor": page["next_cursor"]})
    world.call("listAudit", 200, token=world.token, query={"format": "csv", "limit": 2})
    world.call("listAudit", 422, "bad_member", "kind", token=world.token, query={"kind": "quack"})
