"""The published page: `docs/explanation/benchmarks.json`, the plots, and `docs/explanation/benchmarks.md` made of them.

`python benchmarks/page.py` writes the page and the plots again from the JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import alone
from plots import bars, lines

DOCS = Path(__file__).resolve().parent.parent / "docs" / "explanation"
INTRO = Path(__file__).with_name("intro.md")
ORDER = ("agentflow", "limit-batches", "limit-commits", "langgraph", "dbos", "restate", "prefect")
NO_LATENCY = ("dag10k", "for_each")
MEANINGS = {
    "chain": "100 sequential steps in one run. Latency: the gap between successive steps.",
    "fan": "One step, 100 parallel steps, a join. Latency: from the run's start to a step.",
    "runs": "1,000 runs of three sequential steps, all started at once. Latency: from a run's start to its end.",
    "dag10k": "10,000 steps in one run: 100 layers of 100, each step after two of the layer above.",
    "ctx": "200 sequential steps, each adds 10 kB to what the following ones see: 2 MB at the end.",
    "for_each": "`for_each` over 10,000 items, 50 at a time.",
    "while": "`while` of 10,000 iterations; the condition reads the result of the iteration before.",
}


def write(summary: dict[str, Any]) -> list[Path]:
    """Write the JSON, the plots and the page; returns the files."""
    files = {
        "benchmarks.json": json.dumps(summary, indent=1, ensure_ascii=False) + "\n",
        "benchmarks-speed.svg": speed_plot(summary["rows"]),
        "benchmarks-growth.svg": growth_plot(summary["rows"]),
        "benchmarks.md": page(summary),
    }
    for name, text in files.items():
        (DOCS / name).write_text(text, encoding="utf-8")
    return [DOCS / name for name in files]


def pick(rows: Sequence[dict[str, Any]], workload: str, promise: str, scale: float = 1.0) -> list[dict[str, Any]]:
    """Return the rows of a table, ours first."""
    found = [row for row in rows if (row["workload"], row["promise"], row["scale"]) == (workload, promise, scale)]
    return sorted(found, key=lambda row: ORDER.index(row["system"]))


def sizes(rows: Sequence[dict[str, Any]], workload: str) -> list[dict[str, Any]]:
    """Return our rows of a workload at all scales, the smallest first."""
    wanted = ("agentflow", workload, "strict")
    mine = [row for row in rows if (row["system"], row["workload"], row["promise"]) == wanted]
    return sorted(mine, key=lambda row: row["steps"])


def speed_plot(rows: Sequence[dict[str, Any]]) -> str:
    """Draw strict durability; prefect's is relaxed and says so."""
    groups: dict[str, list[tuple[str, float, bool]]] = {}
    for name in ("chain", "fan", "runs", "dag10k", "ctx"):
        if shown := pick(rows, name, "strict"):
            groups[name] = [(row["system"], row["steps_per_second"], row["complete"]) for row in shown]
    return bars("Steps per second, strict durability (logarithmic)", groups)


def growth_plot(rows: Sequence[dict[str, Any]]) -> str:
    """Draw our time per step against the size."""
    series: dict[str, list[tuple[float, float]]] = {}
    for name in MEANINGS:
        mine = [
            row for row in rows if (row["system"], row["workload"], row["promise"]) == ("agentflow", name, "strict")
        ]
        points = sorted((row["steps"], each(row)) for row in mine)
        if len(points) > 1:
            series[name] = points
    return lines("Time per step against the size of the run (agentflow, strict)", series)


def each(row: dict[str, Any]) -> float:
    """Return the microseconds of a step, the start of the run apart."""
    return (row["steps"] / row["steps_per_second"] - (row["start_seconds"] or 0.0)) / row["steps"] * 1e6


def page(summary: dict[str, Any]) -> str:
    """Return the page as Markdown."""
    rows = summary["rows"]
    parts = [INTRO.read_text(encoding="utf-8").replace("{cap}", f"{summary.get('cap', 60):g}")]
    parts.append("## What has to hold\n\n| | figure | | wanted |\n|---|---|---|---|")
    parts += [ratio_line(ratio) for ratio in summary["ratios"]]
    parts.append("\n## Strict durability\n\n![steps per second](benchmarks-speed.svg)\n")
    for name, meaning in MEANINGS.items():
        parts += table(name, meaning, pick(rows, name, "strict"))
    parts.append("## Relaxed durability\n")
    for name in MEANINGS:
        parts += table(name, "", pick(rows, name, "relaxed"))
    parts.append("## Growth\n\n![time per step](benchmarks-growth.svg)\n")
    parts += growth_table(rows)
    parts += alone.section(summary.get("waiting", {}))
    parts += missing(summary["failures"])
    parts += measured_on(summary)
    return "\n".join(parts)


