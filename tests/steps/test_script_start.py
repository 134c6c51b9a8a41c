"""Scripts that can't be started: what is said, and whether another attempt is worth it."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from agentflow.codes import CODES
from agentflow.errors import StepError
from agentflow.steps.passing import passes
from agentflow.steps.services import ProcessServices
from tests.steps.context import FakeContext, run

pytestmark = pytest.mark.anyio


async def failing(folder: Path, command: str, **more: Any) -> StepError:
    with pytest.raises(StepError) as caught:
        await run("script", {"command": command, **more}, FakeContext(ProcessServices(folder=folder)))
    assert caught.value.code in CODES
    return caught.value


def written(file: Path, text: str, mode: int = 0o755) -> Path:
    file.write_bytes(text.encode())
    file.chmod(mode)
    return file


def refuse(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let the system answer the start of a process by an error."""

    def answer(*_: Any, **__: Any) -> Any:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(subprocess, "Popen", answer)


async def test_a_script_with_line_ends_of_windows_says_so_and_how_to_mend_it(tmp_path: Path) -> None:
    written(tmp_path / "crlf.sh", "#!/bin/sh\r\necho hi\r\n")
    error = await failing(tmp_path, "./crlf.sh")
    assert str(error) == 'command "./crlf.sh" is there, but its interpreter "/bin/sh\\r" isn\'t'
    assert error.hint == "its lines end as on Windows: sed -i 's/\\r$//' ./crlf.sh"
    assert (error.code, error.retryable) == ("AF-SCRIPT-START", False)
    subprocess.run(error.hint.partition(": ")[2], shell=True, check=True, cwd=tmp_path)  # noqa: ASYNC221  the hint
    assert await run("script", {"command": "./crlf.sh"}, FakeContext(ProcessServices(folder=tmp_path))) == {
        "output": "hi"
    }


async def test_an_interpreter_that_env_does_not_find_has_the_same_hint(tmp_path: Path) -> None:
    written(tmp_path / "crlf.sh", "#!/usr/bin/env sh\r\necho hi\r\n")
    error = await failing(tmp_path, "./crlf.sh")
    assert error.code == "AF-SCRIPT-EXIT"
    assert error.hint == "its lines end as on Windows: sed -i 's/\\r$//' ./crlf.sh"


async def test_an_interpreter_that_is_not_there_is_named(tmp_path: Path) -> None:
    written(tmp_path / "old", "#! /opt/none/python9 -u\nprint()\n")
    error = await failing(tmp_path, "./old")
    assert str(error) == 'command "./old" is there, but its interpreter "/opt/none/python9" isn\'t'
    assert error.hint == "install it, or correct the file's first line"
    error = await failing(tmp_path, "old", env={"PATH": str(tmp_path)})
    assert str(error) == 'command "old" is there, but its interpreter "/opt/none/python9" isn\'t'


async def test_what_is_no_program_says_what_it_is(tmp_path: Path) -> None:
    written(tmp_path / "plain", "echo hi\n")
    (tmp_path / "folder").mkdir()
    error = await failing(tmp_path, "./plain")
    assert str(error) == 'command "./plain" is no program of this system, and no script with a #! line'
    assert str(await failing(tmp_path, "./folder")) == 'command "./folder" is a folder'
    assert str(await failing(tmp_path, "./plain/more")) == 'command "./plain/more" not found'
    assert str(await failing(tmp_path, "./none")) == 'command "./none" not found'


async def test_what_may_not_be_executed_says_so(tmp_path: Path) -> None:
    written(tmp_path / "tool", "#!/bin/sh\n", 0o644)
    written(tmp_path / "other", "#!./tool\n")
    error = await failing(tmp_path, "./tool")
    assert (str(error), error.hint) == ('command "./tool" isn\'t executable', "chmod +x ./tool")
    assert str(await failing(tmp_path, "tool", env={"PATH": str(tmp_path)})) == 'command "tool" isn\'t executable'
    assert str(await failing(tmp_path, "./other")) == 'command "./other" is run by "./tool", which isn\'t executable'


async def test_a_program_that_lacks_its_loader_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "foreign", "\x7fELF of another system")
    refuse(monkeypatch, errno.ENOENT)
    error = await failing(tmp_path, "./foreign")
    assert str(error) == 'command "./foreign" is there, but a library or a loader that it needs isn\'t'


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM, errno.ETXTBSY])
async def test_what_passes_by_itself_is_worth_another_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    refuse(monkeypatch, number)
    error = await failing(tmp_path, "true")
    assert str(error) == f'command "true" can\'t be started now: {os.strerror(number)}'
    assert (error.code, error.kind, error.retryable) == ("AF-SCRIPT-START", "exception", True)


def test_one_rule_tells_what_passes() -> None:
    wrapped = ValueError("read")
    wrapped.__cause__ = OSError(errno.EMFILE, "Too many open files")
    for error in (MemoryError(), RuntimeError("can't start new thread"), OSError(errno.EBUSY, ""), wrapped):
        assert passes(error)
    for error in (None, FileNotFoundError(errno.ENOENT, ""), RuntimeError("no"), OSError("no number"), ValueError()):
        assert not passes(error)
