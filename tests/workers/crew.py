"""The test's side: an engine whose steps are executed by other processes, which call back the test's own functions."""

from __future__ import annotations

import asyncio
import os
import struct
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import anyio

from agentflow.clock import Clock
from agentflow.config import Config
from agentflow.engine.exchange import Parcel
from agentflow.engine.runtime.base import Holder
from agentflow.steps import registry
from agentflow.steps.contract import StepType
from agentflow.testing.processes.frames import Frame
from agentflow.testing.processes.holder import WorkerProcesses
from tests.workers.hand import END, Hand
from tests.workers.messages import Callee, Setup, found

ROOT = Path(__file__).parents[2]
START = 30.0
"""Seconds within which the process that makes workers has to be up."""
IMPORTABLE = ("agentflow.", "tests.")
"""Modules that each process finds; those of a test's own folder are gone with it."""
blocked = anyio.wait_all_tasks_blocked


class Crew:
    """Workers for the engines of a test session: one process that has imported all makes them by forking."""

    def __init__(self, folder: Path) -> None:
        """Start nothing yet; sockets are in a folder, whose path has to be short."""
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count()
        self._employers: list[Elsewhere] = []
        self.workers = 1
        """How many each engine gets."""
        self.twice: Callable[[str], bool] = _once
        """Tells of which attempts two of them get one each."""
        self.lost: Callable[[Parcel], None] = _noted
        """Is told of attempts whose worker is gone."""

    def start(self) -> str:
        """See to it that workers can be made; returns the socket to ask for them."""
        path = self._folder / "workers"
        if self._process is None:
            self._process = subprocess.Popen([sys.executable, "-m", "tests.workers.worker", path], cwd=ROOT)
        by = time.monotonic() + START
        while not path.exists():
            assert self._process.poll() is None, "it has ended"
            assert time.monotonic() < by, "it doesn't come up"
            time.sleep(0.01)
        return str(path)

    def end(self) -> None:
        """Make no more workers."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def strike(self, which: int) -> None:
        """Kill a worker of the engine that was opened last."""
        self._employers[-1].strike(which)

    async def settled(self) -> None:
        """Return when nothing is on its way between this process and its workers, and nothing goes on in any."""
        before = -1
        while before != (before := sum(each.messages for each in self._employers)):
            await blocked()
            for each in self._employers:
                await each.settle()

    @asynccontextmanager
    async def employ(
        self, config: Config, clock: Clock | None, functions: Mapping[str, Any], tools: Mapping[str, Any],
        agents: Mapping[str, Any],
    ) -> AsyncGenerator[Elsewhere]:  # fmt: skip
        """Return a runtime whose workers are other processes; what they are at when the block ends is cut off."""
        name = self._folder / f"e{next(self._numbers)}"
        given = {"functions": functions, "tools": tools, "agents": agents}
        plain = {kind: {name: one for name, one in all_.items() if _plain(one)} for kind, all_ in given.items()}
        callees = {kind: {name: Callee.of(one) for name, one in all_.items()} for kind, all_ in plain.items()}
        providers = {kind: tuple(name for name in all_ if name not in plain[kind]) for kind, all_ in given.items()}
        bare = replace(config, workflows={}, documents={}, parsed={}, sources={}, warnings=[])
        time = None if clock is None else f"{name}.clock"
        setup = Setup(bare, str(name), time, dict(os.environ), callees, providers, _types())
        there = Elsewhere(self, setup, clock, given)
        await there.begin()
        self._employers.append(there)
        try:
            yield there
        finally:
            self._employers.remove(there)
            with anyio.CancelScope(shield=True):
                await there.end()


def _once(_: str) -> bool:
    return False


def _noted(_: Parcel) -> None: ...


def _plain(provided: Any) -> bool:
    return not (hasattr(provided, "call") or (hasattr(provided, "run") and hasattr(provided, "answer")))


def _types() -> dict[str, Mapping[str, Any]]:
    """Return the step types of the test's own."""
    known: dict[str, StepType] = vars(registry)["_types"]
    own = [spec for name, spec in known.items() if name not in registry.BUILTIN and spec.execute is not None]
    return {spec.name: _fields(spec) for spec in own}


def _fields(spec: StepType) -> dict[str, Any]:
    model = spec.config if found(spec.config) and spec.config.__module__.startswith(IMPORTABLE) else None
    return {"config": model, "skills": spec.skills, "outbound": spec.outbound, "timeout": spec.timeout}


