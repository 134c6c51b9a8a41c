"""Fixtures of crash tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agentflow.testing.clock import FakeClock
from tests.crash.scene import Scene
from tests.engine.lab import Lab


@pytest.fixture(params=[False, True], ids=["cached", "replayed"])
def always_replay(request: pytest.FixtureRequest) -> bool:
    """Tell whether the engine rebuilds its state before every decision."""
    return bool(request.param)


@pytest.fixture
def lab(always_replay: bool) -> Lab:
    """Short ways to workflows and engines, on virtual time."""
    return Lab(FakeClock(), always_replay)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A project of its own; no process of it outlives the test."""
    made = Scene(tmp_path)
    try:
        yield made
    finally:
        made.end()
