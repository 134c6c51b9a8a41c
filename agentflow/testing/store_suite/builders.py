"""Short ways to say what a test commits."""

# ruff: noqa: S101  a test suite

from __future__ import annotations

from typing import Any

from agentflow.data import encode
from agentflow.store.contract import Store
from agentflow.store.rows import (
    EventRow,
    NewRun,
    RunChange,
    RunPatch,
    State,
    StepRow,
    SubscriptionRow,
    TaskKind,
    TaskRow,
)

HOST = "host-a"
OVER: tuple[State, ...] = ("completed", "failed", "canceled", "rejected")


def text_id(name: str) -> str:
    """Return a whole id that ends with a name."""
    return name.rjust(26, "0")


def new_run(name: str, **fields: Any) -> NewRun:
    """Describe a run whose id ends with a name."""
    given: dict[str, Any] = {"workflow": "flow", "definition": "d1", "input": b"{}", "created_at": 100.0, **fields}
    return NewRun(id=text_id(name), **given)


def bump(kind: str, step: str | None = None, at: float = 100.0, task: str | None = None) -> EventRow:
    """Describe an event that changes a task."""
    return EventRow(kind, step, None, at, task, bumps=True)


def note(kind: str, step: str | None = None, at: float = 100.0) -> EventRow:
    """Describe an event that changes no task."""
    return EventRow(kind, step, encode({"n": 1}), at)


async def fresh(store: Store) -> int:
    """Return the key of a run to make."""
    (key,) = await store.new_keys()
    return key


async def start(store: Store, name: str, *, holder: str = HOST, **fields: Any) -> int:
    """Commit a new root run, held by `holder`, and return its key."""
    store.holder = holder
    key = await fresh(store)
    change = RunChange(key, key, 1, create=new_run(name, **fields), events=[bump("run_started")])
    assert list(await store.commit([change])) == []
    return key


async def start_child(store: Store, name: str, parent: int, root: int, *, epoch: int = 1, **fields: Any) -> int:
    """Commit a child run of a held tree, and return its key."""
    key = await fresh(store)
    create = new_run(name, parent=parent, parent_step=0, **fields)
    assert list(await store.commit([RunChange(key, root, epoch, create=create)])) == []
    return key


def ending(key: int, root: int, state: State = "completed", at: float = 200.0, epoch: int = 1) -> RunChange:
    """Describe the end of a run."""
    return RunChange(key, root, epoch, patch=RunPatch(at, state), events=[bump(f"run_{state}", at=at)])


def wait_task(run: int, name: str, n: int = 0, kind: TaskKind = "input", at: float = 100.0) -> TaskRow:
    """Describe an open wait."""
    return TaskRow(text_id(name), run, n, f"step{n}", kind, "input-required", "Go on?", created_at=at, updated_at=at)


def step(run: int, n: int, state: State = "working", **fields: Any) -> StepRow:
    """Describe a step."""
    return StepRow(run, n, f"step{n}", state, **fields)


def parked(run: int, root: int, *tasks: TaskRow, epoch: int = 1) -> RunChange:
    """Describe a run that parks on waits and gives up its lease."""
    return RunChange(
        run,
        root,
        epoch,
        patch=RunPatch(100.0, "input-required"),
        tasks=list(tasks),
        events=[bump("step_waiting", task.step, task=task.id) for task in tasks],
        release=run == root,
    )


def listening(
    run: int,
    name: str,
    topic: str,
    wanted: Any = None,
    since: float | None = 0.0,
    n: int = 0,
    *,
    root: int | None = None,
    owner: str = "local",
) -> RunChange:
    """Describe a wait for an event."""
    task = wait_task(run, name, n, "event")
    filter_ = None if wanted is None else encode(wanted)
    return RunChange(
        run,
        run if root is None else root,
        1,
        tasks=[task],
        events=[bump("step_waiting", task.step, task=task.id)],
        subscriptions=[SubscriptionRow(task.id, run, n, topic, filter_, since, owner)],
    )
