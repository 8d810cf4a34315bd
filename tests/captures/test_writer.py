"""The writer: what it writes is what the reader, and dpkt's own, find."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path

import pytest
from dpkt import pcap
from dpkt.ethernet import Ethernet

from media.captures.reader import CaptureReader, Datagram
from media.captures.writer import CaptureWriter, frame
from strep.errors import UsageError
from tests.captures.making import START_NS, write

V4 = Datagram(START_NS, ("10.0.0.1", 4000), ("10.0.0.2", 9000), b"four")
V6 = Datagram(START_NS + 1, ("fd00::1", 4000), ("fd00::2", 9000), b"six" * 300)


def test_nanoseconds_survive(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pcap", [V4, V6])
    with CaptureReader(path) as reader:
        assert list(reader) == [V4, V6]


def test_microseconds_are_rounded_down(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pcap", [V4], nanoseconds=False)
    with CaptureReader(path) as reader:
        assert [datagram.time_ns for datagram in reader] == [START_NS // 1000 * 1000]


def test_dpkt_reads_it() -> None:
    file = io.BytesIO()
    CaptureWriter(file).write(*V4)
    file.seek(0)
    [(time, data)] = pcap.Reader(file)
    assert time == Decimal(START_NS).scaleb(-9)
    ethernet = Ethernet(data)
    assert (ethernet.ip.udp.sport, ethernet.ip.udp.dport, ethernet.ip.udp.data) == (4000, 9000, b"four")


def test_an_empty_payload_is_a_datagram_too(tmp_path: Path) -> None:
    empty = V4._replace(payload=b"")
    with CaptureReader(write(tmp_path / "a.pcap", [empty])) as reader:
        assert list(reader) == [empty]


@pytest.mark.parametrize("time_ns", [-1, 1 << 63])
def test_times_that_do_not_fit(time_ns: int) -> None:
    with pytest.raises(UsageError, match="no time"):
        CaptureWriter(io.BytesIO()).write(time_ns, ("10.0.0.1", 1), ("10.0.0.2", 2), b"")


def test_families_do_not_mix() -> None:
    with pytest.raises(UsageError, match="no datagram goes"):
        frame(("10.0.0.1", 1), ("fd00::1", 2), b"")
