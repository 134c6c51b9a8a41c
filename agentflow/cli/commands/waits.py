"""`waits`, `waits list|show|answer|open`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from agentflow.cli import options
from agentflow.cli.complete import run_ids, wait_ids

Wait = Annotated[
    str,
    typer.Argument(
        metavar="WAIT", help="An ending of its id, or of a run with one open wait.", autocompletion=wait_ids
    ),
]
OrLast = Annotated[
    str,
    typer.Argument(
        metavar="WAIT",
        help="An ending of its id, or of a run with one open wait; default: the last run's.",
        autocompletion=wait_ids,
        show_default=False,
    ),
]
OfRun = Annotated[str | None, typer.Option("--run", metavar="RUN", help="Only of this run.", autocompletion=run_ids)]


@options.shared("config", "store", "json", "no_color")
def waits(
    common: options.Common,
    ctx: typer.Context,
) -> int | None:
    """Waits: what runs need an answer for. Alone it lists them.

    \f
    agentflow waits
    agentflow waits answer w5d1kq
    agentflow waits answer w5d1kq --set decision=approve
    """
    if ctx.invoked_subcommand is not None:
        return None
    from agentflow.cli.actions.waits import list_waits as do  # noqa: PLC0415  help must not pay for it

    return do(common, None)


@options.shared("config", "store", "json", "quiet", "no_color")
def list_waits(
    common: options.Common,
    run: OfRun = None,
) -> int:
    """List open waits, oldest first.

    \f
    agentflow waits list
    """
    from agentflow.cli.actions.waits import list_waits as do  # noqa: PLC0415  help must not pay for it

    return do(common, run)


@options.shared("config", "store", "json", "no_color")
def show(
    common: options.Common,
    wait: OrLast = "@last",
) -> int:
    """Show a wait: what it asks, its schema, an example answer.

    \f
    agentflow waits show w5d1kq
    """
    from agentflow.cli.actions.waits import show as do  # noqa: PLC0415  help must not pay for it

    return do(common, wait)


@options.shared("config", "store", "json", "quiet", "no_color")
def answer(
    common: options.Common,
    wait: Wait,
    sets: Annotated[
        list[str] | None, typer.Option("--set", "-s", metavar="KEY=VALUE", help="One field; repeat it.")
    ] = None,
    data: Annotated[str | None, typer.Option("--data", metavar="JSON", help="The answer; @file or - reads it.")] = None,
    decline: Annotated[str | None, typer.Option("--decline", metavar="REASON", help="Refuse to answer.")] = None,
    fail: Annotated[str | None, typer.Option("--fail", metavar="MESSAGE", help="The tool failed.")] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Only store the answer; don't carry the run on.")] = False,
    timeout: options.Timeout = None,
) -> int:
    """Answer a wait; without an answer it asks. Carries the run on where no process does.

    \f
    agentflow waits answer w5d1kq
    agentflow waits answer w5d1kq --set decision=approve --set amount=400
    agentflow waits answer w5d1kq --data @answer.json
    agentflow waits answer w5d1kq --decline "not mine"
    """
    from agentflow.cli.actions import answer as actions  # noqa: PLC0415  help must not pay for it

    wanted = actions.Reply(wait, tuple(sets or ()), data, decline, fail, detach, timeout)
    return actions.answer(common, wanted)


@options.shared("config", "store", "json", "quiet", "no_color")
def open_wait(
    common: options.Common,
    wait: Wait,
    device: Annotated[bool, typer.Option("--device", help="By a code that is entered on any device.")] = False,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
    timeout: Annotated[str, typer.Option("--timeout", metavar="DURATION", help="How long to wait for it.")] = "5m",
) -> int:
    """Sign in to what a wait asks for (kind auth), and carry its run on.

    \f
    agentflow waits open w4aa7c
    agentflow waits open w4aa7c --device
    """
    from agentflow.cli.actions import opening  # noqa: PLC0415  help must not pay for it

    wanted = opening.Opening(wait, device, no_browser, timeout)
    return opening.open_wait(common, wanted)


COMMANDS: Mapping[str, Callable[..., Any]] = {"list": list_waits, "show": show, "answer": answer, "open": open_wait}
"""Commands of the group, in the order of its help."""
