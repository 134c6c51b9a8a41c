"""`artifact`: adds an artifact to the run's task."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field, model_validator

from agentflow.definition.models import Model
from agentflow.steps.contract import Artifact, Context, Result, StepType
from agentflow.steps.fields import Base64, Name, Text

_CONTENT = ("text", "data", "url", "bytes_")


class ArtifactConfig(Model):
    """What is added: exactly one of `text`, `data`, `url` and `bytes`."""

    model_config = ConfigDict(populate_by_name=False)

    text: Text = ""
    """Content as text."""
    data: Any = None
    """Content as JSON data."""
    url: Name | None = None
    """Content as a file that stands at a URL."""
    bytes_: Base64 | None = Field(default=None, alias="bytes")
    """Content as a file, written in base64."""
    media_type: Name | None = None
    """Media type of the content, such as `text/csv`."""
    filename: Name | None = None
    """Name of the file."""
    name: Name | None = None
    """Name of the artifact, for people."""
    description: Text | None = None
    """What the artifact is, for people."""
    artifact_id: Name | None = None
    """Identity of the artifact in its task; default: the step's address."""
    append: bool = False
    """Adds a chunk to the artifact named by `artifact_id` instead of replacing it."""
    last_chunk: bool = True
    """False: more chunks follow."""
    metadata: dict[str, Any] = Field(default_factory=dict[str, Any])
    """Anything that readers of the artifact want to know."""

    @model_validator(mode="after")
    def _whole(self) -> ArtifactConfig:
        if sum(name in self.model_fields_set for name in _CONTENT) != 1:
            raise ValueError("give exactly one of text, data, url and bytes")
        if self.append and self.artifact_id is None:
            raise ValueError("append needs artifact_id: the artifact that the chunk belongs to")
        return self

    def part(self) -> dict[str, Any]:
        """Return the content as an A2A part."""
        part: dict[str, Any]
        if "data" in self.model_fields_set:
            part = {"data": self.data}
        elif self.url is not None:
            part = {"url": self.url}
        elif self.bytes_ is not None:
            part = {"raw": self.bytes_}
        else:
            part = {"text": self.text}
        for name, value in (("mediaType", self.media_type), ("filename", self.filename)):
            if value is not None:
                part[name] = value
        return part


async def execute(config: ArtifactConfig, ctx: Context) -> Result:
    """Add the artifact in the commit of the step's completion."""
    artifact_id = config.artifact_id or ctx.address
    made = Artifact(
        artifact_id=artifact_id,
        name=config.name,
        description=config.description,
        parts=(config.part(),),
        append=config.append,
        last_chunk=config.last_chunk,
        metadata=config.metadata,
    )
    return Result({"artifact_id": artifact_id}, (made,))


TYPES: tuple[StepType, ...] = (
    StepType(
        name="artifact",
        config=ArtifactConfig,
        summary="Adds an artifact to the run's task: text, data or a file.",
        execute=execute,
    ),
)
