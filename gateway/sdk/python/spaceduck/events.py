"""Server-sent events (WHATWG HTML, section 9.2), read for ever: a broken line is taken up again
after the last event that came."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
import http.client
import json
from typing import Any, NamedTuple

from . import transport
from .errors import RateLimited, ServerError, Unreachable

SILENCE_MAX_S = 60  # the gateway says something, if only a comment, more often
REST_MAX_S = 30.0


class Event(NamedTuple):
    id: str
    type: str
    data: Any  # JSON, or the text where it is none


def parse_events(lines: Iterable[bytes]) -> Iterator[Event | float]:
    """Events; and as a number, how many seconds to wait before the next connection."""
    last_id, kind, data = "", "", list[str]()
    for line in lines:
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        name, _, value = text.partition(":")
        value = value.removeprefix(" ")
        if not text:
            if data:
                yield Event(last_id, kind or "message", _json("\n".join(data)))
            kind, data = "", []
        elif name == "event":
            kind = value
        elif name == "data":
            data.append(value)
        elif name == "id" and "\0" not in value:
            last_id = value
        elif name == "retry" and value.isdigit():
            yield int(value) / 1000


def read_events(connect: Callable[[str], http.client.HTTPResponse],
                last_id: str) -> Generator[Event, None, None]:
    """`connect` begins after the event of that id. What is no passing trouble ends it, as an error."""
    failures, retry_s = 0, 1.0
    while True:
        asked = None
        try:
            with connect(last_id) as response:
                for said in parse_events(response):
                    if isinstance(said, float):
                        retry_s = said
                        continue
                    last_id, failures = said.id or last_id, 0
                    yield said
        except (ServerError, RateLimited) as problem:
            asked = problem.retry_after
        except (OSError, http.client.HTTPException, Unreachable):
            pass
        failures += 1
        transport.sleep(min(REST_MAX_S, asked or max(retry_s, transport.pause(failures))))


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
