"""For tests of workflows and of stores.

`harness` runs workflows on virtual time, with stubs for tools, agents and functions and scripted answers to waits.
`fault` and `dying` let an engine drop dead at one of `FAULT_POINTS`. `agentflow.testing.store_suite` is the contract of
a store. Names are loaded on first use.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow.faultpoints import POINTS as FAULT_POINTS
    from agentflow.testing.clock import FakeClock
    from agentflow.testing.disk import SlowDisk, slow_disk
    from agentflow.testing.faults import Fault, dying, fault
    from agentflow.testing.kit import Harness, harness
    from agentflow.testing.outcome import RunOutcome, StepOutcome
    from agentflow.testing.recording import Recording, record
    from agentflow.testing.replaying import Replay, replay
    from agentflow.testing.stubs import in_turn

__all__ = (
    "FAULT_POINTS",
    "FakeClock",
    "Fault",
    "Harness",
    "Recording",
    "Replay",
    "RunOutcome",
    "SlowDisk",
    "StepOutcome",
    "dying",
    "fault",
    "harness",
    "in_turn",
    "record",
    "replay",
    "slow_disk",
)

_HOMES = {
    "FAULT_POINTS": "agentflow.faultpoints",
    "FakeClock": "agentflow.testing.clock",
    "Fault": "agentflow.testing.faults",
    "Harness": "agentflow.testing.kit",
    "Recording": "agentflow.testing.recording",
    "Replay": "agentflow.testing.replaying",
    "RunOutcome": "agentflow.testing.outcome",
    "SlowDisk": "agentflow.testing.disk",
    "StepOutcome": "agentflow.testing.outcome",
    "dying": "agentflow.testing.faults",
    "fault": "agentflow.testing.faults",
    "harness": "agentflow.testing.kit",
    "in_turn": "agentflow.testing.stubs",
    "record": "agentflow.testing.recording",
    "replay": "agentflow.testing.replaying",
    "slow_disk": "agentflow.testing.disk",
}

_NAMES = {"FAULT_POINTS": "POINTS"}
"""Names that are others at home."""


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415  see the module's docstring

    value = getattr(import_module(_HOMES[name]), _NAMES.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
