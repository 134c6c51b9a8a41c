"""`init`."""

from __future__ import annotations

from typing import Annotated

import typer

from agentflow.cli import options
from agentflow.cli.complete import templates


def init(
    folder: Annotated[str, typer.Argument(metavar="[DIR]", help="Its folder; default: this one.")] = ".",
    template: Annotated[
        str | None,
        typer.Option("--template", "-t", metavar="NAME", help="hello, approval or agent.", autocompletion=templates),
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    no_color: options.NoColor = False,
) -> int:
    """Begin a project from a template.

    \f
    agentflow init demo
    agentflow init demo --template approval
    """
    from agentflow.cli.actions.init import init as do  # noqa: PLC0415  help must not pay for it

    return do(options.Common(json=json, quiet=quiet, no_color=no_color), folder, template)
