"""`schema`: the JSON Schema of the config file, or of a workflow's input."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentflow.cli import schema_file
from agentflow.cli.console import Console
from agentflow.cli.options import Common
from agentflow.cli.projects import no_config, plain_config
from agentflow.cli.values import usage
from agentflow.config.plain import find_config
from agentflow.errors import NotFoundError

if TYPE_CHECKING:
    from agentflow.definition.schema import Draft

DRAFTS: dict[str, Draft] = {"2020-12": "2020-12", "7": "draft-07", "07": "draft-07", "draft-07": "draft-07"}


def schema(common: Common, target: str | None, draft: str, *, write: bool) -> int:
    """Print a schema, or write the config's to where editors look for it."""
    console = common.console()
    if draft not in DRAFTS:
        raise usage(f'there is no draft "{draft}"', "2020-12 or 7")
    if target is not None and not (write and target.endswith(".json")):
        if write:
            raise usage("only the schema of the config is written", f"agentflow schema {target} > input.json")
        console.document(_input_schema(common, target))
        return 0
    config = Path(common.config) if common.config else find_config()
    if config is not None and not config.is_file():
        raise no_config(common.config)
    found = of_config(console, config, DRAFTS[draft])
    if not write:
        console.document(found)
        return 0
    _write(console, config, found, target)
    return 0


def of_config(console: Console, config: Path | None, draft: Draft) -> dict[str, Any]:
    """Return the schema of a config, with the step types of its own modules."""
    from agentflow.definition.schema import config_schema  # noqa: PLC0415  imports every step type
    from agentflow.steps import registry  # noqa: PLC0415  the same
    from agentflow.steps.own import OwnTypes  # noqa: PLC0415  the same

    plain = plain_config(config)
    own = OwnTypes(plain.folder, plain.python_modules)
    own.load()
    for module, error in own.failures.items():
        console.say(f"! the step types of {module} aren't known: {error}")
    return config_schema(registry.all_types(), draft=draft)


def _write(console: Console, config: Path | None, found: dict[str, Any], target: str | None) -> None:
    text = config.read_text(encoding="utf-8", errors="replace") if config is not None else None
    beside = schema_file.place_of(config, text) if config is not None else Path(schema_file.SCHEMA)
    path = beside if target is None else Path(target)
    schema_file.write(path, found)
    console.say(f"wrote {os.path.relpath(path)}")
    if text is not None and config is not None and config.suffix != ".json" and "yaml-language-server" not in text:
        name = os.path.relpath(path, config.parent)
        console.say(f"editors find it by this first line of {config.name}:")
        console.say(f"  {schema_file.MODELINE.replace(schema_file.SCHEMA, name)}")


def _input_schema(common: Common, target: str) -> Any:
    from agentflow.cli.actions.definitions import load  # noqa: PLC0415  reads files
    from agentflow.cli.targets import pick  # noqa: PLC0415  as above

    config, name, file = load(common, target)
    workflow = pick(config, name, file)
    if workflow.input_schema is None:
        raise NotFoundError(f'workflow "{workflow.id}" declares no input', code="AF-SCHEMA-NONE")
    return workflow.input_schema
