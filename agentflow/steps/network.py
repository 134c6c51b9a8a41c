"""The network rules of steps and of the server: which hosts and addresses this process connects to.

Every address that a name resolves to is looked at just before the connection is made, and the connection goes to that
very address: a name that changes its address in between changes nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import anyio

from agentflow.definition.host_rules import HostRule, host_rules, plain
from agentflow.errors import StepError

if TYPE_CHECKING:
    from agentflow.definition.skill_limits import NetworkLimits

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
_SHOWN = 6
"""Rules from which on not all are repeated in a hint."""
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
_METADATA = tuple(map(ipaddress.ip_network, ("100.100.100.200/32", "fd00:ec2::/32")))
"""Never connected to either: metadata services of clouds in ranges that are private."""
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
    allow: str = "allow"
    """Their field that lists hosts."""
    private: str | None = "private: true"
    """Their field that opens private addresses; None: listing the host does."""


SKILL = Section("native:network", 'skills: {"native:network": %s}')


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be connected to."""

    allow: tuple[HostRule, ...] | None = None
    """Hosts; None: all."""
    private: bool = False
    """Whether loopback and private ranges are open."""
    resolve: Resolve | None = None
    """Finds addresses; None: the system's resolver."""
    section: Section = SKILL
    """Where the rules stand."""
    named: tuple[HostRule, ...] = ()
    """Hosts that the config itself spells out: they are allowed, and may have private addresses."""
    methods: tuple[str, ...] | None = None
    """HTTP methods; None: all."""
    schemes: tuple[str, ...] | None = None
    """Schemes of URLs; None: all."""

    @classmethod
    def of(cls, limits: NetworkLimits | None, *, resolve: Resolve | None = None) -> Policy:
        """Return what the limits of `native:network` say."""
        if limits is None:
            return cls(resolve=resolve)
        return cls(limits.hosts, limits.private, resolve, methods=limits.methods, schemes=limits.schemes)

    def naming(self, *hosts: str) -> Policy:
        """Return these rules for a server whose hosts the config spells out."""
        return replace(self, named=(*self.named, *host_rules(hosts)))

    def check_request(self, method: str, scheme: str, host: str, port: int) -> None:
        """Refuse a request by its method, scheme or host.

        Raises:
            StepError: it isn't allowed.
        """
        for what, given, rules in (("method", method, self.methods), ("scheme", scheme, self.schemes)):
            if rules is not None and given not in rules:
                edit = self._edit(f"{what}s", rules, given)
                why = f"its rule is {what}s: [{', '.join(rules)}]"
                raise _denied(f'{what} "{given}" isn\'t allowed by {self.section.name}', edit, why)
        self.check_host(host, port, scheme)

    def check_host(self, host: str, port: int, scheme: str | None = None) -> None:
        """Refuse a host that isn't on the list.

        Raises:
            StepError: it isn't.
        """
        if self.allow is None or self._names(host, port):
            return
        if not any(rule.matches(host, port, scheme) for rule in self.allow):
            name = plain(host)
            name = f"[{name}]" if ":" in name else name
            listed = [rule.written for rule in self.allow]
            field = self.section.allow
            what = f'host "{name}" isn\'t allowed by {self.section.name}'
            raise _denied(what, self._edit(field, listed, name), f"its rule is {field}: [{', '.join(listed)}]")

    def _names(self, host: str, port: int) -> bool:
        return any(rule.matches(host, port) for rule in self.named)

    def _edit(self, limit: str, listed: Sequence[str], missing: str) -> str:
        """Return what would have to stand in the config."""
        shown = [*listed, missing] if len(listed) < _SHOWN else ["…", missing]
        quoted = ", ".join(f'"{each}"' for each in shown)
        return f"if it is meant, in the config: {self.section.written % f'{{{limit}: [{quoted}]}}'}"

    def check_address(self, address: str, host: str, *, named: bool = False) -> None:
        """Refuse an address of a private or special range.

        Raises:
            StepError: it is one.
        """
        ip = unpack(ipaddress.ip_address(address.partition("%")[0]))
        if is_special(ip) and not is_private(ip):
            raise _denied(
                f'"{host}" has the special address {address}, which is never connected to', None,
                f"{ip} is of {range_of(ip)}",
            )  # fmt: skip
        if is_private(ip) and not (self.private or named):
            field = self.section.private or f'{self.section.allow}: ["{host}"]'
            listed = ", ".join(f'"{rule.written}"' for rule in self.allow or ())
            if self.section.private and listed and len(self.allow or ()) < _SHOWN:
                field = f"{field}, {self.section.allow}: [{listed}]"
            raise _denied(
                f'"{host}" has the private address {address}, which {self.section.name} doesn\'t allow',
                f"if it is meant, in the config: {self.section.written % f'{{{field}}}'}",
                f"{ip} is of {range_of(ip)}; private addresses are closed unless the config opens them",
            )

    async def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses of a host, all of them allowed.

        Raises:
            StepError: the host or one of its addresses isn't allowed.
            OSError: it has none.
        """
        self.check_host(host, port)
        named = self._names(host, port)
        found = await (self.resolve or system_resolve)(host, port)
        addresses = list(dict.fromkeys(found))
        if not addresses:
            raise OSError(f'"{host}" has no address')
        for address in addresses:
            self.check_address(address, host, named=named)
        return addresses


def unpack(ip: Address) -> Address:
    """Return the IPv4 address that an IPv6 address carries, else the address itself."""
    if isinstance(ip, ipaddress.IPv6Address) and int(ip) > 1:
        for network, shift in _EMBEDDING:
            if ip in network:
                return ipaddress.IPv4Address((int(ip) >> shift) & 0xFFFFFFFF)
        if _interface_id(ip):
            return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip


def _interface_id(ip: ipaddress.IPv6Address) -> bool:
    """Tell whether an address is of ISATAP (RFC 5214): it carries an IPv4 address at its end, in any network."""
    return (int(ip) >> 32) & 0xFDFFFFFF == 0x00005EFE


def is_private(ip: Address) -> bool:
    """Tell whether `private: true` opens an address; embedded ones have to be unpacked before."""
    return any(ip in network for network in _PRIVATE) and not any(ip in network for network in _METADATA)


def range_of(ip: Address) -> str:
    """Return the special or private range of an address, for people."""
    for network in (*_METADATA, *_PRIVATE, *_SPECIAL):
        if ip in network:
            return str(network)
    return "a range that isn't of the public internet"


def is_special(ip: Address) -> bool:
    """Tell whether an address isn't one of the public internet; embedded ones have to be unpacked before."""
    if any(ip in network for network in _SPECIAL) or not ip.is_global or ip.is_multicast:
        return True
    return ip.version == 6 and ip not in _GLOBAL_6


async def system_resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver."""
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [info[4][0] for info in found]


def _denied(what: str, hint: str | None, why: str | None = None) -> StepError:
    return StepError(what, code="AF-NETWORK-DENIED", kind="network", retryable=False, hint=hint, why=why)
