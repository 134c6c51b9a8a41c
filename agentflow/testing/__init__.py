"""For tests of workflows and of stores.

`harness` runs workflows on virtual time, with stubs for tools, agents and functions and scripted answers to waits.
`agentflow.testing.store_suite` is the contract of a store. Names are loaded on first use.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow.testing.clock import FakeClock
    from agentflow.testing.disk import SlowDisk, slow_disk
    from agentflow.testing.kit import Harness, harness
    from agentflow.testing.outcome import RunOutcome, StepOutcome
    from agentflow.testing.stubs import in_turn

__all__ = ("FakeClock", "Harness", "RunOutcome", "SlowDisk", "StepOutcome", "harness", "in_turn", "slow_disk")

_HOMES = {
    "FakeClock": "agentflow.testing.clock",
    "Harness": "agentflow.testing.kit",
    "RunOutcome": "agentflow.testing.outcome",
    "SlowDisk": "agentflow.testing.disk",
    "StepOutcome": "agentflow.testing.outcome",
    "harness": "agentflow.testing.kit",
    "in_turn": "agentflow.testing.stubs",
    "slow_disk": "agentflow.testing.disk",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415  see the module's docstring

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
