"""Fixtures of crash tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

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
def scene() -> Iterator[Scene]:
    """A project of its own; no process of it outlives the test."""
    # a short path: a socket's has to fit into some hundred bytes
    with TemporaryDirectory(prefix="af", ignore_cleanup_errors=True) as folder:
        made = Scene(Path(folder))
        try:
            yield made
        finally:
            made.end()
