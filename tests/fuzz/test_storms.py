"""The storms in short; `make fuzz` has them with ten million datagrams and a million frames."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.fuzz.storms.datagrams import ALL_RULES, DatagramStorm, Rules
from tests.fuzz.storms.frames import FrameStorm
from tests.fuzz.storms.peers import without_loop


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("rules", ALL_RULES, ids=lambda rules: rules.name)
def test_datagrams(rules: Rules) -> None:
    storm = DatagramStorm(rules, seed=1, rows=300)
    for _ in range(40):
        storm.step()
    ends = storm.finish()
    assert sum(ends.values()) == storm.sent
    assert ends["ACCEPTED"] > 0.2 * storm.sent
    assert len(ends) >= 10


def test_frames() -> None:
    with without_loop():
        storm = FrameStorm(seed=1, frames=5)
        for _ in range(40):
            storm.step()
        ends = storm.finish()
    assert ends["FORESEEN"] > 200
    assert {"BAD_FIELD", "NOT_JSON", "BINARY", "AFTER_STOP", "EMPTY_PAYLOAD"} <= ends.keys()
