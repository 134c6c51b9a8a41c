"""`agentflow run` on a real terminal: the live view, the form, and answers from elsewhere."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pexpect
import pytest

from tests.servers import COMMAND, relayed

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@contextmanager
def terminal(project: Any, *arguments: str, **environ: str) -> Generator[Any]:
    """Run a command on a terminal of its own."""
    env = {**project.environ, **environ}
    command, *words = relayed([COMMAND, *arguments], env)
    spawn: Any = pexpect.spawn
    child = spawn(
        command,
        words,
        cwd=str(project.folder),
        env=env,
        encoding="utf-8",
        timeout=60,
        dimensions=(40, 100),
    )
    try:
        yield child
    finally:
        child.close(force=True)


def rest(child: Any) -> str:
    """Return what comes until the end, without escape sequences."""
    child.expect(pexpect.EOF)
    child.wait() if child.isalive() else None
    return ESCAPES.sub("", child.before).replace("\r", "")


def test_the_form_asks_again_until_the_answer_fits_and_the_run_goes_on(project: Any) -> None:
    with terminal(project, "run", "report", "--input", "region=apac") as child:
        child.expect("report  started")
        child.expect("fetch .*3 of 3")
        child.expect("review .*waits for you")
        child.expect("Total is 60 for region apac.")
        child.expect("What should happen to the report")
        child.expect("reject")
        child.send("\r")
        child.expect(r"Budget in EUR, 0 to 1000  \[250\]: ")
        child.send("5000\r")
        child.expect("✘.* 5000 is greater than the maximum of 1000")
        child.expect(r"Budget in EUR, 0 to 1000  \[250\]: ")
        child.send("400\r")
        child.expect(r"\(empty to leave out\): ")
        child.send("\r")
        text = rest(child)
        assert child.exitstatus == 0, text
        assert re.search(r"✔ review +decision=approve, amount=400, by you", text), text
        assert re.search(r"completed in .* waiting\)|completed in ", text)
        assert text.rstrip().endswith('{"sent": 12, "decision": "approve", "amount": 400}')


def test_nothing_is_drawn_over_a_form_that_waits_for_its_keys(project: Any) -> None:
    with terminal(project, "run", "report") as child:
        child.expect("reject")
        time.sleep(0.8)  # several redraws of the live view
        child.send("\r")
        child.expect(r"Budget in EUR, 0 to 1000  \[250\]: ")
        assert "waits:" not in child.before, child.before


def test_arrows_choose_another_option(project: Any) -> None:
    with terminal(project, "run", "report") as child:
        child.expect("reject")
        child.send("\x1b[B")
        child.send("\r")
        child.expect(r"\[250\]: ")
        child.send("\r")
        child.expect("leave out")
        child.send("\r")
        assert '"decision": "reject"' in rest(child)


def test_escape_leaves_the_run_waiting_and_exits_75(project: Any) -> None:
    with terminal(project, "run", "report") as child:
        child.expect("reject")
        child.send("\x1b")
        text = rest(child)
        assert child.exitstatus == 75, text
        assert "Left the run waiting. It is saved and goes on when somebody answers:" in text
        assert re.search(r"agentflow waits answer \w+ --set decision=approve", text), text
        assert re.search(r"agentflow runs watch \w+", text)
    assert len(project.json("waits")["waits"]) == 1


def test_ctrl_c_in_the_form_exits_130_and_tells_the_same(project: Any) -> None:
    with terminal(project, "run", "report") as child:
        child.expect("reject")
        child.sendintr()
        text = rest(child)
        assert child.exitstatus == 130, text
        assert "Left the run waiting." in text


def test_an_answer_from_another_terminal_closes_the_form(project: Any) -> None:
    with terminal(project, "run", "report") as child:
        child.expect("reject")
        wait = project.json("waits")["waits"][0]["id"]
        done = project.run("waits", "answer", wait, "--set", "decision=reject")
        assert done.returncode == 0, done.stderr
        child.expect(r"! Answered by another terminal \d+s ago: decision=reject. Going on.")
        text = rest(child)
        assert child.exitstatus == 0, text
        assert '"decision": "reject"' in text


def test_a_dumb_terminal_sees_no_escape_sequence_and_can_still_answer(project: Any) -> None:
    with terminal(project, "run", "report", TERM="dumb") as child:
        child.expect(r"\(approve, reject\): ")
        seen = child.before + child.after
        child.send("app\r")
        child.expect(r"\[250\]: ")
        seen += child.before + child.after
        child.send("\r")
        child.expect("leave out")
        child.send("fine\r")
        child.expect(pexpect.EOF)
        seen += child.before
        assert "\x1b" not in seen
        assert '"decision": "approve"' in seen


PAYMENT = """\
workflows:
  pay:
    steps:
      - id: letter
        type: artifact
        text: Dear Ann
        name: letter
        approve: {message: "Send it?", edit: {name: {type: string, maxLength: 9}}}
"""


def test_who_approves_is_asked_for_the_field_that_may_be_changed(project: Any) -> None:
    (project.folder / "pay.yaml").write_text(PAYMENT, encoding="utf-8")
    with terminal(project, "run", "pay.yaml") as child:
        child.expect("would run artifact")
        child.expect("edit")
        child.send("edit\r")
        child.expect(r"edit\.name.*: ")
        child.send("a longer name\r")
        child.expect("✘.*longer than 9")
        child.send("note\r")
        child.expect(r"\(empty to leave out\): ")
        child.send("\r")
        text = rest(child)
        assert child.exitstatus == 0, text
        assert "completed in" in text
    told = project.run("runs", "show", "@last", "--step", "letter").stdout
    assert re.search(r'asked\n +Send it\?\n +you .*: decision=edit, edit=\{"name": "note"\}', told), told
    (asked,) = project.json("runs", "show", "@last")["asked"]
    assert (asked["step"], asked["answer"]["value"]["edit"]) == ("letter", {"name": "note"})


def test_a_wait_can_be_answered_by_its_form_alone(project: Any) -> None:
    project.run("run", "report", "-q")
    with terminal(project, "waits", "answer", project.json("waits")["waits"][0]["id"]) as child:
        child.expect("reject")
        child.send("rej\r")
        child.expect(r"\[250\]: ")
        child.send("\r")
        child.expect("leave out")
        child.send("\r")
        text = rest(child)
        assert child.exitstatus == 0, text
        assert "answered " in text
    assert project.json("runs", "list")["runs"][0]["state"] == "completed"


def test_a_failing_run_keeps_its_failure_on_the_screen(project: Any) -> None:
    with terminal(project, "run", "failing") as child:
        text = rest(child)
        assert child.exitstatus == 1
        assert re.search(r"✘ boom .*upstream down", text)
        assert "error[AF-PYTHON-RAISED]" in text
        assert re.search(r"failed in [\d.]+m?s", text)


def test_the_list_fits_the_terminal_with_short_ids(project: Any) -> None:
    project.run("run", "hello", "-q")
    with terminal(project, "runs", "list") as child:
        text = rest(child)
    head, row, *_ = text.splitlines()
    assert head.split() == ["ID", "STATE", "WORKFLOW", "NOW", "STARTED", "ELAPSED"]
    assert re.match(r"\w{6,8}  ✔ completed  hello ", row)
    assert "1 of 1" in text


def test_a_retry_asks_before_it_starts(project: Any) -> None:
    project.run("run", "failing", "-q")
    with terminal(project, "runs", "retry", "@last") as child:
        child.expect(r"Start it\?")
        child.send("n\r")
        assert "nothing was started" in rest(child)
    assert len(project.json("runs", "list")["runs"]) == 1
