"""A small project for tests of several processes: steps that tell who runs them, and hold until they may go on."""

from __future__ import annotations

CONFIG = """\
python: {modules: [work]}
skills: [native:shell]
workflows:
  chain:
    steps:
      - {id: a, type: python, function: "work:log"}
      - {id: b, type: python, function: "work:log", execution: parallel}
      - {id: c, type: python, function: "work:log", execution: parallel}
      - {id: d, type: python, function: "work:log"}
  long:
    steps:
      - {id: nap, type: python, function: "work:nap", input: {seconds: 1.5}}
  blocks:
    steps:
      - {id: nap, type: python, function: "work:block", input: {seconds: 1.5}}
  ends:
    steps:
      - {id: first, type: python, function: "work:hold"}
      - {id: between, type: python, function: "work:log"}
      - {id: last, type: python, function: "work:hold"}
    output: {who: "{steps.last.step}", between: "{steps.between.step}"}
  asks:
    steps:
      - {id: ask, type: wait_for_input, message: what?, schema: {type: object, required: [n]}}
      - {id: after, type: python, function: "work:hold", input: {value: "{steps.ask.n}"}}
  busy:
    steps:
      - {id: ask, type: wait_for_input, message: what?, schema: {type: object}, execution: parallel}
      - {id: work, type: python, function: "work:hold", execution: parallel}
      - {id: shell, type: script, run: "echo $$ >> pids; sleep 300", execution: parallel}
  answers:
    steps:
      - {id: q0, type: wait_for_input, message: 0?}
      - {id: q1, type: wait_for_input, message: 1?, execution: parallel}
      - {id: q2, type: wait_for_input, message: 2?, execution: parallel}
      - {id: q3, type: wait_for_input, message: 3?}
    output: ["{steps.q0}", "{steps.q1}", "{steps.q2}", "{steps.q3}"]
  brief:
    steps:
      - {id: nap, type: python, function: "work:nap", input: {seconds: 0.4}}
      - {id: after, type: python, function: "work:log"}
  forks:
    steps:
      - {id: fork, type: python, function: "work:fork"}
  poison:
    on_error_siblings: continue
    steps:
      - {id: early, type: python, function: "work:nap", input: {seconds: 0.3}, execution: parallel}
      - {id: boom, type: python, function: "work:boom", execution: parallel}
      - {id: late, type: python, function: "work:nap", input: {seconds: 0.3}, execution: parallel}
      - {id: ready, type: python, function: "work:log", depends_on: [early]}
"""
WORK = """\
import asyncio
import os
import signal
import time
from pathlib import Path


def note(ctx):
    with open("log", "a") as file:
        file.write(f"{ctx.run_id}/{ctx.address} {ctx.attempt} {os.getpid()}\\n")


def log(ctx):
    note(ctx)
    return {"step": ctx.address}


async def nap(seconds, ctx):
    note(ctx)
    await asyncio.sleep(seconds)
    return {"step": ctx.address}


async def block(seconds, ctx):
    note(ctx)
    time.sleep(seconds)
    return {"step": ctx.address}


async def hold(ctx, value=None):
    note(ctx)
    while not Path(f"go-{ctx.address}").exists():
        await asyncio.sleep(0.01)
    return {"step": ctx.address, "value": value}


def fork(ctx):
    note(ctx)
    if ctx.attempt == 1:
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        Path("child").write_text(str(child))
        time.sleep(60)
    return {"attempt": ctx.attempt}


async def boom(ctx):
    note(ctx)
    await asyncio.sleep(0.05)
    os.kill(os.getpid(), signal.SIGKILL)
"""
