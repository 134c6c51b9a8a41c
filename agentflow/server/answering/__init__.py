"""The page where a person answers a wait: whoever has its address may, as long as the wait is open."""

from agentflow.server.answering.links import Link, link_to, opened
from agentflow.server.answering.routes import routes

__all__ = ("Link", "link_to", "opened", "routes")
