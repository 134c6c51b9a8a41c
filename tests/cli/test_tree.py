"""Events become rows and lines."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow.cli.rows import ending, finished, live_lines, stable_line, waiting
from agentflow.cli.tables import cells
from agentflow.cli.tree import RunTree, parent_of
from agentflow.store.rows import (
    Event,
)

RUN = "run"
HTTP = {"code": "AF-HTTP-STATUS", "message": "HTTP 503 from GET https://x.example", "data": {"status": 503}}


class Log:
    """Feeds a tree, as the engine's log would."""

    def __init__(self) -> None:
        self.tree = RunTree(RUN)
        self.lines: list[str] = []
        self.pos = 0

    def add(self, kind: str, step: str | None = None, at: float = 0.0, run: str = RUN, **data: Any) -> Log:
        self.pos += 1
        task = data.get("wait_task_id", run)
        event = Event(self.pos, 1, run, self.pos, task, None, kind, step, data or None, at)
        line = stable_line(self.tree.apply(event))
        self.lines += [line] if line is not None else []
        return self


def test_the_address_above_is_found_in_every_shape() -> None:
    assert parent_of("fetch[3]/get") == "fetch[3]"
    assert parent_of("fetch[3]") == "fetch"
    assert parent_of("sw/case[0]") == "sw/case"
    assert parent_of("pay#compensate") == "pay"
    assert parent_of("#finally/notify") == "#finally"
    assert parent_of("fetch") is None


def report() -> Log:
    log = Log()
    log.add("run_started")
    log.add("step_started", "fetch", 0.0, attempt=1)
    for n in range(3):
        log.add("step_started", f"fetch[{n}]", 0.1, attempt=1)
    log.add("step_completed", "fetch[0]", 0.5)
    log.add("step_failed", "fetch[1]", 0.6, error=HTTP, will_retry=True, attempt=1)
    log.add("step_retrying", "fetch[1]", 0.6, attempt=2, delay=2.0)
    return log


def test_a_loop_is_one_row_with_counts_while_it_goes() -> None:
    tree = report().tree
    assert live_lines(tree, 1.0, 10, 80) == ["● fetch           1 of 3, 1 retrying                       1s"]


def test_a_pipe_gets_one_stable_line_an_event_and_loops_in_one() -> None:
    log = report()
    log.add("step_started", "fetch[1]", 2.6, attempt=2).add("step_completed", "fetch[1]", 2.7)
    log.add("step_completed", "fetch[2]", 2.8).add("step_completed", "fetch", 2.9)
    log.add("step_started", "summarise", 2.9, attempt=1).add("step_completed", "summarise", 3.0)
    log.add("step_skipped", "extra", 3.0, reason="condition")
    log.add("step_waiting", "review", 3.0, wait_task_id="w5d1kq", message="Approve?")
    assert log.lines == [
        "step fetch[1] retrying attempt=2 in=2s error=AF-HTTP-STATUS",
        "step fetch completed 2.9s 3/3",
        "step summarise completed 100ms",
        "step extra skipped reason=condition",
        "step review waiting wait=w5d1kq",
    ]


def test_a_finished_loop_folds_and_keeps_its_retries() -> None:
    log = report()
    log.add("step_started", "fetch[1]", 2.6, attempt=2).add("step_completed", "fetch[1]", 2.7)
    log.add("step_completed", "fetch[2]", 2.8).add("step_completed", "fetch", 2.9)
    assert finished(log.tree.rows[RUN, "fetch"], None, 80) == [
        "✔ fetch           3 of 3                                   2.9s",
        "  ↻ [1]  2 attempts (HTTP 503, then ok)",
    ]


