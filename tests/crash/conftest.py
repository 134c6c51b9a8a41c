"""Fixtures of crash tests: those of the engine's tests that are of use here."""

from __future__ import annotations

import pytest

from agentflow.testing.clock import FakeClock
from tests.engine.lab import Lab


@pytest.fixture(params=[False, True], ids=["cached", "replayed"])
def always_replay(request: pytest.FixtureRequest) -> bool:
    """Tell whether the engine rebuilds its state before every decision."""
    return bool(request.param)


@pytest.fixture
def lab(always_replay: bool) -> Lab:
    """Short ways to workflows and engines, on virtual time."""
    return Lab(FakeClock(), always_replay)
