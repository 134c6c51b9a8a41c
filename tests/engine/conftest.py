"""Fixtures of engine tests. Each test that uses `lab` runs twice.

`cached`: as usual. `replayed`: the engine rebuilds its state from the store before every decision, which proves that
what it keeps in memory is only a cache.
"""

from __future__ import annotations

import pytest

from agentflow.testing.clock import FakeClock
from tests.engine.lab import Lab


@pytest.fixture(params=[False, True], ids=["cached", "replayed"])
def always_replay(request: pytest.FixtureRequest) -> bool:
    """Tell whether the engine rebuilds its state before every decision."""
    return bool(request.param)


@pytest.fixture
def clock() -> FakeClock:
    """Virtual time that jumps to what is due next whenever the engine is idle."""
    return FakeClock()


@pytest.fixture
def lab(clock: FakeClock, always_replay: bool) -> Lab:
    """Short ways to workflows and engines, on virtual time."""
    return Lab(clock, always_replay)
