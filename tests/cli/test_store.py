"""`store backup|restore|check|vacuum`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import apsw
import pytest

from agentflow.cli.app import execute
from agentflow.store.sqlite.sql import do

Run = Callable[..., Any]


@pytest.fixture
def run(project: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return what runs a command in this process, as the project's `run` does in one of its own."""
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("PYTHONUTF8", "1")

    def command(*arguments: str) -> Any:
        capsys.readouterr()
        code = execute(list(arguments))
        out, err = capsys.readouterr()
        return SimpleNamespace(returncode=code, stdout=out, stderr=err)

    return command


def _store(project: Any) -> Path:
    return project.folder / ".agentflow" / "runs.db"


def _workflows(run: Run, *arguments: str) -> list[str]:
    return [each["workflow"] for each in json.loads(run("runs", "list", "--json", *arguments).stdout)["runs"]]


def test_a_backup_is_restored_and_what_was_there_is_kept(project: Any, run: Run) -> None:
    run("run", "hello", "-q")
    done = run("store", "backup", "copy.db")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"1 run in copy\.db, \d+ kB\n", done.stdout)
    assert done.stderr == ""
    assert _workflows(run, "--store", "copy.db") == ["hello"]
    run("run", "failing", "-q")
    refused = run("store", "restore", "copy.db")
    assert refused.returncode == 73
    assert refused.stderr == (
        f"error[AF-STORE-EXISTS]: There is a store {_store(project)} already.\n"
        "  It has 2 runs.\n"
        "  hint: Replace it with --yes: it is kept in a file beside.\n"
    )
    assert _workflows(run) == ["failing", "hello"]
    done = run("store", "restore", "copy.db", "--yes")
    assert (done.returncode, done.stdout) == (0, "1 run restored\n"), done.stderr
    assert _workflows(run) == ["hello"]
    kept = re.fullmatch(r"what was there before is in (\S+)\n", done.stderr)
    assert kept is not None
    assert _workflows(run, "--store", kept[1]) == ["failing", "hello"]


def test_a_backup_replaces_a_file_only_with_a_yes(project: Any, run: Run) -> None:
    run("run", "hello", "-q")
    (project.folder / "copy.db").write_text("precious", encoding="utf-8")
    refused = run("store", "backup", "copy.db")
    assert refused.returncode == 73
    assert "There is a file copy.db already" in refused.stderr
    assert (project.folder / "copy.db").read_text(encoding="utf-8") == "precious"
    document = json.loads(run("store", "backup", "copy.db", "--yes", "--json").stdout)
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
        assert f"pid {(project.folder / 'hanging').read_text(encoding='utf-8')} " in f"{refused.stderr} "
        checked = project.run("store", "check")
        assert checked.returncode == 0, checked.stdout
    finally:
        (project.folder / "go").write_text("x", encoding="utf-8")
        process.communicate(timeout=60)
    assert process.returncode == 0
    project.run("store", "restore", "copy.db", "--yes")
    # Its host is another one in the restored store: dead, so that the run goes on here.
    done = project.run("runs", "watch", "@last", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["output"] == {"done": True}


def test_check_names_the_damaged_step_and_how_to_mend_it(project: Any, run: Run) -> None:
    run("run", "hello", "-q")
    sound = run("store", "check")
    assert sound.returncode == 0, sound.stderr
    assert re.fullmatch(r"✔ \S+: schema \d+, 1 run, 1 step, 1 result, \d+ kB, 0 B of it free\n", sound.stdout)
    run_id = json.loads(run("runs", "list", "--json").stdout)["runs"][0]["id"]
    db = apsw.Connection(str(_store(project)))
    do(db, "UPDATE steps SET result = CAST('{}' AS BLOB)")
    db.close()
    found = run("store", "check")
    assert found.returncode == 1
    assert found.stdout.splitlines()[1:] == [
        f"  run {run_id} step greet: Its stored result is damaged.",
        "    fix: Restore a backup: agentflow store restore FILE,"
        f" or run the step again: agentflow runs retry {run_id}",
    ]
    assert found.stderr == "1 problem\n"
    document = json.loads(run("store", "check", "--json").stdout)
    assert document["problems"][0] | {"hint": ""} == {
        "message": "Its stored result is damaged.", "hint": "", "run": run_id, "step": "greet", "page": None,
    }  # fmt: skip


def test_a_backup_of_a_damaged_store_is_made_says_what_is_damaged_and_fails(project: Any, run: Run) -> None:
    run("run", "hello", "-q")
    run_id = json.loads(run("runs", "list", "--json").stdout)["runs"][0]["id"]
    db = apsw.Connection(str(_store(project)))
    do(db, "UPDATE steps SET result = CAST('{}' AS BLOB)")
    db.close()
    done = run("store", "backup", "copy.db")
    assert (done.returncode, done.stdout) == (1, "")
    what = f"run {run_id}, step greet: Its stored result is damaged."
    assert done.stderr.splitlines()[:2] == [
        f"error[AF-STORE-DAMAGED]: {_store(project)} is damaged: {what}",
        "  Everything was copied as it is, the damage too: copy.db",
    ]
    assert _workflows(run, "--store", "copy.db") == ["hello"]
    refused = run("store", "restore", "copy.db", "--yes")
    assert refused.returncode == 1
    assert "--damaged" in refused.stderr
    assert run("store", "restore", "copy.db", "--yes", "--damaged").returncode == 0


def test_vacuum_gives_the_space_of_purged_runs_back(project: Any, run: Run) -> None:
    for _ in range(3):
        run("run", "report", "-q", "--answer", 'review={"decision": "approve", "note": "' + "x" * 100_000 + '"}')
    run("runs", "purge", "--older-than", "0s", "--yes")
    before = _store(project).stat().st_size
    done = run("store", "vacuum")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"\d+ kB given back\n", done.stdout)
    assert _store(project).stat().st_size < before - 100_000
    assert json.loads(run("store", "vacuum", "--full", "--json").stdout)["bytes"] >= 0


def test_without_a_store_every_command_says_so(project: Any, run: Run) -> None:
    for command in (("backup", "copy.db"), ("check",), ("vacuum",)):
        done = run("store", *command)
        assert done.returncode == 66, command
        assert done.stderr.startswith(f"error[AF-STORE-MISSING]: There is no store {_store(project)}.")
    assert run("store", "restore", "copy.db").returncode == 66
    assert not (project.folder / ".agentflow").exists()


def test_help_names_the_group_and_a_mistyped_command_the_right_one(project: Any) -> None:
    assert "store" in project.run("--help").stdout
    assert "agentflow store backup runs-backup.db" in project.run("store", "backup", "--help").stdout
    assert "did you mean: agentflow store backup" in project.run("backup").stderr
