"""The invariants that the property tests hold the engine to, each by its number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from agentflow.data import decode
from agentflow.store.rows import TERMINAL, Event, StepRow
from agentflow.usage import usage_of
from tests.engine.oracle import Oracle
from tests.engine.plans import KEYS, LEAVES, Plan, edges
from tests.engine.world import Look, World

ENDS = {"run_completed": "completed", "run_failed": "failed", "run_canceled": "canceled"}
_BEGAN = {"step_started", "step_waiting", "step_skipped", "step_canceled"}
_OVER = {"step_completed", "step_failed", "step_skipped", "step_canceled"}
"""Events after which a step doesn't go on, unless it is tried again."""


def invariant_1(looks: Sequence[Look]) -> None:
    """Every run reaches its end, and leaves nothing that somebody would wait for."""
    for look in looks:
        assert look.row.state in TERMINAL, f"invariant 1: a run stays {look.row.state}"
        assert look.row.holder is None, "invariant 1: an ended run is held"
        open_steps = [row.address for row in look.steps if row.state not in {*TERMINAL, "submitted"}]
        assert not open_steps, f"invariant 1: steps go on in an ended run: {open_steps}"
        assert not [view for view in look.waits if view.task.state not in TERMINAL], "invariant 1: a wait stays open"
        assert not look.timers, f"invariant 1: timers of an ended run: {look.timers}"


def invariant_2(looks: Sequence[Look]) -> None:
    """Rows, events and the run's state were committed together: none knows what another doesn't. True at all times."""
    for look in looks:
        seqs = [event.seq for event in look.events]
        assert seqs == list(range(1, look.row.seq + 1)), "invariant 2: the log has gaps, or the run's row another end"
        said = {event.step: event for event in look.events if event.type in _BEGAN | _OVER | {"step_retrying"}}
        for row in look.steps:
            last = said[row.address].type if row.address in said else None
            wanted = _last_event(row)
            assert wanted is None or last in wanted, f"invariant 2: {row.address} is {row.state}, its last event {last}"
        ends = [ENDS[event.type] for event in look.events if event.type in ENDS]
        state = look.row.state
        assert ends == ([state] if state in TERMINAL else []), f"invariant 2: the run is {state}, its log tells {ends}"


def _last_event(row: StepRow) -> set[str] | None:
    if row.state == "completed":
        return {"step_completed"}
    if row.state == "failed":
        return {"step_failed"}
    if row.phase == "wait":
        return {"step_waiting"}
    if row.phase == "backoff":
        return {"step_retrying"}
    return {"step_started"} if row.phase == "run" else None


def invariant_3(world: World, looks: Sequence[Look]) -> None:
    """What a step or a person was told is stored: claims before calls, answers, times to wake at. True at all times."""
    rows = {(look.row.id, row.address): row for look in looks for row in look.steps}
    for run, address, attempt in world.lives[-1].begun:
        stored = rows[run, address].attempt
        assert stored >= attempt, f"invariant 3: {address} began its attempt {attempt}, and {stored} were stored"
    for look in looks:
        timers = {(timer.n, timer.kind) for timer in look.timers}
        for row in look.steps:
            kind = row.phase if row.phase in {"timer", "backoff"} else None
            if kind is not None and row.state not in TERMINAL:
                assert (row.n, kind) in timers, f"invariant 3: nothing will wake {row.address} ({row.phase})"
        open_ = {view.task.n for view in look.waits if view.task.state not in TERMINAL}
        waiting = {row.n for row in look.steps if row.phase == "wait"}
        assert open_ <= waiting, "invariant 3: a wait is open, and its step doesn't wait"


def within_limits(world: World, looks: Sequence[Look]) -> None:
    """Of the top-level steps with one key never more are at work than its limit allows."""
    keyed = {plan.id for plan in world.plan.body if plan.key is not None and plan.kind not in {*LEAVES} - {"call"}}
    at_work: set[str] = set()
    for event in looks[0].events:
        if event.step not in keyed:
            continue
        if event.type == "step_started":
            at_work.add(event.step)
        elif event.type in _OVER | {"step_retrying", "step_waiting"}:  # who asks in its middle gives its slot back
            at_work.discard(event.step)
        assert len(at_work) <= KEYS[0], f"at work at once with one key: {sorted(at_work)}"


