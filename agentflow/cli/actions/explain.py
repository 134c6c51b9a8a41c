"""`explain`: the page of an error code."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from agentflow.cli.console import Console
from agentflow.cli.options import Common
from agentflow.codes import CODES, Code, door
from agentflow.definition.suggest import nearest
from agentflow.errors import NotFoundError
from agentflow.explain import Page, page

_EXAMPLES = {"Wrong": "wrong", "Right": "right", "Fails": "fails when it runs", "Works": "works"}
WIDEST = 100
"""Prose isn't drawn wider than this: long lines are hard to read."""


def explain(common: Common, wanted: str) -> int:
    """Say what an error code means, why it matters, what to do, and what is near it."""
    console = common.console()
    name = wanted.upper().strip("[]")
    name = name if name.startswith("AF-") else f"AF-{name}"
    code = CODES.get(name)
    if code is None:
        raise _unknown(wanted, name.removeprefix("AF-"))
    told = page(name) or Page("")
    if console.mode != "text":
        console.data(_document(name, code, told))
        return 0
    console.page(list(_lines(console, name, code, told)))
    return 0


def _unknown(wanted: str, bare: str) -> NotFoundError:
    """Return the error for a code that isn't in the table; what all codes have in common makes none of them near."""
    area = [known for known in CODES if known.startswith(f"AF-{bare}-")]
    near = area or [f"AF-{known}" for known in nearest(bare, [known.removeprefix("AF-") for known in CODES])]
    hint = f"did you mean {', '.join(near[:3])}?" if near else "a code stands in brackets in its message: AF-REF-STEP"
    return NotFoundError(f'there is no code "{wanted}"', code="AF-CODE-UNKNOWN", hint=hint)


def _document(name: str, code: Code, told: Page) -> dict[str, object]:
    shown = door(name)
    examples = {section.lower(): told.example(section) for section in _EXAMPLES if section in told.sections}
    return {
        "code": name, "category": code.category, "means": code.means, "why": told.why, "fix": code.fix,
        "how": told.sections.get("Fix", ""), "examples": examples, "near": told.near,
        "exit_code": shown.exit_code, "http": shown.http, "json_rpc": shown.json_rpc,
    }  # fmt: skip


def _lines(console: Console, name: str, code: Code, told: Page) -> Iterator[str]:
    width = min(console.width, WIDEST)
    yield f"{console.paint(name, 'bold', out=True)}: {code.means}"
    for paragraph in filter(None, told.why.split("\n\n")):
        yield ""
        yield from wrap(paragraph, width)
    for section, label in _EXAMPLES.items():
        if text := told.example(section):
            yield ""
            yield console.paint(f"{label}:", "bold", out=True)
            yield from (f"    {line}".rstrip() for line in text.splitlines())
    yield ""
    yield from wrap(f"fix: {code.fix}", width, subsequent_indent="     ")
    for paragraph in filter(None, told.sections.get("Fix", "").split("\n\n")):
        yield from wrap(paragraph, width, initial_indent="     ", subsequent_indent="     ")
    if told.near:
        yield ""
        yield "near:"
        for other in told.near:
            yield from wrap(f"{other}: {CODES[other].means}", width, initial_indent="  ", subsequent_indent="    ")
    yield ""
    yield f"exit code {door(name).exit_code} ({code.category})"
