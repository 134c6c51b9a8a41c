"""Step types in a config's own modules: imported only when a type isn't known otherwise."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from agentflow import Engine, load_config
from agentflow.errors import DefinitionError, Problem
from agentflow.steps.own import OwnTypes

TYPE = """\
from pydantic import BaseModel, ConfigDict
from agentflow.steps import step_type
from agentflow.steps.contract import Result


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: str


@step_type("{name}", config=Config)
async def shout(config, ctx):
    \"\"\"Says it louder.\"\"\"
    return Result(config.text.upper())
"""


class Folder:
    """A config's folder with a module of a name of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.module = f"own_{uuid4().hex}"
        self.type = f"shout_{uuid4().hex}"

    def write(self, code: str, step: str) -> Path:
        """Write the module and a config with one step."""
        (self.path / f"{self.module}.py").write_text(code, encoding="utf-8")
        file = self.path / "agentflow.yaml"
        steps = f"workflows: {{main: {{steps: [{step}]}}}}\n"
        file.write_text(f"python: {{modules: [{self.module}]}}\n{steps}", encoding="utf-8")
        return file

    def fail(self, code: str, step: str) -> list[Problem]:
        """Return what is wrong with such a config."""
        with pytest.raises(DefinitionError) as caught:
            load_config(self.write(code, step))
        return list(caught.value.problems)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    made = Folder(tmp_path)
    yield made
    sys.modules.pop(made.module, None)


@pytest.mark.anyio
async def test_a_type_of_an_own_module_works_without_importing_it_first(folder: Folder) -> None:
    file = folder.write(TYPE.format(name=folder.type), f"{{id: say, type: {folder.type}, text: hello}}")
    async with Engine.open(":memory:", config=load_config(file)) as engine:
        run = await engine.wait((await engine.start("main")).id, 10)
    assert (run.failure, run.state, run.output) == (None, "completed", "HELLO")


def test_a_module_is_not_imported_while_all_types_are_known(folder: Folder) -> None:
    load_config(folder.write("raise RuntimeError('imported')", "{id: say, type: checkpoint, message: Hi}"))
    assert folder.module not in sys.modules


def test_an_unknown_type_says_which_modules_were_tried(folder: Folder) -> None:
    (problem,) = folder.fail("", "{id: say, type: zzz, text: hello}")
    assert problem.code == "AF-STEP-TYPE"
    assert problem.hint is not None
    assert problem.hint.endswith(f"; python.modules were imported and bring no such type: {folder.module}")


def test_a_module_that_cannot_be_imported_is_told_beside_the_unknown_type(folder: Folder) -> None:
    broken, unknown = folder.fail("1 / 0", "{id: say, type: zzz, text: hello}")
    assert (broken.code, unknown.code) == ("AF-PYTHON-IMPORT", "AF-STEP-TYPE")
    told = f'module "{folder.module}" can\'t be imported: ZeroDivisionError: division by zero ('
    assert broken.message.startswith(told)
    assert broken.message.endswith(f"{folder.module}.py:1)")
    assert broken.place is not None
    assert (broken.place.line, broken.pointer) == (1, "/python/modules/0")


def test_modules_are_tried_once(folder: Folder) -> None:
    folder.write("1 / 0", "{id: say, type: checkpoint, message: Hi}")
    own = OwnTypes(folder.path, [folder.module])
    assert own("checkpoint") is not None
    assert own.failures == {}
    assert own("zzz") is None
    (folder.path / f"{folder.module}.py").write_text(TYPE.format(name=folder.type), encoding="utf-8")
    assert own(folder.type) is None
