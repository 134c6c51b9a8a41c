"""One run from its start to its end, in memory or in a store: the shortest way to run a workflow."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, overload

import anyio

from agentflow.config import Config
from agentflow.definition.models import Workflow
from agentflow.engine import Answer, Decline, Engine, Run, ToolFailure, WaitView
from agentflow.engine.locating import locate
from agentflow.engine.typed import typed
from agentflow.errors import AgentflowError, InputError, RunFailedError

if TYPE_CHECKING:
    from typing import Unpack

    from agentflow.store.contract import Store

T = TypeVar("T")


class RunOptions(TypedDict, total=False):
    """What `agentflow.run` takes besides the workflow and its input."""

    store: Store | str | Path
    """Where the run is kept: the path of a SQLite file, or a store; default: in memory, gone when the run is over."""
    config: Config
    """Tools, agents, skills, connections; default: none."""
    workflows: Iterable[Workflow]
    """Others that it calls."""
    functions: Mapping[str, Callable[..., Any]]
    """Python functions by `module:function`, for steps that name theirs."""
    tools: Mapping[str, Any]
    """Python functions as tools, by name."""
    agents: Mapping[str, Any]
    """Python callables as agents, by name."""
    answers: Mapping[str, Any]
    """Answers to waits, by the id of the step that asks: a value, or a function of the `WaitView`, sync or async."""
    entry_point: str
    """Where it starts; default: at the beginning."""
    idempotency_key: str
    """In a store: the same key is the same run, which goes on where it was."""
    labels: Mapping[str, str]
    """Texts by which runs are found."""
    timeout: float
    """Seconds after which the run is cancelled, and TimeoutError raised."""
    check: bool
    """False: a run that failed is returned, too. Default: `RunFailedError` is raised."""


@overload
async def run(
    workflow: Workflow | str,
    input: Any = None,
    *,
    output_model: type[T],
    **options: Unpack[RunOptions],
) -> Run[T]: ...
@overload
async def run(
    workflow: Workflow | str,
    input: Any = None,
    **options: Unpack[RunOptions],
) -> Run[Any]: ...
async def run(
    workflow: Workflow | str,
    input: Any = None,  # noqa: A002  named as in the config
    *,
    output_model: type[Any] | None = None,
    **options: Unpack[RunOptions],
) -> Run[Any]:
    """Run a workflow to its end, and return the run.

    ```python
    run = await agentflow.run(hello, {"name": "Ada"})
    print(run.output)
    ```

    In a store, a run that waits for what `answers` doesn't have is returned as it is (`run.waiting`).

    Args:
        workflow: the workflow; or its id in `config`.
        input: its input.
        output_model: a pydantic model, a dataclass, a TypedDict: what `run.output` is then.
        options: see `RunOptions`.

    Raises:
        DefinitionError: the workflow isn't valid.
        InputError: the input, an answer, or the output as `output_model`, doesn't fit.
        RunFailedError: it failed, was rejected or canceled; or it waits, and is kept nowhere.
        TimeoutError: it took longer than `timeout`.
    """
    unknown = next((name for name in options if name not in RunOptions.__annotations__), None)
    if unknown is not None:
        what = f'agentflow.run has no option "{unknown}"'
        raise AgentflowError(what, code="AF-USAGE", hint=", ".join(("output_model", *RunOptions.__annotations__)))
    others = options.get("workflows", ())
    store = options.get("store", ":memory:")
    async with Engine.open(
        store, config=options.get("config"), host="own", functions=options.get("functions"),
        workflows=[*others, workflow] if isinstance(workflow, Workflow) else others,
        tools=options.get("tools"), agents=options.get("agents"),
    ) as engine:  # fmt: skip
        made = await engine.start(
            workflow, input, entry_point=options.get("entry_point"), labels=options.get("labels"),
            idempotency_key=options.get("idempotency_key"),
        )  # fmt: skip
        if not made.ended:
            await engine.adopt(made.id)
        ended = await _ended(engine, made.id, options.get("answers", {}), options.get("timeout"))
        asking = [wait.step for wait in await engine.waits(made.id)] if ended.waiting else []
    if asking and store == ":memory:" and options.get("check", True):
        raise _stuck(ended, asking[0], options.get("answers", {}))
    return _checked(ended, output_model, check=options.get("check", True))


async def _ended(engine: Engine, run_id: str, answers: Mapping[str, Any], timeout: float | None) -> Run[Any]:  # noqa: ASYNC109  it cancels the run then
    """Return a run that has ended, or waits for what there is no answer to."""
    try:
        with anyio.fail_after(timeout):
            while True:
                now = await engine.wait(run_id)
                waits = await engine.waits(run_id) if now.waiting else []
                scripted = [(wait, key) for wait in waits if (key := _key(engine, wait, answers)) is not None]
                if not scripted:
                    return now
                for wait, key in scripted:
                    with _told_of(wait):
                        await engine.resume(wait.id, await _answer(answers[key], wait))
    except TimeoutError:
        await engine.cancel(run_id)
        raise TimeoutError(f"the run took longer than {timeout} s, and was canceled") from None


@contextmanager
def _told_of(wait: WaitView) -> Generator[None]:
    """Say of an answer that doesn't fit whose it is, as nobody can look at the wait: it was given in advance."""
    try:
        yield
    except InputError as error:
        what = f'the answer to step "{wait.step}" doesn\'t fit'
        raise InputError(
            what, code=error.code, why=error.why, data=error.data, hint=f"its schema is {wait.schema}"
        ) from None


