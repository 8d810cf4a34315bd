"""Keys and codecs without sockets: what the simulated carrier sends is what the server reports and records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media.carrier.coding import PAYLOAD_TYPES
from media.carrier.network import NetworkModel
from media.carrier.options import SimulationOptions
from media.carrier.plan import Plan
from media.carrier.truth import TrackTruth
from media.codecs import Encoding, decoder_for
from media.decoding.payload_types import TELEPHONE_EVENT, PayloadType
from strep.clock import NS_PER_MS
from strep.g711 import Codec
from tests.media.harness import pcm_channels, sidecar
from tests.media.test_recorded_calls import CHANNEL, check_track, record
from tests.searching import IS_LONG

PRESSES = tuple((ms * NS_PER_MS, digit) for ms, digit in ((0, "1"), (900, "1"), (1_000, "#"), (1_500, "D")))
BAD = NetworkModel(loss=0.05, reorder=0.1, duplicate=0.05)
WIDE = [Encoding("G722", 16_000), Encoding("L16", 16_000), Encoding("L16", 24_000), Encoding("OPUS", 48_000)]


def pressed(directory: Path, track: TrackTruth) -> list[tuple[str, int, str]]:
    """Return the sidecar's keys: which, for how many milliseconds, on which track."""
    events = sidecar(directory, track.call_leg_id)["events"]
    return [(event["digit"], event["duration_ms"], event["track"]) for event in events if event["event"] == "dtmf"]


def told(track: TrackTruth) -> list[tuple[str, int, str]]:
    return [(key.digit, key.told_ms, track.direction) for key in track.keys if key.delivered]


class TestKeys:
    @pytest.mark.parametrize("ptime_ms", [10, 20, 60])
    def test_each_is_reported_once_and_the_rest_is_bit_exact(self, tmp_path: Path, ptime_ms: int) -> None:
        options = SimulationOptions(calls=2, seconds=3, presses=PRESSES, ptime_ms=ptime_ms, audio=None)
        _, plan = record(tmp_path, options)
        for number, track in enumerate(plan.truth().tracks):
            check_track(tmp_path, plan, number, track, Codec.PCMU)
            if track.direction == "inbound":
                assert [digit for digit, _, _ in pressed(tmp_path, track)] == list("11#D")
                assert pressed(tmp_path, track) == told(track)

    @pytest.mark.parametrize("seed", range(10 if IS_LONG else 2))
    def test_loss_reordering_duplicates(self, tmp_path: Path, seed: int) -> None:
        """A key is reported if one packet of it arrives, at the length that this one tells."""
        presses = tuple((ms * NS_PER_MS, "147*"[ms // 250 % 4]) for ms in range(250, 9_500, 250))
        options = SimulationOptions(calls=3, seconds=10, presses=presses, network=BAD, seed=seed, audio=None)
        _, plan = record(tmp_path, options)
        for number, track in enumerate(plan.truth().tracks):
            check_track(tmp_path, plan, number, track, Codec.PCMU)
            if track.direction == "inbound":
                assert pressed(tmp_path, track) == told(track)

    def test_bursts_swallow_whole_keys(self, tmp_path: Path) -> None:
        presses = tuple((ms * NS_PER_MS, "5") for ms in range(250, 19_500, 250))
        network = NetworkModel(loss=0.4, burst_loss=6)
        _, plan = record(tmp_path, SimulationOptions(seconds=20, presses=presses, network=network, audio=None))
        track = plan.truth().tracks[0]
        check_track(tmp_path, plan, 0, track, Codec.PCMU)
        assert 0 < len(told(track)) < len(track.keys)
        assert pressed(tmp_path, track) == told(track)


@pytest.mark.parametrize("encoding", WIDE, ids=lambda e: f"{e.name}/{e.sample_rate_hz}")
@pytest.mark.parametrize("network", [NetworkModel(), BAD], ids=["clean", "bad"])
def test_a_recording_is_the_decoded_audio(tmp_path: Path, encoding: Encoding, network: NetworkModel) -> None:
    """With a key in it, whose durations count the codec's clock."""
    numbers: dict[str, Any] = {"L16": PayloadType(PAYLOAD_TYPES["L16"], "L16", encoding.rtp_clock_hz)}
    numbers["OPUS"] = PayloadType(PAYLOAD_TYPES["OPUS"], "OPUS", encoding.rtp_clock_hz)
    types = [PayloadType(101, TELEPHONE_EVENT, encoding.rtp_clock_hz)]
    types += [numbers[encoding.name]] if encoding.name in numbers else []
    options = SimulationOptions(seconds=3, codec=encoding, presses=PRESSES, network=network)
    _, plan = record(tmp_path, options, recording_format="pcm16", payload_types=types)
    for number, track in enumerate(plan.truth().tracks):
        document = sidecar(tmp_path, track.call_leg_id)
        report = next(t for t in document["tracks"] if t["direction"] == track.direction)
        assert (document["sample_rate_hz"], report["codec"]) == (encoding.sample_rate_hz, encoding.name)
        expected, start = decoded(plan, number), report["start_samples"]
        channel = pcm_channels(tmp_path / f"{track.call_leg_id}.wav")[:, CHANNEL[track.direction]]
        assert np.array_equal(channel[start : start + len(expected)], expected)
        assert report["totals"]["received"] == track.received_samples
        if track.direction == "inbound":
            assert pressed(tmp_path, track) == told(track)


def decoded(plan: Plan, number: int) -> np.ndarray[Any, Any]:
    """Return what a decoder makes of the audio that arrives, in order, each packet in its place."""
    script, decoder = plan.scripts[number], decoder_for(plan.options.encoding)
    size = script.samples_per_packet
    pcm = np.zeros(plan.options.packets * size, np.int16)
    lost = [*plan.deliveries[number].dropped.tolist(), *script.event_rows.tolist()]
    for packet in sorted({*range(len(script))} - {*lost}):
        place = int(script.blocks[packet]) * size
        pcm[place : place + size] = decoder.decode(plan.payload(number, packet).tobytes())
    return pcm
