"""tshark as the referee of keys that the simulated carrier presses: telephone-events (RFC 4733), packet by packet."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from media.carrier.keys import END_PACKETS, KEYS
from media.carrier.options import Transport
from media.codecs import Encoding
from strep.clock import NS_PER_MS
from strep.g711 import Codec
from tests.captures.making import PORT, simulated, write
from tests.captures.test_tshark import HEADERS_BEFORE_STREP_BYTES
from tests.patience import PATIENCE_S

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark (Debian package tshark) is not installed"),
]

PRESSES = tuple((250 * place * NS_PER_MS, key) for place, key in enumerate(KEYS, 1))


class Event(NamedTuple):
    """What tshark says of a packet."""

    timestamp: int
    sequence_number: int
    marker: bool
    payload_type: int
    code: int
    is_end: bool
    reserved: bool
    volume: int
    duration: int


FIELDS = ("rtp.timestamp", "rtp.seq", "rtp.marker", "rtp.p_type", "rtpevent.event_id", "rtpevent.end_of_event",
          "rtpevent.reserved", "rtpevent.volume", "rtpevent.duration")  # fmt: skip


def tshark(path: Path) -> list[Event]:
    """Return the telephone-events that tshark finds among the packets to PORT."""
    columns = [part for field in FIELDS for part in ("-e", field)]
    command = ["tshark", "-r", str(path), "-d", f"udp.port=={PORT},rtp", "-Y", "rtpevent", "-T", "fields", *columns]
    lines = subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=PATIENCE_S
    ).stdout.splitlines()
    return [Event._make(map(number, line.split("\t"))) for line in lines]


def number(text: str) -> int:
    return {"True": 1, "False": 0}[text] if text in ("True", "False") else int(text)


@pytest.mark.parametrize("transport", [Transport.RTP, Transport.STREP])
@pytest.mark.parametrize(
    ("codec", "ptime_ms", "ticks_per_ms"),
    [(Codec.PCMU, 20, 8), (Codec.PCMA, 30, 8), (Encoding("L16", 16_000), 10, 16), (Encoding("OPUS", 48_000), 20, 48)],
)
def test_digits_durations_and_ends(
    tmp_path: Path, transport: Transport, codec: Any, ptime_ms: int, ticks_per_ms: int
) -> None:
    plan, datagrams = simulated(transport, seconds=4.5, presses=PRESSES, codec=codec, ptime_ms=ptime_ms)
    path = write(tmp_path / "x.pcap", datagrams)
    if transport is Transport.STREP:
        if shutil.which("editcap") is None:
            pytest.skip("editcap (Debian package tshark) is not installed")
        stripped = tmp_path / "stripped.pcap"
        chop = f"{HEADERS_BEFORE_STREP_BYTES}:24"
        subprocess.run(
            ["editcap", "-L", "-C", chop, path, stripped], check=True, capture_output=True, timeout=PATIENCE_S
        )
        path = stripped
    events = tshark(path)
    keys = plan.truth().tracks[0].keys
    assert [key.digit for key in keys] == list(KEYS)
    assert len(events) == sum(key.packets for key in keys)
    for code, key in enumerate(keys):
        mine = [event for event in events if event.code == code]
        assert len(mine) == key.packets
        assert len({event.timestamp for event in mine}) == 1, "of its beginning: RFC 4733 section 2.2.1"
        numbers = [event.sequence_number for event in mine]
        assert numbers == [(numbers[0] + place) % 65_536 for place in range(len(mine))]
        assert [event.marker for event in mine] == [True] + [False] * (len(mine) - 1)
        assert [event.is_end for event in mine] == [False] * (len(mine) - END_PACKETS) + [True] * END_PACKETS
        held = [min(place, len(mine) - END_PACKETS + 1) * ptime_ms for place in range(1, len(mine) + 1)]
        assert [event.duration for event in mine] == [ms * ticks_per_ms for ms in held]
        assert held[-1] == key.duration_ms
        assert {(event.payload_type, event.volume, event.reserved) for event in mine} == {(101, 10, False)}
