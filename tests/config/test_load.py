"""Config files: what they say, what is wrong with them, and how they are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentflow.config import Config, find_config, load_config, load_text
from agentflow.definition.excerpt import render_problems
from agentflow.errors import DefinitionError, NotFoundError

FULL = """\
name: reports
description: Makes reports
env: [TOKEN, {name: REGION, public: true, default: emea}]
skills: {native:network: {allow: [example.com]}, native:shell: false}
python: {modules: [flows]}
store: data/runs.db
durability: relaxed
limits: {max_parallel: 8, event_size: 32KiB}
defaults: {retry: 2, timeout: 1m, on_error_siblings: cancel}
http: {base_url: "https://example.com/api", headers: {Accept: application/json}, timeout: 5s}
tools: {lookup: {python: "flows:lookup"}, crm: {command: crm-mcp, args: [--fast]}}
agents: {writer: {url: "https://agents.example.com"}}
connections: {"google:drive": {client_id: "{env.TOKEN}", scopes: [read]}}
workflows:
  hello:
    steps:
      - id: say
        type: set
        value: hello
"""


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("AGENTFLOW_STORE", "TOKEN", "REGION"):
        monkeypatch.delenv(name, raising=False)


def write(name: str, text: str) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def refused(text: str, name: str = "agentflow.yaml") -> str:
    """Return the problems of a file as people see them."""
    write(name, text)
    with pytest.raises(DefinitionError) as caught:
        load_config(name)
    return render_problems(caught.value.problems, {name: text})


def test_every_key_of_the_config_arrives(tmp_path: Path) -> None:
    write("agentflow.yaml", FULL)
    config = load_config()
    assert (config.name, config.description, config.durability) == ("reports", "Makes reports", "relaxed")
    assert [(v.name, v.public, v.default) for v in config.env.values()] == [
        ("TOKEN", False, None),
        ("REGION", True, "emea"),
    ]
    assert config.skills == {"native:network": {"allow": ["example.com"]}, "native:python": {}}
    assert config.python_modules == ("flows",)
    assert (config.store, config.store_location) == ("data/runs.db", str(tmp_path / "data" / "runs.db"))
    assert (config.limits.max_parallel, config.limits.host_parallel, config.limits.event_size) == (8, 256, 32768)
    assert config.defaults.retry is not None
    assert (config.defaults.retry.max_attempts, config.defaults.timeout) == (2, 60.0)
    assert (config.http.base_url, config.http.timeout) == ("https://example.com/api", 5.0)
    assert config.tools == {"lookup": {"python": "flows:lookup"}, "crm": {"command": "crm-mcp", "args": ["--fast"]}}
    assert config.agents == {"writer": {"url": "https://agents.example.com"}}
    assert config.connections == {"google:drive": {"client_id": "{env.TOKEN}", "scopes": ["read"]}}
    assert list(config.workflows) == ["hello"]
    assert config.file == tmp_path / "agentflow.yaml"


def test_a_config_says_little_by_default(tmp_path: Path) -> None:
    write("agentflow.yaml", "workflows: {}")
    config = load_config()
    assert (config.name, config.skills, config.limits.max_parallel) == (tmp_path.name, {}, 64)
    assert config.store_location == str(tmp_path / ".agentflow" / "runs.db")
    assert (config.limits.result_size, config.limits.input_size, config.limits.event_size) == (
        4 << 20,
        4 << 20,
        64 << 10,
    )


def test_the_environment_says_where_the_store_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTFLOW_STORE", "other.db")
    assert Config(folder=Path("/elsewhere")).store_location == str(tmp_path / "other.db")
    monkeypatch.setenv("AGENTFLOW_STORE", "postgresql://db/x")
    assert Config().store_location == "postgresql://db/x"


def test_a_place_is_found_for_a_step_and_its_fields() -> None:
    write("agentflow.yaml", FULL)
    config = load_config()
    step, value = config.place("hello", "say"), config.place("hello", "say", "value")
    assert step is not None
    assert value is not None
    assert (step.file, step.line, step.column, step.length) == ("agentflow.yaml", 17, 9, 7)
    assert (value.line, value.column, value.length) == (19, 16, 5)
    assert config.place("hello", "say[3]") == step
    assert config.place("hello", "nope") is None
    assert config.place("nope", "") is None


def test_workflows_may_be_a_list() -> None:
    write("agentflow.yaml", "workflows:\n  - {id: a, steps: []}\n  - {id: b, steps: []}")
    assert list(load_config().workflows) == ["a", "b"]


def test_a_single_workflow_is_named_after_its_file() -> None:
    write("flows/tidy.yaml", "steps: [{id: a, type: set, value: 1}]")
    assert list(load_config("flows/tidy.yaml").workflows) == ["tidy"]


def test_the_nearest_parent_with_a_config_counts(tmp_path: Path) -> None:
    write("agentflow.yaml", "workflows: {}")
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    assert find_config(deep) == tmp_path / "agentflow.yaml"
    write("a/agentflow.yml", "workflows: {}")
    assert find_config(deep) == tmp_path / "a" / "agentflow.yml"
    assert load_config(tmp_path / "a").folder == tmp_path / "a"


def test_a_missing_file_is_told_with_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no agentflow\.yaml here or in a parent folder"):
        load_config()
    write("agentflow.yaml", "workflows: {}")
    with pytest.raises(NotFoundError) as caught:
        load_config("nofile.yaml")
    assert (caught.value.what, caught.value.code) == ('no file "nofile.yaml"', "AF-CONFIG-NOT-FOUND")
    assert caught.value.hint == "agentflow.yaml exists; did you mean that?"


MANY_PROBLEMS = """\
skils: [native:shell]
skills: [native:shell, shell]
limits: {event_size: huge}
workflows:
  report:
    steps:
      - {id: a, type: script, run: ls, time_out: 3s}
  b: [1]
