"""What other agents do wrong has a code each."""

from __future__ import annotations

import pytest

from agentflow_a2a.client.faults import Kind, RemoteError, failed


@pytest.mark.parametrize(
    ("kind", "code", "again"),
    [
        ("unreachable", "AF-AGENT-UNREACHABLE", True),
        ("denied", "AF-AGENT-DENIED", False),
        ("not_found", "AF-AGENT-LOST", True),
        ("refused", "AF-AGENT-REFUSED", False),
    ],
)
def test_each_kind_of_fault_has_its_code_and_says_whether_trying_again_helps(
    kind: Kind, code: str, again: bool
) -> None:
    error = failed("helper", RemoteError(kind, "so it said"))
    assert (error.code, error.why, error.retryable) == (code, "so it said", again)
