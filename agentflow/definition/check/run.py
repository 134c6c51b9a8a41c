"""The one entrance to all checks of a workflow."""

from __future__ import annotations

from agentflow.definition.check.calls import check_calls
from agentflow.definition.check.dependencies import Dependencies
from agentflow.definition.check.info import EnvInfo, Pointers
from agentflow.definition.check.policies import Policies, check_size
from agentflow.definition.check.references import References
from agentflow.definition.check.report import Report
from agentflow.definition.check.slots import check_slots
from agentflow.definition.check.triggers import check_entries
from agentflow.definition.models import Workflow
from agentflow.definition.scopes import walk
from agentflow.definition.tally import Tally
from agentflow.definition.types import PlaceOf, TypeLookup
from agentflow.errors import Problem


def check_workflow(
    workflow: Workflow,
    types: TypeLookup,
    *,
    env: EnvInfo,
    pointers: Pointers | None = None,
    place: PlaceOf | None = None,
    tally: Tally | None = None,
) -> list[Problem]:
    """Check everything about a workflow that can be known before it runs.

    Args:
        workflow: what to check.
        types: finds a step type by name, None if there is none (told by the parser, not here).
        env: what the config offers.
        pointers: where its parts stand in the document (`parse.Parsed`); None for workflows built in Python.
        place: finds a pointer's line and column (`source.Document.place`). Problems inside texts need it: only here is
            known where in the text they are, so `Problem.place` is filled here.
        tally: counts the problems of the whole config.

    Returns:
        The problems that are told, errors and warnings.
    """
    report = Report(pointers, place, tally)
    scopes = list(walk(workflow))
    if not check_size(workflow, scopes, report):
        return report.problems
    dependencies = Dependencies(scopes, report, lenient=workflow.dialect == "distri")
    dependencies.check()
    check_entries(workflow, report)
    Policies(workflow, scopes, env, report).check(types)
    check_calls(workflow, scopes, env, report)
    check_slots(scopes, env, report)
    References(workflow, scopes, dependencies, env, report).check(types)
    return report.problems
