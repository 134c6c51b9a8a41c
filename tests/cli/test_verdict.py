"""What `run` says of its config before it starts: warnings, and in which workflow an error is."""

from __future__ import annotations

import json
from typing import Any

CONFIG = """\
workflows:
  fine:
    steps:
      - {id: a, type: set, value: 1}
  caller:
    steps:
      - {id: a, type: set, value: "{inputs.x}"}
      - {id: call, type: workflow, workflow: called}
  called:
    steps:
      - {id: b, type: set, value: "{step.x}"}
"""
NO_ERROR = 'hint: no error is in "fine" itself, but in'


def warnings(text: str) -> list[str]:
    return [line for line in text.splitlines() if "warning" in line]


def test_a_run_tells_the_warnings_of_its_workflow_and_of_those_it_calls_a_line_each(project: Any) -> None:
    (project.folder / "agentflow.yaml").write_text(CONFIG, encoding="utf-8")
    done = project.run("run", "caller")
    assert done.returncode == 0, done.stderr
    first, second = warnings(done.stderr)
    assert first.startswith("warning[AF-TEMPLATE-ROOT]: agentflow.yaml:7:")
    assert first.endswith("did you mean {input.x}?")
    assert second.startswith("warning[AF-TEMPLATE-ROOT]: agentflow.yaml:11:")
    assert done.stderr.splitlines()[2].startswith("run ")
    assert warnings(project.run("run", "fine").stderr) == []


def test_no_warning_stands_beside_a_quiet_result_or_a_document(project: Any) -> None:
    (project.folder / "agentflow.yaml").write_text(CONFIG, encoding="utf-8")
    for option in ("--quiet", "--json", "--jsonl"):
        done = project.run("run", "caller", option)
        assert (done.returncode, done.stderr) == (0, "")


def test_of_many_warnings_the_first_are_told_and_the_command_that_tells_all(project: Any) -> None:
    steps = "".join(f"  - {{id: s{n}, type: set, value: '{{inputs.x}}'}}\n" for n in range(8))
    (project.folder / "many.yaml").write_text(f"steps:\n{steps}", encoding="utf-8")
    told = warnings(project.run("run", "many.yaml").stderr)
    assert len(told) == 6
    assert told[-1] == "! 3 more warnings: agentflow validate many.yaml"


def test_an_error_of_another_workflow_is_said_to_be_there(project: Any) -> None:
    broken = CONFIG.replace('value: "{step.x}"', "valu: 1")
    (project.folder / "agentflow.yaml").write_text(broken, encoding="utf-8")
    done = project.run("run", "fine")
    assert done.returncode == 65
    assert done.stderr.splitlines()[-1] == (
        f'{NO_ERROR} "called": a config is loaded as a whole; correct it, or run "fine" from a file of its own'
    )
    assert json.loads(project.run("run", "fine", "--json").stderr)["error"]["hint"].startswith("no error is in")
    assert NO_ERROR not in project.run("run", "called").stderr


def test_an_error_of_the_config_itself_is_nobody_elses(project: Any) -> None:
    (project.folder / "agentflow.yaml").write_text(f"limitz: {{}}\n{CONFIG}", encoding="utf-8")
    done = project.run("run", "fine")
    assert done.returncode == 65
    assert NO_ERROR not in done.stderr
