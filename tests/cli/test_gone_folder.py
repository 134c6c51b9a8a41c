"""A command in a folder that was deleted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentflow.cli.app import execute


@pytest.fixture(autouse=True)
def gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in a folder that doesn't exist any more."""
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    os.rmdir(folder)


@pytest.mark.parametrize("command", [["runs", "list"], ["validate"], ["run", "flow"], ["waits"], ["schema"], ["steps"]])
def test_every_command_in_a_folder_that_was_deleted_says_so(
    capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert execute(command) == 66
    told = capsys.readouterr().err
    assert "error[AF-CONFIG-NOT-FOUND]: the folder that this command was started in doesn't exist any more" in told
    assert "hint: go to one that exists" in told


@pytest.mark.parametrize("command", [["--help"], ["--version"], ["run", "--help"], ["runs", "list", "-h"]])
def test_help_needs_no_folder(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    assert execute(command) == 0
    assert "agentflow" in capsys.readouterr().out
