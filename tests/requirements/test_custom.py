"""Skills whose providers installed packages bring: asked before a run, at its start, and where a step is executed."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentflow import Engine, Workflow
from agentflow.errors import InputError
from agentflow.requirements import custom, is_custom
from agentflow.steps import connection, set_

pytestmark = pytest.mark.anyio

MODULE = """
class Machines:
    has_gpu = False
    asked = []

    async def lacking(self, skill):
        self.asked.append(skill)
        if skill == "acme:broken":
            raise OSError("no such bus")
        return None if skill == "acme:disk" or Machines.has_gpu else "this machine has no GPU"
"""


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed package with a provider."""
    (tmp_path / "acme_skills.py").write_text(MODULE)
    data = tmp_path / "acme_skills-1.0.dist-info"
    data.mkdir()
    (data / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-skills\nVersion: 1.0\n")
    (data / "entry_points.txt").write_text("[agentflow.skills]\nacme = acme_skills:Machines\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    importlib.invalidate_caches()
    _forget()
    yield
    sys.modules.pop("acme_skills", None)
    _forget()


def _forget() -> None:
    for cached in (custom._brought, custom._loaded):  # pyright: ignore[reportPrivateUsage]  a new package was installed
        cached.cache_clear()


def workflow(skill: str, **fields: str) -> Workflow:
    step = set_("train", value=1, requires=[connection(*skill.split(":"))])
    return Workflow.model_validate({"id": "main", "steps": (step,), **fields})


async def test_a_step_whose_custom_skill_is_not_available_fails_and_says_why() -> None:
    async with Engine.open(":memory:", workflows=[workflow("acme:gpu")]) as engine:
        run = await engine.wait((await engine.start("main")).id)
        assert run.failure is not None
        assert (run.failure.code, run.failure.message) == ("AF-SKILL-MISSING", "Missing skills: acme:gpu")
        assert "this machine has no GPU" in f"{run.failure.why}"
        (lack,) = (await engine.preflight("main")).lacks
        assert (lack.kind, lack.name, lack.steps, lack.effect) == ("skill", "acme:gpu", ("train",), "fails")
        assert lack.why == '"acme:gpu" isn\'t available here: this machine has no GPU'
        sys.modules["acme_skills"].Machines.has_gpu = True
        assert (await engine.wait((await engine.start("main")).id)).output == 1
        assert not (await engine.preflight("main")).lacks


async def test_a_strict_workflow_does_not_start_without_its_custom_skill() -> None:
    async with Engine.open(":memory:", workflows=[workflow("acme:gpu", preflight="strict")]) as engine:
        with pytest.raises(InputError, match="Missing skills: acme:gpu"):
            await engine.start("main")
        assert not await engine.list()


@pytest.mark.parametrize(("skill", "state"), [("acme:disk", "completed"), ("acme:broken", "failed")])
async def test_a_provider_decides_and_one_that_raises_counts_as_a_no(skill: str, state: str) -> None:
    async with Engine.open(":memory:", workflows=[workflow(skill)]) as engine:
        run = await engine.wait((await engine.start("main")).id)
        assert run.state == state
        if run.failure is not None:
            assert "OSError: no such bus" in f"{run.failure.why}"


async def test_what_no_package_knows_is_a_connection_as_before() -> None:
    assert not is_custom("google:drive")
    async with Engine.open(":memory:", workflows=[workflow("google:drive")]) as engine:
        run = await engine.wait((await engine.start("main")).id)
        assert run.failure is not None
        assert run.failure.message == "Missing skills: google:drive"
