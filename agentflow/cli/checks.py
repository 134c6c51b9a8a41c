"""The doctor's checks. None changes anything; each says how to fix what it finds."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from agentflow.cli.format import duration, plural
from agentflow.config.plain import find_config
from agentflow.data import is_object, parse
from agentflow.definition.pointers import join
from agentflow.errors import AgentflowError, DefinitionError
from agentflow.extras import installing

if TYPE_CHECKING:
    from agentflow.config import Config
    from agentflow.requirements import Preflight

_AHEAD = 60.0
"""Seconds that a store's newest event may lie in the future: clocks of several machines differ a little."""
_SLOW = 0.25
"""Seconds that a disk may take to keep a page."""
_ASKING = 2.0
"""Seconds that whoever uses the server's port may take to answer."""
HERE = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Found:
    """What a check has found."""

    state: Literal["ok", "warning", "problem", "skipped"]
    text: str
    fix: str | None = None


@dataclass
class Patient:
    """What is looked at."""

    file: str | None = None
    """The config file that the command line names."""
    store: str | None = None
    """The store that it names."""
    port: int = 8745
    loaded: Config | AgentflowError | None = field(default=None, init=False)
    """The config; why it can't be loaded; None: there is none."""

    _needs: Mapping[str, Preflight] | None = field(default=None, init=False)
    _alone: threading.Lock = field(default_factory=threading.Lock, init=False)
    """Two checks ask for it at once."""

    def load(self) -> None:
        """Load the config: most checks need it."""
        from agentflow.cli.projects import hide_secrets, no_config  # noqa: PLC0415  not while completing
        from agentflow.config import load_config  # noqa: PLC0415

        path = Path(self.file) if self.file else find_config()
        try:
            if path is not None and not path.exists():
                raise no_config(self.file)
            self.loaded = load_config(path, heard=hide_secrets) if path is not None else None
        except AgentflowError as error:
            self.loaded = error

    @property
    def config(self) -> Config | None:
        """The config, if it could be loaded."""
        return None if isinstance(self.loaded, AgentflowError) else self.loaded

    @property
    def flags(self) -> str:
        """What a command about the same config says besides."""
        from agentflow.cli.examples import quote  # noqa: PLC0415  not while completing

        return f" -f {quote(self.file)}" if self.file else ""

    @property
    def place(self) -> str:
        """Where runs are kept."""
        if self.store or self.config is None:
            return self.store or str(Path(".agentflow") / "runs.db")
        return self.config.store_location

    @property
    def needs(self) -> Mapping[str, Preflight]:
        """What the config's workflows lack."""
        from agentflow.cli.actions.needed import needs_of  # noqa: PLC0415  opens an engine

        with self._alone:
            if self._needs is None and self.config is not None:
                named = self.store and (self.store if ":" in self.store else str(Path(self.store).absolute()))
                self._needs = needs_of(replace(self.config, store=named) if named else self.config)
            return self._needs or {}


def config(patient: Patient) -> Iterator[Found]:
    """Whether the config is valid."""
    loaded = patient.loaded
    if loaded is None:
        yield Found("problem", "no agentflow.yaml in this folder or above", "agentflow init")
    elif isinstance(loaded, DefinitionError) and loaded.problems:
        count = sum(each.count for each in loaded.problems if each.severity == "error")
        yield Found("problem", plural(count, "error"), f"agentflow validate{patient.flags}")
    elif isinstance(loaded, AgentflowError):
        yield Found("problem", loaded.what, loaded.hint)
    else:
        name = loaded.file.name if loaded.file is not None else "config"
        text = f"{name}: {plural(len(loaded.workflows), 'workflow')}, "
        if warned := sum(each.count for each in loaded.warnings):
            yield Found("warning", text + plural(warned, "warning"), f"agentflow validate{patient.flags}")
        else:
            yield Found("ok", text + "no errors")


def editor(patient: Patient) -> Iterator[Found]:
    """Whether editors check the config by our schema."""
    from agentflow.cli import schema_file  # noqa: PLC0415  not while completing

    given = _given(patient)
    document = next(iter(given.documents.values()), None)
    if given.file is None or document is None:
        raise Skipped("needs a config without errors")
    found = schema_file.problem(given.file, document.text, document.file)
    if found is not None:
        yield Found("warning", found.message, found.hint)
    elif "yaml-language-server" in document.text.partition("\nworkflows:")[0]:
        yield Found("ok", "the schema that editors use is of this version")
    else:
        yield Found("ok", "the config names no schema for editors")


