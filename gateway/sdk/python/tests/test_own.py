"""A duckling that keeps its own key, from its hatch to its rotation; its node never has the key."""

from __future__ import annotations

import base64
import os
import pathlib
import secrets
from typing import Any

import pytest

import spaceduck
from spaceduck import own, proof

from test_live import hatch, found, names, until

NETWORK = "pond"


def hatched(node: Any, key: own.OwnKey, email: str, **more: str) -> spaceduck.Duck:
    with spaceduck.Duck(api_base=node.url) as stranger:
        assert stranger.hatch(email, proof=key.proof, **more)["status"] == "verify"
        answer = stranger.verify(email, node.mail_code(email))
    assert answer["duckling_id"] == key.id and answer["certificate"]["chain"] == key.chain
    return spaceduck.Duck(beak_key=answer["beak_key"], api_base=node.url)


def test_it_lives_on_a_node_that_has_no_key_of_it(pond: Any, tmp_path: pathlib.Path) -> None:
    key = own.OwnKey.new("Vault")
    key.save(tmp_path / "key", tmp_path / "next")
    key = own.OwnKey.open(tmp_path / "key", tmp_path / "next")
    asker = hatch(pond.bob, "Asker")
    asker_id = asker.certificate()["duckling_id"]
    duck = hatched(pond.alice, key, next(names), public_key=key.public_key)
    assert own.sign_all(duck, key) == 1
    duck.profile(capabilities=["own.vault"])
    assert own.sign_all(duck, key) == 1
    assert found(asker, "own.vault") == key.id

    # A bond, which it approves.
    asked = asker.peck(target_duckling_id=key.id, peck_type="query", message="may I?")["peck_id"]
    until("the request", lambda: any(p["peck_id"] == asked for p in duck.pecks(box="in")))
    approved = duck.approve(asked)
    assert approved["status"] == "pending" and approved["waits_for"].startswith("sig_")
    assert own.sign_all(duck, key) == 2  # the approval, and that they are bonded
    until("the bond", lambda: asker.get_peck(asked, wait=10)["status"] == "approved")

    # A peck in, answered; the receipt proves itself.
    sent = asker.peck(key.id, "query", {"n": 1})["peck_id"]
    taken = until("the peck", lambda: duck.take(wait=5)["pecks"])
    assert duck.answer(taken[0]["peck_id"], {"n": 2})["waits_for"]
    waits = duck.signatures()["signatures"]
    assert [w["peck_id"] for w in waits] == [sent] and waits[0]["type"] == "duck/receipt/1"
    assert base64.b64decode(waits[0]["to_sign"]) == proof._to_sign(
        "duck/receipt/1", base64.b64decode(waits[0]["body"]))
    assert duck.sign(waits[0]["id"], key.sign(waits[0])) == {"status": "signed", "peck_status": "answered"}
    done = asker.get_peck(sent, wait=20)
    assert done["result"] == {"n": 2}
    said = proof.verify_receipt(done["receipts"][-1], peck_id=sent)
    assert said["signer"] == key.id and said["result"] == {"n": 2}

    # A peck out; the same bytes again are the same peck. The node starts anew between.
    until("alice knows the asker", lambda: duck.duckling(asker_id))
    with pytest.raises(spaceduck.Conflict, match="own_key"):
        duck.peck(asker_id, "query", {})
    signed = key.peck(asker_id, "query", {"n": 3}, network=NETWORK)
    first = duck.peck(signed=signed)
    pond.alice.stop()
    pond.alice.start()
    assert duck.peck(signed=signed)["peck_id"] == first["peck_id"]
    until("the peck at bob", lambda: any(p["peck_id"] == first["peck_id"]
                                         for p in asker.pecks(box="in")))
    assert own.sign_all(duck, key, wait=20) >= 1  # its entry, asked for anew

    # A new key.
    newer = key.rotate()
    answer = duck.rotate("identity", chain=newer.chain)
    assert answer["chain"] == newer.chain and answer["duckling_id"] == key.id == newer.id
    waits = duck.signatures(wait=10)["signatures"]
    with pytest.raises(spaceduck.Problem) as refused:
        duck.sign(waits[0]["id"], key.sign(waits[0]))
    assert refused.value.field == "signature"
    assert own.sign_all(duck, newer) >= 1
    assert duck.peck(signed=newer.peck(asker_id, "query", {}, network=NETWORK))["status"] != "failed"
    with pytest.raises(spaceduck.Unprocessable) as another:
        duck.peck(signed=newer.peck(asker_id, "query", {}, network=NETWORK), action="query")
    assert another.value.field == "action"

    # It moves, with the key that it has by now.
    until("the new key at bob", lambda: asker.certificate_of(key.id)["chain"] == newer.chain)
    moved = hatched(pond.bob, newer, next(names))
    assert own.sign_all(moved, newer, wait=20) >= 1
    until("where it lives", lambda: asker.duckling(key.id)["host"] == asker.duckling(asker_id)["host"])

    # Its end, which it signs as all else.
    ended = moved.revoke("lost")
    assert ended["status"] == "to_sign" and moved.certificate()["valid"]
    assert own.sign_all(moved, newer) >= 1
    assert not moved.certificate()["valid"]
    with pytest.raises(spaceduck.Conflict):
        own.sign_all(moved, newer)

    files = [pathlib.Path(where) / name for where, _, found_ in os.walk(pond.alice.state) for name in found_]
    for path in files:
        if path.is_file():
            text = path.read_bytes()
            assert key._seed not in text and newer._seed not in text, path


