"""`agentflow run` without a terminal: streams, stable lines, exit codes."""

from __future__ import annotations

import json
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

ID = r"[0-9a-z]{6,26}"


def test_stdout_is_the_result_and_stderr_the_talk(project: Any) -> None:
    done = project.run("run", "hello", "--input", "name=Zoë")
    assert done.returncode == 0, done.stderr
    assert done.stdout == '{"text": "hello Zoë"}\n'
    lines = done.stderr.splitlines()
    assert re.fullmatch(rf"run {ID} hello started", lines[0])
    assert re.fullmatch(r"step greet completed [\d.]+m?s", lines[1])
    assert re.fullmatch(rf"run {ID} completed [\d.]+m?s", lines[2])


def test_quiet_prints_only_the_result(project: Any) -> None:
    done = project.run("run", "hello", "--quiet")
    assert (done.stdout, done.stderr) == ('{"text": "hello world"}\n', "")


def test_a_wait_without_a_terminal_says_how_to_answer_and_exits_75(project: Any) -> None:
    done = project.run("run", "report", "--input", "region=apac")
    assert done.returncode == 75, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert re.fullmatch(r"step fetch\[1\] retrying attempt=2 in=\d+ms error=AF-PYTHON-RAISED", lines[1])
    assert re.fullmatch(r"step fetch completed \S+ 3/3", lines[2])
    assert lines[3].startswith("step summarise completed")
    wait = re.fullmatch(rf"step review waiting wait=({ID})", lines[4])
    assert wait is not None
    assert lines[5:] == [
        "The run waits for an answer. It is saved and goes on when somebody gives it.",
        '  step:  review  "Approve the report? Total is 60 for region apac."',
        f"  hint:  agentflow waits answer {wait[1]} --set decision=approve",
        "  hint:  give answers in advance with --answer review=@answer.json",
    ]


def test_json_gives_one_document_with_the_wait_and_the_same_code(project: Any) -> None:
    done = project.run("run", "report", "--json")
    assert done.returncode == 75
    assert done.stderr == ""
    document = json.loads(done.stdout)
    assert document["state"] == "input-required"
    assert document["output"] is None
    assert document["error"] is None
    (wait,) = document["waits"]
    assert (wait["kind"], wait["step"], wait["expires_at"]) == ("input", "review", None)
    assert wait["schema"]["required"] == ["decision"]


def test_an_answer_in_advance_lets_the_run_complete(project: Any, tmp_path: Path) -> None:
    (tmp_path / "answer.json").write_text('{"decision": "reject"}', encoding="utf-8")
    done = project.run("run", "report", "--answer", "review=@answer.json", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["output"]["decision"] == "reject"


def test_an_answer_for_a_step_that_does_not_exist_names_the_nearest_and_starts_nothing(
    project: Any, tmp_path: Path
) -> None:
    done = project.run("run", "report", "--answer", "reviw=1")
    assert done.returncode == 2
    assert done.stderr == (
        'error[AF-USAGE]: --answer: workflow "report" has no step "reviw"\n  hint: did you mean "review"?\n'
    )
    assert project.run("run", "report", "--answer", "nope=1").stderr.endswith("hint: steps that wait: review\n")
    assert not (tmp_path / ".agentflow").exists()
    project.run("run", "report")
    watched = project.run("runs", "watch", "@last", "--answer", "sned=1")
    assert (watched.returncode, watched.stderr.endswith('hint: did you mean "send"?\n')) == (2, True)


def test_an_answer_in_advance_that_does_not_fit_is_told_and_exits_65(project: Any) -> None:
    done = project.run("run", "report", "--answer", 'review={"decision": "maybe"}')
    assert done.returncode == 65
    assert "error[AF-WAIT-INVALID]: " in done.stderr


def test_jsonl_streams_events_and_ends_with_the_result(project: Any) -> None:
    done = project.run("run", "hello", "--jsonl")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["type"] for line in lines][:2] == ["run_started", "step_started"]
    assert lines[-1]["type"] == "result"
    assert lines[-1]["output"] == {"text": "hello world"}
    assert [line["seq"] for line in lines[:-1]] == list(range(1, len(lines)))


