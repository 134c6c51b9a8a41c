"""Finding and loading a config, or making one in Python; both are checked as a whole."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentflow.config.env import env_values
from agentflow.config.files import Files, shown_path
from agentflow.config.reading import Unreadable, find_file
from agentflow.config.result import Config, EnvVar
from agentflow.config.told import told
from agentflow.data import is_object
from agentflow.definition.canonical import unfit_value
from agentflow.definition.config_file import ConfigFile, EnvEntry
from agentflow.definition.faults import Faults
from agentflow.definition.models import Model, Workflow
from agentflow.definition.parse import BUILTIN, Parsed, parse_workflow, to_data
from agentflow.definition.pointers import join
from agentflow.definition.repeats import FAILURES_HINT, unknown_failures
from agentflow.definition.requires import NATIVE
from agentflow.definition.source import Document
from agentflow.definition.tally import Tally
from agentflow.definition.types import TypeLookup
from agentflow.errors import DefinitionError, NotFoundError, Problem
from agentflow.redaction import SHORTEST, too_short

if TYPE_CHECKING:
    from agentflow.steps.own import OwnTypes

NAMES = ("agentflow.yaml", "agentflow.yml", "agentflow.json")


def find_config(start: Path | None = None) -> Path | None:
    """Return the config file of a folder or its nearest parent; None if there is none.

    Args:
        start: default: the current folder.
    """
    folder = (start or Path.cwd()).absolute()
    for place in (folder, *folder.parents):
        for name in NAMES:
            if (place / name).is_file():
                return place / name
    return None


def load_config(path: str | Path | None = None, *, types: TypeLookup | None = None) -> Config:
    """Load and check a config file, a file with one workflow, or one of distri's files.

    Args:
        path: the file, or its folder; default: `agentflow.yaml` here or in the nearest parent.
        types: finds step types; default: the registry.

    Raises:
        NotFoundError: there is no such file.
        DefinitionError: with every problem, in the order of their places.
    """
    found = find_config() if path is None else Path(path)
    if found is None:
        raise NotFoundError(
            "no agentflow.yaml here or in a parent folder",
            code="AF-CONFIG-NOT-FOUND",
            hint="name a file",
        )
    try:
        if found.is_dir():
            found = next((found / name for name in NAMES if (found / name).is_file()), found / NAMES[0])
        real = find_file(found, shown_path(found))
    except OSError as error:
        raise _not_found(
            found, f'"{shown_path(found)}" can\'t be read: {(error.strerror or "unknown").lower()}'
        ) from None
    except Unreadable as wrong:
        raise _not_found(found, f'no file "{shown_path(found)}"' if wrong.missing else wrong.what) from None
    files = _files(types)
    files.load(real)
    return _finish(files, found.absolute())


def _not_found(path: Path, what: str) -> NotFoundError:
    try:
        near = find_config(path.parent if path.parent.is_dir() else None)
    except OSError:
        near = None
    hint = f"{shown_path(near)} exists; did you mean that?" if near else None
    return NotFoundError(what, code="AF-CONFIG-NOT-FOUND", hint=hint)


def load_text(
    text: str, file: str = "agentflow.yaml", *, folder: Path | None = None, types: TypeLookup | None = None
) -> Config:
    """Load and check a config that is given as text.

    Args:
        text: YAML or JSON.
        file: its name in messages; the suffix `.json` makes it JSON.
        folder: what relative paths start from; default: the current folder.
        types: finds step types; default: the registry.

    Raises:
        DefinitionError: with every problem.
    """
    files = _files(types)
    folder = (folder or Path.cwd()).absolute()
    files.load_text(text, file, folder / Path(file).name)
    return _finish(files, None, folder)


def config_from(
    workflows: Iterable[Workflow] = (), *, base: Config | None = None, types: TypeLookup | None = None, **fields: Any
) -> Config:
    """Make and check a config in Python.

    Args:
        workflows: its workflows.
        base: a config whose other fields are taken over; its own workflows, where given again, aren't checked again.
        types: finds step types; default: the registry.
        fields: fields of `Config`. `env` and `skills` may be lists of names as in the file.

    Raises:
        DefinitionError: with every problem.
    """
    lookup, names = _lookup(types)
    problems: list[Problem] = []
    kept: dict[str, Workflow] = {}
    parsed: dict[str, Parsed] = {}
    new: set[str] = set()
    for workflow in workflows:
        if workflow.id in kept:
            problems.append(Problem("AF-WORKFLOW-DUPLICATE", f'two workflows have the id "{workflow.id}"'))
            continue
        unfit = unfit_value(workflow)
        if unfit is not None:
            problems.append(unfit)
            continue
        kept[workflow.id] = workflow
        if base is not None and base.workflows.get(workflow.id) is workflow:
            parsed[workflow.id] = base.parsed.get(workflow.id) or Parsed(workflow)
            continue
        # Reading its canonical data back validates what the models can't: the fields of each step's type.
        parsed[workflow.id] = parse_workflow(
            to_data(workflow), lookup, pointer=join("", workflow.id), dialect=workflow.dialect, type_names=names
        )
        problems.extend(parsed[workflow.id].problems)
        new.add(workflow.id)
    _settle(fields, base)
    start = base or Config()
    sources = {name: file for name, file in start.sources.items() if name in kept and name not in new}
    made = replace(start, **fields, workflows=kept, parsed=parsed, sources=sources, warnings=[])
    faults = Faults()
    _check_secrets(made, faults)
    problems.extend(faults.problems)
    return _checked(made, lookup, problems, new, faults.tally)


def _settle(fields: dict[str, Any], base: Config | None) -> None:
    """Widen short forms of a config's fields, in place, and look up the environment."""
    modules = tuple(fields.get("python_modules", base.python_modules if base else ()))
    if "python_modules" in fields:
        fields["python_modules"] = modules
    if "skills" in fields or "python_modules" in fields:
        fields["skills"] = _skills(fields.get("skills", base.skills if base else ()), modules, Faults())
    for name in ("limits", "defaults", "http"):
        if is_object(fields.get(name)):
            fields[name] = getattr(ConfigFile.model_validate({name: fields[name]}), name)
    if "env" in fields:
        fields["env"] = _variables(fields["env"])
        fields.setdefault("env_values", env_values(fields["env"].values(), fields.get("folder")))


