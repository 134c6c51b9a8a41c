"""`agentflow serve`: whom it serves, how it refuses to start, how it ends and goes on."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import anyio
import httpx
import pytest
from a2a.types import a2a_pb2 as pb
from a2a.utils.errors import InvalidParamsError, TaskNotFoundError

from agentflow.server.run import bound
from tests.surface_a2a.served import MODES, WORKFLOWS, Server, official, output, request, send, state, until_held, waits

pytestmark = pytest.mark.anyio
Serve = Callable[..., Server]
TOKENS = f"""
auth:
  tokens:
    - {{name: ann, value_env: ANN_TOKEN}}
    - {{name: bob, sha256: {sha256(b"of bob").hexdigest()}, groups: [law]}}
    - {{name: boss, value_env: BOSS_TOKEN, scopes: ["*"]}}
"""
ENV = {"ANN_TOKEN": "of ann", "BOSS_TOKEN": "of boss"}


def _serve(
    folder: Path, *words: str, config: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    (folder / "agentflow.yaml").write_text(config, encoding="utf-8")
    command = [str(Path(sys.executable).with_name("agentflow")), "serve", *words]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **(env or {})}
    )


HELLO = "workflows: {hello: {steps: [{id: a, type: set, value: 1}]}}\n"


def test_strangers_are_not_served_without_auth(tmp_path: Path) -> None:
    refused = _serve(tmp_path, "--host", "0.0.0.0", "--port", "0", config=HELLO)
    assert (refused.returncode, "AF-SERVE-OPEN" in refused.stderr) == (77, True)


async def test_answers_leave_at_once_whatever_their_size() -> None:
    with anyio.fail_after(60):
        accepted = asyncio.get_running_loop().create_future()

        async def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        taken = bound("127.0.0.1", 0)
        async with await asyncio.start_server(take, sock=taken):
            with socket.create_connection(taken.getsockname()):
                assert await accepted


def test_a_token_without_a_value_is_refused_at_the_start(tmp_path: Path) -> None:
    auth = "auth: {tokens: [{name: ci, value_env: NOT_SET_ANYWHERE}]}\n"
    refused = _serve(tmp_path, "--port", "0", config=HELLO + auth)
    assert (refused.returncode, "NOT_SET_ANYWHERE" in refused.stderr) == (69, True)


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = _serve(tmp_path, "--port", str(port), config=HELLO)
    assert (refused.returncode, f"port {port} is used" in refused.stderr) == (73, True)


def test_an_address_of_grpc_without_a_port_to_listen_on_is_refused(tmp_path: Path) -> None:
    refused = _serve(tmp_path, "--grpc-url", "far.example:443", "--port", "0", config=HELLO)
    assert (refused.returncode, "--grpc-port PORT" in refused.stderr) == (2, True)


async def test_a_config_without_a_name_is_served_whatever_its_folder_is_called(serve: Serve) -> None:
    server = serve(config=WORKFLOWS.replace("name: desk\n", ""))
    async with official(server.url) as client:
        done = await send(client, request("hello", skill="echo"))
        assert state(await client.get_task(pb.GetTaskRequest(id=done.id))) == "completed"


async def test_a_page_of_another_site_is_not_served_on_loopback(server: Server) -> None:
    async with httpx.AsyncClient() as http:
        for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
            answer = await http.get(f"{server.url}/a2a/rest/tasks", headers={"A2A-Version": "1.0", **headers})
            assert answer.status_code == 403
        assert (await http.get(f"{server.url}/healthz")).json()["status"] == "ok"


async def test_each_token_sees_its_own_tasks_and_nobody_else_s(serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    url = f"http://127.0.0.1:{port}"
    server = serve("--host", "0.0.0.0", "--port", port, "--url", url, config=WORKFLOWS + TOKENS, env=ENV)
    assert server.url == url
    async with httpx.AsyncClient() as http:
        for told, why in (("", "bring"), ("Bearer of nobody", "none of those"), ("Basic of ann", "bring")):
            refused = await http.get(f"{url}/a2a/rest/tasks", headers={"A2A-Version": "1.0", "Authorization": told})
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
            assert why in refused.json()["title"]
        card = (await http.get(f"{url}/.well-known/agent-card.json")).json()
        assert card["securitySchemes"]["bearer"]["httpAuthSecurityScheme"]["scheme"] == "bearer"
        assert "JSON Schema" not in str(card["skills"])
    for mode in MODES:
        async with official(url, mode, token="of ann") as client:
            extended = await client.get_extended_agent_card(pb.GetExtendedAgentCardRequest())
            echo = next(skill for skill in extended.skills if skill.id == "echo")
            assert '"required":["text"]' in echo.description

    async def listed(token: str) -> list[str]:
        async with official(url, token=token) as client:
            return [task.id for task in (await client.list_tasks(pb.ListTasksRequest())).tasks]

    async with official(url, token="of ann") as ann, official(url, token="of bob") as bob:
        asked = await send(ann, request("x", skill="review"))
        wait = waits(asked)[0]["taskId"]
        for task_id in (asked.id, wait, "nobody"):
            for call in (
                bob.get_task(pb.GetTaskRequest(id=task_id)),
                bob.cancel_task(pb.CancelTaskRequest(id=task_id)),
                send(bob, request("approve", taskId=task_id)),
            ):
                with pytest.raises(TaskNotFoundError, match=f'no task "{task_id}"'):
                    await call
        assert await listed("of bob") == []
        assert sorted(await listed("of ann")) == sorted(await listed("of boss")) == sorted([asked.id, wait])
        assert state(await send(ann, request("approve", taskId=asked.id))) == "completed"

        shared = await send(ann, request({}, skill="assigned"))
        wait = waits(shared)[0]["taskId"]
        assert await listed("of bob") == [wait]
        assert state(await send(bob, request("yes", taskId=wait))) == "completed"
        with pytest.raises(TaskNotFoundError):  # what is asked next is asked of the run's owner, whose it still is
            await bob.get_task(pb.GetTaskRequest(id=shared.id))
        assert await listed("of bob") == []
        assert output(await send(ann, request("very", taskId=shared.id))) == "yes, very"


async def test_after_sigterm_what_was_running_goes_on_with_the_next_server(serve: Serve) -> None:
    with anyio.fail_after(60):
        first = serve("--grace", "0.1")
        async with official(first.url) as client:
            parked = await send(client, request("x", skill="review"))
            running = await send(client, request({}, skill="held", returns=True))
            await until_held(first)
        assert first.stop() == 0
        (first.folder / "go").touch()
        second = serve()
        async with official(second.url) as client:
            ended = await client.get_task(pb.GetTaskRequest(id=running.id))
            while state(ended) == "working":
                ended = await client.get_task(pb.GetTaskRequest(id=running.id))
            assert (state(ended), output(ended)) == ("completed", "held")
            assert state(await send(client, request("approve", taskId=parked.id))) == "completed"


async def test_who_waits_for_a_run_is_answered_when_the_server_ends(serve: Serve) -> None:
    with anyio.fail_after(60):
        server = serve()
        async with official(server.url) as client:
            found: list[pb.Task] = []

            async def ask() -> None:
                found.append(await send(client, request({}, skill="long")))

            async with anyio.create_task_group() as group:
                group.start_soon(ask)
                while not (await client.list_tasks(pb.ListTasksRequest())).tasks:
                    pass
                assert await anyio.to_thread.run_sync(server.stop) == 0
            assert state(found[0]) == "working"


async def test_several_configs_are_agents_of_their_own_over_one_store(serve: Serve, tmp_path: Path) -> None:
    shop = tmp_path / "shop.yaml"
    shop.write_text("name: shop\nworkflows: {echo: {steps: [{id: a, type: set, value: of the shop}]}}\n", "utf-8")
    server = serve("agentflow.yaml", str(shop))
    assert set(server.told["agents"]) == {"desk", "shop"}
    async with official(f"{server.url}/agents/desk") as desk, official(f"{server.url}/agents/shop") as other:
        asked = await send(desk, request("x", skill="review"))
        sold = await send(other, request("x", skill="echo"))
        assert output(sold) == "of the shop"
        assert [task.id for task in (await other.list_tasks(pb.ListTasksRequest())).tasks] == [sold.id]
        with pytest.raises(TaskNotFoundError):
            await other.get_task(pb.GetTaskRequest(id=asked.id))
        assert state(await send(desk, request("approve", taskId=asked.id))) == "completed"
    async with official(server.url) as client:
        first = request("x", skill="echo")
        assert output(await send(client, first)) == {"text": "x"}
        first.tenant = "shop"
        assert output(await send(client, first)) == "of the shop"
        assert [task.id for task in (await client.list_tasks(pb.ListTasksRequest(tenant="shop"))).tasks][-1] == sold.id
        first.tenant = "nobody"
        with pytest.raises(InvalidParamsError):
            await send(client, first)
    async with official(server.url, MODES[1]) as client:
        first.tenant = "shop"
        assert output(await send(client, first)) == "of the shop"


def test_two_configs_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(f"name: same\n{HELLO}", "utf-8")
    refused = _serve(tmp_path, "agentflow.yaml", "other.yaml", config=f"name: same\n{HELLO}")
    assert (refused.returncode, 'two configs are named "same"' in refused.stderr) == (2, True)


def test_two_configs_without_a_name_are_not_served_together(tmp_path: Path) -> None:
    """Each would go on with the runs of the other."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "agentflow.yaml").write_text(HELLO, encoding="utf-8")
    refused = _serve(tmp_path, "--port", "0", "one/agentflow.yaml", "two/agentflow.yaml", config=HELLO)
    assert (refused.returncode, "two of the configs have no name" in refused.stderr) == (2, True)
