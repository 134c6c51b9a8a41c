"""One attempt of a step: validate its fields, execute it, and turn whatever happens into an outcome."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import anyio

from agentflow.credentials import NotConnected
from agentflow.engine.attempt.context import StepContext
from agentflow.engine.attempt.feeding import fed
from agentflow.engine.attempt.ports import Port, Process
from agentflow.engine.authorising import lacking, without
from agentflow.engine.exchange import Attempt, Executing, Returned
from agentflow.engine.failures import failed_by
from agentflow.engine.gate import RESULT
from agentflow.engine.misfits import fitted
from agentflow.engine.suspended import resumed
from agentflow.errors import Defect, Failure
from agentflow.requirements import is_custom, lack_of
from agentflow.steps.contract import Execute, Outcome, Park, Result, Skip, StepType
from agentflow.steps.failing import Asked
from agentflow.steps.running import running_step


async def execute(process: Process, port: Port, attempt: Attempt, lease: Executing) -> Returned:
    """Run one attempt.

    Returns:
        What it came to (the result's JSON as bytes, `Skip`, `Park` or a `Failure`), and what it leaves besides.
    """
    spec = attempt.spec or process.types(attempt.type)
    if spec is None or (spec.execute is None and spec.prompt is None):
        return Failure("AF-DEFECT", f'step type "{attempt.type}" can\'t be executed', retryable=False), None
    if attempt.saved is not None:
        attempt = resumed(attempt)
    try:
        config = attempt.ready
        if config is None:
            if process.fed:
                attempt = await fed(process, port, attempt)
            config = fitted(spec, attempt.config)
    except BaseException as error:  # what validates its fields may raise anything
        await anyio.lowlevel.checkpoint_if_cancelled()
        if isinstance(error, NotConnected):
            return without(attempt, error), None
        return failed_by(process.gate, error), None
    context = StepContext(process, port, attempt, lease)
    try:
        here = running_step.set(context)
        try:
            if attempt.needs:
                await _prepare(context, attempt)
            if spec.execute is None:
                outcome = _asked(spec, config, context)
            elif process.asks:
                outcome = await _asking(spec.execute, config, context)
            else:
                outcome = await spec.execute(config, context)
        finally:
            running_step.reset(here)
            context.end()
    except BaseException as error:  # a step may raise anything at all; only our own interrupt goes on
        await anyio.lowlevel.checkpoint_if_cancelled()  # whatever its cleaning up raised, it was interrupted
        if context.asked is not None:
            return context.asked, context.spent
        lack = lacking(error)
        if lack is not None:
            return without(context.halted, lack), context.spent
        return failed_by(process.gate, error, executed=True), context.spent
    if lease.interrupted is not None:
        await anyio.lowlevel.checkpoint()
    if context.asked is not None:  # whatever its code made of that
        return context.asked, context.spent
    try:
        return _outcome(process, outcome, context), context.left
    except BaseException as error:  # what turns its value into data is its own code too
        return failed_by(process.gate, error, executed=True), context.spent


async def _prepare(context: StepContext, attempt: Attempt) -> None:
    """See to it that what the step requires is there; raises NotConnected where it isn't."""
    for need in attempt.needs:
        if not is_custom(need.connection):
            await context.credentials(need.connection)
        elif (lack := await lack_of(need.connection)) is not None:
            raise lack


async def _asking(execute: Execute, config: Any, context: StepContext) -> Outcome:
    """Execute a step that may have to wait for an approval: then it ends at once, whatever its code catches."""
    with anyio.CancelScope() as scope:
        context.calls.scope = scope
        return await execute(config, context)
    raise Asked


def _asked(spec: StepType, config: Any, context: StepContext) -> Outcome:
    """Let a type say what it waits for that only waits, once what the step requires is there."""
    if spec.prompt is None:
        raise Defect(f'step type "{spec.name}" can do nothing')
    return spec.prompt(config, context)


def _outcome(process: Process, outcome: object, context: StepContext) -> Any:
    if isinstance(outcome, Result):
        found: set[str] = set()
        raw = process.gate.encoded(outcome.value, RESULT, found)
        for name in sorted(found) if found else ():
            context.log(f"the secret {name} was taken out of the result; if it is none, mark it as public", "warning")
        if outcome.artifacts:
            context.artifacts = [context.chunk(artifact) for artifact in outcome.artifacts]
        return raw
    if isinstance(outcome, Park):
        state = context.beside(outcome.state)
        return outcome if state is outcome.state else replace(outcome, state=state)
    if isinstance(outcome, Skip):
        return outcome
    message = f"the step type answered {type(outcome).__name__}, not Result, Skip or Park"
    return Failure("AF-RESULT-INVALID", message, kind="invalid", retryable=False)
