"""Broken config files, each with the exact text that a user sees.

`UPDATE_EXPECTED=1 pytest tests/definition/test_broken_configs.py` writes the texts anew, for a person to read the diff.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentflow.codes import CODES
from agentflow.config import load_config
from agentflow.definition.excerpt import render_problems
from agentflow.errors import DefinitionError, Problem

FOLDER = Path(__file__).parent.parent / "broken_configs"
FILES = sorted(file.name for file in FOLDER.iterdir() if file.suffix in (".yaml", ".json"))


def problems_of(name: str) -> list[Problem]:
    """Load a file and return what is said about it: its errors, or its warnings."""
    try:
        return load_config(name).warnings
    except DefinitionError as error:
        return list(error.problems)


@pytest.mark.parametrize("name", FILES)
def test_a_broken_config_tells_exactly_what_is_wrong(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    found = problems_of(name)
    text = render_problems(found, {name: Path(name).read_text(encoding="utf-8")})
    expected = Path(name).with_suffix(".expected")
    if os.environ.get("UPDATE_EXPECTED"):
        expected.write_text(text + "\n", encoding="utf-8")
    assert text + "\n" == expected.read_text(encoding="utf-8")
    assert all(problem.code in CODES and problem.place is not None for problem in found)
    assert "Traceback" not in text


def test_there_are_sixty_of_them_and_each_has_its_text() -> None:
    texts = {file.stem for file in FOLDER.glob("*.expected")}
    assert len(FILES) >= 60
    assert texts == {Path(name).stem for name in FILES}
    assert len(texts) == len(FILES)
