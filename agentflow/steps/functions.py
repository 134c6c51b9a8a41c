"""Calls Python functions of the user: as steps, as tools, as agents."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, cast
from weakref import WeakKeyDictionary

from anyio import CapacityLimiter, from_thread, to_thread
from anyio.lowlevel import RunVar
from pydantic import ValidationError

from agentflow.credentials import NotConnected
from agentflow.data import copied, is_object
from agentflow.errors import StepError
from agentflow.steps.contract import Context
from agentflow.steps.failing import is_cancellation, step_error
from agentflow.steps.typed_arguments import Kind, kinds_of, told

_POSITIONAL = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
)
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_TOLD = frozenset({"progress", "log", "heartbeat", "message", "status", "usage"})
_AWAITED = frozenset({"save", "publish", "drain", "artifact", "call_tool", "credentials"})
MAX_THREADS = 256
_limit: RunVar[CapacityLimiter] = RunVar("agentflow_function_threads")
_running: set[object] = set()
_dropped: set[object] = set()


@dataclass(frozen=True, slots=True)
class Shape:
    """What a function wants, looked at once."""

    asynchronous: bool
    signature: inspect.Signature | None
    """None: a function of C that doesn't tell."""
    context: str | None
    """Name of the parameter that gets the context."""
    names: tuple[str, ...]
    """Parameters that can be given by name, the context's apart."""
    required: tuple[str, ...]
    """Those that have no default."""
    first: inspect.Parameter | None
    """The parameter that takes a single value."""
    rest: str | None
    """Name of the `**` parameter."""
    keywords: frozenset[str] | None
    """The names, where it can be called with keywords alone."""
    kinds: Mapping[str, Kind]
    """What the parameters are annotated with, where that is a type that data can have."""

    @property
    def bare(self) -> bool:
        """Whether it can be called without anything."""
        return self.context is None and not self.required


_KNOWN: Final[WeakKeyDictionary[Callable[..., Any], Shape]] = WeakKeyDictionary()
"""Shapes of functions that somebody has: one made for a single run goes with it, and so does what it holds."""


def shape_of(function: Callable[..., Any]) -> Shape:
    """Look at a function's signature, once a function."""
    try:
        known = _KNOWN.get(function)
        if known is None:
            known = _KNOWN[function] = _shape(function)
    except TypeError:  # a callable object without a hash, or one that can't be referred to weakly
        return _shape(function)
    return known


def _shape(function: Callable[..., Any]) -> Shape:
    target = function.func if isinstance(function, partial) else getattr(function, "function", function)
    asynchronous = inspect.iscoroutinefunction(target) or inspect.iscoroutinefunction(getattr(target, "__call__", None))  # noqa: B004  an object's method is looked at, not asked for
    try:
        signature = inspect.signature(cast("Callable[..., Any]", function))
    except (TypeError, ValueError):
        return Shape(asynchronous, None, None, (), (), None, None, None, {})
    context, rest = None, None
    names: list[str] = []
    required: list[str] = []
    first: inspect.Parameter | None = None
    for parameter in signature.parameters.values():
        if context is None and _is_context(parameter):
            context = parameter.name
            continue
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            rest = parameter.name
            continue
        if first is None and parameter.kind in _POSITIONAL:
            first = parameter
        if parameter.kind is not inspect.Parameter.VAR_POSITIONAL:
            names.append(parameter.name)
            if parameter.default is inspect.Parameter.empty:
                required.append(parameter.name)
    simple = all(parameter.kind in _BY_NAME for parameter in signature.parameters.values())
    keywords = frozenset(names) if simple else None
    kinds = kinds_of(target, signature, tuple(names))
    return Shape(asynchronous, signature, context, tuple(names), tuple(required), first, rest, keywords, kinds)


def _is_context(parameter: inspect.Parameter) -> bool:
    if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
        return False
    annotation = parameter.annotation
    if isinstance(annotation, str):
        return parameter.name == "ctx" or annotation.rpartition(".")[2] == "Context"
    return parameter.name == "ctx" or annotation is Context


