"""Functions that the examples call."""

from __future__ import annotations

from typing import Any

from agentflow import Context

_asked: dict[str, int] = {}


def total(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Add up what items cost."""
    return {"total": sum(item["price"] * item["count"] for item in items), "items": len(items)}


def count(items: list[Any]) -> int:
    """Count items."""
    return len(items)


def double(number: int | None) -> int:
    """Double a number; begin with one."""
    return 2 * (number or 1)


def draw(round: int, wanted: int) -> dict[str, Any]:  # noqa: A002  named as in the examples
    """Look whether this round is the wanted one."""
    return {"number": round, "found": round == wanted}


def no_car() -> None:
    """Fail, as a booking may."""
    raise RuntimeError("no car is free")


def job_status(ctx: Context) -> dict[str, Any]:
    """Tell how far a run's job is: done when it is asked for the third time."""
    asked = _asked[ctx.run_id] = _asked.get(ctx.run_id, 0) + 1
    return {"done": asked >= 3, "asked": asked}


def search(query: str, limit: int = 2) -> dict[str, Any]:
    """Find titles that hold a word."""
    titles = ["Durable workflows", "Workflows as data", "Waiting for people", "Workflows in practice"]
    found = [title for title in titles if query.lower() in title.lower()]
    return {"found": found[:limit], "more": len(found) > limit}


def summarise(prompt: str, input: list[str]) -> dict[str, Any]:  # noqa: A002  an agent's data is called so
    """Stand in for an agent: say what it was asked."""
    return {"summary": f"{prompt}: {len(input)} texts"}
