"""Lets secrets stand in an attempt by their names: they are filled in where it is executed, from the config there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from agentflow.data import is_array, is_object
from agentflow.errors import StepError
from agentflow.redaction import too_short

_TEXT, _PAIRS = "$env", "$pairs"


class Seal:
    """Replaces values of the config's `env` by their names, and back."""

    def __init__(self, env: Mapping[str, str], public: Mapping[str, str]) -> None:
        """Know which values are secret; empty and too short ones are none."""
        self._env = env
        self._names = {
            value: name for name, value in env.items() if name not in public and value and not too_short(value)
        }
        longest = sorted(self._names, key=len, reverse=True)  # one may be the beginning of another
        self._known = re.compile("|".join(map(re.escape, longest))) if longest else None

    def close(self, value: Any) -> Any:
        """Return JSON data with names in the place of secrets: `{"$env": [text, name, text, …]}`."""
        if isinstance(value, str):
            return self._closed(value)
        if isinstance(value, list | tuple):
            return [self.close(item) for item in cast("list[Any]", value)]
        if isinstance(value, Mapping):
            items = cast("Mapping[str, Any]", value).items()
            pairs = [(self.close(key), self.close(item)) for key, item in items]
            if all(type(key) is str and key not in (_TEXT, _PAIRS) for key, _ in pairs):
                return dict(pairs)
            return {_PAIRS: pairs}
        return value

    def _closed(self, text: str) -> Any:
        if self._known is None or self._known.search(text) is None:
            return text
        parts: list[str] = []
        last = 0
        for found in self._known.finditer(text):
            parts += [text[last : found.start()], self._names[found[0]]]
            last = found.end()
        return {_TEXT: [*parts, text[last:]]}

    def open(self, value: Any) -> Any:
        """Fill secrets in.

        Raises:
            StepError: the config here lacks one.
        """
        if is_array(value):
            return [self.open(item) for item in value]
        if not is_object(value):
            return value
        if _TEXT in value:
            parts: list[str] = value[_TEXT]
            return "".join(self._value(part) if at % 2 else part for at, part in enumerate(parts))
        if _PAIRS in value:
            return {self.open(key): self.open(item) for key, item in value[_PAIRS]}
        return {key: self.open(item) for key, item in value.items()}

    def _value(self, name: str) -> str:
        found = self._env.get(name)
        if found is None:
            what = f'the step needs the value "{name}", and the config where it is executed has none'
            raise StepError(what, code="AF-REF-ENV", kind="reference", hint=f"list {name} under env: there")
        return found