def invariant_10(looks: Sequence[Look]) -> None:
    """After a cancel nothing starts but compensation and `finally`, and what was canceled stays so."""
    for look in looks:
        cancels = (event for event in look.events if event.type == "run_status" and event.data.get("canceling"))
        at = next((event.seq for event in cancels), None)
        if at is None:
            continue
        over = any((event.step or "").startswith("#") for event in look.events if event.seq < at)
        kept = over or look.row.state == "canceled"  # once its hooks run, what came of it is settled
        assert kept, f"invariant 10: the canceled run is {look.row.state}"
        begins = [event.step or "" for event in look.events if event.type == "step_started" and event.seq > at]
        late = [step for step in begins if "#" not in step]
        assert not late, f"invariant 10: started after the cancel: {late}"


def invariant_10_paused(world: World, looks: Sequence[Look]) -> None:
    """While a run is paused none of its calls starts."""
    calls = {(run, address) for life in world.lives for run, address, _ in life.begun}
    for look in looks:
        paused = False
        for event in look.events:
            if event.type == "run_status" and "paused" in event.data:
                paused = event.data["paused"]
            started = event.type == "step_started" and (look.row.id, event.step) in calls
            assert not (paused and started), f"invariant 10: {event.step} started in a paused run"


def invariant_11(world: World, looks: Sequence[Look]) -> None:
    """An answer that was taken is the one that counts, and it is there as plain data."""
    waits = {view.task.id: view for look in looks for view in look.waits}
    for wait, answer in world.acked.items():
        view = waits[wait]
        given = getattr(answer, "value", None)
        kept: dict[str, Any] = view.answer or {}
        assert view.task.state in TERMINAL, "invariant 11: an answered wait is open"
        assert kept, "invariant 11: an answer was taken and is lost"
        assert kept.get("value") == given, f"invariant 11: {given} was taken, {kept} is stored"
        assert view.by == "local", "invariant 11: nobody knows who answered"
    for view in waits.values():
        if view.answer is not None and "value" in view.answer:
            offered = [getattr(answer, "value", None) for answer in world.offered.get(view.task.id, ())]
            known = view.task.kind == "event" or view.answer["value"] in offered
            assert known, f"invariant 11: nobody answered {view.answer}"


def invariant_13(looks: Sequence[Look]) -> None:
    """What a saga undoes, it undoes in reverse order of completion, inner scopes first, each with its reason."""
    for look in looks:
        rows = {row.address: row for row in look.steps}
        for event in look.events:
            if event.type == "compensating":
                targets: list[str] = event.data["steps"]
                over = {e.step: e.seq for e in look.events if e.type in _OVER and e.seq < event.seq}
                for later, earlier in pairwise(targets):
                    assert _undone_before(later, earlier, over), f"invariant 13: {later} is undone before {earlier}"
        for row in look.steps:
            if "#compensate" in row.address and row.state == "completed":
                target = rows[row.address[: row.address.index("#compensate")]]
                told = target.reason in {"compensated", "compensation_failed"} or target.state == "submitted"
                assert told, f"invariant 13: {target.address} was undone, and its reason is {target.reason}"


def _undone_before(first: str, second: str, over: dict[str | None, int]) -> bool:
    """Tell whether two steps are undone in the right order, by when they, or what holds them, ended."""
    if first.startswith((f"{second}/", f"{second}[")):
        return True
    left, right = _parts(first), _parts(second)
    depth = next(n for n, (a, b) in enumerate(zip(left, right, strict=False)) if a != b)
    a, b = left[depth], right[depth]
    if a.endswith("]") and b.endswith("]") and a.rpartition("[")[0] == b.rpartition("[")[0]:
        return int(a.rpartition("[")[2][:-1]) > int(b.rpartition("[")[2][:-1])
    return over.get(a, 0) > over.get(b, 0)


def _parts(address: str) -> list[str]:
    """Return an address and those of all that holds it, the outermost first: `a`, `a[1]`, `a[1]/b`."""
    cuts = [n for n, sign in enumerate(address) if sign in "/["]
    return [address[:cut] for cut in cuts] + [address]


def invariant_23(looks: Sequence[Look]) -> None:
    """Whatever a step raises is its failure: none of it is a fault of the engine, and none is swallowed."""
    for look in looks:
        errors = [row.error for row in look.steps if row.error] + ([look.row.error] if look.row.error else [])
        for error in errors:
            found = decode(error)
            assert found["code"] not in {"AF-DEFECT", "AF-RUN-STUCK"}, f"invariant 23: {found}"
        for row in look.steps:
            assert row.state != "failed" or row.error, f"invariant 23: {row.address} failed and nobody knows why"


