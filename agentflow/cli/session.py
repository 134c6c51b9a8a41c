"""What a command works with: the project it stands in, an engine on its store, and Ctrl+C."""

from __future__ import annotations

import logging
import math
import os
import signal
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import anyio
from anyio.abc import TaskStatus

from agentflow.cli.console import Console
from agentflow.cli.errors import debugging
from agentflow.cli.examples import quote
from agentflow.cli.options import Common
from agentflow.cli.refusals import tell_lost
from agentflow.cli.shown import redact_by
from agentflow.errors import AgentflowError, NotFoundError

if TYPE_CHECKING:
    from agentflow.config import Config
    from agentflow.engine import Engine

GRACE = 3.0
"""Seconds that running steps get when their run is left."""
DEFAULT_STORE = Path(".agentflow") / "runs.db"
Host = Literal["all", "own", "none"]


@dataclass(frozen=True, slots=True)
class Project:
    """Where a command works."""

    store: str
    config: Config | None = None
    flags: str = ""
    """Options to repeat in commands that are told: ` -f other.yaml --store x.db`."""
    plain: Config | None = None
    """What a stored definition may need of the config, where `config` wasn't read."""

    @property
    def lasts(self) -> bool:
        """Whether a run can be found again when the command is over."""
        return self.store != ":memory:"


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
    _short: dict[str, str] = field(default_factory=dict[str, str])

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
        return f"agentflow {text}{self.project.flags}"

    def short(self, each: str) -> str:
        """Return the short form of an id that `learn` has seen."""
        return self._short.get(each, each[-6:])

    async def learn(self, ids: Sequence[str], kind: Literal["run", "wait"]) -> None:
        """Look up the shortest unique endings of ids."""
        unknown = [each for each in ids if each not in self._short]
        if unknown:
            self._short.update(zip(unknown, await self.engine.store.shortest(unknown, kind), strict=True))


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
    from agentflow.config import find_config, load_config  # noqa: PLC0415  reads YAML; not for every command

    nearest = Path(common.config) if common.config else find_config()
    if common.config and nearest is not None and not nearest.exists():
        raise no_config(common.config)
    source = Path(file) if file else nearest
    flags = f" -f {quote(common.config)}" if common.config else ""
    flags += f" --store {quote(common.store)}" if common.store and not os.environ.get("AGENTFLOW_STORE") else ""
    if source is None and config == "needed":
        raise no_config(None)
    plain = plain_config(nearest)
    loaded = load_config(source) if source is not None and config != "none" else None
    if loaded is not None:
        redact_by(loaded.redactor)
    plain = loaded if loaded is not None and not file else plain
    return Project(_store(common, nearest, plain.store), loaded, flags, plain)


def _store(common: Common, nearest: Path | None, named: str | None) -> str:
    if common.store:
        return common.store
    folder = nearest.parent if nearest is not None else Path()
    if named:
        return named if "://" in named or named == ":memory:" else str(folder / named)
    return str(folder / DEFAULT_STORE)


def plain_config(file: Path | None) -> Config:
    """Read only `name`, `store`, `python` and `env` of a config: looking at runs must work while it is being edited.

    From now on nothing shows the secrets that it names, not even an error of the config itself.
    """
    from agentflow.config import Config, with_env  # noqa: PLC0415  not for every command
    from agentflow.data import is_object  # noqa: PLC0415
    from agentflow.definition.config_file import PythonSection  # noqa: PLC0415
    from agentflow.definition.source import load_document  # noqa: PLC0415
    from agentflow.errors import DefinitionError  # noqa: PLC0415

    found = Config()
    if file is None:
        return found
    found = replace(found, folder=file.absolute().parent)
    with suppress(OSError, ValueError, DefinitionError):
        data = load_document(file.read_text(encoding="utf-8"), str(file)).data
        if is_object(data) and isinstance(data.get("name"), str) and data["name"]:
            found = replace(found, name=data["name"])
        if is_object(data) and isinstance(data.get("store"), str):
            found = replace(found, store=data["store"])
        if is_object(data) and is_object(data.get("python")):
            found = replace(found, python_modules=PythonSection.model_validate(data["python"]).modules)
        if is_object(data) and data.get("env"):
            found = with_env(found, data["env"])
    redact_by(found.redactor)
    return found


def no_config(name: str | None) -> NotFoundError:
    """Make the error for a config that isn't there."""
    near = next((each for each in ("agentflow.yaml", "agentflow.yml") if Path(each).exists()), None)
    if name is None:
        what = "no agentflow.yaml in this folder or above"
        hint = "go to its folder, or name a file: -f FILE"
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
    if not makes and not exists(project):
        raise NotFoundError(
            f"no store here yet, so there is no {kind}",
            code="AF-WAIT-UNKNOWN" if kind == "wait" else "AF-RUN-UNKNOWN",
            why=f"looked for {project.store}",
            hint="the first run makes it: agentflow run WORKFLOW",
        )
    return anyio.run(drive_in_loop, console, project, work, host)


async def drive_in_loop(
    console: Console, project: Project, work: Callable[[Session], Awaitable[int]], host: Host
) -> int:
    """Do what `drive` does, in an event loop that runs already."""
    from agentflow.engine import Engine  # noqa: PLC0415  the heavy import of all commands

    if not debugging():
        # What goes wrong in the background is told by what it did to runs; a trace on the screen helps nobody.
        logging.getLogger("agentflow").addHandler(logging.NullHandler())
        logging.getLogger("agentflow").propagate = False
    code = 0
    config = project.config or project.plain
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
    if leaving.signal is not None:
        code = 130 if leaving.signal == signal.SIGINT else 143
    return code


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
