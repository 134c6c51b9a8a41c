"""The holder's side of the socket, where a worker sends what it likes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from agentflow.data import encode
from agentflow.engine.exchange import Parcel
from agentflow.testing.processes.frames import Frame, frame
from agentflow.testing.processes.holder import WorkerProcesses
from agentflow.testing.runtime_suite import LIMIT, Notes, attended, hand_out

pytestmark = pytest.mark.anyio

GARBAGE = [
    b"\n",
    b"out\n",
    b"\xff\xff \xff \xff\n",
    b"hello - {\n",
    b'hello - {"slots": "many", "keys": []}\n',
    b'hello - {"slots": 1}\n',
    b"tell 1/1/1/0 5\n",
]


class Peer:
    """A worker that sends lines."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, *lines: bytes) -> None:
        for line in lines:
            self._writer.write(line)

    async def got(self) -> Frame:
        with anyio.fail_after(LIMIT):
            return frame(await self._reader.readline())


@asynccontextmanager
async def connected(path: Path) -> AsyncGenerator[Peer]:
    with anyio.fail_after(LIMIT):
        while not await anyio.Path(path).exists():
            await anyio.lowlevel.checkpoint()
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        yield Peer(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()


async def test_lines_that_cant_be_read_are_refused_and_other_workers_go_on(tmp_path: Path) -> None:
    path, notes = tmp_path / "workers", Notes()
    async with (
        attended(WorkerProcesses(path), notes) as runtime,
        connected(path) as bad,
        connected(path) as good,
    ):
        good.send(Frame("hello", "-", encode({"slots": 1, "keys": []})).line)
        await hand_out(runtime, notes, Parcel("1/1/1/0", b"{}"))
        assert (await good.got()).kind == "do"
        for line in GARBAGE:
            bad.send(line)
            told = await bad.got()
            assert (told.kind, b"Error" in told.raw) == ("refused", True), line
        good.send(Frame("out", "1/1/1/0", encode({"result": "5"})).line)
        assert await good.got() == Frame("done", "1/1/1/0", b"null")
    assert (notes.results, notes.gone) == ({"1/1/1/0": b"5"}, [])


async def test_a_worker_whose_line_has_no_end_is_cut_off_and_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentflow.testing.processes.holder.LONGEST", 1000)
    path, notes = tmp_path / "workers", Notes()
    async with (
        attended(WorkerProcesses(path), notes) as runtime,
        connected(path) as bad,
        connected(path) as good,
    ):
        good.send(Frame("hello", "-", encode({"slots": 1, "keys": []})).line)
        bad.send(b"x" * 5000)
        with pytest.raises(ValueError, match="unpack"):
            await bad.got()
        await hand_out(runtime, notes, Parcel("1/1/1/0", b"{}"))
        assert (await good.got()).kind == "do"
