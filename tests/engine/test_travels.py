"""The ways through the engine are those that the page tells of, in that order, and short."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow.engine import Answer, Engine, Run
from agentflow.steps import delay, set_, wait_for_input
from agentflow.testing.faults import doom
from tests.engine.hands import Gate, by_hand
from tests.engine.lab import LIMIT, Lab

pytestmark = pytest.mark.anyio

PAGE = (Path(__file__).parents[2] / "docs" / "explanation" / "how-a-step-travels.md").read_text(encoding="utf-8")
CALL = re.compile(r"^\d+\. `([\w/]+)\.py` `([\w.]+)`", re.MULTILINE)


def told(section: str) -> list[tuple[str, str]]:
    """Return the calls of a section of the page: module and name."""
    _, _, rest = PAGE.partition(f"## {section}\n")
    return [(found[1].replace("/", "."), found[2]) for found in CALL.finditer(rest.split("\n## ")[0])]


class Traced:
    """Notes the calls of a section as they happen: each way, until all of it was gone."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, section: str) -> None:
        self.expected = told(section)
        self.seen: list[tuple[str, str]] = []
        for module, name in dict.fromkeys(self.expected):
            place: Any = import_module(f"agentflow.engine.{module}")
            *owner, method = name.split(".")
            for part in owner:
                place = getattr(place, part)
            noted = self._noted(getattr(place, method), (module, name))
            monkeypatch.setattr(place, method, noted)
            if not owner:  # others have imported the function by its name
                for user in ("host.performer", "engine"):
                    known = import_module(f"agentflow.engine.{user}")
                    if hasattr(known, method):
                        monkeypatch.setattr(known, method, noted)

    def _noted(self, call: Callable[..., Any], key: tuple[str, str]) -> Callable[..., Any]:
        """Return the call, which notes itself when it is the next one; those between are other business."""

        def note() -> None:
            if len(self.seen) < len(self.expected) and self.expected[len(self.seen)] == key:
                self.seen.append(key)

        if inspect.iscoroutinefunction(call):

            @functools.wraps(call)
            async def noted(*args: Any, **fields: Any) -> Any:
                note()
                return await call(*args, **fields)

            return noted

        @functools.wraps(call)
        def plainly(*args: Any, **fields: Any) -> Any:
            note()
            return call(*args, **fields)

        return plainly


@pytest.mark.parametrize(
    "section",
    ["From the start of a run to its output", "The answer to a wait", "A timer after a restart", "A dead host's run"],
)
def test_each_way_takes_few_calls_across_few_files(section: str) -> None:
    calls = told(section)
    assert 3 <= len(calls) <= 8
    assert len({module for module, _ in calls}) <= 5


async def test_a_step_travels_as_the_page_tells(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = lab.workflow(lab.call("a", lambda: 1))
    async with lab.open(flow) as engine:
        way = Traced(monkeypatch, "From the start of a run to its output")
        done = await lab.finish(engine, await engine.start("main"))
    assert (done.output, way.seen) == (1, way.expected)


@pytest.mark.parametrize("holder", ["nobody", "this process", "another process"])
async def test_an_answer_travels_as_the_page_tells_whoever_holds_the_tree(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, holder: str
) -> None:
    gate, path = Gate("done"), tmp_path / "runs.db"
    work = lab.call("work", gate, execution="parallel")
    ask = wait_for_input("w", message="?", execution="parallel")
    flow = lab.workflow(ask, set_("a", value=1)) if holder == "nobody" else lab.workflow(work, ask)
    async with lab.open(flow, store=path) as holds, lab.open(flow, store=path, host="own") as other:
        run = await holds.start("main")
        if holder == "nobody":
            await holds.wait(run.id)
        else:
            await gate.inside()
        await anyio.wait_all_tasks_blocked()
        door = other if holder == "another process" else holds
        way = Traced(monkeypatch, "The answer to a wait")
        await door.resume((await door.waits(run.id))[0].id, Answer("yes"))
        with anyio.fail_after(LIMIT):
            async for event in holds.subscribe(run.id):
                if event.type == "step_completed":
                    break
        gate.open()
        done = await ended(holds, run)
    assert (done.state, way.seen) == ("completed", way.expected)


async def test_a_timer_travels_as_the_page_tells(lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lab, flow, path = by_hand(lab), lab.workflow(delay("later", for_="1h"), set_("a", value=1)), tmp_path / "runs.db"
    async with lab.open(flow, store=path) as engine:
        run = await engine.start("main")
        await engine.core.idle()
    way = Traced(monkeypatch, "A timer after a restart")
    async with lab.open(flow, store=path) as engine:
        await engine.core.idle()
        lab.clock.advance(3600)
        done = await ended(engine, run)
    assert (done.state, way.seen) == ("completed", way.expected)


async def test_the_run_of_a_dead_host_travels_as_the_page_tells(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gate, path = Gate("once"), tmp_path / "runs.db"
    flow = lab.workflow(lab.call("a", gate))
    async with lab.open(flow, store=path) as engine:
        run = await engine.start("main")
        await gate.inside()
        doom(engine)
    gate.open()
    way = Traced(monkeypatch, "A dead host's run")
    async with lab.open(flow, store=path) as engine:
        done = await ended(engine, run)
    assert (done.output, gate.entered, way.seen) == ("once", 2, way.expected)


async def ended(engine: Engine, run: Run) -> Run:
    """Return the run when it is over."""
    with anyio.fail_after(LIMIT):
        return await engine.wait(run.id)
