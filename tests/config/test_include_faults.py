"""Includes that can't be read: each is told in words, with the place where the file is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentflow.config import load_config
from agentflow.errors import DefinitionError, NotFoundError, Problem

ONE = "steps: [{id: a, type: set, value: 1}]"


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")


def refused(include: str = "x.yaml") -> Problem:
    """Return what is wrong with a config that includes a file."""
    Path("agentflow.yaml").write_text(f"workflows: {{}}\ninclude:\n  - '{include}'\n", "utf-8")
    with pytest.raises(DefinitionError) as caught:
        load_config()
    [problem] = caught.value.problems
    assert problem.place is not None
    assert (problem.place.file, problem.place.line, problem.place.column) == ("agentflow.yaml", 3, 5)
    return problem


def test_a_link_to_itself_is_told() -> None:
    Path("x.yaml").symlink_to("x.yaml")
    problem = refused()
    assert (problem.code, problem.message) == ("AF-CONFIG-UNREADABLE", '"x.yaml" is a link that leads to itself')


def test_links_in_a_circle_are_told() -> None:
    Path("x.yaml").symlink_to("y.yaml")
    Path("y.yaml").symlink_to("x.yaml")
    assert refused().message == '"x.yaml" is a link that leads to itself'


def test_a_link_to_nothing_is_told() -> None:
    Path("x.yaml").symlink_to("gone.yaml")
    problem = refused()
    assert (problem.code, problem.message) == ("AF-INCLUDE-MISSING", '"x.yaml" is a link that leads nowhere')


def test_a_folder_is_told_with_the_glob_that_is_meant() -> None:
    Path("flows").mkdir()
    problem = refused("flows")
    assert (problem.message, problem.hint) == ('"flows" is a folder', '"flows/*.yaml" means the files in it')


@pytest.mark.parametrize("device", [None, "/dev/zero"])
def test_a_pipe_or_a_device_is_not_read(device: str | None) -> None:
    if device is None:
        os.mkfifo("x.yaml")
    else:
        Path("x.yaml").symlink_to(device)
    assert refused().message == '"x.yaml" is no regular file'


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_told() -> None:
    Path("x.yaml").write_text(ONE, "utf-8")
    Path("x.yaml").chmod(0)
    assert refused().message == '"x.yaml" can\'t be read: permission denied'


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (ONE.encode("utf-16"), '"x.yaml" is UTF-16, not UTF-8'),
        (b"# caf\xe9\n", '"x.yaml" isn\'t UTF-8: byte 0xe9 in line 1'),
        (b" " * (16 * 1024 * 1024 + 1), '"x.yaml" is larger than 16 MiB'),
    ],
)
def test_a_file_that_is_no_text_or_too_large_is_told(raw: bytes, says: str) -> None:
    Path("x.yaml").write_bytes(raw)
    assert refused().message == says


@pytest.mark.parametrize("name", ["a" * 5000, "x.yaml/y.yaml", "a\\0b"])
def test_what_is_no_name_of_a_file_is_told(name: str) -> None:
    Path("x.yaml").write_text(ONE, "utf-8")
    assert refused(name).code in ("AF-INCLUDE-MISSING", "AF-CONFIG-UNREADABLE")


def test_a_glob_leaves_out_what_it_cannot_read() -> None:
    Path("flows").mkdir()
    Path("flows/loop.yaml").symlink_to("loop.yaml")
    Path("flows/gone.yaml").symlink_to("nowhere")
    os.mkfifo("flows/pipe.yaml")
    Path("flows/inner.yaml").mkdir()
    Path("flows/one.yaml").write_text(ONE, "utf-8")
    Path("agentflow.yaml").write_text("include: 'flows/*.yaml'", "utf-8")
    assert list(load_config().workflows) == ["one"]


@pytest.mark.parametrize("text", ["root:x:0:0:secret", "- secret", "a: [1\nsecret", "\tsecret: 1"])
@pytest.mark.parametrize("absolute", [True, False])
def test_nothing_of_a_file_from_elsewhere_that_is_no_mapping_is_shown(text: str, absolute: bool) -> None:
    outside = Path("../foreign").resolve()
    outside.write_text(text, "utf-8")
    problem = refused(str(outside) if absolute else "../foreign")
    assert (problem.code, problem.message) == ("AF-CONFIG-INVALID", '"../foreign" is no file of workflows')
    assert "secret" not in repr(problem)


@pytest.mark.parametrize("text", ["root:*:20228:0:::\nsecret:!:1:::", "password: secret", '{"id": "secret"}', "{}"])
@pytest.mark.parametrize("linked", [True, False])
def test_nothing_of_a_mapping_from_elsewhere_that_has_no_workflows_is_shown(text: str, linked: bool) -> None:
    outside = Path("../foreign").resolve()
    outside.write_text(text, "utf-8")
    if linked:
        Path("link.yaml").symlink_to(outside)
    problem = refused("link.yaml" if linked else "../foreign")
    assert (problem.code, problem.message) == ("AF-CONFIG-INVALID", '"../foreign" is no file of workflows')
    assert "secret" not in repr(problem)


def test_what_is_wrong_in_a_file_of_workflows_from_elsewhere_is_shown() -> None:
    Path("../common.yaml").write_text(f"workflows: {{w: {{{ONE}}}}}\nworkflow: 1", "utf-8")
    Path("agentflow.yaml").write_text("include: ../common.yaml", "utf-8")
    with pytest.raises(DefinitionError) as caught:
        load_config()
    assert caught.value.problems[0].message == 'the included file "../common.yaml" has no field "workflow"'


def test_a_value_of_the_whole_file_is_not_quoted() -> None:
    Path("x.yaml").write_text("just text", "utf-8")
    Path("agentflow.yaml").write_text("include: x.yaml", "utf-8")
    with pytest.raises(DefinitionError) as caught:
        load_config()
    assert caught.value.problems[0].message == '"x.yaml" must be a mapping, not a single value'


@pytest.mark.parametrize("count", [300, pytest.param(999, marks=pytest.mark.slow)])
def test_a_long_chain_of_files_is_read(count: int) -> None:
    for number in range(count):
        following = f"include: [c{number + 1}.yaml]\n" if number + 1 < count else ""
        Path(f"c{number}.yaml").write_text(f"{following}workflows: {{w{number}: {{{ONE}}}}}", "utf-8")
    assert list(load_config("c0.yaml").workflows) == [f"w{number}" for number in range(count)]


def test_more_files_than_the_limit_are_told_once_with_the_place() -> None:
    for number in range(1, 1004):
        Path(f"c{number}.yaml").write_text(f"include: [c{number + 1}.yaml]", "utf-8")
    Path("agentflow.yaml").write_text("include: c1.yaml", "utf-8")
    with pytest.raises(DefinitionError) as caught:
        load_config()
    [problem] = caught.value.problems
    assert (problem.code, problem.message) == ("AF-INCLUDE-LIMIT", "more than 1,000 files are included")
    assert problem.place is not None
    assert problem.place.file == "c999.yaml"


@pytest.mark.parametrize("name", ["loop.yaml", "pipe.yaml", "a" * 5000])
def test_a_config_that_is_no_readable_file_is_told(name: str) -> None:
    Path("loop.yaml").symlink_to("loop.yaml")
    os.mkfifo("pipe.yaml")
    with pytest.raises(NotFoundError) as caught:
        load_config(name)
    assert caught.value.code == "AF-CONFIG-NOT-FOUND"
