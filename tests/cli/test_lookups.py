"""What isn't there, or can't be done now, is told with its code."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentflow.codes import CODES, door


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("explain xyzzy", "AF-CODE-UNKNOWN"),
        ("steps scrpt", "AF-STEP-TYPE-UNKNOWN"),
        ("schema slow", "AF-SCHEMA-NONE"),
        ("run hello --entry-point nowhere", "AF-ENTRY-UNKNOWN"),
        ("runs show @last --step nowhere", "AF-STEP-UNKNOWN"),
        ("runs unpause @last", "AF-RUN-NOT-PAUSED"),
    ],
)
def test_what_can_not_be_found_or_done_has_its_code(project: Any, command: str, code: str) -> None:
    if "@last" in command:
        project.run("run", "report", "--no-ask")
    done = project.run(*command.split())
    assert done.returncode == door(code).exit_code
    assert done.stderr.startswith(f"error[{code}]: "), done.stderr


def test_explain_is_a_page_and_as_json_a_document(project: Any) -> None:
    text = project.run("explain", "ref-step").stdout
    assert text.startswith(f"AF-REF-STEP: {CODES['AF-REF-STEP'].means}\n\n")
    for part in ("\nwrong:\n    id: report\n", "\nright:\n    id: report\n", "\nfix: ", "\nnear:\n  AF-REF-FIELD: "):
        assert part in text
    assert text.endswith("\n\nexit code 65 (invalid)\n")
    told = json.loads(project.run("explain", "AF-REF-STEP", "--json").stdout)
    assert told["why"].startswith("The reference would have no value")
    assert told["examples"].keys() == {"wrong", "right"}
    assert "AF-REF-FIELD" in told["near"]
