"""Push notifications from the command line: who gets them, and what has failed goes on."""

from __future__ import annotations

from functools import partial

import anyio

from agentflow.engine import Engine
from agentflow.store.outbox import Push, PushQuery
from tests.cli.project import Project


def keep(project: Project, *receivers: tuple[str, str | None]) -> str:
    """Keep receivers of a run's changes, and why each has failed; returns the run's id."""
    project.run("run", "report", "-q")
    return anyio.run(partial(_keep, project, receivers))


async def _keep(project: Project, receivers: tuple[tuple[str, str | None], ...]) -> str:
    async with Engine.open(project.folder / ".agentflow" / "runs.db", host="none") as engine:
        engine.store.holder = "somebody"
        run_id = await engine.find("@last")
        for name, error in receivers:
            kept = await engine.store.outbox.put(
                Push(
                    run_id, name, "", "kim", "agentflow", f"https://{name}.example.com", "s1.secret", 2, 1000.0, 1000.0
                )
            )
            assert kept is not None
            (claimed,) = await engine.store.outbox.claim([kept.key], ())
            state = "failed" if error else "active"
            settled = claimed._replace(state=state, tries=3 if error else 0, error=error, due=None)
            await engine.store.outbox.settle(settled, release=True)
        return run_id


def test_without_any_the_list_says_so(project: Project) -> None:
    assert project.run("push", "list").stderr == "Nobody gets push notifications.\n"
    assert project.json("push", "list") == {"pushes": []}
    project.run("run", "report", "-q")
    assert project.run("push", "list", "--failed").stderr == "No receiver of push notifications has failed.\n"


def test_the_list_tells_how_far_each_has_got_and_nothing_that_is_sealed(project: Project) -> None:
    run = keep(project, ("one", None), ("two", "HTTP 410: the receiver is gone"))
    told = project.run("push", "list").stdout
    head, first, second = (line.split("\t") for line in told.splitlines())
    assert head == ["TASK", "ID", "TO", "STATE", "GENERATION", "TRIES", "NEXT", "ERROR"]
    assert first[:6] == [run, "one", "https://one.example.com", "active", "2", "0"]
    assert second == [
        run, "two", "https://two.example.com", "failed", "2", "3", "-", "HTTP 410: the receiver is gone",
    ]  # fmt: skip
    (failed,) = project.json("push", "list", "--failed", "--task", run[-6:])["pushes"]
    assert (failed["id"], failed["owner"], failed["next_at"], failed["tries"]) == ("two", "kim", None, 3)
    assert "s1.secret" not in told + str(failed)


def test_a_retry_lets_what_has_failed_go_on_from_where_it_was(project: Project) -> None:
    run = keep(project, ("one", "HTTP 500"), ("two", "HTTP 500"), ("three", None))
    done = project.run("push", "retry", run[-6:], "--id", "one")
    assert (done.returncode, done.stdout) == (0, "1 receiver will be tried anew by a server of this store\n")
    (again,) = project.json("push", "retry", "--all")["pushes"]
    assert (again["id"], again["state"], again["generation"], again["tries"]) == ("two", "active", 2, 0)
    assert again["next_at"] is not None
    assert project.run("push", "retry", "--all").stderr == "No receiver of push notifications has failed.\n"

    async def states() -> list[str]:
        async with Engine.open(project.folder / ".agentflow" / "runs.db", host="none") as engine:
            return [push.state for push in await engine.store.outbox.pushes(PushQuery())]

    assert anyio.run(states) == ["active"] * 3


def test_a_retry_of_everything_has_to_be_meant(project: Project) -> None:
    keep(project, ("one", "HTTP 500"))
    for words in ((), ("@last", "--all")):
        refused = project.run("push", "retry", *words)
        assert (refused.returncode, "say which task, or --all" in refused.stderr) == (2, True)
    unknown = project.run("push", "retry", "zzzzzz")
    assert (unknown.returncode, "AF-RUN-UNKNOWN" in unknown.stderr) == (66, True)