def test_an_operator_hatches_one_at_once(pond: Any) -> None:
    key, email = own.OwnKey.new("Second"), next(names)
    with spaceduck.Duck(api_base=pond.alice.url) as stranger:
        stranger.hatch(email, "First", "a long enough password")
        stranger.verify(email, pond.alice.mail_code(email))
        token = stranger.auth(email, "a long enough password")["token"]
    operator = spaceduck.Duck(token=token, api_base=pond.alice.url)
    with pytest.raises(spaceduck.Unprocessable) as wrong:
        operator.hatch(display_name="Another", proof=key.proof)
    assert wrong.value.field == "display_name"
    with pytest.raises(spaceduck.Unprocessable) as other:
        operator.hatch(proof=key.proof, public_key=own.OwnKey.new("X").public_key)
    assert other.value.field == "public_key"
    assert operator.hatch(proof=key.proof)["duckling_id"] == key.id
    with pytest.raises(spaceduck.Conflict):
        operator.hatch(proof=key.proof)


def test_it_signs_only_what_is_said_in_its_own_name() -> None:
    key = own.OwnKey.new("Vault")
    other = own._bytes(2, secrets.token_bytes(20))
    ours = own._bytes(2, key._identity)
    assert key.sign({"type": "duck/record/1", "body": base64.b64encode(ours).decode()})
    for type, body in (("duck/record/1", other), ("duck/peck/1", ours), ("duck/certificate/1", ours),
                       ("duck/receipt/1", own._bytes(4, key._identity) + own._number(5, 1))):
        with pytest.raises(spaceduck.DuckError, match="not signed"):
            key.sign({"type": type, "body": base64.b64encode(body).decode()})


def test_key_files_are_for_nobody_else(tmp_path: pathlib.Path) -> None:
    key = own.OwnKey.new("Vault")
    key.save(tmp_path / "key", tmp_path / "next")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        key.save(tmp_path / "key", tmp_path / "other")
    assert not (tmp_path / "other").exists()
    assert repr(key) == f"OwnKey({key.id})"
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(spaceduck.DuckError, match="nobody else"):
        own.OwnKey.open(tmp_path / "key")
    (tmp_path / "junk").write_text("duck-holder 1\n")
    (tmp_path / "junk").chmod(0o600)
    with pytest.raises(spaceduck.DuckError):
        own.OwnKey.open(tmp_path / "junk")
