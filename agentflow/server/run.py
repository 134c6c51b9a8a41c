"""Runs the app: takes the port, tells where it is, ends in good order."""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from importlib.util import find_spec
from typing import NamedTuple
from urllib.parse import urlsplit

import anyio
import uvicorn

from agentflow.engine import Engine
from agentflow.errors import AgentflowError, ConflictError
from agentflow.ports import taken
from agentflow.server.app import agents_of, create_app
from agentflow.server.surface import Agent, Grpc, lacking_grpc
from agentflow.server.who import Who, is_loopback

GRACE = 3
"""Seconds that requests get which are under way when the server ends."""


def refuse_open(host: str, who: Who) -> None:
    """Refuse to serve strangers without asking who they are.

    Raises:
        AgentflowError: others than this machine could reach it, and nobody has to bring a token.
    """
    if not who.tokens and not is_loopback(host):
        raise AgentflowError(
            f"{host} can be reached by others, and the config has no `auth`", code="AF-SERVE-OPEN",
            hint="add `auth: {tokens: [{name: ci, value_env: CI_TOKEN}]}` to the config, or serve on 127.0.0.1",
        )  # fmt: skip


def bound(host: str, port: int, option: str = "--port") -> socket.socket:
    """Return a socket on an address; port 0: any that is free. `option` is what says another one.

    Raises:
        ConflictError: another program has it.
        AgentflowError: it isn't this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio sends at once only where it's told
    try:
        if os.name != "nt":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(2048)
    except OSError as error:
        made.close()
        if error.errno == errno.EADDRINUSE:
            hint = f"agentflow serve {option} {port + 1}"
            raise ConflictError(taken(port), code="AF-PORT-TAKEN", hint=hint) from None
        raise AgentflowError(
            f"can't listen on {host}:{port}", code="AF-SERVE-ADDRESS", why=(error.strerror or "error").lower()
        ) from None
    return made


def grpc_at(host: str, port: int, url: str | None, base: str | None, who: Who) -> Grpc:
    """Return where gRPC is listened to.

    Args:
        host: address to listen on.
        port: 0: any that is free.
        url: where clients reach it; None: at that port.
        base: where clients reach the app, if not at the address.
        who: tells who asks.

    Raises:
        AgentflowError: the package isn't installed, or the address can't be had.
    """
    if find_spec("grpc") is None:
        raise lacking_grpc()
    with bound(host, port, "--grpc-port") as free:
        port = free.getsockname()[1]
    name = (urlsplit(base).hostname if base else None) or host
    return Grpc(host, port, url or (f"[{name}]:{port}" if ":" in name else f"{name}:{port}"), who)


class Listening(NamedTuple):
    """Where requests come from."""

    socket: socket.socket
    """See `bound`."""
    url: str | None
    """Where clients reach it; None: by the socket's address."""
    who: Who
    """Tells who asks."""
    grpc: Grpc | None = None
    """Where gRPC is listened to; None: nowhere."""

    @property
    def address(self) -> str:
        """Where clients reach it."""
        host, port = self.socket.getsockname()[:2]
        return self.url or (f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")


async def serve(engines: Sequence[Engine], listening: Listening, tell: Callable[[str, Sequence[Agent]], None]) -> int:
    """Serve engines until the process is asked to end.

    Args:
        engines: open ones; they are closed after this.
        listening: where requests come from.
        tell: called with the URL and the agents once requests are taken.

    Returns:
        The signal that ended it, or 0.
    """
    url, who = listening.address, listening.who
    leaving = anyio.Event()
    app = create_app(*engines, url=url, who=who, leaving=leaving, grpc=listening.grpc)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=GRACE, server_header=False
    )
    server = uvicorn.Server(config)
    ended = 0

    async def hear(received: AsyncIterator[signal.Signals]) -> None:
        nonlocal ended
        async for number in received:
            ended = ended or number
            leaving.set()

    async def told() -> None:
        while not server.started:  # noqa: ASYNC110  it tells it in no other way
            await anyio.sleep(0.01)
        tell(url, agents_of(engines, url, who, leaving, listening.grpc))

    logging.getLogger("uvicorn.error").addHandler(logging.NullHandler())
    # The server handles signals too, and raises them again when it has ended: then they come here once more.
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as received:
        async with app.router.lifespan_context(app), anyio.create_task_group() as group:
            group.start_soon(hear, received)
            group.start_soon(told)
            await server.serve(sockets=[listening.socket])
            group.cancel_scope.cancel()
    return ended
