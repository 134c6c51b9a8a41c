"""Fixtures of engine tests. Each test that uses `lab` runs twice.

`cached`: as usual. `replayed`: the engine rebuilds its state from the store before every decision, which proves that
what it keeps in memory is only a cache.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agentflow.store.sqlite.file.place import InFile
from agentflow.testing.clock import FakeClock
from tests.engine.lab import Lab


@pytest.fixture(scope="module", autouse=True)
def no_sized_log() -> Iterator[None]:
    """Let logs grow as they are written: sizing them pays only after a thousand pages, which no test here has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(InFile, "begin_commits", _leave_it)
        yield


def _leave_it(_: InFile, __: object) -> None: ...


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
