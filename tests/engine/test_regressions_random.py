"""What random workflows have found, reduced: each with a crash at any of its fault points, in both modes.

They go through the oracle and the invariants, as in `test_properties`. `make test` leaves out some of the points that
`make test-slow` takes.
"""

from __future__ import annotations

import pytest

from agentflow.faultpoints import POINTS
from tests.engine.plans import RAISED, Plan
from tests.engine.test_properties import the_end_is_the_oracles, the_race_ends_well
from tests.engine.world import Meddler

MODES = pytest.mark.parametrize("replay", [False, True], ids=["cached", "replayed"])
CALL = Plan("call")
UNDONE = Plan("pay", undo=(Plan("u0"),))
FORETOLD = {
    "a step in order waits for the losers of depends_on_any too": (
        Plan("fast"),
        Plan("slow", "delay"),
        Plan("first", any_of=("slow", "fast")),
        Plan("after"),
    ),
    "a step that its operator fails has its end in the log": (Plan("bad", fails=1, action="fail"),),
    "a loop that goes on after a failed iteration doesn't end that iteration twice": (
        Plan("loop", "while", rounds=0, body=(Plan("bad", fails=1), Plan("more"))),
        Plan("nap", "delay"),
    ),
    "who waits for a run hears of an answer that moved only its child run": (
        Plan("child", "sub", body=(Plan("each", "each", fails=1, action="skip"),)),
        CALL,
    ),
    "a saga that is tried again undoes anew": (
        Plan(
            "trip", "saga", tries=2, body=(UNDONE, Plan("bad", fails=2), Plan("worse", "sequence", body=(UNDONE, CALL)))
        ),
    ),
    "a loop in a saga that is tried again undoes anew": (
        Plan(
            "trip", "saga", tries=2, body=(Plan("loop", "recur", limit=1, body=(UNDONE,), last=(Plan("h", fails=1),)),)
        ),
    ),
    "a container inside one that is tried again keeps its result": (
        Plan(
            "box", "sequence", tries=2, body=(Plan("inner", "sequence", body=(CALL,)), CALL), last=(Plan("h", fails=1),)
        ),
        Plan("next", sees="box"),
    ),
    "a step whose host died after its wait has an attempt of its own, also when it is read anew": (
        Plan("asks", gate="call approved"),
    ),
    "who waits for a run hears of a wait that has the slot for which a child run waits": (
        Plan("box", "sequence", parallel=True, body=(Plan("ask", "wait", key=1),)),
        Plan("child", "sub", parallel=True, body=(Plan("in", "sub", body=(Plan("call", key=1),)),)),
    ),
    "so he does where the host has died before it could tell": (
        Plan("box", "sequence", parallel=True, key=1, body=(Plan("ask", "wait"),)),
        Plan("late", parallel=True, pause=True, key=1),
    ),
}
_AGAIN = Plan("all", "each", fails=3, tries=3, action="retry", rounds=3, key=1)
BUDGETED = {
    "a step that has a slot when its run is read anew isn't waited for by one that waits for that slot": (
        Plan("first", "each", rounds=1),
        Plan("box", "saga", body=(_AGAIN,)),
    ),
    "so it isn't in a sequence": (Plan("first", "each", rounds=1), Plan("box", "sequence", body=(_AGAIN,))),
    "a step that waits for the slot of a container has nothing reserved that a step inside of it needs": (
        Plan("box", "sequence", key=1, parallel=True, body=(Plan("nap", "delay"), CALL)),
        Plan("first", parallel=True),
        Plan("outside", depends=("first",), key=1),
    ),
    "nor has it where its own time has let it begin later": (
        Plan("box", "sequence", key=1, parallel=True, body=(Plan("nap", "delay"), CALL)),
        Plan("outside", parallel=True, key=1, pause=True),
        Plan("first", parallel=True, pause=True),
    ),
}
CANCELED = Plan(
    "main",
    "flow",
    body=(Plan("box", "parallel", pause=True, body=(Plan("nap", "delay"), CALL)), Plan("more")),
    last=(Plan("tidy"),),
)
RETRIED = Plan("main", "flow", body=(Plan("bad", fails=2, tries=3, tolerated=True), Plan("ask", "wait")))


@MODES
@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.slow)], ids=["some", "each"])
@pytest.mark.parametrize("name", FORETOLD)
def test_what_random_workflows_found_stays_mended(name: str, every: int, replay: bool) -> None:
    plan = Plan("main", "flow", body=FORETOLD[name])
    the_end_is_the_oracles(plan, [], stored=False, replay=replay)
    for point in POINTS:
        for nth in range(1, 9, every):
            if not the_end_is_the_oracles(plan, [(point, nth)], stored=False, replay=replay).struck:
                break


@MODES
@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.slow)], ids=["some", "each"])
@pytest.mark.parametrize("kind", ["steps", *(pytest.param(kind, marks=pytest.mark.slow) for kind in RAISED[1:])])
@pytest.mark.parametrize("name", BUDGETED)
def test_budgets_and_keys_never_wait_for_each_other(name: str, kind: str, every: int, replay: bool) -> None:
    plan = Plan("main", "flow", body=BUDGETED[name], budget=kind)
    the_end_is_the_oracles(plan, [], stored=False, replay=replay)
    for point in POINTS[::every]:
        the_end_is_the_oracles(plan, [(point, every)], stored=False, replay=replay)


REVIEWED = Plan("main", "flow", body=(Plan("draft", gate="sent back"),))
AGAIN = Plan(
    "main",
    "flow",
    body=(Plan("box", "sequence", tries=2, body=(CALL,), last=(Plan("h", fails=1),)), Plan("more")),
)


@MODES
@pytest.mark.parametrize("at", [4, *(pytest.param(at, marks=pytest.mark.slow) for at in (1, 2, 3, 5, 6, 7))])
@pytest.mark.parametrize(
    ("what", "plan"),
    [("cancel", CANCELED), ("cancel", AGAIN), ("cancel", REVIEWED), ("pause", RETRIED)],
    ids=["while a step runs", "between two tries", "before a review", "paused"],
)
def test_a_cancel_or_a_pause_among_crashes_leaves_no_run_behind(what: str, plan: Plan, at: int, replay: bool) -> None:
    for point in POINTS[:2]:
        for nth in range(1, 7):
            if not the_race_ends_well(plan, [(point, nth)], Meddler(what, at), stored=False, replay=replay).struck:
                break
