"""What a turn remembers of its task at an agent: it is the step's state, and survives crashes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from agentflow.data import is_array, is_object


@dataclass(frozen=True, slots=True)
class Held:
    """A task at an agent."""

    agent: str
    """Its name in the config."""
    key: str
    """The message that has begun it; what is sent later has an id made of it."""
    task: str = ""
    """Its id; empty: the message may be on its way, or lost."""
    context: str = ""
    answered: tuple[str, ...] = ()
    """Tasks of waits that were answered: they may still look open for a moment."""
    asked: int = 0
    """How many questions it has asked."""
    question: str | None = None
    """The task that the open question's answer goes to."""
    given: Mapping[str, str] = field(default_factory=dict[str, str])
    """Digests of the artifacts that it had given when it asked, by id."""
    named: bool = False
    """Whether the agent has described the question as data."""

    def asking(self, task: str, given: Mapping[str, str], *, named: bool) -> Held:
        """Return it with a question."""
        return replace(self, asked=self.asked + 1, question=task, given=given, named=named)

    def taken(self) -> Held:
        """Return it with its question answered."""
        done = (self.question,) if self.question is not None and self.named else ()
        return replace(self, answered=(*self.answered, *done), question=None, named=False)

    def to_data(self) -> dict[str, Any]:
        """Return it as it is stored."""
        data: dict[str, Any] = {"agent": self.agent, "key": self.key, "task": self.task, "context": self.context}
        if self.asked:
            data |= {"answered": list(self.answered), "asked": self.asked}
        if self.question is not None:
            data |= {"question": self.question, "named": self.named}
        if self.given:
            data["given"] = dict(self.given)
        return data


def held_of(state: object) -> Held | None:
    """Read what a turn has stored; None: it has begun nothing yet."""
    if not is_object(state) or not isinstance(state.get("task"), str):
        return None
    told: Mapping[str, Any] = state
    answered: Any = told.get("answered")
    question: Any = told.get("question")
    given = told.get("given")
    return Held(
        str(told.get("agent")),
        str(told.get("key")),
        told["task"],
        str(told.get("context") or ""),
        tuple(str(each) for each in answered) if is_array(answered) else (),
        told["asked"] if isinstance(told.get("asked"), int) else 0,
        question if isinstance(question, str) else None,
        {name: str(digest) for name, digest in given.items()} if is_object(given) else {},
        told.get("named") is True,
    )
