"""The key file beside a store: made once, for its owner only, whoever comes first."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agentflow.engine import Engine
from agentflow.errors import AgentflowError, InputError, StoreError
from agentflow.sealing import VARIABLE, new_key
from agentflow.store.key_file import keys_in

SECRET = b"hunter2"
RACER = """
import sys
from pathlib import Path
from agentflow.store.key_file import keys_in
sys.stdin.readline()
print(keys_in(Path(sys.argv[1]))[0].hex())
"""


@contextmanager
def umask(mask: int) -> Generator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o277])
def test_only_its_owner_may_read_it_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    file = tmp_path / "runs.db.key"
    with umask(mask):
        first = keys_in(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert keys_in(file) == first
    assert [each.name for each in tmp_path.iterdir()] == ["runs.db.key"]


def test_processes_that_make_it_at_once_end_with_one_key(tmp_path: Path) -> None:
    file = tmp_path / "runs.db.key"
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    keys = {racer.communicate(timeout=60)[0] for racer in racers}
    assert len(keys) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["runs.db.key"]


def test_one_that_is_there_when_another_is_about_to_be_put_there_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, real = tmp_path / "runs.db.key", os.link
    theirs = new_key()

    def late(source: Path, target: Path) -> None:
        file.touch(0o600)
        file.write_text(theirs + "\n", "ascii")
        real(source, target)

    monkeypatch.setattr(os, "link", late)
    ours = keys_in(file)
    assert file.read_text("ascii").strip() == theirs
    assert ours == keys_in(file)


def test_several_lines_are_several_keys_and_comments_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "runs.db.key"
    file.touch(0o600)
    file.write_text(f"# of May\n{new_key()}\n\n{new_key()}\n", "ascii")
    assert len(keys_in(file)) == 2


@pytest.mark.parametrize("content", [b"", b"hello\n", b"\xff\xfe\n", b"A" * 43 + b"\nhello\n"])
def test_one_with_something_else_in_it_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "runs.db.key"
    file.touch(0o600)
    file.write_bytes(content)
    with pytest.raises(StoreError) as refused:
        keys_in(file)
    assert refused.value.code == "AF-SEAL-FILE"
    assert file.read_bytes() == content


def test_one_that_others_may_read_is_refused_with_what_helps(tmp_path: Path) -> None:
    file = tmp_path / "runs.db.key"
    keys_in(file)
    file.chmod(0o644)
    with pytest.raises(StoreError) as refused:
        keys_in(file)
    assert refused.value.hint == f"chmod 600 {file}"
    file.chmod(0o640)  # a volume that a group shares
    assert keys_in(file)


def test_a_folder_that_isnt_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as refused:
        keys_in(tmp_path / "none" / "runs.db.key")
    assert refused.value.code == "AF-SEAL-FILE"
    assert refused.value.why == "no such file or directory"


@pytest.mark.anyio
async def test_engines_on_one_database_seal_for_each_other_and_after_a_restart(tmp_path: Path) -> None:
    place = tmp_path / "runs.db"
    async with Engine.open(place) as one, Engine.open(place) as other:
        assert not (tmp_path / "runs.db.key").exists()  # who seals nothing needs none
        text = one.sealer.seal(SECRET, purpose="push", owner="kim")
        assert other.sealer.open(text, purpose="push", owner="kim") == SECRET
    assert stat.S_IMODE((tmp_path / "runs.db.key").stat().st_mode) == 0o600
    async with Engine.open(place) as again:
        assert again.sealer.open(text, purpose="push", owner="kim") == SECRET


@pytest.mark.anyio
async def test_the_environments_key_comes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, new_key())
    async with Engine.open(tmp_path / "runs.db") as engine:
        text = engine.sealer.seal(SECRET, purpose="push", owner="kim")
        assert engine.sealer.open(text, purpose="push", owner="kim") == SECRET
    assert not (tmp_path / "runs.db.key").exists()
    monkeypatch.setenv(VARIABLE, "secret")
    with pytest.raises(AgentflowError, match="holds no key"):
        async with Engine.open(tmp_path / "runs.db"):
            pass


@pytest.mark.anyio
async def test_a_store_in_memory_has_a_key_of_its_own() -> None:
    async with Engine.open(":memory:") as one, Engine.open(":memory:") as other:
        text = one.sealer.seal(SECRET, purpose="push", owner="kim")
        assert one.sealer.open(text, purpose="push", owner="kim") == SECRET
        with pytest.raises(InputError, match="can't be opened"):
            other.sealer.open(text, purpose="push", owner="kim")
