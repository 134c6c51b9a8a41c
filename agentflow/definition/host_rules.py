"""Rules that name hosts: `api.example.com`, `*.example.com:8443`, `https://[::1]:443`, `10.0.0.0/8`, `bücher.de`."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Annotated, Final, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator

_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
_PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443}
_NAME: Final[Callable[[str], object]] = re.compile(r"[a-z0-9_*?-]+(\.[a-z0-9_*?-]+)*").fullmatch


@dataclass(frozen=True, slots=True)
class HostRule:
    """Which hosts a rule names."""

    written: str
    name: str = ""
    """A name as it goes over the network, `*` for any characters."""
    network: _Network | None = None
    """Addresses, of a rule that names these."""
    port: int | None = None
    """None: any."""
    scheme: str | None = None
    """None: any."""

    def matches(self, host: str, port: int, scheme: str | None = None) -> bool:
        """Tell whether a host is named; of a connection alone the scheme isn't known."""
        if self.port not in (None, port) or (scheme is not None and self.scheme not in (None, scheme)):
            return False
        name = plain(host)
        if self.network is not None:
            try:
                return ipaddress.ip_address(name.partition("%")[0]) in self.network
            except ValueError:
                return False
        return fnmatchcase(name, self.name)


def plain(host: str) -> str:
    """Return a host as names are compared: in small letters, without a last dot, IDN as `xn--…`."""
    name = host.lower().rstrip(".")
    if name.isascii():
        return name
    try:
        return name.encode("idna").decode("ascii")
    except UnicodeError:
        return name


@lru_cache(maxsize=512)
def host_rule(written: str) -> HostRule:
    """Read a rule.

    Raises:
        ValueError: it names no host.
    """
    before, separator, rest = written.strip().rpartition("://")
    scheme = before.lower() if separator else None
    if scheme is not None and scheme not in _PORTS:
        raise _wrong(written)
    host, port = _split(rest.lower(), written)
    if scheme is not None and port is None:
        port = _PORTS[scheme]
    try:
        return HostRule(written, network=ipaddress.ip_network(host), port=port, scheme=scheme)
    except ValueError:
        pass
    name = plain(host)
    if not name or not _NAME(name):
        raise _wrong(written)
    return HostRule(written, name, port=port, scheme=scheme)


def _split(text: str, written: str) -> tuple[str, int | None]:
    """Return host and port."""
    if text.startswith("["):
        host, end, rest = text[1:].partition("]")
        if not end or (rest and not rest.startswith(":")):
            raise _wrong(written)
        port = rest[1:]
    elif text.count(":") > 1:  # an IPv6 address without brackets
        return text, None
    else:
        host, _, port = text.partition(":")
        rest = text[len(host) :]
    if not rest:
        return host, None
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise _wrong(written)
    return host, int(port)


def host_rules(written: Iterable[str]) -> tuple[HostRule, ...]:
    """Read several rules; raises ValueError where one names no host."""
    return tuple(host_rule(each) for each in written)


def place_of(url: str) -> str:
    """Return the host and port of an address, as a rule has them; '' where it has none."""
    try:
        split = urlsplit(url)
        host, port = (split.hostname or "").lower(), split.port
    except ValueError:
        return ""
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{port or _PORTS.get(split.scheme, 80)}" if host else ""


def _checked(written: tuple[str, ...]) -> tuple[str, ...]:
    host_rules(written)
    return written


Hosts: TypeAlias = Annotated[tuple[str, ...], AfterValidator(_checked)]
"""Rules that name hosts, of a config."""


def _wrong(written: str) -> ValueError:
    return ValueError(
        f'"{written}" names no host; write it like api.example.com, *.example.com, api.example.com:8443, [::1] or '
        "10.0.0.0/8"
    )
