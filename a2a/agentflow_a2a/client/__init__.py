"""The client behind `agent_run`: asks agents that speak A2A."""
