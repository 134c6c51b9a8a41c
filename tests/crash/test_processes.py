"""Several processes on one database: each step runs once, whoever runs it, and what one does moves the others."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path

import anyio
import pytest

from agentflow.config import Config, load_config
from agentflow.engine import Answer, Engine
from tests.crash.scene import Scene, belongs_to_a_step
from tests.crash.small import CONFIG, WORK
from tests.servers import Forked

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform == "win32", reason="it kills with signals")]

LIMIT = 60
SERVING = str(Path(__file__).with_name("serving.py"))


@pytest.fixture(autouse=True)
def project(scene: Scene) -> None:
    """Write the project."""
    scene.prepare(CONFIG, WORK)


def _host(scene: Scene) -> Forked:
    process = scene.spawn(SERVING)
    scene.until(lambda: "up" in scene.out(process) or process.poll() is not None, "a host that is up")
    assert process.poll() is None, scene.said(process)
    return process


def _config(scene: Scene) -> Config:
    return load_config(scene.folder / "agentflow.yaml")


def _begun(scene: Scene, step: str, attempt: int = 1) -> str:
    """Wait until an attempt of a step has begun; returns the process that runs it."""

    def find() -> str | None:
        for line in scene.lines():
            address, number, pid = line.split()
            if address.endswith(f"/{step}") and int(number) == attempt:
                return pid
        return None

    return scene.until(find, f"attempt {attempt} of {step}")


def _go(scene: Scene, step: str) -> None:
    (scene.folder / f"go-{step}").touch()


def _steps(scene: Scene) -> dict[str, tuple[str, str | None, int, int]]:
    """Return address → (state, phase, attempt, crashes) of all steps of all runs."""
    rows = scene.query("SELECT address, state, phase, attempt, crashes FROM steps")
    return {address: (state, phase, attempt, crashes) for address, state, phase, attempt, crashes in rows}


def _run_state(scene: Scene) -> str:
    return scene.query("SELECT state FROM heads")[0][0]


def _wait_id(scene: Scene) -> str:
    return scene.until(lambda: scene.snapshot().waits, "an open wait")["ask"]


async def test_two_hosts_never_run_one_step_twice(scene: Scene) -> None:
    async with Engine.open(scene.database, config=_config(scene), host="none") as engine:
        hosts = [_host(scene), _host(scene)]
        with anyio.fail_after(LIMIT):
            runs = [await engine.start("chain") for _ in range(30)]
            for run in runs:
                assert (await engine.wait(run.id)).state == "completed"
    lines = [line.split() for line in scene.lines()]
    assert Counter(address for address, _, _ in lines) == {f"{run.id}/{s}": 1 for run in runs for s in "abcd"}
    assert {pid for _, _, pid in lines} <= {str(host.pid) for host in hosts}


@pytest.mark.case("W-E-17")
@pytest.mark.parametrize("workflow", ["blocks", pytest.param("long", marks=pytest.mark.slow)])
async def test_a_step_longer_than_all_looks_for_dead_hosts_runs_once(scene: Scene, workflow: str) -> None:
    """Also when it keeps the event loop of its host from doing anything else."""
    async with Engine.open(scene.database, config=_config(scene), host="none") as engine:
        _host(scene)
        _host(scene)
        with anyio.fail_after(LIMIT):
            run = await engine.start(workflow)
            assert run.state == "submitted"  # whoever only starts runs executes nothing
            assert (await engine.wait(run.id)).state == "completed"
    assert len(scene.lines()) == 1


@pytest.mark.case("F-D-7")
async def test_another_host_takes_over_what_a_killed_one_was_doing(scene: Scene) -> None:
    async with Engine.open(scene.database, config=_config(scene), host="none") as engine:
        hosts = {str(host.pid): host for host in (_host(scene), _host(scene))}
        with anyio.fail_after(LIMIT):
            run = await engine.start("ends")
            first = _begun(scene, "first")
            hosts[first].kill()
            second = _begun(scene, "first", attempt=2)
            assert {first, second} == set(hosts)
            _go(scene, "first")
            _go(scene, "last")
            assert (await engine.wait(run.id)).output == {"who": "last", "between": "between"}


@pytest.mark.slow
async def test_a_killed_hosts_run_is_left_to_a_host_of_its_own_agent(scene: Scene) -> None:
    """Another agent's lives beside it all the time, on the same store, with a workflow of the same id."""
    scene.prepare(f"name: one\n{CONFIG}", WORK)
    other = Scene(scene.folder / "two").prepare(f"name: two\nstore: ../.agentflow/runs.db\n{CONFIG}", WORK)
    try:
        async with (
            Engine.open(scene.database, config=_config(scene), host="none") as one,
            Engine.open(scene.database, config=_config(other), host="none") as two,
        ):
            killed, living = _host(scene), _host(other)
            with anyio.fail_after(LIMIT):
                run = await one.start("ends")
                assert _begun(scene, "first") == str(killed.pid)
                killed.kill()
                killed.wait()
                for _ in range(3):  # it looks for dead hosts before each of them is over
                    assert (await two.wait((await two.start("brief")).id)).state == "completed"
                assert {line.split()[2] for line in other.lines()} == {str(living.pid)}
                assert len(other.lines()) == 6
                again = _host(scene)
                assert _begun(scene, "first", attempt=2) == str(again.pid)
                _go(scene, "first")
                _go(scene, "last")
                assert (await one.wait(run.id)).output == {"who": "last", "between": "between"}
    finally:
        other.end()


