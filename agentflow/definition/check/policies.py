"""What steps promise and need: requirements, retries of at-most-once steps, shared keys, schemas, sizes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from agentflow.data import is_object
from agentflow.definition.check.gates import check_gates
from agentflow.definition.check.headers import check_headers
from agentflow.definition.check.ids import ID_RULE, LONGEST_ID, is_plain_id
from agentflow.definition.check.info import EnvInfo
from agentflow.definition.check.report import Report, Spot, known
from agentflow.definition.check.schemas import check_schema, check_value
from agentflow.definition.check.sites import mentions
from agentflow.definition.check.timed import check_poll, check_recur, check_schedule
from agentflow.definition.check.triggers import check_filter
from agentflow.definition.faults import shorten
from agentflow.definition.models import GivenStep, RetryPolicy, Step, Workflow
from agentflow.definition.places import MAX_BYTES, MAX_DEPTH
from agentflow.definition.repeats import FAILURES_HINT, unknown_failures
from agentflow.definition.requires import BY_NAME, NATIVE, skill_fault, synonym
from agentflow.definition.scopes import Located, Scope
from agentflow.definition.types import StepTypeLike, TypeLookup
from agentflow.errors import Severity

_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|\{")
_HOST = re.compile(r"(?:[\w-]+\.)+[a-z]{2,}(?:[/:?]|$)|localhost\b")
"""What begins like the name of a host."""
_WAITS = ("wait_for_input", "external_tool_call")


class Policies:
    """Checks that look at one step and the steps around it."""

    def __init__(self, workflow: Workflow, scopes: Sequence[Scope], env: EnvInfo, report: Report) -> None:
        """Make the check."""
        self._workflow = workflow
        self._scopes = scopes
        self._env = env
        self._report = report
        self._severity: Severity = "warning" if workflow.dialect == "distri" else "error"
        self._ungranted: dict[str, list[Located]] = {}
        self._special: dict[str, Callable[[Located], None]] = {
            "end": self._check_end,
            "recur": lambda located: check_recur(located, report),
            "schedule": lambda located: check_schedule(located, report),
            "poll": lambda located: check_poll(located, report),
            "reply": self._check_reply,
            "while": self._check_loop,
            "until": self._check_loop,
            "switch": self._check_switch,
            "python": self._check_python,
            "wait_for_event": self._check_filter,
            "tool_call": self._check_tool,
            "agent_run": self._check_agent,
            "api_call": self._check_url,
            **dict.fromkeys(_WAITS, self._check_wait),
        }

    def check(self, types: TypeLookup) -> None:
        """Check the workflow's schemas, then every step."""
        self._check_id()
        for field in ("input_schema", "output_schema"):
            schema = getattr(self._workflow, field)
            if schema is not None:
                spot = Spot("", field)
                if check_schema(schema, spot, self._report, severity=self._severity) and field == "input_schema":
                    check_headers(schema, spot, self._report)
        if self._workflow.defaults.retry is not None:
            owner = f'"defaults" of workflow "{self._workflow.id}"'
            self._check_retry(self._workflow.defaults.retry, owner, Spot("", "defaults", ("retry",)))
        specs: dict[str, StepTypeLike | None] = {}
        for scope in self._scopes:
            for located in scope.located:
                step = located.step
                if step.type not in specs:
                    specs[step.type] = types(step.type)
                self._check_step(located, specs[step.type])
        self._tell_ungranted()

    def _check_id(self) -> None:
        name = self._workflow.id
        plain = is_plain_id(name) if self._workflow.dialect == "agentflow" else name.isprintable()
        if not plain or len(name) > LONGEST_ID:
            self._report.add(
                "AF-WORKFLOW-ID",
                f'"{shorten(name, 60)}" is no workflow id: {ID_RULE}',
                Spot("", key=True),
                hint="put what people should read into `label`",
            )

    def _check_step(self, located: Located, spec: StepTypeLike | None) -> None:
        step = located.step
        if step.requires:
            self._check_requires(located)
        if step.requires or (spec is not None and spec.skills):
            self._check_granted(located, spec)
        if step.at_most_once:
            self._check_once(located)
        if step.estimate is not None and spec is not None and spec.bodies:
            self._report.add(
                "AF-FIELD-VALUE",
                f'"estimate" of step "{step.id}" has no effect: a step that holds others uses nothing itself',
                Spot(located.address, "estimate", key=True),
                hint="give the steps inside of it an estimate each",
                severity="warning",
            )
        if step.approve is not None or step.review is not None or step.on_interrupted != "fail":
            check_gates(located, spec, self._report)
        if step.retry is not None:
            self._check_retry(step.retry, f'"retry" of step "{step.id}"', Spot(located.address, "retry"))
        if step.update:
            self._check_update(located)
        special = self._special.get(step.type)
        if special is not None and located.address not in self._report.pointers.broken:
            special(located)

    def _check_requires(self, located: Located) -> None:
        for number, need in enumerate(located.step.requires):
            fault = skill_fault(need.skill)
            if fault is not None:
                label = self._meant_skill(need.skill)
                spot = Spot(located.address, "requires", (number, "skill"))
                self._report.add("AF-SKILL-INVALID", f'step "{located.step.id}": {fault}', spot, label=label)

    def _meant_skill(self, skill: str) -> str | None:
        namespace, colon, name = skill.partition(":")
        if colon and namespace != "native":
            return None
        word = name if colon else namespace
        near = synonym(word) or self._report.nearest(word, NATIVE)
        return None if near is None else f'did you mean "native:{near}"?'

    def _check_granted(self, located: Located, spec: StepTypeLike | None) -> None:
        granted = self._env.skills
        if granted is None:
            return
        given = isinstance(located.step, GivenStep)
        needed = [
            *(spec.skills if spec is not None and not given else ()),
            *(need.skill for need in located.step.requires),
        ]
        for skill in dict.fromkeys(needed):
            if skill.startswith("native:") and skill not in granted and skill_fault(skill) is None:
                self._ungranted.setdefault(skill, []).append(located)

    def _tell_ungranted(self) -> None:
        for skill, users in self._ungranted.items():
            more = f" (and {len(users) - 1} more)" if len(users) > 1 else ""
            hint = f"add `skills: [{skill}]` to the config if you trust this workflow"
            if skill in BY_NAME:
                hint = f'take `"{skill}": false` out of the config\'s skills if you trust this workflow'
            if skill == "native:python":
                hint = "list its module under `python: modules:` in the config if you trust it"
            self._report.add(
                "AF-SKILL-MISSING",
                f'step "{users[0].step.id}"{more} needs {skill}, which the config doesn\'t grant',
                Spot(users[0].address, "id" if not users[0].scope.single else None),
                hint=hint,
                severity="warning",
            )

    def _check_once(self, located: Located) -> None:
        step = located.step
        if _retries(step):
            self._report.add(
                "AF-STEP-ONCE",
                f'step "{step.id}" runs at most once, so it can\'t be retried',
                Spot(located.address, "retry" if step.retry else "on_error", key=True),
                hint="remove `retry`, or remove `at_most_once` if running it twice does no harm",
            )
        holder = located.scope.owner
        while holder is not None:
            if _retries(holder.step):
                self._report.add(
                    "AF-STEP-ONCE",
                    f'step "{step.id}" runs at most once, but "{holder.step.id}" around it is retried',
                    Spot(located.address, "at_most_once", key=True),
                    label=f"the retry is{self._report.where(_retry_spot(holder))}",
                    hint=f'remove the retry of "{holder.step.id}", or move "{step.id}" out of it',
                )
                return
            holder = holder.scope.owner

    def _check_retry(self, policy: RetryPolicy, owner: str, spot: Spot) -> None:
        for number, name, label in unknown_failures(policy):
            what = f'{owner} repeats on "{name}", which is no kind of failure'
            self._report.add("AF-RETRY-KIND", what, spot.below("on", number), label=label, hint=FAILURES_HINT)

    def _check_update(self, located: Located) -> None:
        declared = self._workflow.context
        for name in located.step.update or {}:
            if name not in declared:
                label = self._report.meant(name, declared)
                self._report.add(
                    "AF-REF-CONTEXT",
                    f'step "{located.step.id}" updates an undeclared shared key "{name}"',
                    Spot(located.address, "update", (name,), key=True),
                    label=label,
                    hint=None if label else "declare it under the workflow's `context:`",
                )

    def _check_wait(self, located: Located) -> None:
        schema = located.step.config.get("schema")
        if not is_object(schema):
            return
        spot = Spot(located.address, "schema")
        config = located.step.config
        if (
            check_schema(schema, spot, self._report, templates=True, severity=self._severity)
            and "default" in config
            and not mentions(config["default"])
        ):
            what = f'the default of step "{located.step.id}"'
            check_value(config["default"], schema, what, Spot(located.address, "default"), self._report)

    def _check_end(self, located: Located) -> None:
        name = located.step.config.get("scope", "run")
        around: list[str] = []
        holder = located.scope.owner
        while holder is not None:
            around.append(holder.step.id)
            holder = holder.scope.owner
        if isinstance(name, str) and "{" not in name and name != "run" and name not in around:
            choices = ["run", *around]
            self._report.add(
                "AF-END-SCOPE",
                f'step "{located.step.id}" ends "{name}", which isn\'t around it',
                Spot(located.address, "scope"),
                label=self._report.meant(name, choices),
                hint=known(choices, "what it can end"),
            )

    def _check_reply(self, located: Located) -> None:
        config = located.step.config
        if config.get("button_template") is not None and config.get("buttons_from") is None:
            self._report.add(
                "AF-REPLY-TEMPLATE",
                f'step "{located.step.id}" has a button_template but no buttons_from to make buttons of',
                Spot(located.address, "button_template", key=True),
                hint='give `buttons_from` a list, such as "{steps.search.items}"',
            )

    def _check_loop(self, located: Located) -> None:
        if located.step.config.get("max_iterations") is None:
            self._report.add(
                "AF-LOOP-ENDLESS",
                f'step "{located.step.id}" ({located.step.type}) needs a field "max_iterations": a loop has an end',
                Spot(located.address),
                hint="max_iterations: 100",
            )

    def _check_switch(self, located: Located) -> None:
        if not located.step.config.get("cases"):
            self._report.add(
                "AF-SWITCH-EMPTY", f'step "{located.step.id}" (switch) has no cases', Spot(located.address, "cases")
            )

    def _check_python(self, located: Located) -> None:
        if isinstance(located.step, GivenStep):
            return
        function, listed = located.step.config.get("function"), self._env.python_modules
        if not isinstance(function, str) or "{" in function:
            return
        spot = Spot(located.address, "function")
        module, colon, name = function.partition(":")
        if not (module and colon and name):
            what = f'"function" of step "{located.step.id}" (python) is written module:function, not "{function}"'
            self._report.add("AF-FIELD-VALUE", what, spot)
        elif listed and not any(module == one or module.startswith(f"{one}.") for one in listed):
            label = self._report.meant(module, listed)
            self._report.add(
                "AF-PYTHON-MODULE",
                f'step "{located.step.id}" uses the Python module "{module}", which isn\'t listed',
                spot,
                label=label,
                hint=None if label else f"python: {{modules: [{', '.join((*listed, module))}]}}",
            )

    def _check_filter(self, located: Located) -> None:
        text = located.step.config.get("filter")
        if isinstance(text, str) and "{" not in text:
            check_filter(text, Spot(located.address, "filter"), self._report)

    def _check_tool(self, located: Located) -> None:
        if located.step.config.get("server") is None:
            self._check_provider(located, "tool_name", "tool", self._env.tools)
        else:
            self._check_provider(located, "server", "tool server", self._env.tools)

    def _check_agent(self, located: Located) -> None:
        self._check_provider(located, "agent", "agent", self._env.agents)

    def _check_url(self, located: Located) -> None:
        """Warn of an address that is relative to nothing."""
        url = located.step.config.get("url")
        if not self._env.relative and isinstance(url, str) and not url.startswith("{") and not _ABSOLUTE.match(url):
            step = f'step "{located.step.id}"'
            what = f'the url "{shorten(url, 100)}" of {step} is relative, and the config has no http.base_url'
            label = f"write https://{url}" if _HOST.match(url) else None
            self._report.add("AF-FIELD-VALUE", what, Spot(located.address, "url"), label=label, severity="warning")

    def _check_provider(self, located: Located, field: str, what: str, names: frozenset[str] | None) -> None:
        """Warn about near misses, and where there is none at all: Python code may add some that no config lists."""
        name = located.step.config.get(field)
        if names is None or not isinstance(name, str) or "{" in name or name in names:
            return
        label = self._report.guessed(what, name, _ordered(names))
        none = not names and self._workflow.dialect == "agentflow"
        if label is not None or none:
            kind = what.rpartition(" ")[0] or what
            self._report.add(
                "AF-REF-PROVIDER",
                f'the config has no {what} "{name}"',
                Spot(located.address, field),
                label=label,
                hint=f'{kind}s: {{{name}: {{python: "module:function"}}}}' if none else None,
                severity="warning",
            )


