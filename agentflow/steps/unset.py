"""Marks that no value was given, where None is a value."""

from __future__ import annotations


class _Unset:
    def __repr__(self) -> str:
        return "UNSET"

    def __reduce__(self) -> str:
        return "UNSET"  # a copy of it is it


UNSET = _Unset()