def with_env(config: Config, env: Any) -> Config:
    """Return a config with the variables that a file's `env` lists; raises ValueError where it isn't valid."""
    variables = _variables(ConfigFile.model_validate({"env": env}).env)
    return replace(config, env=variables, env_values=env_values(variables.values(), config.folder))


def _files(types: TypeLookup | None) -> Files:
    lookup, names = _lookup(types)
    if types is not None:
        return Files(lookup, names)
    from agentflow.steps.own import OwnTypes  # noqa: PLC0415  only for types of the registry

    own = OwnTypes()
    return Files(own, names, own=own)


def _lookup(types: TypeLookup | None) -> tuple[TypeLookup, Callable[[], Iterable[str]]]:
    if types is not None:
        return types, lambda: BUILTIN
    from agentflow.steps import registry  # noqa: PLC0415  entry points are looked at only when a config is loaded

    return registry.find, registry.names


def _finish(files: Files, file: Path | None, folder: Path | None = None) -> Config:
    main = files.main
    folder = folder or (file.parent if file else Path.cwd())
    document = next(iter(files.documents.values()), None)
    faults = Faults(document.place if document else None, files.tally)
    env = _variables(main.env)
    _check_env(main, faults)
    _check_settings(main, faults)
    name, description = files.agent
    config = Config(
        file=file,
        folder=folder,
        name=main.name or name or folder.name or "agentflow",
        description=main.description or description,
        env=env,
        skills=_skills(main.skills, main.python.modules, faults),
        python_modules=main.python.modules,
        store=main.store,
        durability=main.durability,
        limits=main.limits,
        defaults=main.defaults,
        http=main.http,
        tools=_entries(main.tools),
        agents=_entries(main.agents),
        connections=_entries(main.connections),
        workflows={name: parsed.workflow for name, parsed in files.parsed.items() if parsed.workflow is not None},
        documents=files.documents,
        parsed=files.parsed,
        sources=files.sources,
        env_values=env_values(env.values(), folder if file else None),
    )
    _check_targets(config, faults)
    _check_secrets(config, faults)
    problems = _with_modules(files.problems, files.own, faults) if files.own is not None else files.problems
    return _checked(config, files.types, [*problems, *faults.problems], config.workflows, files.tally)


def _with_modules(problems: list[Problem], own: OwnTypes, faults: Faults) -> list[Problem]:
    """Tell of unknown step types what was tried to find them, and of modules why they couldn't be imported."""
    if not any(problem.code == "AF-STEP-TYPE" for problem in problems):
        return problems
    for module, error in own.failures.items():
        at = f"/python/modules/{own.modules.index(module)}"
        place = error.data.get("at")
        faults.add(error.code, f"{error.what} ({place})" if place else error.what, at, hint=error.hint or error.why)
    said = own.told
    if said is None:
        return problems
    return [
        replace(problem, hint=f"{problem.hint}; {said}" if problem.hint else said)
        if problem.code == "AF-STEP-TYPE"
        else problem
        for problem in problems
    ]


