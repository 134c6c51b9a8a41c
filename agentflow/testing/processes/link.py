"""The worker's side of the socket: a thread that reads, and connects anew whenever the holder is another one."""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from pathlib import Path

from agentflow.config import Limits
from agentflow.data import decode, encode
from agentflow.engine.attempt.ports import Notable, over
from agentflow.engine.attempt.remote import told_to_json
from agentflow.engine.exchange import Attempt, Executing, Parcel
from agentflow.engine.volume import Volume
from agentflow.testing.processes.frames import Frame, frame

log = logging.getLogger("agentflow")

AGAIN = 0.02
"""Seconds until the next try to connect."""
LONGEST = 30.0
"""Seconds for which a step's code waits for an answer."""


class SocketLink:
    """Implements `WorkerLink`."""

    def __init__(self, path: Path, slots: int, limits: Limits, push: Callable[[Parcel], None]) -> None:
        """Connect to nothing yet.

        Args:
            path: of the holder's socket.
            slots: how many attempts may be executed here at once.
            limits: how much the steps of a run may tell.
            push: takes attempts to execute, in the event loop.
        """
        self._path = path
        self._slots = slots
        self._limits = limits
        self._push = push
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()
        """Of the loop: what is called from the thread starts tasks, and these ask it which library runs them."""
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._leases: dict[str, Executing | None] = {}
        self._stops: dict[str, str] = {}
        self._outcomes: dict[str, bytes] = {}
        """Of attempts that have ended, until the holder has taken them."""
        self._asked: dict[str, tuple[Frame, Future[Frame]]] = {}
        self._numbers = itertools.count()
        self._told: list[tuple[Attempt, Notable]] = []
        self._unsent: list[bytes] = []
        self._volumes: dict[int, Volume] = {}
        self._may_connect = threading.Event()
        self._may_connect.set()
        self._over = False

    # the thread

    def start(self) -> None:
        """Connect, and stay so."""
        threading.Thread(target=self._serve, daemon=True).start()

    def switch(self) -> None:
        """Be cut off from the holder, or connect again."""
        if not self._may_connect.is_set():
            self._may_connect.set()
            return
        self._may_connect.clear()
        with self._lock, suppress(OSError):
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Connect no more."""
        self._over = True
        with self._lock, suppress(OSError):
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)
        self._may_connect.set()

    def _serve(self) -> None:
        while not self._over:
            self._may_connect.wait()
            with suppress(OSError), socket.socket(socket.AF_UNIX) as connected:
                connected.connect(str(self._path))
                self._greet(connected)
                with connected.makefile("rb") as lines:
                    for line in lines:
                        if line.endswith(b"\n"):  # else it was cut off in the middle
                            self._take(frame(line))
            with self._lock:
                self._socket = None
            threading.Event().wait(AGAIN)

    def _greet(self, connected: socket.socket) -> None:
        with self._lock:
            keys = [*self._leases, *self._outcomes]
            lines = [Frame("hello", "-", encode({"slots": self._slots, "keys": keys})).line, *self._unsent]
            lines += [Frame("out", key, raw).line for key, raw in self._outcomes.items()]
            lines += [asked.line for asked, _ in self._asked.values()]
            connected.sendall(b"".join(lines))
            self._unsent = []
            self._socket = connected

    def _send(self, told: Frame, *, keep: bool = False) -> None:
        """Send a line; what can't be sent now, and isn't known here anyway, is kept for the next holder."""
        with self._lock:
            if self._socket is not None:
                with suppress(OSError):
                    self._socket.sendall(told.line)
                    return
            if keep:
                self._unsent.append(told.line)

    def _take(self, told: Frame) -> None:
        if told.kind not in {"answer", "over"}:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._do, told, context=self._context)
            return
        with self._lock:
            asked = self._asked.pop(told.name, None)
        if asked is not None:
            asked[1].set_result(told)

    # in the event loop

    def _do(self, told: Frame) -> None:
        if told.kind == "refused":
            log.error("the holder refuses what this worker sent for %s: %s", told.name, decode(told.raw))
            return
        with self._lock:
            if told.kind == "done":
                self._outcomes.pop(told.name, None)
                return
            new = told.name not in self._leases and told.name not in self._outcomes
            if told.kind == "do" and new:  # else it came twice
                self._leases[told.name] = None
        if told.kind == "stop":
            self._stop(told.name, str(decode(told.raw)))
        elif new:
            self._push(Parcel(told.name, told.raw))

    def _stop(self, key: str, reason: str) -> None:
        lease = self._leases.get(key)
        if lease is not None:
            lease.interrupt(reason)
        elif key in self._leases:
            self._stops[key] = reason

    def begun(self, key: str, lease: Executing) -> None:
        """Note how an attempt is reached that is executed from now on."""
        with self._lock:
            self._leases[key] = lease
        reason = self._stops.pop(key, None)
        if reason is not None:
            lease.interrupt(reason)

    def returned(self, key: str, outcome: bytes) -> None:
        """Bring what an attempt came to, as often as it takes."""
        self._tell_all()
        with self._lock:
            self._leases.pop(key, None)
            self._outcomes[key] = outcome
        self._send(Frame("out", key, outcome))

    # what attempts ask

    def _ask(self, attempt: Attempt, call: bytes) -> Future[Frame]:
        number, asking = str(next(self._numbers)), Future[Frame]()
        asked = Frame("call", f"{attempt.key}/{number}", call)
        with self._lock:
            self._asked[number] = asked, asking
        self._send(asked)
        return asking

    def _answer(self, attempt: Attempt, answer: Frame) -> bytes:
        if answer.kind == "over":
            self._loop.call_soon_threadsafe(self._stop, attempt.key, "fenced", context=self._context)
            raise over(attempt)
        return answer.raw

    def ask(self, attempt: Attempt, call: bytes) -> bytes:
        """Ask at once, in whatever thread."""
        return self._answer(attempt, self._ask(attempt, call).result(LONGEST))

    async def call(self, attempt: Attempt, call: bytes) -> bytes:
        """Ask, and wait for the answer."""
        return self._answer(attempt, await asyncio.wrap_future(self._ask(attempt, call)))

    def tell(self, attempt: Attempt, told: Notable) -> None:
        """Send what is told at the end of this turn of the loop, with what comes until then."""
        if not self._told:
            self._loop.call_soon(self._tell_all)
        self._told.append((attempt, told))

    def _tell_all(self) -> None:
        while self._told:
            attempt, told = self._told.pop(0)
            self._send(Frame("tell", attempt.key, told_to_json(told.take())), keep=True)

    def volume(self, attempt: Attempt) -> Volume:
        """Return how much attempts of a run may tell here."""
        return self._volumes.setdefault(attempt.run, Volume(self._limits.log_size, self._limits.log_rate))
