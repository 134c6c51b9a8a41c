"""`runs resume`: a run that was paused or left goes on, and is followed until it ends or waits."""

from __future__ import annotations

import re
from typing import Any


def test_a_paused_run_goes_on_and_is_followed_to_its_end(project: Any) -> None:
    assert project.run("run", "report", "-q").returncode == 75
    assert project.run("runs", "pause", "@last").returncode == 0
    assert project.run("waits", "answer", "@last", "--set", "decision=approve", "--detach").returncode == 0
    done = project.run("runs", "resume", "@last")
    assert (done.returncode, done.stdout) == (0, '{"sent": 12, "decision": "approve", "amount": null}\n'), done.stderr
    assert "it is paused" not in done.stderr


def test_a_run_that_waits_is_told_with_its_answer_and_an_ended_one_is_refused(project: Any) -> None:
    project.run("run", "report", "-q")
    done = project.run("runs", "resume")
    assert done.returncode == 75
    assert "The run waits for an answer. It is saved and goes on when somebody gives it.\n" in done.stderr
    assert project.run("runs", "resume", "--answer", 'review={"decision": "reject"}').returncode == 0
    done = project.run("runs", "resume")
    assert done.returncode == 73
    told = r"error\[AF-RUN-ENDED\]: run (\w+) has ended already: completed\n  hint: agentflow runs show \1\n"
    assert re.fullmatch(told, done.stderr)
