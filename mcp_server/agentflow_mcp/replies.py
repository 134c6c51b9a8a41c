"""What users and models say, as answers of waits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from agentflow.data import is_object
from agentflow.engine import Answer, Decline, Engine, Run
from agentflow.engine.commands.noting import Note
from agentflow.errors import ConflictError, InputError
from agentflow_mcp.asking import Opened, Reply, Request
from agentflow_mcp.caller import Caller
from agentflow_mcp.questions import DOOR, Questions

KEY: Final = "agentflow/idempotency-key"
"""Key of a call's `_meta` that names it, so that it is carried out once."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a user said without answering, by the ids of waits."""

    dismissed: frozenset[str]
    """The forms of these were closed."""
    opened: frozenset[str]
    """The user went to the pages of these."""


async def answered(engine: Engine, questions: Questions, run: Run, replies: Mapping[str, Any], caller: Caller) -> Said:
    """Give what a client's user said to a run; what was answered already, and what isn't asked, is left out.

    An answer that doesn't fit leaves its wait open: it is asked for again, by another key.

    Raises:
        InputError: one is no reply; then none is taken.
    """
    asked = await questions.of(await engine.waits(run.id, principal=caller.principal), caller)
    given = {key: reply_of_form(replies[key], asked[key].request) for key in asked if key in replies}
    dismissed, opened = set[str](), set[str]()
    for key, reply in given.items():
        view = asked[key].view
        if isinstance(reply, Opened):
            opened.add(view.id)
            await questions.noted(view, Note("wait_opened"), caller.principal)
        elif reply is None:
            dismissed.add(view.id)
            await questions.noted(view, Note("wait_dismissed"), caller.principal)
        else:
            try:
                await engine.resume(view.id, reply, door=DOOR, principal=caller.principal)
            except InputError as error:
                await questions.noted(view, Note("wait_refused", error.why or error.what), caller.principal)
            except ConflictError:  # somebody else was first
                continue
    return Said(frozenset(dismissed), frozenset(opened))


def reply_of_form(reply: object, request: Request) -> Reply:
    """Return what a client's reply to a request says.

    Raises:
        InputError: it is no reply.
    """
    action = reply.get("action") if is_object(reply) else None
    if is_object(reply) and action == "accept":
        return Opened() if request.form is None else Answer(reply.get("content") or {})
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
    key = meta.get(KEY) if is_object(meta) else None
    if key is not None and (not isinstance(key, str) or not key):
        raise InputError(f"{KEY} is a text that isn't empty")
    return key
