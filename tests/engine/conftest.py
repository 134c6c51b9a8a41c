"""Fixtures of engine tests. Each test that uses `lab` runs five times.

`cached`: as usual. `replayed`: the engine rebuilds its state from the store before every decision, which proves that
what it keeps in memory is only a cache. `wire`: all that a step is given, asks and leaves goes through JSON, which
proves that it can be executed anywhere. `far`: each call of the store takes turns of the loop, as those of a database
server do, which proves that nothing relies on a store that answers at once. `workers`: steps are executed by another
process, which calls the test's own functions back, for what these do is seen here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest
from anyio import fail_after

from agentflow.store.sqlite.file.place import InFile
from agentflow.testing.clock import FakeClock
from tests.engine.far import far
from tests.engine.lab import Lab
from tests.workers.crew import Crew
from tests.workers.here_only import EITHER, HERE_ONLY


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
ELSEWHERE = frozenset({"test_artifacts", "test_limits_elsewhere", "test_wire"})
"""Modules whose tests run on workers elsewhere each time."""
SOON = 3.0
"""Seconds for which a test waits that is expected to fail."""
REPLAYED = frozenset({
    "test_budgets", "test_crash_points", "test_gates", "test_keys", "test_loops", "test_order", "test_recovery",
    "test_regressions", "test_restoring", "test_scopes", "test_shared_keys", "test_skipping", "test_subworkflows",
    "test_times", "test_tolerated",
})  # fmt: skip
"""Modules beside those on the wire whose tests are replayed each time."""
FAR = frozenset({"test_answers", "test_cancel", "test_keys", "test_published", "test_subworkflows", "test_takeover"})
"""Modules whose tests run on a store that is far away each time."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let each test that uses `lab` run in all modes."""
    if "mode" in metafunc.fixturenames:
        known = metafunc.definition.path.stem in IN_JSON
        wire = pytest.param("wire", marks=() if known else (pytest.mark.slow,))
        away = pytest.param("far", marks=() if metafunc.definition.path.stem in FAR else (pytest.mark.slow,))
        replays = known or metafunc.definition.path.stem in REPLAYED
        again = pytest.param("replayed", marks=() if replays else (pytest.mark.slow,))
        modes = ["cached", again, wire, away]
        if metafunc.definition.path.parent == Path(__file__).parent:  # crash tests have workers of their own
            elsewhere = metafunc.definition.path.stem in ELSEWHERE
            modes.append(pytest.param("workers", marks=() if elsewhere else (pytest.mark.slow,)))
        metafunc.parametrize("mode", modes)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Expect those tests to fail on workers elsewhere that can't hold there."""
    left = {**HERE_ONLY, **EITHER}
    for item in items:
        if isinstance(item, pytest.Function) and "[workers" in item.name:
            name = f"{item.path.stem}::{item.name}"
            for each in (name, name.partition("[")[0]):
                left.pop(each, None)
                if each in HERE_ONLY:
                    item.add_marker(pytest.mark.xfail(reason=HERE_ONLY[each], strict=True))
                elif each in EITHER:
                    item.add_marker(pytest.mark.skip(reason=EITHER[each]))
    modules = {item.path.stem for item in items}
    gone = [name for name in left if name.partition("::")[0] in modules]
    if gone and not any("::" in arg for arg in items[0].config.args):
        raise pytest.UsageError(f"tests.workers.here_only: there is no such test: {gone}")


@pytest.fixture
def clock() -> FakeClock:
    """Virtual time that jumps to what is due next whenever the engine is idle."""
    return FakeClock()


@pytest.fixture(scope="session")
def crew() -> Iterator[Crew]:
    """Makes workers in other processes."""
    with TemporaryDirectory(prefix="af", ignore_cleanup_errors=True) as folder:  # a socket's path has to be short
        made = Crew(Path(folder))
        yield made
        made.end()


def _fail_soon(_: float) -> AbstractContextManager[anyio.CancelScope]:
    return fail_after(SOON)


@pytest.fixture
def lab(
    clock: FakeClock, mode: str, crew: Crew, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Lab]:
    """Short ways to workflows and engines, on virtual time."""
    if mode == "workers":
        monkeypatch.setattr(anyio, "wait_all_tasks_blocked", crew.settled)
        if request.node.get_closest_marker("xfail") is not None:  # it needn't wait for long in vain
            monkeypatch.setattr(anyio, "fail_after", _fail_soon)
    with far() if mode == "far" else nullcontext():
        yield Lab(clock, mode == "replayed", wire=mode == "wire", crew=crew if mode == "workers" else None)
