"""What a command line names: a workflow of the config, or one in a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from agentflow.errors import DefinitionError, NotFoundError

if TYPE_CHECKING:
    from agentflow.config import Config
    from agentflow.definition.models import Workflow

SUFFIXES = (".yaml", ".yml", ".json")


def split_target(target: str) -> tuple[str | None, str | None]:
    """Return (file, workflow id) of `report`, `flow.yaml` or `flow.yaml:report`."""
    if target.endswith(SUFFIXES):
        return target, None
    file, colon, name = target.rpartition(":")
    if colon and file.endswith(SUFFIXES):
        return file, name
    if os.sep in target and Path(target).is_file():
        return target, None
    return None, target


def pick(config: Config, name: str | None, file: str | None) -> Workflow:
    """Return the workflow that a command line names.

    Raises:
        NotFoundError: there is none of this name, or the file has several and none was named.
        DefinitionError: the workflow has errors.
    """
    if name is not None and name in config.broken:
        raise DefinitionError(config.broken[name])
    known = list(config.workflows)
    if name is None:
        known += config.broken
        if len(known) == 1:
            return config.workflows[known[0]]
        what = f'"{file}" has {len(known)} workflows: {", ".join(known[:5])}' if known else f'"{file}" has no workflow'
        raise NotFoundError(
            what, code="AF-WORKFLOW-UNKNOWN", hint=f"name the one that is meant, such as {known[0]}" if known else None
        )
    if name in config.workflows:
        return config.workflows[name]
    from difflib import get_close_matches  # noqa: PLC0415  only for a hint

    near = get_close_matches(name, known, n=3, cutoff=0.5)
    where = config.file.name if config.file is not None else "this config"
    hint = f'did you mean "{near[0]}"?' if near else f"{where} has: {', '.join(known[:5]) or 'no workflow'}"
    raise NotFoundError(f'there is no workflow "{name}"', code="AF-WORKFLOW-UNKNOWN", hint=hint)
