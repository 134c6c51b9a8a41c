"""What became of a run, with assertions that say what is wrong and show every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from agentflow.data import decode
from agentflow.engine import Engine, Event, Run, WaitView
from agentflow.engine.read.inspect import StepView, Surroundings, snapshot
from agentflow.errors import Failure
from agentflow.steps.unset import UNSET

_MOST_EVENTS = 100_000


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """One step of a run."""

    address: str
    """Such as `send`, `box/child`, `fetch[3]/get`."""
    state: str
    """`submitted` where it was never reached."""
    reason: str | None
    """Why it has this state: `condition`, `branch`, `tolerated`, …"""
    attempts: int
    """How often it was tried."""
    result: Any
    gave: bool
    """Whether it has a result; it may be None."""
    error: Failure | None
    why: str | None
    """Why it isn't running, if it isn't."""
    _line: str
    """The run, in messages."""

    def completed(self, result: Any = UNSET) -> StepOutcome:
        """Assert that it completed, and with which result."""
        self._is("completed")
        if result is not UNSET and self.result != result:
            raise AssertionError(f'step "{self.address}" gave {self.result!r}, not {result!r}\n{self._line}')
        return self

    def failed(self, code: str | None = None, match: str | None = None) -> StepOutcome:
        """Assert that it failed: with an error of this code, and a message with this text in it."""
        self._is("failed")
        _check_error(f'step "{self.address}"', self.error, code, match, self._line)
        return self

    def skipped(self, reason: str | None = None) -> StepOutcome:
        """Assert that it was skipped, and for which reason."""
        self._is("canceled")
        if reason is not None and self.reason != reason:
            raise AssertionError(f'step "{self.address}" was skipped by {self.reason}, not {reason}\n{self._line}')
        return self

    def not_reached(self) -> StepOutcome:
        """Assert that it was never started."""
        self._is("submitted")
        return self

    def _is(self, state: str) -> None:
        if self.state != state:
            raise AssertionError(f'step "{self.address}" is {_state(self)}, not {state}\n{self._line}')


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """A run as it was when the harness looked: ended, or parked."""

    run: Run
    steps: Sequence[StepOutcome]
    """In the definition's order, nested ones behind theirs."""
    events: Sequence[Event]
    """Its log."""
    waits: Sequence[WaitView]
    """Its open waits, those of its child runs too."""

    @property
    def id(self) -> str:
        """The run's id."""
        return self.run.id

    @property
    def state(self) -> str:
        """The run's state."""
        return self.run.state

    @property
    def output(self) -> Any:
        """The run's output, once it has completed."""
        return self.run.output

    @property
    def states(self) -> dict[str, str]:
        """State of each step by its address; `submitted` where it was never reached."""
        return {step.address: step.state for step in self.steps}

    @property
    def reasons(self) -> dict[str, str | None]:
        """Reason of each step's state by its address."""
        return {step.address: step.reason for step in self.steps}

    @property
    def tries(self) -> dict[str, int]:
        """How often each step was tried, by its address."""
        return {step.address: step.attempts for step in self.steps}

    @property
    def results(self) -> dict[str, Any]:
        """Results of the steps that have one, by address."""
        return {step.address: step.result for step in self.steps if step.gave}

    @property
    def errors(self) -> dict[str, Failure]:
        """Why steps failed, by address."""
        return {step.address: step.error for step in self.steps if step.error is not None}

    @property
    def kinds(self) -> list[str]:
        """Types of the events of its log, in order."""
        return [event.type for event in self.events]

    def steps_of(self, kind: str) -> list[str | None]:
        """Return the addresses of the steps that the events of one type are about, in order."""
        return [event.step for event in self.events if event.type == kind]

    @property
    def started(self) -> list[str]:
        """Addresses of the steps in the order in which they were started, once an attempt. Waits aren't among them."""
        return [event.step for event in self.events if event.type == "step_started" and event.step is not None]

    def step(self, address: str) -> StepOutcome:
        """Return a step by its address; asserts that there is one."""
        for step in self.steps:
            if step.address == address:
                return step
        known = [step.address for step in self.steps]
        near = get_close_matches(address, known, 1)
        hint = f'did you mean "{near[0]}"?' if near else f"it has {', '.join(known) or 'none'}"
        raise AssertionError(f'run "{self.run.workflow}" has no step "{address}": {hint}')

    def wait(self, step: str) -> WaitView:
        """Return the open wait of a step; asserts that there is one."""
        for wait in self.waits:
            if step in (wait.step, wait.step.rpartition("/")[2]):
                return wait
        raise AssertionError(f'step "{step}" isn\'t waiting\n{self}')

    def completed(self, output: Any = UNSET) -> RunOutcome:
        """Assert that it completed, and with which output."""
        self._is("completed")
        if output is not UNSET and self.output != output:
            raise AssertionError(f"the output is {self.output!r}, not {output!r}\n{self}")
        return self

    def failed(self, code: str | None = None, match: str | None = None, step: str | None = None) -> RunOutcome:
        """Assert that it failed: with an error of this code, with this text in its message, first at this step."""
        self._is("failed")
        _check_error("the run", self.run.failure, code, match, str(self))
        if step is not None and (self.run.failure is None or self.run.failure.step != step):
            where = self.run.failure.step if self.run.failure else None
            raise AssertionError(f'the run failed first at "{where}", not at "{step}"\n{self}')
        return self

    def canceled(self) -> RunOutcome:
        """Assert that it was canceled."""
        self._is("canceled")
        return self

    def waiting(self, *steps: str) -> RunOutcome:
        """Assert that it only waits for answers: of these steps, if any are named."""
        self._is("input-required")
        open_ = {wait.step for wait in self.waits}
        if steps and open_ != set(steps):
            raise AssertionError(f"waiting are {_names(open_)}, not {_names(set(steps))}\n{self}")
        return self

    def _is(self, state: str) -> None:
        if self.state != state:
            raise AssertionError(f"{self.headline}, not {state}\n{self}")

    @property
    def headline(self) -> str:
        """One sentence: what the run is, and why."""
        text = f'run "{self.run.workflow}" is {self.state}'
        failure = self.run.failure
        if failure is not None:
            where = f' at step "{failure.step}"' if failure.step else ""
            text += f" ({failure.code}{where}: {failure.told})"
        return text

    def __str__(self) -> str:
        """Show every step in a line."""
        return table(self.steps)


