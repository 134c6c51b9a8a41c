"""Push notifications: where clients want changes of tasks to be sent, and what is sent there."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from agentflow.data import is_object
from agentflow.engine import Engine
from agentflow.errors import AgentflowError, InputError
from agentflow.principal import LOCAL, Principal
from agentflow.server.pushing.delivering import Delivery, Target, push_policy
from agentflow.server.pushing.sender import Page, Payload, Sender
from agentflow.store.outbox import Push, PushQuery
from agentflow_a2a.refusals import RefusedError, invalid, not_found, refusal
from agentflow_a2a.streaming import Stream
from agentflow_a2a.tasks import Json, Tasks

_FIELD = "taskPushNotificationConfig"
_SCHEME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_LONGEST_VALUE = 8192
_LONGEST_ID = 128
_MOST = 100
"""How many one owner may have for one task."""
_PAGE = 50


class Wanted(NamedTuple):
    """A checked wish of a client to get changes of a task."""

    id: str
    place: str
    """Where it goes, without what is secret in it."""
    told: Mapping[str, str]
    """`url`, and `token`, `scheme`, `credentials` where there are some."""


class Pushes:
    """The push notifications of one agent's tasks."""

    media = "application/a2a+json"

    def __init__(self, engine: Engine, delivery: Delivery | None = None) -> None:
        """Made over an open engine.

        Args:
            engine: executes the runs.
            delivery: makes deliveries; default: by the config's rules.
        """
        settings = engine.config.push
        self._engine = engine
        self._outbox = engine.store.outbox
        self._tasks = Tasks(engine)
        self._delivery = delivery or Delivery(push_policy(settings), settings.timeout)
        self.sender = Sender(engine, self, self._delivery, settings)
        """What sends them; somebody has to run it."""

    # what clients ask

    async def create(self, request: Mapping[str, Any], principal: Principal) -> Json:
        """Keep where changes of a task are to be sent, from now on; the same id again replaces what it said."""
        found = await self._tasks.find(_task_of(request), principal)
        wanted = await self.check(request, self._engine.core.env.new_id(), "")
        return await self.keep(_task_of(request), wanted, found.generation, principal)

    async def check(self, config: Mapping[str, Any], name: str, field: str = _FIELD) -> Wanted:
        """Check where something is to be sent; raises RefusedError.

        Args:
            config: what a client says.
            name: id for one without an id.
            field: where it stands in the request; empty: it is the request.
        """
        prefix = f"{field}." if field else ""
        told = {"url": _text(config, "url"), "token": _text(config, "token")}
        given: Any = config.get("authentication")
        if is_object(given):
            told |= {"scheme": _text(given, "scheme"), "credentials": _text(given, "credentials")}
        if told.get("credentials") and not _SCHEME.fullmatch(told.get("scheme") or ""):
            raise invalid(f"{prefix}authentication.scheme", "it is needed, and a word such as Bearer")
        for where, value in (("token", told["token"]), ("authentication.credentials", told.get("credentials", ""))):
            if value and (len(value) > _LONGEST_VALUE or not _VALUE.fullmatch(value)):
                raise invalid(prefix + where, "a header can't carry it")
        id_ = _text(config, "id") or name
        if len(id_) > _LONGEST_ID or not id_.isprintable():
            raise invalid(f"{prefix}id", f"it is no name of at most {_LONGEST_ID} characters")
        try:
            place = await self._delivery.check(told["url"])
        except InputError as error:
            hint = f" ({error.hint})" if error.hint else ""
            raise invalid(f"{prefix}url", f"{error.what}{hint}") from None
        try:
            self._engine.sealer.seal(
                b"", purpose="push", owner=""
            )  # a key that can't be had is told before it is needed
        except AgentflowError as error:
            raise refusal(error) from None
        return Wanted(id_, place, {name: value for name, value in told.items() if value})

    async def keep(self, task_id: str, wanted: Wanted, after: int, principal: Principal) -> Json:
        """Keep where changes of a task after a generation are to be sent."""
        found = await self._tasks.find(task_id, principal)
        after = found.generation if after < 0 else after
        own = Principal(principal.owner, principal.tenant)
        there = await self._outbox.pushes(PushQuery(task_id, principal=own, limit=_MOST))
        if len(there) == _MOST and all(push.id != wanted.id for push in there):
            raise RefusedError("unsupported", f"{_MOST} push notification configs are the most for one task")
        env = self._engine.core.env
        push = Push(
            task_id, wanted.id, own.tenant, own.owner, found.agent, wanted.place, "", after, env.now(), env.now()
        )
        try:
            kept = await self._outbox.put(push._replace(sealed=self._sealed(push, wanted.told)))
        except AgentflowError as error:
            raise refusal(error) from None
        if kept is None:
            raise not_found(task_id)
        self.sender.added(kept)
        return self._told(kept)

    async def get(self, task_id: str, name: str, principal: Principal) -> Json:
        """Return where changes of a task are sent, without what authenticates there."""
        await self._tasks.find(task_id, principal)
        found = await self._outbox.pushes(PushQuery(task_id, name, principal=principal, limit=1))
        if not found:
            raise RefusedError("task_not_found", f'task "{task_id}" has no push notification config "{name}"')
        return self._told(found[0])

    async def list(self, request: Mapping[str, Any], principal: Principal) -> Json:
        """Return a page of what `get` returns."""
        task_id = _task_of(request)
        await self._tasks.find(task_id, principal)
        size, token = request.get("pageSize") or _PAGE, _text(request, "pageToken")
        if not isinstance(size, int) or size < 0:
            raise invalid("pageSize", "it must not be negative")
        if token and not (token.isascii() and token.isdigit() and len(token) < 16):
            raise invalid("pageToken", "it is none that this agent has given")
        size = min(size, _MOST)
        found = await self._outbox.pushes(
            PushQuery(task_id, principal=principal, after=int(token or 0), limit=size + 1)
        )
        more = str(found[size - 1].key) if len(found) > size else ""
        return {"configs": [self._told(push) for push in found[:size]], "nextPageToken": more}

    async def delete(self, task_id: str, name: str, principal: Principal) -> None:
        """Send changes of a task there no more. What isn't there needn't be deleted."""
        await self._tasks.find(task_id, principal)
        found = await self._outbox.pushes(PushQuery(task_id, name, principal=principal))
        if found:
            await self._outbox.drop([push.key for push in found])

    # what is sent

    def target(self, push: Push) -> Target:
        """Return where a task's changes go; raises AgentflowError where that can't be opened."""
        told = self._opened(push)
        headers: dict[str, str] = {}
        if "credentials" in told:
            headers["authorization"] = f"{told['scheme']} {told['credentials']}"
        if "token" in told:
            headers["x-a2a-notification-token"] = told["token"]
        return Target(told["url"], headers)

    def spent(self, push: Push) -> str:
        """Return what is kept of a receiver that gets nothing more: nothing that authenticates there."""
        told = self._opened(push)
        return self._sealed(push, {name: told[name] for name in ("url", "scheme") if name in told})

    async def page(self, push: Push) -> Page | None:
        """Return what hasn't arrived yet; who may see the task was asked when the receiver was kept."""
        stream = Stream(self._engine, self._tasks, push.task_id, LOCAL)
        try:
            told, generation, over = await stream.page(push.generation)
        except RefusedError:  # deleted
            return None
        return Page([Payload(each.text, each.generation) for each in told], generation, over)

    def _told(self, push: Push) -> Json:
        try:
            told = self._opened(push)
        except AgentflowError:  # the key is lost; it can still be seen and deleted
            told = {"url": push.place}
        shown: Json = {"id": push.id, "taskId": push.task_id, "url": told["url"]}
        return {**shown, "authentication": {"scheme": told["scheme"]}} if "scheme" in told else shown

    def _sealed(self, push: Push, told: Mapping[str, str]) -> str:
        raw = json.dumps(dict(told)).encode()
        return self._engine.sealer.seal(raw, purpose=f"push {push.task_id} {push.id}", owner=_owner(push))

    def _opened(self, push: Push) -> dict[str, str]:
        raw = self._engine.sealer.open(push.sealed, purpose=f"push {push.task_id} {push.id}", owner=_owner(push))
        opened: dict[str, str] = json.loads(raw)
        return opened


def _owner(push: Push) -> str:
    return json.dumps([push.tenant, push.owner])


def _task_of(request: Mapping[str, Any]) -> str:
    return _text(request, "taskId")


def _text(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name)
    return value if isinstance(value, str) else ""
