"""What a change leaves in a task for people and agents: messages and chunks of artifacts, each with its generation."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from agentflow.store.common import INSIDE
from agentflow.store.rows import RunChange
from agentflow.store.sqlite import statements as sql

_TYPE, _TASK, _GENERATION = 0, 4, sql.EVENT_GENERATION


def rows_of(
    change: RunChange, logged: Sequence[tuple[Any, ...]], generation: int, of_task: Callable[[str], int | None]
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield statements and rows.

    Args:
        change: what leaves it.
        logged: its events as `NEW_EVENT` takes them: each chunk and each message has its own.
        generation: of the run now, which counts for what has no event.
        of_task: tells the generation of another task.
    """
    run, new = change.run, change.create
    if new is not None and new.message is not None:
        first = next((event[_GENERATION] for event in logged if event[_GENERATION]), generation)
        yield sql.NEW_MESSAGE, (run, None, new.message_id, "user", first, new.created_at, new.message)
    chunks = (event[_GENERATION] for event in logged if event[_TYPE] == "artifact")
    for chunk in change.artifacts:
        number = next(chunks, generation)
        yield sql.NEW_ARTIFACT, (
            run, chunk.artifact_id, chunk.append, chunk.at, chunk.data, chunk.last_chunk, chunk.step, chunk.anew,
            number, chunk.task,
        )  # fmt: skip
    told = defaultdict[str | None, deque[int]](deque)
    for event in logged:
        if event[_TYPE] == "message":
            told[event[_TASK]].append(event[_GENERATION])
    for row in change.messages:
        current = generation if row.task is None else of_task(row.task)
        if current is None:
            continue  # its task wasn't opened: the step has to queue
        number = told[row.task].popleft() if told[row.task] else current
        yield sql.NEW_MESSAGE, (run, row.task, row.id, row.role, number, row.at, row.data)


def dropped(run: int, addresses: Iterable[str]) -> Iterator[tuple[int, str, str]]:
    """Yield the values of `DROP_SHARED` for what was written inside of containers: from an address up to another."""
    for inside in [address + sign for address in addresses for sign in INSIDE]:
        yield run, inside, inside[:-1] + chr(ord(inside[-1]) + 1)
