"""What ``strep call ID`` shows of a call: all that is known, in words, and of the rest nothing."""

from __future__ import annotations

import random
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from media.terminal.show import picture_of
from tests.terminal.fake import call_of

LEDGER = {
    "spans": 2,
    "newest": [
        {"start_ms": 1500.0, "duration_ms": 40.0, "kind": "lost"},
        {"start_ms": 61_020.0, "duration_ms": 2500.0, "kind": "silence"},
    ],
}
PLAYS = [
    {"playback_id": "p", "kind": "play", "label": "a.mp3", "state": "playing", "heard_ms": 20, "volume_db": -6.0},
    {"playback_id": "q", "kind": "speak", "label": "\x1bc", "state": "queued", "heard_ms": 0, "volume_db": 0.0},
]
SINKS = [
    {"name": "feed", "delivered_blocks": 0, "lag_ms": 0.0},
    {"name": "bad", "delivered_blocks": 7, "lag_ms": 1500.0, "detached": True, "errors": 3},
]


def shown(call: dict[str, Any], width: int = 100) -> list[str]:
    """Return the lines of a picture."""
    console = Console(file=StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(picture_of(call, width))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def test_all_that_is_known() -> None:
    lines = shown(call_of("c\x1b]0;pwned\x07", plays=PLAYS, ledgers={"inbound": LEDGER}, sinks=SINKS,
                          is_gathering=True, is_paused=True, recordings=["r1"], is_transcribed=True))  # fmt: skip
    assert lines[:2] == ["c�]0;pwned�  live 0:01", "ws, from +1, since 00:00:00 UTC, 8000 Hz"]
    [track] = [line.split() for line in lines if line.startswith("inbound")]
    assert track == ["inbound", "0:01", "49", "1", "2.00", "%", "0", "0", "1.2", "ms", "2.0", "ms"]
    words = " ".join(lines)
    assert "now  plays a.mp3 (0.0 s heard, -6 dB); speaks �c (queued, 0.0 s heard); gathers digits" in words
    assert "; records r1; is transcribed; paused: nothing is kept" in words
    assert "bad   detached, 3 errors       7        0  1,500.0 ms" in lines
    assert "idle sinks  feed" in lines
    assert lines[-2:] == [
        "00:00:01 UTC  at 0:01.500  inbound  40 ms lost",
        "00:01:01 UTC  at 1:01.020  inbound  2.50 s of silence: the sender sent nothing",
    ]


def test_what_nobody_knows_has_no_place() -> None:
    call = call_of("c", dialect=None, quality=None, plays=[], can_play=None, client_state=None, is_paused=False)
    call["tracks"][0]["quality"] = None
    text = "\n".join(shown(call))
    assert not [word for word in ("null", "None", "False", "{", "[", "MOS", "bursts", "dBFS") if word in text]
    assert "nothing plays, nothing is gathered" in text


def test_a_call_that_has_gone_quiet_is_said_to_be_so() -> None:
    call = call_of("c", quality={"one_way": True, "echo": False})
    call["tracks"][0]["quiet_ms"] = 12_000
    assert shown(call)[2:4] == ["nothing has come for 12 s", "one side is silent while the other speaks"]


@pytest.mark.parametrize("width", [80, 140])
def test_a_busy_call_fits(width: int) -> None:
    """No word is cut, and it is not much longer than that of an ordinary call."""
    dice = random.Random(width)
    quality = {"mos": 1.0, "loss_percent": 33.3, "bursts": {"count": 999, "mean_ms": 1999},
               "audio": {"level_dbfs": -100.5}}  # fmt: skip
    tracks = [
        call_of("c")["tracks"][0] | {"direction": direction, "length_samples": 8000 * 9000, "received": 449_999,
                                     "never_arrived": 150_000, "late": 9999, "quality": quality}
        for direction in ("inbound", "outbound")
    ]  # fmt: skip
    spans = [{"start_ms": dice.randrange(10**7), "duration_ms": 20.0, "kind": "late-patched"} for _ in range(100)]
    sinks = [{"name": f"sink {at}", "delivered_blocks": 9_999_999, "lag_ms": 0.0} for at in range(6)]
    ledgers = {direction: {"spans": 500, "newest": spans} for direction in ("inbound", "outbound")}
    lines = shown(call_of("c" * 36, tracks=tracks, ledgers=ledgers, sinks=sinks, plays=PLAYS * 3), width)
    assert len(lines) <= 32
    assert not [line for line in lines if "…" in line]
    assert all(len(line) <= width for line in lines)
    [head] = [line for line in lines if line.startswith("track")]
    assert head.split()[-3:] == (["jitter", "MOS", "dBFS"] if width < 100 else ["max", "MOS", "dBFS"])
