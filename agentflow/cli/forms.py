"""A JSON Schema becomes questions, and what is typed becomes a value that the schema accepts. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from agentflow.cli.examples import sketch
from agentflow.definition.form_parts import Choice, Part, inside, parts_of, shown
from agentflow.definition.samples import check
from agentflow.definition.typed_text import NUMBERS, read_value, types_of
from agentflow.steps.unset import UNSET

Kind = Literal["text", "number", "boolean", "choice", "edit", "fields", "constant"]
_KINDS: Final[Mapping[str, Kind]] = {"boolean": "boolean", "number": "number", "string": "text"}


@dataclass(frozen=True, slots=True)
class Question:
    """One line of a form."""

    name: str
    """Property; empty: the answer as a whole."""
    kind: Kind
    schema: Mapping[str, Any]
    label: str = ""
    """What it asks, with its limits."""
    required: bool = True
    default: Any = UNSET
    choices: tuple[Choice, ...] = ()
    secret: bool = False

    @property
    def has_default(self) -> bool:
        """Whether an empty line means something."""
        return self.default is not UNSET


class Invalid(ValueError):
    """A typed text isn't an answer to its question."""


def questions(schema: object, default: Any = UNSET) -> list[Question]:
    """Make the questions of a form: one a property of an object, else one.

    Args:
        schema: JSON Schema of the answer; anything but an object allows any value.
        default: what is taken when nobody answers: prefills the form, and changes nothing else.
    """
    return [_question(part) for part in parts_of(schema, *(() if default is UNSET else (default,)))]


def _question(part: Part) -> Question:
    schema, kind = part.schema, _kind(part)
    default = part.given[0] if part.given else UNSET
    return Question(
        name=part.name,
        kind=kind,
        schema=schema,
        label=_label(schema, kind),
        required=part.required,
        default=schema["const"] if kind == "constant" else default,
        choices=part.choices,
        secret=schema.get("format") == "password" or schema.get("writeOnly") is True,
    )


def _kind(part: Part) -> Kind:
    if "const" in part.schema:
        return "constant"
    if part.choices:
        return "choice"
    if inside(part):
        return "fields"
    if {"string"} < set(types_of(part.schema)) <= {"string", "null", *NUMBERS}:  # a number, or a text that says one
        return "text"
    return _KINDS.get(part.type, "edit")


def _label(schema: Mapping[str, Any], kind: Kind) -> str:
    text = str(schema.get("title") or schema.get("description") or "")
    least, most = schema.get("minimum"), schema.get("maximum")
    limits = ""
    if kind == "number" and least is not None and most is not None:
        limits = f"{shown(least)} to {shown(most)}"
    elif kind == "number" and least is not None:
        limits = f"at least {shown(least)}"
    elif kind == "number" and most is not None:
        limits = f"at most {shown(most)}"
    elif kind == "text" and schema.get("format") in ("date", "date-time", "email", "uri"):
        limits = {"date": "2026-01-31", "date-time": "2026-01-31T09:00:00Z", "email": "an e-mail address"}.get(
            str(schema["format"]), "an address (URL)"
        )
    if limits and not any(mark in text for mark in (limits, f"{least}-{most}")):
        return f"{text}, {limits}" if text else limits
    return text


def parse(question: Question, text: str) -> Any:
    """Read what was typed for a question.

    Returns:
        The value; UNSET when an optional one was left empty.

    Raises:
        Invalid: it isn't an answer; the message says why.
    """
    if text.strip() == "":
        if question.has_default:
            return question.default
        if not question.required:
            return UNSET
        if question.kind != "text":
            raise Invalid("an answer is needed here")
    if question.kind == "choice":
        value = _chosen(question, text.strip())
    else:
        try:
            value = read_value(text, question.schema)
        except ValueError as error:
            raise Invalid(str(error)) from None
    issues = check(question.schema, value)
    if issues:
        raise Invalid(issues[0].message)
    return value


def _chosen(question: Question, text: str) -> Any:
    exact = [c for c in question.choices if text in (c.label, shown(c.value))]
    near = exact or matching(question, text)
    if len(near) == 1 or exact:
        return near[0].value
    wanted = ", ".join(c.label for c in (near or question.choices)[:5])
    raise Invalid(f'"{text}" is {"not clear" if near else "not among the choices"}: {wanted}')


def matching(question: Question, text: str) -> list[Choice]:
    """Return the choices whose label or value begins with a text."""
    typed = text.lower()
    return [c for c in question.choices if any(each.lower().startswith(typed) for each in (c.label, shown(c.value)))]


def fields_of(question: Question) -> list[Question]:
    """Return what is asked for an object whose fields are asked one by one; nothing for any other question."""
    return questions(question.schema, question.default) if question.kind == "fields" else []


def assemble(asked: Sequence[Question], values: Mapping[str, Any]) -> Any:
    """Put the values of a form together."""
    if len(asked) == 1 and asked[0].name == "":
        value = values.get("", UNSET)
        return None if value is UNSET else value
    return {q.name: values[q.name] for q in asked if values.get(q.name, UNSET) is not UNSET}


def choice_shown(choice: Choice) -> str:
    """Return a choice as people read it; its value too, where a title stands for it."""
    value = shown(choice.value)
    return choice.label if choice.label == value else f"{choice.label} ({value})"


def default_shown(question: Question) -> str:
    """Return what an empty line means."""
    if isinstance(question.default, bool):
        return "yes" if question.default else "no"
    return shown(question.default)


def template(question: Question) -> str:
    """Return what an editor opens with for an object or an array: JSON, or the default."""
    value = question.default if question.has_default else sketch(question.schema)
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"
