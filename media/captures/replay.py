"""Sending a capture's datagrams again, each at its own time: the shell around `media.captures.schedule`.

It waits for absolute deadlines, moves bytes, and says how that went.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from media.captures.layers import Address
from media.captures.reader import CaptureReader
from media.captures.schedule import Due, Schedule
from media.carrier.pacing import Lateness, Pacer
from strep.clock import NS_PER_MS
from strep.errors import ConfigurationError

MAX_SOCKETS = 256
"""Each sender of the capture gets a socket of its own, for receivers tell streams apart by source; beyond it,
senders share."""
PROGRESS_DATAGRAMS = 64
YIELD_DATAGRAMS = 512
"""Others get a turn after so many, also when there is nothing to wait for."""


@dataclass
class ReplayReport:
    """How the sending went.

    Attributes:
        sent: datagrams, by target.
        sent_bytes: of payload.
        lateness: of each datagram against its deadline.
        refused: how often the far end said that nobody listens there.
        unsendable: datagrams that this machine's network would not take at all (too long for it).
        left_out: datagrams of the capture that were not chosen.
        warning: what was wrong with the capture.
    """

    sent: Counter[Address] = field(default_factory=Counter)
    sent_bytes: int = 0
    lateness: Lateness = field(default_factory=Lateness)
    refused: int = 0
    unsendable: int = 0
    left_out: int = 0
    warning: str = ""


class Sockets:
    """A connected UDP socket for every pair of original sender and target; a context manager."""

    def __init__(self) -> None:
        self._by_pair: dict[tuple[int, Address], socket.socket] = {}
        self._senders: dict[Address, int] = {}
        self.refused = 0
        self.unsendable = 0

    def send(self, due: Due) -> bool:
        """Send one datagram; False if the kernel's queue is full and it has to be tried again."""
        number = self._senders.setdefault(due.source, len(self._senders) % MAX_SOCKETS)
        udp_socket = self._by_pair.get((number, due.target))
        if udp_socket is None:
            udp_socket = self._by_pair[number, due.target] = connect(due.target)
        try:
            udp_socket.send(due.payload)
        except ConnectionRefusedError:  # an answer to an earlier datagram; this one has not been sent
            self.refused += 1
            with contextlib.suppress(ConnectionRefusedError):
                udp_socket.send(due.payload)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.ENOBUFS):
                return False
            if error.errno != errno.EMSGSIZE:
                raise
            self.unsendable += 1
        return True

    def __enter__(self) -> Sockets:
        return self

    def __exit__(self, *_: object) -> None:
        for udp_socket in self._by_pair.values():
            udp_socket.close()


def connect(target: Address) -> socket.socket:
    """Return a non-blocking UDP socket connected to `target`, IPv4 or IPv6.

    Raises:
        ConfigurationError: the name does not resolve, or there is no way there.
    """
    try:
        family, kind, protocol, _, resolved = socket.getaddrinfo(*target, type=socket.SOCK_DGRAM)[0]
        udp_socket = socket.socket(family, kind, protocol)
        udp_socket.setblocking(False)
        udp_socket.connect(resolved)
    except OSError as error:
        raise ConfigurationError(f"cannot send to {target[0]}:{target[1]}: {error}") from error
    return udp_socket


async def send(dues: Iterable[Due], pacer: Pacer, report: ReplayReport) -> None:
    """Send everything in `dues`, the first one at once, and fill in `report`.

    Args:
        dues: in the order of their times.
        pacer: `media.carrier.pacing.RealTime`, or `Instant` for as fast as it goes.
        report: counted in as it goes.
    """
    started_ns = pacer.now_ns()
    late_ns: list[int] = []
    with Sockets() as sockets:
        for due in dues:
            deadline_ns = started_ns + due.at_ns
            if deadline_ns > pacer.now_ns() or len(late_ns) >= YIELD_DATAGRAMS:
                report.lateness.record(np.array(late_ns, np.int64))
                late_ns.clear()
                await pacer.sleep_until(deadline_ns)
            while not sockets.send(due):
                await pacer.sleep_until(pacer.now_ns() + NS_PER_MS)
            late_ns.append(pacer.now_ns() - deadline_ns)
            report.sent[due.target] += 1
            report.sent_bytes += len(due.payload)
        report.refused, report.unsendable = sockets.refused, sockets.unsendable
    report.lateness.record(np.array(late_ns, np.int64))


def rounds(
    path: Path,
    schedule: Schedule,
    loops: int,
    report: ReplayReport,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[Due]:
    """Yield `loops` rounds of the capture at `path`, reading it anew for each; tell bytes done, of how many."""
    for number in range(loops):
        with CaptureReader(path) as reader:
            total = loops * reader.size_bytes
            for sent, due in enumerate(schedule.round(reader)):
                yield due
                if not sent % PROGRESS_DATAGRAMS:
                    on_progress(number * reader.size_bytes + reader.position_bytes, total)
        report.warning = reader.warning
    report.left_out = schedule.left_out


def describe(report: ReplayReport, duration_s: float, *, is_paced: bool) -> dict[str, Any]:
    """Return the summary as plain data; times in milliseconds or seconds, as the names say."""
    return {
        "sent": report.sent.total(),
        "sent_bytes": report.sent_bytes,
        "targets": {f"{host}:{port}": count for (host, port), count in report.sent.items()},
        "left_out": report.left_out,
        "duration_s": round(duration_s, 3),
        "lateness": report.lateness.summary() if is_paced and report.sent else None,
        "refused": report.refused,
        "unsendable": report.unsendable,
        "warning": report.warning,
    }


def lines(facts: dict[str, Any]) -> list[str]:
    """Return the summary that `describe` made for people, without line ends."""
    targets = ", ".join(f"{count:,} to {target}" for target, count in facts["targets"].items())
    text = [f"sent {facts['sent']:,} datagrams in {facts['duration_s']:.3f} s{': ' if targets else ''}{targets}"]
    lateness = facts["lateness"]
    if lateness is not None:
        text.append(
            f"behind their deadlines by {lateness['p50_ms']:.1f} ms (p50), {lateness['p99_ms']:.1f} ms (p99), "
            f"{lateness['max_ms']:.1f} ms (max)"
        )
    if facts["left_out"]:
        text.append(f"{facts['left_out']:,} datagrams of the capture were not chosen")
    if facts["refused"]:
        text.append(f"nobody listened: {facts['refused']:,} datagrams refused by the far end")
    if facts["unsendable"]:
        text.append(f"{facts['unsendable']:,} datagrams were too long to be sent")
    return text
