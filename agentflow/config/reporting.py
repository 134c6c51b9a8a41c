"""The problems of a config as they are told: in the order of their places, and of very many the first ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from agentflow.definition.tally import TOLD, Tally
from agentflow.errors import Problem, Severity


def told(problems: Iterable[Problem], tally: Tally, files: Sequence[str]) -> list[Problem]:
    """Return the first problems in order, errors before warnings where not all are told, and how many more there are.

    Args:
        problems: what was found.
        tally: has counted those that were only counted.
        files: the names of the files, in order.
    """
    ordered = _in_order(problems, files)
    errors = [problem for problem in ordered if problem.severity == "error"]
    warnings = [problem for problem in ordered if problem.severity == "warning"]
    room = max(TOLD - len(errors), 0)
    kept = {id(problem) for problem in (*errors[:TOLD], *warnings[:room])}
    return [
        *(problem for problem in ordered if id(problem) in kept),
        *_more(len(errors[TOLD:]) + tally.untold("error"), "error"),
        # some warnings aren't even looked for when there are enough of them
        *_more(len(warnings[room:]) + tally.untold("warning"), "warning", "at least "),
    ]


def inside(workflow: str, problems: Iterable[Problem]) -> list[Problem]:
    """Return problems as those of a workflow."""
    return [replace(problem, workflow=workflow) for problem in problems]


def _in_order(problems: Iterable[Problem], files: Sequence[str]) -> list[Problem]:
    """Sort by file and place, those without a place last, and drop repetitions."""
    numbers = {file: number for number, file in enumerate(files)}
    unique = {(problem.code, problem.message, problem.place, problem.pointer): problem for problem in problems}

    def order(problem: Problem) -> tuple[int, int, int]:
        place = problem.place
        return (numbers.get(place.file, -1), place.line, place.column) if place else (len(files), 0, 0)

    return sorted(unique.values(), key=order)


def _more(count: int, severity: Severity, about: str = "") -> Iterator[Problem]:
    if count:
        what = f"{about}{count:,} more {severity}{'s aren' if count > 1 else ' isn'}'t shown"
        yield Problem("AF-CONFIG-INVALID", what, hint="correct these first", severity=severity, count=count)
