"""Checks the Python functions that a config names: that they are there, and take what their steps give them.

This imports the config's modules, and nothing else is run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import replace
from typing import Any

from agentflow.config.result import Config
from agentflow.definition.models import Step, Workflow
from agentflow.definition.pointers import join
from agentflow.definition.scopes import walk
from agentflow.definition.suggest import nearest
from agentflow.definition.templates import has_template
from agentflow.errors import Problem, StepError
from agentflow.steps.functions import misfit, takes
from agentflow.steps.modules import ModuleLoader


def check_functions(config: Config) -> list[Problem]:
    """Return what is wrong with functions of python steps, tools and agents, and with how those steps call them."""
    loader = ModuleLoader(config.folder, config.python_modules)
    try:
        # what a module prints while it is imported isn't the command's result
        with redirect_stdout(sys.stderr):
            return list(_Functions(config, loader).problems())
    finally:
        loader.close()


class _Functions:
    def __init__(self, config: Config, loader: ModuleLoader) -> None:
        self.config = config
        self.loader = loader
        self.found: dict[str, Callable[..., Any] | None] = {}
        self.failed: set[str] = set()
        """Modules that can't be imported: told once."""

    def problems(self) -> Iterator[Problem]:
        tools: dict[str, Callable[..., Any]] = {}
        for section, entries in (("tools", self.config.tools), ("agents", self.config.agents)):
            for name, entry in entries.items():
                target = entry.get("python")
                if isinstance(target, str):
                    pointer = join("", section, name, "python")
                    yield from self._told(target, f'{section[:-1]} "{name}"', pointer, None)
                    function = self.found.get(target)
                    if section == "tools" and function is not None:
                        tools[name] = function
        for workflow in self.config.workflows.values():
            for scope in walk(workflow):
                for located in scope.located:
                    yield from self._step(workflow, located.step, located.address, tools)

    def _step(
        self, workflow: Workflow, step: Step, address: str, tools: Mapping[str, Callable[..., Any]]
    ) -> Iterator[Problem]:
        target: Any = step.config.get("function" if step.type == "python" else "tool_name")
        if step.type not in ("python", "tool_call") or not isinstance(target, str) or "{" in target:
            return
        owner = f'step "{step.id}"'
        parsed = self.config.parsed.get(workflow.id)
        if step.type == "python":
            at = parsed.pointer(address, "function") if parsed is not None else ""
            yield from self._told(target, owner, at, workflow.id)
            function = self.found.get(target)
        else:
            function = tools.get(target) if "server" not in step.config else None
        if function is None:
            return
        field = "input" if "input" in step.config else "with"
        given: Any = step.config["input"] if field == "input" else step.with_
        if isinstance(given, str) and has_template(given, lambda text: "{" in text):
            return  # only known when it runs
        yield from self._arguments(function, target, owner, given, (workflow.id, address, field))

    def _arguments(
        self, function: Callable[..., Any], target: str, owner: str, given: Any, where: tuple[str, str, str]
    ) -> Iterator[Problem]:
        wrong = misfit(function, given)
        if wrong is None:
            return
        missing, unknown = wrong
        workflow, address, field = where
        parsed = self.config.parsed.get(workflow)
        hint = f"it takes {takes(function)}"
        for key in unknown:
            near = next(iter(nearest(key, missing, 1)), None)
            missing = [name for name in missing if name != near]
            pointer = parsed.pointer(address, field, key) if parsed is not None else ""
            what = f'{owner} gives "{key}" to "{target}", which has no such parameter'
            label = f'did you mean "{near}"?' if near else None
            yield self._problem("AF-PYTHON-ARGUMENTS", what, pointer, workflow, key=True, label=label, hint=hint)
        if missing:
            names = " and ".join(f'"{name}"' for name in missing[:3])
            written = parsed.pointer(address, field if given is not None else None) if parsed is not None else ""
            what = f'{owner} calls "{target}" without {names}'
            key = given is not None
            yield self._problem("AF-PYTHON-ARGUMENTS", what, written, workflow, key=key, label=None, hint=hint)
        if not missing and not unknown:
            pointer = parsed.pointer(address, field) if parsed is not None else ""
            what = f'{owner} gives "{target}" a single value'
            yield self._problem("AF-PYTHON-ARGUMENTS", what, pointer, workflow, key=True, label=None, hint=hint)

    def _told(self, target: str, owner: str, pointer: str, workflow: str | None) -> Iterator[Problem]:
        """Look for a function; what keeps it from being found is told where it is named."""
        module = target.partition(":")[0]
        if target in self.found or module in self.failed or not self.loader.allows(module):
            return  # one that isn't allowed is told by the other checks
        try:
            self.found[target] = self.loader.load(target)
        except StepError as error:
            if error.code == "AF-PYTHON-IMPORT":
                self.failed.add(module)
            else:
                self.found[target] = None
            at = error.data.get("at")
            what = f"{owner}: {error.what}" + (f" ({at})" if at else "")
            hint = error.hint or error.why or "`--no-import` leaves functions unchecked"
            yield self._problem(error.code, what, pointer, workflow, key=False, label=None, hint=hint)

    def _problem(
        self,
        code: str,
        what: str,
        pointer: str,
        workflow: str | None,
        *,
        key: bool,
        label: str | None,
        hint: str | None,
    ) -> Problem:
        file = self.config.sources.get(workflow, "") if workflow is not None else next(iter(self.config.documents), "")
        document = self.config.documents.get(file)
        place = document.place(pointer, key=key) if document is not None else None
        hide = self.config.redactor.text
        problem = Problem(code, hide(what), pointer, place, label, None if hint is None else hide(hint))
        return replace(problem, workflow=workflow) if workflow is not None else problem
