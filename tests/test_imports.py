"""What an import costs: the package alone imports nothing, and no module drags in what only some runs need."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    "a2a",
    "aiohttp",
    "apsw",
    "cel_expr_python",
    "fastapi",
    "httpcore",
    "httpx",
    "jsonpath_ng",
    "jsonschema_rs",
    "mcp",
    "opentelemetry",
    "psycopg",
    "pydantic",
    "requests",
    "rich",
    "sqlite3",
    "starlette",
    "typer",
    "uvicorn",
    "yaml",
}


def _loaded(statement: str) -> set[str]:
    """Return the top-level packages that a statement loads into a fresh interpreter."""
    script = (
        "import sys; before = set(sys.modules)\n"
        f"{statement}\n"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_else() -> None:
    assert _loaded("import agentflow") == {"agentflow"}


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ("from agentflow import AgentflowError", set[str]()),
        ("from agentflow import Workflow", {"pydantic"}),
        ("from agentflow import step_type", {"pydantic"}),
        ("from agentflow import load_config", {"pydantic"}),
        ("from agentflow import Engine", {"pydantic"}),
        ("import agentflow.cli", set[str]()),
        ("import agentflow.cli.app", {"typer"}),
    ],
)
def test_a_name_loads_only_the_heavy_packages_that_it_needs(statement: str, allowed: set[str]) -> None:
    assert _loaded(statement) & HEAVY <= allowed
