"""`agentflow validate --online` asks the servers of the config's tools, and tells what can't be called there."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentflow.cli.actions.online import check_online
from agentflow.config.load import load_text
from agentflow.data import encode
from tests.surface_mcp.client.far import entry, ledger

CONFIG = """\
env: [{name: PASS, default: swordfish}]
python: {modules: [scores]}
tools:
  far: ENTRY
  gone: {command: no-such-program, env: {TOKEN: "{env.PASS}"}}
  score: {python: "scores:score"}
workflows:
  calls:
    input: {x: string}
    steps:
      - {id: a, type: tool_call, server: far, tool_name: ecko, input: {text: hi}}
      - {id: b, type: tool_call, server: far, tool_name: echo, input: {text: 3}}
      - {id: c, type: tool_call, server: far, tool_name: echo, input: {txt: "{input.x}"}}
      - {id: d, type: tool_call, server: far, tool_name: echo, input: {text: "{input.x}"}}
      - {id: e, type: tool_call, tool_name: score, with: {n: x, m: 1}}
      - {id: f, type: tool_call, server: gone, tool_name: anything}
      - {id: g, type: tool_call, server: far, tool_name: "{input.x}"}
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str, str, int, str | None]]:
    """Return what is told of the config."""
    folder: Path = tmp_path_factory.mktemp("online")
    (folder / "scores.py").write_text("def score(n: int, m: int = 2) -> int:\n    return n\n")
    config = load_text(CONFIG.replace("ENTRY", encode(entry(folder)).decode()), folder=folder)
    problems = check_online(config)
    assert not ledger(folder, "call")
    return [(p.severity, p.code, p.message, p.place.line if p.place else 0, p.label) for p in problems]


def test_what_a_server_lacks_and_what_doesnt_fit_is_told_where_it_stands(
    told: list[tuple[str, str, str, int, str | None]],
) -> None:
    assert [each for each in told if each[0] == "error"] == [
        ("error", "AF-TOOL-UNKNOWN", 'server "far" has no tool "ecko"', 11, 'did you mean "echo"?'),
        (
            "error", "AF-TOOL-ARGUMENTS",
            'the input of step "b" doesn\'t fit tool "echo": text: 3 is not of type "string"', 12, None,
        ),
        (
            "error", "AF-TOOL-ARGUMENTS",
            'the input of step "c" doesn\'t fit tool "echo": "text" is a required property', 13, None,
        ),
        (
            "error", "AF-TOOL-ARGUMENTS",
            'the input of step "e" doesn\'t fit tool "score": n: "x" is not of type "integer"', 15, None,
        ),
    ]  # fmt: skip


def test_a_server_that_isnt_there_is_a_warning(told: list[tuple[str, str, str, int, str | None]]) -> None:
    (warning,) = [each for each in told if each[0] == "warning"]
    assert warning[1] == "AF-TOOL-CONNECTION"
    assert warning[2].startswith('server "gone" can\'t be started')
    assert warning[3] == 5
