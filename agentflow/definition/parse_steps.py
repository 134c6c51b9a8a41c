"""Reading steps: lists of them, nested ones, flat ones and those that distri writes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from agentflow.data import is_array, is_object
from agentflow.definition import distri
from agentflow.definition.faults import Faults, shorten
from agentflow.definition.models import Body, Step
from agentflow.definition.other_words import field_meant, type_meant, type_of_fields
from agentflow.definition.parse_fields import At, Known, StepFields
from agentflow.definition.pointers import join, segment
from agentflow.definition.step_fields import HOOKS
from agentflow.definition.templates import loop_names
from agentflow.definition.types import BodyLike, TypeLookup


class StepReader:
    """Reads the steps of one workflow. What can't be read is left out or hollow: the rest can still be checked."""

    def __init__(self, types: TypeLookup, names: Callable[[], Iterable[str]], faults: Faults, *, lenient: bool) -> None:
        """Make a reader.

        Args:
            types: finds step types.
            names: tells the types' names, for suggestions.
            faults: gets what is wrong.
            lenient: the file is distri's.
        """
        self.types = types
        self.names = names
        self.faults = faults
        self.lenient = lenient
        self.pointers: dict[str, str] = {}
        self.moved: dict[str, dict[str, str]] = {}
        self.broken: set[str] = set()
        self._known: dict[str, Known | None] = {}

    def read_list(self, data: Any, what: str, at: At) -> tuple[Step, ...]:
        """Read a list of steps; one step is a list of one."""
        if is_object(data) and any(key in data for key in ("id", "type", "kind")):
            return (self.read_step(data, 0, what, At(at.pointer, at.address, at.names, at.depth + 1)),)
        if not is_array(data):
            hint = "begin each step with `- id: …`" if is_object(data) else None
            self.faults.wrong_type(what, "a list of steps", data, at.pointer, hint)
            return ()
        depth = at.depth + 1
        return tuple(
            self.read_step(item, number, what, At(f"{at.pointer}/{number}", at.address, at.names, depth))
            for number, item in enumerate(data)
        )

    def read_step(self, data: Any, number: int, what: str, at: At) -> Step:
        """Read one step of a list."""
        fallback = f"[{number}]"
        what = f"step {number + 1} of {what}"
        if not is_object(data):
            hint = _ONE_STEP if is_array(data) else "a step is written `- id: …`, with its fields below"
            self.faults.wrong_type(what, "a mapping", data, at.pointer, hint)
            return self._hollow(fallback, at)
        flat, moved = data, dict[str, str]()
        if self.lenient and is_object(data.get("kind")):
            flat, moved = distri.flatten(data, at.pointer, self.faults)
        step_id = self._id(flat, what, fallback, at.pointer)
        address = at.address + step_id
        self.pointers.setdefault(address, at.pointer)
        encoded = segment(step_id)
        if encoded != step_id:
            self.pointers.setdefault(at.address + encoded, at.pointer)
        return self._read(flat, moved, step_id, address, at, what)

    def read_single(self, data: dict[str, Any], key: str, at: At) -> Step:
        """Read the one anonymous step of a body."""
        flat, moved = data, dict[str, str]()
        if self.lenient and "type" in data and "kind" not in data:
            flat, moved = distri.flatten_kind(data, at.pointer, self.faults, at.address)
        elif self.lenient and is_object(data.get("kind")):
            flat, moved = distri.flatten(data, at.pointer, self.faults)
        what = f'the body "{at.address}"'
        step_id = self._id(flat, what, key, at.pointer) if "id" in flat else key
        self.pointers.setdefault(at.address, at.pointer)
        if step_id != key:
            self.pointers.setdefault(f"{at.address}/{step_id}", at.pointer)
        return self._read(flat, moved, step_id, at.address, at, what)

    def read_bodies(self, given: Mapping[str, Any], known: Known, address: str, fields: StepFields) -> dict[str, Body]:
        """Read the nested steps of a container."""
        bodies: dict[str, Body] = {}
        owner = fields.owner
        names = fields.names
        if known.spec.name == "for_each":
            names |= {*loop_names(fields.flat.get("item", "item"), fields.flat.get("index", "index"))}
        for name, body in known.bodies.items():
            value = given.get(name)
            if body.shape == "cases":
                fields.config[name] = []
            if value is None:
                if body.required and name not in fields.meant:
                    self.faults.add("AF-FIELD-MISSING", f'{owner} needs a field "{name}"', fields.at.pointer)
                continue
            inside = At(fields.pointer(name), address, names, fields.at.depth)
            if body.shape == "cases":
                self._cases(value, name, owner, inside, fields, bodies)
            else:
                found = self.read_body(value, body, owner, inside)
                if found is not None:
                    bodies[name] = found
        return bodies

    def read_body(self, value: Any, body: BodyLike, owner: str, at: At, key: str | None = None) -> Body | None:
        """Read one body: a list of steps or, where its shape allows it, a single step.

        Args:
            value: what is written.
            body: name and shape.
            owner: the container, in a sentence.
            at: the body's pointer and the container's address.
            key: the body's key; default: its name.
        """
        key = key or body.name
        what = f'"{body.name}" of {owner}'
        if body.shape != "steps" and is_object(value):
            place = At(at.pointer, at.address if key == "compensate" else f"{at.address}/{key}", at.names, at.depth + 1)
            return Body(steps=(self.read_single(value, key, place),), single=True)
        if not is_array(value) and body.shape != "steps":
            hint = "the step itself stands here, as in `{id: …, type: …}`"
            self.faults.wrong_type(what, "a step or a list of steps", value, at.pointer, hint)
            return None
        head = f"{at.address}/" if key in ("steps", "compensate") else f"{at.address}/{key}/"
        return Body(steps=self.read_list(value, what, At(at.pointer, head, at.names, at.depth)))

    def _cases(self, value: Any, name: str, owner: str, at: At, fields: StepFields, bodies: dict[str, Body]) -> None:
        if not is_array(value):
            hint = "begin each case with `- when: …`" if is_object(value) else None
            self.faults.wrong_type(f'"{name}" of {owner}', "a list of cases", value, at.pointer, hint)
            return
        conditions: list[Any] = []
        for number, case in enumerate(value):
            pointer = f"{at.pointer}/{number}"
            what = f"case {number + 1} of {owner}"
            conditions.append(False)
            if not is_object(case):
                self.faults.wrong_type(what, "a mapping with `when` and `steps`", case, pointer)
                continue
            wrong = [key for key in case if key not in ("when", "steps")]
            meant_by = {
                self.faults.unknown_field(what, key, ["when", "steps"], join(pointer, key), lenient=self.lenient)
                for key in wrong
            }
            for key in ("when", "steps"):
                if key not in case and key not in meant_by:
                    self.faults.add("AF-FIELD-MISSING", f'{what} needs a field "{key}"', pointer)
            conditions[-1] = case.get("when", False)
            fields.moved[f"{name}/{number}"] = f"{pointer}/when"
            if "steps" in case:
                place = At(f"{pointer}/steps", at.address, at.names, at.depth)
                body = self.read_body(case["steps"], _Case(what), owner, place, f"case[{number}]")
                if body is not None:
                    bodies[f"case[{number}]"] = body
        fields.config[name] = conditions

    def read_hooks(self, given: Mapping[str, Any], owner: str, at: At, pointer: Mapping[str, str]) -> dict[str, Any]:
        """Read `on_success`, `on_failure` and `finally`; `pointer` tells where they stand."""
        return {
            name: self.read_list(
                given[name], f'"{name}" of {owner}', At(pointer[name], f"{at.address}#{name}/", at.names, at.depth)
            )
            for name in HOOKS
            if given.get(name) is not None
        }

    def _read(self, flat: dict[str, Any], moved: dict[str, str], step_id: str, address: str, at: At, what: str) -> Step:
        before = self.faults.tally.found["error"]
        known = self._type(flat, f'step "{step_id}"' if "id" in flat else what, moved, at.pointer)
        fields = StepFields(self.faults, flat, moved, step_id, at, self.lenient)
        step = fields.read(known, self, address)
        if fields.moved:
            self.moved[address] = fields.moved
        if self.faults.tally.found["error"] > before:
            self.broken.add(address)
        return step

    def _id(self, flat: Mapping[str, Any], what: str, fallback: str, pointer: str) -> str:
        given = flat.get("id")
        if isinstance(given, str) and given:
            return given
        if given is None:
            self.faults.add("AF-FIELD-MISSING", f'{what} needs a field "id"', pointer, hint=_id_hint(flat))
        elif given == "":
            self.faults.add("AF-FIELD-VALUE", f'"id" of {what} must not be empty', join(pointer, "id"))
        else:
            self.faults.wrong_type(f'"id" of {what}', "text", given, join(pointer, "id"), "quote it")
        return fallback

    def _type(self, flat: Mapping[str, Any], what: str, moved: Mapping[str, str], pointer: str) -> Known | None:
        name = flat.get("type")
        at = moved.get("type") or join(pointer, "type")
        if name is None:
            if not isinstance(flat.get("kind"), str):  # which is told as an unknown field
                hint = self._typeless(flat)
                self.faults.add("AF-FIELD-MISSING", f'{what} needs a field "type"', pointer, hint=hint)
            return None
        if not isinstance(name, str):
            self.faults.wrong_type(f'"type" of {what}', "text", name, at)
            return None
        if name not in self._known:
            spec = self.types(name)
            self._known[name] = Known.of(spec) if spec else None
        found = self._known[name]
        if found is None:
            label = None if self.faults.tally.full() else self._meant(name)
            hint = None if label else "`agentflow steps` lists the types; your own come from installed packages"
            self.faults.add("AF-STEP-TYPE", f'{what} has an unknown type "{name}"', at, label=label, hint=hint)
        return found

    def _meant(self, name: str) -> str | None:
        """Return which types a wrong one was meant to be."""
        types = list(self.names())
        found = [f'"{one}"' for one in type_meant(name, types)]
        if not found:
            return self.faults.tally.meant(name, types)
        return f"did you mean {' or '.join(part for part in (', '.join(found[:-1]), found[-1]) if part)}?"

    def _typeless(self, flat: Mapping[str, Any]) -> str | None:
        """Return what to write for the type of a step that has none, as far as its fields tell."""
        types = list(self.names())
        for field, value in flat.items():
            if isinstance(value, str) and field_meant(field, ("type",)):
                found = [value] if value in types else type_meant(value, types)
                given = f"`{shorten(field, 20)}: {shorten(value, 40)}`"
                if found or value in types:
                    return f"write `type: {found[0]}` for {given}"
                return f"a step says what it does by its `type`; none is like {given}: `agentflow steps` lists them"
        found = type_of_fields(flat)
        return f"write `type: {found}`, if that is meant" if found is not None and found in types else None

    def _hollow(self, fallback: str, at: At) -> Step:
        self.pointers.setdefault(at.address + fallback, at.pointer)
        self.broken.add(at.address + fallback)
        return Step(id=fallback, type="")


_ONE_STEP = "one step stands here, not a list: take away a `- ` or the brackets; several go into a `type: sequence`"


def _id_hint(flat: Mapping[str, Any]) -> str | None:
    """Return the id that a step without one may get, by what else it is called."""
    for field in ("name", "key", "label", "title"):
        given = flat.get(field)
        if isinstance(given, str) and (word := re.sub(r"\W+", "-", given.lower(), flags=re.ASCII).strip("-")):
            plain = word if word[0].isalpha() else f"step-{word}"
            return f"write `id: {plain[:40]}`" + ("" if field == "label" else f" for `{field}: {shorten(given, 40)}`")
    return "give it a name of its own, such as `id: fetch`: results are read by it, as {steps.fetch}"


@dataclass(frozen=True, slots=True)
class _Case:
    name: str
    shape: str = "step_or_steps"
    required: bool = True
