"""A run for people: what each step does, and why one isn't running."""

from __future__ import annotations

from typing import Any

from agentflow.data import encode
from agentflow.definition.models import Body, Step, Workflow
from agentflow.engine.locating import locate
from agentflow.engine.read.inspect import RunView, Surroundings, snapshot
from agentflow.errors import Failure
from agentflow.store.rows import HELD, RunRow, State, StepRow, TaskRow, TimerRow
from agentflow.store.views import TaskView


def step(name: str, kind: str = "set", **fields: Any) -> Step:
    return Step(id=name, type=kind, **fields)


WORKFLOW = Workflow(
    id="report",
    steps=(
        step("fetch", "for_each", bodies={"steps": Body(steps=(step("get", "api_call"),))}),
        step("review", "wait_for_input", depends_on=("fetch",)),
        step("send", "api_call", depends_on=("review",)),
        step("archive", "script", depends_on=("send",)),
    ),
)


def run_row(state: State = "working", **changes: Any) -> RunRow:
    fields: dict[str, Any] = dict.fromkeys(RunRow._fields)
    fields |= {"run": 1, "id": "r", "root": 1, "root_id": "r", "workflow": "report", "definition": "d", "input": b"{}"}
    fields |= {"state": state, "owner": "local", "context_id": "c", "door": "cli", "labels": {}, "pins": {}}
    fields |= {"paused": False, "epoch": 1, "seq": 1, "generation": 1, "created_at": 0.0, "updated_at": 0.0}
    return RunRow(**{**fields, **changes})


def row(n: int, address: str, state: State, **fields: Any) -> StepRow:
    return StepRow(1, n, address, state, **fields)


def look(rows: list[StepRow], run: RunRow | None = None, **around: Any) -> RunView:
    return snapshot(WORKFLOW, run or run_row(), rows, Surroundings(100.0, **around))


def why(view: RunView, address: str) -> str | None:
    found = view.step(address)
    assert found is not None
    return found.why


def test_steps_come_in_the_definitions_order_with_nested_ones_behind_theirs() -> None:
    rows = [
        row(0, "fetch", "working", phase="scope"),
        row(5, "fetch[1]/get", "working"),
        row(4, "fetch[0]/get", "working"),
    ]
    assert [(s.address, s.depth) for s in look(rows).steps] == [
        ("fetch", 0),
        ("fetch[1]/get", 1),
        ("fetch[0]/get", 1),
        ("review", 0),
        ("send", 0),
        ("archive", 0),
    ]


def test_a_step_that_was_not_reached_names_what_it_waits_for() -> None:
    view = look([row(0, "fetch", "working", phase="scope")])
    assert why(view, "review") == "waits for fetch"
    assert why(view, "send") == "waits for review"


def test_a_step_behind_a_failure_says_so() -> None:
    failure = Failure("AF-HTTP-STATUS", "HTTP 503", step="send")
    done = [row(0, "fetch", "completed"), row(1, "review", "completed")]
    view = look(
        [*done, row(2, "send", "failed", error=encode(failure.to_data()))],
        run_row("failed", error=encode(failure.to_data())),
    )
    assert why(view, "archive") == "not run: send failed"
    assert why(view, "send") is None
    assert view.failed_step == "send"


def test_a_timer_and_a_backoff_say_when() -> None:
    view = look(
        [row(0, "fetch", "working", phase="timer"), row(2, "send", "working", phase="backoff")],
        timers=[TimerRow(280.0, 1, 0, "timer"), TimerRow(108.0, 1, 2, "backoff")],
    )
    assert why(view, "fetch") == "waits for a time in 3m"
    assert why(view, "send") == "next attempt in 8s"


def test_a_ready_step_without_a_slot_says_so() -> None:
    view = look([row(0, "fetch", "working", phase="run"), row(1, "review", "submitted", attempt=1)], slots=1)
    assert why(view, "review") == "waits for a free slot (1 of 1 run)"


