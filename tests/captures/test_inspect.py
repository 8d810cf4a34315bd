"""A capture through the production code equals the truth about how it was made."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from media.captures.inspect import InspectOptions, inspect
from media.captures.reader import Datagram
from media.captures.summary import CaptureSummary, TrackSummary, iso, summarize
from media.carrier.faults import Faults
from media.carrier.network import NetworkModel, Span
from media.carrier.options import BLeg, Transport
from media.carrier.plan import Plan
from media.carrier.truth import TrackTruth
from media.config import Endpoint, RtpPorts
from strep import rtp
from strep.clock import NS_PER_MS, NS_PER_SECOND
from strep.g711 import Codec, decode
from tests.captures.making import PORT, RECEIVER, SENDER, START_NS, at_time, noise, simulated, write

BAD_LINE = NetworkModel(loss=0.03, reorder=0.03, duplicate=0.02, jitter_ms=10)


def summary_of(path: Path, datagrams: list[Datagram], **options: Any) -> CaptureSummary:
    return summarize("x", inspect(write(path / "x.pcap", datagrams), InspectOptions(**options)))


def assert_is_true(track: TrackSummary, truth: TrackTruth) -> None:
    """Compare everything that the truth knows of."""
    assert track.packets == truth.delivered + truth.duplicated
    assert (track.duplicates, track.reordered, track.late) == (truth.duplicated, truth.reordered, 0)
    assert track.lost == truth.lost - truth.duplicated
    assert track.statistics["never_arrived"] == truth.lost
    assert track.epochs == len(truth.epochs)
    assert track.duration_ms == truth.total_samples / 8
    assert track.gaps["lost"].total_ms == truth.lost_samples / 8
    assert track.gaps["silence"].total_ms + track.gaps["restart"].total_ms == truth.silence_samples / 8
    assert track.start_ms == pytest.approx(truth.first_delivery_ns / NS_PER_MS, abs=0.2)
    assert sum(track.payload_types.values()) == track.packets


def strep_key(track: TrackSummary | TrackTruth) -> tuple[str, str, str]:
    return track.call_leg_id, track.leg, track.direction


class TestStrep:
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"network": BAD_LINE},
            {"network": BAD_LINE, "faults": Faults(dtx=0.3, near_wrap=True, extras=0.2, header_bytes=40)},
            {"b_leg": BLeg.SAME_ID, "network": BAD_LINE},
            {"faults": Faults(hold=Span(2 * NS_PER_SECOND, 5 * NS_PER_SECOND))},
            {"faults": Faults(ssrc_change_at_ns=4 * NS_PER_SECOND), "network": BAD_LINE},
            {"codec": Codec.PCMA, "ptime_ms": 30},
        ],
    )
    def test_is_the_truth(self, tmp_path: Path, options: dict[str, Any]) -> None:
        plan, datagrams = simulated(calls=3, seconds=10, **options)
        summary = summary_of(tmp_path, datagrams)
        truths = {strep_key(truth): truth for truth in plan.truth().tracks}
        assert {strep_key(track) for track in summary.tracks} == set(truths)
        assert len(summary.tracks) == len(truths)
        for track in summary.tracks:
            assert track.protocol == "strep"
            assert track.codec == truths[strep_key(track)].codec
            assert_is_true(track, truths[strep_key(track)])
        assert summary.conservation_errors == 0

    def test_rejected_are_the_truth(self, tmp_path: Path) -> None:
        plan, datagrams = simulated(calls=3, seconds=10, faults=Faults(malformed=0.05))
        summary = summary_of(tmp_path, datagrams)
        assert summary.rejected == plan.truth().malformed
        assert summary.datagrams == plan.truth().datagrams

    def test_late_packets_are_late_only_at_a_shorter_wait(self, tmp_path: Path) -> None:
        _, datagrams = simulated(seconds=10, network=NetworkModel(reorder=0.1))
        in_time, too_late = summary_of(tmp_path, datagrams), summary_of(tmp_path, datagrams, reorder_wait_ms=10)
        assert sum(track.late for track in in_time.tracks) == 0
        assert sum(track.late for track in too_late.tracks) > 0
        assert {t.lost for t in in_time.tracks} == {t.lost for t in too_late.tracks} == {0}

    def test_a_call_that_comes_back_is_another_one(self, tmp_path: Path) -> None:
        _, datagrams = simulated(seconds=2)
        later = [d._replace(time_ns=d.time_ns + 40 * NS_PER_SECOND) for d in datagrams]
        assert len(summary_of(tmp_path, datagrams + later).tracks) == 4
        assert len(summary_of(tmp_path, datagrams + later, idle_timeout_s=60.0).tracks) == 2

    def test_the_time_between_calls_costs_nothing(self, tmp_path: Path) -> None:
        _, datagrams = simulated(seconds=1)
        years = [d._replace(time_ns=d.time_ns + 50 * 365 * 86_400 * NS_PER_SECOND) for d in datagrams]
        assert len(summary_of(tmp_path, datagrams + years).tracks) == 4

    def test_a_clock_that_steps_back(self, tmp_path: Path) -> None:
        _, datagrams = simulated(seconds=4)
        half = len(datagrams) // 2
        back = [d._replace(time_ns=d.time_ns - 1500 * NS_PER_MS) for d in datagrams[half:]]
        summary = summary_of(tmp_path, datagrams[:half] + back)
        assert [track.packets for track in summary.tracks] == [200, 200]
        assert [track.lost for track in summary.tracks] == [0, 0]

    def test_the_port_may_be_told(self, tmp_path: Path) -> None:
        _, datagrams = simulated(seconds=1)
        alone = datagrams[:1]
        assert summary_of(tmp_path, alone).tracks == []
        assert len(summary_of(tmp_path, alone, udp=frozenset([PORT])).tracks) == 1


class TestRtp:
    def test_is_the_truth(self, tmp_path: Path) -> None:
        plan, datagrams = simulated(Transport.RTP, calls=3, seconds=10, network=BAD_LINE)
        summary = summary_of(tmp_path, datagrams)
        truths = {f"{truth.epochs[0].ssrc:08x}": truth for truth in plan.truth().tracks}
        assert {track.ssrc for track in summary.tracks} == set(truths)
        for track in summary.tracks:
            assert (track.protocol, track.call_leg_id, track.leg) == ("rtp", "", "")
            assert_is_true(track, truths[track.ssrc])

    def test_each_stream_is_a_call_unless_it_answers_one(self, tmp_path: Path) -> None:
        _, datagrams = simulated(Transport.RTP, seconds=1)
        ends = (SENDER, 5), (RECEIVER, 9000)
        turned = [
            d._replace(source=ends[is_answer], destination=ends[not is_answer])
            for d in datagrams
            for is_answer in [d.source == datagrams[-1].source]
        ]
        strangers, partners = summary_of(tmp_path, datagrams), summary_of(tmp_path, turned)
        assert len({track.call_id for track in strangers.tracks}) == 2
        assert {track.direction for track in strangers.tracks} == {"inbound"}
        assert len({track.call_id for track in partners.tracks}) == 1
        assert [track.direction for track in partners.tracks] == ["inbound", "outbound"]

    def test_named_ports_go_through_the_server_s_own_door(self, tmp_path: Path) -> None:
        _, datagrams = simulated(Transport.RTP, seconds=3, faults=Faults(ssrc_change_at_ns=NS_PER_SECOND))
        pair = RtpPorts("lab", Endpoint("127.0.0.1", PORT), Endpoint("127.0.0.1", PORT + 2))
        summary = summary_of(tmp_path, datagrams, rtp=(pair,))
        assert len(summary.tracks) == 4
        assert len({track.call_id for track in summary.tracks}) == 1
        assert {track.destination for track in summary.tracks} == {"lab rx", "lab tx"}
        assert summary.tracks[0].payload_types == {"0": 50}

    def test_other_payload_types(self, tmp_path: Path) -> None:
        datagrams = [
            Datagram(
                START_NS + 20 * NS_PER_MS * i,
                (SENDER, 7000),
                (RECEIVER, PORT),
                rtp.serialize(rtp.RtpPacket(111, i, 160 * i, 0xABCD, bytes(40))),
            )
            for i in range(50)
            if i != 20
        ]
        assert summary_of(tmp_path, datagrams).rejected == {"OTHER_UDP": 49}
        [track] = summary_of(tmp_path, datagrams, any_payload_type=True).tracks
        assert (track.codec, track.payload_types, track.packets, track.lost) == ("", {"111": 49}, 49, 1)


class TestMixture:
    def test_strep_and_rtp_and_noise(self, tmp_path: Path) -> None:
        strep, strep_datagrams = simulated(calls=2, seconds=5, network=BAD_LINE, seed=1)
        plain, plain_datagrams = simulated(Transport.RTP, calls=2, seconds=5, network=BAD_LINE, seed=2)
        elsewhere = [d._replace(destination=(d.destination[0], d.destination[1] + 5000)) for d in plain_datagrams]
        mixture = at_time([*strep_datagrams, *elsewhere, *noise(100)])
        document = json.loads(summary_of(tmp_path, mixture).to_json())
        truths = {truth.epochs[0].ssrc: truth for plan in (strep, plain) for truth in plan.truth().tracks}
        assert {int(track["ssrc"], 16) for track in document["tracks"]} == set(truths)
        for track in document["tracks"]:
            truth = truths[int(track["ssrc"], 16)]
            assert track["packets"] == truth.delivered + truth.duplicated
            assert track["lost"] == truth.lost - truth.duplicated
            assert track["statistics"]["delivered"] == truth.delivered
            assert track["gaps"]["lost"]["total_ms"] == truth.lost_samples / 8
        assert Counter(document["rejected"]) == {"OTHER_UDP": 400, "RTCP": 100}
        assert document["conservation_errors"] == 0

    def test_gaps_have_times(self, tmp_path: Path) -> None:
        hold = Span(2 * NS_PER_SECOND, 5 * NS_PER_SECOND)
        _, datagrams = simulated(seconds=10, faults=Faults(hold=hold))
        track = summary_of(tmp_path, datagrams).tracks[0]
        [gap] = track.ledger
        assert (gap.kind, gap.start_ms, gap.duration_ms) == ("silence", 2000.0, 5000.0)
        assert gap.time == iso(START_NS + 2 * NS_PER_SECOND)
        assert track.gaps["silence"].longest_ms == 5000.0

    def test_nothing_in_it(self, tmp_path: Path) -> None:
        summary = summary_of(tmp_path, [])
        assert (summary.tracks, summary.datagrams, summary.start, summary.duration_ms) == ([], 0, "", 0.0)

    def test_progress_ends_at_the_end(self, tmp_path: Path) -> None:
        path = write(tmp_path / "x.pcap", simulated(seconds=1)[1])
        told: list[tuple[int, int]] = []
        inspect(path, InspectOptions(), lambda done, total: told.append((done, total)))
        assert told[-1] == (2 * path.stat().st_size,) * 2


class TestRecordings:
    def test_hold_what_was_sent(self, tmp_path: Path) -> None:
        plan, datagrams = simulated(calls=2, seconds=5, network=BAD_LINE, faults=Faults(dtx=0.2))
        summary = summary_of(tmp_path, datagrams, wav=tmp_path / "wav")
        assert {path.stem for path in (tmp_path / "wav").glob("*.wav")} == {t.call_id for t in summary.tracks}
        for number, truth in enumerate(plan.truth().tracks):
            self.assert_holds(plan, number, truth, tmp_path / "wav" / f"{truth.call_leg_id}.wav")

    @staticmethod
    def assert_holds(plan: Plan, number: int, truth: TrackTruth, path: Path) -> None:
        pcm, rate = soundfile.read(path, dtype="int16", always_2d=True)
        assert rate == 8000
        channel = pcm[:, 0 if truth.direction == "inbound" else 1]
        expected = decode(plan.expected_encoded(number), Codec[truth.codec])
        start = round((truth.first_delivery_ns - truth.start_ns) * 8 / NS_PER_MS)
        assert np.array_equal(channel[start : start + len(expected)], expected)


def test_iso() -> None:
    assert iso(START_NS) == "2023-11-14T22:13:20.123456Z"
