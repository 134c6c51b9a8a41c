"""Making a config in Python, or of another one; it is checked like a file."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import Field

from agentflow.config.env import env_values
from agentflow.config.files import validated
from agentflow.config.load import checked, type_lookup
from agentflow.config.parts import check_env, check_secrets, check_settings, check_targets, entries, skills, variables
from agentflow.config.reporting import inside
from agentflow.config.result import Config, EnvVar
from agentflow.data import is_object
from agentflow.definition.canonical import unfit_value
from agentflow.definition.config_file import ConfigFile, Module
from agentflow.definition.faults import Faults, shown
from agentflow.definition.models import Workflow
from agentflow.definition.nested import with_called
from agentflow.definition.parse import Parsed, parse_workflow, to_data
from agentflow.definition.pointers import join
from agentflow.definition.types import TypeLookup
from agentflow.errors import DefinitionError, Problem

_OWNER = "the config"


class _Fields(ConfigFile):
    """What may be said in Python: fields of the file, and what comes from where it stands."""

    python_modules: tuple[Module, ...] = ()
    file: Path | None = None
    folder: Path = Path()
    env_values: dict[str, str] = Field(default_factory=dict[str, str])


_NAMES = [name for name in Config.__dataclass_fields__ if name in _Fields.model_fields and name != "workflows"]


def config_from(
    workflows: Iterable[Workflow] | Workflow = (),
    *,
    base: Config | None = None,
    types: TypeLookup | None = None,
    **fields: Any,
) -> Config:
    """Make and check a config in Python.

    Args:
        workflows: its workflows.
        base: a config whose other fields are taken over. Its own workflows, where given again, are checked again only
            if they call one that isn't the same any more.
        types: finds step types; default: the registry.
        fields: fields of `Config`. `env` and `skills` may be lists of names as in the file.

    Raises:
        DefinitionError: with every problem.
    """
    find, names = type_lookup(types)
    faults = Faults()
    kept: dict[str, Workflow] = {}
    parsed: dict[str, Parsed] = {}
    new: dict[str, None] = {}
    for workflow in _workflows(workflows):
        if workflow.id in kept:
            faults.add("AF-WORKFLOW-DUPLICATE", f'two workflows have the id "{workflow.id}"', "")
            continue
        if base is not None and base.workflows.get(workflow.id) is workflow:
            kept[workflow.id] = workflow
            parsed[workflow.id] = base.parsed.get(workflow.id) or Parsed(workflow)
            continue
        unfit = unfit_value(workflow)
        if unfit is not None:
            faults.problems.append(unfit)
            continue
        kept[workflow.id] = workflow
        # Reading its canonical data back validates what the models can't: the fields of each step's type.
        parsed[workflow.id] = parse_workflow(
            to_data(workflow), find, pointer=join("", workflow.id), dialect=workflow.dialect, type_names=names,
            tally=faults.tally,
        )  # fmt: skip
        faults.problems.extend(inside(workflow.id, parsed[workflow.id].problems))
        new[workflow.id] = None
    start = base or Config()
    sources = {name: file for name, file in start.sources.items() if name in kept and name not in new}
    settled = _settled(fields, start, faults)
    made = replace(start, **settled, workflows=kept, parsed=parsed, sources=sources, warnings=[])
    if "tools" in settled or "agents" in settled:
        check_targets(made, faults)
    if "env_values" in settled:
        check_secrets(made, faults)
    return checked(made, find, faults.problems, [*new, *_callers(kept, new, start)], faults.tally)


def _workflows(given: Any) -> list[Workflow]:
    if isinstance(given, Workflow | Mapping | str) or not isinstance(given, Iterable):
        given = (given,)
    listed: list[Any] = list(given)  # pyright: ignore[reportUnknownArgumentType]  whatever was given
    for one in listed:
        if not isinstance(one, Workflow):
            what = f"config_from takes workflows, not {shown(one)}"
            raise DefinitionError([Problem("AF-STEP-INVALID", what, hint="config_from([Workflow(id=…, steps=…)])")])
    return with_called(listed)


def _callers(kept: Mapping[str, Workflow], new: Collection[str], base: Config) -> list[str]:
    """Return the workflows of the base that call one which is another now, or gone."""
    changed = {name for name in base.workflows if name in new or name not in kept}
    if not changed:
        return []
    from agentflow.definition.check.calls import calls_of  # noqa: PLC0415  compiles templates

    return [name for name, workflow in kept.items() if name not in new and not changed.isdisjoint(calls_of(workflow))]


def _settled(given: Mapping[str, Any], base: Config, faults: Faults) -> dict[str, Any]:
    """Return fields as `Config` holds them: checked, short forms widened, the environment looked up."""
    for name in given:
        if name not in _NAMES:
            faults.unknown_field(_OWNER, name, _NAMES, join("", name), lenient=False)
    data = {name: value for name, value in given.items() if name in _NAMES}
    if "env" in data:
        data["env"] = _listed(data["env"])
    main, wrong = validated(_Fields, data, _OWNER, faults)
    check_env(main, faults)
    check_settings(main, faults)
    fields = {name: getattr(main, name) for name in data if name not in wrong}
    if "name" in fields:
        fields["named"] = True
    for name in ("tools", "agents", "connections", "prices"):
        if name in fields:
            fields[name] = entries(fields[name])
    if "skills" in fields or "python_modules" in fields:
        modules = fields.get("python_modules", base.python_modules)
        fields["skills"] = skills(fields.get("skills", base.skills), modules, faults)
    if "env" in fields:
        fields["env"] = variables(main.env)
        fields.setdefault("env_values", env_values(fields["env"].values(), fields.get("folder")))
    return fields


def _listed(env: Any) -> Any:
    """Write the environment as a file lists it."""
    if is_object(env):
        return [_entry(name, entry) for name, entry in env.items()]
    several: Any = env
    return [_entry(None, entry) for entry in several] if isinstance(env, Iterable) and not isinstance(env, str) else env


def _entry(name: str | None, entry: Any) -> Any:
    if isinstance(entry, EnvVar):
        return {"name": entry.name, "public": entry.public, "default": entry.default, "connection": entry.connection}
    if name is None:
        return entry
    return {"name": name, **entry} if is_object(entry) else name
