"""`init`: a new project from a template."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import anyio

from agentflow.cli import schema_file
from agentflow.cli.ask import Form, Left
from agentflow.cli.console import Console
from agentflow.cli.examples import quote
from agentflow.cli.options import Common
from agentflow.cli.schema_file import SCHEMA
from agentflow.cli.values import usage
from agentflow.errors import ConflictError, InputError

TEMPLATES: Mapping[str, str] = {
    "hello": "Python functions as steps, a loop, no questions",
    "approval": "A payment that somebody approves first",
    "agent": "An agent writes, somebody approves, a tool posts; works without a key, too",
}
"""Template → what it shows, the default first."""
_AS = {"gitignore": ".gitignore"}
"""Files that have another name in the package: there they would mean something themselves."""


def init(common: Common, folder: str, template: str | None) -> int:
    """Make a new project."""
    console = common.console()
    if template is not None and template not in TEMPLATES:
        raise usage(f'there is no template "{template}"', f"one of: {', '.join(TEMPLATES)}")
    if not folder.strip():
        raise usage("the new project's folder has no name", "agentflow init DIR, or . for this folder")
    chosen = template or (_chosen(console) if console.asks else next(iter(TEMPLATES)))
    if chosen is None:
        console.tell("Nothing was written.")
        return 130
    files = files_of(chosen)
    _write(Path(folder), files)
    here = Path(folder).resolve() == Path.cwd()
    following = (
        ["agentflow run"]
        if here
        else [f"cd {quote(f'./{folder}' if folder.startswith('-') else folder)}", "agentflow run"]
    )
    if console.mode != "text":
        console.data({"folder": folder, "template": chosen, "files": [*files, SCHEMA], "next": following})
        return 0
    console.result(f"{chosen}: {', '.join(files)}" + ("" if here else f" in {folder}"))
    console.say("next:")
    for line in [*following, "pytest"]:
        console.say(f"  {line}")
    return 0


def _chosen(console: Console) -> str | None:
    choices = [{"const": name, "title": title} for name, title in TEMPLATES.items()]
    schema = {"type": "object", "properties": {"template": {"oneOf": choices}}, "required": ["template"]}
    try:
        return anyio.run(Form(console, schema).fill)["template"]
    except Left:
        return None


def files_of(template: str) -> dict[str, str]:
    """Return the files of a template: name → text."""
    folder = resources.files("agentflow").joinpath("templates", template)
    found = {_AS.get(each.name, each.name): _text(each) for each in folder.iterdir() if each.is_file()}
    return dict(sorted(found.items(), key=lambda item: (item[0].startswith("."), item[0])))


def _text(file: Traversable) -> str:
    return file.read_text(encoding="utf-8")


def _write(target: Path, files: Mapping[str, str]) -> None:
    """Write the files and the schema for editors, or nothing where one of them is there already."""
    from agentflow.definition.schema import config_schema  # noqa: PLC0415  imports every step type
    from agentflow.steps import registry  # noqa: PLC0415

    there = [name for name in files if (target / name).exists() or (target / name).is_symlink()]
    if there:
        raise ConflictError(
            f"there is {', '.join(there)} already in {target.resolve()}",
            code="AF-INIT-EXISTS",
            why="nothing was written",
            hint="take another folder: agentflow init DIR",
        )
    made: list[Path] = []
    try:
        if not (target / SCHEMA).exists():
            made.append(target / SCHEMA)
        schema_file.write(target / SCHEMA, config_schema(registry.all_types()))
        for name, text in files.items():
            with (target / name).open("x", encoding="utf-8") as file:
                made.append(target / name)
                file.write(text)
    except (OSError, InputError) as error:
        for path in made:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        said = error.what if isinstance(error, InputError) else f'can\'t write into "{target}": {_reason(error)}'
        raise InputError(said, why="nothing was left there") from None


def _reason(error: OSError) -> str:
    return (error.strerror or "error").lower()
