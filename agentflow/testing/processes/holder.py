"""The holder's side: gives attempts to the workers that have connected, and brings what they send."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import anyio
from anyio.abc import TaskGroup

from agentflow.data import decode, encode
from agentflow.engine.exchange import Parcel
from agentflow.engine.runtime.base import Holder
from agentflow.testing.processes.frames import LONGEST, Frame, frame

EARLY = 1000
"""Of so many attempts is kept what they brought too early."""


def _once(_: str) -> bool:
    return False


class WorkerProcesses:
    """Implements `Runtime`."""

    def __init__(
        self, path: Path, workers: int = 1, *, patience: float = 2.0, twice: Callable[[str], bool] = _once
    ) -> None:
        """Hand out nothing yet.

        Args:
            path: of the socket.
            workers: how many are expected: what a holder before has handed out is lost when these don't know of it.
            patience: seconds for which they are waited for.
            twice: tells of which attempts two workers get one each, if there are two: a delivery may double.
        """
        self._path = path
        self._expected = workers
        self._patience = patience
        self._twice = twice
        self._open: set[asyncio.StreamWriter] = set()
        self._seats: list[_Seat] = []
        self._waiting: dict[str, Parcel] = {}
        self._adopted: set[str] = set()
        """Handed out by a holder before, and not found at a worker yet."""
        self._stopped: list[str] = []
        """Stopped before the holder attended to them."""
        self._early: dict[str, list[tuple[_Seat, Frame]]] = {}
        """What attempts have brought that the holder doesn't know of yet."""
        self._complete = anyio.Event()
        """Set when all workers that are expected have said what they are at."""
        self._holder: Holder | None = None
        self._group: TaskGroup | None = None

    async def execute(self, parcels: Sequence[Parcel], *, again: bool = False) -> None:
        """Hand attempts out; the same key twice is one attempt."""
        for parcel in parcels:
            if again and self._bring(parcel.key):
                continue
            if parcel.key in self._waiting or self._at(parcel.key):
                continue
            if not again:
                self._waiting[parcel.key] = parcel
            elif self._complete.is_set() and self._holder is not None:
                self._holder.lost(parcel.key)
            else:
                self._adopted.add(parcel.key)
        self._assign()

    def interrupt(self, keys: Sequence[str], reason: str) -> None:
        """Have workers stop attempts."""
        for key in keys:
            self._waiting.pop(key, None)
            self._adopted.discard(key)
            self._let_go(key)
            seats = self._at(key)
            for seat in seats:
                seat.send(Frame("stop", key, encode(reason)))
            if seats:
                continue
            if self._holder is not None:
                self._holder.lost(key)
            else:
                self._stopped.append(key)

    async def complete(self) -> None:
        """Return when all workers that are expected have connected, or were waited for long enough."""
        await self._complete.wait()

    async def health(self) -> str | None:
        """Tell whether there is a worker."""
        return None if self._seats else f"no worker is connected to {self._path}"

    async def attend(self, holder: Holder) -> None:
        """Let workers connect, until cancelled."""
        self._holder = holder
        while self._stopped:
            holder.lost(self._stopped.pop())
        self._path.unlink(missing_ok=True)  # of a holder that was killed
        async with anyio.create_task_group() as group:
            self._group = group

            def joined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                if self._group is None:  # it was accepted just before the end
                    writer.transport.abort()
                    return
                self._open.add(writer)
                group.start_soon(self._serve, reader, writer)

            with anyio.CancelScope(shield=True) as scope:  # a server that isn't known of would stay open
                server = await asyncio.start_unix_server(joined, self._path, limit=LONGEST)
                try:
                    scope.shield = False
                    await self._find_lost(holder)
                    await anyio.sleep_forever()
                finally:
                    self._group = None
                    with anyio.CancelScope(shield=True):
                        await self._cut(server)

    async def _cut(self, server: asyncio.Server) -> None:
        """Close what is open: also connections that come in just now, and those to workers that don't read."""
        for listening in server.sockets:
            asyncio.get_running_loop().remove_reader(listening)
        for _ in range(3):  # what was accepted has to be there before the server is closed, else it never is
            await anyio.lowlevel.checkpoint()
        server.close()
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
            for writer in self._open:
                writer.transport.abort()
        await anyio.lowlevel.checkpoint()
        self._open.clear()

    async def _find_lost(self, holder: Holder) -> None:
        with anyio.move_on_after(self._patience):
            await self._complete.wait()
        self._complete.set()
        adopted, self._adopted = self._adopted, set()
        for key in adopted:
            if not self._at(key):
                holder.lost(key)

    def _at(self, key: str) -> list[_Seat]:
        return [seat for seat in self._seats if key in seat.keys]

    def _assign(self) -> None:
        """Give what waits to those that have the most room."""
        while self._waiting and self._seats:
            first, *others = sorted(self._seats, key=lambda seat: len(seat.keys) - seat.slots)
            if len(first.keys) >= first.slots:
                return
            key = next(iter(self._waiting))
            parcel = self._waiting.pop(key)
            for seat in [first, *(others[:1] if self._twice(key) else ())]:
                seat.keys.add(key)
                seat.send(Frame("do", key, parcel.raw))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seat = _Seat(writer)
        try:
            while (line := await reader.readline()).endswith(b"\n"):  # else it was cut off
                self._take_line(seat, line)
        except (ConnectionError, ValueError):  # it is cut off, or sends lines without end
            pass
        finally:
            writer.close()
            if not writer.transport.get_write_buffer_size():  # else it isn't closed before all of that is read
                self._open.discard(writer)
        self._gone(seat)

    def _gone(self, seat: _Seat) -> None:
        """A worker is gone, or cut off: others take over what it was at."""
        if seat in self._seats:
            self._seats.remove(seat)
        for early in self._early.values():  # it asks again when it comes back
            early[:] = [(by, told) for by, told in early if by is not seat or told.kind != "call"]
        for key in seat.keys:
            if not self._at(key) and self._holder is not None:
                self._holder.lost(key)
        self._assign()

    def _take_line(self, seat: _Seat, line: bytes) -> None:
        """Take a line; what can't be read is refused, and nobody else is the worse for it."""
        name = "-"
        try:
            told = frame(line)
            name = told.name
            self._take(seat, told)
        except Exception as error:
            seat.send(Frame("refused", name, encode(f"{type(error).__name__}: {error}")))

    def _take(self, seat: _Seat, told: Frame) -> None:
        holder, group = self._holder, self._group
        if holder is None or group is None:
            return
        if told.kind == "hello":
            self._welcome(seat, told)
        elif not holder.knows(told.attempt):
            self._keep(seat, told)
        elif told.kind == "out":
            seat.keys.discard(told.name)  # there is room for another one
            group.start_soon(self._return, holder, seat, told)
        elif told.kind == "tell":
            if not holder.told(told.name, told.raw):
                seat.send(Frame("stop", told.name, encode("fenced")))
        else:
            group.start_soon(self._answer, holder, seat, told)
        self._assign()

    def _welcome(self, seat: _Seat, told: Frame) -> None:
        data = decode(told.raw)
        seat.slots, keys = int(data["slots"]), [str(key) for key in data["keys"]]
        seat.keys.update(keys)
        self._adopted.difference_update(keys)
        self._seats.append(seat)
        if len(self._seats) >= self._expected:
            self._complete.set()

    def _keep(self, seat: _Seat, told: Frame) -> None:
        """Keep what came too early. The worker has its outcomes until they are taken, too."""
        key = told.attempt
        if told.kind == "out":
            seat.keys.discard(key)  # there is room for another one
        self._early.setdefault(key, []).append((seat, told))
        if len(self._early) > EARLY:
            self._let_go(next(iter(self._early)))

    def _bring(self, key: str) -> bool:
        """Bring what came too early; tells whether there was an outcome."""
        early = self._early.pop(key, ())
        for seat, told in early:
            self._take(seat, told)
        return any(told.kind == "out" for _, told in early)

    def _let_go(self, key: str) -> None:
        """Forget what came too early: it is over."""
        for seat, told in self._early.pop(key, ()):
            if told.kind == "out":
                seat.send(Frame("done", key, b"null"))
            elif told.kind == "call":
                seat.send(Frame("over", told.name.rpartition("/")[2], b"null"))

    async def _return(self, holder: Holder, seat: _Seat, told: Frame) -> None:
        taken = await holder.returned(told.name, told.raw)
        if taken is None:
            self._keep(seat, told)
            return
        seat.send(Frame("done", told.name, b"null"))
        for other in self._at(told.name) if taken else ():
            other.send(Frame("stop", told.name, encode("fenced")))

    async def _answer(self, holder: Holder, seat: _Seat, told: Frame) -> None:
        number = told.name.rpartition("/")[2]
        answer = await holder.called(told.attempt, told.raw)
        seat.send(Frame("over", number, b"null") if answer is None else Frame("answer", number, answer))


class _Seat:
    """One worker that is connected."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.slots = 0
        self.keys: set[str] = set()
        """Attempts that it has."""
        self._writer = writer

    def send(self, told: Frame) -> None:
        if not self._writer.is_closing():
            self._writer.write(told.line)
