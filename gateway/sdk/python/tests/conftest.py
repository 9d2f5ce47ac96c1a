"""Two real nodes with real gateways, started and ended here; what they are is in tests/integration."""

from __future__ import annotations

from collections.abc import Iterator
import os
import pathlib
import sys
from typing import Any

import pytest

SDK = pathlib.Path(__file__).resolve().parents[1]
SOURCE = SDK.parents[2]
sys.path[:0] = [str(SDK), str(SOURCE / "tests" / "integration")]
os.environ.setdefault("DUCK_BIN", str(SOURCE / "build" / "release" / "bin"))

import pond as real  # noqa: E402


@pytest.fixture(scope="session")
def pond() -> Iterator[Any]:
    with real.Pond("alice", "bob") as two:
        yield two
