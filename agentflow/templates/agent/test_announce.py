"""Tests of the workflow, without a model. Run them with `pytest`."""

from __future__ import annotations

from pathlib import Path

import anyio

from agentflow.testing import harness, in_turn

CONFIG = Path(__file__).with_name("agentflow.yaml")


def test_what_is_approved_is_posted_as_it_was_approved() -> None:
    async def check() -> None:
        answers = {"post": {"decision": "edit", "edit": {"text": "Shorter."}}}
        agents = {"writer": in_turn(ConnectionError("overloaded"), "A long text.")}
        async with harness(CONFIG, agents=agents, tools={"post": {"number": 1}}, answers=answers) as h:
            run = await h.run("announce", {"product": "kettle"})
            run.completed(output={"text": "A long text.", "posted": 1})
            assert run.step("draft").attempts == 2
            assert h.calls("post") == [{"text": "Shorter."}]

    anyio.run(check)


def test_what_is_rejected_is_not_posted() -> None:
    async def check() -> None:
        answers = {"post": {"decision": "reject"}}
        async with harness(CONFIG, agents={"writer": "A text."}, tools={"post": {"number": 1}}, answers=answers) as h:
            run = await h.run("announce")
            run.completed()
            assert h.calls("post") == []

    anyio.run(check)
