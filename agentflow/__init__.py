"""Workflows as data for LLM agents: they survive crashes and wait for people.

Names are loaded on first use: importing the package imports nothing else.
"""

__version__ = "0.1.0"

TYPE_CHECKING = False  # `typing` itself would cost more than all the rest of this module
if TYPE_CHECKING:
    from agentflow.config import Config, config_from, load_config
    from agentflow.definition.models import Step, Workflow
    from agentflow.engine import Answer, Decline, Engine, Event, Run, ToolFailure, WaitView
    from agentflow.errors import (
        AgentflowError,
        ConflictError,
        DefinitionError,
        InputError,
        NotFoundError,
        RunFailedError,
        StepError,
    )
    from agentflow.oneshot import run
    from agentflow.principal import Principal
    from agentflow.steps.contract import AgentAsks, Artifact, Context, EventWait, Park, Result, Skip, Timer, Wait
    from agentflow.steps.decorated import step
    from agentflow.steps.registry import step_type
    from agentflow.sync import run_sync

__all__ = (
    "AgentAsks",
    "AgentflowError",
    "Answer",
    "Artifact",
    "Config",
    "ConflictError",
    "Context",
    "Decline",
    "DefinitionError",
    "Engine",
    "Event",
    "EventWait",
    "InputError",
    "NotFoundError",
    "Park",
    "Principal",
    "Result",
    "Run",
    "RunFailedError",
    "Skip",
    "Step",
    "StepError",
    "Timer",
    "ToolFailure",
    "Wait",
    "WaitView",
    "Workflow",
    "__version__",
    "config_from",
    "load_config",
    "run",
    "run_sync",
    "step",
    "step_type",
)

_HOMES = {
    "agentflow.config": ("Config", "config_from", "load_config"),
    "agentflow.definition.models": ("Step", "Workflow"),
    "agentflow.engine": ("Answer", "Decline", "Engine", "Event", "Run", "ToolFailure", "WaitView"),
    "agentflow.errors": (
        "AgentflowError",
        "ConflictError",
        "DefinitionError",
        "InputError",
        "NotFoundError",
        "RunFailedError",
        "StepError",
    ),
    "agentflow.oneshot": ("run",),
    "agentflow.principal": ("Principal",),
    "agentflow.steps.contract": (
        *("AgentAsks", "Artifact", "Context", "EventWait", "Park"),
        *("Result", "Skip", "Timer", "Wait"),
    ),
    "agentflow.steps.decorated": ("step",),
    "agentflow.steps.registry": ("step_type",),
    "agentflow.sync": ("run_sync",),
}


def __getattr__(name: str) -> object:
    for module, names in _HOMES.items():
        if name in names:
            from importlib import import_module  # noqa: PLC0415  see the module's docstring

            value = getattr(import_module(module), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
