"""Writes the generated pages: `python docs/generate.py`; with `--check` only tells whether they are up to date."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agentflow.codes import CODES, DOORS
from agentflow.definition.described import described
from agentflow.explain import SECTIONS
from agentflow.explain import page as page_of
from agentflow.steps import registry
from agentflow.steps.contract import StepType

PAGES = Path(__file__).parent / "reference"
EXPLAINED = Path(__file__).parent / "explanation"
NOTE = "<!-- Written by docs/generate.py: change the source, then run `make docs`. -->"


def errors_page() -> Iterator[str]:
    """Yield the page of error codes."""
    yield "# Error codes"
    yield "*For everybody who meets one.*"
    yield NOTE
    yield "What each code means and what to do. How errors are built: [errors](../explanation/errors.md)."
    for code, row in sorted(CODES.items()):
        yield f"## {code}"
        yield f"{row.means} {row.fix}"
        yield from _explained(code)
        yield f"Exit code {DOORS[row.category].exit_code} ({row.category})."


TITLES = {"Wrong": "Wrong:", "Right": "Right:", "Fails": "Fails when it runs:", "Works": "Works:"}


def _explained(code: str) -> Iterator[str]:
    told = page_of(code)
    if told is None:
        return
    yield told.why
    for section in filter(told.sections.__contains__, SECTIONS):
        if section == "Near":
            yield f"Near: {', '.join(f'[{near}](#{near.lower()})' for near in told.near)}."
        else:
            yield from filter(None, (TITLES.get(section), told.sections[section]))


def step_types_page() -> Iterator[str]:
    """Yield the page of step types."""
    yield "# Step types"
    yield "*For developers.*"
    yield NOTE
    yield (
        "Fields that every step may have are told under [order, failures, containers](steps.md). "
        "**Bold** fields are required. A type's own fields may hold templates unless said otherwise."
    )
    yield " · ".join(f"[{name}](#{name})" for name in registry.BUILTIN)
    for spec in filter(None, map(registry.find, registry.BUILTIN)):
        yield f"## {spec.name}"
        yield spec.summary
        if facts := list(_facts(spec)):
            yield " ".join(facts)
        yield _fields(spec)


def _facts(spec: StepType) -> Iterator[str]:
    if spec.skills:
        yield f"Needs {', '.join(f'`{skill}`' for skill in spec.skills)}."
    if spec.timeout is not None:
        yield f"Timeout {spec.timeout:g} s unless set{', over its whole time' if spec.whole_timeout else ''}."
    elif spec.whole_timeout:
        yield "`timeout` counts its whole time."
    if spec.conditions:
        yield f"Condition: {', '.join(f'`{name}`' for name in spec.conditions)}."
    if spec.raw:
        yield f"Without templates: {', '.join(f'`{name}`' for name in spec.raw)}."


def _fields(spec: StepType) -> str:
    schema = described(spec.config).model_json_schema(by_alias=True)
    required: list[str] = schema.get("required", [])
    properties: dict[str, Mapping[str, Any]] = schema.get("properties", {})
    shapes = {
        "steps": "list of steps",
        "step_or_steps": "a step or a list of steps",
        "cases": "list of `{when, steps}`",
    }
    rows = [(body.name, body.required, shapes[body.shape], "Steps inside.") for body in spec.bodies]
    rows += [
        (name, name in required, _kind(field), str(field.get("description", "")))
        for name, field in properties.items()
        if name not in {body.name for body in spec.bodies}
    ]
    if not rows:
        return "No fields of its own."
    table = ["| field | type | what |", "|---|---|---|"]
    for name, needed, kind, what in rows:
        cell = f"**{name}**" if needed else name
        table.append(f"| {cell} | {kind} | {' '.join(what.split()).replace('|', chr(92) + '|')} |")
    return "\n".join(table)


def _kind(field: Mapping[str, Any]) -> str:
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "anyOf" in field:
        kinds = [_kind(option) for option in field["anyOf"] if option.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    return str(field.get("type", "any"))


WORKLOADS = {
    "chain": "100 steps, one after the other",
    "fan": "100 steps side by side",
    "runs": "1,000 runs of three steps",
    "dag10k": "10,000 steps in layers",
}
SYSTEMS = ("agentflow", "langgraph", "dbos", "restate")


def comparison_page() -> str:
    """Return the page of comparisons with what was measured last."""
    rows: list[dict[str, Any]] = json.loads((EXPLAINED / "benchmarks.json").read_text(encoding="utf-8"))["rows"]
    speed = {
        (row["workload"], row["system"]): f"{'' if row['complete'] else '≈ '}{row['steps_per_second']:,.0f}"
        for row in rows
        if row["promise"] == "strict" and row["scale"] == 1
    }
    table = [f"| | {' | '.join(SYSTEMS)} |", f"|---|{'---|' * len(SYSTEMS)}"]
    for workload, what in WORKLOADS.items():
        table.append(f"| {what} | {' | '.join(speed.get((workload, system), '') for system in SYSTEMS)} |")
    text = (EXPLAINED / "comparison.md").read_text(encoding="utf-8")
    head, begin, rest = text.partition("<!-- measured: written by docs/generate.py -->\n")
    _, end, tail = rest.partition("<!-- /measured -->\n")
    return "".join([head, begin, "\n", "\n".join(table), "\n\n", end, tail])


def main(check: bool) -> int:
    """Write the pages, or tell which ones differ."""
    stale = 0
    pages = {
        PAGES / "errors.md": "\n\n".join(errors_page()) + "\n",
        PAGES / "step-types.md": "\n\n".join(step_types_page()) + "\n",
        EXPLAINED / "comparison.md": comparison_page(),
    }
    for file, text in pages.items():
        if file.exists() and file.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        name = file.relative_to(PAGES.parent.parent)
        if check:
            print(f"{name} isn't up to date: make docs", file=sys.stderr)
        else:
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
            print(f"{name} written")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