def _key(engine: Engine, wait: WaitView, answers: Mapping[str, Any]) -> str | None:
    """Return what names a wait among the answers: its step's address, or id."""
    program = engine.core.env.catalog.current.get(wait.workflow)
    step = locate(program.workflow, wait.step) if program is not None else None
    names = (wait.step, step.id if step is not None else wait.step.rpartition("/")[2])
    return next((name for name in names if name in answers), None)


async def _answer(given: Any, wait: WaitView) -> Answer | Decline | ToolFailure:
    value = given(wait) if callable(given) else given
    if inspect.isawaitable(value):
        value = await value
    return value if isinstance(value, Answer | Decline | ToolFailure) else Answer(value)


def _stuck(ended: Run[Any], step: str, answers: Mapping[str, Any]) -> RunFailedError:
    what = f'the run of "{ended.workflow}" waits for an answer, and a run in memory ends here'
    near = get_close_matches(step, answers, 1)
    hint = f'answers={{"{step}": …}}' + (f', not "{near[0]}"' if near else "") + ', or store="runs.db"'
    return RunFailedError(what, ended, code="AF-RUN-STUCK", hint=hint)


def _checked(ended: Run[Any], model: type[Any] | None, *, check: bool) -> Run[Any]:
    if ended.ended and ended.state != "completed" and check:
        failure = ended.failure
        if failure is None:
            raise RunFailedError(f'the run of "{ended.workflow}" was {ended.state}', ended, code="AF-RUN-CANCELED")
        where = f' at step "{failure.step}"' if failure.step else ""
        what = f'the run of "{ended.workflow}" failed{where}: {failure.told}'
        error = RunFailedError(what, ended, code=failure.code, why=failure.why, hint=failure.hint)
        for line in _frames(failure.data):
            error.add_note(f"  {line}")
        raise error
    if model is None or ended.state != "completed":
        return ended
    return replace(ended, output=typed(ended.output, model, f'the output of workflow "{ended.workflow}"'))


def _frames(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield the user's own frames of what a function raised, innermost last, and what led to it."""
    yield from data.get("traceback", ())
    for cause in data.get("causes", ()):
        at = cause.get("at")
        yield f"{cause['how']} {cause['message']}" + (f" ({at})" if at else "")
