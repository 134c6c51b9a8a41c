"""What is written on a command line becomes typed JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentflow.cli.answers import read_answers
from agentflow.cli.targets import split_target
from agentflow.cli.values import assignments, document
from agentflow.definition.typed_text import read_value
from agentflow.errors import InputError

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "count": {"type": "integer"},
        "rate": {"type": "number"},
        "ok": {"type": "boolean"},
        "tags": {"type": "array"},
        "note": {"type": ["string", "null"]},
        "deep": {"$ref": "#/$defs/deep"},
    },
    "$defs": {"deep": {"type": "object", "properties": {"code": {"type": "string"}}}},
}


def test_the_schema_decides_the_type_of_a_value() -> None:
    given = ["name=007", "count=12", "rate=0.5", "ok=yes", 'tags=["a"]', "note=null", "deep.code=1"]
    assert assignments(given, SCHEMA, "--set") == {
        "name": "007",
        "count": 12,
        "rate": 0.5,
        "ok": True,
        "tags": ["a"],
        "note": None,
        "deep": {"code": "1"},
    }


def test_without_a_schema_json_is_json_and_the_rest_is_text() -> None:
    given = ["a=3", "b=true", "c=null", "d=three", 'e={"x": 1}', "f=x=y", 'g="3"', "h=NaN"]
    expected = {"a": 3, "b": True, "c": None, "d": "three", "e": {"x": 1}, "f": "x=y", "g": '"3"', "h": "NaN"}
    assert assignments(given, None, "--input") == expected


def test_a_value_can_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "note.txt"
    file.write_text("long\ntext", encoding="utf-8")
    assert assignments([f"note=@{file}", "name=@@ana"], SCHEMA, "--set") == {"note": "long\ntext", "name": "@ana"}


@pytest.mark.parametrize(
    ("item", "value"),
    [("count=many", "many"), ("count=1.5", 1.5), ("ok=maybe", "maybe"), ("rate=inf", "inf"), ("deep=x", "x")],
)
def test_a_value_of_the_wrong_type_stays_what_it_is_for_the_schema_to_tell(item: str, value: Any) -> None:
    assert list(assignments([item], SCHEMA, "--set").values()) == [value]


def test_what_is_meant_as_json_and_is_none_is_told_by_its_name() -> None:
    with pytest.raises(InputError, match="deep: it must be JSON: "):
        assignments(["deep={oops"], SCHEMA, "--set")


NAMES = {"type": "array", "items": {"type": "string"}}
ROWS = {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer"}, "tags": NAMES}}}
LISTS: dict[str, Any] = {
    "properties": {
        "names": {"$ref": "#/$defs/names"}, "sums": {"type": "array", "items": {"type": "integer"}}, "rows": ROWS,
        "pair": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]},
    },
    "$defs": {"names": NAMES},
}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "value"),
    [
        (["names=Ana,Bo"], {"names": ["Ana", "Bo"]}),
        (["names=Ana, Bo ,"], {"names": ["Ana", "Bo"]}),
        (['names="Roe, Ana",Bo'], {"names": ["Roe, Ana", "Bo"]}),
        (["names=Roe, Ana\nBo"], {"names": ["Roe, Ana", "Bo"]}),
        (["names=007"], {"names": ["007"]}),
        (["names="], {"names": []}),
        (['names=["Ana"]'], {"names": ["Ana"]}),
        (["names=Ana", "names=Bo"], {"names": ["Ana", "Bo"]}),
        (["sums=1, 2"], {"sums": [1, 2]}),
        (["sums=1,x"], {"sums": [1, "x"]}),
        (["pair=a,2"], {"pair": ["a", 2]}),
        (["rows.0.n=1", "rows.1.n=2", "rows.1.tags=a,b"], {"rows": [{"n": 1}, {"n": 2, "tags": ["a", "b"]}]}),
        (['rows={"n": 1}\n{"n": 2}'], {"rows": [{"n": 1}, {"n": 2}]}),
    ],
)
def test_a_list_is_written_with_commas_a_line_each_by_repeating_or_item_by_item(given: list[str], value: Any) -> None:
    assert assignments(given, LISTS, "--input") == value


def test_an_item_without_equals_is_wrong_use() -> None:
    with pytest.raises(InputError) as caught:
        assignments(["region"], None, "--input")
    assert caught.value.code == "AF-USAGE"
    assert caught.value.what == '--input takes key=value, not "region"'


def test_a_whole_document_is_json_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('{"a": [1]}', encoding="utf-8")
    assert document('{"a": 1}', "--data") == {"a": 1}
    assert document(f"@{file}", "--data") == {"a": [1]}


def test_text_that_is_not_json_says_how_to_write_it() -> None:
    with pytest.raises(InputError) as caught:
        document("{oops", "--data")
    assert caught.value.what == '--data: "{oops" isn\'t JSON'
    assert caught.value.hint is not None
    assert "@file.json" in caught.value.hint


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError) as caught:
        document("@nothing.json", "--data")
    assert caught.value.what == 'can\'t read "nothing.json": no such file or directory'


def test_answers_in_advance_are_read_by_step(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('{"decision": "approve"}', encoding="utf-8")
    found = read_answers([f"review=@{file}", "ok=true", "who=ana"])
    assert found == {"review": {"decision": "approve"}, "ok": True, "who": "ana"}


def test_a_union_takes_the_first_type_that_fits() -> None:
    assert read_value("3", {"type": ["integer", "string"]}) == 3
    assert read_value("three", {"type": ["integer", "string"]}) == "three"


def test_a_target_is_a_workflow_a_file_or_both() -> None:
    assert split_target("report") == (None, "report")
    assert split_target("flow.yaml") == ("flow.yaml", None)
    assert split_target("dir/flow.yaml:report") == ("dir/flow.yaml", "report")
    assert split_target("a:b") == (None, "a:b")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a": [1, 1e999]}', "a[1]: the number 1e999 is out of range"),
        ('{"id": ' + "1" * 5000 + "}", "id: an integer has more than 4,300 digits"),
        ("[" * 3000 + "]" * 3000, "it is nested deeper than 100 levels"),
        ("[" * 150 + "]" * 150, "it is nested deeper than 100 levels"),
        ('{"a": NaN}', "a: NaN has no JSON form"),
        ('["\\ud800"]', "[0]: half of a character pair (a lone surrogate) has no JSON form"),
    ],
)
def test_json_that_cant_be_kept_says_what_is_wrong_with_it_and_where(text: str, why: str, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(text, encoding="utf-8")
    for given, shown in ((text, text if len(text) <= 40 else text[:39] + "…"), (f"@{file}", str(file))):
        with pytest.raises(InputError) as caught:
            document(given, "--data")
        assert caught.value.what.startswith(f'--data: "{shown}" holds what can\'t be kept: ')
        assert caught.value.what.endswith(why)
    with pytest.raises(InputError) as caught:
        assignments([f"x={text}"], None, "--input")
    assert caught.value.what.startswith("x: ")
    assert caught.value.what.endswith(why)


def test_a_number_without_end_is_out_of_range_and_not_cut_short_by_its_type() -> None:
    for types in ("integer", "number"):
        with pytest.raises(ValueError, match=r"the number 1{39}… is out of range"):
            read_value("1" * 5000, {"type": types})
    assert read_value("1" * 4300, {"type": "integer"}) == int("1" * 4300)


def test_a_byte_order_mark_before_json_is_skipped(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert document(f"@{file}", "--data") == {"a": 1}
