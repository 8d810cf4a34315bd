"""Packet histories for property tests: what a sane sender and a harsh network do, and what madmen do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from strep.clock import NS_PER_MS, NS_PER_SECOND
from tests.strep.packets import FRAME_NS, OTHER_SSRC, SSRC, Packet, Sender, audio

START_NS = 10 * NS_PER_SECOND
EDGE_SEQUENCES = (0, 1, 31, 32, 1000, 65_400, 65_500, 65_535)
EDGE_TIMESTAMPS = (0, 1, 159, 3200, 50_000, 2**31 - 500, 2**31, 2**32 - 3000, 2**32 - 160, 2**32 - 1)


@dataclass(frozen=True)
class Event:
    """Something done to a timeline: a batch received, or (None) a poll."""

    now_ns: int
    batch: tuple[Packet, ...] | None


@st.composite
def streams(draw: st.DrawFn, slot: int, *, max_packets: int = 60) -> list[Packet]:
    """One track of a sane sender through a harsh network, in the order of arrival.

    Frames of 80 to 480 samples, the last of them shorter; pauses with advancing timestamps; packets lost, doubled, and
    late by up to 250 ms.
    """
    frame_samples = draw(st.sampled_from((80, 160, 240, 480)))
    varied = draw(st.booleans())
    sender = Sender(
        sequence=draw(st.sampled_from(EDGE_SEQUENCES) | st.integers(0, 65_535)),
        timestamp=draw(st.sampled_from(EDGE_TIMESTAMPS) | st.integers(0, 2**32 - 1)),
        now_ns=START_NS + draw(st.integers(0, 30)) * NS_PER_MS,
        slot=slot,
        samples=frame_samples,
    )
    lateness = draw(st.sampled_from((0, 3, 30, 100, 250)))
    loss = draw(st.sampled_from((0, 0, 5, 30)))
    arrivals: list[Packet] = []
    for _ in range(draw(st.integers(1, max_packets))):
        if varied:
            sender.samples = draw(st.integers(80, 480))
        chance = draw(st.integers(0, 99))
        if chance < 4:
            sender.pause(draw(st.integers(1, 6000)))
        is_event = 4 <= chance < 7
        packet = sender.packet(0, is_audio=False) if is_event else sender.packet()
        if chance >= 100 - loss:
            continue
        delay_ns = draw(st.integers(0, lateness)) * NS_PER_MS
        arrivals.append(packet.at(packet.arrival_ns + delay_ns))
        if 7 <= chance < 12:
            arrivals.append(packet.at(packet.arrival_ns + draw(st.integers(0, 300)) * NS_PER_MS))
    if not varied:
        arrivals.append(sender.packet(draw(st.integers(1, frame_samples))))
    return sorted(arrivals, key=lambda packet: packet.arrival_ns)


@st.composite
def events(draw: st.DrawFn, packets: list[Packet]) -> list[Event]:
    """Cut arrivals into batches and put polls between them, wherever."""
    ordered = sorted(packets, key=lambda packet: packet.arrival_ns)
    done: list[Event] = []
    at = 0
    while at < len(ordered):
        size = draw(st.integers(1, 12))
        batch = tuple(ordered[at : at + size])
        at += size
        now_ns = batch[-1].arrival_ns + draw(st.integers(0, 5)) * NS_PER_MS
        done.append(Event(now_ns, batch))
        if draw(st.integers(0, 3)):
            done.append(Event(now_ns + draw(st.integers(0, 20)) * NS_PER_MS, None))
    return done


@st.composite
def calls(draw: st.DrawFn, *, max_tracks: int = 3) -> tuple[int, list[Event]]:
    """Several interleaved tracks: their number, and what happens."""
    tracks = draw(st.integers(1, max_tracks))
    packets = [packet for slot in range(tracks) for packet in draw(streams(slot))]
    return tracks, draw(events(packets))


def integers_near(*values: int) -> st.SearchStrategy[int]:
    """Return integers around the values."""
    return st.sampled_from(values).flatmap(lambda value: st.integers(value - 3, value + 3))


@st.composite
def madness(draw: st.DrawFn, *, tracks: int = 2, max_steps: int = 40) -> list[list[Packet]]:
    """Batches of packets that nobody in his right mind sends, amid runs that are quite in order."""
    batches: list[list[Packet]] = []
    now_ns = START_NS
    senders = [Sender(slot=slot, now_ns=now_ns) for slot in range(tracks)]
    for _ in range(draw(st.integers(1, max_steps))):
        sender = senders[draw(st.integers(0, tracks - 1))]
        now_ns += draw(st.sampled_from((0, 1, 5, 20, 20, 20, 61, 200, 1000, 20_000))) * NS_PER_MS
        step: dict[str, Any] = draw(_MAD_STEPS)
        sender.now_ns = now_ns
        sender.ssrc = step.get("ssrc", sender.ssrc)
        sender.sequence += step.get("sequence_jump", 0)
        sender.timestamp += step.get("timestamp_jump", 0)
        sender.samples = step.get("samples", sender.samples)
        run = [sender.packet(is_audio=step.get("is_audio", True)) for _ in range(step.get("run", 1))]
        if step.get("at_once", True):
            run = [packet.at(now_ns) for packet in run]
        if step.get("reversed", False):
            run = [p.at(q.arrival_ns) for p, q in zip(run[::-1], run, strict=True)]
        if step.get("again", False) and batches:
            run += [packet.at(now_ns) for packet in batches[-1] if packet.slot == sender.slot]
        batches.append(run)
        now_ns = max(now_ns, run[-1].arrival_ns)
    return batches


_MAD_STEPS = st.fixed_dictionaries(
    {"run": st.sampled_from((1, 1, 2, 3, 5, 20, 60, 80, 300, 500))},
    optional={
        "ssrc": st.sampled_from((SSRC, OTHER_SSRC, 0, 2**32 - 1)),
        "sequence_jump": integers_near(0, -1, -33, -100, -256, 256, 300, 3000, -3000, 32_768, 65_536 - 2),
        "timestamp_jump": integers_near(0, -160, 160, 8000, -3200, 12_800, -12_800, 160_000, 2**31, -(2**31), 2**32)
        | st.integers(-(2**32), 2**32),
        "samples": st.sampled_from((0, 1, 37, 80, 160, 160, 160, 240, 800, 1400, 2036)),
        "is_audio": st.booleans(),
        "at_once": st.booleans(),
        "reversed": st.booleans(),
        "again": st.booleans(),
    },
)

__all__ = ["FRAME_NS", "Event", "audio", "calls", "events", "integers_near", "madness", "streams"]
