"""The places of a step where templates and conditions stand, and what each of them sees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from agentflow.data import is_array
from agentflow.definition.check.report import Spot
from agentflow.definition.models import Step, Workflow
from agentflow.definition.scopes import Located, Scope
from agentflow.definition.templates import has_template
from agentflow.definition.types import StepTypeLike

REPEATING = frozenset({"while", "until", "recur", "poll"})
"""Types whose conditions see the steps inside, and whose steps see the iteration before."""


class Site(NamedTuple):
    """One value that holds templates, or one condition."""

    spot: Spot
    value: Any
    kind: Literal["template", "condition"]
    bound: frozenset[str]
    """Loop names that have a value here."""
    field: str
    """The field's name for people."""
    secrets: bool = False
    """Secrets may stand here."""
    values: bool = False
    """`{with.x}` has values here."""
    own: bool = False
    """The step's own result can be read here."""
    inside: tuple[Scope, ...] = ()
    """Scopes of the step's own bodies that can be seen from here."""


def bound_names(scope: Scope, known: dict[Scope, frozenset[str]]) -> frozenset[str]:
    """Return the loop names that have a value inside a scope; scopes around it are known already."""
    holder = scope.owner
    if holder is None:
        return frozenset()
    names = known[holder.scope]
    step = holder.step
    if step.for_each is not None:
        names |= {step.for_each.item, step.for_each.index}
    if scope.kind == "body":
        if step.type == "for_each":
            names |= {str(step.config.get("item", "item")), str(step.config.get("index", "index"))}
        elif step.type in ("while", "until", "recur"):
            names |= {"index"}
    return names


def step_sites(located: Located, spec: StepTypeLike | None, bound: frozenset[str]) -> Iterator[Site]:
    """Yield the sites of a step.

    Args:
        located: the step.
        spec: its type; None for an unknown one, whose own fields aren't looked at.
        bound: loop names that have a value in the step's scope.
    """
    step, address = located.step, located.address
    inner = bound | {step.for_each.item, step.for_each.index} if step.for_each is not None else bound
    if step.with_:
        yield Site(Spot(address, "with"), step.with_, "template", inner, "with", secrets=True)
    yield from _gates(step, address, bound)
    values = bool(step.with_)
    for gate, asked in (("approve", step.approve), ("review", step.review)):
        if asked is not None:
            own = gate == "review"
            if asked.message is not None and mentions(asked.message):
                spot = Spot(address, gate, ("message",))
                yield Site(spot, asked.message, "template", inner, f"{gate}.message", values=values, own=own)
            if isinstance(asked.if_, str):
                spot = Spot(address, gate, ("if",))
                yield Site(spot, asked.if_, "condition", inner, f"{gate}.if", values=values, own=own)
    if step.update:
        yield Site(Spot(address, "update"), step.update, "template", inner, "update", values=values, own=True)
    if step.concurrency is not None and "{" in step.concurrency.key:
        yield Site(
            Spot(address, "concurrency", ("key",)),
            step.concurrency.key,
            "template",
            inner,
            "concurrency",
            values=values,
        )
    if step.config and spec is not None:
        yield from _fields(located, spec, inner)


def _gates(step: Step, address: str, bound: frozenset[str]) -> Iterator[Site]:
    """Yield what is looked at before the step: of a step with `for_each` once for all items."""
    values = bool(step.with_) and step.for_each is None
    for field, value in (("if", step.if_), ("skip_if", step.skip_if)):
        if isinstance(value, str):
            yield Site(Spot(address, field), value, "condition", bound, field, values=values)
    for field, value in (("delay", step.delay), ("at", step.at)):
        if value is not None and mentions(value):
            yield Site(Spot(address, field), value, "template", bound, field, values=values)
    if step.for_each is not None and mentions(step.for_each.in_):
        yield Site(Spot(address, "for_each", ("in",)), step.for_each.in_, "template", bound, "for_each")


def _fields(located: Located, spec: StepTypeLike, bound: frozenset[str]) -> Iterator[Site]:
    step, address = located.step, located.address
    inside = tuple(scope for scope in located.inside if scope.kind == "body") if step.type in REPEATING else ()
    # only conditions are looked at between iterations; other fields when the step begins
    looped = bound | {"index"} if inside and step.type != "poll" else bound
    values = bool(step.with_)
    for field, value in step.config.items():
        if field in spec.conditions:
            spot = Spot(address, field)
            several = [(spot.below(n), one) for n, one in enumerate(value)] if is_array(value) else [(spot, value)]
            for where, one in several:
                if isinstance(one, str):
                    yield Site(where, one, "condition", looped, field, values=values, inside=inside)
        elif field == "button_template" and mentions(value):
            yield Site(Spot(address, field), value, "template", bound | {"item", "index"}, field, values=values)
        elif field not in spec.raw and mentions(value):
            yield Site(Spot(address, field), value, "template", bound, field, field in spec.outbound, values)


def workflow_sites(workflow: Workflow) -> Iterator[Site]:
    """Yield the sites of the workflow itself."""
    if workflow.output is not None and mentions(workflow.output):
        yield Site(Spot("", "output"), workflow.output, "template", frozenset(), "output")


def mentions(value: object) -> bool:
    """Tell whether there is a brace anywhere in the texts of a value: without one it holds no template."""
    return "{" in value if isinstance(value, str) else has_template(value, _braced)


def _braced(text: str) -> bool:
    return "{" in text
