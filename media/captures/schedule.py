"""What of a capture is sent again, when and where to: no clock and no socket, datagrams in and `Due` ones out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from media.captures.census import Census, FlowKey, flow_key
from media.captures.layers import Address
from media.captures.reader import Datagram
from strep.clock import NS_PER_MS
from strep.errors import ConfigurationError
from strep.header import HEADER_BYTES, MAGIC

LOOP_PAUSE_NS = 20 * NS_PER_MS
"""Between the last datagram of a round and the first of the next: one packet's time."""


class Due(NamedTuple):
    """A datagram to be sent."""

    at_ns: int
    """Since the beginning of the replay; never falls."""
    source: Address
    """Who sent it in the capture."""
    target: Address
    payload: bytes


@dataclass(frozen=True, slots=True)
class Routes:
    """Which datagrams are sent, and where to.

    Attributes:
        ports: by original destination port, whatever the datagram is.
        strep: by original destination; the STREP that was found in the capture.
        flows: by plain RTP track.
        call_leg_id: if not None, only STREP of this call leg is sent.
    """

    ports: Mapping[int, Address] = field(default_factory=dict)
    strep: Mapping[Address, Address] = field(default_factory=dict)
    flows: Mapping[FlowKey, Address] = field(default_factory=dict)
    call_leg_id: UUID | None = None

    def target(self, datagram: Datagram) -> Address | None:
        """Return where `datagram` goes, None if it is not to be sent."""
        if self.call_leg_id is not None and not _is_of_call(datagram.payload, self.call_leg_id):
            return None
        target = self.ports.get(datagram.destination[1]) or self.strep.get(datagram.destination)
        if target is not None or not self.flows:
            return target
        key = flow_key(datagram.source, datagram.destination, datagram.payload)
        return None if key is None else self.flows.get(key)


def _is_of_call(payload: bytes, call_leg_id: UUID) -> bool:
    is_strep = len(payload) >= HEADER_BYTES and payload[0] >> 6 == MAGIC
    return is_strep and payload[8:HEADER_BYTES] == call_leg_id.bytes


def choose_routes(
    census: Census,
    to: Address | None,
    *,
    rtp_to: tuple[Address, ...] = (),
    ports: tuple[int, ...] = (),
    port_map: Mapping[int, Address] | None = None,
    call_leg_id: UUID | None = None,
) -> Routes:
    """Return the routes for what the operator said.

    Args:
        census: who is in the capture.
        to: where STREP goes, or what came to `ports`.
        rtp_to: where plain RTP goes: the capture's first RTP destination to the first of these, and so on; those
            without a partner are not sent.
        ports: if there are any, `to` gets what went to these ports and nothing else.
        port_map: original destination port to new address.
        call_leg_id: the only call leg to be sent.

    Raises:
        ConfigurationError: nothing could ever be sent.
    """
    by_port = {**{port: to for port in ports if to is not None}, **(port_map or {})}
    strep = {} if to is None or ports else dict.fromkeys(census.strep_destinations(), to)
    flows = census.flows()
    destinations = list(dict.fromkeys(flow.destination for flow in flows))
    partner = dict(zip(destinations, rtp_to, strict=False))
    chosen = {flow: partner[flow.destination] for flow in flows if flow.destination in partner}
    if not by_port and not strep and not chosen:
        there_is = f"there are {len(flows)} plain RTP streams for --rtp-to" if flows else "nor plain RTP"
        raise ConfigurationError(
            f"nothing to send: {there_is}" if to is None else f"--to: there is no STREP in this capture; {there_is}"
        )
    return Routes(by_port, strep, chosen, call_leg_id)


class Schedule:
    """When each datagram is due.

    Args:
        routes: what is sent where.
        speed: of the replay; 2 takes half the time.
    """

    def __init__(self, routes: Routes, speed: float = 1.0) -> None:
        if not speed > 0:
            raise ConfigurationError(f"--speed: {speed} is not more than 0")
        self._routes = routes
        self._speed = speed
        self.duration_ns = 0
        """When the last datagram so far is due."""
        self.left_out = 0
        """Datagrams that no route takes."""

    def round(self, datagrams: Iterable[Datagram]) -> Iterator[Due]:
        """Yield one round of the capture, behind the rounds before it.

        A capture's clock may step back; what comes after that is sent without waiting, in the capture's order.
        """
        begin_ns = self.duration_ns + LOOP_PAUSE_NS if self.duration_ns else 0
        first_ns: int | None = None
        for datagram in datagrams:
            target = self._routes.target(datagram)
            if target is None:
                self.left_out += 1
                continue
            if first_ns is None:
                first_ns = datagram.time_ns
            at_ns = begin_ns + round((datagram.time_ns - first_ns) / self._speed)
            self.duration_ns = max(self.duration_ns, at_ns)
            yield Due(self.duration_ns, datagram.source, target, datagram.payload)
