"""Capture files: formats, byte orders, resolutions, damage."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from media.captures.layers import Skip
from media.captures.reader import CaptureReader, Datagram
from strep.errors import WireError
from tests.captures.making import (
    ETHERNET,
    LOOP,
    NULL,
    RAW,
    SLL,
    SLL2,
    START_NS,
    block,
    frame,
    interface,
    packet,
    pcap,
    section,
    write,
)

ENDS = ("10.0.0.1", 4000), ("10.0.0.2", 9000)
ORDERS = pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])


def made(count: int) -> list[Datagram]:
    return [Datagram(START_NS + 20_000_001 * i, *ENDS, bytes([i]) * (i + 1)) for i in range(count)]


def frames(datagrams: list[Datagram], link_type: int = ETHERNET) -> list[tuple[int, bytes]]:
    return [(d.time_ns, frame(link_type, d.source, d.destination, d.payload)) for d in datagrams]


def read(path: Path, data: bytes) -> tuple[list[Datagram], CaptureReader]:
    path.write_bytes(data)
    with CaptureReader(path) as reader:
        return list(reader), reader


class TestPcap:
    @ORDERS
    @pytest.mark.parametrize("link_type", [ETHERNET, NULL, RAW, LOOP, SLL, SLL2])
    def test_link_types(self, tmp_path: Path, order: str, link_type: int) -> None:
        data = pcap(frames(made(5), link_type), link_type=link_type, order=order)
        assert read(tmp_path / "a", data)[0] == made(5)

    @ORDERS
    def test_microseconds_are_exact(self, tmp_path: Path, order: str) -> None:
        found, _ = read(tmp_path / "a", pcap(frames(made(5)), order=order, nanoseconds=False))
        assert [d.time_ns for d in found] == [d.time_ns // 1000 * 1000 for d in made(5)]

    def test_frame_check_sequence_bits_of_the_link_type(self, tmp_path: Path) -> None:
        assert read(tmp_path / "a", pcap(frames(made(2)), link_type=ETHERNET | 0x2400_0000))[0] == made(2)

    @ORDERS
    def test_modified_pcap_has_longer_records(self, tmp_path: Path, order: str) -> None:
        [(time_ns, body)] = frames(made(1))
        data = struct.pack(order + "IHHiIII", 0xA1B2CD34, 2, 4, 0, 0, 262_144, ETHERNET)
        record = struct.pack(order + "IIIIIHBB", time_ns // 10**9, 7, len(body), len(body), 3, 0, 0, 0)
        found, reader = read(tmp_path / "a", data + record + body)
        assert [d.time_ns for d in found] == [time_ns // 10**9 * 10**9 + 7000]
        assert not reader.warning

    def test_no_frames(self, tmp_path: Path) -> None:
        found, reader = read(tmp_path / "a", pcap([]))
        assert (found, reader.frames, reader.warning) == ([], 0, "")


class TestPcapng:
    @ORDERS
    @pytest.mark.parametrize(
        ("resolution", "units_per_second"), [(None, 10**6), (6, 10**6), (9, 10**9), (3, 10**3), (0x80 | 20, 1 << 20)]
    )
    def test_resolutions(self, tmp_path: Path, order: str, resolution: int | None, units_per_second: int) -> None:
        units = START_NS * units_per_second // 10**9
        data = section(order) + interface(order, ETHERNET, resolution=resolution)
        data += packet(order, units, frame(ETHERNET, *ENDS, b"x"))
        found, reader = read(tmp_path / "a", data)
        assert [d.time_ns for d in found] == [units * 10**9 // units_per_second]
        assert not reader.warning

    def test_offset_of_seconds(self, tmp_path: Path) -> None:
        data = section("<") + interface("<", RAW, resolution=9, offset_s=1_000)
        found, _ = read(tmp_path / "a", data + packet("<", 5, frame(RAW, *ENDS, b"x")))
        assert [d.time_ns for d in found] == [1_000 * 10**9 + 5]

    def test_interfaces_and_sections_differ(self, tmp_path: Path) -> None:
        one, two, three = made(3)
        data = section("<") + interface("<", ETHERNET, resolution=9) + interface("<", SLL, resolution=9)
        data += packet("<", two.time_ns, frames([two], SLL)[0][1], interface_number=1)
        data += packet("<", one.time_ns, frames([one])[0][1])
        data += (
            section(">") + interface(">", RAW, resolution=9) + packet(">", three.time_ns, frames([three], RAW)[0][1])
        )
        assert read(tmp_path / "a", data)[0] == [two, one, three]

    def test_other_blocks_are_passed_over(self, tmp_path: Path) -> None:
        data = section("<") + block("<", 0x0BAD, b"anything") + interface("<", RAW, resolution=9)
        data += block("<", 5, bytes(12)) + packet("<", 7, frame(RAW, *ENDS, b"x"))
        assert [d.payload for d in read(tmp_path / "a", data)[0]] == [b"x"]

    def test_old_packet_block(self, tmp_path: Path) -> None:
        body = frame(RAW, *ENDS, b"x")
        old = block("<", 2, struct.pack("<HHIIII", 0, 0, 0, 7, len(body), len(body)) + body)
        found, _ = read(tmp_path / "a", section("<") + interface("<", RAW) + old)
        assert [d.time_ns for d in found] == [7000]

    def test_simple_packets_have_no_time(self, tmp_path: Path) -> None:
        body = frame(RAW, *ENDS, b"x")
        data = section("<") + interface("<", RAW) + block("<", 3, struct.pack("<I", len(body)) + body)
        found, reader = read(tmp_path / "a", data)
        assert (found, reader.skipped) == ([], {Skip.NO_TIME: 1})

    def test_times_beyond_reason_are_no_times(self, tmp_path: Path) -> None:
        data = section("<") + interface("<", RAW, resolution=0) + packet("<", 1 << 63, frame(RAW, *ENDS, b"x"))
        assert read(tmp_path / "a", data)[1].skipped == {Skip.NO_TIME: 1}


class TestDamage:
    def test_every_cut_of_a_pcap(self, tmp_path: Path) -> None:
        data = pcap(frames(made(3)))
        ends = [24]
        for _, body in frames(made(3)):
            ends.append(ends[-1] + 16 + len(body))
        for cut in range(24, len(data) + 1):
            found, reader = read(tmp_path / "a", data[:cut])
            whole = sum(end <= cut for end in ends[1:])
            assert found == made(3)[:whole]
            assert bool(reader.warning) == (cut not in ends)

    def test_every_cut_of_a_pcapng(self, tmp_path: Path) -> None:
        start = section("<") + interface("<", ETHERNET, resolution=9)
        data = start
        for time_ns, body in frames(made(2)):
            data += packet("<", time_ns, body)
        for cut in range(len(start), len(data)):
            found, reader = read(tmp_path / "a", data[:cut])
            assert found == made(2)[: len(found)]
            assert reader.warning or cut in (len(start), len(data) - len(packet("<", 0, frames(made(2))[1][1])))

    def test_a_record_of_gigabytes(self, tmp_path: Path) -> None:
        data = pcap(frames(made(2))) + struct.pack("<IIII", 1, 2, 0xF000_0000, 4)
        found, reader = read(tmp_path / "a", data)
        assert found == made(2)
        assert "4,026,531,840 bytes" in reader.warning
        assert "2 frames before it were read" in reader.warning

    def test_a_packet_of_an_unknown_interface(self, tmp_path: Path) -> None:
        data = section("<") + packet("<", 1, frame(RAW, *ENDS, b"x"))
        assert "interface that nobody described" in read(tmp_path / "a", data)[1].warning

    def test_unsupported_links_are_counted(self, tmp_path: Path) -> None:
        _, reader = read(tmp_path / "a", pcap(frames(made(2)), link_type=105))
        assert (reader.skipped, reader.link_types) == ({Skip.LINK_TYPE: 2}, {105: 2})


class TestNoCapture:
    @pytest.mark.parametrize(
        ("data", "text"),
        [
            (b"", "0 bytes"),
            (b"RIFF\x00\x00\x00\x00WAVE", "52 49 46 46"),
            (b"\x1f\x8b\x08\x00", "gunzip"),
            (b"\xd4\xc3\xb2\xa1\x02", "ends after 5 bytes"),
            (pcap([])[:4] + b"\x09" + pcap([])[5:], "version 9"),
            (b"\x0a\x0d\x0d\x0a" + bytes(30), "section header"),
        ],
    )
    def test_is_said(self, tmp_path: Path, data: bytes, text: str) -> None:
        with pytest.raises(WireError, match=text):
            read(tmp_path / "a", data)

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        start=st.sampled_from([b"", pcap([]), section("<"), section(">") + interface(">", RAW), pcap([])[:4]]),
        rest=st.binary(max_size=200),
    )
    def test_any_bytes_give_datagrams_or_the_one_error(self, tmp_path: Path, start: bytes, rest: bytes) -> None:
        try:
            found, _ = read(tmp_path / "a", start + rest)
        except WireError:
            return
        assert all(isinstance(datagram, Datagram) for datagram in found)

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(position=st.integers(0, 10_000), value=st.integers(0, 255), is_ng=st.booleans())
    def test_any_changed_byte(self, tmp_path: Path, position: int, value: int, is_ng: bool) -> None:
        if is_ng:
            data = bytearray(section("<") + interface("<", ETHERNET, resolution=9, offset_s=3))
            data += b"".join(packet("<", t, body) for t, body in frames(made(3)))
        else:
            data = bytearray(pcap(frames(made(3))))
        data[position % len(data)] = value
        try:
            found, _ = read(tmp_path / "a", bytes(data))
        except WireError:
            return
        assert len(found) <= 3


@pytest.mark.peer
@pytest.mark.skipif(shutil.which("editcap") is None, reason="editcap (tshark package) is not installed")
@pytest.mark.parametrize("form", ["pcapng", "nsecpcap", "pcap", "modpcap"])
def test_editcap_writes_the_same(tmp_path: Path, form: str) -> None:
    source = write(tmp_path / "source.pcap", made(30))
    target = tmp_path / "target"
    subprocess.run(["editcap", "-F", form, source, target], check=True, capture_output=True)
    with CaptureReader(target) as reader:
        found = list(reader)
    unit_ns = 1 if form in ("pcapng", "nsecpcap") else 1000
    assert found == [d._replace(time_ns=d.time_ns // unit_ns * unit_ns) for d in made(30)]
    assert not reader.warning
