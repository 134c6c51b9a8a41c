"""Whatever stands in a file: problems with places, never a traceback."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentflow.config import load_text
from agentflow.data import is_array, is_object
from agentflow.definition.excerpt import render_problems
from agentflow.errors import DefinitionError, Problem

SET: dict[str, Any] = {"type": "set", "value": "{steps.b.body}"}
BASE: dict[str, Any] = {
    "include": ["*.nothing"],
    "env": ["A", {"name": "B", "public": True}],
    "skills": ["native:shell"],
    "limits": {"event_size": "3KiB"},
    "defaults": {"retry": 3, "timeout": "3s"},
    "http": {"base_url": "https://example.com", "headers": {"a": "b"}},
    "tools": {"x": {"command": "y"}},
    "connections": {"a:b": {"scopes": ["c"]}},
    "workflows": {
        "w": {
            "input": {"url": "string", "n": {"type": "integer?", "default": 3}},
            "context": {"found": {"default": [], "reducer": "append"}},
            "entry_points": [{"id": "e", "starts_at": "a", "triggers": [{"type": "webhook", "path": "/x"}]}],
            "finally": [{"id": "tidy", "type": "set", "value": 1}],
            "steps": [
                {"id": "a", "type": "script", "run": "ls", "env": {"A": "{input.url}"}, "retry": {"on": ["http"]}},
                {"id": "b", "type": "api_call", "url": "{input.url}", "if": "{input.n} > 3", "requires": ["a:b"]},
                {
                    "id": "c",
                    "type": "switch",
                    "cases": [
                        {"when": "{input.n} == 1", "steps": [{"id": "d", "type": "set", "value": "{steps.b.body}"}]}
                    ],
                    "default": {"type": "set", "value": 1},
                },
                {
                    "id": "f",
                    "type": "for_each",
                    "in": [1],
                    "item": "it",
                    "steps": [{"id": "g", "type": "set", "value": 1}],
                },
                {
                    "id": "h",
                    "type": "wait_for_input",
                    "message": "?",
                    "schema": {"properties": {"x": {"type": "string"}}},
                },
                {
                    "id": "i",
                    "type": "set",
                    "value": "{steps.h.x}",
                    "for_each": "{input.n}",
                    "compensate": {"type": "set"},
                },
            ],
        }
    },
}
DISTRI: dict[str, Any] = {
    "agent_type": "workflow_agent",
    "name": "x",
    "definition": {
        "id": "g",
        "steps": [
            {
                "id": "a",
                "label": "A",
                "kind": {"type": "script", "command": "echo {x} b", "args": ["{input.y}"], "shell": "bash"},
                "input": {"x": "{input.y}"},
                "depends_on": [],
            },
            {
                "id": "c",
                "kind": {"type": "condition", "expression": "{input.x}", "if_true": {"type": "reply", "text": "t"}},
            },
        ],
        "entry_points": [{"id": "e", "label": "E", "starts_at": "a", "triggers": [{"type": "slash", "name": "/x"}]}],
    },
}
JUNK: list[Any] = [
    *(
        None,
        True,
        0,
        -1,
        1e300,
        10**40,
        "",
        "x",
        "{input.x}",
        "{steps.a.b",
        "{{",
        "[",
        "\u0000",
        "😀",
        "a/b~c",
        "a" * 300,
    ),
    *([], [[]], {}, {"a": 1}, {"type": "set"}, ["a"], [{"id": "a"}], {"": ""}, {"in": 1}, {"type": "nope", "id": 5}),
]
SEEDS = pytest.mark.parametrize("seed", [*range(5), *(pytest.param(n, marks=pytest.mark.slow) for n in range(5, 20))])
NAMES = ("x", "", "type", "id", "steps", "kind", "if", "for_each", "retry", "dialect")


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value inside a value."""
    if path:
        yield path
    entries: Any = value.items() if is_object(value) else enumerate(value) if is_array(value) else ()
    for key, item in entries:
        yield from paths(item, (*path, key))


def spoilt(base: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    """Return a copy with one to three places spoilt."""
    data = copy.deepcopy(base)
    for _ in range(dice.randint(1, 3)):
        *way, last = dice.choice(list(paths(data)))
        target: Any = data
        for key in way:
            target = target[key]
        action = dice.random()
        if action < 0.6:
            target[last] = copy.deepcopy(dice.choice(JUNK))
        elif action < 0.8 and is_object(target):
            target[dice.choice(NAMES)] = copy.deepcopy(dice.choice(JUNK))
        elif len(data) > 1 or way:
            del target[last]
    return data


def problems_of(text: str, file: str, folder: Path) -> list[Problem]:
    """Load a text and return what is wrong with it."""
    try:
        return load_text(text, file, folder=folder).warnings
    except DefinitionError as error:
        return list(error.problems)


def check_shown(text: str, file: str, folder: Path) -> None:
    """Problems have places and can be shown."""
    found = problems_of(text, file, folder)
    assert all(problem.place or problem.code == "AF-CONFIG-INVALID" for problem in found)
    assert render_problems(found, {file: text}).count("[AF-") >= len(found)


@SEEDS
@pytest.mark.parametrize("base", [BASE, DISTRI], ids=["agentflow", "distri"])
def test_spoilt_data_gives_problems_that_can_be_shown(base: dict[str, Any], seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    for _ in range(40):
        check_shown(json.dumps(spoilt(base, dice), indent=1), "a.json", tmp_path)


@SEEDS
def test_spoilt_text_gives_problems_that_can_be_shown(seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    text = """\
workflows:
  w:
    input: {url: string}
    steps:
      - id: "a"
        type: script
        run: |
          echo 'x'
      - &b {id: b, type: set, value: ["{input.url}", *c]}
"""
    for _ in range(40):
        letters = list(text)
        for _ in range(dice.randint(1, 6)):
            at = dice.randrange(len(letters))
            if dice.random() < 0.5:
                letters[at] = dice.choice("{}[]:,-&*!|>'\"#%@`\t\n ?\x00\ufeffé")
            else:
                del letters[at : at + dice.randint(1, 20)]
        check_shown("".join(letters), "a.yaml", tmp_path)
