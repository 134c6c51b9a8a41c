"""The operations of the protocol on one agent: what it is asked, and what it answers, in the protocol's JSON."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import anyio

from agentflow.engine import Engine
from agentflow.errors import AgentflowError, NotFoundError
from agentflow.principal import Principal
from agentflow.store.rows import RunRow
from agentflow_a2a import listing
from agentflow_a2a.pushing import Pushes, Wanted
from agentflow_a2a.refusals import RefusedError, invalid, not_found, refusal
from agentflow_a2a.resting import Resting
from agentflow_a2a.streaming import Stream, Told
from agentflow_a2a.tasks import Json, Tasks, is_over, task_id_of
from agentflow_a2a.told import agent_message
from agentflow_a2a.turns import Turn, Turns

CALLER = "agentflow.caller"
"""Where a request's scope says who asks."""
DIRECT_TIME = 1.0
"""Seconds that a stream waits for a direct reply before it tells of a task."""
CANCEL_TIME = 10.0
"""Seconds that a cancel waits for the run's end: what compensates may take longer, and is told as it is then."""


class Mark:
    """How far a caller has got in a stream: the generation of the last change that it was given."""

    __slots__ = ("generation",)

    def __init__(self) -> None:
        """Nothing yet."""
        self.generation: int | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and how."""

    principal: Principal
    after: int | None = None
    """The generation of the last change that it has seen, where it goes on with a stream."""
    mark: Mark = field(default_factory=Mark)
    key: str | None = None
    """Idempotency key of its request: a message with the same one starts nothing again."""
    gone: Callable[[], Awaitable[None]] = anyio.sleep_forever
    """Returns when it doesn't wait for its answer any more."""
    no_history: bool = False
    """It wants no history: where the protocol is 0.3 its types can't tell that from a length that isn't given."""


def caller_of(headers: Mapping[str, str], principal: Principal) -> Caller:
    """Return who asks, by what its request brings: header fields of HTTP, or metadata of gRPC."""
    last = headers.get("last-event-id", "")
    after = int(last) if last.isascii() and last.isdigit() and len(last) < 16 else None
    return Caller(principal, after, key=headers.get("idempotency-key"))


class _Configuration(NamedTuple):
    returns_at_once: bool
    history: int | None
    pushed: Wanted | None


