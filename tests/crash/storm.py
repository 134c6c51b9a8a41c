"""What is killed again and again: a project whose steps keep a ledger, two hosts on its store, and a client.

Every step appends its run, address, attempt and process to the file `ledger`, synced, before it does anything. The
client writes into `acks` what the store has confirmed to it: runs that it started, waits that it answered.
"""

from __future__ import annotations

import os
import random
from typing import Any

import anyio

from agentflow.config import load_config
from agentflow.engine import Answer, Engine
from agentflow.errors import AgentflowError
from agentflow.store.rows import RunQuery

ITEMS = 4
ROUNDS = 3
CONFIG = f"""\
python: {{modules: [work]}}
skills: [native:shell]
workflows:
  main:
    steps:
      - {{id: first, type: python, function: "work:log", input: {{value: "{{input.n}}"}}}}
      - {{id: early, type: wait_for_input, message: go on?, execution: parallel}}
      - id: fan
        type: for_each
        in: {list(range(ITEMS))}
        max_parallel: 3
        execution: parallel
        steps:
          - {{id: a, type: python, function: "work:log", input: {{value: "{{item}}"}}}}
          - {{id: b, type: python, function: "work:slow", input: {{value: "{{steps.a}}"}}}}
      - id: shell
        type: script
        run: |
          echo "$AGENTFLOW_STEP_KEY" >> scripts
          sleep 300 > /dev/null 2>&1 &
          echo "$$ $!" >> pids
          sleep 0.03
          kill $!
          echo '{{"ok": true}}'
        execution: parallel
      - {{id: nap, type: delay, for: 120ms, execution: parallel}}
      - id: flaky
        type: python
        function: "work:flaky"
        retry: {{max_attempts: 3, base: 30ms, on: [exception]}}
        execution: parallel
      - {{id: once, type: python, function: "work:slow", input: {{value: 1}}, at_most_once: true, on_error: continue,
         execution: parallel}}
      - {{id: sub, type: workflow, workflow: child, input: {{n: "{{input.n}}"}}, execution: parallel}}
      - id: trip
        type: saga
        execution: parallel
        on_error: continue
        steps:
          - id: book
            type: python
            function: "work:log"
            input: {{value: b}}
            compensate: {{type: python, function: "work:slow", input: {{value: unbook}}}}
          - {{id: ship, type: python, function: "work:refuse"}}
      - id: loop
        type: while
        condition: steps.c == null || steps.c < {ROUNDS}
        max_iterations: 9
        steps:
          - {{id: c, type: python, function: "work:count", input: {{value: "{{index}}"}}}}
      - {{id: late, type: wait_for_input, message: and now?}}
      - {{id: last, type: python, function: "work:slow", input: {{value: "{{steps.late}}"}}}}
    finally:
      - {{id: bye, type: python, function: "work:log", input: {{value: bye}}}}
    output:
      first: "{{steps.first}}"
      early: "{{steps.early}}"
      fan: "{{steps.fan}}"
      shell: "{{steps.shell.ok}}"
      flaky: "{{steps.flaky}}"
      sub: "{{steps.sub}}"
      loop: "{{steps.loop}}"
      last: "{{steps.last}}"
  child:
    steps:
      - {{id: c1, type: python, function: "work:slow", input: {{value: "{{input.n}}"}}}}
      - {{id: nap, type: delay, for: 40ms}}
      - {{id: asks, type: wait_for_input, message: child?}}
      - {{id: c2, type: python, function: "work:log", input: {{value: "{{steps.asks}}"}}}}
    output: {{n: "{{steps.c1}}", answer: "{{steps.c2}}"}}
"""
WORK = """\
import asyncio
import os


def note(ctx):
    file = os.open("ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, f"{ctx.run_id} {ctx.address} {ctx.attempt} {os.getpid()}\\n".encode())
        os.fsync(file)
    finally:
        os.close(file)


async def log(value, ctx):
    note(ctx)
    return value


async def slow(value, ctx):
    note(ctx)
    await asyncio.sleep(0.01)
    return value


async def count(value, ctx):
    note(ctx)
    return value + 1


async def flaky(ctx):
    note(ctx)
    if ctx.tries == 1:
        raise RuntimeError("the first try fails")
    return "done"


async def refuse(ctx):
    note(ctx)
    raise RuntimeError("no ship today")
"""
AT_ONCE = 5
"""Runs that the client keeps under way."""


def append(name: str, text: str) -> None:
    """Append a line to a file, durably."""
    file = os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, f"{text}\n".encode())
        os.fsync(file)
    finally:
        os.close(file)


def acks() -> list[list[str]]:
    """Return what the store has confirmed to clients."""
    try:
        with open("acks", encoding="utf-8") as file:
            return [line.split() for line in file]
    except FileNotFoundError:
        return []


async def client() -> None:
    """Start runs and answer waits, until the file `enough` is there and every run has ended."""
    source = random.Random()
    started = sum(line[0] == "started" for line in acks())
    async with Engine.open(config=load_config(), host="none") as engine:
        print("up", flush=True)
        while True:
            # whatever a client was told to do before it was killed is done once: the key of a run is its number
            open_runs = await engine.list(RunQuery(states=("submitted", "working", "input-required")))
            if len(open_runs) < AT_ONCE and "enough" not in os.listdir():
                run = await engine.start("main", {"n": started}, idempotency_key=str(started))
                append("acks", f"started {started} {run.id}")
                started += 1
            elif not open_runs:
                return
            for view in await engine.waits():
                value = source.randrange(10**9)
                append("tried", f"{view.id} {value}")
                try:
                    await engine.resume(view.id, Answer(value))
                except AgentflowError as error:
                    append("tried", f"{view.id} {error}")
                else:
                    append("acks", f"answered {view.id} {value}")
            await anyio.sleep(0.01)


def expected(n: int, answers: dict[str, Any]) -> dict[str, Any]:
    """Return the output of a run, by its number and the answers to its waits."""
    return {
        "first": n,
        "early": answers["early"],
        "fan": [{"a": item, "b": item} for item in range(ITEMS)],
        "shell": True,
        "flaky": "done",
        "sub": {"n": n, "answer": answers["asks"]},
        "loop": {"c": ROUNDS},
        "last": answers["late"],
    }


if __name__ == "__main__":
    anyio.run(client)
