"""One attempt of a step: render, validate, execute, and turn whatever happens into an outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio

from agentflow.engine.context import StepContext
from agentflow.engine.gate import RESULT
from agentflow.engine.plan.steps import failure_of, render_config
from agentflow.engine.state import Node, RunState
from agentflow.errors import Failure, StepError
from agentflow.steps.contract import Park, Result, Skip
from agentflow.steps.failing import step_error

if TYPE_CHECKING:
    from agentflow.engine.core import Core
    from agentflow.engine.runtime.base import WorkLease


@dataclass(frozen=True, slots=True)
class Stopped:
    """The attempt was interrupted: a sibling failed, the run was cancelled, the host stops."""

    reason: str


async def execute(core: Core, run: RunState, node: Node, lease: WorkLease) -> tuple[Any, StepContext | None]:
    """Run one attempt.

    Returns:
        What it came to (the result's JSON as bytes, `Skip`, `Park` or a `Failure`), and the step's context.
    """
    spec = node.program.spec
    try:
        config = render_config(run, node)
    except (StepError, ValueError) as error:
        return core.gate.failure(failure_of(error)), None
    except RecursionError:
        return Failure("AF-FIELD-VALUE", "a value is nested too deeply", kind="invalid", retryable=False), None
    context = StepContext(core, run, node, lease)
    try:
        if spec.execute is None:
            return Failure("AF-DEFECT", f'step type "{spec.name}" can\'t be executed', retryable=False), None
        outcome = await spec.execute(config, context)
    except BaseException as error:  # a step may raise anything at all; only our own interrupt goes on
        await anyio.lowlevel.checkpoint_if_cancelled()  # whatever its cleaning up raised, it was interrupted
        return describe(core, error), None
    if lease.interrupted is not None:
        await anyio.lowlevel.checkpoint()
    return _outcome(core, outcome), context


def _outcome(core: Core, outcome: object) -> Any:
    if isinstance(outcome, Result):
        return encode_result(core, outcome.value)
    if isinstance(outcome, Skip | Park):
        return outcome
    message = f"the step type answered {type(outcome).__name__}, not Result, Skip or Park"
    return Failure("AF-RESULT-INVALID", message, kind="invalid", retryable=False)


def encode_result(core: Core, value: Any) -> bytes | Failure:
    """Turn a result into JSON, or say what is wrong with it."""
    try:
        return core.gate.encoded(value, RESULT)
    except StepError as error:
        return failure_of(error)


def describe(core: Core, error: BaseException) -> Failure:
    """Turn an exception of a step into a failure: its message first, then only the user's frames."""
    return core.gate.failure(failure_of(step_error(error, code="AF-STEP-RAISED")))
