"""The project that a command stands in: its config, or what was read of it, and its store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from agentflow.cli.desk import Project
from agentflow.cli.options import Common
from agentflow.cli.shown import redact_by
from agentflow.errors import NotFoundError

if TYPE_CHECKING:
    from agentflow.config import Plain

DEFAULT_STORE = Path(".agentflow") / "runs.db"


def find_project(common: Common, *, file: str | None = None, config: Literal["needed", "wanted", "none"]) -> Project:
    """Find the config and the store that a command line means.

    Args:
        common: its options.
        file: a workflow file named instead of a workflow.
        config: whether it is needed, taken if it is there, or not read at all.

    Raises:
        NotFoundError: there is no config, and one is needed.
        DefinitionError: the config isn't valid.
    """
    from agentflow.config.plain import find_config  # noqa: PLC0415  not for every command

    nearest = Path(common.config) if common.config else find_config()
    if common.config and nearest is not None and not nearest.exists():
        raise no_config(common.config)
    source = Path(file) if file else nearest
    flags = _option("-f", common.config) if common.config else ""
    flags += _option("--store", common.store) if common.store and not os.environ.get("AGENTFLOW_STORE") else ""
    if source is None and config == "needed":
        raise no_config(None)
    plain = plain_config(nearest) if file or source is None or config == "none" else None
    if plain is not None and (source is None or config == "none"):
        return Project(_store(common, nearest, plain.store), None, flags, plain)
    from agentflow.config import load_config  # noqa: PLC0415  the config's models; not for commands that only look

    loaded = load_config(source, heard=hide_secrets, sound=True)
    redact_by(loaded.redactor)
    return Project(_store(common, nearest, plain.store if plain is not None else loaded.store), loaded, flags)


def _option(name: str, value: str) -> str:
    from agentflow.cli.examples import quote  # noqa: PLC0415  few commands are given one

    return f" {name} {quote(value)}"


def _store(common: Common, nearest: Path | None, named: str | None) -> str:
    if common.store:
        return common.store
    folder = nearest.parent if nearest is not None else Path()
    if named:
        return named if "://" in named or named == ":memory:" else str(folder / named)
    return str(folder / DEFAULT_STORE)


def plain_config(file: Path | None) -> Plain:
    """Read what looking at runs needs of a config.

    From now on nothing shows the secrets that it names, not even an error of the config itself.
    """
    from agentflow.config.plain import Plain, read_plain  # noqa: PLC0415  not for every command

    if file is None:
        return Plain()
    found = read_plain(file)
    hide_secrets(found)
    return found


def hide_secrets(plain: Plain) -> None:
    """Let nothing show the secrets that a config names."""
    redact_by(plain.redactor)


def no_config(name: str | None) -> NotFoundError:
    """Make the error for a config that isn't there."""
    near = next((each for each in ("agentflow.yaml", "agentflow.yml") if Path(each).exists()), None)
    if name is None:
        what = "no agentflow.yaml in this folder or above"
        hint = "go to its folder, name a file: -f FILE, or begin a project: agentflow init DIR"
    else:
        what = f'no file "{name}"'
        hint = f"{near} exists in this folder; did you mean that?" if near else "look at the path"
    return NotFoundError(what, code="AF-CONFIG-NOT-FOUND", hint=hint)


def exists(project: Project) -> bool:
    """Whether the project has a store already.

    Raises:
        StoreError: there is a file without anything in it, or its folder can't be entered.
    """
    from agentflow.store.care import refuse_empty  # noqa: PLC0415  not for every command
    from agentflow.store.places import there  # noqa: PLC0415

    scheme, found, rest = project.store.partition("://")
    if found and scheme != "sqlite":
        return True  # opening it tells what is wrong
    if not there(Path(rest.removeprefix("/") if found else scheme)):
        return False
    refuse_empty(project.store)
    return True


def need_store(project: Project, kind: Literal["run", "wait"]) -> None:
    if not exists(project):
        raise NotFoundError(
            f"no store here yet, so there is no {kind}",
            code="AF-WAIT-UNKNOWN" if kind == "wait" else "AF-RUN-UNKNOWN",
            why=f"looked for {project.store}",
            hint="the first run makes it: agentflow run",
        )
