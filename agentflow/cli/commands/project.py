"""`init`, `doctor`."""

from __future__ import annotations

from typing import Annotated

import typer

from agentflow.cli import options
from agentflow.cli.complete import checks, templates


@options.shared("json", "quiet", "no_color")
def init(
    common: options.Common,
    folder: Annotated[str, typer.Argument(metavar="[DIR]", help="Its folder; default: this one.")] = ".",
    template: Annotated[
        str | None,
        typer.Option("--template", "-t", metavar="NAME", help="hello, approval or agent.", autocompletion=templates),
    ] = None,
) -> int:
    """Begin a project from a template.

    \f
    agentflow init demo
    agentflow init demo --template approval
    """
    from agentflow.cli.actions.init import init as do  # noqa: PLC0415  help must not pay for it

    return do(common, folder, template)


@options.shared("config", "store", "json", "no_color")
def doctor(
    common: options.Common,
    only: Annotated[
        str | None,
        typer.Option("--only", metavar="CHECK,…", help="Only these checks: config,store …", autocompletion=checks),
    ] = None,
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", min=1, max=65535, help="Where `serve` would listen.")
    ] = 8745,
) -> int:
    """Look for what keeps workflows from running.

    \f
    agentflow doctor
    agentflow doctor --only config,store --json
    """
    from agentflow.cli.actions.doctor import doctor as do  # noqa: PLC0415  help must not pay for it

    return do(common, only, port)
