"""What can go wrong, by whose fault.

    DuckError
      Unreachable       no answer: not connected, cut off
        TimedOut        no answer in time
      BadAnswer         an answer that is not what the Beak API says
      Problem           the gateway says no (RFC 9457); one class for each status
      VerificationError a webhook, receipt or certificate does not hold
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
import json
import time
from typing import Any


class DuckError(Exception):
    """All that this package raises on purpose."""


class Unreachable(DuckError):
    """No answer came. `is_unsent`: the gateway cannot have seen the request."""

    def __init__(self, message: str, *, is_unsent: bool = False) -> None:
        super().__init__(message)
        self.is_unsent = is_unsent


class TimedOut(Unreachable):
    """The gateway was silent for longer than `timeout`."""


class BadAnswer(DuckError):
    """The answer is not JSON, or not of the expected shape: no ducknode is there."""


class VerificationError(DuckError):
    """What was to be verified does not hold; the text says why."""


class Problem(DuckError):
    """The gateway's no. `error` is the stable code, `members` all that was said."""

    def __init__(self, status: int, members: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        self.status = status
        self.members = dict(members)
        self.headers = dict(headers)
        self.type: str = str(members.get("type", "about:blank"))
        self.title: str = str(members.get("title", ""))
        self.detail: str = str(members.get("detail", ""))
        self.instance: str | None = members.get("instance")
        self.error: str = str(members.get("error", ""))
        self.field: str | None = members.get("field")
        self.retry_after: float | None = _retry_after(members, headers)
        self.tries = 1
        said = f"{status} {self.error or self.title}: {self.detail}"
        super().__init__(said + (f" (field {self.field})" if self.field else ""))


class BadRequest(Problem):
    """400: not understood."""


class Unauthorized(Problem):
    """401: no bearer, a wrong one, one that ended; a wrong code or password."""


class Forbidden(Problem):
    """403: known, and not allowed."""


class NotFound(Problem):
    """404."""


class Conflict(Problem):
    """409: in conflict with what is."""


class Gone(Problem):
    """410."""


class TooLarge(Problem):
    """413."""


class Unprocessable(Problem):
    """422: well-formed, and not acceptable; `field` says which member."""


class RateLimited(Problem):
    """429: `retry_after` seconds from now."""


class ServerError(Problem):
    """5xx."""


class Unavailable(ServerError):
    """503: not right now; `retry_after`."""


_classes: dict[int, type[Problem]] = {
    400: BadRequest, 401: Unauthorized, 403: Forbidden, 404: NotFound, 409: Conflict, 410: Gone,
    413: TooLarge, 422: Unprocessable, 429: RateLimited, 503: Unavailable,
}


def problem_of(status: int, headers: Mapping[str, str], body: bytes) -> Problem:
    """The error for an answer that is no success, whoever wrote it: a proxy's page is one too."""
    try:
        members = json.loads(body)
    except ValueError:
        members = None
    if not isinstance(members, dict):
        members = {"title": f"HTTP {status}", "detail": body[:200].decode("utf-8", "replace")}
    kind = _classes.get(status, ServerError if status >= 500 else Problem)
    return kind(status, members, headers)


def _retry_after(members: Mapping[str, Any], headers: Mapping[str, str]) -> float | None:
    text = next((headers[name] for name in headers if name.lower() == "retry-after"), None)
    said = members.get("retry_after")
    if text is not None and text.strip().isdigit():
        return float(text)
    if text is not None:
        try:
            return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
        except ValueError:
            pass
    return float(said) if isinstance(said, (int, float)) and said >= 0 else None
