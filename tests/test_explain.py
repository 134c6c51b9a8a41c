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
from agentflow.errors import DefinitionError
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
    "AF-JSON-SYNTAX": "an example in YAML can't have it",
    "AF-SCHEMA-HEADER": "comes from tools that are written in Python",
    "AF-SECRET-SHORT": "depends on the value of a variable",
    "AF-STEP-INVALID": "comes from steps that are built in Python",
    "AF-WORKFLOW-DUPLICATE": "takes two files",
    "AF-YAML-KEY": "most of its examples have other codes too",
}
"""Codes of checks without an example that `validate` refuses, and why. This list only gets shorter."""
UNPROVOKED = frozenset(
    {
        "AF-AGENT-LOST",
        "AF-APPROVAL-CHANGED",
        "AF-APPROVAL-REJECTED",
        "AF-AUTH-TOKEN",
        "AF-CHILD-FAILED",
        "AF-CODE-UNKNOWN",
        "AF-ENTRY-UNKNOWN",
        "AF-ID-AMBIGUOUS",
        "AF-LOOP-ITEMS",
        "AF-PORT-TAKEN",
        "AF-REF-TEXT",
        "AF-REVIEW-REJECTED",
        "AF-RUN-NOT-PAUSED",
        "AF-SCHEMA-NONE",
        "AF-SERVE-ADDRESS",
        "AF-STEP-TYPE-UNKNOWN",
        "AF-STEP-UNKNOWN",
        "AF-STORE-WAL",
    }
)
"""Codes that no test names yet. It gets shorter, never longer."""
PAGELESS = frozenset(
    {
        "AF-AGENT-CANCELED",
        "AF-AGENT-CARD",
        "AF-AGENT-DENIED",
        "AF-AGENT-DEPTH",
        "AF-AGENT-FAILED",
        "AF-AGENT-LOST",
        "AF-AGENT-REFUSED",
        "AF-AGENT-REJECTED",
        "AF-AGENT-UNKNOWN",
        "AF-AGENT-UNREACHABLE",
        "AF-APPROVAL-CHANGED",
        "AF-APPROVAL-REJECTED",
        "AF-AUTH-DECLINED",
        "AF-AUTH-DENIED",
        "AF-AUTH-NEEDED",
        "AF-AUTH-NO-LOGIN",
        "AF-AUTH-REFUSED",
        "AF-AUTH-SCOPES",
        "AF-AUTH-SERVER",
        "AF-AUTH-STATE",
        "AF-AUTH-TIMEOUT",
        "AF-AUTH-TOKEN",
        "AF-BUDGET-STOPPED",
        "AF-CARD-KEY",
        "AF-CHILD-CANCELED",
        "AF-CHILD-FAILED",
        "AF-CODE-UNKNOWN",
        "AF-CONDITION-FAILED",
        "AF-CONFLICT",
        "AF-DEFECT",
        "AF-ENTRY-UNKNOWN",
        "AF-EVENT-INVALID",
        "AF-EVENT-TOO-LARGE",
        "AF-FAILED",
        "AF-HTTP-DECODE",
        "AF-HTTP-NETWORK",
        "AF-HTTP-REQUEST",
        "AF-HTTP-SIZE",
        "AF-HTTP-STATUS",
        "AF-ID-AMBIGUOUS",
        "AF-INPUT-INVALID",
        "AF-INPUT-TOO-LARGE",
        "AF-INPUT-UNKNOWN",
        "AF-INSTALL",
        "AF-INTERRUPTED",
        "AF-KEY-CONFLICT",
        "AF-LIMIT-DEPTH",
        "AF-LOOP-ITEMS",
        "AF-LOOP-LIMIT",
        "AF-NETWORK-DENIED",
        "AF-OUTPUT-INVALID",
        "AF-OUTPUT-LOST",
        "AF-PLATFORM",
        "AF-PORT-TAKEN",
        "AF-PYTHON-ARGUMENTS",
        "AF-PYTHON-DENIED",
        "AF-PYTHON-IMPORT",
        "AF-PYTHON-RAISED",
        "AF-PYTHON-UNKNOWN",
        "AF-REF-JSONPATH",
        "AF-REF-MISSING",
        "AF-REF-TEXT",
        "AF-REPLY-BUTTONS",
        "AF-RESULT-INVALID",
        "AF-RESULT-TOO-LARGE",
        "AF-REVIEW-REJECTED",
        "AF-RUN-ACTIVE",
        "AF-RUN-CANCELED",
        "AF-RUN-CHILD",
        "AF-RUN-ENDED",
        "AF-RUN-NOT-PAUSED",
        "AF-RUN-NOT-WAITING",
        "AF-RUN-STUCK",
        "AF-RUN-UNKNOWN",
        "AF-SCHEMA-NONE",
        "AF-SCRIPT-EXIT",
        "AF-SCRIPT-JSON",
        "AF-SCRIPT-OUTPUT",
        "AF-SCRIPT-START",
        "AF-SEAL-BROKEN",
        "AF-SEAL-FILE",
        "AF-SEAL-KEY",
        "AF-SERVE-ADDRESS",
        "AF-SERVE-OPEN",
        "AF-SHUTTING-DOWN",
        "AF-SKILL-DENIED",
        "AF-SLOT-DEADLOCK",
        "AF-STEP-CRASHED",
        "AF-STEP-FAILED",
        "AF-STEP-INVALID",
        "AF-STEP-RAISED",
        "AF-STEP-TYPE-UNKNOWN",
        "AF-STEP-UNKNOWN",
        "AF-STORE-BUSY",
        "AF-STORE-DAMAGED",
        "AF-STORE-EXISTS",
        "AF-STORE-FAILED",
        "AF-STORE-FORMAT",
        "AF-STORE-FULL",
        "AF-STORE-GONE",
        "AF-STORE-IN-USE",
        "AF-STORE-IO",
        "AF-STORE-MISSING",
        "AF-STORE-NETWORK",
        "AF-STORE-NEWER",
        "AF-STORE-OPEN",
        "AF-STORE-READONLY",
        "AF-STORE-SQLITE",
        "AF-STORE-WAL",
        "AF-TIME-OVER",
        "AF-TIMEOUT",
        "AF-TOKENS-INVALID",
        "AF-TOOL-CANCELED",
        "AF-TOOL-CONNECTION",
        "AF-TOOL-FAILED",
        "AF-TOOL-RESULT",
        "AF-TOOL-UNKNOWN",
        "AF-USAGE",
        "AF-WAIT-AMBIGUOUS",
        "AF-WAIT-CLOSED",
        "AF-WAIT-CONFLICT",
        "AF-WAIT-DECLINED",
        "AF-WAIT-HUMAN",
        "AF-WAIT-INVALID",
        "AF-WAIT-OPEN",
        "AF-WAIT-TIMEOUT",
        "AF-WAIT-TOO-LARGE",
        "AF-WAIT-UNKNOWN",
        "AF-WORKER-INVALID",
        "AF-WORKFLOW-UNKNOWN",
    }
)
"""Codes without a page yet. It gets shorter, never longer."""


