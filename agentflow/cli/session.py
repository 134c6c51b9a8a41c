"""What a command works with: the project it stands in, an engine on its store, and Ctrl+C."""

from __future__ import annotations

import logging
import math
import os
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import anyio
from anyio.abc import TaskStatus

from agentflow.cli.console import Console
from agentflow.cli.desk import Desk, Project
from agentflow.cli.errors import debugging
from agentflow.cli.projects import need_store
from agentflow.cli.refusals import tell_lost
from agentflow.engine.read.reader import Reader
from agentflow.errors import AgentflowError
from agentflow.store import open_store
from agentflow.store.contract import Store
from agentflow.store.places import refuse_platform

if TYPE_CHECKING:
    from agentflow.config import Config
    from agentflow.engine import Engine

GRACE = 3.0
"""Seconds that running steps get when their run is left."""
Host = Literal["all", "own", "none"]


@dataclass(slots=True)
class Session:
    """An open engine and the console."""

    console: Console
    project: Project
    engine: Engine
    deadline: float = math.inf
    """When the time that the command was given is over, by the event loop's clock."""
    on_interrupt: Callable[[], Awaitable[bool]] | None = None
    """Called at the first Ctrl+C; True: stay."""
    farewell: Callable[[], Sequence[str]] | None = None
    """Lines that tell how to go on, after Ctrl+C."""
    desk: Desk = field(init=False)
    """What shows runs and waits."""

    def __post_init__(self) -> None:
        """Let what only shows something read what the engine reads."""
        self.desk = Desk(self.console, self.project, self.engine.reader)

    def allow(self, seconds: float | None) -> None:
        """Give the command some time from now on; None: all it needs."""
        self.deadline = math.inf if seconds is None else anyio.current_time() + seconds

    @contextmanager
    def in_time(self) -> Generator[None]:
        """Leave what is in the block when the time is over; raises AgentflowError then."""
        with anyio.CancelScope(deadline=self.deadline) as scope:
            yield
        if scope.cancelled_caught:
            refused = self.engine.core.health.refused
            why = f"{refused.what} {refused.why or ''}".strip() if refused is not None else None
            raise AgentflowError(
                "the time is over, and the store has not taken the change yet",
                code="AF-TIME-OVER",
                why=why or "another process keeps it locked, or its disk is slow",
                hint=self.command("runs list") + " shows what is saved",
            )

    def command(self, text: str) -> str:
        """Return a command line that works from here."""
        return self.desk.command(text)

    def short(self, each: str) -> str:
        """Return the short form of an id that `learn` has seen."""
        return self.desk.short(each)

    async def learn(self, ids: Sequence[str], kind: Literal["run", "wait"]) -> None:
        """Look up the shortest unique endings of ids."""
        await self.desk.learn(ids, kind)


def drive(
    console: Console,
    project: Project,
    work: Callable[[Session], Awaitable[int]],
    *,
    host: Host = "own",
    makes: bool = False,
    kind: Literal["run", "wait"] = "run",
) -> int:
    """Open the engine, do the work, and turn Ctrl+C into leaving.

    Args:
        console: where to talk.
        project: where the store is.
        work: what to do.
        host: whether runs may be executed here.
        makes: whether the command makes the store where there is none; others have nothing to look at then.
        kind: what the command looks for.

    Returns:
        The exit code of the work, or 130 after Ctrl+C and 143 after a termination.

    Raises:
        NotFoundError: there is no store here yet.
        StoreError: there is an empty file.
    """
    if not makes:
        need_store(project, kind)
    return anyio.run(drive_in_loop, console, project, work, host)


def read(
    console: Console,
    project: Project,
    work: Callable[[Desk], Awaitable[int]],
    *,
    kind: Literal["run", "wait"] = "run",
) -> int:
    """Open the store and show something of it; no run goes on here, and no engine is loaded.

    Args:
        console: where to talk.
        project: where the store is.
        work: what to do.
        kind: what the command looks for.

    Returns:
        The exit code of the work, or 130 after Ctrl+C and 143 after a termination.

    Raises:
        NotFoundError: there is no store here yet.
        StoreError: there is an empty file.
    """
    need_store(project, kind)
    return anyio.run(_read_in_loop, console, project, work)


