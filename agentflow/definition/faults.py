"""Collects what is wrong with a document, and says it in the user's words: pydantic's errors speak of types."""

from __future__ import annotations

import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from agentflow.data import is_array, is_object
from agentflow.definition.field_names import written
from agentflow.definition.other_words import field_meant, told_otherwise
from agentflow.definition.pointers import join
from agentflow.definition.suggest import nearest
from agentflow.definition.tally import Tally
from agentflow.definition.types import PlaceOf
from agentflow.errors import Problem, Severity
from agentflow.redaction import current

Path = tuple[str | int, ...]

_KINDS = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "dict": "a mapping",
    "model": "a mapping",
    "mapping": "a mapping",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "frozen": "a list",
}
_SEQUENCE = frozenset({"sequence_str", "is_instance_of", "iterable_type", "sequence_type"})
"""How pydantic says that no list was given where any sequence is taken."""
_LIMITS = {"greater_than_equal": "at least", "less_than_equal": "at most", "greater_than": "more than"}


_LISTED = 28
"""Names of fields that a hint gives."""


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"fields are {', '.join(names[:_LISTED])}{more}"


class Faults:
    """The problems found so far."""

    def __init__(self, place: PlaceOf | None = None, tally: Tally | None = None) -> None:
        """Make an empty list.

        Args:
            place: finds the place of a pointer.
            tally: counts the problems of the whole config.
        """
        self.problems: list[Problem] = []
        self.place = place
        self.tally = tally or Tally()

    def add(
        self,
        code: str,
        message: str,
        pointer: str,
        *,
        key: bool = False,
        label: str | None = None,
        hint: str | None = None,
        severity: Severity = "error",
        offset: int = 0,
        length: int | None = None,
    ) -> None:
        """Add a problem; `key` underlines the value's key. Of very many, later ones are only counted."""
        if not self.tally.take(severity):
            return
        place = self.place(pointer, key=key, offset=offset, length=length) if self.place else None
        self.problems.append(Problem(code, message, pointer, place, label, hint, severity))

    def unknown_field(
        self,
        owner: str,
        name: str,
        known: Collection[str],
        pointer: str,
        *,
        lenient: bool,
    ) -> str | None:
        """Say that there is no such field, and return which one is meant: what others call so, or the nearest."""
        severity: Severity = "warning" if lenient else "error"
        otherwise = told_otherwise(name, known)
        near = None if otherwise else field_meant(name, known) or self.tally.nearest(name, known, severity)
        hint = _listed(list(known)) if known and not near and not lenient else None
        self.add(
            "AF-FIELD-UNKNOWN",
            f'{owner} has no field "{shorten(name, 60)}"' + ("; it is ignored" if lenient else ""),
            pointer,
            key=True,
            label=f'did you mean "{near}"?' if near else None,
            hint=otherwise or hint,
            severity=severity,
        )
        return near

    def wrong_type(self, what: str, expected: str, value: Any, pointer: str, hint: str | None = None) -> None:
        """Say that a value has another type than it should have."""
        self.add("AF-FIELD-TYPE", f"{what} must be {expected}, not {shown(value)}", pointer, hint=hint)

    def of_model(
        self,
        error: ValidationError,
        data: Any,
        owner: str,
        model: type[BaseModel],
        pointer: Callable[[Path], str],
        *,
        accept: Callable[[Path, Any], bool] | None = None,
        lenient: bool = False,
    ) -> set[str]:
        """Add the problems of a pydantic error.

        Args:
            error: what pydantic found.
            data: what it looked at.
            owner: whose fields these are, such as `step "send" (script)`.
            model: the model, for its field names.
            pointer: turns a path below the data into a JSON pointer.
            accept: tells that a problem at a path is none, as a template stands there.
            lenient: unknown fields are warnings.

        Returns:
            The top-level fields that are wrong.
        """
        found: dict[Path, list[Any]] = {}
        for detail in error.errors(include_url=False):
            path = real_path(data, detail["loc"], detail["type"] in ("missing", "extra_forbidden"))
            if accept is None or detail["type"] == "extra_forbidden" or not accept(path, detail):
                found.setdefault(path, []).append(detail)
        wrong: set[str] = set()
        holders = {path[:end] for path in found for end in range(len(path))}
        for path, details in found.items():
            if path in holders and not all(detail["type"] in ("missing", "extra_forbidden") for detail in details):
                continue  # another member of a union got further
            self._detail(details, path, data, owner, model, pointer, lenient)
            if path:
                wrong.add(str(path[0]))
        return wrong

    def _detail(
        self,
        details: list[Any],
        path: Path,
        data: Any,
        owner: str,
        model: type[BaseModel],
        pointer: Callable[[Path], str],
        lenient: bool,
    ) -> None:
        kind: str = details[0]["type"]
        at = pointer(path)
        if path and kind in ("extra_forbidden", "missing"):
            last, inner = path[len(path) - 1], path[:-1]
            holder = f"{quoted(inner)} of {owner}" if inner else owner
            if kind == "missing":
                self.add("AF-FIELD-MISSING", f'{holder} needs a field "{last}"', pointer(inner))
            else:
                self.unknown_field(holder, str(last), field_names(model, inner), at, lenient=lenient)
        else:
            value = value_at(data, path)
            if self.tally.full():  # whatever its words would be
                self.tally.take("error")
                return
            code, words, label = explain(details, value)
            what = f"{quoted(path)} of {owner}" if path else owner
            names = field_names(model, path) if path and kind == "model_type" and len(details) == 1 else ()
            self.add(code, f"{what}{words}", at, label=label, hint=_listed(names) if names else None)


