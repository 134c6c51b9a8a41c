"""The sixty schemas on the command line, and typed on a real terminal."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pexpect
import pytest

from agentflow import Engine
from agentflow.config.load import load_text
from tests.cli.conftest import forker
from tests.cli.forks import Forker
from tests.cli.project import Project, clean_environ
from tests.forms.table import Case, as_json, as_keys, as_options, cases, config_of, few, workflow_of

__all__ = ("forker",)

CASES = cases()


@pytest.mark.anyio
@pytest.mark.parametrize(
    "chosen", [pytest.param(few(CASES)[::24], id="some"), pytest.param(CASES, id="all", marks=pytest.mark.slow)]
)
async def test_waits_answer_takes_and_refuses_the_same(chosen: list[Case], tmp_path: Path, forker: Forker) -> None:
    config = config_of(CASES[::10])
    (tmp_path / "agentflow.yaml").write_text(config, encoding="utf-8")
    waits: list[str] = []
    async with Engine.open(tmp_path / ".agentflow" / "runs.db", config=load_text(config)) as engine:
        for case in chosen:
            run = await engine.start(workflow_of(case), {})
            await engine.wait(run.id, 30)
            waits += [view.id for view in await engine.waits(run.id)]
    project = Project(tmp_path, forker)
    for case, wait in zip(chosen, waits, strict=True):
        done = project.run("waits", "answer", wait, *as_options(case), "--detach", "--json")
        if case.told:
            assert done.returncode == 65, (case, done.stderr)
            told = json.loads(done.stderr)["error"]
            assert told["code"] == "AF-WAIT-INVALID"
            assert told["data"]["problems"][: len(case.told)] == list(case.told), (case, told)
        else:
            assert done.returncode == 0, (case, done.stderr)
            assert json.loads(done.stdout)["answer"] == {"value": case.value}


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
@pytest.mark.parametrize(
    "chosen", [pytest.param(few(CASES)[::5], id="some"), pytest.param(CASES, id="all", marks=pytest.mark.slow)]
)
def test_a_form_on_a_terminal_takes_and_refuses_the_same(chosen: list[Case], tmp_path: Path) -> None:
    typed = [as_keys(case.schema, case.value) for case in chosen]
    ways = [(case, keys) for case, keys in zip(chosen, typed, strict=True) if keys is not None]
    ways += [(case, as_json(case.value)) for case, keys in zip(chosen, typed, strict=True) if keys is None or case.told]
    schemas, answers = tmp_path / "schemas", tmp_path / "answers"
    schemas.write_text("".join(json.dumps(case.schema) + "\n" for case, _ in ways), encoding="utf-8")
    child = _typist(schemas, answers)
    try:
        for case, keys in ways:
            child.expect_exact("READY")
            child.send(keys)
            if case.told:
                if keys == as_json(case.value):
                    for problem in case.told:
                        child.expect_exact(f" {problem}")
                else:
                    child.expect([re.escape(problem.rpartition(": ")[2]) for problem in case.told])
            child.send("\x1b")
            child.expect(r"OVER (\{.*\})\r\n")
            answer = json.loads(child.match[1])
            assert answer.get("answer", "none") != case.value if case.told else answer == {"answer": case.value}, case
    finally:
        child.close(force=True)


def _typist(schemas: Path, answers: Path) -> Any:
    spawn: Any = pexpect.spawn
    return spawn(
        sys.executable, ["-m", "tests.forms.typist", str(schemas), str(answers)],
        cwd=str(Path(__file__).parents[2]), env=clean_environ(), encoding="utf-8", timeout=30, dimensions=(60, 240),
    )  # fmt: skip
