"""Which modules python steps may import, and where they are found."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentflow.codes import CODES
from agentflow.errors import StepError
from agentflow.steps.services import ProcessServices
from tests.steps.context import FakeContext, run

pytestmark = pytest.mark.anyio


@pytest.fixture
def module(tmp_path: Path) -> Iterator[Path]:
    """A config's folder with modules in it."""
    (tmp_path / "af_flow_steps.py").write_text(
        "import af_flow_helper\nNUMBER = 1\ndef f(a):\n    return af_flow_helper.double(a)\n"
    )
    (tmp_path / "af_flow_helper.py").write_text("def double(a):\n    return a * 2\n")
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("af_flow_")]:
        del sys.modules[name]


async def from_folder(folder: Path, target: str, *modules: str, input: Any = None) -> Any:  # noqa: A002  as in YAML
    services = ProcessServices(folder=folder, python_modules=modules)
    try:
        return await run("python", {"function": target, "input": input}, FakeContext(services))
    finally:
        await services.aclose()


async def refused(folder: Path, target: str, *modules: str) -> StepError:
    with pytest.raises(StepError) as caught:
        await from_folder(folder, target, *modules)
    assert caught.value.code in CODES
    assert not caught.value.retryable
    return caught.value


async def test_a_function_of_the_configs_folder_is_found_with_what_it_imports(module: Path) -> None:
    path = list(sys.path)
    assert await from_folder(module, "af_flow_steps:f", "af_flow_steps", input={"a": 4}) == 8
    assert sys.path == path


@pytest.mark.parametrize(
    "target",
    [
        "af_flow_steps:af_flow_helper.double", "af_flow_steps:__loader__.get_data", "af_flow_steps:f.__call__",
        "json:codecs.open", "json.decoder:scanner.re.compile",
    ],
)  # fmt: skip
async def test_a_listed_module_leads_to_no_other_that_it_imports(module: Path, target: str) -> None:
    assert (await refused(module, target, "af_flow_steps", "json")).code == "AF-PYTHON-DENIED"


async def test_a_listed_package_leads_to_its_own_modules(module: Path) -> None:
    assert await from_folder(module, "json:encoder.py_encode_basestring", "json", input="x") == '"x"'


async def test_a_module_that_is_not_listed_is_refused(module: Path) -> None:
    error = await refused(module, "os:getcwd", "af_flow_steps")
    assert (str(error), error.code) == ('module "os" isn\'t allowed', "AF-PYTHON-DENIED")
    assert error.hint == 'list it in the config: python: {modules: ["os"]}'
    assert (await refused(module, "af_flow_steps_two:f", "af_flow_steps")).code == "AF-PYTHON-DENIED"


async def test_a_package_allows_its_submodules_and_methods(module: Path) -> None:
    package = module / "af_flow_pack"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "inner.py").write_text("class C:\n    @staticmethod\n    def m():\n        return 'm'\n")
    assert await from_folder(module, "af_flow_pack.inner:C.m", "af_flow_pack") == "m"


async def test_installed_modules_can_be_listed_too(module: Path) -> None:
    assert await from_folder(module, "math:sqrt", "math", input=9) == 3.0


@pytest.mark.parametrize(
    ("target", "message", "hint"),
    [
        ("af_flow_steps", '"af_flow_steps" is no function; write it like module:function', None),
        ("af_flow_steps:ff", 'module "af_flow_steps" has no function "ff"', 'did you mean "af_flow_steps:f"?'),
        ("af_flow_steps:NUMBER", '"af_flow_steps:NUMBER" is no function but a int', None),
        ("af_flow_none:f", 'there is no module "af_flow_none"', None),
        ("af_flow_steps.sub:f", 'there is no module "af_flow_steps.sub"', None),
    ],
)
async def test_what_is_not_there_is_named(module: Path, target: str, message: str, hint: str | None) -> None:
    error = await refused(module, target, "af_flow_steps", "af_flow_none")
    assert (error.what, error.code, error.hint) == (message, "AF-PYTHON-UNKNOWN", hint)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import af_flow_missing", "No module named 'af_flow_missing'"),
        ("raise SystemExit(2)", "SystemExit: 2"),
        ("def f(:", "invalid syntax"),
        ("f = [", "was never closed"),
    ],
)
async def test_a_module_that_fails_to_import_fails_the_step(module: Path, text: str, message: str) -> None:
    (module / "af_flow_bad.py").write_text(text)
    error = await refused(module, "af_flow_bad:f", "af_flow_bad")
    assert error.code == "AF-PYTHON-IMPORT"
    assert str(error).startswith('module "af_flow_bad" can\'t be imported: ')
    assert message in str(error)


async def test_two_configs_may_have_modules_of_one_name(module: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "af_flow_steps.py").write_text("def f(a):\n    return 'other'\n")
    first = ProcessServices(folder=module, python_modules=["af_flow_steps"]).python("af_flow_steps:f")
    assert await from_folder(other, "af_flow_steps:f", "af_flow_steps", input={"a": 1}) == "other"
    assert first(2) == 4


async def test_a_file_that_takes_a_loaded_modules_name_is_told(module: Path) -> None:
    (module / "json.py").write_text("def f():\n    return 1\n")
    error = await refused(module, "json:f", "json")
    assert str(error).startswith('module "json" is taken: ')
    assert error.hint == "give json.py another name"
