"""What a step's code prints becomes lines of its log, where the host leads its prints here."""

from __future__ import annotations

import threading
from collections.abc import Callable

from agentflow.redaction import NOTHING, Redactor

PIECE = 8_000
"""Characters of one entry of the log."""
MOST = 200_000
"""Characters that one attempt may leave in the log by printing."""
FIRST = threading.Lock()
"""Held while an attempt's gatherer is made: its threads share one."""


class Printed:
    """Gathers what one attempt prints, in whatever thread, and logs it in the event loop: soon, and in whole lines."""

    def __init__(
        self, log: Callable[[str], None], soon: Callable[[Callable[[], None]], object], redactor: Redactor = NOTHING
    ) -> None:
        """Prepare to gather.

        Args:
            log: adds an entry to the step's log; called in the event loop.
            soon: has the event loop call something; callable in any thread.
            redactor: knows the secrets that no cut may go through.
        """
        self._log = log
        self._soon = soon
        self._redactor = redactor
        self._lock = threading.Lock()
        self._text: list[str] = []
        self._left = MOST
        self._due = False
        self._over = False

    def write(self, text: str) -> bool:
        """Take a text; False when the attempt has ended."""
        with self._lock:
            if self._over:
                return False
            if self._left > 0:
                self._text.append(text[: self._left])
                self._left -= len(text)
                if self._left <= 0:  # the line that is cut may hold a piece of a secret
                    whole, _, _ = "".join(self._text).rpartition("\n")
                    self._text = [whole, "\n… what it prints from here on isn't kept\n"]
            due, self._due = self._due, True
        if not due:
            self._soon(self._flush)
        return True

    def end(self) -> None:
        """Log what is left, at the end of the attempt; called in the event loop."""
        self._flush(last=True)

    def _flush(self, *, last: bool = False) -> None:
        with self._lock:
            self._due = False
            self._over = self._over or last
            text = "".join(self._text)
            cut = len(text) if last else text.rfind("\n") + 1
            self._text = [text[cut:]] if cut < len(text) else []
        text = text[:cut].rstrip("\n")
        while text:
            end = len(text) if len(text) <= PIECE else text.rfind("\n", 0, PIECE)
            part, text = (text[:end], text[end:]) if end > 0 else self._redactor.split(text, PIECE)
            if not part:  # how it goes on isn't known, and never will be
                part, text = text, ""
            self._log(part)
            text = text.lstrip("\n")
