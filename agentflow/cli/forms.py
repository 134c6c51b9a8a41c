"""A JSON Schema becomes questions, and what is typed becomes a value that the schema accepts. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from agentflow.cli.examples import sketch
from agentflow.data import is_array
from agentflow.data import parse as parse_json
from agentflow.definition.form_parts import Choice, Part, part_of, parts_of, shown
from agentflow.definition.form_shapes import Variant, fields_in, item_of, shape_of, variant_at, variants_of
from agentflow.definition.plain_schema import is_nullable, is_secret
from agentflow.definition.samples import FORMATS, check
from agentflow.definition.typed_text import given_as, read_items, resolve, split
from agentflow.steps.unset import UNSET

Kind = Literal[
    "text", "long", "number", "boolean", "choice", "checks", "list", "rows", "edit", "fields", "variants", "constant",
    "shown", "json",
]  # fmt: skip
_TOLD: Final = frozenset({"date", "date-time", "time", "duration", "email", "uri", "uuid", "ipv4", "ipv6", "hostname"})
"""Formats that an example tells best."""
_SHORT: Final = 200


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
    nullable: bool = False
    path: str = ""
    """Its name with those of what it is in; empty: its name."""
    part: Part | None = field(default=None, compare=False)

    @property
    def has_default(self) -> bool:
        """Whether an empty line means something."""
        return self.default is not UNSET

    @property
    def shown_name(self) -> str:
        """The name that stands before what is typed."""
        return self.path or self.name or "answer"


class Invalid(ValueError):
    """A typed text isn't an answer to its question; each argument says one thing that is wrong."""


def questions(schema: object, default: Any = UNSET) -> list[Question]:
    """Make the questions of a form: one a property of an object, else one.

    Args:
        schema: JSON Schema of the answer; anything but an object allows any value.
        default: what is taken when nobody answers: prefills the form, and changes nothing else.
    """
    return [question_of(part) for part in parts_of(schema, *(() if default is UNSET else (default,)))]


def question_of(part: Part, path: str = "") -> Question:
    """Return the question that a part of an answer asks."""
    shape = shape_of(part)
    kind: Kind = "edit" if shape == "json" else shape
    default = part.given[0] if part.given else UNSET
    return Question(
        name=part.name,
        kind=kind,
        schema=part.schema,
        label=_label(part.look, kind),
        required=part.required,
        default=part.look["const"] if kind == "constant" else default,
        choices=item_of(part).choices if kind == "checks" else part.choices,
        secret=is_secret(part.look),
        nullable=is_nullable(part.look),
        path=path,
        part=part,
    )


def whole_question(schema: object) -> Question:
    """Return the question for an answer as a whole, which is typed as JSON."""
    part = part_of("", resolve(schema), True)
    return Question("", "json", part.schema, "The whole answer as JSON", part=part)


def _label(look: Mapping[str, Any], kind: Kind) -> str:
    text = str(look.get("title") or look.get("description") or "").removesuffix(".")
    limits = _limits(look, kind)
    if limits and not any(mark in text for mark in (limits, f"{look.get('minimum')}-{look.get('maximum')}")):
        text = f"{text}, {limits}" if text else limits
    example = _example(look, kind)
    return f"{text}, for example {example}" if text and example else f"for example {example}" if example else text


def _limits(look: Mapping[str, Any], kind: Kind) -> str:
    if kind == "number":
        told = _range(look.get("minimum"), look.get("maximum"), "")
        above, below = look.get("exclusiveMinimum"), look.get("exclusiveMaximum")
        told = told or " and ".join(
            f"{word} {shown(limit)}" for word, limit in (("above", above), ("below", below)) if limit is not None
        )
        step = look.get("multipleOf")
        return ", ".join(part for part in (told, f"in steps of {shown(step)}" if step is not None else "") if part)
    if kind in ("text", "long"):
        most = look.get("maxLength")
        most = most if isinstance(most, int) and most <= _SHORT else None
        return _range(look.get("minLength") or None, most, " characters")
    if kind in ("list", "checks", "rows"):
        return _range(look.get("minItems") or None, look.get("maxItems"), " of them")
    return ""


def _range(least: Any, most: Any, of: str) -> str:
    if least is not None and least == most:
        return f"exactly {shown(least)}{of}"
    if least is not None and most is not None:
        return f"{shown(least)} to {shown(most)}{of}"
    if least is not None:
        return f"at least {shown(least)}{of}"
    return f"at most {shown(most)}{of}" if most is not None else ""


def _example(look: Mapping[str, Any], kind: Kind) -> str:
    if kind not in ("text", "long", "number", "list") or is_secret(look):
        return ""
    given = look.get("examples")
    first: Any = given[0] if is_array(given) and given else UNSET
    if first is not UNSET:
        return ", ".join(map(shown, first)) if is_array(first) else shown(first)
    items = resolve(look.get("items"), look) if kind == "list" else look
    name = str(items.get("format"))
    return FORMATS[name] if name in _TOLD else ""


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
        if question.nullable:
            return None
        if question.kind not in ("text", "long", "checks", "list"):
            raise Invalid("an answer is needed here")
    value = _typed(question, text)
    return fitting(question, value)


