"""Waits from a second process: list, show, answer; and the first one moves."""

from __future__ import annotations

import json
import re
from typing import Any

from agentflow.cli.wait_texts import who


def parked(project: Any) -> str:
    """Start a run that waits, and return the wait's short id."""
    project.run("run", "report", "-q")
    return str(project.json("waits")["waits"][0]["id"])[-6:]


def test_waits_alone_lists_them(project: Any) -> None:
    assert project.run("waits").stderr == "Nothing waits for an answer.\n"
    wait = parked(project)
    done = project.run("waits")
    head, row = done.stdout.splitlines()
    assert head.split("\t") == ["ID", "KIND", "RUN", "STEP", "MESSAGE", "SINCE", "TIMES OUT"]
    cells = row.split("\t")
    assert cells[0].endswith(wait)
    assert cells[1:2] + cells[3:5] == ["input", "review", "Approve the report? Total is 60 for region emea."]
    assert project.run("waits", "list").stdout == done.stdout


def test_an_answer_that_does_not_fit_leaves_the_wait_open(project: Any) -> None:
    wait = parked(project)
    done = project.run("waits", "answer", wait, "--set", "decision=approve", "--set", "amount=5000")
    assert done.returncode == 65
    assert done.stderr.splitlines() == [
        "error[AF-WAIT-INVALID]: the answer doesn't fit; the wait is still open",
        "  amount: 5000 is greater than the maximum of 1000",
        f"  hint: agentflow waits show {wait} prints the schema and an example answer",
    ]
    assert len(project.json("waits")["waits"]) == 1


def test_an_answer_moves_the_run_itself_when_no_process_has_it(project: Any) -> None:
    wait = parked(project)
    done = project.run("waits", "answer", wait, "--set", "decision=approve", "--set", "amount=400")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(rf"answered {wait}\. Run \w+ goes on here\n", done.stdout)
    assert "going on here" not in done.stderr  # it is said once
    assert "step send completed" in done.stderr
    (run,) = project.json("runs", "list")["runs"]
    assert run["state"] == "completed"


def test_a_second_answer_is_a_conflict_that_tells_the_first(project: Any) -> None:
    wait = parked(project)
    assert project.run("waits", "answer", wait, "--set", "decision=approve").returncode == 0
    done = project.run("waits", "answer", wait, "--set", "decision=reject")
    assert done.returncode == 73
    assert re.search(rf"error\[AF-WAIT-CONFLICT\]: {wait} was answered \d+s ago by you: ", done.stderr)
    assert '{"decision": "approve"' in done.stderr


def test_the_same_answer_again_is_fine_and_says_that_it_was_there_already(project: Any) -> None:
    wait = parked(project)
    first, again = [project.run("waits", "answer", wait, "--data", '{"decision": "approve"}') for _ in range(2)]
    assert (first.returncode, again.returncode) == (0, 0)
    told = rf"{wait} had this answer already, given \d+s ago by you\. Run \w+ has ended: completed\n"
    assert re.fullmatch(told, again.stdout)
    assert again.stderr == ""


def test_an_answer_that_only_is_left_says_how_the_run_goes_on(project: Any) -> None:
    wait = parked(project)
    goes_on = r"Run (\w+) goes on: agentflow runs watch \1\n"
    first, again = [
        project.run("waits", "answer", wait, "--set", "decision=approve", "--detach").stdout for _ in range(2)
    ]
    assert re.fullmatch(rf"answered {wait}\. {goes_on}", first)
    assert re.fullmatch(rf"{wait} had this answer already, given \d+s ago by you\. {goes_on}", again)


def test_an_answer_for_a_paused_run_says_that_it_is_paused(project: Any) -> None:
    wait = parked(project)
    assert project.run("runs", "pause", "@last").returncode == 0
    done = project.run("waits", "answer", wait, "--set", "decision=approve")
    assert re.fullmatch(rf"answered {wait}\. Run (\w+) is paused; go on: agentflow runs unpause \1\n", done.stdout)


def test_an_answer_from_a_second_process_moves_the_first(project: Any) -> None:
    process = project.start("run", "report", "--wait")
    assert process.stderr is not None
    line = ""
    while not line.startswith("answer "):
        line = process.stderr.readline()
        assert line, "the run ended before it waited"
    wait = re.search(r"waits answer (\w+) ", line)
    assert wait is not None
    done = project.run("waits", "answer", wait[1], "--set", "decision=reject")
    assert done.returncode == 0, done.stderr
    assert "no process runs" not in done.stderr
    told = r"Run (\w+) (goes on: agentflow runs watch \1|has ended: completed)\n"  # the first one is fast or slow
    assert re.fullmatch(rf"answered {wait[1]}\. {told}", done.stdout)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert json.loads(out)["decision"] == "reject"
    assert "step review answered" in err


def test_the_command_that_answers_comes_before_a_long_schema(project: Any) -> None:
    shown = project.run("waits", "show", parked(project)).stdout
    assert shown.index("answer   agentflow waits answer ") < shown.index("example  {") < shown.index("\nschema\n")


def test_a_wait_is_announced_once_with_the_command_that_answers_it_below(project: Any) -> None:
    process = project.start("run", "report", "--wait")
    assert process.stderr is not None
    told: list[str] = []
    while not told or not told[-1].startswith("answer "):
        told.append(process.stderr.readline())
        assert told[-1], told
    process.terminate()
    process.communicate(timeout=60)
    assert re.fullmatch(r"step review waiting wait=\w+\n", told[-2])
    assert re.fullmatch(r"answer review: agentflow waits answer \w+ --set decision=approve\n", told[-1])


