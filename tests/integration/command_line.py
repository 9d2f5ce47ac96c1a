"""What is typed is taken at its word or refused, with the exit status that commands.h promises."""

import glob
import json
import os
import re
import subprocess
import tempfile

from pond import BIN, SOURCE, Pond, run


def duck(*words):
    done = subprocess.run([os.path.join(BIN, "ducknode"), *words], capture_output=True, text=True,
                          timeout=30)
    return done.returncode, done.stdout, done.stderr


def refused(status, why, *words):
    code, said, error = duck(*words)
    assert (code, why in error) == (status, True), (words, code, said, error)


def a_node_stays_in_the_network_that_it_was_made_for():
    with Pond("alice") as pond:
        alice = pond.alice
        network = alice.json("status")["network"]
        alice.stop()
        with open(alice.config) as file:
            lines = [line for line in file if not line.startswith("network")]
        with open(alice.config, "w") as file:
            file.writelines(lines)
        assert f"network = {network}" in alice.command("run", "--check-config").stdout
        other = alice.command("run", "--network", "other", check=False)
        assert other.returncode == 1 and "not of other" in other.stderr, other
        os.unlink(os.path.join(alice.state, "network"))  # as a node of an earlier release
        alice.write_config()
        alice.start()
        assert open(os.path.join(alice.state, "network")).read() == network + "\n"


def init_says_how_this_very_node_is_run():
    with tempfile.TemporaryDirectory() as folder:
        state = os.path.join(folder, "node")
        code, said, _ = duck("init", "--state-dir", state, "--network", "demo")
        assert code == 0 and f"ducknode run --state-dir {state}\n" in said, said
        assert "network = demo\n" in duck("run", "--state-dir", state, "--check-config")[1]


def a_state_folder_that_others_may_look_into_is_refused_with_what_helps():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        refused(1, "chmod 700", "init", "--state-dir", folder)
        os.chmod(folder, 0o700)
        assert duck("init", "--state-dir", folder)[0] == 0


def a_passphrase_file_that_cannot_be_read_is_named():
    with tempfile.TemporaryDirectory() as folder:
        state, none = os.path.join(folder, "node"), os.path.join(folder, "none")
        assert duck("init", "--state-dir", state)[0] == 0
        words = ("run", "--state-dir", state, "--no-gateway", "--listen", "127.0.0.1:0",
                 "--passphrase-file", none)
        refused(1, none, *words, "--check-config")
        refused(1, none, *words)
        open(none, "w").close()
        os.chmod(none, 0o600)
        refused(1, "it is empty", *words)
        os.chmod(none, 0o644)
        refused(1, "others may read it", *words)


def an_init_that_fails_leaves_no_half_of_a_node():
    with tempfile.TemporaryDirectory() as folder:
        state, passphrase = os.path.join(folder, "node"), os.path.join(folder, "passphrase")
        with open(passphrase, "w") as file:
            file.write("a long passphrase\n")
        os.chmod(passphrase, 0o600)
        refused(1, "passphrase file", "init", "--state-dir", state,
                "--next-passphrase-file", os.path.join(folder, "none"))
        assert os.listdir(state) == [], os.listdir(state)
        os.mkdir(os.path.join(state, "ducklings.next.key"))  # what comes last cannot be made
        refused(1, "", "init", "--state-dir", state)
        assert os.listdir(state) == ["ducklings.next.key"], os.listdir(state)
        os.rmdir(os.path.join(state, "ducklings.next.key"))
        code, _, error = duck("init", "--state-dir", state, "--next-passphrase-file", passphrase)
        assert code == 0, error


def help_is_given_where_it_is_asked_for():
    for words in (("--help",), ("-h",), ("help",)):
        assert duck(*words)[:2] == duck("--help")[:2], words
    assert duck("help", "init") == duck("init", "--help")
    for words in (("init", "-h"), ("grant", "show", "-h")):
        assert duck(*words) == duck(words[0], "--help"), words
    for words in (("frob",), ("help", "frob")):
        code, said, error = duck(*words)
        assert (code, said) == (2, "") and error.count("\n") == 1 and "frob" in error, error


def each_command_stands_in_one_chapter_of_the_help():
    commands = []
    for path in glob.glob(os.path.join(SOURCE, "node", "commands_*.c")):
        with open(path, encoding="utf-8") as file:
            commands += re.findall(r'^    \{"([a-z-]+)",\s+"[^"]*"(?:\s+"[^"]*")*,\s+\d+,\s+\w+,', file.read(), re.M)
    listed = re.findall(r"^  ([a-z-]+)  ", duck("--help")[1], re.M)
    assert len(commands) > 40 and sorted(commands) == sorted(listed), set(commands) ^ set(listed)


def help_says_what_is_read_where_nothing_is_said():
    said = subprocess.run([os.path.join(BIN, "ducknode"), "status", "--help"], capture_output=True, text=True,
                          env={"XDG_CONFIG_HOME": "/srv/c", "XDG_STATE_HOME": "/srv/s", "HOME": "/srv/h"}).stdout
    config, state = ("/etc", "/var/lib") if os.geteuid() == 0 else ("/srv/c", "/srv/s")
    assert f"instead of {config}/ducknode/ducknode.conf\n" in said, said
    assert f"by default {state}/ducknode\n" in said, said


