"""Tests of the engine that don't hold where steps are executed by another process, and why: it is meant to be so.

They run all the same, and have to fail.
"""

from __future__ import annotations

from collections.abc import Mapping

GRACE = "a host that ends leaves its steps to their workers, who go on: there is nothing to give time to"
REAPED = "a host ends only those processes that it has started itself"
LOST = "a dead host's steps are broken off when no worker knows of them, and that is a transition of its own"
KEPT = "the worker of a dead host may still be at work with the key"
REFUSED = "test_effects::test_a_refused_transition_touches_nothing_and_is_done_again"
HERE_ONLY: Mapping[str, str] = {
    "test_cancel::test_shutdown_lets_steps_end_in_their_grace_and_starts_nothing_more": GRACE,
    "test_cancel::test_shutdown_without_grace_stops_what_runs_and_it_goes_on_with_the_next_host": GRACE,
    "test_damaged::test_what_a_dead_process_left_running_is_ended_with_its_cancelled_damaged_run": REAPED,
    f"{REFUSED}[workers-a dead host's run is taken over]": LOST,
    f"{REFUSED}[workers-a step that was broken off begins again]": LOST,
    f"{REFUSED}[workers-a step is stopped at its host's end]": GRACE,
    f"{REFUSED}[workers-slots of a dead host's run are given back]": KEPT,
    "test_hostile_steps::test_the_class_and_text_of_what_a_validator_raises_are_told": (
        "the fields of a step are validated by the worker, which doesn't see what the test has set in its module"
    ),
    "test_keys::test_the_slot_of_a_dead_process_comes_free_and_its_run_can_go_on": KEPT,
    "test_regressions::test_a_step_that_fails_while_the_engine_shuts_down_has_failed_and_nothing_else_has": GRACE,
    "test_regressions::test_slots_are_free_again_after_a_tree_was_lost": (
        "who has the tree now may have taken its attempts over: their worker isn't stopped"
    ),
    "test_regressions_commits::test_commits_to_a_slow_disk_dont_wait_for_scripts_that_have_all_threads": (
        "the scripts wait in threads of the worker"
    ),
    "test_tool_gates::test_a_kill_after_the_yes_calls_it_again_with_the_same_key_and_asks_nobody": (
        "a call that was handed out goes on with its worker, whatever becomes of its host"
    ),
    "test_travels::test_a_step_travels_as_the_page_tells": "the page tells the way of a step that is executed here",
}
"""Module and test, with its parameters where it is about these, and the reason."""
EITHER: Mapping[str, str] = {
    "test_notes::test_what_a_step_told_before_it_ended_badly_is_kept[workers-True]": (
        "a run that is cancelled is over at once: what its worker tells when it hears of it comes too late"
    ),
}
"""Those that may hold or not: who is first isn't foretold. They don't run."""