def test_a_run_without_a_process_and_a_paused_run_say_so() -> None:
    rows = [row(0, "fetch", "working", phase="run")]
    assert why(look(rows, hosted=False), "fetch") == "no process runs it"
    assert why(look([], run_row(paused=True)), "fetch") == "the run is paused"


def test_a_paused_timer_tells_the_time_it_was_for_and_not_the_one_it_is_put_off_to() -> None:
    timers = [TimerRow(160.0 + HELD, 1, 0, "timer")]
    view = look([row(0, "fetch", "working", phase="timer")], run_row(paused=True), timers=timers)
    assert why(view, "fetch") == "waits for a time in 1m; the run is paused"


def test_a_wait_shows_what_it_asks_and_later_who_answered() -> None:
    task = TaskRow("w", 1, 1, "review", "input", "input-required", "Approve the report?")
    asked = TaskView(task, "r", "r", "report", "local", None, None, None, None, None, 1, 1)
    rows = [row(0, "fetch", "completed"), row(1, "review", "input-required", phase="wait", task="w")]
    view = look(rows, tasks={"w": asked})
    assert why(view, "review") == "waits: Approve the report?"
    done = asked._replace(answer={"value": {"decision": "approve"}}, by="ana", door="web")
    rows[1] = row(1, "review", "completed", task="w")
    found = look(rows, tasks={"w": done}).step("review")
    assert found is not None
    assert (found.answer, found.by, found.door, found.wait) == ({"value": {"decision": "approve"}}, "ana", "web", None)


def test_a_loop_counts_its_items() -> None:
    rows = [
        row(0, "fetch", "working", phase="scope", memo=encode({"own": {"items": [1, 2, 3, 4]}})),
        row(4, "fetch[0]/get", "completed"),
        row(5, "fetch[1]/get", "working"),
    ]
    found = look(rows).step("fetch")
    assert found is not None
    assert found.items == (1, 0, 4)


def test_a_failed_loop_counts_all_the_items_that_it_was_given() -> None:
    rows = [
        row(0, "fetch", "failed", memo=encode({"own": {"items": list(range(300))}, "failure": {}})),
        row(4, "fetch[0]/get", "completed"),
        row(5, "fetch[1]/get", "failed"),
        row(6, "fetch[2]/get", "canceled", reason="sibling_failed"),
        row(7, "fetch[3]/get", "canceled", reason="condition"),
    ]
    found = look(rows).step("fetch")
    assert found is not None
    assert found.items == (2, 1, 300)


def test_items_whose_failure_was_tolerated_are_not_done() -> None:
    rows = [
        row(0, "fetch", "completed", memo=encode({"own": {"items": [1, 2, 3]}})),
        row(4, "fetch[0]/get", "completed"),
        row(5, "fetch[1]/get", "canceled", reason="tolerated"),
        row(6, "fetch[2]/get", "completed"),
    ]
    found = look(rows).step("fetch")
    assert found is not None
    assert found.items == (2, 1, 3)


def test_the_definition_of_every_kind_of_address_is_found() -> None:
    case = {"case[0]": Body(steps=(step("x"),)), "default": Body(steps=(step("only"),), single=True)}
    undo = Body(steps=(step("refund", "script"),), single=True)
    workflow = Workflow(
        id="w",
        steps=(
            step("sw", "switch", bodies=case),
            step("pay", "api_call", compensate=undo),
            step("odd name"),
            step("box", "parallel", bodies={"steps": Body(steps=(step("in"),))}, on_failure=(step("cry"),)),
        ),
    ).model_copy(update={"finally_": (step("notify", "reply"),)})
    addresses = [
        "sw/case[0]/x",
        "sw/default",
        "pay#compensate",
        "#finally/notify",
        "odd%20name",
        "box/in",
        "box#on_failure/cry",
    ]
    found = [locate(workflow, address) for address in addresses]
    assert [s.id if s else None for s in found] == ["x", "only", "refund", "notify", "odd name", "in", "cry"]
    assert locate(workflow, "nothing/here") is None
