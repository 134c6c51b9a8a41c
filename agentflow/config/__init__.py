"""The config file: what it may say, how it is found and loaded, and what comes out."""

from agentflow.config.in_python import config_from, with_env
from agentflow.config.load import find_config, load_config, load_text
from agentflow.config.result import UNNAMED, Config, EnvVar
from agentflow.definition.config_file import ConfigFile, HttpSettings, Limits

__all__ = [
    "UNNAMED",
    "Config",
    "ConfigFile",
    "EnvVar",
    "HttpSettings",
    "Limits",
    "config_from",
    "find_config",
    "load_config",
    "load_text",
    "with_env",
]
