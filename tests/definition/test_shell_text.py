"""References in distri's shell commands become environment variables, quoted as words, or are refused."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import pytest

from agentflow.definition.models import Step
from agentflow.definition.parse import Parsed, parse_workflow
from agentflow.steps import registry


def parse(kind: dict[str, Any], values: dict[str, Any] | None = None) -> Parsed:
    step = {"id": "s", "label": "S", "kind": {"type": "script", **kind}, **({"input": values} if values else {})}
    return parse_workflow({"id": "w", "steps": [step]}, registry.find)


def script(kind: dict[str, Any], values: dict[str, Any] | None = None) -> dict[str, Any]:
    parsed = parse(kind, values)
    assert parsed.problems == []
    assert parsed.workflow is not None
    step: Step = parsed.workflow.steps[0]
    return step.config


@pytest.mark.parametrize(
    ("command", "run"),
    [
        ("echo {input.x} now", 'echo "${AF_INPUT_X}" now'),
        ('echo "a {input.x} b"', 'echo "a ${AF_INPUT_X} b"'),
        ('echo "it\'s {input.x}"', 'echo "it\'s ${AF_INPUT_X}"'),
        ("echo 'a' {input.x}", "echo 'a' \"${AF_INPUT_X}\""),
        ("echo it\\'s {input.x}", 'echo it\\\'s "${AF_INPUT_X}"'),
        ('echo "$(cat {input.x})"', 'echo "$(cat "${AF_INPUT_X}")"'),
        ("X={input.x} make all # done", 'X="${AF_INPUT_X}" make all # done'),
        ("cat <<< {input.x} | wc", 'cat <<< "${AF_INPUT_X}" | wc'),
        ("echo {input.x}{input.x} a", 'echo "${AF_INPUT_X}""${AF_INPUT_X}" a'),
        ("awk '{print $1}' {input.x}", "awk '{print $1}' \"${AF_INPUT_X}\""),
        ("echo $((1 + 2)) {input.x}", 'echo $((1 + 2)) "${AF_INPUT_X}"'),
        ("echo ${HOME} {a,b} {input.x}", 'echo ${HOME} {a,b} "${AF_INPUT_X}"'),
    ],
)
def test_a_reference_becomes_a_quoted_variable(command: str, run: str) -> None:
    assert script({"command": command}) == {"run": run, "shell": "bash", "env": {"AF_INPUT_X": "{input.x}"}}


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("echo 'a {input.x}'", "in single quotes"),
        ("echo $'a {input.x}'", "in single quotes"),
        ("echo `cat {input.x}`", "in back-quotes"),
        ("echo $(( {input.x} + 1 ))", "in arithmetic"),
        ("(( n = {input.x} )) && ls", "in arithmetic"),
        ("echo $[ {input.x} ]", "in arithmetic"),
        ("echo ${a:-{input.x}} b", "in a parameter expansion"),
        ("echo ${input.x} b", "in a parameter expansion"),
        ("cat <<EOF\n{input.x}\nEOF", "in or after a here-document"),
        ("ls # {input.x}", "in a comment"),
        ("echo \\{input.x} a", "after a backslash"),
        ("eval ls {input.x}", "beside a word that reads its arguments as shell text (eval, sh -c, [[ -eq)"),
        ('bash -c "ls {input.x}"', "beside a word that reads its arguments as shell text (eval, sh -c, [[ -eq)"),
        ("[[ {input.x} -eq 1 ]] && ls", "beside a word that reads its arguments as shell text (eval, sh -c, [[ -eq)"),
        ("a[{input.x}]=1; ls", "in an array index"),
    ],
)
def test_a_reference_that_no_quoting_makes_harmless_is_an_error(command: str, words: str) -> None:
    [problem] = parse({"command": command}).problems
    assert problem.code == "AF-SHELL-REFERENCE"
    assert problem.message == (f'step "s" (script) has {{input.x}} {words}, where its value would become shell text')
    assert problem.pointer == "/steps/0/kind/command"


def test_one_word_without_a_shell_is_a_program_with_arguments() -> None:
    kind = {"command": "echo", "args": ["{input.x}", "a b; rm x"]}
    assert script(kind) == kind


def test_arguments_of_shell_text_are_quoted_words() -> None:
    config = script({"command": "printf %s", "args": ["a b; rm x", "pre {input.x}'s", ""], "shell": "sh"})
    assert config["run"] == "printf %s 'a b; rm x' 'pre '\"${AF_INPUT_X}\"''\"'\"'s' ''"
    assert config["shell"] == "sh"


def test_names_of_variables_do_not_meet() -> None:
    config = script({"command": "echo {input.a.b} {input.a_b}", "env": {"AF_INPUT_A_B": "mine"}})
    assert config["env"] == {"AF_INPUT_A_B": "mine", "AF_INPUT_A_B_2": "{input.a.b}", "AF_INPUT_A_B_3": "{input.a_b}"}


def test_a_steps_own_values_are_references_too() -> None:
    assert script({"command": "echo {who} {nobody}"}, {"who": "{input.x}"})["run"] == 'echo "${AF_WHO}" {nobody}'


PAYLOADS = [
    "; touch pwned",
    "$(touch pwned)",
    "`touch pwned`",
    "&& touch pwned",
    "| touch pwned",
    "\n touch pwned\n",
    '"; touch pwned; "',
    "'; touch pwned; '",
    "a[$(touch pwned)]",
    "${x:=$(touch pwned)}",
    "\\",
    "-n",
    "*",
    "$HOME",
    "<(touch pwned)",
    "> pwned",
]


COMMANDS = ["printf %s {input.x}", 'printf %s "{input.x}"', 'X="$(printf %s {input.x})"; printf %s "$X"']


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("command", COMMANDS)
def test_no_value_becomes_shell_text(payload: str, command: str, tmp_path: Any) -> None:
    config = script({"command": command})
    done = subprocess.run(
        ["bash", "-c", config["run"]],
        env={"PATH": os.environ["PATH"], "AF_INPUT_X": payload},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert list(tmp_path.iterdir()) == []
    assert done.stdout.strip() in (payload.strip(), "")
