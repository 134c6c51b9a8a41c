"""What commands say of a config before they use it: warnings, and which workflows have errors."""

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


BROKEN = CONFIG.replace('value: "{step.x}"', "valu: 1")


def test_an_error_in_one_workflow_keeps_no_other_from_running_and_is_told(project: Any) -> None:
    (project.folder / "agentflow.yaml").write_text(BROKEN, encoding="utf-8")
    done = project.run("run", "fine")
    assert (done.returncode, done.stdout) == (0, "1\n")
    first = done.stderr.splitlines()[0]
    assert first == '! workflows with errors are left out: "called", "caller"; see: agentflow validate'
    assert project.run("run", "fine", "--quiet").stderr == ""
    assert json.loads(project.run("run", "fine", "--json").stdout)["output"] == 1


def test_a_workflow_with_errors_is_refused_with_them_and_so_is_one_that_calls_it(project: Any) -> None:
    (project.folder / "agentflow.yaml").write_text(BROKEN, encoding="utf-8")
    done = project.run("run", "called")
    assert (done.returncode, done.stderr.count("error[")) == (65, 1)
    assert 'step "b" (set) has no field "valu"' in done.stderr
    done = project.run("run", "caller")
    assert done.returncode == 65
    assert 'workflow "caller" calls "called", which has errors' in done.stderr
    assert 'step "b" (set) has no field "valu"' in done.stderr
    assert project.run("validate").returncode == 65


def test_the_other_workflows_are_listed_and_served(project: Any) -> None:
    (project.folder / "agentflow.yaml").write_text(BROKEN, encoding="utf-8")
    listed = project.run("workflows", "--json")
    assert [each["id"] for each in json.loads(listed.stdout)["workflows"]] == ["fine"]
    assert "left out" in project.run("workflows").stderr
    served = project.run("mcp", stdin="")
    told = '! workflows with errors are left out: "called", "caller"; see: agentflow validate\n'
    assert (served.returncode, served.stderr) == (0, told)


def test_a_file_of_two_workflows_has_none_to_start_by_itself_where_one_is_broken(project: Any) -> None:
    text = "workflows:\n  a: {steps: [{id: s, type: set, value: 1}]}\n  b: {steps: [{id: s, type: nothing}]}\n"
    (project.folder / "two.yaml").write_text(text, encoding="utf-8")
    done = project.run("run", "two.yaml")
    assert (done.returncode, "has 2 workflows: a, b" in done.stderr) == (66, True)
    assert project.run("run", "two.yaml:a").returncode == 0


def test_a_module_that_fails_breaks_the_workflows_that_need_its_step_types_alone(project: Any) -> None:
    text = (
        "python: {modules: [bad]}\nworkflows:\n"
        "  a: {steps: [{id: s, type: set, value: 1}]}\n  b: {steps: [{id: s, type: shout}]}\n"
    )
    (project.folder / "bad.py").write_text("import af_nowhere\n", encoding="utf-8")
    (project.folder / "agentflow.yaml").write_text(text, encoding="utf-8")
    assert project.run("run", "a").returncode == 0
    broken = project.run("run", "b")
    assert broken.returncode != 0
    assert 'has an unknown type "shout"' in broken.stderr
    assert "No module named 'af_nowhere'" in broken.stderr
    assert "No module named 'af_nowhere'" in project.run("validate").stderr


def test_a_config_without_a_sound_workflow_is_refused_as_a_whole(project: Any) -> None:
    text = "workflows:\n  a: {steps: [{id: s, type: nothing}]}\n  b: text\n"
    (project.folder / "agentflow.yaml").write_text(text, encoding="utf-8")
    done = project.run("workflows")
    assert (done.returncode, done.stderr.count("error[")) == (65, 2)


def test_an_error_of_the_config_itself_refuses_it(project: Any) -> None:
    (project.folder / "agentflow.yaml").write_text(f"limitz: {{}}\n{CONFIG}", encoding="utf-8")
    done = project.run("run", "fine")
    assert done.returncode == 65
    assert "limitz" in done.stderr
