"""What loops go over: what is written there must be a list, or exactly one reference, which may be one."""

from __future__ import annotations

import re
from typing import Any

from agentflow.data import is_array
from agentflow.definition.check.report import Report, Spot
from agentflow.definition.faults import shown
from agentflow.definition.models import Step
from agentflow.definition.scopes import Located
from agentflow.expressions import ExpressionError, compile_value
from agentflow.expressions.view import Dialect

_LIST = re.compile(r"\s*\{?\s*(\[.*\])\s*\}?\s*", re.DOTALL)
_HINT = "write a list, such as [1, 2], or exactly one reference to one, such as {input.files}"
_LONGEST = 40


def check_items(located: Located, names: frozenset[str], dialect: Dialect, report: Report) -> None:
    """Report what a step loops over, if it can't be a list whatever the run brings."""
    step = located.step
    if step.for_each is not None:
        spot = Spot(located.address, "for_each", ("in",))
        field = "for_each" if report.pointers.pointer(located.address, "for_each") == _pointer(spot, report) else "in"
        _check(step, step.for_each.in_, field, spot, names, dialect, report)
    elif step.type == "for_each" and "in" in step.config:
        _check(step, step.config["in"], "in", Spot(located.address, "in"), names, dialect, report)


def _pointer(spot: Spot, report: Report) -> str:
    return report.pointers.pointer(spot.address, spot.field, *spot.path)


def _check(
    step: Step, items: Any, field: str, spot: Spot, names: frozenset[str], dialect: Dialect, report: Report
) -> None:
    if is_array(items) or (isinstance(items, str) and _may_be_list(items, names, dialect)):
        return
    literal = _LIST.fullmatch(items) if isinstance(items, str) else None
    given = f"the text {shown(items)}" if isinstance(items, str) else shown(items)
    report.add(
        "AF-FIELD-TYPE",
        f'"{field}" of step "{step.id}" must be a list, not {given}',
        spot,
        label=f"write {literal[1]}" if literal is not None and len(literal[1]) <= _LONGEST else None,
        hint=_HINT,
    )


def _may_be_list(text: str, names: frozenset[str], dialect: Dialect) -> bool:
    """Tell whether a text is one reference and nothing else; what isn't a template is told by another check."""
    try:
        references = compile_value(text, names, dialect=dialect).references
    except ExpressionError:
        return True
    return len(references) == 1 and references[0].length == len(text)
