"""Arguments that are a program's text, or could become an option of it, take no values from elsewhere."""

from __future__ import annotations

import shlex

import pytest

from agentflow.config import config_from
from agentflow.definition.models import Workflow
from agentflow.errors import DefinitionError, Problem
from agentflow.steps import script


def problems(*argv: str) -> list[Problem]:
    """Return what is wrong with a script of a command and its arguments."""
    step = script("a", command=argv[0], args=argv[1:])
    workflow = Workflow(id="w", steps=(step,), input_schema={"type": "object", "properties": {"x": {}, "y": {}}})
    try:
        return config_from([workflow], skills=["native:shell"]).warnings
    except DefinitionError as error:
        return list(error.problems)


EVALUATED = r"""
bash -c 'echo {input.x}'
bash -lc {input.x}
bash -ec {input.x}
bash +e -c {input.x}
bash -o errexit -c {input.x}
bash -euo pipefail -c {input.x}
bash --init-file rc -c {input.x}
bash -O extglob -c {input.x}
bash -c -e {input.x}
bash {input.x} echo
bash -- {input.x}
/bin/bash -c {input.x}
BASH.EXE -c {input.x}
zsh -f -c {input.x}
fish -C {input.x}
busybox sh -c {input.x}
env bash -c {input.x}
env -i A=b bash -c {input.x}
env -S {input.x}
env {input.x} bash
sudo -u me bash -c {input.x}
sudo {input.x}
nohup sh -c {input.x}
timeout -k 5 10 sh -c {input.x}
timeout {input.x} ls
xargs -n1 sh -c {input.x}
nice -n 5 sh -c {input.x}
stdbuf -oL sh -c {input.x}
setsid bash -c {input.x}
flock /tmp/lock -c {input.x}
nice sudo env A={input.x} sh -c {input.y}
python -c {input.x}
python3.11 -c 'print({input.x})'
python3 -u -W ignore -c {input.x}
python {input.x}
perl -e {input.x}
perl -ne print {input.x}
ruby -e {input.x}
node -e {input.x}
node --eval={input.x}
node -e 1 {input.x}
node -p {input.x}
php -r {input.x}
lua5.4 -e {input.x}
awk {input.x}
awk -F, {input.x}
awk -f {input.x}
osascript -e {input.x}
powershell -Command {input.x}
cmd /c {input.x}
find . -exec sh -c {input.x} ';'
find . -exec {input.x} ';'
ssh host 'ls {input.x}'
ssh {input.x} ls
ssh -o {input.x} host
sed {input.x}
sed -e {input.x}
sed s/a/b/ {input.x}
make X={input.x}
su me -c {input.x}
script -qc {input.x} file
deno eval {input.x}
docker exec box sh -c {input.x}
uv run python -c {input.x}
nu -c {input.x}
ipython -c {input.x}
tar --checkpoint=1 --checkpoint-action=exec={input.x} -cf a.tar b
tar --use-compress-program {input.x} -xf a.tar
tar -I {input.x} -cf a.tar b
rsync -ave {input.x} a b:
rsync --rsh={input.x} a b:
git clone --upload-pack={input.x} url
git rebase -x {input.x} main
scp -o {input.x} a b:
sort --compress-program={input.x} a
ncat -e {input.x} host 80
socat - EXEC:{input.x}
{input.x} a
./tools/{input.x}
""".strip().splitlines()


@pytest.mark.parametrize("command", EVALUATED)
def test_a_value_in_what_a_program_runs_is_an_error(command: str) -> None:
    [problem] = problems(*shlex.split(command))
    assert (problem.code, problem.severity) == ("AF-SHELL-REFERENCE", "error")
    assert "{input." in problem.message
    assert problem.hint is not None


PLAIN = r"""
bash -c 'echo "$1"' _ {input.x}
bash script.sh {input.x}
bash -euo pipefail script.sh {input.x}
python -u tool.py {input.x}
python -m module {input.x}
python -c 'import sys' {input.x}
node app.js {input.x}
node -e 1 -- {input.x}
awk -v x={input.x} program
awk -vx={input.x} program file
awk program {input.x}
sed -e s/a/b/ -- {input.x}
find {input.x} -name 'a{input.y}'
find . -exec grep {input.x} '{}' ';'
ssh host ls
ssh me@{input.x} ls
env A={input.x} bash script.sh
sudo -u me cp {input.x} b
timeout 5 curl {input.x}
xargs -n1 echo {input.x}
echo bash {input.x}
git commit -m {input.x}
git switch -c {input.x}
tar -cf {input.x} b
rsync -a --exclude={input.x} {input.y} b:
rsync -e ssh {input.x} b:
sort -k {input.x} a
grep -c {input.x}
docker exec box sh -c 'echo "$1"' _ {input.x}
""".strip().splitlines()


@pytest.mark.parametrize("command", PLAIN)
def test_a_value_in_a_plain_argument_is_fine(command: str) -> None:
    assert problems(*shlex.split(command)) == []


def test_a_list_of_arguments_from_elsewhere_may_hold_the_option_too() -> None:
    step = script("a", command="bash", args="{input.x}")
    with pytest.raises(DefinitionError, match='in what "bash" runs'):
        config_from([Workflow(id="w", steps=(step,))])
