"""Lets runs go on whose owner has signed in when nobody was there to tell them."""

from __future__ import annotations

from agentflow.engine import Engine
from agentflow.errors import AgentflowError
from agentflow.principal import Principal


async def go_on(engine: Engine) -> None:
    """Look after runs that wait for a login which has come: the process that took it may have died before it told them.

    What the service itself has refused isn't tried again: somebody has to sign in.
    """
    for view in await engine.waits():
        name = view.connection
        if name is None or view.details.get("reason") == "rejected":
            continue
        principal = Principal(view.owner, view.tenant)
        scopes = [str(scope) for scope in view.details.get("scopes", ())]
        try:
            if await engine.core.env.credentials.lack(name, principal, scopes) is None:
                await engine.connections.signed_in(name, principal=principal)
        except AgentflowError:
            continue  # it waits on, as before
