"""A random workflow comes to life: its functions, the people who answer, the crashes, and what is noted of it all."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow.data import decode
from agentflow.definition.models import Step
from agentflow.engine import Answer, Decline, Engine, Event, Run, ToolFailure, WaitView
from agentflow.engine.exchange import Parcel
from agentflow.errors import ConflictError, InputError
from agentflow.store import open_store
from agentflow.store.contract import Store
from agentflow.store.rows import RunQuery, RunRow, StepRow, TimerRow
from agentflow.store.usage_rows import UsageView
from agentflow.store.views import TaskView
from agentflow.testing.clock import FakeClock
from agentflow.testing.faults import Crashed, dying, fault
from agentflow.usage import text_of
from tests.engine.lab import LIMIT, SKILLS, Lab
from tests.engine.oracle import value_of
from tests.engine.plans import CHANGED, STOPPED, TOPIC, Builder, Plan
from tests.workers.crew import Crew

Kill = tuple[int, int]
"""Before which call a worker dies, and which one."""
Crash = tuple[str, int]
"""A fault point, and at which reach of it the host dies."""


def _said(say: str) -> str:
    return say


SAID = {"call approved": "yes", "call refused": "no"}
"""What is said of the call of a tool, by the step's gate."""
TOOLS: dict[str, Any] = {
    "tools": {"gate": _said},
    "config": {"tools": {"gate": {"python": "lab:gate", "approve": "{arguments.say}"}}},
    "skills": (*SKILLS, "native:tool"),
}
ALL = RunQuery(limit=1000)


class Alien(BaseException):
    """What no step should raise, and no engine may break on."""


@dataclass
class Look:
    """Everything that a store holds of one run."""

    path: str
    """Empty, or the path of the step whose child run it is, and `>`."""
    row: RunRow
    steps: list[StepRow]
    events: list[Event]
    waits: list[TaskView]
    timers: list[TimerRow]


@dataclass
class Life:
    """What one host did before it died, or came to the end."""

    begun: list[tuple[str, str, int]] = field(default_factory=list[tuple[str, str, int]])
    """Run, address and attempt of each call."""
    failed: list[tuple[str, str, int]] = field(default_factory=list[tuple[str, str, int]])


