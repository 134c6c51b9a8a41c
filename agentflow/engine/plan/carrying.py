"""Carries out commands in the transition that is being planned. One way for each, wherever it comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from heapq import heappush
from typing import Any

from agentflow.data import encode
from agentflow.engine.decided import canceling_of
from agentflow.engine.exchange import Chunk, Left, Stopped
from agentflow.engine.plan import (
    approving,
    granting,
    interrupting,
    keeping,
    limits,
    reducing,
    shared,
    steps,
    turns,
    waiting,
)
from agentflow.engine.plan.carried import Response, Worked
from agentflow.engine.plan.commands import (
    Answer,
    Begin,
    Begun,
    Cancel,
    CancelTurn,
    Command,
    Deadlocked,
    Delivered,
    FreeSlots,
    Granted,
    Note,
    Outcome,
    Pause,
    Release,
    Saved,
    Seed,
    TimerFired,
    Touch,
    Unknown,
)
from agentflow.engine.plan.faults import contain
from agentflow.engine.plan.nodes import Node, is_stopped
from agentflow.engine.plan.recovery import interrupted, requeue, turn_canceled
from agentflow.engine.plan.runs import cancel_run, pause_run
from agentflow.engine.plan.spent import spent
from agentflow.engine.plan.state import RunState, Tree
from agentflow.errors import Failure
from agentflow.store.rows import ArtifactRow, MessageRow, added
from agentflow.store.views import Inbox
from agentflow.usage import models_of

LATER = frozenset({"shutdown", "not_begun"})
"""Reasons with which a step stops that goes on later."""
_OWN = frozenset({*LATER, "timeout"})
"""Reasons with which a step stops though nothing has stopped it in its tree."""


def carry_out(tree: Tree, command: Command) -> bool | None:
    """Carry out a command. What it is for may be gone: then nothing happens; False where who waits has to know that."""
    return _WAYS[type(command)](tree, command)


def command_of(item: Inbox) -> Command:
    """Return the command that another door has committed."""
    if item.kind == "answer":
        return Answer(item.run, item.n, item.task, item.data, item.id)
    if item.kind == "cancel":
        return Cancel(item.run, dict(item.data or {}), item.id)
    if item.kind == "cancel_turn":
        return CancelTurn(item.run, dict(item.data or {}), item.id)
    if item.kind == "slot":
        return Granted(item.run, item.n, item.id)
    if item.kind in {"pause", "unpause"}:
        return Pause(item.run, item.kind == "pause", item.id)
    return Unknown(item.id)


def dealt_with(run: RunState, inbox: int | None) -> None:
    """Let the commit take a command out of the inbox."""
    if inbox is not None:
        change = run.changes()
        change.inbox_done = added(change.inbox_done, inbox)


# runs


def _touch(tree: Tree, command: Touch) -> None:
    """Nothing is to be done but what any transition does."""


def _begin(tree: Tree, command: Begin) -> None:
    if command.seed is not None:
        _take_in(tree.root, command.seed)
    tree.push("begin_run", tree.root)


def _take_in(run: RunState, seed: Seed) -> None:
    """Fill what a retry keeps into its run, before it begins."""
    keeping.adopt(run, seed.kept)
    rows = [row._replace(run=run.key) for row in seed.shared]
    shared.refold(run, rows, seed.folded)
    run.changes().shared = rows
    last = seed.response
    if last is not None and last.result is not None:
        run.last_response = Response(last.n, last.result)
        run.patch(last_response=last.n)


def _cancel(tree: Tree, command: Cancel) -> None:
    run = tree.runs.get(command.run)
    dealt_with(run or tree.root, command.inbox)
    if run is not None:
        cancel_run(run, canceling_of(command.data))


def _cancel_turn(tree: Tree, command: CancelTurn) -> None:
    run = tree.runs.get(command.run)
    dealt_with(run or tree.root, command.inbox)
    turn, by = command.data.get("task"), command.data.get("by")
    node = next((each for each in run.live.values() if each.decided.turn == turn), None) if run and turn else None
    if run is None or node is None or node.halting is not None:
        return
    message = f"the agent's turn was canceled{f' by {by}' if by else ''}"
    if node.phase == "run":
        turns.stop(run, node, message)
        return
    waiting.close_wait(run, node, "canceled")
    if node.phase == "timer":
        run.drop_timer(node, "timer")
    turns.withdraw(run, node)
    turn_canceled(run, node, message)


def _pause(tree: Tree, command: Pause) -> None:
    run = tree.runs.get(command.run)
    dealt_with(run or tree.root, command.inbox)
    if run is not None:
        pause_run(run, command.on)


def _unknown(tree: Tree, command: Unknown) -> None:
    dealt_with(tree.root, command.inbox)


def _release(tree: Tree, command: Release) -> None:
    for run in tree.runs.values():
        limits.withdraw(run)
    tree.root.changes().release = True


def _free_slots(tree: Tree, command: FreeSlots) -> None:
    """What was in progress in a container is half done: its slot is free when it has ended, so it goes on here."""
    for run in tree.runs.values():
        limits.withdraw(run)
    if not any(node.slot is not None for run in tree.runs.values() for node in run.live.values()):
        tree.broken_off = True  # nothing of it is claimed here
        tree.root.changes().release = True


# waits, slots, times


def _answer(tree: Tree, command: Answer) -> bool:
    run = tree.runs.get(command.run)
    dealt_with(run or tree.root, command.inbox)
    node = waiting.asking(run, command.n, command.task) if run is not None else None
    if run is None or node is None:
        return False
    if command.row is not None:
        change = tree.first_change()
        change.answers = added(change.answers, command.row)
    waiting.answered(run, node, command.data)
    return True


def _granted(tree: Tree, command: Granted) -> None:
    run = tree.runs.get(command.run)
    dealt_with(run or tree.root, command.inbox)
    if run is not None:
        granting.granted(run, command.n)


def _deadlocked(tree: Tree, command: Deadlocked) -> None:
    run = tree.runs.get(command.run)
    if run is not None:
        granting.deadlocked(run, command.n)


def _timer_fired(tree: Tree, command: TimerFired) -> None:
    run = tree.runs.get(command.run)
    if run is not None and not run.paused:
        waiting.fired(run, command.n, command.kind, command.entry)


# attempts


def _executing(tree: Tree, command: Begun | Saved | Delivered) -> tuple[RunState, Node] | None:
    run = tree.runs.get(command.run)
    node = run.live.get(command.n) if run is not None else None
    return None if run is None or node is None or node.phase != "run" else (run, node)


def _begun(tree: Tree, command: Begun) -> None:
    found = _executing(tree, command)
    if found is not None and found[1].decided.unbegun:
        run, node = found
        node.decided = node.decided._replace(unbegun=False)
        run.save(node, memo=True)


def _saved(tree: Tree, command: Saved) -> bool:
    found = _executing(tree, command)
    if found is None or found[1].attempt != command.attempt:
        return False
    run, node = found
    node.decided = node.decided._replace(saved=command.state)
    run.save(node, memo=True)
    return True


def _delivered(tree: Tree, command: Delivered) -> bool:
    found = _executing(tree, command)
    if found is None or found[1].attempt != command.attempt:
        return False
    run, node = found
    number = command.chunk.number
    if number:
        attempt, last = node.decided.delivered
        if attempt == node.attempt and number <= last:
            return True  # it came twice
        node.decided = node.decided._replace(delivered=(node.attempt, number))
        run.save(node, memo=True)
    _give(run, node, command.chunk)
    return True


def _note(tree: Tree, command: Note) -> None:
    if command.events is None:
        command.events = command.take()
    run = tree.runs.get(command.run)
    if run is not None:
        for kind, data in command.events:
            if kind == "step_usage":
                spent(run, command.address, command.of, models_of(data))
                continue
            run.emit(kind, command.address, data, bumps=kind == "step_progress")


def _outcome(tree: Tree, command: Outcome) -> None:
    run = tree.runs.get(command.run)
    node = run.live.get(command.n) if run is not None else None
    left = command.left
    if run is not None and left is not None and left.used is not None:  # also of an attempt that is over
        spent(run, command.address, (command.n, command.attempt, left.entry), left.used)
    if run is None or node is None or node.phase != "run" or node.attempt != command.attempt:
        return
    value = command.value
    node.lease = None
    if isinstance(value, Stopped) and _is_lost(run, node, value.reason):
        interrupted(run, node)
        return
    run.running -= 1
    node.phase = None
    again = False
    if node.entered == "reducing" and not (isinstance(value, Stopped) and value.reason in LATER):
        again = reducing.tries_again(node)
        reducing.end(node)
    if left is not None and not isinstance(value, Stopped | Failure):
        _leave(run, node, left)
    if isinstance(value, bytes):
        steps.complete(run, node, value)
    elif isinstance(value, Worked):
        _worked(run, node, value, again=again)
    elif isinstance(value, Stopped):
        _stopped(run, node, value.reason)
    elif isinstance(value, Failure):
        _failed(run, node, value)
    elif node.decided.stopping is not None:
        turn_canceled(run, node, node.decided.stopping)
    else:
        try:
            steps.apply(run, node, value)
        except BaseException as error:
            contain((run, node), error)


def _is_lost(run: RunState, node: Node, reason: str) -> bool:
    """Tell whether an attempt was given up though its step is to go on: who executed it took it for over, say."""
    if reason == "lost":
        return True
    return reason not in _OWN and node.halting is None and run.cancel is None and not is_stopped(node)


def _worked(run: RunState, node: Node, worked: Worked, *, again: bool) -> None:
    shared.take_in(run, worked)
    if again:
        run.tree.push("again", run, node)
    else:
        steps.complete(run, node, worked.raw, worked)


def _failed(run: RunState, node: Node, failure: Failure) -> None:
    if node.decided.stopping is not None:
        turn_canceled(run, node, node.decided.stopping)
    elif node.halting is not None:
        node.failure = failure
        steps.cancel(run, node, node.halting)
    elif not approving.asks_instead(run, node, failure):
        steps.fail(run, node, failure)


def _stopped(run: RunState, node: Node, reason: str) -> None:
    if node.decided.stopping is not None:
        turn_canceled(run, node, node.decided.stopping)
    elif reason == "not_begun" and node.halting is None:  # the commit that would have stopped it was refused
        _as_before(run, node)
    elif reason == "shutdown" and reducing.waits(node):
        reducing.queue(run, node)  # so that the next host goes on with it
        run.save(node)
    elif reason == "shutdown" and node.program.step.at_most_once:
        interrupting.over(run, node)
    elif reason == "shutdown":
        node.state = "working"
        node.entered = "crash"
        limits.give_back(run, node)
        run.save(node)
        heappush(run.ready, (node.n, node))  # so the run isn't taken for parked: the next host goes on with it
    elif reason == "timeout" and node.halting is None and (node.scope is None or node.scope.halted != "timeout"):
        seconds = node.program.timeout or 0.0
        message = f'step "{node.address}" ran longer than {seconds:g}s (attempt {node.tries})'
        hint = "raise its timeout" + ("" if node.program.on_error == "continue" else ", or set on_error: continue")
        steps.fail(run, node, Failure("AF-TIMEOUT", message, kind="timeout", hint=hint))
    else:
        steps.cancel(run, node, node.halting or reason)


def _as_before(run: RunState, node: Node) -> None:
    """Let a step wait for a slot again that was claimed and hasn't begun."""
    if not reducing.waits(node):
        node.state, node.entered = "working", "crash"
    run.save(node)
    requeue(run, node)


