"""What people are shown at a step's gate, whichever door asks them."""

from __future__ import annotations

from agentflow.definition.gate_told import told_of


def test_each_gate_shows_what_it_is_about_and_other_waits_show_nothing() -> None:
    would = {"function": "shop:pay", "input": {"amount": 150}}
    approve = told_of({"gate": "approve", "type": "python", "would": would, "effect": "at_most_once"})
    assert approve == ("What would run: python, at most once", "function: shop:pay\ninput:\n  amount: 150")
    assert told_of({"gate": "review", "result": {"a": 1}}) == ("What the step has given", '{"a": 1}')
    broken = told_of({"gate": "interrupted", "attempt": 1, "started_at": 0.0, "idempotency_key": "k"})
    assert broken == ("What is known", "attempt: 1\nbegun: 1970-01-01 00:00:00+00:00\nidempotency key: k")
    assert told_of({"human_only": True}) is None
