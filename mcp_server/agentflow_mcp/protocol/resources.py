"""Resources: workflows and runs."""

from __future__ import annotations

from typing import Any

import mcp.types as types
from mcp.server import Server
from mcp.shared.exceptions import MCPError

from agentflow.errors import NotFoundError
from agentflow_mcp import resources
from agentflow_mcp.desk import Desk
from agentflow_mcp.protocol.client import Context, principal


def serve_resources(server: Server[dict[str, Any]], desk: Desk) -> None:
    templates = [
        types.ResourceTemplate(
            uri_template=f"{resources.RUNS}{{task_id}}", name="run", description="A run as it is now.",
            mime_type=resources.JSON,
        ),
        types.ResourceTemplate(
            uri_template=f"{resources.WORKFLOWS}{{name}}", name="workflow",
            description="A workflow's definition, and its graph.", mime_type=resources.JSON,
        ),
    ]  # fmt: skip

    async def list_all(ctx: Context, params: types.PaginatedRequestParams) -> types.ListResourcesResult:
        found = [
            types.Resource(
                uri=each.uri, name=each.name, title=each.title, description=each.description, mime_type=resources.JSON
            )
            for each in resources.listed(desk.engine.config)
        ]
        return types.ListResourcesResult(resources=found, ttl_ms=0, cache_scope="private")

    async def list_templates(ctx: Context, params: types.PaginatedRequestParams) -> types.ListResourceTemplatesResult:
        return types.ListResourceTemplatesResult(resource_templates=templates, ttl_ms=0, cache_scope="private")

    async def read(ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        try:
            parts = await resources.read(desk.follower, params.uri, principal(ctx))
        except NotFoundError:
            raise MCPError(types.INVALID_PARAMS, "Resource not found", {"uri": params.uri}) from None
        contents = [types.TextResourceContents(uri=p.uri, mime_type=p.mime_type, text=p.text) for p in parts]
        return types.ReadResourceResult(contents=[*contents], ttl_ms=0, cache_scope="private")

    server.add_request_handler("resources/list", types.PaginatedRequestParams, list_all)
    server.add_request_handler("resources/templates/list", types.PaginatedRequestParams, list_templates)
    server.add_request_handler("resources/read", types.ReadResourceRequestParams, read)
