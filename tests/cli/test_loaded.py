"""What each command loads: none of them pays for what it doesn't use."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from typer.main import get_command

from agentflow.cli.app import build
from agentflow.codes import door
from tests.cli.forks import Forker
from tests.cli.project import Project, make

AREAS: dict[str, tuple[str, ...]] = {
    "planner": tuple(f"agentflow.engine.{each}" for each in ("engine", "plan", "host", "commands")),
    "config": ("agentflow.definition.config_file", "agentflow.config.load", "agentflow.config.result"),
    "models": ("pydantic", "pydantic_core"),
    "yaml": ("yaml",),
    "schemas": ("jsonschema_rs",),
    "store": ("apsw", "agentflow.store.sqlite"),
    "writing": ("agentflow.store.sqlite.writer", "agentflow.store.sqlite.batch", "agentflow.store.contract"),
    "loop": ("asyncio", "anyio"),
    "forms": ("agentflow.cli.forms", "agentflow.cli.live", "agentflow.cli.widgets"),
    "drawing": ("agentflow.definition.drawing",),
    "explaining": ("agentflow.explain",),
    "editor": ("agentflow.definition.schema",),
    "server": ("starlette", "uvicorn", "agentflow.server"),
    "protocols": ("a2a", "mcp", "agentflow_a2a", "agentflow_mcp", "grpc"),
    "client": ("httpx", "httpx2", "httpcore", "authlib"),
    "keys": ("cryptography", "joserfc"),
}
"""What is costly to load → its modules, with all inside of them."""
NOTHING = ""
SHOWS = "yaml store"
"""What a command may load that only looks at a store; the config's head says where that is."""
CHECKS = "config models yaml schemas"
WORKS = "planner config models yaml schemas store writing loop"
"""What goes on with runs, or starts one."""

MAY: dict[str, tuple[str, str]] = {
    "--version": ("--version", NOTHING),
    "--help": ("--help", NOTHING),
    "init": ("init fresh", "config models loop forms editor"),
    "run": ("run hello", f"{WORKS} forms"),
    "validate": ("validate plain.yaml", CHECKS),
    "graph": ("graph report", f"{CHECKS} loop drawing"),
    "publish": ("publish report", f"{WORKS} forms"),
    "workflows": ("workflows", f"{CHECKS} store writing loop"),
    "steps": ("steps", "models yaml loop"),
    "schema": ("schema", "config models yaml loop editor"),
    "explain": ("explain AF-RUN-UNKNOWN", "explaining"),
    "serve": ("serve --help", NOTHING),
    "mcp": ("mcp --help", NOTHING),
    "doctor": ("doctor --only config", f"{CHECKS} loop writing forms"),
    "waits list": ("waits", SHOWS),
    "waits show": ("waits show {wait}", f"{SHOWS} models schemas"),
    "waits answer": ("waits answer {wait} --set decision=approve", f"{WORKS} forms"),
    "waits open": ("waits open --help", NOTHING),
    "runs list": ("runs list", SHOWS),
    "runs show": ("runs show", f"{SHOWS} models writing loop"),
    "runs watch": ("runs watch {ended}", f"{WORKS} forms"),
    "runs resume": ("runs resume {ended}", f"{WORKS} forms"),
    "runs usage": ("runs usage", SHOWS),
    "runs cancel": ("runs cancel {run}", f"{WORKS} forms"),
    "runs pause": ("runs pause {run}", f"{WORKS} forms"),
    "runs unpause": ("runs unpause {run}", f"{WORKS} forms"),
    "runs retry": ("runs retry {ended} --dry-run", f"{WORKS} forms"),
    "runs purge": ("runs purge --older-than 9d --yes", f"{WORKS} forms"),
    "connections list": ("connections list", WORKS),
    "connections login": ("connections login --help", NOTHING),
    "connections logout": ("connections logout --help", NOTHING),
    "connections test": ("connections test --help", NOTHING),
    "push list": ("push list", SHOWS),
    "push retry": ("push retry --all", WORKS),
    "store backup": ("store backup copy.db", f"{SHOWS} loop forms"),
    "store restore": ("store restore --help", NOTHING),
    "store check": ("store check", f"{SHOWS} loop forms"),
    "store vacuum": ("store vacuum --help", NOTHING),
}
"""Command → a command line of it, and what that may load; nothing else is."""

_RUN = """
import json, sys
from agentflow.cli.app import execute
code = execute(sys.argv[1:])
sys.stdout.flush()
print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)
"""
_DONE = {0, 1, door("AF-RUN-ENDED").exit_code}
"""Ends of commands that had something to do, told of a failed run, or have seen that there is no more to do."""


class Ran(NamedTuple):
    """A project, a run of it that waits, what it waits for, and a run that has failed."""

    project: Project
    names: dict[str, str]

    def loaded(self, line: str) -> set[str]:
        """Run a command line and return the areas that it loads."""
        done = subprocess.run(
            [sys.executable, "-c", _RUN, *line.format_map(self.names).split()],
            cwd=self.project.folder, env=self.project.environ, capture_output=True, text=True, check=False,
        )  # fmt: skip
        *told, last = done.stderr.splitlines()
        code, modules = json.loads(last)
        assert code in _DONE, told
        return {area for area, names in AREAS.items() if _any_of(names, modules)}


def _any_of(names: tuple[str, ...], modules: list[str]) -> bool:
    return any(each in names or each.startswith(tuple(f"{name}." for name in names)) for each in modules)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, forker: Forker) -> Ran:
    """A project with runs."""
    project = make(tmp_path_factory.mktemp("loaded"), forker)
    text = "id: plain\nsteps:\n  - {id: a, type: set, values: {x: 1}}\n"
    (project.folder / "plain.yaml").write_text(text, encoding="utf-8")
    ended = json.loads(project.run("run", "failing", "--json").stdout)["run_id"]
    waiting = json.loads(project.run("run", "report", "--no-ask", "--json").stdout)
    return Ran(project, {"run": waiting["run_id"], "wait": waiting["waits"][0]["id"], "ended": ended})


_OFTEN = {"run", "validate", "explain", "runs list", "runs show", "waits list", "push list"}
_SLOW = {name for name, (_, may) in MAY.items() if may} - _OFTEN
"""Commands that are looked at in the slow tests only: most load what another one loads, too."""


@pytest.mark.parametrize(
    "command", [pytest.param(name, marks=pytest.mark.slow) if name in _SLOW else name for name in MAY]
)
def test_a_command_loads_nothing_that_it_does_not_use(ran: Ran, command: str) -> None:
    line, may = MAY[command]
    assert sorted(ran.loaded(line) - {*may.split()}) == []


def test_every_command_says_what_it_may_load() -> None:
    assert sorted(_commands(get_command(build()))) == sorted(MAY.keys() - {"--version", "--help"})


def _commands(group: Any, before: str = "") -> Iterator[str]:
    for name, command in getattr(group, "commands", {}).items():
        if getattr(command, "commands", None):
            yield from _commands(command, f"{before}{name} ")
        else:
            yield before + name
