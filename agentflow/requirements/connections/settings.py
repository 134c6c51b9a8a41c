"""What the config says of connections, its templates computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from agentflow.credentials import NotConnected
from agentflow.definition.connection_fields import ConnectionEntry
from agentflow.definition.host_rules import place_of
from agentflow.errors import AgentflowError
from agentflow.expressions import NamedValues, compile_value
from agentflow.requirements.connections.presets import PRESETS, STANDARD, Preset

_ADDRESSES = ("issuer", "authorize_url", "token_url", "device_url", "revoke_url", "account_url")


@dataclass(frozen=True, slots=True)
class Settings:
    """One connection."""

    name: str
    entry: ConnectionEntry
    preset: Preset = STANDARD
    spelled_out: tuple[str, ...] = ()
    """Hosts with ports that the config itself names; others come of templates, or are told by the server."""

    @property
    def signs_in(self) -> bool:
        """Whether people sign in to it, each for himself."""
        return self.entry.type == "oauth2" and self.entry.grant == "authorization_code"

    def url(self, field: str) -> str | None:
        """Return an endpoint, if the config or the preset knows it."""
        return getattr(self.entry, field) or (None if self.entry.issuer else getattr(self.preset, field))

    def need(self, field: str) -> str:
        """Return a field that there is no doing without; raises NotConnected where it isn't given."""
        value = getattr(self.entry, field)
        if not value:
            raise unconfigured(self.name, f"it has no {field}")
        return value


class AllSettings:
    """The connections of a config."""

    def __init__(self, entries: Mapping[str, Mapping[str, Any]], env: Mapping[str, str]) -> None:
        """Compute nothing yet.

        Args:
            entries: the config's `connections`, as `Config` holds them.
            env: values of the config's `env`.
        """
        self._entries = dict(entries)
        self._env = env
        self._made: dict[str, Settings] = {}

    def names(self) -> list[str]:
        """Return the names of all connections."""
        return list(self._entries)

    def name_of(self, service: str) -> str | None:
        """Return the connection that a service is reached by: its own, or the provider's; None: there is none."""
        if service in self._entries:
            return service
        provider = service.partition(":")[0]
        return provider if provider in self._entries else None

    def of(self, service: str) -> Settings:
        """Return the connection that a service is reached by; raises NotConnected where it can't be used."""
        name = self.name_of(service)
        if name is None:
            hint = f'connections: {{"{service}": {{…}}}}, in the config'
            raise NotConnected(service, "unknown", hint=hint)
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = self._settled(name)
        return made

    def secrets(self) -> list[tuple[str, str]]:
        """Return (connection, secret) for all that stand in the config, whether or not by way of `env`."""
        found: list[tuple[str, str]] = []
        for name in self._entries:
            try:
                entry = self.of(name).entry
            except NotConnected:
                continue
            values = (entry.client_secret, entry.token, entry.key, entry.password, entry.secret)
            found += [(name, value) for value in values if value]
        return found

    def _settled(self, name: str) -> Settings:
        fields = self._entries[name]
        try:
            compiled = compile_value(dict(fields), frozenset({"env"}))
            computed: dict[str, Any] = compiled.render(NamedValues({"env": self._env}))
            entry = ConnectionEntry.model_validate(computed)
        except AgentflowError as error:
            raise unconfigured(name, error.what) from None
        except ValidationError as error:
            raise unconfigured(name, "; ".join(each["msg"] for each in error.errors())) from None
        provider = entry.provider
        if provider is None and entry.issuer is None and entry.token_url is None:
            provider = name.partition(":")[0]
        known = PRESETS.get(provider, STANDARD) if entry.type == "oauth2" and provider is not None else STANDARD
        return Settings(name, entry, known, _spelled_out(fields))


def _spelled_out(fields: Mapping[str, Any]) -> tuple[str, ...]:
    urls = (str(fields.get(field) or "").replace("{client_id}", "") for field in _ADDRESSES)
    return tuple(filter(None, (place_of(url) for url in urls if "{" not in url)))


def unconfigured(name: str, why: str) -> NotConnected:
    """Return what is said of a connection that the config doesn't say enough of."""
    hint = f"see connections, {name}, in the config, and set the variables that it names"
    return NotConnected(name, "unconfigured", why=why, hint=hint)
