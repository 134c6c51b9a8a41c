"""A stream that nobody waits for: a thread of its own writes, and what can't be written changes nothing else."""

from __future__ import annotations

import codecs
import errno
import os
import select
import stat
import threading
from collections import deque

PATIENCE = 0.05
"""Seconds that a writer waits for a slow reader, before it leaves the rest to the thread."""
PIECE = 65_536


class Output:
    """One stream of the process: encodes texts, and writes them to a file descriptor.

    A write returns when the text is written, so that the order between two streams is kept. Where a reader is slow, or
    has stopped to read, it returns all the same and a thread goes on. After the first failure nothing is tried again.
    """

    def __init__(self, number: int, encoding: str = "utf-8", *, most: int | None = None) -> None:
        """Make a stream.

        Args:
            number: a file descriptor; it stays open.
            encoding: what characters become; those that it hasn't are written as escapes.
            most: bytes that may wait for a slow reader, what comes above is dropped; None: nothing is dropped.
        """
        self.encoding = encoding
        self.failed: OSError | None = None
        """Why nothing can be written here."""
        self.dropped = 0
        """How many texts were dropped since the reader has been slow."""
        self._number = number
        self._most = most
        self._encode = codecs.getincrementalencoder(encoding)("backslashreplace").encode
        self._parts: deque[bytes] = deque()
        self._size = 0
        self._slow = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._direct = not _may_block(number)

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._number

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        try:
            return os.isatty(self._number)
        except OSError:
            return False

    def write(self, text: str) -> int:
        """Write a text."""
        with self._changed:
            if self.failed is not None or not text:
                return len(text)
            if self._most is not None and self._size > self._most:
                self.dropped += 1
                return len(text)
            if self._direct:
                self._note(_written(self._number, self._encode(text)))
                return len(text)
            self._add(text)
            self._start()
            self._changed.notify_all()
            if not self._slow and not self._idle(PATIENCE):
                self._slow = True
        return len(text)

    def flush(self) -> None:
        """Do nothing: nothing is held back."""

    def drain(self, seconds: float | None) -> bool:
        """Wait until everything is written; tells whether that is so. None: for as long as it takes."""
        with self._changed:
            return self._idle(seconds)

    def _idle(self, seconds: float | None) -> bool:
        return self._changed.wait_for(lambda: self._size == 0, seconds)

    def _add(self, text: str) -> None:
        data = self._encode(text)
        self._parts.append(data)
        self._size += len(data)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="agentflow output", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._parts))
                data = self._parts.popleft()
            error = _written(self._number, data)
            with self._changed:
                self._note(error)
                self._size -= len(data)
                if error is not None:
                    self._parts.clear()
                    self._size = 0
                elif self._size == 0 and self.dropped:
                    self._add(f"… {self.dropped} lines weren't shown: nobody read them in time\n")
                    self.dropped = 0
                self._slow = self._slow and self._size > 0
                self._changed.notify_all()

    def _note(self, error: OSError | None) -> None:
        self.failed = self.failed or error


def _may_block(number: int) -> bool:
    """Whether a reader can hold up who writes here: a file or a device without a terminal can't."""
    try:
        mode = os.fstat(number).st_mode
        return not (stat.S_ISREG(mode) or (stat.S_ISCHR(mode) and not os.isatty(number)))
    except OSError:
        return False


def _written(number: int, data: bytes) -> OSError | None:
    """Write all of it; returns what was in the way."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(number, view[:PIECE]) :]
        except BlockingIOError:  # another process has made it so
            poll = select.poll()
            poll.register(number, select.POLLOUT)
            poll.poll()
        except OSError as error:
            return error
    return None


def gone(error: OSError) -> bool:
    """Whether there is nobody any more who reads: how `| head` ends, and nothing to complain about."""
    return error.errno == errno.EPIPE
