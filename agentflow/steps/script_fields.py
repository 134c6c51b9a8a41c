"""The fields of `script`."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, field_validator, model_validator

from agentflow.data import is_array
from agentflow.definition.durations import UnreadableError
from agentflow.definition.models import Model
from agentflow.definition.shell_text import shell_references
from agentflow.expressions import NAMESPACES
from agentflow.steps.fields import Name, Text

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _plain_text(value: str) -> str:
    if "\0" in value:
        raise ValueError("it has a NUL character, which no program can be given")
    return value


def _variable(value: str) -> str:
    if not _VARIABLE.fullmatch(value):
        raise ValueError(f'"{value}" can\'t be the name of an environment variable')
    return value


Argument = Annotated[Text, AfterValidator(_plain_text)]
Variable = Annotated[str, AfterValidator(_variable)]


class ScriptConfig(Model):
    """A command, or a shell text; exactly one of the two."""

    command: Annotated[Name, AfterValidator(_plain_text)] | None = None
    """Program to run, without a shell: its name on the PATH, or its path."""
    args: tuple[Argument, ...] = ()
    """Its arguments; each one stays one argument, whatever it holds."""
    run: Annotated[Name, AfterValidator(_plain_text)] | None = None
    """Shell text. Values get into it by `env:` only, as `"$NAME"`."""
    shell: Literal["bash", "sh", "zsh"] | None = None
    """Shell of `run`; default: bash."""
    env: dict[Variable, Argument] | None = None
    """Environment variables; of the process's own only the likes of PATH, HOME and LANG are passed on."""
    cwd: Annotated[Name, AfterValidator(_plain_text)] | None = None
    """Folder it runs in, from the config's folder; default: that folder."""
    output_format: Literal["text", "json", "stream"] | None = None
    """`text` keeps stdout as text (`{"output": …}`), `json` insists on JSON, `stream` logs its lines as they come.

    Default: JSON objects and arrays are read, the rest is text, `{"output": …}`."""

    @field_validator("command", mode="before")
    @classmethod
    def _one_program(cls, value: object) -> object:
        if is_array(value):
            words = [str(word) for word in value] or ["…"]
            args = f", args: [{', '.join(words[1:])}]" if words[1:] else ""
            raise UnreadableError("a command is one program, not a list", f"write command: {words[0]}{args}")
        return value

    @field_validator("run")
    @classmethod
    def _no_references(cls, value: str | None) -> str | None:
        # validation has found loops' own names too; here a definition made in Python is stopped
        for found in shell_references(value or "", NAMESPACES):
            text = (value or "")[found.offset : found.offset + found.length]
            raise ValueError(
                f'{text} would become shell text; give it as a variable: env: {{VALUE: "{text}"}}, '
                'and write "$VALUE" here'
            )
        return value

    @model_validator(mode="after")
    def _one(self) -> ScriptConfig:
        if (self.command is None) == (self.run is None):
            raise ValueError("give either command or run")
        if self.run is None and self.shell is not None:
            raise ValueError("shell goes with run, not with command")
        if self.run is not None and self.args:
            raise ValueError("args go with command; give values to run by env")
        return self
