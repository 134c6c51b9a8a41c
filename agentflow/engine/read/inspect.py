"""A run as people ask for it: each step's state, how long it took, and, where it isn't running, why. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agentflow.definition.durations import remaining
from agentflow.definition.models import Step, Workflow
from agentflow.definition.order import order
from agentflow.engine.counts import LOOPS, Items, count_items, satisfied, tolerated_by
from agentflow.engine.locating import locate
from agentflow.engine.read.slot_texts import waits_for
from agentflow.engine.read.spent import Limit, budget_of
from agentflow.engine.unreadable import read_failure
from agentflow.errors import Failure
from agentflow.store.rows import HELD, TERMINAL, RunRow, StepRow, TimerRow
from agentflow.store.slot_rows import SlotWait
from agentflow.store.views import TaskView
from agentflow.usage import NOTHING, Usage

SLOTS = 64
"""How many steps of a run may execute at once where neither its workflow nor a config says it."""


@dataclass(frozen=True, slots=True)
class StepView:
    """One step of a run."""

    address: str
    label: str
    type: str
    depth: int
    """0 for a top-level step."""
    state: str
    reason: str | None = None
    phase: str | None = None
    attempts: int = 0
    """How often it was started, crashes included."""
    tries: int = 0
    """How often it was tried as retry policies count."""
    started_at: float | None = None
    ended_at: float | None = None
    due: float | None = None
    """When its timer or its next attempt is due."""
    items: Items | None = None
    """Of a loop: its iterations."""
    result: bytes | None = None
    """JSON of its result; None where it has none of its own."""
    error: Failure | None = None
    answer: Any = None
    by: str | None = None
    door: str | None = None
    wait: str | None = None
    """Id of its open wait."""
    child: str | None = None
    """Id of the run that it started."""
    why: str | None = None
    """Why it isn't running: blocked by, slot, timer, wait, no host, not run."""
    damaged: bool = False
    """Whether its stored result is damaged: it isn't shown."""
    tolerated: int = 0
    """How many failures that were tolerated it stands for: its own, its hooks', those of its child run."""
    usage: Usage = NOTHING
    """What it has used, and the steps and runs inside of it."""

    @property
    def seconds(self) -> float | None:
        """How long it took, where it has ended."""
        if self.started_at is None or self.ended_at is None:
            return None
        return max(self.ended_at - self.started_at, 0.0)


@dataclass(frozen=True, slots=True)
class RunView:
    """A run and its steps."""

    run: RunRow
    steps: tuple[StepView, ...]
    """In order of the definition, nested steps behind the one around them."""
    failed_step: str | None = None
    """Address of the step that failed first."""
    budget: Sequence[Limit] = ()
    """How much of its budget it has used, while it hasn't ended."""

    def step(self, address: str) -> StepView | None:
        """Return one step."""
        return next((step for step in self.steps if step.address == address), None)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known besides a run's rows."""

    now: float
    tasks: Mapping[str, TaskView] = field(default_factory=dict[str, TaskView])
    """Its wait tasks by id, ended ones included."""
    timers: Sequence[TimerRow] = ()
    """Its timers."""
    hosted: bool | None = None
    """Whether a live process has the run; None: nobody knows."""
    slots: int = SLOTS
    """How many steps of the run may execute at once."""
    damaged: Collection[int] = ()
    """Numbers of the steps whose stored result is damaged."""
    keys: Mapping[int, SlotWait] = field(default_factory=dict[int, SlotWait])
    """What its steps wait for to be free, by their numbers."""
    usage: Mapping[str, Usage] = field(default_factory=dict[str, Usage])
    """What its steps have used, by address."""


def snapshot(workflow: Workflow, run: RunRow, rows: Sequence[StepRow], around: Surroundings) -> RunView:
    """Put a run together for people.

    Args:
        workflow: the definition that the run was started with.
        run: the run.
        rows: its steps that were reached.
        around: time, waits, timers, host.
    """
    return _Snapshot(workflow, run, rows, around).view()


