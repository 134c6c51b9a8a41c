"""`workflows`: what the config has to run."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from agentflow.cli.console import Console
from agentflow.cli.desk import Desk
from agentflow.cli.examples import run_command
from agentflow.cli.format import GLYPHS, STYLES, ago, iso, one_line
from agentflow.cli.options import Common
from agentflow.cli.projects import exists, find_project, no_config
from agentflow.cli.session import read
from agentflow.cli.shown import redacted_data
from agentflow.cli.tables import Column, layout, tabbed
from agentflow.cli.verdict import tell_broken
from agentflow.data import is_array, is_object
from agentflow.definition.models import Trigger, Workflow
from agentflow.definition.typed_text import resolve
from agentflow.engine.models import Run
from agentflow.store.rows import RunQuery

COLUMNS = (
    Column("WORKFLOW"),
    Column("LAST RUN"),
    Column("INPUT", cut=True, least=8),
    Column("ENTRY POINTS", drop=1),
    Column("TRIGGERS", drop=2),
    Column("DOES", drop=3),
)


_TOLD = ("cron", "topic", "path", "name", "id")
"""Of a trigger's fields the one that says when it starts something."""


def list_workflows(common: Common) -> int:
    """List the config's workflows."""
    console = common.console()
    project = find_project(common, config="needed")
    config = project.config
    if config is None:
        raise no_config(None)
    tell_broken(console, config)
    last: dict[str, tuple[str, Run]] = {}
    """Workflow → its last run, with its short id."""

    async def work(desk: Desk) -> int:
        found = {name: await _last(desk, name, config.agent) for name in config.workflows}
        await desk.learn([run.id for run in found.values() if run is not None], "run")
        last.update({name: (desk.short(run.id), run) for name, run in found.items() if run is not None})
        return 0

    if exists(project) and (code := read(console, project, work)):
        return code
    flows = list(config.workflows.values())
    if console.mode != "text":
        console.data({"workflows": [_data(flow, last[flow.id][1] if flow.id in last else None) for flow in flows]})
    elif not flows:
        console.say("The config has no workflow yet.")
    else:
        _write(console, flows, last)
        if console.out_terminal:
            console.say(f"start one: {run_command(flows[0].id, flows[0].input_schema)}{project.flags}")
    return 0


async def _last(desk: Desk, workflow: str, agent: str) -> Run | None:
    return next(iter(await desk.reader.list(RunQuery(workflow=workflow, agent=agent, limit=1))), None)


def _write(console: Console, flows: Sequence[Workflow], last: Mapping[str, tuple[str, Run]]) -> None:
    """Write the table: for a terminal, or tab-separated for a pipe."""
    now, terminal = time.time(), console.out_terminal
    rows: list[list[str]] = []
    for flow in flows:
        short, run = last.get(flow.id, ("", None))
        ran = "-"
        if run is not None:
            glyph, then = (f"{GLYPHS[run.state]} ", ago(run.created_at, now)) if terminal else ("", iso(run.created_at))
            ran = f"{glyph}{run.state} {short if terminal else run.id} {then}"
        points = ", ".join(point.id for point in flow.entry_points)
        kinds = ", ".join(_started_by(trigger) for trigger in triggers_of(flow))
        does = one_line((flow.description or "").strip().partition("\n")[0], 200)
        rows.append([flow.id, ran, " ".join(inputs_of(flow)) or "-", points or "-", kinds or "-", does])
    if not terminal:
        console.page(tabbed([column.title for column in COLUMNS], rows))
        return
    head, *table = layout(COLUMNS, rows, console.width)
    lines = [console.paint("  ".join(head).rstrip(), "dim", out=True)]
    for flow, cells in zip(flows, table, strict=True):
        style = STYLES[last[flow.id][1].state] if flow.id in last else "dim"
        lines.append("  ".join([cells[0], console.paint(cells[1], style, out=True), *cells[2:]]).rstrip())
    console.page(lines)


def inputs_of(flow: Workflow) -> list[str]:
    """Return a workflow's inputs by name, those with a `?` that may be left out."""
    schema = resolve(flow.input_schema)
    names, required = schema.get("properties"), schema.get("required")
    needed = set(required) if is_array(required) else set[Any]()
    return [name if name in needed else f"{name}?" for name in (names if is_object(names) else ())]


def triggers_of(flow: Workflow) -> list[Trigger]:
    """Return what starts a workflow by itself: at its beginning, and at its entry points."""
    return [*flow.triggers, *(each for point in flow.entry_points for each in point.triggers)]


def _started_by(trigger: Trigger) -> str:
    fields = trigger.model_dump()
    said = next((fields[name] for name in _TOLD if isinstance(fields.get(name), str)), None)
    return trigger.type if said is None else f"{trigger.type} {said}"


def _data(flow: Workflow, run: Run | None) -> dict[str, Any]:
    return redacted_data(
        {
            "id": flow.id,
            "description": flow.description,
            "input": flow.input_schema,
            "entry_points": [
                {"id": point.id, "description": point.description, "starts_at": point.starts_at}
                for point in flow.entry_points
            ],
            "triggers": [trigger.model_dump() for trigger in triggers_of(flow)],
            "last_run": None
            if run is None
            else {"id": run.id, "state": run.state, "created_at": iso(run.created_at), "ended_at": iso(run.ended_at)},
        }
    )
