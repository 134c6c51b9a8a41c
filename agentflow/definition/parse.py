"""From plain data to a workflow: every way of writing one, and every problem at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import ValidationError

from agentflow.data import is_array, is_object
from agentflow.definition import distri, short
from agentflow.definition.canonical import definition_hash, to_data
from agentflow.definition.faults import Faults, Path
from agentflow.definition.field_names import written
from agentflow.definition.models import Workflow
from agentflow.definition.parse_steps import At, StepReader
from agentflow.definition.places import depth_exceeds
from agentflow.definition.pointers import join
from agentflow.definition.step_fields import HOOKS
from agentflow.definition.tally import Tally
from agentflow.definition.types import PlaceOf, TypeLookup
from agentflow.errors import Problem
from agentflow.expressions.view import NAMESPACES

__all__ = ["Parsed", "definition_hash", "parse_workflow", "to_data"]

Dialect = Literal["agentflow", "distri"]
_FIELDS = [written(name, info) for name, info in Workflow.model_fields.items()]
_KNOWN = [*(name for name in _FIELDS if name != "dialect"), "input"]
BUILTIN = tuple(
    """
    api_call tool_call agent_run script python set condition switch parallel sequence for_each while until saga workflow
    wait_for_input wait_for_event external_tool_call delay schedule recur poll publish reply respond checkpoint artifact
    end
    """.split()  # noqa: SIM905  28 quoted words in a column help nobody
)
"""Names of the built-in step types, for suggestions."""


@dataclass
class Parsed:
    """What came out of parsing. A workflow with problems is there as far as it could be read, for further checks."""

    workflow: Workflow | None
    problems: list[Problem] = field(default_factory=list[Problem])
    pointers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Step address → JSON pointer; "" is the workflow itself."""
    moved: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    """Step address → field (and path below, joined by `/`) → pointer, where that isn't the step's pointer plus both."""
    broken: frozenset[str] = frozenset()
    """Addresses of steps with errors: what only follows from those isn't worth telling."""

    def pointer(self, address: str, field: str | None = None, *path: str | int) -> str:
        """Return the JSON pointer of a step, of one of its fields, or of a value below that.

        Args:
            address: the step's address in the definition; "" is the workflow itself.
            field: a field as YAML writes it; distri's nested `kind` and short forms are looked through.
            path: keys and indexes below the field.
        """
        base = self.pointers.get(address)
        if base is None:
            base = self.pointers.get("", "")
        if field is None:
            return base
        parts = (field, *path)
        moved = self.moved.get(address)
        if moved:
            for end in range(len(parts), 0, -1):
                found = moved.get("/".join(map(str, parts[:end])))
                if found is not None:
                    return join(found, *parts[end:])
        return join(base, *parts)


def parse_workflow(
    data: Any,
    types: TypeLookup,
    *,
    id: str | None = None,  # noqa: A002  named as in YAML
    pointer: str = "",
    dialect: Dialect | None = None,
    place: PlaceOf | None = None,
    type_names: Callable[[], Iterable[str]] = lambda: BUILTIN,
    tally: Tally | None = None,
) -> Parsed:
    """Read one workflow: flat, with distri's nested `kind`, or a whole distri agent file.

    Args:
        data: plain JSON data.
        types: finds step types.
        id: the workflow's id where the data has none, such as its key under `workflows`.
        pointer: where the data stands in its document.
        dialect: how references are searched; default: seen from the data.
        place: finds the place of a pointer (`Document.place`).
        type_names: tells the step types' names, for suggestions.
        tally: counts the problems of the whole config.

    Returns:
        The workflow and the problems that are told, warnings included.
    """
    faults = Faults(place, tally)
    if not is_object(data):
        hint = f"indent `{id}` below the id of its workflow" if id in _KNOWN else None
        faults.wrong_type(f'workflow "{id}"' if id else "a workflow", "a mapping", data, pointer, hint)
        return Parsed(None, faults.problems, {"": pointer})
    if depth_exceeds(data):
        faults.add("AF-DEFINITION-DEPTH", "values are nested deeper than 100 levels", pointer)
        return Parsed(None, faults.problems, {"": pointer})
    return _WorkflowReader(data, types, type_names, faults, id, pointer, dialect).read()


