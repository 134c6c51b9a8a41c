"""Failures of runs that other tests look at by what they say, here by their codes."""

from __future__ import annotations

from typing import Any, cast

import pytest

import agentflow
from agentflow.config.load import load_text
from agentflow.engine.finding import find
from agentflow.errors import ConflictError
from agentflow.principal import Principal
from agentflow.store.contract import Store


@pytest.mark.parametrize(
    ("step", "answer", "code"),
    [
        ("{id: a, type: set, value: 1, approve: true}", {"decision": "reject"}, "AF-APPROVAL-REJECTED"),
        ("{id: a, type: set, value: 1, review: true}", {"decision": "reject"}, "AF-REVIEW-REJECTED"),
    ],
)
@pytest.mark.anyio
async def test_a_run_fails_with_the_code(step: str, answer: Any, code: str) -> None:
    config = load_text(f"id: outer\nsteps: [{step}]\n")
    run = await agentflow.run("outer", config=config, answers={"a": answer}, check=False)
    assert run.failure is not None
    assert run.failure.code == code


class _Two:
    """A store in which two runs end alike."""

    async def find(self, ending: str, kind: str, *, principal: object) -> list[str]:
        return [f"a{ending}", f"b{ending}"]


@pytest.mark.anyio
async def test_an_ending_that_two_runs_have_is_not_guessed() -> None:
    with pytest.raises(ConflictError) as caught:
        await find(cast("Store", _Two()), "x7", "run", Principal("local"))
    assert caught.value.code == "AF-ID-AMBIGUOUS"


@pytest.mark.anyio
async def test_a_loop_over_no_list_fails() -> None:
    config = load_text("id: a\ninput: {x: any}\nsteps: [{id: b, type: set, value: 1, for_each: '{input.x}'}]\n")
    run = await agentflow.run(config.workflows["a"], {"x": {"y": 1}}, check=False)
    assert run.failure is not None
    assert run.failure.code == "AF-LOOP-ITEMS"
