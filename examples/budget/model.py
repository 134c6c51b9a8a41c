"""A model that answers without a key: as real ones do, it says how many tokens it took."""

from __future__ import annotations


async def ask(prompt: str) -> dict[str, object]:
    """Answer as OpenAI's chat completions do: what it used is read from the answer by itself."""
    answer = f"{prompt} Little."
    return {
        "object": "chat.completion",
        "model": "tiny-1-2026-01-31",
        "choices": [{"message": {"role": "assistant", "content": answer}}],
        "usage": {"prompt_tokens": 800, "completion_tokens": 300},
    }
