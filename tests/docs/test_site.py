"""The pages make a site without a dead end: each link, place and page is looked at, and the site is built from them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
BUILD = ROOT / "docs" / "build.py"


def _build(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(BUILD), *words], capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Return a repository with three pages and nothing wrong."""
    pages = {
        "index.md": "# Home\n\nWhat it is. [One](how-to/one.md), [two](how-to/two.md#the-end).\n",
        "how-to/one.md": "# One\n\n[Back](../index.md). `[no](link.md)`\n\n```sh\n# [no](link.md)\n```\n",
        "how-to/two.md": "# Two\n\nIt begins.\n\n## The `end`\n\nIt is [here](#the-end).\n",
        "mkdocs.yml": "site_name: small\ndocs_dir: pages\nsite_dir: site\nuse_directory_urls: false\n"
        "theme: {name: material, font: false}\n"
        "nav: [{Home: index.md}, {How-to: [{One: how-to/one.md}, {Two: how-to/two.md}]}]\n",
    }
    for name, text in pages.items():
        file = tmp_path / "docs" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return tmp_path


def test_the_pages_of_this_repository_lead_somewhere_and_are_led_to() -> None:
    done = _build("--check")
    assert (done.returncode, done.stderr) == (0, "")


def test_every_page_says_for_whom_it_is() -> None:
    pages = [page for page in (ROOT / "docs").rglob("*.md") if page.name != "index.md"]
    assert [page.name for page in pages if not page.read_text("utf-8").split("\n\n")[1].startswith("*For ")] == []


def test_dead_links_dead_places_and_pages_that_nothing_leads_to_are_named(small: Path) -> None:
    (small / "docs" / "how-to" / "one.md").write_text(
        "[a](gone.md) [b](two.md#gone) [c](../how-to)\n", encoding="utf-8"
    )
    (small / "docs" / "how-to" / "three.md").write_text("# Three\n", encoding="utf-8")
    done = _build("--check", "--root", str(small))
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "how-to/one.md: there is no gone.md",
        "how-to/one.md: two.md has no place #gone",
        "how-to/one.md: ../how-to is a folder, no page",
        "how-to/three.md: mkdocs.yml doesn't lead to it",
        "how-to/three.md: index.md doesn't link to it",
    ]


def test_pages_that_the_navigation_names_have_to_be_there(small: Path) -> None:
    (small / "docs" / "index.md").write_text("# Home\n\n[One](how-to/one.md)\n", encoding="utf-8")
    (small / "docs" / "how-to" / "two.md").unlink()
    assert (
        _build("--check", "--root", str(small)).stderr == "how-to/two.md: mkdocs.yml leads to it, and it isn't there\n"
    )


@pytest.mark.skipif(not shutil.which("zensical", path=str(Path(sys.executable).parent)), reason="needs the extra docs")
def test_the_site_has_each_page_as_markdown_and_a_list_of_them_for_agents(small: Path) -> None:
    done = _build("--root", str(small))
    assert done.returncode == 0, done.stderr
    site = small / "build" / "site"
    assert 'href="#the-end"' in (site / "how-to" / "two.html").read_text(encoding="utf-8")
    assert (site / "how-to" / "two.md").read_text(encoding="utf-8").startswith("# Two")
    told = (site / "llms.txt").read_text(encoding="utf-8")
    assert told.startswith("# agentflow\n\n> What it is.\n")
    assert told.endswith("## How-to\n\n- [One](how-to/one.md)\n- [Two](how-to/two.md): It begins.\n")
