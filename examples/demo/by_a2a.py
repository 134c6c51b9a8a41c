"""Serves the demo, and uses it as an A2A client does: a message starts it, another answers its question."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import httpx
from a2a.client import Client, ClientConfig, ClientFactory
from a2a.types import a2a_pb2 as pb
from google.protobuf.json_format import MessageToDict, ParseDict

HERE = Path(__file__).parent
AGENTFLOW = str(Path(sys.executable).with_name("agentflow"))


async def send(client: Client, data: object, task_id: str = "") -> pb.Task:
    """Send data as a message, say so, and return the task."""
    print(f"→ {json.dumps(data)}", file=sys.stderr)
    message = {"messageId": f"demo-{task_id}", "role": "ROLE_USER", "parts": [{"data": data}], "taskId": task_id}
    async for event in client.send_message(ParseDict({"message": message}, pb.SendMessageRequest())):
        print(f"← {pb.TaskState.Name(event.task.status.state)}", file=sys.stderr)
        for part in event.task.status.message.parts:
            print(part.text or json.dumps(MessageToDict(part)["data"]), file=sys.stderr)
        return event.task
    raise SystemExit("no task came back")


async def use(url: str) -> None:
    """Start the report, answer its question, print the result."""
    async with httpx.AsyncClient(timeout=60) as http:
        config = ClientConfig(streaming=False, httpx_client=http)
        client = await ClientFactory(config).create_from_url(url)
        task = await send(client, {"root": "../.."})
        task = await send(client, {"decision": "keep"}, task.id)
    for artifact in task.artifacts:
        for part in artifact.parts:
            print(part.text or json.dumps(MessageToDict(part)["data"], indent=2))
    if task.status.state != pb.TASK_STATE_COMPLETED:
        raise SystemExit(1)


def main() -> None:
    """Serve as long as the client needs."""
    command = [AGENTFLOW, "serve", "--port", "0", "--json"]
    print("$", *command[1:], file=sys.stderr)
    with subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = json.loads(server.stdout.readline())["url"]
            print(f"  {url}/.well-known/agent-card.json", file=sys.stderr)
            asyncio.run(use(url))
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