tools: {x: {}}
"""
THEIR_TEXT = """\
error[AF-FIELD-UNKNOWN]: the config has no field "skils"
 --> agentflow.yaml:1:1
  |
1 | skils: [native:shell]
  | ^^^^^ did you mean "skills"?

error[AF-SKILL-UNKNOWN]: there is no native skill "shell"
 --> agentflow.yaml:2:24
  |
2 | skills: [native:shell, shell]
  |                        ^^^^^ did you mean "native:shell"?
  = hint: skills are native:shell, native:browser, native:network, native:agent, native:tool, native:python, \
native:filesystem

error[AF-FIELD-VALUE]: "limits.event_size" of the config: "huge" is no size; write bytes, or a text like 64KiB or 4MiB
 --> agentflow.yaml:3:22
  |
3 | limits: {event_size: huge}
  |                      ^^^^

error[AF-FIELD-UNKNOWN]: step "a" (script) has no field "time_out"
 --> agentflow.yaml:7:40
  |
7 |       - {id: a, type: script, run: ls, time_out: 3s}
  |                                        ^^^^^^^^ did you mean "timeout"?

error[AF-FIELD-TYPE]: workflow "b" must be a mapping, not a list
 --> agentflow.yaml:8:6
  |
8 |   b: [1]
  |      ^^^

error[AF-FIELD-VALUE]: "tools.x" of the config: give exactly one of python, command and url
 --> agentflow.yaml:9:12
  |
