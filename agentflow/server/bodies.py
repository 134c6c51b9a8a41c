"""Bodies of requests: how much of one is read, and how deep its JSON may be."""

from __future__ import annotations

import re
from typing import Final

from starlette.types import Receive

ROOM: Final = 2
"""How much larger a request may be than the input in it: its JSON may be escaped, and has more around it."""
DEPTH: Final = 100
"""How deep the JSON of a request may be."""
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


async def read(receive: Receive, largest: int) -> bytes | None:
    """Return a request's body, no more than a bit over what it may be; None: the caller has left."""
    chunks, size = list[bytes](), 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > largest or not message.get("more_body"):
            return b"".join(chunks)


def is_deeper(body: bytes) -> bool:
    """Tell whether JSON is too deep to be read; what has few brackets can't be."""
    if body.count(b"[") + body.count(b"{") <= DEPTH:
        return False
    depth = 0
    for char in _STRING.sub(b"", body):
        if char in b"[{":
            depth += 1
            if depth > DEPTH:
                return True
        elif char in b"]}":
            depth -= 1
    return False
