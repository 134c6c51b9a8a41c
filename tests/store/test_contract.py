"""Every store keeps the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from agentflow.store import open_store
from agentflow.store.contract import Store
from agentflow.testing.store_suite import DurableSuite, StoreSuite

pytestmark = pytest.mark.anyio

CASES = {
    StoreSuite.test_a_run_is_read_back_as_it_was_created: pytest.mark.case("D-ST-1"),
    StoreSuite.test_update_context_changes_the_free_context_keys_only: pytest.mark.case("D-ST-2"),
    StoreSuite.test_a_step_that_goes_on_stays_one_row: pytest.mark.case("D-ST-3"),
    StoreSuite.test_steps_are_listed_per_run_in_order_of_their_first_insertion: pytest.mark.case("D-ST-4"),
    StoreSuite.test_a_deleted_run_is_gone_with_its_descendants_and_all_rows: pytest.mark.case("D-ST-5"),
    StoreSuite.test_an_update_of_a_step_keeps_result_and_memo_and_clears_the_error: pytest.mark.case("D-ST-6"),
    StoreSuite.test_creating_a_run_again_overwrites_it_and_unknown_ones_are_nothing: pytest.mark.case("D-ST-7"),
    StoreSuite.test_cancelling_a_tree_leaves_what_has_ended_alone: pytest.mark.case("D-TK-1"),
    StoreSuite.test_a_run_keeps_the_id_it_was_given_and_another_one_is_unknown: pytest.mark.case("W-P-1"),
    StoreSuite.test_every_field_of_a_step_round_trips: pytest.mark.case("W-P-2"),
    StoreSuite.test_a_patch_changes_what_it_names: pytest.mark.case("W-P-2"),
    StoreSuite.test_only_what_is_due_now_can_be_run: pytest.mark.case("W-P-3"),
    StoreSuite.test_a_wait_that_was_closed_hears_nothing: pytest.mark.case("W-P-4"),
    StoreSuite.test_an_event_reaches_every_wait_that_wants_it: pytest.mark.case("W-P-4"),
    StoreSuite.test_the_first_answer_wins_and_leaves_one_command: pytest.mark.case("W-P-5"),
    StoreSuite.test_concurrent_creations_all_land_under_keys_of_their_own: pytest.mark.case("W-P-8"),
    StoreSuite.test_a_refused_change_opens_no_wait: pytest.mark.case("W-P-6"),
    StoreSuite.test_a_wait_sees_events_that_were_published_since_its_time: pytest.mark.case("W-P-6", "W-P-7"),
    StoreSuite.test_the_root_of_a_child_is_that_of_its_parent: pytest.mark.case("W-P-10"),
    StoreSuite.test_a_timer_set_twice_is_one_and_is_delivered_until_it_is_dropped: pytest.mark.case("W-P-11"),
    StoreSuite.test_a_stale_change_is_refused_alone: pytest.mark.case("W-P-12"),
    StoreSuite.test_a_tree_is_held_once_until_it_is_released: pytest.mark.case("W-L-1"),
    StoreSuite.test_a_dead_hosts_tree_is_taken_and_its_late_commit_refused: pytest.mark.case("W-L-2"),
    StoreSuite.test_commands_come_in_order_per_tree_and_each_exactly_once: pytest.mark.case("W-Q-1", "F-ST-1"),
    StoreSuite.test_a_command_that_nobody_finished_is_there_for_the_next_holder: pytest.mark.case("W-Q-2"),
    StoreSuite.test_purging_removes_what_ended_long_ago_and_counts_root_runs: pytest.mark.case("W-S-2", "A-23"),
    StoreSuite.test_a_run_is_followed_from_its_start_to_its_output: pytest.mark.case("F-ST-1"),
    StoreSuite.test_the_same_idempotency_key_makes_one_run: pytest.mark.case("F-D-1", "W-P-9"),
    StoreSuite.test_a_finish_delivered_twice_is_committed_once: pytest.mark.case("F-D-8"),
    StoreSuite.test_a_repeated_event_reaches_nobody: pytest.mark.case("F-D-8"),
    DurableSuite.test_opening_and_closing_may_be_repeated: pytest.mark.case("W-P-10", "W-L-1"),
    DurableSuite.test_one_of_two_takes_a_lease_and_the_loser_learns_it: pytest.mark.case("W-L-2"),
    DurableSuite.test_one_of_two_creations_with_one_idempotency_key_wins: pytest.mark.case("F-D-1"),
}
"""Which cases the suite's tests show. They stand here because the suite is for other projects too.

Where a predecessor's interface has no place here, the behaviour behind it is shown: a stale version is a stale epoch
(W-P-12), a queue is a tree's inbox (W-Q), a scheduled command a timer (W-P-11), a lock a lease (W-L), a claim token the
first answer that wins (W-P-5), and counter names are ids and idempotency keys per workflow (W-P-8, W-P-9).
"""

for _test, _mark in CASES.items():
    _mark(_test)


class TestMemory(StoreSuite):
    """In memory."""

    @pytest.fixture
    async def store(self) -> AsyncIterator[Store]:
        """Open an empty store."""
        store = await open_store(":memory:")
        yield store
        await store.close()


class TestSqlite(StoreSuite):
    """In a file."""

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[Store]:
        """Open an empty store."""
        store = await open_store(tmp_path / "runs.db")
        yield store
        await store.close()


class TestSqliteDurable(DurableSuite):
    """In a file that is opened again, or twice."""

    @pytest.fixture
    def opener(self, tmp_path: Path) -> Callable[[], Awaitable[Store]]:
        """Return what opens the same file each time."""
        return lambda: open_store(tmp_path / "runs.db", durability="relaxed")
