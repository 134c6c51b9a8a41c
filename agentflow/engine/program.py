"""A workflow made ready to run: scopes with their order, steps with their templates compiled, each on first use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeAlias, cast

from pydantic import BaseModel

from agentflow.data import encode
from agentflow.definition.gates import Approve, Review
from agentflow.definition.inputs import validator
from agentflow.definition.models import Body, ForEachField, RetryPolicy, Step, Workflow
from agentflow.definition.nested import can_undo
from agentflow.definition.order import Order, order
from agentflow.definition.pointers import segment
from agentflow.engine.exchange import Need
from agentflow.engine.gates import Gated, gated
from agentflow.engine.lazily import lazy
from agentflow.engine.needs import connections_of
from agentflow.errors import DefinitionError, Problem
from agentflow.expressions import (
    NAMESPACES,
    Compiled,
    Condition,
    NamedValues,
    compile_condition,
    compile_value,
    is_plain,
)
from agentflow.steps.containers import Container
from agentflow.steps.contract import StepType

Types: TypeAlias = Callable[[str], StepType | None]


NOTHING = NamedValues({})
"""For templates without references: they only have escapes."""


class Program:
    """One definition, ready to run."""

    def __init__(
        self, workflow: Workflow, digest: str, types: Types, http_timeout: float | None = None, raw: bytes | None = None
    ) -> None:
        """Prepare a workflow.

        Args:
            workflow: a checked definition.
            digest: its hash.
            types: finds step types by name.
            http_timeout: the config's timeout of HTTP requests, for api_call steps without one.
            raw: the definition as JSON, to be stored with runs of it.
        """
        self.raw = raw
        self.http_timeout = http_timeout
        self.workflow = workflow
        self.digest = digest
        self.types = types
        root = Step(
            id="run",
            type="sequence",
            bodies={"steps": Body(steps=workflow.steps)},
            on_success=workflow.on_success,
            on_failure=workflow.on_failure,
        ).model_copy(update={"finally_": workflow.finally_})
        self.root = StepProgram(self, root, NAMESPACES, is_root=True)
        self._configs: dict[tuple[str, bytes], BaseModel] = {}

    def prepare(self) -> None:
        """Do now what the first run would wait for: work out the order of the steps, and compile their templates."""
        body = self.root.bodies["steps"]
        for number in range(len(body.steps)):
            body.member(number).prepare()

    def shared_config(self, spec: StepType, config: Mapping[str, Any]) -> BaseModel:
        """Return a validated config; equal steps share one, as big graphs have many."""
        key = (spec.name, encode(config))
        found = self._configs.get(key)
        if found is None:
            found = self._configs[key] = spec.config.model_validate(config)
        return found

    @lazy
    def reducers(self) -> Mapping[str, str]:
        """Reducers that are functions of the user, `module:function`, by their keys."""
        return {key: shared.reducer for key, shared in self.workflow.context.items() if ":" in shared.reducer}

    @lazy
    def output(self) -> Compiled | None:
        """The workflow's `output` template."""
        if self.workflow.output is None:
            return None
        return compile_value(self.workflow.output, NAMESPACES, dialect=self.workflow.dialect)

    @lazy
    def input_validator(self) -> Callable[[Any], list[str]] | None:
        """Checks an input against the workflow's schema."""
        return validator(self.workflow.input_schema) if self.workflow.input_schema else None

    @lazy
    def output_validator(self) -> Callable[[Any], list[str]] | None:
        """Checks an output against the workflow's schema."""
        return validator(self.workflow.output_schema) if self.workflow.output_schema else None


class ScopeProgram:
    """A list of steps with its order."""

    def __init__(
        self, program: Program, steps: Sequence[Step], names: frozenset[str], execution: str, holder: StepProgram
    ) -> None:
        """Prepare a scope; its steps are prepared on first use."""
        self.program = program
        self.steps = steps
        self.names = names
        self.holder = holder
        self.order: Order = order(steps, "parallel" if execution == "parallel" else "sequential")
        self.index = {step.id: number for number, step in enumerate(steps)}
        self.segments = [segment(step.id) for step in steps]
        """The steps' ids as parts of addresses."""
        self.single = False
        self.around: Sequence[Need] = ()
        """Connections that the steps around it need."""
        self._members: list[StepProgram | None] = [None] * len(steps)

    def number_of(self, name: str) -> int | None:
        """Return the number of a step by its part of an address."""
        found = self.index.get(name)
        if found is None and name in self.segments:
            found = self.segments.index(name)
        return found

    @lazy
    def containers(self) -> frozenset[int]:
        """Numbers of the steps that hold others; asking for them makes no step's program."""
        types, steps = self.program.types, enumerate(self.steps)
        return frozenset(n for n, step in steps if step.for_each or getattr(types(step.type), "container", None))

    def member(self, number: int) -> StepProgram:
        """Return a step by its number."""
        found = self._members[number]
        if found is None:
            found = self._members[number] = StepProgram(
                self.program, self.steps[number], self.names, around=self.around
            )
        return found


