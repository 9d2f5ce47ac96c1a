"""What comes in pages, parts or polls, as iterators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from . import transport
from .errors import Conflict, RateLimited, ServerError, Unreachable

if TYPE_CHECKING:
    from .duck import Duck

REST_MAX_S = 30.0  # between two looks into an inbox that does not answer


class Pages(Iterator[dict[str, Any]]):
    """All items of a list, fetched page by page while they are read; `page()` is one page."""

    def __init__(self, fetch: Callable[[str | None], dict[str, Any]], member: str) -> None:
        self._fetch, self._member = fetch, member
        self._items: Iterator[dict[str, Any]] = iter(())
        self._cursor: str | None = None
        self._is_last = False

    def page(self, cursor: str | None = None) -> dict[str, Any]:
        """One answer as it came: the list, and `next_cursor` where there is more."""
        return self._fetch(cursor)

    def __next__(self) -> dict[str, Any]:
        while True:
            for item in self._items:
                return item
            if self._is_last:
                raise StopIteration
            page = self._fetch(self._cursor)
            self._items = iter(page[self._member])
            self._cursor = page.get("next_cursor")
            self._is_last = not self._cursor


class Peck(dict[str, Any]):
    """A peck out of the inbox: its members as they came, and what can be done with it."""

    def __init__(self, duck: Duck, members: dict[str, Any]) -> None:
        super().__init__(members)
        self._duck = duck
        self._number: int | None = None  # of the next part of the answer, once one was said

    @property
    def id(self) -> str:
        return str(self["peck_id"])

    @property
    def sender(self) -> str:
        return str(self["from"])

    @property
    def action(self) -> str:
        return str(self.get("action", ""))

    @property
    def payload(self) -> Any:
        return self.get("payload")

    def answer(self, result: Any = None, *, charge: int | None = None) -> dict[str, Any]:
        """The result, any JSON value; ends the peck."""
        return self._duck.answer(self.id, result, charge=charge)

    def fail(self, problem: str) -> dict[str, Any]:
        """It cannot be answered, and why; ends the peck."""
        return self._duck.answer(self.id, problem=problem)

    def partial(self, part: Any) -> None:
        """One part of the answer, while the rest is under way; said once, also over a bad line."""
        said = self._duck.answer(self.id, partial=part, number=self._number)
        self._number = int(said["number"]) + 1

    def ack(self) -> None:
        """Mine, and no need to hand it out again when its lease ends."""
        self._duck.ack(self.id)


def read_inbox(duck: Duck, *, wait: int, limit: int | None, lease: int | None) -> Iterator[Peck]:
    """For ever. A gateway that is away for a while is waited for; a refused key ends it."""
    failures = 0
    while True:
        try:
            taken = duck.take(wait=wait, limit=limit, lease=lease)
            failures = 0
        except (Unreachable, ServerError, RateLimited) as error:
            failures += 1
            asked = getattr(error, "retry_after", None)
            transport.sleep(min(REST_MAX_S, asked or transport.pause(failures)))
            continue
        for members in taken["pecks"]:
            yield Peck(duck, members)


def read_partials(fetch: Callable[[int], dict[str, Any]],
                  after: int) -> Iterator[dict[str, Any]]:
    """Parts as they come, each once and in order; ends with the answer."""
    while True:
        page = fetch(after)
        for part in page["partials"]:
            yield part
            after = part["number"]
        if page["done"] and after >= page["held"]:
            return


def settle(duck: Duck, conflict: Conflict, peck_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """A repeated answer was refused: is it because the first try, whose reply was lost, stands?"""
    held = duck.get_peck(peck_id)
    if any(held.get(name) != value for name, value in wanted.items()):
        raise conflict
    return held
