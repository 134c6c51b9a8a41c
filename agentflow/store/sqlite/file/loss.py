"""Whether a log has commits that can't be read any more. SQLite has no word for that: it drops them in silence."""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path

import apsw

from agentflow.errors import StoreError
from agentflow.store.sqlite.file.log import checkpointed, log_of, size_of
from agentflow.store.sqlite.sql import one

_HEADER = 32
_FRAME = 24
_MAGIC = 0x377F0682
_LOOKS = 20
_PAUSE = 0.005
_MANY = 2
"""Whole commits behind the readable end of a log: one may be what a power cut broke off, more were there before."""


def damaged(why: str, path: Path) -> StoreError:
    """Return the error of a log with commits that can't be read."""
    return StoreError(
        f"The write-ahead log of {path} is damaged: commits of its last minutes can't be read. Nothing was changed.",
        code="AF-STORE-DAMAGED",
        why=why,
        hint="Restore a backup: agentflow store restore FILE\n"
        "or go on with what can be read: agentflow store vacuum --full",
    )


def log_fault(path: Path) -> str | None:
    """Tell what is wrong with the log of a database that nobody uses; SQLite would drop what it can't read of it.

    Where others use the database the first of them has looked, and only that one could: they may be writing there now.
    """
    if _removed(path):
        return f"It isn't there any more, though nobody has closed the database: {log_of(path).name} was removed."
    if size_of(path) <= _HEADER:
        return None
    try:
        db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)  # it stays as it is
            db.set_busy_timeout(0)
            one(db, "PRAGMA locking_mode=EXCLUSIVE")
            one(db, "SELECT count(*) FROM sqlite_master")
            return _head_fault(path) or _frames_fault(db, path)
        finally:
            db.close()
    except apsw.Error:  # in use; or whoever opens it will tell
        return None


def _removed(path: Path) -> bool:
    """Tell whether a log was removed by hand: its index stands there alone. Who closes a database removes both."""
    index = path.with_name(path.name + "-shm")
    for _ in range(_LOOKS):  # somebody may just be closing it
        if log_of(path).exists() or not index.exists() or not path.exists():
            return False
        time.sleep(_PAUSE)
    return True


def _head_fault(path: Path) -> str | None:
    with log_of(path).open("rb") as file:
        head = file.read(_HEADER)
    if len(head) < _HEADER or not head.strip(b"\0"):  # begun, but nothing was committed to it
        return None
    magic, _, size = struct.unpack(">3I", head[:12])
    if magic & ~1 != _MAGIC or size < 512 or _sum(head[:24], magic) != struct.unpack(">2I", head[24:]):
        return "Its head isn't that of a log."
    return None


def _frames_fault(db: apsw.Connection, path: Path) -> str | None:
    _, end, _ = checkpointed(db, "NOOP")
    lost = _commits_behind(path, end)
    return None if lost < _MANY else f"It can be read up to page {end}, and {lost} commits stand behind that."


def _commits_behind(path: Path, end: int) -> int:
    with log_of(path).open("rb") as file:
        head = file.read(_HEADER)
        if len(head) < _HEADER:
            return 0
        step = _FRAME + struct.unpack(">I", head[8:12])[0]
        salts, found = head[16:24], 0
        file.seek(_HEADER + end * step)
        while len(frame := file.read(_FRAME)) == _FRAME:
            found += frame[8:16] == salts and frame[4:8] != b"\0\0\0\0"
            file.seek(step - _FRAME, os.SEEK_CUR)
        return found


def _sum(data: bytes, magic: int) -> tuple[int, int]:
    first = second = 0
    words = struct.unpack(f"{'>' if magic & 1 else '<'}{len(data) // 4}I", data)
    for one_word, other in zip(words[::2], words[1::2], strict=True):
        first = (first + one_word + second) & 0xFFFFFFFF
        second = (second + other + first) & 0xFFFFFFFF
    return first, second
