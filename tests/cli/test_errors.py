"""Errors have four parts, one renderer, and never a trace."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from agentflow.cli import errors
from agentflow.cli.console import Console
from agentflow.cli.defects import as_defect
from agentflow.codes import CODES
from agentflow.errors import (
    AgentflowError,
    ConflictError,
    DefinitionError,
    Failure,
    InputError,
    NotFoundError,
    Place,
    Problem,
)


def test_what_why_and_hint_stand_in_this_order() -> None:
    error = InputError(
        "the answer doesn't fit; the wait is still open",
        code="AF-WAIT-INVALID",
        why="amount: 5000 is greater than the maximum of 1000",
        hint="agentflow waits show w5d1kq prints the schema and an example answer",
    )
    assert errors.error_lines(error) == [
        "error[AF-WAIT-INVALID]: the answer doesn't fit; the wait is still open",
        "  amount: 5000 is greater than the maximum of 1000",
        "  hint: agentflow waits show w5d1kq prints the schema and an example answer",
    ]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFoundError("no run"), 66),
        (InputError("bad"), 65),
        (ConflictError("twice", code="AF-WAIT-CONFLICT"), 73),
        (InputError("wrong use", code="AF-USAGE"), 2),
        (AgentflowError("open", code="AF-WAIT-OPEN"), 75),
        (AgentflowError("failed"), 1),
        (ValueError("a defect"), 70),
    ],
)
def test_the_codes_category_is_the_exit_code(error: Exception, code: int) -> None:
    assert errors.exit_code(error) == code


def test_problems_keep_their_order_and_show_the_source(tmp_path: Path) -> None:
    file = tmp_path / "agentflow.yaml"
    file.write_text("workflows:\n  a:\n    time_out: 30s\n", encoding="utf-8")
    place = Place(str(file), 3, 5, 8)
    message = 'step "send" (script) has no field "time_out"'
    error = DefinitionError([Problem("AF-FIELD-UNKNOWN", message, place=place, label='did you mean "timeout"?')])
    assert errors.error_lines(error) == [
        f"error[AF-FIELD-UNKNOWN]: {message}",
        f" --> {file}:3:5",
        "  |",
        "3 |     time_out: 30s",
        '  |     ^^^^^^^^ did you mean "timeout"?',
    ]


def test_a_failed_run_points_at_its_step(tmp_path: Path) -> None:
    del tmp_path
    failure = Failure("AF-HTTP-STATUS", 'step "send" got HTTP 503', step="send", why='answer: {"error": "down"}')
    text = "\n" * 30 + "    - id: send\n"
    lines = errors.failure_lines(
        failure, place=Place("agentflow.yaml", 31, 7, 8), text=text, label="attempts at 14:02:11", retry="again: x"
    )
    assert lines == [
        'error[AF-HTTP-STATUS]: step "send" got HTTP 503',
        "  --> agentflow.yaml:31:7",
        "   |",
        "31 |     - id: send",
        "   |       ^^^^^^^^ attempts at 14:02:11",
        '   = answer: {"error": "down"}',
        "   = hint: again: x",
    ]


def test_a_failure_without_a_place_still_names_its_step() -> None:
    lines = errors.failure_lines(Failure("AF-TIMEOUT", "it ran too long", step="build", hint="raise it"), retry="again")
    assert lines == [
        'error[AF-TIMEOUT]: step "build": it ran too long',
        "  hint: raise it",
        "  hint: again",
    ]


def test_json_errors_are_one_line_with_code_and_hint() -> None:
    out, err = io.StringIO(), io.StringIO()
    error = NotFoundError('no run "nope"', hint="agentflow runs list")
    errors.show(Console(out, err, mode="json", quiet=True), error)
    assert json.loads(err.getvalue()) == {
        "error": {"code": "AF-RUN-UNKNOWN", "message": 'no run "nope"', "hint": "agentflow runs list"}
    }
    assert out.getvalue() == ""


def test_colour_is_added_only_where_it_can_be_seen() -> None:
    plain, coloured = io.StringIO(), io.StringIO()
    error = NotFoundError('no run "nope"', hint="agentflow runs list")
    errors.show(Console(io.StringIO(), plain), error)
    errors.show(Console(io.StringIO(), coloured, err_colour=True), error)
    assert "\x1b" not in plain.getvalue()
    assert coloured.getvalue().startswith("\x1b[1;31merror[AF-RUN-UNKNOWN]\x1b[0m")


def test_an_unexpected_exception_becomes_a_defect_with_its_trace_in_a_file() -> None:
    defect = as_defect(ZeroDivisionError("secret detail"))
    lines = errors.error_lines(defect)
    assert lines[0] == "error[AF-DEFECT]: agentflow itself failed (ZeroDivisionError)"
    assert "secret detail" not in " ".join(lines)
    path = Path(lines[1].split("the details are in ")[1].split(";")[0])
    assert "ZeroDivisionError: secret detail" in path.read_text(encoding="utf-8")
    path.unlink()


def test_the_error_inside_an_exception_group_is_what_is_told() -> None:
    inner = NotFoundError("no run")
    group = ExceptionGroup("tasks", [ValueError("x"), ExceptionGroup("more", [inner])])
    assert errors.unwrap(group) is inner


def test_an_error_cannot_send_escape_sequences() -> None:
    assert "\x1b" not in "".join(errors.error_lines(InputError("bad \x1b[2J value")))


def test_every_code_has_a_meaning_and_a_fix() -> None:
    assert all(code.means.endswith(".") and code.fix for code in CODES.values())
