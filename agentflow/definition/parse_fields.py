"""Reading the fields of one step: common ones, the type's own, and where each of them stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from pydantic import ValidationError

from agentflow.data import is_array, is_object
from agentflow.definition import short
from agentflow.definition.durations import UnreadableError, parse_duration
from agentflow.definition.faults import Faults, Path, value_at
from agentflow.definition.field_names import written
from agentflow.definition.gates import short_gate
from agentflow.definition.json_words import is_short
from agentflow.definition.models import Body, Step
from agentflow.definition.pointers import join
from agentflow.definition.step_fields import COMMON, CONTAINER_ONLY, HOOKS
from agentflow.definition.templates import has_template, loop_names, template_test
from agentflow.definition.times import parse_time
from agentflow.definition.types import BodyLike, StepTypeLike

_NESTED = frozenset({*HOOKS, "compensate"})
_ASKING = frozenset({"wait_for_input", "external_tool_call"})
"""Types whose `schema` is of an answer."""
_SHORT: dict[str, Callable[[Any], Any]] = {
    "retry": short.retry,
    "requires": short.requires,
    "for_each": short.for_each,
    "approve": short_gate,
    "review": short_gate,
}


@dataclass(slots=True)
class At:
    """Where a step or a list of steps stands."""

    pointer: str
    address: str
    """What stands before the ids of a list; of a single anonymous step its own address."""
    names: frozenset[str]
    """Names that templates may use here."""
    depth: int = 0


class Reader(Protocol):
    """Reads what is nested in a step."""

    def read_bodies(self, given: Mapping[str, Any], known: Known, address: str, fields: StepFields) -> dict[str, Body]:
        """Read the nested steps of a container."""
        ...

    def read_hooks(self, given: Mapping[str, Any], owner: str, at: At, pointer: Mapping[str, str]) -> dict[str, Any]:
        """Read `on_success`, `on_failure` and `finally`; `pointer` tells where they stand."""
        ...

    def read_body(self, value: Any, body: BodyLike, owner: str, at: At, key: str | None = None) -> Body | None:
        """Read one body: a list of steps or, where its shape allows it, a single step.

        Args:
            value: what is written.
            body: name and shape.
            owner: the container, in a sentence.
            at: the body's pointer and the container's address.
            key: the body's key; default: its name.
        """
        ...


class Known(NamedTuple):
    """A step type with its field names."""

    spec: StepTypeLike
    own: frozenset[str]
    bodies: Mapping[str, BodyLike]
    names: list[str]

    @classmethod
    def of(cls, spec: StepTypeLike) -> Known:
        """Collect the names of a type."""
        bodies = {body.name: body for body in spec.bodies}
        own = [written(name, info) for name, info in spec.config.model_fields.items()]
        names = list(dict.fromkeys([*own, *bodies, *COMMON, "id", "type"]))
        return cls(spec, frozenset(own), bodies, names)


@dataclass(frozen=True, slots=True)
class _Compensate:
    name: str = "compensate"
    shape: str = "step_or_steps"
    required: bool = False


class StepFields:
    """The fields of one step while it is read."""

    def __init__(
        self, faults: Faults, flat: dict[str, Any], moved: dict[str, str], step_id: str, at: At, lenient: bool
    ) -> None:
        """Begin a step.

        Args:
            faults: gets what is wrong.
            flat: its fields.
            moved: pointers of fields that don't stand directly in it; gets more.
            step_id: its id.
            at: where it stands.
            lenient: unknown fields are warnings.
        """
        self.faults = faults
        self.flat = flat
        self.moved = moved
        self.step_id = step_id
        self.at = at
        self.lenient = lenient
        kind = flat.get("type")
        self.owner = f'step "{step_id}" ({kind})' if isinstance(kind, str) else f'step "{step_id}"'
        self.names = at.names
        self.config: dict[str, Any] = {}
        self.meant: set[str | None] = set()
        """Fields that unknown ones were meant to be: that those are missing is no news."""

    def pointer(self, name: str, *path: str | int) -> str:
        """Return where a field stands."""
        return join(self.moved.get(name) or join(self.at.pointer, name), *path)

    def read(self, known: Known | None, reader: Reader, address: str) -> Step:
        """Build the step, without what is wrong with it."""
        common, bodies = self._sort(known)
        loop = common.get("for_each")
        values = self.flat.get("with")
        if self.lenient and is_object(values):
            self.names |= frozenset(values)
        if loop is not None:
            loop = short.for_each(loop)
            if is_object(loop):
                self.names |= {*loop_names(loop.get("item", "item"), loop.get("index", "index"))}
        fields: dict[str, Any] = {"id": self.step_id, "type": self.flat.get("type") if known else ""}
        if known is None and isinstance(self.flat.get("type"), str):
            fields["type"] = self.flat["type"]
        for name, value in common.items():
            if name not in _NESTED:
                fields[name] = self._short(name, value) if name in _SHORT else value
        self._nested(common, reader, address, fields)
        if known is not None and known.bodies:
            fields["bodies"] = reader.read_bodies(bodies, known, address, self)
        if known is not None:
            self._widen_schema(known)
            self._check_config(known)
        fields["config"] = self.config
        self._check_times(fields)
        return self._build(fields)

    def _sort(self, known: Known | None) -> tuple[dict[str, Any], dict[str, Any]]:
        """Tell common fields, the type's own (into `config`) and bodies apart, and report the others."""
        common: dict[str, Any] = {}
        bodies: dict[str, Any] = {}
        for name, value in self.flat.items():
            if name in ("id", "type"):
                continue
            if known is not None and name in known.bodies:
                bodies[name] = value
            elif known is not None and name in known.own:
                self.config[name] = value
            elif name in COMMON:
                if known is None or self._fits(name, known):
                    common[name] = value
            elif known is not None or name == "kind":
                self._unknown(name, known)
        return common, bodies

    def _fits(self, name: str, known: Known) -> bool:
        if known.bodies or (name not in CONTAINER_ONLY and (name != "max_parallel" or "for_each" in self.flat)):
            return True
        self.faults.add(
            "AF-FIELD-UNKNOWN",
            f'{self.owner} has no field "{name}": only steps that hold steps have it',
            self.pointer(name),
            key=True,
            hint="put the step into a `sequence` and give the field to that" if name in HOOKS else None,
            severity="warning" if self.lenient else "error",
        )
        return False

    def _unknown(self, name: str, known: Known | None) -> None:
        names = known.names if known else ["type"]
        at = self.pointer(name)
        self.meant.add(self.faults.unknown_field(self.owner, name, names, at, lenient=self.lenient))

    def _short(self, name: str, value: Any) -> Any:
        widened = _SHORT[name](value)
        if widened is value:
            return value
        at = self.pointer(name)
        if name == "for_each":
            self.moved["for_each/in"] = at
        elif name == "retry":
            self.moved["retry/max_attempts"] = at
        elif name == "review" and is_object(value) and is_object(value.get("schema")):
            self.moved |= short.moved(value["schema"], "review/schema", join(at, "schema"))
        elif is_array(widened):
            for number, _ in enumerate(widened):
                here = join(at, number) if is_array(value) else at
                self.moved[f"requires/{number}"] = here
                if isinstance(value[number] if is_array(value) else value, str):
                    self.moved[f"requires/{number}/skill"] = here
        return widened

    def _widen_schema(self, known: Known) -> None:
        """Widen the short form of what an answer must be."""
        given = self.config.get("schema")
        if known.spec.name in _ASKING and not self.lenient and is_object(given) and is_short(given):
            at = self.pointer("schema")
            self.config["schema"] = short.input_schema(given, self.faults, at, self.owner, "answer")
            self.moved |= short.moved(given, "schema", at)

    def _nested(self, common: Mapping[str, Any], reader: Reader, address: str, fields: dict[str, Any]) -> None:
        inside = type(self.at)("", address, self.names, self.at.depth)
        if any(name in common for name in HOOKS):
            pointers = {name: self.pointer(name) for name in HOOKS}
            fields.update(reader.read_hooks(common, self.owner, inside, pointers))
        if common.get("compensate") is not None:
            place = type(self.at)(self.pointer("compensate"), f"{address}#compensate", self.names, self.at.depth)
            body: Body | None = reader.read_body(common["compensate"], _Compensate(), self.owner, place)
            if body is not None:
                fields["compensate"] = body

    def _check_config(self, known: Known) -> None:
        """Validate the type's own fields; what a template stands in is validated when it is rendered."""
        test = template_test(self.names)
        try:
            known.spec.config.model_validate(self.config)
        except ValidationError as error:
            wrong = self.faults.of_model(
                error,
                self.config,
                self.owner,
                known.spec.config,
                self._at_path,
                accept=lambda path, detail: (
                    self._follows(path, detail) or _is_templated(self.config, path, detail, test)
                ),
                lenient=self.lenient,
            )
            if self.lenient and wrong:
                self.config = {name: value for name, value in self.config.items() if name not in wrong}
        except Exception as error:
            if not has_template(self.config, test):
                self.faults.add("AF-FIELD-VALUE", f"{self.owner} isn't valid: {error}", self.at.pointer)

    def _follows(self, path: Path, detail: Any) -> bool:
        """Tell whether this only follows from a mistyped field."""
        if not path:
            return bool(self.meant)
        return detail["type"] == "missing" and path[-1] in self.meant

    def _at_path(self, path: Path) -> str:
        for end in range(len(path), 0, -1):
            found = self.moved.get("/".join(map(str, path[:end])))
            if found:
                return join(found, *path[end:])
        return join(self.at.pointer, *path)

    def _check_times(self, fields: dict[str, Any]) -> None:
        for name, parse in (("delay", parse_duration), ("at", parse_time)):
            value = fields.get(name)
            if value is None or (isinstance(value, str) and template_test(self.names)(value)):
                continue
            try:
                parse(value)
            except UnreadableError as error:
                what = f'"{name}" of {self.owner}: {error}'
                self.faults.add("AF-FIELD-VALUE", what, self.pointer(name), hint=error.hint)
                del fields[name]

    def _build(self, fields: dict[str, Any]) -> Step:
        try:
            return Step.model_validate(fields)
        except ValidationError as error:
            wrong = self.faults.of_model(error, fields, self.owner, Step, self._at_path, lenient=self.lenient)
            kept = {name: value for name, value in fields.items() if name not in wrong}
            try:
                return Step.model_validate(kept)
            except ValidationError:
                return Step(id=self.step_id, type=str(fields["type"]), bodies=fields.get("bodies", {}))


def _is_templated(config: dict[str, Any], path: Path, detail: Any, test: Callable[[str], bool]) -> bool:
    if not path or detail["type"] == "missing":
        return False
    return has_template(value_at(config, path), test)
