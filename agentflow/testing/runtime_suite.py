"""The contract of a runtime that hands attempts to workers elsewhere, as tests.

Subclass the suite in a test module of yours and give it a place with workers:

```python
pytestmark = pytest.mark.anyio


class TestMine(RuntimeSuite):
    @pytest.fixture
    async def workplace(self) -> AsyncIterator[Workplace]: ...
```
"""

# ruff: noqa: S101  a test suite

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Protocol

import anyio

from agentflow.engine.attempt.received import told_from_json
from agentflow.engine.attempt.wire import returned_from_json
from agentflow.engine.exchange import Parcel
from agentflow.engine.runtime.base import Runtime
from agentflow.steps.contract import Park, Skip

LIMIT = 60.0
"""Seconds after which a wait has failed."""


class Workplace(Protocol):
    """A runtime of yours, its workers, and attempts that can be told apart by a number."""

    def runtime(self) -> Runtime:
        """Return the runtime of a new holder: all that an earlier one knew is lost."""
        ...

    async def add(self) -> str:
        """Let a worker join that executes two attempts at once; returns its name."""
        ...

    async def kill(self, worker: str) -> None:
        """End a worker as `kill -9` does."""
        ...

    def cut(self, worker: str) -> None:
        """Cut a worker off from the holder."""
        ...

    def mend(self, worker: str) -> None:
        """Let a worker that was cut off come back."""
        ...

    def parcel(self, number: int, *, holds: bool = False) -> Parcel:
        """Return an attempt whose result is its number; one that holds on waits for `release`."""
        ...

    def release(self, number: int) -> None:
        """Let an attempt that holds on end."""
        ...

    async def begun(self, number: int) -> str:
        """Return the worker that has begun an attempt that holds on, once one has."""
        ...

    async def left(self, number: int) -> None:
        """Return when an attempt that held on has ended, whichever way."""
        ...

    def executions(self, number: int) -> int:
        """Return how often an attempt was begun."""
        ...


class Notes:
    """A holder that notes what it is brought. Attempts count until they have come back, or are taken out of `open`."""

    def __init__(self) -> None:
        """Know of no attempts."""
        self.open: set[str] = set()
        self.results: dict[str, bytes] = {}
        self.stale: list[str] = []
        """Keys of outcomes that counted no more."""
        self.gone: list[str] = []
        """Keys of attempts whose workers are gone."""
        self.unknown: set[str] = set()
        """Keys of attempts that may still be handed out again."""
        self.early: list[str] = []
        """Keys of those of them that were asked about."""
        self.brought: list[str] = []
        """Keys of all outcomes that came."""
        self.never = False
        """Whether nothing is committed any more."""
        self.lets_go = False
        """Whether the tree of the next outcome isn't held any more when it comes."""
        self._changed = anyio.Event()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    def knows(self, key: str) -> bool:
        """Tell whether an attempt is open or over."""
        if key in self.unknown:
            self.early.append(key)
            self._tell()
        return key not in self.unknown

    async def returned(self, key: str, outcome: bytes) -> bool | None:
        """Note what an attempt came to, once it may be committed."""
        self.brought.append(key)
        self._tell()
        if self.never:
            await anyio.sleep_forever()
        if self.lets_go:
            self.lets_go = False
            self.unknown.add(key)
            return None
        counts = key in self.open
        if counts:
            self.open.discard(key)
            value, _ = returned_from_json(outcome)
            assert not isinstance(value, Skip | Park)
            self.results[key] = value
        else:
            self.stale.append(key)
        self._tell()
        return counts

    def lost(self, key: str) -> None:
        """Note that a worker is gone."""
        if key in self.open:
            self.open.discard(key)
            self.gone.append(key)
            self._tell()

    def told(self, key: str, events: bytes) -> bool:
        """Take what is told, if it can be read."""
        told_from_json(events)
        return key in self.open

    async def called(self, key: str, call: bytes) -> bytes | None:
        """Answer calls of attempts that count."""
        return b'{"value":null}' if key in self.open else None

    async def settled(self) -> None:
        """Return when nothing is open any more."""
        await self._until(lambda: not self.open)

    async def late(self, key: str) -> None:
        """Return when an outcome has come that counts no more."""
        await self._until(lambda: key in self.stale)

    async def came(self, key: str) -> None:
        """Return when an outcome has come."""
        await self._until(lambda: key in self.brought)

    async def asked(self, key: str) -> None:
        """Return when something has come that isn't known yet."""
        await self._until(lambda: key in self.early)

    async def _until(self, over: Condition) -> None:
        with anyio.fail_after(LIMIT):
            while not over():
                await self._changed.wait()


