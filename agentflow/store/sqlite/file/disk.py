"""A look at the disk's syncs: what a commit waits for, made visible, for tests of slow disks."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

import apsw


class _File(apsw.VFSFile):
    def __init__(self, base: str, before: Callable[[], None], name: apsw.URIFilename | str | None, flags: list[int]):
        super().__init__(base, name, flags)
        self._before = before

    def xSync(self, flags: int) -> None:
        self._before()
        super().xSync(flags)


class _Disk(apsw.VFS):
    def __init__(self, base: str, before: Callable[[], None]) -> None:
        super().__init__(f"{base}-watched", base, makedefault=True)
        self._base = base
        self._before = before

    def xOpen(self, name: apsw.URIFilename | str | None, flags: list[int]) -> apsw.VFSFile:
        return _File(self._base, self._before, name, flags)


@contextmanager
def before_each_sync(act: Callable[[], None]) -> Generator[None]:
    """Call something before each sync of the databases that are opened meanwhile; close them before the end."""
    disk = _Disk(apsw.vfs_names()[0], act)
    try:
        yield
    finally:
        disk.unregister()
