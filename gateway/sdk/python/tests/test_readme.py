"""What the README prints runs: its agent on one node answers its asker on another."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
import textwrap
from typing import Any

SDK = pathlib.Path(__file__).resolve().parents[1]


def snippets() -> list[str]:
    return re.findall(r"```python\n(.*?)```", (SDK / "README.md").read_text(), re.S)


def test_the_first_agent_is_one_of_at_most_15_lines() -> None:
    assert snippets()[0].count("\n") <= 15


def test_the_first_agent_answers_whoever_asks(pond: Any) -> None:
    from pond import until
    from test_live import hatch

    shouter, asker = hatch(pond.bob, "Shouter"), hatch(pond.alice, "Listener")

    def start(code: str, duck: Any, node: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-u", "-c", code], stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(SDK), "BEAK_KEY": duck._bearer,
                 "SPACEDUCK_API": node.url})

    agent = start(snippets()[0], shouter, pond.bob)
    try:
        until("its record at alice", lambda: next(asker.directory(capability="text.shout"), None))
        with start(snippets()[1], asker, pond.alice) as asking:
            request = until("the request", lambda: next(
                shouter.pecks(box="in", state="pending"), None))
            shouter.approve(request["peck_id"])
            assert asking.communicate(timeout=30)[0] == "answered {'text': 'HELLO'}\n"
        assert agent.poll() is None
    finally:
        agent.terminate()
        agent.communicate()


def test_the_other_snippets_are_python_of_names_that_are_there() -> None:
    import spaceduck

    for code in snippets()[2:]:
        compile(textwrap.dedent(code), "README.md", "exec")
        for module, name in re.findall(r"spaceduck\.(\w+)\.(\w+)", code):
            assert hasattr(getattr(spaceduck, module), name)
