"""Operators vouch for ducklings, readers trust operators, and tiers follow; on real nodes."""

import http.server
import json
import os
import ssl
import subprocess
import threading

from pond import BIN, Pond, run, until


def tier(node, duckling):
    entries = node.json("directory", duckling.id)["entries"]
    return (entries[0]["tier"], entries[0].get("tier_missing", [])) if entries else None


def becomes(node, duckling, wanted):
    until(f"{duckling.id} to be T{wanted} at {node.name}",
          lambda: (tier(node, duckling) or (None,))[0] == wanted)


def new_operator(pond, name):
    folder = os.path.join(pond.folder, name)
    made = pond.alice.json("operator", "init", "--dir", folder, "--name", name)
    assert made["operator_id"].startswith("opr_") and made["sealed"] is False, made
    assert os.stat(os.path.join(folder, "operator.key")).st_mode & 0o777 == 0o600
    return folder, made["operator_id"]


def voucher(pond, folder, subject, *flags):
    path = os.path.join(pond.folder, "voucher.json")
    pond.alice.command("operator", "sign", subject, "--dir", folder, "--out", path, *flags)
    return path


def bonded_pair(pond):
    alice = pond.alice.hatch("alice@example.com", "Alice")
    bob = pond.bob.hatch("bob@example.com", "Bob")
    until("bob in alice's directory", lambda: tier(pond.alice, bob) is not None)
    assert tier(pond.alice, bob) == (0, ["bonded", "operator-verified", "lobster-bind"])
    alice.bond_with(bob)
    for node in pond.nodes:
        becomes(node, bob, 1)
    return alice, bob


def a_tier_follows_from_a_bond_and_a_trusted_voucher():
    with Pond("alice", "bob", "carol") as pond:
        _, bob = bonded_pair(pond)
        folder, operator = new_operator(pond, "ducks-inc")
        pond.bob.command("operator", "publish", voucher(pond, folder, bob.id))
        pond.carol.command("operator", "trust", operator)
        becomes(pond.carol, bob, 2)
        assert tier(pond.carol, bob)[1] == ["lobster-bind"]
        assert tier(pond.alice, bob)[0] == 1  # who does not trust the operator
        found = pond.carol.json("directory", "--tier", "2")["entries"]
        assert [entry["duckling"] for entry in found] == [bob.id], found
        listed = pond.carol.json("operator", "list")["operators"]
        assert [view["operator"] for view in listed] == [operator], listed
        pond.carol.stop()
        pond.carol.start()
        becomes(pond.carol, bob, 2)  # trust survives a restart
        pond.carol.command("operator", "distrust", operator)
        becomes(pond.carol, bob, 1)


def a_tier_that_changes_is_told_once_also_after_a_restart():
    with Pond("alice", "bob", "carol") as pond:
        _, bob = bonded_pair(pond)
        folder, operator = new_operator(pond, "ducks-inc")
        pond.bob.command("operator", "publish", voucher(pond, folder, bob.id))

        def follow():
            return subprocess.Popen(
                [os.path.join(BIN, "ducknode"), "events", bob.id, "--json", "--count", "1",
                 "--config", pond.bob.config], stdout=subprocess.PIPE, text=True)

        def heard(follower):
            try:
                event = json.loads(follower.communicate(timeout=20)[0])
            finally:
                follower.kill()  # also one that heard nothing
            assert event["kind"] == "tier_change" and event["duckling"] == bob.id, event
            return event["before"], event["state"], event["reason"]

        # Nobody followed while the bond was made: it is told to the first who does.
        assert heard(follow()) == ("T0", "T1", "bonded gained")
        follower = follow()
        pond.bob.command("operator", "trust", operator)
        assert heard(follower) == ("T1", "T2", "operator-verified gained")
        pond.bob.command("operator", "distrust", operator)
        becomes(pond.bob, bob, 1)
        pond.bob.stop()
        pond.bob.start()
        assert heard(follow()) == (
            "T2", "T1", "operator-verified lost: its operator is not trusted here")
        follower = follow()  # what was told is not told again: the next is another change
        pond.bob.command("operator", "trust", operator)
        assert heard(follower) == ("T1", "T2", "operator-verified gained")


