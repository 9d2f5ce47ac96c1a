"""A node is lost and comes back from a backup: nothing that it said since falls back, and nothing is said or done twice."""

import json
import os
import shutil
import signal
import subprocess
import time

from pond import BIN, Pond, Refused, refusal, run, until

PASSPHRASE = "a passphrase of some length\n"


def passphrase(pond, text=PASSPHRASE):
    path = os.path.join(pond.folder, f"words-{len(text)}")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    return path


def lose(node):
    """The state folder is gone; but the gateway has its own backup."""
    if node.process.poll() is None:
        node.kill()
        node._end_orphan()
    shutil.move(os.path.join(node.state, "gateway"), node.state + ".gateway")
    shutil.move(node.state, node.state + ".lost")


def restore(node, file, words, *flags):
    node.command("restore", file, "--passphrase-file", words, *flags)
    shutil.move(node.state + ".gateway", os.path.join(node.state, "gateway"))


def entry(node, duck):
    """What a node's directory shows of a duckling."""
    status, body, _ = node.http("GET", f"/beak/directory/{duck.id}", raw=True)
    return body.decode() if status == 200 else ""


def bonds(duck):
    return {bond["bond_id"] for bond in duck.get("/beak/bonds")["bonds"]}


def bond(asks, grants, scope="query"):
    """A bond has the id of the peck that asked for it."""
    return "bnd_" + asks.bond_with(grants, scope)[len("pck_"):]


def audit_is_valid(node):
    checked = node.json("audit", "verify")
    assert checked["valid"], checked
    return checked


def speaks(duck, bio):
    """As soon as its node has heard another one, which it waits for after a restore."""
    def look():
        try:
            return duck.post("/beak/profile", bio=bio)
        except Refused as refused:
            assert refused.body["error"] == "busy", refused
            return None

    until("the restored node to speak", look)


def what_was_granted_before_a_restore_is_asked_for_anew():
    """It may have been revoked since the backup, and nobody else knows."""
    with Pond("alice", "bob") as pond:
        alice, bob = pond.nodes
        ann, bea = alice.hatch("a@example.org", "Ann"), bob.hatch("b@example.org", "Bea")
        bea.knows(ann)
        ann.knows(bea)

        def grant():
            return alice.command("grant", "make", "--from", ann.id, "--to", bea.id, "--scope",
                                 "query").stdout.strip()

        def ask(text, *ends):
            asked = bea.post("/beak/peck", target=ann.id, action="query", grant=text)
            return bea.becomes(asked["peck_id"], *ends)

        old = grant()
        ask(old, "taken")
        words, file = passphrase(pond), os.path.join(pond.folder, "alice.backup")
        alice.command("backup", file, "--passphrase-file", words)
        path = os.path.join(pond.folder, "old.grant")
        with open(path, "w") as out:
            out.write(old)
        alice.command("grant", "revoke", path)
        assert "revoked" in ask(old, "failed")["problem"]
        lose(alice)
        restore(alice, file, words)
        alice.start()
        speaks(ann, "back again")
        assert "restored from a backup" in ask(old, "failed")["problem"]
        ask(grant(), "taken")
        found = json.loads(alice.command("doctor", "--json", check=False).stdout)["checks"]
        [told] = [check for check in found if check["check"] == "restored"]
        assert told["result"] == "warn" and "make grants anew" in told["help"], told


