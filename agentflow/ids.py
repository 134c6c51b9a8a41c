"""Identifiers: unguessable, ordered by time, 26 lower-case Crockford base32 characters of a UUIDv7."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, NewType, TypeAlias

if TYPE_CHECKING:
    from uuid_utils import UUID

RunId = NewType("RunId", str)
"""The id of a run, which is its root task's id."""
TaskId = NewType("TaskId", str)
"""The id of any task: a run, a wait or an agent's turn."""

IdSource: TypeAlias = Callable[[], str]
"""Makes one new id a call. Injected, so that tests are repeatable."""

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = tuple(a + b for a in _DIGITS for b in _DIGITS)
LENGTH = 26
SHORTEST = 6
"""People see at least this many characters, from the end: the beginning is a clock."""


def new_id() -> str:
    """Make a new id."""
    return encode_id(_source()().int)


@cache
def _source() -> Callable[[], UUID]:
    from uuid_utils import uuid7  # noqa: PLC0415  its import is only worth it where ids are made

    return uuid7


def encode_id(number: int) -> str:
    """Write a 128-bit number as an id."""
    pairs = _PAIRS
    return "".join([pairs[(number >> shift) & 1023] for shift in range(120, -1, -10)])


def is_id(text: str) -> bool:
    """Tell whether a text has the form of a whole id."""
    return len(text) == LENGTH and all(c in _DIGITS for c in text)
