"""The JavaScript packages of the tests."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.node import tools
from tests.node.tools import Node

HERE = Path(__file__).parent


def _read(name: str) -> dict[str, Any]:
    return json.loads((HERE / name).read_text(encoding="utf-8"))


def test_each_package_has_one_exact_version() -> None:
    asked: dict[str, str] = _read("package.json")["dependencies"]
    locked: dict[str, dict[str, Any]] = _read("package-lock.json")["packages"]
    for name, version in asked.items():
        assert locked[f"node_modules/{name}"]["version"] == version


def test_the_lock_names_no_host_and_the_contents_of_all() -> None:
    locked: dict[str, dict[str, Any]] = _read("package-lock.json")["packages"]
    for name, package in locked.items():
        assert "resolved" not in package
        assert not name or package["integrity"].startswith("sha512-")


@pytest.mark.parametrize("package", sorted(_read("package.json")["dependencies"]))
def test_it_is_installed(node: Node, package: str) -> None:
    assert _read(f"node_modules/{package}/package.json")["version"] == _read("package.json")["dependencies"][package]
    assert node.modules == HERE / "node_modules"


def test_scripts_run_with_the_node_of_the_environment(node: Node) -> None:
    script = "import('@a2a-js/sdk/client').then((sdk) => console.log(process.execPath, typeof sdk.ClientFactory))"
    done = subprocess.run([node.command, "-e", script], cwd=HERE, check=True, capture_output=True, text=True)
    assert done.stdout.split() == [str(node.command), "function"]


def test_a_registry_that_cannot_be_reached_is_told_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("package.json", "package-lock.json"):
        (tmp_path / name).write_bytes((HERE / name).read_bytes())
    monkeypatch.setattr(tools, "HERE", tmp_path)
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    with pytest.raises(AssertionError, match="an npm registry once") as raised:
        tools.installed()
    assert "ECONNREFUSED" in str(raised.value)
    assert not list((tmp_path).glob("node_modules/.installed-*"))