class _Snapshot:
    def __init__(self, workflow: Workflow, run: RunRow, rows: Sequence[StepRow], around: Surroundings) -> None:
        self.workflow = workflow
        self.run = run
        self.around = around
        self.rows = {row.address: row for row in rows}
        self.inside: dict[str, list[StepRow]] = {}
        for row in rows:
            self.inside.setdefault(self._around(row.address), []).append(row)
        self.due = {
            timer.n: timer.due - HELD if run.paused else timer.due
            for timer in around.timers
            if timer.kind in ("timer", "backoff")
        }
        self.failure = read_failure(run.error)
        self.executing = sum(1 for row in rows if row.phase == "run" and row.state == "working")

    def _around(self, address: str) -> str:
        above = _up(address)
        while above and above not in self.rows:
            above = _up(above)
        return above

    def view(self) -> RunView:
        views: list[StepView] = []
        shown: set[str] = set()
        blockers = self._blockers()
        for step in self.workflow.steps:
            row = self.rows.get(step.id)
            views.append(self._step(step.id, step, row, 0, blockers.get(step.id, ())))
            shown.add(step.id)
            self._nested(step.id, 1, views, shown)
        for row in self.inside.get("", []):
            if row.address not in shown:
                views.append(self._step(row.address, locate(self.workflow, row.address), row, 0, ()))
                self._nested(row.address, 1, views, shown)
        failed = self.failure.step if self.failure else None
        return RunView(self.run, tuple(views), failed, budget_of(self.workflow, self.run, self.around.now))

    def _nested(self, address: str, depth: int, views: list[StepView], shown: set[str]) -> None:
        stack = [(row, depth) for row in reversed(self.inside.get(address, []))]
        while stack:
            row, level = stack.pop()
            if row.address in shown:
                continue
            shown.add(row.address)
            views.append(self._step(row.address, locate(self.workflow, row.address), row, level, ()))
            stack.extend((inner, level + 1) for inner in reversed(self.inside.get(row.address, [])))

    def _blockers(self) -> dict[str, list[str]]:
        """Return, per top step that wasn't reached, which steps it still waits for."""
        steps = self.workflow.steps
        default = self.workflow.execution or self.workflow.defaults.execution or "sequential"
        edges = order(steps, default)
        done = {n for n, step in enumerate(steps) if self._satisfied(self.rows.get(step.id))}
        waits: dict[int, list[int]] = {}
        barriers: dict[int, list[int]] = {}
        for node, successors in enumerate(edges.successors):
            sources = [node] if node < edges.size else barriers.get(node, [])
            for target in successors:
                (waits if target < edges.size else barriers).setdefault(target, []).extend(sources)
        for target, options in enumerate(edges.any_of):
            if options and not any(self._completed(self.rows.get(steps[n].id)) for n in options):
                waits.setdefault(target, []).extend(options)
        return {
            steps[target].id: [steps[n].id for n in dict.fromkeys(sources) if n not in done]
            for target, sources in waits.items()
        }

    @staticmethod
    def _completed(row: StepRow | None) -> bool:
        return row is not None and row.state == "completed"

    @staticmethod
    def _satisfied(row: StepRow | None) -> bool:
        return row is not None and satisfied(row)

    def _step(
        self, address: str, step: Step | None, row: StepRow | None, depth: int, blocked: Sequence[str]
    ) -> StepView:
        label = (step.label if step else None) or address
        kind = "for_each" if step and step.for_each and address == _bare(address) else step.type if step else ""
        if row is None:
            return StepView(address, label, kind, depth, "submitted", why=self._why_not(blocked))
        task = self.around.tasks.get(row.task) if row.task else None
        open_wait = row.task if row.state in ("input-required", "auth-required") else None
        return StepView(
            address=address,
            label=label,
            type=kind,
            depth=depth,
            state=row.state,
            reason=row.reason,
            phase=row.phase,
            attempts=row.attempt,
            tries=row.tries,
            started_at=row.started_at,
            ended_at=row.ended_at,
            due=self.due.get(row.n),
            items=self._items(row, step, kind),
            result=row.result,
            error=read_failure(row.error),
            answer=task.answer if task else None,
            by=task.by if task else None,
            door=task.door if task else None,
            wait=open_wait,
            child=row.task if task is None and kind == "workflow" else None,
            why=self._why(row, blocked, task),
            damaged=row.n in self.around.damaged,
            tolerated=tolerated_by(row),
            usage=self.around.usage.get(row.address, NOTHING),
        )

    def _items(self, row: StepRow, step: Step | None, kind: str) -> Items | None:
        if kind not in LOOPS:
            return None
        size = len(step.bodies["steps"].steps) if step is not None and "steps" in step.bodies else 1
        items = count_items(row, self._descendants(row.address), 1 if step is not None and step.for_each else size)
        return items if items.total or kind == "for_each" else None

    def _descendants(self, address: str) -> list[StepRow]:
        found: list[StepRow] = []
        stack = list(self.inside.get(address, []))
        while stack:
            row = stack.pop()
            found.append(row)
            stack.extend(self.inside.get(row.address, []))
        return found

    def _why_not(self, blocked: Sequence[str]) -> str:
        """Say why a step was never reached."""
        if self.run.state in ("failed", "rejected"):
            step = self.failure.step if self.failure else None
            return f"not run: {step.partition('/')[0]} failed" if step else "not run: the run failed"
        if self.run.state == "canceled":
            return "not run: the run was canceled"
        if self.run.state == "completed":
            return "not run: the run had ended"
        if blocked:
            more = f" and {len(blocked) - 3} more" if len(blocked) > 3 else ""
            return f"waits for {', '.join(blocked[:3])}{more}"
        if self.run.paused:
            return "the run is paused"
        if self.around.hosted is False:
            return "no process runs it"
        return "is about to start"

    def _why(self, row: StepRow, blocked: Sequence[str], task: TaskView | None) -> str | None:
        if row.state in TERMINAL:
            return None
        if row.n in self.around.keys:
            return waits_for(self.around.keys[row.n])
        due = self.due.get(row.n)
        if row.state in ("input-required", "auth-required"):
            return f"waits: {task.task.message}" if task is not None and task.task.message else "waits for an answer"
        if row.state == "submitted":
            return self._why_ready(row, blocked)
        if row.phase == "wait":
            return f"waits: {task.task.message}" if task is not None and task.task.message else "waits for an event"
        if row.phase in ("timer", "backoff"):
            what = "next attempt" if row.phase == "backoff" else "waits for a time"
            when = f" in {remaining(due - self.around.now)}" if due is not None else ""
            paused = "; the run is paused" if self.run.paused else ""
            return f"{what}{when}{paused}"
        if row.phase == "child":
            return "its child run goes on"
        if self.around.hosted is False:
            return "no process runs it"
        return None

    def _why_ready(self, row: StepRow, blocked: Sequence[str]) -> str:
        if self.run.state in TERMINAL or (blocked and row.attempt == 0):
            return self._why_not(blocked)
        if self.run.paused:
            return "the run is paused"
        if self.around.hosted is False:
            return "no process runs it"
        return f"waits for a free slot ({self.executing} of {self.around.slots} run)"


def _up(address: str) -> str:
    """Return the address one level up; empty at the top."""
    cut = max(address.rfind("/"), address.rfind("["), address.rfind("#"))
    return address[:cut] if cut > 0 else ""


def _bare(address: str) -> str:
    """Return an address without the iteration at its end."""
    return address[: address.rfind("[")] if address.endswith("]") else address
