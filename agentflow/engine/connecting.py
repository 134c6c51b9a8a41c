"""Makes the book of connections of an engine: from the config, its store, and the network rules of steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from agentflow.config import Config
from agentflow.sealing import Sealer
from agentflow.store.contract import Store

if TYPE_CHECKING:
    from agentflow.requirements.connections.book import ConnectionBook
    from agentflow.requirements.connections.settings import Settings
    from agentflow.steps.network import Resolve


def book_of(
    config: Config, store: Store, sealer: Sealer, now: Callable[[], float], resolve: Resolve | None = None
) -> ConnectionBook:
    """Return the book of a config's connections, over a store."""
    from agentflow.requirements.connections.book import ConnectionBook  # noqa: PLC0415  most configs have none

    def transport(settings: Settings) -> Any:
        from agentflow.steps.network import Policy, Section  # noqa: PLC0415  as below
        from agentflow.steps.network_httpx2 import GuardedTransport2  # noqa: PLC0415  httpx2 costs its import

        section = Section(f'the connection "{settings.name}"', f'connections: {{"{settings.name}": %s}}')
        policy = Policy(None, settings.entry.private, resolve, section)
        return GuardedTransport2(policy.naming(*settings.spelled_out))

    return ConnectionBook(
        config.connections,
        config.env_values,
        agent=config.agent,
        vault=store.vault,
        sealer=sealer,
        redactor=config.redactor,
        transport=transport,
        now=now,
        dead=store.liveness.dead,
        host=lambda: store.holder,
    )
