"""What each command loads: none of them pays for what it doesn't use."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from agentflow.codes import door
from tests.cli.forks import Forker
from tests.cli.project import Project, make

PLANNER = ("agentflow.engine.engine", "agentflow.engine.plan", "agentflow.engine.host", "agentflow.engine.commands")
MODELS = ("agentflow.definition.config_file", "agentflow.config.load", "agentflow.config.result")
PROTOCOLS = ("a2a", "mcp", "starlette", "uvicorn", "httpx", "agentflow_a2a", "agentflow_mcp")
STORE = ("agentflow.store.sqlite", "apsw", "anyio")
PYDANTIC = ("pydantic", "pydantic_core")
WRITES = (
    "anyio",
    "asyncio",
    "agentflow.store.sqlite.writer",
    "agentflow.store.sqlite.batch",
    "agentflow.store.contract",
)
"""What changes a store, and what waits."""
READS = (*PLANNER, *MODELS, *PROTOCOLS)
"""What commands don't load that only look at a store."""

TABLE: dict[str, tuple[str, ...]] = {
    "--version": (*READS, *STORE, *PYDANTIC, "yaml", "agentflow.cli.session"),
    "--help": (*READS, *STORE, *PYDANTIC, "yaml", "agentflow.cli.session"),
    "explain AF-RUN-UNKNOWN": (*READS, *STORE, *PYDANTIC, "yaml"),
    "init fresh": (*PLANNER, *PROTOCOLS, *STORE[:2]),
    "doctor --only config": (*PLANNER, *PROTOCOLS, *STORE[:2]),
    "validate plain.yaml": (*PLANNER, *PROTOCOLS, "agentflow.store.sqlite", "apsw"),
    "graph report": (*PLANNER, *PROTOCOLS, "agentflow.store.sqlite", "apsw"),
    "workflows": (*PLANNER, *PROTOCOLS),
    "steps": (*PLANNER, *PROTOCOLS, "agentflow.store.sqlite", "apsw"),
    "runs list": (*READS, *PYDANTIC, *WRITES),
    "runs usage": (*READS, *PYDANTIC, *WRITES),
    "runs show": READS,
    "runs show --events": READS,
    "waits": (*READS, *PYDANTIC, *WRITES),
    "waits show @last": (*READS, *WRITES),
}
"""Command → modules, with all inside of them, that it doesn't load."""

_RUN = """
import json, sys
from agentflow.cli.app import execute
code = execute(sys.argv[1:])
sys.stdout.flush()
print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)
"""


def _loaded(project: Project, command: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *command.split()],
        cwd=project.folder, env=project.environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    code, modules = json.loads(done.stderr.splitlines()[-1])
    assert code == 0, done.stderr
    return modules


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, forker: Forker) -> Project:
    """A project with a run that waits."""
    project = make(tmp_path_factory.mktemp("loaded"), forker)
    text = "id: plain\nsteps:\n  - {id: a, type: set, values: {x: 1}}\n"
    (project.folder / "plain.yaml").write_text(text, encoding="utf-8")
    assert project.run("run", "report", "--no-ask").returncode == door("AF-WAIT-OPEN").exit_code
    return project


@pytest.mark.parametrize("command", TABLE)
def test_a_command_loads_nothing_that_it_does_not_use(ran: Project, command: str) -> None:
    loaded = _loaded(ran, command)
    unused = [name for name in loaded if name.startswith(tuple(f"{each}." for each in TABLE[command]))]
    assert [*unused, *(name for name in loaded if name in TABLE[command])] == []
