"""What a step waits for, as it is kept: whatever an own step type has written there. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

from agentflow.definition.durations import parse_duration
from agentflow.definition.times import parse_time
from agentflow.engine.gate import STATE, WAIT, Gate
from agentflow.errors import StepError
from agentflow.steps.contract import Park
from agentflow.steps.unset import UNSET
from agentflow.steps.waits import EventWait, Timer, Wait, WaitKind


def admitted(gate: Gate, what: Park) -> Park:
    """Return what a step waits for, and its state, as they are kept.

    Raises:
        StepError: they can't be kept.
        UnreadableError: a time can't be one.
    """
    on, state = _read(what.on), gate.data(what.state, STATE)
    if isinstance(on, Timer):
        return Park(on, state, what.then)
    default = on.default if on.default is UNSET else gate.data(on.default, WAIT)
    message = gate.text(on.message)
    if isinstance(on, EventWait):
        gate.without_secrets([on.topic, on.filter], "the topic or filter of a wait")
        topic, wanted = gate.text(on.topic), gate.data(on.filter, WAIT)
        return Park(replace(on, topic=topic, filter=wanted, message=message, default=default), state, what.then)
    schema = None if on.schema is None else gate.data(dict(on.schema), WAIT)
    assignees = tuple(gate.data(list(on.assignees), WAIT))
    details = gate.data(dict(on.details), WAIT)
    on = replace(on, message=message, schema=schema, default=default, assignees=assignees, details=details)
    return Park(on, state, what.then)


def _read(on: Wait | Timer | EventWait) -> Wait | Timer | EventWait:
    """Return what a step waits for, its times read: own step types may write anything there."""
    if not isinstance(on, Wait | Timer | EventWait):  # pyright: ignore[reportUnnecessaryIsInstance]  users may give anything
        what = f"a step waits on Wait(…), Timer(…) or EventWait(…), not on an object of {type(on).__name__}"
        raise StepError(
            what, code="AF-RESULT-INVALID", kind="invalid", retryable=False, hint='Wait("input", "Send it?")'
        )
    if isinstance(on, Wait) and on.kind not in get_args(WaitKind):
        what = f"a wait is of kind {', '.join(get_args(WaitKind))}, not {on.kind!r}"
        raise StepError(
            what, code="AF-RESULT-INVALID", kind="invalid", retryable=False, hint='Wait("input", "Send it?")'
        )
    if isinstance(on, Timer):
        return replace(on, due=parse_time(on.due))
    if on.timeout is not None:
        on = replace(on, timeout=parse_duration(on.timeout))
    if isinstance(on, EventWait) and on.since is not None:
        on = replace(on, since=parse_duration(on.since))
    return on
