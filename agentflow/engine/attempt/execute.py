"""One attempt of a step: render, validate, execute, and turn whatever happens into an outcome."""

from __future__ import annotations

from typing import Any

import anyio

from agentflow.engine.attempt.context import StepContext
from agentflow.engine.attempt.ports import AttemptPort
from agentflow.engine.gate import RESULT
from agentflow.engine.plan import steps
from agentflow.engine.plan.commands import Left
from agentflow.engine.plan.state import Node, RunState
from agentflow.engine.plan.steps import render_config
from agentflow.engine.runtime.base import WorkLease
from agentflow.errors import Failure
from agentflow.steps.contract import Park, Result, Skip
from agentflow.steps.running import running_step


async def execute(port: AttemptPort, run: RunState, node: Node, lease: WorkLease) -> tuple[Any, Left | None]:
    """Run one attempt.

    Returns:
        What it came to (the result's JSON as bytes, `Skip`, `Park` or a `Failure`), and what it leaves besides.
    """
    spec = node.program.spec
    try:
        config = render_config(run, node)
    except BaseException as error:  # so may what validates its fields
        return steps.failed_by(run, error), None
    context = StepContext(port, run, node, lease)
    try:
        if spec.execute is None:
            return Failure("AF-DEFECT", f'step type "{spec.name}" can\'t be executed', retryable=False), None
        here = running_step.set(context)
        try:
            outcome = await spec.execute(config, context)
        finally:
            running_step.reset(here)
            context.end()
    except BaseException as error:  # a step may raise anything at all; only our own interrupt goes on
        await anyio.lowlevel.checkpoint_if_cancelled()  # whatever its cleaning up raised, it was interrupted
        return steps.failed_by(run, error, executed=True), None
    if lease.interrupted is not None:
        await anyio.lowlevel.checkpoint()
    try:
        return _outcome(port, outcome, context), context.left
    except BaseException as error:  # what turns its value into data is its own code too
        return steps.failed_by(run, error, executed=True), None


def _outcome(port: AttemptPort, outcome: object, context: StepContext) -> Any:
    if isinstance(outcome, Result):
        found: set[str] = set()
        raw = port.gate.encoded(outcome.value, RESULT, found)
        for name in sorted(found) if found else ():
            context.log(f"the secret {name} was taken out of the result; if it is none, mark it as public", "warning")
        return raw
    if isinstance(outcome, Skip | Park):
        return outcome
    message = f"the step type answered {type(outcome).__name__}, not Result, Skip or Park"
    return Failure("AF-RESULT-INVALID", message, kind="invalid", retryable=False)
