"""From options to packets on the wire, and the truth about them.

A test that needs no socket takes `Simulation.plan`; everything else calls `Simulation.run`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from media.carrier import websocket
from media.carrier.ahead import Timetable
from media.carrier.options import SimulationOptions, Transport
from media.carrier.pacing import Pacer, RealTime
from media.carrier.plan import Plan, make_plan
from media.carrier.report import Progress, SendReport
from media.carrier.steady import Steady
from media.carrier.truth import Truth
from media.carrier.udp import Address, connect, send_plan
from strep.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from media.carrier.announcing import Announcer


@dataclass(frozen=True, slots=True)
class Target:
    """Where the audio goes.

    Attributes:
        udp: the STREP port.
        rx: bare RTP, the port of the inbound direction of call 0.
        tx: the same of the outbound direction.
        rtp_port_step: bare RTP, call `k` is sent to ports that are ``k * rtp_port_step`` higher. With 0 all
            calls share the ports; every track has a source port of its own in any case.
        stream_url: where each call dials its WebSocket.
        segmented: UDP, let the kernel cut messages into datagrams. On this machine a message travels in one piece,
            and a receiver that steers datagrams to its workers by what is in them would get all of it where the
            first one belongs. No carrier does that.
        source: UDP, this machine's address that datagrams come from; "" is whichever the kernel takes.
    """

    udp: Address | None = None
    rx: Address | None = None
    tx: Address | None = None
    rtp_port_step: int = 0
    stream_url: str = ""
    segmented: bool = False
    source: str = ""

    def destinations(self, options: SimulationOptions) -> list[Address]:
        """Return the UDP addresses in the order of `Plan.destinations`.

        Raises:
            UsageError: not an address of the kind that the transport needs.
            ConfigurationError: the last call's port is none.
        """
        if options.transport is Transport.STREP and self.udp is not None:
            return [self.udp]
        if options.transport is not Transport.RTP or self.rx is None or self.tx is None:
            raise UsageError(f"no target for {options.transport.value}")
        steps = [call * self.rtp_port_step for call in range(options.calls)]
        if max(self.rx[1], self.tx[1]) + steps[-1] > 65_535:
            raise ConfigurationError(f"rtp: {options.calls} calls from these ports on end beyond port 65535")
        return [(host, port + step) for step in steps for host, port in (self.rx, self.tx)]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was sent, and how well the deadlines were kept."""

    truth: Truth
    report: SendReport


class Simulation:
    """A simulated carrier with a number of calls.

    Args:
        options: what to simulate.
    """

    def __init__(self, options: SimulationOptions) -> None:
        self.options = options

    @cached_property
    def _plan(self) -> Plan:
        return make_plan(self.options)

    def plan(self) -> Plan:
        """Return everything that will be sent; made once, no clock read and no socket opened."""
        return self._plan

    @cached_property
    def _timetable(self) -> Timetable:
        # Computed where it can be: a plan of thousands of calls for an hour does not fit into memory.
        return Steady(self.options) if Steady.is_possible(self.options) else self._plan

    def __len__(self) -> int:
        """Return the number of deliveries that `run` makes."""
        return len(self._timetable)

    def _begins_ns(self) -> dict[UUID, int]:
        """Return when each leg begins, after the first one."""
        begins_ns: dict[UUID, int] = {}
        for script in self._timetable.scripts:
            begins_ns[script.call_leg_id] = min(script.start_ns, begins_ns.get(script.call_leg_id, script.start_ns))
        return begins_ns

    async def run(
        self,
        target: Target,
        pacer: Pacer | None = None,
        on_progress: Progress | None = None,
        heard_folder: Path | None = None,
        announcer: Announcer | None = None,
    ) -> Outcome:
        """Send all calls, in real time unless `pacer` says otherwise, and return the truth about them.

        Args:
            target: where to.
            pacer: `media.carrier.pacing.Instant` sends everything at once.
            on_progress: called with the number of deliveries made so far, of ``len(simulation)``.
            heard_folder: WebSocket, where what each caller heard is written to.
            announcer: STREP, posts webhooks about the legs.

        Raises:
            ConfigurationError: nobody can be reached at `target`.
        """
        pacer = pacer or RealTime()
        if self.options.transport is Transport.WEBSOCKET:
            plan = self.plan()
            report = await websocket.send_plan(plan, target.stream_url, pacer, on_progress, heard_folder)
            return Outcome(plan.truth(report.made), report)
        sockets = [
            connect(address, source=target.source, segmented=target.segmented)
            for address in target.destinations(self.options)
        ]
        try:
            send = partial(send_plan, self._timetable, sockets, pacer, on_progress)
            report = await (send() if announcer is None else announcer.around(self._begins_ns(), pacer, send))
        finally:
            for batch_socket in sockets:
                batch_socket.close()
        return Outcome(self._timetable.truth(), report)
