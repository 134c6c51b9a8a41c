"""What goes between a test and its worker beside attempts: calls of the test's own functions, pickled.

To the worker: the modules that it needs, a `Setup`, then `ask CALL NUMBER NAME ARGS`, `told CALL WHAT`,
`returned CALL VALUE`, `raised CALL ERROR`, `left CALL`, `end`. From it: `ready PID SOCKET`,
`call CALL TARGET ARGS CONTEXT`, `cancel CALL`, `answer NUMBER WELL VALUE`, `settled`. The socket beside is for what the
test's loop asks of a context and waits for at once.
"""

from __future__ import annotations

import asyncio
import io
import pickle
import struct
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from agentflow.config import Config
from agentflow.errors import AgentflowError, StepError
from agentflow.steps.failing import step_error
from agentflow.steps.functions import Shape, shape_of

ANY_CODE = "AF-PYTHON-RAISED"
"""Of what a function raises, until who has called it says the code."""

DEEPEST = 20_000
"""Calls into each other that a value may take."""
HERE = str(Path(__file__).parent)


class Ctx:
    """Stands for the step's context among the arguments of a call."""


class Parameter(NamedTuple):
    """A function's parameter, as far as a call depends on it."""

    name: str
    kind: Any
    optional: bool


@dataclass(frozen=True)
class Callee:
    """A function of the test, as the worker has to know it."""

    asynchronous: bool
    parameters: tuple[Parameter, ...] | None
    context: str | None

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Callee:
        """Look at a function."""
        shape: Shape = shape_of(function)
        if shape.signature is None:
            return cls(shape.asynchronous, None, None)
        given = shape.signature.parameters.values()
        parameters = tuple(Parameter(each.name, each.kind, each.default is not each.empty) for each in given)
        return cls(shape.asynchronous, parameters, shape.context)


@dataclass(frozen=True)
class Setup:
    """What a worker has to know of an engine."""

    config: Config
    socket: str
    clock: str | None
    """A file that holds the time; None: it is the real one."""
    environ: Mapping[str, str]
    callees: Mapping[str, Mapping[str, Callee]] = field(default_factory=dict[str, Mapping[str, Callee]])
    """`functions`, `tools`, `agents`: by name."""
    providers: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """`tools`, `agents`: names of those that are objects."""
    types: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """Step types of the test, by name: what is data of them, and the model of their fields if it can be found."""


class Told(Exception):
    """What a function of the test has raised, as the step's failure that it would have been there."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        """Keep the parts of a StepError."""
        super().__init__(state)
        self.state = state

    def error(self, code: str) -> StepError:
        """Return the step's error."""
        made = StepError.__new__(StepError)
        made.__dict__.update(self.state)
        if made.code == ANY_CODE:
            made.code = code
        return made


def told(error: BaseException) -> BaseException:
    """Return an exception as it can be sent: classes of a test's own aren't known elsewhere."""
    if isinstance(error, AgentflowError | LookupError) and _comes_back(error):
        return error
    return Told(vars(step_error(_without_frames(error), code=ANY_CODE)))


def _without_frames(error: BaseException) -> BaseException:
    """Leave out of a traceback what isn't the function's."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(HERE):
        trace = trace.tb_next
    return error.with_traceback(trace)


def _comes_back(error: BaseException) -> bool:
    if error.__cause__ is not None or "<locals>" in type(error).__qualname__:
        return False
    try:
        again = pickle.loads(pickle.dumps(error))
        return type(error) is LookupError if isinstance(error, LookupError) else _parts(again) == _parts(error)
    except Exception:
        return False


def _parts(error: Any) -> dict[str, Any]:
    return error.__dict__


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        """Let something of the same name stand for what can't be sent."""
        kind = obj if isinstance(obj, type) else type(obj)
        if found(kind):
            return NotImplemented
        if isinstance(obj, type):
            return stand_in, (obj.__module__, obj.__qualname__)
        return _stand_in_for, (kind.__module__, kind.__qualname__)


def found(kind: type) -> bool:
    """Tell whether another process finds a class by its name."""
    at: Any = sys.modules.get(kind.__module__)
    for name in kind.__qualname__.split("."):
        at = getattr(at, name, None)
    return at is kind


def stand_in(module: str, name: str) -> type:
    """Return a class of the same name."""
    return type(name.rpartition(".")[2], (), {"__module__": module, "__qualname__": name})


def _stand_in_for(module: str, name: str) -> object:
    return stand_in(module, name)()


def dumps(message: Any) -> bytes:
    """Return a message as bytes, however deep a value in it is."""
    into, usual = io.BytesIO(), sys.getrecursionlimit()
    sys.setrecursionlimit(max(usual, DEEPEST))
    try:
        _Pickler(into, pickle.HIGHEST_PROTOCOL).dump(message)
    finally:
        sys.setrecursionlimit(usual)
    return into.getvalue()


def framed(message: Any) -> bytes:
    """Return a message as it is sent."""
    raw = dumps(message)
    return struct.pack("!Q", len(raw)) + raw


async def read(reader: asyncio.StreamReader) -> Any:
    """Return the next message; None at the end."""
    try:
        size = struct.unpack("!Q", await reader.readexactly(8))[0]
        return pickle.loads(await reader.readexactly(size))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def read_now(stream: Any) -> Any:
    """Return the next message of a socket's file, waiting in this thread; None at the end."""
    head = stream.read(8)
    return pickle.loads(stream.read(struct.unpack("!Q", head)[0])) if len(head) == 8 else None
