"""The gate: whatever the engine keeps or logs goes through it, values as well as texts.

A value gets in as data that can surely be read back, or an error of its door says what is wrong and where in it. Texts,
failures and what steps give get in without secrets. What comes from outside is kept as it was given: the run computes
with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple, NoReturn

from agentflow.config import Limits
from agentflow.credentials import Credentials
from agentflow.data import MAX_DEPTH, admit, decode, encode, normalise
from agentflow.errors import AgentflowError, Failure, InputError, StepError
from agentflow.redaction import Redactor
from agentflow.steps.contract import Handle
from agentflow.unfit import UnfitError, find_fault

TOLD = 3_000
"""Characters of each text of a failure."""


class Door(NamedTuple):
    """A way by which values come in: how it names them, and what it says to those that it refuses."""

    what: str
    code: str
    """Of what isn't data."""
    large: str = ""
    """Of what is data, but too large."""
    limit: str | None = None
    """The field of `Limits` that says how large it may be."""
    hint: str | None = None
    """What to do with what is too large."""
    step: bool = False
    """What is refused fails a step, and secrets are taken out; else it is told who comes with it, and kept as it is."""


_FILE = "write it to a file or an artifact and return its place"
INPUT = Door("the input", "AF-INPUT-INVALID", "AF-INPUT-TOO-LARGE", "input_size", "pass the place of a file instead")
BESIDE = INPUT._replace(what="what the run is given beside its input")
ANSWER = Door("the answer", "AF-WAIT-INVALID", "AF-WAIT-TOO-LARGE", "result_size", "answer with a file's place instead")
EVENT = Door("the event", "AF-EVENT-INVALID", "AF-EVENT-TOO-LARGE", "event_size", "publish the place of a file instead")
PUBLISHED = EVENT._replace(step=True)
RESULT = Door("the result", "AF-RESULT-INVALID", "AF-RESULT-TOO-LARGE", "result_size", _FILE, step=True)
STATE = RESULT._replace(what="the saved state")
ARTIFACT = RESULT._replace(what="the artifact")
MESSAGE = RESULT._replace(what="the message")
SHARED = RESULT._replace(what="what is written to a shared key")
REDUCED = Door("what the reducer returned", "AF-RESULT-INVALID", step=True)
OUTPUT = Door("the run's output", "AF-OUTPUT-INVALID", step=True)
WAIT = Door("what the wait says", "AF-WAIT-INVALID", "AF-WAIT-TOO-LARGE", "result_size", _FILE, step=True)
CHILD = INPUT._replace(step=True)
FIELD = Door("a value of the step", "AF-FIELD-VALUE", step=True)


class Gate:
    """Lets values, texts and failures into what is stored."""

    __slots__ = ("_sizes", "redactor")

    def __init__(self, limits: Limits, redactor: Redactor) -> None:
        """Make a gate.

        Args:
            limits: how large values may be.
            redactor: knows the secrets.
        """
        self._sizes = {name: getattr(limits, name) for name in ("input_size", "result_size", "event_size")}
        self.redactor = redactor

    def learn(self, credentials: Credentials) -> None:
        """Let nothing of some credentials in from now on: they are used."""
        for value in (credentials.value, *credentials.query.values()):
            self.redactor.learn(f"of the connection {credentials.connection}", value)

    def encoded(self, value: object, door: Door, found: set[str] | None = None) -> bytes:
        """Return a value as it is stored; raises InputError, or StepError where the door is a step's.

        Args:
            value: anything.
            door: the way by which it comes.
            found: gets the names of secrets that were taken out of it.
        """
        try:
            raw = admit(value, self._sizes[door.limit] if door.limit else None)
        except UnfitError as error:
            refuse(error, door, _part(value))
        if door.step and self.redactor.suspects(raw) and not isinstance(value, Handle):
            return encode(self.redactor.value(decode(raw), found))
        return raw

    def data(self, value: object, door: Door) -> Any:
        """Return a value as plain data of its own; raises InputError, or StepError where the door is a step's."""
        return value if value is None or isinstance(value, bool) else decode(self.encoded(value, door))

    def without_secrets(self, value: object, what: str) -> None:
        """Refuse a secret where something is found by the value; raises StepError."""
        if self.redactor and self.redactor.value(value) is not value:
            hint = "what events are matched by is stored: use something of the secret that may be known, such as an id"
            message = f"{what} may not hold a secret"
            raise StepError(message, code="AF-SECRET-PLACE", kind="invalid", retryable=False, hint=hint)

    def text(self, text: object, limit: int | None = None) -> str:
        """Return a text without secrets, shortened afterwards; anything else as text."""
        return self.redactor.text(_written(str(text)))[:limit]

    def failure(self, failure: Failure) -> Failure:
        """Return a failure without secrets, its texts shortened, its details as data."""
        return replace(
            failure,
            message=self._told(failure.message) or "",
            why=self._told(failure.why),
            hint=self._told(failure.hint),
            data=self._details(failure.data),
        )

    def _told(self, text: Any) -> str | None:
        """Return a text of a failure; user code may have given anything for it."""
        return self.redactor.head(_written(str(text)), TOLD) if text else None

    def _details(self, details: Mapping[str, Any]) -> Mapping[str, Any]:
        if not details:
            return details
        return self.redactor.value({_written(str(name)): _detail(value) for name, value in details.items()})


def _detail(value: object) -> Any:
    """Return a detail of a failure as data; the step has failed, and what else is wrong mustn't hide why."""
    try:
        return normalise(value, depth=MAX_DEPTH - 1)
    except UnfitError as error:
        return f"(can't be kept: {error})"


def _part(value: object) -> str | None:
    """Return what is to be given in the place of what an SDK's agent has returned: the part that is its answer."""
    name = next((name for name in ("final_output", "output") if hasattr(value, name)), None)
    return f"return its .{name}, not the whole {type(value).__name__}" if name is not None else None


def refuse(error: UnfitError, door: Door, instead: str | None = None) -> NoReturn:
    """Raise a door's error for what isn't data, or is too large."""
    code = door.large if error.large else door.code
    hint = door.hint if error.large else instead
    raised: AgentflowError
    if door.step:
        raised = StepError(told(error, door), code=code, kind="invalid", retryable=False, hint=hint)
    else:
        raised = InputError(told(error, door), code=code, hint=hint)
    raise raised from None


def told(error: UnfitError, door: Door) -> str:
    """Return what is wrong with a value, as a sentence."""
    if error.large:
        return f"{door.what} {error.reason.removeprefix('it ')}"
    return f"{door.what} can't be kept: {error}"


def _written(text: str) -> str:
    """Return a text that can be stored: half character pairs are written out."""
    return text if text.isascii() or find_fault(text, 1) is None else text.encode("utf-8", "backslashreplace").decode()
