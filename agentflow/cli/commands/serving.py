"""`serve`."""

from __future__ import annotations

from typing import Annotated

import typer

from agentflow.cli import options


@options.shared("store", "json", "quiet", "no_color")
def serve(
    common: options.Common,
    configs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CONFIG]...", help="Config files; default: agentflow.yaml here or above."),
    ] = None,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="0: any free one.")] = 8745,
    url: Annotated[
        str | None, typer.Option("--url", metavar="URL", help="Where clients reach it, if not at that address.")
    ] = None,
    grpc_port: Annotated[
        int | None,
        typer.Option("--grpc-port", metavar="PORT", min=0, max=65535, help="Speak gRPC, too, on a port of its own."),
    ] = None,
    grpc_url: Annotated[
        str | None,
        typer.Option("--grpc-url", metavar="HOST:PORT", help="Where clients reach gRPC, if not at that port."),
    ] = None,
    grace: Annotated[
        float, typer.Option("--grace", metavar="SECONDS", min=0, help="What running steps get when it ends.")
    ] = 10.0,
) -> int:
    """Serve the workflows to A2A and MCP clients, and execute runs.

    \f
    agentflow serve
    agentflow serve --port 8421 --grpc-port 8422
    agentflow serve desk.yaml --host 0.0.0.0 --url https://agents.example.com
    """
    from agentflow.cli.actions.serving import Listen  # noqa: PLC0415  help must not pay for it
    from agentflow.cli.actions.serving import serve as do  # noqa: PLC0415

    return do(common, configs or [], Listen(host, port, url, grpc_port, grpc_url), grace)
