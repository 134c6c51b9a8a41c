"""All that a run needs of people is told at once, before the run and when it begins."""

from __future__ import annotations

import pytest

from tests.cli.project import Project

CONFIG = """\
name: desk
connections: {google: {client_id: x}, github: {client_id: y}}
skills: [native:network]
workflows:
  report:
    steps:
      - {id: files, type: api_call, url: "https://www.googleapis.com/drive/v3/files", connection: "google:drive"}
      - {id: issues, type: api_call, url: "https://api.github.com/issues", connection: github}
      - {id: build, type: script, command: make, approve: true}
"""
NEEDS = (
    'missing skill native:shell: the config doesn\'t grant it; step "build" fails',
    'missing connection google:drive: nobody has signed in to "google"; step "files" waits until it is connected',
    'missing connection github: nobody has signed in to "github"; step "issues" waits until it is connected',
    'will ask for an approval: step "build"',
)


@pytest.mark.parametrize("command", [("validate",), ("run", "report", "--no-ask")])
def test_two_connections_a_skill_and_an_approval_are_told_before_and_at_the_start(
    project: Project, command: tuple[str, ...]
) -> None:
    (project.folder / "agentflow.yaml").write_text(CONFIG)
    done = project.run(*command)
    lines = [line.strip().removeprefix("! ") for line in (done.stdout + done.stderr).splitlines()]
    told = list(NEEDS)[command == ("validate",) :]  # validate has told the skill already, with its place
    assert [line for line in lines if line.startswith(("missing ", "will ask "))] == told
    assert sum("native:shell" in line for line in lines if not line.startswith(("fix", "=", "hint"))) == 1