def store(patient: Patient) -> Iterator[Found]:
    """Whether the store can be read and written."""
    from agentflow.cli.actions.store import size  # noqa: PLC0415
    from agentflow.store import care  # noqa: PLC0415
    from agentflow.store.places import there  # noqa: PLC0415

    location = patient.place
    if location == ":memory:":
        yield Found("ok", ":memory:, nothing is kept")
        return
    path = care.file_of(location)
    if not there(path):
        near = next(each for each in path.absolute().parents if each.exists())
        if os.access(near, os.W_OK | os.X_OK):
            yield Found("ok", f"{_near(path)}: not there yet, the first run makes it")
        else:
            yield Found("problem", f"{near} can't be written", "give this user write access to it, or --store PATH")
        return
    seen = care.glance(location)
    old = f" (of an older version; the next run makes it {seen.latest})" if seen.schema < seen.latest else ""
    text = f"{_near(path)}: schema {seen.schema}{old}, {plural(seen.runs, 'run')}, {size(seen.bytes)}"
    if seen.fault is not None:
        yield Found("problem", f"{text}; its log is damaged: {seen.fault}", "agentflow store check")
    elif not all(os.access(each, os.W_OK) for each in (path, path.absolute().parent)):
        yield Found("problem", f"{text}; it can't be written", "give this user write access to it and its folder")
    else:
        yield _written(text, path.absolute().parent)