class Condition(Protocol):
    """Tells whether something has come about."""

    def __call__(self) -> bool:
        """Look."""
        ...


@asynccontextmanager
async def attended(runtime: Runtime, notes: Notes) -> AsyncGenerator[Runtime]:
    """Let a runtime work for a holder."""
    async with anyio.create_task_group() as group:
        group.start_soon(runtime.attend, notes)
        yield runtime
        group.cancel_scope.cancel()


async def hand_out(runtime: Runtime, notes: Notes, *parcels: Parcel, again: bool = False) -> None:
    """Hand attempts out."""
    notes.open.update(parcel.key for parcel in parcels)
    await runtime.execute(parcels, again=again)


class RuntimeSuite:
    """What holds for every runtime."""

    async def test_each_attempt_comes_back_once_with_what_it_came_to(self, workplace: Workplace) -> None:
        """More attempts than slots."""
        notes = Notes()
        await workplace.add()
        async with attended(workplace.runtime(), notes) as runtime:
            parcels = [workplace.parcel(number) for number in range(9)]
            await hand_out(runtime, notes, *parcels)
            await notes.settled()
        assert notes.results == {parcel.key: b"%d" % number for number, parcel in enumerate(parcels)}
        assert [workplace.executions(number) for number in range(9)] == [1] * 9

    async def test_the_same_key_twice_is_one_attempt(self, workplace: Workplace) -> None:
        """Before it has begun, and while it is executed."""
        notes, parcel = Notes(), workplace.parcel(1, holds=True)
        async with attended(workplace.runtime(), notes) as runtime:
            await hand_out(runtime, notes, parcel, parcel)
            await workplace.add()
            await workplace.begun(1)
            await hand_out(runtime, notes, parcel)
            workplace.release(1)
            await notes.settled()
        assert (workplace.executions(1), list(notes.results)) == (1, [parcel.key])

    async def test_what_was_handed_out_before_there_is_a_worker_waits_for_one(self, workplace: Workplace) -> None:
        """And health says that there is none."""
        notes = Notes()
        async with attended(workplace.runtime(), notes) as runtime:
            await hand_out(runtime, notes, workplace.parcel(1))
            assert await runtime.health() is not None
            await workplace.add()
            await notes.settled()
            assert await runtime.health() is None

    async def test_an_attempt_that_is_interrupted_is_stopped_where_it_is_executed(self, workplace: Workplace) -> None:
        """Its outcome counts no more."""
        notes, parcel = Notes(), workplace.parcel(1, holds=True)
        await workplace.add()
        async with attended(workplace.runtime(), notes) as runtime:
            await hand_out(runtime, notes, parcel)
            await workplace.begun(1)
            notes.open.clear()
            runtime.interrupt([parcel.key], "run_canceled")
            await workplace.left(1)
            await notes.late(parcel.key)
        assert not notes.results

    async def test_an_attempt_that_nobody_is_at_is_lost_at_once_when_it_is_interrupted(
        self, workplace: Workplace
    ) -> None:
        """Nobody has to wait until it stops, and no worker that comes gets it."""
        notes, parcel = Notes(), workplace.parcel(1)
        async with attended(workplace.runtime(), notes) as runtime:
            await hand_out(runtime, notes, parcel)
            runtime.interrupt([parcel.key], "run_canceled")
            await notes.settled()
            await workplace.add()
            await hand_out(runtime, notes, workplace.parcel(2))
            await notes.settled()
        assert (notes.gone, len(notes.results), workplace.executions(1)) == ([parcel.key], 1, 0)

    async def test_an_attempt_that_is_interrupted_comes_back_when_it_has_stopped(self, workplace: Workplace) -> None:
        """Its slots are free then."""
        notes, parcel = Notes(), workplace.parcel(1, holds=True)
        await workplace.add()
        async with attended(workplace.runtime(), notes) as runtime:
            await hand_out(runtime, notes, parcel)
            await workplace.begun(1)
            runtime.interrupt([parcel.key], "run_canceled")
            await notes.settled()
            await workplace.left(1)
        assert (notes.brought, notes.gone) == ([parcel.key], [])

    async def test_an_outcome_is_kept_until_the_holder_has_committed_it(self, workplace: Workplace) -> None:
        """One that dies before gets nothing of it: the next one does."""
        first, second, parcel = Notes(), Notes(), workplace.parcel(1, holds=True)
        first.never = True
        await workplace.add()
        async with attended(workplace.runtime(), first) as runtime:
            await hand_out(runtime, first, parcel)
            await workplace.begun(1)
            workplace.release(1)
            await first.came(parcel.key)
        async with attended(workplace.runtime(), second) as runtime:
            await hand_out(runtime, second, parcel, again=True)
            await second.settled()
        assert (second.results, second.gone, workplace.executions(1)) == ({parcel.key: b"1"}, [], 1)

    async def test_an_outcome_that_the_holder_lets_go_is_kept_until_it_has_the_run_again(
        self, workplace: Workplace
    ) -> None:
        """It may get it back, or another one does."""
        notes, parcel = Notes(), workplace.parcel(1)
        notes.lets_go = True
        await workplace.add()
        async with attended(workplace.runtime(), notes) as runtime:
            await hand_out(runtime, notes, parcel)
            await notes.came(parcel.key)
            notes.unknown.clear()
            await hand_out(runtime, notes, parcel, again=True)
            await notes.settled()
        assert (notes.results, notes.gone, workplace.executions(1)) == ({parcel.key: b"1"}, [], 1)

    async def test_attempts_of_a_killed_worker_are_lost_and_those_of_others_go_on(self, workplace: Workplace) -> None:
        """Nobody has to wait for the dead one."""
        notes, parcels = Notes(), [workplace.parcel(number, holds=True) for number in range(4)]
        await workplace.add()
        await workplace.add()
        async with attended(workplace.runtime(), notes) as runtime:
            await hand_out(runtime, notes, *parcels)
            at = [await workplace.begun(number) for number in range(4)]
            await workplace.kill(at[0])
            for number in range(4):
                workplace.release(number)
            await notes.settled()
        assert set(notes.gone) == {parcel.key for parcel, worker in zip(parcels, at, strict=True) if worker == at[0]}
        assert set(notes.results) == {parcel.key for parcel in parcels} - set(notes.gone)

    async def test_what_a_worker_brings_that_was_given_up_counts_no_more(self, workplace: Workplace) -> None:
        """It was cut off, and comes back when it has ended."""
        notes, parcel = Notes(), workplace.parcel(1, holds=True)
        worker = await workplace.add()
        async with attended(workplace.runtime(), notes) as runtime:
            await hand_out(runtime, notes, parcel)
            await workplace.begun(1)
            workplace.cut(worker)
            await notes.settled()
            workplace.release(1)
            await workplace.left(1)
            workplace.mend(worker)
            await notes.late(parcel.key)
            await hand_out(runtime, notes, workplace.parcel(2))
            await notes.settled()
        assert (notes.gone, len(notes.results)) == ([parcel.key], 1)

    async def test_attempts_go_on_while_the_holder_is_another_one(self, workplace: Workplace) -> None:
        """What one ended in between comes too; what no worker knows of is lost."""
        first, second = Notes(), Notes()
        parcels = [workplace.parcel(number, holds=True) for number in range(2)]
        await workplace.add()
        async with attended(workplace.runtime(), first) as runtime:
            await hand_out(runtime, first, *parcels)
            for number in range(2):
                await workplace.begun(number)
        workplace.release(0)
        await workplace.left(0)
        unknown = workplace.parcel(7)
        async with attended(workplace.runtime(), second) as runtime:
            await hand_out(runtime, second, *parcels, unknown, again=True)
            workplace.release(1)
            await second.settled()
        assert second.results == {parcel.key: b"%d" % number for number, parcel in enumerate(parcels)}
        assert (second.gone, workplace.executions(7)) == ([unknown.key], 0)

    async def test_what_comes_before_the_holder_knows_of_it_is_brought_again(self, workplace: Workplace) -> None:
        """When it is handed out again, that is: the holder has to get at the run first."""
        first, second, parcel = Notes(), Notes(), workplace.parcel(1, holds=True)
        await workplace.add()
        async with attended(workplace.runtime(), first) as runtime:
            await hand_out(runtime, first, parcel)
            await workplace.begun(1)
        workplace.release(1)
        await workplace.left(1)
        second.unknown.add(parcel.key)
        async with attended(workplace.runtime(), second) as runtime:
            await second.asked(parcel.key)
            second.unknown.clear()
            await hand_out(runtime, second, parcel, again=True)
            await second.settled()
        assert (second.results, second.gone, workplace.executions(1)) == ({parcel.key: b"1"}, [], 1)
