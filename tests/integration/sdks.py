"""Agents in two languages on two nodes: the examples of the SDKs answer each other's clients."""

import json
import os

from pond import Pond, SDKS, javascript, python, run, until


def key_file(pond, duck):
    path = os.path.join(pond.folder, duck.id + ".key")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.write(duck.key + "\n")
    return path


class Agent:
    """An example that runs, and what it printed."""

    def __init__(self, pond, start, path, duck):
        self.process = start(os.path.join(SDKS, path), SPACEDUCK_API=duck.node.url,
                             SPACEDUCK_KEY_FILE=key_file(pond, duck))

    def __enter__(self):
        line = self.process.stdout.readline()
        assert line == "answering\n", line + self.process.stderr.read()
        return self

    def __exit__(self, *error):
        self.process.terminate()
        said = self.process.communicate(timeout=20)
        assert self.process.returncode == 0, said

    def answered(self, peck_id):
        line = self.process.stdout.readline().strip()
        assert line == peck_id, (line, peck_id)


def at(asker, capability):
    return until(capability, lambda: asker.get("/beak/directory", capability=capability)["ducklings"])


def asked(start, code, asker, **env):
    program = start(*code, URL=asker.node.url, KEY=asker.key, **env)
    try:
        said, error = program.communicate(timeout=60)
    finally:
        program.kill()
    assert program.returncode == 0, error
    return json.loads(said)


IN_JAVASCRIPT = ("-e", """
const {KEY: beakKey, URL: apiBase, PAYLOAD, CAPABILITY: capability} = process.env;
const duck = new SDK.Duck({beakKey, apiBase});
const target = (await duck.directory({capability}).first()).duckling_id;
const {peck_id} = await duck.peck({target, action: 'query', payload: JSON.parse(PAYLOAD)});
const parts = [];
for await (const {partial} of duck.partials(peck_id)) parts.push(partial);
const done = await duck.getPeck(peck_id, {wait: 30});
const {signer} = await SDK.proof.verifyReceipt(done.receipts.at(-1), {peckId: peck_id});
console.log(JSON.stringify({...done, parts, target, signer}));
""")
IN_PYTHON = ("-c", """
import json, os, spaceduck
duck = spaceduck.Duck(os.environ["KEY"], os.environ["URL"])
target = next(duck.directory(capability=os.environ["CAPABILITY"]))["duckling_id"]
peck_id = duck.peck(target, "query", json.loads(os.environ["PAYLOAD"]))["peck_id"]
parts = [part["partial"] for part in duck.partials(peck_id)]
done = duck.get_peck(peck_id, wait=30)
said = spaceduck.proof.verify_receipt(done["receipts"][-1], peck_id=peck_id)
print(json.dumps({**done, "parts": parts, "target": target, "signer": said["signer"]}))
""")


def each_way(pond, agent, capability, start, code, questions):
    oracle, asker = pond.alice.hatch("oracle@example.com", "Oracle"), pond.bob.hatch(
        "asker@example.com", "Asker")
    with Agent(pond, *agent, oracle) as answering:
        at(asker, capability)
        asker.bond_with(oracle)
        for payload, status, result, parts in questions:
            done = asked(start, code, asker, CAPABILITY=capability, PAYLOAD=json.dumps(payload))
            answering.answered(done["peck_id"])
            assert (done["status"], done["parts"]) == (status, parts), done
            assert done.get("result", done.get("problem")) == result, done
            assert done["signer"] == done["target"] == oracle.id, done


def an_agent_in_python_answers_a_client_in_javascript_on_another_node():
    with Pond("alice", "bob") as pond:
        each_way(pond, (python, "python/examples/query_agent.py"), "text.count",
                 javascript, IN_JAVASCRIPT, (
                     ({"text": "one\ntwo three\nfour"}, "answered", {"words": 4, "longest": "three"},
                      [{"words": 1}, {"words": 2}]),
                     ({"text": "ünïcödé 鴨"}, "answered", {"words": 2, "longest": "ünïcödé"}, []),
                     ([1, 2], "failed", 'a query is like {"text": "…"}', [])))


def an_agent_in_javascript_answers_a_client_in_python_on_another_node():
    with Pond("alice", "bob") as pond:
        each_way(pond, (javascript, "js/examples/query-agent.js"), "math.sum", python, IN_PYTHON, (
            ({"numbers": [1, 2, 3.5]}, "answered", {"sum": 6.5}, [{"sum": 1}, {"sum": 3}]),
            ({"numbers": []}, "answered", {"sum": 0}, []),
            ({"numbers": "many"}, "failed", 'a query is like {"numbers": [1, 2]}', [])))


def an_agent_goes_on_when_its_gateway_was_killed():
    with Pond("alice", "bob") as pond:
        pond.alice.stop()
        pond.alice.start()  # from now on its gateway has one port for all its lives
        oracle, asker = pond.alice.hatch("oracle@example.com", "Oracle"), pond.bob.hatch(
            "asker@example.com", "Asker")
        with Agent(pond, python, "python/examples/query_agent.py", oracle) as answering:
            at(asker, "text.count")
            asker.bond_with(oracle)
            os.kill(int(open(os.path.join(pond.alice.state, "gateway.pid")).read()), 9)
            done = asked(python, IN_PYTHON, asker, CAPABILITY="text.count",
                         PAYLOAD=json.dumps({"text": "still here"}))
            answering.answered(done["peck_id"])
            assert done["result"] == {"words": 2, "longest": "still"}, done


run(an_agent_in_python_answers_a_client_in_javascript_on_another_node,
    an_agent_in_javascript_answers_a_client_in_python_on_another_node,
    an_agent_goes_on_when_its_gateway_was_killed)
