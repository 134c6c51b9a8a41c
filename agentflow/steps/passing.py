"""Which faults of the machine pass by themselves, so that another attempt is worth it."""

from __future__ import annotations

import errno

_PASSING = frozenset(
    {
        errno.EMFILE,  # this process has too many files open
        errno.ENFILE,  # the machine has
        errno.EAGAIN,  # too many processes or threads
        errno.ENOMEM,
        errno.ENOBUFS,
        errno.EADDRNOTAVAIL,  # all ports of the machine are taken
        errno.ENOLCK,
        errno.EBUSY,
        errno.ETXTBSY,  # a program that is just being written
        errno.EINTR,
    }
)


def passes(error: BaseException | None) -> bool:
    """Tell whether an error, or what it comes from, is a lack of something that others give back."""
    while error is not None:
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _PASSING):
            return True
        if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
            return True
        error = error.__cause__
    return False