def what_came_since_the_backup_stays():
    with Pond("alice", "bob", "carol") as pond:
        alice, bob, carol = pond.nodes
        a, b = alice.hatch("a@example.org", "Ada"), bob.hatch("b@example.org", "Bea")
        c, d = carol.hatch("c@example.org", "Cid"), bob.hatch("d@example.org", "Dan")
        for node in pond.nodes:
            for duck in (a, b, c, d):
                until(f"{node.name} knows all", lambda node=node, duck=duck: entry(node, duck))
        ended_there, ended_here, stays = bond(a, b), bond(a, c), bond(a, d)
        back = bond(d, a, "ask")
        words = passphrase(pond)
        file = os.path.join(pond.folder, "alice.backup")

        # As the backup sees it: one peck with carol's node, one on its way to it, one here and unanswered.
        taken = a.post("/beak/peck", target_duckling_id=c.id, action="query", payload={"n": 1})["peck_id"]
        a.becomes(taken, "taken")
        carol.stop()
        on_its_way = a.post("/beak/peck", target_duckling_id=c.id, action="query", payload={"n": 2})["peck_id"]
        never = a.post("/beak/peck", target_duckling_id=c.id, action="query", payload={"n": 3})["peck_id"]
        here = d.post("/beak/peck", target_duckling_id=a.id, action="ask", payload={"n": 4})["peck_id"]
        open_here = d.post("/beak/peck", target_duckling_id=a.id, action="ask", payload={"n": 5})["peck_id"]
        for peck in (here, open_here):
            d.becomes(peck, "taken")
        made = alice.json("backup", file, "--passphrase-file", words)
        assert made["node_id"] == alice.id and made["next_keys_lie_here"], made
        held = audit_is_valid(alice)["last_entry"]

        # A week goes by: the one is taken back before it left, the others are answered, the profile is
        # another one, two bonds end.
        a.post("/beak/cancel", peck_id=never)
        carol.start()
        a.becomes(on_its_way, "taken", "sent")
        waiting = {taken, on_its_way}
        while waiting:
            for peck in until("carol's agent has it", lambda: c.get("/beak/inbox", wait=5)["pecks"]):
                c.post("/beak/answer", peck_id=peck["peck_id"], result={"first": peck["payload"]["n"]})
                waiting.remove(peck["peck_id"])
        assert a.becomes(on_its_way, "answered")["result"] == {"first": 2}
        assert a.becomes(taken, "answered")["result"] == {"first": 1}
        for peck in a.get("/beak/inbox", wait=5)["pecks"]:
            if peck["peck_id"] == here:
                a.post("/beak/answer", peck_id=here, result={"once": True})
        d.becomes(here, "answered")
        a.post("/beak/profile", bio="what Ada says today")
        b.post("/beak/unpeck", bond_id=ended_there)
        a.post("/beak/unpeck", bond_id=ended_here)
        until("the ends are known", lambda: bonds(a) == {stays, back} and not bonds(b) and not bonds(c))
        for node in (bob, carol):
            until(f"{node.name} hears what Ada says",
                  lambda node=node: "what Ada says today" in entry(node, a))
        audit_is_valid(alice)

        lose(alice)
        restore(alice, file, words)
        alice.start()
        alice.says("restored from a backup")
        alice.says("another node was heard")
        until("alice links", lambda: alice.json("status")["links"] == 2)

        # No record falls back; bonds that ended stay ended.
        until("the bonds that ended end", lambda: bonds(a) == {stays, back})
        until("alice shows what Ada said", lambda: "what Ada says today" in entry(alice, a))
        a.post("/beak/profile", capabilities=["later"])
        for node in pond.nodes:
            until(f"{node.name} hears more", lambda node=node: "later" in entry(node, a)
                  and "what Ada says today" in entry(node, a))
        assert not bonds(b) and not bonds(c) and bonds(d) == {stays, back}

        # No peck is sent, handed out or answered twice.
        assert a.becomes(on_its_way, "answered")["result"] == {"first": 2}
        assert a.becomes(taken, "answered")["result"] == {"first": 1}
        a.becomes(never, "cancelled")
        assert c.get("/beak/inbox")["pecks"] == []
        assert len(c.get("/beak/pecks", box="in", state="taken")["pecks"]) == 0
        work = until("what is open comes again", lambda: a.get("/beak/inbox", wait=5)["pecks"])
        assert [peck["peck_id"] for peck in work] == [open_here], work
        a.post("/beak/answer", peck_id=open_here, result={"late": True})
        d.becomes(open_here, "answered")
        assert d.peck(here)["result"] == {"once": True}
        assert a.get("/beak/inbox")["pecks"] == []

        # No number is used again.
        until("it is signed", lambda: audit_is_valid(alice)["entries_after_last_checkpoint"] == 0)
        checked = audit_is_valid(alice)
        assert checked["restored"] == 1 and checked["last_entry"] > held + 10 ** 12, checked
        kinds = [each["kind"] for each in alice.json("audit", "list")]
        assert kinds.count("restored") == 1, kinds

        # And once more from the same backup.
        lose_again = node_versions = checked["last_entry"]
        shutil.rmtree(alice.state + ".lost")
        lose(alice)
        restore(alice, file, words)
        alice.start()
        alice.says("another node was heard")
        assert audit_is_valid(alice)["last_entry"] > lose_again == node_versions
        until("and Ada says the same", lambda: "later" in entry(alice, a)
              and "what Ada says today" in entry(alice, a))
        sent = a.post("/beak/peck", target_duckling_id=d.id, action="query", payload={"n": 6})["peck_id"]
        until("it arrives", lambda: d.get("/beak/inbox", wait=5)["pecks"])
        d.post("/beak/answer", peck_id=sent, result={})
        a.becomes(sent, "answered")


