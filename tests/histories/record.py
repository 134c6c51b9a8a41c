"""Records what this version leaves behind: `python -m tests.histories.record`, before a release and before a migration.

Each file is the database of a process that is gone. It is never recorded again: later versions must open and finish it.
Its folder names the version, and the schema where that isn't the first one that was recorded of the version.
"""

from __future__ import annotations

import itertools
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import apsw

import agentflow
from agentflow.engine import Engine
from agentflow.ids import encode_id
from agentflow.store.sqlite.schema import migrations
from agentflow.store.sqlite.sql import do, rows
from agentflow.testing.clock import FakeClock
from agentflow.testing.faults import dying
from tests.histories.scenes import SCENES, START, Hands, Scene

HERE = Path(__file__).parent


async def record(scene: Scene, target: Path) -> None:
    """Record one scene into a file."""
    clock, hands = FakeClock(START, auto=False), Hands(hangs=scene.hangs, fails=scene.fails)
    numbers = itertools.count(1)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "runs.db"
        opening = Engine.open(
            path,
            workflows=scene.workflows,
            functions=hands.functions,
            clock=clock,
            ids=lambda: encode_id((int(START * 1000) << 80) + next(numbers)),
            grace=0.0,
        )
        with anyio.fail_after(60):
            async with dying(opening) as engine:
                run = await engine.start("main", scene.input, message=scene.message)
                await scene.record(engine, run.id, hands, clock)
        _settle(path)
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, target)


def _settle(path: Path) -> None:
    """Leave nothing to chance: neither the name of the host nor where rows happened to be put."""
    db = apsw.Connection(str(path))
    do(db, "UPDATE heads SET holder = 'recorded' WHERE holder IS NOT NULL")
    do(db, "UPDATE meta SET value = 0 WHERE name = 'scratch'")
    rows(db, "VACUUM")
    rows(db, "PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


async def main(names: list[str]) -> int:
    """Record all scenes that this schema has no file of."""
    folder = HERE / f"{agentflow.__version__}-schema{len(migrations())}"
    for scene in SCENES:
        target = folder / f"{scene.name}.db"
        if target.exists() or (names and scene.name not in names):
            continue
        await record(scene, target)
        print(f"{target.relative_to(HERE)}: {target.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(anyio.run(main, sys.argv[1:]))
