"""Files with very many mistakes: all are counted, and the work for what nobody is told doesn't grow with them."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Callable
from difflib import SequenceMatcher
from typing import Any

import pytest

from agentflow.config import load_text
from agentflow.definition import suggest
from agentflow.errors import DefinitionError, Problem
from agentflow.steps import registry

STEP = {"type": "set", "values": {"a": 1}}
KINDS: dict[str, Callable[[int], dict[str, Any]]] = {
    "unknown types": lambda n: {"type": f"sset{n}"},
    "one unknown type": lambda _: {"type": "sset"},
    "unknown fields": lambda n: {f"valuess{n}": 1},
    "unknown dependencies": lambda n: {"depends_on": [f"ss{n}"]},
    "unknown steps": lambda n: {"values": {"a": f"{{steps.ss{n}.a}}"}},
    "unknown shared keys": lambda n: {"values": {"a": f"{{context.ss{n}}}"}},
    "wrong values": lambda n: {"on_error": f"kontinue{n}"},
}

OFTEN = {"unknown types", "unknown steps"}
"""What the default suite tries; the slow one tries all."""


def document(change: Callable[[int], dict[str, Any]], count: int) -> str:
    steps = [{"id": f"s{number}", **STEP, **change(number)} for number in range(count)]
    return json.dumps({"workflows": {"w": {"steps": steps}}})


def refused(text: str) -> tuple[Problem, ...]:
    with pytest.raises(DefinitionError) as caught:
        load_text(text, "agentflow.json")
    return caught.value.problems


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list of all names that are compared with a mistyped one."""
    names: list[str] = []

    class Counting(SequenceMatcher[str]):
        def set_seq1(self, a: Any) -> None:
            names.append(a)
            super().set_seq1(a)

    monkeypatch.setattr("difflib.SequenceMatcher", Counting)
    return names


@pytest.mark.parametrize(
    "kind", [kind if kind in OFTEN else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS]
)
def test_more_mistakes_cost_no_further_comparisons(kind: str, compared: list[str]) -> None:
    refused(document(KINDS[kind], 1100))
    few = len(compared)
    compared.clear()
    found = refused(document(KINDS[kind], 1800))
    assert len(compared) <= few * 1.1 + 10
    assert sum(problem.count for problem in found) == 1800
    assert found[-1].message == "1,750 more errors aren't shown"


def test_installed_packages_are_looked_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scans: list[object] = []
    scan: Any = importlib.metadata.entry_points

    def counting(**which: Any) -> Any:
        scans.append(which)
        return scan(**which)

    monkeypatch.setattr(registry, "entry_points", counting)
    registry._brought.cache_clear()  # pyright: ignore[reportPrivateUsage]  other tests have filled it
    refused(document(KINDS["unknown types"], 300))
    assert len(scans) == 1


def test_errors_behind_many_warnings_are_told() -> None:
    def change(number: int) -> dict[str, Any]:
        return {"values": {"a": "{inputs.x}"}} if number < 300 else {"depends_on": ["nothing"]}

    found = refused(document(change, 301))
    assert [problem.code for problem in found if problem.severity == "error"] == ["AF-GRAPH-DEPENDS"]
    assert found[-1].message == "at least 251 more warnings aren't shown"


def test_mistakes_in_many_workflows_are_told_together(compared: list[str]) -> None:
    steps = [{"id": "a", "type": "workflow", "workflow": "ww"}]
    found = refused(json.dumps({"workflows": {f"w{number}": {"steps": steps} for number in range(500)}}))
    assert sum(problem.count for problem in found) == 500
    assert len(compared) <= 51 * 501


@pytest.mark.parametrize("name", ["stp-1500", "step-15000", "tsep-1500", "Step-1500"])
def test_the_nearest_of_very_many_names_is_found_from_either_end(name: str) -> None:
    names = [f"step-{number}" for number in range(5000)]
    assert "step-1500" in suggest.nearest(name, names, 50)


def test_a_time_zone_without_cron_is_told() -> None:
    step = {"id": "r", "type": "recur", "interval": "1h", "max": 2, "timezone": "UTC", "steps": [{"id": "a", **STEP}]}
    (problem,) = refused(json.dumps({"workflows": {"w": {"steps": [step]}}}))
    assert problem.message == 'step "r" (recur) has a timezone, which only goes with cron'


def test_of_tools_that_the_config_does_not_list_only_some_are_compared(compared: list[str]) -> None:
    def load(steps: int) -> int:
        compared.clear()
        known = {f"tool{number}": {"command": "serve"} for number in range(900)}
        calls = [{"id": f"s{n}", "type": "tool_call", "tool_name": f"other{n}"} for n in range(steps)]
        load_text(json.dumps({"tools": known, "workflows": {"w": {"steps": calls}}}), "agentflow.json")
        return len(compared)

    assert load(300) == load(600) > 0


def test_wrong_entries_cost_no_look_at_each_other() -> None:
    """Of each wrong value the others were looked through; 10,000 of them would take very long."""
    entries = {f"tool{number}": {"command": "serve", "timeout": "x"} for number in range(10_000)}
    found = refused(json.dumps({"tools": entries, "workflows": {}}))
    assert sum(problem.count for problem in found) == 10_000


def test_keys_that_are_there_twice_are_counted_with_all_others() -> None:
    steps = "".join(f"    - {{id: s{number}, id: t{number}, type: set, value: 1}}\n" for number in range(300))
    with pytest.raises(DefinitionError) as caught:
        load_text(f"workflows:\n  w:\n    steps:\n{steps}")
    assert sum(problem.count for problem in caught.value.problems) == 300
