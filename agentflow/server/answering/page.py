"""The HTML of an answer page. Whatever others have written is text in it, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Final

from agentflow.definition.gate_told import told_of
from agentflow.engine import WaitView
from agentflow.server.answering.fields import Field

STYLE: Final = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
_PLACEHOLDERS: Final = {"json": "JSON", "list": "One a line"}
REASON: Final = "reason"
CHECK: Final = "check"
JSON: Final = "json"


def asking(
    view: WaitView,
    fields: Sequence[Field],
    filled: Mapping[str, str],
    check: str,
    problem: str | None = None,
    raw: str = "",
) -> str:
    """Return the page that asks.

    Args:
        view: the wait.
        fields: of the form.
        filled: what stands in the fields.
        check: what the form brings back.
        problem: what was wrong with the answer before.
        raw: what stands where the whole answer is written as JSON.
    """
    told = f'<div class="bad" role="alert">{escape(problem)}</div>' if problem else ""
    until = f" It is open until {_time(view.expires_at)}." if view.expires_at is not None else ""
    inputs = "".join(_input(number, field, filled) for number, field in enumerate(fields))
    hidden = f'<input type="hidden" name="{CHECK}" value="{escape(check)}">'
    body = f"""\
<h1>{escape(view.workflow)} asks you</h1>
<p class="soft">Step {escape(view.step)} of the run {escape(view.root_id)} waits for your answer.{until}</p>
<blockquote>{escape(view.message)}</blockquote>{_gate(view)}
{told}<form method="post" autocomplete="off">{hidden}{inputs}
<button class="main" name="do" value="answer">Send the answer</button></form>
<details{" open" if raw else ""}><summary>Answer with JSON</summary>
<form method="post" autocomplete="off">{hidden}<label for="{JSON}">The whole answer</label>
<textarea id="{JSON}" name="{JSON}" placeholder="JSON" spellcheck="false">{escape(raw)}</textarea>
<button class="other" name="do" value="{JSON}">Send it</button></form></details>
<details><summary>Refuse to answer</summary>
<form method="post" autocomplete="off">{hidden}<label for="{REASON}">Why</label>
<textarea id="{REASON}" name="{REASON}" maxlength="2000"></textarea>
<button class="other" name="do" value="decline">Refuse: the step fails</button></form></details>"""
    return whole(f"{view.workflow} asks you", body)


def _gate(view: WaitView) -> str:
    told = told_of(view.details)
    if told is None:
        return ""
    return f'\n<p class="soft">{escape(told.title)}</p>\n<blockquote>{escape(told.text)}</blockquote>'


def _input(number: int, field: Field, filled: Mapping[str, str]) -> str:
    key, name = f"f{number}", escape(field.key)
    value = "" if field.secret else filled.get(field.key, field.shown)
    mark = "" if field.required else ' <span class="soft">(optional)</span>'
    label = f'<label for="{key}">{escape(field.label)}{mark}</label>'
    about = f'<small id="{key}h">{escape(field.help)}</small>' if field.help else ""
    attributes = f'id="{key}" name="v.{name}"' + (f' aria-describedby="{key}h"' if field.help else "")
    needed = " required" if field.required else ""
    if field.kind == "boolean":
        on = " checked" if value == "true" else ""
        box = f'<label class="check"><input type="checkbox" value="true" {attributes}{on}>'
        return f"{box}{escape(field.label)}</label>{about}"
    if field.kind == "shown":
        return f'{label}<output id="{key}">{escape(value)}</output>{about}'
    if field.kind == "checks":
        return _boxes(key, name, field, value) + about
    if field.kind == "choice":
        options = "".join(
            f'<option value="{place}"{" selected" if value == str(place) else ""}>{escape(choice.label)}</option>'
            for place, choice in enumerate(field.choices)
        )
        return f'{label}<select {attributes}{needed}><option value="">Choose …</option>{options}</select>{about}'
    if field.kind in ("long", "json", "list"):
        hint = f' placeholder="{_PLACEHOLDERS[field.kind]}" spellcheck="false"' if field.kind != "long" else ""
        needed = needed if field.kind == "json" else ""  # an empty text is one
        return f"{label}<textarea {attributes}{needed}{hint}>{escape(value)}</textarea>{about}"
    kind = 'type="text" inputmode="decimal"' if field.kind == "number" else f'type="{field.input_type}"'
    return f'{label}<input {kind} {attributes}{needed} value="{escape(value)}">{about}'


def _boxes(key: str, name: str, field: Field, value: str) -> str:
    marked = value.split()
    boxes = "".join(
        f'<label class="check"><input type="checkbox" value="{place}" name="v.{name}"'
        f"{' checked' if str(place) in marked else ''}>{escape(choice.label)}</label>"
        for place, choice in enumerate(field.choices)
    )
    return f'<fieldset id="{key}"><legend>{escape(field.label)}</legend>{boxes}</fieldset>'


def over(title: str, text: str) -> str:
    """Return a page that asks nothing."""
    return whole(title, f'<h1>{escape(title)}</h1><p class="soft" role="status">{escape(text)}</p>')


def whole(title: str, body: str) -> str:
    """Return a page around a body of HTML."""
    return f"""\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="robots" content="noindex"><title>{escape(title)}</title><style>{STYLE}</style></head>
<body><main><div class="card">{body}</div></main></body></html>
"""


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
