"""Opens streams of an HTTP server, reads them to their ends, and prints what came of them.

    python benchmarks/listen.py PORT PATH BODY --count 1000 [--header "Name: value"]

Prints `ready` once each stream has brought its first event, and at the end a line of JSON: how many events came after
that, whether they were the same in the same order on all streams, and how long they took. Standard library only.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import selectors
import socket
import sys
import time

PATIENCE = 120.0


class Listener:
    """One stream."""

    def __init__(self, port: int, request: bytes) -> None:
        """Ask for it."""
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.sendall(request)
        self._line = b""
        self.events = 0
        self.told = hashlib.sha256()
        """The events after the first one."""
        self.first = self.last = 0.0
        """When the second event came, and the last one."""

    def read(self) -> bool:
        """Take in what has come; False: it has ended."""
        data = self.socket.recv(262_144)
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                self.events += 1
                if self.events == 2:
                    self.first = time.perf_counter()
                if self.events > 1:
                    self.told.update(line)
            elif line.startswith(b"HTTP/1.1") and b" 200 " not in line:
                raise SystemExit(f"not a stream: {data[:600]!r}")
        self.last = time.perf_counter()
        return bool(data) and not self._line.startswith(b"0\r\n")  # the last chunk is empty


def listen(given: argparse.Namespace) -> dict[str, object]:
    """Read all streams to their ends."""
    body = given.body.encode()
    lines = [
        "Content-Type: application/json",
        *given.header,
        f"Host: 127.0.0.1:{given.port}",
        f"Content-Length: {len(body)}",
    ]
    request = "\r\n".join((f"POST {given.path} HTTP/1.1", *lines, "Connection: close", "", "")).encode() + body
    selector = selectors.DefaultSelector()
    listeners = [Listener(given.port, request) for _ in range(given.count)]
    for each in listeners:
        selector.register(each.socket, selectors.EVENT_READ, each)
    ready = False
    while selector.get_map():
        found = selector.select(PATIENCE)
        if not found:
            raise SystemExit(f"nothing in {PATIENCE:.0f} s")
        for key, _ in found:
            if not key.data.read():
                selector.unregister(key.data.socket)
                key.data.socket.close()
        if not ready and all(each.events for each in listeners):
            ready = True
            print("ready", flush=True)
    seconds = max(each.last for each in listeners) - min(each.first for each in listeners)
    same = len({each.told.digest() for each in listeners}) == 1
    return {"events": listeners[0].events - 1, "same": same, "seconds": seconds}


def main() -> None:
    """Read the arguments and listen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("body")
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--header", action="append", default=[])
    json.dump(listen(parser.parse_args()), sys.stdout)


if __name__ == "__main__":
    main()
