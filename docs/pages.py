"""The pages of the documentation as they are written: which there are, their order, and links that lead nowhere."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

PROJECT = ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
"""Pages at the top of the repository that the site has, too: below `project/`."""
LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s]*)\)")
_FENCE = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """One page: its place on the site, and the file that it is."""

    name: str
    file: Path

    @cached_property
    def text(self) -> str:
        """What is written."""
        return self.file.read_text(encoding="utf-8")

    @cached_property
    def title(self) -> str:
        """Its first heading."""
        return next((plain(found[1]) for found in _HEADING.finditer(_FENCE.sub("", self.text))), self.name)

    @cached_property
    def summary(self) -> str:
        """The first sentence of its first paragraph that is text."""
        for block in _FENCE.sub("", self.text).split("\n\n"):
            if re.match(r"[A-Za-z`]", block.strip()):
                said = plain(" ".join(block.split()))
                return re.split(r"(?<=[.!?])\s(?=[A-Z])", said, maxsplit=1)[0]
        return ""

    @cached_property
    def anchors(self) -> frozenset[str]:
        """What a link to a place of this page may name."""
        return frozenset(slug(found[1]) for found in _HEADING.finditer(_FENCE.sub("", self.text)))

    def links(self) -> Iterator[tuple[str, str]]:
        """Yield target and anchor of each link to another page or place of ours."""
        text = _FENCE.sub("", self.text)
        code = [found.span() for found in _CODE.finditer(text)]
        for found in LINK.finditer(text):
            if "://" in found[2] or any(start < found.start() < end for start, end in code):
                continue
            target, _, anchor = found[2].partition("#")
            yield target, anchor


def plain(text: str) -> str:
    """Return Markdown of one line as text."""
    return (
        LINK.sub(lambda found: found[1].lstrip("![").removesuffix("]("), text)
        .replace("`", "")
        .replace("**", "")
        .strip()
    )


def slug(heading: str) -> str:
    """Return the anchor of a heading, as the site makes it."""
    text = unicodedata.normalize("NFKD", plain(heading)).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", text).strip().lower())


def pages_of(root: Path) -> list[Page]:
    """Return all pages of a repository, by name."""
    docs = root / "docs"
    found = [Page(file.relative_to(docs).as_posix(), file) for file in sorted(docs.rglob("*.md"))]
    return found + [Page(f"project/{name}", root / name) for name in PROJECT if (root / name).exists()]


def sections_of(root: Path) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the site's navigation: each section with the titles and names of its pages."""
    config: dict[str, Any] = yaml.safe_load((root / "docs" / "mkdocs.yml").read_text(encoding="utf-8"))
    found: list[tuple[str, list[tuple[str, str]]]] = []
    for entry in config["nav"]:
        ((section, content),) = entry.items()
        rows = [(section, content)] if isinstance(content, str) else [next(iter(row.items())) for row in content]
        found.append((section, rows))
    return found


def problems_of(root: Path) -> Iterator[str]:
    """Yield what is wrong with the pages: dead links, dead anchors, pages that nothing leads to."""
    pages = pages_of(root)
    by_file = {page.file.resolve(): page for page in pages}
    for page in pages:
        for target, anchor in page.links():
            file = (page.file.parent / target).resolve() if target else page.file.resolve()
            if not file.exists():
                yield f"{page.name}: there is no {target}"
            elif file.is_dir():
                yield f"{page.name}: {target} is a folder, no page"
            elif anchor and anchor not in getattr(by_file.get(file), "anchors", frozenset[str]()):
                yield f"{page.name}: {target or page.name} has no place #{anchor}"
    yield from _unlinked(root, pages)


def _unlinked(root: Path, pages: Sequence[Page]) -> Iterator[str]:
    listed = [name for _, rows in sections_of(root) for _, name in rows]
    there = {page.name for page in pages}
    yield from (f"{name}: mkdocs.yml leads to it, and it isn't there" for name in sorted(set(listed) - there))
    yield from (f"{name}: mkdocs.yml leads to it twice" for name in sorted({n for n in listed if listed.count(n) > 1}))
    yield from (f"{name}: mkdocs.yml doesn't lead to it" for name in sorted(there - set(listed)))
    index = next((page for page in pages if page.name == "index.md"), None)
    linked = {os.path.normpath(target) for target, _ in index.links()} if index is not None else set[str]()
    inside = {page.name for page in pages if not page.name.startswith("project/")} - {"index.md"}
    yield from (f"{name}: index.md doesn't link to it" for name in sorted(inside - linked))
