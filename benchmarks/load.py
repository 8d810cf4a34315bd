"""Can one core offer 100,000 honest packets a second? This sender does: written beforehand, sent in batches.

What is sent is a plan of the simulated carrier (`media.carrier`): every leg with an identifier of its own, every
track with sound of its own that differs from packet to packet, numbered as RTP wants it. The plan is at the
same time the truth that the referee uses. Only the shell differs from the carrier's: all datagrams and message
headers are made before the clock starts, so that a wake-up costs one ``sendmmsg(2)``.

Calls begin one after another during the ramp, and all last equally long; between the ramp and the first call's
end lies the plateau, where all of them send and none begins or ends.

As a program it is the process on the other core; see `benchmarks.child` for how it is spoken to.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
import time
from collections.abc import Callable
from math import gcd
from typing import Any

import msgspec
import numpy as np

from benchmarks.child import answer
from benchmarks.kernel import SENDER_CPU, pin
from media.carrier.options import SimulationOptions
from media.carrier.pacing import Lateness
from media.carrier.plan import Plan, make_plan
from strep.clock import NS_PER_MS, NS_PER_SECOND

PTIME_MS = 20
PACKETS_PER_SECOND_PER_LEG = 2 * 1000 // PTIME_MS
"""Two directions."""

_LEAD_NS = 20 * NS_PER_MS
_REST_S = 0.0005
"""Slept beyond the next deadline, so that a system call is worth it: about 50 packets at 100,000/s."""
_MOST = 1024  # UIO_MAXIOV
_CHUNK = 4096
_IOVEC = np.dtype([("base", "u8"), ("length", "u8")])
_MMSGHDR = np.dtype({"names": ["iov", "iovlen"], "formats": ["u8", "u8"], "offsets": [16, 24], "itemsize": 64})


class Load(msgspec.Struct, frozen=True):
    """How many calls, and for how long.

    Attributes:
        legs: calls, of two tracks each.
        ramp_seconds: from the first call's beginning to the last one's.
        plateau_seconds: from there to the first call's end.
    """

    legs: int
    ramp_seconds: float
    plateau_seconds: float

    @property
    def packets_per_second(self) -> int:
        """Offered rate on the plateau."""
        return self.legs * PACKETS_PER_SECOND_PER_LEG

    @property
    def plateau_ns(self) -> tuple[int, int]:
        """From when to when, after the first packet."""
        ramp_ns = round(self.ramp_seconds * NS_PER_SECOND)
        return ramp_ns, ramp_ns + round(self.plateau_seconds * NS_PER_SECOND)

    def plan(self) -> Plan:
        """Return everything that is sent; the same load gives the same bytes in every process."""
        options = SimulationOptions(
            calls=self.legs,
            seconds=self.ramp_seconds + self.plateau_seconds,
            stagger_ms=self._stagger_ms,
            audio=None,  # a chord and noise of its own for every track
        )
        return make_plan(options)

    @property
    def _stagger_ms(self) -> float:
        """Time between two beginnings, such that the calls' packets lie evenly over a packet's 20 ms."""
        turns = max(round(self.ramp_seconds * 1000 / PTIME_MS), 1)
        while gcd(turns, self.legs) > 1:
            turns += 1
        return PTIME_MS * turns / self.legs


class Sender:
    """All datagrams of a plan, ready to go."""

    def __init__(self, plan: Plan) -> None:
        """Write them."""
        first = plan.table(0, 1)
        self._rows = np.empty((len(plan), first.rows.shape[1]), np.uint8)
        self._vectors = np.empty(len(plan), _IOVEC)
        for start in range(0, len(plan), _CHUNK):
            stop = min(start + _CHUNK, len(plan))
            table = plan.table(start, stop)
            self._rows[start:stop] = table.rows
            self._vectors["length"][start:stop] = table.lengths
        index = np.arange(len(plan), dtype=np.uint64)
        self._vectors["base"] = self._rows.ctypes.data + index * np.uint64(self._rows.shape[1])
        self._messages = np.zeros(len(plan), _MMSGHDR)
        self._messages["iov"] = self._vectors.ctypes.data + index * np.uint64(_IOVEC.itemsize)
        self._messages["iovlen"] = 1
        self._times_ns = plan.times_ns
        self._sendmmsg = ctypes.CDLL(None, use_errno=True).sendmmsg
        self._sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)

    def __len__(self) -> int:
        """Return the number of datagrams."""
        return len(self._messages)

    def send(self, port: int, plateau_ns: tuple[int, int], started: Callable[[int], None]) -> dict[str, Any]:
        """Send everything, each datagram at its deadline; a late one does not delay those behind it.

        Args:
            port: of loopback.
            plateau_ns: from when to when the rate is to be measured, after the first deadline.
            started: told the monotonic moment of the first deadline, a little before it.

        Returns:
            sent; plateau_per_s, the rate achieved there; lateness in ms.
        """
        lateness, sent_by, sent = Lateness(), [0, 0], 0
        with _connected(port) as sock:
            started_ns = time.monotonic_ns() + _LEAD_NS
            started(started_ns)
            while sent < len(self):
                now_ns = time.monotonic_ns() - started_ns
                due = int(np.searchsorted(self._times_ns, now_ns, side="right"))
                if due == sent:
                    time.sleep(max(int(self._times_ns[sent]) - now_ns, 0) / NS_PER_SECOND + _REST_S)
                    continue
                stop = sent + self._send(sock, sent, min(due, sent + _MOST))
                after_ns = time.monotonic_ns() - started_ns
                lateness.record(after_ns - self._times_ns[sent:stop])
                sent = stop
                for edge, edge_ns in enumerate(plateau_ns):
                    if after_ns <= edge_ns:
                        sent_by[edge] = sent
        rate = (sent_by[1] - sent_by[0]) * NS_PER_SECOND / (plateau_ns[1] - plateau_ns[0])
        return {"sent": sent, "plateau_per_s": rate, "lateness": lateness.summary()}

    def burst(self, port: int, start: int, count: int) -> int:
        """Send `count` datagrams from `start` on at full speed and return where to go on."""
        with _connected(port) as sock:
            stop = min(start + count, len(self))
            while start < stop:
                start += self._send(sock, start, min(stop, start + _MOST))
        return start

    def _send(self, sock: socket.socket, start: int, stop: int) -> int:
        address = self._messages.ctypes.data + start * _MMSGHDR.itemsize
        count = int(self._sendmmsg(sock.fileno(), address, stop - start, 0))
        if count < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return count


def _say_started(started_ns: int) -> None:
    answer({"started_ns": started_ns})


def _connected(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect(("127.0.0.1", port))
    return sock


def main() -> None:
    """Write the datagrams of the load in the argument, then send them as often as asked."""
    pin(SENDER_CPU)
    load = msgspec.json.decode(sys.argv[1], type=Load)
    sender = Sender(load.plan())
    answer({"datagrams": len(sender)})
    for line in sys.stdin.buffer:
        request = msgspec.json.decode(line)
        if request["command"] == "send":
            answer(sender.send(request["port"], load.plateau_ns, _say_started))
        else:
            answer({"next": sender.burst(request["port"], request["start"], request["count"])})


if __name__ == "__main__":
    main()
