"""What /metrics says is what Prometheus wants: its own promtool finds nothing."""

import subprocess

from pond import Pond, run


def promtool_finds_nothing_in_the_metrics():
    with Pond("alice", "bob") as pond:
        anna, bert = (pond.alice.hatch(f"{name}@example.com", name) for name in ("anna", "bert"))
        anna.bond_with(bert)
        for node in (pond.alice, pond.bob):
            status, text, headers = node.http("GET", "/metrics", raw=True)
            assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
            assert b"ducknode_webhook_delivered_total 0\n" in text, text
            done = subprocess.run(["promtool", "check", "metrics"], input=text.decode(),
                                  capture_output=True, text=True, timeout=30)
            assert done.returncode == 0 and not done.stdout and not done.stderr, done


if __name__ == "__main__":
    run(promtool_finds_nothing_in_the_metrics)
