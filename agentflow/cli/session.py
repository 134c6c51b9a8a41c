"""What a command works with: the project it stands in, an engine on its store, and Ctrl+C."""

from __future__ import annotations

import logging
import math
import os
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import anyio
from anyio.abc import TaskStatus

from agentflow.cli.console import Console
from agentflow.cli.desk import Desk, Project
from agentflow.cli.errors import debugging
from agentflow.cli.examples import quote
from agentflow.cli.options import Common
from agentflow.cli.refusals import tell_lost
from agentflow.cli.shown import redact_by
from agentflow.errors import AgentflowError, NotFoundError

if TYPE_CHECKING:
    from agentflow.config import Config, Plain
    from agentflow.engine import Engine

GRACE = 3.0
"""Seconds that running steps get when their run is left."""
DEFAULT_STORE = Path(".agentflow") / "runs.db"
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


def find_project(common: Common, *, file: str | None = None, config: Literal["needed", "wanted", "none"]) -> Project:
    """Find the config and the store that a command line means.

    Args:
        common: its options.
        file: a workflow file named instead of a workflow.
        config: whether it is needed, taken if it is there, or not read at all.

    Raises:
        NotFoundError: there is no config, and one is needed.
        DefinitionError: the config isn't valid.
    """
    from agentflow.config.plain import find_config  # noqa: PLC0415  not for every command

    nearest = Path(common.config) if common.config else find_config()
    if common.config and nearest is not None and not nearest.exists():
        raise no_config(common.config)
    source = Path(file) if file else nearest
    flags = f" -f {quote(common.config)}" if common.config else ""
    flags += f" --store {quote(common.store)}" if common.store and not os.environ.get("AGENTFLOW_STORE") else ""
    if source is None and config == "needed":
        raise no_config(None)
    plain = plain_config(nearest) if file or source is None or config == "none" else None
    if plain is not None and (source is None or config == "none"):
        return Project(_store(common, nearest, plain.store), None, flags, plain)
    from agentflow.config import load_config  # noqa: PLC0415  the config's models; not for commands that only look

    loaded = load_config(source, heard=hide_secrets, sound=True)
    redact_by(loaded.redactor)
    return Project(_store(common, nearest, plain.store if plain is not None else loaded.store), loaded, flags)


def _store(common: Common, nearest: Path | None, named: str | None) -> str:
    if common.store:
        return common.store
    folder = nearest.parent if nearest is not None else Path()
    if named:
        return named if "://" in named or named == ":memory:" else str(folder / named)
    return str(folder / DEFAULT_STORE)


def plain_config(file: Path | None) -> Plain:
    """Read what looking at runs needs of a config.

    From now on nothing shows the secrets that it names, not even an error of the config itself.
    """
    from agentflow.config.plain import Plain, read_plain  # noqa: PLC0415  not for every command

    if file is None:
        return Plain()
    found = read_plain(file)
    hide_secrets(found)
    return found


def hide_secrets(plain: Plain) -> None:
    """Let nothing show the secrets that a config names."""
    redact_by(plain.redactor)


def no_config(name: str | None) -> NotFoundError:
    """Make the error for a config that isn't there."""
    near = next((each for each in ("agentflow.yaml", "agentflow.yml") if Path(each).exists()), None)
    if name is None:
        what = "no agentflow.yaml in this folder or above"
        hint = "go to its folder, name a file: -f FILE, or begin a project: agentflow init DIR"
    else:
        what = f'no file "{name}"'
        hint = f"{near} exists in this folder; did you mean that?" if near else "look at the path"
    return NotFoundError(what, code="AF-CONFIG-NOT-FOUND", hint=hint)


def exists(project: Project) -> bool:
    """Whether the project has a store already.

    Raises:
        StoreError: there is a file without anything in it, or its folder can't be entered.
    """
    from agentflow.store.care import refuse_empty  # noqa: PLC0415  not for every command
    from agentflow.store.places import there  # noqa: PLC0415

    scheme, found, rest = project.store.partition("://")
    if found and scheme != "sqlite":
        return True  # opening it tells what is wrong
    if not there(Path(rest.removeprefix("/") if found else scheme)):
        return False
    refuse_empty(project.store)
    return True


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
        _need_store(project, kind)
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
    _need_store(project, kind)
    return anyio.run(_read_in_loop, console, project, work)


async def _read_in_loop(console: Console, project: Project, work: Callable[[Desk], Awaitable[int]]) -> int:
    from agentflow.engine.read.reader import Reader  # noqa: PLC0415  help must not pay for it

    _be_quiet()
    code = 0
    leaving = Leaving(anyio.CancelScope())
    async with anyio.create_task_group() as tasks:
        with leaving.scope:
            await tasks.start(leaving.hear)
            async with Reader.open(project.store) as reader:
                code = await work(Desk(console, project, reader))
        tasks.cancel_scope.cancel()
    return leaving.code(code)


@asynccontextmanager
async def with_engine(desk: Desk) -> AsyncGenerator[Session]:
    """Open an engine on a store that is being looked at: for what must be planned to be shown."""
    from agentflow.engine import Engine  # noqa: PLC0415  only what is planned needs it

    config = engine_config(desk.project)
    async with Engine.open(desk.reader.store, config=config, host="none") as engine:
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


def _need_store(project: Project, kind: Literal["run", "wait"]) -> None:
    if not exists(project):
        raise NotFoundError(
            f"no store here yet, so there is no {kind}",
            code="AF-WAIT-UNKNOWN" if kind == "wait" else "AF-RUN-UNKNOWN",
            why=f"looked for {project.store}",
            hint="the first run makes it: agentflow run",
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
