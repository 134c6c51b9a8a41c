"""An A2A agent that `agent_run` asks: its task is begun once, followed through all crashes, and taken back."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from typing import Any

import anyio

from agentflow.errors import StepError
from agentflow.steps.contract import AgentAsks, AgentTurn, Context
from agentflow.steps.providers import nearest
from agentflow.steps.remote import Entry
from agentflow.steps.spent import tell_reported
from agentflow_a2a.client.asking import answer_id, answering, beginning, key_of
from agentflow_a2a.client.faults import RemoteError, failed, stopped
from agentflow_a2a.client.following import Following
from agentflow_a2a.client.held import Held, held_of
from agentflow_a2a.client.line import Line
from agentflow_a2a.client.sdk import Json, Transport
from agentflow_a2a.client.seen import (
    RESTING,
    Question,
    digests,
    has_message,
    is_retryable,
    parts_of,
    questions,
    result,
    state_of,
    status_parts,
    task_of,
    text_of,
    value_of,
)
from agentflow_a2a.told import TASKS

PATIENCE = 30.0
"""Seconds that an agent may be unreachable before its task is begun; after that only the step's time counts."""
LOOKING = (0.5, 2.0, 5.0)
"""Seconds until it is looked again for a task whose message was on its way when it was to be taken back."""
WITHDRAWING = 60.0
"""Seconds that an agent may be unreachable that is to be told to stop."""


def open_agent(entry: Entry) -> A2AAgent:
    """Return the agent of an entry of the config."""
    return A2AAgent(entry)


