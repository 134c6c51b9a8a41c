"""Who asks: whose runs one sees and what one may do with them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

EVERYTHING: Final = "*"
"""The scope of one who sees and may do all, in every tenant."""
SHARE_EVENTS: Final = "events:share"
"""The scope of one whose published events may reach waits of the tenant's other owners."""
GROUP: Final = "group:"
"""How assignees begin that are groups."""


@dataclass(frozen=True, slots=True)
class Principal:
    """One who uses an engine, by whichever door. What isn't its own looks to it as what isn't there."""

    owner: str
    """Whose the runs are that it starts."""
    tenant: str = ""
    """The workspace that the owner acts in: nothing gets from one to another."""
    scopes: Collection[str] = frozenset[str]()
    groups: Collection[str] = frozenset[str]()
    """Groups of the tenant: waits that are assigned to `group:NAME` are the waits of their members."""

    def may(self, scope: str) -> bool:
        """Tell whether it has a scope."""
        return scope in self.scopes or EVERYTHING in self.scopes

    @property
    def sees_all(self) -> bool:
        """Whether everybody's runs are shown to it."""
        return EVERYTHING in self.scopes

    @property
    def names(self) -> list[str]:
        """What waits are assigned to it by."""
        own = [] if self.owner.startswith(GROUP) else [self.owner]
        return [*own, *(f"{GROUP}{name}" for name in sorted(self.groups))]

    def owns(self, tenant: str, owner: str) -> bool:
        """Tell whether an owner's runs are shown to it."""
        return EVERYTHING in self.scopes or (self.tenant == tenant and self.owner == owner)

    def answers(self, tenant: str, owner: str, assignees: Collection[str]) -> bool:
        """Tell whether a wait of an owner's run is shown to it, to be answered."""
        return self.owns(tenant, owner) or (self.tenant == tenant and any(name in assignees for name in self.names))


LOCAL: Final = Principal("local", scopes=frozenset({EVERYTHING}))
"""Who uses an engine of its own: on the command line, and in Python where nothing else is said."""
