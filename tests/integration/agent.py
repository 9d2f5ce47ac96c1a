"""An agent in C on one node, asked from the command line of another: no HTTP at all."""

import os
import subprocess

from pond import BIN, Pond, run, until


def an_agent_in_c_answers_who_has_a_bond_and_nobody_else():
    with Pond("alice", "bob", extra="enabled = yes\n") as pond:
        asker = pond.alice.json("hatch", "Asker")["duckling_id"]
        agent = subprocess.Popen(
            [os.path.join(BIN, "example_agent")], stdout=subprocess.PIPE, text=True,
            env={**os.environ, "DUCKNODE_SOCKET": os.path.join(pond.bob.state, "ducknode.sock")})
        try:
            echo = agent.stdout.readline().strip()
            until("the agent in alice's directory", lambda: [
                e for e in pond.alice.json("directory")["entries"] if e["duckling"] == echo])

            unasked = pond.alice.json("peck", echo, '{"n":1}', "--from", asker, "--wait", "5")
            assert unasked["state"] == "pending", unasked
            pond.bob.command("deny", unasked["peck_id"])

            asked = pond.alice.json("peck", echo, "--bond", "query", "--from", asker, "--wait", "0")
            until("the request at bob", lambda: [
                p for p in pond.bob.json("inbox", echo)["pecks"]
                if p["peck_id"] == asked["peck_id"]])
            pond.bob.command("approve", asked["peck_id"])
            until("the bond at alice", lambda: pond.alice.json("bonds")["bonds"])

            answer = pond.alice.json("peck", echo, '{"n":2}', "--from", asker, "--wait", "20")
            assert answer["state"] == "answered" and answer["result"] == {"n": 2}, answer
            assert agent.stdout.readline().startswith(answer["peck_id"])
        finally:
            agent.terminate()
            agent.wait(10)


def each_word_of_the_c_client_does_what_its_header_says():
    with Pond("alice") as pond:
        alice = pond.alice
        said = subprocess.run(
            [os.path.join(BIN, "tests", "client_words"), pond.folder], capture_output=True, text=True, timeout=120,
            env={**os.environ, "DUCKNODE_SOCKET": os.path.join(alice.state, "ducknode.sock"),
                 "WORDS_NETWORK": alice.json("status")["network"]})
        assert (said.returncode, said.stdout) == (0, "all words\n"), said


run(an_agent_in_c_answers_who_has_a_bond_and_nobody_else, each_word_of_the_c_client_does_what_its_header_says)
