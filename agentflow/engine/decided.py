"""What steps and runs have decided, beside their state: kept in their rows as JSON, and read again after a takeover.

The JSON is that of older versions too: its names are written and read here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

from agentflow.data import decode, encode, is_array, is_object, salvaged
from agentflow.errors import Failure
from agentflow.steps.unset import UNSET

Ended: TypeAlias = Literal["completed", "failed", "rejected", "canceled"]
_ENDED: Mapping[object, Ended] = {"completed": "completed", "rejected": "rejected", "canceled": "canceled"}


@dataclass(frozen=True, slots=True)
class Parked:
    """A step waits for an answer, an event or a time, or goes on with what has come."""

    then: str = "result"
    """`result`: what comes is its result; `enter`: it is executed with it; `operator`: somebody decides."""
    state: Any = None
    """What it is entered again with."""
    kind: str | None = None
    """Of a wait: which."""
    default: Any = UNSET
    """Of a wait: what counts when nobody answers in time."""
    arrived: Any = UNSET


@dataclass(frozen=True, slots=True)
class Early:
    """The early end of a run or a container."""

    state: Ended = "completed"
    output: Any = UNSET
    message: str | None = None
    by: str | None = None
    """Address of the step that has ended it."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The body of a container, or of a run, is over: compensation and hooks come next, then its own end."""

    outcome: Ended
    stages: tuple[str, ...] = ()
    """What is still to come: `compensate`, and hooks by name."""
    failure: Failure | None = None
    halting: str | None = None
    """Why it was stopped."""


class Undone(NamedTuple):
    """A step that a saga has undone, or could not."""

    step: str
    """Its address."""
    reason: str
    message: str | None = None

    @property
    def data(self) -> dict[str, str]:
        """As people see it."""
        return {name: value for name, value in self._asdict().items() if value is not None}


@dataclass(frozen=True, slots=True)
class Undoing:
    """What a saga undoes."""

    steps: tuple[str, ...]
    """Addresses of those that are still to be undone, in order."""
    report: tuple[Undone, ...] = ()


@dataclass(frozen=True, slots=True)
class Canceling:
    """A run is being cancelled."""

    by: str | None = None
    force: bool = False
    """Without hooks and compensation."""
    reason: str | None = None
    """Of a child run: why its parent's step was stopped."""


class Decided(NamedTuple):
    """All that a step has decided; of a run, what its root has."""

    stage: Literal["delay", "due"] | None = None
    """It waits for its own time; or that has come, and it begins when it may."""
    parked: Parked | None = None
    saved: Any = UNSET
    """The state that it has saved."""
    unbegun: bool = False
    """It was claimed once more after its host had died, and hasn't begun. Such a death isn't its own."""
    reducing: bool = False
    """Reducers of the user's are to work, in a thread, before it goes on. Its result is there."""
    handed: bool = False
    """It was handed to workers elsewhere, who go on with it whatever becomes of its host."""
    delivered: tuple[int, int] = (0, 0)
    """An attempt elsewhere, and the number of the last chunk that it has given of artifacts."""
    turn: str | None = None
    """The task of the agent's turn that it is at."""
    asked: dict[str, Any] | None = None
    """An operator is asked before it begins, as a budget is spent: how it begins then, whose budget, and which."""
    gates: dict[str, Any] | None = None
    """What became of its gates; lasts over its attempts. See `approving` and `reviewing`."""
    budget: dict[str, Any] | None = None
    """Of a run: what it has used of its budget beside tokens, and how far that was raised."""
    stopping: str | None = None
    """Why that is being stopped."""
    own: dict[str, Any] | None = None
    """Of a container: what its type decides; see `steps.containers`."""
    early: Early | None = None
    late: Failure | None = None
    """Of a container: its time was over."""
    ending: Ending | None = None
    undoing: Undoing | None = None
    canceling: Canceling | None = None
    undone: int = 0
    """How often it was compensated, as its row was read."""
    tolerated: int | None = None
    """How many failures that were tolerated it stands for, as its row was read; older rows don't tell."""


UNDECIDED = Decided()
DELAY = Decided(stage="delay")
DUE = Decided(stage="due")


def lasting(decided: Decided) -> Decided:
    """Return of what a step has decided that which lasts over its attempts."""
    if decided.gates is None:
        return UNDECIDED
    passing = {"accepted", "middle"} if "worked" in decided.gates else {"accepted", "given", "middle"}
    gates = {name: value for name, value in decided.gates.items() if name not in passing}
    return Decided(gates=gates) if gates else UNDECIDED


def anew(decided: Decided) -> Decided:
    """Return what lasts of it where the step works once more: what it had given counts no more."""
    gates = {name: value for name, value in (decided.gates or {}).items() if name not in {"worked", "given"}}
    return lasting(decided._replace(gates=gates or None))


def state_of(decided: Decided) -> Any:
    """Return what a step is entered again with: the state that it has saved, or has given to a park."""
    if decided.saved is not UNSET:
        return decided.saved
    return decided.parked.state if decided.parked is not None else None