def a_voucher_is_taken_back_and_a_newer_one_counts():
    with Pond("alice", "bob", "carol") as pond:
        _, bob = bonded_pair(pond)
        folder, operator = new_operator(pond, "ducks-inc")
        pond.bob.command("operator", "publish", voucher(pond, folder, bob.id))
        for node in pond.nodes:
            node.command("operator", "trust", operator)
            becomes(node, bob, 2)
        # Signed where the key is, told to the network by any node: here neither bob's nor carol's.
        path = os.path.join(pond.folder, "withdrawal.json")
        pond.alice.command("operator", "revoke", bob.id, "--dir", folder, "--out", path)
        changed = os.path.join(pond.folder, "changed.json")
        document = json.load(open(path))
        with open(changed, "w") as file:
            raw = document["withdrawal"]
            json.dump({**document, "withdrawal": raw[:60] + ("A" if raw[60] != "A" else "B")
                       + raw[61:]}, file)
        forged = pond.alice.command("operator", "publish", changed, check=False)
        assert forged.returncode == 1 and "withdrawal" in forged.stderr, forged
        pond.alice.command("operator", "publish", path)
        pond.alice.command("operator", "publish", path)  # said again it is the same
        for node in pond.nodes:
            becomes(node, bob, 1)
            shown = node.command("directory", bob.id).stdout
            assert f"voucher by {operator} was taken back on 20" in shown, shown
            entry = node.json("directory", bob.id)["entries"][0]
            assert entry["taken_back"][0]["operator"] == operator, entry
        pond.bob.command("operator", "publish", os.path.join(pond.folder, "voucher.json"))
        pond.carol.stop()
        pond.carol.start()
        assert tier(pond.carol, bob)[0] == 1  # not forgotten, and the old voucher stays void
        pond.bob.command("operator", "publish", voucher(pond, folder, bob.id))
        for node in pond.nodes:
            becomes(node, bob, 2)
        pond.carol.command("operator", "revoke", bob.id, "--dir", folder)  # in one step
        for node in pond.nodes:
            becomes(node, bob, 1)


def a_domains_word_is_trusted_only_for_that_domain():
    with Pond("alice", "bob", "carol") as pond:
        _, bob = bonded_pair(pond)
        folder, operator = new_operator(pond, "ducks-inc")
        pond.bob.command("operator", "publish", voucher(pond, folder, bob.id))
        served = os.path.join(pond.folder, "duck-operator.json")
        pond.alice.command("operator", "sign", "ducks.example.org", "--dir", folder, "--out",
                           served)
        other = pond.carol.command("operator", "trust", "geese.example.org", "--file", served,
                                   check=False)
        assert other.returncode == 1 and "another domain" in other.stderr, other
        pond.carol.command("operator", "trust", "ducks.example.org", "--file", served)
        view = pond.carol.json("operator", "list")["operators"][0]
        assert view["operator"] == operator and view["domain"] == "ducks.example.org", view
        assert view["until_ms"] > 0, view
        becomes(pond.carol, bob, 2)


def a_domains_word_is_fetched_from_the_domain_and_from_no_private_address():
    """libcurl resolves names below localhost to this host by itself."""
    with Pond("alice") as pond:
        folder, operator = new_operator(pond, "ducks-inc")
        word = pond.alice.command("operator", "sign", "ducks.localhost", "--dir", folder).stdout
        private = pond.alice.command("operator", "trust", "ducks.localhost", check=False)
        assert private.returncode == 1 and "not a public one" in private.stderr, private
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-subj",
                        "/CN=ducks.localhost", "-addext", "subjectAltName=DNS:ducks.localhost",
                        "-keyout", os.path.join(pond.folder, "tls.key"), "-out",
                        os.path.join(pond.folder, "tls.crt")], check=True, capture_output=True)

        class Domain(http.server.BaseHTTPRequestHandler):
            answers = {"/.well-known/duck-operator.json": word.encode()}

            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(self.answers[self.path])

            def log_message(self, *_):
                pass

        try:
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 443), Domain)
        except OSError as taken:
            print(f"not fetched: port 443 is not ours to have ({taken})")
            return
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(pond.folder, "tls.crt"),
                                os.path.join(pond.folder, "tls.key"))
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def fetch(*flags):
            return subprocess.run(
                [os.path.join(BIN, "duckgate"), "--fetch-operator", "ducks.localhost", *flags],
                capture_output=True, text=True, timeout=60)

        try:
            fetched = fetch("--fetch-private", "--fetch-ca-file",
                            os.path.join(pond.folder, "tls.crt"))
            assert fetched.returncode == 0 and fetched.stdout == word, fetched
            stranger = fetch("--fetch-private")
            assert stranger.returncode == 1 and "certificate" in stranger.stderr, stranger
            Domain.answers = {"/.well-known/duck-operator.json": b"x" * (256 * 1024 + 1)}
            large = fetch("--fetch-private", "--fetch-ca-file",
                          os.path.join(pond.folder, "tls.crt"))
            assert large.returncode == 1 and "larger" in large.stderr, large
        finally:
            server.shutdown()
            server.server_close()


