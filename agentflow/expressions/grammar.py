"""What references may begin with, compiled once for the names that a place knows."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache
from typing import NamedTuple

from agentflow.expressions.view import Dialect


class Grammar(NamedTuple):
    """What references may begin with, and how they are read."""

    names: frozenset[str]
    dialect: Dialect
    head: re.Pattern[str]
    """Finds where a reference may begin: an optional second brace, and a namespace or `$`."""


def grammar(names: Collection[str], dialect: Dialect) -> Grammar:
    """Return the grammar of some names."""
    return _grammar(frozenset(names), dialect)


@lru_cache(maxsize=256)
def _grammar(names: frozenset[str], dialect: Dialect) -> Grammar:
    # longest first: a name may begin with another one
    name = "|".join(re.escape(n) for n in sorted(names, key=lambda n: (-len(n), n)))
    root = rf"""\$(?=\.\.|\.\*|\[\*|\.(?:{name})(?![\w-])|\[\s*(['"])(?:{name})\3)"""
    return Grammar(names, dialect, re.compile(rf"(\{{)?\{{(?:({name})(?=[.\[}}]|\?\}})|{root})"))
