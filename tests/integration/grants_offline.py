"""Leave to peck is made, narrowed and verified while no node runs: with the node's key file, or with a key
of its own, by the command line and by a program in C."""

import json
import os
import stat
import subprocess

from pond import BIN, NETWORK, Pond, run


def hatch(node, name):
    return node.json("hatch", name)["duckling_id"]


def refused(node, why, *words, status=1, **more):
    done = node.command(*words, check=False, **more)
    assert done.returncode == status and why in done.stderr, (words, done)


class Offline:
    """Three ducklings of a node that is stopped."""

    def __init__(self, pond):
        self.node = pond.alice
        self.ann, self.bea, self.cid = (hatch(self.node, name) for name in ("Ann", "Bea", "Cid"))
        self.node.stop()
        self.folder = pond.folder

    def file(self, name):
        return os.path.join(self.folder, name)

    def make(self, *flags):
        self.node.command("grant", "make", "--from", self.ann, "--to", self.bea, "--out",
                          self.file("first"), *flags)
        return self.file("first")


def a_holder_hands_on_less_than_it_has_and_no_node_runs():
    with Pond("alice") as pond:
        off = Offline(pond)
        node, first, second = off.node, off.file("first"), off.file("second")
        off.make("--scope", "data.*", "--scope", "ask", "--uses", "5", "--further", "1")
        shown = node.json("grant", "show", first)
        assert shown["target"] == off.ann and shown["holder"] == off.bea, shown
        assert shown["network"] == NETWORK and shown["scopes"] == ["data.*", "ask"], shown
        assert shown["uses"] == 5 and shown["further"] == 1 and len(shown["blocks"]) == 1, shown
        assert open(first).read() == shown["grant"] + "\n"

        node.command("grant", "narrow", first, "--to", off.cid, "--scope", "data.read", "--uses",
                     "2", "--until", "+600", "--out", second)
        shown = node.json("grant", "show", second)
        assert shown["target"] == off.ann and shown["holder"] == off.cid, shown
        assert shown["scopes"] == ["data.read"] and shown["uses"] == 2, shown
        assert [block["issuer"] for block in shown["blocks"]] == [off.ann, off.bea], shown
        text = node.command("grant", "show", second).stdout
        assert f"{off.cid} may peck {off.ann}" in text and "data.read" in text, text
        assert text.count("grt_") == 2, text

        verify = ("grant", "verify", second)
        assert "valid" in node.command(*verify).stdout
        assert node.json(*verify, "--action", "data.read")["grant"] == shown["grant"]
        refused(node, "does not cover this action", *verify, "--action", "ask")
        refused(node, "last holder is another", *verify, "--action", "data.read", "--from", off.bea)
        refused(node, "not the target's", *verify, "--action", "data.read", "--to", off.bea)
        refused(node, "has ended", *verify, "--action", "data.read", "--at", "+601")
        piped = node.command("grant", "verify", "-", input=shown["grant"])
        assert "valid" in piped.stdout, piped

        for flags in (("--scope", "*"), ("--uses", "6"), ("--further", "1"), ("--until", "+99999999")):
            refused(node, "can only take away", "grant", "narrow", first, "--to", off.cid, *flags)
        refused(node, "last holder is another", "grant", "narrow", first, "--to", off.cid, "--from",
                off.cid)
        refused(node, "handed on more often", "grant", "narrow", second, "--to", off.bea)


def a_key_of_its_own_narrows_where_there_is_no_state_folder():
    with Pond("alice") as pond:
        off = Offline(pond)
        node, key = off.node, off.file("bea.key")
        first = off.make("--scope", "data.*", "--further", "2")
        said = node.command("grant", "key", off.bea, "--out", key).stdout
        assert off.bea in said and stat.S_IMODE(os.stat(key).st_mode) == 0o600, said
        refused(node, "already", "grant", "key", off.bea, "--out", key)
        elsewhere = ("--state-dir", off.file("nowhere"), "--key", key)
        refused(node, "exists", "grant", "narrow", first, "--to", off.cid, "--out", key, *elsewhere)
        node.command("grant", "narrow", first, "--to", off.cid, "--out", off.file("second"), *elsewhere)
        assert node.json("grant", "show", off.file("second"))["scopes"] == ["data.*"]
        refused(node, "is the key of", "grant", "narrow", first, "--to", off.cid, "--from", off.ann,
                *elsewhere)

        program = [os.path.join(BIN, "example_grant"), key, open(first).read(), off.cid]
        done = subprocess.run([*program, "data.read"], capture_output=True, text=True, timeout=20)
        assert done.returncode == 0, done
        narrowed = node.command("grant", "show", "-", "--json", input=done.stdout)
        assert json.loads(narrowed.stdout)["scopes"] == ["data.read"], narrowed
        done = subprocess.run([*program, "ask"], capture_output=True, text=True, timeout=20)
        assert done.returncode == 1 and "can only take away" in done.stderr, done

        os.chmod(key, 0o644)
        refused(node, "0600", "grant", "narrow", first, "--to", off.cid, *elsewhere)


def what_cannot_be_signed_is_said():
    with Pond("alice") as pond:
        off = Offline(pond)
        node, stranger = off.node, "dkl_" + "a" * 32
        to_bea = ("grant", "make", "--to", off.bea, "--scope", "ask")
        refused(node, "no key of this duckling", *to_bea, "--from", stranger)
        refused(node, "who signs?", *to_bea)
        refused(node, "who signs?", *to_bea, "--from", "ann")
        refused(node, "who may use it?", "grant", "make", "--from", off.ann, "--scope", "ask")
        refused(node, "1 to 8 scopes", "grant", "make", "--from", off.ann, "--to", off.bea)
        refused(node, "it takes make", "grant", "frob", status=2)
        refused(node, "show takes FILE", "grant", "show", status=2)
        refused(node, "key takes DUCKLING", "grant", "key", off.bea, status=2)
        refused(node, "No such file", "grant", "show", off.file("none"))
        open(off.file("none"), "w").write("none!")
        refused(node, "base64url", "grant", "show", off.file("none"))
        open(off.file("none"), "wb").write(b"AAAA\0AAAA")
        refused(node, "not text", "grant", "show", off.file("none"))


def keys_that_are_sealed_open_with_the_passphrase():
    with Pond("alice") as pond:
        off = Offline(pond)
        sealed, words = off.file("sealed"), off.file("words")
        with open(words, "w") as file:
            file.write("a long passphrase of one node\n")
        os.chmod(words, 0o600)
        off.node.command("init", "--state-dir", sealed, "--passphrase-file", words)
        make = ("grant", "make", "--from", off.ann, "--to", off.bea, "--scope", "ask", "--state-dir",
                sealed)
        refused(off.node, "node.key", *make)
        refused(off.node, "node.db", *make, "--passphrase-file", words)  # opened; it has not run yet


run(a_holder_hands_on_less_than_it_has_and_no_node_runs,
    a_key_of_its_own_narrows_where_there_is_no_state_folder, what_cannot_be_signed_is_said,
    keys_that_are_sealed_open_with_the_passphrase)
