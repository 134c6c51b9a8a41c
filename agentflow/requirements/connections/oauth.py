"""Speaks to authorization servers. The only module that knows authlib, which is untyped and costs its import."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from math import isnan
from typing import Any, NamedTuple, TypeAlias, cast
from urllib.parse import parse_qsl, quote_plus

import anyio

from agentflow.data import encode, is_object
from agentflow.errors import AgentflowError, StepError, denial_in
from agentflow.extras import installing
from agentflow.requirements.connections.settings import Settings, unconfigured

Transport: TypeAlias = Callable[[Settings], Any]
"""Makes a transport of httpx2 that keeps to the network rules, for a connection's endpoints."""
TIMEOUT = 15.0
"""Seconds that a server may take."""
_LARGEST = 1024 * 1024
"""Bytes of an answer."""
_LONGEST = 10 * 365 * 24 * 3600.0
"""Seconds that a token lives at most, whatever a server says: longer ones are no times any more."""


class Refused(StepError):
    """A server has refused a request, with an error of OAuth."""

    default_code = "AF-AUTH-REFUSED"

    def __init__(self, name: str, error: str, description: str | None) -> None:
        """Make an error.

        Args:
            name: the connection.
            error: such as `access_denied`.
            description: what the server says besides.
        """
        what = f'the authorization server of "{name}" refused: {error}'
        super().__init__(what, kind="http", retryable=False, why=description)
        self.error = error


class Unreachable(StepError):
    """A server can't be reached, or doesn't answer as one of OAuth does; later it may."""

    default_code = "AF-AUTH-SERVER"

    def __init__(self, what: str, *, why: str | None = None, denial: StepError | None = None) -> None:
        """Make an error; `why` is what the server, or the network, says; `denial`: our own rules don't let us ask."""
        if denial is None:
            super().__init__(what, kind="network", why=why)
            return
        why = ": ".join(filter(None, (denial.what, denial.why)))
        super().__init__(what, code=denial.code, kind="network", retryable=False, why=why, hint=denial.hint)


class Answer(NamedTuple):
    """What a server gave."""

    access_token: str
    refresh_token: str | None
    lifetime: float | None
    """Seconds."""
    scope: str
    """As the server says it; it says nothing where it's all that was asked for."""
    account: str | None
    """Whose they are, where the answer says so."""


class Device(NamedTuple):
    """What a device shows to the person before it."""

    device_code: str
    user_code: str
    url: str
    complete_url: str | None
    """With the code in it."""
    lifetime: float
    interval: float


