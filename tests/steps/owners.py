"""A provider of connections in code, for tests: who has an account, and which tokens his service takes."""

from __future__ import annotations

from collections.abc import Collection

from agentflow.credentials import Credentials, NotConnected
from agentflow.principal import Principal


class Owners:
    """Gives each owner the tokens that stand for him, one after the other as they are refused."""

    def __init__(self, **tokens: list[str]) -> None:
        self.tokens = tokens
        self._at: dict[str, int] = {}

    async def credentials(self, name: str, principal: Principal, *, scopes: Collection[str] = ()) -> Credentials:
        own, at = self.tokens.get(principal.owner, []), self._at.get(principal.owner, 0)
        if at >= len(own):
            raise NotConnected(name, "not connected", scopes=scopes)
        return Credentials(name, {"Authorization": f"Bearer {own[at]}"}, value=own[at], version=at)

    async def rejected(self, name: str, principal: Principal, credentials: Credentials) -> Credentials:
        self._at[principal.owner] = credentials.version + 1
        return await self.credentials(name, principal)
