"""The parts of a config that mean the same in a file and in Python: widened, and checked where models can't."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from agentflow.config.env import EnvVar
from agentflow.config.result import Config
from agentflow.data import is_object
from agentflow.definition.config_file import ConfigFile, EnvEntry
from agentflow.definition.faults import Faults, below
from agentflow.definition.models import Model
from agentflow.definition.pointers import join
from agentflow.definition.repeats import FAILURES_HINT, unknown_failures
from agentflow.definition.requires import BY_NAME, NATIVE, NOTHING, synonym
from agentflow.redaction import SHORTEST, too_short


def variables(given: Any) -> dict[str, EnvVar]:
    if is_object(given):
        return {name: value if isinstance(value, EnvVar) else EnvVar(name) for name, value in given.items()}
    found: dict[str, EnvVar] = {}
    for entry in given:
        if isinstance(entry, EnvEntry | EnvVar):
            variable = EnvVar(entry.name, entry.public, entry.default, entry.connection)
        else:
            variable = EnvVar(entry)
        found[variable.name] = variable
    return found


def check_env(main: ConfigFile, faults: Faults) -> None:
    seen: set[str] = set()
    for number, entry in enumerate(main.env):
        name = entry.name if isinstance(entry, EnvEntry) else entry
        if name in seen:
            faults.add("AF-FIELD-VALUE", f'"env" lists "{name}" twice', f"/env/{number}")
        seen.add(name)


def check_secrets(config: Config, faults: Faults) -> None:
    """Refuse secrets that can't be kept secret: so short a text stands everywhere by chance."""
    secrets = config.secrets
    for number, name in enumerate(config.env):
        if too_short(secrets.get(name, "")):
            what = f'the value of "{name}" is too short for a secret: it has fewer than {SHORTEST} characters'
            hint = f"write it as {{name: {name}, public: true}} if it is no secret, or take a longer one"
            faults.add("AF-SECRET-SHORT", what, f"/env/{number}", hint=hint)


def check_settings(main: ConfigFile, faults: Faults) -> None:
    """Check what fields can't: the kind of store, and what the default retry policy repeats on."""
    if main.store is not None and "://" in main.store:
        from agentflow.store import KIND_HINT, unknown_kind  # noqa: PLC0415  few configs name one by a URL

        what = unknown_kind(main.store)
        if what is not None:
            faults.add("AF-STORE-KIND", what, "/store", hint=KIND_HINT)
    for name, entry in main.tools.items():
        if entry.input_schema is not None:
            from agentflow.definition.check.schemas import schema_problems  # noqa: PLC0415  few tools have one

            for path, message, label, hint in schema_problems(entry.input_schema):
                at = join("/tools", name, "input_schema", *path)
                faults.add("AF-SCHEMA-INVALID", message, at, label=label, hint=hint)
    for number, name, label in unknown_failures(main.defaults.retry) if main.defaults.retry is not None else ():
        what = f'"defaults" of the config repeat on "{name}", which is no kind of failure'
        faults.add("AF-RETRY-KIND", what, join("/defaults/retry/on", number), label=label, hint=FAILURES_HINT)


def skills(given: Any, modules: tuple[str, ...], faults: Faults) -> dict[str, dict[str, Any]]:
    """Return granted skill → limits; `false` grants nothing, a listed module grants `native:python`."""
    granted: dict[str, dict[str, Any]] = {}
    known = [f"native:{name}" for name in NATIVE]
    for number, name in enumerate(given):
        limits: Any = given[name] if is_object(given) else None
        if name not in known:
            at = join("/skills", name if is_object(given) else number)
            word = name.removeprefix("native:")
            near = f"native:{synonym(word) or word}"
            label = f'did you mean "{near}"?' if near in known else faults.tally.meant(name, known)
            faults.add(
                "AF-SKILL-UNKNOWN",
                f'there is no native skill "{name}"',
                at,
                key=is_object(given),
                label=label,
                hint=f"skills are {', '.join(known)}",
            )
        elif limits is False and name in BY_NAME:
            granted[name] = {**NOTHING}
        elif limits is not False:
            granted[name] = _limits(name, limits, faults) if is_object(limits) and limits else {}
    if modules:
        granted.setdefault("native:python", {})
    return granted


def _limits(skill: str, given: Mapping[str, Any], faults: Faults) -> dict[str, Any]:
    """Return the limits of a skill; what is wrong with them is told, and the skill then has none that count."""
    from agentflow.definition.skill_limits import LIMITS  # noqa: PLC0415  most configs limit nothing

    model = LIMITS[skill]
    try:
        model.model_validate(given)
    except ValidationError as error:
        faults.of_model(error, given, f'skill "{skill}"', model, below(join("/skills", skill)))
    return dict(given)


def entries(entries: Mapping[str, Model]) -> dict[str, dict[str, Any]]:
    return {name: entry.model_dump(mode="json", exclude_defaults=True) for name, entry in entries.items()}


def check_targets(config: Config, faults: Faults) -> None:
    """Functions of tools and agents must be in modules that the config lists."""
    for name, entry in config.agents.items():
        token = entry.get("token_env")
        listed = config.env.get(token) if token is not None else None
        if token is not None and (listed is None or listed.public or listed.connection):
            said = (
                "isn't listed in env" if listed is None else "is marked as public" if listed.public else "is of owners"
            )
            what = f'agent "{name}": the variable "{token}" of its token {said}'
            faults.add("AF-AGENT-TOKEN", what, f"{join('', 'agents', name)}/token_env", hint=f"env: [{token}]")
    targets = [
        (f'{kind[:-1]} "{name}" uses', str(entry.get("python", "")), f"{join('', kind, name)}/python")
        for kind, entries in (("tools", config.tools), ("agents", config.agents))
        for name, entry in entries.items()
    ]
    targets.append(("mcp.additions uses", config.mcp.additions or "", "/mcp/additions"))
    listed = frozenset(config.python_modules)
    for who, target, at in targets:
        module = target.partition(":")[0]
        heads = itertools.accumulate(module.split("."), "{}.{}".format)
        if module and listed.isdisjoint(heads):
            what = f'{who} the Python module "{module}", which isn\'t listed'
            faults.add("AF-PYTHON-MODULE", what, at, hint=f"python: {{modules: [{module}]}}")
