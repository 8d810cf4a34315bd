"""Finding call audio among other things."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable
from uuid import UUID

import numpy as np
import pytest

from media.captures import census as module
from media.captures.census import Census, FlowKey, StrepKey, is_rtcp
from media.captures.reader import Datagram
from media.carrier.network import NetworkModel
from media.carrier.options import Transport
from strep import header, rtp
from strep.header import Direction, Leg, StrepHeader
from tests.captures.making import PORT, RECEIVER, SENDER, START_NS, noise, simulated

LEG_ID = UUID("7f3a1c52-c9d0-11f0-8e41-02420a5b6c7d")


def taken(datagrams: Iterable[Datagram], **options: object) -> Census:
    census = Census(**options)  # type: ignore[arg-type]
    for datagram in datagrams:
        census.observe(datagram)
    return census


def packets(sequence_numbers: Iterable[int], *, payload_type: int = 0, port: int = PORT) -> list[Datagram]:
    return [
        Datagram(
            START_NS + i,
            (SENDER, 7000),
            (RECEIVER, port),
            rtp.serialize(rtp.RtpPacket(payload_type, number & 0xFFFF, 160 * i, 0xABCD, bytes(160))),
        )
        for i, number in enumerate(sequence_numbers)
    ]


def as_strep(datagrams: Iterable[Datagram]) -> list[Datagram]:
    front = header.serialize(StrepHeader(LEG_ID, Leg.B, Direction.OUTBOUND))
    return [datagram._replace(payload=front + datagram.payload) for datagram in datagrams]


FLOW = FlowKey((SENDER, 7000), (RECEIVER, PORT), 0xABCD)


class TestRtp:
    @pytest.mark.parametrize(
        ("numbers", "is_found"),
        [
            ([1, 2, 3], True),
            ([65_534, 65_535, 0], True),
            ([1, 3, 7], True),
            ([5, 1, 9, 2, 3, 4], True),
            ([1, 2], False),
            ([1, 1, 1, 1], False),
            ([3, 2, 1], False),
            ([100, 200, 300, 400], False),
        ],
    )
    def test_three_in_sequence(self, numbers: list[int], is_found: bool) -> None:
        assert taken(packets(numbers)).flows() == ([FLOW] if is_found else [])

    def test_dynamic_payload_types_only_on_request(self) -> None:
        opus = packets(range(5), payload_type=111)
        assert taken(opus).flows() == []
        assert taken(opus, any_payload_type=True).flows() == [FLOW]

    def test_telephone_events_belong_to_the_audio_around_them(self) -> None:
        both = [*packets(range(3)), *packets([3, 4], payload_type=101)]
        assert taken(both).flow_payload_types() == {(FLOW.source, FLOW.ssrc): Counter({0: 3, 101: 2})}

    def test_named_ports_have_a_door_of_their_own(self) -> None:
        census = taken(packets(range(5), payload_type=111), rtp_ports=frozenset([PORT]))
        assert census.flows() == []
        assert census.flow_payload_types() == {(FLOW.source, FLOW.ssrc): Counter({111: 5})}

    @pytest.mark.parametrize("seed", range(5))
    def test_noise_is_nothing(self, seed: int) -> None:
        census = taken(noise(300, seed=seed), any_payload_type=True)
        assert (census.flows(), census.strep_destinations()) == ([], set())

    def test_a_bad_line_hides_nobody(self) -> None:
        network = NetworkModel(loss=0.3, reorder=0.2, duplicate=0.1, jitter_ms=30)
        _, datagrams = simulated(Transport.RTP, calls=20, seconds=2, network=network)
        assert len(taken(datagrams).flows()) == 40


class TestStrep:
    def test_two_in_sequence(self) -> None:
        assert taken(as_strep(packets([1]))).strep_destinations() == set()
        census = taken(as_strep(packets([1, 2])))
        assert census.strep_destinations() == {(RECEIVER, PORT)}
        assert census.strep_payload_types() == {StrepKey(LEG_ID, Leg.B, Direction.OUTBOUND): Counter({0: 2})}
        assert census.flows() == []

    def test_quic_is_not_strep(self) -> None:
        quic = [Datagram(i, (SENDER, 1), (RECEIVER, 443), b"\xc4\x00\x00\x00\x01" + bytes(i) * 40) for i in range(9)]
        assert taken(quic).strep_destinations() == set()


def test_noise_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CANDIDATES", 50)
    random = np.random.default_rng(1)
    strangers = [packets([1])[0] for _ in range(500)]
    strangers = [d._replace(payload=d.payload[:8] + random.bytes(4) + bytes(9)) for d in strangers]
    census = taken([*packets(range(3)), *strangers])
    assert census.flows() == [FLOW]
    assert len(census.flow_payload_types()) <= 50


def test_span_of_times() -> None:
    census = taken([Datagram(t, (SENDER, 1), (RECEIVER, 2), b"") for t in (50, 20, 70, 30)])
    assert (census.first_ns, census.last_ns, census.datagrams) == (20, 70, 4)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (struct.pack("!BBHI", 0x80, 200, 6, 1) + bytes(20), True),
        (struct.pack("!BBHI", 0x80, 200, 7, 1) + bytes(20), False),
        (struct.pack("!BBHI", 0x80, 0, 6, 1) + bytes(20), False),
        (b"\x80\xc8", False),
    ],
)
def test_rtcp(payload: bytes, expected: bool) -> None:
    assert is_rtcp(payload) is expected