def fitting(question: Question, value: Any) -> Any:
    """Return a value that fits its question.

    Raises:
        Invalid: it doesn't; each argument says one thing that is wrong.
    """
    issues = check(question.schema, value)
    if issues:
        raise Invalid(*(told(issue.path, issue.message) for issue in issues))
    return value


def listed(question: Question, items: Sequence[str]) -> list[Any]:
    """Return the list that some typed items are.

    Raises:
        Invalid: it doesn't fit.
    """
    look = question.part.look if question.part is not None else question.schema
    try:
        return fitting(question, read_items(items, look))
    except Invalid:
        raise
    except ValueError as error:
        raise Invalid(str(error)) from None


def told(path: Sequence[str | int], message: str) -> str:
    """Return a sentence about a part of a value."""
    where = ".".join(str(part) for part in path)
    return f"{where}: {message}" if where else message


def _typed(question: Question, text: str) -> Any:
    if question.kind == "choice":
        return _chosen(question, text.strip())
    if question.kind == "checks":
        return [_chosen(question, item) for item in split(text)]
    try:
        return parse_json(text) if question.kind == "json" else given_as(text, question.schema)
    except ValueError as error:
        raise Invalid(str(error)) from None


def early(question: Question, text: str) -> str:
    """Return what is wrong with a text that is still being typed, where typing on can't mend it; else nothing."""
    if question.secret or not text.strip() or text.lstrip().startswith(("[", "{")):
        return ""
    if question.kind == "choice":
        return "" if matching(question, text) else f'"{text}" is not among the choices'
    if question.kind not in ("text", "number"):
        return ""
    look = question.part.look if question.part is not None else question.schema
    try:
        value = given_as(text, question.schema)
    except ValueError as error:
        return str(error)
    if isinstance(value, str) and (question.kind == "text" or text.strip() in ("-", "+", ".", "-.")):
        longest = look.get("maxLength")
        hopeless = isinstance(longest, int) and len(value) > longest
    else:
        hopeless = isinstance(value, str) or _beyond(value, look)
    issues = check(question.schema, value) if hopeless else []
    return issues[0].message if issues else ""


def _beyond(value: Any, look: Mapping[str, Any]) -> bool:
    """Tell whether more digits only lead further away from what is allowed."""
    high, low = look.get("maximum", look.get("exclusiveMaximum")), look.get("minimum", look.get("exclusiveMinimum"))
    if value > 0:
        return high is not None and value > high
    return value < 0 and low is not None and value < low


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
    if question.kind != "fields" or question.part is None:
        return []
    start = f"{question.path or question.name}." if question.path or question.name else ""
    return [question_of(part, start + part.name) for part in fields_in(question.part)]


def demands(question: Question) -> bool:
    """Tell whether an object can't simply be left out by leaving its fields empty."""
    asks = [each for each in fields_of(question) if each.kind != "shown"]
    return any(each.required or each.has_default or each.kind in ("fields", "variants") for each in asks)


def item_question(question: Question, number: int) -> Question:
    """Return the question for one item of a list, counted from 1."""
    part = question.part if question.part is not None else part_of(question.name, dict(question.schema), True)
    return question_of(item_of(part), f"{question.shown_name}.{number}")


def variants(question: Question) -> tuple[list[Variant], int]:
    """Return what an answer may be, and which of it the default is."""
    if question.part is None:
        return [], 0
    found = variants_of(question.part)
    return found, variant_at(question.part, found)


def variant_question(question: Question, variant: Variant) -> Question:
    """Return the question for the variant that was chosen: its tags are known now."""
    given = [question.default] if question.has_default else []
    schema = {key: value for key, value in variant.schema.items() if key not in ("title", "description")}
    return question_of(part_of(question.name, schema, question.required, *given), question.path)


def assemble(asked: Sequence[Question], values: Mapping[str, Any]) -> Any:
    """Put the values of a form together."""
    if len(asked) == 1 and asked[0].name == "":
        value = values.get("", UNSET)
        return None if value is UNSET else value
    return {q.name: values[q.name] for q in asked if values.get(q.name, UNSET) is not UNSET}


def choice_shown(choice: Choice) -> str:
    """Return a choice as people read it; its value too, where a title stands for it."""
    value = shown(choice.value)
    return choice.label if choice.value in (None, UNSET) or choice.label == value else f"{choice.label} ({value})"


def default_shown(question: Question) -> str:
    """Return what an empty line means."""
    if isinstance(question.default, bool):
        return "yes" if question.default else "no"
    if question.kind in ("list", "checks") and is_array(question.default):
        return ", ".join(map(shown, question.default))
    return shown(question.default)


def template(question: Question) -> str:
    """Return what an editor opens with for an object or an array: JSON, or the default."""
    value = question.default if question.has_default else sketch(question.schema)
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"
