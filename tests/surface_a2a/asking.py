"""Engines whose steps ask an agent that a server serves."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from agentflow import Engine, load_config
from agentflow.engine import WaitView
from agentflow.store.rows import TERMINAL

STEP = "{id: ask, type: agent_run, agent: desk, prompt: Go, input: {text: x}}"


def asking(url: str, *, step: str = STEP, more: str = "", **fields: object) -> str:
    """Return a config with a workflow `main` whose step `ask` asks the agent at an address."""
    entry = ", ".join(f"{name}: {value}" for name, value in {"url": f'"{url}"', **fields}.items())
    return f"""
name: asker
agents: {{desk: {{{entry}}}}}
{more}
workflows:
  main:
    input: {{what: {{type: string, default: x}}}}
    steps: [{step}]
    output: "{{steps.ask}}"
"""


def written(folder: Path, config: str) -> Path:
    """Write a config into a folder, and return its file."""
    folder.mkdir(exist_ok=True)
    file = folder / "agentflow.yaml"
    file.write_text(config, encoding="utf-8")
    return file


@asynccontextmanager
async def engine(folder: Path, config: str, store: str = ":memory:") -> AsyncGenerator[Engine]:
    """Open an engine of a config."""
    async with Engine.open(config=load_config(written(folder, config)), store=store) as made:
        yield made


async def until_asked(asker: Engine, run_id: str) -> WaitView:
    """Return the one wait of a run when it rests."""
    run = await asker.wait(run_id)
    assert run.state not in TERMINAL, run
    (wait,) = await asker.waits()
    return wait


def error_of(run: Any) -> Mapping[str, Any]:
    """Return why a run failed."""
    assert run.state == "failed", run
    return run.failure.to_data()
