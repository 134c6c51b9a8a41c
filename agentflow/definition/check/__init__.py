"""Checks of a whole workflow: every problem at once, none twice, none that only follows from another."""

from agentflow.definition.check.info import EnvInfo, PlainPointers, Pointers

__all__ = ["EnvInfo", "PlainPointers", "Pointers", "check_workflow"]


from agentflow.definition.check.run import check_workflow
