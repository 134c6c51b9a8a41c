"""Rows and views of what steps have used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from agentflow.usage import Usage

By = Literal["workflow", "model", "owner"]


class UsageRow(NamedTuple):
    """What one entry of an attempt has used of one model so far: it replaces what was stored of that."""

    n: int
    """Number of the step."""
    attempt: int
    entry: int
    model: str
    at: float
    usage: Usage


class Used(NamedTuple):
    """What a transition says of usage in a run."""

    total: bytes
    """JSON: the sum of the run and of those below it."""
    rows: Sequence[UsageRow] = ()


class UsageView(NamedTuple):
    """The same, with whose it is."""

    run: int
    run_id: str
    workflow: str
    step: str
    """Address of the step."""
    n: int
    attempt: int
    entry: int
    model: str
    at: float
    usage: Usage


class UsageQuery(NamedTuple):
    """Which usage is summed."""

    by: By = "workflow"
    owner: str | None = None
    tenant: str = ""
    """Of the owner, where one is given."""
    agent: str | None = None
    since: float | None = None
    """Only what was told at or after this time."""


class UsageSum(NamedTuple):
    """What was used of one workflow, by one owner, or of one model, in one currency."""

    name: str
    runs: int
    """In how many root runs."""
    usage: Usage
