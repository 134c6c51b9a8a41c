"""Tests of the workflow. Run them with `pytest`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio

from agentflow.testing import harness

CONFIG = Path(__file__).with_name("agentflow.yaml")


def pay(order: str, amount: float) -> dict[str, Any]:
    """Stand for what moves money."""
    return {"order": order, "amount": amount}


def test_what_is_approved_is_paid_by_the_amount_that_was_approved() -> None:
    async def check() -> None:
        answers = {"pay": {"decision": "edit", "edit": {"amount": 90}}}
        async with harness(CONFIG, functions={"steps:pay": pay}, answers=answers) as h:
            run = await h.run("refund", {"order": "B-2"})
            run.completed(output={"paid": 90})
            assert h.calls("steps:pay") == [{"order": "B-2", "amount": 90}]

    anyio.run(check)


def test_what_is_rejected_is_not_paid() -> None:
    async def check() -> None:
        async with harness(CONFIG, functions={"steps:pay": pay}, answers={"pay": {"decision": "reject"}}) as h:
            run = await h.run("refund")
            run.completed()
            assert h.calls("steps:pay") == []

    anyio.run(check)
