"""The key that seals secrets, in the keyring of the operating system. The only module that knows its package."""

from __future__ import annotations

from collections.abc import Sequence

from agentflow.errors import AgentflowError
from agentflow.extras import installing
from agentflow.sealing import VARIABLE, keys_of, new_key

WORD = "keyring"
"""What the environment variable says where the key is to be kept there."""
SERVICE, NAME = "agentflow", "sealing key"


def keys_in_keyring() -> Sequence[bytes]:
    """Return the keys of this user's keyring, written as the environment variable has them; one is made if need be.

    Raises:
        AgentflowError: the package isn't installed, there is no keyring, or something else is in it.
    """
    try:
        import keyring  # noqa: PLC0415  an extra, and it costs its import
        from keyring.errors import KeyringError  # noqa: PLC0415
    except ImportError:
        raise AgentflowError(
            f'{VARIABLE}={WORD} needs the package "keyring", which isn\'t installed', code="AF-INSTALL",
            hint=installing("keyring"),
        ) from None  # fmt: skip
    try:
        said = keyring.get_password(SERVICE, NAME)
        if said is None:
            keyring.set_password(SERVICE, NAME, new_key())
            said = keyring.get_password(SERVICE, NAME)
    except KeyringError as error:
        raise AgentflowError(
            "this system's keyring can't be used", code="AF-SEAL-KEY", why=str(error)[:200] or type(error).__name__,
            hint=f"export {VARIABLE}=$(openssl rand -base64 32), and keep it",
        ) from None  # fmt: skip
    return keys_of(said or "")
