"""Templates: types, text, optional values, braces, and what is told about a missing value."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow.errors import StepError
from agentflow.expressions import NAMESPACES, NULLED, ExpressionError, ReferenceMissing, compile_value
from tests.expressions.views import Fake, render

ITEMS: list[dict[str, Any]] = [{"id": 7, "tags": ["a", "b"]}, {"id": 8, "tags": []}]
VIEW = Fake(
    steps={"fetch": {"items": ITEMS, "count": 3, "note": None}, "skipped": NULLED, "my-step": {"a-b": 1, "c.d": 2}},
    optional=("input.size", "steps.fetch.note"),
    input={"doc": "d1", "count": 3, "rate": 1.5, "ok": True, "none": None, "nested": {"0": "zero", "00": "more"}},
    env={"HOST": "example.org"},
    item={"name": "n"},
    index=0,
    run={"id": "r1"},
)


@pytest.mark.case("D-DATA-3")
@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{steps.fetch.items}", ITEMS),
        ("{steps.fetch.count}", 3),
        ("{input.rate}", 1.5),
        ("{input.ok}", True),
        ("{input.none}", None),
        ("{input.nested}", {"0": "zero", "00": "more"}),
        ("{index}", 0),
    ],
)
def test_a_value_that_is_one_reference_keeps_its_type(template: str, value: object) -> None:
    result = render(template, VIEW)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.case("D-DATA-5")
@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("https://{env.HOST}/v1", "https://example.org/v1"),
        ("{input.doc}-{steps.fetch.count}-{input.doc}", "d1-3-d1"),
        ("{input.doc}{input.doc}", "d1d1"),
        ("rate {input.rate}, ok {input.ok}", "rate 1.5, ok true"),
        ("items: {steps.fetch.items}", 'items: [{"id":7,"tags":["a","b"]},{"id":8,"tags":[]}]'),
        (" {input.count} ", " 3 "),
        ("é {input.doc} 😀", "é d1 😀"),
    ],
)
def test_inside_text_strings_go_in_raw_and_the_rest_as_compact_json(template: str, text: str) -> None:
    assert render(template, VIEW) == text


@pytest.mark.case("D-DATA-8")
@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{steps.fetch.items.0.id}", 7),
        ("{steps.fetch.items[1].id}", 8),
        ("{steps.fetch.items[-1].id}", 8),
        ("{steps.fetch.items[0].tags[1]}", "b"),
        ("{input.nested.0}", "zero"),
        ("{input.nested.00}", "more"),
        ('{input["nested"]["0"]}', "zero"),
        ("{input['doc']}", "d1"),
        ("{steps.my-step.a-b}", 1),
        ('{steps["my-step"]["c.d"]}', 2),
    ],
)
def test_a_path_goes_through_objects_and_lists(template: str, value: object) -> None:
    assert render(template, VIEW) == value


def test_templates_stand_anywhere_in_nested_data_but_not_in_keys() -> None:
    value = {"a": ["{input.count}", {"b": "x{input.doc}", "{input.doc}": 1}], "c": None, "d": [1, [2.5, True]]}
    expected = {"a": [3, {"b": "xd1", "{input.doc}": 1}], "c": None, "d": [1, [2.5, True]]}
    assert render(value, VIEW) == expected
    assert value["a"] == ["{input.count}", {"b": "x{input.doc}", "{input.doc}": 1}]


def test_every_rendering_is_a_value_of_its_own() -> None:
    compiled = compile_value({"a": "{input.doc}"})
    first = compiled.render(VIEW)
    first["a"] = "changed"
    assert compiled.render(VIEW) == {"a": "d1"}


def test_a_value_without_references_comes_back_as_it_is() -> None:
    value = {"a": [1, {"b": "plain {text}"}]}
    compiled = compile_value(value)
    assert compiled.constant
    assert compiled.references == ()
    assert compiled.render(VIEW) is value


@pytest.mark.case("D-DATA-6")
def test_a_value_is_never_expanded_again() -> None:
    view = Fake(input={"doc": "{input.secret}", "secret": "s", "list": ["{input.secret}"]})
    assert render("{input.doc}", view) == "{input.secret}"
    assert render("a {input.doc} b", view) == "a {input.secret} b"
    assert render({"x": "{input.list}"}, view) == {"x": ["{input.secret}"]}


def test_two_values_side_by_side_make_no_reference() -> None:
    view = Fake(input={"a": "{input", "b": ".secret}", "secret": "s"})
    assert render("{input.a}{input.b}", view) == "{input.secret}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "{",
        "}{",
        '{"a": {"b": [1, 2]}}',
        '{"input": 1, "steps": {"x": 2}}',
        "a { color: red } b{margin:0}",
        "body{background:url(x)}",
        "${HOME} ${1} {a,b} $(ls) {1..3}",
        "awk '{print $1}'",
        "function(){$.ajax({url: 1})}",
        "{inputs.x} {stepsx.y} {input-x.y} {Input.x}",
        "{ input.x }",
        "{input x}",
        "{input: 1}",
        "{x.y} {foo}",
        "{ {input",
        "%{input} \\{x}"[3:],
    ],
)
def test_braces_that_begin_no_reference_are_plain_text(text: str) -> None:
    compiled = compile_value(text)
    assert compiled.references == ()
    assert compiled.render(VIEW) == text


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{input.doc}}", "{input.doc}"),
        ("a {{input.doc}} {input.doc} {{steps.x}} b", "a {input.doc} d1 {steps.x} b"),
        ("{{input.doc} {input.doc}", "{input.doc} d1"),
        ("{{input}}", "{input}"),
        ("{{$.steps.x.y}}", "{$.steps.x.y}"),
        ("{{ input.doc }}", "{{ input.doc }}"),
        ("{{x}} {{{y}}}", "{{x}} {{{y}}}"),
    ],
)
def test_two_braces_before_a_namespace_are_one_literal_brace(template: str, text: str) -> None:
    assert render(template, VIEW) == text


def test_an_escape_tells_where_it_stands() -> None:
    compiled = compile_value({"a": ["x {{input.doc}}"]})
    (escape,) = compiled.escapes
    assert (escape.text, escape.offset, escape.length) == ("{{input.doc}}", 2, 13)
    assert escape.value_path == ("a", 0)


@pytest.mark.case("W-Y-2")
def test_parentheses_are_no_template_as_ours_are_braces() -> None:
    assert render("((x)) ((input.doc))", VIEW) == "((x)) ((input.doc))"


# what is missing


@pytest.mark.case("D-DATA-5", "W-Y-2")
@pytest.mark.parametrize("template", ["{steps.fetch.total}", "x {input.nope} y", "{steps.gone.x}", "{env.NOPE}"])
def test_a_reference_without_a_value_fails_and_is_not_kept_as_text(template: str) -> None:
    with pytest.raises(ReferenceMissing) as caught:
        render(template, VIEW)
    assert template.strip("xy ") in caught.value.what
    assert (caught.value.code, caught.value.kind, caught.value.retryable) == ("AF-REF-MISSING", "reference", False)


@pytest.mark.case("D-IN-4")
def test_an_input_named_like_a_namespace_hides_none() -> None:
    view = Fake(steps={"a": 1}, input={"steps": {"a": 2}, "env": {"X": 3}}, env={"X": 4})
    assert render("{steps.a} {input.steps.a} {env.X} {input.env.X}", view) == "1 2 4 3"


# distri's search


@pytest.mark.case("D-DATA-5")
def test_distris_context_looks_into_input_then_steps_then_env() -> None:
    view = Fake(
        steps={"a": "step", "b": "step", "c": {"d": 1}},
        input={"a": "input"},
        env={"a": "env", "b": "env", "e": "env"},
        root={"f": "root"},
    )
    text = "{context.a} {context.b} {context.c.d} {context.e} {context.f}"
    assert render(text, view, dialect="distri") == "input step 1 env root"


def test_our_context_holds_the_shared_keys_only() -> None:
    view = Fake(input={"a": "input"}, context={"b": [1]})
    assert render("{context.b}", view) == [1]
    with pytest.raises(ReferenceMissing):
        render("{context.a}", view)


# item names


def test_a_loops_own_name_is_a_reference_only_where_it_is_bound() -> None:
    view = Fake(row={"x": [1]})
    names = NAMESPACES | {"row"}
    assert render("{row.x}", view, names) == [1]
    assert render("{row.x} {rows.x}", view, names) == "[1] {rows.x}"
    assert render("{row.x}", view) == "{row.x}"


# what is no template


@pytest.mark.parametrize(
    ("template", "marked"),
    [
        ("a {input.items[0} b", "{input.items[0}"),
        ("{input.}", "{input.}"),
        ("{input.x y}", "{input.x y}"),
        ("x {steps.a.b", "{steps.a.b"),
        ("{input.a?.b}", "{input.a?.b}"),
        ("{steps}", "{steps}"),
        ("{input[a]}", "{input[a]}"),
        ("{$.steps.a[}", "{$.steps.a[}"),
    ],
)
def test_a_reference_that_is_written_wrongly_is_marked(template: str, marked: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_value({"k": [template]})
    error = caught.value
    assert error.code == "AF-TEMPLATE-SYNTAX"
    assert template[error.offset : error.offset + error.length] == marked
    assert error.value_path == ("k", 0)


def test_references_tell_where_they_stand() -> None:
    text = "é {input.a[0]?} {steps.my-step.b}"
    first, second = compile_value({"k": [text]}).references
    assert (first.namespace, first.path, first.optional, first.step_id) == ("input", ("a", 0), True, None)
    assert (second.namespace, second.path, second.optional, second.step_id) == (
        "steps",
        ("my-step", "b"),
        False,
        "my-step",
    )
    assert [text[one.offset : one.offset + one.length] for one in (first, second)] == [
        "{input.a[0]?}",
        "{steps.my-step.b}",
    ]
    assert first.value_path == ("k", 0)


def test_only_what_a_template_names_is_read() -> None:
    view = Fake(steps={"a": {"x": 1}}, input={"b": 2})
    render("{steps.a.x} {input.b}", view)
    assert view.read == ["steps.a", "input"]


# hostile


@pytest.mark.parametrize(
    "text", ["{" * 100_000, "{{input" * 14_000, "{$." * 33_000, "}" * 100_000, "{input" * 16_000, "{a" * 50_000]
)
def test_long_texts_of_braces_are_read_in_one_go(text: str) -> None:
    assert compile_value(text).render(VIEW) == text


@pytest.mark.parametrize("text", ["{input.a" * 12_000, "{input" + ".a" * 50_000 + "}", "{input[" * 14_000])
def test_long_texts_of_broken_references_are_refused_shortly(text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_value(text)
    assert len(caught.value.what) < 300


def test_a_template_nested_too_deep_is_refused() -> None:
    value: Any = "{input.doc}"
    for _ in range(500):
        value = [value]
    with pytest.raises(ExpressionError):
        compile_value(value)


def test_a_number_too_long_for_text_fails_the_step_only() -> None:
    with pytest.raises(StepError):
        render("n = {input.n}", Fake(input={"n": 10**5000}))


@pytest.mark.parametrize("value", [{1, 2}, [object()]])
def test_a_value_without_a_form_as_text_keeps_its_type_alone_and_fails_inside_of_a_text(value: object) -> None:
    view = Fake(input={"x": value})
    assert render("{input.x}", view) is value
    with pytest.raises(StepError) as caught:
        render("is {input.x}", view)
    assert caught.value.code == "AF-REF-TEXT"
