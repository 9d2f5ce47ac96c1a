"""What is asked again, and what is not; when; and what a bad line leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
import socket
import time

import pytest

import spaceduck
from spaceduck import transport
from scripted import CUT, SILENCE, Gateway, says

BUSY = says(503, {"error": "busy", "retry_after": 2}, Retry_After="2")
SENT = says(202, {"peck_id": "pck_1", "status": "queued"})


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Nobody sleeps; here is for how long they would have."""
    slept: list[float] = []
    monkeypatch.setattr(transport, "sleep", slept.append)
    yield slept


def duck(gateway: Gateway, **how: object) -> spaceduck.Duck:
    return spaceduck.Duck("sd_bk_test", gateway.url, **how)  # type: ignore[arg-type]


def test_a_get_is_asked_again_and_the_pause_is_the_gateways(pauses: list[float]) -> None:
    with Gateway(BUSY, CUT, says(200, {"ok": 1})) as gateway:
        assert duck(gateway).metrics() == {"ok": 1}
    assert pauses[0] == 2 and 0.5 <= pauses[1] <= 1.0


def test_a_post_with_a_key_is_asked_again_under_the_same_key() -> None:
    with Gateway(CUT, says(500, {"error": "x"}), SENT) as gateway:
        assert duck(gateway).peck("dkl_1", "query")["peck_id"] == "pck_1"
    keys = {asked.headers["idempotency-key"] for asked in gateway.asked}
    bodies = {asked.body for asked in gateway.asked}
    assert len(gateway.asked) == 3 and len(keys) == 1 and len(bodies) == 1
    assert 16 <= len(keys.pop()) <= 64


def test_two_calls_have_two_keys_and_ones_own_key_is_taken() -> None:
    with Gateway(SENT, SENT, SENT) as gateway:
        for key in (None, None, "mine"):
            duck(gateway).peck("dkl_1", "query", idempotency_key=key)
    first, second, third = (asked.headers["idempotency-key"] for asked in gateway.asked)
    assert first != second and third == "mine"


def test_a_post_without_a_key_is_not_asked_again(pauses: list[float]) -> None:
    with Gateway(CUT) as gateway, pytest.raises(spaceduck.Unreachable):
        duck(gateway).deny("pck_1")
    with Gateway(says(503, {"error": "busy"})) as gateway, pytest.raises(spaceduck.Unavailable):
        duck(gateway).deny("pck_1")
    assert pauses == []


def test_what_was_refused_for_its_rate_is_asked_again_after_the_time_it_was_told(
        pauses: list[float]) -> None:
    limited = says(429, {"error": "rate_limited", "tier": "T1"}, Retry_After="7")
    with Gateway(limited, says(200, {"status": "denied"})) as gateway:
        assert duck(gateway).deny("pck_1")["status"] == "denied"
    assert pauses == [7]


def test_who_is_asked_to_wait_too_long_says_so_at_once(pauses: list[float]) -> None:
    with Gateway(says(429, {"error": "rate_limited"}, Retry_After="61")) as gateway:
        with pytest.raises(spaceduck.RateLimited) as limited:
            duck(gateway, retry_after_max=60).metrics()
    assert limited.value.retry_after == 61 and pauses == []


def test_a_limit_without_an_end_is_not_waited_for(pauses: list[float]) -> None:
    with Gateway(says(429, {"error": "bond_rounds"})) as gateway:
        with pytest.raises(spaceduck.RateLimited):
            duck(gateway).peck("dkl_1", "query")
    assert pauses == []


def test_a_date_in_retry_after_is_understood(pauses: list[float]) -> None:
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 10))
    with Gateway(says(503, {}, Retry_After=date), says(200, {})) as gateway:
        duck(gateway).metrics()
    assert 5 < pauses[0] <= 10


def test_tries_end(pauses: list[float]) -> None:
    with Gateway(*[BUSY] * 9) as gateway:
        with pytest.raises(spaceduck.Unavailable) as unavailable:
            duck(gateway, retries=2).metrics()
    assert unavailable.value.tries == 3 and len(gateway.asked) == 3 and pauses == [2, 2]


def test_pauses_grow_up_to_a_bound_and_differ() -> None:
    for tries, longest in ((1, 0.5), (2, 1.0), (3, 2.0), (5, 8.0), (50, 8.0)):
        drawn = {transport.pause(tries) for _ in range(20)}
        assert len(drawn) > 1 and longest / 2 <= min(drawn) and max(drawn) <= longest


