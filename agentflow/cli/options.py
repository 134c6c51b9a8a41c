"""Options that several commands share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

if TYPE_CHECKING:
    from agentflow.cli.console import Console

Config = Annotated[
    str | None,
    typer.Option("--config", "-f", metavar="FILE", help="Config file; default: agentflow.yaml here or above."),
]
Store = Annotated[
    str | None, typer.Option("--store", metavar="PATH", envvar="AGENTFLOW_STORE", help="Database of the runs.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]
Jsonl = Annotated[bool, typer.Option("--jsonl", help="Print every event as a line of JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only the result.")]
NoColor = Annotated[bool, typer.Option("--no-color", help="No escape sequences.")]
Timeout = Annotated[
    str | None,
    typer.Option("--timeout", metavar="TIME", help="Leave then (30s, 5m); the run goes on when watched."),
]
Interrupt = Annotated[bool, typer.Option("--cancel-on-interrupt", help="Ctrl+C cancels the run instead of leaving it.")]
Answers = Annotated[
    list[str] | None,
    typer.Option("--answer", metavar="STEP=JSON", help="Answer a step's wait in advance; STEP=@file reads a file."),
]
NoAsk = Annotated[bool, typer.Option("--no-ask", help="Never ask here, even in a terminal.")]


class Common(NamedTuple):
    """What the shared options of one command line say."""

    config: str | None = None
    store: str | None = None
    json: bool = False
    jsonl: bool = False
    quiet: bool = False
    no_color: bool = False

    def console(self) -> Console:
        """Return the console that they ask for."""
        from agentflow.cli.console import make_console  # noqa: PLC0415  not needed for help

        mode = "jsonl" if self.jsonl else "json" if self.json else "text"
        return make_console(mode=mode, quiet=self.quiet or mode != "text", no_color=self.no_color)


_SHARED: Mapping[str, tuple[Any, Any]] = {
    "config": (Config, None),
    "store": (Store, None),
    "json": (Json, False),
    "jsonl": (Jsonl, False),
    "quiet": (Quiet, False),
    "no_color": (NoColor, False),
}
"""The fields of `Common`, as options: their declaration and default."""


def shared(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command some of the shared options, behind its own: it gets what they say as `common`."""

    def give(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def called(**given: Any) -> Any:
            return command(common=Common(**{name: given.pop(name) for name in names}), **given)

        own = inspect.signature(command, eval_str=True)
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        more = [inspect.Parameter(n, kind, default=_SHARED[n][1], annotation=_SHARED[n][0]) for n in names]
        parameters = [*(each for name, each in own.parameters.items() if name != "common"), *more]
        keyword = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]  # no order of defaults
        signature = own.replace(parameters=keyword)
        setattr(called, "__signature__", signature)  # noqa: B010  what typer makes options of
        called.__annotations__ = {each.name: each.annotation for each in keyword}
        return called

    return give
