"""A store's place in the file system. What keeps it from being reached is told as such, and names the folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from agentflow.errors import StoreError

SUPPORTED = sys.platform != "win32"
"""Whether it can be told on this system which hosts live."""


def refuse_platform() -> None:
    """Refuse a system on which nobody could tell which hosts live: a dead one's runs would never go on.

    Raises:
        StoreError: this is Windows.
    """
    if not SUPPORTED:
        raise StoreError(
            "agentflow doesn't run on Windows.",
            code="AF-PLATFORM",
            why="It can't be told there whether a process that executes runs is still alive.",
            hint="Use it in WSL, in a container, or on Linux or macOS.",
        )


def there(path: Path) -> bool:
    """Tell whether a file is there. What can't be looked at isn't missing.

    Raises:
        StoreError: its folder can't be entered, or its name leads nowhere.
    """
    try:
        with reaching(path):
            os.stat(path)
    except StoreError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return False
        raise
    return True


@contextmanager
def reaching(path: Path) -> Generator[None]:
    """Tell what the operating system has against a store's place.

    Raises:
        StoreError: it can't be reached or made there.
    """
    try:
        yield
    except (OSError, ValueError) as error:  # of a name that no file can have: ValueError
        why = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        raise StoreError(
            f"The folder {path.parent} can't be used.",
            code="AF-STORE-OPEN",
            why=f"{path.name}: {why.lower()}",
            hint="name a place that this user may write: --store PATH, or AGENTFLOW_STORE",
        ) from error
