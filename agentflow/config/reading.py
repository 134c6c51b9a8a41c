"""Files as users name them: where they are, whether they can be read, and what they hold as text."""

from __future__ import annotations

import errno
import stat
from collections.abc import Iterator
from pathlib import Path

from agentflow.definition.places import MAX_BYTES
from agentflow.errors import DefinitionError, Place, Problem

_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class Unreadable(Exception):
    """A file can't be read."""

    def __init__(self, what: str, hint: str | None = None, *, missing: bool = False) -> None:
        """Make a signal: a sentence, and an edit that helps; `missing`: there is no such file."""
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.missing = missing


def find_file(path: Path, name: str) -> Path:
    """Return where a file really is.

    Args:
        path: as it was given.
        name: as people should see it.

    Raises:
        Unreadable: it isn't there, is no file, or can't be reached.
    """
    try:
        found = path.resolve(strict=True)
        mode = found.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        what = f'"{name}" is a link that leads nowhere' if _is_link(path) else f'there is no file "{name}"'
        raise Unreadable(what, missing=True) from None
    except (OSError, RuntimeError, ValueError) as error:
        raise Unreadable(f'"{name}" {_reason(error)}') from None
    if stat.S_ISDIR(mode):
        raise Unreadable(f'"{name}" is a folder', f'"{name.rstrip("/")}/*.yaml" means the files in it')
    if not stat.S_ISREG(mode):  # reading a pipe or a device could last for ever
        raise Unreadable(f'"{name}" is no regular file')
    return found


def find_files(folder: Path, pattern: str) -> Iterator[Path]:
    """Yield the regular files that a pattern matches, in order; what can't be reached is left out.

    Args:
        folder: what a relative pattern starts from.
        pattern: with `*`, `?` or `[`.
    """
    try:
        anchor = Path(pattern).anchor
        matches = sorted(Path(anchor).glob(pattern.lstrip("/\\")) if anchor else folder.glob(pattern))
    except (ValueError, NotImplementedError, OSError, RuntimeError):
        return
    for match in matches:
        try:
            yield find_file(match, match.name)
        except Unreadable:
            continue


def read_file(path: Path, name: str, at: Place | None = None) -> str:
    """Return a file's text.

    Args:
        path: where `find_file` found it.
        name: as people should see it.
        at: where it is named, if that is in another file.

    Raises:
        DefinitionError: it is too large, isn't UTF-8, or can't be read.
    """
    place = at or Place(name, 1, 1)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _refused(
                "AF-DEFINITION-SIZE", f'"{name}" is larger than 16 MiB', place, "split it and use `include:`"
            )
        raw = path.read_bytes()
    except OSError as error:
        raise _refused("AF-CONFIG-UNREADABLE", f'"{name}" {_reason(error)}', place) from None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        what = f'"{name}" isn\'t UTF-8: byte 0x{raw[error.start]:02x} in line {before.count(10) + 1}'
        if raw.startswith(_UTF16):
            what = f'"{name}" is UTF-16, not UTF-8'
        raise _refused("AF-CONFIG-UNREADABLE", what, place, "save it as UTF-8") from None


def _refused(code: str, what: str, place: Place, hint: str | None = None) -> DefinitionError:
    return DefinitionError([Problem(code, what, place=place, hint=hint)])


def _is_link(path: Path) -> bool:
    try:
        return path.is_symlink()
    except (OSError, ValueError):
        return False


def _reason(error: Exception) -> str:
    if isinstance(error, RuntimeError) or (isinstance(error, OSError) and error.errno == errno.ELOOP):
        return "is a link that leads to itself"
    if isinstance(error, ValueError):
        return "is no name that a file can have"
    words = error.strerror if isinstance(error, OSError) and error.strerror else "unknown reason"
    return f"can't be read: {words.lower()}"
