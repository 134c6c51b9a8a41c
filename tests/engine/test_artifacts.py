"""Artifacts, schemas of inputs and outputs: what goes into a run and what is kept beside its results."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from agentflow.definition.models import Workflow
from agentflow.definition.parse import parse_workflow
from agentflow.errors import DefinitionError, InputError
from agentflow.steps import artifact, registry, set_
from agentflow.steps.contract import Artifact
from tests.engine.hands import Fails
from tests.engine.lab import Lab

pytestmark = pytest.mark.anyio


@pytest.mark.case("W-A-1")
async def test_artifacts_of_every_kind_are_kept_with_their_content(lab: Lab) -> None:
    """Divergence: WFE packs volumes into a store by hash; here artifacts belong to their run's task."""
    raw = base64.b64encode(b"\x00\xff").decode()
    steps = (
        artifact("text", text="hello {input.who}", name="Greeting", media_type="text/plain"),
        artifact("data", data={"n": "{input.n}"}, metadata={"k": 1}),
        artifact("link", url="https://example.com/a.pdf", filename="a.pdf"),
        artifact("file", bytes=raw, media_type="application/octet-stream", artifact_id="mine"),
    )
    async with lab.open(lab.workflow(*steps)) as engine:
        done = await lab.finish(engine, await engine.start("main", {"who": "Ana", "n": 3}))
        kept = {found["artifactId"]: found for found in await engine.store.artifacts(done.run.id)}
    assert kept["text"]["parts"] == [{"text": "hello Ana", "mediaType": "text/plain"}]
    assert (kept["text"]["name"], kept["data"]["metadata"]) == ("Greeting", {"k": 1})
    assert kept["data"]["parts"] == [{"data": {"n": 3}}]
    assert kept["link"]["parts"] == [{"url": "https://example.com/a.pdf", "filename": "a.pdf"}]
    assert kept["mine"]["parts"] == [{"raw": raw, "mediaType": "application/octet-stream"}]
    assert done.results["file"] == {"artifact_id": "mine"}
    told = [event for event in done.events if event.type == "artifact"]
    assert [event.step for event in told] == ["text", "data", "link", "file"]
    generations = [event.generation for event in done.events if event.generation is not None]
    assert generations == list(range(1, len(generations) + 1))


@pytest.mark.case("W-A-1")
async def test_chunks_are_joined_and_the_same_id_without_append_replaces(lab: Lab) -> None:
    steps = (
        artifact("one", text="a", artifact_id="log", last_chunk=False),
        artifact("two", text="b", artifact_id="log", append=True),
        artifact("x", text="old", artifact_id="report"),
        artifact("y", text="new", artifact_id="report"),
    )
    async with lab.open(lab.workflow(*steps)) as engine:
        done = await lab.finish(engine, await engine.start("main"))
        kept = await engine.store.artifacts(done.run.id)
    assert [(found["artifactId"], [part["text"] for part in found["parts"]]) for found in kept] == [
        ("log", ["a", "b"]),
        ("report", ["new"]),
    ]


@pytest.mark.case("W-A-1")
async def test_a_files_name_is_only_a_name_and_nothing_is_written_under_it(lab: Lab, tmp_path: Path) -> None:
    """Nothing unpacks an artifact, so a path in its name leads nowhere; what isn't base64 is refused."""
    name = f"../..{tmp_path}/evil"
    async with lab.open(lab.workflow(artifact("file", bytes="aGk=", filename=name))) as engine:
        done = await lab.finish(engine, await engine.start("main"))
    assert done.state == "completed"
    assert os.listdir(tmp_path) == []
    with pytest.raises(DefinitionError):
        await lab.run(artifact("file", bytes="not base64!"))


async def test_what_an_attempt_that_failed_left_is_not_kept(lab: Lab) -> None:
    tries = Fails(1)

    def work(ctx: Any) -> Any:
        ctx.artifact(Artifact("a", parts=({"text": f"attempt {ctx.tries}"},)))
        ctx.status(f"attempt {ctx.tries}")
        ctx.message([{"text": f"attempt {ctx.tries}"}])
        return tries()

    async with lab.open(lab.workflow(lab.call("x", work, retry=2))) as engine:
        done = await lab.finish(engine, await engine.start("main"))
        kept = await engine.store.artifacts(done.run.id)
        history = await engine.store.history(done.run.id)
    assert [found["parts"] for found in kept] == [[{"text": "attempt 2"}]]
    assert [message.data["parts"] for message in history] == [[{"text": "attempt 2"}]]
    assert (done.run.message, done.state) == ("attempt 2", "completed")


SHORT = {
    "name": "string",
    "nick": "string?",
    "age": "integer",
    "ratio": "number",
    "ok": "boolean",
    "tags": {"type": "array", "items": {"type": "string"}},
    "scores": {"type": "object", "additionalProperties": {"type": "integer"}},
    "address": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "count": {"type": "integer", "default": 3},
}
GOOD: dict[str, Any] = {
    "name": "Ana",
    "age": 30,
    "ratio": 0.5,
    "ok": True,
    "tags": ["a"],
    "scores": {"x": 1},
    "address": {"city": "Bern"},
}


def with_input(short: dict[str, Any]) -> Workflow:
    data = {"input": short, "steps": [{"id": "a", "type": "set", "value": "{input.count}"}]}
    flow = parse_workflow(data, registry.find, id="main").workflow
    assert flow is not None
    return flow


@pytest.mark.case("W-C-2")
async def test_an_input_of_every_type_is_taken_and_defaults_are_filled_in(lab: Lab) -> None:
    async with lab.open(with_input(SHORT)) as engine:
        done = await lab.finish(engine, await engine.start("main", GOOD))
        assert (done.output, done.run.input) == (3, {**GOOD, "count": 3})
        named = await lab.finish(engine, await engine.start("main", {**GOOD, "nick": "An", "count": 5}))
        assert named.output == 5


@pytest.mark.case("W-C-2", "D-IN-1", "D-IN-2")
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"name": None}, "name"),
        ({"age": "thirty"}, "age"),
        ({"age": 1.5}, "age"),
        ({"ratio": "x"}, "ratio"),
        ({"ok": "yes"}, "ok"),
        ({"tags": "a"}, "tags"),
        ({"tags": [1]}, "tags"),
        ({"scores": {"x": "y"}}, "scores"),
        ({"address": {}}, "city"),
        ({"address": {"city": 5}}, "city"),
    ],
)
async def test_a_missing_or_wrong_input_is_named_and_makes_no_run(lab: Lab, change: dict[str, Any], named: str) -> None:
    value = {key: item for key, item in {**GOOD, **change}.items() if item is not None}
    async with lab.open(with_input(SHORT)) as engine:
        with pytest.raises(InputError) as refused:
            await engine.start("main", value)
        assert await engine.list() == []
    assert "validation failed" in refused.value.what
    assert named in refused.value.what


async def test_an_output_that_does_not_fit_its_schema_fails_the_run(lab: Lab) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    good = await lab.run(set_("a", value={"n": 1}), output_schema=schema)
    assert (good.state, good.output) == ("completed", {"n": 1})
    bad = await lab.run(lab.call("a", lambda: {"n": "one"}), output_schema=schema)
    assert bad.state == "failed"
    assert bad.run.failure is not None
    assert bad.run.failure.code == "AF-OUTPUT-INVALID"
