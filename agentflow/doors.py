"""What a stable error code is, and how each category of errors is told at each door."""

from __future__ import annotations

from typing import Literal, NamedTuple

Category = Literal[
    "failed", "usage", "invalid", "unknown", "missing", "defect", "conflict", "parked", "canceled", "denied", "timeout",
    "output",
]  # fmt: skip


class Door(NamedTuple):
    """How one category of errors is told at each door."""

    exit_code: int
    http: int
    json_rpc: int


DOORS: dict[Category, Door] = {
    "failed": Door(1, 500, -32000),
    "usage": Door(2, 400, -32602),
    "invalid": Door(65, 422, -32602),
    "unknown": Door(66, 404, -32001),
    "missing": Door(69, 503, -32003),
    "defect": Door(70, 500, -32603),
    "conflict": Door(73, 409, -32004),
    "parked": Door(75, 202, -32005),
    "canceled": Door(76, 410, -32002),
    "denied": Door(77, 403, -32006),
    "timeout": Door(124, 504, -32007),
    "output": Door(74, 500, -32000),
}


class Code(NamedTuple):
    """One stable code."""

    category: Category
    means: str
    fix: str
