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
STORES = pytest.mark.parametrize("stored", [False, True], ids=["memory", "sqlite"])
MODES = pytest.mark.parametrize("replay", [False, True], ids=["cached", "replayed"])
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


def the_end_is_the_oracles(plan: Plan, crashes: Sequence[Crash], *, stored: bool, replay: bool) -> None:
    try:
        Oracle({}).flow(plan)
    except Ambiguous:
        assume(False)
    world, looks = live(plan, crashes, stored=stored, replay=replay)
    inv.agrees(world, looks)
    inv.in_order(plan.body, looks[0].events)
    hold(world, looks)


def hold(world: World, looks: Sequence[Look]) -> None:
    """Check the invariants that hold at the end of every run."""
    inv.invariant_1(looks)
    inv.invariant_2(looks)
    inv.invariant_3(world, looks)
    inv.invariant_11(world, looks)
    inv.invariant_13(looks)
    inv.invariant_23(looks)


@pytest.mark.case("F-CP-1", "A-29")
@STORES
@MODES
def test_whatever_crashes_on_the_way_the_end_is_the_oracles(stored: bool, replay: bool) -> None:
    def test(plan: Plan, crashes: list[Crash]) -> None:
        the_end_is_the_oracles(plan, crashes, stored=stored, replay=replay)

    few(test, int(os.environ.get("N", "60")), plan=flows(), crashes=CRASHES)


@pytest.mark.slow
@STORES
@MODES
def test_many_more_random_workflows_come_to_the_oracles_end(stored: bool, replay: bool) -> None:
    def test(plan: Plan, crashes: list[Crash]) -> None:
        the_end_is_the_oracles(plan, crashes, stored=stored, replay=replay)

    many(test, 2000, plan=flows(), crashes=CRASHES)


def the_race_ends_well(
    plan: Plan, crashes: Sequence[Crash], meddle: Meddler | None, *, stored: bool, replay: bool
) -> None:
    """Check what holds whoever is first: who wins a race isn't foretold, only what each step may come to."""
    world, looks = live(plan, crashes, stored=stored, replay=replay, meddle=meddle)
    hold(world, looks)
    inv.in_order(plan.body, looks[0].events)
    inv.invariant_10_paused(world, looks)
    canceled = [
        event for event in looks[0].events if event.type == "run_status" and (event.data or {}).get("canceling")
    ]
    if canceled:
        inv.invariant_10(looks, canceled[0].pos)


MEDDLERS = st.builds(Meddler, st.sampled_from(("cancel", "cancel", "pause")), st.integers(1, 25))


@STORES
@MODES
def test_in_a_race_whoever_wins_the_invariants_hold(stored: bool, replay: bool) -> None:
    def test(plan: Plan, crashes: list[Crash]) -> None:
        the_race_ends_well(plan, crashes, None, stored=stored, replay=replay)

    few(test, int(os.environ.get("N", "60")), plan=flows(racing=True), crashes=CRASHES)


@STORES
@MODES
def test_whenever_it_is_canceled_or_paused_the_invariants_hold(stored: bool, replay: bool) -> None:
    def test(plan: Plan, crashes: list[Crash], meddle: Meddler) -> None:
        the_race_ends_well(plan, crashes, meddle, stored=stored, replay=replay)

    few(test, int(os.environ.get("N", "60")), plan=flows() | flows(racing=True), crashes=CRASHES, meddle=MEDDLERS)
