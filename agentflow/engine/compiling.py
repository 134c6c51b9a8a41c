"""Definitions made ready to run: checked beside those that there are, with the config's defaults, and compiled once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from agentflow.data import canonical, digest
from agentflow.definition.canonical import to_data
from agentflow.definition.models import Defaults, GivenStep, Workflow
from agentflow.definition.nested import all_steps, called_by
from agentflow.engine.host.environment import Environment
from agentflow.engine.plan.frame import RUN_PARALLEL
from agentflow.engine.program import Program
from agentflow.errors import AgentflowError, ConflictError, DefinitionError, NotFoundError, Problem

if TYPE_CHECKING:
    from agentflow.config import Config


def extended(config: Config, workflows: Iterable[Workflow]) -> Config:
    """Return a config with further workflows, checked with those it has; raises DefinitionError."""
    from agentflow.config import config_from  # noqa: PLC0415  checking costs its imports

    new = {workflow.id: workflow for workflow in workflows}
    if not new:
        return config
    old = {name: workflow for name, workflow in config.workflows.items() if name not in new}
    made = config_from([*old.values(), *new.values()], base=config)
    return replace(config, workflows=made.workflows, parsed=made.parsed, sources=made.sources)


def register(env: Environment, workflow: Workflow, config: Config) -> Program:
    """Make a checked workflow known by its id."""
    program = compiled(env, workflow, config)
    env.catalog.configure(workflow, program)
    return program


TAKEN: Final = frozenset({"workflows", "documents", "parsed", "sources", "warnings", "defaults", "description"})
"""What is taken of a config that is loaded again; by the rest an open engine goes as it was opened."""


def reloaded(env: Environment, old: Config, new: Config) -> Config:
    """Take the workflows of a config that was loaded again, for runs that start from now on.

    Args:
        env: of the engine.
        old: the engine's config.
        new: the one that was loaded.

    Returns:
        The engine's config with these workflows.

    Raises:
        ConflictError: something else has changed, too; then nothing is taken.
    """
    names = [each.name for each in fields(old) if each.name not in TAKEN]
    changed = [name for name in names if getattr(old, name) != getattr(new, name)]
    if changed:
        raise ConflictError(f"{', '.join(changed)} of the config changed", hint="start again: only workflows are taken")
    for workflow in new.workflows.values():
        register(env, workflow, new)
    for name in old.sources.keys() - new.workflows.keys():
        env.catalog.drop(name)
    own = {name: each for name, each in old.workflows.items() if name not in old.sources}
    return replace(
        old, workflows={**own, **new.workflows}, parsed=new.parsed, sources=new.sources, documents=new.documents,
        warnings=new.warnings, defaults=new.defaults, description=new.description,
    )  # fmt: skip


def compiled(env: Environment, workflow: Workflow, config: Config) -> Program:
    """Return a checked workflow ready to run, with the config's defaults where it has none."""
    _take_functions(env, workflow)
    _take_called(env, workflow, config)
    effective = with_defaults(workflow, config)
    raw = canonical(to_data(effective))
    name = digest(raw)
    program = env.catalog.compiled(effective, name, raw)
    program.prepare()
    return program


def _take_functions(env: Environment, workflow: Workflow) -> None:
    """Take the functions that a workflow's steps were given as objects: who gave them allows them."""
    for step in all_steps(workflow):
        if isinstance(step, GivenStep) and step.function is not None:
            env.services.add_function(step.config["function"], step.function)
            env.checker.grant("python")


def _take_called(env: Environment, workflow: Workflow, config: Config) -> None:
    """Know the workflows that come along with a workflow's steps by their ids."""
    for called in called_by(workflow):
        known = env.catalog.originals.get(called.id)
        if known is None:
            register(env, called, config)
        elif known != called:
            what = f'workflow "{workflow.id}" calls another "{called.id}" than this engine has by that id'
            raise DefinitionError([Problem("AF-WORKFLOW-DUPLICATE", what, hint="give one of them another id")])


def with_defaults(workflow: Workflow, config: Config) -> Workflow:
    """Return a workflow with the config's `defaults` and `max_parallel` where it says nothing itself."""
    given = config.defaults.model_dump(exclude_none=True)
    own = workflow.defaults.model_dump(exclude_none=True)
    changes: dict[str, Any] = {}
    if any(name not in own for name in given):
        fields = {name: getattr(config.defaults, name) for name in given}
        fields.update({name: getattr(workflow.defaults, name) for name in own})
        changes["defaults"] = Defaults(**fields)
    if workflow.max_parallel is None and config.limits.max_parallel != RUN_PARALLEL:
        changes["max_parallel"] = config.limits.max_parallel
    return workflow.model_copy(update=changes) if changes else workflow


def program_of(env: Environment, config: Config, workflow: str | Workflow) -> Program:
    """Return what to start: by its id in the config, or as it is given; raises NotFoundError."""
    if isinstance(workflow, Workflow):
        known = env.catalog.given(workflow)
        if known is None:  # it is this run's, whatever its id means to others
            extended(config, [workflow])
            known = compiled(env, workflow, config)
            env.catalog.lend(workflow, known)
        return known
    if not isinstance(workflow, str):  # pyright: ignore[reportUnnecessaryIsInstance]  users may give anything
        given = (
            f"the class {workflow.__name__}"
            if isinstance(workflow, type)
            else f"an object of {type(workflow).__name__}"
        )
        what = f"a run is started of a workflow or its id, not of {given}"
        raise AgentflowError(what, code="AF-USAGE", hint='engine.start("report", {…})')
    program = env.catalog.current.get(workflow)
    if program is None:
        near = get_close_matches(workflow, env.catalog.current, 1)
        hint = f'did you mean "{near[0]}"?' if near else "workflows here: " + (", ".join(env.catalog.current) or "none")
        raise NotFoundError(f'Workflow not found: "{workflow}"', code="AF-WORKFLOW-UNKNOWN", hint=hint)
    return program


def pinned(env: Environment, program: Program) -> dict[str, str]:
    """Return the hashes of the sub-workflows that a definition names without templates, by id; its own id is itself."""
    own, cache = program.workflow.id, env.catalog.pins
    known = cache.get(program.digest)
    if known is not None:
        return known
    found: dict[str, Program] = {}
    stack = [program]
    while stack:
        for name in sub_workflows(stack.pop().workflow):
            child = program if name == own else env.catalog.current.get(name)
            if child is not None and name not in found:
                found[name] = child
                stack.append(child)
    pins = {name: p.digest for name, p in found.items()}
    if env.catalog.current.get(own) is program:
        cache[program.digest] = pins
    return pins


def sub_workflows(workflow: Workflow) -> list[str]:
    """Return the ids of the sub-workflows that a workflow names without templates."""
    names = (step.config.get("workflow") for step in all_steps(workflow) if step.type == "workflow")
    return list(dict.fromkeys(name for name in names if isinstance(name, str) and "{" not in name))