def test_a_failure_inside_stays_visible() -> None:
    log = Log().add("step_started", "box", 0.0, attempt=1).add("step_started", "box/child", 0.0, attempt=1)
    log.add("step_failed", "box/child", 1.0, error=HTTP, will_retry=False)
    log.add("step_failed", "box", 1.0, error=HTTP, will_retry=False)
    assert finished(log.tree.rows[RUN, "box"], None, 80) == [
        "✘ box             HTTP 503                                 1.0s",
        "  ✘ child  HTTP 503",
    ]
    assert log.lines == [
        "step box/child failed 1.0s error=AF-HTTP-STATUS",
        "step box failed 1.0s error=AF-HTTP-STATUS",
    ]


def test_a_loop_of_several_steps_counts_its_items() -> None:
    log = Log().add("step_started", "each", 0.0, attempt=1)
    for n in range(2):
        log.add("step_started", f"each[{n}]/get", 0.0, attempt=1)
    log.add("step_completed", "each[0]/get", 1.0)
    row = log.tree.rows[RUN, "each"]
    assert row.progress == (1, 2)
    log.add("step_completed", "each[1]/get", 1.0).add("step_completed", "each", 1.0)
    assert log.lines == ["step each completed 1.0s 2/2"]


def test_a_wait_says_who_is_asked() -> None:
    log = Log().add("step_waiting", "review", 1.0, wait_task_id="w1", message="Approve?")
    assert waiting(log.tree.rows[RUN, "review"], 80) == "✋ review          waits for you"


def test_time_spent_waiting_is_told_apart() -> None:
    log = Log().add("run_started", at=0.0).add("run_status", at=3.0, state="input-required")
    log.add("run_status", at=44.0, state="working").add("run_completed", at=44.0)
    assert ending(log.tree) == "completed in 3.0s (+ 41s waiting)"
    assert log.tree.ended_run


def test_time_in_which_a_run_was_paused_is_told_apart_from_waiting() -> None:
    log = Log().add("run_started", at=0.0).add("run_status", at=1.0, state="input-required")
    log.add("run_status", at=3.0, state="input-required", paused=True)
    log.add("run_status", at=8.0, state="input-required", paused=False)
    log.add("run_status", at=9.0, state="working").add("run_failed", at=9.5)
    assert ending(log.tree) == "failed in 1.5s (+ 3.0s waiting, 5.0s paused)"


def test_the_last_line_names_as_many_failures_as_the_terminal_has_room_for() -> None:
    log = Log().add("run_started", at=0.0).add("step_started", "each", 0.0, attempt=1)
    for n in range(5):
        log.add("step_failed", f"each[{n}]", 1.0, error=HTTP, tolerated=True)
    log.add("run_completed", at=1.0)
    start = "completed in 1.0s, 5 failed (tolerated)"
    assert ending(log.tree, 80) == f"{start}: each[0], each[1], each[2] and 2 more"
    assert ending(log.tree, 60) == f"{start}: each[0] and 4 more"
    assert ending(log.tree, 50) == start


def test_a_step_that_goes_on_counts_whole_seconds_from_its_first_attempt() -> None:
    log = Log().add("step_started", "load", 1.0, attempt=1)
    assert live_lines(log.tree, 1.4, 10, 80) == ["● load                                                     0s"]
    log.add("step_failed", "load", 1.5, error=HTTP, will_retry=True).add("step_started", "load", 5.0, attempt=2)
    assert live_lines(log.tree, 66.0, 10, 80)[0].endswith(" 1m 05s")


def test_a_step_of_a_container_that_is_entered_again_begins_anew() -> None:
    log = Log().add("step_started", "box", 0.0, attempt=1).add("step_started", "box/a", 0.0, attempt=1)
    log.add("step_failed", "box/a", 1.0, error=HTTP).add("step_failed", "box", 1.0, error=HTTP, will_retry=True)
    log.add("step_started", "box", 5.0, attempt=2).add("step_started", "box/a", 5.0, attempt=2)
    log.add("step_completed", "box/a", 6.0)
    assert log.tree.rows[RUN, "box/a"].seconds == 1.0