class Elsewhere:
    """Implements `Runtime`: the kit's, whose workers call the test's functions through this process."""

    def __init__(
        self, crew: Crew, setup: Setup, clock: Clock | None, given: Mapping[str, Mapping[str, Any]]
    ) -> None:  # fmt: skip
        """Employ nobody yet."""
        self._crew = crew
        self._setup = setup
        self._clock = clock
        self._given = given
        self._runtime = WorkerProcesses(Path(setup.socket), crew.workers, patience=60.0, twice=crew.twice)
        self._holder: Holder | None = None
        self._hands: list[Hand] = []
        self._keeping: list[asyncio.Task[None]] = []
        self._parcels: dict[str, Parcel] = {}
        self.messages = 0
        """How many have come and gone."""

    async def begin(self) -> None:
        """Employ workers; whoever dies is replaced."""
        self._busy()
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for _ in range(self._crew.workers):
            self._hands.append(await self._hand())
            self._keeping.append(asyncio.create_task(self._keep(len(self._hands) - 1)))

    async def _hand(self) -> Hand:
        made = Hand(self._setup, self._given, self._busy, self._called)
        await made.begin(self._crew.start())
        return made

    async def _keep(self, at: int) -> None:
        while True:
            hand = self._hands[at]
            await asyncio.wait([hand.reading, self._over], return_when=asyncio.FIRST_COMPLETED)
            if self._over.done():
                await hand.end()
                return
            await hand.leave()
            self._hands[at] = await self._hand()

    async def end(self) -> None:
        """Let the workers go."""
        self._over.set_result(None)
        await asyncio.gather(*self._keeping)

    def strike(self, which: int) -> None:
        """Kill a worker."""
        self._hands[which % len(self._hands)].kill()

    # the runtime

    async def execute(self, parcels: Sequence[Parcel], *, again: bool = False) -> None:
        """Hand attempts out."""
        self._busy()
        self._parcels.update((parcel.key, parcel) for parcel in parcels)
        await self._runtime.execute(parcels, again=again)

    def interrupt(self, keys: Sequence[str], reason: str) -> None:
        """Have attempts stopped."""
        self._busy()
        self._runtime.interrupt(keys, reason)

    async def attend(self, holder: Holder) -> None:
        """Bring what comes of attempts."""
        self._holder = holder
        await self._runtime.attend(_Watched(holder, self._busy, self._lost))

    async def health(self) -> str | None:
        """Tell whether there is a worker."""
        return await self._runtime.health()

    def _lost(self, key: str) -> None:
        if key in vars(self._holder)["_out"]:  # else it was over before
            self._crew.lost(self._parcels[key])

    def _called(self, key: str, call: bytes) -> bytes | None:
        """Let the holder answer a call that doesn't wait."""
        assert self._holder is not None
        try:
            self._holder.called(key, call).__await__().__next__()
        except StopIteration as answer:
            return answer.value
        raise AssertionError("it waits")

    def _busy(self) -> None:
        """Something comes or goes: the workers are told the time."""
        self.messages += 1
        if self._setup.clock is not None and self._clock is not None:
            Path(self._setup.clock).write_bytes(struct.pack("d", self._clock.now()))

    async def settle(self) -> None:
        """Return when the workers have done all that they could, with all that was sent to them until now."""
        with anyio.move_on_after(END):
            await self._runtime.complete()
            for hand in self._hands:
                hand.settled = asyncio.Event()
            for seat in vars(self._runtime)["_seats"]:
                seat.send(Frame("settle", "-", b"null"))  # after all else that is sent this way
            for hand in self._hands:
                await hand.settled.wait()


class _Watched:
    """A holder; it is noted what comes."""

    def __init__(self, holder: Holder, busy: Callable[[], None], lost: Callable[[str], None]) -> None:
        """Watch a holder."""
        self.knows = holder.knows
        self._holder = holder
        self._busy = busy
        self._lost = lost

    async def returned(self, key: str, outcome: bytes) -> bool | None:
        """Take what an attempt came to."""
        self._busy()
        return await self._holder.returned(key, outcome)

    def lost(self, key: str) -> None:
        """Note that a worker is gone."""
        self._busy()
        self._lost(key)
        self._holder.lost(key)

    def told(self, key: str, events: bytes) -> bool:
        """Take what an attempt tells."""
        self._busy()
        return self._holder.told(key, events)

    async def called(self, key: str, call: bytes) -> bytes | None:
        """Carry out what an attempt asks."""
        self._busy()
        return await self._holder.called(key, call)
