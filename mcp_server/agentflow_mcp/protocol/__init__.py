"""All that knows the SDK: it makes a server of a desk, and serves it over streams and over HTTP."""

from agentflow_mcp.protocol.lines import serve_lines
from agentflow_mcp.protocol.server import make_server

__all__ = ("make_server", "serve_lines")
