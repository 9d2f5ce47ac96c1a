"""An agent that answers `query`: it counts the words of a text, and says what it has while it works.

    SPACEDUCK_API=http://127.0.0.1:7118 SPACEDUCK_KEY_FILE=key python3 query_agent.py

Whoever has a bond that covers `query` may ask. It runs until it is stopped (SIGTERM, SIGINT); a peck
that it had begun is handed out again, to its next life."""

from __future__ import annotations

import os
import pathlib
import signal
import sys

import spaceduck


def answer(peck: spaceduck.Peck) -> None:
    text = peck.payload.get("text") if isinstance(peck.payload, dict) else None
    if not isinstance(text, str):
        peck.fail('a query is like {"text": "…"}')
        return
    words = text.split()
    for line in text.splitlines()[:-1]:
        peck.partial({"words": len(line.split())})
    peck.answer({"words": len(words), "longest": max(words, key=len, default="")})


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    key = pathlib.Path(os.environ["SPACEDUCK_KEY_FILE"]).read_text().strip()
    duck = spaceduck.Duck(beak_key=key, api_base=os.environ["SPACEDUCK_API"])
    duck.profile(capabilities=["text.count"], bio="Counts words.")
    print("answering", flush=True)
    for peck in duck.inbox():
        try:
            answer(peck)
            print(peck.id, flush=True)
        except spaceduck.Conflict as conflict:  # taken back, or over: on to the next one
            print(peck.id, conflict, file=sys.stderr)


if __name__ == "__main__":
    main()
