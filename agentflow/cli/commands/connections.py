"""`connections list|login|logout|test`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from agentflow.cli import options

Name = Annotated[str, typer.Argument(metavar="NAME", help="A connection of the config, or a service: google:drive.")]
Owner = Annotated[str, typer.Option("--owner", metavar="OWNER", help="Whose; default: yours, of this command line.")]
Tenant = Annotated[str, typer.Option("--tenant", metavar="TENANT", help="The workspace that the owner acts in.")]


def connections() -> None:
    """Sign in to other services, and out.

    \f
    agentflow connections list
    agentflow connections login google:drive
    agentflow connections logout google:drive
    """


@options.shared("config", "store", "json", "quiet", "no_color")
def list_connections(
    common: options.Common,
) -> int:
    """List the config's connections: who has signed in, with which permissions, and until when.

    \f
    agentflow connections list
    agentflow connections list --json
    """
    from agentflow.cli.actions.connections import list_connections as do  # noqa: PLC0415  help must not pay for it

    return do(common)


@options.shared("config", "store", "json", "quiet", "no_color")
def login(
    common: options.Common,
    name: Name,
    device: Annotated[
        bool, typer.Option("--device", help="Without a browser here: print an address and a code.")
    ] = False,
    scope: Annotated[
        list[str] | None, typer.Option("--scope", metavar="SCOPE", help="A permission that is asked for besides.")
    ] = None,
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="Port that the browser comes back to.")
    ] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
    timeout: Annotated[str, typer.Option("--timeout", metavar="TIME", help="How long to wait for the answer.")] = "5m",
    owner: Owner = "local",
    tenant: Tenant = "",
) -> int:
    """Sign in to a service; runs that waited for it go on.

    \f
    agentflow connections login google:drive
    agentflow connections login github --device
    """
    from agentflow.cli.actions import login as action  # noqa: PLC0415  help must not pay for it

    wanted = action.Wanted(name, tuple(scope or ()), device, port, no_browser, timeout, owner, tenant)
    return action.login(common, wanted)


@options.shared("config", "store", "json", "quiet", "no_color")
def logout(
    common: options.Common,
    name: Name,
    owner: Owner = "local",
    tenant: Tenant = "",
) -> int:
    """Forget the tokens of a connection, and revoke them at the service.

    \f
    agentflow connections logout google:drive
    """
    from agentflow.cli.actions.connections import logout as do  # noqa: PLC0415  help must not pay for it

    return do(common, name, owner, tenant)


@options.shared("config", "store", "json", "quiet", "no_color")
def try_out(
    common: options.Common,
    name: Name,
    owner: Owner = "local",
    tenant: Tenant = "",
) -> int:
    """Get credentials as a step would, and ask the service whose they are.

    \f
    agentflow connections test google:drive
    """
    from agentflow.cli.actions.connections import try_out as do  # noqa: PLC0415  help must not pay for it

    return do(common, name, owner, tenant)


COMMANDS: Mapping[str, Callable[..., Any]] = {
    "list": list_connections, "login": login, "logout": logout, "test": try_out,
}  # fmt: skip
