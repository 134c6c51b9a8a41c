"""Random workflows with random crashes, against a small sequential oracle.

The oracle knows nothing of scopes, rows or time: it walks the steps in an order that respects their edges and says what
each must come to. The engine must agree on every state and every result, wherever its host died on the way.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentflow.definition.models import Defaults, RetryPolicy, Step, Workflow
from agentflow.engine import Answer, Engine, Event
from agentflow.steps import delay, for_each, parallel, sequence, wait_for_input
from agentflow.steps.building import Common
from agentflow.store import open_store
from agentflow.store.contract import Store
from agentflow.store.rows import TERMINAL, RunQuery
from agentflow.testing.clock import FakeClock
from agentflow.testing.faults import dying, fault, inherit
from tests.engine.lab import LIMIT, Done, Lab

Kind = Literal["call", "wait", "delay", "sequence", "parallel", "for_each"]
_ALL = RunQuery()
KINDS: tuple[Kind, ...] = ("call", "call", "call", "call", "wait", "delay", "sequence", "parallel", "for_each")


@dataclass(frozen=True)
class Plan:
    """One step of a random workflow."""

    id: str
    kind: Kind = "call"
    depends: tuple[str, ...] = ()
    """Explicit dependencies; none: the implicit order counts."""
    parallel: bool = False
    condition: bool | None = None
    fails: int = 0
    """How often it fails before it succeeds."""
    tries: int = 1
    tolerated: bool = False
    body: tuple[Plan, ...] = ()


@dataclass
class Oracle:
    """What must come of a scope: address → (state, reason), and results."""

    states: dict[str, tuple[str, str | None]] = field(default_factory=dict[str, tuple[str, str | None]])
    results: dict[str, Any] = field(default_factory=dict[str, Any])

    def run(self, plans: tuple[Plan, ...], prefix: str = "") -> tuple[bool, dict[str, Any]]:
        """Walk a scope: whether it ends well, and its map of results. Siblings of a failure go on (`continue`)."""
        satisfied: dict[str, bool] = {}
        values: dict[str, Any] = {}
        good = True
        for plan in plans:
            if not all(satisfied[name] for name in edges(plans)[plan.id]):
                satisfied[plan.id] = False
                good = good and False
                continue
            state, reason, value = self._step(plan, prefix + plan.id)
            self.states[prefix + plan.id] = (state, reason)
            satisfied[plan.id] = state != "failed"
            good = good and state != "failed"
            values[plan.id] = value
        return good, values

    def _step(self, plan: Plan, address: str) -> tuple[str, str | None, Any]:
        if plan.condition is False:
            return "canceled", "condition", None
        if plan.kind in ("call", "wait", "delay"):
            good = plan.kind != "call" or plan.fails < plan.tries
            value: Any = {} if plan.kind == "delay" else address
        elif plan.kind == "for_each":
            rounds = [self.run(plan.body, f"{address}[{n}]/") for n in range(2)]
            good, value = all(ok for ok, _ in rounds), [values for _, values in rounds]
        else:
            good, value = self.run(plan.body, f"{address}/")
        if good:
            self.results[address] = value
            return "completed", None, value
        return ("canceled", "tolerated", None) if plan.tolerated else ("failed", None, None)


def edges(plans: tuple[Plan, ...]) -> dict[str, tuple[str, ...]]:
    """Return what each step of a scope waits for, by the rules of order."""
    found: dict[str, tuple[str, ...]] = {}
    block: int | None = None
    for position, plan in enumerate(plans):
        earlier = tuple(other.id for other in plans[:position])
        if plan.depends:
            found[plan.id] = plan.depends
        elif plan.parallel:
            block = position if block is None else block
            found[plan.id] = earlier[:block]
        else:
            found[plan.id] = earlier
            block = None
    return found


@st.composite
def scopes(draw: st.DrawFn, depth: int = 0) -> tuple[Plan, ...]:
    """Make the steps of a scope."""
    plans: list[Plan] = []
    for number in range(draw(st.integers(1, 6 if depth == 0 else 3))):
        kind = draw(st.sampled_from(KINDS if depth < 2 else ("call", "call", "wait", "delay")))
        fails = draw(st.sampled_from((0, 0, 0, 1, 2))) if kind == "call" else 0
        depends = draw(st.lists(st.sampled_from([plan.id for plan in plans]), unique=True, max_size=3)) if plans else []
        plans.append(
            Plan(
                id=f"s{number}",
                kind=kind,
                depends=tuple(depends) if draw(st.booleans()) else (),
                parallel=draw(st.booleans()),
                condition=draw(st.sampled_from((None, None, None, True, False))),
                fails=fails,
                tries=draw(st.sampled_from((1, 2, 3))),
                tolerated=draw(st.booleans()),
                body=draw(scopes(depth + 1)) if kind in ("sequence", "parallel", "for_each") else (),
            )
        )
    return tuple(plans)


class World:
    """Builds a workflow from plans, and notes what its steps do."""

    def __init__(self, plans: tuple[Plan, ...], *, always_replay: bool) -> None:
        """Make a workflow, a clock and a store."""
        self.lab = Lab(FakeClock(), always_replay)
        self.plans = plans
        self.calls: Counter[str] = Counter()
        self.committed: set[str] = set()
        self.failed: Counter[str] = Counter()
        steps = [self._step(plan) for plan in plans]
        self.flow = Workflow(
            id="main", steps=tuple(steps), defaults=Defaults(on_error_siblings="continue"), output={"done": True}
        )

    def _step(self, plan: Plan) -> Step:
        common: Common = {}
        if plan.depends:
            common["depends_on"] = plan.depends
        if plan.parallel:
            common["execution"] = "parallel"
        else:
            common["execution"] = "sequential"
        if plan.condition is not None:
            common["if_"] = plan.condition
        if plan.tolerated:
            common["on_error"] = "continue"
        if plan.kind == "wait":
            return wait_for_input(plan.id, message="?", **common)
        if plan.kind == "delay":
            return delay(plan.id, for_="3s", **common)
        if plan.kind == "call":
            common["retry"] = RetryPolicy(max_attempts=plan.tries, base=1.0)
            return self.lab.call(plan.id, self._function(plan), **common)
        body = [self._step(child) for child in plan.body]
        common["on_error_siblings"] = "continue"
        if plan.kind == "for_each":
            return for_each(plan.id, in_=[0, 1], steps=body, **common)
        return (sequence if plan.kind == "sequence" else parallel)(plan.id, steps=body, **common)

    def _function(self, plan: Plan) -> Any:
        async def act(ctx: Any) -> Any:
            assert ctx.address not in self.committed, f"{ctx.address} was completed already"
            self.calls[ctx.address] += 1
            await anyio.lowlevel.checkpoint()
            if ctx.tries <= plan.fails:
                raise RuntimeError("as planned")
            return ctx.address

        return act

    async def drive(self, crashes: list[int]) -> Done:
        """Run it to its end; the host dies at the nth commit of each life, for each n given."""
        store = await open_store(":memory:")
        for nth in crashes:
            with fault("before-commit" if nth % 2 else "after-commit", nth):
                async with dying(self.lab.open(self.flow, store=store)) as engine:
                    await inherit(engine, store)
                    await self._go_on(engine)
            await self._note(store)
        async with self.lab.open(self.flow, store=store) as engine:
            await inherit(engine, store)
            run = await self._go_on(engine)
            return await self.lab.look(engine, run)

    async def _go_on(self, engine: Engine) -> str:
        with anyio.fail_after(LIMIT):
            run = await engine.start("main", {}, idempotency_key="the one")
            while not (await engine.wait(run.id)).ended:
                await anyio.lowlevel.checkpoint()
                for view in await engine.waits(run.id):
                    await engine.resume(view.id, Answer(view.step), message_id=view.id)
        return run.id

    async def _note(self, store: Store) -> None:
        for run in await store.list_runs(_ALL):
            self.committed = {row.address for row in await store.list_steps(run.id) if row.state in TERMINAL}


def check(world: World, done: Done) -> None:
    """Compare what came of it with the oracle."""
    oracle = Oracle()
    good, _ = oracle.run(world.plans)
    assert done.state == ("completed" if good else "failed")
    assert {address: (state, done.reasons.get(address)) for address, state in _reached(done).items()} == oracle.states
    # a container's result is assembled from those of its steps and never stored
    assert done.results == {a: value for a, value in oracle.results.items() if isinstance(value, str) or value == {}}
    ended = Counter(event.step for event in done.events if event.type == "step_completed")
    assert ended == Counter(address for address, (state, _) in oracle.states.items() if state == "completed")
    assert [event.seq for event in done.events] == list(range(1, len(done.events) + 1))
    assert done.events[-1].type in {"run_completed", "run_failed"}
    _check_order(world.plans, done.events)


def _reached(done: Done) -> dict[str, str]:
    return {address: state for address, state in done.states.items() if state != "submitted"}


def _check_order(plans: tuple[Plan, ...], events: list[Event], prefix: str = "") -> None:
    """No step starts before what it waits for has ended."""
    began: dict[str, int] = {}
    over: dict[str, int] = {}
    for event in events:
        if event.step is None:
            continue
        if event.type in {"step_started", "step_waiting", "step_skipped"}:
            began.setdefault(event.step, event.seq)
        if event.type in {"step_completed", "step_failed", "step_skipped"}:
            over[event.step] = event.seq
    for name, wanted in edges(plans).items():
        for other in wanted:
            if prefix + name in began:
                assert over[prefix + other] <= began[prefix + name], (prefix, other, name)
    for plan in plans:
        for inner in [f"[{n}]/" for n in range(2)] if plan.kind == "for_each" else ["/"] if plan.body else []:
            _check_order(plan.body, events, f"{prefix}{plan.id}{inner}")


def _run(plans: tuple[Plan, ...], crashes: list[int], *, always_replay: bool) -> tuple[World, Done]:
    world = World(plans, always_replay=always_replay)
    return world, anyio.run(world.drive, crashes)


_EVERYTHING = settings(max_examples=700, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@pytest.mark.case("F-CP-1", "A-29")
@_EVERYTHING
@given(plans=scopes(), crashes=st.lists(st.integers(1, 8), max_size=3))
def test_whatever_crashes_on_the_way_the_end_is_the_oracles(plans: tuple[Plan, ...], crashes: list[int]) -> None:
    world, done = _run(plans, crashes, always_replay=False)
    check(world, done)
    if not crashes:
        assert all(times <= 3 for times in world.calls.values())


@settings(_EVERYTHING, max_examples=350)
@given(plans=scopes(), crashes=st.lists(st.integers(1, 8), max_size=2))
def test_rebuilding_state_before_every_decision_changes_nothing(plans: tuple[Plan, ...], crashes: list[int]) -> None:
    replayed, again = _run(plans, crashes, always_replay=True)
    check(replayed, again)
    _, done = _run(plans, [], always_replay=False)
    assert again.states == done.states
    assert again.reasons == done.reasons
    assert again.results == done.results
