"""What is known of providers: their endpoints, and how they differ from the standard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Preset:
    """What a provider's connections have in common; a config's own fields replace it."""

    authorize_url: str | None = None
    token_url: str | None = None
    device_url: str | None = None
    revoke_url: str | None = None
    account_url: str | None = None
    scopes: tuple[str, ...] = ()
    """Asked for each time: without them there is no refresh token, or nobody's name."""
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    """Of the address where people consent."""
    prefix: str = ""
    """What short names of scopes lack."""
    separator: str = " "
    """Between scopes."""
    folds: bool = False
    """Whether small and capital letters of scopes are the same."""
    implied: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    """Scopes that others hold in them."""
    json: bool = False
    """Whether its token endpoint reads JSON only."""
    revoke: str = "standard"
    """How tokens are revoked: as RFC 7009 says, or in a way of its own."""
    account: tuple[str, ...] = ("email", "preferred_username", "login", "user", "name", "sub")
    """Fields of what `account_url` says, or of the token's answer, that may name the account; the first one counts."""


STANDARD = Preset()
"""Of no provider that is known."""
_MICROSOFT = "https://login.microsoftonline.com/common/oauth2/v2.0"
PRESETS: Mapping[str, Preset] = {
    "google": Preset(
        authorize_url="https://accounts.google.com/o/oauth2/v2/auth",
        token_url="https://oauth2.googleapis.com/token",  # noqa: S106  an address
        device_url="https://oauth2.googleapis.com/device/code",
        revoke_url="https://oauth2.googleapis.com/revoke",
        account_url="https://openidconnect.googleapis.com/v1/userinfo",
        scopes=("openid", "email"),
        parameters={"access_type": "offline", "include_granted_scopes": "true", "prompt": "consent"},
        prefix="https://www.googleapis.com/auth/",
        implied={"drive": frozenset({"drive.readonly", "drive.file", "drive.metadata", "drive.metadata.readonly"})},
    ),
    "github": Preset(
        authorize_url="https://github.com/login/oauth/authorize",
        token_url="https://github.com/login/oauth/access_token",  # noqa: S106  an address
        device_url="https://github.com/login/device/code",
        revoke_url="https://api.github.com/applications/{client_id}/token",
        account_url="https://api.github.com/user",
        implied={
            "repo": frozenset({"public_repo", "repo:status", "repo_deployment", "repo:invite", "security_events"}),
            "user": frozenset({"read:user", "user:email", "user:follow"}),
            "admin:org": frozenset({"write:org", "read:org"}),
            "write:org": frozenset({"read:org"}),
            "write:packages": frozenset({"read:packages"}),
            "project": frozenset({"read:project"}),
        },
        revoke="github",
        account=("login",),
    ),
    "slack": Preset(
        authorize_url="https://slack.com/oauth/v2/authorize",
        token_url="https://slack.com/api/oauth.v2.access",  # noqa: S106  an address
        revoke_url="https://slack.com/api/auth.revoke",
        account_url="https://slack.com/api/auth.test",
        separator=",",
        revoke="bearer",
        account=("user", "team"),
    ),
    "microsoft": Preset(
        authorize_url=f"{_MICROSOFT}/authorize",
        token_url=f"{_MICROSOFT}/token",
        device_url=f"{_MICROSOFT}/devicecode",
        account_url="https://graph.microsoft.com/oidc/userinfo",
        scopes=("openid", "email", "offline_access"),
        prefix="https://graph.microsoft.com/",
        folds=True,
    ),
    "notion": Preset(
        authorize_url="https://api.notion.com/v1/oauth/authorize",
        token_url="https://api.notion.com/v1/oauth/token",  # noqa: S106  an address
        revoke_url="https://api.notion.com/v1/oauth/revoke",
        parameters={"owner": "user"},
        json=True,
        account=("workspace_name",),
    ),
    "atlassian": Preset(
        authorize_url="https://auth.atlassian.com/authorize",
        token_url="https://auth.atlassian.com/oauth/token",  # noqa: S106  an address
        account_url="https://api.atlassian.com/me",
        scopes=("offline_access", "read:me"),
        parameters={"audience": "api.atlassian.com", "prompt": "consent"},
        json=True,
    ),
}
"""By provider."""