def _give(run: RunState, node: Node, chunk: Chunk) -> None:
    """Write a chunk of an artifact into the transition."""
    change, (name, append, last, raw, anew, _) = run.changes(), chunk
    turn = node.decided.turn
    row = ArtifactRow(run.key, name, append, raw, run.tree.env.moment, last, node.n, anew, turn)
    change.artifacts = added(change.artifacts, row)
    told = {"artifact_id": name, "append": append, "last_chunk": last}
    run.emit("artifact", node.address, {**told, "anew": True} if anew else told, task=turn, bumps=True)


def _leave(run: RunState, node: Node, left: Left) -> None:
    """Write what an attempt has left into the transition."""
    now, change, turn = run.tree.env.moment, run.changes(), node.decided.turn
    for chunk in left.artifacts:
        _give(run, node, chunk)
    for message in left.messages:
        change.messages = added(change.messages, MessageRow(turn, encode(message), now))
        run.emit("message", node.address, message, task=turn, bumps=True)
    if left.status is not None:
        run.patch(message=left.status)
        run.emit("run_status", node.address, {"state": run.state, "message": left.status}, bumps=True)


_WAYS: Mapping[type[Any], Callable[[Tree, Any], bool | None]] = {
    Answer: _answer,
    Begin: _begin,
    Begun: _begun,
    Cancel: _cancel,
    CancelTurn: _cancel_turn,
    Deadlocked: _deadlocked,
    FreeSlots: _free_slots,
    Granted: _granted,
    Note: _note,
    Outcome: _outcome,
    Pause: _pause,
    Release: _release,
    Saved: _saved,
    Delivered: _delivered,
    TimerFired: _timer_fired,
    Touch: _touch,
    Unknown: _unknown,
}
