"""A runtime that hands steps to the test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio

from agentflow.data import decode, encode
from agentflow.engine.exchange import Parcel
from agentflow.engine.runtime.base import Holder
from tests.engine.hands import eventually
from tests.engine.lab import LIMIT


class Workers:
    """A runtime whose workers are the test."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        """What handing out raises first."""
        self.out: list[str] = []
        self.again: list[str] = []
        self.stopped: list[tuple[str, str]] = []
        self.answered = 0
        """How often they were told that what they brought is taken, or over."""
        self.holder: Holder | None = None
        self.ill: str | None = None
        self.slow: anyio.Event | None = None
        """What handing out waits for."""
        self.busy = False
        """Whether they are at what they were given, until they bring something."""

    async def execute(self, parcels: Sequence[Parcel], *, again: bool = False) -> None:
        """Note attempts."""
        if self.errors:
            raise self.errors.pop(0)
        if self.slow is not None:
            self.out.append(parcels[0].key)
            await self.slow.wait()
            return
        (self.again if again else self.out).extend(parcel.key for parcel in parcels)

    def interrupt(self, keys: Sequence[str], reason: str) -> None:
        """Note what is to be stopped; nobody is at it."""
        self.stopped += [(key, reason) for key in keys]
        if self.holder is not None and not self.busy:
            for key in keys:
                self.holder.lost(key)

    async def attend(self, holder: Holder) -> None:
        """Know the holder."""
        self.holder = holder
        await anyio.sleep_forever()

    async def health(self) -> str | None:
        """Be as well as they are said to be."""
        return self.ill

    async def got(self, count: int = 1, *, again: bool = False) -> str:
        """Return the key of an attempt, once so many were handed out."""

        async def there() -> bool:
            return len(self.again if again else self.out) >= count and self.holder is not None

        await eventually(there)
        return (self.again if again else self.out)[count - 1]

    async def bring(self, key: str, **outcome: Any) -> bool | None:
        """Bring what an attempt came to, and wait until that is committed."""
        assert self.holder is not None
        with anyio.fail_after(LIMIT):
            taken = await self.holder.returned(key, encode(outcome))
        self.answered += 1
        return taken

    async def ask(self, key: str, *call: Any) -> Any:
        """Ask for an attempt, and return the answer."""
        assert self.holder is not None
        with anyio.fail_after(LIMIT):
            answer = await self.holder.called(key, encode(call))
        return None if answer is None else decode(answer)