async def call(
    function: Callable[..., Any], value: Any, ctx: Context, *, name: str, code: str = "AF-PYTHON-RAISED"
) -> Any:
    """Call a function of the user with a step's input.

    A mapping gives the parameters by name where they fit, anything else (but null) the one parameter. A synchronous
    function runs in a thread; when the step is cancelled its result is dropped, as no thread can be stopped.

    Args:
        function: sync or async.
        value: the input.
        ctx: given to a parameter named `ctx` or annotated `Context`.
        name: the function's name for messages.
        code: code of what it raises.

    Raises:
        StepError: the input doesn't fit, or the function raised anything at all.
    """
    shape = shape_of(function)
    if value is None and shape.bare:
        args, keywords = (), {}
    else:
        args, keywords = _bind(shape, copied(value), ctx, name)
    return await invoke(function, shape, args, keywords, code=code)


async def invoke(
    function: Callable[..., Any],
    shape: Shape,
    args: tuple[Any, ...],
    keywords: Mapping[str, Any],
    *,
    code: str = "AF-PYTHON-RAISED",
) -> Any:
    """Call a function with arguments that fit; see `call`."""
    try:
        if shape.asynchronous:
            return await function(*args, **keywords)
        result, raised = await _in_thread(function, args, keywords)
        if raised is not None:
            raise step_error(raised, code=code) from raised
        return await result if inspect.isawaitable(result) else result
    except (StepError, NotConnected):
        raise
    except BaseException as error:
        if is_cancellation(error):
            raise
        raise step_error(error, code=code) from error


def abandoned_threads() -> int:
    """Return how many functions still run in threads though their steps ended.

    The interpreter waits for such threads at its exit: a command line may want to leave without them.
    """
    return len(_dropped & _running)


async def _in_thread(
    function: Callable[..., Any], args: tuple[Any, ...], keywords: Mapping[str, Any]
) -> tuple[Any, BaseException | None]:
    """Call a function in a thread, and return what it returned, or what it raised."""
    token = object()

    def guarded() -> tuple[Any, BaseException | None]:
        # Nothing but a pair crosses back: futures treat StopIteration and cancellations in ways of their own.
        _running.add(token)
        try:
            return function(*args, **keywords), None
        except BaseException as error:  # also SystemExit fails the step only
            return None, error
        finally:
            _running.discard(token)
            _dropped.discard(token)

    try:
        return await to_thread.run_sync(guarded, abandon_on_cancel=True, limiter=_limiter())
    except BaseException:
        if token in _running:
            _dropped.add(token)
        raise


def _limiter() -> CapacityLimiter:
    """Return the limit of this loop's user threads: apart from the default one, which the store's threads use."""
    try:
        return _limit.get()
    except LookupError:
        limiter = CapacityLimiter(MAX_THREADS)
        _limit.set(limiter)
        return limiter