class OAuthServer:
    """The server of one connection, as far as we are its client."""

    def __init__(self, settings: Settings, transport: Transport) -> None:
        """Ask nothing yet."""
        self._settings = settings
        self._transport = transport
        self._found: Mapping[str, Any] | None = None

    async def endpoint(self, field: str) -> str | None:
        """Return an endpoint: the config's, the preset's, or one that discovery finds.

        Raises:
            NotConnected: it can't be, as its address isn't https.
            Unreachable: discovery fails.
        """
        url = self._settings.url(field)
        if url is None and self._settings.entry.issuer is not None:
            url = (await self._metadata()).get(_METADATA[field])
        if url is None:
            return None
        url = str(url).replace("{client_id}", self._settings.entry.client_id or "")
        if not url.startswith(_WEB if self._settings.entry.private else "https://"):
            raise unconfigured(self._settings.name, f"{field} isn't https, nor http, which only `private: true` allows")
        return url

    async def need(self, field: str) -> str:
        """Return an endpoint that there is no doing without; raises NotConnected as well."""
        url = await self.endpoint(field)
        if url is None:
            raise unconfigured(self._settings.name, f"it has no {field}, and no issuer that tells it")
        return url

    async def checks_issuer(self, said: str | None) -> bool:
        """Tell whether an answer may come from this server, by who it says has sent it (RFC 9207)."""
        issuer = self._settings.entry.issuer
        if said is not None:
            return issuer is None or said.rstrip("/") == issuer.rstrip("/")
        if issuer is None:
            return True
        return not (await self._metadata()).get("authorization_response_iss_parameter_supported")

    async def authorize_url(self, state: str, verifier: str, redirect: str, scope: str) -> str:
        """Return the address where somebody consents."""
        url = await self.need("authorize_url")
        preset, entry = self._settings.preset, self._settings.entry
        async with self._client() as client:
            made, _ = client.create_authorization_url(
                url, state=state, code_verifier=verifier, redirect_uri=redirect, scope=scope or None,
                **{**preset.parameters, **entry.parameters},
            )  # fmt: skip
        return str(made)

    async def exchange(self, code: str, verifier: str, redirect: str) -> Answer:
        """Return what a code is worth."""
        return await self._fetch(
            grant_type="authorization_code", code=code, code_verifier=verifier, redirect_uri=redirect
        )

    async def refresh(self, refresh_token: str) -> Answer:
        """Return new tokens for a refresh token; the old one may be worth nothing from now on."""
        answer = await self._fetch(grant_type="refresh_token", refresh_token=refresh_token)
        return answer if answer.refresh_token else answer._replace(refresh_token=refresh_token)

    async def own(self, scope: str) -> Answer:
        """Return a token for the client itself."""
        return await self._fetch(grant_type="client_credentials", **({"scope": scope} if scope else {}))

    async def device(self, scope: str) -> Device:
        """Return a code for somebody who has a browser elsewhere."""
        url = await self.need("device_url")
        form = {"client_id": self._settings.need("client_id"), **({"scope": scope} if scope else {})}
        async with self._client() as client:
            auth = client.client_auth(client.token_endpoint_auth_method)
            response = await client.request("POST", url, data=form, withhold_token=True, auth=auth, headers=_ACCEPT)
        data = self._object(response)
        link = data.get("verification_uri") or data.get("verification_url")
        if response.status_code >= 400 or not str(link).startswith(_WEB) or not data.get("device_code"):
            raise self._refused(data, response)
        return Device(
            str(data["device_code"]), told(data.get("user_code", "")), told(link),
            _text(data, "verification_uri_complete"),
            _number(data.get("expires_in")) or 600.0, _number(data.get("interval")) or 5.0,
        )  # fmt: skip

    async def poll(self, device_code: str) -> Answer:
        """Return the tokens for a device's code; raises Refused (`authorization_pending`) as long as there are none."""
        return await self._fetch(grant_type="urn:ietf:params:oauth:grant-type:device_code", device_code=device_code)

    async def revoke(self, tokens: Mapping[str, str]) -> bool:
        """Revoke tokens (`access_token`, `refresh_token`); False: the server has no way to."""
        url = await self.endpoint("revoke_url")
        if url is None:
            return False
        async with self._client() as client:
            await _REVOKING[self._settings.preset.revoke](client, url, tokens)
        return True

    async def account(self, access_token: str) -> str | None:
        """Return who has signed in, where somebody tells."""
        data = await self.about(access_token)
        return None if data is None else _named(data, self._settings.preset.account)

    async def about(self, access_token: str) -> Mapping[str, Any] | None:
        """Return what the server says of a token's account; None: nobody tells.

        Raises:
            Refused: it refuses the token.
            Unreachable: it can't be asked.
        """
        url = await self.endpoint("account_url")
        if url is None:
            return None
        async with self._client() as client:
            headers = {"Authorization": f"Bearer {access_token}", **_ACCEPT}
            response = await client.request("GET", url, withhold_token=True, auth=None, headers=headers)
        if response.status_code in (401, 403):
            raise Refused(self._settings.name, f"HTTP {response.status_code}", None)
        return self._object(response)

    async def _fetch(self, **form: str) -> Answer:
        url = await self.need("token_url")
        async with self._client() as client:
            data: Mapping[str, Any] = await client.fetch_token(url, **form)
        if "access_token" not in data and is_object(
            inner := data.get("authed_user")
        ):  # Slack: a person's own token stands inside
            data = {**data, **inner}
        token = data.get("access_token")
        if not isinstance(token, str) or not (token.isascii() and token.isprintable()) or " " in token or not token:
            raise Unreachable(f'the token endpoint of "{self._settings.name}" gave no access token')
        return Answer(
            token, _text(data, "refresh_token"), _number(data.get("expires_in")),
            told(data.get("scope") or ""), _named(data, ("workspace_name",)),
        )  # fmt: skip

    async def _metadata(self) -> Mapping[str, Any]:
        if self._found is None:
            self._found = await self._discover()
        return self._found

    async def _discover(self) -> Mapping[str, Any]:
        issuer = (self._settings.entry.issuer or "").rstrip("/")
        if not issuer.startswith("https://") and not self._settings.entry.private:
            raise unconfigured(self._settings.name, "issuer isn't https, which only `private: true` allows")
        scheme, _, rest = issuer.partition("://")
        host, _, path = rest.partition("/")
        places = (
            f"{issuer}/.well-known/openid-configuration",
            f"{scheme}://{host}/.well-known/oauth-authorization-server{'/' + path if path else ''}",
        )
        async with self._client() as client:
            for place in places:
                response = await client.request("GET", place, withhold_token=True, auth=None, headers=_ACCEPT)
                if response.status_code == 200:
                    found = self._object(response)
                    if str(found.get("issuer", "")).rstrip("/") == issuer:
                        return found
                    raise Unreachable(
                        f'the server of "{self._settings.name}" says it is another one than {issuer}',
                        why=f"it calls itself {told(found.get('issuer'))[:200]}",
                    )
        raise Unreachable(f'{issuer}, the issuer of "{self._settings.name}", tells nothing of itself')

    @asynccontextmanager
    async def _client(self) -> AsyncGenerator[Any]:
        """Give a client for a few requests; what goes wrong is told in our words."""
        entry, name = self._settings.entry, self._settings.name
        try:
            import httpx2  # noqa: PLC0415  costs its import, as authlib does
            from authlib.integrations.httpx_client import AsyncOAuth2Client, OAuthError  # noqa: PLC0415
        except ImportError as error:
            what, why = f'the connection "{name}" needs a package that isn\'t installed', str(error)[:200]
            raise AgentflowError(what, code="AF-INSTALL", why=why, hint=installing("connections")) from None
        transport = _bounded(self._transport(self._settings))
        methods = {"basic": "client_secret_basic", "post": "client_secret_post", "none": "none", None: None}
        client: Any = AsyncOAuth2Client(
            self._settings.need("client_id"), entry.client_secret, methods[entry.client_auth],
            code_challenge_method="S256", transport=transport, trust_env=False,
            follow_redirects=False, timeout=httpx2.Timeout(TIMEOUT), headers=_HEADERS,
        )  # fmt: skip
        client.register_client_auth_method(("client_secret_basic", _as_json if self._settings.preset.json else _basic))
        try:
            async with client:
                yield client
        except OAuthError as error:
            raise Refused(name, told(error.error)[:200], _cut(error.description)) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, *_UNREADABLE) as error:
            said = str(error) or type(error).__name__
            what = f'the authorization server of "{name}" can\'t be asked'
            raise Unreachable(what, why=_cut(said), denial=denial_in(error)) from None

    def _object(self, response: Any) -> Mapping[str, Any]:
        try:
            data = response.json()
        except _UNREADABLE:
            data = None
        if is_object(data):
            return data
        what = f'the authorization server of "{self._settings.name}" gave no JSON object'
        raise Unreachable(what, why=f"HTTP {response.status_code}")

    def _refused(self, data: Mapping[str, Any], response: Any) -> Refused:
        error = told(data.get("error") or f"HTTP {response.status_code}")
        return Refused(self._settings.name, error[:200], _cut(data.get("error_description")))


