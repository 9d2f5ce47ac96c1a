"""A duckling whose key no node has: it hatches, is found, pecks and is pecked, answers, is rotated, and lives on when
its node starts again; by the command line and by an agent in C. Its secret is nowhere but in its own file."""

import base64
import json
import os
import stat
import subprocess

from pond import BIN, Pond, b64, run, until


def refused(node, code, *words):
    done = node.command(*words, "--json", check=False)
    assert done.returncode == 1, (words, done)
    said = json.loads(done.stdout)
    assert said["error"] == code, (words, said)


class Own:
    """A duckling of `node` that keeps its own key."""

    def __init__(self, pond, node, name="Vault"):
        self.node = node
        self.file = os.path.join(pond.folder, name + ".key")
        self.next = os.path.join(pond.folder, name + ".next")
        self.id = node.json("key", "new", name, "--out", self.file, "--next-out", self.next)["duckling"]

    def hatch(self, *flags):
        hatched = self.node.json("hatch", "--key-file", self.file, *flags)
        assert hatched["duckling_id"] == self.id, hatched

    def waits(self, *flags):
        return self.node.json("sign", self.id, *flags)["wanted"]

    def sign(self):
        return self.node.json("sign", "--key-file", self.file)["signed"]

    def peck(self, target, payload="{}", *flags):
        return self.node.json("peck", target, payload, "--key-file", self.file, *flags)

    def secrets(self):
        """Of both files, in all forms that could be written."""
        forms = []
        for path in (self.file, self.next):
            line = open(path).read().split("\n")[1]
            raw = base64.urlsafe_b64decode(line + "=" * (-len(line) % 4))
            assert len(raw) == 32
            forms += [raw, raw.hex().encode(), base64.b64encode(raw)[:40],
                      base64.urlsafe_b64encode(raw)[:40]]
        return forms


def in_directory(node, duckling):
    return [e for e in node.json("directory")["entries"] if e["duckling"] == duckling]


def peck_of(node, peck_id, *states):
    def look():
        asked = node.command("pecks", peck_id, "--json", check=False)  # it may be on its way
        peck = json.loads(asked.stdout) if asked.returncode == 0 else None
        return peck if peck and peck["state"] in states else None

    return until(f"{peck_id} {states}", look)


def receipt_holds(pond, peck, duckling):
    done = next(r for r in peck["receipts"] if r["kind"] == "done")
    assert done["signer"] == duckling, done
    path = os.path.join(pond.folder, "receipt.json")
    with open(path, "w") as file:
        json.dump({"envelope": done["envelope"], "chain": done["chain"]}, file)
    return pond.bob.command("receipt", "verify", path).stdout


def files_of(folder):
    paths = [os.path.join(where, name) for where, _, names in os.walk(folder) for name in names]
    return [path for path in paths if stat.S_ISREG(os.stat(path).st_mode)]


