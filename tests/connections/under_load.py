"""A process that uses a connection many times at once: it prints how the service has answered."""

from __future__ import annotations

import sys
from collections import Counter

import anyio
import httpx2

from agentflow.config import load_config
from agentflow.engine import Engine
from agentflow.principal import Principal

AT_ONCE = 20


async def main(issuer: str) -> None:
    """Use the connection of the project in the current folder, when a line comes."""
    told: Counter[object] = Counter()
    async with Engine.open(config=load_config()) as engine, httpx2.AsyncClient(trust_env=False) as client:
        book = engine.core.env.book

        async def use() -> None:
            for _ in range(2):
                credentials = await book.credentials("google", Principal("alice"))
                answer = await client.get(f"{issuer}/me", headers=dict(credentials.headers))
                told[answer.status_code] += 1

        print("up", flush=True)
        await anyio.to_thread.run_sync(sys.stdin.readline)
        async with anyio.create_task_group() as group:
            for _ in range(AT_ONCE):
                group.start_soon(use)
        print(dict(told), flush=True)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
