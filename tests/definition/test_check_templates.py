"""Templates in definitions: how they are written, where secrets may stand, and shell texts, which take none."""

from __future__ import annotations

import json

import pytest

from tests.definition.checking import check, codes, marked, source

# --- how they are written


def test_two_braces_warn_and_say_what_to_write() -> None:
    steps = """\
        - {id: a, type: checkpoint, message: "Hello {{input.name}}"}
    """
    (problem,) = check(steps)
    assert (problem.code, problem.severity) == ("AF-TEMPLATE-BRACES", "warning")
    assert problem.label == "templates use single braces: {input.name}"


def test_braces_that_are_no_templates_stay_untouched() -> None:
    steps = """\
        - {id: a, type: checkpoint, message: 'a {b: c} ${HOME} {{x}} {"k": 1}'}
    """
    assert check(steps) == []


def test_every_text_of_a_value_tells_its_first_mistake() -> None:
    steps = """\
        - {id: a, type: set, values: {one: "{input.a[}", two: ["fine {input.b}", "x {input.c.}"]}}
    """
    problems = check(steps)
    assert codes(problems) == ["AF-TEMPLATE-SYNTAX"] * 2
    assert [marked(problem, steps) for problem in problems] == ["{input.a[}", "{input.c.}"]


def test_two_braces_around_a_loops_own_name_warn_too() -> None:
    steps = """\
        - {id: a, type: checkpoint, message: '{{ file.name }} {{file.x}}', for_each: {in: "{input.files}", item: file}}
        - {id: b, type: checkpoint, message: '{{ file.name }} {{file.x}}'}
    """
    problems = check(steps)
    assert codes(problems) == ["AF-TEMPLATE-BRACES"] * 2
    assert {marked(problem, steps) for problem in problems} == {"{{ file.name }}", "{{file.x}}"}


# --- secrets

TOKEN = "env: [TOKEN, {name: URL, public: true}]\n"
TOOLS = 'tools: {t: {url: "https://tools.example.com/mcp"}}\n'


def test_secrets_may_leave_where_data_leaves() -> None:
    steps = """\
        - {id: a, type: api_call, url: "{env.URL}", headers: {Authorization: "Bearer {env.TOKEN}"}}
        - {id: b, type: script, command: deploy, env: {TOKEN: "{env.TOKEN}"}}
        - {id: c, type: tool_call, tool_name: t, with: {key: "{env.TOKEN}"}}
        - {id: d, type: checkpoint, message: "{env.URL}"}
    """
    assert check(steps, "", TOKEN + TOOLS) == []


@pytest.mark.parametrize(
    "step",
    [
        'type: checkpoint, message: "{env.TOKEN}"',
        'type: set, values: {a: [{b: "x{env.TOKEN}"}]}',
        'type: wait_for_input, message: "{env.TOKEN}"',
        'type: script, command: echo, args: ["{env.TOKEN}"]',
        'type: checkpoint, message: m, if: "{env.TOKEN}"',
        'type: checkpoint, message: m, update: {found: "{env.TOKEN}"}',
        'type: checkpoint, message: m, for_each: ["{env.TOKEN}"]',
        'type: set, value: "{env}"',
        'type: set, with: {key: "{env.TOKEN}"}, value: "{with.key}"',
        'type: set, with: {key: "{env.TOKEN}"}, value: "{with}"',
        'type: python, function: "m:f", with: {key: "{env.TOKEN}"}',
    ],
)
def test_secrets_may_not_stand_elsewhere(step: str) -> None:
    problems = check(f"- {{id: a, {step}}}", "context: [found]", TOKEN + "python: {modules: [m]}\n")
    assert codes(problems) == ["AF-SECRET-PLACE"]
    assert '"TOKEN"' in problems[0].message


def test_a_secret_may_not_be_the_output() -> None:
    problems = check("- {id: a, type: checkpoint, message: m}", 'output: {token: "{env.TOKEN}"}', TOKEN)
    assert codes(problems) == ["AF-SECRET-PLACE"]


def test_distris_search_does_not_hide_a_secret() -> None:
    steps = """\
        - {id: a, label: A, kind: {type: checkpoint, message: "{context.TOKEN}"}}
    """
    assert codes(check(steps, "", TOKEN)) == ["AF-SECRET-PLACE"]
    assert check(steps, "input_schema: {properties: {TOKEN: {}}}", TOKEN) == []


# --- shell texts


def test_a_reference_in_shell_text_is_told_once_with_the_form_by_environment() -> None:
    steps = """\
        - {id: a, type: script, run: 'echo "{input.user.name}"'}
    """
    (problem,) = check(steps)
    assert "env:" in f"{problem.message} {problem.hint}"
    assert problem.severity == "error"


