"""Was the work done right? Every run is compared with the truth of what was sent; see also `benchmarks.recordings`.

A referee returns complaints, in words; a run with any does not count. The truth is the simulated carrier's
plan, and the mu-law decoder is written here once more from ITU-T G.711, so that a common mistake of sender and
receiver would show.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from media.carrier.plan import Plan
from media.carrier.steady import Steady

MOST_COMPLAINTS = 5
"""Named per run; of the rest, only the number."""


def mu_law_table() -> NDArray[np.int16]:
    """Return (256,) int16: what each code byte stands for (ITU-T G.711 table 2a, in 16 bits)."""
    inverted = ~np.arange(256, dtype=np.uint8)
    mantissa, exponent = (inverted & 15).astype(np.int32), (inverted >> 4) & 7
    magnitude = (((mantissa << 3) + 0x84) << exponent) - 0x84
    return np.where(inverted & 0x80, -magnitude, magnitude).astype(np.int16)


class Truth:
    """What was sent, prepared for being asked often."""

    def __init__(self, plan: Plan | Steady) -> None:
        """Take everything that is sent."""
        self.plan = plan
        self.truth = plan.truth()

    @cached_property
    def checksums(self) -> dict[tuple[bytes, int], tuple[int, NDArray[np.int64]]]:
        """By call_leg_id and L << 1 | D: the first sequence number, and (packets,) CRCs of decoded samples."""
        table, found = mu_law_table(), {}
        for number, script in enumerate(self.plan.scripts):
            packets = table[self.plan.payloads(number)]
            crcs = np.array([crc32(packet) for packet in packets], np.int64)
            key = (script.call_leg_id.bytes, script.party.leg << 1 | script.party.direction)
            found[key] = (int(script.sequence_numbers[0]), crcs)
        return found


def limited(complaints: Iterator[str]) -> list[str]:
    """Return the complaints, but not thousands of them."""
    found = list(complaints)
    if len(found) > MOST_COMPLAINTS:
        rest = len(found) - MOST_COMPLAINTS
        return [*found[:MOST_COMPLAINTS], f"and {rest} more complaints"]
    return found


def check_counts(sent: int, received: int, kernel_drops: int) -> Iterator[str]:
    """Every datagram was read, or dropped by the kernel."""
    if received + kernel_drops != sent:
        yield f"sent {sent}, received {received}, dropped by the kernel {kernel_drops}: they do not add up"


def check_floor(truth: Truth, evidence: dict[str, Any], sent: int, kernel_drops: int) -> Iterator[str]:
    """The right number of packets and bytes, and those still in the receiver's memory are ours."""
    yield from check_counts(sent, evidence["received"], kernel_drops)
    table = truth.plan.table(0, 1)
    expected = evidence["received"] * int(table.lengths[0])
    if evidence["received_bytes"] != expected:
        yield f"{evidence['received_bytes']} bytes in datagrams of together {expected}"
    rates = {(key, sequence) for key, sequence in _identities(evidence["datagrams"])}
    unknown = sum(not _was_sent(truth, key, sequence) for key, sequence in rates)
    if unknown or len(rates) != len(evidence["datagrams"]) or not rates:
        yield f"of {len(evidence['datagrams'])} datagrams looked at, {unknown} were never sent, {len(rates)} differ"


def _identities(datagrams: list[str]) -> Iterator[tuple[tuple[bytes, int], int]]:
    for text in datagrams:
        datagram = bytes.fromhex(text)
        yield (datagram[8:24], datagram[0] & 3), int.from_bytes(datagram[26:28], "big")


def _was_sent(truth: Truth, key: tuple[bytes, int], sequence_number: int) -> bool:
    if key not in truth.checksums:
        return False
    first, crcs = truth.checksums[key]
    return (sequence_number - first) % 65_536 < len(crcs)


def check_decoded(truth: Truth, evidence: dict[str, Any], sent: int, kernel_drops: int) -> Iterator[str]:
    """Every stream decoded exactly the packets that it says it received, none twice."""
    yield from check_counts(sent, evidence["received"], kernel_drops)
    if evidence["rejected"]:
        yield f"{evidence['rejected']} packets rejected that are fine"
    numbers = np.load(Path(evidence["sequence_numbers"])).astype(np.int64)
    start = 0
    for stream in evidence["streams"]:
        key = (bytes.fromhex(stream["leg"]), stream["leg_direction"])
        yield from _check_stream(truth, key, numbers[start : start + stream["count"]], stream["checksum"])
        start += stream["count"]
    if start != evidence["received"] - evidence["rejected"]:
        yield f"{start} packets in streams of {evidence['received']} received"


def _check_stream(
    truth: Truth, key: tuple[bytes, int], sequence_numbers: NDArray[np.int64], checksum: int
) -> Iterator[str]:
    name = f"stream {key[0].hex()}/{key[1]}"
    if key not in truth.checksums:
        yield f"{name} was never sent"
        return
    first, crcs = truth.checksums[key]
    packets = (sequence_numbers - first) % 65_536
    if (packets >= len(crcs)).any() or len(np.unique(packets)) != len(packets):
        yield f"{name} has packets that were never sent, or some twice"
    elif int(crcs[packets].sum()) != checksum:
        yield f"{name}: the checksum of its decoded samples is wrong"
