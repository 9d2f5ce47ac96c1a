"""The audit log of a real node: what happened stands in it, and a copy is checked by a stranger."""

import base64
import json
import os
import shutil
import sqlite3
import subprocess

from pond import BIN, Pond, run, until


def verify(path, folder):
    """By somebody with the program and the file, and nothing else."""
    empty = os.path.join(folder, "stranger")
    os.makedirs(empty, exist_ok=True)
    return subprocess.run(
        [os.path.join(BIN, "ducknode"), "audit", "verify", path, "--state-dir", empty, "--json"],
        capture_output=True, text=True, timeout=60, env={"HOME": empty, "PATH": "/usr/bin:/bin"})


def one_answered_peck(pond):
    """Returns its id and the two ducklings': alice asks, bob's owner approves, bob answers."""
    alice = pond.alice.hatch("alice@example.com", "Alice")
    bob = pond.bob.hatch("bob@example.com", "Bob", capabilities=["echo"])
    until("bob in alice's directory", lambda: any(
        found["duckling_id"] == bob.id
        for found in pond.alice.http("GET", "/beak/directory")["ducklings"]))
    peck = alice.post("/beak/peck", target=bob.id, action="echo", payload={"n": 1})["peck_id"]
    until("the peck at bob", lambda: bob.get("/beak/pecks", state="pending", box="in")["pecks"])
    pond.bob.command("approve", peck)
    pond.bob.command("inbox", bob.id, "--take", "--wait", "10")
    pond.bob.command("answer", peck, '{"n":1}')
    alice.becomes(peck, "answered")
    return peck, alice.id, bob.id


def kinds(node, *arguments):
    return [entry["kind"] for entry in reversed(node.json("audit", "list", *arguments))]


def both_ends_tell_the_same_story():
    with Pond("alice", "bob") as pond:
        peck, alice, bob = one_answered_peck(pond)
        assert kinds(pond.alice, "--subject", peck) == [
            "peck_sent", "receipt_came", "receipt_came", "receipt_came"], \
            pond.alice.json("audit", "list")
        assert kinds(pond.bob, "--subject", peck) == [
            "peck_received", "receipt_made", "receipt_made", "handed_out", "receipt_made"], \
            pond.bob.json("audit", "list")
        mine = pond.bob.json("audit", "list", "--duckling", bob)
        assert all(bob in (entry["duckling"], entry["with"]) for entry in mine), mine
        assert pond.bob.json("audit", "list", "--duckling", "dkl_" + "b" * 31 + "a") == []
        assert len(pond.bob.json("audit", "list", "--limit", "2")) == 2


def an_end_that_a_receipt_brought_is_told_once():
    with Pond("alice", "bob") as pond:
        alice = pond.alice.hatch("alice@example.com", "Alice")
        bob = pond.bob.hatch("bob@example.com", "Bob")
        until("bob in alice's directory", lambda: any(
            found["duckling_id"] == bob.id
            for found in pond.alice.http("GET", "/beak/directory")["ducklings"]))
        peck = alice.post("/beak/peck", target=bob.id, action="echo", payload={})["peck_id"]
        alice.becomes(peck, "pending")
        pond.alice.command("cancel", peck)
        alice.becomes(peck, "cancelled")
        assert kinds(pond.alice, "--subject", peck) == [
            "peck_sent", "receipt_came", "receipt_came"], pond.alice.json("audit", "list")


def a_stranger_checks_an_export_and_a_copied_database():
    with Pond("alice", "bob") as pond:
        one_answered_peck(pond)
        export = os.path.join(pond.folder, "bob.audit")
        pond.bob.command("audit", "export", export)
        found = json.loads(verify(export, pond.folder).stdout)
        assert found["valid"] and found["node"] == pond.bob.id, found
        count = len(pond.bob.json("audit", "list"))
        assert found["entries"] == count and found["first_entry"] == 1, (found, count)
        until("all entries signed", lambda: json.loads(
            pond.bob.command("audit", "verify", "--json").stdout)[
                "entries_after_last_checkpoint"] == 0)
        pond.bob.stop()
        copy = os.path.join(pond.folder, "copy.db")
        shutil.copy(os.path.join(pond.bob.state, "node.db"), copy)
        found = json.loads(verify(copy, pond.folder).stdout)
        assert found["valid"] and found["entries"] == count, found
        pond.bob.start()
        assert len(pond.bob.json("audit", "list")) == count
        assert pond.bob.command("audit", "export", export, check=False).returncode == 1  # is there


def whatever_is_changed_in_a_copy_is_found():
    with Pond("alice", "bob") as pond:
        one_answered_peck(pond)
        until("all entries signed", lambda: json.loads(
            pond.bob.command("audit", "verify", "--json").stdout)[
                "entries_after_last_checkpoint"] == 0)
        export = os.path.join(pond.folder, "bob.audit")
        pond.bob.command("audit", "export", export)
        lines = open(export).read().splitlines()
        changed = os.path.join(pond.folder, "changed.audit")

        def judge(new_lines):
            with open(changed, "w") as file:
                file.write("\n".join(new_lines) + "\n")
            return verify(changed, pond.folder)

        assert judge(lines).returncode == 0
        for at, line in enumerate(lines):
            document = json.loads(line)
            member = next(name for name in ("chain", "page", "checkpoint") if name in document)
            raw = bytearray(base64.b64decode(document[member]))
            raw[len(raw) // 2] ^= 1
            document[member] = base64.b64encode(raw).decode()
            refused = judge(lines[:at] + [json.dumps(document)] + lines[at + 1:])
            assert refused.returncode == 1 and "not valid" in refused.stderr, (at, refused)
        pages = [at for at, line in enumerate(lines) if '"page"' in line]
        for at in pages:
            refused = judge(lines[:at] + lines[at + 1:])
            assert refused.returncode == 1, (at, refused)
        pond.bob.stop()
        copy = os.path.join(pond.folder, "copy.db")
        shutil.copy(os.path.join(pond.bob.state, "node.db"), copy)
        with sqlite3.connect(copy) as database:
            database.execute("DELETE FROM audit_page WHERE first = (SELECT max(first) "
                             "FROM audit_page)")
        assert verify(copy, pond.folder).returncode == 1


if __name__ == "__main__":
    run(both_ends_tell_the_same_story,
        an_end_that_a_receipt_brought_is_told_once,
        a_stranger_checks_an_export_and_a_copied_database,
        whatever_is_changed_in_a_copy_is_found)
