"""Checks of a step's gates: what may be changed at them, and what can't be asked."""

from __future__ import annotations

from agentflow.data import is_object
from agentflow.definition.check.report import Report, Spot
from agentflow.definition.check.schemas import check_schema
from agentflow.definition.field_names import written
from agentflow.definition.scopes import Located
from agentflow.definition.types import StepTypeLike


def check_gates(located: Located, spec: StepTypeLike | None, report: Report) -> None:
    """Report what is wrong with `approve`, `review` and `on_interrupted` of a step."""
    step, address = located.step, located.address
    if step.on_interrupted != "fail" and not step.at_most_once:
        report.add(
            "AF-GATE-INVALID",
            f'step "{step.id}" says what to do when it is interrupted, but it simply runs again',
            Spot(address, "on_interrupted", key=True),
            hint="add `at_most_once: true`, or remove `on_interrupted`",
        )
    if step.approve is not None and step.approve.edit and spec is not None:
        _check_edit(located, spec, report)
    if step.review is not None and step.review.schema_ is not None:
        check_schema(step.review.schema_, Spot(address, "review", ("schema",)), report)


def _check_edit(located: Located, spec: StepTypeLike, report: Report) -> None:
    step, address = located.step, located.address
    approve = step.approve
    if approve is None:
        return
    if spec.bodies or spec.name == "workflow":
        report.add(
            "AF-GATE-INVALID",
            f'step "{step.id}" holds others: there is nothing of it that could be edited',
            Spot(address, "approve", ("edit",), key=True),
            hint="give `approve` to the step inside that does it",
        )
        return
    own = [written(name, info) for name, info in spec.config.model_fields.items()]
    given = step.config.get("input", step.with_)
    inner = list(given) if is_object(given) else []
    for name, schema in approve.edit.items():
        spot = Spot(address, "approve", ("edit", name), key=True)
        open_input = "input" in own and not is_object(given)
        if name not in own and name not in inner and not open_input:
            what = f'"edit" of step "{step.id}" names "{name}", which is no field of it and none of its input'
            report.add("AF-GATE-INVALID", what, spot, label=report.meant(name, [*inner, *own]))
        if schema:
            check_schema(schema, Spot(address, "approve", ("edit", name)), report)
