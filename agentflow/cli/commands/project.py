"""`init`, `doctor`."""

from __future__ import annotations

from typing import Annotated

import typer

from agentflow.cli import options
from agentflow.cli.complete import checks, templates


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


def doctor(
    only: Annotated[
        str | None,
        typer.Option("--only", metavar="CHECK,…", help="Only these checks: config,store …", autocompletion=checks),
    ] = None,
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", min=1, max=65535, help="Where `serve` would listen.")
    ] = 8745,
    config: options.Config = None,
    store: options.Store = None,
    json: options.Json = False,
    no_color: options.NoColor = False,
) -> int:
    """Look for what keeps workflows from running.

    \f
    agentflow doctor
    agentflow doctor --only config,store --json
    """
    from agentflow.cli.actions.doctor import doctor as do  # noqa: PLC0415  help must not pay for it

    return do(options.Common(config, store, json, no_color=no_color), only, port)
