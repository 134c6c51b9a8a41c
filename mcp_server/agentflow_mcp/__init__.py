"""Home of the MCP server and of MCP tools. They arrive in a later release: there is nothing to import yet."""
