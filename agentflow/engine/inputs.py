"""What happens to held trees: each input is applied by the next flush, on a tree that is held by then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappush
from typing import TYPE_CHECKING, Any

import anyio

from agentflow.data import encode
from agentflow.engine.carried import Worked
from agentflow.engine.execute import Stopped
from agentflow.engine.marks import UNBEGUN
from agentflow.engine.plan import granting, limits, reducing, shared, steps, waiting
from agentflow.engine.plan.faults import contain
from agentflow.engine.plan.recovery import interrupted_once
from agentflow.engine.plan.runs import cancel_run, pause_run
from agentflow.engine.state import Node, RunState, Tree
from agentflow.errors import Failure
from agentflow.store.common import passed
from agentflow.store.rows import (
    AnswerRow,
    Inbox,
    added,
)

if TYPE_CHECKING:
    from agentflow.engine.context import StepContext


class Done:
    """Somebody waits until an input has been committed."""

    __slots__ = ("error", "event", "held", "inbox")

    def __init__(self, event: anyio.Event, inbox: int | None = None) -> None:
        """Make one that is not done, told by an event; `inbox` is the id of the command that it carries out."""
        self.inbox = inbox
        self.event = event
        self.error: BaseException | None = None
        self.held = True
        """False: the tree was held by somebody else, and nothing was done."""

    async def wait(self) -> None:
        """Return when it is committed; raises what kept it from being so."""
        await self.event.wait()
        if self.error is not None:
            raise self.error


@dataclass(slots=True)
class Input:
    """Something to apply to a tree."""

    root: int
    apply: Callable[[Tree], None]
    done: Done | None = None


@dataclass(slots=True)
class Finished:
    """A worker is through with a step."""

    run: RunState
    node: Node
    attempt: int
    outcome: Any
    context: StepContext | None

    @property
    def root(self) -> int:
        """Key of the tree."""
        return self.run.tree.key

    @property
    def done(self) -> Done | None:
        """Nobody waits for it."""
        return None

    def apply(self, tree: Tree) -> None:
        """Carry out the outcome."""
        run = tree.runs.get(self.run.key)
        node = run.live.get(self.node.n) if run is not None else None
        if run is None or node is None or node.phase != "run" or node.attempt != self.attempt:
            return
        run.running -= 1
        node.lease = None
        node.phase = None
        outcome = self.outcome
        again = False
        if reducing.waits(node) and not (isinstance(outcome, Stopped) and outcome.reason == "shutdown"):
            again = reducing.tries_again(node)
            reducing.end(node)
        if isinstance(outcome, bytes | Worked):
            if self.context is not None and self.context.left:
                self.context.leave(run, node)
            if isinstance(outcome, bytes):
                steps.complete(run, node, outcome)
                return
            shared.take_in(run, outcome)
            if again:
                run.tree.push("again", run, node)
            else:
                steps.complete(run, node, outcome.raw, outcome)
        elif isinstance(outcome, Stopped):
            _stopped(run, node, outcome.reason)
        elif isinstance(outcome, Failure):
            if node.halting is not None:
                node.failure = outcome
                steps.cancel(run, node, node.halting)
            else:
                steps.fail(run, node, outcome)
        else:
            if self.context is not None and self.context.left:
                self.context.leave(run, node)
            try:
                steps.apply(run, node, outcome)
            except BaseException as error:
                contain((run, node), error)


def _stopped(run: RunState, node: Node, reason: str) -> None:
    if reason == "shutdown" and reducing.waits(node):
        reducing.queue(run, node)  # so that the next host goes on with it
        run.save(node)
    elif reason == "shutdown" and node.program.step.at_most_once:
        steps.fail(run, node, interrupted_once(node))
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


def saved(run: RunState, node: Node, state: Any) -> Callable[[Tree], None]:
    """Return what stores the state of a running step."""
    encode(state)

    def apply(tree: Tree) -> None:
        held = tree.runs.get(run.key)
        current = held.live.get(node.n) if held is not None else None
        if held is not None and current is not None and current.phase == "run":
            current.memo = {**(current.memo or {}), "saved": state}
            held.save(current, memo=True)

    return apply


def begun(run: RunState, node: Node) -> Callable[[Tree], None]:
    """Return what notes that a step has begun which its host's death had broken off: the next one counts again."""

    def apply(tree: Tree) -> None:
        held = tree.runs.get(run.key)
        current = held.live.get(node.n) if held is not None else None
        if held is not None and current is not None and current.phase == "run" and current.memo is not None:
            current.memo = {name: value for name, value in current.memo.items() if name != UNBEGUN}
            held.save(current, memo=True)

    return apply


def granted(run: int, n: int) -> Callable[[Tree], None]:
    """Return what lets a step go on that has got its slot."""

    def apply(tree: Tree) -> None:
        held = tree.runs.get(run)
        if held is not None:
            granting.granted(held, n)

    return apply


def deadlocked(run: int, n: int) -> Callable[[Tree], None]:
    """Return what fails a step that would wait for its slot for ever."""

    def apply(tree: Tree) -> None:
        held = tree.runs.get(run)
        if held is not None:
            granting.deadlocked(held, n)

    return apply


def command(item: Inbox) -> Callable[[Tree], None]:
    """Return what carries out a command that another door committed."""

    def apply(tree: Tree) -> None:
        run = tree.runs.get(item.run)
        if run is None:
            change = tree.root.changes()
            change.inbox_done = added(change.inbox_done, item.id)
        elif item.kind == "answer":
            waiting.answered(run, item.n, item.task, item.data, item.id)
        elif item.kind == "cancel":
            cancel_run(run, dict(item.data or {}), item.id)
        elif item.kind == "slot":
            granted(run.key, item.n)(tree)
            change = run.changes()
            change.inbox_done = added(change.inbox_done, item.id)
        elif item.kind in {"pause", "unpause"}:
            pause_run(run, item.kind == "pause", item.id)
        else:
            change = run.changes()
            change.inbox_done = added(change.inbox_done, item.id)

    return apply


class Answering:
    """Carries out an answer in the transition that takes the tree, and has the store keep it there."""

    __slots__ = ("answer", "done")

    def __init__(self, answer: AnswerRow) -> None:
        """Make what carries out an answer."""
        self.answer = answer
        self.done = False
        """Whether it could be carried out. Else somebody got the tree before, or the wait isn't open any more."""

    def __call__(self, tree: Tree) -> None:
        """Carry it out, if the tree is just being taken."""
        row = self.answer
        run = tree.runs.get(row.run)
        if tree.taking and run is not None and row.task in run.waits:
            change = tree.root.changes()
            change.answers = added(change.answers, row)
            waiting.answered(run, row.n, row.task, passed(row))
            self.done = True


def fired(run: int, n: int, kind: str, entry: int) -> Callable[[Tree], None]:
    """Return what carries out a timer that is due."""

    def apply(tree: Tree) -> None:
        held = tree.runs.get(run)
        if held is not None and not held.paused:
            waiting.fired(held, n, kind, entry)

    return apply
