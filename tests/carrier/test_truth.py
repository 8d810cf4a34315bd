"""The truth, against a receiver that knows nothing but the datagrams."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from media.carrier import malformed
from media.carrier.faults import Faults
from media.carrier.network import NetworkModel, Span
from media.carrier.options import BLeg, SimulationOptions
from media.carrier.plan import RUBBISH, Plan, make_plan
from media.carrier.truth import TrackTruth, Truth
from strep.clock import NS_PER_MS, NS_PER_SECOND
from strep.errors import ConfigurationError
from strep.g711 import Codec
from tests.carrier.model_receiver import ReceivedTrack, receive_strep
from tests.searching import brief

SECONDS = 4.0


def plan(network: NetworkModel, faults: Faults, **changes: Any) -> Plan:
    common = {"calls": 2, "seconds": SECONDS, "audio": None, "network": network, "faults": faults}
    return make_plan(SimulationOptions(**(common | changes)))


def receive(paper: Plan) -> tuple[dict[tuple[str, str, str], ReceivedTrack], dict[str, int]]:
    tracks: dict[tuple[str, str, str], ReceivedTrack] = {}
    rubbish: dict[str, int] = {}
    table = paper.table(0, len(paper))
    for row, time_ns in enumerate(paper.times_ns.tolist()):
        if paper.tracks[row] == RUBBISH:
            reason = malformed.reason(table.datagram(row), is_strep=True)
            rubbish[reason] = rubbish.get(reason, 0) + 1
        else:
            receive_strep(table.datagram(row), time_ns, tracks)
    return tracks, rubbish


def check(paper: Plan) -> None:
    tracks, rubbish = receive(paper)
    truth = paper.truth()
    assert truth.malformed == rubbish
    assert truth.datagrams == len(paper)
    assert len(tracks) == len(truth.tracks)
    for number, told in enumerate(truth.tracks):
        found = tracks[told.call_leg_id, told.leg, told.direction]
        for name in ("delivered", "duplicated", "reordered", "lost"):
            assert getattr(found, name) == getattr(told, name), name
        assert [(e.ssrc, len(e.packets) > 0) for e in found.epochs] == [(e.ssrc, True) for e in told.epochs]
        assert np.array_equal(found.tape(), paper.expected_encoded(number))
        assert len(found.tape()) == told.total_samples
        assert [max(map(_key, payloads)) for payloads in found.keys.values()] == [
            (key.told_ms, key.digit) for key in told.keys if key.delivered
        ]
        check_sums(told)


def _key(payload: bytes) -> tuple[int, str]:
    code, _, duration = struct.unpack("!BBH", payload)
    return duration // 8, "0123456789*#ABCD"[code]


def check_sums(told: TrackTruth) -> None:
    assert told.sent == told.delivered + told.dropped
    assert told.total_samples == told.received_samples + told.lost_samples + told.silence_samples
    assert told.dropped == sum(count for _, count in told.lost_packets)
    assert sum(epoch.packets for epoch in told.epochs) == told.sent


times_ns = st.none() | st.integers(500, 3_500).map(lambda ms: ms * NS_PER_MS)
networks = st.builds(
    NetworkModel,
    loss=st.sampled_from([0.0, 0.03, 0.3]),
    burst_loss=st.sampled_from([0.0, 3.0]),
    reorder=st.sampled_from([0.0, 0.1]),
    duplicate=st.sampled_from([0.0, 0.1]),
    jitter_ms=st.sampled_from([0.0, 30.0]),
    keep_ends=st.booleans(),
)
Presses = tuple[tuple[int, str], ...]
presses = st.sampled_from([(), tuple((ms * NS_PER_MS, "5") for ms in (0, 10, 900, 2_500)), ((3_000_000_000, "#"),)])
all_faults = st.builds(
    Faults,
    dtx=st.sampled_from([0.0, 0.4]),
    hold=st.sampled_from([None, Span(NS_PER_SECOND, NS_PER_SECOND)]),
    ssrc_change_at_ns=times_ns,
    sequence_reset_at_ns=times_ns,
    timestamp_jump_at_ns=times_ns,
    near_wrap=st.booleans(),
    extras=st.sampled_from([0.0, 0.2]),
    malformed=st.sampled_from([0.0, 0.1]),
)


class TestAgainstAReceiver:
    @brief(20)
    @given(networks, all_faults, presses, st.integers(0, 1_000))
    def test_to_the_packet_and_to_the_sample(
        self, network: NetworkModel, faults: Faults, presses: Presses, seed: int
    ) -> None:
        try:
            paper = plan(network, faults, presses=presses, seed=seed)
        except ConfigurationError:
            reject()  # restarts too close to one another, or to a key
        if network.keep_ends:
            check(paper)
        for told in paper.truth().tracks:
            check_sums(told)
            assert told.longest_wait_ns < network.max_delay_ms * NS_PER_MS

    @pytest.mark.parametrize("ptime_ms", [10, 20, 30, 60])
    @pytest.mark.parametrize("codec", list(Codec))
    def test_all_formats(self, ptime_ms: int, codec: Codec) -> None:
        check(plan(NetworkModel(loss=0.1, reorder=0.1), Faults(dtx=0.2), ptime_ms=ptime_ms, codec=codec))

    @pytest.mark.parametrize("b_leg", [BLeg.SAME_ID, BLeg.OWN_ID])
    def test_b_legs(self, b_leg: BLeg) -> None:
        check(plan(NetworkModel(loss=0.1), Faults(), b_leg=b_leg))

    def test_stall(self) -> None:
        check(plan(NetworkModel(stall=Span(NS_PER_SECOND, NS_PER_SECOND), reorder=0.1), Faults(dtx=0.2)))

    def test_a_restart_in_a_stall_has_no_exact_position(self) -> None:
        stall = Span(NS_PER_SECOND, NS_PER_SECOND)
        for restart_ms, is_exact in ((900, True), (1_500, False), (2_100, True)):
            faults = Faults(ssrc_change_at_ns=restart_ms * NS_PER_MS)
            truth = plan(NetworkModel(stall=stall), faults).truth()
            assert [track.has_exact_positions for track in truth.tracks] == [is_exact] * 4

    def test_ends_not_kept(self) -> None:
        paper = plan(NetworkModel(loss=0.5, keep_ends=False), Faults(), calls=20)
        tracks, _ = receive(paper)
        truth = paper.truth()
        for number, told in enumerate(truth.tracks):
            found = tracks[told.call_leg_id, told.leg, told.direction]
            assert (found.delivered, found.lost) == (told.delivered, told.lost)
            assert np.array_equal(found.tape(), paper.expected_encoded(number))
        assert truth.total("lost") < truth.total("dropped")


class TestFile:
    def test_json_round_trip(self, tmp_path: Path) -> None:
        faults = Faults(ssrc_change_at_ns=NS_PER_SECOND, malformed=0.1)
        truth = plan(NetworkModel(loss=0.1), faults).truth()
        truth.write(tmp_path / "truth.json")
        assert Truth.from_json((tmp_path / "truth.json").read_bytes()) == truth

    def test_something_else(self) -> None:
        with pytest.raises(msgspec.ValidationError):
            Truth.from_json(b'{"transport": "strep"}')


def test_a_hole_before_a_key_has_no_room_for_audio() -> None:
    """What is lost there is packets, and not samples: the next packet to come says that a key is held."""
    presses = tuple((ms * NS_PER_MS, "5") for ms in range(250, 9_500, 250))
    given = SimulationOptions(seconds=10, presses=presses, network=NetworkModel(loss=0.1), audio=None)
    inbound, outbound = make_plan(given).truth().tracks
    assert 0 < inbound.lost_samples < inbound.lost * 160
    assert outbound.lost_samples == outbound.lost * 160
    for track in (inbound, outbound):
        assert track.total_samples == track.received_samples + track.lost_samples + track.silence_samples