def test_a_failing_run_shows_cause_place_and_retry_and_exits_1(project: Any) -> None:
    done = project.run("run", "failing")
    assert done.returncode == 1
    assert done.stdout == ""
    err = done.stderr
    assert 'error[AF-PYTHON-RAISED]: step "boom": RuntimeError: upstream down' in err
    assert "--> agentflow.yaml:34:14" in err
    assert re.search(rf"hint: to try again: agentflow runs retry {ID} --from boom", err)
    assert "Traceback" not in err
    assert re.search(rf"run {ID} failed [\d.]+m?s\n$", err)


@pytest.mark.case("D-RUN-9")
def test_an_unknown_workflow_is_not_found_with_the_nearest_name_and_exits_66(project: Any) -> None:
    done = project.run("run", "reprot")
    assert done.returncode == 66
    assert done.stderr.splitlines() == [
        'error[AF-WORKFLOW-UNKNOWN]: there is no workflow "reprot"',
        '  hint: did you mean "report"?',
    ]


def test_input_that_does_not_fit_makes_no_run_and_exits_65(project: Any) -> None:
    done = project.run("run", "hello", "--input-json", '{"name": 5}')
    assert done.returncode == 65
    assert "error[AF-INPUT-INVALID]: " in done.stderr
    assert project.json("runs", "list")["runs"] == []


@pytest.mark.parametrize(
    "given",
    [
        ("-i", "nmae=Ana"),
        ("--input-json", '{"nmae": "Ana"}'),
        ("-i", "@in.json"),
        ("--input-json", "@in.json"),
        ("-q", "-i", "nmae=Ana"),
    ],
)
def test_an_input_that_is_not_declared_is_refused_with_the_nearest_name(project: Any, given: tuple[str, ...]) -> None:
    (project.folder / "in.json").write_text('{"nmae": "Ana"}', encoding="utf-8")
    done = project.run("run", "hello", *given)
    assert done.returncode == 65
    assert done.stderr.splitlines() == [
        'error[AF-INPUT-UNKNOWN]: Input validation failed: workflow "hello" declares no input "nmae"',
        "  nothing was started",
        '  hint: did you mean "name"?',
    ]
    assert project.json("runs", "list")["runs"] == []