@pytest.mark.slow
@pytest.mark.case("F-CP-3", "F-CP-4", "A-29")
def test_a_run_killed_in_its_first_and_in_its_last_step_still_gives_its_output(scene: Scene) -> None:
    process = scene.start("run", "ends", "--json")
    for step in ("first", "last"):
        _begun(scene, step)
        process.kill()
        process.wait()
        process = scene.start("runs", "watch", "@last", "--json")
        _begun(scene, step, attempt=2)
        _go(scene, step)
    assert scene.wait(process) == 0, scene.said(process)
    assert json.loads(scene.out(process))["output"] == {"who": "last", "between": "between"}
    started = [line.split()[0].rpartition("/")[2] for line in scene.lines()]
    assert started == ["first", "first", "between", "last", "last"]


@pytest.mark.parametrize(
    ("workflow", "bell"),
    [
        pytest.param("asks", True, id="asks-doorbell"),
        pytest.param("busy", False, id="busy-look"),
        pytest.param("asks", False, id="asks-look", marks=pytest.mark.slow),
        pytest.param("busy", True, id="busy-doorbell", marks=pytest.mark.slow),
    ],
)
def test_an_answer_of_a_second_process_moves_the_run_in_the_first(scene: Scene, workflow: str, bell: bool) -> None:
    process = scene.start("run", workflow, "--wait", "--json")
    wait = _wait_id(scene)
    (socket,) = scene.until(lambda: list((scene.database.parent / "hosts").glob("*.sock")), "a doorbell")
    if not bell:
        socket.unlink()
    scene.call("waits", "answer", wait, "--data", '{"n": 3}', "--detach")
    if workflow == "asks":
        assert _begun(scene, "after") == str(process.pid)
        _go(scene, "after")
        assert scene.wait(process) == 0, scene.said(process)
        assert json.loads(scene.out(process))["output"] == {"step": "after", "value": 3}
    else:
        scene.until(lambda: _steps(scene)["ask"][0] == "completed", "the answer's step")
        assert _steps(scene)["work"][:2] == ("working", "run")
        assert _begun(scene, "work") == str(process.pid)


