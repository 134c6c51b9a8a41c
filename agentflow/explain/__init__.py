"""The pages of error codes: a Markdown file for each beside this module, shipped with the package.

A page begins with why the code matters, and goes on with sections, each where it makes sense: `Wrong` and `Right` are
definitions that `agentflow validate` refuses with just this code and takes; `Fails` and `Works` show what only comes
up while something runs; `Fix` says more than the table's row; `Near` lists the codes that are easily mistaken for it.
What a code means, and its fix in one line, stand in `agentflow.codes`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parent
SECTIONS = ("Wrong", "Right", "Fails", "Works", "Fix", "Near")


@dataclass(frozen=True, slots=True)
class Page:
    """What is told of a code beyond its row in the table."""

    why: str
    sections: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def near(self) -> list[str]:
        """The codes that are near it."""
        return self.sections.get("Near", "").replace(",", " ").split()

    def example(self, section: str) -> str | None:
        """Return the text inside the fence of a section, if the page has it."""
        text = self.sections.get(section)
        return None if text is None else "\n".join(line for line in text.splitlines() if not line.startswith("```"))


def page(code: str) -> Page | None:
    """Return the page of a code that the table has, or None when none is written."""
    file = FOLDER / f"{code}.md"
    return parse(file.read_text(encoding="utf-8")) if file.is_file() else None


def parse(text: str) -> Page:
    """Read the text of a page."""
    why, *rest = f"\n{text}".split("\n## ")
    parts = (part.partition("\n") for part in rest)
    return Page(why.strip(), {title.strip(): body.strip("\n") for title, _, body in parts})
