"""Replays a stored run against a changed definition: what would have been done differently; nothing is called."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from typing import Any

from agentflow.config import Config, config_from
from agentflow.data import is_object
from agentflow.definition.faults import shown
from agentflow.definition.models import Workflow
from agentflow.engine import Engine
from agentflow.errors import AgentflowError
from agentflow.testing.kit import Harness
from agentflow.testing.outcome import RunOutcome
from agentflow.testing.recording import Recording, record
from agentflow.testing.rehearsing import Rehearsal, rehearse

_BRANCH = re.compile(r"(?P<step>.*)/(?P<body>if_true|if_false|default|case\[\d+\])(?:/[^/]*)?")


@dataclass(frozen=True, slots=True)
class InputChange:
    """A step that would have been given something else."""

    step: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class StateChange:
    """A step, or the run, that would have come to another end."""

    step: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class BranchChange:
    """A `condition` or `switch` that would have gone another way."""

    step: str
    before: str
    after: str


@dataclass(frozen=True)
class Replay:
    """What a new definition would have done differently with a run. `str()` of it reads well in a failing test."""

    workflow: str
    added: list[str] = field(default_factory=list[str])
    """Steps that would have run, and didn't, by address; those inside of a sub-workflow's run stand under `step>`."""
    dropped: list[str] = field(default_factory=list[str])
    """Steps that ran, and wouldn't have."""
    inputs: list[InputChange] = field(default_factory=list[InputChange])
    """Steps that would have been given something else."""
    branches: list[BranchChange] = field(default_factory=list[BranchChange])
    """Decisions that would have been others."""
    moved: list[str] = field(default_factory=list[str])
    """Steps that would have begun in another order."""
    states: list[StateChange] = field(default_factory=list[StateChange])
    """Steps that would have come to another end, such as `completed` instead of `failed`."""
    unknown: list[str] = field(default_factory=list[str])
    """Of those added: what nothing was recorded of. Their result was taken to be null: give it in `results`."""
    misfits: dict[str, str] = field(default_factory=dict[str, str])
    """Waits whose recorded answer wouldn't have been accepted → why."""
    run: StateChange | None = None
    """The run's own end, where it is another one."""
    output: tuple[Any, Any] | None = None
    """The run's output before and after, where it is another one."""
    refused: str | None = None
    """Why the run couldn't have been started at all."""

    @property
    def same(self) -> bool:
        """Whether the new definition would have done the same."""
        lists = (self.added, self.dropped, self.inputs, self.branches, self.moved, self.states, self.misfits)
        return not any(lists) and self.run is None and self.output is None and self.refused is None

    def __str__(self) -> str:
        """Say what would have been different, a line each."""
        if self.refused is not None:
            return f'"{self.workflow}" would not have been started: {self.refused}'
        if self.same:
            return f'"{self.workflow}" would have done the same'
        lines = [f'"{self.workflow}" would have done this differently:']
        lines += [f"  + {step}{'  (not recorded)' if step in self.unknown else ''}" for step in self.added]
        lines += [f"  - {step}" for step in self.dropped]
        lines += [f"  ~ {one.step}: {_differing(one.before, one.after)}" for one in self.inputs]
        lines += [f"  ? {one.step}: {one.after} instead of {one.before}" for one in self.branches]
        lines += [f"  > {step}: in another order" for step in self.moved]
        lines += [f"  ! {one.step}: {one.after} instead of {one.before}" for one in self.states]
        lines += [f"  ! {step}: the recorded answer doesn't fit: {why}" for step, why in self.misfits.items()]
        if self.run is not None:
            lines.append(f"  = the run: {self.run.after} instead of {self.run.before}")
        if self.output is not None:
            lines.append(f"  = the output: {_differing(*self.output)}")
        return "\n".join(lines)


