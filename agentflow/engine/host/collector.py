"""Keeps the garbage collector from stopping all steps to walk what won't be garbage."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager

BUILT_IN = (700, 10, 10)
"""Thresholds of the interpreter."""
YOUNG = 30_000
"""New objects after which the young ones are looked at, for a millisecond or two: thousands of runs that begin at once
make more than 700, and nearly all of it is freed without being looked at."""


@contextmanager
def rare_collections() -> Generator[None]:
    """Leave what lives already, modules and definitions above all, out of collections until the end.

    A full collection walks every object of the process in one go: with a definition of 10,000 steps loaded that takes
    200 ms and more, again and again while runs come and go. Young objects are walked less often, as most of what a
    transition makes is freed without any walk. Who has frozen the heap, or set thresholds, is left alone.
    """
    freezes, tunes = gc.get_freeze_count() == 0, gc.get_threshold() == BUILT_IN
    if freezes:
        gc.freeze()
    if tunes:
        gc.set_threshold(YOUNG, *BUILT_IN[1:])
    try:
        yield
    finally:
        if tunes:
            gc.set_threshold(*BUILT_IN)
        if freezes:
            gc.unfreeze()