def a_duckling_lives_on_a_node_that_has_no_key_of_it():
    with Pond("alice", "bob", extra="enabled = yes\n") as pond:
        alice, bob = pond.alice, pond.bob
        own = Own(pond, alice)
        assert stat.S_IMODE(os.stat(own.file).st_mode) == 0o600
        assert stat.S_IMODE(os.stat(own.next).st_mode) == 0o600
        friend = bob.json("hatch", "Friend")["duckling_id"]

        own.hatch("--capability", "query")
        waits = own.waits()
        assert [w["type"] for w in waits] == ["duck/record/1"], waits
        assert b64(waits[0]["to_sign"]) == b"DUCKv1 13 duck/record/1 %d " % len(
            b64(waits[0]["body"])) + b64(waits[0]["body"]), waits
        assert not in_directory(bob, own.id)
        assert own.sign() == 1 and own.waits() == []
        until("bob knows it", lambda: in_directory(bob, own.id))
        refused(alice, "conflict", "hatch", "--key-file", own.file)

        # A peck for it: approved, handed out, answered, and that is signed.
        asked = bob.json("peck", own.id, '{"n":1}', "--from", friend, "--wait", "0")["peck_id"]
        peck_of(bob, asked, "pending")
        alice.command("approve", asked)
        assert [p["peck_id"] for p in alice.json("inbox", own.id, "--take")["pecks"]] == [asked]
        answered = alice.json("answer", asked, '{"n":2}')
        assert answered["state"] == "approved" and answered["waits_for"].startswith("sig_"), answered
        waits = own.waits()
        assert [w["id"] for w in waits] == [answered["waits_for"]], waits
        assert waits[0]["peck_id"] == asked and waits[0]["type"] == "duck/receipt/1", waits
        assert peck_of(bob, asked, "approved")
        assert own.sign() == 1
        done = peck_of(bob, asked, "answered")
        assert done["result"] == {"n": 2}, done
        assert own.id in receipt_holds(pond, done, own.id)

        # A peck of it.
        refused(alice, "own_key", "peck", friend, "{}", "--from", own.id)
        refused(alice, "malformed", "peck", friend, "{}", "--key-file", own.file, "--context", "work")
        sent = own.peck(friend, '{"n":3}', "--wait", "0", "--key", "once")
        assert own.peck(friend, '{"n":3}', "--wait", "0", "--key", "once")["peck_id"] == sent["peck_id"]
        peck_of(alice, sent["peck_id"], "pending")
        bob.command("approve", sent["peck_id"])
        bob.command("answer", sent["peck_id"], '{"n":4}')
        assert peck_of(alice, sent["peck_id"], "answered")["result"] == {"n": 4}

        # Whoever signs need not know the network: the node that sends it does.
        done = subprocess.run([os.path.join(BIN, "ducknode"), "peck", friend, "{}", "--key-file", own.file,
                               "--socket", os.path.join(alice.state, "ducknode.sock"), "--wait", "0"],
                              capture_output=True, text=True, timeout=30)
        assert done.returncode == 0 and "pck_" in done.stdout, done

        # Its node starts again: what waited is asked for anew, and an answer is given again.
        asked = bob.json("peck", own.id, '{"n":5}', "--from", friend, "--wait", "0")["peck_id"]
        peck_of(bob, asked, "pending")
        alice.command("approve", asked)
        alice.command("answer", asked, '{"n":6}')
        assert len(own.waits()) == 1
        alice.stop()
        alice.start()
        waits = until("its entry is asked for anew", own.waits)
        assert [w["type"] for w in waits] == ["duck/record/1"], waits
        alice.command("answer", asked, '{"n":6}')
        assert own.sign() == 2
        assert peck_of(bob, asked, "answered")["result"] == {"n": 6}

        # A new key.
        refused(alice, "own_key", "rotate", own.id)
        old = own.file
        files = [own.file + "2", own.next + "2"]
        alice.command("key", "rotate", "--key-file", own.file, "--next", own.next, "--out", files[0],
                      "--next-out", files[1])
        secrets = own.secrets()
        own.file, own.next = files
        alice.command("key", "hand-in", "--key-file", own.file)
        alice.command("key", "hand-in", "--key-file", own.file)  # again: no second rotation
        stale = alice.command("sign", "--key-file", old, check=False)
        assert stale.returncode == 1 and "key" in stale.stderr, stale
        assert own.sign() >= 1
        until("bob knows its new certificate", lambda: len(
            bob.json("directory", own.id)["entries"]) == 1 and len(bob.http(
                "GET", f"/beak/certificate/{own.id}")["certificates"]) == 2)
        sent = own.peck(friend, '{"n":7}', "--wait", "0")
        peck_of(alice, sent["peck_id"], "pending")

        # Nothing of its secrets is anywhere but in its own files.
        secrets += own.secrets()
        for path in [*files_of(alice.state), *files_of(bob.state)]:
            found = open(path, "rb").read()
            assert not any(secret in found for secret in secrets), path
        for node in (alice, bob):
            for line in node.lines:
                assert not any(secret in line.encode() for secret in secrets), line


def it_comes_back_from_a_backup_and_signs_its_entry_anew():
    with Pond("alice", "bob", extra="enabled = yes\n") as pond:
        alice, bob = pond.alice, pond.bob
        own = Own(pond, alice)
        own.hatch()
        own.sign()
        until("bob knows it", lambda: in_directory(bob, own.id))
        words, file = os.path.join(pond.folder, "words"), os.path.join(pond.folder, "alice.backup")
        with open(os.open(words, os.O_WRONLY | os.O_CREAT, 0o600), "w") as out:
            out.write("a passphrase of some length\n")
        alice.command("backup", file, "--passphrase-file", words)
        alice.stop()
        os.rename(alice.state, alice.state + ".lost")
        alice.command("restore", file, "--passphrase-file", words)
        alice.start()
        alice.says("another node was heard")
        assert until("its entry is asked for anew", own.waits)
        assert own.sign() >= 1
        for path in files_of(alice.state):
            found = open(path, "rb").read()
            assert not any(secret in found for secret in own.secrets()), path
        friend = bob.json("hatch", "Friend")["duckling_id"]
        until("alice knows the friend", lambda: in_directory(alice, friend))
        sent = own.peck(friend, "{}", "--wait", "0")
        peck_of(alice, sent["peck_id"], "pending")


