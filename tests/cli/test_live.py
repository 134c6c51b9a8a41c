"""The live view costs little, however long a run is: what an event and a frame look at is bounded."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from agentflow.cli.console import Console
from agentflow.cli.live import FRAME, Screen
from agentflow.cli.rows import finished, live_lines
from agentflow.cli.tree import RunTree
from agentflow.store.rows import Event

RUN = "run"


class Log:
    """Feeds a tree, as the engine's log would."""

    def __init__(self) -> None:
        self.tree = RunTree(RUN)
        self.pos = 0

    def add(self, kind: str, step: str | None = None, at: float = 0.0, run: str = RUN, **data: Any) -> Log:
        self.pos += 1
        self.tree.apply(Event(self.pos, 1, run, self.pos, run, None, kind, step, data or None, at))
        return self

    def fail(self, step: str, *, tolerated: bool = False, again: bool = False) -> Log:
        error = {"code": "AF-PYTHON-RAISED", "message": "ValueError: no", "data": {"at": "lib.py:3"}}
        return self.add("step_failed", step, error=error, tolerated=tolerated, will_retry=again)


def lines_run(act: Callable[[], object]) -> int:
    """Return how many lines of our code an act executes: what it looks at, whatever the machine's speed."""
    count = 0

    def local(frame: FrameType, event: str, arg: object) -> Any:
        nonlocal count
        count += event == "line"
        return local

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        return local if "agentflow" in frame.f_code.co_filename else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(before)
    return count


def fan(size: int, body: str) -> tuple[int, int]:
    """Return the most lines that an event, and that a frame, of a loop of a size executes."""
    log = Log().add("run_started").add("step_started", "box", attempt=1)
    log.add("step_started", "box/each", attempt=1, items=size, steps=1)
    event = frame = 0
    for n in range(size):
        address = f"box/each[{n}]{body}"
        start = lines_run(lambda address=address: log.add("step_started", address, attempt=1))
        if n >= 32:
            ended = f"box/each[{n - 32}]{body}"
            end = lines_run(lambda ended=ended: log.add("step_completed", ended))
            event = max(event, start, end)
    frame = lines_run(lambda: live_lines(log.tree, 1.0, 30, 80))
    return event, frame


@pytest.mark.parametrize("body", ["", "/get"])
def test_what_an_event_and_a_frame_look_at_does_not_grow_with_the_items(body: str) -> None:
    small, large = fan(64, body), fan(1024, body)
    assert large[0] <= small[0] + 5
    assert large[1] <= small[1] + 5


def test_a_frame_of_a_long_chain_looks_at_what_goes_on_only() -> None:
    counts: list[int] = []
    for size in (10, 1000):
        log = Log()
        for n in range(size):
            log.add("step_started", f"s{n}", attempt=1).add("step_completed", f"s{n}")
        log.add("step_started", "last", attempt=1)
        counts.append(lines_run(lambda log=log: live_lines(log.tree, 1.0, 30, 80)))
    assert counts[0] == counts[1]


def test_a_frame_of_many_parallel_steps_stops_looking() -> None:
    log = Log()
    for n in range(5000):
        log.add("step_started", f"s{n}", attempt=1)
    assert live_lines(log.tree, 1.0, 10, 80)[-1].endswith("+ more")
    assert lines_run(lambda: live_lines(log.tree, 1.0, 10, 80)) < 10_000


class Terminal(io.StringIO):
    """A stream that takes what is drawn."""


def test_at_most_ten_frames_a_second_are_drawn_however_much_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    console = Console(io.StringIO(), Terminal(), err_terminal=True, err_colour=True)
    log = Log().add("step_started", "each", attempt=1, items=10_000, steps=1)
    screen = Screen(console, log.tree, clock=lambda: now)
    for n in range(2000):
        now = n / 1000
        log.add("step_started", f"each[{n}]", attempt=1)
        screen.refresh()
    screen.stop()
    assert screen.drawn <= 2.0 / FRAME + 1


