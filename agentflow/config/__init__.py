"""The config file: what it may say, how it is found and loaded, and what comes out.

Names are loaded on first use: who only wants to know where the store is needs no models.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentflow.config.env import EnvVar
    from agentflow.config.in_python import config_from
    from agentflow.config.load import load_config, load_text
    from agentflow.config.plain import UNNAMED, Plain, find_config, read_plain
    from agentflow.config.result import Config
    from agentflow.definition.config_file import ConfigFile, HttpSettings, Limits

__all__ = [
    "UNNAMED",
    "Config",
    "ConfigFile",
    "EnvVar",
    "HttpSettings",
    "Limits",
    "Plain",
    "config_from",
    "find_config",
    "load_config",
    "load_text",
    "read_plain",
]

_HOMES = {
    "agentflow.config.env": ("EnvVar",),
    "agentflow.config.in_python": ("config_from",),
    "agentflow.config.load": ("load_config", "load_text"),
    "agentflow.config.plain": ("UNNAMED", "Plain", "find_config", "read_plain"),
    "agentflow.config.result": ("Config",),
    "agentflow.definition.config_file": ("ConfigFile", "HttpSettings", "Limits"),
}


def __getattr__(name: str) -> object:
    for module, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(module), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
