"""What is left of a config when workflows with errors are taken out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agentflow.config.result import Config
from agentflow.definition.check.calls import calls_of
from agentflow.errors import DefinitionError, Problem


def without_broken(config: Config, problems: Sequence[Problem]) -> Config:
    """Return a config without the workflows that have errors, and without those that call them.

    Raises:
        DefinitionError: an error is of the config itself, or nothing would be left.
    """
    broken: dict[str, list[Problem]] = {}
    modules: list[Problem] = []
    for problem in problems:
        if problem.severity == "error":
            if problem.workflow is None and _is_of_module(problem):
                modules.append(problem)
                continue
            if problem.workflow is None or problem.count > 1:
                raise DefinitionError(problems)
            broken.setdefault(problem.workflow, []).append(problem)
    for found in broken.values():
        if any(problem.code == "AF-STEP-TYPE" for problem in found):
            found.extend(modules)
    callers: dict[str, list[str]] = {}
    for name, workflow in config.workflows.items():
        for called in calls_of(workflow):
            callers.setdefault(called, []).append(name)
    stack = list(broken)
    while stack:
        called = stack.pop()
        for name in callers.get(called, ()):
            if name not in broken:
                what = f'workflow "{name}" calls "{called}", which has errors'
                broken[name] = [Problem("AF-CONFIG-INVALID", what, place=config.place(name, ""), workflow=name)]
                broken[name] += broken[called]
                stack.append(name)
    if broken.keys() >= config.workflows.keys():
        raise DefinitionError(problems)
    left = {name: workflow for name, workflow in config.workflows.items() if name not in broken}
    warnings = [problem for problem in problems if problem.severity == "warning" and problem.workflow not in broken]
    return replace(config, workflows=left, broken=broken, warnings=[*config.warnings, *warnings])


def _is_of_module(problem: Problem) -> bool:
    """Tell whether a module couldn't be imported: that concerns workflows whose step types nobody knows, no others."""
    return problem.code.startswith("AF-PYTHON-") and problem.pointer.startswith("/python/modules/")