def _found(text: str) -> list[str]:
    try:
        return [problem.code for problem in load_text(text).warnings]
    except DefinitionError as error:
        return [problem.code for problem in error.problems]


def _yaml(section: str) -> list[tuple[str, str]]:
    return list(_examples(section))


def _examples(section: str) -> Iterator[tuple[str, str]]:
    for code in PAGES:
        told = page(code)
        if told is not None and told.sections.get(section, "").startswith("```yaml"):
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


@pytest.mark.parametrize(("code", "text"), _yaml("Wrong"), ids=lambda value: value if value in CODES else "")
def test_a_wrong_example_provokes_its_code_and_no_other(code: str, text: str) -> None:
    assert set(_found(text)) == {code}


@pytest.mark.parametrize(("code", "text"), _yaml("Right"), ids=lambda value: value if value in CODES else "")
def test_a_right_example_has_nothing_to_be_told_about(code: str, text: str) -> None:
    assert _found(text) == []


def test_each_code_of_a_check_has_a_wrong_example_or_a_reason_for_none() -> None:
    without = {code for code in CHECKS if code not in dict(_yaml("Wrong"))}
    assert without == BY_HAND.keys()


def test_what_works_or_fails_only_when_it_runs_is_valid() -> None:
    for code, text in (*_yaml("Works"), *_yaml("Fails")):
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
    provoked = _named_in_tests() | dict(_yaml("Wrong")).keys()
    assert CODES.keys() - provoked == UNPROVOKED


def test_each_code_has_a_page_or_stands_in_the_list_of_those_that_lack_one() -> None:
    assert CODES.keys() - set(PAGES) == PAGELESS
