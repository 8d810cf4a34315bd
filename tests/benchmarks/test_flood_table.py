"""What the floods' referee finds fault with: one thing each that should not have been."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from benchmarks.flood_table import MOST_STRANGERS, RECOVERY_TIMEOUT_S, Flood, complaints

GOOD = Flood(
    name="flood",
    calls=2,
    exact_tracks=4,
    sent=400,
    received=400,
    kernel_drops=0,
    told={"opened": 10_000, "refused": 0, "alive": MOST_STRANGERS},
    seconds=1.0,
    recovered_s=0.1,
    handshake_ms=[1.0],
    rss_kib=(90_000, 100_000, 95_000),
    descriptors=(50, 1050, 60),
    calls_started=2,
    conservation_errors=0,
    rejected=0,
    complaints=[],
    calls_most=2,
    max_calls=2,
)


def test_a_good_one_has_none() -> None:
    assert complaints([GOOD]) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"received": 399}, "not by the kernel"),
        ({"received": 390, "kernel_drops": 9}, "9 dropped by the kernel"),
        ({"exact_tracks": 3}, "3 of 4 tracks exact"),
        ({"told": {"alive": MOST_STRANGERS + 1}}, "said nothing"),
        ({"recovered_s": RECOVERY_TIMEOUT_S}, "was not answered"),
        ({"conservation_errors": 1}, "1 conservation errors"),
        ({"calls_most": 3}, "3 calls at once, allowed are 2"),
        ({"rss_kib": (90_000, 190_000, 95_000)}, "RSS"),
        ({"complaints": ["what the referee says"]}, "what the referee says"),
    ],
)
def test_what_should_not_have_been_is_told(changes: dict[str, Any], said: str) -> None:
    assert any(said in text for text in complaints([GOOD, msgspec.structs.replace(GOOD, **changes)]))
