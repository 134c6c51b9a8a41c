"""The file beside a store with the key that seals its secrets: made once, whoever comes first."""

from __future__ import annotations

import os
from pathlib import Path

from agentflow.errors import StoreError
from agentflow.ids import new_id
from agentflow.sealing import new_key, read_keys

_OTHERS = 0o007


def keys_in(path: Path) -> list[bytes]:
    """Return the keys of a key file, one a line; the file is made, with a new key, where it isn't there.

    Raises:
        StoreError: it can't be read or made, others may read it, or there is something else in it.
    """
    try:
        if not path.exists():
            _make(path)
        others = path.stat().st_mode & _OTHERS
        text = path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror or str(error) if isinstance(error, OSError) else "there is something else in it"
        raise _unusable(path, why.lower(), None) from error
    if others:
        raise _unusable(path, "others may read or write it", f"chmod 600 {path}")
    lines = (line.strip() for line in text.splitlines())
    keys = read_keys([line for line in lines if line and not line.startswith("#")])
    if not keys:
        raise _unusable(path, "there is something else in it", "put the file back from its backup")
    return keys


def _make(path: Path) -> None:
    """Make a key file that is there as a whole, or not at all; one that others make meanwhile stays."""
    written = path.with_name(f"{path.name}.{new_id()}")
    file = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(file, "w", encoding="ascii") as stream:
            os.fchmod(file, 0o600)  # whatever the umask takes away
            stream.write(f"{new_key()}\n")
            stream.flush()
            os.fsync(file)
        try:
            os.link(written, path)
        except FileExistsError:
            return
    finally:
        written.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _unusable(path: Path, why: str, hint: str | None) -> StoreError:
    hint = hint or "give this user write access to the folder, or set AGENTFLOW_KEY"
    return StoreError(f"the key file {path} can't be used", code="AF-SEAL-FILE", why=why, hint=hint)
