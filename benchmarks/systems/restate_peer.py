"""Restate: one node from npm with four partitions, one Python worker, `ctx.run_typed` a step.

Server and worker are processes of their own, started here, on loopback, with all their files in the given folder.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from peering import Bench, Server, answers, ask, free_ports, leave, until
from protocol import Clock, Report, Task, allocated, cpu, pss_mb, sqlite_versions
from workloads import Workload

HERE = Path(__file__).resolve().parent
PATIENCE = 60.0
QUIET = {"RESTATE_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1"}
CONFIG = """\
cluster-name = "bench"
node-name = "one"
roles = ["http-ingress", "admin", "worker", "log-server", "metadata-server"]
base-dir = "{folder}/data"
listen-mode = "tcp"
bind-address = "127.0.0.1:{node}"
advertised-address = "http://127.0.0.1:{node}/"
default-num-partitions = 4
disable-telemetry = true
shutdown-timeout = "5s"
log-filter = "warn"
log-disable-ansi-codes = true

[default-retry-policy]
max-attempts = 1
on-max-attempts = "kill"

[admin]
bind-address = "127.0.0.1:{admin}"
disable-web-ui = true

[ingress]
bind-address = "127.0.0.1:{ingress}"
"""


def binary() -> Path:
    """Return the server's program, from the npm package of this platform."""
    found = sorted(Path(sys.prefix).glob("node_modules/@restatedev/restate-server-*/bin/restate-server"))
    if not found:
        raise SystemExit("the npm package @restatedev/restate-server isn't in the environment")
    return found[0]


def durability(config: Path) -> dict[str, Any]:
    """Return what decides about fsync, from the configuration as the server reads it."""
    command = [str(binary()), "--config-file", str(config), "--dump-config", "--no-logo"]
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout
    found = tomllib.loads(text)
    local: dict[str, Any] = found["bifrost"]["local"]
    names = ("rocksdb-disable-wal", "rocksdb-disable-wal-fsync")
    return {"default-provider": found["bifrost"]["default-provider"], **{name: local[name] for name in names}}


async def call(port: int, kind: str, runs: list[float] | None = None) -> None:
    """Do a run and wait for its end, through the ingress."""
    begun = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps(kind)
    head = "POST /bench/flow HTTP/1.1\r\nhost: bench\r\nconnection: close\r\ncontent-type: application/json\r\n"
    writer.write(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
    answer = await reader.read()
    writer.close()
    if not answer.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"a run failed: {answer[:300]!r}")
    if runs is not None:
        runs.append(time.perf_counter() - begun)


async def execute(work: Workload, port: int, runs: list[float]) -> None:
    """Do all runs of the workload."""
    await asyncio.gather(*(call(port, "real", runs) for _ in range(work.runs)))


async def measure(task: Task, ports: tuple[int, int], server: Server, worker: Server, started: float) -> Report:
    """Do the runs, once both processes are there."""
    ingress, port = ports
    report, bench = Report(), Bench(task.workload)
    for _ in range(8):  # every partition once, and the connections
        await call(ingress, "warm")
    report.setup_seconds = time.perf_counter() - started
    before = cpu(server.pid)
    with Clock(server.pid, worker.pid) as clock:
        complete = await until(task.cap, execute(task.workload, ingress, bench.runs))
    report.extra["server_cpu_seconds"] = round(cpu(server.pid) - before, 2)
    report.server_pss_mb = pss_mb(server.pid)
    marks = json.loads(ask(f"http://127.0.0.1:{port}/marks"))
    bench.times, bench.order, bench.wrong = marks["times"], marks["order"], marks["wrong"]
    report.peak_rss_mb = marks["peak_rss_mb"]
    report.verified = True
    bench.fill(report, clock, complete)
    return report


def run(task: Task) -> Report:
    """Do one repetition of Restate."""
    folder, work = task.folder.resolve(), task.workload
    node, admin, ingress, port = free_ports(4)
    config = folder / "restate.toml"
    config.write_text(CONFIG.format(folder=folder, node=node, admin=admin, ingress=ingress), encoding="utf-8")
    settings = durability(config)
    loop = asyncio.new_event_loop()  # not asyncio.run: at the cap, tasks are left where they are
    started = time.perf_counter()
    program = [sys.executable, str(HERE / "restate_worker.py"), str(port), work.name, repr(work.scale)]
    command = [str(binary()), "--config-file", str(config), "--no-logo"]
    with (
        Server("worker", program, folder, patience=0) as worker,  # the SDK takes SIGTERM for itself
        Server("restate", command, folder, QUIET) as server,
    ):
        answers(f"http://127.0.0.1:{port}/health", worker)
        answers(f"http://127.0.0.1:{admin}/health", server)
        ask(f"http://127.0.0.1:{admin}/deployments", {"uri": f"http://127.0.0.1:{port}"})
        answers(f"http://127.0.0.1:{ingress}/restate/health", server)
        report = loop.run_until_complete(measure(task, (ingress, port), server, worker, started))
        report.db_bytes = allocated(folder / "data")
    report.db_bytes_closed = allocated(folder / "data")
    report.pragmas = settings
    if settings["rocksdb-disable-wal"] or settings["rocksdb-disable-wal-fsync"]:
        report.verified = False
        report.extra["wrong"] = f"the promise isn't kept: {settings}"
    report.versions = {"python": sqlite_versions()["python"]} | versions()
    return report


def versions() -> dict[str, str]:
    """Return what was measured."""
    text = subprocess.run(
        [str(binary()), "--version"], capture_output=True, text=True, check=True, timeout=PATIENCE
    ).stdout
    return {"restate-server": text.split()[1], **{name: version(name) for name in ("restate-sdk", "granian")}}


if __name__ == "__main__":
    leave("restate", run, ("strict",))
