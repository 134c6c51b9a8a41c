"""The client side: steps call tools of MCP servers."""
