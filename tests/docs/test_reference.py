"""Hand-written reference pages are complete: every command and option, exit code, JSON key, config key and limit."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from agentflow.codes import DOORS
from agentflow.definition.config_file import ConfigFile, Limits, PythonSection
from agentflow.definition.field_names import written
from agentflow.definition.models import Defaults, RetryPolicy, Workflow
from agentflow.errors import FailureKind

DOCS = Path(__file__).parent.parent.parent / "docs" / "reference"
COMMON = {"--config", "--store", "--json", "--jsonl", "--quiet", "--no-color", "--help", "--version"}
FLOW = """
workflows:
  hello:
    steps:
      - {id: ask, type: wait_for_input, message: "Well?", default: 1}
"""


def _page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def _rows(text: str) -> dict[str, str]:
    """Return command → its row, of the table of commands."""
    found: dict[str, str] = {}
    for row in re.findall(r"^\| (`.*)$", text, re.MULTILINE):
        for name in re.findall(r"`([^`]+)`", row.split(" | ")[0]):
            found.setdefault(re.sub(r" [A-Z\[.].*", "", name), row)
    return found


def _commands() -> Iterator[tuple[str, set[str]]]:
    """Yield every command with its options, long ones only."""
    from typer.main import get_command  # noqa: PLC0415  only these tests need it

    from agentflow.cli.app import build  # noqa: PLC0415

    open_groups: list[tuple[str, Any]] = [("", get_command(build()))]
    while open_groups:
        prefix, group = open_groups.pop()
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                open_groups.append((f"{prefix}{name} ", command))
                continue
            options = {text for given in command.params for text in given.opts if text.startswith("--")}
            yield f"{prefix}{name}", options


def test_every_command_stands_on_its_page_with_all_its_options_and_no_others() -> None:
    rows = _rows(_page("cli.md").split("## Exit codes")[0])
    wrong: list[str] = []
    commands = dict(_commands())
    for name, options in commands.items():
        told = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", rows.get(name, "")))
        wrong += [f"{name} {one}" for one in (options - COMMON) - told]
        wrong += [f"{name} has no {one}" for one in told - options - {"--no-wait"}]
    assert not wrong
    assert {name for name in rows if name not in commands} <= {"waits"}


def test_options_that_commands_share_are_named_once() -> None:
    page = _page("cli.md")
    assert {one for one in COMMON if one not in page} <= {"--version"}


def test_every_exit_code_is_told() -> None:
    told = {int(code) for cell in re.findall(r"^\| ([\d, ]+) \|", _page("cli.md"), re.M) for code in cell.split(", ")}
    assert told == {door.exit_code for door in DOORS.values()} | {0, 130, 143}


def _run(folder: Path, *words: str) -> Any:
    command = [str(Path(sys.executable).with_name("agentflow")), *words, "--json"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode in (0, 75), done.stderr
    return json.loads(done.stdout)


def _keys(marker: str) -> set[str]:
    """Return the keys that a part of the page on JSON names, up to the next bullet, row or paragraph."""
    part = _page("cli.md").split("## JSON")[1].split(marker, 1)[1]
    return set(re.findall(r"`(\w+)`", re.split(r"\n(?=[-|\n])", part)[0]))


def test_the_json_documents_have_the_keys_that_the_page_names(tmp_path: Path) -> None:
    (tmp_path / "agentflow.yaml").write_text(FLOW, encoding="utf-8")
    parked = _run(tmp_path, "run", "hello")
    assert parked.keys() == _keys("| `run`, `runs watch`, `runs retry` |")
    assert parked["waits"][0].keys() == _keys("**A wait**:")
    shown = _run(tmp_path, "runs", "show", "@last")
    run, whole = _keys("**A run**:") - {"runs", "list"}, {"steps", "waits", "asked", "children", "budget", "took"}
    assert shown.keys() - whole == run
    assert shown["steps"][0].keys() == _keys("**A step**:")
    one = _run(tmp_path, "runs", "show", "@last", "--step", "ask")
    assert one["events"][0].keys() == _keys("**An event**:") - {"run", "runs", "watch"}
    assert _run(tmp_path, "validate").keys() == {"ok", "workflows", "steps", "needs", "problems"}


def _fields(model: type[BaseModel]) -> set[str]:
    return {written(name, info) for name, info in model.model_fields.items()}


@pytest.mark.parametrize("model", [ConfigFile, Limits, PythonSection, Defaults, Workflow], ids=lambda m: m.__name__)
def test_every_key_of_the_config_is_told(model: type[BaseModel]) -> None:
    told = {word for code in re.findall(r"`([^`\n]+)`", _page("configuration.md")) for word in re.findall(r"\w+", code)}
    assert _fields(model) <= told


def test_defaults_of_limits_and_retries_are_as_told() -> None:
    limits, retry = Limits(), RetryPolicy()
    rows = {row.split(" | ")[0]: row for row in re.findall(r"^\| (`limits.*) \|$", _page("configuration.md"), re.M)}
    assert rows["`limits.max_parallel`"].endswith(f" {limits.max_parallel}")
    assert rows["`limits.host_parallel`"].endswith(f" {limits.host_parallel}")
    assert (limits.result_size, limits.input_size, limits.event_size) == (4 << 20, 4 << 20, 64 << 10)
    told = next(row for row in _page("steps.md").splitlines() if row.startswith("| `retry`"))
    assert f"`max_attempts` ({retry.max_attempts})" in told
    assert (retry.backoff, retry.base, retry.max, retry.jitter) == ("exponential", 1, 300, 0)
    assert "`base` (1s), `max` (5m), `jitter` (0s)" in told


def test_kinds_of_failures_that_are_repeated_are_told() -> None:
    told = set(re.findall(r"^\| `(\w+)` \| ", _page("steps.md").split("`on` takes kinds")[1], re.M))
    assert told == set(FailureKind.__args__[:5])


def test_common_fields_of_steps_are_told() -> None:
    from agentflow.definition.step_fields import COMMON as FIELDS  # noqa: PLC0415

    pages = _page("steps.md") + _page("configuration.md")
    assert not [name for name in FIELDS if not re.search(rf"`[^`\n]*\b{name}\b[^`\n]*`", pages)]
