"""A workflow calls a workflow of another agentflow over MCP: what the inner one asks is asked by the outer one."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from agentflow.engine import Answer, Decline
from tests.cli.forks import COMMAND
from tests.surface_mcp.client.far import LIMIT, far

pytestmark = pytest.mark.anyio
INNER = """\
name: inner
python: {modules: [shop]}
workflows:
  review:
    input: {amount: {type: integer, default: 20}}
    steps:
      - {id: note, type: python, function: "shop:note"}
      - id: ask
        type: wait_for_input
        message: "Approve {input.amount} EUR?"
        schema: {type: object, properties: {yes: {type: boolean}}, required: [yes]}
        timeout: 1h
    output: {yes: "{steps.ask.yes}"}
"""
MODULE = """\
from pathlib import Path


def note():
    with (Path(__file__).parent / "notes").open("a") as file:
        file.write("noted\\n")
"""


@pytest.fixture
def inner(tmp_path: Path) -> Path:
    """Return the folder of the other agentflow."""
    folder = tmp_path / "inner"
    folder.mkdir()
    (folder / "agentflow.yaml").write_text(INNER)
    (folder / "shop.py").write_text(MODULE)
    return folder


@pytest.mark.slow
async def test_an_inner_wait_is_answered_at_the_outer_run_and_a_cancel_reaches_the_inner_run(
    tmp_path: Path, inner: Path
) -> None:
    tools = {"inner": {"command": COMMAND, "args": ["mcp", "agentflow.yaml"], "cwd": "inner"}}
    async with far(tmp_path, tools) as world:
        run = await world.start("review", "inner", amount=7)
        assert run.state == "input-required"
        (wait,) = await world.engine.waits()
        assert (wait.step, wait.message) == ("call", "Approve 7 EUR?")
        ended = await world.answer(run, Answer({"yes": True}))
        assert (ended.state, ended.output) == ("completed", {"yes": True})
        assert (inner / "notes").read_text() == "noted\n"

        declined = await world.answer(await world.start("review", "inner"), Decline("never"))
        assert declined.state == "failed"
        assert declined.failure is not None
        assert "declined" in declined.failure.message

        left = await world.start("review", "inner", amount=9)
        await world.engine.cancel(left.id)
        listed = await world.start("list_workflow_runs", "inner")
        with anyio.fail_after(LIMIT):
            while listed.output["runs"][0]["status"] not in ("canceled", "cancelled"):
                listed = await world.start("list_workflow_runs", "inner")
    assert (inner / "notes").read_text() == "noted\n" * 3