class Operations:
    """One agent as the protocol sees it: its runs and their waits."""

    def __init__(
        self, engine: Engine, resting: Resting, extended: Json | None = None, pushes: Pushes | None = None
    ) -> None:
        """Made over an open engine.

        Args:
            engine: executes the runs.
            resting: waits for them.
            extended: the card for those who have said who they are, if there is one.
            pushes: push notifications of its tasks, if there are such.
        """
        self._pushes = pushes
        self._extended = extended
        self._engine = engine
        self._resting = resting
        self._tasks = Tasks(engine)
        self._turns = Turns(engine, self._tasks)

    async def send(self, request: Mapping[str, Any], caller: Caller) -> Told:
        """Start a run or answer a wait; the task, when it has ended or waits, or at once where that is asked for.

        Or the reply alone, where the workflow declares that it replies directly.
        """
        configuration = await self._configuration(request, caller)
        turn = await self._turn(request, configuration, caller)
        run: RunRow | None = None
        if not configuration.returns_at_once and turn.moves:
            run = await self._resting.rest(turn.task_id, caller.principal, caller.gone)
            reply = await self._direct(turn, caller)
            if reply is not None:
                return Told("message", reply, None)
        return Told("task", await self._told(turn, configuration.history, caller, run), None)

    async def stream(self, request: Mapping[str, Any], caller: Caller) -> AsyncGenerator[Told, None]:
        """Do what `send` does, and tell the task, then each change of it, until it has ended or waits."""
        turn = await self._turn(request, await self._configuration(request, caller), caller)
        if turn.notice is not None:
            yield Told("task", await self._told(turn, None, caller), None)
            return
        if turn.direct:
            await self._replied(turn.task_id, caller)
            reply = await self._direct(turn, caller)
            if reply is not None:
                yield Told("message", reply, None)
                return
        stream = Stream(self._engine, self._tasks, turn.task_id, caller.principal)
        async for told in stream.turn(turn.before):
            caller.mark.generation = told.generation
            yield told

    async def subscribe(self, task_id: str, caller: Caller) -> AsyncGenerator[Told, None]:
        """Tell a task, then each change of it, until its end; from the change on that the caller has seen last."""
        found = await self._tasks.find(task_id, caller.principal)
        if is_over(found) and (caller.after is None or caller.after >= found.generation):
            raise RefusedError("unsupported", "the task has ended: there is nothing more to tell")
        stream = Stream(self._engine, self._tasks, task_id, caller.principal)
        async for told in stream.whole(caller.after):
            caller.mark.generation = told.generation
            yield told

    async def get(self, task_id: str, history: int | None, caller: Caller) -> Json:
        """Return a task; `history`: how many of its newest messages, None: all."""
        _check_history(history)
        length = 0 if caller.no_history else history
        return await self._tasks.whole(await self._tasks.find(task_id, caller.principal), length)

    async def list(self, request: Mapping[str, Any], caller: Caller) -> Json:
        """Return a page of the caller's tasks, those whose state changed last first."""
        asked = listing.read(request)
        query = asked.query._replace(agents=self._engine.core.env.agents)
        page = await self._engine.tasks(query, principal=caller.principal)
        tasks: list[Json] = []
        for listed in page.tasks[: asked.size]:
            try:
                found = await self._tasks.find(listed.id, caller.principal)
            except RefusedError:  # deleted meanwhile
                continue
            task = await self._tasks.whole(found, asked.history, artifacts=asked.artifacts)
            tasks.append({"artifacts": [], **task} if asked.artifacts else task)
        return listing.page(asked, page, tasks)

    async def cancel(self, task_id: str, caller: Caller) -> Json:
        """End a task; raises RefusedError where it has ended already."""
        found = await self._tasks.find(task_id, caller.principal)
        if is_over(found):
            raise RefusedError("task_not_cancelable", "the task has ended already")
        try:
            await self._engine.cancel(task_id, principal=caller.principal)
            if isinstance(found, RunRow):
                await self._resting.end(task_id, caller.principal, CANCEL_TIME)
        except NotFoundError:
            raise not_found(task_id) from None
        except AgentflowError as error:
            raise refusal(error) from None
        task = await self.get(task_id, None, caller)
        if task["status"]["state"] == "TASK_STATE_COMPLETED":  # it was done before the cancel came to it
            raise RefusedError("task_not_cancelable", "the task has ended already")
        return task

    def extended_card(self) -> Json:
        """Return the card for those who have said who they are."""
        if self._extended is None:
            raise RefusedError("unsupported", "this agent has no extended card: its card tells everything")
        return self._extended

    @property
    def pushes(self) -> Pushes:
        """Its push notifications; raises RefusedError where there are none."""
        if self._pushes is None:
            raise RefusedError("push_not_supported", "this agent sends no push notifications")
        return self._pushes

    async def _configuration(self, request: Mapping[str, Any], caller: Caller) -> _Configuration:
        told: Mapping[str, Any] = request.get("configuration") or {}
        history = 0 if caller.no_history else told.get("historyLength")
        _check_history(history, "configuration.historyLength")
        config: Mapping[str, Any] | None = told.get("taskPushNotificationConfig")
        pushed = None
        if config:
            pushed = await self.pushes.check(config, f"message.{request['message']['messageId']}")
        return _Configuration(bool(told.get("returnImmediately")), history, pushed)

    async def _turn(self, request: Mapping[str, Any], configuration: _Configuration, caller: Caller) -> Turn:
        try:
            turn = await self._turns.take(request, caller.principal, caller.key)
        except AgentflowError as error:
            raise refusal(error) from error
        if configuration.pushed is not None:
            await self.pushes.keep(turn.task_id, configuration.pushed, turn.before, caller.principal)
        return turn

    async def _replied(self, run_id: str, caller: Caller) -> None:
        """Wait until a run has ended or waits, or gives what is no reply; not long."""
        failed: RefusedError | None = None
        with anyio.move_on_after(DIRECT_TIME):
            async with anyio.create_task_group() as group:
                group.start_soon(self._given, run_id, caller.principal, group.cancel_scope)
                try:
                    await self._resting.rest(run_id, caller.principal, caller.gone)
                except RefusedError as error:
                    failed = error
                group.cancel_scope.cancel()
        if failed is not None:
            raise failed

    async def _given(self, run_id: str, principal: Principal, scope: anyio.CancelScope) -> None:
        """End a wait when a run gives an artifact."""
        async with aclosing(self._engine.told.changes(run_id, 0, principal)) as changes:
            async for change in changes:
                if change.chunk is not None:
                    scope.cancel()
                    return

    async def _direct(self, turn: Turn, caller: Caller) -> Json | None:
        """Return the reply of a run that has given nothing else, where it is to be told alone."""
        if not turn.direct:
            return None
        found = await self._tasks.find(turn.task_id, caller.principal)
        return await self._tasks.reply(found) if isinstance(found, RunRow) else None

    async def _told(self, turn: Turn, history: int | None, caller: Caller, run: RunRow | None = None) -> Json:
        """Return the task that a message was about; `run`: as it is, where that is known."""
        found = run or await self._tasks.find(turn.task_id, caller.principal)
        task = await self._tasks.whole(found, history)
        if turn.notice is None:
            return task
        name = f"notice.{turn.message_id}"
        parts = [{"text": turn.notice}, *task["status"].get("message", {}).get("parts", ())]
        task["status"]["message"] = agent_message(task_id_of(found), task["contextId"], name, parts)
        return task


def _check_history(history: int | None, field: str = "historyLength") -> None:
    if history is not None and history < 0:
        raise invalid(field, "it must not be negative")
