"""Holds back steps that would use more than a budget allows, and asks an operator.

A step is let in when what was used, what is reserved for those at work and what it is expected to use stay within each
budget above it. Who would go past one asks; who would only together with others waits until these are through.
"""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heapify, heappop, heappush
from typing import Any

from agentflow.data import is_object
from agentflow.engine.plan import halting, limits, steps, waiting
from agentflow.engine.plan.budget_state import (
    KINDS,
    begin,
    budgets_over,
    ended,
    limit_of,
    original,
    raise_to,
    stop,
)
from agentflow.engine.plan.budget_texts import Over, amount_of, data_of, question, stopped
from agentflow.engine.plan.frame import RUN_PARALLEL
from agentflow.engine.plan.nodes import Node, Scope
from agentflow.engine.plan.spending import Spending
from agentflow.engine.plan.state import RunState, Tree
from agentflow.engine.plan.treasury import Reserve, Treasury
from agentflow.engine.plan.weighing import Sums, add, concerned, expected_of, judged, release, sums_of
from agentflow.errors import Failure
from agentflow.steps.unset import UNSET
from agentflow.store.rows import added

_CLEANING = frozenset({"compensate", "on_failure", "finally"})
"""Stages whose steps no budget holds back."""
_NO_USAGE = Spending()


def sift(tree: Tree, treasury: Treasury) -> None:
    """Let in the steps that may begin, hold the others back, and ask where nobody else can make room."""
    _settle(tree, treasury)
    for run in list(tree.runs.values()):
        if not run.ended:
            begin(run)
            _ask_no_more(run, treasury)
            _collect(run, treasury)
    sums = sums_of(treasury)
    for run in list(tree.runs.values()):
        if treasury.held.get(run.key) and not run.paused and not run.ended:
            _let_in(run, treasury, sums)
    _hand_back(treasury)


def look_around(tree: Tree, treasury: Treasury) -> None:
    """Find the attempts that are at work, or in the middle of it, in a tree that was read."""
    for run in tree.runs.values():
        for node in run.live.values():
            if node.program.is_leaf and node.attempt and _in_the_middle(node):
                expected = expected_of(run, node, treasury)
                treasury.admitted[run.key, node.n] = Reserve(run, node, node.attempt, expected)


def _in_the_middle(node: Node) -> bool:
    """Tell whether an attempt of a step has begun and isn't over."""
    if node.phase == "run":
        return True
    parked = node.decided.parked
    if node.decided.asked is not None or parked is None or parked.then not in {"enter", "answer"}:
        return node.phase is None and node.entered == "reducing"
    return node.phase in {"wait", "timer"} or (node.phase is None and node.entered == "park")


def _settle(tree: Tree, treasury: Treasury) -> None:
    """Give back what was reserved for attempts that are over."""
    spending = tree.spending or _NO_USAGE
    for key, reserve in list(treasury.admitted.items()):
        run = tree.runs.get(key[0])
        node = run.live.get(key[1]) if run is not None else None
        if node is not None and node.attempt == reserve.attempt - 1:  # it hasn't begun
            if node.phase is not None or reserve.run.paused:  # nor does it before something has come: it is asked anew
                del treasury.admitted[key]
            continue
        if node is None or node.attempt != reserve.attempt or not _in_the_middle(node):
            del treasury.admitted[key]
            if not reserve.has_begun:
                continue
            ended(reserve.run)
            if not reserve.expected.known and not spending.of_attempt(*key, reserve.attempt):
                treasury.silent.add(reserve.expected.step)


def _collect(run: RunState, treasury: Treasury) -> None:
    """Take the steps that nobody has looked at out of those that are ready."""
    if not run.ready:
        return
    for _, node in run.ready:
        if (run.key, node.n) not in treasury.admitted and not _goes_on(node) and _cleans_up(run, node):
            treasury.admitted[run.key, node.n] = Reserve(run, node, node.attempt + 1, expected_of(run, node, treasury))
    kept = [item for item in run.ready if (run.key, item[1].n) in treasury.admitted or _is_free(run, item[1])]
    if len(kept) < len(run.ready):
        known = set(map(id, (item[1] for item in kept)))
        held = treasury.held.setdefault(run.key, [])
        for item in run.ready:
            if id(item[1]) not in known:
                heappush(held, item)
                if item[1].slot is not None:
                    treasury.holding.append((run, item[1]))
        run.ready = kept
        heapify(run.ready)


def _is_free(run: RunState, node: Node) -> bool:
    """Tell whether no budget is asked for a step: it goes on, or uses nothing that one limits."""
    return _goes_on(node) or not concerned(run, node)


def _goes_on(node: Node) -> bool:
    return node.entered in {"park", "reducing"}


def _cleans_up(run: RunState, node: Node) -> bool:
    current: RunState | None = run
    inner: Node | None = node
    while current is not None and inner is not None:
        scope: Scope | None = inner.scope
        while scope is not None:
            if scope.stage in _CLEANING:
                return True
            scope = scope.owner.scope
        current, inner = current.parent_run, current.parent
    return False


