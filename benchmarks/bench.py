"""Measures agentflow beside the raw limit of its database and beside other engines, and prints the ratios.

`--quick` takes three repetitions of four workloads with LangGraph alone, and leaves docs as it is.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Iterator, Sequence
from typing import Any

import alone
import page
from driver import RESULTS, SYSTEMS, Case, Plan, Results, measure, pythons
from ratios import all_ratios
from summary import summarize
from verdict import Ratio

FIVE = ("chain", "fan", "runs", "dag10k", "ctx")
LOOPS = ("for_each", "while")
SHORT = ("chain", "fan", "ctx")
"""They last a fraction of a second, in which a disk may be busy with something else: three times the repetitions."""
ALONE = ("agentflow",)
RAW = ("agentflow", "limit")
QUICK = (Case("chain"), Case("fan"), Case("runs"), Case("dag10k", 0.1))
QUICK_SYSTEMS = ("langgraph", "agentflow", "limit")


def quick(given: argparse.Namespace) -> Iterator[Plan]:
    """Yield the short list. One commit a step is only needed of `chain`, so the limit stops early elsewhere."""
    cases = [case for case in QUICK if not given.workloads or case.workload in given.workloads]
    for case in cases:
        rounds = (given.rounds or 3) * (3 if case.workload in SHORT else 1)
        yield Plan([case], given.systems or QUICK_SYSTEMS, rounds, min(given.cap, 20.0), 1.0)


def full(given: argparse.Namespace) -> Iterator[Plan]:
    """Yield everything: both promises, the loops, and each workload ten times as large."""
    wanted = [name for name in (*FIVE, *LOOPS) if not given.workloads or name in given.workloads]
    systems, rounds, cap = given.systems or tuple(SYSTEMS), given.rounds or 5, given.cap
    raw = [name for name in RAW if name in systems]
    for promise in ("strict", "relaxed"):
        for name in wanted:
            if name in FIVE:
                yield Plan([Case(name, 1.0, promise)], systems, rounds * (3 if name in SHORT else 1), cap, cap)
    for name in wanted:
        if name in LOOPS:
            yield Plan([Case(name)], raw, rounds, cap, cap)
    if given.growth:
        for name in wanted:
            yield Plan([Case(name, 10.0)], raw, rounds, cap, cap / 6)
        # Sizes in turn, as their ratio counts: 100 and 10,000 steps, and once 100,000. The short one more often.
        for name, scales in (("chain", (1.0, 100.0)), ("fan", (1.0, 100.0, 1000.0))):
            if name in wanted and "agentflow" in systems:
                yield Plan([Case(name), Case(name), *(Case(name, by) for by in scales)], ALONE, rounds, cap, cap)


def show(results: Results, ratios: Sequence[Ratio]) -> None:
    """Print the ratios, and what couldn't be measured."""
    print()
    if raw := results.of("limit-commits", Case("chain")):
        took = sorted(one["seconds"] / one["steps"] * 1000 for one in raw)
        print(f"a strict raw commit took {took[len(took) // 2]:.2f} ms ({took[0]:.2f} to {took[-1]:.2f})")
        if took[-1] > 3 * took[0]:
            print("The disk was busy with something else now and then: repeat this on a quiet machine.")
    for ratio in ratios:
        print(ratio.line)
    for failure in results.failures:
        where = f" {failure['title']}" if failure["title"] else ""
        print(f"not measured: {failure['system']}{where}: {failure['why']}")


def keep(results: Results, ratios: Sequence[Ratio]) -> None:
    """Write all samples into `results`."""
    RESULTS.mkdir(exist_ok=True)
    data = {
        "at": time.strftime("%Y-%m-%d %H:%M"),
        "machine": {"system": platform.platform(), "processors": os.cpu_count(), "load": os.getloadavg()},
        "samples": results.samples,
        "failures": results.failures,
        "ratios": [ratio._asdict() | {"verdict": ratio.verdict} for ratio in ratios],
    }
    file = RESULTS / time.strftime("%Y%m%d-%H%M%S.json")
    file.write_text(json.dumps(data, indent=1), encoding="utf-8")
    print(f"all samples: {file.relative_to(RESULTS.parent.parent)}")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="LangGraph, ours and the limit; a minute or two")
    parser.add_argument("--rounds", type=int, help="repetitions; default 5, quick 3")
    parser.add_argument("--cap", type=float, default=60.0, help="seconds of a repetition; the rest is extrapolated")
    parser.add_argument("--systems", nargs="+", choices=list(SYSTEMS))
    parser.add_argument("--workloads", nargs="+", choices=(*FIVE, *LOOPS))
    parser.add_argument("--no-growth", dest="growth", action="store_false", help="leave out the large sizes")
    parser.add_argument("--publish", action="store_true", help="write docs/explanation/benchmarks.* from the results")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    given = arguments()
    results = Results()
    started = time.perf_counter()
    plans = list(quick(given) if given.quick else full(given))
    found = pythons(dict.fromkeys(name for plan in plans for name in plan.systems), results)
    more: list[Ratio] = []
    waiting: dict[str, Any] = {}
    try:
        for plan in plans:
            measure(plan, found, results)
        if not (given.quick or given.workloads or given.systems):
            more, waiting = alone.measure(given.rounds or 5, results)
    finally:
        if results.samples:
            keep(results, all_ratios(results))
    ratios = [*all_ratios(results), *more]
    show(results, ratios)
    if given.publish:
        page.write(summarize(results, ratios) | {"cap": given.cap, "waiting": waiting})
    print(f"took {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
