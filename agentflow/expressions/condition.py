"""Conditions: distri's short forms by themselves, everything else CEL with references as operands."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from agentflow.definition.suggest import meant
from agentflow.errors import StepError
from agentflow.expressions.cel import MOST_VARIABLES, Binder, Fault, Program, TooLarge, compile_cel, evaluate_cel, fits
from agentflow.expressions.explaining import GIVE_TEXT, failed, not_understood, undecided
from agentflow.expressions.failures import ExpressionError, cut, is_list, is_mapping, kind_of
from agentflow.expressions.forms import read_form, truth
from agentflow.expressions.grammar import Grammar, grammar
from agentflow.expressions.operands import Rewritten, Variable, rewrite
from agentflow.expressions.reading import Operand, lenient, present
from agentflow.expressions.view import NAMESPACES, Dialect, Reference, View

_LONGEST = 16_384


class Condition:
    """A condition, compiled."""

    __slots__ = ("evaluate", "references", "text")

    def __init__(self, text: str, references: tuple[Reference, ...], evaluate: Callable[[View], bool]) -> None:
        """Made by `compile_condition`."""
        self.text = text
        """As written."""
        self.references = references
        """Every reference, in reading order."""
        # an attribute, not a method that calls one: it is called for every step
        self.evaluate: Callable[[View], bool] = evaluate
        """Tell whether it holds; a missing value is null. Raises StepError (AF-CONDITION-FAILED, AF-REF-MISSING)."""


def compile_condition(
    value: str | bool,
    names: frozenset[str] = NAMESPACES,
    *,
    dialect: Dialect = "agentflow",
    steps: Collection[str] | None = None,
) -> Condition:
    """Compile a condition.

    Args:
        value: its text, or a constant.
        names: all the names that references may begin with.
        dialect: `distri` searches `{context.x}` as distri does.
        steps: ids of the steps that may be named; None: any.

    Raises:
        ExpressionError: it can't be understood, or names an unknown step.
    """
    if isinstance(value, bool):
        return Condition(str(value).lower(), (), lambda _: value)
    text = _checked(value)
    words = grammar(names, dialect)
    form = read_form(text, words)
    if form is not None:
        operands, evaluate = form.operands, form.evaluate
    else:
        operands, evaluate = _compile(text, words)
    references = tuple(reference for operand in operands for reference in operand.references)
    if steps is not None:
        _check_steps(references, steps)
    return Condition(text, references, evaluate)


def _checked(value: object) -> str:
    if not isinstance(value, str):
        raise ExpressionError(f"a condition is a text, not {kind_of(value)}", code="AF-CONDITION-SYNTAX")
    if not value.strip():
        raise ExpressionError("a condition is empty", code="AF-CONDITION-SYNTAX", hint='such as {input.count} == "3"')
    if len(value) > _LONGEST:
        raise ExpressionError(
            f"a condition has {len(value):,} characters, and at most {_LONGEST:,} are allowed",
            code="AF-CONDITION-SIZE", hint="compute a part of it in a step before",
        )  # fmt: skip
    return value


def _check_steps(references: tuple[Reference, ...], steps: Collection[str]) -> None:
    for reference in references:
        step = reference.step_id
        if step is not None and step not in steps:
            raise ExpressionError(
                f'unknown step "{cut(step)}" in a condition', code="AF-REF-STEP", offset=reference.offset,
                length=reference.length, label=meant(step, steps),
            )  # fmt: skip


def _compile(text: str, words: Grammar) -> tuple[tuple[Operand, ...], Callable[[View], bool]]:
    rewritten = rewrite(text, words)
    if len(rewritten.variables) > MOST_VARIABLES:
        raise ExpressionError(
            f"a condition has more than {MOST_VARIABLES} different references",
            code="AF-CONDITION-SIZE", length=len(text), hint="compute a part of it in a step before",
        )  # fmt: skip
    try:
        program = compile_cel(rewritten.text, len(rewritten.variables))
    except Fault as fault:
        raise not_understood(text, fault, rewritten, words) from None
    return rewritten.operands, _evaluator(text, program, rewritten)


def _evaluator(text: str, program: Program, rewritten: Rewritten) -> Callable[[View], bool]:
    binder = Binder(rewritten.numbers)
    mixed_up = binder.mixes_up(())
    binds = [(variable, variable.name, _bound(variable, binder)) for variable in rewritten.variables]

    def evaluate(view: View) -> bool:
        data: dict[str, Any] = {}
        large: list[float] = []
        for variable, name, bind in binds:
            try:
                data[name] = bind(view, large)
            except TooLarge as error:
                raise _refused(text, variable, str(error)) from None
        if mixed_up or (large and binder.mixes_up(large)):
            raise failed(text, "it has different numbers that are too large to be told apart", GIVE_TEXT)
        try:
            result = evaluate_cel(program, data)
        except Fault as fault:
            raise undecided(text, fault, rewritten, data, view) from None
        if result is True or result is False:
            return result
        raise failed(text, f"it gives {kind_of(result)}, not true or false", "compare it with something")

    return evaluate


def _refused(text: str, variable: Variable, why: str) -> StepError:
    shown = cut(variable.operand.reference.text)
    return failed(
        text, f'"{shown}" is too large: {why}',
        "make it smaller first: by a JSONPath, a set step or a python step",
    )  # fmt: skip


def _bound(variable: Variable, binder: Binder) -> Callable[[View, list[float]], Any]:
    if variable.role == "present":
        is_there = present(variable.operand)
        return lambda view, _: is_there(view)
    read = lenient(variable.operand)
    if variable.role == "truth":
        return lambda view, _: truth(read(view))
    if variable.role == "size":
        return lambda view, _: _size(read(view))
    if variable.role == "text":
        return lambda view, large: binder.bind(_digits(read(view)), large)
    return lambda view, large: binder.bind(read(view), large)


def _digits(value: Any) -> Any:
    """Write a whole number here that CEL would have to be given as a decimal number."""
    return str(value) if isinstance(value, int) and not fits(value) else value


def _size(value: Any) -> Any:
    """Measure here what CEL would have to be given as a whole. What has no size is null, for CEL to complain about."""
    if isinstance(value, str) or is_mapping(value) or is_list(value):
        return len(value)
    return None
