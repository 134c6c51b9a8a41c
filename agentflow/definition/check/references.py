"""References inside templates and conditions: do they name what exists, comes before, and may stand there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from agentflow.data import is_array, is_object
from agentflow.definition.check.braces import all_read, check_braces
from agentflow.definition.check.dependencies import Dependencies
from agentflow.definition.check.info import EnvInfo
from agentflow.definition.check.lookalikes import Around, lookalikes
from agentflow.definition.check.loops import check_items
from agentflow.definition.check.ordering import Ordering
from agentflow.definition.check.report import Report, Spot, known
from agentflow.definition.check.secrets import Secrets
from agentflow.definition.check.sites import Site, bound_names, step_sites, workflow_sites
from agentflow.definition.check.typed import check_comparison, check_type
from agentflow.definition.check.visible import Found, Missing, declared, elsewhere, guess, resolve, schema_of, visible
from agentflow.definition.models import Workflow
from agentflow.definition.scopes import Located, Scope
from agentflow.definition.types import StepTypeLike, TypeLookup
from agentflow.expressions import NAMESPACES, Escape, ExpressionError, Reference, compile_condition, compile_value


class References:
    """Checks every template and every condition of a workflow."""

    def __init__(
        self, workflow: Workflow, scopes: Sequence[Scope], dependencies: Dependencies, env: EnvInfo, report: Report
    ) -> None:
        """Make the check.

        Args:
            workflow: what is checked.
            scopes: all its scopes, each before those inside it.
            dependencies: the checked order.
            env: what the config offers.
            report: where problems go.
        """
        self._workflow = workflow
        self._scopes = scopes
        self._main = scopes[0]
        self._dependencies = dependencies
        self._env = env
        self._report = report
        self._schemas: dict[int, dict[str, Any] | None] = {}
        self._bound: dict[Scope, frozenset[str]] = {}
        self._secrets = Secrets(workflow, env, report)
        self._ordering = Ordering(workflow, dependencies, report)

    def check(self, types: TypeLookup) -> None:
        """Check all steps, then the workflow's own templates."""
        specs: dict[str, StepTypeLike | None] = {}
        for scope in self._scopes:
            bound = self._bound[scope] = bound_names(scope, self._bound)
            for located in scope.located:
                step = located.step
                if step.type not in specs:
                    specs[step.type] = types(step.type)
                self._secrets.enter(located, specs[step.type])
                for site in step_sites(located, specs[step.type], bound):
                    self._check_site(site, located)
                if step.type == "script":
                    self._check_script(located, self._all_names(located, bound))
                if step.for_each is not None or step.type == "for_each":
                    check_items(located, self._all_names(located, bound), self._workflow.dialect, self._report)
        for site in workflow_sites(self._workflow):
            self._check_site(site, None)
        self._ordering.finish()

    def _check_script(self, located: Located, names: frozenset[str]) -> None:
        from agentflow.definition.check.scripts import check_script  # noqa: PLC0415  knows shells, which few files need

        check_script(located, names, self._workflow.dialect, self._report)

    def _all_names(self, located: Located, bound: frozenset[str]) -> frozenset[str]:
        loop, values = located.step.for_each, located.step.with_
        names = NAMESPACES | bound | ({loop.item, loop.index} if loop is not None else frozenset[str]())
        return names | frozenset(values) if self._workflow.dialect == "distri" and values else names

    def _names(self, site: Site, here: Located | None) -> frozenset[str]:
        names = NAMESPACES | site.bound if site.bound else NAMESPACES
        if here is not None and self._workflow.dialect == "distri" and here.step.with_ and site.field != "with":
            names |= frozenset(here.step.with_)
        return names

    def _check_site(self, site: Site, here: Located | None) -> None:
        names = self._names(site, here)
        dialect = self._workflow.dialect
        escapes: tuple[Escape, ...] = ()
        try:
            if site.kind == "condition":
                references = compile_condition(site.value, names, dialect=dialect).references
            else:
                compiled = compile_value(site.value, names, dialect=dialect)
                references, escapes = compiled.references, compiled.escapes
        except ExpressionError as error:
            self._syntax(site, error, names, here)
            return
        if site.kind == "template":
            written = texts(site.value)
            if escapes or not all_read(written, references):
                check_braces(site.spot, written, escapes, self._around(site, names, here), self._report)
        for reference in references:
            self._check_reference(reference, site, here)

    def _syntax(self, site: Site, first: ExpressionError, names: frozenset[str], here: Located | None) -> None:
        """Report what can't be compiled; in a template of several texts, of each one the first mistake."""
        errors: list[tuple[tuple[str | int, ...], ExpressionError]] = []
        if site.kind == "template":
            for path, text in texts(site.value):
                try:
                    compile_value(text, names, dialect=self._workflow.dialect)
                except ExpressionError as error:
                    errors.append((path, error))
        elif "{" in site.value:
            meant = next(lookalikes(site.value, self._around(site, names, here)), None)
            if meant is not None:
                spot = site.spot.at(meant.offset, len(meant.text))
                self._report.add(first.code, first.what, spot, label=f"did you mean {meant.meant}?")
                return
        for path, error in errors or [(first.value_path, first)]:
            spot = site.spot.below(*path).at(error.offset, error.length)
            self._report.add(error.code, error.what, spot, label=error.label, hint=error.hint)

    def _around(self, site: Site, names: frozenset[str], here: Located | None) -> Around:
        """Return what can be named where a value stands."""

        def is_step(name: str) -> bool:
            return resolve(name, here, self._main, site.inside) is not None

        properties = (self._workflow.input_schema or {}).get("properties")
        shell = here is not None and here.step.type == "script" and site.field in ("args", "env")
        inputs = properties if is_object(properties) else {}
        return Around(names, is_step, inputs, self._workflow.context, site.bound, shell)

    def _check_reference(self, ref: Reference, site: Site, here: Located | None) -> None:
        name = ref.namespace
        if self._secrets.matter:
            self._secrets.check(ref, site, here, shadowed=name == "context" and self._shadowed(ref, here))
        if name == "steps":
            self._check_step(ref, site, here)
        elif name == "input":
            self._check_input(ref, site, here)
        elif name == "env":
            if self._env.env is not None and ref.path and str(ref.path[0]) not in self._env.env:
                hint = "list it under `env:`" if self._env.env else f"write `env: [{ref.path[0]}]` in the config"
                self._unknown(ref, site, "AF-REF-ENV", "environment name", self._env.env, hint)
        elif name == "context":
            self._check_context(ref, site)
        elif name == "with":
            self._check_with(ref, site, here)
        elif name == "run":
            if len(ref.path) > 1 and ref.path[0] == "steps" and ref.path[1] not in self._main.ids:
                self._unknown(ref, site, "AF-REF-STEP", "step", self._main.ids, None, depth=1)
        elif name in ("item", "index") and name not in site.bound:
            if self._workflow.dialect == "distri" and here is not None and name in (here.step.with_ or {}):
                return
            self._report.add(
                "AF-REF-LOOP",
                f'"{self._text(ref, site)}" has no value: nothing is looped over here',
                self._spot(ref, site),
                label=f"the loop calls it {{{min(site.bound)}}}" if site.bound else None,
                hint="only steps with `for_each`, and steps inside a loop, have it",
            )

    def _shadowed(self, ref: Reference, here: Located | None) -> bool:
        """Tell whether distri's search finds a name before it comes to env."""
        if not ref.path:
            return True
        name = str(ref.path[0])
        inputs = (self._workflow.input_schema or {}).get("properties")
        return (is_object(inputs) and name in inputs) or resolve(name, here, self._main) is not None

    def _check_step(self, ref: Reference, site: Site, here: Located | None) -> None:
        if not ref.path:
            return
        name = str(ref.path[0])
        found = resolve(name, here, self._main, site.inside)
        if found is None:
            self._unknown_step(name, ref, site, here)
            return
        if here is not None and found.located is here and site.own:
            found = Found(here, None, sure=True)
        schema = declared(
            schema_of(found.located.step, self._env, self._schemas), ref.path[1:], self._env, self._schemas
        )
        if isinstance(schema, Missing):
            if not ref.jsonpath and not self._allowed(ref, site):
                self._undeclared(schema, ref, site, name)
            schema = None
        if not found.sure and here is not None and found.source is not None and not self._allowed(ref, site):
            self._ordering.ask(found, here, lambda: (self._spot(ref, site, name), self._text(ref, site)))
        if not ref.jsonpath:
            self._compare(ref, site, here, schema, f'step "{name}"')

    def _allowed(self, ref: Reference, site: Site) -> bool:
        """Tell whether the author wrote that the value may be missing; in conditions every value may."""
        if site.kind == "template":
            return ref.optional
        return self._text(ref, site).rstrip("}").endswith("?")

    def _compare(
        self, ref: Reference, site: Site, here: Located | None, schema: dict[str, Any] | None, source: str
    ) -> None:
        if schema is None:
            return
        value = at_path(site.value, ref.value_path)
        if site.kind == "condition":
            check_comparison(ref, str(value), schema, source, site.spot, self._report)
        elif isinstance(value, str) and ref.offset == 0 and ref.length == len(value):
            check_type(ref, value, schema, source, site, here, self._workflow, self._env, self._report)

    def _unknown_step(self, name: str, ref: Reference, site: Site, here: Located | None) -> None:
        if self._dependencies.unnamed or self._report.only_counted():
            return
        names = list(dict.fromkeys(visible(here, self._main, site.inside)))
        label, hint = elsewhere(name, self._dependencies.homes(name), here)
        if label is None:
            label = self._report.meant(name, names)
            others = [one for one in names if here is None or one != here.step.id]
            hint = None if label else known(others, "steps here")
        message = f'unknown step "{name}" in a {site.kind}'
        self._report.add("AF-REF-STEP", message, self._spot(ref, site, name), label=label, hint=hint)

    def _undeclared(self, missing: Missing, ref: Reference, site: Site, step: str) -> None:
        label, hint = guess(missing, self._report)
        if missing.steps:
            message = f'unknown step "{missing.name}" inside "{step}" in a {site.kind}'
            code = "AF-REF-STEP"
        else:
            message = f'the result of "{step}" has no "{".".join(map(str, ref.path[1 : missing.depth + 2]))}"'
            code = "AF-REF-FIELD"
        self._report.add(code, message, self._spot(ref, site, missing.name), label=label, hint=hint)

    def _check_input(self, ref: Reference, site: Site, here: Located | None) -> None:
        schema = self._workflow.input_schema
        if schema is None or not is_object(schema.get("properties")):
            return
        schema = declared(schema, ref.path, self._env, self._schemas)
        if isinstance(schema, Missing):
            if ref.jsonpath:
                return
            label, hint = guess(schema, self._report)
            name = ".".join(map(str, ref.path[: schema.depth + 1]))
            message = f'undeclared input "{name}" in a {site.kind}'
            self._report.add("AF-REF-INPUT", message, self._spot(ref, site, schema.name), label=label, hint=hint)
        elif not ref.jsonpath:
            self._compare(ref, site, here, schema, "the input schema")

    def _check_context(self, ref: Reference, site: Site) -> None:
        declared = self._workflow.context
        if self._workflow.dialect != "agentflow" or not ref.path or ref.path[0] == "last_response":
            return
        if ref.path[0] in declared:
            return
        hint = "declare it under the workflow's `context:`"
        self._unknown(ref, site, "AF-REF-CONTEXT", "shared key", {**declared, "last_response": None}, hint)

    def _check_with(self, ref: Reference, site: Site, here: Located | None) -> None:
        keys = (here.step.with_ or {}) if here is not None and site.values else {}
        if not ref.path or ref.path[0] in keys:
            return
        hint = None
        if not keys:
            hint = "`with` can't read itself" if site.field == "with" else "give the step a `with:` that has it"
        self._unknown(ref, site, "AF-REF-WITH", "value of `with`", keys, hint)

    def _unknown(
        self,
        ref: Reference,
        site: Site,
        code: str,
        what: str,
        choices: Collection[str],
        hint: str | None,
        *,
        depth: int = 0,
    ) -> None:
        if self._report.only_counted():
            return
        name = str(ref.path[depth])
        label = self._report.meant(name, choices)
        hint = None if label else hint or known(choices, "there is")
        self._report.add(
            code, f'unknown {what} "{name}" in a {site.kind}', self._spot(ref, site, name), label=label, hint=hint
        )

    def _text(self, ref: Reference, site: Site) -> str:
        value = at_path(site.value, ref.value_path)
        return value[ref.offset : ref.offset + ref.length] if isinstance(value, str) else ref.text

    def _spot(self, ref: Reference, site: Site, part: str | None = None) -> Spot:
        """Return where a reference stands, or one part of it."""
        spot = site.spot.below(*ref.value_path)
        text = self._text(ref, site)
        found = text.find(part, text.find(ref.namespace) + len(ref.namespace)) if part else -1
        if found < 0 or part is None:
            return spot.at(ref.offset, ref.length)
        return spot.at(ref.offset + found, len(part))


def texts(value: Any) -> list[tuple[tuple[str | int, ...], str]]:
    """Return all texts in a value with their paths."""
    if isinstance(value, str):
        return [((), value)]
    found: list[tuple[tuple[str | int, ...], str]] = []
    stack: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    while stack:
        path, item = stack.pop()
        if isinstance(item, str):
            found.append((path, item))
        elif is_object(item):
            stack.extend(((*path, key), one) for key, one in reversed(item.items()))
        elif is_array(item):
            stack.extend(((*path, number), one) for number, one in reversed(list(enumerate(item))))
    return found


def at_path(value: Any, path: Sequence[str | int]) -> Any:
    """Return the value at a path."""
    for part in path:
        value = value[part]
    return value