def test_a_loops_own_name_in_shell_text_is_a_reference_too() -> None:
    steps = """\
        - {id: a, type: script, run: 'echo {file.name} ${file}', for_each: {in: "{input.files}", item: file}}
    """
    (problem,) = check(steps)
    assert (problem.code, problem.label) == ("AF-SHELL-REFERENCE", 'write "$NAME"')
    assert problem.hint == 'and give the value by the environment: env: {NAME: "{file.name}"}'


def test_shell_variables_are_no_references() -> None:
    steps = """\
        - {id: a, type: script, run: 'for item in 1 2; do echo "${item} ${index}"; done'}
    """
    assert check(steps) == []


def test_a_path_after_a_dollar_is_no_shell_variable() -> None:
    steps = """\
        - {id: a, type: script, run: 'echo ${input[0]} ${env?} ${input.name}'}
    """
    (problem,) = check(steps)
    assert problem.code == "AF-SHELL-REFERENCE"
    assert marked(problem, steps) == "{input.name}"


def test_what_only_begins_like_a_reference_hides_none_in_shell_text() -> None:
    steps = """\
        - {id: a, type: script, run: 'echo {input[a]} {steps.}; echo {input.name}'}
    """
    (problem,) = check(steps)
    assert marked(problem, steps) == "{input.name}"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Hi {inputs.name}!", "{input.name}"),
        ("{step.a}", "{steps.a}"),
        ("{stpes.a.b[0]}", "{steps.a.b[0]}"),
        ("{Input.name}", "{input.name}"),
        ("{imput}", "{input}"),
        ("{data.a.x}", "{steps.a.x}"),
        ("{args.name?}", "{input.name?}"),
        ('{args["name"]}', '{input["name"]}'),
        ("{a.x}", "{steps.a.x}"),
        ("Dear {name}", "{input.name}"),
        ("{ input.name }", "{input.name}"),
        ("{ steps.a }", "{steps.a}"),
        ("${input.name}", "{input.name}"),
        ("https://x/${input.name}/y", "{input.name}"),
        ("{$.inputs.name}", "{$.input.name}"),
        ("all of {$.step.a.b[*].c}", "{$.steps.a.b[*].c}"),
        ("{$.name}", "{$.input.name}"),
        ("{ $.steps.a.b[0] }", "{$.steps.a.b[0]}"),
        ("{$input.name}", "{input.name}"),
        ("for ${input.name} alone", "{input.name}"),
        ("{ inputs.name }", "{input.name}"),
        ("${inputs.name}", "{input.name}"),
        ("${a.x}", "{steps.a.x}"),
        ("{a.output.x}", "{steps.a.x}"),
        ("{tasks.a.outputs.x}", "{steps.a.x}"),
        ("{outputs.a}", "{steps.a}"),
        ("{state.seen}", "{context.seen}"),
    ],
)
def test_what_only_looks_like_a_reference_is_told_with_what_is_meant(text: str, meant: str) -> None:
    steps = f"""
        - {{id: a, type: set, value: 1}}
        - {{id: b, type: set, value: {json.dumps({"deep": [text]})}}}
    """
    [problem] = check(steps, "input: {name: string}\ncontext: [seen]")
    assert (problem.code, problem.severity, problem.label) == ("AF-TEMPLATE-ROOT", "warning", f"did you mean {meant}?")


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("{{input.name}}", "templates use single braces: {input.name}"),
        ("{{ input.name | upper }}", "templates use single braces: {input.name}"),
        ("${{ steps.a.x }}", "templates use single braces: {steps.a.x}"),
        ("{{inputs.name}}", "did you mean {input.name}?"),
        ("{{ params.name }}", "did you mean {input.name}?"),
        ("{{ a.x }}", "did you mean {steps.a.x}?"),
        ("{{ secrets.KEY }}", "did you mean {env.KEY}?"),
        ("{{ $json.name }}", "did you mean {input.name}?"),
        ("{{vars.seen}}", "did you mean {context.seen}?"),
    ],
)
def test_templates_of_other_products_are_told_with_ours(text: str, label: str) -> None:
    steps = f"""\
        - {{id: a, type: set, value: 1}}
        - {{id: b, type: set, value: {json.dumps(f"Dear {text}!")}}}
    """
    head = "input: {name: string}\ncontext: [seen]"
    [problem] = check(steps, head)
    assert (problem.code, problem.severity, problem.label) == ("AF-TEMPLATE-BRACES", "warning", label)
    place = problem.place
    assert place is not None
    line = source(steps, head).splitlines()[place.line - 1]
    assert line[place.column - 1 :][: place.length] == text.removeprefix("$")


