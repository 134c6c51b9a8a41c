"""A workflow written in Python, with a step type of its own. Run it: python examples/in_python.py"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from agentflow import Context, Engine, Result, Run, run_sync, step_type
from agentflow.steps import Workflow, for_each, parallel, set_, step


class ShoutConfig(BaseModel):
    """Fields of `shout`."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    text: str
    """What is shouted."""
    marks: int = 1
    """How many exclamation marks."""


@step_type("shout", config=ShoutConfig)
async def shout(config: ShoutConfig, ctx: Context) -> Result:
    """Says a text loudly."""
    return Result(config.text.upper() + "!" * config.marks)


HELLO = Workflow(
    id="hello",
    input_schema={"type": "object", "properties": {"names": {"type": "array"}}, "required": ["names"]},
    steps=(
        for_each(
            "greet",
            in_="{input.names}",
            item="name",
            steps=[
                set_("text", value="hello {name}"),
                step("loud", "shout", {"text": "{steps.text}", "marks": 3}, {"retry": 2}),
            ],
        ),
        parallel(
            "report",
            steps=[
                set_("first", value="{steps.greet[0].loud}"),
                set_("all", value="{steps.greet}"),
            ],
        ),
    ),
    output={"first": "{steps.report.first}", "all": "{steps.report.all}"},
)


async def main(names: list[str]) -> Run:
    """Run the workflow in memory."""
    async with Engine.open(":memory:", workflows=[HELLO]) as engine:
        run = await engine.start("hello", {"names": names})
        return await engine.wait(run.id)


if __name__ == "__main__":
    print(run_sync(main, ["ada", "bob"]).output)
