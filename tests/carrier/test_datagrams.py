"""Tables of datagrams against the scalar parsers."""

from __future__ import annotations

import numpy as np
import pytest

from media.carrier.datagrams import CSRC_BYTES, EXTENSION_BYTES, PADDING_BYTES
from media.carrier.faults import Extra, Faults
from media.carrier.options import BLeg, SimulationOptions, Transport
from media.carrier.plan import Plan, make_plan
from strep import header, rtp
from strep.g711 import Codec


def plan(**changes: object) -> Plan:
    return make_plan(SimulationOptions(**({"calls": 3, "seconds": 1.0, "audio": None} | changes)))  # type: ignore[arg-type]


class TestStrep:
    @pytest.mark.parametrize("codec", list(Codec))
    @pytest.mark.parametrize("ptime_ms", [10, 20, 30, 60])
    @pytest.mark.parametrize("header_bytes", [24, 28, 255])
    def test_every_field_comes_back(self, codec: Codec, ptime_ms: int, header_bytes: int) -> None:
        faults = Faults(header_bytes=header_bytes, near_wrap=True, extras=0.5)
        paper = plan(codec=codec, ptime_ms=ptime_ms, faults=faults, b_leg=BLeg.OWN_ID)
        table = paper.table(0, len(paper))
        for row, (track, packet) in enumerate(zip(paper.tracks.tolist(), paper.packets.tolist(), strict=True)):
            script, datagram = paper.scripts[track], table.datagram(row)
            envelope = header.parse(datagram)
            inner = rtp.parse(datagram[envelope.header_length_bytes :])
            party = script.party
            assert envelope == header.StrepHeader(script.call_leg_id, party.leg, party.direction, header_bytes)
            assert inner.payload_type == codec
            assert inner.sequence_number == script.sequence_numbers[packet]
            assert inner.timestamp == script.timestamps[packet]
            assert inner.ssrc == script.ssrcs[packet]
            assert inner.marker == script.markers[packet]
            assert inner.payload == paper.payload(track, packet).tobytes()
            extras = Extra(int(script.extras[packet]))
            assert inner.csrc == ((0x0A0B0C0D, 0x1A1B1C1D) if Extra.CSRC in extras else ())
            assert inner.extension == ((0xBEDE, EXTENSION_BYTES[4:]) if Extra.EXTENSION in extras else None)
            assert inner.padding_bytes == (len(PADDING_BYTES) if Extra.PADDING in extras else 0)

    def test_the_scalar_serialiser_agrees(self) -> None:
        paper = plan(faults=Faults(extras=1.0))
        for delivery in range(len(paper)):
            datagram = paper.datagram(delivery)
            packet = rtp.parse(datagram[24:])
            assert header.serialize(header.parse(datagram)) + rtp.serialize(packet) == datagram

    def test_uniform_packets_fill_the_table(self) -> None:
        table = plan().table(0, 100)
        assert table.rows.shape == (100, 196)
        assert table.rows.flags.c_contiguous
        assert (table.lengths == 196).all()


class TestBareRtp:
    def test_no_envelope(self) -> None:
        paper = plan(transport=Transport.RTP)
        packet = rtp.parse(paper.datagram(0))
        assert rtp.serialize(packet) == paper.datagram(0)
        assert len(packet.payload) == 160

    def test_extras_have_no_meaning_of_their_own(self) -> None:
        assert len(CSRC_BYTES) % 4 == len(EXTENSION_BYTES) % 4 == 0
        assert PADDING_BYTES[-1] == len(PADDING_BYTES)


class TestPayloads:
    def test_batches_equal_single_rows(self) -> None:
        paper = plan(faults=Faults(extras=0.3, malformed=0.2))
        whole = paper.table(0, len(paper))
        assert [whole.datagram(row) for row in range(len(paper))] == [
            paper.datagram(row) for row in range(len(paper))
        ]

    def test_payloads_of_a_track(self) -> None:
        paper = plan()
        assert (paper.payloads(2)[7] == paper.payload(2, 7)).all()
        assert not np.array_equal(paper.payloads(2), paper.payloads(3))
