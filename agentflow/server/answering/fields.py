"""The form of an answer page: from a JSON Schema, and back to the answer. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from agentflow.data import is_array
from agentflow.definition.form_parts import Choice, Part, inside, parts_of, shown
from agentflow.definition.form_shapes import Shape, item_of, shape_of
from agentflow.definition.plain_schema import is_nullable, is_secret
from agentflow.definition.typed_text import given_as, types_of

Kind = Literal["text", "long", "number", "boolean", "choice", "checks", "list", "shown", "json"]
_SHAPES: Mapping[Shape, Kind] = {
    "boolean": "boolean", "number": "number", "choice": "choice", "constant": "choice", "checks": "checks",
    "list": "list", "shown": "shown",
}  # fmt: skip
_FORMATS = {"email": "email", "uri": "url", "date": "date"}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form."""

    name: str
    """Property of the answer; empty: the answer itself."""
    kind: Kind
    schema: Mapping[str, Any]
    label: str
    help: str = ""
    required: bool = False
    choices: Sequence[Choice] = ()
    input_type: str = "text"
    shown: str = ""
    """What stands in it at first; of choices, their numbers."""
    nullable: bool = False
    secret: bool = False
    """What was put in is never shown again."""
    given: Any = None
    of: str = ""
    """The object of the answer that it is a field of; empty: the answer itself."""

    @property
    def key(self) -> str:
        """Its name in the form."""
        return f"{self.of}.{self.name}" if self.of else self.name


def fields_of(schema: Mapping[str, Any] | None, default: Any = None) -> list[Field]:
    """Return the fields of a form for an answer.

    Args:
        schema: of the answer; None: anything is one.
        default: the answer that is taken when nobody answers: it stands in the form.
    """
    fields: list[Field] = []
    for part in parts_of(schema, *(() if default is None else (default,))):
        inner = inside(part)
        if any(each.type == "boolean" for each in inner):  # a box can't say that it is left out
            inner = []
        fields += [_inner(part, each) for each in inner] or [_field(part)]
    return fields


def _inner(part: Part, inner: Part) -> Field:
    """Return the field for one of an object's: needed only where the object is."""
    field, whole = _field(inner), _field(part)
    return replace(
        field, of=part.name, label=f"{whole.label}: {field.label}", required=field.required and part.required
    )


def _field(part: Part) -> Field:
    look, kind = part.look, _kind(part)
    choices = item_of(part).choices if kind == "checks" else part.choices
    if "const" in look and kind == "choice":
        choices = (Choice(look["const"], shown(look["const"])),)
    title, said, secret = look.get("title"), look.get("description"), is_secret(look)
    label = str(title) if title else part.name.replace("_", " ").capitalize() or "Answer"
    given = part.given[0] if part.given else None
    return Field(
        part.name, kind, part.schema, label, str(said) if said else "", part.required, choices,
        "password" if secret else _FORMATS.get(str(look.get("format")), "text"),
        "" if secret else _shown(kind, choices, given), nullable=is_nullable(look), secret=secret, given=given,
    )  # fmt: skip


def _kind(part: Part) -> Kind:
    shape = shape_of(part)
    if shape in _SHAPES:
        return _SHAPES[shape]
    if shape in ("text", "long") or not types_of(part.look):
        longest = part.look.get("maxLength")
        short = "format" in part.look or is_secret(part.look) or (isinstance(longest, int) and longest <= 200)
        return "text" if short and shape != "long" else "long"
    return "json"


def _shown(kind: Kind, choices: Sequence[Choice], default: Any) -> str:
    if default is None:
        return ""
    if kind == "choice":
        return next((str(number) for number, choice in enumerate(choices) if choice.value == default), "")
    if kind == "checks":
        marked = [number for number, choice in enumerate(choices) if is_array(default) and choice.value in default]
        return "\n".join(map(str, marked))
    if kind == "list" and is_array(default):
        return "\n".join(map(shown, default))
    return ("true" if default else "") if kind == "boolean" else shown(default)


def answer_of(fields: Sequence[Field], given: Mapping[str, str]) -> Any:
    """Return the answer that a filled form gives. What can't be read stays a text: the wait's schema tells.

    Args:
        fields: of the form.
        given: what stands in the fields, by their names.
    """
    values: dict[str, Any] = {}
    for field in fields:
        text = given.get(field.key, "")
        into = values.setdefault(field.of, {}) if field.of else values
        if field.kind == "boolean":
            into[field.name] = text == "true"
        elif field.kind == "shown":
            if field.given is not None:
                into[field.name] = field.given
        elif text == "" and field.required and field.nullable:
            into[field.name] = None
        elif text != "" or (field.required and field.kind in ("text", "long", "list", "checks")):
            into[field.name] = _value(field, text)
    needed = {field.of for field in fields if field.required}
    for of in {field.of for field in fields if field.of} - needed:
        if not values[of]:  # left out as a whole
            del values[of]
    if len(fields) == 1 and fields[0].name == "":
        return values.get("")
    return values


def _value(field: Field, text: str) -> Any:
    if field.kind == "choice":
        return _chosen(field, text)
    if field.kind == "checks":
        return [_chosen(field, each) for each in text.split()]
    text = text.replace("\r\n", "\n")
    try:
        return given_as(text, field.schema)
    except ValueError:
        return text


def _chosen(field: Field, text: str) -> Any:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else len(field.choices)
    return field.choices[number].value if number < len(field.choices) else text
