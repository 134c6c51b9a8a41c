"""What users and models say, as answers of waits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from agentflow.data import is_object
from agentflow.engine import Answer, Decline, Engine, Run
from agentflow.errors import ConflictError, InputError
from agentflow.principal import Principal
from agentflow_mcp.tasks import requests_of

DOOR: Final = "mcp"


@dataclass(frozen=True, slots=True)
class Answers:
    """What came of a user's answers."""

    wrong: Mapping[str, str]
    """What doesn't fit, by the waits' ids: these are open still."""
    dismissed: bool
    """Whether the user closed a form."""


async def answered(engine: Engine, run: Run, replies: Mapping[str, Any], principal: Principal) -> Answers:
    """Give what a client's user said to a run; what was answered already, and what isn't there, is left out.

    Raises:
        InputError: one is no reply of a form.
    """
    asked = requests_of(await engine.waits(run.id, principal=principal))
    given = {name: reply_of_form(replies[name]) for name in asked.keys() & replies.keys()}
    wrong: dict[str, str] = {}
    for name, reply in given.items():
        try:
            if reply is not None:
                await engine.resume(name, reply, door=DOOR, principal=principal)
        except InputError as error:
            wrong[name] = error.why or error.what
        except ConflictError:  # somebody else was first
            continue
    return Answers(wrong, dismissed=None in given.values())


def unfit(message: str, why: str) -> str:
    """Return what a user is asked again whose answer didn't fit."""
    return f"{message}\n\nThat doesn't fit: {why}"


def reply_of_form(reply: object) -> Answer | Decline | None:
    """Return what a form's reply says; None where its user said nothing.

    Raises:
        InputError: it is no reply of a form.
    """
    action = reply.get("action") if is_object(reply) else None
    if is_object(reply) and action == "accept":
        return Answer(reply.get("content") or {})
    if action == "decline":
        return Decline("declined by the user")
    if action == "cancel":
        return None
    raise InputError("a reply has the action accept, decline or cancel")


def reply_of(arguments: Mapping[str, Any]) -> Answer | Decline:
    """Return the answer or the refusal that arguments hold.

    Raises:
        InputError: both or none.
    """
    if ("answer" in arguments) == ("decline" in arguments):
        raise InputError("give either `answer` or `decline`", hint="the wait is still open: call resume_workflow again")
    return Answer(arguments["answer"]) if "answer" in arguments else Decline(arguments["decline"])


def meta_key(meta: object) -> str | None:
    """Return the idempotency key of a call.

    Raises:
        InputError: it is no text, or empty.
    """
    key = meta.get("agentflow/idempotency-key") if is_object(meta) else None
    if key is not None and (not isinstance(key, str) or not key):
        raise InputError("agentflow/idempotency-key is a text that isn't empty")
    return key
