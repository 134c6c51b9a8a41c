"""Takes secrets out of texts and values, in whatever usual spelling they stand there.

A secret rarely comes back as it was: a service echoes it as JSON, an url has it percent-encoded, an exception shows its
`repr`. So texts aren't searched for a list of spellings. They are *folded*: letters become small, quotes one kind of
quote, runs of white space one space; a folded secret is looked for in the folded text. Then one layer of escapes
(backslashes, percent signs, HTML entities) is taken off, and it is looked for again, layer by layer. What has no such
form (base64 at its three alignments, hexadecimal digits) is looked for as it would stand there.

Nearly no text holds a secret. One regular expression of Rust's says so in linear time, whatever the secrets are; only
what it lets through is folded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import cached_property
from typing import Any, cast

from agentflow.spellings import Layer, Needle, folded, needles, peeled, pieces, sieve, squeezed

HIDDEN = "***"
"""What stands in the place of a secret."""
SHORTEST = 4
"""Characters from which on a value can be a secret: shorter ones stand everywhere by chance."""
_LAYERS = 4
_WINDOW = 4096
"""Characters of a suspected text that are looked at more closely at once."""
_BLOCK = 16
"""Secrets that came later and are looked for by one expression: each new one makes that anew."""
_BLOCKS = 64
"""How many such blocks there are; the oldest is forgotten then, until one of its secrets is used again."""
_WIDEST = 12
"""Characters that one character of a secret takes at most, in a spelling that is cut through."""


_current: ContextVar[Redactor] = ContextVar("agentflow_redactor")


def current() -> Redactor:
    """Return what knows the secrets of the engine for which the calling code works."""
    return _current.get(NOTHING)


def use(redactor: Redactor) -> None:
    """Say whose secrets the rest of this task is to keep: who cuts a text asks `current`."""
    _current.set(redactor)


def too_short(value: str) -> bool:
    """Tell whether a value is too short to be kept secret. An empty one is no secret at all."""
    return 0 < len(value.strip()) < SHORTEST


class _Block:
    """Some secrets, and what they are looked for by: it is made when it is first needed."""

    def __init__(self, secrets: list[tuple[str, str]]) -> None:
        self.secrets = secrets
        """Of each its name and its text."""

    @cached_property
    def needles(self) -> list[Needle]:
        return [needle for name, secret in self.secrets for needle in needles(name, secret)]

    @cached_property
    def sieve(self) -> Callable[[str | bytes], bool]:
        return sieve(self.needles)


class Redactor:
    """Knows an agent's secrets."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        """Know secrets by their names; empty and too short values are left out."""
        own = [(name, text) for name, value in secrets.items() if len(text := value.strip()) >= SHORTEST]
        self._blocks = [_Block(own)] if own else []
        self._known = {text for _, text in own}
        self.margin = _WIDEST * max((len(text) for _, text in own), default=0)
        """Characters that a spelling of a secret takes at most: what a text that may be cut needs around the cut."""
        self._first_learned = len(self._blocks)

    def __bool__(self) -> bool:
        """Tell whether there are secrets."""
        return bool(self._blocks)

    def learn(self, name: str, value: str) -> None:
        """Know one more secret from now on, such as a token that is used.

        Args:
            name: what it is called; several may be called the same.
            value: the secret; one that is too short is left out.
        """
        text = value.strip()
        if len(text) < SHORTEST or text in self._known:
            return
        blocks, first = [*self._blocks], self._first_learned
        if len(blocks) == first or len(blocks[-1].secrets) >= _BLOCK:
            blocks.append(_Block([(name, text)]))
        else:
            blocks[-1] = _Block([*blocks[-1].secrets, (name, text)])
        if len(blocks) > first + _BLOCKS:
            self._known.difference_update(text for _, text in blocks.pop(first).secrets)
        self._known.add(text)
        self.margin = max(self.margin, _WIDEST * len(text))
        self._blocks = blocks

    def _sieve(self, text: str | bytes) -> bool:
        for block in self._blocks:  # noqa: SIM110  each result of a step comes by here
            if block.sieve(text):
                return True
        return False

    def suspects(self, text: str | bytes) -> bool:
        """Tell whether a text, or a value's JSON, may hold a secret. False is certain, and found at once."""
        return bool(self._blocks) and self._sieve(text)

    def text(self, text: str, found: set[str] | None = None) -> str:
        """Return a text without secrets.

        Args:
            text: any text.
            found: gets the names of the secrets that were in it.
        """
        if not self._blocks or not self._sieve(text):
            return text
        spans = self._spans(text, found)
        if not spans:
            return text
        parts: list[str] = []
        last = 0
        for start, end in spans:
            parts += [text[last:start], HIDDEN]
            last = end
        return "".join([*parts, text[last:]])

    def value(self, value: Any, found: set[str] | None = None) -> Any:
        """Return a value without secrets; the same object where none is in it.

        Texts, keys, bytes, and numbers whose digits hold a secret are looked at, however deep. Objects that aren't data
        stay as they are.
        """
        if not self._blocks or value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self.text(value, found)
        if isinstance(value, int | float):
            return self._number(value, found)
        if isinstance(value, bytes | bytearray):
            return self._bytes(value, found)
        if isinstance(value, Mapping):
            return self._mapping(cast("Mapping[Any, Any]", value), found)
        if isinstance(value, list | tuple | set | frozenset):
            return self._items(cast("list[Any]", value), found)
        return value

    def head(self, text: str, limit: int) -> str:
        """Return the beginning of a text, secrets taken out before it is cut."""
        text = self.text(text)
        return text if len(text) <= limit else text[: limit - 1] + "…"

    def tail(self, text: str, limit: int, *, cut: bool = False) -> str:
        """Return the end of a text, secrets taken out before it is cut.

        Args:
            text: any text.
            limit: characters that are kept.
            cut: its beginning is gone already, perhaps through a secret: what may be left of that goes too.
        """
        if cut and self._blocks:
            start = min(self.margin, len(text))
            start = next((end for begin, end in self._spans(text, None) if begin < start < end), start)
            text = "…" + text[start:]
        text = self.text(text)
        return text if len(text) <= limit else "…" + text[-limit:]

    def split(self, text: str, limit: int) -> tuple[str, str]:
        """Cut the beginning off a text that goes on, so that no secret is cut in two.

        Returns:
            At most about `limit` characters, without secrets, and the rest as it was. Nothing yet, where what follows
            has to be known first.
        """
        end = min(limit, len(text) - self.margin)
        if end <= 0:
            return "", text
        for begin, over in self._spans(text, None) if self.suspects(text) else ():
            if begin < end < over:
                end = begin or over
        return self.text(text[:end]), text[end:]

    def _number(self, value: float, found: set[str] | None) -> Any:
        try:
            digits = str(value)
        except ValueError:  # more digits than Python writes
            return value
        clean = self.text(digits, found)
        return value if clean is digits or clean == digits else clean

    def _bytes(self, value: bytes | bytearray, found: set[str] | None) -> Any:
        text = bytes(value).decode("utf-8", "surrogateescape")
        clean = self.text(text, found)
        return value if clean == text else clean.encode("utf-8", "surrogateescape")

    def _items(self, values: Any, found: set[str] | None) -> Any:
        clean = [self.value(item, found) for item in values]
        if all(one is other for one, other in zip(clean, values, strict=True)):
            return values
        if isinstance(values, tuple):
            return tuple(clean)
        return clean if isinstance(values, list) else set(clean)

    def _mapping(self, value: Mapping[Any, Any], found: set[str] | None) -> Any:
        clean: dict[Any, Any] = {}
        changed = False
        for key, item in value.items():
            name, kept = self.value(key, found), self.value(item, found)
            if name is not key or kept is not item:
                changed = True
            if name is not key:
                name = _unused(name, clean, value)
            clean[name] = kept
        return clean if changed else value

    def _spans(self, text: str, found: set[str] | None) -> list[tuple[int, int]]:
        """Return where secrets stand, in order; those that overlap as one."""
        spans: list[tuple[int, int]] = []
        width = max(_WINDOW, 2 * self.margin)
        for start in range(0, max(len(text) - self.margin, 1), width - self.margin):
            part = text[start : start + width]
            if self._sieve(part):
                spans += [(start + begin, start + end) for begin, end in self._all(part, found)]
        spans.sort()
        merged: list[tuple[int, int]] = []
        for begin, end in spans:
            if merged and begin < merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((begin, end))
        return merged

    def _all(self, text: str, found: set[str] | None) -> Iterator[tuple[int, int]]:
        layer: Layer | None = Layer(text)
        for _ in range(_LAYERS + 1):
            if layer is None:
                return
            for needle, begin, end in self._found(layer):
                if found is not None:
                    found.add(needle.name)
                yield begin, end
            layer = peeled(layer)

    def _found(self, layer: Layer) -> Iterator[tuple[Needle, int, int]]:
        forms = {"plain": layer, "folded": folded(layer), "squeezed": squeezed(layer)}
        for needle in (needle for block in self._blocks for needle in block.needles):
            form = forms[needle.form]
            start = form.text.find(needle.text)
            while start >= 0:
                end = start + len(needle.text)
                before, after = needle.around(form.text, start, end)
                yield needle, form.begin(before), form.end(after)
                start = form.text.find(needle.text, start + 1)
            if needle.form == "folded":
                yield from ((needle, form.begin(start), form.end(end)) for start, end in pieces(form.text, needle.text))


NOTHING = Redactor({})
"""Knows no secrets."""


def _unused(name: Any, taken: Mapping[Any, Any], given: Mapping[Any, Any]) -> Any:
    """Return a key that no other one has: two keys may have held different secrets."""
    number, free = 2, name
    while free in taken or free in given:
        free, number = f"{name} ({number})", number + 1
    return free
