"""The command, as people and scripts call it."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest

from spaceduck import cli

SDK = pathlib.Path(__file__).resolve().parents[1]
PASSWORD = "a long enough password"


class Shell:
    """One person's: a key file of their own, and a gateway."""

    def __init__(self, node: Any, folder: pathlib.Path) -> None:
        self.node, self.key = node, folder / "key"

    def run(self, *arguments: str, input: str = "", status: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "spaceduck", "--api", self.node.url, *arguments],
            capture_output=True, text=True, timeout=60, input=input,
            env={**os.environ, "PYTHONPATH": str(SDK), "SPACEDUCK_KEY_FILE": str(self.key)})
        assert done.returncode == status, done.stderr
        return done.stderr if status else done.stdout

    def json(self, *arguments: str, input: str = "") -> Any:
        return json.loads(self.run("--json", *arguments, input=input))

    def lines(self, *arguments: str) -> list[Any]:
        return [json.loads(line) for line in self.run("--json", *arguments).splitlines()]

    def hatch(self, email: str, name: str) -> str:
        self.run("hatch", email, "--name", name, "--password", input=PASSWORD + "\n")
        hatched = self.json("verify", email, self.node.mail_code(email))
        assert "beak_key" not in hatched and hatched["key_file"] == str(self.key)
        return str(hatched["duckling_id"])


@pytest.fixture
def alice(pond: Any, tmp_path: pathlib.Path) -> Shell:
    (tmp_path / "alice").mkdir()
    return Shell(pond.alice, tmp_path / "alice")


@pytest.fixture
def bob(pond: Any, tmp_path: pathlib.Path) -> Shell:
    (tmp_path / "bob").mkdir()
    return Shell(pond.bob, tmp_path / "bob")


def until(what: str, question: Any) -> Any:
    from pond import until as poll

    return poll(what, question)


def test_the_whole_way_of_a_peck_from_the_command_line(alice: Shell, bob: Shell) -> None:
    alice.hatch("cli.asker@example.com", "Asker")
    oracle = bob.hatch("cli.oracle@example.com", "Oracle")
    assert (alice.key.stat().st_mode & 0o777) == 0o600
    bob.run("profile", "--capability", "cli.oracle", "--bio", "Answers\tscripts.")
    until("the oracle at alice", lambda: alice.lines("directory", "--capability", "cli.oracle"))
    shown = alice.run("directory", "--capability", "cli.oracle")
    assert oracle in shown and "Answers\\tscripts." in shown

    asked = alice.json("peck", oracle, "--bond", "query", "--message", "may I?")["peck_id"]
    until("the request", lambda: bob.lines("pecks", "--box", "in", "--state", "pending"))
    bob.run("approve", asked, "--limits", '{"per_minute": 5}')
    assert alice.json("get", asked, "--wait", "20")["status"] == "approved"
    assert bob.lines("bonds")[0]["limits"]["per_minute"] == 5

    sent = alice.json("peck", oracle, "query", "-", input='{"n": 1}')["peck_id"]
    (peck,) = bob.lines("inbox", "--wait", "20")
    assert peck["peck_id"] == sent and peck["payload"] == {"n": 1}
    assert bob.json("answer", sent, '"half"', "--partial")["number"] == 1
    bob.run("answer", sent, '{"n": 2}')
    assert [part["partial"] for part in alice.lines("partials", sent)] == ["half"]
    text = alice.run("get", sent)
    assert 'result      {"n": 2}' in text and "envelope" not in text

    bob.run("bond", bob.lines("bonds")[0]["bond_id"], "--muted", "yes")
    assert bob.lines("bonds")[0]["health"]["state"] == "muted"
    assert alice.json("unpeck", oracle)["status"] == "ended"
    denied = alice.json("peck", oracle, "query")["peck_id"]
    until("the peck", lambda: bob.lines("pecks", "--box", "in", "--state", "pending"))
    bob.run("deny", denied, "--reason", "not today")
    until("the no", lambda: alice.json("get", denied).get("problem") == "not today")


def test_keys_are_kept_from_others(alice: Shell) -> None:
    alice.hatch("cli.keeper@example.com", "Keeper")
    assert "--force" in alice.run("verify", "cli.keeper@example.com", "000000", status=1)
    before = alice.key.read_text()
    assert before.startswith("sd_bk_")
    assert "beak_key" not in alice.json("rotate") and alice.key.read_text() != before
    assert alice.json("pulse")["status"] == "alive"
    given = alice.json("--key-file", "-", "pulse", input=alice.key.read_text())
    assert given["status"] == "alive"
    alice.key.chmod(0o640)
    assert "chmod 600" in alice.run("pulse", status=1)
    alice.key.unlink()
    assert "no key in" in alice.run("pulse", status=1)
    assert "no key in" not in alice.run("verify", "nobody@example.com", "000000", status=1)


def test_an_operator_signs_in_and_hatches_more(alice: Shell) -> None:
    first = alice.hatch("cli.operator@example.com", "First")
    session = alice.json("auth", "cli.operator@example.com", "--force", input=PASSWORD + "\n")
    assert "token" not in session and "access_token" not in session
    token = alice.key.read_text()
    second = alice.json("hatch", "--name", "Second")
    assert second["beak_key"].startswith("sd_bk_") and alice.key.read_text() == token
    assert [d["duckling_id"] for d in alice.lines("spaceducks")] == [first, second["duckling_id"]]
    own = alice.json("--duckling", second["duckling_id"], "certificate")
    assert own["duckling_id"] == second["duckling_id"]
    assert alice.run("logout") == ""
    assert "401" in alice.run("pulse", status=1)


def test_it_says_how_it_is(alice: Shell) -> None:
    alice.key = pathlib.Path("-")
    assert alice.json("probe")["node_id"] == alice.node.id
    assert alice.json("status")["status"] in ("operational", "degraded")
    assert "ducklings" in alice.run("metrics")


def test_a_no_is_told_in_both_ways(alice: Shell) -> None:
    alice.hatch("cli.refused@example.com", "Refused")
    assert "field target" in alice.run("peck", "dkl_abc123", "query", status=1)
    problem = json.loads(alice.run("--json", "peck", "dkl_abc123", "query", status=1))
    assert problem["field"] == "target" and problem["status"] == 422
    assert "not JSON" in alice.run("peck", "dkl_abc123", "query", "{", status=2)


def test_every_method_of_a_duck_has_its_command() -> None:
    from spaceduck.operations import OPERATIONS

    called = {command.call for command in cli.COMMANDS.values() if isinstance(command.call, str)}
    called |= {"erase_account", "hatch", "verify", "auth", "reset", "take", "answer", "unpeck", "ack",
               "certificate", "certificate_of", "revoke",
               "signatures", "sign"}
    not_for_people = {"captcha", "passkey_challenge", "add_passkey", "webhook", "reference", "healthz", "readyz", "prometheus", "pageview"}
    assert set(OPERATIONS) - called == not_for_people
