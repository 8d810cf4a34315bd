"""Pressed keys as packets: RFC 4733 by its sections, on scripts, datagrams and options."""

from __future__ import annotations

from typing import Any

import pytest

from media.carrier.faults import Faults
from media.carrier.keys import KEYS
from media.carrier.options import BLeg, SimulationOptions, Transport
from media.carrier.plan import Plan, make_plan
from media.carrier.steady import Steady
from media.codecs import Encoding
from strep import header, rtp
from strep.clock import NS_PER_MS, NS_PER_SECOND
from strep.errors import ConfigurationError
from strep.rtp import RtpPacket


def plan(*presses: tuple[float, str], **changes: Any) -> Plan:
    in_ns = tuple((round(seconds * NS_PER_SECOND), digit) for seconds, digit in presses)
    return make_plan(SimulationOptions(presses=in_ns, **({"seconds": 2.0, "audio": None} | changes)))


def packets(paper: Plan, track: int = 0) -> list[RtpPacket]:
    """Return what `track` sends, as scalar code parses it."""
    datagrams = [paper.datagram(row) for row in range(len(paper)) if paper.tracks[row] == track]
    start = 0 if paper.options.transport is Transport.RTP else header.HEADER_BYTES
    return [rtp.parse(datagram[start:]) for datagram in datagrams]


def event(code: int, duration: int, *, is_end: bool) -> bytes:
    return bytes([code, 0x80 * is_end | 10]) + duration.to_bytes(2, "big")


@pytest.mark.parametrize("transport", [Transport.STREP, Transport.RTP])
class TestPackets:
    def test_one_in_place_of_every_audio_packet_and_three_ends(self, transport: Transport) -> None:
        """Sections 2.5.1.2 and 2.5.1.4."""
        sent = packets(plan((1.0, "#"), transport=transport))
        quiet = packets(plan(transport=transport))
        assert len(sent) == len(quiet) == 100
        durations = [160, 320, 480, 640, 800, 800, 800]
        expected = [event(11, duration, is_end=row >= 4) for row, duration in enumerate(durations)]
        assert [packet.payload for packet in sent[50:57]] == expected
        assert {packet.payload_type for packet in sent[50:57]} == {101}
        assert sent[:50] + sent[57:] == quiet[:50] + quiet[57:]

    def test_one_timestamp_the_audio_s_numbers_a_marker_first(self, transport: Transport) -> None:
        """Section 2.2."""
        sent, quiet = packets(plan((1.0, "1"), transport=transport)), packets(plan(transport=transport))
        assert [packet.sequence_number for packet in sent] == [packet.sequence_number for packet in quiet]
        assert {packet.timestamp for packet in sent[50:57]} == {quiet[50].timestamp}
        assert [packet.marker for packet in sent[50:57]] == [True] + [False] * 6


class TestPresses:
    def test_every_key_has_its_code(self) -> None:
        presses = [(0.25 * place, digit) for place, digit in enumerate(KEYS, 1)]
        sent = packets(plan(*presses, seconds=5.0))
        codes = [packet.payload[0] for packet in sent if packet.payload_type == 101 and packet.marker]
        assert codes == list(range(16))

    def test_keys_do_not_overlap(self) -> None:
        keys = plan((0.0, "1"), (0.01, "1"), (1.001, "2")).scripts[0].keys
        assert [(key.first, key.end) for key in keys] == [(3, 10), (10, 17), (51, 58)]

    @pytest.mark.parametrize(("ptime_ms", "length"), [(10, 10), (20, 5), (30, 4), (60, 2)])
    def test_held_for_a_tenth_of_a_second_and_more(self, ptime_ms: int, length: int) -> None:
        paper = plan((0.9, "7"), ptime_ms=ptime_ms)
        (key,) = paper.truth().tracks[0].keys
        assert (key.digit, key.position_samples, key.packets) == ("7", 7200, length + 2)
        assert key.duration_ms == key.told_ms == length * ptime_ms

    def test_silence_is_broken(self) -> None:
        sent = packets(plan((1.0, "1"), faults=Faults(dtx=0.95)))
        assert [packet.payload_type for packet in sent].count(101) == 7

    def test_only_the_caller_presses(self) -> None:
        paper = plan((1.0, "1"), b_leg=BLeg.OWN_ID)
        assert [len(script.keys) for script in paper.scripts] == [1, 0, 0, 0]

    def test_durations_count_the_codec_s_clock(self) -> None:
        sent = packets(plan((1.0, "1"), codec=Encoding("L16", 16000)))
        assert sent[56].payload == event(1, 1600, is_end=True)

    def test_a_plan_that_is_computed_has_none(self) -> None:
        assert not Steady.is_possible(SimulationOptions(presses=((NS_PER_SECOND, "1"),)))

    @pytest.mark.parametrize(
        ("seconds", "changes", "text"),
        [
            (1.9, {}, "not let go before the call's end"),
            (1.0, {"faults": Faults(ssrc_change_at_ns=1_040 * NS_PER_MS)}, "begin anew"),
            (1.0, {"faults": Faults(timestamp_jump_at_ns=960 * NS_PER_MS)}, "begin anew"),
        ],
    )
    def test_refused(self, seconds: float, changes: dict[str, Any], text: str) -> None:
        with pytest.raises(ConfigurationError, match=text):
            plan((seconds, "1"), **changes)
