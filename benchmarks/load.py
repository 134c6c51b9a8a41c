"""Asks an HTTP server again and again over connections that stay open, and prints what came of it as a line of JSON.

    python benchmarks/load.py PORT PATH BODY --connections 16 --seconds 2 --wanted TEXT [--header "Name: value"]

Each connection asks again as soon as it has its answer. `@id` in the body becomes another id of 32 letters each time.
Every answer must have status 200 and hold the wanted text. Standard library only, one thread, no parsing beyond the
length: what asks must cost less than what answers.
"""

from __future__ import annotations

import argparse
import json
import selectors
import socket
import sys
import time
from itertools import count

from protocol import spread

ID = b"@id"
PATIENCE = 60.0


class Connection:
    """One connection, and the answer that it waits for."""

    def __init__(self, port: int, head: bytes, body: bytes) -> None:
        """Connect."""
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = head
        self._body = body
        self._got = bytearray()
        self._ends = 0
        self.asked = 0.0

    def ask(self, number: int) -> None:
        """Send a request."""
        self._got.clear()
        self._ends = 0
        self.asked = time.perf_counter()
        self.socket.sendall(self._head + self._body.replace(ID, b"%032x" % number))

    def read(self) -> bytes | None:
        """Take in what has come; returns the answer when it is whole."""
        data = self.socket.recv(262_144)
        if not data:
            raise SystemExit(f"the server has hung up: {bytes(self._got[:300])!r}")
        self._got += data
        if not self._ends:
            end = self._got.find(b"\r\n\r\n")
            if end < 0:
                return None
            head = bytes(self._got[:end]).lower()
            at = head.find(b"content-length:")
            if at < 0 or not head.startswith(b"http/1.1 200"):
                raise SystemExit(f"not an answer: {bytes(self._got[:600])!r}")
            self._ends = end + 4 + int(head[at + 15 :].split(b"\r\n", 1)[0])
        return bytes(self._got) if len(self._got) >= self._ends else None


def ask(given: argparse.Namespace) -> dict[str, object]:
    """Ask for some seconds, or a number of times."""
    body, wanted = given.body.encode(), given.wanted.encode()
    length = len(body.replace(ID, b"0" * 32))
    lines = [
        "Content-Type: application/json",
        *given.header,
        f"Host: 127.0.0.1:{given.port}",
        f"Content-Length: {length}",
    ]
    head = "\r\n".join((f"POST {given.path} HTTP/1.1", *lines, "", "")).encode()
    selector = selectors.DefaultSelector()
    numbers = count(time.time_ns())
    took: list[float] = []
    began = time.perf_counter()
    end = began + given.seconds
    for _ in range(given.connections):
        connection = Connection(given.port, head, body)
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.ask(next(numbers))
    while selector.get_map():
        ready = selector.select(PATIENCE)
        if not ready:
            raise SystemExit(f"no answer in {PATIENCE:.0f} s")
        for key, _ in ready:
            answer = key.data.read()
            if answer is None:
                continue
            now = time.perf_counter()
            if wanted not in answer:
                raise SystemExit(f"a wrong answer: {answer[:2000]!r}")
            took.append(now - key.data.asked)
            if now < end and (given.most is None or len(took) + len(selector.get_map()) <= given.most):
                key.data.ask(next(numbers))
            else:
                selector.unregister(key.data.socket)
                key.data.socket.close()
    return {"answers": len(took), "seconds": time.perf_counter() - began, "latency_ms": spread(took)}


def main() -> None:
    """Read the arguments and ask."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("body")
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--most", type=int, help="no more answers than that")
    parser.add_argument("--wanted", default="")
    parser.add_argument("--header", action="append", default=[])
    json.dump(ask(parser.parse_args()), sys.stdout)


if __name__ == "__main__":
    main()
