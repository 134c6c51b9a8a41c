"""What clients have subscribed to: each principal may follow so much, and none at another's expense."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import anyio

from agentflow.principal import Principal

Place: TypeAlias = tuple[str, str]
"""A session, and an address that it has subscribed to."""


class _Open(NamedTuple):
    owner: tuple[str, str]
    scope: anyio.CancelScope


def owner_of(who: Principal) -> tuple[str, str]:
    """Return by what limits are counted."""
    return who.tenant, who.owner


class Followed:
    """The places that are followed. Who follows too many loses the oldest."""

    def __init__(self, most: int) -> None:
        """Begin with none; `most` is what one principal may follow."""
        self._most = most
        self._open: dict[Place, _Open] = {}

    def begin(self, place: Place, who: Principal) -> anyio.CancelScope | None:
        """Return the scope to follow a place in; None where it is followed already."""
        if place in self._open:
            return None
        owner = owner_of(who)
        own = [each for each, opened in self._open.items() if opened.owner == owner]
        if len(own) >= self._most:
            self.end(own[0])
        scope = anyio.CancelScope()
        self._open[place] = _Open(owner, scope)
        return scope

    def end(self, place: Place, scope: Any = None) -> None:
        """Follow a place no longer; with a scope, only what is followed in it."""
        found = self._open.get(place)
        if found is not None and scope in (None, found.scope):
            del self._open[place]
            found.scope.cancel()
