"""What happens, told by stream, by webhook and by the audit log of a real gateway."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import os
import pathlib
import queue
import threading
from typing import Any

import pytest

import spaceduck
from spaceduck import webhooks
from test_live import bond, found, hatch, id_of, until

GATEWAY = pathlib.Path(os.environ["DUCK_BIN"], "duckgate")
pytestmark = pytest.mark.skipif(b"/beak/webhooks" not in GATEWAY.read_bytes(),
                                reason="this gateway delivers no events")


@pytest.fixture(scope="module")
def told() -> Iterator[Any]:
    from pond import Pond

    with Pond("alice", "bob", extra="webhook_allow = 127.0.0.1/32\n") as pond:
        yield pond


class Receiver:
    """A webhook's other end; says the next of `statuses`, else 200."""

    def __init__(self) -> None:
        self.came: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue()
        self.statuses: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.came.put((dict(self.headers.items()), body))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"

    def __enter__(self) -> Receiver:
        threading.Thread(target=self.server.serve_forever).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def test_a_webhook_is_verified_by_what_its_registration_showed(told: Any) -> None:
    duck = hatch(told.alice, "Told")
    with Receiver() as receiver:
        made = duck.add_webhook(receiver.url, ["peck", "bond"], filter={"duckling_id": id_of(duck)})
        id, secret, public_key = (made[name] for name in ("webhook_id", "secret", "public_key"))
        assert duck.test_webhook(id)["event"] == "peck"
        headers, body = receiver.came.get(timeout=20)
        for key in (secret, public_key):
            assert webhooks.verify(body, headers, key)["type"] == "peck"
        rotated = duck.rotate_webhook_secret(id, overlap=0)
        duck.test_webhook(id, event="bond")
        headers, body = receiver.came.get(timeout=20)
        assert webhooks.verify(body, headers, [secret, rotated["secret"]])["type"] == "bond"
        with pytest.raises(spaceduck.VerificationError):
            webhooks.verify(body, headers, secret)
        until("both to be delivered",
              lambda: len(list(duck.deliveries(id, state="delivered", limit=1))) == 2)
        assert list(duck.dead_letters(id)) == []
        delivery = next(duck.deliveries(id))["delivery_id"]
        assert duck.resend(id, delivery)["delivery_id"]
        headers, body = receiver.came.get(timeout=20)
        assert webhooks.verify(body, headers, rotated["secret"])
        assert duck.change_webhook(id, events=["peck"], enabled=False)["enabled"] is False
        assert [each["webhook_id"] for each in duck.webhooks()] == [id]
        assert duck.webhook(id)["events"] == ["peck"]
        duck.drop_webhook(id)
        assert list(duck.webhooks()) == []


def test_events_come_as_they_happen_and_again_from_any_on(told: Any) -> None:
    asker, oracle = hatch(told.alice, "Asker"), hatch(told.bob, "Oracle", capabilities=["told.oracle"])
    target = found(asker, "told.oracle")
    bond(asker, oracle, target)
    listening = oracle.events(["peck"])
    came: queue.Queue[spaceduck.Event] = queue.Queue()
    listener = threading.Thread(target=lambda: came.put(next(listening)))
    listener.start()
    ids = []
    while came.empty():  # it is listening when the first one comes
        ids.append(asker.peck(target, "query", {})["peck_id"])
        next(oracle.inbox()).answer(1)
        listener.join(0.2)
    first = came.get()
    listening.close()
    assert first.type == "peck" and first.id
    ids.append(asker.peck(target, "query", {"after": True})["peck_id"])
    again = oracle.events(after=first.id)
    for event in again:
        if event.type == "peck" and ids[-1] in str(event.data):
            break
    again.close()


def test_the_audit_log_is_read_over_its_pages(told: Any) -> None:
    asker, oracle = hatch(told.alice, "Asker"), hatch(told.bob, "Oracle", capabilities=["told.audit"])
    made_by = bond(asker, oracle, found(asker, "told.audit"))
    all_of_them = [entry["number"] for entry in asker.audit()]
    assert len(all_of_them) > 1 and all_of_them == sorted(all_of_them, reverse=True)
    assert [entry["number"] for entry in asker.audit(limit=1)] == all_of_them
    of_it = {entry["subject"] for entry in asker.audit(subject=made_by)}
    assert of_it and {subject[4:] for subject in of_it} == {made_by[4:]}  # the bond has its peck's hash
