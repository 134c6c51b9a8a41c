"""Two hosts on one database and a client, killed with `kill -9` at random moments, over and over.

What the steps' own ledger says is compared with the store's rows at the end. All choices come from a seed that is
printed at the start and in failures: AGENTFLOW_CRASH_SEED=… repeats them.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from tests.crash.scene import LIMIT, Scene, belongs_to_a_step
from tests.crash.storm import CONFIG, WORK, expected
from tests.servers import Forked

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it kills with signals")

HOST = str(Path(__file__).with_name("serving.py"))
CLIENT = str(Path(__file__).with_name("storm.py"))
SCENES, KILLS = 10, 50
MOMENTS = ("time", "ledger", "ledger", "tried", "acks", "commit")
"""When to kill: after a while; when steps have begun; before, or after an answer's commit; after commits."""
VICTIMS = ((0,), (1,), (0, 1), (2,), (0, 2), (0, 1, 2))
WEIGHTS = (6, 6, 4, 3, 2, 1)
STEP_ROWS = (
    "SELECT r.id, s.address, s.state, s.attempt, s.crashes, s.error FROM steps s JOIN runs r ON r.key = s.key >> 32"
)


@pytest.fixture(scope="module")
def seed() -> str:
    """Choose the seed."""
    return os.environ.get("AGENTFLOW_CRASH_SEED") or str(random.SystemRandom().randrange(10**6))


def test_nothing_is_lost_or_done_twice_when_two_hosts_and_a_client_are_killed(scene: Scene, seed: str) -> None:
    Storm(scene, f"{seed}/few").rage(8)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(SCENES))
