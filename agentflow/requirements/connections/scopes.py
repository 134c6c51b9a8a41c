"""Permissions: how they are asked for, and whether what was granted holds them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from agentflow.requirements.connections.presets import Preset

UNREPORTED = frozenset({"openid", "email", "profile", "offline_access"})
"""Scopes that servers grant without saying so, or call something else: they are no reason to ask anybody again."""


def asked(scopes: Iterable[str], preset: Preset) -> str:
    """Return scopes as they are sent."""
    return preset.separator.join(dict.fromkeys(_whole(scope, preset) for scope in scopes))


def granted(said: str, preset: Preset, of: Iterable[str]) -> tuple[str, ...]:
    """Return the scopes that a server says it granted, by their short names; it says nothing where it's all of them."""
    given = said.replace(",", " ").split() or list(of)
    return tuple(dict.fromkeys(_short(scope, preset) for scope in given))


def lacking(needed: Iterable[str], have: Collection[str], preset: Preset) -> list[str]:
    """Return those of some scopes that aren't among others, nor held in one of them, as they were written."""
    held = {_same(scope, preset) for scope in have}
    held |= {_same(inner, preset) for scope in have for inner in preset.implied.get(_short(scope, preset), ())}
    return [
        scope
        for scope in dict.fromkeys(needed)
        if (same := _same(scope, preset)) not in held and same not in UNREPORTED
    ]


def _short(scope: str, preset: Preset) -> str:
    return scope.removeprefix(preset.prefix)


def _same(scope: str, preset: Preset) -> str:
    short = _short(scope, preset)
    return short.casefold() if preset.folds else short


def _whole(scope: str, preset: Preset) -> str:
    """Return a scope with what its short name lacks."""
    plain = not preset.prefix or preset.folds or "://" in scope or scope in UNREPORTED
    return scope if plain else preset.prefix + scope
