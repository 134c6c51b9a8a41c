"""Templates, references and conditions: compiled once, evaluated against a view. Pure."""

from agentflow.expressions.condition import Condition, compile_condition
from agentflow.expressions.failures import ExpressionError, ReferenceMissing
from agentflow.expressions.filters import filter_matches
from agentflow.expressions.template import Compiled, compile_value, is_plain
from agentflow.expressions.view import NAMESPACES, NULLED, Escape, NamedValues, Parts, Reference, View

__all__ = (
    "NAMESPACES",
    "NULLED",
    "Compiled",
    "Condition",
    "Escape",
    "ExpressionError",
    "NamedValues",
    "Parts",
    "Reference",
    "ReferenceMissing",
    "View",
    "compile_condition",
    "compile_value",
    "filter_matches",
    "is_plain",
)
