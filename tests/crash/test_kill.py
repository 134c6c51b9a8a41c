"""`kill -9` of the real process in the middle of a 200-step run, then `agentflow runs watch @last`.

Moments of the kills come from a seed that is printed with a failure: AGENTFLOW_CRASH_SEED=… repeats them.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from typing import Any, Literal

import pytest

from tests.crash.scene import ANSWERS, ITEMS, STEPS, Scene, Snapshot, belongs_to_a_step, result_of
from tests.servers import Forked

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it kills with signals")

Moment = Literal["start", "waiting", "answer", "middle", "end"]
"""When to kill: as the first steps run; while a wait is open; right after an answer; whenever; near the end."""
SELDOM = [pytest.param(moment, marks=pytest.mark.slow) for moment in ("start", "waiting", "end")]
INPUT = '{"items": %s}' % list(range(ITEMS))  # noqa: UP031  the text is full of braces


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Run once without a kill; gives the output."""
    scene = Scene(tmp_path_factory.mktemp("calm")).prepare()
    try:
        given = [f"--answer={step}={_json(value)}" for step, value in ANSWERS.items()]
        output = result_of(scene.call("run", "big", "--input-json", INPUT, "--json", *given))
        assert len(scene.lines()) == STEPS
        assert len(set(scene.lines())) == STEPS
        assert _left_over(scene) == []
    finally:
        scene.end()
    return output


@pytest.fixture(autouse=True)
def project(scene: Scene) -> None:
    """Write the project."""
    scene.prepare()


@pytest.mark.case("F-CP-1", "F-D-7", "A-29", "D-WAIT-9")
@pytest.mark.parametrize("moment", ["answer", "middle", *SELDOM])
def test_a_killed_run_goes_on_with_another_process_as_if_nothing_was(
    scene: Scene, expected: Any, moment: Moment
) -> None:
    seed = os.environ.get("AGENTFLOW_CRASH_SEED") or str(random.SystemRandom().randrange(10**6))
    print(f"AGENTFLOW_CRASH_SEED={seed}")
    _survive(scene, expected, random.Random(seed), [moment])


def _survive(scene: Scene, expected: Any, rnd: random.Random, moments: list[Moment]) -> None:
    """Kill the process that runs it at each of the moments, let the last one finish, and look at what came of it."""
    process = scene.start("run", "big", "--input-json", INPUT, "--json", "--wait")
    kills: list[tuple[Snapshot, int]] = []
    for moment in moments:
        _await(scene, rnd, moment, process)
        process.kill()
        process.wait()
        kills.append((scene.snapshot(), len(scene.lines())))
        if not scene.query("SELECT 1 FROM heads"):  # killed before it was stored: there is no run yet
            kills.pop()
            process = scene.start("run", "big", "--input-json", INPUT, "--json", "--wait")
        else:
            process = scene.start("runs", "watch", "@last", "--json")
    _answer_until(scene, process, lambda: False)
    assert process.poll() == 0, scene.said(process)
    assert result_of(scene.out(process)) == expected
    assert scene.snapshot().state == "completed"
    lines = scene.lines()
    for snapshot, length in kills:
        again = {line.split()[0] for line in lines[length:]} & snapshot.completed
        assert not again, f"steps that were completed in the store were started again: {sorted(again)}"
        for address, times in snapshot.log.items():
            # an attempt that was cut off has a number of its own: the fence could not tell them apart otherwise
            attempts = [line for line in lines if line.startswith(f"{address} ")]
            assert len(set(attempts)) == len(attempts) >= times
    assert len({line.split()[0] for line in lines}) == STEPS
    assert _left_over(scene) == []


def _await(scene: Scene, rnd: random.Random, moment: Moment, process: Forked) -> None:
    """Return when it is time to kill, or when the process has ended before that."""

    def lines(count: int) -> None:
        def enough() -> bool:
            parked = scene.snapshot().state == "input-required"
            return len(scene.lines()) >= count or process.poll() is not None or parked

        scene.until(enough, f"{count} steps")

    already = len(scene.lines())
    if moment == "start":
        scene.until(lambda: scene.query("SELECT 1 FROM heads") or process.poll() is not None, "a run")
        lines(min(already + rnd.randrange(3), STEPS - 60))
        return
    if moment == "waiting":
        scene.until(lambda: scene.snapshot().waits or process.poll() is not None, "an open wait")
        lines(min(already + rnd.randrange(20), STEPS - 65))
        return
    if moment == "answer":
        scene.until(lambda: scene.snapshot().waits or process.poll() is not None, "an open wait")
        _answer_one(scene, process, kill=rnd.random() < 0.5)
        return
    wanted = rnd.randrange(5, STEPS - 30) if moment == "middle" else rnd.randrange(STEPS - 30, STEPS)
    _answer_until(scene, process, lambda: len(scene.lines()) >= wanted)


def _answer_until(scene: Scene, process: Forked, enough: Callable[[], bool]) -> None:
    """Answer every wait that opens, until it is enough or the process has ended."""
    while not enough() and process.poll() is None:
        scene.until(lambda: enough() or process.poll() is not None or scene.snapshot().waits, "a wait, or the end")
        _answer_one(scene, process)


def _answer_one(scene: Scene, process: Forked, *, kill: bool = False) -> None:
    """Answer an open wait by a process of its own; with `kill` that one is killed once the answer is stored."""
    for step, wait in scene.snapshot().waits.items():
        if process.poll() is not None:
            return
        answering = scene.start("waits", "answer", wait, "--data", _json(ANSWERS[step]))
        if kill:
            scene.until(lambda step=step: step not in scene.snapshot().waits, "an answer in the store")
            answering.kill()
            answering.wait()
            return
        assert scene.wait(answering) == 0, scene.said(answering)
        return


def _json(value: Any) -> str:
    return f'{{"answer": "{value["answer"]}"}}'


def _left_over(scene: Scene) -> list[int]:
    return [pid for pid in scene.pids() if belongs_to_a_step(pid)]