@lru_cache(maxsize=4)
def _ordered(names: frozenset[str]) -> list[str]:
    return sorted(names)


def check_size(workflow: Workflow, scopes: Sequence[Scope], report: Report) -> bool:
    """Check nesting and size; returns whether further checks may look into the definition."""
    for scope in scopes:
        if 2 * scope.depth + 3 > MAX_DEPTH:
            report.add(
                "AF-DEFINITION-DEPTH",
                f'workflow "{workflow.id}" is nested deeper than {MAX_DEPTH} levels',
                Spot(scope.located[0].address if scope.located else ""),
                hint="move the inner steps to a workflow of their own and call it",
            )
            return False
    if len(workflow.__pydantic_serializer__.to_json(workflow, exclude_defaults=True, by_alias=True)) > MAX_BYTES:
        report.add(
            "AF-DEFINITION-SIZE",
            f'workflow "{workflow.id}" is larger than 16 MiB',
            Spot(""),
            hint="split it, or keep large data in files that steps read",
        )
        return False
    return True


def _retries(step: Step) -> bool:
    return (step.retry is not None and step.retry.max_attempts > 1) or step.on_error == "retry"


def _retry_spot(located: Located) -> Spot:
    return Spot(located.address, "retry" if located.step.retry is not None else "on_error", key=True)
