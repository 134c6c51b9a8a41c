"""The engine: the one facade behind every front door."""

from __future__ import annotations

import builtins
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from agentflow.clock import Clock, SystemClock
from agentflow.config import Config
from agentflow.data import decode
from agentflow.definition.models import Workflow
from agentflow.engine.assembly import build_core
from agentflow.engine.commands import answers, retrying, starting
from agentflow.engine.gate import EVENT
from agentflow.engine.host.collector import rare_collections
from agentflow.engine.host.core import Core
from agentflow.engine.host.host import Host
from agentflow.engine.host.takeover import HostMode
from agentflow.engine.models import Answer, Decline, RetryPlan, Run, ToolFailure, WaitView, run_view, wait_view
from agentflow.engine.program import Program
from agentflow.engine.read.hosted import executed
from agentflow.engine.read.outputs import output_of
from agentflow.engine.read.watching import Watcher, Watching
from agentflow.errors import ConflictError, NotFoundError
from agentflow.ids import IdSource, is_id, new_id
from agentflow.steps.contract import UNSET
from agentflow.store import open_store
from agentflow.store.contract import Store
from agentflow.store.places import refuse_platform
from agentflow.store.rows import ENDED, TERMINAL, Event, RunQuery, RunRow, State, StepRow


class Engine:
    """Starts, executes, answers and shows runs. Open it with `async with Engine.open(…) as engine`."""

    def __init__(self, core: Core, host: Host, store: Store, config: Config) -> None:
        """Made by `open`."""
        self.core = core
        self.host = host
        self.store = store
        self.config = config
        looks = store.shared and host.takeover.mode == "none"
        self.watching = Watching(store, core.signals, store.changes() if looks else None)
        core.committer.on_commit.append(self.watching.committed)
        core.committer.on_change.append(self.watching.everybody)
        core.loader.tell_waiting = core.committer.tell_everybody

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        store: Store | str | Path | None = None,
        *,
        config: Config | None = None,
        workflows: Iterable[Workflow] = (),
        host: HostMode = "all",
        clock: Clock | None = None,
        ids: IdSource = new_id,
        functions: Mapping[str, Callable[..., Any]] | None = None,
        tools: Mapping[str, Any] | None = None,
        agents: Mapping[str, Any] | None = None,
        always_replay: bool = False,
        wire: bool = False,
        grace: float = 10.0,
    ) -> AsyncGenerator[Engine]:
        """Open an engine over a store.

        Args:
            store: a store, the path of a SQLite file, or `:memory:`; default: the config's.
            config: a loaded config; default: an empty one.
            workflows: further workflows, besides the config's.
            host: which runs this process executes: `all`, its `own`, or `none`.
            clock: time; default: the real one.
            ids: makes ids.
            functions: Python functions by `module:function`, besides the config's modules.
            tools: Python functions as tools, by name.
            agents: Python callables as agents, by name.
            always_replay: rebuild state from the store before every decision (for tests).
            wire: send attempts of steps, what they ask and what they come to through JSON (for tests).
            grace: seconds that running steps get when the engine closes.

        Raises:
            DefinitionError: a workflow isn't valid.
            StoreError: the store can't be opened. Out of the block: it was changed by a newer version, or deleted.
        """
        refuse_platform()
        clock = clock or SystemClock()
        config = starting.extended(config or Config(), workflows)
        if isinstance(store, str | Path) or store is None:
            location = store if store is not None else config.store_location
            opened = await open_store(location, durability=config.durability)
        else:
            opened = store
        opened.holder = ""
        if host != "none":
            name = new_id()
            await opened.liveness.join(name)
            opened.holder = name
        core = build_core(config, opened, clock, ids, functions or {}, tools or {}, agents or {}, wire=wire)
        core.loader.always_replay = always_replay
        engine = cls(core, Host(core, host), opened, config)
        raised: BaseException | None = None
        try:
            async with anyio.create_task_group() as group:
                try:
                    await group.start(engine.host.serve_workers)
                    engine.host.start(group)
                    with rare_collections():
                        yield engine
                except BaseException as error:  # told after the group, which would wrap it
                    if isinstance(error, (anyio.get_cancelled_exc_class(), GeneratorExit)):
                        raise
                    raised = error
                finally:
                    with anyio.CancelScope(shield=True):
                        await engine.host.shutdown(grace if host != "none" and not core.health.outdated else 0.0)
                    engine.host.end()
                    group.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await core.env.services.aclose()
                if opened is not store:
                    await opened.close()
                if host != "none":
                    await opened.liveness.leave()
        raised = core.health.outdated or raised
        if raised is not None:
            raise raised

    # starting and looking

    def register(self, workflow: Workflow) -> Program:
        """Make a workflow known besides the config's; raises DefinitionError when it isn't valid."""
        starting.extended(self.config, [workflow])
        return starting.register(self.core.env, workflow, self.config)

    async def start(
        self,
        workflow: str | Workflow,
        input: Any = None,  # noqa: A002  named as in the config
        *,
        entry_point: str | None = None,
        context_id: str | None = None,
        owner: str = "local",
        idempotency_key: str | None = None,
        message: Mapping[str, Any] | None = None,
        labels: Mapping[str, str] | None = None,
        door: str = "api",
    ) -> Run:
        """Start a run; it is committed when this returns.

        Raises:
            NotFoundError: no such workflow or entry point.
            InputError: the input doesn't fit; no run was made.
            ConflictError: the idempotency key was used with other input.
        """
        request = starting.Request(
            workflow, {} if input is None else input, entry_point, context_id, owner, idempotency_key, message,
            labels or {}, door,
        )  # fmt: skip
        started = await starting.start(self.core, self.host, self.config, request)
        if not isinstance(started, RunRow):
            return await self.get(started)
        return run_view(started, await output_of(self.store, started))

    async def get(self, run_id: str, *, output: bool = True) -> Run:
        """Return a run by its whole id, `output` with it; raises NotFoundError, and StoreError if that is damaged."""
        row = await self._row(run_id)
        return run_view(row, await output_of(self.store, row) if output else None)

    async def list(self, query: RunQuery | None = None) -> list[Run]:
        """Return runs, newest first; without outputs."""
        return [run_view(row) for row in await self.store.list_runs(query or RunQuery())]

    async def hosted(self, runs: Sequence[Run]) -> dict[str, bool | None]:
        """Tell of each run, by id, whether a live process executes it; None: it has ended, or nobody can know."""
        return await executed(self.store.liveness, runs)

    async def find(self, ending: str) -> str:
        """Return the whole id of the run that `@last`, an ending or a whole id names."""
        if ending == "@last":
            newest = await self.store.list_runs(RunQuery(limit=1))
            if not newest:
                raise NotFoundError("there are no runs yet", hint="agentflow run WORKFLOW")
            return newest[0].id
        return await self._find(ending, "run")

    async def find_wait(self, ending: str) -> str:
        """Return the whole id of the wait that an ending or a whole id names."""
        return await self._find(ending, "wait")

    async def _find(self, ending: str, kind: Any) -> str:
        code = "AF-RUN-UNKNOWN" if kind == "run" else "AF-WAIT-UNKNOWN"
        found = [ending] if is_id(ending) else await self.store.find(ending.lower(), kind)
        if not found:
            hint = "agentflow runs list" if kind == "run" else "agentflow waits list"
            raise NotFoundError(f'no {kind} ends in "{ending}"', code=code, hint=hint)
        if len(found) > 1:
            raise ConflictError(
                f'{len(found)} {kind}s end in "{ending}"', code="AF-ID-AMBIGUOUS", hint="give more characters"
            )
        return found[0]

    async def wait(self, run_id: str, timeout: float | None = None) -> Run:  # noqa: ASYNC109  it gives the state then, and doesn't fail
        """Return when a run has ended or only waits for answers; after `timeout` seconds as it is then.

        Raises StoreError when this process can't go on with it: its definition is damaged, or needs what isn't here.
        """
        row, key = None, self.core.cache.working(run_id)
        if key is None:
            row = await self._row(run_id)
            key = row.run
        with self.watching.states(key) as watcher:
            if timeout is None:
                row = await self._rest(run_id, row, watcher)
            else:
                with anyio.move_on_after(timeout) as scope:
                    row = await self._rest(run_id, row, watcher)
                if scope.cancelled_caught or row is None:
                    row = await self._row(run_id)
        return run_view(row, await output_of(self.store, row))

    async def _rest(self, run_id: str, row: RunRow | None, watcher: Watcher) -> RunRow:
        while row is None or not await self._at_rest(row):
            if row is not None and row.root in self.core.cache.unreadable:
                raise self.core.cache.unreadable[row.root]
            row = await watcher.next() or await self._row(run_id)
        return row

    async def _at_rest(self, row: RunRow) -> bool:
        """Tell whether a run has ended or waits; an answer that is there already moves it on at once."""
        if row.state in {"input-required", "auth-required"}:
            return not await self.store.inbox([row.root])
        return row.state in TERMINAL

    async def _row(self, run_id: str) -> RunRow:
        row = await self.store.get_run(run_id)
        if row is None:
            raise NotFoundError(f'no run "{run_id}"', hint="agentflow runs list")
        return row

    async def subscribe(self, run_id: str, after: int = 0, *, tree: bool = False) -> AsyncGenerator[Event, None]:
        """Yield a run's events after a number, then new ones as they come, until its end."""
        row = await self._row(run_id)
        with self.watching.events(row.run) as watcher:
            while True:
                found = await self.store.events(run_id, after, 500, tree)
                for event in found:
                    after = event.pos if tree else event.seq
                    yield event
                    if event.run_id == run_id and event.type in {"run_completed", "run_failed", "run_canceled"}:
                        return
                if not found:
                    if row.state in TERMINAL:  # its end was before `after`
                        return
                    await watcher.next()
                    row = await self._row(run_id)

    async def steps(self, run_id: str) -> list[StepRow]:
        """Return the steps of a run that were reached; raises StoreError if a stored result is damaged."""
        return await self.store.list_steps(run_id)

    async def result(self, run_id: str, address: str) -> Any:
        """Return a step's result."""
        step = await self.store.get_step(run_id, address)
        if step is None:
            raise NotFoundError(f'run "{run_id}" has no step "{address}"', code="AF-STEP-UNKNOWN")
        return decode(step.result) if step.result else None

    def missing(self, workflow: str) -> builtins.list[str]:
        """Return the skills and connections that steps of a workflow need and haven't got: they would fail."""
        program = self.core.env.catalog.current.get(workflow)
        return [] if program is None else self.core.env.missing_everywhere(program)

    # moving runs on

    async def resume(
        self, task_id: str, answer: Answer | Decline | ToolFailure, *, by: str = "local", door: str = "api",
        message_id: str | None = None,
    ) -> WaitView:  # fmt: skip
        """Answer a wait by its task's id, or by its run's id when exactly one wait is open.

        Raises:
            NotFoundError: no such wait.
            InputError: the value doesn't fit the wait's schema; the wait stays open.
            ConflictError: it was answered differently, or closed.
        """
        view, holders = await answers.resume(
            self.store,
            task_id,
            answer,
            by=by,
            door=door,
            message_id=message_id,
            at=self.core.env.now(),
            gate=self.core.env.gate,
            carry_out=self.host.takeover.answer,
        )
        if holders:
            await self._wake(holders)
        return wait_view(view)

    async def waits(self, run_id: str | None = None, *, owner: str | None = None) -> list[WaitView]:
        """Return open waits, oldest first; of a run with those of its child runs."""
        found = await self.store.list_tasks(run_id=run_id, tree=True, owner=owner)
        return [wait_view(view) for view in found]

    async def publish(self, topic: str, data: Any, *, id: str | None = None, owner: str = "local") -> int:  # noqa: A002  named as in the config
        """Publish an event to its owner's runs; returns how many waits it reached. The same id again reaches none."""
        data = self.core.env.gate.data(data, EVENT)
        self.core.env.gate.encoded([topic, id, owner], EVENT)
        count, holders = await self.store.publish(topic, data, id, self.core.env.now(), owner=owner)
        await self._wake(holders)
        return count

    async def cancel(self, task_id: str, *, force: bool = False, by: str = "local") -> Run:
        """Cancel a run with all below it, or decline a wait. A run that has ended stays as it is."""
        task = await self.store.get_task(task_id)
        if task is not None:
            await self.resume(task_id, Decline("canceled"), by=by)
            return await self.get(task.run_id)
        return await self._request(task_id, "cancel", {"by": by, "force": force})

    async def pause(self, run_id: str) -> Run:
        """Let nothing new start in a run, until `unpause`."""
        return await self._request(run_id, "pause", {})

    async def unpause(self, run_id: str) -> Run:
        """Go on with a paused run."""
        return await self._request(run_id, "unpause", {})

    async def _request(self, run_id: str, kind: str, data: dict[str, Any]) -> Run:
        run = await self.get(run_id)
        if run.ended:
            return run
        holder = await self.store.request(run_id, kind, data)
        await self._wake([holder])
        return await self.get(run_id)

    async def retry(
        self,
        run_id: str,
        from_step: str | None = None,
        *,
        input: Any = UNSET,  # noqa: A002  named as in the config
        new_definition: bool = False,
        dry_run: bool = False,
    ) -> RetryPlan | Run:
        """Start a new run that keeps what doesn't follow from a step.

        Args:
            run_id: a root run that has ended.
            from_step: where to begin; default: what failed.
            input: other input.
            new_definition: take the workflow as the config has it now; kept is what it doesn't change.
            dry_run: only tell what it would do.
        """
        plan = await retrying.plan(self.core, run_id, from_step, input, new_definition=new_definition)
        if dry_run:
            return plan.view
        new = await retrying.start(self.core, self.host, plan)
        return await self.get(new)

    async def purge(self, older_than: float, states: Collection[State] = ENDED) -> int:
        """Delete root runs that ended more than `older_than` seconds ago; returns how many."""
        total = 0
        while count := await self.store.purge(self.core.env.now() - older_than, states):
            total += count
        return total

    async def adopt(self, run_id: str) -> bool:
        """Execute a run's tree in this process, if no live host has it."""
        row = await self._row(run_id)
        if row.state in TERMINAL:
            return False
        if row.root in self.core.cache.trees:
            return True
        return await self.host.takeover.take(row.root)

    async def shutdown(self, grace: float = 10.0) -> None:
        """Start nothing more and let running steps end; what doesn't is stopped and goes on with the next host."""
        await self.host.shutdown(grace)

    async def _wake(self, holders: Sequence[str | None]) -> None:
        """Let a committed command be seen: by ourselves at once, by other hosts by their doorbell."""
        if self.store.holder:
            for done in await self.core.mailbox.take_inbox(self.host.takeover.roots, taken_too=True):
                await done.wait()
        foreign = [name for name in holders if name and name != self.store.holder]
        if foreign or not all(holders):  # whoever has a tree that nobody holds: any of them may
            await self.store.liveness.ring(foreign or None)
