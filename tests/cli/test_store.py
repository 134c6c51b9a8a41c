"""`store backup|restore|check|vacuum`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import apsw

from agentflow.store.sqlite.sql import do


def _store(project: Any) -> Path:
    return project.folder / ".agentflow" / "runs.db"


def _workflows(project: Any, *arguments: str) -> list[str]:
    return [run["workflow"] for run in project.json("runs", "list", *arguments)["runs"]]


def test_a_backup_is_restored_and_what_was_there_is_kept(project: Any) -> None:
    project.run("run", "hello", "-q")
    done = project.run("store", "backup", "copy.db")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"1 run in copy\.db, \d+ kB\n", done.stdout)
    assert done.stderr == ""
    assert _workflows(project, "--store", "copy.db") == ["hello"]
    project.run("run", "failing", "-q")
    refused = project.run("store", "restore", "copy.db")
    assert refused.returncode == 73
    assert refused.stderr == (
        f"error[AF-STORE-EXISTS]: There is a store {_store(project)} already.\n"
        "  It has 2 runs.\n"
        "  hint: Replace it with --yes: it is kept in a file beside.\n"
    )
    assert _workflows(project) == ["failing", "hello"]
    done = project.run("store", "restore", "copy.db", "--yes")
    assert (done.returncode, done.stdout) == (0, "1 run restored\n"), done.stderr
    assert _workflows(project) == ["hello"]
    kept = re.fullmatch(r"what was there before is in (\S+)\n", done.stderr)
    assert kept is not None
    assert _workflows(project, "--store", kept[1]) == ["failing", "hello"]


def test_a_backup_replaces_a_file_only_with_a_yes(project: Any) -> None:
    project.run("run", "hello", "-q")
    (project.folder / "copy.db").write_text("precious", encoding="utf-8")
    refused = project.run("store", "backup", "copy.db")
    assert refused.returncode == 73
    assert "There is a file copy.db already" in refused.stderr
    assert (project.folder / "copy.db").read_text(encoding="utf-8") == "precious"
    document = json.loads(project.run("store", "backup", "copy.db", "--yes", "--json").stdout)
    assert document == {"file": "copy.db", "bytes": document["bytes"], "runs": 1, "schema": document["schema"]}


def test_a_backup_while_a_run_executes_has_it_and_a_restore_is_refused_meanwhile(project: Any) -> None:
    process = project.start("run", "slow")
    try:
        while not (project.folder / "hanging").exists():
            assert process.poll() is None
        assert project.run("store", "backup", "copy.db").returncode == 0
        refused = project.run("store", "restore", "copy.db", "--yes")
        assert refused.returncode == 73
        assert "error[AF-STORE-IN-USE]" in refused.stderr
        assert f"pid {process.pid}" in refused.stderr
        checked = project.run("store", "check")
        assert checked.returncode == 0, checked.stdout
    finally:
        (project.folder / "go").write_text("x", encoding="utf-8")
        process.communicate(timeout=30)
    assert process.returncode == 0
    project.run("store", "restore", "copy.db", "--yes")
    # Its host is another one in the restored store: dead, so that the run goes on here.
    done = project.run("runs", "watch", "@last", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["output"] == {"done": True}


def test_check_names_the_damaged_step_and_how_to_mend_it(project: Any) -> None:
    project.run("run", "hello", "-q")
    sound = project.run("store", "check")
    assert sound.returncode == 0, sound.stderr
    assert re.fullmatch(r"✔ \S+: schema \d+, 1 run, 1 step, 1 result, \d+ kB, 0 B of it free\n", sound.stdout)
    run_id = project.json("runs", "list")["runs"][0]["id"]
    db = apsw.Connection(str(_store(project)))
    do(db, "UPDATE steps SET result = CAST('{}' AS BLOB)")
    db.close()
    found = project.run("store", "check")
    assert found.returncode == 1
    assert found.stdout.splitlines()[1:] == [
        f"  run {run_id} step greet: Its stored result is damaged.",
        "    fix: Restore a backup: agentflow store restore FILE, or run it again: "
        f"agentflow runs retry {run_id} --from greet",
    ]
    assert found.stderr == "1 problem\n"
    document = project.json("store", "check")
    assert document["problems"][0] | {"hint": ""} == {
        "message": "Its stored result is damaged.", "hint": "", "run": run_id, "step": "greet", "page": None,
    }  # fmt: skip


def test_vacuum_gives_the_space_of_purged_runs_back(project: Any) -> None:
    for _ in range(3):
        project.run(
            "run", "report", "-q", "--answer", 'review={"decision": "approve", "note": "' + "x" * 100_000 + '"}'
        )
    project.run("runs", "purge", "--older-than", "0s", "--yes")
    before = _store(project).stat().st_size
    done = project.run("store", "vacuum")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"\d+ kB given back\n", done.stdout)
    assert _store(project).stat().st_size < before - 100_000
    assert project.json("store", "vacuum", "--full")["bytes"] >= 0


def test_without_a_store_every_command_says_so(project: Any) -> None:
    for command in (("backup", "copy.db"), ("check",), ("vacuum",)):
        done = project.run("store", *command)
        assert done.returncode == 66, command
        assert done.stderr.startswith(f"error[AF-STORE-MISSING]: There is no store {_store(project)}.")
    assert project.run("store", "restore", "copy.db").returncode == 66
    assert not (project.folder / ".agentflow").exists()


def test_help_names_the_group_and_a_mistyped_command_the_right_one(project: Any) -> None:
    assert "store" in project.run("--help").stdout
    assert "agentflow store backup runs-backup.db" in project.run("store", "backup", "--help").stdout
    assert "did you mean: agentflow store backup" in project.run("backup").stderr