def test_nobody_there_is_unsent_and_so_asked_again(pauses: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(spaceduck.Unreachable) as unreachable:
        spaceduck.Duck(api_base=f"http://127.0.0.1:{port}", retries=2).deny("pck_1")
    assert unreachable.value.is_unsent and len(pauses) == 2


def test_silence_has_an_end() -> None:
    with Gateway(SILENCE) as gateway:
        with pytest.raises(spaceduck.TimedOut):
            duck(gateway, timeout=0.1, retries=0).metrics()


def test_a_long_poll_may_be_silent_for_as_long_as_it_waits() -> None:
    with Gateway(SILENCE) as gateway:
        began = time.monotonic()
        with pytest.raises(spaceduck.TimedOut):
            duck(gateway, timeout=0.1, retries=0).take(wait=1)
        assert time.monotonic() - began >= 1.0


def test_connections_are_kept_and_closed_ones_are_noticed() -> None:
    fine = says(200, {})
    with Gateway(fine, fine, says(200, {}, Connection="close"), fine) as gateway:
        with duck(gateway) as one:
            for _ in range(4):
                one.deny("pck_1")  # not repeatable: a dead connection would show
    assert gateway.connections == 2


def test_a_request_of_the_same_key_that_is_under_way_is_waited_for(pauses: list[float]) -> None:
    under_way = says(409, {"error": "conflict", "field": "Idempotency-Key"})
    with Gateway(under_way, SENT) as gateway:
        assert duck(gateway).peck("dkl_1", "query")["peck_id"] == "pck_1"
    assert len(pauses) == 1


def test_an_answer_whose_reply_was_lost_is_not_given_twice() -> None:
    conflict = says(409, {"error": "conflict", "field": "peck_id"})
    held = {"peck_id": "pck_1", "status": "answered", "result": {"n": 1}}
    with Gateway(CUT, conflict, says(200, held)) as gateway:
        assert duck(gateway).answer("pck_1", {"n": 1}) == held
    with Gateway(CUT, conflict, says(200, held)) as gateway:
        with pytest.raises(spaceduck.Conflict):
            duck(gateway).answer("pck_1", {"n": 2})  # another answer stands
    with Gateway(conflict) as gateway:
        with pytest.raises(spaceduck.Conflict):
            duck(gateway).answer("pck_1", {"n": 1})  # refused at first: not ours


def test_a_part_that_was_taken_is_not_said_twice() -> None:
    conflict = says(409, {"error": "conflict", "field": "number"})
    with Gateway(CUT, conflict) as gateway:
        assert duck(gateway).answer("pck_1", partial=1, number=4)["number"] == 4
    with Gateway(CUT) as gateway, pytest.raises(spaceduck.Unreachable):
        duck(gateway).answer("pck_1", partial=1)  # nobody knows which one it would be


def test_an_inbox_outlives_its_gateway(pauses: list[float]) -> None:
    peck = {"peck_id": "pck_1", "from": "dkl_2", "action": "query", "payload": {}}
    script = [CUT, says(502, {}), says(200, {"pecks": []}), says(200, {"pecks": [peck]})]
    with Gateway(*script) as gateway:
        assert next(duck(gateway, retries=0).inbox()).id == "pck_1"
    assert len(pauses) == 2
    with Gateway(says(401, {"error": "bad_token"})) as gateway:
        with pytest.raises(spaceduck.Unauthorized):
            next(duck(gateway).inbox())


def test_what_is_no_beak_api_is_told() -> None:
    with Gateway(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<ht>") as gateway:
        with pytest.raises(spaceduck.BadAnswer):
            duck(gateway).metrics()
    with Gateway(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\n<ht>") as gateway:
        with pytest.raises(spaceduck.NotFound) as missing:
            duck(gateway).metrics()
    assert missing.value.error == "" and "<ht>" in str(missing.value)
    with Gateway(says(302, None, Location="http://127.0.0.1:1/")) as gateway:
        with pytest.raises(spaceduck.Problem):  # a key is never sent to where somebody points
            duck(gateway).metrics()


def test_a_path_in_the_base_stays() -> None:
    with Gateway(says(200, {})) as gateway:
        spaceduck.Duck("sd_bk_test", gateway.url + "/prod").metrics()
    assert gateway.asked[0].path == "/prod/beak/metrics"
    assert gateway.asked[0].headers["authorization"] == "Bearer sd_bk_test"


@pytest.mark.parametrize("base", ["ftp://duck", "127.0.0.1:7118", "http://", "http://a:b@duck"])
def test_a_base_that_is_none_is_refused(base: str) -> None:
    with pytest.raises(ValueError):
        spaceduck.Duck(api_base=base)


def test_a_key_is_never_shown() -> None:
    assert "sd_bk_secret" not in repr(spaceduck.Duck("sd_bk_secret"))


def test_events_go_on_after_the_last_one(pauses: list[float]) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    first = head + b': hello\nretry: 250\n\nid: 7\nevent: peck\ndata: {"a":\ndata: 1}\n\nid: 8\ndata: lo'
    second = head + b"id:9\r\ndata:plain\r\n\r\n"
    with Gateway(first, BUSY, second) as gateway:
        events = duck(gateway).events(["peck"], after="3")
        assert next(events) == spaceduck.Event("7", "peck", {"a": 1})
        assert next(events) == spaceduck.Event("9", "message", "plain")
        events.close()
    assert {asked.path for asked in gateway.asked} == {"/beak/events?events=peck"}
    assert [asked.headers["last-event-id"] for asked in gateway.asked] == ["3", "7", "7"]
    assert pauses[1] == 2 and pauses[0] >= 0.25


def test_events_that_are_refused_end() -> None:
    with Gateway(says(403, {"error": "not_allowed"})) as gateway:
        with pytest.raises(spaceduck.Forbidden):
            next(duck(gateway).events())
