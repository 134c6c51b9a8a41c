"""What the steps of a workflow need, and what people will be asked, as definitions and config say it. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from agentflow.definition.gates import calls_one_of
from agentflow.definition.models import Step, Workflow

Kind = Literal["skill", "connection", "answer"]
_ASKS: Mapping[str, str] = {"wait_for_input": "input", "external_tool_call": "tool", "wait_for_event": "event"}
"""Step types that wait for somebody, and for what."""
_ENV = re.compile(r"\benv(?:\.([A-Za-z_]\w*)|\[['\"]([A-Za-z_]\w*)['\"]\])")
_GATES = ("approve", "review")
"""Fields of steps that ask somebody."""


@dataclass(frozen=True, slots=True)
class Want:
    """Something that steps need."""

    kind: Kind
    name: str
    """`native:shell`, `google:drive`; of an answer: what kind of one."""
    steps: tuple[str, ...]
    """The steps that need it; those of a sub-workflow with its id before them: `mail/send`."""
    scopes: tuple[str, ...] = ()
    """Of a connection: the permissions that are needed."""
    on_missing: Literal["ask", "fail"] = "ask"
    """Of a connection: what becomes of the steps without it."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known around a workflow."""

    skills: Callable[[str], Collection[str]]
    """Native skills that every step of a type needs."""
    workflow: Callable[[str], Workflow | None]
    """Finds a sub-workflow."""
    tools: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """The config's."""
    agents: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """The config's."""
    fed: Mapping[str, str] = field(default_factory=dict[str, str])
    """Variables of `env` that are tokens → the connection."""


def wants_of(workflow: Workflow, known: Known) -> tuple[Want, ...]:
    """Return what a workflow needs, each thing once: skills, connections, answers; in the order of its steps.

    Nested steps, hooks, compensation and sub-workflows count. What a template names isn't known before.
    """
    gathered = _Gathered()
    seen: set[str] = set()
    stack = [("", workflow)]
    while stack:
        prefix, each = stack.pop(0)
        if each.id in seen:
            continue
        seen.add(each.id)
        for name, step, holds in _steps(each):
            _gather(gathered, prefix + name, step, holds, known)
            if step.type == "workflow" and (child := _plain(step.config.get("workflow"))) is not None:
                found = known.workflow(child)
                if found is not None:
                    stack.append((f"{child}/", found))
    return gathered.wants()


def _steps(workflow: Workflow) -> Iterator[tuple[str, Step, bool]]:
    """Yield all steps in order, what each is called, and whether it holds others."""
    every = (*workflow.steps, *workflow.on_success, *workflow.on_failure, *workflow.finally_)
    stack = [(step.id, step) for step in reversed(every)]
    while stack:
        name, step = stack.pop()
        inside = [inner for body in step.bodies.values() for inner in body.steps]
        yield name, step, bool(inside)
        inner = [(each.id, each) for each in (*inside, *step.on_success, *step.on_failure, *step.finally_)]
        undoing = step.compensate.steps if step.compensate is not None else ()
        stack += reversed([*inner, *((f"{name}/{each.id}", each) for each in undoing)])


class _Gathered:
    def __init__(self) -> None:
        self._steps: dict[tuple[Kind, str], dict[str, None]] = {}
        self._scopes: dict[str, dict[str, None]] = {}
        self._fails: dict[str, bool] = {}

    def add(self, kind: Kind, name: str, step: str) -> None:
        self._steps.setdefault((kind, name), {})[step] = None

    def connection(self, name: str, step: str, scopes: Collection[str] = (), *, fails: bool = False) -> None:
        self.add("connection", name, step)
        self._scopes.setdefault(name, {}).update(dict.fromkeys(scopes))
        self._fails[name] = self._fails.get(name, False) or fails

    def wants(self) -> tuple[Want, ...]:
        order: Mapping[Kind, int] = {"skill": 0, "connection": 1, "answer": 2}
        found = sorted(self._steps.items(), key=lambda item: order[item[0][0]])
        return tuple(
            Want(
                kind, name, tuple(steps), tuple(self._scopes.get(name, ())) if kind == "connection" else (),
                "fail" if kind == "connection" and self._fails[name] else "ask",
            )
            for (kind, name), steps in found
        )  # fmt: skip


def _gather(gathered: _Gathered, name: str, step: Step, holds: bool, known: Known) -> None:
    for skill in known.skills(step.type):
        gathered.add("skill", skill, name)
    for need in step.requires:
        if need.is_native:
            gathered.add("skill", need.skill, name)
        else:
            gathered.connection(need.skill, name, need.permissions, fails=need.on_missing == "fail")
    connection = _implied(step, known)
    if connection is not None and not holds:
        gathered.connection(connection, name)
    if known.fed:
        for name_of_env in dict.fromkeys(_env_in((step.config, step.with_))):
            if name_of_env in known.fed:
                gathered.connection(known.fed[name_of_env], name)
    if step.type in _ASKS:
        gathered.add("answer", _ASKS[step.type], name)
    for gate in _GATES:
        if getattr(step, gate, None):
            gathered.add("answer", gate, name)
    gated = [name for name, entry in known.tools.items() if entry.get("approve") is not None]
    if gated and calls_one_of(step.type, step.config, gated):
        gathered.add("answer", "approve", name)


def _env_in(value: Any) -> Iterator[str]:
    """Yield the names of `env` that templates in a value read."""
    if isinstance(value, str):
        yield from (found[1] or found[2] for found in _ENV.finditer(value))
    elif isinstance(value, Mapping):
        for item in cast("Mapping[Any, Any]", value).values():
            yield from _env_in(item)
    elif isinstance(value, list | tuple):
        for item in cast("list[Any]", value):
            yield from _env_in(item)


def _implied(step: Step, known: Known) -> str | None:
    """Return the connection that a step uses by its fields, or by the tool or agent that it asks."""
    own = _plain(step.config.get("connection"))
    if own is not None:
        return own
    if step.type == "agent_run":
        entry = known.agents.get(_plain(step.config.get("agent")) or "")
    elif step.type == "tool_call":
        entry = known.tools.get(_server(step, known) or "")
    else:
        return None
    return _plain(entry.get("connection")) if entry is not None else None


def _server(step: Step, known: Known) -> str | None:
    """Return the server whose tool a step calls, where that is known before."""
    named = _plain(step.config.get("server"))
    tool = step.config.get("tool_name")
    if named is not None or (isinstance(tool, str) and tool in known.tools):
        return named
    servers = [name for name, entry in known.tools.items() if not entry.get("python")]
    return servers[0] if len(servers) == 1 else None


def _plain(value: Any) -> str | None:
    """Return a name that no template makes."""
    return value if isinstance(value, str) and value and "{" not in value else None
