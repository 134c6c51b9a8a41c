"""An engine whose steps call tools of servers in other processes."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import anyio

from agentflow import Engine, Run
from agentflow.config.load import load_text
from agentflow.data import encode
from agentflow.engine import Answer, Decline
from tests.cli.project import clean_environ
from tests.servers import relayed

REMOTE = Path(__file__).with_name("remote.py")
LIMIT = 30.0
HEAD = """\
name: far
tools: {tools}
connections: {connections}
workflows:
  call:
    input: {{tool: string, server: string?, input: {{type: object, default: {{}}}}}}
    steps:
      - id: call
        type: tool_call
        tool_name: "{{input.tool}}"
        server: "{{input.server}}"
        input: "{{input.input}}"
        {more}
    output: "{{steps.call}}"
"""


def remote(folder: Path, how: str = "stdio", *more: str) -> list[str]:
    """Return the command of a server whose ledger is in a folder."""
    return relayed([str(REMOTE), str(folder / "ledger"), how, *more], clean_environ())


def entry(folder: Path, **fields: Any) -> dict[str, Any]:
    """Return the config's entry of a server that is a program."""
    command, *args = remote(folder)
    return {"command": command, "args": args, **fields}


def finish(folder: Path, how: str) -> None:
    """Let the server's tasks end so."""
    made = folder / "finish.new"
    made.write_text(how)
    made.replace(folder / "finish")


def ledger(folder: Path, *words: str) -> list[str]:
    """Return the lines of a ledger that begin with some words."""
    path = folder / "ledger"
    lines = path.read_text().splitlines() if path.exists() else []
    return [line for line in lines if line.split()[: len(words)] == list(words)]


async def until(holds: Callable[[], object]) -> None:
    """Wait until something is so that another process brings about."""
    with anyio.fail_after(LIMIT):
        while not holds():  # noqa: ASYNC110  nothing tells it
            await anyio.sleep(0.01)


async def until_line(folder: Path, *words: str, after: int = 0) -> None:
    """Wait for more lines of a ledger than there were."""
    await until(lambda: len(ledger(folder, *words)) > after)


def config_text(tools: Mapping[str, Any], more: str = "", connections: Mapping[str, Any] = MappingProxyType({})) -> str:
    """Return a config with servers, and a workflow that calls any tool of theirs."""
    return HEAD.format(tools=encode(dict(tools)).decode(), more=more, connections=encode(dict(connections)).decode())


@dataclass(frozen=True, slots=True)
class Far:
    """The engine."""

    engine: Engine
    folder: Path

    async def start(self, tool: str, server: str | None = None, **arguments: Any) -> Run:
        """Call a tool, and return the run when it has ended or asks."""
        given: dict[str, Any] = {"tool": tool, "input": arguments}
        run = await self.engine.start("call", given if server is None else {**given, "server": server})
        return await self.ended(run)

    async def ended(self, run: Run) -> Run:
        """Wait until a run has ended or asks."""
        return await self.engine.wait(run.id, timeout=LIMIT)

    async def answer(self, run: Run, answer: Answer | Decline) -> Run:
        """Answer what a run asks."""
        await self.engine.resume(run.id, answer)
        return await self.ended(run)


@asynccontextmanager
async def far(
    folder: Path,
    tools: Mapping[str, Any],
    *,
    more: str = "",
    head: str = "",
    connections: Mapping[str, Any] = MappingProxyType({}),
) -> AsyncGenerator[Far]:
    """Open an engine with servers."""
    config = load_text(head + config_text(tools, more, connections), folder=folder)
    async with Engine.open(":memory:", config=config) as engine:
        yield Far(engine, folder)


@asynccontextmanager
async def listening(folder: Path, port: int = 0, **env: str) -> AsyncGenerator[tuple[subprocess.Popen[bytes], str]]:
    """Start a server that listens, and return it with its address."""
    told = folder / "port"
    told.unlink(missing_ok=True)
    process = subprocess.Popen(  # noqa: ASYNC220  it is back at once
        remote(folder, str(told), str(port)), env={**clean_environ(), **env}, stdin=subprocess.DEVNULL
    )
    try:
        await until(lambda: told.exists() and told.read_text())
        yield process, f"http://127.0.0.1:{told.read_text()}/mcp"
    finally:
        process.kill()
        process.wait()


def names(runs: Sequence[Run]) -> list[str]:
    """Return the states of runs."""
    return [run.state for run in runs]
