"""Entry points and triggers: unknown steps, names that are taken or reserved, cron expressions that never come."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from agentflow.data import is_object
from agentflow.definition.check.headers import check_headers
from agentflow.definition.check.report import Report, Spot, known
from agentflow.definition.check.schemas import check_schema
from agentflow.definition.models import Trigger, Workflow
from agentflow.definition.times import next_cron, zone
from agentflow.definition.tools import INPUT_PLACE
from agentflow.expressions import ExpressionError, compile_condition

_WORDS = "start stop disconnect reset new newsession newthread status debug verbose help switch workspace context ctx"
RESERVED = frozenset(f"/{word}" for word in _WORDS.split())
"""Slash names that channels keep for themselves."""
_INSTEAD = {
    "schedule": "let cron, or a timer of systemd, call `agentflow run`; or repeat steps by `type: recur`",
    "webhook": "`agentflow serve` starts runs by A2A and MCP; or let what gets the webhook call `agentflow run`",
}
"""Triggers that nothing listens for yet → how a run is started instead."""
_Placed = tuple[Trigger, Spot]


def check_entries(workflow: Workflow, report: Report) -> None:
    """Check entry points and all triggers of a workflow."""
    seen: dict[str, int] = {}
    ids = {step.id: None for step in workflow.steps} if workflow.entry_points else {}
    for number, entry in enumerate(workflow.entry_points):
        spot = Spot("", "entry_points", (number,))
        if seen.setdefault(entry.id, number) != number:
            report.add("AF-ENTRY-DUPLICATE", f'two entry points have the id "{entry.id}"', spot.below("id"))
        _check_steps(workflow, number, ids, report)
    _check_prompt(workflow, report)
    usable = [one for one in _placed(workflow) if _usable(one[0])]
    _check_names(usable, report)
    for trigger, spot in usable:
        if trigger.type in _INSTEAD and workflow.dialect == "agentflow":
            what = f"nothing starts runs by a {trigger.type} yet: this trigger is kept, and does nothing"
            report.add("AF-TRIGGER-IDLE", what, spot, hint=_INSTEAD[trigger.type], severity="warning")
        if trigger.type == "schedule":
            cron, timezone = spot.below("cron"), spot.below("timezone")
            check_cron(_get(trigger, "cron"), _get(trigger, "timezone"), cron, timezone, report)
        elif trigger.type == "event" and isinstance(_get(trigger, "filter"), str):
            check_filter(_get(trigger, "filter"), spot.below("filter"), report)
        elif trigger.type == "tool" and _get(trigger, "input_schema") is not None:
            given, place = _get(trigger, "input_schema"), spot.below("input_schema")
            if check_schema(given, place, report):
                check_headers(given, place, report)


def _check_prompt(workflow: Workflow, report: Report) -> None:
    declared = (workflow.input_schema or {}).get("properties")
    if workflow.mcp.prompt is None or not is_object(declared):
        return
    for found in INPUT_PLACE.finditer(workflow.mcp.prompt):
        if found[1] not in declared:
            report.add(
                "AF-REF-INPUT",
                f'the prompt names the input "{found[1]}", which isn\'t declared',
                Spot("", "mcp", ("prompt",), found.start(1), len(found[1])),
                label=report.meant(found[1], declared),
                hint=known(declared, "inputs") if not report.nearest(found[1], declared) else None,
            )


def check_cron(expression: object, timezone: object, spot: Spot, zone_spot: Spot, report: Report) -> None:
    """Check a cron expression and its time zone; says how six fields are read.

    Args:
        expression: the value of `cron`.
        timezone: the value of `timezone`, or None.
        spot: where the expression stands.
        zone_spot: where the zone stands.
        report: where problems go.
    """
    if timezone is not None:
        try:
            zone(str(timezone))
        except ValueError as error:
            label = report.meant(str(timezone), _zones())
            report.add("AF-CRON-ZONE", str(error), zone_spot, label=label)
            timezone = None
    try:
        next_cron(str(expression), str(timezone or "UTC"), 0.0)
    except ValueError as error:
        hint = 'five fields: minute hour day month weekday, such as "0 9 * * MON-FRI"; or @hourly, @daily, @weekly'
        report.add("AF-CRON-INVALID", str(error), spot, hint=hint)
        return
    if len(str(expression).split()) == 6:
        report.add(
            "AF-CRON-SECONDS",
            f'"{expression}" has six fields: the first one counts seconds',
            spot,
            label=_explain(str(expression)),
            severity="warning",
        )


@lru_cache(maxsize=1)
def _zones() -> list[str]:
    from zoneinfo import available_timezones  # noqa: PLC0415  reads the whole time zone folder

    return sorted(available_timezones())


def check_filter(text: str, spot: Spot, report: Report) -> None:
    """Check a filter of events: a condition over `event`. A broken one would match nothing, silently."""
    try:
        compile_condition(text, frozenset({"event"}))
    except ExpressionError as error:
        report.add(error.code, error.what, spot.at(error.offset, error.length), hint="it is a condition over `event`")


def _explain(expression: str) -> str | None:
    from datetime import UTC, datetime  # noqa: PLC0415

    from cronsim import CronSim  # noqa: PLC0415  only schedules need it

    text: str = CronSim(expression, datetime.fromtimestamp(0, UTC)).explain()
    return f"read as: {text[:1].lower()}{text[1:]}"


def _placed(workflow: Workflow) -> Iterator[_Placed]:
    for number, trigger in enumerate(workflow.triggers):
        yield trigger, Spot("", "triggers", (number,))
    for place, entry in enumerate(workflow.entry_points):
        for number, trigger in enumerate(entry.triggers):
            yield trigger, Spot("", "entry_points", (place, "triggers", number))


def _get(trigger: Trigger, name: str) -> Any:
    return (trigger.model_extra or {}).get(name)


def _check_steps(workflow: Workflow, number: int, ids: Collection[str], report: Report) -> None:
    entry = workflow.entry_points[number]
    spot = Spot("", "entry_points", (number,))
    if entry.starts_at is not None and entry.starts_at not in ids:
        report.add(
            "AF-ENTRY-STEP",
            f"Entry point '{entry.id}' references step '{entry.starts_at}' which does not exist",
            spot.below("starts_at"),
            label=report.meant(entry.starts_at, ids),
            hint=known(ids, "top-level steps") if not report.nearest(entry.starts_at, ids) else None,
        )
    for name in entry.preset_results:
        if name not in ids:
            report.add(
                "AF-ENTRY-PRESET",
                f"Entry point '{entry.id}' presets step '{name}' which does not exist",
                Spot("", "entry_points", (number, "preset_results", name), key=True),
                label=report.meant(name, ids),
            )
    declared = (workflow.input_schema or {}).get("properties")
    if is_object(declared):
        for place, name in enumerate(entry.required_inputs):
            if name not in declared:
                report.add(
                    "AF-ENTRY-INPUT",
                    f"Entry point '{entry.id}' requires input '{name}' which the input schema doesn't have",
                    spot.below("required_inputs", place),
                    label=report.meant(name, declared),
                    hint=known(declared, "inputs") if not report.nearest(name, declared) else None,
                )


def _usable(trigger: Trigger) -> bool:
    """Tell whether a trigger's fields are valid: what isn't, the parser tells."""
    from agentflow.definition.triggers import typed  # noqa: PLC0415  only workflows with triggers need its models

    try:
        typed(trigger)
    except ValidationError:
        return False
    return True


def _check_names(placed: Sequence[_Placed], report: Report) -> None:
    slashes: dict[str, Spot] = {}
    callbacks: dict[str, Spot] = {}
    message: Spot | None = None
    for trigger, spot in placed:
        if trigger.type == "slash":
            aliases: list[str] = _get(trigger, "aliases") or []
            _slash(_get(trigger, "name"), spot.below("name"), slashes, report)
            for number, alias in enumerate(aliases):
                _slash(alias, spot.below("aliases", number), slashes, report)
        elif trigger.type == "callback":
            name, own = str(_get(trigger, "id")), spot.below("id")
            first = callbacks.setdefault(name, own)
            if first is not own:
                label = _first(report, first)
                report.add("AF-TRIGGER-DUPLICATE", f'two callback triggers have the id "{name}"', own, label=label)
        elif trigger.type == "message":
            if message is not None:
                report.add(
                    "AF-TRIGGER-DUPLICATE",
                    "a workflow has at most one message trigger",
                    spot,
                    label=_first(report, message),
                )
            message = message or spot


def _slash(given: str, spot: Spot, seen: dict[str, Spot], report: Report) -> None:
    name = "/" + given.strip().lstrip("/").lower()
    if name in RESERVED:
        report.add(
            "AF-TRIGGER-RESERVED",
            f'the slash command "{name}" is reserved: channels use it themselves',
            spot,
            hint="choose another name",
        )
    elif not name[1:] or any(c.isspace() for c in name):
        report.add("AF-TRIGGER-NAME", f'"{given}" is no slash command: it is one word', spot)
    elif seen.setdefault(name, spot) is not spot:
        report.add(
            "AF-TRIGGER-DUPLICATE", f'the slash command "{name}" is used twice', spot, label=_first(report, seen[name])
        )


def _first(report: Report, spot: Spot) -> str | None:
    where = report.where(spot)
    return f"the first one is{where}" if where else None
