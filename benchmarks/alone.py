"""What needs no other engine beside it: start-up, a graph in memory, runs that only wait, timers, what is served."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from subprocess import CalledProcessError
from typing import Any

import anyio
import parked
import scale
import served
import startup
from driver import RESULTS, Results, fail
from verdict import AT_MOST, Ratio


def measure(rounds: int, results: Results) -> tuple[list[Ratio], dict[str, Any]]:
    """Measure all of it; returns the ratios, and what `parked` and `timers` found. What fails is noted, and skipped."""
    RESULTS.mkdir(exist_ok=True)
    os.environ.setdefault("AGENTFLOW_BENCH_FOLDER", str(RESULTS))  # on the project's disk: /tmp may be in memory
    ratios: list[Ratio] = []
    found: dict[str, Any] = {}

    def wait() -> None:
        found["parked"] = parked.measure_parked(rounds=rounds)
        parked.print_parked(found["parked"])
        ratios.extend(parked_ratios(found["parked"]))

    def delay() -> None:
        found["timers"] = parked.measure_timers()
        parked.print_timers(found["timers"])

    parts: dict[str, Callable[[], object]] = {
        "start-up": lambda: ratios.extend(startup.measure(3 * rounds)),
        "a graph in memory": lambda: ratios.extend(anyio.run(scale.measure, [1000, 10_000], rounds)),
        "runs that wait": wait,
        "timers": delay,
        "what is served": lambda: ratios.extend(served.measure(rounds, 2.0)),
    }
    for name, part in parts.items():
        try:
            part()
        except CalledProcessError as error:  # its command names places of this machine; what it printed was seen
            fail(results, name, None, f"ended with exit code {error.returncode}")
        except (Exception, SystemExit) as error:  # the hour before it isn't lost
            fail(results, name, None, f"{type(error).__name__}: {error}")
    return ratios, found


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
    for key, rows in (("answer_one_step", "one step's rows"), ("answer", "the same rows")):
        name = f"answer to next step started, same process, p50 / a strict raw commit of {rows}"
        yield Ratio(name, found["ratios"][key], AT_MOST, parked.ANSWER_LIMIT)


def section(found: dict[str, Any]) -> Iterator[str]:
    """Yield the section of the page."""
    if not found:
        return
    yield "## Runs that wait\n\n| strict durability | |\n|---|---|"
    if "parked" in found:
        one = found["parked"]
        same, other, boot, rest = one["same_process"]["answer"], one["other_process"], one["boot"], one["rest"]
        yield f"| runs that each wait for an answer | {one['runs']:,} |"
        yield f"| started, a second | {one['started_per_second']:,.0f} |"
        yield f"| bytes on disk, each | {one['bytes_per_run']:.0f} |"
        yield f"| bytes of memory, each, by the process | {one['memory_per_run']['rss']:.0f} |"
        yield f"| boot, with none | {boot['full']['ready'] * 1e3:.1f} ms, {boot['empty']['ready'] * 1e3:.1f} ms |"
        yield f"| memory after boot | {boot['full']['rss'] / 1e6:.0f} MB |"
        yield f"| CPU at rest | {rest['cpu']:.3f} s in {rest['seconds']:.0f} s |"
        yield f"| answer to next step, same process | p50 {same['p50'] * 1e3:.2f} ms, p95 {same['p95'] * 1e3:.2f} ms |"
        yield f"| from another process | p50 {other['p50'] * 1e3:.2f} ms, p95 {other['p95'] * 1e3:.2f} ms |"
    if "timers" in found:
        timers = found["timers"]
        late = timers["late"]
        yield (
            f"| {timers['delays']:,} delays due within {timers['within']:g} s: late by "
            f"| p50 {late['p50'] * 1e3:.1f} ms, p95 {late['p95'] * 1e3:.1f} ms, max {late['max'] * 1e3:.1f} ms |"
        )
        yield f"| CPU before the first is due | {timers['rest_cpu']:.3f} s in {timers['rest']:.0f} s |"
    yield ""
