"""Is a recording that was killed and continued what was sent? Each sample is the one of its place, or is not there.

Nothing of `media` is used: the file is read by its chunks, the sidecar as JSON, and the truth is the carrier's.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks import wav
from tests.kills.carrier import PACKET_SAMPLES, RATE_HZ

_MARK = 16
"""So many samples of noise say where they belong."""
_SEARCH = 14 * RATE_HZ
"""How far from its place audio is looked for: where a loaded machine sends late, it lies where it came."""


class Stretch(NamedTuple):
    """One channel between two gaps.

    Attributes:
        begin, end: in samples of the file.
        shift: how far behind its place in the file the audio lies in what was sent.
        missing: samples that are not there.
    """

    begin: int
    end: int
    shift: int
    missing: int


@dataclass
class Verdict:
    """What was found in one recording.

    Attributes:
        complaints: what must not be.
        gaps: (start, length), in samples, of each restart in the sidecar.
        stretches: of both channels.
    """

    complaints: list[str] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    stretches: list[Stretch] = field(default_factory=list)

    def has_until(self, length_samples: int) -> int:
        """Return how much of what was sent a file of that length has: up to which sample of it."""
        ends = [length_samples + part.shift for part in self.stretches if part.begin < length_samples <= part.end]
        return min(ends, default=0)


def judge(directory: Path, name: str, loop: NDArray[np.int16], sent_samples: int) -> Verdict:
    """Compare the recording of call `name` with what was sent: `loop`, over and over, `sent_samples` of it."""
    verdict = Verdict()
    found = sorted(path.name for path in directory.glob(f"{name}*"))
    if found != [f"{name}.json", f"{name}.wav"]:
        verdict.complaints.append(f"{name}: one file and one sidecar, not {found}")
        return verdict
    sidecar: dict[str, Any] = json.loads((directory / f"{name}.json").read_bytes())
    frames: NDArray[Any] = wav.read(directory / f"{name}.wav").frames
    if (sidecar["state"], sidecar["length_samples"]) != ("complete", len(frames)):
        verdict.complaints.append(f"{name}: {sidecar['state']}, {sidecar['length_samples']} of {len(frames)} samples")
    verdict.gaps = [(gap["start_samples"], gap["length_samples"]) for gap in sidecar["restarts"]]
    verdict.complaints += [f"{name}: {complaint}" for complaint in _ledger(sidecar, verdict.gaps)]
    begin = 0
    for start, length in [*verdict.gaps, (len(frames), 0)]:
        for channel in (0, 1):
            _stretch(verdict, name, frames[begin:start, channel], begin, loop[:, channel], sent_samples)
        if frames[start : start + length].any():
            verdict.complaints.append(f"{name}: sound in the gap at {start}")
        begin = start + length
    return verdict


def _ledger(sidecar: dict[str, Any], gaps: list[tuple[int, int]]) -> list[str]:
    """Complain of ledgers that do not add up, or do not tell of every gap."""
    complaints = []
    for track in sidecar["tracks"]:
        if sum(track["totals"].values()) != track["length_samples"]:
            complaints.append(f"{track['direction']}: {track['totals']} do not add up to {track['length_samples']}")
        told = {s["start_samples"]: s["length_samples"] for s in track["ledger"] if s["kind"] == "restart"}
        for start, length in gaps:
            if length and told.get(start, 0) < length:
                complaints.append(
                    f"{track['direction']}: the gap at {start} of {length} is {told.get(start)} in the ledger"
                )
    return complaints


def _stretch(
    verdict: Verdict, name: str, heard: NDArray[np.int16], begin: int, loop: NDArray[np.int16], sent_samples: int
) -> None:
    """Compare one channel between two gaps: where it is not silent it is what was sent, all moved by as much."""
    there = np.flatnonzero(heard)
    if len(there) < _MARK:
        return
    first = int(there[0])
    window = loop[np.arange(begin + first - _SEARCH, begin + first + _SEARCH + _MARK) % len(loop)]
    places = np.arange(2 * _SEARCH)
    for offset, sample in enumerate(heard[first : first + _MARK]):
        places = places[window[places + offset] == sample]
    if len(places) != 1:
        verdict.complaints.append(f"{name}: what begins at {begin + first} was not sent at that time")
        return
    shift = int(places[0]) - _SEARCH
    expected = loop[(np.arange(len(heard)) + begin + shift) % len(loop)]
    silent = heard == 0
    if wrong := int(((heard != expected) & ~silent).sum()):
        verdict.complaints.append(f"{name}: {wrong} of {len(heard)} samples from {begin} on are wrong, shift {shift}")
    if begin + len(heard) + shift > sent_samples + PACKET_SAMPLES and (~silent[sent_samples - begin - shift :]).any():
        verdict.complaints.append(f"{name}: more than was sent")
    verdict.stretches.append(Stretch(begin, begin + len(heard), shift, int(silent.sum())))
