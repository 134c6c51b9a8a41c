"""JSON values: the one kind of data that crosses a boundary of the engine, and the gate that they all come in by.

What `admit` lets in can be read back: by `decode`, by Python's `json`, also with the rows of a store around it.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias, TypeGuard

from agentflow.errors import StoreError
from agentflow.unfit import MAX_DIGITS, OutOfRange, UnfitError, find_fault, out_of_range

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
"""A plain JSON value. Integers have up to 4,300 digits; floats are finite."""

MAX_DEPTH: Final = 100
"""How deep a value may be nested. Decoders end at 200: between lies room for what rows put around a value."""
_DEEPEST: Final = 200
_DIGITS: Final = b"0123456789"
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_LOST: Final = object()
_TEXT: Final = frozenset({str})
_SMALL: Final = 2 * MAX_DEPTH
"""Bytes below which no value is nested too deep."""


# Pydantic's core reads and writes JSON several times as fast as Python does, but loading it takes longer than reading
# what a list shows. It takes over with the first value that is written, or as soon as something else has loaded it.


def _load() -> None:
    """Let pydantic's core do all that follows."""
    global _from_json, _to_json
    import pydantic_core  # noqa: PLC0415

    _from_json, _to_json = pydantic_core.from_json, pydantic_core.to_json


def _first_to(value: object) -> bytes:
    _load()
    return _to_json(value)


def _first_from(raw: bytes | str, *, allow_inf_nan: bool = True) -> Any:
    """Read a short text in which both see the same; the other one decides on all that is unusual."""
    if "pydantic_core" not in sys.modules and len(raw) <= _FEW and allow_inf_nan:
        try:
            text = raw if isinstance(raw, str) else raw.decode()
            if text.count("[") + text.count("{") <= MAX_DEPTH and "\\u" not in text:
                return json.loads(text)
        except (ValueError, AttributeError):  # AttributeError: a hand has changed its column
            pass
    _load()
    return _from_json(raw, allow_inf_nan=allow_inf_nan)


_from_json: Callable[..., Any] = _first_from
_to_json: Callable[..., bytes] = _first_to
_FEW: Final = 4096
"""Bytes of a text that Python may read."""


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Tell whether a JSON value is an object."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[Any]]:
    """Tell whether a JSON value is an array."""
    return isinstance(value, list)


def admit(value: object, limit: int | None = None, depth: int = MAX_DEPTH) -> bytes:
    """Encode a value from outside; what it gives can surely be read back, equal.

    Tuples and sets become lists, integer keys texts, models and dataclasses objects.

    Args:
        value: anything that a user, a step or another system gave.
        limit: the most bytes that it may have as JSON.
        depth: how deep it may be nested.

    Raises:
        UnfitError: it isn't data, or too large.
    """
    try:
        raw = _to_json(value)
    except Exception as error:  # pydantic_core raises its own types as well as UnicodeEncodeError
        raise find_fault(value, depth) or UnfitError(_words(error)) from None
    small = len(raw) < _SMALL
    plain = type(value) in _SCALARS or (_plain(value) if small else _shallow(value, raw, depth))
    if not plain or raw.find(b"NaN") >= 0 or raw.find(b"Infinity") >= 0 or (not small and _many_digits(raw)):
        _look(value, raw, depth, plain=plain)
    if limit is not None and len(raw) > limit:
        raise UnfitError(f"it has {len(raw):,} bytes; at most {limit:,} are taken", large=True)
    return raw


def normalise(value: object, limit: int | None = None, depth: int = MAX_DEPTH) -> Any:
    """Return what came from outside as plain JSON data of its own, once, before anybody reads it.

    Raises:
        UnfitError: see `admit`.
    """
    if value is None or isinstance(value, bool) or (type(value) is str and value.isascii() and limit is None):
        return value
    return _from_json(admit(value, limit, depth))


def encode(value: object) -> bytes:
    """Encode what is data already (a row around values that were admitted) compactly, as stores keep it.

    Raises:
        UnfitError: it couldn't be read back.
    """
    raw = _to_json(value)
    if len(raw) >= _SMALL and (_many_digits(raw) or not _shallow(value, raw, _DEEPEST)):
        _look(value, raw, _DEEPEST, plain=True)
    return raw


def decode(raw: bytes | str) -> Any:
    """Decode what a store gave back.

    Raises:
        StoreError: it can't be read: what is stored is damaged, or an older version kept what it couldn't read.
    """
    try:
        return _from_json(raw)
    except ValueError as error:
        raise StoreError("stored data can't be read", code="AF-STORE-DAMAGED", why=str(error)) from None


def salvaged(raw: bytes | str, otherwise: Any = None) -> Any:
    """Decode what a store gave back, or return something else where it can't be read: others go on beside it."""
    if not raw:
        return otherwise
    try:
        return _from_json(raw)
    except (ValueError, TypeError):  # TypeError: a hand has changed its column
        return otherwise


def is_readable(raw: bytes) -> bool:
    """Tell whether what a store gave back can be decoded."""
    return salvaged(raw, _LOST) is not _LOST


