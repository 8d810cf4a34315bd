"""Does the recording say what the carrier knows? Counters, ledger and every sample of a track against the truth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from media.demo.session import Party
from media.sinks.sidecar import Sidecar, Track
from strep.g711 import decode


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure: what the carrier knows, and what the recording says; None where it says nothing."""

    name: str
    truth: int
    found: int | None

    @property
    def agrees(self) -> bool:
        """Whether they are the same, exactly."""
        return self.truth == self.found


NAMES = ("packets", "lost", "twice", "reordered", "samples", "lost\nsamples", "correct\nsamples")
"""Figures in their order; a line break is for the table's sake."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """All comparisons of one track, in the order of `NAMES`."""

    party: Party
    comparisons: list[Comparison]

    @property
    def agrees(self) -> bool:
        """Whether all of them do."""
        return all(comparison.agrees for comparison in self.comparisons)


def judge(parties: Iterable[Party], directory: Path) -> list[Verdict]:
    """Compare every track with its recording; one that is missing agrees with nothing."""
    return [Verdict(party, _compare(party, directory)) for party in parties]


def _compare(party: Party, directory: Path) -> list[Comparison]:
    truth, (call_id, direction) = party.truth, party.key
    known = (
        truth.delivered + truth.duplicated,
        truth.lost,
        truth.duplicated,
        truth.reordered,
        truth.total_samples,
        truth.lost_samples,
        truth.total_samples,
    )
    found: tuple[int | None, ...] = (None,) * len(NAMES)
    track = read_track(directory / f"{call_id}.json", direction)
    if track is not None:
        counters = (track.statistics.get(name) for name in ("received", "never_arrived", "duplicate", "reordered"))
        correct = _correct_samples(party, directory / f"{call_id}.wav", track)
        found = (*counters, track.length_samples, track.totals.get("lost"), correct)
    return [Comparison(*figure) for figure in zip(NAMES, known, found, strict=True)]


def read_track(sidecar_path: Path, direction: str) -> Track | None:
    """Return one direction of a finished recording, or None."""
    try:
        sidecar = msgspec.json.decode(sidecar_path.read_bytes(), type=Sidecar)
    except (OSError, msgspec.MsgspecError):
        return None
    return next((track for track in sidecar.tracks if track.direction == direction), None)


def _correct_samples(party: Party, wav_path: Path, track: Track) -> int | None:
    """Return how many samples of the file are those that were sent, or silence where nothing arrived."""
    import soundfile

    try:
        recorded = soundfile.read(wav_path, dtype="int16", always_2d=True)[0][:, track.channel]
    except (OSError, soundfile.SoundFileError):
        return None
    plan = party.simulation.plan()
    expected = decode(plan.expected_encoded(party.number), plan.scripts[party.number].codec)
    there = recorded[track.start_samples : track.start_samples + len(expected)]
    return int(np.count_nonzero(there == expected[: len(there)]))