@pytest.mark.slow
@pytest.mark.case("D-WAIT-9")
def test_an_answer_from_a_new_process_finishes_a_parked_run(scene: Scene) -> None:
    parked = scene.start("run", "asks", "--json")
    assert scene.wait(parked) == 75, scene.said(parked)
    _go(scene, "after")
    said = scene.start("waits", "answer", _wait_id(scene), "--data", '{"n": 3}')
    assert scene.wait(said) == 0, scene.said(said)
    assert "goes on here" in scene.said(said)
    assert json.loads(scene.call("runs", "show", "@last", "--json"))["output"] == {"step": "after", "value": 3}


@pytest.mark.case("D-WAIT-12")
async def test_no_answer_is_lost_however_soon_it_comes(scene: Scene) -> None:
    async with Engine.open(scene.database, config=_config(scene), host="none") as engine:
        _host(scene)
        _host(scene)
        with anyio.fail_after(LIMIT):
            runs = [(await engine.start("answers")).id for _ in range(10)]
            answered: set[str] = set()
            while len(answered) < 40:
                for view in await engine.waits():
                    if view.id not in answered:
                        await engine.resume(view.id, Answer(view.step))
                        answered.add(view.id)
            for run in runs:
                assert (await engine.wait(run)).output == ["q0", "q1", "q2", "q3"]


@pytest.mark.slow
def test_a_watcher_takes_over_from_a_killed_process_that_answered(scene: Scene) -> None:
    watcher = scene.start("run", "asks", "--wait", "--json")
    wait = _wait_id(scene)
    scene.calm()  # stopped inside a transaction it would keep everybody out
    watcher.send_signal(signal.SIGSTOP)
    answering = scene.start("waits", "answer", wait, "--data", '{"n": 3}')
    assert _begun(scene, "after") == str(answering.pid)
    watcher.send_signal(signal.SIGCONT)
    answering.kill()
    answering.wait()
    assert _begun(scene, "after", attempt=2) == str(watcher.pid)
    _go(scene, "after")
    assert scene.wait(watcher) == 0, scene.said(watcher)


def test_a_cancel_of_a_second_process_stops_the_run_in_the_first(scene: Scene) -> None:
    process = scene.start("run", "busy", "--wait", "--json")
    _begun(scene, "work")
    pids = scene.until(scene.pids, "the script")
    scene.call("runs", "cancel", "@last")
    code = scene.wait(process)
    assert _run_state(scene) == "canceled"
    assert code not in (0, -9), scene.said(process)
    assert {state for state, *_ in _steps(scene).values()} == {"canceled"}
    assert not any(belongs_to_a_step(pid) for pid in pids)


@pytest.mark.parametrize(
    "command", ["run", pytest.param("watch", marks=pytest.mark.slow), pytest.param("answer", marks=pytest.mark.slow)]
)
def test_a_terminated_process_saves_its_run_and_leaves(scene: Scene, command: str) -> None:
    workflow, step = ("asks", "after") if command == "answer" else ("ends", "first")
    process = scene.start("run", workflow, "--json")
    if command == "watch":
        _begun(scene, step)
        process.kill()
        process.wait()
        process = scene.start("runs", "watch", "@last", "--json")
    elif command == "answer":
        scene.wait(process)
        process = scene.start("waits", "answer", _wait_id(scene), "--data", '{"n": 3}')
    _begun(scene, step, attempt=2 if command == "watch" else 1)
    before = _steps(scene)[step][3]
    process.send_signal(signal.SIGTERM)
    assert scene.wait(process) == 143, scene.said(process)
    assert scene.query("SELECT holder, state FROM heads") == [(None, "working")]
    state, phase, _, crashes = _steps(scene)[step]
    assert (state, phase, crashes) == ("working", None, before)  # a stop in good order is no crash
    _go(scene, "first")
    _go(scene, "last")
    _go(scene, "after")
    scene.call("runs", "watch", "@last", "--json")


def test_a_terminated_process_lets_running_steps_end_and_starts_no_new_ones(scene: Scene) -> None:
    process = scene.start("run", "brief", "--json")
    _begun(scene, "nap")
    process.send_signal(signal.SIGTERM)
    assert scene.wait(process) == 143, scene.said(process)
    assert _steps(scene)["nap"][0] == "completed"
    assert len(scene.lines()) == 1
    scene.call("runs", "watch", "@last", "--json")
    assert [line.split()[0].rpartition("/")[2] for line in scene.lines()] == ["nap", "after"]


