"""Answers given in advance: `--answer step=@file`, and whether there is such a step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agentflow.cli.values import document, usage
from agentflow.definition.models import Step, Workflow
from agentflow.definition.scopes import walk
from agentflow.definition.suggest import meant
from agentflow.engine.locating import locate
from agentflow.engine.models import WaitView
from agentflow.errors import InputError

if TYPE_CHECKING:
    from agentflow.engine import Engine

WAITS = ("wait_for_input", "wait_for_event", "external_tool_call")


def read_answers(items: Sequence[str]) -> dict[str, Any]:
    """Read `--answer step=@file` and `--answer step=JSON`.

    Raises:
        InputError: one can't be read.
    """
    found: dict[str, Any] = {}
    for item in items:
        step, equals, text = item.partition("=")
        if not step or not equals:
            raise usage(f'--answer takes STEP=@file or STEP=JSON, not "{item}"', "--answer review=@answer.json")
        try:
            found[step] = document(text, "--answer")
        except InputError:
            if text[:1] in "@-{[":
                raise
            found[step] = text
    return found


def check_answers(answers: Mapping[str, Any], workflow: Workflow, others: Mapping[str, Workflow]) -> None:
    """Refuse answers for steps that neither a workflow nor one that it calls has.

    Args:
        answers: what was given, by step.
        workflow: the workflow that runs.
        others: the workflows that it may call, by id.

    Raises:
        InputError: there is no such step.
    """
    if not answers:
        return
    called = list(_called(workflow, others))
    if None in called:  # which one it is shows when it runs
        return
    steps = {step.id: step for each in called if each is not None for step in _steps(each)}
    for name in answers:
        if name in steps or any(each is not None and locate(each, name) is not None for each in called):
            continue
        waits = [step.id for step in steps.values() if step.type in WAITS]
        hint = meant(name, steps) or (
            f"steps that wait: {', '.join(waits[:8])}" if waits else "none of its steps waits"
        )
        raise usage(f'--answer: workflow "{workflow.id}" has no step "{name}"', hint)


async def written_id(engine: Engine, view: WaitView) -> str:
    """Return the id that a waiting step has in its file: a branch of one step stands at the branch's own address."""
    run = await engine.get(view.run_id, output=False)
    raw = await engine.store.get_definition(run.definition)
    found = locate(engine.core.env.catalog.learn(run.definition, raw).workflow, view.step)
    return found.id if found is not None else view.step


def _called(workflow: Workflow, others: Mapping[str, Workflow]) -> Iterator[Workflow | None]:
    """Yield a workflow and those that it calls; None for one that isn't known before it is called."""
    stack: list[Workflow | None] = [workflow]
    seen: set[str] = set()
    while stack:
        each = stack.pop()
        if each is not None and each.id in seen:
            continue
        yield each
        if each is not None:
            seen.add(each.id)
            names = [str(step.config.get("workflow")) for step in _steps(each) if step.type == "workflow"]
            stack += [others.get(name) for name in names]


def _steps(workflow: Workflow) -> Iterator[Step]:
    return (located.step for scope in walk(workflow) for located in scope.located)
