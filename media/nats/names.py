"""Subjects and message ids::

    strep.pcm.<partition>.<call>.<track>     audio, track is inbound or outbound
    strep.events.<partition>.<call>          what happened in the call

``strep`` is the prefix, which may be another. ``<call>`` is the call id, percent-encoded as in a URL, the full stop
too, so that it is one token of a subject; every URL library decodes it. ``<partition>`` is the CRC-32 of the call
id's UTF-8 bytes modulo the number of partitions: all of a call is in one partition, and a consumer with the filter
``strep.pcm.3.>`` has whole calls.

A message id is ``<call>.<kind>.<origin>.<number>``: the kind is a track or ``event``, the origin is when this
instance of the call, or this series of its events, began (wall clock, nanoseconds; a call id may come again, and its
events are counted anew by each process), and numbers count up within them. So an id tells the place of a message
among those of its subject.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote, unquote

from strep.header import Direction

EVENT = "event"


class Place(NamedTuple):
    """Where a message is among those of its subject: which instance of the call, and its number in that."""

    origin_wall_ns: int
    number: int


@dataclass(frozen=True, slots=True)
class Subjects:
    """How subjects are made.

    Attributes:
        prefix: the first token, or several with full stops between.
        partitions: how many there are, 1 at least.
    """

    prefix: str = "strep"
    partitions: int = 16

    @property
    def patterns(self) -> tuple[str, str]:
        """What a stream has to hold: all audio, all events."""
        return f"{self.prefix}.pcm.>", f"{self.prefix}.events.>"

    def partition(self, call_id: str) -> int:
        """Return the partition of a call."""
        return zlib.crc32(call_id.encode()) % self.partitions

    def pcm(self, call_id: str, track: Direction) -> str:
        """Return the subject of a track's audio."""
        return f"{self.prefix}.pcm.{self.partition(call_id)}.{token(call_id)}.{track.name.lower()}"

    def events(self, call_id: str) -> str:
        """Return the subject of a call's events."""
        return f"{self.prefix}.events.{self.partition(call_id)}.{token(call_id)}"


def token(call_id: str) -> str:
    """Return a call id as a token of a subject; `call_id_of` is the inverse."""
    return quote(call_id, safe="").replace(".", "%2E")


def call_id_of(text: str) -> str:
    """Return the call id that a token stands for."""
    return unquote(text)


def message_id(call_token: str, kind: str, place: Place) -> str:
    """Return the id of a message; `place_of` is the inverse as to the place."""
    return f"{call_token}.{kind}.{place.origin_wall_ns}.{place.number}"


def place_of(text: str) -> Place | None:
    """Return the place that an id names, None if it is not one of ours."""
    try:
        _, _, origin, number = text.split(".")
        return Place(int(origin), int(number))
    except ValueError:
        return None
