"""The environment of a config: listed names only, `.env` behind the process's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentflow.config.env import env_values, read_env_file
from agentflow.config.result import EnvVar


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
