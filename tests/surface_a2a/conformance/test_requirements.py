"""Each requirement of the protocol is shown by a test, or it is said what holds instead."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from tests.cases.marks import places

MANIFEST = Path(__file__).parent / "requirements.toml"


@cache
def _requirements() -> dict[str, dict[str, str]]:
    return tomllib.loads(MANIFEST.read_text(encoding="utf-8"))


def test_each_requirement_has_a_test_or_a_recorded_divergence() -> None:
    missing = [
        f"{name} ({entry['level']}, {entry['section']}): {entry['says']}"
        for name, entry in _requirements().items()
        if "divergence" not in entry and name not in places("a2a")
    ]
    assert not missing, f"{len(missing)} requirements without a test:\n" + "\n".join(missing)


def test_each_mark_names_a_requirement() -> None:
    assert not {name: found for name, found in places("a2a").items() if name not in _requirements()}


def test_a_divergence_is_none_where_a_test_shows_the_requirement() -> None:
    shown = [name for name, entry in _requirements().items() if "divergence" in entry and name in places("a2a")]
    assert not shown, "these can lose their `divergence`"


def test_a_requirement_says_what_whose_how_much_and_where_it_is_said() -> None:
    for name, entry in _requirements().items():
        assert entry.keys() - {"divergence"} == {"op", "level", "section", "says"}, name
        assert entry["level"] in {"MUST", "SHOULD", "MAY"}, name
        assert all(entry.values()), name


def test_the_log_tells_of_all_divergences() -> None:
    """Prints them: who reads the log of the tests finds what isn't as the protocol has it."""
    found = {name: entry for name, entry in _requirements().items() if "divergence" in entry}
    for name, entry in found.items():
        print(f"{name} ({entry['level']}): {entry['says']}. Here: {entry['divergence']}.")
    assert len(found) < len(_requirements()) / 5
