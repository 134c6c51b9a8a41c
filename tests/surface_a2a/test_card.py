"""The card: its signature, how it is cached, what it tells old clients, examples and tags of skills."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from a2a.client.card_resolver import A2ACardResolver
from a2a.types import a2a_pb2 as pb
from a2a.utils.signing import InvalidSignaturesError, create_signature_verifier
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.protobuf.json_format import ParseDict
from jwt import PyJWK, PyJWKSet
from starlette.applications import Starlette

from agentflow import Engine
from agentflow.config.load import load_config, load_text
from agentflow.errors import AgentflowError, DefinitionError
from agentflow.server import create_app

pytestmark = pytest.mark.anyio
URL = "http://127.0.0.1:8745"
CARD = "/.well-known/agent-card.json"
CONFIG = """
name: desk
workflows:
  report:
    description: Writes a report.
    examples: ["Report on Q3 for EMEA", "/report emea"]
    tags: [sales, workflow]
    entry_points:
      - {id: quick, starts_at: a, triggers: [{type: tool, name: quick_report, description: Quickly.}]}
    steps: [{id: a, type: set, value: 1}]
"""
KEYS: dict[str, Callable[[], Any]] = {
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
}


def _pem(algorithm: str = "ES256") -> str:
    key: Any = KEYS[algorithm]()
    told: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return told.decode()


@asynccontextmanager
async def _served(config: str | Path = CONFIG) -> AsyncGenerator[httpx.AsyncClient]:
    loaded = load_config(config) if isinstance(config, Path) else load_text(config)
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(Engine.open(":memory:", config=loaded))
        app: Starlette = create_app(engine, url=URL)
        yield await stack.enter_async_context(
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=URL, headers={"Authorization": "Bearer t"})
        )


@pytest.mark.parametrize("algorithm", KEYS)
@pytest.mark.a2a("CARD-8")
async def test_a_signed_card_is_verified_by_the_official_client_with_the_keys_that_it_names(
    algorithm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARD_KEY", _pem(algorithm).replace("\n", "\\n"))
    async with _served(CONFIG + "card: {signing: {key_env: CARD_KEY}}\n") as http:
        keys = (await http.get("/.well-known/jwks.json")).json()
        assert set(keys["keys"][0]).isdisjoint({"d", "p", "q"})

        def key(kid: str | None, jku: str | None) -> PyJWK:
            assert jku == f"{URL}/.well-known/jwks.json"
            return PyJWKSet.from_dict(keys)[str(kid)]

        verify = create_signature_verifier(key, [algorithm])
        card = await A2ACardResolver(http, URL).get_agent_card(signature_verifier=verify)
        card.name = "another"
        with pytest.raises(InvalidSignaturesError):
            verify(card)


async def test_the_key_may_be_a_file_beside_the_config_with_a_name_and_a_place_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "card.pem").write_text(_pem(), "utf-8")
    signing = "card: {signing: {key_file: card.pem, kid: k1, jku: 'https://keys.example.com/all'}}\n"
    (tmp_path / "agentflow.yaml").write_text(CONFIG + signing, "utf-8")
    async with _served(tmp_path / "agentflow.yaml") as http:
        signature = (await http.get(CARD)).json()["signatures"][0]
        padded = signature["protected"] + "=" * (-len(signature["protected"]) % 4)
        header = json.loads(urlsafe_b64decode(padded))
        told = {"alg": "ES256", "typ": "JOSE", "kid": "k1", "jku": "https://keys.example.com/all"}
        assert header == told


async def test_the_extended_card_is_signed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARD_KEY", _pem())
    monkeypatch.setenv("T", "t")
    more = "card: {signing: {key_env: CARD_KEY}}\nauth: {tokens: [{name: a, value_env: T}]}\n"
    async with _served(CONFIG + more) as http:
        keys = PyJWKSet.from_dict((await http.get("/.well-known/jwks.json")).json())
        answer = await http.get("/a2a/rest/extendedAgentCard", headers={"A2A-Version": "1.0"})
        card = ParseDict(answer.json(), pb.AgentCard())
        create_signature_verifier(lambda kid, _: keys[str(kid)], ["ES256"])(card)


@pytest.mark.parametrize("value", ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
async def test_a_key_that_cannot_sign_is_told_by_the_name_of_its_variable(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARD_KEY", value)
    with pytest.raises(AgentflowError, match="CARD_KEY") as refused:
        async with _served(CONFIG + "card: {signing: {key_env: CARD_KEY}}\n"):
            pass
    assert refused.value.code == "AF-CARD-KEY"


def test_a_key_is_either_in_the_environment_or_in_a_file() -> None:
    with pytest.raises(DefinitionError, match="exactly one of key_env and key_file"):
        load_text(CONFIG + "card: {signing: {kid: k1}}\n")


async def test_a_card_that_has_not_changed_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARD_KEY", _pem())
    tags: list[str] = []
    for text in (CONFIG, CONFIG + "card: {signing: {key_env: CARD_KEY}}\n", CONFIG.replace("Q3", "Q4")):
        async with _served(text) as http:
            first = await http.get(CARD)
            tags.append(first.headers["etag"])
            assert first.headers["cache-control"] == "public, max-age=60"
            again = await http.get(CARD, headers={"If-None-Match": first.headers["etag"]})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
            assert (await http.get(CARD, headers={"If-None-Match": 'W/"another"'})).status_code == 200
    assert tags[0].startswith('W/"')
    assert tags[0] == tags[1] != tags[2]  # over the card without its signatures


async def test_the_card_tells_old_clients_in_their_fields_where_it_is_reached() -> None:
    async with _served() as http:
        card = (await http.get(CARD)).json()
    assert (card["url"], card["preferredTransport"], card["protocolVersion"]) == (f"{URL}/a2a", "JSONRPC", "0.3")
    assert {"url": f"{URL}/a2a/rest", "transport": "HTTP+JSON"} in card["additionalInterfaces"]
    assert [each["protocolVersion"] for each in card["supportedInterfaces"]] == ["1.0", "1.0", "0.3", "0.3"]


async def test_examples_and_tags_of_a_workflow_stand_on_its_skills() -> None:
    async with _served() as http:
        skills = {skill["id"]: skill for skill in (await http.get(CARD)).json()["skills"]}
    assert skills["report"]["examples"] == ["Report on Q3 for EMEA", "/report emea"]
    assert skills["report"]["tags"] == ["workflow", "sales"]
    assert skills["quick_report"]["tags"] == ["workflow", "report", "sales"]
