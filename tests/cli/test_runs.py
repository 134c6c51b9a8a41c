"""`runs list|show|cancel|pause|unpause|retry|purge`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import apsw
import pytest

from agentflow.store.sqlite.sql import do


def test_no_runs_yet_says_how_to_make_one(project: Any) -> None:
    done = project.run("runs", "list")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "No runs yet. Start one: agentflow run\n")


def test_the_list_tells_the_state_and_why_newest_first(project: Any) -> None:
    project.run("run", "hello", "-q")
    project.run("run", "failing", "-q")
    project.run("run", "report", "-q")
    done = project.run("runs", "list")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert rows[0] == ["ID", "STATE", "WORKFLOW", "NOW", "STARTED", "ELAPSED"]
    assert [row[1:3] for row in rows[1:]] == [
        ["input-required", "report"],
        ["failed", "failing"],
        ["completed", "hello"],
    ]
    assert rows[1][3].startswith("review: Approve the report?")
    assert rows[2][3].startswith("boom: ")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", rows[1][4])


def test_the_list_filters_by_state_workflow_and_label(project: Any) -> None:
    project.run("run", "hello", "-q", "--label", "team=a")
    project.run("run", "failing", "-q")

    def names(*arguments: str) -> list[str]:
        return [run["workflow"] for run in project.json("runs", "list", *arguments)["runs"]]

    assert names("--failed") == ["failing"]
    assert names("--state", "completed") == ["hello"]
    assert names("--workflow", "hello") == ["hello"]
    assert names("--label", "team=a") == ["hello"]
    assert names("--waiting") == []
    assert names("--limit", "1") == ["failing"]
    wrong = project.run("runs", "list", "--state", "done")
    assert wrong.returncode == 2


def test_show_tells_each_step_and_what_was_not_run(project: Any) -> None:
    project.run("run", "failing", "-q")
    done = project.run("runs", "show", "@last")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert re.match(r"run \w{6,} +failing +✘ failed +started \d\d:\d\d:\d\d by cli", lines[0])
    assert re.match(r"cause: boom: RuntimeError: upstream down \(helpers.py:16\)  \[AF-PYTHON-RAISED\]", lines[1])
    assert lines.pop(2) == '  at helpers.py:16, in boom: raise RuntimeError("upstream down")'
    assert re.match(r'✔ first +set +[\d.]+m?s +\{"a": 1\}', lines[3])
    assert re.match(r"✘ boom +python +[\d.]+m?s +.*upstream down", lines[4])
    assert re.match(r"- after +set +- +not run: boom failed", lines[5])
    assert re.match(r"retry +agentflow runs retry \w+ --from boom +\(keeps 1 steps?, runs 2\)", lines[-1])


def test_show_tells_why_a_step_is_not_running(project: Any) -> None:
    project.run("run", "report", "-q")
    done = project.run("runs", "show")
    assert re.search(r"✔ fetch +for_each +3/3", done.stdout)
    assert re.search(r"✋ review +wait +- +waits: Approve the report\?", done.stdout)
    assert re.search(r"· send +set +- +waits for review", done.stdout)
    assert re.search(r"answer +agentflow waits answer \w+", done.stdout)


def test_show_one_step_has_its_log_and_result(project: Any) -> None:
    project.run("run", "hello", "-q")
    done = project.run("runs", "show", "@last", "--step", "greet")
    assert "step greet  set  ✔ completed" in done.stdout
    assert '"text": "hello world"' in done.stdout
    assert re.search(r"log\n  \S+  started\n  \S+  completed\n", done.stdout)
    assert project.run("runs", "show", "@last", "--step", "nope").returncode == 66


def test_show_as_json_carries_steps_and_waits(project: Any) -> None:
    project.run("run", "report", "-q")
    document = project.json("runs", "show", "@last")
    states = {step["step"]: step["state"] for step in document["steps"]}
    assert states["fetch"] == "completed"
    assert states["review"] == "input-required"
    assert document["waits"][0]["step"] == "review"
    lines = project.run("runs", "show", "@last", "--events", "--json").stdout.splitlines()
    assert json.loads(lines[0])["type"] == "run_started"


def test_an_unknown_run_exits_66_in_every_command(project: Any) -> None:
    project.run("run", "hello", "-q")
    for command in ("show", "watch", "cancel", "pause", "unpause", "retry"):
        done = project.run("runs", command, "nope")
        assert done.returncode == 66, (command, done.stderr)
        assert done.stderr.startswith('error[AF-RUN-UNKNOWN]: no run ends in "nope"')


def test_cancel_ends_a_waiting_run_and_a_second_cancel_is_a_conflict(project: Any) -> None:
    project.run("run", "report", "-q")
    done = project.run("runs", "cancel", "@last")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"\w{6,} canceled\n", done.stdout)
    assert project.json("waits")["waits"] == []
    again = project.run("runs", "cancel", "@last")
    assert again.returncode == 73
    assert "has ended already: canceled" in again.stderr
    assert project.run("runs", "watch", "@last").returncode == 76


def test_a_paused_run_stores_answers_and_goes_on_after_unpause(project: Any) -> None:
    project.run("run", "report", "-q")
    assert project.run("runs", "pause", "@last").returncode == 0
    assert "\tpaused: " in project.run("runs", "list").stdout
    wait = project.json("waits")["waits"][0]["id"]
    assert project.run("waits", "answer", wait, "--set", "decision=approve").returncode == 0
    assert project.json("runs", "list")["runs"][0]["state"] != "completed"
    done = project.run("runs", "unpause", "@last")
    assert done.returncode == 0, done.stderr
    assert project.json("runs", "list")["runs"][0]["state"] == "completed"
    assert project.run("runs", "unpause", "@last").returncode == 73


def test_retry_previews_needs_a_yes_and_makes_a_linked_run(project: Any) -> None:
    project.run("run", "failing", "-q")
    plan = project.run("runs", "retry", "@last", "--dry-run")
    assert plan.returncode == 0, plan.stderr
    assert re.search(r"keeps +1 step: first", plan.stdout)
    assert re.search(r"runs again +2 steps: boom, after", plan.stdout)
    refused = project.run("runs", "retry", "@last")
    assert refused.returncode == 2
    assert "nothing was started" in refused.stderr
    assert "the same command with --yes" in refused.stderr
    assert len(project.json("runs", "list")["runs"]) == 1
    helpers = project.folder / "helpers.py"
    helpers.write_text(helpers.read_text().replace('raise RuntimeError("upstream down")', 'return {"ok": True}'))
    done = project.run("runs", "retry", "@last", "--from", "boom", "--yes")
    assert done.returncode == 0, done.stderr
    assert done.stdout == '{"b": 2}\n'
    newest, old = project.json("runs", "list")["runs"]
    assert newest["retry_of"] == old["id"]


def test_purge_deletes_only_what_has_ended(project: Any) -> None:
    project.run("run", "hello", "-q")
    project.run("run", "report", "-q")
    assert project.run("runs", "purge", "--older-than", "0s").returncode == 2
    done = project.run("runs", "purge", "--older-than", "0s", "--yes")
    assert done.stdout == "deleted 1 run\n", done.stderr
    assert [run["workflow"] for run in project.json("runs", "list")["runs"]] == ["report"]


def test_looking_at_runs_works_while_the_config_is_broken(project: Any) -> None:
    project.run("run", "hello", "-q")
    (project.folder / "agentflow.yaml").write_text("workflows: {a: {steps: 3}}\n", encoding="utf-8")
    assert len(project.json("runs", "list")["runs"]) == 1
    assert project.run("runs", "show", "@last").returncode == 0


def test_a_retry_by_the_mended_config_keeps_what_it_does_not_change(project: Any, tmp_path: Path) -> None:
    project.run("run", "failing", "-q")
    config = tmp_path / "agentflow.yaml"
    mended = config.read_text(encoding="utf-8").replace(
        '{id: boom, type: python, function: "helpers:boom"}', "{id: boom, type: set, values: {a: 2}}"
    )
    config.write_text(mended, encoding="utf-8")
    old = project.run("runs", "retry", "@last", "--dry-run")
    assert old.stdout.endswith("retry keeps the definition of its run; --new-definition takes the new one\n")
    told = project.run("runs", "retry", "@last", "--new-definition", "--dry-run")
    assert told.stdout.splitlines() == [
        "retry failing from boom: a new run by the config's new definition",
        "  keeps                 1 step: first",
        "  runs again            2 steps: boom, after",
        "  new or changed        1 step: boom",
    ]
    done = project.run("runs", "retry", "@last", "--new-definition", "--yes")
    assert (done.returncode, done.stdout) == (0, '{"b": 2}\n'), done.stderr
    again = project.run("runs", "retry", "@last", "--new-definition", "--dry-run")
    assert again.stdout.endswith("  the config's definition is the one of the run\n")


# a stored result that isn't what was written


def _spoil(project: Any, step: str) -> None:
    db = apsw.Connection(str(project.folder / ".agentflow" / "runs.db"))
    do(db, 'UPDATE steps SET result = CAST(\'{"text":"wrong","total":9}\' AS BLOB) WHERE address = ?', (step,))
    db.close()


def test_a_run_with_a_damaged_result_is_shown_and_the_step_is_marked(project: Any) -> None:
    project.run("run", "hello", "-q")
    _spoil(project, "greet")
    done = project.run("runs", "show")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    short = re.search(r"run (\w+)", lines[0])
    assert short is not None
    assert lines[1] == '! the stored result of step "greet" is damaged [AF-STORE-DAMAGED]'
    assert lines[2].endswith(f"or run again: agentflow runs retry {short[1]}")
    assert re.match(
        r"✔ greet +set +\S+ +damaged: what is stored isn't what the step gave \[AF-STORE-DAMAGED\]", lines[4]
    )
    assert "output  damaged: what is stored isn't what the step gave" in lines
    assert lines[-1].startswith(f"retry   agentflow runs retry {short[1]} --from greet")
    assert "wrong" not in done.stdout
    document = project.json("runs", "show")
    assert (document["output"], document["steps"][0]["result"], document["steps"][0]["damaged"]) == (None, None, True)
    step = project.run("runs", "show", "@last", "--step", "greet")
    assert "result  damaged" in step.stdout
    assert "wrong" not in step.stdout
    assert project.run("runs", "list").returncode == 0
    assert "error[AF-RUN-ENDED]" in project.run("runs", "cancel", "@last").stderr


def test_a_retry_of_a_damaged_run_says_which_result_is_and_makes_it_anew(project: Any) -> None:
    project.run("run", "hello", "-q")
    _spoil(project, "greet")
    done = project.run("runs", "retry", "@last", "--yes")
    assert done.returncode == 0, done.stderr
    assert "! result is damaged   1 step: greet" in done.stderr
    assert done.stdout == '{"text": "hello world"}\n'


def test_a_damaged_run_in_progress_is_refused_and_goes_on_as_a_retry_after_a_cancel(project: Any) -> None:
    project.run("run", "report", "-q")
    _spoil(project, "summarise")
    wait = project.json("waits", "list")["waits"][0]["id"]
    refused = project.run("waits", "answer", wait, "--set", "decision=approve")
    assert "error[AF-STORE-DAMAGED]" in refused.stderr
    shown = project.run("runs", "show")
    assert re.search(r"or run again: agentflow runs cancel \w+, then agentflow runs retry \w+", shown.stdout)
    watched = project.run("runs", "watch")
    assert watched.returncode == 1
    assert "error[AF-STORE-DAMAGED]: The stored result of step 'summarise'" in watched.stderr
    assert re.search(r"agentflow runs cancel \w+, then agentflow runs retry \w+", watched.stderr)
    canceled = project.run("runs", "cancel", "@last")
    assert canceled.returncode == 0, canceled.stderr
    assert re.fullmatch(r"\w+ canceled\n", canceled.stdout)
    assert "! canceled without its hooks and compensation: The stored result of step 'summarise'" in canceled.stderr
    assert project.json("runs", "show")["state"] == "canceled"
    again = project.run("runs", "retry", "@last", "--yes", "--answer", 'review={"decision": "approve"}')
    assert again.returncode == 0, again.stderr
    assert "keeps" in again.stderr
    assert again.stdout.startswith('{"sent": 12,')


@pytest.mark.parametrize("kind", ["empty", "a database without tables"])
def test_a_file_without_anything_in_it_is_no_store_and_is_left_alone(project: Any, kind: str) -> None:
    path = project.folder / ".agentflow" / "runs.db"
    path.parent.mkdir()
    path.touch()
    if kind != "empty":
        db = apsw.Connection(str(path))
        do(db, "VACUUM")
        do(db, "CREATE TABLE t (a)")
        do(db, "DROP TABLE t")
        db.close()
    before = path.read_bytes()
    for command in (("runs", "list"), ("runs", "show"), ("waits", "list"), ("runs", "cancel", "abcdef")):
        done = project.run(*command)
        assert done.returncode == 66, done.stderr
        assert done.stderr == (
            f"error[AF-STORE-MISSING]: The file {path} is empty: it isn't a store. Nothing was changed.\n"
            "  hint: Name the file of a store with --store, or remove this one: the next run makes a store\n"
        )
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["runs.db"]
    assert project.run("run", "hello", "-q").returncode == 0
    assert project.run("runs", "list").returncode == 0
