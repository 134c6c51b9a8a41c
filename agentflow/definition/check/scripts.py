"""Scripts: values reach a program by its arguments and its environment, never as text that a program runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from agentflow.data import is_array
from agentflow.definition.check.lookalikes import in_shell
from agentflow.definition.check.report import Report, Spot
from agentflow.definition.programs import Evaluated, Word, evaluated, program_name
from agentflow.definition.scopes import Located
from agentflow.definition.shell_text import shell_references
from agentflow.expressions import ExpressionError, Reference, compile_value
from agentflow.expressions.view import Dialect


def check_script(located: Located, names: frozenset[str], dialect: Dialect, report: Report) -> None:
    """Report references in the shell text of a script, and in arguments that are a program's text.

    Args:
        located: the step.
        names: all that references may begin with.
        dialect: as in templates.
        report: where problems go.
    """
    config = located.step.config
    if isinstance(config.get("run"), str):
        _check_text(located, config["run"], shell_references(config["run"], names, dialect), report)
        _check_braces(located, config["run"], names, report)
    elif isinstance(config.get("command"), str):
        _check_arguments(located, names, dialect, report)


def _check_text(located: Located, text: str, references: Sequence[Reference], report: Report) -> None:
    for ref in references:
        name = re.sub(r"\W+", "_", "_".join(map(str, ref.path)) or ref.namespace).upper()
        reference = text[ref.offset : ref.offset + ref.length]
        report.add(
            "AF-SHELL-REFERENCE",
            f'step "{located.step.id}" has a reference in shell text, where its value could be run as a command',
            Spot(located.address, "run", (), ref.offset, ref.length),
            label=f'write "${name}"',
            hint=f'and give the value by the environment: env: {{{name}: "{reference}"}}',
        )


def _check_braces(located: Located, text: str, names: frozenset[str], report: Report) -> None:
    """Warn of what stands in a shell text like a reference: neither agentflow nor the shell puts a value there."""
    for one in in_shell(text, names) if "{" in text else ():
        report.add(
            "AF-TEMPLATE-ROOT",
            one.message,
            Spot(located.address, "run").at(one.offset, len(one.text)),
            label='write "$VALUE"',
            hint=f'and give the value by the environment: env: {{VALUE: "{one.meant}"}}',
            severity="warning",
        )


def _check_arguments(located: Located, names: frozenset[str], dialect: Dialect, report: Report) -> None:
    command: str = located.step.config["command"]
    _check_program(located, command, report)
    args: Any = located.step.config.get("args", ())
    listed = [str(arg) for arg in args] if is_array(args) else [args] if isinstance(args, str) else []
    found = [_references(text, names, dialect) for text in (command, *listed)]
    if not any(found):
        return
    words = [
        Word(text, not references, text[: references[0].offset] if references else "")
        for text, references in zip((command, *listed), found, strict=True)
    ]
    if not is_array(args) and listed and not words[1].constant:
        words[1:] = [Word(listed[0], constant=False)] * 3  # a list from elsewhere may hold anything
    wrong = evaluated(words)
    if wrong is None:
        return
    number = min(wrong.number, len(listed))
    ref = found[number][0]
    text = (command, *listed)[number]
    path = (number - 1,) if is_array(args) and number else ()
    spot = Spot(located.address, "args" if number else "command", path, ref.offset, ref.length)
    _tell(located, wrong, text[ref.offset : ref.offset + ref.length], spot, report)


def _references(text: str, names: frozenset[str], dialect: Dialect) -> Sequence[Reference]:
    try:
        return compile_value(text, names, dialect=dialect).references
    except ExpressionError:  # told where templates are checked
        return ()


def _tell(located: Located, wrong: Evaluated, reference: str, spot: Spot, report: Report) -> None:
    owner, name = f'step "{located.step.id}" (script)', program_name(wrong.program)
    variable = f'env: {{VALUE: "{reference}"}}'
    if wrong.kind == "program":
        what = f"{owner} takes {reference} as a program to run"
        hint = f"name the program; a `switch` chooses between steps, and shell text can run a variable: {variable}"
    elif wrong.kind == "option":
        what = f'{owner} gives {reference} where "{name}" may take it for an option that runs something'
        hint = f'put "--" before it, or give it as a variable: {variable}'
    else:
        what = f'{owner} has {reference} in what "{name}" runs, where its value would become program text'
        hint = f'give it as a variable: {variable}, and read it there: "$VALUE" in a shell'
    report.add("AF-SHELL-REFERENCE", what, spot, hint=hint)


def _check_program(located: Located, command: str, report: Report) -> None:
    """Warn of arguments in `command`: it names a program, and isn't read by a shell."""
    words = command.split()
    if len(words) < 2 or "{" in command:
        return
    if "/" in words[0] and not any(word[0] in "-|&;<>" for word in words[1:]):
        return  # a path with blanks
    shell = any(word[0] in "|&;<>" for word in words[1:])
    label = f"write run: {command}" if shell else f"write command: {words[0]}, args: [{', '.join(words[1:])}]"
    what = f'"command" of step "{located.step.id}" is one program, and no shell reads it: "{command}" won\'t be found'
    spot = Spot(located.address, "command")
    report.add("AF-SCRIPT-START", what, spot, label=label, severity="warning")
