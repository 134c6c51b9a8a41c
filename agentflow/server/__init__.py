"""Serves engines over HTTP: the surfaces of agent protocols, on one ASGI app.

```python
async with Engine.open(config=load_config("agentflow.yaml")) as engine:
    app = create_app(engine, url="https://agents.example.com/desk")
```

Mount the app in your own one, or let `agentflow serve` run it.
"""

from agentflow.server.app import create_app
from agentflow.server.who import Loopback, Tokens, Who

__all__ = ("Loopback", "Tokens", "Who", "create_app")
