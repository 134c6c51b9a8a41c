"""A loop of 20 agent calls with a budget, its process killed with `kill -9` in the middle of one.

It stops before the call that would exceed the budget, asks, goes on after the raise, and what it has used is what the
calls have cost that were made: those that a kill broke off, too.
"""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from typing import Any

import pytest

from tests.crash.scene import Scene

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it kills with signals")

COST = Decimal("0.07")
KILLED = (3, 11)
"""Items in whose first call the process is killed."""
CONFIG = """\
python: {modules: [work]}
agents: {model: {python: "work:ask"}}
workflows:
  asks:
    budget: {cost: 0.75}
    steps:
      - id: all
        type: for_each
        in: "{input.items}"
        max_parallel: 1
        steps:
          - {id: ask, type: agent_run, agent: model, prompt: "{item}"}
"""
WORK = f"""\
import asyncio


async def ask(prompt, ctx):
    with open("log", "a") as file:  # the model's own list of its calls
        file.write(f"{{prompt}} {{ctx.attempt}}\\n")
    ctx.usage(model="model", input_tokens=10, cost="{COST}")
    await ctx.save("called")
    if int(prompt) in {KILLED} and ctx.attempt == 1:
        open(f"in-{{prompt}}", "w").close()
        await asyncio.sleep(3600)
    return prompt
"""


def test_a_loop_of_20_calls_keeps_to_its_budget_and_its_sums_to_its_calls_over_kills(scene: Scene) -> None:
    scene.prepare(CONFIG, WORK)
    process = scene.start("run", "asks", "--input-json", json.dumps({"items": list(range(20))}), "--json")
    _kill_in(scene, process, KILLED[0])
    process = scene.start("runs", "watch", "@last", "--json", "--no-wait")
    assert scene.wait(process) == 75, scene.said(process)
    shown = _shown(scene)
    assert shown["state"] == "input-required"
    assert len(scene.lines()) == 10  # an eleventh would make 0.77 of 0.75
    assert Decimal(shown["usage"]["cost"]) == 10 * COST
    assert shown["budget"] == {"cost": {"used": "0.7", "limit": "0.75"}}
    (wait,) = shown["waits"]
    assert wait["details"]["budget"] == {"of": "cost", "used": "0.7", "limit": "0.75", "expected": "0.07"}

    process = scene.start("waits", "answer", wait["id"], "--set", "action=raise", "--set", "cost=1.54")
    _kill_in(scene, process, KILLED[1])
    process = scene.start("runs", "watch", "@last", "--json")
    assert scene.wait(process) == 0, scene.said(process)
    shown, calls = _shown(scene), scene.lines()
    assert shown["output"] == [{"ask": item} for item in range(20)]
    assert len(calls) == len(set(calls)) == 20 + len(KILLED)
    assert Decimal(shown["usage"]["cost"]) == len(calls) * COST == Decimal("1.54")
    assert shown["usage"]["calls"] == len(calls)
    assert scene.query("SELECT count(*), sum(calls) FROM usage") == [(len(calls), len(calls))]


def _kill_in(scene: Scene, process: Any, item: int) -> None:
    """Kill a process when it is in the call of an item, whose usage is stored."""
    scene.until(lambda: (scene.folder / f"in-{item}").exists() or process.poll() is not None, f"the call of {item}")
    assert process.poll() is None, scene.said(process)
    process.kill()
    process.wait()


def _shown(scene: Scene) -> Any:
    return json.loads(scene.call("runs", "show", "@last", "--json"))
