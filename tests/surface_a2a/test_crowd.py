"""Many follow one task over raw connections: all are told the same, whoever of them is slow, or dead."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import httpx
import pytest
from anyio.abc import SocketStream

from tests.surface_a2a.served import Server

pytestmark = pytest.mark.anyio
CONFIG = """
name: crowd
python: {modules: [crowd]}
workflows:
  crowd:
    input: {count: integer, size: integer}
    steps:
      - {id: go, type: wait_for_input, message: "Go?"}
      - {id: write, type: python, function: "crowd:write", input: {count: "{input.count}", size: "{input.size}"}}
    output: "done"
"""
PYTHON = """
from agentflow import Context
from agentflow.steps.contract import Artifact


async def write(count, size, ctx: Context):
    for n in range(count):
        part = {"text": f"{n} ".ljust(size, ".")}
        await ctx.artifact(Artifact("book", parts=(part,), append=n > 0, last_chunk=n == count - 1))
"""
HEADERS = {"A2A-Version": "1.0"}


@pytest.fixture(scope="module")
def crowded() -> Iterator[Server]:
    """A server whose runs give many chunks once they are answered."""
    with TemporaryDirectory(prefix="af", ignore_cleanup_errors=True) as folder:
        (Path(folder) / "crowd.py").write_text(PYTHON, encoding="utf-8")
        server = Server(Path(folder), config=CONFIG)
        try:
            yield server
        finally:
            server.end()


async def _send(server: Server, part: Any, **ids: str) -> str:
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [part], **ids}
    call = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message}}
    async with httpx.AsyncClient(timeout=120, headers=HEADERS) as http:
        told = (await http.post(f"{server.url}/a2a", json=call)).json()
    task_id: str = told["result"]["task"]["id"]
    return task_id


class _Follower:
    """One subscription, read line by line."""

    def __init__(self, stream: SocketStream) -> None:
        self._stream = stream
        self._rest = b""
        self._over = False
        self.told: list[bytes] = []

    async def read(self) -> None:
        """Take in what has come."""
        try:
            data = await self._stream.receive(262_144)
        except anyio.EndOfStream:
            self._over = True
            return
        *lines, self._rest = (self._rest + data).split(b"\r\n")
        self.told += [line for line in lines if line.startswith((b"data:", b"id:"))]

    async def begin(self) -> None:
        """Read the task as it was."""
        while not self.told or self._rest:
            await self.read()

    async def all(self) -> list[bytes]:
        """Read to the end; returns what was told after the task."""
        while not self._over:
            await self.read()
        return self.told[2:]


@asynccontextmanager
async def _following(server: Server, task_id: str, buffer: int | None = None) -> AsyncGenerator[_Follower]:
    call = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "SubscribeToTask", "params": {"id": task_id}})
    head = "POST /a2a HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nA2A-Version: 1.0\r\n"
    head += f"Connection: close\r\nContent-Length: {len(call)}\r\n\r\n"
    raw = socket.socket()
    if buffer is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    raw.connect(("127.0.0.1", int(server.url.rsplit(":", 1)[1])))
    async with await SocketStream.from_socket(raw) as stream:
        await stream.send((head + call).encode())
        yield _Follower(stream)


def _texts(told: list[bytes]) -> list[str]:
    events = [json.loads(line[5:])["result"] for line in told if line.startswith(b"data:")]
    given = [each["artifactUpdate"]["artifact"] for each in events if "artifactUpdate" in each]
    return [each["parts"][0]["text"].rstrip(". ") for each in given if each["artifactId"] == "book"]


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.slow)])
async def test_all_followers_are_told_the_same_in_one_order_whoever_is_slow_or_dead(
    crowded: Server, count: int
) -> None:
    with anyio.fail_after(300):
        task_id = await _send(crowded, {"data": {"count": 50, "size": 20}})
        seen: list[list[bytes]] = []
        async with AsyncExitStack() as stack:
            followers = [await stack.enter_async_context(_following(crowded, task_id)) for _ in range(count)]
            slow, dead, *others = followers
            async with anyio.create_task_group() as group:
                for each in followers:
                    group.start_soon(each.begin)
            await _send(crowded, {"text": "go"}, taskId=task_id)

            async def read(one: _Follower) -> None:
                seen.append(await one.all())

            async with anyio.create_task_group() as group:
                for each in others:
                    group.start_soon(read, each)
            assert len(dead.told) == 2
            seen.append(await slow.all())
        assert len(seen) == count - 1
        assert all(told == seen[0] for told in seen)
        assert _texts(seen[0]) == [str(n) for n in range(50)]
        numbers = [int(line[3:]) for line in seen[0] if line.startswith(b"id:")]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def _memory(server: Server) -> int:
    """Return the bytes that a server has in memory."""
    lines = Path(f"/proc/{server.process.pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc for the server's memory")
async def test_who_reads_nothing_holds_nobody_up_and_costs_no_memory(crowded: Server) -> None:
    with anyio.fail_after(300):
        task_id = await _send(crowded, {"data": {"count": 200, "size": 64_000}})
        async with AsyncExitStack() as stack:
            stuck = [await stack.enter_async_context(_following(crowded, task_id, 4096)) for _ in range(16)]
            for each in stuck:
                await each.begin()
            reader = await stack.enter_async_context(_following(crowded, task_id))
            await reader.begin()
            before = _memory(crowded)
            await _send(crowded, {"text": "go"}, taskId=task_id)
            told = await reader.all()
            grown = _memory(crowded) - before
            assert _texts(told) == [str(n) for n in range(200)]
            assert grown < 80_000_000  # what is held for all of them would be 200 MB
            assert await stuck[0].all() == told
