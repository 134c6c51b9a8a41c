"""A host that dies at any of a run's commits: the next host comes to the same end and repeats nothing committed.

`make test` lets it die before every third commit and after every third; `make test-slow` before and after each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow.definition.models import Step, Workflow
from agentflow.engine import Answer, Engine, Run
from agentflow.steps import (
    condition,
    delay,
    end,
    for_each,
    parallel,
    poll,
    recur,
    saga,
    sequence,
    set_,
    switch,
    wait_for_input,
    while_,
)
from agentflow.steps import workflow as sub
from agentflow.store import open_store
from agentflow.testing import RunOutcome
from agentflow.testing.clock import FakeClock
from tests.engine.hands import killed_at_commit
from tests.engine.lab import LIMIT, Lab

pytestmark = pytest.mark.anyio


class Book:
    """Notes who was called, and gives steps that note themselves."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.calls: list[str] = []

    def do(self, name: str, result: Any = None, **common: Any) -> Step:
        async def work(ctx: Any) -> Any:
            self.calls.append(ctx.address)
            await anyio.lowlevel.checkpoint()
            return name if result is None else result

        return self.lab.call(name, work, **common)

    def fail(self, name: str, times: int = 1_000_000, **common: Any) -> Step:
        async def work(ctx: Any) -> str:
            self.calls.append(ctx.address)
            if ctx.tries <= times:
                raise RuntimeError("broken")
            return name

        return self.lab.call(name, work, **common)


def loops(book: Book) -> list[Workflow]:
    each = for_each("each", in_=[1, 2, 3], steps=[book.do("x"), book.do("y", if_="item != 2")])
    in_order = for_each("order", in_=["a", "b"], max_parallel=1, steps=[sequence("in", steps=[book.do("z")])])
    body = [set_("n", value=1), book.do("m"), end("stop", scope="count", output="out")]
    count = while_("count", condition="steps.n == null", max_iterations=5, steps=body)
    again = while_("again", condition="steps.w == null || index < 2", max_iterations=5, steps=[book.do("w")])
    twice = recur("twice", interval=5, max=2, steps=[book.do("r")])
    look = poll("look", body=book.do("body", {"ok": True}), until="steps.body.ok == true", interval=3)
    field = book.do("field", for_each=[1, 2])
    output = {"e": "{steps.each}", "t": "{steps.twice}", "f": "{steps.field}", "a": "{steps.again}"}
    return [book.lab.workflow(each, in_order, count, again, twice, look, field, output=output)]


def branches(book: Book) -> list[Workflow]:
    choice = condition("c", expression="context.n == 0", if_true=[book.do("yes", update={"n": 7}), book.do("more")])
    route = switch("s", cases=[("context.n == 3", [book.do("no")]), ("context.n == 7", [book.do("seven")])])
    box = parallel("box", steps=[book.do("a"), book.do("b"), delay("nap", for_=5)], on_success=[book.do("fine")])
    flow = book.lab.workflow(
        choice, route, box, book.do("last", delay=2), context={"n": {"default": 0, "reducer": "add"}},
        output=["{context.n}", "{steps.c}", "{steps.s}", "{steps.box}"], finally_=(book.do("tidy"),),
    )  # fmt: skip
    return [flow]


def failing(book: Book) -> list[Workflow]:
    twice = {"max_attempts": 2, "base": 1}
    again = sequence("again", steps=[book.do("p"), book.fail("q", 99)], retry=twice, on_error="continue")
    flaky = book.fail("flaky", 2, retry={"max_attempts": 3, "base": 1})
    body = [book.do("g"), book.fail("h", if_="item == 2")]
    every = for_each("every", in_=[1, 2, 3], steps=body, on_error_siblings="continue", on_error="continue")
    hooks: dict[str, Any] = {"on_failure": (book.do("cry"),), "finally_": (book.do("tidy"),)}
    return [book.lab.workflow(again, flaky, every, book.fail("bad"), book.do("never"), **hooks)]


def undoing(book: Book) -> list[Workflow]:
    def pay(name: str) -> Step:
        return book.do(name, compensate=book.do("undo"))

    inner = saga("inner", steps=[pay("x"), pay("y")])
    items = for_each("items", in_=[1, 2], max_parallel=1, steps=[pay("i")])
    several = book.do("b", compensate=[book.do("u1"), book.do("u2")])
    body = [pay("a"), inner, items, several, book.fail("bad")]
    trip = saga("trip", steps=body, retry={"max_attempts": 2, "base": 1})
    return [book.lab.workflow(trip, finally_=(book.do("tidy"),))]