def a_bond_request_shows_its_scopes_from_the_first_answer_on():
    with Pond("alice") as pond:
        alice = pond.alice
        ones = [alice.json("hatch", name)["duckling_id"] for name in ("One", "Two")]
        words = ("peck", ones[1], "--from", ones[0], "--bond", "data.read", "--bond", "time.*")
        sent = alice.json(*words, "--wait", "0")
        assert sent["scopes"] == ["data.read", "time.*"], sent
        assert alice.json("pecks", sent["peck_id"])["scopes"] == sent["scopes"]
        alice.command("approve", sent["peck_id"])
        entries = alice.command("audit", "list").stdout.splitlines()
        assert all(re.match(r" *\d+  20", entry) for entry in entries), entries
        assert any("data.read time.*" in entry for entry in entries), entries


def what_makes_no_sense_is_refused_and_not_read_as_something_else():
    with Pond("alice") as pond:
        alice = pond.alice
        ones = [alice.json("hatch", name)["duckling_id"] for name in ("One", "Two")]
        send = ("peck", ones[1], "{}", "--from", ones[0])

        def misused(why, *words):
            done = alice.command(*words, check=False)
            assert (done.returncode, why in done.stderr) == (2, True), (words, done)

        misused("--box is in or out", "pecks", "--box", "frob")
        misused("--state is alive", "peers", "--state", "frob")
        misused("no JSON", "peck", ones[1], '{"city":', "--from", ones[0])
        misused("no JSON", "peck", ones[1], '{"a": 1, "a": 2}', "--from", ones[0])
        misused("--from", *send[:3])
        misused("--expires-in", *send, "--expires-in", "0")
        misused("too many seconds", *send, "--expires-in", "18446744073709552")
        misused("too many seconds", *send, "--wait", "18446744073709552")
        misused("too many seconds", "directory", "--alive", "18446744073709552")
        misused("too many seconds", "inbox", ones[0], "--take", "--lease", "18446744073709552")
        assert alice.json("pecks")["pecks"] == []

        many = alice.command("inbox", ones[0], "--take", "--limit", "4294967297", check=False)
        assert many.returncode == 1, many
        peck = alice.json(*send, "--wait", "0")["peck_id"]
        alice.command("approve", peck)
        misused("no JSON", "answer", peck, "sunny")
        misused("no JSON", "answer", peck, "sunny", "--partial")
        assert alice.json("answer", peck, '"sunny"')["result"] == "sunny"


def words_that_no_command_knows_are_misuse_and_no_failure():
    with Pond("alice") as pond:
        alice = pond.alice
        duckling = alice.json("hatch", "One")["duckling_id"]
        for words in (("audit", "frob"), ("grant", "key", duckling), ("grant", "show"), ("grant", "frob"),
                      ("handlers", "frob"), ("limits", "set"), ("limits", "frob"), ("limits", "show", "peck"),
                      ("operator", "sign"), ("operator", "revoke"), ("operator", "publish"), ("operator", "trust"),
                      ("operator", "frob"), ("receipt", "frob", alice.config), ("certificate", "frob", duckling),
                      ("bond", "frob", duckling), ("lobster", "frob"), ("revoke", "frob", duckling, "--for-good")):
            for as_json in ((), ("--json",)):
                done = alice.command(*words, *as_json, check=False)
                assert done.returncode == 2 and done.stderr.startswith("ducknode " + words[0]), (words, done)
                assert f"(see ducknode {words[0]} --help)\n" in done.stderr, (words, done)
                assert not as_json or json.loads(done.stdout)["error"] == "usage", (words, done)


def a_file_that_may_not_grow_does_not_kill_the_node():
    with tempfile.TemporaryDirectory() as folder:
        state = os.path.join(folder, "node")
        assert duck("init", "--state-dir", state)[0] == 0
        words = f"ulimit -f 10; exec {BIN}/ducknode run --no-gateway --listen 127.0.0.1:0"
        done = subprocess.run(["bash", "-c", f"{words} --state-dir {state}"], timeout=30,
                              capture_output=True, text=True)
        assert done.returncode == 1 and "store" in done.stderr, done


run(a_node_stays_in_the_network_that_it_was_made_for, init_says_how_this_very_node_is_run,
    a_state_folder_that_others_may_look_into_is_refused_with_what_helps,
    a_passphrase_file_that_cannot_be_read_is_named,
    an_init_that_fails_leaves_no_half_of_a_node, help_is_given_where_it_is_asked_for, each_command_stands_in_one_chapter_of_the_help,
    help_says_what_is_read_where_nothing_is_said, a_bond_request_shows_its_scopes_from_the_first_answer_on,
    what_makes_no_sense_is_refused_and_not_read_as_something_else,
    words_that_no_command_knows_are_misuse_and_no_failure,
    a_file_that_may_not_grow_does_not_kill_the_node)
