"""What is sent to an agent: the message of a turn, and answers to what it asks. Pure."""

from __future__ import annotations

from typing import Any

from agentflow.errors import StepError
from agentflow.steps.contract import AgentTurn, Context, TurnPlace
from agentflow_a2a.client.held import Held
from agentflow_a2a.told import TASKS, Json

DEEPEST = 16
"""How many agents may ask one another in a chain."""


def key_of(ctx: Context) -> str:
    """Return the id of the message that begins a turn: the same after a crash, another one for each new try."""
    return ctx.turn.task if ctx.turn is not None else f"{ctx.idempotency_key}.{ctx.tries}"


def beginning(turn: AgentTurn, ctx: Context, skill: str | None, *, returns: bool) -> Json:
    """Return the request that begins a turn.

    Args:
        turn: what is asked.
        ctx: of the step.
        skill: of the agent's card.
        returns: whether it is to be answered before the task has come to anything.

    Raises:
        StepError: too many agents have asked one another.
    """
    place, key = ctx.turn or TurnPlace("", ctx.run_id), key_of(ctx)
    if place.depth >= DEEPEST:
        raise StepError(
            f'agent "{turn.agent}" isn\'t asked: {place.depth} agents have asked one another already',
            code="AF-AGENT-DEPTH", kind="invalid", retryable=False, hint="two agents may be asking each other in turn",
        )  # fmt: skip
    parts = [_part(value) for value in (turn.prompt, turn.input) if value is not None]
    wanted = {
        "tools": list(turn.tools), "skills": list(turn.skills), "model": turn.model,
        "maxIterations": turn.max_iterations,
    }  # fmt: skip
    told: Json = {"depth": place.depth + 1, "rootTaskId": place.root, "idempotencyKey": key}
    if place.task:
        told["parentTaskId"] = place.task
    if asked := {name: value for name, value in wanted.items() if value}:
        told["turn"] = asked
    metadata: Json = {TASKS: told, **({"skillId": skill} if skill else {})}
    message: Json = {
        "messageId": key, "role": "ROLE_USER", "contextId": ctx.run_id, "parts": parts or [{"data": {}}],
        "metadata": metadata, "extensions": [TASKS],
    }  # fmt: skip
    return {"message": message, "metadata": metadata, "configuration": {"returnImmediately": returns}}


def answering(held: Held, answer: Any, *, returns: bool) -> Json:
    """Return the request that answers the question of a turn."""
    message: Json = {
        "messageId": answer_id(held), "role": "ROLE_USER", "taskId": held.question,
        "parts": [{"data": answer} if held.named else _part(answer)],
    }  # fmt: skip
    if held.context and not held.named:
        message["contextId"] = held.context
    return {"message": message, "configuration": {"returnImmediately": returns}}


def answer_id(held: Held) -> str:
    """Return the id of the message that answers the question of a turn."""
    return f"{held.key}.{held.asked}"


def _part(value: Any) -> Json:
    return {"text": value} if isinstance(value, str) else {"data": value}
