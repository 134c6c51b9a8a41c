"""The one renderer of errors: what, where, why, hint. For people on stderr, or as one JSON document."""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from agentflow.cli.console import Console, printable
from agentflow.cli.failures import FRAMES, last_words, trace_lines
from agentflow.cli.shown import redacted_data
from agentflow.codes import door
from agentflow.errors import AgentflowError, DefinitionError, Failure, Place, Problem

PROBLEMS_SHOWN = 50


def exit_code(error: BaseException) -> int:
    """Return the exit code that an error ends the command with."""
    if isinstance(error, DefinitionError):
        return door(DefinitionError.default_code).exit_code
    if isinstance(error, AgentflowError):
        return door(error.code).exit_code
    return door("AF-DEFECT").exit_code


def to_data(error: AgentflowError) -> dict[str, Any]:
    """Return the JSON form of an error."""
    data: dict[str, Any] = {"code": error.code, "message": error.what}
    if error.why:
        data["why"] = error.why
    if error.hint:
        data["hint"] = error.hint
    if error.data:
        data["data"] = dict(error.data)
    if isinstance(error, DefinitionError):
        data["problems"] = [problem_data(p) for p in error.problems]
    return data


def problem_data(problem: Problem) -> dict[str, Any]:
    """Return the JSON form of a problem."""
    data: dict[str, Any] = {"code": problem.code, "severity": problem.severity, "message": problem.message}
    place = problem.place
    if place is not None:
        data |= {"file": place.file, "line": place.line, "column": place.column, "length": place.length}
    for name in ("pointer", "label", "hint"):
        if getattr(problem, name):
            data[name] = getattr(problem, name)
    return data


def head(code: str, message: str, severity: str = "error") -> str:
    """Return an error's first line."""
    return f"{severity}[{code}]: {message}"


def error_lines(error: AgentflowError) -> list[str]:
    """Return the lines of an error, without colour."""
    if isinstance(error, DefinitionError) and error.problems:
        lines = definition_lines(error.problems)
        return [*lines, *printable(["", f"hint: {error.hint}"])] if error.hint else lines
    lines = [head(error.code, error.what)]
    if error.why:
        lines += [f"  {line}" for line in error.why.splitlines()]
    if error.hint:
        lines += [f"  hint: {line}" for line in error.hint.splitlines()]
    return printable(lines)


def definition_lines(problems: Sequence[Problem], known: Mapping[str, str] | None = None) -> list[str]:
    """Return the lines of a definition's problems, one block each with an empty line between.

    Args:
        problems: what is wrong.
        known: texts of files by name, where they are at hand; others are read.
    """
    from agentflow.definition.excerpt import render_problem  # noqa: PLC0415  only when something is wrong

    texts = dict(known or {})
    for problem in problems:
        if problem.place is not None and problem.place.file not in texts:
            texts[problem.place.file] = _text(problem.place.file)
    more = [problem for problem in problems[PROBLEMS_SHOWN:] if problem.count == 1]
    shown = [*problems[:PROBLEMS_SHOWN], *(problem for problem in problems[PROBLEMS_SHOWN:] if problem.count > 1)]
    blocks = [render_problem(problem, texts) for problem in shown]
    if more:
        blocks.append(f"{len(more)} more problem{'s aren' if len(more) > 1 else ' isn'}'t shown")
    lines: list[str] = []
    for block in blocks:
        lines += ["", *block.rstrip("\n").split("\n")] if lines else block.rstrip("\n").split("\n")
    return printable(lines)


def _text(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def failure_lines(
    failure: Failure,
    *,
    place: Place | None = None,
    text: str | None = None,
    label: str | None = None,
    retry: str | None = None,
    frames: int = FRAMES,
) -> list[str]:
    """Return the lines of a run's failure.

    Args:
        failure: why it failed.
        place: where the failed step stands in its file.
        text: the file's text.
        label: what to say beside the caret, such as the times of the attempts.
        retry: a command that tries again.
        frames: how many of the user's frames are shown.
    """
    hints = [h for h in (failure.hint, retry) if h]
    named = failure.step is None or f'"{failure.step}"' in failure.message
    message = failure.message if named else f'step "{failure.step}": {failure.message}'
    more = [*(failure.why or "").splitlines(), *trace_lines(failure.data, frames)]
    if place is None or text is None:
        lines = [head(failure.code, message), *(f"  {line}" for line in more)]
        return printable([*lines, *(f"  hint: {hint}" for hint in hints)])
    from agentflow.definition.excerpt import render_problem  # noqa: PLC0415  only when something failed

    problem = Problem(failure.code, last_words(message), place=place, label=label)
    lines = render_problem(problem, {place.file: text}).rstrip("\n").split("\n")
    gutter = " " * (len(str(place.line)) + 1)
    lines += [f"{gutter}{' ' if n else '='} {line}" for n, line in enumerate(more)]
    return printable([*lines, *(f"{gutter}= hint: {hint}" for hint in hints)])


def show(console: Console, error: AgentflowError) -> None:
    """Write an error to stderr, in the form that the command line asks for."""
    if console.mode != "text":
        console.tell_data({"error": redacted_data(to_data(error))})
        return
    tell_lines(console, error_lines(error))


def show_trace(console: Console, error: BaseException) -> None:
    """Write where an error comes from to stderr."""
    for line in "".join(traceback.format_exception(error)).rstrip().split("\n"):
        console.tell(line)


def tell_lines(console: Console, lines: Sequence[str]) -> None:
    """Write error lines to stderr, coloured where that can be seen."""
    for line in lines:
        console.tell(_paint(console, line))


def _paint(console: Console, line: str) -> str:
    if line.startswith(("error[", "warning[")):
        title, rest = line.split("]", 1)
        style = "error" if line.startswith("error") else "warning"
        return console.paint(f"{title}]", style) + console.paint(rest, "bold")
    bare = line.strip()
    if bare.startswith(("-->", "|")):
        return console.paint(line, "blue") if "^" not in line else _caret(console, line)
    if bare.startswith(("hint:", "= hint:")):
        before, _, after = line.partition("hint:")
        return before + console.paint("hint:", "cyan") + after
    return line


def _caret(console: Console, line: str) -> str:
    before, bar, after = line.partition("|")
    return console.paint(before + bar, "blue") + console.paint(after, "error")


def unwrap(error: Exception) -> Exception:
    """Return the one error inside an exception group that means something to a person."""
    while isinstance(error, ExceptionGroup):
        inside: list[Exception] = list(cast("ExceptionGroup[Exception]", error).exceptions)
        known = [each for each in inside if isinstance(each, AgentflowError)]
        groups = [each for each in inside if type(each) is ExceptionGroup]
        error = [*known, *groups, *inside][0]
    return error


def debugging() -> bool:
    """Whether traces are wanted on the terminal."""
    return os.environ.get("AGENTFLOW_DEBUG", "") not in ("", "0")
