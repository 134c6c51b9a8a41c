"""The agent. With ANTHROPIC_API_KEY set it asks a model (pip install anthropic), without it answers from a script."""

from __future__ import annotations

import os

MODEL = "claude-sonnet-5-5"


async def write(prompt: str) -> str:
    """Write what the prompt asks for."""
    if not os.environ.get("ANTHROPIC_API_KEY"):
        return scripted(prompt)
    from anthropic import AsyncAnthropic  # noqa: PLC0415  only with a key

    async with AsyncAnthropic() as client:
        answer = await client.messages.create(
            model=MODEL, max_tokens=500, messages=[{"role": "user", "content": prompt}]
        )
    return "".join(block.text for block in answer.content if block.type == "text")


def scripted(prompt: str) -> str:
    """Return what stands for a model's answer."""
    product = prompt.removeprefix("Announce ").removesuffix(" in two sentences.")
    return f"Meet the {product}. You will wonder how you lived without it."
