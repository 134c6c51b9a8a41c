"""`mcp`."""

from __future__ import annotations

from typing import Annotated

import typer

from agentflow.cli import options


@options.shared("store", "no_color")
def mcp(
    common: options.Common,
    config: Annotated[
        str | None, typer.Argument(metavar="[CONFIG]", help="Config file; default: agentflow.yaml here or above.")
    ] = None,
    hold: Annotated[
        str, typer.Option("--hold", metavar="TIME", help="How long a call waits for its run, before it gives a handle.")
    ] = "45s",
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="Where `agentflow serve` of this config is: people answer there."),
    ] = None,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print what clients are to be told, to be pasted, and end.")
    ] = False,
) -> int:
    """Serve the workflows as MCP tools on stdin and stdout.

    \f
    agentflow mcp
    agentflow mcp /path/to/agentflow.yaml --hold 20s
    agentflow mcp --print-config
    """
    if print_config:
        from agentflow.cli.actions.mcp import tell_entries  # noqa: PLC0415  as below

        return tell_entries(common._replace(config=config))
    from agentflow.cli.actions.mcp import serve  # noqa: PLC0415  help must not pay for it

    return serve(common._replace(config=config), hold, url)
