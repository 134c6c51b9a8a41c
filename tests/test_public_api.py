"""The public names are frozen: adding one is a decision, removing one a breaking change."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import agentflow

ROOT = Path(__file__).parent.parent
NAMES = (
    "AgentAsks",
    "AgentflowError",
    "Answer",
    "Artifact",
    "Config",
    "ConflictError",
    "Context",
    "Decline",
    "DefinitionError",
    "Engine",
    "Event",
    "EventWait",
    "InputError",
    "NotFoundError",
    "Park",
    "Principal",
    "Result",
    "Run",
    "RunFailedError",
    "Skip",
    "Step",
    "StepError",
    "Timer",
    "ToolFailure",
    "Wait",
    "WaitView",
    "Workflow",
    "__version__",
    "config_from",
    "load_config",
    "run",
    "run_sync",
    "step",
    "step_type",
)


def test_the_public_names_are_exactly_these() -> None:
    assert agentflow.__all__ == NAMES


def test_every_public_name_exists_and_is_listed_by_dir() -> None:
    for name in NAMES:
        assert getattr(agentflow, name) is getattr(agentflow, name)
    assert set(NAMES) <= set(dir(agentflow))


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(agentflow, "nope")


def test_a_star_import_gives_the_public_names() -> None:
    script = "from agentflow import *; import agentflow; print(all(n in globals() for n in agentflow.__all__))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_the_changelog_tells_of_the_version() -> None:
    assert f"## [{agentflow.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
