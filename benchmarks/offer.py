"""How many packets a second does the load generator offer from one core, and when?

No receiver can be shown to lose nothing by a sender that is late, or that does not send what it says. So this
measures the sender: its rate, its lateness against the deadlines, its cost, and every byte of what arrives.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from benchmarks import environment
from benchmarks.child import Child, ChildError
from benchmarks.drain import Fingerprint
from benchmarks.kernel import SENDER_CPU, pinned, queue
from benchmarks.load import Load
from benchmarks.progress import Say
from benchmarks.question import Question
from benchmarks.report import Line, Lines, Report, Spread, Table
from media.carrier.steady import Steady

RATE_BOUND = 500_000
"""Packets/s that one core shall offer."""

_BURST = 8_192
"""Sent at full speed before the queue is looked at: fits a receive buffer of 16 MiB several times."""
_WAITING_BYTES = 8 << 20
_ROWS = 4_096
_POLL_S = 0.02


class Settings(msgspec.Struct, frozen=True):
    """What was asked for."""

    calls: Annotated[tuple[Annotated[int, Meta(ge=1)], ...], Meta(description="Calls; may be repeated.")] = (
        1000,
        2500,
        5000,
    )
    seconds: Annotated[float, Meta(gt=0, description="For how long all calls send.")] = 4.0
    repeats: Annotated[int, Meta(ge=1, description="How often, both modes taking turns.")] = 1


class Offer(msgspec.Struct, frozen=True):
    """One load, sent once.

    Attributes:
        calls: of two directions.
        segmented: by UDP_SEGMENT.
        full_speed: without deadlines.
        wanted_per_s: packets due on the plateau, 0 at full speed.
        offered_per_s: packets sent there.
        cpu_ns: processor time of the sender per packet, system calls and writing included.
        lateness_ms: p50, p99 and max against the deadlines.
        drain_ns: processor time of the receiver per packet, the fingerprint included.
        dropped: by the kernel, for want of room.
    """

    calls: int
    segmented: bool
    full_speed: bool
    sent: int
    wanted_per_s: float
    offered_per_s: float
    cpu_ns: float
    lateness_ms: dict[str, float]
    drain_ns: float
    dropped: int
    complaints: list[str]


class Bench:
    """A load, its sender, and what must arrive."""

    def __init__(self, calls: int, seconds: float, scratch: Path) -> None:
        """Start the sender and work out the fingerprint of all it will send."""
        self.load = Load(calls, ramp_seconds=min(1.0, seconds), plateau_seconds=seconds)
        self._scratch = scratch
        argument = msgspec.json.encode(self.load).decode()
        self._sender = Child("benchmarks.load", argument, log=scratch / f"sender-{calls}.log")
        plan = self.load.steady()
        self._count, self._value = len(plan), fingerprint(plan).value
        self._width = plan.table(0, 1).rows.shape[1]
        self._sender.answer(300)

    def close(self) -> None:
        """End the sender."""
        self._sender.close()

    def run(self, *, segmented: bool, full_speed: bool) -> Offer:
        """Send everything once, to a fresh socket."""
        receiver = Child("benchmarks.drain", str(self._width), log=self._scratch / "drain.log")
        with closing(receiver):
            port = int(receiver.answer()["port"])
            sent = self._burst(port, segmented) if full_speed else self._send(port, segmented)
            while queue(port).waiting_bytes:
                time.sleep(_POLL_S)
            dropped = queue(port).drops
            found = receiver.ask("stop")
        return Offer(
            calls=self.load.legs,
            segmented=segmented,
            full_speed=full_speed,
            sent=sent["sent"],
            wanted_per_s=0 if full_speed else self.load.packets_per_second,
            offered_per_s=sent["plateau_per_s"],
            cpu_ns=sent["cpu_ns"],
            lateness_ms=sent["lateness"],
            drain_ns=found["cpu_ns"] / max(found["count"], 1),
            dropped=dropped,
            complaints=list(self._judge(sent, found, dropped, segmented)),
        )

    def _send(self, port: int, segmented: bool) -> dict[str, Any]:
        self._sender.ask("send", port=port, segmented=segmented)
        return self._sender.answer(self.load.ramp_seconds + 10 * self.load.plateau_seconds + 60)

    def _burst(self, port: int, segmented: bool) -> dict[str, Any]:
        """Send at full speed, waiting only for a queue that is nearly full; only the sending counts."""
        sent = cpu_ns = 0
        while sent < self._count:
            done = self._sender.ask("burst", port=port, start=sent, count=_BURST, segmented=segmented)
            sent, cpu_ns = int(done["next"]), cpu_ns + int(done["cpu_ns"])
            while queue(port).waiting_bytes > _WAITING_BYTES:
                time.sleep(_POLL_S / 10)
        cost_ns = cpu_ns / sent
        return {
            "sent": sent,
            "plateau_per_s": 1e9 / cost_ns,
            "cpu_ns": cost_ns,
            "lateness": {},
            "segmented": segmented,
        }

    def _judge(self, sent: dict[str, Any], found: dict[str, Any], dropped: int, segmented: bool) -> Iterator[str]:
        if sent["sent"] != self._count:
            yield f"{sent['sent']} packets sent of {self._count}"
        if sent["segmented"] != segmented:
            yield "the kernel does not cut messages up"
        if found["odd"]:
            yield f"{found['odd']} datagrams of another length"
        if found["count"] + found["odd"] + dropped != sent["sent"]:
            yield f"received {found['count']}, dropped {dropped}: not {sent['sent']}"
        if found["count"] == self._count and found["value"] != self._value:
            yield "what arrived is not what was planned, or in another order"


def fingerprint(plan: Steady) -> Fingerprint:
    """Return the fingerprint of a whole plan, in the order of its deadlines."""
    found = Fingerprint(plan.table(0, 1).rows.shape[1])
    for start in range(0, len(plan), _ROWS):
        found.add(plan.table(start, min(start + _ROWS, len(plan))).rows)
    return found


def measure(settings: Settings, say: Say, scratch: Path) -> Report:
    """Offer every load in both modes, at its deadlines and as fast as it goes."""
    where = environment.describe(scratch)
    offers: list[Offer] = []
    kinds = [(segmented, full_speed) for full_speed in (False, True) for segmented in (False, True)]
    with pinned(SENDER_CPU):
        for calls in settings.calls:
            say.doing(
                f"preparing {calls:,} calls", len(offers) / (len(settings.calls) * len(kinds) * settings.repeats)
            )
            with closing(Bench(calls, settings.seconds, scratch)) as bench:
                for segmented, full_speed in kinds * settings.repeats:
                    offers.append(_run(bench, segmented=segmented, full_speed=full_speed))
                    say("  ".join(_cells(offers[-1])))
    good = [offer for offer in offers if not offer.complaints]
    return Report(
        question="offer",
        environment=where,
        answers=list(_answers(good)),
        tables=[Table("Loads", _COLUMNS, [_cells(offer) for offer in good], text_columns=2, note=_NOTE)],
        runs=len(offers),
        charts=[_chart(good)],
        figures=msgspec.to_builtins(offers),
        complaints=[f"{' '.join(_cells(offer)[:2])}: {text}" for offer in offers for text in offer.complaints],
    )


def _run(bench: Bench, *, segmented: bool, full_speed: bool) -> Offer:
    try:
        return bench.run(segmented=segmented, full_speed=full_speed)
    except ChildError as error:
        return Offer(bench.load.legs, segmented, full_speed, 0, 0, 0, 0, {}, 0, 0, [str(error)])


_COLUMNS = [
    "calls",
    "how",
    "wanted/s",
    "offered/s",
    "sender, CPU ns/packet",
    "late p50 ms",
    "late p99 ms",
    "late max ms",
    "receiver, CPU ns/packet",
    "dropped",
]
_NOTE = """At full speed, *offered/s* is a second divided by the sender's processor time per packet, and nothing is
wanted. *Dropped*: found the receiver's queue full. Where that is 0, every byte of every datagram arrived as planned,
and in that order."""


def _cells(offer: Offer) -> list[str]:
    how = "UDP_SEGMENT" if offer.segmented else "a message each"
    late = [f"{offer.lateness_ms[name]:.2f}" if offer.lateness_ms else "" for name in ("p50_ms", "p99_ms", "max_ms")]
    return [
        f"{offer.calls:,}",
        how + (", full speed" if offer.full_speed else ""),
        f"{offer.wanted_per_s:,.0f}" if offer.wanted_per_s else "",
        f"{offer.offered_per_s:,.0f}",
        f"{offer.cpu_ns:,.0f}",
        *late,
        f"{offer.drain_ns:,.0f}",
        f"{offer.dropped:,}",
    ]


def _answers(offers: list[Offer]) -> Iterator[str]:
    for segmented, how in ((True, "with UDP_SEGMENT"), (False, "a message for every datagram")):
        fast = [offer for offer in offers if offer.full_speed and offer.segmented == segmented]
        if fast:
            rate = Spread.of(offer.offered_per_s for offer in fast).text()
            bound = f" (bound: {RATE_BOUND:,})" if segmented else ""
            yield f"one core offers {rate} packets/s at full speed, {how}{bound}"
        paced = [o for o in offers if not o.full_speed and o.segmented == segmented and _keeps_up(o)]
        if paced:
            most = max(paced, key=lambda offer: offer.wanted_per_s)
            late, share = most.lateness_ms["p99_ms"], most.cpu_ns * most.wanted_per_s / 1e9
            yield (
                f"{how}, it keeps the deadlines of {most.calls:,} calls, {most.wanted_per_s:,.0f} packets/s, "
                f"{late:.1f} ms late at p99, {share:.0%} of a core busy"
            )


def _keeps_up(offer: Offer) -> bool:
    return offer.offered_per_s >= 0.99 * offer.wanted_per_s


def _chart(offers: list[Offer]) -> Lines:
    lines = []
    for segmented in (True, False):
        by_rate: dict[float, list[float]] = {}
        for offer in offers:
            if offer.segmented == segmented and not offer.full_speed:
                by_rate.setdefault(offer.wanted_per_s, []).append(offer.cpu_ns)
        label = "UDP_SEGMENT" if segmented else "a message each"
        lines.append(Line(label, list(by_rate), [Spread.of(costs) for costs in by_rate.values()], ours=segmented))
    return Lines("Cost of sending", "packets/s wanted", "CPU ns/packet", [line for line in lines if line.x])


QUESTION = Question(
    name="offer",
    explains="""The load generator of the other questions sends from one core, to a socket that recvmmsg(2) empties on
the other: at the deadlines of so many calls, and as fast as it goes; with a message to the kernel per datagram,
and with UDP_SEGMENT, where the kernel gets up to 64 datagrams as one message and cuts it up.

The referee takes a fingerprint of every byte that arrives, and of the order, and compares it with the plan.""",
    settings=Settings,
    quick=Settings(calls=(100,), seconds=1.0),
    measure=measure,
)
