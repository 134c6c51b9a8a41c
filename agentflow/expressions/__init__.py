"""Templates, references and conditions: compiled once, evaluated against a view. Pure."""

from agentflow.expressions.condition import Condition, compile_condition, filter_matches
from agentflow.expressions.reference import Reference
from agentflow.expressions.template import Compiled, compile_value
from agentflow.expressions.view import NAMESPACES, NULLED, ExpressionError, ReferenceMissing, View

__all__ = (
    "NAMESPACES",
    "NULLED",
    "Compiled",
    "Condition",
    "ExpressionError",
    "Reference",
    "ReferenceMissing",
    "View",
    "compile_condition",
    "compile_value",
    "filter_matches",
)
