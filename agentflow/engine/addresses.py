"""Addresses that people give: which step, or which iteration of a loop, they name. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from agentflow.engine.program import Program, ScopeProgram, StepProgram
from agentflow.errors import NotFoundError

_NAME = re.compile(r"[^/\[]+")
_LABEL = re.compile(r"\[\d+\]")


class Place(NamedTuple):
    """What an address names."""

    address: str
    """As the engine writes it."""
    step: StepProgram
    """The step, or the loop whose iteration it names."""


def find(program: Program, address: str) -> Place:
    """Return what an address names.

    Hooks and compensations of a step, and what is inside a sub-workflow, stand for the step.

    Raises:
        NotFoundError: the workflow has no such step.
    """
    return _Walk(program, address).in_scope(program.root.bodies["steps"], "")


class _Walk:
    """One address on its way from the outside inwards: `at` is what was read of it, `rest` what wasn't."""

    def __init__(self, program: Program, address: str) -> None:
        self.program = program
        self.address = address
        self.rest = address.partition("#")[0]

    def in_scope(self, scope: ScopeProgram, at: str) -> Place:
        """Read the name of a step of a scope."""
        found = _NAME.match(self.rest)
        number = scope.number_of(found[0]) if found else None
        if found is None or number is None:
            raise self._unknown(scope, at)
        self.rest = self.rest[found.end() :]
        return self._in_step(scope.member(number), at + scope.segments[number])

    def _in_step(self, step: StepProgram, at: str) -> Place:
        if not self.rest or not step.bodies:
            return Place(at, step)
        found = _LABEL.match(self.rest)
        if found is not None:
            self.rest = self.rest[found.end() :]
            if step.loop is not None:
                return self._in_step(step.bodies["steps"].member(0), at + found[0])
            body = step.bodies.get("steps")
            return Place(at, step) if body is None else self._in_body(step, body, at + found[0])
        self.rest = self.rest[1:]
        if "steps" in step.bodies:
            return self.in_scope(step.bodies["steps"], f"{at}/")
        key = next((key for key in step.bodies if re.match(rf"{re.escape(key)}(?![^/\[])", self.rest)), None)
        if key is None:
            return Place(at, step)
        self.rest = self.rest[len(key) :]
        body = step.bodies[key]
        if body.single:
            return self._in_step(body.member(0), f"{at}/{key}")
        return self._in_body(step, body, f"{at}/{key}")

    def _in_body(self, step: StepProgram, body: ScopeProgram, at: str) -> Place:
        self.rest = self.rest.removeprefix("/")
        return self.in_scope(body, f"{at}/") if self.rest else Place(at, step)

    def _unknown(self, scope: ScopeProgram, at: str) -> NotFoundError:
        where = f'step "{at[:-1]}"' if at else f'workflow "{self.program.workflow.id}"'
        name = self.rest.partition("/")[0]
        return NotFoundError(
            f'{where} has no step "{name}"',
            code="AF-STEP-UNKNOWN",
            hint=f"its steps: {', '.join(list(scope.index)[:12])}",
        )
