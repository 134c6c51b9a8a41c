"""Runs that need functions or agents which were given elsewhere, in Python: they are left to who has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agentflow.definition.nested import with_nested
from agentflow.engine.host.damaged import wants_end
from agentflow.engine.program import Program
from agentflow.errors import AgentflowError
from agentflow.steps.services import ProcessServices
from agentflow.store.contract import Store
from agentflow.store.loaded import LoadedRun, LoadedTree
from agentflow.store.rows import TERMINAL


class LackingError(AgentflowError):
    """This process can't go on with a run, and another can."""

    def __init__(self, run: str, lacks: Sequence[tuple[str, str]]) -> None:
        """Make an error of a run and what it needs: `("function", "shop:send")`."""
        self.lacks = tuple(lacks)
        named = ", ".join(f'{kind} "{name}"' for kind, name in lacks)
        hint = "Engine.open(…, workflows=[…]) with the workflow, or its module in the config: python: {modules: […]}"
        if all(kind == "agent" for kind, _ in lacks):
            hint = "Engine.open(…, agents={…}), or list it in the config's agents"
        what = f"run {run} is left to another process: {named} isn't known in this one"
        super().__init__(what, code="AF-PYTHON-DENIED", hint=hint)


async def others_live(store: Store) -> bool:
    """Tell whether other hosts of a store live: one of them may have what this one lacks."""
    living = await store.liveness.living() or set()
    return bool(living - {store.holder})


def refuse_lacking(services: ProcessServices, tree: LoadedTree, programs: Sequence[Program]) -> None:
    """Refuse a run that has begun elsewhere, and whose open steps call what this process hasn't got.

    One that hasn't begun isn't refused: it fails at the step, and who started it learns why. Nor is one that is to
    be cancelled, for which hardly ever anything is called.

    Raises:
        LackingError: with what it lacks.
    """
    if wants_end(tree):
        return
    begun = [run for run in tree.runs if run.row.state != "submitted" and run.steps]
    programs_of = zip(tree.runs, programs, strict=False)  # those of runs come first, then what they may call
    called = [each for run, program in programs_of if run in begun for each in _called(run, program)]
    lacks = [each for each in dict.fromkeys(called) if lacking(services, *each)]
    if lacks:
        raise LackingError(tree.runs[0].row.id, lacks)


def lacking(services: ProcessServices, kind: str, name: str) -> bool:
    """Tell whether a function or an agent isn't to be had here."""
    return name not in services.agents if kind == "agent" else not services.knows(name)


def _called(run: LoadedRun, program: Program) -> Iterator[tuple[str, str]]:
    done = {step.address for step in run.steps if step.state in TERMINAL}
    workflow = program.workflow
    steps = [step for step in workflow.steps if step.id not in done]
    for step in with_nested([*steps, *workflow.on_success, *workflow.on_failure, *workflow.finally_]):
        kind = {"python": "function", "agent_run": "agent"}.get(step.type)
        name = step.config.get(kind) if kind is not None else None
        if kind is not None and isinstance(name, str) and "{" not in name:
            yield kind, name