def test_500_kills_lose_nothing_and_do_nothing_twice(
    scene: Scene, seed: str, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        print(f"\nAGENTFLOW_CRASH_SEED={seed} scene {number}: ", end="", flush=True)
    storm = Storm(scene, f"{seed}/{number}")
    storm.rage(KILLS)
    assert storm.kills * SCENES >= 500
    with capsys.disabled():
        print(storm.told(), end=" ", flush=True)


class Storm:
    """A scene with three processes, and what kills them."""

    def __init__(self, scene: Scene, seed: str) -> None:
        print(f"AGENTFLOW_CRASH_SEED={seed.partition('/')[0]} (scene {seed})")
        self.scene = scene.prepare(CONFIG, WORK)
        self.random = random.Random(seed)
        self.kills = 0
        self.committed: dict[tuple[str, str], int] = {}
        """(run, address) of each step that was completed at a kill → how long the ledger was then."""
        self.position = 0
        self.deaths: dict[int, int] = {}
        """Process that was killed → how long the ledger was just before."""
        self.processes = [self._spawn(number) for number in range(3)]

    def _spawn(self, number: int) -> Forked:
        return self.scene.spawn(CLIENT if number == 2 else HOST)

    def rage(self, kills: int) -> None:
        """Kill so many processes, starting each anew; then let everything end, and look at what is there."""
        self.scene.until(lambda: self._size("ledger"), "a first step")
        while self.kills < kills:
            self._await(self.random.choice(MOMENTS))
            (victims,) = self.random.choices(VICTIMS, WEIGHTS)
            for number in victims:
                self._check_alive(number)
                self.deaths[self.processes[number].pid] = len(self.ledger())
                self.processes[number].kill()
            for number in victims:
                self.processes[number].wait()
                self.kills += 1
            self._note_committed()
            for number in victims:
                self.processes[number] = self._spawn(number)
        self._end()
        self._verify()

    def _check_alive(self, number: int) -> None:
        process = self.processes[number]
        assert process.poll() is None, f"it ended by itself: {self.scene.said(process)}"

    def _size(self, name: str) -> int:
        path = self.scene.folder / name
        return path.stat().st_size if path.exists() else 0

    def _await(self, moment: str) -> None:
        """Return at a moment; whatever doesn't come in two seconds isn't waited for."""
        limit = time.monotonic() + 2
        if moment == "time":
            time.sleep(self.random.uniform(0, 0.8))
            return
        if moment == "commit":
            events = "SELECT max(pos) FROM events"
            before = self.scene.query(events)
            count = self.random.randrange(1, 60)
            while time.monotonic() < limit and before:
                now = self.scene.query(events)
                if now and (now[0][0] or 0) >= (before[0][0] or 0) + count:
                    return
            return
        more = self.random.randrange(1, 900) if moment == "ledger" else 1
        before = self._size(moment)
        while time.monotonic() < limit and self._size(moment) < before + more:
            time.sleep(0.0005)

    def _note_committed(self) -> None:
        rows = self.scene.query(
            "SELECT r.id, e.step, e.pos FROM events e JOIN runs r ON r.key = e.run"
            " WHERE e.type = 'step_completed' AND e.pos > ? ORDER BY e.pos",
            self.position,
        )
        length = len(self.ledger())
        for run, address, position in rows:
            assert (run, address) not in self.committed, f"{address} of {run} was completed twice"
            self.committed[run, address] = length
            self.position = position

    def _end(self) -> None:
        (self.scene.folder / "enough").touch()
        assert self.scene.wait(self.processes[2], 2 * LIMIT) == 0, self.scene.said(self.processes[2])
        self._note_committed()
        for process in self.processes[:2]:
            self.scene.until(lambda process=process: "up" in self.scene.out(process), "a host that is up")
            process.send_signal(signal.SIGTERM)
        for process in self.processes[:2]:
            assert self.scene.wait(process) == 0, self.scene.said(process)

    # what must be true

    def ledger(self) -> list[tuple[str, str, int, int]]:
        """Return (run, address, attempt, process) of everything that steps have begun, in order."""
        text = (self.scene.folder / "ledger").read_text(encoding="utf-8")
        lines = (line.split() for line in text[: text.rfind("\n") + 1].splitlines())  # the last may be half written
        return [(run, address, int(attempt), int(pid)) for run, address, attempt, pid in lines]

    def _verify(self) -> None:
        assert self.scene.query("PRAGMA integrity_check") == [("ok",)]
        self._verify_steps()
        self._verify_runs()
        left = {table: self.scene.query(f"SELECT * FROM {table}") for table in ("inbox", "timers", "slots")}
        assert left == {"inbox": [], "timers": [], "slots": []}
        assert [pid for pid in self.scene.pids() if belongs_to_a_step(pid)] == []
        assert list((self.scene.database.parent / "hosts").iterdir()) == []

    def _verify_steps(self) -> None:
        ledger = self.ledger()
        assert [line for line, times in Counter(line[:3] for line in ledger).items() if times > 1] == []
        again = [line for at, line in enumerate(ledger) if at >= self.committed.get(line[:2], len(ledger))]
        assert again == [], "steps whose completion was committed were started again"
        begun = defaultdict[tuple[str, str], list[int]](list)
        owners = dict[tuple[str, str], int]()
        for at, (run, address, attempt, pid) in enumerate(ledger):
            begun[run, address].append(attempt)
            owner = owners.get((run, address), pid)
            # a retry after a pause may be anybody's; whatever else is begun again was cut off by its process's death
            assert owner == pid or address == "flaky" or at >= self.deaths[owner], (
                f"{address} was taken from the living"
            )
            owners[run, address] = pid
        rows = {(run, address): rest for run, address, *rest in self.scene.query(STEP_ROWS)}
        assert begun.keys() <= rows.keys()
        for key, attempts in begun.items():
            state, attempt, _, _ = rows[key]
            assert state in {"completed", "failed", "canceled"}, key
            assert attempts == sorted(attempts), key
            # what the store has as its result is the last thing that was begun
            assert attempts[-1] == attempt if state == "completed" else attempts[-1] <= attempt, key
            assert len(attempts) == 1 or not key[1].endswith("once"), key
        quiet = ("early", "late", "asks", "nap", "fan", "loop", "sub", "shell", "trip")
        for (run, address), (state, *_) in rows.items():
            if state == "completed" and address not in quiet:
                assert (run, address) in begun, f"{address} of {run} is completed and was never begun"
        scripts = (self.scene.folder / "scripts").read_text(encoding="utf-8").split()
        allowed = sum(rest[1] for (_, address), rest in rows.items() if address == "shell")
        assert len(set(scripts)) <= len(scripts) <= allowed

    def _verify_runs(self) -> None:
        heads = self.scene.query(
            "SELECT h.key, r.id, h.state, h.idempotency_key, h.holder, h.seq, h.output FROM heads h"
            " JOIN runs r ON r.key = h.key WHERE h.parent IS NULL ORDER BY h.key"
        )
        started, answered = self._acknowledged()
        keys = {run: key for _, run, _, key, *_ in heads}
        assert {run: keys.get(run) for run in started} == started, "runs that were confirmed are lost"
        assert sorted(keys.values(), key=int) == [str(n) for n in range(len(heads))]
        stored = {task: json.loads(answer)["value"] for task, answer in self.scene.query(
            "SELECT id, answer FROM tasks WHERE answer IS NOT NULL"
        )}  # fmt: skip
        assert answered.items() <= stored.items(), "answers that were confirmed are lost"
        self._verify_logs()
        crashed = self._worn_out()
        for key, run, state, number, holder, _, output in heads:
            assert holder is None, run
            if key in crashed:
                assert state in {"failed", "completed"}  # an error of the saga is tolerated
                continue
            assert state == "completed", run
            tasks = self.scene.query(
                "SELECT k.step, k.answer FROM tasks k JOIN heads h ON h.key = k.run WHERE h.root = ?", key
            )
            given = {step: json.loads(answer)["value"] for step, answer in tasks if answer is not None}
            assert json.loads(output) == expected(int(number), given), run

    def _verify_logs(self) -> None:
        """Events are numbered without gaps, and each step of each run has ended once at most."""
        for run, count, low, high, seq in self.scene.query(
            "SELECT e.run, count(*), min(e.seq), max(e.seq), h.seq FROM events e JOIN heads h ON h.key = e.run"
            " GROUP BY e.run"
        ):
            assert (low, high, count) == (1, seq, seq), run
        ended = "type IN ('step_completed', 'run_completed', 'run_failed')"
        twice = f"SELECT run, step, type, count(*) FROM events WHERE {ended} GROUP BY 1, 2, 3 HAVING count(*) > 1"
        assert self.scene.query(twice) == []

    def _worn_out(self) -> set[int]:
        """Return the trees with a step that was running in five crashes: it failed, as is promised."""
        rows = self.scene.query(
            "SELECT h.root, s.crashes, s.error FROM steps s JOIN heads h ON h.key = s.key >> 32"
            " WHERE s.error IS NOT NULL"
        )
        found = {root for root, _, error in rows if json.loads(error)["code"] == "AF-STEP-CRASHED"}
        assert {root for root, crashes, _ in rows if crashes >= 5} == found
        return found

    def _acknowledged(self) -> tuple[dict[str, str], dict[str, int]]:
        lines = [line.split() for line in (self.scene.folder / "acks").read_text(encoding="utf-8").splitlines()]
        started = {run: number for kind, number, run in lines if kind == "started"}
        return started, {task: int(value) for kind, task, value in lines if kind == "answered"}

    def told(self) -> str:
        """Return what it came to, in numbers."""
        started, answered = self._acknowledged()
        lines = self.ledger()
        again = sum(times - 1 for times in Counter(line[:2] for line in lines).values())
        crashed = len(self._worn_out())
        return (
            f"{self.kills} kills, {len(started)} runs, {len(answered)} answers, {len(lines)} steps begun,"
            f" {again} of them once more, {crashed} runs with a step that crashed five times"
        )