def explain(details: Sequence[Any], value: Any) -> tuple[str, str, str | None]:
    """Return code, the rest of the sentence and a label for what pydantic says of one value."""
    first = details[0]
    kind: str = first["type"]
    context: dict[str, Any] = first.get("ctx") or {}
    types = [
        "a list" if detail["type"] in _SEQUENCE else _KINDS.get(detail["type"].partition("_")[0])
        for detail in details
        if _is_type(detail["type"])
    ]
    if types and len(types) == len(details):
        expected = " or ".join(dict.fromkeys(word for word in types if word))
        single = "a list" in types and isinstance(value, str) and value.isprintable() and 0 < len(value) <= 40
        return "AF-FIELD-TYPE", f" must be {expected}, not {shown(value)}", f"write [{value}]" if single else None
    special = next((detail for detail in details if not _is_type(detail["type"])), first)
    kind, context = special["type"], special.get("ctx") or {}
    if kind in ("literal_error", "enum", "union_tag_invalid"):
        return _choice(str(context.get("expected") or context.get("expected_tags")), value, context)
    for name, words in (*_LIMITS.items(), ("less_than", "less than")):
        if kind == name:
            limit = next(context[key] for key in ("ge", "le", "gt", "lt") if key in context)
            return "AF-FIELD-VALUE", f" must be {words} {limit:g}, not {shown(value)}", None
    if kind in ("string_too_short", "too_short") and context.get("min_length", 1) == 1:
        return "AF-FIELD-VALUE", " must not be empty", None
    if kind in ("value_error", "assertion_error"):
        error = context.get("error", special["msg"])
        return "AF-FIELD-VALUE", f": {error}", getattr(error, "hint", None)
    if kind == "union_tag_not_found":
        return (
            "AF-FIELD-MISSING",
            f" needs a field {str(context.get('discriminator', '')).replace(chr(39), chr(34))}",
            None,
        )
    message: str = special["msg"]
    return "AF-FIELD-VALUE", f": {message[:1].lower()}{message[1:]}", None


def _is_type(kind: str) -> bool:
    if kind in _SEQUENCE:
        return True
    return kind.endswith(("_type", "_parsing", "_from_float")) and kind.partition("_")[0] in _KINDS


def _choice(expected: str, value: Any, context: dict[str, Any]) -> tuple[str, str, str | None]:
    choices = [choice.strip(" '") for choice in expected.replace(" or ", ", ").split(",")]
    given = context.get("tag") if "tag" in context else value
    near = nearest(given, choices, 1) if isinstance(given, str) else []
    listed = (
        choices if len(choices) <= (5 if near else 12) else [*(nearest(str(given), choices, 5) or choices[:5]), "…"]
    )
    label = f'did you mean "{near[0]}"?' if near else None
    return "AF-FIELD-VALUE", f" must be one of {', '.join(listed)}, not {shown(given)}", label


def real_path(data: Any, loc: Sequence[str | int], keep_last: bool) -> Path:
    """Return the part of a pydantic location that exists in the data: members of unions have steps of their own."""
    path: list[str | int] = []
    value = data
    for number, part in enumerate(loc):
        if is_object(value) and part in value:
            value = value[str(part)]
        elif is_array(value) and isinstance(part, int) and part < len(value):
            value = value[part]
        elif not (keep_last and number == len(loc) - 1):
            continue
        path.append(part)
    return tuple(path)


def value_at(data: Any, path: Path) -> Any:
    """Return the value at a path that exists."""
    for part in path:
        data = data[part]
    return data


def field_names(model: type[BaseModel], path: Path) -> list[str]:
    """Return the field names of the models that may stand at a path below a model."""
    models = [model]
    for part in path:
        if isinstance(part, str):
            models = [
                inner
                for one in models
                for name, info in one.model_fields.items()
                if part in (name, written(name, info))
                for inner in _models_in(info.annotation)
            ] or models
    return [written(name, info) for one in models for name, info in one.model_fields.items()]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for argument in typing.get_args(annotation) for found in _models_in(argument)]


def quoted(path: Path) -> str:
    """Write a path as people do: `"retry.max_attempts"`, `"requires[0]"`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return f'"{text}"'


def shown(value: Any) -> str:
    """Name a value in a sentence."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return shorten(str(value) if abs(value) < 10**30 else "a very large number", 40)
    if isinstance(value, str):
        return f'"{shorten(value, 40)}"'
    if isinstance(value, list | tuple):
        return "a list"
    return "a mapping" if isinstance(value, Mapping) else f"an object of {type(value).__name__}"


def shorten(text: str, most: int) -> str:
    """Cut a text, and show control characters as blanks."""
    return "".join(c if c.isprintable() else " " for c in current().head(text, most))


def below(pointer: str) -> Callable[[Path], str]:
    """Return a function that appends paths to a pointer."""
    return lambda path: join(pointer, *path)
