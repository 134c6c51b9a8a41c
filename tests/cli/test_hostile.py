"""No text from outside reaches a terminal or a pipe as anything but characters to read, wherever it is shown."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import unicodedata
from types import SimpleNamespace
from typing import Any

import pexpect
import pytest

from agentflow.cli.ask import Form
from agentflow.cli.console import Console
from agentflow.cli.forms import questions
from agentflow.cli.prompts import prompt_text
from agentflow.cli.shown import bare, clean, render
from tests.cli import hostile
from tests.cli.hostile import ALL, MODES, TEXTS
from tests.cli.project import Project

OURS = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[hl]|\x1b\[\d*[AK]|\x1b\[2K|\r")
"""What the console makes itself on a terminal."""


@pytest.fixture
def scene(project: Project) -> Project:
    """Return a project full of such texts."""
    (project.folder / "agentflow.yaml").write_text(hostile.config(), encoding="utf-8")
    (project.folder / "helpers.py").write_text(hostile.HELPERS, encoding="utf-8")
    (project.folder / "broken.yaml").write_text(hostile.BROKEN, encoding="utf-8")
    return project


def steering(told: str) -> set[str]:
    """Return the characters of an output that aren't there to be read."""
    return {c for c in told if c not in "\n\t" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}


def raw(told: str) -> list[str]:
    """Return the texts that an output holds as they are."""
    return [text for text in TEXTS if text in told]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("mode", MODES)
def test_a_pipe_gets_no_text_that_steers_hides_or_turns(scene: Project, mode: str) -> None:
    done = subprocess.run(
        [sys.executable, hostile.__file__, mode], cwd=scene.folder, env=scene.environ, capture_output=True, check=True
    )
    for told in (done.stdout.decode(), done.stderr.decode()):
        assert steering(told) == set()
        assert raw(told) == []
    shown = done.stdout.decode() + done.stderr.decode()
    assert all(re.split(r"[^a-z]", text)[0] in shown for text in TEXTS)
    assert shown.count("Traceback") == 0, done.stderr.decode()
    if mode == "json":
        run = next(json.loads(line) for line in done.stdout.decode().splitlines() if line.startswith('{"id"'))
        assert run["labels"][f"k{TEXTS[0]}"] == ALL
        assert run["output"] == ALL


@pytest.mark.timeout(240)
@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
def test_a_terminal_gets_only_the_control_sequences_that_are_ours(scene: Project) -> None:
    spawn: Any = pexpect.spawn
    child = spawn(
        sys.executable,
        [hostile.__file__, "text"],
        cwd=str(scene.folder),
        env=scene.environ,
        encoding="utf-8",
        timeout=200,
        dimensions=(40, 200),
    )
    try:
        child.expect(pexpect.EOF)
    finally:
        child.close(force=True)
    assert child.exitstatus == 0, child.before
    assert raw(child.before) == []
    assert steering(OURS.sub("", child.before)) == set()
    assert "\x1b[" in child.before, "it was no terminal with colours"


@pytest.mark.parametrize("text", TEXTS)
def test_a_form_asks_in_characters_to_read_and_counts_its_columns_after_cleaning(text: str) -> None:
    schema = {"type": "object", "properties": {text: {"title": text, "enum": [text, "b"], "default": text}}}
    err = io.StringIO()
    form = Form(Console(io.StringIO(), err), schema)
    (question,) = questions(schema)
    form.console.tell(prompt_text(question))
    form._complain(text)  # pyright: ignore[reportPrivateUsage]  what a wrong answer is told
    assert form.width >= len(clean(text))
    assert steering(err.getvalue()) == set()
    assert clean(text) in err.getvalue()


@pytest.mark.parametrize("text", [*TEXTS, "half \udcff"])
@pytest.mark.parametrize("style", [None, "error"])
def test_colour_stands_around_a_text_that_stays_what_it_is(text: str, style: str | None) -> None:
    out = io.StringIO()
    console = Console(out, io.StringIO(), out_colour=True)
    console.result(console.paint(text, style, out=True))
    before, after = ("\x1b[1;31m", "\x1b[0m") if style else ("", "")
    assert out.getvalue() == f"{before}{clean(text)}{after}\n"
    assert render(bare(console.paint(text, style, out=True))) == clean(text)


def test_names_that_could_steer_a_shell_are_not_completed(scene: Project) -> None:
    from agentflow.cli import complete  # noqa: PLC0415  reads the config of the folder

    config = "workflows:\n" + "".join(f"  {hostile.quoted(t)}: {{steps: [{{id: a, type: set}}]}}\n" for t in TEXTS)
    (scene.folder / "agentflow.yaml").write_text(config, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(scene.folder)
        line: Any = SimpleNamespace(params={})
        assert all(clean(name) == name for name in complete.workflows(line, ""))
