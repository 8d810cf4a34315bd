"""What a process of ours tells the one that publishes for it: items in a pipe, each a length and a pickle.

Both ends are the same program, started by the one the other one; nothing of the network gets in here unparsed.
"""

from __future__ import annotations

import pickle
import struct
from dataclasses import dataclass
from typing import BinaryIO

from media.blocks import PcmBatch
from media.nats.config import NatsConfig
from media.sinks.contract import CallInfo, CallReport

_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Begun:
    """A call; the first item of it."""

    call: CallInfo


@dataclass(frozen=True, slots=True)
class OriginKnown:
    """When position 0 of a call was; before its first audio."""

    index: int
    origin_wall_ns: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A call's last item but for events."""

    index: int
    report: CallReport


@dataclass(frozen=True, slots=True)
class EventTold:
    """An event, as JSON; its number is that in the series of the call's events that began at the origin."""

    call_id: str
    origin_wall_ns: int
    sequence: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Stop:
    """No item follows, and there are seconds to send what waits. An end without it is that of a process that died."""


Item = NatsConfig | Begun | OriginKnown | PcmBatch | Ended | EventTold | Stop
"""The configuration is the first."""


def write(file: BinaryIO, item: Item) -> None:
    """Write an item; waits while the pipe is full.

    Raises:
        OSError: nobody reads.
    """
    data = pickle.dumps(item, protocol=5)
    file.write(_LENGTH.pack(len(data)))
    file.write(data)
    file.flush()


def read(file: BinaryIO) -> Item | None:
    """Return the next item, None at the end, or where the writer died."""
    head = file.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    data = file.read(length)
    if len(data) < length:
        return None
    item: Item = pickle.loads(data)
    return item