def test_the_live_part_is_never_higher_than_its_room() -> None:
    log = Log()
    for n in range(50):
        log.add("step_started", f"s{n}", 0.0, attempt=1)
    lines = live_lines(log.tree, 1.0, 10, 80)
    assert len(lines) == 10
    assert lines[-1] == "… 41 more"


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_no_live_line_is_wider_than_the_terminal(width: int) -> None:
    log = Log().add("step_started", "a-step-with-a-long-name", 0.0, attempt=1)
    log.add("step_waiting", "review", 1.0, wait_task_id="w1", message="Approve this very long message? " * 5)
    assert all(cells(line) <= max(width, 40) for line in live_lines(log.tree, 1.0, 10, width))


def test_steps_of_a_child_run_hang_below_the_step_that_started_it() -> None:
    log = Log().add("step_started", "call", 0.0, attempt=1)
    log.tree.hang("child", RUN, "call")
    log.add("run_started", run="child").add("step_started", "inner", 0.0, run="child", attempt=1)
    log.add("step_completed", "inner", 1.0, run="child")
    log.add("run_completed", run="child", at=1.0)
    assert log.lines == ["step call/inner completed 1.0s"]
    assert not log.tree.ended_run


def test_a_tolerated_failure_is_no_failure_of_the_step() -> None:
    log = Log().add("step_started", "maybe", 0.0, attempt=1)
    log.add("step_failed", "maybe", 1.0, error=HTTP, will_retry=False, tolerated=True)
    (line, *_) = finished(log.tree.rows[RUN, "maybe"], None, 80)
    assert line == "- maybe           failed, and that is tolerated: HTTP 503"


def test_a_step_that_somebody_approved_tells_its_work_and_the_waiting_apart() -> None:
    log = Log().add("step_waiting", "pay", 0.0, wait_task_id="w1").add("step_resumed", "pay", 13.0)
    log.add("step_started", "pay", 13.05, attempt=1).add("step_completed", "pay", 13.1)
    row = log.tree.rows[RUN, "pay"]
    assert log.lines[-1] == "step pay completed 100ms (+ 13s waiting)"
    assert finished(row, "paid", 80)[0].split("  ")[-1].strip().endswith("100ms (+ 13s waiting)")


def test_a_step_whose_result_was_reviewed_tells_the_waiting_apart() -> None:
    log = Log().add("step_started", "draft", 0.0, attempt=1).add("step_waiting", "draft", 2.0, wait_task_id="w1")
    log.add("step_completed", "draft", 62.0)
    assert log.lines[-1] == "step draft completed 2.0s (+ 1m 00s waiting)"


def test_a_container_tells_apart_how_long_the_run_waited_while_it_went() -> None:
    log = Log().add("run_started", at=0.0).add("step_started", "box", 1.0, attempt=1)
    log.add("step_waiting", "box/ask", 2.0, wait_task_id="w1").add("run_status", at=2.0, state="input-required")
    log.add("run_status", at=5.0, state="working").add("step_waiting", "box/ask", 6.0, wait_task_id="w2")
    log.add("run_status", at=6.0, state="input-required").add("step_completed", "box/ask", 10.0)
    log.add("step_completed", "box", 10.5)
    assert log.lines[-2:] == ["step box/ask completed 8.0s", "step box completed 2.0s (+ 7.5s waiting)"]


def test_a_step_that_is_only_a_wait_takes_the_time_of_the_wait() -> None:
    log = Log().add("step_waiting", "ask", 0.0, wait_task_id="w1").add("step_resumed", "ask", 3.0)
    assert log.add("step_completed", "ask", 3.0).lines[-1] == "step ask completed 3.0s"


def test_a_pause_of_less_than_a_second_is_not_told_as_none() -> None:
    log = Log().add("step_started", "get", 0.0, attempt=1)
    log.add("step_failed", "get", 0.1, error=HTTP, will_retry=True).add("step_retrying", "get", 0.1, delay=0.5)
    assert "attempt 2: " in live_lines(log.tree, 0.2, 10, 80)[0]
