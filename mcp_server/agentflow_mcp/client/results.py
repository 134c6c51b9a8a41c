"""What a tool gives, as a step's result."""

from __future__ import annotations

from typing import Any

import mcp.types as types

from agentflow.errors import StepError
from agentflow.steps.contract import Context, Result
from agentflow.steps.failing import shorten
from agentflow.steps.results import read_text
from agentflow.steps.spent import tell_reported


def result_of(tool: str, found: types.CallToolResult, ctx: Context) -> Result:
    """Return a call's result: structured content, else JSON in its text, else `{output: text}`.

    What is neither (images, audio, resources) is in `content`, as the protocol has it.

    Raises:
        StepError: the tool says that it has failed.
    """
    tell_reported(ctx, found.meta)
    texts = [block.text for block in found.content if isinstance(block, types.TextContent)]
    text = "\n".join(texts)
    if found.is_error:
        raise StepError(shorten(text.strip() or f'Tool "{tool}" failed'), code="AF-TOOL-FAILED", kind="exception")
    if found.structured_content is not None or "structured_content" in found.model_fields_set:
        return Result(found.structured_content)
    read: Any = read_text(text)
    others = [block for block in found.content if not isinstance(block, types.TextContent)]
    if others:
        blocks = [block.model_dump(mode="json", by_alias=True, exclude_none=True) for block in others]
        return Result({"output": text.strip(), "content": blocks})
    return Result(read)
