"""The ratios that have to hold, and what they are now. Both sides are always of the same run of the benchmark."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from driver import Case, Results, rate
from verdict import AT_LEAST, AT_MOST, Ratio

SPEED: dict[str, tuple[tuple[str, float], ...]] = {
    "chain": (("langgraph", 7), ("limit-commits", 0.6)),
    "fan": (("langgraph", 20), ("limit-batches", 0.25)),
    "runs": (("langgraph", 50), ("limit-batches", 0.25)),
    "dag10k": (("langgraph", 25), ("restate", 2), ("limit-batches", 0.25)),
    "ctx": (("langgraph", 12),),
}
"""Workload → by how much our steps/s exceed those of another system, strict durability."""
STALLS = (("p99", 15.0), ("max", 50.0))
STORED = 1.2
GROWTH = ((100.0, 1.3), (1000.0, 1.5))
"""Scale of a chain or a fan (1: 100 steps) → limit of the time per step over that at scale 1."""


def speed(results: Results, case: Case) -> Iterator[Ratio]:
    """Yield what a workload has to show beside other systems."""
    for other, limit in SPEED.get(case.workload, ()):
        theirs = results.of(other, case)
        mine = together(results.of("agentflow", case), theirs)
        if mine:
            extrapolated = "" if all(one["complete"] for one in theirs) else ", extrapolated"
            name = f"{case.title} ({case.promise}), agentflow / {other}{extrapolated}"
            yield Ratio(name, rate(mine) / rate(theirs), AT_LEAST, limit, paired(mine, theirs))


def together(samples: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the samples of the rounds that the others have too: the same minutes."""
    rounds = {one["round"] for one in others}
    return [one for one in samples if one["round"] in rounds]


def paired(mine: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """Return the lowest and the highest ratio of two repetitions of the same round."""
    others = {one["round"]: one["steps"] / one["seconds"] for one in theirs}
    found = [one["steps"] / one["seconds"] / others[one["round"]] for one in mine if one["round"] in others]
    return min(found, default=0.0), max(found, default=0.0)


def median(samples: Sequence[dict[str, Any]], of: Callable[[dict[str, Any]], float]) -> float:
    """Return the median of something."""
    return statistics.median(of(one) for one in samples)


def stored(results: Results, case: Case) -> Iterator[Ratio]:
    """Yield the size of the closed database over what it has to keep."""
    if mine := [one for one in results.of("agentflow", case) if one["payload_bytes"]]:
        size = median(mine, lambda one: one["db_bytes_closed"] / one["payload_bytes"])
        yield Ratio(f"{case.title}, closed database / payload", size, AT_MOST, STORED)


def stalls(results: Results, case: Case) -> Iterator[Ratio]:
    """Yield how long the event loop was held up."""
    mine = results.of("agentflow", case)
    for name, limit in STALLS:
        if mine:
            late = median(mine, lambda one, name=name: one["stalls_ms"][name])
            every = [one["stalls_ms"][name] for one in mine]
            title = f"{case.title} ({case.promise}), event loop's stalls, {name}"
            yield Ratio(title, late, AT_MOST, limit, (min(every), max(every)), " ms")


def per_step(sample: dict[str, Any]) -> float:
    """Return the seconds of a step, the start of the run apart."""
    return (sample["seconds"] - (sample["start_seconds"] or 0.0)) / sample["steps"]


def growth(results: Results, workload: str) -> Iterator[Ratio]:
    """Yield the time per step of a large run over that of a small one."""
    for scale, limit in GROWTH:
        large = results.of("agentflow", Case(workload, scale))
        small = together(results.of("agentflow", Case(workload)), large)
        if small:
            name = f"{workload}, time per step at {round(100 * scale):,} steps / at 100"
            yield Ratio(name, median(large, per_step) / median(small, per_step), AT_MOST, limit)


def all_ratios(results: Results) -> list[Ratio]:
    """Return every ratio that the results allow."""
    cases = dict.fromkeys(Case(one["workload"], one["scale"], one["promise"]) for one in results.samples)
    found: list[Ratio] = []
    for case in cases:
        if case.promise == "strict" and (case.scale == 1 or case == Case("dag10k", 0.1)):
            found += speed(results, case)
            if case.workload == "ctx":
                found += stored(results, case)
            if case.workload in {"runs", "dag10k"}:
                found += stalls(results, case)
    for workload in ("chain", "fan"):
        found += growth(results, workload)
    return found
