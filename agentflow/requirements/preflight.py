"""Compares all that a workflow needs with what there is for somebody, at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from agentflow.credentials import Book
from agentflow.principal import Principal
from agentflow.requirements.checker import Checker
from agentflow.requirements.wants import Want

_ASKED = {
    "input": "an answer", "tool": "a tool's result", "event": "an event", "approve": "an approval",
    "review": "a review",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lack:
    """Something that steps need and that isn't there."""

    kind: Literal["skill", "connection"]
    name: str
    """`native:shell`, `google:drive`."""
    scopes: tuple[str, ...]
    """Of a connection: the permissions that are needed."""
    steps: tuple[str, ...]
    """The steps that need it."""
    effect: Literal["fails", "asks"]
    """What becomes of them: they fail, or wait until somebody has signed in."""
    why: str
    fix: str | None
    """What helps."""

    @property
    def text(self) -> str:
        """It in one line."""
        scopes = f" ({', '.join(self.scopes)})" if self.scopes else ""
        return f"{self.name}{scopes}"


@dataclass(frozen=True, slots=True)
class Preflight:
    """What a workflow lacks for somebody who starts it, and what people will be asked meanwhile."""

    lacks: tuple[Lack, ...] = ()
    asks: tuple[Want, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of what is missing, as messages have them."""
        return tuple(lack.text for lack in self.lacks)

    def lines(self) -> list[str]:
        """Return it for people: a line for each thing that is missing, with what helps, and for each that is asked."""
        found: list[str] = []
        for lack in self.lacks:
            does = "wait until it is connected" if lack.effect == "asks" else "fail"
            found.append(f"missing {lack.kind} {lack.text}: {lack.why}; {_steps(lack.steps)} {_verb(lack.steps, does)}")
            if lack.fix is not None:
                found.append(f"  fix: {lack.fix}")
        return [
            *found,
            *(f"will ask for {_ASKED.get(want.name, want.name)}: {_steps(want.steps)}" for want in self.asks),
        ]

    def to_data(self) -> dict[str, object]:
        """Return it as JSON data."""
        return {
            "missing": [
                {
                    "kind": lack.kind, "name": lack.name, "scopes": [*lack.scopes], "steps": [*lack.steps],
                    "effect": lack.effect, "why": lack.why, "fix": lack.fix,
                }
                for lack in self.lacks
            ],
            "asks": [{"kind": want.name, "steps": [*want.steps]} for want in self.asks],
        }  # fmt: skip


def _steps(steps: Sequence[str]) -> str:
    named = ", ".join(f'"{step}"' for step in steps[:5])
    more = f" and {len(steps) - 5} more" if len(steps) > 5 else ""
    return f"step{'s' if len(steps) > 1 else ''} {named}{more}"


def _verb(steps: Sequence[str], plural: str) -> str:
    verb, _, rest = plural.partition(" ")
    return plural if len(steps) > 1 else " ".join(filter(None, (f"{verb}s", rest)))


async def preflight_of(wants: Iterable[Want], checker: Checker, book: Book, principal: Principal) -> Preflight:
    """Return what is missing for a principal."""
    lacks: list[Lack] = []
    asks: list[Want] = []
    for want in wants:
        if want.kind == "answer":
            asks.append(want)
            continue
        lack = _skill(want, checker) if want.kind == "skill" else await _connection(want, book, principal)
        if lack is not None:
            lacks.append(lack)
    return Preflight(tuple(lacks), tuple(asks))


def _skill(want: Want, checker: Checker) -> Lack | None:
    if not checker.missing(type_skills=(want.name,)):
        return None
    fix = f"if you trust this config, add to it: skills: [{want.name}]"
    if want.name == "native:python":
        fix = "list the module in the config: python: {modules: [...]}"
    return Lack("skill", want.name, (), want.steps, "fails", "the config doesn't grant it", fix)


async def _connection(want: Want, book: Book, principal: Principal) -> Lack | None:
    lack = await book.lack(want.name, principal, want.scopes)
    if lack is None:
        return None
    if lack.reason == "unavailable":
        why = ": ".join(filter(None, (lack.what, lack.why)))
        return Lack("skill", want.name, (), want.steps, "fails", why, lack.hint)
    asks = lack.connectable and "fail" not in (lack.on_missing, want.on_missing)
    fix = lack.hint
    if lack.reason == "unknown":
        fix = f'describe it in the config: connections: {{"{want.name}": {{…}}}}'
    scopes = lack.scopes or want.scopes
    why = f"{lack.what}, as {lack.why}" if lack.reason == "not connected" and lack.why else lack.what
    return Lack("connection", want.name, scopes, want.steps, "asks" if asks else "fails", why, fix)
