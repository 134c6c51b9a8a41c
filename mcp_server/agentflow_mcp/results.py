"""What a call gives back: text and data that say the same, and errors in the product's form."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from agentflow.errors import AgentflowError, Defect, Failure
from agentflow.redaction import Redactor
from agentflow.reports import report
from agentflow_mcp.asking import Request
from agentflow_mcp.fencing import lines_of

RUN_KEY = "agentflow/task_id"
"""Key of a result's `_meta` that names its run."""
USAGE_KEY = "agentflow/usage"
"""Key of a result's `_meta` that tells what its run has used."""
_CLI = re.compile(r"\bagentflow [a-z]|--[a-z]")
_HINTS: Mapping[str, str] = {
    "AF-INPUT-INVALID": "nothing was started: correct the arguments and call again",
    "AF-INPUT-UNKNOWN": "nothing was started: correct the arguments and call again",
    "AF-RUN-UNKNOWN": "list_workflow_runs and list_waiting_steps give the ids that there are",
    "AF-WAIT-UNKNOWN": "list_waiting_steps gives the ids of what can be answered",
    "AF-WAIT-INVALID": "it is still open: call resume_workflow again with an answer that fits its schema",
    "AF-WAIT-AMBIGUOUS": "give the task_id of one of them: list_waiting_steps",
    "AF-WAIT-HUMAN": "give the user the address `url`, if there is one, then call wait_workflow",
    "AF-WAIT-CONFLICT": "don't answer it again; get_workflow_run shows how its run goes on",
    "AF-WAIT-CLOSED": "don't answer it again; get_workflow_run shows how its run goes on",
    "AF-RUN-NOT-WAITING": "get_workflow_run shows how it goes on",
}
"""What helps where the error's own hint is for the command line."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a tool gives back."""

    data: Mapping[str, Any]
    """For programs."""
    text: str
    """For the model."""
    failed: bool = False
    run_id: str | None = None
    """The run that it is about."""
    usage: Mapping[str, Any] | None = None
    """What that has used, where the data don't tell it."""
    is_task: bool = False
    """Whether the data are a task's, for clients that follow it themselves."""
    requests: Mapping[str, Request] = field(default_factory=dict[str, Request])
    """What the client's user is asked, before the client goes on with the call; by name."""
    keys: Mapping[str, str] = field(default_factory=dict[str, str])
    """Their keys, by name."""
    state: str | None = None
    """What the client brings back then."""

    def without_secrets(self, redactor: Redactor) -> Result:
        """Return the result without the config's secrets."""
        return replace(self, data=redactor.value(self.data), text=redactor.text(self.text)) if redactor else self


@dataclass(frozen=True, slots=True)
class Told:
    """An error as tools tell it."""

    code: str
    message: str
    step: str | None = None
    why: str | None = None
    hint: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def data(self) -> dict[str, Any]:
        """Its JSON form, without empty fields."""
        names = ("code", "message", "step", "why", "hint")
        return {name: value for name in names if (value := getattr(self, name))}

    @property
    def text(self) -> str:
        """Its lines: what, why, hint."""
        where = f'step "{self.step}": ' if self.step and f'"{self.step}"' not in self.message else ""
        first, *more = self.message.splitlines() or [""]
        lines = [f"error[{self.code}]: {where}{first}", *lines_of("\n".join(more)), *lines_of(self.why or "")]
        return "\n".join([*lines, f"  hint: {' '.join(self.hint.split())}"] if self.hint else lines)


def as_json(data: object) -> str:
    """Write data as text."""
    return json.dumps(data, ensure_ascii=False)


def plain(data: Mapping[str, Any], *, failed: bool = False, run_id: str | None = None) -> Result:
    """Return data as a result whose text says all of it."""
    return Result(data, as_json(data), failed, run_id)


def told(error: AgentflowError) -> Told:
    """Return an error as tools tell it."""
    hint = error.hint
    if hint is None or _CLI.search(hint):
        hint = _HINTS.get(error.code, hint)
    return Told(error.code, error.what, None, error.why, hint, error.data)


def told_failure(failure: Failure) -> Told:
    """Return why a run failed as tools tell it."""
    return Told(failure.code, failure.told, failure.step, failure.why, failure.hint)


def refused(error: AgentflowError, about: Mapping[str, Any] | None = None) -> Result:
    """Return the result of a call that couldn't be carried out.

    Args:
        error: what was in the way.
        about: what else is known: `task_id` and the like.
    """
    what = told(error)
    data = {**(about or {}), "error": what.data}
    text = what.text if not about else f"{what.text}\n{as_json(about)}"
    run_id = about.get("task_id") if about else None
    return Result(data, text, failed=True, run_id=run_id)


def defect(error: Exception, redactor: Redactor) -> Defect:
    """Return what a client is told of an unexpected exception; its trace goes into a file."""
    if isinstance(error, Defect):
        return error
    path = report(error, redactor.text)
    why = f"the details are in {path} on the server" if path else None
    return Defect(f"agentflow itself failed ({type(error).__name__})", why=why)