_ACCEPT = {"Accept": "application/json"}
_HEADERS = {"User-Agent": "agentflow", "Accept-Encoding": "identity"}
_UNREADABLE = (ValueError, TypeError, ArithmeticError, RecursionError)
"""What reading an answer raises that is none: no JSON, too deep, or with fields of another type (`expires_in: [1]`)."""
_WEB = ("https://", "http://")
"""Addresses for people: with others browsers do other things (`file:`, `javascript:`)."""
_METADATA = {
    "authorize_url": "authorization_endpoint",
    "token_url": "token_endpoint",
    "device_url": "device_authorization_endpoint",
    "revoke_url": "revocation_endpoint",
    "account_url": "userinfo_endpoint",
}


def _basic(client: Any, method: str, uri: str, headers: Mapping[str, str], body: Any) -> tuple[Any, Any, Any]:
    """Authenticate a client in a header. RFC 6749 (2.3.1) has both parts encoded as in a form; authlib doesn't."""
    pair = ":".join(quote_plus(part) for part in (client.client_id, client.client_secret or ""))
    return uri, {**headers, "Authorization": f"Basic {b64encode(pair.encode()).decode()}"}, body


def _as_json(client: Any, method: str, uri: str, headers: Mapping[str, str], body: Any) -> tuple[Any, Any, Any]:
    """Authenticate a client in a header, and write the form as JSON."""
    pair = b64encode(f"{client.client_id}:{client.client_secret}".encode()).decode()
    kept = {name: value for name, value in headers.items() if name.lower() not in ("content-type", "content-length")}
    text = body.decode() if isinstance(body, bytes) else body
    form = encode(dict(parse_qsl(text)))
    return uri, {**kept, "Authorization": f"Basic {pair}", "Content-Type": "application/json"}, form


