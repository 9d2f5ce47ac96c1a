"""Against real gateways: what the calls are for."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest

import spaceduck
from spaceduck import proof

names = (f"duck{number}@example.com" for number in itertools.count())
PASSWORD = "a long enough password"


def hatch(node: Any, display_name: str, **profile: Any) -> spaceduck.Duck:
    email = next(names)
    with spaceduck.Duck(api_base=node.url) as stranger:
        assert stranger.hatch(email, display_name, PASSWORD)["status"] == "verify"
        hatched = stranger.verify(email, node.mail_code(email))
    duck = spaceduck.Duck(beak_key=hatched["beak_key"], api_base=node.url)
    duck.profile(**profile or {"bio": "a test"})
    return duck


def id_of(duck: spaceduck.Duck) -> str:
    return str(duck.certificate()["duckling_id"])


def until(what: str, question: Any, seconds: float = 20) -> Any:
    from pond import until as poll

    return poll(what, question, seconds)


def found(duck: spaceduck.Duck, capability: str) -> str:
    return str(until(capability, lambda: next(duck.directory(capability=capability), None))["duckling_id"])


def bond(asker: spaceduck.Duck, oracle: spaceduck.Duck, target: str) -> str:
    asked = asker.peck(target_duckling_id=target, peck_type="query", message="may I?")["peck_id"]
    until("the request", lambda: any(p["peck_id"] == asked
                                     for p in oracle.pecks(box="in", state="pending")))
    assert oracle.approve(asked)["status"] == "approved"
    until("the bond", lambda: asker.get_peck(asked, wait=10)["status"] == "approved")
    return str(asked)


@pytest.fixture(scope="module")
def pair(pond: Any) -> tuple[spaceduck.Duck, spaceduck.Duck, str]:
    asker = hatch(pond.alice, "Asker")
    oracle = hatch(pond.bob, "Oracle", capabilities=["live.oracle"])
    target = found(asker, "live.oracle")
    bond(asker, oracle, target)
    return asker, oracle, target


def test_an_agent_answers_in_a_loop(pair: Any) -> None:
    asker, oracle, target = pair
    sent = asker.peck(target, "query", {"n": 20})
    for peck in oracle.inbox():
        assert peck.id == sent["peck_id"] and peck.sender == id_of(asker)
        assert peck.answer({"n": peck.payload["n"] + 1})["status"] == "answered"
        break
    done = asker.get_peck(sent["peck_id"], wait=20)
    assert done["status"] == "answered" and done["result"] == {"n": 21}


def test_parts_of_an_answer_are_read_as_they_are_said(pair: Any) -> None:
    asker, oracle, target = pair
    sent = asker.peck(target, "query", {})["peck_id"]

    def speak() -> None:
        peck = next(oracle.inbox())
        for n in range(3):
            peck.partial({"n": n})
        peck.answer("all")

    speaker = threading.Thread(target=speak)
    speaker.start()
    parts = list(asker.partials(sent))
    speaker.join()
    assert [(p["number"], p["partial"]) for p in parts] == [(n + 1, {"n": n}) for n in range(3)]
    assert asker.get_peck(sent)["result"] == "all"


def test_a_failure_is_told_with_its_reason(pair: Any) -> None:
    asker, oracle, target = pair
    sent = asker.peck(target, "query", None)["peck_id"]
    peck = next(oracle.inbox())
    assert peck.payload is None
    peck.ack()
    peck.fail("no such city")
    done = asker.get_peck(sent, wait=20)
    assert done["status"] == "failed" and done["problem"] == "no such city"


def test_receipts_prove_themselves(pair: Any) -> None:
    asker, oracle, target = pair
    sent = asker.peck(target, "query", {})["peck_id"]
    next(oracle.inbox()).answer([1, 2])
    done = asker.get_peck(sent, wait=20)
    taken, said = (proof.verify_receipt(receipt, peck_id=sent) for receipt in done["receipts"])
    assert (taken["kind"], taken["state"]) == ("taken", "taken")
    assert taken["signer"].startswith("nod_")
    assert (said["kind"], said["state"], said["result"]) == ("done", "answered", [1, 2])
    assert said["signer"] == said["to"] == target and said["from"] == id_of(asker)
    with pytest.raises(spaceduck.VerificationError, match="another peck"):
        proof.verify_receipt(done["receipts"][0], peck_id="pck_other")


def test_certificates_prove_themselves(pair: Any) -> None:
    asker, oracle, target = pair
    chain = asker.certificate_of(target)
    at_ms = proof.verify_receipt(asker.get_peck(sent_by(asker))["receipts"][0])["at_ms"]
    who = proof.verify_certificate(chain, at_ms=at_ms)
    assert (who["id"], who["kind"], who["display_name"]) == (target, "duckling", "Oracle")
    with pytest.raises(spaceduck.VerificationError, match="not valid yet"):
        proof.verify_certificate(chain, at_ms=1)
    with pytest.raises(spaceduck.VerificationError, match="expired"):
        proof.verify_certificate(chain, at_ms=1 << 45)


def sent_by(duck: spaceduck.Duck) -> str:
    return str(next(duck.pecks(box="out", state=["answered", "approved"]))["peck_id"])


def test_an_idempotency_key_sends_once(pair: Any) -> None:
    asker, oracle, target = pair
    first = asker.peck(target, "query", {"once": True}, idempotency_key="order-1")
    again = asker.peck(target, "query", {"once": True}, idempotency_key="order-1")
    assert first["peck_id"] == again["peck_id"]
    with pytest.raises(spaceduck.Unprocessable) as refused:
        asker.peck(target, "query", {"once": False}, idempotency_key="order-1")
    assert refused.value.error == "idempotency_key_reused"
    assert refused.value.field == "Idempotency-Key"
    next(oracle.inbox()).answer(None)
    assert asker.get_peck(first["peck_id"], wait=20)["result"] is None


def test_lists_are_read_over_their_pages(pair: Any) -> None:
    asker, oracle, target = pair
    all_of_them = [p["peck_id"] for p in asker.pecks(box="out")]
    in_pages = [p["peck_id"] for p in asker.pecks(box="out", limit=1)]
    assert len(all_of_them) > 2 and in_pages == all_of_them
    assert "next_cursor" in asker.pecks(box="out", limit=1).page()


def test_an_operator_has_several_ducklings(pond: Any) -> None:
    email = next(names)
    with spaceduck.Duck(api_base=pond.alice.url) as stranger:
        stranger.hatch(email, "First", PASSWORD)
        first = stranger.verify(email, pond.alice.mail_code(email))
        session = stranger.auth(email, PASSWORD)
    operator = spaceduck.Duck(token=session["token"], api_base=pond.alice.url)
    second = operator.hatch(display_name="Second")
    assert [d["duckling_id"] for d in operator.spaceducks(limit=1)] == [
        first["duckling_id"], second["duckling_id"]]
    as_second = spaceduck.Duck(token=session["token"], api_base=pond.alice.url,
                               duckling_id=second["duckling_id"])
    assert id_of(as_second) == second["duckling_id"] and id_of(operator) == first["duckling_id"]
    rotated = as_second.rotate()
    assert rotated["duckling_id"] == second["duckling_id"]
    with pytest.raises(spaceduck.Unauthorized):
        spaceduck.Duck(second["beak_key"], pond.alice.url).pulse()
    assert spaceduck.Duck(rotated["beak_key"], pond.alice.url).pulse()["status"] == "alive"
    operator.logout()
    with pytest.raises(spaceduck.Unauthorized):
        operator.pulse()


def test_a_password_is_reset(pond: Any) -> None:
    email = next(names)
    with spaceduck.Duck(api_base=pond.alice.url) as stranger:
        stranger.hatch(email, "Forgetful", PASSWORD)
        stranger.verify(email, pond.alice.mail_code(email))
        letters = pond.alice.mail_code(email)
        assert stranger.forgot(email)["status"] == "verify"
        code = until("another code", lambda: next(
            (c for c in [pond.alice.mail_code(email)] if c != letters), None))
        stranger.reset(email, code, "another long password")
        with pytest.raises(spaceduck.Unauthorized):
            stranger.auth(email, PASSWORD)
        assert stranger.auth(email, "another long password")["token_type"] == "Bearer"


def test_bonds_are_changed_and_ended(pond: Any) -> None:
    asker = hatch(pond.alice, "Bonder")
    oracle = hatch(pond.bob, "Bonded", capabilities=["live.bonded"])
    made_by = bond(asker, oracle, found(asker, "live.bonded"))
    held = next(oracle.bonds())
    changed = oracle.change_bond(held["bond_id"], limits={"per_minute": 7}, muted=True)
    assert changed["limits"]["per_minute"] == 7 and changed["health"]["state"] == "muted"
    assert asker.unpeck(peck_id=made_by)["status"] == "ended"
    until("the end at the other side", lambda: not list(oracle.bonds()))


def test_a_peck_is_denied_and_one_is_cancelled(pond: Any) -> None:
    asker = hatch(pond.alice, "Stranger")
    oracle = hatch(pond.bob, "Owner", capabilities=["live.owner"])
    target = found(asker, "live.owner")
    denied, cancelled = (asker.peck(target, "query", {"n": n})["peck_id"] for n in range(2))
    until("both", lambda: len(list(oracle.pecks(box="in", state="pending"))) == 2)
    oracle.deny(denied, reason="not today")
    until("the no", lambda: asker.get_peck(denied).get("problem") == "not today")
    asker.cancel(cancelled)
    until("the end", lambda: oracle.get_peck(cancelled)["status"] == "cancelled")


def test_everybody_may_ask_how_it_is(pond: Any) -> None:
    with spaceduck.Duck(api_base=pond.alice.url + "/") as anybody:
        assert anybody.probe()["node_id"] == pond.alice.id
        assert anybody.healthz()["status"] == "ok" and anybody.readyz()["status"] == "ready"
        assert anybody.system_status()["status"] in ("operational", "degraded")
        assert "ducknode_" in anybody.prometheus()
        before = anybody.metrics()["this_node"]["pageviews"]
        anybody.pageview("/docs", referrer="https://example.com/")
        until("the page to be counted",
              lambda: anybody.metrics()["this_node"]["pageviews"] == before + 1)
        assert anybody.duckling(next(anybody.directory())["duckling_id"])["proof"]


def test_a_grant_is_made_handed_on_used_and_taken_back(pond: Any) -> None:
    target, helper = hatch(pond.alice, "Granting"), hatch(pond.alice, "Granted")
    own, other = (next(duck.spaceducks())["duckling_id"] for duck in (target, helper))
    made = target.make_grant(other, ["live.*"], uses=3, further=1)
    narrow = helper.narrow_grant(made["grant"], own, scopes=["live.read"], uses=1)
    assert narrow["uses"] == 1 and len(narrow["blocks"]) == 2
    assert helper.verify_grant(made["grant"], action="live.read")["valid"]
    assert helper.verify_grant(made["grant"], from_=own)["reason"] == "other_holder"
    helper.peck(own, "live.read", grant=made["grant"])
    until("its use", lambda: [block for block in target.grants() if block["used"] == 1])
    assert target.revoke_grant(made["grant"])["status"] == "revoked"


def test_a_context_is_issued_used_and_revoked(pond: Any) -> None:
    asker, oracle = hatch(pond.alice, "Contextual"), hatch(pond.alice, "Contexted")
    target = next(oracle.spaceducks())["duckling_id"]
    issued = asker.issue_certificate("deploys", ["deploy.*"])
    assert (issued["context"], issued["scopes"]) == ("deploys", ["deploy.*"])
    peck = asker.get_peck(asker.peck(target, "deploy.web", context="deploys")["peck_id"])
    assert (peck["context"], peck["context_id"]) == ("deploys", issued["certificate_id"])
    with pytest.raises(spaceduck.Forbidden, match="context_refused"):
        asker.peck(target, "data.read", context=issued["certificate_id"])
    shown = asker.revoke("over", certificate_id=issued["certificate_id"])
    assert shown["valid"] and shown["contexts"][0]["revoked_at"]
    with pytest.raises(spaceduck.Forbidden, match="context_refused"):
        asker.peck(target, "deploy.web", context="deploys")


def test_lobster_binds_are_for_operators_and_their_ducklings_may_look(pair: Any) -> None:
    asker, _, target = pair
    assert list(asker.lobsters()) == []
    with pytest.raises(spaceduck.NotFound):
        asker.lobster(target)
    with pytest.raises(spaceduck.Forbidden, match="session_needed"):
        asker.begin_lobster(target, lease=60)
    with pytest.raises(spaceduck.Forbidden, match="session_needed"):
        asker.confirm_lobster(target, "1234-5678")
    with pytest.raises(spaceduck.Forbidden, match="session_needed"):
        asker.break_lobster(target)


def test_a_no_is_an_error_of_its_class(pond: Any, pair: Any) -> None:
    asker, oracle, target = pair
    anybody = spaceduck.Duck(api_base=pond.alice.url)
    with pytest.raises(spaceduck.Unauthorized) as unauthorized:
        anybody.bonds().page()
    assert unauthorized.value.status == 401 and unauthorized.value.detail
    with pytest.raises(spaceduck.NotFound):
        anybody.duckling("dkl_" + "a" * 32)
    with pytest.raises(spaceduck.Unprocessable) as unprocessable:
        asker.peck("dkl_abc123", "query")
    assert unprocessable.value.field == "target" and "field target" in str(unprocessable.value)
    with pytest.raises(spaceduck.TooLarge) as too_large:
        asker.peck(target, "query", "x" * (256 * 1024))
    assert too_large.value.field == "payload"
    with pytest.raises(spaceduck.Conflict):
        asker.cancel(sent_by(asker))
