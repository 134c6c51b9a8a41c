"""The environment of a config: listed names only, `.env` behind the process's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentflow.config import EnvVar, config_from, load_text
from agentflow.config.env import env_values, read_env_file
from agentflow.errors import DefinitionError


def test_the_process_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=file\nB=file\nHIDDEN=x\n", "utf-8")
    variables = [EnvVar("A", default="d"), EnvVar("B", default="d"), EnvVar("C", default="d"), EnvVar("D")]
    assert env_values(variables, tmp_path, {"A": "process", "OTHER": "x"}) == {"A": "process", "B": "file", "C": "d"}


def test_nothing_is_read_when_nothing_is_listed(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\n", "utf-8")
    assert env_values([], tmp_path, {"A": "1"}) == {}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=plain", "plain"),
        ("export A = spaced ", "spaced"),
        ("A='single # $x \\n'", "single # $x \\n"),
        ('A="double \\"q\\" \\n \\$x"  # note', 'double "q" \n $x'),
        ("A=value # note", "value"),
        ("A=with#hash", "with#hash"),
        ("A=", ""),
        ("A=# note", ""),
        ("A='open", "'open"),
    ],
)
def test_a_line_of_the_file_is_read(tmp_path: Path, line: str, value: str) -> None:
    file = tmp_path / ".env"
    file.write_text(f"# a comment\n\nnonsense\n1A=x\n{line}\n", "utf-8")
    assert read_env_file(file) == {"A": value}


def test_a_file_that_is_no_text_is_empty(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xff\xfe")
    assert read_env_file(tmp_path / ".env") == {}
    assert read_env_file(tmp_path / "nothing") == {}


@pytest.mark.parametrize("value", ["a", "123", " ab\n"])
def test_a_value_too_short_for_a_secret_is_refused_with_its_place(tmp_path: Path, value: str) -> None:
    text = (
        f"env: [{{name: LONG, default: long-enough}}, {{name: PIN, default: {json.dumps(value)}}}]\nworkflows: {{}}\n"
    )
    with pytest.raises(DefinitionError) as caught:
        load_text(text, folder=tmp_path)
    (problem,) = caught.value.problems
    assert problem.code == "AF-SECRET-SHORT"
    assert problem.message == 'the value of "PIN" is too short for a secret: it has fewer than 4 characters'
    assert problem.hint == "write it as {name: PIN, public: true} if it is no secret, or take a longer one"
    assert (problem.pointer, problem.place.line if problem.place else 0) == ("/env/1", 1)


def test_public_unset_and_empty_variables_may_be_short(tmp_path: Path) -> None:
    text = (
        "env: [UNSET_VARIABLE, {name: EMPTY, default: ''}, {name: PIN, public: true, default: '12'}]\nworkflows: {}\n"
    )
    assert load_text(text, folder=tmp_path).secrets == {"EMPTY": ""}


def test_a_config_made_in_python_refuses_short_secrets_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIN", "12")
    with pytest.raises(DefinitionError, match="too short for a secret"):
        config_from(env=["PIN"])
    assert config_from(env={"PIN": EnvVar("PIN", public=True)}).env_values == {"PIN": "12"}
