"""Versions of the protocol. Pure."""

from __future__ import annotations

VERSIONS = ("1.0", "0.3")
"""Those that are spoken, as Major.Minor."""
OLD = "0.3"
"""The one of requests that name none."""


def spoken(asked: str) -> str | None:
    """Return a version as Major.Minor, whatever its patch; None: nobody speaks it here."""
    version = ".".join(asked.strip().split(".")[:2])
    return version if version in VERSIONS else None


def unspoken(asked: str) -> str:
    """Return what is said of a version that nobody speaks here."""
    return f'version "{asked}" isn\'t spoken here; {" and ".join(VERSIONS)} are'
