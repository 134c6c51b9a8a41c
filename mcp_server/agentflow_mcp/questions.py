"""Which of the waits of a run its caller's user can be asked, and how.

What is asked has a key: the wait's id, and after an answer that didn't fit the id with a number, so that no key is ever
used twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from agentflow.definition.gate_told import told_of
from agentflow.engine import Engine, WaitView
from agentflow.engine.commands.noting import Note, last_note, note
from agentflow.principal import Principal
from agentflow_mcp.asking import Request, form
from agentflow_mcp.caller import Caller
from agentflow_mcp.documents import is_asked, is_human_only

DOOR: Final = "mcp"
FRESH: Final = 3600.0
"""Seconds for which an address that was made is given again."""
KEPT: Final = 1000
"""Addresses that are kept for that."""
Page: TypeAlias = Callable[[WaitView, Principal], str]
"""Returns the address of the page where a person answers a wait."""


@dataclass(frozen=True, slots=True)
class Question:
    """A wait, as a user is asked for its answer."""

    key: str
    view: WaitView
    request: Request
    noted: Note | None = None
    """What happened to it last: an answer that didn't fit, and the like."""

    @property
    def is_pending(self) -> bool:
        """Whether nobody has said anything to it in its present form."""
        return self.noted is None or self.noted.kind == "wait_refused"


def asked_text(view: WaitView) -> str:
    """Return what stands above a form: the question, and at a step's gate what it is about."""
    told = told_of(view.details)
    return view.message if told is None else f"{view.message}\n\n{told.title}\n{told.text}"


def unfit(message: str, why: str) -> str:
    """Return what a user is asked again whose answer didn't fit."""
    return f"{message}\n\nThat doesn't fit: {why}"


def by_name(questions: Iterable[Question]) -> dict[str, Question]:
    """Return questions by names that tell something: those of their steps, as far as these differ."""
    found: dict[str, Question] = {}
    for each in questions:
        found[each.key if each.view.step in found else each.view.step] = each
    return found


class Questions:
    """Makes questions of waits, and writes down what is said to them without an answer."""

    def __init__(self, engine: Engine, page: Page | None) -> None:
        """Ask for the waits of an engine's runs.

        Args:
            engine: has them.
            page: returns the address of a page; None: there are no pages.
        """
        self._engine = engine
        self._page = page
        self._pages: dict[tuple[str, Principal], tuple[float, str]] = {}

    async def of(self, waits: Sequence[WaitView], caller: Caller) -> dict[str, Question]:
        """Return what a caller's user can be asked, by key."""
        found: dict[str, Question] = {}
        for view in waits:
            request = self._request(view, caller)
            if request is None:
                continue
            noted = await last_note(self._engine.store, view) if view.generation > 1 else None
            if noted is not None and noted.kind == "wait_refused" and noted.why:
                request = Request(unfit(request.message, noted.why), request.form, request.url)
            key = view.id if view.generation == 1 else f"{view.id}.{view.generation}"
            found[key] = Question(key, view, request, noted)
        return found

    def _request(self, view: WaitView, caller: Caller) -> Request | None:
        if not is_asked(view):
            return None
        if is_human_only(view):
            url = self.page_of(view, caller.principal) if caller.pages else None
            return None if url is None else Request(view.message, url=url)
        shape = form(view.schema) if caller.forms else None
        return None if shape is None else Request(asked_text(view), shape)

    def page_of(self, view: WaitView, principal: Principal) -> str | None:
        """Return the address where a person answers what a model may not; None: there is none, or a model may."""
        if view.connection is not None:
            return view.url
        if self._page is None or not is_human_only(view):
            return None
        now, place = self._engine.core.env.now(), (view.id, principal)
        made, url = self._pages.get(place, (-FRESH, ""))
        if now - made >= FRESH:  # the same one for a while: who looks again sees that nothing has changed
            while len(self._pages) >= KEPT:
                del self._pages[next(iter(self._pages))]
            made, url = now, self._page(view, principal)
            self._pages[place] = made, url
        return url

    async def noted(self, view: WaitView, said: Note, principal: Principal) -> None:
        """Write down what happened to a wait."""
        env = self._engine.core.env
        await note(self._engine.store, env.gate, view, said, by=principal.owner, door=DOOR, at=env.now())
        self._engine.watching.everybody()
