"""A fault of agentflow itself: exit code 70, a report in a file, no trace on the screen, nothing secret in either."""

from __future__ import annotations

import json
import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from agentflow.codes import door
from tests.cli.forks import COMMAND

PLANTED = """\
import os
from agentflow.cli.actions import start


async def follow(session, run_id, manner, *, ours):
    said = [os.environ[name] for name in ("VAULT_WORD", "SHOP_TOKEN")]
    raise LookupError(f"planted: {said} {manner.answers}")


start.follow = follow
"""
CONFIG = """\
env: [VAULT_WORD]
workflows:
  hello:
    input: {name: string}
    steps:
      - {id: ask, type: wait_for_input, message: "Pin?", schema: {type: object}}
"""
HIDDEN = ("opensesame99", "tok-4711-4711", "hunter2hunter2")
GIVEN = ("run", "hello", "--input", "name=Ada", "--answer", 'ask={"pin": "hunter2hunter2"}')


@pytest.fixture
def planted(project: Any, tmp_path: Path) -> Any:
    """Return what runs a command whose code has a fault."""
    (tmp_path / "agentflow.yaml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "plant").mkdir()
    (tmp_path / "plant" / "sitecustomize.py").write_text(PLANTED, encoding="utf-8")
    reports = tmp_path / "reports"
    reports.mkdir()
    env = {**project.environ, "PYTHONPATH": str(tmp_path / "plant"), "TMPDIR": str(reports)}
    env |= {"VAULT_WORD": HIDDEN[0], "SHOP_TOKEN": HIDDEN[1]}

    def run(*more: str, **environ: str) -> tuple[subprocess.CompletedProcess[str], str]:
        done = subprocess.run(
            [COMMAND, *GIVEN, *more], cwd=tmp_path, env={**env, **environ}, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
        (report,) = reports.iterdir()
        assert stat.S_IMODE(report.stat().st_mode) == 0o600
        return done, str(report)

    return run


def test_a_fault_of_ours_leaves_a_report_and_no_trace_and_nothing_secret(planted: Any) -> None:
    done, report = planted()
    assert done.returncode == door("AF-DEFECT").exit_code == 70
    assert done.stderr.splitlines()[-3:] == [
        "error[AF-DEFECT]: agentflow itself failed (LookupError)",
        f"  the details are in {report}; please report them with the steps that led here",
        "  hint: AGENTFLOW_DEBUG=1 shows the trace here",
    ]
    assert "Traceback" not in done.stdout + done.stderr
    text = Path(report).read_text(encoding="utf-8")
    assert re.match(r"agentflow \S+ · Python \S+ · .*\ncommand: agentflow run hello --input --answer\n", text)
    assert "Traceback (most recent call last)" in text
    assert "LookupError: planted: " in text
    for each in HIDDEN:
        assert each not in text + done.stdout + done.stderr


def test_the_trace_is_shown_to_who_asks_for_it_without_secrets(planted: Any) -> None:
    done, _ = planted(AGENTFLOW_DEBUG="1")
    assert "Traceback (most recent call last)" in done.stderr
    assert HIDDEN[0] not in done.stderr


def test_the_report_is_named_in_json_too(planted: Any) -> None:
    done, report = planted("--json")
    assert done.returncode == 70
    told = json.loads(done.stderr)["error"]
    assert (told["code"], told["data"]["report"]) == ("AF-DEFECT", report)
