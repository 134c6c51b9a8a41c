"""Runs that only wait: what 100,000 of them cost, how soon an answer moves one on, how late 10,000 timers fire.

`measure_parked` and `measure_timers` return what they find; as a script it prints lines, and JSON as the last one.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

WORKER = Path(__file__).with_name("parked_worker.py")
BOOT_LIMIT = 1.5
"""Boot with all the parked runs over the boot with none."""
RSS_LIMIT = 100_000_000
PER_RUN_LIMIT = 100
"""Bytes of memory per parked run, in the process that started it."""
ANSWER_LIMIT = 3.0
"""Time from an answer to the start of the next step, over one strict raw commit."""


def part(name: str, store: Path, *options: object) -> dict[str, Any]:
    """Do a part in a fresh process and return what it prints."""
    command = [sys.executable, str(WORKER), name, str(store), *map(str, options)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=900)
    return json.loads(done.stdout.splitlines()[-1])


def _medians(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def boots(full: Path, empty: Path, rounds: int) -> dict[str, Any]:
    """Boot on both stores in turn."""
    found: dict[Path, list[dict[str, Any]]] = {full: [], empty: []}
    for turn in range(rounds + 1):
        for store, rows in found.items():
            row = part("boot", store)
            if turn:  # the first ones only warm the page cache
                rows.append(row)
    one, none = _medians(found[full]), _medians(found[empty])
    spread = {"full": [row["ready"] for row in found[full]], "empty": [row["ready"] for row in found[empty]]}
    return {"full": one, "empty": none, "ratio": one["ready"] / none["ready"], "ready": spread}


def memory(folder: Path, count: int) -> dict[str, Any]:
    """Return bytes per parked run, by Python's allocations and by the process's memory."""
    step = max(1, count // 10)
    return {
        kind: part("memory", folder / f"memory-{kind}.db", "--count", count, "--step", step, "--kind", kind)["per_run"]
        for kind in ("trace", "rss")
    }


def beside(store: Path, count: int, skip: int) -> list[float]:
    """Answer in one process what another one hosts; return the seconds until each next step starts."""
    command = [sys.executable, str(WORKER), "host", str(store)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as host:
        if host.stdin is None or host.stdout is None:
            raise SystemExit("no pipes")
        if json.loads(host.stdout.readline()) != {"ready": True}:
            raise SystemExit("the host isn't ready")
        times = part("ask", store, "--count", count, "--skip", skip)["times"]
        host.stdin.close()
        lines = [json.loads(line) for line in host.stdout]
    started = {str(line["n"]): line["at"] for line in lines if "n" in line}
    if started.keys() != times.keys():
        raise SystemExit(f"{len(started)} of {len(times)} answered runs went on")
    return [started[n] - at for n, at in times.items()]


def measure_parked(
    runs: int = 100_000, *, rounds: int = 5, answers: int = 200, seconds: float = 10.0
) -> dict[str, Any]:
    """Park runs in a store and measure what they cost.

    Args:
        runs: how many.
        rounds: boots of each kind.
        answers: how many waits are answered, by the hosting process and then by another one.
        seconds: how long the host is at rest.
    """
    folder = Path(tempfile.mkdtemp(prefix="parked-", dir=os.environ.get("AGENTFLOW_BENCH_FOLDER")))
    try:
        full, empty = folder / "full.db", folder / "empty.db"
        none = part("seed", empty, "--count", 0)
        warm, sample = 20, 2 * answers + 20
        seeded = part("seed", full, "--count", runs, "--sample", sample)
        found: dict[str, Any] = {
            "runs": runs,
            "started_per_second": runs / seeded["seconds"],
            "bytes_per_run": (seeded["bytes"] - none["bytes"]) / runs,
            "boot": boots(full, empty, rounds),
            "rest": part("rest", full, "--seconds", seconds),
            "rest_empty": part("rest", empty, "--seconds", seconds),
            "memory_per_run": memory(folder, 20_000),
        }
        found["same_process"] = part("answer", full, "--count", answers, "--warm", warm)
        times = sorted(beside(full, answers, answers + warm))
        found["other_process"] = {"p50": statistics.median(times), "p95": times[int(len(times) * 0.95)]}
    finally:
        shutil.rmtree(folder)
    found["ratios"] = {
        "boot": found["boot"]["ratio"],
        "answer": found["same_process"]["answer"]["p50"] / found["same_process"]["raw_all_rows"]["p50"],
        "answer_one_step": found["same_process"]["answer"]["p50"] / found["same_process"]["raw"]["p50"],
    }
    return found


def measure_timers(delays: int = 10_000, *, within: float = 60.0, lead: float = 40.0) -> dict[str, Any]:
    """Start runs whose delays come due within some seconds and measure how late each ends.

    Args:
        delays: how many.
        within: seconds between the first and the last.
        lead: seconds before the first, for starting them and for a rest.
    """
    folder = Path(tempfile.mkdtemp(prefix="timers-", dir=os.environ.get("AGENTFLOW_BENCH_FOLDER")))
    try:
        options = ("--count", delays, "--seconds", within, "--lead", lead)
        return {"delays": delays, "within": within, **part("timers", folder / "timers.db", *options)}
    finally:
        shutil.rmtree(folder)


def _verdict(value: float, limit: float) -> str:
    return f"{value:.2f} (limit {limit:g}{'' if value <= limit else ', MISSED'})"


def print_parked(found: dict[str, Any]) -> None:
    """Print what `measure_parked` found."""
    boot, rest, per_run = found["boot"], found["rest"], found["memory_per_run"]
    full, empty = boot["full"], boot["empty"]
    print(f"{found['runs']:,} parked runs, {found['bytes_per_run']:.0f} bytes each on disk")
    print(f"started at {found['started_per_second']:,.0f} a second")
    print(f"boot {full['ready'] * 1000:.1f} ms, with none {empty['ready'] * 1000:.1f} ms: ", end="")
    print(f"ratio {_verdict(boot['ratio'], BOOT_LIMIT)}")
    print(f"memory after the boot, MB: {_verdict(full['rss'] / 1e6, RSS_LIMIT / 1e6)}, with none ", end="")
    print(f"{empty['rss'] / 1e6:.2f}")
    print(f"bytes of memory per run, by tracemalloc: {_verdict(per_run['trace'], PER_RUN_LIMIT)}")
    print(f"bytes of memory per run, by the process: {_verdict(per_run['rss'], PER_RUN_LIMIT)}")
    print(f"CPU at rest: {rest['cpu']:.3f} s in {rest['seconds']:.1f} s, ", end="")
    print(f"with none {found['rest_empty']['cpu']:.3f} s")
    same, other, ratios = found["same_process"], found["other_process"], found["ratios"]
    print(f"answer to next step: p50 {same['answer']['p50'] * 1e3:.2f} ms, p95 {same['answer']['p95'] * 1e3:.2f} ms")
    for kind, what, ratio in (
        ("raw_all_rows", "the same rows", "answer"),
        ("raw", "one step's rows", "answer_one_step"),
    ):
        raw = same[kind]
        print(f"  over a raw commit of {what}: {_verdict(ratios[ratio], ANSWER_LIMIT)}; ", end="")
        print(f"that takes p50 {raw['p50'] * 1e3:.2f} ms, p95 {raw['p95'] * 1e3:.2f} ms")
    print(f"from another process: p50 {other['p50'] * 1e3:.2f} ms, p95 {other['p95'] * 1e3:.2f} ms")


def print_timers(found: dict[str, Any]) -> None:
    """Print what `measure_timers` found."""
    late = found["late"]
    print(f"{found['delays']:,} delays within {found['within']:g} s: ", end="")
    print(f"late by p50 {late['p50'] * 1e3:.1f} ms, p95 {late['p95'] * 1e3:.1f} ms, max {late['max'] * 1e3:.1f} ms")
    print(f"CPU before the first is due: {found['rest_cpu']:.3f} s in {found['rest']:.1f} s; ", end="")
    print(f"while they fire: {found['fire_cpu']:.2f} s")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--answers", type=int, default=200)
    parser.add_argument("--delays", type=int, default=10_000)
    parser.add_argument("--within", type=float, default=60.0)
    parser.add_argument("--lead", type=float, default=40.0)
    parser.add_argument("--only", choices=("parked", "timers"))
    args = parser.parse_args()
    found: dict[str, Any] = {}
    if args.only != "timers":
        found["parked"] = measure_parked(args.runs, rounds=args.rounds, answers=args.answers)
        print_parked(found["parked"])
    if args.only != "parked":
        found["timers"] = measure_timers(args.delays, within=args.within, lead=args.lead)
        print_timers(found["timers"])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
