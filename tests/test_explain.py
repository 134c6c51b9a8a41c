"""Each code has a page that holds: its examples do what they say, and what is near it exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from agentflow.codes import CODES
from agentflow.codes.checks import CHECKS
from agentflow.config.load import load_text
from agentflow.errors import AgentflowError, DefinitionError
from agentflow.explain import FOLDER, SECTIONS, page, parse

TESTS = Path(__file__).parent
PAGES = sorted(file.stem for file in FOLDER.glob("*.md"))
CODE = re.compile(r"AF(?:-[A-Z0-9]+)+")
ALONE = frozenset[str]()
"""Codes whose pages name none near them."""
BY_HAND = {
    "AF-CONDITION-SIZE": "its example would be a page long",
    "AF-CONFIG-INVALID": "stands for all of them",
    "AF-CONFIG-NOT-FOUND": "is about files",
    "AF-CONFIG-UNREADABLE": "is about files",
    "AF-DEFINITION-DEPTH": "its example would be a page long",
    "AF-DEFINITION-SIZE": "its example would be 16 MiB",
    "AF-INCLUDE-CYCLE": "is about files",
    "AF-INCLUDE-LIMIT": "is about files",
    "AF-SECRET-SHORT": "depends on the value of a variable",
    "AF-STEP-INVALID": "comes from steps that are built in Python",
    "AF-WORKFLOW-DUPLICATE": "takes two files",
}
"""Codes of checks without an example that `validate` refuses, and why. This list only gets shorter."""
UNPROVOKED = {
    "AF-APPROVAL-CHANGED": "a last guard behind the questions that are asked again",
    "AF-CHILD-FAILED": "a last guard: a child that fails has a failure",
    "AF-STORE-WAL": "no file system at hand lacks a write-ahead log",
}
"""Codes that no test provokes, and why. This list only gets shorter."""


def _found(text: str) -> list[str]:
    file = "agentflow.json" if text.startswith("{") else "agentflow.yaml"
    try:
        return [problem.code for problem in load_text(text, file).warnings]
    except DefinitionError as error:
        return [problem.code for problem in error.problems]


def _configs(section: str) -> list[tuple[str, str]]:
    return list(_examples(section))


def _examples(section: str) -> Iterator[tuple[str, str]]:
    for code in PAGES:
        told = page(code)
        if told is not None and told.sections.get(section, "").startswith(("```yaml", "```json")):
            yield code, told.example(section) or ""


@pytest.mark.parametrize("code", PAGES)
def test_a_page_belongs_to_a_code_says_why_it_matters_and_names_codes_near_it(code: str) -> None:
    told = page(code)
    assert code in CODES
    assert told is not None
    assert told.why.endswith((".", "`")), "sentences"
    assert told.sections.keys() <= set(SECTIONS)
    assert ("Wrong" in told.sections) == ("Right" in told.sections)
    assert ("Fails" in told.sections) == ("Works" in told.sections)
    assert set(told.near) <= CODES.keys() - {code}
    assert told.near or code in ALONE


@pytest.mark.parametrize(("code", "text"), _configs("Wrong"), ids=lambda value: value if value in CODES else "")
def test_a_wrong_example_provokes_its_code_and_no_other(code: str, text: str) -> None:
    assert set(_found(text)) == {code}


@pytest.mark.parametrize(("code", "text"), _configs("Right"), ids=lambda value: value if value in CODES else "")
def test_a_right_example_has_nothing_to_be_told_about(code: str, text: str) -> None:
    assert _found(text) == []


def test_each_code_of_a_check_has_a_wrong_example_or_a_reason_for_none() -> None:
    without = {code for code in CHECKS if code not in dict(_configs("Wrong"))}
    assert without == BY_HAND.keys()


def test_what_works_or_fails_only_when_it_runs_is_valid() -> None:
    for code, text in (*_configs("Works"), *_configs("Fails")):
        assert _found(text) == [], code


def test_sections_of_a_page_are_read() -> None:
    told = parse("Why.\n\nMore.\n\n## Wrong\n```yaml\na: 1\n\nb: 2\n```\n\n## Near\nAF-A, AF-B\n")
    assert told.why == "Why.\n\nMore."
    assert told.example("Wrong") == "a: 1\n\nb: 2"
    assert told.example("Right") is None
    assert told.near == ["AF-A", "AF-B"]


@cache
def _named_in_tests() -> frozenset[str]:
    """Return the codes that tests name, or that their expected texts show."""
    files = (
        file for suffix in ("py", "expected") for file in TESTS.rglob(f"*.{suffix}") if "node_modules" not in file.parts
    )
    texts = (file.read_text(encoding="utf-8") for file in files if file != Path(__file__))
    return frozenset(code for text in texts for code in CODE.findall(text))


def test_each_code_is_provoked_by_a_test_or_stands_in_the_list_of_those_that_are_not() -> None:
    provoked = _named_in_tests() | dict(_configs("Wrong")).keys()
    assert CODES.keys() - provoked == UNPROVOKED.keys()


def test_each_code_has_a_page() -> None:
    assert CODES.keys() - set(PAGES) == set()


@pytest.mark.parametrize("section", ["Fails", "Works"])
def test_a_python_example_does_what_it_says(section: str) -> None:
    for code in PAGES:
        told = page(code)
        if told is None or not told.sections.get(section, "").startswith("```python"):
            continue
        if section == "Works":
            exec(told.example(section) or "", {})
        else:
            with pytest.raises(AgentflowError) as caught:
                exec(told.example(section) or "", {})
            assert caught.value.code == code