def agrees(world: World, looks: Sequence[Look]) -> None:
    """The end is the oracle's: states, reasons, results, tries, attempts, completions, output."""
    oracle = Oracle(answers(looks))
    end = oracle.flow(world.plan)
    rows = reached(looks)
    assert looks[0].row.state == ("completed" if end.good else "failed")
    states = {path: (row.state, row.reason) for path, row in rows.items()}
    assert dict(states.items() - oracle.states.items()) == dict(oracle.states.items() - states.items())
    leaves = {
        path: value for path, value in oracle.results.items() if oracle.plans[path].kind in LEAVES[:4] + LEAVES[5:]
    }
    results = {path: decode(row.result) for path, row in rows.items() if row.result and path in leaves}
    assert results == {path: value for path, value in leaves.items() if oracle.plans[path].kind != "each"}
    tried = {path: row.tries for path, row in rows.items() if path in oracle.tries}
    assert tried == oracle.tries
    lost = Counter((run, address) for run, address, _ in world.lost)
    ids = {look.path: look.row.id for look in newest(looks)}
    for path, row in rows.items():
        if path in oracle.tries:
            at = path[: path.rfind(">") + 1]
            assert row.attempt == oracle.attempts[path] + lost[ids[at], row.address], f"attempts of {path}"
    ended = completions(looks)
    assert ended == +oracle.completions


def answers(looks: Sequence[Look]) -> dict[str, Any]:
    """Return what people answered last, by path."""
    return {path: decode(row.result) for path, row in reached(looks).items() if row.result is not None}


def newest(looks: Sequence[Look]) -> list[Look]:
    """Return the root run and the newest child run of each step that was reached in the end."""
    found: dict[str, Look] = {}
    for look in looks:
        parent = look.path[:-1]
        at = parent[: parent.rfind(">") + 1]
        holder = found.get(at)
        known = not look.path or (
            holder is not None
            and any(row.address == parent[len(at) :] and row.state != "submitted" for row in holder.steps)
        )
        if known:
            found.setdefault(look.path, look)
    return list(found.values())


def reached(looks: Sequence[Look]) -> dict[str, StepRow]:
    """Return the rows of the steps that were reached in the last try of all that encloses them, by path."""
    return {look.path + row.address: row for look in newest(looks) for row in look.steps if row.state != "submitted"}


def completions(looks: Sequence[Look]) -> Counter[str]:
    """Return how often each step was completed, by path."""
    return Counter(
        look.path + (event.step or "")
        for look in newest(looks)
        for event in look.events
        if event.type == "step_completed"
    )


def in_order(plans: Sequence[Plan], events: Sequence[Event], prefix: str = "") -> None:
    """No step of a scope begins before what it waits for has ended."""
    began: dict[str, int] = {}
    over: dict[str, int] = {}
    for event in events:
        if event.step is not None and event.type in _BEGAN:
            began.setdefault(event.step, event.seq)
        if event.step is not None and event.type in _OVER:
            over.setdefault(event.step, event.seq)
    for name, wanted in edges(plans).items():
        for other in wanted:
            if prefix + name in began:
                assert over[prefix + other] <= began[prefix + name], (prefix, other, name)
    for plan in plans:
        if plan.kind in {"sequence", "parallel", "saga"}:
            in_order(plan.body, events, f"{prefix}{plan.id}/")


def sums_are_what_was_told(world: World, looks: Sequence[Look]) -> None:
    """What attempts have told is stored once, and the sums of runs are those of it, to the last digit."""
    stored = {(row.run_id, row.step, row.attempt): row.usage for row in world.usage}
    assert len(stored) == len(world.usage), "usage: an attempt counts twice"
    for one, used in stored.items():
        assert (used.calls, used.parts) == (1, world.spent[one]), (
            f"usage: {one} has told {world.spent[one]}, not {used}"
        )
    missing = [one for one in world.spent if one not in stored and one not in world.lost]
    assert not missing, f"usage: of attempts that have ended nothing is stored: {missing}"
    below: Counter[str] = Counter()
    parents = {look.row.id: look.row.parent_id for look in looks}
    for (run, _, _), used in stored.items():
        above: str | None = run
        while above is not None:
            below[above] += used.parts
            above = parents[above]
    for look in looks:
        told = usage_of(decode(look.row.usage)).parts if look.row.usage is not None else 0
        assert told == below[look.row.id], f"usage: the run's sum is {told}, of its steps {below[look.row.id]}"
