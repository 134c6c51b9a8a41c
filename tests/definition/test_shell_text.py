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
        ("eval ls {input.x}", 'beside "eval", which evaluates its arguments'),
        ('bash -c "ls {input.x}"', 'in what "bash" runs'),
        ("[[ {input.x} -eq 1 ]] && ls", "beside [[ -eq ]], which evaluates its operands"),
        ("a[{input.x}]=1; ls", "in an array index"),
    ],
)
def test_a_reference_that_no_quoting_makes_harmless_is_an_error(command: str, words: str) -> None:
    [problem] = parse({"command": command}).problems
    assert problem.code == "AF-SHELL-REFERENCE"
    assert problem.message == (f'step "s" (script) has {{input.x}} {words}, where its value could become shell text')
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


REFUSED = r"""
sh -c {input.x}
sh -o errexit -c {input.x}
bash -O extglob -c {input.x}
bash --rcfile x -c {input.x}
sh +e -c {input.x}
echo {input.x} | bash
echo {input.x} | sudo bash
echo {input.x} | python3
echo {input.x} | xargs bash
echo {input.x} | xargs -I% sh -c 'echo %'
echo {input.x} | at now
bash <<< {input.x}
bash 2>/dev/null {input.x}
bash <(echo {input.x})
read {input.x} <<< a
f() { local -i q={input.x}; }; f
function f { eval {input.x}; }; f
compgen -W {input.x}
s"h" -c {input.x}
ev"al" {input.x}
e\val {input.x}
ev[a]l {input.x}
{eval,} {input.x}
$SHELL -c {input.x}
~/tool {input.x}
{input.x} a
eval "echo {input.x}"
Y={input.x}; eval "$Y"
Y={input.x}; bash -c "$Y"
Y={input.x}; echo $((Y))
Y={input.x}; ((Y++))
Y={input.x}; a[Y]=1
Y={input.x}; echo ${a[Y]}
Y={input.x}; echo ${!Y}
Y={input.x}; echo ${Y@P}
Y={input.x}; echo ${HOME:Y}
let a={input.x}
declare -i a={input.x}
typeset -i a; a={input.x}
export a={input.x}
printf -v {input.x} %s a
printf {input.x}
[[ -v {input.x} ]] && ls
[[ {input.x} -eq 1 ]] && ls
test -v {input.x}
[ {input.x} -eq 1 ]
[ {input.x} {input.x} ]
echo `cat {input.x}`
x=`date`; echo {input.x}
echo $(eval {input.x})
echo "$(bash -c {input.x})"
echo "${x:-$(eval {input.x})}"
trap {input.x} EXIT
source {input.x}
. <(echo {input.x})
find . -exec sh -c {input.x} \;
python3 -c {input.x}
perl -e {input.x}
awk "BEGIN { system(\"{input.x}\") }"
sed {input.x} file
sed s/a/b/ {input.x}
alias a={input.x}; a
SECONDS={input.x}; ls
BASH_ENV={input.x} bash s.sh
PATH={input.x} ls
env sh -c {input.x}
timeout 5 sh -c {input.x}
exec {input.x} a
command eval {input.x}
command -p eval {input.x}
noglob eval {input.x}
if true; then eval {input.x}; fi
for i in {input.x}; do eval $i; done
case {input.x} in *) eval x;; esac
(eval {input.x})
{ eval {input.x}; }
! eval {input.x}
>o eval {input.x}
2>/dev/null eval {input.x}
X=1 eval {input.x}
echo a && eval {input.x}
echo {input.x} > s.sh && bash ./s.sh
echo {input.x} | tee s.sh; chmod +x s.sh; ./s.sh
set {input.x}
exit {input.x}
mapfile -C {input.x} a
a=({input.x})
ssh host {input.x}
ssh {input.x} ls
make X={input.x}
if [ -n {input.x} ]; then . ./x; fi
""".strip().splitlines()


@pytest.mark.parametrize("shell", ["bash", "sh", "zsh"])
@pytest.mark.parametrize(
    "command", [*REFUSED, "cat <<EOF {input.x}\nEOF", "bash <<EOF\n{input.x}\nEOF", "ls\neval {input.x}"]
)
def test_a_value_that_a_shell_or_another_program_would_evaluate_is_refused(command: str, shell: str) -> None:
    [problem] = parse({"command": command, "shell": shell}).problems
    assert problem.code == "AF-SHELL-REFERENCE"
    assert problem.hint == 'give it as a variable: env: {"VALUE": "{input.x}"}, and write "$VALUE" in the command'


@pytest.mark.parametrize("args", [["-c", "{input.x}"], ["-c", "echo {input.x}"], ["{input.x}"]])
def test_arguments_count_as_a_part_of_the_command(args: list[str]) -> None:
    [problem] = parse({"command": "bash -e", "args": args}).problems
    assert problem.message.startswith('step "s" (script) has {input.x} in what "bash" runs')


ALLOWED = r"""
echo {input.x} now
grep -c {input.x} file.txt
python3 tool.py {input.x} --flag "{input.x}"
cat {input.x} | sort > out.txt
mkdir -p out && cp {input.x} out/ 2>/dev/null || echo none >&2
X={input.x}; echo "$X" ${X} ${X:-none} ${X%.txt}
if [ -n {input.x} ]; then echo yes; else echo no; fi
if [ ! {input.x} = "a" ]; then echo yes; fi
[[ {input.x} == a* ]] && echo y
for f in {input.x} b; do echo "$f"; done
case {input.x} in a|b) echo 1;; {input.x}) echo 2;; *) echo 3;; esac
set -euo pipefail; ls {input.x}
(cd {input.x} && ls)
{ echo {input.x}; echo b; }
curl -s "http://127.0.0.1:1/{input.x}?q=1&b=2" -H 'A: b'
echo $(basename {input.x} .txt)
while true; do echo {input.x}; break; done
bash -c 'echo "$1"' _ {input.x}
sh script.sh {input.x}
env A={input.x} ls
timeout 5 ls {input.x}
awk '{print $1}' {input.x}
awk -v a={input.x} 'BEGIN{print a}'
echo $((1 + 2)) {input.x}
sed s/a/b/ -- {input.x}
cat <<< {input.x}
""".strip().splitlines()


@pytest.mark.parametrize(
    "command", [*ALLOWED, "case {input.x} in\n  a) echo 1\n   ;;\n  *) echo 2 ;;\nesac", "echo a \\\n {input.x}"]
)
def test_what_takes_a_value_as_one_word_is_allowed_and_never_runs_it(command: str, tmp_path: Any) -> None:
    config = script({"command": command})
    for payload in ("a[$(touch pwned)]", "$(touch pwned)", "x; touch pwned", "-e1e touch pwned", "`touch pwned`"):
        environment = {"PATH": os.environ["PATH"], "AF_INPUT_X": payload}
        subprocess.run(
            ["bash", "-c", config["run"]],
            env=environment, cwd=tmp_path, capture_output=True, check=False, timeout=60, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert not list(tmp_path.rglob("pwned"))
