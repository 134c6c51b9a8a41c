"""Seals small secrets: what is kept at rest, and what is handed to others to be brought back.

Sealed text can't be read without the key, nor changed, nor used for another purpose or owner than it was sealed for.
AES-256-GCM under a key that is derived anew for each text (HKDF-SHA256 over a random salt): however many are sealed, no
nonce is used twice.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

from agentflow.errors import AgentflowError, InputError

if TYPE_CHECKING:  # costs its import
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VARIABLE = "AGENTFLOW_KEY"
"""Environment variable with the keys, separated by commas: the first one seals, all of them open."""
_LENGTH = 32
_SALT, _NAME, _NONCE = 16, 4, 12
_PREFIX = "s1."
"""Of the form of sealed texts; another form would have another number."""
_HEX = re.compile(r"[0-9a-fA-F]{64}")


class Sealer:
    """Seals and opens, by keys that it gets when the first one is needed."""

    def __init__(self, keys: Callable[[], Sequence[bytes]]) -> None:
        """Seal nothing yet.

        Args:
            keys: returns the keys, of 32 bytes each: the first one seals, all of them open.
        """
        self._find = keys
        self._keys: Sequence[bytes] = ()

    def seal(self, data: bytes, *, purpose: str, owner: str) -> str:
        """Return data as sealed text: URL-safe, and another one each time.

        Args:
            data: what nobody may read.
            purpose: what it is for; it opens for nothing else.
            owner: whose it is; it opens for nobody else.

        Raises:
            AgentflowError: there is no key to be had.
        """
        key, salt = self._known()[0], os.urandom(_SALT)
        nonce, cipher = _derived(key, salt)
        sealed = cipher.encrypt(nonce, data, _bound(purpose, owner))
        return _PREFIX + base64.urlsafe_b64encode(_name(key) + salt + sealed).rstrip(b"=").decode()

    def open(self, text: str, *, purpose: str, owner: str) -> bytes:
        """Return what was sealed for a purpose and an owner.

        Raises:
            InputError: the text was changed, was sealed for something or somebody else, or with a key that isn't here.
            AgentflowError: there is no key to be had.
        """
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415  costs its import

        raw = _bytes(text.removeprefix(_PREFIX)) if text.startswith(_PREFIX) else None
        if raw is None or len(raw) < _NAME + _SALT:
            raise _unopened("it is no sealed text", None)
        name, salt, sealed = raw[:_NAME], raw[_NAME : _NAME + _SALT], raw[_NAME + _SALT :]
        keys = [key for key in self._known() if _name(key) == name]
        if not keys:
            raise _unopened("it was sealed with another key", f"add that key to {VARIABLE}, behind the one that seals")
        for key in keys:
            nonce, cipher = _derived(key, salt)
            try:
                return cipher.decrypt(nonce, sealed, _bound(purpose, owner))
            except InvalidTag:
                continue
        raise _unopened("it was changed, or sealed for something else", None)

    def is_newest(self, text: str) -> bool:
        """Tell whether a text was sealed with the key that seals now: others may be taken away one day."""
        raw = _bytes(text.removeprefix(_PREFIX))
        return raw is not None and raw[:_NAME] == _name(self._known()[0])

    def _known(self) -> Sequence[bytes]:
        if not self._keys:
            self._keys = self._find()
        return self._keys


def new_key() -> str:
    """Return a new key, as it is written."""
    return base64.urlsafe_b64encode(os.urandom(_LENGTH)).rstrip(b"=").decode()


def read_keys(texts: Sequence[str]) -> list[bytes] | None:
    """Return keys from how they are written: 32 bytes in base64 or in hexadecimal; None: one isn't a key."""
    keys = [bytes.fromhex(text) if _HEX.fullmatch(text) else _bytes(text) for text in texts]
    known = [key for key in keys if key is not None and len(key) == _LENGTH]
    return known if len(known) == len(keys) else None


def keys_of(value: str) -> list[bytes]:
    """Return the keys that `AGENTFLOW_KEY` says.

    Raises:
        AgentflowError: it says none, or something else.
    """
    keys = read_keys([text for each in value.split(",") if (text := each.strip())])
    if not keys:
        raise AgentflowError(
            f"{VARIABLE} holds no key",
            code="AF-SEAL-KEY",
            why="a key is 32 random bytes in base64 or in hexadecimal; several are separated by commas",
            hint=f"export {VARIABLE}=$(openssl rand -base64 32)",
        )
    return keys


def _name(key: bytes) -> bytes:
    """Return what tells keys apart, and nothing about them."""
    return sha256(b"agentflow key name\0" + key).digest()[:_NAME]


def _derived(key: bytes, salt: bytes) -> tuple[bytes, AESGCM]:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

    made = HKDF(SHA256(), _LENGTH + _NONCE, salt, b"agentflow sealing 1").derive(key)
    return made[_LENGTH:], AESGCM(made[:_LENGTH])


def _bound(purpose: str, owner: str) -> bytes:
    """Return what a sealed text is bound to; no two pairs give the same."""
    parts = [part.encode("utf-8", "surrogatepass") for part in (purpose, owner)]
    return b"".join(len(part).to_bytes(4) + part for part in parts)


def _bytes(text: str) -> bytes | None:
    plain = text.rstrip("=").replace("+", "-").replace("/", "_")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None


def _unopened(why: str, hint: str | None) -> InputError:
    return InputError("a sealed text can't be opened", code="AF-SEAL-BROKEN", why=why, hint=hint)
