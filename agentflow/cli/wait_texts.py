"""What is said of waits: what they ask, who answered, which command answers them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from agentflow.cli.examples import answer_command, quote
from agentflow.cli.format import ago, one_line
from agentflow.cli.row import Row
from agentflow.cli.shown import clean
from agentflow.data import is_object
from agentflow.definition.form_parts import parts_of, shown
from agentflow.engine.models import WaitView
from agentflow.steps.unset import UNSET

if TYPE_CHECKING:
    from agentflow.cli.desk import Desk

NOT_KEPT = "It is gone: the store is :memory:, which ends with this command."


def finished_retry(row: Row) -> list[str]:
    """Return the line of a retry, for a terminal that isn't redrawn."""
    return [f"↻ {row.address}  attempt {row.tries + 1}: {one_line(row.failures[-1].message)}"] if row.failures else []


def who(by: object, door: object, *, elsewhere: bool = False) -> str:
    """Say who answered: `you`, `another terminal`, `ana (console)`.

    Args:
        by: whose answer it is.
        door: where it came in.
        elsewhere: it came while this terminal was busy with the same run: from another one.
    """
    if by in ("local", None):
        here = "another terminal" if elsewhere else "you"
        return {"cli": here, "event": "an event", "web": "the console"}.get(str(door), str(door or "somebody"))
    return f"{by} ({door})" if door else str(by)


def wait_head(view: WaitView) -> list[str]:
    """Return the lines above a form: what is asked."""
    lines = ["", *(f"  {line}" for line in view.message.splitlines())]
    tool = view.details.get("tool_name")
    if tool:
        lines.append(f"  tool: {tool}  input: {one_line(view.details.get('input'), 200)}")
    return [*lines, *(f"  {line}" for line in gate_lines(view)), ""]


def gate_lines(view: WaitView) -> list[str]:
    """Return what somebody is shown who is asked at a step's gate: what would be done, or what it has given."""
    gate, details = view.details.get("gate"), view.details
    if gate == "approve":
        once = "; runs at most once" if details.get("effect") == "at_most_once" else ""
        would = details.get("would")
        fields = [f"  {name}: {one_line(value, 200)}" for name, value in would.items()] if is_object(would) else []
        return ["", f"would run {details.get('type')}{once}", *fields]
    if gate == "tool":
        server, would = details.get("server"), details.get("would")
        fields = [f"  {name}: {one_line(value, 200)}" for name, value in would.items()] if is_object(would) else []
        return ["", f"would call {details.get('tool')}{f' of {server}' if server else ''}", *fields]
    if gate == "review":
        rounds = details.get("round")
        back = [f"sent back {rounds} time{'s' if rounds > 1 else ''}"] if isinstance(rounds, int) and rounds else []
        return ["", f"result: {one_line(details.get('result'), 1_000)}", *back]
    if gate == "interrupted":
        started = details.get("started_at")
        begun = f", begun {ago(started, time.time())}" if isinstance(started, int | float) else ""
        return ["", f"attempt {details.get('attempt')}{begun}, idempotency key {details.get('idempotency_key')}"]
    return []


def other_choices(schema: object) -> list[str]:
    """Return the line that names what else an answer may be, where its one required property is a choice."""
    first = next((part for part in parts_of(schema) if part.required), None)
    if first is None or not first.name or len(first.choices) < 2:
        return []
    return [f"choices  {first.name}: {', '.join(shown(choice.value) for choice in first.choices)}"]


def wait_command(desk: Desk, view: WaitView) -> str:
    """Return the command line that answers a wait."""
    if view.kind == "event":
        topic = str(view.details.get("topic", "TOPIC"))
        return desk.command(f"publish {quote(topic if topic == clean(topic) else '<TOPIC>')} --data '{{}}'")
    if view.connection is not None:
        return desk.command(f"waits open {desk.short(view.id)}")
    default = view.default if view.has_default else UNSET
    command = answer_command(desk.short(view.id), view.schema, default)
    return command + desk.project.flags


def open_lines(desk: Desk, views: Sequence[WaitView], *, terminal: bool, saved: bool) -> list[str]:
    """Return what is said of a run that only an answer can move on: nothing is wrong with it."""
    only_events = bool(views) and all(view.kind == "event" for view in views)
    what, when = ("an event", "it is published") if only_events else ("an answer", "somebody gives it")
    keeps = f" It is saved and goes on when {when}." if saved and desk.project.lasts else ""
    lines = [f"The run waits for {what}.{keeps}"]
    lines += [f'  step:  {view.step}  "{one_line(view.message, 100)}"' for view in views]
    if desk.project.lasts:
        lines += [f"  hint:  {wait_command(desk, view)}" for view in views]
    else:
        lines.append(f"  why:   {NOT_KEPT}")
    asked = next((view for view in views if view.kind in ("input", "tool", "operator")), None)
    if asked is not None and not terminal:
        lines.append(f"  hint:  give answers in advance with --answer {quote(asked.step)}=@answer.json")
    return lines
