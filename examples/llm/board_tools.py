"""What the agents may look up, and what the workflow does in the end. Neither knows of any model."""

from __future__ import annotations

import json
from pathlib import Path

from agentflow import Context

PRODUCTS = {"kettle": "It boils a litre in 90 seconds. It costs 39 euros. It weighs 800 grams."}
BOARD = Path("board.jsonl")


def facts(product: str) -> str:
    """Look up what is known about a product."""
    return PRODUCTS.get(product, f"Nothing is known about {product}.")


def post(text: str, ctx: Context) -> dict[str, int]:
    """Put a text on the board, once: after a crash the step comes again, with the same key.

    Args:
        text: what is posted.
        ctx: of the step.
    """
    lines = BOARD.read_text(encoding="utf-8").splitlines() if BOARD.exists() else []
    keys = [json.loads(line)["key"] for line in lines]
    if ctx.idempotency_key not in keys:
        keys.append(ctx.idempotency_key)
        with BOARD.open("a", encoding="utf-8") as board:
            board.write(json.dumps({"key": ctx.idempotency_key, "text": text}) + "\n")
    return {"number": keys.index(ctx.idempotency_key) + 1}
