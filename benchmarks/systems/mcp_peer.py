"""What MCP costs without us: a bare server of the SDK with trivial tools, over HTTP. Nothing is kept.

    python benchmarks/systems/mcp_peer.py --port N --tools FILE

FILE has the tools as `tools/list` gives them; each gives back its text.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import mcp.types as types
import uvicorn
from mcp.server import Server, ServerRequestContext
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def health(_: Request) -> PlainTextResponse:
    """Tell that it is up."""
    return PlainTextResponse("ok")


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tools", type=Path, required=True)
    given = parser.parse_args()
    tools = [types.Tool.model_validate(each) for each in json.loads(given.tools.read_text(encoding="utf-8"))]

    async def list_tools(
        ctx: ServerRequestContext[Any], params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return types.ListToolsResult(tools=tools, ttl_ms=0, cache_scope="private")

    async def call_tool(ctx: ServerRequestContext[Any], params: types.CallToolRequestParams) -> types.CallToolResult:
        said = {"text": (params.arguments or {}).get("text", "")}
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=json.dumps(said))], structured_content=said
        )

    schemas = {tool.name: tool.input_schema for tool in tools}  # else the SDK asks for the whole list in each call
    server = Server[Any]("bare", get_tool_input_schema=schemas.get, on_list_tools=list_tools, on_call_tool=call_tool)
    app = server.streamable_http_app(custom_starlette_routes=[Route("/healthz", health)])
    uvicorn.run(app, host="127.0.0.1", port=given.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
