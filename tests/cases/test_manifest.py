"""Every case of the manifest is shown by a test, or says why it can't be yet."""

from __future__ import annotations

import tomllib
from functools import cache
from typing import Any

from tests.cases.marks import TESTS, places

NEEDS = {"a2a", "mcp", "oauth", "webhooks", "second machine"}


@cache
def _cases() -> dict[str, dict[str, Any]]:
    return tomllib.loads((TESTS / "cases" / "manifest.toml").read_text(encoding="utf-8"))


def _marks() -> dict[str, list[str]]:
    return places("case")


def test_every_case_has_a_test_or_says_what_it_needs() -> None:
    missing = [
        f"{case}: {entry['case']}" + (f" (divergence: {entry['divergence']})" if "divergence" in entry else "")
        for case, entry in _cases().items()
        if "needs" not in entry and case not in _marks()
    ]
    assert not missing, f"{len(missing)} cases without a test:\n" + "\n".join(missing)


def test_every_mark_names_a_case() -> None:
    unknown = {case: places for case, places in _marks().items() if case not in _cases()}
    assert not unknown


def test_a_case_that_is_excused_has_no_test() -> None:
    shown = {case: _marks()[case] for case, entry in _cases().items() if "needs" in entry and case in _marks()}
    assert not shown, "these can lose their `needs`"


def test_an_excuse_is_one_of_the_few_that_count_and_is_explained() -> None:
    excused = {case: entry for case, entry in _cases().items() if "needs" in entry}
    assert all(entry["needs"] and NEEDS.issuperset(entry["needs"]) for entry in excused.values())
    assert all(entry.get("because") and "divergence" not in entry for entry in excused.values())
    for case, entry in excused.items():
        print(f"{case}: needs {', '.join(entry['needs'])}: {entry['because']}")


def test_entries_have_no_other_fields() -> None:
    known = {"case", "divergence", "needs", "because"}
    assert all(entry.keys() <= known and entry["case"] for entry in _cases().values())