def test_a_place_that_cannot_be_written_is_no_defect(project: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text", encoding="utf-8")
    done = project.run("run", "hello", "--store", str(tmp_path / "file" / "runs.db"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "AF-STORE-OPEN" in done.stderr
    assert "--store PATH" in done.stderr
    (tmp_path / "hosts").write_text("text", encoding="utf-8")
    done = project.run("run", "hello", "--store", str(tmp_path / "runs.db"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "AF-STORE-OPEN" in done.stderr
    done = project.run("schema", "--write", str(tmp_path / "file" / "schema.json"))
    assert done.returncode == 65
    assert "can't write" in done.stderr


def test_without_a_config_the_command_says_so_and_exits_66(project: Any, tmp_path: Path) -> None:
    (tmp_path / "agentflow.yaml").unlink()
    done = project.run("run", "hello")
    assert done.returncode == 66
    assert done.stderr.startswith("error[AF-CONFIG-NOT-FOUND]: no agentflow.yaml in this folder or above")


def test_a_named_config_that_is_not_there_points_at_the_one_that_is(project: Any) -> None:
    done = project.run("run", "hello", "-f", "nofile.yaml")
    assert done.returncode == 66
    assert done.stderr.splitlines() == [
        'error[AF-CONFIG-NOT-FOUND]: no file "nofile.yaml"',
        "  hint: agentflow.yaml exists in this folder; did you mean that?",
    ]


def test_a_workflow_can_be_a_file_of_its_own(project: Any, tmp_path: Path) -> None:
    flow = "id: small\nsteps:\n  - {id: one, type: set, value: 7}\n"
    (tmp_path / "small.yaml").write_text(flow, encoding="utf-8")
    done = project.run("run", "small.yaml", "--quiet")
    assert (done.returncode, done.stdout) == (0, "7\n"), done.stderr
    assert project.run("run", "agentflow.yaml:hello", "-q").stdout == '{"text": "hello world"}\n'
    assert [run["workflow"] for run in project.json("runs", "list")["runs"]] == ["hello", "small"]


def test_the_same_idempotency_key_is_the_same_run(project: Any) -> None:
    first = project.json("run", "hello", "--idempotency-key", "k")
    again = project.json_of("run", "hello", "--idempotency-key", "k", "--json", PYTHONHASHSEED="1")
    assert first["run_id"] == again["run_id"]
    other = project.run("run", "hello", "--idempotency-key", "k", "--input", "name=x")
    assert other.returncode == 73


def test_time_over_leaves_the_run_saved_and_exits_124(project: Any, tmp_path: Path) -> None:
    done = project.run("run", "slow", "--timeout", "300ms")
    assert done.returncode == 124, done.stderr
    assert "Time is over. The run is saved; it goes on with: agentflow runs watch " in done.stderr
    (tmp_path / "go").write_text("", encoding="utf-8")
    watched = project.run("runs", "watch", "@last")
    assert watched.returncode == 0, watched.stderr
    assert watched.stdout == '{"done": true}\n'
    assert "! no process runs it: going on here" in watched.stderr


def wait_for(path: Path) -> None:
    """Wait until another process has written a file."""
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end, f"{path} never came"
        time.sleep(0.02)


def test_ctrl_c_leaves_the_run_says_how_it_goes_on_and_exits_130(project: Any, tmp_path: Path) -> None:
    process = project.start("run", "slow")
    wait_for(tmp_path / "hanging")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Left the run. It is saved; it goes on with:" in err
    assert re.search(rf"  agentflow runs watch {ID}", err)
    (tmp_path / "go").write_text("", encoding="utf-8")
    assert project.run("runs", "watch", "@last", "-q").stdout == '{"done": true}\n'


def test_ctrl_c_can_cancel_for_scripts(project: Any, tmp_path: Path) -> None:
    process = project.start("run", "slow", "--cancel-on-interrupt")
    wait_for(tmp_path / "hanging")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 76, err
    assert project.json("runs", "list")["runs"][0]["state"] == "canceled"


def test_a_run_left_by_a_killed_process_is_carried_on_by_watch(project: Any, tmp_path: Path) -> None:
    process = project.start("run", "slow")
    wait_for(tmp_path / "hanging")
    process.kill()
    process.communicate(timeout=60)
    (tmp_path / "go").write_text("", encoding="utf-8")
    done = project.run("runs", "watch", "@last")
    assert done.returncode == 0, done.stderr
    assert "! no process runs it: going on here" in done.stderr
    assert done.stdout == '{"done": true}\n'


def test_watching_a_finished_run_tells_its_steps_and_result_again(project: Any) -> None:
    project.run("run", "hello")
    done = project.run("runs", "watch", "@last")
    assert done.returncode == 0
    assert done.stdout == '{"text": "hello world"}\n'
    assert "step greet completed" in done.stderr


def test_no_output_in_a_pipe_holds_escape_sequences(project: Any) -> None:
    for arguments in (["run", "failing"], ["runs", "list"], ["runs", "show", "@last"], ["validate"], ["waits"]):
        done = project.run(*arguments)
        assert "\x1b" not in done.stdout + done.stderr


def test_force_color_colours_and_no_color_wins(project: Any) -> None:
    assert "\x1b[" in project.run("run", "failing", FORCE_COLOR="1").stderr
    assert "\x1b" not in project.run("run", "failing", FORCE_COLOR="1", NO_COLOR="1").stderr
    assert "\x1b" not in project.run("run", "failing", "--no-color", FORCE_COLOR="1").stderr


def test_output_without_utf_8_falls_back_to_ascii(project: Any) -> None:
    given = '{"name": "Zo\\u00eb"}'
    done = project.run("run", "hello", "--input-json", given, PYTHONUTF8="0", PYTHONIOENCODING="ascii", LC_ALL="C")
    assert done.returncode == 0, done.stderr
    assert (done.stdout + done.stderr).isascii()
