"""tshark as the referee of the reception statistics: packets, lost, jitter.

What tshark 4.0 computes (``-z rtp,streams``), found by reading ui/tap-rtp-analysis.c of Wireshark and by trying:

* jitter is RFC 3550 A.8 in floating point over every arrival, duplicates and late ones too;
* its mean is over all arrivals but a stream's first, and so is ours; but packets with the marker bit count in
  neither mean nor maximum, which moves the mean by a tenth of a percent where talkspurts are many;
* "lost" is the last sequence number to arrive - the first + 1 - arrivals, where RFC 3550 A.3 and we say the
  *highest* one. So a capture must not end with a packet that was overtaken;
* the wrap of the sequence number is counted twice if packets are reordered across it, and lost is then 65,536 too
  high. So reordering and wrap are not tried together;
* a sequence reset or a timestamp jump under one SSRC is no new epoch to it, so nothing is compared there.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from media.captures.inspect import InspectOptions, inspect
from media.captures.reader import Datagram
from media.captures.summary import TrackSummary, summarize
from media.carrier.faults import Faults
from media.carrier.network import NetworkModel, Span
from media.carrier.options import Transport
from media.carrier.plan import Plan
from strep.clock import NS_PER_SECOND
from strep.g711 import Codec
from tests.captures.making import PORT, simulated, write
from tests.patience import PATIENCE_S

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(
        shutil.which("tshark") is None or shutil.which("editcap") is None,
        reason="tshark and editcap (Debian package tshark) are not installed",
    ),
]

HEADERS_BEFORE_STREP_BYTES = 42
"""Ethernet, IPv4, UDP."""

CASES: dict[str, dict[str, Any]] = {
    "clean": {},
    "jitter": {"network": NetworkModel(jitter_ms=15)},
    "loss": {"network": NetworkModel(loss=0.05, jitter_ms=8)},
    "bursts": {"network": NetworkModel(loss=0.05, burst_loss=5, jitter_ms=8), "faults": Faults(extras=0.2)},
    "reordering": {"network": NetworkModel(reorder=0.1, jitter_ms=8)},
    "duplicates": {"network": NetworkModel(duplicate=0.1, jitter_ms=8)},
    "everything": {"network": NetworkModel(loss=0.05, reorder=0.1, duplicate=0.05, jitter_ms=12)},
    "wrap": {"network": NetworkModel(loss=0.05, jitter_ms=12), "faults": Faults(near_wrap=True)},
    "dtx": {"network": NetworkModel(loss=0.02, jitter_ms=8), "faults": Faults(dtx=0.3)},
    "hold": {"network": NetworkModel(jitter_ms=8), "faults": Faults(hold=Span(5 * NS_PER_SECOND, 9 * NS_PER_SECOND))},
    "stall": {"network": NetworkModel(stall=Span(5 * NS_PER_SECOND, 2 * NS_PER_SECOND))},
    "pcma": {"codec": Codec.PCMA, "ptime_ms": 30, "network": NetworkModel(loss=0.03, jitter_ms=20)},
}


class Stream(NamedTuple):
    """A line of tshark's table."""

    packets: int
    lost: int
    jitter_mean_ms: float
    jitter_max_ms: float


#                       SSRC              payload packets lost    %          delta x 3 (min, mean, max), jitter x 3
_LINE = re.compile(r" 0x([0-9A-F]{8}) +\S.*? +(\d+) +(-?\d+) \(.*?%\)(?: +[\d.]+){4} +([\d.]+) +([\d.]+)")


def tshark(path: Path, ports: set[int]) -> dict[str, Stream]:
    """Return tshark's streams by SSRC."""
    decode_as = [argument for port in sorted(ports) for argument in ("-d", f"udp.port=={port},rtp")]
    command = ["tshark", "-q", "-r", str(path), *decode_as, "-z", "rtp,streams"]
    table = subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE_S).stdout
    return {
        ssrc.lower(): Stream(int(packets), int(lost), float(mean), float(highest))
        for ssrc, packets, lost, mean, highest in _LINE.findall(table)
    }


