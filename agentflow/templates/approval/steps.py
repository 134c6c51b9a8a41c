"""What the workflow calls. `pay` writes into a file; yours would ask a payment service."""

from __future__ import annotations

import json
from pathlib import Path

from agentflow import Context

PAYMENTS = Path("payments.jsonl")


def look_up(order: str) -> dict[str, object]:
    """Return what is known about an order."""
    return {"order": order, "customer": "Ana", "paid": 120}


def pay(order: str, amount: float, ctx: Context) -> dict[str, object]:
    """Pay money back, once: after a crash the step comes again, with the same key."""
    lines = PAYMENTS.read_text(encoding="utf-8").splitlines() if PAYMENTS.exists() else []
    if ctx.idempotency_key not in [json.loads(line)["key"] for line in lines]:
        with PAYMENTS.open("a", encoding="utf-8") as payments:
            payments.write(json.dumps({"key": ctx.idempotency_key, "order": order, "amount": amount}) + "\n")
    return {"order": order, "amount": amount}
