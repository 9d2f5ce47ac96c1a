"""doctor names what is wrong with a node, and nothing that is not; top shows what it does."""

import json
import os
import shutil
import socket

from pond import Pond, run, until


def examine(node, *arguments):
    done = node.command("doctor", "--json", *arguments, check=False)
    answer = json.loads(done.stdout)
    wrong = {check["check"]: check for check in answer["checks"] if check["result"] == "fail"}
    assert answer["well"] == (not wrong) == (done.returncode == 0), done
    assert all(check["help"] for check in answer["checks"] if check["result"] != "ok"), answer
    return wrong, {check["check"]: check for check in answer["checks"]}


def a_well_node_is_found_well():
    with Pond("alice", "bob") as pond:
        wrong, all_checks = examine(pond.alice)
        assert not wrong, wrong
        for name in ("state", "disk", "key", "store", "clock", "node", "port", "http", "peers",
                     "outbox", "inbox"):
            assert name in all_checks, name
        assert "1 alive" in all_checks["peers"]["found"], all_checks["peers"]


def each_thing_that_is_wrong_is_named():
    with Pond("alice", "bob") as pond:
        alice, state = pond.alice, pond.alice.state
        key = os.path.join(state, "node.key")
        os.chmod(key, 0o644)
        assert set(examine(alice)[0]) == {"key"}
        os.chmod(key, 0o600)
        os.chmod(state, 0o755)
        assert set(examine(alice)[0]) == {"state"}
        os.chmod(state, 0o700)
        next_key = os.path.join(state, "node.next.key")
        os.chmod(next_key, 0o640)
        assert set(examine(alice)[0]) == {"next key"}
        os.chmod(next_key, 0o600)
        wrong, all_checks = examine(alice)
        assert not wrong and all_checks["next key"]["result"] == "warn", all_checks
        assert "node.next.key and ducklings.next.key beside" in all_checks["next key"]["found"], all_checks
        os.unlink(next_key)
        assert "ducklings.next.key beside" in examine(alice)[1]["next key"]["found"]
        os.unlink(os.path.join(state, "ducklings.next.key"))
        assert "next key" not in examine(alice)[1]

        pond.bob.kill()
        until("bob found dead", lambda: examine(alice)[1]["peers"]["result"] == "fail")
        alice.stop()
        wrong = examine(alice)[0]
        assert set(wrong) == {"node"} and "ducknode run" in wrong["node"]["help"], wrong
        host = socket.socket()
        host.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        host.bind(("127.0.0.1", alice.port))
        host.listen()
        assert set(examine(alice)[0]) == {"node", "port"}
        host.close()

        chain = os.path.join(state, "node.chain")
        shutil.copy(chain, chain + ".kept")
        shutil.copy(os.path.join(pond.bob.state, "node.chain"), chain)
        wrong = examine(alice)[0]
        assert set(wrong) == {"node", "key"} and "node.chain" in wrong["key"]["found"], wrong
        os.replace(chain + ".kept", chain)

        shutil.copy(key, key + ".kept")
        with open(key, "r+b") as file:
            file.truncate(40)
        assert set(examine(alice)[0]) == {"node", "key"}
        os.replace(key + ".kept", key)
        database = os.path.join(state, "node.db")
        shutil.copy(database, database + ".kept")
        with open(database, "wb") as file:
            file.write(b"no database at all, but long enough to look at" * 100)
        for tail in ("-wal", "-shm"):
            if os.path.exists(database + tail):
                os.unlink(database + tail)
        assert set(examine(alice)[0]) == {"node", "store"}
        os.replace(database + ".kept", database)
        assert set(examine(alice, "--state-dir", os.path.join(state, "nowhere"))[0]) == {
            "state", "node"}
        alice.start()
        pond.bob.start()


def a_seed_that_does_not_answer_is_told():
    with Pond("alice", "bob") as pond:
        assert examine(pond.bob)[1]["join"]["result"] == "ok"
        pond.alice.stop()
        joined = examine(pond.bob)[1]["join"]
        assert joined["result"] == "warn" and str(pond.alice.port) in joined["found"], joined
        pond.alice.start()


def handlers_that_would_not_run_are_named():
    with Pond("alice") as pond:
        alice, program = pond.alice, os.path.join(pond.folder, "program")
        duck = alice.json("hatch", "Duck")["duckling_id"]

        def check(what, keys=""):
            alice.write_config(extra=f"{keys}[handler h]\nduckling = {duck}\n{what}\n")
            wrong, all_checks = examine(alice)
            assert set(wrong) <= {"handler"}, wrong
            listed = alice.command("handlers", "check", check=False)
            assert (listed.returncode == 0) == (not wrong), listed
            return all_checks["handler"]["found"] if wrong else ""

        assert "No such file" in check(f"argv = {program}")
        with open(program, "w") as file:
            file.write("#!/bin/sh\n")
        os.chmod(program, 0o600)
        assert "not executable" in check(f"argv = {program}")
        os.chmod(program, 0o757)
        assert "everybody may change it" in check(f"argv = {program}")
        os.chmod(program, 0o700)
        assert check(f"argv = {program} word") == ""
        assert "not a public one" in check("url = https://127.0.0.1:9/hook")
        assert "not a public one" in check("url = https://[::1]:9/hook")
        assert "without TLS" in check("url = http://9.9.9.9/hook")
        assert "no URL" in check("url = https://127.0.0.1:99999999/hook")
        assert check("url = https://9.9.9.9/hook") == ""
        for keys in ("call_allow = 127.0.0.0/8\n", "call_allow = localhost ::1 127.0.0.1\n"):
            assert check("url = http://127.0.0.1:9/hook", keys) == "", keys
        assert check("url = http://localhost:9/hook", "call_allow = localhost\n") == ""
        assert "does not run" in check("url = https://9.9.9.9/", f"program = {program}.gone\n")
        alice.write_config(extra="[handler h]\nduckling = x\n")
        refused = alice.command("doctor", check=False)
        assert refused.returncode != 0 and "id of a duckling" in refused.stderr, refused
        alice.write_config(extra="")


def top_shows_what_passes():
    with Pond("alice", "bob") as pond:
        for line in pond.alice.command("top", "--count", "2", "--json").stdout.splitlines():
            look = json.loads(line)
            assert look["links"] == 1 and look["resident_bytes"] > 1 << 20, look
            assert look["bytes_in_per_s"] >= 0 and look["cpu_share"] >= 0, look
        text = pond.alice.command("top", "--count", "1").stdout
        assert pond.alice.id in text and "1 alive" in text, text
        assert pond.alice.command("top", "--interval", "0", check=False).returncode == 1
        assert pond.alice.command("top", "--count", "x", check=False).returncode == 2


if __name__ == "__main__":
    run(a_well_node_is_found_well,
        each_thing_that_is_wrong_is_named,
        a_seed_that_does_not_answer_is_told,
        handlers_that_would_not_run_are_named,
        top_shows_what_passes)
