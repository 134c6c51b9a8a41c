"""Python steps: which functions may be called, with what, and what happens when they raise."""

from __future__ import annotations

import asyncio
import functools
import gc
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import ref

import anyio
import pytest

from agentflow.codes import CODES
from agentflow.errors import ConflictError, StepError
from agentflow.steps.contract import Artifact, Context, Result, Skip
from agentflow.steps.functions import abandoned_threads
from agentflow.steps.python import TYPES
from agentflow.steps.services import ProcessServices
from tests.steps.context import FakeContext, enter, run

pytestmark = pytest.mark.anyio


async def call(function: Callable[..., Any], input: Any = None, ctx: FakeContext | None = None) -> Any:  # noqa: A002  as in YAML
    ctx = ctx or FakeContext()
    ctx.services = ProcessServices(functions={"f": function})
    return await run("python", {"function": "f", "input": input}, ctx)


async def failing(function: Callable[..., Any], input: Any = None) -> StepError:  # noqa: A002  as in YAML
    with pytest.raises(StepError) as caught:
        await call(function, input)
    assert caught.value.code in CODES
    return caught.value


def two(a: Any, b: Any = 2) -> Any:
    return [a, b]


async def one_async(order: Any) -> Any:
    return [order]


def same(x: Any) -> Any:
    return x


def pair(a: Any, b: Any) -> Any:
    return [a, b]


def nothing() -> str:
    return "called"


def anything(*args: Any, **keywords: Any) -> Any:
    return [list(args), keywords]


def only_named(*, a: Any) -> Any:
    return a


def only_placed(a: Any, /, b: Any = 0) -> Any:
    return [a, b]


FITTING: list[tuple[Callable[..., Any], Any, Any]] = [
    (nothing, None, "called"),
    (nothing, {}, "called"),
    (two, {"a": 1}, [1, 2]),
    (two, {"a": 1, "b": 3}, [1, 3]),
    (two, {"x": 1}, [{"x": 1}, 2]),
    (two, [1], [[1], 2]),
    (two, 7, [7, 2]),
    (two, None, [None, 2]),
    (two, {}, [{}, 2]),
    (one_async, {"order": 1}, [1]),
    (one_async, {"id": 1}, [{"id": 1}]),
    (anything, {"a": 1}, [[], {"a": 1}]),
    (anything, 5, [[5], {}]),
    (only_named, {"a": 1}, 1),
    (only_placed, {"a": 1, "b": 2}, [1, 2]),
    (functools.partial(two, b=9), {"a": 1}, [1, 9]),
    (same, "text", "text"),
]


@pytest.mark.parametrize(("function", "given", "result"), FITTING)
async def test_the_input_gives_the_parameters_by_name_or_the_one_parameter(
    function: Callable[..., Any], given: Any, result: Any
) -> None:
    assert await call(function, given) == result


UNFITTING: list[tuple[Callable[..., Any], Any, str]] = [
    (two, {"a": 1, "c": 2}, 'function "f" takes a, b?; the input has a, c'),
    (nothing, 3, 'function "f" takes no arguments; the input has a single value'),
    (nothing, {"a": 1}, 'function "f" takes no arguments; the input has a'),
    (only_named, 3, 'function "f" takes a; the input has a single value'),
    (pair, 3, 'function "f" takes a, b; the input has a single value'),
    (pair, None, 'function "f" takes a, b; the input has nothing'),
]


@pytest.mark.parametrize(("function", "given", "message"), UNFITTING)
async def test_an_input_that_does_not_fit_says_what_is_taken(
    function: Callable[..., Any], given: Any, message: str
) -> None:
    error = await failing(function, given)
    assert (str(error), error.code, error.kind, error.retryable) == (message, "AF-PYTHON-ARGUMENTS", "invalid", False)


async def test_a_callable_object_can_be_called() -> None:
    class Greeter:
        __hash__ = None  # pyright: ignore[reportAssignmentType]  such objects exist

        async def __call__(self, name: str) -> str:
            return f"hello {name}"

    assert await call(Greeter(), {"name": "ana"}) == "hello ana"


async def test_the_context_goes_to_a_parameter_of_that_name_or_type() -> None:
    async def by_name(ctx: Any, a: int) -> Any:
        return [ctx.run_id, a]

    def by_type(a: int, context: Context) -> Any:
        return [context.run_id, a]

    assert await call(by_name, {"a": 1}) == ["run-1", 1]
    assert await call(by_name, 1) == ["run-1", 1]
    assert await call(by_type, {"a": 1}) == ["run-1", 1]


async def test_a_sync_function_runs_in_a_thread_and_tells_through_the_loop() -> None:
    home = threading.get_ident()
    told_in: set[int] = set()

    class Telling(FakeContext):
        def progress(self, fraction: float | None, message: str = "") -> None:
            told_in.add(threading.get_ident())
            super().progress(fraction, message)

    def work(ctx: Any) -> Any:
        ctx.progress(0.5, message="half")
        ctx.log("a line")
        ctx.artifact(Artifact("a"))
        ctx.save({"at": 1})
        return [ctx.attempt, threading.get_ident()]

    ctx = Telling()
    attempt, thread = await call(work, None, ctx)
    assert (attempt, thread != home, told_in) == (1, True, {home})
    assert (ctx.told, ctx.logs, ctx.saved) == ([(0.5, "half")], [("info", "a line")], [{"at": 1}])
    assert ctx.artifacts == [Artifact("a")]


