"""What supervisor and worker say to each other, over a pair of Unix sockets that keep message boundaries.

The supervisor says the `Assignment` first, which brings the sockets along; then `Announce` and `Withdraw` as legs are
announced, an `Ask` for each question of the HTTP door, and an `Act`, or several, for each action. A worker says
`Ready`, then a `Report` a second, an `Answer` to each question and action, what has `Happened` while it is to
`Listen`, and `Ended` or `Failed` at the end.
When either side is gone, the other reads an empty message.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

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


class Announce(msgspec.Struct, tag=True):
    """These legs may begin.

    Attributes:
        legs: call_leg_ids, each with how long it is good, in seconds.
    """

    legs: list[tuple[UUID, float]]


class Withdraw(msgspec.Struct, tag=True):
    """This leg may begin no more."""

    leg: UUID


class Ask(msgspec.Struct, tag=True):
    """A question, see `media.workers.answering`.

    Attributes:
        number: of the question.
        about: which one.
        call_id: whose call; empty: of any.
        offset, limit: which of many calls.
    """

    number: int
    about: Literal["calls", "call", "has", "legs", "shortage"]
    call_id: str = ""
    offset: int = 0
    limit: int = 0


class Act(msgspec.Struct, tag=True):
    """A part of an action; see `media.workers.acting`.

    Attributes:
        number: of the question.
        call_id: whose call.
        action: of `media.control.table.ACTIONS`.
        body: JSON of the command, a part of it.
        is_last: no other part follows.
    """

    number: int
    call_id: str
    action: str
    body: str
    is_last: bool


class Listen(msgspec.Struct, tag=True):
    """Tell what happens in your calls, or cease to; see `media.workers.relaying`."""

    is_on: bool


class Ready(msgspec.Struct, tag=True):
    """It can receive."""


class Report(msgspec.Struct, tag=True):
    """Counters, as `Server.snapshot`."""

    snapshot: dict[str, Any]


class Answer(msgspec.Struct, tag=True):
    """To the question of this number: JSON values."""

    number: int
    said: Any


class Happened(msgspec.Struct, tag=True):
    """Events.

    Attributes:
        events: `media.events.bus.Told.to_json` of each.
        dropped: so many found no room before them.
    """

    events: list[msgspec.Raw]
    dropped: int


class Ended(msgspec.Struct, tag=True):
    """It was asked to end and did; the last counters, and the sinks that did not finish."""

    snapshot: dict[str, Any]
    unfinished_sinks: list[str]


class Failed(msgspec.Struct, tag=True):
    """It cannot; one line, and the exit code of the whole."""

    text: str
    exit_code: int


Message = Ready | Report | Answer | Happened | Ended | Failed
Order = Announce | Withdraw | Ask | Act | Listen


def encode(message: Assignment | Order | Message) -> bytes:
    """Return the message as JSON; numbers of numpy become numbers, paths and strange things text."""
    return msgspec.json.encode(message, enc_hook=_plain)


def decode(data: bytes) -> Message:
    """Return what a worker said."""
    message: Message = msgspec.json.decode(data, type=Message)
    return message


def decode_order(data: bytes) -> Order:
    """Return what the supervisor said after the assignment."""
    order: Order = msgspec.json.decode(data, type=Order)
    return order


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
