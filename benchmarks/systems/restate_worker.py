"""Restate's worker: an ASGI app whose handler does a run of the workload, served by granian in this process.

`restate_peer.py` starts it with a port, a workload and its scale. `GET /marks` tells what was executed when, and what
was wrong.
"""

from __future__ import annotations

import asyncio
import json
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

port, name, scale = sys.argv[1:]
real = Bench(workload(name, float(scale)))
service: Any = restate.Service("bench")


async def graph(ctx: Any, bench: Bench) -> list[Any]:
    """Execute the steps of a graph, wave by wave: twice as fast as beginning each step as soon as it may."""
    results: list[Any] = [None] * len(bench.work.nodes)
    run = ctx.run_typed
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


async def serve() -> None:
    """Serve until the process is ended."""
    embedded: Any = load("granian.server.embed").Server
    constants: Any = load("granian.constants")
    server = embedded(app, port=int(port), interface=constants.Interfaces.ASGI, websockets=False, log_enabled=False)
    await server.serve()


if __name__ == "__main__":
    asyncio.run(serve())
