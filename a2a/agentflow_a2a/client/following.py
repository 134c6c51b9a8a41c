"""Follows a task at an agent until it has ended or asks, and hands on what it gives meanwhile."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

from agentflow.data import is_array, is_object
from agentflow.steps.contract import Artifact, Context
from agentflow_a2a.client.faults import RemoteError
from agentflow_a2a.client.held import Held
from agentflow_a2a.client.line import Line, Pauses
from agentflow_a2a.client.sdk import Json
from agentflow_a2a.client.seen import (
    RESTING,
    Question,
    digest_of,
    hides,
    parts_of,
    progress_of,
    questions,
    state_of,
    task_of,
)

ENDED = frozenset({"completed", "failed", "canceled", "rejected"})


class Following:
    """One task at an agent, as one attempt of a step follows it."""

    def __init__(self, line: Line, held: Held, ctx: Context) -> None:
        """Follow nothing yet."""
        self._line = line
        self.held = held
        self._ctx = ctx
        self._given: dict[str, list[Json]] = {}
        """Artifacts as they were handed on, by id."""
        self._said: tuple[float | None, str] = (None, "")
        self.rests = False
        """What was told last is that the task has ended, or asks."""

    def open_questions(self, task: Json) -> list[Question]:
        """Return what a task waits for that wasn't answered yet."""
        return [each for each in questions(self._line.agent, task) if each.task not in self.held.answered]

    async def take(self, event: Json) -> None:
        """Take in an event of the task."""
        task = task_of(event)
        if task is not None:
            await self._snapshot(task)
            return
        update = event.get("artifactUpdate")
        if is_object(update) and is_object(update.get("artifact")):
            await self._chunk(
                update["artifact"], appends=bool(update.get("append")), last=bool(update.get("lastChunk"))
            )
        status = event.get("statusUpdate")
        if is_object(status):
            self._progress(status)
            self.rests = self._is_rest(status)

    def _is_rest(self, task: Json) -> bool:
        state = state_of(task)
        return state in ENDED or (state in RESTING and bool(self.open_questions({"id": self.held.task, **task})))

    async def _snapshot(self, task: Json) -> None:
        given: Any = task.get("artifacts")
        for artifact in given if is_array(given) else ():
            if not is_object(artifact):
                continue
            name, parts = str(artifact.get("artifactId")), parts_of(artifact)
            if name not in self._given and self.held.given.get(name) == digest_of(parts):
                self._given[name] = parts  # an attempt before this one has handed it on
            elif self._given.get(name) != parts:
                await self._chunk(artifact, appends=False, last=True)
        self._progress(task)
        self.rests = self._is_rest(task)

    async def _chunk(self, artifact: Json, *, appends: bool, last: bool) -> None:
        """Hand an artifact on, or a chunk of one; but for the result, which becomes the step's."""
        name, parts = str(artifact.get("artifactId")), parts_of(artifact)
        if hides(artifact):
            return
        before = self._given.get(name)
        appends = appends and before is not None
        self._given[name] = _joined(before, parts) if appends and before is not None else parts
        metadata = artifact.get("metadata")
        await self._ctx.artifact(
            Artifact(
                name, artifact.get("name"), artifact.get("description"), tuple(parts), appends, last,
                metadata if is_object(metadata) else {},
            )
        )  # fmt: skip

    def _progress(self, told: Json) -> None:
        if state_of(told) not in {"working", "submitted"}:
            return
        said = progress_of(told)
        if said != self._said and said != (None, ""):
            self._ctx.progress(*said)
        self._said = said

    async def until_rest(self) -> Json:
        """Return the task when it has ended, or asks; however often its agent can't be reached meanwhile.

        Raises:
            RemoteError: the agent has refused to tell, or doesn't know the task any more.
        """
        pauses, listens = Pauses(), True
        while True:
            task = await self._line.get(self.held.task)
            await self._snapshot(task)
            if self.rests:
                return task
            if not listens:
                await pauses.wait()
                continue
            try:
                told = await self._listen()
                if told is None:
                    listens = False
                    continue
                if (
                    told > 1
                ):  # the first is but the task as it is: who ends streams at once is asked less and less often
                    pauses.reset()
            except RemoteError as error:
                if error.kind in {"unsupported", "over", "refused", "invalid"}:
                    listens = False  # then it is asked again and again
                elif error.kind != "unreachable":
                    raise
            if not self.rests:
                await pauses.wait()

    async def _listen(self) -> int | None:
        """Follow a stream as long as it goes, or until the task rests.

        Returns:
            How many events it told; None: there are no streams.
        """
        transport = await self._line.transport()
        if not transport.streams:
            return None
        told = 0
        async with aclosing(transport.subscribe(self.held.task, self._line.headers(), self._line.seconds)) as events:
            async for event in events:
                told += 1
                await self.take(event)
                if self.rests:
                    break
        return told


def _joined(before: list[Json], parts: list[Json]) -> list[Json]:
    """Return the parts of an artifact with those of its next chunk."""
    return [*before, *parts]
