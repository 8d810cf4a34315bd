"""A chord names its party, even from a damaged recording."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from media.carrier.coding import Coding
from media.carrier.tones import LOOP_SAMPLES, MAX_CALLS, Party, chord, frequencies_hz, identify, tone_loop
from media.codecs import Encoding
from strep.errors import ConfigurationError
from strep.g711 import Codec, decode
from strep.header import Direction, Leg

PCMU = Coding(Encoding("PCMU"))
DTMF_HIGH_HZ = (1209, 1336, 1477, 1633)


def parties(calls: int) -> list[Party]:
    return [Party(call, leg, direction) for call in range(calls) for leg in Leg for direction in Direction]


def recording(party: Party, seconds: int = 3, seed: int = 0) -> NDArray[np.int16]:
    audio = tone_loop([party], PCMU, seed)
    return decode(audio.take(np.zeros(50 * seconds, np.int64), np.arange(50 * seconds)).ravel(), Codec.PCMU)


class TestChords:
    def test_every_party_has_its_own(self) -> None:
        chords = {tuple(frequencies_hz(party).tolist()) for party in parties(MAX_CALLS)}
        assert len(chords) == 4 * MAX_CALLS

    def test_two_parties_differ_in_two_tones_at_least(self) -> None:
        chords = np.array([frequencies_hz(party) for party in parties(500)])
        for row, tones in enumerate(chords[:200]):
            assert ((chords != tones).sum(axis=1)[np.arange(len(chords)) != row] >= 2).all()

    def test_no_dtmf(self) -> None:
        tones = np.array([frequencies_hz(party) for party in parties(500)])
        for key_hz in DTMF_HIGH_HZ:
            assert (np.abs(tones - key_hz) > 0.035 * key_hz).all()

    def test_out_of_chords(self) -> None:
        with pytest.raises(ConfigurationError, match="tones"):
            frequencies_hz(Party(MAX_CALLS, Leg.A, Direction.INBOUND))

    def test_loop_is_whole_and_loud_enough_but_not_too_loud(self) -> None:
        pcm = chord(Party(499, Leg.A, Direction.OUTBOUND))
        assert len(pcm) == LOOP_SAMPLES
        assert all(LOOP_SAMPLES % (8 * ptime_ms) == 0 for ptime_ms in (10, 20, 30, 60))
        assert 8_000 < np.abs(pcm.astype(int)).max() < 20_000

    def test_no_two_payloads_alike(self) -> None:
        payloads = tone_loop([Party(7, Leg.A, Direction.INBOUND)], PCMU).payloads[0]
        assert len(np.unique(payloads, axis=0)) == len(payloads)


class TestIdentify:
    def test_500_calls_in_both_directions(self) -> None:
        everyone = [Party(call, Leg.A, direction) for call in range(500) for direction in Direction]
        audio = tone_loop(everyone, PCMU)
        for party, payloads in zip(everyone, audio.payloads, strict=True):
            assert identify(decode(payloads[:50].ravel(), Codec.PCMU)) == party

    @pytest.mark.parametrize("codec", list(Codec))
    @pytest.mark.parametrize("call", [0, 12, 499, MAX_CALLS - 1])
    def test_both_laws_and_legs(self, codec: Codec, call: int) -> None:
        for party in (Party(call, leg, direction) for leg in Leg for direction in Direction):
            audio = tone_loop([party], Coding(Encoding(codec.name)))
            assert identify(decode(audio.payloads[0].ravel(), codec)) == party

    @pytest.mark.parametrize("share", [0.02, 0.2, 0.4])
    def test_lost_packets(self, share: float) -> None:
        random = np.random.default_rng(1)
        for call in range(40):
            party = Party(call * 11, Leg.A, Direction(call % 2))
            packets = recording(party).reshape(-1, 160)
            packets[random.random(len(packets)) < share] = 0
            assert identify(packets.ravel()) == party

    def test_shifted_pieces(self) -> None:
        party = Party(321, Leg.A, Direction.OUTBOUND)
        pcm = recording(party)
        assert identify(np.concatenate([pcm[37:9_000], np.zeros(3_333, np.int16), pcm[11_111:]])) == party

    def test_100_ms_are_enough(self) -> None:
        party = Party(321, Leg.A, Direction.OUTBOUND)
        assert identify(recording(party)[:800]) == party

    def test_nobody(self) -> None:
        random = np.random.default_rng(1)
        assert identify(np.zeros(16_000, np.int16)) is None
        assert identify(np.zeros(0, np.int16)) is None
        assert identify(random.normal(0, 5_000, 16_000).astype(np.int16)) is None

    def test_two_at_once_or_one_after_the_other(self) -> None:
        one = recording(Party(3, Leg.A, Direction.INBOUND))
        other = recording(Party(250, Leg.A, Direction.OUTBOUND))
        assert identify(one // 2 + other // 2) is None
        assert identify(np.concatenate([one[:12_000], other[:12_000]])) is None