async def replay(
    run: Recording | RunOutcome | str,
    workflow: Workflow,
    *,
    store: Engine | Harness | None = None,
    workflows: Iterable[Workflow] = (),
    config: Config | None = None,
    results: Mapping[str, Any] | None = None,
) -> Replay:
    """Tell what a definition would have done differently with a stored run.

    Steps are given the results that were recorded, waits the answers; delays take no time. Nothing is called but the
    user's reducers of shared keys. What only computes (`set`, conditions) is computed anew.

    Args:
        run: what `record` gave; or a run, or its id, of `store`.
        workflow: the new definition.
        store: the engine, or the harness, whose store has the run.
        workflows: the new definitions of those that it calls; others stay what they were.
        config: for values of `env` that templates name.
        results: what steps give that nothing was recorded of, by address.

    Raises:
        AgentflowError: a run without a `store`.
        DefinitionError: the new definition isn't valid.
        NotFoundError: there is no such run.
    """
    recording = run if isinstance(run, Recording) else await _stored(run, store)
    before_workflow, called = recording.original
    config = config or Config()
    before = await rehearse(recording, before_workflow, called, config, {})
    new = {**{each.id: each for each in (*called, *workflows)}, workflow.id: workflow}
    config_from(new.values(), base=replace(config, workflows={}, parsed={}, sources={}))
    after = await rehearse(recording, workflow, new.values(), config, results or {})
    return _compared(recording, before, after)


async def _stored(run: RunOutcome | str, store: Engine | Harness | None) -> Recording:
    if store is None:
        what = "replay(run, …) of a run by its id needs the store that has it"
        raise AgentflowError(what, code="AF-USAGE", hint="replay(run, workflow, store=engine)")
    engine = store.engine if isinstance(store, Harness) else store
    return await record(engine, run if isinstance(run, str) else run.id)


def _compared(recording: Recording, before: Rehearsal, after: Rehearsal) -> Replay:
    if after.run is None:
        return Replay(recording.workflow, refused=after.refused)
    common = [step for step in before.inputs if step in after.inputs]
    ran = before.run
    state, output = (ran.state, ran.output) if ran is not None else (recording.state, recording.output)
    both = [step for step in before.states if step in after.states and before.states[step] != after.states[step]]
    mostly = set(before.inputs) ^ set(after.inputs)
    return Replay(
        recording.workflow,
        added=[step for step in after.inputs if step not in before.inputs],
        dropped=[step for step in before.inputs if step not in after.inputs],
        inputs=[
            InputChange(step, before.inputs[step], after.inputs[step])
            for step in common
            if before.inputs[step] != after.inputs[step]
        ],
        branches=_branches(before, after),
        moved=_moved(common, [step for step in after.inputs if step in before.inputs]),
        states=[StateChange(step, before.states[step], after.states[step]) for step in both if step not in mostly],
        unknown=[step for step in after.unknown if step not in before.unknown],
        misfits={step: why for step, why in after.misfits.items() if step not in before.misfits},
        run=StateChange("", state, after.run.state) if state != after.run.state else None,
        output=(output, after.run.output) if output != after.run.output else None,
    )


def _branches(before: Rehearsal, after: Rehearsal) -> list[BranchChange]:
    old, new = _taken(before), _taken(after)
    return [BranchChange(step, old[step], new[step]) for step in old if step in new and old[step] != new[step]]


def _taken(rehearsal: Rehearsal) -> dict[str, str]:
    """Return which body each decision chose."""
    found: dict[str, str] = {}
    for address in rehearsal.inputs:
        while (match := _BRANCH.fullmatch(address)) is not None:
            found[match["step"]] = match["body"]
            address = match["step"]
    return found


def _moved(before: list[str], after: list[str]) -> list[str]:
    """Return the steps that stand elsewhere in the order, the fewest that explain it."""
    kept: set[str] = set()
    for block in SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks():
        kept |= set(before[block.a : block.a + block.size])
    return [step for step in after if step not in kept]


def _differing(before: Any, after: Any) -> str:
    """Say where two values differ: of mappings, in which keys."""
    if is_object(before) and is_object(after):
        keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
        return "; ".join(f"{key}: {_short(after.get(key))} instead of {_short(before.get(key))}" for key in keys)
    return f"{_short(after)} instead of {_short(before)}"


def _short(value: Any) -> str:
    if isinstance(value, str | int | float | bool | None):
        return shown(value)
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
