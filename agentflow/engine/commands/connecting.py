"""What an engine does for those who sign in: runs that waited for it go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from agentflow.data import encode, salvaged
from agentflow.engine.asked import asked_for
from agentflow.engine.models import Connected, Decline, Reply, WaitView, wait_view
from agentflow.errors import ConflictError, NotFoundError
from agentflow.principal import LOCAL, Principal
from agentflow.store.common import OPEN
from agentflow.store.contract import Store
from agentflow.store.views import TaskView

DOOR: Final = "connection"
KEPT: Final = 1000
"""Addresses of pages that are kept."""


class Resume(Protocol):
    """Answers a wait."""

    async def __call__(self, task_id: str, answer: Reply, *, door: str = ..., principal: Principal = ...) -> WaitView:
        """Answer one."""
        ...


class Connections:
    """The waits of an engine's runs that ask somebody to sign in."""

    def __init__(self, store: Store, resume: Resume) -> None:
        """Look at the waits of a store."""
        self._store = store
        self._resume = resume
        self.page: Callable[[WaitView], str] | None = None
        """Returns the address where somebody signs in whom a wait asks to; whoever serves such pages sets it."""
        self._pages: dict[str, str] = {}

    def shown(self, view: TaskView) -> TaskView:
        """Return a wait with the address where somebody signs in, if it asks for that, and such pages are served."""
        task = view.task
        if self.page is None or task.kind != "auth" or task.state not in OPEN:
            return view
        details: Any = salvaged(task.details or b"", {})
        if asked_for(details) is None or "url" in details:
            return view
        details["url"] = self._address(view, self.page)
        return view._replace(task=task._replace(details=encode(details)))

    def _address(self, view: TaskView, page: Callable[[WaitView], str]) -> str:
        """Return the address of a wait's page: the same one each time, as who looks again sees nothing new then."""
        known = self._pages.get(view.task.id)
        if known is None:
            while len(self._pages) >= KEPT:
                del self._pages[next(iter(self._pages))]
            known = self._pages[view.task.id] = page(wait_view(view))
        return known

    async def waits(self, connection: str | None = None, *, principal: Principal = LOCAL) -> list[WaitView]:
        """Return the open waits of a principal's own runs that ask it to sign in, oldest first.

        Args:
            connection: only those for this one, or for a service of it: `google` is that of `google:drive`, too.
            principal: whose runs.
        """
        found = [
            wait_view(view)
            for view in await self._store.list_tasks(principal=principal)
            if view.task.kind == "auth" and (view.owner, view.tenant) == (principal.owner, principal.tenant)
        ]
        return [view for view in found if _is_of(asked_for(view.details), connection)]

    async def signed_in(self, connection: str, *, principal: Principal = LOCAL) -> list[WaitView]:
        """Let the runs of a principal go on that waited until it has signed in; returns the waits that this ended.

        What they need is looked up again: who lacks permissions still is asked again.
        """
        ended: list[WaitView] = []
        for view in await self.waits(connection, principal=principal):
            try:
                ended.append(await self._resume(view.id, Connected(connection), door=DOOR, principal=principal))
            except (ConflictError, NotFoundError):
                continue  # it was declined, or its run has ended meanwhile
        return ended

    async def refused(self, wait_id: str, why: str, *, principal: Principal = LOCAL) -> None:
        """Fail the step that waited until somebody has signed in, who has refused to."""
        try:
            await self._resume(wait_id, Decline(why), door=DOOR, principal=principal)
        except (ConflictError, NotFoundError):
            return  # it is over already


def _is_of(asked: str | None, connection: str | None) -> bool:
    return asked is not None and (connection is None or asked == connection or asked.startswith(f"{connection}:"))
