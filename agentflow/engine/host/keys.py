"""Keys of child runs at hand: the planner starts these in its transitions, and waits for nothing."""

from __future__ import annotations

from agentflow.engine.plan.environment import OutOfKeys
from agentflow.store.contract import Store

AT_ONCE = 16
"""Keys that are asked for in one go."""


class Keys:
    """A small stock of keys."""

    def __init__(self, store: Store) -> None:
        """Have none: most workflows start no others."""
        self._store = store
        self._keys: list[int] = []

    def take(self) -> int:
        """Return a key; raises OutOfKeys when there is none."""
        if not self._keys:
            raise OutOfKeys
        return self._keys.pop()

    async def restock(self) -> None:
        """Get more keys; raises StoreError."""
        self._keys[:0] = reversed(await self._store.new_keys(AT_ONCE))
