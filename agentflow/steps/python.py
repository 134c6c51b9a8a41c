"""`python`: a Python function of the config's allowed modules."""

from __future__ import annotations

from typing import Any

from agentflow.definition.models import Model
from agentflow.steps.contract import Context, Outcome, Result, StepType
from agentflow.steps.fields import Name
from agentflow.steps.functions import call
from agentflow.steps.outcomes import outcome
from agentflow.steps.services import ProcessServices, load_function
from agentflow.steps.spent import tell_found


class PythonConfig(Model):
    """Which function is called, and with what."""

    function: Name
    """`module:function`, of a module that the config lists under `python.modules`."""
    input: Any = None
    """A mapping whose keys are the function's parameters, or its one argument."""


async def execute(config: PythonConfig, ctx: Context) -> Outcome:
    """Call the function; a synchronous one runs in a thread."""
    if isinstance(ctx.services, ProcessServices):
        ctx.services.check_function(config.function)
    function = await load_function(config.function, ctx)
    value = await call(function, config.input, ctx, name=config.function)
    tell_found(ctx, value.value if isinstance(value, Result) else value)
    return outcome(value)


TYPES: tuple[StepType, ...] = (
    StepType(
        name="python",
        config=PythonConfig,
        summary="Calls a Python function; the result is what it returns.",
        execute=execute,
        skills=("native:python",),
        takes_input=True,
        unsafe=True,
        spends=True,
    ),
)
