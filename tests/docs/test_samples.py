"""Samples in the README and the docs work: YAML loads, Python runs, sessions are played, commands and options exist."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
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
FOREIGN = re.compile(r"^(?:from|import) (prefect|temporalio)\b", re.MULTILINE)
"""What isn't installed here: such samples are compiled, and their pages say how they were tried."""
NOT_RUN = {
    "ini": "a unit of systemd; the page says how it was tried",
    "nginx": "a proxy's config; the page says how it was tried",
    "dockerfile": "needs Docker; the page says that it wasn't tried",
}
TEXTS = {
    "README.md": "tests/surface_mcp/test_entries.py compares it with what `serve` prints",
    "docs/reference/mcp.md": "tests/surface_mcp/test_entries.py compares the entries; the handle is cut short",
    "docs/reference/cli.md": "tests/definition/test_drawing.py compares it with what `graph` draws",
    "CONTRIBUTING.md": "the tree of the repository",
}
"""Pages with blocks that are only text, with the reason."""
QUICK = {"docs/explanation/scripts.md"}
"""Sessions that are played by default; the others are slow."""


@dataclass(frozen=True)
class Sample:
    """One code block of a page."""

    page: str
    number: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.number}"

    @property
    def played(self) -> bool:
        """Whether it is a file of a page that is played as a session."""
        return self.page in SESSIONS and sessions().FILE.match(self.text.partition("\n")[0]) is not None


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


SESSIONS = [
    page.relative_to(ROOT).as_posix() for page in PAGES if re.search(r"^```console$", page.read_text("utf-8"), re.M)
]


@cache
def sessions() -> Any:
    """Return what plays pages."""
    spec = importlib.util.spec_from_file_location("sessions", ROOT / "docs" / "sessions.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["sessions"] = module
    spec.loader.exec_module(module)
    return module


def _of(language: str) -> Any:
    found = {s.text: s for s in reversed(_samples()) if s.language == language and not s.played}
    costly = re.compile(r"^from langgraph", re.MULTILINE)
    marks = {text: (pytest.mark.slow,) if costly.search(text) else () for text in found}
    return pytest.mark.parametrize("sample", [pytest.param(s, marks=marks[s.text], id=str(s)) for s in found.values()])


@cache
def _commands() -> dict[str, frozenset[str]]:
    from typer.main import get_command  # noqa: PLC0415  only these tests need it

    from agentflow.cli.app import build  # noqa: PLC0415

    found: dict[str, frozenset[str]] = {}
    open_groups: list[tuple[str, Any]] = [("", get_command(build()))]
    while open_groups:
        prefix, group = open_groups.pop()
        for name, command in getattr(group, "commands", {}).items():
            found[f"{prefix}{name}"] = frozenset(option for given in command.params for option in given.opts)
            open_groups.append((f"{prefix}{name} ", command))
    return found


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
    if FOREIGN.search(sample.text):
        compile(sample.text, str(sample), "exec")
        return
    source = NEEDS_CONFIG.get(sample.page)
    if source is not None:
        config = next(s for s in _samples() if s.page == source and s.language == "yaml")
        (tmp_path / "agentflow.yaml").write_text(config.text, encoding="utf-8")
    (tmp_path / "README.md").write_text("one\ntwo\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", sample.text], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=() if page in QUICK else pytest.mark.slow) for page in SESSIONS]
)
def test_a_page_that_is_played_prints_what_it_shows(page: str) -> None:
    assert "\n\n".join(sessions().play(ROOT / page)) == ""


@_of("toml")
def test_a_toml_sample_is_toml(sample: Sample) -> None:
    assert tomllib.loads(sample.text)


def test_every_sample_is_run_or_says_why_it_is_not() -> None:
    run = {"yaml", "python", "console", "sh", "toml"}
    for sample in _samples():
        told = sample.language in NOT_RUN or (sample.language == "text" and sample.page in TEXTS)
        assert sample.language in run or sample.played or told, str(sample)
    for page in PAGES:
        bare = [fence for fence in re.findall(r"^ *```(.*)$", page.read_text("utf-8"), re.M)[::2] if not fence]
        assert not bare, f"{page.name} has a block without a language"


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
            name = " ".join(words[: 2 if words[0] in groups else 1])
            if name not in _commands().keys() | groups:
                unknown.append(line)
            told = line.partition(" # ")[0].partition(" | ")[0].partition("; ")[0]
            wrong = set(re.findall(r"(?<= )--?[a-z][a-z-]*", told)) - _commands().get(name, frozenset()) - {"--help"}
            if name in _commands() and " -- " not in told and wrong:
                unknown.append(f"{line} has no {wrong}")
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