def what_is_not_rightly_signed_is_refused():
    with Pond("alice", "bob") as pond:
        alice = pond.alice.hatch("alice@example.com", "Alice")
        bob = pond.bob.hatch("bob@example.com", "Bob")
        folder, _ = new_operator(pond, "ducks-inc")
        path = voucher(pond, folder, bob.id)

        def refused(node, file, reason):
            done = node.command("operator", "publish", file, check=False)
            assert done.returncode == 1 and reason in done.stderr, done

        refused(pond.alice, path, "does not live on this node")
        document = json.load(open(path))
        chains = {}
        for name in ("first", "second"):
            other, _ = new_operator(pond, name)
            chains[name] = json.load(open(voucher(pond, other, bob.id)))["chain"]
        changed = os.path.join(pond.folder, "changed.json")
        with open(changed, "w") as file:
            json.dump({**document, "chain": chains["first"]}, file)
        refused(pond.bob, changed, "no operator")
        with open(changed, "w") as file:
            raw = document["voucher"]
            json.dump({**document, "voucher": raw[:60] + ("A" if raw[60] != "A" else "B")
                       + raw[61:]}, file)
        refused(pond.bob, changed, "voucher")
        domain = os.path.join(pond.folder, "domain.json")
        pond.alice.command("operator", "sign", "ducks.example.org", "--dir", folder, "--out",
                           domain)
        refused(pond.bob, domain, "about a domain")
        long = pond.alice.command("operator", "sign", alice.id, "--dir", folder, "--days", "91",
                                  check=False)
        assert long.returncode == 1 and "1 to 90" in long.stderr, long
        again = pond.alice.command("operator", "init", "--dir", folder, "--name", "x",
                                   check=False)
        assert again.returncode == 1 and "already" in again.stderr, again
        for subject in ("localhost", "Ducks.example.org", "dkl_x"):
            assert pond.alice.command("operator", "sign", subject, "--dir", folder,
                                      check=False).returncode == 1


def a_duckling_sets_who_may_peck_it_and_what_runs_unasked():
    with Pond("alice", "bob", "carol") as pond:
        alice, bob = bonded_pair(pond)
        carol = pond.carol.hatch("carol@example.com", "Carol")
        until("bob at carol", lambda: tier(pond.carol, bob) is not None)
        until("carol at bob", lambda: tier(pond.bob, carol) is not None)
        pond.bob.command("profile", bob.id, "--least-tier", "2", "--open-action", "weather.*")
        until("the condition at carol", lambda: pond.carol.json("directory", bob.id)["entries"][
            0].get("least_tier") == 2)
        low = carol.post("/beak/peck", target=bob.id, action="weather.today", payload={})
        failed = carol.becomes(low["peck_id"], "failed")
        assert "tier_too_low" in failed["problem"] and "T0" in failed["problem"], failed
        assert "bonded, operator-verified" in failed["problem"], failed
        # A bond is the owner's own word: it outranks the condition.
        under_bond = alice.post("/beak/peck", target=bob.id, action="query", payload={})
        alice.becomes(under_bond["peck_id"], "taken")

        pond.bob.command("profile", bob.id, "--least-tier", "0")
        until("the condition gone", lambda: not pond.carol.json("directory", bob.id)["entries"][
            0].get("least_tier"))
        opened = carol.post("/beak/peck", target=bob.id, action="weather.today", payload={})
        carol.becomes(opened["peck_id"], "taken")
        closed = carol.post("/beak/peck", target=bob.id, action="query", payload={})
        carol.becomes(closed["peck_id"], "pending")
        pond.bob.command("profile", bob.id, "--least-tier", "1")
        until("the condition at carol", lambda: pond.carol.json("directory", bob.id)["entries"][
            0].get("least_tier") == 1)
        pond.bob.stop()
        pond.bob.start()  # conditions survive a restart
        again = carol.post("/beak/peck", target=bob.id, action="weather.today", payload={})
        carol.becomes(again["peck_id"], "failed")
        pond.bob.command("profile", bob.id, "--no-open-actions", "--least-tier", "0")
        until("the condition gone", lambda: not pond.carol.json("directory", bob.id)["entries"][
            0].get("open_actions"))
        shut = carol.post("/beak/peck", target=bob.id, action="weather.today", payload={})
        carol.becomes(shut["peck_id"], "pending")


if __name__ == "__main__":
    run(a_tier_follows_from_a_bond_and_a_trusted_voucher,
        a_tier_that_changes_is_told_once_also_after_a_restart,
        a_voucher_is_taken_back_and_a_newer_one_counts,
        a_domains_word_is_trusted_only_for_that_domain,
        a_domains_word_is_fetched_from_the_domain_and_from_no_private_address,
        what_is_not_rightly_signed_is_refused,
        a_duckling_sets_who_may_peck_it_and_what_runs_unasked)
