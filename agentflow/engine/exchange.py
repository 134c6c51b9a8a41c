"""What goes between who plans and who executes: an attempt of a step, what it leaves, and how one reaches the other."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

import anyio
from pydantic import BaseModel

from agentflow.credentials import OnMissing
from agentflow.steps.contract import StepType, TurnPlace
from agentflow.usage import Models


def key_of(run: int, n: int, attempt: int, entry: int) -> str:
    """Return the name of an attempt."""
    return f"{run}/{n}/{attempt}/{entry}"


class Need(NamedTuple):
    """A connection that a step declares to need."""

    connection: str
    scopes: Sequence[str] = ()
    on_missing: OnMissing = "ask"


class Attempt(NamedTuple):
    """One attempt of a step: all that whoever executes it has to know."""

    run: int
    """Key of the run."""
    n: int
    """Number of the step in its run."""
    attempt: int
    """How often the step was started. The fence: what an older attempt comes to is dropped."""
    entry: int
    run_id: str
    address: str
    workflow: str
    tries: int
    type: str
    """The step's type, which is found by its name where the attempt is executed."""
    config: Mapping[str, Any]
    """The type's fields, computed."""
    spec: StepType | None = None
    """The type itself. It never leaves the process, and neither does `ready`."""
    ready: BaseModel | None = None
    """The fields validated, where they are the same each time."""
    values: Mapping[str, Any] | None = None
    """The step's `with`, computed."""
    undone: int = 0
    """How often it was compensated, and what it is inside of: what it does outside afterwards is a new thing."""
    timeout: float | None = None
    saved: Any = None
    """What it has saved, or given to its park."""
    arrived: Any = None
    """What has arrived for it, when it was parked."""
    tenant: str = ""
    agent: str = ""
    """Whose run it is."""
    goes_on: bool = False
    """Whether it goes on from what it has saved, or from where it was parked: what it has given until then counts."""
    turn: TurnPlace | None = None
    """Of a turn of an agent: where it stands."""
    needs: Sequence[Need] = ()
    """Connections without which it isn't executed."""
    approved: Mapping[str, Any] | None = None
    """Calls of tools that somebody was asked about, and what was said."""
    calls: Mapping[str, Any] | None = None
    """Calls of tools that it has made before it waited, or saved: they come with what it has saved."""

    @property
    def key(self) -> str:
        """Its name: the same attempt, handed out twice, has the same one."""
        return key_of(self.run, self.n, self.attempt, self.entry)

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of the step, until it is compensated."""
        return idempotency_key(self.run_id, self.address, self.undone)


def idempotency_key(run_id: str, address: str, undone: int) -> str:
    """Return the key of what a step does outside: the same for every attempt, until it is compensated."""
    return hashlib.blake2b(f"{run_id}/{address}/{undone}".encode(), digest_size=16).hexdigest()


class Parcel(NamedTuple):
    """An attempt as it is handed to others: its key, and what only those read who execute it."""

    key: str
    raw: bytes


class Chunk(NamedTuple):
    """An artifact, or a chunk of one."""

    name: str
    append: bool
    """Whether it goes on with one."""
    last: bool
    raw: bytes
    """JSON."""
    anew: bool = False
    """What the step has given of the artifact in earlier attempts counts no more."""
    number: int = 0
    """Of a worker elsewhere: which one of its attempt's this is. It may come twice, and counts once."""


class Left(NamedTuple):
    """What an attempt leaves for the commit of its outcome."""

    artifacts: Sequence[Chunk] = ()
    messages: Sequence[Mapping[str, Any]] = ()
    status: str | None = None
    used: Models | None = None
    """What it has used, by model: counted whatever it came to."""
    entry: int = 0
    """Of the attempt that has used it."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """Of an outcome: it was interrupted, as a sibling failed, the run was cancelled, or the host stops.

    `not_begun`: it was to be interrupted before it began. `lost`: who executed it is gone.
    """

    reason: str


class Done:
    """Somebody waits until a command has been committed."""

    __slots__ = ("error", "event", "held", "inbox")

    def __init__(self, event: anyio.Event, inbox: int | None = None) -> None:
        """Make one that is not done, told by an event; `inbox` is the id of the command that it carries out."""
        self.inbox = inbox
        self.event = event
        self.error: BaseException | None = None
        self.held = True
        """False: nothing was done, as somebody else holds the tree, or was quicker with an answer."""

    async def wait(self) -> None:
        """Return when it is committed; raises what kept it from being so."""
        await self.event.wait()
        if self.error is not None:
            raise self.error

    @property
    def over(self) -> bool:
        """Whether it has come to nothing."""
        return self.event.is_set() and (self.error is not None or not self.held)


Returned: TypeAlias = tuple[Any, Left | None]
"""What an attempt came to (the result as JSON, `Skip`, `Park`, a `Failure` or `Stopped`), and what it leaves."""


class Executing(Protocol):
    """How an attempt that is being executed is reached."""

    interrupted: str | None
    """Why it was interrupted."""

    @property
    def scope(self) -> anyio.CancelScope:
        """The scope that an interrupt cancels."""
        ...

    def interrupt(self, reason: str) -> None:
        """Cancel it."""
        ...
