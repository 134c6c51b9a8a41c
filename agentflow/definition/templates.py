"""Tells texts that hold templates from plain ones, before anything is compiled."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from agentflow.data import is_array, is_object


@lru_cache(maxsize=256)
def template_test(names: frozenset[str]) -> Callable[[str], bool]:
    """Return a test for texts that hold a reference to one of some names, or a JSONPath."""
    words = "|".join(re.escape(name) for name in sorted(names))
    found = re.compile(r"\{(?:\$|!?(?:" + words + r")(?![A-Za-z0-9_]))").search
    return lambda text: "{" in text and found(text) is not None


def has_template(value: Any, test: Callable[[str], bool]) -> bool:
    """Tell whether there is a template anywhere in a value."""
    stack: list[Any] = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            if test(item):
                return True
        elif is_object(item):
            stack.extend(item.values())
        elif is_array(item):
            stack.extend(item)
    return False


def loop_names(item: object, index: object) -> Iterable[str]:
    """Return the names that a loop binds, as far as they are texts."""
    return [name for name in (item, index) if isinstance(name, str)]