async def look_at(engine: Engine, run_id: str) -> RunOutcome:
    """Return what a run is like now."""
    run = await engine.get(run_id)
    row = await engine.store.get_run(run_id)
    if row is None:
        raise AssertionError(f'run "{run_id}" was deleted')
    program = await engine.core.loader.learned(row.definition)
    open_ = await engine.store.list_tasks(run_id=run_id, tree=True)
    around = Surroundings(engine.core.env.now(), tasks={task.task.id: task for task in open_}, hosted=True)
    view = snapshot(program.workflow, row, await engine.steps(run_id), around)
    events = await engine.store.events(run_id, 0, _MOST_EVENTS, False)
    return outcome_of(run, view.steps, events, await engine.waits(run_id))


def outcome_of(run: Run, views: Sequence[StepView], events: Sequence[Event], waits: Sequence[WaitView]) -> RunOutcome:
    """Make the outcome of what was read from the store."""
    bare = [_step(view, "") for view in views]
    line = table(bare)
    return RunOutcome(run, [_step(view, line) for view in views], events, waits)


def table(steps: Sequence[StepOutcome]) -> str:
    """Show steps, each in a line: address, state, attempts, what went wrong or keeps it."""
    width = max((len(step.address) for step in steps), default=0)
    lines: list[str] = []
    for step in steps:
        tries = f"{step.attempts} attempts" if step.attempts > 1 else ""
        why = f"{step.error.code}: {step.error.told}" if step.error else step.why or ""
        lines.append(f"  {step.address:<{width}}  {_state(step):<16}  {tries:<10}  {why}".rstrip())
    return "\n".join(lines)


def _step(view: StepView, line: str) -> StepOutcome:
    gave = view.result is not None
    result = decode(view.result) if view.result is not None else None
    return StepOutcome(view.address, view.state, view.reason, view.tries, result, gave, view.error, view.why, line)


def _state(step: StepOutcome) -> str:
    return f"{step.state} ({step.reason})" if step.reason else step.state


def _names(steps: set[str]) -> str:
    return ", ".join(sorted(steps)) or "none"


def _check_error(what: str, error: Failure | None, code: str | None, match: str | None, line: str) -> None:
    found = f"{error.code}: {error.told}" if error is not None else "nothing"
    if code is not None and (error is None or error.code != code):
        raise AssertionError(f"{what} failed with {found}, not with {code}\n{line}")
    if match is not None and (error is None or match not in error.message):
        raise AssertionError(f'{what} failed with {found}, which doesn\'t contain "{match}"\n{line}')
