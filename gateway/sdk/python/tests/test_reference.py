"""The SDK against gateway/openapi.yaml: every operation, every member."""

from __future__ import annotations

import inspect
import pathlib
from typing import Any

import yaml  # type: ignore[import]

from spaceduck import Duck, cli
from spaceduck.operations import OPERATIONS

REFERENCE = yaml.safe_load((pathlib.Path(__file__).parents[3] / "openapi.yaml").read_text())
SAME = {("GET", "/beak")}  # one operation under two paths
BROWSERS = {"text/html", "text/javascript", "text/css"}
# Members of requests that are not arguments, and what they are here instead.
ELSEWHERE = {"cursor", "duckling_id", "id", "Idempotency-Key", "with", "Last-Event-ID", "format",
             "Accept", "If-None-Match", "delivery_id"}


def resolved(item: Any) -> Any:
    while "$ref" in item:
        found = REFERENCE
        for part in item["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        item = found
    return item


def described() -> dict[tuple[str, str], Any]:
    return {(method.upper(), path): operation for path, item in REFERENCE["paths"].items()
            for method, operation in item.items() if isinstance(operation, dict)}


def is_for_browsers(path: str, operation: Any) -> bool:
    """A page, or what a page brings with it."""
    return path.startswith("/docs") or not BROWSERS.isdisjoint(resolved(operation["responses"].get("200", {})).get("content", {}))


def members_of(schema: Any) -> set[str]:
    schema = resolved(schema)
    names = set(schema.get("properties", {}))
    for group in ("oneOf", "anyOf", "allOf"):
        for each in schema.get(group, []):
            names |= members_of(each)
    return names


def test_every_operation_has_its_method() -> None:
    served = {(operation.method, operation.path) for operation in OPERATIONS.values()}
    missing = {pair for pair, operation in described().items()
               if pair not in served | SAME and not is_for_browsers(pair[1], operation)}
    assert missing == set()
    assert all(callable(getattr(Duck, name)) for name in OPERATIONS)


def test_every_member_of_a_request_is_an_argument() -> None:
    reference = described()
    for name, operation in OPERATIONS.items():
        wanted = reference.get((operation.method, operation.path))
        if wanted is None:
            continue  # the gateway's next release
        arguments = {each.rstrip("_") for each in inspect.signature(getattr(Duck, name)).parameters}
        if name == "ack":
            arguments |= {"peck_id"}
        members = {resolved(each)["name"] for each in wanted.get("parameters", [])}
        body = resolved(wanted.get("requestBody", {})).get("content", {}).get("application/json", {})
        members |= members_of(body.get("schema", {}))
        assert members - arguments <= ELSEWHERE, name


def test_keys_and_acting_ducklings_are_where_the_reference_has_them() -> None:
    reference = described()
    for name, operation in OPERATIONS.items():
        wanted = reference.get((operation.method, operation.path))
        if wanted is None:
            continue
        named = {(resolved(each)["name"], resolved(each)["in"])
                 for each in wanted.get("parameters", [])}
        assert operation.has_key == (("Idempotency-Key", "header") in named), name
        assert operation.is_acting == (("duckling_id", "query") in named), name


def test_the_command_names_the_events_that_there_are() -> None:
    assert cli.EVENTS.split(", ") == REFERENCE["components"]["schemas"]["EventName"]["enum"]