def test_what_this_terminal_answered_is_told_as_by_you() -> None:
    assert who("local", "cli") == "you"
    assert who("local", "cli", elsewhere=True) == "another terminal"
    assert who("ana", "web", elsewhere=True) == "ana (web)"


def test_a_run_in_a_store_of_memory_gets_no_command_that_would_not_find_it(project: Any) -> None:
    for command in (("report",), ("slow", "--timeout", "1s"), ("failing",)):
        told = [project.run("run", *command, "--store", ":memory:").stderr]
        told.append(project.run("run", *command, AGENTFLOW_STORE=":memory:").stderr)
        for text in told:
            assert "agentflow " not in text, text
            assert ("It is gone: the store is :memory:" in text) is (command[0] != "failing")


def test_a_run_with_one_wait_can_be_answered_by_the_runs_id(project: Any) -> None:
    parked(project)
    run = project.json("runs", "list")["runs"][0]["id"]
    assert project.run("waits", "answer", run, "--set", "decision=approve").returncode == 0


def test_a_decline_fails_the_step_with_its_reason(project: Any) -> None:
    wait = parked(project)
    done = project.run("waits", "answer", wait, "--decline", "not mine")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"declined {wait}. ")
    (run,) = project.json("runs", "list")["runs"]
    assert run["state"] == "failed"
    assert run["error"]["code"] == "AF-WAIT-DECLINED"


def test_answering_without_a_terminal_or_an_answer_tells_the_command(project: Any) -> None:
    wait = parked(project)
    done = project.run("waits", "answer", wait)
    assert done.returncode == 75
    assert f"  hint:  agentflow waits answer {wait} --set decision=approve" in done.stderr


def test_an_answer_can_come_from_stdin_and_be_shown_as_json(project: Any) -> None:
    wait = parked(project)
    done = project.run("waits", "answer", wait, "--data", "-", "--json", stdin='{"decision": "reject"}')
    document = json.loads(done.stdout)
    assert document["answer"] == {"value": {"decision": "reject"}}
    assert (document["by"], document["door"]) == ("local", "cli")


def test_an_unknown_wait_exits_66(project: Any) -> None:
    parked(project)
    done = project.run("waits", "answer", "zzzzzz", "--data", "1")
    assert done.returncode == 66
    assert done.stderr.startswith('error[AF-WAIT-UNKNOWN]: no wait "zzzzzz"')


def test_a_wait_shows_its_schema_and_an_example(project: Any) -> None:
    wait = parked(project)
    done = project.run("waits", "show", wait)
    assert "Approve the report?" in done.stdout
    assert '"maximum": 1000' in done.stdout
    assert 'example  {"decision": "approve", "amount": 250, "note": "text"}' in done.stdout
    assert f"answer   agentflow waits answer {wait} --set decision=approve" in done.stdout


def test_a_published_event_moves_the_run_that_waits_for_it(project: Any) -> None:
    parked_run = project.run("run", "event")
    assert parked_run.returncode == 75
    assert "The run waits for an event. It is saved and goes on when it is published.\n" in parked_run.stderr
    assert "  hint:  agentflow publish paid --data '{}'" in parked_run.stderr
    done = project.run("publish", "paid", "--data", '{"order": 17}')
    assert done.returncode == 0, done.stderr
    assert done.stdout == "published paid: 1 wait answered\n"
    (run,) = project.json("runs", "list")["runs"]
    assert run["state"] == "completed"
    assert project.json("runs", "watch", run["id"])["output"] == {"order": 17}


def test_a_misspelt_key_of_an_answer_names_the_nearest(project: Any) -> None:
    wait = parked(project)
    done = project.run("waits", "answer", wait, "--set", "decisoin=approve")
    assert done.returncode == 65
    assert '  "decisoin" is none of its keys; did you mean "decision"?' in done.stderr.splitlines()


def test_a_run_whose_answer_is_only_stored_says_what_carries_it_on(project: Any) -> None:
    wait = parked(project)
    project.run("waits", "answer", wait, "--set", "decision=approve", "--detach")
    done = project.run("waits", "answer", "@last", "--set", "decision=approve")
    assert done.returncode == 66
    told = r": run (\w+) waits for no answer: it has one, and agentflow runs watch \1 carries it on\n"
    assert re.search(told, done.stderr)


def test_a_password_of_an_answer_is_repeated_nowhere(project: Any) -> None:
    config = """\
workflows:
  login:
    steps:
      - id: ask
        type: wait_for_input
        message: "Who?"
        schema: {user: string, pin: {type: string, format: password, minLength: 6}}
"""
    (project.folder / "agentflow.yaml").write_text(config, encoding="utf-8")
    project.run("run", "login", "-q")
    wait = project.json("waits")["waits"][0]["id"]
    refused = project.run("waits", "answer", wait, "--set", "user=ana", "--set", "pin=s3cr")
    assert "pin: it is shorter than 6 characters" in refused.stderr
    assert project.run("waits", "answer", wait, "--set", "user=ana", "--set", "pin=s3cr3t").returncode == 0
    late = project.run("waits", "answer", wait, "--set", "user=ana", "--set", "pin=0ther0")
    shown = project.run("waits", "show", wait).stdout
    assert 'user": "ana", "pin": "***"' in late.stderr
    assert "user=ana, pin=***" in shown
    assert "s3cr" not in refused.stderr + late.stderr + shown
