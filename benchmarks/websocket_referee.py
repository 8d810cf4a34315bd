"""Was the work done right? TCP loses nothing, so all that was sent must be there, and right."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any
from zlib import crc32

from benchmarks.contenders.streams import OURS
from benchmarks.recordings import check_recordings
from benchmarks.referee import Truth, mu_law_table

_BOTH = "both"
"""As the name of a track: a contender that cannot tell the two apart."""


class StreamTruth(Truth):
    """What was sent, prepared for being asked often."""

    @cached_property
    def sums(self) -> dict[tuple[str, str], tuple[int, int]]:
        """By stream_id and track (or `_BOTH`): packets, and the sum of the CRCs of their decoded samples."""
        table, found = mu_law_table(), dict[tuple[str, str], tuple[int, int]]()
        for number, track in enumerate(self.truth.tracks):
            packets = table[self.plan.payloads(number)]
            count, checksum = len(packets), sum(map(crc32, packets))
            found[track.stream_id, track.direction] = count, checksum
            others, other_sum = found.get((track.stream_id, _BOTH), (0, 0))
            found[track.stream_id, _BOTH] = others + count, other_sum + checksum
        return found


def check(truth: StreamTruth, contender: str, evidence: dict[str, Any], directory: Path) -> Iterator[str]:
    """Everything was taken, and decoded or recorded as it was sent."""
    if contender == OURS:
        yield from _check_server(truth, evidence)
        yield from check_recordings(truth, directory, "recording")
        return
    frames = truth.truth.total("sent")
    if evidence["received"] != frames:
        yield f"{frames} media frames were sent, {evidence['received']} received"
    seen = 0
    for track in evidence["tracks"]:
        key, found = (track["stream_id"], track["track"]), (track["count"], track["checksum"])
        expected = truth.sums.get(key)
        if expected is None:
            yield f"track {key} was never sent"
        elif expected != found:
            yield f"track {key}: frames and checksum {found}, not {expected}"
        seen += track["count"]
    if seen != evidence["received"]:
        yield f"{seen} frames in tracks of {evidence['received']} received"


def _check_server(truth: StreamTruth, totals: dict[str, Any]) -> Iterator[str]:
    """Our totals: every frame taken, nothing dropped, nothing left open."""
    calls = truth.truth.calls
    expected = {"calls_started": calls, "calls_ended": calls, "calls": 0, "conservation_errors": 0, "failed_beats": 0}
    for name, value in expected.items():
        if totals[name] != value:
            yield f"{name} is {totals[name]}, not {value}"
    door = totals["doors"]["ws"]
    if door["rejected"] or door["no_room"]:
        yield f"rejected: {door['rejected']}, no room for {door['no_room']}"
    for sink in totals["sinks"]:
        if sink["dropped_blocks"] or sink["errors"] or not sink["closed"]:
            yield f"sink: {sink}"
