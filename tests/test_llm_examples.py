"""The examples with LLM frameworks: the same run with each, approved by a person, posted once, and not paid twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import anyio
import pytest

from agentflow.config import load_config
from agentflow.engine import Answer, Engine

pytestmark = pytest.mark.anyio

EXAMPLES = Path(__file__).parent.parent / "examples" / "llm"
FRAMEWORKS = sorted(path.stem for path in EXAMPLES.glob("with_*.yaml"))
TEXT = "Meet our newest. It boils a litre in 90 seconds. It costs 39 euros. It weighs 800 grams."
CALLS = ["look_up", "outline", "draft"]
STALLED = """
import os, sys, threading
import offline
from agentflow.cli import main

def draft(prompt):
    offline._count("draft")
    os.write(TELL, b"drafting")
    threading.Event().wait()

TELL = int(sys.argv.pop())
offline.draft = draft
main()
"""


@pytest.fixture(scope="module")
def _copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(
        shutil.copytree(EXAMPLES, tmp_path_factory.mktemp("llm") / "llm", ignore=shutil.ignore_patterns("__pycache__"))
    )


@pytest.fixture
def folder(_copy: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    """A copy of the examples, as the current folder, where no key is known and nothing was posted."""
    monkeypatch.chdir(_copy)
    for module in _copy.glob("*.py"):  # of another copy: tests of a module don't always run in one go
        monkeypatch.delitem(sys.modules, module.stem, raising=False)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    yield _copy
    for name in ("calls.log", "board.jsonl"):
        (_copy / name).unlink(missing_ok=True)
    shutil.rmtree(_copy / ".agentflow", ignore_errors=True)


def posted(folder: Path) -> list[str]:
    """Return what stands on the board."""
    board = folder / "board.jsonl"
    return [json.loads(line)["text"] for line in board.read_text().splitlines()] if board.exists() else []


def calls(folder: Path) -> list[str]:
    """Return the calls of models that would have been paid."""
    return (folder / "calls.log").read_text().split()


def test_there_is_an_example_for_each_framework_that_people_use() -> None:
    assert FRAMEWORKS == [
        "with_anthropic",
        "with_langgraph",
        "with_openai",
        "with_openai_agents",
        "with_pydantic_ai",
    ]


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_a_draft_is_written_read_and_posted(framework: str, folder: Path) -> None:
    config = load_config(folder / f"{framework}.yaml")
    assert config.warnings == []
    with anyio.fail_after(60):
        async with Engine.open(":memory:", config=config) as engine:
            run = await engine.wait((await engine.start("announce", {"product": "kettle"})).id)
            assert run.failure is None
            assert posted(folder) == []
            (wait,) = await engine.waits(run.id)
            assert wait.details["would"]["input"] == {"text": TEXT}
            await engine.resume(wait.id, Answer({"decision": "approve"}))
            run = await engine.wait(run.id)
    assert (run.state, run.output, posted(folder), calls(folder)) == ("completed", {"posted": 1}, [TEXT], CALLS)


async def test_what_a_person_writes_is_posted_and_nothing_when_it_is_dropped(folder: Path) -> None:
    with anyio.fail_after(60):
        async with Engine.open(":memory:", config=load_config(folder / "with_openai.yaml")) as engine:
            for answer in ({"decision": "reject"}, {"decision": "edit", "edit": {"text": "A kettle."}}):
                run = await engine.wait((await engine.start("announce", {"product": "kettle"})).id)
                await engine.resume(run.id, Answer(answer))
                assert (await engine.wait(run.id)).state == "completed"
    assert posted(folder) == ["A kettle."]


@pytest.mark.parametrize(
    "framework",
    [pytest.param(name, marks=() if name == "with_openai" else pytest.mark.slow) for name in FRAMEWORKS],
)
def test_a_crash_while_a_model_writes_pays_nothing_again_that_it_has_said(framework: str, folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    told, tell = os.pipe()
    command = [sys.executable, "-c", STALLED, "run", f"{framework}.yaml", "--input", "product=kettle", "-q", str(tell)]
    with subprocess.Popen(command, cwd=folder, env=environment, pass_fds=(tell,)) as crashing:
        os.close(tell)
        with open(told, "rb") as pipe:
            assert pipe.read(8) == b"drafting"  # or nothing, if it ended before
        crashing.send_signal(signal.SIGKILL)
    assert calls(folder) == CALLS
    agentflow = str(Path(sys.executable).with_name("agentflow"))
    watch = ["runs", "watch", "@last", "-f", f"{framework}.yaml", "--answer", 'post={"decision": "approve"}', "--json"]
    done = subprocess.run([agentflow, *watch], cwd=folder, capture_output=True, text=True, timeout=120, check=True)
    assert json.loads(done.stdout)["output"] == {"posted": 1}
    assert (posted(folder), calls(folder)) == ([TEXT], [*CALLS, "draft"])