def a_key_that_was_rotated_since_is_found_out():
    with Pond("alice", "bob") as pond:
        alice, bob = pond.nodes
        a, old = alice.hatch("a@example.org", "Ada"), alice.hatch("o@example.org", "Old")
        words, stick = passphrase(pond), alice.state + ".stick"
        files = [os.path.join(pond.folder, name) for name in ("one", "two")]
        os.mkdir(stick, 0o700)
        for name in ("node.next.key", "ducklings.next.key"):
            shutil.move(os.path.join(alice.state, name), stick)
        until("bob knows them", lambda: entry(bob, a) and entry(bob, old))
        assert not alice.json("backup", files[0], "--passphrase-file", words)["next_keys_lie_here"]

        # Of a duckling: the node goes on, the duckling does not.
        alice.command("rotate", old.id, "--next-key-dir", stick)
        until("bob hears of it", lambda: len(bob.http("GET", f"/beak/certificate/{old.id}")["certificates"]) == 2)
        lose(alice)
        restore(alice, files[0], words)
        alice.start()
        alice.says(f"{old.id}: its key was rotated after the backup")
        alice.says("another node was heard")
        speaks(a, "goes on")
        refusal(lambda: old.post("/beak/profile", bio="does not"), 409)
        alice.stop()
        alice.start()
        refusal(lambda: old.post("/beak/profile", bio="does not"), 409)
        assert "does not" not in entry(bob, old)

        # Of the node: it says so and ends, every time; the next key, from the stick, takes over.
        alice.command("backup", files[1], "--passphrase-file", words)
        alice.command("rotate", "--next-key-dir", stick)
        until("bob hears of it", lambda: len(bob.http("GET", f"/beak/certificate/{alice.id}")["certificates"]) == 2)
        shutil.rmtree(alice.state + ".lost")
        lose(alice)
        restore(alice, files[1], words)
        alice.process = subprocess.Popen([os.path.join(BIN, "ducknode"), "run", "--config", alice.config],
                                         stderr=subprocess.PIPE, text=True)
        said = alice.process.communicate(timeout=30)[1]
        assert alice.process.returncode == 1 and "this node: its key was rotated after" in said, said
        alice._end_orphan()
        done = alice.command("run", check=False)
        assert done.returncode == 1 and "takes over with the key that was promised" in done.stderr, done
        alice.command("rotate", "--next-key-dir", stick)
        assert alice.json("id")["certificates"] == 3
        alice.start()
        until("bob hears of that, too",
              lambda: len(bob.http("GET", f"/beak/certificate/{alice.id}")["certificates"]) == 3)
        speaks(a, "is back")
        until("and of Ada", lambda: "is back" in entry(bob, a))


