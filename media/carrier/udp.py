"""Shell: sends a plan's datagrams at their deadlines, everything that is due at a time in one system call."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from media.carrier.ahead import Ahead, Timetable
from media.carrier.datagrams import DatagramTable
from media.carrier.pacing import Pacer
from media.carrier.report import Progress, SendReport
from media.carrier.sendmmsg import BatchSocket
from strep.clock import NS_PER_MS
from strep.errors import ConfigurationError

Address = tuple[str, int]

_TABLE_ROWS = 512
_WITHIN_NS = NS_PER_MS // 2
"""Datagrams due within this time of each other leave together, so that a system call is worth it."""
_SEND_BUFFER_BYTES = 4 << 20


def connect(address: Address, *, source: str = "", one_by_one: bool = False, segmented: bool = False) -> BatchSocket:
    """Return a socket connected to `address`, IPv4 or IPv6, from `source`; for the rest, see `BatchSocket`.

    Raises:
        ConfigurationError: the name does not resolve, or there is no way there.
    """
    with contextlib.ExitStack() as on_error:
        try:
            family, kind, protocol, _, resolved = socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)[0]
            udp_socket = on_error.enter_context(socket.socket(family, kind, protocol))
            with contextlib.suppress(OSError):
                udp_socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
            udp_socket.setblocking(False)
            if source:
                udp_socket.bind((source, 0))
            udp_socket.connect(resolved)
        except OSError as error:
            raise ConfigurationError(f"cannot send to {address[0]}:{address[1]}: {error}") from error
        on_error.pop_all()
    return BatchSocket(udp_socket, one_by_one=one_by_one, segmented=segmented)


async def send_plan(
    plan: Timetable, sockets: Sequence[BatchSocket], pacer: Pacer, on_progress: Progress | None = None
) -> SendReport:
    """Send everything in `plan`, from now on.

    Args:
        plan: for STREP or bare RTP.
        sockets: one for every destination that `plan.destinations` names.
        pacer: the clock and the waiting.
        on_progress: told how far it is.
    """
    ahead = Ahead(plan, _TABLE_ROWS)
    report = SendReport(started_ns=pacer.now_ns())
    while report.sent < len(plan):
        now_ns = pacer.now_ns() - report.started_ns
        ahead.move_to(report.sent)
        moment_ns = ahead.moment(report.sent, _WITHIN_NS)
        if now_ns < moment_ns:
            await pacer.sleep_until(report.started_ns + moment_ns)
            continue
        sent = _send(plan, ahead, report.sent, ahead.due(now_ns), sockets)
        late_ns = pacer.now_ns() - report.started_ns - ahead.times(report.sent, report.sent + sent)
        report.lateness.record(late_ns)
        report.sent += sent
        if on_progress is not None:
            on_progress(report.sent)
        # Let others run; and where the kernel's queue is full, let it drain.
        await pacer.sleep_until(pacer.now_ns() + (0 if sent else NS_PER_MS))
    for batch_socket in sockets:
        batch_socket.take_refusal()
        report.refused += batch_socket.refused
        report.messages += batch_socket.messages
    return report


def _send(plan: Timetable, ahead: Ahead, start: int, stop: int, sockets: Sequence[BatchSocket]) -> int:
    """Send deliveries `start` to `stop` and return how many went, 0 if the kernel takes none now."""
    table = ahead.table(start, stop)
    if len(sockets) == 1:
        return sockets[0].send(table)
    # Runs of one destination each, so that the order between destinations stays.
    destinations = plan.destinations(start, stop)
    edges = [0, *(np.flatnonzero(np.diff(destinations)) + 1).tolist(), len(destinations)]
    for first, last in pairwise(edges):
        batch = DatagramTable(table.rows[first:last], table.lengths[first:last])
        sent = sockets[int(destinations[first])].send(batch)
        if sent < last - first:
            return first + sent
    return len(destinations)
