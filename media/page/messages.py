"""Messages of ``/v1/watch``, between a server and a page: docs/page.md has them field by field."""

from __future__ import annotations

import struct
from typing import Any

import msgspec
from numpy.typing import NDArray

from media.page.levels import BUCKET_MS
from media.page.viewer import MAX_VISIBLE

VERSION = 1
LEVELS, FIGURES_OF_CALLS = 1, 2
CALLS_AT_ONCE = 250
"""That a message tells of as begun, or as ended."""
HEADER = struct.Struct("<BBHI")
"""Of a binary message: `LEVELS` or `FIGURES_OF_CALLS`, `VERSION`, bytes of a record, how many follow."""


class Sight(msgspec.Struct):
    """What a page says.

    Attributes:
        visible: numbers of the calls in sight.
        ranking: it wants figures of all, now and then.
    """

    visible: list[int]
    ranking: bool = False


def sight_of(said: str) -> Sight | None:
    """Return what a page says; None if it is nothing that it may say."""
    try:
        return msgspec.json.decode(said, type=Sight)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def hello() -> dict[str, Any]:
    """Return the first message, JSON values."""
    return {"event": "hello", "version": VERSION, "bucket_ms": BUCKET_MS, "max_visible": MAX_VISIBLE}


def message(kind: int, records: NDArray[Any]) -> bytes:
    """Return a binary message."""
    return HEADER.pack(kind, VERSION, records.dtype.itemsize, len(records)) + records.tobytes()
