"""Each code has a page that holds: its examples do what they say, and what is near it exists."""

from __future__ import annotations

import ast
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
EXPECTING = frozenset({"raises", "match", "failed", "parametrize", "refused", "_refused"})
"""Calls that say what a test expects."""


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


def _expected(tree: ast.AST) -> Iterator[str]:
    """Yield the codes that a test expects: what it only mentions, asks the exit code of, or raises itself is none."""
    stack: list[tuple[ast.AST, bool]] = [(tree, True)]
    while stack:
        node, counts = stack.pop()
        if isinstance(node, ast.Constant):
            if counts and isinstance(node.value, str):
                yield from CODE.findall(node.value)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # a docstring
        else:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                counts = False
            elif isinstance(node, ast.Assert):
                counts = True
            elif isinstance(node, ast.Call):
                name = ast.unparse(node.func).rpartition(".")[2]
                counts = name in EXPECTING or (counts and name != "door" and not name.endswith(("Error", "Failure")))
            stack += [(below, counts) for below in ast.iter_child_nodes(node)]
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                stack += [(each, True) for each in node.decorator_list]


@cache
def _provoked() -> frozenset[str]:
    """Return the codes that tests expect, that their expected texts show, or that examples of pages provoke."""
    found = set(dict(_configs("Wrong")))
    found |= {code for code in PAGES if _section(code, "Fails").startswith("```python")}
    for file in TESTS.rglob("*.py"):
        if "node_modules" not in file.parts and file != Path(__file__):
            found |= {*_expected(ast.parse(file.read_text(encoding="utf-8")))}
    for file in TESTS.rglob("*.expected"):
        if "node_modules" not in file.parts:
            found |= {*CODE.findall(file.read_text(encoding="utf-8"))}
    return frozenset(found)


def _section(code: str, name: str) -> str:
    told = page(code)
    return told.sections.get(name, "") if told is not None else ""


def test_each_code_is_provoked_by_a_test() -> None:
    assert CODES.keys() - _provoked() == set()


def test_a_code_that_a_test_only_mentions_is_not_provoked() -> None:
    said = """def test():
    "AF-A"
    StepError("x", code="AF-B")
    assert door("AF-C").exit_code == 1
    assert told.code == "AF-D"
    run.failed("AF-E")
    other("AF-F")
"""
    assert {*_expected(ast.parse(said))} == {"AF-D", "AF-E"}


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
