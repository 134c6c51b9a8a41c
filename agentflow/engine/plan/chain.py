"""What is told of runs inside runs: the cause once, and once the way to it. Pure."""

from __future__ import annotations

from typing import Any

from agentflow.data import is_array, is_object
from agentflow.engine.plan.state import RunState
from agentflow.errors import Failure

MAX_DEPTH = 100
"""Child runs in child runs."""
ENDS = 4
"""Runs at either end of a long way that are named."""


def of_child(child: RunState, failure: Failure | None, caller: str) -> Failure:
    """Return the failure of the step that started a run which has failed.

    Its `data` is that of what failed first, with `run_id` of the child, `cause`, and `runs`: the way from the child to
    where that happened. What a saga in the child has undone is told by its place behind the caller's step.
    """
    name, state = child.row.workflow, child.state
    failure = failure or Failure("AF-STEP-FAILED", "a step failed")
    below = _way(failure)
    cause = str(failure.data["cause"]) if below else failure.message
    here = {"workflow": name, "run_id": child.id, "step": failure.step}
    data = {**failure.data, "run_id": child.id, "cause": cause, "runs": _shortened([here, *below])}
    if is_array(report := data.get("compensated")):
        data["compensated"] = [_behind(caller, child.id, entry) for entry in report]
    return Failure(
        failure.code,
        f'the run of "{name}" {state}: {cause}',
        failure.kind,
        why=failure.why,
        hint=failure.hint,
        data=data,
    )


def _behind(caller: str, run_id: str, entry: Any) -> Any:
    """Return a line of a child's saga report as its caller tells it; a step's own data may look as it likes."""
    if not is_object(entry) or not isinstance(entry.get("step"), str):
        return entry
    return {"run_id": run_id, **entry, "step": f"{caller}/{entry['step']}"}


def _way(failure: Failure) -> list[Any]:
    """Return the way below a run that failed by one of its child runs; a step's own data may look as it likes."""
    runs, cause = failure.data.get("runs"), failure.data.get("cause")
    known = is_array(runs) and isinstance(cause, str) and all(is_object(each) for each in runs)
    return list(runs) if known and runs is not None else []


def _shortened(way: list[Any]) -> list[Any]:
    """Keep both ends of a long way, with how many runs are left out between them."""
    if len(way) <= 2 * ENDS:
        return way
    out = way[ENDS:-ENDS]
    more = sum(each.get("left_out", 1) for each in out)
    return [*way[:ENDS], {"left_out": more}, *way[-ENDS:]]


def too_deep(run: RunState, workflow: str) -> Failure | None:
    """Return the failure of a step that would start a run too deep inside others."""
    names = [workflow]
    current: RunState | None = run
    while current is not None:
        names.append(current.row.workflow)
        current = current.parent_run
    if len(names) <= MAX_DEPTH + 1:
        return None
    message = f"{_circle(names)} more than {MAX_DEPTH} levels deep"
    return Failure(
        "AF-LIMIT-DEPTH", message, kind="invalid", retryable=False,
        hint="end the recursion by a condition, or use a loop",
    )  # fmt: skip


def _circle(names: list[str]) -> str:
    """Say who starts whom, from the innermost run's name upwards."""
    again = names.index(names[0], 1) if names[0] in names[1:] else 0
    if again == 1:
        return f'"{names[0]}" starts itself'
    if 1 < again <= ENDS:
        return " starts ".join(f'"{name}"' for name in names[again::-1]) + ","
    return "sub-workflows are nested"
