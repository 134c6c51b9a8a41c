"""What needs no other engine beside it: start-up, a graph in memory, runs that only wait, timers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import anyio
import parked
import scale
import startup
from driver import RESULTS
from verdict import AT_MOST, Ratio


def measure(rounds: int) -> tuple[list[Ratio], dict[str, Any]]:
    """Measure all of it; returns the ratios, and what `parked` and `timers` found."""
    RESULTS.mkdir(exist_ok=True)
    os.environ.setdefault("AGENTFLOW_BENCH_FOLDER", str(RESULTS))  # on the project's disk: /tmp may be in memory
    ratios = [*startup.measure(3 * rounds), *anyio.run(scale.measure, [1000, 10_000], rounds)]
    found: dict[str, Any] = {"parked": parked.measure_parked(rounds=rounds), "timers": parked.measure_timers()}
    parked.print_parked(found["parked"])
    parked.print_timers(found["timers"])
    return [*ratios, *parked_ratios(found["parked"])], found


def parked_ratios(found: dict[str, Any]) -> Iterator[Ratio]:
    """Yield what runs that only wait may cost."""
    runs, boot, per_run = f"{found['runs']:,}", found["boot"], found["memory_per_run"]
    yield Ratio(f"boot with {runs} parked runs / with none", boot["ratio"], AT_MOST, parked.BOOT_LIMIT)
    yield Ratio(
        f"memory after that boot, {runs} parked runs",
        boot["full"]["rss"] / 1e6,
        AT_MOST,
        parked.RSS_LIMIT / 1e6,
        unit=" MB",
    )
    for kind, text in (("trace", "by tracemalloc"), ("rss", "by the process")):
        yield Ratio(f"memory of a parked run, {text}", per_run[kind], AT_MOST, parked.PER_RUN_LIMIT, unit=" bytes")
    same = found["same_process"]
    name = "answer to next step started, same process, p50 / a strict raw commit's"
    yield Ratio(name, same["answer"]["p50"] / same["raw"]["p50"], AT_MOST, parked.ANSWER_LIMIT)


def section(found: dict[str, Any]) -> Iterator[str]:
    """Yield the section of the page."""
    if not found:
        return
    one, late = found["parked"], found["timers"]["late"]
    same, other, boot, rest = one["same_process"]["answer"], one["other_process"], one["boot"], one["rest"]
    yield f"## Runs that wait\n\n{one['runs']:,} runs that each wait for an answer, strict.\n\n| | |\n|---|---|"
    yield f"| started, a second | {one['started_per_second']:,.0f} |"
    yield f"| bytes on disk, each | {one['bytes_per_run']:.0f} |"
    yield f"| bytes of memory, each | {one['memory_per_run']['trace']:.0f} |"
    yield f"| boot, with none | {boot['full']['ready'] * 1e3:.1f} ms, {boot['empty']['ready'] * 1e3:.1f} ms |"
    yield f"| memory after boot | {boot['full']['rss'] / 1e6:.0f} MB |"
    yield f"| CPU at rest | {rest['cpu']:.3f} s in {rest['seconds']:.0f} s |"
    yield f"| answer to next step, same process | p50 {same['p50'] * 1e3:.2f} ms, p95 {same['p95'] * 1e3:.2f} ms |"
    yield f"| from another process | p50 {other['p50'] * 1e3:.2f} ms, p95 {other['p95'] * 1e3:.2f} ms |"
    timers = found["timers"]
    yield (
        f"| {timers['delays']:,} delays due within {timers['within']:g} s: late by | p50 {late['p50'] * 1e3:.1f} ms, "
        f"p95 {late['p95'] * 1e3:.1f} ms, max {late['max'] * 1e3:.1f} ms |"
    )
    yield f"| CPU before the first is due | {timers['rest_cpu']:.3f} s in {timers['rest']:.0f} s |\n"