def one_whose_key_was_replaced_moves_to_another_node():
    with Pond("alice", "bob", "carol", extra="enabled = yes\n") as pond:
        alice, bob, carol = pond.alice, pond.bob, pond.carol
        own = Own(pond, alice)
        own.hatch()
        own.sign()
        until("bob knows it", lambda: in_directory(bob, own.id))
        new, new_next = own.file + ".new", own.next + ".new"
        alice.command("key", "rotate", "--key-file", own.file, "--next", own.next, "--out", new, "--next-out", new_next)
        alice.command("key", "hand-in", "--key-file", new)
        own.file, own.next = new, new_next
        refused(bob, "conflict", "hatch", "--key-file", own.file)  # a thief of the old key would speak there
        own.sign()
        until("bob heard it", lambda: bob.command("hatch", "--key-file", own.file, check=False).returncode == 0)
        own.node = bob
        assert until("its entry waits at bob", own.waits)
        own.sign()
        until("carol finds it at bob", lambda: in_directory(carol, own.id)[0]["host"] == bob.id)
        friend = carol.json("hatch", "Friend")["duckling_id"]
        until("bob knows the friend", lambda: in_directory(bob, friend))
        sent = own.peck(friend, "{}", "--wait", "0")
        peck_of(carol, sent["peck_id"], "pending")


def what_a_handler_answers_waits_for_the_signature():
    with Pond("alice", "bob", extra="enabled = yes\n") as pond:
        alice, bob = pond.alice, pond.bob
        own = Own(pond, alice)
        own.hatch()
        alice.stop()
        alice.write_config(extra="enabled = yes\n"
                           f"[handler echo]\nduckling = {own.id}\naction = query\nargv = /bin/echo 7\n")
        alice.start()
        until("its entry is asked for anew", own.waits)
        own.sign()
        friend = bob.json("hatch", "Friend")["duckling_id"]
        until("bob knows it", lambda: in_directory(bob, own.id))
        bond = bob.json("peck", own.id, "--bond", "query", "--from", friend, "--wait", "0")["peck_id"]
        peck_of(bob, bond, "pending")
        alice.command("approve", bond)
        own.sign()
        peck_of(bob, bond, "approved")
        until("the bond at bob", lambda: bob.json("bonds")["bonds"])
        own.sign()  # that they are bonded
        asked = bob.json("peck", own.id, "{}", "--from", friend, "--wait", "0")["peck_id"]
        assert until("the handler's answer", lambda: own.waits("--wait", "10"))[0]["peck_id"] == asked
        peck_of(bob, asked, "taken")
        assert own.sign() == 1
        assert peck_of(bob, asked, "answered")["result"] == 7


def what_others_tools_read_of_it_is_made_where_its_key_is():
    with Pond("alice", extra="enabled = yes\n") as pond:
        own = Own(pond, pond.alice)
        own.hatch()
        refused(pond.alice, "own_key", "certificate", "export", own.id)
        path = os.path.join(pond.folder, "jws")
        with open(path, "w") as file:
            file.write(pond.alice.command("key", "jws", "--key-file", own.file).stdout)
        assert pond.alice.json("certificate", "verify", path)["identity"] == own.id
        # And grants.
        friend = pond.alice.json("hatch", "Friend")["duckling_id"]
        grant = pond.alice.command("grant", "make", "--key", own.file, "--to", friend, "--scope", "query").stdout
        own.sign()
        leave = os.path.join(pond.folder, "leave")
        with open(leave, "w") as file:
            file.write(grant)
        sent = pond.alice.json("peck", own.id, "{}", "--from", friend, "--grant", leave, "--wait", "0")
        peck_of(pond.alice, sent["peck_id"], "taken")


def an_agent_in_c_signs_what_it_says():
    with Pond("alice", "bob", extra="enabled = yes\n") as pond:
        own = Own(pond, pond.bob, "Echo")
        asker = pond.alice.json("hatch", "Asker")["duckling_id"]
        agent = subprocess.Popen(
            [os.path.join(BIN, "example_own_key"), own.file], stdout=subprocess.PIPE, text=True,
            env={**os.environ, "DUCKNODE_SOCKET": os.path.join(pond.bob.state, "ducknode.sock")})
        try:
            assert agent.stdout.readline().strip() == own.id
            until("the agent in alice's directory", lambda: in_directory(pond.alice, own.id))
            asked = pond.alice.json("peck", own.id, "--bond", "query", "--from", asker, "--wait", "0")
            until("the request at bob", lambda: [
                p for p in pond.bob.json("inbox", own.id)["pecks"]
                if p["peck_id"] == asked["peck_id"]])
            assert pond.bob.json("approve", asked["peck_id"])["waits_for"]
            until("the bond at alice", lambda: pond.alice.json("bonds")["bonds"])
            answer = pond.alice.json("peck", own.id, '{"n":2}', "--from", asker, "--wait", "20")
            assert answer["state"] == "answered" and answer["result"] == {"n": 2}, answer
        finally:
            agent.terminate()
            agent.wait(10)