def what_does_not_hold_is_refused_and_leaves_nothing():
    with Pond("alice") as pond:
        alice = pond.alice
        alice.hatch("a@example.org", "Ada")
        words, file = passphrase(pond), os.path.join(pond.folder, "backup")

        def refused(why, *arguments):
            done = alice.command(*arguments, check=False)
            assert done.returncode == 1 and why in done.stderr, (arguments, done)

        refused("sealed with a passphrase", "backup", file)
        alice.command("backup", file, "--passphrase-file", words)
        assert oct(os.stat(file).st_mode & 0o777) == "0o600"
        data = open(file, "rb").read()
        for secret in (b"Ada", alice.id.encode(), b"SQLite format", b"DUCKKEY"):
            assert secret not in data, secret
        refused("there is a file of this name", "backup", file, "--passphrase-file", words)
        assert open(file, "rb").read() == data
        refused("cannot write in", "backup", "/nowhere/at/all", "--passphrase-file", words)
        refused("a ducknode runs in", "restore", file, "--passphrase-file", words)
        alice.stop()
        refused("holds a node", "restore", file, "--passphrase-file", words)

        for name in ("elsewhere", "there"):
            os.mkdir(os.path.join(pond.folder, name), 0o700)
        away = ("--state-dir", os.path.join(pond.folder, "elsewhere"))
        other = passphrase(pond, "another\n")
        wrong = os.path.join(pond.folder, "wrong")
        places = [0, 6, 9, 20, 40, 60, 100, 70000, len(data) // 2, len(data) - 40, len(data) - 1]
        for place in places:
            turned = bytearray(data)
            turned[place] ^= 4
            open(wrong, "wb").write(turned)
            done = alice.command("restore", wrong, "--passphrase-file", words, *away, check=False)
            assert done.returncode == 1 and "nothing was restored: " in done.stderr, (place, done)
            assert os.listdir(away[1]) == ["lock"], (place, os.listdir(away[1]))
        for size in (0, 5, 63, 64, 96, 1000, 65536 + 17 + 64, len(data) - 32, len(data) - 1):
            open(wrong, "wb").write(data[:size])
            done = alice.command("restore", wrong, "--passphrase-file", words, *away, check=False)
            assert done.returncode == 1 and ("damaged" in done.stderr or "no backup" in done.stderr), (size, done)
            assert os.listdir(away[1]) == ["lock"], size
        open(wrong, "wb").write(data + b"more")
        refused("damaged", "restore", wrong, "--passphrase-file", words, *away)
        open(wrong, "wb").write(data[:7] + b"2" + data[8:])
        refused("later release", "restore", wrong, "--passphrase-file", words, *away)
        refused("the passphrase is wrong", "restore", file, "--passphrase-file", other, *away)
        assert os.listdir(away[1]) == ["lock"]

        # Alone in its network it waits for nobody, if told so.
        alice.command("restore", file, "--passphrase-file", words, "--alone", *away)
        assert not os.path.exists(os.path.join(away[1], "node.next.key"))
        shutil.move(os.path.join(alice.state, "gateway"), os.path.join(away[1], "gateway"))
        shutil.rmtree(alice.state)
        shutil.move(away[1], alice.state)
        assert "state_dir" in open(os.path.join(alice.state, "ducknode.conf.restored")).read()
        alice.start()
        alice.hatch("b@example.org", "Bea").post("/beak/profile", bio="speaks at once")


def who_waits_for_another_node_says_so():
    with Pond("alice") as pond:
        alice = pond.alice
        a = alice.hatch("a@example.org", "Ada")
        words, file = passphrase(pond), os.path.join(pond.folder, "backup")
        alice.command("backup", file, "--passphrase-file", words)
        lose(alice)
        restore(alice, file, words)
        alice.start()
        try:
            a.post("/beak/profile", bio="too early")
            raise AssertionError("it speaks before it has heard anybody")
        except Refused as refused:
            assert refused.status == 503 and "heard another node" in str(refused), refused


def killed_at_any_time_it_leaves_nothing_or_all():
    with Pond("alice") as pond:
        alice = pond.alice
        alice.hatch("a@example.org", "Ada")
        words, file = passphrase(pond), os.path.join(pond.folder, "safe", "backup")
        os.mkdir(os.path.dirname(file))
        program = os.path.join(BIN, "ducknode")

        def kill_after(seconds, *arguments):
            child = subprocess.Popen([program, *arguments, "--passphrase-file", words, "--config", alice.config],
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                child.wait(seconds)
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
                child.wait()
            return child.returncode

        began = time.monotonic()
        alice.command("backup", file, "--passphrase-file", words)
        whole = time.monotonic() - began
        os.unlink(file)
        cut, steps = 0, 6
        for step in range(steps):
            cut += kill_after(whole * 1.2 * step / steps, "backup", file) == -signal.SIGKILL
            left = os.listdir(os.path.dirname(file))
            assert left in ([], ["backup"]), left
            if left:
                os.unlink(file)
        assert cut > 0
        alice.command("backup", file, "--passphrase-file", words)
        assert "node.db.backup" not in os.listdir(alice.state)

        folder = os.path.join(pond.folder, "back")
        began = time.monotonic()
        alice.command("restore", file, "--passphrase-file", words, "--state-dir", folder)
        whole = time.monotonic() - began
        expected = {name: open(os.path.join(folder, name), "rb").read() for name in os.listdir(folder)
                    if name != "restored"}
        for step in range(steps):
            shutil.rmtree(folder)
            kill_after(whole * 1.2 * step / steps, "restore", file, "--state-dir", folder)
            if not os.path.exists(os.path.join(folder, "node.key")):
                done = alice.command("run", "--no-gateway", "--state-dir", folder, check=False)
                assert done.returncode == 1, done
                shutil.rmtree(folder, ignore_errors=True) if not os.path.exists(folder) else None
                alice.command("restore", file, "--passphrase-file", words, "--state-dir", folder)
            found = {name: open(os.path.join(folder, name), "rb").read() for name in os.listdir(folder)
                     if name not in ("restored", "restoring")}
            assert found == expected, (found.keys(), expected.keys())


run(what_was_granted_before_a_restore_is_asked_for_anew,
    what_came_since_the_backup_stays,
    a_key_that_was_rotated_since_is_found_out,
    what_does_not_hold_is_refused_and_leaves_nothing,
    who_waits_for_another_node_says_so,
    killed_at_any_time_it_leaves_nothing_or_all)