class _WorkflowReader:
    def __init__(
        self,
        data: dict[str, Any],
        types: TypeLookup,
        type_names: Callable[[], Iterable[str]],
        faults: Faults,
        given_id: str | None,
        pointer: str,
        dialect: Dialect | None,
    ) -> None:
        self.faults = faults
        self.errors_before = faults.tally.found["error"]
        self.given_id = given_id
        self.pointer = pointer
        self.moved: dict[str, str] = {}
        self.fields: dict[str, Any] = {}
        self.meant: set[str | None] = set()
        if distri.is_agent_file(data):
            dialect = dialect or "distri"
            data = self._agent_file(data)
        said: Any = data.get("dialect")
        self.dialect: Any = dialect or said or ("distri" if distri.is_distri(data) else "agentflow")
        self.data = data
        self.lenient = self.dialect == "distri"
        self.steps = StepReader(types, type_names, faults, lenient=self.lenient)
        self.owner = "the workflow"

    def read(self) -> Parsed:
        self._id()
        self._fields()
        self._schema()
        at = At(join(self.pointer, "steps"), "", NAMESPACES)
        if "steps" not in self.data and "steps" not in self.meant:
            self.faults.add("AF-FIELD-MISSING", f'{self.owner} needs a field "steps"', self.pointer)
        self.fields["steps"] = (
            self.steps.read_list(self.data["steps"], f'"steps" of {self.owner}', at) if "steps" in self.data else ()
        )
        pointers = {name: join(self.pointer, name) for name in HOOKS}
        hooks = self.steps.read_hooks(self.data, self.owner, At("", "", NAMESPACES), pointers)
        workflow = self._build({**self.fields, **hooks})
        if workflow is not None:
            self._triggers(workflow)
        self.steps.pointers[""] = self.pointer
        if self.moved:
            self.steps.moved[""] = self.moved
        return Parsed(
            workflow, self.faults.problems, self.steps.pointers, self.steps.moved, frozenset(self.steps.broken)
        )

    def _agent_file(self, data: dict[str, Any]) -> dict[str, Any]:
        """Take the definition out of an agent file, with what the file says around it."""
        for name in data:
            if name not in distri.AGENT_FIELDS:
                self.faults.unknown_field(
                    "the agent file", name, sorted(distri.AGENT_FIELDS), join(self.pointer, name), lenient=True
                )
        inner: Any = data["definition"]
        outer = self.pointer
        self.pointer = join(outer, "definition")
        if not is_object(inner):
            self.faults.wrong_type('"definition" of the agent file', "a mapping", inner, self.pointer)
            return {"steps": []}
        merged = dict(inner)
        for name in ("description", "version", "input_schema", "triggers"):
            if data.get(name) is not None and not merged.get(name):
                merged[name] = data[name]
                self.moved[name] = join(outer, name)
        if self.given_id is None and isinstance(data.get("name"), str):
            self.given_id = data["name"]
        return merged

    def _id(self) -> None:
        given = self.data.get("id")
        if given is not None and not isinstance(given, str):
            self.faults.wrong_type('"id" of the workflow', "text", given, join(self.pointer, "id"), "quote it")
            given = None
        name = given or self.given_id
        if self.given_id is not None and not name:
            self.faults.add("AF-WORKFLOW-ID", "a workflow's id must not be empty", self.pointer)
            name = "workflow"
        elif not name:
            self.faults.add("AF-FIELD-MISSING", 'the workflow needs a field "id"', self.pointer)
            name = "workflow"
        elif given and self.given_id and given != self.given_id and not self.lenient:
            self.faults.add(
                "AF-FIELD-VALUE",
                f'the workflow is called "{self.given_id}" by its key and "{given}" by its id',
                join(self.pointer, "id"),
                hint="leave `id` out",
            )
        self.fields["id"] = name
        self.owner = f'workflow "{name}"'

    def _fields(self) -> None:
        for name, value in self.data.items():
            if name in ("id", "steps", "input", "dialect", *HOOKS):
                continue
            if self.lenient and (value is None or name in distri.DEFINITION_RUN_FIELDS):
                continue
            if name in _FIELDS:
                self.fields[name] = value
            else:
                at = self.moved.get(name) or join(self.pointer, name)
                self.meant.add(self.faults.unknown_field(self.owner, name, _KNOWN, at, lenient=self.lenient))
        self.fields["dialect"] = self.dialect
        defaults = self.fields.get("defaults")
        if is_object(defaults) and "retry" in defaults:
            self.fields["defaults"] = {**defaults, "retry": short.retry(defaults["retry"])}
        context = self.fields.get("context")
        if is_array(context) and all(isinstance(key, str) for key in context):
            self.fields["context"] = {key: {} for key in context}

    def _schema(self) -> None:
        """Read `input`, the short form of `input_schema`."""
        given = self.data.get("input")
        if given is None:
            return
        at = join(self.pointer, "input")
        if self.lenient:  # a run's input in distri's files
            return
        if self.data.get("input_schema") is not None:
            self.faults.add(
                "AF-FIELD-VALUE", f"{self.owner} has both `input` and `input_schema`", at, key=True, hint="keep one"
            )
            return
        if not is_object(given):
            self.faults.wrong_type(f'"input" of {self.owner}', "a mapping of names and types", given, at)
            return
        self.moved["input_schema"] = at
        if short.is_whole_schema(given):
            self.fields["input_schema"] = given
            return
        self.fields["input_schema"] = short.input_schema(given, self.faults, at, self.owner)
        self.moved |= short.moved(given, "input_schema", at)

    def _at_path(self, path: Path) -> str:
        for end in range(len(path), 0, -1):
            found = self.moved.get("/".join(map(str, path[:end])))
            if found:
                return join(found, *path[end:])
        return join(self.pointer, *path)

    def _build(self, fields: dict[str, Any]) -> Workflow | None:
        if self.lenient:
            fields["entry_points"] = [_without_nulls(entry) for entry in _listed(fields.get("entry_points"))]
        try:
            return Workflow.model_validate(fields)
        except ValidationError as error:
            wrong = self.faults.of_model(error, fields, self.owner, Workflow, self._at_path, lenient=self.lenient)
            kept = {name: value for name, value in fields.items() if name not in wrong}
            if self.lenient and self.faults.tally.found["error"] == self.errors_before:
                kept = _without_extras(fields, error)
            try:
                return Workflow.model_validate(kept)
            except ValidationError:
                return None

    def _triggers(self, workflow: Workflow) -> None:
        if not (workflow.triggers or any(entry.triggers for entry in workflow.entry_points)):
            return
        from agentflow.definition.triggers import check_trigger  # noqa: PLC0415  only workflows with triggers need its models

        for number, trigger in enumerate(workflow.triggers):
            at = join(self.moved.get("triggers") or join(self.pointer, "triggers"), number)
            check_trigger(trigger, f"trigger {number + 1} of {self.owner}", at, self.faults, lenient=self.lenient)
        for entry_number, entry in enumerate(workflow.entry_points):
            for number, trigger in enumerate(entry.triggers):
                at = join(self.pointer, "entry_points", entry_number, "triggers", number)
                owner = f'trigger {number + 1} of entry point "{entry.id}"'
                check_trigger(trigger, owner, at, self.faults, lenient=self.lenient)


def _listed(value: Any) -> list[Any]:
    return list(value) if is_array(value) else []


def _without_nulls(entry: Any) -> Any:
    return {name: value for name, value in entry.items() if value is not None} if is_object(entry) else entry


def _without_extras(fields: dict[str, Any], error: ValidationError) -> dict[str, Any]:
    """Return the fields without those that no model knows: distri ignores them, so do we."""
    copied: dict[str, Any] = {name: _copy(value) for name, value in fields.items()}
    for detail in error.errors(include_url=False, include_input=False):
        target: Any = copied
        for part in detail["loc"][:-1]:
            target = target[part]
        target.pop(detail["loc"][-1], None)
    return copied


def _copy(value: Any) -> Any:
    if is_object(value):
        return {name: _copy(item) for name, item in value.items()}
    return [_copy(item) for item in value] if is_array(value) else value