async def _read_in_loop(console: Console, project: Project, work: Callable[[Desk], Awaitable[int]]) -> int:
    _be_quiet()
    code = 0
    leaving = Leaving(anyio.CancelScope())
    async with anyio.create_task_group() as tasks:
        with leaving.scope:
            await tasks.start(leaving.hear)
            async with _opened(project.store) as store:
                code = await work(Desk(console, project, Reader(store)))
        tasks.cancel_scope.cancel()
    return leaving.code(code)


@asynccontextmanager
async def _opened(location: str) -> AsyncGenerator[Store]:
    refuse_platform()
    store = await open_store(location)
    try:
        yield store
    finally:
        with anyio.CancelScope(shield=True):
            await store.close()


@asynccontextmanager
async def with_engine(desk: Desk) -> AsyncGenerator[Session]:
    """Open an engine on a store that is being looked at: for what must be planned to be shown."""
    from agentflow.engine import Engine  # noqa: PLC0415  only what is planned needs it

    config = engine_config(desk.project)
    async with Engine.open(desk.project.store, config=config, host="none") as engine:
        session = Session(desk.console, desk.project, engine)
        session.desk = desk
        yield session


def engine_config(project: Project) -> Config | None:
    """Return what an engine is opened with: the config, or what was read of it."""
    plain = project.plain
    if project.config is not None or plain is None:
        return project.config
    from agentflow.config import Config  # noqa: PLC0415  the config's models

    return Config(
        folder=plain.folder,
        name=plain.name,
        store=plain.store,
        env=plain.env,
        env_values=plain.env_values,
        python_modules=plain.python_modules,
    )


def _be_quiet() -> None:
    if not debugging():
        # What goes wrong in the background is told by what it did to runs; a trace on the screen helps nobody.
        logging.getLogger("agentflow").addHandler(logging.NullHandler())
        logging.getLogger("agentflow").propagate = False


async def drive_in_loop(
    console: Console, project: Project, work: Callable[[Session], Awaitable[int]], host: Host
) -> int:
    """Do what `drive` does, in an event loop that runs already."""
    from agentflow.engine import Engine  # noqa: PLC0415  the heavy import of all commands

    _be_quiet()
    code = 0
    config = engine_config(project)
    leaving = Leaving(anyio.CancelScope())
    async with anyio.create_task_group() as tasks:
        with leaving.scope:
            await tasks.start(leaving.hear)
            async with Engine.open(project.store, config=config, host=host, grace=GRACE) as engine:
                leaving.engine = engine
                session = leaving.session = Session(console, project, engine)
                try:
                    code = await work(session)
                finally:
                    leaving.session = None
                    if leaving.signal is not None and session.farewell is not None:
                        for line in session.farewell():
                            console.tell(line)
        tasks.cancel_scope.cancel()
    if leaving.engine is not None:
        tell_lost(console, leaving.engine)
    return leaving.code(code)


@dataclass(slots=True)
class Leaving:
    """Leaves a command in good order at the first signal, whatever it does just then; at once at the second."""

    scope: anyio.CancelScope
    """What the first one cancels. An engine that is being closed goes on with that."""
    session: Session | None = None
    """What works, while it does."""
    engine: Engine | None = None
    """The engine, once it is open."""
    signal: int | None = None
    """The signal that ended it."""

    def code(self, code: int) -> int:
        """Return the exit code of a command whose work came to `code`, if it wasn't left."""
        if self.signal is None:
            return code
        return 130 if self.signal == signal.SIGINT else 143

    async def hear(self, *, task_status: TaskStatus[None]) -> None:
        """Hear signals until cancelled."""
        if os.name == "nt":
            task_status.started()
            return
        again = False
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as received:
            task_status.started()
            async for number in received:
                if again:
                    os._exit(130 if number == signal.SIGINT else 143)
                again = True
                asked = self.session.on_interrupt if self.session is not None else None
                if number == signal.SIGINT and asked is not None and await asked():
                    continue
                self.signal = number
                self.scope.cancel()
