"""Random workflows whose steps wait for the slots of a few keys, and for a budget as well: rare among all others."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from tests.engine.plans import RAISED, Plan, calls

_LEAVES = ("call", "call", "each", "each", "delay", "wait", "tool")
_GROUPS = ("sequence", "parallel", "saga", "for_each", "sub")
_OUTER, _INNER = 1, 2
"""Which keys steps need: those of containers come first, so none waits for ever."""


@st.composite
def contended(draw: st.DrawFn) -> Plan:
    """Make a whole workflow, as the plan of its root."""
    plans = [draw(_containers(f"s{n}") | _leaves(f"s{n}", _OUTER)) for n in range(draw(st.integers(2, 4)))]
    body = tuple(replace(plan, parallel=draw(st.sampled_from((True, True, False)))) for plan in plans)
    return Plan("main", "flow", body=body, budget=draw(st.sampled_from((*RAISED, "steps"))))


@st.composite
def _containers(draw: st.DrawFn, name: str) -> Plan:
    key = draw(st.sampled_from((None, _OUTER, _OUTER)))
    kind = draw(st.sampled_from(_GROUPS))
    inside = st.sampled_from((_OUTER, _INNER)) if key is None else st.just(_INNER)
    return Plan(
        name,
        kind,
        key=key,
        tries=draw(st.sampled_from((1, 1, 2))),
        chain=kind == "sequence" or draw(st.booleans()),
        rounds=draw(st.integers(1, 3)),
        body=tuple(draw(_leaves(f"s{n}", draw(inside))) for n in range(draw(st.integers(1, 3)))),
        undo=draw(calls("u", 1)),
    )


@st.composite
def _leaves(draw: st.DrawFn, name: str, key: int) -> Plan:
    kind = draw(st.sampled_from(_LEAVES))
    plan = Plan(
        name,
        kind,
        key=draw(st.sampled_from((None, key, key))),
        pause=draw(st.sampled_from((False, False, True))),
    )
    if kind not in {"call", "each"}:
        return plan
    return replace(
        plan,
        fails=draw(st.integers(0, 3)),
        tries=draw(st.integers(1, 3)),
        action=draw(st.sampled_from((None, "retry", "retry", "skip"))),
        rounds=draw(st.integers(1, 3)),
        counts=draw(st.booleans()),
        gate=draw(st.sampled_from((None, None, None, None, "approved", "approved each time", "call approved"))),
    )
