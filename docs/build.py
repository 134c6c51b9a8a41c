"""Builds the site: `python docs/build.py` writes build/site; with `--check` only looks for links that lead nowhere.

The site is what the pages say, besides `llms.txt` and each page as Markdown, for agents.
It loads nothing from elsewhere.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

from pages import LINK, Page, pages_of, problems_of, sections_of

from agentflow import __version__

ROOT = Path(__file__).resolve().parent.parent


class Links(HTMLParser):
    """What one page of the site links to, loads, and names as places."""

    def __init__(self, text: str) -> None:
        """Read a page."""
        super().__init__()
        self.targets: list[str] = []
        self.loaded: list[str] = []
        self.places: set[str] = {""}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what a tag names."""
        given = {name: value for name, value in attrs if value}
        self.places.update(given[name] for name in ("id", "name") if name in given)
        if tag == "a" and "href" in given:
            self.targets.append(given["href"])
        elif tag in {"img", "script", "iframe"} and "src" in given:
            self.loaded.append(given["src"])
        elif tag == "link" and given.get("rel") in {"stylesheet", "icon", "preload"} and "href" in given:
            self.loaded.append(given["href"])


def stage(root: Path, out: Path) -> None:
    """Copy the pages to where the site is made of them, with what they link to; the links follow."""
    shutil.rmtree(out, ignore_errors=True)
    if (root / "docs" / "assets").is_dir():
        shutil.copytree(root / "docs" / "assets", out / "pages" / "assets")
    named = {page.file.resolve(): page.name for page in pages_of(root)}
    for page in pages_of(root):
        place = out / "pages" / page.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(_moved(root, page, named, out), encoding="utf-8")
    config = (root / "docs" / "mkdocs.yml").read_text(encoding="utf-8")
    (out / "mkdocs.yml").write_text(f'{config}copyright: "agentflow {__version__}, MIT licence"\n', encoding="utf-8")


def _moved(root: Path, page: Page, named: dict[Path, str], out: Path) -> str:
    def follow(found: re.Match[str]) -> str:
        target, hash_, anchor = found[2].partition("#")
        if not target or "://" in target:
            return found[0]
        file = (page.file.parent / target).resolve()
        name = named.get(file)
        if name is None and not file.is_file():
            return found[0]  # an example of a link
        if name is None:
            below = root / "docs" if file.is_relative_to(root / "docs") else root
            name = file.relative_to(below).as_posix()
            (out / "pages" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, out / "pages" / name)
        return f"{found[1]}{os.path.relpath(name, Path(page.name).parent)}{hash_}{anchor})"

    return LINK.sub(follow, page.text)


def for_agents(root: Path, out: Path) -> None:
    """Add `llms.txt` and each page as Markdown to the site."""
    named = {page.name: page for page in pages_of(root)}
    lines = ["# agentflow", "", f"> {named['index.md'].summary}", "", f"Documentation of version {__version__}."]
    for section, rows in sections_of(root):
        lines += ["", f"## {section}", ""]
        for title, name in rows:
            shutil.copy(out / "pages" / name, out / "site" / name)
            summary = named[name].summary
            lines.append(f"- [{title}]({name})" + (f": {summary}" if summary else ""))
    (out / "site" / "llms.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def site_problems(site: Path) -> Iterator[str]:
    """Yield links of the built site that lead nowhere, and what it would load from elsewhere."""
    read = {file: Links(file.read_text(encoding="utf-8")) for file in site.rglob("*.html")}
    for file, links in read.items():
        name = file.relative_to(site)
        yield from (f"{name}: loads {url}" for url in links.loaded if re.match(r"(https?:)?//", url))
        for target in links.targets if file.name != "404.html" else ():
            path, _, anchor = target.partition("#")
            if re.match(r"[a-z]+:", target):
                continue
            there = (file.parent / unquote(path)).resolve() if path else file
            there = there / "index.html" if there.is_dir() else there
            if not there.exists():
                yield f"{name}: there is no {path}"
            elif there in read and unquote(anchor) not in read[there].places:
                yield f"{name}: {path or name} has no place #{anchor}"


def build(root: Path) -> list[str]:
    """Build the site; returns what is wrong with it."""
    out = root / "build" / "docs"
    stage(root, out)
    command = [str(Path(sys.executable).with_name("zensical")), "build", "--strict", "--clean", "-f", "mkdocs.yml"]
    done = subprocess.run(command, cwd=out, text=True, capture_output=True, check=False)  # noqa: S603
    if done.returncode != 0:
        return [done.stdout + done.stderr]
    for_agents(root, out)
    found = list(site_problems(out / "site"))
    shutil.rmtree(root / "build" / "site", ignore_errors=True)
    (out / "site").rename(root / "build" / "site")
    return found


def main() -> int:
    """Build or check, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only look at the pages as they are written")
    parser.add_argument("--root", type=Path, default=ROOT, help="a repository with docs/")
    given = parser.parse_args()
    root = given.root.resolve()
    problems = list(problems_of(root)) or ([] if given.check else build(root))
    print("\n".join(problems), file=sys.stderr) if problems else None
    if not problems and not given.check:
        print(f"{root / 'build' / 'site' / 'index.html'}: {len(pages_of(root))} pages")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