def ratio_line(ratio: dict[str, Any]) -> str:
    """Return a row of the table of ratios."""
    spread = f" ({ratio['spread'][0]:.2f} to {ratio['spread'][1]:.2f})" if ratio["spread"] else ""
    unit = ratio["unit"]
    return (
        f"| {ratio['name']} | {ratio['value']:.2f}{unit}{spread} | {ratio['verdict']} "
        f"| {ratio['sign']} {ratio['limit']:.3g}{unit} |"
    )


def table(name: str, meaning: str, rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield the table of a workload."""
    if not rows:
        return
    yield f"### {name}\n"
    if meaning:
        yield f"{meaning}\n"
    yield "| system | steps/s | agentflow is | p50, p95 ms | CPU µs/step | RSS MB | database MB | last / first tenth |"
    yield "|---|---|---|---|---|---|---|---|"
    ours = next((row["steps_per_second"] for row in rows if row["system"] == "agentflow"), None)
    for row in rows:
        about = "" if row["complete"] else "≈ "
        times = "" if row["system"] == "agentflow" or not ours else f"{ours / row['steps_per_second']:.2f}×"
        rss = f"{row['peak_rss_mb']:.0f}" + (f" + {row['server_pss_mb']:.0f}" if row["server_pss_mb"] else "")
        # Of a graph and of loops a gap says little: many steps end together.
        spread = "" if name in NO_LATENCY else f"{number(row['p50_ms'])}, {number(row['p95_ms'])}"
        range_ = f"{row['lowest']:,.0f} to {row['highest']:,.0f}"
        yield (
            f"| {row['system']} | {about}{row['steps_per_second']:,.0f} ({range_}) "
            f"| {times} | {spread} | {row['cpu_us_per_step']:,.0f} | {rss} "
            f"| {number(row['db_bytes_closed'], 1e6)} | {number(row['last_over_first_tenth'])} |"
        )
    yield ""


def number(value: float | None, unit: float = 1.0) -> str:
    """Return a figure with as many digits as it deserves; nothing for None."""
    if value is None:
        return ""
    value /= unit
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def growth_table(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield µs per step by size, the start of the run apart; the start in its own column."""
    yield "| | steps | µs a step | start of the run, s | compiling, s | RSS MB | limit-batches, µs a step |"
    yield "|---|---|---|---|---|---|---|"
    for name in MEANINGS:
        mine = [
            row for row in rows if (row["system"], row["workload"], row["promise"]) == ("agentflow", name, "strict")
        ]
        for row in sorted(mine, key=lambda row: row["steps"]):
            raw = [one for one in pick(rows, name, "strict", row["scale"]) if one["system"] == "limit-batches"]
            floor = f"{1e6 / raw[0]['steps_per_second']:,.0f}" if raw else ""
            yield (
                f"| {name} | {row['steps']:,} | {each(row):,.0f} | {number(row['start_seconds'])} "
                f"| {number(row['compile_seconds'])} | {row['peak_rss_mb']:.0f} | {floor} |"
            )
    yield ""


def missing(failures: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield what couldn't be measured."""
    if not failures:
        return
    yield "## Not measured\n"
    for failure in failures:
        where = f", {failure['title']}" if failure["title"] else ""
        yield f"- {failure['system']}{where}: {failure['why']}"
    yield ""


def measured_on(summary: dict[str, Any]) -> Iterator[str]:
    """Yield the machine and the versions."""
    machine = summary["machine"]
    loads = [row["load"] for row in summary["rows"]]
    yield "## Measured on\n"
    many = [row["repetitions"] for row in summary["rows"]]
    yield (
        f"{min(many, default=0)} to {max(many, default=0)} repetitions, {summary['at']}, "
        f"{machine['processor']}, {machine['processors']} processors, {machine['memory_gb']} GB, "
        f"{machine['system']}; load average {min(loads, default=0):.1f} to {max(loads, default=0):.1f}.\n"
    )
    seen: dict[str, dict[str, str]] = {}
    for row in summary["rows"]:
        seen.setdefault(row["system"], row["versions"])
    for system, versions in seen.items():
        yield f"- {system}: " + ", ".join(f"{name} {text}" for name, text in versions.items())
    yield "\nThe plain figures are in [benchmarks.json](benchmarks.json).\n"


if __name__ == "__main__":
    for written in write(json.loads((DOCS / "benchmarks.json").read_text(encoding="utf-8"))):
        print(written.relative_to(DOCS.parent))
