"""What is served where a surface lacks a package."""

from __future__ import annotations

import pytest

from agentflow.errors import AgentflowError
from agentflow.server import surface


class _Entry:
    def __init__(self, name: str, lacks: str | None) -> None:
        self.name = name
        self._lacks = lacks

    def load(self) -> object:
        if self._lacks is not None:
            raise ModuleNotFoundError(name=self._lacks)
        return surface


def test_surfaces_that_lack_a_package_are_off_and_say_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [_Entry("there", None), _Entry("mcp", "mcp.server")]

    def given(*, group: str) -> list[_Entry]:
        return entries if group == surface.GROUP else []

    monkeypatch.setattr(surface, "entry_points", given)
    found = surface.surfaces()
    assert len(found.on) == 1
    assert [(each.name, each.package, each.hint) for each in found.off] == [
        ("mcp", "mcp", 'pip install "agentflow-workflows[mcp]"')
    ]
    entries.pop(0)
    with pytest.raises(AgentflowError, match='the surface "mcp" needs the package "mcp"'):
        surface.surfaces()