def _checked(
    config: Config, types: TypeLookup, problems: list[Problem], names: Collection[str], tally: Tally
) -> Config:
    """Run the checks of some workflows, and raise or attach what is found."""
    from agentflow.definition.check import EnvInfo, check_workflow  # noqa: PLC0415  compiles templates

    info = EnvInfo(
        workflows=config.workflows,
        env={name: variable.public for name, variable in config.env.items()},
        python_modules=config.python_modules,
        tools=frozenset(config.tools),
        agents=frozenset(config.agents),
        skills=frozenset(config.skills),
    )
    for name in names:
        workflow, parsed = config.workflows[name], config.parsed[name]
        document: Document | None = config.documents.get(config.sources.get(name, ""))
        place = document.place if document else None
        problems.extend(check_workflow(workflow, types, env=info, pointers=parsed, place=place, tally=tally))
    problems = told(problems, tally, list(config.documents))
    if any(problem.severity == "error" for problem in problems):
        raise DefinitionError(problems)
    config.warnings.extend(problems)
    return config


def _variables(given: Any) -> dict[str, EnvVar]:
    if is_object(given):
        return {name: value if isinstance(value, EnvVar) else EnvVar(name) for name, value in given.items()}
    found: dict[str, EnvVar] = {}
    for entry in given:
        variable = (
            EnvVar(entry.name, entry.public, entry.default) if isinstance(entry, EnvEntry | EnvVar) else EnvVar(entry)
        )
        found[variable.name] = variable
    return found


def _check_env(main: ConfigFile, faults: Faults) -> None:
    seen: set[str] = set()
    for number, entry in enumerate(main.env):
        name = entry.name if isinstance(entry, EnvEntry) else entry
        if name in seen:
            faults.add("AF-FIELD-VALUE", f'"env" lists "{name}" twice', f"/env/{number}")
        seen.add(name)


def _check_secrets(config: Config, faults: Faults) -> None:
    """Refuse secrets that can't be kept secret: so short a text stands everywhere by chance."""
    secrets = config.secrets
    for number, name in enumerate(config.env):
        if too_short(secrets.get(name, "")):
            what = f'the value of "{name}" is too short for a secret: it has fewer than {SHORTEST} characters'
            hint = f"write it as {{name: {name}, public: true}} if it is no secret, or take a longer one"
            faults.add("AF-SECRET-SHORT", what, f"/env/{number}", hint=hint)


def _check_settings(main: ConfigFile, faults: Faults) -> None:
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


def _skills(given: Any, modules: tuple[str, ...], faults: Faults) -> dict[str, dict[str, Any]]:
    """Return granted skill → limits; `false` grants nothing, a listed module grants `native:python`."""
    granted: dict[str, dict[str, Any]] = {}
    known = [f"native:{name}" for name in NATIVE]
    for number, name in enumerate(given):
        limits: Any = given[name] if is_object(given) else None
        if name not in known:
            at = join("/skills", name if is_object(given) else number)
            label = f'did you mean "native:{name}"?' if f"native:{name}" in known else faults.tally.meant(name, known)
            faults.add(
                "AF-SKILL-UNKNOWN",
                f'there is no native skill "{name}"',
                at,
                key=is_object(given),
                label=label,
                hint=f"skills are {', '.join(known)}",
            )
        elif limits is not False:
            granted[name] = limits if is_object(limits) else {}
    if modules:
        granted.setdefault("native:python", {})
    return granted


def _entries(entries: Mapping[str, Model]) -> dict[str, dict[str, Any]]:
    return {name: entry.model_dump(mode="json", exclude_defaults=True) for name, entry in entries.items()}


def _check_targets(config: Config, faults: Faults) -> None:
    """Functions of tools and agents must be in modules that the config lists."""
    listed = frozenset(config.python_modules)
    for kind, entries in (("tools", config.tools), ("agents", config.agents)):
        for name, entry in entries.items():
            module = str(entry.get("python", "")).partition(":")[0]
            heads = itertools.accumulate(module.split("."), "{}.{}".format)
            if module and listed.isdisjoint(heads):
                faults.add(
                    "AF-PYTHON-MODULE",
                    f'{kind[:-1]} "{name}" uses the Python module "{module}", which isn\'t listed',
                    f"{join('', kind, name)}/python",
                    hint=f"python: {{modules: [{module}]}}",
                )
