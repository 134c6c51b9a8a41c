"""Functions that the tests of the Python API give to steps."""

from __future__ import annotations

from agentflow import Context, step


@step(retry=3)
def score(amount: float) -> float:
    """Score an amount."""
    return amount * 2


@step
async def greeting(ctx: Context) -> str:
    return f"hello {ctx.input['name']}"


def double(n: int) -> int:
    return 2 * n


def numbers() -> list[int]:
    return [1, 2, 3]


def is_big(n: int) -> bool:
    return n > 3


def kind(ctx: Context) -> str:
    return "large" if ctx.input["n"] > 3 else "small"


def enough(found: dict[str, int]) -> bool:
    return found["n"] >= 2
