"""What the server made of a wave of calls: every file, compared to the sample with what was sent, and removed."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks import wav
from media.carrier.plan import Plan
from media.carrier.truth import TrackTruth
from strep.clock import NS_PER_SECOND

Channel = NDArray[Any]
_FILES_TIMEOUT_S = 180.0
_LOOK_S = 1.0
_SLACK_NS = NS_PER_SECOND // 2
"""More than a sender was late: the network's jitter and the server's own beat come to that."""
_RATE_HZ = 8000
_SILENCE = 0xFF
"""Of mu-law."""


class Verdict:
    """The files of a wave, compared with what was sent; counters as in `benchmarks.soak_wave.WaveResult`."""

    def __init__(self, plan: Plan, tracks: list[TrackTruth], late_ns: int, directory: Path, pair: str) -> None:
        """Look at nothing yet.

        Args:
            plan: of the wave.
            tracks: what was really sent.
            late_ns: by so much the sender was late at worst.
            directory: of the recordings.
            pair: name of the RTP ports that it was sent to; "" if it was to others.
        """
        self._plan, self._tracks, self._late_ns, self._directory, self._pair = plan, tracks, late_ns, directory, pair
        self.received = self.missing = self.exact = self.stalled = self.short = self.late_patched = 0
        self.opened: dict[str, int] = {}

    def complaints(self) -> Iterator[str]:
        """Wait for the files, read them all, remove them; yield what is wrong with them."""
        calls: dict[int, list[int]] = {}
        for number, track in enumerate(self._tracks):
            calls.setdefault(track.call, []).append(number)
        found = self._wait(calls)
        self.missing = len(calls) - len(found)
        if self.missing:
            yield f"{self.missing} of {len(calls)} recordings are not there, or not complete"
        yield from self._open([path.with_suffix(".wav") for path in found.values()])
        for call, sidecar_path in found.items():
            for complaint in self._judge(calls[call], sidecar_path):
                yield f"{sidecar_path.stem}: {complaint}"
            sidecar_path.with_suffix(".wav").unlink(missing_ok=True)
            sidecar_path.unlink()

    def _wait(self, calls: dict[int, list[int]]) -> dict[int, Path]:
        """Return the sidecar of each call whose recording is complete, when all are or the time is over."""
        found: dict[int, Path] = {}
        deadline = time.monotonic() + _FILES_TIMEOUT_S
        while len(found) < len(calls) and time.monotonic() < deadline:
            for call in calls.keys() - found.keys():
                path = self._sidecar(self._tracks[calls[call][0]])
                if path is not None and _state(path) in ("complete", "failed"):
                    found[call] = path
            time.sleep(_LOOK_S if len(found) < len(calls) else 0)
        return found

    def _sidecar(self, track: TrackTruth) -> Path | None:
        if not self._pair:
            return self._directory / f"{track.stream_id or track.call_leg_id}.json"
        # Named after its first track, whichever of the two that was.
        ssrcs = {other.epochs[0].ssrc for other in self._tracks if other.call == track.call}
        names = (f"{self._pair}-*-{ssrc:08x}.json" for ssrc in ssrcs)
        return next((path for name in names for path in self._directory.glob(name)), None)

    def _open(self, files: list[Path]) -> Iterator[str]:
        """Let other programs read the headers of all files, and decode one."""
        programs = {"soxi": ["soxi", *map(str, files)], "ffprobe": ["ffprobe", "-v", "error", str(files[-1])]}
        for name, command in programs.items() if files else ():
            if shutil.which(name) is None:
                continue
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode or done.stderr:
                yield f"{name}: {done.stderr.strip()[:300] or f'exit code {done.returncode}'}"
            else:
                self.opened[name] = len(command) - 1 if name == "soxi" else 1

    def _judge(self, numbers: list[int], path: Path) -> Iterator[str]:
        try:
            audio = wav.read(path.with_suffix(".wav"))
            sidecar = msgspec.json.decode(path.read_bytes())
        except (OSError, ValueError) as error:
            yield str(error)
            return
        if sidecar["state"] != "complete" or sidecar["length_samples"] != len(audio.frames):
            yield f"{sidecar['state']}, {sidecar['length_samples']} samples; the file has {len(audio.frames)}"
        if len(sidecar["tracks"]) != len(numbers):
            yield f"{len(sidecar['tracks'])} tracks, {len(numbers)} were sent"
        reports = {report["direction"]: report for report in sidecar["tracks"]}
        for number in numbers:
            report = reports.get(self._tracks[number].direction)
            if report is None:
                yield f"no {self._tracks[number].direction} track"
                continue
            yield from self._judge_track(number, report, audio)
        ends = [report["start_samples"] + report["length_samples"] for report in sidecar["tracks"]]
        if ends and max(ends) != len(audio.frames):
            yield f"the file has {len(audio.frames)} samples, its tracks end at {max(ends)}"

    def _judge_track(self, number: int, report: dict[str, Any], audio: wav.Audio) -> Iterator[str]:
        """Counters and samples; what the kernel dropped may be missing, and nothing else."""
        truth, counted, totals = self._tracks[number], report["statistics"], report["totals"]
        self.received += counted["received"]
        self.late_patched += totals["late-patched"]
        fates = ("delivered", "duplicate", "late", "invalid", "quarantined", "in_flight")
        if counted["received"] != sum(counted[fate] for fate in fates) or counted["in_flight"]:
            yield f"{truth.direction}: packets do not add up: {counted}"
        if sum(totals.values()) != report["length_samples"]:
            yield f"{truth.direction}: the ledger has {sum(totals.values())} of {report['length_samples']} samples"
        dropped = truth.delivered + truth.duplicated - counted["received"]
        if dropped < 0:
            yield f"{truth.direction}: {-dropped} packets more than were sent"
        expected = self._plan.expected_encoded(number)
        start = report["start_samples"]
        heard = audio.frames[start : start + report["length_samples"], report["channel"]]
        most_samples = (self._late_ns + _SLACK_NS) * _RATE_HZ // NS_PER_SECOND
        heard, put_in = without_pauses(heard, report, most_samples)
        heard, length = heard[: len(expected)], report["length_samples"] - put_in
        if dropped == 0 and (length != truth.total_samples or len(heard) != len(expected)):
            yield f"{truth.direction}: {length} samples of {truth.total_samples}"
        elif np.array_equal(heard, expected):
            self.exact += 1
            self.stalled += put_in > 0
        elif dropped > 0 and lacks_no_more(heard, expected, truth.samples_per_packet, dropped):
            self.short += 1
        else:
            yield f"{truth.direction}: {_difference(heard, expected)}; {dropped} packets dropped, {counted}"


def without_pauses(heard: Channel, report: dict[str, Any], most_samples: int) -> tuple[Channel, int]:
    """Return the channel without what the ledger calls silence or restart, and how much of that there was.

    These senders never pause. One that did not get the processor for seconds, and stays late, seems to: it is put
    there by the arrival clock (`strep.realign`).

    Args:
        heard: the track's samples.
        report: of the track, in the sidecar.
        most_samples: no such span may be longer than the sender was late.
    """
    is_kept = np.ones(len(heard), np.bool_)
    for span in report["ledger"]:
        if span["kind"] in ("silence", "restart") and span["length_samples"] <= most_samples:
            first = span["start_samples"] - report["start_samples"]
            place = slice(first, first + span["length_samples"])
            is_kept[place] = heard[place] != _SILENCE  # sound there would be kept, and found wrong
    return heard[is_kept], int(len(heard) - is_kept.sum())


def _difference(heard: Channel, expected: Channel) -> str:
    wrong = np.flatnonzero(heard != expected[: len(heard)])
    first = f", the first at {wrong[0]}" if len(wrong) else ""
    return f"{len(wrong)} samples of {len(expected)} are not what was sent{first}"


def lacks_no_more(heard: Channel, expected: Channel, packet_samples: int, packets: int) -> bool:
    """Return whether no more than so many packets are missing, at the beginning, at the end or as silence within."""
    missing = len(expected) - len(heard)
    for at_the_start in range(0, min(missing, packets * packet_samples) + 1, packet_samples):
        known = expected[at_the_start : at_the_start + len(heard)]
        wrong = heard[: len(known)] != known
        if not (heard[: len(known)][wrong] != _SILENCE).any():
            return int(wrong.sum()) + missing <= packets * packet_samples
    return False


def _state(path: Path) -> str:
    try:
        state: str = msgspec.json.decode(path.read_bytes())["state"]
    except (OSError, ValueError):  # not there, or just being replaced
        return ""
    return state
