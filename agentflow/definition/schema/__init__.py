"""JSON Schema of the config file, made from the models: editors complete and check with it."""

from agentflow.definition.schema.drafts import Draft
from agentflow.definition.schema.whole import config_schema

__all__ = ["Draft", "config_schema"]
