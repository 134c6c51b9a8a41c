"""Signs cards with the config's key, and tells the public one."""

from __future__ import annotations

import hashlib
import json
import os
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from a2a.types import a2a_pb2 as pb
from a2a.utils.signing import ProtectedHeader, create_agent_card_signer
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from google.protobuf.json_format import MessageToDict
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from agentflow.config import Config
from agentflow.definition.config_file import SigningSection
from agentflow.errors import AgentflowError
from agentflow.server.surface import Agent
from agentflow_a2a.sdk.handler import made

KEYS = "/.well-known/jwks.json"
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_REQUIRED = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}
"""Members of a key that its thumbprint is made of (RFC 7638)."""


class Signer:
    """Signs an agent's cards."""

    def __init__(self, pem: bytes, jku: str, kid: str | None = None) -> None:
        """Sign with a private key.

        Args:
            pem: the key.
            jku: where the public one is found.
            kid: what it is called; None: by its thumbprint.

        Raises:
            ValueError: it is none that can sign.
        """
        algorithm, public = _read(pem)
        self._key = {**public, "kid": kid or _thumbprint(public), "alg": algorithm, "use": "sig"}
        header: ProtectedHeader = {"alg": algorithm, "typ": "JOSE", "kid": self._key["kid"], "jku": jku}
        self._sign = create_agent_card_signer(pem, header)

    def signed(self, card: Mapping[str, Any]) -> dict[str, Any]:
        """Return a card with its signature."""
        return MessageToDict(self._sign(made(card, pb.AgentCard())))

    def route(self) -> Route:
        """Return the route of the public key."""
        keys = {"keys": [self._key]}

        async def told(_: Request) -> JSONResponse:
            headers = {"Cache-Control": "public, max-age=3600"}
            return JSONResponse(keys, headers=headers, media_type="application/jwk-set+json")

        return Route(KEYS, told, methods=["GET"])


def signer_of(agent: Agent) -> Signer | None:
    """Return what signs an agent's cards, if its config says so.

    Raises:
        AgentflowError: the key can't be used.
    """
    section = agent.engine.config.card.signing
    if section is None:
        return None
    try:
        return Signer(_pem(agent.engine.config, section), section.jku or f"{agent.url}{KEYS}", section.kid)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _unusable(section, "it is no private key in PEM, of a kind that can sign, without a password") from error


def _pem(config: Config, section: SigningSection) -> bytes:
    if section.key_file is not None:
        try:
            return (config.folder / section.key_file).read_bytes()
        except OSError as error:
            raise _unusable(section, (error.strerror or "error").lower()) from None
    value = os.environ.get(section.key_env or "") or config.env_values.get(section.key_env or "")
    if not value:
        raise _unusable(section, "the environment variable isn't set")
    return value.replace("\\n", "\n").encode()  # many places that keep variables allow but one line


def _unusable(section: SigningSection, why: str) -> AgentflowError:
    where = section.key_file or section.key_env
    hint = f"openssl ecparam -name prime256v1 -genkey -noout -out {section.key_file or 'card.pem'}"
    return AgentflowError(f"can't sign the card with the key in {where}", code="AF-CARD-KEY", why=why, hint=hint)


def _read(pem: bytes) -> tuple[str, dict[str, Any]]:
    """Return the algorithm of a private key, and its public key as JSON."""
    key = load_pem_private_key(pem, None)
    if isinstance(key, EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name], ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    if isinstance(key, Ed25519PrivateKey):
        return "EdDSA", OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    if isinstance(key, RSAPrivateKey):
        return "RS256", RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    raise ValueError("a key of this kind can't sign")


def _thumbprint(public: Mapping[str, Any]) -> str:
    told = json.dumps({name: public[name] for name in _REQUIRED[public["kty"]]}, separators=(",", ":"), sort_keys=True)
    return urlsafe_b64encode(hashlib.sha256(told.encode()).digest()).decode().rstrip("=")
