"""Checks a workflow written as YAML, for tests."""

from __future__ import annotations

from textwrap import dedent, indent

from agentflow.config import load_text
from agentflow.errors import DefinitionError, Problem

GRANTS = 'skills: ["native:shell", "native:network"]\n'


def source(steps: str, head: str = "", before: str = "") -> str:
    """Return the config of a workflow of these steps."""
    text = f"{GRANTS}{before}workflows:\n  w:\n{indent(dedent(head), '    ')}\n    steps:\n"
    return text + indent(dedent(steps), "      ")


def check(steps: str, head: str = "", before: str = "") -> list[Problem]:
    """Return what is wrong with a workflow of these steps, warnings included."""
    return problems_of(source(steps, head, before))


def problems_of(text: str) -> list[Problem]:
    """Return what is wrong with a config, warnings included."""
    try:
        return load_text(text).warnings
    except DefinitionError as error:
        return list(error.problems)


def codes(problems: list[Problem]) -> list[str]:
    """Return the codes, in order."""
    return [problem.code for problem in problems]


def marked(problem: Problem, steps: str) -> str:
    """Return the part of the text that the caret underlines."""
    place = problem.place
    assert place is not None
    line = source(steps).splitlines()[place.line - 1]
    return line[place.column - 1 : place.column - 1 + place.length]
