"""Lists, logs, endings, purging."""

# ruff: noqa: S101  a test suite

from __future__ import annotations

from typing import Any

from agentflow.principal import EVERYTHING, Principal
from agentflow.store.contract import Store
from agentflow.store.rows import (
    RunChange,
    RunPatch,
    RunQuery,
)
from agentflow.store.views import PurgeQuery
from agentflow.testing.store_suite.builders import (
    OVER,
    bump,
    ending,
    fresh,
    listening,
    new_run,
    note,
    start,
    start_child,
    text_id,
    wait_task,
)


async def _names(store: Store, query: RunQuery) -> list[str]:
    runs = await store.list_runs(query)
    assert await store.count_runs(query) >= len(runs)
    return [run.id.lstrip("0") for run in runs]


class ReadSuite:
    """What doors ask."""

    async def test_runs_are_listed_newest_first_and_by_what_is_asked(self, store: Store) -> None:
        given: dict[str, dict[str, Any]] = {
            "a": {"labels": {"team": "x", "env": "dev"}},
            "b": {"workflow": "other", "owner": "ann"},
            "c": {"labels": {"team": "x"}, "context_id": "talk"},
            "d": {},
        }
        keys = {
            name: await start(store, name, created_at=100.0 + n, **fields)
            for n, (name, fields) in enumerate(given.items())
        }
        await start_child(store, "e", keys["a"], keys["a"], created_at=90.0)
        await store.commit([ending(keys["b"], keys["b"]), ending(keys["d"], keys["d"], "failed")])
        assert await _names(store, RunQuery()) == ["d", "c", "b", "a"]
        assert await _names(store, RunQuery(limit=2)) == ["d", "c"]
        assert await _names(store, RunQuery(before=text_id("c"))) == ["b", "a"]
        assert await _names(store, RunQuery(before=text_id("nobody"))) == []
        assert await _names(store, RunQuery(states=("completed", "failed"))) == ["d", "b"]
        assert await _names(store, RunQuery(workflow="other")) == ["b"]
        assert await _names(store, RunQuery(owner="ann", states=("working",))) == []
        assert await _names(store, RunQuery(parent=text_id("a"))) == ["e"]
        assert await _names(store, RunQuery(parent=text_id("nobody"))) == []
        assert await _names(store, RunQuery(labels={"team": "x"})) == ["c", "a"]
        assert await _names(store, RunQuery(labels={"team": "x", "env": "dev"})) == ["a"]
        assert await _names(store, RunQuery(since=102.0)) == ["d", "c"]
        assert await _names(store, RunQuery(context_id="talk")) == ["c"]
        assert await store.count_runs(RunQuery(limit=1)) == 4

    async def test_runs_of_the_same_moment_have_one_order_and_pages_miss_none(self, store: Store) -> None:
        for n in range(10, 20):
            await start(store, f"r{n}")
        pages: list[str] = []
        before: str | None = None
        while page := await store.list_runs(RunQuery(limit=3, before=before)):
            pages.extend(run.id for run in page)
            before = page[-1].id
        assert pages == [text_id(f"r{n}") for n in range(19, 9, -1)]

    async def test_a_run_is_followed_from_its_start_to_its_output(self, store: Store) -> None:
        """Run info of another engine: created, filtered by state, its errors and its output read back."""
        key = await start(store, "r1")
        assert await _names(store, RunQuery(states=("working",))) == ["r1"]
        patch = RunPatch(120.0, "failed", error=b'{"code":"X"}', output=b"[1]", now_text="broke")
        await store.commit([RunChange(key, key, 1, patch=patch)])
        assert await _names(store, RunQuery(states=("working",))) == []
        (run,) = await store.list_runs(RunQuery(states=("failed",)))
        assert (run.error, run.output, run.now_text, run.ended_at) == (b'{"code":"X"}', b"[1]", "broke", 120.0)

    async def test_events_are_read_from_where_the_reader_stands(self, store: Store) -> None:
        root = await start(store, "r1")
        other = await start(store, "r2")
        child = await start_child(store, "c1", root, root)
        await store.commit([RunChange(child, root, 1, events=[note("b", "step0", 101.0)])])
        await store.commit([RunChange(other, other, 1, events=[note("x")])])
        await store.commit([RunChange(root, root, 1, events=[bump("c"), note("d")])])
        mine = await store.events(text_id("r1"))
        assert [(event.seq, event.type, event.generation) for event in mine] == [
            (1, "run_started", 1),
            (2, "c", 2),
            (3, "d", None),
        ]
        assert [event.type for event in await store.events(text_id("r1"), after=1, limit=1)] == ["c"]
        tree = await store.events(text_id("r1"), tree=True)
        assert [event.type for event in tree] == ["run_started", "b", "c", "d"]
        assert await store.events(text_id("r1"), after=tree[1].pos, tree=True) == tree[2:]
        assert [event.type for event in await store.events(text_id("c1"), tree=True)] == ["b"]
        everything = await store.all_events()
        assert [event.type for event in everything] == ["run_started", "run_started", "b", "x", "c", "d"]
        assert await store.all_events(after=everything[3].pos, limit=1) == everything[4:5]
        (event,) = await store.events(text_id("c1"))
        assert (event.run_id, event.task_id, event.step, event.data, event.at) == (
            text_id("c1"), text_id("c1"), "step0", {"n": 1}, 101.0,
        )  # fmt: skip
        assert await store.events(text_id("nobody")) == []

    async def test_ids_are_found_by_their_ending(self, store: Store) -> None:
        key = await start(store, "aaabbbccc")
        await start(store, "xaabbbccc")
        await start(store, "zzz")
        await store.commit([RunChange(key, key, 1, tasks=[wait_task(key, "wwbbbccc")])])
        assert await store.find("bbbccc", "run") == [text_id("xaabbbccc"), text_id("aaabbbccc")]
        assert await store.find("bbbccc", "run", limit=1) == [text_id("xaabbbccc")]
        assert await store.find(text_id("zzz"), "run") == [text_id("zzz")]
        assert await store.find("bbbccc", "wait") == [text_id("wwbbbccc")]
        assert await store.find("q", "run") == []
        assert await store.find("%", "run") == []

    async def test_an_ending_finds_what_is_shown_to_a_principal_however_many_others_have_it(self, store: Store) -> None:
        ann, bob, other = Principal("ann", "acme"), Principal("bob", "acme", groups={"law"}), Principal("ann", "other")
        key = await start(store, "abc", owner="ann", tenant="acme")
        wait = wait_task(key, "wabc")._replace(assignees=("group:law",))
        await store.commit([RunChange(key, key, 1, tasks=[wait])])
        for n in range(1, 10):
            foreign = await start(store, f"{n}xabc", owner="bob", tenant="elsewhere")
            await store.commit([RunChange(foreign, foreign, 1, tasks=[wait_task(foreign, f"{n}wabc")])])
        assert await store.find("abc", "run", principal=ann) == [text_id("abc")]
        assert [await store.find("abc", "run", principal=who) for who in (bob, other)] == [[], []]
        assert [await store.find("abc", "wait", principal=who) for who in (ann, bob)] == [[text_id("wabc")]] * 2
        assert await store.find("abc", "wait", principal=other) == []
        assert len(await store.find("abc", "run", 50, Principal("root", scopes={EVERYTHING}))) == 10

    async def test_the_shortest_ending_is_unique_and_has_six_characters_or_more(self, store: Store) -> None:
        for name in ("aaabbbccc", "xaabbbccc", "zzz"):
            await start(store, name)
        ids = [text_id(name) for name in ("xaabbbccc", "zzz", "aaabbbccc")]
        endings = await store.shortest(ids, "run")
        assert endings == ["xaabbbccc", "000zzz", "aaabbbccc"]
        assert [await store.find(text, "run") for text in endings] == [[text] for text in ids]

    async def test_purging_removes_what_ended_long_ago_and_counts_root_runs(self, store: Store) -> None:
        old, failed, recent = [await start(store, name) for name in ("old", "failed", "recent")]
        active = await start(store, "active", created_at=1.0)
        child = await start_child(store, "child", old, old)
        await store.commit([ending(child, old, at=150.0), ending(old, old, at=150.0)])
        await store.commit([ending(failed, failed, "failed", at=150.0), ending(recent, recent, at=500.0)])
        assert await store.purge(PurgeQuery(300.0, 0.0, ("completed",))) == 1
        assert await _names(store, RunQuery()) == ["recent", "failed", "active"]
        assert await store.get_run(text_id("child")) is None
        assert await store.purge(PurgeQuery(300.0, 0.0, OVER)) == 1
        assert await store.purge(PurgeQuery(300.0, 0.0, ("working", "completed"))) == 0
        assert await _names(store, RunQuery()) == ["recent", "active"]
        assert {event.run for event in await store.all_events()} == {active, recent}

    async def test_a_run_is_kept_as_long_as_it_says_itself_and_no_longer(self, store: Store) -> None:
        for name, retention in (("short", 10.0), ("long", 1000.0), ("plain", None)):
            key = await start(store, name, retention=retention)
            await store.commit([ending(key, key, at=200.0)])
        assert await store.purge(PurgeQuery(205.0, None, OVER)) == 0
        assert await store.purge(PurgeQuery(220.0, None, OVER)) == 1
        assert await _names(store, RunQuery()) == ["plain", "long"]
        assert await store.purge(PurgeQuery(220.0, 0.0, OVER)) == 1
        assert await _names(store, RunQuery()) == ["long"]
        assert await store.purge(PurgeQuery(1201.0, None, OVER)) == 1

    async def test_nobody_purges_others_runs(self, store: Store) -> None:
        for name, owner, tenant in (("r1", "ann", "acme"), ("r2", "ann", ""), ("r3", "bob", "acme")):
            key = await start(store, name, owner=owner, tenant=tenant)
            await store.commit([ending(key, key, at=200.0)])
        assert await store.purge(PurgeQuery(300.0, 0.0, OVER, Principal("ann", "acme"))) == 1
        assert await _names(store, RunQuery()) == ["r3", "r2"]

    async def test_purging_keeps_to_the_agents_that_are_named(self, store: Store) -> None:
        for name, agent in (("r1", "desk"), ("r2", "shop"), ("r3", "")):
            key = await start(store, name, agent=agent)
            await store.commit([ending(key, key, at=200.0)])
        assert await store.purge(PurgeQuery(300.0, 0.0, OVER, agents=("", "desk"))) == 2
        assert await _names(store, RunQuery()) == ["r2"]

    async def test_purging_forgets_published_events_that_no_run_can_ask_for(self, store: Store) -> None:
        for n, at in enumerate((10.0, 60.0)):
            await store.publish("paid", {"n": n}, f"e{n}", at)
        key = await start(store, "r1", created_at=50.0)
        await store.purge(PurgeQuery(100.0, 0.0, OVER))
        await store.commit([listening(key, "w1", "paid")])
        view = await store.get_task(text_id("w1"))
        assert view is not None
        assert view.answer == {"value": {"n": 1}}

    async def test_purging_leaves_published_events_alone_where_only_runs_are_to_go(self, store: Store) -> None:
        await store.publish("paid", {"n": 1}, "e1", 10.0)
        await store.purge(PurgeQuery(100.0, 0.0, OVER, events=False))
        await store.commit([listening(await start(store, "r1", created_at=150.0), "w1", "paid", since=0.0)])
        view = await store.get_task(text_id("w1"))
        assert view is not None
        assert view.answer == {"value": {"n": 1}}

    async def test_definitions_go_with_the_last_run_that_needs_them(self, store: Store) -> None:
        bodies: dict[str, bytes] = dict.fromkeys(("d1", "d2", "kid", "late"), b"{}")
        keys = [await fresh(store) for _ in range(3)]
        store.holder = "host-a"
        creates = [
            new_run("r0", definition="d1", pins={"k": "kid", "l": "late"}),
            new_run("r1", definition="d2", pins={"k": "kid"}),
            new_run("r2", definition="d2"),
        ]
        await store.commit([RunChange(k, k, 1, create=new) for k, new in zip(keys, creates, strict=True)], bodies)
        child = await start_child(store, "c1", keys[0], keys[0], definition="kid")
        await store.commit([ending(child, keys[0]), *(ending(key, key, at=200.0 + n) for n, key in enumerate(keys))])
        for older, left in ((200.5, {"d2", "kid"}), (201.5, {"d2"}), (300.0, set[str]())):
            assert await store.purge(PurgeQuery(older, 0.0, OVER)) == 1
            assert {name for name in bodies if await store.get_definition(name)} == left
        key = await fresh(store)
        await store.commit([RunChange(key, key, 1, create=new_run("r3", definition="d1"))], bodies)
        assert await store.get_definition("d1") == b"{}"

    async def test_purging_goes_in_batches_and_positions_are_never_used_again(self, store: Store) -> None:
        keys = [await start(store, f"r{n}") for n in range(60)]
        await store.commit([ending(key, key, at=150.0 + n) for n, key in enumerate(keys)])
        last = (await store.all_events(limit=10_000))[-1].pos
        assert await store.purge(PurgeQuery(1000.0, 0.0, OVER), limit=55) == 55
        assert len(await store.list_runs(RunQuery(limit=100))) == 5
        assert await store.purge(PurgeQuery(1000.0, 0.0, OVER)) == 5
        key = await start(store, "next")
        assert key not in keys
        assert [event.pos > last for event in await store.all_events()] == [True]
