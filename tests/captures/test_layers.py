"""From frames to datagrams, with dpkt as the referee."""

from __future__ import annotations

import struct

import dpkt
import pytest
from dpkt.ethernet import Ethernet
from dpkt.ip import IP
from dpkt.ip6 import IP6
from dpkt.loopback import Loopback
from dpkt.sll import SLL as DpktSll
from dpkt.sll2 import SLL2 as DpktSll2
from hypothesis import given
from hypothesis import strategies as st

from media.captures.layers import Skip, parse_frame
from media.captures.writer import ip_packet
from tests.captures.making import ETHERNET, LOOP, NULL, RAW, SLL, SLL2, frame

V4 = ("10.0.0.1", 4000), ("10.0.0.2", 9000)
V6 = ("fd00::1", 4000), ("fd00::2", 9000)
ALL_LINKS = [ETHERNET, NULL, RAW, LOOP, SLL, SLL2, 12, 14, 228]
PAYLOAD = b"a payload of some bytes"
ends = pytest.mark.parametrize("ends", [V4, V6], ids=["v4", "v6"])


class TestLinks:
    @ends
    @pytest.mark.parametrize("link_type", ALL_LINKS)
    def test_all(self, link_type: int, ends: tuple[tuple[str, int], tuple[str, int]]) -> None:
        assert parse_frame(link_type, frame(link_type, *ends, PAYLOAD)) == (*ends, PAYLOAD)

    @pytest.mark.parametrize("tags", [1, 2])
    @pytest.mark.parametrize("link_type", [ETHERNET, SLL, SLL2])
    def test_vlan_tags(self, link_type: int, tags: int) -> None:
        assert parse_frame(link_type, frame(link_type, *V4, PAYLOAD, tags=tags)) == (*V4, PAYLOAD)

    def test_padding_of_short_ethernet_frames_is_no_payload(self) -> None:
        assert parse_frame(ETHERNET, frame(ETHERNET, *V4, b"x") + bytes(17)) == (*V4, b"x")

    def test_unknown_link(self) -> None:
        assert parse_frame(105, frame(ETHERNET, *V4, PAYLOAD)) is Skip.LINK_TYPE

    @ends
    @given(payload=st.binary(max_size=300))
    def test_dpkt_agrees(self, ends: tuple[tuple[str, int], tuple[str, int]], payload: bytes) -> None:
        raw = IP if ends is V4 else IP6
        for link_type, referee in [
            (ETHERNET, Ethernet),
            (SLL, DpktSll),
            (SLL2, DpktSll2),
            (RAW, raw),
            (NULL, Loopback),
        ]:
            data = frame(link_type, *ends, payload)
            parsed = referee(data)
            while not isinstance(parsed, dpkt.udp.UDP):
                parsed = parsed.data
            found = parse_frame(link_type, data)
            assert not isinstance(found, Skip)
            assert (found[0][1], found[1][1], found[2]) == (parsed.sport, parsed.dport, bytes(parsed.data))


def ipv4(**fields: object) -> bytes:
    data = bytearray(ip_packet(*V4, PAYLOAD)[0])
    packet = IP(bytes(data))
    for name, value in fields.items():
        setattr(packet, name, value)
    return bytes(packet)


class TestSkips:
    def test_other_protocols(self) -> None:
        assert parse_frame(RAW, ipv4(p=6)) is Skip.NOT_UDP
        assert parse_frame(ETHERNET, bytes(12) + b"\x08\x06" + bytes(28)) is Skip.NOT_IP  # ARP
        assert parse_frame(RAW, b"\x10" + bytes(30)) is Skip.NOT_IP

    @pytest.mark.parametrize("fields", [{"mf": 1}, {"offset": 185}])
    def test_fragments(self, fields: dict[str, int]) -> None:
        assert parse_frame(RAW, ipv4(**fields)) is Skip.FRAGMENT

    def test_every_cut_is_truncated(self) -> None:
        for ends in (V4, V6):
            for link_type in (ETHERNET, RAW, SLL, SLL2, NULL):
                data = frame(link_type, *ends, PAYLOAD, tags=1)
                cuts = {parse_frame(link_type, data[:n]) for n in range(len(data))}
                assert cuts == {Skip.TRUNCATED}

    def test_lengths_that_cannot_be(self) -> None:
        assert parse_frame(RAW, ipv4(len=21)) is Skip.MALFORMED
        assert parse_frame(RAW, ipv4(len=10)) is Skip.MALFORMED
        data = bytearray(ip_packet(*V4, PAYLOAD)[0])
        data[24:26] = struct.pack("!H", 7)
        assert parse_frame(RAW, bytes(data)) is Skip.MALFORMED

    def test_length_left_to_the_network_card(self) -> None:
        data = bytearray(ip_packet(*V4, PAYLOAD)[0])
        data[2:4] = bytes(2)
        assert parse_frame(RAW, bytes(data)) == (*V4, PAYLOAD)


class TestIpv6Extensions:
    @staticmethod
    def with_extension(number: int, extension: bytes) -> bytes:
        packet = ip_packet(*V6, PAYLOAD)[0]
        head = bytearray(packet[:40])
        head[6] = number
        head[4:6] = struct.pack("!H", len(packet) - 40 + len(extension))
        return bytes(head) + extension + packet[40:]

    @pytest.mark.parametrize(
        ("number", "extension"),
        [
            (0, b"\x11\x00" + bytes(6)),
            (60, b"\x11\x01" + bytes(14)),
            (43, b"\x11\x00" + bytes(6)),
            (51, b"\x11\x04" + bytes(22)),
            (44, b"\x11\x00\x00\x00" + bytes(4)),
        ],
        ids=["hop-by-hop", "destination", "routing", "authentication", "atomic-fragment"],
    )
    def test_walked_over(self, number: int, extension: bytes) -> None:
        assert parse_frame(RAW, self.with_extension(number, extension)) == (*V6, PAYLOAD)

    @pytest.mark.parametrize("offset_and_more", [0x0001, 0x0008])
    def test_fragments(self, offset_and_more: int) -> None:
        extension = b"\x11\x00" + struct.pack("!H", offset_and_more) + bytes(4)
        assert parse_frame(RAW, self.with_extension(44, extension)) is Skip.FRAGMENT


@given(link_type=st.sampled_from([*ALL_LINKS, 105]), data=st.binary(max_size=120))
def test_any_bytes(link_type: int, data: bytes) -> None:
    assert isinstance(parse_frame(link_type, data), (Skip, tuple))


@given(position=st.integers(0, 90), value=st.integers(0, 255), link_type=st.sampled_from([ETHERNET, SLL, RAW]))
def test_any_changed_byte(position: int, value: int, link_type: int) -> None:
    data = bytearray(frame(link_type, *V6, PAYLOAD))
    data[position % len(data)] = value
    found = parse_frame(link_type, bytes(data))
    assert isinstance(found, Skip) or len(found[2]) <= len(data)
