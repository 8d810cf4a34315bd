"""One line a second."""

from __future__ import annotations

import logging

import pytest

from media.throttle import ThrottledLog
from strep.clock import NS_PER_SECOND, ManualClock


def test_one_line_a_second(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    log = ThrottledLog(logging.getLogger("x"), clock)
    for number in range(5):
        log.warning(f"100 % bad {number}")
    clock.advance(NS_PER_SECOND - 1)
    log.warning("worse")
    clock.advance(1)
    log.warning("worst")
    clock.advance(NS_PER_SECOND)
    log.warning("over")
    assert caplog.messages == ["100 % bad 0", "worst (and 5 more since the last line)", "over"]