class World:
    """Runs one workflow, whatever happens to its hosts."""

    def __init__(
        self,
        plan: Plan,
        *,
        always_replay: bool,
        path: Path | None,
        crew: Crew | None = None,
        kills: Sequence[Kill] = (),
    ) -> None:
        """Make the workflow.

        Args:
            plan: its description.
            always_replay: whether the engine rebuilds its state before every decision.
            path: of the database; None: in memory.
            crew: executes its steps, in other processes.
            kills: of these.
        """
        self.plan = plan
        self.path = path
        self.lab = Lab(FakeClock(), always_replay, crew=crew)
        self.calls = 0
        self._kills = dict(kills)
        self._fails: dict[tuple[str, str, int], bool] = {}
        """Attempt → whether it was to fail: it may have been delivered twice."""
        if crew is not None:
            crew.lost = self._lose
        builder = Builder(self._call)
        builder.flow(plan, "main")
        self.flows = builder.flows
        self.failures: Counter[tuple[str, str]] = Counter()
        """How often a call failed, where that was committed."""
        self.actions: dict[tuple[str, str], str | None] = {}
        self.offered: dict[str, list[Any]] = {}
        """Wait → the answers that were tried."""
        self.acked: dict[str, Any] = {}
        """Wait → the answer that was taken."""
        self.lost: set[tuple[str, str, int]] = set()
        """Attempts whose host died before their end was committed."""
        self.spent: dict[tuple[str, str, int], int] = {}
        """Attempt → what it has told that it costs, in trillionths."""
        self.lives: list[Life] = [Life()]
        self.struck = True
        """Whether the last crash that was planned has happened: its point may not be reached that often."""
        self.store: Store
        self.usage: list[UsageView] = []
        """What was stored of it, when that was last looked at."""

    # functions

    def _call(self, plan: Plan, **fields: Any) -> Step:
        async def act(ctx: Any, seen: Any = None) -> Any:
            if plan.gate in SAID:
                await ctx.call_tool("gate", {"say": SAID[plan.gate]})
            key = (ctx.run_id, ctx.address)
            self.actions[key] = plan.action
            ctx.usage(model="m", input_tokens=1, cost=self._price((*key, ctx.attempt)))
            self._strike()
            fails = self._begin(key, ctx.attempt, plan)
            await anyio.lowlevel.checkpoint()
            return _fail(plan.how) if fails else value_of(ctx.address, plan, seen)

        return self.lab.call(plan.id, act, **fields)

    def _price(self, one: tuple[str, str, int]) -> str:
        """Return what an attempt costs: each something else, the same one always the same."""
        return text_of(self.spent.setdefault(one, 10**6 * (len(self.spent) % 3 + 1) + len(self.spent)))

    def _begin(self, key: tuple[str, str], attempt: int, plan: Plan) -> bool:
        """Note a call; tells whether it fails."""
        one = (*key, attempt)
        if one not in self._fails:
            self.lives[-1].begun.append(one)
            self._fails[one] = self.failures[key] < plan.fails
            if self._fails[one]:
                self.failures[key] += 1
                self.lives[-1].failed.append(one)
        return self._fails[one]

    def _strike(self) -> None:
        """Kill a worker, if it is time to."""
        self.calls += 1
        which = self._kills.get(self.calls)
        if which is not None and self.lab.crew is not None:
            self.lab.crew.strike(which)

    def _lose(self, parcel: Parcel) -> None:
        """Note that a worker has died in an attempt: what that came to counts no more."""
        attempt = decode(parcel.raw)
        one = (attempt["run_id"], attempt["address"], attempt["attempt"])
        if one in self.lost:
            return
        self.lost.add(one)
        if one in self.lives[-1].failed:
            self.lives[-1].failed.remove(one)
            self.failures[one[:2]] -= 1

    # lives

    async def live(self, crashes: Sequence[Crash], meddle: Meddler | None = None) -> list[Look]:
        """Bring the run to its end over some deaths of its host, and return all that is stored."""
        for point, nth in crashes:
            async with self._open():
                with fault(point, nth) as planned:
                    async with dying(self.lab.open(*self.flows, store=self.store, **TOOLS)) as engine:
                        await engine.host.takeover.claim()
                        await self._go_on(engine, meddle)
                self.struck = planned.struck
                await self._bury()
        async with self._open(), self.lab.open(*self.flows, store=self.store, **TOOLS) as engine:
            await engine.host.takeover.claim()
            await self._go_on(engine, meddle)
            return await self.looks()

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[None]:
        if self.path is None:
            if not hasattr(self, "store"):
                self.store = await open_store(":memory:")
            yield
            return
        self.store = await open_store(self.path, durability="relaxed")
        try:
            yield
        finally:
            await self.store.close()

    async def _go_on(self, engine: Engine, meddle: Meddler | None) -> None:
        with anyio.fail_after(LIMIT):
            run = await engine.start("main", {}, idempotency_key="the one")
            if meddle is not None:
                async with anyio.create_task_group() as group:
                    group.start_soon(meddle.watch, engine, run.id)
                    await self._attend(engine, run)
                    group.cancel_scope.cancel()
            else:
                await self._attend(engine, run)

    async def _attend(self, engine: Engine, run: Run) -> None:
        while not (run := await engine.wait(run.id)).ended:
            await anyio.lowlevel.checkpoint()
            for view in await engine.waits(run.id):
                await self._answer(engine, view)

    async def _answer(self, engine: Engine, view: WaitView) -> None:
        if view.message in {"late", "missed"}:
            return
        if view.kind == "event":
            await engine.publish(TOPIC, {"about": TOPIC}, id=view.id)
            return
        if "budget" in view.details:
            answer: Any = Answer({"action": "stop" if self.plan.budget == STOPPED else "raise"})
        elif "gate" in view.details:
            answer = Answer(_decision(view))
        elif view.kind == "operator":
            answer = Answer({"action": self.actions[view.run_id, view.step]})
        elif view.kind == "tool":
            answer = ToolFailure("as planned")
        elif view.message == "decline":
            answer = Decline("as planned")
        else:
            answer = Answer(f"{view.step} in life {len(self.lives)}")
            with pytest.raises(InputError):
                await engine.resume(view.id, Answer(len(self.lives)))
        self.offered.setdefault(view.id, []).append(answer)
        try:
            await engine.resume(view.id, answer, message_id=f"{view.id}/{len(self.lives)}")
        except ConflictError as error:  # its timeout, its scope's end or a cancel was faster, or it was answered before
            if error.code != "AF-WAIT-CLOSED" and len(self.offered[view.id]) == 1:
                raise
            return
        self.acked[view.id] = answer
        await engine.resume(view.id, answer, message_id=f"{view.id}/{len(self.lives)}")
        with pytest.raises(ConflictError):
            await engine.resume(view.id, Decline("something else"), message_id="somebody else")

    async def _bury(self) -> None:
        """See what a dead host had committed: the next one begins with that, and so does the world."""
        life = self.lives[-1]
        executing = {
            (look.row.id, row.address, row.attempt)
            for look in await self.looks()
            for row in look.steps
            if row.phase == "run"
        }
        self.lost |= executing
        for run, address, attempt in life.failed:
            self.failures[run, address] -= (run, address, attempt) in executing
        self.lives.append(Life())

    # looks

    async def looks(self) -> list[Look]:
        """Return all that is stored, the root run first."""
        roots = await self.store.list_runs(ALL)
        self.usage = [row for root in roots for row in await self.store.usage(root.run)]
        timers = [timer for _, timer in await self.store.due(float("inf"))]
        return [look for root in roots for look in await self._looks(root, "", timers)]

    async def _looks(self, row: RunRow, path: str, timers: list[TimerRow]) -> list[Look]:
        steps = await self.store.list_steps(row.id)
        events = await self.store.events(row.id, 0, 100_000, False)
        waits = await self.store.list_tasks(run_id=row.id, open_only=False)
        found = [Look(path, row, steps, events, waits, [timer for timer in timers if timer.run == row.run])]
        addresses = {step.n: step.address for step in steps}
        for child in await self.store.list_runs(RunQuery(parent=row.id, limit=1000)):
            found += await self._looks(child, f"{path}{addresses[child.parent_step or 0]}>", timers)
        return found


