"""How an engine is opened: what it may be given, and the one way to hold it open."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import wraps
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, ParamSpec, TypeVar, cast, get_args

from agentflow.config import Config
from agentflow.definition.models import Workflow
from agentflow.engine.compiling import extended
from agentflow.engine.host.takeover import HostMode
from agentflow.errors import AgentflowError

P = ParamSpec("P")
T = TypeVar("T")


class Opening(AbstractAsyncContextManager[T], Generic[T]):
    """What `async with` opens and closes."""

    def __init__(self, opening: AbstractAsyncContextManager[T]) -> None:
        """Open nothing yet."""
        self._opening = opening

    async def __aenter__(self) -> T:
        """Open it."""
        return await self._opening.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        """Close it."""
        return await self._opening.__aexit__(kind, error, trace)

    if not TYPE_CHECKING:  # type checkers refuse these by themselves

        def __enter__(self) -> NoReturn:
            raise _usage("an engine is opened with `async with`, not `with`", _OPENED)

        def __exit__(self, *_: object) -> None:
            """Never reached."""

        def __await__(self) -> NoReturn:
            raise _usage("an engine is opened with `async with`, not `await`", _OPENED)


_OPENED = "async with Engine.open(…) as engine:"


def opened(function: Callable[P, AsyncGenerator[T]]) -> Callable[P, Opening[T]]:
    """Make an async generator what `async with` opens, and what says so where it is opened otherwise."""
    made = asynccontextmanager(function)

    @wraps(function)
    def opening(*args: P.args, **options: P.kwargs) -> Opening[T]:
        return Opening(made(*args, **options))

    return opening


def config_of(
    config: Config | None, workflows: object, host: object, named: Mapping[str, Mapping[str, Any] | None]
) -> Config:
    """Return the config of an engine with its further workflows; says in one sentence what it can't be given.

    Raises:
        AgentflowError: one of the values isn't what it has to be.
        DefinitionError: a workflow isn't valid.
    """
    if config is not None and not isinstance(config, Config):  # pyright: ignore[reportUnnecessaryIsInstance]  users may give anything
        raise _usage(f"config= takes a Config, not {_shown(config)}", "config=config_from([…]), or load_config()")
    if host not in get_args(HostMode):
        raise _usage(f'host= takes "all", "own" or "none", not {host!r}')
    for kind, values in named.items():
        for name, value in (values or {}).items():
            methods = ("call",) if kind == "tools" else ("run", "answer")
            runs = _has(value, ("run",))  # as agents of SDKs do
            provider = _has(value, methods) or isinstance(value, Mapping)
            fits = callable(cast("object", value)) or provider
            if kind == "functions" and not callable(cast("object", value)):
                raise _usage(f'functions={{"{name}": …}} takes a function, not {_shown(value)}')
            if not fits:
                asks = f"async def {name}(prompt: str): return (await agent.run(prompt)).output"
                hint = asks if kind == "agents" and runs else None
                raise _usage(f'{kind}={{"{name}": …}} takes a function or a provider, not {_shown(value)}', hint)
            if kind == "functions" and ":" not in name:
                raise _usage(f'functions={{"{name}": …}} takes names like "module:function"', f'"my:{name}"')
    alone = isinstance(workflows, Workflow | Mapping | str) or not isinstance(workflows, Iterable)
    listed: list[object] = [workflows] if alone else list(cast("Iterable[object]", workflows))
    for one in listed:
        if not isinstance(one, Workflow):
            raise _usage(f"workflows= takes workflows, not {_shown(one)}", "workflows=[Workflow(id=…, steps=…)]")
    return extended(config or Config(), cast("list[Workflow]", listed))


def _has(value: object, methods: tuple[str, ...]) -> bool:
    return all(hasattr(value, method) for method in methods)


def _shown(value: Any) -> str:
    return "a mapping" if isinstance(value, Mapping) else f"an object of {type(value).__name__}"


def _usage(what: str, hint: str | None = None) -> AgentflowError:
    return AgentflowError(what, code="AF-USAGE", hint=hint)
