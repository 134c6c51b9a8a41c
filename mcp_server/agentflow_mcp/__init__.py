"""The MCP server: workflows are tools, and whoever calls one can answer what its run asks.

`protocol` alone knows the SDK. What tools there are (`catalogue`), what a call does (`desk`, `following`, `controls`)
and what it says (`documents`, `results`) are plain data, the same for every client and transport.
"""
