"""Are the recordings what was sent? Every file of every call, to the sample, and every counter to the packet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks import wav
from benchmarks.referee import Truth, check_counts, mu_law_table
from media.carrier.truth import TrackTruth
from strep.g711 import SAMPLE_RATE_HZ

_CHANNELS = {"inbound": 0, "outbound": 1}
_TAGS = {"recording": wav.PCM, "passthrough": wav.MU_LAW}
_SILENCE = {wav.PCM: 0, wav.MU_LAW: 0xFF}


def check_server(truth: Truth, totals: dict[str, Any], kernel_drops: int) -> Iterator[str]:
    """The server's totals: nothing lost, nothing refused, nothing left open, every packet accounted for."""
    door = totals["doors"]["udp"]
    yield from check_counts(truth.truth.datagrams, door["datagrams"], kernel_drops)
    calls = truth.truth.calls
    expected = {
        "calls_started": calls,
        "calls_ended": calls,
        "calls": 0,
        "conservation_errors": 0,
        "failed_beats": 0,
        "receive_errors": 0,
        "kernel_drops": 0,
    }
    for name, value in expected.items():
        if totals[name] != value:
            yield f"{name} is {totals[name]}, not {value}"
    if door["rejected"]:
        yield f"rejected: {door['rejected']}"
    for sink in totals["sinks"]:
        if sink["dropped_blocks"] or sink["errors"] or not sink["closed"]:
            yield f"sink: {sink}"


def check_recordings(truth: Truth, directory: Path, contender: str) -> Iterator[str]:
    """Every call has one file and one sidecar, and both are right."""
    tracks: dict[str, list[int]] = {}
    for number, track in enumerate(truth.truth.tracks):
        tracks.setdefault(track.stream_id or track.call_leg_id, []).append(number)
    for suffix in (".wav", ".json"):
        found = {path.stem for path in directory.glob(f"*{suffix}")}
        if found != tracks.keys():
            yield f"{len(found - tracks.keys())} {suffix} files too many, {len(tracks.keys() - found)} missing"
    for call_id, numbers in tracks.items():
        for complaint in _check_call(truth, directory / call_id, numbers, _TAGS[contender]):
            yield f"call {call_id}: {complaint}"


def _check_call(truth: Truth, stem: Path, numbers: list[int], tag: int) -> Iterator[str]:
    try:
        audio = wav.read(stem.with_suffix(".wav"))
        sidecar = msgspec.json.decode(stem.with_suffix(".json").read_bytes())
    except (OSError, ValueError) as error:
        yield str(error)
        return
    if (audio.tag, audio.rate_hz, audio.frames.shape[1]) != (tag, SAMPLE_RATE_HZ, 2):
        yield f"format {audio.tag}, {audio.rate_hz} Hz, {audio.frames.shape[1]} channels"
        return
    if sidecar["state"] != "complete" or sidecar["length_samples"] != len(audio.frames):
        yield f"sidecar: {sidecar['state']}, {sidecar['length_samples']} samples; the file has {len(audio.frames)}"
    reports = {track["direction"]: track for track in sidecar["tracks"]}
    ends = []
    for number in numbers:
        track = truth.truth.tracks[number]
        report = reports.get(track.direction)
        if report is None:
            yield f"no {track.direction} track in the sidecar"
            continue
        yield from _check_report(track, report)
        yield from _check_samples(truth, number, audio, int(report["start_samples"]))
        ends.append(int(report["start_samples"]) + track.total_samples)
    if ends and max(ends) != len(audio.frames):
        yield f"the file has {len(audio.frames)} samples, its tracks end at {max(ends)}"


def _check_report(track: TrackTruth, report: dict[str, Any]) -> Iterator[str]:
    """The counters are the truth, and obey the conservation law."""
    counted = report["statistics"]
    fates = ("delivered", "duplicate", "late", "invalid", "quarantined", "in_flight")
    if counted["received"] != sum(counted[fate] for fate in fates) or counted["in_flight"]:
        yield f"{track.direction}: packets do not add up: {_named(counted, 'received', *fates)}"
    if counted["received"] != track.delivered or counted["delivered"] != track.delivered or counted["never_arrived"]:
        named = _named(counted, "received", "delivered", "never_arrived")
        yield f"{track.direction}: {track.delivered} packets were sent; {named}"
    if report["length_samples"] != track.total_samples or sum(report["totals"].values()) != track.total_samples:
        named = _named(report["totals"], *report["totals"])
        yield f"{track.direction}: {track.total_samples} samples were sent; {named}"
    if report["ledger"]:
        yield f"{track.direction}: the ledger has gaps"


def _named(counters: dict[str, Any], *names: str) -> str:
    return ", ".join(f"{name} {counters[name]}" for name in names)


def _check_samples(truth: Truth, number: int, audio: wav.Audio, start: int) -> Iterator[str]:
    """The channel is what was sent, and silence around it."""
    track = truth.truth.tracks[number]
    expected = truth.plan.expected_encoded(number)
    channel = audio.frames[:, _CHANNELS[track.direction]]
    sent = mu_law_table()[expected] if audio.tag == wav.PCM else expected
    if start < 0 or not np.array_equal(channel[start : start + len(sent)], sent):
        yield f"{track.direction}: the samples are not those that were sent"
    silence = _SILENCE[audio.tag]
    if (channel[:start] != silence).any() or (channel[start + len(sent) :] != silence).any():
        yield f"{track.direction}: no silence around what was sent"
