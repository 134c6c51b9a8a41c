"""Fetches tokens anew before they end: one process at a time, and in it one task."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from weakref import WeakValueDictionary

import anyio

from agentflow.credentials import NotConnected
from agentflow.errors import StoreError
from agentflow.ids import new_id
from agentflow.requirements.connections.oauth import TIMEOUT, Answer, OAuthServer, Refused, Unreachable
from agentflow.requirements.connections.scopes import granted
from agentflow.requirements.connections.settings import Settings
from agentflow.requirements.connections.tokens import Safe, Tokens, client_of, stale
from agentflow.vault import Held, Spot, Vault

LEASE = 2 * TIMEOUT
"""Seconds that one may take; whoever is gone by then has lost the right to it."""
_LOOK = 0.05
"""Seconds between two looks whether another process is done."""
_OVER = frozenset(
    {"invalid_grant", "invalid_token", "expired_token", "bad_refresh_token", "invalid_refresh_token", "token_revoked"}
)
"""Answers after which a refresh token is worth nothing."""
_UNHOSTED = "?"
"""How the names of those begin whose life nobody can tell."""
_TRIES = 5
"""How often what was fetched is tried to be kept: the old refresh token may be worth nothing already."""


class Renewing:
    """Gives tokens that are good for a while."""

    def __init__(
        self,
        vault: Vault,
        safe: Safe,
        now: Callable[[], float],
        dead: Callable[[Collection[str]], Awaitable[Collection[str]]],
        host: Callable[[], str],
    ) -> None:
        """Make it.

        Args:
            vault: where tokens are.
            safe: opens them.
            now: the time.
            dead: returns those of some hosts that live no more: their right to fetch counts no more.
            host: the name under which this process lives; empty: it has none.
        """
        self._vault = vault
        self._safe = safe
        self._now = now
        self._dead = dead
        self._host = host
        self._self = _UNHOSTED + new_id()
        self._locks: WeakValueDictionary[Spot, anyio.Lock] = WeakValueDictionary()

    async def fresh(
        self, held: Held, settings: Settings, server: OAuthServer, *, refused: int | None = None
    ) -> tuple[Held, Tokens]:
        """Return tokens that are good, fetched anew where need be.

        Args:
            held: what is kept.
            settings: the connection.
            server: its server.
            refused: the version of tokens that the service has refused: others are wanted.

        Raises:
            NotConnected: they can't be had.
            Unreachable: the server can't be asked just now, and the old ones are over.
        """
        tokens = self.opened(held, settings)
        lock = self._locks.get(held.spot)
        if lock is None:
            lock = self._locks[held.spot] = anyio.Lock()
        resealed = self._safe.resealed(held, tokens)
        if resealed is not None and not lock.locked():
            async with lock:
                held = await self._sealed_anew(held, resealed)
        if held.version != refused and not stale(tokens, held, settings.entry.leeway, self._now):
            return held, tokens
        if lock.locked() and self._usable(held, refused):
            return held, tokens  # another task fetches, and these are still good
        async with lock:
            while True:
                held = await self._again(held)
                tokens = self.opened(held, settings)
                if held.version != refused and not stale(tokens, held, settings.entry.leeway, self._now):
                    return held, tokens
                if not held.refreshable or tokens.refresh_token is None:
                    if self._usable(held, refused):
                        return held, tokens
                    raise NotConnected(held.spot.connection, "rejected" if held.version == refused else "expired")
                done = await self._claimed(held, tokens, settings, server, refused)
                if done is not None:
                    return done
                if self._usable(held, refused):
                    return held, tokens  # another process fetches
                await anyio.sleep(_LOOK)

    async def _sealed_anew(self, held: Held, resealed: Held) -> Held:
        """Keep tokens under the newest key, but not in place of those that another process is about to keep."""
        me = self._host() or self._self
        claimed = await self._vault.claim(held.spot, me, self._now(), self._now() + LEASE)
        if claimed is None:
            return held
        kept = await self._vault.keep(resealed, expect=held.version)
        if kept is None:
            await self._vault.unclaim(held.spot, me)
        return kept or held

    def _usable(self, held: Held, refused: int | None) -> bool:
        """Tell whether an access token still holds for now."""
        return held.version != refused and held.expires_at is not None and held.expires_at > self._now()

    async def _again(self, held: Held) -> Held:
        found = await self._vault.held(held.spot)
        if found is None:
            raise NotConnected(held.spot.connection, "revoked")
        return found

    def opened(self, held: Held, settings: Settings) -> Tokens:
        """Return the tokens that are kept; raises NotConnected where they are of no use to us."""
        if held.state != "active":
            raise NotConnected(held.spot.connection, held.state)
        tokens = self._safe.tokens(held)
        if tokens is None:
            raise NotConnected(held.spot.connection, "not connected", why="its tokens were sealed with another key")
        if tokens.client != client_of(settings):
            raise NotConnected(held.spot.connection, "not connected", why="its tokens are another client's")
        return tokens

    async def _claimed(
        self, held: Held, tokens: Tokens, settings: Settings, server: OAuthServer, refused: int | None
    ) -> tuple[Held, Tokens] | None:
        """Fetch tokens anew if nobody else does; None: somebody does, or has."""
        spot, me = held.spot, self._host() or self._self
        other = await self._vault.claimed_by(spot, self._now())
        dead = await self._dead([other]) if other not in (None, me) and not other.startswith(_UNHOSTED) else ()
        claimed = await self._vault.claim(spot, me, self._now(), self._now() + LEASE, dead)
        if claimed is None:
            return None
        if claimed.version != held.version:
            await self._vault.unclaim(spot, me)
            return None
        try:
            answer = await self._fetched(claimed, tokens, server, refused)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._vault.unclaim(spot, me)
            raise
        if answer is None:
            await self._vault.unclaim(spot, me)
            return claimed, tokens
        return await self._kept(claimed, settings, answer, tokens)

    async def _fetched(self, held: Held, tokens: Tokens, server: OAuthServer, refused: int | None) -> Answer | None:
        """Ask the server; None: it can't be asked, but the old ones are still good."""
        try:
            with anyio.CancelScope(shield=True), anyio.fail_after(LEASE - 5):  # an answer may be worth all there is
                return await server.refresh(tokens.refresh_token or "")
        except Refused as error:
            if error.error not in _OVER:
                raise
            await self._vault.keep(held._replace(state="expired", updated_at=self._now()), expect=held.version)
            raise NotConnected(held.spot.connection, "expired", why=f"the server says {error.error}") from None
        except (Unreachable, TimeoutError) as error:
            if self._usable(held, refused):
                return None
            if isinstance(error, TimeoutError):
                raise Unreachable(f'the server of "{held.spot.connection}" doesn\'t answer') from None
            raise

    async def _kept(self, held: Held, settings: Settings, answer: Answer, old: Tokens) -> tuple[Held, Tokens]:
        """Keep new tokens, come what may: the old ones may be worth nothing any more."""
        now = self._now()
        tokens = old._replace(
            access_token=answer.access_token, refresh_token=answer.refresh_token, lifetime=answer.lifetime
        )
        new = held._replace(
            sealed=self._safe.close(held.spot, tokens),
            scopes=granted(answer.scope, settings.preset, held.scopes),
            expires_at=None if answer.lifetime is None else now + answer.lifetime,
            refreshable=answer.refresh_token is not None,
            updated_at=now,
        )
        with anyio.CancelScope(shield=True):
            for number in range(_TRIES):
                try:
                    kept = await self._vault.keep(new, expect=held.version)
                except StoreError:
                    if number + 1 == _TRIES:
                        raise
                    await anyio.sleep(_LOOK * 2**number)
                else:
                    if kept is None:  # signed out, or in again, meanwhile
                        held = await self._again(held)
                        return held, self.opened(held, settings)
                    return kept, tokens
        raise NotConnected(held.spot.connection, "expired")
