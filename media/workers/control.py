"""What supervisor and worker say to each other, over a pair of Unix sockets that keep message boundaries.

The supervisor says one thing: the `Assignment`, which brings the sockets along. A worker says `Ready`, then a
`Report` a second, and `Ended` or `Failed` at the end. When either side is gone, the other reads an empty message.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import msgspec

from media.config import LogConfig, ServerConfig
from media.sockets import BoundSockets

MAX_MESSAGE_BYTES = 1 << 20
MAX_SOCKETS = 250
"""What one message can carry (unix(7), SCM_MAX_FD is 253)."""


class Assignment(msgspec.Struct, tag=True):
    """Be this worker.

    Attributes:
        index: its number.
        config: with the doors that are its own.
        log: as everywhere.
        sockets: names of the sockets that come with the message, in that order; see `BoundSockets.named`.
    """

    index: int
    config: ServerConfig
    log: LogConfig
    sockets: list[str]


class Ready(msgspec.Struct, tag=True):
    """It can receive."""


class Report(msgspec.Struct, tag=True):
    """Counters, as `Server.snapshot`."""

    snapshot: dict[str, Any]


class Ended(msgspec.Struct, tag=True):
    """It was asked to end and did; the last counters, and the sinks that did not finish."""

    snapshot: dict[str, Any]
    unfinished_sinks: list[str]


class Failed(msgspec.Struct, tag=True):
    """It cannot; one line, and the exit code of the whole."""

    text: str
    exit_code: int


Message = Ready | Report | Ended | Failed


def encode(message: Assignment | Message) -> bytes:
    """Return the message as JSON; numbers of numpy become numbers, paths and strange things text."""
    return msgspec.json.encode(message, enc_hook=_plain)


def decode(data: bytes) -> Message:
    """Return what a worker said."""
    message: Message = msgspec.json.decode(data, type=Message)
    return message


def send_assignment(control: socket.socket, assignment: Assignment, sockets: BoundSockets) -> None:
    """Send it, and the sockets with it; the caller keeps its own.

    Raises:
        OSError: nobody is there.
    """
    descriptors = [sock.fileno() for _, sock in sockets.named()]
    socket.send_fds(control, [encode(assignment)], descriptors)


def receive_assignment(control: socket.socket) -> tuple[Assignment, BoundSockets] | None:
    """Wait for it; None when the supervisor is gone."""
    data, descriptors, _, _ = socket.recv_fds(control, MAX_MESSAGE_BYTES, MAX_SOCKETS)
    if not data:
        return None
    assignment = msgspec.json.decode(data, type=Assignment, dec_hook=_path)
    sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
    for sock in sockets:
        sock.setblocking(False)
    return assignment, BoundSockets.of(dict(zip(assignment.sockets, sockets, strict=True)))


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)


def _path(kind: type, value: Any) -> Any:
    if kind is Path:
        return Path(value)
    raise NotImplementedError(kind)
