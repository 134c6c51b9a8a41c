"""A hint says how an extra gets into this very environment, from where agentflow came."""

from __future__ import annotations

import json
import shlex
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from agentflow import extras


class Installed:
    """A package that came from somewhere."""

    def __init__(self, origin: dict[str, Any] | None) -> None:
        self._origin = origin

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return None if self._origin is None else json.dumps(self._origin)


def came(monkeypatch: pytest.MonkeyPatch, origin: dict[str, Any] | None) -> None:
    """Let agentflow have come from somewhere."""

    def distribution(name: str) -> Installed:
        return Installed(origin)

    monkeypatch.setattr(metadata, "distribution", distribution)


REPOSITORY = {"url": "https://example.com/a.git", "vcs_info": {"vcs": "git", "commit_id": "abc123"}}


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        (None, ["agentflow-workflows[a2a,mcp]"]),
        ({"url": "file:///my%20clone", "dir_info": {}}, ["/my clone[a2a,mcp]"]),
        ({"url": "file:///clone", "dir_info": {"editable": True}}, ["-e", "/clone[a2a,mcp]"]),
        ({"url": "file:///a.whl", "archive_info": {}}, ["agentflow-workflows[a2a,mcp] @ file:///a.whl"]),
        (REPOSITORY, ["agentflow-workflows[a2a,mcp] @ git+https://example.com/a.git@abc123"]),
    ],
    ids=["index", "folder", "editable", "archive", "repository"],
)
def test_an_extra_comes_from_where_agentflow_came(
    monkeypatch: pytest.MonkeyPatch, origin: dict[str, Any] | None, words: list[str]
) -> None:
    came(monkeypatch, origin)
    told = shlex.split(extras.installing("a2a", "mcp"))
    assert told[told.index("install") + 1 :][-len(words) :] == words


@pytest.mark.parametrize(
    ("pip", "on_path", "begins"),
    [
        (True, True, ["pip", "install"]),
        (True, False, [sys.executable, "-m", "pip", "install"]),
        (False, True, ["uv", "pip", "install", "--python", sys.executable]),
    ],
    ids=["pip of this environment", "another pip", "no pip"],
)
def test_it_is_installed_by_a_program_that_reaches_this_environment(
    monkeypatch: pytest.MonkeyPatch, pip: bool, on_path: bool, begins: list[str]
) -> None:
    there = str(Path(sys.executable).with_name("pip") if on_path else Path("/elsewhere/pip"))

    def found(name: str) -> object | None:
        return name if pip else None

    def which(name: str) -> str:
        return there

    monkeypatch.setattr(extras, "find_spec", found)
    monkeypatch.setattr("shutil.which", which)
    came(monkeypatch, None)
    assert shlex.split(extras.installing("mcp")) == [*begins, "agentflow-workflows[mcp]"]
