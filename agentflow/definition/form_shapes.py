"""How a part of an answer is asked: as a text, a choice, boxes to tick, a list, an object field by field. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

from agentflow.data import is_array, is_object
from agentflow.definition.form_parts import Part, part_of, parts_of
from agentflow.definition.plain_schema import SHARED, is_secret, options_of, plain, shared_of
from agentflow.definition.samples import both, fits
from agentflow.definition.typed_text import NUMBERS, resolve, types_of

Shape = Literal[
    "constant", "shown", "choice", "checks", "list", "rows", "fields", "variants", "boolean", "number", "text", "long",
    "json",
]  # fmt: skip
_SCALARS: Final = frozenset({"string", "boolean", "null", *NUMBERS})
_LONG: Final = 200
"""Longer texts get more than a line."""


class Variant(NamedTuple):
    """One of several things that an answer may be."""

    label: str
    schema: dict[str, Any]
    tag: frozenset[str]
    """Properties whose one value says that it is this one."""


def shape_of(part: Part) -> Shape:
    """Tell how a part is asked."""
    look = part.look
    if isinstance(look.get("const"), bool):  # whoever has to say yes is asked all the same
        return "boolean"
    if "const" in look:
        return "constant"
    if look.get("readOnly") is True:
        return "shown"
    if part.choices:
        return "choice"
    if len(variants_of(part)) > 1:
        return "variants"
    types = {name for name in types_of(look) if name != "null"}
    if not types and is_object(look.get("properties")):
        types = {"object"}
    if types == {"object"}:
        return "fields" if look.get("properties") else "json"
    if types == {"array"}:
        return _of_array(part)
    if types == {"boolean"}:
        return "boolean"
    if types and types <= set(NUMBERS):
        return "number"
    if "string" in types and types <= _SCALARS:
        return "long" if is_long(look) else "text"
    return "json"


def is_long(look: Mapping[str, Any]) -> bool:
    """Tell whether a text may need more than a line."""
    longest = look.get("maxLength")
    return look.get("format") == "textarea" or (isinstance(longest, int) and longest > _LONG)


def _of_array(part: Part) -> Shape:
    if "prefixItems" in part.look:
        return "list"
    item = item_of(part)
    shape = shape_of(item)
    if shape == "choice":
        return "checks"
    if shape in ("fields", "variants"):
        return "rows"
    scalar = shape in ("text", "long", "number", "boolean") or (shape == "json" and not types_of(item.look))
    return "list" if scalar and not is_secret(item.look) else "json"


def item_of(part: Part) -> Part:
    """Return the part that one item of an array asks."""
    items = part.look.get("items")
    return part_of("", {**shared_of(part.schema), **(items if is_object(items) else {})}, required=True)


def fields_in(part: Part) -> list[Part]:
    """Return the parts of an object."""
    return parts_of(part.schema, *part.given)


def variants_of(part: Part) -> list[Variant]:
    """Return what a part may be, where that are several things of which a form can't ask all at once."""
    options = options_of(part.look)
    looks = [plain({**shared_of(part.schema), **option}) for option in options]
    if len(looks) < 2 or all(types_of(look) and set(types_of(look)) <= _SCALARS for look in looks):
        return []
    if all("required" in look and len(look) == 1 for look in options):  # rules of which fields go together
        return []
    base = {key: value for key, value in part.look.items() if key not in ("oneOf", "anyOf", "default", *SHARED)}
    tags = frozenset(name for name in _constants(looks[0]) if all(name in _constants(look) for look in looks))
    found: list[Variant] = []
    for number, look in enumerate(looks, 1):
        merged = both(base, {key: value for key, value in look.items() if key not in SHARED})
        found.append(Variant(_label(look, tags, number), {**shared_of(part.schema), **merged}, tags))
    return found


def variant_at(part: Part, variants: list[Variant]) -> int:
    """Return which variant the given value of a part is; the first where there is none."""
    given = part.given[0] if part.given else None
    return next((n for n, variant in enumerate(variants) if part.given and fits(variant.schema, given)), 0)


def _constants(look: Mapping[str, Any]) -> dict[str, Any]:
    properties = look.get("properties")
    found: dict[str, Any] = {}
    for name, each in properties.items() if is_object(properties) else ():
        field = resolve(each, look)
        options = field.get("enum")
        if "const" in field:
            found[name] = field["const"]
        elif is_array(options) and len(options) == 1:
            found[name] = options[0]
    return found


def _label(look: Mapping[str, Any], tags: frozenset[str], number: int) -> str:
    if look.get("title"):
        return str(look["title"])
    constants = _constants(look)
    if tags:
        return ", ".join(str(constants[name]) for name in sorted(tags))
    properties = look.get("properties")
    if is_object(properties) and properties:
        return ", ".join(properties)
    return " or ".join(types_of(look)) or str(number)
