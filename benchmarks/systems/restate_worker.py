"""Restate's worker: an ASGI app whose handler does a run of the workload that the environment names.

`restate_peer.py` has it served by an HTTP server; `GET /marks` tells what was executed when, and what was wrong.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from peering import WARM, Bench, waves
from protocol import load, peak_rss_mb
from workloads import MAX_PARALLEL, workload

restate: Any = load("restate")
gather: Any = restate.gather
wait_completed: Any = restate.wait_completed
Context: Any = restate.Context

real = Bench(workload(os.environ["BENCH_WORKLOAD"], float(os.environ["BENCH_SCALE"])))
service: Any = restate.Service("bench")
MODE = os.environ.get("T_MODE", "gather")


async def graph(ctx: Any, bench: Bench) -> list[Any]:
    """Execute the steps of a graph, wave by wave."""
    results: list[Any] = [None] * len(bench.work.nodes)
    run = ctx.run_typed
    if MODE == "fifo":
        from peering import interpret
        def begin(node, res):
            return run(node.id, bench.step, index=node.index)
        return await interpret(bench.work.nodes, begin)
    if MODE == "any":
        nodes = bench.work.nodes
        missing = [len(n.after) for n in nodes]
        followers = [[] for _ in nodes]
        for n in nodes:
            for o in n.after: followers[o].append(n.index)
        under = {}
        for n in nodes:
            if not n.after: under[run(n.id, bench.step, index=n.index)] = n.index
        while under:
            done, _ = await wait_completed(*under)
            for f in done:
                i = under.pop(f); results[i] = await f
                for o in followers[i]:
                    missing[o] -= 1
                    if not missing[o]: under[run(nodes[o].id, bench.step, index=o)] = o
        return results
    for wave in waves(bench.work.nodes):
        if bench.work.texts:
            started = [run(node.id, bench.add, index=node.index, seen=results) for node in wave]
        else:
            started = [run(node.id, bench.step, index=node.index) for node in wave]
        if len(wave) > 1:
            await gather(*started)
        for node, ending in zip(wave, started, strict=True):
            results[node.index] = await ending
    return results


async def loop(ctx: Any, bench: Bench) -> list[Any]:
    """Execute the iterations of a loop; of `for_each` as many side by side as it may."""
    run, items = ctx.run_typed, bench.work.items
    if bench.work.name == "while":
        results = [await run("step", bench.step, index=0)]
        while results[-1]["ok"] < items - 1:
            results.append(await run("step", bench.step, index=len(results)))
        return results
    results: list[Any] = [None] * items
    under_way: dict[Any, int] = {}
    begun = 0
    while begun < items or under_way:
        while begun < items and len(under_way) < MAX_PARALLEL:
            under_way[run("step", bench.step, index=begun)] = begun
            begun += 1
        for ending in (await wait_completed(*under_way))[0]:
            results[under_way.pop(ending)] = await ending
    return results


async def flow(ctx: Any, kind: str) -> int:
    """Do a run; its results are checked here, as returning them would store them twice."""
    begun = time.perf_counter()
    bench = real if kind == "real" else Bench(WARM)
    bench.ended(begun, await (loop(ctx, bench) if bench.work.items else graph(ctx, bench)))
    return len(bench.runs)


flow.__annotations__ = {"ctx": Context, "kind": str, "return": int}
service.handler("flow")(flow)
endpoint: Any = restate.app([service])


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer for the engine, and for `restate_peer.py`."""
    if scope["type"] != "http" or scope["path"] != "/marks":
        await endpoint(scope, receive, send)
        return
    marks = {"times": real.times, "order": real.order, "wrong": real.wrong, "peak_rss_mb": peak_rss_mb()}
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(marks).encode()})