def _bind(shape: Shape, value: Any, ctx: Context, name: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if shape.signature is None:
        return (() if value is None else (value,)), {}
    given = _by_name(shape, value) if is_object(value) else None
    if given is None:
        given = _single(shape, value)
    if given is None:
        raise _mismatch(shape, value, name)
    whole = is_object(value) and not any(key in shape.names for key in value)
    return arrange(shape, fitted(shape, given, f'function "{name}"', whole=whole), ctx)


def fitted(shape: Shape, given: dict[str, Any], what: str, *, whole: bool = False) -> dict[str, Any]:
    """Return arguments by name as the types that their parameters are annotated with.

    Args:
        shape: of the function.
        given: arguments by name.
        what: names the function in messages.
        whole: the one argument is all of a mapping.

    Raises:
        StepError: one doesn't fit.
    """
    for key, kind in shape.kinds.items():
        if key in given:
            try:
                given[key] = kind.of(given[key])
            except ValidationError as error:
                raise _unfit(what, key, kind, told(error), whole=whole) from None
    return given


def arrange(shape: Shape, given: dict[str, Any], ctx: Context) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return arguments by name as a call's arguments, the context added where the function wants it."""
    if shape.context is not None:
        given[shape.context] = ctx if shape.asynchronous else ThreadContext(ctx)
    if shape.signature is None or shape.keywords is not None:
        return (), given
    bound = inspect.BoundArguments(shape.signature, cast("Any", given))
    return bound.args, bound.kwargs


def _unfit(what: str, key: str, kind: Kind, why: str, *, whole: bool) -> StepError:
    hint = "name the keys of the input like the function's parameters" if whole else None
    said = f"{what} takes {key} as {kind.name}, and is given something else: {why}"
    return StepError(said, code="AF-PYTHON-ARGUMENTS", kind="invalid", retryable=False, hint=hint)


def fits_by_name(function: Callable[..., Any], value: Mapping[str, Any]) -> bool:
    """Tell whether a mapping gives a function's parameters by name."""
    return _by_name(shape_of(function), dict(value)) is not None


def _by_name(shape: Shape, value: dict[str, Any]) -> dict[str, Any] | None:
    if value.keys() == shape.keywords:  # what nearly every step gives
        return dict(value)
    given = {key: one for key, one in value.items() if key in shape.names}
    others = {key: one for key, one in value.items() if key not in shape.names}
    if any(key not in given for key in shape.required) or (others and shape.rest is None):
        return None
    if shape.context in others:
        return None
    if shape.rest is not None:
        given[shape.rest] = others
    return given


def _single(shape: Shape, value: Any) -> dict[str, Any] | None:
    if value is None and not shape.required:
        return {}
    first = shape.first
    if first is None or any(name != first.name for name in shape.required):
        return None
    if is_object(value) and any(key in shape.names for key in value):
        return None  # meant by name, and one of the others is wrong
    return {first.name: (value,) if first.kind is inspect.Parameter.VAR_POSITIONAL else value}


def misfit(function: Callable[..., Any], value: Any) -> tuple[list[str], list[str]] | None:
    """Return which parameters an input leaves out and which of its keys are none; None: it fits, as far as is known.

    Args:
        function: what is called.
        value: the input; of a mapping only the keys count.
    """
    shape = shape_of(function)
    if shape.signature is None or (value is None and shape.bare):
        return None
    given = _by_name(shape, value) if is_object(value) else None
    if given is not None or _single(shape, value) is not None:
        return None
    keys: list[str] = list(value) if is_object(value) else []
    unknown = [key for key in keys if key not in shape.names] if shape.rest is None else []
    return [name for name in shape.required if name not in keys], unknown


def takes(function: Callable[..., Any]) -> str:
    """Return a function's parameters for a sentence: `text, limit?`."""
    return _takes(shape_of(function))


def _takes(shape: Shape) -> str:
    return ", ".join(one if one in shape.required else f"{one}?" for one in shape.names) or "no arguments"


def _mismatch(shape: Shape, value: Any, name: str) -> StepError:
    if is_object(value):
        has = ", ".join(map(str, value)) or "no keys"
    else:
        has = "nothing" if value is None else "a single value"
    return StepError(
        f'function "{name}" takes {_takes(shape)}; the input has {has}',
        code="AF-PYTHON-ARGUMENTS",
        kind="invalid",
        retryable=False,
        hint="name the keys of the input like the function's parameters",
    )


class ThreadContext:
    """A step's context for a function in a thread: what it tells is handed to the loop, and nothing is awaited.

    Each call ends the function with a cancellation when the step was cancelled meanwhile.
    """

    def __init__(self, ctx: Context) -> None:
        """Wrap a context; called in the loop's thread."""
        self._ctx = ctx
        self._home = threading.get_ident()

    def __getattr__(self, name: str) -> Any:
        """Return the context's own attribute, safe to use from the thread."""
        value = getattr(self._ctx, name)
        if threading.get_ident() == self._home:
            return value
        if name in _TOLD:
            return partial(_tell, value)
        if name in _AWAITED:
            return partial(_await, value)
        return value


def _tell(method: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
    def call() -> Any | _Raised:
        try:
            return method(*args, **keywords)
        except BaseException as error:
            return _Raised(error)

    from_thread.check_cancelled()
    return _given(from_thread.run_sync(call))


def _await(method: Callable[..., Coroutine[Any, Any, Any]], *args: Any, **keywords: Any) -> Any:
    async def call() -> Any | _Raised:
        try:
            return await method(*args, **keywords)
        except (SystemExit, KeyboardInterrupt) as error:
            return _Raised(error)

    from_thread.check_cancelled()
    return _given(from_thread.run(call))


class _Raised:
    """What a call raised in the loop's thread, to be raised in the function's: it may not end the loop."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def _given(answer: Any | _Raised) -> Any:
    if isinstance(answer, _Raised):
        raise answer.error
    return answer
