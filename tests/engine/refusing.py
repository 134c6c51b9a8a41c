"""Commits that are refused once: what was touched outside until then, and what becomes of it all afterwards.

A case is a scene in which a transition with a command of its type is refused; `test_effects` plays them all.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import anyio
from pydantic import BaseModel

from agentflow import faultpoints
from agentflow.definition.models import Step, Workflow
from agentflow.engine import Engine, Run
from agentflow.engine.host.queue import Input
from agentflow.errors import StoreError
from agentflow.steps import parallel
from agentflow.steps.contract import Context, Result, StepType
from agentflow.steps.registry import register
from agentflow.testing.outcome import RunOutcome
from tests.engine.hands import Gate, by_hand
from tests.engine.lab import LIMIT, Lab

ONE: Any = {"key": "the one", "limit": 1}


class Touched(NamedTuple):
    """What was done outside."""

    interrupted: int
    entered: int
    reaped: int
    rung: int
    sent: int
    """Attempts that were given to workers elsewhere, taken from them, or answered."""
    untold: int
    """Commits that nobody has heard of, or more of those that were heard of than there were."""


@dataclass
class Outside:
    """What runs have done outside, and what the worker of `effects_hold` is to do next."""

    gate: Gate = field(default_factory=lambda: Gate("done"))
    act: Callable[[Context], Awaitable[None]] | None = None
    """What the worker does when the gate is open."""
    gates: list[Gate] = field(default_factory=list[Gate])
    """Of other steps."""
    reaped: list[Any] = field(default_factory=list[Any])
    rung: int = 0
    sent: Callable[[], int] = lambda: 0
    told: int = 0
    """Commits that others have heard of."""
    stored: int = 0
    """Commits of hosts."""

    def touched(self) -> Touched:
        """Return what was done."""
        gates = [self.gate, *self.gates]
        return Touched(
            sum(gate.interrupted for gate in gates), sum(gate.entered for gate in gates), len(self.reaped), self.rung,
            self.sent(), self.stored - self.told,
        )  # fmt: skip

    def another(self, value: Any = None) -> Gate:
        """Return the gate of another step."""
        self.gates.append(Gate(value))
        return self.gates[-1]

    async def does(self, act: Callable[[Context], Awaitable[None]]) -> None:
        """Let the worker do something."""
        self.act = act
        self.gate.open()


_outside: list[Outside] = []


class Nothing(BaseModel):
    """No fields."""


async def _hold(_config: Nothing, ctx: Context) -> Result:
    here = _outside[-1]
    if here.gate.entered == 0:
        await ctx.save("a process")
    value = await here.gate()
    if here.act is not None:
        await here.act(ctx)
    return Result(value)


def _reap(saved: Any) -> None:
    _outside[-1].reaped.append(saved)


register(StepType("effects_hold", Nothing, execute=_hold, reap=_reap))
HOLD = Step(id="hold", type="effects_hold")


class Refusal:
    """Refuses one commit, and notes what was touched when it was asked for, and when it was refused."""

    def __init__(self, engine: Engine, here: Outside, command: type[Any]) -> None:
        self._engine = engine
        self._here = here
        self._command = command
        self._go = anyio.Event()
        self.touched: list[Touched] = [here.touched()]
        self.event = anyio.Event()

    def __call__(self, point: str) -> None:
        """Refuse the commit that is about to be done, if it is the one and none was."""
        flush = self._engine.core.transactor.committing
        if flush is None:
            return  # another host's
        self._here.stored += point == "after-commit"
        if point != "before-commit" or self.event.is_set():
            return
        commands = [item.command if isinstance(item, Input) else item for item in flush.held]
        if any(isinstance(command, self._command) for command in commands):
            self.touched.append(self._here.touched())
            self.event.set()
            raise StoreError("the disk is full", code="AF-STORE-FULL")

    async def pause(self, _: float) -> None:
        """Let the host wait until the test has looked."""
        await self._go.wait()

    async def wait(self) -> None:
        """Return when it is refused, and everybody has done what follows from that; the host goes on then."""
        with anyio.fail_after(LIMIT):
            await self.event.wait()
        await anyio.wait_all_tasks_blocked()
        self.touched.append(self._here.touched())
        self._go.set()


@dataclass
class Stage:
    """Where a case is played."""

    lab: Lab
    here: Outside
    db: Path
    refused: list[type[Any]] = field(default_factory=list[type[Any]])
    """Commands of which a transition was refused."""

    @asynccontextmanager
    async def open(self, *flows: Workflow, **options: Any) -> AsyncGenerator[Engine]:
        """Open an engine; what it touches is noted."""
        async with self.lab.open(*flows, **options) as engine:
            ring = engine.store.liveness.ring

            async def rings(names: Collection[str] | None) -> None:
                self.here.rung += 1
                await ring(names)

            engine.store.liveness.ring = rings
            yield engine

    @asynccontextmanager
    async def executing(
        self, *steps: Step, others: Collection[Workflow] = (), **options: Any
    ) -> AsyncGenerator[tuple[Engine, Run]]:
        """Open an engine that executes `effects_hold` of a run, and does nothing else; whatever fails stops that."""
        async with self.open(self.holding(*steps), *others, **options) as engine:
            run = await engine.start("main")
            await self.here.gate.inside()
            await anyio.wait_all_tasks_blocked()
            yield engine, run

    def holding(self, *steps: Step) -> Workflow:
        """Return the workflow of `executing`."""
        box = parallel("box", steps=[HOLD, *steps], timeout=3600, on_error_siblings="cancel")
        return self.lab.workflow(box, on_error_siblings="cancel")

    @contextmanager
    def _enabled(self, engine: Engine, command: type[Any]) -> Generator[Refusal]:
        hooks, here = engine.core.committer.on_commit, self.here
        here.stored = here.told = 0

        def told(*_: object) -> None:
            here.told += 1

        hooks.append(told)
        refusal = Refusal(engine, here, command)
        pause, engine.core.committer.pause = engine.core.committer.pause, refusal.pause
        faultpoints.enable(refusal)
        try:
            yield refusal
        finally:
            faultpoints.enable(None)
            engine.core.committer.pause = pause
            hooks.remove(told)

    async def refuse(
        self,
        engine: Engine,
        command: type[Any],
        cause: Callable[[], Awaitable[object]],
        before: Mapping[str, int] | None = None,
    ) -> None:
        """Refuse the transition of a command, which a cause brings about; all it touches is to be as it was.

        Args:
            engine: whose transition it is.
            command: its type.
            cause: it may be told that the store doesn't take it.
            before: what is touched meanwhile by what comes before.
        """

        async def causes() -> None:
            with suppress(StoreError):
                await cause()

        with self._enabled(engine, command) as refusal:
            async with anyio.create_task_group() as group:
                group.start_soon(causes)
                await refusal.wait()
            was, planned, refused = refusal.touched
            for name, times in (before or {}).items():
                was = was._replace(**{name: getattr(was, name) + times})
            assert planned == refused == was, (was, planned, refused)
            self.refused.append(command)
            await self.calm(engine)

    async def calm(self, engine: Engine) -> None:
        """Return when nothing is left to be carried out; steps may be at work, and each has one slot."""
        core = engine.core
        with anyio.fail_after(LIMIT):
            while core.queue.items or core.queue.inbox_due or core.transactor.at_work or core.refolding.at_work:
                await anyio.lowlevel.checkpoint()
        assert core.slots.running == sum(node.phase == "run" for node in core.cache.live())

    async def finish(self, engine: Engine, run: Run) -> RunOutcome:
        """Return what becomes of a run; all slots are free again."""
        done = await self.lab.finish(engine, run)
        await self.calm(engine)
        return done


Play = Callable[[Stage], Awaitable[None]]
Cases = dict[str, tuple[type[Any], Play]]
"""By what happens: the command whose transition is refused, and the scene."""


def case(cases: Cases, command: type[Any], name: str) -> Callable[[Play], Play]:
    """Add a case."""

    def add(play: Play) -> Play:
        assert name not in cases
        cases[name] = command, play
        return play

    return add


def staged(lab: Lab, folder: Path) -> Stage:
    """Return a stage on which nothing has happened yet."""
    _outside[:] = [Outside()]
    return Stage(by_hand(lab), _outside[-1], folder / "runs.db")


def opened(gate: Gate) -> Callable[[], Awaitable[None]]:
    """Return what opens a gate."""

    async def opens() -> None:
        gate.open()

    return opens
