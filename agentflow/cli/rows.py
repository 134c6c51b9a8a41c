"""How rows of a run's tree are written: the lines of a terminal, and the stable lines of a pipe. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from agentflow.cli.failures import cause
from agentflow.cli.format import GLYPHS, STYLES, duration, elapsed, rough, shorten
from agentflow.cli.row import Row
from agentflow.cli.tables import cells, cut_to, pad
from agentflow.cli.tree import Change, RunTree, parent_of

NAME = 16
NOTE = 40
NAMED = 3
"""Tolerated failures that the last line names."""
APART = 0.05
"""Seconds of waiting from which on they are told."""
BEYOND = 500
"""Steps in progress that are counted though there is no room to show them."""
Paint = Callable[[str, str | None], str]


def plain(text: str, style: str | None) -> str:
    """Paint nothing."""
    del style
    return text


def note_of(row: Row, line: str | None) -> str:
    """Return the middle of a finished row: counts of a loop, an error, a result."""
    count = f"{row.progress[0]} of {row.progress[1]}" if row.progress is not None else ""
    if row.state == "completed" and (count or row.sums.tolerated):
        return count + lost(row) if count else ", ".join(part for part in (lost(row)[2:], line) if part)
    if row.state == "failed":
        parts = [count] if count else []
        parts += [f"{row.tries} attempts"] if row.tries > 1 else []
        parts += [cause(row.failures[-1])] if row.failures else []
        return ": ".join(parts)
    if row.state == "canceled":
        why = f": {cause(row.failures[-1])}" if row.reason == "tolerated" and row.failures else ""
        return reason_text(row.reason) + why
    return line or ""


def lost(row: Row) -> str:
    """Say how many items of a loop failed, or how many steps in another container: `, 6 failed (tolerated)`."""
    count = row.failed_items if row.is_loop else row.sums.tolerated
    tolerated = " (tolerated)" if row.sums.tolerated else ""
    return f", {count} failed{tolerated}" if count else ""


def reason_text(reason: str | None) -> str:
    """Say why a step didn't run, or didn't end by itself."""
    known = {
        None: "not run",
        "condition": "skipped: its condition isn't met",
        "branch": "skipped: another branch was taken",
        "entry_point": "skipped by the entry point",
        "ended": "stopped: the run had ended",
        "operator": "skipped by an operator",
        "run_canceled": "canceled with the run",
        "sibling_failed": "stopped: a step beside it failed",
        "tolerated": "failed, and that is tolerated",
        "timeout": "stopped: out of time",
        "interrupted": "interrupted",
    }
    return known.get(reason) or f"stopped: {reason}"


def finished(row: Row, line: str | None, width: int, paint: Paint = plain) -> list[str]:
    """Return the lines of a step that has ended: one, and one for each retry or failure inside it.

    Args:
        row: the step.
        line: its result in a few words.
        width: columns of the terminal.
        paint: adds colour.
    """
    glyph = GLYPHS[row.state]
    took = spent(row) if row.state != "canceled" else ""
    lines = [_line(glyph, STYLES[row.state], row.address, note_of(row, line), took, width, paint)]
    for inner in row.below():
        text = _inside(row, inner)
        if text:
            mark = "↻" if inner.state == "completed" else "✘"
            lines.append(cut_to(f"  {mark} {text}", width))
    if row.depth == 0 and len(row.failures) > 0 and row.state == "completed" and not row.children:
        lines.append(cut_to(f"  ↻ {_attempts(row)}", width))
    return lines if len(lines) <= 12 else [*lines[:11], f"  … {len(lines) - 11} more"]


def _inside(row: Row, inner: Row) -> str:
    name = inner.address.removeprefix(row.address).lstrip("/")
    if inner.state == "failed" and not any(child.state == "failed" for child in inner.children):
        return f"{name}  {cause(inner.failures[-1]) if inner.failures else 'failed'}"
    if inner.reason == "tolerated":
        return f"{name}  {cause(inner.failures[-1]) if inner.failures else 'failed'} (tolerated)"
    if inner.state == "completed" and inner.failures:
        return f"{name}  {_attempts(inner)}"
    return ""


def _attempts(row: Row) -> str:
    last = cause(row.failures[-1], 40) if row.failures else ""
    return f"{max(row.tries, len(row.failures) + 1)} attempts ({last}, then ok)"


def _line(glyph: str, style: str, name: str, note: str, took: str, width: int, paint: Paint) -> str:
    left = f"{glyph} "
    label = pad(name, NAME) if cells(name) <= NAME else name + " "
    room = max(width - cells(left) - cells(label) - max(10, cells(took) + 2), 8)
    note = cut_to(note, min(room, 60))
    body = pad(note, min(NOTE, room)) if took else note
    return f"{paint(glyph, style)} {label}{body}{' ' + took if took else ''}".rstrip()


def waiting(row: Row, width: int, paint: Paint = plain) -> str:
    """Return the line of a step that waits for somebody."""
    return _line("✋", "yellow", row.address, "waits for you", "", width, paint)


def answered(row: Row, note: str, width: int, paint: Paint = plain) -> str:
    """Return the line of a wait that was answered."""
    return _line("✔", "green", row.address, note, spent(row), width, paint)


def spent(row: Row) -> str:
    """Say how long a step took: `850ms`, and apart from it how long it waited: `31ms (+ 13.1s waiting)`.

    Of a step that is a wait and nothing else its time is that of the wait.
    """
    if row.seconds is None:
        return ""
    if not row.tries or row.waited < APART:
        return duration(row.seconds)
    return f"{duration(row.seconds - row.waited)} (+ {duration(row.waited)} waiting)"


def live_lines(tree: RunTree, now: float, height: int, width: int, paint: Paint = plain) -> list[str]:
    """Return what is going on, in at most `height` lines: running top steps, then what runs inside them."""
    lines: list[str] = []
    hidden = 0
    for row in _shown(tree.all):
        if len(lines) < height - 1:
            lines.append("  " * row.depth + _going(row, now, width - 2 * row.depth, paint))
        else:
            hidden += 1
    if hidden:
        lines.append(f"… {hidden}{'+' * (len(lines) + hidden > BEYOND)} more")
    return lines


def _shown(root: Row) -> Iterator[Row]:
    """Yield what is in progress, outer steps first; a loop stands for its items. Only these are looked at."""
    stack, count = list(reversed(root.going)), 0
    while stack and count <= BEYOND:
        row = stack.pop()
        if row.own.shown and (row.depth > 0 or not row.over):
            count += 1
            yield row
        if not (row.own.shown and row.is_loop):
            stack.extend(reversed(row.going))


def _going(row: Row, now: float, width: int, paint: Paint) -> str:
    glyph, style = GLYPHS[row.state], STYLES[row.state]
    name = (
        row.address
        if row.depth == 0 or row.parent is None
        else row.address.removeprefix(row.parent.address).lstrip("/")
    )
    note = ""
    if row.state == "failed":
        note = cause(row.failures[-1]) if row.failures else "failed"
    elif row.failures and row.due is not None:
        glyph, style = "↻", "yellow"
        left = row.due - now
        soon = f" in {rough(left)}" if left >= 1 else ""
        note = f"attempt {row.tries + 1}{soon}: {cause(row.failures[-1], 40)}"
    elif row.progress is not None:
        done, everything = row.progress
        note = f"{done} of {everything}" + (f", {row.retrying} retrying" if row.retrying else "") + lost(row)
    elif row.wait is not None and row.state != "working":
        note = f"waits: {shorten(row.message or 'for an answer', 40)}"
    elif row.due is not None:
        note = f"waits for a time, in {rough(max(row.due - now, 0))}"
    took = elapsed(now - row.started) if row.started is not None and row.state == "working" else ""
    return _line(glyph, style, name, note, took, width, paint)


def stable_line(change: Change, short: Callable[[str], str] = lambda each: each) -> str | None:
    """Return the line of an event in a pipe, or None where it isn't told.

    Told are steps, but of a loop's items only what needs attention: a retry, a failure, a wait.

    Args:
        change: what the event changed.
        short: shortens an id.
    """
    row = change.row
    if row is None or change.what in ("started", "other", "run_started", "run_ended"):
        return None
    item = "[" in row.address
    attention = change.what in ("retrying", "failed", "waiting", "answered")
    if (item and not attention) or (change.what == "skipped" and row.depth > 0):
        return None
    name = f"step {_path(row)}"
    took = f" {spent(row)}" if row.seconds is not None else ""
    if change.what == "completed":
        done = f" {row.progress[0]}/{row.progress[1]}" if row.progress is not None else ""
        tries = f" attempts={row.tries}" if row.tries > 1 and not row.is_loop else ""
        tolerated = f" tolerated={row.sums.tolerated}" if row.sums.tolerated else ""
        return f"{name} completed{took}{done}{tries}{tolerated}"
    if change.what == "failed":
        code = f" error={row.failures[-1].code}" if row.failures else ""
        tries = f" attempts={row.tries}" if row.tries > 1 else ""
        tolerated = " tolerated" if row.reason == "tolerated" else ""
        return f"{name} failed{took}{tries}{code}{tolerated}"
    if change.what == "retrying":
        code = f" error={row.failures[-1].code}" if row.failures else ""
        delay = row.due - change.event.at if row.due is not None else 0.0
        due = f" in={rough(delay) if delay >= 1 else duration(delay)}" if row.due is not None else ""
        return f"{name} retrying attempt={row.tries + 1}{due}{code}"
    if change.what == "waiting":
        return f"{name} waiting wait={short(row.wait or '')}"
    if change.what == "answered":
        return f"{name} answered"
    return f"{name} skipped{f' reason={row.reason}' if row.reason else ''}"


def _path(row: Row) -> str:
    """Return a step's address; of a child run's step, behind the address of the step that started the run."""
    top = row
    while top.depth > 0 and top.parent is not None and top.parent.run_id == row.run_id:
        top = top.parent
    return f"{_path(top.parent)}/{row.address}" if top.depth > 0 and top.parent is not None else row.address


def ending(tree: RunTree, width: int = 80) -> str:
    """Return the last line: `completed in 3.0s (+ 41s waiting)`; it names as many failures as it has room for."""
    took = f" in {worked(tree)}" if tree.worked is not None else ""
    lines = (f"{tree.state}{took}{tolerated(tree, named)}" for named in range(NAMED, 0, -1))
    return next((line for line in lines if cells(line) <= width), f"{tree.state}{took}{tolerated(tree, 0)}")


def worked(tree: RunTree) -> str:
    """Say how long a run that has ended worked, and how long it didn't: `3.0s (+ 41s waiting, 2.0s paused)`."""
    apart = ", ".join(f"{duration(seconds)} {what}" for what, seconds in tree.apart.items() if seconds >= APART)
    return duration(tree.worked or 0.0) + (f" (+ {apart})" if apart else "")


def tolerated(tree: RunTree, named: int = NAMED) -> str:
    """Say which failures of a completed run were tolerated: something is missing in what it gives.

    Args:
        tree: the run.
        named: how many of the failed steps are named.
    """
    count = tree.all.sums.tolerated
    if not count or tree.state != "completed":
        return ""
    names = [_path(row) if row is not tree.all else "a hook" for row in tree.tolerated()]
    more = f" and {len(names) - named} more" if len(names) > named else ""
    return f", {count} failed (tolerated)" + (f": {', '.join(names[:named])}{more}" if named else "")


def top_of(address: str) -> str:
    """Return the address of the top-level step around a step."""
    above = parent_of(address)
    return address if above is None else top_of(above)