def what_is_signed_elsewhere_is_handed_in_and_what_is_wrong_is_refused():
    with Pond("alice", extra="enabled = yes\n") as pond:
        own = Own(pond, pond.alice)
        own.hatch()
        waits = own.waits()[0]
        junk = base64.b64encode(bytes(64)).decode()
        refused(pond.alice, "malformed", "sign", own.id, waits["id"], "--signature", junk)
        refused(pond.alice, "not_found", "sign", own.id, "sig_" + "a" * 32, "--signature", junk)
        assert own.waits("--after", str(waits["number"]), "--wait", "1") == []
        # Whoever waits hears of what comes.
        listener = subprocess.Popen(
            [os.path.join(BIN, "ducknode"), "sign", own.id, "--after", str(waits["number"]),
             "--wait", "30", "--json", "--config", pond.alice.config],
            stdout=subprocess.PIPE, text=True)
        until("the listener asks", lambda: listener.poll() is None)
        pond.alice.command("profile", own.id, "--bio", "a new one")
        heard = json.loads(listener.communicate(timeout=30)[0])["wanted"]
        assert len(heard) == 1 and heard[0]["id"] != waits["id"], heard
        refused(pond.alice, "key", "key", "new", "Vault", "--out", own.file, "--next-out",
                own.next + ".other")
        assert not os.path.exists(own.next + ".other")
        open_to_all = own.file + ".open"
        with open(open_to_all, "w") as file:
            file.write(open(own.file).read())
        os.chmod(open_to_all, 0o644)
        refused(pond.alice, "key", "sign", "--key-file", open_to_all)
        # What waits is not told as done.
        changed = pond.alice.json("profile", own.id, "--bio", "a newer one")
        assert changed["waits_for"] in [w["id"] for w in own.waits()], changed
        ended = pond.alice.json("revoke", own.id, "--for-good")
        assert ended["revoked"] is False and ended["waits_for"] in [w["id"] for w in own.waits()], ended
        own.sign()
        assert pond.alice.json("revoke", own.id, "--for-good")["revoked"] is True


def who_brings_its_certificate_elsewhere_gets_nothing_of_it():
    with Pond("alice", "bob", extra="enabled = yes\n") as pond:
        alice, bob = pond.alice, pond.bob
        own = Own(pond, alice)
        friend = bob.json("hatch", "Friend")["duckling_id"]
        own.hatch()
        own.sign()
        until("bob knows it", lambda: in_directory(bob, own.id))
        asked = bob.json("peck", own.id, "--from", friend, "--bond", "query", "--wait", "0")["peck_id"]
        peck_of(bob, asked, "pending")
        alice.command("approve", asked)
        own.sign()
        peck_of(bob, asked, "approved")
        (bond,) = alice.json("bonds", own.id)["bonds"]
        assert len(bob.json("bonds", own.id)["bonds"]) == 1  # whoever runs the node sees what it holds

        bob.command("hatch", "--key-file", own.file)
        assert bob.json("bonds", own.id)["bonds"] == []
        refused(bob, "not_allowed", "unpeck", own.id, bond["bond_id"])
        refused(bob, "not_allowed", "unpeck", own.id, friend)
        assert len(bob.json("bonds", friend)["bonds"]) == 1
        own.node = bob  # its owner it was: it moves
        own.sign()
        assert len(bob.json("bonds", own.id)["bonds"]) == 1
        bob.command("unpeck", own.id, bond["bond_id"])
        assert bob.json("bonds", friend)["bonds"] == []


run(a_duckling_lives_on_a_node_that_has_no_key_of_it,
    it_comes_back_from_a_backup_and_signs_its_entry_anew,
    one_whose_key_was_replaced_moves_to_another_node, what_a_handler_answers_waits_for_the_signature,
    what_others_tools_read_of_it_is_made_where_its_key_is, an_agent_in_c_signs_what_it_says,
    what_is_signed_elsewhere_is_handed_in_and_what_is_wrong_is_refused,
    who_brings_its_certificate_elsewhere_gets_nothing_of_it)
