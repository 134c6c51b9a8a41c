"""What a step keeps of a call, between its attempts: JSON, which the names here write and read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from agentflow.data import is_array, is_object
from agentflow.errors import Defect
from agentflow.steps.contract import Park, Wait
from agentflow_mcp.client.asked import Asked

FIRST_LOOK, LAST_LOOK = 3600.0, 86400.0
"""Seconds after which it is looked whether a task still asks what it has asked: at first, and at last."""
DONE = {
    "type": "object",
    "properties": {"done": {"type": "boolean", "description": "Whether that was done.", "default": True}},
}
"""What is answered when somebody was sent to an address."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a server asks, with the name that its answer goes under."""

    key: str
    message: str
    schema: Mapping[str, Any] | None = None
    url: str | None = None

    @classmethod
    def of(cls, key: str, asked: Asked) -> Question:
        """Name what is asked."""
        return cls(key, asked.message, asked.schema, asked.url)

    @property
    def asked(self) -> Asked:
        """What is asked, without its name."""
        return Asked(self.message, self.schema, self.url)

    def wait(self, server: str, tool: str, timeout: float | None = None) -> Wait:
        """Return the wait that asks it, for some time."""
        details: dict[str, Any] = {"server": server, "tool": tool}
        message = self.message
        if self.url is not None:
            details["url"] = self.url
            message = f"{message}\n{self.url}"
        return Wait(kind="input", message=message, schema=self.schema or DONE, timeout=timeout, details=details)

    def reply(self, arrived: Any) -> dict[str, Any]:
        """Return what was answered as the protocol has it."""
        if not is_object(arrived) or "value" not in arrived:
            return {"action": "decline"}
        value = arrived["value"]
        if self.url is None and self.schema is not None:
            return {"action": "accept", "content": value}
        return {"action": "cancel" if is_object(value) and value.get("done") is False else "accept"}

    @property
    def data(self) -> dict[str, Any]:
        """As it is kept."""
        found = {"key": self.key, "message": self.message, "schema": self.schema, "url": self.url}
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Kept:
    """A call that isn't over."""

    server: str
    task: str | None = None
    """The task that it goes on as, where the server runs it."""
    older: bool = False
    """The task is one of 2025-11-25."""
    until: float | None = None
    """When the task may not take longer."""
    misses: int = 0
    """How often in a row the server wasn't there when the task was asked after."""
    parks: int = 0
    """How often its step has parked until the task is looked at again."""
    asked: int = 0
    """How often it was looked whether the task still asks, as nobody has answered."""
    told: str | None = None
    """The task's last message."""
    question: Question | None = None
    """What is asked now."""
    more: tuple[Question, ...] = ()
    """What is asked after it, before the call is sent again."""
    replies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """What was answered already, and isn't sent yet."""
    request_state: str | None = None
    """What the server wants back when the call is sent again."""
    held: str | None = None
    """The call that is under way on the connection of the process that has begun it."""

    @property
    def data(self) -> dict[str, Any]:
        """As it is kept."""
        data: dict[str, Any] = {"server": self.server}
        names = ("task", "until", "told", "request_state", "held")
        data |= {name: value for name in names if (value := getattr(self, name)) is not None}
        if self.older:
            data["older"] = True
        data |= {name: count for name in ("misses", "parks", "asked") if (count := getattr(self, name))}
        if self.question is not None:
            data["question"] = self.question.data
        if self.more:
            data["more"] = [each.data for each in self.more]
        if self.replies:
            data["replies"] = {key: dict(reply) for key, reply in self.replies.items()}
        return data

    @classmethod
    def of(cls, data: Any) -> Kept | None:
        """Read what is kept; None where it is nothing of ours."""
        if not is_object(data) or not isinstance(data.get("server"), str):
            return None
        more, replies = data.get("more"), data.get("replies")
        return cls(
            server=data["server"],
            task=data.get("task"),
            older=bool(data.get("older")),
            until=data.get("until"),
            misses=int(data.get("misses") or 0),
            parks=int(data.get("parks") or 0),
            asked=int(data.get("asked") or 0),
            told=data.get("told"),
            question=_question(data.get("question")),
            more=tuple(q for each in more if (q := _question(each)) is not None) if is_array(more) else (),
            replies=dict(replies) if is_object(replies) else {},
            request_state=data.get("request_state"),
            held=data.get("held"),
        )

    def answered(self, arrived: Any) -> Kept:
        """Return it with the reply to what was asked, and what is asked next."""
        question = self.question
        if question is None:
            return self
        if is_object(arrived) and arrived.get("timeout"):  # perhaps it was answered there
            return replace(self, question=None, asked=min(self.asked + 1, 10))
        replies = {**self.replies, question.key: question.reply(arrived)}
        following, rest = (self.more[0], self.more[1:]) if self.more else (None, ())
        return replace(self, question=following, more=rest, replies=replies)


def _question(data: Any) -> Question | None:
    if not is_object(data):
        return None
    return Question(str(data.get("key", "")), str(data.get("message", "")), data.get("schema"), data.get("url"))


def park(kept: Kept, tool: str) -> Park:
    """Let a step wait for the answer to what is asked."""
    if kept.question is None:
        raise Defect("a call waits for an answer to nothing")
    timeout = None if kept.task is None or kept.held is not None else min(FIRST_LOOK * 2**kept.asked, LAST_LOOK)
    return Park(kept.question.wait(kept.server, tool, timeout), state=kept.data, then="answer")