def children(book: Book) -> list[Workflow]:
    leaf = book.lab.workflow(book.do("work"), delay("nap", for_=3), book.do("more"), id="leaf", output="{input.n}")
    bad = book.lab.workflow(book.fail("oops"), id="bad")
    call = for_each("each", in_=[1, 2], steps=[sub("call", workflow="leaf", input={"n": "{item}"})])
    broken = sub("broken", workflow="bad", on_error="continue")
    return [leaf, bad, book.lab.workflow(call, broken, book.do("last"), output="{steps.each}")]


def waiting(book: Book) -> list[Workflow]:
    asked = book.lab.workflow(wait_for_input("deep", message="?"), book.do("then"), id="asked", output="{steps.deep}")
    both = parallel(
        "both", steps=[wait_for_input("one", message="?"), book.do("beside"), sub("child", workflow="asked")]
    )
    suspended = book.fail("bad", on_error="suspend")
    return [asked, book.lab.workflow(both, suspended, book.do("last"), output="{steps.both}")]


def cancelled(book: Book) -> list[Workflow]:
    pay = book.do("pay", compensate=[book.do("u1"), book.do("u2")])
    leaf = saga("leaf", steps=[book.do("x", compensate=book.do("undo")), wait_for_input("deep", message="?")])
    trip = saga("trip", steps=[pay, sub("call", workflow="asked")], finally_=[book.do("tidy")])
    asked = book.lab.workflow(leaf, id="asked", finally_=(book.do("sweep"),))
    return [asked, book.lab.workflow(trip, book.do("never"), finally_=(book.do("end"),))]


async def drive(engine: Engine, *, cancel: bool) -> Run:
    """Start the run or go on with it, and answer or cancel whenever it waits."""
    found = await engine.list()
    run = found[0] if found else await engine.start("main", {"n": 0})
    while not (run := await engine.wait(run.id)).ended:
        if cancel:
            await engine.cancel(run.id)
            async for _ in engine.subscribe(run.id):
                pass
        for wait in await engine.waits(run.id):
            if wait.kind == "operator":
                await engine.resume(wait.id, Answer({"action": "skip"}))
            else:
                await engine.resume(wait.id, Answer(wait.step))
    return run


Scenario = Callable[[Book], list[Workflow]]
ENDS: dict[Scenario, str] = {failing: "failed", undoing: "failed", cancelled: "canceled"}


async def until_commit(
    lab: Lab, flows: Sequence[Workflow], path: Path, number: int, *, before: bool, cancel: bool
) -> bool:
    """Run until a commit, die right before or after it; tells whether there was such a commit."""
    return await killed_at_commit(lab, flows, path, number, partial(drive, cancel=cancel), before=before)


async def finish(lab: Lab, flows: Sequence[Workflow], path: Path, *, cancel: bool) -> RunOutcome:
    store = await open_store(path, durability="relaxed")
    try:
        async with lab.open(*flows, store=store) as engine:
            with anyio.fail_after(LIMIT):
                return await lab.finish(engine, await drive(engine, cancel=cancel))
    finally:
        await store.close()


def shape(done: RunOutcome) -> Any:
    failure = done.run.failure
    return (done.state, done.output, failure.step if failure else None, done.states, done.reasons)


@pytest.mark.case("F-CP-1", "F-CP-3", "F-CP-4")
@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.slow)], ids=["some", "each"])
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("scenario", [loops, branches, failing, undoing, children, waiting, cancelled])
async def test_wherever_the_host_dies_the_run_comes_to_the_same_end(
    clock: FakeClock, scenario: Scenario, before: bool, every: int, tmp_path: Path
) -> None:
    """State is rebuilt at every crash here, so there is no need for the replay mode."""
    lab = Lab(clock, always_replay=False)
    cancel = scenario is cancelled
    book = Book(lab)
    flows = scenario(book)
    whole = await finish(lab, flows, tmp_path / "whole.db", cancel=cancel)
    assert whole.state == ENDS.get(scenario, "completed")
    calls = sorted(book.calls)
    for number in range(1 if before or every == 1 else 2, 200, every):
        book.calls.clear()
        path = tmp_path / f"{number}.db"
        with anyio.fail_after(LIMIT):
            crashed = await until_commit(lab, flows, path, number, before=before, cancel=cancel)
        running = len(book.calls)
        done = await finish(lab, flows, path, cancel=cancel)
        assert shape(done) == shape(whole), f"crash at commit {number}"
        assert [event.seq for event in done.events] == list(range(1, len(done.events) + 1))
        extra = _without(sorted(book.calls), calls)
        assert len(extra) <= min(running, 8), (number, extra)
        ends = [kind for kind in done.kinds if kind in {"run_completed", "run_failed", "run_canceled"}]
        assert len(ends) == 1
        if not crashed:
            return
    raise AssertionError("it never came to its end")


def _without(longer: list[str], shorter: list[str]) -> list[str]:
    rest = list(longer)
    for name in shorter:
        assert name in rest, f"{name} was not called"
        rest.remove(name)
    return rest
