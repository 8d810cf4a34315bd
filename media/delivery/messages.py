"""What the process says to the server that started it: a line of JSON each."""

from __future__ import annotations

import msgspec

from media.delivery.jobs import Job
from media.documents import read_document

DRAIN_S = 10.0
"""How long the process may take to end; an hour of audio that is being encoded then is begun anew by the next one."""


class Status(msgspec.Struct, tag=True, frozen=True):
    """How things are, once a second, and at the end.

    Attributes:
        waiting: recordings that are not done.
        oldest_wall_ns: since when the oldest of them waits; 0 if there is none.
        given_up: recordings that nothing more is done with before the next start.
        retries: attempts that failed and are repeated.
        delivered: recordings done.
        failed: recordings given up since the start.
        delivered_bytes: of the files of those done.
    """

    waiting: int = 0
    oldest_wall_ns: int = 0
    given_up: int = 0
    retries: int = 0
    delivered: int = 0
    failed: int = 0
    delivered_bytes: int = 0


class Saved(msgspec.Struct, tag=True, frozen=True):
    """A recording is where it was to be."""

    job: Job
    path: str
    """Of the first of its files in the directory; empty if they did not stay."""


class Trouble(msgspec.Struct, tag=True, frozen=True):
    """A step failed: for the first time in a row, or for good."""

    job: Job
    step: str
    will_retry: bool


class Said(msgspec.Struct, tag=True, frozen=True):
    """A line for the log; `level` is one of `logging`'s numbers."""

    level: int
    text: str


Message = Status | Saved | Trouble | Said


def encode(message: Message) -> bytes:
    """Return the line."""
    return msgspec.json.encode(message) + b"\n"


def decode(line: bytes) -> Message:
    """Return what a line says.

    Raises:
        ValueError: nothing that we know.
    """
    message: Message = read_document(line, Message)  # type: ignore[arg-type]
    return message
