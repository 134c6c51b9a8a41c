"""Attributes that are computed on first use: `functools.cached_property` takes a lock until Python 3.12."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class lazy(Generic[T]):
    """Computes an attribute on first use and keeps it in the instance."""

    def __init__(self, compute: Callable[[Any], T]) -> None:
        """Wrap the method that computes it."""
        self._compute = compute
        self._name = compute.__name__
        self.__doc__ = compute.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> lazy[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> lazy[T] | T:
        """Compute the attribute; the instance's own one is found before this the next time."""
        if instance is None:
            return self
        value = self._compute(instance)
        setattr(instance, self._name, value)  # not by its __dict__: naming that makes one, for each of many steps
        return value
