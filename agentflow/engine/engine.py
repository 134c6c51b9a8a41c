"""The engine: the one facade behind every front door."""

from __future__ import annotations

import builtins
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import anyio

from agentflow.clock import Clock, SystemClock
from agentflow.config import Config
from agentflow.definition.models import Workflow
from agentflow.engine import compiling
from agentflow.engine.assembly import build_core
from agentflow.engine.commands import answers, retrying, starting
from agentflow.engine.commands.connecting import Connections
from agentflow.engine.commands.preflight import preflight
from agentflow.engine.finding import run_of
from agentflow.engine.gate import EVENT
from agentflow.engine.host.core import Core
from agentflow.engine.host.host import Host
from agentflow.engine.host.serving import serving
from agentflow.engine.host.takeover import HostMode
from agentflow.engine.models import Decline, Reply, RetryPlan, Run, WaitView, run_view, wait_view
from agentflow.engine.opening import config_of, opened
from agentflow.engine.program import Program
from agentflow.engine.read.following import Following
from agentflow.engine.read.outputs import output_of
from agentflow.engine.read.reader import Reader
from agentflow.engine.read.tasks import Tasks
from agentflow.engine.read.watching import Watching
from agentflow.engine.runtime.base import Runtime
from agentflow.ids import IdSource, new_id
from agentflow.principal import LOCAL, SHARE_EVENTS, Principal
from agentflow.requirements import ConnectionProvider, Preflight
from agentflow.steps.unset import UNSET
from agentflow.store import open_store
from agentflow.store.contract import Store
from agentflow.store.places import refuse_platform
from agentflow.store.rows import ENDED, TERMINAL, Event, RunQuery, RunRow, State, StepRow
from agentflow.store.views import MessageView, PurgeQuery, TaskPage, TaskQuery


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
        self.following = Following(store, core.cache, self.watching)
        self.sealer = core.env.sealer
        self.connections = Connections(store, self.resume)
        self.reader = Reader(store, self.connections.shown)
        self.told = Tasks(store, self.watching, self.connections.shown)
        core.committer.on_commit.append(self.watching.committed)
        core.committer.on_change.append(self.watching.everybody)
        core.loader.tell_waiting = core.committer.tell_everybody

    @classmethod
    @opened
    async def open(
        cls,
        store: Store | str | Path | None = None,
        *,
        config: Config | None = None,
        workflows: Iterable[Workflow] | Workflow = (),
        host: HostMode = "all",
        clock: Clock | None = None,
        ids: IdSource = new_id,
        functions: Mapping[str, Callable[..., Any]] | None = None,
        tools: Mapping[str, Any] | None = None,
        agents: Mapping[str, Any] | None = None,
        connections: Mapping[str, ConnectionProvider] | None = None,
        always_replay: bool = False,
        runtime: Runtime | Literal["wire"] | None = None,
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
            connections: by name (`google:drive`, or `google`): objects that give credentials.
            always_replay: rebuild state from the store before every decision (for tests).
            runtime: hands steps to workers elsewhere; default: they run here; `wire`: by way of JSON (for tests).
            grace: seconds that running steps get when the engine closes.

        Raises DefinitionError, and StoreError; out of the block where it was changed by a newer version, or deleted.
        """
        refuse_platform()
        clock = clock or SystemClock()
        config = config_of(config, workflows, host, {"functions": functions, "tools": tools, "agents": agents})
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
        given = (functions or {}, tools or {}, agents or {}, connections or {})
        core = build_core(config, opened, clock, ids, *given, runtime)
        core.loader.always_replay = always_replay
        engine = cls(core, Host(core, host), opened, config)
        try:
            async with serving(core, engine.host, grace if host != "none" else 0.0):
                yield engine
        finally:
            with anyio.CancelScope(shield=True):
                await core.env.services.aclose()
                if opened is not store:
                    await opened.close()
                if host != "none":
                    await opened.liveness.leave()

    # starting and looking

    def register(self, workflow: Workflow) -> Program:
        """Make a workflow known besides the config's; raises DefinitionError when it isn't valid."""
        compiling.extended(self.config, [workflow])
        return compiling.register(self.core.env, workflow, self.config)

    async def start(
        self,
        workflow: str | Workflow,
        input: Any = None,  # noqa: A002  named as in the config
        *,
        entry_point: str | None = None,
        context_id: str | None = None,
        principal: Principal = LOCAL,
        idempotency_key: str | None = None,
        message: Mapping[str, Any] | None = None,
        labels: Mapping[str, str] | None = None,
        door: str = "api",
        retention: float | None = None,
    ) -> Run:
        """Start a run of the principal's; it is committed when this returns.

        `retention` tells how many seconds it is kept after its end.

        Raises:
            NotFoundError: no such workflow or entry point.
            InputError: the input doesn't fit; no run was made.
            ConflictError: the idempotency key was used with other input.
        """
        request = starting.Request(
            workflow, {} if input is None else input, entry_point, context_id, principal, idempotency_key, message,
            labels or {}, door, retention,
        )  # fmt: skip
        started = await starting.start(self.core, self.host, self.config, request)
        if not isinstance(started, RunRow):
            return await self.get(started, principal=principal)
        return run_view(started, await output_of(self.store, started))

    async def get(self, run_id: str, *, output: bool = True, principal: Principal = LOCAL) -> Run:
        """Return a run by its whole id, `output` with it; raises NotFoundError, and StoreError if that is damaged."""
        return await self.reader.get(run_id, output=output, principal=principal)

    async def list(self, query: RunQuery | None = None, *, principal: Principal = LOCAL) -> list[Run]:
        """Return one's runs, newest first; without outputs."""
        return await self.reader.list(query, principal=principal)

    async def hosted(self, runs: Sequence[Run]) -> dict[str, bool | None]:
        """Tell of each run, by id, whether a live process executes it; None: it has ended, or nobody can know."""
        return await self.reader.hosted(runs)

    async def find(self, ending: str, *, principal: Principal = LOCAL) -> str:
        """Return the whole id of the run that `@last`, an ending or a whole id names."""
        return await self.reader.find(ending, principal=principal)

    async def find_wait(self, ending: str, *, principal: Principal = LOCAL) -> str:
        """Return the whole id of the wait that an ending or a whole id names."""
        return await self.reader.find_wait(ending, principal=principal)

    async def wait(self, run_id: str, timeout: float | None = None, *, principal: Principal = LOCAL) -> Run:  # noqa: ASYNC109  it gives the state then, and doesn't fail
        """Return when a run has ended or only waits for answers; after `timeout` seconds as it is then.

        Raises StoreError when this process can't go on with it: its definition is damaged, or needs what isn't here.
        """
        row = await self.following.rest(run_id, timeout, principal)
        return run_view(row, await output_of(self.store, row))

    def subscribe(
        self, run_id: str, after: int = 0, *, tree: bool = False, principal: Principal = LOCAL
    ) -> AsyncGenerator[Event, None]:
        """Yield a run's events after a number, then new ones as they come, until its end."""
        return self.following.events(run_id, after, tree, principal)

    async def steps(self, run_id: str, *, principal: Principal = LOCAL) -> builtins.list[StepRow]:
        """Return the steps of a run that were reached; raises StoreError if a stored result is damaged."""
        return await self.reader.steps(run_id, principal=principal)

    async def result(self, run_id: str, address: str, *, principal: Principal = LOCAL) -> Any:
        """Return a step's result."""
        return await self.reader.result(run_id, address, principal=principal)

    async def tasks(self, query: TaskQuery | None = None, *, principal: Principal = LOCAL) -> TaskPage:
        """Return a page of one's root runs, waits and agents' turns, the last changed first, and how many there are."""
        return await self.reader.tasks(query, principal=principal)

    async def history(
        self, task_id: str, limit: int | None = None, *, principal: Principal = LOCAL
    ) -> builtins.list[MessageView]:
        """Return the messages of a task, a run's or another, the newest `limit` of them, oldest first."""
        return await self.reader.history(task_id, limit, principal=principal)

    async def artifacts(self, task_id: str, *, principal: Principal = LOCAL) -> builtins.list[Any]:
        """Return the artifacts of a run, or of an agent's turn, as they are now, chunks joined."""
        return await self.reader.artifacts(task_id, principal=principal)

    async def task_log(
        self, task_id: str, after: int = 0, limit: int = 1000, *, principal: Principal = LOCAL
    ) -> builtins.list[Event]:
        """Return what changed in a task, a run's or another, after a generation: state, artifacts, messages."""
        return await self.reader.task_log(task_id, after, limit, principal=principal)

    async def preflight(self, workflow: str | Workflow, *, principal: Principal = LOCAL) -> Preflight:
        """Return all that a workflow's steps need and a principal hasn't got, and what people will be asked."""
        program = compiling.program_of(self.core.env, self.config, workflow)
        return await preflight(self.core.env, self.config, program, principal)

    # moving runs on

    async def resume(
        self, task_id: str, answer: Reply, *, by: str | None = None, door: str = "api",
        message_id: str | None = None, message: Mapping[str, Any] | None = None, principal: Principal = LOCAL,
    ) -> WaitView:  # fmt: skip
        """Answer a wait by its task's id, or by its run's id when exactly one wait is open.

        Args:
            task_id: whole id of the wait's task, or of the run.
            answer: the answer.
            by: name of who answers, for those who look at it; default: the principal's.
            door: the way by which it came.
            message_id: the same message again is the same answer.
            message: the message that brought it, kept in the history of the wait's task.
            principal: who answers: whose run it is, or whom the wait is assigned to.

        Raises:
            NotFoundError: no such wait.
            InputError: the value doesn't fit the wait's schema; the wait stays open.
            ConflictError: it was answered differently, or closed.
        """
        view, holders = await answers.resume(
            self.store,
            task_id,
            answer,
            principal,
            by=principal.owner if by is None else by,
            door=door,
            message_id=message_id,
            message=message,
            at=self.core.env.now(),
            gate=self.core.env.gate,
            carry_out=self.host.takeover.answer,
        )
        if holders:
            await self.host.wake(holders)
        return wait_view(view)

    async def waits(self, run_id: str | None = None, *, principal: Principal = LOCAL) -> builtins.list[WaitView]:
        """Return open waits of one's runs or assigned to one, oldest first; of a run with those of its child runs."""
        return await self.reader.waits(run_id, principal=principal)

    async def publish(
        self,
        topic: str,
        data: Any,
        *,
        id: str | None = None,  # noqa: A002  named as in the config
        principal: Principal = LOCAL,
    ) -> int:
        """Publish an event to one's own runs; returns how many waits it reached. The same id again reaches none.

        By a principal with the scope `events:share` it also reaches waits of the tenant's other owners that take such.
        """
        data = self.core.env.gate.data(data, EVENT)
        self.core.env.gate.encoded([topic, id, principal.owner, principal.tenant], EVENT)
        count, holders = await self.store.publish(
            topic, data, id, self.core.env.now(), owner=principal.owner, tenant=principal.tenant,
            shared=principal.may(SHARE_EVENTS),
        )  # fmt: skip
        await self.host.wake(holders)
        return count

    async def cancel(
        self, task_id: str, *, force: bool = False, by: str | None = None, principal: Principal = LOCAL
    ) -> Run:
        """Cancel a run with all below it, decline a wait, or fail the step of an agent's turn. What has ended stays."""
        by = principal.owner if by is None else by
        task = await self.store.get_task(task_id)
        if task is not None and principal.owns(task.tenant, task.owner):
            if task.task.kind == "agent":
                return await self._request(task.run_id, "cancel_turn", {"task": task_id, "by": by}, principal)
            await self.resume(task_id, Decline("canceled"), by=by, principal=principal)
            return await self.get(task.run_id, principal=principal)
        return await self._request(task_id, "cancel", {"by": by, "force": force}, principal)

    async def pause(self, run_id: str, *, principal: Principal = LOCAL) -> Run:
        """Let nothing new start in a run, until `unpause`."""
        return await self._request(run_id, "pause", {}, principal)

    async def unpause(self, run_id: str, *, principal: Principal = LOCAL) -> Run:
        """Go on with a paused run."""
        return await self._request(run_id, "unpause", {}, principal)

    async def _request(self, run_id: str, kind: str, data: dict[str, Any], principal: Principal) -> Run:
        run = await self.get(run_id, principal=principal)
        if run.ended:
            return run
        holder = await self.store.request(run_id, kind, data)
        await self.host.wake([holder])
        return await self.get(run_id, principal=principal)

    async def retry(
        self,
        run_id: str,
        from_step: str | None = None,
        *,
        input: Any = UNSET,  # noqa: A002  named as in the config
        new_definition: bool = False,
        dry_run: bool = False,
        principal: Principal = LOCAL,
    ) -> RetryPlan | Run:
        """Start a new run that keeps what doesn't follow from a step.

        Args:
            run_id: a root run that has ended.
            from_step: where to begin; default: what failed.
            input: other input.
            new_definition: take the workflow as the config has it now; kept is what it doesn't change.
            dry_run: only tell what it would do.
            principal: whose run it is; the new one is its owner's too.
        """
        await run_of(self.store, run_id, principal)
        plan = await retrying.plan(self.core, run_id, from_step, input, new_definition=new_definition)
        if dry_run:
            return plan.view
        new = await retrying.start(self.core, self.host, plan)
        return await self.get(new)

    async def purge(
        self, older_than: float | None = None, states: Collection[State] = ENDED, *, principal: Principal = LOCAL
    ) -> int:
        """Delete one's root runs that ended more than `older_than` seconds ago; returns how many.

        A run that says itself how long it is kept goes when that is over, and not before. None: only those do.
        """
        total, now = 0, self.core.env.now()
        query = PurgeQuery(now, older_than, states, principal)
        while count := await self.store.purge(query):
            total += count
        return total

    async def adopt(self, run_id: str, *, principal: Principal = LOCAL) -> bool:
        """Execute a run's tree in this process, if no live host has it."""
        row = await run_of(self.store, run_id, principal)
        if row.state in TERMINAL:
            return False
        if row.root in self.core.cache.trees:
            return True
        return await self.host.takeover.take(row.root)

    async def health(self) -> builtins.list[str]:
        """Return what keeps runs from going on here: the store, or workers that steps are handed to. Empty: nothing."""
        return await self.core.ailments()

    async def shutdown(self, grace: float = 10.0) -> None:
        """Start nothing more and let running steps end; what doesn't is stopped and goes on with the next host."""
        await self.host.shutdown(grace)
