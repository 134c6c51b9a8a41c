"""Samples in the README and the docs work: YAML loads, Python runs, commands and links exist."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
ERRORS = ROOT / "docs" / "reference" / "errors.md"
"""Half of its samples are wrong on purpose: tests/test_explain.py runs them."""
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"\bagentflow((?: [a-z]+)+)")
NEEDS_CONFIG = {
    "README.md": "README.md",
    "docs/reference/python.md": "docs/reference/waits.md",
    "docs/how-to/testing.md": "docs/how-to/testing.md",
}
"""Page with Python samples that load a config → the page whose first YAML sample that config is."""


@dataclass(frozen=True)
class Sample:
    """One code block of a page."""

    page: str
    number: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.number}"


def _samples() -> list[Sample]:
    found: list[Sample] = []
    for page in PAGES:
        if page == ERRORS:
            continue
        text = page.read_text(encoding="utf-8")
        for block in BLOCK.finditer(text):
            line = text.count("\n", 0, block.start()) + 1
            found.append(Sample(page.relative_to(ROOT).as_posix(), line, block[1], block[2]))
    return found


def _of(language: str) -> Any:
    return pytest.mark.parametrize("sample", [s for s in _samples() if s.language == language], ids=str)


@cache
def _commands() -> frozenset[str]:
    from typer.main import get_command  # noqa: PLC0415  only these tests need it

    from agentflow.cli.app import build  # noqa: PLC0415

    found: set[str] = set()
    open_groups: list[tuple[str, Any]] = [("", get_command(build()))]
    while open_groups:
        prefix, group = open_groups.pop()
        for name, command in getattr(group, "commands", {}).items():
            found.add(f"{prefix}{name}")
            open_groups.append((f"{prefix}{name} ", command))
    return frozenset(found)


@_of("yaml")
def test_a_yaml_sample_loads_without_problems(sample: Sample, tmp_path: Path) -> None:
    from agentflow import load_config  # noqa: PLC0415

    file = tmp_path / "agentflow.yaml"
    file.write_text(sample.text, encoding="utf-8")
    config = load_config(file)
    assert config.workflows
    assert not config.warnings


@_of("python")
def test_a_python_sample_runs(sample: Sample, tmp_path: Path) -> None:
    source = NEEDS_CONFIG.get(sample.page)
    if source is not None:
        config = next(s for s in _samples() if s.page == source and s.language == "yaml")
        (tmp_path / "agentflow.yaml").write_text(config.text, encoding="utf-8")
    (tmp_path / "README.md").write_text("one\ntwo\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", sample.text], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_in_a_page_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    code = [match[2] for match in BLOCK.finditer(text) if match[1] == "sh"]
    code += re.findall(r"`([^`\n]+)`", BLOCK.sub("", text))
    groups = {name.partition(" ")[0] for name in _commands() if " " in name}
    unknown: list[str] = []
    for line in "\n".join(code).splitlines():
        if match := COMMAND.match(line.removeprefix("$ ")):
            words = match[1].split()
            if " ".join(words[: 2 if words[0] in groups else 1]) not in _commands() | groups:
                unknown.append(line)
    assert not unknown


def test_make_targets_in_the_pages_exist() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        used = {
            word
            for line in re.findall(r"(?:^|`)make ([a-z0-9 -]+)", text, re.MULTILINE)
            for word in line.split("  ")[0].split()
        }
        assert used <= targets, page.name


def test_the_generated_pages_are_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_readme_keeps_to_80_lines() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 80


def test_links_of_the_readme_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert "://" in target or (ROOT / target).exists(), target
