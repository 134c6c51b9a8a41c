"""What happens to an open wait without answering it: written down, so that every door knows it afterwards."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from agentflow.data import is_object
from agentflow.engine.gate import ANSWER, TOLD, Gate
from agentflow.engine.models import WaitView
from agentflow.store.contract import Store
from agentflow.store.rows import EventRow

Noted = Literal["wait_refused", "wait_dismissed", "wait_opened"]
"""An answer didn't fit; whoever was asked closed the form; or went to the page where it is answered."""
_KINDS: Final[dict[str, Noted]] = {
    "wait_refused": "wait_refused", "wait_dismissed": "wait_dismissed", "wait_opened": "wait_opened"
}  # fmt: skip


class Note(NamedTuple):
    """What happened last to an open wait."""

    kind: Noted
    why: str | None = None
    """What was wrong with the answer."""


async def note(store: Store, gate: Gate, view: WaitView, said: Note, *, by: str, door: str, at: float) -> None:
    """Write down what happened to an open wait; its generation grows.

    Args:
        store: where it is.
        gate: lets texts in.
        view: the wait.
        said: what happened.
        by: who did it.
        door: by which way.
        at: when.
    """
    why = gate.text(said.why, TOLD) if said.why else None
    data = gate.encoded({"by": by, "door": door, **({"why": why} if why else {})}, ANSWER)
    await store.note(view.run_id, [EventRow(said.kind, view.step, data, at, view.id, bumps=True)])


async def last_note(store: Store, view: WaitView) -> Note | None:
    """Return what was written down last of an open wait."""
    for event in reversed(await store.task_log(view.id)):
        kind = _KINDS.get(event.type)
        if kind is not None:
            why = event.data.get("why") if is_object(event.data) else None
            return Note(kind, why if isinstance(why, str) else None)
    return None
