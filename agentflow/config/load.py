"""Finding and loading a config; it is checked as a whole."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from agentflow.config.env import env_values
from agentflow.config.files import Files, shown_path
from agentflow.config.parts import check_env, check_secrets, check_settings, check_targets, entries, skills, variables
from agentflow.config.plain import NAMES, UNNAMED, Plain, find_config, plain_of
from agentflow.config.providing import check_providers
from agentflow.config.reading import Unreadable, find_file
from agentflow.config.reporting import inside, told
from agentflow.config.result import Config
from agentflow.definition.faults import Faults
from agentflow.definition.parse import BUILTIN
from agentflow.definition.requires import granted
from agentflow.definition.source import Document
from agentflow.definition.tally import Tally
from agentflow.definition.types import TypeLookup
from agentflow.errors import DefinitionError, NotFoundError, Problem

if TYPE_CHECKING:
    from agentflow.steps.own import OwnTypes


def load_config(
    path: str | Path | None = None,
    *,
    types: TypeLookup | None = None,
    heard: Callable[[Plain], None] | None = None,
    sound: bool = False,
) -> Config:
    """Load and check a config file, a file with one workflow, or one of distri's files.

    Args:
        path: the file, or its folder; default: `agentflow.yaml` here or in the nearest parent.
        types: finds step types; default: the registry.
        heard: is given the few fields that any file has as soon as they are read: before there are problems to show,
            and before code of the config is imported.
        sound: leave workflows with errors out (`Config.broken` has them) instead of refusing the whole config; errors
            of the config itself refuse it all the same, and so do errors in all of its workflows.

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
    if heard is not None:
        files.heard = lambda data: heard(plain_of(found.absolute().parent, data))
    files.load(real)
    return _finish(files, found.absolute(), sound=sound)


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


def _files(types: TypeLookup | None) -> Files:
    lookup, names = type_lookup(types)
    if types is not None:
        return Files(lookup, names)
    from agentflow.steps.own import OwnTypes  # noqa: PLC0415  only for types of the registry

    own = OwnTypes()
    return Files(own, names, own=own)


def type_lookup(types: TypeLookup | None) -> tuple[TypeLookup, Callable[[], Iterable[str]]]:
    """Return what finds step types, and what lists their names."""
    if types is not None:
        return types, lambda: BUILTIN
    from agentflow.steps import registry  # noqa: PLC0415  entry points are looked at only when a config is loaded

    return registry.find, registry.names


def _finish(files: Files, file: Path | None, folder: Path | None = None, *, sound: bool = False) -> Config:
    main = files.main
    folder = folder or (file.parent if file else Path.cwd())
    document = next(iter(files.documents.values()), None)
    faults = Faults(document.place if document else None, files.tally)
    env = variables(main.env)
    check_env(main, faults)
    check_settings(main, faults)
    name, description = files.agent
    config = Config(
        file=file,
        folder=folder,
        name=main.name or name or folder.name or UNNAMED,
        named=bool(main.name or name),
        description=main.description or description,
        env=env,
        skills=skills(main.skills, main.python.modules, faults),
        python_modules=main.python.modules,
        store=main.store,
        durability=main.durability,
        limits=main.limits,
        defaults=main.defaults,
        http=main.http,
        tools=entries(main.tools),
        agents=entries(main.agents),
        connections=entries(main.connections),
        prices=entries(main.prices),
        currency=main.currency,
        auth=main.auth,
        card=main.card,
        retention=main.retention,
        push=main.push,
        mcp=main.mcp,
        workflows={name: parsed.workflow for name, parsed in files.parsed.items() if parsed.workflow is not None},
        documents=files.documents,
        parsed=files.parsed,
        sources=files.sources,
        env_values=env_values(env.values(), folder if file else None),
    )
    check_targets(config, faults)
    check_providers(config, faults)
    check_secrets(config, faults)
    problems = _with_modules(files.problems, files.own, faults) if files.own is not None else files.problems
    return checked(config, files.types, [*problems, *faults.problems], config.workflows, files.tally, sound=sound)


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


def checked(
    config: Config,
    types: TypeLookup,
    problems: list[Problem],
    names: Collection[str],
    tally: Tally,
    *,
    sound: bool = False,
) -> Config:
    """Run the checks of some workflows, and raise or attach what is found."""
    from agentflow.definition.check import EnvInfo, check_workflow  # noqa: PLC0415  compiles templates
    from agentflow.definition.tools import name_problems  # noqa: PLC0415  as above

    info = EnvInfo(
        workflows=config.workflows,
        env={name: variable.public for name, variable in config.env.items()},
        python_modules=config.python_modules,
        tools=frozenset(config.tools),
        agents=frozenset(config.agents),
        relative=config.http.base_url is not None,
        skills=granted(config.skills),
    )
    for name in names:
        workflow, parsed = config.workflows[name], config.parsed[name]
        document: Document | None = config.documents.get(config.sources.get(name, ""))
        place = document.place if document else None
        found = check_workflow(workflow, types, env=info, pointers=parsed, place=place, tally=tally)
        problems.extend(inside(name, found))
    # Whoever doesn't serve MCP needs no names that its clients take: there it is an error when the server starts.
    wrong = {problem.workflow for problem in problems}
    named = [each for each in name_problems(config.workflows.values(), config.place) if each.workflow not in wrong]
    problems.extend(replace(problem, severity="warning") for problem in named if tally.take("warning"))
    problems = told(problems, tally, list(config.documents))
    if any(problem.severity == "error" for problem in problems):
        from agentflow.config.sound import without_broken  # noqa: PLC0415  hardly ever

        if not sound:
            raise DefinitionError(problems)
        return without_broken(config, problems)
    config.warnings.extend(problems)
    return config
