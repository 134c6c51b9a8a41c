"""Tests of the workflow. Run them with `pytest`."""

from __future__ import annotations

from pathlib import Path

import anyio

from agentflow.testing import harness

CONFIG = Path(__file__).with_name("agentflow.yaml")


def test_everybody_is_greeted() -> None:
    async def check() -> None:
        async with harness(CONFIG) as h:
            run = await h.run("hello", {"names": ["Ana"]})
            run.completed(output={"greetings": ["Hello Ana!"], "letters": 10})

    anyio.run(check)


def test_a_greeting_that_fails_stops_the_run() -> None:
    async def check() -> None:
        async with harness(CONFIG, functions={"steps:greet": ValueError("no name")}) as h:
            run = await h.run("hello")
            run.failed(match="no name")
            run.step("count").not_reached()

    anyio.run(check)
