"""Can one core offer 500,000 honest packets a second? This sender does; `benchmarks.offer` measures it.

What is sent is a plan of the simulated carrier (`media.carrier`): every leg with an identifier of its own, every
track with sound of its own that differs from packet to packet, numbered as RTP wants it. The plan is at the
same time the truth that the referee uses. Only the shell differs from the carrier's: datagrams are written
a thousand at a time, and a wake-up costs one ``sendmmsg(2)``.

Calls begin one after another during the ramp, and all last equally long; between the ramp and the first call's
end lies the plateau, where all of them send and none begins or ends.

As a program it is the process on the other core; see `benchmarks.child` for how it is spoken to.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable
from contextlib import closing
from math import gcd
from typing import Any

import msgspec

from benchmarks.child import answer
from benchmarks.kernel import SENDER_CPU, pin
from media.carrier.ahead import Ahead, Timetable
from media.carrier.options import SimulationOptions
from media.carrier.pacing import Lateness
from media.carrier.plan import Plan, make_plan
from media.carrier.sendmmsg import BatchSocket
from media.carrier.steady import Steady
from strep.clock import NS_PER_MS, NS_PER_SECOND

PTIME_MS = 20
PACKETS_PER_SECOND_PER_LEG = 2 * 1000 // PTIME_MS
"""Two directions."""

_LEAD_NS = 20 * NS_PER_MS
_WITHIN_NS = NS_PER_MS // 2
"""Datagrams due within this time of each other leave together, so that a system call is worth it."""
_ROWS = 1024
"""Written at a time: they are still in the processor's cache when they are sent."""


class Load(msgspec.Struct, frozen=True):
    """How many calls, and for how long.

    Attributes:
        legs: calls, of two tracks each.
        ramp_seconds: from the first call's beginning to the last one's.
        plateau_seconds: from there to the first call's end.
        segmented: the kernel gets up to 64 datagrams as one message and cuts it up (UDP_SEGMENT): one core
            then offers several times as much. The receiver gets the same datagrams, but some of its work is
            done for it: compare costs only between runs that agree in this. Not for several workers at one port.
    """

    legs: int
    ramp_seconds: float
    plateau_seconds: float
    segmented: bool = False

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
        return make_plan(self._options())

    def steady(self) -> Steady:
        """Return the same, computed instead of written down: for any number of packets."""
        return Steady(self._options())

    def _options(self) -> SimulationOptions:
        return SimulationOptions(
            calls=self.legs,
            seconds=self.ramp_seconds + self.plateau_seconds,
            stagger_ms=self._stagger_ms,
            audio=None,  # a chord and noise of its own for every track
        )

    @property
    def _stagger_ms(self) -> float:
        """Time between two beginnings, such that the calls' packets lie evenly over a packet's 20 ms."""
        turns = max(round(self.ramp_seconds * 1000 / PTIME_MS), 1)
        while gcd(turns, self.legs) > 1:
            turns += 1
        return PTIME_MS * turns / self.legs


class Sender:
    """What a plan says, written a little ahead of the clock.

    Args:
        plan: of the simulated carrier.
        segmented: let the kernel cut messages into datagrams, see `media.carrier.segments`.

    Attributes:
        segmented: as above; may be changed between two loads.
    """

    def __init__(self, plan: Timetable, *, segmented: bool = False) -> None:
        """Write the first datagrams."""
        self._plan, self.segmented = plan, segmented
        self._ahead = Ahead(plan, _ROWS)

    def __len__(self) -> int:
        """Return the number of datagrams."""
        return len(self._plan)

    def send(self, port: int, plateau_ns: tuple[int, int], started: Callable[[int], None]) -> dict[str, Any]:
        """Send everything, each datagram at its deadline; a late one does not delay those behind it.

        Args:
            port: of loopback.
            plateau_ns: from when to when the rate is to be measured, after the first deadline.
            started: told the monotonic moment of the first deadline, a little before it.

        Returns:
            sent; plateau_per_s, the rate achieved there; lateness in ms; cpu_ns, processor time per packet;
            segmented, whether the kernel went along with it.
        """
        ahead, lateness, sent_by, sent = self._ahead, Lateness(), [0, 0], 0
        ahead.move_to(0)
        with closing(self._connected(port)) as batch_socket:
            cpu_ns = time.process_time_ns()
            started_ns = time.monotonic_ns() + _LEAD_NS
            started(started_ns)
            while sent < len(self):
                now_ns = time.monotonic_ns() - started_ns
                wait_ns = ahead.moment(sent, _WITHIN_NS) - now_ns
                if wait_ns > 0:
                    time.sleep(wait_ns / NS_PER_SECOND)
                    continue
                stop = sent + batch_socket.send(ahead.table(sent, ahead.due(now_ns)))
                after_ns = time.monotonic_ns() - started_ns
                lateness.record(after_ns - ahead.times(sent, stop))
                sent = stop
                for edge, edge_ns in enumerate(plateau_ns):
                    if after_ns <= edge_ns:
                        sent_by[edge] = sent
                if sent < len(self):
                    ahead.move_to(sent)
            cpu_ns = time.process_time_ns() - cpu_ns
        return {
            "sent": sent,
            "plateau_per_s": (sent_by[1] - sent_by[0]) * NS_PER_SECOND / (plateau_ns[1] - plateau_ns[0]),
            "lateness": lateness.summary(),
            "cpu_ns": cpu_ns / sent,
            "segmented": batch_socket.segmented,
        }

    def burst(self, port: int, start: int, count: int) -> int:
        """Send `count` datagrams from `start` on at full speed and return where to go on."""
        with closing(self._connected(port)) as batch_socket:
            stop = min(start + count, len(self))
            while start < stop:
                self._ahead.move_to(start)
                start += batch_socket.send(self._ahead.table(start, min(stop, self._ahead.stop)))
        return start

    def _connected(self, port: int) -> BatchSocket:
        udp_socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp_socket.connect(("127.0.0.1", port))
        return BatchSocket(udp_socket, segmented=self.segmented)


def _say_started(started_ns: int) -> None:
    answer({"started_ns": started_ns})


def main() -> None:
    """Prepare the load in the argument, then send it as often as asked."""
    pin(SENDER_CPU)
    load = msgspec.json.decode(sys.argv[1], type=Load)
    sender = Sender(load.steady(), segmented=load.segmented)
    answer({"datagrams": len(sender)})
    for line in sys.stdin.buffer:
        request = msgspec.json.decode(line)
        sender.segmented = request.get("segmented", load.segmented)
        if request["command"] == "send":
            answer(sender.send(request["port"], load.plateau_ns, _say_started))
        else:
            cpu_ns = time.process_time_ns()
            following = sender.burst(request["port"], request["start"], request["count"])
            answer({"next": following, "cpu_ns": time.process_time_ns() - cpu_ns})


if __name__ == "__main__":
    main()
