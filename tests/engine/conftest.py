"""Fixtures of engine tests. Each test that uses `lab` runs four times.

`cached`: as usual. `replayed`: the engine rebuilds its state from the store before every decision, which proves that
what it keeps in memory is only a cache. `wire`: all that a step is given, asks and leaves goes through JSON, which
proves that it can be executed anywhere. `far`: each call of the store takes turns of the loop, as those of a database
server do, which proves that nothing relies on a store that answers at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from agentflow.store.sqlite.file.place import InFile
from agentflow.testing.clock import FakeClock
from tests.engine.far import far
from tests.engine.lab import Lab


@pytest.fixture(scope="module", autouse=True)
def no_sized_log() -> Iterator[None]:
    """Let logs grow as they are written: sizing them pays only after a thousand pages, which no test here has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(InFile, "begin_commits", _leave_it)
        yield


def _leave_it(_: InFile, __: object) -> None: ...


IN_JSON = frozenset({
    "test_artifacts", "test_cancel", "test_data", "test_entry_points", "test_hostile_steps", "test_log", "test_notes",
    "test_parked", "test_published", "test_recovery", "test_reducing", "test_retries", "test_sagas", "test_secrets",
    "test_turns", "test_waits", "test_wire",
})  # fmt: skip
"""Modules whose tests run on the wire each time; those of the others do so with the slow ones."""
FAR = frozenset({"test_answers", "test_cancel", "test_keys", "test_published", "test_subworkflows", "test_takeover"})
"""Modules whose tests run on a store that is far away each time."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let each test that uses `lab` run in all modes."""
    if "mode" in metafunc.fixturenames:
        known = metafunc.definition.path.stem in IN_JSON
        wire = pytest.param("wire", marks=() if known else (pytest.mark.slow,))
        away = pytest.param("far", marks=() if metafunc.definition.path.stem in FAR else (pytest.mark.slow,))
        metafunc.parametrize("mode", ["cached", "replayed", wire, away])


@pytest.fixture
def clock() -> FakeClock:
    """Virtual time that jumps to what is due next whenever the engine is idle."""
    return FakeClock()


@pytest.fixture
def lab(clock: FakeClock, mode: str) -> Iterator[Lab]:
    """Short ways to workflows and engines, on virtual time."""
    with far() if mode == "far" else nullcontext():
        yield Lab(clock, mode == "replayed", wire=mode == "wire")
