"""How much audio sinks are handed at a time."""

from __future__ import annotations

import pytest

from media.sinks.contract import SinkOptions, block_ms_of


@pytest.mark.parametrize(
    ("wishes", "most_ms", "block_ms"),
    [
        ([], 70, 70),
        ([(100, 1), (50, 1)], 100, 50),
        ([(100, 1), (50, 1)], 30, 30),
        ([(100, 20)], 50, 40),
        ([(100, 20), (50, 1)], 100, 40),
        ([(100, 20), (10, 1)], 100, 20),
    ],
)
def test_the_smallest_wish_on_everybodys_grid(wishes: list[tuple[int, int]], most_ms: int, block_ms: int) -> None:
    options = [SinkOptions("sink", block_ms=block, grid_ms=grid) for block, grid in wishes]
    assert block_ms_of(options, most_ms) == block_ms
