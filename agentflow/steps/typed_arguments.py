"""Arguments as the types that a function's parameters are annotated with: models, dates, and what else isn't JSON."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

_EXACT: Final[Mapping[Any, tuple[type, ...]]] = {
    str: (str,),
    int: (int,),
    bool: (bool,),
    float: (float, int),
    dict: (dict,),
    list: (list,),
    dict[str, Any]: (dict,),
    list[Any]: (list,),
}
"""Values of these types are taken as they are: nothing is made of them, and nothing inside is looked at."""
_PLAIN: Final = (str, int, float, bool, type(None), Any, dict, list, Mapping)


class Kind:
    """What a parameter is annotated with; looked at closely when a first value comes that isn't taken as it is."""

    __slots__ = ("_annotation", "_default", "_exact", "_make", "name")

    def __init__(self, annotation: Any, default: Any) -> None:
        """Keep an annotation, and the parameter's default, which is taken whatever it is."""
        self.name = _name(annotation)
        self._annotation = annotation
        self._default = default
        self._exact = _EXACT.get(annotation, ()) if _hashable(annotation) else ()
        self._make: Callable[[Any], Any] | None = None

    def of(self, value: Any) -> Any:
        """Return a value as it is annotated: a number stays the integer that it is where a float is meant.

        Raises:
            ValidationError: it doesn't fit.
        """
        if type(value) in self._exact or value is self._default:
            return value
        make = self._make
        if make is None:
            make = self._make = _maker(self._annotation)
        return make(value)


def _maker(annotation: Any) -> Callable[[Any], Any]:
    try:
        validate = TypeAdapter[Any](annotation).validate_python
    except Exception:  # an annotation may be anything: of what isn't data nothing is known, and nothing made
        return lambda value: value
    if not _is_plain(annotation):
        return validate

    def plain(value: Any) -> Any:
        made = validate(value)
        return value if made == value else made

    return plain


def kinds_of(function: Callable[..., Any], signature: inspect.Signature, names: tuple[str, ...]) -> dict[str, Kind]:
    """Return what a function's parameters are annotated with; those that may be anything are left out.

    Args:
        function: the function.
        signature: its signature.
        names: the parameters.
    """
    hints = hints_of(function)
    found: dict[str, Kind] = {}
    for name in names:
        annotation = hints.get(name, Any)
        if annotation is Any or annotation is object or isinstance(annotation, TypeVar):
            continue
        found[name] = Kind(annotation, signature.parameters[name].default)
    return found


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Return a function's annotations; those whose names are there for type checkers only are left out."""
    target: Any = function
    if not hasattr(target, "__annotations__"):
        target = getattr(target, "__call__", target)  # noqa: B004  an object's method is looked at, not asked for
    try:
        return get_type_hints(target, include_extras=True)
    except Exception:  # one of them is enough
        names = getattr(inspect.unwrap(target), "__globals__", {})
        found: dict[str, Any] = {}
        for name, annotation in getattr(target, "__annotations__", {}).items():
            alone = types.SimpleNamespace(__annotations__={name: annotation})
            try:
                found.update(get_type_hints(cast("Any", alone), globalns=names, include_extras=True))
            except Exception:  # noqa: S112  annotations may be anything
                continue
        return found


def told(error: ValidationError) -> str:
    """Return what doesn't fit, and where in the value: `total: Input should be a valid decimal`."""
    return "; ".join(
        f"{'.'.join(map(str, each['loc']))}: {each['msg']}" if each["loc"] else each["msg"] for each in error.errors()
    )


def _name(annotation: Any) -> str:
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation.__name__
    return str(annotation).replace("typing.", "")


def _hashable(annotation: Any) -> bool:
    try:
        hash(annotation)
    except TypeError:
        return False
    return True


def _is_plain(annotation: Any) -> bool:
    """Tell whether all that the annotation allows is JSON as it is."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType, list, dict):
        return all(map(_is_plain, get_args(annotation)))
    return any(annotation is each for each in _PLAIN)
