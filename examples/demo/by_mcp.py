"""Lets an MCP client start the demo over stdio: a call asks the client's user, and gives the result."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from mcp import Client, StdioServerParameters
from mcp.client.session import ClientRequestContext
from mcp.client.stdio import stdio_client
from mcp.types import ElicitRequestFormParams, ElicitRequestParams, ElicitResult

HERE = Path(__file__).parent
AGENTFLOW = str(Path(sys.executable).with_name("agentflow"))


async def user(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
    """Say what the user is asked, and what the user says."""
    fields = ", ".join(params.requested_schema["properties"]) if isinstance(params, ElicitRequestFormParams) else ""
    answer = {"decision": "keep"}
    print(f"? {params.message} [{fields}]\n! {json.dumps(answer)}", file=sys.stderr)
    return ElicitResult(action="accept", content={**answer})


async def use() -> bool:
    """Call the report, and print the result; tells whether there is one."""
    command = [AGENTFLOW, "mcp"]
    print("$ agentflow mcp", file=sys.stderr)
    server = StdioServerParameters(command=command[0], args=command[1:], cwd=str(HERE))
    async with Client(stdio_client(server), elicitation_callback=user) as client:
        print("tools:", *(tool.name for tool in (await client.list_tools()).tools), file=sys.stderr)
        arguments = {"root": "../.."}
        print(f"→ report {json.dumps(arguments)}", file=sys.stderr)
        result = await client.call_tool("report", arguments)
        print("←", "failed" if result.is_error else "completed", file=sys.stderr)
        print(json.dumps(result.structured_content, indent=2))
        return not result.is_error


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(use()) else 1)
