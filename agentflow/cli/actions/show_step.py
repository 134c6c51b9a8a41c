"""`runs show --step`."""

from __future__ import annotations

import json
import time

from agentflow.cli.asked import asked_lines
from agentflow.cli.console import printable
from agentflow.cli.damage import CODE, DAMAGED, damage_lines
from agentflow.cli.desk import Desk
from agentflow.cli.documents import event_data, step_data
from agentflow.cli.errors import failure_lines
from agentflow.cli.event_texts import event_line
from agentflow.cli.format import GLYPHS, STYLES, ago, answer_line, clock_time, compact, one_line, shorten
from agentflow.cli.losses import NAMED, count, tolerated_inside, tolerated_lines
from agentflow.cli.outcomes import step_took, timed
from agentflow.cli.spent import spent_line
from agentflow.cli.wait_texts import who
from agentflow.data import decode
from agentflow.definition.models import Workflow
from agentflow.engine.locating import locate
from agentflow.engine.models import Run
from agentflow.engine.read.inspect import RunView, StepView
from agentflow.errors import NotFoundError
from agentflow.steps.failing import MAX_FRAMES

SHOWN = 4000
"""Characters of a value that are shown; `--json` gives all of it."""


async def step_page(desk: Desk, run: Run, view: RunView, workflow: Workflow, wanted: str) -> int:
    """Show one step of a run: its fields, who let it through, its log, its failure or its result."""
    console = desk.console
    step = view.step(wanted)
    if step is None:
        near = [each.address for each in view.steps if wanted in (each.address.rpartition("/")[2], _id(workflow, each))]
        if len(near) != 1:
            hint = f"its steps: {', '.join(each.address for each in view.steps[:8])}"
            raise NotFoundError(f'run {desk.short(run.id)} has no step "{wanted}"', code="AF-STEP-UNKNOWN", hint=hint)
        step = view.step(near[0]) or view.steps[0]
    definition = locate(workflow, step.address)
    given = definition.config if definition is not None else {}
    log = [e for e in await desk.reader.store.events(run.id, 0, 10000) if e.step == step.address]
    if console.mode != "text":
        console.data({**step_data(step), "config": given, "events": [event_data(event) for event in log]})
        return 0
    now = time.time()
    state = console.paint(f"{GLYPHS[step.state]} {step.state}", STYLES[step.state], out=True)
    lines = [
        f"step {step.address}  {step.type}  {state}  {step_took(step, await timed(desk.reader, run), now)}".rstrip()
    ]
    lines += [f"why     {step.why}"] if step.why else []
    lines += [f"started {ago(step.started_at, now)}"] if step.started_at is not None else []
    if given:
        lines += [
            "",
            "fields  (templates as written)",
            *(f"  {key}: {one_line(value, 200)}" for key, value in given.items()),
        ]
    lines += await asked_lines(desk, run.id, step.address)
    lines += [
        "",
        "log",
        *(f"  {clock_time(event.at)}  {event_line(event)}" for event in log),
    ]
    lost = tolerated_inside(view.steps).get(step.address, ())
    if lost:
        lines += ["", count(lost), *printable(tolerated_lines(step.address, lost, "--json", most=NAMED * 100))]
    if step.usage:
        lines += ["", f"usage   {spent_line(step.usage)}"]
    if step.error is not None:
        lines += ["", *failure_lines(step.error, frames=MAX_FRAMES)]
    if step.answer is not None:
        lines += ["", f"answer  {answer_line(step.answer)}, by {who(step.by, step.door)}"]
    elif step.damaged:
        lines += ["", f"result  {DAMAGED} [{CODE}]", *damage_lines(desk, run, view)[1:]]
    elif step.result is not None:
        text = json.dumps(decode(step.result), ensure_ascii=False, indent=2)
        lines += ["", "result", *shorten(text, SHOWN).split("\n")]
        lines += [f"({len(compact(text))} characters; --json prints all)"] if len(text) > SHOWN else []
    console.page(lines)
    return 0


def _id(workflow: Workflow, step: StepView) -> str | None:
    """Return the id that is written in the definition: a branch of one step stands at the branch's own address."""
    found = locate(workflow, step.address)
    return found.id if found is not None else None