def copied(value: Any) -> Any:
    """Return a JSON value for code that may change it: what it came from stays as it is."""
    return _from_json(encode(value)) if is_object(value) or is_array(value) else value


def canonical(value: object) -> bytes:
    """Encode with sorted keys: equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest(raw: bytes) -> str:
    """Return a short, collision-safe name of some bytes."""
    import hashlib  # noqa: PLC0415  loads OpenSSL; who only shows stored data needs no digest

    return hashlib.blake2b(raw, digest_size=16).hexdigest()


# what can be told without reading the text back


def _many_digits(raw: bytes) -> bool:
    """Tell whether there is a run of so many digits that it can't be read if it is a number."""
    if len(raw) <= MAX_DIGITS:
        return False
    for at in range(MAX_DIGITS, len(raw), MAX_DIGITS):  # one of them is under one of these bytes
        if 48 <= raw[at] <= 57:
            before, after = raw[at - MAX_DIGITS : at], raw[at : at + MAX_DIGITS + 1]
            run = len(before) - len(before.rstrip(_DIGITS)) + len(after) - len(after.lstrip(_DIGITS))
            if run > MAX_DIGITS:
                return True
    return False


def _plain(value: Any) -> bool:
    """Tell whether a small value has only texts as keys, and nothing foreign in it."""
    kind: Any = type(value)  # pyright: ignore[reportUnknownVariableType]  to cast is a call, for each value
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str or (type(item) not in _SCALARS and not _plain(item)):
                return False
        return True
    if kind is list:
        for item in value:  # noqa: SIM110  a generator costs more, and this is done for every value
            if type(item) not in _SCALARS and not _plain(item):
                return False
        return True
    return kind in _SCALARS


def _shallow(value: Any, raw: bytes, depth: int) -> bool:
    """Look at a value level by level, until all objects and arrays of its text are found: are their keys texts?"""
    objects, arrays = raw.count(b"{"), raw.count(b"[")
    rest: list[Any] = [] if type(value) in _SCALARS else [value]
    for _ in range(depth):
        dicts: list[dict[Any, Any]] = [item for item in rest if type(item) is dict]
        lists: list[list[Any]] = [item for item in rest if type(item) is list] if len(dicts) < len(rest) else []
        if len(dicts) + len(lists) < len(rest) or not _TEXT.issuperset(map(type, set[Any]().union(*dicts))):
            return False
        objects -= len(dicts)
        arrays -= len(lists)
        if objects <= 0 and arrays <= 0:
            return True
        rest = [item for one in dicts for item in one.values() if type(item) not in _SCALARS]
        rest += [item for one in lists for item in one if type(item) not in _SCALARS]
    return not rest  # the brackets that are left stand in texts


def _look(value: object, raw: bytes, depth: int, *, plain: bool) -> None:
    """Raise UnfitError when a text can't be read back with rows around it, or isn't all that the value holds."""
    fault = None if plain else find_fault(value, depth)
    if fault is not None:
        raise fault
    around = _DEEPEST - depth
    try:
        back = _from_json(b"[" * around + raw + b"]" * around, allow_inf_nan=False)
    except ValueError as error:
        raise find_fault(value, depth) or UnfitError(_words(error)) from None
    if plain:
        return
    for _ in range(around):
        back = back[0]
    if _to_json(back) != raw:
        raise UnfitError("two of its keys are one as texts")


def _words(error: Exception) -> str:
    return str(error).removeprefix("Error serializing to JSON: ")


# JSON text of others


def parse(text: str | bytes) -> Any:
    """Read JSON text that comes from outside; a byte order mark is skipped.

    Raises:
        UnfitError: it holds what isn't data, such as a number out of range: the message names it and its place.
        ValueError: it isn't JSON; the message names line and column.
    """
    text = text.removeprefix(b"\xef\xbb\xbf") if isinstance(text, bytes) else text.removeprefix("\ufeff")
    try:
        value = _from_json(text, allow_inf_nan=False)
    except (ValueError, TypeError) as error:  # TypeError: half of a character pair stands in a str
        raise _misread(text, error) from None
    try:
        admit(value)
    except UnfitError:
        raise _misread(text, None) from None
    return value


def _misread(text: str | bytes, error: Exception | None) -> ValueError:
    """Read a text again, with marks in place of numbers that are out of range, to tell what is wrong with it."""
    try:
        value = json.loads(text, parse_int=_marked, parse_float=_marked, parse_constant=OutOfRange)
    except RecursionError:
        return UnfitError(f"it is nested deeper than {MAX_DEPTH} levels")
    except ValueError as unreadable:
        return ValueError(str(error or unreadable))
    return find_fault(value, MAX_DEPTH) or ValueError(str(error))


def read_number(text: str) -> int | float:
    """Read a number as JSON writes it, `NaN` and the like too; raises UnfitError when no value has it."""
    digits = text.lstrip("-")
    if digits.isdigit():
        if len(digits) <= MAX_DIGITS:
            return int(text)
    elif math.isfinite(number := float(text)):
        return number
    raise UnfitError(out_of_range(text))


def _marked(text: str) -> Any:
    try:
        return read_number(text)
    except UnfitError:
        return OutOfRange(text)