def _let_in(run: RunState, treasury: Treasury, sums: dict[int, Sums]) -> None:
    held = treasury.held[run.key]
    most = run.program.workflow.max_parallel or RUN_PARALLEL
    while held and len(run.ready) < most:
        node = held[0][1]
        if node.settled or run.live.get(node.n) is not node or node.phase is not None:
            heappop(held)
            continue
        expected = expected_of(run, node, treasury)
        found = judged(run, node, expected, treasury, sums)
        if found == "stuck":
            release(treasury)
            sums.clear()
            sums.update(sums_of(treasury))
            continue
        if found is not None:
            if found != "busy" and not any(each.decided.asked for each in run.waits.values()):
                heappop(held)
                _ask(run, node, found)
            return
        heappush(run.ready, heappop(held))
        reserve = treasury.admitted[run.key, node.n] = Reserve(run, node, node.attempt + 1, expected)
        add(sums, reserve)


def _hand_back(treasury: Treasury) -> None:
    """Give back the slots of steps that are held back: who is waited for may need them."""
    holding, treasury.holding = treasury.holding, []
    for run, node in holding:
        if node.slot is not None and run.live.get(node.n) is node and (run.key, node.n) not in treasury.admitted:
            limits.give_back(run, node)
            node.demand = steps.demand_of(run, node)


# asking


def _ask(run: RunState, node: Node, over: Over) -> None:
    how = "crash" if node.entered == "crash" else "anew"
    node.decided = node.decided._replace(asked={"how": how, "of": over.holder.id, "what": over.kind})
    waiting.open_wait(run, node, question(over, node.address, run.tree.env.currency))


def _go_on(run: RunState, node: Node) -> None:
    """Take a step back to where it was before it asked."""
    asked, parked = node.decided.asked or {}, node.decided.parked
    again = asked.get("how") == "crash"
    if parked is not None and parked.then == "result" and parked.arrived is UNSET:
        parked = None  # it was made by the question
    node.decided = node.decided._replace(asked=None, parked=parked, stage=node.decided.stage if again else "due")
    node.entered = "crash" if again else None
    node.phase, node.state, node.task = None, "working", None


def _ask_no_more(run: RunState, treasury: Treasury) -> None:
    """Close questions that somebody has answered by raising a budget elsewhere in the tree."""
    for node in [each for each in run.waits.values() if each.decided.asked is not None]:
        sums = sums_of(treasury)
        if not isinstance(judged(run, node, expected_of(run, node, treasury), treasury, sums), Over):
            waiting.close_wait(run, node, "it needn't be asked any more")
            _go_on(run, node)
            run.save(node, memo=True)
            steps.queue(run, node)


def answered(run: RunState, node: Node, answer: Mapping[str, Any]) -> None:
    """Carry out what an operator says: raise the budget, or stop the run."""
    asked, value = node.decided.asked or {}, answer.get("value")
    found = next(((holder, each) for holder, each in budgets_over(run) if holder.id == asked.get("of")), None)
    _go_on(run, node)
    if found is None or (is_object(value) and value.get("action") == "raise"):
        if found is not None:
            _raise(*found, str(asked.get("what")), value)
        run.save(node, memo=True)
        steps.queue(run, node)
        return
    holder, kind = found[0], str(asked.get("what"))
    failure = stopped(holder, kind, node.address, str(answer.get("decline") or ""), run.tree.env.currency)
    failure = run.tree.env.gate.failure(failure)
    scope = _outermost(run, node, holder)
    if scope is None or scope.stage != "body":  # a hook's failure is reported, and changes nothing
        steps.fail(run, node, failure)
    else:
        run.save(node, memo=True)
        stop(holder, failure)
        holder.failures = added(holder.failures, failure)
        _halt_hooks(run, node)
        halting.halt_scope(holder, scope, "sibling_failed", interrupt=False)
        run.tree.push("scope_failed", holder, scope, failure)
        _halt_below(run, node, holder, failure)


def _raise(holder: RunState, budget: Any, what: str, value: Any) -> None:
    amounts: dict[str, float] = {}
    for kind in KINDS:
        amount = amount_of(kind, value.get(kind)) if is_object(value) else None
        if amount is not None and original(budget, kind) is not None:
            amounts[kind] = amount
    if not amounts:  # by as much again
        amounts[what] = (limit_of(holder, budget, what) or 0) + (original(budget, what) or 0)
    raise_to(holder, amounts)
    holder.emit("budget_raised", None, {kind: data_of(kind, limit) for kind, limit in amounts.items()})


def _halt_below(run: RunState, node: Node, holder: RunState, failure: Failure) -> None:
    """Stop the runs between a step and the run that is stopped: one with others at work isn't canceled by that."""
    current: RunState | None = run
    while current is not None and current is not holder:
        scope = _outermost(run, node, current)
        if scope is not None:
            halting.halt_scope(current, scope, "sibling_failed", interrupt=False)
            run.tree.push("scope_failed", current, scope, failure)
        current = current.parent_run


def _halt_hooks(run: RunState, node: Node) -> None:
    """Stop hooks that a step is in: they would go on though what is around them is stopped."""
    current: RunState | None = run
    inner: Node | None = node
    while current is not None and inner is not None:
        scope = inner.scope
        while scope is not None:
            if scope.stage == "on_success":
                halting.halt_hooks(current, scope.owner, "sibling_failed")
            scope = scope.owner.scope
        current, inner = current.parent_run, current.parent


def _outermost(run: RunState, node: Node, holder: RunState) -> Scope | None:
    """Return the scope of a run that a step is in, whatever is in between."""
    current: RunState | None = run
    inner: Node | None = node
    while current is not None and inner is not None:
        scope = inner.scope
        while scope is not None and not scope.owner.program.is_root:
            scope = scope.owner.scope
        if current is holder:
            return scope
        current, inner = current.parent_run, current.parent
    return None