async def test_an_async_function_runs_in_the_loop() -> None:
    async def where() -> int:
        return threading.get_ident()

    assert await call(where) == threading.get_ident()


async def test_a_sync_function_that_returns_an_awaitable_is_awaited() -> None:
    async def inner(ctx: Any) -> str:
        await ctx.save(1)
        return "awaited"

    def outer(ctx: Any) -> Any:
        return inner(ctx)

    ctx = FakeContext()
    assert await call(outer, None, ctx) == "awaited"
    assert ctx.saved == [1]


async def test_a_function_may_skip_its_step() -> None:
    ctx = FakeContext(ProcessServices(functions={"skip": lambda: Skip("nothing to do"), "plain": nothing}))
    assert await enter("python", {"function": "skip"}, ctx) == Skip("nothing to do")
    assert await enter("python", {"function": "plain"}, ctx) == Result("called")


class Own(BaseException):
    pass


def raising(error: BaseException) -> Any:
    raise error


async def raising_async(error: BaseException) -> Any:
    raise error


@pytest.mark.case("A-19")
@pytest.mark.parametrize("function", [raising, raising_async])
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("boom"), "ValueError: boom"),
        (ValueError(), "ValueError"),
        (KeyError("total"), "KeyError: 'total'"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (Own("mine"), "Own: mine"),
        (StopIteration(1), "StopIteration: 1"),
        (asyncio.CancelledError("inner"), "CancelledError: inner"),
        (
            BaseExceptionGroup("two", [Own(), ValueError("b")]),
            "BaseExceptionGroup: two (2 sub-exceptions); Own; ValueError: b",
        ),
        (UnicodeError("\ud800"), "UnicodeError: ?"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
async def test_whatever_a_function_raises_fails_its_step(
    function: Callable[..., Any], error: BaseException, message: str
) -> None:
    failure = await failing(functools.partial(function, error))
    if isinstance(error, StopIteration) and function is raising_async:
        message = "RuntimeError: coroutine raised StopIteration"  # Python itself says so
    assert (str(failure), failure.code, failure.kind, failure.retryable) == (
        message,
        "AF-PYTHON-RAISED",
        "exception",
        True,
    )


@pytest.mark.case("A-19")
async def test_a_recursion_without_end_fails_its_step() -> None:
    def endless(n: int = 0) -> int:
        return endless(n + 1)

    async def endless_repr() -> Any:
        value: list[Any] = []
        for _ in range(100_000):
            value = [value]
        return repr(value)

    assert str(await failing(endless)).startswith("RecursionError: maximum recursion depth exceeded")
    assert str(await failing(endless_repr)).startswith("RecursionError: ")


async def test_an_exception_whose_text_fails_is_named() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise ValueError("no text")

    assert str(await failing(functools.partial(raising, Broken()))) == "Broken"


async def test_the_failure_shows_the_users_frames_only() -> None:
    error = await failing(functools.partial(raising, ValueError("boom")))
    frames = error.data["traceback"]
    assert [Path(frame.split(":")[0]).name for frame in frames] == ["test_python.py"]
    assert "in raising: raise error" in frames[0]
    assert error.data["exception"] == "ValueError"


@pytest.mark.case("A-25")
async def test_a_step_error_keeps_its_code_and_whether_it_is_retried() -> None:
    given = StepError("later", kind="network", retryable=False, retry_after=3.0)
    assert await failing_any(functools.partial(raising, given)) is given


async def failing_any(function: Callable[..., Any]) -> StepError:
    with pytest.raises(StepError) as caught:
        await call(function)
    return caught.value


async def test_an_error_of_agentflow_keeps_its_code() -> None:
    error = await failing(functools.partial(raising_async, ConflictError("twice", hint="once")))
    assert (str(error), error.code, error.hint) == ("twice", "AF-CONFLICT", "once")


async def test_a_cancelled_async_function_is_interrupted() -> None:
    started, ended = anyio.Event(), anyio.Event()

    async def slow() -> None:
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call, slow)
            await started.wait()
            tasks.cancel_scope.cancel()
    assert ended.is_set()


async def test_a_cancelled_thread_is_dropped_and_counted_until_it_ends() -> None:
    started, go_on, ended = threading.Event(), threading.Event(), threading.Event()
    refused: list[BaseException] = []

    def stubborn(ctx: Any) -> None:
        started.set()
        go_on.wait()
        try:
            ctx.log("too late")
        except BaseException as error:
            refused.append(error)
        ended.set()

    ctx = FakeContext()
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call, stubborn, None, ctx)
            await anyio.to_thread.run_sync(started.wait)
            tasks.cancel_scope.cancel()
        assert abandoned_threads() == 1
        go_on.set()
        await anyio.to_thread.run_sync(ended.wait)
        while abandoned_threads():  # noqa: ASYNC110  the thread's last lines
            await anyio.sleep(0.001)
    assert (ctx.logs, len(refused)) == ([], 1)


async def test_a_cancellation_from_outside_is_none_of_the_functions_failures() -> None:
    async def slow() -> None:
        await anyio.sleep_forever()

    task = asyncio.create_task(call(slow))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_the_type_says_what_it_needs() -> None:
    (spec,) = TYPES
    assert (spec.name, spec.skills, spec.takes_input, spec.timeout) == ("python", ("native:python",), True, None)


async def test_a_function_made_for_one_run_is_let_go_with_all_it_holds() -> None:
    class Held:
        pass

    async def once() -> ref[Held]:
        held = Held()
        assert await call(lambda: held is not None)
        return ref(held)

    gone = await once()
    gc.collect()
    assert gone() is None
