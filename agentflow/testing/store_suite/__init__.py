"""The contract of a store, as tests. A backend passes them all, or it isn't one.

Subclass the suites in a test module of yours and give each the fixture that it asks for:

```python
pytestmark = pytest.mark.anyio


class TestMine(StoreSuite):
    @pytest.fixture
    async def store(self) -> AsyncIterator[Store]:
        store = await open_mine()
        yield store
        await store.close()


class TestMineOpenedAgain(DurableSuite):
    @pytest.fixture
    def opener(self, tmp_path: Path) -> Callable[[], Awaitable[Store]]:
        return lambda: open_mine(tmp_path / "store")
```

`StoreSuite` needs one open store. `DurableSuite` needs a function that opens the same store again and again: it is for
stores that outlive their process and may be open in several.
"""

from agentflow.testing.store_suite.commands import CommandSuite
from agentflow.testing.store_suite.durable import DurableSuite
from agentflow.testing.store_suite.elsewhere import ElsewhereSuite
from agentflow.testing.store_suite.leases import LeaseSuite
from agentflow.testing.store_suite.ledger import LedgerSuite
from agentflow.testing.store_suite.listing import ListingSuite
from agentflow.testing.store_suite.outbox import OutboxSuite
from agentflow.testing.store_suite.published import EventSuite
from agentflow.testing.store_suite.reads import ReadSuite
from agentflow.testing.store_suite.records import RecordSuite
from agentflow.testing.store_suite.slots import SlotSuite
from agentflow.testing.store_suite.task_log import ToldSuite
from agentflow.testing.store_suite.turns import TurnSuite
from agentflow.testing.store_suite.usage import UsageSuite
from agentflow.testing.store_suite.vault import VaultSuite

__all__ = ("DurableSuite", "StoreSuite")


class StoreSuite(
    RecordSuite,
    LedgerSuite,
    CommandSuite,
    EventSuite,
    LeaseSuite,
    SlotSuite,
    ReadSuite,
    ToldSuite,
    TurnSuite,
    ListingSuite,
    OutboxSuite,
    ElsewhereSuite,
    UsageSuite,
    VaultSuite,
):
    """Everything that holds for a store in one process."""
