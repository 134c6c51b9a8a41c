"""Random workflows with random crashes, against an independent sequential oracle, and the invariants by their numbers.

`make test` runs a fixed choice of examples. `make test-slow` runs many more, at random; it prints its seed, and
`AGENTFLOW_PROPERTY_SEED` repeats it. A failure prints what `@reproduce_failure` takes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from random import SystemRandom
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from hypothesis import strategies as st

from agentflow.faultpoints import POINTS
from tests.engine import invariants as inv
from tests.engine.oracle import Ambiguous, Oracle
from tests.engine.plans import Plan, flows
from tests.engine.world import Crash, Look, Meddler, World

SEED = int(os.environ.get("AGENTFLOW_PROPERTY_SEED") or SystemRandom().randrange(2**32))
CRASHES = st.lists(st.tuples(st.sampled_from(POINTS), st.integers(1, 12)), max_size=3)
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


def live(
    plan: Plan, crashes: Sequence[Crash], *, stored: bool, replay: bool, meddle: Meddler | None = None
) -> tuple[World, list[Look]]:
    """Run a workflow to its end, on a store of its own."""
    if not stored:
        world = World(plan, always_replay=replay, path=None)
        return world, anyio.run(world.live, crashes, meddle)
    with tempfile.TemporaryDirectory(prefix="agentflow-") as folder:
        world = World(plan, always_replay=replay, path=Path(folder) / "runs.db")
        return world, anyio.run(world.live, crashes, meddle)


def the_end_is_the_oracles(plan: Plan, crashes: Sequence[Crash], *, stored: bool, replay: bool) -> World:
    """Check a workflow in which it is foretold what comes of every step; return what it lived through."""
    try:
        Oracle({}).flow(plan)
    except Ambiguous:
        assume(False)
    world, looks = live(plan, crashes, stored=stored, replay=replay)
    inv.agrees(world, looks)
    inv.within_limits(world, looks)
    hold(world, looks)
    return world


def the_race_ends_well(
    plan: Plan, crashes: Sequence[Crash], meddle: Meddler | None = None, *, stored: bool, replay: bool
) -> World:
    """Check what holds whoever is first: who wins a race isn't foretold, only what may come of it.

    Returns what the workflow lived through.
    """
    world, looks = live(plan, crashes, stored=stored, replay=replay, meddle=meddle)
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


Run = Callable[..., World]
KINDS = pytest.mark.parametrize(
    ("check", "given_"),
    [
        pytest.param(the_end_is_the_oracles, {"plan": flows()}, id="foretold"),
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