9 | tools: {x: {}}
  |            ^^"""


def test_all_problems_come_in_the_order_of_their_places() -> None:
    assert refused(MANY_PROBLEMS) == THEIR_TEXT


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("", 'error[AF-CONFIG-INVALID]: "agentflow.yaml" is empty'),
        ("- a", 'error[AF-FIELD-TYPE]: "agentflow.yaml" must be a mapping, not a list'),
        ("name: x", 'error[AF-FIELD-MISSING]: the config needs a field "workflows"'),
        ("workflow: {}", 'error[AF-FIELD-UNKNOWN]: the config has no field "workflow"'),
        (
            "workflows: 5",
            'error[AF-FIELD-TYPE]: "workflows" of the config must be a mapping of ids to workflows, not 5',
        ),
        ("workflows: {}\nenv: [A, A]", 'error[AF-FIELD-VALUE]: "env" lists "A" twice'),
        (
            "workflows: {}\nenv: [1A]",
            'error[AF-FIELD-VALUE]: "env[0]" of the config: "1A" can\'t be the name of an environment variable',
        ),
        (
            "workflows: {}\nhttp: {base_url: ftp://x}",
            'error[AF-FIELD-VALUE]: "http.base_url" of the config: "ftp://x" is no address; '
            "it begins with http:// or https://",
        ),
        (
            "workflows: {}\ntools: {a: {python: foo}}",
            'error[AF-FIELD-VALUE]: "tools.a.python" of the config: "foo" names no function; '
            "write it like module:function",
        ),
        (
            "workflows: {}\nagents: {a: {python: 'foo:bar'}}",
            'error[AF-PYTHON-MODULE]: agent "a" uses the Python module "foo", which isn\'t listed',
        ),
        (
            "workflows: {}\ndurability: strong",
            'error[AF-FIELD-VALUE]: "durability" of the config must be one of strict, relaxed, not "strong"',
        ),
        ("workflows: {a: 1, a: 2}", 'error[AF-KEY-DUPLICATE]: key "a" appears twice in one mapping'),
        ("workflows: [", "error[AF-YAML-SYNTAX]: not valid YAML: a value was expected"),
    ],
)
def test_each_problem_of_a_config_is_one_sentence(text: str, first: str) -> None:
    shown = refused(text)
    assert shown.split("\n")[0] == first
    assert "\n\n" not in shown


def test_many_problems_are_capped() -> None:
    steps = "\n".join(f"      - {{id: s{number}, type: nope}}" for number in range(200))
    shown = refused(f"workflows:\n  w:\n    steps:\n{steps}\n")
    assert shown.count("AF-STEP-TYPE") == 50
    assert "150 more errors aren't shown" in shown


def test_a_file_that_is_no_text_is_told() -> None:
    Path("agentflow.yaml").write_bytes(b"a: 1\nb: \xff\xfe")
    with pytest.raises(DefinitionError) as caught:
        load_config()
    assert caught.value.code == "AF-CONFIG-UNREADABLE"
    assert caught.value.what == '"agentflow.yaml" isn\'t UTF-8: byte 0xff in line 2'


def test_a_text_is_loaded_like_a_file(tmp_path: Path) -> None:
    config = load_text("workflows: {a: {steps: []}}", "<stdin>")
    assert list(config.workflows) == ["a"]
    assert (config.file, config.folder) == (None, tmp_path)
    with pytest.raises(DefinitionError) as caught:
        load_text("workflows: {a: {}}", "<stdin>")
    assert caught.value.problems[0].place is not None
    assert caught.value.problems[0].place.file == "<stdin>"


def test_distris_agent_file_gives_a_config() -> None:
    write(
        "grader.json",
        """{"agent_type": "workflow_agent", "name": "grader", "description": "Grades", "version": "1",
        "definition": {"id": "grade", "steps": [
          {"id": "a", "label": "A", "kind": {"type": "checkpoint", "message": "x"}}]}}""",
    )
    config = load_config("grader.json")
    assert (config.name, config.description, list(config.workflows)) == ("grader", "Grades", ["grade"])
    place = config.place("grade", "a", "message")
    assert place is not None
    assert (place.line, place.column) == (3, 79)


def test_warnings_do_not_stop_a_config() -> None:
    write(
        "flow.json", '{"id": "w", "colour": 1, "steps": [{"id": "a", "kind": {"type": "checkpoint", "message": "x"}}]}'
    )
    [warning] = load_config("flow.json").warnings
    assert (warning.code, warning.severity) == ("AF-FIELD-UNKNOWN", "warning")


def test_secrets_are_not_printed_with_a_config(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "hunter2")
    write("agentflow.yaml", FULL)
    config = load_config()
    assert config.env_values["TOKEN"] == "hunter2"
    assert "hunter2" not in repr(config)
