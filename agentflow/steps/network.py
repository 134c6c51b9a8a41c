"""The network rules of steps and of the server: which hosts and addresses this process connects to.

Every address that a name resolves to is looked at just before the connection is made, and the connection goes to that
very address: a name that changes its address in between changes nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, NamedTuple, TypeAlias

import anyio

from agentflow.errors import StepError

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Finds the addresses of a host."""

_PRIVATE = tuple(
    map(
        ipaddress.ip_network,
        ("10.0.0.0/8", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "::1/128", "fc00::/7"),
    )
)
"""Opened by `private: true`."""
_SPECIAL = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8",
            "169.254.0.0/16",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
            "2001::/23",
            "2001:db8::/32",
            "3fff::/20",
        ),
    )
)
"""Never connected to: link-local (cloud metadata), multicast, documentation, tunnels. `ipaddress` misses some."""
_GLOBAL_6 = ipaddress.ip_network("2000::/3")
_EMBEDDING = (
    (ipaddress.IPv6Network("::ffff:0:0/96"), 0),
    (ipaddress.IPv6Network("::/96"), 0),
    (ipaddress.IPv6Network("64:ff9b::/96"), 0),
    (ipaddress.IPv6Network("2002::/16"), 80),
)
"""IPv6 ranges that carry an IPv4 address, and how far from the end it stands."""


class Section(NamedTuple):
    """Where a config says the rules, for those who meet them."""

    name: str
    written: str
    """How it is written, with `%s` for the rules themselves."""


SKILL = Section("native:network", 'skills: {"native:network": %s}')


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be connected to."""

    allow: tuple[str, ...] | None = None
    """Hosts as `host`, `*.host`, either with `:port`; None: all."""
    private: bool = False
    """Whether loopback and private ranges are open."""
    resolve: Resolve | None = None
    """Finds addresses; None: the system's resolver."""
    section: Section = SKILL
    """Where the rules stand."""

    @classmethod
    def of(cls, limits: Mapping[str, Any], *, resolve: Resolve | None = None) -> Policy:
        """Read the limits of `native:network`: `allow: [hosts]`, `private: true`.

        Raises:
            ValueError: there is something else in them.
        """
        unknown = sorted(limits.keys() - {"allow", "private"})
        if unknown:
            raise ValueError(f'native:network has no limit "{unknown[0]}"; it has allow and private')
        private = limits.get("private", False)
        if not isinstance(private, bool):
            raise ValueError("native:network: private is true or false")
        allow: Any = limits.get("allow")
        if allow is None:
            return cls(None, private, resolve)
        hosts: list[Any] = [*allow] if isinstance(allow, list | tuple) else [allow]
        if not all(isinstance(host, str) and host and "/" not in host for host in hosts):
            raise ValueError('native:network: allow is a list of hosts such as "api.example.com" or "*.example.com"')
        return cls(tuple(host.lower().rstrip(".") for host in hosts), private, resolve)

    def check_host(self, host: str, port: int) -> None:
        """Refuse a host that isn't on the list.

        Raises:
            StepError: it isn't.
        """
        if self.allow is None:
            return
        name = host.lower().rstrip(".")
        shown = f"[{name}]" if ":" in name else name
        if not any(fnmatchcase(name, one) or fnmatchcase(f"{shown}:{port}", one) for one in self.allow):
            rule = self.section.written % f'{{allow: ["{name}"]}}'
            raise _denied(f'host "{name}" isn\'t allowed by {self.section.name}', f"add it in the config: {rule}")

    def check_address(self, address: str, host: str) -> None:
        """Refuse an address of a private or special range.

        Raises:
            StepError: it is one.
        """
        ip = unpack(ipaddress.ip_address(address.partition("%")[0]))
        if any(ip in network for network in _PRIVATE):
            if not self.private:
                raise _denied(
                    f'"{host}" has the private address {address}, which {self.section.name} doesn\'t allow',
                    f"if it is meant: {self.section.written % '{private: true}'}",
                )
        elif is_special(ip):
            raise _denied(f'"{host}" has the special address {address}, which is never connected to', None)

    async def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses of a host, all of them allowed.

        Raises:
            StepError: the host or one of its addresses isn't allowed.
            OSError: it has none.
        """
        self.check_host(host, port)
        found = await (self.resolve or system_resolve)(host, port)
        addresses = list(dict.fromkeys(found))
        if not addresses:
            raise OSError(f'"{host}" has no address')
        for address in addresses:
            self.check_address(address, host)
        return addresses


def unpack(ip: Address) -> Address:
    """Return the IPv4 address that an IPv6 address carries, else the address itself."""
    if isinstance(ip, ipaddress.IPv6Address) and int(ip) > 1:
        for network, shift in _EMBEDDING:
            if ip in network:
                return ipaddress.IPv4Address((int(ip) >> shift) & 0xFFFFFFFF)
    return ip


def is_special(ip: Address) -> bool:
    """Tell whether an address isn't one of the public internet; embedded ones have to be unpacked before."""
    if any(ip in network for network in _SPECIAL) or not ip.is_global or ip.is_multicast:
        return True
    return ip.version == 6 and ip not in _GLOBAL_6


async def system_resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver."""
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [info[4][0] for info in found]


def _denied(what: str, hint: str | None) -> StepError:
    return StepError(what, code="AF-NETWORK-DENIED", kind="network", retryable=False, hint=hint)
