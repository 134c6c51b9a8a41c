"""Undoes the compression of HTTP answers: the whole of it or nothing, every member, and never more than a limit."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

ACCEPTED = "gzip, deflate"
"""What is asked for."""
_FOREIGN = frozenset({"br", "zstd", "compress", "x-compress", "dcb", "dcz"})
"""Compressions that aren't asked for. Other names are no compressions; services write all sorts of things there."""
_GZIP, _ZLIB, _BARE = 31, 15, -15
_CHUNK = 2048
"""A stream of many tiny members is copied by the chunk."""
_MOST = 5
"""Compressions on top of one another."""


class DamagedError(ValueError):
    """It ends early, or isn't what it says it is: another answer may be whole."""


class ForeignError(ValueError):
    """It is compressed in a way that wasn't asked for."""


class TooLargeError(ValueError):
    """It is larger than the limit once unpacked."""


def unpack(raw: bytes, codings: Sequence[str], limit: int) -> bytes:
    """Undo the compressions of a body.

    Args:
        raw: the body as it came.
        codings: the values of Content-Encoding, in the order in which they were applied.
        limit: how many bytes it may come to.

    Raises:
        DamagedError: it ends early, or something else stands in it or after it.
        ForeignError: one of the compressions isn't known.
        TooLargeError: it comes to more than the limit.
    """
    if not raw:  # as after HEAD
        return raw
    names = [name.strip().lower() for name in codings]
    if len(names) > _MOST:
        raise ForeignError(f"it is compressed {len(names)} times over")
    for name in reversed(names):
        if name in _FOREIGN:
            raise ForeignError(f'it is compressed by "{name}", which wasn\'t asked for')
        if name in ("gzip", "x-gzip"):
            raw = _inflated(raw, _GZIP, limit)
        elif name == "deflate":
            raw = _deflated(raw, limit)
    return raw


def _deflated(raw: bytes, limit: int) -> bytes:
    """Undo `deflate`, which some services send without the frame that its standard asks for."""
    framed = raw[0] & 15 == 8 and int.from_bytes(raw[:2]) % 31 == 0
    if not framed:
        return _inflated(raw, _BARE, limit)
    try:
        return _inflated(raw, _ZLIB, limit)
    except DamagedError:
        try:
            return _inflated(raw, _BARE, limit)  # it may begin like a frame by chance
        except DamagedError:
            pass
        raise


def _inflated(raw: bytes, bits: int, limit: int) -> bytes:
    """Unpack all members. Zero bytes after one are padding; anything else has to be a member again."""
    parts: list[bytes] = []
    size = members = 0
    stream = None
    for start in range(0, len(raw), _CHUNK):
        chunk = raw[start : start + _CHUNK]
        while chunk:
            if stream is None:
                chunk = chunk.lstrip(b"\0") if members else chunk
                if not chunk:
                    break
                stream = zlib.decompressobj(bits)
            try:
                part = stream.decompress(chunk, limit + 1 - size)
            except zlib.error as error:
                raise DamagedError(_damage(error, members)) from None
            size += len(part)
            if size > limit:
                raise TooLargeError
            parts.append(part)
            chunk = b""
            if stream.eof:
                chunk, stream, members = stream.unused_data, None, members + 1
    if stream is not None:
        raise DamagedError("its compressed data ends early")
    return b"".join(parts)


def _damage(error: zlib.error, members: int) -> str:
    said = str(error).partition(": ")[2] or str(error)
    if members:
        return f"something else stands after its compressed data: {said}"
    return f"its compressed data is damaged: {said}"