async def _revoke_standard(client: Any, url: str, tokens: Mapping[str, str]) -> None:
    for kind in ("refresh_token", "access_token"):
        if token := tokens.get(kind):
            (await client.revoke_token(url, token=token, token_type_hint=kind)).raise_for_status()


async def _revoke_github(client: Any, url: str, tokens: Mapping[str, str]) -> None:
    auth = (client.client_id, client.client_secret or "")
    body = {"access_token": tokens.get("access_token", "")}
    response = await client.request("DELETE", url, json=body, withhold_token=True, auth=auth)
    if response.status_code != 404:  # it knows no such token any more
        response.raise_for_status()


async def _revoke_bearer(client: Any, url: str, tokens: Mapping[str, str]) -> None:
    headers = {"Authorization": f"Bearer {tokens.get('access_token', '')}"}
    (await client.request("POST", url, withhold_token=True, auth=None, headers=headers)).raise_for_status()


_REVOKING: Mapping[str, Any] = {"standard": _revoke_standard, "github": _revoke_github, "bearer": _revoke_bearer}


def _bounded(transport: Any) -> Any:
    """Return a transport that reads answers of a size that those of OAuth have."""
    import httpx2  # noqa: PLC0415  costs its import

    class Bounded(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            try:
                with anyio.fail_after(TIMEOUT):  # all of it: what drips never stays within the limit of a read
                    return await self._read(request)
            except TimeoutError:
                raise httpx2.ReadTimeout(f"no whole answer within {TIMEOUT:.0f} s") from None

        async def _read(self, request: httpx2.Request) -> httpx2.Response:
            response = cast("httpx2.Response", await transport.handle_async_request(request))
            read = bytearray()
            try:
                if response.headers.get("content-encoding", "identity") != "identity":  # may unpack to any size
                    raise httpx2.ReadError("the answer is compressed, which wasn't asked for")
                async for chunk in cast("Any", response.stream):
                    read += chunk
                    if len(read) > _LARGEST:
                        raise httpx2.ReadError("the answer is too large")
            finally:
                await response.aclose()
            return httpx2.Response(response.status_code, headers=response.headers, content=bytes(read), request=request)

        async def aclose(self) -> None:
            await transport.aclose()

    return Bounded()


def _named(data: Mapping[str, Any], fields: tuple[str, ...]) -> str | None:
    return next((told(data[field])[:200] for field in fields if data.get(field)), None)


def _text(data: Mapping[str, Any], field: str) -> str | None:
    return value if isinstance(value := data.get(field), str) and value else None


def _number(value: object) -> float | None:
    try:
        number = float(cast("Any", value)) if value is not None else None
    except (TypeError, ValueError, OverflowError):
        return None
    return None if number is None or isnan(number) else min(max(number, 0.0), _LONGEST)


def _cut(text: object) -> str | None:
    return told(text)[:300] if text else None


def told(text: object) -> str:
    """Return a text of a server as one that can be kept."""
    return str(text).encode("utf-8", "replace").decode()