def _decision(view: WaitView) -> dict[str, Any]:
    """Return what is said at a step's gate: it asks for it."""
    yes = {"decision": "accept" if view.details["gate"] == "review" else "approve"}
    if view.message == "edit":
        return {"decision": "edit", "edit": {"seen": CHANGED}}
    if view.message == "back":
        return yes if view.details["round"] else {"decision": "send_back", "feedback": "once more"}
    return yes if view.message == "yes" else {"decision": "reject"}


def _fail(how: str) -> Any:
    if how == "nojson":
        return object()
    if how == "recursion":
        return _fail(how)
    raise {
        "base": Alien("as planned"),
        "exit": SystemExit(3),
        "cancelled": asyncio.CancelledError("as planned"),
    }.get(how, RuntimeError("as planned"))


class Meddler:
    """Somebody who cancels or pauses a run when it comes to a certain event."""

    def __init__(self, what: str, at: int) -> None:
        """Do `what` (`cancel`, `pause`) at the event of that number."""
        self.what = what
        self.at = at
        self.done = False

    async def watch(self, engine: Engine, run: str) -> None:
        """Look on, and act when it is time."""
        async for event in engine.subscribe(run):
            if event.seq >= self.at:
                break
        if self.what == "cancel":
            await engine.cancel(run)
        else:
            await engine.pause(run)
            for _ in range(5):
                await anyio.lowlevel.checkpoint()
            await engine.unpause(run)
        self.done = True


__all__ = ("ALL", "Alien", "Crash", "Crashed", "Kill", "Life", "Look", "Meddler", "World")