def test_lines_that_stay_are_written_with_the_next_frame_and_none_is_lost(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    console = Console(sys.stdout, sys.stderr, err_terminal=True, err_colour=True)
    log = Log().add("step_started", "each", attempt=1)
    screen = Screen(console, log.tree, clock=lambda: now)
    screen.refresh()
    screen.print(["one"])
    assert "one" not in capsys.readouterr().err
    now = 1.0
    screen.refresh()
    screen.print(["two"])
    screen.stop()
    told = capsys.readouterr().err
    assert told.index("one") < told.index("two")


def test_the_total_of_a_loop_is_what_it_was_given() -> None:
    log = Log().add("step_started", "each", attempt=1, items=300, steps=1)
    log.add("step_started", "each[0]", attempt=1).add("step_completed", "each[0]")
    log.add("step_started", "each[1]", attempt=1).fail("each[1]")
    row = log.tree.rows[RUN, "each"]
    assert (row.progress, row.failed_items) == ((1, 300), 1)
    log.fail("each")
    assert finished(row, None, 100)[0].startswith("✘ each            1 of 300: ValueError: no (lib.py:3)")


def test_an_item_of_several_steps_is_done_when_all_of_them_have_ended() -> None:
    log = Log().add("step_started", "each", attempt=1, items=2, steps=2)
    log.add("step_started", "each[0]/a", attempt=1).add("step_completed", "each[0]/a")
    row = log.tree.rows[RUN, "each"]
    assert row.progress == (0, 2)
    log.add("step_skipped", "each[0]/b", reason="condition")
    assert row.progress == (1, 2)


def test_tolerated_failures_are_counted_wherever_they_are() -> None:
    log = Log().add("run_started").add("step_started", "each", attempt=1, items=3, steps=2)
    log.add("step_started", "each[0]/a", attempt=1).fail("each[0]/a", tolerated=True)
    log.add("step_completed", "each[0]/b")
    log.add("step_started", "each[1]/call", attempt=1).add(
        "run_started", run="c", parent_id=RUN, parent_step="each[1]/call"
    )
    log.add("step_started", "x", run="c", attempt=1)
    log.add("step_failed", "x", run="c", tolerated=True, error={"code": "C", "message": "no"})
    log.add("run_completed", run="c").add("step_completed", "each[1]/call").add("step_completed", "each[1]/b")
    log.add("hook_failed", None, hook="on_success").add("hook_failed", None, hook="finally")
    row = log.tree.rows[RUN, "each"]
    assert (row.progress, row.failed_items, row.sums.tolerated) == ((0, 3), 2, 2)
    assert log.tree.all.sums.tolerated == 3
    assert [each.address for each in log.tree.tolerated()] == ["", "each[0]/a", "x"]


def test_a_container_that_is_entered_again_forgets_what_its_first_attempt_came_to() -> None:
    log = Log().add("step_started", "each", attempt=1, items=2, steps=1)
    log.add("step_started", "each[0]", attempt=1).fail("each[0]", tolerated=True)
    log.add("step_started", "each[1]", attempt=1).fail("each[1]", again=True)
    log.add("step_retrying", "each[1]", attempt=2, delay=1).fail("each", again=True)
    row = log.tree.rows[RUN, "each"]
    assert (row.progress, row.failed_items, row.retrying) == ((0, 2), 1, 1)
    log.add("step_started", "each", attempt=2, items=2, steps=1)
    assert (row.progress, row.failed_items, row.retrying, log.tree.all.sums.tolerated) == ((0, 2), 0, 0, 0)
    for n in range(2):
        log.add("step_started", f"each[{n}]", attempt=1).add("step_completed", f"each[{n}]")
    assert (row.progress, row.failed_items) == ((2, 2), 0)
    assert not any(each.sums.shown for each in row.below())


def test_a_loop_inside_another_step_is_one_line_and_its_items_are_not_listed() -> None:
    log = Log().add("step_started", "box", attempt=1).add("step_started", "box/each", attempt=1, items=40, steps=1)
    for n in range(40):
        log.add("step_started", f"box/each[{n}]", attempt=1)
    assert [line.split()[1] for line in live_lines(log.tree, 1.0, 30, 80)] == ["box", "each"]


def test_what_undoes_a_completed_step_is_shown_while_it_goes_on() -> None:
    log = Log().add("step_started", "trip", attempt=1).add("step_started", "trip/pay", attempt=1)
    log.add("step_completed", "trip/pay").add("step_started", "trip/pay#compensate", attempt=1)
    assert [line.split()[1] for line in live_lines(log.tree, 1.0, 30, 80)] == ["trip", "#compensate"]
