"""`push list|retry`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from agentflow.cli import options
from agentflow.cli.complete import run_ids

OfTask = Annotated[
    str | None,
    typer.Option("--task", metavar="TASK", help="Only of this run or wait.", autocompletion=run_ids),
]


def push() -> None:
    """Push notifications of tasks: who gets them, and who failed to.

    \f
    agentflow push list
    agentflow push retry w5d1kq
    """


@options.shared("config", "store", "json", "quiet", "no_color")
def list_pushes(
    common: options.Common,
    task: OfTask = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only those that have failed.")] = False,
) -> int:
    """List receivers of push notifications, oldest first: how far each has got, and why one doesn't get on.

    \f
    agentflow push list
    agentflow push list --failed
    """
    from agentflow.cli.actions.push import list_pushes as do  # noqa: PLC0415  help must not pay for it

    return do(common, task, failed=failed)


@options.shared("config", "store", "json", "quiet", "no_color")
def retry(
    common: options.Common,
    task: Annotated[
        str | None,
        typer.Argument(metavar="[TASK]", help="An ending of the run's or wait's id.", autocompletion=run_ids),
    ] = None,
    name: Annotated[str | None, typer.Option("--id", metavar="ID", help="Only the receiver with this id.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Those of all tasks.")] = False,
) -> int:
    """Let receivers that have failed be tried anew, from the change on that didn't arrive. A server sends them.

    \f
    agentflow push retry w5d1kq
    agentflow push retry --all
    """
    from agentflow.cli.actions.push import retry as do  # noqa: PLC0415  help must not pay for it

    return do(common, task, name, every=every)


COMMANDS: Mapping[str, Callable[..., Any]] = {"list": list_pushes, "retry": retry}