@pytest.mark.slow
def test_a_terminated_host_ends_its_scripts(scene: Scene) -> None:
    process = scene.start("run", "busy", "--json")
    pids = scene.until(scene.pids, "the script")
    process.send_signal(signal.SIGTERM)
    assert scene.wait(process) == 143, scene.said(process)
    assert not any(belongs_to_a_step(pid) for pid in pids)


def test_a_commit_of_a_zombie_is_refused(scene: Scene) -> None:
    zombie = scene.start("run", "ends", "--json")
    _begun(scene, "first")
    zombie.send_signal(signal.SIGSTOP)
    # held by a stopped process, its lock says that it lives; without its file nobody can believe that
    (lock,) = (scene.database.parent / "hosts").glob("*.lock")
    lock.unlink()
    heir = scene.start("runs", "watch", "@last", "--json")
    assert _begun(scene, "first", attempt=2) == str(heir.pid)
    _go(scene, "first")
    _begun(scene, "last")
    zombie.send_signal(signal.SIGCONT)
    # its step finds the file and ends: too late
    scene.until(lambda: scene.query("SELECT 1 FROM events WHERE type = 'step_started' AND step = 'last'"), "last")
    _go(scene, "last")
    assert scene.wait(heir) == 0, scene.said(heir)
    assert scene.wait(zombie) == 0, scene.said(zombie)
    ended = scene.query("SELECT step, count(*) FROM events WHERE type = 'step_completed' GROUP BY step")
    assert dict(ended) == {"first": 1, "between": 1, "last": 1}
    assert {line.split()[2] for line in scene.lines() if "/last " in line} == {str(heir.pid)}


def test_a_child_that_a_step_forked_keeps_no_dead_host_alive(scene: Scene) -> None:
    process = scene.start("run", "forks", "--json")
    child = int(scene.until(lambda: (scene.folder / "child").exists() and (scene.folder / "child").read_text(), "it"))
    try:
        process.kill()
        process.wait()
        heir = scene.start("runs", "watch", "@last", "--json")
        assert scene.wait(heir) == 0, scene.said(heir)
        os.kill(child, 0)  # it lives on: nobody could know that it belongs to a step
    finally:
        os.kill(child, signal.SIGKILL)


@pytest.mark.slow
def test_a_step_that_kills_its_process_five_times_fails_and_the_others_go_on(scene: Scene) -> None:
    process = scene.start("run", "poison", "--json")
    codes = [scene.wait(process)]
    while codes[-1] == -signal.SIGKILL and len(codes) < 10:
        process = scene.start("runs", "watch", "@last", "--json")
        codes.append(scene.wait(process))
    assert codes == [-signal.SIGKILL] * 5 + [1], scene.said(process)
    document = json.loads(scene.out(process))
    assert document["error"]["code"] == "AF-STEP-CRASHED"
    steps = _steps(scene)
    assert {address: (row[0], row[3]) for address, row in steps.items()} == {
        "boom": ("failed", 5),
        # they ran beside it in the first two crashes; then each ran alone
        "early": ("completed", 2),
        "late": ("completed", 2),
        "ready": ("completed", 0),
    }
    assert Counter(line.split()[0].rpartition("/")[2] for line in scene.lines())["boom"] == 5


@pytest.mark.slow
async def test_a_host_of_its_own_runs_leaves_those_of_others_alone(scene: Scene) -> None:
    async with Engine.open(scene.database, config=_config(scene), host="own") as engine:
        async with Engine.open(scene.database, config=_config(scene), host="none") as other:
            foreign = await other.start("answers")
        with anyio.fail_after(LIMIT):
            own = await engine.start("answers")
            assert (await engine.wait(own.id)).state == "input-required"
        assert (await engine.get(foreign.id)).state == "submitted"