def _written(text: str, folder: Path) -> Found:
    """Tell how long the store's disk takes to keep something; the store itself isn't touched."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            began = time.perf_counter()
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
            took = time.perf_counter() - began
    except OSError as error:
        why = (error.strerror or "error").lower()
        return Found("problem", f"{text}; nothing can be written beside it: {why}", "make room, or --store PATH")
    told = f"{text}, write {took * 1000:.1f} ms"
    if took > _SLOW:
        return Found("warning", f"{told}: each step's commit takes that long", "keep the store on a local disk")
    return Found("ok", told)


def server(patient: Patient) -> Iterator[Found]:
    """Whether `serve` could listen."""
    lacking = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if lacking:
        fix = installing("a2a", "mcp")
        yield Found("warning", f"agentflow serve needs the package {lacking[0]}", fix)
        return
    with socket.socket() as tried:
        if os.name != "nt":
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((HERE, patient.port))
        except OSError:
            free = False
        else:
            free = True
    if free:
        yield Found("ok", f"port {patient.port} is free")
    elif version := _served(patient.port):
        from agentflow.ports import holder_of  # noqa: PLC0415  only where somebody has it

        holder = holder_of(patient.port)
        where = f" (pid {holder.pid}, in {holder.folder})" if holder is not None and holder.folder else ""
        yield Found("ok", f"agentflow {version} serves on port {patient.port}{where}")
    else:
        from agentflow.ports import taken  # noqa: PLC0415  only where somebody has it

        yield Found("warning", taken(patient.port), f"agentflow serve --port {patient.port + 1}")


def _served(port: int) -> str | None:
    """Return the version of the agentflow that serves on a port; None where something else does."""
    asked = http.client.HTTPConnection(HERE, port, timeout=_ASKING)
    with suppress(OSError, ValueError, http.client.HTTPException):
        asked.request("GET", "/healthz")
        told = parse(asked.getresponse().read(10_000).decode())
        if is_object(told) and told.get("instance") and told.get("version"):
            return str(told["version"])
    return None


def python(patient: Patient) -> Iterator[Found]:
    """Whether the functions that steps, tools and agents name can be imported."""
    from agentflow.definition.nested import all_steps  # noqa: PLC0415
    from agentflow.steps.modules import ModuleLoader  # noqa: PLC0415

    given = _given(patient)
    steps = (step for flow in given.workflows.values() for step in all_steps(flow) if step.type == "python")
    named = [step.config.get("function") for step in steps]
    named += [entry.get("python") for entry in (*given.tools.values(), *given.agents.values())]
    targets = list(dict.fromkeys(name for name in named if isinstance(name, str) and "{" not in name))
    loader = ModuleLoader(given.folder, given.python_modules)
    lost: list[Found] = []
    for target in targets:
        try:
            loader.load(target)
        except AgentflowError as error:
            why = f"; {error.why.splitlines()[0]}" if error.why else ""
            fix = error.hint or "correct its name in the config, or its module"
            lost.append(Found("problem", f"{target}: {error.what}{why}", fix))
    loader.close()
    yield from lost or [Found("ok", f"{plural(len(targets), 'function')} found" if targets else "none is needed")]


def mcp(patient: Patient) -> Iterator[Found]:
    """Whether the programs of MCP servers are there."""
    given = _given(patient)
    started = {name: entry for name, entry in given.tools.items() if entry.get("command")}
    document = next(iter(given.documents.values()), None)
    lost: list[Found] = []
    for name, entry in started.items():
        command = str(entry["command"])
        folder = given.folder / str(entry.get("cwd") or ".")
        env = entry.get("env")
        said = env.get("PATH") if is_object(env) else None
        path = str(said or os.environ.get("PATH", os.defpath))
        found = shutil.which(str(folder / command)) if os.sep in command else shutil.which(command, path=path)
        if found is None:
            at = document.place(join("", "tools", name, "command")) if document is not None else None
            where = f" ({at.file}:{at.line})" if at is not None else ""
            fix = f"install it, or correct tools.{name}.command{where}"
            lost.append(Found("problem", f'"{name}": command "{command}" not found', fix))
    yield from lost or [Found("ok", f"{plural(len(started), 'command')} found" if started else "none is started")]


def env(patient: Patient) -> Iterator[Found]:
    """Whether the variables that templates may read have values."""
    given = _given(patient)
    unset = [name for name in given.env if name not in given.env_values]
    if not unset:
        count = len(given.env)
        have = f"{plural(count, 'variable')} {'has a value' if count == 1 else 'have values'}"
        yield Found("ok", have if count else "none is listed")
        return
    named = ", ".join(unset[:5]) + (f" and {len(unset) - 5} more" if len(unset) > 5 else "")
    one = len(unset) == 1
    text = f"{named} {'isn' if one else 'aren'}'t set: steps that read {'it' if one else 'them'} fail"
    yield Found("warning", text, f"set {'it' if one else 'them'} in the environment, or in .env beside the config")


def connections(patient: Patient) -> Iterator[Found]:
    """Whether somebody has signed in to what workflows use."""
    from agentflow.cli.actions.needed import outdated  # noqa: PLC0415  as `needs`

    if outdated(patient.place):
        yield Found("skipped", "the store is of an older version; it says who has signed in once a run has begun")
        return
    yield from _lacking(patient, "connection", "problem", "all that workflows need are there")


def skills(patient: Patient) -> Iterator[Found]:
    """Whether the config grants what steps need."""
    yield from _lacking(patient, "skill", "warning", "the config grants all that steps need")


def _lacking(patient: Patient, kind: str, worst: Literal["problem", "warning"], fine: str) -> Iterator[Found]:
    _given(patient)
    lacks = [lack for needs in patient.needs.values() for lack in needs.lacks if lack.kind == kind]
    for lack in {each.name: each for each in lacks}.values():
        steps = ", ".join(f'"{step}"' for step in lack.steps[:3])
        state = worst if lack.effect == "fails" else "warning"
        yield Found(state, f"{lack.text}: {lack.why}; needed by {steps}", lack.fix)
    if not lacks:
        yield Found("ok", fine)


def clock(patient: Patient) -> Iterator[Found]:
    """Whether the store's newest event lies in the future."""
    from agentflow.store import care  # noqa: PLC0415
    from agentflow.store.places import there  # noqa: PLC0415

    newest = None
    if patient.place != ":memory:" and there(care.file_of(patient.place)):
        try:
            newest = care.glance(patient.place).newest
        except AgentflowError as error:  # the check of the store tells what is wrong with it
            raise Skipped("needs a store that can be read") from error
    ahead = newest - time.time() if newest is not None else 0.0
    if ahead > _AHEAD:
        text = f"it is {duration(ahead)} behind the store's newest event: timers come late, and new runs look old"
        yield Found("warning", text, "set this machine's clock")
    else:
        yield Found("ok", "not behind the store's newest event" if newest is not None else "no event to compare with")


class Skipped(Exception):
    """A check lacks what another check has told about; its text says what it needs."""


def _given(patient: Patient) -> Config:
    if patient.config is None:
        raise Skipped("needs a config without errors")
    return patient.config


def _near(path: Path) -> str:
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


CHECKS: Mapping[str, Callable[[Patient], Iterator[Found]]] = {
    "config": config,
    "editor": editor,
    "store": store,
    "server": server,
    "python": python,
    "mcp": mcp,
    "env": env,
    "connections": connections,
    "skills": skills,
    "clock": clock,
}


def look(name: str, patient: Patient) -> Sequence[Found]:
    """Make one check; whatever goes wrong in it is what it finds."""
    try:
        return list(CHECKS[name](patient))
    except Skipped as error:
        return [Found("skipped", str(error))]
    except AgentflowError as error:
        return [Found("problem", f"{error.what} {error.why or ''}".strip(), error.hint)]
    except Exception as error:  # a check that fails keeps no other from telling
        return [Found("warning", f"couldn't be checked: {type(error).__name__}: {error}")]
