"""The benchmark's own arithmetic, and one tiny repetition of ours and of the raw limit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
sys.path.insert(1, str(BENCHMARKS / "systems"))

import driver  # noqa: E402  the benchmark's scripts are no package
import limit  # noqa: E402
import page  # noqa: E402
from driver import Case, Plan, Results  # noqa: E402
from environments import SetupError  # noqa: E402
from protocol import Report, latency, percentile, spread, tenths  # noqa: E402
from ratios import all_ratios  # noqa: E402
from summary import summarize  # noqa: E402
from workloads import SIZES, check_order, workload  # noqa: E402


def sample(system: str, workload: str, rate: float, turn: int = 0, **more: Any) -> dict[str, Any]:
    """Return what a system script prints, in short."""
    report: dict[str, Any] = {
        **Report(system, workload, steps=100, planned_steps=100, seconds=100 / rate, verified=True).__dict__,
        "peak_rss_mb": 50.0, "latency_ms": {"p50": 1.0, "p95": 2.0, "max": 3.0}, "round": turn, "load": 0.5,
    }  # fmt: skip
    return report | more


def repetition(script: str, *arguments: str) -> list[dict[str, Any]]:
    """Run a system script, and return its reports."""
    command = [sys.executable, str(BENCHMARKS / "systems" / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_percentiles_are_values_that_occurred() -> None:
    values = [float(n) for n in range(1, 101)]
    assert (percentile(values, 0.5), percentile(values, 0.95), percentile(values, 0.99)) == (50, 95, 99)
    assert (percentile([7.0], 0.99), percentile([], 0.5)) == (7, 0)
    assert spread([0.001, 0.002, 0.004]) == {"p50": 2.0, "p95": 4.0, "max": 4.0}


def test_tenths_leave_out_what_comes_before_the_first_step() -> None:
    marks = [100 + n for n in range(50)] + [150 + 2 * n for n in range(50)]
    assert tenths([float(mark) for mark in marks]) == (10, 20)
    assert tenths([1.0]) == (None, None)


def test_latency_is_a_gap_or_in_a_fan_the_time_since_the_start() -> None:
    marks = [1.001, 1.003, 1.004]
    assert latency(workload("chain"), marks, 1.0)["max"] == pytest.approx(2)
    assert latency(workload("fan"), marks, 1.0)["max"] == pytest.approx(4)


@pytest.mark.parametrize(
    ("name", "steps"),
    [("chain", 100), ("fan", 102), ("runs", 3000), ("dag10k", 10_000), ("ctx", 200), ("for_each", 10_000)],
)
def test_each_workload_has_the_steps_that_it_is_named_for(name: str, steps: int) -> None:
    assert name in SIZES
    assert workload(name).planned_steps == steps


def test_the_graph_of_layers_is_the_described_one() -> None:
    nodes = workload("dag10k", 0.02).nodes
    assert len(nodes) == 200
    assert (nodes[7].after, nodes[107].after, nodes[199].after) == ((), (7, 8), (99, 0))
    assert workload("ctx").payload_bytes == 2_000_000


def test_a_wrong_order_and_a_repeated_step_are_found() -> None:
    nodes = workload("chain", 0.03).nodes
    assert check_order(nodes, [0, 1, 2]) is None
    assert check_order(nodes, [0, 2, 1]) == "s2 ran before a step that it depends on"
    assert check_order(nodes, [0, 1, 1, 2]) == "1 steps ran more than once"
    assert check_order(nodes, [0, 1]) == "2 of 3 steps ran"


def test_a_batch_is_split_into_one_commit_a_step_with_all_of_its_rows() -> None:
    batch: limit.Transaction = [
        ("INSERT INTO steps VALUES (?)", [(n,) for n in range(4)]),
        ("INSERT INTO events VALUES (?)", [(n,) for n in range(8)]),
        ("UPDATE heads SET seq = ?", [(8,)]),
        ("INSERT INTO runs VALUES (?)", [(1,)]),
    ]
    small = limit.split([batch], 4)
    assert len(small) == 4
    for table, rows in (("steps", 4), ("events", 8), ("heads", 4), ("runs", 1)):
        assert sum(len(values) for part in small for sql, values in part if table in sql) == rows
    assert limit.split([batch], 1) == [batch]


def test_ratios_are_of_medians_and_say_whether_they_hold() -> None:
    results = Results()
    for turn, (ours, theirs) in enumerate([(800.0, 100.0), (300.0, 10.0), (5000.0, 200.0)]):
        results.samples += [sample("langgraph", "chain", theirs, turn), sample("agentflow", "chain", ours, turn)]
        results.samples.append(sample("limit-commits", "chain", 2000.0, turn))
    beside, floor = all_ratios(results)
    assert (round(beside.value, 6), beside.holds) == (8, True)
    assert beside.spread is not None
    assert [round(value, 6) for value in beside.spread] == [8, 30]
    assert (round(floor.value, 6), floor.holds) == (0.4, False)
    assert floor.line.startswith("SHORT chain (strict), agentflow / limit-commits: 0.40×")


def test_a_capped_peer_is_marked_as_extrapolated() -> None:
    results = Results([sample("langgraph", "fan", 10.0, complete=False), sample("agentflow", "fan", 300.0)])
    [ratio] = all_ratios(results)
    assert ratio.name == "fan (strict), agentflow / langgraph, extrapolated"
    assert "≈ 10 (10 to 10)" in page.page(summarize(results, [ratio]))


def test_growth_and_stalls_and_size_have_their_lines() -> None:
    stalls = {"p50": 1.0, "p99": 14.0, "max": 51.0}
    results = Results(
        [
            sample("agentflow", "chain", 100.0, start_seconds=0.5),
            sample("agentflow", "chain", 100.0, start_seconds=0.4, scale=100.0),
            sample("agentflow", "runs", 100.0, stalls_ms=stalls),
            sample("agentflow", "ctx", 100.0, payload_bytes=1000, db_bytes_closed=1300),
        ]
    )
    found = {ratio.name: ratio for ratio in all_ratios(results)}
    assert found["chain, time per step at 10,000 steps / at 100"].value == pytest.approx(1.2)
    assert found["runs (strict), event loop's stalls, p99"].holds
    assert not found["runs (strict), event loop's stalls, max"].holds
    assert not found["ctx, closed database / payload"].holds


def test_the_page_and_its_plots_are_made_of_the_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = Results([sample(name, "chain", 50.0) for name in ("agentflow", "langgraph", "limit-batches")])
    results.samples.append(sample("agentflow", "chain", 40.0, scale=10.0, planned_steps=1000))
    results.failures.append({"system": "restate", "title": "", "why": "no npm"})
    monkeypatch.setattr(page, "DOCS", tmp_path)
    page.write(summarize(results, all_ratios(results)))
    for plot in tmp_path.glob("*.svg"):
        assert ElementTree.parse(plot).getroot().tag.endswith("svg")
    text = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    assert "- restate: no npm" in text
    assert "| langgraph | 50 (50 to 50) | 1.00× |" in text
    assert json.loads((tmp_path / "benchmarks.json").read_text(encoding="utf-8"))["rows"]


def test_a_peer_that_cant_be_set_up_is_named_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(peer: str) -> Path:
        raise SetupError(f"no {peer} here")

    asked: list[str] = []

    def pretend(case: Case, name: str, python: str, cap: float, turn: int, results: Results) -> str | None:
        asked.append(name)
        return "it broke" if name == "limit" else None

    monkeypatch.setattr(driver, "ensure", refuse)
    monkeypatch.setattr(driver, "repetition", pretend)
    results = Results()
    pythons = driver.pythons(("langgraph", "agentflow", "limit"), results)
    driver.measure(Plan([Case("chain")], ("langgraph", "agentflow", "limit"), 2, 1.0, 1.0), pythons, results)
    assert asked == ["agentflow", "limit", "agentflow"]
    assert [(one["system"], one["why"]) for one in results.failures] == [
        ("langgraph", "can't be set up: no langgraph here"),
        ("limit", "it broke"),
    ]


@pytest.mark.parametrize("promise", ["strict", pytest.param("relaxed", marks=pytest.mark.slow)])
def test_a_tiny_repetition_of_ours_runs_and_is_checked(promise: str) -> None:
    [report] = repetition("ours.py", "chain", "--scale", "0.05", "--promise", promise)
    assert (report["steps"], report["complete"], report["verified"]) == (5, True, True)
    assert report["pragmas"]["synchronous"] == (2 if promise == "strict" else 1)
    assert report["pragmas"]["journal_mode"] == "wal"


def test_a_tiny_repetition_of_the_limit_writes_the_rows_that_ours_wrote() -> None:
    found = {report["system"]: report for report in repetition("limit.py", "runs", "--scale", "0.05")}
    batches, commits = found["limit-batches"], found["limit-commits"]
    assert batches["verified"]
    assert commits["verified"]
    assert batches["extra"]["commits"] < commits["extra"]["commits"]
    assert batches["pragmas"] == commits["pragmas"]
    assert batches["pragmas"]["synchronous"] == 2


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
@pytest.mark.slow
def test_the_live_views_cost_is_measured_on_a_terminal() -> None:
    import live  # noqa: PLC0415  pseudo terminals aren't everywhere

    (ratio,) = live.measure(items=5, rounds=1)
    assert ratio.value > 0
    assert ratio.limit == live.LIMIT


def test_the_cost_of_a2a_is_measured_of_a_server_that_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import over_a2a  # noqa: PLC0415  it needs no peer to be measured by itself
    import streams  # noqa: PLC0415
    from serving import in_turn, standing  # noqa: PLC0415

    with standing([over_a2a.ours()], tmp_path) as (ours,):
        in_turn([ours], over_a2a.ECHO, 2, 1, 0.1)
        streams.growth([ours], 1, (2, 4))
        streams.crowd(ours, 1, 3, 2)
        streams.webhooks(ours, 1, 2)
    told = capsys.readouterr().out
    assert told.count("agentflow") == 4
    assert " 0 a second" not in told


@pytest.mark.slow
def test_the_cost_of_mcp_is_measured_of_a_server_that_answers(tmp_path: Path) -> None:
    import over_mcp  # noqa: PLC0415  it needs no peer to be measured by itself
    from serving import in_turn, standing  # noqa: PLC0415

    with standing([over_mcp.ours()], tmp_path) as (ours,):
        for asked in (over_mcp.CALLED, over_mcp.LISTED, over_mcp.task(ours)):
            in_turn([ours], asked, 1, 1, 0.1)
            assert ours.rates[0] > 0
