"""The table of codes is complete: every code that the source uses has a row, and every row is used."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from agentflow.codes import CODES, DOORS, door
from agentflow.codes.checks import CHECKS
from agentflow.codes.outside import OUTSIDE
from agentflow.codes.running import RUNNING

ROOT = Path(__file__).parent.parent
CODE = re.compile(r"AF(-[A-Z0-9]+)+")


@cache
def _used() -> dict[str, str]:
    """Return code → a place, for every string of the source that is a code."""
    found: dict[str, str] = {}
    for folder in ("agentflow", "a2a", "mcp_server"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            if file.parent.name == "codes":
                continue
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
                    found.setdefault(node.value, f"{file.relative_to(ROOT)}:{node.lineno}")
    return found


def test_every_code_in_the_source_has_a_row() -> None:
    unknown = [f"{code} in {place}" for code, place in _used().items() if code not in CODES]
    assert not unknown, "\n".join(unknown)


def test_a_code_has_one_row() -> None:
    assert len(CODES) == len(CHECKS) + len(RUNNING) + len(OUTSIDE)


def test_every_row_is_used_in_the_source() -> None:
    unused = sorted(CODES.keys() - _used().keys())
    assert not unused, "\n".join(unused)


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_row_says_what_it_means_and_how_to_fix_it(code: str) -> None:
    row = CODES[code]
    assert CODE.fullmatch(code)
    assert row.category in DOORS
    assert row.means.endswith("."), "a sentence"
    assert row.fix.endswith("."), "a sentence"


def test_every_category_has_its_own_exit_code_and_json_rpc_code_is_in_range() -> None:
    assert len({told.exit_code for told in DOORS.values()}) == len(DOORS)
    assert all(-32768 <= told.json_rpc <= -32000 for told in DOORS.values())
    assert all(200 <= told.http < 600 for told in DOORS.values())


def test_an_unknown_code_counts_as_a_defect() -> None:
    assert door("AF-NO-SUCH") == DOORS["defect"]
