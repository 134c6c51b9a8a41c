"""An agent's turns: each is a task of its own below its run, which tells what the agent was asked and has answered.

A new attempt is a new turn, as what has ended stays ended; one that an interruption has broken off is the same. While
the agent asks for something, its task says so; the wait for the answer is another one, as of any step.
"""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heapify
from typing import Any, Literal

from agentflow.data import decode, is_object, salvaged
from agentflow.engine.decided import state_of
from agentflow.engine.gate import MESSAGE
from agentflow.engine.plan import limits
from agentflow.engine.plan.effects import Interrupt, Withdraw
from agentflow.engine.plan.nodes import Node
from agentflow.engine.plan.state import RunState
from agentflow.engine.suspended import own_state
from agentflow.errors import StepError
from agentflow.steps.contract import TurnPlace
from agentflow.steps.unset import UNSET
from agentflow.store.rows import MessageRow, State, TaskRow, added

Role = Literal["user", "agent"]
STOPPED = "task_canceled"
"""Why a step is interrupted whose turn is cancelled."""


def begin(run: RunState, node: Node, fields: Mapping[str, Any]) -> None:
    """Open the task of a turn that is claimed; one that was broken off goes on in its own.

    Args:
        run: its run.
        node: the step.
        fields: what it asks the agent, computed; nothing where that has failed, as the turn will too.
    """
    turn = run.tree.env.new_id()
    node.decided = node.decided._replace(turn=turn)
    now, name = run.tree.env.moment, fields.get("agent")
    details = _kept(run, {"agent": name}) if isinstance(name, str) else None
    row = TaskRow(
        turn, run.key, node.n, node.address, "agent", "working", details=details, created_at=now, updated_at=now
    )
    change = run.changes()
    change.tasks = added(change.tasks, row)
    run.emit("task_opened", node.address, {"kind": "agent", "state": "working"}, task=turn, bumps=True)
    asked = [_part(fields[name]) for name in ("prompt", "input") if fields.get(name) is not None]
    if asked:
        _say(run, node, turn, "user", asked)


def change_state(run: RunState, node: Node, state: State) -> None:
    """Say what a turn's task is in now: it waits for an answer, or goes on."""
    turn = node.decided.turn
    if turn is None:
        return
    change, now = run.changes(), run.tree.env.moment
    row = TaskRow(turn, run.key, node.n, node.address, "agent", state, created_at=now, updated_at=now)
    change.tasks = added(change.tasks, row)
    run.emit("task_status", node.address, {"state": state}, task=turn, bumps=True)


def end(run: RunState, node: Node, state: State, message: str | None = None, raw: bytes | None = None) -> None:
    """End a turn's task, if the step has one that is open.

    Args:
        run: its run.
        node: the step.
        state: how it ends.
        message: why.
        raw: the step's result: what the agent has answered, unless it is what counts where nobody has answered it.
    """
    turn = node.decided.turn
    if turn is None:
        return
    parked = node.decided.parked
    if raw is not None and (parked is None or parked.arrived is not UNSET):
        value = decode(raw)
        text = value["output"] if is_object(value) and value.keys() == {"output"} else None
        _say(run, node, turn, "agent", [_part(text if isinstance(text, str) else value)])
    take_back(run, node, answered=state == "completed" and (parked is None or parked.arrived is not UNSET))
    node.decided = node.decided._replace(turn=None, stopping=None)
    change = run.changes()
    change.close_tasks = added(change.close_tasks, (turn, state, message))
    run.emit("task_closed", node.address, {"state": state}, task=turn, bumps=True)


def take_back(run: RunState, node: Node, *, answered: bool = False) -> None:
    """Have taken back what a step has begun elsewhere, unless that has answered it; a turn's goes with the turn."""
    withdraw, turn = node.program.spec.withdraw, node.decided.turn
    if withdraw is None or node.program.spec.turns != (turn is not None):
        return
    state = own_state(state_of(node.decided))
    if state is not None:
        run.tree.effects.append(Withdraw(turn, node.address, withdraw, state, answered))


def place(run: RunState, turn: str) -> TurnPlace:
    """Return where a turn stands: the message that has started the outermost run tells who had asked before."""
    row = run.tree.root.row
    raw = getattr(row, "start_message", None) or getattr(row, "message", None)
    message = salvaged(raw) if isinstance(raw, bytes) else None
    metadata: Any = message.get("metadata") if is_object(message) else None
    told = [each.get("depth") for each in metadata.values() if is_object(each)] if is_object(metadata) else []
    return TurnPlace(turn, run.tree.root.id, max((depth for depth in told if isinstance(depth, int)), default=0))


def stop(run: RunState, node: Node, message: str) -> None:
    """Have stopped who is at work on a turn that is cancelled: its step fails when that has stopped."""
    node.halting = STOPPED  # one that hasn't begun yet doesn't begin
    node.decided = node.decided._replace(stopping=message)
    run.save(node, memo=True)
    run.tree.effects.append(Interrupt(run.key, node.n, node, STOPPED))


def withdraw(run: RunState, node: Node) -> None:
    """Take a step that nobody is at work on out of what it waits for."""
    limits.give_up(run, node)
    run.ready = [item for item in run.ready if item[1] is not node]
    heapify(run.ready)
    run.held = [held for held in run.held if held is not node]


def _say(run: RunState, node: Node, turn: str, role: Role, parts: list[dict[str, Any]]) -> None:
    """Keep a message of the turn; one that can't be kept fails nothing."""
    name = run.tree.env.new_id()
    raw = _kept(run, {"messageId": name, "role": role, "parts": parts})
    if raw is None:
        return
    change = run.changes()
    change.messages = added(change.messages, MessageRow(turn, raw, run.tree.env.moment, name, role))
    run.emit("message", node.address, {"role": role}, task=turn, bumps=True)


def _kept(run: RunState, value: Any) -> bytes | None:
    try:
        return run.tree.env.gate.encoded(value, MESSAGE)
    except StepError:  # what isn't data, or too large, fails the attempt that uses it
        return None


def _part(value: Any) -> dict[str, Any]:
    return {"text": value} if isinstance(value, str) else {"data": value}