@pytest.mark.parametrize("text", ["{inputs.name}", "{ input.name }", "${inputs.name}", "{step.a.x}"])
def test_what_looks_like_a_reference_in_shell_text_is_told_with_the_form_by_environment(text: str) -> None:
    [problem] = check(f"- {{id: a, type: script, run: 'echo {text}'}}\n", "input: {name: string}")
    assert (problem.code, problem.severity, problem.label) == ("AF-TEMPLATE-ROOT", "warning", 'write "$VALUE"')


@pytest.mark.parametrize(
    "run",
    [
        "echo ${name} ${HOME:-x} ${#name} {a,b} {1..3}", "awk '{ print $1 }'", "jq '{name: .name, n: .input.x}'",
        """echo '{"inputs": {"name": 1}}'""", "{ ls; }", "find . -exec rm {} +", "curl -w '%{http_code}'",
        "python -c 'print(f\"{args.name} {user.name}\")'", "f() { echo; }; f",
    ],
)  # fmt: skip
def test_braces_of_shells_and_programs_stay_untouched_without_a_word(run: str) -> None:
    assert check(f"- {{id: a, type: script, run: {json.dumps(run)}}}\n", "input: {name: string}") == []
    step = f"- {{id: a, type: script, command: bash, args: [-c, {json.dumps(run)}]}}\n"
    assert check(step, "input: {name: string}") == []


@pytest.mark.parametrize("condition", ["{inputs.name} == 'a'", "${input.name} == 'a'", "{ input.name } == 'a'"])
def test_a_condition_that_cannot_be_understood_says_which_reference_was_meant(condition: str) -> None:
    step = f'- {{id: a, type: checkpoint, message: m, if: "{condition}"}}\n'
    [problem] = check(step, "input: {name: string}")
    assert (problem.code, problem.label) == ("AF-CONDITION-SYNTAX", "did you mean {input.name}?")


@pytest.mark.parametrize(
    "text",
    [
        '{"json": {"input": 1}}', "a { color: red; margin: 0 }", "h1{font.size:1}", "${HOME} {a,b} {1..3}", "{}",
        "{ }", "{x}", "{user.id}", "function f() { return input.x; }", "{{mustache}}", "{%  if a %}",
        "\\\\{input}", "costs ${input.price} now", "{$price}", "{$count.x}", "{$.user.id}", "{$.input.price}",
        "{0}", "{a: 1}", "{input.price}", "{time.x}", "{secrets}", "{b}", "{{name}}", "{{ user.name }}", "{{#each xs}}",
        "in total ${input.total} EUR", "@media (x) { a { b: c } }", "`${user.name}`", "{state.x}",
        '{"inputs.name": "{}"}', "\\\\frac{input}{2}", "<b>{user.name}</b>", "%{name}s",
    ],
)  # fmt: skip
def test_other_braces_stay_untouched_without_a_word(text: str) -> None:
    steps = f"""
        - {{id: zeta, type: set, value: {json.dumps(text)}}}
    """
    assert check(steps, "input: {price: number, total: {}}") == []


# --- words of other products

FOREIGN = ["secrets.X", "secret.X", "environment.X", "ENV.X", 'secrets["X"]', "secrets.X?"]


@pytest.mark.parametrize("written", FOREIGN)
def test_another_name_of_the_environment_warns_and_says_what_to_write(written: str) -> None:
    steps = f"- {{id: a, type: checkpoint, message: 'x {{{written}}} y'}}\n"
    (problem,) = check(steps)
    assert (problem.code, problem.severity) == ("AF-TEMPLATE-ROOT", "warning")
    meant = written.replace(written[: written.index("X")].rstrip('."['), "env", 1)
    assert problem.label == f"did you mean {{{meant}}}?"
    assert marked(problem, steps) == f"{{{written}}}"


def test_another_name_of_the_input_warns_too() -> None:
    (problem,) = check("- {id: a, type: checkpoint, message: '{params.name} {parameters} {args}'}\n")
    assert problem.label == "did you mean {input.name}?"


def test_a_name_that_a_loop_gives_is_no_foreign_word() -> None:
    steps = "- {id: a, type: set, value: '{secrets.x}', for_each: {in: [{x: 1}], item: secrets}}\n"
    assert check(steps) == []


def test_a_config_without_an_environment_says_what_to_write() -> None:
    (problem,) = check('- {id: a, type: checkpoint, message: "{env.TOKEN}"}\n')
    assert (problem.code, problem.hint) == ("AF-REF-ENV", "write `env: [TOKEN]` in the config")
