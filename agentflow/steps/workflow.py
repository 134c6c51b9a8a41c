"""`workflow`: another workflow as a child run with its own tasks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from agentflow.steps.containers import DONE, NOTHING, Bodies, Child, Frame, Move, Opening
from agentflow.steps.contract import StepType


class WorkflowConfig(BaseModel):
    """Fields of a sub-workflow step."""

    model_config = ConfigDict(extra="forbid")

    workflow: str
    """Id of the workflow to run."""
    input: Any = None
    """Its input; default: the step's `with`."""


class SubWorkflow:
    """Asks for a child run; the planner gives it its result."""

    def start(self, frame: Frame) -> Move:
        """Start the child."""
        given = frame.field("input")
        return Move(child=Child(str(frame.field("workflow")), {} if given is None else given))

    def ended(self, frame: Frame, label: str) -> Move:
        """End with the child."""
        return DONE

    def fired(self, frame: Frame) -> Move:
        """Do nothing: it sets no timers."""
        return NOTHING

    def restore(self, frame: Frame, labels: Collection[str]) -> Sequence[Opening]:
        """Open nothing: the child run is a tree of its own."""
        return ()

    def rewind(self, memo: dict[str, Any], done: Collection[str]) -> dict[str, Any] | None:
        """Start the child anew."""
        return None

    def result(self, bodies: Bodies) -> Any:
        """Return null: the child's output is stored as the step's result."""
        return None


TYPES = (
    StepType(
        "workflow",
        WorkflowConfig,
        "Runs another workflow as a child run.",
        container=SubWorkflow(),
        takes_input=True,
    ),
)
