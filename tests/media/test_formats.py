"""`media.formats`: what people write, read and written back."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media import formats
from media.config import Endpoint, RtpPorts


class TestEndpoint:
    @pytest.mark.parametrize(
        ("text", "host", "port"),
        [
            ("127.0.0.1:9000", "127.0.0.1", 9000),
            ("0.0.0.0:0", "0.0.0.0", 0),
            ("[::1]:9000", "::1", 9000),
            ("[::]:65535", "::", 65_535),
            ("media-1.example.com:9000", "media-1.example.com", 9000),
            ("localhost:1", "localhost", 1),
            (" 10.0.0.1:5 ", "10.0.0.1", 5),
        ],
    )
    def test_read_and_written_back(self, text: str, host: str, port: int) -> None:
        endpoint = formats.parse_endpoint(text)
        assert endpoint == Endpoint(host, port)
        assert str(endpoint) == text.strip()

    def test_port_alone_is_on_loopback(self) -> None:
        assert formats.parse_endpoint(":9000") == Endpoint("127.0.0.1", 9000)

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("9000", "a port of 127.0.0.1 is written :9000"),
            ("localhost", "not HOST:PORT"),
            ("", "not HOST:PORT"),
            ("::1:9000", "in brackets"),
            ("[::g]:9000", "IPv6"),
            ("[]:9000", "IPv6"),
            ("300.0.0.1:9000", "IPv4"),
            ("127.1:9000", "IPv4"),
            ("-x:9000", "host name"),
            ("a b:9000", "host name"),
            ("localhost:", "''"),
            ("localhost:http", "'http'"),
            ("localhost:65536", "65536"),
            ("localhost:-1", "'-1'"),
            ("localhost:+1", "'+1'"),
            ("localhost:٣", "port"),
        ],
    )
    def test_refused(self, text: str, says: str) -> None:
        with pytest.raises(ValueError, match=says.replace("+", r"\+")):
            formats.parse_endpoint(text)


class TestRtpPorts:
    @pytest.mark.parametrize(
        ("text", "rx", "tx"),
        [
            ("lab=4000,4001", "127.0.0.1:4000", "127.0.0.1:4001"),
            ("lab=0,0", "127.0.0.1:0", "127.0.0.1:0"),
            ("lab=0.0.0.0:4000,4001", "0.0.0.0:4000", "0.0.0.0:4001"),
            ("lab=10.0.0.1:4000,10.0.0.2:4000", "10.0.0.1:4000", "10.0.0.2:4000"),
            ("lab=[::1]:4000,[::1]:4001", "[::1]:4000", "[::1]:4001"),
            (" lab = 4000 , 4001 ", "127.0.0.1:4000", "127.0.0.1:4001"),
        ],
    )
    def test_read(self, text: str, rx: str, tx: str) -> None:
        expected = RtpPorts("lab", formats.parse_endpoint(rx), formats.parse_endpoint(tx))
        assert formats.parse_rtp_ports(text) == expected
        assert formats.RTP_PORTS.parse(formats.RTP_PORTS.show(expected)) == expected

    @pytest.mark.parametrize(
        "text",
        ["lab", "lab=4000", "4000,4001", "=4000,4001", "a/b=1,2", "..=1,2", "lab=1,2,3", "lab=,", "lab=x,1", "é=1,2"],
    )
    def test_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"is not|has"):
            formats.parse_rtp_ports(text)


class TestDuration:
    @pytest.mark.parametrize(
        ("text", "milliseconds"),
        [
            ("30", 30_000),
            ("30s", 30_000),
            ("500ms", 500),
            ("2m", 120_000),
            ("2 min", 120_000),
            ("1h", 3_600_000),
            ("0.5", 500),
            ("1.5S", 1500),
            ("0", 0),
        ],
    )
    def test_read(self, text: str, milliseconds: float) -> None:
        assert formats.parse_duration_ms(text) == milliseconds

    @pytest.mark.parametrize("text", ["", "s", "-1s", "1d", "1e3", "1 2", "30 s s", "nan", "inf", "½s", "٣s", "1,5s"])
    def test_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="duration"):
            formats.parse_duration_ms(text)

    @given(st.integers(0, 10**9))
    def test_written_and_read_back(self, milliseconds: int) -> None:
        assert formats.parse_duration_ms(formats.show_duration(milliseconds)) == milliseconds

    def test_bounds_say_what_was_understood(self) -> None:
        with pytest.raises(ValueError, match=r"out of range \(1m\): 0ms to 1s"):
            formats.whole_milliseconds(0, 1000).parse("60")

    def test_fraction_of_a_millisecond(self) -> None:
        with pytest.raises(ValueError, match="whole number of milliseconds"):
            formats.whole_milliseconds(0, 1000).parse("0.5ms")
        assert formats.milliseconds(0, 1000).parse("0.5ms") == 0.5

    def test_seconds(self) -> None:
        assert formats.seconds(0, 60).parse("500ms") == 0.5
        assert formats.seconds(0, 60).show(0.5) == "500ms"


class TestSize:
    @pytest.mark.parametrize(
        ("text", "size"),
        [("65536", 65_536), ("64KiB", 65_536), ("16MiB", 16 << 20), ("1 gib", 1 << 30), ("2kB", 2000)],
    )
    def test_read(self, text: str, size: int) -> None:
        assert formats.parse_size_bytes(text) == size

    @pytest.mark.parametrize("text", ["", "16 M", "MiB", "0.3", "-1"])
    def test_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"size|whole number"):
            formats.parse_size_bytes(text)

    @given(st.integers(0, 1 << 40))
    def test_written_and_read_back(self, size: int) -> None:
        assert formats.parse_size_bytes(formats.show_size(size)) == size


class TestTheRest:
    @pytest.mark.parametrize(
        ("read", "text", "value"),
        [
            (formats.whole_number(1, 9), "7", 7),
            (formats.choice("auto", "never"), " Auto", "auto"),
            (formats.choices("dtmf", "voice"), "voice, DTMF", ("dtmf", "voice")),
            (formats.DIRECTORY, "a b/c", Path("a b/c")),
        ],
    )
    def test_read(self, read: formats.Format, text: str, value: Any) -> None:
        assert read.parse(text) == value

    @pytest.mark.parametrize(
        ("read", "text", "says"),
        [
            (formats.whole_number(1, 9), "0", "1 to 9"),
            (formats.whole_number(1, 9), "ten", "whole number"),
            (formats.choice("auto", "never"), "always", "one of auto, never"),
            (formats.choices("dtmf", "voice"), "dtmf,", "some of dtmf, voice"),
            (formats.DIRECTORY, " ", "empty"),
            (formats.DIRECTORY, "a\0b", "NUL"),
        ],
    )
    def test_refused(self, read: formats.Format, text: str, says: str) -> None:
        with pytest.raises(ValueError, match=says):
            read.parse(text)

    @given(st.text())
    def test_nothing_but_a_value_error(self, text: str) -> None:
        for parse in (
            formats.parse_endpoint,
            formats.parse_rtp_ports,
            formats.parse_duration_ms,
            formats.parse_size_bytes,
        ):
            with contextlib.suppress(ValueError):
                parse(text)