class StepProgram:
    """One step: its type, its compiled templates and its effective policies."""

    def __init__(
        self, program: Program, step: Step, names: frozenset[str], *, inner: bool = False, is_root: bool = False,
        around: Sequence[Need] = (),
    ) -> None:  # fmt: skip
        """Prepare a step.

        Args:
            program: the workflow's.
            step: the step.
            names: namespaces and item names that its templates may use.
            inner: it is the step inside its own `for_each` field.
            is_root: it stands for the run itself.
            around: connections that the steps around it need.
        """
        self.program = program
        self.step = step
        self.is_root = is_root
        self.loop: ForEachField | None = None if inner else step.for_each
        self.inner = inner
        spec = program.types("for_each" if self.loop else step.type)
        if spec is None:
            raise DefinitionError([Problem("AF-STEP-TYPE", f'no step type is called "{step.type}"')])
        self.spec = spec
        self.container = cast("Container | None", spec.container)
        self.connections = connections_of(step, spec, around) if step.requires or around else ()
        with_names = frozenset(step.with_ or ()) if program.workflow.dialect == "distri" else frozenset[str]()
        self.names = names | with_names
        self.outer_names = names
        defaults = program.workflow.defaults
        self.retry: RetryPolicy | None = None
        self.on_error = "fail"
        self.timeout: float | None = None
        if not self.loop and not is_root:
            # not of containers: their steps have it, and tries would multiply
            by_default = None if step.at_most_once or self.container is not None else defaults.retry
            self.retry = step.retry or by_default
            self.on_error = step.on_error or defaults.on_error or "fail"
            self.timeout = step.timeout or self._default_timeout(defaults.timeout) or self._type_timeout()
        workflow = program.workflow
        siblings = workflow.on_error_siblings if is_root else step.on_error_siblings
        self.siblings = siblings or defaults.on_error_siblings or "finish"
        self.gated = not self.loop and not (step.approve is None and step.review is None)

    def prepare(self) -> None:
        """Compile what most steps have; whatever is wrong with it, the step tells when it comes to it."""
        with suppress(Exception):
            _ = self.has_gate, self.with_, self.update, self.concurrency, self.constant

    def _default_timeout(self, default: float | None) -> float | None:
        waits = self.spec.whole_timeout or self.container is not None
        return None if waits else default

    def _type_timeout(self) -> float | None:
        return (self.spec.name == "api_call" and self.program.http_timeout) or self.spec.timeout

    def _compile(self, value: Any, names: frozenset[str] | None = None) -> Compiled:
        return compile_value(value, self.names if names is None else names, dialect=self.program.workflow.dialect)

    def _condition(self, value: Any) -> Condition:
        return compile_condition(value, self.names, dialect=self.program.workflow.dialect)

    @property
    def is_leaf(self) -> bool:
        """Whether a worker executes it: also what only waits, where credentials are looked for before."""
        return self.spec.execute is not None or bool(self.connections and self.container is None)

    @lazy
    def with_(self) -> Compiled | None:
        """The step's `with`, compiled."""
        if self.loop or self.step.with_ is None:
            return None
        return self._compile(self.step.with_, self.outer_names)

    @lazy
    def if_(self) -> Condition | None:
        """Runs when true. Of a step with `for_each`, the condition belongs to the whole."""
        return None if self.inner or self.step.if_ is None else self._condition(self.step.if_)

    @lazy
    def skip_if(self) -> Condition | None:
        """Is skipped when true."""
        return None if self.inner or self.step.skip_if is None else self._condition(self.step.skip_if)

    @lazy
    def delay(self) -> Compiled | None:
        """Pause before the step."""
        return None if self.inner or self.step.delay is None else self._compile(self.step.delay)

    @lazy
    def at(self) -> Compiled | None:
        """Earliest time."""
        return None if self.inner or self.step.at is None else self._compile(self.step.at)

    @lazy
    def update(self) -> Compiled | None:
        """Shared keys to write."""
        return None if self.loop or self.step.update is None else self._compile(self.step.update)

    @lazy
    def concurrency(self) -> Compiled | None:
        """Key of a store-wide limit. Of a step with `for_each`, each item's."""
        return None if self.loop or self.step.concurrency is None else self._compile(self.step.concurrency.key)

    @lazy
    def has_gate(self) -> bool:
        """Whether anything stands between being ready and running."""
        step = self.step
        return not (step.if_ is None and step.skip_if is None and step.delay is None and step.at is None)

    @lazy
    def approve(self) -> Gated[Approve] | None:
        """What somebody has to approve before it begins. Of a step with `for_each`, each item's."""
        return gated(self.step.approve, self._compile, self._condition) if self.gated else None

    @lazy
    def review(self) -> Gated[Review] | None:
        """What somebody has to accept after it has worked."""
        return gated(self.step.review, self._compile, self._condition) if self.gated else None

    @property
    def needy(self) -> bool:
        """Whether the step needs skills, connections apart."""
        return bool(self.spec.skills or self.step.requires) and self.loop is None and not self.is_root

    @property
    def needs(self) -> tuple[str, ...]:
        """Skills that the step needs, its type's first; no connections."""
        if not self.needy:
            return ()
        own = (need.skill for need in self.step.requires if need.is_native)
        return tuple(dict.fromkeys((*self.spec.skills, *own)))

    @lazy
    def raw_config(self) -> dict[str, Any]:
        """Fields that are no templates."""
        if self.loop:
            return {"item": self.loop.item, "index": self.loop.index}
        return {k: v for k, v in self.step.config.items() if k in self.spec.raw}

    @lazy
    def config(self) -> Compiled:
        """The type's template fields."""
        if self.loop:
            return self._compile({"in": self.loop.in_})
        skip = {*self.spec.raw, *self.spec.conditions}
        return self._compile({k: v for k, v in self.step.config.items() if k not in skip})

    @lazy
    def fields(self) -> dict[str, Compiled]:
        """The template fields one by one, as containers read them."""
        source: Mapping[str, Any] = {"in": self.loop.in_} if self.loop else self.step.config
        return {k: self._compile(v) for k, v in source.items() if k not in self.spec.raw}

    @lazy
    def conditions(self) -> dict[str, list[Condition]]:
        """The type's condition fields; a single one is a list of one."""
        found: dict[str, list[Condition]] = {}
        for name in self.spec.conditions:
            value = self.step.config.get(name)
            if value is not None:
                values: list[Any] = cast("list[Any]", value) if isinstance(value, list) else [value]
                found[name] = [self._condition(item) for item in values]
        return found

    @lazy
    def constant(self) -> tuple[Mapping[str, Any], BaseModel] | None:
        """The type's fields, and these validated, where no template is in them."""
        spec, step = self.spec, self.step
        if spec.takes_input and step.with_ is not None:
            return None
        if not spec.raw and not spec.conditions and not self.loop and is_plain(step.config):
            return step.config, self.program.shared_config(spec, step.config)
        if not self.config.constant:
            return None
        fields = {**self.plain_conditions, **self.raw_config, **self.config.render(NOTHING)}
        return fields, spec.config.model_validate(fields)

    @lazy
    def plain_conditions(self) -> dict[str, Any]:
        """Condition fields as they are written, for types that read them themselves."""
        return {k: self.step.config[k] for k in self.spec.conditions if k in self.step.config}

    def body_names(self) -> frozenset[str]:
        """Return the names that templates in the bodies may use."""
        names = self.names
        if self.loop:
            return names | {self.loop.item, self.loop.index}
        if self.spec.name == "for_each":
            config = self.step.config
            return names | {str(config.get("item", "item")), str(config.get("index", "index"))}
        return names | {"index"} if self.spec.name in {"while", "until", "recur"} else names

    @lazy
    def undoable(self) -> bool:
        """Whether a step inside it can be undone."""
        return can_undo(self.step)

    @lazy
    def bodies(self) -> dict[str, ScopeProgram]:
        """Nested scopes by body key."""
        if self.loop:
            inner = self.step.model_copy(update={"for_each": None, "depends_on": (), "depends_on_any": ()})
            scope = ScopeProgram(self.program, (inner,), self.body_names(), "sequential", self)
            scope.single = True
            inside = StepProgram(self.program, inner, scope.names, inner=True, around=self.connections)
            scope._members[0] = inside  # pyright: ignore[reportPrivateUsage]  same module
            return {"steps": scope}
        made = {key: self._scope(body, self._execution()) for key, body in self.step.bodies.items()}
        for scope in made.values():
            scope.around = self.connections
        return made

    def _execution(self) -> str:
        workflow = self.program.workflow
        default = workflow.execution or workflow.defaults.execution or "sequential"
        return {"parallel": "parallel", "sequence": "sequential", "saga": "sequential"}.get(
            "" if self.is_root else self.spec.name, default
        )

    def _scope(self, body: Body, execution: str) -> ScopeProgram:
        scope = ScopeProgram(self.program, body.steps, self.body_names(), execution, self)
        scope.single = body.single
        return scope

    @lazy
    def hooks(self) -> dict[str, ScopeProgram]:
        """Scopes of `on_success`, `on_failure` and `finally` that aren't empty."""
        if self.loop:
            return {}
        steps = {"on_success": self.step.on_success, "on_failure": self.step.on_failure, "finally": self.step.finally_}
        return {
            name: ScopeProgram(self.program, found, self.names, "sequential", self)
            for name, found in steps.items()
            if found
        }

    @lazy
    def compensation(self) -> ScopeProgram | None:
        """The scope that undoes the step."""
        body = self.step.compensate
        if body is None or self.loop:
            return None
        steps = body.steps
        if body.single:
            steps = (steps[0].model_copy(update={"id": self.step.id}),)
        return self._scope(Body(steps=steps, single=body.single), "sequential")
