"""Step types, and typed constructors for writing workflows in Python.

```python
from agentflow.steps import Workflow, native, script, set_

who = script("who", command="whoami", requires=native("shell"))
hello = Workflow(id="hello", steps=(who, set_("say", value="Hello {steps.who.output}")))
```

Names are imported on first use: this package costs nothing until then.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentflow.definition.models import Body, EntryPoint, ForEachField, Requirement, RetryPolicy, Step, Workflow
    from agentflow.steps.building import Common, connection, native
    from agentflow.steps.constructors import (
        agent_run,
        api_call,
        artifact,
        checkpoint,
        delay,
        end,
        external_tool_call,
        publish,
        python,
        reply,
        respond,
        script,
        set_,
        tool_call,
        wait_for_event,
        wait_for_input,
        workflow,
    )
    from agentflow.steps.constructors_nested import (
        condition,
        for_each,
        parallel,
        poll,
        recur,
        saga,
        schedule,
        sequence,
        switch,
        until,
        while_,
    )
    from agentflow.steps.decorated import StepFunction, step
    from agentflow.steps.registry import step_type

__all__ = (
    "Body",
    "Common",
    "EntryPoint",
    "ForEachField",
    "Requirement",
    "RetryPolicy",
    "Step",
    "StepFunction",
    "Workflow",
    "agent_run",
    "api_call",
    "artifact",
    "checkpoint",
    "condition",
    "connection",
    "delay",
    "end",
    "external_tool_call",
    "for_each",
    "native",
    "parallel",
    "poll",
    "publish",
    "python",
    "recur",
    "reply",
    "respond",
    "saga",
    "schedule",
    "script",
    "sequence",
    "set_",
    "step",
    "step_type",
    "switch",
    "tool_call",
    "until",
    "wait_for_event",
    "wait_for_input",
    "while_",
    "workflow",
)

_MODULES = {
    "definition.models": ("Body", "EntryPoint", "ForEachField", "Requirement", "RetryPolicy", "Step", "Workflow"),
    "steps.building": ("Common", "connection", "native"),
    "steps.decorated": ("StepFunction", "step"),
    "steps.constructors_nested": (
        *("condition", "for_each", "parallel", "poll", "recur", "saga"),
        *("schedule", "sequence", "switch", "until", "while_"),
    ),
    "steps.registry": ("step_type",),
}
_ELSEWHERE = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _ELSEWHERE.get(name, "steps.constructors")
    value = getattr(import_module(f"agentflow.{home}"), name)
    if home.startswith("steps.constructors"):
        value = import_module("agentflow.steps.telling").told(value)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


class _Package(ModuleType):
    """Keeps names of constructors for the constructors."""

    def __setattr__(self, name: str, value: object) -> None:
        # Step types live in modules of the same names. Importing `agentflow.steps.script` would bind the module
        # here, and `from agentflow.steps import script` would give the module or the constructor, whichever came first.
        if not (isinstance(value, ModuleType) and name in __all__):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
