"""Pages where people sign in to other services: where they begin, and where their browser comes back to."""

from agentflow.server.connecting.going_on import go_on
from agentflow.server.connecting.links import link_to
from agentflow.server.connecting.routes import routes

__all__ = ("go_on", "link_to", "routes")
