"""What steps have decided is read back as it was written, also by older versions, and nothing where it is damaged."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow.data import decode, encode
from agentflow.engine.decided import (
    DELAY,
    DUE,
    UNDECIDED,
    Canceling,
    Decided,
    Early,
    Ending,
    Parked,
    Undoing,
    Undone,
    decided_of,
    encoded,
    salvaged_of,
)
from agentflow.errors import Failure

FAILURE = Failure("AF-TIMEOUT", "too long", kind="timeout", step="box")
REPORT = [{"step": "a", "reason": "compensated"}, {"step": "b", "reason": "compensation_failed", "message": "no"}]
HOOKS = {"stages": ["on_failure", "finally"], "outcome": "failed", "failure": FAILURE.to_data(), "halting": None}
OLD: dict[str, tuple[dict[str, Any], Decided]] = {
    "a time of its own": ({"stage": "delay"}, DELAY),
    "its time has come": ({"stage": "due"}, DUE),
    "a wait": (
        {"park": {"then": "enter", "state": [1]}, "default": None, "kind": "input"},
        Decided(parked=Parked("enter", [1], "input", None)),
    ),
    "an answer": (
        {"park": {"then": "enter", "state": None}, "arrived": None},
        Decided(parked=Parked("enter", arrived=None)),
    ),
    "an operator": (
        {"park": {"then": "operator", "state": None}, "kind": "operator"},
        Decided(parked=Parked("operator", kind="operator")),
    ),
    "a saved state": ({"saved": None, "unbegun": True}, Decided(saved=None, unbegun=True)),
    "reducers": ({"stage": "due", "reducing": True}, Decided(stage="due", reducing=True)),
    "chunks from elsewhere": ({"delivered": [2, 7]}, Decided(delivered=(2, 7))),
    "a question of a budget": (
        {"stage": "due", "asked": {"how": "anew", "of": "r1", "what": "cost"}},
        Decided(stage="due", asked={"how": "anew", "of": "r1", "what": "cost"}),
    ),
    "a budget": ({"budget": {"steps": 3, "raised": {"cost": 5}}}, Decided(budget={"steps": 3, "raised": {"cost": 5}})),
    "a loop": ({"own": {"items": [1, 2]}}, Decided(own={"items": [1, 2]})),
    "an early end": (
        {"end": {"state": "rejected", "message": "no", "by": "stop", "output": None}},
        Decided(early=Early("rejected", None, "no", "stop")),
    ),
    "hooks": (HOOKS, Decided(ending=Ending("failed", ("on_failure", "finally"), FAILURE))),
    "an end without hooks": (
        {"stages": [], "outcome": "canceled", "failure": None, "halting": "run_canceled"},
        Decided(ending=Ending("canceled", halting="run_canceled")),
    ),
    "a time that was over": ({"timeout": FAILURE.to_data()}, Decided(late=FAILURE)),
    "a saga": (
        {"undo": ["c"], "report": REPORT},
        Decided(undoing=Undoing(("c",), (Undone("a", "compensated"), Undone("b", "compensation_failed", "no")))),
    ),
    "a cancel": ({"cancel": {"by": "ann", "force": True}}, Decided(canceling=Canceling("ann", True))),
    "a parent's cancel": (
        {"cancel": {"by": "parent", "reason": "timeout"}},
        Decided(canceling=Canceling("parent", reason="timeout")),
    ),
}


@pytest.mark.parametrize("name", OLD)
def test_what_is_stored_is_read_and_written_as_it_was(name: str) -> None:
    data, decided = OLD[name]
    assert decided_of(encode(data)) == decided
    assert decode(encoded(decided)) == data


def test_a_container_keeps_all_of_its_decisions_together() -> None:
    data: dict[str, Any] = {"own": {"n": 3}, "timeout": FAILURE.to_data(), **HOOKS, "undo": [], "report": REPORT}
    assert decode(encoded(decided_of(encode(data)))) == data


def test_what_nothing_was_decided_about_takes_no_room() -> None:
    assert (encoded(UNDECIDED), encoded(Decided())) == (b"", b"")
    assert decided_of(None) is decided_of(b"") is UNDECIDED


def test_the_numbers_of_a_step_stand_beside_its_decisions() -> None:
    raw = encoded(DUE, undone=2, tolerated=1)
    assert decode(raw) == {"stage": "due", "undone": 2, "tolerated": 1}
    assert (decided_of(raw).undone, decided_of(raw).tolerated, decided_of(b'{"undone":1}').tolerated) == (2, 1, None)


@pytest.mark.parametrize(
    "raw", [b"{", b"null", b"[1]", b'"text"', b'{"stages":3,"end":[],"park":1,"undo":{},"own":[],"delivered":[1]}']
)
def test_of_damaged_decisions_nothing_is_left(raw: bytes) -> None:
    assert salvaged_of(raw) == UNDECIDED


def test_a_cancel_that_says_that_it_needs_no_force_is_one_without() -> None:
    assert decided_of(b'{"cancel":{"by":"ann","force":false,"reason":null}}').canceling == Canceling("ann")
