"""`LegGuard`: which legs may begin on the STREP port, and from where their packets may come.

A call_leg_id is a name that many have seen, and the address of a UDP packet is what its sender writes there. So:

* **Networks.** If any are configured, nothing from elsewhere begins a leg.
* **Legs.** ``open``: any leg begins with its first packet. ``probation``: with two packets in order, as RFC 3550 A.1
  has it for sources (MIN_SEQUENTIAL); made-up ids of one packet each begin nothing. ``registered``: only legs that
  were announced (`register`); what comes before the announcement waits in quarantine.
* **Source.** Each direction of a leg keeps to the address of its first packet, and a further one, or the other side
  (B), begins only from an address that the call has; ports may differ. Another address may take over what has been
  silent for `SILENT_NS`. No carrier is known to send the directions of a leg from two addresses; ``any`` is for one
  that does.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Literal

from media.admission.announced import GOOD_FOR_NS, Announced
from media.admission.quarantine import KEEP_NS, Held, Leg, Quarantine
from strep.clock import NS_PER_SECOND
from strep.header import HEADER_BYTES
from strep.rtp import FIXED_HEADER_BYTES

SILENT_NS = 2 * NS_PER_SECOND

LegMode = Literal["open", "probation", "registered"]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_SEQUENCE, _SSRC = slice(2, 4), slice(8, 12)


class LegGuard:
    """The rules, and who waits to be let in.

    Attributes:
        mode: which legs may begin.
        announced: those that may in mode ``registered``.
        quarantine: datagrams of legs that are not admitted yet.
    """

    def __init__(
        self,
        mode: LegMode = "open",
        networks: Iterable[Network] = (),
        *,
        is_pinned: bool = True,
        keep_ns: int = KEEP_NS,
    ) -> None:
        """Start without an announcement; `is_pinned`: sources are kept to; `keep_ns`: so long a leg may wait."""
        self.mode, self.is_pinned = mode, is_pinned
        self.announced, self.quarantine = Announced(), Quarantine(keep_ns)
        self._networks = tuple(networks)

    def admits_address(self, address: str) -> bool:
        """Tell whether packets of `address` may begin anything."""
        if not self._networks:
            return True
        where = ipaddress.ip_address(address)
        if where.version == 6 and where.ipv4_mapped is not None:
            where = where.ipv4_mapped
        return any(where.version == network.version and where in network for network in self._networks)

    def may_move(self, old: str, new: str, silent_ns: int) -> bool:
        """Tell whether a direction whose packets came from `old`, the last `silent_ns` ago, may come from `new`."""
        return not self.is_pinned or old == new or silent_ns >= SILENT_NS

    def register(self, leg: Leg, now_ns: int, good_for_ns: int = GOOD_FOR_NS) -> list[Held]:
        """Announce a leg; return what has come of it already and is not too old."""
        self.quarantine.expire(now_ns)  # of a door where nothing comes any more nobody has done that
        self.announced.add(leg, now_ns, good_for_ns)
        return self.quarantine.release(leg)

    def withdraw(self, leg: Leg, now_ns: int) -> bool:
        """Take an announcement back; return whether there was one that was good still."""
        return self.announced.discard(leg, now_ns)

    def admit(self, leg: Leg, datagram: Held) -> list[Held] | None:
        """Ask whether a leg may begin with `datagram`; return what has waited of it, None if it waits as well."""
        if self.mode == "open":
            return []
        if self.mode == "registered":
            if self.announced.has(leg, datagram.arrival_ns):
                return self.quarantine.release(leg)
        elif any(_follows(earlier.data, datagram.data) for earlier in self.quarantine.waiting(leg)):
            return self.quarantine.release(leg)
        self.quarantine.hold(leg, datagram)
        return None

    def take_in(
        self,
        announced: Iterable[tuple[Leg, float]],
        held: Iterable[tuple[Leg, Held]],
        now_ns: int,
        *,
        is_all: bool = False,
    ) -> None:
        """Go on with what was announced in another process, for how many seconds, and with what waits there.

        What is announced here is forgotten if that one knows better: it may have withdrawn some of it.
        """
        if is_all:
            self.announced.clear()
        for leg, good_for_s in announced:
            self.announced.add(leg, now_ns, round(good_for_s * NS_PER_SECOND))
        for leg, datagram in held:
            self.quarantine.hold(leg, datagram)


def _follows(earlier: bytes, later: bytes) -> bool:
    """Tell whether two STREP packets are neighbours of one RTP source."""
    one, two = _rtp(earlier), _rtp(later)
    if len(one) < FIXED_HEADER_BYTES or len(two) < FIXED_HEADER_BYTES or one[_SSRC] != two[_SSRC]:
        return False
    step = int.from_bytes(two[_SEQUENCE], "big") - int.from_bytes(one[_SEQUENCE], "big") & 0xFFFF
    return step in (1, 0xFFFF)


def _rtp(datagram: bytes) -> bytes:
    return datagram[max(datagram[1], HEADER_BYTES) :] if len(datagram) > 1 else b""