def ours(path: Path) -> dict[str, TrackSummary]:
    return {track.ssrc: track for track in summarize("", inspect(path, InspectOptions())).tracks}


def assert_agree(found: dict[str, TrackSummary], streams: dict[str, Stream], tracks: int) -> None:
    assert len(found) == tracks
    assert set(found) == set(streams)
    for ssrc, stream in streams.items():
        track = found[ssrc]
        assert (track.packets, track.lost) == (stream.packets, stream.lost)
        # Three decimals are printed; 0.001 ms is as near as that lets us come to a jitter of nothing.
        assert track.jitter_mean_ms == pytest.approx(stream.jitter_mean_ms, rel=0.01, abs=0.0011)
        assert track.jitter_max_ms == pytest.approx(stream.jitter_max_ms, rel=0.01, abs=0.0011)


def ends_in_order(plan: Plan, datagrams: list[Datagram]) -> list[Datagram]:
    """Return the capture without the last second, then with each track's last packet (see the top)."""
    cut_ns = datagrams[-1].time_ns - NS_PER_SECOND
    last = [
        datagrams[int(delivery)]
        for track, script in enumerate(plan.scripts)
        for delivery in ((plan.tracks == track) & (plan.packets == len(script) - 1)).nonzero()[0][:1]
    ]
    return [d for d in datagrams if d.time_ns < cut_ns] + last


@pytest.mark.parametrize("name", CASES)
def test_plain_rtp(tmp_path: Path, name: str) -> None:
    plan, datagrams = simulated(Transport.RTP, seconds=12, seed=7, **CASES[name])
    path = write(tmp_path / "x.pcap", ends_in_order(plan, datagrams))
    assert_agree(ours(path), tshark(path, {d.destination[1] for d in datagrams}), 2)


@pytest.mark.parametrize("name", ["clean", "everything", "wrap", "dtx"])
def test_strep_stripped_of_its_header(tmp_path: Path, name: str) -> None:
    plan, datagrams = simulated(calls=2, seconds=12, seed=7, **CASES[name])
    path, stripped = write(tmp_path / "x.pcap", ends_in_order(plan, datagrams)), tmp_path / "stripped.pcap"
    chop = f"{HEADERS_BEFORE_STREP_BYTES}:24"
    subprocess.run(["editcap", "-L", "-C", chop, path, stripped], check=True, capture_output=True, timeout=PATIENCE_S)
    assert_agree(ours(path), tshark(stripped, {PORT}), 4)


def test_new_ssrc_is_a_new_stream_to_both(tmp_path: Path) -> None:
    faults = Faults(ssrc_change_at_ns=10 * NS_PER_SECOND)
    _, datagrams = simulated(Transport.RTP, seconds=20, network=NetworkModel(loss=0.03, jitter_ms=8), faults=faults)
    path = write(tmp_path / "x.pcap", datagrams)
    assert_agree(ours(path), tshark(path, {d.destination[1] for d in datagrams}), 4)


def test_pcapng_and_microseconds_change_nothing(tmp_path: Path) -> None:
    _, datagrams = simulated(Transport.RTP, seconds=10, network=NetworkModel(loss=0.03, jitter_ms=8))
    path, converted = write(tmp_path / "x.pcap", datagrams, nanoseconds=False), tmp_path / "x.pcapng"
    subprocess.run(["editcap", "-F", "pcapng", path, converted], check=True, capture_output=True, timeout=PATIENCE_S)
    assert ours(converted) == ours(path)
    assert_agree(ours(converted), tshark(converted, {d.destination[1] for d in datagrams}), 2)


def test_its_table_is_read_right() -> None:
    line = (
        "0.000000    59.982334        10.0.0.1 30002        10.0.0.2 40002 0x28BA3A55            g711U  3148  -148"
        " (-4.9%)           0.008          19.060          27.851           0.084           4.901          17.279 X"
    )
    assert _LINE.findall(line) == [("28BA3A55", "3148", "-148", "4.901", "17.279")]
