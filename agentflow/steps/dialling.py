"""Connects to names by a policy, for whichever HTTP library asks: each has errors and connections of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from agentflow.steps.network import Policy

T = TypeVar("T")


async def dial(
    policy: Policy,
    connect: Callable[[str], Awaitable[T]],
    host: str,
    port: int,
    seconds: float | None,
    *,
    failed: type[Exception],
    timed_out: type[Exception],
) -> T:
    """Return a connection to the first address that answers, after all of a name's were found allowed.

    Args:
        policy: what may be connected to.
        connect: connects to an address.
        host: the name.
        port: the port.
        seconds: for looking the addresses up; None: as long as it takes.
        failed: the library's error for what can't be connected to.
        timed_out: the library's error for what takes too long.

    Raises:
        StepError: the name or one of its addresses isn't allowed.
    """
    try:
        with anyio.fail_after(seconds):
            addresses = await policy.addresses(host, port)
    except TimeoutError as error:
        raise timed_out(f'no address of "{host}" in time') from error
    except (OSError, UnicodeError) as error:
        raise failed(f'"{host}" isn\'t known: {error}') from error
    for address in addresses[:-1]:
        try:
            return await connect(address)
        except (failed, timed_out):
            continue
    return await connect(addresses[-1])