class _Replied(Exception):
    """An agent has answered with a message, and no task."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


class A2AAgent:
    """An agent at an address. Implements `RemoteAgent`."""

    def __init__(self, entry: Entry) -> None:
        """Connect to nothing yet."""
        self._line = Line(entry)
        self._name = entry.name
        self._skill: str | None = entry.fields.get("skill")

    async def run(self, turn: AgentTurn, ctx: Context) -> Any | AgentAsks:
        """Begin the turn's task, or go on following it, until it has ended or asks."""
        try:
            held = held_of(ctx.state)
            if held is None or not held.task:
                return await self._rest(await self._begun(turn, ctx, again=held is not None), ctx)
            return await self._rest(Following(self._line, held, ctx), ctx)
        except _Replied as replied:
            return replied.value
        except RemoteError as error:
            raise failed(self._name, error) from error

    async def answer(self, turn: AgentTurn, state: Any, answer: Any, ctx: Context) -> Any | AgentAsks:
        """Hand an answer on, and go on following the task; ask again where the agent doesn't take it."""
        held = held_of(state)
        if held is None or held.question is None:
            return await self.run(turn, ctx)
        try:
            again = await self._answered(held, answer, ctx)
            if again is not None:
                return again
            held = held.taken()
            await ctx.save(held.to_data())
            return await self._rest(Following(self._line, held, ctx), ctx)
        except RemoteError as error:
            raise failed(self._name, error) from error

    async def check(self) -> None:
        """Look at its card: whether it can be used, and has the skill that is asked for."""
        try:
            transport = await self._line.transport()
        except RemoteError as error:
            raise failed(self._name, error) from error
        if self._skill is not None and self._skill not in transport.skills:
            raise StepError(
                f'agent "{self._name}" has no skill "{self._skill}"', code="AF-AGENT-CARD", kind="invalid",
                retryable=False, hint=nearest(self._skill, transport.skills),
            )  # fmt: skip

    async def withdraw(self, state: Any) -> None:
        """Cancel the task of a turn."""
        held = held_of(state)
        if held is None:
            return

        async def cancel(transport: Transport) -> bool:
            found = held if held.task else await self._sent(transport, held.context, held.key)
            if found is not None:
                await transport.cancel(found.task, self._line.headers(), self._line.seconds)
            return found is not None

        try:
            for pause in (*LOOKING, None):
                if await self._line.insist(cancel, WITHDRAWING) or pause is None:
                    return
                await anyio.sleep(pause)
        except RemoteError as error:
            if error.kind not in {"over", "not_found", "unsupported"}:  # else there is nothing to be ended
                raise failed(self._name, error) from error

    async def aclose(self) -> None:
        """Close the connections."""
        await self._line.aclose()

    # beginning

    async def _begun(self, turn: AgentTurn, ctx: Context, *, again: bool) -> Following:
        """Begin the turn's task and follow it a while; `again`: its message may have been sent before a crash."""
        transport = await self._line.insist(_itself, PATIENCE)
        request = beginning(turn, ctx, self._skill, returns=not transport.streams)
        key = key_of(ctx)
        await ctx.save(
            Held(self._name, key, context=ctx.run_id).to_data()
        )  # whoever is cancelled now may find its task

        async def send(transport: Transport) -> Following:
            nonlocal again
            if again and TASKS not in transport.extensions:  # who has it begins nothing twice with the same key
                found = await self._sent(transport, ctx.run_id, key)
                if found is not None:
                    return Following(self._line, await _kept(found, ctx), ctx)
            again = True
            return await self._send(transport, request, key, ctx)

        try:
            return await self._line.insist(send, PATIENCE)
        except RemoteError as error:
            if error.kind != "unreachable":
                await ctx.save(None)  # it has begun nothing
            raise

    async def _sent(self, transport: Transport, context: str, key: str) -> Held | None:
        """Return the task that a message has begun before a crash, where the agent lists its tasks."""
        try:
            tasks = await transport.list(context, self._line.headers(), self._line.seconds)
        except RemoteError as error:
            if error.kind == "unreachable":
                raise
            return None
        for task in tasks:
            if has_message(task, key):
                return Held(self._name, key, str(task["id"]), context)
        return None

    async def _send(self, transport: Transport, request: Json, key: str, ctx: Context) -> Following:
        """Send the first message: its task is stored before anything else is done, then followed while this goes."""
        following: Following | None = None
        sending = transport.send(request, self._line.headers(key), self._line.seconds, stream=transport.streams)
        try:
            async with aclosing(sending) as events:
                async for event in events:
                    if "message" in event:
                        tell_reported(ctx, event["message"].get("metadata"))
                        raise _Replied(value_of(parts_of(event["message"])))
                    if following is None:
                        held = await _kept(_begun_by(event, self._name, key), ctx)
                        following = Following(self._line, held, ctx)
                    await following.take(event)
                    if following.rests:
                        break
        except RemoteError as error:
            if following is None or error.kind != "unreachable":
                raise
        if following is None:
            raise RemoteError("refused", "it has answered nothing")
        return following

    # following

    async def _rest(self, following: Following, ctx: Context) -> Any | AgentAsks:
        """Follow a task until it has ended or asks."""
        task = await following.until_rest()
        state = state_of(task)
        if state not in RESTING:  # what it used until it asked is told again at its end
            tell_reported(ctx, task.get("metadata"))
        if state == "completed":
            return result(task)
        if state in RESTING:
            return _asks(following.held, following.open_questions(task)[0], task)
        raise stopped(self._name, state, text_of(status_parts(task)), retryable=is_retryable(task))

    # answering

    async def _answered(self, held: Held, answer: Any, ctx: Context) -> AgentAsks | None:
        """Send an answer; returns what is asked again where the agent doesn't take it."""
        if not held.named and has_message(await self._line.get(held.task), answer_id(held)):
            return None  # it was sent before a crash

        async def send(transport: Transport) -> AgentAsks | None:
            return await self._send_answer(transport, held, answer, ctx)

        try:
            return await self._line.insist(send)
        except RemoteError as error:
            if error.kind == "invalid":
                return await self._ask_again(held, error.message)
            if error.kind not in {"unsupported", "over", "not_found"}:
                raise
            ctx.log(f'agent "{self._name}" waits for this answer no longer: {error.message}', "warning")
            return None

    async def _send_answer(self, transport: Transport, held: Held, answer: Any, ctx: Context) -> AgentAsks | None:
        stream = transport.streams and not held.named
        request = answering(held, answer, returns=held.named)
        following = Following(self._line, held.taken(), ctx)
        sending = transport.send(request, self._line.headers(), self._line.seconds, stream=stream)
        async with aclosing(sending) as events:
            async for event in events:
                task = task_of(event)
                if held.named:
                    if task is not None and state_of(task) in RESTING:
                        return await self._ask_again(held, text_of(status_parts(task)[:1]))
                    return None
                if "message" in event:
                    return None
                await following.take(event)
        return None

    async def _ask_again(self, held: Held, why: str) -> AgentAsks | None:
        """Return the question once more, with the reason why its answer wasn't taken; None: it isn't open any more."""
        task = await self._line.get(held.task)
        for each in questions(self._name, task):
            if each.task == held.question:
                return _asks(held, each, task, f"{why}\n{each.wait.message}" if why else each.wait.message)
        return None


async def _itself(transport: Transport) -> Transport:
    return transport


def _begun_by(event: Json, agent: str, key: str) -> Held:
    """Return the task that an event is of."""
    task = task_of(event)
    if task is not None:
        return Held(agent, key, str(task["id"]), str(task.get("contextId") or ""))
    for name in ("statusUpdate", "artifactUpdate"):
        if name in event:
            return Held(agent, key, str(event[name]["taskId"]), str(event[name].get("contextId") or ""))
    raise RemoteError("refused", "it has answered with neither a task nor a message")


async def _kept(held: Held, ctx: Context) -> Held:
    with anyio.CancelScope(shield=True):  # who is cancelled now has to know what to take back
        await ctx.save(held.to_data())
    return held


def _asks(held: Held, question: Question, task: Json, message: str | None = None) -> AgentAsks:
    wait = question.wait if message is None else replace(question.wait, message=message)
    return AgentAsks(wait, held.asking(question.task, digests(task), named=question.named).to_data())
