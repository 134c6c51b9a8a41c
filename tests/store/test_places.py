"""What keeps a store's folder from being used is told by every command alike, with the folder."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agentflow.cli.app import execute
from agentflow.errors import StoreError
from agentflow.store.places import reaching, there

COMMANDS = (
    ["runs", "list"],
    ["waits", "list"],
    ["run", "w"],
    ["runs", "show", "@last"],
    ["runs", "watch", "@last"],
    ["runs", "cancel", "@last"],
    ["runs", "pause", "@last"],
    ["runs", "retry", "@last"],
    ["runs", "purge", "--older-than", "1d", "--yes"],
    ["waits", "show", "x"],
    ["waits", "answer", "x", "--data", "1"],
    ["publish", "t"],
    ["store", "check"],
    ["store", "vacuum"],
    ["store", "backup", "copy.db"],
)


def a_file_for_a_folder(folder: Path) -> Path:
    (folder / "inside").write_text("x", encoding="utf-8")
    return folder / "inside" / "runs.db"


def a_link_in_circles(folder: Path) -> Path:
    (folder / "loop").symlink_to(folder / "loop")
    return folder / "loop" / "runs.db"


def a_link_in_circles_for_the_file(folder: Path) -> Path:
    (folder / "runs.db").symlink_to(folder / "runs.db")
    return folder / "runs.db"


def a_long_name(folder: Path) -> Path:
    return folder / ("n" * 300) / "runs.db"


def a_long_file_name(folder: Path) -> Path:
    return folder / ("n" * 300)


def no_entry(folder: Path) -> Path:
    (folder / "shut").mkdir()
    (folder / "shut").chmod(0)
    return folder / "shut" / "runs.db"


PLACES = (
    a_file_for_a_folder,
    a_link_in_circles,
    a_link_in_circles_for_the_file,
    a_long_name,
    a_long_file_name,
    pytest.param(no_entry, marks=pytest.mark.skipif(os.geteuid() == 0, reason="nothing is shut to root")),
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("place", PLACES)
def test_every_command_names_the_folder_that_can_not_be_used(
    place: Callable[[Path], Path],
    command: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "agentflow.yaml").write_text(
        "workflows: {w: {steps: [{id: a, type: set, value: 1}]}}", encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    path = place(tmp_path)
    assert execute([*command, "--store", str(path)]) == 1
    told = capsys.readouterr().err
    assert told.startswith("error[AF-STORE-OPEN]: "), told
    assert str(path.parent) in told.splitlines()[0]


@pytest.mark.parametrize(
    "number",
    [errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EIO, errno.ENAMETOOLONG, errno.EMFILE, errno.EDQUOT],
)
def test_whatever_the_system_says_it_is_told_as_the_folders_fault(number: int) -> None:
    with pytest.raises(StoreError) as caught, reaching(Path("/a/b/runs.db")):
        raise OSError(number, os.strerror(number))
    assert (caught.value.code, caught.value.what) == ("AF-STORE-OPEN", "The folder /a/b can't be used.")
    assert caught.value.why == f"runs.db: {os.strerror(number).lower()}"


def test_a_name_that_no_file_can_have_is_told_too() -> None:
    with pytest.raises(StoreError, match="can't be used"):
        there(Path("/tmp/a\0b"))


def test_what_is_not_there_is_not_there(tmp_path: Path) -> None:
    assert not there(tmp_path / "nothing" / "runs.db")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    assert not there(tmp_path / "link")
    assert there(tmp_path)
