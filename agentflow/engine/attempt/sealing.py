"""Lets secrets stand in an attempt by their names: they are filled in where it is executed, from the config there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias, cast

from agentflow.data import is_array, is_object
from agentflow.errors import StepError
from agentflow.redaction import NOTHING, Redactor, too_short

_TEXT, _PAIRS = "$env", "$pairs"
_Name: TypeAlias = "str | list[str]"
"""A secret's name; with how it is spelled, where it isn't as it is."""


class Seal:
    """Replaces values of the config's `env` by their names, and back."""

    def __init__(self, env: Mapping[str, str], public: Mapping[str, str], redactor: Redactor = NOTHING) -> None:
        """Know which values are secret; empty and too short ones are none.

        Args:
            env: the config's values.
            public: those of them that may be seen.
            redactor: knows other spellings of them; what it finds after all doesn't leave the process.
        """
        self._env = env
        self._redactor = redactor
        secrets = {name: value for name, value in env.items() if name not in public and value and not too_short(value)}
        self._names: dict[str, _Name] = {value: name for name, value in secrets.items()}
        for name, value in secrets.items():  # as they stand in a text that holds an object as JSON
            for spelling in _SPELLINGS:
                self._names.setdefault(_spelled(value, spelling), [name, spelling])
        longest = sorted(self._names, key=len, reverse=True)  # one may be the beginning of another
        self._known = re.compile("|".join(map(re.escape, longest))) if longest else None

    def close(self, value: Any) -> Any:
        """Return JSON data with names in the place of secrets: `{"$env": [text, name, text, …]}`.

        A name is `[name, spelling]` where the text holds the secret as JSON spells it.
        """
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
        parts: list[_Name] = []
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
            parts: list[Any] = value[_TEXT]
            return "".join(self._value(part) if at % 2 else part for at, part in enumerate(parts))
        if _PAIRS in value:
            return {self.open(key): self.open(item) for key, item in value[_PAIRS]}
        return {key: self.open(item) for key, item in value.items()}

    def check(self, raw: bytes, closed: Mapping[str, Any]) -> None:
        """Refuse what holds a secret after all, in a spelling that has no place for its name.

        Args:
            raw: all that leaves the process.
            closed: the data in it that `close` has returned.

        Raises:
            StepError: it does.
        """
        if not self._redactor.suspects(raw):
            return
        for what, value in _parts(closed):
            found: set[str] = set()
            self._redactor.value(_rest(value), found)
            if found:
                names = ", ".join(sorted(found))
                raise StepError(
                    f"{what} can't leave this process: it would hold the secret {names} in the clear",
                    code="AF-SECRET-PLACE", kind="invalid", retryable=False,
                    why="the step is executed elsewhere, and only a secret that stands as it is is sent by its name",
                    hint="put the secret into the field as {env.NAME}, neither encoded nor changed",
                )  # fmt: skip

    def _value(self, name: _Name) -> str:
        if not isinstance(name, str):
            return _spelled(self._value(name[0]), name[1])
        found = self._env.get(name)
        if found is None:
            what = f'the step needs the value "{name}", and the config where it is executed has none'
            raise StepError(what, code="AF-REF-ENV", kind="reference", hint=f"list {name} under env: there")
        return found


_SPELLINGS = ("json", "ascii")


def _spelled(value: str, spelling: str) -> str:
    """Return a text as JSON has it between the quotes."""
    return json.dumps(value, ensure_ascii=spelling == "ascii")[1:-1]


def _parts(closed: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Return what people know of the data that is sent, by its names."""
    for name, value in closed.items():
        if name == "config" and _PAIRS not in value:
            yield from ((f'the field "{field}"', each) for field, each in value.items())
        else:
            yield _KNOWN_AS[name], value


_KNOWN_AS: Mapping[str, str] = {
    "config": "a field", "values": "with", "saved": "the state that the step has saved", "arrived": "what has come",
    "approved": "what was said of its calls",
}  # fmt: skip


def _rest(value: Any) -> Any:
    """Return sealed data without the names in it: they may look like secrets themselves."""
    if is_array(value):
        return [_rest(item) for item in value]
    if not is_object(value):
        return value
    if _TEXT in value:
        return value[_TEXT][::2]
    if _PAIRS in value:
        return [_rest(item) for pair in value[_PAIRS] for item in pair]
    return {key: _rest(item) for key, item in value.items()}
