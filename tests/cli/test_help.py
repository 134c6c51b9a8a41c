"""Help and wrong use: grouped by task, examples first, nearest names, nothing heavy loaded."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import pytest

from agentflow.cli.app import execute
from tests.cli.project import Project


def test_the_first_help_groups_commands_by_task_and_begins_with_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["--help"]) == 0
    text = capsys.readouterr().out
    places = [text.index(part) for part in ("Examples:", "Usage:", "Run:", "Answer:", "Look:", "Options:")]
    assert places == sorted(places)
    assert len(text.splitlines()) <= 40
    run = text.index("  run  ")
    assert run < text.index("  validate ") < text.index("  waits ") < text.index("  runs ")


@pytest.mark.parametrize(
    "command",
    [
        ["init"],
        ["doctor"],
        ["run"],
        ["validate"],
        ["workflows"],
        ["graph"],
        ["mcp"],
        ["schema"],
        ["runs"],
        ["runs", "list"],
        ["runs", "show"],
        ["runs", "watch"],
        ["runs", "cancel"],
        ["runs", "pause"],
        ["runs", "unpause"],
        ["runs", "retry"],
        ["runs", "purge"],
        ["waits"],
        ["waits", "list"],
        ["waits", "show"],
        ["waits", "answer"],
        ["publish"],
        ["push"],
        ["push", "list"],
        ["push", "retry"],
        ["steps"],
        ["explain"],
    ],
)
def test_every_command_has_help_with_an_example(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert execute([*command, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"  agentflow {' '.join(command)}" in text.split("Usage:")[0]


@pytest.mark.parametrize(
    ("arguments", "what", "hint"),
    [
        (["rum"], 'there is no command "agentflow rum"', "did you mean: agentflow run, agentflow runs"),
        (["runs", "lst"], 'there is no command "agentflow runs lst"', "did you mean: agentflow runs list"),
        (
            ["runs", "continue", "7q3k2f"],
            'there is no command "agentflow runs continue"',
            "did you mean: agentflow runs resume, agentflow waits answer",
        ),
        (["resume"], 'there is no command "agentflow resume"', "did you mean: agentflow waits answer"),
        (["zzzz"], 'there is no command "agentflow zzzz"', "agentflow --help lists them"),
        (["explain"], "missing argument 'CODE'", "agentflow explain --help"),
        (["runs", "list", "--stat", "x"], "agentflow runs list has no option --stat", "did you mean: --state"),
        (
            ["waits", "answer", "x", "--input", "-"],
            "agentflow waits answer has no option --input",
            "did you mean: --data",
        ),
        (["graph", "--svg", "a"], "agentflow graph has no option --svg", "did you mean: --output"),
        (["graph", "--xylophone"], "agentflow graph has no option --xylophone", "agentflow graph --help"),
    ],
)
def test_wrong_use_exits_2_and_says_what_is_right(
    arguments: list[str], what: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[0] == f"error[AF-USAGE]: {what}"
    assert err.splitlines()[1].startswith(f"  hint: {hint}")


def test_wrong_use_with_json_is_told_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["runs", "lst", "--json"]) == 2
    assert capsys.readouterr().err.startswith('{"error": {"code": "AF-USAGE"')


def test_no_arguments_show_the_help_and_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute([]) == 2
    assert "Examples:" in capsys.readouterr().err


def test_help_loads_only_the_command_line_library() -> None:
    code = (
        "import sys; from agentflow.cli.app import execute; execute(['--help']);"
        "print(sorted(m for m in sys.modules if m.split('.')[0] in "
        "('pydantic', 'rich', 'httpx', 'anyio', 'yaml', 'jsonschema_rs', 'apsw', 'celpy')), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("command", [["run", "--help"], ["runs", "watch", "--help"], ["explain", "AF-TIME-OVER"]])
def test_a_timeout_promises_nothing_about_what_is_not_saved_yet(
    capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert execute(command) == 0
    assert "the run is saved" not in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (("runs", "list", "-n", "0"), "--limit must be at least 1"),
        (("runs", "list", "--limit", "99999"), "--limit must be at most 10000"),
        (("runs", "list", "--limit", "x"), "--limit must be a whole number"),
        (("serve", "--port", "99999"), "--port must be at most 65535"),
    ],
)
def test_a_number_out_of_its_range_is_told_in_a_plain_sentence(
    project: Project, typed: Sequence[str], told: str
) -> None:
    done = project.run(*typed)
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, f"error[AF-USAGE]: {told}")
