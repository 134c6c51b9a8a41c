"""Many repetitions become one row: medians, and the spread beside them."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Iterable, Sequence
from typing import Any

from driver import Case, Results
from verdict import Ratio


def middle(values: Iterable[float | None]) -> float | None:
    """Return the median of what is known; None: nothing is."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def row(samples: Sequence[dict[str, Any]], case: Case) -> dict[str, Any]:
    """Return the row of one system in one case."""
    rates = [one["steps"] / one["seconds"] for one in samples]
    first = samples[0]

    def tail(one: dict[str, Any]) -> float | None:
        begun, ended = one["first_tenth_seconds"], one["last_tenth_seconds"]
        return ended / begun if begun and ended is not None else None

    return {
        "system": first["system"],
        **case._asdict(),
        "repetitions": len(samples),
        "steps": first["planned_steps"],
        "complete": all(one["complete"] for one in samples),
        "steps_per_second": statistics.median(rates),
        "lowest": min(rates),
        "highest": max(rates),
        "p50_ms": middle(one["latency_ms"].get("p50") for one in samples),
        "p95_ms": middle(one["latency_ms"].get("p95") for one in samples),
        "cpu_us_per_step": middle(one["cpu_seconds"] / one["steps"] * 1e6 for one in samples),
        "start_seconds": middle(one["start_seconds"] for one in samples),
        "setup_seconds": middle(one["setup_seconds"] for one in samples),
        "compile_seconds": middle(one["compile_seconds"] for one in samples),
        "peak_rss_mb": middle(one["peak_rss_mb"] for one in samples),
        "server_pss_mb": middle(one["server_pss_mb"] for one in samples),
        "db_bytes": middle(one["db_bytes"] for one in samples),
        "db_bytes_closed": middle(one["db_bytes_closed"] for one in samples),
        "last_over_first_tenth": middle(map(tail, samples)),
        "stalls_ms": {
            name: statistics.median(one["stalls_ms"][name] for one in samples) for name in first["stalls_ms"] or ()
        },
        "load": max(one["load"] for one in samples),
        "pragmas": first["pragmas"],
        "versions": first["versions"],
    }


def summarize(results: Results, ratios: Sequence[Ratio]) -> dict[str, Any]:
    """Return all that the published page needs."""
    keys = dict.fromkeys(
        (one["system"], Case(one["workload"], one["scale"], one["promise"])) for one in results.samples
    )
    return {
        "at": time.strftime("%Y-%m-%d"),
        "machine": {
            "system": f"{platform.system()} {platform.release()}",
            "processor": processor(),
            "processors": os.cpu_count(),
            "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        },
        "rows": [row(results.of(system, case), case) for system, case in keys],
        "ratios": [ratio._asdict() | {"verdict": ratio.verdict} for ratio in ratios],
        "failures": results.failures,
    }


def processor() -> str:
    """Return the name of the processor, where the system tells."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = (line.partition(":")[2].strip() for line in file if line.startswith("model name"))
            return next(names, platform.machine())
    except OSError:
        return platform.machine()
