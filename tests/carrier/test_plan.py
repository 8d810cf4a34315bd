"""All tracks of a simulation in one order of time."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media.carrier.audio import CONVERSATION, load
from media.carrier.faults import Faults
from media.carrier.network import NetworkModel
from media.carrier.options import BLeg, SimulationOptions, Transport, WebSocketOptions
from media.carrier.plan import RUBBISH, Plan, make_plan
from media.carrier.tones import identify
from strep.clock import NS_PER_MS, NS_PER_SECOND
from strep.errors import ConfigurationError
from strep.g711 import Codec, decode, encode
from strep.header import Direction, Leg

BAD_LINE = NetworkModel(loss=0.05, burst_loss=3, reorder=0.05, duplicate=0.05, jitter_ms=10)


def plan(**changes: Any) -> Plan:
    return make_plan(SimulationOptions(**({"calls": 4, "seconds": 2.0, "audio": None} | changes)))


class TestCutShort:
    def test_what_could_not_be_made_was_not_sent(self) -> None:
        paper = plan(transport=Transport.WEBSOCKET, network=BAD_LINE, calls=2)
        everything = {track: len(deliveries.packets) for track, deliveries in enumerate(paper.deliveries)}
        assert paper.truth(everything) == paper.truth()
        cut = paper.truth({**everything, 1: 40, 2: 0})
        assert [(track.call, track.direction) for track in cut.tracks] == [
            (0, "inbound"),
            (0, "outbound"),
            (1, "outbound"),
        ]
        track, arrived = cut.tracks[1], paper.deliveries[1].packets[:40].tolist()
        assert track.sent == max(arrived) + 1
        assert track.delivered == len(set(arrived))
        assert track.duplicated == 40 - len(set(arrived))
        assert track.lost == max(arrived) - min(arrived) + 1 - len(set(arrived))
        assert track.received_samples == len(set(arrived)) * 160
        assert track.total_samples == (max(arrived) - min(arrived) + 1) * 160
        assert (cut.tracks[0], cut.tracks[2]) == (paper.truth().tracks[0], paper.truth().tracks[3])


class TestIds:
    @pytest.mark.parametrize("transport", list(Transport))
    def test_other_ids_and_the_same_otherwise(self, transport: Transport) -> None:
        paper = plan(network=BAD_LINE, transport=transport)
        other, again = (plan(network=BAD_LINE, transport=transport, ids=ids) for ids in (7, 1))
        assert again.truth() == paper.truth()
        ours, others = paper.truth().tracks, other.truth().tracks
        for name in ("call_leg_id", "stream_id"):
            named = {getattr(track, name) for track in ours} - {""}
            assert not named & {getattr(track, name) for track in others}
        ssrcs = [{epoch.ssrc for track in tracks for epoch in track.epochs} for tracks in (ours, others)]
        assert not ssrcs[0] & ssrcs[1]
        for mine, its in zip(ours, others, strict=True):
            ids = {name: getattr(its, name) for name in ("call_leg_id", "stream_id")}
            epochs = [replace(e, ssrc=o.ssrc) for e, o in zip(mine.epochs, its.epochs, strict=True)]
            assert replace(mine, epochs=epochs, **ids) == its


class TestOrder:
    def test_times_never_fall_and_calls_are_staggered(self) -> None:
        paper = plan(network=BAD_LINE, faults=Faults(malformed=0.1))
        assert (np.diff(paper.times_ns) >= 0).all()
        assert [script.start_ns for script in paper.scripts[::2]] == [call * 7 * NS_PER_MS for call in range(4)]
        assert paper.end_ns >= paper.times_ns[-1]

    def test_batches_cover_everything_once(self) -> None:
        paper = plan(network=BAD_LINE)
        steps = list(paper.batches(5 * NS_PER_MS))
        assert steps[0][1] == 0
        assert steps[-1][2] == len(paper)
        assert all(before[2] == after[1] for before, after in pairwise(steps))
        assert all((paper.times_ns[start:stop] <= now_ns).all() for now_ns, start, stop in steps)

    def test_a_track_does_not_depend_on_the_number_of_calls(self) -> None:
        few, many = plan(calls=2, network=BAD_LINE), plan(calls=9, network=BAD_LINE)
        for track in range(4):
            assert few.scripts[track].timestamps.tolist() == many.scripts[track].timestamps.tolist()
            assert few.deliveries[track].times_ns.tolist() == many.deliveries[track].times_ns.tolist()
            assert few.expected_encoded(track).tobytes() == many.expected_encoded(track).tobytes()

    def test_seeds_differ(self) -> None:
        one, other = plan(seed=1, network=BAD_LINE), plan(seed=2, network=BAD_LINE)
        assert one.truth() == plan(seed=1, network=BAD_LINE).truth() != other.truth()
        assert not {s.call_leg_id for s in one.scripts} & {s.call_leg_id for s in other.scripts}


class TestIdentity:
    def test_both_directions_share_an_id(self) -> None:
        scripts = plan().scripts
        assert [s.party.direction for s in scripts] == [Direction.INBOUND, Direction.OUTBOUND] * 4
        assert len({s.call_leg_id for s in scripts}) == 4
        assert len({int(s.ssrcs[0]) for s in scripts}) == 8

    @pytest.mark.parametrize(("b_leg", "identifiers"), [(BLeg.SAME_ID, 4), (BLeg.OWN_ID, 8)])
    def test_b_leg(self, b_leg: BLeg, identifiers: int) -> None:
        scripts = plan(b_leg=b_leg).scripts
        assert len(scripts) == 16
        assert len({s.call_leg_id for s in scripts}) == identifiers
        assert {s.party.leg for s in scripts} == set(Leg)


class TestSound:
    def test_tones_name_their_track(self) -> None:
        paper = plan(network=BAD_LINE, faults=Faults(dtx=0.2))
        for track, script in enumerate(paper.scripts):
            assert identify(decode(paper.expected_encoded(track), Codec.PCMU)) == script.party

    def test_file_by_channel_and_again_from_the_beginning(self) -> None:
        paper = plan(audio=CONVERSATION, seconds=41.0, calls=1)
        encoded = encode(load(CONVERSATION), Codec.PCMU)
        for track in range(2):
            expected = np.concatenate([encoded[track], encoded[track], encoded[track, :8_000]])
            assert np.array_equal(paper.expected_encoded(track), expected)

    def test_missing_file(self) -> None:
        with pytest.raises(ConfigurationError, match="audio"):
            plan(audio=Path("/nowhere.wav"))


class TestDestinations:
    def test_strep_is_one_port(self) -> None:
        paper = plan(faults=Faults(malformed=0.1))
        assert not paper.destinations(0, len(paper)).any()

    def test_rtp_is_a_pair_for_each_call(self) -> None:
        paper = plan(transport=Transport.RTP, faults=Faults(malformed=0.1))
        destinations = paper.destinations(0, len(paper))
        is_media = paper.tracks != RUBBISH
        assert (destinations[is_media] == paper.tracks[is_media]).all()
        assert ((destinations >= 0) & (destinations < 8)).all()


class TestStream:
    def test_one_track_only(self) -> None:
        paper = plan(transport=Transport.WEBSOCKET, websocket=WebSocketOptions(tracks=("outbound",)))
        assert [s.party.direction for s in paper.scripts] == [Direction.OUTBOUND] * 4

    def test_a_broken_socket_loses_what_is_sent_meanwhile(self) -> None:
        options = WebSocketOptions(drop_at_ns=NS_PER_SECOND, redial_after_ns=200 * NS_PER_MS)
        truth = plan(transport=Transport.WEBSOCKET, websocket=options).truth()
        assert [track.lost for track in truth.tracks] == [10] * 8
        assert [track.lost_packets for track in truth.tracks] == [[(50, 10)]] * 8
        assert len({track.stream_id for track in truth.tracks}) == 4
