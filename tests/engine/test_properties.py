"""Random workflows with random crashes, against an independent sequential oracle, and the invariants by their numbers.

`make test` runs a fixed choice of examples. `make test-slow` runs many more, at random; it prints its seed, and
`AGENTFLOW_PROPERTY_SEED` repeats it. A failure prints what `@reproduce_failure` takes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import SystemRandom
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from hypothesis import strategies as st

from agentflow.faultpoints import POINTS
from tests.engine import invariants as inv
from tests.engine.contending import contended
from tests.engine.oracle import Ambiguous, Oracle
from tests.engine.plans import Plan, flows
from tests.engine.world import Crash, Kill, Look, Meddler, World
from tests.workers.crew import Crew

SEED = int(os.environ.get("AGENTFLOW_PROPERTY_SEED") or SystemRandom().randrange(2**32))
CRASHES = st.lists(st.tuples(st.sampled_from(POINTS), st.integers(1, 12)), max_size=3)
KILLS = st.lists(st.tuples(st.integers(1, 12), st.integers(0, 1)), max_size=3)
DOUBLED = st.frozensets(st.integers(0, 15), max_size=6)
MODES = pytest.mark.parametrize(
    ("stored", "replay"), [(True, False), (False, True)], ids=["cached-file", "replayed-memory"]
)
"""A file is opened anew after each crash; a store in memory goes on with what its connection knows."""
MEDDLERS = st.builds(Meddler, st.sampled_from(("cancel", "cancel", "pause")), st.integers(1, 25))
_PHASES = (Phase.explicit, Phase.generate, Phase.shrink)
_CALM = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

Test = Callable[..., None]


def few(test: Test, examples: int, **given_: Any) -> None:
    """Run a fixed choice of examples."""
    settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=_PHASES,
        suppress_health_check=_CALM,
        report_multiple_bugs=False,
    )(given(**given_)(test))()


def many(test: Test, examples: int, **given_: Any) -> None:
    """Run examples at random, and tell the seed."""
    print(f"AGENTFLOW_PROPERTY_SEED={SEED}")
    settings(
        max_examples=examples,
        print_blob=True,
        database=None,
        deadline=None,
        phases=_PHASES,
        suppress_health_check=_CALM,
        report_multiple_bugs=False,
    )(seed(SEED)(given(**given_)(test)))()


@dataclass(frozen=True)
class Elsewhere:
    """Workers in other processes, and what happens to them."""

    crew: Crew
    kills: Sequence[Kill]
    doubled: Collection[int]
    """Which of the deliveries double."""

    def employ(self) -> Crew:
        """Return the workers."""
        deliveries = count()
        self.crew.workers = 2
        self.crew.twice = lambda _: next(deliveries) in self.doubled
        return self.crew


def live(
    plan: Plan, crashes: Sequence[Crash], *, stored: bool, replay: bool, meddle: Meddler | None = None,
    there: Elsewhere | None = None,
) -> tuple[World, list[Look]]:  # fmt: skip
    """Run a workflow to its end, on a store of its own."""
    with tempfile.TemporaryDirectory(prefix="agentflow-") if stored else nullcontext() as folder:
        path = Path(folder) / "runs.db" if folder is not None else None
        crew, kills = (there.employ(), there.kills) if there is not None else (None, ())
        world = World(plan, always_replay=replay, path=path, crew=crew, kills=kills)
        return world, anyio.run(world.live, crashes, meddle)


def the_end_is_the_oracles(
    plan: Plan, crashes: Sequence[Crash], *, stored: bool, replay: bool, there: Elsewhere | None = None
) -> World:
    """Check a workflow in which it is foretold what comes of every step; return what it lived through."""
    try:
        Oracle({}).flow(plan)
    except Ambiguous:
        assume(False)
    world, looks = live(plan, crashes, stored=stored, replay=replay, there=there)
    inv.agrees(world, looks)
    inv.within_limits(world, looks)
    hold(world, looks)
    return world


def the_race_ends_well(
    plan: Plan, crashes: Sequence[Crash], meddle: Meddler | None = None, *, stored: bool, replay: bool,
    there: Elsewhere | None = None,
) -> World:  # fmt: skip
    """Check what holds whoever is first: who wins a race isn't foretold, only what may come of it.

    Returns what the workflow lived through.
    """
    world, looks = live(plan, crashes, stored=stored, replay=replay, meddle=meddle, there=there)
    hold(world, looks)
    inv.invariant_10_paused(world, looks)
    inv.invariant_10(looks)
    return world


def hold(world: World, looks: Sequence[Look]) -> None:
    """Check what holds at the end of every run."""
    inv.in_order(world.plan.body, looks[0].events)
    inv.invariant_1(looks)
    inv.invariant_2(looks)
    inv.invariant_3(world, looks)
    inv.invariant_11(world, looks)
    inv.invariant_13(looks)
    inv.invariant_23(looks)
    inv.sums_are_what_was_told(world, looks)


Run = Callable[..., World]
FORETOLD = flows() | flows() | flows() | contended()
KINDS = pytest.mark.parametrize(
    ("check", "given_"),
    [
        pytest.param(the_end_is_the_oracles, {"plan": FORETOLD}, id="foretold"),
        pytest.param(the_race_ends_well, {"plan": flows(racing=True)}, id="racing"),
        pytest.param(the_race_ends_well, {"plan": flows() | flows(racing=True), "meddle": MEDDLERS}, id="meddled"),
    ],
)


@pytest.mark.case("F-CP-1", "A-29", "INV-1", "INV-2", "INV-3", "INV-10", "INV-11", "INV-13", "INV-23")
@KINDS
@MODES
def test_whatever_crashes_on_the_way_the_end_is_the_oracles_and_the_invariants_hold(
    check: Run, given_: dict[str, Any], stored: bool, replay: bool
) -> None:
    def test(**drawn: Any) -> None:
        check(**drawn, stored=stored, replay=replay)

    few(test, 15, crashes=CRASHES, **given_)


@pytest.mark.slow
@KINDS
@MODES
def test_so_it_is_with_many_more_random_workflows(
    check: Run, given_: dict[str, Any], stored: bool, replay: bool
) -> None:
    def test(**drawn: Any) -> None:
        check(**drawn, stored=stored, replay=replay)

    many(test, 250 if stored else 1000, crashes=CRASHES, **given_)


@pytest.fixture
def pair(crew: Crew) -> Iterator[Crew]:
    """Workers whose deliveries and deaths are as the test wants them."""
    before = crew.workers, crew.twice, crew.lost
    yield crew
    crew.workers, crew.twice, crew.lost = before


def elsewhere(check: Run, crew: Crew) -> Test:
    """Return a test of a workflow whose steps are executed by workers in other processes."""

    def test(kills: Sequence[Kill], doubled: Collection[int], **drawn: Any) -> None:
        check(**drawn, stored=True, replay=False, there=Elsewhere(crew, kills, doubled))

    return test


@pytest.mark.case("INV-1", "INV-2", "INV-3", "INV-11", "INV-13", "INV-23")
@KINDS
def test_whichever_worker_dies_or_gets_a_step_twice_the_end_is_the_oracles(
    check: Run, given_: dict[str, Any], pair: Crew
) -> None:
    few(
        elsewhere(check, pair),
        8,
        crashes=CRASHES.map(lambda crashes: crashes[:1]),
        kills=KILLS,
        doubled=DOUBLED,
        **given_,
    )


@pytest.mark.slow
@KINDS
def test_so_it_is_with_many_more_kills_of_workers(check: Run, given_: dict[str, Any], pair: Crew) -> None:
    many(elsewhere(check, pair), 150, crashes=CRASHES, kills=KILLS, doubled=DOUBLED, **given_)