def encoded(decided: Decided, undone: int = 0, tolerated: int = 0) -> bytes:
    """Return decisions as their row keeps them, with what is counted of the step; `b""`: there are none."""
    if decided is UNDECIDED and not undone and not tolerated:
        return b""
    data: dict[str, Any] = {}
    if decided.stage is not None:
        data["stage"] = decided.stage
    if decided.parked is not None:
        _write_parked(data, decided.parked)
    if decided.saved is not UNSET:
        data["saved"] = decided.saved
    data |= {name: True for name in ("unbegun", "reducing", "handed") if getattr(decided, name)}
    if decided.delivered[1]:
        data["delivered"] = decided.delivered
    data |= {name: text for name in ("turn", "stopping") if (text := getattr(decided, name)) is not None}
    data |= {name: told for name in ("own", "asked", "budget", "gates") if (told := getattr(decided, name)) is not None}
    _write_ends(data, decided)
    if decided.canceling is not None:
        told = {"by": decided.canceling.by, "force": decided.canceling.force, "reason": decided.canceling.reason}
        data["cancel"] = {name: value for name, value in told.items() if value}
    data |= {name: count for name, count in (("undone", undone), ("tolerated", tolerated)) if count}
    return encode(data) if data else b""


def _write_parked(data: dict[str, Any], parked: Parked) -> None:
    data["park"] = {"then": parked.then, "state": parked.state}
    if parked.default is not UNSET:
        data["default"] = parked.default
    if parked.kind is not None:
        data["kind"] = parked.kind
    if parked.arrived is not UNSET:
        data["arrived"] = parked.arrived


def _write_ends(data: dict[str, Any], decided: Decided) -> None:
    early, ending, undoing = decided.early, decided.ending, decided.undoing
    if early is not None:
        data["end"] = {"state": early.state, "message": early.message, "by": early.by}
        if early.output is not UNSET:
            data["end"]["output"] = early.output
    if decided.late is not None:
        data["timeout"] = decided.late.to_data()
    if ending is not None:
        failure = ending.failure.to_data() if ending.failure is not None else None
        data |= {"stages": ending.stages, "outcome": ending.outcome, "failure": failure, "halting": ending.halting}
    if undoing is not None:
        data |= {"undo": undoing.steps, "report": [undone.data for undone in undoing.report]}


def decided_of(raw: bytes | None) -> Decided:
    """Return what a row keeps; raises where it is damaged."""
    return _read(decode(raw)) if raw else UNDECIDED


def salvaged_of(raw: bytes | None) -> Decided:
    """Return what a row keeps, nothing where it is damaged."""
    data = salvaged(raw) if raw else None
    return _read(data) if is_object(data) else UNDECIDED


def _read(data: Mapping[str, Any]) -> Decided:
    stage, own, late = data.get("stage"), data.get("own"), data.get("timeout")
    asked, budget, gates = data.get("asked"), data.get("budget"), data.get("gates")
    return Decided(
        stage=stage if stage in {"delay", "due"} else None,
        parked=_parked(data),
        saved=data.get("saved", UNSET),
        unbegun="unbegun" in data,
        reducing="reducing" in data,
        handed="handed" in data,
        delivered=_delivered(data.get("delivered")),
        turn=_text(data.get("turn")),
        stopping=_text(data.get("stopping")),
        asked=asked if is_object(asked) else None,
        budget=budget if is_object(budget) else None,
        gates=gates if is_object(gates) else None,
        own=own if is_object(own) else None,
        early=_early(data.get("end")),
        late=Failure.from_data(late) if is_object(late) else None,
        ending=_ending(data),
        undoing=_undoing(data),
        canceling=_canceling(data.get("cancel")),
        undone=_count(data.get("undone")) or 0,
        tolerated=_count(data.get("tolerated")),
    )


def _parked(data: Mapping[str, Any]) -> Parked | None:
    park = data.get("park")
    if not is_object(park):
        return None
    kind = _text(data.get("kind"))
    then = _text(park.get("then")) or "result"
    return Parked(then, park.get("state"), kind, data.get("default", UNSET), data.get("arrived", UNSET))


def _delivered(told: object) -> tuple[int, int]:
    attempt, number = map(_count, told) if is_array(told) and len(told) == 2 else (None, None)
    return (attempt or 0, number or 0)


def _early(end: object) -> Early | None:
    if not is_object(end) or not end:
        return None
    return Early(ended_as(end.get("state")), end.get("output", UNSET), _text(end.get("message")), _text(end.get("by")))


def _ending(data: Mapping[str, Any]) -> Ending | None:
    stages, failure = data.get("stages"), data.get("failure")
    if not is_array(stages):
        return None
    failed = Failure.from_data(failure) if is_object(failure) and failure else None
    return Ending(ended_as(data.get("outcome")), _texts(stages), failed, _text(data.get("halting")))


def _undoing(data: Mapping[str, Any]) -> Undoing | None:
    undo, report = data.get("undo"), data.get("report")
    if not is_array(undo):
        return None
    entries = [entry for entry in report if is_object(entry)] if is_array(report) else []
    undone = [Undone(str(e.get("step")), str(e.get("reason")), _text(e.get("message"))) for e in entries]
    return Undoing(_texts(undo), tuple(undone))


def _canceling(cancel: object) -> Canceling | None:
    return canceling_of(cancel) if is_object(cancel) else None


def canceling_of(data: Mapping[str, Any]) -> Canceling:
    """Return what a command to cancel a run asks for."""
    return Canceling(_text(data.get("by")), bool(data.get("force")), _text(data.get("reason")))


def ended_as(outcome: object) -> Ended:
    """Return a way to end."""
    return _ENDED.get(outcome, "failed")


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _texts(values: Sequence[object]) -> tuple[str, ...]:
    return tuple(value for value in values if isinstance(value, str))


def _count(value: object) -> int | None:
    return value if isinstance(value, int) else None
